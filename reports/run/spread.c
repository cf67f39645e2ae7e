/* spread: what many runs say together: the section of a series, and how long fork took by size. A
 * sentence says no more than an interval does, and a single run says no more than its time. */
#include "reports/run/sections.h"

#include "probes/list.h"
#include "reports/draw/chart.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- lines by size ---------------------------------------------------------------------- */

enum figure { TIME, FAULTS, TABLES, SYSTEM, FIGURES };

static const struct {
    const char *quantity, *title;
    enum unit unit;
} figures[FIGURES] = {[TIME] = {"time_ns", "", UNIT_NS},
                      [FAULTS] = {"minflt", "Faults, all steps", UNIT_NUMBER},
                      [TABLES] = {"pagetable_kb", "Page tables", UNIT_KB},
                      [SYSTEM] = {"system_kb", "The system's figure, most", UNIT_KB}};

struct line {
    char *name;
    bool emulated;
    double each_ns;                       /* of a page more; NAN: not told */
    double *values[FIGURES], *low, *high; /* one per size; the last two of times */
};

struct lines {
    struct line *line;
    size_t n, sizes;
    double *kb; /* of each size */
};

static double *no_values(size_t n)
{
    double *v = calloc(n, sizeof *v);

    for (size_t i = 0; v && i < n; i++)
        v[i] = CHART_NONE;
    return v;
}

static int lines_make(struct lines *l, size_t n, size_t sizes)
{
    bool memory;

    l->line = calloc(n, sizeof *l->line);
    l->n = l->line ? n : 0;
    l->sizes = sizes;
    l->kb = calloc(sizes, sizeof *l->kb);
    memory = l->line && l->kb;
    for (size_t i = 0; i < l->n; i++) {
        struct line *line = &l->line[i];

        line->each_ns = NAN;
        for (int f = 0; f < FIGURES; f++)
            memory &= (line->values[f] = no_values(sizes)) != NULL;
        memory &= (line->low = no_values(sizes)) && (line->high = no_values(sizes));
    }
    return memory ? 0 : -ENOMEM;
}

static void lines_release(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        for (int f = 0; f < FIGURES; f++)
            free(l->line[i].values[f]);
        free(l->line[i].low);
        free(l->line[i].high);
        free(l->line[i].name);
    }
    free(l->line);
    free(l->kb);
}

static void lines_row(struct lines *l, struct query *q)
{
    size_t n = (size_t)query_int(q, "line"), place = (size_t)query_int(q, "place");
    const char *quantity = query_text(q, "quantity");
    struct line *line = n < l->n && place < l->sizes ? &l->line[n] : NULL;

    if (!line || !quantity)
        return;
    if (!line->name && !(line->name = query_copy(q, "name"))) {
        query_no_memory(q);
        return;
    }
    line->emulated = query_int(q, "emulated");
    l->kb[place] = query_number(q, "kb");
    for (int f = 0; f < FIGURES; f++)
        if (strcmp(quantity, figures[f].quantity) == 0)
            line->values[f][place] = query_number(q, "median");
    if (strcmp(quantity, figures[TIME].quantity) == 0) {
        line->low[place] = query_number(q, "low");
        line->high[place] = query_number(q, "high");
        if (!query_null(q, "each_ns"))
            line->each_ns = query_number(q, "each_ns");
    }
}

/* Reads a query of lines to its end. */
static int lines_read(struct doc *d, struct lines *l, struct query *q)
{
    while (query_row(q)) {
        if (!l->line &&
            lines_make(l, (size_t)query_int(q, "lines"), (size_t)query_int(q, "places")))
            query_no_memory(q);
        else
            lines_row(l, q);
    }
    return doc_fail(d, query_close(q));
}

