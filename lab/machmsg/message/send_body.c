/* send_body: see outgoing.h. */
#include "lab/machmsg/memory/copy.h"
#include "lab/machmsg/memory/page.h"
#include "lab/machmsg/memory/query.h"
#include "lab/machmsg/message/outgoing.h"
#include "lab/machmsg/message/transfer.h"
#include <errno.h>

mach_msg_return_t msg_check_body(const struct outgoing *o)
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
        mr = msg_take_right(o, names[i], d->disposition);
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
        mr = msg_take_right(o, d->port.name, p->disposition);
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

mach_msg_return_t msg_collect_body(struct outgoing *o)
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

static bool is_memory(const struct part *p)
{
    return p->type != MACH_MSG_PORT_DESCRIPTOR && p->type != MACH_MSG_OOL_PORTS_DESCRIPTOR;
}

static mach_msg_return_t memory_error(int rc)
{
    return rc == 0         ? MACH_MSG_SUCCESS
           : rc == -EFAULT ? MACH_SEND_INVALID_MEMORY
                           : MACH_MSG_VM_KERNEL;
}

mach_msg_return_t msg_check_memory(const struct outgoing *o)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < o->parts.count; i++) {
        const struct part *p = part_at(o, i);

        if (is_memory(p) && p->source.size > 0)
            rc = mem_walk(mem_trunc(p->source.address),
                          mem_round(p->source.address + p->source.size), NULL, NULL);
    }
    return memory_error(rc);
}

mach_msg_return_t msg_prepare_memory(struct outgoing *o)
{
    for (size_t i = 0; i < o->parts.count; i++) {
        struct part *p = part_at(o, i);
        struct wire_item *it = item_at(o, p->item);
        mach_msg_return_t mr;
        int *fd;

        if (!is_memory(p))
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

static void trace_part(const struct outgoing *o, int32_t id, size_t i)
{
    const struct part *p = part_at(o, i);
    const struct wire_item *it = item_at(o, p->item);
    struct machmsg_transfer t = {.event = MACHMSG_SENT,
                                 .message_id = id,
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
    if (is_memory(p)) {
        t.done = ool_done_text(it->done);
        t.why = ool_why_text(it->why);
        t.size = p->source.size;
        t.fd = p->object ? p->object->fd : -1;
    } else {
        t.done = p->rights == 0 || it->kind == WIRE_NULL     ? "null"
                 : p->disposition >= MACH_MSG_TYPE_MAKE_SEND ? "made"
                 : p->disposition == MACH_MSG_TYPE_COPY_SEND ? "copied"
                                                             : "moved";
        t.why = "the disposition says so";
    }
    trace_call(&t);
}

void msg_trace_sent(const struct outgoing *o, int32_t id)
{
    for (size_t i = 0; trace_wanted() && i < o->parts.count; i++)
        trace_part(o, id, i);
}

void msg_give_memory_away(const struct outgoing *o)
{
    for (size_t i = 0; i < o->parts.count; i++)
        if (part_at(o, i)->type != MACH_MSG_PORT_DESCRIPTOR)
            ool_commit(&part_at(o, i)->source);
}
