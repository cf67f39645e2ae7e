/* receive: see receive.h. */
#include "probes/receive.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5 */
#endif

#define CLOSERS 16               /* threads that close at one time */
#define WAITING_MANY 512u        /* descriptors that wait for one; then nothing more is received */
#define CLOSER_STACK (256 << 10) /* bytes */

/* What waits to be closed. A closer ends when nothing waits: a process that gets only what it asked
 * for has none. After a fork the child has the descriptors, and no closer. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t forks;
    unsigned int closers;
    size_t n; /* atomic: read without the lock, and by a forked child */
    int fds[WAITING_MANY + 4 * RECEIVE_MOST];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .forks = PTHREAD_ONCE_INIT};

static void in_child(void)
{
    waiting.closers = 0;
    pthread_mutex_init(&waiting.lock, NULL); /* whoever had it: the list is whole at any time */
}

static void mind_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

/* What a closer does, with the lock held but for each close. */
static void close_waiting(void)
{
    const struct linger off = {0};

    while (waiting.n > 0) {
        int fd = waiting.fds[waiting.n - 1];

        __atomic_sub_fetch(&waiting.n, 1, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&waiting.lock);
        /* The kernel sends the rest all the same; it need not hold a closer for that. Whoever
         * shares the socket can undo this, and there are other ways to make a close wait. */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
        close(fd);
        pthread_mutex_lock(&waiting.lock);
    }
    waiting.closers--;
}

static void *closer(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&waiting.lock);
    close_waiting();
    pthread_mutex_unlock(&waiting.lock);
    return NULL;
}

/* One more closer, if there may be one. Where no thread can be had this one closes. With the lock
 * held. */
static void start_closer(void)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;

    if (waiting.closers == CLOSERS)
        return;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, CLOSER_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's signals are not for it */
    waiting.closers++;
    if (pthread_create(&thread, &attr, closer, NULL)) {
        if (waiting.closers == 1)
            close_waiting();
        else
            waiting.closers--;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

void receive_drop_elsewhere(int fd)
{
    const int error = errno;
    bool taken;

    pthread_once(&waiting.forks, mind_forks);
    pthread_mutex_lock(&waiting.lock);
    taken = waiting.n < sizeof waiting.fds / sizeof waiting.fds[0];
    if (taken) {
        waiting.fds[waiting.n] = fd;
        __atomic_add_fetch(&waiting.n, 1, __ATOMIC_RELEASE);
    }
    start_closer();
    pthread_mutex_unlock(&waiting.lock);
    if (!taken)
        close(fd); /* too many threads at once received what they may not */
    errno = error;
}

bool receive_has_room(void)
{
    bool room;

    if (__atomic_load_n(&waiting.n, __ATOMIC_RELAXED) < WAITING_MANY)
        return true;
    pthread_mutex_lock(&waiting.lock);
    if (waiting.closers == 0)
        start_closer(); /* a forked child has none */
    room = waiting.n < WAITING_MANY;
    pthread_mutex_unlock(&waiting.lock);
    return room;
}

/* The value of a socket's option, or -1. */
static int option(int fd, int name)
{
    int value;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

static enum receive_kind kind_of(int fd)
{
    if (option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_TYPE) == SOCK_SEQPACKET &&
        option(fd, SO_ACCEPTCONN) == 0)
        return RECEIVE_SOCKETS;
    return fcntl(fd, F_GET_SEALS) >= 0 ? RECEIVE_MEMORY : RECEIVE_OTHERS;
}

/* Does no descriptor wait in the socket's queue, as far as the kernel says? */
static bool queue_is_plain(int fd)
{
    char path[40], text[512];
    ssize_t n = -1;
    int info;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    info = open(path, O_RDONLY | O_CLOEXEC);
    if (info >= 0) {
        n = read(info, text, sizeof text - 1);
        close(info);
    }
    text[n > 0 ? n : 0] = 0;
    return strstr(text, "\nscm_fds: 0\n");
}

void receive_drop(int fd)
{
    const int error = errno;
    enum receive_kind kind = fd < 0 ? RECEIVE_OTHERS : kind_of(fd);

    if (kind == RECEIVE_MEMORY || (kind == RECEIVE_SOCKETS && queue_is_plain(fd)))
        close(fd);
    else if (fd >= 0)
        receive_drop_elsewhere(fd);
    errno = error;
}

/* The descriptors of one header. */
static void take_rights(const struct cmsghdr *c, struct received *r)
{
    const unsigned char *p = CMSG_DATA(c), *end = (const unsigned char *)c + c->cmsg_len;

    for (; p + sizeof(int) <= end; p += sizeof(int)) {
        int fd, given;

        memcpy(&fd, p, sizeof fd);
        given = r->nfds < r->room && (kind_of(fd) & r->kinds) ? fd : -1;
        if (r->nfds < r->room)
            r->fds[r->nfds++] = given;
        if (given < 0) {
            r->refused = true;
            receive_drop(fd);
        }
    }
}

static void take_beside(const struct cmsghdr *c, struct received *r)
{
    int fd;

    r->beside = true;
    if (c->cmsg_level != SOL_SOCKET)
        return;
    if (c->cmsg_type == SCM_RIGHTS) {
        take_rights(c, r);
    } else if (c->cmsg_type == SCM_CREDENTIALS && r->sender &&
               c->cmsg_len >= CMSG_LEN(sizeof *r->sender)) {
        memcpy(r->sender, CMSG_DATA(c), sizeof *r->sender);
    } else if (c->cmsg_type == SCM_PIDFD && c->cmsg_len >= CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (fd >= 0)
            close(fd); /* of the kernel's making, where the socket's maker wanted it */
    }
}

ssize_t receive_packet(int socket, void *to, size_t size, int flags, struct received *r)
{
    /* Room for as many descriptors as can come, whatever was asked for: those that do not fit the
     * kernel closes, here and now. Before them it puts time, sender and security label. */
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * RECEIVE_MOST) + 1024];
    } control;
    struct iovec iov = {to, size};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    ssize_t n;

    r->nfds = 0;
    r->beside = r->cut = r->lost = r->refused = false;
    if (!receive_has_room())
        return -ENOBUFS;
    n = recvmsg(socket, &mh, flags | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
        take_beside(c, r);
    r->cut = mh.msg_flags & MSG_TRUNC;
    r->lost = mh.msg_flags & MSG_CTRUNC;
    while (r->lost && r->nfds > 0)
        receive_drop(r->fds[--r->nfds]);
    return n;
}

bool receive_shut(int socket)
{
    const int on = 1;
    struct received r = {0};
    ssize_t n;

    shutdown(socket, SHUT_RDWR);
    /* From now on the kernel puts its sender beside every packet, so that an empty one is none:
     * only the end has nothing. */
    (void)setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    do
        n = receive_packet(socket, NULL, 0, MSG_DONTWAIT, &r);
    while (n == 0 && (r.beside || r.cut));
    return n == 0;
}

ssize_t send_packet(int socket, struct iovec *iov, size_t n, const int *fds, size_t nfds, int flags)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * RECEIVE_MOST)];
    } control = {.bytes = {0}};
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n};

    if (nfds > 0) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * nfds),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * nfds);
    }
    return sendmsg(socket, &mh, flags);
}
