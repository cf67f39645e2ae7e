/* look: what the kernel says about this process's own memory, and copies that cannot fault.
 * The second half of mem.h. Nothing here makes a page exist. */
#include "lab/machmsg/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <mach/vm_page_size.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* linux/fs.h of Linux 6.11; older headers do not have it. */
struct procmap_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_IOCTL _IOWR('f', 17, struct procmap_query)
#define PROCMAP_READABLE 0x01
#define PROCMAP_WRITABLE 0x02
#define PROCMAP_EXECUTABLE 0x04
#define PROCMAP_SHARED 0x08
#define PROCMAP_COVERING_OR_NEXT 0x10

/* Bits of a pagemap entry. */
#define PM_PRESENT (1ULL << 63)
#define PM_SWAPPED (1ULL << 62)
#define PM_FILE (1ULL << 61)

/* The slow way, for older kernels: the mappings as text. */
static int query_text(uint64_t address, struct mapping *out)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0;
    int rc = -ENOENT;

    if (!f)
        return -errno;
    while (rc == -ENOENT && getline(&line, &room, f) > 0) {
        unsigned long long start, end, offset, inode;
        char perm[5];

        if (sscanf(line, "%llx-%llx %4s %llx %*s %llu", &start, &end, perm, &offset, &inode) != 5)
            continue;
        if (end <= address)
            continue;
        *out = (struct mapping){
            start,          end,           offset, (ino_t)inode, perm[0] == 'r', perm[1] == 'w',
            perm[2] == 'x', perm[3] == 's'};
        rc = 0;
    }
    free(line);
    fclose(f);
    return rc;
}

static int query(int maps, uint64_t address, struct mapping *out)
{
    struct procmap_query q = {
        .size = sizeof q, .query_flags = PROCMAP_COVERING_OR_NEXT, .query_addr = address};

    if (maps < 0)
        return -errno;
    if (ioctl(maps, PROCMAP_QUERY_IOCTL, &q))
        return errno == ENOENT ? -ENOENT : query_text(address, out);
    *out = (struct mapping){q.vma_start,
                            q.vma_end,
                            q.vma_offset,
                            (ino_t)q.inode,
                            q.vma_flags & PROCMAP_READABLE,
                            q.vma_flags & PROCMAP_WRITABLE,
                            q.vma_flags & PROCMAP_EXECUTABLE,
                            q.vma_flags & PROCMAP_SHARED};
    return 0;
}

static int open_maps(void)
{
    return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static void close_if(int fd)
{
    if (fd >= 0)
        close(fd);
}

int mem_query(uint64_t address, struct mapping *out)
{
    int maps = open_maps();
    int rc = query(maps, address, out);

    close_if(maps);
    return rc;
}

int mem_readable(uint64_t start, uint64_t end)
{
    int maps = open_maps(), rc = 0;

    while (rc == 0 && start < end) {
        struct mapping m;

        rc = query(maps, start, &m);
        if (rc == -ENOENT || (rc == 0 && (m.start > start || !m.readable)))
            rc = -EFAULT;
        start = m.end;
    }
    close_if(maps);
    return rc;
}

/* Calls fn with the pagemap entries of pages [first, first + n) in turn, until it returns false.
 * Returns 0 or a negative errno. */
static int each_pagemap(uint64_t start, uint64_t pages,
                        bool (*fn)(void *arg, uint64_t page, uint64_t entry), void *arg)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entries[2048];
    int rc = fd < 0 ? -errno : 0;

    for (uint64_t page = 0; rc == 0 && page < pages;) {
        size_t want = pages - page < 2048 ? pages - page : 2048;
        ssize_t got = pread(fd, entries, want * sizeof entries[0],
                            (off_t)((start / mem_page() + page) * sizeof entries[0]));

        if (got <= 0) {
            rc = got < 0 ? -errno : -EIO;
            break;
        }
        for (size_t i = 0; i < (size_t)got / sizeof entries[0]; i++)
            if (!fn(arg, page + i, entries[i])) {
                close(fd);
                return 0;
            }
        page += (size_t)got / sizeof entries[0];
    }
    close_if(fd);
    return rc;
}

static bool mark_present(void *arg, uint64_t page, uint64_t entry)
{
    uint8_t *map = arg;

    if (entry & (PM_PRESENT | PM_SWAPPED))
        map[page] = 1;
    return true;
}

