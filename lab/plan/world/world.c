/* world: a step on paper. */
#include "lab/plan/world/state.h"
#include "probes/list.h"

#include <stdlib.h>

int world_ACT_CHECKPOINT(struct doing *x)
{
    (void)x;
    return 0;
}

/* The effect of an action is world_ENUM. */
static int do_action(struct doing *x)
{
#define ACTION_CASE(e, ...)                                                                        \
    case e:                                                                                        \
        return world_##e(x);
    switch (x->s->action) {
        ACTIONS(ACTION_CASE)
    }
    return 0;
}

static const char *unsupported(const struct ability *a, const struct step *s)
{
    const char *why = s->action == ACT_MAP ? ability_refuses(a->no_kinds, (int)s->kind) : NULL;

    for (size_t i = 0; i < s->nparts && !why; i++)
        why = ability_refuses(a->no_parts, (int)s->parts[i].kind);
    return why ? why : ability_refuses(a->no_actions, (int)s->action);
}

/* A step without mistakes of its own. */
static int carry_out(struct doing *x)
{
    struct draft *d = x->d;
    struct mistakes *found = x->r->found;
    int rc = 0;

    d->unsupported = unsupported(x->r->ability, &d->step);
    if (d->does->region == REGION_OLD)
        rc = need_region(x->r, x->w, x->actor, arg(x, "region"), d->step.region, &d->step.case_name,
                         &x->region);
    else if (!d->step.region)
        rc = copy_text(x->r, &d->step.case_name, x->r->case_name);
    if (rc < 0)
        return rc;
    x->doubt = rests_on_doubt(x);
    found->mute = x->doubt;
    if (x->region && x->region->holed && d->step.action != ACT_UNMAP)
        rc = fail_at(x->r, arg(x, "region"), "a part of region '%s' was deallocated",
                     d->step.region);
    else
        rc = do_action(x);
    found->mute = false;
    return rc;
}

int world_apply(struct world *w, const struct reader *r, struct draft *d)
{
    struct doing x = {.w = w, .r = r, .d = d, .s = &d->step};
    long i = -1;
    int rc = 0;

    r->found->mute = d->when_in_doubt;
    if (d->step.actor)
        rc = need_actor(r, w, member(d->node, "actor"), d->step.actor, &i);
    r->found->mute = false;
    if (i >= 0) {
        x.index = (size_t)i;
        x.actor = &w->actors[i];
        x.actor->acted = true;
    }
    if (d->bad)
        rc = either(rc, -EINVAL);
    if (rc == 0)
        rc = carry_out(&x);
    if (rc == -EINVAL || (rc == 0 && x.doubt))
        rc = either(rc, leave_in_doubt(&x));
    return rc;
}

uint64_t world_peak_pages(const struct world *w)
{
    return w->peak;
}

int world_new(struct world **out, const struct reader *r, const struct plan *plan,
              const struct draft *drafts, size_t n, bool actors_in_doubt)
{
    struct world *w = calloc(1, sizeof *w);

    if (w)
        w->actors = calloc(plan->nactors + 1, sizeof *w->actors);
    if (!w || !w->actors) {
        free(w);
        return err_no_memory(r->e);
    }
    w->nactors = plan->nactors;
    w->actors_in_doubt = actors_in_doubt;
    for (size_t i = 0; i < w->nactors; i++) {
        w->actors[i].name = plan->actors[i];
        w->actors[i].state = ACTOR_ALIVE;
        w->actors[i].parent = i;
        w->actors[i].request = -1;
    }
    for (size_t i = 0; i < n; i++) {
        long target = world_actor(w, drafts[i].step.as);

        if (target >= 0)
            w->actors[target].state = ACTOR_ABSENT;
    }
    *out = w;
    return 0;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->nactors; i++)
        release_regions(&w->actors[i].regions);
    for (size_t i = 0; i < w->nmessages; i++)
        release_regions(&w->messages[i].regions);
    release_regions(&w->handed.object);
    FREE_ALL(w->actors, w->messages, w->families, w);
}
