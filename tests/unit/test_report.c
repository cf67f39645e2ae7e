/* Reports: the same database gives the same bytes; change the data and sentence and picture change;
 * nothing that a scenario says gets out of its place; an unknown value is never a number. */
#include "reports/report.h"

#include "reports/escape.h"
#include "reports/format.h"
#include "tests/support/db.h"
#include "tests/support/runs.h"
#include "tests/support/xml.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HOSTILE "x|y`<script>&*[z](http://h)_\n# h\t\x1b[31m\xff"

struct fixture {
    struct stored in;
    char fork[40], nobody[40], ool[40], options[40];
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct support_options three = {.pages = 3};
    struct support_options nobody = {
        .pages = 3, .unprivileged = true, .failing = true, .scenario = "fork-nobody"};

    if (support_fork_write(f->in.store, &three, f->fork, &f->e) ||
        support_fork_write(f->in.store, &nobody, f->nobody, &f->e) ||
        support_ool_write(f->in.store, &three, f->ool, &f->e) ||
        support_ool_options(f->in.store, NULL, f->options, &f->e)) {
        fprintf(stderr, "setup: %s\n", f->e.msg);
        return -1;
    }
    *state = f;
    return 0;
}

static void change(struct fixture *f, const char *sql)
{
    char *msg = NULL;

    if (sqlite3_exec(store_handle(f->in.store), sql, NULL, NULL, &msg) != SQLITE_OK)
        fail_msg("%s: %s", sql, msg);
    assert_true(sqlite3_changes(store_handle(f->in.store)) > 0);
}

/* The page about the latest runs, written as NAME.md; its text. */
static char *brief(struct fixture *f, const char *name)
{
    if (report_markdown(f->in.store, NULL, 0, scratch_path(f->in.dir, name), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, name), NULL);
}

/* All of the given run (NULL: of each). */
static char *report(struct fixture *f, const char *run, const char *name)
{
    static char ids[8][40];
    const char *runs[8];
    size_t n = 0;
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_prepare_v2(store_handle(f->in.store),
                                        "SELECT run_id FROM run "
                                        "WHERE run_id = coalesce(?1, run_id)",
                                        -1, &stmt, NULL),
                     0);
    sqlite3_bind_text(stmt, 1, run, -1, SQLITE_STATIC);
    for (; sqlite3_step(stmt) == SQLITE_ROW; n++)
        runs[n] = strcpy(ids[n], (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    if (report_markdown(f->in.store, runs, n, scratch_path(f->in.dir, name), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, name), NULL);
}

static char *terminal(struct fixture *f, const char *run, bool colour)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (report_heading(f->in.store, run, colour, out, &f->e) ||
        report_timeline(f->in.store, run, colour, out, &f->e) ||
        report_summary(f->in.store, run, colour, out, &f->e))
        fail_msg("%s", f->e.msg);
    fclose(out);
    return text;
}

static cJSON *json(struct fixture *f, const char *run)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    cJSON *doc;

    if (report_json(f->in.store, run, out, &f->e))
        fail_msg("%s", f->e.msg);
    fclose(out);
    doc = cJSON_Parse(text);
    assert_non_null(doc);
    free(text);
    return doc;
}

/* The line of text that begins with this. The caller frees it. */
static char *line_with(const char *text, const char *begin)
{
    const char *at = strstr(text, begin);

    if (!at)
        fail_msg("no line with '%s'", begin);
    return strndup(at, strcspn(at, "\n"));
}

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("'%s' is not in:\n%s", part, text);                                           \
    } while (0)

static int count(const char *text, const char *part)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}

/* Of the table that begins behind a line break. */
static void check_columns(const char *table)
{
    bool told[20] = {false};
    size_t columns = 0;
    int row = 0;

    assert_non_null(table);
    for (const char *line = table + 1; *line == '|'; line += strcspn(line, "\n") + 1, row++) {
        size_t n = 0;

        for (const char *c = line + 1; *c != '\n' && n < 20; c += strcspn(c, "|") + 1, n++)
            told[n] |= row > 1 && strncmp(c, " - |", 4) != 0 && strncmp(c, " 0 ", 3) != 0;
        columns = n;
    }
    assert_true(row > 2);
    for (size_t i = 0; i < columns; i++)
        if (!told[i])
            fail_msg("column %zu of a table tells nothing:\n%s", i + 1, table);
}

static void test_report__same_database_same_bytes(void **state)
{
    struct fixture *f = *state;
    char *first, *second, sub[300];
    DIR *d;
    struct dirent *entry;
    int pictures = 0;

    mkdir(scratch_path(f->in.dir, "a"), 0700);
    mkdir(scratch_path(f->in.dir, "b"), 0700);
    first = report(f, NULL, "a/r.md");
    second = report(f, NULL, "b/r.md");
    assert_string_equal(first, second);
    free(first);
    free(second);
    d = opendir(scratch_path(f->in.dir, "a/r.assets"));
    while ((entry = readdir(d))) {
        if (!strstr(entry->d_name, ".svg"))
            continue;
        snprintf(sub, sizeof sub, "a/r.assets/%.200s", entry->d_name);
        first = slurp(scratch_path(f->in.dir, sub), NULL);
        sub[0] = 'b';
        second = slurp(scratch_path(f->in.dir, sub), NULL);
        assert_string_equal(first, second);
        assert_int_equal(support_xml_check(first, strlen(first)), 0);
        free(first);
        free(second);
        pictures++;
    }
    closedir(d);
    assert_true(pictures >= 8);
}

static void test_report__each_picture_that_is_linked_exists(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, NULL, "r.md"), name[300];
    int links = 0;

    for (const char *p = text; (p = strstr(p, "](r.assets/")); links++) {
        p += 2;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, ")"), p);
        assert_int_equal(access(scratch_path(f->in.dir, name), R_OK), 0);
    }
    assert_true(links >= 8);
    free(text);
}

/* The title of the section that a link leads to; NULL: none. As GitHub makes links: lower case, a
 * dash for each space, no punctuation; of those alike the second ends in -1. */
static char *linked_section(const char *text, const char *link, size_t len)
{
    char slugs[40][200] = {""};
    int n = 0;

    for (const char *at = text; n < 40 && (at = strstr(at, "\n## ")); at++, n++) {
        size_t k = 0, same = 0;

        for (const char *c = at + 4; *c && *c != '\n' && k + 9 < sizeof *slugs; c++)
            if (isalnum((unsigned char)*c) || *c == '-' || *c == '_' || *c == ' ')
                slugs[n][k++] = (char)(*c == ' ' ? '-' : tolower((unsigned char)*c));
        for (int i = 0; i < n; i++)
            same += strcmp(slugs[i], slugs[n]) == 0;
        if (same == 0 ? k == len && memcmp(slugs[n], link, len) == 0
                      : strlen(slugs[n]) + 2 == len && memcmp(slugs[n], link, len - 2) == 0 &&
                            link[len - 1] == (char)('0' + same))
            return strndup(at + 4, strcspn(at + 4, "\n"));
    }
    return NULL;
}

