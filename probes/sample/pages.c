/* The sampler's copy of pagemap: chunks, kept once where they are equal. */
#include "probes/list.h"
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A mapping above this size with less than 1/16 of it resident is searched instead of read. */
#define SPARSE_BYTES (64ULL << 20)
/* Mappings this near each other are scanned as one: a call costs what some hundred pages do. */
#define NEAR_BYTES (512ULL << 10)

static void chunk_drop(struct page_chunk *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        free(c);
}

void page_table_release(struct page_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        chunk_drop(t->rows[i].chunk);
    free(t->rows);
    *t = (struct page_table){0};
}

struct page_chunk *page_table_find(const struct page_table *t, uint64_t index)
{
    size_t low = LIST_SEARCH(t->n, i, t->rows[i].index < index);

    return low < t->n && t->rows[low].index == index ? t->rows[low].chunk : NULL;
}

struct reader {
    struct sampler *s;
    struct sampled *w;
    uint64_t *words;
    int threads;
    uint64_t chunk_bytes;
    uint64_t next;               /* chunks below this index are done */
    size_t at_before, at_parent; /* cursors */
};

/* Clears the noise; false if nothing is present or swapped. */
static bool tidy(uint64_t *words)
{
    uint64_t any = 0;

    for (int i = 0; i < CHUNK_PAGES; i++) {
        words[i] &= ~WORD_NOISE;
        any |= words[i];
    }
    return (any & (PM_PRESENT | PM_SWAPPED)) != 0;
}

static bool equal(const struct page_chunk *c, const uint64_t *words)
{
    return c && memcmp(c->words, words, sizeof c->words) == 0;
}

static int keep_chunk(struct reader *r, uint64_t index, const uint64_t *words)
{
    struct page_chunk *before = page_table_next(&r->w->before, &r->at_before, index);
    struct page_chunk *theirs =
        r->w->parent ? page_table_next(&r->w->parent->now, &r->at_parent, index) : NULL;
    /* The parent's first: then a child that was read before its parent's chunk changed back still
     * ends up with one copy. */
    struct page_chunk *c = equal(theirs, words) ? theirs : equal(before, words) ? before : NULL;
    struct page_table *now = &r->w->now;
    struct page_table_row *row;

    if (c) {
        atomic_fetch_add(&c->refs, 1);
    } else {
        c = malloc(sizeof *c);
        if (!c)
            return -ENOMEM;
        memset(c, 0, offsetof(struct page_chunk, words));
        atomic_init(&c->refs, 1);
        memcpy(c->words, words, sizeof c->words);
        memset(c->zero, 0, sizeof c->zero); /* also of pages that no mapping has yet */
    }
    if (!(row = LIST_ADD_ROOM(now->rows, now->n, now->cap))) {
        chunk_drop(c);
        return -ENOMEM;
    }
    *row = (struct page_table_row){index, c};
    return 0;
}

/* Words of special mappings that lie between the others are no memory of the process. */
static void blank_special(struct reader *r, uint64_t first, uint64_t n)
{
    uint64_t ps = r->s->page_size, start = first * r->chunk_bytes, end = start + n * r->chunk_bytes;
    const struct map_entry *e = maps_first(&r->w->maps, start, end);

    for (; e; e = maps_next(&r->w->maps, e, end)) {
        uint64_t from = e->start > start ? e->start : start, to = e->end < end ? e->end : end;

        if (mapping_is_special(e))
            memset(r->words + (from - start) / ps, 0, (to - from) / ps * sizeof *r->words);
    }
}

static int read_chunks(struct reader *r, uint64_t first, uint64_t end)
{
    int rc = 0;

    if (first < r->next)
        first = r->next;
    while (first < end && rc == 0) {
        uint64_t n = end - first < READ_CHUNKS ? end - first : READ_CHUNKS;
        int64_t got =
            reader_words(&r->s->reader, &r->w->pagemap, r->s->page_size, first * r->chunk_bytes,
                         n * CHUNK_PAGES, r->words, r->threads, &r->w->cost[SC_PAGEMAP]);

        if (got < 0)
            return (int)got;
        memset(r->words + got, 0, (n * CHUNK_PAGES - (uint64_t)got) * sizeof *r->words);
        blank_special(r, first, n);
        for (uint64_t i = 0; i < n && rc == 0; i++)
            if (tidy(r->words + i * CHUNK_PAGES))
                rc = keep_chunk(r, first + i, r->words + i * CHUNK_PAGES);
        first += n;
    }
    if (end > r->next)
        r->next = end;
    return rc;
}

static int read_found(void *arg, const struct scan_range *range)
{
    struct reader *r = arg;

    return read_chunks(r, range->start / r->chunk_bytes,
                       (range->end + r->chunk_bytes - 1) / r->chunk_bytes);
}

