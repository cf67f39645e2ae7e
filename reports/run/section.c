/* section: one run in the markdown report: question, answer, timeline, page strips, footprint
 * against totals, expectations, sharing, transfers, messages. Sections without data are left out.
 */
#include "reports/run/sections.h"

#include "reports/draw/chart.h"
#include "reports/draw/label.h"
#include "reports/escape.h"
#include "reports/run/pictures.h"
#include "reports/run/wording.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FULL_TIMELINE 60 /* more rows than this: unchanged ones are left out */

static void params_line(struct doc *d, const struct history *h)
{
    struct query q;

    if (!doc_ask(d, &q, "SELECT key, value FROM json_each(:params) ORDER BY key", ":params",
                 h->params ? h->params : "{}"))
        return;
    for (int n = 0; query_row(&q); n++) {
        doc_say(d, n ? ", " : "; parameters ");
        doc_text(d, query_text(&q, "key"));
        doc_say(d, " = ");
        doc_text(d, query_text(&q, "value"));
    }
    doc_fail(d, query_close(&q));
}

static void heading(struct doc *d, const struct history *h)
{
    char *answer = answer_of(d, h, false), page[FORMAT_MAX];

    doc_say(d, "### On ");
    doc_text(d, h->backend);
    doc_say(d, "\n\nRun `%s`, ", h->run_id);
    doc_text(d, h->kernel ? h->kernel : "kernel unknown");
    doc_say(d, ", pages of %s", format_kb(page, (double)h->page_size / 1024));
    params_line(d, h);
    doc_cut_short(d, h->run_id);
    doc_say(d, ".\n\n**Answer from this run.** ");
    doc_text(d, answer);
    doc_say(d, ".\n\n");
    free(answer);
}

static const char *value_text(char *buf, struct value v)
{
    return format_value(buf, v, "unknown");
}

/* "16 exclusive, 2 debt" out of a range of quantities. */
static void counts_cell(struct doc *d, const struct obs_region *r, int from, int to)
{
    char n[FORMAT_MAX];
    int told = 0, unknown = 0;

    for (int q = from; q <= to; q++) {
        if (value_is_known(r->q[q]) && r->q[q].n > 0)
            doc_say(d, "%s%s %s", told++ ? ", " : " ", value_text(n, r->q[q]),
                    region_quantities[q].column);
        unknown += !value_is_known(r->q[q]) && r->q[q].why != WHY_NOT_APPLICABLE;
    }
    if (unknown)
        doc_say(d, "%s", told ? ", rest unknown" : " unknown");
    else if (!told)
        doc_say(d, " -");
    doc_say(d, " |");
}

static void timeline_row(struct doc *d, const struct history_step *s, const struct obs_region *r,
                         int first)
{
    const struct obs_process *p = observation_find_process(&s->obs, r->observed);
    const struct step_record record = history_record(s);
    struct value none = value_na();
    char did[512], label[512], mode[40], b[6][FORMAT_MAX];

    doc_say(d, "| ");
    if (first) {
        doc_say(d, "%d | %s | ", s->step, s->phase);
        doc_text(d, wording_action(did, sizeof did, &record));
    } else {
        doc_say(d, "| |");
    }
    doc_say(d, " | ");
    doc_text(d, label_region(label, sizeof label, r));
    doc_say(d, " | %s | %s | %s | %s | %s | %s |",
            label_share_mode(mode, sizeof mode, r, "unknown"), value_text(b[1], r->q[RQ_REF_COUNT]),
            value_text(b[2], r->q[RQ_RESIDENT]), value_text(b[3], r->q[RQ_MAPPED]),
            value_text(b[4], r->q[RQ_PAGES]), value_text(b[5], r->q[RQ_ENTRY_PAGES]));
    counts_cell(d, r, RQ_NONE, RQ_SWAPPED);
    if (r->q[RQ_WRITE_OUTCOME].why == WHY_NOT_APPLICABLE)
        doc_say(d, " - |");
    else
        counts_cell(d, r, RQ_FIRST_TOUCH, RQ_SWAPPED_IN);
    doc_say(d, " %s | %s | %s |\n", value_text(b[0], p ? p->q[PQ_RSS] : none),
            value_text(b[1], p ? p->q[PQ_PSS] : none), value_text(b[2], p ? p->q[PQ_USS] : none));
}

