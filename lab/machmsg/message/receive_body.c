/* receive_body: see incoming.h. */
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/message/incoming.h"
#include "lab/machmsg/message/ool.h"
#include "lab/machmsg/message/transfer.h"

static void adopt_array(struct incoming *in, mach_msg_ool_ports_descriptor_t *d, uint32_t *item,
                        const uint64_t **extra)
{
    mach_port_name_t *names;
    uint64_t address = 0;
    int rc = d->count ? mem_fresh(d->count * sizeof *names, &address) : 0;

    d->address = names = (mach_port_name_t *)address;
    d->deallocate = TRUE;
    if (rc) {
        in->flaws |= MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE;
        for (uint32_t i = 0; i < d->count; i++, (*item)++)
            if (in->m.items[*item].kind == WIRE_RECEIVE)
                *extra += WIRE_PORT_WORDS + in->m.items[*item].value;
        d->count = 0;
        return;
    }
    space_lock();
    for (uint32_t i = 0; i < d->count; i++) {
        names[i] = msg_adopt_right(in, &in->m.items[(*item)++], extra, &rc);
        if (rc)
            in->flaws |= msg_receive_error(rc);
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
        in->flaws |=
            rc == -ENOMEM ? MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE : msg_receive_error(rc);
    }
}

void msg_adopt_body(struct incoming *in)
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
            d->port.name = msg_adopt_right(in, it, &extra, &rc);
            space_unlock();
            if (rc)
                in->flaws |= msg_receive_error(rc);
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
