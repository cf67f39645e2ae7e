/* Who maps each memory object: one pass over the mappings of all processes of the sample, because a
 * fork copies no page tables of shared mappings, and what nobody has touched since is mapped once.
 * Of processes out of view only map counts tell; that there is none, nothing does. */
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct object_users *row_of(const struct sampler *s, const struct map_entry *e)
{
    return PLACES_FIND(&s->user_places, s->users, e->dev, e->inode);
}

/* The segments of a program's file may have a page in common: that is none mapped twice. */
static bool overlaps(const struct object_users *o, const struct map_entry *e, uint64_t page_size)
{
    uint64_t end = e->offset + (e->end - e->start);
    uint64_t from = e->offset > o->from ? e->offset : o->from, to = end < o->to ? end : o->to;

    return to > from && (e->shared || to - from > page_size);
}

static int add_mapping(struct sampler *s, const struct map_entry *e, uint32_t process)
{
    struct object_users *o = row_of(s, e);
    uint64_t end = e->offset + (e->end - e->start);

    if (!o && !(o = PLACES_ADD(&s->user_places, s->users, s->nusers, e->dev, e->inode)))
        return -ENOMEM;
    if (o->last != process) {
        o->last = process;
        o->processes++;
        o->from = e->offset;
        o->to = end;
        return 0;
    }
    o->twice += overlaps(o, e, s->page_size);
    o->from = e->offset < o->from ? e->offset : o->from;
    o->to = end > o->to ? end : o->to;
    return 0;
}

int users_find(struct sampler *s)
{
    s->nusers = 0;
    places_clear(&s->user_places);
    for (size_t i = 0; i < s->sample.n; i++)
        for (size_t k = 0; k < s->now[i]->maps.n; k++) {
            const struct map_entry *e = &s->now[i]->maps.entries[k];

            if (mapping_has_object(e) && add_mapping(s, e, (uint32_t)i + 1) < 0)
                return -ENOMEM;
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
    o = row_of(s, e);
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
            int64_t most = mapping_has_object(r->map) ? row_of(s, r->map)->most : 0;

            if (most > 1 && (refs->why == WHY_NOT_ASKED || refs->n < most))
                *refs = value_inferred(most);
        }
}
