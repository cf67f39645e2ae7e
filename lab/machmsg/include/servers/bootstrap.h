/* The name server: services by name, for the programs of one user. */
#ifndef COWLAB_SERVERS_BOOTSTRAP_H
#define COWLAB_SERVERS_BOOTSTRAP_H

#include <mach/mach.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

#define BOOTSTRAP_MAX_NAME_LEN 128
#define BOOTSTRAP_MAX_CMD_LEN 512

typedef char name_t[BOOTSTRAP_MAX_NAME_LEN];
typedef char cmd_t[BOOTSTRAP_MAX_CMD_LEN];
typedef name_t *name_array_t;

#define BOOTSTRAP_SUCCESS 0
#define BOOTSTRAP_NOT_PRIVILEGED 1100
#define BOOTSTRAP_NAME_IN_USE 1101
#define BOOTSTRAP_UNKNOWN_SERVICE 1102
#define BOOTSTRAP_SERVICE_ACTIVE 1103
#define BOOTSTRAP_BAD_COUNT 1104
#define BOOTSTRAP_NO_MEMORY 1105
#define BOOTSTRAP_NO_CHILDREN 1106

/* Makes a port, registers a send right to it and gives the receive right to the caller. */
kern_return_t bootstrap_check_in(mach_port_t bp, const char *service_name,
                                 mach_port_t *service_port);
/* Registers the caller's send right under a name; MACH_PORT_NULL takes the name back. A name whose
 * port has died is free. */
kern_return_t bootstrap_register(mach_port_t bp, const char *service_name,
                                 mach_port_t service_port);
kern_return_t bootstrap_look_up(mach_port_t bp, const char *service_name,
                                mach_port_t *service_port);
/* Is there a service of that name? *active is then TRUE. */
kern_return_t bootstrap_status(mach_port_t bp, const char *service_name, boolean_t *active);
const char *bootstrap_strerror(kern_return_t code);

__END_DECLS

#endif