/* Marks what the object has behind [start, start + pages). */
static int mark_object(const struct object *o, uint64_t offset, uint64_t pages, uint8_t *map)
{
    const uint64_t page = mem_page(), end = offset + pages * page;
    off_t at = (off_t)offset;

    while ((uint64_t)at < end) {
        off_t data = lseek(o->fd, at, SEEK_DATA), hole;

        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        if ((uint64_t)data >= end)
            return 0;
        hole = lseek(o->fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        if ((uint64_t)hole > end)
            hole = (off_t)end;
        for (uint64_t p = (uint64_t)data / page; p * page < (uint64_t)hole; p++)
            map[p - offset / page] = 1;
        at = hole;
    }
    return 0;
}

/* One mapping's part of mem_touched. */
static int mark_mapping(const struct mapping *m, uint64_t start, uint64_t pages, uint8_t *map)
{
    const struct range *r = range_find(start);
    const uint64_t end = start + pages * mem_page();
    int rc;

    if (r && r->object && r->object->ino == m->inode && r->end >= end &&
        m->offset + (start - m->start) == r->offset + (start - r->start)) {
        rc = mark_object(r->object, r->offset + (start - r->start), pages, map);
        if (rc == 0 && r->kind == MEM_PRIVATE)
            rc = each_pagemap(start, pages, mark_present, map);
    } else if (m->inode == 0) {
        rc = each_pagemap(start, pages, mark_present, map);
    } else {
        rc = -ENOENT; /* a file: all of it is something */
    }
    if (rc)
        memset(map, 1, pages);
    return 0;
}

int mem_touched(uint64_t start, uint64_t pages, uint8_t *map)
{
    const uint64_t page = mem_page(), end = start + pages * page;
    int maps = open_maps(), rc = 0;

    memset(map, 0, pages);
    for (uint64_t at = start; rc == 0 && at < end;) {
        struct mapping m;
        uint64_t stop;

        rc = query(maps, at, &m);
        if (rc == -ENOENT || (rc == 0 && (m.start > at || !m.readable)))
            rc = -EFAULT;
        if (rc)
            break;
        stop = m.end < end ? m.end : end;
        /* The kernel joins neighbours that the layer keeps apart. */
        for (const struct range *r; at < stop;) {
            uint64_t to = stop;

            r = range_next(at);
            if (r && r->start > at && r->start < to)
                to = r->start;
            else if (r && r->start <= at && r->end < to)
                to = r->end;
            mark_mapping(&m, at, (to - at) / page, map + (at - start) / page);
            at = to;
        }
    }
    close_if(maps);
    return rc;
}

static bool find_modified(void *arg, uint64_t page, uint64_t entry)
{
    bool *modified = arg;

    (void)page;
    if ((entry & PM_SWAPPED) || ((entry & PM_PRESENT) && !(entry & PM_FILE)))
        *modified = true;
    return !*modified;
}

int mem_modified(uint64_t start, uint64_t end, bool *modified)
{
    *modified = false;
    return each_pagemap(start, (end - start) / mem_page(), find_modified, modified);
}

/* Value of "Name:   123 kB" at the start of a line of a /proc file's stream, or -1. */
static long line_kb(const char *line, const char *name)
{
    size_t n = strlen(name);

    return strncmp(line, name, n) == 0 && line[n] == ':' ? strtol(line + n + 1, NULL, 10) : -1;
}

static bool any_locked(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char *line = NULL;
    size_t room = 0;
    long kb = -1;

    while (f && kb < 0 && getline(&line, &room, f) > 0)
        kb = line_kb(line, "VmLck");
    free(line);
    if (f)
        fclose(f);
    return kb > 0;
}

bool mem_wired(uint64_t start, uint64_t end)
{
    FILE *f = any_locked() ? fopen("/proc/self/smaps", "re") : NULL;
    unsigned long long from = 0, to = 0, a, b;
    char *line = NULL;
    size_t room = 0;
    bool wired = false;

    while (f && !wired && getline(&line, &room, f) > 0) {
        if (sscanf(line, "%llx-%llx ", &a, &b) == 2) {
            from = a;
            to = b;
        } else if (from < end && to > start && line_kb(line, "Locked") > 0) {
            wired = true;
        }
    }
    free(line);
    if (f)
        fclose(f);
    return wired;
}

/* Memory that is surely there: this thread's live stack, and the program's static data. A thread
 * that runs on another stack than its own (a context, a signal's stack) says nothing of what lies
 * between the two. */
static bool surely_mapped(uintptr_t at, size_t n)
{
    extern char __data_start[] __attribute__((weak)), _end[] __attribute__((weak));
    static __thread uintptr_t stack_low, stack_top;
    char here;

    if (__data_start && at >= (uintptr_t)__data_start && at + n <= (uintptr_t)_end && at + n >= at)
        return true;
    if (stack_top == 0) {
        pthread_attr_t attr;
        void *low;
        size_t size;

        stack_top = 1;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            if (pthread_attr_getstack(&attr, &low, &size) == 0) {
                stack_low = (uintptr_t)low;
                stack_top = (uintptr_t)low + size;
            }
            pthread_attr_destroy(&attr);
        }
    }
    return (uintptr_t)&here >= stack_low && at >= (uintptr_t)&here && at + n <= stack_top &&
           at + n >= at;
}

int mem_copy_checked(uint64_t to, uint64_t from, uint64_t n)
{
    const pid_t self = getpid();

    while (n > 0) {
        size_t part = n < 1u << 30 ? n : 1u << 30;
        struct iovec local = {(void *)to, part}, remote = {(void *)from, part};
        ssize_t got = process_vm_readv(self, &local, 1, &remote, 1, 0);

        if (got < 0 && (errno == ENOSYS || errno == EPERM)) {
            /* A sandbox without this call: believe the caller. */
            memmove((void *)to, (void *)from, part);
            got = (ssize_t)part;
        }
        if (got <= 0)
            return -EFAULT;
        to += (uint64_t)got;
        from += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return 0;
}

int mem_copy_in(void *to, const void *from_user, size_t n)
{
    if (!surely_mapped((uintptr_t)from_user, n))
        return mem_copy_checked((uintptr_t)to, (uintptr_t)from_user, n);
    memcpy(to, from_user, n);
    return 0;
}

int mem_copy_out(void *to_user, const void *from, size_t n)
{
    if (!surely_mapped((uintptr_t)to_user, n))
        return mem_copy_checked((uintptr_t)to_user, (uintptr_t)from, n);
    memcpy(to_user, from, n);
    return 0;
}
