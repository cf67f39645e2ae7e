/* series: carries out combinations of scenario, backend and parameters many times.
 *
 * Promises: the order of lab/run/order.h, its first round to warm up; nothing that grows with the
 * number of runs; a combination whose runs failed twice is left out from then on.
 * A session holds the runs of one backend that follow each other: with several backends those of a
 * round, never two at once, so that a guest at work disturbs no measurement beside it. */
#pragma once

#include "lab/run/order.h"
#include "lab/run/runner.h"

/* The last of the combinations is none of those before it. 0, or -EINVAL with its name. */
int series_check(const struct combination *list, size_t n, struct err *e);

/* Runs each of them info->repeat times, and once before; info->seed, repeat and spec are the
 * caller's, the rest is filled. Returns an exit code; info->series is 0 if nothing could be begun.
 */
int run_series(const struct combination *list, size_t n, struct series_info *info,
               struct store *store, const struct runner_options *opt);
