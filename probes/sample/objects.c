/* Which pages of the memory objects behind private mappings are in memory: a write to one that is
 * not mapped yet costs a frame all the same. How many is asked once per sample and part of an
 * object, however many processes map it, and takes the kernel one call. Which ones takes a look at
 * each: that is asked behind private pages; and ahead, for the next sample, which sees what has
 * been written since, as far as AHEAD goes. */
#include "probes/kernel/object.h"
#include "probes/list.h"
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pages per block of a part, a word of bits: all of a block are told, or none. */
#define BLOCK 64
/* How many pages a sample asks ahead; and those of a part that is asked near used pages only. */
#define AHEAD 32768
#define LARGE 4096

static void forget(struct asked_object *objects, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(objects[i].bits);
        free(objects[i].told);
    }
    free(objects);
}

void objects_turn(struct sampler *s)
{
    forget(s->objects_before, s->nobjects_before);
    s->objects_before = s->objects;
    s->nobjects_before = s->nobjects;
    s->objects = NULL;
    s->nobjects = 0;
    s->ahead = AHEAD;
    places_clear(&s->places);
}

void objects_close(struct sampler *s)
{
    for (size_t i = 0; i < OPEN_OBJECTS; i++) {
        if (s->open[i].pid)
            object_close(&s->open[i].object);
        s->open[i].pid = 0;
    }
    open_files_release(&s->files);
}

void objects_forget(struct sampler *s)
{
    objects_turn(s);
    objects_turn(s);
    free(s->places.at);
}

/* What was asked for want of descriptors or memory in vain is no answer: the sample fails. */
static int noted(struct sampler *s, int rc)
{
    if (is_exhausted(rc))
        s->failed = rc;
    return rc;
}

/* The object behind a mapping, open until the sample ends or another takes its place. That one
 * process cannot open it does not say that another one's mapping cannot. */
static const struct open_object *open_object(struct sampler *s, const struct sampled *w,
                                             const struct map_entry *e)
{
    struct open_object *o = &s->open[places_hash(e->inode, e->dev) % OPEN_OBJECTS];
    bool same = o->pid && o->dev == e->dev && o->inode == e->inode;

    if (same && (object_is_open(&o->object) || o->pid == w->pid))
        return o;
    if (o->pid)
        object_close(&o->object);
    *o = (struct open_object){.dev = e->dev, .inode = e->inode, .pid = w->pid};
    noted(s, object_open(&o->object, w->pid, e, s->reader.helper, &s->files));
    return o;
}

/* Of n pages from `first` on. bits: which; or NULL, if it is enough how many. */
static int ask(struct sampler *s, const struct open_object *from, uint64_t first, uint64_t n,
               uint64_t *bits, uint64_t *count)
{
    return noted(s, object_residency(&from->object, first, n, s->caps.have[CAP_SWAP], bits, NULL,
                                     count, &s->now[0]->cost[SC_OBJECT]));
}

static enum why ask_count(struct sampler *s, const struct sampled *w, const struct map_entry *e,
                          struct asked_object *o)
{
    const struct open_object *from = open_object(s, w, e);
    int rc;

    if (!object_is_open(&from->object))
        return WHY_NO_OBJECT_ACCESS;
    rc = ask(s, from, o->first, o->n, NULL, &o->count);
    return rc == 0 ? WHY_KNOWN : rc == -EACCES ? WHY_FOREIGN_FILE : WHY_READ_FAILED;
}

const struct asked_object *objects_ask(struct sampler *s, const struct sampled *w,
                                       const struct map_entry *e)
{
    uint64_t first = e->offset / s->page_size, n = (e->end - e->start) / s->page_size;
    struct asked_object *o = PLACES_FIND(&s->places, s->objects, e->dev, e->inode, first, n);

    if (o && (o->why != WHY_NO_OBJECT_ACCESS || o->pid == w->pid))
        return o;
    if (!o && !(o = PLACES_ADD(&s->places, s->objects, s->nobjects, e->dev, e->inode, first, n)))
        return NULL;
    o->pid = w->pid;
    o->why = ask_count(s, w, e, o);
    return o;
}

struct value objects_hidden(struct sampler *s, const struct sampled *w, const struct map_entry *e)
{
    const struct open_object *from = open_object(s, w, e);
    uint64_t bytes = CHUNK_PAGES * s->page_size;
    int64_t n = 0;

