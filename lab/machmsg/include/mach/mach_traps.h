#ifndef COWLAB_MACH_MACH_TRAPS_H
#define COWLAB_MACH_MACH_TRAPS_H

#include <mach/mach_types.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

/* A new port; the caller holds its receive right. */
mach_port_name_t mach_reply_port(void);
mach_port_name_t mach_thread_self(void);
mach_port_name_t mach_host_self(void);

__END_DECLS

#endif
