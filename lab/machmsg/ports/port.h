/* port: the ports that this process knows, and the names it has for rights to them.
 *
 * A port is one SOCK_SEQPACKET socket pair:
 *
 *     senders --> S ====================> R --> the holder of the receive right
 *                 S <==================== R     queue slots ("tokens"), one byte each
 *
 * A send right is a descriptor of S; a receive right is R and S. Messages wait in R's queue. Slots
 * wait in S's queue: a sender takes one before it sends, the receiver returns one for each
 * message it takes out, so that at most the queue limit wait. SO_COOKIE of S is the same in every
 * process: it names the port. R closed everywhere shows on S as a hang-up: the port is dead. A
 * send-once right is S and a secret number that the receive right's holder checks and strikes out.
 *
 *     name: free -> receive -> send+receive -> send -> dead name -> free
 *
 * Promises: a name's entry changes only under the space's lock; a struct mport lives while anybody
 * holds a reference, so a blocked thread never sees a descriptor that was closed and reused.
 * Does not: know messages. After fork the child's space is fresh. */
#pragma once

#include <mach/mach_port.h>
#include <pthread.h>
#include <stdbool.h>

struct mport {
    int refs; /* atomic. The other fields, but for those of the next group: under the space's lock
               */
    uint64_t cookie;
    int s, r;              /* r is -1 where the receive right is not ours */
    mach_port_name_t name; /* of the send and receive rights, or 0 */
    uint64_t *once;        /* numbers of outstanding send-once rights; receive right only */
    size_t nonce, conce;
    uint32_t qlimit, mscount;
    bool moving;    /* atomic: the receive right is leaving, receivers let go */
    uint32_t spare; /* atomic: queue slots that a failed send took and that the next one uses */
    bool foreign;   /* others have or had the receive right: what waits in S may be anything */
    struct mport *hash_next;

    pthread_mutex_t rcv_lock; /* held by the one thread that receives; guards: */
    uint32_t seqno;
    uint32_t owed;      /* atomic: slots that did not fit into S's queue yet */
    unsigned char *buf; /* WIRE_INLINE_MAX + 8 bytes, made at the first receive */
};

struct entry {
    mach_port_type_t type; /* 0: free */
    uint32_t urefs;        /* of send right or dead name */
    uint64_t nonce;        /* send-once */
    struct mport *port;    /* NULL for a dead name and for the special names */
    uint32_t gen;
    uint32_t pending_send; /* rights that the message being checked consumes */
    bool pending_receive;
    uint32_t next_free;
};

/* Names that every task has. Never freed, never in a message as such: see port_special. */
#define NAME_TASK ((mach_port_name_t)0x103)
#define NAME_BOOTSTRAP ((mach_port_name_t)0x203)
#define NAME_THREAD ((mach_port_name_t)0x303)
#define NAME_HOST ((mach_port_name_t)0x403)

void space_lock(void);
void space_unlock(void);

/* All below: under the space's lock. */

/* NULL if there is no such name. */
struct entry *space_find(mach_port_name_t name);
/* A new name; NULL without memory. */
struct entry *space_add(mach_port_type_t type, struct mport *port, mach_port_name_t *name);
/* The name is gone; drops its reference to the port. */
void space_remove(mach_port_name_t name);
/* Calls fn for every name in use. */
void space_each(void (*fn)(void *arg, mach_port_name_t name, const struct entry *e), void *arg);

/* A new port with this process as receiver. 0 or a negative errno. One reference. */
int mport_create(struct mport **out);
/* The port behind a received sending end; takes s over (also on failure). -EBADF if it is no
 * socket. One reference. */
int mport_import(struct mport **out, int s);
struct mport *mport_ref(struct mport *p);
void mport_unref(struct mport *p);
/* The same without the space's lock, which it takes only for the last reference. */
void mport_drop(struct mport *p);
/* A queue slot, without waiting: 1 or more; 0 or a negative errno: there is none (-EAGAIN: now). */
ssize_t mport_take_slot(struct mport *p);
/* A new outstanding send-once right: its number, or 0 without memory. */
uint64_t mport_make_once(struct mport *p);
/* Strikes a number out; false if it was not outstanding. */
bool mport_strike_once(struct mport *p, uint64_t nonce);

/* The receive right goes (destroyed): senders see a dead port, a send right under the same name
 * becomes a dead name. */
void port_lose_receive(mach_port_name_t name, struct entry *e);
/* Adds one send right, a receive right or a send-once right under the name it gets here.
 * Takes over the caller's reference; on failure (no memory) drops it. */
int port_add_send(struct mport *p, mach_port_name_t *name);
int port_add_receive(struct mport *p, mach_port_name_t *name);
int port_add_once(struct mport *p, uint64_t nonce, mach_port_name_t *name);
/* Takes n send rights (or dead-name references) from the entry; it may vanish. */
void port_drop_send(mach_port_name_t name, struct entry *e, uint32_t n);
/* A send right whose port has died turns into a dead name. */
void port_notice_death(mach_port_name_t name, struct entry *e);
/* Makes real ports of NAME_TASK, NAME_THREAD, NAME_HOST when they are first sent away. */
int port_special(mach_port_name_t name, struct entry *e);
bool port_is_special(mach_port_name_t name);

/* Outside the space's lock: an unused send-once right is gone; tells the port's holder. */
void port_once_destroyed(int s, uint64_t nonce);
/* Stops other threads that wait in a receive on p; returns with p->rcv_lock held. */
void port_quiesce(struct mport *p);

/* The port that NAME_BOOTSTRAP stands for: 0 is the name server. */
extern mach_port_name_t port_bootstrap;
