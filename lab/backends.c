#include "lab/backends.h"

#include <string.h>

#define BACKENDS(X)                                                                                \
    X(backend_linux, ability_linux)                                                                \
    X(backend_gnumach, ability_gnumach)

#define DECLARE(b, a)                                                                              \
    extern const struct backend b;                                                                 \
    extern const struct ability a;
#define BACKEND(b, a) &b,
#define ABILITY(b, a) &a,
BACKENDS(DECLARE)
const struct backend *const backends[] = {BACKENDS(BACKEND) NULL};
const struct ability *const backend_abilities[] = {BACKENDS(ABILITY) NULL};

const struct backend *backend_find(const char *name)
{
    for (size_t i = 0; backends[i]; i++)
        if (strcmp(backends[i]->ability->name, name) == 0)
            return backends[i];
    return NULL;
}
