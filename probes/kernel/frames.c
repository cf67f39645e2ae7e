#include "probes/kernel/frames.h"
#include "probes/kernel/bulk.h"
#include "probes/kernel/pagemap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BITS 9
#define CHUNK_FRAMES (1u << CHUNK_BITS)

struct frame_chunk {
    uint64_t id; /* frame number >> CHUNK_BITS */
    uint32_t slot[CHUNK_FRAMES];
};

/* Chunks come by the slab; where there are frames of gigabytes, in huge pages. */
struct frame_slab {
    struct frame_slab *next;
    uint32_t n, used;
    struct frame_chunk chunks[];
};
#define SMALL_SLAB 16
#define LARGE_SLAB 1016 /* just below 2 MiB */
#define MANY_FRAMES (128 * 1024)
#define SLAB_BYTES(n) (sizeof(struct frame_slab) + (n) * sizeof(struct frame_chunk))

static struct frame_chunk *new_chunk(struct frames *f)
{
    struct frame_slab *slab = f->slabs;
    uint32_t n = f->cap < MANY_FRAMES ? SMALL_SLAB : LARGE_SLAB;

    if (!slab || slab->used == slab->n) {
        if (!(slab = bulk_alloc(SLAB_BYTES(n))))
            return NULL;
        slab->n = n;
        slab->next = f->slabs;
        f->slabs = slab;
    }
    return &slab->chunks[slab->used++];
}

static uint32_t hash(uint64_t id)
{
    return (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> 32);
}

/* Chunks of the first 2 TiB of memory (4 KiB pages) are found by index, others by hash. */
#define DIRECT_CHUNKS (1u << 20)

/* Where the chunk is, or would be. */
static struct frame_chunk **chunk_home(struct frame_chunk **table, uint32_t ntable, uint64_t id)
{
    uint32_t i = hash(id) & (ntable - 1);

    while (table[i] && table[i]->id != id)
        i = (i + 1) & (ntable - 1);
    return &table[i];
}

static int grow_table(struct frames *f)
{
    uint32_t ntable = f->ntable ? f->ntable * 2 : 256;
    struct frame_chunk **table = calloc(ntable, sizeof(*table));

    if (!table)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->ntable; i++)
        if (f->table[i])
            *chunk_home(table, ntable, f->table[i]->id) = f->table[i];
    free(f->table);
    f->table = table;
    f->ntable = ntable;
    return 0;
}

static int grow_direct(struct frames *f, uint64_t id)
{
    uint32_t ndirect = f->ndirect ? f->ndirect : 1024;

    while (ndirect <= id)
        ndirect *= 2;
    if (bulk_grow(&f->direct, f->ndirect * sizeof(*f->direct), ndirect * sizeof(*f->direct)) < 0)
        return -ENOMEM;
    f->ndirect = ndirect;
    return 0;
}

static struct frame_chunk *make_chunk(struct frames *f, uint64_t id)
{
    struct frame_chunk **at, *known;

    if (id < DIRECT_CHUNKS ? id >= f->ndirect && grow_direct(f, id) < 0
                           : f->nchunks * 2 >= f->ntable && grow_table(f) < 0)
        return NULL;
    at = id < DIRECT_CHUNKS ? &f->direct[id] : chunk_home(f->table, f->ntable, id);
    known = *at;
    if (known)
        return known;
    *at = new_chunk(f);
    if (*at) {
        (*at)->id = id;
        f->nchunks += id >= DIRECT_CHUNKS;
    }
    return *at;
}

static inline struct frame_chunk *find_chunk(struct frames *f, uint64_t id)
{
    if (id < f->ndirect && f->direct[id])
        return f->direct[id];
    return make_chunk(f, id);
}

static void release_slots(struct frames *f)
{
#define RELEASE(type, name) bulk_free(f->name, f->cap * sizeof(type));
    FRAME_COLUMNS(RELEASE)
}

