#include "reports/draw/strips.h"

#include "reports/draw/palette.h"
#include "reports/draw/svg.h"
#include "reports/format.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 860.0
#define MARGIN 16.0
#define MAX_CELLS 64
#define UNTOLD PS__COUNT /* pages behind the end of a cut list */

/* Pages of each state in one cell. */
struct cell {
    uint64_t n[PS__COUNT + 1];
    uint64_t pages, huge, frame;
    bool changed; /* since the step before */
};

struct strip_row strip_of(const struct obs_region *r)
{
    return (struct strip_row){
        .pages = value_is_known(r->q[RQ_PAGES]) ? (uint64_t)r->q[RQ_PAGES].n : 0,
        .runs = r->runs,
        .nruns = r->nruns,
        .cut = r->runs_cut,
    };
}

bool strip_same_runs(const struct obs_region *a, const struct obs_region *b)
{
    if (a->nruns != b->nruns)
        return false;
    for (size_t i = 0; i < a->nruns; i++)
        if (a->runs[i].first != b->runs[i].first || a->runs[i].count != b->runs[i].count ||
            a->runs[i].state != b->runs[i].state || a->runs[i].frame != b->runs[i].frame)
            return false;
    return true;
}

/* The run that holds the page `at`, or NULL; *i: no later than that run; *end: brought down to
 * where what holds there ends. */
static const struct page_run *run_at(const struct page_run *runs, size_t n, size_t *i, uint64_t at,
                                     uint64_t *end)
{
    const struct page_run *r;
    uint64_t stop;

    while (*i < n && runs[*i].first + runs[*i].count <= at)
        ++*i;
    if (*i == n)
        return NULL;
    r = &runs[*i];
    stop = r->first > at ? r->first : r->first + r->count;
    *end = stop < *end ? stop : *end;
    return r->first > at ? NULL : r;
}

static int state_of(const struct page_run *r)
{
    return !r ? PS_NONE : r->state < PS__COUNT ? r->state : PS_ANON_UNKNOWN;
}

static uint64_t frame_at(const struct page_run *r, uint64_t at)
{
    return r && r->frame ? r->frame + (at - r->first) : 0;
}

/* Fills cells with bins of per pages each; there are enough. */
static void bin(const struct strip_row *row, uint64_t per, struct cell *cells, size_t n)
{
    const struct obs_region *before = row->before;
    size_t i = 0, k = 0;

    memset(cells, 0, n * sizeof *cells);
    for (uint64_t at = 0, end; at < row->pages; at = end) {
        struct cell *c = &cells[at / per];
        const struct page_run *r, *was = NULL;
        uint64_t frame, old;

        end = (at / per + 1) * per < row->pages ? (at / per + 1) * per : row->pages;
        r = run_at(row->runs, row->nruns, &i, at, &end);
        if (before)
            was = run_at(before->runs, before->nruns, &k, at, &end);
        frame = frame_at(r, at);
        old = frame_at(was, at);
        c->pages += end - at;
        c->n[row->cut && i == row->nruns ? UNTOLD : state_of(r)] += end - at;
        c->huge += r && r->huge ? end - at : 0;
        c->frame = per == 1 ? frame : 0;
        /* Not where a list of runs was cut short; a frame that is not known is not another one. */
        c->changed |= before && !(row->cut && i == row->nruns) &&
                      !(before->runs_cut && k == before->nruns) &&
                      (state_of(r) != state_of(was) || (frame && old && frame != old));
    }
}

static uint64_t per_cell(uint64_t pages, uint64_t cells)
{
    return pages ? (pages + cells - 1) / cells : 1;
}

/* The state that most pages of the cell have, of those that are not untouched; *mixed if there are
 * others. */
static int main_state(const struct cell *c, bool *mixed)
{
    int best = PS_NONE;

    for (int s = PS_NONE + 1; s <= UNTOLD; s++)
        if (c->n[s] > (best == PS_NONE ? 0 : c->n[best]))
            best = s;
    *mixed = c->n[best] != c->pages;
    return best;
}

static char letter_of(int state)
{
    return state == UNTOLD ? ' ' : state_style(state)->letter;
}

size_t strip_letters(FILE *out, const struct strip_row *row, size_t max, bool colour)
{
    uint64_t per = per_cell(row->pages, max ? max : 1);
    size_t n = (size_t)((row->pages + per - 1) / per);
    struct cell *cells = calloc(n ? n : 1, sizeof *cells);
    int before = -1;

    if (!cells)
        return 0;
    bin(row, per, cells, n);
    for (size_t i = 0; i < n; i++) {
        bool mixed;
        int s = main_state(&cells[i], &mixed);

        if (colour && s != before && s != UNTOLD)
            fprintf(out, "\033[0;%sm", state_style(s)->ansi);
        fputc(mixed ? tolower(letter_of(s)) : letter_of(s), out);
        before = s;
    }
    if (colour && n)
        fputs("\033[0m", out);
    free(cells);
    return n;
}

