#include "lab/backends.h"

#include <string.h>

#define BACKENDS(X) X(linux) X(gnumach)

#define DECLARE(b)                                                                                 \
    extern const struct backend backend_##b;                                                       \
    extern const struct ability ability_##b;
#define BACKEND(b) &backend_##b,
#define ABILITY(b) &ability_##b,
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
