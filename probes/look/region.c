/* region: from the page records of one region to the facts that its words follow from (rules.h),
 * and its objects. In very large regions (above INFER_PAGES lookups of a kind) not every page is
 * asked (tell.c). */
#include "probes/look/tell.h"

#include <errno.h>
#include <stdlib.h>

#define INFER_PAGES (128 * 1024)

/* What the memory object has of a page. In swap is what is not mapped and in swap there. */
static void mark_page(struct finish *f, uint64_t page, bool resident, bool swapped)
{
    uint16_t *rec = &f->m->now.rec[page];

    if (!resident && !swapped)
        return;
    bit_set(f->m->now.touched, page / BLOCK_PAGES);
    if (resident)
        *rec |= REC_BACKED;
    else if (state_of(*rec) == PS_NONE)
        *rec |= REC_OBJECT | PS_SWAPPED;
}

static void unmark_pages(struct finish *f)
{
    uint64_t first, last = 0;

    while (f->m->backed && next_pages(&f->m->now, &first, &last))
        for (; first < last; first++) {
            uint16_t *rec = &f->m->now.rec[first];

            if (*rec & REC_OBJECT && state_of(*rec) == PS_SWAPPED)
                set_state(rec, PS_NONE);
            *rec &= (uint16_t) ~(REC_BACKED | REC_OBJECT);
        }
    f->m->backed = false;
}

/* Marks the pages that their memory object has in memory or in swap, entry by entry. */
static void mark_backed(struct finish *f)
{
    uint64_t ps = f->o->page_size;

    unmark_pages(f);
    for (const struct map_entry *e = f->entry; e; e = maps_next(&f->w->maps, e, f->m->end)) {
        struct seen_object *s = e->inode ? object_find(f->o, e->dev, e->inode) : NULL;
        uint64_t from = e->start > f->m->start ? e->start : f->m->start;
        uint64_t to = e->end < f->m->end ? e->end : f->m->end;

        if (!s || s->why_resident != WHY_KNOWN)
            continue;
        f->m->backed = true;
        for (uint64_t at = from; at < to; at += ps) {
            uint64_t page = (at - e->start + e->offset) / ps;

            if (page < s->npages)
                mark_page(f, (at - f->m->start) / ps, bit_is_set(s->resident_bits, page),
                          bit_is_set(s->swapped_bits, page));
        }
    }
}

/* Whose mappings were not read is seen by map counts, if this process maps the same pages. They
 * count mappings, of which a process may have several: of a live process, where not all are in
 * view, they only say that there is somebody. */
static struct value object_users(const struct finish *f)
{
    const struct seen_object *object = f->object;
    uint64_t surplus = (uint64_t)f->sums.object_surplus, others;
    bool known = f->o->mappers_known;

    if (!object)
        return value_unknown(WHY_NO_OBJECT_ACCESS);
    others = f->o->opt.everybody ? object->elsewhere : surplus;
    if (!known && !others)
        others = surplus > 0;
    return value_counted(object->processes + object->carriers + others,
                         !known && (f->o->opt.everybody || others));
}

/* The pages that MADV_FREE has just put on a list; a frame stays marked as long as it is mapped. */
static void mark_freed(const struct finish *f)
{
    const struct records *now = &f->m->now;
    uint64_t p, end = 0;

    while (f->m->freed != f->m->target->freed && next_pages(now, &p, &end))
        for (; p < end; p++)
            if (now->slot[p] && page_is_anon(state_of(now->rec[p])))
                f->o->frames.kind[now->slot[p]] |= FRAME_LISTED;
    f->m->freed = f->m->target->freed;
}

/* Who holds the slots of the pages in swap: all holders are in view in a run. Elsewhere smaps tells
 * whether there are others, of the whole mapping. */
static void complete_swap(const struct finish *f, struct region_facts *r)
{
    const struct map_entry *e = f->entry;
    uint64_t own = r->states[PS_SWAPPED] - r->object_swapped;
    uint64_t swap = e ? e->kb.swap - r->object_swapped * (f->o->page_size / 1024) : 0;

    region_maybe_cached(r, f->o->swap_in_view, !all_in_view(f->o) && f->o->caps.have[CAP_SWAP]);
    if (!own || (all_in_view(f->o) && f->w->pagemap.frames))
        return;
    r->swap_shared = 0;
    r->why_swap = f->w->maps.counted ? WHY_SWAP_HOLDERS : WHY_NO_INTERFACE;
    if (!f->w->maps.counted || !e || e->start > f->m->start || e->end < f->m->end)
        return;
    r->inferred_swap = swap == e->kb.swap_pss && !all_in_view(f->o);
    if (swap == e->kb.swap_pss && (!all_in_view(f->o) || f->o->nwatched == 1))
        r->why_swap = WHY_KNOWN;
    else if (swap == e->kb.swap_pss)
        return; /* SwapPss does not count whoever has read its pages back */
    else
        r->swap_some = swap == own * (f->o->page_size / 1024);
}