/* Each link of the line at the top leads to what it is called; how many. */
static int check_links(const char *text)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, "](#")); at++, n++) {
        size_t len = strcspn(at + 3, ")");
        char *title = linked_section(text, at + 3, len);

        assert_non_null(title);
        assert_memory_equal(at - strlen(title), title, strlen(title));
        assert_int_equal(at[-1 - (int)strlen(title)], '[');
        free(title);
    }
    return n;
}

/* The page: answers before comparisons before background, and no link into nothing. */
static void test_report__a_page_leads_with_answers(void **state)
{
    static const char *const order[] = {"\n## Answers\n",
                                        "\n## fork-write\n",
                                        "\n## Fork against out of line",
                                        "\n## Footprint against totals\n",
                                        "\n## Published against measured\n",
                                        "\n## What is unknown\n",
                                        "\n## The machine\n",
                                        "\n## Words\n"};
    struct fixture *f = *state;
    char *text = brief(f, "r.md"), *whole = report(f, NULL, "w.md");
    const char *at = text;

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        if (!at)
            fail_msg("'%s' is not there, or not in its place:\n%s", order[i], text);
    }
    assert_int_equal(check_links(text), count(text, "\n## "));
    assert_null(strstr(text, "sql"));
    assert_true(strlen(text) * 2 < strlen(whole));
    free(text);
    free(whole);
}

/* Scenarios that are called like sections: no link leads to the wrong one, in markdown and in a
 * page, where closed parts have headings of their own. */
static void test_report__sections_have_links_of_their_own(void **state)
{
    static const char *const names[] = {"words", "answers", "the-machine", "timeline", "on-linux"};
    struct fixture *f = *state;
    char *text, *page;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct support_options named = {.pages = 1, .scenario = names[i]};
        char run[40];

        assert_int_equal(support_fork_write(f->in.store, &named, run, &f->e), 0);
    }
    text = brief(f, "r.md");
    assert_int_equal(check_links(text), count(text, "\n## "));
    assert_contains(text, "[words](#words)");
    assert_contains(text, "[Words](#words-1)");
    assert_contains(text, "[Answers](#answers)");
    assert_contains(text, "[answers](#answers-1)");
    page = brief(f, "r.html");
    for (const char *at = text; (at = strstr(at, "](#")); at++) {
        char heading[200];

        snprintf(heading, sizeof heading, "<h2 id=\"%.*s\">", (int)strcspn(at + 3, ")"), at + 3);
        assert_int_equal(count(page, heading), 1);
    }
    assert_contains(page, "<h2 id=\"timeline\">timeline</h2>");
    assert_contains(page, "<h4 id=\"timeline-1\">Timeline</h4>");
    free(text);
    free(page);
}

/* No column is empty in all rows, none is said twice, and only words that occur are explained. */
static void test_report__a_page_has_nothing_that_tells_nothing(void **state)
{
    struct fixture *f = *state;
    char *text = brief(f, "r.md"), *page = brief(f, "r.html"), *pair, *at;

    assert_contains(text, "\nKnown in 2 runs, and in none are the sum of RSS and the system's");
    free(text);
    change(f, "UPDATE process SET rss_kb = rss_kb + 5000 WHERE step = 3");
    text = brief(f, "r.md");
    pair = strstr(text, "### fork-write and ool-write on linux");
    assert_non_null(pair);
    at = strstr(pair, "\n## ");
    *at = '\0';
    assert_contains(pair, "| populated |");
    assert_contains(pair, "| transferred |");
    assert_null(strstr(pair, "| settled"));
    check_columns(strstr(pair, "\n| phase"));
    *at = '\n';
    check_columns(strstr(text, "\n| scenario | backend | step"));
    assert_null(strstr(text, "soft_dirty"));
    assert_null(strstr(text, "Capabilities that were"));
    assert_contains(text, "\n| out of line |");
    assert_null(strstr(text, "\n| superseded |"));
    assert_int_equal(count(text, "\n| write outcomes |"), 1);
    assert_int_equal(count(text, "\n| share modes |"), 1);
    assert_contains(page, "<td>superseded</td>"); /* words on hover */
    assert_contains(page, "<td>write outcome <code>copied</code></td>");
    free(text);
    free(page);
}

static void test_report__footprints_that_are_unknown_are_not_alike(void **state)
{
    struct fixture *f = *state;
    char *text;

    change(f, "UPDATE step SET system_kb = NULL, distinct_kb = NULL");
    text = brief(f, "r.md");
    assert_contains(text, "\nIn no run are both the sum of RSS and what the system uses known.\n");
    free(text);
}

/* What is missing is said where a value is unknown for it; all that the lab could use in the whole.
 */
static void test_report__machine_is_told_as_far_as_it_matters(void **state)
{
    struct fixture *f = *state;
    char *text, *whole;

    change(
        f,
        "UPDATE run SET machine = '{\"emulator\":\"em\",\"accelerator\":\"tcg\",\"cpus\":2,"
        "\"memory_mib\":900,\"versions\":{\"a\":1}}', capabilities = "
        "'[{\"name\":\"frames\",\"have\":false,\"unlocks\":\"U\",\"reason\":\"R\",\"how\":\"H\"},"
        "{\"name\":\"swap\",\"have\":false,\"unlocks\":\"S\",\"reason\":\"R\",\"how\":\"H\"},"
        "{\"name\":\"soft_dirty\",\"have\":false,\"unlocks\":\"D (not used by the lab)\"}]'");
    change(f, "UPDATE run SET machine = json_set(machine, '$.memory_mib', 2048) WHERE scenario <> "
              "'fork-write'");
    text = brief(f, "r.md");
    assert_contains(
        text, "| linux | Linux 6.18.0 x86_64 | 4 KiB | em (tcg) | 2 | 900 to 2,048 MiB | 4 |\n");
    assert_contains(text, "\n- Missing on linux: frames (U): R; to get it: H.\n");
    assert_null(strstr(text, ": swap ("));
    assert_null(strstr(text, "soft_dirty"));
    whole = report(f, NULL, "w.md");
    assert_contains(whole, "versions: {");
    assert_contains(whole, "| linux | swap | S | R | H | 4 |");
    assert_null(strstr(whole, "soft_dirty"));
    free(text);
    free(whole);
}

/* Two runs of one scenario: neither's pictures replace the other's. */
static void test_report__pictures_of_two_runs_keep_apart(void **state)
{
    struct fixture *f = *state;
    struct support_options five = {.pages = 5};
    char other[40];
    const char *ids[] = {f->fork, other};
    char *first, *second;

    assert_int_equal(support_fork_write(f->in.store, &five, other, &f->e), 0);
    assert_int_equal(report_markdown(f->in.store, ids, 2, scratch_path(f->in.dir, "r.md"), &f->e),
                     0);
    first = slurp(scratch_path(f->in.dir, "r.assets/fork-write-linux-pages-1.svg"), NULL);
    second = slurp(scratch_path(f->in.dir, "r.assets/fork-write-linux-pages-1-2.svg"), NULL);
    assert_string_not_equal(first, second);
    free(first);
    free(second);
}

