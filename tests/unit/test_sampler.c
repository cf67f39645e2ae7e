/* The sampler on real forks: what is shared, copied, lost; what no frames leave. */
#include "probes/kernel/pagemap.h"
#include "probes/sampler.h"
#include "tests/support/puppet.h"
#include "tests/support/skip.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 2048

static struct caps caps;
static long page_size;

/* Kills somebody before the nth read of a file of the kernel's, and waits until its memory is gone:
 * these definitions come before the library's. */
static struct {
    pid_t victim; /* 0: nobody */
    int n, reads, asked;
} reaper;

/* Scattered frames are asked for one by one: of those reads each 500th counts. */
static bool counts(int fd)
{
    char link[64], file[64] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, file, sizeof file - 1) < 0 || strncmp(file, "/proc/kpage", 11) != 0)
        return true;
    return reaper.asked++ % 500 == 0;
}

static void before_read(int fd)
{
    siginfo_t ended;

    if (!reaper.victim || !counts(fd) || ++reaper.reads != reaper.n)
        return;
    kill(reaper.victim, SIGKILL);
    waitid(P_PID, (id_t)reaper.victim, &ended, WEXITED | WNOWAIT);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    static ssize_t (*real)(int, void *, size_t, off_t);

    if (!real)
        real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    before_read(fd);
    return real(fd, to, n, at);
}

/* Pages of this object that were looked at one by one; this process's libraries are others. */
static struct {
    struct stat object;
    int pages;
} looked;

int mincore(void *addr, size_t n, unsigned char *told)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/self/map_files/%llx-%llx",
             (unsigned long long)(uintptr_t)addr, (unsigned long long)((uintptr_t)addr + n));
    if (stat(path, &st) < 0 ||
        (st.st_dev == looked.object.st_dev && st.st_ino == looked.object.st_ino))
        looked.pages += (int)(n / (size_t)page_size);
    return (int)syscall(SYS_mincore, addr, n, told);
}

/* What pagemap says of some pages can be another thing than the kernel's: of those from page on,
 * n of them. An even page and its neighbour change places, as if the kernel had moved both; or all
 * show one frame. */
static struct {
    uint64_t page, n;
    pid_t pid; /* of this process alone; 0: of all */
    uint64_t word;
} lie;

static void lie_about(int fd, uint64_t *words, uint64_t first, uint64_t n)
{
    char link[64], file[64] = "", mine[64];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!lie.n || readlink(link, file, sizeof file - 1) < 0 || !strstr(file, "/pagemap"))
        return;
    snprintf(mine, sizeof mine, "/proc/%d/pagemap", (int)lie.pid);
    for (uint64_t p = lie.page; (!lie.pid || strcmp(mine, file) == 0) && p < lie.page + lie.n; p++)
        if (p >= first && p < first + n && lie.word) {
            words[p - first] = lie.word;
        } else if (p >= first && p + 1 < first + n && p % 2 == 0) {
            uint64_t word = words[p - first];

            words[p - first] = words[p + 1 - first];
            words[p + 1 - first] = word;
        }
}

/* As the readers of pagemap and the kpage files call it. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6], rc;
    va_list ap;

    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_pread64)
        before_read((int)a[0]);
    rc = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_pread64 && rc > 0)
        lie_about((int)a[0], (uint64_t *)(uintptr_t)a[1], (uint64_t)a[3] / 8, (uint64_t)rc / 8);
    return rc;
}

struct fixture {
    struct sampler *s;
    char *memory;
    int to_child[2], from_child[2];
    pid_t child;
    const struct sample *sample;
    struct err e;
};

/* The child writes as many pages as it is told, from the first on, or gives as many back (a
 * negative number), and answers. */
static void child_main(struct fixture *f)
{
    int n;

    while (read(f->to_child[0], &n, sizeof n) == sizeof n) {
        if (n < 0)
            madvise(f->memory, (size_t)(-n * page_size), MADV_DONTNEED);
        for (int i = 0; i < n; i++)
            f->memory[i * page_size] = 2;
        if (write(f->from_child[1], &n, sizeof n) != sizeof n)
            break;
    }
    _exit(0);
}

static void tell(struct fixture *f, int pages)
{
    int n = pages;

    assert_int_equal(write(f->to_child[1], &n, sizeof n), sizeof n);
    assert_int_equal(read(f->from_child[0], &n, sizeof n), sizeof n);
}

static int begin_child(struct fixture *f)
{
    if (pipe(f->to_child) || pipe(f->from_child))
        return -1;
    f->child = fork();
    if (f->child == 0) {
        close(f->to_child[1]);
        child_main(f);
    }
    close(f->to_child[0]);
    return 0;
}

