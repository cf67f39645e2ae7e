/* outgoing: a message while it is being sent. Header only. */
#ifndef MACHMSG_MESSAGE_OUTGOING_H
#define MACHMSG_MESSAGE_OUTGOING_H

#include "lab/machmsg/message/list.h"
#include "lab/machmsg/message/ool.h"
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

#endif
