#include "probes/kernel/object.h"
#include "probes/kernel/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Pages per mincore call. */
#define WINDOW 16384
/* Extents told by seeking (two calls each) before mincore is the cheaper question. */
#define SEEK_EXTENTS 256

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* the same on every architecture */
#endif

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* Only if that (still) is the object. */
static int open_checked(const char *path, const struct map_entry *entry)
{
    struct stat st;
    int fd = open(path, OPEN_FLAGS);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != entry->dev || st.st_ino != entry->inode) {
        close(fd);
        return -ENOENT;
    }
    return fd;
}

/* One descriptor of each file: what does not open through it does through no other. */
static int add_file(struct open_files *f, const struct stat *st, int fd)
{
    struct open_file *added;

    if (PLACES_FIND(&f->places, f->list, st->st_dev, st->st_ino))
        return 0;
    if (!(added = PLACES_ADD(&f->places, f->list, f->n, st->st_dev, st->st_ino)))
        return -ENOMEM;
    added->fd = fd;
    return 0;
}

static int list_files(struct open_files *f, pid_t pid)
{
    char path[64];
    struct dirent *d;
    struct stat st;
    DIR *dir;
    int rc = 0;

    f->n = 0;
    f->pid = 0;
    places_clear(&f->places);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (!dir)
        return -errno;
    while (rc == 0 && (d = readdir(dir)))
        if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            rc = add_file(f, &st, (int)strtol(d->d_name, NULL, 10));
    closedir(dir);
    f->pid = rc == 0 ? pid : 0;
    return rc;
}

void open_files_release(struct open_files *f)
{
    free(f->list);
    free(f->places.at);
    *f = (struct open_files){0};
}

/* Through a descriptor of the process. */
static int open_held(pid_t pid, const struct map_entry *entry, struct open_files *f)
{
    int rc = f->pid == pid ? 0 : list_files(f, pid), fd;
    const struct open_file *file;
    char path[64];

    if (rc < 0)
        return rc;
    file = PLACES_FIND(&f->places, f->list, entry->dev, entry->inode);
    if (!file)
        return -EACCES;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, file->fd);
    fd = open_checked(path, entry);
    return fd == -ENOENT ? -EACCES : fd;
}

/* To open a device may do something. Shared memory without a name is called "/dev/zero (deleted)".
 */
static bool is_device(const char *name)
{
    return strncmp(name, "/dev/", 5) == 0 && strncmp(name, "/dev/shm/", 9) != 0 &&
           strncmp(name, "/dev/zero (", 11) != 0;
}

int object_stat(int fd, struct object_info *out)
{
    struct statfs fs;
    struct stat st;

    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    *out = (struct object_info){.dev = st.st_dev,
                                .inode = st.st_ino,
                                .bytes = (uint64_t)st.st_size,
                                .resident_hint =
                                    (uint64_t)st.st_blocks * 512 / (uint64_t)sysconf(_SC_PAGESIZE),
                                .shmem = (uint64_t)fs.f_type == TMPFS_MAGIC,
                                .hugetlb = (uint64_t)fs.f_type == HUGETLBFS_MAGIC};
    return 0;
}

int object_take(struct object *out, int fd)
{
    int rc;

    *out = OBJECT_NONE;
    if (fd < 0)
        return fd;
    out->fd = fd;
    rc = object_stat(fd, &out->info);
    if (rc < 0)
        object_close(out);
    return rc;
}

void object_close(struct object *o)
{
    if (o->fd >= 0)
        close(o->fd);
    *o = OBJECT_NONE;
}

static int ask_helper(const struct object *o, uint64_t first, uint64_t n, bool swap, uint64_t *bits,
                      uint64_t *swapped, uint64_t *count, struct object_info *info)
{
    return helper_object(o->helper,
                         &(struct helper_object){o->pid, o->start, o->end, first, n, swap}, info,
                         bits, swapped, count);
}

int object_open(struct object *out, pid_t pid, const struct map_entry *entry, struct helper *helper,
                struct open_files *files)
{
    uint64_t none;
    char path[96];
    int fd, rc;

