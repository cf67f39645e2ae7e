/* keep: which mappings of a sample get a row, and that a day of them stays under its bound. */
#include "lab/watch/keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REGIONS 100
#define PROCESSES 64

struct fixture {
    struct keep keep;
    struct sample sample;
    struct sample_process processes[PROCESSES];
    struct sample_region regions[PROCESSES][REGIONS];
    struct map_entry maps[REGIONS];
    int index[PROCESSES];
    size_t chosen, waiting;
    struct keep_choice *list;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    keep_init(&f->keep);
    f->sample.processes = f->processes;
    f->sample.n = PROCESSES;
    for (int i = 0; i < REGIONS; i++)
        f->maps[i] = (struct map_entry){.start = 0x10000000ULL * (unsigned)(i + 1),
                                        .end = 0x10000000ULL * (unsigned)(i + 1) + 4096000,
                                        .prot = 3,
                                        .name = ""};
    for (int p = 0; p < PROCESSES; p++) {
        f->index[p] = p;
        f->processes[p] = (struct sample_process){.regions = f->regions[p], .nregions = REGIONS};
        for (int i = 0; i < REGIONS; i++) {
            struct sample_region *r = &f->regions[p][i];

            *r = (struct sample_region){.map = &f->maps[i], .kind = RK_ANON};
            r->q[RQ_PAGES] = value_known(1000);
            r->q[RQ_MAPPED] = r->q[RQ_COW] = value_known(900);
            r->q[RQ_SHARE_MODE] = value_known(SM_COW);
        }
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    keep_release(&f->keep);
    free(f->list);
    free(f);
    return 0;
}

static void choose(struct fixture *f, bool all)
{
    free(f->list);
    f->sample.t_ns += 1000000000;
    assert_int_equal(
        keep_choose(&f->keep, &f->sample, f->index, all, &f->list, &f->chosen, &f->waiting), 0);
}

static void test_watch_keep__the_first_sample_is_stored_whole(void **state)
{
    struct fixture *f = *state;

    choose(f, false);
    assert_int_equal(f->chosen, PROCESSES * REGIONS);
    assert_int_equal(f->waiting, 0);
    choose(f, false);
    assert_int_equal(f->chosen, 0);
}

static void test_watch_keep__a_change_counts_from_a_share_on(void **state)
{
    struct fixture *f = *state;

    choose(f, false);
    f->regions[3][7].q[RQ_COW] = value_known(890); /* 10 pages of 1000: under 16 */
    choose(f, false);
    assert_int_equal(f->chosen, 0);
    f->regions[3][7].q[RQ_COW] = value_known(800);
    choose(f, false);
    assert_int_equal(f->chosen, 1);
    assert_int_equal(f->list[0].process, 3);
    assert_ptr_equal(f->list[0].region, &f->regions[3][7]);
    f->regions[3][8].q[RQ_SHARE_MODE] = value_known(SM_PRIVATE);
    choose(f, false);
    assert_int_equal(f->chosen, 1);
}

static void test_watch_keep__copies_wait_for_the_next_row(void **state)
{
    struct fixture *f = *state;

    f->regions[0][0].copied = value_na();
    choose(f, false);
    for (int i = 0; i < 3; i++) {
        f->regions[0][0].copied = value_known(5);
        f->regions[0][0].lost = value_known(3);
        choose(f, false);
        assert_int_equal(f->chosen, 0);
    }
    f->regions[0][0].q[RQ_COW] = value_known(100);
    choose(f, false);
    assert_int_equal(f->chosen, 1);
    assert_int_equal(f->list[0].copied.n, 20);
    assert_int_equal(f->list[0].lost.n, 12);
}

static void test_watch_keep__a_mapping_that_is_gone_gets_a_last_row(void **state)
{
    struct fixture *f = *state;

    choose(f, false);
    f->processes[5].nregions = REGIONS - 1;
    choose(f, false);
    assert_int_equal(f->chosen, 1);
    assert_null(f->list[0].region);
    assert_int_equal(f->list[0].start, f->maps[REGIONS - 1].start);
    choose(f, false);
    assert_int_equal(f->chosen, 0);
}

/* Every mapping of every process changes in every sample: what db/README.md states of a day. */
static void test_watch_keep__a_day_stays_under_its_bound(void **state)
{
    const size_t row_bytes = 240; /* region and watch_region with bins, as a full page holds them */
    struct fixture *f = *state;
    size_t rows = 0, samples = 600;

    choose(f, false);
    for (size_t s = 0; s < samples; s++) {
        for (int p = 0; p < PROCESSES; p++)
            for (int i = 0; i < REGIONS; i++)
                f->regions[p][i].q[RQ_COW] = value_known(s % 2 ? 500 : 100 + i);
        choose(f, false);
        rows += f->chosen;
        assert_true(f->waiting > 0);
    }
    assert_true(rows <= KEEP_BURST + samples * KEEP_RATE + 1);
    assert_true(rows >= samples * KEEP_RATE);
    print_message("# a day: %.0f MiB\n", (KEEP_BURST + 86400.0 * KEEP_RATE) * row_bytes / 1048576);
    assert_true((KEEP_BURST + 86400.0 * KEEP_RATE) * row_bytes < 160.0 * 1048576);
}

/* The largest changes go first; the last sample leaves nothing. */
static void test_watch_keep__large_changes_first_and_all_at_the_end(void **state)
{
    struct fixture *f = *state;

    choose(f, false);
    f->keep.budget = 0;
    for (int i = 0; i < REGIONS; i++)
        f->regions[9][i].q[RQ_COW] = value_known(100 + i);
    choose(f, false);
    assert_int_equal(f->chosen, KEEP_RATE);
    assert_ptr_equal(f->list[0].region, &f->regions[9][0]);
    assert_int_equal(f->waiting, REGIONS - KEEP_RATE);
    choose(f, true);
    assert_int_equal(f->chosen, REGIONS - KEEP_RATE);
    assert_int_equal(f->waiting, 0);
}

/* Of 20,000 processes, two at a time, the table has room for those that are there. */
static void test_watch_keep__who_has_ended_takes_no_room(void **state)
{
    struct fixture *f = *state;

    f->sample.n = 2;
    for (int i = 0; i < 10000; i++) {
        f->index[0] = 2 * i;
        f->index[1] = 2 * i + 1;
        choose(f, false);
    }
    assert_true(f->keep.cap <= 2048);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_watch_keep__the_first_sample_is_stored_whole),
        T(test_watch_keep__a_change_counts_from_a_share_on),
        T(test_watch_keep__copies_wait_for_the_next_row),
        T(test_watch_keep__a_mapping_that_is_gone_gets_a_last_row),
        T(test_watch_keep__a_day_stays_under_its_bound),
        T(test_watch_keep__large_changes_first_and_all_at_the_end),
        T(test_watch_keep__who_has_ended_takes_no_room),
    };

    return cmocka_run_group_tests_name("watch_keep", tests, NULL, NULL);
}
