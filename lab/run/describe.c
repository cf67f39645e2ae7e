/* describe: a backend's ability as a run keeps it (run_info.ability; db/schema/004-backends.sql).
 */
#include "lab/run/backend.h"

#include <cjson/cJSON.h>

/* The texts of a list of lab/actions.h that are not refused. */
static void add_taken(cJSON *o, const char *name, const struct refusal *refused,
                      const struct word *list)
{
    cJSON *taken = cJSON_AddArrayToObject(o, name);

    for (; list->text; list++)
        if (!ability_refuses(refused, list->code))
            cJSON_AddItemToArray(taken, cJSON_CreateString(list->text));
}

static void add_untold(cJSON *untold, const struct quantity *list, uint64_t bits)
{
    for (int i = 0; list[i].column; i++)
        if (bits >> i & 1)
            cJSON_AddItemToArray(untold, cJSON_CreateString(list[i].column));
}

int backend_describe(const struct ability *a, struct run_info *info, struct err *e)
{
    cJSON *o = cJSON_CreateObject(), *untold;

    cJSON_AddStringToObject(o, "label", a->label);
    cJSON_AddStringToObject(o, "page_states", a->concludes_states ? "concluded" : "measured");
    cJSON_AddBoolToObject(o, "emulated", a->emulated);
    add_taken(o, "actions", a->no_actions, action_words);
    add_taken(o, "memory", a->no_kinds, map_kind_words);
    untold = cJSON_AddArrayToObject(o, "unknown");
    add_untold(untold, region_quantities, a->no_region_quantities);
    add_untold(untold, process_quantities, a->no_process_quantities);
    add_untold(untold, total_quantities, a->no_total_quantities);
    info->backend = a->name;
    info->ability = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return info->ability ? 0 : err_no_memory(e);
}
