/* incoming: a message while it is being received. Header only. */
#ifndef MACHMSG_MESSAGE_INCOMING_H
#define MACHMSG_MESSAGE_INCOMING_H

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
    return rc == -ENOMEM ? MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL : MACH_RCV_BODY_ERROR;
}

#endif
