/* steps: what the controller does for each action: what goes before the command to the actor, and
 * what follows from its answer. */
#include "lab/gnumach/guest/actions.h"
#include "lab/gnumach/guest/run.h"
#include <mach/mig_support.h>

/* -- the command and its answer --------------------------------------------------------- */

static const char *begin_command(struct run *r, const struct guest_step *s)
{
    if (s->actor < 0 || !r->actors[s->actor].task)
        return "the actor is not there";
    memset(&command.body, 0, sizeof command.body);
    command.body.step = *s;
    return NULL;
}

static const char *have_done(struct run *r, const struct guest_step *s)
{
    if ((r->rc = ask(r, &r->actors[s->actor], s->number)) != KERN_SUCCESS)
        return "the actor did not answer";
    r->rc = answered.body.rc;
    /* nothing came, as it should; or a full queue took nothing in the time given */
    r->timed_out = (s->expect_timeout && r->rc == MACH_RCV_TIMED_OUT) ||
                   (s->timeout_ms >= 0 && r->rc == MACH_SEND_TIMED_OUT);
    if (r->rc != KERN_SUCCESS && !r->timed_out)
        return "the kernel refused";
    if (s->expect_timeout && !r->timed_out)
        return "a message came where none was expected";
    tell_answer(s, &answered.body);
    return NULL;
}

/* -- regions ---------------------------------------------------------------------------- */

static struct region *region_of(struct run *r, const struct guest_step *s)
{
    return &r->actors[s->actor].regions[s->slot];
}

static uint64_t place_region(struct run *r, uint64_t bytes)
{
    uint64_t at = r->next_address;
    r->next_address += (bytes + 2 * REGION_GAP - 1) / REGION_GAP * REGION_GAP;
    return at;
}

static const char *on_region(struct run *r, const struct guest_step *s)
{
    const struct region *g = region_of(r, s);
    if (!g->bytes)
        return "the actor has no such region";
    command.body.address = g->address;
    command.body.bytes = g->bytes;
    command.body.touched = g->touched;
    return have_done(r, s);
}

const char *step_ACT_MAP(struct run *r, const struct guest_step *s)
{
    if (region_of(r, s)->bytes)
        return "the actor has that region already";
    command.body.address = place_region(r, s->bytes);
    command.body.bytes = s->bytes;
    const char *problem = have_done(r, s);
    if (!problem)
        *region_of(r, s) = (struct region){command.body.address, s->bytes, 0};
    return problem;
}

const char *step_ACT_WRITE(struct run *r, const struct guest_step *s)
{
    uint64_t address = region_of(r, s)->address;
    const char *problem = on_region(r, s);
    for (uint32_t i = 0; i < r->plan->nactors && !problem; i++) /* it may be theirs too */
        if (r->actors[i].regions[s->slot].address == address)
            r->actors[i].regions[s->slot].touched = 1;
    return problem;
}

const char *step_ACT_READ(struct run *r, const struct guest_step *s)
{
    return step_ACT_WRITE(r, s);
}

const char *step_ACT_UNMAP(struct run *r, const struct guest_step *s)
{
    const char *problem = on_region(r, s);
    if (!problem)
        *region_of(r, s) = (struct region){0};
    return problem;
}

/* -- actors ----------------------------------------------------------------------------- */

const char *step_ACT_FORK(struct run *r, const struct guest_step *s)
{
    const char *problem = have_done(r, s);
    if (problem)
        return problem;
    if (bear(r, (uint32_t)s->other, answered.port.name) != KERN_SUCCESS)
        return "the child did not start";
    inherit_regions(r, (uint32_t)s->actor, (uint32_t)s->other);
    return NULL;
}

const char *step_ACT_EXIT(struct run *r, const struct guest_step *s)
{
    const char *problem = have_done(r, s);
    if (problem)
        return problem;
    r->actors[s->actor].status = s->status;
    return await_end(r, (uint32_t)s->actor);
}

