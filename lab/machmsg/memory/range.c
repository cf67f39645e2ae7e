/* range: see range.h. */
#include "lab/machmsg/memory/range.h"
#include "lab/machmsg/memory/page.h"
#include "probes/list.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct {
    struct range *at; /* sorted by start, never overlapping */
    size_t count, capacity;
    size_t hand; /* which one range_room looks at next */
    size_t wait; /* calls until range_tidy looks again */
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

/* Has the program unmapped it, and not moved it? An object that is mapped shared anywhere cannot be
 * sealed; of one without a descriptor only all mappings tell (range_each_shown). */
static bool is_gone(const struct range *r)
{
    struct mapping m;
    unsigned char v;
    int rc;

    if (mincore((void *)r->start, vm_page_size, &v) == 0 || errno != ENOMEM)
        return false;
    if (r->kind == MEM_SHARED)
        return object_fd(r->object) >= 0 && object_seal(r->object) == 0;
    rc = mem_query(r->start, &m);
    return rc == -ENOENT || (rc == 0 && m.start >= r->end);
}

/* A few ranges a call are looked at, in turn, and more behind each that is gone: not all, so that a
 * program that unmaps one now and then does not pay for all each time. */
static void forget_gone(void)
{
    for (size_t looks = 8; looks > 0 && ranges.count > 0; looks--) {
        const struct range *r = &ranges.at[ranges.hand %= ranges.count];

        if (is_gone(r)) {
            range_forget(r->start, r->end);
            looks = 65;
        } else {
            ranges.hand++;
        }
    }
}

/* Entries that one change adds at most: a new range, and what cuts at the ends of two places make.
 */
enum { CHANGE = 5 };

static int room_for(size_t more)
{
    const size_t need = ranges.count + more;

    return need > ranges.capacity ? LIST_ROOM(ranges.at, ranges.capacity, 2 * need) : 0;
}

int range_room(void)
{
    forget_gone();
    return room_for(CHANGE);
}

