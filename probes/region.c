/* region: from the page records of one region to its quantities, runs and objects.
 *
 * Finer than what the page table says (walk.c):
 *
 *   bit 56 clear   the page is mapped elsewhere too. kpagecount gives the map count.
 *   bit 56 set     mapped once. Exclusive, or in debt: kpageflags bit 34 tells for small folios;
 *                  in a large folio bit 56 itself is the head page's answer, so that the map
 *                  count is asked too and exclusive against debt stays unknown.
 *
 * In very large regions (above INFER_PAGES lookups of a kind) map counts follow from joining the
 * frames of the run's own processes, or from PSS where it leaves one answer only, and only pages
 * that were cow at the last look are asked for debt; what is so concluded is marked inferred, and
 * every SAMPLE_EVERYth page is asked all the same. One answer that disagrees, and the whole region
 * is asked.
 *
 * The reference count of a region:
 *   no memory object   the largest map count of a resident page, 0 if none is resident. If every
 *                      resident page is mapped once by bit 56 (small folios), that is 1 without
 *                      any privilege.
 *   a memory object    the processes that map the object plus the messages that carry it; or the
 *                      largest map count of the region's private copies if that is larger (a
 *                      process wrote, then forked: the copies are what is shared). It does not
 *                      matter how much of the object is still seen: the mapping refers to it. */
#include "probes/look.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define INFER_PAGES (128 * 1024)
/* Shares of FINISH_PAGES that are finished before their runs are put together. */
#define WAVE_SHARES 16
#define SAMPLE_EVERY 64

/* Everything that is summed up while the pages go by. */
struct sums {
    uint64_t states[PS__COUNT];
    uint64_t huge, backed, backed_none, outside;
    bool backed_any;
    uint64_t pss; /* the pages' bytes, each divided by its map count, << PSS_SHIFT */
    uint64_t first_touch, copied, reused, doubtful; /* doubtful: reused, no fault or not written */
    uint64_t large_unknown;                         /* of anon?: because of a large folio */
    int64_t anon_count;                             /* largest map count of an anonymous page */
    int64_t object_surplus;  /* largest number of mappings from outside the run */
    uint64_t counts_missing; /* present pages whose map count is not known */
    uint64_t anon_missing;   /* the anonymous ones among them */
    bool inferred_debt, inferred_count, inferred_copies;
    bool maybe_copied;   /* without frames: among the doubtful ones copies may be */
    bool maybe_first;    /* and some pages may have been the zero page before */
    uint64_t maybe_zero; /* of anon?: the zero page, or shared */
    uint64_t untold;     /* written pages that the memory object may or may not have had before */
};

struct finish {
    struct observer *o;
    struct watched *w;
    struct memory *m;
    struct obs_region *r;
    const struct map_entry *entry; /* holds the region's start, or NULL */
    struct seen_object *object;    /* behind that entry, or NULL */
    bool infer_counts, infer_debt;
    bool pss_says_two; /* no shared page of the entry can be mapped by more than two */
    struct sums sums;
    struct err *err;
};

/* A part of the pages; in a large region two threads finish several. Reads what the finish says,
 * writes the records of its pages and what is below. */
struct share {
    const struct finish *f;
    uint64_t first, end;
    struct sums sums;
    struct page_run run; /* being joined */
    struct page_run *runs;
    size_t nruns, runs_cap;
    bool cut;
    struct probe_cost count_cost, flags_cost;
    uint64_t samples, samples_agreed;
    struct err err;
    int rc;
    /* lookups of one batch */
    uint64_t *frames, *answers;
    uint32_t *pages;
    int32_t *counts;
};

static uint8_t state_of(uint8_t rec)
{
    return rec & REC_STATE;
}

static void set_state(uint8_t *rec, uint8_t state)
{
    *rec = (uint8_t)((*rec & ~REC_STATE) | state);
}

/* Marks the pages whose memory object has them in memory, entry by entry. */
static void mark_backed(struct finish *f)
{
    const struct map_entry *e = maps_find(&f->w->maps, f->m->start);
    const struct map_entry *end = f->w->maps.entries + f->w->maps.n;
    uint64_t ps = f->o->page_size, first, last = 0;

    while (f->m->backed && next_pages(&f->m->now, &first, &last))
        for (; first < last; first++)
            f->m->now.rec[first] &= (uint8_t)~REC_BACKED;
    f->m->backed = false;
    for (; e && e < end && e->start < f->m->end; e++) {
        struct seen_object *s = e->inode ? object_find(f->o, e->dev, e->inode) : NULL;
        uint64_t from = e->start > f->m->start ? e->start : f->m->start;
        uint64_t to = e->end < f->m->end ? e->end : f->m->end;

        if (!s || s->why_resident != WHY_KNOWN)
            continue;
        f->m->backed = true;
        for (uint64_t at = from; at < to; at += ps) {
            uint64_t page = (at - e->start + e->offset) / ps;

            if (page < s->npages && bit_is_set(s->resident_bits, page)) {
                f->m->now.rec[(at - f->m->start) / ps] |= REC_BACKED;
                bit_set(f->m->now.touched, (at - f->m->start) / ps / BLOCK_PAGES);
            }
        }
    }
}

/* Its frame or PAGEMAP_SCAN tells the zero page from a shared one; both have bit 56 clear. */
static bool zero_told(const struct finish *f)
{
    return f->w->pagemap_frames || f->o->caps.have[CAP_PAGEMAP_SCAN];
}

/* Asks one of the kpage files for n pages of the batch (s->pages, indices into the region). */
static int ask(struct share *s, int fd, bool counts, size_t n)
{
    const struct memory *m = s->f->m;
    int rc;

    for (size_t i = 0; i < n; i++)
        s->frames[i] = PM_FRAME(m->now.word[s->pages[i]]);
    rc = kpage_read(fd, s->frames, s->answers, n, 1, counts ? &s->count_cost : &s->flags_cost);
    return rc < 0 ? err_sys(&s->err, rc, "cannot read '/proc/%s'",
                            counts ? "kpagecount" : "kpageflags")
                  : 0;
}

static bool sampled(uint64_t page)
{
    return page % SAMPLE_EVERY == 0;
}

