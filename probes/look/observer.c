#include "probes/observer.h"
#include "probes/list.h"
#include "probes/look/look.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int add_shmem_dev(struct observer *o, uint64_t dev)
{
    uint64_t *added = LIST_ADD(o->shmem_devs, o->nshmem_devs);

    if (!added)
        return -ENOMEM;
    *added = dev;
    return 0;
}

/* Devices whose files are memory: the kernel's internal mount (memfd, shared anonymous and SysV
 * memory), known by a memfd of one's own, and every tmpfs. */
static int find_shmem_devs(struct observer *o)
{
    int fd = memfd_create("cowlab-probe", MFD_CLOEXEC), rc = 0;
    struct stat st;

    if (fd < 0 && errno != ENOSYS)
        return -errno;
    if (fd >= 0 && fstat(fd, &st) == 0)
        rc = add_shmem_dev(o, st.st_dev);
    if (fd >= 0)
        close(fd);
    if (rc < 0 || slurp_path(&o->text, "/proc/self/mountinfo") < 0)
        return rc;
    for (char *rest = o->text.text, *line; rc == 0 && (line = strsep(&rest, "\n"));) {
        const char *dash = strstr(line, " - ");
        unsigned int major_nr, minor_nr;

        if (dash && strncmp(dash, " - tmpfs ", 9) == 0 &&
            sscanf(line, "%*d %*d %u:%u", &major_nr, &minor_nr) == 2)
            rc = add_shmem_dev(o, makedev(major_nr, minor_nr));
    }
    return rc;
}

/* The frame of the small zero page, by reading a page of one's own that nobody wrote. Bit 56 tells
 * a kernel that gives the reader an ordinary page instead, whose frame others will have later. */
static void find_zero_frame(struct observer *o)
{
    struct page_file own;
    volatile char *page = mmap(NULL, o->page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t word = 0;

    if (page != MAP_FAILED) {
        (void)page[0];
        if (reader_attach(&o->reader, getpid(), true, &own) == 0 &&
            reader_words(&o->reader, &own, o->page_size, (uintptr_t)page, 1, &word, 1, NULL) == 1 &&
            (word & PM_PRESENT) && !(word & PM_EXCLUSIVE))
            o->zero_frame = PM_FRAME(word);
        reader_detach(&o->reader, &own);
        munmap((void *)page, o->page_size);
    }
}

/* What cannot be asked (the helper that gave the capabilities may be gone by now) is not there. */
static void drop_caps(struct observer *o, bool counts, bool flags)
{
    struct caps *c = &o->caps;

    if (!counts)
        c->have[CAP_KPAGECOUNT] = c->have[CAP_PAGE_MAPCOUNT] = false;
    if (!flags)
        c->have[CAP_KPAGEFLAGS] = c->have[CAP_DEBT] = false;
}

static int open_reader(struct observer *o)
{
    bool wanted = o->caps.have[CAP_KPAGEFLAGS];
    int rc = reader_open(&o->reader, o->caps.via_helper);

    drop_caps(o, !o->reader.no_counts, !o->reader.no_flags);
    return wanted ? rc : 0;
}

static enum corrupt corruption(void)
{
    const char *reader = getenv("COWLAB_CORRUPT");

    if (!reader)
        return CORRUPT_NONE;
    return strcmp(reader, "pagemap") == 0      ? CORRUPT_PAGEMAP
           : strcmp(reader, "smaps") == 0      ? CORRUPT_SMAPS
           : strcmp(reader, "kpagecount") == 0 ? CORRUPT_KPAGECOUNT
                                               : CORRUPT_NONE;
}

int observer_new(struct observer **out, const struct caps *caps, const struct observer_options *opt,
                 struct err *e)
{
    static const struct observer_options defaults = {.whole_process = true};
    struct observer *o = calloc(1, sizeof *o);
    int rc;

    if (!o)
        return err_no_memory(e);
    o->caps = *caps;
    o->opt = opt ? *opt : defaults;
    o->page_size = caps->page_size;
    o->max_runs = o->opt.max_runs ? o->opt.max_runs : DEFAULT_MAX_RUNS;
    o->threads = o->opt.threads ? o->opt.threads : probe_threads();
    o->corrupt = corruption();
    o->reader.count_fd = o->reader.flags_fd = -1;
    o->words = malloc(WALK_PAGES * sizeof *o->words);
    o->ahead = malloc(WALK_PAGES * sizeof *o->ahead);
    o->cgroup = o->opt.cgroup ? strdup(o->opt.cgroup) : NULL;
    rc = !o->words || !o->ahead || (o->opt.cgroup && !o->cgroup) ? -ENOMEM : find_shmem_devs(o);
    if (rc == 0)
        rc = open_reader(o);
    if (rc < 0) {
        observer_free(o);
        return err_sys(e, rc, "cannot prepare to look at processes");
    }
    if (o->caps.have[CAP_FRAMES])
        find_zero_frame(o);
    *out = o;
    return 0;
}

void observer_free(struct observer *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->nwatched; i++)
        watched_free(o, o->watched[i]);
    for (size_t i = 0; i < o->nmemories; i++)
        memory_free(o, o->memories[i]);
    objects_end(o);
    frames_release(&o->frames);
    reader_close(&o->reader);
    slurp_release(&o->text);
    free(o->watched);
    free(o->memories);
    free(o->memory_places.at);
    free(o->numbers);
    free(o->number_places.at);
    free(o->mappers);
    free(o->mapper_places.at);
    free(o->shmem_devs);
    free(o->cgroup);
    free(o->words);
    free(o->ahead);
    free(o->lookups[0]);
    free(o->lookups[1]);
    free(o->scans);
    free(o);
}