static void range_insert(size_t i, const struct range *r)
{
    memmove(&ranges.at[i + 1], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.at[i] = *r;
    ranges.count++;
}

static void range_put(const struct range *r)
{
    range_forget(r->start, r->end);
    range_insert(range_index(r->start), r);
}

void range_add(const struct range *r)
{
    /* A range that the program unmapped or moved behind our back may lie under the new one. */
    (void)!range_follow(r->start, r->end);
    range_put(r);
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
    struct range *r;

    while ((r = range_next(from)) && r->start < from + size) {
        struct range moved = *r;

        moved.start = r->start + (to - from);
        moved.end = r->end + (to - from);
        if (moved.object)
            object_ref(moved.object);
        range_forget(r->start, r->end);
        range_put(&moved);
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

/* Does the mapping show a part of the range's object that the range has, wherever? Then that part
 * of the mapping. */
static bool range_shown(const struct range *r, const struct mapping *m, struct mapping *part)
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

struct look {
    struct range **shared; /* by object and place in it */
    size_t n;
    range_shown_fn *fn;
    void *arg;
};

/* Is one behind the other, in the order of objects? */
static int compare(const void *a, const void *b)
{
    const struct range *x = *(struct range *const *)a, *y = *(struct range *const *)b;

    if (x->object->ino != y->object->ino)
        return x->object->ino < y->object->ino ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Index of the first range that ends behind the mapping's beginning, in the order of objects. */
static size_t first_shown(const struct look *l, const struct mapping *m)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        const size_t mid = (low + high) / 2;
        const struct range *r = l->shared[mid];

        if (r->object->ino > m->inode ||
            (r->object->ino == m->inode && r->offset + (r->end - r->start) > m->offset))
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static void look_at(void *arg, const struct mapping *m)
{
    const struct look *l = arg;
    struct mapping part;

    for (size_t i = range_index(m->start); i < ranges.count && ranges.at[i].start < m->end; i++) {
        struct range *r = &ranges.at[i];

        r->seen |= !r->object || range_shows(r, m, r->start > m->start ? r->start : m->start);
    }
    for (size_t i = first_shown(l, m); m->shared && i < l->n && range_shown(l->shared[i], m, &part);
         i++) {
        l->shared[i]->seen = true;
        if (l->fn)
            l->fn(l->arg, l->shared[i], &part);
    }
}

/* What moved while it was looked for is not gone: see is_gone. */
static void forget_unseen(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < ranges.count; i++) {
        struct range *r = &ranges.at[i];

        if (r->seen ||
            (r->kind == MEM_SHARED && object_fd(r->object) >= 0 && object_seal(r->object)))
            ranges.at[kept++] = *r;
        else if (r->object)
            object_unref(r->object);
    }
    ranges.count = kept;
}

int range_each_shown(range_shown_fn *fn, void *arg)
{
    struct look l = {.fn = fn, .arg = arg};
    int rc;

    if (ranges.count == 0)
        return 0;
    if (!(l.shared = malloc(ranges.count * sizeof *l.shared)))
        return -ENOMEM;
    for (size_t i = 0; i < ranges.count; i++) {
        ranges.at[i].seen = false;
        if (ranges.at[i].kind == MEM_SHARED)
            l.shared[l.n++] = &ranges.at[i];
    }
    qsort(l.shared, l.n, sizeof *l.shared, compare);
    rc = mem_each(look_at, &l);
    free(l.shared);
    if (rc == 0)
        forget_unseen();
    return rc;
}

bool range_tidy(bool now)
{
    const size_t before = ranges.count;

    if (!now && ranges.wait > 0) {
        ranges.wait--;
        return false;
    }
    (void)!range_each_shown(NULL, NULL);
    ranges.wait = ranges.count;
    return ranges.count < before;
}

/* Is all of it where the table says? Where the kernel cannot be asked, it is taken to be: memory
 * has to go without a descriptor too. */
static bool is_in_place(const struct range *r)
{
    struct mapping m;
    int rc = 0;

    for (uint64_t at = r->start; at < r->end; at = m.end) {
        rc = mem_query(at, &m);
        if (rc || m.start > at || !range_shows(r, &m, at))
            return rc && rc != -ENOENT;
    }
    return true;
}

/* A part of a range that the program moved: where the table has it, where it is. */
struct move {
    uint64_t from, to, size;
    struct range taken; /* out of the table, while all change places */
};

struct moves {
    struct move *at;
    size_t n;
    bool short_of_memory;
};

static void note_move(void *arg, struct range *r, const struct mapping *part)
{
    struct moves *l = arg;
    const uint64_t from = r->start + (part->offset - r->offset);
    struct move *m;

    if (from == part->start || l->short_of_memory)
        return;
    if ((m = LIST_ADD(l->at, l->n)))
        *m = (struct move){.from = from, .to = part->start, .size = part->end - part->start};
    else
        l->short_of_memory = true;
}

/* What is mapped where the table has it too stays there, but where that place goes. */
static void take(struct move *m, uint64_t start, uint64_t end)
{
    const struct range *r = range_find(m->from);

    if (!r || r->end < m->from + m->size)
        return; /* mapped in two other places: it went to the first */
    m->taken = *r;
    m->taken.offset += m->from - r->start;
    m->taken.start = m->from;
    m->taken.end = m->from + m->size;
    if ((m->from >= end || m->taken.end <= start) && is_in_place(&m->taken)) {
        m->taken.object = NULL;
        return;
    }
    object_ref(m->taken.object);
    range_forget(m->taken.start, m->taken.end);
}

static void put(struct move *m)
{
    if (!m->taken.object)
        return;
    m->taken.start = m->to;
    m->taken.end = m->to + m->size;
    range_put(&m->taken);
}

int range_follow(uint64_t start, uint64_t end)
{
    const struct range *r = range_next(start);
    struct moves l = {0};
    int rc;

    while (r && r->start < end && (r->kind != MEM_SHARED || is_in_place(r)))
        r = range_next(r->end);
    if (!r || r->start >= end)
        return 0;
    rc = range_each_shown(note_move, &l);
    if (rc == 0)
        rc = l.short_of_memory ? -ENOMEM : room_for((l.n + 1) * CHANGE);
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        take(&l.at[i], start, end);
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        put(&l.at[i]);
    free(l.at);
    return rc;
}

int range_remap(vm_inherit_t inherit, uint64_t start, uint64_t end, int prot, struct object *o,
                uint64_t offset, int flags)
{
    if (mmap((void *)start, end - start, prot, flags | MAP_FIXED, object_fd(o), (off_t)offset) ==
            MAP_FAILED ||
        (inherit == VM_INHERIT_NONE && madvise((void *)start, end - start, MADV_DONTFORK)))
        return -errno;
    return 0;
}
