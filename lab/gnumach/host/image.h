/* image: the guest with its plan, as a file that exists in memory alone. */
#ifndef LAB_GNUMACH_HOST_IMAGE_H
#define LAB_GNUMACH_HOST_IMAGE_H

#include "probes/err.h"
#include <stddef.h>

/* guest: the program's path. A descriptor that the caller closes, or a negative errno. */
int image_make(const char *guest, const void *plan, size_t plan_len, struct err *e);

#endif
