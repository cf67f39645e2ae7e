/* paths: where the parts of an installed or just built cowlab are. */
#pragma once

#include "probes/err.h"
#include <stddef.h>

/* Finds a program of cowlab's own: $env if set; beside this program; one folder up (tests);
 * ../libexec/cowlab (installed). -ENOENT lists where it looked. */
int find_program(const char *name, const char *env, char *path, size_t size, struct err *e);
