/* In the order of reading: state.h (what is kept), view.h (pages as they show), then state.h on
 * what is told of them. */
#include "lab/gnumach/host/reading.h"

#include "lab/gnumach/host/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void keep_tasks(struct reading *r, const struct snapshot *s)
{
    memset(r->task, 0, sizeof r->task);
    for (size_t i = 0; i < s->ntasks; i++) {
        r->task[s->tasks[i].actor].known = true;
        r->task[s->tasks[i].actor].counts = s->tasks[i];
    }
}

int reading_new(struct reading **out, const struct plan *plan, uint64_t memory_bytes,
                const struct snapshot *start, struct err *e)
{
    struct reading *r = calloc(1, sizeof *r);
    int rc = r ? slots_of(plan, &r->slots, &r->nslots, e) : err_no_memory(e);

    rc = rc ? rc : receivers_of(plan, &r->receivers, e);
    if (rc == 0) {
        r->plan = plan;
        r->memory_bytes = memory_bytes;
        r->base_free = start->machine.free;
        r->last = calloc(plan->nactors * r->nslots + 1, sizeof *r->last);
        if (!r->last)
            rc = err_no_memory(e);
    }
    if (rc < 0) {
        reading_free(r);
        return rc;
    }
    keep_tasks(r, start);
    *out = r;
    return 0;
}

void reading_free(struct reading *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->last && i < r->plan->nactors * r->nslots; i++)
        view_release(&r->last[i]);
    free(r->last);
    transit_release(r);
    numbers_release(&r->numbers);
    free(r->slots);
    free(r->receivers);
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

static int tell_cost(struct reading *r, struct step_result *out, struct err *e)
{
    struct obs_cost *c = observation_add_cost(&out->obs, "mach_vm_debug");

    if (!c)
        return err_no_memory(e);
    c->dur_ns = r->snap->look_ns;
    c->calls = r->snap->records;
    return 0;
}

static int tell_all(struct reading *r, struct step_result *out, struct err *e)
{
    static int (*const tell[])(struct reading * r, struct step_result * out, struct err * e) = {
        totals_tell_processes, transfers_tell_sent, regions_tell, transfers_tell_received,
        totals_tell,           checks_tell,         tell_cost};
    int rc = numbers_note(&r->numbers, r->snap, r->step_count, e);

    rc = rc ? rc : viewers_fill(&r->viewers, r->snap, e);
    for (size_t i = 0; i < sizeof tell / sizeof *tell && rc == 0; i++)
        rc = tell[i](r, out, e);
    viewers_release(&r->viewers);
    return rc;
}

int reading_step(struct reading *r, const struct step *step, const struct snapshot *s,
                 struct step_result *out, struct err *e)
{
    int rc = check_range(r, s, e);

    if (rc < 0)
        return rc;
    r->snap = s;
    r->step = step;
    r->acting = guest_actor_index(r->plan, step->actor);
    r->step_slot = slot_index(r->slots, r->nslots, step->region, step->case_name);
    r->step_count++;
    out->start_ns = s->answer.start_ns;
    out->dur_ns = step->action == ACT_CHECKPOINT ? 0 : s->answer.dur_ns; /* nothing was done */
    out->obs.t_ns = s->t_ns;
    rc = tell_all(r, out, e);
    keep_tasks(r, s);
    regions_forget_gone(r);
    r->snap = NULL;
    return rc;
}