struct layout {
    double label_w, cell_w, cell_h, note_x;
    uint64_t per;
    bool frames; /* cells wide enough to carry a frame number */
};

static struct layout lay_out(const struct strip_row *rows, size_t n)
{
    struct layout l = {60, 0, 18, 0, 1, false};
    uint64_t most = 1, cells, frame = 0;
    double notes = 0, frame_w;
    char text[32];

    for (size_t i = 0; i < n; i++) {
        most = rows[i].pages > most ? rows[i].pages : most;
        l.label_w = fmax(l.label_w, svg_text_width(rows[i].label, 12));
        notes = fmax(notes, svg_text_width(rows[i].note, 11));
        for (size_t r = 0; r < rows[i].nruns; r++)
            if (rows[i].runs[r].frame && rows[i].runs[r].frame + rows[i].runs[r].count > frame)
                frame = rows[i].runs[r].frame + rows[i].runs[r].count;
    }
    l.per = per_cell(most, MAX_CELLS);
    cells = (most + l.per - 1) / l.per;
    l.cell_w = floor((WIDTH - 2 * MARGIN - 32 - l.label_w - notes) / (double)cells);
    snprintf(text, sizeof text, "F%llu", (unsigned long long)frame);
    frame_w = ceil(fmax(svg_text_width(text, 10.5), 26)) + 4;
    l.frames = frame && l.per == 1 && l.cell_w >= frame_w;
    l.cell_w = fmax(4, fmin(l.cell_w, l.frames ? frame_w : 18));
    if (l.frames)
        l.cell_h = 28;
    l.note_x = MARGIN + 10 + l.label_w + 12 + l.cell_w * (double)cells + 10;
    return l;
}

static void tip_of(char *buf, size_t cap, uint64_t first, const struct cell *c)
{
    size_t at = (size_t)snprintf(buf, cap, "page %llu", (unsigned long long)first);

    if (c->pages > 1)
        at += (size_t)snprintf(buf + at, cap - at, " to %llu",
                               (unsigned long long)(first + c->pages - 1));
    for (int s = 0; s <= UNTOLD && at < cap; s++)
        if (c->n[s])
            at += (size_t)snprintf(buf + at, cap - at, ", %llu %s", (unsigned long long)c->n[s],
                                   s == UNTOLD ? "not stored" : word_text(page_states, s));
    if (c->frame && at < cap)
        snprintf(buf + at, cap - at, ", frame F%llu", (unsigned long long)c->frame);
}

static void draw_cell(FILE *out, const struct layout *l, double x, double y, uint64_t first,
                      const struct cell *c)
{
    double bottom = y + l->cell_h;
    char cls[24], text[32], tip[256];
    bool mixed;
    int state = main_state(c, &mixed);

    if (c->pages == 0)
        return;
    tip_of(tip, sizeof tip, first, c);
    for (int s = 0; s <= UNTOLD; s++) {
        double h = l->cell_h * (double)c->n[s] / (double)c->pages;

        if (c->n[s] == 0)
            continue;
        bottom -= h;
        snprintf(cls, sizeof cls, s == UNTOLD ? "unknown" : "p%d", s);
        svg_rect(out, x, bottom, l->cell_w - 1, h, 0, cls, tip);
    }
    if (c->huge)
        svg_rect(out, x, y - 3, l->cell_w - (c->huge == c->pages ? 0 : 1), 2, 0, "head",
                 "part of a huge page");
    if (c->changed)
        svg_rect(out, x, y + l->cell_h + 1.5, l->cell_w - 1, 2, 0, "mark",
                 "changed since the step before");
    if (mixed || state == UNTOLD || l->cell_w < 9)
        return;
    snprintf(cls, sizeof cls, "t i%d%s", state, l->cell_w < 14 ? " s" : "");
    snprintf(text, sizeof text, "%c", letter_of(state));
    svg_text(out, x + (l->cell_w - 1) / 2, y + 13, SVG_MIDDLE, cls, text);
    if (!l->frames || !c->frame)
        return;
    snprintf(cls, sizeof cls, "t i%d s", state);
    snprintf(text, sizeof text, "F%llu", (unsigned long long)c->frame);
    svg_text(out, x + (l->cell_w - 1) / 2, y + 24.5, SVG_MIDDLE, cls, text);
}

