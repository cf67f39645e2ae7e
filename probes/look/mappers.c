/* mappers: who maps the look's memory objects that is no target: the mappings of every process that
 * may be read, once. Before anything else of the look, which compares what the targets' own files
 * say with each other: what comes between them parts them. */
#include "probes/look/look.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the first PID namespace: PROC_PID_INIT_INO (include/linux/proc_ns.h). In another one there are
 * processes that /proc does not show. */
#define ALL_PROCESSES "pid:[4026531836]"

static bool shows_all_processes(void)
{
    char name[32];
    ssize_t n = readlink("/proc/self/ns/pid", name, sizeof name - 1);

    name[n > 0 ? n : 0] = '\0';
    return strcmp(name, ALL_PROCESSES) == 0;
}

static int add_mapper(struct observer *o, const struct map_entry *e, pid_t pid)
{
    struct mappers *m = PLACES_FIND(&o->mapper_places, o->mappers, e->dev, e->inode);

    if (!m && !(m = PLACES_ADD(&o->mapper_places, o->mappers, o->nmappers, e->dev, e->inode)))
        return -ENOMEM;
    m->n += m->last != pid;
    m->last = pid;
    return 0;
}

/* 1: noted, or gone meanwhile; 0: it may not be read. */
static int read_mapper(struct observer *o, pid_t pid, struct maps *m, struct err *e)
{
    int fd = proc_open(pid, "maps"), rc = fd;

    if (fd >= 0) {
        rc = maps_read_fd(m, fd, &o->cost[COST_OBJECT], e);
        close(fd);
    }
    for (size_t i = 0; rc == 0 && i < m->n; i++)
        if (m->entries[i].inode)
            rc = add_mapper(o, &m->entries[i], pid);
    if (is_exhausted(rc))
        return err_sys(e, rc, "cannot read the mappings of process %d", (int)pid);
    return rc == 0 || rc == -ENOENT || rc == -ESRCH;
}

static bool is_target(const struct target *targets, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (targets[i].pid == pid)
            return true;
    return false;
}

int mappers_read(struct observer *o, const struct target *targets, size_t n, struct err *e)
{
    DIR *dir = opendir("/proc");
    struct maps m = {0};
    struct dirent *d;
    bool first = false; /* hidepid hides others' processes whole: process 1 too */
    int rc = 1;

    if (!dir)
        return err_sys(e, -errno, "cannot list the processes");
    o->nmappers = 0;
    places_clear(&o->mapper_places);
    o->mappers_known = shows_all_processes();
    while (rc >= 0 && (d = readdir(dir))) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

        first |= pid == 1;
        if (pid <= 0 || is_target(targets, n, pid))
            continue;
        rc = read_mapper(o, pid, &m, e);
        o->mappers_known &= rc > 0;
    }
    o->mappers_known &= first;
    maps_release(&m);
    closedir(dir);
    return rc < 0 ? rc : 0;
}

uint64_t mappers_of(const struct observer *o, uint64_t dev, uint64_t inode)
{
    const struct mappers *m = PLACES_FIND(&o->mapper_places, o->mappers, dev, inode);

    return m ? m->n : 0;
}
