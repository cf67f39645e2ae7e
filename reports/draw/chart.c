#include "reports/draw/chart.h"

#include "reports/draw/svg.h"
#include <stdbool.h>
#include <string.h>

#define WIDTH 860.0
#define MARGIN 16.0
#define HEAD 52.0 /* title and subtitle */
#define BAR 15.0
#define HEIGHT 260.0    /* of lines */
#define VALUE_ROOM 96.0 /* for "1,023.9 MiB" beside the longest bar */

/* The next of 1, 2, 5 times a power of the unit's base at or above n. KiB go by powers of two so
 * that the axis reads 64, 128, 256. */
static double nice_step(double n, enum unit unit)
{
    double step = 1;

    if (n <= 0)
        return 1;
    if (unit == UNIT_KB)
        return exp2(ceil(log2(n < 1 ? 1 : n)));
    step = pow(10, floor(log10(n)));
    if (step >= n)
        return step;
    if (2 * step >= n)
        return 2 * step;
    return 5 * step >= n ? 5 * step : 10 * step;
}

struct axis {
    double min, max, step; /* powers: exponents of ten */
    double from, to;       /* pixels */
    bool log;
    double zero; /* of a log axis: where nothing at all stands */
    bool powers;
};

static double axis_at(const struct axis *a, double v)
{
    if (a->log && v <= 0)
        return a->zero;
    if (a->log)
        return a->from + log(v / a->min) / log(a->max / a->min) * (a->to - a->from);
    if (a->powers)
        v = log10(v);
    return a->from + (v - a->min) / (a->max - a->min) * (a->to - a->from);
}

static struct axis axis_for(double min, double max, enum unit unit, int ticks, double from,
                            double to)
{
    struct axis a = {0, 1, 1, from, to, false, 0, false};

    if (max <= min)
        max = min + 1;
    a.step = nice_step((max - min) / ticks, unit);
    if (unit == UNIT_PAGES || unit == UNIT_NUMBER || unit == UNIT_NS)
        a.step = fmax(1, a.step);
    a.min = floor(min / a.step) * a.step;
    a.max = ceil(max / a.step) * a.step;
    return a;
}

/* From the power of ten below the least to the one above the most. */
static struct axis axis_of_powers(double least, double most, double from, double to)
{
    struct axis a = {0, 1, 1, from, to, false, 0, true};

    if (least > 0 && most > 0) {
        a.min = floor(log10(least));
        a.max = fmax(ceil(log10(most)), a.min + 1);
    }
    return a;
}

static void heading(FILE *out, const char *title, const char *subtitle)
{
    svg_text(out, MARGIN, 22, SVG_START, "t b h", title);
    if (subtitle)
        svg_text(out, MARGIN, 40, SVG_START, "t m", subtitle);
}

/* Ticks along the top, grid lines down to bottom. */
static void x_grid(FILE *out, const struct axis *a, enum unit unit, double top, double bottom)
{
    char buf[FORMAT_MAX];

    for (double v = a->min; v <= a->max + a->step / 2; v += a->step) {
        double x = axis_at(a, v);

        svg_line(out, x, top, x, bottom, "grid");
        svg_text(out, x, top - 5, SVG_MIDDLE, "t m s", format_tick(buf, unit, v));
    }
}

static double widest(const char *const *labels, size_t n, double size)
{
    double w = 0;

    for (size_t i = 0; i < n; i++)
        w = fmax(w, svg_text_width(labels[i], size));
    return w;
}

/* A bar from value 0 with its number, or a hatched stub that says unknown. */
static void bar(FILE *out, const struct axis *a, double y, double v, enum unit unit,
                const char *cls, const char *tip)
{
    char buf[FORMAT_MAX];
    double x0 = axis_at(a, 0);

    if (isinf(v)) {
        svg_text(out, x0 + 5, y + BAR - 4, SVG_START, "t m s", "–");
        return;
    }
    if (isnan(v)) {
        svg_rect(out, x0, y + 2, 24, BAR - 4, 0, "unknown", tip);
        svg_text(out, x0 + 30, y + BAR - 4, SVG_START, "t m s", "unknown");
        return;
    }
    svg_rect(out, x0, y + 1, fmax(v > 0 ? 1 : 0, axis_at(a, v) - x0), BAR - 2, 0, cls, tip);
    svg_text(out, fmax(axis_at(a, v), x0) + 5, y + BAR - 4, SVG_START, "t s",
             format_unit(buf, unit, v));
}

