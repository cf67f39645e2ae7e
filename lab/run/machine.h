/* machine: what this machine is and can do, whatever runs on it: for the checks before a run and
 * for its record. */
#pragma once

#include "db/store.h"
#include "probes/caps.h"

/* The machine's capabilities, probed at the first call. */
const struct caps *machine_caps(void);

/* How much memory a run may take, in KiB: the machine's MemAvailable, or what the lab's own memory
 * cgroup has left if that is less. Unknown where neither is told. */
struct value machine_memory_kb(void);

/* Fills kernel, machine and capabilities. */
int machine_describe(struct run_info *info, struct err *e);