static void end_child(struct fixture *f)
{
    close(f->to_child[1]);
    close(f->from_child[0]);
    close(f->from_child[1]);
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    *state = f;
    puppet_one_cpu();
    page_size = sysconf(_SC_PAGESIZE);
    f->memory = mmap(NULL, (size_t)(PAGES * page_size), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(f->memory, (size_t)(PAGES * page_size), MADV_NOHUGEPAGE);
    memset(f->memory, 1, (size_t)(PAGES * page_size));
    return begin_child(f);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    end_child(f);
    sampler_free(f->s);
    munmap(f->memory, (size_t)(PAGES * page_size));
    free(f);
    return 0;
}

static void start(struct fixture *f, bool no_frames)
{
    struct sampler_options opt = {.no_frames = no_frames};

    assert_int_equal(sampler_new(&f->s, &caps, &opt, &f->e), 0);
}

static void take(struct fixture *f)
{
    struct sample_target targets[] = {{.pid = getpid(), .parent = -1},
                                      {.pid = f->child, .parent = 0}};

    assert_int_equal(sampler_take(f->s, targets, 2, &f->sample, &f->e), 0);
}

static const struct sample_region *region_at(struct fixture *f, int process, const void *memory)
{
    const struct sample_process *p = &f->sample->processes[process];

    for (size_t i = 0; i < p->nregions; i++)
        if (p->regions[i].map->start <= (uintptr_t)memory &&
            p->regions[i].map->end > (uintptr_t)memory)
            return &p->regions[i];
    fail_msg("no mapping of the test's memory");
    return NULL;
}

static const struct sample_region *region_of(struct fixture *f, int process)
{
    return region_at(f, process, f->memory);
}

/* By the words that the frames were taken from. */
static int64_t mapped_kb(struct fixture *f, int process)
{
    const struct sample_process *p = &f->sample->processes[process];
    int64_t pages = 0;

    for (size_t i = 0; i < p->nregions; i++)
        pages += p->regions[i].q[RQ_MAPPED].n;
    return pages * page_size / 1024;
}

static bool frames(void)
{
    return caps.have[CAP_FRAMES] && caps.have[CAP_KPAGECOUNT] && caps.have[CAP_KPAGEFLAGS];
}

static void test_sampler__a_fork_shares_and_writes_copy(void **state)
{
    struct fixture *f = *state;
    const struct sample_region *r;
    int64_t before;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    r = region_of(f, 1);
    assert_true(r->parent_pages.n >= PAGES);
    assert_true(r->q[RQ_COW].n >= PAGES);
    assert_int_equal(r->q[RQ_SHARE_MODE].n, SM_COW);
    assert_true(r->q[RQ_REF_COUNT].n >= 2);
    before = r->parent_pages.n;
    tell(f, 500);
    take(f);
    r = region_of(f, 1);
    assert_int_equal(before - r->parent_pages.n, 500);
    assert_int_equal(r->copied.n, 500);
    assert_int_equal(r->lost.n, 500);
    assert_int_equal(region_of(f, 0)->copied.n, 0);
    /* The frames that the child left are the parent's alone: in debt. */
    if (caps.have[CAP_DEBT])
        assert_true(region_of(f, 0)->q[RQ_DEBT].n >= 500);
}

static void test_sampler__what_the_parent_copies_the_child_loses(void **state)
{
    struct fixture *f = *state;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    memset(f->memory, 4, (size_t)(300 * page_size));
    take(f);
    assert_int_equal(region_of(f, 1)->lost.n, 300);
    assert_int_equal(region_of(f, 1)->copied.n, 0);
    assert_int_equal(region_of(f, 0)->copied.n, 300);
}

/* What a process copied and then shared again, by a fork within the same interval, it copied all
 * the same: the old frames are still its first child's. */
static void test_sampler__a_copy_that_is_forked_at_once_is_a_copy(void **state)
{
    struct fixture *f = *state;
    pid_t second;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    memset(f->memory, 4, (size_t)(300 * page_size));
    second = fork();
    if (second == 0) {
        pause();
        _exit(0);
    }
    take(f);
    assert_int_equal(region_of(f, 0)->copied.n, 300);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
}

static void test_sampler__what_is_given_back_is_not_lost(void **state)
{
    struct fixture *f = *state;
    int64_t before;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    before = region_of(f, 1)->parent_pages.n;
    tell(f, -PAGES / 2);
    take(f);
    assert_int_equal(before - region_of(f, 1)->parent_pages.n, PAGES / 2);
    assert_int_equal(region_of(f, 1)->lost.n, 0);
    assert_int_equal(region_of(f, 1)->copied.n, 0);
    /* By the parent too. */
    madvise(f->memory + PAGES / 2 * page_size, (size_t)(PAGES / 4 * page_size), MADV_DONTNEED);
    take(f);
    assert_int_equal(before - region_of(f, 1)->parent_pages.n, PAGES / 4 * 3);
    assert_int_equal(region_of(f, 1)->lost.n, 0);
    /* Pages that are new to both were never in common. */
    tell(f, PAGES / 4);
    memset(f->memory, 5, (size_t)(PAGES / 4 * page_size));
    take(f);
    assert_int_equal(region_of(f, 1)->lost.n, 0);
}

/* How many reads a sample makes, as the reaper counts them; nobody is killed. */
static int reads_of_a_sample(struct fixture *f)
{
    reaper.n = INT_MAX;
    reaper.reads = reaper.asked = 0;
    reaper.victim = f->child;
    take(f);
    reaper.victim = 0;
    return reaper.reads;
}

/* The child ends before the first read of a sample, before the second, and so on: of one that was
 * not there to the end nothing is told, and what it had has left the sums. A sanitizer's address
 * space takes hundreds of reads: then some 30 of them, spread evenly. */
static void ends_at_every_read(struct fixture *f, bool no_frames)
{
    int n = 0, rc, reads, stride;

    start(f, no_frames);
    reads = reads_of_a_sample(f);
    stride = reads < 100 ? 1 : reads / 30;
    do {
        const struct sample_process *p;

        tell(f, 512); /* 2 MiB for itself */
        take(f);
        reaper.n = n += n ? stride : 1;
        reaper.reads = reaper.asked = 0;
        reaper.victim = f->child;
        take(f);
        reaper.victim = 0;
        p = &f->sample->processes[1];
        assert_int_equal(f->sample->processes[0].why, WHY_KNOWN);
        if (reaper.reads >= n && p->why == WHY_KNOWN)
            fail_msg("read %d of %d: a child that has ended was told of", n, reaper.reads);
        if (p->why == WHY_KNOWN)
            break;
        assert_int_equal(p->why, WHY_GONE);
        assert_int_equal(p->nregions, 0);
        assert_false(value_is_known(p->q[WQ_PARENT]) || value_is_known(p->q[WQ_LOST]) ||
                     value_is_known(p->fp.rss_kb));
        /* Nor are the child's 512 own pages among the frames. This process may have mapped a little
         * more between the list of its mappings and their pages. */
        if (!no_frames)
            assert_true(f->sample->totals[TQ_DISTINCT].n <
                        mapped_kb(f, 0) + 256 * page_size / 1024);
        end_child(f);
        rc = begin_child(f);
        assert_int_equal(rc, 0);
    } while (n < 100000);
    assert_in_range(n, 5, 99999);
    print_message("# %d reads of a sample, every %d\n", n - 1, stride);
}

static void test_sampler__a_child_that_ends_while_it_is_read(void **state)
{
    if (!frames())
        skip_needs("frames");
    ends_at_every_read(*state, false);
}

static void test_sampler__a_child_that_ends_while_its_counters_are_read(void **state)
{
    ends_at_every_read(*state, true);
}

static void test_sampler__debt_is_seen_though_pages_were_trusted(void **state)
{
    struct fixture *f = *state;
    int64_t exclusive;
    pid_t second;

    if (!frames() || !caps.have[CAP_DEBT])
        skip_needs("frames and debt");
    start(f, false);
    tell(f, PAGES); /* the child has all for itself */
    take(f);
    take(f);
    exclusive = region_of(f, 1)->q[RQ_EXCLUSIVE].n;
    assert_true(exclusive >= PAGES);
    assert_true(region_of(f, 1)->q[RQ_EXCLUSIVE].inferred);
    /* Between two samples this process writes all again, forks, and the fork goes: every page of
     * it is in debt, though it was exclusive at the last sample and is in the same frame. */
    memset(f->memory, 3, (size_t)(PAGES * page_size));
    take(f);
    take(f);
    assert_true(region_of(f, 0)->q[RQ_EXCLUSIVE].n >= PAGES);
    second = fork();
    if (second == 0)
        _exit(0);
    waitpid(second, NULL, 0);
    take(f);
    assert_true(region_of(f, 0)->q[RQ_DEBT].n >= PAGES);
    assert_false(region_of(f, 0)->q[RQ_DEBT].inferred);
}

static void test_sampler__bins_tell_where(void **state)
{
    struct fixture *f = *state;
    const struct sample_region *r;
    uint8_t bins[8];
    uint64_t first;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    tell(f, PAGES / 2);
    take(f);
    r = region_of(f, 1);
    assert_int_equal(sampler_bins(f->s, 1, r, bins, 8), 0);
    /* The mapping may be larger than the memory: neighbours merge. */
    first = ((uintptr_t)f->memory - r->map->start) * 8 / (r->map->end - r->map->start);
    if (r->map->end - r->map->start == (uint64_t)(PAGES * page_size)) {
        assert_int_equal(bins[first], 0);
        assert_int_equal(bins[7], 255);
    }
}

static void test_sampler__common_frames_are_those_of_both(void **state)
{
    struct fixture *f = *state;
    int64_t before;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    tell(f,
         0); /* a child that has not run yet maps none of the code's pages, which are in common */
    take(f);
    before = sampler_common(f->s, 0, 1).n;
    assert_true(before >= PAGES);
    tell(f, 100);
    take(f);
    /* More than 100: this process, the parent, writes to its heap meanwhile. */
    assert_in_range(before - sampler_common(f->s, 0, 1).n, 100,
                    16000); /* valgrind and sanitizers touch thousands */
    assert_true(f->sample->totals[TQ_DISTINCT].n > 0);
    assert_true(f->sample->growth_kb.n > 0);
    /* Both writing all costs one frame for each that both map, not two. */
    assert_true(f->sample->growth_kb.n <
                f->sample->processes[0].q[WQ_AT_RISK].n + f->sample->processes[1].q[WQ_AT_RISK].n);
}

static void test_sampler__counters_alone_conclude_and_say_so(void **state)
{
    struct fixture *f = *state;
    const struct sample_region *r;

    start(f, true);
    take(f);
    r = region_of(f, 1);
    assert_true(value_is_known(r->q[RQ_COW]) && r->q[RQ_COW].n >= PAGES);
    assert_true(r->parent_pages.inferred);
    assert_false(value_is_known(r->q[RQ_DEBT]));
    assert_int_equal(r->q[RQ_DEBT].why, frames() ? WHY_FRAMES_OFF : WHY_NO_FRAMES);
    assert_false(value_is_known(f->sample->totals[TQ_DISTINCT]));
    tell(f, PAGES);
    take(f);
    r = region_of(f, 1);
    assert_true(r->q[RQ_COW].n < PAGES / 2);
}

/* A page that was read back from swap may be one in the swap cache, whose slot others hold. */
static void test_sampler__counters_do_not_tell_who_holds_slots(void **state)
{
    struct fixture *f = *state;
    struct sample_target alone = {.pid = getpid(), .parent = -1};
    bool swap = caps.have[CAP_SWAP];

    end_child(f);
    for (int i = 0; i < 2; i++) {
        caps.have[CAP_SWAP] = i;
        start(f, true);
        caps.have[CAP_SWAP] = swap;
        assert_int_equal(sampler_take(f->s, &alone, 1, &f->sample, &f->e), 0);
        assert_true(value_is_known(region_of(f, 0)->q[RQ_COW]));
        assert_int_equal(region_of(f, 0)->q[RQ_COW].inferred, i);
        if (i == 0)
            sampler_free(f->s);
    }
    assert_int_equal(begin_child(f), 0);
}

/* No counter has the zero page, and a write to it costs a frame all the same. */
static void test_sampler__counters_leave_the_zero_page_to_a_scan(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = f->memory;
    bool scan = caps.have[CAP_PAGEMAP_SCAN];
    struct value zero, risk;

    if (!caps.have[CAP_ZERO_PAGE])
        skip_needs("zero_page");
    madvise(f->memory, (size_t)(PAGES * page_size), MADV_DONTNEED);
    for (int i = 0; i < PAGES / 2; i++)
        (void)memory[i * page_size];
    for (int known = scan; known >= 0; known--) {
        caps.have[CAP_PAGEMAP_SCAN] = known;
        start(f, true);
        caps.have[CAP_PAGEMAP_SCAN] = scan;
        take(f);
        zero = region_of(f, 0)->q[RQ_ZERO];
        risk = region_of(f, 0)->q[RQ_AT_RISK];
        if (known) {
            assert_true(value_is_known(zero) && zero.n == PAGES / 2);
            assert_true(value_is_known(risk) && risk.n >= PAGES / 2);
        } else {
            assert_int_equal(zero.why, WHY_ZERO_UNTOLD);
            assert_int_equal(risk.why, WHY_ZERO_UNTOLD);
            assert_int_equal(f->sample->processes[0].q[WQ_AT_RISK].why, WHY_ZERO_UNTOLD);
        }
        if (known)
            sampler_free(f->s);
    }
}

static void test_sampler__counters_of_huge_pages_are_their_own(void **state)
{
    struct fixture *f = *state;
    size_t len = caps.huge_page_size;
    const struct value *q;
    char *memory;

    if (!caps.have[CAP_HUGETLB])
        skip_needs("hugetlb");
    memory =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memory[0] = 1;
    start(f, true);
    take(f);
    q = region_at(f, 0, memory)->q;
    assert_int_equal(q[RQ_MAPPED].n * page_size, len);
    for (int i = RQ_EXCLUSIVE; i <= RQ_DEBT; i++)
        assert_false(value_is_known(q[i]));
    assert_false(value_is_known(q[RQ_AT_RISK]));
    assert_true(value_is_known(q[RQ_OBJECT]) && q[RQ_OBJECT].n == 0);
    munmap(memory, len);
}

static int object = -1; /* descriptor: by it the object can be asked without privilege */

/* A private mapping of a memfd that holds n pages. */
static volatile char *map_object(int n)
{
    int fd = object = memfd_create("test", MFD_CLOEXEC);
    char *page = calloc(1, (size_t)page_size);
    void *memory;

    for (int i = 0; i < n; i++)
        assert_int_equal(write(fd, page, (size_t)page_size), page_size);
    memory = mmap(NULL, (size_t)(n * page_size), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    free(page);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static void unmap_object(volatile char *memory, int n)
{
    munmap((void *)memory, (size_t)(n * page_size));
    close(object);
}

/* Of 300 pages in memory one is mapped and one is copied: all but the copy a write can cost. */
static void test_sampler__unmapped_pages_of_an_object_are_at_risk(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(300);
    int64_t all;

    if (!frames())
        skip_needs("frames");
    (void)memory[0];
    memory[page_size] = 1;
    start(f, false);
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->q[RQ_AT_RISK].n, 299);
    assert_int_equal(region_at(f, 0, (void *)memory)->q[RQ_RESIDENT].n, 300);
    assert_int_equal(region_at(f, 0, (void *)memory)->q[RQ_SHARE_MODE].n, SM_COW);
    all = f->sample->processes[0].q[WQ_AT_RISK].n;
    /* What may not be written cannot be copied. */
    mprotect((void *)memory, (size_t)(300 * page_size), PROT_READ);
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->q[RQ_AT_RISK].n, 0);
    assert_true(f->sample->processes[0].q[WQ_AT_RISK].n <= all - 299 * page_size / 1024 + 64);
    unmap_object(memory, 300);
}

/* By counters alone the page that is hidden by a copy is not told: then at risk is unknown. */
static void test_sampler__counters_do_not_tell_what_a_copy_hides(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(300);
    struct value risk;

    (void)memory[0];
    start(f, true);
    take(f);
    risk = region_at(f, 0, (void *)memory)->q[RQ_AT_RISK];
    assert_true(value_is_known(risk) && risk.n == 300);
    memory[page_size] = 1;
    take(f);
    risk = region_at(f, 0, (void *)memory)->q[RQ_AT_RISK];
    assert_int_equal(risk.why, frames() ? WHY_FRAMES_OFF : WHY_NO_FRAMES);
    unmap_object(memory, 300);
}

/* A fork leaves a file's pages to be mapped when they are used: who maps the object is seen by the
 * parent's. */
static void test_sampler__an_object_of_which_nothing_is_mapped_has_users(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(100);
    struct value refs;

    if (!frames())
        skip_needs("frames");
    (void)memory[0];
    end_child(f);
    assert_int_equal(begin_child(f), 0);
    start(f, false);
    take(f);
    if (region_at(f, 1, (void *)memory)->q[RQ_MAPPED].n == 0) {
        refs = region_at(f, 1, (void *)memory)->q[RQ_REF_COUNT];
        assert_true(value_is_known(refs) && refs.inferred);
        assert_int_equal(refs.n, 2);
    }
    assert_int_equal(region_at(f, 1, (void *)memory)->q[RQ_AT_RISK].n, 100);
    unmap_object(memory, 100);
}

static char *map_shared(int fd, int n)
{
    char *memory = mmap(NULL, (size_t)(n * page_size), PROT_READ | PROT_WRITE,
                        MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 1, (size_t)(n * page_size));
    return memory;
}

static void check_shared(struct fixture *f, int process, const void *memory, bool shared)
{
    const struct value *q = region_at(f, process, memory)->q;

    if (shared) {
        assert_true(value_is_known(q[RQ_SHARE_MODE]) && value_is_known(q[RQ_REF_COUNT]));
        assert_int_equal(q[RQ_SHARE_MODE].n, SM_SHARED);
        assert_int_equal(q[RQ_REF_COUNT].n, 2);
        assert_true(q[RQ_REF_COUNT].inferred);
    } else {
        assert_int_equal(q[RQ_SHARE_MODE].why, WHY_NOT_ASKED);
        assert_int_equal(q[RQ_REF_COUNT].why, WHY_NOT_ASKED);
    }
}

/* A fork copies no page tables of shared memory: nothing that the child has not touched is mapped
 * twice. Nor does anything tell that nobody out of view has it. */
static void shared_memory_is_its_mappers(struct fixture *f, bool no_frames)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct sample_target alone = {.pid = getpid(), .parent = -1};
    char *memory[3];

    assert_int_equal(ftruncate(fd, 100 * page_size), 0);
    memory[0] = map_shared(-1, 100);
    memory[1] = map_shared(fd, 100);
    memory[2] = map_shared(fd, 100); /* the same once more: that is no other process */
    end_child(f);
    assert_int_equal(begin_child(f), 0);
    start(f, no_frames);
    take(f);
    for (int i = 0; i < 3; i++) {
        check_shared(f, 0, memory[i], true);
        check_shared(f, 1, memory[i], true);
    }
    assert_int_equal(sampler_take(f->s, &alone, 1, &f->sample, &f->e), 0);
    for (int i = 0; i < 3; i++)
        check_shared(f, 0, memory[i], false);
    for (int i = 0; i < 3; i++)
        munmap(memory[i], (size_t)(100 * page_size));
    close(fd);
}