/* A report that repeats fixed sentences would not notice any of these changes. */
static void test_report__sentences_follow_the_data(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, f->fork, "r.md"), *line;

    line = line_with(text, "- **Who copied ");
    assert_contains(line, "fork-write on linux: child 3 (step 4)");
    free(line);
    line = line_with(text, "**Answer from this run.**");
    assert_contains(line, "in step 6 parent reused 3 pages");
    free(line);
    free(text);

    change(f,
           "UPDATE region SET copied = 0, reused = 3, write_outcome = 'reused' WHERE copied > 0");
    change(f, "UPDATE region SET debt = 2, exclusive = 1 WHERE step = 5 AND debt = 3");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Who copied ");
    assert_contains(line, "Nobody");
    free(line);
    line = line_with(text, "- **Who reused ");
    assert_contains(line, "fork-write on linux: child 3 (step 4), parent 3 (step 6)");
    free(line);
    line = line_with(text, "**Answer from this run.**");
    assert_contains(line, "n step 4 child reused 3 pages");
    free(line);
    assert_null(strstr(text, "- **Who brought"));
    free(text);

    change(f, "UPDATE region SET swapped_in = 2 WHERE step = 4 AND observed = 'child'");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Who brought pages back from swap ");
    assert_contains(line, "fork-write on linux: child 2 (step 4).");
    free(line);
    free(text);
}

/* What the scenario says to its question comes first; in a page on several runs alone. */
static void test_report__the_scenarios_own_answer_is_the_answer(void **state)
{
    struct fixture *f = *state;
    char sql[400], *text, *line;
    cJSON *doc;

    snprintf(sql, sizeof sql,
             "UPDATE step SET answer = iif(step = 4, 'The child *copied* 3 pages;', "
             "'the parent <b>kept</b> 3 pages.') WHERE step IN (4, 6) AND run = (SELECT run FROM "
             "run WHERE run_id = '%s')",
             f->fork);
    change(f, sql);
    text = brief(f, "r.md");
    line = line_with(text, "The child ");
    assert_contains(line, "The child \\*copied\\* 3 pages; the parent &lt;b&gt;kept&lt;/b&gt; 3 "
                          "pages. ");
    assert_null(strstr(line, "in step 6 parent"));
    free(line);
    assert_contains(text, "n step 5 receiver copied"); /* the other run has none */
    free(text);
    text = report(f, f->fork, "r.md");
    line = line_with(text, "**Answer from this run.** The child ");
    assert_contains(line, " 3 pages. After step ");
    assert_contains(line, "in step 6 parent reused 3 pages");
    free(line);
    free(text);
    text = terminal(f, f->fork, false);
    assert_contains(text,
                    "\n\nanswer: The child *copied* 3 pages; the parent <b>kept</b> 3 pages.\n"
                    "expectations: ");
    free(text);
    text = terminal(f, f->ool, false);
    assert_null(strstr(text, "answer:"));
    assert_contains(text, "\n\nexpectations: ");
    free(text);
    doc = json(f, f->fork);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "run"), "answer")->valuestring,
                        "The child *copied* 3 pages; the parent <b>kept</b> 3 pages.");
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "steps"), 3), "answer")
            ->valuestring,
        "The child *copied* 3 pages;");
    cJSON_Delete(doc);
}

static void test_report__isolation_follows_the_checks(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, f->fork, "r.md"), *line;

    change(f,
           "UPDATE cross_check SET name = 'stamps', observed = 'child' WHERE step = 7 AND nr = 0");
    free(text);
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Isolation of contents.**");
    assert_contains(line, "Kept: in 1 check");
    free(line);
    free(text);
    change(f, "UPDATE cross_check SET verdict = 'differs' WHERE name = 'stamps'");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Isolation of contents.**");
    assert_contains(line, "**Broken:** 1 check");
    assert_contains(line, "fork-write on linux, step 7");
    free(line);
    free(text);
}

/* Memory changes hands in pages, a message carries bytes: a finding of its own, no failed check. */
static void test_report__stray_bytes_are_a_finding(void **state)
{
    struct fixture *f = *state;
    char *text, *line;

    change(f, "UPDATE cross_check SET name = 'stray_bytes', left_value = 0, verdict = 'held' "
              "WHERE step = 7 AND nr = 0");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Bytes beside what was sent.**");
    assert_contains(line, "On linux zeros alone lay beside the bytes of 1 range that did");
    free(line);
    assert_contains(text, "#### Bytes beside what was sent");
    free(text);
    change(f, "UPDATE cross_check SET left_value = 5, verdict = 'differs' "
              "WHERE name = 'stray_bytes'");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Bytes beside what was sent.**");
    assert_contains(line, "**1 of 1 range that did not fill whole pages");
    assert_contains(line, "fork-write step 7");
    free(line);
    line = line_with(text, "- **The lab's checks on itself.**");
    assert_null(strstr(line, "differ:"));
    free(line);
    free(text);
}

/* One reader is corrupted: the disagreement is in the findings and in the terminal's summary. */
static void test_report__a_differing_check_is_shown(void **state)
{
    struct fixture *f = *state;
    char *text, *line;

    change(f, "UPDATE cross_check SET left_value = 777, verdict = 'differs' "
              "WHERE run = (SELECT run FROM run WHERE scenario = 'fork-write') AND step = 3 "
              "AND name = 'states_sum' AND nr = (SELECT min(nr) FROM cross_check AS c "
              "WHERE c.run = cross_check.run AND c.step = 3 AND c.name = 'states_sum')");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **The lab's checks on itself.**");
    assert_contains(line, "comparisons differ");
    assert_contains(line, "777 against");
    free(line);
    free(text);
    text = terminal(f, f->fork, false);
    assert_contains(text, "cross-checks that differ:");
    assert_contains(text, "777 against");
    free(text);
}

static void test_report__strips_follow_the_data(void **state)
{
    struct fixture *f = *state;
    char *before, *after;

    free(report(f, f->fork, "r.md"));
    before = slurp(scratch_path(f->in.dir, "r.assets/fork-write-linux-pages-1.svg"), NULL);
    change(f, "UPDATE page_run SET state = 'swapped' WHERE state = 'debt' AND step = 4");
    free(report(f, f->fork, "r.md"));
    after = slurp(scratch_path(f->in.dir, "r.assets/fork-write-linux-pages-1.svg"), NULL);
    assert_null(strstr(before, ">W</text>"));
    assert_non_null(strstr(after, ">W</text>"));
    assert_non_null(strstr(after, "swapped: in swap"));
    free(before);
    free(after);
}

static void test_report__failed_expectations_come_first(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, f->nobody, "r.md");
    const char *failed = strstr(text, "| failed |"), *held = strstr(text, "| held |");

    assert_contains(text, "**1 failed**");
    assert_contains(text, "was expected to be SM_PRIVATE and measured as SM_SHARED");
    assert_true(failed && held && failed < held);
    free(text);
}

static void test_report__unknown_is_never_zero(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, f->nobody, "r.md"), *screen = terminal(f, f->nobody, false);
    cJSON *doc = json(f, f->nobody);
    const cJSON *step = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "steps"), 3);
    const cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(step, "timeline"), 1);

    assert_contains(text, "| unknown |");
    assert_contains(text, "page frame numbers need CAP_SYS_ADMIN");
    assert_contains(text, "run as root");
    /* PSS is not what they occupy. */
    assert_contains(text, "The sum of RSS exceeds the sum of PSS most in fork-nobody on linux");
    assert_contains(text, "times as much; what they occupy is unknown");
    assert_contains(screen, "wrote: ?");
    assert_contains(screen, "1 not checked");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(row, "copied")));
    assert_string_equal(cJSON_GetObjectItem(row, "observed")->valuestring, "child");
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "unknowns")) > 10);
    cJSON_Delete(doc);
    free(text);
    free(screen);
}

