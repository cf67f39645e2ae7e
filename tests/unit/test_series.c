/* Series: the values of a command line, the order of the runs, and how many of them are stored. */
#include "lab/plan/text/reader.h"
#include "lab/plan/values.h"
#include "lab/run/exits.h"
#include "lab/run/series.h"
#include "reports/report.h"
#include "tests/support/db.h"
#include "tests/support/replay.h"
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* -- values ------------------------------------------------------------------------------- */

/* The values of the text, with '|' between; or what is wrong with it. */
static const char *values(const char *text)
{
    static char out[1024];
    struct values v;
    struct err e = {""};
    int rc = values_parse(&v, text, &e);

    out[0] = '\0';
    for (size_t i = 0; rc == 0 && i < v.n; i++) {
        strcat(out, i ? "|" : "");
        strcat(out, v.list[i]);
    }
    values_release(&v);
    if (rc < 0) {
        assert_int_equal(rc, -EINVAL);
        strcpy(out, e.msg);
    }
    return out;
}

static void test_values__lists_have_commas_and_values_may(void **state)
{
    (void)state;
    assert_string_equal(values("1"), "1");
    assert_string_equal(values("1,16,256"), "1|16|256");
    assert_string_equal(values("a\\,b,c"), "a,b|c");
    assert_string_equal(values("\\,"), ",");
    assert_string_equal(values("a\\b"), "a\\b");
    assert_string_equal(values("1K,2"), "1K|2");
}

static void test_values__an_empty_one_is_a_value_only_alone(void **state)
{
    (void)state;
    assert_string_equal(values(""), "");
    assert_string_equal(values("1,,2"), "there is an empty value in '1,,2'");
    assert_string_equal(values(",1"), "there is an empty value in ',1'");
    assert_string_equal(values("1,"), "there is an empty value in '1,'");
}

static void test_values__a_range_ends_where_it_is_hit_or_before(void **state)
{
    (void)state;
    assert_string_equal(values("1..64x4"), "1|4|16|64");
    assert_string_equal(values("1..63x4"), "1|4|16");
    assert_string_equal(values("3..3x2"), "3");
    assert_string_equal(values("1K..4Kx2,7"), "1024|2048|4096|7");
    assert_string_equal(values("4611686018427387904..9223372036854775807x2"),
                        "4611686018427387904");
    assert_non_null(strstr(values("0..4x2"), "is no range"));
    assert_non_null(strstr(values("4..1x2"), "is no range"));
    assert_non_null(strstr(values("1..4x1"), "is no range"));
    assert_non_null(strstr(values("1..99999999999999999999x2"), "too large"));
    assert_non_null(strstr(values("1..9000000000000Gx2"), "too large"));
    assert_string_equal(values("a..bx2"), "a..bx2"); /* a text like any other */
    assert_string_equal(values("1..4"), "1..4");
}

static int64_t amount(const char *text)
{
    int64_t n = -1;
    int rc = parse_amount(text, strlen(text), &n);

    return rc < 0 ? rc : n;
}

static void test_values__numbers_take_units(void **state)
{
    (void)state;
    assert_int_equal(amount("7"), 7);
    assert_int_equal(amount("1K"), 1024);
    assert_int_equal(amount("64M"), 64 << 20);
    assert_int_equal(amount("2G"), INT64_C(2) << 30);
    assert_int_equal(amount("8589934591G"), INT64_C(8589934591) << 30);
    assert_int_equal(amount("8589934592G"), -ERANGE);
    assert_int_equal(amount("K"), -EINVAL);
    assert_int_equal(amount("1KK"), -EINVAL);
    assert_int_equal(amount("1k"), -EINVAL);
    assert_int_equal(amount(""), -EINVAL);
}

/* -- the order ------------------------------------------------------------------------------ */

#define ROUNDS 200
#define MANY 8

static struct plan_param params[][2] = {
    {{.name = "pages", .text = "1"}, {.name = "memory", .text = "a"}},
    {{.name = "pages", .text = "2"}, {.name = "memory", .text = "a"}},
    {{.name = "pages", .text = "2"}, {.name = "memory", .text = "b"}},
};
static const struct plan fork_1 = {.name = "f", .twin = "o", .params = params[0], .nparams = 1};
static const struct plan fork_2 = {.name = "f", .twin = "o", .params = params[1], .nparams = 1};
static const struct plan ool_1 = {.name = "o", .params = params[0], .nparams = 2};
static const struct plan ool_2a = {.name = "o", .params = params[1], .nparams = 2};
static const struct plan ool_2b = {.name = "o", .params = params[2], .nparams = 2};
static const struct plan alone = {.name = "x"};
static const struct backend other = {.ability = &ability_replay};

