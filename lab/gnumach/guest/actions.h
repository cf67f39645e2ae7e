/* actions: what the guest does for each row of lab/actions.h, found by the row's name:
 *
 *     guest_ACT_X   in the actor: the action itself. Absent: no actor does it
 *     step_ACT_X    in the controller: what goes before it and what follows. Absent: the step is
 *                   about a region, which must be there, and nothing follows
 *
 * Both are absent (weak) where the guest cannot do it: the host does not ask then. */
#pragma once

#include "lab/gnumach/guest/guest.h"

struct run;

#define ACTION_FUNCTIONS(e, ...)                                                                   \
    kern_return_t guest_##e(const struct command *c, struct answer *a) __attribute__((weak));      \
    const char *step_##e(struct run *r, const struct guest_step *s) __attribute__((weak));
ACTIONS(ACTION_FUNCTIONS)

/* actor.c: the action in the actor, or NULL; also for a number that is no action's. */
typedef kern_return_t guest_action(const struct command *c, struct answer *a);
guest_action *guest_action_of(uint32_t action);
