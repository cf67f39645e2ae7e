/* A snapshot: a copy of a region as it is at one moment, by one of several ways, is taken and read
 * out completely, while a thread goes on writing the region (writer.h). What the copy shows of each
 * page is kept, and compared with the order of the writes at the end (moment.h).
 *
 *     prepare -> the writer alone, for a time -> take -> read -> the writer goes on, and ends
 *
 * All memory that this takes is mapped for the step alone; what the child of a fork fills in is
 * shared. */
#include "lab/linux/actor/writer.h"
#include "lab/linux/moment.h"
#include "probes/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY /* Linux 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif

#define HALF_TIME_WRITES 64 /* way running: so many come between its halves */
#define HALF_TIME_NS 1000000000u
#define BATCH 64 /* way userfaultfd: pages that are let go at once */
#define NAP_NS 200000
#define END_NS 5000000000u /* for the writer to end, whatever happened */

/* What is filled in while the copy is read, by a child too. */
struct read_out {
    uint64_t ended, written; /* when all was read, and the newest write then */
    uint64_t sum;            /* of all that was read: so that it is read */
    uint32_t done;
    uint64_t seen[]; /* page by page, numbers behind writer.base; behind them bits for moment.c */
};

struct taking {
    struct actor *a;
    struct writer *w;
    struct read_out *out;
    size_t out_len;
    uint64_t pages, page_size, until;
    char *region, *copy; /* copy: NULL, or as large as the region */
    pid_t child;
    int uffd;
    uint32_t *aside; /* userfaultfd: by page; where in copy it was put, from 1 */
    uint32_t naside;
    uint64_t next; /* ... pages before it were read */
};

/* --- what all ways use --- */

static void *map_room(struct taking *t, size_t len, int flags)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

    if (p != MAP_FAILED)
        return p;
    actor_fail(t->a, errno, "no memory for the snapshot");
    return NULL;
}

/* Fresh memory, as a program would have it: its faults are a part of copying. */
static int map_copy(struct taking *t)
{
    t->copy = map_room(t, t->pages * t->page_size, MAP_PRIVATE | MAP_NORESERVE);
    return t->copy ? 0 : -1;
}

static uint64_t number_in(const char *page)
{
    return __atomic_load_n((const uint64_t *)(const void *)(page + WRITER_SLOT), __ATOMIC_ACQUIRE);
}

static void read_page(struct taking *t, uint64_t page, const char *at)
{
    const uint64_t *word = (const uint64_t *)(const void *)at;
    uint64_t number = number_in(at), sum = 0;

    for (size_t i = 0; i < t->page_size / sizeof *word; i++)
        sum += word[i];
    t->out->sum += sum;
    t->out->seen[page] = number > t->w->base ? number - t->w->base : 0;
}

static void read_done(struct taking *t)
{
    t->out->ended = probe_clock();
    t->out->written = writer_written(t->w);
    t->out->done = 1;
}

static int read_from(struct taking *t, const char *at)
{
    for (uint64_t page = 0; page < t->pages; page++)
        read_page(t, page, at + page * t->page_size);
    read_done(t);
    return 0;
}

static int read_copy(struct taking *t)
{
    return read_from(t, t->copy);
}

static void copy_pages(struct taking *t, uint64_t from, uint64_t to)
{
    memcpy(t->copy + from * t->page_size, t->region + from * t->page_size,
           (to - from) * t->page_size);
    t->a->out.snapshot.copied += to - from;
}

/* --- plain, running --- */

static int take_plain(struct taking *t)
{
    if (writer_park(t->a, t->w, t->until) < 0)
        return -1;
    copy_pages(t, 0, t->pages);
    writer_go(t->w);
    return 0;
}

static int take_running(struct taking *t)
{
    uint64_t most = probe_clock() + HALF_TIME_NS;

    copy_pages(t, 0, t->pages / 2);
    writer_await_writes(t->w, HALF_TIME_WRITES, most < t->until ? most : t->until);
    copy_pages(t, t->pages / 2, t->pages);
    return 0;
}

/* --- fork --- */

static int take_fork(struct taking *t)
{
    t->child = fork();
    if (t->child < 0)
        return actor_fail(t->a, errno, "cannot fork");
    if (t->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* with an actor that is killed */
        read_from(t, t->region);
        _exit(0);
    }
    return 0;
}