/* What was not found among unknown values is not "nobody", and a sum over some is "at least". */
static void test_report__unknown_is_never_nobody(void **state)
{
    static const char *const unknown[] = {"- **Who reused ", "- **Debt.** ",
                                          "- **What the system uses.** "};
    struct fixture *f = *state;
    char *text, *line;

    text = report(f, f->nobody, "r.md");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        line = line_with(text, unknown[i]);
        assert_contains(line, "Unknown, wholly or in part, in 1 run: ");
        assert_null(strstr(line, "Nobody"));
        free(line);
    }
    line = line_with(text, "**Answer from this run.**");
    assert_contains(line, "Which pages were in debt is unknown (this kernel");
    free(line);
    free(text);

    change(f, "UPDATE region SET copied = 2 WHERE step = 4 AND observed = 'child' AND run = "
              "(SELECT run FROM run WHERE scenario = 'fork-nobody')");
    change(f, "UPDATE region SET at_risk = 2 WHERE step = 7 AND observed = 'child' AND run = "
              "(SELECT run FROM run WHERE scenario = 'fork-nobody')");
    change(f, "INSERT INTO unknown (run, step, nr, observed, region, quantity, why) SELECT run, 7, "
              "999, 'parent', 'r', 'at_risk', 5 FROM run WHERE scenario = 'fork-nobody'");
    text = report(f, f->nobody, "r.md");
    line = line_with(text, "- **Who copied ");
    assert_contains(line, "child 2 (step 4). In 1 run some or all of it is unknown: page frame");
    free(line);
    line = line_with(text, "- **At risk.**");
    assert_contains(line, "at least 2 pages (8 KiB). In 1 run some or all of it is unknown: ");
    free(line);
    free(text);
}

/* More writes than are told one by one: the sums are over those that are known. */
static void test_report__sums_leave_unknown_writes_out(void **state)
{
    struct fixture *f = *state;
    char *text, *line;

    change(f, "UPDATE step SET action = 'write', actor = 'parent', region = 'r' WHERE run = "
              "(SELECT run FROM run WHERE scenario = 'fork-write')");
    change(f,
           "UPDATE region SET write_outcome = 'copied', copied = 2, first_touch = 0, reused = 0, "
           "no_fault = 0 WHERE observed = 'parent'");
    change(f, "UPDATE region SET write_outcome = NULL, copied = NULL, reused = NULL "
              "WHERE observed = 'parent' AND step > 5");
    change(f, "INSERT INTO unknown (run, step, nr, observed, region, quantity, why) "
              "SELECT run, step, 999, 'parent', 'r', 'write_outcome', 2 FROM region JOIN run USING "
              "(run) WHERE scenario = 'fork-write' AND observed = 'parent' AND step > 5");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "**Answer from this run.**");
    assert_contains(line, "5 writes to memory that was there copied 10 pages, reused 0 pages");
    assert_contains(line, "; 2 wrote with an outcome that is unknown, wholly or in part (page "
                          "frame numbers need");
    free(line);
    free(text);
}

/* What is known of a write is said beside what is not. */
static void test_report__a_part_of_an_outcome_is_told(void **state)
{
    struct fixture *f = *state;
    char *text;

    change(f, "UPDATE region SET write_outcome = NULL, copied = NULL, reused = NULL, "
              "no_fault = NULL, swapped_in = 2 WHERE step = 6 AND observed = 'parent'");
    change(f, "INSERT INTO unknown (run, step, nr, observed, region, quantity, why) "
              "SELECT run, step, 990 + key, 'parent', 'r', value, 2 FROM region JOIN run USING "
              "(run), json_each('[\"write_outcome\", \"copied\", \"reused\", \"no_fault\"]') "
              "WHERE scenario = 'fork-write' AND observed = 'parent' AND step = 6");
    text = terminal(f, f->fork, false);
    assert_contains(text, "wrote: 2 swapped_in rest ?\n");
    free(text);
    text = report(f, f->fork, "r.md");
    assert_contains(text, "| 2 swapped_in, rest unknown |");
    assert_contains(text, "in step 6 parent brought back 2 pages from swap, and what it did to the "
                          "others is unknown (page frame");
    free(text);
}

/* A value that was concluded carries its mark wherever it is told. */
static void test_report__what_was_concluded_is_marked(void **state)
{
    struct fixture *f = *state;
    char *text, *line;

    text = report(f, f->fork, "r.md");
    assert_contains(text, "Every result below was measured in it or in a run that is named, or "
                          "concluded from what was "
                          "(marked ~, or said beside it)");
    line = line_with(text, "| 4 | receiver_wrote");
    assert_null(strchr(line, '~'));
    free(line);
    free(text);
    change(f, "UPDATE region SET inferred = 'share_mode ref_count cow debt copied at_risk'");
    text = report(f, f->fork, "r.md");
    line = line_with(text, "- **Who copied");
    assert_contains(line, "fork-write on linux: child \\~3 (step 4)");
    free(line);
    line = line_with(text, "- **Debt.**");
    assert_contains(line, " held ~3 pages in debt");
    free(line);
    line = line_with(text, "| 3 | transferred");
    assert_contains(line, " | ~SM_COW | ~2 | 3 | 3 | 3 | 3 | ~3 cow | - |");
    free(line);
    assert_contains(text, "in step 4 child copied \\~3 pages");
    assert_contains(text, " held \\~3 pages in debt: alone");
    free(text);
    text = terminal(f, f->fork, false);
    assert_contains(text, " ~SM_COW       ~2        3/3/3  ~3 cow\n");
    assert_contains(text, "wrote: ~3 copied\n");
    free(text);
}

static void expect_predictions(struct fixture *f, const char *said)
{
    char *text = report(f, f->fork, "r.md");
    char *line = line_with(text, "- **States as predictions.**");

    assert_contains(line, said);
    free(line);
    free(text);
}

/* The row of a step is one of the check; held -1: without a left value. */
static void make_prediction(struct fixture *f, int step, int held, int all, const char *detail)
{
    char *sql = sqlite3_mprintf("UPDATE cross_check SET name = 'prediction', observed = 'child', "
                                "region = 'r', left_value = nullif(%d, -1), right_value = %d, "
                                "verdict = 'not checked', detail = %Q WHERE step = %d AND nr = 0",
                                held, all, detail, step);

    change(f, sql);
    sqlite3_free(sql);
}

static void expect_counts(struct fixture *f, const char *said)
{
    char *text = terminal(f, f->fork, false);

    assert_contains(text, said);
    free(text);
}

