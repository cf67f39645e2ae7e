/* bench_probes: what looking costs, beside what the kernel's own smaps and page-types' way of
 * reading cost in the same run. Prints rows of a markdown table: name, milliseconds, ratio.
 *   bench_probes [MIB]      size of the region (default 2048), half of it copied after a fork */
#include "probes/caps.h"
#include "probes/kernel/pagemap.h"
#include "probes/observer.h"
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

#define ROUNDS 9
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

static double since(uint64_t began)
{
    return (double)(probe_clock() - began) / 1e6;
}

static double least(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

static double read_smaps(pid_t pid)
{
    struct slurp text = {0};
    char path[40];
    uint64_t began = probe_clock();
    double ms;

    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    if (slurp_path(&text, path) < 0)
        exit(1);
    ms = since(began);
    slurp_release(&text);
    return ms;
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

/* What reading the page files alone took in the last look (with one thread: of
 * its time). */
static double kernel_ms;

static bool is_page_file(const char *probe)
{
    return strcmp(probe, "pagemap") == 0 || strcmp(probe, "kpagecount") == 0 ||
           strcmp(probe, "kpageflags") == 0;
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
    kernel_ms = 0;
    for (size_t i = 0; i < obs.ncosts; i++) {
        if (strcmp(obs.costs[i].probe, "smaps") == 0)
            other = obs.costs[i].dur_ns;
        if (is_page_file(obs.costs[i].probe))
            kernel_ms += (double)obs.costs[i].dur_ns / 1e6;
    }
    *pages_ms = ms - (double)other / 1e6;
    observation_release(&obs);
    return ms;
}

/* A first look asks the kernel about every page. */
static double fresh_look(struct target *t, int threads)
{
    struct observer_options opt = {.whole_process = true, .threads = threads};
    struct observer *o;
    struct err e;
    double ms;

    if (observer_new(&o, &caps, &opt, &e) < 0)
        exit(1);
    look(o, t, 1, &ms);
    observer_free(o);
    return ms;
}

static long own_rss_kb(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return r.ru_maxrss;
}

static int find_child(struct target t[2])
{
    char path[64], text[32] = "";
    int fd;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)t[0].pid, (int)t[0].pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return -1;
    close(fd);
    t[1].pid = (pid_t)atoi(text);
    return 0;
}

/* The rounds are interleaved and the best of each kept: on a shared machine the rest is noise. */
static void compare(struct observer *o, struct target t[2], double copied, size_t len)
{
    double still = 0, whole = 0, one = 0, two = 0, kernel = 0, types = 0, ms, pages_ms;

    smaps_ms = 0;
    for (int i = 0; i < ROUNDS; i++) {
        smaps_ms = least(smaps_ms, read_smaps(t[0].pid));
        ms = look(o, t, 2, &pages_ms);
        still = least(still, pages_ms);
        whole = least(whole, ms);
        one = least(one, fresh_look(t, 1));
        kernel = least(kernel, kernel_ms);
        two = least(two, fresh_look(t, 2));
        if (i % 3 == 0)
            types = least(types,
                          read_page_types(t[0].pid, t[0].regions[0].start, len / caps.page_size));
    }
    row("smaps, one read", smaps_ms, "");
    row("full snapshot, two threads", two, "<= 1.8");
    row("full snapshot, one thread", one, "");
    row("of that the kernel's part: reading words and flags (half of it is the least for two "
        "threads)",
        kernel, "");
    row("page-types' way of reading", types, ">= 3 x full snapshot");
    row("in a run, after half was copied, per process (once, not best of)", copied / 2, "<= 1.3");
    row("in a run, nothing changed, per process", still / 2, "<= 1.5");
    row("the same with its cross-check against smaps", whole / 2, "");
}

static int run(struct holder *h, char *region, size_t len)
{
    struct target_region r[2] = {{.name = "r", .start = (uintptr_t)region, .len = len},
                                 {.name = "r", .start = (uintptr_t)region, .len = len}};
    struct target t[2] = {{.actor = "parent", .pid = h->pid, .regions = &r[0], .nregions = 1},
                          {.actor = "child", .regions = &r[1], .nregions = 1}};
    struct observer_options opt = {.whole_process = true};
    struct observer *o;
    double copied;
    struct err e;
    long rss;

    if (observer_new(&o, &caps, &opt, &e) < 0)
        return 1;
    look(o, t, 1, &copied);
    if (!advance(h) || find_child(t) < 0)
        return 1;
    look(o, t, 2, &copied);
    if (!advance(h))
        return 1;
    look(o, t, 2, &copied);
    rss = own_rss_kb();
    compare(o, t, copied, len);
    observer_free(o);
    printf("| most memory of the lab while it observes both | %ld KiB | | < 65536 KiB |\n", rss);
    return 0;
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
