/* latency: how long single touches took, as tables and as curves of percentiles; and snapshots, way
 * by way, beside what others published. */
#include "reports/run/sections.h"

#include "probes/list.h"
#include "reports/draw/chart.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- curves --- */

/* x is -log10 of the share that takes longer: 1 is 90 %, 2 is 99 %. */
#define FIRST_X 0.3
#define STEP_X 0.1
#define POINTS 38
#define MOST_LINES 8

struct curve {
    char *name, *key;
    double *values; /* POINTS */
    size_t n;       /* points that have a value */
};

struct curves {
    struct curve *list;
    size_t n;
    size_t left_out;
};

static double x_at(size_t point)
{
    return FIRST_X + STEP_X * (double)point;
}

static void curves_release(struct curves *c)
{
    for (size_t i = 0; i < c->n; i++)
        FREE_ALL(c->list[i].name, c->list[i].key, c->list[i].values);
    free(c->list);
}

/* Takes key in every case. NULL without memory. */
static struct curve *curve_add(struct curves *c, struct query *q, char *key)
{
    struct curve *line = LIST_ADD(c->list, c->n);

    if (!line) {
        free(key);
        return NULL;
    }
    line->key = key;
    line->name = query_copy(q, "line");
    line->values = calloc(POINTS, sizeof *line->values);
    return line->name && line->values ? line : NULL;
}

/* The points that are reached with this bucket; none where no touch took longer. */
static void curve_go_on(struct curve *line, double n, double upto, double value)
{
    while (line->n < POINTS && pow(10, x_at(line->n)) <= n &&
           upto >= n * (1 - pow(10, -x_at(line->n))))
        line->values[line->n++] = value;
}

static char *line_key(struct query *q)
{
    char *key;

    return asprintf(&key, "%s %lld %s", query_text(q, "run_id"), (long long)query_int(q, "step"),
                    query_text(q, "part")) < 0
               ? NULL
               : key;
}

/* The rows of a line follow each other. */
static int curves_load(struct curves *c, struct query *q)
{
    char *last = NULL;

    while (query_row(q)) {
        char *key = line_key(q);
        bool same = key && last && strcmp(key, last) == 0;

        free(last);
        last = key;
        if (!key)
            return query_no_memory(q);
        if (!same && c->n == MOST_LINES)
            c->left_out++;
        else if (!same && !curve_add(c, q, strdup(key)))
            return query_no_memory(q);
        if (c->left_out == 0)
            curve_go_on(&c->list[c->n - 1], query_number(q, "n"), query_number(q, "upto"),
                        query_number(q, "value_ns"));
    }
    free(last);
    return 0;
}

static void draw(FILE *f, const struct curves *c, const char *title)
{
    static const struct chart_tick ticks[] = {
        {0.30103, "50 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"}};
    struct chart_series series[MOST_LINES];
    double x[POINTS];
    struct chart_lines chart = {.title = title,
                                .subtitle = "So many of the touches took no longer, up to the last "
                                            "percentile with a touch above it",
                                .x_name = "share of the touches",
                                .unit = UNIT_NS,
                                .x = x,
                                .series = series,
                                .nseries = c->n,
                                .log_y = true,
                                .ticks = ticks,
                                .nticks = sizeof ticks / sizeof *ticks};

    for (size_t i = 0; i < POINTS; i++)
        x[i] = x_at(i);
    for (size_t i = 0; i < c->n; i++) {
        struct curve *line = &c->list[i];

        chart.npoints = line->n > chart.npoints ? line->n : chart.npoints;
        for (size_t k = line->n; k < POINTS; k++)
            line->values[k] = CHART_NONE;
        series[i] = (struct chart_series){line->name, line->values};
    }
    chart_lines(f, &chart);
}

/* runs: a JSON array of run ids. what: of them "step" or "snapshot" alone, or NULL: all. */
static void picture(struct doc *d, const char *runs, const char *what, const char *name,
                    const char *title)
{
    struct curves c = {NULL, 0, 0};
    struct query q;
    FILE *f = NULL;
    int rc;

    if (!doc_ask(d, &q, "db/report/latency-curves.sql", ":runs", runs))
        return;
    query_bind(&q, ":what", what);
    curves_load(&c, &q);
    rc = query_close(&q);
    doc_fail(d, rc);
    if (rc == 0 && c.n > 0) {
        f = doc_picture(d, name);
        if (f)
            draw(f, &c, title);
        doc_picture_end(d, f, title);
        if (c.left_out)
            doc_say(d, "%zu more lines are left out of the picture.\n\n", c.left_out);
    }
    curves_release(&c);
}

/* --- single touches --- */

void section_run_latency(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "step"), DOC_TEXT("phase", "phase"), DOC_TEXT("actor", "actor"),
        DOC_TEXT("part", "part"), DOC_TEXT("since", "counted from"), DOC_COUNT("n", "touches"),
        DOC_NS("p50_ns", "median"), DOC_NS("p99_ns", "99 %"), DOC_NS("p999_ns", "99.9 %"),
        DOC_NS("max_ns", "longest"), DOC_NS("gap_ns", "longest pause"),
        DOC_NS("empty_ns", "of nothing"), DOC_NS("cost_ns", "timing one took"));
    struct query q;
    char runs[64];
    bool any;

    if (!doc_ask(d, &q, "db/report/latencies.sql", ":run_id", h->run_id))
        return;
    any = query_row(&q);
    query_reset(&q);
    if (any)
        doc_say(d, "#### How long single touches took\n\n");
    doc_table(d, &q, columns, 1);
    if (!any)
        return;
    snprintf(runs, sizeof runs, "[\"%s\"]", h->run_id);
    picture(d, runs, NULL, "latency", "How long touches took");
}

