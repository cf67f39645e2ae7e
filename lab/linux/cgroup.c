#include "lab/linux/cgroup.h"

#include "probes/system.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
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
