#include "reports/watch/pictures.h"

#include "reports/draw/chart.h"
#include "reports/draw/svg.h"
#include "reports/write/query.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SERIES 8 /* that a chart tells apart */
#define LOST_ROWS 12
#define PARTS 8
#define MATRIX 24 /* processes that a picture shows */

static FILE *begin(struct doc *d, const struct watch_data *w, const char *what)
{
    char name[96];

    snprintf(name, sizeof name, "watch-%.40s-%s", w->run_id + 16, what);
    return doc_picture(d, name);
}

/* c: what differs from chart to chart. */
static void draw_lines(struct doc *d, const struct watch_data *w, const char *what,
                       struct chart_lines c)
{
    FILE *f;

    c.x_name = w->x_name;
    c.unit = UNIT_KB;
    c.x_unit = UNIT_NUMBER;
    c.x = w->x;
    c.npoints = w->n;
    if (w->n < 2 || c.nseries == 0)
        return;
    f = begin(d, w, what);
    if (f)
        chart_lines(f, &c);
    doc_picture_end(d, f, c.title);
}

static void lines(struct doc *d, const struct watch_data *w, const char *what, const char *title,
                  const char *subtitle, const struct chart_series *series, size_t n)
{
    draw_lines(
        d, w, what,
        (struct chart_lines){.title = title, .subtitle = subtitle, .series = series, .nseries = n});
}

/* The process that the chart of a figure shows, with the most it had. */
struct ranked {
    const struct watch_actor *actor;
    double most;
};

static int by_most(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->most != y->most)
        return x->most < y->most ? 1 : -1;
    return x->actor < y->actor ? -1 : x->actor > y->actor; /* of one array: by when they came */
}

/* Of the looks that a chart tells apart the one wanted, or the next that is free. */
static size_t free_look(unsigned int *taken, size_t wanted)
{
    size_t look = wanted % SERIES;

    while (*taken & 1u << look)
        look = (look + 1) % SERIES;
    *taken |= 1u << look;
    return look;
}

/* The processes that have most of a figure, over time, below that of all (or NULL); none if nobody
 * ever had any. */
static void process_lines(struct doc *d, const struct watch_data *w,
                          enum watch_process_figure which, const char *file, const char *title,
                          const struct chart_series *all)
{
    struct ranked *order = calloc(w->nactors + 1, sizeof *order);
    struct chart_series series[SERIES];
    size_t looks[SERIES]; /* a process has the same in each chart, where no other has it */
    unsigned int taken = 0;
    size_t n = 0, from = all != NULL, shown;
    char subtitle[64];

    for (size_t i = 0; order && i < w->nactors; i++) {
        order[n] = (struct ranked){&w->actors[i], 0};
        for (size_t k = 0; k < w->n; k++)
            order[n].most = fmax(order[n].most, w->actors[i].figure[which][k]);
        n += order[n].most > 0;
    }
    if (n)
        qsort(order, n, sizeof *order, by_most);
    shown = n < SERIES - from ? n : SERIES - from;
    if (all)
        series[0] = *all;
    for (size_t i = 0; i < shown; i++) {
        series[from + i] =
            (struct chart_series){order[i].actor->actor, order[i].actor->figure[which]};
        looks[from + i] = free_look(&taken, (size_t)(order[i].actor - w->actors));
    }
    if (all)
        looks[0] = free_look(&taken, 0);
    snprintf(subtitle, sizeof subtitle, "the %zu processes with most, of %zu", shown, n);
    draw_lines(d, w, file,
               (struct chart_lines){.title = title,
                                    .subtitle = shown < n ? subtitle : NULL,
                                    .series = series,
                                    .nseries = from + shown,
                                    .looks = looks});
    free(order);
}