static void test_report__predictions_are_a_finding(void **state)
{
    static const char cow[] = "cow pages that the write found as predicted (copied); all that it "
                              "wrote";
    struct fixture *f = *state;
    char *text = report(f, f->fork, "r.md");

    assert_null(strstr(text, "States as predictions"));
    free(text);
    make_prediction(f, 4, -1, 8, "untold pages that were written: frames are not visible");
    expect_predictions(f, "** No page that was written could be compared with what its state "
                          "predicted; of 8 more (100 % of all) it could not be told: fork-write "
                          "on linux 8.");
    expect_counts(f, "predicted: 0 held, 0 failed, 0 either way, 8 not told\n");
    make_prediction(f, 4, 8, 8, cow);
    make_prediction(f, 6, -1, 2, "written pages of which the kernel may decide either way");
    expect_predictions(f, "8 of the 8 pages that could be compared were written as their states "
                          "had predicted; none failed; of 2 more (20 % of all) the kernel may "
                          "decide either way: fork-write on linux 2.");
    expect_counts(f, "predicted: 8 held, 0 failed, 2 either way (20 %)\n");
    make_prediction(f, 6, -1, 2, "debt pages that were copied: something held a reference");
    expect_predictions(f, "none failed; of 2 more (20 % of all) the write copied what was in "
                          "debt, for a cause that does not show: fork-write on linux 2.");
    expect_counts(f, "8 held, 0 failed, 0 either way, 2 copied for a cause that does not show\n");
    make_prediction(f, 4, 5, 8, cow);
    expect_predictions(f, "5 of the 8 pages that could be compared");
    expect_predictions(f, "**3 failed:** fork-write on linux, step 4, child.r: 3 of 8 cow pages "
                          "were not copied; of 2 more (20 % of all)");
}

/* Columns of a table row: separators that are not escaped. */
static int separators(const char *line, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++)
        n += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    return n;
}

static void make_hostile(struct fixture *f)
{
    sqlite3_stmt *st;
    static const char *const updates[] = {
        "UPDATE run SET title = ?1, question = ?1, no_twin = ?1, twin = NULL, kernel = ?1",
        "UPDATE step SET actor = ?1, region = ?1 WHERE actor IS NOT NULL",
        "UPDATE region SET region = ?1, observed = ?1",
        "UPDATE process SET actor = ?1",
        "UPDATE expectation SET observed = ?1, expected = ?1, measured = ?1, reason = ?1",
        "UPDATE cross_check SET detail = ?1, observed = ?1, verdict = 'differs'",
        "UPDATE transfer SET why = ?1, sender = ?1"};

    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
        assert_int_equal(sqlite3_prepare_v2(store_handle(f->in.store), updates[i], -1, &st, NULL),
                         SQLITE_OK);
        sqlite3_bind_text(st, 1, HOSTILE, -1, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_finalize(st);
    }
}

static void check_tables(const char *text)
{
    int want = 0;

    for (const char *p = text; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n')) {
        size_t len = strcspn(p, "\n");

        if (*p != '|') {
            want = 0;
            continue;
        }
        if (want == 0)
            want = separators(p, len);
        if (separators(p, len) != want)
            fail_msg("a row of another width: %.*s", (int)len, p);
    }
}

/* Takes the fenced blocks out: within them everything is literal. */
static void drop_fenced(char *text)
{
    char *out = text;
    bool fenced = false;

    for (char *p = text; *p;) {
        size_t len = strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n');

        if (strncmp(p, "```", 3) == 0)
            fenced = !fenced;
        else if (!fenced) {
            memmove(out, p, len);
            out += len;
        }
        p += len;
    }
    *out = '\0';
    assert_false(fenced);
}

static void test_report__markdown_stays_markdown(void **state)
{
    struct fixture *f = *state;
    char *text;

    make_hostile(f);
    text = report(f, NULL, "r.md");
    assert_null(strchr(text, '\x1b'));
    drop_fenced(text);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "\n# h"));
    assert_null(strstr(text, "[z](http"));
    check_tables(text);
    free(text);
}

/* What the page's sliders are made from. */
static cJSON *walks(const char *page)
{
    const char *from = strstr(page, "<script type=\"application/json\">");
    cJSON *doc;

    assert_non_null(from);
    doc = cJSON_ParseWithOpts(strchr(from, '>') + 1, &from, false);
    assert_non_null(doc);
    assert_memory_equal(from, "</script>", 9);
    return doc;
}

static cJSON *step_of(cJSON *doc, const char *scenario, int step)
{
    cJSON *run;

    cJSON_ArrayForEach (run, cJSON_GetObjectItem(doc, "runs"))
        if (strcmp(cJSON_GetObjectItem(run, "scenario")->valuestring, scenario) == 0)
            return cJSON_GetArrayItem(cJSON_GetObjectItem(run, "steps"), step - 1);
    fail_msg("no run of %s", scenario);
    return NULL;
}

static void test_report__page_has_all_in_it(void **state)
{
    struct fixture *f = *state;
    char *page = report(f, NULL, "r.html"), *again = report(f, NULL, "again.htm"), *text;
    cJSON *doc = walks(page), *regions;

    assert_string_equal(page, again);
    assert_int_equal(access(scratch_path(f->in.dir, "r.assets"), F_OK), -1);
    assert_int_equal(count(page, "<svg"), 1 + count(page, "<figure"));
    assert_int_equal(count(page, "id=\"hatch\""), 1);
    assert_contains(page, "<h2 id=\"words\">Words</h2>");
    assert_contains(page, "<div class=\"walk\" data-scenario=\"fork-write\">");
    regions = cJSON_GetObjectItem(step_of(doc, "fork-write", 4), "regions");
    text = cJSON_PrintUnformatted(cJSON_GetObjectItem(cJSON_GetArrayItem(regions, 0), "cells"));
    assert_string_equal(text, "[[0,3,\"debt\",1]]"); /* the parent's; frames F1 to F3 */
    free(text);
    text = cJSON_PrintUnformatted(cJSON_GetObjectItem(cJSON_GetArrayItem(regions, 1), "wrote"));
    assert_string_equal(text, "[0,3,0,0,0]"); /* the child's: copied */
    free(text);
    cJSON_Delete(doc);
    free(page);
    free(again);
}

static void test_report__page_lets_no_markup_through(void **state)
{
    struct fixture *f = *state;
    char *page;

    make_hostile(f);
    page = report(f, NULL, "r.html");
    assert_int_equal(count(page, "<script"), 2);
    assert_int_equal(count(page, "href=\"http"), 0);
    assert_null(strchr(page, '\x1b'));
    cJSON_Delete(walks(page));
    free(page);
}

/* A page that would not end leaves steps out, and says how many. */
static void test_report__page_is_bounded(void **state)
{
    struct fixture *f = *state;
    cJSON *doc, *run;
    char *page;
    int steps;

    change(f, "UPDATE region SET region = region || printf('%.*c', 200000, 'x')");
    page = report(f, f->fork, "r.html");
    doc = walks(page);
    run = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "runs"), 0);
    steps = cJSON_GetArraySize(cJSON_GetObjectItem(run, "steps"));
    assert_in_range(steps, 1, 6);
    assert_int_equal(steps + cJSON_GetObjectItem(run, "left")->valueint, 7);
    cJSON_Delete(doc);
    free(page);
}

