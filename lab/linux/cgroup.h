/* linux_cgroup: a memory cgroup of the run's own, v1 or v2, where the machine allows one. */
#ifndef LAB_LINUX_CGROUP_H
#define LAB_LINUX_CGROUP_H

#include <sys/types.h>

/* Writes the path that it will have, below the lab's own memory cgroup; -1 if there is none. */
int run_cgroup_name(char *path, size_t size);
/* Makes it; -1 if that is not allowed. */
int run_cgroup_make(const char *path);
/* fork(2) whose child is in it, or exits with 125; "": plain fork. */
pid_t run_cgroup_fork(const char *path);
/* Removes it once its last process is gone; waits up to a second for that. */
void run_cgroup_remove(const char *path);

#endif
