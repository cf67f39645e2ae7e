/* vm: vm_* and mach_vm_*: allocating, removing, protecting this process's memory.
 *
 * Ordinary memory above 32 KiB is a memory object that this process maps shared, so that it can be
 * sent without a copy; small and purgeable memory is never sent without one (see message/ool.h) and
 * is plain anonymous memory. When no object can be made or its descriptor cannot be kept, plain
 * memory serves; where a forked task is to share it, an object without a descriptor.
 * Does not: touch other tasks. task must be mach_task_self(). */
#include "lab/machmsg/memory/contents.h"
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/memory/place.h"
#include "lab/machmsg/ports/port.h"
#include <errno.h>
#include <mach/mach_vm.h>
#include <mach/vm_map.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define KNOWN_FLAGS                                                                                \
    (VM_FLAGS_ANYWHERE | VM_FLAGS_PURGABLE | VM_FLAGS_RANDOM_ADDR | VM_FLAGS_OVERWRITE |           \
     (int)VM_FLAGS_ALIAS_MASK)

/* Linux's reason stays in errno, for who wants it. */
static kern_return_t error_of(int errnum)
{
    errno = errnum ? errnum : errno;
    switch (errnum) {
    case 0:
        return KERN_SUCCESS;
    case EACCES:
    case EPERM:
        return KERN_PROTECTION_FAILURE;
    case EEXIST:
        return KERN_NO_SPACE;
    case ENOMEM:
        return KERN_NO_SPACE;
    case EFAULT:
        return KERN_INVALID_ADDRESS;
    case EINVAL:
        return KERN_INVALID_ARGUMENT;
    default:
        return KERN_RESOURCE_SHORTAGE;
    }
}

struct wanted {
    uint64_t size, mask; /* whole pages; address & mask == 0 */
    int flags;
    vm_prot_t prot, max_prot;
    vm_inherit_t inherit;
};

static void *map_wanted(uint64_t address, const struct wanted *w, int flags, int fd)
{
    const int prot = mem_to_prot(w->prot);
    struct mapping m;

    if (w->flags & VM_FLAGS_ANYWHERE)
        return mem_place(w->size, w->mask | vm_page_mask,
                         w->flags & VM_FLAGS_PURGABLE ? PLACE_PURGEABLE : PLACE_ALONE, prot, flags,
                         fd);
    /* Kernels and tools that do not know MAP_FIXED_NOREPLACE take the address as a hint. */
    if (!(w->flags & VM_FLAGS_OVERWRITE) && mem_query(address, &m) == 0 &&
        m.start < address + w->size) {
        errno = EEXIST;
        return MAP_FAILED;
    }
    return mmap((void *)address, w->size, prot,
                flags | (w->flags & VM_FLAGS_OVERWRITE ? MAP_FIXED : MAP_FIXED_NOREPLACE), fd, 0);
}

/* kept: is of use only with its descriptor. */
static int new_object(struct object **out, uint64_t size, bool kept)
{
    int rc = object_create(out, size);

    if (rc == 0 && kept && !object_keep(*out)) {
        object_unref(*out);
        rc = -EMFILE;
    }
    if (rc)
        *out = NULL;
    return rc;
}

