/* region_index: a number for each region of a run, in the order in which they are first seen, so
 * that what it was before is found at once however many there are.
 *
 * Lifetime: starts zeroed; region_index_release frees it. Names are copies. */
#pragma once

#include "probes/observation.h"
#include "probes/places.h"

struct region_index {
    char **names; /* by number */
    size_t count;
    struct places places; /* of names */
};

/* The region's number, from 0: equal to the count of before if it is new. SIZE_MAX without memory.
 */
size_t region_index_of(struct region_index *x, const struct obs_region *r);
void region_index_release(struct region_index *x);
