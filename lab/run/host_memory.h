/* host_memory: how much memory a run may take on this machine, whatever its backend. */
#ifndef LAB_RUN_HOST_MEMORY_H
#define LAB_RUN_HOST_MEMORY_H

#include "probes/value.h"

/* In KiB: the machine's MemAvailable, or what the lab's own memory cgroup has left if that is
 * less. Unknown where neither is told. */
struct value host_memory_kb(void);

#endif
