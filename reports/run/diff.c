/* diff: two sides, each a run, a series or a database. What both have is put into temporary tables
 * beside each other (diff_side, diff_fact, diff_value); what comes of it is asked in SQL. What two
 * series differ in beyond their spread the view compared_ratios says, which reads its samples from
 * what stands under the name compared_values: a temporary copy of it finds those of diff. */
#include "reports/report.h"

#include "probes/json.h"
#include "reports/format.h"
#include "reports/run/json.h"
#include "reports/write/doc.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SHOWN 100 /* rows of db/report/diff-differing.sql; JSON has all */

static const char tables[] =
    "CREATE TEMP TABLE diff_side (side, scenario, backend, params, kernels, n, cut_short, runs, "
    "series, own_backend, own_params, machines);"
    "CREATE TEMP TABLE diff_fact (side, scenario, backend, params, step, phase, subject, nr, "
    "quantity, rank, low, high);"
    "CREATE TEMP TABLE diff_value (side, series, scenario, backend, params, emulated, part, "
    "lane, occurrence, quantity, value, runs)";
static const char drop_tables[] = "DROP TABLE IF EXISTS temp.diff_side;"
                                  "DROP TABLE IF EXISTS temp.diff_fact;"
                                  "DROP TABLE IF EXISTS temp.diff_value;"
                                  "DROP TABLE IF EXISTS temp.diff_found;"
                                  "DROP TABLE IF EXISTS temp.diff_spread;"
                                  "DROP VIEW IF EXISTS temp.compared_ratios;"
                                  "DROP VIEW IF EXISTS temp.interval_rule;"
                                  "DROP TABLE IF EXISTS temp.compared_values";

static int execute(sqlite3 *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return err_set(e, EIO, "cannot compare: %s", sqlite3_errmsg(db));
}

/* Every row of from into the statement into, whose last parameters its columns are. */
static void pour(struct query *from, struct query *into)
{
    int first = sqlite3_bind_parameter_count(into->stmt) - query_columns(from);

    while (into->rc == 0 && query_row(from)) {
        for (int i = 0; i < query_columns(from); i++)
            sqlite3_bind_value(into->stmt, first + i + 1, sqlite3_column_value(from->stmt, i));
        query_row(into);
        query_reset(into);
    }
}

static int close_both(struct query *a, struct query *b)
{
    int rc = query_close(a), late = query_close(b);

    return rc ? rc : late;
}

