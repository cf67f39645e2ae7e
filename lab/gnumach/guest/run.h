/* run: what the parts of the controller share. In the order of reading:
 *
 *   controller.c   the plan's runs, begun and ended
 *   steps.c        one step: command -> answer -> what follows -> look
 *   ask.c          a command to an actor, and its answer
 *   tasks.c        actors are born and die
 *   transit.c      memory on its way between them
 *   tell.c         answers as records;  observe.c  what the kernel says, as records */
#pragma once

#include "lab/gnumach/guest/guest.h"

/* Where the host's plan was loaded (start.S, guest.ld): the tables follow each other. */
#define the_plan ((const struct guest_plan *)GUEST_PLAN_ADDRESS)

static inline const struct guest_run *plan_runs(void)
{
    return (const struct guest_run *)(the_plan + 1);
}

static inline const struct guest_step *plan_steps(void)
{
    return (const struct guest_step *)(plan_runs() + the_plan->nruns);
}

static inline const struct guest_part *plan_parts(void)
{
    return (const struct guest_part *)(plan_steps() + the_plan->nsteps);
}

static inline const char *plan_text(void)
{
    return (const char *)(plan_parts() + the_plan->nparts);
}

/* A place of memory that the scenario named, in one actor. */
struct region {
    uint64_t address, bytes; /* bytes 0: not there */
    uint32_t touched;
};

/* Memory on its way: the objects that the sender's entries showed when the message left. */
#define TRANSIT_PIECES 32
struct transit {
    int from, to, slot;
    int looked_at; /* pieces are filled */
    uint64_t address, offset_bytes, bytes;
    uint32_t npieces;
    struct {
        mach_port_t name; /* of the object; held until the message is received */
        uint64_t object, offset, bytes;
    } pieces[TRANSIT_PIECES];
};

struct actor {
    mach_port_t task;         /* MACH_PORT_NULL: not alive */
    mach_port_t command;      /* send right */
    mach_port_t data;         /* send right; the receive right goes to the actor at its birth */
    mach_port_t data_receive; /* until then */
    int32_t status;           /* it exited with */
    struct region *regions;   /* by slot */
};

struct run {
    uint32_t index;
    const struct guest_run *plan;
    struct actor *actors;
    struct transit *transits; /* in the order in which they were sent */
    uint32_t ntransits, transits_max;
    uint64_t next_address;
    int64_t rc;    /* of the last call: with what went wrong */
    int timed_out; /* the step's message, as it may */
};

/* ask.c: the command under construction, and the answer that came last. */
extern mach_port_t self, control; /* the controller's task; receive: answers */
extern struct command_message command;
extern struct answer_message answered;
/* Sends the command and waits for the answer, telling every second that it still waits. */
kern_return_t ask(const struct run *r, const struct actor *a, uint32_t step);

/* tasks.c */
kern_return_t new_port(mach_port_t *port); /* receive and send */
/* A task becomes actor i: memory of its own, ports, a thread; then it must answer. */
kern_return_t bear(struct run *r, uint32_t i, mach_port_t task);
/* Children inherit the regions that their map shows. */
void inherit_regions(struct run *r, uint32_t parent, uint32_t child);
/* The actor's end: its task may still be there, or have ended by itself. */
void bury(struct run *r, uint32_t i);
/* Waits until it has ended by itself. NULL, or what went wrong. */
const char *await_end(struct run *r, uint32_t i);

/* transit.c: each out-of-line part of a message that was sent has its place here. */
/* A range of the sender's becomes part i of the command; GUEST_REST: the rest of the region. NULL,
 * or what is wrong. */
const char *transit_fill(struct run *r, const struct guest_step *s, uint32_t i, int32_t slot,
                         uint64_t offset, uint64_t bytes);
/* Before and after the command's message is sent; how many there were before: not sent after all.
 */
kern_return_t transit_note(struct run *r, const struct guest_step *s);
kern_return_t transit_sent(struct run *r, const struct guest_step *s);
void transit_unsent(struct run *r, uint32_t before);
/* What the answer says was received becomes the receiver's. NULL, or what is wrong. */
const char *transit_received(struct run *r, const struct guest_step *s);
/* All that was on its way to an actor. */
void transit_drop(struct run *r, uint32_t to);

/* tell.c */
void tell_start(void);
void tell_failure(const struct run *r, uint32_t step, const char *what);
void tell_answer(const struct guest_step *s, const struct answer *a);

/* observe.c: all that the step's observation says, as records. 0, or a kern_return_t. */
kern_return_t observe(struct run *r);

/* steps.c: NULL, or what went wrong; r->rc says more. */
const char *do_step(struct run *r, const struct guest_step *s);
const char *look(struct run *r, uint32_t step);
