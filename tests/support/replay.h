/* replay: a backend made of canned records, so that the runner can be tested without a
 * kernel: each step's observation is made by a function of the test. */
#pragma once

#include "lab/run/backend.h"

struct replay {
    /* Fills out for this step; 0 or a negative errno with its message. */
    int (*step)(const struct step *step, struct step_result *out, struct err *e);
    int begun, ended; /* how often */
};

/* What backend_replay replays from now on. */
void replay_use(struct replay *r);
extern const struct backend backend_replay;
extern const struct ability ability_replay;
