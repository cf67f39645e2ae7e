/* compare: the sections that set runs beside something else: published values, fork beside out of
 * line, and the cost of looking. */
#include "reports/run/sections.h"

#include "reports/draw/chart.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool any_rows(struct doc *d, const char *sql)
{
    struct query q;
    bool any;

    if (!doc_ask(d, &q, sql, NULL, NULL))
        return false;
    any = query_row(&q);
    doc_fail(d, query_close(&q));
    return any;
}

static void table_of(struct doc *d, const char *sql, const struct doc_column *columns,
                     const char *intro)
{
    struct query q;

    if (!doc_ask(d, &q, sql, NULL, NULL))
        return;
    doc_say(d, "%s\n\n", intro);
    doc_table(d, &q, columns, 1);
}

/* "Linux measured, ordinary": the titles of what the backends measured, by published_backend. */
struct titles {
    char fork[2][64], ool[3][64];
};

static void read_titles(struct doc *d, struct titles *t)
{
    struct query q;

    *t = (struct titles){.fork = {""}};
    if (!doc_ask(d, &q, "SELECT label, purgeable FROM published_backend ORDER BY nr", NULL, NULL))
        return;
    for (int i = 0; i < 2 && query_row(&q); i++) {
        const char *label = query_text(&q, "label");

        snprintf(t->fork[i], sizeof t->fork[i], "%.40s measured", label);
        if (query_int(&q, "purgeable")) {
            snprintf(t->ool[0], sizeof t->ool[0], "%.40s measured, purgeable", label);
            snprintf(t->ool[1], sizeof t->ool[1], "%.40s measured, ordinary", label);
        } else {
            snprintf(t->ool[2], sizeof t->ool[2], "%.40s measured", label);
        }
    }
    doc_fail(d, query_close(&q));
}

static const struct doc_column all_columns[] = DOC_COLUMNS(
    DOC_TEXT("verdict", ""), DOC_TEXT("scenario", "scenario"), DOC_TEXT("case_name", "case"),
    DOC_TEXT("memory", "memory"), DOC_TEXT("quantity", "quantity"),
    DOC_TEXT("published", "published"), DOC_TEXT("predicted", "predicted"),
    DOC_TEXT("backend", "backend"), DOC_TEXT("measured", "measured"), DOC_TEXT("pages", "in pages"),
    DOC_TEXT("reason", "why"));
static const struct doc_column large_columns[] =
    DOC_COLUMNS(DOC_TEXT("case_name", "case"), DOC_TEXT("observed", "seen from"),
                DOC_TEXT("quantity", "quantity"), DOC_TEXT("published", "XNU published"),
                DOC_TEXT("backend", "backend"), DOC_TEXT("measured_text", "measured"),
                DOC_TEXT("verdict", ""), DOC_TEXT("reason", "why"));

static const struct doc_column count_columns[] = DOC_COLUMNS(
    DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"), DOC_TEXT("memory", "memory"),
    DOC_TEXT("quantity", "quantity"), DOC_COUNT("published", "values"), DOC_COUNT("same", "same"),
    DOC_COUNT("differing", "differ"), DOC_COUNT("unknown", "not known here"));
static const struct doc_column missing_columns[] =
    DOC_COLUMNS(DOC_TEXT("command", "to run"), DOC_COUNT("missing", "published values"));