void chart_bars(FILE *out, const struct chart *c)
{
    double names = 0, labels = widest(c->labels, c->nlabels, 12), max = 0, y = HEAD + 22, group;
    struct axis a;

    for (size_t s = 0; s < c->nseries; s++) {
        names = fmax(names, svg_text_width(c->series[s].name, 10.5));
        for (size_t i = 0; i < c->nlabels; i++)
            max = fmax(max, isfinite(c->series[s].values[i]) ? c->series[s].values[i] : 0);
    }
    group = (double)c->nseries * BAR + 12;
    a = axis_for(0, max, c->unit, 5, MARGIN + labels + 14 + names + 10, WIDTH - VALUE_ROOM);
    svg_begin(out, WIDTH, y + group * (double)c->nlabels + MARGIN, c->title);
    heading(out, c->title, c->subtitle);
    x_grid(out, &a, c->unit, HEAD + 14, y + group * (double)c->nlabels - 4);
    for (size_t i = 0; i < c->nlabels; i++, y += group) {
        svg_text(out, MARGIN, y + (group - 12) / 2 + 4, SVG_START, "t", c->labels[i]);
        for (size_t s = 0; s < c->nseries; s++) {
            char cls[8], tip[256];
            double at = y + (double)s * BAR;

            snprintf(cls, sizeof cls, "s%zu", s % 8);
            snprintf(tip, sizeof tip, "%s, %s", c->labels[i], c->series[s].name);
            svg_text(out, a.from - 7, at + BAR - 4, SVG_END, "t m s", c->series[s].name);
            bar(out, &a, at, c->series[s].values[i], c->unit, cls, tip);
        }
    }
    svg_line(out, a.from, HEAD + 14, a.from, y - 4, "axis");
    svg_end(out);
}

/* The number of a line's colour, dash and marker. */
static int look_of(const struct chart_lines *c, size_t s)
{
    return (int)(c->looks ? c->looks[s] : s);
}

static bool at_right(const struct chart_lines *c, size_t s)
{
    return c->right && s >= c->right;
}

/* Of all lines on the same axis, or 0. */
static double most(const struct chart_lines *c, bool right)
{
    double max = 0;

    for (size_t s = 0; s < c->nseries; s++)
        for (size_t i = 0; at_right(c, s) == right && i < c->npoints; i++)
            if (isfinite(c->series[s].values[i]))
                max = fmax(max, c->series[s].values[i]);
    return max;
}

/* So near to each other that the eye sees one point? near: of a linear axis. */
static bool coincide(const struct chart_lines *c, double a, double b, double near)
{
    if (c->log)
        return fabs(a - b) <= 0.02 * fmin(a, b);
    return fabs(a - b) <= near;
}

/* The least above 0, or 0. */
static double least(const struct chart_lines *c, bool right)
{
    double min = 0;

    for (size_t s = 0; s < c->nseries; s++)
        for (size_t i = 0; at_right(c, s) == right && i < c->npoints; i++) {
            double v = c->series[s].values[i];

            if (isfinite(v) && v > 0)
                min = min > 0 ? fmin(min, v) : v;
        }
    return min;
}

static bool is_drawn(const struct chart_lines *c, double v)
{
    return isfinite(v) && (v > 0 || !c->log_y);
}

/* Does every point of a line lie on another one, so that it cannot be seen beside it? */
static bool lies_on(const struct chart_lines *c, size_t line, size_t other)
{
    const double near = most(c, at_right(c, line)) / HEIGHT;
    size_t points = 0;

    if (line == other || at_right(c, line) != at_right(c, other))
        return false;
    for (size_t i = 0; i < c->npoints; i++) {
        const double a = c->series[line].values[i], b = c->series[other].values[i];

        if (!isfinite(a))
            continue;
        if (!isfinite(b) || !(c->log_y ? fabs(a - b) <= a / 100 : coincide(c, a, b, near)))
            return false;
        points++;
    }
    return points > 0;
}

