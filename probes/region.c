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
 * frames of the run's own processes, and only pages that were cow at the last look are asked for
 * debt; what is so concluded is marked inferred, and every SAMPLE_EVERYth page is asked all the
 * same. One answer that disagrees, and the whole region is asked.
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
#include <stdlib.h>
#include <string.h>

#define INFER_PAGES (128 * 1024)
#define SAMPLE_EVERY 64

void records_release(struct records *r)
{
    free(r->slot);
    free(r->rec);
    *r = (struct records){0};
}

int records_resize(struct records *r, uint64_t n)
{
    if (r->n != n) {
        records_release(r);
        r->slot = malloc(n * sizeof *r->slot + 1);
        r->rec = malloc(n + 1);
        if (!r->slot || !r->rec) {
            records_release(r);
            return -ENOMEM;
        }
        r->n = n;
    }
    memset(r->slot, 0, n * sizeof *r->slot);
    memset(r->rec, PS_NONE, n);
    return 0;
}

/* Everything that is summed up while the pages go by. */
struct sums {
    uint64_t states[PS__COUNT];
    uint64_t huge, backed, unbacked_none, at_risk, outside;
    uint64_t first_touch, copied, reused, doubtful; /* doubtful: reused, no fault or not written */
    uint64_t large_unknown;                         /* of anon?: because of a large folio */
    int64_t anon_count;                             /* largest map count of an anonymous page */
    int64_t object_surplus;  /* largest number of mappings from outside the run */
    uint64_t counts_missing; /* present pages whose map count is not known */
    bool inferred_debt, inferred_count, inferred_copies;
    uint64_t untold; /* written pages that the memory object may or may not have had before */
};

struct finish {
    struct observer *o;
    struct watched *w;
    struct memory *m;
    struct obs_region *r;
    const struct map_entry *entry; /* holds the region's start, or NULL */
    struct seen_object *object;    /* behind that entry, or NULL */
    bool infer_counts, infer_debt;
    struct sums sums;
    struct page_run run; /* being joined */
    struct page_run *anon_run, *object_run;
    struct err *err;
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
    uint64_t ps = f->o->page_size;

    for (; e && e < end && e->start < f->m->end; e++) {
        struct seen_object *s = e->inode ? object_find(f->o, e->dev, e->inode) : NULL;
        uint64_t from = e->start > f->m->start ? e->start : f->m->start;
        uint64_t to = e->end < f->m->end ? e->end : f->m->end;

        if (!s || s->why_resident != WHY_KNOWN)
            continue;
        for (uint64_t at = from; at < to; at += ps) {
            uint64_t page = (at - e->start + e->offset) / ps;

            if (page < s->npages && bit_is_set(s->resident_bits, page))
                f->m->now.rec[(at - f->m->start) / ps] |= REC_BACKED;
        }
    }
}

/* Asks one of the kpage files for n pages of the batch (f->pages, indices into the region). */
static int ask(struct finish *f, int fd, enum cost_index cost, size_t n)
{
    const struct frames *frames = &f->o->frames;
    int rc;

    for (size_t i = 0; i < n; i++)
        f->frames[i] = frames->number[f->m->now.slot[f->pages[i]]];
    rc = kpage_read(fd, f->frames, f->answers, n, f->o->threads, &f->o->cost[cost]);
    return rc < 0 ? err_sys(f->err, rc, "cannot read '/proc/%s'",
                            cost == COST_KPAGECOUNT ? "kpagecount" : "kpageflags")
                  : 0;
}

/* What can be concluded for a page that is mapped once without asking for its flags: nothing
 * (needs asking), or that it is exclusive, because its frame is new or was exclusive before. */
static bool surely_exclusive(const struct finish *f, uint64_t page)
{
    const struct records *before = &f->m->before;

    if (before->n != f->m->now.n)
        return false;
    if (before->slot[page] != f->m->now.slot[page])
        return true;
    return state_of(before->rec[page]) == PS_EXCLUSIVE;
}

static bool sampled(uint64_t page)
{
    return page % SAMPLE_EVERY == 0;
}

/* Flags of the pages mapped once: exclusive or debt; large folios; the zero page of machines that
 * have several. */