/* Does any line have such a figure? At how many sizes, the line that has it at most? */
static size_t sizes_of(const struct lines *l, enum figure f, int emulated)
{
    size_t most = 0;

    for (size_t i = 0; i < l->n; i++) {
        size_t n = 0;

        for (size_t k = 0; k < l->sizes; k++)
            n += isfinite(l->line[i].values[f][k]);
        if (n > most && (emulated < 0 || l->line[i].emulated == emulated))
            most = n;
    }
    return most;
}

#define MOST_LINES 16

struct drawing {
    struct chart_lines c;
    struct chart_series series[MOST_LINES];
    struct chart_band bands[MOST_LINES];
    size_t looks[MOST_LINES];
    char names[MOST_LINES][300];
    size_t left_out;
};

static bool has(const struct lines *l, size_t i, enum figure f)
{
    for (size_t k = 0; k < l->sizes; k++)
        if (!isinf(l->line[i].values[f][k]))
            return true;
    return false;
}

/* The lines of a figure; emulated -1: those of all. A line looks the same in each chart. */
static void drawing_fill(struct drawing *g, const struct lines *l, enum figure f, int emulated)
{
    char each[FORMAT_MAX];

    g->c = (struct chart_lines){.title = figures[f].title,
                                .x_name = "size of the memory",
                                .unit = figures[f].unit,
                                .x_unit = UNIT_KB,
                                .x = l->kb,
                                .npoints = l->sizes,
                                .series = g->series,
                                .looks = g->looks,
                                .bands = f == TIME ? g->bands : NULL,
                                .log = true};
    g->left_out = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct line *line = &l->line[i];
        size_t n = g->c.nseries;

        if ((emulated >= 0 && line->emulated != emulated) || !has(l, i, f))
            continue;
        if (n == MOST_LINES) {
            g->left_out++;
            continue;
        }
        snprintf(g->names[n], sizeof g->names[n], "%.200s", line->name);
        if (f == TIME && !isnan(line->each_ns))
            snprintf(g->names[n], sizeof g->names[n], "%.200s (%s a page)", line->name,
                     format_unit(each, UNIT_NS, line->each_ns));
        g->series[n] = (struct chart_series){g->names[n], line->values[f]};
        g->bands[n] = (struct chart_band){line->low, line->high};
        g->looks[n] = i;
        g->c.nseries++;
    }
}

static void said_left_out(struct doc *d, const struct drawing *g)
{
    if (g->left_out)
        doc_say(d, "The chart has %d lines; %zu are left out.\n\n", MOST_LINES, g->left_out);
}

static void draw_times(struct doc *d, const struct lines *l, bool emulated, const char *file,
                       const char *title, const char *subtitle, const char *x_name)
{
    struct drawing g;
    char name[120], full[200];
    FILE *f;

    if (sizes_of(l, TIME, emulated) < 2)
        return;
    snprintf(name, sizeof name, "%.100s%s", file, emulated ? "-emulated" : "");
    snprintf(full, sizeof full, "%.150s%s", title, emulated ? ", in an emulator" : "");
    drawing_fill(&g, l, TIME, emulated);
    g.c.title = full;
    g.c.subtitle = subtitle;
    g.c.x_name = x_name;
    f = doc_picture(d, name);
    if (f)
        chart_lines(f, &g.c);
    doc_picture_end(d, f, full);
    said_left_out(d, &g);
}

/* Lines of which a figure is known of no size. */
static void unknown_of(struct doc *d, const struct lines *l, enum figure f)
{
    int n = 0;

    for (size_t i = 0; i < l->n; i++) {
        bool known = !has(l, i, f);

        for (size_t k = 0; k < l->sizes; k++)
            known |= isfinite(l->line[i].values[f][k]);
        if (known)
            continue;
        if (n++)
            doc_say(d, ", ");
        else
            doc_say(d, "%.*s, unknown: ", (int)strcspn(figures[f].title, ","), figures[f].title);
        doc_text(d, l->line[i].name);
    }
    doc_say(d, n ? ".\n\n" : "");
}

