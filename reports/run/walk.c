#include "reports/run/walk.h"

#include "reports/draw/strips.h"
#include "reports/escape.h"
#include "reports/format.h"
#include "reports/run/wording.h"
#include <errno.h>
#include <stdlib.h>

#define MOST_CELLS 64
#define MOST_RUNS 256      /* of pages in one object */
#define MOST_BYTES 1000000 /* of all walks: what comes behind is left out, and said to be */

static void put_text(FILE *out, const char *key, const char *text)
{
    if (!text)
        return;
    fprintf(out, "\"%s\":\"", key);
    escape_json(out, text);
    fputs("\",", out);
}

/* Nothing where the value does not apply; "?" for one that is unknown. */
static void put_value(FILE *out, const char *key, struct value v)
{
    char n[FORMAT_MAX];

    if (v.why != WHY_NOT_APPLICABLE)
        fprintf(out, "\"%s\":\"%s\",", key, format_value(n, v, "?"));
}

static void put_mode(FILE *out, struct value v)
{
    if (!value_is_known(v))
        put_value(out, "mode", v);
    else
        fprintf(out, "\"mode\":\"%s%s\",", format_mark(v), word_text(share_modes, (int)v.n));
}

/* Cells that are alike and whose frames follow each other, not yet written. */
struct cells {
    FILE *out;
    const char *comma;
    int state;
    uint64_t count, frame;
};

static void end_cells(struct cells *c)
{
    if (c->count) {
        fprintf(c->out, "%s[%d,%llu,%llu]", c->comma, c->state, (unsigned long long)c->count,
                (unsigned long long)c->frame);
        c->comma = ",";
    }
    c->count = 0;
}

/* A cell of one state: [state, cells, frame]; a mixed one: a pair [state, pages] for each. */
static void put_cell(void *arg, const uint64_t *pages, uint64_t frame)
{
    struct cells *c = arg;
    const char *comma = "";
    int state = -1, kinds = 0;

    for (int s = 0; s <= PS__COUNT; s++)
        if (pages[s]) {
            kinds++;
            state = s;
        }
    if (kinds == 1 && c->count && state == c->state &&
        frame == (c->frame ? c->frame + c->count : 0)) {
        c->count++;
        return;
    }
    end_cells(c);
    if (kinds == 1) {
        c->state = state;
        c->count = 1;
        c->frame = frame;
        return;
    }
    fprintf(c->out, "%s[", c->comma);
    for (int s = 0; s <= PS__COUNT; s++)
        if (pages[s]) {
            fprintf(c->out, "%s[%d,%llu]", comma, s, (unsigned long long)pages[s]);
            comma = ",";
        }
    fputs("]", c->out);
    c->comma = ",";
}

static int put_cells(FILE *out, const struct obs_region *r)
{
    const struct strip_row row = {.pages = value_is_known(r->q[RQ_PAGES]) ? r->q[RQ_PAGES].n : 0,
                                  .runs = r->runs,
                                  .nruns = r->nruns,
                                  .cut = r->runs_cut};
    struct cells c = {.out = out, .comma = ""};
    uint64_t per;

    fputs("\"cells\":[", out);
    per = strip_cells(&row, MOST_CELLS, put_cell, &c);
    end_cells(&c);
    fprintf(out, "],\"pages\":%llu,\"per\":%llu,", (unsigned long long)row.pages,
            (unsigned long long)per);
    return per ? 0 : -ENOMEM;
}

/* Frames in page order: [page, pages, frame]; more: so many runs were left out. */
static void put_frames(FILE *out, const struct page_run *runs, size_t n)
{
    size_t put = 0;

    fputs("\"runs\":[", out);
    for (size_t i = 0; i < n; i++) {
        struct page_run run = runs[i];

        for (; i + 1 < n && run.frame && runs[i + 1].first == run.first + run.count &&
               runs[i + 1].frame == run.frame + run.count;
             i++)
            run.count += runs[i + 1].count;
        if (run.frame && put++ < MOST_RUNS)
            fprintf(out, "%s[%llu,%llu,%llu]", put > 1 ? "," : "", (unsigned long long)run.first,
                    (unsigned long long)run.count, (unsigned long long)run.frame);
    }
    fprintf(out, "],\"more\":%zu}", put > MOST_RUNS ? put - MOST_RUNS : 0);
}

/* The objects behind a region from the top down; where none was stored, the pages it shows. */
static void put_chain(FILE *out, const struct obs_region *r)
{
    fputs("\"chain\":[", out);
    for (size_t i = 0; i < r->nobjects; i++) {
        const struct obs_object *o = &r->objects[i];

        fprintf(out, "%s{\"n\":%llu,", i ? "," : "", (unsigned long long)o->number);
        put_text(out, "kind", o->kind);
        put_value(out, "refs", o->refs);
        put_value(out, "size", o->size);
        put_value(out, "resident", o->resident);
        put_frames(out, o->runs, o->nruns);
    }
    if (r->nobjects == 0 && r->nruns) {
        fputs("{\"n\":0,\"kind\":\"pages\",", out);
        put_frames(out, r->runs, r->nruns);
    }
    fputs("]", out);
}

