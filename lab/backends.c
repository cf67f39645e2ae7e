#include "lab/backends.h"

#include <string.h>

#define BACKENDS(X)                                                                                \
    X(backend_linux)                                                                               \
    X(backend_gnumach)

#define DECLARE(b) extern const struct backend b;
#define ENTRY(b) &b,
BACKENDS(DECLARE)
const struct backend *const backends[] = {BACKENDS(ENTRY) NULL};

const struct backend *backend_find(const char *name)
{
    for (size_t i = 0; backends[i]; i++)
        if (strcmp(backends[i]->ability->name, name) == 0)
            return backends[i];
    return NULL;
}