static void test_sampler__shared_memory_is_its_mappers(void **state)
{
    if (!frames())
        skip_needs("frames");
    shared_memory_is_its_mappers(*state, false);
}

static void test_sampler__counters_see_who_maps_shared_memory(void **state)
{
    shared_memory_is_its_mappers(*state, true);
}

static void test_sampler__writes_to_an_objects_pages_copy_them(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(200);

    if (!frames())
        skip_needs("frames");
    for (int i = 0; i < 200; i++)
        (void)memory[i * page_size]; /* mapped here alone: the child has nothing of it */
    start(f, false);
    take(f);
    for (int i = 0; i < 100; i++)
        memory[i * page_size] = 1;
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->copied.n, 100);
    unmap_object(memory, 200);
}

/* As many as a run would say: the object has 100 of 200 pages, and none of them is mapped. */
static void test_sampler__pages_of_an_object_are_copied_unmapped(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(100), *later;
    const size_t len = (size_t)(200 * page_size);

    if (!frames())
        skip_needs("frames");
    munmap((void *)memory, len / 2);
    assert_int_equal(ftruncate(object, 200 * page_size), 0);
    memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, object, 0);
    /* Where nothing was: a copy in the place of a page that was shared is one. */
    later = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    start(f, false);
    take(f);
    for (int i = 50; i < 150; i++)
        memory[i * page_size] = 1;
    later = mmap((void *)later, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, object, 0);
    later[0] = 1; /* a mapping that was not there showed nothing */
    take(f);
    assert_true(value_is_known(region_at(f, 0, (void *)memory)->copied));
    assert_int_equal(region_at(f, 0, (void *)memory)->copied.n, 50);
    assert_true(value_is_known(region_at(f, 0, (void *)later)->copied));
    assert_int_equal(region_at(f, 0, (void *)later)->copied.n, 0);
    /* What could not be written was not asked for: then it is not known. */
    mprotect((void *)memory, len, PROT_READ);
    (void)memory[0];
    take(f);
    mprotect((void *)memory, len, PROT_READ | PROT_WRITE);
    memory[20 * page_size] = 1; /* a read maps 16 pages around it */
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->copied.why, WHY_NOT_ASKED);
    memory[21 * page_size] = 1;
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->copied.n, 1);
    munmap((void *)later, len);
    unmap_object(memory, 200);
}

