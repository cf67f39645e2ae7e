/* pagemap: what the kernel says about the pages of a process, and about page frames.
 *
 * Owns no process and no descriptor; never waits. Reads in bulk: one page at a time costs seven
 * times as much as a range (230 ns against 35, Linux 6.18, x86-64). Large reads are split by
 * address over two threads where the caller allows it.
 * A value that the kernel did not give is marked, never zero: KPAGE_NONE.
 * Valid only as long as the process stands still. */
#pragma once

#include "probes/slurp.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst) */
#define PM_FRAME(e) ((e) & ((1ULL << 55) - 1)) /* 0 without CAP_SYS_ADMIN */
#define PM_LABEL                                                                                   \
    (1ULL << 54) /* not the kernel's: no frame number, but the helper's label for one */
#define PM_SOFT_DIRTY (1ULL << 55)
#define PM_EXCLUSIVE (1ULL << 56) /* mapped once; of a large folio: its head page's answer */
#define PM_UFFD_WP (1ULL << 57)
#define PM_GUARD (1ULL << 58)
#define PM_FILE (1ULL << 61) /* page cache: a file's, or shared anonymous memory's */
#define PM_SWAPPED (1ULL << 62)
#define PM_PRESENT (1ULL << 63)

/* Not the kernel's: in the place of soft-dirty, which is set for holes too and of no interest here,
 * whoever knows marks the shared zero page, small or huge. The kernel itself says different things
 * of a huge one: that it is a file's (6.18), mapped once (6.9), neither (5.10). */
#define PM_ZERO PM_SOFT_DIRTY

static inline bool pm_present(uint64_t word)
{
    return (word & PM_PRESENT) != 0;
}

/* Guard pages are markers in the page table, no pages. */
static inline bool pm_swapped(uint64_t word)
{
    return (word & PM_SWAPPED) && !(word & (PM_PRESENT | PM_GUARD));
}

/* /proc/kpageflags (include/uapi/linux/kernel-page-flags.h, and fs/proc/page.c for bit 34, which
 * on an anonymous page means anon-exclusive since 5.19: the next write needs no copy check). */
#define KPF_LRU (1ULL << 5) /* clear: it waits in some CPU's batch, which holds a reference */
#define KPF_WRITEBACK (1ULL << 8)
#define KPF_ANON (1ULL << 12)
#define KPF_SWAPCACHE (1ULL << 13)
#define KPF_SWAPBACKED (1ULL << 14)
#define KPF_COMPOUND_HEAD (1ULL << 15)
#define KPF_COMPOUND_TAIL (1ULL << 16)
#define KPF_HUGE (1ULL << 17)
#define KPF_KSM (1ULL << 21)
#define KPF_THP (1ULL << 22)
#define KPF_ZERO_PAGE (1ULL << 24)
#define KPF_MLOCKED (1ULL << 33)
#define KPF_ANON_EXCLUSIVE (1ULL << 34)
#define KPF_LARGE (KPF_COMPOUND_HEAD | KPF_COMPOUND_TAIL | KPF_HUGE | KPF_THP)

#define KPAGE_NONE UINT64_MAX /* the kernel gave no answer for this frame */

/* Reads the entries of npages pages from address start on into out. Returns how many were read:
 * fewer than npages only where the address space ends or is gone (0); or a negative errno. */
int64_t pagemap_read(int fd, uint64_t page_size, uint64_t start, uint64_t npages, uint64_t *out,
                     int threads, struct probe_cost *cost);

/* out[i] = the 64-bit word of frames[i] in /proc/kpagecount or /proc/kpageflags; frames that lie
 * close together, in whatever direction, are read as one range. Returns 0 or a negative errno;
 * frames that the file does not have give KPAGE_NONE. */
int kpage_read(int fd, const uint64_t *frames, uint64_t *out, size_t n, int threads,
               struct probe_cost *cost);

/* PAGEMAP_SCAN (Linux 6.7, include/uapi/linux/fs.h); declared here because the C library's
 * headers may be older than the kernel. */
#define SCAN_PRESENT (1ULL << 3)
#define SCAN_SWAPPED (1ULL << 4)
#define SCAN_ZERO (1ULL << 5) /* the shared zero page, small or huge */
#define SCAN_HUGE (1ULL << 6) /* mapped by one huge entry */

struct scan_range {
    uint64_t start, end, categories;
};

/* Ranges in [start, end) whose pages have any of the categories in any_of, each with those of
 * the categories in tell that it has. Calls fn per range, in address order, until fn returns
 * nonzero. Returns 0, fn's value, or a negative errno (-ENOTTY: not in this kernel). */
int pagemap_scan(int fd, uint64_t start, uint64_t end, uint64_t any_of, uint64_t tell,
                 int (*fn)(void *arg, const struct scan_range *range), void *arg,
                 struct probe_cost *cost);
