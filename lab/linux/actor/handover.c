/* Each way for memory to change hands that is no fork and no message: what the sender does for
 * `hand_over`, and the receiver for `take`. Of a stream both come in the same step: the receiver
 * first, which says when it is ready.
 *
 * What is copied goes into memory that was mapped before the measured part, fresh or in use; its
 * page faults are in it. Descriptors that the lab passes on are no part of it. */
#include "lab/linux/actor/actor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PACKET 65536              /* bytes of a packet */
#define AT_ONCE ((size_t)1 << 30) /* of one call, all of which take less than 2 GiB */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static char *own(const struct actor *a)
{
    return (char *)(uintptr_t)a->in.start;
}

/* Ends the measured part; failed: by errno. */
static int finish(struct actor *a, bool failed, const char *what)
{
    int error = errno;

    cost_end(a);
    return failed ? actor_fail(a, error, what) : 0;
}

/* --- streams --- */

static ssize_t put(const struct actor *a, int fd, char *at, size_t n)
{
    struct iovec iov = {at, n < AT_ONCE ? n : AT_ONCE};

    switch (a->in.way) {
    case WAY_SOCKET:
        return send(fd, at, iov.iov_len, MSG_NOSIGNAL);
    case WAY_PACKET:
        return send(fd, at, n < PACKET ? n : PACKET, MSG_NOSIGNAL);
    case WAY_PIPE:
        return write(fd, at, iov.iov_len);
    default:
        return vmsplice(fd, &iov, 1, a->in.way == WAY_VMSPLICE_GIFT ? SPLICE_F_GIFT : 0);
    }
}

static ssize_t get(const struct actor *a, int fd, char *at, size_t n)
{
    (void)a;
    return read(fd, at, n < AT_ONCE ? n : AT_ONCE);
}

/* False: errno has the reason; EPIPE where the other side ended. */
static bool move_all(struct actor *a, ssize_t (*move)(const struct actor *, int, char *, size_t),
                     int fd, char *at)
{
    size_t done = 0;
    ssize_t n = 0;

    while (done < a->in.len &&
           ((n = move(a, fd, at + done, a->in.len - done)) > 0 || (n < 0 && errno == EINTR)))
        done += n > 0 ? (size_t)n : 0;
    if (done < a->in.len && n == 0)
        errno = EPIPE;
    return done == a->in.len;
}

static int send_stream(struct actor *a)
{
    bool ok;

    (void)!put(a, -1, own(a), 1); /* its program text is there when it counts */
    cost_begin(a);
    ok = move_all(a, put, a->passed_fd, own(a));
    finish(a, !ok, "cannot send all of the region");
    close(a->passed_fd);
    return ok ? 0 : -1;
}

static int receive_stream(struct actor *a, char *to)
{
    bool ok;

    (void)!get(a, -1, to, 1);
    cost_begin(a);
    actor_ready(a);
    cost_begin(a);
    ok = move_all(a, get, a->passed_fd, to);
    finish(a, !ok, "cannot receive all of the region");
    close(a->passed_fd);
    return ok ? 0 : -1;
}

/* --- one call of one side --- */

/* Lets the other process reach into this one's memory, where Yama is asked (prctl(2)). */
static void permit(const struct actor *a)
{
    prctl(PR_SET_PTRACER, (unsigned long)a->in.pid, 0, 0, 0);
}

static int call_across(struct actor *a, char *mine)
{
    bool push = a->in.op == ACT_HAND_OVER;
    size_t done = 0;
    ssize_t n = 0;

    (void)!process_vm_readv(getpid(), NULL, 0, NULL, 0, 0);
    cost_begin(a);
    do {
        size_t part = a->in.len - done < AT_ONCE ? a->in.len - done : AT_ONCE;
        struct iovec here = {mine + done, part};
        struct iovec there = {(void *)(uintptr_t)(a->in.peer_start + done), part};

        n = push ? process_vm_writev(a->in.pid, &here, 1, &there, 1, 0)
                 : process_vm_readv(a->in.pid, &here, 1, &there, 1, 0);
        done += n > 0 ? (size_t)n : 0;
    } while (n > 0 && done < a->in.len);
    if (n == 0)
        errno = EFAULT;
    return finish(a, done < a->in.len,
                  push ? "cannot write the receiver's memory (process_vm_writev)"
                       : "cannot read the sender's memory (process_vm_readv)");
}

/* --- memory objects --- */

static bool fill(int fd, const char *from, size_t len)
{
    size_t done = 0;
    ssize_t n = 0;

    while (done < len && (n = write(fd, from + done, len - done)) > 0)
        done += (size_t)n;
    if (done < len && n == 0)
        errno = ENOSPC;
    return done == len;
}