/* 0, 4: pages=1; 1, 3, 6: pages=2; 7 has no twin on its backend. */
static const struct combination many[MANY] = {
    {&backend_replay, &fork_1}, {&backend_replay, &ool_2a}, {&backend_replay, &alone},
    {&backend_replay, &fork_2}, {&backend_replay, &ool_1},  {&other, &alone},
    {&backend_replay, &ool_2b}, {&other, &fork_2},
};

static void rounds(uint64_t seed, size_t out[ROUNDS][MANY])
{
    struct order *o = order_new(many, MANY, seed);

    assert_non_null(o);
    for (size_t r = 0; r < ROUNDS; r++)
        order_round(o, r, out[r]);
    order_free(o);
}

static void test_order__a_seed_gives_it_and_each_round_another(void **state)
{
    static size_t a[ROUNDS][MANY], b[ROUNDS][MANY], c[ROUNDS][MANY];
    size_t same = 0;

    (void)state;
    rounds(7, a);
    rounds(7, b);
    rounds(8, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    for (size_t r = 1; r < ROUNDS; r++)
        same += memcmp(a[r], a[r - 1], sizeof a[r]) == 0;
    assert_true(same < ROUNDS / 10);
}

static void test_order__a_round_has_each_combination_once(void **state)
{
    static size_t all[ROUNDS][MANY];

    (void)state;
    rounds(1, all);
    for (size_t r = 0; r < ROUNDS; r++) {
        unsigned seen = 0;

        for (size_t i = 0; i < MANY; i++)
            seen |= 1u << all[r][i];
        assert_int_equal(seen, (1u << MANY) - 1);
    }
}

/* How far apart the first and the last of these are. */
static size_t spread(const size_t round[MANY], unsigned of)
{
    size_t first = MANY, last = 0;

    for (size_t i = 0; i < MANY; i++)
        if (of >> round[i] & 1) {
            first = first == MANY ? i : first;
            last = i;
        }
    return last - first;
}

static void test_order__twins_and_backends_stay_together(void **state)
{
    static size_t all[ROUNDS][MANY];
    size_t split = 0;

    (void)state;
    rounds(2, all);
    for (size_t r = 0; r < ROUNDS; r++) {
        assert_int_equal(spread(all[r], 1u << 0 | 1u << 4), 1);
        assert_int_equal(spread(all[r], 1u << 1 | 1u << 3 | 1u << 6), 2);
        assert_int_equal(spread(all[r], 1u << 5 | 1u << 7), 1);
        split += spread(all[r], 1u << 2 | 1u << 3) > 1;
    }
    assert_true(split > 0); /* who is no twin does not */
}

/* Of ROUNDS rounds each combination comes first about as often as every other of its backend. */
static void test_order__nobody_is_preferred(void **state)
{
    static size_t all[ROUNDS][MANY];
    int units[3] = {0}, forks = 0;

    (void)state;
    rounds(3, all);
    for (size_t r = 0; r < ROUNDS; r++) {
        size_t i = 0, fork = 0, ool = 0;

        while (many[all[r][i]].backend != &backend_replay)
            i++;
        units[all[r][i] == 2 ? 0 : many[all[r][i]].plan->params[0].text[0] - '0']++;
        for (i = 0; i < MANY; i++) {
            fork = all[r][i] == 0 ? i : fork;
            ool = all[r][i] == 4 ? i : ool;
        }
        forks += fork < ool;
    }
    /* Expected: a third, a half. Five standard deviations off is no chance, and the seed is fixed.
     */
    for (int i = 0; i < 3; i++)
        assert_in_range(units[i], 33, 100);
    assert_in_range(forks, 65, 135);
}

/* -- carried out ---------------------------------------------------------------------------- */

static const char scenario[] =
    "{ \"scenario\": \"one\", \"language\": 1, \"title\": \"One\", \"question\": \"?\",\n"
    "  \"no_twin\": \"a test\", \"actors\": [\"parent\"], \"params\": { \"pages\": { \"default\": "
    "1 "
    "} }, \"steps\": [\n"
    "  { \"phase\": \"transferred\", \"actor\": \"parent\",\n"
    "    \"map\": { \"region\": \"r\", \"pages\": \"=pages\", \"kind\": \"anonymous\" },\n"
    "    \"expect\": { \"parent.r\": { \"resident\": 0 } } } ] }\n";

struct fixture {
    struct stored in;
    struct plan *plans[2];
    struct combination list[2];
    struct replay replay;
    volatile int stop;
    FILE *log;
};

static int set_up(void **state)
{
    static const struct ability *const abilities[] = {&ability_replay, NULL};
    struct fixture *f = stored_new(sizeof *f);
    struct err e;

    for (int i = 0; i < 2; i++) {
        const struct param_setting pages = {"pages", i ? "2K" : "1"};

        if (plan_parse(&f->plans[i], scenario, strlen(scenario), "t", abilities, "replay", 4096,
                       &pages, 1, NULL, &e) < 0)
            fail_msg("%s", e.msg);
        f->list[i] = (struct combination){&backend_replay, f->plans[i]};
    }
    f->log = tmpfile();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++)
        plan_free(f->plans[i]);
    fclose(f->log);
    return stored_tear_down(state);
}

