#include "lab/gnumach/host/reading_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KB_PER_PAGE ((int64_t)(GUEST_PAGE_SIZE / 1024))

int reading_no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "out of memory");
}

/* --- numbering --- */

/* In order of first sight, so that a number gives no physical address away. */
uint64_t reading_frame_number(struct reading *r, uint32_t frame)
{
    if (frame >= r->nframe_number)
        return 0;
    if (!r->frame_number[frame])
        r->frame_number[frame] = ++r->last_frame_number;
    return r->frame_number[frame];
}

/* Objects too: those that are only the program's or a stack's get none. */
uint64_t reading_object_number(struct reading *r, uint64_t id)
{
    for (size_t i = 0; i < r->nobjects; i++) {
        if (r->objects[i].id != id)
            continue;
        if (!r->objects[i].number)
            r->objects[i].number = ++r->last_object_number;
        return r->objects[i].number;
    }
    return 0;
}

/* Notes every object of this step. One that was gone meanwhile is another at the same address. */
static int note_objects(struct reading *r, struct err *e)
{
    struct known_object *grown =
        realloc(r->objects, (r->nobjects + r->snap->nobjects + 1) * sizeof *grown);

    if (!grown)
        return reading_no_memory(e);
    r->objects = grown;
    for (size_t i = 0; i < r->snap->nobjects; i++) {
        uint64_t id = r->snap->objects[i].id;
        size_t at = 0;

        while (at < r->nobjects && r->objects[at].id != id)
            at++;
        if (at == r->nobjects)
            r->objects[r->nobjects++] = (struct known_object){.id = id};
        else if (r->objects[at].last_step < r->step_count - 1)
            r->objects[at].number = 0;
        r->objects[at].last_step = r->step_count;
    }
    return 0;
}

static int grow_numbers(struct reading *r, size_t frames, struct err *e)
{
    uint32_t *grown;

    if (frames <= r->nframe_number)
        return 0;
    grown = realloc(r->frame_number, frames * sizeof *grown);
    if (!grown)
        return reading_no_memory(e);
    memset(grown + r->nframe_number, 0, (frames - r->nframe_number) * sizeof *grown);
    r->frame_number = grown;
    r->nframe_number = frames;
    return 0;
}

/* --- who sees which frame --- */

static bool is_named(const struct reading *r, uint64_t actor, uint64_t address)
{
    for (size_t i = 0; i < r->snap->nregions; i++) {
        const struct snap_region *g = &r->snap->regions[i];
        uint64_t start = g->address / GUEST_PAGE_SIZE * GUEST_PAGE_SIZE;

        if (g->actor == actor && start <= address && address < g->address + g->bytes)
            return true;
    }
    return false;
}

static void view_entry(struct reading *r, const struct snap_entry *x)
{
    uint64_t pages = (x->end - x->start) / GUEST_PAGE_SIZE, bit = 1ull << x->actor;

    for (uint64_t i = 0; x->object && i < pages; i++) {
        struct seen_page seen = snapshot_see(r->snap, x->object, x->offset + i);

        r->unsure |= seen.unsure;
        if (!seen.frame)
            continue;
        r->viewers[seen.frame].actors |= bit;
        if (!(r->viewers[seen.frame].named & bit) &&
            is_named(r, x->actor, x->start + i * GUEST_PAGE_SIZE))
            r->viewers[seen.frame].named |= bit;
    }
}

static void view_piece(struct reading *r, const struct snap_piece *p)
{
    for (uint64_t i = 0; i < p->bytes / GUEST_PAGE_SIZE; i++) {
        struct seen_page seen = snapshot_see(r->snap, p->object, p->offset + i);

        r->unsure |= seen.unsure;
        if (seen.frame)
            r->viewers[seen.frame].transits++;
    }
}

static int view_all(struct reading *r, struct err *e)
{
    size_t frames = 1;

    for (size_t i = 0; i < r->snap->nobjects; i++)
        for (size_t k = 0; k < r->snap->objects[i].nframes; k++)
            if (r->snap->objects[i].frame[k] >= frames)
                frames = r->snap->objects[i].frame[k] + 1u;
    r->unsure = false;
    r->nviewers = frames;
    r->viewers = calloc(frames, sizeof *r->viewers);
    if (!r->viewers || grow_numbers(r, frames, e) < 0)
        return reading_no_memory(e);
    for (size_t i = 0; i < r->snap->nentries; i++)
        view_entry(r, &r->snap->entries[i]);
    for (size_t i = 0; i < r->snap->npieces; i++)
        view_piece(r, &r->snap->pieces[i]);
    return 0;
}

