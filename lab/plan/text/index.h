/* index: which elements of a list have a key, found without reading the list: the list's owner adds
 * and drops here what it adds and drops there, and compares the keys itself. */
#ifndef LAB_PLAN_TEXT_INDEX_H
#define LAB_PLAN_TEXT_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index {
    struct index_slot *slots; /* one for each element of the list */
    uint32_t *buckets;
    size_t n, room;
};

/* Adds one more element at the end of the list. 0 or -ENOMEM. */
int index_add(struct index *x, uint64_t hash);
/* Element i goes, and the last one takes its place. */
void index_drop(struct index *x, size_t i);
/* Numbers, from 1, of the elements whose key may be the one of this hash; 0: no more. */
size_t index_first(const struct index *x, uint64_t hash);
size_t index_next(const struct index *x, size_t number);
void index_release(struct index *x);
/* Of a text, going on from the hash of what stands before it (or 0). */
uint64_t index_hash(uint64_t before, const char *text, size_t len);

#endif
