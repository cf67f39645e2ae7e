/* regions: named regions of the actors: pages, share mode, chains of objects, a write's outcome. */
#ifndef LAB_GNUMACH_HOST_REGIONS_H
#define LAB_GNUMACH_HOST_REGIONS_H

#include "lab/gnumach/host/state.h"

/* Every region of the step; what each showed becomes the last view. */
int regions_tell(struct reading *r, struct step_result *out, struct err *e);
/* Last views of regions that are gone. */
void regions_forget_gone(struct reading *r);

#endif
