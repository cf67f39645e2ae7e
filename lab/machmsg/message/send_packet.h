/* send_packet: a collected message as a packet in its port's queue. */
#ifndef MACHMSG_MESSAGE_SEND_PACKET_H
#define MACHMSG_MESSAGE_SEND_PACKET_H

#include "lab/machmsg/message/outgoing.h"
#include "lab/machmsg/ports/deadline.h"

/* Takes a queue slot, waiting for one if need be. */
mach_msg_return_t msg_take_slot(struct outgoing *o, mach_msg_option_t option,
                                const struct deadline *until);
/* Sends it; on any error nothing was sent. */
mach_msg_return_t msg_transmit(struct outgoing *o, mach_msg_option_t option,
                               const struct deadline *until);

#endif
