/* The schema against the words it is made of: probes/words.h there and back, the names that users
 * rely on, the reference of every view column, merging, migrating. */
#include "db/embedded.h"
#include "lab/backends.h"
#include "tests/support/db.h"
#include "tests/support/rewrite.h"
#include "tests/support/runs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct stored in;
    char fork_run[40], ool_run[40];
};

static int set_up(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct err e;

    if (support_fork_write(f->in.store, NULL, f->fork_run, &e) != 0 ||
        support_ool_write(f->in.store, NULL, f->ool_run, &e) != 0)
        fail_msg("%s", e.msg);
    *state = f;
    return 0;
}

/* -- CHECK lists ------------------------------------------------------------------------ */

/* "column IN ('a', 'b')" of a table's text, as "|a|b|". */
static void check_list(sqlite3 *db, const char *table, const char *column, char *out, size_t size)
{
    char *sql = sqlite3_mprintf("SELECT sql FROM sqlite_schema WHERE name = %Q", table);
    char *start = sqlite3_mprintf("(%s IN (", column);
    const char *text = db_text(db, sql), *p = strstr(text, start);
    size_t n = 0;

    if (!p)
        fail_msg("no CHECK list for %s.%s", table, column);
    out[n++] = '|';
    for (p += strlen(start); *p != ')'; p++) {
        if (*p == '\'' && p[1] != ',' && p[1] != ')')
            while (*++p != '\'' && n < size - 2)
                out[n++] = *p;
        if (out[n - 1] != '|')
            out[n++] = '|';
    }
    out[n] = '\0';
    sqlite3_free(sql);
    sqlite3_free(start);
}

static void expect_list(sqlite3 *db, const char *table, const char *column, const struct word *list)
{
    char found[1024], expected[1024] = "|";

    for (; list->text; list++) {
        strcat(expected, list->text);
        strcat(expected, "|");
    }
    check_list(db, table, column, found, sizeof found);
    if (strcmp(found, expected) != 0)
        fail_msg("%s.%s allows %s, probes/words.h has %s", table, column, found, expected);
}

static void test_schema__check_lists_are_the_word_tables(void **state)
{
    struct fixture *f = *state;
    static const struct word statuses[] = {{1, "running", NULL}, {2, "complete", NULL},
                                           {3, "failed", NULL},  {4, "interrupted", NULL},
                                           {5, "crashed", NULL}, {0, NULL, NULL}};
    struct word protections[9] = {{0, NULL, NULL}};
    char text[8][4];

    for (int i = 0; i < 8; i++)
        protections[i] = (struct word){i, protection_text(i, text[i]), NULL};
    expect_list(f->in.db, "region", "share_mode", share_modes);
    expect_list(f->in.db, "watch_region", "kind", region_kinds);
    expect_list(f->in.db, "region", "write_outcome", write_outcomes);
    expect_list(f->in.db, "region", "inheritance", inherits);
    expect_list(f->in.db, "region", "protection", protections);
    expect_list(f->in.db, "page_run", "state", page_states);
    expect_list(f->in.db, "step", "phase", phases);
    expect_list(f->in.db, "run", "status", statuses);
}

/* A schema that dropped a CHECK would let the last word in. */
static void expect_words(sqlite3 *db, const char *table, const char *column,
                         const struct word *list)
{
    char *put = sqlite3_mprintf("UPDATE %s SET %s = ?", table, column);
    sqlite3_stmt *st = NULL;
    int rc;

    assert_int_equal(sqlite3_prepare_v2(db, put, -1, &st, NULL), SQLITE_OK);
    for (; list->text; list++) {
        sqlite3_bind_text(st, 1, list->text, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
        if (rc != SQLITE_DONE)
            fail_msg("%s.%s refuses '%s'", table, column, list->text);
        sqlite3_reset(st);
    }
    sqlite3_bind_text(st, 1, "no such word", -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(st) & 0xff, SQLITE_CONSTRAINT);
    sqlite3_finalize(st);
    sqlite3_free(put);
}

static void test_schema__takes_every_word_and_no_other(void **state)
{
    struct fixture *f = *state;

    db_exec(f->in.db, "BEGIN");
    expect_words(f->in.db, "region", "share_mode", share_modes);
    expect_words(f->in.db, "region", "write_outcome", write_outcomes);
    expect_words(f->in.db, "region", "inheritance", inherits);
    expect_words(f->in.db, "page_run", "state", page_states);
    expect_words(f->in.db, "step", "phase", phases);
    db_exec(f->in.db, "ROLLBACK");
}

static void expect_columns(sqlite3 *db, const char *table, const struct quantity *list)
{
    for (; list->column; list++) {
        char *sql = sqlite3_mprintf("SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q",
                                    table, list->column);

        if (db_int(db, sql) != 1)
            fail_msg("table %s has no column %s", table, list->column);
        sqlite3_free(sql);
    }
}

static void test_schema__has_a_column_per_quantity(void **state)
{
    struct fixture *f = *state;

    expect_columns(f->in.db, "region", region_quantities);
    expect_columns(f->in.db, "process", process_quantities);
    expect_columns(f->in.db, "step", total_quantities);
}

static void test_schema__reasons_are_the_words(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    for (const struct word *w = unknown_reasons; w->text; w++, n++) {
        char *sql = sqlite3_mprintf("SELECT count(*) FROM reason WHERE code = %d AND reason = %Q "
                                    "AND ifnull(unlocks, '') = %Q",
                                    w->code, w->text, w->label);

        assert_int_equal(db_int(f->in.db, sql), 1);
        sqlite3_free(sql);
    }
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM reason"), n);
}

/* Rows of two machines must be able to meet in one file. */
static void test_schema__tables_are_strict_and_have_no_row_ids_of_their_own(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(db_text(f->in.db, "SELECT group_concat(name) FROM pragma_table_list "
                                          "WHERE schema = 'main' AND type = 'table' AND NOT strict "
                                          "AND name NOT LIKE 'sqlite_%'"),
                        "NULL");
    /* An INTEGER PRIMARY KEY is the row id: allowed where the key is the run's or series' random
     * number, or where the rows are the program's own words. */
    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_list "
                          "WHERE schema = 'main' AND type = 'table' AND NOT wr "
                          "AND name NOT LIKE 'sqlite_%' ORDER BY name)"),
        "content,published_backend,published_difference,published_value,reason,run,series");
}

