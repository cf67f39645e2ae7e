/* history: a stored run read back into the structures in which it was observed, so that pictures,
 * tables and sentences work on the same values as the probes that gave them: known, unknown with
 * a reason, or not applicable.
 *
 * Promises: steps in order; within a step the stored order. Checks, costs and transfers are not
 * read: they are asked for by query where they are shown.
 * Does not: change the database.
 * Lifetime: history_load ... history_release; the caller owns it. */
#pragma once

#include "db/store.h"
#include <stdbool.h>

struct history_step {
    int step;
    char *phase, *actor, *action, *case_name, *region,
        *published; /* all but phase, action: or NULL */
    int64_t dur_ns;
    struct observation obs;
    const struct obs_region **before; /* history_before; of a whole history only */
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
    HISTORY_RUN,  /* the run's own row */
    HISTORY_STEPS /* and all its steps */
};

/* -ENOENT if there is no such run. */
int history_load(struct history *h, sqlite3 *db, const char *run_id, enum history_depth depth,
                 struct err *e);
void history_release(struct history *h);

/* The steps of a run that was loaded without them, one after the other: each is gone after its
 * call. Stops at a result that is not 0, with that; and before a step of which not all can be read.
 */
typedef int history_step_fn(void *arg, struct history_step *s, struct err *e);
int history_each(struct history *h, sqlite3 *db, history_step_fn *each, void *arg, struct err *e);

/* The region of this step in the latest step before that saw it too, or NULL. */
const struct obs_region *history_before(const struct history_step *s, const struct obs_region *r);
/* Does any quantity of the region differ from what it was before? True without a before. */
bool region_changed(const struct value *before, const struct obs_region *r);
/* Is this the region that the step's actor acted on? */
bool step_concerns(const struct step_record *s, const struct obs_region *r);
/* The step as it was given to the store; what it points to is the history's. */
struct step_record history_record(const struct history_step *s);