static int tell_debt(struct finish *f, uint64_t first, uint64_t end)
{
    struct records *now = &f->m->now;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        if (state_of(now->rec[p]) != PS_EXCLUSIVE)
            continue;
        if (f->infer_debt && surely_exclusive(f, p) && !sampled(p))
            now->rec[p] |= REC_INFERRED;
        else
            f->pages[n++] = (uint32_t)p;
    }
    rc = ask(f, f->o->flags_fd, COST_KPAGEFLAGS, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        uint8_t *rec = &now->rec[f->pages[i]];
        bool sure = f->infer_debt && surely_exclusive(f, f->pages[i]);
        uint8_t state = f->answers[i] == KPAGE_NONE          ? PS_ANON_UNKNOWN
                        : f->answers[i] & KPF_LARGE          ? PS_ANON_UNKNOWN
                        : f->answers[i] & KPF_ANON_EXCLUSIVE ? PS_EXCLUSIVE
                                                             : PS_DEBT;

        f->o->samples += sure;
        f->o->samples_agreed += sure && state == PS_EXCLUSIVE;
        if (sure && state != PS_EXCLUSIVE)
            rc = -EAGAIN; /* somebody forked unseen: ask for all */
        set_state(rec, state);
        f->sums.large_unknown += state == PS_ANON_UNKNOWN;
    }
    return rc;
}

/* Map counts of the pages that may be mapped more than once, or whose bit 56 is not their own. */
static int tell_counts(struct finish *f, uint64_t first, uint64_t end)
{
    struct records *now = &f->m->now;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);

        f->counts[p - first] = state == PS_NONE || state == PS_SWAPPED || state == PS_ZERO ? 0
                               : state == PS_EXCLUSIVE || state == PS_DEBT                 ? 1
                                                                                           : -1;
        if (f->counts[p - first] >= 0 || !now->slot[p])
            continue;
        if (f->infer_counts && state != PS_ANON_UNKNOWN) {
            f->counts[p - first] = f->o->frames.own[now->slot[p]];
            if (!sampled(p)) {
                now->rec[p] |= REC_INFERRED;
                continue;
            }
        }
        f->pages[n++] = (uint32_t)p;
    }
    rc = ask(f, f->o->count_fd, COST_KPAGECOUNT, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        uint64_t p = f->pages[i];
        int32_t *count = &f->counts[p - first];
        bool sure = *count >= 0;

        if (f->answers[i] == KPAGE_NONE)
            continue;
        if (f->o->corrupt == CORRUPT_KPAGECOUNT)
            f->answers[i]++;
        f->o->samples += sure;
        f->o->samples_agreed += sure && (uint64_t)*count == f->answers[i];
        if (sure && (uint64_t)*count != f->answers[i])
            rc = -EAGAIN;
        *count = (int32_t)f->answers[i];
    }
    return rc;
}

/* Without the kernel's map counts, or where it has no right one: the join, marked. */
static void infer_counts(struct finish *f, uint64_t first, uint64_t end)
{
    struct records *now = &f->m->now;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);

        f->counts[p - first] = state == PS_NONE || state == PS_SWAPPED || state == PS_ZERO ? 0
                               : state == PS_EXCLUSIVE || state == PS_DEBT                 ? 1
                                                                                           : -1;
        if (f->counts[p - first] < 0 && now->slot[p]) {
            f->counts[p - first] = f->o->frames.own[now->slot[p]];
            now->rec[p] |= REC_INFERRED;
        }
    }
}

/* Anonymous pages whose state does not stand yet, once the map counts are there. */
static void settle_states(struct finish *f, uint64_t first, uint64_t end)
{
    struct records *now = &f->m->now;
    bool debt_told = f->w->pagemap_frames && f->o->caps.have[CAP_DEBT];

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);
        int32_t count = f->counts[p - first];

        if (state == PS_EXCLUSIVE && !debt_told) {
            set_state(&now->rec[p], PS_ANON_UNKNOWN);
        } else if (state == PS_ANON_UNKNOWN && count > 1 && f->o->caps.have[CAP_PAGE_MAPCOUNT]) {
            set_state(&now->rec[p], PS_COW); /* in a large folio, but this page is shared */
            f->sums.large_unknown--;
        } else if (state == PS_COW && count == 1 && !(now->rec[p] & REC_INFERRED)) {
            set_state(&now->rec[p], PS_ANON_UNKNOWN); /* bit 56 was the head page's answer */
            f->sums.large_unknown++;
        } else if (state == PS_COW && count == 0) {
            set_state(&now->rec[p], PS_ZERO); /* present and mapped by nobody: a zero page */
        }
    }
}

