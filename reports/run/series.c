/* series: many runs of one command, summed up for a screen of 80 columns or more. */
#include "reports/report.h"

#include "probes/list.h"
#include "reports/escape.h"
#include "reports/format.h"
#include "reports/write/query.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETTING 34 /* columns */

/* ", 2 failed" for each way to end that is not the one that was hoped for. */
static void endings(struct query *q, FILE *out)
{
    static const char *const ways[] = {"failed", "interrupted", "crashed", "running"};
    char n[FORMAT_MAX];

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (query_int(q, ways[i]))
            fprintf(out, ", %s %s", format_count(n, query_int(q, ways[i])), ways[i]);
}

static void counts(struct query *q, FILE *out)
{
    int64_t warm_ups = query_int(q, "warm_ups");
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];

    escape_terminal(out, query_text(q, "series_id"));
    fprintf(
        out, "\n  seed %lld; %s of %s: %s counted, %s to warm up", (long long)query_int(q, "seed"),
        format_count(a, query_int(q, "runs")), format_noun(b, query_int(q, "planned"), "run"),
        format_count(c, query_int(q, "counted")), format_count((char[FORMAT_MAX]){0}, warm_ups));
    endings(q, out);
    fprintf(out, "\n  expectations: %s held, %s failed, %s not checked\n",
            format_count(a, query_int(q, "expectations_held")),
            format_count(b, query_int(q, "expectations_failed")),
            format_count(c, query_int(q, "expectations_not_checked")));
}

static int head(sqlite3 *db, const char *id, FILE *out, struct err *e)
{
    struct query q;
    bool found;
    int rc;

    query_ask(&q, db, "db/report/series.sql", ":series", id, e);
    found = query_row(&q);
    if (found)
        counts(&q, out);
    rc = query_close(&q);
    return rc || found ? rc : err_set(e, ENOENT, "no series '%s'", id);
}

/* A line per row, below a heading if there is one. */
static int lines(sqlite3 *db, const char *sql, const char *id, const char *heading, FILE *out,
                 struct err *e)
{
    struct query q;

    query_ask(&q, db, sql, ":series", id, e);
    for (int n = 0; query_row(&q); n++) {
        if (n == 0)
            fprintf(out, "%s\n", heading);
        fputs("  ", out);
        escape_terminal(out, query_text(&q, "line"));
        fputc('\n', out);
    }
    return query_close(&q);
}

static const char *time_of(struct query *q, const char *column, char buf[FORMAT_MAX])
{
    return query_null(q, column) ? "-" : format_ns(buf, query_number(q, column));
}

static void combination(struct query *q, FILE *out)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    const char *setting = query_text(q, "setting"), *median = time_of(q, "median", b);

    setting = setting && *setting ? setting : "as it is";
    fputs("  ", out);
    if (escape_width(setting) > SETTING) { /* on a line of its own */
        escape_terminal(out, setting);
        fputs("\n  ", out);
        setting = "";
    }
    escape_terminal_field(out, setting, SETTING, 0);
    fprintf(out, " %6s  %*s", format_count(a, query_int(q, "n")),
            (int)(10 + strlen(median) - escape_width(median)), median);
    if (!query_null(q, "low"))
        fprintf(out, "  %s to %s", time_of(q, "low", b), time_of(q, "high", c));
    fputc('\n', out);
}

/* How long handing over took, by scenario and combination. */
static int combinations(sqlite3 *db, const char *id, FILE *out, struct err *e)
{
    char last[256] = "";
    struct query q;

    query_ask(&q, db, "db/report/series-combinations.sql", ":series", id, e);
    for (int n = 0; query_row(&q); n++) {
        char name[256];

        snprintf(name, sizeof name, "%s on %s", query_text(&q, "scenario"),
                 query_text(&q, "backend"));
        if (n == 0)
            fprintf(out, "\n  %-*s %6s  %10s  %s\n", SETTING, "handing over took", "runs", "median",
                    "95 % interval");
        if (strcmp(name, last) != 0) {
            escape_terminal(out, name);
            fputs(query_int(&q, "emulated") ? " (emulated: its times are no machine's)\n" : "\n",
                  out);
        }
        memcpy(last, name, sizeof last);
        combination(&q, out);
    }
    return query_close(&q);
}

static void next_commands(struct store *s, const char *id, FILE *out)
{
    fprintf(out, "next: cowlab report %s -o report.html", id);
    report_database_option(s, out);
    fprintf(out, "\n      cowlab diff %s OTHER-SERIES", id);
    report_database_option(s, out);
    fputs("\n      sqlite3 -box ", out);
    report_shell_word(out, store_path(s));
    fprintf(out,
            " \"SELECT scenario, backend, params, phase, n, median, low, high\n"
            "        FROM phase_stats WHERE quantity = 'time_ns'\n"
            "        AND series_id = '%s'\"\n",
            id);
}

int report_series(struct store *s, const char *series_id, bool colour, FILE *out, struct err *e)
{
    sqlite3 *db = store_handle(s);
    int rc = head(db, series_id, out, e);

    if (rc == 0)
        rc = lines(db, "db/report/series-failed.sql", series_id, "failed:", out, e);
    if (rc == 0)
        rc = lines(db, "db/report/series-cut-short.sql", series_id, "cut short:", out, e);
    if (rc == 0)
        rc = combinations(db, series_id, out, e);
    if (rc)
        return rc;
    fputs(colour ? "\033[2m" : "", out);
    next_commands(s, series_id, out);
    fputs(colour ? "\033[0m" : "", out);
    return 0;
}

int report_series_runs(struct store *s, const char *series_id, char ***ids, size_t *n,
                       struct err *e)
{
    struct query q;

    query_ask(&q, store_handle(s), "db/report/series-latest.sql", ":series", series_id, e);
    while (query_row(&q)) {
        char **added = LIST_ADD(*ids, *n);

        if (!added || !(*added = query_copy(&q, "run_id")))
            query_no_memory(&q);
    }
    return query_close(&q);
}
