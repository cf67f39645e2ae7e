/* region: from the page records of one region to its quantities and objects.
 *
 * In very large regions (above INFER_PAGES lookups of a kind) not every page is asked (tell.c).
 *
 * The reference count of a region:
 *   no memory object   the largest map count of a resident page, 0 if none is resident. If every
 *                      resident page is mapped once by bit 56 (small folios), that is 1 without
 *                      any privilege.
 *   a memory object    the processes that map the object plus the messages that carry it; or the
 *                      largest map count of the region's private copies if that is larger (a
 *                      process wrote, then forked: the copies are what is shared). It does not
 *                      matter how much of the object is still seen: the mapping refers to it. */
#include "probes/look/finish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFER_PAGES (128 * 1024)

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
    uint64_t start;

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
    start = f->m->start > f->entry->start ? f->m->start : f->entry->start;
    object->offset =
        value_known((int64_t)((start - f->entry->start + f->entry->offset) / f->o->page_size));
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
static int tell_region(struct finish *f)
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

/* The entry that holds the region's start; where that has been unmapped, the first one behind it
 * that still is of the region. NULL: nothing of it is mapped. */
static const struct map_entry *first_entry(const struct watched *w, const struct memory *m)
{
    const struct map_entry *entry = maps_find(&w->maps, m->start);

    return entry && entry->start < m->end ? entry : NULL;
}

int region_finish(struct observer *o, struct watched *w, struct memory *m, struct observation *out,
                  struct err *e)
{
    struct finish f = {.o = o, .w = w, .m = m, .err = e};
    int rc;

    f.r = observation_add_region(out, m->actor, m->region, m->case_name);
    if (!f.r)
        return err_set(e, ENOMEM, "out of memory");
    f.entry = first_entry(w, m);
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
    rc = tell_region(&f);
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
