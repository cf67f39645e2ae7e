/* blob: plans as the guest reads them (see ../protocol.h), and what the guest cannot express.
 *
 * Owns: the numbering of actors and slots. A slot is one region of one case, whoever has it.
 * Promises: a plan that blob_check passes can be turned into a blob.
 * Lifetime: blob_build's memory is the caller's; names point into the plans. */
#ifndef LAB_GNUMACH_HOST_BLOB_H
#define LAB_GNUMACH_HOST_BLOB_H

#include "lab/plan/plan.h"

/* 0, or -ENOTSUP with a sentence that says what GNU Mach or the guest has no word for. */
int blob_check(const struct plan *plan, struct err *e);

struct blob_slot {
    const char *region, *case_name; /* case_name may be NULL */
};

/* The slots of a plan, in order of first mention. The caller frees *out. */
int blob_slots(const struct plan *plan, struct blob_slot **out, size_t *count, struct err *e);
/* Index of a slot, or -1. */
int blob_slot_index(const struct blob_slot *slots, size_t count, const char *region,
                    const char *case_name);
/* Index of an actor in the plan, or -1. */
int blob_actor_index(const struct plan *plan, const char *actor);

/* For each step: the actor that its message goes to, or -1. A reply goes to whoever sent what its
 * actor received last and asked for one: messages to an actor arrive in the order of sending. The
 * caller frees *out. */
int blob_receivers(const struct plan *plan, int32_t **out, struct err *e);

int blob_build(const struct plan *const *plans, size_t nplans, uint64_t nonce, uint32_t deadline_ms,
               void **out, size_t *len, struct err *e);

#endif