/* The first line that this one lies on, or itself; of two that lie on each other the first has its
 * own. */
static size_t same_line(const struct chart_lines *c, size_t s)
{
    for (size_t t = 0; t < c->nseries; t++)
        if (lies_on(c, s, t) && (t < s || !lies_on(c, t, s)))
            return t;
    return s;
}

/* Squares or lines with names, wrapped; returns the y below. lines: the chart they are of, or NULL.
 */
static double legend(FILE *out, const struct chart_series *series, size_t n, double y,
                     const struct chart_lines *lines)
{
    double x = MARGIN;

    for (size_t s = 0; s < n; s++) {
        size_t as = lines ? same_line(lines, s) : s;
        char cls[8], name[400];
        double w;

        snprintf(name, sizeof name, "%.150s%s%s%.150s%s", series[s].name,
                 lines && at_right(lines, s) ? " (right axis)" : "",
                 as != s ? " (on the line of " : "", as != s ? series[as].name : "",
                 as != s ? ")" : "");
        w = 28 + svg_text_width(name, 12) + 18;

        if (x + w > WIDTH - MARGIN && x > MARGIN) {
            x = MARGIN;
            y += 18;
        }
        if (out && lines) {
            double xs[2] = {x, x + 22}, ys[2] = {y - 4, y - 4};

            snprintf(cls, sizeof cls, "l%d", look_of(lines, s) % 8);
            svg_polyline(out, xs, ys, 2, cls);
            svg_marker(out, x + 11, y - 4, look_of(lines, s));
        } else if (out) {
            snprintf(cls, sizeof cls, "s%zu", s % 8);
            svg_rect(out, x + 4, y - 10, 14, 11, 0, cls, NULL);
        }
        if (out)
            svg_text(out, x + 28, y, SVG_START, "t", name);
        x += w;
    }
    return y + 10;
}

static double stack_sum(const struct chart *c, size_t label)
{
    double sum = 0;

    for (size_t s = 0; s < c->nseries; s++)
        sum += isfinite(c->series[s].values[label]) ? c->series[s].values[label] : 0;
    return sum;
}

static void stack(FILE *out, const struct chart *c, const struct axis *a, size_t label, double y)
{
    double at = 0;
    int unknown = 0;
    char buf[FORMAT_MAX], text[FORMAT_MAX + 16], cls[8], tip[256];

    for (size_t s = 0; s < c->nseries; s++) {
        double v = c->series[s].values[label];

        unknown |= isnan(v);
        if (!isfinite(v))
            continue;
        snprintf(cls, sizeof cls, "s%zu", s % 8);
        snprintf(tip, sizeof tip, "%s: %s", c->series[s].name, format_unit(buf, c->unit, v));
        svg_rect(out, axis_at(a, at), y + 2, axis_at(a, at + v) - axis_at(a, at), 16, 0, cls, tip);
        at += v;
    }
    if (unknown)
        svg_rect(out, axis_at(a, at), y + 2, 24, 16, 0, "unknown", "a part is unknown");
    snprintf(text, sizeof text, "%s%s", unknown ? "at least " : "", format_unit(buf, c->unit, at));
    svg_text(out, axis_at(a, at) + (unknown ? 30 : 5), y + 14, SVG_START, "t s", text);
}

void chart_stacked(FILE *out, const struct chart *c)
{
    double max = 0, labels = widest(c->labels, c->nlabels, 12);
    double top = legend(NULL, c->series, c->nseries, HEAD + 6, NULL) + 18, y = top + 6;
    struct axis a;

    for (size_t i = 0; i < c->nlabels; i++)
        max = fmax(max, stack_sum(c, i));
    a = axis_for(0, max, c->unit, 5, MARGIN + labels + 14, WIDTH - VALUE_ROOM);
    svg_begin(out, WIDTH, y + 24 * (double)c->nlabels + MARGIN, c->title);
    heading(out, c->title, c->subtitle);
    legend(out, c->series, c->nseries, HEAD + 6, NULL);
    x_grid(out, &a, c->unit, top, y + 24 * (double)c->nlabels);
    for (size_t i = 0; i < c->nlabels; i++, y += 24) {
        svg_text(out, MARGIN, y + 13, SVG_START, "t", c->labels[i]);
        stack(out, c, &a, i, y);
    }
    svg_line(out, a.from, top, a.from, y, "axis");
    svg_end(out);
}

