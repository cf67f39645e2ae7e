/* send_rights: the rights that a message takes, from the mark on a name to the right that is gone.
 * What it takes is only marked while it is collected, under the space's lock. */
#ifndef MACHMSG_MESSAGE_SEND_RIGHTS_H
#define MACHMSG_MESSAGE_SEND_RIGHTS_H

#include "lab/machmsg/message/outgoing.h"

/* The destination, and the reply right if there is one. Under the space's lock. */
mach_msg_return_t msg_take_header_rights(struct outgoing *o, const mach_msg_header_t *m);
/* One right of the body, which gets an item. Under the space's lock. */
mach_msg_return_t msg_take_right(struct outgoing *o, mach_port_name_t name,
                                 unsigned int disposition);
/* Marks are for the time of collecting only. Under the space's lock. */
void msg_unmark_rights(struct outgoing *o);
/* Receive rights that leave: nobody of this process receives from them any more, and their state
 * travels along. Held until the rights are consumed or let go. */
mach_msg_return_t msg_hold_receive_rights(struct outgoing *o);
/* The message is on its way: what it took goes. */
void msg_consume_rights(struct outgoing *o);
/* Gives back what is still held; mr: how the send ended. */
void msg_let_rights_go(struct outgoing *o, mach_msg_return_t mr);

#endif