static size_t count_regions(const struct history *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->nsteps; i++)
        n += h->steps[i].obs.nregions;
    return n;
}

/* A step in which no region is observed still is a line. */
static void bare_step(struct doc *d, const struct history_step *s)
{
    const struct step_record record = history_record(s);
    char did[512];

    doc_say(d, "| %d | %s | ", s->step, s->phase);
    doc_text(d, wording_action(did, sizeof did, &record));
    doc_say(d, " | | | | | | | | | | | | |\n");
}

static void timeline(struct doc *d, const struct history *h)
{
    bool all = count_regions(h) <= FULL_TIMELINE;
    size_t left_out = 0;
    char n[FORMAT_MAX];

    doc_say(d, "#### Timeline\n\n"
               "| step | phase | action | seen in | share mode | refs | resident | mapped | pages "
               "| entry | by state | the write | RSS KiB | PSS KiB | USS KiB |\n"
               "|---:|---|---|---|---|---:|---:|---:|---:|---:|---|---|---:|---:|---:|\n");
    for (size_t i = 0; i < h->nsteps; i++) {
        const struct history_step *s = &h->steps[i];
        const struct step_record record = history_record(s);
        int rows = 0;

        for (size_t k = 0; k < s->obs.nregions; k++) {
            const struct obs_region *r = &s->obs.regions[k], *before = history_before(s, r);

            if (all || step_concerns(&record, r) || region_changed(before ? before->q : NULL, r))
                timeline_row(d, s, r, rows++ == 0);
            else
                left_out++;
        }
        if (rows == 0)
            bare_step(d, s);
    }
    if (left_out)
        doc_say(d, "\n%s that did not change since the step before left out.\n",
                format_noun(n, (int64_t)left_out, "row"));
    doc_say(d, "\n");
    doc_fail(d, doc_shell(d,
                          "SELECT step, phase, actor, action, observed, region, share_mode, "
                          "ref_count, resident, mapped, pages, write_outcome FROM timeline "
                          "WHERE run_id = '%q'",
                          h->run_id));
}

static void footprint(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "step"), DOC_TEXT("phase", "phase"), DOC_COUNT("actors", "actors"),
        DOC_KB("sum_rss_kb", "sum of RSS"), DOC_KB("sum_pss_kb", "sum of PSS"),
        DOC_KB("sum_uss_kb", "sum of USS"), DOC_KB("distinct_kb", "distinct frames"),
        DOC_KB("distinct_file_kb", "of them files"), DOC_KB("object_only_kb", "in objects only"),
        DOC_KB("superseded_kb", "superseded"), DOC_KB("in_transit_kb", "in transit"),
        DOC_KB("pagetable_kb", "page tables"), DOC_KB("system_kb", "the system's figure"),
        DOC_KB("residual_kb", "residual"));

    doc_say(d, "#### What the processes seem to use, and what the system uses\n\n");
    if (doc_answer(d, "db/report/footprint.sql", ":run_id", h->run_id, columns) == 0)
        doc_say(d, "No footprints were stored.\n\n");
    picture_waterfall(d, h);
}

/* "20 held, 0 failed, 0 not checked" */
static void expectation_counts(struct doc *d, const struct history *h)
{
    struct query q;
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];

    if (!doc_ask(d, &q, "db/report/expectation-counts.sql", ":run_id", h->run_id))
        return;
    if (query_row(&q)) {
        int64_t held = query_int(&q, "held"), failed = query_int(&q, "failed");
        int64_t not_checked = query_int(&q, "not_checked");

        if (held + failed + not_checked == 0)
            doc_say(d, "The scenario states none for this backend");
        else
            doc_say(d, "%s held, %s%s failed%s, %s not checked", format_count(a, held),
                    failed ? "**" : "", format_count(b, failed), failed ? "**" : "",
                    format_count(c, not_checked));
    }
    doc_fail(d, query_close(&q));
}

