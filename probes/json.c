#include "probes/json.h"

#include "probes/utf8.h"
#include <stdlib.h>

/* cJSON leaves out what it has no memory for, and its callers need not look at each item. */
static _Thread_local bool incomplete;

static void *noting_malloc(size_t size)
{
    void *p = malloc(size);

    incomplete = incomplete || !p;
    return p;
}

__attribute__((constructor)) static void note_failures(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){noting_malloc, free});
}

/* cJSON escapes quotes and control characters, and passes other bytes on. */
char *json_text(cJSON *o, bool compact)
{
    char *text = compact ? cJSON_PrintUnformatted(o) : cJSON_Print(o), *mended;
    int failed = incomplete ? -1 : 0;

    incomplete = false;
    cJSON_Delete(o);
    mended = text && !failed ? utf8_mended(text, &failed) : NULL;
    if (!mended && !failed)
        return text;
    free(text);
    return mended;
}
