/* range: see range.h. */
#include "lab/machmsg/memory/range.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct {
    struct range *at; /* sorted by start, never overlapping */
    size_t count, capacity;
} ranges;

/* Index of the first range that ends above address. */
static size_t range_index(uint64_t address)
{
    size_t low = 0, high = ranges.count;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (ranges.at[mid].end > address)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

struct range *range_next(uint64_t address)
{
    size_t i = range_index(address);

    return i < ranges.count ? &ranges.at[i] : NULL;
}

struct range *range_find(uint64_t address)
{
    struct range *r = range_next(address);

    return r && r->start <= address ? r : NULL;
}

int range_room(void)
{
    const size_t most = 3; /* a new range, and what two cuts make */
    const size_t capacity = ranges.capacity ? 2 * ranges.capacity : 16;
    struct range *at;

    if (ranges.count + most <= ranges.capacity)
        return 0;
    if (!(at = realloc(ranges.at, capacity * sizeof *at)))
        return -ENOMEM;
    ranges.at = at;
    ranges.capacity = capacity;
    return 0;
}

static void range_insert(size_t i, const struct range *r)
{
    memmove(&ranges.at[i + 1], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.at[i] = *r;
    ranges.count++;
}

void range_add(const struct range *r)
{
    /* A range that the program unmapped behind our back may lie under the new one. */
    range_forget(r->start, r->end);
    range_insert(range_index(r->start), r);
}

void range_cut(uint64_t at)
{
    size_t i = range_index(at);
    struct range upper;

    if (i == ranges.count || ranges.at[i].start >= at)
        return;
    upper = ranges.at[i];
    upper.start = at;
    upper.offset += at - ranges.at[i].start;
    if (upper.object)
        object_ref(upper.object);
    ranges.at[i].end = at;
    range_insert(i + 1, &upper);
}

void range_forget(uint64_t start, uint64_t end)
{
    size_t first, i;

    if (ranges.count == 0)
        return;
    range_cut(start);
    range_cut(end);
    first = range_index(start);
    for (i = first; i < ranges.count && ranges.at[i].start < end; i++)
        if (ranges.at[i].object)
            object_unref(ranges.at[i].object);
    memmove(&ranges.at[first], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.count -= i - first;
}

void range_move(uint64_t from, uint64_t to, uint64_t size)
{
    struct range *r, moved;

    while ((r = range_next(from)) && r->start < from + size) {
        moved = *r;
        moved.start += to - from;
        moved.end += to - from;
        if (moved.object)
            object_ref(moved.object);
        range_forget(r->start, r->end);
        range_add(&moved);
    }
}

static bool is_of(const struct mapping *m, const struct object *o)
{
    return o && m->inode == o->ino && m->dev == o->dev;
}

bool range_shows(const struct range *r, const struct mapping *m, uint64_t at)
{
    return is_of(m, r->object) && m->offset + (at - m->start) == r->offset + (at - r->start);
}

bool range_shown(const struct range *r, const struct mapping *m, struct mapping *part)
{
    const uint64_t end = r->offset + (r->end - r->start), last = m->offset + (m->end - m->start);

    if (!is_of(m, r->object) || r->offset >= last || end <= m->offset)
        return false;
    *part = *m;
    if (r->offset > m->offset) {
        part->start += r->offset - m->offset;
        part->offset = r->offset;
    }
    if (end < last)
        part->end -= last - end;
    return true;
}

int range_remap(vm_inherit_t inherit, uint64_t start, uint64_t end, int prot,
                const struct object *o, uint64_t offset, int flags)
{
    if (mmap((void *)start, end - start, prot, flags | MAP_FIXED, o->fd, (off_t)offset) ==
            MAP_FAILED ||
        (inherit == VM_INHERIT_NONE && madvise((void *)start, end - start, MADV_DONTFORK)))
        return -errno;
    return 0;
}