/* Looking alone: no actor does anything. */
const char *step_ACT_CHECKPOINT(struct run *r, const struct guest_step *s)
{
    struct answer none = {.start_tsc = read_tsc()};
    (void)r;
    none.end_tsc = read_tsc();
    tell_answer(s, &none);
    return NULL;
}

/* Actors have no children to wait for: the controller noticed the end of each. */
const char *step_ACT_WAIT(struct run *r, const struct guest_step *s)
{
    const struct actor *child = &r->actors[s->other];
    if (child->task)
        return "the child has not ended";
    if (s->status >= 0 && child->status != s->status)
        return "the child ended with another status";
    return step_ACT_CHECKPOINT(r, s);
}

/* -- messages --------------------------------------------------------------------------- */

/* Its parts are in the command. */
static const char *send(struct run *r, const struct guest_step *s)
{
    uint32_t before = r->ntransits;
    if ((r->rc = transit_note(r, s)) != KERN_SUCCESS)
        return "the memory in transit cannot be observed";
    answered.body.sent = 0;
    const char *problem = have_done(r, s);
    if (!answered.body.sent)
        transit_unsent(r, before);
    else if (!problem && transit_sent(r, s) != KERN_SUCCESS)
        problem = "the memory in transit cannot be observed";
    return problem;
}

const char *step_ACT_OOL_SEND(struct run *r, const struct guest_step *s)
{
    command.body.step.nparts = 1;
    command.body.parts[0] = (struct guest_part){PART_OOL, s->slot, 0, s->deallocate, 0};
    const char *problem = transit_fill(r, s, 0, s->slot, s->offset_bytes, s->bytes);
    return problem ? problem : send(r, s);
}

const char *step_ACT_SEND(struct run *r, const struct guest_step *s)
{
    const char *problem = NULL;
    for (uint32_t i = 0; i < s->nparts && !problem; i++) {
        command.body.parts[i] = plan_parts()[s->first_part + i];
        if (command.body.parts[i].kind == PART_OOL)
            problem = transit_fill(r, s, i, command.body.parts[i].slot, 0, GUEST_REST);
    }
    memcpy(command.body.text, plan_text() + s->text, s->text_bytes);
    return problem ? problem : send(r, s);
}

const char *step_ACT_REPLY(struct run *r, const struct guest_step *s)
{
    return step_ACT_SEND(r, s);
}

const char *step_ACT_RECEIVE(struct run *r, const struct guest_step *s)
{
    const char *problem = have_done(r, s);
    return problem || r->timed_out ? problem : transit_received(r, s);
}

const char *step_ACT_OOL_RECEIVE(struct run *r, const struct guest_step *s)
{
    const char *problem = step_ACT_RECEIVE(r, s);
    if (!problem && !r->timed_out && !answered.body.ndescriptors)
        problem = "the message carried no memory";
    return problem;
}

/* -- any step --------------------------------------------------------------------------- */

const char *look(struct run *r, uint32_t step)
{
    uint64_t t = clock_ns(read_tsc());
    if ((r->rc = observe(r)) != KERN_SUCCESS)
        return "the kernel refused to be observed";
    RECORD('Z', "uuuu", r->index, step, t, clock_ns(read_tsc()) - t);
    return NULL;
}

typedef const char *guest_way(struct run *r, const struct guest_step *s);

static guest_way *way_of(uint32_t action)
{
#define ACTION_IN_CONTROLLER(e, ...) [e] = step_##e,
    static guest_way *const ways[] = {ACTIONS(ACTION_IN_CONTROLLER)};
    return action < sizeof ways / sizeof *ways ? ways[action] : NULL;
}

const char *do_step(struct run *r, const struct guest_step *s)
{
    int in_actor = guest_action_of(s->action) != NULL;
    guest_way *way = way_of(s->action);
    const char *problem = in_actor ? begin_command(r, s) : way ? NULL : "the guest cannot do this";
    if (!problem)
        problem = way ? way(r, s) : on_region(r, s);
    return problem ? problem : look(r, s->number);
}
