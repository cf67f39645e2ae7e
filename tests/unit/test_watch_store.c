/* Samples of a watch: what is stored always, what only when it moved, and how large a day gets. */
#include "db/filter.h"
#include "tests/support/db.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PROCESSES 64
#define DAY 86400
#define MIB (1024.0 * 1024)

struct fixture {
    struct stored in;
    struct store_watch *watch;
    struct run_info info;
    struct observation o;
    int sample;
};

static int set_up(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct store_watch_options every = {.pace = 1};
    struct err e;

    f->info = (struct run_info){.scenario = "watch", .backend = "linux", .page_size = 4096};
    assert_int_equal(store_begin_run(f->in.store, &f->info, &e), 0);
    assert_int_equal(store_watch_new(&f->watch, &every, &e), 0);
    observation_init(&f->o);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    observation_release(&f->o);
    store_watch_free(f->watch);
    return stored_tear_down(state);
}

static struct obs_process *add_process(struct fixture *f, const char *actor, int64_t rss_kb)
{
    struct obs_process *p = observation_add_process(&f->o, actor);

    assert_non_null(p);
    p->pid = 1000;
    p->q[PQ_RSS] = value_known(rss_kb);
    p->q[PQ_PSS] = value_known(rss_kb / 2);
    p->q[PQ_MINFLT] = value_known(3);
    p->q[PQ_COPIED] = value_known(0);
    return p;
}

static int take(struct fixture *f, const struct store_watch_process *came, size_t ncame,
                const struct store_watch_event *events, size_t nevents)
{
    struct err e;
    int rc = store_step(f->in.store, f->info.run_id,
                        &(struct step_record){.step = ++f->sample,
                                              .phase = "settled",
                                              .action = "sample",
                                              .obs = &f->o,
                                              .watch = f->watch,
                                              .came = came,
                                              .ncame = ncame,
                                              .events = events,
                                              .nevents = nevents},
                        &e);

    if (rc)
        print_message("%s\n", e.msg);
    return rc;
}

static void sample(struct fixture *f)
{
    assert_int_equal(take(f, NULL, 0, NULL, 0), 0);
}

static void use_default_pace(struct fixture *f)
{
    struct err e;

    store_watch_free(f->watch);
    assert_int_equal(store_watch_new(&f->watch, NULL, &e), 0);
}

static void test_watch_store__totals_always_rows_when_they_moved(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p;

    add_process(f, "a[1]", 10000);
    p = add_process(f, "b[2]", 20000);
    sample(f);
    sample(f);
    p->q[PQ_RSS] = value_known(20063); /* less than the grain of 64 */
    sample(f);
    p->q[PQ_RSS] = value_known(20100);
    sample(f);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM steps"), 4);
    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(step || actor || rss_kb) FROM footprint"),
        "1a[1]10000,1b[2]20000,4b[2]20100");
    assert_string_equal(
        db_text(f->in.db,
                "SELECT group_concat(actors || ' ' || sum_rss_kb || ' ' || sum_pss_kb, ', ') "
                "FROM footprint_vs_system"),
        "2 30000 15000, 2 30000 15000, 2 30063 15000, 2 30100 15000");
    /* Nobody gave USS: the sum is not zero. */
    assert_int_equal(db_int(f->in.db, "SELECT count(sum_uss_kb) FROM footprint_vs_system"), 0);
}

static void test_watch_store__a_large_figure_needs_a_large_move(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 1000000);

    sample(f);
    p->q[PQ_RSS] = value_known(1003000); /* 0.3 % */
    sample(f);
    p->q[PQ_RSS] = value_known(1004000); /* 0.4 % */
    sample(f);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint"), 2);
}

static void test_watch_store__steady_moves_are_paced_jumps_are_not(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 10000);

    use_default_pace(f);
    for (int i = 0; i < 11; i++) {
        sample(f);
        p->q[PQ_RSS].n += 100;
    }
    p->q[PQ_RSS].n += 1000;
    sample(f);
    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(step || ':' || rss_kb, ' ') FROM footprint"),
        "1:10000 6:10500 11:11000 12:12100");
}

static void test_watch_store__counts_are_those_since_the_row_before(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 1000);

    p->q[PQ_COPIED] = value_known(16);
    for (int i = 0; i < 9; i++)
        sample(f);
    /* Row 1 at once; then each time 64 KiB of copies have gathered. */
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(step || ':' || copied_kb || ':' || "
                                          "minflt, ' ') FROM footprint"),
                        "1:16:3 5:64:12 9:64:12");
}

