#include "probes/sampler.h"
#include "probes/list.h"
#include "probes/sample/sampling.h"
#include "probes/system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define QUANTITY_ROW(e, column, type) {#column, type},
const struct quantity watch_quantities[] = {WATCH_QUANTITIES(QUANTITY_ROW){NULL, 0}};

static const char *const cost_names[SC__COUNT] = {
    "stat",       "status",     "smaps",  "pagemap", "pagemap_scan",
    "kpagecount", "kpageflags", "object", "join",    "meminfo"};

/* -- one process ------------------------------------------------------------------------ */

static void close_memory(struct sampler *s, struct sampled *w)
{
    fd_close(&w->smaps_fd);
    reader_detach(&s->reader, &w->pagemap);
}

static void sampled_free(struct sampler *s, struct sampled *w)
{
    close_memory(s, w);
    fd_close(&w->stat_fd);
    fd_close(&w->status_fd);
    maps_release(&w->maps);
    threads_release(&w->threads);
    page_table_release(&w->now);
    page_table_release(&w->before);
    frame_set_release(&w->set);
    slurp_release(&w->text);
    free(w->zero);
    free(w->views.list);
    free(w->views_before.list);
    free(w->regions);
    free(w);
}

/* The files that belong to the address space that the process has now. */
static int open_memory(struct sampler *s, struct sampled *w)
{
    int rc = 0;

    close_memory(s, w);
    w->smaps_fd = proc_open(w->pid, "smaps");
    if (s->frames || s->caps.have[CAP_PAGEMAP_SCAN])
        rc = reader_attach(&s->reader, w->pid, s->frames, &w->pagemap);
    if (is_exhausted(rc)) /* once more, when it is read */
        close_memory(s, w);
    return is_exhausted(rc) ? rc : w->smaps_fd < 0 ? w->smaps_fd : 0;
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ULL; /* FNV-1a */
    return h;
}

/* A number for what a process executes now. The kernel makes the auxiliary vector anew at each
 * exec, with other addresses in it, of the same program too; a fork hands it on as it is. Where it
 * may not be read the program's file is all that tells. 0: nothing is known. */
static uint64_t program_of(pid_t pid, struct slurp *text)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    struct stat st = {0};
    char path[64];
    int rc;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    if (stat(path, &st) < 0)
        return 0;
    h = mix(mix(h, &st.st_dev, sizeof st.st_dev), &st.st_ino, sizeof st.st_ino);
    snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
    rc = slurp_path(text, path);
    if (is_exhausted(rc))
        return 0;
    if (rc == 0)
        h = mix(h, text->text, text->len);
    return h ? h : 1;
}

/* Another program than before: the open files belong to an address space that is gone. */
static void note_program(struct sampler *s, struct sampled *w)
{
    uint64_t program = program_of(w->pid, &w->text);

    if (!program || program == w->program)
        return;
    w->exec |= w->program != 0;
    w->program = program;
    proc_exe(w->pid, w->exe, sizeof w->exe);
    if (w->exec)
        open_memory(s, w);
}

/* Between vfork and exec a child has no memory of its own: what it maps is its parent's, which
 * would be counted twice, and files opened now would show the parent's for as long as they are
 * open. */
static bool borrows_memory(const struct sampled *w)
{
    return w->parent && w->parent->pid &&
           syscall(SYS_kcmp, w->pid, w->parent->pid, KCMP_VM, 0, 0) == 0;
}

static int read_maps(struct sampler *s, struct sampled *w)
{
    struct err ignored;
    int rc = w->smaps_fd < 0 ? open_memory(s, w) : 0;

    if (rc < 0)
        return rc;
    rc = maps_read_fd(&w->maps, w->smaps_fd, &w->cost[SC_SMAPS], &ignored);
    /* Empty: a zombie, or a kernel thread. */
    return rc == 0 && !w->maps.n ? -ESRCH : rc;
}

/* Is the address space that the open files belong to still there? Once it is not, they read as
 * empty from there on, without an error: as if every mapping and page had been given back. */
static bool has_memory(const struct sampled *w)
{
    char byte;

    return pread(w->smaps_fd, &byte, 1, 0) == 1;
}

