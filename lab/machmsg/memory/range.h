/* range: the table of the memory that this layer knows: what it has mapped, and of what.
 *
 *     SHARED    the owner's own mapping of an unsealed object: what it writes is in the object
 *        | virtual send, or fork: remapped in place, then sealed
 *        v
 *     PRIVATE   a copy-on-write view of an immutable object; what this process writes is its own
 *     ANON      no object: small and purgeable memory
 *
 * All of it under mem_lock (mem.h). A range that the program changed behind the layer's back
 * (munmap, mremap, mprotect) is noticed by asking the kernel before it is shared, and found where
 * it is by a fork. */
#pragma once

#include "lab/machmsg/memory/object.h"
#include "lab/machmsg/memory/query.h"
#include <mach/mach_types.h>

enum mem_kind { MEM_ANON = 1, MEM_SHARED, MEM_PRIVATE };

struct range {
    uint64_t start, end;
    struct object *object; /* NULL for MEM_ANON */
    uint64_t offset;       /* of start in the object */
    uint8_t kind;          /* enum mem_kind */
    bool purgeable;
    bool plain;      /* ANON because there was nothing to make an object of */
    uint8_t inherit; /* VM_INHERIT_* */
    uint8_t prot, max_prot;
    uint8_t tag;             /* VM_MAKE_TAG of the program's: told, never used */
    struct object *snapshot; /* while forking: what the child is to see instead of the object */
    bool stays;              /* while forking: the parent goes on with the object */
    bool lost;               /* while forking: a part of it cannot be copied */
    bool seen;               /* while all mappings are looked at (range_each_shown) */
};

struct range *range_find(uint64_t address); /* that holds address, or NULL */
struct range *range_next(uint64_t address); /* the first one that ends above address, or NULL */
/* Room for one change of the table, so that nothing of it can fail once memory was changed: asked
 * for before each call of those below, or each two cuts. 0 or -ENOMEM. Forgets ranges that
 * the program unmapped itself, once it meets one of them: eight are looked at each time. */
int range_room(void);
/* Takes over the object reference in *r. Follows what the program moved from there. */
void range_add(const struct range *r);
/* Cuts ranges so that one begins at `at`. */
void range_cut(uint64_t at);
/* Forgets [start, end); other parts of ranges stay. Whole ranges take no room. */
void range_forget(uint64_t start, uint64_t end);
/* What is in [from, from + size) is at `to` now, where nothing was. After cuts at both ends. */
void range_move(uint64_t from, uint64_t to, uint64_t size);
/* [start, end) is going to be other memory: what is shared with its object and was moved from there
 * by the program is entered where it is now, so that a fork still finds it; and so is all else that
 * was moved, if anything was. Costs a query for each such range that is in its place. 0, or a
 * negative errno: something may not be followed. */
int range_follow(uint64_t start, uint64_t end);

/* Calls fn (may be NULL) for each part of a mapping that is shared with the object of a SHARED
 * range, wherever it is: the table does not know where a program moved it. fn may replace the
 * mapping. Then, but not after an error, forgets ranges that are nowhere any more. 0 or a negative
 * errno. */
typedef void range_shown_fn(void *arg, struct range *r, const struct mapping *part);
int range_each_shown(range_shown_fn *fn, void *arg);
/* The table is short of descriptors: did any range hold one for nothing? Looks at all mappings: not
 * more often than once for as many calls as there are ranges, but for now. */
bool range_tidy(bool now);

/* Does the mapping show at `at` what the range has there? */
bool range_shows(const struct range *r, const struct mapping *m, uint64_t at);
/* Maps o, from offset on, over [start, end), and keeps it from a child where inherit says so: that
 * goes with the old mapping. So does a lock, but for MAP_LOCKED in the flags. 0 or a negative
 * errno. */
int range_remap(vm_inherit_t inherit, uint64_t start, uint64_t end, int prot, struct object *o,
                uint64_t offset, int flags);
