/* The actor's loop. See actor.h. */
#include "lab/linux/actor/actor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct actor self; /* in .bss: one actor per process, and no heap of its own */

int actor_fail(struct actor *a, int error, const char *message)
{
    a->out.error = error ? error : EIO;
    strncpy(a->out.message, message, sizeof a->out.message - 1);
    return -1;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void read_meter(struct cost_meter *m)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    m->minflt = (uint64_t)u.ru_minflt;
    m->majflt = (uint64_t)u.ru_majflt;
    m->ns = now_ns();
}

/* Reads the meters twice: after a fork the child has no page tables for program text, and the
 * faults that bring in this code must not count as the action's. */
void cost_begin(struct cost_meter *m)
{
    read_meter(m);
    read_meter(m);
}

void cost_end(const struct cost_meter *m, struct actor_reply *r)
{
    struct cost_meter end;
    uint64_t ns = now_ns();

    read_meter(&end);
    r->dur_ns = ns - m->ns;
    r->minflt = end.minflt - m->minflt;
    r->majflt = end.majflt - m->majflt;
}

static void send_or_exit(struct actor *a, const struct msghdr *msg)
{
    if (sendmsg(a->control, msg, MSG_NOSIGNAL) < 0)
        _exit(3); /* the lab is gone */
}

/* The descriptors go ahead of the answer and are closed before it. */
static void send_descriptors(struct actor *a)
{
    char control[CMSG_SPACE(sizeof a->send_fds)] = {0};
    size_t bytes = (size_t)a->nsend_fds * sizeof(int);
    struct iovec iov = {&a->out, sizeof a->out};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = CMSG_SPACE(bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(c), a->send_fds, bytes);
    a->out.progress = ACTOR_DESCRIPTORS;
    send_or_exit(a, &msg);
    a->out.progress = 0;
    for (int i = 0; i < a->nsend_fds; i++)
        close(a->send_fds[i]);
    a->nsend_fds = 0;
}

static void send_reply(struct actor *a)
{
    struct iovec iov = {&a->out, sizeof a->out};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (a->nsend_fds > 0)
        send_descriptors(a);
    send_or_exit(a, &msg);
}

void actor_progress(struct actor *a, uint64_t done, uint64_t total)
{
    struct actor_reply *r = &a->out;

    r->progress = ACTOR_UNDER_WAY;
    r->done = done;
    r->total = total;
    /* Lost if the lab is slow to read: the next one says more. */
    send(a->control, r, sizeof *r, MSG_NOSIGNAL | MSG_DONTWAIT);
    r->progress = 0;
}

/* Reads one request; exits when the lab is gone. */
static void receive_request(struct actor *a)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&a->in, sizeof a->in};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c;
    ssize_t n;

    do
        n = recvmsg(a->control, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof a->in || a->in.magic != ACTOR_MAGIC)
        _exit(n == 0 ? 0 : 3);
    a->passed_fd = -1;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&a->passed_fd, CMSG_DATA(c), sizeof(int));
    memset(&a->out, 0, sizeof a->out);
    a->out.magic = ACTOR_MAGIC;
    a->out.op = a->in.op;
    a->out.seq = a->in.seq;
}

/* The child speaks over the socket that came with the request; its first word is a hello. */
static int actor_fork(struct actor *a)
{
    struct cost_meter m;
    pid_t pid;

    if (a->passed_fd < 0)
        return actor_fail(a, EBADF, "no socket came for the child");
    cost_begin(&m);
    pid = fork();
    if (pid < 0) {
        int error = errno;

        close(a->passed_fd);
        return actor_fail(a, error, "cannot fork");
    }
    if (pid == 0) {
        close(a->control);
        a->control = a->passed_fd;
        a->out.op = ACTOR_HELLO;
        a->out.pid = getpid();
        return 0;
    }
    cost_end(&m, &a->out);
    close(a->passed_fd);
    a->out.pid = pid;
    return 0;
}

/* A new program image over the same socket: it says hello when it is up. */
static int actor_exec(struct actor *a)
{
    char fd[16];
    char *argv[] = {(char *)(uintptr_t)a->program, fd, NULL};
    int error;

    snprintf(fd, sizeof fd, "%d", a->control);
    fcntl(a->control, F_SETFD, 0);
    execv("/proc/self/exe", argv);
    error = errno;
    fcntl(a->control, F_SETFD, FD_CLOEXEC);
    return actor_fail(a, error, "cannot exec the actor program");
}

static int actor_wait(struct actor *a)
{
    int status;
    pid_t pid;

    /* The lab asks only after the child is gone, so there is nothing to wait for. */
    do
        pid = waitpid(a->in.pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return actor_fail(a, errno, "cannot wait for the child");
    if (pid == 0)
        return actor_fail(a, ECHILD, "the child has not exited");
    a->out.status = status;
    return 0;
}

static void carry_out(struct actor *a)
{
    switch (a->in.op) {
    case ACTOR_HELLO: /* `to`: take a port under this name */
        a->out.pid = getpid();
        if (a->in.to[0])
            actor_mach(a);
        break;
    case ACT_MAP:
        actor_map(a);
        break;
    case ACT_WRITE:
    case ACT_READ:
        actor_touch(a);
        break;
    case ACT_FORK:
        actor_fork(a);
        break;
    case ACT_EXEC:
        actor_exec(a);
        break;
    case ACT_EXIT:
        send_reply(a);
        _exit(a->in.status);
    case ACT_WAIT:
        actor_wait(a);
        break;
    case ACT_UNMAP:
        actor_unmap(a);
        break;
    case ACT_MOVE:
        actor_move(a);
        break;
    case ACT_PROTECT:
        actor_protect(a);
        break;
    case ACT_LOCK:
        actor_lock(a);
        break;
    case ACT_INHERIT:
        actor_inherit(a);
        break;
    case ACT_MADVISE:
        actor_madvise(a);
        break;
    case ACT_OOL_SEND:
    case ACT_OOL_RECEIVE:
    case ACT_SEND:
    case ACT_RECEIVE:
    case ACT_REPLY:
        actor_mach(a);
        break;
    default:
        actor_fail(a, ENOSYS, "the actor does not know this action");
    }
}

int main(int argc, char **argv)
{
    struct cost_meter warm;

    if (argc >= 2 && strcmp(argv[1], "--keeper") == 0)
        return keeper_main(argc - 2, argv + 2);
    if (argc != 2 || atoi(argv[1]) <= 2) {
        static const char usage[] = "cowlab-actor is started by cowlab; see cowlab --help\n";

        return write(2, usage, sizeof usage - 1) < 0 ? 3 : 2;
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the lab: it ends us in order */
    /* An ordinary user's lab must be able to read /proc/PID of its own actors. */
    prctl(PR_SET_DUMPABLE, 1);
    self.control = atoi(argv[1]);
    fcntl(self.control, F_SETFD, FD_CLOEXEC);
    self.program = argv[0];
    self.out.magic = ACTOR_MAGIC;
    self.out.op = ACTOR_HELLO;
    self.out.pid = getpid();
    cost_begin(&warm);
    for (;;) {
        send_reply(&self);
        receive_request(&self);
        carry_out(&self);
    }
}
