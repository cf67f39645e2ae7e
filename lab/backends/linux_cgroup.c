#include "lab/backends/linux_cgroup.h"

#include "probes/system.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int run_cgroup_make(char *path, size_t size)
{
    char parent[4096], probe[4300];
    struct err why;
    int version = system_cgroup_parent(parent, sizeof parent, &why);

    path[0] = '\0';
    if (version <= 0)
        return -1;
    snprintf(path, size, "%s/cowlab-%d", parent, getpid());
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        goto none;
    /* v2: without the memory controller in the parent's subtree_control the files are not there. */
    snprintf(probe, sizeof probe, "%s/%s", path,
             version == 1 ? "memory.usage_in_bytes" : "memory.current");
    if (access(probe, R_OK) == 0)
        return 0;
    rmdir(path);
none:
    path[0] = '\0';
    return -1;
}

int run_cgroup_join(const char *path)
{
    char file[4300];
    int fd, rc;

    snprintf(file, sizeof file, "%s/cgroup.procs", path);
    fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    rc = write(fd, "0", 1) == 1 ? 0 : -1;
    close(fd);
    return rc;
}

void run_cgroup_remove(const char *path)
{
    const struct timespec pause_5ms = {0, 5000000};

    for (int i = 0; i < 200 && rmdir(path) < 0 && errno == EBUSY; i++)
        nanosleep(&pause_5ms, NULL);
}
