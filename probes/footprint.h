/* footprint: what one process seems to use, by the kernel's own counters.
 *
 * Owns nothing; the caller keeps the descriptors and buffers.
 * Promises: a counter that the kernel did not give is unknown with its reason; sums are in KiB.
 * smaps and smaps_rollup walk the page tables under the target's mmap lock (35 to 45 ns per page):
 * a target that maps memory meanwhile waits that long. status and stat do not.
 * Does not: look at pages. */
#pragma once

#include "probes/maps.h"
#include "probes/value.h"
#include <sys/types.h>

struct footprint {
    struct value rss_kb, pss_kb, uss_kb, swap_kb; /* smaps, or smaps_rollup */
    struct value anon_huge_kb;
    struct value peak_kb, pagetable_kb, virtual_kb; /* status */
    struct value minflt, majflt;                    /* stat; since the process began */
    uint64_t start_time;                            /* stat: clock ticks since boot; with the PID
                                                       the identity of a process */
    uint64_t stime; /* stat: clock ticks in the kernel since the process began */
    pid_t ppid;
    int threads; /* stat */
    char state;  /* stat: R, S, T, Z, ... */
    char comm[32];
};

void footprint_init(struct footprint *f, enum why why);

/* Sums of the entries of smaps. */
void footprint_from_maps(struct footprint *f, const struct maps *m);
/* text: /proc/PID/smaps_rollup. */
void footprint_from_rollup(struct footprint *f, const struct slurp *text);
/* text: /proc/PID/status. Without smaps, RSS and swap come from here too (not exact: the kernel
 * batches these counters per CPU). */
void footprint_from_status(struct footprint *f, const struct slurp *text);
/* text: /proc/PID/stat. The name between the parentheses may itself hold parentheses and spaces.
 * 0, or -EPROTO. */
int footprint_from_stat(struct footprint *f, const struct slurp *text);

/* What stat tells of pid, the rest untouched: 0, or a negative errno. */
int footprint_stat(pid_t pid, struct footprint *out);
/* All of a process that is not watched otherwise: opens, reads and closes. 0, or -ESRCH, -EACCES
 * with a message; single counters may still be unknown. */
int footprint_read(pid_t pid, struct footprint *out, struct err *e);
