/* watched: the files of one observed process, kept open from look to look (opening one of /proc
 * costs more than reading a small one), and opened anew when the process has exec'd. */
#include "probes/list.h"
#include "probes/look/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_memory_files(struct observer *o, struct watched *w)
{
    fd_close(&w->maps_fd);
    reader_detach(&o->reader, &w->pagemap);
}

void watched_free(struct observer *o, struct watched *w)
{
    close_memory_files(o, w);
    fd_close(&w->status_fd);
    fd_close(&w->stat_fd);
    maps_release(&w->maps);
    frame_set_release(&w->frames);
    frame_set_release(&w->region_frames);
    free(w->entry_sums);
    free(w->loose);
    free(w->memories);
    free(w->by_start);
    free(w->actor);
    free(w);
}

bool is_shmem_dev(const struct observer *o, uint64_t dev)
{
    for (size_t i = 0; i < o->nshmem_devs; i++)
        if (o->shmem_devs[i] == dev)
            return true;
    return false;
}

size_t first_region(const struct watched *w, uint64_t addr)
{
    return w->shadows ? 0 : LIST_SEARCH(w->nmemories, i, w->by_start[i]->end <= addr);
}

bool watched_observes(const struct watched *w, const struct map_entry *e)
{
    for (size_t i = first_region(w, e->start); i < w->nmemories && w->by_start[i]->start < e->end;
         i++)
        if (w->by_start[i]->end > e->start)
            return true;
    return false;
}

static int gone(const struct watched *w, struct err *e)
{
    return err_set(e, ESRCH, "process %d (%s) is gone", (int)w->pid, w->actor);
}

static int check_opened(const struct watched *w, int fd, const char *name, struct err *e)
{
    if (fd == -ENOENT || fd == -ESRCH)
        return gone(w, e);
    if (is_exhausted(fd))
        return err_sys(e, fd, "cannot open '/proc/%d/%s'", (int)w->pid, name);
    return 0;
}

static int open_maps(struct watched *w, bool with_smaps, struct err *e)
{
    int rc;

    w->maps_fd = with_smaps ? proc_open(w->pid, "smaps") : -EACCES;
    w->no_smaps = w->maps_fd < 0;
    if ((rc = check_opened(w, w->maps_fd, "smaps", e)) < 0 || !w->no_smaps)
        return rc;
    w->maps_fd = proc_open(w->pid, "maps");
    rc = check_opened(w, w->maps_fd, "maps", e);
    return rc < 0 || w->maps_fd >= 0
               ? rc
               : err_sys(e, w->maps_fd, "cannot open '/proc/%d/maps'", (int)w->pid);
}

/* The files tied to the address space that the process has now. */
static int open_memory_files(struct observer *o, struct watched *w, struct err *e)
{
    int rc;

    close_memory_files(o, w);
    if ((rc = open_maps(w, o->caps.have[CAP_SMAPS], e)) < 0)
        return rc;
    if (!o->caps.have[CAP_PAGEMAP])
        return 0;
    rc = reader_attach(&o->reader, w->pid, o->caps.have[CAP_FRAMES], &w->pagemap);
    return check_opened(w, rc, "pagemap", e);
}

static int open_files(struct observer *o, struct watched *w, struct err *e)
{
    int rc;

    w->stat_fd = proc_open(w->pid, "stat");
    w->status_fd = proc_open(w->pid, "status");
    if ((rc = check_opened(w, w->stat_fd, "stat", e)) < 0 ||
        (rc = check_opened(w, w->status_fd, "status", e)) < 0)
        return rc;
    if (w->stat_fd < 0 || w->status_fd < 0)
        return gone(w, e);
    return open_memory_files(o, w, e);
}

static int watched_new(struct observer *o, const struct target *t, struct watched **out,
                       struct err *e)
{
    struct watched *w = calloc(1, sizeof *w);
    struct watched **added;
    int rc;

