/* destroy: taking a message apart. */
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/ports/wire.h"
#include <mach/mach_init.h>
#include <mach/mach_port.h>

static void destroy_port(mach_port_t name, mach_msg_type_name_t type)
{
    mach_msg_type_name_t got;

    if (!MACH_PORT_VALID(name))
        return;
    switch (type) {
    case MACH_MSG_TYPE_MOVE_SEND:
    case MACH_MSG_TYPE_MOVE_SEND_ONCE:
        mach_port_deallocate(mach_task_self(), name);
        break;
    case MACH_MSG_TYPE_MOVE_RECEIVE:
        mach_port_mod_refs(mach_task_self(), name, MACH_PORT_RIGHT_RECEIVE, -1);
        break;
    case MACH_MSG_TYPE_MAKE_SEND_ONCE:
        /* As Mach does: the right that would have been sent is made and destroyed, which the
         * holder of the port hears about. */
        if (mach_port_extract_right(mach_task_self(), name, type, &name, &got) == KERN_SUCCESS)
            mach_port_deallocate(mach_task_self(), name);
        break;
    default:
        break; /* copied or made send rights: nothing was taken yet */
    }
}

static void destroy_array(const mach_msg_ool_ports_descriptor_t *d)
{
    const mach_port_t *names = d->address;

    for (mach_msg_size_t i = 0; i < d->count; i++)
        destroy_port(names[i], d->disposition);
    if (d->deallocate)
        mem_release((uint64_t)names, (uint64_t)d->count * sizeof *names);
}

void mach_msg_destroy(mach_msg_header_t *msg)
{
    struct wire_walk w;
    mach_msg_descriptor_t *d;
    unsigned int type;

    destroy_port(msg->msgh_remote_port, MACH_MSGH_BITS_REMOTE(msg->msgh_bits));
    if (!(msg->msgh_bits & MACH_MSGH_BITS_COMPLEX) || msg->msgh_size < sizeof(mach_msg_base_t) ||
        wire_walk_begin(&w, msg + 1, msg->msgh_size - sizeof *msg))
        return;
    while (wire_walk_next(&w, &d, &type) > 0) {
        if (type == MACH_MSG_PORT_DESCRIPTOR)
            destroy_port(d->port.name, d->port.disposition);
        else if (type == MACH_MSG_OOL_PORTS_DESCRIPTOR)
            destroy_array(&d->ool_ports);
        else if (type == MACH_MSG_OOL_DESCRIPTOR && d->out_of_line.deallocate)
            mem_release((uint64_t)d->out_of_line.address, d->out_of_line.size);
    }
}
