#include "reports/run/pictures.h"

#include "probes/list.h"
#include "reports/draw/chain.h"
#include "reports/draw/chart.h"
#include "reports/draw/label.h"
#include "reports/draw/strips.h"
#include "reports/format.h"
#include "reports/run/wording.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PANELS_PER_PICTURE 12
#define ROWS_PER_PICTURE 40
#define ROWS_SHOWN_ANYWAY 40 /* a run with no more rows shows those that did not change, too */

/* Rows of one picture; texts are the picture's own. */
struct strip_set {
    struct strip_row *rows;
    size_t n;
};

static void strip_set_release(struct strip_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free((char *)set->rows[i].step);
        free((char *)set->rows[i].label);
        free((char *)set->rows[i].note);
    }
    free(set->rows);
    *set = (struct strip_set){NULL, 0};
}

static int strip_set_add(struct strip_set *set, const struct history_step *s,
                         const struct obs_region *r, bool first)
{
    const struct step_record record = history_record(s);
    char did[300], step[400], label[300], note[120], n[FORMAT_MAX];
    size_t used;
    struct strip_row *row = LIST_ADD(set->rows, set->n);

    if (!row)
        return -ENOMEM;
    snprintf(step, sizeof step, "%d %s: %s", s->step, s->phase,
             wording_action(did, sizeof did, &record));
    *row = strip_of(r);
    row->before = history_before(s, r);
    row->step = first ? strdup(step) : NULL;
    row->label = strdup(label_short(label, sizeof label, r, 32));
    used = strlen(label_mode(note, 64, r));
    if (value_is_known(r->q[RQ_RESIDENT]) && r->q[RQ_RESIDENT].n > 0 &&
        value_is_known(r->q[RQ_MAPPED]) && r->q[RQ_MAPPED].n == 0) /* and yet it is there */
        snprintf(note + used, sizeof note - used, ", %s in memory",
                 format_count(n, r->q[RQ_RESIDENT].n));
    row->note = strdup(note);
    return (first && !row->step) || !row->label || !row->note ? -ENOMEM : 0;
}

