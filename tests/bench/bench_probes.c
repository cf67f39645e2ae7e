/* bench_probes: what looking costs, beside what the kernel's own smaps and page-types' way of
 * reading cost in the same run. Prints rows of a markdown table: name, milliseconds, ratio.
 *   bench_probes [MIB]      size of the region (default 2048), half of it copied after a fork */
#include "probes/caps.h"
#include "probes/observer.h"
#include "probes/pagemap.h"
#include "probes/slurp.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5
#define MAX_PAGES_AT_ONCE (64 * 1024)

static struct caps caps;
static double smaps_ms;

static void row(const char *name, double ms, const char *goal)
{
    printf("| %s | %.2f | %.2f | %s |\n", name, ms, smaps_ms > 0 ? ms / smaps_ms : 1.0, goal);
    fflush(stdout);
}

/* A process that holds a region: told by a byte what to do next. */
struct holder {
    pid_t pid;
    int order, done;
};

static void touch(char *at, size_t len)
{
    for (size_t i = 0; i < len; i += caps.page_size)
        at[i]++;
}

/* Child: fills the region and waits; for each byte 'f' forks a child that copies half and waits;
 * 'o' forks one that does nothing until 'c' (copy half). */
static void hold(char *region, size_t len, int order, int done)
{
    char byte, go;
    int pair[2], back[2];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    touch(region, len);
    if (write(done, "r", 1) != 1 || read(order, &byte, 1) != 1 || pipe(pair) < 0 || pipe(back) < 0)
        _exit(1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(pair[0], &go, 1) != 1)
            _exit(1);
        touch(region, len / 2);
        if (write(back[1], "c", 1) != 1)
            _exit(1);
        pause();
    }
    if (write(done, "f", 1) != 1 || read(order, &byte, 1) != 1 || write(pair[1], "c", 1) != 1 ||
        read(back[0], &go, 1) != 1 || write(done, "c", 1) != 1)
        _exit(1);
    pause();
    _exit(0);
}

static bool advance(struct holder *h)
{
    char byte;

    return write(h->order, "n", 1) == 1 && read(h->done, &byte, 1) == 1;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, by_number);
    return ms[n / 2];
}

static double since(uint64_t began)
{
    return (double)(probe_clock() - began) / 1e6;
}

static double read_smaps(pid_t pid)
{
    double ms[ROUNDS];
    struct slurp text = {0};
    char path[40];

    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t began = probe_clock();

        if (slurp_path(&text, path) < 0)
            return -1;
        ms[i] = since(began);
    }
    slurp_release(&text);
    return median(ms, ROUNDS);
}

/* As page-types (tools/mm) reads: pagemap in batches, then one call per page and file. */
static double read_page_types(pid_t pid, uint64_t start, uint64_t pages)
{
    static uint64_t words[MAX_PAGES_AT_ONCE];
    char path[40];
    uint64_t began = probe_clock(), word;
    int pagemap, count = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);

    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    pagemap = open(path, O_RDONLY | O_CLOEXEC);
    for (uint64_t done = 0; done < pages;) {
        uint64_t n = pages - done < MAX_PAGES_AT_ONCE ? pages - done : MAX_PAGES_AT_ONCE;

        if (pagemap_read(pagemap, caps.page_size, start + done * caps.page_size, n, words, 1,
                         NULL) != (int64_t)n)
            return -1;
        for (uint64_t i = 0; i < n; i++)
            if (pread(count, &word, 8, (off_t)(PM_FRAME(words[i]) * 8)) != 8 ||
                pread(flags, &word, 8, (off_t)(PM_FRAME(words[i]) * 8)) != 8)
                return -1;
        done += n;
    }
    close(pagemap);
    close(count);
    close(flags);
    return since(began);
}

