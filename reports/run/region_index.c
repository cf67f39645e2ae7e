#include "reports/run/region_index.h"

#include "probes/list.h"
#include <stdio.h>

static size_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
    return (size_t)(h ^ h >> 32);
}

static size_t *place_of(const struct region_index *x, const char *name)
{
    size_t i = hash(name) & (x->size - 1);

    while (x->places[i] && strcmp(x->names[x->places[i] - 1], name) != 0)
        i = (i + 1) & (x->size - 1);
    return &x->places[i];
}

static int grow(struct region_index *x)
{
    size_t size = x->size ? x->size * 2 : 64;
    size_t *places = calloc(size, sizeof *places);

    if (!places)
        return -ENOMEM;
    free(x->places);
    x->places = places;
    x->size = size;
    for (size_t i = 0; i < x->count; i++)
        *place_of(x, x->names[i]) = i + 1;
    return 0;
}

size_t region_index_of(struct region_index *x, const struct obs_region *r)
{
    char *name = NULL, **added;
    size_t *place;

    if (x->count * 2 >= x->size && grow(x) < 0)
        return SIZE_MAX;
    /* A case may be empty, or there may be none. */
    if (asprintf(&name, "%s\x1f%s%s%s", r->observed, r->region, r->case_name ? "\x1f" : "",
                 r->case_name ? r->case_name : "") < 0)
        return SIZE_MAX;
    place = place_of(x, name);
    if (!*place && (added = LIST_ADD(x->names, x->count))) {
        *added = name;
        name = NULL;
        *place = x->count;
    }
    free(name);
    return *place ? *place - 1 : SIZE_MAX;
}

void region_index_release(struct region_index *x)
{
    for (size_t i = 0; i < x->count; i++)
        free(x->names[i]);
    free(x->names);
    free(x->places);
    *x = (struct region_index){0};
}
