/* system: what the machine and a memory cgroup say about memory in use.
 *
 * Owns nothing. Promises: KiB; what cannot be read is unknown with its reason.
 * A memory cgroup's usage is not exact: the kernel charges in batches of 64 pages per CPU, so it
 * comes with a tolerance. v1 and v2 differ in file names; both are known here.
 * Does not: create or remove cgroups (the backend does, below system_cgroup_parent). */
#pragma once

#include "probes/err.h"
#include "probes/slurp.h"
#include "probes/value.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Does the comma-separated list hold the word? NULL: an empty one. */
bool list_names(const char *list, const char *word);

/* totals: an array of TQ__COUNT values; fills those that /proc/meminfo gives. */
void system_read_meminfo(struct value *totals, struct slurp *buffer, struct probe_cost *cost);

/* Fills TQ_SYSTEM, TQ_SYSTEM_TOLERANCE and TQ_CGROUP_LIMIT from the cgroup directory, and returns
 * in words what TQ_SYSTEM is (static text), or NULL if it cannot be read. cgroup may be NULL. */
const char *system_read_cgroup(const char *cgroup, uint64_t page_size, struct value *totals,
                               struct slurp *buffer, struct probe_cost *cost);

/* The directory of the calling process's own memory cgroup, where a child cgroup may be made:
 * returns the version, 1 or 2; 0 if there is none, with the reason in *e. */
int system_cgroup_parent(char *path, size_t size, struct err *e);
/* The same for any process (0: the calling one). */
int system_cgroup_of(pid_t pid, char *path, size_t size, struct err *e);

/* How often the cgroup ran into its limits since it was made; not applicable where the version
 * does not count it. */
struct cgroup_events {
    struct value high, max, oom, oom_kill;
};
void system_read_cgroup_events(const char *cgroup, struct cgroup_events *out, struct slurp *buffer);