/* Can what a page mapped once was at the last look, or that its frame is new, stand in for its
 * flags? A page in debt can have been paid for only by a fault. */
static bool concluded(const struct finish *f, uint8_t rec)
{
    if (!f->infer_debt || rec & REC_FRESH)
        return false;
    return state_of(rec) == PS_EXCLUSIVE || (state_of(rec) == PS_DEBT && f->w->quiet);
}

/* The frame's flags: exclusive or debt; large folios cannot be told. */
static void take_flags(struct share *s, uint64_t page, uint64_t flags)
{
    uint8_t *rec = &s->f->m->now.rec[page];
    bool sure = concluded(s->f, *rec);
    uint8_t state = flags == KPAGE_NONE          ? PS_ANON_UNKNOWN
                    : flags & KPF_LARGE          ? PS_ANON_UNKNOWN
                    : flags & KPF_ANON_EXCLUSIVE ? PS_EXCLUSIVE
                                                 : PS_DEBT;

    s->samples += sure;
    if (sure && state == state_of(*rec))
        s->samples_agreed++;
    else if (sure)
        s->rc = -EAGAIN; /* somebody forked unseen: ask for all */
    *rec = (uint8_t)((*rec & ~(REC_STATE | REC_FRESH | REC_INFERRED)) | state);
}

static bool once(uint8_t state)
{
    return state == PS_EXCLUSIVE || state == PS_DEBT;
}

static int tell_debt(struct share *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    uint8_t *rec = f->m->now.rec;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        if (!once(state_of(rec[p])))
            continue;
        if (!concluded(f, rec[p]) || sampled(p))
            s->pages[n++] = (uint32_t)p;
        else
            rec[p] |= REC_INFERRED;
    }
    rc = ask(s, f->o->flags_fd, false, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        take_flags(s, s->pages[i], s->answers[i]);
    return rc;
}

/* May pages be in large folios? Then bit 56 is the head page's answer, and a write can copy a page
 * that is mapped once. */
static bool large_expected(const struct finish *f)
{
    return !f->entry || !f->w->maps.counted || f->entry->kb.thp_eligible;
}

/* Without flags exclusive, in debt and bit 56 of a large folio's head look the same. */
static void doubt_debt(struct share *s, uint64_t first, uint64_t end)
{
    uint8_t *rec = s->f->m->now.rec;

    for (uint64_t p = first; p < end; p++)
        if (once(state_of(rec[p])))
            set_state(&rec[p], PS_ANON_UNKNOWN);
}

/* What the state says of the map count: 0, 1, or -1 for not at all. */
static const int8_t count_of_state[PS__COUNT] = {
    [PS_NONE] = 0,    [PS_ZERO] = 0,    [PS_EXCLUSIVE] = 1, [PS_COW] = -1,         [PS_DEBT] = 1,
    [PS_OBJECT] = -1, [PS_SHARED] = -1, [PS_SWAPPED] = 0,   [PS_ANON_UNKNOWN] = -1};

/* A kernel that keeps no map count per page gives averages for large folios: then there is none. */
static int drop_averages(struct share *s, uint64_t first, size_t n)
{
    const struct finish *f = s->f;
    int rc;

    if (f->o->caps.have[CAP_PAGE_MAPCOUNT] || !f->o->caps.have[CAP_KPAGEFLAGS])
        return 0;
    rc = ask(s, f->o->flags_fd, false, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        uint64_t p = s->pages[i];

        if (s->answers[i] != KPAGE_NONE && !(s->answers[i] & KPF_LARGE))
            continue;
        s->counts[p - first] = -1;
        if (state_of(f->m->now.rec[p]) == PS_COW)
            set_state(&f->m->now.rec[p], PS_ANON_UNKNOWN);
    }
    return rc;
}

/* What the map count must be, or -1. The run's own mappings of the frame; of a page that is mapped
 * more than once, though once only by the run, 2 if PSS leaves nothing else. */
static int32_t joined_count(const struct finish *f, uint8_t state, uint32_t slot)
{
    int32_t own = f->o->frames.own[slot];

    if (state == PS_ANON_UNKNOWN)
        return -1;
    if (state == PS_COW && own < 2)
        return f->pss_says_two ? 2 : -1;
    return own;
}

/* Map counts of the pages that may be mapped more than once, or whose bit 56 is not their own. */
static int tell_counts(struct share *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    struct records *now = &f->m->now;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);
        int32_t *count = &s->counts[p - first];

        *count = count_of_state[state];
        if (*count >= 0 || !now->slot[p])
            continue;
        now->rec[p] &= (uint8_t) ~(REC_INFERRED | REC_FRESH);
        if (f->infer_counts) {
            *count = joined_count(f, state, now->slot[p]);
            if (*count >= 0 && !sampled(p)) {
                now->rec[p] |= REC_INFERRED;
                continue;
            }
        }
        s->pages[n++] = (uint32_t)p;
    }
    rc = ask(s, f->o->count_fd, true, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int32_t *count = &s->counts[s->pages[i] - first];
        int32_t told = (int32_t)s->answers[i] + (f->o->corrupt == CORRUPT_KPAGECOUNT);

        if (s->answers[i] == KPAGE_NONE)
            continue;
        s->samples += *count >= 0;
        s->samples_agreed += *count == told;
        if (*count >= 0 && *count != told)
            s->rc = -EAGAIN;
        *count = told;
    }
    return rc < 0 ? rc : drop_averages(s, first, n);
}

/* Without the kernel's map counts: the join, marked; without frames: what bit 56 says of small
 * folios, else unknown. */
static void join_counts(struct share *s, uint64_t first, uint64_t end)
{
    struct records *now = &s->f->m->now;
    bool small = !large_expected(s->f);

    for (uint64_t p = first; p < end; p++) {
        int32_t *count = &s->counts[p - first];

        *count = count_of_state[state_of(now->rec[p])];
        if (state_of(now->rec[p]) == PS_ANON_UNKNOWN && now->word[p] & PM_EXCLUSIVE && small) {
            *count = 1;
        } else if (*count < 0 && now->slot[p]) {
            *count = s->f->o->frames.own[now->slot[p]];
            now->rec[p] |= REC_INFERRED;
        }
    }
}

