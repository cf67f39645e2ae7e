/* send_body: the descriptors of a message that is sent. */
#ifndef MACHMSG_MESSAGE_SEND_BODY_H
#define MACHMSG_MESSAGE_SEND_BODY_H

#include "lab/machmsg/message/outgoing.h"

/* What can be said of a body without looking at rights or memory. */
mach_msg_return_t msg_check_body(const struct outgoing *o);
/* Takes the rights and notes the memory of every descriptor, and cleans the copy that travels of
 * names and addresses. Under the space's lock. */
mach_msg_return_t msg_collect_body(struct outgoing *o);
/* Can all memory that the message carries be read? */
mach_msg_return_t msg_check_memory(const struct outgoing *o);
/* Makes the objects that travel. */
mach_msg_return_t msg_prepare_memory(struct outgoing *o);
/* Tells whoever registered for it of every descriptor. */
void msg_trace_sent(const struct outgoing *o, int32_t id);
/* The message is on its way: memory that was given away goes. */
void msg_give_memory_away(const struct outgoing *o);

#endif
