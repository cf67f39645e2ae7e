/* describe: a backend's ability as a run keeps it (run_info.ability; db/schema/004-backends.sql).
 */
#include "lab/run/backend.h"

#include "probes/json.h"
#include <stdlib.h>

/* An ability that lacks a word for want of memory would be a wrong one: each is looked after. */
static bool add_text(cJSON *list, const char *text)
{
    cJSON *item = cJSON_CreateString(text);

    if (item && cJSON_AddItemToArray(list, item))
        return true;
    cJSON_Delete(item);
    return false;
}

/* The texts of a list of lab/actions.h that are not refused. */
static bool add_taken(cJSON *o, const char *name, const struct refusal *refused,
                      const struct word *list)
{
    cJSON *taken = cJSON_AddArrayToObject(o, name);
    bool ok = taken != NULL;

    for (; list->text && ok; list++)
        ok = ability_refuses(refused, list->code) || add_text(taken, list->text);
    return ok;
}

static bool add_untold(cJSON *untold, const struct quantity *list, uint64_t bits)
{
    bool ok = untold != NULL;

    for (int i = 0; list[i].column && ok; i++)
        ok = !(bits >> i & 1) || add_text(untold, list[i].column);
    return ok;
}

int backend_describe(const struct ability *a, struct run_info *info, struct err *e)
{
    const char *states = a->concludes_states ? "concluded" : "measured";
    cJSON *o = cJSON_CreateObject(), *untold = cJSON_AddArrayToObject(o, "unknown");
    bool ok = cJSON_AddStringToObject(o, "label", a->label) &&
              cJSON_AddStringToObject(o, "page_states", states) &&
              cJSON_AddBoolToObject(o, "emulated", a->emulated) &&
              add_taken(o, "actions", a->no_actions, action_words) &&
              add_taken(o, "memory", a->no_kinds, map_kind_words) &&
              add_untold(untold, region_quantities, a->no_region_quantities) &&
              add_untold(untold, process_quantities, a->no_process_quantities) &&
              add_untold(untold, total_quantities, a->no_total_quantities);

    info->backend = a->name;
    info->ability = json_text(o, true);
    if (!ok) {
        free(info->ability);
        info->ability = NULL;
    }
    return info->ability ? 0 : err_no_memory(e);
}
