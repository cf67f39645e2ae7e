/* Descriptors whose close waits: what a hostile peer passes. Header only. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A TCP connection whose other end reads nothing: fd holds data that cannot be sent, and its close
 * waits for that for an hour. The reader's end ends it: closed, it lets everybody go. */
struct lingering {
    int fd, reader;
};

static inline struct lingering lingering_make(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct linger hour = {1, 3600};
    struct lingering l = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    socklen_t len = sizeof a;
    char data[65536] = {0};

    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&a, &len) ||
        connect(l.fd, (struct sockaddr *)&a, sizeof a))
        l.reader = -1;
    else
        l.reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    while (send(l.fd, data, sizeof data, MSG_DONTWAIT) > 0)
        continue;
    setsockopt(l.fd, SOL_SOCKET, SO_LINGER, &hour, sizeof hour);
    return l;
}

/* Unread data: the connection is reset, and nobody waits any more. */
static inline void lingering_end(struct lingering *l)
{
    close(l->reader);
}

/* n bytes with descriptors, in as many headers as there are descriptors if apart. */
static inline ssize_t send_beside(int socket, const void *bytes, size_t n, const int *fds,
                                  size_t nfds, int apart)
{
    union {
        struct cmsghdr align;
        char bytes[253 * CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {(void *)bytes, n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
    const size_t each = apart ? 1 : nfds;

    memset(&control, 0, sizeof control);
    for (size_t i = 0; i < nfds; i += each) {
        struct cmsghdr *c = (struct cmsghdr *)(control.bytes + mh.msg_controllen);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(each * sizeof(int));
        memcpy(CMSG_DATA(c), fds + i, each * sizeof(int));
        mh.msg_controllen += CMSG_SPACE(each * sizeof(int));
    }
    return sendmsg(socket, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A socket such as ports are made of, in whose queue a lingering one waits. */
static inline int lingering_in_a_queue(struct lingering *l)
{
    int pair[2];

    *l = lingering_make();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -1;
    send_beside(pair[1], "x", 1, &l->fd, 1, 0);
    close(pair[1]);
    close(l->fd);
    l->fd = -1;
    return pair[0];
}
