/* receive: a packet from a unix socket, whole, with the descriptors that came beside it.
 *
 * A peer sends descriptors that nobody asked for, and closing one may take as long as the peer
 * likes: a socket that lingers over unsent data, a file whose file system the peer serves, a socket
 * with such things in its queue. So:
 *
 * Promises: every descriptor that came is the caller's or is dropped; what was not asked for is
 * dropped, and that is said; dropping one does not wait, but where no thread can be had. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define RECEIVE_MOST 253 /* descriptors beside one packet: SCM_MAX_FD of Linux */

/* Kinds of descriptors; telling them apart asks no file system. */
enum receive_kind {
    RECEIVE_SOCKETS = 1, /* unix sockets of packets (SOCK_SEQPACKET) */
    RECEIVE_MEMORY = 2,  /* memory objects (memfd, or a file of tmpfs) */
    RECEIVE_OTHERS = 4
};

struct received {
    /* Asked for. */
    unsigned int kinds;   /* of enum receive_kind */
    size_t room;          /* elements of fds */
    int *fds;             /* those that came, close-on-exec; -1: one that was not asked for */
    struct ucred *sender; /* where to put who sent it, if the kernel says; NULL: not wanted */
    /* Told. */
    size_t nfds;  /* for the caller to drop */
    bool beside;  /* the kernel put anything beside the bytes */
    bool cut;     /* the packet is longer than there was room */
    bool lost;    /* this process has no room for the descriptors that came: none is given */
    bool refused; /* other or more descriptors came than were asked for */
};

/* The packet's length, or a negative errno; -ENOBUFS: nothing was taken, because too many dropped
 * descriptors still wait to be closed. flags: as for recvmsg. */
ssize_t receive_packet(int socket, void *to, size_t size, int flags, struct received *r);
/* The other side: sends a packet with so many descriptors beside it, RECEIVE_MOST at most. Its
 * length, or -1 with errno. flags: as for sendmsg. */
ssize_t send_packet(int socket, struct iovec *iov, size_t n, const int *fds, size_t nfds,
                    int flags);
/* May it take a packet now? */
bool receive_has_room(void);

/* Closes what came from a peer, or has a queue that a peer fills (-1: nothing): in another thread
 * if closing it may wait, as far as the kernel says. errno stays. */
void receive_drop(int fd);
/* Shuts the socket down, so that nothing more can come, and drops all that waits in it. Is it empty
 * then, so that it can be closed like any other? */
bool receive_shut(int socket);
/* In another thread always: a peer can change what the kernel says until it is closed. */
void receive_drop_elsewhere(int fd);