/* Known counts and unknown ones are never one row: each is as it was. */
static void test_watch_store__what_was_counted_stays_counted(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 1000);
    const struct value copied[] = {value_known(0),
                                   value_known(16),
                                   value_known(8),
                                   value_unknown(WHY_NO_FRAMES),
                                   value_unknown(WHY_NO_FRAMES),
                                   value_known(40960),
                                   value_known(0)};

    use_default_pace(f);
    p->q[PQ_MINFLT] = value_na();
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        p->q[PQ_COPIED] = copied[i];
        p->q[PQ_RSS].n++;
        sample(f);
    }
    assert_string_equal(db_text(f->in.db,
                                "SELECT group_concat(step || ':' || ifnull(copied_kb, '?') || ':' "
                                "|| rss_kb, ' ') FROM footprint"),
                        "1:0:1001 3:24:1003 4:?:1004 5:?:1005 6:40960:1006");
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(step) FROM unknowns"), "4");
}

/* What a process copied in its last samples, too little and too late for a row of its own. */
static void test_watch_store__who_goes_leaves_what_was_counted(void **state)
{
    struct fixture *f = *state;
    struct obs_process *b;

    use_default_pace(f);
    add_process(f, "a[1]", 1000);
    b = add_process(f, "b[2]", 1000);
    b->q[PQ_COPIED] = value_known(1024);
    for (int i = 0; i < 9; i++)
        sample(f);
    f->o.nprocesses = 1;
    sample(f);
    sample(f);
    f->o.nprocesses = 2;
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(step || ':' || copied_kb || ':' || "
                                          "minflt, ' ') FROM footprint WHERE actor = 'b[2]'"),
                        "1:1024:3 6:5120:15 9:3072:9");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint WHERE actor = 'a[1]'"), 1);
}

static void test_watch_store__an_unknown_count_does_not_fill_the_file(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 1000);

    p->q[PQ_COPIED] = value_unknown(WHY_NO_FRAMES);
    p->q[PQ_MINFLT] = value_na();
    for (int i = 0; i < 9; i++)
        sample(f);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint"), 1);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM unknowns"), 1);
    assert_string_equal(db_text(f->in.db, "SELECT observed || ' ' || quantity FROM unknowns"),
                        "a[1] copied_kb");
}

static void test_watch_store__small_changes_are_stored_once_a_minute(void **state)
{
    struct fixture *f = *state;
    struct obs_process *p = add_process(f, "a[1]", 1000);

    for (int i = 0; i < 130; i++) {
        p->q[PQ_RSS] = value_known(1000 + i % 2);
        p->q[PQ_MINFLT] = value_known(0);
        sample(f);
    }
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(step) FROM footprint"), "1,62,123");
}

static void test_watch_store__regions_and_sharing_when_they_moved(void **state)
{
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->o, "a[1]", "[heap]", "55d0");
    struct obs_sharing *sh = observation_add_sharing(&f->o, "a[1]", "b[2]");

    r->needs_copy = -1;
    r->q[RQ_RESIDENT] = value_known(1000);
    r->q[RQ_SHARE_MODE] = value_known(SM_COW);
    r->q[RQ_DEBT] = value_unknown(WHY_NO_KPAGE);
    assert_int_equal(obs_region_add_run(r, &(struct page_run){.count = 1000}), 0);
    sh->frames = value_known(900);
    sample(f);
    r->q[RQ_RESIDENT] = value_known(1015); /* 60 KiB */
    sample(f);
    r->q[RQ_RESIDENT] = value_known(1016); /* 64 KiB */
    sh->frames = value_known(884);
    sample(f);
    r->q[RQ_SHARE_MODE] = value_known(SM_PRIVATE);
    sample(f);
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(step || ' ' || share_mode || ' ' || "
                                          "resident, ', ') FROM timeline"),
                        "1 SM_COW 1000, 3 SM_COW 1016, 4 SM_PRIVATE 1016");
    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(step || ' ' || frames) FROM sharing"),
        "1 900,3 884");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM page_runs"), 0);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM unknowns"), 1);
}

static void test_watch_store__costs_are_summed_and_checks_kept_that_differ(void **state)
{
    struct fixture *f = *state;
    struct obs_cost *c = observation_add_cost(&f->o, "pagemap");
    struct obs_check *good = observation_add_check(&f->o, "states_sum", "a[1]", NULL);
    struct obs_check *bad;

    c->dur_ns = 100;
    c->calls = 2;
    c->faults_induced = value_known(0);
    good->verdict = CHECK_HELD;
    bad = observation_add_check(&f->o, "smaps_rss", "a[1]", NULL);
    bad->verdict = CHECK_DIFFERS;
    for (int i = 0; i < 62; i++)
        sample(f);
    assert_string_equal(db_text(f->in.db,
                                "SELECT group_concat(step || ' ' || dur_ns || ' ' || calls, "
                                "', ') FROM probe_cost"),
                        "1 100 2, 61 6000 120");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM checks WHERE name = 'states_sum'"), 0);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM checks WHERE name = 'smaps_rss'"), 62);
}

