/* histogram: counts of times by their size, 32 buckets to each doubling: what a bucket stands for
 * (its middle) is within 1/64 of every time in it. From 1 ns to 2^40 ns (18 minutes); longer times
 * are in the last bucket, and the longest one is kept exactly.
 *
 * No libc, no pointers: it lies in memory that two processes share, or is copied as it is. All
 * zeros is an empty one. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_FINE 5 /* 2^5 buckets to each doubling */
#define HISTOGRAM_TOP 40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_FINE + 1) << HISTOGRAM_FINE)

struct histogram {
    uint64_t n, max; /* times; the longest */
    uint64_t count[HISTOGRAM_BUCKETS];
};

/* Below 2 * 2^FINE each number has its own bucket. */
static inline unsigned int histogram_bucket(uint64_t ns)
{
    int shift = 63 - HISTOGRAM_FINE - __builtin_clzll(ns | 1);

    if (ns >> HISTOGRAM_TOP)
        return HISTOGRAM_BUCKETS - 1;
    if (shift < 0)
        shift = 0;
    return ((unsigned int)shift << HISTOGRAM_FINE) + (unsigned int)(ns >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count[histogram_bucket(ns)]++;
    h->n++;
    if (ns > h->max)
        h->max = ns;
}

/* The smallest and the largest time that belong into a bucket. */
uint64_t histogram_low(unsigned int bucket);
uint64_t histogram_high(unsigned int bucket);
/* Adds what is in another one. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The time that `share` of `of` times do not exceed (99 of 100: the 99th percentile). Of an empty
 * one 0. */
uint64_t histogram_at(const struct histogram *h, uint64_t share, uint64_t of);
/* Does it hold what it says, no count lost and no time beyond the longest? Of memory that somebody
 * else wrote. */
int histogram_is_whole(const struct histogram *h);
