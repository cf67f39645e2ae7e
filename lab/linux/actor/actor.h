/* actor: a real process that carries out one action of a scenario at a time.
 *
 * Small on purpose (what the lab sees in it should be the scenario's memory): no heap of its own,
 * no stdio. It does what it is told, says what that cost, and exits when the lab is gone.
 *
 *     main.c     the loop: request in, reply out; fork and exec
 *     memory.c   map, write, read, move, protect, ...: everything that touches regions
 *     mach.c     messages: the actions that need lab/machmsg
 *     keeper.c   not an actor: the process that cleans up when the lab dies */
#ifndef LAB_LINUX_ACTOR_ACTOR_H
#define LAB_LINUX_ACTOR_ACTOR_H

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
};

/* Sets reply.error and message; returns -1. */
int actor_fail(struct actor *a, int error, const char *message);
/* Sends a progress note. */
void actor_progress(struct actor *a, uint64_t done, uint64_t total);

/* Clock and fault counters around the measured part of an action. */
struct cost_meter {
    uint64_t ns, minflt, majflt;
};
void cost_begin(struct cost_meter *m);
void cost_end(const struct cost_meter *m, struct actor_reply *r);

/* Each carries out a->in and fills a->out; 0, or -1 after actor_fail. */
int actor_map(struct actor *a);
int actor_touch(struct actor *a); /* write and read */
int actor_unmap(struct actor *a);
int actor_move(struct actor *a);
int actor_protect(struct actor *a);
int actor_lock(struct actor *a);
int actor_inherit(struct actor *a);
int actor_madvise(struct actor *a);
/* ool_send, ool_receive, send, receive, reply; memory of the kinds ordinary and purgeable. */
int actor_mach(struct actor *a);
int actor_mach_map(struct actor *a);
int actor_mach_unmap(struct actor *a);
int actor_mach_inherit(struct actor *a);

int keeper_main(int argc, char **argv);

#endif
