/* chart: bars, stacked bars, lines and waterfalls as SVG, for any table of numbers.
 *
 * Promises: an unknown number (NAN) is drawn as unknown, never as zero; what differs by colour
 * differs by a name, a dash or a marker too; the same data gives the same bytes.
 * Does not: read the database. Owns nothing: the caller keeps the data and the FILE. */
#pragma once

#include "reports/format.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The value of something that does not exist, as opposed to an unknown one. */
#define CHART_NONE INFINITY

struct chart_series {
    const char *name;
    const double *values; /* one per label; NAN: unknown; CHART_NONE: nothing there */
};

struct chart {
    const char *title, *subtitle; /* subtitle may be NULL */
    enum unit unit;
    const char *const *labels; /* rows of bars */
    size_t nlabels;
    const struct chart_series *series;
    size_t nseries;
};

/* Groups of horizontal bars: one group per label, one bar per series, its value at its end. */
void chart_bars(FILE *out, const struct chart *c);
/* One horizontal bar per label, made of the series; the sum at its end. */
void chart_stacked(FILE *out, const struct chart *c);

/* How far the values of a line are spread around it, one per point; not finite: not told. */
struct chart_band {
    const double *low, *high;
};

/* A place on an axis and what it is called. */
struct chart_tick {
    double at;
    const char *name;
};

struct chart_lines {
    const char *title, *subtitle, *x_name;
    enum unit unit, x_unit;
    const double *x; /* ascending */
    size_t npoints;
    const struct chart_series *series;
    size_t nseries;
    const size_t *looks; /* NULL, or each line's colour, dash and marker by number: whose stays the
                            same through the charts of a report */
    size_t right;        /* if not 0: lines from here on have an axis of their own, at the right */
    const struct chart_band *bands; /* NULL, or each line's; of log axes */
    bool log;   /* both axes: x above 0; a value of 0 lies below the axis; no right one. A line goes
                   on across points where it has nothing (CHART_NONE) */
    bool log_y; /* the y axes go by powers of ten; what is not above 0 is not drawn */
    const struct chart_tick *ticks; /* of the x axis; NULL: it has numbers */
    size_t nticks;
};

/* A line that lies on another one all along is said to in the legend. */
void chart_lines(FILE *out, const struct chart_lines *c);
/* Several beside each other, of the same lines by the same x; one legend. Their subtitles are not
 * shown. */
void chart_multiples(FILE *out, const char *title, const char *subtitle,
                     const struct chart_lines *panels, size_t n);

/* From one sum to another: TOTAL bars stand on zero, DELTA bars begin where the bar before ended.
 */
enum waterfall_kind { WATERFALL_TOTAL, WATERFALL_DELTA };

struct waterfall_row {
    const char *label;
    const char *note; /* under the label, or NULL */
    enum waterfall_kind kind;
    double value; /* NAN: unknown */
};

void chart_waterfall(FILE *out, const char *title, const char *subtitle, enum unit unit,
                     const struct waterfall_row *rows, size_t nrows);
