/* The runner against canned records: what it stores, how it judges, how it ends. */
#include "lab/backends.h"
#include "lab/run/exits.h"
#include "lab/run/runner.h"
#include "reports/report.h"
#include "tests/support/replay.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const char scenario[] =
    "{ \"scenario\": \"two-steps\", \"language\": 1, \"title\": \"Two steps\", \"question\": "
    "\"?\",\n"
    "  \"no_twin\": \"a test\", \"actors\": [\"parent\"], \"steps\": [\n"
    "  { \"phase\": \"mapped\", \"actor\": \"parent\",\n"
    "    \"map\": { \"region\": \"r\", \"pages\": 4, \"kind\": \"anonymous\" },\n"
    "    \"expect\": { \"parent.r\": { \"resident\": 0 } },\n"
    "    \"answer\": \"{{parent} had {parent.r.resident},\" },\n"
    "  { \"phase\": \"populated\", \"actor\": \"parent\",\n"
    "    \"write\": { \"region\": \"r\", \"pages\": \"all\", \"stamp\": \"A\" },\n"
    "    \"expect\": { \"parent.r\": { \"resident\": 4 } },\n"
    "    \"answer\": \"then {parent.r.resident} and {parent.r.debt} of {parent.r.cow}.\" } ] }\n";

static const struct ability *const abilities[] = {&ability_replay, NULL};

struct fixture {
    char dir[64], path[128];
    struct plan *plan;
    struct store *store;
    struct replay replay;
    volatile int stop;
    FILE *out, *log;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;