static void draw_row(FILE *out, const struct layout *l, const struct strip_row *row, double y)
{
    struct cell cells[MAX_CELLS];
    size_t n = (size_t)((row->pages + l->per - 1) / l->per);

    if (n > MAX_CELLS)
        n = MAX_CELLS;
    bin(row, l->per, cells, n);
    svg_text(out, MARGIN + 10, y + l->cell_h / 2 + 4, SVG_START, "t", row->label);
    for (size_t i = 0; i < n; i++)
        draw_cell(out, l, MARGIN + 10 + l->label_w + 12 + l->cell_w * (double)i, y, i * l->per,
                  &cells[i]);
    if (row->note)
        svg_text(out, l->note_x, y + l->cell_h / 2 + 4, SVG_START, "t m s", row->note);
}

/* Which states, and what else of a cell, occurs: changed, where rows have one before. */
enum { HUGE = UNTOLD + 1, CHANGED, LEGEND__COUNT };

static void occurring(const struct strip_row *rows, size_t n, bool seen[LEGEND__COUNT])
{
    memset(seen, 0, sizeof(bool) * LEGEND__COUNT);
    for (size_t i = 0; i < n; i++) {
        uint64_t told = 0;

        seen[CHANGED] |= rows[i].before != NULL;
        for (size_t r = 0; r < rows[i].nruns; r++) {
            const struct page_run *run = &rows[i].runs[r];

            seen[state_of(run)] = true;
            seen[HUGE] |= run->huge;
            told += run->count;
        }
        if (told < rows[i].pages)
            seen[rows[i].cut ? UNTOLD : PS_NONE] = true;
    }
}

/* One entry: a square with its letter or a line, and what it means. Moves *x, *y on. */
static void legend_entry(FILE *out, double *x, double *y, int what, const char *text)
{
    double w = 24 + svg_text_width(text, 11) + 16;
    char cls[24], letter[2] = {0, 0};

    if (*x + w > WIDTH - MARGIN && *x > MARGIN) {
        *x = MARGIN;
        *y += 19;
    }
    if (out && what > UNTOLD) {
        svg_rect(out, *x, *y - 5, 15, 2, 0, what == HUGE ? "head" : "mark", NULL);
    } else if (out) {
        letter[0] = letter_of(what);
        snprintf(cls, sizeof cls, what == UNTOLD ? "unknown" : "p%d", what);
        svg_rect(out, *x, *y - 11, 15, 15, 0, cls, NULL);
        snprintf(cls, sizeof cls, "t i%d s", what == UNTOLD ? PS_NONE : what);
        svg_text(out, *x + 7.5, *y + 0.5, SVG_MIDDLE, cls, letter);
    }
    if (out)
        svg_text(out, *x + 21, *y + 1, SVG_START, "t m s", text);
    *x += w;
}

static double legend(FILE *out, const struct strip_row *rows, size_t n, double y)
{
    static const char *const others[] = {"not stored (too many runs)",
                                         "line above: part of a huge page",
                                         "line below: changed since the step before"};
    bool seen[LEGEND__COUNT];
    double x = MARGIN;

    occurring(rows, n, seen);
    for (int s = 0; s < LEGEND__COUNT; s++) {
        char text[128];

        if (!seen[s])
            continue;
        if (s < UNTOLD)
            snprintf(text, sizeof text, "%s: %s", word_text(page_states, s),
                     word_label(page_states, s));
        legend_entry(out, &x, &y, s, s < UNTOLD ? text : others[s - UNTOLD]);
    }
    return y + 14;
}

void strips_draw(FILE *out, const char *title, const char *subtitle, const struct strip_row *rows,
                 size_t n)
{
    struct layout l = lay_out(rows, n);
    double y = legend(NULL, rows, n, 62), height = y;
    char note[512], count[FORMAT_MAX];

    for (size_t i = 0; i < n; i++)
        height += l.cell_h + 9 + (rows[i].step ? 26 : 0);
    svg_begin(out, fmax(WIDTH, l.note_x + 40), height + MARGIN, title);
    svg_text(out, MARGIN, 22, SVG_START, "t b h", title);
    if (l.per > 1)
        snprintf(note, sizeof note, "%s. One cell: %s; a mixed cell shows their shares.", subtitle,
                 format_noun(count, (int64_t)l.per, "page"));
    else
        snprintf(note, sizeof note, "%s. One cell: one page%s.", subtitle,
                 l.frames ? "; F1, F2, ...: the frame behind it" : "");
    svg_text(out, MARGIN, 40, SVG_START, "t m", note);
    legend(out, rows, n, 62);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].step) {
            if (i > 0)
                svg_line(out, MARGIN, y + 5, WIDTH - MARGIN, y + 5, "grid");
            svg_text(out, MARGIN, y + 20, SVG_START, "t b", rows[i].step);
            y += 26;
        }
        draw_row(out, &l, &rows[i], y + 3);
        y += l.cell_h + 9;
    }
    svg_end(out);
}
