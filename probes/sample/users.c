/* Who maps each memory object: one pass over the mappings of all processes of the sample, because a
 * fork copies no page tables of shared mappings, and what nobody has touched since is mapped once.
 * Of processes out of view only map counts tell; that there is none, nothing does. */
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct object_users *row_of(const struct users *u, const struct map_entry *e)
{
    size_t at = (e->inode ^ e->dev << 40) * 0x9e3779b97f4a7c15ULL >> 32 & (u->cap - 1);

    while (u->rows[at].last && (u->rows[at].inode != e->inode || u->rows[at].dev != e->dev))
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
    struct object_users *o = row_of(u, e);
    uint64_t end = e->offset + (e->end - e->start);

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

/* Room for all, and as much again. */
static int make_room(struct sampler *s)
{
    size_t n = 0, cap = 64;

    for (size_t i = 0; i < s->sample.n; i++)
        n += s->now[i]->maps.n;
    while (cap < 2 * n)
        cap *= 2;
    if (cap > s->users.cap) {
        free(s->users.rows);
        s->users.rows = malloc(cap * sizeof *s->users.rows);
        s->users.cap = s->users.rows ? cap : 0;
    }
    if (!s->users.rows)
        return -ENOMEM;
    memset(s->users.rows, 0, s->users.cap * sizeof *s->users.rows);
    return 0;
}

int users_find(struct sampler *s)
{
    if (make_room(s) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < s->sample.n; i++)
        for (size_t k = 0; k < s->now[i]->maps.n; k++)
            if (s->now[i]->maps.entries[k].inode)
                add_mapping(&s->users, &s->now[i]->maps.entries[k], (uint32_t)i + 1, s->page_size);
    return 0;
}

void users_facts(struct sampler *s, const struct map_entry *e, int64_t count,
                 struct region_facts *f)
{
    bool shared = e->kb.shared_clean + e->kb.shared_dirty > 0;
    struct object_users *o;

    if (!e->inode)
        return;
    o = row_of(&s->users, e);
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
            int64_t most = r->map->inode ? row_of(&s->users, r->map)->most : 0;

            if (most > 1 && (refs->why == WHY_NOT_ASKED || refs->n < most))
                *refs = value_inferred(most);
        }
}
