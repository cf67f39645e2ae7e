#include "lab/gnumach/host/state.h"

#include <string.h>

#define KB_PER_PAGE ((int64_t)(GUEST_PAGE_SIZE / 1024))

/* -- processes -------------------------------------------------------------------------- */

int totals_tell_processes(struct reading *r, struct step_result *out, struct err *e)
{
    for (size_t i = 0; i < r->snap->ntasks; i++) {
        const struct snap_task *t = &r->snap->tasks[i];
        struct obs_process *p = observation_add_process(&out->obs, r->plan->actors[t->actor]);
        /* a task seen for the first time has only started up: that is where its counts begin */
        const struct snap_task *was = r->task[t->actor].known ? &r->task[t->actor].counts : t;

        if (!p)
            return err_no_memory(e);
        p->acting = (int)t->actor == r->acting;
        p->q[PQ_RSS] = value_known((int64_t)(t->resident_bytes / 1024));
        p->q[PQ_VIRTUAL] = value_known((int64_t)(t->virtual_bytes / 1024));
        set_untold(p->q, PQ__COUNT, ability_gnumach.no_process_quantities);
        p->q[PQ_MINFLT_TOTAL] = value_known((int64_t)t->faults);
        p->q[PQ_MINFLT] = value_known((int64_t)(t->faults - was->faults));
        p->q[PQ_COW_FAULTS] = value_known((int64_t)(t->cow_faults - was->cow_faults));
        if (p->acting) {
            p->q[PQ_DUR] = value_known((int64_t)r->snap->answer.dur_ns);
            p->q[PQ_CPU] = value_unknown(WHY_NOT_REPORTED);
        }
    }
    return 0;
}

/* -- totals ----------------------------------------------------------------------------- */

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

    for (size_t i = 0; i < r->viewers.count; i++) {
        distinct += r->viewers.of[i].actors != 0;
        transit += r->viewers.of[i].transits && !r->viewers.of[i].actors;
    }
    for (size_t i = 0; i < r->snap->nobjects; i++) {
        const struct snap_object *o = &r->snap->objects[i];

        for (size_t k = 0; k < o->nframes; k++)
            if (o->frame[k] && !r->viewers.of[o->frame[k]].actors &&
                !r->viewers.of[o->frame[k]].transits)
                unseen++;
    }
    taken = (int64_t)r->base_free - (int64_t)r->snap->machine.free;
    t[TQ_DISTINCT] = t[TQ_OBJECT_ONLY] = t[TQ_IN_TRANSIT] = t[TQ_SUPERSEDED] =
        value_unknown(WHY_TOO_LARGE);
    if (!r->viewers.unsure) {
        t[TQ_DISTINCT] = value_known(distinct * KB_PER_PAGE);
        /* On Mach resident memory counts where it can be seen, mapped or not: what is left over is
         * what nobody can see any more. */
        t[TQ_OBJECT_ONLY] = t[TQ_SUPERSEDED] = value_known(unseen * KB_PER_PAGE);
        t[TQ_IN_TRANSIT] = value_known(transit * KB_PER_PAGE);
    }
    t[TQ_SYSTEM] = value_known(taken * KB_PER_PAGE);
    t[TQ_SYSTEM_TOLERANCE] = value_known(stock_pages(r) * KB_PER_PAGE);
    t[TQ_MEM_FREE] = value_known((int64_t)r->snap->machine.free * KB_PER_PAGE);
    set_untold(t, TQ__COUNT, ability_gnumach.no_total_quantities);
    out->obs.system_source =
        strdup("free pages of the machine before the run, less those now (vm_statistics)");
    return out->obs.system_source ? 0 : err_no_memory(e);
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
                return err_no_memory(e);
            for (size_t f = 0; f < r->viewers.count; f++) {
                all += (r->viewers.of[f].actors & both) == both;
                named += (r->viewers.of[f].named & both) == both;
            }
            s->frames = r->viewers.unsure ? value_unknown(WHY_TOO_LARGE) : value_known(all);
            s->region_frames =
                r->viewers.unsure ? value_unknown(WHY_TOO_LARGE) : value_known(named);
        }
    return 0;
}

int totals_tell(struct reading *r, struct step_result *out, struct err *e)
{
    int rc = totals(r, out, e);

    return rc < 0 ? rc : sharing(r, out, e);
}