    if (!object_is_open(&from->object))
        return value_unknown(WHY_NO_OBJECT_ACCESS);
    for (uint64_t index = e->start / bytes; index <= (e->end - 1) / bytes; index++) {
        const struct page_chunk *c = page_table_find(&w->now, index);
        uint64_t own[CHUNK_PAGES / 64] = {0}, bits[CHUNK_PAGES / 64] = {0}, count;
        uint64_t first = CHUNK_PAGES, end = 0, at = index * bytes;

        for (uint64_t i = 0; c && i < CHUNK_PAGES; i++, at += s->page_size)
            if (at >= e->start && at < e->end &&
                (pm_swapped(c->words[i]) ||
                 (pm_present(c->words[i]) && !(c->words[i] & PM_FILE)))) {
                first = first < i ? first : i;
                end = i + 1;
                bit_set(own, i - first);
            }
        at = index * bytes + first * s->page_size;
        if (end &&
            ask(s, from, (at - e->start + e->offset) / s->page_size, end - first, bits, &count) < 0)
            return value_unknown(WHY_READ_FAILED);
        for (size_t k = 0; k < CHUNK_PAGES / 64; k++)
            n += __builtin_popcountll(own[k] & bits[k]);
    }
    return value_known(n);
}

/* Which of the pages [first, end) of a part are in memory. */
static void ask_ahead(struct sampler *s, const struct open_object *from, struct asked_object *o,
                      uint64_t first, uint64_t end)
{
    uint64_t count;

    first -= first % BLOCK;
    if (end > o->n)
        end = o->n;
    if (end <= first || end - first > s->ahead)
        return;
    s->ahead -= end - first;
    if (ask(s, from, o->first + first, end - first, o->bits + first / BLOCK, &count) == 0)
        for (; first < end; first += BLOCK)
            bit_set(o->told, first / BLOCK);
}

/* Of a large part only where the process has pages already, and a bit behind them. */
static void ask_near(struct sampler *s, const struct sampled *w, const struct map_entry *e,
                     const struct open_object *from, struct asked_object *o)
{
    uint64_t bytes = CHUNK_PAGES * s->page_size, next = 0;

    for (size_t i = 0; i < w->now.n && w->now.rows[i].index * bytes < e->end; i++) {
        uint64_t start = w->now.rows[i].index * bytes, first, end = start + 2 * bytes;

        if (end <= e->start)
            continue;
        first = start > e->start ? (start - e->start) / s->page_size : 0;
        end = ((end - e->start) / s->page_size + BLOCK - 1) / BLOCK * BLOCK;
        ask_ahead(s, from, o, first > next ? first : next, end);
        next = end;
    }
}

/* Of a part that is in memory as a whole, or not at all, that is told already. */
static void prepare(struct sampler *s, const struct sampled *w, const struct map_entry *e,
                    struct asked_object *o)
{
    const struct open_object *from;

    if (o->why != WHY_KNOWN || !o->count || o->count == o->n)
        return;
    from = open_object(s, w, e);
    if (!o->bits)
        o->bits = calloc((o->n + 63) / 64, sizeof *o->bits);
    if (!o->told)
        o->told = calloc(o->n / BLOCK / 64 + 1, sizeof *o->told);
    if (!object_is_open(&from->object) || !o->bits || !o->told)
        return;
    if (o->n <= LARGE)
        ask_ahead(s, from, o, bit_is_set(o->told, 0) ? o->n : 0, o->n);
    else
        ask_near(s, w, e, from, o);
}

void objects_note(struct sampler *s, struct sampled *w, const struct map_entry *e,
                  const struct asked_object *o)
{
    if (o && w->pagemap.frames)
        prepare(s, w, e, &s->objects[o - s->objects]);
    w->views.list[w->views.n++] = (struct object_view){.start = e->start,
                                                       .end = e->end,
                                                       .offset = e->offset,
                                                       .dev = e->dev,
                                                       .inode = e->inode,
                                                       .object = o ? o - s->objects : -1};
}

static const struct object_view *view_at(const struct sampled *w, uint64_t addr)
{
    const struct views *v = &w->views_before;
    size_t low = LIST_SEARCH(v->n, i, v->list[i].end <= addr);

    return low < v->n && v->list[low].start <= addr ? &v->list[low] : NULL;
}

enum answer objects_had(const struct sampler *s, const struct sampled *w, const struct map_entry *e,
                        uint64_t addr, enum why *why)
{
    const struct object_view *v = view_at(w, addr);
    const struct asked_object *o;
    uint64_t page;

    if (!v || v->dev != e->dev || v->inode != e->inode ||
        v->start - v->offset != e->start - e->offset)
        return ANSWER_NO; /* it is a new mapping */
    o = v->object < 0 ? NULL : &s->objects_before[v->object];
    *why = o ? o->why : WHY_NOT_ASKED;
    if (*why != WHY_KNOWN)
        return ANSWER_NONE;
    if (!o->count || o->count == o->n)
        return answer_of(o->count);
    page = (addr - v->start) / s->page_size;
    *why = WHY_NOT_ASKED;
    return !o->told || !bit_is_set(o->told, page / BLOCK) ? ANSWER_NONE
                                                          : answer_of(bit_is_set(o->bits, page));
}
