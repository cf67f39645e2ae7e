/* answer: what a run shows, in words: what its scenario's steps said of the question; and, without
 * that or below it, debt, writes and transfers in their order. Every number is a stored value. Says
 * what is unknown instead of leaving it out. */
#include "reports/run/sections.h"

#include "reports/draw/label.h"
#include "reports/format.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 5 /* writes told one by one; more are summed */

/* Joins clauses with commas and a final "and". */
struct clauses {
    FILE *out;
    size_t n;
};

static void __attribute__((format(printf, 2, 3))) clause(struct clauses *c, const char *fmt, ...)
{
    va_list ap;

    if (c->n++)
        fputs("; ", c->out);
    va_start(ap, fmt);
    vfprintf(c->out, fmt, ap);
    va_end(ap);
}

/* The region that the step's actor wrote, if this step was a write. */
static const struct obs_region *written(const struct history_step *s)
{
    const struct obs_region *r;

    if (!s->actor || !s->region || strcmp(s->action, "write") != 0)
        return NULL;
    r = observation_find_region(&s->obs, s->actor, s->region, s->case_name);
    return r && r->q[RQ_WRITE_OUTCOME].why != WHY_NOT_APPLICABLE ? r : NULL;
}

static int64_t pages_of(const struct obs_region *r, enum region_quantity q)
{
    return value_is_known(r->q[q]) ? r->q[q].n : 0;
}

/* Did the write meet memory that someone had written or given before? */
static bool tells_something(const struct obs_region *r)
{
    return !value_is_known(r->q[RQ_WRITE_OUTCOME]) || pages_of(r, RQ_COPIED) ||
           pages_of(r, RQ_REUSED) || pages_of(r, RQ_NO_FAULT) || pages_of(r, RQ_SWAPPED_IN);
}

static void one_write(struct clauses *c, const struct history_step *s, const struct obs_region *r)
{
    static const struct {
        enum region_quantity q;
        const char *did, *how;
    } parts[] = {{RQ_COPIED, "copied", ""},
                 {RQ_REUSED, "reused", ""},
                 {RQ_NO_FAULT, "wrote", " without a fault"},
                 {RQ_SWAPPED_IN, "brought back", " from swap"},
                 {RQ_FIRST_TOUCH, "first touched", ""}};
    char n[FORMAT_MAX];
    int said = 0;

    clause(c, "in step %d %.80s", s->step, s->actor);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (pages_of(r, parts[i].q))
            fprintf(c->out, "%s %s %s%s%s", said++ ? "," : "", parts[i].did,
                    format_mark(r->q[parts[i].q]), format_noun(n, pages_of(r, parts[i].q), "page"),
                    parts[i].how);
    if (!value_is_known(r->q[RQ_WRITE_OUTCOME]))
        fprintf(c->out, "%s (%s)",
                said ? ", and what it did to the others is unknown"
                     : " wrote, with an unknown outcome",
                word_text(unknown_reasons, r->q[RQ_WRITE_OUTCOME].why));
}

/* Sums over the writes that are known, and how many are not. */
static void summed_writes(struct clauses *c, const struct history *h, size_t writes)
{
    static const enum region_quantity of[] = {RQ_COPIED, RQ_REUSED, RQ_NO_FAULT};
    struct value sums[] = {value_known(0), value_known(0), value_known(0)};
    size_t unknown = 0;
    enum why why = WHY_KNOWN;
    char a[FORMAT_MAX], b[FORMAT_MAX], n[FORMAT_MAX];

    for (size_t i = 0; i < h->nsteps; i++) {
        const struct obs_region *r = written(&h->steps[i]);

        if (!r)
            continue;
        if (!value_is_known(r->q[RQ_WRITE_OUTCOME])) {
            unknown++;
            why = r->q[RQ_WRITE_OUTCOME].why;
            continue;
        }
        for (int k = 0; k < 3; k++)
            if (value_is_known(r->q[of[k]]))
                sums[k] = value_add(sums[k], r->q[of[k]]);
    }
    if (unknown < writes)
        clause(c,
               "%zu writes to memory that was there copied %s%s, reused %s%s, and met %s%s "
               "without a fault",
               writes - unknown, format_mark(sums[0]), format_noun(a, sums[0].n, "page"),
               format_mark(sums[1]), format_noun(b, sums[1].n, "page"), format_mark(sums[2]),
               format_noun(n, sums[2].n, "page"));
    if (unknown)
        clause(c, "%zu wrote with an outcome that is unknown, wholly or in part (%s)", unknown,
               word_text(unknown_reasons, why));
}

static void writes(struct clauses *c, const struct history *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->nsteps; i++) {
        const struct obs_region *r = written(&h->steps[i]);

        n += r && tells_something(r);
    }
    if (n > LISTED)
        summed_writes(c, h, n);
    for (size_t i = 0; i < h->nsteps && n <= LISTED; i++) {
        const struct obs_region *r = written(&h->steps[i]);

        if (r && tells_something(r))
            one_write(c, &h->steps[i], r);
    }
}