static void test_report__hostile_pictures_are_xml(void **state)
{
    struct fixture *f = *state;
    DIR *d;
    struct dirent *entry;
    char sub[300], *text;

    make_hostile(f);
    free(report(f, NULL, "r.md"));
    d = opendir(scratch_path(f->in.dir, "r.assets"));
    while ((entry = readdir(d))) {
        if (!strstr(entry->d_name, ".svg"))
            continue;
        snprintf(sub, sizeof sub, "r.assets/%.200s", entry->d_name);
        text = slurp(scratch_path(f->in.dir, sub), NULL);
        if (support_xml_check(text, strlen(text)))
            fail_msg("%s is not XML from byte %d", sub, support_xml_check(text, strlen(text)));
        free(text);
    }
    closedir(d);
}

static void test_report__terminal_is_not_steered(void **state)
{
    struct fixture *f = *state;
    char *text;

    make_hostile(f);
    text = terminal(f, f->fork, false);
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\t'));
    free(text);
}

static void test_report__terminal_fits_80_columns(void **state)
{
    struct fixture *f = *state;
    const char *const runs[] = {f->fork, f->nobody, f->ool, f->options};

    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char *text = terminal(f, runs[i], false);

        /* Commands to type are not broken. */
        for (char *line = strtok(text, "\n"); line && strncmp(line, "next:", 5) != 0;
             line = strtok(NULL, "\n"))
            if (escape_width(line) > 80)
                fail_msg("%zu columns: %s", escape_width(line), line);
        free(text);
    }
}

static void test_report__terminal_shows_strips_and_outcomes(void **state)
{
    struct fixture *f = *state;
    char *text = terminal(f, f->fork, false), *colour = terminal(f, f->fork, true);

    assert_contains(text, "3 cow");
    assert_null(strstr(text, "CCC\n")); /* "3 cow" says as much */
    assert_contains(text, "wrote: 3 copied");
    assert_contains(text, "expectations: 7 held, 0 failed, 0 not checked");
    assert_contains(text, "cowlab report");
    assert_contains(colour, "\x1b[");
    free(text);
    free(colour);
}

static void test_report__json_has_everything(void **state)
{
    struct fixture *f = *state;
    cJSON *doc = json(f, f->ool);
    const cJSON *steps = cJSON_GetObjectItem(doc, "steps");
    const cJSON *row =
        cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetArrayItem(steps, 0), "timeline"), 0);

    assert_string_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "run"), "run_id")->valuestring,
                        f->ool);
    assert_int_equal(cJSON_GetArraySize(steps), 8);
    assert_string_equal(cJSON_GetObjectItem(row, "share_mode")->valuestring, "SM_EMPTY");
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(row, "pages")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "transfers")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "expectations")), 8);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "processes")) > 8);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "checks")) > 0);
    cJSON_Delete(doc);
}

/* Another connection takes everything away as soon as the processes are asked for. */
static int take_away(unsigned int what, void *other, void *statement, void *sql)
{
    (void)what;
    (void)statement;
    if (strstr(sql, "FROM footprint WHERE"))
        db_exec(other, "DELETE FROM process; DELETE FROM expectation");
    return 0;
}

static void test_report__json_is_of_one_moment(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    cJSON *doc;

    assert_int_equal(sqlite3_open(store_path(f->in.store), &other), SQLITE_OK);
    sqlite3_trace_v2(f->in.db, SQLITE_TRACE_STMT, take_away, other);
    doc = json(f, f->fork);
    sqlite3_trace_v2(f->in.db, 0, NULL, NULL);
    assert_int_equal(db_int(other, "SELECT count(*) FROM process"), 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "processes")) > 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "expectations")) > 0);
    cJSON_Delete(doc);
    sqlite3_close(other);
}

static void test_report__default_is_the_latest_complete_run(void **state)
{
    struct fixture *f = *state;
    struct support_options failed = {.pages = 2, .status = RUN_FAILED};
    struct support_options later = {.pages = 5};
    char broken[40], newer[40], *text, *line;

    assert_int_equal(support_fork_write(f->in.store, &later, newer, &f->e), 0);
    assert_int_equal(support_fork_write(f->in.store, &failed, broken, &f->e), 0);
    change(f, "UPDATE run SET started_at = started_at || 'z' WHERE run IN "
              "(SELECT run FROM region WHERE pages = 5)");
    text = brief(f, "r.md");
    line = line_with(strstr(text, "## fork-write"), "- **On linux:**");
    assert_contains(line, newer);
    free(line);
    assert_null(strstr(text, broken));
    free(text);
    text = report(f, broken, "r.md");
    line = line_with(strstr(text, "## fork-write"), "Run `");
    assert_contains(line, "(**cut short: failed after 7 steps");
    free(line);
    free(text);
}

/* A table that cannot be read to its end: no step is shown for which that may lack something. */
static void test_report__no_half_step_is_shown(void **state)
{
    struct fixture *f = *state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    db_exec(f->in.db, "CREATE TEMP VIEW page_run AS SELECT run, step, nr, first, count, frame, "
                      "mapcount, huge, inferred, "
                      "iif(step < 4, state, abs(-9223372036854775807 - 1)) AS state "
                      "FROM main.page_run");
    assert_true(report_timeline(f->in.store, f->fork, false, out, &f->e) < 0);
    fclose(out);
    assert_contains(f->e.msg, "integer overflow");
    assert_contains(text, "   2  populated");
    assert_null(strstr(text, "   4  receiver_wrote"));
    free(text);
    db_exec(f->in.db, "DROP VIEW temp.page_run");
}

/* A damaged database: what has no text is not shown as (null). */
static void test_report__words_that_are_none_are_told(void **state)
{
    static const char *const damage[] = {"region SET share_mode = 'x'", "page_run SET state = 'x'"};
    struct fixture *f = *state;

    db_exec(f->in.db, "PRAGMA ignore_check_constraints = 1");
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char *update = sqlite3_mprintf("SAVEPOINT before; UPDATE %s", damage[i]), *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        db_exec(f->in.db, update);
        assert_int_equal(report_timeline(f->in.store, f->fork, false, out, &f->e), -EIO);
        fclose(out);
        assert_contains(f->e.msg, "a word that is in none of its lists");
        assert_null(strstr(text, "(null)"));
        db_exec(f->in.db, "ROLLBACK TO before; RELEASE before");
        sqlite3_free(update);
        free(text);
    }
}

static void test_report__errors_name_their_subject(void **state)
{
    struct fixture *f = *state;
    const char *nothing = "20200101-000000-0000000000000000";

    assert_int_equal(
        report_markdown(f->in.store, &nothing, 1, scratch_path(f->in.dir, "r.md"), &f->e), -ENOENT);
    assert_contains(f->e.msg, nothing);
    assert_int_equal(
        report_markdown(f->in.store, NULL, 0, scratch_path(f->in.dir, "no/such/r.md"), &f->e),
        -ENOENT);
    assert_contains(f->e.msg, "no/such/r.md");
    /* A place that is a directory: nothing is made beside it. */
    assert_int_equal(mkdir(scratch_path(f->in.dir, "taken"), 0777), 0);
    assert_int_equal(report_markdown(f->in.store, NULL, 0, scratch_path(f->in.dir, "taken"), &f->e),
                     -EISDIR);
    assert_int_equal(access(scratch_path(f->in.dir, "taken.assets"), F_OK), -1);
    assert_int_equal(report_timeline(f->in.store, nothing, false, stderr, &f->e), -ENOENT);
    assert_int_equal(report_json(f->in.store, nothing, stderr, &f->e), -ENOENT);
}