void watch_picture_sharing(struct doc *d, const struct watch_data *w)
{
    process_lines(d, w, WP_PARENT, "sharing",
                  w->parent_at_most ? "In common with the parent, at most"
                                    : "In common with the parent",
                  NULL);
    process_lines(d, w, WP_EXCLUSIVE, "exclusive", "Exclusive: anonymous memory of a process alone",
                  NULL);
    process_lines(d, w, WP_DEBT, "debt",
                  w->debt_concluded
                      ? "In debt, concluded: alone here, but the next write still faults"
                      : "In debt: alone here, but the next write still faults",
                  NULL);
    process_lines(d, w, WP_AT_RISK, "at-risk",
                  w->risk_concluded
                      ? "At risk, concluded: memory whose next write costs a new frame"
                      : "At risk: memory whose next write costs a new frame",
                  NULL);
}

void watch_picture_used(struct doc *d, const struct watch_data *w)
{
    double *used = calloc(w->n + 1, sizeof *used);

    for (size_t i = 0; used && i < w->n; i++)
        used[i] = watch_used(w, i);
    if (used)
        process_lines(d, w, WP_USS, "used", "Memory used, and what of it each process has alone",
                      &(struct chart_series){"used by all", used});
    free(used);
}

void watch_picture_footprint(struct doc *d, const struct watch_data *w)
{
    const struct chart_series series[] = {{"sum of RSS", w->figure[WF_RSS]},
                                          {"sum of PSS", w->figure[WF_PSS]},
                                          {"distinct frames", w->figure[WF_DISTINCT]},
                                          {"sum of USS", w->figure[WF_USS]}};

    lines(d, w, "footprint", "What they seem to use and what they use", NULL, series, 4);
}

void watch_picture_copied(struct doc *d, const struct watch_data *w)
{
    const struct chart_series series[] = {{"copied per second", w->copied_per_s}};

    lines(d, w, "copied", "Copy-on-write over time",
          "memory that got a new frame, a second, all processes", series, 1);
}

void watch_picture_risk(struct doc *d, const struct watch_data *w)
{
    double *room = calloc(w->n + 1, sizeof *room);
    const struct chart_series series[] = {
        {"new memory if all that is at risk is written", w->figure[WF_GROWTH]},
        {"available", room}};

    for (size_t i = 0; room && i < w->n; i++)
        room[i] = watch_headroom(w, i);
    if (room)
        draw_lines(d, w, "risk",
                   (struct chart_lines){.title = "Memory at risk against what is free",
                                        .series = series,
                                        .nseries = 2,
                                        .right = 1});
    free(room);
}

/* -- where sharing was lost ------------------------------------------------------------- */

struct lost_table {
    char *actors[LOST_ROWS];
    size_t nactors;
    char *parts[PARTS];
    size_t nparts;
    double kb[PARTS][LOST_ROWS];
};

static size_t index_of(char **list, size_t *n, size_t limit, const char *text)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(list[i], text) == 0)
            return i;
    if (*n == limit || !(list[*n] = strdup(text)))
        return limit;
    return (*n)++;
}

/* The rows come with the actor that lost most first, and the part that lost most over all. */
void watch_picture_lost(struct doc *d, const struct watch_data *w)
{
    struct lost_table t = {.nactors = 0};
    struct chart_series series[PARTS];
    struct chart c = {
        .title = "Where sharing with the parent was lost", .unit = UNIT_KB, .series = series};
    struct query q;
    FILE *f;

    if (!doc_ask(d, &q, "db/report/watch-lost-parts.sql", ":run_id", w->run_id))
        return;
    while (query_row(&q)) {
        size_t a = index_of(t.actors, &t.nactors, LOST_ROWS, query_text(&q, "actor"));
        size_t p = index_of(t.parts, &t.nparts, PARTS, query_text(&q, "part"));

        if (a < LOST_ROWS && p < PARTS)
            t.kb[p][a] += query_number(&q, "lost_kb");
    }
    doc_fail(d, query_close(&q));
    for (size_t p = 0; p < t.nparts; p++)
        series[p] = (struct chart_series){t.parts[p], t.kb[p]};
    c.labels = (const char *const *)t.actors;
    c.nlabels = t.nactors;
    c.nseries = t.nparts;
    if (t.nactors && (f = begin(d, w, "lost"))) {
        chart_stacked(f, &c);
        doc_picture_end(d, f, "Memory no longer in common with the parent, by what it is for");
    }
    for (size_t i = 0; i < t.nactors; i++)
        free(t.actors[i]);
    for (size_t i = 0; i < t.nparts; i++)
        free(t.parts[i]);
}

