#include "lab/run/host_memory.h"

#include "probes/system.h"
#include <unistd.h>

struct value host_memory_kb(void)
{
    struct value machine[TQ__COUNT], group[TQ__COUNT], left;
    const uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    struct slurp buffer = {0};
    struct probe_cost cost = {0};
    char parent[4096];
    struct err why;
    bool grouped = system_cgroup_parent(parent, sizeof parent, &why) > 0;

    system_read_meminfo(machine, &buffer, &cost);
    if (grouped && system_read_cgroup(parent, page_size, group, &buffer, &cost)) {
        left = value_sub(group[TQ_CGROUP_LIMIT], group[TQ_SYSTEM]);
        if (value_is_known(left) &&
            (!value_is_known(machine[TQ_MEM_AVAILABLE]) || left.n < machine[TQ_MEM_AVAILABLE].n))
            machine[TQ_MEM_AVAILABLE] = left;
    }
    slurp_release(&buffer);
    return machine[TQ_MEM_AVAILABLE];
}
