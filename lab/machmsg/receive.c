/* receive: the second half of mach_msg.
 *
 *     find the port -> wait -> one packet -> decode -> does it fit? -> rights -> memory -> copy out
 *
 * Nothing that a packet says is believed before wire.c has checked it, and nothing that it brings
 * is kept unless the message is delivered: every descriptor is owned by struct incoming until it
 * became a right or memory. A packet that is no message ends in an error code; the port goes on. */
#include "lab/machmsg/msg.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The received header goes before the body and the trailer behind it, in the same buffer. */
#define HEADROOM 64u
#define TAILROOM 64u
_Static_assert(HEADROOM == sizeof(struct wire_head),
               "a packet is read to where its payload belongs");
_Static_assert(HEADROOM >= sizeof(mach_msg_header_t), "room");
_Static_assert(TAILROOM >= sizeof(mach_msg_max_trailer_t) + 4, "room");

struct incoming {
    struct mport *port; /* reference; its rcv_lock is ours */
    mach_port_name_t name;
    struct wire_message m;
    unsigned char *large; /* a payload that came in an object */
    struct ucred sender;
    int *fds; /* m.head.nfds of them; -1: taken */
    int few[8];
    struct mport **ports;    /* per descriptor: the port that it is the sending end of */
    mach_msg_return_t flaws; /* what could not be made of a message that is otherwise good */
    size_t packet_fds;
    int packet[WIRE_PACKET_FDS];
};

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Takes descriptors and credentials out of a received packet's control data. */
static void take_control(struct msghdr *mh, int *fds, size_t *nfds, struct ucred *cred, bool *any)
{
    *nfds = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);

        *any = true;
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS && cred && len >= sizeof *cred)
            memcpy(cred, CMSG_DATA(c), sizeof *cred);
        if (c->cmsg_type == SCM_RIGHTS) {
            size_t n = len / sizeof(int);
            const unsigned char *p = CMSG_DATA(c);

            for (size_t i = 0; i < n; i++, p += sizeof(int)) {
                int fd;

                memcpy(&fd, p, sizeof fd);
                if (*nfds < WIRE_PACKET_FDS)
                    fds[(*nfds)++] = fd;
                else
                    close(fd);
            }
        }
    }
}

/* One packet. Returns its length; 0 at the end of the port; or a negative errno, -EOVERFLOW when
 * descriptors were lost because this process can take no more. */
static ssize_t read_packet(struct incoming *in, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_PACKET_FDS) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    /* The head just before where the payload begins: the received header will stand there. */
    struct iovec iov = {in->port->buf, HEADROOM + WIRE_INLINE_MAX + 8};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(in->port->r, &mh, flags | MSG_CMSG_CLOEXEC);
    bool any = false;

    if (n < 0)
        return -errno;
    take_control(&mh, in->packet, &in->packet_fds, &in->sender, &any);
    /* The kernel says with every packet who sent it; only the end of the port says nothing. */
    if (n == 0)
        return any ? -EBADMSG : 0;
    if (wire_decode_head(in->port->buf, (size_t)n, &in->m.head) || (mh.msg_flags & MSG_TRUNC))
        return -EBADMSG;
    return mh.msg_flags & MSG_CTRUNC ? -EOVERFLOW : n;
}

