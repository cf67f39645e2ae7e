/* The canned queries of db/queries/: each is one statement that the sqlite3 shell runs from its
 * standard input, says in its first line what it answers, and answers it. */
#include "db/embedded.h"
#include "tests/support/db.h"
#include "tests/support/rewrite.h"
#include "tests/support/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define QUERIES "db/queries/"

struct fixture {
    struct stored in;
};

/* Runs of every kind; the latest fork-write is one without privilege, the one before failed. */
static int set_up(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct support_options failing = {.failing = true, .scenario = "fork-write-many", .pages = 300};
    struct support_options nobody = {.unprivileged = true, .scenario = "fork-zero"};
    char run[40];
    struct err e;

    if (support_fork_write(f->in.store, NULL, run, &e) ||
        support_ool_write(f->in.store, NULL, run, &e) ||
        support_ool_options(f->in.store, NULL, run, &e) ||
        support_fork_write(f->in.store, &failing, run, &e) ||
        support_fork_write(f->in.store, &nobody, run, &e))
        fail_msg("%s", e.msg);
    db_exec(f->in.db,
            "INSERT INTO handover SELECT run, step, iif(step = 3, 'given', 'taken'), 'pipe', "
            "'sender', 'receiver', 'r', NULL, 4096, iif(step = 3, NULL, 0), "
            "iif(step = 3, NULL, 'both') FROM step JOIN run USING (run) "
            "WHERE scenario = 'ool-write' AND step IN (3, 4)");
    *state = f;
    return 0;
}

static const struct embedded_text *find_query(const char *name)
{
    for (const struct embedded_text *t = embedded_sql; t->path; t++)
        if (strncmp(t->path, QUERIES, strlen(QUERIES)) == 0 &&
            strncmp(t->path + strlen(QUERIES), name, strlen(name)) == 0 &&
            strcmp(t->path + strlen(QUERIES) + strlen(name), ".sql") == 0)
            return t;
    fail_msg("no query %s", name);
    return NULL;
}

/* Without the shell's own lines, which begin with a dot. */
static char *statement_of(const struct embedded_text *t)
{
    char *copy = strdup(t->text), *out = calloc(1, t->len + 1), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (line[0] == '.')
            continue;
        strcat(out, line);
        strcat(out, "\n");
    }
    free(copy);
    return out;
}

/* All rows, "a|b\nc|d\n". The caller frees. */
static char *answer(sqlite3 *db, const char *name)
{
    char *sql = statement_of(find_query(name)), *out = NULL;
    const char *tail = NULL;
    size_t size = 0;
    sqlite3_stmt *st = NULL;
    FILE *f = open_memstream(&out, &size);

    if (sqlite3_prepare_v2(db, sql, -1, &st, &tail) != SQLITE_OK)
        fail_msg("%s: %s", name, sqlite3_errmsg(db));
    assert_int_equal(strspn(tail, " \n"), strlen(tail)); /* one statement */
    assert_true(sqlite3_stmt_readonly(st));
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *text = (const char *)sqlite3_column_text(st, i);

            fprintf(f, "%s%s", i ? "|" : "", text ? text : "");
        }
        fputc('\n', f);
    }
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    fclose(f);
    free(sql);
    return out;
}

static void expect_line(void **state, const char *name, const char *line)
{
    struct fixture *f = *state;
    char *text = answer(store_handle(f->in.store), name), *with_end = NULL, *found;

    assert_true(asprintf(&with_end, "%s\n", line) > 0);
    found = strstr(text, with_end);
    if (!found || (found != text && found[-1] != '\n'))
        fail_msg("%s has no line '%s' but:\n%s", name, line, text);
    free(with_end);
    free(text);
}

static void test_queries__each_says_what_it_answers_and_runs(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    for (const struct embedded_text *t = embedded_sql; t->path; t++) {
        char name[64], *text;

        if (strncmp(t->path, QUERIES, strlen(QUERIES)) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(strlen(t->path) - strlen(QUERIES) - 4),
                 t->path + strlen(QUERIES));
        assert_memory_equal(t->text, "-- ", 3);
        assert_true(strcspn(t->text, "\n") > 20);
        text = answer(store_handle(f->in.store), name);
        free(text);
        n++;
    }
    assert_true(n >= 10);
}

/* As the README says: sqlite3 FILE < query.sql, with nothing on standard error. */
static void test_queries__each_runs_in_the_sqlite3_shell(void **state)
{
    struct fixture *f = *state;

    if (system("command -v sqlite3 >/dev/null 2>&1") != 0) {
        print_message("# needs the sqlite3 shell\n");
        skip();
    }
    for (const struct embedded_text *t = embedded_sql; t->path; t++) {
        char *command = NULL, line[256] = "";
        FILE *p;

        if (strncmp(t->path, QUERIES, strlen(QUERIES)) != 0)
            continue;
        assert_true(asprintf(&command, "sqlite3 -bail '%s' < '%s/%s' 2>&1 >/dev/null",
                             scratch_path(f->in.dir, "t.db"), getenv("TOP") ? getenv("TOP") : ".",
                             t->path) > 0);
        p = popen(command, "re");
        assert_non_null(p);
        if (fgets(line, sizeof line, p))
            fail_msg("%s: %s", t->path, line);
        assert_int_equal(pclose(p), 0);
        free(command);
    }
}