/* Faults, page tables and the system's figure beside each other, as far as they are known. */
static void draw_multiples(struct doc *d, const struct lines *l, const char *file, bool handed)
{
    static const char title[] = "What it costs beside time, by size";
    struct drawing *g = calloc(FIGURES, sizeof *g);
    struct chart_lines panels[FIGURES];
    size_t n = 0;
    FILE *f;

    if (!g) {
        doc_fail(d, err_no_memory(d->e));
        return;
    }
    for (int i = TIME + 1; i < FIGURES; i++) {
        if (sizes_of(l, i, -1) < 2)
            continue;
        drawing_fill(&g[n], l, i, -1);
        if (i == TABLES && handed)
            g[n].c.title = "Page tables, handed over";
        panels[n] = g[n].c;
        n++;
    }
    if (n && (f = doc_picture(d, file))) {
        chart_multiples(f, title, "medians; faults are summed", panels, n);
        doc_picture_end(d, f, title);
    }
    for (int i = TIME + 1; i < FIGURES; i++)
        unknown_of(d, l, i);
    free(g);
}

/* -- ways beside each other ------------------------------------------------------------- */

enum verdict { UNSAID, NO_DIFFERENCE, SAME, LESS, MORE };

struct compared {
    double kb, a_median, b_median, ratio, low, high;
    int64_t a_n, b_n;
    enum verdict verdict;
};

/* Two ways, at each size that both have. */
struct part {
    char *ways, *place, *rest, *a_words, *b_words;
    bool emulated;
    const char *what; /* "handing over" */
    struct compared *list;
    size_t n;
};

static void part_release(struct part *p)
{
    free(p->ways);
    free(p->place);
    free(p->rest);
    free(p->a_words);
    free(p->b_words);
    free(p->list);
    *p = (struct part){.n = 0};
}

static enum verdict verdict_of(const char *word)
{
    static const char *const words[] = {"", "no difference seen", "same", "less", "more"};

    for (int i = MORE; word && i > UNSAID; i--)
        if (strcmp(word, words[i]) == 0)
            return i;
    return UNSAID;
}

static void part_begin(struct part *p, struct query *q)
{
    p->ways = query_copy(q, "ways");
    p->place = query_copy(q, "place");
    p->rest = query_copy(q, "rest");
    p->a_words = query_copy(q, "a_words");
    p->b_words = query_copy(q, "b_words");
    p->emulated = query_int(q, "emulated");
    p->what =
        strcmp(query_text(q, "lane"), "handed_over") == 0 ? "handing over" : "all steps together";
    if (!p->ways || !p->place || !p->rest || !p->a_words || !p->b_words)
        query_no_memory(q);
}

/* Numbers of b beside a, or of a beside b, so that what took longer is told of. */
static void part_add(struct part *p, struct query *q)
{
    struct compared *c = LIST_ADD(p->list, p->n);

    if (!c) {
        query_no_memory(q);
        return;
    }
    *c = (struct compared){.kb = query_number(q, "region_bytes") / 1024,
                           .a_median = query_number(q, "a_median"),
                           .b_median = query_number(q, "b_median"),
                           .ratio = query_number(q, "ratio"),
                           .low = query_number(q, "low"),
                           .high = query_number(q, "high"),
                           .a_n = query_int(q, "a_n"),
                           .b_n = query_int(q, "b_n"),
                           .verdict = verdict_of(query_text(q, "verdict"))};
    if (c->verdict == LESS) {
        double low = c->low;

        c->ratio = 1 / c->ratio;
        c->low = 1 / c->high;
        c->high = 1 / low;
    }
}

/* As many places as tell the ends of the interval from each other, and the lower one from 1. */
static int places_for(double low, double high)
{
    int places = 1;

    for (double unit = 0.1; places < 3; places++, unit /= 10)
        if (low >= 1 + unit / 2 && round(high / unit) > round(low / unit))
            break;
    return places;
}

