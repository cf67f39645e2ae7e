/* slurp: whole files of /proc, which have no size and lines of any length.
 *
 * Owns: a growing buffer that is meant to be reused from look to look.
 * Promises: the text ends with a NUL that is not part of len.
 * Lifetime: slurp_release frees the buffer; a zeroed struct is an empty one. */
#ifndef PROBES_SLURP_H
#define PROBES_SLURP_H

#include <stddef.h>

struct slurp {
    char *text;
    size_t len, cap;
    unsigned int calls; /* read calls of the last slurp */
};

/* Reads fd from its start to its end. 0, or a negative errno (no message: the caller knows what
 * the file was). An empty file is success with len 0. */
int slurp_fd(struct slurp *s, int fd);
int slurp_path(struct slurp *s, const char *path);
void slurp_release(struct slurp *s);

/* The number behind "key" at the start of a line ("VmHWM:\t  1234 kB"): 0, or -ENOENT. */
int slurp_number(const struct slurp *s, const char *key, unsigned long long *value);

#endif