void section_published(struct doc *d)
{
    struct titles t;
    const struct doc_column fork_columns[] =
        DOC_COLUMNS(DOC_TEXT("case_name", "step"), DOC_TEXT("observed", "seen from"),
                    DOC_TEXT("published", "XNU published"), DOC_TEXT("measured_1", t.fork[0]),
                    DOC_TEXT("same_1", ""), DOC_TEXT("measured_2", t.fork[1]),
                    DOC_TEXT("same_2", ""), DOC_TEXT("reason", "why"));
    const struct doc_column ool_columns[] = DOC_COLUMNS(
        DOC_TEXT("case_name", "case"), DOC_TEXT("published", "XNU published (purgeable)"),
        DOC_TEXT("measured_purgeable", t.ool[0]),
        DOC_TEXT("predicted", "XNU predicted, ordinary memory"),
        DOC_TEXT("measured_ordinary", t.ool[1]), DOC_TEXT("measured_only", t.ool[2]),
        DOC_TEXT("reason", "why"));

    if (!any_rows(d, "SELECT 1 FROM published WHERE run_id IS NOT NULL LIMIT 1"))
        return;
    read_titles(d, &t);
    doc_section(d, "Published against measured");
    doc_say(d,
            "What was published about XNU (macOS, pages of 16 "
            "KiB), beside the newest runs in this database that compare. Lengths are compared in "
            "pages. Each cell: share mode, references, resident pages. What was not run stands "
            "at the end, with its command.\n\n");
    table_of(d, "db/report/published-fork.sql", fork_columns, "### Fork and write: six steps");
    table_of(
        d, "db/report/published-ool.sql", ool_columns,
        "### Out-of-line transfers: eight cases\n\nSeen from the receiver. The published "
        "programs asked for purgeable memory; what XNU's own rules predict for ordinary memory "
        "stands beside it. On Linux the layer carries out these rules, so purgeable memory has to "
        "come out the same; GNU Mach is a kernel of its own. Same or differs: against what was "
        "published, or for ordinary "
        "memory (GNU Mach has no other) against the prediction.");
    table_of(d, "db/report/published-large.sql", large_columns, "### Large transfers");
    table_of(d, "db/report/published-all.sql", all_columns,
             "### The other published values, and each one that differs");
    table_of(d, "db/report/published-counts.sql", count_columns,
             "### How they came out, by quantity");
    if (any_rows(d, "db/report/published-missing.sql"))
        table_of(d, "db/report/published-missing.sql", missing_columns, "### What was not run");
}

void section_published_brief(struct doc *d)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
                    DOC_TEXT("memory", "memory"), DOC_COUNT("total", "values"),
                    DOC_COUNT("same", "came out the same"), DOC_COUNT("differ", "differ"),
                    DOC_COUNT("unknown", "not known here"), DOC_TEXT("evidence", "evidence"));
    struct query q;

    if (!any_rows(d, "SELECT 1 FROM published WHERE run_id IS NOT NULL LIMIT 1") ||
        !doc_ask(d, &q, "db/report/find-published.sql", NULL, NULL))
        return;
    doc_section(d, "Published against measured");
    doc_say(d, "XNU's published values beside the newest runs that compare; which differ, and why: "
               "`cowlab report RUN`.\n\n");
    doc_table_lean(d, &q, columns);
}

/* What is unknown is not the same. */
static void nothing_apart(struct doc *d, const struct selection *runs)
{
    struct query q;
    char n[FORMAT_MAX];

    if (!doc_ask(d, &q,
                 "SELECT count(DISTINCT run_id) AS runs FROM json_each(:runs) JOIN "
                 "footprint_vs_system ON run_id = value WHERE sum_rss_kb IS NOT NULL AND "
                 "coalesce(system_kb, distinct_kb) IS NOT NULL",
                 ":runs", runs->json))
        return;
    if (query_row(&q) && query_int(&q, "runs"))
        doc_say(d,
                "Known in %s, and in none are the sum of RSS and the system's figure further apart "
                "than that is exact to.\n\n",
                format_noun(n, query_int(&q, "runs"), "run"));
    else
        doc_say(d, "In no run are both the sum of RSS and what the system uses known.\n\n");
    doc_fail(d, query_close(&q));
}