/* Can the object's residency be told? */
static enum why object_why(const struct finish *f)
{
    return f->object ? f->object->why_resident : WHY_NO_OBJECT_ACCESS;
}

/* before -> now of one page that the step may have written. */
static void outcome(struct finish *f, uint64_t p)
{
    const struct records *before = &f->m->before, *now = &f->m->now;
    uint8_t was = state_of(before->rec[p]), is = state_of(now->rec[p]);
    bool present = is != PS_NONE && is != PS_SWAPPED && is != PS_ZERO;
    bool frames = before->slot[p] && now->slot[p];
    struct sums *s = &f->sums;

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
    } else if (is == PS_ANON_UNKNOWN || is == PS_COW) {
        s->doubtful++;
    }
}

static void add_to_sums(struct finish *f, uint64_t p, int32_t count)
{
    uint8_t rec = f->m->now.rec[p], state = state_of(rec);
    uint32_t slot = f->m->now.slot[p];
    struct sums *s = &f->sums;
    bool private_view = !f->entry || !f->entry->shared;

    s->states[state]++;
    s->huge += (rec & REC_HUGE) != 0;
    s->backed += (rec & REC_BACKED) != 0 && (state == PS_NONE || state == PS_OBJECT ||
                                             state == PS_SHARED || state == PS_SWAPPED);
    if (private_view)
        s->at_risk += state == PS_COW || state == PS_OBJECT || state == PS_ZERO ||
                      (state == PS_NONE && (rec & REC_BACKED));
    if (count < 0) {
        s->counts_missing++;
    } else if (slot) {
        int64_t surplus = (int64_t)count - f->o->frames.own[slot];

        s->inferred_count |= (rec & REC_INFERRED) && state != PS_EXCLUSIVE;
        if (surplus > 0 && f->o->frames.own[slot] < UINT16_MAX) {
            s->outside++;
            if (surplus > s->object_surplus && (state == PS_OBJECT || state == PS_SHARED))
                s->object_surplus = surplus;
        }
    }
    if (state != PS_OBJECT && state != PS_SHARED && count > s->anon_count)
        s->anon_count = count;
    s->inferred_debt |= (rec & REC_INFERRED) && state == PS_EXCLUSIVE;
    if (f->m->written && f->m->before.n == f->m->now.n)
        outcome(f, p);
}

static bool joins(const struct page_run *a, const struct page_run *b)
{
    return a->count && a->state == b->state && a->mapcount == b->mapcount && a->huge == b->huge &&
           a->inferred == b->inferred && (a->frame ? b->frame == a->frame + a->count : !b->frame);
}

static int flush_run(struct finish *f)
{
    struct obs_region *r = f->r;

    if (!f->run.count)
        return 0;
    if (r->nruns >= f->o->max_runs) {
        r->runs_cut = true;
        return 0;
    }
    return obs_region_add_run(r, &f->run) < 0 ? err_set(f->err, ENOMEM, "out of memory") : 0;
}

static int add_to_runs(struct finish *f, uint64_t p, int32_t count)
{
    uint8_t rec = f->m->now.rec[p];
    struct page_run run = {.first = p,
                           .count = 1,
                           .frame = frames_label(&f->o->frames, f->m->now.slot[p]),
                           .mapcount = count,
                           .state = state_of(rec),
                           .huge = (rec & REC_HUGE) != 0,
                           .inferred = (rec & REC_INFERRED) != 0};
    int rc;

    if (joins(&f->run, &run)) {
        f->run.count++;
        return 0;
    }
    rc = flush_run(f);
    f->run = run;
    return rc;
}

