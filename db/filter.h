/* filter: of a watch's samples only what changed is stored: each row is asked for here first. */
#ifndef DB_FILTER_H
#define DB_FILTER_H

#include "db/store.h"

/* Of the sample that comes every row is stored, moved or not. */
void filter_all(struct store_watch *w, bool all);
/* Each answers: is this row to be stored? Then it counts as stored from now on.
 * -1: out of memory. filter_process also replaces the per-sample counts in q by their sums. */
int filter_process(struct store_watch *w, int step, const char *actor, struct value q[PQ__COUNT]);
int filter_region(struct store_watch *w, int step, const struct obs_region *r, int64_t page_size);
int filter_sharing(struct store_watch *w, int step, const struct obs_sharing *sh,
                   int64_t page_size);
int filter_unknown(struct store_watch *w, const char *observed, const char *region,
                   const char *case_name, const char *quantity, int why);
/* Adds the cost to its probe's sum; 1: the sum is due, *c is it. */
int filter_cost(struct store_watch *w, int step, struct obs_cost *c);
/* After a step that was not stored: everything counts as moved. */
void filter_forget(struct store_watch *w);

#endif