static int leave_sealed(struct actor *a)
{
    int fd = memfd_create("cowlab-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (!fill(fd, own(a), a->in.len) || fcntl(fd, F_ADD_SEALS, SEALS) < 0)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int leave_named(struct actor *a)
{
    int fd = shm_open(a->in.path, O_RDWR | O_CREAT | O_EXCL, 0600);

    if (fd >= 0 && !fill(fd, own(a), a->in.len)) {
        int error = errno;

        shm_unlink(a->in.path);
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int leave_object(struct actor *a)
{
    int fd;

    cost_begin(a);
    fd = a->in.way == WAY_MEMFD_SEALED ? leave_sealed(a)
         : a->in.way == WAY_POSIX_SHM  ? leave_named(a)
                                       : fcntl(actor_object(a->in.start), F_DUPFD_CLOEXEC, 3);
    if (fd >= 0)
        a->send_fds[a->nsend_fds++] = fd;
    return finish(a, fd < 0,
                  a->in.way == WAY_MEMFD_SEALED ? "cannot put the region into a sealed memfd"
                  : a->in.way == WAY_POSIX_SHM
                      ? "cannot put the region into shared memory (shm_open)"
                      : "cannot pass the region's memory object");
}

/* Is it as large as was said, and sealed if it should be? What a receiver has to ask before it
 * relies on it. */
static bool as_promised(const struct actor *a, int fd)
{
    struct stat st;

    errno = EBADMSG;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_size >= a->in.len &&
           (a->in.way != WAY_MEMFD_SEALED || fcntl(fd, F_GET_SEALS) == SEALS);
}

static bool copy_out(const struct actor *a, int fd)
{
    void *from = mmap(NULL, a->in.len, PROT_READ, MAP_SHARED, fd, 0);

    if (from == MAP_FAILED)
        return false;
    memcpy(own(a), from, a->in.len);
    munmap(from, a->in.len);
    return true;
}

static bool map_object(struct actor *a, int fd, void *at)
{
    int flags = a->in.way == WAY_MEMFD_SEALED ? MAP_PRIVATE : MAP_SHARED;

    a->out.start = (uintptr_t)at;
    a->out.len = a->in.len;
    return mmap(at, a->in.len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) != MAP_FAILED;
}

static int take_object(struct actor *a)
{
    void *at = a->in.used ? own(a) : actor_hole(a, a->in.len);
    int fd = a->passed_fd;
    bool ok;

    if (!at)
        return -1;
    cost_begin(a);
    if (a->in.way == WAY_POSIX_SHM) {
        fd = shm_open(a->in.path, O_RDWR, 0);
        shm_unlink(a->in.path);
    }
    ok = fd >= 0 && as_promised(a, fd) && (a->in.used ? copy_out(a, fd) : map_object(a, fd, at));
    if (a->in.used && fd >= 0)
        close(fd);
    else
        actor_keep_object((uintptr_t)at, fd);
    return finish(a, !ok, "cannot map the memory object that was handed over");
}

/* --- the two actions --- */

int actor_ACT_HAND_OVER(struct actor *a)
{
    switch (way_kind(a->in.way)) {
    case WAY_STREAM:
        return send_stream(a);
    case WAY_CALL:
        if (a->in.way == WAY_WRITEV)
            return call_across(a, own(a));
        permit(a);
        return 0;
    default:
        return leave_object(a);
    }
}

/* Fresh memory for what is copied, in huge pages if the sender's was to be. */
static int have_room(struct actor *a)
{
    void *at = a->in.used ? own(a) : actor_hole(a, a->in.len);

    if (!at)
        return -1;
    a->out.start = (uintptr_t)at;
    a->out.len = a->in.len;
    if (a->in.used)
        return 0;
    if (mmap(at, a->in.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED)
        return actor_fail(a, errno, "cannot map the region");
    if (a->in.huge && madvise(at, a->in.len, MADV_HUGEPAGE) < 0)
        return actor_fail(a, errno, "the kernel refuses the advice");
    return 0;
}

int actor_ACT_TAKE(struct actor *a)
{
    char *to;

    if (way_kind(a->in.way) == WAY_OBJECT)
        return take_object(a);
    if (have_room(a) < 0)
        return -1;
    to = (char *)(uintptr_t)a->out.start;
    if (way_kind(a->in.way) == WAY_STREAM)
        return receive_stream(a, to);
    if (a->in.way == WAY_READV)
        return call_across(a, to);
    permit(a); /* the sender writes */
    return 0;
}
