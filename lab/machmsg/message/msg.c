/* msg: mach_msg and its variants. */
#include "lab/machmsg/message/incoming.h"
#include "lab/machmsg/message/outgoing.h"
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