static void test_queries__who_copied_what(void **state)
{
    expect_line(state, "copies", "fork-write|linux|4|receiver_wrote|child|r||copied|0|1|0|0|4|0");
    expect_line(state, "copies", "fork-write|linux|6|sender_wrote|parent|r||reused|0|0|1|0|0|0");
    expect_line(state, "copies", "fork-zero|linux|4|receiver_wrote|child|r|||0|||0||0");
}

static void test_queries__debt_and_what_became_of_it(void **state)
{
    expect_line(state, "debt", "fork-write-many|linux|5|settled|parent|r|300|1200|2|6: reused");
    /* Unprivileged: not left out as if there were none. */
    expect_line(state, "debt", "fork-zero|linux|3|transferred|parent|r|||2|");
}

static void test_queries__what_killing_would_free(void **state)
{
    expect_line(state, "killing", "fork-write|linux|7|parent|304|204|40|100|67.1");
}

static void test_queries__from_rss_to_the_system(void **state)
{
    expect_line(state, "rss-to-system",
                "fork-write|linux|3|transferred|608|-104|504|-100|0|0|80|12|496|512");
    /* Unprivileged: only the sum of RSS and the page tables are known. */
    expect_line(state, "rss-to-system", "fork-zero|linux|3|transferred|608||||0|0|80|||");
}

static void test_queries__who_shares_with_whom(void **state)
{
    expect_line(state, "sharing", "fork-write|linux|3|transferred|parent|child|1|4|26|104");
}

static void test_queries__published_differences_with_their_reason(void **state)
{
    struct fixture *f = *state;
    char *text = answer(store_handle(f->in.store), "published-differ");

    assert_string_equal(text, "");
    free(text);
    db_exec(store_handle(f->in.store),
            "UPDATE region SET ref_count = 2 WHERE step = 5 AND observed = "
            "'parent'; UPDATE run SET backend = 'gnumach' WHERE scenario = "
            "'fork-write'");
    expect_line(
        state, "published-differ",
        "fork-write|settle||gnumach|parent|ref_count|1|2|exact|the child's shadow still refers to "
        "the parent's object: GNU Mach has not collapsed the chain");
}

/* What was published is explained by what XNU did: where another kernel differs, that is no reason.
 */