void section_latency(struct doc *d, const struct selection *runs)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"), DOC_COUNT("step", "step"),
        DOC_TEXT("phase", "phase"), DOC_TEXT("actor", "actor"), DOC_COUNT("n", "touches"),
        DOC_NS("p50_ns", "median"), DOC_NS("p99_ns", "99 %"), DOC_NS("p999_ns", "99.9 %"),
        DOC_NS("max_ns", "longest"), DOC_NS("gap_ns", "longest pause"),
        DOC_NS("empty_ns", "of nothing"));
    struct query q;
    bool any;

    if (!doc_ask(d, &q, "db/report/latencies-brief.sql", ":runs", runs->json))
        return;
    any = query_row(&q);
    query_reset(&q);
    if (any)
        doc_section(d, "Single touches");
    doc_table_lean(d, &q, columns);
    if (any)
        picture(d, runs->json, "step", "touches", "How long touches took");
}

/* --- snapshots --- */

static void published(struct doc *d)
{
    doc_say(
        d,
        "What others published, and on what it was measured:\n\n"
        "- On-demand-fork (EuroSys 2021): the call `fork` itself, of a process with 1 GB of "
        "memory: "
        "65 times faster than Linux' by sharing page tables. Here: *taking 1 GiB*, way fork.\n"
        "- Async-fork (VLDB 2023): the tail of a server's queries while a snapshot by fork is "
        "taken, Redis in a public cloud: 81.76 %% less with 8 GB, 99.84 %% with 64 GB. Here: the "
        "*99 %%* of the writer's touches, until the copy was read.\n"
        "- Redis' documentation (diagnosing latency): 9 to 13 ms for the fork of each GB on "
        "hardware, 13 to 240 ms on virtual machines of its time. Here: *taking 1 GiB*, way "
        "fork.\n\n");
}

/* The runs in the table as a JSON array; sqlite3_free() it. NULL: there are none. */
static char *snapshot_runs(struct doc *d, const struct selection *runs)
{
    sqlite3_str *json = sqlite3_str_new(NULL);
    const char *before = "[";
    struct query q;

    if (doc_ask(d, &q, "db/report/snapshots.sql", ":runs", runs->json)) {
        for (; query_row(&q); before = ",") /* ids need no escaping */
            sqlite3_str_appendf(json, "%s\"%s\"", before, query_text(&q, "run_id"));
        doc_fail(d, query_close(&q));
    }
    if (*before == ',')
        sqlite3_str_appendall(json, "]");
    return sqlite3_str_finish(json);
}

static void snapshot_table(struct doc *d, const struct selection *runs,
                           const struct doc_column *columns)
{
    struct query q;

    if (!doc_ask(d, &q, "db/report/snapshots.sql", ":runs", runs->json))
        return;
    if (d->brief)
        doc_table_lean(d, &q, columns);
    else
        doc_table(d, &q, columns, 1);
}

void section_snapshots(struct doc *d, const struct selection *runs)
{
    static const struct doc_column times[] = DOC_COLUMNS(
        DOC_TEXT("way", "way"), DOC_KB("size_kb", "region"), DOC_TEXT("rate", "writes a second"),
        DOC_COUNT("cpus", "processors"), DOC_NS("still_ns", "stood still"),
        DOC_NS("p50_before_ns", "median before"), DOC_NS("p50_during_ns", "until read"),
        DOC_NS("p99_before_ns", "99 % before"), DOC_NS("p99_during_ns", "until read"),
        DOC_NS("p999_before_ns", "99.9 % before"), DOC_NS("p999_during_ns", "until read"),
        DOC_NS("max_before_ns", "longest before"), DOC_NS("max_during_ns", "until read"));
    static const struct doc_column costs[] = DOC_COLUMNS(
        DOC_TEXT("way", "way"), DOC_KB("size_kb", "region"), DOC_TEXT("one_moment", "one moment"),
        DOC_NS("take_ns", "taking"), DOC_NS("take_gib_ns", "taking 1 GiB"),
        DOC_NS("readout_ns", "read after"), DOC_KB("added_kb", "more memory"),
        DOC_COUNT("copied_pages", "pages copied"), DOC_TEXT("run_id", "run"));
    char *chosen = snapshot_runs(d, runs);

    if (chosen) {
        doc_section(d, "Snapshots");
        doc_say(d, "A thread writes numbered pages, each due at its time, while a copy of one "
                   "moment is taken and read. Times of its touches count from when each was due: a "
                   "stall is in all that it made late. Of each way the newest run of this size and "
                   "rate: no verdict on which is faster, for which `cowlab run snapshot --param "
                   "way=fork,plain --repeat 8` gives a spread.\n\n");
        snapshot_table(d, runs, times);
        doc_say(d, "What it took, and whether what was read is one moment (each page shows the "
                   "newest write to it up to the newest one that any page shows):\n\n");
        snapshot_table(d, runs, costs);
        picture(d, chosen, "snapshot", "snapshots", "How long a writer's touches took");
        published(d);
    }
    sqlite3_free(chosen);
}