static void test_watch_store__processes_come_and_go(void **state)
{
    struct fixture *f = *state;
    const int64_t latency = 81000;
    const struct store_watch_process came[] = {{"a[1]", 1, 77, NULL, "a", "a --serve", -1},
                                               {"b[2]", 2, 99, "a[1]", "b", NULL, -1}};
    const struct store_watch_event fork = {"a[1]", "fork", &latency, NULL};
    const struct store_watch_event gone = {"b[2]", "gone", NULL, "exited"};

    assert_int_equal(take(f, came, 2, &fork, 1), 0);
    sample(f);
    assert_int_equal(take(f, NULL, 0, &gone, 1), 0);
    assert_string_equal(db_text(f->in.db,
                                "SELECT group_concat(actor || ' ' || ifnull(parent, '-') || "
                                "' ' || first_step || '..' || ifnull(last_step, ''), ', ') "
                                "FROM watch_processes"),
                        "a[1] - 1.., b[2] a[1] 1..2");
    assert_string_equal(db_text(f->in.db,
                                "SELECT group_concat(step || ' ' || kind || ' ' || actor || "
                                "ifnull(' ' || value, ''), ', ') FROM watch_events"),
                        "1 fork a[1] 81000, 1 came a[1], 1 came b[2], 3 gone b[2]");
}

/* Whose program it runs is stored when it is known, once; a name that changes later does not undo
 * it. */
static void test_watch_store__a_program_that_is_known_later(void **state)
{
    struct fixture *f = *state;
    const struct store_watch_process came = {"a[1]", 1, 77, "b[2]", "a", NULL, -1};
    const struct store_watch_process named[] = {
        {.actor = "a[1]", .name = "sleep", .own_program = 1},
        {.actor = "a[1]", .name = "nap", .own_program = -1}};
    struct err e;

    assert_int_equal(take(f, &came, 1, NULL, 0), 0);
    assert_int_equal(db_int(f->in.db, "SELECT own_program IS NULL FROM watch_process"), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_step(f->in.store, f->info.run_id,
                                    &(struct step_record){.step = ++f->sample,
                                                          .phase = "settled",
                                                          .action = "sample",
                                                          .obs = &f->o,
                                                          .watch = f->watch,
                                                          .named = &named[i],
                                                          .nnamed = 1},
                                    &e),
                         0);
    assert_string_equal(db_text(f->in.db, "SELECT name || own_program FROM watch_process"), "nap1");
}

/* A sample that was not stored must not count as stored: the next one brings every row. */
static void test_watch_store__after_a_failed_sample_everything_is_stored_again(void **state)
{
    struct fixture *f = *state;
    const struct store_watch_event wrong = {NULL, "no such kind", NULL, NULL};
    struct obs_process *p = add_process(f, "a[1]", 1000);

    sample(f);
    p->q[PQ_RSS] = value_known(5000);
    assert_int_equal(take(f, NULL, 0, &wrong, 1), -EINVAL);
    sample(f);
    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(step || ':' || rss_kb) FROM footprint"),
        "1:1000,3:5000");
}

/* -- size ------------------------------------------------------------------------------- */

static void fill_tree(struct fixture *f)
{
    char actor[32];

    for (int i = 0; i < PROCESSES; i++) {
        struct obs_process *p;

        snprintf(actor, sizeof actor, "redis-server[%d]", 31000 + i);
        p = add_process(f, actor, 100000 + i);
        for (int q = 0; q < PQ__COUNT; q++)
            p->q[q] = value_known(100000 + i);
        p->q[PQ_MINFLT] = p->q[PQ_MAJFLT] = p->q[PQ_COW_FAULTS] = p->q[PQ_COPIED] = p->q[PQ_LOST] =
            value_known(0);
    }
    for (int q = 0; q < TQ__COUNT; q++)
        f->o.totals[q] = value_known(1000000);
}