static int by_start(const void *a, const void *b)
{
    const struct memory *x = *(struct memory *const *)a, *y = *(struct memory *const *)b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts the regions by address and finds those that overlap one before them. */
static int order_regions(struct observer *o, struct watched *w)
{
    uint64_t end = 0;

    w->shadows = false;
    if (!w->nmemories)
        return 0;
    memcpy(w->by_start, w->memories, w->nmemories * sizeof(*w->by_start));
    qsort(w->by_start, w->nmemories, sizeof(*w->by_start), by_start);
    for (size_t i = 0; i < w->nmemories; i++) {
        struct memory *m = w->by_start[i];
        bool shadow = m->start < end;

        if (shadow != m->shadow && memory_recount(o, m, shadow) < 0)
            return -ENOMEM;
        w->shadows |= shadow;
        if (!shadow)
            end = m->end;
    }
    return 0;
}

static void forget_loose(struct observer *o, struct watched *w)
{
    for (size_t i = 0; i < w->nloose; i++)
        frames_drop(&o->frames, w->loose[i]);
    w->nloose = 0;
}

static int begin_target(struct observer *o, const struct target *t, struct err *e)
{
    struct watched *w;
    int rc = watched_find(o, t, &w, e);

    if (rc < 0)
        return rc;
    w->seen = true;
    w->target = t;
    w->nmemories = 0;
    w->changed = false;
    forget_loose(o, w);
    if (LIST_ROOM(w->memories, w->memories_cap, t->nregions) < 0 ||
        LIST_ROOM(w->by_start, w->by_start_cap, t->nregions) < 0)
        return err_no_memory(e);
    for (size_t i = 0; i < t->nregions && rc == 0; i++) {
        rc = memory_begin(o, t->actor, &t->regions[i], &w->memories[i], e);
        w->nmemories += rc == 0;
    }
    if (rc < 0)
        return rc;
    return order_regions(o, w) < 0 ? err_no_memory(e) : watched_read(o, w, e);
}

/* Processes and regions that are not in this look are forgotten: their descriptors would keep a
 * dead address space's remains, and their pages count no more. */
static int forget_unseen(struct observer *o, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->nwatched; i++) {
        if (o->watched[i]->seen) {
            o->watched[kept++] = o->watched[i];
        } else {
            forget_loose(o, o->watched[i]);
            watched_free(o, o->watched[i]);
        }
    }
    o->nwatched = kept;
    return memories_forget(o) < 0 ? err_no_memory(e) : 0;
}

/* Are all processes kept on the same CPU? Then a batch of new pages is emptied before a page in it
 * is taken for one that others hold (mm/memory.c, wp_can_reuse_anon_folio: lru_add_drain). */
static bool on_one_cpu(const struct observer *o)
{
    cpu_set_t first, set;

    CPU_ZERO(&first);
    for (size_t i = 0; i < o->nwatched; i++) {
        CPU_ZERO(&set);
        if (sched_getaffinity(o->watched[i]->pid, sizeof set, &set) < 0 || CPU_COUNT(&set) != 1 ||
            (i && !CPU_EQUAL(&first, &set)))
            return false;
        first = set;
    }
    return true;
}

/* The helper is gone, and with it frames, map counts and flags, for the rest of the run. */
static void go_blind(struct observer *o)
{
    o->caps.have[CAP_FRAMES] = false;
    drop_caps(o, false, false);
    for (size_t i = 0; i < o->nwatched; i++)
        o->watched[i]->pagemap.frames = false;
}

static void rewind_walk(struct observer *o, struct watched *w)
{
    forget_loose(o, w);
    memset(w->entry_sums, 0, w->maps.n * sizeof *w->entry_sums);
    for (size_t i = 0; i < w->nmemories; i++)
        w->memories[i]->walked = 0;
}

