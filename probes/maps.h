/* maps: the mappings of a process, from /proc/PID/maps or /proc/PID/smaps.
 *
 * Owns: the text and the entries parsed from it, reused from read to read.
 * Promises: lines of any length, names with any byte, any number of entries; a line that makes
 * no sense is an error, never a wrong entry. Counters are there only if smaps was read.
 * Does not: look at pages.
 * Lifetime: maps_release; entries and names are valid until the next read. */
#pragma once

#include "probes/err.h"
#include "probes/slurp.h"
#include <stdbool.h>
#include <stdint.h>

/* VmFlags of smaps that say something here: X(ENUM, "two letters") */
#define VM_FLAGS(X)                                                                                \
    X(VMF_DONTCOPY, "dc")                                                                          \
    X(VMF_WIPEONFORK, "wf")                                                                        \
    X(VMF_LOCKED, "lo")                                                                            \
    X(VMF_HUGETLB, "ht")                                                                           \
    X(VMF_HUGEPAGE, "hg")                                                                          \
    X(VMF_PFNMAP, "pf")                                                                            \
    X(VMF_IO, "io")                                                                                \
    X(VMF_MAYREAD, "mr")                                                                           \
    X(VMF_MAYWRITE, "mw")                                                                          \
    X(VMF_MAYEXEC, "me")

#define VM_FLAG_ENUM(e, text) e,
enum vm_flag { VM_FLAGS(VM_FLAG_ENUM) VMF__COUNT };

/* Counters of one entry in KiB: X(field, "key in smaps") */
#define SMAPS_COUNTERS(X)                                                                          \
    X(rss, "Rss")                                                                                  \
    X(pss, "Pss")                                                                                  \
    X(shared_clean, "Shared_Clean")                                                                \
    X(shared_dirty, "Shared_Dirty")                                                                \
    X(private_clean, "Private_Clean")                                                              \
    X(private_dirty, "Private_Dirty")                                                              \
    X(anonymous, "Anonymous")                                                                      \
    X(lazy_free, "LazyFree")                                                                       \
    X(anon_huge, "AnonHugePages")                                                                  \
    X(shmem_huge, "ShmemPmdMapped")                                                                \
    X(file_huge, "FilePmdMapped")                                                                  \
    X(shared_hugetlb, "Shared_Hugetlb")                                                            \
    X(private_hugetlb, "Private_Hugetlb")                                                          \
    X(swap, "Swap")                                                                                \
    X(swap_pss, "SwapPss")                                                                         \
    X(locked, "Locked")                                                                            \
    X(thp_eligible, "THPeligible")

#define SMAPS_FIELD(field, key) uint64_t field;
struct smaps_counters {
    SMAPS_COUNTERS(SMAPS_FIELD)
};

#define SMAPS_ADD(field, key) sum->field += kb->field;
static inline void smaps_add(struct smaps_counters *sum, const struct smaps_counters *kb)
{
    SMAPS_COUNTERS(SMAPS_ADD)
}

struct map_entry {
    uint64_t start, end; /* bytes, end excluded */
    int prot;            /* VM_PROT bits: 1 read, 2 write, 4 execute */
    bool shared;         /* MAP_SHARED: perms end in 's' */
    uint64_t offset;     /* bytes into the object */
    uint64_t dev, inode; /* makedev(); inode 0: no object behind it */
    const char *name;    /* "" where the line has none; " (deleted)" still on it */
    uint32_t flags;      /* 1 << enum vm_flag; without smaps: VMF_HUGETLB alone, by name */
    struct smaps_counters kb;
};

struct maps {
    struct slurp text;
    struct map_entry *entries;
    size_t n, cap;
    bool counted; /* read from smaps */
};

/* Reads an open /proc/PID/maps or smaps from its start. 0 with n == 0: the process has no memory
 * any more (a zombie, or it has exec'd since the file was opened). */
int maps_read_fd(struct maps *m, int fd, struct probe_cost *cost, struct err *e);
/* The same from text that is already in m->text (tests, and the fuzzer). */
int maps_parse(struct maps *m, struct err *e);
void maps_release(struct maps *m);

/* The entry that holds addr, or else the first one behind it; NULL if there is none. */
const struct map_entry *maps_find(const struct maps *m, uint64_t addr);
/* The first entry that has something of [start, end), and the next behind e; NULL: none has. */
const struct map_entry *maps_first(const struct maps *m, uint64_t start, uint64_t end);
const struct map_entry *maps_next(const struct maps *m, const struct map_entry *e, uint64_t end);
/* Entry holding addr, or NULL. */
const struct map_entry *maps_holding(const struct maps *m, uint64_t addr);

/* One mapping without reading all (PROCMAP_QUERY, Linux 6.11): fd is /proc/PID/maps. The entry
 * holding addr; name stays "". -ENOENT: none; -ENOTTY: not in this kernel. */
int maps_query(int fd, uint64_t addr, struct map_entry *out);