    if (!w || !(w->actor = strdup(t->actor))) {
        free(w);
        return err_no_memory(e);
    }
    w->pid = t->pid;
    w->maps_fd = w->status_fd = w->stat_fd = -1;
    w->pagemap = READER_NONE;
    w->minflt_before = w->majflt_before = value_na();
    rc = open_files(o, w, e);
    added = rc < 0 ? NULL : LIST_ADD(o->watched, o->nwatched);
    if (!added) {
        watched_free(o, w);
        return rc < 0 ? rc : err_no_memory(e);
    }
    *added = w;
    *out = w;
    return 0;
}

int watched_find(struct observer *o, const struct target *t, struct watched **out, struct err *e)
{
    for (size_t i = 0; i < o->nwatched; i++)
        if (o->watched[i]->pid == t->pid && strcmp(o->watched[i]->actor, t->actor) == 0) {
            *out = o->watched[i];
            return 0;
        }
    return watched_new(o, t, out, e);
}

static int read_stat(struct observer *o, struct watched *w, struct footprint *f)
{
    int rc = slurp_counted(&o->text, w->stat_fd, &o->cost[COST_STAT]);

    return rc < 0 ? rc : footprint_from_stat(f, &o->text);
}

/* The mappings; opened anew once if they are empty, because the process may have exec'd. */
static int read_maps(struct observer *o, struct watched *w, struct err *e)
{
    for (int again = 0; again < 2; again++) {
        int rc;

        if (again && (rc = open_memory_files(o, w, e)) < 0)
            return rc;
        rc = maps_read_fd(&w->maps, w->maps_fd, &o->cost[w->no_smaps ? COST_MAPS : COST_SMAPS], e);
        if (rc == -ESRCH)
            continue;
        if (rc < 0)
            return err_prefix(e, rc, "process %d (%s)", (int)w->pid, w->actor);
        if (w->maps.n)
            return 0;
    }
    return gone(w, e);
}

static int reset_sums(struct watched *w, struct err *e)
{
    if (LIST_ROOM(w->entry_sums, w->nentry_sums, w->maps.n) < 0)
        return err_no_memory(e);
    memset(w->entry_sums, 0, w->maps.n * sizeof *w->entry_sums);
    return 0;
}

int watched_read(struct observer *o, struct watched *w, struct err *e)
{
    int rc;

    footprint_init(&w->now, w->no_smaps ? WHY_NO_INTERFACE : WHY_READ_FAILED);
    rc = read_stat(o, w, &w->now);
    if (rc < 0)
        return rc == -ESRCH ? gone(w, e) : err_sys(e, rc, "cannot read '/proc/%d/stat'", w->pid);
    if (w->start_time && w->start_time != w->now.start_time)
        return gone(w, e); /* the number now belongs to another process */
    w->start_time = w->now.start_time;
    w->minflt_at_start = value_is_known(w->now.minflt) ? w->now.minflt.n : -1;
    w->quiet = w->minflt_at_start >= 0 && value_is_known(w->minflt_before) &&
               w->minflt_before.n == w->minflt_at_start;
    rc = read_maps(o, w, e);
    if (rc < 0)
        return rc;
    if (o->corrupt == CORRUPT_SMAPS && w->maps.counted)
        for (size_t i = 0; i < w->maps.n; i++)
            w->maps.entries[i].kb.rss += o->page_size / 1024;
    if (w->maps.counted)
        footprint_from_maps(&w->now, &w->maps);
    if (slurp_counted(&o->text, w->status_fd, &o->cost[COST_STATUS]) == 0)
        footprint_from_status(&w->now, &o->text);
    return reset_sums(w, e);
}

struct value watched_induced(struct observer *o, struct watched *w)
{
    struct footprint after = {0};

    if (w->minflt_at_start < 0 || read_stat(o, w, &after) < 0)
        return value_unknown(WHY_READ_FAILED);
    return value_known(after.minflt.n - w->minflt_at_start);
}
