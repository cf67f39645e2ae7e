/* strips: pages of regions as rows of cells, one row per step and actor, as a picture and as
 * letters for the terminal.
 *
 *     2 populated: parent writes r
 *       parent.r   [E][E][E][E]   SM_PRIVATE, 1 reference
 *     3 transferred: parent forks
 *       parent.r   [C][C][C][C]   SM_COW, 2 references
 *       child.r    [C][C][C][C]   SM_COW, 2 references
 *
 * A region of more pages than fit is binned: one cell stands for several pages and shows the
 * shares of their states; as a letter, that of the state most of those pages have that are not
 * untouched, in lower case. Does not read the database. Owns nothing. */
#pragma once

#include "probes/observation.h"
#include <stddef.h>
#include <stdio.h>

struct strip_row {
    const char *step;  /* heading above the row; NULL: belongs to the step of the row above */
    const char *label; /* "parent.r" */
    const char *note;  /* right of the cells, or NULL */
    uint64_t pages;
    const struct page_run *runs; /* in page order; pages in no run: state none, or unknown if cut */
    size_t nruns;
    bool cut;                        /* the list of runs ends early */
    const struct obs_region *before; /* as it was a step before, or NULL */
};

/* The row of a region as it is. */
struct strip_row strip_of(const struct obs_region *r);
bool strip_same_runs(const struct obs_region *a, const struct obs_region *b);

void strips_draw(FILE *out, const char *title, const char *subtitle, const struct strip_row *rows,
                 size_t nrows);

/* The row as letters (palette.h), at most cells of them. colour: ANSI. Returns the number of cells
 * written. */
size_t strip_letters(FILE *out, const struct strip_row *row, size_t cells, bool colour);
