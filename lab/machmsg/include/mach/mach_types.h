/* Names for ports by what they stand for, and array types. */
#ifndef COWLAB_MACH_MACH_TYPES_H
#define COWLAB_MACH_MACH_TYPES_H

#include <mach/boolean.h>
#include <mach/kern_return.h>
#include <mach/port.h>
#include <mach/vm_behavior.h>
#include <mach/vm_inherit.h>
#include <mach/vm_prot.h>
#include <mach/vm_purgable.h>
#include <mach/vm_region.h>
#include <mach/vm_statistics.h>
#include <mach/vm_types.h>

typedef mach_port_t task_t;
typedef mach_port_t task_name_t;
typedef mach_port_t thread_t;
typedef mach_port_t thread_act_t;
typedef mach_port_t host_t;
typedef mach_port_t host_priv_t;
typedef mach_port_t ipc_space_t;
typedef mach_port_t vm_map_t;
typedef mach_port_t vm_task_entry_t;
typedef mach_port_t mem_entry_name_port_t;
typedef mach_port_t memory_object_t;

#define TASK_NULL ((task_t)0)
#define THREAD_NULL ((thread_t)0)
#define HOST_NULL ((host_t)0)
#define VM_MAP_NULL ((vm_map_t)0)
#define MEMORY_OBJECT_NULL ((memory_object_t)0)

#endif