/* What a report calls a backend, and whether it has purgeable memory, is what the backend says. */
static void test_schema__published_backends_are_called_what_they_call_themselves(void **state)
{
    struct fixture *f = *state;

    assert_true(db_int(f->in.db, "SELECT count(*) FROM published_backend") > 0);
    for (size_t i = 0; backend_abilities[i]; i++) {
        const struct ability *a = backend_abilities[i];
        char sql[256];

        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM published_backend WHERE backend = '%s' AND label = '%s' "
                 "AND purgeable = %d",
                 a->name, a->label, !ability_refuses(a->no_kinds, MK_PURGEABLE));
        assert_int_equal(db_int(f->in.db, sql), 1);
    }
}

/* -- views ------------------------------------------------------------------------------ */

struct contract {
    const char *view, *columns;
};

/* What users and checks rely on: further columns may come, none of these may go. */
static const struct contract contracts[] = {
    {"runs", "run_id scenario backend params kernel page_size status started_at duration_ms"},
    {"timeline",
     "run_id scenario backend step phase actor action observed region case_name share_mode "
     "ref_count pages entry_pages resident mapped none zero exclusive cow debt object shared "
     "swapped huge at_risk write_outcome first_touch copied reused no_fault protection inheritance "
     "rss_kb pss_kb uss_kb system_kb distinct_kb t_ns"},
    {"footprint",
     "run_id step actor rss_kb pss_kb uss_kb peak_kb pagetable_kb minflt majflt dur_ns"},
    {"footprint_vs_system",
     "run_id step sum_rss_kb sum_pss_kb sum_uss_kb distinct_kb object_only_kb in_transit_kb "
     "superseded_kb pagetable_kb system_kb system_source system_tolerance_kb residual_kb"},
    {"fork_vs_ool", "fork_run_id ool_run_id phase fork_time_ns ool_time_ns fork_minflt ool_minflt "
                    "fork_copied ool_copied fork_mapped ool_mapped fork_resident ool_resident "
                    "fork_rss_kb ool_rss_kb fork_system_kb ool_system_kb"},
    {"sharing", "run_id step actor_a actor_b region_frames frames"},
    {"transfers", "run_id step asked received done deallocate size why"},
    {"expectations", "run_id step observed key expected measured result reason line"},
    {"unknowns", "run_id step observed region case_name quantity reason unlocks"},
    {"checks", "run_id step name observed region left_value right_value tolerance verdict detail"},
    {"latencies", "run_id step actor part since n p50_ns p99_ns p999_ns max_ns gap_ns cost_ns "
                  "empty_ns"},
    {"latency_buckets", "run_id step part since n low_ns high_ns count upto value_ns"},
    {"snapshots",
     "run_id step actor region way pages rate cpus still_ns take_ns readout_ns consistent "
     "torn_pages copied_pages before_kb peak_kb p99_before_ns p99_during_ns max_during_ns"},
    {"probe_cost", "run_id step probe dur_ns calls bytes faults_induced"},
    {"published",
     "source scenario case_name memory observed quantity unit page_size published predicted "
     "backend run_id step measured same reason"},
};

static void test_schema__views_keep_their_columns(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof contracts / sizeof *contracts; i++) {
        char *columns = strdup(contracts[i].columns), *save = NULL;

        for (char *c = strtok_r(columns, " ", &save); c; c = strtok_r(NULL, " ", &save)) {
            char *sql = sqlite3_mprintf(
                "SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q", contracts[i].view, c);

            if (db_int(f->in.db, sql) != 1)
                fail_msg("view %s has no column %s", contracts[i].view, c);
            sqlite3_free(sql);
        }
        free(columns);
    }
}