static int read_fork(struct taking *t)
{
    const struct timespec nap = {0, NAP_NS};
    pid_t pid;

    while ((pid = waitpid(t->child, NULL, WNOHANG)) == 0) {
        if (probe_clock() >= t->until)
            return actor_fail(t->a, ETIMEDOUT, "the child did not read its copy in time");
        nanosleep(&nap, NULL);
    }
    if (pid == t->child)
        t->child = 0;
    return t->out->done ? 0 : actor_fail(t->a, ECHILD, "the child ended before it had read all");
}

static void release_fork(struct taking *t)
{
    if (t->child <= 0)
        return;
    kill(t->child, SIGKILL);
    waitpid(t->child, NULL, 0);
}

/* --- userfaultfd --- */

static int protect(struct taking *t, uint64_t page, uint64_t pages, int on)
{
    struct uffdio_writeprotect w = {
        {(uintptr_t)t->region + page * t->page_size, pages * t->page_size},
        on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};

    return ioctl(t->uffd, UFFDIO_WRITEPROTECT, &w) < 0
               ? actor_fail(t->a, errno, "cannot change the write protection")
               : 0;
}

static int prepare_userfaultfd(struct taking *t)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    struct uffdio_register all = {
        {(uintptr_t)t->region, t->pages * t->page_size}, UFFDIO_REGISTER_MODE_WP, 0};

    if (map_copy(t) < 0)
        return -1;
    t->aside = map_room(t, t->pages * sizeof *t->aside, MAP_PRIVATE);
    if (!t->aside)
        return -1;
    t->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (t->uffd < 0 || ioctl(t->uffd, UFFDIO_API, &api) < 0 ||
        ioctl(t->uffd, UFFDIO_REGISTER, &all) < 0)
        return actor_fail(t->a, errno, "userfaultfd cannot write-protect the region");
    return 0;
}

static int take_userfaultfd(struct taking *t)
{
    return protect(t, 0, t->pages, 1);
}

/* A page that is to be written: put aside, unless it was read, before the write may go on. */
static int let_write(struct taking *t, uint64_t page)
{
    if (page >= t->next && !t->aside[page]) {
        memcpy(t->copy + t->naside * t->page_size, t->region + page * t->page_size, t->page_size);
        t->aside[page] = ++t->naside;
        t->a->out.snapshot.copied++;
    }
    return protect(t, page, 1, 0);
}

static int serve_writes(struct taking *t)
{
    struct uffd_msg m;
    int rc = 0;

    while (rc == 0 && read(t->uffd, &m, sizeof m) == (ssize_t)sizeof m)
        if (m.event == UFFD_EVENT_PAGEFAULT)
            rc = let_write(t, (m.arg.pagefault.address - (uintptr_t)t->region) / t->page_size);
    return rc;
}

static void release_userfaultfd(struct taking *t)
{
    struct uffdio_range all = {(uintptr_t)t->region, t->pages * t->page_size};

    if (t->uffd >= 0) {
        ioctl(t->uffd, UFFDIO_UNREGISTER, &all); /* who waits goes on */
        close(t->uffd);
    }
    t->uffd = -1;
    if (t->aside)
        munmap(t->aside, t->pages * sizeof *t->aside);
    t->aside = NULL;
}

static int read_userfaultfd(struct taking *t)
{
    int rc = 0;

    while (rc == 0 && t->next < t->pages) {
        uint64_t page = t->next, behind;

        rc = serve_writes(t);
        read_page(t, page,
                  t->aside[page] ? t->copy + (t->aside[page] - 1) * t->page_size
                                 : t->region + page * t->page_size);
        behind = ++t->next % BATCH;
        if (rc == 0 && (behind == 0 || t->next == t->pages))
            rc = protect(t, t->next - (behind ? behind : BATCH), behind ? behind : BATCH, 0);
        if (rc == 0 && probe_clock() >= t->until)
            rc = actor_fail(t->a, ETIMEDOUT, "the region was not read in time");
    }
    read_done(t);
    release_userfaultfd(t);
    return rc;
}

/* --- out of line --- */

static int prepare_message(struct taking *t)
{
    return actor_mach_copy_begin(t->a);
}

static int take_message(struct taking *t)
{
    return actor_mach_copy(t->a, &t->copy);
}

static void release_message(struct taking *t)
{
    actor_mach_copy_end(t->copy, t->pages * t->page_size);
    t->copy = NULL;
}

/* --- one step --- */

static const struct {
    int (*prepare)(struct taking *t);
    int (*take)(struct taking *t);
    int (*read)(struct taking *t);
    void (*release)(struct taking *t);
} ways[] = {
    [SNAP_PLAIN] = {map_copy, take_plain, read_copy, NULL},
    [SNAP_FORK] = {NULL, take_fork, read_fork, release_fork},
    [SNAP_USERFAULTFD] = {prepare_userfaultfd, take_userfaultfd, read_userfaultfd,
                          release_userfaultfd},
    [SNAP_OOL_VIRTUAL] = {prepare_message, take_message, read_copy, release_message},
    [SNAP_RUNNING] = {map_copy, take_running, read_copy, NULL},
};

