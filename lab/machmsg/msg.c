/* msg: mach_msg and its variants, and taking a message apart. */
#include "lab/machmsg/msg.h"
#include <mach/mach_init.h>
#include <mach/vm_map.h>
#include <stddef.h>

/* What programs compiled against these headers take for granted. */
_Static_assert(sizeof(mach_msg_header_t) == 24 && sizeof(mach_msg_base_t) == 28, "layout");
_Static_assert(sizeof(mach_msg_type_descriptor_t) == 12, "layout");
_Static_assert(sizeof(mach_msg_port_descriptor_t) == 12, "layout");
_Static_assert(sizeof(mach_msg_ool_descriptor_t) == 16, "layout");
_Static_assert(sizeof(mach_msg_ool_ports_descriptor_t) == 16, "layout");
_Static_assert(sizeof(mach_msg_guarded_port_descriptor_t) == 16, "layout");
_Static_assert(sizeof(mach_msg_descriptor_t) == 16, "layout");
_Static_assert(sizeof(mach_msg_trailer_t) == 8 && sizeof(mach_msg_seqno_trailer_t) == 12, "layout");
_Static_assert(sizeof(mach_msg_security_trailer_t) == 20, "layout");
_Static_assert(sizeof(mach_msg_audit_trailer_t) == 52, "layout");
_Static_assert(offsetof(mach_msg_header_t, msgh_id) == 20, "layout");
_Static_assert(offsetof(mach_msg_ool_descriptor_t, size) == 12, "layout");
_Static_assert(offsetof(mach_msg_guarded_port_descriptor_t, name) == 12, "layout");

mach_msg_return_t mach_msg_overwrite(mach_msg_header_t *msg, mach_msg_option_t option,
                                     mach_msg_size_t send_size, mach_msg_size_t rcv_size,
                                     mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
                                     mach_port_name_t notify, mach_msg_header_t *rcv_msg,
                                     mach_msg_size_t rcv_limit)
{
    mach_msg_return_t mr = MACH_MSG_SUCCESS;

    (void)notify;
    (void)rcv_limit;
    if (option & MACH_SEND_MSG)
        mr = msg_send(msg, option, send_size, timeout);
    if (mr == MACH_MSG_SUCCESS && (option & MACH_RCV_MSG))
        mr = msg_receive(rcv_msg ? rcv_msg : msg, option, rcv_size, rcv_name, timeout);
    return mr;
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
                           mach_msg_size_t send_size, mach_msg_size_t rcv_size,
                           mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
                           mach_port_name_t notify)
{
    return mach_msg_overwrite(msg, option, send_size, rcv_size, rcv_name, timeout, notify, NULL, 0);
}

mach_msg_return_t mach_msg_send(mach_msg_header_t *msg)
{
    return mach_msg(msg, MACH_SEND_MSG, msg->msgh_size, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

mach_msg_return_t mach_msg_receive(mach_msg_header_t *msg)
{
    return mach_msg(msg, MACH_RCV_MSG, 0, msg->msgh_size, msg->msgh_local_port, 0, MACH_PORT_NULL);
}

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

static void destroy_memory(void *address, uint64_t size, bool deallocate)
{
    if (deallocate && size > 0)
        vm_deallocate(mach_task_self(), (vm_address_t)address, size);
}

static void destroy_array(const mach_msg_ool_ports_descriptor_t *d)
{
    const mach_port_t *names = d->address;

    for (mach_msg_size_t i = 0; i < d->count; i++)
        destroy_port(names[i], d->disposition);
    destroy_memory(d->address, (uint64_t)d->count * sizeof *names, d->deallocate);
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
        else if (type == MACH_MSG_OOL_DESCRIPTOR)
            destroy_memory(d->out_of_line.address, d->out_of_line.size, d->out_of_line.deallocate);
    }
}
