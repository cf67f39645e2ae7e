#include "tests/support/puppet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tells a hang, nothing else: writing a gigabyte can take minutes on a machine that is busy. */
#define DEADLINE_MS 600000
#define CONTROL_FD 3 /* of a puppet that was exec'd */

enum op {
    OP_MAP = 1,
    OP_MAP_HUGE,
    OP_WRITE,
    OP_READ,
    OP_UNMAP,
    OP_PROTECT,
    OP_ADVISE,
    OP_MOVE,
    OP_HOLD,
    OP_FORK,
    OP_EXIT,
    OP_REAP,
    OP_EXEC
};

struct order {
    uint64_t op; /* enum op */
    uint64_t a, b, c;
};
struct answer {
    int64_t result;
    uint64_t minflt, majflt;
};

/* The puppet's side. */

static int object_for(enum puppet_kind kind, uint64_t len)
{
    char path[] = "/tmp/cowlab-puppet-XXXXXX", block[4096] = {1};
    bool full =
        kind == PUPPET_MEMFD_PRIVATE || kind == PUPPET_MEMFD_HELD || kind == PUPPET_FILE_PRIVATE;
    int fd;

    if (kind == PUPPET_FILE_PRIVATE) {
        fd = mkstemp(path);
        if (fd >= 0)
            unlink(path);
    } else {
        fd = memfd_create("puppet", MFD_CLOEXEC);
    }
    if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
        _exit(3);
    for (uint64_t at = 0; full && at < len; at += sizeof block)
        if (pwrite(fd, block, sizeof block, (off_t)at) != sizeof block)
            _exit(3);
    return fd;
}

static uint64_t map(enum puppet_kind kind, uint64_t len)
{
    bool object = kind == PUPPET_MEMFD_SHARED || kind == PUPPET_MEMFD_PRIVATE ||
                  kind == PUPPET_MEMFD_HELD || kind == PUPPET_FILE_PRIVATE;
    int flags = (kind == PUPPET_SHARED || kind == PUPPET_MEMFD_SHARED ? MAP_SHARED : MAP_PRIVATE) |
                (object ? 0 : MAP_ANONYMOUS) | (kind == PUPPET_HUGETLB ? MAP_HUGETLB : 0);
    int fd = object ? object_for(kind, len) : -1;
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (fd >= 0 && kind != PUPPET_MEMFD_HELD)
        close(fd);
    return at == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)at;
}

static uint64_t map_huge(uint64_t len)
{
    uint64_t huge = 2ULL << 20;
    char *raw = mmap(NULL, len + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = (char *)(((uintptr_t)raw + huge - 1) & ~(uintptr_t)(huge - 1));

    if (raw == MAP_FAILED || madvise(at, len, MADV_HUGEPAGE) < 0)
        return 0;
    return (uint64_t)(uintptr_t)at;
}

static int64_t touch(const struct order *o)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint64_t at = 0; at < o->b; at += page * o->c) {
        volatile char *p = (volatile char *)(uintptr_t)(o->a + at);

        (void)*p;
    }
    return 0;
}

/* Writes without reading first: a read-modify-write of an untouched page takes two faults. */
static int64_t stamp(const struct order *o)
{
    static char letter;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    letter++;
    for (uint64_t at = 0; at < o->b; at += page * o->c)
        *(volatile char *)(uintptr_t)(o->a + at) = letter;
    return 0;
}

/* To where nothing is: a place some bytes away may be a library's. */
static uint64_t move(void *at, uint64_t len)
{
    void *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (to == MAP_FAILED)
        return 0;
    to = mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    return to == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)to;
}

/* A pipe refers to the pages from here on: the kernel does not move them to other frames. */
static int64_t hold(void *at, uint64_t len)
{
    struct iovec iov = {at, len};
    int fd[2];

    if (pipe(fd) < 0)
        return -errno;
    return vmsplice(fd[1], &iov, 1, SPLICE_F_NONBLOCK) == (ssize_t)len ? 0 : -ENOMSG;
}

static int64_t obey(const struct order *o)
{
    void *at = (void *)(uintptr_t)o->a;

    switch (o->op) {
    case OP_MAP:
        return (int64_t)map((enum puppet_kind)o->a, o->b);
    case OP_MAP_HUGE:
        return (int64_t)map_huge(o->a);
    case OP_WRITE:
        return stamp(o);
    case OP_READ:
        return touch(o);
    case OP_UNMAP:
        return munmap(at, o->b) < 0 ? -errno : 0;
    case OP_PROTECT:
        return mprotect(at, o->b, (int)o->c) < 0 ? -errno : 0;
    case OP_ADVISE:
        if (o->c == PUPPET_LOCK) /* past a sanitizer, which makes mlock do nothing */
            return syscall(SYS_mlock, at, o->b) < 0 ? -errno : 0;
        return madvise(at, o->b, (int)o->c) < 0 ? -errno : 0;
    case OP_MOVE:
        return (int64_t)move(at, o->b);
    case OP_HOLD:
        return hold(at, o->b);
    case OP_REAP:
        return wait(NULL) < 0 ? -errno : 0;
    default:
        return -EINVAL;
    }
}

