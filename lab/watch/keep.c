#include "lab/watch/keep.h"
#include "probes/list.h"

#include <errno.h>
#include <stdlib.h>

/* A change is worth a row from this many pages on, or from 1/64 of the mapping's. */
#define MIN_CHANGE 16
#define MIN_SHARE 64

void keep_init(struct keep *k)
{
    *k = (struct keep){.budget = KEEP_BURST};
}

void keep_release(struct keep *k)
{
    free(k->table);
    *k = (struct keep){0};
}

static size_t hash(uint32_t process, uint64_t start)
{
    return (size_t)(((start >> 12) ^ ((uint64_t)process << 40)) * 0x9e3779b97f4a7c15ULL >> 20);
}

static struct kept *place(struct kept *table, size_t cap, uint32_t process, uint64_t start)
{
    size_t i = hash(process, start) & (cap - 1);

    while (table[i].used && (table[i].process != process || table[i].start != start))
        i = (i + 1) & (cap - 1);
    return &table[i];
}

static bool is_recent(const struct keep *k, const struct kept *was)
{
    return was->used && was->seen + 1 >= k->sample;
}

/* Keeps what was seen in this sample or the last; the rest was reported as gone. */
static int rebuild(struct keep *k, size_t regions)
{
    size_t cap = 1024, n = 0;
    struct kept *table;

    for (size_t i = 0; i < k->cap; i++)
        n += is_recent(k, &k->table[i]);
    while (cap < (n + regions) * 2)
        cap *= 2;
    table = calloc(cap, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (size_t i = 0; i < k->cap; i++)
        if (is_recent(k, &k->table[i]))
            *place(table, cap, k->table[i].process, k->table[i].start) = k->table[i];
    free(k->table);
    k->table = table;
    k->cap = cap;
    k->n = n;
    return 0;
}

/* A count of a sample joins those that wait for the mapping's next row. */
static struct value waited(int64_t *sum, struct value v)
{
    if (value_is_known(v))
        v.n = *sum += v.n;
    return v;
}

static int64_t known(struct value v)
{
    return value_is_known(v) ? v.n : -1;
}

static void take_pages(const struct sample_region *r, int64_t pages[6])
{
    pages[0] = known(r->q[RQ_MAPPED]);
    pages[1] = known(r->q[RQ_EXCLUSIVE]);
    pages[2] = known(r->q[RQ_COW]);
    pages[3] = known(r->q[RQ_DEBT]);
    pages[4] = known(r->q[RQ_SHARED]);
    pages[5] = known(r->parent_pages);
}

/* How much a mapping differs from its last row, in pages; a different kind of mapping counts as
 * all of it. */
static int64_t change_of(const struct kept *was, const struct sample_region *r)
{
    int64_t pages[6], most = 0, size = r->q[RQ_PAGES].n;

    if (was->end != r->map->end || was->prot != r->map->prot ||
        was->share_mode != (int)known(r->q[RQ_SHARE_MODE]))
        most = size < 1 ? 1 : size;
    take_pages(r, pages);
    for (int i = 0; i < 6; i++) {
        int64_t d = pages[i] - was->pages[i];

        d = d < 0 ? -d : d;
        most = d > most ? d : most;
    }
    return most;
}

static bool matters(int64_t change, const struct sample_region *r)
{
    int64_t share = r->q[RQ_PAGES].n / MIN_SHARE;

    return change > (share > MIN_CHANGE ? share : MIN_CHANGE) || change >= r->q[RQ_PAGES].n;
}

static void remember(struct kept *was, uint32_t process, const struct sample_region *r)
{
    *was = (struct kept){.process = process,
                         .start = r->map->start,
                         .end = r->map->end,
                         .prot = r->map->prot,
                         .share_mode = (int)known(r->q[RQ_SHARE_MODE]),
                         .seen = was->seen,
                         .used = true,
                         .kind = r->kind};
    take_pages(r, was->pages);
}

struct list {
    struct keep_choice *at;
    size_t n;
};

/* Candidates: new mappings that hold anything, and those that changed enough. */
static int gather(struct keep *k, const struct sample *s, const int *who, bool all,
                  struct list *out)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->processes[i].nregions; j++) {
            const struct sample_region *r = &s->processes[i].regions[j];
            struct kept *was = place(k->table, k->cap, (uint32_t)who[i], r->map->start);
            bool fresh = !was->used;
            int64_t change = fresh ? known(r->q[RQ_MAPPED]) + 1 : change_of(was, r);
            struct value copied = waited(&was->copied, r->copied),
                         lost = waited(&was->lost, r->lost);
            struct keep_choice *c;

            if (fresh)
                k->n++; /* with pages of zero, should its row have to wait */
            was->used = true;
            was->counted |= value_is_known(r->lost);
            was->process = (uint32_t)who[i];
            was->start = r->map->start;
            was->seen = k->sample;
            if (k->sample > 1 && (fresh ? change <= 1 : !change || !(all || matters(change, r))))
                continue;
            if (!(c = LIST_ADD(out->at, out->n)))
                return -ENOMEM;
            *c = (struct keep_choice){.process = i,
                                      .region = r,
                                      .start = r->map->start,
                                      .end = r->map->end,
                                      .kind = r->kind,
                                      .copied = copied,
                                      .lost = lost,
                                      .change = change};
        }
    return 0;
}

