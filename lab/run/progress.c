#include "lab/run/progress.h"

#include "lab/run/clock.h"
#include <unistd.h>

#define BAR_WIDTH 30
#define PATIENCE_NS 1000000000u

void progress_init(struct progress *p, FILE *out)
{
    *p = (struct progress){.out = out, .terminal = isatty(fileno(out))};
}

void progress_step(struct progress *p, int step, const char *phase)
{
    p->step = step;
    p->phase = phase;
    p->began_ns = now_ns();
}

void progress_share(void *progress, const char *what, double share)
{
    struct progress *p = progress;
    double seconds = (double)(now_ns() - p->began_ns) / 1e9;
    char bar[BAR_WIDTH + 1];
    int full = (int)(share * BAR_WIDTH);

    if (p->step == 0) { /* before the first step: news of its own, told once */
        if (!p->told)
            fprintf(p->out, "cowlab: %s\n", what);
        return;
    }
    if (!p->terminal || now_ns() - p->began_ns < PATIENCE_NS)
        return;
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    if (share >= 0)
        fprintf(p->out, "\r\033[Kstep %d %s: %s [%s] %3.0f %%  %.0f s", p->step, p->phase, what,
                bar, share * 100, seconds);
    else
        fprintf(p->out, "\r\033[Kstep %d %s: %s  %.0f s", p->step, p->phase, what, seconds);
    fflush(p->out);
    p->shown = true;
}

void progress_line(struct progress *p, const char *line)
{
    if (!p->terminal || (!*line && !*p->line))
        return;
    snprintf(p->line, sizeof p->line, "%s", line);
    fprintf(p->out, "\r\033[K%s", p->line);
    fflush(p->out);
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fprintf(p->out, "\r\033[K%s", p->line);
    p->shown = false;
}