/* A cell whose strength is its share. */
static void shade(FILE *f, double x, double y, double w, double h, const char *cls, double share)
{
    fprintf(f,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\" "
            "fill-opacity=\"%.2f\"/>\n",
            x, y, w, h, cls, share);
}

#define BINS 64
#define CELL 9.0
#define LABELS 420.0

static void address_row(FILE *f, double y, const char *label, const char *range, const char *bins)
{
    svg_text(f, 16, y + 11, SVG_START, "t s", label);
    svg_text(f, LABELS - 10, y + 11, SVG_END, "t m s", range);
    for (int i = 0; i < BINS && bins[i]; i++)
        shade(f, LABELS + i * CELL, y, CELL - 1, 14, bins[i] == '0' ? "s4" : "s2",
              bins[i] == '0' ? 0.55 : 0.15 + 0.85 * (bins[i] - '0') / 9);
}

void watch_picture_addresses(struct doc *d, const struct watch_data *w)
{
    struct query q;
    FILE *f = NULL;
    double y = 74;

    if (!doc_ask(d, &q, "db/report/watch-lost-addresses.sql", ":run_id", w->run_id))
        return;
    while (query_row(&q)) {
        char label[120], range[64];

        if (!f) {
            f = begin(d, w, "addresses");
            if (!f)
                break;
            svg_begin(f, LABELS + BINS * CELL + 20, 90 + 20.0 * (double)query_int(&q, "total"),
                      "What is still in common with the parent, by address");
            svg_text(f, 16, 24, SVG_START, "t b h",
                     "What is still in common with the parent, by address");
            svg_text(f, 16, 42, SVG_START, "t m s",
                     "each mapping in 64 equal parts, low addresses left");
            shade(f, 16, 51, 12, 12, "s2", 1);
            svg_text(f, 34, 61, SVG_START, "t s", "all in common (paler: less)");
            shade(f, 200, 51, 12, 12, "s4", 0.55);
            svg_text(f, 218, 61, SVG_START, "t s", "nothing in common");
        }
        snprintf(label, sizeof label, "%.28s %.30s", query_text(&q, "actor"),
                 query_text(&q, "part"));
        snprintf(range, sizeof range, "%.30s", query_text(&q, "range"));
        address_row(f, y, label, range, query_text(&q, "bins"));
        y += 20;
    }
    doc_fail(d, query_close(&q));
    if (f) {
        svg_end(f);
        doc_picture_end(d, f, "Mappings by address: what is still in common with the parent");
    }
}

/* -- sharing matrix --------------------------------------------------------------------- */

struct matrix {
    char *names[MATRIX];
    size_t n;
    double kb[MATRIX][MATRIX], most;
};

static int matrix_load(struct doc *d, const struct watch_data *w, struct matrix *m)
{
    struct query q;

    if (!doc_ask(d, &q, "db/report/watch-matrix.sql", ":run_id", w->run_id))
        return d->rc;
    for (size_t i = 0; i < MATRIX * MATRIX; i++)
        m->kb[i / MATRIX][i % MATRIX] = NAN; /* a pair without a row is not one without sharing */
    while (query_row(&q)) {
        size_t a = index_of(m->names, &m->n, MATRIX, query_text(&q, "actor_a"));
        size_t b = index_of(m->names, &m->n, MATRIX, query_text(&q, "actor_b"));
        double kb = query_number(&q, "shared_kb");

        if (a >= MATRIX || b >= MATRIX)
            continue;
        m->kb[a][b] = m->kb[b][a] = kb;
        if (kb > m->most)
            m->most = kb;
    }
    return doc_fail(d, query_close(&q));
}

static void matrix_cell(FILE *f, const struct matrix *m, size_t a, size_t b, double x, double y,
                        double size)
{
    double kb = m->kb[a][b];
    char text[FORMAT_MAX];

    if (a == b)
        return;
    if (isnan(kb)) {
        svg_rect(f, x, y, size - 2, 24, 0, "unknown", "unknown");
        return;
    }
    shade(f, x, y, size - 2, 24, "s2", m->most > 0 ? 0.08 + 0.62 * kb / m->most : 0.08);
    if (size >= 52)
        svg_text(f, x + (size - 2) / 2, y + 16, SVG_MIDDLE, "t s", format_kb(text, kb));
}

