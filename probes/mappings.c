#include "probes/mappings.h"
#include "probes/kernel/segments.h"
#include "probes/kernel/threads.h"
#include "probes/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int refuse(int rc, pid_t pid, struct err *e)
{
    if (rc == -ENOENT || rc == -ESRCH)
        return err_set(e, ESRCH, "there is no process %d", (int)pid);
    if (rc == -EACCES || rc == -EPERM)
        return caps_refuse(pid, e);
    return err_sys(e, rc, "cannot read '/proc/%d/smaps'", (int)pid);
}

/* The mappings with their counters; maps, where the kernel has no smaps. */
static int read_list(pid_t pid, const struct caps *caps, struct maps *m, struct err *e)
{
    struct err why = {""};
    int fd = proc_open(pid, caps->have[CAP_SMAPS] ? "smaps" : "maps"), rc;

    if (fd < 0)
        return refuse(fd, pid, e);
    rc = maps_read_fd(m, fd, NULL, &why);
    close(fd);
    if (rc == -EPROTO || rc == -ENOMEM) {
        *e = why;
        return rc;
    }
    if (rc < 0)
        return refuse(rc, pid, e);
    if (m->n == 0)
        return err_set(e, ESRCH,
                       "process %d has no memory: it has ended, or it is a part of the kernel",
                       (int)pid);
    return 0;
}

static int max_protection(const struct maps *m, const struct map_entry *e)
{
    if (!m->counted)
        return -1;
    return (e->flags & 1u << VMF_MAYREAD ? 1 : 0) | (e->flags & 1u << VMF_MAYWRITE ? 2 : 0) |
           (e->flags & 1u << VMF_MAYEXEC ? 4 : 0);
}

static int look(pid_t pid, const struct caps *caps, struct mappings *m, struct err *e)
{
    struct observer_options opt = {.whole_process = true, .everybody = true, .max_runs = 1};
    struct target_region *regions = calloc(m->maps.n, sizeof *regions);
    char(*names)[24] = calloc(m->maps.n, sizeof *names);
    struct target target = {.actor = "process", .pid = pid, .regions = regions};
    struct observer *o = NULL;
    int rc = regions && names ? 0 : err_no_memory(e);

    for (size_t i = 0; rc == 0 && i < m->maps.n; i++) {
        const struct map_entry *entry = &m->maps.entries[i];

        if (mapping_is_kernels(entry))
            continue;
        snprintf(names[i], sizeof names[i], "%zu", i);
        regions[target.nregions++] = (struct target_region){
            .name = names[i],
            .start = entry->start,
            .len = entry->end - entry->start,
            .inherit = INH_COPY,
        };
    }
    if (rc == 0)
        rc = observer_new(&o, caps, &opt, e);
    if (rc == 0)
        rc = observer_look(o, &target, 1, NULL, 0, &m->obs, e);
    observer_free(o);
    free(regions);
    free(names);
    return rc;
}

static int fill_list(pid_t pid, struct mappings *m, struct err *e)
{
    struct segments segments = {0};
    struct threads threads = {0};
    struct probe_cost ignored = {0};
    size_t region = 0;
    int rc;

    m->list = calloc(m->maps.n + 1, sizeof *m->list);
    if (!m->list)
        return err_no_memory(e);
    threads_read(&threads, pid, m->fp.threads, &ignored);
    for (size_t i = 0; i < m->maps.n; i++) {
        const struct map_entry *entry = &m->maps.entries[i];
        uint64_t data_end = segments_end(&segments, pid, &m->maps, i);

        if (mapping_is_kernels(entry) || region >= m->obs.nregions)
            continue;
        m->list[m->n++] =
            (struct mapping){.entry = entry,
                             .region = &m->obs.regions[region],
                             .kind = region_kind(&m->maps, i, m->exe, &threads, data_end),
                             .max_prot = max_protection(&m->maps, entry)};
        region++;
    }
    rc = segments.failed ? segments.failed : threads.failed;
    segments_release(&segments);
    threads_release(&threads);
    return rc < 0 ? err_sys(e, rc, "cannot tell what process %d maps", (int)pid) : 0;
}

int mappings_look(pid_t pid, const struct caps *caps, struct mappings *out, struct err *e)
{
    int rc;

    pid = threads_living(pid);
    *out = (struct mappings){0};
    observation_init(&out->obs);
    rc = caps_tried(caps, e);
    if (rc == 0)
        rc = footprint_read(pid, &out->fp, e);
    if (rc == 0)
        rc = read_list(pid, caps, &out->maps, e);
    if (rc == 0)
        rc = look(pid, caps, out, e);
    if (rc == 0) {
        proc_exe(pid, out->exe, sizeof out->exe);
        rc = fill_list(pid, out, e);
    }
    if (rc < 0)
        mappings_release(out);
    return rc;
}

void mappings_release(struct mappings *m)
{
    maps_release(&m->maps);
    observation_release(&m->obs);
    free(m->list);
    *m = (struct mappings){0};
}