/* New memory of zeros. Under mem_lock. 0 or a negative errno. */
static int make(uint64_t *address, const struct wanted *w)
{
    const bool native = mem_native(), purgeable = w->flags & VM_FLAGS_PURGABLE;
    struct range r = {.kind = MEM_ANON,
                      .purgeable = purgeable,
                      .inherit = (uint8_t)w->inherit,
                      .prot = (uint8_t)w->prot,
                      .max_prot = (uint8_t)w->max_prot,
                      .tag = (uint8_t)((unsigned int)w->flags >> 24)};
    const bool shared = w->inherit == VM_INHERIT_SHARE;
    const bool over = !(w->flags & VM_FLAGS_ANYWHERE) && (w->flags & VM_FLAGS_OVERWRITE);
    void *p;
    int rc = over ? range_follow(*address, *address + w->size) : 0;

    if (rc == 0)
        rc = range_room();
    if (rc)
        return rc;
    if (native || shared || (w->size > SMALL_MAX && !purgeable)) {
        rc = new_object(&r.object, w->size, !shared);
        if (rc == -EMFILE && range_tidy(shared))
            rc = new_object(&r.object, w->size, !shared);
        if (rc && shared)
            return rc;
        r.plain = rc != 0;
        if (rc == 0)
            r.kind = MEM_SHARED;
    }
    if (r.kind == MEM_SHARED)
        p = map_wanted(*address, w, MAP_SHARED, r.object->fd);
    else
        p = map_wanted(*address, w, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (p != MAP_FAILED && !(w->flags & VM_FLAGS_ANYWHERE) && p != (void *)*address) {
        munmap(p, w->size); /* a kernel that takes the address as a hint only */
        p = MAP_FAILED;
        errno = EEXIST;
    }
    if (p != MAP_FAILED && w->inherit == VM_INHERIT_NONE && madvise(p, w->size, MADV_DONTFORK)) {
        munmap(p, w->size);
        p = MAP_FAILED;
        errno = ENOMEM;
    }
    if (p == MAP_FAILED) {
        rc = -errno;
        if (r.object)
            object_unref(r.object);
        return rc;
    }
    if (purgeable && r.kind == MEM_ANON) /* who looks from outside can know; not every kernel */
        (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, w->size, PURGEABLE_NAME);
    if (shared)
        (void)object_keep(r.object);
    r.start = *address = (uint64_t)p;
    r.end = r.start + w->size;
    if (over) /* what was there is gone: it need not be looked for */
        range_forget(r.start, r.end);
    range_add(&r);
    return 0;
}

static kern_return_t allocate(vm_map_t task, uint64_t *address, const struct wanted *w)
{
    int rc;

    if (task != NAME_TASK || (w->flags & ~KNOWN_FLAGS))
        return KERN_INVALID_ARGUMENT;
    if (w->size == 0) {
        *address = 0;
        return KERN_SUCCESS;
    }
    if (w->size >> 56) /* no address space is that large; not every tool says so itself */
        return KERN_NO_SPACE;
    if (!(w->flags & VM_FLAGS_ANYWHERE)) {
        *address = mem_trunc(*address);
        if (*address + w->size < *address)
            return KERN_NO_SPACE;
    }
    mem_lock();
    rc = make(address, w);
    mem_unlock();
    return error_of(-rc);
}

kern_return_t mach_vm_allocate(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size,
                               int flags)
{
    const struct wanted w = {.size = mem_round(size),
                             .flags = flags,
                             .prot = VM_PROT_DEFAULT,
                             .max_prot = VM_PROT_ALL,
                             .inherit = VM_INHERIT_DEFAULT};
    uint64_t at = *address;
    kern_return_t kr = allocate(task, &at, &w);

    if (kr == KERN_SUCCESS)
        *address = at;
    return kr;
}

kern_return_t mach_vm_map(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size,
                          mach_vm_offset_t mask, int flags, mem_entry_name_port_t object,
                          memory_object_offset_t offset, boolean_t copy, vm_prot_t cur_protection,
                          vm_prot_t max_protection, vm_inherit_t inheritance)
{
    const struct wanted w = {.size = mem_round(size),
                             .mask = mask,
                             .flags = flags,
                             .prot = cur_protection,
                             .max_prot = max_protection,
                             .inherit = inheritance};
    uint64_t at = *address;
    kern_return_t kr;

    (void)offset;
    (void)copy;
    /* Zero-filled memory only: there are no memory entries to map here. */
    if (object != MEMORY_OBJECT_NULL || inheritance > VM_INHERIT_LAST_VALID || size == 0 ||
        ((cur_protection | max_protection) & ~(vm_prot_t)0x87) ||
        (cur_protection & ~max_protection & VM_PROT_ALL) || (mask & (mask + 1)))
        return KERN_INVALID_ARGUMENT;
    kr = allocate(task, &at, &w);
    if (kr == KERN_SUCCESS)
        *address = at;
    return kr;
}

kern_return_t mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size)
{
    return task == NAME_TASK ? error_of(-mem_release(address, size)) : KERN_INVALID_ARGUMENT;
}

/* Calls fn for the part of every range in [start, end), cut to it. Under mem_lock. */
static int each_range(uint64_t start, uint64_t end, int (*fn)(struct range *r, unsigned int arg),
                      unsigned int arg)
{
    int rc = range_room();

    if (rc)
        return rc;
    range_cut(start);
    range_cut(end);
    for (uint64_t at = start; rc == 0 && at < end;) {
        struct range *r = range_next(at);

        if (!r || r->start >= end)
            return 0;
        at = r->end;
        rc = fn(r, arg);
    }
    return rc;
}

static int check_max(struct range *r, unsigned int prot)
{
    return prot & ~(unsigned int)r->max_prot & VM_PROT_ALL ? -EACCES : 0;
}

static int set_max(struct range *r, unsigned int prot)
{
    if (mprotect((void *)r->start, r->end - r->start, mem_to_prot(r->prot & (int)prot)))
        return -errno;
    r->max_prot = (uint8_t)prot;
    r->prot &= (uint8_t)prot;
    return 0;
}

static int set_prot(struct range *r, unsigned int prot)
{
    r->prot = (uint8_t)prot;
    return 0;
}

/* Is all of it mapped? -EFAULT: there is a hole. What the program has put in the place of a range
 * is taken for its own from here on. adopt: private memory that the program got elsewhere enters
 * the table, so that what Linux does not keep of it (inheritance, maximum protection) has a place.
 */
