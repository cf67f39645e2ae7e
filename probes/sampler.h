/* sampler: looks at processes that run on meanwhile, again and again, cheaply.
 *
 * The observer (observer.h) is for actors that stand still and keeps every page; the sampler is
 * for a tree of real programs and keeps sums. A sample is not atomic: while one process is read
 * the others, and the rest of the same one, go on. No sum here pretends otherwise.
 *
 * Reads per process and sample: stat, status, smaps (one walk of its page tables under its mmap
 * lock, some 40 ns per page), and where frames are visible pagemap of what is resident, else a scan
 * for the zero page. Frames are then asked for map count or flags once, however many processes map
 * them.
 *
 *     pagemap words --> chunks of 512 pages --(equal to the last sample's, or to the parent's at
 *                                              the same address: kept once)--> slots --> kpage*
 *
 * Owns: its copy of the pagemap words of this sample and the last one, and what a sample points
 * at, until the next. Promises: stops, traces and writes to nothing; a value that the kernel did
 * not give is unknown with its reason. Does not: find processes, wait, or store.
 * Lifetime: sampler_new ... sampler_free. */
#pragma once

#include "probes/caps.h"
#include "probes/err.h"
#include "probes/footprint.h"
#include "probes/kinds.h"
#include "probes/observation.h"
#include <sys/types.h>

/* Quantities of one sampled process beside those of a footprint. They sum over all its mappings;
 * at_risk: pages of writable private mappings that its next write would copy; parent: memory
 * whose frames its parent maps at the same addresses; copied: private pages that are in another
 * frame than at the last sample, where they were shared, or their object's, mapped or not (what
 * happened and was undone between is not seen, nor what a mapping that is new showed; in the place
 * of one whose pages were shared, what it writes counts); lost: pages in common with the parent at
 * the last sample of which both have one now, each in a frame of its own: one of them wrote. What
 * either has no more, it gave back: that is not lost. lost_before: at first sight alone, private
 * pages at the parent's addresses of which each has one of its own: at most so much was lost
 * between the fork and this sample (what both allocated since then may lie at the same addresses).
 * Pages in swap count like those in memory, by their slots. A page that is in swap here and in
 * memory there may be one or two: lost_before counts it; copied and lost of its mapping are unknown
 * for a sample in which what was in common has become so, or what was so has turned out apart. */
#define WATCH_QUANTITIES(X)                                                                        \
    X(WQ_EXCLUSIVE, exclusive_kb, QT_KB)                                                           \
    X(WQ_COW, cow_kb, QT_KB)                                                                       \
    X(WQ_DEBT, debt_kb, QT_KB)                                                                     \
    X(WQ_OBJECT, object_kb, QT_KB)                                                                 \
    X(WQ_SHARED, shared_kb, QT_KB)                                                                 \
    X(WQ_AT_RISK, at_risk_kb, QT_KB)                                                               \
    X(WQ_PARENT, parent_kb, QT_KB)                                                                 \
    X(WQ_COPIED, copied, QT_PAGES)                                                                 \
    X(WQ_LOST, lost, QT_PAGES)                                                                     \
    X(WQ_LOST_BEFORE, lost_before, QT_PAGES)                                                       \
    X(WQ_ANON_HUGE, anon_huge_kb, QT_KB)

enum watch_quantity { WATCH_QUANTITIES(WORDS_COLUMN) WQ__COUNT };
extern const struct quantity watch_quantities[]; /* ends with column NULL */

struct sampler;

struct sampler_options {
    bool no_frames; /* do without frames even where they are visible */
};

struct sample_target {
    pid_t pid;
    uint64_t start_time; /* with the pid its identity; 0: not checked */
    int parent;          /* index of the parent in the list, which comes before it; or -1 */
};

struct sample_region {
    const struct map_entry *map;
    enum region_kind kind;
    struct value q[RQ__COUNT];
    struct value parent_pages;
    struct value copied, lost; /* since the last sample */
    struct value lost_before;
};

struct sample_process {
    pid_t pid;
    enum why why;    /* WHY_KNOWN; WHY_GONE: before or while it was read, so that nothing is told of
                        it; WHY_PERMISSION: only what anybody may see; WHY_BORROWED_MEMORY: it has
                        no memory of its own yet */
    bool exec;       /* it has executed a program since the last sample */
    int own_program; /* 1: it, or its parent, has executed a program since the fork: nothing is in
                        common because of that fork; -1: unknown, one of them may not be read */
    struct footprint fp;
    struct value q[WQ__COUNT];
    struct sample_region *regions;
    size_t nregions;
};

struct sample {
    uint64_t t_ns, dur_ns; /* CLOCK_MONOTONIC; all of the sample */
    struct sample_process *processes;
    size_t n;
    struct value totals[TQ__COUNT]; /* distinct frames and the machine's figures */
    struct value growth_kb;         /* what all pages at risk could cost the system at most */
    struct obs_cost *costs;
    size_t ncosts;
};

int sampler_new(struct sampler **out, const struct caps *caps, const struct sampler_options *opt,
                struct err *e);
void sampler_free(struct sampler *s);

/* *out is valid until the next call. A process that is gone or forbidden is no failure: see
 * sample_process.why. Returns 0, or -ENOMEM. */
int sampler_take(struct sampler *s, const struct sample_target *targets, size_t n,
                 const struct sample **out, struct err *e);

/* Of the last sample. Frames that processes i and j have in common. */
struct value sampler_common(struct sampler *s, size_t i, size_t j);
/* Where in a region the memory in common with the parent lies: bins[k] is set to the share 0..255
 * of the k-th of n equal parts. Returns 0, or -ENODATA if that is not known. */
int sampler_bins(struct sampler *s, size_t process, const struct sample_region *r, uint8_t *bins,
                 size_t n);
