/* vm: vm_* and mach_vm_*: allocating, removing, protecting, copying this process's memory.
 *
 * Ordinary memory above 32 KiB is a memory object that this process maps shared, so that it can be
 * sent without a copy; small and purgeable memory is never sent without one (see ool.h) and is
 * plain anonymous memory. When no object can be made (no descriptors left), plain memory serves.
 * Does not: touch other tasks. task must be mach_task_self(). */
#include "lab/machmsg/ool.h"
#include "lab/machmsg/port.h"
#include <errno.h>
#include <mach/mach_vm.h>
#include <mach/vm_map.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define KNOWN_FLAGS                                                                                \
    (VM_FLAGS_ANYWHERE | VM_FLAGS_PURGABLE | VM_FLAGS_RANDOM_ADDR | VM_FLAGS_OVERWRITE |           \
     (int)VM_FLAGS_ALIAS_MASK)

static kern_return_t error_of(int errnum)
{
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

/* [address, address + size) in whole pages; false if it wraps round. */
static bool page_range(uint64_t address, uint64_t size, uint64_t *start, uint64_t *end)
{
    if (address + size < address || address + size > UINT64_MAX - vm_page_mask)
        return false;
    *start = mem_trunc(address, vm_page_size);
    *end = mem_round(address + size);
    return true;
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
        return mem_place(w->size, w->mask | vm_page_mask, false, prot, flags, fd);
    /* Kernels and tools that do not know MAP_FIXED_NOREPLACE take the address as a hint. */
    if (!(w->flags & VM_FLAGS_OVERWRITE) && mem_query(address, &m) == 0 &&
        m.start < address + w->size) {
        errno = EEXIST;
        return MAP_FAILED;
    }
    return mmap((void *)address, w->size, prot,
                flags | (w->flags & VM_FLAGS_OVERWRITE ? MAP_FIXED : MAP_FIXED_NOREPLACE), fd, 0);
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
    void *p;
    int rc;

    if (native || shared || (w->size > SMALL_MAX && !purgeable))
        if (object_create(&r.object, w->size) == 0)
            r.kind = MEM_SHARED;
    if (r.kind == MEM_SHARED)
        p = map_wanted(*address, w, MAP_SHARED, r.object->fd);
    else
        p = map_wanted(*address, w, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (p != MAP_FAILED && !(w->flags & VM_FLAGS_ANYWHERE) && p != (void *)*address) {
        munmap(p, w->size); /* a kernel that takes the address as a hint only */
        p = MAP_FAILED;
        errno = EEXIST;
    }
    if (p == MAP_FAILED) {
        rc = -errno;
        if (r.object)
            object_unref(r.object);
        return rc;
    }
    if (w->inherit == VM_INHERIT_NONE)
        madvise(p, w->size, MADV_DONTFORK);
    r.start = *address = (uint64_t)p;
    r.end = r.start + w->size;
    rc = range_add(&r);
    if (rc)
        munmap(p, w->size);
    return rc;
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
        *address = mem_trunc(*address, vm_page_size);
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
    uint64_t start, end;

    if (task != NAME_TASK)
        return KERN_INVALID_ARGUMENT;
    if (size == 0)
        return KERN_SUCCESS;
    if (!page_range(address, size, &start, &end))
        return KERN_INVALID_ARGUMENT;
    return error_of(-ool_release(start, end));
}

/* Calls fn for the part of every range in [start, end), cut to it. Under mem_lock. */
static int each_range(uint64_t start, uint64_t end, int (*fn)(struct range *r, unsigned int arg),
                      unsigned int arg)
{
    int rc;

    if ((rc = range_cut(start)) || (rc = range_cut(end)))
        return rc;
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
    r->max_prot = (uint8_t)prot;
    r->prot &= (uint8_t)prot;
    if (mprotect((void *)r->start, r->end - r->start, mem_to_prot(r->prot)))
        return -errno;
    return 0;
}

static int set_prot(struct range *r, unsigned int prot)
{
    r->prot = (uint8_t)prot;
    return 0;
}

/* Private memory that the program got elsewhere enters the table, so that what Linux does not keep
 * of it (inheritance, maximum protection) has a place. -EFAULT: there is a hole. */
static int adopt_foreign(uint64_t start, uint64_t end)
{
    int rc = 0;

    for (uint64_t at = start, to; rc == 0 && at < end; at = to) {
        const struct range *next = range_next(at);
        struct range r = {.kind = MEM_ANON, .inherit = VM_INHERIT_COPY, .max_prot = VM_PROT_ALL};
        struct mapping m;

        if (next && next->start <= at) {
            to = next->end;
            continue;
        }
        if ((rc = mem_query(at, &m)) || m.start > at)
            return rc && rc != -ENOENT ? rc : -EFAULT;
        to = m.end < end ? m.end : end;
        if (next && next->start < to)
            to = next->start;
        r.start = at;
        r.end = to;
        r.prot = (uint8_t)mem_from_prot(&m);
        if (!m.shared)
            rc = range_add(&r);
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
    if (!page_range(address, size, &start, &end))
        return KERN_INVALID_ARGUMENT;
    mem_lock();
    if (set_maximum) {
        rc = adopt_foreign(start, end);
        if (rc == 0)
            rc = each_range(start, end, set_max, (unsigned int)protection);
    } else {
        rc = each_range(start, end, check_max, (unsigned int)protection);
        if (rc == 0 && mprotect((void *)start, end - start, mem_to_prot(protection)))
            rc = errno == ENOMEM ? -EFAULT : -errno;
        if (rc == 0)
            rc = each_range(start, end, set_prot, (unsigned int)protection);
    }
    mem_unlock();
    return error_of(-rc);
}

/* Memory that a forked task is to share must be an object that both map shared. What is private
 * now is copied once into one, in place. */
static int make_shared(struct range *r)
{
    struct object *o;
    int rc = object_snapshot(&o, r);

    if (rc)
        return rc;
    if (mmap((void *)r->start, r->end - r->start, mem_to_prot(r->prot), MAP_SHARED | MAP_FIXED,
             o->fd, 0) == MAP_FAILED) {
        rc = -errno;
        object_unref(o);
        return rc;
    }
    if (r->object)
        object_unref(r->object);
    r->object = o;
    r->offset = 0;
    r->kind = MEM_SHARED;
    return 0;
}

static int set_inherit(struct range *r, unsigned int inherit)
{
    int rc = 0;

    if (inherit == VM_INHERIT_SHARE && r->kind != MEM_SHARED)
        rc = make_shared(r);
    if (rc == 0)
        r->inherit = (uint8_t)inherit;
    return rc;
}

kern_return_t mach_vm_inherit(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                              vm_inherit_t inheritance)
{
    uint64_t start, end;
    int rc = 0;

    if (task != NAME_TASK || inheritance > VM_INHERIT_LAST_VALID)
        return KERN_INVALID_ARGUMENT;
    if (size == 0)
        return KERN_SUCCESS;
    if (!page_range(address, size, &start, &end))
        return KERN_INVALID_ARGUMENT;
    mem_lock();
    if (madvise((void *)start, end - start,
                inheritance == VM_INHERIT_NONE ? MADV_DONTFORK : MADV_DOFORK))
        rc = errno == ENOMEM ? -EFAULT : -errno;
    if (rc == 0 && inheritance == VM_INHERIT_SHARE)
        rc = adopt_foreign(start, end);
    if (rc == 0)
        rc = each_range(start, end, set_inherit, inheritance);
    mem_unlock();
    return error_of(-rc);
}

/* May all of it be read, or written? Memory that is there but forbidden is another error than no
 * memory. */
static kern_return_t access_to(uint64_t start, uint64_t size, bool writing)
{
    struct mapping m;

    for (uint64_t at = mem_trunc(start, vm_page_size); at < start + size; at = m.end)
        if (mem_query(at, &m) || m.start > at)
            return KERN_INVALID_ADDRESS;
        else if (writing ? !m.writable : !m.readable)
            return KERN_PROTECTION_FAILURE;
    return KERN_SUCCESS;
}

/* As if all were read before any is written, also where the two overlap. */
static int move(uint64_t to, uint64_t from, uint64_t n)
{
    unsigned char part[16384];

    if (to >= from + n || from >= to + n)
        return mem_copy_checked(to, from, n);
    for (uint64_t left = n; left > 0;) {
        const uint64_t len = left < sizeof part ? left : sizeof part;
        const uint64_t at = to > from ? left - len : n - left;

        if (mem_copy_checked((uint64_t)part, from + at, len) ||
            mem_copy_checked(to + at, (uint64_t)part, len))
            return -EFAULT;
        left -= len;
    }
    return 0;
}

/* Nothing is written unless all can be read and written. */
static kern_return_t copy_memory(uint64_t to, uint64_t from, uint64_t n)
{
    kern_return_t kr = access_to(from, n, false);

    if (kr == KERN_SUCCESS)
        kr = access_to(to, n, true);
    if (kr == KERN_SUCCESS && move(to, from, n))
        kr = KERN_INVALID_ADDRESS;
    return kr;
}

kern_return_t mach_vm_read(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                           vm_offset_t *data, mach_msg_type_number_t *data_count)
{
    const struct wanted w = {.size = mem_round(size),
                             .flags = VM_FLAGS_ANYWHERE,
                             .prot = VM_PROT_DEFAULT,
                             .max_prot = VM_PROT_ALL,
                             .inherit = VM_INHERIT_DEFAULT};
    uint64_t at = 0;
    kern_return_t kr;

    if (task != NAME_TASK || size > UINT32_MAX || address + size < address)
        return KERN_INVALID_ARGUMENT;
    /* First: the new memory could come to lie in the gap that is to be read. */
    kr = access_to(address, size, false);
    if (kr == KERN_SUCCESS)
        kr = allocate(task, &at, &w);
    if (kr == KERN_SUCCESS && mem_copy_checked(at, address, size)) {
        ool_release(at, at + w.size);
        kr = KERN_INVALID_ADDRESS;
    }
    if (kr == KERN_SUCCESS) {
        *data = at;
        *data_count = (mach_msg_type_number_t)size;
    }
    return kr;
}

kern_return_t mach_vm_read_overwrite(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                                     mach_vm_address_t data, mach_vm_size_t *out_size)
{
    kern_return_t kr;

    if (task != NAME_TASK || address + size < address || data + size < data)
        return KERN_INVALID_ARGUMENT;
    kr = copy_memory(data, address, size);
    if (kr != KERN_SUCCESS)
        return kr;
    *out_size = size;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_write(vm_map_t task, mach_vm_address_t address, vm_offset_t data,
                            mach_msg_type_number_t data_count)
{
    if (task != NAME_TASK || address + data_count < address || data + data_count < data)
        return KERN_INVALID_ARGUMENT;
    return copy_memory(address, data, data_count);
}

kern_return_t mach_vm_copy(vm_map_t task, mach_vm_address_t source, mach_vm_size_t size,
                           mach_vm_address_t destination)
{
    mach_vm_size_t done;

    return mach_vm_read_overwrite(task, source, size, destination, &done);
}

kern_return_t vm_allocate(vm_map_t task, vm_address_t *address, vm_size_t size, int flags)
{
    mach_vm_address_t at = *address;
    kern_return_t kr = mach_vm_allocate(task, &at, size, flags);

    if (kr == KERN_SUCCESS)
        *address = (vm_address_t)at;
    return kr;
}

kern_return_t vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size)
{
    return mach_vm_deallocate(task, address, size);
}

kern_return_t vm_protect(vm_map_t task, vm_address_t address, vm_size_t size, boolean_t set_maximum,
                         vm_prot_t protection)
{
    return mach_vm_protect(task, address, size, set_maximum, protection);
}

kern_return_t vm_inherit(vm_map_t task, vm_address_t address, vm_size_t size,
                         vm_inherit_t inheritance)
{
    return mach_vm_inherit(task, address, size, inheritance);
}

kern_return_t vm_read(vm_map_t task, vm_address_t address, vm_size_t size, vm_offset_t *data,
                      mach_msg_type_number_t *data_count)
{
    return mach_vm_read(task, address, size, data, data_count);
}

kern_return_t vm_read_overwrite(vm_map_t task, vm_address_t address, vm_size_t size,
                                vm_address_t data, vm_size_t *out_size)
{
    mach_vm_size_t done = 0;
    kern_return_t kr = mach_vm_read_overwrite(task, address, size, data, &done);

    if (kr == KERN_SUCCESS)
        *out_size = (vm_size_t)done;
    return kr;
}

kern_return_t vm_write(vm_map_t task, vm_address_t address, vm_offset_t data,
                       mach_msg_type_number_t data_count)
{
    return mach_vm_write(task, address, data, data_count);
}

kern_return_t vm_copy(vm_map_t task, vm_address_t source, vm_size_t size, vm_address_t destination)
{
    return mach_vm_copy(task, source, size, destination);
}

kern_return_t vm_map(vm_map_t task, vm_address_t *address, vm_size_t size, vm_address_t mask,
                     int flags, mem_entry_name_port_t object, vm_offset_t offset, boolean_t copy,
                     vm_prot_t cur_protection, vm_prot_t max_protection, vm_inherit_t inheritance)
{
    mach_vm_address_t at = *address;
    kern_return_t kr = mach_vm_map(task, &at, size, mask, flags, object, offset, copy,
                                   cur_protection, max_protection, inheritance);

    if (kr == KERN_SUCCESS)
        *address = (vm_address_t)at;
    return kr;
}