static bool wanted(const struct map_entry *e)
{
    return !mapping_is_special(e) &&
           (e->kb.rss || e->kb.swap || e->kb.private_hugetlb || e->kb.shared_hugetlb);
}

/* Is it searched instead of read? What is large and nearly empty; and anonymous memory in which
 * smaps counts nothing, because the zero page is in none of its counters. */
static bool searched(const struct reader *r, const struct map_entry *e)
{
    uint64_t bytes = e->end - e->start, kb = e->kb.rss + e->kb.swap;

    return r->s->caps.have[CAP_PAGEMAP_SCAN] && !mapping_is_special(e) &&
           ((wanted(e) && bytes > SPARSE_BYTES && kb * 1024 < bytes / 16) ||
            (!kb && e->prot && sort_of(e) == IN_ANONYMOUS));
}

int pages_read(struct sampler *s, struct sampled *w, uint64_t *words, int threads)
{
    struct reader r = {.s = s,
                       .w = w,
                       .words = words,
                       .threads = threads,
                       .chunk_bytes = CHUNK_PAGES * s->page_size};
    const struct map_entry *e = w->maps.entries, *stop = e + w->maps.n;
    int rc = 0;

    while (e < stop && rc == 0) {
        uint64_t first = e->start / r.chunk_bytes, end;

        if (!wanted(e) && !searched(&r, e)) {
            e++;
            continue;
        }
        if (searched(&r, e)) {
            rc = pagemap_scan(w->pagemap.fd, e->start, e->end, SCAN_PRESENT | SCAN_SWAPPED,
                              SCAN_PRESENT, read_found, &r, &w->cost[SC_SCAN]);
            e++;
            continue;
        }
        /* Neighbours come along in one read. */
        end = (e->end + r.chunk_bytes - 1) / r.chunk_bytes;
        for (e++; e < stop && e->start / r.chunk_bytes <= end; e++) {
            if (searched(&r, e))
                break;
            if (wanted(e))
                end = (e->end + r.chunk_bytes - 1) / r.chunk_bytes;
        }
        rc = read_chunks(&r, first, end);
    }
    return rc;
}

/* -- without frames --------------------------------------------------------------------- */

/* smaps counts every page but the zero page. */
static bool may_show_zero(const struct map_entry *e)
{
    return !e->shared && (e->prot & 2) && !mapping_is_special(e) &&
           !(e->flags & 1u << VMF_HUGETLB) && (e->kb.rss + e->kb.swap) * 1024 < e->end - e->start;
}

struct zeros {
    struct sampled *w;
    uint64_t page_size;
    size_t at; /* no mapping before this one ends behind the last range */
};

static int add_zero(void *arg, const struct scan_range *range)
{
    struct zeros *z = arg;
    const struct map_entry *e = z->w->maps.entries;

    while (z->at < z->w->maps.n && e[z->at].start < range->end) {
        uint64_t from = e[z->at].start > range->start ? e[z->at].start : range->start;
        uint64_t to = e[z->at].end < range->end ? e[z->at].end : range->end;

        if (to > from)
            z->w->zero[z->at] += (int64_t)((to - from) / z->page_size);
        if (e[z->at].end > range->end)
            break;
        z->at++;
    }
    return 0;
}

/* Neighbours in one scan. */
static int64_t scan_zero(struct sampler *s, struct sampled *w, struct zeros *z, size_t first,
                         size_t end)
{
    const struct map_entry *e = w->maps.entries;

    if (!s->caps.have[CAP_PAGEMAP_SCAN] || w->pagemap.fd < 0)
        return -1;
    return pagemap_scan(w->pagemap.fd, e[first].start, e[end - 1].end, SCAN_ZERO, SCAN_ZERO,
                        add_zero, z, &w->cost[SC_SCAN]);
}

int zeros_read(struct sampler *s, struct sampled *w)
{
    const struct map_entry *e = w->maps.entries;
    struct zeros z = {.w = w, .page_size = s->page_size};

    if (!w->maps.n)
        return 0;
    if (LIST_ROOM(w->zero, w->zero_cap, w->maps.n) < 0)
        return -ENOMEM;
    memset(w->zero, 0, w->maps.n * sizeof *w->zero);
    for (size_t i = 0, next; i < w->maps.n; i = next) {
        size_t end = next = i + 1;

        if (!may_show_zero(&e[i]))
            continue;
        for (; next < w->maps.n && e[next].start - e[end - 1].end <= NEAR_BYTES; next++)
            if (may_show_zero(&e[next]))
                end = next + 1;
        if (scan_zero(s, w, &z, i, end) < 0)
            for (size_t k = i; k < end; k++)
                w->zero[k] = may_show_zero(&e[k]) ? -1 : 0;
    }
    return 0;
}