static void test_report__fork_and_ool_side_by_side(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, NULL, "r.md"), *line;

    line = line_with(strstr(text, "### fork-write and ool-write on linux"),
                     "Handing the memory over took");
    assert_contains(line, "3 pages copied after the fork, 6 pages out of line");
    free(line);
    free(text);
    change(f, "UPDATE step SET dur_ns = 1000000 WHERE phase = 'transferred'");
    text = report(f, NULL, "r.md");
    line = line_with(strstr(text, "### fork-write and ool-write on linux"),
                     "Handing the memory over took");
    assert_contains(line, "took 1.00 ms by fork");
    free(line);
    free(text);
}

/* Each of these sentences names the place where the figure is largest, wherever that is. */
static void test_report__the_most_is_the_most(void **state)
{
    static const struct {
        const char *sql, *sentence, *says;
    } cases[] = {
        {"UPDATE region SET debt = step - 3, exclusive = 6 - step WHERE debt = 3", "- **Debt.**",
         "parent.r held 2 pages in debt after step 5"},
        {NULL, "**Answer from this run.**", "After step 5 parent.r held 2 pages in debt"},
        {"UPDATE process SET rss_kb = rss_kb * 9 WHERE step = 5",
         "- **What the processes seem to use.**", "in fork-write on linux, step 5:"},
        /* The answer tells what the regions can be the cause of. */
        {"UPDATE step SET distinct_kb = (SELECT sum(rss_kb) FROM process AS p WHERE p.run = "
         "step.run "
         "AND p.step = step.step) - 20 * (step = 5)",
         "**Answer from this run.**", "of distinct frames (step 5)"},
        {"UPDATE step SET system_kb = system_kb - 5130 WHERE step = 4",
         "- **What the system uses.**", "MiB (fork-write on linux, step 4"},
        {"UPDATE region SET mapped = 2 - (step = 6) WHERE observed = 'parent' AND step > 4",
         "- **Resident but not mapped.**", "step 6: parent.r 3 in memory, 1 mapped"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text, *line;

        if (cases[i].sql)
            change(f, cases[i].sql);
        text = report(f, f->fork, "r.md");
        line = line_with(text, cases[i].sentence);
        assert_contains(line, cases[i].says);
        free(line);
        free(text);
    }
}

/* Of a long timeline rows are left out, but none that changed. */
static void test_report__a_long_timeline_shows_what_changed(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, f->options, "r.md");

    assert_contains(text, "that did not change since the step before left out.");
    assert_null(strstr(text, "| SM_SHARED |"));
    free(text);
    change(f,
           "UPDATE region SET share_mode = 'SM_SHARED' WHERE step >= 10 AND observed = 'receiver' "
           "AND case_name = 'VIRTUAL;PAGE;NO_FREE'");
    text = report(f, f->options, "r.md");
    assert_contains(text, "| SM_SHARED |");
    free(text);
}

/* Both halves of an out-of-line transfer count, and a part that is unknown leaves no bar. */
static void test_report__fork_beside_its_twin(void **state)
{
    static const char picture[] = "r.assets/fork-write-and-ool-write-linux-memory.svg";
    struct fixture *f = *state;
    char *text, *line, *before;

    change(f, "UPDATE step SET dur_ns = CASE phase WHEN 'transferred' THEN 1000000 ELSE 250000 END "
              "WHERE phase IN ('transferred', 'in_transit', 'received')");
    free(report(f, NULL, "r.md"));
    before = slurp(scratch_path(f->in.dir, picture), NULL);
    assert_null(strstr(before, ">unknown<"));
    change(f, "UPDATE step SET in_transit_kb = NULL WHERE phase = 'in_transit'");
    change(f, "INSERT INTO unknown (run, step, nr, quantity, why) SELECT run, step, 999, "
              "'in_transit_kb', 15 FROM step WHERE phase = 'in_transit'");
    text = report(f, NULL, "r.md");
    line = line_with(strstr(text, "### fork-write and ool-write on linux"), "Handing the memory");
    assert_contains(line, "1.00 ms by fork and 500.0 µs out of line, in one run each. ");
    free(line);
    free(text);
    text = slurp(scratch_path(f->in.dir, picture), NULL);
    assert_contains(text, ">unknown<");
    free(text);
    free(before);
}

static void test_report__published_rows_follow_the_data(void **state)
{
    struct fixture *f = *state;
    char *text = report(f, NULL, "r.md"), *line;

    line = line_with(text, "| VIRTUAL;PAGEx16;NO_FREE | SM_PRIVATE, 1, 1 |");
    assert_contains(line, "| SM_PRIVATE, 1, 1 (same) |");
    free(line);
    line = line_with(text, "- **Published values.**");
    assert_contains(line, "ool-options on linux, purgeable memory: 40 of 40 came out the "
                          "same by construction");
    assert_null(strstr(line, ", not "));
    free(line);
    /* What is compared where the numbers are not equal, and how to measure the rest. */
    line = line_with(text, "| same in pages | ool-options | VIRTUAL;PAGE;FREE | purgeable |");
    assert_contains(line, "| 32768 | 32768 | linux | 8192 | 2 and 2 |");
    free(line);
    assert_contains(text, "| cowlab run ool-options --param memory=ordinary | 40 |");
    assert_contains(text, "| cowlab run ool-two-large --param bytes=2147483648 | 7 |");
    assert_contains(text,
                    "| cowlab run ool-large --param bytes=268435456 --param deallocate=true |");
    assert_null(strstr(text, "| cowlab run ool-options --param memory=purgeable |"));
    assert_contains(text, "| not run | ool-options |");
    free(text);
    change(f, "UPDATE region SET share_mode = 'SM_SHARED' WHERE observed = 'receiver' "
              "AND case_name = 'VIRTUAL;PAGEx16;NO_FREE'");
    text = report(f, NULL, "r.md");
    line = line_with(text, "| VIRTUAL;PAGEx16;NO_FREE | SM_PRIVATE, 1, 1 |");
    assert_contains(line, "| SM_SHARED, 1, 1 (differs) |");
    free(line);
    line = line_with(text, "- **Published values.**");
    assert_contains(line, "39 of 40 came out the same by construction, not "
                          "VIRTUAL;PAGEx16;NO_FREE share mode of the receiver");
    free(line);
    free(text);
    /* What is not known is none of what came out the same, and says what it is of. */
    change(f, "UPDATE region SET share_mode = NULL WHERE observed = 'receiver' "
              "AND case_name LIKE 'VIRTUAL;PAGE%'");
    change(f, "UPDATE region SET ref_count = NULL WHERE observed = 'receiver' "
              "AND case_name = 'VIRTUAL;PAGE;FREE'");
    text = report(f, NULL, "r.md");
    line = line_with(text, "- **Published values.**");
    assert_contains(line, "ool-options on linux, purgeable memory: 35 of 40 came out the same by "
                          "construction, and 5 are not known here (4 share modes, 1 reference "
                          "count)");
    free(line);
    assert_contains(text, "\n| ool-options | linux | purgeable | share_mode | 8 | 4 | 0 | 4 |\n");
    free(text);
    /* Ordinary memory the layer treats by no rule of XNU's. */
    change(f, "UPDATE run SET params = json_set(params, '$.memory', 'ordinary') "
              "WHERE scenario = 'ool-options'");
    text = report(f, NULL, "r.md");
    line = line_with(text, "- **Published values.**");
    assert_contains(line, "ool-options on linux, ordinary memory: ");
    assert_null(strstr(line, "came out the same by construction"));
    free(line);
    free(text);
}

