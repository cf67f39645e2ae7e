#include "lab/run/machine.h"

#include "lab/run/host_memory.h"
#include "lab/run/version.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
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

static int check_capability(const struct plan *plan, int cap, struct err *e)
{
    const struct caps *c = machine_caps();

    if (cap < 0 || c->have[cap])
        return 0;
    return err_set(e, ENOTSUP,
                   "cannot run '%s' here: capability '%s' is missing (%s); to get it: %s",
                   plan->name, cap_rows[cap].name, c->reason[cap], cap_rows[cap].how);
}

/* What the scenario says that it needs, and what its kinds of memory need whether it says so or
 * not. */
static int check_capabilities(const struct plan *plan, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->nneeds; i++)
        rc = check_capability(plan, cap_index(plan->needs[i]), e);
    for (size_t i = 0; rc == 0 && i < plan->nsteps; i++)
        if (plan->steps[i].action == ACT_MAP && plan->steps[i].kind == MK_HUGETLB)
            rc = check_capability(plan, CAP_HUGETLB, e);
    return rc;
}

/* The memory that the regions can take at once, and a sixteenth on top for page tables and us. */
static int check_memory(const struct plan *plan, struct err *e)
{
    uint64_t page_kb = machine_caps()->page_size / 1024;
    uint64_t needed_mib = (plan->peak_pages + plan->peak_pages / 16) / (1024 / page_kb);
    struct value available = host_memory_kb();

    if (!value_is_known(available) || needed_mib <= (uint64_t)available.n / 1024)
        return 0;
    return err_set(e, ENOTSUP,
                   "cannot run '%s' here: memory is missing: it needs up to %" PRIu64
                   " MiB and %" PRId64 " MiB are available",
                   plan->name, needed_mib, available.n / 1024);
}

int machine_check(const struct plan *plan, struct err *e)
{
    int rc = check_capabilities(plan, e);

    return rc < 0 ? rc : check_memory(plan, e);
}

static char *machine_json(void)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(o, "cowlab", COWLAB_VERSION);
    cJSON_AddNumberToObject(o, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_AddNumberToObject(o, "memory_kb",
                            (double)sysconf(_SC_PHYS_PAGES) *
                                ((double)machine_caps()->page_size / 1024));
    cJSON_AddNumberToObject(o, "page_size", (double)machine_caps()->page_size);
    cJSON_AddBoolToObject(o, "root", geteuid() == 0);
    text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}

static char *capabilities_json(void)
{
    const struct caps *c = machine_caps();
    cJSON *list = cJSON_CreateArray();
    char *text;

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
    text = cJSON_PrintUnformatted(list);
    cJSON_Delete(list);
    return text;
}

int machine_describe(struct run_info *info, struct err *e)
{
    info->kernel = strdup(machine_caps()->kernel);
    info->machine = machine_json();
    info->capabilities = capabilities_json();
    if (info->kernel && info->machine && info->capabilities)
        return 0;
    run_info_release(info);
    return err_set(e, ENOMEM, "out of memory");
}
