/* walk: a run for the page's step slider (reports/page/page.js), as JSON (db/report/walk.sql). */
#include "reports/run/sections.h"

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/run/wording.h"
#include <stdlib.h>

#define MOST_BYTES 1000000 /* of all walks: what comes behind is left out, and said to be */

static void put_text(FILE *out, const char *key, const char *text)
{
    if (!text)
        return;
    fprintf(out, "\"%s\":\"", key);
    escape_json_string(out, text);
    fputs("\",", out);
}

/* json: the step as the query has it, an object. */
static void put_step(FILE *out, const struct history_step *s, const char *json)
{
    const struct step_record record = history_record(s);
    char did[512], ns[FORMAT_MAX];

    fputs("\n{", out);
    put_text(out, "did", wording_action(did, sizeof did, &record));
    put_text(out, "took", s->dur_ns ? format_ns(ns, (double)s->dur_ns) : NULL);
    escape_json(out, json + 1);
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
    struct query q;
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
    free(ended);
    fputs("\"steps\":[", out);
    if (!doc_ask(d, &q, "db/report/walk.sql", ":run_id", h->run_id))
        return;
    for (; i < h->nsteps && ftell(out) < MOST_BYTES && query_row(&q); i++) {
        fputs(i ? "," : "", out);
        put_step(out, &h->steps[i], query_text(&q, "json"));
    }
    d->page->full |= i < h->nsteps;
    fprintf(out, "],\"left\":%zu}", h->nsteps - i);
    doc_fail(d, query_close(&q));
}