static void test_sampler__what_was_lost_before_is_bounded(void **state)
{
    struct fixture *f = *state;

    if (!frames())
        skip_needs("frames");
    tell(f, 500);
    start(f, false);
    take(f);
    assert_in_range(region_of(f, 1)->lost_before.n, 500, PAGES);
    assert_true(region_of(f, 1)->lost_before.inferred); /* at most */
    assert_in_range(f->sample->processes[1].q[WQ_LOST_BEFORE].n, 500, PAGES);
    take(f);
    assert_false(value_is_known(region_of(f, 1)->lost_before));
    assert_int_equal(region_of(f, 1)->lost.n, 0);
}

/* Pages that the kernel moves to other frames it moves for all that map them. */
static void test_sampler__a_shared_page_that_moves_is_not_copied(void **state)
{
    struct fixture *f = *state;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    lie.page = ((uintptr_t)f->memory / (uint64_t)page_size + 1) & ~1ULL;
    lie.n = 200;
    take(f);
    lie.n = 0;
    assert_int_equal(region_of(f, 0)->copied.n, 0);
    assert_int_equal(region_of(f, 1)->copied.n, 0);
    assert_int_equal(region_of(f, 1)->lost.n, 0);
    take(f); /* they are as they were before */
    assert_int_equal(region_of(f, 1)->copied.n, 0);
    /* Of one of them alone it is no move: what is shared, in other frames, was copied. */
    lie.n = 200;
    lie.pid = f->child;
    take(f);
    lie.n = 0;
    lie.pid = 0;
    assert_int_equal(region_of(f, 1)->copied.n, 200);
}

static uint64_t word_of(const volatile char *page)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t word = 0;

    assert_int_equal(pread(fd, &word, 8, (off_t)((uintptr_t)page / (uintptr_t)page_size * 8)), 8);
    close(fd);
    return word;
}

