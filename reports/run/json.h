/* json: rows of a query as an array of objects, whose keys are the columns' names. */
#pragma once

#include "probes/err.h"
#include <cjson/cJSON.h>
#include <sqlite3.h>

/* The array goes into doc under key; run_id is bound as :run_id, unless NULL. */
int json_rows(cJSON *doc, sqlite3 *db, const char *key, const char *sql, const char *run_id,
              struct err *e);
