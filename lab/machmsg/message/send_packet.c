/* send_packet: see outgoing.h. */
#include "lab/machmsg/message/outgoing.h"
#include "probes/receive.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define NOW (MSG_DONTWAIT | MSG_NOSIGNAL)

/* What a socket's error says of the port: dead, or a shortage. */
static mach_msg_return_t socket_error(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN ? MACH_SEND_INVALID_DEST
                                                                      : MACH_SEND_NO_BUFFER;
}

static mach_msg_return_t wait_for(int s, short what, mach_msg_option_t option,
                                  const struct deadline *until)
{
    struct pollfd pfd = {.fd = s, .events = what};
    int n = poll(&pfd, 1, deadline_left(until));

    if (n < 0 && errno == EINTR)
        return option & MACH_SEND_INTERRUPT ? MACH_SEND_INTERRUPTED : MACH_MSG_SUCCESS;
    if (n < 0)
        return MACH_SEND_NO_BUFFER;
    return n == 0 ? MACH_SEND_TIMED_OUT : MACH_MSG_SUCCESS;
}

/* A slot that an earlier send took and did not use. */
static bool take_spare(struct mport *p)
{
    uint32_t spare = __atomic_load_n(&p->spare, __ATOMIC_ACQUIRE);

    while (spare > 0)
        if (__atomic_compare_exchange_n(&p->spare, &spare, spare - 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return true;
    return false;
}

mach_msg_return_t msg_take_slot(struct outgoing *o, mach_msg_option_t option,
                                const struct deadline *until)
{
    struct mport *p = o->dest.port;
    mach_msg_return_t mr = MACH_MSG_SUCCESS;
    bool checked = false;

    if (o->dest_nonce)
        return MACH_MSG_SUCCESS; /* a send-once right has its place */
    while (mr == MACH_MSG_SUCCESS) {
        ssize_t n = take_spare(p) ? 1 : mport_take_slot(p);

        o->token = n > 0;
        if (o->token)
            return MACH_MSG_SUCCESS;
        if (n != -EAGAIN && n != -EINTR)
            return n == 0 ? MACH_SEND_INVALID_DEST : socket_error((int)-n);
        if (!checked)
            mr = msg_check_memory(o); /* a bad message fails at once on a full queue too */
        checked = true;
        if (mr == MACH_MSG_SUCCESS)
            mr = wait_for(p->s, POLLIN, option, until);
    }
    return mr;
}

/* A payload too large for a packet goes into an object. */
static mach_msg_return_t prepare_payload(struct outgoing *o, const struct iovec *iov, int n)
{
    const size_t len = wire_payload_len(&o->head);
    struct object *object;
    uint64_t at = 0;
    int rc = 0;

    if (len <= WIRE_INLINE_MAX)
        return MACH_MSG_SUCCESS;
    if (object_create(&object, len))
        return MACH_SEND_NO_BUFFER;
    for (int i = 0; i < n && rc == 0; at += iov[i++].iov_len)
        rc = object_write(object->fd, iov[i].iov_base, iov[i].iov_len, at);
    if (rc == 0)
        rc = object_seal(object);
    if (rc == 0)
        o->payload = dup(object->fd);
    object_unref(object);
    if (o->payload < 0)
        return MACH_SEND_NO_BUFFER;
    o->head.flags |= WIRE_PAYLOAD_FD;
    return MACH_MSG_SUCCESS;
}

/* More descriptors than a packet can carry wait in a socket pair whose one end is sent. */
static mach_msg_return_t prepare_nested(struct outgoing *o)
{
    const size_t count = o->fds.count;
    int pair[2];

    if (count + (o->payload >= 0) <= WIRE_PACKET_FDS)
        return MACH_MSG_SUCCESS;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return MACH_SEND_NO_BUFFER;
    o->nested = pair[0];
    for (size_t i = 0, n; i < count; i += n) {
        struct iovec one = {"f", 1};

        n = count - i < WIRE_PACKET_FDS ? count - i : WIRE_PACKET_FDS;
        if (send_packet(pair[1], &one, 1, (const int *)o->fds.at + i, n, NOW) != 1) {
            close(pair[1]);
            return MACH_SEND_NO_BUFFER;
        }
    }
    close(pair[1]);
    o->head.flags |= WIRE_NESTED;
    return MACH_MSG_SUCCESS;
}

/* One packet, or -1 with errno. Most messages are a head and a body only, and need no more than a
 * plain send. */
static ssize_t send_once(struct outgoing *o, struct iovec iov[4])
{
    int fds[WIRE_PACKET_FDS];
    size_t nfds = 0;

    if (o->items.count + o->extra.count + o->fds.count == 0 && o->payload < 0) {
        unsigned char *packet = o->body - sizeof o->head;

        memcpy(packet, &o->head, sizeof o->head);
        return send(o->dest.port->s, packet, sizeof o->head + o->body_len, NOW);
    }
    if (o->payload >= 0)
        fds[nfds++] = o->payload;
    if (o->nested >= 0) {
        fds[nfds++] = o->nested;
    } else if (o->fds.count > 0) {
        memcpy(fds + nfds, o->fds.at, o->fds.count * sizeof(int));
        nfds += o->fds.count;
    }
    return send_packet(o->dest.port->s, iov, o->payload >= 0 ? 1 : 4, fds, nfds, NOW);
}

mach_msg_return_t msg_transmit(struct outgoing *o, mach_msg_option_t option,
                               const struct deadline *until)
{
    struct iovec iov[4] = {{&o->head, sizeof o->head},
                           {o->items.at, o->items.count * sizeof(struct wire_item)},
                           {o->extra.at, o->extra.count * sizeof(uint64_t)},
                           {o->body, o->body_len}};
    mach_msg_return_t mr;

    o->head.nitems = (uint32_t)o->items.count;
    o->head.nextra = (uint32_t)o->extra.count;
    o->head.nfds = (uint32_t)o->fds.count;
    o->head.dest_nonce = o->dest_nonce;
    if (o->token)
        o->head.flags |= WIRE_TOKEN;
    if ((mr = prepare_payload(o, iov + 1, 3)) || (mr = prepare_nested(o)))
        return mr;
    while (send_once(o, iov) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return socket_error(errno);
        mr = wait_for(o->dest.port->s, POLLOUT, option, until);
        if (mr)
            return mr;
    }
    return MACH_MSG_SUCCESS;
}
