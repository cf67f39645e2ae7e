/* send_rights: see outgoing.h. */
#include "lab/machmsg/message/outgoing.h"
#include "probes/receive.h"
#include <errno.h>

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

mach_msg_return_t msg_take_header_rights(struct outgoing *o, const mach_msg_header_t *m)
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

mach_msg_return_t msg_take_right(struct outgoing *o, mach_port_name_t name,
                                 unsigned int disposition)
{
    struct wire_item *it = list_add(&o->items, 1);

    if (!it)
        return MACH_MSG_IPC_KERNEL;
    return right_error(add_right(o, name, disposition, it, (uint32_t)o->items.count - 1),
                       MACH_SEND_INVALID_RIGHT);
}

static void unmark(const struct held *h)
{
    struct entry *e = h->take ? space_find(h->name) : NULL;

    if (e) {
        e->pending_send = 0;
        e->pending_receive = false;
    }
}

void msg_unmark_rights(struct outgoing *o)
{
    unmark(&o->dest);
    for (size_t i = 0; i < o->held.count; i++)
        unmark(held_at(o, i));
}

/* The state of a port, and the numbers of its send-once rights, join the extra words. Under the
 * space's lock. */
static bool pack_port(struct outgoing *o, const struct mport *p)
{
    const struct wire_port_state state = {
        .seqno = p->seqno, .qlimit = p->qlimit, .owed = p->owed, .mscount = p->mscount};
    uint64_t *words = list_add(&o->extra, WIRE_PORT_WORDS + p->nonce);

    if (!words)
        return false;
    memcpy(words, &state, sizeof state);
    if (p->nonce)
        memcpy(words + WIRE_PORT_WORDS, p->once, p->nonce * sizeof *words);
    return true;
}

mach_msg_return_t msg_hold_receive_rights(struct outgoing *o)
{
    for (size_t i = 0; i < o->held.count; i++) {
        struct held *h = held_at(o, i);
        bool packed;

        if (h->take != TAKE_RECEIVE)
            continue;
        __atomic_store_n(&h->port->moving, true, __ATOMIC_RELEASE);
        port_quiesce(h->port);
        h->locked = true;
        space_lock();
        item_at(o, h->item)->value = h->port->nonce;
        packed = pack_port(o, h->port);
        space_unlock();
        if (!packed)
            return MACH_MSG_IPC_KERNEL;
    }
    return MACH_MSG_SUCCESS;
}

/* Receivers may come again. */
static void let_receive(struct held *h)
{
    __atomic_store_n(&h->port->moving, false, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&h->port->rcv_lock);
    h->locked = false;
}

static void consume(struct held *h)
{
    struct entry *e = space_find(h->name);

    if (h->take == TAKE_RECEIVE) {
        /* Messages that wait, and those that come, are the new receiver's. */
        receive_drop(h->port->r);
        h->port->r = -1;
        h->port->foreign = true;
        h->port->nonce = 0;
        let_receive(h);
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

void msg_consume_rights(struct outgoing *o)
{
    if (o->dest.take == TAKE_NOTHING && o->held.count == 0)
        return;
    space_lock();
    consume(&o->dest);
    for (size_t i = 0; i < o->held.count; i++)
        consume(held_at(o, i));
    space_unlock();
}

/* Gives back what one right still holds; sent: the message is on its way. */
static void let_go(struct held *h, bool sent)
{
    if (!h->port)
        return;
    if (h->locked)
        let_receive(h);
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

void msg_let_rights_go(struct outgoing *o, mach_msg_return_t mr)
{
    const bool sent = mr == MACH_MSG_SUCCESS;

    if (mr == MACH_SEND_INVALID_DEST && o->dest.port)
        notice_death(o->dest.name);
    let_go(&o->dest, sent);
    for (size_t i = 0; i < o->held.count; i++)
        let_go(held_at(o, i), sent);
}
