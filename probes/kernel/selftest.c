#include "probes/kernel/selftest.h"
#include "probes/kernel/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 10000

struct files {
    struct page_reader *reader;
    struct page_file own;
    uint64_t page_size;
};

/* In a forked child from here on to run_in_child: system calls only, no allocation. */

static int entry_of(const struct files *f, const volatile char *page, uint64_t *entry)
{
    int64_t n = reader_words(f->reader, &f->own, f->page_size, (uintptr_t)page, 1, entry, 1, NULL);

    return n == 1 ? 0 : n < 0 ? (int)-n : ENOMSG;
}

/* Its flags, or its map count. */
static int ask(const struct files *f, bool counts, const volatile char *page, uint64_t *answer)
{
    uint64_t entry, number = (uintptr_t)page / f->page_size;
    int rc = entry_of(f, page, &entry);

    if (rc)
        return rc;
    entry = PM_FRAME(entry);
    rc = -reader_ask(f->reader, &f->own, counts, &number, &entry, answer, 1, 1, NULL);
    return rc ? rc : *answer == KPAGE_NONE ? ENOMSG : 0;
}

/* Forks; the child unmaps `drop`, says so, and stays until the caller closes *held. */
static pid_t fork_sharer(char *drop, size_t len, int *held)
{
    int pair[2];
    char byte = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        if (drop)
            munmap(drop, len);
        _exit(write(pair[1], &byte, 1) != 1 || read(pair[1], &byte, 1) < 0);
    }
    close(pair[1]);
    *held = pair[0];
    if (pid < 0)
        fd_close(held);
    else if (read(*held, &byte, 1) != 1)
        byte = 1; /* it has ended: the tests show it */
    return pid;
}

static void end_sharer(pid_t pid, int held)
{
    close(held);
    waitpid(pid, NULL, 0);
}

/* A fresh written page is anon-exclusive; a fork and the child's exit leave it mapped once and
 * not exclusive; the next write makes it exclusive again. */
static int test_debt(const struct files *f, volatile char *page)
{
    uint64_t fresh, count, left, entry, paid;
    int held;
    pid_t pid;

    page[0] = 1;
    if (ask(f, false, page, &fresh))
        return ENOMSG;
    pid = fork_sharer(NULL, 0, &held);
    if (pid < 0)
        return errno;
    end_sharer(pid, held);
    if (ask(f, true, page, &count) || ask(f, false, page, &left) || entry_of(f, page, &entry))
        return ENOMSG;
    page[0] = 2;
    if (ask(f, false, page, &paid))
        return ENOMSG;
    if (!(fresh & KPF_ANON_EXCLUSIVE) || (left & KPF_ANON_EXCLUSIVE) || count != 1 ||
        !(entry & PM_EXCLUSIVE) || !(paid & KPF_ANON_EXCLUSIVE))
        return ENOMSG;
    return 0;
}

/* A huge page of which the sharer has unmapped one half: its first page must count 2, its last 1.
 * A kernel that keeps only averages gives the same for both. */
static int test_page_mapcount(const struct files *f, uint64_t huge_size)
{
    uint64_t first = 0, last = 0, flags = 0;
    int held = -1, rc = ENODATA;
    char *raw, *huge;
    pid_t pid;

    raw = mmap(NULL, 2 * huge_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return errno;
    huge = (char *)(((uintptr_t)raw + huge_size - 1) & ~(uintptr_t)(huge_size - 1));
    if (madvise(huge, huge_size, MADV_HUGEPAGE) < 0)
        return ENODATA;
    huge[0] = 1;
    if (ask(f, false, huge, &flags) || !(flags & KPF_THP))
        return ENODATA;
    pid = fork_sharer(huge + huge_size / 2, huge_size / 2, &held);
    if (pid < 0)
        return errno;
    if (ask(f, true, huge, &first) == 0 &&
        ask(f, true, huge + huge_size - f->page_size, &last) == 0)
        rc = first == 2 && last == 1 ? 0 : ENOMSG;
    end_sharer(pid, held);
    munmap(raw, 2 * huge_size);
    return rc;
}

static int test_soft_dirty(const struct files *f, volatile char *page)
{
    uint64_t clean, dirty;
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return errno;
    page[0] = 3;
    n = write(fd, "4", 1);
    close(fd);
    if (n != 1 || entry_of(f, page, &clean))
        return ENOMSG;
    page[0] = 4;
    if (entry_of(f, page, &dirty))
        return ENOMSG;
    if (!(dirty & PM_SOFT_DIRTY))
        return ENOTTY; /* a kernel that has the bit sets it at every write */
    return clean & PM_SOFT_DIRTY ? ENOMSG : 0;
}

/* A page that was only read: bit 56 set says that it is this process's own, and no zero page. */
static int test_zero_page(const struct files *f)
{
    volatile char *page =
        mmap(NULL, f->page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t entry = 0;

    if (page == MAP_FAILED)
        return errno;
    (void)page[0];
    if (entry_of(f, page, &entry) || !(entry & PM_PRESENT))
        return ENOMSG;
    return entry & PM_EXCLUSIVE ? ENODATA : 0;
}

static void run_tests(struct selftest *t, uint64_t page_size, uint64_t huge_size,
                      struct page_reader *reader)
{
    struct files f = {reader, READER_NONE, page_size};
    uint64_t entry = 0, word;
    char *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return;
    page[0] = 1;
    t->pagemap = -reader_attach(reader, getpid(), true, &f.own);
    if (t->pagemap == 0)
        t->pagemap = entry_of(&f, page, &entry);
    if (t->pagemap == 0 && !(entry & PM_PRESENT))
        t->pagemap = ENOMSG;
    t->zero_page = t->pagemap ? t->pagemap : test_zero_page(&f);
    t->soft_dirty = t->pagemap ? t->pagemap : test_soft_dirty(&f, page);
    t->frames = t->pagemap ? t->pagemap : PM_FRAME(entry) ? 0 : EPERM;
    t->kpagecount = reader->no_counts ? reader->no_counts : ask(&f, true, page, &word);
    t->kpageflags = reader->no_flags ? reader->no_flags : ask(&f, false, page, &word);
    if (t->frames || t->kpagecount || t->kpageflags) {
        t->debt = t->page_mapcount = EPERM;
        return;
    }
    t->debt = test_debt(&f, page);
    t->page_mapcount = huge_size ? test_page_mapcount(&f, huge_size) : ENODATA;
}

static struct selftest all_for(int error)
{
    return (struct selftest){error, error, error, error, error, error, error, error};
}

void selftest_run(struct selftest *out, uint64_t page_size, uint64_t huge_size,
                  struct page_reader *reader)
{
    struct selftest t = all_for(EIO);
    struct pollfd pfd;
    int pipefd[2];
    pid_t pid;

    if (pipe2(pipefd, O_CLOEXEC) < 0) {
        *out = all_for(errno);
        return;
    }
    pid = fork();
    *out = pid < 0 ? all_for(errno) : t;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_tests(&t, page_size, huge_size, reader);
        _exit(write(pipefd[1], &t, sizeof t) == sizeof t ? 0 : 1);
    }
    close(pipefd[1]);
    pfd = (struct pollfd){.fd = pipefd[0], .events = POLLIN};
    if (pid > 0 && poll(&pfd, 1, DEADLINE_MS) == 1 && read(pipefd[0], &t, sizeof t) == sizeof t)
        *out = t;
    close(pipefd[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}
