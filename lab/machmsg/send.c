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

/* A growing list with some room of its own, so that small messages take no memory. */
struct list {
    void *at;
    size_t count, capacity, elem;
    _Alignas(16) unsigned char room[256];
};

static void list_init(struct list *l, size_t elem)
{
    l->at = l->room; /* which is not cleared: this is on every message's way */
    l->count = 0;
    l->capacity = sizeof l->room / elem;
    l->elem = elem;
}

static void list_free(struct list *l)
{
    if (l->at != l->room)
        free(l->at);
}

/* Room for n more; the first of them, or NULL without memory. */
static void *list_add(struct list *l, size_t n)
{
    if (l->count + n > l->capacity) {
        size_t capacity = 2 * (l->count + n);
        void *at =
            l->at == l->room ? malloc(capacity * l->elem) : realloc(l->at, capacity * l->elem);

        if (!at)
            return NULL;
        if (l->at == l->room)
            memcpy(at, l->room, l->count * l->elem);
        l->at = at;
        l->capacity = capacity;
    }
    l->count += n;
    return (unsigned char *)l->at + (l->count - n) * l->elem;
}

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

struct deadline deadline_in(bool set, mach_msg_timeout_t ms)
{
    struct deadline d = {.set = set};
    struct timespec now;

    if (set) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        d.ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + ms * 1000000ULL;
    }
    return d;
}

int deadline_left(const struct deadline *d)
{
    struct timespec now;
    uint64_t ns;

    if (!d->set)
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    if (ns >= d->ns)
        return 0;
    return (d->ns - ns) / 1000000 + 1 > INT32_MAX ? INT32_MAX : (int)((d->ns - ns) / 1000000 + 1);
}

static int add_fd(struct outgoing *o, int fd, uint32_t *index)
{
    int *at;

    /* Runs of rights to one port are what arrays hold in practice. */
    if (o->fds.count > 0 && ((int *)o->fds.at)[o->fds.count - 1] == fd) {
        *index = (uint32_t)o->fds.count - 1;
        return 0;
    }
    for (size_t i = 0; i < o->fds.count && i < 64; i++)
        if (((int *)o->fds.at)[i] == fd) {
            *index = (uint32_t)i;
            return 0;
        }
    if (!(at = list_add(&o->fds, 1)))
        return -ENOMEM;
    *at = fd;
    *index = (uint32_t)o->fds.count - 1;
    return 0;
}

/* What a disposition makes of a name that has a send right, counting what this message has
 * taken already. */
static int take_send(struct held *h, struct entry *e, bool move, struct wire_item *it)
{
    if (!(e->type & (MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_DEAD_NAME)) ||
        e->urefs <= e->pending_send)
        return -EINVAL;
    it->kind = e->type & MACH_PORT_TYPE_SEND ? WIRE_SEND : WIRE_DEAD;
    if (move) {
        h->take = TAKE_SEND;
        e->pending_send++;
    }
    return 0;
}

static int take_once(struct held *h, struct entry *e, struct wire_item *it)
{
    if (!(e->type & (MACH_PORT_TYPE_SEND_ONCE | MACH_PORT_TYPE_DEAD_NAME)) ||
        e->urefs <= e->pending_send)
        return -EINVAL;
    h->take = e->type & MACH_PORT_TYPE_SEND_ONCE ? TAKE_ONCE : TAKE_SEND;
    e->pending_send++;
    it->kind = e->type & MACH_PORT_TYPE_SEND_ONCE ? WIRE_SEND_ONCE : WIRE_DEAD;
    it->value = e->nonce;
    return 0;
}

