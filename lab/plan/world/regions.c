/* regions: who has which, and what the names of a step mean. */
#include "lab/plan/world/state.h"
#include "probes/list.h"

#include <stdlib.h>
#include <string.h>

static uint32_t name_hash(const char *name, const char *case_name)
{
    return places_hash_text(places_hash_text(0, name), case_name ? case_name : "");
}

static uint32_t hash_of(const struct region *r)
{
    return name_hash(r->name, r->case_name);
}

int add_region(const struct reader *r, struct regions *list, const struct region *region)
{
    struct region *at = LIST_ADD(list->at, list->n);

    if (!at)
        return err_no_memory(r->e);
    *at = *region;
    if (places_add(&list->names, hash_of(at), list->n) == 0)
        return 0;
    list->n--;
    return err_no_memory(r->e);
}

void release_regions(struct regions *list)
{
    free(list->at);
    free(list->names.at);
    *list = (struct regions){0};
}

void drop_region(struct world *w, struct regions *list, size_t i)
{
    struct region *gone = &list->at[i], *last = &list->at[list->n - 1];

    hold_family(w, gone->family, -1);
    places_drop(&list->names, hash_of(gone), i + 1);
    if (last != gone) {
        places_drop(&list->names, hash_of(last), list->n);
        (void)places_add(&list->names, hash_of(last), i + 1); /* it has room */
        *gone = *last;
    }
    list->n--;
}

void drop_regions(struct world *w, struct regions *list)
{
    while (list->n)
        drop_region(w, list, list->n - 1);
    release_regions(list);
}

struct region *find_exact(const struct regions *list, const char *name, const char *case_name)
{
    uint32_t row, hash = name_hash(name, case_name);

    for (size_t i = hash; (row = places_next(&list->names, hash, &i));)
        if (strcmp(list->at[row - 1].name, name) == 0 &&
            same_text(list->at[row - 1].case_name, case_name))
            return &list->at[row - 1];
    return NULL;
}

/* In the case first, then outside. */
static struct region *find_region(const struct regions *list, const char *name,
                                  const char *case_name)
{
    struct region *found = find_exact(list, name, case_name);

    return found || !case_name ? found : find_exact(list, name, NULL);
}

long world_actor(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->nactors; i++)
        if (same_text(w->actors[i].name, name))
            return (long)i;
    return -1;
}

int world_actor_state(const struct world *w, const char *actor)
{
    long i = world_actor(w, actor);

    if (i < 0 ? w->actors_in_doubt : w->actors[i].doubt)
        return ACTOR_IN_DOUBT;
    return i < 0 ? -1 : (int)w->actors[i].state;
}

bool world_doubts(const struct world *w, const char *actor)
{
    long i = world_actor(w, actor);
    bool doubt = i < 0 ? w->actors_in_doubt : w->actors[i].doubt || w->actors[i].regions.more;

    for (size_t k = 0; strcmp(actor, "message") == 0 && k < w->nactors; k++)
        doubt = doubt || w->actors[k].queue_doubt || w->actors[k].doubt;
    return doubt;
}

/* The list of an actor at index i, or of the i-th message when actor is "message". */
static const struct regions *list_of(const struct world *w, const char *actor, size_t i)
{
    long index;

    if (strcmp(actor, "message") == 0)
        return i < w->nmessages    ? &w->messages[i].regions
               : i == w->nmessages ? &w->handed.object
                                   : NULL;
    index = world_actor(w, actor);
    return i == 0 && index >= 0 ? &w->actors[index].regions : NULL;
}

bool world_resolve(const struct world *w, const char *actor, const char *region, const char *in,
                   const char **case_name)
{
    const struct regions *list;

    for (size_t i = 0; (list = list_of(w, actor, i)); i++) {
        const struct region *found = find_region(list, region, in);

        if (found) {
            *case_name = found->case_name;
            return true;
        }
    }
    return false;
}

size_t world_region_names(const struct world *w, const char *actor, const char **names, size_t room)
{
    const struct regions *list;
    size_t n = 0;

    for (size_t i = 0; (list = list_of(w, actor, i)); i++)
        for (size_t k = 0; k < list->n && n < room; k++)
            if (!list->at[k].unknown)
                names[n++] = list->at[k].name;
    return n;
}

/* --- what a step names --- */

int poison_region(const struct reader *r, struct world *w, struct regions *list, const char *name,
                  const char *case_name, bool unknown)
{
    struct region poison = {
        .name = name, .case_name = case_name, .protection = 3, .unknown = unknown, .doubt = true};
    const struct family nothing = {.holders = 1};
    int rc = new_family(r, w, &nothing, &poison.family);

    return rc < 0 ? rc : add_region(r, list, &poison);
}

int world_poison(struct world *w, const struct reader *r, const char *actor, const char *region)
{
    long i = world_actor(w, actor);

    if (i >= 0 && !region)
        w->actors[i].doubt = true;
    return i < 0 || !region
               ? 0
               : poison_region(r, w, &w->actors[i].regions, region, r->case_name, true);
}

int no_actor(const struct reader *r, const struct world *w, const cJSON *node, size_t offset,
             const char *name)
{
    const char *names[64];
    size_t n = 0;
    int rc = fail_again(r, "actor", name);

    if (rc < 0)
        return rc;
    for (; n < w->nactors && n < 64; n++)
        names[n] = w->actors[n].name;
    return fail_offset(r, node, offset, "no actor '%.60s', the nearest known is '%s'", name,
                       nearest(name, names, n));
}

int need_actor(const struct reader *r, const struct world *w, const cJSON *node, const char *name,
               long *out)
{
    static const char *const why[] = {
        [ACTOR_ABSENT] = "does not live yet: no fork has made it",
        [ACTOR_EXITED] = "has exited",
        [ACTOR_GONE] = "has exited",
    };

    *out = world_actor(w, name);
    if (*out < 0)
        return w->actors_in_doubt ? -EINVAL : no_actor(r, w, node, value_offset(r, node), name);
    if (w->actors[*out].state != ACTOR_ALIVE && !w->actors[*out].doubt)
        return fail_at(r, node, "actor '%s' %s", name, why[w->actors[*out].state]);
    return 0;
}

static int no_region(const struct reader *r, const struct world *w, const cJSON *node,
                     const char *actor, const char *region)
{
    const char *names[64];
    size_t n = world_region_names(w, actor, names, 64);

    if (n == 0)
        return fail_at(r, node, "actor '%s' has no region '%s': it has none now", actor, region);
    return fail_at(r, node, "actor '%s' has no region '%s', the nearest it has is '%s'", actor,
                   region, nearest(region, names, n));
}

/* The region that a step (or a part of its message) names; *case_name becomes the region's. */
int need_region(const struct reader *r, struct world *w, struct actor *a, const cJSON *node,
                const char *name, char **case_name, struct region **out)
{
    const char *in = *case_name ? *case_name : r->case_name;

    *out = *case_name ? find_exact(&a->regions, name, in) : find_region(&a->regions, name, in);
    if (!*out && (a->doubt || a->regions.more))
        return -EINVAL;
    if (!*out)
        return either(no_region(r, w, node, a->name, name),
                      poison_region(r, w, &a->regions, name, in, true));
    return copy_text(r, case_name, (*out)->case_name);
}

int new_name(const struct reader *r, const struct actor *a, const cJSON *node, const char *name,
             const char *case_name)
{
    const struct region *old = find_exact(&a->regions, name, case_name);

    if (old && in_doubt(&a->regions, old))
        return -EINVAL;
    if (old)
        return fail_at(r, node, "actor '%s' has a region '%s' already", a->name, name);
    return 0;
}