/* --- processes --- */

static int processes(struct reading *r, struct step_result *out, struct err *e)
{
    for (size_t i = 0; i < r->snap->ntasks; i++) {
        const struct snap_task *t = &r->snap->tasks[i];
        struct obs_process *p = observation_add_process(&out->obs, r->plan->actors[t->actor]);
        bool known = r->task[t->actor].known;

        if (!p)
            return reading_no_memory(e);
        p->acting = (int)t->actor == r->acting;
        p->q[PQ_RSS] = value_known((int64_t)(t->resident_bytes / 1024));
        p->q[PQ_VIRTUAL] = value_known((int64_t)(t->virtual_bytes / 1024));
        p->q[PQ_PSS] = p->q[PQ_USS] = p->q[PQ_PEAK] = p->q[PQ_PAGETABLE] =
            value_unknown(WHY_NO_INTERFACE);
        p->q[PQ_MINFLT_TOTAL] = value_known((int64_t)t->faults);
        /* a task seen for the first time has only started up: that is where its counts begin */
        p->q[PQ_MINFLT] = value_known(known ? (int64_t)(t->faults - r->task[t->actor].faults) : 0);
        p->q[PQ_COW_FAULTS] =
            value_known(known ? (int64_t)(t->cow_faults - r->task[t->actor].cow_faults) : 0);
        if (p->acting)
            p->q[PQ_DUR] = value_known((int64_t)r->snap->dur_ns);
    }
    return 0;
}

static void keep_tasks(struct reading *r)
{
    memset(r->task, 0, sizeof r->task);
    for (size_t i = 0; i < r->snap->ntasks; i++) {
        const struct snap_task *t = &r->snap->tasks[i];

        r->task[t->actor].known = true;
        r->task[t->actor].faults = t->faults;
        r->task[t->actor].zero_fills = t->zero_fills;
        r->task[t->actor].cow_faults = t->cow_faults;
    }
}

/* --- totals --- */

/* The kernel keeps free pages in small stocks per processor, which the count leaves out: at most a
 * thousandth of memory, and never more than 128 pages. */
static int64_t stock_pages(const struct reading *r)
{
    int64_t pages = (int64_t)(r->memory_bytes / GUEST_PAGE_SIZE / 1024);

    return pages > 128 ? 128 : pages;
}

static int totals(struct reading *r, struct step_result *out, struct err *e)
{
    struct value *t = out->obs.totals;
    int64_t distinct = 0, transit = 0, unseen = 0, taken;

    for (size_t i = 0; i < r->nviewers; i++) {
        distinct += r->viewers[i].actors != 0;
        transit += r->viewers[i].transits && !r->viewers[i].actors;
    }
    for (size_t i = 0; i < r->snap->nobjects; i++) {
        const struct snap_object *o = &r->snap->objects[i];

        for (size_t k = 0; k < o->nframes; k++)
            if (o->frame[k] && !r->viewers[o->frame[k]].actors && !r->viewers[o->frame[k]].transits)
                unseen++;
    }
    taken = (int64_t)r->base_free - (int64_t)r->snap->free;
    t[TQ_DISTINCT] = t[TQ_OBJECT_ONLY] = t[TQ_IN_TRANSIT] = t[TQ_SUPERSEDED] =
        value_unknown(WHY_TOO_LARGE);
    if (!r->unsure) {
        t[TQ_DISTINCT] = value_known(distinct * KB_PER_PAGE);
        /* On Mach resident memory counts where it can be seen, mapped or not: what is left over is
         * what nobody can see any more. */
        t[TQ_OBJECT_ONLY] = t[TQ_SUPERSEDED] = value_known(unseen * KB_PER_PAGE);
        t[TQ_IN_TRANSIT] = value_known(transit * KB_PER_PAGE);
    }
    t[TQ_SYSTEM] = value_known(taken * KB_PER_PAGE);
    t[TQ_SYSTEM_TOLERANCE] = value_known(stock_pages(r) * KB_PER_PAGE);
    t[TQ_MEM_FREE] = value_known((int64_t)r->snap->free * KB_PER_PAGE);
    t[TQ_PAGE_TABLES] = value_unknown(WHY_NO_INTERFACE);
    out->obs.system_source =
        strdup("free pages of the machine before the run, less those now (vm_statistics)");
    return out->obs.system_source ? 0 : reading_no_memory(e);
}