/* Where the most pages in debt were seen. */
static void debt(struct clauses *c, const struct history *h)
{
    const struct obs_region *most = NULL;
    char label[300], n[FORMAT_MAX];
    enum why why = WHY_KNOWN;
    int step = 0;

    for (size_t i = 0; i < h->nsteps; i++)
        for (size_t k = 0; k < h->steps[i].obs.nregions; k++) {
            const struct obs_region *r = &h->steps[i].obs.regions[k];

            if (!value_is_known(r->q[RQ_DEBT]) && r->q[RQ_DEBT].why != WHY_NOT_APPLICABLE)
                why = r->q[RQ_DEBT].why;
            if (pages_of(r, RQ_DEBT) > (most ? pages_of(most, RQ_DEBT) : 0)) {
                most = r;
                step = h->steps[i].step;
            }
        }
    if (!most) {
        if (why)
            clause(c, "which pages were in debt is unknown (%s)", word_text(unknown_reasons, why));
        return;
    }
    clause(c, "after step %d %s held %s%s in debt: alone, but the next write faults", step,
           label_region(label, sizeof label, most), format_mark(most->q[RQ_DEBT]),
           format_noun(n, pages_of(most, RQ_DEBT), "page"));
}

/* Share modes of the last step, a few regions at most: where little else is to be told. */
static void ending(struct clauses *c, const struct history *h)
{
    const struct observation *o;
    char label[300], mode[64];

    if (h->nsteps == 0)
        return;
    o = &h->steps[h->nsteps - 1].obs;
    for (size_t i = 0; i < o->nregions && o->nregions <= 4; i++) {
        label_region(label, sizeof label, &o->regions[i]);
        if (value_is_known(o->regions[i].q[RQ_SHARE_MODE]))
            clause(c, "%s%s is %s", i == 0 ? "at the end " : "", label,
                   label_mode(mode, sizeof mode, &o->regions[i]));
        else
            clause(c, "%sthe share mode of %s is unknown (%s)", i == 0 ? "at the end " : "", label,
                   word_text(unknown_reasons, o->regions[i].q[RQ_SHARE_MODE].why));
    }
}

/* Where several processes together seem to use most more than they occupy; said where the
 * regions can be the cause, and not the libraries that every process shares. */
static void overcount(struct clauses *c, const struct history *h)
{
    double best = 0, kb;
    bool related = false;
    char text[300], a[FORMAT_MAX], b[FORMAT_MAX];

    for (size_t i = 0; i < h->nsteps; i++) {
        const struct observation *o = &h->steps[i].obs;
        struct value rss = value_known(0), distinct = o->totals[TQ_DISTINCT];

        for (size_t k = 0; k < o->nprocesses; k++)
            rss = value_add(rss, o->processes[k].q[PQ_RSS]);
        if (o->nprocesses < 2 || !value_is_known(rss) || !value_is_known(distinct) ||
            (double)(rss.n - distinct.n) <= best)
            continue;
        best = (double)(rss.n - distinct.n);
        kb = 0;
        for (size_t k = 0; k < o->nregions; k++)
            kb += (double)pages_of(&o->regions[k], RQ_MAPPED) * (double)h->page_size / 1024;
        related = kb > best / 2;
        snprintf(text, sizeof text,
                 "%zu processes with %s of RSS in sum occupied %s of distinct frames (step %d)",
                 o->nprocesses, format_kb(a, (double)rss.n), format_kb(b, (double)distinct.n),
                 h->steps[i].step);
    }
    if (best > 0 && related)
        clause(c, "%s", text);
}

static void transfers(struct clauses *c, const struct history *h, struct doc *d)
{
    struct query q;

    if (!doc_ask(d, &q, "db/report/answer-transfers.sql", ":run_id", h->run_id))
        return;
    if (query_row(&q) && !query_null(&q, "line")) {
        clause(c, "of the transfers %s", query_text(&q, "line"));
    }
    doc_fail(d, query_close(&q));
}

/* What the scenario says to its question, without the last full stop; NULL: nothing. */
static char *scenarios_own(struct doc *d, const struct history *h)
{
    struct query q;
    char *text = NULL;
    size_t n;

    if (!doc_ask(d, &q, "SELECT answer FROM runs WHERE run_id = :run_id", ":run_id", h->run_id))
        return NULL;
    if (query_row(&q))
        text = query_copy(&q, "answer");
    doc_fail(d, query_close(&q));
    n = text ? strlen(text) : 0;
    if (n && text[n - 1] == '.')
        text[n - 1] = '\0';
    return text;
}

/* What happened, clause by clause. */
static char *course(struct doc *d, const struct history *h)
{
    char *text = NULL;
    size_t len;
    struct clauses c = {open_memstream(&text, &len), 0};
    size_t n;

    if (!c.out)
        return NULL;
    debt(&c, h);
    n = c.n;
    writes(&c, h);
    transfers(&c, h, d);
    if (c.n == n)
        clause(&c, "no write met memory that was shared or had been shared");
    overcount(&c, h);
    if (c.n < 2)
        ending(&c, h);
    if (fclose(c.out) != 0) {
        free(text);
        return NULL;
    }
    if (text && text[0] >= 'a' && text[0] <= 'z')
        text[0] = (char)(text[0] - 'a' + 'A');
    return text;
}

char *answer_of(struct doc *d, const struct history *h, bool brief)
{
    char *own = scenarios_own(d, h), *rest = own && brief ? NULL : course(d, h), *both = NULL;

    if (!own || !rest)
        return own ? own : rest;
    if (asprintf(&both, "%s. %s", own, rest) < 0)
        both = NULL;
    free(own);
    free(rest);
    return both;
}
