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
    uint64_t first, n;      /* entries of pagemap; or n frames of a kpage file */
    const uint64_t *frames; /* NULL: pagemap */
    uint64_t *out;
    int64_t result; /* how many of n, or a negative errno */
    uint64_t calls, bytes;
};

static void read_entries(struct part *p)
{
    uint64_t done = 0;
    ssize_t n;

    while (done < p->n) {
        n = read_at(p->fd, p->out + done, (p->n - done) * 8, (off_t)((p->first + done) * 8));
        p->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            p->result = -errno;
            return;
        }
        if (n < 8)
            break;
        done += (uint64_t)n / 8;
        p->bytes += (uint64_t)n;
    }
    p->result = (int64_t)done;
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

static void lookup_frames(struct part *p)
{
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
            return;
        }
        got = (uint64_t)n / 8;
        p->bytes += (uint64_t)n;
        for (; i < end; i++)
            p->out[i] = p->frames[i] - low < got ? words[p->frames[i] - low] : KPAGE_NONE;
    }
    p->result = (int64_t)p->n;
}

static void *read_part(void *arg)
{
    struct part *p = arg;

    if (p->frames)
        lookup_frames(p);
    else
        read_entries(p);
    return NULL;
}

/* All of it, or one half after the other, the second in a thread of its own if one can be had. */
static int64_t read_parts(struct part p, int threads, struct probe_cost *cost)
{
    uint64_t began = cost ? probe_clock() : 0, half = p.n / 2;
    struct part second = p;
    pthread_t thread;

    if (threads < 2 || p.n < THREAD_ENTRIES) {
        read_part(&p);
        cost_note(cost, began, p.calls, p.bytes);
        return p.result;
    }
    p.n = half;
    second.n -= half;
    second.first += half;
    second.out += half;
    second.frames += p.frames ? half : 0;
    threads = pthread_create(&thread, NULL, read_part, &second) == 0 ? 2 : 1;
    read_part(&p);
    if (threads == 2)
        pthread_join(thread, NULL);
    else
        read_part(&second);
    cost_note(cost, began, p.calls + second.calls, p.bytes + second.bytes);
    if (p.result < (int64_t)half)
        return p.result;
    return second.result < 0 ? second.result : p.result + second.result;
}

int64_t pagemap_read(int fd, uint64_t page_size, uint64_t start, uint64_t npages, uint64_t *out,
                     int threads, struct probe_cost *cost)
{
    struct part p = {.fd = fd, .first = start / page_size, .n = npages, .out = out};

    return read_parts(p, threads, cost);
}

int kpage_read(int fd, const uint64_t *frames, uint64_t *out, size_t n, int threads,
               struct probe_cost *cost)
{
    struct part p = {.fd = fd, .frames = frames, .n = n, .out = out};
    int64_t rc = n ? read_parts(p, threads, cost) : 0;

    return rc < 0 ? (int)rc : 0;
}

int pagemap_scan(int fd, uint64_t start, uint64_t end, uint64_t any_of, uint64_t tell,
                 int (*fn)(void *arg, const struct scan_range *range), void *arg,
                 struct probe_cost *cost)
{
    struct scan_range ranges[SCAN_VECTOR];
    uint64_t began = cost ? probe_clock() : 0, calls = 0, bytes = 0;
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

        calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = -errno;
            break;
        }
        bytes += (uint64_t)n * sizeof *ranges;
        for (int i = 0; i < n && rc == 0; i++)
            rc = fn(arg, &ranges[i]);
        if (scan.walk_end <= start)
            break;
        start = scan.walk_end;
    }
    cost_note(cost, began, calls, bytes);
    return rc;
}
