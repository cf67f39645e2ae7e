/* json: the one way from a document to its text, which is valid UTF-8 whatever bytes the strings in
 * it hold. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Malloc'd; NULL without memory, or if o is NULL. compact: one line. Frees the document. */
char *json_text(cJSON *o, bool compact);
