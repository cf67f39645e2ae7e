/* object: the memory object behind a mapping (memfd, shared anonymous memory, a file), and which
 * of its pages are in physical memory.
 *
 * Owns nothing between calls: a descriptor kept open would keep the object alive, so it is opened
 * read-only for a look and closed again.
 * Promises: never reads a page, never maps one into a page table (reading a hole of a memfd
 * through a mapping would fill it); never moves the offset of a descriptor that somebody shares.
 * Does not: know which process sees what. */
#pragma once

#include "probes/kernel/pagemap.h"
#include "probes/maps.h"
#include "probes/places.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;

struct object_info {
    uint64_t dev, inode;
    uint64_t bytes;         /* size */
    uint64_t resident_hint; /* pages allocated to it (st_blocks), swapped ones included */
    bool shmem;             /* tmpfs, memfd, shared anonymous */
    bool hugetlb;
};

/* The regular files that a process holds open, listed once, when the first of them is asked for.
 * {0} ... open_files_release. */
struct open_files {
    pid_t pid;
    struct open_file {
        uint64_t dev, inode;
        int fd; /* the process's */
    } * list;
    size_t n;
    struct places places;
};

void open_files_release(struct open_files *f);

/* An object that can be asked. */
struct object {
    int fd;                /* -1: none, or the helper answers for it */
    struct helper *helper; /* or NULL */
    pid_t pid;             /* with the helper: the mapping */
    uint64_t start, end;
    struct object_info info;
};
#define OBJECT_NONE ((struct object){.fd = -1})

static inline bool object_is_open(const struct object *o)
{
    return o->fd >= 0 || o->helper;
}

/* Opens the object behind a mapping of pid: through map_files (root), else by the helper, if there
 * is one, or by its name, or through a descriptor that the process still holds; never a device. 0,
 * or a negative errno and OBJECT_NONE. */
int object_open(struct object *out, pid_t pid, const struct map_entry *entry, struct helper *helper,
                struct open_files *files);
/* Of what fd refers to, which it takes; negative: an errno. */
int object_take(struct object *out, int fd);
void object_close(struct object *o);
/* A descriptor of one's own of the object that fd refers to, with an offset of its own. */
int object_reopen(int fd);

int object_stat(int fd, struct object_info *out);

/* Which of the pages [first, first + n) are resident: counts them, and sets their bits (bit 0 is
 * page first) in bits, and those of pages of shared memory that are in swap in swapped; both have
 * room for n and are zeroed here, and may be NULL. swap: this machine swaps, so that allocated is
 * not resident. A page in the swap cache alone counts as in swap, before Linux 6.5 as resident.
 * 0, or -EACCES where the kernel would not say, or another negative errno. */
int object_residency(const struct object *o, uint64_t first, uint64_t n, bool swap, uint64_t *bits,
                     uint64_t *swapped, uint64_t *count, struct probe_cost *cost);

static inline bool bit_is_set(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i)
{
    bits[i / 64] |= 1ULL << (i % 64);
}