/* Anonymous pages whose state does not stand yet, once the map counts are there. */
static void settle_states(struct share *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    uint8_t *rec = f->m->now.rec;
    bool precise = f->o->caps.have[CAP_PAGE_MAPCOUNT];

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(rec[p]);
        int32_t count = s->counts[p - first];

        if (state == PS_ANON_UNKNOWN && count > 1 && precise)
            set_state(&rec[p], PS_COW); /* in a large folio, but this page is shared */
        else if (state == PS_COW && count == 1 && !(rec[p] & REC_INFERRED))
            set_state(&rec[p], PS_ANON_UNKNOWN); /* bit 56 was the head page's answer */
        else if (state == PS_COW && count == 0)
            set_state(&rec[p], PS_ZERO); /* present and mapped by nobody: a zero page */
    }
}

static void count_zero_doubts(struct share *s, uint64_t first, uint64_t end)
{
    const struct records *now = &s->f->m->now;

    for (uint64_t p = first; p < end && !zero_told(s->f); p++)
        s->sums.maybe_zero +=
            state_of(now->rec[p]) == PS_ANON_UNKNOWN && !(now->word[p] & PM_EXCLUSIVE);
}

/* Can the object's residency be told? */
static enum why object_why(const struct finish *f)
{
    return f->object ? f->object->why_resident : WHY_NO_OBJECT_ACCESS;
}

/* before -> now of one page that the step may have written. */
static void outcome(struct share *share, uint64_t p)
{
    const struct finish *f = share->f;
    const struct records *before = &f->m->before, *now = &f->m->now;
    uint8_t was = state_of(before->rec[p]), is = state_of(now->rec[p]);
    bool present = is != PS_NONE && is != PS_SWAPPED && is != PS_ZERO;
    bool frames = before->slot[p] && now->slot[p];
    struct sums *s = &share->sums;

    if (!present)
        return;
    if (was == PS_NONE || was == PS_ZERO) {
        bool had = before->rec[p] & REC_BACKED;

        if (was == PS_NONE && f->entry && f->entry->inode && object_why(f) != WHY_KNOWN)
            s->untold++; /* nobody knows whether the object had the page */
        else if (was == PS_NONE && had && is == PS_SHARED)
            s->reused++; /* the object had the page: mapped by the fault */
        else if (was == PS_NONE && had && is != PS_OBJECT)
            s->copied++; /* private mapping: the object's page was copied straight away */
        else if (is != PS_OBJECT)
            s->first_touch++;
    } else if (was == PS_SWAPPED) {
        s->copied++; /* back in a new frame */
    } else if (frames && before->slot[p] != now->slot[p]) {
        s->copied++;
    } else if (frames && was == PS_ANON_UNKNOWN && is == PS_ANON_UNKNOWN) {
        s->doubtful++;
    } else if (frames) {
        s->reused += is == PS_EXCLUSIVE && (was == PS_DEBT || was == PS_COW);
    } else if (was == PS_OBJECT && is != PS_OBJECT) {
        s->copied++;
    } else if (was == PS_COW && is != PS_COW && is != PS_OBJECT) {
        s->copied++; /* no frames, but the sharer has not gone: it took no step */
        s->inferred_copies = true;
    } else if (is == PS_ANON_UNKNOWN || is == PS_COW || was == PS_ANON_UNKNOWN) {
        s->doubtful++;
        s->maybe_copied |= was == PS_ANON_UNKNOWN;
        s->maybe_first |= was == PS_ANON_UNKNOWN && !zero_told(f);
    }
}

/* Neighbouring pages that add the same to the sums. own: mappings by the run. */
struct alike {
    uint64_t n;
    int32_t count;
    uint16_t own;
    uint8_t rec;
};

static void add_counts(struct sums *s, const struct alike *a, uint64_t page_bytes)
{
    uint8_t state = state_of(a->rec);
    int64_t surplus = (int64_t)a->count - a->own;

    if (a->count < 0) {
        s->counts_missing += a->n;
        s->anon_missing += state == PS_COW || state == PS_ANON_UNKNOWN ? a->n : 0;
        return;
    }
    if (a->count > 0)
        s->pss += a->n * ((page_bytes << PSS_SHIFT) / (uint64_t)a->count);
    if (a->count > 0 && surplus > 0 && a->own < FRAME_OWN_MAX) {
        s->outside += a->n;
        if (surplus > s->object_surplus && (state == PS_OBJECT || state == PS_SHARED))
            s->object_surplus = surplus;
    }
    if (state != PS_OBJECT && state != PS_SHARED && a->count > s->anon_count)
        s->anon_count = a->count;
}

static void add_alike(struct share *share, const struct alike *a)
{
    uint8_t state = state_of(a->rec);
    struct sums *s = &share->sums;

    s->states[state] += a->n;
    s->huge += a->rec & REC_HUGE ? a->n : 0;
    if (a->rec & REC_BACKED) {
        s->backed_any |= a->n > 0;
        s->backed_none += state == PS_NONE ? a->n : 0;
        if (state == PS_NONE || state == PS_OBJECT || state == PS_SHARED || state == PS_SWAPPED)
            s->backed += a->n;
    }
    if (a->rec & REC_INFERRED) {
        s->inferred_debt |= once(state);
        s->inferred_count |= !once(state);
    }
    add_counts(s, a, share->f->o->page_size);
}

static void sum_pages(struct share *s, uint64_t first, uint64_t end)
{
    const struct records *now = &s->f->m->now;
    const uint16_t *own = s->f->o->frames.own;
    struct alike a = {0};

    for (uint64_t p = first; p < end; p++) {
        int32_t count = s->counts[p - first];
        uint8_t rec = now->rec[p] & (uint8_t)~REC_FRESH;
        bool shared = !once(state_of(rec)) && now->slot[p];
        uint16_t mine = shared ? own[now->slot[p]] : (uint16_t)(count > 0 ? count : 0);

        if (a.n && rec == a.rec && count == a.count && mine == a.own) {
            a.n++;
            continue;
        }
        add_alike(s, &a);
        a = (struct alike){.n = 1, .count = count, .own = mine, .rec = rec};
    }
    add_alike(s, &a);
}