/* All pages, in batches that bound the memory for lookups. -EAGAIN: a sample disagreed. */
static int finish_pages(struct finish *f)
{
    const struct caps *caps = &f->o->caps;
    bool frames = f->w->pagemap_frames;
    uint64_t n = f->m->now.n;

    for (uint64_t first = 0; first < n; first += FINISH_PAGES) {
        uint64_t end = first + FINISH_PAGES < n ? first + FINISH_PAGES : n;
        int rc = 0;

        if (frames && caps->have[CAP_DEBT])
            rc = tell_debt(f, first, end);
        if (rc == 0 && frames && caps->have[CAP_KPAGECOUNT])
            rc = tell_counts(f, first, end);
        else
            infer_counts(f, first, end);
        if (rc < 0)
            return rc;
        settle_states(f, first, end);
        for (uint64_t p = first; p < end && rc == 0; p++) {
            add_to_sums(f, p, f->counts[p - first]);
            rc = add_to_runs(f, p, f->counts[p - first]);
        }
        if (rc < 0)
            return rc;
    }
    return flush_run(f);
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
        return f->o->caps.have[CAP_PAGEMAP_SCAN] ? WHY_NO_FRAMES : WHY_ZERO_UNTOLD;
    if (!f->o->caps.have[CAP_KPAGEFLAGS])
        return WHY_NO_KPAGE;
    return WHY_NO_ANON_EXCLUSIVE;
}

/* May unknown pages be in large folios, of which a write can copy a page that is mapped once? */
static bool risk_doubtful(const struct finish *f)
{
    if (!f->sums.states[PS_ANON_UNKNOWN])
        return false;
    if (f->sums.large_unknown || f->sums.huge || !f->entry)
        return true;
    if (!f->w->pagemap_frames && !f->o->caps.have[CAP_PAGEMAP_SCAN])
        return true;
    return !f->w->maps.counted || f->entry->kb.thp_eligible;
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
    if (unknown &&
        (why == WHY_ZERO_UNTOLD || (why == WHY_LARGE_FOLIO && !f->o->caps.have[CAP_PAGE_MAPCOUNT])))
        q[RQ_COW] = value_unknown(why == WHY_LARGE_FOLIO ? WHY_NO_PAGE_MAPCOUNT : why);
    if (unknown && why == WHY_ZERO_UNTOLD)
        q[RQ_ZERO] = value_unknown(why);
    for (int i = PS_EXCLUSIVE; i < PS__COUNT; i++)
        mapped += i == PS_SWAPPED ? 0 : s->states[i];
    q[RQ_MAPPED] = value_known((int64_t)mapped);
    q[RQ_HUGE] = f->o->caps.have[CAP_PAGEMAP_SCAN] || (f->entry && !f->entry->kb.anon_huge)
                     ? value_known((int64_t)s->huge)
                     : value_unknown(WHY_NO_INTERFACE);
    if (f->w->pagemap_frames && f->o->caps.have[CAP_KPAGECOUNT] && f->o->opt.whole_process)
        q[RQ_OUTSIDE] = with_inference(s->outside, s->inferred_count);
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
    else if (why == WHY_KNOWN)
        q[RQ_RESIDENT] = value_known((int64_t)(private_copies + s->backed));
    else if (q[RQ_MAPPED].n == (int64_t)f->m->now.n)
        q[RQ_RESIDENT] = q[RQ_MAPPED]; /* all mapped: nothing left to ask the object for */
    else
        q[RQ_RESIDENT] = value_unknown(why);
    q[RQ_AT_RISK] = value_known((int64_t)s->at_risk);
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
    if (f->object && value_is_known(q[RQ_RESIDENT])) {
        for (uint64_t p = 0; p < f->m->now.n; p++)
            if (f->m->now.rec[p] & REC_BACKED)
                return value_known(SM_COW);
    }
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
    uint64_t once = s->states[PS_EXCLUSIVE] + s->states[PS_DEBT];
    uint64_t more = s->states[PS_COW];

    if (!(once + more + s->states[PS_ANON_UNKNOWN]))
        return value_known(0);
    if (s->anon_count > 1 || (s->anon_count == 1 && !s->counts_missing))
        return with_inference((uint64_t)s->anon_count, s->inferred_count);
    /* anon? pages that bit 56 says are mapped once: one by one in small folios only. */
    if (!more && why_anon_unknown(f) != WHY_ZERO_UNTOLD && !risk_doubtful(f))
        return value_known(1);
    return value_unknown(f->w->pagemap_frames ? WHY_LARGE_FOLIO : WHY_NO_FRAMES);
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
    /* The kernel shows what it refuses to copy; copy against share it does not know. */
    r->q[RQ_INHERITANCE] = value_known(e->flags & 1u << VMF_DONTCOPY     ? INH_NONE
                                       : e->flags & 1u << VMF_WIPEONFORK ? INH_ZERO
                                       : f->m->inherit == INH_NONE || f->m->inherit == INH_ZERO
                                           ? (e->shared ? INH_SHARE : INH_COPY)
                                           : f->m->inherit);
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
        q[RQ_FIRST_TOUCH] = q[RQ_COPIED] = q[RQ_REUSED] = q[RQ_NO_FAULT] = q[RQ_WRITE_OUTCOME] =
            value_unknown(WHY_NOT_REPORTED);
        return;
    }
    if (s->untold) {
        q[RQ_FIRST_TOUCH] = q[RQ_COPIED] = q[RQ_REUSED] = q[RQ_NO_FAULT] = q[RQ_WRITE_OUTCOME] =
            value_unknown(object_why(f));
        return;
    }
    q[RQ_FIRST_TOUCH] = value_known((int64_t)s->first_touch);
    q[RQ_COPIED] = with_inference(s->copied, s->inferred_copies);
    q[RQ_REUSED] = value_known((int64_t)s->reused);
    if (s->doubtful && told < (written ? written : pages))
        q[RQ_REUSED] = q[RQ_NO_FAULT] = value_unknown(why_doubtful(f));
    else if (written)
        q[RQ_NO_FAULT] = value_known(written > told ? (int64_t)(written - told) : 0);
    else
        q[RQ_NO_FAULT] = told == pages ? value_known(0) : value_unknown(WHY_NOT_REPORTED);
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