/* All processes, once more if the helper ends meanwhile. */
static int walk_all(struct observer *o, struct err *e)
{
    for (size_t i = 0; i < o->nwatched; i++) {
        int rc = walk_process(o, o->watched[i], e);

        if (rc < 0 && o->caps.have[CAP_FRAMES] && reader_lost(&o->reader)) {
            go_blind(o);
            for (i = 0; i < o->nwatched; i++)
                rewind_walk(o, o->watched[i]);
            return walk_all(o, e);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int begin_look(struct observer *o, const struct target *targets, size_t n, struct err *e)
{
    int rc = 0;

    o->samples = o->samples_agreed = 0;
    if (o->caps.have[CAP_FRAMES] && reader_lost(&o->reader))
        go_blind(o);
    o->outsiders = o->descriptors_unseen = false;
    memset(o->cost, 0, sizeof o->cost);
    for (size_t i = 0; i < o->nwatched; i++)
        o->watched[i]->seen = false;
    for (size_t i = 0; i < o->nmemories; i++)
        o->memories[i]->seen = false;
    if (o->opt.everybody)
        rc = mappers_read(o, targets, n, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = begin_target(o, &targets[i], e);
    if (rc == 0)
        rc = forget_unseen(o, e);
    if (rc < 0)
        return rc;
    o->one_cpu = on_one_cpu(o);
    o->swap_in_view = false;
    for (size_t i = 0; i < o->nwatched; i++) {
        const struct watched *w = o->watched[i];

        o->swap_in_view |= value_is_known(w->now.swap_kb) && w->now.swap_kb.n;
        for (size_t k = 0; k < w->maps.n; k++)
            o->locked_in_view |= w->maps.entries[k].flags >> VMF_LOCKED & 1;
    }
    return 0;
}

/* Faults of this step: the actor's own report, else what the kernel counted since the last look. */
static struct value since(struct value now, struct value before)
{
    return value_is_known(before) ? value_sub(now, before) : value_na();
}

static int report_process(struct watched *w, struct observation *out, struct err *e)
{
    struct obs_process *p = observation_add_process(out, w->actor);
    const struct target *t = w->target;
    const struct footprint *f = &w->now;

    if (!p)
        return err_no_memory(e);
    p->pid = w->pid;
    p->acting = t->acting;
    p->q[PQ_RSS] = f->rss_kb;
    p->q[PQ_PSS] = f->pss_kb;
    p->q[PQ_USS] = f->uss_kb;
    p->q[PQ_PEAK] = f->peak_kb;
    p->q[PQ_PAGETABLE] = f->pagetable_kb;
    p->q[PQ_VIRTUAL] = f->virtual_kb;
    p->q[PQ_SWAP] = f->swap_kb;
    p->q[PQ_MINFLT_TOTAL] = f->minflt;
    p->q[PQ_MAJFLT_TOTAL] = f->majflt;
    p->q[PQ_MINFLT] =
        t->acting ? value_known((int64_t)t->minflt) : since(f->minflt, w->minflt_before);
    p->q[PQ_MAJFLT] =
        t->acting ? value_known((int64_t)t->majflt) : since(f->majflt, w->majflt_before);
    if (t->acting)
        p->q[PQ_DUR] = value_known((int64_t)t->dur_ns);
    if (t->acting && t->cpu_ns)
        p->q[PQ_CPU] = value_known((int64_t)t->cpu_ns);
    w->minflt_before = f->minflt;
    w->majflt_before = f->majflt;
    return 0;
}

#define COST_NAME(e, name) name,
static const char *const cost_names[] = {PROBE_COSTS(COST_NAME)};

/* The faults that looking caused are charged to the page walk: nothing else goes near pages. */
static int report_costs(struct observer *o, struct observation *out, struct err *e)
{
    struct value induced = value_known(0);

    for (size_t i = 0; i < o->nwatched; i++)
        if (o->watched[i]->seen)
            induced = value_add(induced, watched_induced(o, o->watched[i]));
    for (int i = 0; i < COST__COUNT; i++) {
        struct obs_cost *c;

        if (!o->cost[i].calls)
            continue;
        c = observation_add_cost(out, cost_names[i]);
        if (!c)
            return err_no_memory(e);
        c->dur_ns = o->cost[i].ns;
        c->calls = o->cost[i].calls;
        c->bytes = o->cost[i].bytes;
        if (i == COST_PAGEMAP)
            c->faults_induced = induced;
    }
    return 0;
}

static int look(struct observer *o, const struct target *targets, size_t ntargets,
                const struct target_message *messages, size_t nmessages, struct observation *out,
                struct err *e)
{
    int rc = begin_look(o, targets, ntargets, e);

    if (rc == 0)
        rc = objects_begin(o, messages, nmessages, e);
    if (rc == 0)
        rc = walk_all(o, e);
    for (size_t i = 0; i < o->nwatched && rc == 0; i++) {
        struct watched *w = o->watched[i];

        rc = report_process(w, out, e);
        for (size_t k = 0; k < w->nmemories && rc == 0; k++)
            rc = region_finish(o, w, w->memories[k], out, e);
        if (rc == 0)
            rc = checks_process(o, w, out, e);
    }
    if (rc == 0)
        rc = messages_report(o, messages, nmessages, out, e);
    if (rc == 0)
        rc = totals_fill(o, out, e);
    if (rc == 0)
        rc = checks_run(o, out, e);
    if (rc == 0)
        rc = report_costs(o, out, e);
    return rc;
}

int observer_look(struct observer *o, const struct target *targets, size_t ntargets,
                  const struct target_message *messages, size_t nmessages, struct observation *out,
                  struct err *e)
{
    int rc;

    out->t_ns = probe_clock();
    rc = look(o, targets, ntargets, messages, nmessages, out, e);
    objects_end(o);
    return rc;
}