static int flush_run(struct share *s)
{
    if (!s->run.count)
        return 0;
    if (s->nruns >= s->f->o->max_runs) {
        s->cut = true;
        return 0;
    }
    if (s->nruns == s->runs_cap) {
        size_t cap = s->runs_cap ? s->runs_cap * 2 : 64;
        struct page_run *grown = realloc(s->runs, cap * sizeof *grown);

        if (!grown)
            return err_set(&s->err, ENOMEM, "out of memory");
        s->runs = grown;
        s->runs_cap = cap;
    }
    s->runs[s->nruns++] = s->run;
    return 0;
}

/* A page that was asked as a sample stands among concluded ones: it must not break their run, which
 * stays marked as concluded. */
static bool joins_marks(const struct page_run *run, uint64_t page, bool inferred)
{
    return run->inferred == inferred || (run->inferred && sampled(page)) ||
           (run->count == 1 && sampled(run->first));
}

/* One page into the runs: the usual case, that it continues the last one, is the short way. */
static inline int add_to_runs(struct share *s, uint64_t p, int32_t count)
{
    uint8_t rec = s->f->m->now.rec[p];
    uint32_t slot = s->f->m->now.slot[p];
    uint64_t frame = slot ? s->f->o->frames.label[slot] : 0;
    struct page_run *run = &s->run;
    int rc;

    if (run->count && state_of(rec) == run->state && count == run->mapcount &&
        frame == (run->frame ? run->frame + run->count : 0) && !(rec & REC_HUGE) == !run->huge &&
        joins_marks(run, p, (rec & REC_INFERRED) != 0)) {
        run->count++;
        run->inferred |= (rec & REC_INFERRED) != 0;
        return 0;
    }
    rc = flush_run(s);
    *run = (struct page_run){.first = p,
                             .count = 1,
                             .frame = frame,
                             .mapcount = count,
                             .state = state_of(rec),
                             .huge = (rec & REC_HUGE) != 0,
                             .inferred = (rec & REC_INFERRED) != 0};
    return rc;
}

/* What the page table alone says of an anonymous page. Without frames, of a huge page only the
 * head's answer is its own (bit 56 of the others repeats it). */
static uint8_t state_by_word(const struct finish *f, uint64_t page)
{
    bool frames = f->w->pagemap_frames;

    if (!frames && (f->m->now.rec[page] & REC_HUGE) &&
        (f->m->start + page * f->o->page_size) % f->o->caps.huge_page_size)
        return PS_ANON_UNKNOWN;
    if (f->m->now.word[page] & PM_EXCLUSIVE)
        return PS_EXCLUSIVE;
    return zero_told(f) ? PS_COW : PS_ANON_UNKNOWN;
}

/* Small regions are asked anew at every look: what the page table says is where that begins. */
static void begin_states(struct share *s, uint64_t first, uint64_t end)
{
    struct records *now = &s->f->m->now;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);

        now->rec[p] &= (uint8_t)~REC_INFERRED;
        if (once(state) || state == PS_COW || state == PS_ANON_UNKNOWN)
            set_state(&now->rec[p], state_by_word(s->f, p));
    }
}

/* Pages of touched blocks. */
static int finish_touched(struct share *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    const struct caps *caps = &f->o->caps;
    bool frames = f->w->pagemap_frames;
    bool outcomes = f->m->written && f->m->before.n == f->m->now.n;
    int rc = 0;

    if (!f->infer_debt)
        begin_states(s, first, end);
    if (frames && caps->have[CAP_DEBT])
        rc = tell_debt(s, first, end);
    else
        doubt_debt(s, first, end);
    if (rc == 0 && frames && caps->have[CAP_KPAGECOUNT])
        rc = tell_counts(s, first, end);
    else
        join_counts(s, first, end);
    if (rc < 0 || s->rc < 0)
        return rc < 0 ? rc : s->rc;
    settle_states(s, first, end);
    count_zero_doubts(s, first, end);
    sum_pages(s, first, end);
    for (uint64_t p = first; p < end && outcomes; p++)
        outcome(s, p);
    for (uint64_t p = first; p < end && rc == 0; p++)
        rc = add_to_runs(s, p, s->counts[p - first]);
    return rc;
}

/* Pages that nothing is known of: not mapped, and nothing behind them. */
static int finish_nothing(struct share *s, uint64_t first, uint64_t n)
{
    int rc = add_to_runs(s, first, 0);

    s->run.count += n - 1;
    s->sums.states[PS_NONE] += n;
    return rc;
}

static int finish_batch(struct share *s, uint64_t first, uint64_t end)
{
    const struct records *now = &s->f->m->now;
    int rc = 0;

    while (first < end && rc == 0 && s->rc == 0) {
        uint64_t block = first / BLOCK_PAGES, to = next_touched(now, block) * BLOCK_PAGES;

        to = to < end ? to : end;
        if (to > first) {
            rc = finish_nothing(s, first, to - first);
        } else {
            do
                to = (++block) * BLOCK_PAGES;
            while (to < end && next_touched(now, block) == block);
            to = to < end ? to : end;
            rc = finish_touched(s, first, to);
        }
        first = to;
    }
    return rc;
}

/* Shares are taken in turn by both threads, because they do not cost the same: asking for flags of
 * scattered frames takes longest. */
struct wave {
    struct share *shares;
    uint32_t n;
    atomic_uint next;
    size_t room; /* pages of the largest share */
};

static void lend_buffers(struct share *s, struct share *owner)
{
    s->frames = owner->frames;
    s->answers = owner->answers;
    s->pages = owner->pages;
    s->counts = owner->counts;
}