static bool same_case(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Worth a row: pages are known here, and something is new since the step before. */
static bool wanted(const struct history_step *s, const struct obs_region *r, bool all)
{
    const struct obs_region *before = history_before(s, r);

    if (!value_is_known(r->q[RQ_PAGES]) || r->q[RQ_PAGES].n == 0)
        return false;
    return all || !before || !strip_same_runs(before, r) ||
           before->q[RQ_SHARE_MODE].n != r->q[RQ_SHARE_MODE].n;
}

/* What a picture of one case (or NULL) is called. */
struct caption {
    char title[300], alt[400];
};

/* Opens the part-th picture of its kind; kind: in the file's name. */
static FILE *begin_picture(struct doc *d, const struct history *h, const char *case_name, int part,
                           const char *kind, const char *what, const char *shows, struct caption *c)
{
    char name[200];

    snprintf(name, sizeof name, "%.60s-%.20s-%s%s%.80s-%d", h->scenario, h->backend, kind,
             case_name ? "-" : "", case_name ? case_name : "", part);
    snprintf(c->title, sizeof c->title, "%s: %.100s on %.20s%s%.100s%s", what, h->scenario,
             h->backend, case_name ? ", " : "", case_name ? case_name : "",
             part > 1 ? " (continued)" : "");
    snprintf(c->alt, sizeof c->alt, "%s: %s", c->title, shows);
    return doc_picture(d, name);
}

static void draw_set(struct doc *d, const struct history *h, const char *case_name,
                     struct strip_set *set, int part, const char *subtitle)
{
    struct caption c;
    FILE *f;

    if (set->n == 0)
        return;
    f = begin_picture(d, h, case_name, part, "pages", "Pages",
                      "one row per step and region, coloured by page state", &c);
    if (f)
        strips_draw(f, c.title, subtitle, set->rows, set->n);
    doc_picture_end(d, f, c.alt);
    strip_set_release(set);
}

static const char every[] = "Regions as they were after each step";

/* The strips of one case (NULL: of regions without one), in parts. */
static void strips_of_case(struct doc *d, const struct history *h, const char *case_name, bool all)
{
    struct strip_set set = {NULL, 0};
    int part = 1;

    for (size_t i = 0; i < h->nsteps; i++) {
        const struct observation *o = &h->steps[i].obs;
        bool first = true;

        if (set.n >= ROWS_PER_PICTURE)
            draw_set(d, h, case_name, &set, part++, every);
        for (size_t k = 0; k < o->nregions; k++) {
            const struct obs_region *r = &o->regions[k];

            if (!same_case(r->case_name, case_name) || !wanted(&h->steps[i], r, all))
                continue;
            if (strip_set_add(&set, &h->steps[i], r, first))
                doc_fail(d, err_no_memory(d->e));
            first = false;
        }
    }
    draw_set(d, h, case_name, &set, part, every);
    strip_set_release(&set);
}

/* Is this the first region with its case? One that was seen before is not. */
static bool new_case(const struct history *h, size_t step, size_t region)
{
    const struct obs_region *r = &h->steps[step].obs.regions[region];
    const char *c = r->case_name;

    if (history_before(&h->steps[step], r))
        return false;
    for (size_t i = 0; i <= step; i++)
        for (size_t k = 0; k < (i == step ? region : h->steps[i].obs.nregions); k++)
            if (same_case(h->steps[i].obs.regions[k].case_name, c))
                return false;
    return true;
}

void picture_strips(struct doc *d, const struct history *h)
{
    size_t rows = 0, pages = 0;

    for (size_t i = 0; i < h->nsteps; i++) {
        rows += h->steps[i].obs.nregions;
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++)
            pages += wanted(&h->steps[i], &h->steps[i].obs.regions[k], true);
    }
    if (pages == 0 || (d->brief && d->page && !d->page->full)) /* there the slider has them */
        return;
    doc_say(d, "#### The pages\n\n");
    for (size_t i = 0; i < h->nsteps; i++)
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++)
            if (new_case(h, i, k))
                strips_of_case(d, h, h->steps[i].obs.regions[k].case_name,
                               rows <= ROWS_SHOWN_ANYWAY);
    doc_fail(d, doc_shell(d,
                          "SELECT step, observed, region, case_name, first, count, state, frame "
                          "FROM page_runs WHERE run_id = '%q'",
                          h->run_id));
}

/* Does a later step show something new of this region's case? */
static bool case_goes_on(const struct history *h, size_t step, const struct obs_region *r)
{
    for (size_t i = step + 1; i < h->nsteps; i++) {
        const struct observation *o = &h->steps[i].obs;

        for (size_t k = 0; k < o->nregions; k++)
            if (same_case(o->regions[k].case_name, r->case_name) &&
                wanted(&h->steps[i], &o->regions[k], false))
                return true;
    }
    return false;
}

void picture_pages(struct doc *d, const struct history *h)
{
    struct strip_set set = {NULL, 0};
    bool cases = false, shown;

    for (size_t i = 0; i < h->nsteps; i++)
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++)
            cases |= h->steps[i].obs.regions[k].case_name != NULL;
    for (size_t i = 0; i < h->nsteps && set.n < ROWS_PER_PICTURE; i++) {
        const struct observation *o = &h->steps[i].obs;
        bool first = true;

        for (size_t k = 0; k < o->nregions && set.n < ROWS_PER_PICTURE; k++) {
            const struct obs_region *r = &o->regions[k];

            if (!wanted(&h->steps[i], r, false) || (cases && case_goes_on(h, i, r)))
                continue;
            if (strip_set_add(&set, &h->steps[i], r, first))
                doc_fail(d, err_no_memory(d->e));
            first = false;
        }
    }
    shown = set.n > 0;
    if (shown && d->page) /* which the slider closes: it shows the same */
        doc_say(d, "<details class=\"still\" open><summary>All steps in one picture</summary>\n\n");
    draw_set(d, h, NULL, &set, 1,
             cases ? "How each case ended"
                   : "Regions that changed, step by step; what did not is left out");
    doc_say(d, shown && d->page ? "</details>\n\n" : "");
    strip_set_release(&set);
}