/* Takes a socket for the child from the control socket, forks; the child plays on that one. */
static int64_t fork_puppet(int *fd)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    int child;
    pid_t pid;

    if (recvmsg(*fd, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
        _exit(4);
    memcpy(&child, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof child);
    pid = fork();
    if (pid == 0) {
        close(*fd);
        *fd = child;
        return 0;
    }
    close(child);
    return pid;
}

static void play(int fd)
{
    static struct rusage before, after;
    struct order o;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(fd, &o, sizeof o) == sizeof o) {
        struct answer a = {0};

        if (o.op == OP_EXIT)
            _exit(0);
        if (o.op == OP_EXEC) {
            if (fd != CONTROL_FD)
                dup2(fd, CONTROL_FD);
            execl("/proc/self/exe", "puppet", "--puppet-again", (char *)NULL);
            _exit(5);
        }
        getrusage(RUSAGE_SELF, &before);
        a.result = o.op == OP_FORK ? fork_puppet(&fd) : obey(&o);
        getrusage(RUSAGE_SELF, &after);
        a.minflt = (uint64_t)(after.ru_minflt - before.ru_minflt);
        a.majflt = (uint64_t)(after.ru_majflt - before.ru_majflt);
        if (write(fd, &a, sizeof a) != sizeof a)
            break;
    }
    _exit(0);
}

void puppet_main(int argc, char **argv)
{
    struct answer again = {0};

    if (argc < 2 || strncmp(argv[1], "--puppet", 8) != 0)
        return;
    if (strcmp(argv[1], "--puppet-again") == 0 &&
        write(CONTROL_FD, &again, sizeof again) != sizeof again)
        _exit(6);
    play(CONTROL_FD);
}

/* The test's side. */

static bool answered(struct puppet *p, struct answer *a)
{
    struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

    if (poll(&pfd, 1, DEADLINE_MS) != 1 || read(p->fd, a, sizeof *a) != sizeof *a)
        return false;
    p->minflt = a->minflt;
    p->majflt = a->majflt;
    return true;
}

static int64_t order(struct puppet *p, enum op op, uint64_t a, uint64_t b, uint64_t c)
{
    struct order o = {op, a, b, c};
    struct answer answer;

    if (send(p->fd, &o, sizeof o, MSG_NOSIGNAL) != sizeof o || !answered(p, &answer))
        return -EPIPE;
    return answer.result;
}

void puppet_one_cpu(void)
{
    int cpu = sched_getcpu();
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

bool puppet_start(struct puppet *p)
{
    char exe[4096] = ""; /* by name: under valgrind the link itself leads to valgrind */
    int pair[2];

    *p = (struct puppet){.fd = -1, .child_of_test = true};
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        puppet_one_cpu();
        if (pair[1] != CONTROL_FD)
            dup2(pair[1], CONTROL_FD);
        else
            fcntl(CONTROL_FD, F_SETFD, 0);
        execl(exe, "puppet", "--puppet-again", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    p->fd = pair[0];
    return p->pid > 0 && answered(p, &(struct answer){0});
}

bool puppet_fork(struct puppet *parent, struct puppet *child)
{
    struct order o = {.op = OP_FORK};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    struct answer a, b;
    int pair[2];

    *child = (struct puppet){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    child->fd = pair[0];
    if (send(parent->fd, &o, sizeof o, MSG_NOSIGNAL) != sizeof o ||
        sendmsg(parent->fd, &msg, MSG_NOSIGNAL) != 1) {
        close(pair[1]);
        return false;
    }
    close(pair[1]);
    if (!answered(parent, &a) || !answered(child, &b) || a.result <= 0)
        return false;
    child->pid = (pid_t)a.result;
    return true;
}

void puppet_end(struct puppet *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    if (p->pid > 0 && p->child_of_test) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    p->pid = 0;
}

void puppet_exit(struct puppet *p)
{
    struct order o = {.op = OP_EXIT};
    char byte;

    if (send(p->fd, &o, sizeof o, MSG_NOSIGNAL) == sizeof o && read(p->fd, &byte, 1) < 0)
        return;
    close(p->fd);
    p->fd = -1;
}

bool puppet_reap(struct puppet *parent)
{
    return order(parent, OP_REAP, 0, 0, 0) == 0;
}

bool puppet_exec(struct puppet *p)
{
    return order(p, OP_EXEC, 0, 0, 0) == 0;
}

uint64_t puppet_map(struct puppet *p, enum puppet_kind kind, uint64_t len)
{
    int64_t at = order(p, OP_MAP, kind, len, 0);

    return at > 0 ? (uint64_t)at : 0;
}

uint64_t puppet_map_huge(struct puppet *p, uint64_t len)
{
    int64_t at = order(p, OP_MAP_HUGE, len, 0, 0);

    return at > 0 ? (uint64_t)at : 0;
}

int puppet_write(struct puppet *p, uint64_t addr, uint64_t len, uint64_t stride)
{
    return (int)order(p, OP_WRITE, addr, len, stride);
}

int puppet_read(struct puppet *p, uint64_t addr, uint64_t len, uint64_t stride)
{
    return (int)order(p, OP_READ, addr, len, stride);
}

int puppet_unmap(struct puppet *p, uint64_t addr, uint64_t len)
{
    return (int)order(p, OP_UNMAP, addr, len, 0);
}

int puppet_protect(struct puppet *p, uint64_t addr, uint64_t len, int prot)
{
    return (int)order(p, OP_PROTECT, addr, len, (uint64_t)prot);
}

int puppet_advise(struct puppet *p, uint64_t addr, uint64_t len, int advice)
{
    return (int)order(p, OP_ADVISE, addr, len, (uint64_t)advice);
}

uint64_t puppet_move(struct puppet *p, uint64_t addr, uint64_t len)
{
    int64_t at = order(p, OP_MOVE, addr, len, 0);

    return at > 0 ? (uint64_t)at : 0;
}

int puppet_hold(struct puppet *p, uint64_t addr, uint64_t len)
{
    return (int)order(p, OP_HOLD, addr, len, 0);
}