static void *finish_shares(void *arg)
{
    struct wave *wave = arg;
    struct share own = {.frames = malloc(wave->room * sizeof *own.frames),
                        .answers = malloc(wave->room * sizeof *own.answers),
                        .pages = malloc(wave->room * sizeof *own.pages),
                        .counts = malloc(wave->room * sizeof *own.counts)};
    bool room = own.frames && own.answers && own.pages && own.counts;
    uint32_t i;

    while ((i = atomic_fetch_add(&wave->next, 1)) < wave->n) {
        struct share *s = &wave->shares[i];
        int rc;

        lend_buffers(s, &own);
        rc = room ? finish_batch(s, s->first, s->end) : err_set(&s->err, ENOMEM, "out of memory");
        s->rc = rc < 0 ? rc : s->rc;
        if (s->rc == 0)
            s->rc = flush_run(s);
    }
    free(own.frames);
    free(own.answers);
    free(own.pages);
    free(own.counts);
    return NULL;
}

static void add_cost(struct probe_cost *to, const struct probe_cost *from)
{
    to->ns += from->ns; /* of both threads: processor time, not the time that passed */
    to->calls += from->calls;
    to->bytes += from->bytes;
}

static void merge_sums(struct sums *to, const struct sums *from)
{
    for (int i = 0; i < PS__COUNT; i++)
        to->states[i] += from->states[i];
    to->huge += from->huge;
    to->backed += from->backed;
    to->backed_none += from->backed_none;
    to->backed_any |= from->backed_any;
    to->outside += from->outside;
    to->pss += from->pss;
    to->first_touch += from->first_touch;
    to->copied += from->copied;
    to->reused += from->reused;
    to->doubtful += from->doubtful;
    to->untold += from->untold;
    to->counts_missing += from->counts_missing;
    to->anon_missing += from->anon_missing;
    to->anon_count = from->anon_count > to->anon_count ? from->anon_count : to->anon_count;
    to->object_surplus =
        from->object_surplus > to->object_surplus ? from->object_surplus : to->object_surplus;
    to->inferred_debt |= from->inferred_debt;
    to->inferred_count |= from->inferred_count;
    to->inferred_copies |= from->inferred_copies;
    to->maybe_copied |= from->maybe_copied;
    to->maybe_first |= from->maybe_first;
    to->maybe_zero += from->maybe_zero;
}

static int merge_share(struct finish *f, struct share *s)
{
    struct obs_region *r = f->r;

    add_cost(&f->o->cost[COST_KPAGECOUNT], &s->count_cost);
    add_cost(&f->o->cost[COST_KPAGEFLAGS], &s->flags_cost);
    f->o->samples += s->samples;
    f->o->samples_agreed += s->samples_agreed;
    if (s->rc < 0 && s->rc != -EAGAIN)
        *f->err = s->err;
    if (s->rc < 0)
        return s->rc;
    merge_sums(&f->sums, &s->sums);
    r->runs_cut |= s->cut;
    for (size_t i = 0; i < s->nruns; i++) {
        if (r->nruns >= f->o->max_runs) {
            r->runs_cut = true;
            break;
        }
        if (obs_region_add_run(r, &s->runs[i]) < 0)
            return err_set(f->err, ENOMEM, "out of memory");
    }
    return 0;
}

/* The shares of a wave, in order. */
static int run_wave(struct finish *f, struct wave *wave)
{
    bool second = f->o->threads > 1 && wave->n > 1;
    pthread_t thread;
    int rc = 0;

    if (second)
        second = pthread_create(&thread, NULL, finish_shares, wave) == 0;
    finish_shares(wave);
    if (second)
        pthread_join(thread, NULL);
    for (uint32_t i = 0; i < wave->n; i++) {
        int merged = rc == 0 ? merge_share(f, &wave->shares[i]) : 0;

        rc = rc < 0 ? rc : merged;
        free(wave->shares[i].runs);
    }
    return rc;
}

/* All pages, in waves that bound the memory for runs and lookups. */
static int finish_pages(struct finish *f)
{
    struct share *shares = malloc(WAVE_SHARES * sizeof *shares);
    uint64_t n = f->m->now.n, first = 0;
    int rc = 0;

    if (!shares)
        return err_set(f->err, ENOMEM, "out of memory");
    while (first < n && rc == 0) {
        struct wave wave = {.shares = shares, .room = n < FINISH_PAGES ? n : FINISH_PAGES};

        while (wave.n < WAVE_SHARES && first < n) {
            uint64_t end = next_touched(&f->m->now, first / BLOCK_PAGES) * BLOCK_PAGES;

            /* All that is untouched is one share, however large. */
            end = end < first + FINISH_PAGES ? first + FINISH_PAGES : end;
            end = end < n ? end : n;
            memset(&shares[wave.n], 0, sizeof *shares);
            shares[wave.n].f = f;
            shares[wave.n].first = first;
            shares[wave.n++].end = end;
            first = end;
        }
        rc = run_wave(f, &wave);
    }
    free(shares);
    return rc;
}

static struct value with_inference(uint64_t n, bool inferred)
{
    return inferred ? value_inferred((int64_t)n) : value_known((int64_t)n);
}

/* Why pages are anon?: the reason of all that hangs on debt. */
static enum why why_anon_unknown(const struct finish *f)
{
    if (f->w->pagemap_frames && f->o->caps.have[CAP_DEBT])
        return WHY_LARGE_FOLIO;
    if (!f->w->pagemap_frames)
        return f->sums.maybe_zero ? WHY_ZERO_UNTOLD : WHY_NO_FRAMES;
    if (!f->o->caps.have[CAP_KPAGEFLAGS])
        return WHY_NO_KPAGE;
    return WHY_NO_ANON_EXCLUSIVE;
}

static bool maybe_large(const struct finish *f)
{
    return f->sums.huge || large_expected(f);
}

/* Where bit 56 is not the page's own answer, only the kernel's map counts tell who is shared. */
static bool cow_doubtful(const struct finish *f)
{
    const struct sums *s = &f->sums;
    bool counted = f->w->pagemap_frames && f->o->caps.have[CAP_KPAGECOUNT];

    return !counted && (s->states[PS_COW] || s->states[PS_ANON_UNKNOWN]) && maybe_large(f);
}

static bool risk_doubtful(const struct finish *f)
{
    const struct sums *s = &f->sums;
    bool flags = f->w->pagemap_frames && f->o->caps.have[CAP_DEBT];

    if (!s->states[PS_ANON_UNKNOWN])
        return cow_doubtful(f);
    return flags /* debt is told here for all but large folios */ || s->maybe_zero ||
           maybe_large(f);
}

