#ifndef COWLAB_MACH_TASK_H
#define COWLAB_MACH_TASK_H

#include <mach/mach_types.h>
#include <mach/task_special_ports.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

kern_return_t task_get_special_port(task_t task, int which, mach_port_t *port);
/* Gives the task a new bootstrap port. A forked child inherits it, and nothing else of the port
 * space. */
kern_return_t task_set_special_port(task_t task, int which, mach_port_t port);

__END_DECLS

#endif