static int sharing(struct reading *r, struct step_result *out, struct err *e)
{
    for (size_t i = 0; i < r->snap->ntasks; i++)
        for (size_t k = i + 1; k < r->snap->ntasks; k++) {
            uint64_t both = 1ull << r->snap->tasks[i].actor | 1ull << r->snap->tasks[k].actor;
            struct obs_sharing *s =
                observation_add_sharing(&out->obs, r->plan->actors[r->snap->tasks[i].actor],
                                        r->plan->actors[r->snap->tasks[k].actor]);
            int64_t all = 0, named = 0;

            if (!s)
                return reading_no_memory(e);
            for (size_t f = 0; f < r->nviewers; f++) {
                all += (r->viewers[f].actors & both) == both;
                named += (r->viewers[f].named & both) == both;
            }
            s->frames = r->unsure ? value_unknown(WHY_TOO_LARGE) : value_known(all);
            s->region_frames = r->unsure ? value_unknown(WHY_TOO_LARGE) : value_known(named);
        }
    return 0;
}

/* --- checks --- */

/* What objects say of themselves against the pages that they list. */
static int check_objects(struct reading *r, struct step_result *out, struct err *e)
{
    struct obs_check *c = observation_add_check(&out->obs, "object_pages", NULL, NULL);
    int64_t said = 0, listed = 0;

    if (!c)
        return reading_no_memory(e);
    for (size_t i = 0; i < r->snap->nobjects; i++) {
        if (r->snap->objects[i].unlisted)
            continue;
        said += (int64_t)r->snap->objects[i].resident;
        listed += (int64_t)r->snap->objects[i].listed;
    }
    c->left = value_known(said);
    c->right = value_known(listed);
    c->verdict = said == listed ? CHECK_HELD : CHECK_DIFFERS;
    c->detail = strdup("resident pages that the objects count; pages that they list");
    return c->detail ? 0 : reading_no_memory(e);
}

static struct obs_check *region_check(struct reading *r, const char *name, struct step_result *out)
{
    struct obs_check *c = observation_add_check(&out->obs, name, r->step->actor, r->step->region);

    if (c && r->step->case_name && !(c->case_name = strdup(r->step->case_name)))
        return NULL;
    return c;
}

static int check_stamps(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snapshot *s = r->snap;
    struct obs_check *c;

    out->stamps = (struct stamp_result){s->checked, s->wrong, s->first_wrong, (char)s->found};
    if (!s->checked)
        return 0;
    c = region_check(r, "stamps", out);
    if (!c)
        return reading_no_memory(e);
    c->left = value_known((int64_t)s->checked);
    c->right = value_known((int64_t)(s->checked - s->wrong));
    c->verdict = s->wrong ? CHECK_DIFFERS : CHECK_HELD;
    if (s->wrong &&
        asprintf(
            &c->detail, "pages read against pages that carry stamp '%c'; page %llu carries %s%c%s",
            r->step->stamp, (unsigned long long)s->first_wrong, s->found ? "stamp '" : "no stamp",
            s->found ? (char)s->found : ' ', s->found ? "'" : "") < 0) {
        c->detail = NULL;
        return reading_no_memory(e);
    }
    return 0;
}

/* Bytes of the sender's that share the first and last page with what it sent. */
static int check_edges(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snapshot *s = r->snap;
    struct obs_check *c;

    if (!s->has_edges)
        return 0;
    c = region_check(r, "stray_bytes", out);
    if (!c)
        return reading_no_memory(e);
    c->left = value_known((int64_t)(s->before_nonzero + s->after_nonzero));
    c->right = value_known(0);
    c->verdict = c->left.n ? CHECK_DIFFERS : CHECK_HELD;
    if (asprintf(&c->detail,
                 "bytes that are not zero among the %llu before and the %llu after the received "
                 "range: whole pages travel, with what the sender had there",
                 (unsigned long long)s->before_bytes, (unsigned long long)s->after_bytes) < 0) {
        c->detail = NULL;
        return reading_no_memory(e);
    }
    return 0;
}

