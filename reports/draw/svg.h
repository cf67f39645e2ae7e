/* svg: writes one SVG picture. Shapes only; charts and strips are built on it.
 *
 * Promises: well-formed XML whatever the texts are; the same calls give the same bytes; readable
 * on a light and on a dark page (the colours are classes, redefined for
 * prefers-color-scheme: dark); every series and page state has a cue beside its colour.
 * Owns nothing: write errors stay in the FILE (ferror). Lengths are pixels. */
#pragma once

#include <stdio.h>

/* Classes. Text: "t" plain, "t m" muted, "t b" bold, "t s" small.
 * Shapes: "grid" line, "axis" line, "box" outlined box, "s0".."s7" series fills, "l0".."l7" series
 * lines, "p<state>" page state fills and "i<state>" the text on them (palette.h), "link", "head",
 * "up", "down", "unknown" hatched; "mark", and "box new", for what changed. */

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* title: what a screen reader says, and the tooltip of the whole picture. */
void svg_begin(FILE *out, double width, double height, const char *title);
void svg_end(FILE *out);

void svg_text(FILE *out, double x, double y, enum svg_anchor anchor, const char *cls,
              const char *text);
/* tip: tooltip, or NULL. */
void svg_rect(FILE *out, double x, double y, double w, double h, double radius, const char *cls,
              const char *tip);
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *cls);
/* A curve from left to right, for links between boxes, with a head at its end. */
void svg_link(FILE *out, double x1, double y1, double x2, double y2, const char *cls);
/* n points x[i], y[i]; a point whose y is NAN interrupts the line. */
void svg_polyline(FILE *out, const double *x, const double *y, size_t n, const char *cls);
/* The area between low[i] and high[i], in the colour of the series. */
void svg_band(FILE *out, const double *x, const double *low, const double *high, size_t n,
              int series);
/* A marker of the series: shape by number, so that lines differ without colour, and those that have
 * the same colour. */
void svg_marker(FILE *out, double x, double y, int series);

/* Width that a text of our sans-serif font takes at most, at this size in pixels. */
double svg_text_width(const char *text, double size);
