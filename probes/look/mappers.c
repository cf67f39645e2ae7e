/* mappers: who maps the look's memory objects that is no target: the mappings of every process that
 * may be read, once. */
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

static bool is_watched(const struct observer *o, pid_t pid)
{
    for (size_t i = 0; i < o->nwatched; i++)
        if (o->watched[i]->seen && o->watched[i]->pid == pid)
            return true;
    return false;
}

/* Each object once, however many entries the process has of it. */
static void count_mapper(struct observer *o, const struct maps *m, pid_t pid)
{
    for (size_t i = 0; i < m->n; i++) {
        struct seen_object *s =
            m->entries[i].inode ? object_find(o, m->entries[i].dev, m->entries[i].inode) : NULL;

        if (s && s->last_mapper != pid) {
            s->last_mapper = pid;
            s->elsewhere++;
        }
    }
}

/* 1: counted, or gone meanwhile; 0: it may not be read. */
static int read_mapper(struct observer *o, pid_t pid, struct maps *m, struct err *e)
{
    int fd = proc_open(pid, "maps"), rc = fd;

    if (fd >= 0) {
        rc = maps_read_fd(m, fd, &o->cost[COST_OBJECT], e);
        close(fd);
    }
    if (rc == 0)
        count_mapper(o, m, pid);
    if (is_exhausted(rc))
        return err_sys(e, rc, "cannot read the mappings of process %d", (int)pid);
    return rc == 0 || rc == -ENOENT || rc == -ESRCH;
}

int mappers_count(struct observer *o, struct err *e)
{
    DIR *dir = opendir("/proc");
    struct maps m = {0};
    struct dirent *d;
    bool first = false; /* hidepid hides others' processes whole: process 1 too */
    int rc = 1;

    if (!dir)
        return err_sys(e, -errno, "cannot list the processes");
    o->mappers_known = shows_all_processes();
    while (rc >= 0 && (d = readdir(dir))) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

        first |= pid == 1;
        if (pid <= 0 || is_watched(o, pid))
            continue;
        rc = read_mapper(o, pid, &m, e);
        o->mappers_known &= rc > 0;
    }
    o->mappers_known &= first;
    maps_release(&m);
    closedir(dir);
    return rc < 0 ? rc : 0;
}
