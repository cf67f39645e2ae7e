#include "lab/run/machine.h"

#include "lab/run/exits.h"
#include "probes/json.h"
#include "probes/system.h"
#include <string.h>
#include <unistd.h>

const struct caps *machine_caps(void)
{
    static struct caps caps; /* one machine per program: probed once */
    static bool probed;

    if (!probed)
        caps_probe(&caps);
    probed = true;
    return &caps;
}

struct value machine_memory_kb(void)
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

static char *machine_json(void)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddStringToObject(o, "cowlab", COWLAB_VERSION);
    cJSON_AddNumberToObject(o, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_AddNumberToObject(o, "memory_kb",
                            (double)sysconf(_SC_PHYS_PAGES) *
                                ((double)machine_caps()->page_size / 1024));
    cJSON_AddNumberToObject(o, "page_size", (double)machine_caps()->page_size);
    cJSON_AddBoolToObject(o, "root", geteuid() == 0);
    return json_text(o, true);
}

static char *capabilities_json(void)
{
    const struct caps *c = machine_caps();
    cJSON *list = cJSON_CreateArray();

    for (int i = 0; i < CAP__COUNT; i++) {
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "name", cap_rows[i].name);
        cJSON_AddBoolToObject(row, "have", c->have[i]);
        cJSON_AddStringToObject(row, "unlocks", cap_rows[i].unlocks);
        if (!c->have[i]) {
            cJSON_AddStringToObject(row, "reason", c->reason[i]);
            cJSON_AddStringToObject(row, "how", cap_rows[i].how);
        }
        cJSON_AddItemToArray(list, row);
    }
    return json_text(list, true);
}

int machine_describe(struct run_info *info, struct err *e)
{
    info->kernel = strdup(machine_caps()->kernel);
    info->machine = machine_json();
    info->capabilities = capabilities_json();
    if (info->kernel && info->machine && info->capabilities)
        return 0;
    run_info_release(info);
    return err_no_memory(e);
}
