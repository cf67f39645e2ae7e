/* send: the first half of mach_msg. */
#ifndef MACHMSG_MESSAGE_SEND_H
#define MACHMSG_MESSAGE_SEND_H

#include <mach/message.h>

mach_msg_return_t msg_send(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t size,
                           mach_msg_timeout_t timeout);

#endif
