/* memory: what is remembered of an observed region from look to look. */
#include "probes/kernel/bulk.h"
#include "probes/list.h"
#include "probes/look/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t touched_bytes(uint64_t n)
{
    return (n / BLOCK_PAGES / 64 + 1) * sizeof(uint64_t);
}

static void records_release(struct records *r)
{
    bulk_free(r->word, (r->n + 1) * sizeof *r->word);
    bulk_free(r->touched, touched_bytes(r->n));
    bulk_free(r->slot, (r->n + 1) * sizeof *r->slot);
    bulk_free(r->rec, (r->n + 1) * sizeof *r->rec);
    *r = (struct records){0};
}

/* Untouched: the memory is zero and costs nothing until it is used (PS_NONE is 0). */
static int records_new(struct records *r, uint64_t n, bool words)
{
    records_release(r);
    r->n = n;
    r->word = words ? bulk_alloc((n + 1) * sizeof *r->word) : NULL;
    r->touched = words ? bulk_alloc(touched_bytes(n)) : NULL;
    r->slot = bulk_alloc((n + 1) * sizeof *r->slot);
    r->rec = bulk_alloc((n + 1) * sizeof *r->rec);
    if ((words && (!r->word || !r->touched)) || !r->slot || !r->rec) {
        records_release(r);
        return -ENOMEM;
    }
    return 0;
}

/* Takes the region's pages out of the count of the run's mappings. */
static void uncount(struct observer *o, struct memory *m)
{
    uint64_t i, end = 0;

    while (!m->shadow && m->now.n && next_pages(&m->now, &i, &end))
        for (; i < end; i++)
            if (m->now.slot[i])
                frames_drop(&o->frames, m->now.slot[i]);
}

void memory_free(struct observer *o, struct memory *m)
{
    uncount(o, m);
    records_release(&m->now);
    records_release(&m->before);
    free(m->actor);
    free(m->region);
    free(m->case_name);
    free(m);
}

static bool is(const struct memory *m, const char *actor, const struct target_region *r)
{
    return same_text(m->actor, actor) && same_text(m->region, r->name) &&
           same_text(m->case_name, r->case_name);
}

static uint32_t hash(const char *actor, const char *region)
{
    return places_hash_text(places_hash_text(0, actor), region);
}

static struct memory *find(struct observer *o, const char *actor, const struct target_region *r)
{
    uint32_t h = hash(actor, r->name), row;

    for (size_t i = h; (row = places_next(&o->memory_places, h, &i));)
        if (is(o->memories[row - 1], actor, r))
            return o->memories[row - 1];
    return NULL;
}

static struct memory *new_memory(struct observer *o, const char *actor,
                                 const struct target_region *r)
{
    struct memory **added = LIST_ADD(o->memories, o->nmemories);
    struct memory *m = calloc(1, sizeof *m);

    if (added && m) {
        m->actor = strdup(actor);
        m->region = strdup(r->name);
        m->case_name = r->case_name ? strdup(r->case_name) : NULL;
        if (m->actor && m->region && (m->case_name || !r->case_name) &&
            places_add(&o->memory_places, hash(actor, r->name), o->nmemories) == 0) {
            *added = m;
            return m;
        }
    }
    o->nmemories -= added != NULL;
    if (m)
        memory_free(o, m);
    return NULL;
}

/* What a written region was before, for the outcome of its writes. */
static int keep_before(struct memory *m)
{
    if (!m->written || !m->valid) {
        records_release(&m->before);
        return 0;
    }
    if ((!m->before.slot || m->before.n != m->now.n) && records_new(&m->before, m->now.n, false))
        return -ENOMEM;
    memcpy(m->before.slot, m->now.slot, m->now.n * sizeof *m->now.slot);
    memcpy(m->before.rec, m->now.rec, m->now.n * sizeof *m->now.rec);
    return 0;
}

int memory_begin(struct observer *o, const char *actor, const struct target_region *r,
                 struct memory **out, struct err *e)
{
    struct memory *m = find(o, actor, r);
    uint64_t pages = (r->len + o->page_size - 1) / o->page_size;

    if (r->start % o->page_size)
        return err_set(e, EINVAL, "region '%s' does not begin at a page", r->name);
    if (!m && !(m = new_memory(o, actor, r)))
        return err_no_memory(e);
    m->start = r->start;
    m->end = r->start + pages * o->page_size;
    m->inherit = r->inherit;
    m->target = r;
    m->written = r->written;
    m->walked = 0;
    m->seen = true;
    *out = m;
    if (!m->now.slot || m->now.n != pages) {
        uncount(o, m);
        m->valid = false;
        if (records_new(&m->now, pages, true) < 0)
            return err_set(e, ENOMEM, "out of memory for %llu pages of region '%s'",
                           (unsigned long long)pages, r->name);
    }
    return keep_before(m) < 0 ? err_no_memory(e) : 0;
}

int memories_forget(struct observer *o)
{
    size_t kept = 0, had = o->nmemories;
    int rc = 0;

    for (size_t i = 0; i < had; i++) {
        if (o->memories[i]->seen)
            o->memories[kept++] = o->memories[i];
        else
            memory_free(o, o->memories[i]);
    }
    o->nmemories = kept;
    if (kept != had)
        places_clear(&o->memory_places);
    for (size_t i = 0; kept != had && i < kept && rc == 0; i++)
        rc = places_add(&o->memory_places, hash(o->memories[i]->actor, o->memories[i]->region),
                        i + 1);
    return rc;
}

int memory_recount(struct observer *o, struct memory *m, bool shadow)
{
    uncount(o, m);
    m->valid = false;
    m->shadow = shadow;
    return records_new(&m->now, m->now.n, true);
}
