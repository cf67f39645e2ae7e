/* outgoing: a message while it is being sent, and the stages that it goes through. Each stage is a
 * file: its rights (send_rights.c), its descriptors (send_body.c), its packet (send_packet.c), and
 * all of them in order (send.c). */
#pragma once

#include "lab/machmsg/message/list.h"
#include "lab/machmsg/message/ool.h"
#include "lab/machmsg/ports/deadline.h"
#include "lab/machmsg/ports/port.h"
#include "lab/machmsg/ports/wire.h"

/* One right that the message takes; done when the message is in the queue. */
enum take { TAKE_NOTHING, TAKE_SEND, TAKE_ONCE, TAKE_RECEIVE };
struct held {
    struct mport *port; /* reference; NULL for a dead name */
    mach_port_name_t name;
    uint8_t take;  /* enum take */
    uint64_t made; /* a send-once right made for this message: its number */
    uint32_t item; /* TAKE_RECEIVE: which item */
    bool locked;   /* TAKE_RECEIVE: its receive lock is ours */
};

/* One descriptor, as asked and as done. */
struct part {
    struct ool_source source; /* out-of-line memory */
    struct object *object;    /* reference */
    uint8_t type, disposition;
    uint32_t item;
    uint64_t rights;
};

struct outgoing {
    struct wire_head head;
    struct held dest; /* its port is where the packet goes */
    uint64_t dest_nonce;
    bool token;          /* took a queue slot */
    unsigned char *body; /* the message behind its header; before it there is room for the head */
    mach_msg_size_t body_len;
    int payload, nested; /* descriptors made for this message, or -1 */
    /* struct held, struct wire_item, uint64_t, int, struct part */
    struct list held, items, extra, fds, parts;
};

static inline struct held *held_at(const struct outgoing *o, size_t i)
{
    return (struct held *)o->held.at + i;
}

static inline struct part *part_at(const struct outgoing *o, size_t i)
{
    return (struct part *)o->parts.at + i;
}

static inline struct wire_item *item_at(const struct outgoing *o, size_t i)
{
    return (struct wire_item *)o->items.at + i;
}

/* --- rights: only marked while they are collected, under the space's lock --- */

/* The destination, and the reply right if there is one. */
mach_msg_return_t msg_take_header_rights(struct outgoing *o, const mach_msg_header_t *m);
/* One right of the body, which gets an item. Under the space's lock. */
mach_msg_return_t msg_take_right(struct outgoing *o, mach_port_name_t name,
                                 unsigned int disposition);
/* Marks are for the time of collecting only. Under the space's lock. */
void msg_unmark_rights(struct outgoing *o);
/* Receive rights that leave: nobody of this process receives from them any more, and their state
 * travels along. Held until the rights are consumed or let go. */
mach_msg_return_t msg_hold_receive_rights(struct outgoing *o);
/* The message is on its way: what it took goes. */
void msg_consume_rights(struct outgoing *o);
/* Gives back what is still held; mr: how the send ended. */
void msg_let_rights_go(struct outgoing *o, mach_msg_return_t mr);

/* --- descriptors --- */

/* What can be said of a body without looking at rights or memory. */
mach_msg_return_t msg_check_body(const struct outgoing *o);
/* Takes the rights and notes the memory of every descriptor, and cleans the copy that travels of
 * names and addresses. Under the space's lock. */
mach_msg_return_t msg_collect_body(struct outgoing *o);
/* Can all memory that the message carries be read? */
mach_msg_return_t msg_check_memory(const struct outgoing *o);
/* Makes the objects that travel. */
mach_msg_return_t msg_prepare_memory(struct outgoing *o);
/* Tells whoever registered for it of every descriptor. */
void msg_trace_sent(const struct outgoing *o, int32_t id);
/* The message is on its way: memory that was given away goes. */
void msg_give_memory_away(const struct outgoing *o);

/* --- the packet --- */

/* Takes a queue slot, waiting for one if need be. */
mach_msg_return_t msg_take_slot(struct outgoing *o, mach_msg_option_t option,
                                const struct deadline *until);
/* Sends it; on any error nothing was sent. */
mach_msg_return_t msg_transmit(struct outgoing *o, mach_msg_option_t option,
                               const struct deadline *until);

/* --- all of it: the first half of mach_msg --- */

mach_msg_return_t msg_send(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t size,
                           mach_msg_timeout_t timeout);