static void runs_each(struct doc *d, const struct compared *c)
{
    char n[FORMAT_MAX];

    if (c->a_n == c->b_n)
        doc_say(d, "%s each", format_noun(n, c->a_n, "run"));
    else
        doc_say(d, "%lld and %lld runs", (long long)c->a_n, (long long)c->b_n);
}

/* "handing over took 1.9 times as long out of line (1.6 to 2.2, 20 runs each)" */
static void longer(struct doc *d, const struct part *p, const struct compared *c)
{
    int places = places_for(c->low, c->high);

    doc_say(d, "%s took ", p->what);
    if (isfinite(c->ratio))
        doc_say(d, "%.*f times as long ", places, c->ratio);
    else
        doc_say(d, "longer ");
    doc_text(d, c->verdict == MORE ? p->b_words : p->a_words);
    doc_say(d, " (");
    if (isfinite(c->low) && isfinite(c->high))
        doc_say(d, "%.*f to %.*f, ", places, c->low, places, c->high);
    runs_each(d, c);
    doc_say(d, ")");
}

static void too_few(struct doc *d, const struct part *p, const struct compared *c)
{
    char n[FORMAT_MAX];

    doc_say(d, "%s took %s ", p->what, format_ns(n, c->a_median));
    doc_text(d, p->a_words);
    doc_say(d, " and %s ", format_ns(n, c->b_median));
    doc_text(d, p->b_words);
    doc_say(d, c->a_n + c->b_n > 2 ? " (medians of " : " (");
    runs_each(d, c);
    doc_say(d, ": too few to say more)");
}

/* " on linux, memory=ordinary" */
static void where(struct doc *d, const struct part *p)
{
    doc_say(d, *p->place ? " " : "");
    doc_text(d, p->place);
    doc_say(d, *p->rest ? ", " : "");
    doc_text(d, p->rest);
}

static void sentence(struct doc *d, const struct part *p, const struct compared *c)
{
    char size[FORMAT_MAX];

    doc_say(d, "  - %s", format_kb(size, c->kb));
    where(d, p);
    doc_say(d, ": ");
    if (c->verdict == UNSAID) {
        too_few(d, p, c);
    } else if (c->verdict == NO_DIFFERENCE || c->verdict == SAME) {
        doc_say(d, c->verdict == SAME ? "the same in " : "no difference seen in ");
        runs_each(d, c);
    } else {
        longer(d, p, c);
    }
    doc_say(d, "\n");
}

/* How many sizes from an end say the same as that end. */
static size_t agree(const struct part *p, bool from_end)
{
    const enum verdict first = p->list[from_end ? p->n - 1 : 0].verdict;
    size_t n = 0;

    while (n < p->n && p->list[from_end ? p->n - 1 - n : n].verdict == first)
        n++;
    return n;
}

static bool clear(enum verdict v)
{
    return v == MORE || v == LESS;
}

static const char *faster(const struct part *p, size_t at)
{
    return p->list[at].verdict == MORE ? p->a_words : p->b_words;
}

/* Where the lines cross, or whether one is below at every size, if each size says so: a way wins up
 * to a size, and from one on the other, and between them there is no difference to be seen. */
static void crossing(struct doc *d, const struct part *p)
{
    size_t head = agree(p, false), tail = agree(p, true), last = p->n - tail;
    bool starts = clear(p->list[0].verdict), ends = clear(p->list[p->n - 1].verdict);
    char size[FORMAT_MAX];

    for (size_t i = head; i < last; i++)
        if (p->list[i].verdict != NO_DIFFERENCE)
            return;
    if (starts && ends && head < p->n && p->list[0].verdict == p->list[p->n - 1].verdict)
        return;
    if (p->n < 2 || (!starts && !ends) || (!starts && p->list[0].verdict != NO_DIFFERENCE) ||
        (!ends && p->list[p->n - 1].verdict != NO_DIFFERENCE))
        return;
    doc_say(d, " %c%s took less time ", p->what[0] - 'a' + 'A', p->what + 1);
    if (starts) {
        doc_text(d, faster(p, 0));
        if (head < p->n)
            doc_say(d, " up to %s", format_kb(size, p->list[head - 1].kb));
    }
    if (ends && head < p->n) {
        doc_say(d, starts ? ", " : "");
        doc_text(d, faster(p, p->n - 1));
        doc_say(d, " from %s on", format_kb(size, p->list[last].kb));
    }
    doc_say(d, head == p->n     ? " at every size"
               : starts && ends ? ""
               : starts         ? "; above that no difference was seen"
                                : "; below that no difference was seen");
    doc_say(d, ".");
}

