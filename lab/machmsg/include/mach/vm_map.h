/* Virtual memory calls with pointer-sized addresses. task must be mach_task_self(). */
#ifndef COWLAB_MACH_VM_MAP_H
#define COWLAB_MACH_VM_MAP_H

#include <mach/mach_types.h>
#include <mach/vm_page_size.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

kern_return_t vm_allocate(vm_map_t task, vm_address_t *address, vm_size_t size, int flags);
kern_return_t vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size);
kern_return_t vm_protect(vm_map_t task, vm_address_t address, vm_size_t size, boolean_t set_maximum,
                         vm_prot_t protection);
kern_return_t vm_inherit(vm_map_t task, vm_address_t address, vm_size_t size,
                         vm_inherit_t inheritance);
kern_return_t vm_read(vm_map_t task, vm_address_t address, vm_size_t size, vm_offset_t *data,
                      mach_msg_type_number_t *data_count);
kern_return_t vm_read_overwrite(vm_map_t task, vm_address_t address, vm_size_t size,
                                vm_address_t data, vm_size_t *out_size);
kern_return_t vm_write(vm_map_t task, vm_address_t address, vm_offset_t data,
                       mach_msg_type_number_t data_count);
kern_return_t vm_copy(vm_map_t task, vm_address_t source, vm_size_t size, vm_address_t destination);
kern_return_t vm_map(vm_map_t task, vm_address_t *address, vm_size_t size, vm_address_t mask,
                     int flags, mem_entry_name_port_t object, vm_offset_t offset, boolean_t copy,
                     vm_prot_t cur_protection, vm_prot_t max_protection, vm_inherit_t inheritance);
kern_return_t vm_region_64(vm_map_t task, vm_address_t *address, vm_size_t *size,
                           vm_region_flavor_t flavor, vm_region_info_t info,
                           mach_msg_type_number_t *info_count, mach_port_t *object);
kern_return_t vm_region_recurse_64(vm_map_t task, vm_address_t *address, vm_size_t *size,
                                   natural_t *depth, vm_region_recurse_info_64_t info,
                                   mach_msg_type_number_t *info_count);

__END_DECLS

#endif
