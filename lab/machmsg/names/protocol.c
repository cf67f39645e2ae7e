/* protocol: see protocol.h. */
#include "lab/machmsg/names/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int own_directory(const char *dir)
{
    struct stat st;

    if (mkdir(dir, 0700) && errno != EEXIST)
        return -errno;
    if (lstat(dir, &st))
        return -errno;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return -EPERM;
    return 0;
}

int nameserver_path(char *path, size_t size)
{
    const char *given = secure_getenv("COWLAB_BOOTSTRAP");
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char dir[4096];
    struct stat st;
    int n, rc = -ENOENT;

    if (given && *given) {
        n = snprintf(path, size, "%s", given);
        return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
    }
    if (runtime && *runtime == '/' && lstat(runtime, &st) == 0 && st.st_uid == geteuid()) {
        n = snprintf(dir, sizeof dir, "%s/cowlab", runtime);
        rc = n < 0 || (size_t)n >= sizeof dir ? -ENAMETOOLONG : own_directory(dir);
    }
    if (rc) {
        snprintf(dir, sizeof dir, "/tmp/cowlab-%u", (unsigned int)geteuid());
        rc = own_directory(dir);
    }
    if (rc)
        return rc;
    n = snprintf(path, size, "%s/bootstrap", dir);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* A path longer than an address can hold goes through its directory's descriptor. */
static int address_of(const char *path, struct sockaddr_un *a, int *dir)
{
    const char *name = strrchr(path, '/');
    char parent[4096];
    int n;

    *dir = -1;
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof a->sun_path) {
        strcpy(a->sun_path, path);
        return 0;
    }
    if (!name || (size_t)(name - path) >= sizeof parent)
        return -ENAMETOOLONG;
    memcpy(parent, path, (size_t)(name - path));
    parent[name - path] = 0;
    *dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return -errno;
    n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d%s", *dir, name);
    return n < 0 || (size_t)n >= sizeof a->sun_path ? -ENAMETOOLONG : 0;
}

static int socket_at(const char *path, int (*how)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un a;
    int dir, rc = address_of(path, &a, &dir);
    int fd = rc ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (rc == 0 && (fd < 0 || how(fd, (struct sockaddr *)&a, sizeof a)))
        rc = -errno;
    if (dir >= 0)
        close(dir);
    if (rc && fd >= 0)
        close(fd);
    return rc ? rc : fd;
}

int nameserver_connect(const char *path)
{
    return socket_at(path, connect);
}

int nameserver_bind(const char *path)
{
    return socket_at(path, bind);
}

bool nameserver_same_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

/* Room for one descriptor. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

ssize_t nameserver_send(int fd, const void *from, size_t n, int port)
{
    union control control = {.bytes = {0}};
    struct iovec iov = {(void *)from, n};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (port >= 0) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = sizeof control.bytes;
        control.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), &port, sizeof port);
    }
    sent = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

ssize_t nameserver_receive(int fd, void *to, size_t n, int *port, int *flags)
{
    union control control;
    struct iovec iov = {to, n};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&mh);

    *port = -1;
    if (got < 0)
        return -errno;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(port, CMSG_DATA(c), sizeof *port);
    *flags = mh.msg_flags;
    return got;
}
