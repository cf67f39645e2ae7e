#include "reports/run/region_index.h"

#include "probes/list.h"
#include <stdio.h>

size_t region_index_of(struct region_index *x, const struct obs_region *r)
{
    char *name = NULL, **added;
    uint32_t hash, row = 0;

    /* A case may be empty, or there may be none. */
    if (asprintf(&name, "%s\x1f%s%s%s", r->observed, r->region, r->case_name ? "\x1f" : "",
                 r->case_name ? r->case_name : "") < 0)
        return SIZE_MAX;
    hash = places_hash_text(0x811c9dc5U, name);
    for (size_t i = hash; (row = places_next(&x->places, hash, &i));)
        if (strcmp(x->names[row - 1], name) == 0)
            break;
    if (!row && (added = LIST_ADD(x->names, x->count))) {
        *added = name;
        name = NULL;
        if (places_add(&x->places, hash, x->count) == 0)
            row = (uint32_t)x->count;
    }
    free(name);
    return row ? row - 1 : SIZE_MAX;
}

void region_index_release(struct region_index *x)
{
    for (size_t i = 0; i < x->count; i++)
        free(x->names[i]);
    free(x->names);
    free(x->places.at);
    *x = (struct region_index){0};
}
