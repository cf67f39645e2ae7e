/* view: the live picture of a watch: on a terminal one screen that is redrawn in place, elsewhere
 * one line per sample.
 *
 * When its reader goes away that is told on stderr, once, and the showing ends, not the watch.
 * Promises: writes a whole frame with one write, and of it only the lines that changed, so that it
 * does not flicker and is cheap over a slow line; leaves the terminal as it was, also after a
 * signal that the program handles. Text of others is escaped. Lifetime: view_init ... view_end. */
#pragma once

#include "lab/watch/tree.h"
#include "probes/sampler.h"
#include <stdio.h>

struct watch_view {
    FILE *out; /* NULL: nothing is shown */
    bool screen, colour, begun;
    int rows, columns;
    char **lines; /* as drawn last */
    size_t nlines;
    char news[3][160]; /* the latest events */
    uint64_t shown;    /* samples */
};

/* Was there anything to look at? Who has no memory of its own yet, or none any more, adds nothing
 * to any sum, shown or stored. */
static inline bool view_has_memory(const struct sample_process *p)
{
    return p->why != WHY_GONE && p->why != WHY_BORROWED_MEMORY;
}

/* Pages copied since the sample before, of all who are there. Of nobody it is not 0, it does not
 * apply: whoever ended since may have copied. */
struct value view_copied(const struct sample *s);

/* One sample to show. */
struct view_sample {
    const struct sample *sample;
    const struct tree *tree;
    const int *tree_index;
    int number;
    uint64_t t_ns;     /* since the watch began */
    uint64_t since_ns; /* since the sample before, 0: none */
    uint64_t every_ns; /* as it is now */
    bool frames;
    struct value cgroup_limit_kb;
    const char *thp;
};

void view_init(struct watch_view *v, FILE *out, bool screen, bool colour);
void view_news(struct watch_view *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void view_show(struct watch_view *v, const struct view_sample *s);
void view_end(struct watch_view *v);
