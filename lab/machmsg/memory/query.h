/* query: what the kernel says about this process's own address space. Nothing here makes a page
 * exist, and nothing knows what the layer itself has put there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's mapping that holds an address, or the next one above it. */
struct mapping {
    uint64_t start, end, offset;
    dev_t dev;
    ino_t inode; /* 0: anonymous */
    bool readable, writable, executable, shared;
};

/* Its protection in VM_PROT_* bits; and VM_PROT_* bits as mmap's. */
int mem_from_prot(const struct mapping *m);
int mem_to_prot(int vm_prot);

/* 0; -ENOENT if there is none; or another negative errno. */
int mem_query(uint64_t address, struct mapping *out);
/* Calls fn (may be NULL) for the part [from, to) of each mapping in [start, end). -EFAULT: a part
 * is not mapped or not readable. */
int mem_walk(uint64_t start, uint64_t end,
             void (*fn)(void *arg, const struct mapping *m, uint64_t from, uint64_t to), void *arg);

/* Calls fn for every mapping of this process, which fn may replace. */
int mem_each(void (*fn)(void *arg, const struct mapping *m), void *arg);

/* 1 in map[i] for each page of [start, start + n pages) that is mapped or swapped out; the others
 * stay. 0 or a negative errno. */
int mem_present(uint64_t start, uint64_t pages, uint8_t *map);
/* Has this process written to its private view [start, end) of an object? */
int mem_modified(uint64_t start, uint64_t end, bool *modified);
/* Is a page of it wired (mlock)? */
bool mem_wired(uint64_t start, uint64_t end);
