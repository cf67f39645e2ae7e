/* Everything an actor does to regions with plain Linux calls. */
#include "lab/linux/actor/actor.h"
#include "lab/machmsg/trace.h"
#include "probes/hugefile.h"
#include "probes/slurp.h"
#include "probes/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT /* Linux 5.4 */
#define MADV_PAGEOUT 21
#endif

/* Pages between two looks at the clock for progress. */
#define PROGRESS_PAGES 16384
#define PROGRESS_NS 200000000u

static size_t page_size(void)
{
    static size_t size;

    if (!size)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* A hole for len bytes with inaccessible memory on both sides, so that the region's entry never
 * merges with a neighbour:
 *
 *     | PROT_NONE | region (len, aligned) | PROT_NONE |
 *
 * Regions of at least one huge page are aligned to it: otherwise THP could not happen. */
static void *reserve(struct actor *a, size_t len, size_t align)
{
    size_t slack = align + page_size();
    char *hole =
        mmap(NULL, len + 2 * slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (hole == MAP_FAILED) {
        actor_fail(a, errno, "cannot reserve address space");
        return NULL;
    }
    return (void *)round_up((uintptr_t)hole + page_size(), align);
}

void *actor_hole(struct actor *a, size_t len)
{
    size_t huge = a->in.huge_size;

    return reserve(a, len, huge && len >= huge ? huge : page_size());
}

/* Objects by where they are mapped; of more than there is room for, the oldest is forgotten. */
static struct kept_object {
    uint64_t start;
    int fd;
} objects[64];
static unsigned int nobjects;

void actor_keep_object(uint64_t start, int fd)
{
    objects[nobjects++ % (sizeof objects / sizeof *objects)] = (struct kept_object){start, fd};
}

static struct kept_object *find_object(uint64_t start)
{
    unsigned int room = sizeof objects / sizeof *objects;

    for (unsigned int i = 1; i <= room && i <= nobjects; i++)
        if (objects[(nobjects - i) % room].start == start)
            return &objects[(nobjects - i) % room];
    return NULL;
}

int actor_object(uint64_t start)
{
    const struct kept_object *o = find_object(start);

    return o ? o->fd : -1;
}

/* Fills the object behind fd with len bytes, each page stamped 'O' (for object). */
static int fill_object(int fd, size_t len)
{
    size_t ps = page_size();

    if (ftruncate(fd, (off_t)len) < 0)
        return -1;
    for (size_t page = 0; page < len / ps; page++) {
        struct page_stamp stamp = {STAMP_MAGIC, 'O', page};

        if (pwrite(fd, &stamp, sizeof stamp, (off_t)(page * ps)) != (ssize_t)sizeof stamp)
            return -1;
    }
    return 0;
}

static int open_object(struct actor *a, size_t len)
{
    int fd;

    if (a->in.kind == MK_SHMEM_HUGE) {
        fd = huge_file();
        errno = fd < 0 ? -fd : 0;
    } else if (a->in.kind == MK_FILE_PRIVATE) {
        char name[sizeof a->in.path + 32];

        snprintf(name, sizeof name, "%s/file-%d-XXXXXX", a->in.path, getpid());
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
    } else {
        fd = memfd_create("cowlab", MFD_CLOEXEC);
    }
    if (fd < 0)
        return actor_fail(a, errno, "cannot create the memory object");
    if (map_kind_is_shared(a->in.kind) ? ftruncate(fd, (off_t)len) : fill_object(fd, len)) {
        int error = errno;

        close(fd);
        return actor_fail(a, error, "cannot size or fill the memory object");
    }
    return fd;
}

static int kind_flags(uint32_t kind)
{
    switch (kind) {
    case MK_SHARED:
        return MAP_SHARED | MAP_ANONYMOUS;
    case MK_MEMFD_SHARED:
    case MK_SHMEM_HUGE:
        return MAP_SHARED;
    case MK_MEMFD_PRIVATE:
    case MK_FILE_PRIVATE:
        return MAP_PRIVATE;
    case MK_HUGETLB:
        return MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    default:
        return MAP_PRIVATE | MAP_ANONYMOUS;
    }
}

static uint64_t region_pages(const struct actor *a)
{
    return (a->in.len + page_size() - 1) / page_size();
}

static int is_object_kind(uint32_t kind)
{
    return kind == MK_MEMFD_SHARED || kind == MK_SHMEM_HUGE || kind == MK_MEMFD_PRIVATE ||
           kind == MK_FILE_PRIVATE;
}

static int is_mach_kind(uint32_t kind)
{
    return kind == MK_ORDINARY || kind == MK_PURGEABLE;
}

/* malloc'd memory stands for memory that the message layer did not allocate. Of a region pages are
 * written, advised and locked: malloc has to have nothing of its own in the last one. */
static int map_malloc(struct actor *a)
{
    void *p;
    int error = posix_memalign(&p, page_size(), round_up(a->in.len, page_size()));

    if (error)
        return actor_fail(a, error, "cannot allocate");
    a->out.start = (uintptr_t)p;
    a->out.len = a->in.len;
    return 0;
}

int actor_ACT_MAP(struct actor *a)
{
    size_t huge = a->in.huge_size;
    size_t len = round_up(a->in.len, a->in.kind == MK_HUGETLB && huge ? huge : page_size());
    int fd = -1;
    void *at, *p;

    if (is_mach_kind(a->in.kind))
        return actor_mach_map(a);
    if (a->in.kind == MK_MALLOC)
        return map_malloc(a);
    at = actor_hole(a, len);
    if (!at)
        return -1;
    if (is_object_kind(a->in.kind)) {
        fd = open_object(a, len);
        if (fd < 0)
            return -1;
    }
    cost_begin(a);
    p = mmap(at, len, PROT_READ | PROT_WRITE, kind_flags(a->in.kind) | MAP_FIXED, fd, 0);
    cost_end(a);
    /* Through the descriptor probes find the object's residency. */
    if (fd >= 0)
        actor_keep_object((uintptr_t)at, fd);
    if (p == MAP_FAILED)
        return actor_fail(
            a, errno, a->in.kind == MK_HUGETLB ? "cannot map huge pages" : "cannot map the region");
    a->out.start = (uintptr_t)p;
    a->out.len = len;
    return 0;
}

static void check_stamp(struct actor *a, const struct page_stamp *s, uint64_t page, uint64_t number)
{
    struct actor_reply *r = &a->out;

    r->checked++;
    if (s->magic == STAMP_MAGIC && s->letter == a->in.letter && s->page == number)
        return;
    if (r->wrong++ == 0) {
        r->first_wrong = page;
        r->found_letter = s->magic == STAMP_MAGIC ? s->letter : 0;
    }
}

/* A stamp at any address. */
struct __attribute__((packed)) loose_stamp {
    struct page_stamp stamp;
};

/* A page's stamp stands where the page began that it was first, and carries that one's number: what
 * was sent from within a page has it further on, and part of a page may have none. A sanitizer's
 * memory is not the region's: its faults would be counted as the write's. */
__attribute__((no_sanitize_address, no_sanitize_undefined)) static void
touch_page(struct actor *a, volatile char *base, uint64_t page)
{
    uint64_t ps = page_size(), number = (a->in.origin + ps - 1) / ps + page;
    uint64_t place = number * ps - a->in.origin, end = (page + 1) * ps;
    volatile struct loose_stamp *at = (volatile struct loose_stamp *)(base + place);
    struct page_stamp stamp;

    a->out.touched++;
    if (a->in.op == ACT_WRITE) {
        stamp_page(base, page * ps, end < a->in.reach ? end : a->in.reach, a->in.origin,
                   (unsigned int)ps, a->in.letter);
    } else if (place + sizeof stamp > a->in.reach || place % ps + sizeof stamp > ps) {
        (void)base[page * ps];
    } else {
        stamp = at->stamp;
        if (a->in.letter)
            check_stamp(a, &stamp, page, number);
    }
}

static void note_progress(struct actor *a, uint64_t page, uint64_t pages, uint64_t *next)
{
    uint64_t now;

    if (page % PROGRESS_PAGES != 0)
        return;
    now = probe_clock();
    if (*next && now >= *next)
        actor_progress(a, page, pages);
    if (!*next || now >= *next)
        *next = now + PROGRESS_NS;
}

/* Touches a page of the actor's own first: after a fork this code's text faults in again, and
 * those faults are not the region's. */
static void warm_up(struct actor *a)
{
    static struct page_stamp dummy;
    struct actor_request in = a->in;
    uint64_t next = 0;

    a->in.origin = 0;
    touch_page(a, (volatile char *)&dummy, 0);
    a->in = in;
    note_progress(a, 0, 1, &next);
    a->out.touched = a->out.checked = a->out.wrong = 0;
    a->out.first_wrong = a->out.found_letter = 0;
    a->out.beside = a->out.stray = 0;
}

static void count_stray(struct actor *a, uintptr_t from, uintptr_t to)
{
    for (uintptr_t at = from; at < to; at++) {
        a->out.beside++;
        a->out.stray += *(volatile char *)at != 0;
    }
}

/* Bytes that came in the first and last page of a received range without being of it: what the
 * sender had beside it must not arrive. Only in pages that the step has read anyway. */
static void look_beside(struct actor *a, uint64_t pages)
{
    uintptr_t start = a->in.sent_start, end = start + a->in.sent_len;

    if (!a->in.sent_len)
        return;
    if (page_selected(&a->in.select, 0))
        count_stray(a, a->in.start, start);
    if (page_selected(&a->in.select, pages - 1))
        count_stray(a, end, a->in.start + a->in.len);
}

/* No progress is told meanwhile: that would be the longest pause of all. */
static int timed_touches(struct actor *a, char *base, uint64_t pages)
{
    int fd;
    struct actor_times *t = times_begin(a, &fd);
    uint64_t last = 0;

    if (!t)
        return -1;
    cost_begin(a);
    for (uint64_t page = 0; page < pages; page++) {
        uint64_t began;

        if (!page_selected(&a->in.select, page))
            continue;
        began = probe_clock();
        touch_page(a, base, page);
        times_note(&t->of[TIMES_TOUCH], began, began, probe_clock(), &last);
    }
    cost_end(a);
    times_end(a, t, fd, 0);
    return 0;
}

/* Returns 0, or -1 after actor_fail. */
static int touch(struct actor *a)
{
    uint64_t pages = region_pages(a), next = 0;
    char *base = (char *)(uintptr_t)a->in.start;

    warm_up(a);
    if (a->in.latency)
        return timed_touches(a, base, pages);
    cost_begin(a);
    for (uint64_t page = 0; page < pages; page++) {
        if (page_selected(&a->in.select, page))
            touch_page(a, base, page);
        note_progress(a, page, pages, &next);
    }
    cost_end(a);
    return 0;
}

int actor_ACT_WRITE(struct actor *a)
{
    return touch(a);
}

int actor_ACT_READ(struct actor *a)
{
    int rc = touch(a);

    look_beside(a, region_pages(a));
    return rc;
}

static void *region(const struct actor *a)
{
    return (void *)(uintptr_t)a->in.start;
}

/* Ends the measured part of an action; rc and errno are those of its system call. */
static int finish(struct actor *a, int rc, const char *what)
{
    int error = errno;

    cost_end(a);
    return rc < 0 ? actor_fail(a, error, what) : 0;
}

/* What was done to the region ends with it: fresh pages, for free writes its list into them, and
 * malloc gives them out again, without a protection, a lock or an advice. */
static int unmap_malloc(struct actor *a)
{
    void *p;

    cost_begin(a);
    p = mmap(region(a), round_up(a->in.len, page_size()), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        return finish(a, -1, "cannot unmap");
    free(p);
    return finish(a, 0, "");
}

int actor_ACT_UNMAP(struct actor *a)
{
    if (is_mach_kind(a->in.kind))
        return actor_mach_unmap(a);
    if (a->in.kind == MK_MALLOC)
        return unmap_malloc(a);
    cost_begin(a);
    return finish(a, munmap(region(a), a->in.len), "cannot unmap");
}

int actor_ACT_MOVE(struct actor *a)
{
    void *at = actor_hole(a, a->in.len);
    struct kept_object *object = find_object(a->in.start);
    int rc;

    if (!at)
        return -1;
    cost_begin(a);
    rc = machmsg_move(a->in.start, (uintptr_t)at, a->in.len);
    errno = -rc;
    if (rc == 0 && object)
        object->start = (uintptr_t)at;
    a->out.start = (uintptr_t)at;
    a->out.len = a->in.len;
    return finish(a, rc, "cannot move the region");
}

int actor_ACT_PROTECT(struct actor *a)
{
    int prot = (a->in.protection & 1 ? PROT_READ : 0) | (a->in.protection & 2 ? PROT_WRITE : 0) |
               (a->in.protection & 4 ? PROT_EXEC : 0);

    cost_begin(a);
    return finish(a, mprotect(region(a), a->in.len, prot), "cannot change the protection");
}

int actor_ACT_LOCK(struct actor *a)
{
    cost_begin(a);
    return finish(a, a->in.lock ? mlock(region(a), a->in.len) : munlock(region(a), a->in.len),
                  a->in.lock ? "cannot lock" : "cannot unlock");
}

/* What a fork does with a region, so far as Linux lets one choose: private memory is copied, shared
 * memory shared; both can be left out (DONTFORK), anonymous memory can be zeroed (WIPEONFORK). */
int actor_ACT_INHERIT(struct actor *a)
{
    static const int advice[] = {
        [INH_SHARE] = MADV_DOFORK,
        [INH_COPY] = MADV_DOFORK,
        [INH_NONE] = MADV_DONTFORK,
        [INH_ZERO] = MADV_WIPEONFORK,
    };

    if (is_mach_kind(a->in.kind))
        return actor_mach_inherit(a);
    if (a->in.inherit == INH_SHARE && !map_kind_is_shared(a->in.kind))
        return actor_fail(a, EINVAL, "Linux cannot share private memory over a fork");
    if (a->in.inherit == INH_COPY && map_kind_is_shared(a->in.kind))
        return actor_fail(a, EINVAL, "Linux cannot copy shared memory over a fork");
    cost_begin(a);
    if (a->in.inherit == INH_COPY) /* only anonymous memory could have been wiped: EINVAL else */
        (void)!madvise(region(a), a->in.len, MADV_KEEPONFORK);
    return finish(a, madvise(region(a), a->in.len, advice[a->in.inherit]),
                  "cannot set what a fork does with the region");
}

#define ADVICE_CASE(e, code, text, constant)                                                       \
    case e:                                                                                        \
        return constant;

static int advice_constant(uint32_t advice)
{
    switch (advice) {
        ADVICES(ADVICE_CASE)
    default:
        return -1;
    }
}

int actor_ACT_MADVISE(struct actor *a)
{
    if (a->in.advice == ADV_DONTFORK && is_mach_kind(a->in.kind)) {
        a->in.inherit = INH_NONE; /* the layer maps such memory anew: it has to know */
        return actor_mach_inherit(a);
    }
    cost_begin(a);
    return finish(a, madvise(region(a), a->in.len, advice_constant(a->in.advice)),
                  "the kernel refuses the advice");
}