/* Between its word and its flags a page may be given back, and its frame be a file's. */
static void test_sampler__a_page_that_is_given_back_meanwhile_leaves_no_doubt(void **state)
{
    struct fixture *f = *state;
    volatile char *other = map_object(1);

    if (!frames())
        skip_needs("frames");
    (void)other[0];
    start(f, false);
    tell(f, PAGES);
    lie.word = word_of(other) & ~PM_FILE;
    if (!PM_FRAME(lie.word))
        skip_needs("frames without a helper");
    lie.word |= PM_EXCLUSIVE;
    madvise((void *)other, (size_t)page_size, MADV_DONTNEED); /* the object has it still */
    lie.page = (uintptr_t)f->memory / (uint64_t)page_size;
    lie.n = 1;
    lie.pid = f->child;
    take(f);
    lie.n = lie.word = 0;
    lie.pid = 0;
    assert_int_equal(region_of(f, 1)->q[RQ_AT_RISK].why, WHY_KNOWN);
    assert_true(value_is_known(f->sample->processes[1].q[WQ_AT_RISK]));
    unmap_object(other, 1);
}

/* What a sample says of the child's mappings that are private and written, in one number. */
static uint64_t told_of_child(struct fixture *f)
{
    const struct sample_process *p = &f->sample->processes[1];
    uint64_t h = p->why;

    for (size_t i = 0; i < p->nregions; i++)
        h = h * 31 + p->regions[i].kind * 7 + p->regions[i].q[RQ_AT_RISK].why;
    return h;
}

/* With too few descriptors a sample tells what it tells with enough, or fails and says why. */
static void test_sampler__too_few_descriptors_are_an_error(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(100);
    const char *preload = getenv("LD_PRELOAD");
    struct rlimit old, low;
    int rc = -1, errors = 0;
    uint64_t told;

    if (preload && strstr(preload, "vgpreload"))
        skip_needs("the kernel to see the limit, which valgrind hides");
    end_child(f);
    assert_int_equal(begin_child(f), 0);
    tell(f, 0);
    start(f, !frames());
    take(f);
    told = told_of_child(f);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    for (low.rlim_cur = 3; rc < 0 && low.rlim_cur < 200; low.rlim_cur++) {
        struct sample_target targets[] = {{.pid = getpid(), .parent = -1},
                                          {.pid = f->child, .parent = 0}};

        sampler_free(f->s);
        start(f, !frames());
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        rc = sampler_take(f->s, targets, 2, &f->sample, &f->e);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        errors += rc < 0;
        if (rc < 0)
            assert_int_equal(rc, -EMFILE);
        else
            assert_true(told_of_child(f) == told);
    }
    assert_int_equal(rc, 0);
    assert_true(errors > 0);
    munmap((void *)memory, (size_t)(100 * page_size));
    close(object);
}