/* Queue slots go back to the senders; those that do not fit now go with a later one. */
static void return_slot(struct mport *p)
{
    uint32_t owed = __atomic_load_n(&p->owed, __ATOMIC_ACQUIRE);

    if (owed == 0 && send(p->r, "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        return;
    owed = __atomic_add_fetch(&p->owed, 1, __ATOMIC_ACQ_REL);
    for (; owed > 0 && send(p->r, "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1; owed--)
        __atomic_sub_fetch(&p->owed, 1, __ATOMIC_ACQ_REL);
}

static mach_msg_return_t receive_error(int rc)
{
    if (rc == -EOVERFLOW)
        return MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE;
    return rc == -ENOMEM ? MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL : MACH_RCV_BODY_ERROR;
}

/* The descriptors of a message with more than one packet can carry. */
static int read_nested(struct incoming *in, int s, size_t want)
{
    size_t have = 0;
    int rc = 0;

    while (rc == 0 && have < want) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int) * WIRE_PACKET_FDS)];
        } control;
        char byte;
        struct iovec iov = {&byte, 1};
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
        int fds[WIRE_PACKET_FDS];
        size_t n = 0;
        bool any = false;

        /* All of it was sent before the message was: there is nothing to wait for. */
        if (recvmsg(s, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
            return -EBADMSG;
        take_control(&mh, fds, &n, NULL, &any);
        if (mh.msg_flags & MSG_CTRUNC)
            rc = -EOVERFLOW;
        else if (n == 0 || n > want - have)
            rc = -EBADMSG;
        if (rc) {
            close_all(fds, n);
        } else {
            memcpy(in->fds + have, fds, n * sizeof(int));
            have += n;
        }
    }
    return rc;
}

/* Sorts the packet's descriptors: payload object, nested socket, the message's own. */
static int take_descriptors(struct incoming *in, int *payload)
{
    const struct wire_head *h = &in->m.head;
    size_t at = 0, own = h->flags & WIRE_NESTED ? 0 : h->nfds;
    int nested = -1, rc = 0;

    if (in->packet_fds != own + !!(h->flags & WIRE_PAYLOAD_FD) + !!(h->flags & WIRE_NESTED))
        return -EBADMSG;
    in->fds = in->few;
    if (h->nfds > sizeof in->few / sizeof in->few[0] &&
        !(in->fds = malloc(h->nfds * sizeof(int)))) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < h->nfds; i++)
        in->fds[i] = -1;
    if (h->flags & WIRE_PAYLOAD_FD)
        *payload = in->packet[at++];
    if (h->flags & WIRE_NESTED)
        nested = in->packet[at++];
    if (own > 0)
        memcpy(in->fds, in->packet + at, own * sizeof(int));
    in->packet_fds = 0;
    if (nested >= 0) {
        rc = read_nested(in, nested, h->nfds);
        close(nested);
    }
    return rc;
}

static int read_large(struct incoming *in, int fd, size_t len)
{
    size_t at = 0;

    if (!ool_is_sealed(fd, len, false))
        return -EBADMSG;
    if (!(in->large = malloc(HEADROOM + len + TAILROOM)))
        return -ENOMEM;
    while (at < len) {
        ssize_t n = pread(fd, in->large + HEADROOM + at, len - at, (off_t)at);

        if (n <= 0)
            return -EBADMSG;
        at += (size_t)n;
    }
    return 0;
}

/* From a packet to a checked message. */
static int decode(struct incoming *in, size_t packet_len)
{
    const size_t len = wire_payload_len(&in->m.head);
    unsigned char *payload = in->port->buf + HEADROOM;
    int object = -1, rc = take_descriptors(in, &object);

    if (rc == 0 &&
        packet_len != sizeof(struct wire_head) + (in->m.head.flags & WIRE_PAYLOAD_FD ? 0 : len))
        rc = -EBADMSG;
    if (rc == 0 && object >= 0) {
        rc = read_large(in, object, len);
        if (rc == 0)
            payload = in->large + HEADROOM;
    }
    if (object >= 0)
        close(object);
    if (rc == 0)
        rc = wire_decode_payload(&in->m.head, payload, len, &in->m);
    return rc;
}

/* What a message that is not delivered brought with it goes; send-once rights tell their makers. */
static void discard(struct incoming *in)
{
    if (in->m.items && in->fds) {
        const struct wire_item *it = &in->m.head.reply;

        for (uint32_t i = 0; i <= in->m.head.nitems; it = &in->m.items[i++]) {
            if (it->kind != WIRE_SEND_ONCE)
                continue;
            if (in->fds[it->fd] >= 0)
                port_once_destroyed(in->fds[it->fd], it->value);
            else if (in->ports && in->ports[it->fd])
                port_once_destroyed(in->ports[it->fd]->s, it->value);
        }
    }
}

/* Frees what struct incoming still owns. */
static void release(struct incoming *in)
{
    close_all(in->packet, in->packet_fds);
    in->packet_fds = 0;
    if (in->fds)
        close_all(in->fds, in->m.head.nfds);
    if (in->ports) {
        space_lock();
        for (uint32_t i = 0; i < in->m.head.nfds; i++)
            if (in->ports[i])
                mport_unref(in->ports[i]);
        space_unlock();
        free(in->ports);
    }
    if (in->fds != in->few)
        free(in->fds);
    free(in->large);
    in->fds = NULL;
    in->ports = NULL;
    in->large = NULL;
    in->m = (struct wire_message){0};
    in->flaws = 0;
}

