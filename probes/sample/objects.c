/* Which pages of the memory objects behind private mappings are in memory: a write to one that is
 * not mapped yet costs a frame all the same. Asked once per sample and part of an object, however
 * many processes map it; kept until the next sample, which sees what has been written since. */
#include "probes/kernel/object.h"
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void forget(struct asked_object *objects, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(objects[i].bits);
    free(objects);
}

void objects_turn(struct sampler *s)
{
    forget(s->objects_before, s->nobjects_before);
    s->objects_before = s->objects;
    s->nobjects_before = s->nobjects;
    s->objects = NULL;
    s->nobjects = 0;
}

void objects_forget(struct sampler *s)
{
    objects_turn(s);
    objects_turn(s);
}

static enum why ask(struct sampler *s, const struct sampled *w, const struct map_entry *e,
                    struct asked_object *o)
{
    int fd = object_open(w->pid, e, s->helper), rc;
    struct object_info info;

    if (fd < 0)
        return WHY_NO_OBJECT_ACCESS;
    rc = object_stat(fd, s->page_size, &info);
    if (rc == 0)
        rc = object_residency(fd, &info, s->page_size, o->first, o->n, s->caps.have[CAP_SWAP],
                              o->bits, NULL, &o->count, &s->now[0]->cost[SC_OBJECT]);
    close(fd);
    return rc == 0 ? WHY_KNOWN : rc == -EACCES ? WHY_FOREIGN_FILE : WHY_READ_FAILED;
}

const struct asked_object *objects_ask(struct sampler *s, const struct sampled *w,
                                       const struct map_entry *e)
{
    struct asked_object *grown, *o;
    uint64_t first = e->offset / s->page_size, n = (e->end - e->start) / s->page_size;

    for (size_t i = 0; i < s->nobjects; i++) {
        o = &s->objects[i];
        if (o->dev == e->dev && o->inode == e->inode && o->first == first && o->n == n)
            return o;
    }
    grown = realloc(s->objects, (s->nobjects + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    s->objects = grown;
    o = &grown[s->nobjects];
    *o = (struct asked_object){.dev = e->dev, .inode = e->inode, .first = first, .n = n};
    o->bits = calloc((n + 63) / 64, sizeof *o->bits);
    if (!o->bits)
        return NULL;
    s->nobjects++;
    o->why = ask(s, w, e, o);
    return o;
}

/* Huge pages without a file have a name like one. */
static bool is_object(const struct map_entry *e)
{
    return e->inode && !mapping_is_special(e) &&
           !((e->flags & 1u << VMF_HUGETLB) && strncmp(e->name, "/anon_hugepage", 14) == 0);
}

int objects_room(struct sampled *w)
{
    struct object_view *grown;

    if (w->maps.n <= w->views_cap)
        return 0;
    grown = realloc(w->views, w->maps.n * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    w->views = grown;
    w->views_cap = w->maps.n;
    return 0;
}

void objects_note(struct sampler *s, struct sampled *w, const struct map_entry *e,
                  const struct asked_object *o)
{
    if (is_object(e))
        w->views[w->nviews++] = (struct object_view){.start = e->start,
                                                     .end = e->end,
                                                     .offset = e->offset,
                                                     .dev = e->dev,
                                                     .inode = e->inode,
                                                     .object = o ? o - s->objects : -1};
}

static const struct object_view *view_at(const struct sampled *w, uint64_t addr)
{
    size_t low = 0, high = w->nviews_before;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->views_before[middle].end <= addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->nviews_before && w->views_before[low].start <= addr ? &w->views_before[low]
                                                                        : NULL;
}

enum answer objects_had(const struct sampler *s, const struct sampled *w, const struct map_entry *e,
                        uint64_t addr, enum why *why)
{
    const struct object_view *v = view_at(w, addr);
    const struct asked_object *o;

    if (!v || v->dev != e->dev || v->inode != e->inode ||
        v->start - v->offset != e->start - e->offset)
        return ANSWER_NO; /* it is a new mapping */
    o = v->object < 0 ? NULL : &s->objects_before[v->object];
    *why = o ? o->why : WHY_NOT_ASKED;
    return *why != WHY_KNOWN ? ANSWER_NONE
                             : answer_of(bit_is_set(o->bits, (addr - v->start) / s->page_size));
}
