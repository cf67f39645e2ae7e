/* chain: the objects behind a region, from the top one down its shadows. */
#ifndef LAB_GNUMACH_HOST_CHAIN_H
#define LAB_GNUMACH_HOST_CHAIN_H

#include "lab/gnumach/host/state.h"

/* Appends those of one chain, from `object` down, with their pages [offset, offset + pages) shown
 * at page `at` of the region. 0 or -ENOMEM. */
int chain_tell(struct reading *r, struct obs_region *g, uint64_t object, uint64_t offset,
               uint64_t at, uint64_t pages, struct err *e);

#endif