/* The port behind a descriptor: made of it at its first use. Under the space's lock. */
static struct mport *port_of(struct incoming *in, uint32_t fd)
{
    if (!in->ports && !(in->ports = calloc(in->m.head.nfds, sizeof *in->ports)))
        return NULL;
    if (!in->ports[fd] && in->fds[fd] >= 0) {
        int s = in->fds[fd];

        in->fds[fd] = -1;
        if (mport_import(&in->ports[fd], s))
            in->ports[fd] = NULL;
    }
    return in->ports[fd];
}

/* A receive right: the port gets its receiving end, and the state that came along. */
static int adopt_receive(struct incoming *in, const struct wire_item *it, const uint64_t *words,
                         mach_port_name_t *name)
{
    struct mport *p = port_of(in, it->fd + 1);
    struct wire_port_state state;
    uint64_t *once = NULL;
    int type = 0, on = 1;
    socklen_t len = sizeof type;

    if (!p || p->r >= 0 || getsockopt(in->fds[it->fd], SOL_SOCKET, SO_TYPE, &type, &len) ||
        type != SOCK_SEQPACKET ||
        setsockopt(in->fds[it->fd], SOL_SOCKET, SO_PASSCRED, &on, sizeof on))
        return -EBADMSG;
    if (it->value > 0 && !(once = malloc(it->value * sizeof *once)))
        return -ENOMEM;
    if (once)
        memcpy(once, words + WIRE_PORT_WORDS, it->value * sizeof *once);
    memcpy(&state, words, sizeof state);
    free(p->once);
    p->once = once;
    p->nonce = p->conce = it->value;
    p->seqno = state.seqno;
    p->owed = state.owed < MACH_PORT_QLIMIT_MAX ? state.owed : MACH_PORT_QLIMIT_MAX;
    p->qlimit = state.qlimit < MACH_PORT_QLIMIT_MAX ? state.qlimit : MACH_PORT_QLIMIT_MAX;
    p->mscount = state.mscount;
    __atomic_store_n(&p->moving, false, __ATOMIC_RELEASE);
    p->r = in->fds[it->fd];
    in->fds[it->fd] = -1;
    return port_add_receive(mport_ref(p), name);
}

/* One right: a name of this task. extra runs along with the receive rights. Under the space's
 * lock. What cannot be made arrives as no right, and the message says so. */
static mach_port_name_t adopt_right(struct incoming *in, const struct wire_item *it,
                                    const uint64_t **extra, int *rc)
{
    mach_port_name_t name = MACH_PORT_NULL;
    struct mport *p;

    *rc = 0;
    switch (it->kind) {
    case WIRE_DEAD:
        return MACH_PORT_DEAD;
    case WIRE_SEND:
    case WIRE_SEND_ONCE:
        p = port_of(in, it->fd);
        if (!p)
            *rc = -EBADMSG;
        else if (it->kind == WIRE_SEND)
            *rc = port_add_send(mport_ref(p), &name);
        else
            *rc = port_add_once(mport_ref(p), it->value, &name);
        break;
    case WIRE_RECEIVE:
        *rc = adopt_receive(in, it, *extra, &name);
        *extra += WIRE_PORT_WORDS + it->value;
        break;
    default:
        break;
    }
    return *rc ? MACH_PORT_NULL : name;
}

/* The disposition under which the reply right arrives. */
static unsigned int reply_type(const struct wire_item *it)
{
    return it->kind == WIRE_SEND_ONCE ? MACH_MSG_TYPE_PORT_SEND_ONCE : MACH_MSG_TYPE_PORT_SEND;
}

