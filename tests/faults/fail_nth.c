/* fail_nth: an LD_PRELOAD library that lets the nth allocation or the nth opening of a descriptor
 * fail, in the lab only (its actors are other programs).
 *
 *   FAIL_KIND=memory|descriptor  FAIL_NTH=n   fail that one call with ENOMEM or EMFILE
 *   FAIL_COUNT=FILE                           at exit, write how many calls of the kind there were
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long fail_at = -1; /* -1: not set up yet; 0: never */
static char kind;         /* 'm' or 'd' */
static pid_t owner;       /* forked children of the lab do not count */

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
    if (kind != what || getpid() != owner)
        return 0;
    return atomic_fetch_add(&calls, 1) + 1 == fail_at;
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

/* glibc's own names: dlsym itself allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    return fails('m') ? out_of_memory() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails('m') ? out_of_memory() : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails('m') ? out_of_memory() : __libc_realloc(p, size);
}

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
