/* receive_packet: a packet and what came with it, until it is a checked message, or gone. */
#ifndef MACHMSG_MESSAGE_RECEIVE_PACKET_H
#define MACHMSG_MESSAGE_RECEIVE_PACKET_H

#include "lab/machmsg/message/incoming.h"

/* One packet: its head is checked, its descriptors are in->packet. Returns its length; 0 at the end
 * of the port; or a negative errno: -EBADMSG no message; -EOVERFLOW descriptors were lost because
 * this process can take no more. flags: as for recvmsg. */
ssize_t msg_read_packet(struct incoming *in, int flags);
/* From that packet to a checked message, in->m. 0, -EBADMSG, -ENOMEM, -EOVERFLOW. */
int msg_decode_packet(struct incoming *in, size_t packet_len);
/* A queue slot goes back to the senders. */
void msg_return_slot(struct mport *p);
/* Of a message that is not delivered: send-once rights in it tell their makers. */
void msg_discard(struct incoming *in);
/* Frees what struct incoming still owns. */
void msg_release(struct incoming *in);

#endif
