#ifndef COWLAB_MACH_MACH_ERROR_H
#define COWLAB_MACH_MACH_ERROR_H

#include <mach/kern_return.h>
#include <sys/cdefs.h>

typedef kern_return_t mach_error_t;

__BEGIN_DECLS

/* A sentence for any return code of Mach or of the name server; never NULL. */
char *mach_error_string(mach_error_t code);
/* Prints "text: sentence" to the standard error stream. */
void mach_error(const char *text, mach_error_t code);

__END_DECLS

#endif