/* Why map counts are missing. */
static enum why why_no_count(const struct finish *f)
{
    if (!f->w->pagemap_frames)
        return f->sums.huge ? WHY_LARGE_FOLIO : WHY_NO_FRAMES;
    if (!f->o->caps.have[CAP_KPAGECOUNT])
        return WHY_NO_KPAGE;
    return f->o->caps.have[CAP_PAGE_MAPCOUNT] ? WHY_LARGE_FOLIO : WHY_NO_PAGE_MAPCOUNT;
}

static void fill_states(struct finish *f)
{
    static const struct {
        enum region_quantity q;
        enum page_state state;
    } rows[] = {{RQ_NONE, PS_NONE},     {RQ_ZERO, PS_ZERO},     {RQ_COW, PS_COW},
                {RQ_OBJECT, PS_OBJECT}, {RQ_SHARED, PS_SHARED}, {RQ_SWAPPED, PS_SWAPPED}};
    const struct sums *s = &f->sums;
    struct value *q = f->r->q;
    enum why why = why_anon_unknown(f);
    uint64_t unknown = s->states[PS_ANON_UNKNOWN], mapped = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        q[rows[i].q] = value_known((int64_t)s->states[rows[i].state]);
    q[RQ_EXCLUSIVE] = with_inference(s->states[PS_EXCLUSIVE], s->inferred_debt);
    q[RQ_DEBT] = with_inference(s->states[PS_DEBT], s->inferred_debt);
    if (unknown)
        q[RQ_EXCLUSIVE] = q[RQ_DEBT] = value_unknown(why);
    if (cow_doubtful(f))
        q[RQ_COW] = value_unknown(WHY_LARGE_FOLIO);
    else if (unknown && f->w->pagemap_frames && !f->o->caps.have[CAP_PAGE_MAPCOUNT])
        q[RQ_COW] = value_unknown(WHY_NO_PAGE_MAPCOUNT);
    for (int i = PS_EXCLUSIVE; i < PS__COUNT; i++)
        mapped += i == PS_SWAPPED ? 0 : s->states[i];
    q[RQ_MAPPED] = value_known((int64_t)mapped);
    if (s->maybe_zero)
        q[RQ_ZERO] = q[RQ_COW] = q[RQ_MAPPED] = value_unknown(WHY_ZERO_UNTOLD);
    q[RQ_HUGE] = f->o->caps.have[CAP_PAGEMAP_SCAN] || (f->entry && !f->entry->kb.anon_huge)
                     ? value_known((int64_t)s->huge)
                     : value_unknown(WHY_NO_INTERFACE);
    if (f->w->pagemap_frames && f->o->caps.have[CAP_KPAGECOUNT] && f->o->opt.whole_process)
        q[RQ_OUTSIDE] = s->counts_missing ? value_unknown(why_no_count(f))
                                          : with_inference(s->outside, s->inferred_count);
    else
        q[RQ_OUTSIDE] = value_unknown(f->w->pagemap_frames ? WHY_NO_KPAGE : WHY_NO_FRAMES);
}

/* Pages in physical memory behind the region: private copies, and the object's resident pages
 * whether mapped here or not. A page that has both counts once. */
static void fill_resident(struct finish *f)
{
    const struct sums *s = &f->sums;
    struct value *q = f->r->q;
    uint64_t private_copies = s->states[PS_EXCLUSIVE] + s->states[PS_COW] + s->states[PS_DEBT] +
                              s->states[PS_ANON_UNKNOWN];
    enum why why = object_why(f);

    if (!f->entry || !f->entry->inode || (f->entry->flags & 1u << VMF_HUGETLB))
        q[RQ_RESIDENT] = q[RQ_MAPPED];
    else if (s->maybe_zero)
        q[RQ_RESIDENT] = value_unknown(WHY_ZERO_UNTOLD);
    else if (why == WHY_KNOWN)
        q[RQ_RESIDENT] = value_known((int64_t)(private_copies + s->backed));
    else if (q[RQ_MAPPED].n == (int64_t)f->m->now.n)
        q[RQ_RESIDENT] = q[RQ_MAPPED]; /* all mapped: nothing left to ask the object for */
    else
        q[RQ_RESIDENT] = value_unknown(why);
    q[RQ_AT_RISK] = value_known(f->entry && f->entry->shared
                                    ? 0
                                    : (int64_t)(s->states[PS_COW] + s->states[PS_OBJECT] +
                                                s->states[PS_ZERO] + s->backed_none));
    if (risk_doubtful(f))
        q[RQ_AT_RISK] = value_unknown(why_anon_unknown(f) == WHY_ZERO_UNTOLD ? WHY_ZERO_UNTOLD
                                                                             : WHY_LARGE_FOLIO);
    else if (f->entry && f->entry->inode && !f->entry->shared && why != WHY_KNOWN &&
             s->states[PS_NONE])
        q[RQ_AT_RISK] = value_unknown(why);
}

/* words.h has the modes, probes/README.md the rule in words. */
static struct value share_mode(const struct finish *f)
{
    const struct sums *s = &f->sums;
    const struct value *q = f->r->q;
    bool swapped = s->states[PS_SWAPPED] > 0;

    if (f->entry && (f->entry->flags & 1u << VMF_HUGETLB))
        return value_known(SM_LARGE_PAGE);
    if (f->entry && f->entry->shared) {
        if (f->object && f->object->processes > 1)
            return value_known(SM_SHARED);
        if (f->object && s->object_surplus > 0)
            return value_known(SM_SHARED);
        if (!value_is_known(q[RQ_RESIDENT]))
            return q[RQ_MAPPED].n ? value_known(SM_PRIVATE) : q[RQ_RESIDENT];
        return value_known(q[RQ_RESIDENT].n || swapped ? SM_PRIVATE : SM_EMPTY);
    }
    if (s->backed || s->states[PS_OBJECT] || s->states[PS_COW] || s->states[PS_DEBT])
        return value_known(SM_COW);
    /* Object pages hidden behind private copies: the mapping still lies over an object. */
    if (s->backed_any)
        return value_known(SM_COW);
    if (f->entry && f->entry->inode && !value_is_known(q[RQ_RESIDENT]))
        return q[RQ_RESIDENT];
    if (s->states[PS_ANON_UNKNOWN])
        return value_unknown(why_anon_unknown(f));
    if (q[RQ_RESIDENT].n || swapped)
        return with_inference(SM_PRIVATE, s->inferred_debt);
    return value_known(SM_EMPTY);
}