static void test_schema__every_view_runs(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *st = NULL;
    int n = 0;

    sqlite3_prepare_v2(f->in.db, "SELECT name FROM sqlite_schema WHERE type = 'view'", -1, &st,
                       NULL);
    while (sqlite3_step(st) == SQLITE_ROW) {
        char *sql = sqlite3_mprintf("SELECT count(*) FROM (SELECT * FROM \"%w\" WHERE 1)",
                                    sqlite3_column_text(st, 0));

        db_int(f->in.db, sql);
        sqlite3_free(sql);
        n++;
    }
    sqlite3_finalize(st);
    assert_true(n >= 12);
}

/* -- db/REFERENCE.md: what stands above each view in the schema ---------------------------- */

#define REFERENCE "db/REFERENCE.md"

/* A comment of whole lines, each "-- ": text, then "--   column: meaning", which "--     " goes on.
 */
struct comment {
    const char *start, *end;
};

static struct comment comment_above(const char *text, const char *line)
{
    struct comment c = {line, line};

    while (c.start > text) {
        const char *before = c.start - 1;

        while (before > text && before[-1] != '\n')
            before--;
        if (strncmp(before, "--", 2) != 0)
            break;
        c.start = before;
    }
    return c;
}

static struct comment comment_below(const char *line)
{
    struct comment c = {line, line};

    while (strncmp(c.end, "--", 2) == 0)
        c.end += strcspn(c.end, "\n") + 1;
    return c;
}

static bool is_column(const char *line)
{
    size_t n = strncmp(line, "--   ", 5) == 0
                   ? strspn(line + 5, "abcdefghijklmnopqrstuvwxyz0123456789_")
                   : 0;

    return n > 0 && line[5 + n] == ':';
}

/* One line and those that go on with it, without their marks. */
static const char *print_lines(FILE *out, const char *line, const char *end, size_t mark,
                               const char *next_mark)
{
    do {
        size_t len = strcspn(line, "\n");

        fprintf(out, "%.*s", (int)(len - mark), line + mark);
        line += len + 1;
        mark = strlen(next_mark);
        if (line < end && strncmp(line, next_mark, mark) == 0 && !is_column(line))
            fputc(' ', out);
        else
            break;
    } while (line < end);
    return line;
}

/* What a comment says of a column; malloc'd, NULL: nothing. */
static char *meaning(struct comment c, const char *column)
{
    size_t n = strlen(column), len;
    char *text = NULL;
    FILE *out;

    for (const char *line = c.start; line < c.end; line += strcspn(line, "\n") + 1)
        if (is_column(line) && strncmp(line + 5, column, n) == 0 && line[5 + n] == ':') {
            out = open_memstream(&text, &len);
            print_lines(out, line, c.end, 5 + n + 2, "--     ");
            fclose(out);
            break;
        }
    return text;
}

static void print_row(FILE *out, const char *column, char *text)
{
    fprintf(out, "| `%s` | %s |\n", column, text);
    free(text);
}

/* Every column of a view has a meaning, its own or that of every view, and nothing else has. */
static void print_view(FILE *out, sqlite3 *db, const char *view, struct comment own,
                       struct comment all)
{
    char *sql = sqlite3_mprintf("SELECT name FROM pragma_table_info(%Q) ORDER BY cid", view), *text;
    char also[512] = "";
    int said = 0, rows = 0;
    sqlite3_stmt *st;

    fprintf(out, "\n### %s\n\n", view);
    if (own.start == own.end || is_column(own.start))
        fail_msg("nothing is said of view %s", view);
    print_lines(out, own.start, own.end, 3, "-- ");
    fputs("\n\n| column | meaning |\n|---|---|\n", out);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(st, 0);
        bool everywhere = (text = meaning(all, column)) != NULL;

        free(text);
        if ((text = meaning(own, column))) {
            print_row(out, column, text);
            rows++;
        } else if (everywhere) {
            sprintf(also + strlen(also), "%s`%s`", *also ? ", " : "", column);
        } else {
            fail_msg("not documented: %s.%s", view, column);
        }
    }
    if (*also)
        fprintf(out, "\nAs in every view: %s.\n", also);
    for (const char *line = own.start; line < own.end; line += strcspn(line, "\n") + 1)
        said += is_column(line);
    if (said != rows)
        fail_msg("view %s has %d of the %d columns that are described", view, rows, said);
    sqlite3_finalize(st);
    sqlite3_free(sql);
}

static void print_columns(FILE *out, struct comment c)
{
    fputs("| column | meaning |\n|---|---|\n", out);
    for (const char *line = c.start; line < c.end; line += strcspn(line, "\n") + 1)
        if (is_column(line)) {
            char *column = strndup(line + 5, strcspn(line + 5, ":"));

            print_row(out, column, meaning(c, column));
            free(column);
        }
}