static void test_queries__other_kernels_have_their_own_reasons(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *st;

    assert_int_equal(
        sqlite3_prepare_v2(store_handle(f->in.store),
                           "SELECT group_concat(DISTINCT v.scenario || ' ' || v.quantity) "
                           "FROM published_value AS v WHERE v.scenario LIKE 'ool-%' AND NOT EXISTS "
                           "(SELECT 1 FROM published_difference AS d WHERE d.backend = 'gnumach' "
                           "AND d.scenario = v.scenario AND v.case_name LIKE d.case_like "
                           "AND v.quantity LIKE d.quantity_like "
                           "AND (d.observed IS NULL OR d.observed = v.observed))",
                           -1, &st, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    if (sqlite3_column_type(st, 0) != SQLITE_NULL)
        fail_msg("no reason on gnumach: %s", sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
}

static void test_queries__what_is_unknown(void **state)
{
    expect_line(
        state, "unknown",
        "fork-zero|linux|no memory cgroup of the run's own could be made|run as root, or in "
        "a delegated cgroup|14|system_kb, system_tolerance_kb");
}

static void test_queries__what_probing_cost(void **state)
{
    expect_line(state, "probe-cost", "fork-write|linux|smaps|7|12|28|0.28|40.0|0.3|0");
}

static void test_queries__fork_latency_by_size(void **state)
{
    expect_line(state, "fork-latency", "linux|1|1|20.0|20.0|20.0");
}

static void test_queries__at_risk(void **state)
{
    expect_line(state, "at-risk",
                "fork-write-many|linux|3|transferred|child|300|1200|1500|2998300");
    expect_line(state, "at-risk", "fork-zero|linux|3|transferred|child|||304|2999496");
}

static void test_queries__failures_and_disagreements(void **state)
{
    struct fixture *f = *state;
    char *text = answer(store_handle(f->in.store), "checks");

    assert_non_null(strstr(text, "|fork-write-many|linux|2|pss_distinct|||differs|2500|1500|4|"));
    free(text);
    expect_line(
        state, "expectations",
        "fork-write-many|linux|2|populated|parent.r|share_mode|SM_PRIVATE|SM_SHARED|failed|");
    expect_line(
        state, "expectations",
        "fork-zero|linux|5|settled|parent.r|debt|1||not checked|this kernel does not tell an "
        "exclusive page from one in debt");
}

static void test_queries__messages(void **state)
{
    expect_line(state, "transfers",
                "ool-write|linux|4|sender|receiver|r||ool|virtual|virtual|shared|0|4096|ordinary "
                "memory, one whole object: shared copy-on-write");
    expect_line(state, "in-transit", "ool-write|linux|3|in_transit|0|4|0|600|496");
    expect_line(state, "fork-vs-ool",
                "fork-write|ool-write|linux|4096|sender_wrote|20.7|20.7|1|1|0|1|"
                "2|2|2|2|500|504");
}

/* What a statement of a report does with one run: virtual machine instructions. */
static int cost_of(sqlite3 *db, const struct embedded_text *t, const char *run)
{
    sqlite3_stmt *st = NULL;
    int cost;

    assert_int_equal(sqlite3_prepare_v2(db, t->text, -1, &st, NULL), SQLITE_OK);
    sqlite3_bind_text(st, sqlite3_bind_parameter_index(st, ":run_id"), run, -1, SQLITE_STATIC);
    while (sqlite3_step(st) == SQLITE_ROW)
        ;
    cost = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    return cost;
}

/* However many others there are: a report asks each of them for every one of its runs. What asks
 * watch_lost or watch_costs finds them worked out (reports/markdown.c). */
static void test_queries__a_report_on_one_run_reads_that_run_only(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = store_handle(f->in.store);
    char *run =
             strdup(db_text(db, "SELECT run_id FROM latest_runs WHERE scenario = 'ool-options'")),
         other[40];
    struct support_options nobody = {.unprivileged = true};
    int before[100] = {0}, n = 0;
    struct err e;

    for (int round = 0; round < 2; round++) {
        n = 0;
        for (const struct embedded_text *t = embedded_sql; t->path; t++) {
            bool asked = strncmp(t->path, "db/report/", 10) == 0 && strstr(t->text, ":run_id") &&
                         !strstr(t->text, "watch_lost") && !strstr(t->text, "watch_costs");
            int cost = asked ? cost_of(db, t, run) : 0;

            if (round == 0)
                before[n] = cost;
            else if (cost > before[n] + before[n] / 4)
                fail_msg("%s: %d instructions, %d with more runs", t->path, before[n], cost);
            n += cost > 0;
        }
        for (int i = 0; i < 20 && round == 0; i++)
            if (support_ool_options(f->in.store, NULL, other, &e) ||
                support_fork_write(f->in.store, &nobody, other, &e))
                fail_msg("%s", e.msg);
    }
    assert_true(n > 20);
    free(run);
}

/* What db/README.md tells people to ask is answered. */
static void test_queries__those_of_the_readme_have_answers(void **state)
{
    struct fixture *f = *state;
    static const char begin[] = "\n```sql\n";
    char *text = tree_text("db/README.md");
    int n = 0;

    db_exec(store_handle(f->in.store),
            "INSERT INTO series VALUES (1, 'series-20261127-120000-0000000000000001', "
            "'2026-11-27T12:00:00.000000Z', 1, 1, 2, '{\"scenarios\": [], \"backends\": [], "
            "\"params\": {}}'); UPDATE run SET series = 1, warm_up = 0");
    for (char *p = text; (p = strstr(p, begin)); n++) {
        sqlite3_stmt *st = NULL;
        char *end = strstr(p += strlen(begin), "\n```");

        if (sqlite3_prepare_v2(store_handle(f->in.store), p, (int)(end - p), &st, NULL) !=
                SQLITE_OK ||
            sqlite3_step(st) != SQLITE_ROW)
            fail_msg("%.*s\n%s", (int)(end - p), p, sqlite3_errmsg(store_handle(f->in.store)));
        sqlite3_finalize(st);
        p = end + strlen("\n```");
    }
    assert_int_equal(n, 7);
    free(text);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, stored_tear_down)
    const struct CMUnitTest tests[] = {
        T(test_queries__each_says_what_it_answers_and_runs),
        T(test_queries__each_runs_in_the_sqlite3_shell),
        T(test_queries__who_copied_what),
        T(test_queries__debt_and_what_became_of_it),
        T(test_queries__what_killing_would_free),
        T(test_queries__from_rss_to_the_system),
        T(test_queries__who_shares_with_whom),
        T(test_queries__published_differences_with_their_reason),
        T(test_queries__other_kernels_have_their_own_reasons),
        T(test_queries__what_is_unknown),
        T(test_queries__what_probing_cost),
        T(test_queries__fork_latency_by_size),
        T(test_queries__at_risk),
        T(test_queries__failures_and_disagreements),
        T(test_queries__messages),
        T(test_queries__a_report_on_one_run_reads_that_run_only),
        T(test_queries__those_of_the_readme_have_answers),
    };

    return cmocka_run_group_tests_name("queries", tests, NULL, NULL);
}
