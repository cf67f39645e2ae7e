#include "lab/linux/cgroup.h"

#include "probes/system.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
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
