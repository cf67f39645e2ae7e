/* process: who lives, and what a child inherits. */
#include "lab/plan/world/state.h"

static int inherit_region(struct doing *x, const struct region *from, struct actor *child)
{
    struct region copy = *from;
    struct family zero = {1, false, from->pages, 0, 0};
    int rc;

    if (fate_inherit(from->fate) == INH_NONE)
        return 0;
    copy.locked = false;
    if (fate_inherit(from->fate) == INH_ZERO) {
        rc = new_family(x->r, x->w, &zero, &copy.family);
        return rc < 0 ? rc : add_region(x->r, &child->regions, &copy);
    }
    rc = add_region(x->r, &child->regions, &copy);
    if (rc == 0)
        hold_family(x->w, copy.family, 1);
    return rc;
}

static int not_among(struct doing *x, const cJSON *at, const char *name)
{
    int rc = x->w->actors_in_doubt ? -EINVAL : fail_again(x->r, "actor", name);

    return rc < 0 ? rc : fail_at(x->r, at, "'%s' is not among the actors", name);
}

int world_ACT_FORK(struct doing *x)
{
    long i = world_actor(x->w, x->s->as);
    struct actor *child;
    int rc = 0;

    if (i < 0)
        return not_among(x, arg(x, "as"), x->s->as);
    child = &x->w->actors[i];
    if (child->state == ACTOR_ALIVE)
        return fail_at(x->r, arg(x, "as"), "actor '%s' lives already", x->s->as);
    if (child->state == ACTOR_EXITED)
        return fail_at(x->r, arg(x, "as"), "actor '%s' has exited, but nobody waited for it",
                       x->s->as);
    child->state = ACTOR_ALIVE;
    child->parent = x->index;
    child->request = -1;
    child->regions.more = x->actor->regions.more;
    child->regions.changed = x->actor->regions.changed;
    for (size_t k = 0; k < x->actor->regions.n && rc == 0; k++)
        rc = inherit_region(x, &x->actor->regions.at[k], child);
    return rc;
}

void drop_messages_to(struct world *w, size_t to)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->nmessages; i++) {
        if (w->messages[i].to == to)
            drop_regions(w, &w->messages[i].regions);
        else
            w->messages[kept++] = w->messages[i];
    }
    w->nmessages = kept;
    drop_handed_to(w, to);
}

int world_ACT_EXIT(struct doing *x)
{
    drop_regions(x->w, &x->actor->regions);
    drop_messages_to(x->w, x->index);
    x->actor->state = ACTOR_EXITED;
    x->actor->status = x->s->status;
    return 0;
}

int world_ACT_EXEC(struct doing *x)
{
    drop_regions(x->w, &x->actor->regions);
    drop_messages_to(x->w, x->index);
    x->actor->request = -1;
    return 0;
}

int world_ACT_WAIT(struct doing *x)
{
    long i = world_actor(x->w, x->s->child);
    const cJSON *at = arg(x, "child");
    struct actor *child;

    if (i < 0)
        return not_among(x, at, x->s->child);
    child = &x->w->actors[i];
    if (child->state == ACTOR_ABSENT || child->parent != x->index || child->parent == (size_t)i)
        return fail_at(x->r, at, "'%s' is no child of '%s'", x->s->child, x->actor->name);
    if (child->state == ACTOR_ALIVE)
        return fail_at(x->r, at, "'%s' has not exited: this would wait for ever", x->s->child);
    if (child->state == ACTOR_GONE)
        return fail_at(x->r, at, "'%s' was waited for already", x->s->child);
    if (x->s->status >= 0 && x->s->status != child->status)
        return fail_at(x->r, arg(x, "status"), "'%s' exits with status %d", x->s->child,
                       child->status);
    child->state = ACTOR_GONE;
    return 0;
}