/* What the write of this step did: "1 copied, 2 reused". */
static void put_outcome(FILE *out, const struct obs_region *r)
{
    char n[FORMAT_MAX];
    int told = 0;

    for (int q = RQ_FIRST_TOUCH; q <= RQ_SWAPPED_IN; q++)
        if (value_is_known(r->q[q]) && r->q[q].n > 0)
            fprintf(out, "%s%s %s", told++ ? ", " : "\"wrote\":\"", format_value(n, r->q[q], "?"),
                    region_quantities[q].column);
    if (told)
        fputs("\",", out);
}

/* The page states, by number, whose counts were concluded. */
static void put_inferred(FILE *out, const struct obs_region *r)
{
    const char *comma = "";

    fputs("\"inferred\":[", out);
    for (int q = RQ_NONE; q <= RQ_SWAPPED; q++)
        if (value_is_known(r->q[q]) && r->q[q].inferred) {
            fprintf(out, "%s%d", comma, word_code(page_states, region_quantities[q].column));
            comma = ",";
        }
    fputs("],", out);
}

static int put_region(FILE *out, const struct obs_region *r)
{
    int rc;

    fputs("{", out);
    put_text(out, "in", r->observed);
    put_text(out, "of", r->region);
    put_text(out, "case", r->case_name);
    put_mode(out, r->q[RQ_SHARE_MODE]);
    put_value(out, "refs", r->q[RQ_REF_COUNT]);
    put_value(out, "resident", r->q[RQ_RESIDENT]);
    put_value(out, "risk", r->q[RQ_AT_RISK]);
    put_outcome(out, r);
    put_inferred(out, r);
    if (r->needs_copy >= 0)
        fprintf(out, "\"needs\":%d,", r->needs_copy);
    rc = put_cells(out, r);
    put_chain(out, r);
    fputs("}", out);
    return rc;
}

static int put_step(FILE *out, const struct history_step *s)
{
    const struct step_record record = history_record(s);
    char did[512], ns[FORMAT_MAX];
    int rc = 0;

    fprintf(out, "{\"n\":%d,", s->step);
    put_text(out, "phase", s->phase);
    put_text(out, "did", wording_action(did, sizeof did, &record));
    put_text(out, "case", s->case_name);
    put_text(out, "took", s->dur_ns ? format_ns(ns, (double)s->dur_ns) : NULL);
    fputs("\"processes\":[", out);
    for (size_t i = 0; i < s->obs.nprocesses; i++) {
        const struct obs_process *p = &s->obs.processes[i];

        fputs(i ? ",{" : "{", out);
        put_value(out, "rss", p->q[PQ_RSS]);
        put_value(out, "pss", p->q[PQ_PSS]);
        put_value(out, "uss", p->q[PQ_USS]);
        fputs("\"name\":\"", out);
        escape_json(out, p->actor);
        fputs("\"}", out);
    }
    fputs("],\"regions\":[", out);
    for (size_t i = 0; i < s->obs.nregions && rc == 0; i++) {
        fputs(i ? "," : "", out);
        rc = put_region(out, &s->obs.regions[i]);
    }
    fputs("]}", out);
    return rc;
}

void walk_here(struct doc *d, const struct history *h)
{
    if (!d->page || d->rc)
        return;
    fputs("<div class=\"walk\" data-scenario=\"", d->out);
    escape_xml(d->out, h->scenario);
    fputs("\"></div>\n\n", d->out);
}

void walk_run(struct doc *d, const struct history *h)
{
    FILE *out = d->page && d->rc == 0 ? d->page->walks.out : NULL;
    char *ended = NULL;
    size_t i = 0;

    if (!out || doc_fail(d, query_cut_short(d->db, h->run_id, &ended, d->e)))
        return;
    fputs(ftell(out) > 0 ? ",\n{" : "{", out);
    put_text(out, "scenario", h->scenario);
    put_text(out, "title", h->title);
    put_text(out, "backend", h->backend);
    put_text(out, "kernel", h->kernel);
    put_text(out, "twin", h->twin);
    put_text(out, "ended", ended);
    fputs("\"steps\":[", out);
    for (; i < h->nsteps && ftell(out) < MOST_BYTES && d->rc == 0; i++) {
        fputs(i ? ",\n" : "\n", out);
        if (put_step(out, &h->steps[i]))
            doc_fail(d, err_no_memory(d->e));
    }
    fprintf(out, "],\"left\":%zu}", h->nsteps - i);
    free(ended);
}
