#include "probes/json.h"

#include "probes/utf8.h"
#include <stdlib.h>

/* cJSON escapes quotes and control characters, and passes other bytes on. */
char *json_text(cJSON *o, bool compact)
{
    char *text = compact ? cJSON_PrintUnformatted(o) : cJSON_Print(o), *mended;
    int failed = 0;

    cJSON_Delete(o);
    mended = text ? utf8_mended(text, &failed) : NULL;
    if (!mended && !failed)
        return text;
    free(text);
    return mended;
}
