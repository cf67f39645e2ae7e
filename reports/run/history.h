/* history: a stored run read back into the structures in which it was observed, so that pictures,
 * tables and sentences work on the same values as the probes that gave them: known, unknown with
 * a reason, or not applicable.
 *
 * Promises: steps in order; within a step the stored order. Checks, costs and transfers are not
 * read: they are asked for by query where they are shown.
 * Does not: change the database.
 * Lifetime: history_load ... history_release; the caller owns it. */
#ifndef REPORTS_RUN_HISTORY_H
#define REPORTS_RUN_HISTORY_H

#include "probes/err.h"
#include "probes/observation.h"
#include <sqlite3.h>

struct history_step {
    int step;
    char *phase, *actor, *action, *case_name, *region,
        *published; /* all but phase, action: or NULL */
    int64_t dur_ns;
    struct observation obs;
};

struct history {
    int64_t run; /* the run's key in the tables */
    char *run_id, *scenario, *title, *question, *backend, *kernel, *status, *message, *twin,
        *no_twin, *params, *machine, *capabilities, *source; /* any but the first may be NULL */
    int64_t page_size;
    struct history_step *steps;
    size_t nsteps;
    char **pool; /* object kinds */
    size_t npool;
};

enum history_depth {
    HISTORY_RUN,   /* the run's own row */
    HISTORY_STEPS, /* and its steps with regions, processes, sharing, totals */
    HISTORY_PAGES  /* and page runs and objects */
};

/* Steps from..to only (0: no limit on that side). -ENOENT if there is no such run. */
int history_load(struct history *h, sqlite3 *db, const char *run_id, enum history_depth depth,
                 int from, int to, struct err *e);
void history_release(struct history *h);

/* The step before i in which this region was seen too, or NULL. */
const struct obs_region *history_before(const struct history *h, size_t i,
                                        const struct obs_region *r);
/* Does any quantity of the region differ from the step before in which it was seen? True for the
 * first. */
bool history_changed(const struct history *h, size_t i, const struct obs_region *r);
/* Is this the region that the step's actor acted on? */
bool history_concerns(const struct history_step *s, const struct obs_region *r);

#endif
