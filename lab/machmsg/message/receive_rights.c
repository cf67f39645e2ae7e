/* receive_rights: see incoming.h. */
#include "lab/machmsg/memory/descriptor.h"
#include "lab/machmsg/message/incoming.h"
#include <stdlib.h>

/* The port behind a descriptor: made of it at its first use. 0, -EBADMSG or -ENOMEM. Under the
 * space's lock. */
static int port_of(struct incoming *in, uint32_t fd, struct mport **out)
{
    int rc = 0;

    if (!in->ports && !(in->ports = calloc(in->m.head.nfds, sizeof *in->ports)))
        return -ENOMEM;
    if (!in->ports[fd] && in->fds[fd] >= 0) {
        int s = in->fds[fd];

        in->fds[fd] = -1;
        if ((rc = mport_import(&in->ports[fd], s)) != 0)
            in->ports[fd] = NULL;
    }
    *out = in->ports[fd];
    return *out || rc == -ENOMEM ? rc : -EBADMSG;
}

/* A receive right: the port gets its receiving end, and the state that came along. */
static int adopt_receive(struct incoming *in, const struct wire_item *it, const uint64_t *words,
                         mach_port_name_t *name)
{
    struct wire_port_state state;
    uint64_t *once = NULL;
    struct mport *p;
    int on = 1, rc = port_of(in, it->fd + 1, &p);

    if (rc)
        return rc;
    if (p->r >= 0 || setsockopt(in->fds[it->fd], SOL_SOCKET, SO_PASSCRED, &on, sizeof on))
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
    p->foreign = true;
    __atomic_store_n(&p->moving, false, __ATOMIC_RELEASE);
    p->r = descriptor_keep(in->fds[it->fd], KEEP_RIGHT);
    in->fds[it->fd] = -1;
    return port_add_receive(mport_ref(p), name);
}

mach_port_name_t msg_adopt_right(struct incoming *in, const struct wire_item *it,
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
        *rc = port_of(in, it->fd, &p);
        if (*rc)
            break;
        if (it->kind == WIRE_SEND)
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