static int read_once(struct sampler *s, struct sampled *w, uint64_t *words, int threads)
{
    int rc = read_maps(s, w);
    uint64_t program;

    if (rc == 0 && w->pagemap.frames && (rc = pages_read(s, w, words, threads)) < 0 &&
        !is_exhausted(rc)) {
        /* The counters are there all the same. */
        page_table_release(&w->now);
        w->pagemap.frames = false;
        rc = 0;
    }
    if (rc == 0 && !w->pagemap.frames)
        rc = zeros_read(s, w);
    if (rc < 0)
        return rc;
    /* Or has it executed a program while it was read? */
    program = w->program ? program_of(w->pid, &w->text) : 0;
    return !has_memory(w) || (program && program != w->program) ? -ESRCH : 0;
}

static void forget_memory(struct sampler *s, struct sampled *w)
{
    close_memory(s, w);
    page_table_release(&w->now);
    w->maps.n = 0;
}

/* Where addresses are not random, the same program executed anew looks the same; that its memory is
 * another one shows all the same. */
static void note_exec(struct sampler *s, struct sampled *w)
{
    if (w->exec)
        return;
    w->exec = true;
    w->again = (uint64_t)s->number << 32 | (uint32_t)w->pid;
}

/* The memory of one process, whole. If it went meanwhile the process may have exec'd: once more. */
static int read_memory(struct sampler *s, struct sampled *w, uint64_t *words, int threads)
{
    bool went = false;
    int rc = -ESRCH;

    if (w->fresh && w->parent)
        w->again = w->parent->again; /* from before the fork, for all that is known */
    for (int again = 0; again < 2 && rc < 0 && !is_exhausted(rc); again++) {
        note_program(s, w);
        rc = read_once(s, w, words, threads);
        went |= rc == -ESRCH && w->smaps_fd >= 0;
        if (rc < 0)
            forget_memory(s, w);
    }
    if (rc == 0 && went)
        note_exec(s, w);
    return rc;
}

static enum why why_of(int rc)
{
    return rc == -EACCES || rc == -EPERM   ? WHY_PERMISSION
           : rc == -ESRCH || rc == -ENOENT ? WHY_GONE
                                           : WHY_READ_FAILED;
}

static enum why read_counters(struct sampled *w)
{
    if (w->stat_fd < 0)
        w->stat_fd = proc_open(w->pid, "stat");
    if (w->status_fd < 0)
        w->status_fd = proc_open(w->pid, "status");
    w->failed = is_exhausted(w->stat_fd)     ? w->stat_fd
                : is_exhausted(w->status_fd) ? w->status_fd
                                             : 0;
    if (w->stat_fd < 0 || w->status_fd < 0 ||
        slurp_counted(&w->text, w->stat_fd, &w->cost[SC_STAT]) < 0 ||
        footprint_from_stat(&w->fp, &w->text) < 0)
        return WHY_GONE;
    if ((w->start_time && w->start_time != w->fp.start_time) || w->fp.state == 'Z' ||
        w->fp.state == 'X')
        return WHY_GONE;
    w->start_time = w->fp.start_time;
    return WHY_KNOWN;
}

static void unknown_footprint(struct sampled *w, enum why why)
{
    w->fp.rss_kb = w->fp.pss_kb = w->fp.uss_kb = w->fp.swap_kb = w->fp.anon_huge_kb =
        value_unknown(why);
}

static void turn_views(struct sampled *w)
{
    struct views views = w->views_before;

    w->views_before = w->views;
    w->views = views;
    w->views.n = 0;
}

/* All of one process. Runs in any thread; its parent has been read. */
static void read_process(struct sampler *s, struct sampled *w, uint64_t *words, int threads)
{
    int rc;

    footprint_init(&w->fp, WHY_READ_FAILED);
    w->exec = false;
    w->why = read_counters(w);
    if (w->why == WHY_KNOWN && borrows_memory(w))
        w->why = WHY_BORROWED_MEMORY;
    page_table_release(&w->before);
    w->before = w->now;
    w->now = (struct page_table){0};
    turn_views(w);
    w->maps.n = 0;
    if (w->why == WHY_BORROWED_MEMORY)
        unknown_footprint(w, w->why);
    if (w->why != WHY_KNOWN)
        return;
    rc = read_memory(s, w, words, threads);
    w->failed = is_exhausted(rc) ? rc : 0;
    if (rc < 0) {
        w->why = why_of(rc);
        unknown_footprint(w, w->why);
    } else {
        footprint_from_maps(&w->fp, &w->maps);
        threads_read(&w->threads, w->pid, w->fp.threads, &w->cost[SC_STATUS]);
        w->failed = w->threads.failed;
    }
    if (slurp_counted(&w->text, w->status_fd, &w->cost[SC_STATUS]) == 0)
        footprint_from_status(&w->fp, &w->text);
    w->parent_unwatched =
        !w->parent && w->program && program_of(w->fp.ppid, &w->text) == w->program;
    w->own_program = !w->parent ? 0
                     : !w->program || !w->parent->program
                         ? -1
                         : (w->parent->program != w->program || w->parent->again != w->again);
    w->had_parent = w->parent ? w->own_program != 1 : w->had_parent && !w->exec;
}

