#include "probes/kernel/helper.h"
#include "probes/kernel/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ANSWER_MS 2000 /* longest wait for an answer, and for the helper's end */
#define HELPER_FD 3    /* the socket's number in the helper */

struct helper {
    pid_t pid;
    int fd; /* -1: gave up on it */
};

/* One packet each way: SOCK_SEQPACKET keeps the borders. */
struct request {
    uint32_t what; /* enum helper_file */
    int32_t pid;
    uint64_t start, end;
};
struct answer {
    int32_t rc; /* 0: a descriptor comes with it */
};

static int find_program(char *path, size_t size)
{
    const char *given = getenv("COWLAB_COWPROBE");
    ssize_t n;
    char *slash;

    if (given && *given)
        return snprintf(path, size, "%s", given) < (int)size ? 0 : -ENAMETOOLONG;
    n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -errno;
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/cowprobe" > size)
        return -ENAMETOOLONG;
    strcpy(slash, "/cowprobe");
    return 0;
}

int helper_start(struct helper **out, struct err *e)
{
    char path[PATH_MAX], number[12];
    char *argv[] = {path, "--serve", number, NULL}, *envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    struct helper *h;
    int pair[2], rc;

    rc = find_program(path, sizeof path);
    if (rc < 0 || access(path, X_OK) < 0)
        return err_set(e, ENOENT, "there is no helper program 'cowprobe' beside this one");
    if (getxattr(path, "security.capability", NULL, 0) <= 0)
        return err_set(e, EPERM, "'%s' has no file capabilities", path);
    h = malloc(sizeof *h);
    if (!h)
        return err_no_memory(e);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        rc = err_sys(e, errno, "cannot make a socket for the helper");
        free(h);
        return rc;
    }
    snprintf(number, sizeof number, "%d", HELPER_FD);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], HELPER_FD);
    rc = posix_spawn(&h->pid, path, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    if (rc) {
        close(pair[0]);
        free(h);
        return err_sys(e, rc, "cannot start '%s'", path);
    }
    h->fd = pair[0];
    *out = h;
    return 0;
}

/* Ends by itself when the socket closes; killed when it does not within the deadline. */
void helper_stop(struct helper *h)
{
    if (!h)
        return;
    if (h->fd >= 0)
        close(h->fd);
    for (int waited = 0; waitpid(h->pid, NULL, WNOHANG) == 0; waited++) {
        if (waited == ANSWER_MS)
            kill(h->pid, SIGKILL);
        poll(NULL, 0, 1);
    }
    free(h);
}

static int give_up(struct helper *h, int rc)
{
    close(h->fd);
    h->fd = -1;
    return rc;
}

/* The descriptor in a received message, or -1. There is room for one only: the kernel drops more.
 */
static int passed_fd(struct msghdr *msg)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && fd < 0)
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int helper_open(struct helper *h, enum helper_file what, pid_t pid, uint64_t start, uint64_t end)
{
    struct request request = {what, pid, start, end};
    struct answer answer;
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {&answer, sizeof answer};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    struct pollfd pfd;
    int fd;

    if (h->fd < 0)
        return -EPIPE;
    if (send(h->fd, &request, sizeof request, MSG_NOSIGNAL) != sizeof request)
        return give_up(h, -EPIPE);
    pfd = (struct pollfd){.fd = h->fd, .events = POLLIN};
    if (poll(&pfd, 1, ANSWER_MS) != 1)
        return give_up(h, -ETIMEDOUT);
    if (recvmsg(h->fd, &msg, MSG_CMSG_CLOEXEC) != sizeof answer)
        return give_up(h, -EPIPE);
    fd = passed_fd(&msg);
    if (answer.rc == 0 && fd >= 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return answer.rc < 0 ? answer.rc : -EPROTO;
}

/* From here on: the privileged side. */

/* Effective capabilities off (permitted ones stay) or all of the permitted ones on. */
static int set_effective(bool on)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        data[i].effective = on ? data[i].permitted : 0;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* With CAP_SYS_ADMIN alone any process's mappings can be read (perfmon_capable in mm_access), so
 * these capabilities must not be around when files are opened on a user's word. Dumpable again,
 * because the memory of this process holds nothing that its user may not see. */
int helper_drop_privileges(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    if (!getauxval(AT_SECURE))
        return 0;
    if (syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    return 0;
}

/* Would the kernel let the asking user look at this process without our capabilities? Then it
 * opens the file; the ptrace rule applies (same user and group, dumpable, no more capabilities). */
static int allowed(int process)
{
    int rc = set_effective(false), fd;

    if (rc < 0)
        return rc;
    fd = openat(process, "pagemap", O_RDONLY | O_CLOEXEC);
    rc = fd < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    set_effective(true);
    return rc;
}

/* The memory object behind a mapping; only one that belongs to the asking user, because the
 * descriptor can be read. */
static int open_object(int process, const struct request *r)
{
    char name[64];
    struct stat st;
    int fd;

    snprintf(name, sizeof name, "map_files/%llx-%llx", (unsigned long long)r->start,
             (unsigned long long)r->end);
    fd = openat(process, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_uid != getuid() || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EACCES;
    }
    return fd;
}

/* The process is held by a descriptor of its directory, so that its number cannot be reused in
 * between; the rule is asked before and after, so that an exec in between cannot slip through. */
static int open_of_process(const struct request *r)
{
    char path[32];
    int process, fd, rc;

    snprintf(path, sizeof path, "/proc/%d", r->pid);
    process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return -errno;
    fd = allowed(process);
    if (fd == 0) {
        if (r->what == HELPER_OBJECT) {
            fd = open_object(process, r);
        } else {
            fd = openat(process, "pagemap", O_RDONLY | O_CLOEXEC);
            fd = fd < 0 ? -errno : fd;
        }
        if (fd >= 0 && (rc = allowed(process)) < 0) {
            close(fd);
            fd = rc;
        }
    }
    close(process);
    return fd;
}

static int open_requested(const struct request *r)
{
    int fd;

    switch (r->what) {
    case HELPER_PAGEMAP:
    case HELPER_OBJECT:
        return open_of_process(r);
    case HELPER_KPAGECOUNT:
        fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    case HELPER_KPAGEFLAGS:
        fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    default:
        return -EINVAL;
    }
}

static int reply(int socket, int fd)
{
    struct answer answer = {fd < 0 ? fd : 0};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {&answer, sizeof answer};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int helper_serve(int fd, struct err *e)
{
    struct request request;
    ssize_t n;
    int given, rc = 0;

    while (rc == 0) {
        n = recv(fd, &request, sizeof request, 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "cannot receive requests from descriptor %d", fd);
        given = n == sizeof request ? open_requested(&request) : -EINVAL;
        rc = reply(fd, given);
        if (given >= 0)
            close(given);
    }
    return rc == -EPIPE ? 0 : err_sys(e, rc, "cannot answer");
}
