#ifndef COWLAB_MACH_MACH_INIT_H
#define COWLAB_MACH_MACH_INIT_H

#include <mach/mach_traps.h>
#include <mach/mach_types.h>
#include <mach/vm_page_size.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task() mach_task_self()

extern mach_port_t bootstrap_port;

__END_DECLS

#endif