/* -- all processes ---------------------------------------------------------------------- */

struct pool {
    struct sampler *s;
    struct sampled **list;
    size_t n;
    atomic_size_t next;
    int threads; /* of one process's pagemap */
};

static void *pool_work(void *arg)
{
    struct pool *p = arg;
    uint64_t *words = malloc(READ_CHUNKS * CHUNK_PAGES * sizeof *words);
    size_t i;

    while ((i = atomic_fetch_add(&p->next, 1)) < p->n) {
        if (words)
            read_process(p->s, p->list[i], words, p->threads);
        else
            p->list[i]->failed = -ENOMEM;
    }
    free(words);
    return NULL;
}

/* Processes whose parents have all been read: one generation after the other. */
static void read_generation(struct sampler *s, struct sampled **list, size_t n)
{
    struct pool p = {.s = s, .list = list, .n = n, .threads = n == 1 ? s->threads : 1};
    pthread_t second;
    bool two = s->threads > 1 && n > 1 && pthread_create(&second, NULL, pool_work, &p) == 0;

    pool_work(&p);
    if (two)
        pthread_join(second, NULL);
}

static int read_all(struct sampler *s, const struct sample_target *targets, size_t n)
{
    struct sampled **list = malloc(n * sizeof(*list) + 1);
    int *depth = malloc(n * sizeof *depth + 1);
    size_t done = 0;

    for (size_t i = 0; list && depth && i < n; i++) {
        depth[i] = targets[i].parent >= 0 ? depth[targets[i].parent] + 1 : 0;
        s->now[i]->parent = targets[i].parent >= 0 ? s->now[targets[i].parent] : NULL;
    }
    for (int level = 0; list && depth && done < n; level++) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
            if (depth[i] == level)
                list[count++] = s->now[i];
        read_generation(s, list, count);
        done += count;
    }
    free(list);
    free(depth);
    for (size_t i = 0; i < n; i++)
        if (s->now[i]->failed)
            return s->now[i]->failed;
    return done == n ? 0 : -ENOMEM;
}

/* A process whose memory went after it was read: its frames are others' by now, and what the
 * kernel said of them is not about it. Returns how many such there were. */
static size_t drop_ended(struct sampler *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->sample.n; i++) {
        struct sampled *w = s->now[i];

        if (w->why == WHY_KNOWN && !has_memory(w)) {
            forget_memory(s, w);
            w->why = WHY_GONE;
            unknown_footprint(w, w->why);
            n++;
        }
        /* Parents stand first. Nothing is in common with one that is gone. */
        if (w->parent && w->parent->why == WHY_GONE)
            w->parent = NULL;
    }
    return n;
}

static int join_living(struct sampler *s)
{
    int rc;

    drop_ended(s);
    do
        rc = s->frames && s->sample.n ? sums_join(s) : 0;
    while (rc == 0 && drop_ended(s));
    return rc;
}

static struct sampled *find_sampled(struct sampler *s, const struct sample_target *t)
{
    struct sampled **added, *w;

    for (size_t i = 0; i < s->nknown; i++) {
        w = s->known[i];
        if (w->pid == t->pid &&
            (!t->start_time || !w->start_time || t->start_time == w->start_time))
            return w;
    }
    w = calloc(1, sizeof *w);
    if (!w || !(added = LIST_ADD(s->known, s->nknown))) {
        free(w);
        return NULL;
    }
    w->pid = t->pid;
    w->start_time = t->start_time;
    w->stat_fd = w->status_fd = w->smaps_fd = -1;
    w->pagemap = READER_NONE;
    w->fresh = true;
    return *added = w;
}

static void forget_absent(struct sampler *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->nknown; i++) {
        if (s->known[i]->seen == s->number)
            s->known[kept++] = s->known[i];
        else
            sampled_free(s, s->known[i]);
    }
    s->nknown = kept;
}

