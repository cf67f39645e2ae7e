/* range: see range.h. */
#include "lab/machmsg/memory/range.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int range_insert(size_t i, const struct range *r)
{
    if (ranges.count == ranges.capacity) {
        size_t capacity = ranges.capacity ? 2 * ranges.capacity : 16;
        struct range *at = realloc(ranges.at, capacity * sizeof *at);

        if (!at)
            return -ENOMEM;
        ranges.at = at;
        ranges.capacity = capacity;
    }
    memmove(&ranges.at[i + 1], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.at[i] = *r;
    ranges.count++;
    return 0;
}

int range_add(const struct range *r)
{
    /* A range that the program unmapped behind our back may lie under the new one. */
    int rc = range_forget(r->start, r->end);

    if (rc == 0)
        rc = range_insert(range_index(r->start), r);
    if (rc && r->object)
        object_unref(r->object);
    return rc;
}

int range_cut(uint64_t at)
{
    size_t i = range_index(at);
    struct range upper;
    int rc;

    if (i == ranges.count || ranges.at[i].start >= at)
        return 0;
    upper = ranges.at[i];
    upper.start = at;
    upper.offset += at - ranges.at[i].start;
    rc = range_insert(i + 1, &upper);
    if (rc)
        return rc;
    ranges.at[i].end = at;
    if (upper.object)
        object_ref(upper.object);
    return 0;
}

int range_forget(uint64_t start, uint64_t end)
{
    size_t first, i;
    int rc;

    if (ranges.count == 0)
        return 0;
    if ((rc = range_cut(start)) || (rc = range_cut(end)))
        return rc;
    first = range_index(start);
    for (i = first; i < ranges.count && ranges.at[i].start < end; i++)
        if (ranges.at[i].object)
            object_unref(ranges.at[i].object);
    memmove(&ranges.at[first], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.count -= i - first;
    return 0;
}
