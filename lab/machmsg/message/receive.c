/* receive: the second half of mach_msg.
 *
 *     find the port -> wait -> one packet -> decode -> does it fit? -> rights -> memory -> copy out
 *
 * Nothing that a packet says is believed before wire.c has checked it, and nothing that it brings
 * is kept unless the message is delivered: every descriptor is owned by struct incoming until it
 * became a right or memory. A packet that is no message ends in an error code; the port goes on. */
#include "lab/machmsg/memory/copy.h"
#include "lab/machmsg/message/incoming.h"
#include "lab/machmsg/ports/deadline.h"
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>

static void make_trailer(struct incoming *in, mach_msg_option_t option, unsigned char *at)
{
    mach_msg_audit_trailer_t t = {.msgh_trailer_type = MACH_MSG_TRAILER_FORMAT_0,
                                  .msgh_trailer_size = REQUESTED_TRAILER_SIZE(option),
                                  .msgh_seqno = in->port->seqno++,
                                  .msgh_sender = {{in->sender.uid, in->sender.gid}}};

    t.msgh_audit = (audit_token_t){{~0u, in->sender.uid, in->sender.gid, in->sender.uid,
                                    in->sender.gid, (unsigned int)in->sender.pid, 0, ~0u}};
    memcpy(at, &t, t.msgh_trailer_size);
}

/* The disposition under which the reply right arrives. */
static unsigned int reply_type(const struct wire_item *it)
{
    return it->kind == WIRE_SEND_ONCE ? MACH_MSG_TYPE_PORT_SEND_ONCE : MACH_MSG_TYPE_PORT_SEND;
}

/* The header as the receiver sees it: the reply right is remote now, the port itself local. */
static void make_header(struct incoming *in, mach_msg_header_t *h)
{
    const struct wire_head *w = &in->m.head;
    unsigned int remote = 0;
    int rc;

    *h = (mach_msg_header_t){.msgh_size = w->size, .msgh_local_port = in->name, .msgh_id = w->id};
    if (w->reply.kind != WIRE_NULL) {
        space_lock();
        remote = reply_type(&w->reply);
        h->msgh_remote_port = msg_adopt_right(in, &w->reply, NULL, &rc);
        if (rc) {
            remote = 0;
            in->flaws |= MACH_RCV_HEADER_ERROR | (rc == -ENOMEM ? MACH_MSG_IPC_SPACE : 0);
        }
        space_unlock();
    }
    h->msgh_bits = w->bits | MACH_MSGH_BITS(remote, w->dest_nonce ? MACH_MSG_TYPE_PORT_SEND_ONCE
                                                                  : MACH_MSG_TYPE_PORT_SEND);
}

/* Delivers a checked message that fits. */
static mach_msg_return_t deliver(struct incoming *in, mach_msg_header_t *user,
                                 mach_msg_option_t option)
{
    const mach_msg_size_t size = in->m.head.size;
    unsigned char *whole = in->m.body - sizeof(mach_msg_header_t);
    mach_msg_header_t header;
    mach_msg_return_t mr;

    make_header(in, &header);
    if (in->m.head.bits & MACH_MSGH_BITS_COMPLEX)
        msg_adopt_body(in);
    memcpy(whole, &header, sizeof header);
    make_trailer(in, option, whole + size);
    mr = in->flaws;
    if (mem_copy_out(user, whole, size + REQUESTED_TRAILER_SIZE(option))) {
        mach_msg_destroy((mach_msg_header_t *)whole);
        mr = MACH_RCV_INVALID_DATA;
    }
    return mr;
}

/* A message that does not fit: a header says what would be needed. */
static mach_msg_return_t too_large(const struct incoming *in, mach_msg_header_t *user,
                                   mach_msg_option_t option, mach_msg_size_t room)
{
    mach_msg_header_t h = {.msgh_bits = in->m.head.bits,
                           .msgh_size = in->m.head.size,
                           .msgh_local_port = in->name,
                           .msgh_id = in->m.head.id};

    if (option & MACH_RCV_LARGE)
        h.msgh_bits = 0;
    if (room >= sizeof h && mem_copy_out(user, &h, sizeof h))
        return MACH_RCV_INVALID_DATA;
    return MACH_RCV_TOO_LARGE;
}

/* What was no message, or lost what it brought: a header without rights, so that a caller who looks
 * at its buffer after an error finds nothing that is not there. */
static void deliver_nothing(const struct incoming *in, mach_msg_header_t *user,
                            mach_msg_size_t room)
{
    const mach_msg_header_t h = {.msgh_size = sizeof h, .msgh_local_port = in->name};

    if (room >= sizeof h)
        (void)!mem_copy_out(user, &h, sizeof h);
}

static bool fits(const struct wire_head *h, mach_msg_option_t option, mach_msg_size_t room)
{
    return (uint64_t)h->size + REQUESTED_TRAILER_SIZE(option) <= room;
}

/* Looks at the next message without taking it: 1 it is too large (in->m.head is filled), 0 take
 * it, or a negative errno. */
static int peek_large(struct incoming *in, mach_msg_option_t option, mach_msg_size_t room,
                      int flags)
{
    struct wire_head head;
    ssize_t n = recv(in->port->r, &head, sizeof head, flags | MSG_PEEK);

    if (n < 0)
        return -errno;
    if (n != sizeof head || wire_decode_head(&head, sizeof head, &in->m.head) ||
        (head.flags & WIRE_NUDGE))
        return 0; /* taking it will tell */
    return !fits(&head, option, room);
}

