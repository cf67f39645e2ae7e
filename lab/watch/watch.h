/* watch: looks at live processes over time and stores what it sees as a run of scenario `watch`.
 *
 *     start -> [ refresh the tree, sample, choose mappings, store, show, wait ]* -> last sample ->
 * end
 *
 * Ends when the time is over, when every process named by the user has ended, or when *stop is
 * set. Promises: stops, traces and writes to no target; a step of the database is one sample,
 * whole or not there; every wait ends within a fraction of a second of *stop being set.
 * Does not: print anything but through the view it is given. */
#pragma once

#include "db/store.h"
#include "lab/watch/tree.h"

struct ability;    /* lab/plan/ability.h */
struct watch_view; /* view.h */

struct watch_options {
    uint64_t every_ns;
    uint64_t for_ns; /* 0: until something ends it */
    bool no_frames;
    const struct ability *ability; /* of the backend whose actors are such processes */
    const char *command;           /* what was started, for the run's record; or NULL */
    volatile int *stop;
    struct watch_view *view;
};

enum watch_end { WATCH_TIME_OVER = 1, WATCH_ALL_ENDED, WATCH_STOPPED, WATCH_FAILED };

struct watch_result {
    char run_id[40];
    enum watch_end end;
    int samples; /* stored */
    uint64_t dur_ns;
};

/* tree: with the processes to watch added. 0 or a negative errno; what was stored until then
 * stays. */
int watch_run(struct tree *tree, struct store *store, const struct watch_options *opt,
              struct watch_result *out, struct err *e);
