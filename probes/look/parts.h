/* parts: all pages of one region, told and summed up. */
#ifndef PROBES_LOOK_PARTS_H
#define PROBES_LOOK_PARTS_H

#include "probes/look/tell.h"

/* Into f->sums and the runs of f->r. -EAGAIN: a sample disagreed with what was concluded. */
int finish_pages(struct finish *f);

#endif