static int run(struct fixture *f, int64_t repeat, struct series_info *info)
{
    struct runner_options opt = {.stop = &f->stop, .out = f->log, .log = f->log};

    *info = (struct series_info){.seed = 5,
                                 .repeat = repeat,
                                 .spec = "{\"scenarios\":[\"one\"],\"backends\":[\"replay\"],"
                                         "\"params\":{\"pages\":[\"1\",\"2048\"]}}"};
    replay_use(&f->replay);
    return run_series(f->list, 2, info, f->in.store, &opt);
}

static int look(struct step_result *out, const struct step *step, int64_t resident)
{
    struct obs_region *r = observation_add_region(&out->obs, "parent", "r", NULL);

    r->q[RQ_PAGES] = value_known((int64_t)step->pages);
    r->q[RQ_RESIDENT] = value_known(resident);
    return 0;
}

static int taken; /* steps */

static int good(const struct step *step, struct step_result *out, struct err *e)
{
    (void)e;
    out->dur_ns = (uint64_t)(1000 * ++taken);
    return look(out, step, 0);
}

/* Of the larger region each. */
static int broken(const struct step *step, struct step_result *out, struct err *e)
{
    return step->pages > 1 ? err_set(e, EIO, "it is broken") : look(out, step, 0);
}

static int not_as_expected(const struct step *step, struct step_result *out, struct err *e)
{
    (void)e;
    return look(out, step, step->pages > 1);
}

static struct fixture *stopping;

static int stopped(const struct step *step, struct step_result *out, struct err *e)
{
    if (++taken == 4)
        stopping->stop = 1;
    return stop_asked(&stopping->stop, e) < 0 ? -EINTR : look(out, step, 0);
}

static void test_series__each_combination_n_times_and_once_to_warm_up(void **state)
{
    struct fixture *f = *state;
    struct series_info info;

    f->replay.step = good;
    assert_int_equal(run(f, 3, &info), EXIT_DONE);
    assert_string_equal(db_text(f->in.db, "SELECT series_id FROM series"), info.series_id);
    assert_string_equal(db_text(f->in.db, "SELECT seed || ' ' || repeat || ' ' || planned "
                                          "FROM series"),
                        "5 3 8");
    assert_string_equal(db_text(f->in.db,
                                "SELECT group_concat(setting || ' ' || n, ', ') FROM (SELECT "
                                "setting, warm_up || ':' || count(*) AS n FROM series_runs "
                                "GROUP BY setting, warm_up)"),
                        "pages=1 0:3, pages=1 1:1, pages=2048 0:3, pages=2048 1:1");
    assert_int_equal(db_int(f->in.db, "SELECT max(warm_up) FROM (SELECT warm_up FROM runs "
                                      "ORDER BY started_at, run_id LIMIT -1 OFFSET 2)"),
                     0);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs WHERE series_id IS NULL"), 0);
}