static mach_msg_return_t wait_packet(struct incoming *in, mach_msg_option_t option,
                                     const struct deadline *until, int errnum)
{
    struct pollfd pfd = {.fd = in->port->r, .events = POLLIN};
    int n = 1;

    if (errnum == EAGAIN)
        n = poll(&pfd, 1, deadline_left(until));
    if ((errnum == EINTR || (n < 0 && errno == EINTR)) && (option & MACH_RCV_INTERRUPT))
        return MACH_RCV_INTERRUPTED;
    if (n < 0 && errno != EINTR)
        return msg_receive_error(-ENOMEM);
    return n == 0 ? MACH_RCV_TIMED_OUT : MACH_MSG_SUCCESS;
}

/* Is it a message for this port's owner? 1; 0: not one, go on; or a receive error. */
static int accept_packet(struct incoming *in, ssize_t n, mach_msg_return_t *mr)
{
    bool outstanding = true;
    int rc;

    if (n < 0) {
        if (n == -EOVERFLOW && (in->m.head.flags & WIRE_TOKEN))
            msg_return_slot(in->port);
        *mr = msg_receive_error((int)n);
        return -1;
    }
    if (in->m.head.flags & WIRE_TOKEN)
        msg_return_slot(in->port);
    if (in->m.head.flags & WIRE_NUDGE)
        return 0;
    rc = msg_decode_packet(in, (size_t)n);
    if (rc) {
        *mr = msg_receive_error(rc);
        return -1;
    }
    if (in->m.head.dest_nonce) {
        space_lock();
        outstanding = mport_strike_once(in->port, in->m.head.dest_nonce);
        space_unlock();
    }
    if (!outstanding)
        msg_discard(in); /* a send-once right that was used up, or never made */
    return outstanding;
}

/* So many packets that are no messages, more than a queue holds, are thrown away when the time is
 * over, to find the message behind them: not as many as come. */
#define LATE_MOST 1024

/* With the port's receive lock held. */
static mach_msg_return_t receive_locked(struct incoming *in, mach_msg_header_t *user,
                                        mach_msg_option_t option, mach_msg_size_t room,
                                        const struct deadline *until)
{
    const int flags = until->set ? MSG_DONTWAIT : 0;
    mach_msg_return_t mr = MACH_MSG_SUCCESS;
    int late = 0;

    while (mr == MACH_MSG_SUCCESS) {
        ssize_t n = 0;
        int rc;

        if (__atomic_load_n(&in->port->moving, __ATOMIC_ACQUIRE) || in->port->r < 0)
            return MACH_RCV_PORT_DIED;
        if (option & MACH_RCV_LARGE) {
            n = peek_large(in, option, room, flags);
            if (n == 1)
                return too_large(in, user, option, room);
        }
        if (n == 0 && (n = msg_read_packet(in, flags)) == 0)
            return MACH_RCV_PORT_DIED;
        if (n == -EAGAIN || n == -EINTR) {
            mr = wait_packet(in, option, until, (int)-n);
            if (mr == msg_receive_error(-ENOMEM))
                deliver_nothing(in, user, room);
            continue;
        }
        if (n < 0 && n != -EBADMSG && n != -EOVERFLOW && n != -ENOMEM && n != -ENOBUFS)
            return MACH_RCV_PORT_DIED;
        rc = accept_packet(in, n, &mr);
        if (rc < 0)
            deliver_nothing(in, user, room);
        if (rc > 0 && !fits(&in->m.head, option, room)) {
            msg_discard(in);
            mr = too_large(in, user, option & ~MACH_RCV_LARGE, room);
        } else if (rc > 0) {
            mr = deliver(in, user, option);
        }
        msg_release(in);
        if (rc > 0)
            return mr;
        if (rc == 0 && deadline_left(until) == 0 && ++late == LATE_MOST)
            mr = MACH_RCV_TIMED_OUT;
    }
    return mr;
}

mach_msg_return_t msg_receive(mach_msg_header_t *msg, mach_msg_option_t option,
                              mach_msg_size_t size, mach_port_name_t name,
                              mach_msg_timeout_t timeout)
{
    const struct deadline until = deadline_in(option & MACH_RCV_TIMEOUT, timeout);
    struct incoming in;
    mach_msg_return_t mr;
    struct entry *e;

    if (GET_RCV_ELEMENTS(option) > MACH_RCV_TRAILER_AUDIT || ((option >> 28) & 0xf))
        return MACH_RCV_INVALID_TRAILER;
    /* Not all of it: the list of descriptors is written before it is read. */
    memset(&in, 0, offsetof(struct incoming, packet));
    space_lock();
    e = space_find(name);
    in.name = name;
    in.port = e && (e->type & MACH_PORT_TYPE_RECEIVE) ? mport_ref(e->port) : NULL;
    space_unlock();
    if (!in.port)
        return MACH_RCV_INVALID_NAME;
    if (deadline_lock(&until, &in.port->rcv_lock)) {
        if (!in.port->buf)
            in.port->buf = malloc(HEADROOM + WIRE_INLINE_MAX + 8 + TAILROOM);
        mr = in.port->buf ? receive_locked(&in, msg, option, size, &until)
                          : msg_receive_error(-ENOMEM);
        if (!in.port->buf)
            deliver_nothing(&in, msg, size);
        pthread_mutex_unlock(&in.port->rcv_lock);
    } else {
        mr = MACH_RCV_TIMED_OUT;
    }
    mport_drop(in.port);
    return mr;
}