static int check_mapped(uint64_t start, uint64_t end, bool adopt)
{
    int rc = 0;

    for (uint64_t at = start, to; rc == 0 && at < end; at = to) {
        const struct range *next = range_next(at);
        struct range r = {.kind = MEM_ANON, .inherit = VM_INHERIT_COPY, .max_prot = VM_PROT_ALL};
        struct mapping m;

        if ((rc = mem_query(at, &m)) || m.start > at)
            return rc && rc != -ENOENT ? rc : -EFAULT;
        to = m.end < end ? m.end : end;
        if (next && next->start <= at) {
            to = next->end < to ? next->end : to;
            if (next->object ? range_shows(next, &m, at) : !m.shared)
                continue;
            if ((rc = range_follow(at, to)) || (rc = range_room()))
                return rc;
            range_forget(at, to);
        } else if (next && next->start < to) {
            to = next->start;
        }
        r.start = at;
        r.end = to;
        r.prot = (uint8_t)mem_from_prot(&m);
        if (adopt && !m.shared && (rc = range_room()) == 0)
            range_add(&r);
    }
    return rc;
}

kern_return_t mach_vm_protect(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                              boolean_t set_maximum, vm_prot_t protection)
{
    uint64_t start, end;
    int rc;

    if (task != NAME_TASK || (protection & ~(vm_prot_t)0x87))
        return KERN_INVALID_ARGUMENT;
    if (size == 0)
        return KERN_SUCCESS;
    if (!mem_pages(address, size, &start, &end))
        return KERN_INVALID_ARGUMENT;
    mem_lock();
    if (set_maximum) {
        rc = check_mapped(start, end, true);
        if (rc == 0)
            rc = each_range(start, end, set_max, (unsigned int)protection);
    } else {
        rc = each_range(start, end, check_max, (unsigned int)protection);
        if (rc == 0 && mprotect((void *)start, end - start, mem_to_prot(protection))) {
            const int why = -errno; /* -ENOMEM: a hole, or a shortage */

            rc = why == -ENOMEM ? check_mapped(start, end, false) : 0;
            rc = rc ? rc : why;
        }
        if (rc == 0)
            rc = each_range(start, end, set_prot, (unsigned int)protection);
    }
    mem_unlock();
    return error_of(-rc);
}

/* Copies it into a new object, in place. */
static int renew(struct range *r, enum mem_kind kind, vm_inherit_t inherit)
{
    const int flags = kind == MEM_SHARED ? MAP_SHARED : MAP_PRIVATE;
    struct object *o;
    const bool wired = mem_wired(r->start, r->end);
    int rc = object_create(&o, r->end - r->start);

    if (rc)
        return rc;
    rc = object_fill(o, 0, r->start, r->end);
    if (rc == 0)
        rc = range_remap(inherit, r->start, r->end, mem_to_prot(r->prot), o, 0,
                         wired ? flags | MAP_LOCKED : flags);
    if (rc) {
        object_unref(o);
        return rc;
    }
    if (r->object)
        object_unref(r->object);
    (void)object_keep(o);
    r->object = o;
    r->offset = 0;
    r->kind = kind;
    return 0;
}

/* Memory that a forked task is to share must be an object that both map shared; a fork makes that
 * private again only through its descriptor. */

static int set_inherit(struct range *r, unsigned int inherit)
{
    const bool shared = r->kind == MEM_SHARED;
    int rc = 0;

    if (inherit == VM_INHERIT_SHARE && !shared)
        rc = renew(r, MEM_SHARED, inherit);
    else if (inherit == VM_INHERIT_COPY && shared && object_fd(r->object) < 0 && !r->object->kin)
        rc = renew(r, MEM_PRIVATE, inherit);
    if (rc == 0)
        r->inherit = (uint8_t)inherit;
    return rc;
}

kern_return_t mach_vm_inherit(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                              vm_inherit_t inheritance)
{
    uint64_t start, end;
    int rc;

    if (task != NAME_TASK || inheritance > VM_INHERIT_LAST_VALID)
        return KERN_INVALID_ARGUMENT;
    if (size == 0)
        return KERN_SUCCESS;
    if (!mem_pages(address, size, &start, &end))
        return KERN_INVALID_ARGUMENT;
    mem_lock();
    rc = check_mapped(start, end, inheritance == VM_INHERIT_SHARE);
    if (rc == 0)
        rc = range_room();
    /* What fails half-way leaves a child with less than was asked, never with memory that the table
     * does not know that it has. */
    if (rc == 0 && inheritance == VM_INHERIT_NONE &&
        madvise((void *)start, end - start, MADV_DONTFORK))
        rc = -errno;
    if (rc == 0)
        rc = each_range(start, end, set_inherit, inheritance);
    if (rc == 0 && inheritance != VM_INHERIT_NONE &&
        madvise((void *)start, end - start, MADV_DOFORK))
        rc = -errno;
    mem_unlock();
    return error_of(-rc);
}

SAME_CALL(vm_allocate, mach_vm_allocate);
SAME_CALL(vm_deallocate, mach_vm_deallocate);
SAME_CALL(vm_protect, mach_vm_protect);
SAME_CALL(vm_inherit, mach_vm_inherit);
SAME_CALL(vm_map, mach_vm_map);
