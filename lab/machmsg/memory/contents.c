/* contents: see contents.h. */
#include "lab/machmsg/memory/contents.h"
#include "lab/machmsg/memory/page.h"
#include "lab/machmsg/memory/query.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 1 in map[i] for each page of [start, ...) that holds something; 0 for those that would read as
 * zero and do not exist. */
struct touched {
    uint64_t start;
    uint8_t *map;
};

/* Marks what the object has behind [offset, offset + pages). */
static int mark_object(struct object *o, uint64_t offset, uint64_t pages, uint8_t *map)
{
    const uint64_t page = vm_page_size, end = offset + pages * page;
    const int fd = object_fd(o);
    uint64_t from, to;
    int rc;

    for (uint64_t at = offset; (rc = object_next_data(fd, at, end, &from, &to)) > 0; at = to)
        for (uint64_t p = from / page; p * page < to; p++)
            map[p - offset / page] = 1;
    return rc;
}

/* Marks the pages of a part of a mapping that is all of one range or of none. */
static void mark_part(const struct mapping *m, uint64_t start, uint64_t end, uint8_t *map)
{
    const struct range *r = range_find(start);
    const uint64_t pages = (end - start) / vm_page_size;
    int rc;

    if (r && r->end >= end && range_shows(r, m, start)) {
        rc = mark_object(r->object, r->offset + (start - r->start), pages, map);
        if (rc == 0 && !m->shared)
            rc = mem_present(start, pages, map);
    } else if (m->inode == 0) {
        rc = mem_present(start, pages, map);
    } else {
        rc = -ENOENT; /* a file: all of it is something */
    }
    if (rc)
        memset(map, 1, pages);
}

/* The kernel joins neighbours that the layer keeps apart. */
static void mark_mapping(void *arg, const struct mapping *m, uint64_t start, uint64_t end)
{
    const struct touched *t = arg;

    for (uint64_t at = start, to; at < end; at = to) {
        const struct range *r = range_next(at);

        to = end;
        if (r && r->start > at && r->start < to)
            to = r->start;
        else if (r && r->start <= at && r->end < to)
            to = r->end;
        mark_part(m, at, to, t->map + (at - t->start) / vm_page_size);
    }
}

/* Writes [start, end) to the object, from offset on, in runs of pages that the map, which begins at
 * start's page, has in common. */
static int copy_runs(int fd, uint64_t offset, uint64_t start, uint64_t end, const uint8_t *map,
                     bool every)
{
    static const unsigned char zeros[65536];
    const uint64_t page = vm_page_size;
    int rc = 0;

    for (uint64_t at = start, to; rc == 0 && at < end; at = to) {
        const uint8_t *mark = map + (at - mem_trunc(start)) / page;
        const uint8_t touched = *mark;

        for (to = mem_trunc(at); to < end && *mark == touched; mark++)
            to += page;
        if (to > end)
            to = end;
        if (touched)
            rc = object_write(fd, (void *)at, to - at, offset + (at - start));
        for (uint64_t z = at, n; rc == 0 && !touched && every && z < to; z += n) {
            n = to - z < sizeof zeros ? to - z : sizeof zeros;
            rc = object_write(fd, zeros, n, offset + (z - start));
        }
    }
    return rc;
}

/* Copies [start, end) to the object, from offset on. A lone page costs more to ask for than to
 * copy, which can make it; lone: it must not. */
static int copy_out(struct object *o, uint64_t offset, uint64_t start, uint64_t end, bool every,
                    bool lone)
{
    const uint64_t first = mem_trunc(start), last = mem_round(end);
    const uint64_t pages = (last - first) / vm_page_size;
    const bool ask = lone || pages > 1;
    struct touched t = {.start = first, .map = malloc(pages)};
    int rc = t.map ? 0 : -ENOMEM;

    if (rc == 0) {
        memset(t.map, !ask, pages);
        if (ask)
            rc = mem_walk(first, last, mark_mapping, &t);
        if (rc == 0 && (rc = copy_runs(o->fd, offset, start, end, t.map, every)) != 0 && lone)
            rc = -EIO; /* it could be read when it was asked for: the caller's address is good */
    }
    free(t.map);
    return rc;
}

int object_stage(struct object **out, uint64_t start, uint64_t end, bool every)
{
    struct object *o;
    int rc = object_create(&o, mem_round(end - start));

    if (rc)
        return rc;
    rc = copy_out(o, 0, start, end, every, false);
    if (rc == 0)
        rc = object_seal(o);
    if (rc)
        object_unref(o);
    else
        *out = o;
    return rc;
}

int object_fill(struct object *o, uint64_t offset, uint64_t start, uint64_t end)
{
    return copy_out(o, offset, start, end, false, true);
}
