/* What the generated stubs expect of their environment; implemented in ../../lib.c. */
#ifndef _MACH_MIG_SUPPORT_H_
#define _MACH_MIG_SUPPORT_H_

#include <mach/machine/vm_types.h>
#include <mach/message.h>
#include <stddef.h>

mach_port_t mig_get_reply_port(void);
void mig_put_reply_port(mach_port_t port);
void mig_dealloc_reply_port(mach_port_t port);
void mig_allocate(vm_offset_t *address, vm_size_t size);
void mig_deallocate(vm_offset_t address, vm_size_t size);
size_t mig_strncpy(char *to, const char *from, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