/* One look; *pages_ms: the same without reading smaps, status and the like. */
static double look(struct observer *o, struct target *targets, size_t n, double *pages_ms)
{
    struct observation obs;
    struct err e = {""};
    uint64_t began = probe_clock(), other = 0;
    double ms;

    observation_init(&obs);
    if (observer_look(o, targets, n, NULL, 0, &obs, &e) < 0) {
        fprintf(stderr, "bench_probes: %s\n", e.msg);
        exit(1);
    }
    ms = since(began);
    for (size_t i = 0; i < obs.ncosts; i++)
        if (strcmp(obs.costs[i].probe, "smaps") == 0)
            other = obs.costs[i].dur_ns;
    *pages_ms = ms - (double)other / 1e6;
    observation_release(&obs);
    return ms;
}

/* A first look asks the kernel about every page. */
static void fresh_looks(struct target *t, int threads, const char *name, const char *goal)
{
    struct observer_options opt = {.whole_process = true, .threads = threads};
    double ms[ROUNDS];
    struct observer *o;
    struct err e;

    for (int i = 0; i < ROUNDS; i++) {
        if (observer_new(&o, &caps, &opt, &e) < 0)
            exit(1);
        look(o, t, 1, &ms[i]);
        observer_free(o);
    }
    row(name, median(ms, ROUNDS), goal);
}

static long own_rss_kb(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return r.ru_maxrss;
}

static int run(struct holder *h, char *region, size_t len)
{
    struct target_region r[2] = {{.name = "r", .start = (uintptr_t)region, .len = len},
                                 {.name = "r", .start = (uintptr_t)region, .len = len}};
    struct target t[2] = {{.actor = "parent", .pid = h->pid, .regions = &r[0], .nregions = 1},
                          {.actor = "child", .regions = &r[1], .nregions = 1}};
    struct observer_options opt = {.whole_process = true};
    double before, after[ROUNDS], all, types;
    struct observer *o;
    char path[64], text[32] = "";
    struct err e;
    int fd;

    if (observer_new(&o, &caps, &opt, &e) < 0)
        return 1;
    look(o, t, 1, &before);
    if (!advance(h))
        return 1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)h->pid, (int)h->pid);
    fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 1;
    close(fd);
    t[1].pid = (pid_t)atoi(text);
    look(o, t, 2, &before);
    if (!advance(h))
        return 1;
    smaps_ms = 0;
    smaps_ms = read_smaps(h->pid);
    row("smaps, one read", smaps_ms, "");
    all = look(o, t, 2, &after[0]);
    row("in a run: both processes, just after the copy, per process", after[0] / 2, "<= 1.5");
    for (int i = 0; i < ROUNDS; i++)
        all = look(o, t, 2, &after[i]);
    row("in a run: both processes, nothing changed, per process", median(after, ROUNDS) / 2,
        "<= 1.5");
    row("in a run: the same with the cross-check against smaps", all / 2, "");
    observer_free(o);
    printf("| most memory of the lab meanwhile | %ld KiB | | < 65536 KiB |\n", own_rss_kb());
    fresh_looks(t, 1, "full snapshot, one thread", "");
    fresh_looks(t, 2, "full snapshot, two threads", "<= 2.5");
    types = read_page_types(h->pid, (uintptr_t)region, len / caps.page_size);
    row("page-types' way of reading", types, ">= 3 x full snapshot");
    return types < 0;
}

int main(int argc, char **argv)
{
    size_t len = (size_t)(argc > 1 ? atoi(argv[1]) : 2048) << 20;
    char *region = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int order[2], done[2], rc;
    struct holder h;
    char byte;

    caps_probe(&caps);
    if (!caps.have[CAP_DEBT]) {
        fprintf(stderr, "bench_probes: needs debt: %s\n", caps.reason[CAP_DEBT]);
        return 3;
    }
    if (region == MAP_FAILED || pipe(order) < 0 || pipe(done) < 0)
        return 1;
    h.pid = fork();
    if (h.pid == 0)
        hold(region, len, order[0], done[1]);
    h.order = order[1];
    h.done = done[0];
    rc = read(h.done, &byte, 1) == 1 ? run(&h, region, len) : 1;
    kill(h.pid, SIGKILL);
    waitpid(h.pid, NULL, 0);
    return rc;
}
