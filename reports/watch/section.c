/* section: a watch of live processes in the markdown report. Its samples are steps, far too
 * many to show one by one: pictures over time, tables of what came of it, the query behind each.
 * What they say in words is among the report's findings (findings.c). */
#include "reports/watch/sections.h"

#include "reports/escape.h"
#include "reports/watch/pictures.h"
#include "reports/watch/sentences.h"
#include <math.h>
#include <string.h>

#define SHARED "shared with parent"

/* Returns the number of rows. */
static int table(struct doc *d, const struct watch_data *w, const char *sql,
                 const struct doc_column *columns)
{
    return doc_answer(d, sql, ":run_id", w->run_id, columns);
}

static void seem_and_use(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column sums[] =
        DOC_COLUMNS(DOC_COUNT("step", "sample"), DOC_TEXT("after", "after"), DOC_TEXT("which", ""),
                    DOC_COUNT("processes", "processes"), DOC_KB("sum_rss_kb", "sum of RSS"),
                    DOC_KB("sum_pss_kb", "sum of PSS"), DOC_KB("distinct_kb", "distinct frames"),
                    DOC_KB("sum_uss_kb", "sum of USS"), DOC_KB("pagetable_kb", "page tables"),
                    DOC_KB("system_kb", "the system's figure"));

    doc_say(d, "#### What they seem to use, and what they use\n\n");
    watch_picture_footprint(d, w);
    watch_picture_waterfall(d, w);
    table(d, w, "db/report/watch-sums.sql", sums);
}

static void sharing(struct doc *d, const struct watch_data *w)
{
    doc_say(d, "#### Sharing over time\n\n");
    if (w->n < 2)
        doc_say(d, "One sample shows nothing over time.\n\n");
    watch_picture_sharing(d, w);
    doc_shell(d,
              "SELECT step, actor, shared_parent_kb, exclusive_kb, debt_kb, at_risk_kb "
              "FROM footprint WHERE run_id = '%q' ORDER BY actor, step",
              w->run_id);
}

static void costs(struct doc *d, const struct watch_data *w)
{
    const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("actor", "process"), DOC_TEXT("called", "command, or title"),
        DOC_TEXT("parent", "parent"), DOC_KB("max_rss_kb", "largest RSS"),
        DOC_KB("max_parent_kb", w->parent_at_most ? SHARED ", at most" : SHARED),
        DOC_KB("lost_kb", "lost of it"), DOC_KB("lost_before_kb", "before, at most"),
        DOC_KB("copied_kb", "copied"), DOC_KB("copied_kb_per_s", "a second"),
        DOC_COUNT("minflt", "minor faults"), DOC_COUNT("majflt", "major faults"),
        DOC_KB("max_debt_kb", "most in debt"), DOC_KB("last_at_risk_kb", "at risk at last"),
        DOC_NS("fork_ns", "fork, at most"));

    doc_say(d, "#### What copy-on-write cost each process\n\n");
    watch_picture_copied(d, w);
    if (table(d, w, "db/report/watch-costs.sql", columns) == 0)
        doc_say(d, "No process was seen.\n\n");
}

/* Of whom no mapping is listed because nobody knows, not because nothing was lost. */
static void not_known(struct doc *d, const struct watch_data *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->nactors; i++)
        n += w->actors[i].lost_why && isnan(w->actors[i].lost);
    if (n)
        doc_say(d, "What %zu process%s lost is unknown: the findings say why.\n\n", n,
                n == 1 ? "" : "es");
}

static void lost(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column parts[] = DOC_COLUMNS(
        DOC_TEXT("actor", "process"), DOC_TEXT("part", "part"), DOC_KB("most_kb", "most in common"),
        DOC_KB("last_kb", "at last"), DOC_KB("lost_kb", "lost"));
    static const struct doc_column mappings[] = DOC_COLUMNS(
        DOC_TEXT("actor", "process"), DOC_TEXT("region", "mapping"), DOC_TEXT("range", "addresses"),
        DOC_KB("most_kb", "most in common"), DOC_KB("last_kb", "at last"),
        DOC_KB("lost_kb", "lost"), DOC_TEXT("share_mode", "share mode"));

    doc_say(d, "#### Where sharing was lost\n\n");
    watch_picture_lost(d, w);
    if (table(d, w, "db/report/watch-lost-parts.sql", parts) == 0) {
        doc_say(d,
                "No mapping was seen to lose anything that it had in common with the parent.\n\n");
    } else {
        watch_picture_addresses(d, w);
        table(d, w, "db/report/watch-lost-mappings.sql", mappings);
    }
    not_known(d, w);
}

