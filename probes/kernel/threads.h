/* threads: where the stacks of a process's threads are, and which of them shows its memory.
 *
 * Owns: the stack pointers read last. Promises: a thread whose stack pointer may not be read, or
 * that runs at this moment, has none here; what could not be opened for want of descriptors or
 * memory is in `failed`. Lifetime: starts zeroed; threads_release. */
#pragma once

#include "probes/slurp.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct threads {
    int n;            /* of the process, by its stat; 0: not known */
    uint64_t *stacks; /* ascending */
    size_t nstacks, cap;
    int failed; /* a negative errno; 0: nothing has */
    struct slurp text;
};

/* n: the process's number of threads. With one there is nothing to read. */
void threads_read(struct threads *t, pid_t pid, int n, struct probe_cost *cost);
bool threads_have_stack(const struct threads *t, uint64_t start, uint64_t end);
/* By which number the process's memory is seen: its own; where its first thread has ended before
 * others, which hides it (/proc/PID/maps is empty then), that of one of those. */
pid_t threads_living(pid_t pid);
void threads_release(struct threads *t);
