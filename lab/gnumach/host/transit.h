/* transit: parts of messages that are under way, in the order of sending, and what memory among
 * them shows. */
#ifndef LAB_GNUMACH_HOST_TRANSIT_H
#define LAB_GNUMACH_HOST_TRANSIT_H

#include "lab/gnumach/host/state.h"

/* The step's message was sent: its parts are under way. 0 or -ENOMEM. */
int transit_add(struct reading *r, struct err *e);
void transit_drop(struct reading *r, size_t at);
/* Views of all memory under way, as the step left it; of a step that receives, nothing: what was
 * seen before is what arrived. 0, -ENOMEM, or -EBADMSG if the guest tells of other parts. */
int transit_view(struct reading *r, struct err *e);
/* Appends what is still under way, as regions of "message". */
int transit_tell(struct reading *r, struct step_result *out, struct err *e);
void transit_release(struct reading *r);

#endif