/* Of a large object how many pages are in memory is asked, and which only near private ones. */
static void test_sampler__a_large_object_is_counted_not_searched(void **state)
{
    struct fixture *f = *state;
    const int n = 32768, cached = 16000, room = 2048;
    FILE *file = tmpfile();
    const struct sample_region *r;
    char *page = calloc(1, (size_t)page_size), *reserved;
    volatile char *memory;
    struct value risk;

    if (!frames())
        skip_needs("frames");
    assert_int_equal(ftruncate(fileno(file), n * page_size), 0);
    for (int i = 0; i < cached; i++)
        assert_int_equal(pwrite(fileno(file), page, (size_t)page_size, 2L * i * page_size),
                         page_size);
    /* A neighbour's pages are near too: there is none. */
    reserved = mmap(NULL, (size_t)((n + 2 * room) * page_size), PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = mmap(reserved + room * page_size, (size_t)(n * page_size), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_FIXED, fileno(file), 0);
    madvise((void *)memory, (size_t)(n * page_size), MADV_RANDOM); /* nothing is read ahead */
    assert_int_equal(fstat(fileno(file), &looked.object), 0);
    looked.pages = 0;
    start(f, false);
    take(f);
    risk = region_at(f, 0, (void *)memory)->q[RQ_AT_RISK];
    assert_true(value_is_known(risk) && risk.n == cached);
    take(f);
    assert_int_equal(looked.pages, 0);
    memory[200 * page_size] = 1; /* the first one, far from any: what it was is not told */
    take(f);
    assert_int_equal(region_at(f, 0, (void *)memory)->copied.why, WHY_NOT_ASKED);
    for (int i = 201; i < 301; i++)
        memory[i * page_size] = 1;
    take(f);
    r = region_at(f, 0, (void *)memory);
    assert_true(value_is_known(r->copied) && value_is_known(r->q[RQ_AT_RISK]));
    assert_int_equal(r->copied.n, 50);
    assert_int_equal(r->q[RQ_AT_RISK].n, cached - 51);
    assert_in_range(looked.pages, 1, 4096);
    munmap(reserved, (size_t)((n + 2 * room) * page_size));
    free(page);
    fclose(file);
}

/* Says of n pages of the test's memory that pid has them in a slot of swap. */
static void say_swapped(struct fixture *f, pid_t pid, uint64_t slot, uint64_t n)
{
    lie.word = PM_SWAPPED | slot << 5;
    lie.page = (uintptr_t)f->memory / (uint64_t)page_size;
    lie.n = n;
    lie.pid = pid;
}

static void say_nothing(void)
{
    memset(&lie, 0, sizeof lie);
}

/* The child's own pages went to swap before it was seen first. By invented words, because hardly a
 * machine that tests run on swaps. */
static void test_sampler__what_went_to_swap_was_lost_before(void **state)
{
    struct fixture *f = *state;
    int64_t shared;

    if (!frames())
        skip_needs("frames");
    tell(f, 500);
    start(f, false);
    say_swapped(f, f->child, 7, 500);
    take(f);
    assert_in_range(region_of(f, 1)->lost_before.n, 500, PAGES);
    sampler_free(f->s);
    /* Where both have one slot nothing is lost yet. */
    start(f, false);
    say_swapped(f, 0, 7, PAGES);
    take(f);
    shared = region_of(f, 1)->lost_before.n;
    assert_in_range(shared, 0, PAGES / 2); /* of the mapping's other memory */
    say_nothing();
}

/* What was in common and is in swap on one side may be in common still. */
static void test_sampler__what_swap_hides_is_not_known(void **state)
{
    struct fixture *f = *state;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    say_swapped(f, f->child, 7, 100);
    take(f);
    assert_int_equal(region_of(f, 1)->lost.why, WHY_SWAP_HOLDERS);
    assert_int_equal(region_of(f, 1)->copied.why, WHY_SWAP_HOLDERS);
    assert_int_equal(f->sample->processes[1].q[WQ_LOST].why, WHY_SWAP_HOLDERS);
    take(f); /* nothing new */
    assert_true(value_is_known(region_of(f, 1)->lost) && value_is_known(region_of(f, 1)->copied));
    say_nothing();
    tell(f, 100);
    take(f); /* back, and apart: since when is not known */
    assert_int_equal(region_of(f, 1)->lost.why, WHY_SWAP_HOLDERS);
    tell(f, -100);
    take(f); /* given back */
    assert_int_equal(region_of(f, 1)->lost.n, 0);
    assert_true(value_is_known(region_of(f, 1)->lost));
}

/* Both in one slot is in common, and neither has copied anything. */
static void test_sampler__a_slot_of_swap_is_in_common(void **state)
{
    struct fixture *f = *state;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    say_swapped(f, 0, 7, 100);
    take(f);
    for (int i = 0; i < 2; i++)
        assert_true(value_is_known(region_of(f, i)->copied) && region_of(f, i)->copied.n == 0);
    assert_true(value_is_known(region_of(f, 1)->lost) && region_of(f, 1)->lost.n == 0);
    /* Until both have it back, each in a frame of its own. */
    tell(f, 100);
    say_nothing();
    take(f);
    assert_int_equal(region_of(f, 1)->lost.n, 100);
}

/* A frame that nobody counts as mapped, as the zero page is. */
static uint64_t frame_of_nobody(void)
{
    FILE *counts = fopen("/proc/kpagecount", "r");
    uint64_t count = 1, frame = 0;

    assert_non_null(counts);
    assert_int_equal(fseek(counts, 8, SEEK_SET), 0);
    while (count && fread(&count, sizeof count, 1, counts) == 1)
        frame++;
    fclose(counts);
    assert_int_equal(count, 0);
    return frame;
}

/* By invented words, because not every kernel gives readers the zero page. */
static void test_sampler__a_write_over_the_zero_page_copies_nothing(void **state)
{
    struct fixture *f = *state;
    const struct sample_region *r;
    int64_t risk;

    if (!frames())
        skip_needs("frames");
    start(f, false);
    take(f);
    risk = region_of(f, 1)->q[RQ_AT_RISK].n;
    lie.word = PM_PRESENT | frame_of_nobody();
    lie.page = (uintptr_t)f->memory / (uint64_t)page_size;
    lie.n = 100;
    lie.pid = f->child;
    take(f);
    lie.n = lie.word = 0;
    lie.pid = 0;
    r = region_of(f, 1);
    assert_int_equal(r->q[RQ_ZERO].n, 100);
    assert_int_equal(r->q[RQ_AT_RISK].n, risk); /* the next write costs a frame all the same */
    tell(f, 100);
    take(f);
    assert_int_equal(region_of(f, 1)->q[RQ_ZERO].n, 0);
    assert_int_equal(region_of(f, 1)->copied.n, 0);
    assert_int_equal(region_of(f, 1)->lost.n, 0);
}

/* Each page of a private mapping of it is its own. */
static void test_sampler__private_dev_zero_has_no_object(void **state)
{
    struct fixture *f = *state;
    int fd = open("/dev/zero", O_RDWR);
    const size_t len = (size_t)(64 * page_size);
    volatile char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    const struct value *q;

    if (!caps.have[CAP_ZERO_PAGE] || !caps.have[CAP_PAGEMAP_SCAN])
        skip_needs("zero_page and pagemap_scan");
    for (int i = 0; i < 64; i++)
        (void)memory[i * page_size];
    for (int no_frames = frames() ? 0 : 1; no_frames < 2; no_frames++) {
        sampler_free(f->s);
        start(f, no_frames);
        take(f);
        q = region_at(f, 0, (void *)memory)->q;
        assert_true(value_is_known(q[RQ_ZERO]) && q[RQ_ZERO].n == 64);
        assert_true(value_is_known(q[RQ_AT_RISK]) && q[RQ_AT_RISK].n == 64);
        assert_true(value_is_known(q[RQ_REF_COUNT]) && q[RQ_REF_COUNT].n == 0);
    }
    munmap((void *)memory, len);
    close(fd);
}

/* Memory by itself, with reserved memory around it: nothing of its neighbours is read with it. */
static char *map_apart(size_t bytes, size_t align)
{
    size_t around = 32 << 20;
    char *all = mmap(NULL, bytes + 2 * around, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = (char *)(((uintptr_t)all + around + align - 1) & ~(align - 1));

    assert_ptr_not_equal(all, MAP_FAILED);
    assert_int_equal(mprotect(at, bytes, PROT_READ | PROT_WRITE), 0);
    return at;
}

/* smaps counts no zero page: a mapping of nothing else is read all the same. */
static void test_sampler__a_mapping_of_zero_pages_is_read(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_apart((size_t)(64 * page_size), 2 << 20);
    const struct sample_region *r;

    if (!frames())
        skip_needs("frames");
    madvise((void *)memory, (size_t)(64 * page_size), MADV_NOHUGEPAGE);
    for (int i = 0; i < 64; i++)
        (void)memory[i * page_size];
    start(f, false);
    take(f);
    r = region_at(f, 0, (void *)memory);
    assert_int_equal(r->q[RQ_NONE].n, 0);
    if (r->q[RQ_MAPPED].n)
        skip_needs("a kernel that gives readers the zero page");
    assert_int_equal(r->q[RQ_ZERO].n, 64);
    assert_int_equal(r->q[RQ_AT_RISK].n, 64);
    assert_int_equal(r->parent_pages.n, 0);
}

/* What a parent and its child both only read they have not in common: it is nobody's. */
static void test_sampler__zero_pages_are_not_in_common(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_apart((size_t)(64 * page_size), 2 << 20);

    if (!frames())
        skip_needs("frames");
    madvise((void *)memory, (size_t)(64 * page_size), MADV_NOHUGEPAGE);
    memory[0] = 1;
    for (int i = 1; i < 64; i++)
        (void)memory[i * page_size];
    end_child(f);
    assert_int_equal(begin_child(f), 0);
    memory[0] = 2; /* the two page tables are not alike */
    start(f, false);
    take(f);
    if (region_at(f, 1, (void *)memory)->q[RQ_MAPPED].n > 1)
        skip_needs("a kernel that gives readers the zero page");
    assert_int_equal(region_at(f, 1, (void *)memory)->q[RQ_ZERO].n, 63);
    assert_int_equal(region_at(f, 1, (void *)memory)->parent_pages.n, 0);
}

/* Reading untouched memory where huge pages are wanted maps the huge zero page, which this and that
 * kernel calls a file's. It is nobody's memory, and in common of none. */
static void test_sampler__the_huge_zero_page_is_no_memory(void **state)
{
    struct fixture *f = *state;
    size_t huge = caps.huge_page_size, len = 4 * huge;
    char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile char *aligned = memory + (huge - (uintptr_t)memory % huge);
    struct sample_target idle = {.parent = -1};
    int64_t kb;

    if (!frames() || !caps.have[CAP_THP] || !caps.have[CAP_ZERO_PAGE])
        skip_needs("frames, thp and zero_page");
    end_child(f);
    madvise(memory, len, MADV_HUGEPAGE);
    (void)aligned[0];
    (void)aligned[huge];
    assert_int_equal(begin_child(f), 0);
    start(f, false);
    idle.pid = f->child;
    assert_int_equal(sampler_take(f->s, &idle, 1, &f->sample, &f->e), 0);
    assert_int_equal(region_at(f, 0, memory)->q[RQ_ZERO].n, 2 * huge / (size_t)page_size);
    kb = mapped_kb(f, 0);
    assert_true(f->sample->totals[TQ_DISTINCT].n <= kb);
    assert_true(sampler_common(f->s, 0, 0).n <= kb * 1024 / page_size);
    munmap(memory, len);
}

static void test_sampler__large_folios_leave_at_risk_in_doubt(void **state)
{
    struct fixture *f = *state;
    size_t len = 8 << 20;
    char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct sample_region *r;

    if (!frames())
        skip_needs("frames");
    madvise(memory, len, MADV_HUGEPAGE);
    memset(memory, 1, len);
    start(f, false);
    take(f);
    r = region_at(f, 0, memory);
    if (r->q[RQ_HUGE].n == 0)
        skip_needs("thp");
    assert_int_equal(r->q[RQ_AT_RISK].why, WHY_LARGE_FOLIO);
    assert_int_equal(f->sample->processes[0].q[WQ_AT_RISK].why, WHY_LARGE_FOLIO);
    munmap(memory, len);
}

/* What is in huge pages stays there when no more are wanted. */
static void test_sampler__huge_pages_from_before_leave_at_risk_in_doubt(void **state)
{
    struct fixture *f = *state;
    size_t len = 8 << 20;
    char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct value *q;

    madvise(memory, len, MADV_HUGEPAGE);
    memset(memory, 1, len);
    madvise(memory, len, MADV_NOHUGEPAGE);
    start(f, true);
    take(f);
    q = region_at(f, 0, memory)->q;
    if (q[RQ_HUGE].n == 0)
        skip_needs("thp");
    assert_int_equal(q[RQ_AT_RISK].why, WHY_LARGE_FOLIO);
    assert_int_equal(q[RQ_COW].why, WHY_LARGE_FOLIO);
    assert_int_equal(q[RQ_REF_COUNT].why, WHY_LARGE_FOLIO);
    munmap(memory, len);
}

/* The child alone is watched: of whom it was forked nothing is known here. */
static void test_sampler__a_parent_that_is_not_watched_is_the_reason(void **state)
{
    struct fixture *f = *state;
    struct sample_target targets[] = {{.pid = f->child, .parent = -1}};

    start(f, false);
    assert_int_equal(sampler_take(f->s, targets, 1, &f->sample, &f->e), 0);
    assert_int_equal(f->sample->processes[0].q[WQ_LOST].why, WHY_PARENT_UNWATCHED);
}

/* Nothing is left to compare with: it may have lost all the same. */
static void test_sampler__without_its_parent_a_loss_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct sample_target alone[] = {{.pid = f->child, .parent = -1}};

    start(f, false);
    take(f);
    assert_int_equal(sampler_take(f->s, alone, 1, &f->sample, &f->e), 0);
    assert_int_equal(f->sample->processes[0].q[WQ_LOST].why, WHY_GONE);
}

/* -- exec ------------------------------------------------------------------------------- */

static int holds[2]; /* what the program writes to once it runs */

/* This program anew, which then waits to be killed. */
static void exec_holder(void)
{
    char fd[16];

    snprintf(fd, sizeof fd, "%d", holds[1]);
    execl("/proc/self/exe", "test_sampler", "hold", fd, (char *)NULL);
    _exit(1);
}

static int hold(const char *fd)
{
    if (write(atoi(fd), "x", 1) == 1)
        for (;;)
            pause();
    return 1;
}

static void wait_for_holder(void)
{
    char byte;

    assert_int_equal(read(holds[0], &byte, 1), 1);
}

static void replace_child(struct fixture *f, pid_t pid)
{
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
    f->child = pid;
}

static void test_sampler__exec_of_the_same_program_is_no_loss(void **state)
{
    struct fixture *f = *state;
    int go[2];
    char byte = 1;
    pid_t pid;

    if (!frames())
        skip_needs("frames");
    assert_int_equal(pipe(holds) + pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        memset(f->memory, 2, (size_t)(400 * page_size));
        assert_int_equal(write(holds[1], &byte, 1), 1);
        assert_int_equal(read(go[0], &byte, 1), 1);
        exec_holder();
    }
    replace_child(f, pid);
    wait_for_holder();
    start(f, false);
    take(f);
    assert_false(f->sample->processes[1].own_program);
    assert_int_equal(write(go[1], &byte, 1), 1);
    wait_for_holder();
    take(f);
    assert_true(f->sample->processes[1].exec);
    assert_true(f->sample->processes[1].own_program);
    assert_false(value_is_known(f->sample->processes[1].q[WQ_LOST]));
    assert_int_not_equal(f->sample->processes[1].q[WQ_LOST].why, WHY_NO_FRAMES);
    take(f);
    assert_false(f->sample->processes[1].exec);
    assert_true(f->sample->processes[1].own_program);
    for (int i = 0; i < 2; i++) {
        close(holds[i]);
        close(go[i]);
    }
}

/* Where addresses are not random the auxiliary vector is the same. Parent and child are both forked
 * without randomness, so that nothing but the memory that went tells. */
static void test_sampler__exec_at_the_same_addresses_is_seen(void **state)
{
    struct fixture *f = *state;
    struct sample_target targets[2] = {{.parent = -1}, {.parent = 0}};
    int go[2], told[2];
    char byte = 1;

    assert_int_equal(pipe(holds) + pipe(go) + pipe(told), 0);
    targets[0].pid = fork();
    if (targets[0].pid == 0) {
        char to[16], from[16], back[16];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        personality(ADDR_NO_RANDOMIZE);
        snprintf(to, sizeof to, "%d", holds[1]);
        snprintf(from, sizeof from, "%d", go[0]);
        snprintf(back, sizeof back, "%d", told[1]);
        execl("/proc/self/exe", "test_sampler", "fork1", to, from, back, (char *)NULL);
        _exit(1);
    }
    wait_for_holder();
    assert_int_equal(read(told[0], &targets[1].pid, sizeof(pid_t)), sizeof(pid_t));
    start(f, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sampler_take(f->s, targets, 2, &f->sample, &f->e), 0);
        assert_int_equal(f->sample->processes[1].why, WHY_KNOWN);
        assert_int_equal(f->sample->processes[1].exec, i == 1);
        assert_int_equal(f->sample->processes[1].own_program, i >= 1);
        assert_int_equal(f->sample->processes[0].exec, false);
        if (i == 0) {
            assert_int_equal(write(go[1], &byte, 1), 1);
            wait_for_holder();
        }
    }
    kill(targets[1].pid, SIGKILL);
    kill(targets[0].pid, SIGKILL);
    waitpid(targets[0].pid, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(holds[i]);
        close(go[i]);
        close(told[i]);
    }
}