/* What the pages have, before any of it is measured: the numbers go on from there. */
static uint64_t largest_number(const struct taking *t)
{
    uint64_t most = 0;

    for (uint64_t page = 0; page < t->pages; page++) {
        uint64_t n = number_in(t->region + page * t->page_size);

        most = n > most ? n : most;
    }
    return most;
}

static int prepare(struct taking *t, struct actor_times *times)
{
    struct actor *a = t->a;

    t->out_len = sizeof *t->out + t->pages * sizeof *t->out->seen + (t->pages + 7) / 8;
    t->out = map_room(t, t->out_len, MAP_SHARED | MAP_POPULATE);
    t->w = t->out ? writer_new(a) : NULL;
    a->out.snapshot.notes += t->out_len + sizeof *times;
    if (!t->w)
        return -1;
    t->w->region = t->region;
    t->w->pages = t->pages;
    t->w->page_size = t->page_size;
    t->w->rate = a->in.rate;
    t->w->seed = a->in.seed;
    t->w->base = largest_number(t);
    t->w->times = times;
    return ways[a->in.way].prepare ? ways[a->in.way].prepare(t) : 0;
}

static int take_and_read(struct taking *t)
{
    struct actor_snapshot *s = &t->a->out.snapshot;
    struct timespec lead = {t->a->in.lead_ms / 1000, t->a->in.lead_ms % 1000 * 1000000};
    uint64_t began;
    int rc;

    nanosleep(&lead, NULL);
    cost_begin(t->a);
    began = probe_clock();
    writer_enter(t->w, WRITER_TAKING);
    rc = ways[t->a->in.way].take(t);
    s->take_ns = probe_clock() - began;
    writer_enter(t->w, WRITER_READING);
    if (rc == 0)
        rc = ways[t->a->in.way].read(t);
    cost_end(t->a);
    s->readout_ns = t->out->ended - began;
    return rc < 0 ? rc : writer_await_resumed(t->a, t->w, t->until);
}

static void judge(struct taking *t)
{
    struct actor_snapshot *s = &t->a->out.snapshot;
    uint8_t *mark = (uint8_t *)&t->out->seen[t->pages];
    uint64_t seed = t->w->seed;
    struct moment m = moment_of(t->out->seen, t->pages, seed, writer_written(t->w), mark);
    int shared = t->a->in.way == SNAP_FORK || strcmp(s->how, "shared") == 0;

    s->torn = m.torn;
    s->still_ns = t->w->still_ns;
    if (shared) {
        s->copied = moment_pages_written(t->pages, seed, m.last, t->out->written, mark);
        s->concluded = 1;
    } else if (t->a->in.way == SNAP_OOL_VIRTUAL) {
        s->copied = t->pages;
    }
}

static void release(struct taking *t)
{
    if (ways[t->a->in.way].release)
        ways[t->a->in.way].release(t);
    if (t->copy)
        munmap(t->copy, t->pages * t->page_size);
    if (t->w)
        writer_free(t->w);
    if (t->out)
        munmap(t->out, t->out_len);
}

/* A writer that does not end keeps its memory: the run ends with that error. */
static int snapshot(struct taking *t, struct actor_times *times)
{
    int rc = prepare(t, times), started = 0;

    if (rc == 0)
        rc = writer_start(t->a, t->w, t->a->in.cpu);
    started = rc == 0;
    if (rc == 0)
        rc = take_and_read(t);
    if (t->uffd >= 0)
        release_userfaultfd(t); /* the writer may wait for it */
    if (started && writer_stop(t->a, t->w, probe_clock() + END_NS) < 0)
        return -1;
    if (rc == 0)
        judge(t);
    release(t);
    return rc;
}

int actor_ACT_SNAPSHOT(struct actor *a)
{
    struct taking t = {.a = a, .uffd = -1, .region = (char *)(uintptr_t)a->in.start};
    struct actor_times *times;
    int fd, rc;

    t.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    t.pages = a->in.len / t.page_size;
    t.until = probe_clock() + (uint64_t)a->in.timeout_ms * 1000000;
    times = times_begin(a, &fd);
    if (!times)
        return -1;
    rc = snapshot(&t, times);
    times_end(a, times, fd, rc);
    return rc;
}