static bool read_only(const struct finish *f)
{
    for (const struct map_entry *e = f->entry; e; e = maps_next(&f->w->maps, e, f->m->end))
        if (e->prot & 2)
            return false;
    return true;
}

/* Are pages of shared memory that are not mapped in swap? Where the object cannot be asked, smaps
 * tells of a mapping without any. */
static bool maybe_swapped(const struct finish *f, const struct region_facts *r)
{
    const struct map_entry *e = f->entry;

    if (!r->object || r->why_object == WHY_KNOWN || !r->states[PS_NONE] ||
        !f->o->caps.have[CAP_SWAP] || !is_shmem_dev(f->o, e->dev))
        return false;
    return !f->w->maps.counted || e->kb.swap != r->states[PS_SWAPPED] * (f->o->page_size / 1024);
}

/* What the pages have not told. */
static void complete_facts(struct finish *f)
{
    const bool *have = f->o->caps.have;
    bool frames = f->w->pagemap.frames;
    struct region_facts *r = &f->sums.facts;

    r->sight = (struct sight){.table = true,
                              .frames = frames,
                              .counts = have[CAP_KPAGECOUNT],
                              .exact = have[CAP_PAGE_MAPCOUNT],
                              .flags = have[CAP_KPAGEFLAGS],
                              .debt = have[CAP_DEBT]};
    if (f->entry) {
        r->shared = f->entry->shared;
        r->read_only = read_only(f);
        r->hugetlb = f->entry->flags & 1u << VMF_HUGETLB;
        r->object = mapping_has_object(f->entry);
    }
    r->pages = f->m->now.n;
    r->large = r->huge || large_expected(f);
    r->large_told = frames && have[CAP_DEBT]; /* debt is told for all others */
    r->inferred_mode = r->inferred_risk = r->inferred_debt;
    r->why_object = object_why(f);
    r->maybe_listed = maybe_listed(f) && !r->large_told;
    r->maybe_swapped = maybe_swapped(f, r);
    complete_swap(f, r);
    r->others = f->object &&
                (f->object->processes > 1 || f->object->elsewhere || f->sums.object_surplus > 0);
    r->users = object_users(f);
}

/* What is the look's own: no rule hangs on it. */
static void fill_counted(struct finish *f)
{
    const bool *have = f->o->caps.have;
    struct value *q = f->r->q;

    q[RQ_HUGE] = have[CAP_PAGEMAP_SCAN] || (f->entry && !f->entry->kb.anon_huge)
                     ? value_known((int64_t)f->sums.facts.huge)
                     : value_unknown(WHY_NO_INTERFACE);
    if (!f->w->pagemap.frames || !have[CAP_KPAGECOUNT] || !f->o->opt.whole_process)
        q[RQ_OUTSIDE] = value_unknown(f->w->pagemap.frames ? WHY_NO_KPAGE : WHY_NO_FRAMES);
    else if (f->sums.counts_missing)
        q[RQ_OUTSIDE] = value_unknown(region_why_no_count(&f->sums.facts));
    else
        q[RQ_OUTSIDE] = value_counted(f->sums.outside, f->sums.facts.inferred_count);
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
    r->q[RQ_INHERITANCE] = value_known(mapping_inherit(e->shared, e->flags, f->m->inherit));
}

static void fill_outcome(struct finish *f)
{
    struct outcome_sums *s = &f->sums.outcome;

    if (!f->m->written)
        return;
    s->pages = f->m->now.n;
    s->written = f->m->target->written_pages;
    s->why_before = f->m->before.n == s->pages ? WHY_KNOWN : WHY_NOT_REPORTED;
    s->why_object = object_why(f);
    s->why_doubt = region_why_anon(&f->sums.facts);
    if (!f->w->pagemap.frames)
        s->why_doubt = WHY_NO_FRAMES;
    region_outcome(s, f->r->q);
}

/* The runs that belong to one layer: private pages, or the object's. */
static int layer_runs(struct finish *f, size_t index, bool private_layer)
{
    struct obs_object *object = &f->r->objects[index];
    size_t n = 0;

    object->runs = f->r->nruns ? calloc(f->r->nruns, sizeof *object->runs) : NULL;
    if (f->r->nruns && !object->runs)
        return err_no_memory(f->err);
    for (size_t i = 0; i < f->r->nruns; i++) {
        const struct page_run *run = &f->r->runs[i];

        if (private_layer ? page_is_anon(run->state) : page_is_object(run->state))
            object->runs[n++] = *run;
    }
    object->nruns = n;
    return 0;
}

