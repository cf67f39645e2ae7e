/* chain: the picture of what stands behind regions: actor, region, the memory objects from the top
 * down, and their pages with frame numbers; a panel per step.
 *
 *     3 transferred: parent forks
 *     [parent.r SM_COW] --> [O1 anonymous | 0-3: F1-F4]
 *     [child.r  SM_COW] --> [O2 anonymous | 0-3: F1-F4]   same frames
 *
 * GNU Mach shows its shadow chains so, Linux its private pages over a memory object. A page is
 * coloured by how many regions see it: several, one, or none (hidden by a page above it). What
 * changed since the step before has a thick outline.
 * Does not read the database. Owns nothing. */
#pragma once

#include "probes/observation.h"
#include <stddef.h>
#include <stdio.h>

struct chain_region {
    const struct obs_region *now, *before; /* before: as it was in the step before, or NULL */
};

struct chain_panel {
    const char *title;
    const struct chain_region *regions;
    size_t nregions;
};

/* Is anything else than it was in the step before? */
bool chain_changed(const struct chain_panel *p);

/* Returns 0, or -ENOMEM with an incomplete picture. */
int chain_draw(FILE *out, const char *title, const struct chain_panel *panels, size_t npanels);