static int take_by(struct held *h, struct entry *e, unsigned int disposition, struct wire_item *it)
{
    const bool receive = (e->type & MACH_PORT_TYPE_RECEIVE) && !e->pending_receive;

    switch (disposition) {
    case MACH_MSG_TYPE_MOVE_RECEIVE:
        if (!receive)
            return -EINVAL;
        h->take = TAKE_RECEIVE;
        e->pending_receive = true;
        it->kind = WIRE_RECEIVE;
        return 0;
    case MACH_MSG_TYPE_MOVE_SEND:
    case MACH_MSG_TYPE_COPY_SEND:
        return take_send(h, e, disposition == MACH_MSG_TYPE_MOVE_SEND, it);
    case MACH_MSG_TYPE_MOVE_SEND_ONCE:
        return take_once(h, e, it);
    case MACH_MSG_TYPE_MAKE_SEND:
        it->kind = WIRE_SEND;
        return receive ? 0 : -EINVAL;
    case MACH_MSG_TYPE_MAKE_SEND_ONCE:
        it->kind = WIRE_SEND_ONCE;
        if (!receive)
            return -EINVAL;
        it->value = h->made = mport_make_once(e->port);
        return h->made ? 0 : -ENOMEM;
    default:
        return -EINVAL;
    }
}

/* Fills *it and *h for one right. 0; -EINVAL: there is no such right; -ENOMEM. check_death: ask
 * whether the port still lives (a destination says so by itself). */
static int take_right(struct held *h, mach_port_name_t name, unsigned int disposition,
                      bool check_death, struct wire_item *it)
{
    struct entry *e;
    int rc;

    *h = (struct held){.name = name};
    *it = (struct wire_item){.kind = name == MACH_PORT_DEAD ? WIRE_DEAD : WIRE_NULL};
    if (!MACH_PORT_VALID(name))
        return 0;
    e = space_find(name);
    if (!e)
        return -EINVAL;
    if ((rc = port_special(name, e)))
        return rc == -EPERM ? -EINVAL : rc;
    if (check_death && !(e->type & MACH_PORT_TYPE_RECEIVE))
        port_notice_death(name, e);
    if ((rc = take_by(h, e, disposition, it)))
        return rc;
    if (it->kind != WIRE_DEAD)
        h->port = mport_ref(e->port);
    return 0;
}

/* One right in the message's body or the reply right: its item, and its descriptors. */
static int add_right(struct outgoing *o, mach_port_name_t name, unsigned int disposition,
                     struct wire_item *it, uint32_t item)
{
    struct held *h = list_add(&o->held, 1);
    uint32_t index = 0;
    int rc;

    if (!h)
        return -ENOMEM;
    rc = take_right(h, name, disposition, true, it);
    h->item = item;
    if (rc || !h->port)
        return rc;
    if (it->kind == WIRE_RECEIVE) {
        int *fd = list_add(&o->fds, 2);

        if (!fd)
            return -ENOMEM;
        it->fd = (uint32_t)o->fds.count - 2;
        fd[0] = h->port->r;
        fd[1] = h->port->s;
        return 0;
    }
    rc = add_fd(o, h->port->s, &index);
    it->fd = index;
    return rc;
}

static mach_msg_return_t right_error(int rc, mach_msg_return_t invalid)
{
    return rc == 0 ? MACH_MSG_SUCCESS : rc == -EINVAL ? invalid : MACH_MSG_IPC_KERNEL;
}

static mach_msg_return_t collect_header(struct outgoing *o, const mach_msg_header_t *m)
{
    struct wire_item dest;
    mach_msg_return_t mr;

    mr = right_error(take_right(&o->dest, m->msgh_remote_port, MACH_MSGH_BITS_REMOTE(m->msgh_bits),
                                false, &dest),
                     MACH_SEND_INVALID_DEST);
    if (mr)
        return mr;
    if (dest.kind != WIRE_SEND && dest.kind != WIRE_SEND_ONCE)
        return MACH_SEND_INVALID_DEST;
    o->dest_nonce = dest.value;
    if (m->msgh_local_port == MACH_PORT_NULL)
        return MACH_MSG_SUCCESS;
    return right_error(
        add_right(o, m->msgh_local_port, MACH_MSGH_BITS_LOCAL(m->msgh_bits), &o->head.reply, 0),
        MACH_SEND_INVALID_REPLY);
}

