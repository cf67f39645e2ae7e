#include "lab/gnumach/host/state.h"

#include "probes/rules.h"

#define RUNS_MAX 4096 /* kept per region */

/* -- entries: share mode, references, objects ------------------------------------------- */

/* The part of an entry that a region shows, in pages of the region: from `at` on. */
struct shown {
    uint64_t at, pages, offset; /* offset in the object */
};

static struct shown shown_of(const struct snap_region *g, const struct view *v,
                             const struct snap_entry *x)
{
    uint64_t start = region_start(g), end = start + v->pages * GUEST_PAGE_SIZE;
    uint64_t from = x->start > start ? x->start : start, to = x->end < end ? x->end : end;

    if (x->actor != g->actor || from >= to)
        return (struct shown){0, 0, 0};
    return (struct shown){(from - start) / GUEST_PAGE_SIZE, (to - from) / GUEST_PAGE_SIZE,
                          x->offset + (from - x->start) / GUEST_PAGE_SIZE};
}

static enum share_mode entry_mode(const struct snap_entry *x, const struct snap_object *o)
{
    return share_mode_mach(!o, o && o->shadow, x->needs_copy != 0, o ? (int64_t)o->refs : 0);
}

static int entries(struct reading *r, const struct snap_region *g, const struct view *v,
                   struct obs_region *out, struct err *e)
{
    enum share_mode mode = SM_EMPTY;
    uint64_t refs = 0;
    bool first = true;
    int rc = 0;

    out->needs_copy = 0;
    for (size_t i = 0; i < r->snap->nentries && rc == 0; i++) {
        const struct snap_entry *x = &r->snap->entries[i];
        const struct snap_object *o = x->object ? snapshot_object(r->snap, x->object) : NULL;
        struct shown part = shown_of(g, v, x);

        if (!part.pages)
            continue;
        mode = first ? entry_mode(x, o) : share_mode_mach_join(mode, entry_mode(x, o));
        refs = o && o->refs > refs ? o->refs : refs;
        out->needs_copy |= x->needs_copy != 0;
        first = false;
        rc = chain_tell(r, out, x->object, part.offset, part.at, part.pages, e);
    }
    out->q[RQ_SHARE_MODE] = value_known(mode);
    out->q[RQ_REF_COUNT] = value_known((int64_t)refs);
    return rc;
}

/* -- pages ------------------------------------------------------------------------------ */

static enum page_state state_of(const struct reading *r, const struct seen_page *p)
{
    const struct frame_viewers *w = &r->viewers.of[p->frame];

    return page_state_mach(&(struct mach_page_facts){
        .frame = p->frame != 0,
        .needs_copy = p->needs_copy,
        .depth = p->depth,
        .viewers = (uint64_t)__builtin_popcountll(w->actors) + w->transits});
}

static int pages(struct reading *r, struct view *v, struct obs_region *g, struct err *e)
{
    static const enum region_quantity quantity_of[PS__COUNT] = {
        [PS_EXCLUSIVE] = RQ_EXCLUSIVE, [PS_COW] = RQ_COW, [PS_SHARED] = RQ_SHARED};
    static const enum region_quantity never[] = {RQ_ZERO, RQ_DEBT, RQ_OBJECT, RQ_SWAPPED, RQ_HUGE};

    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        g->q[never[i]] = value_inferred(0); /* Mach has none, or the guest no pager */
    for (int state = PS_NONE + 1; state < PS__COUNT; state++)
        if (quantity_of[state])
            g->q[quantity_of[state]] = v->unsure ? value_unknown(WHY_TOO_LARGE) : value_inferred(0);
    for (uint64_t i = 0; i < v->pages && !v->unsure; i++) {
        enum page_state state = state_of(r, &v->page[i]);
        struct page_run run = {.first = i,
                               .count = 1,
                               .frame = numbers_frame(&r->numbers, v->page[i].frame),
                               .mapcount = -1,
                               .state = (uint8_t)state,
                               .inferred = true};

        v->page[i].state = (uint8_t)state;
        if (state != PS_NONE)
            g->q[quantity_of[state]].n++;
        if (g->runs_cut)
            continue;
        if (obs_region_add_run(g, &run) < 0)
            return err_no_memory(e);
        g->runs_cut = g->nruns >= RUNS_MAX;
    }
    return 0;
}

static void quantities(const struct reading *r, const struct snap_region *at, const struct view *v,
                       struct obs_region *g)
{
    const struct snap_entry *x = snapshot_entry(r->snap, at->actor, region_start(at));
    struct value unlisted = value_unknown(WHY_TOO_LARGE);

    g->start = at->address;
    g->end = at->address + at->bytes;
    g->q[RQ_PAGES] = value_known((int64_t)v->pages);
    set_untold(g->q, RQ__COUNT, ability_gnumach.no_region_quantities);
    g->q[RQ_RESIDENT] = v->counted ? value_known((int64_t)v->resident) : unlisted;
    g->q[RQ_NONE] = v->counted ? value_known((int64_t)(v->pages - v->resident)) : unlisted;
    g->q[RQ_AT_RISK] = v->counted ? value_known((int64_t)v->at_risk) : unlisted;
    if (!x)
        return;
    g->entry_start = x->start;
    g->entry_end = x->end;
    g->q[RQ_ENTRY_PAGES] = value_known((int64_t)((x->end - x->start) / GUEST_PAGE_SIZE));
    g->q[RQ_PROTECTION] = value_known((int64_t)x->protection);
    g->q[RQ_INHERITANCE] = value_known((int64_t)x->inheritance);
}

