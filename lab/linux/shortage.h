/* shortage: which limit of the machine it was that an actor ran into, so far as it can be seen from
 * outside. */
#pragma once

#include "lab/linux/protocol.h"
#include "probes/err.h"
#include "probes/value.h"
#include <sys/types.h>

/* Appends to e, which says that the kernel refused the request with this errno, the limit that was
 * reached, with its numbers: only one that was, nothing if none is seen. */
void shortage_explain(struct err *e, pid_t pid, const struct actor_request *rq, int error);
/* The same of a fork that failed with rc, which is returned. */
int shortage_explain_fork(struct err *e, int rc);
/* Appends to e, which says that a process was killed by this signal, what that signal means there.
 * oom_kills: as they were when the run began. */
void shortage_explain_death(struct err *e, int signal, struct value oom_kills);
/* Processes that the kernel has killed for want of memory since it booted. */
struct value shortage_oom_kills(void);
/* With vm.overcommit_memory=2: how many bytes of private memory can still be mapped; unknown: the
 * kernel does not count beforehand. */
struct value shortage_commit_left(void);
