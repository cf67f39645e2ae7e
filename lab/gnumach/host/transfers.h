/* transfers: messages: what is in transit, and what a transfer did, by the frames on either side.
 */
#ifndef LAB_GNUMACH_HOST_TRANSFERS_H
#define LAB_GNUMACH_HOST_TRANSFERS_H

#include "lab/gnumach/host/state.h"

/* What was sent in this step. Before the regions are told: their views replace the sender's. */
int transfers_tell_sent(struct reading *r, struct step_result *out, struct err *e);
/* What was received, and memory that is still under way. After the regions. */
int transfers_tell_received(struct reading *r, struct step_result *out, struct err *e);

#endif
