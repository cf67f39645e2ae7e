/* talk: the conversation with the actors of a run.
 *
 * Promises: every wait has a deadline and notices the death of any actor, of the keeper, and the
 * user's interrupt. Owns nothing: the group is actors.h's. */
#pragma once

#include "lab/linux/actors.h"

/* Descriptors that came with a reply; the caller closes them. */
struct reply_fds {
    int fd[ACTOR_PARTS];
    int count;
};

/* Sends rq (magic and seq are filled in) with pass_fd (-1 none) and waits for the answer. pages:
 * how many the action touches, for the deadline. Returns when the actor waits for the next request,
 * so that a look finds it still. An error the actor reports comes back as its
 * negative errno with its message. */
int actor_call(struct actor_group *g, size_t index, struct actor_request *rq, int pass_fd,
               uint64_t pages, struct actor_reply *out, struct reply_fds *fds, struct err *e);

/* The same in two halves, for a step that several actors carry out at the same time. */
int actor_ask(struct actor_group *g, size_t index, struct actor_request *rq, int pass_fd,
              struct err *e);
int actor_answer(struct actor_group *g, size_t index, const struct actor_request *rq,
                 uint64_t pages, struct actor_reply *out, struct reply_fds *fds, struct err *e);
/* In between: waits until the actor is ready for the others to begin. */
int actor_await_ready(struct actor_group *g, size_t index, const struct actor_request *rq,
                      struct actor_reply *out, struct err *e);

/* Is everybody still there? Does not wait. */
int actor_group_check(struct actor_group *g, struct err *e);
/* For what actors.c starts. Milliseconds for an action that touches this many pages. */
int64_t talk_allowed_ms(const struct actor_group *g, uint64_t pages);
/* Waits until fd is readable, an actor or the keeper dies, the user interrupts, or the time is
 * over. awaited: the actor whose death is what we wait for, or -1. until: by now_ms(). 0, or a
 * negative errno. */
int talk_await(struct actor_group *g, int fd, int awaited, int64_t until, int64_t allowed,
               struct err *e);
/* An actor's first word. */
int talk_await_hello(struct actor_group *g, size_t index, struct err *e);
/* How a process that is gone ended, as far as we can know: -ECHILD. */
int talk_report_death(const struct actor_group *g, const char *who, pid_t pid, int pidfd,
                      struct err *e);
