/* observe: what the probes say about a mapping of this process.
 *
 * The probes look from outside: a process of their own (see spawn.h) that ends with this one. So
 * looking makes no page here and forks nothing here, which would leave marks on the very pages that
 * are looked at. What share modes and reference counts mean is in probes/, nowhere else. */
#pragma once

#include "probes/value.h"
#include <stdint.h>

/* Quantities of one mapping (enum region_quantity says what they are). */
struct observed {
    struct value q[RQ__COUNT];
};

/* 0, or a negative errno: the observer could not be started or the look failed. */
int observe_mapping(uint64_t start, uint64_t end, uint64_t inode, struct observed *out);
