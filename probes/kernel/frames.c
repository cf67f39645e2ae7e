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
    uint32_t slot[CHUNK_FRAMES];
};

/* Chunks come by the slab; where there are frames of gigabytes, in huge pages. */
struct frame_slab {
    struct frame_slab *next;
    uint32_t n, used;
    struct frame_chunk chunks[];
};
#define SMALL_SLAB 16
#define LARGE_SLAB 1023 /* just below 2 MiB */
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

/* Frames of the first 2 TiB of memory (4 KiB pages) are found by the index of their chunk; others,
 * slots of swap and labels by hash. */
#define DIRECT_CHUNKS (1u << 20)

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

static uint32_t *direct_home(struct frames *f, uint64_t number)
{
    uint64_t id = number >> CHUNK_BITS;

    if ((id >= f->ndirect && grow_direct(f, id) < 0) ||
        (!f->direct[id] && !(f->direct[id] = new_chunk(f))))
        return NULL;
    return &f->direct[id]->slot[number & (CHUNK_FRAMES - 1)];
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

/* Where the slot is, or would be. */
static uint32_t *hash_home(const struct frames *f, uint32_t *table, uint32_t n, uint64_t number)
{
    uint32_t i = (uint32_t)((number * 0x9e3779b97f4a7c15ULL) >> 32) & (n - 1);

    while (table[i] && f->number[table[i]] != number)
        i = (i + 1) & (n - 1);
    return &table[i];
}

/* At least half of the table stays free. */
static int grow_hashed(struct frames *f)
{
    uint32_t n = f->nhashed ? f->nhashed * 2 : 4096, *table;

    if (!n || !(table = bulk_alloc(n * sizeof *table)))
        return -ENOMEM;
    for (uint32_t i = 0; i < f->nhashed; i++)
        if (f->hashed[i])
            *hash_home(f, table, n, f->number[f->hashed[i]]) = f->hashed[i];
    bulk_free(f->hashed, f->nhashed * sizeof *f->hashed);
    f->hashed = table;
    f->nhashed = n;
    return 0;
}

uint32_t frames_slot(struct frames *f, uint64_t number)
{
    bool direct = number >> CHUNK_BITS < DIRECT_CHUNKS;
    uint32_t *slot, known;

    if (!direct && f->hashed_used >= f->nhashed / 2 && grow_hashed(f) < 0)
        return 0;
    slot = direct ? direct_home(f, number) : hash_home(f, f->hashed, f->nhashed, number);
    if (!slot)
        return 0;
    known = *slot;
    if (known)
        return known;
    if (f->n + 1 >= f->cap && frames_reserve(f, 1) < 0)
        return 0;
    f->hashed_used += !direct;
    f->number[++f->n] = number;
    return *slot = f->n;
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
    bulk_free(f->hashed, f->nhashed * sizeof *f->hashed);
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
