/* linux_cgroup: a memory cgroup of the run's own, v1 or v2, where the machine allows one. */
#pragma once

#include "probes/value.h"
#include <stdbool.h>
#include <sys/types.h>

/* Writes the path that it will have, below the lab's own memory cgroup; -1 if there is none. name
 * begins with a slash. */
int run_cgroup_name(const char *name, char *path, size_t size);
/* Makes it; -1 if that is not allowed. */
int run_cgroup_make(const char *path);
/* fork(2). *inside: the child is born in that cgroup; else it moves itself there, if there is one.
 */
pid_t run_cgroup_fork(const char *path, bool *inside);
/* Moves the calling process into it; async-signal-safe (called between fork and exec). */
int run_cgroup_join(const char *path);

/* The most memory that the cgroup has had since, in KiB. begin: what it has now. Both are unknown
 * without a cgroup (""), the peak also where the kernel cannot forget an earlier one that was
 * higher. */
struct run_peak {
    int fd;
    bool forgot;
    struct value before; /* the peak until then */
};
struct value run_peak_begin(struct run_peak *p, const char *cgroup);
struct value run_peak_end(struct run_peak *p);
