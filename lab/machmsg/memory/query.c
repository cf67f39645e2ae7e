/* query: see query.h. */
#include "lab/machmsg/memory/query.h"
#include "lab/machmsg/memory/page.h"
#include <errno.h>
#include <fcntl.h>
#include <mach/vm_prot.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
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

int mem_to_prot(int vm_prot)
{
    return (vm_prot & VM_PROT_READ ? PROT_READ : 0) | (vm_prot & VM_PROT_WRITE ? PROT_WRITE : 0) |
           (vm_prot & VM_PROT_EXECUTE ? PROT_EXEC : 0);
}

int mem_from_prot(const struct mapping *m)
{
    return (m->readable ? VM_PROT_READ : 0) | (m->writable ? VM_PROT_WRITE : 0) |
           (m->executable ? VM_PROT_EXECUTE : 0);
}

/* The error of a file of /proc that cannot be opened: -ENOENT is for memory that is not there. */
static int no_proc(void)
{
    return errno == ENOENT ? -EIO : -errno;
}

/* Calls fn with the lines of a file of /proc until it returns false. 0 or a negative errno. */
static int each_line(const char *path, bool (*fn)(void *arg, const char *line), void *arg)
{
    FILE *f = fopen(path, "re");
    char *line = NULL, buffer[16384];
    size_t room = 0;
    bool more = true;
    int rc;

    if (!f)
        return no_proc();
    setvbuf(f, buffer, _IOFBF, sizeof buffer); /* a file of /proc asks for 1,024 bytes */
    while (more && getline(&line, &room, f) > 0)
        more = fn(arg, line);
    rc = more && !feof(f) ? -ENOMEM : 0; /* not read to its end */
    free(line);
    fclose(f);
    return rc;
}

static bool parse_mapping(const char *line, struct mapping *m)
{
    unsigned long long start, end, offset, inode;
    unsigned int major, minor;
    char perm[5];

    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, perm, &offset, &major, &minor,
               &inode) != 7)
        return false;
    *m = (struct mapping){.start = start,
                          .end = end,
                          .offset = offset,
                          .dev = makedev(major, minor),
                          .inode = (ino_t)inode,
                          .readable = perm[0] == 'r',
                          .writable = perm[1] == 'w',
                          .executable = perm[2] == 'x',
                          .shared = perm[3] == 's'};
    return true;
}

struct search {
    uint64_t address;
    struct mapping *out;
    int rc;
};

static bool find_mapping(void *arg, const char *line)
{
    struct search *s = arg;
    char *dash;

    strtoull(line, &dash, 16); /* most lines are below: that takes a tenth of the whole parse */
    if (*dash == '-' && strtoull(dash + 1, NULL, 16) > s->address && parse_mapping(line, s->out))
        s->rc = 0;
    return s->rc != 0;
}

/* The slow way, for older kernels: the mappings as text. */
static int ask_by_text(uint64_t address, struct mapping *out)
{
    struct search s = {address, out, -ENOENT};
    int rc = each_line("/proc/self/maps", find_mapping, &s);

    return rc ? rc : s.rc;
}

static int ask_kernel(int maps, uint64_t address, struct mapping *out)
{
    struct procmap_query q = {
        .size = sizeof q, .query_flags = PROCMAP_COVERING_OR_NEXT, .query_addr = address};

    if (maps < 0)
        return no_proc();
    if (ioctl(maps, PROCMAP_QUERY_IOCTL, &q))
        return errno == ENOENT ? -ENOENT : ask_by_text(address, out);
    *out = (struct mapping){.start = q.vma_start,
                            .end = q.vma_end,
                            .offset = q.vma_offset,
                            .dev = makedev(q.dev_major, q.dev_minor),
                            .inode = (ino_t)q.inode,
                            .readable = q.vma_flags & PROCMAP_READABLE,
                            .writable = q.vma_flags & PROCMAP_WRITABLE,
                            .executable = q.vma_flags & PROCMAP_EXECUTABLE,
                            .shared = q.vma_flags & PROCMAP_SHARED};
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
    int rc = ask_kernel(maps, address, out);

    close_if(maps);
    return rc;
}

int mem_walk(uint64_t start, uint64_t end,
             void (*fn)(void *arg, const struct mapping *m, uint64_t from, uint64_t to), void *arg)
{
    int maps = open_maps(), rc = 0;

    for (uint64_t at = start, to; rc == 0 && at < end; at = to) {
        struct mapping m;

        rc = ask_kernel(maps, at, &m);
        if (rc == -ENOENT || (rc == 0 && (m.start > at || !m.readable)))
            rc = -EFAULT;
        to = rc == 0 && m.end < end ? m.end : end;
        if (rc == 0 && fn)
            fn(arg, &m, at, to);
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
                            (off_t)((start / vm_page_size + page) * sizeof entries[0]));

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

int mem_present(uint64_t start, uint64_t pages, uint8_t *map)
{
    return each_pagemap(start, pages, mark_present, map);
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
    return each_pagemap(start, (end - start) / vm_page_size, find_modified, modified);
}

struct each {
    void (*fn)(void *arg, const struct mapping *m);
    void *arg;
};

static bool next_mapping(void *arg, const char *line)
{
    const struct each *e = arg;
    struct mapping m;

    if (parse_mapping(line, &m))
        e->fn(e->arg, &m);
    return true;
}

int mem_each(void (*fn)(void *arg, const struct mapping *m), void *arg)
{
    struct each e = {.fn = fn, .arg = arg};

    return each_line("/proc/self/maps", next_mapping, &e);
}

/* The kernel refuses to invalidate what is wired, before it does anything, and with MS_ASYNC it
 * does nothing else. /proc says it in the long text of all mappings only. */
bool mem_wired(uint64_t start, uint64_t end)
{
    return msync((void *)start, end - start, MS_ASYNC | MS_INVALIDATE) && errno == EBUSY;
}