/* -- of several ways the fastest ---------------------------------------------------------- */

/* "; 1.9 times as long with pipe (1.4 to 2.3)" */
static void behind_fastest(struct doc *d, struct query *q)
{
    double low = query_number(q, "low"), high = query_number(q, "high");
    const char *verdict = query_text(q, "verdict");
    int places = places_for(low, high);

    if (!verdict || strcmp(verdict, "more") != 0 || query_null(q, "ratio")) {
        doc_say(d, verdict ? "; no difference seen to " : "; too few runs to tell it from ");
        doc_text(d, query_text(q, "value"));
        return;
    }
    doc_say(d, "; %.*f times as long with ", places, query_number(q, "ratio"));
    doc_text(d, query_text(q, "value"));
    doc_say(d, " (%.*f to %.*f)", places, low, places, high);
}

static void fastest_begins(struct doc *d, struct query *q)
{
    char size[FORMAT_MAX], time[FORMAT_MAX], runs[FORMAT_MAX];
    const char *rest = query_text(q, "rest");
    bool all = strcmp(query_text(q, "lane"), "all") == 0;

    doc_say(d, "- **%s, ", format_kb(size, query_number(q, "region_kb")));
    doc_text(d, query_text(q, "scenario"));
    doc_say(d, " on ");
    doc_text(d, query_text(q, "backend"));
    doc_say(d, *rest ? ", " : "");
    doc_text(d, rest);
    doc_say(d, "%s.** ", query_int(q, "emulated") ? ", in an emulator" : "");
    if (query_int(q, "told"))
        doc_say(d, all ? "All steps" : "Handing over");
    else
        doc_say(d, "No difference that is sure; by the medians %s",
                all ? "all steps" : "handing over");
    doc_say(d, " took least with ");
    doc_text(d, query_text(q, "differs"));
    doc_say(d, "=");
    doc_text(d, query_text(q, "value"));
    doc_say(d, " (%s, median of %s)", format_ns(time, query_number(q, "median")),
            format_noun(runs, query_int(q, "n"), "run"));
}

/* A sentence per size of a parameter that has more than two values: pairs of them all would drown
 * it. */
static void fastest(struct doc *d, const char *id)
{
    struct query q;
    int64_t last = 0;

    if (!doc_ask(d, &q, "db/report/series-fastest.sql", ":series", id))
        return;
    while (query_row(&q)) {
        if (query_int(&q, "grp") != last) {
            doc_say(d, last ? ".\n" : "");
            fastest_begins(d, &q);
        } else {
            behind_fastest(d, &q);
        }
        last = query_int(&q, "grp");
    }
    if (doc_fail(d, query_close(&q)) == 0 && last) {
        doc_say(d, ".\n");
        if (d->brief)
            doc_say(d, "\nEach two of them beside each other: `cowlab report %s`.\n", id);
        doc_say(d, "\n");
    }
}

#define SENTENCES 12

