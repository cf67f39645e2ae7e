#include "probes/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* One page less than a power of two would be no gain: seq_file fills what it is given. */
#define SLURP_FIRST (64 * 1024)

uint64_t probe_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

void cost_note(struct probe_cost *cost, uint64_t began, uint64_t calls, uint64_t bytes)
{
    if (!cost)
        return;
    cost->ns += probe_clock() - began;
    cost->calls += calls;
    cost->bytes += bytes;
}

bool is_exhausted(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

int probe_threads(void)
{
    cpu_set_t set;

    /* Fails where there are more CPUs than the set has room for. */
    return sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) > 1 ? 2 : 1;
}

void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int proc_open(pid_t pid, const char *file)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void proc_exe(pid_t pid, char *path, size_t size)
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = '\0';
}

static int grow(struct slurp *s)
{
    size_t cap = s->cap ? s->cap * 2 : SLURP_FIRST;
    char *text = realloc(s->text, cap);

    if (!text)
        return -ENOMEM;
    s->text = text;
    s->cap = cap;
    return 0;
}

int slurp_fd(struct slurp *s, int fd)
{
    ssize_t n;
    int rc;

    s->len = 0;
    s->calls = 0;
    if (!s->text && (rc = grow(s)) < 0)
        return rc;
    s->text[0] = '\0';
    for (;;) {
        if (s->len + 1 >= s->cap && (rc = grow(s)) < 0)
            return rc;
        n = pread(fd, s->text + s->len, s->cap - s->len - 1, (off_t)s->len);
        s->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        s->len += (size_t)n;
    }
    s->text[s->len] = '\0';
    return 0;
}

int slurp_path(struct slurp *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -errno;
    rc = slurp_fd(s, fd);
    close(fd);
    return rc;
}

int slurp_counted(struct slurp *s, int fd, struct probe_cost *cost)
{
    uint64_t began = probe_clock();
    int rc = slurp_fd(s, fd);

    cost_note(cost, began, s->calls, s->len);
    return rc;
}

void slurp_release(struct slurp *s)
{
    free(s->text);
    *s = (struct slurp){0};
}

int slurp_number(const struct slurp *s, const char *key, unsigned long long *value)
{
    size_t keylen = strlen(key);
    const char *line = s->text, *end;

    while (line && *line) {
        if (strncmp(line, key, keylen) == 0) {
            char *stop;

            errno = 0;
            *value = strtoull(line + keylen, &stop, 10);
            return errno || stop == line + keylen ? -ENOENT : 0;
        }
        end = strchr(line, '\n');
        line = end ? end + 1 : NULL;
    }
    return -ENOENT;
}

int fd_write_all(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size) {
        ssize_t n = write(fd, at, size);

        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}