int frames_reserve(struct frames *f, uint64_t more)
{
    struct frames grown = {.cap = f->cap ? f->cap : 1024};
    bool all = true;

    while (grown.cap && grown.cap <= f->n + more)
        grown.cap *= 2;
    if (!grown.cap)
        return -ENOMEM;
    if (grown.cap == f->cap)
        return 0;
#define COPY(type, name)                                                                           \
    grown.name = bulk_alloc(grown.cap * sizeof(type));                                             \
    if (grown.name && f->cap)                                                                      \
        memcpy(grown.name, f->name, f->cap * sizeof(type));                                        \
    all &= grown.name != NULL;
    FRAME_COLUMNS(COPY)
    if (!all) {
        release_slots(&grown);
        return -ENOMEM;
    }
    release_slots(f);
#define TAKE(type, name) f->name = grown.name;
    FRAME_COLUMNS(TAKE)
    f->cap = grown.cap;
    return 0;
}

static uint32_t *label_home(const struct frames *f, uint32_t *table, uint32_t n, uint64_t label)
{
    uint32_t i = (uint32_t)label & (n - 1);

    while (table[i] && f->number[table[i]] != label)
        i = (i + 1) & (n - 1);
    return &table[i];
}

/* At least half of the table stays free. */
static int grow_labelled(struct frames *f)
{
    uint32_t n = f->nlabelled ? f->nlabelled * 2 : 4096, *table;

    if (!n || !(table = bulk_alloc(n * sizeof *table)))
        return -ENOMEM;
    for (uint32_t i = 0; i < f->nlabelled; i++)
        if (f->labelled[i])
            *label_home(f, table, n, f->number[f->labelled[i]]) = f->labelled[i];
    bulk_free(f->labelled, f->nlabelled * sizeof *f->labelled);
    f->labelled = table;
    f->nlabelled = n;
    return 0;
}

static uint32_t *slot_of_label(struct frames *f, uint64_t label)
{
    uint32_t *slot;

    if (f->labels_met >= f->nlabelled / 2 && grow_labelled(f) < 0)
        return NULL;
    slot = label_home(f, f->labelled, f->nlabelled, label);
    f->labels_met += !*slot;
    return slot;
}

static inline uint32_t *slot_of_number(struct frames *f, uint64_t number)
{
    struct frame_chunk *chunk = find_chunk(f, number >> CHUNK_BITS);

    return chunk ? &chunk->slot[number & (CHUNK_FRAMES - 1)] : NULL;
}

uint32_t frames_slot(struct frames *f, uint64_t number)
{
    uint32_t *slot = number & PM_LABEL ? slot_of_label(f, number) : slot_of_number(f, number),
             known;

    if (!slot)
        return 0;
    known = *slot;
    if (known)
        return known;
    if (f->n + 1 >= f->cap && frames_reserve(f, 1) < 0)
        return 0;
    *slot = ++f->n;
    f->number[f->n] = number;
    return f->n;
}

void frames_forget_owners(struct frames *f)
{
    if (f->own)
        memset(f->own, 0, (f->n + 1) * sizeof *f->own);
    f->distinct = f->distinct_file = f->distinct_own = 0;
}

void frames_release(struct frames *f)
{
    for (struct frame_slab *slab = f->slabs, *next; slab; slab = next) {
        next = slab->next;
        bulk_free(slab, SLAB_BYTES(slab->n));
    }
    free(f->table);
    bulk_free(f->labelled, f->nlabelled * sizeof *f->labelled);
    bulk_free(f->direct, f->ndirect * sizeof(*f->direct));
    release_slots(f);
    *f = (struct frames){0};
}

int frame_set_reserve(struct frame_set *s, uint32_t slot)
{
    uint32_t need = slot / 64 + 1, cap = s->nwords ? s->nwords : 64;

    if (need <= s->nwords)
        return 0;
    while (cap < need)
        cap *= 2;
    if (bulk_grow(&s->words, s->nwords * sizeof *s->words, cap * sizeof *s->words) < 0)
        return -ENOMEM;
    s->nwords = cap;
    return 0;
}

void frame_set_clear(struct frame_set *s)
{
    if (s->words)
        memset(s->words, 0, s->nwords * sizeof *s->words);
}

void frame_set_release(struct frame_set *s)
{
    bulk_free(s->words, s->nwords * sizeof *s->words);
    *s = (struct frame_set){0};
}

uint64_t frame_set_common(const struct frame_set *a, const struct frame_set *b)
{
    uint32_t n = a->nwords < b->nwords ? a->nwords : b->nwords;
    uint64_t common = 0;

    for (uint32_t i = 0; i < n; i++)
        common += (uint64_t)__builtin_popcountll(a->words[i] & b->words[i]);
    return common;
}
