/* moment: is what was read of a region the region as it was at one moment?
 *
 * A writer numbers its writes 1, 2, 3, ... and puts the number of each into the page that it goes
 * to. Which page that is follows from a seed and the number: the order of all writes is known
 * without a log of them. Pure functions, for the actor and for tests. */
#pragma once

#include "lab/actions.h"
#include <stdint.h>

/* The page that write n goes to. */
static inline uint64_t moment_page(uint64_t seed, uint64_t n, uint64_t pages)
{
    return select_splitmix64(seed ^ select_splitmix64(n)) % pages;
}

struct moment {
    uint64_t last; /* the newest write that was read; 0: none */
    uint64_t torn; /* pages that do not show the newest write to them up to that one */
};

/* seen[page]: the number that was read in it; 0: it was not written yet. written: the newest write
 * of all. mark: (pages + 7) / 8 bytes to work with. It was one moment if nothing is torn: that
 * moment was after the write `last`, and before the next one to any page. */
struct moment moment_of(const uint64_t *seen, uint64_t pages, uint64_t seed, uint64_t written,
                        uint8_t *mark);
/* How many pages the writes behind `after`, up to `upto`, went to. */
uint64_t moment_pages_written(uint64_t pages, uint64_t seed, uint64_t after, uint64_t upto,
                              uint8_t *mark);
