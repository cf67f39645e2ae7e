/* actors: real processes of a run on Linux. The conversation with them is talk.h's.
 *
 * Owns: the actors' processes, their control sockets, the keeper that cleans up after a lab that
 * was killed, the run's memory cgroup and its private directory.
 * Promises: actor_group_end leaves no process, cgroup or file behind.
 * Does not: know scenarios; read page state.
 *
 *     actor_group_begin -> actor_spawn / actor_call ... -> actor_group_end */
#pragma once

#include "lab/linux/protocol.h"
#include "lab/linux/rundir.h"
#include "lab/run/backend.h"
#include "probes/err.h"
#include "probes/value.h"
#include <stdbool.h>
#include <sys/types.h>

struct actor_process {
    char *name;
    pid_t pid;
    int pidfd;
    int control;
    bool alive;
};

struct actor_group {
    const struct backend_options *opt;
    char program[4096];    /* the actor program */
    char dir[RUN_DIR_MAX]; /* the run's private directory */
    int lock;              /* ... which is ours while this is open */
    char cgroup[4200];     /* "" if none */
    pid_t lab;             /* who begins the group */
    pid_t keeper;          /* also the process group of all actors */
    int keeper_pipe, keeper_pidfd;
    pid_t helper;
    int helper_pidfd; /* the run's name server, or -1 */
    struct actor_process *actors;
    size_t nactors;
    int cpu; /* that all actors run on; -1 unknown */
    uint64_t seq;
    struct value oom_kills; /* when the run began */
};

/* want_cgroup: join a memory cgroup of the run's own if the machine lets us. */
int actor_group_begin(struct actor_group *g, const struct backend_options *opt, bool want_cgroup,
                      struct err *e);
void actor_group_end(struct actor_group *g);

/* Starts an actor; index into g->actors, or a negative errno. */
int actor_spawn(struct actor_group *g, const char *name, struct err *e);
/* Starts the run's one helper program in its process group (argv NULL-terminated) and waits until
 * it has printed that it is ready. */
int actor_group_helper(struct actor_group *g, char *const argv[], struct err *e);

/* Forks actor `index`; the child becomes a new actor. Its index, or a negative errno. */
int actor_fork_off(struct actor_group *g, size_t index, const char *child, struct actor_reply *out,
                   struct err *e);
/* Waits until an actor that was told to exit is gone. */
int actor_await_exit(struct actor_group *g, size_t index, struct err *e);
