#include "lab/watch/view.h"

#include "probes/list.h"
#include "reports/escape.h"
#include "reports/format.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ENTER_SCREEN "\033[?1049h\033[?25l\033[2J"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define NAME_WIDTH 22

void view_init(struct watch_view *v, FILE *out, bool screen, bool colour)
{
    *v = (struct watch_view){.out = out, .screen = screen, .colour = colour};
}

void view_news(struct watch_view *v, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memmove(v->news[0], v->news[1], sizeof v->news[0] * 2);
    memcpy(v->news[2], text, sizeof text);
}

/* A value in a unit, "?" if it is unknown, "-" if it does not apply; "~" before what is
 * concluded. */
static const char *kb(char *buf, struct value v)
{
    char text[FORMAT_MAX];

    if (v.why == WHY_NOT_APPLICABLE)
        return "-";
    if (!value_is_known(v))
        return "?";
    snprintf(buf, FORMAT_MAX, "%s%s", v.inferred ? "~" : "", format_kb(text, (double)v.n));
    return buf;
}

/* Pages over an interval as memory per second. */
static const char *rate(char *buf, struct value v, uint64_t since_ns)
{
    double per_s = value_is_known(v) && since_ns ? (double)v.n * 1e9 / (double)since_ns : 0;

    if (!value_is_known(v) || !since_ns)
        return v.why == WHY_KNOWN || v.why == WHY_NOT_APPLICABLE ? "-" : "?";
    return per_s > 0 ? format_kb(buf, per_s * (double)sysconf(_SC_PAGESIZE) / 1024) : "0";
}

static struct value sum_of(const struct sample *s, size_t offset)
{
    struct value sum = value_known(0);

    for (size_t i = 0; i < s->n; i++)
        if (view_has_memory(&s->processes[i]))
            sum = value_add(sum, *(const struct value *)((const char *)&s->processes[i] + offset));
    return sum;
}

#define SUM(s, field) sum_of(s, offsetof(struct sample_process, field))

struct value view_copied(const struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (view_has_memory(&s->processes[i]))
            return SUM(s, q[WQ_COPIED]);
    return value_na();
}

static void totals_lines(FILE *f, const struct view_sample *s)
{
    const struct sample *m = s->sample;
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX];
    struct value copied = view_copied(m);

    fprintf(f, "seem to use   sum of RSS %s   sum of PSS %s   sum of USS %s\n",
            kb(a, SUM(m, fp.rss_kb)), kb(b, SUM(m, fp.pss_kb)), kb(c, SUM(m, fp.uss_kb)));
    fprintf(f, "really use    distinct frames %s   page tables %s\n", kb(a, m->totals[TQ_DISTINCT]),
            kb(b, SUM(m, fp.pagetable_kb)));
    fprintf(f, "can grow      at risk %s, at most %s new   available %s%s%s\n",
            kb(a, SUM(m, q[WQ_AT_RISK])), kb(b, m->growth_kb), kb(c, m->totals[TQ_MEM_AVAILABLE]),
            value_is_known(s->cgroup_limit_kb) ? "   cgroup limit " : "",
            value_is_known(s->cgroup_limit_kb) ? kb(d, s->cgroup_limit_kb) : "");
    fprintf(f, "copied        %s/s   huge pages %s (%s)\n", rate(a, copied, s->since_ns),
            kb(b, SUM(m, q[WQ_ANON_HUGE])), s->thp ? s->thp : "?");
}

static void process_line(FILE *f, const struct view_sample *s, size_t i, bool wide)
{
    const struct sample_process *p = &s->sample->processes[i];
    const struct tree_process *t = &s->tree->list[s->tree_index[i]];
    char b[7][FORMAT_MAX], name[64];
    int depth = 0;

    for (int k = t->parent; k >= 0 && depth < 6; k = s->tree->list[k].parent)
        depth++;
    fprintf(f, "%*s", depth, "");
    snprintf(name, sizeof name, "%s[%d]", t->comm, (int)t->pid);
    escape_terminal_field(f, name, NAME_WIDTH - depth, 0);
    if (!view_has_memory(p)) {
        fprintf(f, "  %s\n", p->why == WHY_GONE ? "has ended" : "runs in its parent's memory");
        return;
    }
    fprintf(f, " %10s %10s", kb(b[0], p->fp.rss_kb), kb(b[1], p->fp.pss_kb));
    if (wide)
        fprintf(f, " %10s %10s", kb(b[2], p->fp.uss_kb), kb(b[4], p->q[WQ_DEBT]));
    fprintf(f, " %11s %10s %10s\n", kb(b[3], p->q[WQ_PARENT]), kb(b[5], p->q[WQ_AT_RISK]),
            rate(b[6], p->q[WQ_COPIED], s->since_ns));
}

