/* selection: the runs of a report. */
#pragma once

#include <stddef.h>

struct selection {
    char **ids;
    size_t n;
    char *json;       /* the ids as a JSON array for queries (bound as :runs) */
    size_t scenarios; /* of them not watches of live processes */
};