/* Mappings of processes that are still there, seen in the last sample and not in this one. */
static int gather_gone(struct keep *k, const struct sample *s, const int *who, struct list *out)
{
    for (size_t i = 0; i < k->cap; i++) {
        const struct kept *was = &k->table[i];
        struct keep_choice *c;
        size_t p = 0;

        if (!was->used || was->seen + 1 != k->sample || was->pages[0] <= 0)
            continue;
        while (p < s->n && ((uint32_t)who[p] != was->process || s->processes[p].why != WHY_KNOWN))
            p++;
        if (p == s->n)
            continue;
        if (!(c = LIST_ADD(out->at, out->n)))
            return -ENOMEM;
        *c = (struct keep_choice){.process = p,
                                  .start = was->start,
                                  .end = was->end,
                                  .kind = was->kind,
                                  .copied = value_na(),
                                  .lost = was->counted ? value_known(was->lost) : value_na(),
                                  .change = was->pages[0]};
    }
    return 0;
}

static int by_change(const void *a, const void *b)
{
    int64_t x = ((const struct keep_choice *)a)->change,
            y = ((const struct keep_choice *)b)->change;

    return x < y ? 1 : x > y ? -1 : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct keep_choice *x = a, *y = b;

    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void refill(struct keep *k, uint64_t now_ns)
{
    if (k->last_ns)
        k->budget += (double)(now_ns - k->last_ns) / 1e9 * KEEP_RATE;
    if (k->budget > KEEP_BURST)
        k->budget = KEEP_BURST;
    k->last_ns = now_ns;
}

int keep_choose(struct keep *k, const struct sample *s, const int *who, bool all,
                struct keep_choice **out, size_t *n, size_t *waiting)
{
    struct list list = {0};
    size_t regions = 0, take = 0;
    int rc;

    for (size_t i = 0; i < s->n; i++)
        regions += s->processes[i].nregions;
    k->sample++;
    rc = (k->n + regions) * 2 > k->cap ? rebuild(k, regions) : 0;
    rc = rc ? rc : gather(k, s, who, all, &list);
    rc = rc ? rc : gather_gone(k, s, who, &list);
    if (rc < 0) {
        free(list.at);
        return rc;
    }
    refill(k, s->t_ns);
    if (list.n)
        qsort(list.at, list.n, sizeof *list.at, by_change);
    while (take < list.n && (all || k->sample == 1 || k->budget >= 1)) {
        const struct keep_choice *c = &list.at[take++];

        k->budget -= k->budget >= 1;
        if (c->region)
            remember(place(k->table, k->cap, (uint32_t)who[c->process], c->start),
                     (uint32_t)who[c->process], c->region);
    }
    *waiting = list.n - take;
    if (take)
        qsort(list.at, take, sizeof *list.at, by_place);
    *out = list.at;
    *n = take;
    return 0;
}
