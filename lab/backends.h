/* backends: the one place where the backends are registered. A new one is a folder with an ability
 * and a table of functions (lab/run/backend.h), and a line in backends.c. */
#pragma once

#include "lab/run/backend.h"

/* All of them, NULL at the end; the first is the default. Its actors are processes of this machine,
 * as those are that a watch looks at. */
extern const struct backend *const backends[];
/* What each of them can do, in the same order: for plan_parse. */
extern const struct ability *const backend_abilities[];

/* By name, or NULL. */
const struct backend *backend_find(const char *name);
