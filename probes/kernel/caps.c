#include "probes/caps.h"
#include "probes/hugefile.h"
#include "probes/kernel/reader.h"
#include "probes/kernel/selftest.h"
#include "probes/maps.h"
#include "probes/slurp.h"
#include "probes/system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* the same on every architecture (Linux 6.5) */
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define CAP_ROW(e, name, unlocks, how) {name, unlocks, how},
const struct cap_row cap_rows[] = {CAPABILITIES(CAP_ROW){NULL, NULL, NULL}};

int cap_index(const char *name)
{
    for (int i = 0; cap_rows[i].name; i++)
        if (strcmp(cap_rows[i].name, name) == 0)
            return i;
    return -1;
}

__attribute__((format(printf, 3, 4))) static void missing(struct caps *c, enum cap cap,
                                                          const char *reason, ...)
{
    va_list ap;

    c->have[cap] = c->hidden[cap] = false;
    va_start(ap, reason);
    vsnprintf(c->reason[cap], sizeof c->reason[cap], reason, ap);
    va_end(ap);
}

/* code: 0 have it, or a positive errno. Where no huge page is reserved there is no memory for one.
 */
static void decide(struct caps *c, enum cap cap, int code)
{
    if (is_exhausted(-code) && cap != CAP_HUGETLB)
        c->failed = -code;

    c->have[cap] = code == 0;
    c->hidden[cap] = false;
    c->reason[cap][0] = '\0';
    if (code == ENOMSG)
        missing(c, cap, "the kernel's answer to the self-test was not as expected");
    else if (code == ENODATA)
        missing(c, cap, "no transparent huge page could be had to test it with");
    else if (code == ENOTTY || code == ENOSYS)
        missing(c, cap, "not in this kernel");
    else if (code)
        missing(c, cap, "%s", strerror(code));
}

/* Of what takes the page files to try. */
static void decide_by_files(struct caps *c, enum cap cap, int code)
{
    decide(c, cap, code);
    if (code != EPERM)
        return;
    missing(c, cap, "not visible to you without frames, kpagecount and kpageflags");
    c->hidden[cap] = true;
}

static void take_selftest(struct caps *c, const struct selftest *t)
{
    decide(c, CAP_PAGEMAP, t->pagemap);
    decide(c, CAP_FRAMES, t->frames);
    decide(c, CAP_KPAGECOUNT, t->kpagecount);
    decide(c, CAP_KPAGEFLAGS, t->kpageflags);
    decide_by_files(c, CAP_DEBT, t->debt);
    decide_by_files(c, CAP_PAGE_MAPCOUNT, t->page_mapcount);
    decide(c, CAP_SOFT_DIRTY, t->soft_dirty);
    decide(c, CAP_ZERO_PAGE, t->zero_page);
    if (t->zero_page == ENODATA)
        missing(c, CAP_ZERO_PAGE, "a page that was only read is the reader's own on this kernel");
    if (t->frames == EPERM)
        missing(c, CAP_FRAMES, "page frame numbers read as 0 without CAP_SYS_ADMIN");
}

/* The child's memory is its own, so an ordinary user can run the pagemap part; only if frames are
 * hidden is the helper tried. */
static void probe_page_files(struct caps *c)
{
    struct selftest t;
    struct page_reader r;
    int code;

    reader_open(&r, false);
    selftest_run(&t, c->page_size, c->huge_page_size, &r);
    reader_close(&r);
    take_selftest(c, &t);
    if (c->have[CAP_FRAMES] && c->have[CAP_KPAGECOUNT] && c->have[CAP_KPAGEFLAGS])
        return;
    reader_open(&r, true);
    code = r.no_flags;
    if (r.helper) {
        selftest_run(&t, c->page_size, c->huge_page_size, &r);
        code = t.frames;
        c->via_helper = code == 0;
    }
    if (code && !c->have[CAP_FRAMES] && code != ENOENT && code != EPERM) {
        missing(c, CAP_FRAMES, "the helper cannot be %s: %s", r.helper ? "asked" : "started",
                strerror(code));
        c->failed = is_exhausted(-code) ? -code : c->failed;
    }
    reader_close(&r);
    if (c->via_helper)
        take_selftest(c, &t);
}