    *out = OBJECT_NONE;
    if (is_device(entry->name))
        return -EACCES;
    snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", (int)pid,
             (unsigned long long)entry->start, (unsigned long long)entry->end);
    fd = open(path, OPEN_FLAGS);
    fd = fd < 0 ? -errno : fd;
    if (fd < 0 && helper) {
        *out = (struct object){-1, helper, pid, entry->start, entry->end, {0}};
        rc = ask_helper(out, 0, 0, false, NULL, NULL, &none, &out->info);
        if (rc == 0)
            return 0;
        fd = is_exhausted(rc) ? rc : fd;
    }
    if (fd < 0 && !is_exhausted(fd))
        fd = entry->name[0] == '/' ? open_checked(entry->name, entry) : -ENOENT;
    if (fd < 0 && !is_exhausted(fd))
        fd = open_held(pid, entry, files); /* last: it may have thousands */
    return object_take(out, fd);
}

int object_reopen(int fd)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fd = open(path, OPEN_FLAGS);
    return fd < 0 ? -errno : fd;
}

static void set_range(uint64_t *bits, uint64_t from, uint64_t to)
{
    for (; bits && from < to; from++)
        bit_set(bits, from);
}

struct question {
    int fd;
    uint64_t page_size, first, n;
    uint64_t *bits, *swapped, count, calls;
    bool shmem;
};

/* For shared memory data is what has pages (swapped ones too). -E2BIG: more extents than that. */
static int by_seeking(struct question *q, uint64_t most)
{
    off_t at = (off_t)(q->first * q->page_size), end = at + (off_t)(q->n * q->page_size);

    for (uint64_t extents = 0; at < end; extents++) {
        off_t data = lseek(q->fd, at, SEEK_DATA), hole;
        uint64_t from, to;

        q->calls++;
        if (data < 0)
            return errno == ENXIO ? 0 : -errno; /* ENXIO: no data from here on */
        if (data >= end)
            return 0;
        if (extents == most)
            return -E2BIG;
        hole = lseek(q->fd, data, SEEK_HOLE);
        q->calls++;
        if (hole < 0)
            return -errno;
        from = (uint64_t)data / q->page_size - q->first;
        to = ((uint64_t)hole + q->page_size - 1) / q->page_size - q->first;
        to = to > q->n ? q->n : to;
        set_range(q->bits, from, to);
        q->count += to - from;
        at = hole;
    }
    return 0;
}

/* mincore says "resident" for everything to whoever may not write the file and does not own it
 * (can_do_mincore, mm/mincore.c): the same question is asked here first. */
static bool mincore_tells(int fd)
{
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return (fstat(fd, &st) == 0 && (st.st_uid == geteuid() || geteuid() == 0)) ||
           faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* A mapping of one's own that is never touched: no page table entry is made. From a read-only
 * descriptor it does not stand in the way of sealing the object against writing. */
static int by_mincore(struct question *q, uint64_t from, uint64_t to)
{
    static const unsigned char resident = 1;
    unsigned char told[WINDOW];

    for (uint64_t n; from < to; from += n) {
        void *window;
        int rc;

        n = to - from < WINDOW ? to - from : WINDOW;
        window = mmap(NULL, n * q->page_size, PROT_READ, MAP_SHARED, q->fd,
                      (off_t)((q->first + from) * q->page_size));
        if (window == MAP_FAILED)
            return -errno;
        rc = mincore(window, n * q->page_size, told) < 0 ? -errno : 0;
        munmap(window, n * q->page_size);
        q->calls += 3;
        if (rc < 0)
            return rc;
        for (uint64_t i = 0; i < n; i++)
            if (told[i] & resident) {
                q->count++;
                set_range(q->bits, from + i, from + i + 1);
            }
    }
    return 0;
}

/* How many of the pages are in memory, in one call (Linux 6.5, mm/filemap.c); enough where that is
 * all or none. What was evicted from shared memory is in swap; which pages, mincore cannot tell of
 * those that the swap cache has: ever smaller parts are asked for. */
static int by_cachestat(struct question *q, uint64_t from, uint64_t to)
{
    struct {
        uint64_t start, len;
    } range = {(q->first + from) * q->page_size, (to - from) * q->page_size};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } told = {0, 0, 0, 0, 0};
    uint64_t middle = from + (to - from) / 2;
    int rc;

    q->calls++;
    if (syscall(SYS_cachestat, q->fd, &range, &told, 0) < 0)
        return -errno;
    told.evicted = q->shmem ? told.evicted : 0;
    if (told.cached + told.evicted == 0)
        return 0;
    if (told.cached == to - from) {
        set_range(q->bits, from, to);
        q->count += to - from;
    } else if (!q->bits && !q->swapped) {
        q->count += told.cached; /* which ones nobody asks */
    } else if (told.evicted == to - from) {
        set_range(q->swapped, from, to);
    } else if (!told.evicted) {
        return by_mincore(q, from, to);
    } else if (to - from > 1) {
        rc = by_cachestat(q, from, middle);
        return rc < 0 ? rc : by_cachestat(q, middle, to);
    }
    return 0;
}

