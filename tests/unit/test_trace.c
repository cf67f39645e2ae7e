/* Traces: what ui.perfetto.dev needs of the JSON trace event format, and the numbers of the run. */
#include "reports/trace.h"

#include "tests/support/db.h"
#include "tests/support/runs.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct stored in;
    char fork[40], nobody[40];
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct support_options three = {.pages = 3};
    struct support_options nobody = {.pages = 3, .unprivileged = true, .scenario = "fork-nobody"};

    *state = f;
    if (support_fork_write(f->in.store, &three, f->fork, &f->e) ||
        support_fork_write(f->in.store, &nobody, f->nobody, &f->e)) {
        fprintf(stderr, "setup: %s\n", f->e.msg);
        return -1;
    }
    return 0;
}

static cJSON *trace_of(struct fixture *f, const char *run)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cJSON *json;

    if (report_trace(f->in.store, run, out, &f->e) < 0)
        fail_msg("%s", f->e.msg);
    fclose(out);
    json = cJSON_ParseWithOpts(text, NULL, 1);
    if (!json)
        fail_msg("not JSON: %.300s", text);
    free(text);
    return json;
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

    if (!cJSON_IsNumber(n))
        fail_msg("an event without number '%s'", key);
    return n->valuedouble;
}

static const char *text(const cJSON *o, const char *key)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(o, key);

    if (!cJSON_IsString(s))
        fail_msg("an event without text '%s'", key);
    return s->valuestring;
}

/* Slices of one track either follow or hold one another: the importer drops the others. */
static void expect_nested(const cJSON *events)
{
    const cJSON *a, *b;

    cJSON_ArrayForEach (a, events) {
        if (strcmp(text(a, "ph"), "X") != 0)
            continue;
        for (b = a->next; b; b = b->next) {
            double a0 = number(a, "ts"), a1, b0, b1;

            if (strcmp(text(b, "ph"), "X") != 0 || number(a, "pid") != number(b, "pid"))
                continue;
            a1 = a0 + number(a, "dur");
            b0 = number(b, "ts");
            b1 = b0 + number(b, "dur");
            if (!(a1 <= b0 + 1e-6 || b1 <= a0 + 1e-6 || (a0 <= b0 + 1e-6 && b1 <= a1 + 1e-6) ||
                  (b0 <= a0 + 1e-6 && a1 <= b1 + 1e-6)))
                fail_msg("'%s' and '%s' overlap", text(a, "name"), text(b, "name"));
        }
    }
}

static void test_trace__events_are_what_the_format_wants(void **state)
{
    struct fixture *f = *state;
    cJSON *json = trace_of(f, f->fork), *e;
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(json, "traceEvents");
    int slices = 0, counters = 0, names = 0;

    cJSON_ArrayForEach (e, events) {
        const char *ph = text(e, "ph");

        assert_true(strlen(text(e, "name")) > 0);
        assert_true(number(e, "pid") >= 1);
        if (strcmp(ph, "M") == 0) {
            names++;
            continue;
        }
        assert_true(number(e, "ts") >= 0);
        if (strcmp(ph, "X") == 0) {
            assert_true(number(e, "dur") >= 0);
            slices++;
        } else if (strcmp(ph, "C") == 0) {
            assert_true(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(e, "args")) > 0);
            counters++;
        }
    }
    assert_true(slices > 10 && counters > 10 && names >= 4);
    expect_nested(events);
    cJSON_Delete(json);
}

/* The run holds phases, phases hold steps, steps hold the action and the look. */
static void test_trace__steps_are_nested_by_phase(void **state)
{
    struct fixture *f = *state;
    cJSON *json = trace_of(f, f->fork), *e;
    const char *const wanted[] = {"populated", "transferred", "action", "look"};
    bool seen[4] = {false};

    cJSON_ArrayForEach (e, cJSON_GetObjectItemCaseSensitive(json, "traceEvents"))
        for (int i = 0; i < 4; i++)
            seen[i] |= strcmp(text(e, "ph"), "X") == 0 && strcmp(text(e, "name"), wanted[i]) == 0;
    for (int i = 0; i < 4; i++)
        if (!seen[i])
            fail_msg("no slice '%s'", wanted[i]);
    cJSON_Delete(json);
}

static int64_t one(struct fixture *f, const char *sql, const char *run)
{
    sqlite3_stmt *st;
    int64_t n = -1;

    sqlite3_prepare_v2(store_handle(f->in.store), sql, -1, &st, NULL);
    sqlite3_bind_text(st, 1, run, -1, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void test_trace__counters_are_the_views_numbers(void **state)
{
    struct fixture *f = *state;
    cJSON *json = trace_of(f, f->fork), *e;
    double sum = 0;

    cJSON_ArrayForEach (e, cJSON_GetObjectItemCaseSensitive(json, "traceEvents"))
        if (strcmp(text(e, "ph"), "C") == 0 && strcmp(text(e, "name"), "rss_kb") == 0)
            sum += number(cJSON_GetObjectItemCaseSensitive(e, "args"), "value");
    assert_true(sum > 0);
    assert_int_equal((int64_t)sum,
                     one(f, "SELECT sum(rss_kb) FROM footprint WHERE run_id = ?", f->fork));
    cJSON_Delete(json);
}

/* A broken export would draw what nobody measured at zero. */
static void test_trace__unknown_values_have_no_counter(void **state)
{
    struct fixture *f = *state;
    cJSON *json = trace_of(f, f->nobody), *e;
    int64_t known =
        one(f, "SELECT count(distinct_kb) FROM footprint_vs_system WHERE run_id = ?", f->nobody);
    int drawn = 0;

    cJSON_ArrayForEach (e, cJSON_GetObjectItemCaseSensitive(json, "traceEvents"))
        drawn += strcmp(text(e, "ph"), "C") == 0 && strcmp(text(e, "name"), "distinct_kb") == 0;
    assert_int_equal(drawn, known);
    cJSON_Delete(json);
}

static void test_trace__a_part_is_not_a_document(void **state)
{
    struct fixture *f = *state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    db_exec(f->in.db, "CREATE TEMP VIEW region AS SELECT * FROM main.region WHERE "
                      "iif(step < 4, 1, abs(-9223372036854775807 - 1))");
    assert_true(report_trace(f->in.store, f->fork, out, &f->e) < 0);
    fclose(out);
    assert_true(size > 0);
    assert_null(cJSON_ParseWithOpts(text, NULL, 1));
    free(text);
    db_exec(f->in.db, "DROP VIEW temp.region");
}

static void test_trace__no_such_run_is_an_error(void **state)
{
    struct fixture *f = *state;
    FILE *out = fopen("/dev/null", "w");

    assert_true(report_trace(f->in.store, "20200101-000000-0000000000000001", out, &f->e) < 0);
    assert_non_null(strstr(f->e.msg, "no run"));
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace__events_are_what_the_format_wants),
        cmocka_unit_test(test_trace__steps_are_nested_by_phase),
        cmocka_unit_test(test_trace__counters_are_the_views_numbers),
        cmocka_unit_test(test_trace__unknown_values_have_no_counter),
        cmocka_unit_test(test_trace__a_part_is_not_a_document),
        cmocka_unit_test(test_trace__no_such_run_is_an_error),
    };

    return cmocka_run_group_tests_name("trace", tests, setup, stored_tear_down);
}
