#include "reports/draw/svg.h"

#include "reports/draw/palette.h"
#include "reports/escape.h"
#include <math.h>

/* Series colours on light and on dark; lines differ by their dashes too. */
static const struct {
    const char *light, *dark, *dash;
} series[] = {
    {"#0072b2", "#56b4e9", "none"},    {"#e69f00", "#e69f00", "7 3"}, {"#009e73", "#12b588", "2 3"},
    {"#cc79a7", "#cc79a7", "9 3 2 3"}, {"#d55e00", "#e8793a", "4 2"}, {"#6b4fa0", "#a78be0", "1 3"},
    {"#8a7a00", "#d6c62a", "11 4"},    {"#59636e", "#9198a1", "5 5"},
};

static void style(FILE *out)
{
    fputs("<style>\n"
          ".bg{fill:#fff}.t{fill:#1f2328;font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif}"
          ".m{fill:#59636e}.b{font-weight:600}.s{font-size:10.5px}.h{font-size:14px}"
          ".grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#59636e;stroke-width:1}"
          ".box{fill:#f6f8fa;stroke:#818b98}"
          ".link{fill:none;stroke:#59636e;stroke-width:1.2}.head{fill:#59636e}"
          ".mark{fill:#1f2328}.new{stroke:#1f2328;stroke-width:2.2}"
          ".weak{stroke-dasharray:3 3}.unknown{fill:url(#hatch);stroke:#818b98}"
          ".hatch{stroke:#818b98;stroke-width:1}.up{fill:#009e73}.down{fill:#d55e00}\n",
          out);
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        fprintf(out,
                ".s%zu{fill:%s}.l%zu{fill:none;stroke:%s;stroke-width:1.8;stroke-dasharray:%s}\n",
                i, series[i].light, i, series[i].light, series[i].dash);
    for (const struct state_style *l = state_styles; l->letter; l++)
        fprintf(out, ".p%d{fill:%s;stroke:#818b98;stroke-width:.6}.i%d{fill:%s}\n", l->state,
                l->fill, l->state, l->ink);
    fputs("@media (prefers-color-scheme:dark){\n"
          ".bg{fill:#0d1117}.t{fill:#e6edf3}.m{fill:#9198a1}.grid{stroke:#30363d}"
          ".axis{stroke:#9198a1}.box{fill:#151b23;stroke:#656c76}"
          ".link{stroke:#9198a1}.head{fill:#9198a1}.mark{fill:#e6edf3}.new{stroke:#e6edf3}.up{fill:"
          "#12b588}.down{fill:#e8793a}\n",
          out);
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        fprintf(out, ".s%zu{fill:%s}.l%zu{stroke:%s}\n", i, series[i].dark, i, series[i].dark);
    for (const struct state_style *l = state_styles; l->letter; l++)
        fprintf(out, ".p%d{fill:%s}.i%d{fill:%s}\n", l->state, l->fill_dark, l->state,
                l->state == PS_NONE ? "#9198a1" : l->ink);
    fputs("}\n</style>\n", out);
}

void svg_begin(FILE *out, double width, double height, const char *title)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
            width, height, width, height);
    escape_xml(out, title);
    fputs("</title>\n<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" "
          "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
          "<line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>\n",
          out);
    style(out);
    fputs("<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n", out);
}

void svg_end(FILE *out)
{
    fputs("</svg>\n", out);
}

void svg_text(FILE *out, double x, double y, enum svg_anchor anchor, const char *cls,
              const char *text)
{
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};

    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\"%s>", x, y, cls, anchors[anchor]);
    escape_xml(out, text);
    fputs("</text>\n", out);
}

void svg_rect(FILE *out, double x, double y, double w, double h, double radius, const char *cls,
              const char *tip)
{
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", x, y, w, h);
    if (radius > 0)
        fprintf(out, " rx=\"%.1f\"", radius);
    fprintf(out, " class=\"%s\"", cls);
    if (!tip) {
        fputs("/>\n", out);
        return;
    }
    fputs("><title>", out);
    escape_xml(out, tip);
    fputs("</title></rect>\n", out);
}

void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *cls)
{
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1,
            x2, y2, cls);
}

void svg_link(FILE *out, double x1, double y1, double x2, double y2, const char *cls)
{
    double bend = (x2 - x1) / 2, end = x2 - 6;

    fprintf(out, "<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\" class=\"%s\"/>\n", x1, y1,
            x1 + bend, y1, end - bend, y2, end, y2, cls);
    fprintf(out, "<path d=\"M%.1f %.1fl-7 -3.5v7z\" class=\"head\"/>\n", x2, y2);
}

void svg_polyline(FILE *out, const double *x, const double *y, size_t n, const char *cls)
{
    int pen = 0;

    fputs("<path d=\"", out);
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i])) {
            pen = 0;
            continue;
        }
        fprintf(out, "%c%.1f %.1f", pen ? 'L' : 'M', x[i], y[i]);
        pen = 1;
    }
    fprintf(out, "\" class=\"%s\"/>\n", cls);
}

void svg_band(FILE *out, const double *x, const double *low, const double *high, size_t n,
              int series_nr)
{
    for (size_t i = 0; i < 2 * n; i++)
        fprintf(out, "%s%.1f %.1f", i ? "L" : "<path d=\"M", x[i < n ? i : 2 * n - 1 - i],
                i < n ? low[i] : high[2 * n - 1 - i]);
    fprintf(out, "z\" class=\"s%d\" fill-opacity=\".18\"/>\n", series_nr % 8);
}

void svg_marker(FILE *out, double x, double y, int n)
{
    static const char *const shapes[] = {"m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", "m-3-3h6v6h-6z",
                                         "m0-4l4 7h-8z", "m0-4l4 4l-4 4l-4-4z"};

    fprintf(out, "<path d=\"M%.1f %.1f%s\" class=\"s%d\"/>\n", x, y, shapes[(n + n / 8) % 4],
            n % 8);
}

/* Advance widths of DejaVu Sans, the widest of the fonts asked for, in thousandths of the size;
 * what is not listed is taken as a wide letter. */
static double advance(uint32_t c)
{
    if (c < 0x80 && c >= 0x20) {
        const char *narrow = "ijl.,:;|!'()[]/ It-frs";
        const char *wide = "mwMW%@";

        for (const char *p = narrow; *p; p++)
            if ((uint32_t)*p == c)
                return 430;
        for (const char *p = wide; *p; p++)
            if ((uint32_t)*p == c)
                return 970;
        return c >= 'A' && c <= 'Z' ? 720 : 630;
    }
    return 700;
}

double svg_text_width(const char *text, double size)
{
    double sum = 0;

    for (const char *s = text ? text : ""; *s;)
        sum += advance(escape_next(&s));
    return sum * size / 1000;
}