static void test_series__a_warm_up_is_nobodys_latest_run(void **state)
{
    struct fixture *f = *state;
    struct series_info info;

    f->replay.step = good;
    assert_int_equal(run(f, 1, &info), EXIT_DONE);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM latest_runs"), 1);
    db_exec(f->in.db, "UPDATE run SET warm_up = 1");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM latest_runs"), 0);
}

static void test_series__what_fails_twice_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct series_info info;

    f->replay.step = broken;
    assert_int_equal(run(f, 5, &info), EXIT_RUNNING);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM series_runs WHERE setting = "
                                      "'pages=2048' AND status = 'failed'"),
                     2);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM series_runs WHERE setting = "
                                      "'pages=1' AND status = 'complete'"),
                     6);
}

static void test_series__an_interrupt_ends_it_and_keeps_what_is_done(void **state)
{
    struct fixture *f = *state;
    struct series_info info;

    stopping = f;
    taken = 0;
    f->replay.step = stopped;
    assert_int_equal(run(f, 5, &info), EXIT_INTERRUPTED);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs WHERE status = 'complete'"), 3);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs WHERE status = 'interrupted'"), 1);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs"), 4);
    assert_int_equal(f->replay.begun, f->replay.ended);
}

/* In bytes, but for what SQLite keeps of the file. */
static size_t in_use(struct fixture *f)
{
    sqlite3_db_release_memory(f->in.db);
    return mallinfo2().uordblks;
}

/* What is kept of a run goes with it. */
static void test_series__many_runs_take_no_more_memory_than_few(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    size_t few, many_runs;

    f->replay.step = good;
    assert_int_equal(run(f, 500, &info), EXIT_DONE);
    few = in_use(f);
    assert_int_equal(run(f, 1000, &info), EXIT_DONE);
    many_runs = in_use(f);
    assert_true(many_runs <= few + 10000); /* ten bytes for each run */
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs"), 1002 + 2002);
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in:\n%s", part, text);
}

/* On a terminal a line says where it is, and goes away. */
static void test_series__a_terminal_sees_how_far_it_is(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    char said[4096] = "";
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    size_t len = 0;
    ssize_t n;

    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    fclose(f->log);
    f->log = fopen(ptsname(terminal), "r+");
    assert_non_null(f->log);
    f->replay.step = good;
    assert_int_equal(run(f, 1, &info), EXIT_DONE);
    fflush(f->log);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    while ((n = read(terminal, said + len, sizeof said - 1 - len)) > 0)
        len += (size_t)n;
    close(terminal);
    contains(said, "run 1 of 4\r");
    contains(said, "run 4 of 4, about 1 s left\r\033[K");
    assert_string_equal(said + len - 4, "\r\033[K");
}

static char *summary(struct fixture *f, const char *id,
                     int (*print)(struct store *, const char *, FILE *, struct err *))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct err e;
    int rc =
        print ? print(f->in.store, id, out, &e) : report_series(f->in.store, id, false, out, &e);

    fclose(out);
    if (rc < 0)
        fail_msg("%s", e.msg);
    return text;
}

static void test_series__the_median_has_an_interval_from_five_runs_on(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    char *text;

    f->replay.step = good;
    assert_int_equal(run(f, 5, &info), EXIT_DONE);
    /* 10, 20, 30, 40, 50 us; h = 0.98 * sqrt(5) - 0.15 = 2.041: beyond the ends. */
    db_exec(f->in.db, "UPDATE step SET dur_ns = (SELECT 10000 * (SELECT count(*) FROM run o "
                      "WHERE o.warm_up = 0 AND o.params = r.params AND (o.started_at, o.run_id) <= "
                      "(r.started_at, r.run_id)) FROM run r WHERE r.run = step.run)");
    text = summary(f, info.series_id, NULL);
    contains(text, "pages=1                                 5     30.0 µs  10.0 µs to 50.0 µs\n");
    contains(text, "12 of 12 runs: 10 counted, 2 to warm up\n");
    contains(text, "expectations: 12 held, 0 failed, 0 not checked\n");
    free(text);
    /* One less: the same median of 4, and no interval. */
    db_exec(f->in.db, "UPDATE run SET status = 'crashed' WHERE run IN (SELECT run FROM step "
                      "WHERE dur_ns = 50000)");
    text = summary(f, info.series_id, NULL);
    contains(text, "pages=1                                 4     25.0 µs\n");
    contains(text, ", 2 crashed\n");
    free(text);
    text = summary(f, info.series_id, report_series_json);
    contains(text, "\"seed\":\t5");
    contains(text, "\"median\":\t25000");
    contains(text, "\"low\":\tnull");
    free(text);
}