static void expectations(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("result", "result"), DOC_COUNT("step", "step"), DOC_TEXT("observed", "on"),
        DOC_TEXT("key", "key"), DOC_TEXT("expected", "expected"), DOC_TEXT("measured", "measured"),
        DOC_TEXT("reason", "why not checked"), DOC_COUNT("line", "line"));

    doc_say(d, "#### Expectations\n\n");
    expectation_counts(d, h);
    doc_say(d, ".\n\n");
    doc_answer(d, "db/report/expectations.sql", ":run_id", h->run_id, columns);
}

/* A titled table that is there only if the query has rows. */
static void optional_table(struct doc *d, const struct history *h, const char *title,
                           const char *sql, const struct doc_column *columns)
{
    struct query q;
    bool any;

    if (!doc_ask(d, &q, sql, ":run_id", h->run_id))
        return;
    any = query_row(&q);
    query_reset(&q);
    if (any)
        doc_say(d, "#### %s\n\n", title);
    doc_table(d, &q, columns, 1);
}

static void sharing(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_COUNT("step", "step"), DOC_TEXT("phase", "phase"),
                    DOC_TEXT("actor_a", "one"), DOC_TEXT("actor_b", "the other"),
                    DOC_COUNT("region_frames", "frames in common in the regions"),
                    DOC_KB("region_kb", "that is"), DOC_COUNT("frames", "in the whole processes"),
                    DOC_KB("shared_kb", "that is"));

    optional_table(d, h, "Who shares with whom", "db/report/sharing.sql", columns);
}

static void transfers(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "step"), DOC_TEXT("case_name", "case"), DOC_TEXT("sender", "from"),
        DOC_TEXT("receiver", "to"), DOC_TEXT("region", "region"), DOC_TEXT("kind", "kind"),
        DOC_COUNT("size", "size"), DOC_TEXT("asked", "asked"), DOC_TEXT("received", "arrived as"),
        DOC_TEXT("done", "done"), DOC_TEXT("deallocate", "deallocate"), DOC_TEXT("why", "why"));

    optional_table(d, h, "Transfers: asked, arrived, done", "db/report/transfers.sql", columns);
}

static void messages(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "step"), DOC_TEXT("actor", "received by"), DOC_COUNT("id", "id"),
        DOC_COUNT("size", "bytes inline"), DOC_TEXT("text", "text"),
        DOC_COUNT("descriptors", "descriptors"), DOC_TEXT("reply", "replied"));

    optional_table(d, h, "Messages received", "db/report/messages.sql", columns);
}

static void stray(struct doc *d, const struct history *h)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_COUNT("step", "step"), DOC_TEXT("case_name", "case"), DOC_TEXT("actor", "received by"),
        DOC_TEXT("region", "region"), DOC_COUNT("stray", "bytes that are not zero"),
        DOC_TEXT("seen", "beside the range"), DOC_TEXT("detail", "looked at"));

    optional_table(d, h, "Bytes beside what was sent", "db/report/stray.sql", columns);
}

void section_run(struct doc *d, const struct history *h)
{
    heading(d, h);
    timeline(d, h);
    picture_strips(d, h);
    picture_chains(d, h);
    footprint(d, h);
    expectations(d, h);
    sharing(d, h);
    transfers(d, h);
    section_run_latency(d, h);
    stray(d, h);
    messages(d, h);
}

void section_run_brief(struct doc *d, const struct history *h)
{
    char *answer = answer_of(d, h, true);

    doc_say(d, "- **On ");
    doc_text(d, h->backend);
    doc_say(d, ":** ");
    doc_text(d, answer);
    free(answer);
    doc_say(d, ". Expectations: ");
    expectation_counts(d, h);
    doc_say(d, ". Run `%s`", h->run_id);
    params_line(d, h);
    doc_cut_short(d, h->run_id);
    doc_say(d, ".\n");
}
