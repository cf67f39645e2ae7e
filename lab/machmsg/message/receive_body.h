/* receive_body: the descriptors of a message that is received. */
#ifndef MACHMSG_MESSAGE_RECEIVE_BODY_H
#define MACHMSG_MESSAGE_RECEIVE_BODY_H

#include "lab/machmsg/message/incoming.h"

/* Makes rights and memory of what came, and writes their names and addresses into the body. What
 * cannot be made is in in->flaws. */
void msg_adopt_body(struct incoming *in);

#endif