static void test_series__the_interval_lies_between_neighbours(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    char *text;

    f->replay.step = good;
    assert_int_equal(run(f, 9, &info), EXIT_DONE);
    db_exec(f->in.db, "UPDATE step SET dur_ns = (SELECT 10000 * (SELECT count(*) FROM run o "
                      "WHERE o.warm_up = 0 AND o.params = r.params AND (o.started_at, o.run_id) <= "
                      "(r.started_at, r.run_id)) FROM run r WHERE r.run = step.run)");
    text = summary(f, info.series_id, NULL); /* h = 2.79: the values at 2.21 and 7.79 */
    contains(text, "9     50.0 µs  22.1 µs to 77.9 µs\n");
    free(text);
}

static void test_series__what_failed_is_told_once_with_how_often(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    char *text;

    f->replay.step = not_as_expected;
    assert_int_equal(run(f, 2, &info), EXIT_EXPECTATION);
    text = summary(f, info.series_id, NULL);
    contains(text, "3 held, 3 failed");
    contains(text, "one on replay pages=2048, step 1 (transferred): parent.r resident: expected 0, "
                   "measured 1; in 3 of 3 runs, last in ");
    free(text);
}

static void test_series__is_found_by_a_part_of_its_id(void **state)
{
    struct fixture *f = *state;
    struct series_info info;
    char id[40], **ids = NULL;
    size_t n = 0;
    struct err e;

    f->replay.step = good;
    assert_int_equal(run(f, 2, &info), EXIT_DONE);
    assert_int_equal(store_find_series(f->in.store, info.series_id, id, &e), 0);
    assert_int_equal(store_find_series(f->in.store, "series-2", id, &e), 0);
    assert_string_equal(id, info.series_id);
    assert_int_equal(store_find_series(f->in.store, "series-x", id, &e), -ENOENT);
    assert_int_equal(run(f, 2, &info), EXIT_DONE);
    assert_int_equal(store_find_series(f->in.store, "series-2", id, &e), -EINVAL);
    assert_int_equal(report_series_runs(f->in.store, info.series_id, &ids, &n, &e), 0);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        char sql[200];

        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM series_runs WHERE run_id = '%s' AND warm_up = 0 AND "
                 "series_id = '%s'",
                 ids[i], info.series_id);
        assert_int_equal(db_int(f->in.db, sql), 1);
        free(ids[i]);
    }
    free(ids);
}

static void test_series__no_combination_stands_twice(void **state)
{
    struct fixture *f = *state;
    const struct combination twice[] = {f->list[0], f->list[1], f->list[0]};
    struct err e;

    assert_int_equal(series_check(f->list, 2, &e), 0);
    assert_int_equal(series_check(twice, 3, &e), -EINVAL);
}

int main(void)
{
#define STORED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values__lists_have_commas_and_values_may),
        cmocka_unit_test(test_values__an_empty_one_is_a_value_only_alone),
        cmocka_unit_test(test_values__a_range_ends_where_it_is_hit_or_before),
        cmocka_unit_test(test_values__numbers_take_units),
        cmocka_unit_test(test_order__a_seed_gives_it_and_each_round_another),
        cmocka_unit_test(test_order__a_round_has_each_combination_once),
        cmocka_unit_test(test_order__twins_and_backends_stay_together),
        cmocka_unit_test(test_order__nobody_is_preferred),
        STORED(test_series__each_combination_n_times_and_once_to_warm_up),
        STORED(test_series__a_warm_up_is_nobodys_latest_run),
        STORED(test_series__what_fails_twice_is_left_out),
        STORED(test_series__an_interrupt_ends_it_and_keeps_what_is_done),
        STORED(test_series__many_runs_take_no_more_memory_than_few),
        STORED(test_series__a_terminal_sees_how_far_it_is),
        STORED(test_series__the_median_has_an_interval_from_five_runs_on),
        STORED(test_series__the_interval_lies_between_neighbours),
        STORED(test_series__what_failed_is_told_once_with_how_often),
        STORED(test_series__is_found_by_a_part_of_its_id),
        STORED(test_series__no_combination_stands_twice),
    };

    return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
