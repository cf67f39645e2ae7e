/* watch_sentences: what a watch comes to, for the report and the terminal. */
#pragma once

#include "probes/err.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

/* What happened, then what to do about each known cause whose evidence is there: a line each,
 * behind bullet. text writes what others chose, escaped for where it goes. */
int watch_sentences(sqlite3 *db, const char *run_id, FILE *out, const char *bullet,
                    void (*text)(FILE *, const char *), struct err *e);

/* Is a part of something worth a sentence? NAN is not. */
bool watch_is_much(double kb, double of);