/* Each run where what its processes seem to use is furthest from what the system uses. */
void section_footprints(struct doc *d, const struct selection *runs)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"), DOC_COUNT("step", "step"),
        DOC_TEXT("phase", "phase"), DOC_COUNT("actors", "processes"),
        DOC_KB("sum_rss_kb", "sum of RSS"), DOC_KB("sum_pss_kb", "sum of PSS"),
        DOC_KB("distinct_kb", "distinct frames"), DOC_KB("object_only_kb", "in objects only"),
        DOC_KB("in_transit_kb", "in transit"), DOC_KB("system_kb", "the system's figure"),
        DOC_KB("residual_kb", "unexplained"));

    struct query q;

    doc_section(d, "Footprint against totals");
    if (!doc_ask(d, &q, "db/report/footprints.sql", ":runs", runs->json))
        return;
    if (query_row(&q))
        doc_say(d,
                "The runs (at most 8) in which the sum of RSS and the system's figure differ most, "
                "each at its step where they do. RSS counts a page in each process that maps it, "
                "and nowhere if none does; frames are counted once.\n\n");
    else
        nothing_apart(d, runs);
    query_reset(&q);
    doc_table_lean(d, &q, columns);
    find_footprints(d, runs);
    doc_say(d, "\n");
}

#define MAX_PHASES 64

/* Two columns of the comparison as charts; labels live as long as the rows are copied. */
struct phases {
    char *labels[MAX_PHASES];
    double fork_ns[MAX_PHASES], ool_ns[MAX_PHASES];
    double fork_kb[MAX_PHASES], ool_kb[MAX_PHASES];
    size_t n;
};

/* What the memory of both sides occupies, mapped or not; unknown if a part of it is. */
static double occupied(struct query *q)
{
    static const char *const rest[] = {"ool_object_only_kb", "ool_in_transit_kb"};
    double sum = query_number(q, "ool_distinct_kb");

    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        sum += query_null(q, rest[i]) && !query_unknown(q, rest[i]) ? 0 : query_number(q, rest[i]);
    return sum;
}

static double number_or_none(struct query *q, const char *column)
{
    return query_null(q, column) ? CHART_NONE : query_number(q, column);
}

static bool ask_pair(struct doc *d, struct query *q, const char *sql, const char *fork_run,
                     const char *ool_run)
{
    if (!doc_ask(d, q, sql, ":fork", fork_run))
        return false;
    query_bind(q, ":ool", ool_run);
    return true;
}

static int read_phases(struct doc *d, const char *fork_run, const char *ool_run, struct phases *p)
{
    struct query q;

    if (!ask_pair(d, &q, "db/report/fork-vs-ool.sql", fork_run, ool_run))
        return d->rc;
    while (p->n < MAX_PHASES && query_row(&q)) {
        bool fork = !query_null(&q, "fork_step"), ool = !query_null(&q, "ool_step");

        p->fork_ns[p->n] = number_or_none(&q, "fork_time_ns");
        p->ool_ns[p->n] = number_or_none(&q, "ool_time_ns");
        p->fork_kb[p->n] = fork ? query_number(&q, "fork_distinct_kb") : CHART_NONE;
        p->ool_kb[p->n] = ool ? occupied(&q) : CHART_NONE;
        p->labels[p->n] = strdup(query_text(&q, "phase"));
        if (!p->labels[p->n])
            query_no_memory(&q);
        else
            p->n++;
    }
    return query_close(&q);
}

static void draw_phases(struct doc *d, const struct phases *p, const char *name, const char *title,
                        const char *subtitle, enum unit unit, const double *fork, const double *ool)
{
    struct chart_series series[] = {{"fork", fork}, {"out of line", ool}};
    struct chart c = {title, subtitle, unit, (const char *const *)p->labels, p->n, series, 2};
    FILE *f = doc_picture(d, name);

    if (f)
        chart_bars(f, &c);
    doc_picture_end(d, f, title);
}

static void pair_charts(struct doc *d, const char *fork_run, const char *ool_run, const char *name,
                        const char *subtitle)
{
    struct phases p = {.n = 0};
    char file[200];

    if (doc_fail(d, read_phases(d, fork_run, ool_run, &p)) == 0 && p.n > 0) {
        snprintf(file, sizeof file, "%.150s-time", name);
        draw_phases(d, &p, file, "Time of each phase: fork and out of line", subtitle, UNIT_NS,
                    p.fork_ns, p.ool_ns);
        snprintf(file, sizeof file, "%.150s-memory", name);
        draw_phases(d, &p, file, "Memory that the processes and messages occupy after each phase",
                    subtitle, UNIT_KB, p.fork_kb, p.ool_kb);
    }
    for (size_t i = 0; i < p.n; i++)
        free(p.labels[i]);
}

