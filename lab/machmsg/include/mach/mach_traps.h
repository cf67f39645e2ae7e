#ifndef COWLAB_MACH_MACH_TRAPS_H
#define COWLAB_MACH_MACH_TRAPS_H

#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new port; the caller holds its receive right. */
mach_port_name_t mach_reply_port(void);
mach_port_name_t mach_thread_self(void);
mach_port_name_t mach_host_self(void);

#ifdef __cplusplus
}
#endif

#endif
