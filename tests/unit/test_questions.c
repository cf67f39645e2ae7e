/* The open questions of the published experiments: a report answers those of which its runs tell
 * something, with what they measured, also where that is unknown or speaks against the answer. */
#include "reports/report.h"
#include "tests/support/db.h"
#include "tests/support/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct stored in;
    char fork[40], purgeable[40];
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = stored_new(sizeof *f);

    if (support_fork_write(f->in.store, NULL, f->fork, &f->e) ||
        support_ool_options(f->in.store, NULL, f->purgeable, &f->e))
        return -1;
    *state = f;
    return 0;
}

static void change(struct fixture *f, const char *sql)
{
    assert_int_equal(sqlite3_exec(store_handle(f->in.store), sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(store_handle(f->in.store)) > 0);
}

static char *report(struct fixture *f, const char *run)
{
    if (report_markdown(f->in.store, &run, run ? 1 : 0, scratch_path(f->in.dir, "r.md"), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, "r.md"), NULL);
}

/* The second line of the answer, which the caller frees; NULL: there is none. */
static char *evidence(struct fixture *f, const char *run, const char *question)
{
    char *text = report(f, run), *at = strstr(text, question), *line = NULL;

    if (at) {
        at = strchr(at, '\n') + 1;
        line = strndup(at, strcspn(at, "\n"));
    }
    free(text);
    return line;
}

#define ROW_3 "- **Where did copy-on-write go in row 3 "
#define ROW_7 "- **Why does row 7 "
#define SHOWS "- **Why does a receiver of 256 MB show 1 MB?**"
#define DEBT "- **What does the fifth row of fork mean "
#define FIELD "- **Does the copy field of a received descriptor "
#define AGAINST "(**which does not bear this out**)"

static void has(char *line, const char *part)
{
    assert_non_null(line);
    if (!strstr(line, part))
        fail_msg("'%s' is not in: %s", part, line);
    free(line);
}

static void lacks(char *line, const char *part)
{
    assert_non_null(line);
    if (strstr(line, part))
        fail_msg("'%s' is in: %s", part, line);
    free(line);
}

static void test_questions__are_answered_from_the_runs(void **state)
{
    struct fixture *f = *state;

    has(evidence(f, NULL, ROW_3), "*Linux (purgeable memory), by construction:* SM_PRIVATE, 1 "
                                  "reference, 1 page resident. Source: XNU ");
    lacks(evidence(f, NULL, ROW_3), AGAINST);
    has(evidence(f, NULL, ROW_7), "SM_COW, 1 reference, 16 pages resident");
    has(evidence(f, NULL, DEBT), "*Linux, by itself:* SM_COW, 1 reference, 1 in debt; "
                                 "the write after it: 1 fault, 0 copied, 1 reused. Source: ");
    has(evidence(f, NULL, FIELD), "8 of 8 arrived as asked, 4 of them done otherwise");
    assert_null(evidence(f, NULL, SHOWS)); /* no run of the report tells of it */
    assert_null(evidence(f, f->fork, ROW_3));
    has(evidence(f, f->fork, DEBT), "*Linux, by itself:*");
}

static void test_questions__the_other_kind_of_memory_is_named_where_it_is_no_part(void **state)
{
    struct fixture *f = *state;
    struct support_options ordinary = {.memory = "ordinary"};
    char run[40], *line;

    assert_int_equal(support_ool_options(f->in.store, &ordinary, run, &f->e), 0);
    change(f, "UPDATE run SET started_at = '2999' WHERE params LIKE '%ordinary%'");
    line = evidence(f, NULL, ROW_3);
    has(strdup(line), "*Linux (ordinary memory), by the layer:* SM_COW, 2 references, ");
    has(strdup(line), f->purgeable);
    has(line, "` (not in this report):* SM_PRIVATE, 1 reference, ");
}

static void test_questions__what_speaks_against_an_answer_is_said(void **state)
{
    struct fixture *f = *state;

    change(f,
           "UPDATE region SET share_mode = 'SM_COW' WHERE case_name = 'VIRTUAL;PAGEx16;NO_FREE'");
    has(evidence(f, NULL, ROW_3), "SM_COW, 1 reference, 1 page resident " AGAINST);
    change(f, "UPDATE region SET copied = 1, reused = 0 WHERE copied = 0 AND reused = 1");
    has(evidence(f, NULL, DEBT), "1 fault, 1 copied, 0 reused " AGAINST);
}

static void test_questions__unknown_is_no_number(void **state)
{
    struct fixture *f = *state;

    change(f,
           "UPDATE region SET share_mode = NULL, ref_count = NULL, resident = NULL, copied = NULL, "
           "reused = NULL");
    change(f, "UPDATE process SET minflt = NULL");
    change(f, "UPDATE transfer SET done = NULL");
    has(evidence(f, NULL, ROW_3),
        "an unknown share mode, unknown references, unknown pages resident. Source");
    has(evidence(f, NULL, DEBT), "unknown faults, unknown copied, unknown reused. Source");
    has(evidence(f, NULL, FIELD), "of 8 what was done is unknown");
}

static void test_questions__large_transfers(void **state)
{
    struct fixture *f = *state;
    struct support_options large = {.scenario = "ool-large", .memory = "ordinary", .pages = 1024};
    char run[40], *line;

    assert_int_equal(support_ool_write(f->in.store, &large, run, &f->e), 0);
    change(
        f,
        "UPDATE run SET params = json_set(params, '$.memory', 'ordinary', '$.deallocate', 'false') "
        "WHERE scenario = 'ool-large'");
    change(f, "UPDATE step SET published = '256MB' WHERE (run, step) IN (SELECT run, max(step) "
              "FROM step JOIN run USING (run) WHERE scenario = 'ool-large' GROUP BY run)");
    change(f, "UPDATE step SET system_kb = 1024 * step");
    change(f, "UPDATE process SET rss_kb = 512");
    change(f, "UPDATE region SET mapped = NULL");
    line = evidence(f, NULL, SHOWS);
    has(strdup(line), "of 4.0 MiB received 1,024 pages resident, unknown mapped, RSS 0.5 "
                      "MiB");
    has(line, "the system grew by 6.0 MiB, both RSS by 0.0 MiB");
    change(f, "UPDATE step SET system_kb = NULL");
    change(f, "UPDATE process SET rss_kb = NULL");
    has(evidence(f, NULL, SHOWS),
        "RSS unknown; from before the send the system grew by an unknown amount, both RSS by an "
        "unknown amount");
}

/* A Mach kernel is told apart from the layer. */
static void test_questions__a_real_mach_is_called_that(void **state)
{
    struct fixture *f = *state;
    struct support_options mach = {.backend = "gnumach", .memory = "ordinary"};
    char run[40];

    assert_int_equal(support_ool_options(f->in.store, &mach, run, &f->e), 0);
    change(f, "UPDATE transfer SET received = NULL WHERE run = (SELECT max(run) FROM run WHERE "
              "backend = 'gnumach')");
    has(evidence(f, NULL, ROW_3), "*GNU Mach (ordinary memory), measured:* SM_COW");
    has(evidence(f, NULL, FIELD), "a message has no such field; ");
}

#define T(name) cmocka_unit_test_setup_teardown(test_questions__##name, setup, stored_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(are_answered_from_the_runs),
        T(the_other_kind_of_memory_is_named_where_it_is_no_part),
        T(what_speaks_against_an_answer_is_said),
        T(unknown_is_no_number),
        T(large_transfers),
        T(a_real_mach_is_called_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