static void frame(FILE *f, const struct watch_view *v, const struct view_sample *s)
{
    size_t room, shown = s->sample->n;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    bool wide = v->columns >= 100;
    int news = 0;

    for (int i = 0; i < 3; i++)
        news += v->news[i][0] != '\0';
    room = v->rows > 10 + news ? (size_t)(v->rows - 9 - news) : 1;
    fprintf(f, "cowlab watch   sample %d   %s   a sample takes %s, every %s   %s\n", s->number,
            format_ns(a, (double)s->t_ns), format_ns(b, (double)s->sample->dur_ns),
            format_ns((char[FORMAT_MAX]){0}, (double)s->every_ns),
            s->frames ? "" : "(frames are not visible)");
    totals_lines(f, s);
    fprintf(f, "\n");
    fprintf(f, "%-*s %10s %10s", NAME_WIDTH, "process", "RSS", "PSS");
    if (wide)
        fprintf(f, " %10s %10s", "USS", "debt");
    fprintf(f, " %11s %10s %10s\n", "with parent", "at risk", "copied/s");
    if (shown > room)
        shown = room - 1;
    for (size_t i = 0; i < shown; i++)
        process_line(f, s, i, wide);
    if (shown < s->sample->n)
        fprintf(f, "... and %zu more\n", s->sample->n - shown);
    for (int i = 0; i < 3; i++)
        if (v->news[i][0]) {
            escape_terminal(f, v->news[i]);
            fprintf(f, "\n");
        }
    fprintf(
        f,
        "Not atomic: processes run on while they are read. ~ concluded, ? unknown. Ctrl-C ends.");
}

static void measure(struct watch_view *v)
{
    struct winsize w = {0};
    int rows = 24, columns = 80;

    if (ioctl(fileno(v->out), TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
        rows = w.ws_row;
        columns = w.ws_col;
    }
    if (rows != v->rows || columns != v->columns) {
        for (size_t i = 0; i < v->nlines; i++)
            free(v->lines[i]);
        v->nlines = 0;
        if (v->begun)
            fputs("\033[2J", v->out);
    }
    v->rows = rows;
    v->columns = columns;
}

/* Columns count characters, not bytes: no line may wrap. */
static void cut(char *line, int columns)
{
    int n = 0;

    for (char *at = line; *at; at++)
        if (((unsigned char)*at & 0xc0) != 0x80 && ++n > columns) {
            *at = '\0';
            return;
        }
}

static bool bold(size_t line)
{
    return line == 0 || line == 6;
}

/* Lines that changed since the frame before, each at its place, and nothing else. */
static void draw(struct watch_view *v, char *text)
{
    char *buffer = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&buffer, &size);

    if (!f)
        return;
    for (char *line = text, *next; line && n < (size_t)v->rows; line = next, n++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cut(line, v->columns);
        if (n < v->nlines && strcmp(v->lines[n], line) == 0)
            continue;
        fprintf(f, "\033[%zu;1H%s%s%s\033[K", n + 1, v->colour && bold(n) ? "\033[1m" : "", line,
                v->colour && bold(n) ? "\033[0m" : "");
        if (n >= v->nlines && !LIST_ADD(v->lines, v->nlines))
            break;
        free(v->lines[n]);
        v->lines[n] = strdup(line);
        if (!v->lines[n]) {
            v->nlines = n;
            break;
        }
    }
    while (v->nlines > n) {
        fprintf(f, "\033[%zu;1H\033[K", v->nlines);
        free(v->lines[--v->nlines]);
    }
    if (fclose(f) == 0)
        fwrite(buffer, 1, size, v->out);
    fflush(v->out);
    free(buffer);
}

/* Elsewhere than on a terminal: columns for whoever reads or filters them. */
static void one_line(struct watch_view *v, const struct view_sample *s)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX], g[FORMAT_MAX];
    const struct sample *m = s->sample;

    if (v->shown % 20 == 0)
        fprintf(v->out, "%8s %5s %11s %11s %11s %11s %10s %11s\n", "t", "procs", "RSS", "PSS",
                "frames", "at risk", "copied/s", "sample");
    fprintf(v->out, "%7.1fs %5zu %11s %11s %11s %11s %10s %11s\n", (double)s->t_ns / 1e9, m->n,
            kb(a, SUM(m, fp.rss_kb)), kb(b, SUM(m, fp.pss_kb)), kb(c, m->totals[TQ_DISTINCT]),
            kb(d, SUM(m, q[WQ_AT_RISK])), rate(g, view_copied(m), s->since_ns),
            format_ns((char[FORMAT_MAX]){0}, (double)m->dur_ns));
    fflush(v->out);
}

static void redraw(struct watch_view *v, const struct view_sample *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f;

    measure(v);
    if (!v->begun)
        fputs(ENTER_SCREEN, v->out);
    v->begun = true;
    f = open_memstream(&text, &size);
    if (!f)
        return;
    frame(f, v, s);
    if (fclose(f) == 0)
        draw(v, text);
    free(text);
}

void view_show(struct watch_view *v, const struct view_sample *s)
{
    if (!v->out)
        return;
    if (v->screen)
        redraw(v, s);
    else
        one_line(v, s);
    v->shown++;
    if (!ferror(v->out))
        return;
    if (errno == EINTR) { /* by what ends the watch: the screen is still to be left */
        clearerr(v->out);
        return;
    }
    v->out = NULL;
    v->begun = false;
    fprintf(stderr, "cowlab: what shows the samples is gone; watching and storing go on\n");
}

void view_end(struct watch_view *v)
{
    for (size_t i = 0; i < v->nlines; i++)
        free(v->lines[i]);
    free(v->lines);
    v->lines = NULL;
    v->nlines = 0;
    if (v->begun) {
        fputs(LEAVE_SCREEN, v->out);
        fflush(v->out);
    }
    v->begun = false;
}