static void adopt_array(struct incoming *in, mach_msg_ool_ports_descriptor_t *d, uint32_t *item,
                        const uint64_t **extra)
{
    const uint64_t address = d->count ? ool_fresh(d->count * sizeof(mach_port_name_t)) : 0;
    mach_port_name_t *names = (mach_port_name_t *)address;
    int rc;

    d->address = (void *)address;
    d->deallocate = TRUE;
    if (d->count && !address) {
        in->flaws |= MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE;
        for (uint32_t i = 0; i < d->count; i++, (*item)++)
            if (in->m.items[*item].kind == WIRE_RECEIVE)
                *extra += WIRE_PORT_WORDS + in->m.items[*item].value;
        d->count = 0;
        return;
    }
    space_lock();
    for (uint32_t i = 0; i < d->count; i++) {
        names[i] = adopt_right(in, &in->m.items[(*item)++], extra, &rc);
        if (rc)
            in->flaws |= receive_error(rc);
    }
    space_unlock();
}

static void trace_arrival(const struct incoming *in, const mach_msg_descriptor_t *d,
                          unsigned int type, unsigned int index, const struct wire_item *it)
{
    struct machmsg_transfer t = {.event = MACHMSG_RECEIVED,
                                 .message_id = in->m.head.id,
                                 .descriptor = index,
                                 .kind = trace_kind(type),
                                 .deallocate = -1,
                                 .size = 1,
                                 .fd = -1,
                                 .done = it && it->kind == WIRE_NULL ? "null" : "right",
                                 .why = "the disposition says so"};

    if (type != MACH_MSG_PORT_DESCRIPTOR) {
        t.arrived = d->out_of_line.copy == MACH_MSG_PHYSICAL_COPY ? "physical" : "virtual";
        t.asked = t.arrived; /* the option that arrives is the one that was asked for */
        t.deallocate = d->out_of_line.deallocate;
        t.size = d->out_of_line.size;
        t.address = (uint64_t)d->out_of_line.address;
    }
    if (type == MACH_MSG_OOL_DESCRIPTOR || type == MACH_MSG_OOL_VOLATILE_DESCRIPTOR) {
        t.done = ool_done_text(it->done);
        t.why = ool_why_text(it->why);
    }
    trace_call(&t);
}

static void adopt_memory(struct incoming *in, mach_msg_ool_descriptor_t *d,
                         const struct wire_item *it)
{
    uint64_t address;
    int rc, fd = -1;

    if (it->kind != WIRE_OOL_NULL) {
        fd = in->fds[it->fd];
        in->fds[it->fd] = -1;
    }
    rc = ool_receive(it, fd, &address);
    d->address = (void *)address;
    d->deallocate = d->copy == MACH_MSG_VIRTUAL_COPY;
    if (rc) {
        d->size = 0;
        in->flaws |= rc == -ENOMEM ? MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE : receive_error(rc);
    }
}

static void adopt_body(struct incoming *in)
{
    const uint64_t *extra = in->m.extra;
    mach_msg_descriptor_t *d;
    struct wire_walk w;
    unsigned int type, index = 0;
    uint32_t item = 0;
    int rc;

    wire_walk_begin(&w, in->m.body, in->m.head.size - sizeof(mach_msg_header_t));
    for (; wire_walk_next(&w, &d, &type) > 0; index++) {
        const struct wire_item *it = item < in->m.head.nitems ? &in->m.items[item] : NULL;

        if (type == MACH_MSG_PORT_DESCRIPTOR) {
            item++;
            space_lock();
            d->port =
                (mach_msg_port_descriptor_t){.type = type, .disposition = d->port.disposition};
            d->port.name = adopt_right(in, it, &extra, &rc);
            space_unlock();
            if (rc)
                in->flaws |= receive_error(rc);
        } else if (type == MACH_MSG_OOL_PORTS_DESCRIPTOR) {
            adopt_array(in, &d->ool_ports, &item, &extra);
        } else {
            item++;
            adopt_memory(in, &d->out_of_line, it);
        }
        if (trace_wanted())
            trace_arrival(in, d, type, index, it);
    }
}

static mach_msg_size_t trailer_size(mach_msg_option_t option)
{
    return REQUESTED_TRAILER_SIZE(option);
}

