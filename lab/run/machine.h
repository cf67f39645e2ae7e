/* linux_machine: what this machine is and can do, for the check before a run and for its record. */
#ifndef LAB_RUN_MACHINE_H
#define LAB_RUN_MACHINE_H

#include "lab/run/backend.h"
#include "probes/caps.h"

/* The machine's capabilities, probed at the first call. */
const struct caps *machine_caps(void);

/* 0, or -ENOTSUP: a capability that the plan needs is missing, or the memory it takes. */
int machine_check(const struct plan *plan, struct err *e);

/* Fills kernel, machine and capabilities. */
int machine_describe(struct run_info *info, struct err *e);

#endif
