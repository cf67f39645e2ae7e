/* rundir: a run's private directory, and the tidying up after runs whose lab was killed.
 *
 * A directory belongs to the lab that holds its lock (flock(2)), which the kernel gives up when the
 * lab dies, however it dies. What else the run made stands in it: the path of its cgroup as a link
 * that was there before the cgroup. So whoever gets the lock of a directory of the same user may
 * remove what a run makes in it: the lab at the end of its run, its keeper, or the next run. */
#pragma once

#include "probes/err.h"
#include <stdint.h>
#include <sys/types.h>

#define RUN_DIR_MAX 96 /* a socket in it must fit unix(7)'s 108 */

/* Chooses its path, in $TMPDIR unless that is too long. */
void run_dir_name(char path[RUN_DIR_MAX]);
/* Makes it and takes its lock: a descriptor that is open for as long as the run lasts. cgroup: that
 * will be made, or "". -ETIMEDOUT: who tidies up has the lock and does not go on. */
int run_dir_make(const char *path, const char *cgroup, int64_t allowed_ms, struct err *e);
/* Removes it with what a run makes there, if it has no owner, and kills who still is in its cgroup;
 * lock: of the owner, or -1. 0; -EBUSY: it has one, or a process there does not die; -ENOTEMPTY:
 * something else stands in it. */
int run_dir_remove(const char *path, int lock);

/* Calls with each directory that has no owner; only those of the same user can be removed. */
typedef void run_dir_visit(void *arg, const char *path, uid_t user);
void run_dirs_left(run_dir_visit *visit, void *arg);
/* Removes those of this user. */
void run_dirs_tidy(void);
