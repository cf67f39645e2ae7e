/* progress: a bar on a terminal for steps that take more than a second; of a series, which run it
 * is at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    FILE *out;
    bool terminal, shown;
    bool told;     /* what there is to say before the first step */
    char line[80]; /* what stands there while there is no bar */
    uint64_t began_ns;
    int step;
    const char *phase;
};

void progress_init(struct progress *p, FILE *out);
/* A step begins. */
void progress_step(struct progress *p, int step, const char *phase);
/* backend_options.progress: share 0..1, or < 0 if unknown. */
void progress_share(void *progress, const char *what, double share);
/* Shows this line until the next one; an empty one: nothing any more. */
void progress_line(struct progress *p, const char *line);
/* Takes the bar away. */
void progress_clear(struct progress *p);
