#include "lab/linux/regions.h"
#include "probes/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void region_free(struct held_region *r)
{
    free(r->name);
    free(r->case_name);
}

int held_add(struct held_regions *h, const char *name, const char *case_name, uint64_t start,
             uint64_t len, enum map_kind kind)
{
    struct held_region *r = LIST_ADD(h->list, h->count);
    bool ok = true;

    if (!r)
        return -ENOMEM;
    *r = (struct held_region){
        .name = step_text(name, &ok),
        .case_name = step_text(case_name, &ok),
        .start = start,
        .len = len,
        .kind = kind,
        .fate = {.shared = map_kind_is_shared(kind)},
    };
    if (!ok) {
        region_free(r);
        h->count--;
        return -ENOMEM;
    }
    return 0;
}

int held_inherit(struct held_regions *child, const struct held_regions *parent)
{
    for (size_t i = 0; i < parent->count; i++) {
        const struct held_region *r = &parent->list[i];

        if (fate_inherit(r->fate) == INH_NONE)
            continue;
        if (held_add(child, r->name, r->case_name, r->start, r->len, r->kind) < 0)
            return -ENOMEM;
        child->list[child->count - 1].fate = r->fate;
    }
    return 0;
}

struct held_region *held_find(const struct held_regions *h, const char *name, const char *case_name)
{
    for (size_t i = 0; i < h->count; i++)
        if (same_text(h->list[i].name, name) && same_text(h->list[i].case_name, case_name))
            return &h->list[i];
    return NULL;
}

void held_remove(struct held_regions *h, struct held_region *r)
{
    size_t at = (size_t)(r - h->list);

    region_free(r);
    memmove(r, r + 1, (h->count - at - 1) * sizeof *r);
    h->count--;
}

void held_clear(struct held_regions *h)
{
    for (size_t i = 0; i < h->count; i++)
        region_free(&h->list[i]);
    free(h->list);
    *h = (struct held_regions){0};
}

static void carried_free(struct carried *c)
{
    FREE_ALL(c->from, c->to, c->region, c->case_name);
    if (c->fd >= 0)
        close(c->fd);
}

int carried_add(struct carried_list *c, const struct carried *what)
{
    struct carried *added;
    bool ok = true;
    struct carried m = {
        .message = what->message,
        .from = step_text(what->from, &ok),
        .to = step_text(what->to, &ok),
        .region = step_text(what->region, &ok),
        .case_name = step_text(what->case_name, &ok),
        .fd = what->fd,
        .len = what->len,
    };

    added = ok ? LIST_ADD(c->list, c->count) : NULL;
    if (!added) {
        carried_free(&m);
        return -ENOMEM;
    }
    *added = m;
    return 0;
}

static void carried_remove(struct carried_list *c, size_t at)
{
    carried_free(&c->list[at]);
    memmove(&c->list[at], &c->list[at + 1], (c->count - at - 1) * sizeof *c->list);
    c->count--;
}

void carried_arrived(struct carried_list *c, const char *to, char **from)
{
    uint64_t oldest = UINT64_MAX;

    *from = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (same_text(c->list[i].to, to) && c->list[i].message < oldest)
            oldest = c->list[i].message;
    for (size_t i = c->count; i-- > 0;) {
        if (!same_text(c->list[i].to, to) || c->list[i].message != oldest)
            continue;
        if (!*from) {
            *from = c->list[i].from;
            c->list[i].from = NULL;
        }
        carried_remove(c, i);
    }
}

void carried_drop(struct carried_list *c, const char *to)
{
    for (size_t i = c->count; i-- > 0;)
        if (same_text(c->list[i].to, to))
            carried_remove(c, i);
}

void carried_clear(struct carried_list *c)
{
    while (c->count)
        carried_remove(c, c->count - 1);
    free(c->list);
    *c = (struct carried_list){0};
}
