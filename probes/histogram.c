#include "probes/histogram.h"

#define FINE (1u << HISTOGRAM_FINE)

/* How many times wider than 1 ns. */
static unsigned int shift_of(unsigned int bucket)
{
    return bucket < 2 * FINE ? 0 : bucket / FINE - 1;
}

uint64_t histogram_low(unsigned int bucket)
{
    unsigned int shift = shift_of(bucket);

    return (uint64_t)(bucket - shift * FINE) << shift;
}

uint64_t histogram_high(unsigned int bucket)
{
    return histogram_low(bucket) + (UINT64_C(1) << shift_of(bucket)) - 1;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->count[i] += from->count[i];
    to->n += from->n;
    if (from->max > to->max)
        to->max = from->max;
}

/* The middle of the bucket in which that time is; never more than the longest. */
uint64_t histogram_at(const struct histogram *h, uint64_t share, uint64_t of)
{
    uint64_t wanted = h->n / of * share + (h->n % of * share + of - 1) / of, upto = 0;

    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t middle = (histogram_low(i) + histogram_high(i)) / 2;

        upto += h->count[i];
        if (h->count[i] && upto >= wanted)
            return i == HISTOGRAM_BUCKETS - 1 || middle > h->max ? h->max : middle;
    }
    return h->max;
}

int histogram_is_whole(const struct histogram *h)
{
    uint64_t n = 0;
    unsigned int last = 0;

    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        n += h->count[i];
        if (h->count[i])
            last = i;
    }
    return n == h->n && (n ? histogram_bucket(h->max) == last : h->max == 0);
}
