/* keep: which mappings of a sample are worth a row. A day of samples must fit on a disk: totals and
 * processes are stored always, a mapping only when it has changed enough since its last row, and
 * not more of them than a budget allows; those that changed most go first, the others wait.
 *
 * Owns: what was last stored of each mapping. Does not: store.
 * Lifetime: keep_init ... keep_release. */
#pragma once

#include "probes/sampler.h"

/* Rows that may be stored per second on average, and saved up at most. The first sample and the
 * last are stored whole whatever the budget is. */
#define KEEP_RATE 8
#define KEEP_BURST 4096

struct kept {
    uint32_t process; /* its id in the tree */
    uint64_t start;
    uint64_t end;
    int prot, share_mode;
    int64_t pages[6];     /* mapped, exclusive, cow, debt, shared, parent; -1 unknown */
    int64_t copied, lost; /* since its last row */
    uint32_t seen;        /* sample */
    bool used, counted;   /* whether lost was */
    enum region_kind kind;
};

struct keep {
    struct kept *table; /* open addressing, power of two */
    size_t cap, n;
    double budget;
    uint64_t last_ns;
    uint32_t sample;
};

/* One mapping to store. */
struct keep_choice {
    size_t process;                     /* index in the sample */
    const struct sample_region *region; /* NULL: the mapping is gone */
    uint64_t start, end;
    enum region_kind kind;
    struct value copied, lost; /* since its last row */
    int64_t change;
};

void keep_init(struct keep *k);
void keep_release(struct keep *k);

/* who[i]: who process i of the sample is. all: store every mapping that has changed at all
 * (the last sample). *out: malloc'd, in the order of the sample. *waiting: changed, but left for
 * later. 0 or -ENOMEM. */
int keep_choose(struct keep *k, const struct sample *s, const int *who, bool all,
                struct keep_choice **out, size_t *n, size_t *waiting);
