/* blob: plans as the guest reads them (see ../protocol.h), and what is too large for its tables.
 *
 * Promises: a plan that blob_check passes can be turned into a blob.
 * Lifetime: blob_build's memory is the caller's. */
#pragma once

#include "lab/plan/plan.h"

/* 0, or -ENOTSUP with the limit that the plan is beyond. What GNU Mach has no word for at all:
 * ../ability.h. */
int blob_check(const struct plan *plan, struct err *e);

int blob_build(const struct plan *const *plans, size_t nplans, uint64_t nonce, uint32_t deadline_ms,
               void **out, size_t *len, struct err *e);