static int print_views(FILE *out, sqlite3 *db, const char *text, struct comment all)
{
    static const char create[] = "\nCREATE VIEW ";
    int n = 0;

    for (const char *p = text; (p = strstr(p, create)); p += strlen(create)) {
        const char *name = p + strlen(create);
        char *view = strndup(name, strcspn(name, " "));

        print_view(out, db, view, comment_above(text, p + 1), all);
        free(view);
        n++;
    }
    return n;
}

static void test_schema__the_reference_says_what_stands_above_each_view(void **state)
{
    struct fixture *f = *state;
    struct comment all = {NULL, NULL};
    char *text = tree_text(REFERENCE), *wanted;
    size_t len;
    FILE *out = open_memstream(&wanted, &len);
    int n = 0;

    fputs("# Reference of the views\n\nMade of the comments in `schema/9xx-*.sql`: change those, "
          "then "
          "`REWRITE=1 build/release/tests/unit/test_schema` writes this file.\n\n"
          "`*_kb` are KiB, `*_bytes` bytes, page counts bare, `*_ns` nanoseconds. "
          "In every view these columns mean the same:\n\n",
          out);
    for (const struct embedded_text *t = embedded_sql; t->path; t++) {
        if (strncmp(t->path, "db/schema/9", 11) != 0)
            continue;
        if (!all.start) { /* the first one's */
            all = comment_below(strstr(t->text, "\n\n--") + 2);
            print_columns(out, all);
        }
        n += print_views(out, f->in.db, t->text, all);
    }
    fclose(out);
    assert_int_equal(n, db_int(f->in.db, "SELECT count(*) FROM sqlite_schema WHERE type = 'view'"));
    tree_is_or_rewrite(REFERENCE, text, wanted);
    free(wanted);
    free(text);
}

/* Text codes only: whoever reads a view sees words. */
static void test_schema__timeline_shows_words_in_step_order(void **state)
{
    struct fixture *f = *state;
    char *sql = sqlite3_mprintf(
        "SELECT group_concat(step || ' ' || phase || ' ' || observed || ' ' || share_mode, ', ') "
        "FROM (SELECT * FROM timeline WHERE run_id = %Q)",
        f->ool_run);

    assert_string_equal(db_text(f->in.db, sql),
                        "1 mapped sender SM_EMPTY, 2 populated sender SM_PRIVATE, "
                        "3 in_transit sender SM_COW, 3 in_transit message SM_COW, "
                        "4 received sender SM_COW, 4 received receiver SM_COW, "
                        "5 receiver_wrote sender SM_COW, 5 receiver_wrote receiver SM_COW, "
                        "6 settled sender SM_COW, 6 settled receiver SM_COW, "
                        "7 sender_wrote sender SM_COW, 7 sender_wrote receiver SM_COW, "
                        "8 settled sender SM_COW, 8 settled receiver SM_COW");
    sqlite3_free(sql);
}

static void test_schema__actor_is_who_acted_and_observed_whose_region_it_is(void **state)
{
    struct fixture *f = *state;
    char *sql = sqlite3_mprintf("SELECT actor || ' ' || observed || ' ' || rss_kb FROM timeline "
                                "WHERE run_id = %Q AND step = 4 AND observed = 'parent'",
                                f->fork_run);

    assert_string_equal(db_text(f->in.db, sql), "child parent 304");
    sqlite3_free(sql);
}

/* residual = system - (distinct - file part + object only + in transit + page tables) */
static void test_schema__residual_adds_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint_vs_system WHERE residual_kb "
                                      "IS NOT system_kb - (distinct_kb - distinct_file_kb + "
                                      "object_only_kb + in_transit_kb + pagetable_kb)"),
                     0);
    assert_int_equal(db_int(f->in.db, "SELECT max(abs(residual_kb)) FROM footprint_vs_system"), 12);
    db_exec(f->in.db, "UPDATE step SET distinct_file_kb = NULL, in_transit_kb = NULL");
    /* Does not apply: adds nothing. */
    assert_int_equal(db_int(f->in.db, "SELECT count(residual_kb) FROM footprint_vs_system"), 15);
    /* Unknown: then the residual is unknown. */
    db_exec(f->in.db, "INSERT INTO unknown SELECT run, step, 0, NULL, NULL, NULL, "
                      "'in_transit_kb', 2 FROM step WHERE step = 3");
    assert_int_equal(db_int(f->in.db, "SELECT count(residual_kb) FROM footprint_vs_system"), 13);
}

static void test_schema__a_sum_with_an_unknown_part_is_unknown(void **state)
{
    struct fixture *f = *state;

    db_exec(f->in.db, "UPDATE process SET pss_kb = NULL WHERE actor = 'child' AND step = 4");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint_vs_system "
                                      "WHERE sum_pss_kb IS NULL"),
                     1);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM footprint_vs_system "
                                      "WHERE sum_rss_kb IS NULL"),
                     0);
}

/* -- fork against out of line ----------------------------------------------------------- */

