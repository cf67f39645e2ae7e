/* reading: from the guest's records to what every backend tells.
 *
 * Owns: the numbering of frames and objects of one run, and what was seen after the last step, so
 * that a write's outcome and a transfer can be told from the frames.
 * Promises: a value is what the kernel said or follows from frames it named; what cannot be known
 * is unknown with its reason.
 * Does not: read from the guest.
 * Lifetime: reading_new ... reading_free; one per run. The plan must outlive it. */
#pragma once

#include "lab/gnumach/host/snapshot.h"
#include "lab/run/backend.h"

struct reading;

/* start: the observation before the first step. */
int reading_new(struct reading **out, const struct plan *plan, uint64_t memory_bytes,
                const struct snapshot *start, struct err *e);
int reading_step(struct reading *r, const struct step *step, const struct snapshot *s,
                 struct step_result *out, struct err *e);
void reading_free(struct reading *r);
