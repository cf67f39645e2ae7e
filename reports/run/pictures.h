/* pictures: the pictures of one run, drawn from its history into the document. */
#pragma once

#include "reports/run/history.h"
#include "reports/write/doc.h"

/* Page strips: a picture per case, or one; long ones in parts. */
void picture_strips(struct doc *d, const struct history *h);
/* One picture of them: the steps in which something changed; of a run with cases the end of each.
 */
void picture_pages(struct doc *d, const struct history *h);
/* Regions, memory objects and frames, a panel per step in which something changed. */
void picture_chains(struct doc *d, const struct history *h);
/* From the sum of RSS to the system's figure, at the step where they are furthest apart. */
void picture_waterfall(struct doc *d, const struct history *h);