static void test_schema__fork_and_ool_line_up_phase_by_phase(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        db_text(f->in.db, "SELECT group_concat(phase || ' ' || ifnull(fork_step, '-') || '/' || "
                          "ifnull(ool_step, '-') || ' ' || ifnull(fork_copied, '-') || '/' || "
                          "ifnull(ool_copied, '-'), ', ') FROM (SELECT * FROM fork_vs_ool)"),
        "mapped 1/1 -/-, populated 2/2 0/0, in_transit -/3 -/-, transferred 3/4 -/-, "
        "receiver_wrote 4/5 1/1, settled 5/6 -/-, sender_wrote 6/7 0/1, settled 7/8 -/-");
    assert_string_equal(db_text(f->in.db, "SELECT DISTINCT fork_run_id FROM fork_vs_ool"),
                        f->fork_run);
}

static void test_schema__fork_vs_ool_takes_the_latest_pair_of_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct support_options three = {.pages = 3}, other = {.pages = 3, .page_size = 16384};
    char newer[40], ool[40], twin[40];
    struct err e;

    assert_int_equal(support_fork_write(f->in.store, NULL, newer, &e), 0);
    assert_string_equal(db_text(f->in.db, "SELECT DISTINCT fork_run_id FROM fork_vs_ool"), newer);
    /* Not complete, other bytes, other page size: no pair. */
    assert_int_equal(
        support_fork_write(f->in.store, &(struct support_options){.status = RUN_FAILED}, ool, &e),
        0);
    assert_int_equal(support_fork_write(f->in.store, &three, twin, &e), 0);
    assert_int_equal(support_ool_write(f->in.store, &other, ool, &e), 0);
    assert_string_equal(db_text(f->in.db, "SELECT DISTINCT fork_run_id FROM fork_vs_ool"), newer);
    assert_int_equal(support_ool_write(f->in.store, &three, ool, &e), 0);
    assert_string_equal(db_text(f->in.db, "SELECT DISTINCT fork_run_id FROM fork_vs_ool"), twin);
    assert_string_equal(db_text(f->in.db, "SELECT DISTINCT ool_run_id FROM fork_vs_ool"), ool);
}

/* A newer run takes its place in the pair if it is alike in all that makes a pair, and only then.
 */
static void test_schema__fork_vs_ool_pairs_what_is_alike(void **state)
{
#define OF_IT " WHERE run = (SELECT run FROM newer)"
    static const struct {
        const char *what, *sql;
        bool fork, pairs;
    } cases[] = {
        {"the same again", "SELECT 1", false, true},
        {"a fork again", "SELECT 1", true, true},
        {"another twin", "UPDATE run SET scenario = 'ool-other'" OF_IT, false, true},
        {"no twin", "UPDATE run SET scenario = 'ool-other', twin = NULL" OF_IT, false, false},
        {"more bytes", "UPDATE region SET pages = 3" OF_IT, false, false},
        {"fewer bytes", "UPDATE region SET pages = 1" OF_IT, false, false},
        {"a fork of more bytes", "UPDATE region SET pages = 3" OF_IT, true, false},
        {"pages of another size",
         "UPDATE region SET pages = 1" OF_IT "; UPDATE run SET page_size = 8192" OF_IT, false,
         false},
        {"another backend", "UPDATE run SET backend = 'gnumach'" OF_IT, false, false},
        {"another value", "UPDATE run SET params = '{\"rounds\": 2}'" OF_IT, false, false},
        {"not complete", "UPDATE run SET status = 'failed'" OF_IT, false, false},
        {"nothing sent", "UPDATE step SET action = 'checkpoint'" OF_IT, false, false},
        {"a fork that sends too", "UPDATE step SET action = 'ool_send'" OF_IT " AND step = 1", true,
         false},
        {"no fork", "UPDATE step SET action = 'checkpoint'" OF_IT, true, false},
    };
    struct fixture *f = *state;

    db_exec(f->in.db, "UPDATE run SET started_at = '2026-01-01T00:00:00Z'");
    db_exec(f->in.db,
            "CREATE TEMP VIEW newer AS SELECT * FROM run ORDER BY started_at DESC LIMIT 1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char run[40];
        struct err e;
        int rc = cases[i].fork ? support_fork_write(f->in.store, NULL, run, &e)
                               : support_ool_write(f->in.store, NULL, run, &e);
        const char *fork = cases[i].fork && cases[i].pairs ? run : f->fork_run;
        const char *ool = !cases[i].fork && cases[i].pairs ? run : f->ool_run;

        assert_int_equal(rc, 0);
        db_exec(f->in.db, "UPDATE run SET params = '{\"rounds\": 1}'; UPDATE region SET pages = 2; "
                          "UPDATE run SET params = '{\"rounds\": 1, \"more\": 1}'" OF_IT);
        db_exec(f->in.db, cases[i].sql);
        if (strcmp(db_text(f->in.db, "SELECT fork_run_id FROM fork_ool_pairs"), fork) != 0 ||
            strcmp(db_text(f->in.db, "SELECT ool_run_id FROM fork_ool_pairs"), ool) != 0)
            fail_msg("%s: %s", cases[i].what, cases[i].pairs ? "no pair" : "a pair");
        db_exec(f->in.db, "DELETE FROM run" OF_IT);
    }
#undef OF_IT
}