/* What a side has, into diff_side of db. */
static int pour_side(sqlite3 *db, int nr, const struct diff_side *side, struct err *e)
{
    struct query from, into;

    query_open(&into, db, "INSERT INTO diff_side VALUES (:side, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               e);
    query_bind_int(&into, ":side", nr);
    query_open(&from, store_handle(side->store), "db/report/diff-sides.sql", e);
    query_bind(&from, ":run", side->run_id);
    query_bind(&from, ":series", side->series_id);
    pour(&from, &into);
    return close_both(&from, &into);
}

/* The facts of each of its combinations, into diff_fact. */
static int pour_facts(sqlite3 *db, int nr, const struct diff_side *side, struct err *e)
{
    struct query each;
    int rc, closed;

    rc = query_open(&each, db, "SELECT * FROM diff_side WHERE side = :side", e);
    query_bind_int(&each, ":side", nr);
    while (rc == 0 && query_row(&each)) {
        struct query from, into;

        query_open(&into, db,
                   "INSERT INTO diff_fact VALUES (:side, :scenario, :backend, :params, ?, ?, ?, ?, "
                   "?, ?, ?, ?)",
                   e);
        query_bind_int(&into, ":side", nr);
        query_bind(&into, ":scenario", query_text(&each, "scenario"));
        query_bind(&into, ":backend", query_text(&each, "backend"));
        query_bind(&into, ":params", query_text(&each, "params"));
        query_ask(&from, store_handle(side->store), "db/report/diff-facts.sql", ":runs",
                  query_text(&each, "runs"), e);
        pour(&from, &into);
        rc = close_both(&from, &into);
    }
    closed = query_close(&each);
    return rc ? rc : closed;
}

static int pour_values(sqlite3 *db, int nr, const struct diff_side *side, struct err *e)
{
    struct query from, into, of;

    query_open(&into, db, "INSERT INTO diff_value VALUES (:side, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               e);
    query_bind_int(&into, ":side", nr);
    query_open(&from, store_handle(side->store), "db/report/diff-values.sql", e);
    if (query_ask(&of, db,
                  "SELECT json_group_array(DISTINCT series) FILTER (WHERE series) AS list "
                  "FROM diff_side WHERE side = :side",
                  NULL, NULL, e) == 0) {
        query_bind_int(&of, ":side", nr);
        query_bind(&from, ":series", query_row(&of) ? query_text(&of, "list") : "[]");
    }
    query_close(&of);
    pour(&from, &into);
    return close_both(&from, &into);
}

static int ask_number(sqlite3 *db, const char *sql, int64_t *n, struct err *e)
{
    struct query q;

    query_open(&q, db, sql, e);
    *n = query_row(&q) ? query_int(&q, "n") : 0;
    return query_close(&q);
}

/* How far an interval must reach so that n of them all hold the truth 95 times in 100 (Bonferroni):
 * of the normal distribution, found by halving. */
static double reach(int64_t n)
{
    double low = 0, high = 40;

    for (int i = 0; i < 60; i++) {
        double z = (low + high) / 2;

        *(erfc(z / M_SQRT2) > 0.05 / (double)n ? &low : &high) = z;
    }
    return high;
}

/* diff_spread: of the combinations of which both sides have a series what differs. */
static int spread(sqlite3 *db, const struct diff_side *a, const struct diff_side *b, struct err *e)
{
    int64_t n = 0;
    char rule[100];
    struct query q;
    int rc = pour_values(db, 0, a, e);

    rc = rc ? rc : pour_values(db, 1, b, e);
    if (rc == 0 && query_open(&q, db, "db/report/diff-samples.sql", e) == 0)
        query_row(&q);
    rc = rc ? rc : query_close(&q);
    rc = rc ? rc
            : ask_number(db,
                         "SELECT count(*) AS n FROM (SELECT DISTINCT a, lane, occurrence, quantity "
                         "FROM temp.compared_values)",
                         &n, e);
    snprintf(rule, sizeof rule, "CREATE TEMP VIEW interval_rule AS SELECT %.6f AS z", reach(n));
    rc = rc ? rc : execute(db, rule, e);
    rc = rc ? rc : query_view_again(db, "compared_ratios", e);
    if (rc == 0 && query_open(&q, db, "db/report/diff-spread.sql", e) == 0)
        query_row(&q);
    return rc ? rc : query_close(&q);
}

/* Two runs of one scenario are compared whatever their backends and parameters are. */
static const char as_one[] =
    "UPDATE diff_side SET (backend, params) = (SELECT backend, params FROM diff_side WHERE side = "
    "0) WHERE side = 1 AND scenario = (SELECT scenario FROM diff_side WHERE side = 0)";

static int gather(sqlite3 *db, const struct diff_side *a, const struct diff_side *b, struct err *e)
{
    struct query q;
    int64_t common = 0;
    int rc = execute(db, tables, e);

    rc = rc ? rc : pour_side(db, 0, a, e);
    rc = rc ? rc : pour_side(db, 1, b, e);
    if (rc == 0 && a->run_id && b->run_id)
        rc = execute(db, as_one, e);
    rc = rc ? rc : pour_facts(db, 0, a, e);
    rc = rc ? rc : pour_facts(db, 1, b, e);
    if (rc == 0 && query_open(&q, db, "db/report/diff-found.sql", e) == 0)
        query_row(&q);
    rc = rc ? rc : query_close(&q);
    rc = rc ? rc : ask_number(db, "SELECT count(*) AS n FROM diff_found", &common, e);
    rc = rc ? rc : spread(db, a, b, e);
    return rc || common ? rc
                        : err_set(e, ENODATA,
                                  "'%s' and '%s' have no scenario on one backend with the same "
                                  "parameters in common",
                                  a->typed, b->typed);
}

/* The answer comes first: how much differs, and the first of it. */
static void answer(struct doc *d)
{
    struct query q;
    char values[FORMAT_MAX], different[FORMAT_MAX];
    int64_t compared = 0, differ = 0, combinations = 0, beyond = 0;

    if (!doc_ask(d, &q, "db/report/diff-answer.sql", NULL, NULL))
        return;
    if (query_row(&q)) {
        compared = query_int(&q, "compared");
        differ = query_int(&q, "differ");
        combinations = query_int(&q, "combinations");
    }
    doc_fail(d, query_close(&q));
    doc_fail(d,
             ask_number(d->db,
                        "SELECT count(*) AS n FROM diff_spread WHERE verdict IN ('more', 'less')",
                        &beyond, d->e));
    if (beyond)
        doc_say(d, "**Times, faults or memory differ: %lld figures, below.** ", (long long)beyond);
    if (!differ) {
        doc_say(d, "%s in %s values of %lld combination%s of scenario, backend and parameters.\n\n",
                beyond ? "Of what the scenarios decide nothing differs," : "**No difference**",
                format_count(values, compared), (long long)combinations,
                combinations == 1 ? "" : "s");
        return;
    }
    doc_say(d, "**%s of %s values differ.** First: ", format_count(different, differ),
            format_count(values, compared));
    if (doc_ask(d, &q, "db/report/diff-differing.sql", NULL, NULL) && query_row(&q)) {
        doc_text(d, query_text(&q, "scenario"));
        doc_say(d, " on ");
        doc_text(d, query_text(&q, "backend"));
        doc_say(d, ", step %s (%s): ", query_text(&q, "step"), query_text(&q, "phase"));
        doc_text(d, query_text(&q, "subject"));
        doc_say(d, " ");
        doc_text(d, query_text(&q, "quantity"));
        doc_say(d, " ");
        doc_text(d, query_text(&q, "a"));
        doc_say(d, " in A, ");
        doc_text(d, query_text(&q, "b"));
        doc_say(d, " in B.%s\n\n",
                differ > SHOWN ? " The first 100 are below; --json has all." : "");
    }
    doc_fail(d, query_close(&q));
}

/* Of two series: times, faults and memory, which no scenario decides. */
static void answer_spread(struct doc *d)
{
    static const struct doc_column rows[] =
        DOC_COLUMNS(DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
                    DOC_TEXT("params", "parameters"), DOC_TEXT("phase", "phase"),
                    DOC_TEXT("quantity", "median of"), DOC_TEXT("a", "A"), DOC_TEXT("b", "B"),
                    DOC_TEXT("ratio", "B is"), DOC_TEXT("runs", "runs"));
    struct query q;

    if (!doc_ask(d, &q,
                 "SELECT count(*) AS n, sum(verdict IN ('more', 'less')) AS differ, "
                 "sum(verdict IS NULL) AS few, sum(verdict = 'drift') AS drift FROM diff_spread",
                 NULL, NULL))
        return;
    if (query_row(&q) && query_int(&q, "n")) {
        doc_say(
            d,
            "Of %lld times, faults and figures of memory of the series %lld differ beyond "
            "their spread and what a series moved by itself (of equals one in 20 comparisons shows "
            "any)",
            (long long)query_int(&q, "n"), (long long)query_int(&q, "differ"));
        if (query_int(&q, "few"))
            doc_say(d, "; of %lld the runs are too few to tell", (long long)query_int(&q, "few"));
        if (query_int(&q, "drift"))
            doc_say(d, "; %lld more differ no further than a series moved by itself",
                    (long long)query_int(&q, "drift"));
        doc_say(d, ".\n\n");
    }
    doc_fail(d, query_close(&q));
    doc_answer(d, "db/report/diff-spread-rows.sql", NULL, NULL, rows);
}

static void write_text(struct doc *d, const struct diff_side *a, const struct diff_side *b)
{
    static const struct doc_column sides[] = DOC_COLUMNS(
        DOC_TEXT("side", "side"), DOC_TEXT("backend", "backend"), DOC_TEXT("kernels", "kernel"),
        DOC_TEXT("machines", "machine"), DOC_TEXT("params", "parameters"),
        DOC_COUNT("runs", "runs"), DOC_COUNT("cut_short", "cut short"));
    static const struct doc_column found[] =
        DOC_COLUMNS(DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
                    DOC_TEXT("params", "parameters"), DOC_TEXT("step", "step"),
                    DOC_TEXT("phase", "phase"), DOC_TEXT("subject", "of"),
                    DOC_TEXT("quantity", "what"), DOC_TEXT("a", "A"), DOC_TEXT("b", "B"));
    static const struct doc_column unknown[] =
        DOC_COLUMNS(DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
                    DOC_COUNT("n", "unknown"), DOC_TEXT("quantities", "which"));
    static const struct doc_column alone[] =
        DOC_COLUMNS(DOC_TEXT("side", "only in"), DOC_TEXT("scenario", "scenario"),
                    DOC_TEXT("backend", "backend"), DOC_TEXT("params", "parameters"));

    doc_say(d, "# A: ");
    doc_text(d, a->typed);
    doc_say(d, ", B: ");
    doc_text(d, b->typed);
    doc_say(d, "\n\n");
    answer(d);
    doc_answer(d, "db/report/diff-differing.sql", NULL, NULL, found);
    answer_spread(d);
    doc_answer(d, "db/report/diff-kernels.sql", NULL, NULL, sides);
    doc_answer(d, "db/report/diff-unknown.sql", NULL, NULL, unknown);
    doc_answer(d, "db/report/diff-alone.sql", NULL, NULL, alone);
}

static int write_json(sqlite3 *db, const struct diff_side *a, const struct diff_side *b, FILE *out,
                      struct err *e)
{
    static const struct {
        const char *key, *sql;
    } parts[] = {{"sides", "SELECT * FROM diff_side ORDER BY side, scenario, backend, params"},
                 {"answer", "db/report/diff-answer.sql"},
                 {"differ", "SELECT * FROM diff_found WHERE verdict = 'differs' ORDER BY rowid"},
                 {"unknown", "SELECT * FROM diff_found WHERE verdict = 'unknown' ORDER BY rowid"},
                 {"spread", "SELECT * FROM diff_spread"},
                 {"alone", "db/report/diff-alone.sql"}};
    cJSON *doc = cJSON_CreateObject();
    char *text;
    int rc = doc && cJSON_AddStringToObject(doc, "a", a->typed) &&
                     cJSON_AddStringToObject(doc, "b", b->typed)
                 ? 0
                 : err_no_memory(e);

    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++)
        rc = json_rows(doc, db, parts[i].key, parts[i].sql, (struct json_about){NULL, NULL}, e);
    if (rc) {
        cJSON_Delete(doc);
        return rc;
    }
    if (!(text = json_text(doc, false)))
        return err_no_memory(e);
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}

static int write_markdown(const struct diff_side *a, const struct diff_side *b, struct err *e)
{
    struct doc d;

    if (doc_open(&d, a->store, NULL, e) == 0) {
        d.brief = true;
        write_text(&d, a, b);
    }
    return doc_close(&d);
}

static const char differing[] =
    "SELECT (SELECT count(*) FROM diff_found WHERE verdict = 'differs') + "
    "(SELECT count(*) FROM diff_spread WHERE verdict IN ('more', 'less')) AS n";

int report_diff(const struct diff_side *a, const struct diff_side *b, bool json, FILE *out,
                struct err *e)
{
    sqlite3 *db = store_handle(a->store);
    int64_t n = 0;
    int rc = execute(db, "BEGIN", e); /* one snapshot, and the tables are filled in one go */

    rc = rc ? rc : gather(db, a, b, e);
    if (rc == 0)
        rc = json ? write_json(db, a, b, out, e) : write_markdown(a, b, e);
    rc = rc ? rc : ask_number(db, differing, &n, e);
    sqlite3_exec(db, drop_tables, NULL, NULL, NULL);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return rc ? rc : n > 0;
}
