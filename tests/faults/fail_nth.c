/* fail_nth: the nth call of a kind fails: an allocation, the opening of a descriptor, a change of
 * the address space, a socket's or a file's. As an LD_PRELOAD library in the lab only (its actors
 * are other programs):
 *
 *   FAIL_KIND=memory|descriptor|address|unmap|socket|file  FAIL_NTH=n   fail that one call
 *   FAIL_COUNT=FILE                           at exit, write how many calls of the kind there were
 *
 * Linked into a test program it does what fail_nth.h says. */
#include "fail_nth.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long fail_at = -1; /* -1: not set up yet; 0: never */
static char kind;         /* its first letter */
static pid_t owner;       /* forked children of the lab do not count; 0: they do */
static atomic_long blocks;

static void set_up(void)
{
    const char *n = getenv("FAIL_NTH"), *k = getenv("FAIL_KIND");

    fail_at = n ? atol(n) : 0;
    kind = k ? *k : 0;
    if (strcmp(program_invocation_short_name, "cowlab") != 0)
        kind = 0;
    owner = getpid();
}

static int fails(char what)
{
    if (fail_at < 0)
        set_up();
    if (kind != what || (owner && getpid() != owner))
        return 0;
    return atomic_fetch_add(&calls, 1) + 1 == fail_at;
}

bool fail_nth(char what, long n)
{
    const bool failed = fail_at > 0 && atomic_load(&calls) >= fail_at;

    fail_at = n;
    kind = n ? what : 0;
    owner = 0;
    atomic_store(&calls, 0);
    return failed;
}

long fail_nth_blocks(void)
{
    return atomic_load(&blocks);
}

__attribute__((destructor)) static void write_count(void)
{
    const char *file = getenv("FAIL_COUNT");
    char text[32];
    int n, fd;

    if (!file || !kind || getpid() != owner)
        return;
    n = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
    kind = 0;
    fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        if (write(fd, text, (size_t)n) < 0)
            _exit(99);
        close(fd);
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#ifndef __SANITIZE_ADDRESS__ /* which has malloc already */
/* glibc's own names: dlsym itself allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add(&blocks, 1);
    return p;
}

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails('m') ? out_of_memory() : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails('m') ? out_of_memory() : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
    void *q = fails('m') ? out_of_memory() : __libc_realloc(p, size);

    return p ? q : counted(q);
}

void free(void *p)
{
    if (p)
        atomic_fetch_sub(&blocks, 1);
    __libc_free(p);
}
#endif

static int no_descriptor(void)
{
    errno = EMFILE;
    return -1;
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define OPEN_LIKE(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list ap;                                                                                \
        mode_t mode;                                                                               \
        va_start(ap, flags);                                                                       \
        mode = mode_of(flags, ap);                                                                 \
        va_end(ap);                                                                                \
        return fails('d') ? no_descriptor() : REAL(name)(path, flags, mode);                       \
    }
OPEN_LIKE(open)
OPEN_LIKE(open64)

#define OPENAT_LIKE(name)                                                                          \
    int name(int dir, const char *path, int flags, ...)                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        mode_t mode;                                                                               \
        va_start(ap, flags);                                                                       \
        mode = mode_of(flags, ap);                                                                 \
        va_end(ap);                                                                                \
        return fails('d') ? no_descriptor() : REAL(name)(dir, path, flags, mode);                  \
    }
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

FILE *fopen(const char *path, const char *mode)
{
    if (!fails('d'))
        return REAL(fopen)(path, mode);
    no_descriptor();
    return NULL;
}

DIR *opendir(const char *path)
{
    DIR *(*real)(const char *) = REAL(opendir);

    if (!fails('d'))
        return real(path);
    no_descriptor();
    return NULL;
}

int socketpair(int domain, int type, int protocol, int ends[2])
{
    return fails('d') ? no_descriptor() : REAL(socketpair)(domain, type, protocol, ends);
}

int pipe2(int ends[2], int flags)
{
    return fails('d') ? no_descriptor() : REAL(pipe2)(ends, flags);
}

int dup(int fd)
{
    return fails('d') ? no_descriptor() : REAL(dup)(fd);
}

int memfd_create(const char *name, unsigned int flags)
{
    return fails('d') ? no_descriptor() : REAL(memfd_create)(name, flags);
}

/* What else can fail: the address space, sockets, files. */
#define FAILING(letter, errnum, failed, type, name, parameters, arguments)                         \
    type name parameters                                                                           \
    {                                                                                              \
        if (!fails(letter))                                                                        \
            return REAL(name) arguments;                                                           \
        errno = errnum;                                                                            \
        return failed;                                                                             \
    }
FAILING('a', ENOMEM, MAP_FAILED, void *, mmap,
        (void *at, size_t len, int prot, int flags, int fd, off_t offset),
        (at, len, prot, flags, fd, offset))
FAILING('a', ENOMEM, -1, int, mprotect, (void *at, size_t len, int prot), (at, len, prot))
FAILING('a', ENOMEM, -1, int, madvise, (void *at, size_t len, int advice), (at, len, advice))
FAILING('u', ENOMEM, -1, int, munmap, (void *at, size_t len), (at, len))
FAILING('s', ENOBUFS, -1, ssize_t, sendmsg, (int s, const struct msghdr *m, int flags),
        (s, m, flags))
FAILING('s', ENOMEM, -1, ssize_t, recvmsg, (int s, struct msghdr *m, int flags), (s, m, flags))
FAILING('s', ENOBUFS, -1, ssize_t, send, (int s, const void *p, size_t n, int flags),
        (s, p, n, flags))
FAILING('s', ENOMEM, -1, ssize_t, recv, (int s, void *p, size_t n, int flags), (s, p, n, flags))
FAILING('s', ENOMEM, -1, int, setsockopt, (int s, int level, int name, const void *p, socklen_t n),
        (s, level, name, p, n))
FAILING('s', ENOMEM, -1, int, getsockopt, (int s, int level, int name, void *p, socklen_t *n),
        (s, level, name, p, n))
FAILING('s', ENOMEM, -1, int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
FAILING('f', EIO, -1, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
FAILING('f', ENOSPC, -1, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
        (fd, p, n, at))
FAILING('f', ENOSPC, -1, int, ftruncate, (int fd, off_t len), (fd, len))
FAILING('f', EIO, -1, off_t, lseek, (int fd, off_t at, int from), (fd, at, from))

int ioctl(int fd, unsigned long what, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, what);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!fails('f'))
        return REAL(ioctl)(fd, what, arg);
    errno = ENOTTY;
    return -1;
}

int fcntl(int fd, int what, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, what);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!fails('f'))
        return REAL(fcntl)(fd, what, arg);
    errno = EINVAL;
    return -1;
}
