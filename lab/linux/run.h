/* linux_run: the state of one run on Linux, shared by the files of this backend. */
#ifndef LAB_LINUX_RUN_H
#define LAB_LINUX_RUN_H

#include "lab/linux/actors.h"
#include "lab/linux/regions.h"

/* What one actor of the scenario has; the process itself is in the group, under the same index. */
struct holder {
    struct held_regions regions;
    char *last_from; /* who sent the message that it received last, or NULL */
};

struct backend_run {
    const struct plan *plan;
    struct actor_group group;
    struct holder *holders; /* one per actor of the group that has come up */
    size_t nholders;
    struct carried_list carried;
    struct observer *observer;
    bool messages; /* the plan sends messages: a name server runs, actors have ports */
};

/* A step under way: the actor that acts, the region it names (or NULL), request and answer. */
struct doing {
    struct backend_run *run;
    const struct step *step;
    size_t index;
    struct held_region *region;
    struct actor_request rq;
    struct actor_reply reply;
    struct step_result *out;
};

/* The request in d->rq to the acting actor; its answer is in d->reply. */
int linux_call(struct doing *d, struct reply_fds *fds, struct err *e);
struct held_regions *linux_held(struct doing *d);
int linux_no_memory(struct err *e);

/* message.c: ool_send, ool_receive, send, receive, reply. */
int linux_message_step(struct doing *d, struct err *e);

#endif