/* Largest map count of the private copies. */
static struct value anonymous_count(const struct finish *f)
{
    const struct sums *s = &f->sums;

    if (!(s->states[PS_EXCLUSIVE] + s->states[PS_DEBT] + s->states[PS_COW] +
          s->states[PS_ANON_UNKNOWN]))
        return value_known(0);
    if (s->anon_missing)
        return value_unknown(why_no_count(f));
    /* Without frames the counts are bit 56's, which is a page's own only in small folios. */
    if (!f->w->pagemap_frames && risk_doubtful(f))
        return value_unknown(WHY_LARGE_FOLIO);
    return with_inference((uint64_t)s->anon_count, s->inferred_count);
}

static struct value ref_count(const struct finish *f)
{
    struct value anon = anonymous_count(f), object;
    bool extra = f->sums.object_surplus > 0;

    if (!f->entry || !f->entry->inode)
        return anon;
    if (!f->object)
        return value_unknown(WHY_NO_OBJECT_ACCESS);
    object = with_inference(
        f->object->processes + f->object->carriers + (uint64_t)f->sums.object_surplus, extra);
    return value_is_known(anon) && anon.n > object.n ? anon : object;
}

static void fill_entry(struct finish *f)
{
    struct obs_region *r = f->r;
    const struct map_entry *e = f->entry;

    r->start = f->m->start;
    r->end = f->m->end;
    r->q[RQ_PAGES] = value_known((int64_t)f->m->now.n);
    if (!e) {
        r->q[RQ_ENTRY_PAGES] = value_known(0);
        return;
    }
    r->entry_start = e->start;
    r->entry_end = e->end;
    r->q[RQ_ENTRY_PAGES] = value_known((int64_t)((e->end - e->start) / f->o->page_size));
    r->q[RQ_PROTECTION] = value_known(e->prot);
    if (!f->w->maps.counted) {
        r->q[RQ_INHERITANCE] = value_unknown(WHY_NO_INTERFACE); /* VmFlags are in smaps */
        return;
    }
    /* The kernel shows what it refuses to copy; copy against share it does not know. */
    r->q[RQ_INHERITANCE] = value_known(e->flags & 1u << VMF_DONTCOPY     ? INH_NONE
                                       : e->flags & 1u << VMF_WIPEONFORK ? INH_ZERO
                                       : f->m->inherit == INH_NONE || f->m->inherit == INH_ZERO
                                           ? (e->shared ? INH_SHARE : INH_COPY)
                                           : f->m->inherit);
}

static void outcome_unknown(struct obs_region *r, enum why why)
{
    static const enum region_quantity all[] = {RQ_WRITE_OUTCOME, RQ_FIRST_TOUCH, RQ_COPIED,
                                               RQ_REUSED, RQ_NO_FAULT};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        r->q[all[i]] = value_unknown(why);
}

static enum why why_doubtful(const struct finish *f)
{
    return f->w->pagemap_frames ? why_anon_unknown(f) : WHY_NO_FRAMES;
}

/* Pages written without a fault leave no trace; they are what is left of those that were
 * written, if the caller told how many. */
static void fill_outcome(struct finish *f)
{
    const struct sums *s = &f->sums;
    struct value *q = f->r->q;
    uint64_t told = s->first_touch + s->copied + s->reused, pages = f->m->now.n;
    uint64_t written = f->m->written_pages;
    int kinds;

    if (!f->m->written)
        return;
    if (f->m->before.n != pages) {
        outcome_unknown(f->r, WHY_NOT_REPORTED);
        return;
    }
    if (s->untold) {
        outcome_unknown(f->r, object_why(f));
        return;
    }
    q[RQ_FIRST_TOUCH] = value_known((int64_t)s->first_touch);
    q[RQ_COPIED] = with_inference(s->copied, s->inferred_copies);
    q[RQ_REUSED] = value_known((int64_t)s->reused);
    if (s->doubtful && told < (written ? written : pages)) {
        q[RQ_REUSED] = q[RQ_NO_FAULT] = value_unknown(why_doubtful(f));
        if (s->maybe_copied)
            q[RQ_COPIED] = q[RQ_REUSED];
        if (s->maybe_first)
            q[RQ_FIRST_TOUCH] = value_unknown(WHY_ZERO_UNTOLD);
    } else if (written) {
        q[RQ_NO_FAULT] = value_known(written > told ? (int64_t)(written - told) : 0);
    } else {
        q[RQ_NO_FAULT] = told == pages ? value_known(0) : value_unknown(WHY_NOT_REPORTED);
    }
    if (!value_is_known(q[RQ_NO_FAULT])) {
        q[RQ_WRITE_OUTCOME] = q[RQ_NO_FAULT];
        return;
    }
    kinds = !!s->first_touch + !!s->copied + !!s->reused + (q[RQ_NO_FAULT].n > 0);
    if (kinds)
        q[RQ_WRITE_OUTCOME] = with_inference(kinds > 1        ? WO_MIXED
                                             : s->first_touch ? WO_FIRST_TOUCH
                                             : s->copied      ? WO_COPIED
                                             : s->reused      ? WO_REUSED
                                                              : WO_NO_FAULT,
                                             s->inferred_copies);
}