static mach_msg_return_t collect_item(struct outgoing *o, mach_port_name_t name,
                                      unsigned int disposition)
{
    struct wire_item *it = list_add(&o->items, 1);

    if (!it)
        return MACH_MSG_IPC_KERNEL;
    return right_error(add_right(o, name, disposition, it, (uint32_t)o->items.count - 1),
                       MACH_SEND_INVALID_RIGHT);
}

static unsigned int received_as(unsigned int disposition)
{
    switch (disposition) {
    case MACH_MSG_TYPE_MOVE_RECEIVE:
        return MACH_MSG_TYPE_PORT_RECEIVE;
    case MACH_MSG_TYPE_MOVE_SEND_ONCE:
    case MACH_MSG_TYPE_MAKE_SEND_ONCE:
        return MACH_MSG_TYPE_PORT_SEND_ONCE;
    default:
        return MACH_MSG_TYPE_PORT_SEND;
    }
}

static mach_msg_return_t collect_array(struct outgoing *o, mach_msg_ool_ports_descriptor_t *d)
{
    size_t bytes = (size_t)d->count * sizeof(mach_port_name_t);
    mach_port_name_t *names;
    mach_msg_return_t mr = MACH_MSG_SUCCESS;

    if (d->count == 0)
        return MACH_MSG_SUCCESS;
    if (!(names = malloc(bytes)))
        return MACH_MSG_IPC_KERNEL;
    if (mem_copy_checked((uint64_t)names, (uint64_t)d->address, bytes))
        mr = MACH_SEND_INVALID_MEMORY;
    else if (!MACH_MSG_TYPE_PORT_ANY(d->disposition))
        mr = MACH_SEND_INVALID_RIGHT;
    for (uint32_t i = 0; mr == MACH_MSG_SUCCESS && i < d->count; i++)
        mr = collect_item(o, names[i], d->disposition);
    free(names);
    return mr;
}

/* One descriptor: its rights are collected, its memory noted; the copy that travels is cleaned of
 * names and addresses. */
static mach_msg_return_t collect_descriptor(struct outgoing *o, mach_msg_descriptor_t *d,
                                            unsigned int type)
{
    struct part *p = list_add(&o->parts, 1);
    mach_msg_return_t mr = MACH_MSG_SUCCESS;

    if (!p)
        return MACH_MSG_IPC_KERNEL;
    *p = (struct part){.type = (uint8_t)type, .item = (uint32_t)o->items.count, .rights = 1};
    if (type == MACH_MSG_PORT_DESCRIPTOR) {
        p->disposition = d->port.disposition;
        mr = collect_item(o, d->port.name, p->disposition);
        d->port =
            (mach_msg_port_descriptor_t){.disposition = received_as(p->disposition), .type = type};
        return mr;
    }
    p->source = (struct ool_source){.address = (uint64_t)d->out_of_line.address,
                                    .size = d->out_of_line.size,
                                    .physical = d->out_of_line.copy == MACH_MSG_PHYSICAL_COPY,
                                    .deallocate = d->out_of_line.deallocate};
    if (type == MACH_MSG_OOL_PORTS_DESCRIPTOR) {
        p->rights = d->ool_ports.count;
        p->source.size *= sizeof(mach_port_name_t);
        p->disposition = d->ool_ports.disposition;
        mr = collect_array(o, &d->ool_ports);
        d->ool_ports.disposition = received_as(p->disposition);
    } else if (!list_add(&o->items, 1)) {
        mr = MACH_MSG_IPC_KERNEL;
    }
    d->out_of_line.address = NULL;
    d->out_of_line.deallocate = 0;
    if (type != MACH_MSG_OOL_PORTS_DESCRIPTOR)
        d->out_of_line.pad1 = 0;
    return mr;
}

static mach_msg_return_t collect_body(struct outgoing *o)
{
    mach_msg_return_t mr = MACH_MSG_SUCCESS;
    mach_msg_descriptor_t *d;
    struct wire_walk w;
    unsigned int type;

    wire_walk_begin(&w, o->body, o->body_len);
    while (mr == MACH_MSG_SUCCESS && wire_walk_next(&w, &d, &type) > 0)
        mr = collect_descriptor(o, d, type);
    return mr;
}