/* Forks a child, which executes this again when it is told to. */
static int twice(char **argv)
{
    pid_t pid = fork();
    char byte;

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(atoi(argv[2]), "x", 1) == 1 && read(atoi(argv[3]), &byte, 1) == 1) {
            argv[1] = "hold1"; /* as long: the stack is where it was */
            execv("/proc/self/exe", argv);
        }
        _exit(1);
    }
    if (write(atoi(argv[4]), &pid, sizeof pid) == sizeof pid)
        for (;;)
            pause();
    return 1;
}

/* Whose program may not be read may run any. */
static void test_sampler__the_program_of_a_parent_that_may_not_be_read_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct sample_target targets[2] = {{.parent = -1}, {.parent = 0}};
    int told[2];

    if (geteuid() == 0)
        skip_needs("an ordinary user");
    assert_int_equal(pipe(told), 0);
    targets[0].pid = fork();
    if (targets[0].pid == 0) {
        pid_t pid = fork();

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pid)
            prctl(PR_SET_DUMPABLE, 0);
        if (pid && write(told[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(told[0], &targets[1].pid, sizeof(pid_t)), sizeof(pid_t));
    start(f, false);
    assert_int_equal(sampler_take(f->s, targets, 2, &f->sample, &f->e), 0);
    assert_int_equal(f->sample->processes[1].why, WHY_KNOWN);
    assert_int_equal(f->sample->processes[1].own_program, -1);
    kill(targets[0].pid, SIGKILL);
    waitpid(targets[0].pid, NULL, 0);
    close(told[0]);
    close(told[1]);
}

/* What one process has no descriptor of, another one has. */
static void test_sampler__an_object_is_asked_through_who_has_it(void **state)
{
    struct fixture *f = *state;
    volatile char *memory = map_object(100);
    struct value risk;

    end_child(f);
    assert_int_equal(begin_child(f), 0);
    close(object);
    start(f, true);
    take(f);
    risk = region_at(f, 1, (void *)memory)->q[RQ_AT_RISK];
    assert_true(value_is_known(risk) && risk.n == 100);
    munmap((void *)memory, (size_t)(100 * page_size));
}

static int go_read;

static int borrow(void *arg)
{
    char byte;

    (void)arg;
    if (read(go_read, &byte, 1) == 1)
        exec_holder();
    return 1;
}

/* As between vfork and exec, which stops the parent; this one goes on. */
static void test_sampler__memory_of_the_parent_is_not_the_childs(void **state)
{
    struct fixture *f = *state;
    char *stack = malloc(65536);
    int go[2];
    pid_t pid;

    if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) != 0)
        skip_needs("kcmp");
    assert_int_equal(pipe(holds) + pipe(go), 0);
    go_read = go[0];
    pid = clone(borrow, stack + 65536, CLONE_VM | SIGCHLD, NULL);
    assert_true(pid > 0);
    replace_child(f, pid);
    start(f, false);
    take(f);
    assert_int_equal(f->sample->processes[1].why, WHY_BORROWED_MEMORY);
    assert_false(value_is_known(f->sample->processes[1].fp.rss_kb));
    assert_int_not_equal(f->sample->growth_kb.why, WHY_BORROWED_MEMORY);
    assert_int_equal(write(go[1], "x", 1), 1);
    wait_for_holder();
    take(f);
    assert_int_equal(f->sample->processes[1].why, WHY_KNOWN);
    assert_true(f->sample->processes[1].own_program);
    assert_false(value_is_known(f->sample->processes[1].q[WQ_LOST_BEFORE]));
    /* Its own memory by now, which is smaller by all that the test has filled. */
    assert_true(f->sample->processes[1].fp.rss_kb.n <
                f->sample->processes[0].fp.rss_kb.n - PAGES / 2 * page_size / 1024);
    free(stack);
    for (int i = 0; i < 2; i++) {
        close(holds[i]);
        close(go[i]);
    }
}

