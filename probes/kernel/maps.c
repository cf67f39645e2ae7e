#include "probes/maps.h"
#include "probes/list.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#define FLAG_ROW(e, text) text,
static const char vm_flag_letters[][3] = {VM_FLAGS(FLAG_ROW)};

#define COUNTER_ROW(field, key) {key ":", sizeof key, offsetof(struct smaps_counters, field)},
static const struct counter {
    const char *key;
    size_t len; /* of "key:" */
    size_t offset;
} counters[] = {SMAPS_COUNTERS(COUNTER_ROW)};

/* Cuts the line at *at off behind its end: returns it, and moves *at to the next one. */
static char *cut_line(char **at, char *end)
{
    char *line = *at;
    char *stop = memchr(line, '\n', (size_t)(end - line));

    if (stop) {
        *stop = '\0';
        *at = stop + 1;
    } else {
        *at = end;
    }
    return line;
}

/* A number in the given base, followed by the character stop. */
static bool number(char **at, int base, char stop, uint64_t *out)
{
    char *end;

    if (!isxdigit((unsigned char)**at))
        return false;
    errno = 0;
    *out = strtoull(*at, &end, base);
    if (errno || *end != stop)
        return false;
    *at = end + 1;
    return true;
}

/* "55d0-55d1 r-xp 00001000 fd:00 1234    /usr/bin/a name with spaces" */
static bool parse_entry(char *line, struct map_entry *e)
{
    uint64_t major_nr, minor_nr;
    char *at = line;
    const char *perms;

    *e = (struct map_entry){0};
    if (!number(&at, 16, '-', &e->start) || !number(&at, 16, ' ', &e->end) || e->end < e->start)
        return false;
    perms = at;
    if (strspn(perms, "rwxps-") != 4 || perms[4] != ' ')
        return false;
    for (int i = 0; i < 3; i++)
        if (perms[i] == "rwx"[i])
            e->prot |= 1 << i;
    e->shared = perms[3] == 's';
    at += 5;
    if (!number(&at, 16, ' ', &e->offset) || !number(&at, 16, ':', &major_nr) ||
        !number(&at, 16, ' ', &minor_nr) || !isdigit((unsigned char)*at))
        return false;
    e->dev = makedev((unsigned int)major_nr, (unsigned int)minor_nr);
    errno = 0;
    e->inode = strtoull(at, &at, 10);
    if (errno || (*at && *at != ' '))
        return false;
    e->name = at + strspn(at, " ");
    return true;
}

static void parse_flags(const char *at, struct map_entry *e)
{
    for (; at[0] && at[1]; at += at[2] ? 3 : 2)
        for (size_t i = 0; i < VMF__COUNT; i++)
            if (memcmp(at, vm_flag_letters[i], 2) == 0)
                e->flags |= 1u << i;
}

/* "Rss:     12 kB". Keys that are not in the table are left out: kernels add new ones. */
static void parse_detail(const char *line, struct map_entry *e)
{
    if (strncmp(line, "VmFlags:", 8) == 0) {
        parse_flags(line + 8 + strspn(line + 8, " "), e);
        return;
    }
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (strncmp(line, counters[i].key, counters[i].len) == 0) {
            uint64_t kb = strtoull(line + counters[i].len, NULL, 10);

            memcpy((char *)&e->kb + counters[i].offset, &kb, sizeof kb);
            return;
        }
}

/* Details begin with a capital letter, entries with a lower-case hexadecimal digit. */
static bool is_detail(const char *line)
{
    return *line >= 'A' && *line <= 'Z';
}

/* Without VmFlags: the name that the kernel gives explicit huge pages (fs/hugetlbfs/inode.c). */
static void know_huge_by_name(struct maps *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->entries[i].name, "/anon_hugepage (deleted)") == 0)
            m->entries[i].flags |= 1u << VMF_HUGETLB;
}

int maps_parse(struct maps *m, struct err *e)
{
    char *at = m->text.text, *end = at + m->text.len;
    struct map_entry *entry = NULL;

    m->n = 0;
    m->counted = false;
    while (at < end) {
        char *line = cut_line(&at, end);

        if (is_detail(line) && entry) {
            parse_detail(line, entry);
            m->counted = true;
            continue;
        }
        entry = LIST_ADD_ROOM(m->entries, m->n, m->cap);
        if (!entry)
            return err_set(e, ENOMEM, "out of memory for %zu mappings", m->n);
        if (!parse_entry(line, entry)) {
            m->n--;
            return err_set(e, EPROTO, "cannot make sense of the mapping '%.80s'", line);
        }
    }
    if (!m->counted)
        know_huge_by_name(m);
    return 0;
}

int maps_read_fd(struct maps *m, int fd, struct probe_cost *cost, struct err *e)
{
    uint64_t began = cost ? probe_clock() : 0;
    int rc = slurp_fd(&m->text, fd);

    m->n = 0;
    if (rc < 0)
        return err_sys(e, rc, "cannot read the mappings");
    rc = maps_parse(m, e);
    cost_note(cost, began, m->text.calls, m->text.len);
    return rc;
}

void maps_release(struct maps *m)
{
    slurp_release(&m->text);
    free(m->entries);
    *m = (struct maps){0};
}

const struct map_entry *maps_find(const struct maps *m, uint64_t addr)
{
    size_t low = LIST_SEARCH(m->n, i, m->entries[i].end <= addr);

    return low < m->n ? &m->entries[low] : NULL;
}

const struct map_entry *maps_first(const struct maps *m, uint64_t start, uint64_t end)
{
    const struct map_entry *e = maps_find(m, start);

    return e && e->start < end ? e : NULL;
}

const struct map_entry *maps_next(const struct maps *m, const struct map_entry *e, uint64_t end)
{
    return ++e < m->entries + m->n && e->start < end ? e : NULL;
}

const struct map_entry *maps_holding(const struct maps *m, uint64_t addr)
{
    return maps_first(m, addr, addr + 1);
}

/* include/uapi/linux/fs.h of 6.11; older headers lack it. */
struct procmap_query_v1 {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_IOCTL _IOWR('f', 17, struct procmap_query_v1)
#define QUERY_SHARED 0x08

int maps_query(int fd, uint64_t addr, struct map_entry *out)
{
    struct procmap_query_v1 q = {.size = sizeof q, .query_addr = addr};

    if (ioctl(fd, PROCMAP_QUERY_IOCTL, &q) < 0)
        return -errno;
    *out = (struct map_entry){.start = q.vma_start,
                              .end = q.vma_end,
                              .prot = (int)(q.vma_flags & 7),
                              .shared = (q.vma_flags & QUERY_SHARED) != 0,
                              .offset = q.vma_offset,
                              .dev = makedev(q.dev_major, q.dev_minor),
                              .inode = q.inode,
                              .name = ""};
    return 0;
}
