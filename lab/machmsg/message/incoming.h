/* incoming: a message while it is being received, and the stages that it goes through. Each stage
 * is a file: its packet (receive_packet.c), its rights (receive_rights.c), its descriptors
 * (receive_body.c), and all of them in order (receive.c). */
#pragma once

#include "lab/machmsg/ports/port.h"
#include "lab/machmsg/ports/wire.h"
#include <errno.h>
#include <sys/socket.h>

/* The received header goes before the body and the trailer behind it, in the same buffer. */
#define HEADROOM 64u
#define TAILROOM 64u
_Static_assert(HEADROOM == sizeof(struct wire_head),
               "a packet is read to where its payload belongs");
_Static_assert(HEADROOM >= sizeof(mach_msg_header_t), "room");
_Static_assert(TAILROOM >= sizeof(mach_msg_max_trailer_t) + 4, "room");

struct incoming {
    struct mport *port; /* reference; its rcv_lock is ours */
    mach_port_name_t name;
    struct wire_message m;
    unsigned char *large; /* a payload that came in an object */
    struct ucred sender;
    int *fds; /* m.head.nfds of them; -1: taken */
    int few[8];
    struct mport **ports;    /* per descriptor: the port that it is the sending end of */
    mach_msg_return_t flaws; /* what could not be made of a message that is otherwise good */
    size_t packet_fds;
    int packet[WIRE_PACKET_FDS];
};

/* What a negative errno in receiving is called. */
static inline mach_msg_return_t msg_receive_error(int rc)
{
    if (rc == -EOVERFLOW)
        return MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE;
    return rc == -ENOMEM || rc == -ENOBUFS ? MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL
                                           : MACH_RCV_BODY_ERROR;
}

/* --- the packet, until it is a checked message, or gone --- */

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

/* --- rights --- */

/* One right: a name. extra (NULL in a header) runs along with the receive rights. What cannot be
 * made arrives as no right, and *rc, a negative errno, says so. Under the space's lock. */
mach_port_name_t msg_adopt_right(struct incoming *in, const struct wire_item *it,
                                 const uint64_t **extra, int *rc);

/* --- descriptors --- */

/* Makes rights and memory of what came, and writes their names and addresses into the body. What
 * cannot be made is in in->flaws. */
void msg_adopt_body(struct incoming *in);

/* --- all of it: the second half of mach_msg --- */

mach_msg_return_t msg_receive(mach_msg_header_t *msg, mach_msg_option_t option,
                              mach_msg_size_t size, mach_port_name_t name,
                              mach_msg_timeout_t timeout);