    strcpy(f->dir, "/tmp/test_runner-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/t.db", f->dir);
    if (plan_parse(&f->plan, scenario, strlen(scenario), "t", abilities, "replay", 4096, NULL, 0,
                   NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(store_open(&f->store, f->path, STORE_CREATE, &e), 0);
    f->out = tmpfile();
    f->log = tmpfile();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    plan_free(f->plan);
    unlink(f->path);
    rmdir(f->dir);
    fclose(f->out);
    fclose(f->log);
    free(f);
    return 0;
}

static int64_t number(struct fixture *f, const char *sql)
{
    sqlite3_stmt *q;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(store_handle(f->store), sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

static int run(struct fixture *f)
{
    struct runner_options opt = {.stop = &f->stop, .out = f->out, .log = f->log};
    const struct plan *plans[] = {f->plan};

    replay_use(&f->replay);
    return run_plans(&backend_replay, plans, 1, f->store, &opt);
}

static int resident(struct step_result *out, struct value pages)
{
    struct obs_region *r = observation_add_region(&out->obs, "parent", "r", NULL);

    r->q[RQ_PAGES] = value_known(4);
    r->q[RQ_RESIDENT] = pages;
    observation_add_process(&out->obs, "parent")->q[PQ_RSS] = value_known(1000);
    return 0;
}

static int good_step(const struct step *step, struct step_result *out, struct err *e)
{
    (void)e;
    return resident(out, value_known(step->number == 1 ? 0 : 4));
}

static void test_runner__all_steps_are_stored_and_expectations_hold(void **state)
{
    struct fixture *f = *state;

    f->replay.step = good_step;
    assert_int_equal(run(f), EXIT_DONE);
    assert_int_equal(f->replay.ended, 1);
    assert_int_equal(number(f, "SELECT count(*) FROM timeline"), 2);
    assert_int_equal(number(f, "SELECT count(*) FROM expectations WHERE result = 'held'"), 2);
    assert_int_equal(number(f, "SELECT count(*) FROM runs WHERE status = 'complete'"), 1);
}

static int hidden_step(const struct step *step, struct step_result *out, struct err *e)
{
    good_step(step, out, e);
    out->obs.regions[0].q[RQ_RESIDENT] = value_unknown(WHY_GONE);
    out->obs.regions[0].q[RQ_DEBT] = value_unknown(WHY_PERMISSION);
    out->obs.regions[0].q[RQ_COW] = value_inferred(2);
    return 0;
}

static void test_runner__answers_are_stored_as_they_were_seen(void **state)
{
    struct fixture *f = *state;

    f->replay.step = good_step;
    run(f);
    assert_int_equal(number(f, "SELECT answer = '{parent} had 0 pages, then 4 pages and does not "
                               "apply of does not apply.' FROM runs"),
                     1);
    f->replay.step = hidden_step;
    run(f);
    /* The reason that was just told is not told again. */
    assert_int_equal(number(f, "SELECT count(*) FROM runs WHERE answer = '{parent} had unknown "
                               "(the process was gone), then unknown and unknown (permission "
                               "denied) of ~2 pages.'"),
                     1);
    assert_int_equal(
        number(f, "SELECT count(*) FROM steps WHERE step = 1 AND answer LIKE '{parent} had %,'"),
        2);
}

static int low_step(const struct step *step, struct step_result *out, struct err *e)
{
    (void)step;
    (void)e;
    return resident(out, value_known(0));
}

static void test_runner__a_failed_expectation_exits_1(void **state)
{
    struct fixture *f = *state;

    f->replay.step = low_step;
    assert_int_equal(run(f), EXIT_EXPECTATION);
    assert_int_equal(number(f, "SELECT count(*) FROM expectations WHERE result = 'failed'"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM runs WHERE status = 'complete'"), 1);
}

static int blind_step(const struct step *step, struct step_result *out, struct err *e)
{
    (void)step;
    (void)e;
    return resident(out, value_unknown(WHY_PERMISSION));
}

static void test_runner__an_unknown_value_is_not_checked_and_never_zero(void **state)
{
    struct fixture *f = *state;

    f->replay.step = blind_step;
    assert_int_equal(run(f), EXIT_DONE);
    assert_int_equal(number(f, "SELECT count(*) FROM expectations WHERE result = 'not checked'"),
                     2);
    assert_int_equal(number(f, "SELECT count(*) FROM timeline WHERE resident IS NULL"), 2);
    assert_int_equal(number(f, "SELECT count(*) FROM unknowns WHERE quantity = 'resident'"), 2);
}

static int second_fails(const struct step *step, struct step_result *out, struct err *e)
{
    if (step->number == 2)
        return err_set(e, ECHILD, "actor 'parent' was killed");
    return resident(out, value_known(0));
}

static void test_runner__a_failing_step_keeps_the_finished_ones(void **state)
{
    struct fixture *f = *state;

    f->replay.step = second_fails;
    assert_int_equal(run(f), EXIT_RUNNING);
    assert_int_equal(f->replay.ended, 1);
    assert_int_equal(number(f, "SELECT count(*) FROM timeline"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM runs WHERE status = 'failed'"), 1);
}

static int second_interrupted(const struct step *step, struct step_result *out, struct err *e)
{
    if (step->number == 2)
        return err_set(e, EINTR, "interrupted");
    return resident(out, value_known(0));
}

static void test_runner__an_interrupt_exits_130_and_marks_the_run(void **state)
{
    struct fixture *f = *state;

    f->replay.step = second_interrupted;
    assert_int_equal(run(f), EXIT_INTERRUPTED);
    assert_int_equal(number(f, "SELECT count(*) FROM runs WHERE status = 'interrupted'"), 1);
}

static int wrong_stamp(const struct step *step, struct step_result *out, struct err *e)
{
    (void)e;
    if (step->number == 2)
        out->stamps =
            (struct stamp_result){.checked = 4, .wrong = 1, .first_wrong = 2, .found = 'B'};
    return resident(out, value_known(step->number == 1 ? 0 : 4));
}

static void test_runner__a_wrong_stamp_is_a_failed_expectation(void **state)
{
    struct fixture *f = *state;

    f->replay.step = wrong_stamp;
    assert_int_equal(run(f), EXIT_EXPECTATION);
    assert_int_equal(number(f, "SELECT count(*) FROM expectations WHERE key = 'stamp' AND "
                               "result = 'failed' AND measured LIKE '%B%'"),
                     1);
}

/* -- what a step costs, however many there are ------------------------------------------- */

#define REGIONS 6

/* A scenario of so many steps takes the place of the fixture's. */
static void plan_steps(struct fixture *f, int n)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct err e;

    fprintf(out,
            "{ \"scenario\": \"long\", \"language\": 1, \"title\": \"Long\", \"question\": \"?\","
            "\"no_twin\": \"a test\", \"actors\": [\"parent\"], \"steps\": ["
            "{ \"phase\": \"mapped\", \"actor\": \"parent\","
            "  \"map\": { \"region\": \"r\", \"pages\": 4, \"kind\": \"anonymous\" } }");
    for (int i = 1; i < n; i++)
        fprintf(out, ",{ \"phase\": \"populated\", \"actor\": \"parent\","
                     "  \"write\": { \"region\": \"r\", \"pages\": \"all\", \"stamp\": \"A\" } }");
    fprintf(out, "] }");
    fclose(out);
    plan_free(f->plan);
    if (plan_parse(&f->plan, text, len, "t", abilities, "replay", 4096, NULL, 0, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    free(text);
}

/* Every kind of value and row that is printed: one that is unknown, concluded, of no use; pages;
 * and a region that is there at every third step only. */
static int full_step(const struct step *step, struct step_result *out, struct err *e)
{
    (void)e;
    for (int i = 0; i < REGIONS; i++) {
        char name[8];
        struct obs_region *r;

        snprintf(name, sizeof name, i ? "r%d" : "r", i);
        if (i == 1 && step->number % 3 != 1)
            continue;
        r = observation_add_region(&out->obs, "parent", name, i == 2 ? "CASE" : NULL);
        r->q[RQ_PAGES] = value_known(4);
        r->q[RQ_RESIDENT] = value_known(i == 3 ? step->number : 4);
        r->q[RQ_MAPPED] = i == 4 ? value_unknown(WHY_PERMISSION) : value_known(4);
        r->q[RQ_EXCLUSIVE] = value_known(3);
        r->q[RQ_NONE] = value_known(1);
        r->q[RQ_SHARE_MODE] = value_known(SM_PRIVATE);
        r->q[RQ_SHARE_MODE].inferred = i == 5;
        if (i == 0 && step->number > 1) {
            r->q[RQ_WRITE_OUTCOME] = value_known(WO_COPIED);
            r->q[RQ_COPIED] = value_known(4);
        }
        obs_region_add_run(r, &(struct page_run){.count = 3, .state = PS_EXCLUSIVE, .frame = 7});
        obs_region_add_run(r, &(struct page_run){.first = 3, .count = 1, .state = PS_NONE});
    }
    observation_add_process(&out->obs, "parent")->q[PQ_RSS] = value_known(1000 + step->number);
    out->dur_ns = (uint64_t)step->number * 1000;
    return 0;
}

static char *shown(struct fixture *f)
{
    char *text, run_id[40];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct err e;

    if (store_find_run(f->store, "latest", run_id, &e) ||
        report_heading(f->store, run_id, false, out, &e) ||
        report_timeline(f->store, run_id, false, out, &e) ||
        report_summary(f->store, run_id, false, out, &e))
        fail_msg("%s", e.msg);
    fclose(out);
    return text;
}

static void test_runner__what_is_shown_later_is_what_was_printed(void **state)
{
    struct fixture *f = *state;
    char printed[64 * 1024] = "", *later;

    plan_steps(f, 12);
    f->replay.step = full_step;
    assert_int_equal(run(f), EXIT_DONE);
    rewind(f->out);
    assert_true(fread(printed, 1, sizeof printed - 1, f->out) > 0);
    later = shown(f);
    assert_string_equal(printed, later);
    assert_non_null(strstr(printed, "4 regions as before")); /* r1 too, of three steps ago */
    assert_non_null(strstr(printed, "?"));
    assert_non_null(strstr(printed, "~SM_PRIVATE"));
    free(later);
}

/* SQLite asks it whenever it compiles a statement. */
static int count_compiled(void *count, int action, const char *a, const char *b, const char *c,
                          const char *d)
{
    (void)action, (void)a, (void)b, (void)c, (void)d;
    ++*(size_t *)count;
    return SQLITE_OK;
}

static size_t compiled(struct fixture *f, int steps)
{
    size_t count = 0;

    plan_steps(f, steps);
    sqlite3_set_authorizer(store_handle(f->store), count_compiled, &count);
    assert_int_equal(run(f), EXIT_DONE);
    sqlite3_set_authorizer(store_handle(f->store), NULL, NULL);
    return count;
}

static void test_runner__statements_are_compiled_once_however_many_steps(void **state)
{
    struct fixture *f = *state;
    size_t few;

    f->replay.step = full_step;
    compiled(f, 2); /* a new file's schema is read once */
    few = compiled(f, 3);
    assert_true(few > 0);
    assert_int_equal(compiled(f, 60), few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runner__all_steps_are_stored_and_expectations_hold,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner__answers_are_stored_as_they_were_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_runner__a_failed_expectation_exits_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner__an_unknown_value_is_not_checked_and_never_zero,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner__a_failing_step_keeps_the_finished_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_runner__an_interrupt_exits_130_and_marks_the_run,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner__a_wrong_stamp_is_a_failed_expectation, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_runner__what_is_shown_later_is_what_was_printed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_runner__statements_are_compiled_once_however_many_steps, setup, teardown),
    };

    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