static void test_sampler__a_process_that_goes_is_gone(void **state)
{
    struct fixture *f = *state;

    start(f, false);
    take(f);
    assert_int_equal(f->sample->processes[1].why, WHY_KNOWN);
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
    take(f);
    assert_int_equal(f->sample->processes[1].why, WHY_GONE);
    assert_int_equal(f->sample->processes[0].why, WHY_KNOWN);
    assert_false(value_is_known(f->sample->processes[1].q[WQ_COW]));
}

/* The number alone is not the process. */
static void test_sampler__another_start_time_is_another_process(void **state)
{
    struct fixture *f = *state;
    struct sample_target t = {.pid = getpid(), .start_time = 1, .parent = -1};

    start(f, false);
    assert_int_equal(sampler_take(f->s, &t, 1, &f->sample, &f->e), 0);
    assert_int_equal(f->sample->processes[0].why, WHY_GONE);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_sampler__a_fork_shares_and_writes_copy),
        T(test_sampler__what_the_parent_copies_the_child_loses),
        T(test_sampler__a_copy_that_is_forked_at_once_is_a_copy),
        T(test_sampler__what_is_given_back_is_not_lost),
        T(test_sampler__a_child_that_ends_while_it_is_read),
        T(test_sampler__a_child_that_ends_while_its_counters_are_read),
        T(test_sampler__debt_is_seen_though_pages_were_trusted),
        T(test_sampler__bins_tell_where),
        T(test_sampler__common_frames_are_those_of_both),
        T(test_sampler__counters_alone_conclude_and_say_so),
        T(test_sampler__counters_do_not_tell_who_holds_slots),
        T(test_sampler__counters_leave_the_zero_page_to_a_scan),
        T(test_sampler__counters_of_huge_pages_are_their_own),
        T(test_sampler__unmapped_pages_of_an_object_are_at_risk),
        T(test_sampler__counters_do_not_tell_what_a_copy_hides),
        T(test_sampler__an_object_of_which_nothing_is_mapped_has_users),
        T(test_sampler__shared_memory_is_its_mappers),
        T(test_sampler__counters_see_who_maps_shared_memory),
        T(test_sampler__writes_to_an_objects_pages_copy_them),
        T(test_sampler__pages_of_an_object_are_copied_unmapped),
        T(test_sampler__a_page_that_is_given_back_meanwhile_leaves_no_doubt),
        T(test_sampler__too_few_descriptors_are_an_error),
        T(test_sampler__a_large_object_is_counted_not_searched),
        T(test_sampler__what_was_lost_before_is_bounded),
        T(test_sampler__a_shared_page_that_moves_is_not_copied),
        T(test_sampler__what_went_to_swap_was_lost_before),
        T(test_sampler__what_swap_hides_is_not_known),
        T(test_sampler__a_slot_of_swap_is_in_common),
        T(test_sampler__a_write_over_the_zero_page_copies_nothing),
        T(test_sampler__a_mapping_of_zero_pages_is_read),
        T(test_sampler__private_dev_zero_has_no_object),
        T(test_sampler__zero_pages_are_not_in_common),
        T(test_sampler__the_huge_zero_page_is_no_memory),
        T(test_sampler__large_folios_leave_at_risk_in_doubt),
        T(test_sampler__huge_pages_from_before_leave_at_risk_in_doubt),
        T(test_sampler__a_parent_that_is_not_watched_is_the_reason),
        T(test_sampler__without_its_parent_a_loss_is_unknown),
        T(test_sampler__exec_of_the_same_program_is_no_loss),
        T(test_sampler__exec_at_the_same_addresses_is_seen),
        T(test_sampler__the_program_of_a_parent_that_may_not_be_read_is_unknown),
        T(test_sampler__an_object_is_asked_through_who_has_it),
        T(test_sampler__memory_of_the_parent_is_not_the_childs),
        T(test_sampler__a_process_that_goes_is_gone),
        T(test_sampler__another_start_time_is_another_process),
    };

    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    if (argc == 5 && strcmp(argv[1], "fork1") == 0)
        return twice(argv);
    if (argc == 5 && strcmp(argv[1], "hold1") == 0)
        return hold(argv[2]);
    caps_probe(&caps);
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
