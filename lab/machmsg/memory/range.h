/* range: the table of the memory that this layer knows: what it has mapped, and of what.
 *
 *     SHARED    the owner's own mapping of an unsealed object: what it writes is in the object
 *        | virtual send, or fork: remapped in place, then sealed
 *        v
 *     PRIVATE   a copy-on-write view of an immutable object; what this process writes is its own
 *     ANON      no object: small and purgeable memory
 *
 * All of it under mem_lock (mem.h). A range that the program changed behind the layer's back
 * (munmap, mremap, mprotect) is noticed by asking the kernel before it is shared. */
#ifndef MACHMSG_MEMORY_RANGE_H
#define MACHMSG_MEMORY_RANGE_H

#include "lab/machmsg/memory/object.h"

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
    struct object *snapshot; /* while forking: what the child is to see instead of the object */
};

struct range *range_find(uint64_t address); /* that holds address, or NULL */
struct range *range_next(uint64_t address); /* the first one that ends above address, or NULL */
/* Room for one change of the table, so that nothing of it can fail once memory was changed: asked
 * for before each call of those below, or each two cuts. 0 or -ENOMEM. */
int range_room(void);
/* Takes over the object reference in *r. */
void range_add(const struct range *r);
/* Cuts ranges so that one begins at `at`. */
void range_cut(uint64_t at);
/* Forgets [start, end); other parts of ranges stay. Whole ranges take no room. */
void range_forget(uint64_t start, uint64_t end);

#endif