/* Numbers at the side where the axis is; lines across, unless they are those of the other one. */
static void y_grid(FILE *out, const struct axis *a, enum unit unit, double left, double right,
                   bool outside)
{
    char buf[FORMAT_MAX];

    for (double at = a->min; at <= a->max + a->step / 2; at += a->step) {
        double v = a->powers ? pow(10, at) : at, y = axis_at(a, v);

        svg_line(out, outside ? right : left, y, outside ? right + 4 : right, y,
                 outside ? "axis" : "grid");
        svg_text(out, outside ? right + 7 : left - 6, y + 4, outside ? SVG_START : SVG_END, "t m s",
                 format_tick(buf, unit, v));
    }
}

static void one_line(FILE *out, const struct chart_lines *c, size_t s, const struct axis *xa,
                     const struct axis *ya)
{
    const int look = look_of(c, s);
    double xs[256], ys[256];
    char cls[8];

    snprintf(cls, sizeof cls, "l%d", look % 8);
    /* In pieces that overlap by a point: no limit on the number of points. */
    for (size_t from = 0; from + 1 < c->npoints || from == 0; from += 255) {
        size_t n = 0;

        for (; n < 256 && from + n < c->npoints; n++) {
            double v = c->series[s].values[from + n];

            xs[n] = axis_at(xa, c->x[from + n]);
            ys[n] = is_drawn(c, v) ? axis_at(ya, v) : NAN;
        }
        svg_polyline(out, xs, ys, n, cls);
    }
    for (size_t i = 0, every = c->npoints / 12 + 1; i < c->npoints; i += every)
        if (is_drawn(c, c->series[s].values[i]))
            svg_marker(out, axis_at(xa, c->x[i]), axis_at(ya, c->series[s].values[i]), look);
}

static void x_tick(FILE *out, double x, double y, const char *name)
{
    svg_line(out, x, y, x, y + 4, "axis");
    svg_text(out, x, y + 17, SVG_MIDDLE, "t m s", name);
}

static void linear_lines(FILE *out, const struct chart_lines *c)
{
    double top = legend(NULL, c->series, c->nseries, HEAD + 6, c) + 12;
    struct axis xa, ya[2]; /* left, right */
    const bool right = c->right && c->right < c->nseries;
    char buf[FORMAT_MAX];

    for (int i = 0; i < 2; i++)
        ya[i] = c->log_y ? axis_of_powers(least(c, i), most(c, i), top + HEIGHT, top)
                         : axis_for(0, most(c, i), c->unit, 5, top + HEIGHT, top);
    xa = axis_for(c->npoints ? c->x[0] : 0, c->npoints ? c->x[c->npoints - 1] : 1, c->x_unit, 8,
                  MARGIN + 74, WIDTH - MARGIN - (right ? 74 : 20));
    if (c->npoints > 1) { /* the lines fill the width; ticks need not end it */
        xa.min = c->x[0];
        xa.max = c->x[c->npoints - 1] > xa.min ? c->x[c->npoints - 1] : xa.min + 1;
    }
    svg_begin(out, WIDTH, top + HEIGHT + 56, c->title);
    heading(out, c->title, c->subtitle);
    legend(out, c->series, c->nseries, HEAD + 6, c);
    for (int i = 0; i < (right ? 2 : 1); i++)
        y_grid(out, &ya[i], c->unit, xa.from, xa.to, i);
    for (double v = ceil(xa.min / xa.step) * xa.step; !c->ticks && v <= xa.max; v += xa.step)
        x_tick(out, axis_at(&xa, v), top + HEIGHT, format_tick(buf, c->x_unit, v));
    for (size_t i = 0; i < c->nticks; i++)
        if (c->ticks[i].at >= xa.min && c->ticks[i].at <= xa.max)
            x_tick(out, axis_at(&xa, c->ticks[i].at), top + HEIGHT, c->ticks[i].name);
    svg_line(out, xa.from, top + HEIGHT, xa.to, top + HEIGHT, "axis");
    svg_text(out, xa.to, top + HEIGHT + 36, SVG_END, "t m", c->x_name);
    for (size_t s = 0; s < c->nseries; s++)
        one_line(out, c, s, &xa, &ya[at_right(c, s)]);
    svg_end(out);
}