static void part_tell(struct doc *d, struct part *p, const char *id)
{
    if (p->n == 0)
        return;
    doc_say(d, "- **");
    doc_text(d, p->ways);
    where(d, p);
    doc_say(d, "%s.**", p->emulated ? ", in an emulator" : "");
    crossing(d, p);
    doc_say(d, "\n");
    for (size_t i = 0; i < p->n && i < SENTENCES; i++)
        sentence(d, p, &p->list[i]);
    if (p->n > SENTENCES)
        doc_say(d, "  - %zu more sizes: `cowlab report %s`\n", p->n - SENTENCES, id);
    part_release(p);
}

static void compared(struct doc *d, const char *id)
{
    struct part p = {.n = 0};
    struct query q;
    int64_t last = 0;

    if (!doc_ask(d, &q, "db/report/series-compared.sql", ":series", id))
        return;
    while (query_row(&q)) {
        int64_t nr = query_int(&q, "part");

        if (d->brief && query_int(&q, "several")) /* fastest() tells of them */
            continue;

        if (nr != last) {
            part_tell(d, &p, id);
            part_begin(&p, &q);
        }
        last = nr;
        part_add(&p, &q);
    }
    if (doc_fail(d, query_close(&q)) == 0) {
        part_tell(d, &p, id);
        doc_say(d, last ? "\n" : "");
    }
    part_release(&p);
}

/* -- the section ------------------------------------------------------------------------ */

/* " **Not made: 5 runs.**" */
static void clause(struct doc *d, struct query *q, const char *column, const char *what)
{
    char n[FORMAT_MAX];

    if (query_int(q, column) > 0)
        doc_say(d, " **%s: %s.**", what, format_noun(n, query_int(q, column), "run"));
}

/* What was asked of it, and what became of that. */
static void asked(struct doc *d, struct query *q, const char *id)
{
    char n[FORMAT_MAX], m[FORMAT_MAX];

    doc_say(d, "`%s`: ", id);
    if (!query_null(q, "params")) {
        doc_text(d, query_text(q, "params"));
        doc_say(d, ". ");
    }
    doc_say(d, "%s, ", format_noun(n, query_int(q, "combinations"), "combination"));
    doc_say(d, "%s of each asked for, ", format_noun(n, query_int(q, "repeat"), "run"));
    doc_say(d,
            "round by round in an order mixed by seed %lld; %s, without %s to warm up. Intervals "
            "are of 95 %%: of twenty comparisons of equals one shows a difference. On ",
            (long long)query_int(q, "seed"), format_noun(n, query_int(q, "counted"), "counted run"),
            format_count(m, query_int(q, "warm_ups")));
    doc_text(d, query_null(q, "kernels") ? "an unknown kernel" : query_text(q, "kernels"));
    if (!query_null(q, "emulated")) {
        doc_say(d, "; in an emulator, whose times compare with each other only: ");
        doc_text(d, query_text(q, "emulated"));
    }
    doc_say(d, ".");
    clause(d, q, "not_complete", "Cut short and not counted");
    clause(d, q, "not_made", "Not made");
    clause(d, q, "failed", "With expectations that failed");
    doc_say(d, "\n\n");
}

/* False: there is no such series. */
static bool introduce(struct doc *d, const char *id)
{
    struct query q;
    bool found;

    if (!doc_ask(d, &q, "db/report/series-asked.sql", ":series", id))
        return false;
    found = query_row(&q);
    if (found) {
        char title[200];

        snprintf(title, sizeof title, "Series: %.150s", query_text(&q, "scenarios"));
        doc_section(d, title);
        asked(d, &q, id);
    }
    return doc_fail(d, query_close(&q)) == 0 && found;
}

static bool any_interval(const struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->sizes; k++)
            if (isfinite(l->line[i].low[k]))
                return true;
    return false;
}

