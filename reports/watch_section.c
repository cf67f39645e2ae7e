/* watch_section: a watch of live processes in the markdown report. Its samples are steps, far too
 * many to show one by one: it has an outline of its own, and findings first. */
#include "reports/sections.h"
#include "reports/watch_pictures.h"

#include "reports/format.h"
#include <math.h>
#include <stdlib.h>

#define LISTED 6
/* Of what was shared, a loss below this share is not worth a sentence. */
#define NOTABLE 0.02

static bool open_query(struct doc *d, struct query *q, const char *sql, const char *run_id)
{
    if (doc_fail(d, query_open(q, d->db, sql, d->e)))
        return false;
    query_bind(q, ":run_id", run_id);
    return true;
}

static void lead(struct doc *d, const char *what)
{
    doc_say(d, "- **%s** ", what);
}

/* "python3[77] lost 210 MiB of the 240 MiB shared with its parent, 92 % of it in [heap]." */
static void find_lost(struct doc *d, const struct watch_data *w)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    struct query q;
    int rows = 0, notable = 0;

    if (!open_query(d, &q, "db/report/watch-losers.sql", w->run_id))
        return;
    lead(d, "Sharing lost.");
    for (; query_row(&q); rows++) {
        double lost = query_number(&q, "lost_kb"), most = query_number(&q, "max_parent_kb");

        if (isnan(lost) || lost < most * NOTABLE || notable++ >= LISTED)
            continue;
        doc_text(d, query_text(&q, "actor"));
        doc_say(d, " lost %s of the %s shared with its parent", format_kb(a, lost),
                format_kb(b, most));
        if (!query_null(&q, "percent")) {
            doc_say(d, ", %.0f %% of it in ", query_number(&q, "percent"));
            doc_text(d, query_text(&q, "part"));
        }
        doc_say(d, ". ");
    }
    if (notable > LISTED)
        doc_say(d, "So did %d more. ", notable - LISTED);
    if (rows == 0)
        doc_say(d, "No watched process has a watched parent that it shares memory with.");
    else if (notable == 0)
        doc_say(d, "None: every child still has in common what it had with its parent.");
    doc_say(d, "\n");
    doc_fail(d, query_close(&q));
}

static void find_overcount(struct doc *d, const struct watch_data *w)
{
    size_t i = watch_worst_point(w);
    double rss = w->figure[WF_RSS][i], distinct = w->figure[WF_DISTINCT][i];
    char a[FORMAT_MAX], b[FORMAT_MAX];

    lead(d, "What they seem to use.");
    if (isnan(rss)) {
        doc_say(d, "Unknown: no sample has the RSS of all processes.\n");
        return;
    }
    doc_say(d, "%d process%s with %s of RSS together ", (int)w->figure[WF_PROCESSES][i],
            w->figure[WF_PROCESSES][i] == 1 ? "" : "es", format_kb(a, rss));
    if (!isnan(distinct) && distinct > 0)
        doc_say(d, "occupy %s of distinct frames: RSS says %.1f times as much",
                format_kb(b, distinct), rss / distinct);
    else
        doc_say(d, "have %s of PSS; distinct frames are unknown",
                format_kb(b, w->figure[WF_PSS][i]));
    doc_say(d, " (sample %d).", w->step[i]);
    if (!isnan(w->figure[WF_PAGETABLE][i]))
        doc_say(d, " Their page tables take %s more.", format_kb(a, w->figure[WF_PAGETABLE][i]));
    doc_say(d, "\n");
}

static void find_copied(struct doc *d, const struct watch_data *w)
{
    double all = 0, peak = -1, most = 0;
    const struct watch_actor *who = NULL;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    size_t when = 0;

    for (size_t i = 0; i < w->nactors; i++) {
        if (isnan(w->actors[i].copied))
            continue;
        all += w->actors[i].copied;
        if (w->actors[i].copied > most) {
            most = w->actors[i].copied;
            who = &w->actors[i];
        }
    }
    for (size_t i = 0; i < w->n; i++)
        if (w->copied_per_s[i] > peak) {
            peak = w->copied_per_s[i];
            when = i;
        }
    lead(d, "Copy-on-write.");
    if (peak < 0) {
        doc_say(d, "What was copied is unknown: that takes page frames and two samples.\n");
        return;
    }
    if (!who) {
        doc_say(d, "No page was seen to be copied.\n");
        return;
    }
    doc_say(d, "%s were copied, %s of them by ", format_kb(a, all), format_kb(b, most));
    doc_text(d, who->name);
    doc_say(d,
            "; at most %s a second (around %.1f s). What was copied and given back between two "
            "samples is not in it.\n",
            format_kb(a, peak), w->t_s[when]);
}