/* -- a write's outcome ------------------------------------------------------------------ */

struct outcome {
    int64_t first, copied, same; /* pages: no frame before, another frame, the same frame */
};

/* From the frames before and after. */
static struct outcome outcome_by_frames(const struct reading *r, const struct view *v,
                                        const struct view *before)
{
    struct outcome o = {0, 0, 0};

    for (uint64_t i = 0; i < v->pages; i++) {
        if (!page_selected(&r->step->select, i))
            continue;
        if (!before->page[i].frame)
            o.first++;
        else if (before->page[i].frame != v->page[i].frame)
            o.copied++;
        else
            o.same++;
    }
    return o;
}

/* Where the kernel cannot list that many frames, its counts for the task: the actor did nothing
 * else in this step. */
static struct outcome outcome_by_counts(const struct reading *r, const struct view *v,
                                        const struct snap_task *before, const struct snap_task *now)
{
    struct outcome o = {(int64_t)(now->zero_fills - before->zero_fills),
                        (int64_t)(now->cow_faults - before->cow_faults), 0};

    for (uint64_t i = 0; i < v->pages; i++)
        o.same += page_selected(&r->step->select, i);
    o.same -= o.first + o.copied;
    return o;
}

/* A page that is at risk gets another frame, one that has none its first; all others are kept. */
static int predictions(const struct reading *r, const struct view *v, struct view *before,
                       struct obs_region *g, struct step_result *out, struct err *e)
{
    struct promises p = {.mach = true};

    view_risk(before, &r->step->select);
    for (uint64_t i = 0; i < v->pages; i++) {
        const struct seen_page *was = &before->page[i];
        bool changes = was->at_risk || !was->frame, changed = was->frame != v->page[i].frame;

        if (page_selected(&r->step->select, i))
            *(changes == changed ? &p.held[was->state] : &p.failed[was->state]) += 1;
    }
    return observation_add_predictions(&out->obs, g->observed, g->region, g->case_name, &p) < 0
               ? err_no_memory(e)
               : 0;
}

/* Where a frame stayed, the task's count of faults tells whether there was one. */
static int write_outcome(struct reading *r, const struct snap_region *at, const struct view *v,
                         struct obs_region *g, struct step_result *out, struct err *e)
{
    struct view *before = last_view(r, at->actor, at->slot);
    const struct snap_task *was = &r->task[at->actor].counts;
    const struct snap_task *is = snapshot_task(r->snap, at->actor);
    bool by_frames = !v->unsure && !before->unsure && before->pages == v->pages;
    struct outcome o;
    int64_t rest;
    int rc;

    for (int q = RQ_WRITE_OUTCOME; q <= RQ_NO_FAULT; q++)
        g->q[q] = value_unknown(WHY_NOT_REPORTED);
    if (!is || !r->task[at->actor].known)
        return 0;
    o = by_frames ? outcome_by_frames(r, v, before) : outcome_by_counts(r, v, was, is);
    rest = (int64_t)(is->faults - was->faults) - o.first - o.copied;
    if (o.same >= 0) {
        g->q[RQ_FIRST_TOUCH] = value_known(o.first);
        g->q[RQ_COPIED] = value_known(o.copied);
    }
    if (rest >= 0 && rest <= o.same) {
        enum write_outcome word = outcome_word(o.first, o.copied, rest, o.same - rest, 0);

        g->q[RQ_REUSED] = value_known(rest);
        g->q[RQ_NO_FAULT] = value_known(o.same - rest);
        g->q[RQ_WRITE_OUTCOME] = value_known(word ? word : WO_NO_FAULT);
    }
    rc = by_frames ? predictions(r, v, before, g, out, e) : 0;
    if (!by_frames || rc < 0)
        return rc;
    return step_check(out,
                      &(struct two_sources){"cow_faults", g->observed, g->region, g->case_name,
                                            o.copied, (int64_t)(is->cow_faults - was->cow_faults)},
                      e, "frames that changed; the kernel's count of copy-on-write faults");
}

/* -- all together ----------------------------------------------------------------------- */

static int one_region(struct reading *r, const struct snap_region *at, struct step_result *out,
                      struct err *e)
{
    const struct slot *slot = &r->slots[at->slot];
    struct view *last = last_view(r, at->actor, at->slot), v = {0};
    struct obs_region *g = observation_add_region(&out->obs, r->plan->actors[at->actor],
                                                  slot->region, slot->case_name);
    int rc = g ? view_region(&v, r->snap, at, e) : err_no_memory(e);

    if (rc < 0)
        return rc;
    quantities(r, at, &v, g);
    rc = pages(r, &v, g, e);
    rc = rc ? rc : entries(r, at, &v, g, e);
    if (rc == 0 && r->step->action == ACT_WRITE && (int)at->actor == r->acting &&
        (int)at->slot == r->step_slot)
        rc = write_outcome(r, at, &v, g, out, e);
    view_release(last);
    *last = v;
    return rc;
}

int regions_tell(struct reading *r, struct step_result *out, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < r->snap->nregions && rc == 0; i++)
        rc = one_region(r, &r->snap->regions[i], out, e);
    return rc;
}

void regions_forget_gone(struct reading *r)
{
    for (uint64_t a = 0; a < r->plan->nactors; a++)
        for (uint64_t s = 0; s < r->nslots; s++) {
            bool there = false;

            for (size_t i = 0; i < r->snap->nregions && !there; i++)
                there = r->snap->regions[i].actor == a && r->snap->regions[i].slot == s;
            if (!there)
                view_release(last_view(r, a, s));
        }
}