/* Where there are sizes to draw by; false: there are none. */
static bool charts(struct doc *d, const char *id)
{
    struct lines l = {.n = 0};
    bool handed = false, drawn = false;
    struct query q;

    if (!doc_ask(d, &q, "db/report/series-lines.sql", ":series", id))
        return false;
    if (query_row(&q))
        handed = strcmp(query_text(&q, "time"), "handed_over") == 0;
    query_reset(&q);
    if (lines_read(d, &l, &q) == 0 && sizes_of(&l, TIME, -1) >= 2) {
        for (int emulated = 0; emulated < 2; emulated++)
            draw_times(d, &l, emulated, "series-time",
                       handed ? "Time to hand the memory over, by its size"
                              : "Time of all steps, by the size of the memory",
                       any_interval(&l)
                           ? "medians; shaded: their 95 % intervals; in brackets: what a page more "
                             "takes, from the second largest size to the largest"
                           : "medians; no intervals: they take 5 runs each",
                       "size of the memory");
        draw_multiples(d, &l, "series-costs", handed);
        drawn = true;
    }
    lines_release(&l);
    return drawn;
}

/* How long handing over took, of each combination. */
static void sums(struct doc *d, const char *id)
{
    static const struct doc_column columns[] =
        DOC_COLUMNS(DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
                    DOC_TEXT("setting", "with"), DOC_COUNT("n", "runs"),
                    DOC_NS("median", "handing over: median"), DOC_NS("low", "95 % interval: from"),
                    DOC_NS("high", "to"));

    doc_answer(d, "db/report/series-combinations.sql", ":series", id, columns);
}

/* The figures behind it. */
static void tables(struct doc *d, const char *id)
{
    static const struct doc_column pairs[] = DOC_COLUMNS(
        DOC_TEXT("a", "a"), DOC_TEXT("b", "b"), DOC_TEXT("backend", "backend"),
        DOC_KB("region_kb", "size"), DOC_TEXT("phase", "phase"), DOC_TEXT("quantity", "quantity"),
        DOC_COUNT("a_n", "runs: a"), DOC_COUNT("b_n", "b"), DOC_COUNT("a_median", "median: a"),
        DOC_COUNT("b_median", "b"), DOC_TEXT("ratio", "b / a"),
        DOC_TEXT("low", "95 % interval: from"), DOC_TEXT("high", "to"),
        DOC_TEXT("verdict", "b is"));
    static const struct doc_column steps[] = DOC_COLUMNS(
        DOC_TEXT("scenario", "scenario"), DOC_TEXT("backend", "backend"),
        DOC_TEXT("setting", "with"), DOC_COUNT("step", "step"), DOC_TEXT("phase", "phase"),
        DOC_COUNT("n", "runs"), DOC_COUNT("unknown", "unknown"), DOC_NS("median", "median"),
        DOC_NS("low", "95 % interval: from"), DOC_NS("high", "to"), DOC_NS("q1", "quartiles: from"),
        DOC_NS("q3", "to"), DOC_NS("min", "fastest"), DOC_NS("max", "slowest"));

    doc_answer(d, "db/report/series-pairs.sql", ":series", id, pairs);
    doc_answer(d, "db/report/series-phases.sql", ":series", id, steps);
}

static void one_series(struct doc *d, const char *id)
{
    if (!introduce(d, id))
        return;
    fastest(d, id);
    compared(d, id);
    if (!charts(d, id) || !d->brief)
        sums(d, id);
    if (!d->brief)
        tables(d, id);
}

/* -- fork by size ----------------------------------------------------------------------- */

/* "94.2 µs at 1.90 MiB to 7.71 ms at 257.7 MiB" of each line. */
static void forks_tell(struct doc *d, const struct lines *l)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];

    for (size_t i = 0; i < l->n; i++) {
        size_t first = l->sizes, last = 0;

        for (size_t k = 0; k < l->sizes; k++)
            if (isfinite(l->line[i].values[TIME][k])) {
                first = k < first ? k : first;
                last = k;
            }
        if (first > last)
            continue;
        doc_say(d, "- ");
        doc_text(d, l->line[i].name);
        doc_say(d, "%s: %s at ", l->line[i].emulated ? " (in an emulator)" : "",
                format_ns(a, l->line[i].values[TIME][first]));
        doc_say(d, "%s to %s at ", format_kb(a, l->kb[first]),
                format_ns(b, l->line[i].values[TIME][last]));
        doc_say(d, "%s\n", format_kb(a, l->kb[last]));
    }
    doc_say(d, "\n");
}

