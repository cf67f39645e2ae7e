#include "probes/mappings.h"
#include "probes/kernel/segments.h"
#include "probes/kernel/threads.h"
#include "probes/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int refuse(int rc, pid_t pid, const char *file, struct err *e)
{
    if (rc == -ENOENT || rc == -ESRCH)
        return err_set(e, ESRCH, "there is no process %d", (int)pid);
    if (rc == -EACCES || rc == -EPERM)
        return caps_refuse(pid, e);
    return err_sys(e, rc, "cannot read '/proc/%d/%s'", (int)pid, file);
}

static int read_list(pid_t pid, const char *file, struct mappings *m, struct err *e)
{
    struct err why = {""};
    int fd = proc_open(m->seen_as, file), rc;

    if (fd < 0)
        return refuse(fd, pid, file, e);
    rc = maps_read_fd(&m->maps, fd, NULL, &why);
    close(fd);
    if (rc == -EPROTO || rc == -ENOMEM) {
        *e = why;
        return rc;
    }
    if (rc < 0)
        return refuse(rc, pid, file, e);
    if (m->maps.n == 0)
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

/* What of the mappings is looked at: m->list, and the same as regions for the observer. */
static int choose(pid_t pid, const struct mappings_options *opt, struct mappings *m,
                  struct target_region *regions, char (*names)[40], struct err *e)
{
    uint64_t limit = opt->end ? opt->end : UINT64_MAX;

    for (size_t i = 0; i < m->maps.n; i++) {
        const struct map_entry *entry = &m->maps.entries[i];
        uint64_t start = entry->start > opt->start ? entry->start : opt->start;
        uint64_t end = entry->end < limit ? entry->end : limit;

        if (start >= end || mapping_is_kernels(entry))
            continue;
        snprintf(names[m->n], sizeof names[m->n], "%llx-%llx", (unsigned long long)start,
                 (unsigned long long)end);
        regions[m->n] = (struct target_region){
            .name = names[m->n], .start = start, .len = end - start, .inherit = INH_COPY};
        m->list[m->n++].entry = entry;
    }
    return m->n ? 0
                : err_set(e, ERANGE, "process %d has nothing mapped in %llx-%llx", (int)pid,
                          (unsigned long long)opt->start, (unsigned long long)limit);
}

static int look(pid_t pid, const struct caps *caps, const struct mappings_options *opt,
                struct mappings *m, struct err *e)
{
    struct observer_options how = {.whole_process = true,
                                   .everybody = true,
                                   .max_runs = opt->max_runs,
                                   .threads = opt->threads};
    struct target_region *regions = calloc(m->maps.n, sizeof *regions);
    char(*names)[40] = calloc(m->maps.n, sizeof *names);
    struct target target = {.actor = "process", .pid = m->seen_as, .regions = regions};
    struct observer *o = NULL;
    int rc;

    m->list = calloc(m->maps.n, sizeof *m->list);
    rc = regions && names && m->list ? choose(pid, opt, m, regions, names, e) : err_no_memory(e);
    target.nregions = m->n;
    if (rc == 0)
        rc = observer_new(&o, caps, &how, e);
    if (rc == 0)
        rc = observer_look(o, &target, 1, NULL, 0, &m->obs, e);
    for (size_t i = 0; rc == 0 && i < m->n; i++)
        m->list[i].region = &m->obs.regions[i];
    observer_free(o);
    free(regions);
    free(names);
    return rc;
}

static int tell_kinds(pid_t pid, struct mappings *m, struct err *e)
{
    struct segments segments = {0};
    struct threads threads = {0};
    struct probe_cost ignored = {0};
    int rc;

    proc_exe(m->seen_as, m->exe, sizeof m->exe);
    threads_read(&threads, m->seen_as, m->fp.threads, &ignored);
    for (size_t i = 0; i < m->n; i++) {
        struct mapping *to = &m->list[i];
        size_t index = (size_t)(to->entry - m->maps.entries);
        uint64_t data_end = segments_end(&segments, m->seen_as, &m->maps, index);

        to->kind = region_kind(&m->maps, index, m->exe, &threads, data_end);
        to->max_prot = max_protection(&m->maps, to->entry);
    }
    rc = segments.failed ? segments.failed : threads.failed;
    segments_release(&segments);
    threads_release(&threads);
    return rc < 0 ? err_sys(e, rc, "cannot tell what process %d maps", (int)pid) : 0;
}

static int observe(pid_t pid, const char *file, const struct caps *caps,
                   const struct mappings_options *opt, struct mappings *out, struct err *e)
{
    int rc;

    *out = (struct mappings){.seen_as = threads_living(pid)};
    observation_init(&out->obs);
    rc = caps_tried(caps, e);
    if (rc == 0)
        rc = footprint_read(out->seen_as, &out->fp, e);
    if (rc == 0)
        rc = read_list(pid, file, out, e);
    if (rc == 0)
        rc = look(pid, caps, opt, out, e);
    if (rc < 0)
        mappings_release(out);
    return rc;
}

int mappings_observe(pid_t pid, const struct caps *caps, const struct mappings_options *opt,
                     struct mappings *out, struct err *e)
{
    return observe(pid, "maps", caps, opt, out, e);
}

int mappings_look(pid_t pid, const struct caps *caps, struct mappings *out, struct err *e)
{
    const struct mappings_options opt = {.max_runs = 1};
    int rc = observe(pid, caps->have[CAP_SMAPS] ? "smaps" : "maps", caps, &opt, out, e);

    if (rc == 0 && (rc = tell_kinds(pid, out, e)) < 0)
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
