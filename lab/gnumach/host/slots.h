/* slots: actors and regions of a plan by number, as blob and records have them; who gets which
 * message.
 *
 * A slot is one region of one case, whoever has it.
 * Lifetime: the lists are the caller's to free; names point into the plan. */
#pragma once

#include "lab/plan/plan.h"

struct slot {
    const char *region, *case_name; /* case_name may be NULL */
};

/* The slots of a plan, in order of first mention. 0 or -ENOMEM; the caller frees *out. */
int slots_of(const struct plan *plan, struct slot **out, size_t *count, struct err *e);
/* Index of a slot, or -1; also for no region (NULL). */
int slot_index(const struct slot *slots, size_t count, const char *region, const char *case_name);
/* Index of an actor in the plan, or -1; also for no actor (NULL). */
int guest_actor_index(const struct plan *plan, const char *actor);

/* Does the step take a message? */
bool step_receives(const struct step *s);

/* For each step: the actor that its message goes to, or -1: the step sends none. A reply goes to
 * whoever sent what its actor received last and asked for one: messages to an actor arrive in the
 * order of sending. 0 or -ENOMEM; the caller frees *out. */
int receivers_of(const struct plan *plan, int32_t **out, struct err *e);
