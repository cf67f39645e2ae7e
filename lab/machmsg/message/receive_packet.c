/* receive_packet: see incoming.h. */
#include "lab/machmsg/memory/object.h"
#include "lab/machmsg/message/incoming.h"
#include "probes/receive.h"
#include <stdlib.h>

/* Kinds of descriptors that messages carry: ends of ports, and memory. */
#define CARRIED (RECEIVE_SOCKETS | RECEIVE_MEMORY)
_Static_assert(WIRE_PACKET_FDS == RECEIVE_MOST, "room");

static void drop_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        receive_drop(fds[i]);
}

ssize_t msg_read_packet(struct incoming *in, int flags)
{
    static const struct ucred nobody = {-1, (uid_t)-1, (gid_t)-1};
    struct received r = {
        .kinds = CARRIED, .room = WIRE_PACKET_FDS, .fds = in->packet, .sender = &in->sender};
    ssize_t n;

    in->sender = nobody; /* if the kernel does not say: somebody else has the socket too */
    /* The head just before where the payload begins: the received header will stand there. */
    n = receive_packet(in->port->r, in->port->buf, HEADROOM + WIRE_INLINE_MAX + 8, flags, &r);

    if (n < 0)
        return n;
    in->packet_fds = r.nfds;
    /* The kernel says with every packet who sent it; only the end of the port says nothing. */
    if (n == 0)
        return r.beside ? -EBADMSG : 0;
    if (wire_decode_head(in->port->buf, (size_t)n, &in->m.head) || r.cut)
        return -EBADMSG;
    return r.lost ? -EOVERFLOW : n;
}

/* Those that do not fit now go with a later one. */
void msg_return_slot(struct mport *p)
{
    uint32_t owed = __atomic_load_n(&p->owed, __ATOMIC_ACQUIRE);

    if (owed == 0 && send(p->r, "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        return;
    owed = __atomic_add_fetch(&p->owed, 1, __ATOMIC_ACQ_REL);
    for (; owed > 0 && send(p->r, "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1; owed--)
        __atomic_sub_fetch(&p->owed, 1, __ATOMIC_ACQ_REL);
}

/* The descriptors of a message with more than one packet can carry. All of them were sent before
 * the message was: there is nothing to wait for. */
static int read_nested(struct incoming *in, int s, size_t want)
{
    for (size_t have = 0; have < want;) {
        struct received r = {.kinds = CARRIED, .room = want - have, .fds = in->fds + have};
        char byte;
        ssize_t n = receive_packet(s, &byte, 1, MSG_DONTWAIT, &r);

        have += r.nfds;
        if (r.lost)
            return -EOVERFLOW;
        if (n < 0 || r.nfds == 0 || r.refused)
            return n == -ENOBUFS ? -ENOBUFS : -EBADMSG;
    }
    return 0;
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
    if (h->flags & WIRE_NESTED)
        rc = read_nested(in, nested, h->nfds);
    receive_drop(nested);
    return rc;
}

static int read_large(struct incoming *in, int fd, size_t len)
{
    if (!object_is_sealed(fd, len, false))
        return -EBADMSG;
    if (!(in->large = malloc(HEADROOM + len + TAILROOM)))
        return -ENOMEM;
    return object_read(fd, in->large + HEADROOM, len, 0) ? -EBADMSG : 0;
}

int msg_decode_packet(struct incoming *in, size_t packet_len)
{
    const size_t len = wire_payload_len(&in->m.head);
    unsigned char *payload = in->port->buf + HEADROOM;
    int object = -1, rc = take_descriptors(in, &object);

    if (rc == 0 &&
        packet_len != sizeof(struct wire_head) + (in->m.head.flags & WIRE_PAYLOAD_FD ? 0 : len))
        rc = -EBADMSG;
    if (rc == 0 && (in->m.head.flags & WIRE_PAYLOAD_FD)) {
        rc = read_large(in, object, len);
        if (rc == 0)
            payload = in->large + HEADROOM;
    }
    receive_drop(object);
    if (rc == 0)
        rc = wire_decode_payload(&in->m.head, payload, len, &in->m);
    return rc;
}

void msg_discard(struct incoming *in)
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

void msg_release(struct incoming *in)
{
    drop_all(in->packet, in->packet_fds);
    in->packet_fds = 0;
    if (in->fds)
        drop_all(in->fds, in->m.head.nfds);
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
