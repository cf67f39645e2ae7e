/* send: the first half of mach_msg.
 *
 *     check -> collect rights -> take a queue slot -> prepare memory -> send -> commit
 *       |           |                 |                    |            |
 *       +-----------+-----------------+--------------------+------------+--> abandon
 *
 * Nothing of the sender's changes before the packet is in the queue: rights that the message
 * consumes are only marked while they are collected, memory is given away after. So a send that
 * fails at any point leaves the sender with all it had. Rights are collected under the space's
 * lock; ports are kept by reference while the sender waits. */
#include "lab/machmsg/memory/copy.h"
#include "lab/machmsg/message/outgoing.h"
#include <stddef.h>
#include <unistd.h>

static mach_msg_return_t check_header(const mach_msg_header_t *m)
{
    const unsigned int remote = MACH_MSGH_BITS_REMOTE(m->msgh_bits);
    const unsigned int local = MACH_MSGH_BITS_LOCAL(m->msgh_bits);

    if ((m->msgh_bits & ~MACH_MSGH_BITS_USER) || !MACH_MSG_TYPE_PORT_ANY_SEND(remote))
        return MACH_SEND_INVALID_HEADER;
    if (local == 0 ? m->msgh_local_port != MACH_PORT_NULL
                   : !MACH_MSG_TYPE_PORT_ANY_SEND(local) || m->msgh_local_port == MACH_PORT_NULL)
        return MACH_SEND_INVALID_HEADER;
    if (MACH_MSGH_BITS_VOUCHER(m->msgh_bits) && m->msgh_voucher_port != MACH_PORT_NULL)
        return MACH_SEND_INVALID_VOUCHER;
    return MACH_PORT_VALID(m->msgh_remote_port) ? MACH_MSG_SUCCESS : MACH_SEND_INVALID_DEST;
}

static mach_msg_return_t collect(struct outgoing *o, const mach_msg_header_t *m)
{
    mach_msg_return_t mr;

    space_lock();
    mr = msg_take_header_rights(o, m);
    if (mr == MACH_MSG_SUCCESS && (m->msgh_bits & MACH_MSGH_BITS_COMPLEX))
        mr = msg_collect_body(o);
    msg_unmark_rights(o);
    space_unlock();
    return mr;
}

static void finish(struct outgoing *o, mach_msg_return_t mr)
{
    if (o->payload >= 0)
        close(o->payload);
    if (o->nested >= 0)
        close(o->nested);
    for (size_t i = 0; i < o->parts.count; i++)
        if (part_at(o, i)->object)
            object_unref(part_at(o, i)->object);
    if (o->token && mr != MACH_MSG_SUCCESS)
        __atomic_add_fetch(&o->dest.port->spare, 1, __ATOMIC_ACQ_REL);
    msg_let_rights_go(o, mr);
    list_free(&o->held);
    list_free(&o->items);
    list_free(&o->extra);
    list_free(&o->fds);
    list_free(&o->parts);
}

static mach_msg_return_t send_copy(struct outgoing *o, const mach_msg_header_t *m,
                                   mach_msg_option_t option, mach_msg_timeout_t timeout)
{
    const struct deadline until = deadline_in(option & MACH_SEND_TIMEOUT, timeout);
    mach_msg_return_t mr = check_header(m);

    if (mr == MACH_MSG_SUCCESS && (m->msgh_bits & MACH_MSGH_BITS_COMPLEX))
        mr = msg_check_body(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = collect(o, m);
    if (mr == MACH_MSG_SUCCESS)
        mr = msg_take_slot(o, option, &until);
    if (mr == MACH_MSG_SUCCESS)
        mr = msg_prepare_memory(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = msg_hold_receive_rights(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = msg_transmit(o, option, &until);
    if (mr == MACH_MSG_SUCCESS) { /* the packet is in the queue: what was given away goes */
        msg_trace_sent(o, m->msgh_id);
        msg_consume_rights(o);
        msg_give_memory_away(o);
    }
    finish(o, mr);
    return mr;
}

/* The sender's buffer, copied at once so that it cannot change while it is looked at, with room for
 * the packet's head before the body. */
#define SEND_ROOM (sizeof(struct wire_head) - sizeof(mach_msg_header_t))

mach_msg_return_t msg_send(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t size,
                           mach_msg_timeout_t timeout)
{
    _Alignas(16) unsigned char room[1024];
    unsigned char *copy = room;
    mach_msg_header_t header;
    struct outgoing o;
    mach_msg_return_t mr;

    if (size < sizeof header || size % 4)
        return MACH_SEND_MSG_TOO_SMALL;
    if (size > WIRE_BODY_MAX)
        return MACH_SEND_TOO_LARGE;
    if (size > sizeof room - SEND_ROOM && !(copy = malloc(SEND_ROOM + size)))
        return MACH_SEND_NO_BUFFER;
    if (mem_copy_in(copy + SEND_ROOM, msg, size)) {
        mr = MACH_SEND_INVALID_DATA;
    } else {
        memcpy(&header, copy + SEND_ROOM, sizeof header);
        memset(&o, 0, offsetof(struct outgoing, held));
        o.payload = o.nested = -1;
        o.head = (struct wire_head){.magic = WIRE_MAGIC,
                                    .bits = header.msgh_bits & MACH_MSGH_BITS_COMPLEX,
                                    .size = size,
                                    .id = header.msgh_id};
        o.body = copy + sizeof o.head;
        o.body_len = size - (mach_msg_size_t)sizeof header;
        list_init(&o.held, sizeof(struct held));
        list_init(&o.items, sizeof(struct wire_item));
        list_init(&o.extra, sizeof(uint64_t));
        list_init(&o.fds, sizeof(int));
        list_init(&o.parts, sizeof(struct part));
        mr = send_copy(&o, &header, option, timeout);
    }
    if (copy != room)
        free(copy);
    return mr;
}
