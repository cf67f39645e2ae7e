/* totals: what a step costs: processes, memory over all of them, what pairs of them share. */
#ifndef LAB_GNUMACH_HOST_TOTALS_H
#define LAB_GNUMACH_HOST_TOTALS_H

#include "lab/gnumach/host/state.h"

/* 0 or -ENOMEM. */
int totals_tell_processes(struct reading *r, struct step_result *out, struct err *e);
int totals_tell(struct reading *r, struct step_result *out, struct err *e);

#endif
