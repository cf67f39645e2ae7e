/* wire: see wire.h. */
#include "lab/machmsg/ports/wire.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int wire_walk_begin(struct wire_walk *w, void *body, size_t len)
{
    mach_msg_body_t count;

    if (len < sizeof count)
        return -EBADMSG;
    memcpy(&count, body, sizeof count);
    w->at = (unsigned char *)body + sizeof count;
    w->end = (unsigned char *)body + len;
    w->left = count.msgh_descriptor_count;
    return 0;
}

int wire_walk_next(struct wire_walk *w, mach_msg_descriptor_t **d, unsigned int *type)
{
    size_t room = (size_t)(w->end - w->at), size;

    if (w->left == 0)
        return 0;
    if (room < sizeof(mach_msg_type_descriptor_t))
        return -EBADMSG;
    *d = (mach_msg_descriptor_t *)w->at;
    *type = w->at[11];
    switch (*type) {
    case MACH_MSG_PORT_DESCRIPTOR:
        size = sizeof(mach_msg_port_descriptor_t);
        break;
    case MACH_MSG_OOL_DESCRIPTOR:
    case MACH_MSG_OOL_VOLATILE_DESCRIPTOR:
    case MACH_MSG_OOL_PORTS_DESCRIPTOR:
        size = sizeof(mach_msg_ool_descriptor_t);
        break;
    default:
        return -EPROTONOSUPPORT;
    }
    if (room < size)
        return -EBADMSG;
    w->at += size;
    w->left--;
    return 1;
}

static bool is_right(unsigned int kind)
{
    return kind <= WIRE_RECEIVE;
}

int wire_decode_head(const void *packet, size_t len, struct wire_head *out)
{
    struct wire_head h;

    if (len < sizeof h)
        return -EBADMSG;
    memcpy(&h, packet, sizeof h);
    if (h.magic != WIRE_MAGIC || (h.flags & ~WIRE_FLAGS) || (h.bits & ~MACH_MSGH_BITS_COMPLEX))
        return -EBADMSG;
    if (h.size < sizeof(mach_msg_header_t) || h.size % 4 || h.size > WIRE_BODY_MAX)
        return -EBADMSG;
    /* An out-of-line descriptor needs 16 bytes of body and one item; rights are limited. */
    if (h.nitems > WIRE_PORTS_MAX + h.size / 12 || h.nfds > WIRE_FDS_MAX ||
        h.nextra > WIRE_NONCES_MAX + WIRE_PORT_WORDS * WIRE_PORTS_MAX)
        return -EBADMSG;
    if (!(h.bits & MACH_MSGH_BITS_COMPLEX) && (h.nitems || h.nextra))
        return -EBADMSG;
    if (!(h.flags & WIRE_NESTED) && h.nfds > WIRE_PACKET_FDS)
        return -EBADMSG;
    if (!(h.flags & WIRE_PAYLOAD_FD) != (wire_payload_len(&h) <= WIRE_INLINE_MAX))
        return -EBADMSG;
    *out = h;
    return 0;
}

/* What a check of one message carries along. used[] says of each descriptor number: 0 free,
 * 1 named by send rights (which may share it), 2 owned by one thing. */
struct check {
    const struct wire_message *m;
    uint8_t *used;
    uint32_t item, extra;
    uint32_t rights;
};

static bool take_fd(struct check *c, uint32_t fd, uint8_t how)
{
    if (fd >= c->m->head.nfds)
        return false;
    if (c->used[fd] == 2 || (c->used[fd] == 1 && how == 2))
        return false;
    c->used[fd] = how;
    return true;
}

static bool check_right(struct check *c, const struct wire_item *it)
{
    switch (it->kind) {
    case WIRE_NULL:
    case WIRE_DEAD:
        return it->fd == 0 && it->value == 0;
    case WIRE_SEND:
        return it->value == 0 && take_fd(c, it->fd, 1);
    case WIRE_SEND_ONCE:
        return it->value != 0 && take_fd(c, it->fd, 1);
    case WIRE_RECEIVE:
        if (it->value > WIRE_NONCES_MAX ||
            it->value + WIRE_PORT_WORDS > c->m->head.nextra - c->extra)
            return false;
        c->extra += (uint32_t)it->value + WIRE_PORT_WORDS;
        return it->fd + 1 > it->fd && take_fd(c, it->fd, 2) && take_fd(c, it->fd + 1, 2);
    default:
        return false;
    }
}

