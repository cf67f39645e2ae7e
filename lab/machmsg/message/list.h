/* list: a growing list with some room of its own, so that small messages take no memory. Header
 * only. */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct list {
    void *at;
    size_t count, capacity, elem;
    _Alignas(16) unsigned char room[256];
};

static inline void list_init(struct list *l, size_t elem)
{
    l->at = l->room; /* which is not cleared: this is on every message's way */
    l->count = 0;
    l->capacity = sizeof l->room / elem;
    l->elem = elem;
}

static inline void list_free(struct list *l)
{
    if (l->at != l->room)
        free(l->at);
}

/* Room for n more; the first of them, or NULL without memory. */
static inline void *list_add(struct list *l, size_t n)
{
    if (l->count + n > l->capacity) {
        size_t capacity = 2 * (l->count + n);
        void *at =
            l->at == l->room ? malloc(capacity * l->elem) : realloc(l->at, capacity * l->elem);

        if (!at)
            return NULL;
        if (l->at == l->room)
            memcpy(at, l->room, l->count * l->elem);
        l->at = at;
        l->capacity = capacity;
    }
    l->count += n;
    return (unsigned char *)l->at + (l->count - n) * l->elem;
}