/* Marks are for the time of collecting only. */
static void unmark(const struct held *h)
{
    struct entry *e = h->take ? space_find(h->name) : NULL;

    if (e) {
        e->pending_send = 0;
        e->pending_receive = false;
    }
}

static mach_msg_return_t collect(struct outgoing *o, const mach_msg_header_t *m)
{
    mach_msg_return_t mr;

    space_lock();
    mr = collect_header(o, m);
    if (mr == MACH_MSG_SUCCESS && (m->msgh_bits & MACH_MSGH_BITS_COMPLEX))
        mr = collect_body(o);
    unmark(&o->dest);
    for (size_t i = 0; i < o->held.count; i++)
        unmark((struct held *)o->held.at + i);
    space_unlock();
    return mr;
}

/* What can be said of a message without looking at rights or memory. */
static mach_msg_return_t check_body(const struct outgoing *o)
{
    mach_msg_descriptor_t *d;
    struct wire_walk w;
    unsigned int type;
    uint64_t rights = 0;
    int rc;

    if (wire_walk_begin(&w, o->body, o->body_len))
        return MACH_SEND_MSG_TOO_SMALL;
    while ((rc = wire_walk_next(&w, &d, &type)) > 0) {
        if (type == MACH_MSG_PORT_DESCRIPTOR)
            rights++;
        else if (d->out_of_line.copy > MACH_MSG_VIRTUAL_COPY)
            return MACH_SEND_INVALID_TYPE;
        if (type == MACH_MSG_OOL_PORTS_DESCRIPTOR)
            rights += d->ool_ports.count;
        if (rights > WIRE_PORTS_MAX)
            return MACH_SEND_TOO_LARGE;
    }
    if (rc == -EPROTONOSUPPORT)
        return MACH_SEND_INVALID_TYPE;
    return rc ? MACH_SEND_MSG_TOO_SMALL : MACH_MSG_SUCCESS;
}

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

static mach_msg_return_t wait_for(int s, short what, mach_msg_option_t option,
                                  const struct deadline *until)
{
    struct pollfd pfd = {.fd = s, .events = what};
    int n = poll(&pfd, 1, deadline_left(until));

    if (n < 0 && errno == EINTR)
        return option & MACH_SEND_INTERRUPT ? MACH_SEND_INTERRUPTED : MACH_MSG_SUCCESS;
    return n == 0 ? MACH_SEND_TIMED_OUT : MACH_MSG_SUCCESS;
}

/* All memory that the message carries can be read: asked before waiting, so that a bad message
 * fails at once on a full queue too. */
static mach_msg_return_t check_memory(const struct outgoing *o)
{
    for (size_t i = 0; i < o->parts.count; i++) {
        const struct part *p = (const struct part *)o->parts.at + i;

        if (p->type != MACH_MSG_PORT_DESCRIPTOR && p->type != MACH_MSG_OOL_PORTS_DESCRIPTOR &&
            p->source.size > 0 &&
            mem_readable(mem_trunc(p->source.address, mem_page()),
                         mem_round(p->source.address + p->source.size)))
            return MACH_SEND_INVALID_MEMORY;
    }
    return MACH_MSG_SUCCESS;
}