static void sum_costs(struct sampler *s)
{
    s->sample.ncosts = 0;
    for (int c = 0; c < SC__COUNT; c++) {
        struct obs_cost *out = &s->costs[s->sample.ncosts];

        *out = (struct obs_cost){.probe = cost_names[c], .faults_induced = value_na()};
        for (size_t i = 0; i < s->sample.n; i++) {
            out->dur_ns += s->now[i]->cost[c].ns;
            out->calls += s->now[i]->cost[c].calls;
            out->bytes += s->now[i]->cost[c].bytes;
        }
        s->asked[c] |= out->dur_ns > 0; /* once asked, it has a row in each sample */
        s->sample.ncosts += s->asked[c];
    }
}

static int fill_processes(struct sampler *s)
{
    s->swap_in_view = false;
    for (size_t i = 0; i < s->sample.n; i++)
        s->swap_in_view |= value_is_known(s->now[i]->fp.swap_kb) && s->now[i]->fp.swap_kb.n;
    for (size_t i = 0; i < s->sample.n; i++) {
        struct sampled *w = s->now[i];
        struct sample_process *p = &s->processes[i];

        *p = (struct sample_process){.pid = w->pid,
                                     .why = w->why,
                                     .exec = w->exec,
                                     .own_program = w->own_program,
                                     .fp = w->fp};
        for (int k = 0; k < WQ__COUNT; k++)
            p->q[k] = value_unknown(w->why);
        if (w->why == WHY_KNOWN && sums_process(s, w, p) < 0)
            return -ENOMEM;
        w->fresh &= w->why == WHY_BORROWED_MEMORY;
    }
    return 0;
}

static void say_off(struct value *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].why == WHY_NO_FRAMES)
            list[i].why = WHY_FRAMES_OFF;
}

/* The rules say what the machine does not show: here it would have. */
static void say_frames_off(struct sampler *s)
{
    for (size_t i = 0; i < s->sample.n; i++) {
        struct sample_process *p = &s->processes[i];

        say_off(p->q, WQ__COUNT);
        for (size_t k = 0; k < p->nregions; k++) {
            say_off(p->regions[k].q, RQ__COUNT);
            say_off(&p->regions[k].parent_pages, 1);
            say_off(&p->regions[k].copied, 1);
            say_off(&p->regions[k].lost, 1);
            say_off(&p->regions[k].lost_before, 1);
        }
    }
    say_off(s->sample.totals, TQ__COUNT);
    say_off(&s->sample.growth_kb, 1);
}

static int take(struct sampler *s, const struct sample_target *targets, size_t n)
{
    struct probe_cost meminfo = {0};
    int rc;

    s->sample = (struct sample){.t_ns = probe_clock(), .processes = s->processes, .n = n};
    s->number++;
    s->failed = 0;
    objects_turn(s);
    for (size_t i = 0; i < n; i++) {
        s->now[i] = find_sampled(s, &targets[i]);
        if (!s->now[i])
            return -ENOMEM;
        s->now[i]->seen = s->number;
        memset(s->now[i]->cost, 0, sizeof s->now[i]->cost);
    }
    forget_absent(s);
    rc = read_all(s, targets, n);
    for (int k = 0; k < TQ__COUNT; k++)
        s->sample.totals[k] = value_na();
    system_read_meminfo(s->sample.totals, &s->text, &meminfo);
    s->distinct_file = 0;
    if (!n)
        s->nmet = 0; /* nobody maps a frame */
    if (rc == 0)
        rc = join_living(s);
    if (rc == 0)
        rc = users_find(s);
    if (rc == 0)
        rc = fill_processes(s);
    if (rc == 0)
        rc = s->failed ? s->failed : s->segments.failed;
    objects_close(s);
    segments_turn(&s->segments);
    if (rc == 0) {
        users_conclude(s);
        sums_totals(s);
        if (s->frames_off)
            say_frames_off(s);
    }
    if (n)
        s->now[0]->cost[SC_MEMINFO] = meminfo;
    s->sample.dur_ns = probe_clock() - s->sample.t_ns;
    s->sample.costs = s->costs;
    sum_costs(s);
    return rc;
}

int sampler_take(struct sampler *s, const struct sample_target *targets, size_t n,
                 const struct sample **out, struct err *e)
{
    int rc = LIST_ROOM(s->now, s->now_cap, n);

    if (rc == 0)
        rc = LIST_ROOM(s->processes, s->processes_cap, n);
    if (rc == 0)
        rc = take(s, targets, n);
    if (rc < 0)
        return err_sys(e, rc, "cannot take a sample of %zu process%s", n, n == 1 ? "" : "es");
    *out = &s->sample;
    return 0;
}

/* -- asked afterwards ------------------------------------------------------------------- */

