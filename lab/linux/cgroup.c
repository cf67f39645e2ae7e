#include "lab/linux/cgroup.h"

#include "probes/slurp.h"
#include "probes/system.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int run_cgroup_name(const char *name, char *path, size_t size)
{
    char parent[4096];
    struct err why;

    path[0] = '\0';
    if (system_cgroup_parent(parent, sizeof parent, &why) <= 0)
        return -1;
    snprintf(path, size, "%s%s", parent, name);
    return 0;
}

/* v2: without the memory controller in the parent's subtree_control the files are not there. */
static int has_memory_controller(const char *path)
{
    static const char *const files[] = {"memory.usage_in_bytes", "memory.current"};
    char file[4300];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        if (access(file, R_OK) == 0)
            return 1;
    }
    return 0;
}

int run_cgroup_make(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -1;
    if (has_memory_controller(path))
        return 0;
    rmdir(path);
    return -1;
}

/* Moves the calling process. Where there is `tasks` (v1) the one thread that a fork leaves is moved
 * by itself: a move of processes waits for all CPUs to have been through the scheduler, 10 ms. */
int run_cgroup_join(const char *path)
{
    static const char *const files[] = {"tasks", "cgroup.procs"};
    int fd = -1, rc;

    for (size_t i = 0; i < 2 && fd < 0; i++) {
        char file[4300];

        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        fd = open(file, O_WRONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return -1;
    rc = write(fd, "0", 1) == 1 ? 0 : -1;
    close(fd);
    return rc;
}

/* A child that is born in its cgroup need not move at all (clone3(2), Linux 5.7, v2 only). */
static pid_t fork_into(const char *path)
{
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = -1;

    if (fd >= 0) {
        args.cgroup = (uint64_t)fd;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
        close(fd);
    }
    return pid;
}

pid_t run_cgroup_fork(const char *path, bool *inside)
{
    char tasks[4300];
    pid_t pid = -1;

    snprintf(tasks, sizeof tasks, "%s/tasks", path);
    if (path[0] && access(tasks, F_OK) < 0)
        pid = fork_into(path);
    *inside = pid >= 0;
    return pid >= 0 ? pid : fork();
}

/* What a file of the cgroup says in bytes, from its beginning. */
static struct value read_kb(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n <= 0)
        return value_unknown(WHY_READ_FAILED);
    text[n] = '\0';
    return value_known(strtoll(text, NULL, 10) / 1024);
}

/* The file of version 2, or of version 1. */
static int open_either(const char *cgroup, const char *v2, const char *v1, int flags)
{
    char path[4300];
    int fd;

    snprintf(path, sizeof path, "%s/%s", cgroup, v2);
    fd = open(path, flags | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "%s/%s", cgroup, v1);
    return open(path, flags | O_CLOEXEC);
}

/* Any text makes either version forget (version 2 since Linux 6.12, for this descriptor alone). */
struct value run_peak_begin(struct run_peak *p, const char *cgroup)
{
    static const char peak_v1[] = "memory.max_usage_in_bytes";
    struct value now;
    int fd;

    *p = (struct run_peak){-1, false, value_unknown(WHY_NO_CGROUP)};
    if (!cgroup[0])
        return p->before;
    p->fd = open_either(cgroup, "memory.peak", peak_v1, O_RDWR);
    if (p->fd < 0)
        p->fd = open_either(cgroup, "memory.peak", peak_v1, O_RDONLY);
    p->before = p->fd < 0 ? value_unknown(WHY_NO_INTERFACE) : read_kb(p->fd);
    p->forgot = p->fd >= 0 && pwrite(p->fd, "0", 1, 0) == 1;
    fd = open_either(cgroup, "memory.current", "memory.usage_in_bytes", O_RDONLY);
    now = fd < 0 ? value_unknown(WHY_NO_INTERFACE) : read_kb(fd);
    fd_close(&fd);
    return now;
}

struct value run_peak_end(struct run_peak *p)
{
    struct value peak = p->fd < 0 ? p->before : read_kb(p->fd);

    fd_close(&p->fd);
    if (value_is_known(peak) && value_is_known(p->before) && !p->forgot && peak.n <= p->before.n)
        return value_unknown(WHY_NO_INTERFACE);
    return peak;
}
