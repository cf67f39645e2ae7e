#include "probes/kernel/pagemap.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Below this many entries a second thread costs more than it saves (a thread: some 20 us). */
#define THREAD_ENTRIES (32 * 1024)
/* Frames this close are read as one range: 60 ns per entry read in vain against 230 per call. */
#define FRAME_GAP 4
/* Longest range of one read of a kpage file, in entries. */
#define FRAME_RANGE 4096

struct pm_scan_arg_v1 {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct pm_scan_arg_v1)
#define SCAN_VECTOR 256

/* pread(2) is a place where a thread can be cancelled, which costs as much as the smallest reads
 * here; nobody is cancelled. */
static ssize_t read_at(int fd, void *to, size_t n, off_t at)
{
    return sizeof(long) == 8 ? syscall(SYS_pread64, fd, to, n, at) : pread(fd, to, n, at);
}

/* One part of a read that may be split over threads. */
struct part {
    int fd;
    uint64_t first, n; /* pagemap: entry index; kpage: index into frames */
    const uint64_t *frames;
    uint64_t *out;
    int64_t result;
    uint64_t calls, bytes;
};

static void *read_entries(void *arg)
{
    struct part *p = arg;
    uint64_t done = 0;
    ssize_t n;

    while (done < p->n) {
        n = read_at(p->fd, p->out + done, (p->n - done) * 8, (off_t)((p->first + done) * 8));
        p->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            p->result = -errno;
            return NULL;
        }
        if (n < 8)
            break;
        done += (uint64_t)n / 8;
        p->bytes += (uint64_t)n;
    }
    p->result = (int64_t)done;
    return NULL;
}

/* Runs work on both halves, the second in a thread of its own; falls back to one after the other
 * where no thread can be had. */
static void run_split(void *(*work)(void *), struct part halves[2])
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, work, &halves[1]);

    work(&halves[0]);
    if (rc == 0)
        pthread_join(thread, NULL);
    else
        work(&halves[1]);
}

static void add_cost(struct probe_cost *cost, uint64_t began, const struct part *p, int parts)
{
    if (!cost)
        return;
    cost->ns += probe_clock() - began;
    for (int i = 0; i < parts; i++) {
        cost->calls += p[i].calls;
        cost->bytes += p[i].bytes;
    }
}

int64_t pagemap_read(int fd, uint64_t page_size, uint64_t start, uint64_t npages, uint64_t *out,
                     int threads, struct probe_cost *cost)
{
    uint64_t began = cost ? probe_clock() : 0;
    int parts = threads > 1 && npages >= THREAD_ENTRIES ? 2 : 1;
    uint64_t half = parts == 2 ? npages / 2 : npages;
    struct part p[2] = {
        {.fd = fd, .first = start / page_size, .n = half, .out = out},
        {.fd = fd, .first = start / page_size + half, .n = npages - half, .out = out + half}};

    if (parts == 2)
        run_split(read_entries, p);
    else
        read_entries(&p[0]);
    add_cost(cost, began, p, parts);
    if (p[0].result < 0 || p[0].result < (int64_t)half || parts == 1)
        return p[0].result;
    return p[1].result < 0 ? p[1].result : p[0].result + p[1].result;
}

/* Index just behind the frames, from i on, that one range of the file covers; *low, *high: the
 * range. Frames of a freshly filled region run downward with gaps, those of a file upward. */
static size_t gather(const uint64_t *frames, size_t i, size_t n, uint64_t *low, uint64_t *high)
{
    uint64_t lo = frames[i], hi = frames[i];
    size_t j;

    for (j = i + 1; j < n; j++) {
        uint64_t f = frames[j];

        if (f + FRAME_GAP < lo || f > hi + FRAME_GAP)
            break;
        if (f < lo ? hi - f >= FRAME_RANGE : f - lo >= FRAME_RANGE)
            break;
        lo = f < lo ? f : lo;
        hi = f > hi ? f : hi;
    }
    *low = lo;
    *high = hi;
    return j;
}

static void *lookup_frames(void *arg)
{
    struct part *p = arg;
    uint64_t words[FRAME_RANGE];
    size_t i = 0;

    while (i < p->n) {
        uint64_t low, high, got;
        size_t end = gather(p->frames, i, p->n, &low, &high);
        ssize_t n = read_at(p->fd, words, (high - low + 1) * 8, (off_t)(low * 8));

        p->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            p->result = -errno;
            return NULL;
        }
        got = (uint64_t)n / 8;
        p->bytes += (uint64_t)n;
        for (; i < end; i++)
            p->out[i] = p->frames[i] - low < got ? words[p->frames[i] - low] : KPAGE_NONE;
    }
    p->result = 0;
    return NULL;
}

int kpage_read(int fd, const uint64_t *frames, uint64_t *out, size_t n, int threads,
               struct probe_cost *cost)
{
    uint64_t began = cost ? probe_clock() : 0;
    int parts = threads > 1 && n >= THREAD_ENTRIES ? 2 : 1;
    size_t half = parts == 2 ? n / 2 : n;
    struct part p[2] = {{.fd = fd, .frames = frames, .out = out, .n = half},
                        {.fd = fd, .frames = frames + half, .out = out + half, .n = n - half}};

    if (parts == 2)
        run_split(lookup_frames, p);
    else
        lookup_frames(&p[0]);
    add_cost(cost, began, p, parts);
    return (int)(p[0].result < 0 || parts == 1 ? p[0].result : p[1].result);
}

int pagemap_scan(int fd, uint64_t start, uint64_t end, uint64_t any_of, uint64_t tell,
                 int (*fn)(void *arg, const struct scan_range *range), void *arg,
                 struct probe_cost *cost)
{
    struct scan_range ranges[SCAN_VECTOR];
    uint64_t began = cost ? probe_clock() : 0;
    int rc = 0;

    memset(ranges, 0, sizeof ranges); /* for valgrind, which does not know this call */
    while (start < end && rc == 0) {
        struct pm_scan_arg_v1 scan = {.size = sizeof scan,
                                      .start = start,
                                      .end = end,
                                      .vec = (uint64_t)(uintptr_t)ranges,
                                      .vec_len = SCAN_VECTOR,
                                      .category_anyof_mask = any_of,
                                      .return_mask = tell};
        int n = ioctl(fd, PAGEMAP_SCAN_IOCTL, &scan);

        if (cost)
            cost->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = -errno;
            break;
        }
        if (cost)
            cost->bytes += (uint64_t)n * sizeof *ranges;
        for (int i = 0; i < n && rc == 0; i++)
            rc = fn(arg, &ranges[i]);
        if (scan.walk_end <= start)
            break;
        start = scan.walk_end;
    }
    if (cost)
        cost->ns += probe_clock() - began;
    return rc;
}