static int cost(struct reading *r, struct step_result *out, struct err *e)
{
    struct obs_cost *c = observation_add_cost(&out->obs, "mach_vm_debug");

    if (!c)
        return reading_no_memory(e);
    c->dur_ns = r->snap->look_ns;
    c->calls = r->snap->records;
    return 0;
}

/* --- the run --- */

int reading_new(struct reading **out, const struct plan *plan, uint64_t memory_bytes,
                const struct snapshot *start, struct err *e)
{
    struct reading *r = calloc(1, sizeof *r);
    int rc = r ? blob_slots(plan, &r->slots, &r->nslots, e) : reading_no_memory(e);

    if (rc == 0)
        rc = blob_receivers(plan, &r->receivers, e);
    if (rc == 0) {
        r->plan = plan;
        r->memory_bytes = memory_bytes;
        r->base_free = start->free;
        r->last = calloc(plan->nactors * r->nslots + 1, sizeof *r->last);
        if (!r->last)
            rc = reading_no_memory(e);
    }
    if (rc < 0) {
        reading_free(r);
        return rc;
    }
    r->snap = start;
    keep_tasks(r);
    r->snap = NULL;
    *out = r;
    return 0;
}

void reading_free(struct reading *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->last && i < r->plan->nactors * r->nslots; i++)
        guest_frames_release(&r->last[i]);
    for (size_t i = 0; i < r->npending; i++)
        guest_frames_release(&r->pending[i].frames);
    free(r->last);
    free(r->pending);
    free(r->slots);
    free(r->receivers);
    free(r->frame_number);
    free(r->objects);
    free(r);
}

/* Records name actors and slots by number: none may be beyond the plan. */
static int check_range(const struct reading *r, const struct snapshot *s, struct err *e)
{
    bool bad = false;

    for (size_t i = 0; i < s->ntasks; i++)
        bad |= s->tasks[i].actor >= r->plan->nactors;
    for (size_t i = 0; i < s->nentries; i++)
        bad |= s->entries[i].actor >= r->plan->nactors;
    for (size_t i = 0; i < s->nregions; i++)
        bad |= s->regions[i].actor >= r->plan->nactors || s->regions[i].slot >= r->nslots;
    for (size_t i = 0; i < s->ntransits; i++)
        bad |= s->transits[i].from >= r->plan->nactors || s->transits[i].slot >= r->nslots;
    return bad ? err_set(e, EBADMSG, "the guest told of an actor or a region that is not planned")
               : 0;
}

/* Regions that are gone have no frames to compare with. */
static void forget_gone(struct reading *r)
{
    for (uint64_t a = 0; a < r->plan->nactors; a++)
        for (uint64_t s = 0; s < r->nslots; s++) {
            bool there = false;

            for (size_t i = 0; i < r->snap->nregions && !there; i++)
                there = r->snap->regions[i].actor == a && r->snap->regions[i].slot == s;
            if (!there)
                guest_frames_release(last_frames(r, a, s));
        }
}

int reading_step(struct reading *r, const struct step *step, const struct snapshot *s,
                 struct step_result *out, struct err *e)
{
    int rc = check_range(r, s, e);

    if (rc < 0)
        return rc;
    r->snap = s;
    r->step = step;
    r->acting = blob_actor_index(r->plan, step->actor);
    r->step_slot =
        step->region ? blob_slot_index(r->slots, r->nslots, step->region, step->case_name) : -1;
    r->step_count++;
    out->start_ns = s->start_ns;
    out->dur_ns = s->dur_ns;
    out->obs.t_ns = s->t_ns;
    if ((rc = note_objects(r, e)) == 0 && (rc = view_all(r, e)) == 0 &&
        (rc = processes(r, out, e)) == 0 && (rc = reading_transit(r, out, e)) == 0 &&
        (rc = reading_regions(r, out, e)) == 0 && (rc = reading_transfers(r, out, e)) == 0 &&
        (rc = totals(r, out, e)) == 0 && (rc = sharing(r, out, e)) == 0 &&
        (rc = check_objects(r, out, e)) == 0 && (rc = check_stamps(r, out, e)) == 0 &&
        (rc = check_edges(r, out, e)) == 0)
        rc = cost(r, out, e);
    keep_tasks(r);
    forget_gone(r);
    free(r->viewers);
    r->viewers = NULL;
    r->snap = NULL;
    return rc;
}
