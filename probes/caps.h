/* caps: what this machine lets us see, each capability probed once.
 *
 * Promises: caps_probe tries the real thing (it opens the file, reads one entry, runs the
 * debt self-test in a forked child) and never guesses from version numbers.
 * Fault injection and tests: COWLAB_DISABLE=name,name hides capabilities by name. */
#pragma once

#include "probes/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* X(ENUM, "name", "what it unlocks", "how to get it") */
#define CAPABILITIES(X)                                                                            \
    X(CAP_PAGEMAP, "pagemap", "page states (present, swapped, exclusive) of one's own processes",  \
      "/proc mounted, on a kernel with CONFIG_PROC_PAGE_MONITOR")                                  \
    X(CAP_FRAMES, "frames", "page frames: which pages are really the same memory",                 \
      "root with cap_sys_admin, or cap_sys_admin on cowprobe")                                     \
    X(CAP_KPAGECOUNT, "kpagecount", "map counts per frame",                                        \
      "root with cap_sys_admin, or cap_sys_admin and cap_dac_read_search on cowprobe")             \
    X(CAP_KPAGEFLAGS, "kpageflags", "flags per frame: zero page, huge page, anon-exclusive",       \
      "root with cap_sys_admin, or cap_sys_admin and cap_dac_read_search on cowprobe")             \
    X(CAP_DEBT, "debt", "exclusive pages told from pages that a former fork left write-protected", \
      "what kpageflags takes, on Linux 5.19 or later")                                             \
    X(CAP_PAGE_MAPCOUNT, "page_mapcount", "exact map counts in large folios",                      \
      "what kpagecount takes, on a kernel without CONFIG_NO_PAGE_MAPCOUNT")                        \
    X(CAP_PAGEMAP_SCAN, "pagemap_scan", "zero pages told without privilege, fast scans",           \
      "Linux 6.7 or later")                                                                        \
    X(CAP_ZERO_PAGE, "zero_page", "untouched memory that is only read shows the shared zero page", \
      "a kernel that maps it (some for virtual machines give each reader a page of its own)")      \
    X(CAP_PROCMAP_QUERY, "procmap_query", "mappings looked up one by one", "Linux 6.11 or later")  \
    X(CAP_SMAPS, "smaps", "the kernel's own sums per mapping: the cross-check of the page walk",   \
      "a kernel with CONFIG_PROC_PAGE_MONITOR")                                                    \
    X(CAP_SMAPS_ROLLUP, "smaps_rollup", "RSS, PSS and USS of a process in one read",               \
      "Linux 4.14 or later")                                                                       \
    X(CAP_CACHESTAT, "cachestat", "residency of a memory object without mapping it",               \
      "Linux 6.5 or later")                                                                        \
    X(CAP_CGROUP, "cgroup", "the run's own memory use as the system counts it",                    \
      "root, or a cgroup of one's own to start in: systemd-run --user --scope -p Delegate=yes "    \
      "COMMAND, or root makes one, chowns it (-R) and moves the shell there")                      \
    X(CAP_SWAP, "swap", "pages can be swapped out",                                                \
      "as root: dd if=/dev/zero of=FILE bs=1M count=64; chmod 600 FILE; mkswap FILE; swapon FILE") \
    X(CAP_THP, "thp", "transparent huge pages",                                                    \
      "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")                       \
    X(CAP_HUGETLB, "hugetlb", "explicit huge pages",                                               \
      "as root: echo 8 > /proc/sys/vm/nr_hugepages")                                               \
    X(CAP_SHMEM_HUGE, "shmem_huge", "memory objects of huge pages, on a tmpfs of the run's own",   \
      "root, on Linux 5.2 or later with CONFIG_TRANSPARENT_HUGEPAGE")                              \
    X(CAP_SOFT_DIRTY, "soft_dirty", "pages written since a mark (not used by the lab)",            \
      "a kernel with CONFIG_MEM_SOFT_DIRTY")                                                       \
    X(CAP_USERFAULTFD, "userfaultfd", "snapshots by write-protecting one's own memory",            \
      "Linux 5.11 or later with CONFIG_USERFAULTFD, in a container that does not forbid it")

#define CAPS_ENUM(e, name, unlocks, how) e,
enum cap { CAPABILITIES(CAPS_ENUM) CAP__COUNT };

struct cap_row {
    const char *name, *unlocks, *how;
};
extern const struct cap_row cap_rows[]; /* indexed by enum cap; ends with name NULL */

/* have[c], and for a missing one the reason as this machine gave it ("permission denied").
 * via_helper: the privileged cowprobe helper reads frames (as labels) and kpage files. */
struct caps {
    bool have[CAP__COUNT];
    bool hidden[CAP__COUNT]; /* missing because this user may not see whether the kernel has it */
    char reason[CAP__COUNT][96];
    bool via_helper;
    uint64_t page_size, huge_page_size; /* bytes; huge 0 if unknown */
    char kernel[128];                   /* uname: "Linux 6.18.0 x86_64" */
    int failed; /* something could not be tried for want of descriptors or memory: why, negative */
};

void caps_probe(struct caps *c);
/* What could not be tried says nothing of the kernel: then nobody looks at anything. 0, or why. */
int caps_tried(const struct caps *c, struct err *e);
/* Process pid may not be looked at: -EACCES, with what it takes. */
int caps_refuse(pid_t pid, struct err *e);
/* Index of a capability by name, or -1. */
int cap_index(const char *name);
