/* mem: memory that this layer knows, and looking at memory that it does not.
 *
 * Owns: memory objects (sealed or not yet sealed memfds) and the table of ranges that map them.
 *
 *     SHARED    the owner's own mapping of an unsealed object: what it writes is in the object
 *        | virtual send, or fork: remapped in place, then sealed
 *        v
 *     PRIVATE   a copy-on-write view of an immutable object; what this process writes is its own
 *     ANON      no object: small and purgeable memory
 *
 * Promises: mem_map_* never replace a mapping that is not the layer's; bytes are read from memory
 * only where pages exist, so that looking at a range makes no page.
 * Does not: decide what is copied (ool.c does). A range that the program changed behind the
 * layer's back (munmap, mremap, mprotect) is noticed by asking the kernel before it is shared.
 * Lifetime: an object lives while a range or a message refers to it. */
#ifndef MACHMSG_MEM_H
#define MACHMSG_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SMALL_MAX 32768u /* bytes: up to here out-of-line data goes through a buffer */

struct object {
    int refs;
    int fd;
    uint64_t size; /* bytes, whole pages */
    ino_t ino;
    bool sealed;
    bool kin; /* a forked task maps it shared too (inherit share): it can't become immutable */
};

enum mem_kind { MEM_ANON = 1, MEM_SHARED, MEM_PRIVATE };

struct range {
    uint64_t start, end;
    struct object *object; /* NULL for MEM_ANON */
    uint64_t offset;       /* of start in the object */
    uint8_t kind;          /* enum mem_kind */
    bool purgeable;
    uint8_t inherit; /* VM_INHERIT_* */
    uint8_t prot, max_prot;
    uint8_t tag;             /* VM_MAKE_TAG of the program's: told, never used */
    struct object *snapshot; /* while forking: what the child is to see instead of a kin object */
};

void mem_lock(void);
void mem_unlock(void);
uint64_t mem_page(void);
static inline uint64_t mem_trunc(uint64_t x, uint64_t page)
{
    return x & ~(page - 1);
}
/* Saturates at the top of the address space instead of wrapping round. */
uint64_t mem_round(uint64_t x);
/* "native" in COWLAB_MACH_POLICY: share whatever Linux can share. */
bool mem_native(void);

/* Ranges: under mem_lock. */
struct range *range_find(uint64_t address); /* that holds address, or NULL */
struct range *range_next(uint64_t address); /* the first one that ends above address, or NULL */
/* Takes over the object reference in *r. 0 or -ENOMEM (the reference is then dropped). */
int range_add(const struct range *r);
/* Cuts ranges so that one begins at `at`. 0 or -ENOMEM. */
int range_cut(uint64_t at);
/* Forgets [start, end); other parts of ranges stay. 0 or -ENOMEM. */
int range_forget(uint64_t start, uint64_t end);

/* An unsealed object of that many bytes (whole pages). 0 or a negative errno. */
int object_create(struct object **out, uint64_t size);
/* Takes over fd. */
int object_adopt(struct object **out, int fd, uint64_t size, bool sealed);
/* The counts are atomic: a sender holds one without the lock. */
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
/* A new object with what the range shows now; pages that do not exist are not made. */
int object_snapshot(struct object **out, const struct range *r);
/* No byte of it will ever change. -EBUSY while somebody maps it shared and writable. */
int object_seal(struct object *o);

/* Maps memory at a place that the layer chooses. beside: directly behind the last one placed so,
 * so that the kernel joins them; else with a gap around it. prot, flags, fd as for mmap. Returns
 * MAP_FAILED with errno. */
void *mem_place(uint64_t len, uint64_t mask, bool beside, int prot, int flags, int fd);
/* A placed range is gone: its address may be used for the next one. */
void mem_unplaced(uint64_t start, uint64_t end);
int mem_to_prot(int vm_prot);

/* The kernel's mapping that holds an address, or the next one above it. */
struct mapping {
    uint64_t start, end, offset;
    ino_t inode; /* 0: anonymous */
    bool readable, writable, executable, shared;
};
/* Its protection in VM_PROT_* bits. */
int mem_from_prot(const struct mapping *m);
/* 0; -ENOENT if there is none; or another negative errno. */
int mem_query(uint64_t address, struct mapping *out);

/* Which pages of [start, start + n pages) hold something: 1 in map[i] for each that does, 0 for
 * pages that would read as zero and do not exist. -EFAULT if a part is not mapped or readable. */
int mem_touched(uint64_t start, uint64_t pages, uint8_t *map);
/* Has this process written to its private view [start, end) of an object? */
int mem_modified(uint64_t start, uint64_t end, bool *modified);
/* Is a page of it wired (mlock)? */
bool mem_wired(uint64_t start, uint64_t end);
/* Is all of it mapped and readable? 0 or -EFAULT. */
int mem_readable(uint64_t start, uint64_t end);

/* Copies between memory that may be bad and memory that is good; -EFAULT instead of a signal.
 * Stack and static memory cost no system call. */
int mem_copy_in(void *to, const void *from_user, size_t n);
int mem_copy_out(void *to_user, const void *from, size_t n);
/* The same with a system call always: n bytes from one to another, both may be bad. Returns 0,
 * -EFAULT. */
int mem_copy_checked(uint64_t to, uint64_t from, uint64_t n);

void mem_fork_prepare(void);
void mem_fork_parent(void);
void mem_fork_child(void);

#endif