/* Takes a queue slot, waiting for one if need be. */
static mach_msg_return_t take_slot(struct outgoing *o, mach_msg_option_t option,
                                   const struct deadline *until)
{
    struct mport *p = o->dest.port;
    mach_msg_return_t mr = MACH_MSG_SUCCESS;
    bool checked = false;

    if (o->dest_nonce)
        return MACH_MSG_SUCCESS; /* a send-once right has its place */
    while (mr == MACH_MSG_SUCCESS) {
        uint32_t spare = __atomic_load_n(&p->spare, __ATOMIC_ACQUIRE);
        ssize_t n;

        while (spare > 0)
            if (__atomic_compare_exchange_n(&p->spare, &spare, spare - 1, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_ACQUIRE)) {
                o->token = true;
                return MACH_MSG_SUCCESS;
            }
        n = recv(p->s, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
        if (n > 0) {
            o->token = true;
            return MACH_MSG_SUCCESS;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return MACH_SEND_INVALID_DEST;
        if (!checked)
            mr = check_memory(o);
        checked = true;
        if (mr == MACH_MSG_SUCCESS)
            mr = wait_for(p->s, POLLIN, option, until);
    }
    return mr;
}

static mach_msg_return_t memory_error(int rc)
{
    return rc == 0         ? MACH_MSG_SUCCESS
           : rc == -EFAULT ? MACH_SEND_INVALID_MEMORY
                           : MACH_MSG_VM_KERNEL;
}

static mach_msg_return_t prepare_memory(struct outgoing *o)
{
    for (size_t i = 0; i < o->parts.count; i++) {
        struct part *p = (struct part *)o->parts.at + i;
        struct wire_item *it = (struct wire_item *)o->items.at + p->item;
        mach_msg_return_t mr;
        int *fd;

        if (p->type == MACH_MSG_PORT_DESCRIPTOR || p->type == MACH_MSG_OOL_PORTS_DESCRIPTOR)
            continue;
        mr = memory_error(ool_prepare(&p->source, it, &p->object));
        if (mr)
            return mr;
        if (!p->object)
            continue;
        if (!(fd = list_add(&o->fds, 1)))
            return MACH_MSG_IPC_KERNEL;
        *fd = p->object->fd;
        it->fd = (uint32_t)o->fds.count - 1;
    }
    return MACH_MSG_SUCCESS;
}

/* Receive rights that leave: nobody of this process receives from them any more, and their state
 * travels along. Held until commit or abandon. */
static mach_msg_return_t prepare_receive_rights(struct outgoing *o)
{
    for (size_t i = 0; i < o->held.count; i++) {
        struct held *h = (struct held *)o->held.at + i;
        struct wire_item *it = (struct wire_item *)o->items.at + h->item;
        struct wire_port_state state;
        uint64_t *words;

        if (h->take != TAKE_RECEIVE)
            continue;
        __atomic_store_n(&h->port->moving, true, __ATOMIC_RELEASE);
        port_quiesce(h->port);
        h->locked = true;
        space_lock();
        state = (struct wire_port_state){.seqno = h->port->seqno,
                                         .qlimit = h->port->qlimit,
                                         .owed = h->port->owed,
                                         .mscount = h->port->mscount};
        it->value = h->port->nonce;
        words = list_add(&o->extra, WIRE_PORT_WORDS + h->port->nonce);
        if (words) {
            memcpy(words, &state, sizeof state);
            if (h->port->nonce)
                memcpy(words + WIRE_PORT_WORDS, h->port->once, h->port->nonce * sizeof *words);
        }
        space_unlock();
        if (!words)
            return MACH_MSG_IPC_KERNEL;
    }
    return MACH_MSG_SUCCESS;
}

/* A payload too large for a packet goes into an object. */
static mach_msg_return_t prepare_payload(struct outgoing *o, const struct iovec *iov, int n)
{
    const size_t len = wire_payload_len(&o->head);
    struct object *object;
    off_t at = 0;

    if (len <= WIRE_INLINE_MAX)
        return MACH_MSG_SUCCESS;
    if (object_create(&object, len))
        return MACH_SEND_NO_BUFFER;
    o->payload = dup(object->fd);
    for (int i = 0; i < n && o->payload >= 0; i++) {
        if (iov[i].iov_len > 0 &&
            pwrite(object->fd, iov[i].iov_base, iov[i].iov_len, at) != (ssize_t)iov[i].iov_len)
            break;
        at += (off_t)iov[i].iov_len;
    }
    if (o->payload < 0 || (size_t)at != len || object_seal(object)) {
        object_unref(object);
        return MACH_SEND_NO_BUFFER;
    }
    object_unref(object);
    o->head.flags |= WIRE_PAYLOAD_FD;
    return MACH_MSG_SUCCESS;
}

static ssize_t send_packet(int s, struct iovec *iov, int n, const int *fds, size_t nfds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * WIRE_PACKET_FDS)];
    } control;
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = (size_t)n};

    if (nfds > 0) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        memset(control.bytes + CMSG_LEN(sizeof(int) * nfds), 0,
               CMSG_SPACE(sizeof(int) * nfds) - CMSG_LEN(sizeof(int) * nfds));
        control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * nfds),
                                         .cmsg_level = SOL_SOCKET,
                                         .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * nfds);
    }
    return sendmsg(s, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
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
        if (send_packet(pair[1], &one, 1, (const int *)o->fds.at + i, n) != 1) {
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
static ssize_t send_once(struct outgoing *o)
{
    struct iovec iov[4] = {{&o->head, sizeof o->head},
                           {o->items.at, o->items.count * sizeof(struct wire_item)},
                           {o->extra.at, o->extra.count * sizeof(uint64_t)},
                           {o->body, o->body_len}};
    int fds[WIRE_PACKET_FDS];
    size_t nfds = 0;

    if (o->items.count + o->extra.count + o->fds.count == 0 && o->payload < 0) {
        unsigned char *packet = o->body - sizeof o->head;

        memcpy(packet, &o->head, sizeof o->head);
        return send(o->dest.port->s, packet, sizeof o->head + o->body_len,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (o->payload >= 0)
        fds[nfds++] = o->payload;
    if (o->nested >= 0) {
        fds[nfds++] = o->nested;
    } else if (o->fds.count > 0) {
        memcpy(fds + nfds, o->fds.at, o->fds.count * sizeof(int));
        nfds += o->fds.count;
    }
    return send_packet(o->dest.port->s, iov, o->payload >= 0 ? 1 : 4, fds, nfds);
}

static mach_msg_return_t transmit(struct outgoing *o, mach_msg_option_t option,
                                  const struct deadline *until)
{
    const struct iovec payload[3] = {{o->items.at, o->items.count * sizeof(struct wire_item)},
                                     {o->extra.at, o->extra.count * sizeof(uint64_t)},
                                     {o->body, o->body_len}};
    mach_msg_return_t mr;

    o->head.nitems = (uint32_t)o->items.count;
    o->head.nextra = (uint32_t)o->extra.count;
    o->head.nfds = (uint32_t)o->fds.count;
    o->head.dest_nonce = o->dest_nonce;
    if (o->token)
        o->head.flags |= WIRE_TOKEN;
    if ((mr = prepare_payload(o, payload, 3)) || (mr = prepare_nested(o)))
        return mr;
    while (send_once(o) < 0) {
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
            return MACH_SEND_INVALID_DEST;
        if (errno != EAGAIN && errno != EINTR)
            return MACH_SEND_NO_BUFFER;
        mr = wait_for(o->dest.port->s, POLLOUT, option, until);
        if (mr)
            return mr;
    }
    return MACH_MSG_SUCCESS;
}

static void consume(struct held *h)
{
    struct entry *e = space_find(h->name);

    if (h->take == TAKE_RECEIVE) {
        /* Messages that wait, and those that come, are the new receiver's. */
        close(h->port->r);
        h->port->r = -1;
        h->port->nonce = 0;
        __atomic_store_n(&h->port->moving, false, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&h->port->rcv_lock);
        h->locked = false;
        if (e && e->port == h->port) {
            e->type &= ~MACH_PORT_TYPE_RECEIVE;
            if (!e->type)
                space_remove(h->name);
        }
    } else if (h->take == TAKE_SEND && e && !port_is_special(h->name) &&
               (e->type & (MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_DEAD_NAME))) {
        port_drop_send(h->name, e, 1);
    } else if (h->take == TAKE_ONCE && e && e->type == MACH_PORT_TYPE_SEND_ONCE) {
        space_remove(h->name);
    }
}

static void trace_part(const struct outgoing *o, const mach_msg_header_t *m, size_t i)
{
    const struct part *p = (const struct part *)o->parts.at + i;
    struct machmsg_transfer t = {.event = MACHMSG_SENT,
                                 .message_id = m->msgh_id,
                                 .descriptor = (unsigned int)i,
                                 .kind = trace_kind(p->type),
                                 .deallocate = -1,
                                 .size = p->rights,
                                 .fd = -1};

    if (p->type != MACH_MSG_PORT_DESCRIPTOR) {
        t.asked = p->source.physical ? "physical" : "virtual";
        t.deallocate = p->source.deallocate;
        t.address = p->source.address;
    }
    if (p->type == MACH_MSG_PORT_DESCRIPTOR || p->type == MACH_MSG_OOL_PORTS_DESCRIPTOR) {
        const struct wire_item *it = (const struct wire_item *)o->items.at + p->item;
        const bool made = p->disposition >= MACH_MSG_TYPE_MAKE_SEND;

        t.done = p->rights == 0 || it->kind == WIRE_NULL     ? "null"
                 : made                                      ? "made"
                 : p->disposition == MACH_MSG_TYPE_COPY_SEND ? "copied"
                                                             : "moved";
        t.why = "the disposition says so";
    } else {
        const struct wire_item *it = (const struct wire_item *)o->items.at + p->item;

        t.done = ool_done_text(it->done);
        t.why = ool_why_text(it->why);
        t.size = p->source.size;
        t.fd = p->object ? p->object->fd : -1;
    }
    trace_call(&t);
}

/* The packet is in the queue: what was given away goes. */
static void commit(struct outgoing *o, const mach_msg_header_t *m)
{
    if (trace_wanted())
        for (size_t i = 0; i < o->parts.count; i++)
            trace_part(o, m, i);
    if (o->dest.take != TAKE_NOTHING || o->held.count > 0) {
        space_lock();
        consume(&o->dest);
        for (size_t i = 0; i < o->held.count; i++)
            consume((struct held *)o->held.at + i);
        space_unlock();
    }
    for (size_t i = 0; i < o->parts.count; i++) {
        const struct part *p = (const struct part *)o->parts.at + i;

        if (p->type != MACH_MSG_PORT_DESCRIPTOR)
            ool_commit(&p->source);
    }
}

/* Gives back what one right still holds; sent: the message is on its way. */
static void let_go(struct held *h, bool sent)
{
    if (!h->port)
        return;
    if (h->locked) {
        __atomic_store_n(&h->port->moving, false, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&h->port->rcv_lock);
    }
    if (h->made && !sent) {
        space_lock();
        mport_strike_once(h->port, h->made);
        space_unlock();
    }
    mport_drop(h->port);
}

/* The port turned out to be dead: so is the name. */
static void notice_death(mach_port_name_t name)
{
    struct entry *e;

    space_lock();
    if ((e = space_find(name)))
        port_notice_death(name, e);
    space_unlock();
}

static void finish(struct outgoing *o, mach_msg_return_t mr)
{
    const bool sent = mr == MACH_MSG_SUCCESS;

    if (o->payload >= 0)
        close(o->payload);
    if (o->nested >= 0)
        close(o->nested);
    for (size_t i = 0; i < o->parts.count; i++)
        if (((struct part *)o->parts.at)[i].object)
            object_unref(((struct part *)o->parts.at)[i].object);
    if (o->token && !sent)
        __atomic_add_fetch(&o->dest.port->spare, 1, __ATOMIC_ACQ_REL);
    if (mr == MACH_SEND_INVALID_DEST && o->dest.port)
        notice_death(o->dest.name);
    let_go(&o->dest, sent);
    for (size_t i = 0; i < o->held.count; i++)
        let_go((struct held *)o->held.at + i, sent);
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
        mr = check_body(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = collect(o, m);
    if (mr == MACH_MSG_SUCCESS)
        mr = take_slot(o, option, &until);
    if (mr == MACH_MSG_SUCCESS)
        mr = prepare_memory(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = prepare_receive_rights(o);
    if (mr == MACH_MSG_SUCCESS)
        mr = transmit(o, option, &until);
    if (mr == MACH_MSG_SUCCESS)
        commit(o, m);
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
