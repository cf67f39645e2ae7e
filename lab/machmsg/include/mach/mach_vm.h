/* Virtual memory calls with 64-bit addresses. task must be mach_task_self(). */
#ifndef COWLAB_MACH_MACH_VM_H
#define COWLAB_MACH_MACH_VM_H

#include <mach/mach_types.h>
#include <mach/vm_page_size.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

kern_return_t mach_vm_allocate(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size,
                               int flags);
kern_return_t mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size);
kern_return_t mach_vm_protect(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                              boolean_t set_maximum, vm_prot_t protection);
kern_return_t mach_vm_inherit(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                              vm_inherit_t inheritance);
kern_return_t mach_vm_read(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                           vm_offset_t *data, mach_msg_type_number_t *data_count);
kern_return_t mach_vm_read_overwrite(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size,
                                     mach_vm_address_t data, mach_vm_size_t *out_size);
kern_return_t mach_vm_write(vm_map_t task, mach_vm_address_t address, vm_offset_t data,
                            mach_msg_type_number_t data_count);
kern_return_t mach_vm_copy(vm_map_t task, mach_vm_address_t source, mach_vm_size_t size,
                           mach_vm_address_t destination);
kern_return_t mach_vm_map(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size,
                          mach_vm_offset_t mask, int flags, mem_entry_name_port_t object,
                          memory_object_offset_t offset, boolean_t copy, vm_prot_t cur_protection,
                          vm_prot_t max_protection, vm_inherit_t inheritance);
kern_return_t mach_vm_purgable_control(vm_map_t task, mach_vm_address_t address,
                                       vm_purgable_t control, int *state);
/* The region that holds *address, or the next one above it. object comes back as
 * MACH_PORT_NULL. */
kern_return_t mach_vm_region(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t *size,
                             vm_region_flavor_t flavor, vm_region_info_t info,
                             mach_msg_type_number_t *info_count, mach_port_t *object);
/* There are no submaps on Linux: *depth comes back as 0. */
kern_return_t mach_vm_region_recurse(vm_map_t task, mach_vm_address_t *address,
                                     mach_vm_size_t *size, natural_t *depth,
                                     vm_region_recurse_info_t info,
                                     mach_msg_type_number_t *info_count);

__END_DECLS

#endif