static void test_schema__a_copied_count_that_is_unknown_stays_unknown(void **state)
{
    struct fixture *f = *state;

    db_exec(f->in.db,
            "UPDATE region SET copied = NULL WHERE step = 4; INSERT INTO unknown "
            "SELECT run, step, 0, 'child', 'r', NULL, 'copied', 2 FROM step WHERE step = 4");
    assert_string_equal(db_text(f->in.db, "SELECT fork_copied FROM fork_vs_ool "
                                          "WHERE phase = 'receiver_wrote'"),
                        "NULL");
}

/* -- transfers -------------------------------------------------------------------------- */

static void test_schema__a_descriptor_is_one_row_sent_and_received(void **state)
{
    struct fixture *f = *state;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM transfers WHERE run_id = %Q", f->ool_run);
    char received[40], transit[40];
    struct support_options stop = {.steps = 3};
    struct err e;

    assert_int_equal(db_int(f->in.db, sql), 1);
    assert_string_equal(db_text(f->in.db, "SELECT state || ' ' || step || ' ' || received "
                                          "FROM transfers"),
                        "received 4 virtual");
    assert_int_equal(support_ool_write(f->in.store, &stop, transit, &e), 0);
    assert_string_equal(db_text(f->in.db, "SELECT step FROM transfers WHERE state = 'in_transit' "
                                          "AND received IS NULL"),
                        "3");
    assert_int_equal(support_ool_options(f->in.store, NULL, received, &e), 0);
    /* What was asked, beside what the received descriptor says. */
    db_exec(f->in.db, "UPDATE transfer SET deallocate = 1 WHERE step = 2");
    assert_string_equal(db_text(f->in.db,
                                "SELECT sent_step || ' ' || step || ' ' || deallocate || ' ' "
                                "|| received_deallocate FROM transfers "
                                "WHERE case_name = 'VIRTUAL;PAGE;NO_FREE'"),
                        "1 2 0 1");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM transfers "
                                      "WHERE scenario = 'ool-options' AND state = 'received'"),
                     8);
    sqlite3_free(sql);
}

/* -- published -------------------------------------------------------------------------- */

#define SAME "SELECT count(*) FROM published WHERE same = "

static void test_schema__published_rows_follow_the_observations(void **state)
{
    struct fixture *f = *state;
    char run[40];
    struct err e;

    assert_int_equal(db_int(f->in.db, SAME "1 AND scenario = 'fork-write'"), 18);
    db_exec(f->in.db, "UPDATE region SET share_mode = 'SM_SHARED', ref_count = 7, resident = 5 "
                      "WHERE observed = 'parent' AND step = 5");
    assert_int_equal(db_int(f->in.db, SAME "0 AND scenario = 'fork-write'"), 3);
    assert_string_equal(db_text(f->in.db, "SELECT group_concat(measured) FROM published WHERE "
                                          "case_name = 'settle'"),
                        "SM_SHARED,7,5");
    /* A newer complete run takes over; one that failed does not. */
    assert_int_equal(support_fork_write(f->in.store, NULL, run, &e), 0);
    assert_int_equal(db_int(f->in.db, SAME "1 AND scenario = 'fork-write'"), 18);
}

static void test_schema__published_ignores_inferred_and_unknown_values(void **state)
{
    struct fixture *f = *state;

    db_exec(f->in.db, "UPDATE region SET inferred = 'cow ref_count' WHERE step = 3");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM published WHERE case_name = 'fork' AND "
                                      "same IS NULL AND measured IS NULL"),
                     1);
    db_exec(f->in.db, "UPDATE region SET share_mode = NULL WHERE step = 3");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM published WHERE case_name = 'fork' AND "
                                      "same IS NULL AND measured IS NULL"),
                     2);
}

static void test_schema__published_ool_rows_in_both_memory_modes(void **state)
{
    struct fixture *f = *state;
    struct support_options ordinary = {.memory = "ordinary", .page_size = 16384};
    char run[40];
    struct err e;

    assert_int_equal(support_ool_options(f->in.store, NULL, run, &e), 0);
    assert_int_equal(db_int(f->in.db, SAME "1 AND memory = 'purgeable'"), 40);
    assert_int_equal(db_int(f->in.db, "SELECT count(measured) FROM published "
                                      "WHERE memory = 'ordinary'"),
                     0);
    assert_int_equal(support_ool_options(f->in.store, &ordinary, run, &e), 0);
    assert_int_equal(db_int(f->in.db, SAME "1 AND memory = 'ordinary'"), 40);
    assert_string_equal(db_text(f->in.db,
                                "SELECT predicted || ' ' || measured FROM published WHERE "
                                "memory = 'ordinary' AND quantity = 'share_mode' AND "
                                "case_name = 'VIRTUAL;PAGEx16;NO_FREE'"),
                        "SM_COW SM_COW");
    /* Sizes compare in pages: 16384 published on 16 KiB pages, 4096 measured on 4 KiB pages. */
    assert_string_equal(db_text(f->in.db, "SELECT published || ' ' || measured || ' ' || same FROM "
                                          "published WHERE memory = 'purgeable' AND quantity = "
                                          "'region_size' AND case_name = 'VIRTUAL;PAGE;NO_FREE'"),
                        "16384 4096 1");
}