static void matrix(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_TEXT("actor_a", "process"), DOC_TEXT("actor_b", "and"),
                    DOC_KB("shared_kb", "in common"), DOC_COUNT("step", "as of sample"));
    size_t untold = 0;

    for (size_t i = 0; i < w->nactors; i++)
        untold += !w->actors[i].paired;
    doc_say(d, "#### Who shares with whom\n\n");
    watch_picture_matrix(d, w);
    table(d, w, "db/report/watch-matrix.sql", columns);
    if (w->nactors < 2)
        doc_say(d, "Nobody else was watched that could share with it.\n\n");
    else if (untold)
        doc_say(d,
                "What %zu of %zu processes had in common with others is not stored. That is done "
                "with the first sample and the last, once processes came or went, and once a "
                "minute, as long as that is no more than some pairs a second.\n\n",
                untold, w->nactors);
}

static void risk(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_COUNT("step", "sample"), DOC_TEXT("after", "after"),
                    DOC_KB("growth_kb", "new memory if all is written"),
                    DOC_KB("mem_available_kb", "machine has available"),
                    DOC_KB("cgroup_limit_kb", "cgroup's limit"), DOC_KB("cgroup_kb", "cgroup uses"),
                    DOC_KB("room_kb", "so is free"));

    doc_say(d, "#### Memory at risk against what is free\n\n");
    watch_picture_risk(d, w);
    table(d, w, "db/report/watch-risk.sql", columns);
}

static void events(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "sample"), DOC_TEXT("after", "after"), DOC_TEXT("actor", "process"),
        DOC_TEXT("kind", "what"), DOC_NS("fork_ns", "took at most"), DOC_TEXT("text", ""));

    doc_say(d, "#### Who came and went\n\n");
    if (table(d, w, "db/report/watch-events.sql", columns) == 0)
        doc_say(d, "Nothing happened between the samples.\n\n");
    else
        doc_say(d, "At most 60 of them; all are in the view `watch_events`.\n\n");
}

static void cost_of_looking(struct doc *d, const struct watch_data *w)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_COUNT("samples", "samples"), DOC_NS("each_ns", "each"),
                    DOC_NS("most_ns", "the longest"), DOC_NS("total_ns", "in all"),
                    DOC_NS("watched_ns", "watched"), DOC_TEXT("percent", "% of the time"),
                    DOC_COUNT("behind", "samples with mappings left over"));
    static const struct doc_column probes[] =
        DOC_COLUMNS(DOC_TEXT("probe", "read"), DOC_COUNT("calls", "calls"),
                    DOC_KB("read_kb", "bytes"), DOC_NS("total_ns", "time in all"));

    doc_say(d, "#### What looking cost\n\n");
    table(d, w, "db/report/watch-cost.sql", columns);
    table(d, w, "db/report/watch-probes.sql", probes);
}

static void heading(struct doc *d, const struct watch_data *w)
{
    doc_say(d, "### Run `%s`: ", w->run_id);
    doc_text(d, w->title);
    doc_cut_short(d, w->run_id);
    doc_say(d, "\n\n");
}

void section_watch_brief(struct doc *d, const struct watch_data *w)
{
    const struct doc_column columns[] =
        DOC_COLUMNS(DOC_TEXT("actor", "process"), DOC_TEXT("command", "command"),
                    DOC_TEXT("parent", "parent"), DOC_KB("max_rss_kb", "largest RSS"),
                    DOC_KB("max_parent_kb", w->parent_at_most ? SHARED ", at most" : SHARED),
                    DOC_KB("lost_kb", "lost of it"), DOC_KB("copied_kb", "copied"));
    struct query q;

    heading(d, w);
    if (d->rc == 0)
        doc_fail(d, watch_sentences(d->db, w->run_id, d->out, "- ", escape_markdown, d->e));
    doc_say(d, w->samples ? "\n" : "It has no sample.\n\n");
    watch_picture_used(d, w);
    if (doc_ask(d, &q, "db/report/watch-top.sql", ":run_id", w->run_id))
        doc_table(d, &q, columns, 0);
}

void section_watch(struct doc *d, const struct watch_data *w)
{
    heading(d, w);
    doc_say(d,
            "Live processes were looked at over time, without being stopped, traced or written "
            "to. A sample is not atomic: its processes were read one after the other while all of "
            "them ran on, so that figures of one sample can be some milliseconds apart. What "
            "happened and was undone between two samples is not seen.\n\n");
    seem_and_use(d, w);
    sharing(d, w);
    costs(d, w);
    lost(d, w);
    matrix(d, w);
    risk(d, w);
    events(d, w);
    cost_of_looking(d, w);
}
