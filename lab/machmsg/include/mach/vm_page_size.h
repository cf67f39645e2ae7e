#ifndef COWLAB_MACH_VM_PAGE_SIZE_H
#define COWLAB_MACH_VM_PAGE_SIZE_H

#include <mach/vm_types.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

/* Set before main() runs. */
extern vm_size_t vm_page_size;
extern vm_size_t vm_page_mask;
extern int vm_page_shift;
extern vm_size_t vm_kernel_page_size;
extern vm_size_t vm_kernel_page_mask;
extern int vm_kernel_page_shift;

#define trunc_page(x) ((x) & (~(vm_page_size - 1)))
#define round_page(x) trunc_page((x) + (vm_page_size - 1))
#define mach_vm_trunc_page(x) ((mach_vm_offset_t)(x) & ~((mach_vm_offset_t)vm_page_mask))
#define mach_vm_round_page(x)                                                                      \
    (((mach_vm_offset_t)(x) + (mach_vm_offset_t)vm_page_mask) & ~((mach_vm_offset_t)vm_page_mask))

__END_DECLS

#endif
