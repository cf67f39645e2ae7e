/* filter: of a watch's samples only what changed is stored: each row is asked for here first. */
#pragma once

#include "db/store.h"

/* Of the sample that comes every row is stored, moved or not. */
void filter_all(struct store_watch *w, bool all);
/* A process as the sample `step` saw it, where it was the nr-th. */
struct filter_row {
    int step;
    size_t nr;
    struct obs_process p; /* its actor is the filter's */
};
/* The counts of a row are those since the row before: all of them known, or all unknown for one
 * reason. So what waits of a process is stored first, in *out, as the sample before saw it, if a
 * count of now is known that was not, or the other way round; and if it is in this sample no more,
 * which is asked when all of its processes were filtered, until there is no more. */
bool filter_before(struct store_watch *w, const struct obs_process *now, struct filter_row *out);
bool filter_left(struct store_watch *w, int step, struct filter_row *out);
/* Each answers: is this row to be stored? Then it counts as stored from now on.
 * -1: out of memory. filter_process also replaces the per-sample counts by their sums. */
int filter_process(struct store_watch *w, int step, size_t nr, struct obs_process *p);
int filter_region(struct store_watch *w, int step, const struct obs_region *r, int64_t page_size);
int filter_sharing(struct store_watch *w, int step, const struct obs_sharing *sh,
                   int64_t page_size);
int filter_unknown(struct store_watch *w, const char *observed, const char *region,
                   const char *case_name, const char *quantity, int why);
/* Adds the cost to its probe's sum; 1: the sum is due, *c is it. */
int filter_cost(struct store_watch *w, int step, struct obs_cost *c);
/* After a step that was not stored: everything counts as moved. */
void filter_forget(struct store_watch *w);
