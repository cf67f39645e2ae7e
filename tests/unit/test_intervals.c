/* The intervals of series: synthetic runs whose truth is known, asked through the views. */
#include "tests/support/db.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DRAWS 2000
#define SOME 40 /* series in a database at once */

static int set_up(void **state)
{
    *state = stored_new(sizeof(struct stored));
    return 0;
}

/* -- draws: the same ones on every machine ----------------------------------------------- */

static uint64_t generator = 20261127;

static double uniform(void)
{
    uint64_t x = generator += 0x9e3779b97f4a7c15ULL;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return ((double)((x ^ (x >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* Times in ns around a million: what they are spread like, and their true median. */
static double exponential(void)
{
    return 1e6 - 1e6 * log(uniform());
}

static double lognormal(void)
{
    return 1e6 * exp(0.3 * normal());
}

static double narrow(void)
{
    return 1e6 * (1 + 0.02 * normal());
}

/* -- what a store has of them ------------------------------------------------------------- */

static int64_t next_run = 1;

static int64_t new_series(sqlite3 *db, const char *params)
{
    static int64_t series;
    char *sql = sqlite3_mprintf(
        "INSERT INTO series VALUES (%lld, printf('series-20261127-120000-%%016x', %lld), "
        "'2026-11-27T12:00:00.000000Z', 1, 20, 42, '{\"scenarios\": [\"s\"], \"backends\": "
        "[\"linux\"], \"params\": {%s}}')",
        series + 1, series + 1, params);

    db_exec(db, sql);
    sqlite3_free(sql);
    return ++series;
}

struct sort {
    const char *scenario, *backend, *params, *kernel, *machine, *twin;
};
static const struct sort plain = {"s", "linux", "{}", "Linux 6.18", "{\"cpus\": 2}", NULL};

/* A run for each time in values, a JSON array. */
static void runs_of(sqlite3 *db, int64_t series, const struct sort *s, const char *values,
                    int minflt)
{
    char *sql = sqlite3_mprintf(
        "CREATE TEMP TABLE new AS SELECT %lld + key AS run, value AS ns FROM json_each(%Q);"
        "INSERT INTO run (run, run_id, scenario, backend, params, kernel, machine, twin, "
        "page_size, "
        "status, started_at, series, warm_up) SELECT run, printf('20261127-120000-%%016x', run), "
        "%Q, %Q, %Q, %Q, %Q, %Q, 4096, 'complete', '2026-11-27T12:00:00.000000Z', %lld, 0 FROM new;"
        "INSERT INTO step (run, step, phase, actor, action, start_ns, dur_ns, t_ns) "
        "SELECT run, 1, 'transferred', 'a', %Q, 0, ns, 0 FROM new;"
        "INSERT INTO process (run, step, nr, actor, pid, acting, minflt) "
        "SELECT run, 1, 1, 'a', 1, 1, %d FROM new;"
        "DROP TABLE new",
        next_run, values, s->scenario, s->backend, s->params, s->kernel, s->machine, s->twin,
        series, s->twin ? "fork" : "ool_send", minflt);

    next_run += 100;
    db_exec(db, sql);
    sqlite3_free(sql);
}

static void one_run(sqlite3 *db, int64_t series, const struct sort *s, int ns, int minflt)
{
    char value[32];

    snprintf(value, sizeof value, "[%d]", ns);
    runs_of(db, series, s, value, minflt);
}

static void many_runs(sqlite3 *db, int64_t series, const struct sort *s, int n,
                      double (*draw)(void), double times)
{
    char values[1000] = "";
    size_t len = 0;

    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(values + len, sizeof values - len, "%c%.0f", i ? ',' : '[',
                                times * draw());
    snprintf(values + len, sizeof values - len, "]");
    runs_of(db, series, s, values, 3);
}

static void forget(sqlite3 *db)
{
    db_exec(db, "DELETE FROM run; DELETE FROM series");
}

/* -- intervals of a median ---------------------------------------------------------------- */

/* Of DRAWS combinations of n runs how many intervals hold the true median, in percent. */
static double covered(sqlite3 *db, int n, double (*draw)(void), double truth)
{
    int64_t series;
    char sql[300];

    db_exec(db, "BEGIN");
    series = new_series(db, "");
    for (int i = 0; i < DRAWS; i++) {
        char params[40];
        struct sort s = plain;

        snprintf(params, sizeof params, "{\"draw\":%d}", i);
        s.params = params;
        many_runs(db, series, &s, n, draw, 1);
    }
    snprintf(sql, sizeof sql,
             "SELECT sum(low <= %.3f AND %.3f <= high) FROM phase_stats "
             "WHERE quantity = 'time_ns' AND phase = 'handed_over'",
             truth, truth);
    series = db_int(db, sql);
    db_exec(db, "ROLLBACK");
    return 100.0 * (double)series / DRAWS;
}

static void test_intervals__hold_the_true_median_as_often_as_they_say(void **state)
{
    static const struct {
        int n;
        double (*draw)(void);
        double truth;
    } cases[] = {{20, exponential, 1e6 + 1e6 * M_LN2},
                 {20, lognormal, 1e6},
                 {10, exponential, 1e6 + 1e6 * M_LN2}};
    struct stored *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double percent = covered(f->db, cases[i].n, cases[i].draw, cases[i].truth);

        if (percent < 92 || percent > 97)
            fail_msg("case %zu: %.1f %%", i, percent);
    }
}

static void test_intervals__need_five_values(void **state)
{
    struct stored *f = *state;
    int64_t series = new_series(f->db, "");

    for (int i = 1; i <= 4; i++)
        one_run(f->db, series, &plain, 100 * i, 0);
    assert_string_equal(db_text(f->db, "SELECT n || ' ' || q1 || ' ' || median || ' ' || q3 || ' ' "
                                       "|| ifnull(low, '-') || ' ' || ifnull(high, '-') "
                                       "FROM phase_stats WHERE quantity = 'time_ns' AND step = 1"),
                        "4 175.0 250.0 325.0 - -");
    one_run(f->db, series, &plain, 1000, 0);
    assert_string_equal(
        db_text(f->db, "SELECT n || ' ' || min || ' ' || median || ' ' || max || ' ' || low || ' ' "
                       "|| high FROM phase_stats WHERE quantity = 'time_ns' AND step = 1"),
        "5 100 300.0 1000 100 1000");
}

static void test_intervals__leave_out_what_is_not_counted(void **state)
{
    struct stored *f = *state;
    int64_t series = new_series(f->db, "");

    for (int i = 0; i < 6; i++)
        one_run(f->db, series, &plain, 100, 0);
    db_exec(f->db, "UPDATE run SET warm_up = 1 WHERE run = (SELECT min(run) FROM run);"
                   "UPDATE run SET status = 'interrupted' WHERE run = (SELECT max(run) FROM run)");
    assert_int_equal(db_int(f->db, "SELECT n FROM phase_stats WHERE quantity = 'time_ns' LIMIT 1"),
                     4);
    db_exec(f->db,
            "UPDATE process SET minflt = NULL WHERE run = (SELECT min(run) + 100 FROM run);"
            "INSERT INTO unknown (run, step, nr, observed, quantity, why) SELECT min(run) + 100, "
            "1, 1, 'a', 'minflt', 1 FROM run");
    assert_string_equal(db_text(f->db, "SELECT n || ' ' || unknown FROM phase_stats "
                                       "WHERE quantity = 'minflt' AND step = 1"),
                        "3 1");
}

/* -- two beside each other ------------------------------------------------------------------ */

static const struct sort way_a = {"s",          "linux",         "{\"way\":\"a\"}",
                                  "Linux 6.18", "{\"cpus\": 2}", NULL};
static const struct sort way_b = {"s",          "linux",         "{\"way\":\"b\"}",
                                  "Linux 6.18", "{\"cpus\": 2}", NULL};

/* Of DRAWS comparisons of n runs each how many say that b is not a, in percent. */
static double told(sqlite3 *db, int n, double (*draw)(void), double times)
{
    int64_t verdicts = 0;

    for (int i = 0; i < DRAWS / SOME; i++) {
        db_exec(db, "BEGIN");
        for (int k = 0; k < SOME; k++) {
            int64_t series = new_series(db, "\"way\": [\"a\", \"b\"]");

            many_runs(db, series, &way_a, n, draw, 1);
            many_runs(db, series, &way_b, n, draw, times);
        }
        verdicts += db_int(db, "SELECT sum(verdict IN ('more', 'less')) FROM comparisons "
                               "WHERE quantity = 'time_ns' AND lane = 'handed_over'");
        db_exec(db, "ROLLBACK");
    }
    return 100.0 * (double)verdicts / DRAWS;
}

static void test_intervals__tell_equals_apart_as_seldom_as_they_say(void **state)
{
    struct stored *f = *state;
    double percent = told(f->db, 20, lognormal, 1);

    if (percent > 6 || percent < 1)
        fail_msg("%.1f %% of equals differ", percent);
    percent = told(f->db, 20, narrow, 1.05);
    if (percent < 99)
        fail_msg("5 %% more is seen in %.1f %%", percent);
}

static const char *verdict(sqlite3 *db)
{
    return db_text(db,
                   "SELECT group_concat(differs || ' ' || a_value || ' ' || b_value || ' ' || "
                   "quantity || ' ' || a_median || ' ' || b_median || ' ' || ifnull(ratio, '-') "
                   "|| ' ' || ifnull(verdict, '-'), '; ') FROM comparisons "
                   "WHERE lane = 'handed_over' AND quantity IN ('time_ns', 'minflt')");
}

static void test_intervals__of_a_comparison_say_no_more_than_the_runs(void **state)
{
    struct stored *f = *state;
    int64_t series = new_series(f->db, "\"way\": [\"b\", \"a\"]");

    for (int i = 0; i < 4; i++) {
        one_run(f->db, series, &way_b, 100, 0);
        one_run(f->db, series, &way_a, 200, 7);
    }
    assert_string_equal(verdict(f->db),
                        "way b a minflt 0.0 7.0 - -; way b a time_ns 100.0 200.0 2.0 -");
    one_run(f->db, series, &way_b, 100, 0);
    one_run(f->db, series, &way_a, 200, 7);
    assert_string_equal(verdict(f->db),
                        "way b a minflt 0.0 7.0 - more; way b a time_ns 100.0 200.0 2.0 more");
    db_exec(f->db, "UPDATE process SET minflt = 7; UPDATE step SET dur_ns = 50 WHERE run IN "
                   "(SELECT run FROM run WHERE params LIKE '%\"a\"%' ORDER BY run LIMIT 3)");
    assert_string_equal(verdict(f->db), "way b a minflt 7.0 7.0 1.0 same; "
                                        "way b a time_ns 100.0 50.0 0.5 no difference seen");
}

/* Each makes of a pair one that is none. */
static void test_intervals__compare_what_differs_in_one_thing_alone(void **state)
{
    static const struct sort fork = {"f",          "linux",         "{\"pages\":1}",
                                     "Linux 6.18", "{\"cpus\": 2}", "o"};
    static const struct sort ool = {
        "o", "linux", "{\"memory\":\"ordinary\",\"pages\":1}", "Linux 6.18", "{\"cpus\": 2}", NULL};
    static const struct {
        const char *what, *sql, *pairs;
    } cases[] = {
        {"a pair", "SELECT 1", "scenario f o"},
        {"another kernel", "UPDATE run SET kernel = 'Linux 6.1' WHERE scenario = 'o'", NULL},
        {"another machine", "UPDATE run SET machine = '{\"cpus\": 4}' WHERE scenario = 'o'", NULL},
        {"other pages", "UPDATE run SET page_size = 65536 WHERE scenario = 'o'", NULL},
        {"another size", "UPDATE run SET params = '{\"pages\":2}' WHERE scenario = 'o'", NULL},
        {"other bytes",
         "INSERT INTO region (run, step, nr, observed, region, runs_cut, pages) "
         "SELECT run, 1, 1, 'a', 'r', 0, 2 FROM run WHERE scenario = 'o'",
         NULL},
        {"no twin", "UPDATE run SET twin = NULL", NULL},
        {"another backend", "UPDATE run SET backend = 'gnumach' WHERE scenario = 'o'", NULL},
        {"two parameters",
         "UPDATE run SET scenario = 'f', params = '{\"pages\":1,\"x\":\"1\",\"y\":\"1\"}';"
         "UPDATE run SET params = '{\"pages\":1,\"x\":\"2\",\"y\":\"2\"}' WHERE twin IS NULL",
         NULL},
        {"a backend, whose times are an emulator's",
         "UPDATE run SET scenario = 'f', params = '{}';"
         "UPDATE run SET backend = 'gnumach', machine = '{\"accelerator\": \"tcg\"}' WHERE twin IS "
         "NULL",
         NULL},
    };
    struct stored *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t series = new_series(f->db, "");

        many_runs(f->db, series, &fork, 5, narrow, 1);
        many_runs(f->db, series, &ool, 5, narrow, 1);
        db_exec(f->db, cases[i].sql);
        if (strcmp(db_text(f->db,
                           "SELECT differs || ' ' || a_value || ' ' || b_value FROM comparisons "
                           "WHERE quantity = 'time_ns' AND lane = 'handed_over'"),
                   cases[i].pairs ? cases[i].pairs : "NULL") != 0)
            fail_msg("%s: %s", cases[i].what, verdict(f->db));
        forget(f->db);
    }
}

/* An upgraded kernel's fork beside the old one's message said "46.2 times as long by fork". */
static void test_intervals__single_runs_of_two_kernels_are_no_pair(void **state)
{
    struct stored *f = *state;
    const char *pairs = "SELECT count(*) FROM fork_ool_pairs";
    struct sort fork = {"f", "linux", "{\"pages\":1}", "Linux 6.1", "{\"cpus\": 2}", "o"};
    struct sort ool = {"o", "linux", "{\"pages\":1}", "Linux 6.18", "{\"cpus\": 2}", NULL};
    int64_t series = new_series(f->db, "");

    one_run(f->db, series, &fork, 46200, 1);
    one_run(f->db, series, &ool, 1000, 1);
    db_exec(f->db, "INSERT INTO region (run, step, nr, observed, region, runs_cut, pages) "
                   "SELECT run, 1, 1, 'a', 'r', 0, 2 FROM run");
    assert_int_equal(db_int(f->db, pairs), 0);
    db_exec(f->db, "UPDATE run SET kernel = 'Linux 6.18'");
    assert_int_equal(db_int(f->db, pairs), 1);
    db_exec(f->db, "UPDATE run SET machine = '{\"cpus\": 8}' WHERE scenario = 'f'");
    assert_int_equal(db_int(f->db, pairs), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, stored_tear_down)
        T(test_intervals__hold_the_true_median_as_often_as_they_say),
        T(test_intervals__need_five_values),
        T(test_intervals__leave_out_what_is_not_counted),
        T(test_intervals__tell_equals_apart_as_seldom_as_they_say),
        T(test_intervals__of_a_comparison_say_no_more_than_the_runs),
        T(test_intervals__compare_what_differs_in_one_thing_alone),
        T(test_intervals__single_runs_of_two_kernels_are_no_pair),
#undef T
    };

    return cmocka_run_group_tests_name("intervals", tests, NULL, NULL);
}
