/* Which pages of the memory objects behind private mappings are in memory: a write to one that is
 * not mapped yet costs a frame all the same. Asked once per sample and part of an object, however
 * many processes map it. */
#include "probes/kernel/object.h"
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void objects_forget(struct sampler *s)
{
    for (size_t i = 0; i < s->nobjects; i++)
        free(s->objects[i].bits);
    s->nobjects = 0;
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