/* Of shared memory, data that is not in memory is in swap. */
static int without_cachestat(struct question *q)
{
    struct question data = *q;
    int rc = by_mincore(q, 0, q->n);

    if (rc < 0 || !q->shmem || !q->swapped || !q->bits)
        return rc;
    data.bits = q->swapped;
    rc = by_seeking(&data, UINT64_MAX);
    q->calls += data.calls;
    for (uint64_t i = 0; i < (q->n + 63) / 64; i++)
        q->swapped[i] &= ~q->bits[i];
    return rc;
}

static int by_asking(struct question *q)
{
    int rc;

    if (!mincore_tells(q->fd))
        return -EACCES;
    rc = by_cachestat(q, 0, q->n);
    return rc == -ENOSYS || rc == -EPERM || rc == -EOPNOTSUPP ? without_cachestat(q) : rc;
}

static void clear_bits(uint64_t *bits, uint64_t n)
{
    if (bits)
        memset(bits, 0, (n + 63) / 64 * 8);
}

/* Of q->n pages; the bits have room for n. */
static int answer(struct question *q, const struct object *o, uint64_t n, bool swap)
{
    uint64_t pages = (o->info.bytes + q->page_size - 1) / q->page_size;
    int rc = -E2BIG;

    if (q->first >= pages)
        q->n = 0;
    else if (q->n > pages - q->first)
        q->n = pages - q->first;
    if (q->shmem && !swap && o->info.resident_hint >= pages) {
        set_range(q->bits, 0, q->n);
        q->count = q->n;
        return 0;
    }
    if (!q->n || (q->shmem && o->info.resident_hint == 0))
        return 0;
    if (q->shmem && !swap)
        rc = by_seeking(q, SEEK_EXTENTS);
    if (rc != -E2BIG)
        return rc;
    q->count = 0;
    clear_bits(q->bits, n);
    return by_asking(q);
}

int object_residency(const struct object *o, uint64_t first, uint64_t n, bool swap, uint64_t *bits,
                     uint64_t *swapped, uint64_t *count, struct probe_cost *cost)
{
    uint64_t began = cost ? probe_clock() : 0;
    struct question q = {
        o->fd, (uint64_t)sysconf(_SC_PAGESIZE), first, n, bits, swapped, 0, 0, o->info.shmem};
    struct object_info now;
    int rc;

    clear_bits(bits, n);
    clear_bits(swapped, n);
    if (o->helper) {
        rc = ask_helper(o, first, n, swap, bits, swapped, &q.count, &now);
        if (rc == 0 && (now.dev != o->info.dev || now.inode != o->info.inode))
            rc = -ESTALE; /* another object is mapped there by now */
        q.calls++;
    } else {
        rc = answer(&q, o, n, swap);
    }
    *count = q.count;
    cost_note(cost, began, q.calls, 0);
    return rc;
}
