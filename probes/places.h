/* places: where in a list something is, by a hash of it. The list is the user's, and says what
 * equals what; its rows are counted from 1 on. {0} is an empty one, free(p.at) ends it.
 *
 *     for (size_t i = hash; (row = places_next(&p, hash, &i));)
 *         if (list[row - 1] is it)
 *             ...
 */
#pragma once

#include "probes/list.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct places {
    struct places_slot {
        uint32_t hash, row; /* row 0: free */
    } * at;                 /* open addressing, at least half of it free */
    size_t size, n;         /* size is a power of two */
};

static inline uint32_t places_hash(uint64_t a, uint64_t b)
{
    return (uint32_t)((((a * 0x9e3779b97f4a7c15ULL) ^ b) * 0x9e3779b97f4a7c15ULL) >> 32);
}

static inline uint32_t places_hash_bytes(uint32_t h, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 0x01000193U; /* FNV-1a */
    return h ^ h >> 15;
}

static inline uint32_t places_hash_text(uint32_t h, const char *text)
{
    return places_hash_bytes(h, text, strlen(text));
}

/* The next row of this hash; 0: there are no more. */
static inline uint32_t places_next(const struct places *p, uint32_t hash, size_t *i)
{
    while (p->size) {
        const struct places_slot *x = &p->at[(*i)++ & (p->size - 1)];

        if (!x->row || x->hash == hash)
            return x->row;
    }
    return 0;
}

static inline void places_put(struct places *p, struct places_slot x)
{
    size_t i = x.hash;

    while (p->at[i & (p->size - 1)].row)
        i++;
    p->at[i & (p->size - 1)] = x;
    p->n++;
}

/* Of a row that is not in it. 0 or -ENOMEM. */
static inline int places_add(struct places *p, uint32_t hash, size_t row)
{
    if (2 * (p->n + 1) > p->size) {
        struct places grown = {.size = p->size ? p->size * 2 : 64};

        grown.at = calloc(grown.size, sizeof *grown.at);
        if (!grown.at)
            return -ENOMEM;
        for (size_t i = 0; i < p->size; i++)
            if (p->at[i].row)
                places_put(&grown, p->at[i]);
        free(p->at);
        *p = grown;
    }
    places_put(p, (struct places_slot){hash, (uint32_t)row});
    return 0;
}

/* This row is gone: what stands behind it moves up, so that nobody looks for it in vain. */
static inline void places_drop(struct places *p, uint32_t hash, size_t row)
{
    const size_t mask = p->size - 1;
    size_t gap = hash & mask;

    while (p->at[gap].row != row)
        gap = (gap + 1) & mask;
    for (size_t i = (gap + 1) & mask; p->at[i].row; i = (i + 1) & mask)
        if (((i - p->at[i].hash) & mask) >= ((i - gap) & mask)) {
            p->at[gap] = p->at[i];
            gap = i;
        }
    p->at[gap].row = 0;
    p->n--;
}

/* Empty again; the room stays. */
static inline void places_clear(struct places *p)
{
    if (p->n)
        memset(p->at, 0, p->size * sizeof *p->at);
    p->n = 0;
}

/* Of a list whose elements begin with their key, one or more uint64_t: */
#define PLACES_KEY(...)                                                                            \
    (const uint64_t[]){__VA_ARGS__}, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t)
/* The element with this key, or NULL. */
#define PLACES_FIND(p, list, ...) places_find(p, list, sizeof *(list), PLACES_KEY(__VA_ARGS__))
/* One more, with a key that it has not yet, else zeroed; NULL without memory. */
#define PLACES_ADD(p, list, n, ...)                                                                \
    places_append(p, &(list), &(n), sizeof *(list), PLACES_KEY(__VA_ARGS__))

static inline uint32_t places_hash_key(const uint64_t *key, size_t numbers)
{
    uint32_t h = 0;

    for (size_t i = 0; i < numbers; i++)
        h = places_hash(key[i], h);
    return h;
}

static inline void *places_find(const struct places *p, const void *list, size_t size,
                                const uint64_t *key, size_t numbers)
{
    uint32_t h = places_hash_key(key, numbers), row;

    for (size_t i = h; (row = places_next(p, h, &i));)
        if (memcmp((const char *)list + (row - 1) * size, key, numbers * sizeof *key) == 0)
            return (char *)list + (row - 1) * size;
    return NULL;
}

static inline void *places_append(struct places *p, void *list, size_t *n, size_t size,
                                  const uint64_t *key, size_t numbers)
{
    void *added = list_add(list, n, NULL, size);

    if (added && places_add(p, places_hash_key(key, numbers), *n) == 0)
        return memcpy(added, key, numbers * sizeof *key);
    *n -= added != NULL;
    return NULL;
}
