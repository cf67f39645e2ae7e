#include "lab/gnumach/host/reading_parts.h"
#include "probes/rules.h"

#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 4096 /* kept per region */
#ifndef CHAIN_MAX
#define CHAIN_MAX 1000
#endif

void guest_frames_release(struct guest_frames *f)
{
    free(f->frame);
    *f = (struct guest_frames){0};
}

uint64_t pages_touched(uint64_t address, uint64_t bytes)
{
    return (address % GUEST_PAGE_SIZE + bytes + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE;
}

const struct snap_entry *entry_at(const struct snapshot *s, uint64_t actor, uint64_t address)
{
    for (size_t i = 0; i < s->nentries; i++) {
        const struct snap_entry *x = &s->entries[i];

        if (x->actor == actor && x->start <= address && address < x->end)
            return x;
    }
    return NULL;
}

/* What one region looks like over all its entries. */
struct region_view {
    const struct snap_region *region;
    const struct snap_entry *first; /* NULL: nothing mapped there */
    uint64_t address;               /* of the first page */
    uint64_t pages;
    struct page_view *page;
    uint64_t resident, at_risk;
    bool unsure;
    bool whole_object; /* one entry that shows all of one unshadowed object */
};

static void view_page(const struct reading *r, struct region_view *v, uint64_t i,
                      const struct snap_entry *x)
{
    uint64_t page = x->offset + (v->address + i * GUEST_PAGE_SIZE - x->start) / GUEST_PAGE_SIZE;
    struct seen_page seen = snapshot_see(r->snap, x->object, page);

    v->page[i].frame = seen.frame;
    v->page[i].unsure = seen.unsure;
    v->page[i].copies = seen.frame && (x->needs_copy || seen.depth > 0);
    v->resident += seen.frame != 0;
    v->at_risk += v->page[i].copies;
    v->unsure |= seen.unsure;
}

/* An object that cannot be listed page by page still says how many pages it has. */
static void note_whole_object(const struct reading *r, struct region_view *v)
{
    const struct snap_entry *x = v->first;
    int top = x && x->object ? snapshot_object(r->snap, x->object) : -1;
    const struct snap_object *o = top >= 0 ? &r->snap->objects[top] : NULL;

    if (!o || o->shadow || o->size != v->pages || x->offset != 0 ||
        (x->end - x->start) / GUEST_PAGE_SIZE != v->pages)
        return;
    v->whole_object = true;
    if (v->unsure) {
        v->resident = o->resident;
        v->at_risk = x->needs_copy ? o->resident : 0;
    }
}

static int view_region(const struct reading *r, const struct snap_region *g, struct region_view *v,
                       struct err *e)
{
    const struct snap_entry *x = NULL;

    *v = (struct region_view){.region = g,
                              .address = g->address / GUEST_PAGE_SIZE * GUEST_PAGE_SIZE,
                              .pages = pages_touched(g->address, g->bytes)};
    v->page = calloc(v->pages, sizeof *v->page);
    if (!v->page)
        return reading_no_memory(e);
    v->first = entry_at(r->snap, g->actor, v->address);
    for (uint64_t i = 0; i < v->pages; i++) {
        uint64_t address = v->address + i * GUEST_PAGE_SIZE;

        if (!x || address >= x->end)
            x = entry_at(r->snap, g->actor, address);
        if (x && x->object)
            view_page(r, v, i, x);
    }
    note_whole_object(r, v);
    return 0;
}

/* --- share mode and references --- */

/* Of the entries of a region: SM_COW if any says so, else what the first says. */
static void share_mode(const struct reading *r, const struct region_view *v, struct obs_region *g)
{
    uint64_t end = v->address + v->pages * GUEST_PAGE_SIZE, refs = 0;
    enum share_mode mode = SM_EMPTY;
    bool first = true;

    for (size_t i = 0; i < r->snap->nentries; i++) {
        const struct snap_entry *x = &r->snap->entries[i];
        int at = x->object ? snapshot_object(r->snap, x->object) : -1;
        const struct snap_object *o = at >= 0 ? &r->snap->objects[at] : NULL;
        enum share_mode m;

        if (x->actor != v->region->actor || x->end <= v->address || x->start >= end)
            continue;
        m = share_mode_mach(!o, o && o->shadow, x->needs_copy != 0, o ? (int64_t)o->refs : 0);
        if (first || m == SM_COW)
            mode = m;
        if (o && o->refs > refs)
            refs = o->refs;
        g->needs_copy = g->needs_copy > 0 || x->needs_copy;
        first = false;
    }
    g->q[RQ_SHARE_MODE] = value_known(mode);
    g->q[RQ_REF_COUNT] = value_known((int64_t)refs);
}

/* --- the chain of objects --- */

static int object_runs(struct reading *r, const struct snap_object *o, struct obs_object *out,
                       uint64_t offset, uint64_t at, uint64_t pages, struct err *e)
{
    /* a region stands in for the list: runs join there */
    struct obs_region list = {.runs = out->runs, .nruns = out->nruns};
    int rc = 0;

    for (uint64_t i = 0; i < pages && rc == 0 && list.nruns < RUNS_MAX; i++) {
        uint32_t frame = offset + i < o->nframes ? o->frame[offset + i] : 0;
        struct page_run run = {.first = at + i, .count = 1, .mapcount = -1};

        if (!frame)
            continue;
        run.frame = reading_frame_number(r, frame);
        rc = obs_region_add_run(&list, &run);
    }
    out->runs = list.runs;
    out->nruns = list.nruns;
    return rc < 0 ? reading_no_memory(e) : 0;
}

static struct obs_object *told_already(struct obs_region *g, uint64_t number)
{
    for (size_t i = 0; i < g->nobjects; i++)
        if (g->objects[i].number == number)
            return &g->objects[i];
    return NULL;
}

int reading_chain(struct reading *r, struct obs_region *g, uint64_t object, uint64_t offset,
                  uint64_t at, uint64_t pages, struct err *e)
{
    for (int n = 0; object && n < CHAIN_MAX; n++) {
        int index = snapshot_object(r->snap, object), rc;
        const struct snap_object *o = index >= 0 ? &r->snap->objects[index] : NULL;
        uint64_t number = reading_object_number(r, object);
        struct obs_object *out;

        if (!o)
            return 0;
        out = told_already(g, number);
        if (!out) {
            int depth = (int)g->nobjects;

            out = obs_region_add_object(g);
            if (!out)
                return reading_no_memory(e);
            out->number = number;
            out->depth = depth;
            out->kind = "internal";
            out->refs = value_known((int64_t)o->refs);
            out->size = value_known((int64_t)o->size);
            out->resident = value_known((int64_t)o->resident);
            out->offset = value_known((int64_t)(offset - at));
        }
        rc = object_runs(r, o, out, offset, at, pages, e);
        if (rc < 0)
            return rc;
        offset += o->shadow_offset;
        object = o->shadow;
    }
    return 0;
}

static int chains(struct reading *r, const struct region_view *v, struct obs_region *g,
                  struct err *e)
{
    uint64_t end = v->address + v->pages * GUEST_PAGE_SIZE;
    int rc = 0;

    for (size_t i = 0; i < r->snap->nentries && rc == 0; i++) {
        const struct snap_entry *x = &r->snap->entries[i];
        uint64_t from = x->start > v->address ? x->start : v->address;
        uint64_t to = x->end < end ? x->end : end;

        if (x->actor == v->region->actor && from < to)
            rc = reading_chain(r, g, x->object, x->offset + (from - x->start) / GUEST_PAGE_SIZE,
                               (from - v->address) / GUEST_PAGE_SIZE, (to - from) / GUEST_PAGE_SIZE,
                               e);
    }
    return rc;
}

/* --- pages --- */

/* Mach keeps its state per entry and object, not per page: in the words for pages it follows from
 * who else sees the frame, and is marked as inferred. */
static enum page_state state_of(const struct reading *r, const struct page_view *p)
{
    const struct frame_viewers *w;
    bool others;

    if (!p->frame)
        return PS_NONE;
    w = &r->viewers[p->frame];
    others = __builtin_popcountll(w->actors) + (int)w->transits > 1;
    if (p->copies)
        return others ? PS_COW : PS_DEBT;
    return others ? PS_SHARED : PS_EXCLUSIVE;
}

static int page_runs(struct reading *r, const struct region_view *v, struct obs_region *g,
                     struct err *e)
{
    static const enum region_quantity quantity_of[PS__COUNT] = {[PS_EXCLUSIVE] = RQ_EXCLUSIVE,
                                                                [PS_COW] = RQ_COW,
                                                                [PS_DEBT] = RQ_DEBT,
                                                                [PS_SHARED] = RQ_SHARED};
    static const enum region_quantity never[] = {RQ_ZERO, RQ_OBJECT, RQ_SWAPPED, RQ_HUGE};

    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        g->q[never[i]] = value_inferred(0); /* Mach has none, or the guest no pager */
    for (int state = PS_NONE + 1; state < PS__COUNT; state++)
        if (quantity_of[state])
            g->q[quantity_of[state]] = v->unsure ? value_unknown(WHY_TOO_LARGE) : value_inferred(0);
    if (v->unsure)
        return 0;
    for (uint64_t i = 0; i < v->pages; i++) {
        const struct page_view *p = &v->page[i];
        enum page_state state = state_of(r, p);
        struct page_run run = {.first = i,
                               .count = 1,
                               .frame = p->frame ? reading_frame_number(r, p->frame) : 0,
                               .mapcount = -1,
                               .state = (uint8_t)state,
                               .inferred = true};

        if (state != PS_NONE)
            g->q[quantity_of[state]].n++;
        if (g->runs_cut)
            continue;
        if (obs_region_add_run(g, &run) < 0)
            return reading_no_memory(e);
        g->runs_cut = g->nruns >= RUNS_MAX;
    }
    return 0;
}

static void quantities(const struct region_view *v, struct obs_region *g)
{
    struct value unlisted = value_unknown(WHY_TOO_LARGE);
    bool known = !v->unsure || v->whole_object;

    g->q[RQ_PAGES] = value_known((int64_t)v->pages);
    g->q[RQ_MAPPED] = value_unknown(WHY_NO_INTERFACE);
    g->q[RQ_RESIDENT] = known ? value_known((int64_t)v->resident) : unlisted;
    g->q[RQ_NONE] = known ? value_known((int64_t)(v->pages - v->resident)) : unlisted;
    g->q[RQ_AT_RISK] = known ? value_known((int64_t)v->at_risk) : unlisted;
    if (!v->first)
        return;
    g->entry_start = v->first->start;
    g->entry_end = v->first->end;
    g->q[RQ_ENTRY_PAGES] =
        value_known((int64_t)((v->first->end - v->first->start) / GUEST_PAGE_SIZE));
    g->q[RQ_PROTECTION] = value_known((int64_t)v->first->protection);
    g->q[RQ_INHERITANCE] = value_known((int64_t)v->first->inheritance);
}

/* --- a write's outcome --- */

static enum write_outcome word_of(const int64_t counts[4])
{
    static const enum write_outcome words[4] = {WO_FIRST_TOUCH, WO_COPIED, WO_REUSED, WO_NO_FAULT};
    int found = -1;

    for (int i = 0; i < 4; i++) {
        if (!counts[i])
            continue;
        if (found >= 0)
            return WO_MIXED;
        found = i;
    }
    return found >= 0 ? words[found] : WO_NO_FAULT;
}

static int check_copies(struct reading *r, const struct obs_region *g, int64_t copied,
                        struct step_result *out, struct err *e)
{
    const struct snap_task *t = snapshot_task(r->snap, (uint64_t)r->acting);
    struct obs_check *c =
        observation_add_check(&out->obs, "cow_faults", r->plan->actors[r->acting], g->region);

    if (!c)
        return reading_no_memory(e);
    if (g->case_name && !(c->case_name = strdup(g->case_name)))
        return reading_no_memory(e);
    c->left = value_known(copied);
    c->right = value_known((int64_t)(t->cow_faults - r->task[r->acting].cow_faults));
    c->verdict = c->left.n == c->right.n ? CHECK_HELD : CHECK_DIFFERS;
    c->detail = strdup("frames that changed; the kernel's count of copy-on-write faults");
    return c->detail ? 0 : reading_no_memory(e);
}

struct outcome {
    int64_t first, copied, same; /* pages: no frame before, another frame, the same frame */
};

/* From the frames before and after. */
static struct outcome outcome_by_frames(const struct reading *r, const struct region_view *v,
                                        const struct guest_frames *before)
{
    struct outcome o = {0, 0, 0};

    for (uint64_t i = 0; i < v->pages; i++) {
        if (!page_selected(&r->step->select, i))
            continue;
        if (!before->frame[i])
            o.first++;
        else if (before->frame[i] != v->page[i].frame)
            o.copied++;
        else
            o.same++;
    }
    return o;
}

/* Where the kernel cannot list that many frames, its counts for the task: the actor did nothing
 * else in this step. */
static struct outcome outcome_by_counts(const struct reading *r, const struct region_view *v,
                                        const struct snap_task *t)
{
    struct outcome o = {(int64_t)(t->zero_fills - r->task[r->acting].zero_fills),
                        (int64_t)(t->cow_faults - r->task[r->acting].cow_faults), 0};

    for (uint64_t i = 0; i < v->pages; i++)
        o.same += page_selected(&r->step->select, i);
    o.same -= o.first + o.copied;
    return o;
}

/* Where a frame stayed, the task's count of faults tells whether there was one. */
static int write_outcome(struct reading *r, const struct region_view *v, struct obs_region *g,
                         struct step_result *out, struct err *e)
{
    const struct guest_frames *before = last_frames(r, v->region->actor, v->region->slot);
    const struct snap_task *t = snapshot_task(r->snap, v->region->actor);
    bool by_frames = !v->unsure && !before->unsure && before->count == v->pages;
    struct outcome o;
    int64_t rest;

    for (int q = RQ_WRITE_OUTCOME; q <= RQ_NO_FAULT; q++)
        g->q[q] = value_unknown(WHY_NOT_REPORTED);
    if (!t || !r->task[r->acting].known)
        return 0;
    o = by_frames ? outcome_by_frames(r, v, before) : outcome_by_counts(r, v, t);
    rest = (int64_t)(t->faults - r->task[r->acting].faults) - o.first - o.copied;
    if (o.same >= 0) {
        g->q[RQ_FIRST_TOUCH] = value_known(o.first);
        g->q[RQ_COPIED] = value_known(o.copied);
    }
    if (rest >= 0 && rest <= o.same) {
        int64_t counts[4] = {o.first, o.copied, rest, o.same - rest};

        g->q[RQ_REUSED] = value_known(rest);
        g->q[RQ_NO_FAULT] = value_known(o.same - rest);
        g->q[RQ_WRITE_OUTCOME] = value_known(word_of(counts));
    }
    return by_frames ? check_copies(r, g, o.copied, out, e) : 0;
}

/* --- all together --- */

static int keep_frames(struct reading *r, const struct region_view *v, struct err *e)
{
    struct guest_frames *f = last_frames(r, v->region->actor, v->region->slot);

    guest_frames_release(f);
    f->frame = calloc(v->pages, sizeof *f->frame);
    if (!f->frame)
        return reading_no_memory(e);
    f->count = v->pages;
    f->unsure = v->unsure;
    for (uint64_t i = 0; i < v->pages; i++)
        f->frame[i] = v->page[i].frame;
    return 0;
}

static int one_region(struct reading *r, const struct snap_region *g, struct step_result *out,
                      struct err *e)
{
    const struct blob_slot *slot = &r->slots[g->slot];
    struct region_view v = {0};
    struct obs_region *o =
        observation_add_region(&out->obs, r->plan->actors[g->actor], slot->region, slot->case_name);
    int rc = o ? view_region(r, g, &v, e) : reading_no_memory(e);

    if (rc < 0)
        return rc;
    o->start = g->address;
    o->end = g->address + g->bytes;
    o->needs_copy = 0;
    quantities(&v, o);
    share_mode(r, &v, o);
    rc = page_runs(r, &v, o, e);
    if (rc == 0)
        rc = chains(r, &v, o, e);
    if (rc == 0 && r->step && r->step->action == ACT_WRITE && (int)g->actor == r->acting &&
        (int)g->slot == r->step_slot)
        rc = write_outcome(r, &v, o, out, e);
    if (rc == 0)
        rc = keep_frames(r, &v, e);
    free(v.page);
    return rc;
}

int reading_regions(struct reading *r, struct step_result *out, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < r->snap->nregions && rc == 0; i++)
        rc = one_region(r, &r->snap->regions[i], out, e);
    return rc;
}