/* "Handing over took ... by fork, ... out of line": from the rows of the phases. */
static void pair_sentence(struct doc *d, const char *fork_run, const char *ool_run)
{
    struct query q;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (!ask_pair(d, &q, "db/report/fork-vs-ool-sentence.sql", fork_run, ool_run))
        return;
    if (query_row(&q)) {
        double fork = query_number(&q, "fork_ns"), ool = query_number(&q, "ool_ns");

        if (!isnan(fork) && !isnan(ool) && fork > 0 && ool > 0) {
            doc_say(d,
                    "Handing the memory over took %s by fork and %s out of line, in one run each. ",
                    format_ns(a, fork), format_ns(b, ool));
        }
        if (!query_null(&q, "fork_copied") && !query_null(&q, "ool_copied"))
            doc_say(d, "Over all phases %s%s copied after the fork, %s%s out of line. ",
                    query_int(&q, "fork_inferred") ? "~" : "",
                    format_noun(a, query_int(&q, "fork_copied"), "page"),
                    query_int(&q, "ool_inferred") ? "~" : "",
                    format_noun(b, query_int(&q, "ool_copied"), "page"));
        if (!query_null(&q, "fork_minflt") && !query_null(&q, "ool_minflt"))
            doc_say(d, "The steps took %s with fork and %s out of line.",
                    format_noun(a, query_int(&q, "fork_minflt"), "fault"),
                    format_noun(b, query_int(&q, "ool_minflt"), "fault"));
        doc_say(d, "\n\n");
    }
    doc_fail(d, query_close(&q));
}

static void pair_table(struct doc *d, const char *fork_run, const char *ool_run,
                       const struct doc_column *columns, int with_query)
{
    struct query q;

    if (ask_pair(d, &q, "db/report/fork-vs-ool.sql", fork_run, ool_run))
        doc_table(d, &q, columns, with_query);
}

static void pair_tables(struct doc *d, const char *fork_run, const char *ool_run)
{
    static const struct doc_column work[] = DOC_COLUMNS(
        DOC_TEXT("phase", "phase"), DOC_NS("fork_time_ns", "time: fork"),
        DOC_NS("ool_time_ns", "OOL"), DOC_COUNT("fork_minflt", "faults: fork"),
        DOC_COUNT("ool_minflt", "OOL"), DOC_COUNT("fork_copied", "pages copied: fork"),
        DOC_COUNT("ool_copied", "OOL"), DOC_KB("fork_pagetable_kb", "page tables: fork"),
        DOC_KB("ool_pagetable_kb", "OOL"));
    static const struct doc_column memory[] = DOC_COLUMNS(
        DOC_TEXT("phase", "phase"), DOC_COUNT("fork_mapped", "mapped: fork"),
        DOC_COUNT("ool_mapped", "OOL"), DOC_COUNT("fork_resident", "resident: fork"),
        DOC_COUNT("ool_resident", "OOL"), DOC_KB("fork_rss_kb", "sum of RSS: fork"),
        DOC_KB("ool_rss_kb", "OOL"), DOC_KB("fork_distinct_kb", "distinct: fork"),
        DOC_KB("ool_distinct_kb", "OOL"), DOC_KB("ool_object_only_kb", "in objects only: OOL"),
        DOC_KB("ool_superseded_kb", "superseded: OOL"),
        DOC_KB("ool_in_transit_kb", "in transit: OOL"), DOC_KB("fork_system_kb", "system: fork"),
        DOC_KB("ool_system_kb", "OOL"));

    pair_table(d, fork_run, ool_run, work, 0);
    pair_table(d, fork_run, ool_run, memory, 1);
}