/* -- log axes --------------------------------------------------------------------------- */

#define PIECE 256
#define TICKS 64

/* The largest of 1, 2, 5 times a power of ten that is not above v. */
static double below(double v)
{
    double p = pow(10, floor(log10(v)));

    return v / p >= 5 ? 5 * p : v / p >= 2 ? 2 * p : p;
}

static struct axis log_axis(double min, double max, enum unit unit, double from, double to)
{
    struct axis a = {1, 2, 1, from, to, true, from, false};

    if (!(min > 0) || !isfinite(min))
        return a;
    if (unit == UNIT_KB) {
        a.min = exp2(floor(log2(min)));
        a.max = exp2(ceil(log2(max)));
    } else {
        a.min = below(min);
        a.max = nice_step(max, UNIT_NUMBER);
    }
    if (a.max <= a.min) {
        a.min /= 2;
        a.max *= 2;
    }
    return a;
}

/* Powers of two of KiB; else 1, 2, 5 and their tenfold where the axis is short, or powers of ten.
 * About as many as there is room for. */
static size_t log_ticks(const struct axis *a, enum unit unit, int room, double out[TICKS])
{
    const double base = unit == UNIT_KB ? 2 : 10;
    const int first = (int)floor(log(a->min) / log(base) + 1e-9),
              last = (int)floor(log(a->max) / log(base) + 1e-9), stride = (last - first) / room + 1;
    const bool between = unit != UNIT_KB && 3 * (last - first) <= room;
    size_t n = 0;

    for (int k = first; k <= last; k += stride)
        for (int m = 1; m <= (between ? 5 : 1) && n < TICKS; m += m == 1 ? 1 : 3) {
            double v = m * pow(base, k);

            if (v >= a->min * 0.999 && v <= a->max * 1.001)
                out[n++] = v;
        }
    return n;
}

/* Extends what is shown by a value, if there is one. */
static void extend(double v, double *min, double *max, bool *zero)
{
    if (!isfinite(v))
        return;
    if (v <= 0)
        *zero = true;
    else
        *min = fmin(*min, v), *max = fmax(*max, v);
}

/* The y axis of all that is shown; values of 0 lie below it. */
static struct axis log_y(const struct chart_lines *c, double bottom, double top)
{
    double min = INFINITY, max = 0;
    bool zero = false;
    struct axis a;

    for (size_t s = 0; s < c->nseries; s++)
        for (size_t i = 0; i < c->npoints; i++) {
            extend(c->series[s].values[i], &min, &max, &zero);
            if (c->bands) {
                extend(c->bands[s].low[i], &min, &max, &zero);
                extend(c->bands[s].high[i], &min, &max, &zero);
            }
        }
    a = log_axis(min, max, c->unit, zero ? bottom - 22 : bottom, top);
    a.zero = bottom;
    return a;
}

struct piece {
    double x[PIECE], y[PIECE], low[PIECE], high[PIECE];
    size_t n;
};

/* The spread where it is told: an area, of a point alone a stroke. */
static void piece_band(FILE *out, const struct piece *p, int look)
{
    for (size_t i = 0, n; i < p->n; i += n ? n : 1) {
        for (n = 0; i + n < p->n && isfinite(p->low[i + n]) && isfinite(p->high[i + n]);)
            n++;
        if (n > 1)
            svg_band(out, p->x + i, p->low + i, p->high + i, n, look);
        else if (n == 1)
            svg_line(out, p->x[i], p->low[i], p->x[i], p->high[i], "axis");
    }
}

static void piece_draw(FILE *out, const struct piece *p, int look, bool band)
{
    char cls[8];

    snprintf(cls, sizeof cls, "l%d", look % 8);
    if (band)
        piece_band(out, p, look);
    else if (p->n > 1)
        svg_polyline(out, p->x, p->y, p->n, cls);
    for (size_t i = 0; !band && i < p->n; i++)
        svg_marker(out, p->x[i], p->y[i], look);
}

