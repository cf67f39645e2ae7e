/* watch_pictures: the pictures of a watch, drawn into the document. */
#pragma once

#include "reports/watch/data.h"
#include "reports/write/doc.h"

/* What all use over time, and what each process adds that nobody else maps. */
void watch_picture_used(struct doc *d, const struct watch_data *w);
/* Per process over time: in common with the parent, exclusive, in debt, at risk. */
void watch_picture_sharing(struct doc *d, const struct watch_data *w);
/* Sums over time, and what is copied. */
void watch_picture_footprint(struct doc *d, const struct watch_data *w);
void watch_picture_copied(struct doc *d, const struct watch_data *w);
/* Where what was lost lay, by part and by address. */
void watch_picture_lost(struct doc *d, const struct watch_data *w);
void watch_picture_addresses(struct doc *d, const struct watch_data *w);
void watch_picture_matrix(struct doc *d, const struct watch_data *w);
void watch_picture_waterfall(struct doc *d, const struct watch_data *w);
void watch_picture_risk(struct doc *d, const struct watch_data *w);