/* Of a run of another size, or that moved the memory, nothing is compared; sizes agree to the
 * tolerance. */
static void test_schema__published_sizes_compare_with_runs_of_that_size(void **state)
{
    static const char compared[] =
        "SELECT group_concat(case_name || ' ' || same, ', ') FROM published "
        "WHERE scenario = 'ool-large' AND run_id IS NOT NULL AND "
        "quantity = 'physical_footprint_peak_bytes' AND observed = 'sender'";
    struct support_options twice = {.page_size = 536870912, .scenario = "ool-large"};
    struct support_options as_published = {.page_size = 268435456, .scenario = "ool-large"};
    struct fixture *f = *state;
    char run[40];
    struct err e;

    assert_int_equal(support_ool_write(f->in.store, &twice, run, &e), 0);
    db_exec(f->in.db, "UPDATE step SET published = '256MB' WHERE step = 8; "
                      "UPDATE process SET peak_kb = 263400");
    assert_string_equal(db_text(f->in.db, compared), "NULL");
    assert_int_equal(support_ool_write(f->in.store, &as_published, run, &e), 0);
    db_exec(f->in.db, "UPDATE step SET published = '256MB' WHERE step = 8; "
                      "UPDATE process SET peak_kb = 263400");
    assert_string_equal(db_text(f->in.db, compared), "256MB 1");
    db_exec(f->in.db, "UPDATE process SET peak_kb = 260000");
    assert_string_equal(db_text(f->in.db, compared), "256MB 0");
    db_exec(f->in.db, "UPDATE transfer SET deallocate = 1; UPDATE process SET peak_kb = 262144");
    assert_string_equal(db_text(f->in.db, compared), "256MB;FREE 1");
}

static void test_schema__published_carries_every_row_of_the_source(void **state)
{
    static const struct {
        const char *which;
        int64_t rows;
    } sources[] = {{"scenario = 'fork-write'", 18},
                   {"scenario = 'ool-options' AND published IS NOT NULL", 40},
                   {"scenario = 'ool-large'", 15},
                   {"scenario = 'ool-two-large'", 7},
                   {"scenario = 'vmmap'", 8}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char sql[200];

        snprintf(sql, sizeof sql, "SELECT count(*) FROM published_value WHERE %s",
                 sources[i].which);
        assert_int_equal(db_int(f->in.db, sql), sources[i].rows);
    }
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM published WHERE length(reason) < 20"),
                     0);
}

/* -- whole files ------------------------------------------------------------------------ */

static void merge(sqlite3 *db)
{
    static const char *const tables[] = {
        "run",         "step",          "process",     "region",        "page_run", "object",
        "object_run",  "watch_process", "watch_event", "shared_frames", "transfer", "message",
        "expectation", "unknown",       "cross_check", "cost"};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char *sql =
            sqlite3_mprintf("INSERT INTO main.%s SELECT * FROM other.%s", tables[i], tables[i]);

        db_exec(db, sql);
        sqlite3_free(sql);
    }
}

static void test_schema__databases_merge_by_insert_select(void **state)
{
    struct fixture *f = *state;
    struct store *other = open_or_fail(scratch_path(f->in.dir, "b.db"), STORE_CREATE);
    char run[40];
    struct err e;

    assert_int_equal(support_fork_write(other, NULL, run, &e), 0);
    store_close(other);
    char *attach = sqlite3_mprintf("ATTACH %Q AS other", scratch_path(f->in.dir, "b.db"));
    db_exec(f->in.db, attach);
    sqlite3_free(attach);
    merge(f->in.db);
    db_exec(f->in.db, "DETACH other");
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM runs"), 3);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM timeline"), 12 + 14 + 12);
    assert_string_equal(db_text(f->in.db, "SELECT * FROM pragma_foreign_key_check"), "NULL");
    assert_string_equal(db_text(f->in.db, "PRAGMA integrity_check"), "ok");
}

static void test_schema__deleting_a_run_takes_its_rows_along(void **state)
{
    struct fixture *f = *state;

    db_exec(f->in.db, "DELETE FROM run");
    assert_int_equal(db_int(f->in.db,
                            "SELECT (SELECT count(*) FROM step) + (SELECT count(*) FROM "
                            "region) + (SELECT count(*) FROM page_run) + (SELECT count(*) "
                            "FROM object_run) + (SELECT count(*) FROM unknown)"),
                     0);
}

