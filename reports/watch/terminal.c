/* A watch run in the terminal: its samples, as few lines as fit a screen, then each process. The
 * report has the charts. */
#include "reports/report.h"

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/watch/data.h"
#include "reports/watch/sentences.h"
#include "reports/write/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX (FORMAT_MAX + sizeof ">=~")

static const char *kb(char *buf, struct query *q, const char *column)
{
    char text[FORMAT_MAX];

    if (query_null(q, column))
        return strcpy(buf, "?");
    snprintf(buf, CELL_MAX, "%s%s%s", query_at_least(q, column) ? ">=" : "",
             query_inferred(q, column) ? "~" : "", format_kb(text, query_number(q, column)));
    return buf;
}

/* At most 24 samples, evenly over the time, the last one always. What was copied is that since the
 * sample shown before; one that is unknown makes it so. */
static int samples(sqlite3 *db, const char *run_id, FILE *out, struct err *e)
{
    char rss[CELL_MAX], pss[CELL_MAX], frames[CELL_MAX], copied[FORMAT_MAX];
    struct query q;
    double since = 0;
    int rc = query_ask(&q, db,
                       "WITH s AS (SELECT *, max(step) OVER () AS last FROM watch_samples "
                       "WHERE run_id = :run) SELECT *, "
                       "(step - 1) % (last / 24 + 1) = 0 OR step = last AS shown FROM s",
                       ":run", run_id, e);

    if (rc < 0)
        return rc;
    fprintf(out, "%8s %6s %12s %12s %12s %12s\n", "seconds", "procs", "sum of RSS", "sum of PSS",
            "frames", "copied");
    while (query_row(&q)) {
        since += query_number(&q, "copied_kb");
        if (!query_int(&q, "shown"))
            continue;
        fprintf(out, "%8.1f %6lld %12s %12s %12s %12s\n", query_number(&q, "t_s"),
                (long long)query_int(&q, "processes"), kb(rss, &q, "sum_rss_kb"),
                kb(pss, &q, "sum_pss_kb"), kb(frames, &q, "distinct_kb"),
                isnan(since) ? "?" : format_kb(copied, since));
        since = 0;
    }
    return query_close(&q);
}

static int processes(sqlite3 *db, const char *run_id, FILE *out, struct err *e)
{
    char most[CELL_MAX], lost[CELL_MAX], copied[CELL_MAX], risk[CELL_MAX];
    struct query q;
    int rc = query_ask(&q, db, "db/report/watch-costs.sql", ":run_id", run_id, e);

    if (rc < 0)
        return rc;
    fprintf(out, "\n%-28s %12s %12s %12s %12s\n", "process", "most RSS", "lost", "copied",
            "at risk");
    while (query_row(&q)) {
        escape_terminal_field(out, query_text(&q, "actor"), 28, 0);
        fprintf(out, " %12s %12s %12s %12s\n", kb(most, &q, "max_rss_kb"), kb(lost, &q, "lost_kb"),
                kb(copied, &q, "copied_kb"), kb(risk, &q, "last_at_risk_kb"));
    }
    fprintf(out,
            "lost: of what it had in common with its parent. ? is not known or does not apply.\n"
            ">=: at least so much; not all of it is known. ~: concluded, not measured.\n"
            "\nnext: cowlab report %s -o watch.md",
            run_id);
    return query_close(&q);
}

/* Lines of 80 columns at most, but for a longer word. */
static void wrap(char *text, FILE *out)
{
    char *rest = text;
    size_t at = 0;

    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        size_t width = escape_width(word);

        if (at && at + 1 + width > 80) {
            fputs("\n   ", out);
            at = 3;
        }
        at += (size_t)fprintf(out, "%s%s", at ? " " : "", word);
    }
    fputc('\n', out);
}

int report_watch_sentences(struct store *s, const char *run_id, FILE *out, struct err *e)
{
    char *text = NULL, *rest = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    int rc =
        f ? watch_sentences(store_handle(s), run_id, f, "", escape_terminal, e) : err_no_memory(e);

    if (f && fclose(f) && rc == 0)
        rc = err_no_memory(e);
    for (char *line = rc ? NULL : strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        wrap(line, out);
    free(text);
    return rc;
}

int report_watch(struct store *s, const char *run_id, FILE *out, struct err *e)
{
    int rc = report_watch_sentences(s, run_id, out, e);

    if (rc == 0)
        fputc('\n', out);
    rc = rc ? rc : samples(store_handle(s), run_id, out, e);
    rc = rc ? rc : processes(store_handle(s), run_id, out, e);
    if (rc < 0)
        return rc;
    report_database_option(s, out);
    fputc('\n', out);
    return 0;
}

int report_is_watch(struct store *s, const char *run_id, struct err *e)
{
    return watch_is(store_handle(s), run_id, e);
}