static void find_fork(struct doc *d, const struct watch_data *w)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    struct query q;

    if (!open_query(d, &q,
                    "SELECT count(*) AS n, max(fork_ns) AS longest, min(fork_ns) AS shortest FROM "
                    "watch_costs WHERE run_id = :run_id AND fork_ns IS NOT NULL",
                    w->run_id))
        return;
    if (query_row(&q) && query_int(&q, "n") > 0) {
        lead(d, "Forks.");
        doc_say(d,
                "%s seen while it was watched. None took the parent longer than %s in the kernel, "
                "the quickest not longer than %s (upper bounds, to a clock tick).\n",
                format_noun(a, query_int(&q, "n"), "fork"),
                format_ns(b, query_number(&q, "longest")),
                format_ns((char[FORMAT_MAX]){0}, query_number(&q, "shortest")));
    }
    doc_fail(d, query_close(&q));
}

static void find_risk(struct doc *d, const struct watch_data *w)
{
    double growth, room, tightest = INFINITY;
    size_t at = 0;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    for (size_t i = 0; i < w->n; i++)
        if (watch_headroom(w, i) - w->figure[WF_GROWTH][i] < tightest) {
            tightest = watch_headroom(w, i) - w->figure[WF_GROWTH][i];
            at = i;
        }
    lead(d, "At risk.");
    if (isinf(tightest)) {
        doc_say(d, "How much more all this can grow is unknown: that takes page frames.\n");
        return;
    }
    growth = w->figure[WF_GROWTH][at];
    room = watch_headroom(w, at);
    doc_say(d,
            "If every page that is shared copy-on-write were written, at most %s more would be "
            "needed; %s was free (sample %d, where it was tightest). ",
            format_kb(a, growth), format_kb(b, room), w->step[at]);
    doc_say(d, tightest < 0 ? "**That is not enough.**\n" : "That is enough.\n");
}

static void find_limits(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    bool known = !query_null(q, "at_limit") || !query_null(q, "killed");
    int64_t limit = query_int(q, "at_limit"), killed = query_int(q, "killed");

    if (!known)
        return;
    lead(d, "The memory cgroup.");
    if (limit || killed)
        doc_say(d, "It ran into its limit %s; the out-of-memory killer struck %s.\n",
                format_noun(a, limit, "time"), format_noun(b, killed, "time"));
    else
        doc_say(d, "It did not run into its limit.\n");
}

static void find_sampling(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];

    lead(d, "What looking cost.");
    doc_say(d, "A sample took %s on average and %s at most",
            format_ns(a, query_number(q, "mean_ns")), format_ns(b, query_number(q, "max_ns")));
    if (!query_null(q, "share"))
        doc_say(d, ": %.1f %% of the time", query_number(q, "share") * 100);
    doc_say(d, ". While a process's counters are read it waits if it maps memory.%s\n",
            query_int(q, "inferred") ? " Pages that were exclusive were taken to be so still, and "
                                       "one of each 64 was asked."
                                     : "");
}

static void findings(struct doc *d, const struct watch_data *w)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    struct query q;

    if (!open_query(d, &q, "db/report/watch-overview.sql", w->run_id))
        return;
    if (query_row(&q)) {
        lead(d, "Watched.");
        doc_say(
            d,
            "%s process%s for %.1f s in %s; %s of them ended meanwhile. A sample is not atomic.\n",
            format_count(a, query_int(&q, "processes")),
            query_int(&q, "processes") == 1 ? "" : "es", query_number(&q, "t_s"),
            format_noun(b, query_int(&q, "samples"), "sample"),
            format_count(c, query_int(&q, "gone")));
        find_overcount(d, w);
        find_lost(d, w);
        find_copied(d, w);
        find_fork(d, w);
        find_risk(d, w);
        find_limits(d, &q);
        find_sampling(d, &q);
    }
    doc_say(d, "\n");
    doc_fail(d, query_close(&q));
}