static int stop_at_first(void *arg, const struct scan_range *range)
{
    *(struct scan_range *)arg = *range;
    return 1;
}

/* A page that was only read must be told as the zero page, where there is one. */
static int try_scan(uint64_t page_size, bool zero_page)
{
    struct scan_range found = {0};
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), rc;
    volatile char *page =
        mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t start = (uintptr_t)page;

    if (fd < 0 || page == MAP_FAILED)
        return errno;
    (void)page[0];
    rc = pagemap_scan(fd, start, start + page_size, SCAN_PRESENT, SCAN_ZERO | SCAN_PRESENT,
                      stop_at_first, &found, NULL);
    munmap((void *)page, page_size);
    close(fd);
    if (rc < 0)
        return -rc;
    return rc == 1 && !(found.categories & SCAN_ZERO) == !zero_page ? 0 : ENOMSG;
}

static int try_query(void)
{
    struct map_entry entry;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return errno;
    rc = maps_query(fd, (uintptr_t)&entry, &entry);
    close(fd);
    return -rc;
}

/* Does the file exist, and hold the word? */
static int try_text(const char *path, const char *word)
{
    struct slurp text = {0};
    int rc = slurp_path(&text, path);

    if (rc == 0 && !strstr(text.text, word))
        rc = -ENOMSG;
    slurp_release(&text);
    return -rc;
}

static int try_cachestat(void)
{
    struct {
        uint64_t start, len;
    } range = {0, 0};
    uint64_t stat[5];
    int fd = memfd_create("cowlab-caps", MFD_CLOEXEC), rc;

    if (fd < 0)
        return errno;
    rc = syscall(SYS_cachestat, fd, &range, stat, 0) < 0 ? errno : 0;
    close(fd);
    return rc;
}

/* Write-protects a page that was only read: that is all of it which the lab uses. */
static int try_userfaultfd(size_t page_size)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), code = 0;
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    volatile char *page =
        mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register all = {{(uintptr_t)page, page_size}, UFFDIO_REGISTER_MODE_WP, 0};
    struct uffdio_writeprotect protect = {all.range, UFFDIO_WRITEPROTECT_MODE_WP};

    if (fd < 0 || page == MAP_FAILED) {
        code = errno;
    } else {
        (void)page[0];
        if (ioctl(fd, UFFDIO_API, &api) < 0)
            code = ENOSYS; /* it has no write protection */
        else if (ioctl(fd, UFFDIO_REGISTER, &all) < 0 ||
                 ioctl(fd, UFFDIO_WRITEPROTECT, &protect) < 0)
            code = errno;
    }
    if (page != MAP_FAILED)
        munmap((void *)page, page_size);
    if (fd >= 0)
        close(fd);
    return code;
}

static int try_huge_file(void)
{
    int fd = huge_file();

    if (fd < 0)
        return -fd;
    close(fd);
    return 0;
}

/* Makes a cgroup and takes it away again. */
static void probe_cgroup(struct caps *c)
{
    char parent[4096], path[4200], file[4300];
    struct err e = {""};
    int version = system_cgroup_parent(parent, sizeof parent, &e);

    if (!version) {
        missing(c, CAP_CGROUP, "%s", e.msg);
        return;
    }
    snprintf(path, sizeof path, "%s/cowlab-caps-%d", parent, (int)getpid());
    if (mkdir(path, 0755) < 0) {
        missing(c, CAP_CGROUP, "%s", strerror(errno));
        return;
    }
    snprintf(file, sizeof file, "%s/%s", path,
             version == 1 ? "memory.usage_in_bytes" : "memory.current");
    if (access(file, R_OK) == 0)
        decide(c, CAP_CGROUP, 0);
    else
        missing(c, CAP_CGROUP, "the memory controller is not delegated to this cgroup");
    rmdir(path);
}

