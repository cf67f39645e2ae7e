/* doubt: what a mistake leaves in doubt, so that one mistake is told once and the next is still
 * found. As little as can be: a name that is wrong in a write changes nothing that a later step
 * needs. */
#include "lab/plan/world/state.h"

static bool actor_in_doubt(const struct world *w, const char *name)
{
    long i = world_actor(w, name);

    return i >= 0 && w->actors[i].doubt;
}

bool rests_on_doubt(const struct doing *x)
{
    const struct step *s = x->s;
    enum message_use use = x->d->does->message;

    if (actor_in_doubt(x->w, s->actor) || actor_in_doubt(x->w, s->as) ||
        actor_in_doubt(x->w, s->child))
        return true;
    if (x->region && in_doubt(&x->actor->regions, x->region))
        return true;
    if (s->action == ACT_TAKE && x->w->handed.doubt)
        return true;
    return (use == MESSAGE_RECEIVES || use == MESSAGE_ANSWERS) && x->actor->queue_doubt;
}

/* The step's region: one that is there may be otherwise; one that is not was maybe to be another.
 */
static int doubt_region(struct doing *x, struct actor *a, bool maps)
{
    const char *name = x->s->region, *in = x->s->case_name ? x->s->case_name : x->r->case_name;
    struct region *there = name ? find_exact(&a->regions, name, in) : NULL;

    if (there)
        there->doubt = true;
    else if (maps && !name)
        a->regions.more = true;
    else if (!maps)
        a->regions.changed = true;
    return there || !maps || !name ? 0 : poison_region(x->r, x->w, &a->regions, name, in, false);
}

/* What the step could have done to the actor that does it. */
static int doubt_actor(struct doing *x, struct actor *a)
{
    if (!x->d->does || (x->actor && a->state != ACTOR_ALIVE)) {
        a->doubt = true;
        return 0;
    }
    switch (x->s->action) {
    case ACT_EXIT:
    case ACT_EXEC:
        a->doubt = true;
        return 0;
    case ACT_RECEIVE:
    case ACT_OOL_RECEIVE:
        a->regions.more = a->queue_doubt = true;
        return 0;
    case ACT_SEND:
    case ACT_REPLY:
        a->regions.changed = true;
        return 0;
    case ACT_MAP:
    case ACT_TAKE:
        return doubt_region(x, a, true);
    case ACT_UNMAP:
    case ACT_PROTECT:
    case ACT_LOCK:
    case ACT_INHERIT:
    case ACT_MADVISE:
    case ACT_OOL_SEND:
        return doubt_region(x, a, false);
    default:
        return 0;
    }
}

/* The child of a fork or wait. If it is not known which: any that could not have been there. */
static void doubt_child(struct world *w, const char *name)
{
    long i = world_actor(w, name);

    for (size_t k = 0; k < w->nactors; k++)
        if (i >= 0 ? k == (size_t)i : w->actors[k].state != ACTOR_ALIVE || !w->actors[k].acted)
            w->actors[k].doubt = true;
}

static void doubt_queues(struct world *w, const char *to)
{
    long i = world_actor(w, to);

    for (size_t k = 0; k < w->nactors; k++)
        if (i < 0 || k == (size_t)i)
            w->actors[k].queue_doubt = true;
}

int leave_in_doubt(struct doing *x)
{
    const struct action_row *does = x->d->does;
    int rc = 0;

    for (size_t i = 0; i < x->w->nactors && rc == 0; i++)
        if (!x->actor || x->actor == &x->w->actors[i])
            rc = doubt_actor(x, &x->w->actors[i]);
    if (!does || does->action == ACT_FORK || does->action == ACT_WAIT)
        doubt_child(x->w, x->s->as ? x->s->as : x->s->child);
    if (!does || does->action == ACT_HAND_OVER || does->action == ACT_TAKE)
        x->w->handed.doubt = true;
    if (!does || does->message == MESSAGE_SENDS || does->message == MESSAGE_ANSWERS)
        doubt_queues(x->w, x->s->to);
    return rc;
}