/* Does a right of that kind arrive under that disposition? The absence of one does under any. */
static bool agrees(unsigned int kind, unsigned int disposition)
{
    switch (kind) {
    case WIRE_SEND:
        return disposition == MACH_MSG_TYPE_PORT_SEND;
    case WIRE_SEND_ONCE:
        return disposition == MACH_MSG_TYPE_PORT_SEND_ONCE;
    case WIRE_RECEIVE:
        return disposition == MACH_MSG_TYPE_PORT_RECEIVE;
    default:
        return MACH_MSG_TYPE_PORT_ANY_RIGHT(disposition);
    }
}

/* The next n items, all rights of the one kind that the descriptor tells its receiver. */
static bool check_rights(struct check *c, uint64_t n, unsigned int disposition)
{
    if (n > c->m->head.nitems - c->item || n > WIRE_PORTS_MAX - c->rights)
        return false;
    c->rights += (uint32_t)n;
    for (; n > 0; n--) {
        const struct wire_item *it = &c->m->items[c->item++];

        if (it->zero || it->done || it->why || !is_right(it->kind) ||
            !agrees(it->kind, disposition) || !check_right(c, it))
            return false;
    }
    return true;
}

static bool check_memory(struct check *c, const mach_msg_ool_descriptor_t *d)
{
    const struct wire_item *it;

    if (c->item == c->m->head.nitems || d->copy > MACH_MSG_VIRTUAL_COPY)
        return false;
    it = &c->m->items[c->item++];
    if (it->zero || it->value != d->size)
        return false;
    if (it->kind == WIRE_OOL_NULL)
        return d->size == 0 && it->fd == 0;
    return (it->kind == WIRE_OOL_ANON || it->kind == WIRE_OOL_MAP) && d->size != 0 &&
           take_fd(c, it->fd, 2);
}

static bool check_descriptor(struct check *c, const mach_msg_descriptor_t *d, unsigned int type)
{
    switch (type) {
    case MACH_MSG_PORT_DESCRIPTOR:
        return check_rights(c, 1, d->port.disposition);
    case MACH_MSG_OOL_PORTS_DESCRIPTOR:
        return d->ool_ports.copy <= MACH_MSG_VIRTUAL_COPY &&
               check_rights(c, d->ool_ports.count, d->ool_ports.disposition);
    default:
        return check_memory(c, &d->out_of_line);
    }
}

static bool check_body(struct check *c)
{
    const struct wire_head *h = &c->m->head;
    struct wire_walk w;
    mach_msg_descriptor_t *d;
    unsigned int type;
    int rc;

    if (wire_walk_begin(&w, c->m->body, h->size - sizeof(mach_msg_header_t)))
        return false;
    while ((rc = wire_walk_next(&w, &d, &type)) > 0)
        if (!check_descriptor(c, d, type))
            return false;
    return rc == 0 && c->item == h->nitems && c->extra == h->nextra;
}

int wire_decode_payload(const struct wire_head *h, void *payload, size_t len,
                        struct wire_message *out)
{
    struct wire_message m = {.head = *h};
    struct check c = {.m = &m};
    bool good;

    if (len != wire_payload_len(h))
        return -EBADMSG;
    m.items = payload;
    m.extra = (const uint64_t *)(m.items + h->nitems);
    m.body = (unsigned char *)(m.extra + h->nextra);
    if (h->nfds == 0 && h->nitems == 0 && h->reply.kind == WIRE_NULL) {
        c.used = NULL;
    } else if (!(c.used = calloc(h->nfds ? h->nfds : 1, 1))) {
        return -ENOMEM;
    }
    good = is_right(h->reply.kind) && h->reply.kind != WIRE_RECEIVE && check_right(&c, &h->reply);
    if (good && (h->bits & MACH_MSGH_BITS_COMPLEX))
        good = check_body(&c);
    /* A descriptor that nothing names would be dropped; nobody honest sends one. */
    for (uint32_t i = 0; good && i < h->nfds; i++)
        good = c.used && c.used[i];
    free(c.used);
    if (!good)
        return -EBADMSG;
    *out = m;
    return 0;
}
