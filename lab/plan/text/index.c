#include "lab/plan/text/index.h"

#include <errno.h>
#include <stdlib.h>

struct index_slot {
    uint64_t hash;
    uint32_t next; /* number of the next in the bucket, or 0 */
};

static uint32_t *bucket(const struct index *x, uint64_t hash)
{
    return &x->buckets[hash & (x->room - 1)];
}

static void link_in(struct index *x, size_t i)
{
    uint32_t *first = bucket(x, x->slots[i].hash);

    x->slots[i].next = *first;
    *first = (uint32_t)i + 1;
}

static int grow(struct index *x)
{
    size_t room = x->room ? x->room * 2 : 16;
    struct index_slot *slots = realloc(x->slots, room * sizeof *slots);
    uint32_t *buckets = slots ? calloc(room, sizeof *buckets) : NULL;

    if (slots)
        x->slots = slots;
    if (!buckets)
        return -ENOMEM;
    free(x->buckets);
    x->buckets = buckets;
    x->room = room;
    for (size_t i = 0; i < x->n; i++)
        link_in(x, i);
    return 0;
}

int index_add(struct index *x, uint64_t hash)
{
    if (x->n == x->room && grow(x) < 0)
        return -ENOMEM;
    x->slots[x->n].hash = hash;
    link_in(x, x->n++);
    return 0;
}

/* What leads to element i. */
static uint32_t *link_to(struct index *x, size_t i)
{
    uint32_t *at = bucket(x, x->slots[i].hash);

    while (*at != i + 1)
        at = &x->slots[*at - 1].next;
    return at;
}

void index_drop(struct index *x, size_t i)
{
    size_t last = x->n - 1;

    *link_to(x, i) = x->slots[i].next;
    if (i != last) {
        *link_to(x, last) = (uint32_t)i + 1;
        x->slots[i] = x->slots[last];
    }
    x->n = last;
}

static size_t matching(const struct index *x, uint32_t number, uint64_t hash)
{
    while (number && x->slots[number - 1].hash != hash)
        number = x->slots[number - 1].next;
    return number;
}

size_t index_first(const struct index *x, uint64_t hash)
{
    return x->room ? matching(x, *bucket(x, hash), hash) : 0;
}

size_t index_next(const struct index *x, size_t number)
{
    const struct index_slot *at = &x->slots[number - 1];

    return matching(x, at->next, at->hash);
}

void index_release(struct index *x)
{
    free(x->slots);
    free(x->buckets);
    *x = (struct index){0};
}

/* FNV-1a. */
uint64_t index_hash(uint64_t before, const char *text, size_t len)
{
    uint64_t hash = before ^ UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}