/* How many lookups of each kind would the region need? */
static void decide_inference(struct finish *f)
{
    uint64_t single = 0, more = 0;

    for (uint64_t p = 0; p < f->m->now.n; p++) {
        uint8_t state = state_of(f->m->now.rec[p]);

        single += state == PS_EXCLUSIVE;
        more += state == PS_COW || state == PS_OBJECT || state == PS_SHARED;
    }
    f->infer_debt = single > INFER_PAGES;
    f->infer_counts = more > INFER_PAGES && f->o->opt.whole_process;
}

static int with_buffers(struct finish *f, int (*fn)(struct finish *))
{
    size_t n = f->m->now.n < FINISH_PAGES ? f->m->now.n : FINISH_PAGES;
    int rc = -ENOMEM;

    f->frames = malloc(n * sizeof *f->frames + 1);
    f->answers = malloc(n * sizeof *f->answers + 1);
    f->pages = malloc(n * sizeof *f->pages + 1);
    f->counts = malloc(n * sizeof *f->counts + 1);
    if (f->frames && f->answers && f->pages && f->counts)
        rc = fn(f);
    else
        err_set(f->err, ENOMEM, "out of memory");
    free(f->frames);
    free(f->answers);
    free(f->pages);
    free(f->counts);
    return rc;
}

/* The inferred way first; if a sample disagrees, once more and everything asked. */
static int tell_pages(struct finish *f)
{
    uint8_t *first_told = NULL;
    uint64_t n = f->m->now.n;
    int rc;

    if (f->infer_counts || f->infer_debt) {
        first_told = malloc(n);
        if (!first_told)
            return err_set(f->err, ENOMEM, "out of memory");
        memcpy(first_told, f->m->now.rec, n);
    }
    rc = finish_pages(f);
    if (rc == -EAGAIN) {
        memcpy(f->m->now.rec, first_told, n);
        f->infer_counts = f->infer_debt = false;
        f->sums = (struct sums){0};
        f->run = (struct page_run){0};
        f->r->nruns = 0;
        f->r->runs_cut = false;
        rc = finish_pages(f);
    }
    free(first_told);
    return rc;
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
        f.r->q[RQ_SHARE_MODE] = f.r->q[RQ_REF_COUNT] = value_unknown(WHY_PERMISSION);
        return 0;
    }
    mark_backed(&f);
    decide_inference(&f);
    rc = with_buffers(&f, tell_pages);
    if (rc < 0)
        return rc;
    fill_states(&f);
    fill_resident(&f);
    o->outsiders |= f.sums.outside && (!f.entry || pss_is_own(o, f.entry));
    f.r->q[RQ_SHARE_MODE] = share_mode(&f);
    f.r->q[RQ_REF_COUNT] = ref_count(&f);
    fill_outcome(&f);
    rc = fill_objects(&f);
    return rc < 0 ? rc : checks_region(o, w, m, f.r, f.sums.states, out, e);
}