/* A line or its band, in pieces: it goes on where it has nothing, not where it is unknown. */
static void log_line(FILE *out, const struct chart_lines *c, size_t s, const struct axis *xa,
                     const struct axis *ya, bool band)
{
    struct piece p = {.n = 0};

    for (size_t i = 0; i < c->npoints; i++) {
        double v = c->series[s].values[i];
        double low = band ? c->bands[s].low[i] : NAN, high = band ? c->bands[s].high[i] : NAN;

        if (isinf(v))
            continue;
        if (isnan(v) || p.n == PIECE) {
            piece_draw(out, &p, look_of(c, s), band);
            p.x[0] = p.x[p.n ? p.n - 1 : 0], p.y[0] = p.y[p.n ? p.n - 1 : 0];
            p.low[0] = p.high[0] = NAN;
            p.n = isnan(v) ? 0 : 1;
        }
        if (isnan(v))
            continue;
        p.x[p.n] = axis_at(xa, c->x[i]);
        p.y[p.n] = axis_at(ya, v);
        p.low[p.n] = isfinite(low) ? axis_at(ya, low) : NAN;
        p.high[p.n++] = isfinite(high) ? axis_at(ya, high) : NAN;
    }
    piece_draw(out, &p, look_of(c, s), band);
}

static void log_grid(FILE *out, const struct chart_lines *c, const struct axis *xa,
                     const struct axis *ya, int room)
{
    double ticks[TICKS], bottom = ya->zero;
    char buf[FORMAT_MAX];
    size_t n = log_ticks(ya, c->unit, 6, ticks);

    for (size_t i = 0; i < n; i++) {
        double y = axis_at(ya, ticks[i]);

        svg_line(out, xa->from, y, xa->to, y, "grid");
        svg_text(out, xa->from - 6, y + 4, SVG_END, "t m s", format_tick(buf, c->unit, ticks[i]));
    }
    if (ya->from < bottom)
        svg_text(out, xa->from - 6, bottom + 4, SVG_END, "t m s", "0");
    n = log_ticks(xa, c->x_unit, room, ticks);
    for (size_t i = 0; i < n; i++) {
        double x = axis_at(xa, ticks[i]);

        svg_line(out, x, bottom, x, bottom + 4, "axis");
        svg_text(out, x, bottom + 17, SVG_MIDDLE, "t m s", format_tick(buf, c->x_unit, ticks[i]));
    }
    svg_line(out, xa->from, bottom, xa->to, bottom, "axis");
    svg_text(out, xa->to, bottom + 36, SVG_END, "t m", c->x_name);
}

/* Spreads lie below all lines. */
static void log_panel(FILE *out, const struct chart_lines *c, double left, double right, double top,
                      double bottom)
{
    struct axis xa = {1, 2, 1, left, right, true, left, false}, ya = log_y(c, bottom, top);

    if (c->npoints) {
        const double first = c->x[0], last = c->x[c->npoints - 1];

        xa.min = last > first ? first : first / 2;
        xa.max = last > first ? last : last * 2;
    }
    log_grid(out, c, &xa, &ya, (int)((right - left) / 60));
    for (int band = c->bands ? 1 : 0; band >= 0; band--)
        for (size_t s = 0; s < c->nseries; s++)
            log_line(out, c, s, &xa, &ya, band);
}

void chart_lines(FILE *out, const struct chart_lines *c)
{
    double top;

    if (!c->log) {
        linear_lines(out, c);
        return;
    }
    top = legend(NULL, c->series, c->nseries, HEAD + 6, c) + 12;
    svg_begin(out, WIDTH, top + HEIGHT + 56, c->title);
    heading(out, c->title, c->subtitle);
    legend(out, c->series, c->nseries, HEAD + 6, c);
    log_panel(out, c, MARGIN + 74, WIDTH - MARGIN - 20, top, top + HEIGHT);
    svg_end(out);
}