static void forks_by_size(struct doc *d, const struct selection *runs, const char *shown)
{
    struct lines l = {.n = 0};
    struct query q;

    if (!doc_ask(d, &q, "db/report/fork-latency.sql", ":series", shown))
        return;
    query_bind(&q, ":runs", d->brief ? NULL : runs->json);
    if (lines_read(d, &l, &q) == 0 && l.n) {
        doc_section(d, "Fork by size");
        doc_say(d,
                "How long fork took in the %s, of scenarios that forked "
                "at three sizes or more: the times, and no verdict.\n\n",
                d->brief ? "complete runs of the database" : "runs of this report");
        forks_tell(d, &l);
        for (int emulated = 0; emulated < 2; emulated++)
            draw_times(d, &l, emulated, "fork-by-size", "Time of fork, by what the parent has",
                       "median of the forks of a size; shaded: from the fastest to the slowest",
                       "RSS of the process that forks");
    }
    lines_release(&l);
}

/* Views over all series take as long as there are series. While the section is made, their own text
 * stands before them, over the combinations of the series that are told of. */
static const char *const narrowed[] = {"combination_ways", "series_values", "phase_stats",
                                       "compared_pairs",   "series_phases", "compared_values",
                                       "compared_ratios",  "comparisons"};

static void narrow(struct doc *d, const char *shown)
{
    struct query q;

    if (!doc_ask(
            d, &q,
            "CREATE TEMP TABLE combinations AS SELECT * FROM main.combinations WHERE series_id "
            "IN (SELECT value FROM json_each(:series))",
            ":series", shown))
        return;
    query_row(&q);
    doc_fail(d, query_close(&q));
    for (size_t i = 0; i < sizeof narrowed / sizeof *narrowed && d->rc == 0; i++)
        doc_fail(d, query_view_again(d->db, narrowed[i], d->e));
}

static void widen(sqlite3 *db)
{
    char sql[100];

    for (size_t i = 0; i < sizeof narrowed / sizeof *narrowed; i++) {
        snprintf(sql, sizeof sql, "DROP VIEW IF EXISTS temp.%s", narrowed[i]);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_exec(db, "DROP TABLE IF EXISTS temp.combinations", NULL, NULL, NULL);
}

void section_series(struct doc *d, const struct selection *runs)
{
    struct selection shown = {.n = 0};
    sqlite3_str *json = sqlite3_str_new(NULL);
    struct query q;

    sqlite3_str_appendall(json, "[");
    if (doc_ask(d, &q, "db/report/series-shown.sql", ":runs", d->brief ? NULL : runs->json)) {
        while (query_row(&q)) {
            char **added = LIST_ADD(shown.ids, shown.n);

            if (!added || !(*added = query_copy(&q, "series_id")))
                query_no_memory(&q);
            else
                sqlite3_str_appendf(json, "%s\"%s\"", shown.n > 1 ? "," : "", *added);
        }
        doc_fail(d, query_close(&q));
    }
    sqlite3_str_appendall(json, "]");
    shown.json = sqlite3_str_finish(json);
    if (!shown.json)
        doc_fail(d, err_no_memory(d->e));
    if (shown.n && d->rc == 0)
        narrow(d, shown.json);
    for (size_t i = 0; i < shown.n && d->rc == 0; i++)
        one_series(d, shown.ids[i]);
    widen(d->db);
    if (d->rc == 0)
        forks_by_size(d, runs, shown.json);
    for (size_t i = 0; i < shown.n; i++)
        free(shown.ids[i]);
    free(shown.ids);
    sqlite3_free(shown.json);
}