static void table(struct doc *d, const struct watch_data *w, const char *sql,
                  const struct doc_column *columns, const char *none)
{
    struct query q;

    if (open_query(d, &q, sql, w->run_id) && doc_table(d, &q, columns, 1) == 0)
        doc_say(d, "%s\n\n", none);
}

static void costs(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] = {{"actor", "process", DOC_TEXT},
                                                {"parent", "parent", DOC_TEXT},
                                                {"max_rss_kb", "RSS at most", DOC_KB},
                                                {"max_parent_kb", "with parent at most", DOC_KB},
                                                {"last_parent_kb", "at last", DOC_KB},
                                                {"lost_kb", "lost", DOC_KB},
                                                {"copied_kb", "copied", DOC_KB},
                                                {"max_debt_kb", "debt at most", DOC_KB},
                                                {"last_at_risk_kb", "at risk at last", DOC_KB},
                                                {"fork_ns", "fork at most", DOC_NS},
                                                {NULL, NULL, DOC_TEXT}};

    doc_say(d, "#### What copy-on-write cost each process\n\n");
    table(d, w, "SELECT * FROM watch_costs WHERE run_id = :run_id", columns,
          "No process was seen.");
    watch_picture_copied(d, w);
}

static void lost(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] = {{"actor", "process", DOC_TEXT},
                                                {"part", "where", DOC_TEXT},
                                                {"most_kb", "in common at most", DOC_KB},
                                                {"last_kb", "at last", DOC_KB},
                                                {"lost_kb", "lost", DOC_KB},
                                                {NULL, NULL, DOC_TEXT}};

    doc_say(d, "#### Where sharing was lost\n\n");
    watch_picture_lost(d, w);
    watch_picture_addresses(d, w);
    table(d, w, "db/report/watch-lost-parts.sql", columns, "Nowhere that was seen.");
}

static void events(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] = {{"step", "sample", DOC_COUNT},
                                                {"actor", "process", DOC_TEXT},
                                                {"kind", "what", DOC_TEXT},
                                                {"text", "detail", DOC_TEXT},
                                                {NULL, NULL, DOC_TEXT}};

    doc_say(d, "#### What happened\n\n");
    table(d, w,
          "SELECT * FROM watch_events WHERE run_id = :run_id AND NOT (kind = 'came' AND step = 1) "
          "LIMIT 40",
          columns, "No process came or went.");
}

static void cost(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] = {{"probe", "read", DOC_TEXT},
                                                {"dur_ns", "time", DOC_NS},
                                                {"calls", "calls", DOC_COUNT},
                                                {"bytes", "bytes", DOC_BYTES},
                                                {NULL, NULL, DOC_TEXT}};

    doc_say(d, "#### What looking cost\n\n");
    table(d, w,
          "SELECT probe, sum(dur_ns) AS dur_ns, sum(calls) AS calls, sum(bytes) AS bytes "
          "FROM probe_cost WHERE run_id = :run_id GROUP BY probe ORDER BY 2 DESC",
          columns, "Not stored.");
}

void section_watch(struct doc *d, const struct history *h)
{
    struct watch_data w;

    if (doc_fail(d, watch_load(&w, d->db, h->run_id, d->e)))
        return;
    doc_say(d, "### Run `%s`\n\n", h->run_id);
    if (w.n == 0)
        doc_say(d, "No sample was stored.\n\n");
    else
        findings(d, &w);
    if (w.n) {
        doc_say(d, "#### Sharing over time\n\n");
        watch_picture_sharing(d, &w);
        watch_picture_footprint(d, &w);
        costs(d, &w);
        lost(d, &w);
        doc_say(d, "#### Who shares with whom\n\n");
        watch_picture_matrix(d, &w);
        doc_say(d, "#### From the sum of RSS to what is really used\n\n");
        watch_picture_waterfall(d, &w);
        doc_say(d, "#### How much more it can grow\n\n");
        watch_picture_risk(d, &w);
        events(d, &w);
        cost(d, &w);
    }
    watch_data_release(&w);
}