void chart_multiples(FILE *out, const char *title, const char *subtitle,
                     const struct chart_lines *panels, size_t n)
{
    struct chart_lines names = panels[0];
    const double width = (WIDTH - 2 * MARGIN) / (double)n, height = HEIGHT * 0.7;
    double top;

    names.npoints = 0; /* what lies on what is not the same in all of them */
    top = legend(NULL, names.series, names.nseries, HEAD + 6, &names) + 30;
    svg_begin(out, WIDTH, top + height + 56, title);
    heading(out, title, subtitle);
    legend(out, names.series, names.nseries, HEAD + 6, &names);
    for (size_t i = 0; i < n; i++) {
        const double left = MARGIN + (double)i * width;

        svg_text(out, left, top - 12, SVG_START, "t b", panels[i].title);
        log_panel(out, &panels[i], left + 62, left + width - 18, top, top + height);
    }
    svg_end(out);
}

/* Where each bar begins and ends; an unknown delta leaves the level where it was. */
static void waterfall_levels(const struct waterfall_row *rows, size_t n, size_t i, double *from,
                             double *to)
{
    double level = 0;

    *from = *to = 0;
    for (size_t k = 0; k <= i && k < n; k++) {
        *from = rows[k].kind == WATERFALL_TOTAL ? 0 : level;
        *to = isnan(rows[k].value) ? *from : *from + rows[k].value;
        level = isnan(rows[k].value) && rows[k].kind == WATERFALL_TOTAL ? level : *to;
    }
}

static void waterfall_bar(FILE *out, const struct axis *a, const struct waterfall_row *r, double y,
                          double from, double to, enum unit unit)
{
    char buf[FORMAT_MAX], text[FORMAT_MAX + 4];
    const char *cls = r->kind == WATERFALL_TOTAL ? "s0" : r->value < 0 ? "down" : "up";
    double lo = axis_at(a, fmin(from, to)), hi = axis_at(a, fmax(from, to));

    if (isnan(r->value)) {
        svg_rect(out, lo, y, 24, 20, 0, "unknown", r->label);
        svg_text(out, lo + 30, y + 14, SVG_START, "t m s", "unknown");
        return;
    }
    svg_rect(out, lo, y, fmax(hi - lo, 1), 20, 0, cls, r->label);
    format_unit(buf, unit, fabs(r->value));
    snprintf(text, sizeof text, "%s%s",
             r->kind == WATERFALL_TOTAL ? (r->value < 0 ? "−" : "")
             : r->value < 0             ? "−"
                                        : "+",
             buf);
    svg_text(out, hi + 6, y + 14, SVG_START, "t s", text);
}

void chart_waterfall(FILE *out, const char *title, const char *subtitle, enum unit unit,
                     const struct waterfall_row *rows, size_t n)
{
    double min = 0, max = 0, labels = 0, from, to, top = HEAD + 16, y = top + 8;
    struct axis a;

    for (size_t i = 0; i < n; i++) {
        waterfall_levels(rows, n, i, &from, &to);
        min = fmin(min, fmin(from, to));
        max = fmax(max, fmax(from, to));
        labels = fmax(labels, svg_text_width(rows[i].label, 12));
        labels = fmax(labels, rows[i].note ? svg_text_width(rows[i].note, 10.5) : 0);
    }
    a = axis_for(min, max, unit, 5, MARGIN + labels + 16, WIDTH - VALUE_ROOM);
    svg_begin(out, WIDTH, y + 36 * (double)n + MARGIN, title);
    heading(out, title, subtitle);
    x_grid(out, &a, unit, top, y + 36 * (double)n - 6);
    for (size_t i = 0; i < n; i++, y += 36) {
        waterfall_levels(rows, n, i, &from, &to);
        svg_text(out, MARGIN, y + (rows[i].note ? 9 : 14), SVG_START,
                 rows[i].kind == WATERFALL_TOTAL ? "t b" : "t", rows[i].label);
        if (rows[i].note)
            svg_text(out, MARGIN, y + 22, SVG_START, "t m s", rows[i].note);
        waterfall_bar(out, &a, &rows[i], y, from, to, unit);
        if (i + 1 < n && rows[i + 1].kind == WATERFALL_DELTA)
            svg_line(out, axis_at(&a, to), y + 20, axis_at(&a, to), y + 36, "axis");
    }
    svg_line(out, axis_at(&a, 0), top, axis_at(&a, 0), y - 6, "axis");
    svg_end(out);
}