static void probe_huge(struct caps *c)
{
    struct slurp text = {0};
    unsigned long long kb;
    void *huge;
    size_t size = 0;

    if (slurp_path(&text, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") == 0)
        c->huge_page_size = strtoull(text.text, NULL, 10);
    if (slurp_path(&text, "/sys/kernel/mm/transparent_hugepage/enabled") < 0)
        missing(c, CAP_THP, "not in this kernel");
    else if (strstr(text.text, "[never]"))
        missing(c, CAP_THP, "switched off");
    else
        decide(c, CAP_THP, 0);
    if (slurp_path(&text, "/proc/meminfo") == 0 && slurp_number(&text, "Hugepagesize:", &kb) == 0)
        size = (size_t)kb * 1024;
    slurp_release(&text);
    /* Reserves one page without touching it. */
    huge =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    decide(c, CAP_HUGETLB, huge == MAP_FAILED ? errno : 0);
    if (huge != MAP_FAILED)
        munmap(huge, size);
    if (!c->huge_page_size)
        c->huge_page_size = size;
}

static void probe_swap(struct caps *c)
{
    struct slurp text = {0};
    char *second;

    missing(c, CAP_SWAP, "no swap space is in use");
    if (slurp_path(&text, "/proc/swaps") == 0 && (second = strchr(text.text, '\n')) && second[1])
        decide(c, CAP_SWAP, 0);
    slurp_release(&text);
}

/* Hides what COWLAB_DISABLE lists, and what cannot work without it. */
static void apply_disable(struct caps *c)
{
    static const enum cap needs[][2] = {
        {CAP_FRAMES, CAP_PAGEMAP},          {CAP_PAGEMAP_SCAN, CAP_PAGEMAP},
        {CAP_ZERO_PAGE, CAP_PAGEMAP},       {CAP_SOFT_DIRTY, CAP_PAGEMAP},
        {CAP_KPAGECOUNT, CAP_FRAMES},       {CAP_KPAGEFLAGS, CAP_FRAMES},
        {CAP_DEBT, CAP_KPAGEFLAGS},         {CAP_DEBT, CAP_KPAGECOUNT},
        {CAP_PAGE_MAPCOUNT, CAP_KPAGECOUNT}};
    const char *list = getenv("COWLAB_DISABLE");

    for (int i = 0; i < CAP__COUNT; i++)
        if (list_names(list, cap_rows[i].name))
            missing(c, (enum cap)i, "switched off by COWLAB_DISABLE");
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (c->have[needs[i][0]] && !c->have[needs[i][1]])
            missing(c, needs[i][0], "needs %s", cap_rows[needs[i][1]].name);
}

void caps_probe(struct caps *c)
{
    struct utsname u;

    *c = (struct caps){.page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    if (uname(&u) == 0)
        snprintf(c->kernel, sizeof c->kernel, "%.20s %.60s %.20s", u.sysname, u.release, u.machine);
    probe_huge(c);
    probe_page_files(c);
    decide(c, CAP_PAGEMAP_SCAN, try_scan(c->page_size, c->have[CAP_ZERO_PAGE]));
    decide(c, CAP_PROCMAP_QUERY, try_query());
    decide(c, CAP_SMAPS, try_text("/proc/self/smaps", "Pss:"));
    decide(c, CAP_SMAPS_ROLLUP, try_text("/proc/self/smaps_rollup", "Pss:"));
    decide(c, CAP_CACHESTAT, try_cachestat());
    decide(c, CAP_USERFAULTFD, try_userfaultfd(c->page_size));
    decide(c, CAP_SHMEM_HUGE, try_huge_file());
    probe_cgroup(c);
    probe_swap(c);
    apply_disable(c);
}

int caps_tried(const struct caps *c, struct err *e)
{
    return c->failed ? err_sys(e, c->failed, "cannot try what this kernel shows") : 0;
}

int caps_refuse(pid_t pid, struct err *e)
{
    return err_set(e, EACCES, "cannot look at process %d: permission denied; it takes %s", (int)pid,
                   geteuid() ? "the process's own user, or root"
                             : "root with cap_sys_ptrace, which this one lacks (of a container?)");
}
