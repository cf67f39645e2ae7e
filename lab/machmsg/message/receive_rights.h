/* receive_rights: the rights that a message brought, as names of this task. */
#ifndef MACHMSG_MESSAGE_RECEIVE_RIGHTS_H
#define MACHMSG_MESSAGE_RECEIVE_RIGHTS_H

#include "lab/machmsg/message/incoming.h"

/* One right: a name. extra (NULL in a header) runs along with the receive rights. What cannot be
 * made arrives as no right, and *rc, a negative errno, says so. Under the space's lock. */
mach_port_name_t msg_adopt_right(struct incoming *in, const struct wire_item *it,
                                 const uint64_t **extra, int *rc);

#endif
