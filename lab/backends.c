#include "lab/backends.h"

#include <string.h>

#define BACKENDS(X)                                                                                \
    X(linux)                                                                                       \
    X(gnumach)

#define DECLARE(name)                                                                              \
    extern const struct backend backend_##name;                                                    \
    extern const struct ability ability_##name;
#define BACKEND(name) &backend_##name,
#define ABILITY(name) &ability_##name,
BACKENDS(DECLARE)
const struct backend *const backends[] = {BACKENDS(BACKEND) NULL};
_Static_assert(sizeof backends / sizeof *backends <= MAX_BACKENDS + 1, "lab/plan/ability.h");
const struct ability *const backend_abilities[] = {BACKENDS(ABILITY) NULL};

const struct backend *backend_find(const char *name)
{
    for (size_t i = 0; backends[i]; i++)
        if (strcmp(backends[i]->ability->name, name) == 0)
            return backends[i];
    return NULL;
}