static void test_schema__views_of_another_text_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct store *s;

    db_exec(f->in.db, "DROP VIEW timeline; CREATE VIEW timeline AS SELECT 1 AS wrong; CREATE VIEW "
                      "gone AS SELECT 1; UPDATE content SET hash = 'another'");
    store_close(f->in.store);
    f->in.store = NULL;
    s = open_or_fail(scratch_path(f->in.dir, "t.db"), STORE_READ);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM timeline"), 26);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM sqlite_schema "
                                             "WHERE name = 'gone'"),
                     0);
    store_close(s);
}

/* A database as the program of that version left it, with one run in it. */
static void put_old_database(const char *path, int version)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (const struct embedded_text *t = embedded_sql; t->path; t++) {
        int number = strncmp(t->path, "db/schema/", 10) == 0 ? atoi(t->path + 10) : 0;

        if (number < 1 || number > version)
            continue;
        db_exec(db, t->text);
        assert_int_equal(db_int(db, "PRAGMA user_version"), number);
    }
    db_exec(db,
            "INSERT INTO run (run, run_id, scenario, backend, params, page_size, status, "
            "started_at) VALUES (1, '20260101-000000-0000000000000001', 'old', 'gnumach', '{}', "
            "4096, 'complete', '2026-01-01T00:00:00Z'); "
            "INSERT INTO step (run, step, phase, action, start_ns, dur_ns, t_ns) "
            "VALUES (1, 1, 'settled', 'write', 1, 1, 1); "
            "INSERT INTO region (run, step, nr, observed, region, runs_cut, write_outcome, cow, "
            "debt) VALUES (1, 1, 0, 'a', 'r', 0, 'mixed', 1, 2); "
            "INSERT INTO expectation (run, step, nr, observed, key, expected, measured, result) "
            "VALUES (1, 1, 0, 'a.r', 'debt', '2', '2', 'held')");
    if (version >= 4)
        db_exec(db, "UPDATE run SET ability = '{\"page_states\":\"concluded\"}'");
    sqlite3_close(db);
}

static void test_schema__every_older_version_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    int newest = (int)db_int(f->in.db, "PRAGMA user_version");

    for (int version = 1; version < newest; version++)
        for (int mode = STORE_CREATE; mode <= STORE_READ; mode++) {
            char *path = strdup(scratch_path(f->in.dir, "old.db"));
            struct store *s;

            put_old_database(path, version);
            s = open_or_fail(path, mode);
            assert_int_equal(db_int(store_handle(s), "PRAGMA user_version"), newest);
            assert_string_equal(db_text(store_handle(s), "SELECT scenario FROM runs"), "old");
            assert_string_equal(db_text(store_handle(s),
                                        "SELECT write_outcome || iif(swapped_in IS NULL, '', '?') "
                                        "|| ' ' || cow || ' ' || debt FROM timeline"),
                                version < 6 ? "mixed 3 0" : "mixed 1 2");
            /* What the run concluded stays as it did, in the words of its scenario. */
            assert_string_equal(db_text(store_handle(s), "SELECT key || ' ' || expected || ' ' || "
                                                         "measured || ' ' || result "
                                                         "FROM expectations"),
                                "debt 2 2 held");
            store_close(s);
            assert_int_equal(remove(path), 0);
            free(path);
        }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, stored_tear_down)
    const struct CMUnitTest tests[] = {
        T(test_schema__check_lists_are_the_word_tables),
        T(test_schema__takes_every_word_and_no_other),
        T(test_schema__has_a_column_per_quantity),
        T(test_schema__published_backends_are_called_what_they_call_themselves),
        T(test_schema__reasons_are_the_words),
        T(test_schema__tables_are_strict_and_have_no_row_ids_of_their_own),
        T(test_schema__views_keep_their_columns),
        T(test_schema__every_view_runs),
        T(test_schema__the_reference_says_what_stands_above_each_view),
        T(test_schema__timeline_shows_words_in_step_order),
        T(test_schema__actor_is_who_acted_and_observed_whose_region_it_is),
        T(test_schema__residual_adds_up),
        T(test_schema__a_sum_with_an_unknown_part_is_unknown),
        T(test_schema__fork_and_ool_line_up_phase_by_phase),
        T(test_schema__fork_vs_ool_takes_the_latest_pair_of_the_same_bytes),
        T(test_schema__fork_vs_ool_pairs_what_is_alike),
        T(test_schema__a_copied_count_that_is_unknown_stays_unknown),
        T(test_schema__a_descriptor_is_one_row_sent_and_received),
        T(test_schema__published_rows_follow_the_observations),
        T(test_schema__published_ignores_inferred_and_unknown_values),
        T(test_schema__published_ool_rows_in_both_memory_modes),
        T(test_schema__published_sizes_compare_with_runs_of_that_size),
        T(test_schema__published_carries_every_row_of_the_source),
        T(test_schema__databases_merge_by_insert_select),
        T(test_schema__deleting_a_run_takes_its_rows_along),
        T(test_schema__views_of_another_text_are_replaced),
        T(test_schema__every_older_version_is_brought_up_to_date),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