/* Of ordinary memory nothing is published: what agrees there agrees with a prediction. */
static void test_report__agreement_with_a_prediction_is_called_that(void **state)
{
    struct fixture *f = *state;
    struct support_options ordinary = {.memory = "ordinary"};
    char run[40], *text, *line;

    assert_int_equal(support_ool_options(f->in.store, &ordinary, run, &f->e), 0);
    text = report(f, NULL, "r.md");
    line = line_with(text, "- **Published values.**");
    assert_contains(line, "ordinary memory: 40 of 40 came out as predicted (nothing is "
                          "published of it)");
    assert_contains(line, "purgeable memory: 40 of 40 came out the same by construction");
    free(line);
    free(text);
}

static void test_report__numbers_carry_units(void **state)
{
    char buf[FORMAT_MAX];

    (void)state;
    assert_string_equal(format_count(buf, 1234567), "1,234,567");
    assert_string_equal(format_count(buf, -1000), "-1,000");
    assert_string_equal(format_kb(buf, 812), "812 KiB");
    assert_string_equal(format_kb(buf, 262144), "256.0 MiB");
    assert_string_equal(format_ns(buf, 12345), "12.3 µs");
    assert_string_equal(format_tick(buf, UNIT_KB, 262144), "256 MiB");
    assert_string_equal(format_noun(buf, 1, "page"), "1 page");
    assert_string_equal(format_noun(buf, 0, "page"), "0 pages");
}

static void test_report__text_is_cut_by_characters(void **state)
{
    char out[64] = "";
    FILE *f = fmemopen(out, sizeof out, "w");

    (void)state;
    escape_terminal_field(f, "äöüäöü", 4, 0);
    fputc('|', f);
    escape_terminal_field(f, "ab", 4, 1);
    fclose(f);
    assert_string_equal(out, "äöü…|  ab");
}

static void test_report__ascii_takes_as_many_columns(void **state)
{
    char out[64] = "", time[FORMAT_MAX];
    FILE *f = fmemopen(out, sizeof out, "w");

    (void)state;
    escape_ascii = true;
    escape_terminal_field(f, "äöüäöü", 4, 0);
    escape_terminal(f, "|3–4 µ…→");
    fclose(f);
    assert_string_equal(out, "???.|3-4 u.?");
    assert_string_equal(format_ns(time, 12345), "12.3 us");
    escape_ascii = false;
}

/* A region of which a quarter was touched, here and there: strip, legend and width. */
static char *sparse_strip(void)
{
    struct page_run runs[64];
    struct obs_region region = {
        .observed = "p", .region = "r", .runs = runs, .nruns = 64, .needs_copy = -1};
    struct observation obs = {.regions = &region, .nregions = 1};
    struct step_record step = {
        .step = 1, .phase = "mapped", .actor = "p", .action = "map", .region = "r", .obs = &obs};
    struct timeline *t;
    struct err e;
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (int q = 0; q < RQ__COUNT; q++)
        region.q[q] = value_na();
    for (uint64_t i = 0; i < 64; i++)
        runs[i] = (struct page_run){.first = 4 * i, .count = 1, .state = PS_EXCLUSIVE};
    region.q[RQ_PAGES] = value_known(256);
    region.q[RQ_NONE] = value_known(192);
    region.q[RQ_EXCLUSIVE] = value_known(64);
    t = timeline_new(false, f);
    assert_int_equal(timeline_step(t, &step, &e), 0);
    step.step = 2; /* again: the legend is not */
    assert_int_equal(timeline_step(t, &step, &e), 0);
    timeline_free(t);
    fclose(f);
    return text;
}

static void test_report__no_touched_page_shows_as_none(void **state)
{
    char *text, *legend;

    (void)state;
    unsetenv("COLUMNS");
    text = sparse_strip();
    assert_contains(text, "\n         eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n");
    legend = strstr(text, "lower case: mixed");
    assert_non_null(legend);
    assert_null(strstr(legend + 1, "lower case: mixed"));
    free(text);
    setenv("COLUMNS", "300", 1); /* wide enough for 234 cells, of 2 pages each */
    text = sparse_strip();
    assert_contains(text, "e.e.e.e.e.e.");
    unsetenv("COLUMNS");
    free(text);
}

/* At the beginning of a line others' text is no list, no code, no heading. */
static void test_report__text_begins_no_block(void **state)
{
    static const char *const texts[][2] = {{"1. One page", "1\\. One page"},
                                           {"12) pages", "12\\) pages"},
                                           {"    four spaces", "four spaces"},
                                           {"  - an item", "\\- an item"},
                                           {"1.5 times", "1.5 times"}};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char out[64] = "";
        FILE *f = fmemopen(out, sizeof out, "w");

        escape_markdown(f, texts[i][0]);
        fclose(f);
        assert_string_equal(out, texts[i][1]);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(test_report__##name, setup, stored_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(same_database_same_bytes),
        T(each_picture_that_is_linked_exists),
        T(a_page_leads_with_answers),
        T(sections_have_links_of_their_own),
        T(a_page_has_nothing_that_tells_nothing),
        T(footprints_that_are_unknown_are_not_alike),
        T(machine_is_told_as_far_as_it_matters),
        T(pictures_of_two_runs_keep_apart),
        T(sentences_follow_the_data),
        T(the_scenarios_own_answer_is_the_answer),
        T(isolation_follows_the_checks),
        T(stray_bytes_are_a_finding),
        T(a_differing_check_is_shown),
        T(strips_follow_the_data),
        T(failed_expectations_come_first),
        T(unknown_is_never_zero),
        T(unknown_is_never_nobody),
        T(sums_leave_unknown_writes_out),
        T(a_part_of_an_outcome_is_told),
        T(what_was_concluded_is_marked),
        T(predictions_are_a_finding),
        T(markdown_stays_markdown),
        T(page_has_all_in_it),
        T(page_lets_no_markup_through),
        T(page_is_bounded),
        T(hostile_pictures_are_xml),
        T(terminal_is_not_steered),
        T(terminal_fits_80_columns),
        T(terminal_shows_strips_and_outcomes),
        T(json_has_everything),
        T(json_is_of_one_moment),
        T(default_is_the_latest_complete_run),
        T(no_half_step_is_shown),
        T(words_that_are_none_are_told),
        T(errors_name_their_subject),
        T(fork_and_ool_side_by_side),
        T(the_most_is_the_most),
        T(a_long_timeline_shows_what_changed),
        T(fork_beside_its_twin),
        T(published_rows_follow_the_data),
        T(agreement_with_a_prediction_is_called_that),
        cmocka_unit_test(test_report__numbers_carry_units),
        cmocka_unit_test(test_report__text_is_cut_by_characters),
        cmocka_unit_test(test_report__text_begins_no_block),
        cmocka_unit_test(test_report__ascii_takes_as_many_columns),
        cmocka_unit_test(test_report__no_touched_page_shows_as_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
