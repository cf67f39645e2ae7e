/* protocol: see protocol.h. */
#include "lab/machmsg/names/protocol.h"
#include "probes/receive.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Is it a directory of the user's alone? */
static int check_own(const char *dir)
{
    struct stat st;

    if (lstat(dir, &st))
        return -errno;
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : -EPERM;
}

static int make_own(const char *dir)
{
    return mkdir(dir, 0700) && errno != EEXIST ? -errno : check_own(dir);
}

/* --- where everybody may write: a name that can be guessed may be taken by somebody else --- */

#define PLAIN "%s/cowlab-%u"
#define ODD "cowlab-bootstrap-%u-" /* and six letters by chance */

/* The user's place below base, if it is there: under its plain name, else the first of the others.
 */
static int find_shared(const char *base, char *dir, size_t size)
{
    char odd[64], first[NAME_MAX + 1] = "";
    const struct dirent *e;
    DIR *d;

    snprintf(dir, size, PLAIN, base, (unsigned int)geteuid());
    if (check_own(dir) == 0)
        return 0;
    snprintf(odd, sizeof odd, ODD, (unsigned int)geteuid());
    d = opendir(base);
    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, odd, strlen(odd)) == 0 &&
            (!*first || strcmp(e->d_name, first) < 0)) {
            snprintf(dir, size, "%s/%s", base, e->d_name);
            if (check_own(dir) == 0)
                strcpy(first, e->d_name);
        }
    if (d)
        closedir(d);
    snprintf(dir, size, "%s/%s", base, first);
    return *first ? 0 : -ENOENT;
}

/* Makes it. The lock is so that programs that start at once make one; somebody else who keeps it
 * holds nobody up for long. */
static int make_shared(const char *base, char *dir, size_t size)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int lock = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    for (int tries = 0; lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) && tries < 50; tries++)
        nanosleep(&pause, NULL);
    if (find_shared(base, dir, size)) {
        snprintf(dir, size, PLAIN, base, (unsigned int)geteuid());
        if (make_own(dir)) {
            snprintf(dir, size, "%s/" ODD "XXXXXX", base, (unsigned int)geteuid());
            rc = mkdtemp(dir) ? 0 : -errno;
        }
    }
    if (lock >= 0)
        close(lock);
    return rc;
}

/* In the first place where it is, else in the first where it can be: so everybody finds the same
 * one, whatever others take or leave. */
static int shared_directory(char *dir, size_t size)
{
    const char *home = secure_getenv("HOME");
    const char *const bases[] = {"/tmp", "/dev/shm", home && *home == '/' ? home : "/tmp"};
    char other[4096];
    int rc;

    for (size_t i = 0; i < 3; i++)
        if (find_shared(bases[i], dir, size) == 0)
            return 0;
    rc = make_shared(bases[0], dir, size);
    for (size_t i = 1; rc && i < 3; i++)
        if (make_shared(bases[i], other, sizeof other) == 0) {
            snprintf(dir, size, "%s", other);
            rc = 0;
        }
    return rc;
}

/* --- where only the user may write --- */

static int runtime_directory(const char *runtime, char *dir, size_t size)
{
    struct stat st;

    if (!runtime || *runtime != '/' || lstat(runtime, &st) || st.st_uid != geteuid() ||
        snprintf(dir, size, "%s/cowlab", runtime) >= (int)size)
        return -ENOENT;
    return make_own(dir);
}

int nameserver_path(char *path, size_t size)
{
    const char *given = secure_getenv("COWLAB_BOOTSTRAP");
    char usual[64], dir[4096];
    int rc = 0;

    if (given && *given)
        return snprintf(path, size, "%s", given) < (int)size ? 0 : -ENAMETOOLONG;
    snprintf(usual, sizeof usual, "/run/user/%u", (unsigned int)geteuid());
    if (runtime_directory(secure_getenv("XDG_RUNTIME_DIR"), dir, sizeof dir) &&
        runtime_directory(usual, dir, sizeof dir))
        rc = shared_directory(dir, sizeof dir);
    if (snprintf(path, size, rc ? "%s" : "%s/bootstrap", dir) >= (int)size)
        return -ENAMETOOLONG;
    return rc;
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

/* Where nobody accepts, a full queue would be waited for without end. */
static int connect_soon(int fd, const struct sockaddr *a, socklen_t len)
{
    const struct timeval patience = {.tv_sec = NAMESERVER_PATIENCE_MS / 1000};

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return connect(fd, a, len);
}

int nameserver_connect(const char *path)
{
    return socket_at(path, connect_soon);
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

ssize_t nameserver_send(int fd, const void *from, size_t n, int port)
{
    struct iovec iov = {(void *)from, n};
    ssize_t sent = send_packet(fd, &iov, 1, &port, port >= 0, MSG_DONTWAIT | MSG_NOSIGNAL);

    return sent < 0 ? -errno : sent;
}

ssize_t nameserver_receive(int fd, void *to, size_t n, int *port)
{
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 1, .fds = port};
    ssize_t got;

    *port = -1;
    got = receive_packet(fd, to, n, MSG_DONTWAIT, &r);
    if (got >= 0 && r.lost)
        return -EMFILE;
    return got >= 0 && (r.cut || r.refused) ? -EPROTO : got;
}
