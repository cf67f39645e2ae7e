/* Who maps each memory object: one pass over the mappings of all processes of the sample, because a
 * fork copies no page tables of shared mappings, and what nobody has touched since is mapped once.
 * Of processes out of view only map counts tell; that there is none, nothing does. */
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The row of an object, or the free one that it would have. */
static struct object_users *row_of(const struct users *u, uint64_t dev, uint64_t inode)
{
    size_t at = (inode ^ dev << 40) * 0x9e3779b97f4a7c15ULL >> 32 & (u->cap - 1);

    while (u->rows[at].last && (u->rows[at].inode != inode || u->rows[at].dev != dev))
        at = (at + 1) & (u->cap - 1);
    return &u->rows[at];
}

/* The segments of a program's file may have a page in common: that is none mapped twice. */
static bool overlaps(const struct object_users *o, const struct map_entry *e, uint64_t page_size)
{
    uint64_t end = e->offset + (e->end - e->start);
    uint64_t from = e->offset > o->from ? e->offset : o->from, to = end < o->to ? end : o->to;

    return to > from && (e->shared || to - from > page_size);
}

static void add_mapping(struct users *u, const struct map_entry *e, uint32_t process,
                        uint64_t page_size)
{
    struct object_users *o = row_of(u, e->dev, e->inode);
    uint64_t end = e->offset + (e->end - e->start);

    u->n += !o->last;
    o->dev = e->dev;
    o->inode = e->inode;
    if (o->last != process) {
        o->last = process;
        o->processes++;
        o->from = e->offset;
        o->to = end;
        return;
    }
    o->twice += overlaps(o, e, page_size);
    o->from = e->offset < o->from ? e->offset : o->from;
    o->to = end > o->to ? end : o->to;
}

/* Twice the rows, at least half of which stay free. */
static int grow(struct users *u)
{
    struct users old = *u;

    u->cap = old.cap ? old.cap * 2 : 256;
    u->rows = calloc(u->cap, sizeof *u->rows);
    if (!u->rows) {
        *u = old;
        return -ENOMEM;
    }
    for (size_t i = 0; i < old.cap; i++)
        if (old.rows[i].last)
            *row_of(u, old.rows[i].dev, old.rows[i].inode) = old.rows[i];
    free(old.rows);
    return 0;
}

int users_find(struct sampler *s)
{
    struct users *u = &s->users;

    u->n = 0;
    if (u->cap)
        memset(u->rows, 0, u->cap * sizeof *u->rows);
    for (size_t i = 0; i < s->sample.n; i++)
        for (size_t k = 0; k < s->now[i]->maps.n; k++) {
            const struct map_entry *e = &s->now[i]->maps.entries[k];

            if (2 * u->n >= u->cap && grow(u) < 0)
                return -ENOMEM;
            if (mapping_has_object(e))
                add_mapping(u, e, (uint32_t)i + 1, s->page_size);
        }
    return 0;
}

void users_facts(struct sampler *s, const struct map_entry *e, int64_t count,
                 struct region_facts *f)
{
    bool shared = e->kb.shared_clean + e->kb.shared_dirty > 0;
    struct object_users *o;

    if (!mapping_has_object(e))
        return;
    o = row_of(&s->users, e->dev, e->inode);
    f->others = o->processes > 1 || count > 1 + (int64_t)o->twice || (shared && !o->twice);
    f->why_others = WHY_NOT_ASKED;
    count -= o->twice;
    if (count < o->processes)
        count = o->processes;
    if (count > o->most)
        o->most = count;
    f->users = count > 1 ? value_inferred(count) : value_unknown(WHY_NOT_ASKED);
}

void users_conclude(struct sampler *s)
{
    for (size_t i = 0; i < s->sample.n; i++)
        for (size_t k = 0; s->now[i]->why == WHY_KNOWN && k < s->now[i]->maps.n; k++) {
            struct sample_region *r = &s->now[i]->regions[k];
            struct value *refs = &r->q[RQ_REF_COUNT];
            int64_t most = mapping_has_object(r->map)
                               ? row_of(&s->users, r->map->dev, r->map->inode)->most
                               : 0;

            if (most > 1 && (refs->why == WHY_NOT_ASKED || refs->n < most))
                *refs = value_inferred(most);
        }
}