static void fill_heaps(struct fixture *f)
{
    for (size_t i = 0; i < f->o.nprocesses; i++) {
        struct obs_region *r =
            observation_add_region(&f->o, f->o.processes[i].actor, "[heap]", "55d0c0de0000");

        assert_non_null(r);
        r->needs_copy = -1;
        r->end = r->entry_end = 0x55d0c0ffffff;
        for (int q = 0; q < RQ__COUNT; q++)
            r->q[q] = value_known(1);
        r->q[RQ_RESIDENT] = r->q[RQ_EXCLUSIVE] = r->q[RQ_COW] = value_known(20000 + (int64_t)i);
    }
}

/* MiB that a day would take if it went on as these samples. */
static double day_mib(struct fixture *f, int samples, int64_t move_kb)
{
    struct stat before, after;

    use_default_pace(f);
    fill_tree(f);
    fill_heaps(f);
    sample(f);
    db_exec(f->in.db, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(scratch_path(f->in.dir, "t.db"), &before), 0);
    for (int i = 0; i < samples; i++) {
        for (size_t k = 0; k < f->o.nprocesses; k++) {
            struct value *q = f->o.processes[k].q;

            q[PQ_RSS].n += i % 10 < 5 ? move_kb : -move_kb;
            q[PQ_PSS].n += i % 10 < 5 ? move_kb : -move_kb;
            q[PQ_MINFLT].n = move_kb;
            q[PQ_COPIED].n = q[PQ_LOST].n = move_kb;
            f->o.regions[k].q[RQ_EXCLUSIVE].n += i % 10 < 5 ? move_kb / 4 : -move_kb / 4;
        }
        sample(f);
    }
    db_exec(f->in.db, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(scratch_path(f->in.dir, "t.db"), &after), 0);
    return (double)(after.st_size - before.st_size) / MIB / samples * DAY;
}

/* What db/README.md states. */
static void test_watch_store__a_day_of_a_busy_tree_stays_under_384_mib(void **state)
{
    double size = day_mib(*state, 3000, 500);

    print_message("# 64 processes and their heaps that all move: %.0f MiB a day\n", size);
    assert_true(size < 384);
}

static void test_watch_store__a_day_of_a_quiet_tree_stays_under_24_mib(void **state)
{
    double size = day_mib(*state, 3000, 0);

    print_message("# 64 processes that stand still: %.1f MiB a day\n", size);
    assert_true(size < 24);
}

/* Names of mappings that come and go for as long as their process lives: what is kept of them has a
 * bound, and who is told all the time is noted once. */
static void test_watch_store__names_that_are_gone_are_not_kept(void **state)
{
    struct store_watch *w;
    struct filter_row before;
    struct err e;
    char name[32];
    int again;

    (void)state;
    assert_int_equal(store_watch_new(&w, NULL, &e), 0);
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "/tmp/map-%d", i);
        assert_int_equal(filter_unknown(w, "a", name, NULL, "debt", WHY_PERMISSION), 1);
        assert_int_equal(filter_unknown(w, "a", "[heap]", NULL, "debt", WHY_PERMISSION), i == 0);
        assert_int_equal(filter_unknown(w, "a", NULL, NULL, "rss_kb", WHY_PERMISSION), i == 0);
        filter_left(w, i, &before);
    }
    for (again = 0; again < 100000; again++) { /* back to the one that is forgotten */
        snprintf(name, sizeof name, "/tmp/map-%d", 99999 - again);
        if (filter_unknown(w, "a", name, NULL, "debt", WHY_PERMISSION))
            break;
    }
    assert_in_range(again, 1, 50000);
    store_watch_free(w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_watch_store__totals_always_rows_when_they_moved),
        T(test_watch_store__a_large_figure_needs_a_large_move),
        T(test_watch_store__steady_moves_are_paced_jumps_are_not),
        T(test_watch_store__counts_are_those_since_the_row_before),
        T(test_watch_store__what_was_counted_stays_counted),
        T(test_watch_store__who_goes_leaves_what_was_counted),
        T(test_watch_store__an_unknown_count_does_not_fill_the_file),
        T(test_watch_store__small_changes_are_stored_once_a_minute),
        T(test_watch_store__regions_and_sharing_when_they_moved),
        T(test_watch_store__costs_are_summed_and_checks_kept_that_differ),
        T(test_watch_store__processes_come_and_go),
        T(test_watch_store__a_program_that_is_known_later),
        T(test_watch_store__names_that_are_gone_are_not_kept),
        T(test_watch_store__after_a_failed_sample_everything_is_stored_again),
        T(test_watch_store__a_day_of_a_busy_tree_stays_under_384_mib),
        T(test_watch_store__a_day_of_a_quiet_tree_stays_under_24_mib),
    };

    return cmocka_run_group_tests_name("watch_store", tests, NULL, NULL);
}
