/* vm_copy: vm_* and mach_vm_* that copy this process's memory: read, write, copy. */
#include "lab/machmsg/memory/copy.h"
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/ports/port.h"
#include <errno.h>
#include <mach/mach_vm.h>
#include <mach/vm_map.h>
#include <mach/vm_page_size.h>

/* May all of it be read, or written? Memory that is there but forbidden is another error than no
 * memory. */
static kern_return_t access_to(uint64_t start, uint64_t size, bool writing)
{
    struct mapping m;

    for (uint64_t at = mem_trunc(start); at < start + size; at = m.end) {
        int rc = mem_query(at, &m);

        if (rc && rc != -ENOENT)
            return KERN_RESOURCE_SHORTAGE;
        if (rc || m.start > at)
            return KERN_INVALID_ADDRESS;
        if (writing ? !m.writable : !m.readable)
            return KERN_PROTECTION_FAILURE;
    }
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
    mach_vm_address_t at = 0;
    kern_return_t kr;

    if (task != NAME_TASK || size > UINT32_MAX || address + size < address)
        return KERN_INVALID_ARGUMENT;
    /* First: the new memory could come to lie in the gap that is to be read. */
    kr = access_to(address, size, false);
    if (kr == KERN_SUCCESS)
        kr = mach_vm_allocate(task, &at, size, VM_FLAGS_ANYWHERE);
    if (kr == KERN_SUCCESS && mem_copy_checked(at, address, size)) {
        mem_release(at, size);
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

SAME_CALL(vm_read, mach_vm_read);
SAME_CALL(vm_read_overwrite, mach_vm_read_overwrite);
SAME_CALL(vm_write, mach_vm_write);
SAME_CALL(vm_copy, mach_vm_copy);