/* Regions of one case at a step, for a panel, each with what it was before. */
static size_t chain_regions(const struct history *h, size_t i, const char *case_name,
                            struct chain_region *out)
{
    const struct observation *o = &h->steps[i].obs;
    size_t n = 0;

    for (size_t k = 0; k < o->nregions; k++)
        if (same_case(o->regions[k].case_name, case_name))
            out[n++] =
                (struct chain_region){&o->regions[k], history_before(&h->steps[i], &o->regions[k])};
    return n;
}

struct panels {
    struct chain_panel all[PANELS_PER_PICTURE];
    struct chain_region *regions[PANELS_PER_PICTURE];
    char titles[PANELS_PER_PICTURE][400];
    size_t n;
};

static void draw_panels(struct doc *d, const struct history *h, const char *case_name,
                        struct panels *p, int part)
{
    struct caption c;
    FILE *f;

    if (p->n == 0)
        return;
    f = begin_picture(d, h, case_name, part, "objects", "What stands behind",
                      "regions, memory objects and frames after each step", &c);
    if (f && chain_draw(f, c.title, p->all, p->n))
        doc_fail(d, err_no_memory(d->e));
    doc_picture_end(d, f, c.alt);
    for (size_t i = 0; i < p->n; i++)
        free(p->regions[i]);
    p->n = 0;
}

static void chains_of_case(struct doc *d, const struct history *h, const char *case_name)
{
    struct panels *p = calloc(1, sizeof *p);
    int part = 1;

    for (size_t i = 0; i < h->nsteps && p && d->rc == 0; i++) {
        const struct history_step *s = &h->steps[i];
        struct chain_region *regions = calloc(s->obs.nregions + 1, sizeof *regions);
        const struct step_record record = history_record(s);
        char did[300];
        struct chain_panel panel = {NULL, regions, 0};

        if (!regions) {
            doc_fail(d, err_no_memory(d->e));
            break;
        }
        panel.nregions = chain_regions(h, i, case_name, regions);
        if (!chain_changed(&panel)) {
            free(regions);
            continue;
        }
        if (p->n == PANELS_PER_PICTURE)
            draw_panels(d, h, case_name, p, part++);
        snprintf(p->titles[p->n], sizeof p->titles[p->n], "%d %s: %s", s->step, s->phase,
                 wording_action(did, sizeof did, &record));
        p->regions[p->n] = regions;
        panel.title = p->titles[p->n];
        p->all[p->n++] = panel;
    }
    if (p)
        draw_panels(d, h, case_name, p, part);
    else
        doc_fail(d, err_no_memory(d->e));
    free(p);
}

/* Is there anything behind any region that could be drawn? */
static bool has_chains(const struct history *h)
{
    for (size_t i = 0; i < h->nsteps; i++)
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++) {
            const struct obs_region *r = &h->steps[i].obs.regions[k];

            if (r->nobjects)
                return true;
            for (size_t n = 0; n < r->nruns; n++)
                if (r->runs[n].frame)
                    return true;
        }
    return false;
}

void picture_chains(struct doc *d, const struct history *h)
{
    if (!has_chains(h))
        return;
    doc_say(d, "#### What stands behind the regions\n\nSteps in which nothing changed are left "
               "out.\n\n");
    for (size_t i = 0; i < h->nsteps; i++)
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++)
            if (new_case(h, i, k))
                chains_of_case(d, h, h->steps[i].obs.regions[k].case_name);
    doc_fail(d,
             doc_shell(d,
                       "SELECT step, observed, region, depth, number, kind, refs, size, resident "
                       "FROM objects WHERE run_id = '%q'",
                       h->run_id));
}