/* Of the phases those that tell the two ways apart. */
static void pair_brief(struct doc *d, const char *fork_run, const char *ool_run)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("phase", "phase"), DOC_NS("fork_time_ns", "fork: time"),
        DOC_NS("ool_time_ns", "OOL: time"), DOC_COUNT("fork_minflt", "fork: faults"),
        DOC_COUNT("ool_minflt", "OOL: faults"), DOC_COUNT("fork_copied", "fork: pages copied"),
        DOC_COUNT("ool_copied", "OOL: pages copied"), DOC_KB("fork_distinct_kb", "fork: distinct"),
        DOC_KB("ool_distinct_kb", "OOL: distinct"),
        DOC_KB("ool_object_only_kb", "OOL: in objects only"),
        DOC_KB("ool_in_transit_kb", "OOL: in transit"));
    struct query q;

    if (ask_pair(d, &q, "db/report/fork-vs-ool-brief.sql", fork_run, ool_run))
        doc_table_lean(d, &q, columns);
}

static void one_pair(struct doc *d, struct query *q)
{
    const char *fork_run = query_text(q, "fork_run_id"), *ool_run = query_text(q, "ool_run_id");
    char size[FORMAT_MAX], page[FORMAT_MAX], name[200], subtitle[300];

    format_kb(size, query_number(q, "region_bytes") / 1024);
    format_kb(page, query_number(q, "page_size") / 1024);
    doc_say(d, "### ");
    doc_text(d, query_text(q, "fork_scenario"));
    doc_say(d, " and ");
    doc_text(d, query_text(q, "ool_scenario"));
    doc_say(d, " on ");
    doc_text(d, query_text(q, "backend"));
    if (d->brief)
        doc_say(d, ", %s\n\n", size);
    else
        doc_say(d, "\n\n%s, pages of %s. Runs `%s` and `%s`.\n\n", size, page, fork_run, ool_run);
    if (d->brief) { /* an answer has the sums */
        pair_brief(d, fork_run, ool_run);
        return;
    }
    pair_sentence(d, fork_run, ool_run);
    pair_tables(d, fork_run, ool_run);
    snprintf(name, sizeof name, "%.60s-and-%.60s-%.20s", query_text(q, "fork_scenario"),
             query_text(q, "ool_scenario"), query_text(q, "backend"));
    snprintf(subtitle, sizeof subtitle, "%.60s and %.60s on %.20s, %s",
             query_text(q, "fork_scenario"), query_text(q, "ool_scenario"),
             query_text(q, "backend"), size);
    pair_charts(d, fork_run, ool_run, name, subtitle);
}

static void fork_vs_ool_heading(struct doc *d)
{
    doc_section(d, "Fork against out of line, phase by phase");
    doc_say(d,
            "The same bytes handed over in both ways. A phase that one side does not have is a "
            "dash there; receiving is laid beside forking. The actors of the out-of-line run are "
            "two programs from the start, those of the fork run one until it forks.");
    if (d->brief)
        doc_say(d, " Phases without a fault, a copy or other memory than before are left out.");
    doc_say(d, "\n\n");
}

void section_fork_vs_ool(struct doc *d, const struct selection *runs)
{
    struct query q;

    if (!doc_ask(d, &q, "db/report/fork-ool-pairs.sql", ":runs", runs->json))
        return;
    for (int n = 0; query_row(&q); n++) {
        if (n == 0)
            fork_vs_ool_heading(d);
        one_pair(d, &q);
    }
    doc_fail(d, query_close(&q));
}

void section_cost(struct doc *d, const struct selection *runs)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("probe", "probe"), DOC_COUNT("looks", "looks"),
        DOC_COUNT("calls", "calls"), DOC_KB("read_kb", "read"), DOC_NS("total_ns", "time in all"),
        DOC_NS("each_ns", "a look"), DOC_NS("most_ns", "the longest"),
        DOC_COUNT("faults", "faults induced"));

    doc_say(d, "## What looking cost\n\n");
    if (doc_answer(d, "db/report/probe-cost.sql", ":runs", runs->json, columns) == 0)
        doc_say(d, "No costs were stored.\n\n");
}