static void make_trailer(struct incoming *in, mach_msg_option_t option, unsigned char *at)
{
    mach_msg_audit_trailer_t t = {.msgh_trailer_type = MACH_MSG_TRAILER_FORMAT_0,
                                  .msgh_trailer_size = trailer_size(option),
                                  .msgh_seqno = in->port->seqno++,
                                  .msgh_sender = {{in->sender.uid, in->sender.gid}}};

    t.msgh_audit = (audit_token_t){{~0u, in->sender.uid, in->sender.gid, in->sender.uid,
                                    in->sender.gid, (unsigned int)in->sender.pid, 0, ~0u}};
    memcpy(at, &t, t.msgh_trailer_size);
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
        h->msgh_remote_port = adopt_right(in, &w->reply, NULL, &rc);
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
        adopt_body(in);
    memcpy(whole, &header, sizeof header);
    make_trailer(in, option, whole + size);
    mr = in->flaws;
    if (mem_copy_out(user, whole, size + trailer_size(option))) {
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
    return (uint64_t)h->size + trailer_size(option) <= room;
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
    return n == 0 ? MACH_RCV_TIMED_OUT : MACH_MSG_SUCCESS;
}

/* Is it a message for this port's owner? 1; 0: not one, go on; or a receive error. */
static int accept_packet(struct incoming *in, ssize_t n, mach_msg_return_t *mr)
{
    bool outstanding = true;
    int rc;

    if (n == -EBADMSG || n == -EOVERFLOW) {
        if (n == -EOVERFLOW && (in->m.head.flags & WIRE_TOKEN))
            return_slot(in->port);
        *mr = receive_error((int)n);
        return -1;
    }
    if (in->m.head.flags & WIRE_TOKEN)
        return_slot(in->port);
    if (in->m.head.flags & WIRE_NUDGE)
        return 0;
    rc = decode(in, (size_t)n);
    if (rc) {
        *mr = receive_error(rc);
        return -1;
    }
    if (in->m.head.dest_nonce) {
        space_lock();
        outstanding = mport_strike_once(in->port, in->m.head.dest_nonce);
        space_unlock();
    }
    if (!outstanding)
        discard(in); /* a send-once right that was used up, or never made */
    return outstanding;
}

/* With the port's receive lock held. */
static mach_msg_return_t receive_locked(struct incoming *in, mach_msg_header_t *user,
                                        mach_msg_option_t option, mach_msg_size_t room,
                                        const struct deadline *until)
{
    const int flags = until->set ? MSG_DONTWAIT : 0;
    mach_msg_return_t mr = MACH_MSG_SUCCESS;

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
        if (n == 0 && (n = read_packet(in, flags)) == 0)
            return MACH_RCV_PORT_DIED;
        if (n == -EAGAIN || n == -EINTR) {
            mr = wait_packet(in, option, until, (int)-n);
            continue;
        }
        if (n < 0 && n != -EBADMSG && n != -EOVERFLOW)
            return MACH_RCV_PORT_DIED;
        rc = accept_packet(in, n, &mr);
        if (rc < 0)
            deliver_nothing(in, user, room);
        if (rc > 0 && !fits(&in->m.head, option, room)) {
            discard(in);
            mr = too_large(in, user, option & ~MACH_RCV_LARGE, room);
        } else if (rc > 0) {
            mr = deliver(in, user, option);
        }
        release(in);
        if (rc > 0)
            return mr;
    }
    return mr;
}

/* The receive lock, or a timeout. */
static bool lock_receive(struct mport *p, const struct deadline *until)
{
    if (pthread_mutex_trylock(&p->rcv_lock) == 0)
        return true;
    if (until->set) {
        struct timespec t = {(time_t)(until->ns / 1000000000), (long)(until->ns % 1000000000)};

        return pthread_mutex_clocklock(&p->rcv_lock, CLOCK_MONOTONIC, &t) == 0;
    }
    return pthread_mutex_lock(&p->rcv_lock) == 0;
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
    if (lock_receive(in.port, &until)) {
        if (!in.port->buf)
            in.port->buf = malloc(HEADROOM + WIRE_INLINE_MAX + 8 + TAILROOM);
        mr = in.port->buf ? receive_locked(&in, msg, option, size, &until)
                          : MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL;
        pthread_mutex_unlock(&in.port->rcv_lock);
    } else {
        mr = MACH_RCV_TIMED_OUT;
    }
    mport_drop(in.port);
    return mr;
}
