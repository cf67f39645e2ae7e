#include "lab/backends/linux_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Is `word` one of the comma-separated words of list? */
static int has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == '\0' || p[n] == ','))
            return 1;
    return 0;
}

/* The lab's own group in the hierarchy with the memory controller (cgroups(7), /proc/self/cgroup:
 * "4:memory:/path", or "0::/path" for v2). Returns 1, 2, or 0. */
static int own_group(char *path, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char *line = NULL;
    size_t room = 0;
    int version = 0;

    if (!f)
        return 0;
    while (version != 1 && getline(&line, &room, f) > 0) {
        char *controllers = strchr(line, ':');
        char *where = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!where)
            continue;
        *where++ = '\0';
        controllers++;
        where[strcspn(where, "\n")] = '\0';
        if (has_word(controllers, "memory"))
            version = 1;
        else if (*controllers == '\0' && !version)
            version = 2;
        else
            continue;
        snprintf(path, size, "%s", where);
    }
    free(line);
    fclose(f);
    return version;
}

/* Where that hierarchy is mounted (/proc/self/mounts). 0, or -1. */
static int mount_point(int version, char *path, size_t size)
{
    FILE *f = fopen("/proc/self/mounts", "re");
    char *line = NULL;
    size_t room = 0;
    int rc = -1;

    if (!f)
        return -1;
    while (rc < 0 && getline(&line, &room, f) > 0) {
        char *save, *dir, *type, *options;

        strtok_r(line, " ", &save);
        dir = strtok_r(NULL, " ", &save);
        type = strtok_r(NULL, " ", &save);
        options = strtok_r(NULL, " ", &save);
        if (!dir || !type || !options)
            continue;
        if (version == 1 ? strcmp(type, "cgroup") == 0 && has_word(options, "memory")
                         : strcmp(type, "cgroup2") == 0) {
            snprintf(path, size, "%s", dir);
            rc = 0;
        }
    }
    free(line);
    fclose(f);
    return rc;
}

int run_cgroup_make(char *path, size_t size)
{
    char group[2048], mount[1024], probe[4300];
    int version = own_group(group, sizeof group);

    path[0] = '\0';
    if (!version || mount_point(version, mount, sizeof mount) < 0)
        return -1;
    if ((size_t)snprintf(path, size, "%s%s/cowlab-%d", mount, strcmp(group, "/") ? group : "",
                         getpid()) >= size)
        goto none;
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