/* Texts of one waterfall that are made from its row. */
struct notes {
    char source[160], residual[120];
};

static void make_notes(struct query *q, struct notes *n)
{
    const double residual = query_number(q, "residual_kb");
    const double tolerance = query_number(q, "system_tolerance_kb");
    char buf[FORMAT_MAX];

    snprintf(n->source, sizeof n->source, "%s",
             query_null(q, "system_source") ? "" : query_text(q, "system_source"));
    if (isnan(residual) || isnan(tolerance) || tolerance <= 0)
        snprintf(n->residual, sizeof n->residual, "not explained by this account");
    else
        snprintf(n->residual, sizeof n->residual, "%s the figure's tolerance, %s",
                 fabs(residual) <= tolerance ? "within" : "beyond", format_kb(buf, tolerance));
}

/* What stands between the sum of RSS and the system's figure, from one row of the query. */
static size_t waterfall_rows(struct query *q, struct waterfall_row *rows, struct notes *notes)
{
    const double rss = query_number(q, "sum_rss_kb"), distinct = query_number(q, "distinct_kb");
    const struct {
        const char *column, *label, *note;
        double sign;
    } parts[] = {
        {"distinct_file_kb", "pages of files", "page cache, not in the system's figure", -1},
        {"object_only_kb", "in objects only", "held, but mapped nowhere", 1},
        {"in_transit_kb", "in transit", "in messages, in no process", 1},
        {"pagetable_kb", "page tables", "of the actors", 1},
        {"residual_kb", "residual", notes->residual, 1},
    };
    const size_t last = sizeof parts / sizeof *parts - 1; /* the residual: unknown with its parts */
    size_t n = 0;

    rows[n++] = (struct waterfall_row){"sum of RSS", "over the actors", WATERFALL_TOTAL, rss};
    rows[n++] = (struct waterfall_row){"counted more than once", "frames that several map",
                                       WATERFALL_DELTA, distinct - rss};
    rows[n++] = (struct waterfall_row){"distinct frames", NULL, WATERFALL_TOTAL, distinct};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double v = parts[i].sign * query_number(q, parts[i].column);

        if (v == 0 || (isnan(v) && i < last && !query_unknown(q, parts[i].column)))
            continue; /* nothing, or does not apply; an unknown part stays */
        rows[n++] = (struct waterfall_row){parts[i].label, parts[i].note, WATERFALL_DELTA, v};
    }
    rows[n++] = (struct waterfall_row){"the system's figure", *notes->source ? notes->source : NULL,
                                       WATERFALL_TOTAL, query_number(q, "system_kb")};
    return n;
}

void picture_waterfall(struct doc *d, const struct history *h)
{
    struct waterfall_row rows[10];
    char name[160], title[200], subtitle[160];
    struct notes notes = {"", ""};
    struct query q;
    FILE *f;

    if (!doc_ask(d, &q, "db/report/waterfall.sql", ":run_id", h->run_id))
        return;
    if (query_row(&q)) {
        size_t n;

        make_notes(&q, &notes);
        n = waterfall_rows(&q, rows, &notes);

        snprintf(name, sizeof name, "%.60s-%.20s-waterfall", h->scenario, h->backend);
        snprintf(title, sizeof title, "From the sum of RSS to the system's figure: %.100s",
                 h->scenario);
        snprintf(subtitle, sizeof subtitle, "After step %d (%s), where they are furthest apart",
                 (int)query_int(&q, "step"), query_text(&q, "phase"));
        f = doc_picture(d, name);
        if (f)
            chart_waterfall(f, title, subtitle, UNIT_KB, rows, n);
        doc_picture_end(d, f, title);
    }
    doc_fail(d, query_close(&q));
}
