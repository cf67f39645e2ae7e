#ifndef COWLAB_MACH_MACH_INIT_H
#define COWLAB_MACH_MACH_INIT_H

#include <mach/mach_traps.h>
#include <mach/mach_types.h>
#include <mach/vm_page_size.h>

#ifdef __cplusplus
extern "C" {
#endif

extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task() mach_task_self()

extern mach_port_t bootstrap_port;

#ifdef __cplusplus
}
#endif

#endif
