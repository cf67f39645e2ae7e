/* actor: a real process that carries out one action of a scenario at a time.
 *
 * Small on purpose (what the lab sees in it should be the scenario's memory): no heap of its own,
 * no stdio. It does what it is told, says what that cost, and exits when the lab is gone.
 *
 *     main.c     the loop: request in, reply out; each action is one function, found by its row in
 *                lab/actions.h; those about the process itself: fork, exec, exit, wait
 *     memory.c   map, write, read, move, protect, ...: everything that touches regions
 *     handover.c hand over, take: each way for memory to change hands
 *     mach.c     messages: the actions that need lab/machmsg
 *     snapshot.c a copy of one moment, while a thread writes; writer.h that thread
 *     times.c    how long single touches took
 *     call.c     below them: requests, replies, progress, the meters around an action
 *     keeper.c   not an actor: the process that cleans up when the lab dies */
#pragma once

#include "lab/linux/protocol.h"
#include <stddef.h>

#define MAX_SENT_FDS 16

struct actor {
    int control; /* socket to the lab */
    const char *program;
    struct actor_request in;
    struct actor_reply out;
    int passed_fd;              /* descriptor that came with the request, or -1 */
    int send_fds[MAX_SENT_FDS]; /* to go with the reply; closed after */
    int nsend_fds;
    struct cost_meter { /* clock and fault counters as the measured part of an action began */
        uint64_t ns, cpu_ns, minflt, majflt;
    } began;
};

/* Reads one request, or exits if the lab is gone; answers it. */
void actor_receive(struct actor *a);
void actor_reply(struct actor *a);
/* Sets reply.error and message; returns -1. */
int actor_fail(struct actor *a, int error, const char *message);
/* Sends a progress note. */
void actor_progress(struct actor *a, uint64_t done, uint64_t total);

/* Says that the measured part begins. */
void actor_ready(struct actor *a);

/* Around the measured part of an action; what it cost goes into the reply. */
void cost_begin(struct actor *a);
void cost_end(struct actor *a);

/* Memory for the times of touches, and its object; NULL after actor_fail. times_end: it is the
 * actor's no more; unless the action failed (rc), it goes with the reply. */
struct actor_times *times_begin(struct actor *a, int *fd);
void times_end(struct actor *a, struct actor_times *t, int fd, int rc);
/* A touch that was to begin at `from`, began and ended; *last: the end of the one before, 0 none.
 */
static inline void times_note(struct touch_times *t, uint64_t from, uint64_t began, uint64_t ended,
                              uint64_t *last)
{
    if (*last && began - *last > t->gap_ns)
        t->gap_ns = began - *last;
    histogram_add(&t->times, ended - from);
    *last = ended;
}

/* actor_ACT_MAP, actor_ACT_WRITE, ...: each carries out a->in and fills a->out; 0, or -1 after
 * actor_fail. */
#define ACTION_FUNCTION(e, ...) int actor_##e(struct actor *a);
ACTIONS(ACTION_FUNCTION)
#undef ACTION_FUNCTION

/* memory.c. Address space for len bytes between inaccessible neighbours, so that no entry merges,
 * aligned for huge pages if it has room for one; NULL after actor_fail. */
void *actor_hole(struct actor *a, size_t len);
/* The descriptor of the object that is mapped there stays open, and is found again; -1: unknown. */
void actor_keep_object(uint64_t start, int fd);
int actor_object(uint64_t start);

/* mach.c. A port of the actor's own under the name a->in.to; memory of the kinds ordinary and
 * purgeable. */
int actor_take_port(struct actor *a);
int actor_mach_map(struct actor *a);
int actor_mach_unmap(struct actor *a);
int actor_mach_inherit(struct actor *a);
/* The range of the request, sent out of line to the actor itself: a copy of it, and how that was
 * done in a->out.snapshot. */
int actor_mach_copy_begin(struct actor *a);
int actor_mach_copy(struct actor *a, char **copy);
void actor_mach_copy_end(char *copy, uint64_t len); /* copy may be NULL */

int keeper_main(int argc, char **argv);