/* The slots of all its frames; made once per sample. */
static const struct frame_set *frames_of(struct sampler *s, struct sampled *w)
{
    if (w->set_in == s->number)
        return &w->set;
    frame_set_clear(&w->set);
    if (frame_set_reserve(&w->set, s->join.n) < 0)
        return NULL;
    for (size_t c = 0; c < w->now.n; c++)
        for (size_t p = 0; p < CHUNK_PAGES; p++) {
            uint32_t slot = w->now.rows[c].chunk->slots[p];

            if (slot && (s->slots[slot].info & INFO_STATE) != PS_ZERO)
                frame_set_add(&w->set, slot);
        }
    w->set_in = s->number;
    return &w->set;
}

struct value sampler_common(struct sampler *s, size_t i, size_t j)
{
    const struct frame_set *a, *b;

    if (!s->now[i]->pagemap.frames || !s->now[j]->pagemap.frames)
        return value_unknown(s->frames_off ? WHY_FRAMES_OFF : WHY_NO_FRAMES);
    a = frames_of(s, s->now[i]);
    b = frames_of(s, s->now[j]);
    return a && b ? value_known((int64_t)frame_set_common(a, b)) : value_unknown(WHY_READ_FAILED);
}

int sampler_bins(struct sampler *s, size_t process, const struct sample_region *r, uint8_t *bins,
                 size_t n)
{
    const struct sampled *w = s->now[process];
    uint64_t bytes = CHUNK_PAGES * s->page_size,
             pages = (r->map->end - r->map->start) / s->page_size;
    uint64_t *sums;

    if (!w->pagemap.frames || !w->parent || !w->parent->pagemap.frames || !pages)
        return -ENODATA;
    sums = calloc(n, sizeof *sums);
    if (!sums)
        return -ENODATA;
    for (uint64_t index = r->map->start / bytes; index <= (r->map->end - 1) / bytes; index++) {
        const struct page_chunk *c = page_table_find(&w->now, index);
        const struct page_chunk *theirs = c ? page_table_find(&w->parent->now, index) : NULL;

        for (uint64_t p = 0; theirs && p < CHUNK_PAGES; p++) {
            uint64_t addr = index * bytes + p * s->page_size;

            if (addr >= r->map->start && addr < r->map->end && c->slots[p] &&
                c->slots[p] == theirs->slots[p] &&
                (s->slots[c->slots[p]].info & INFO_STATE) != PS_ZERO)
                sums[(addr - r->map->start) / s->page_size * n / pages]++;
        }
    }
    for (size_t k = 0; k < n; k++) {
        uint64_t room = (k + 1) * pages / n - k * pages / n;

        bins[k] = room ? (uint8_t)(sums[k] >= room ? 255 : sums[k] * 255 / room) : 0;
    }
    free(sums);
    return 0;
}

/* -- life ------------------------------------------------------------------------------- */

int sampler_new(struct sampler **out, const struct caps *caps, const struct sampler_options *opt,
                struct err *e)
{
    struct sampler *s;
    int rc = caps_tried(caps, e);

    if (rc < 0)
        return rc;
    s = calloc(1, sizeof *s);
    if (!s)
        return err_no_memory(e);
    s->caps = *caps;
    s->page_size = caps->page_size;
    s->threads = probe_threads();
    s->reader = (struct page_reader){.count_fd = -1, .flags_fd = -1};
    s->epoch = 1;
    s->frames = caps->have[CAP_FRAMES] && caps->have[CAP_KPAGECOUNT] && caps->have[CAP_KPAGEFLAGS];
    s->frames_off = s->frames && opt && opt->no_frames;
    s->frames &= !s->frames_off;
    /* Without both, states of frames cannot be told: counters serve better. */
    if (s->frames) {
        rc = reader_open(&s->reader, caps->via_helper);
        s->frames = !s->reader.no_counts && !s->reader.no_flags;
    }
    if (rc < 0) {
        sampler_free(s);
        return err_sys(e, rc, "cannot open '/proc/kpagecount' and '/proc/kpageflags'");
    }
    *out = s;
    return 0;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->nknown; i++)
        sampled_free(s, s->known[i]);
    free(s->known);
    free(s->now);
    free(s->processes);
    objects_forget(s);
    free(s->users);
    free(s->user_places.at);
    frames_release(&s->join);
    free(s->met);
    free(s->slots);
    segments_release(&s->segments);
    slurp_release(&s->text);
    reader_close(&s->reader);
    free(s);
}