/* The runs that belong to one layer: private pages, or the object's. */
static int layer_runs(struct finish *f, size_t index, bool private_layer)
{
    struct obs_object *object = &f->r->objects[index];
    size_t n = 0;

    object->runs = f->r->nruns ? calloc(f->r->nruns, sizeof *object->runs) : NULL;
    if (f->r->nruns && !object->runs)
        return err_set(f->err, ENOMEM, "out of memory");
    for (size_t i = 0; i < f->r->nruns; i++) {
        const struct page_run *run = &f->r->runs[i];
        bool anonymous = run->state == PS_EXCLUSIVE || run->state == PS_COW ||
                         run->state == PS_DEBT || run->state == PS_ANON_UNKNOWN;
        bool of_object = run->state == PS_OBJECT || run->state == PS_SHARED;

        if (private_layer ? anonymous : of_object)
            object->runs[n++] = *run;
    }
    object->nruns = n;
    return 0;
}

/* On Linux at most two layers: the private pages on top, the memory object below. */
static int fill_objects(struct finish *f)
{
    const struct sums *s = &f->sums;
    uint64_t copies = s->states[PS_EXCLUSIVE] + s->states[PS_COW] + s->states[PS_DEBT] +
                      s->states[PS_ANON_UNKNOWN];
    const struct seen_object *seen = f->object;
    struct obs_object *object;

    if (copies) {
        if (!f->m->number)
            f->m->number = ++f->o->next_object;
        if (!(object = obs_region_add_object(f->r)))
            return err_set(f->err, ENOMEM, "out of memory");
        object->number = f->m->number;
        object->kind = "anonymous";
        object->refs = anonymous_count(f);
        object->size = f->r->q[RQ_PAGES];
        object->resident = value_known((int64_t)copies);
        object->offset = value_known(0);
        if (layer_runs(f, f->r->nobjects - 1, true) < 0)
            return -ENOMEM;
    }
    if (!seen)
        return 0;
    if (!(object = obs_region_add_object(f->r)))
        return err_set(f->err, ENOMEM, "out of memory");
    object->number = seen->number;
    object->depth = copies ? 1 : 0;
    object->kind = seen->kind;
    object->refs = value_known((int64_t)(seen->processes + seen->carriers));
    object->size =
        seen->why == WHY_KNOWN ? value_known((int64_t)seen->npages) : value_unknown(seen->why);
    object->resident = seen->why_resident == WHY_KNOWN ? value_known((int64_t)seen->resident)
                                                       : value_unknown(seen->why_resident);
    object->offset = value_known(
        (int64_t)((f->m->start - f->entry->start + f->entry->offset) / f->o->page_size));
    return layer_runs(f, f->r->nobjects - 1, false);
}

/* A page that is not mapped once is mapped twice at least, so that it adds at most half of itself
 * to PSS. If all shared pages of an entry together add exactly half of themselves, each is mapped
 * exactly twice: the sums are whole KiB then, and one third mapping would show. */
static bool pss_says_two(const struct finish *f)
{
    const struct map_entry *e = f->entry;

    return f->w->maps.counted && e && e->start <= f->m->start && f->m->end <= e->end &&
           2 * e->kb.pss == 2 * (e->kb.private_clean + e->kb.private_dirty) + e->kb.shared_clean +
                                e->kb.shared_dirty;
}

/* How many lookups of each kind would the region need? Where huge pages are mapped, all are made:
 * bit 56 is then the head page's answer. */
static void decide_inference(struct finish *f)
{
    uint64_t single = 0, more = 0, huge = 0, p, end = 0;

    if (f->m->now.n <= INFER_PAGES)
        return;
    while (next_pages(&f->m->now, &p, &end))
        for (; p < end; p++) {
            uint8_t rec = f->m->now.rec[p], state = state_of(rec);

            single += once(state);
            more += state == PS_COW || state == PS_OBJECT || state == PS_SHARED;
            huge += rec & REC_HUGE;
        }
    if (huge || !f->w->pagemap_frames)
        return;
    f->infer_debt = single > INFER_PAGES && f->o->caps.have[CAP_DEBT];
    f->infer_counts = more > INFER_PAGES && f->o->opt.whole_process;
    f->pss_says_two = f->infer_counts && pss_says_two(f);
}

/* The inferred way first; if a sample disagrees, once more and everything asked. */
static int tell_pages(struct finish *f)
{
    int rc = finish_pages(f);

    if (rc == -EAGAIN) {
        f->infer_counts = f->infer_debt = false;
        f->sums = (struct sums){0};
        f->r->nruns = 0;
        f->r->runs_cut = false;
        rc = finish_pages(f);
    }
    return rc;
}

/* PSS by the map counts, for the check against smaps. */
static struct value region_pss(const struct finish *f)
{
    if (f->sums.counts_missing)
        return value_unknown(f->w->pagemap_frames ? WHY_NO_KPAGE : WHY_NO_FRAMES);
    return with_inference(f->sums.pss, f->sums.inferred_count);
}

int region_finish(struct observer *o, struct watched *w, struct memory *m, struct observation *out,
                  struct err *e)
{
    struct finish f = {.o = o, .w = w, .m = m, .err = e};
    int rc;

    f.r = observation_add_region(out, m->actor, m->region, m->case_name);
    if (!f.r)
        return err_set(e, ENOMEM, "out of memory");
    f.entry = maps_holding(&w->maps, m->start);
    if (f.entry && f.entry->inode)
        f.object = object_find(o, f.entry->dev, f.entry->inode);
    fill_entry(&f);
    if (w->pagemap_fd < 0) {
        for (int i = RQ_RESIDENT; i <= RQ_OUTSIDE; i++)
            f.r->q[i] = value_unknown(WHY_PERMISSION);
        if (m->written)
            outcome_unknown(f.r, WHY_PERMISSION);
        f.r->q[RQ_SHARE_MODE] = f.r->q[RQ_REF_COUNT] = value_unknown(WHY_PERMISSION);
        return 0;
    }
    mark_backed(&f);
    decide_inference(&f);
    rc = tell_pages(&f);
    if (rc < 0)
        return rc;
    fill_states(&f);
    fill_resident(&f);
    o->outsiders |= f.sums.outside && (!f.entry || pss_is_own(o, f.entry));
    f.r->q[RQ_SHARE_MODE] = share_mode(&f);
    f.r->q[RQ_REF_COUNT] = ref_count(&f);
    fill_outcome(&f);
    rc = fill_objects(&f);
    return rc < 0 ? rc : checks_region(o, w, m, f.r, f.sums.states, region_pss(&f), out, e);
}
