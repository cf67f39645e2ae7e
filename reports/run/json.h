/* json: rows of a query as an array of objects, whose keys are the columns' names. */
#pragma once

#include "probes/err.h"
#include <cjson/cJSON.h>
#include <sqlite3.h>

/* What the document is about: the parameter of its queries; name NULL: they have none. */
struct json_about {
    const char *name, *id;
};

/* The array goes into doc under key. */
int json_rows(cJSON *doc, sqlite3 *db, const char *key, const char *sql, struct json_about of,
              struct err *e);
