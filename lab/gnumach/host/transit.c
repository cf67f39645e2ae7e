#include "lab/gnumach/host/state.h"

#include "probes/list.h"
#include "probes/rules.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_pending(struct reading *r, const struct pending *p, struct err *e)
{
    struct pending *added = LIST_ADD(r->pending, r->npending);

    if (!added)
        return err_no_memory(e);
    *added = *p;
    return 0;
}

void transit_drop(struct reading *r, size_t at)
{
    view_release(&r->pending[at].view);
    memmove(&r->pending[at], &r->pending[at + 1], (--r->npending - at) * sizeof *r->pending);
}

static struct pending pending_of(const struct reading *r, size_t part)
{
    const struct step *s = r->step;
    struct pending p = {
        .from = r->acting,
        .to = r->receivers[s - r->plan->steps],
        .sent = s,
        .part = part,
    };

    if (s->action == ACT_OOL_SEND) {
        p.kind = PART_OOL;
        p.slot = r->step_slot;
        p.physical = s->physical;
        p.deallocate = s->deallocate;
    } else {
        const struct message_part *m = &s->parts[part];

        p.kind = m->kind;
        p.slot = slot_index(r->slots, r->nslots, m->region, m->case_name);
        p.physical = m->physical;
        p.deallocate = m->deallocate;
        p.size = m->kind == PART_PORT ? 1 : m->count;
        p.disposition = m->disposition;
    }
    return p;
}

int transit_add(struct reading *r, struct err *e)
{
    size_t parts = r->step->action == ACT_OOL_SEND ? 1 : r->step->nparts;
    int rc = 0;

    for (size_t i = 0; i < parts && rc == 0; i++) {
        struct pending p = pending_of(r, i);

        rc = add_pending(r, &p, e);
    }
    return rc;
}

/* What a message holds now. */
static int view_again(struct reading *r, struct pending *p, const struct snap_transit *t,
                      struct err *e)
{
    view_release(&p->view);
    p->size = t->bytes;
    return view_transit(&p->view, r->snap, t, e);
}

/* The guest tells what is in transit in the order of sending, as the list here has it. */
int transit_view(struct reading *r, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    if (step_receives(r->step)) /* what has arrived is no longer told; keep what was seen before */
        return rc;
    for (size_t i = 0; i < r->npending && rc == 0; i++) {
        struct pending *p = &r->pending[i];

        if (p->kind != PART_OOL || (r->step->action == ACT_EXIT && p->to == r->acting))
            continue;
        if (at >= r->snap->ntransits || r->snap->transits[at].slot != (uint64_t)p->slot)
            return err_set(e, EBADMSG, "the guest lost memory that is in transit");
        rc = view_again(r, p, &r->snap->transits[at++], e);
    }
    return rc;
}

/* A message's own entry cannot be asked: that it is to be copied follows from who else sees it. */
static int message_pages(struct reading *r, struct obs_region *g, const struct view *v,
                         struct err *e)
{
    for (uint64_t i = 0; i < v->pages && !v->unsure; i++) {
        uint32_t frame = v->page[i].frame;
        int actors = __builtin_popcountll(r->viewers.of[frame].actors);
        struct page_run run = {.first = i,
                               .count = 1,
                               .frame = numbers_frame(&r->numbers, frame),
                               .mapcount = -1,
                               .inferred = true};

        run.state = page_state_mach(&(struct mach_page_facts){
            .frame = frame != 0, .needs_copy = actors > 0, .viewers = 1 + (uint64_t)actors});
        if (obs_region_add_run(g, &run) < 0)
            return err_no_memory(e);
    }
    return 0;
}

static void message_quantities(struct obs_region *g, const struct view *v,
                               const struct snap_transit *t, const struct snap_object *top)
{
    int64_t refs = top ? (int64_t)top->refs : 0;

    g->end = t->bytes;
    g->needs_copy = -1;
    g->q[RQ_PAGES] = value_known((int64_t)v->pages);
    g->q[RQ_MAPPED] = value_known(0); /* a message's map has no page table */
    g->q[RQ_REF_COUNT] = value_known(refs);
    g->q[RQ_SHARE_MODE] = value_inferred(share_mode_mach(!top, top && top->shadow, refs > 1, refs));
    g->q[RQ_RESIDENT] =
        v->counted ? value_known((int64_t)v->resident) : value_unknown(WHY_TOO_LARGE);
    if (!v->counted && top && !top->shadow && t->npieces == 1 && top->size == v->pages)
        g->q[RQ_RESIDENT] = value_known((int64_t)top->resident); /* the whole object is sent */
}

static int tell_memory(struct reading *r, struct step_result *out, const struct pending *p,
                       const struct snap_transit *t, struct err *e)
{
    const struct slot *slot = &r->slots[p->slot];
    struct obs_region *g =
        observation_add_region(&out->obs, "message", slot->region, slot->case_name);
    const struct snap_piece *x = t->npieces ? &r->snap->pieces[t->first_piece] : NULL;
    uint64_t at = 0;
    int rc;

    if (!g)
        return err_no_memory(e);
    message_quantities(g, &p->view, t, x && x->object ? snapshot_object(r->snap, x->object) : NULL);
    rc = message_pages(r, g, &p->view, e);
    for (size_t i = 0; i < t->npieces && rc == 0; i++) {
        uint64_t pages = x[i].bytes / GUEST_PAGE_SIZE;

        rc = chain_tell(r, g, x[i].object, x[i].offset, at, pages, e);
        at += pages;
    }
    return rc;
}

int transit_tell(struct reading *r, struct step_result *out, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    for (size_t i = 0; i < r->npending && rc == 0; i++)
        if (r->pending[i].kind == PART_OOL && at < r->snap->ntransits) {
            rc = view_again(r, &r->pending[i], &r->snap->transits[at], e);
            if (rc == 0 && r->pending[i].size > 0)
                rc = tell_memory(r, out, &r->pending[i], &r->snap->transits[at], e);
            at++;
        }
    return rc;
}

void transit_release(struct reading *r)
{
    for (size_t i = 0; i < r->npending; i++)
        view_release(&r->pending[i].view);
    free(r->pending);
}
