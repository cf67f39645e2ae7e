/* linux_run: the state of one run on Linux, shared by the files of this backend. */
#pragma once

#include "lab/linux/actors.h"
#include "lab/linux/regions.h"
#include "lab/linux/talk.h"

/* What one actor of the scenario has; the process itself is in the group, under the same index. */
struct holder {
    struct held_regions regions;
    char *last_from; /* who sent the message that it received last, or NULL */
};

/* What was handed over and not taken yet. */
struct handed {
    const struct step *step; /* the hand_over's; NULL: nothing is */
    size_t from;
    uint64_t len; /* bytes */
    int fd;       /* the memory object that waits, or -1 */
};

struct backend_run {
    const struct plan *plan;
    struct actor_group group;
    struct holder *holders; /* one per actor of the group that has come up */
    size_t nholders;
    struct carried_list carried;
    struct handed handed;
    struct observer *observer;
    bool messages; /* the plan sends messages: a name server runs, actors have ports */
};

/* What an actor did in a step, by its own meters. */
struct deed {
    size_t index;
    uint64_t dur_ns, cpu_ns, minflt, majflt;
};

/* A step under way: the actor that acts, the region it names (or NULL), request and answer. */
struct doing {
    struct backend_run *run;
    const struct step *step;
    size_t index;
    struct held_region *region;
    struct actor_request rq;
    struct actor_reply reply;
    struct actor_request peer_rq; /* take: what the sender does in it, and its answer */
    struct actor_reply peer;
    struct deed deeds[2]; /* who did something: the acting actor, unless it is told otherwise */
    size_t ndeeds;
    bool told; /* the deeds are noted */
    struct step_result *out;
};

uint64_t linux_page_size(void);
/* check.c: 0, or -ENOTSUP: a capability that the plan needs is missing, or the memory it takes. */
int linux_check(const struct plan *plan, struct err *e);

/* The living actor of that name; the validated plan says that there is one. Index or -ESRCH. */
int linux_actor_index(const struct backend_run *r, const char *name, struct err *e);
/* Gives an actor a port under its own name with the run's name server, if there is one. */
int linux_give_port(struct backend_run *r, size_t index, struct err *e);
/* The run's own name server, in its process group, if the plan sends messages; actors find it
 * through the environment. */
int linux_start_name_server(struct backend_run *r, struct err *e);
/* Those that no step forks. */
int linux_start_actors(struct backend_run *r, struct err *e);

/* The request in d->rq to the acting actor; its answer is in d->reply. */
int linux_call(struct doing *d, struct reply_fds *fds, struct err *e);
/* Notes what an actor did by its answer. */
void linux_did(struct doing *d, size_t index, const struct actor_reply *reply);
/* Bytes of a region as the kernel has them: whole pages. */
uint64_t linux_whole_pages(uint64_t bytes);
/* What waits for that actor goes; NULL: whatever there is. */
void linux_drop_handed(struct backend_run *r, const char *to);
/* The same of a write or read, with the times of its touches if they are wanted. */
int linux_touch(struct doing *d, struct err *e);
struct held_regions *linux_held(struct doing *d);

/* linux_ACT_MAP, linux_ACT_WRITE, ...: actions.c, message.c, handover.c,
 * snapshot.c. Each carries out d->step. Weak: without one the actor is asked, and that is all. */
#define ACTION_FUNCTION(e, ...)                                                                    \
    int linux_##e(struct doing *d, struct err *err) __attribute__((weak));
ACTIONS(ACTION_FUNCTION)
#undef ACTION_FUNCTION