void watch_picture_matrix(struct doc *d, const struct watch_data *w)
{
    struct matrix m = {.n = 0};
    double left = 20, size, top = 78;
    FILE *f;

    if (matrix_load(d, w, &m) == 0 && m.n > 1 && (f = begin(d, w, "matrix"))) {
        for (size_t i = 0; i < m.n; i++)
            left = fmax(left, 40 + svg_text_width(m.names[i], 10.5));
        size = m.n <= 8 ? 70 : 560.0 / (double)m.n;
        svg_begin(f, fmax(480, left + size * (double)m.n + 24), top + 26 * (double)m.n + 20,
                  "Memory that each two processes have in common");
        svg_text(f, 16, 24, SVG_START, "t b h", "Memory that each two processes have in common");
        svg_text(f, 16, 42, SVG_START, "t m s",
                 "page frames that both map, as each pair was last looked at; columns as rows");
        svg_text(f, 16, 56, SVG_START, "t m s",
                 "hatched: unknown, not stored, or not among the 60 pairs that share most");
        for (size_t a = 0; a < m.n; a++) {
            char number[24], label[240];

            snprintf(number, sizeof number, "%zu", a + 1);
            snprintf(label, sizeof label, "%zu  %.180s", a + 1, m.names[a]);
            svg_text(f, left + size * ((double)a + 0.5), top - 5, SVG_MIDDLE, "t m s", number);
            svg_text(f, 16, top + 26 * (double)a + 16, SVG_START, "t s", label);
            for (size_t b = 0; b < m.n; b++)
                matrix_cell(f, &m, a, b, left + size * (double)b, top + 26 * (double)a, size);
        }
        svg_end(f);
        doc_picture_end(d, f, "Sharing matrix");
    }
    for (size_t i = 0; i < m.n; i++)
        free(m.names[i]);
}

/* -- waterfall -------------------------------------------------------------------------- */

void watch_picture_waterfall(struct doc *d, const struct watch_data *w)
{
    size_t i = watch_worst_point(w);
    double rss, distinct, tables, system, used;
    struct waterfall_row rows[6];
    char subtitle[96];
    size_t n = 0;
    FILE *f;

    if (w->n == 0 || w->huge) /* what is counted more than once is then not their difference */
        return;
    rss = w->figure[WF_RSS][i];
    distinct = w->figure[WF_DISTINCT][i];
    tables = w->figure[WF_PAGETABLE][i];
    system = w->figure[WF_SYSTEM][i];
    used = distinct + tables;
    if (isnan(rss))
        return;
    rows[n++] = (struct waterfall_row){"sum of RSS", "what the processes seem to use",
                                       WATERFALL_TOTAL, rss};
    rows[n++] = (struct waterfall_row){"counted more than once", "the same frame in several RSS",
                                       WATERFALL_DELTA, distinct - rss};
    rows[n++] =
        (struct waterfall_row){"page tables", "one set for each process", WATERFALL_DELTA, tables};
    if (isnan(system)) {
        rows[n++] = (struct waterfall_row){"really used", "distinct frames and page tables",
                                           WATERFALL_TOTAL, used};
    } else {
        rows[n++] = (struct waterfall_row){"not explained", "kernel memory, page cache, batching",
                                           WATERFALL_DELTA, system - used};
        rows[n++] = (struct waterfall_row){"the system's figure", "their memory cgroup",
                                           WATERFALL_TOTAL, system};
    }
    f = begin(d, w, "waterfall");
    snprintf(subtitle, sizeof subtitle, "sample %d, after %.1f s: where the two are furthest apart",
             w->step[i], w->t_s[i]);
    if (f)
        chart_waterfall(f, "From the sum of RSS to what is really used", subtitle, UNIT_KB, rows,
                        n);
    doc_picture_end(d, f, "From the sum of RSS to what is really used");
}