/* On Linux at most two layers: the private pages on top, the memory object below. */
static int fill_objects(struct finish *f)
{
    uint64_t copies = region_anon_pages(&f->sums.facts);
    const struct seen_object *seen = f->object;
    struct obs_object *object;
    uint64_t start;

    if (copies) {
        if (!f->m->number)
            f->m->number = ++f->o->next_object;
        if (!(object = obs_region_add_object(f->r)))
            return err_no_memory(f->err);
        object->number = f->m->number;
        object->kind = "anonymous";
        object->refs = region_anon_count(&f->sums.facts);
        object->size = f->r->q[RQ_PAGES];
        object->resident = value_known((int64_t)copies);
        object->offset = value_known(0);
        if (layer_runs(f, f->r->nobjects - 1, true) < 0)
            return -ENOMEM;
    }
    if (!seen)
        return 0;
    if (!(object = object_report(f->r, seen, object_users(f))))
        return err_no_memory(f->err);
    object->depth = copies ? 1 : 0;
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
 * bit 56 is then the head page's answer; where swap is in use, too: a page changes its state there
 * when another lets go of its slot. */
static void decide_inference(struct finish *f)
{
    uint64_t single = 0, more = 0, huge = 0, swap = 0, p, end = 0;

    if (f->m->now.n <= INFER_PAGES)
        return;
    while (next_pages(&f->m->now, &p, &end))
        for (; p < end; p++) {
            uint16_t rec = f->m->now.rec[p], state = state_of(rec);

            single += page_is_once(state);
            more += state == PS_COW || page_is_object(state);
            huge += rec & REC_HUGE;
            swap += state == PS_SWAPPED ||
                    (state == PS_COW && f->m->now.word[p] & PM_EXCLUSIVE); /* see settle_states */
        }
    if (huge || swap || !f->w->pagemap.frames)
        return;
    f->infer_debt = single > INFER_PAGES && f->o->caps.have[CAP_DEBT] && !maybe_listed(f);
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
        return value_unknown(f->w->pagemap.frames ? WHY_NO_KPAGE : WHY_NO_FRAMES);
    return value_counted(f->sums.pss, f->sums.facts.inferred_count);
}

static struct value region_swap_pss(const struct finish *f)
{
    if (!f->sums.facts.states[PS_SWAPPED])
        return value_na();
    return f->w->pagemap.frames ? value_known((int64_t)f->sums.swap_pss)
                                : value_unknown(WHY_NO_FRAMES);
}

int region_finish(struct observer *o, struct watched *w, struct memory *m, struct observation *out,
                  struct err *e)
{
    struct finish f = {.o = o, .w = w, .m = m, .err = e};
    int rc;

    f.r = observation_add_region(out, m->actor, m->region, m->case_name);
    if (!f.r)
        return err_no_memory(e);
    f.entry = maps_first(&w->maps, m->start, m->end);
    if (f.entry && mapping_has_object(f.entry))
        f.object = object_find(o, f.entry->dev, f.entry->inode);
    fill_entry(&f);
    if (w->pagemap.fd < 0) {
        for (int i = RQ_RESIDENT; i <= RQ_OUTSIDE; i++)
            f.r->q[i] = value_unknown(WHY_PERMISSION);
        if (m->written)
            region_outcome(&(struct outcome_sums){.why_before = WHY_PERMISSION}, f.r->q);
        f.r->q[RQ_SHARE_MODE] = f.r->q[RQ_REF_COUNT] = value_unknown(WHY_PERMISSION);
        return 0;
    }
    mark_backed(&f);
    mark_freed(&f);
    decide_inference(&f);
    rc = tell_region(&f);
    if (rc < 0)
        return rc;
    complete_facts(&f);
    region_words(&f.sums.facts, f.r->q);
    fill_counted(&f);
    o->outsiders |=
        f.sums.outside && (!f.entry || mapping_is_own(f.entry, is_shmem_dev(o, f.entry->dev)));
    fill_outcome(&f);
    rc = fill_objects(&f);
    if (rc == 0)
        rc = checks_promises(w, m, &f.sums.promises, f.r, out, e);
    return rc < 0 ? rc
                  : checks_region(o, w, m, f.r, f.sums.facts.states, region_pss(&f),
                                  region_swap_pss(&f), out, e);
}
