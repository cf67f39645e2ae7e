/* handover: memory that changes hands in two steps, by a way that is no fork: hand_over at the
 * sender, take at the receiver. One at a time: a scenario that has two under way would have to say
 * which is taken. */
#include "lab/plan/world/state.h"

#include <string.h>

void drop_handed_to(struct world *w, size_t to)
{
    if (w->handed.to != to)
        return;
    drop_regions(w, &w->handed.object);
    w->handed.there = false;
}

/* The memory object that waits for its receiver: the region's own, or a new one with its contents.
 */
static int leave_object(struct doing *x, struct handed *h)
{
    const struct region *from = x->region;
    bool own = h->way == WAY_MEMFD_SHARED, sealed = h->way == WAY_MEMFD_SEALED;
    struct family f = {1, !sealed, from->pages, sealed ? from->pages : 0, sealed ? 0 : from->pages};
    struct region object = {.name = from->name,
                            .case_name = from->case_name,
                            .pages = from->pages,
                            .bytes = from->pages * x->r->page_size,
                            .origin = from->origin,
                            .reach = from->reach,
                            .kind = sealed ? MK_MEMFD_PRIVATE : MK_MEMFD_SHARED,
                            .protection = 3,
                            .fate = {.shared = !sealed},
                            .family = from->family};
    int rc = 0;

    if (own && from->kind != MK_MEMFD_SHARED && from->kind != MK_SHMEM_HUGE)
        return fail_at(x->r, arg(x, "region"),
                       "this way is for regions of kind memfd-shared or shmem-huge");
    if (own)
        hold_family(x->w, from->family, 1);
    else
        rc = new_family(x->r, x->w, &f, &object.family);
    return rc < 0 ? rc : add_region(x->r, &h->object, &object);
}

/* A descriptor of a message counts its bytes in 32 bits. */
static int send_out_of_line(struct doing *x)
{
    if (x->region->bytes > UINT32_MAX)
        x->d->unsupported = "a message carries less than 4 GiB out of line";
    x->s->physical = x->s->way == WAY_OOL_PHYSICAL;
    return world_ACT_OOL_SEND(x);
}

int world_ACT_HAND_OVER(struct doing *x)
{
    struct handed *h = &x->w->handed;
    const cJSON *to = arg(x, "to");
    long i;
    int rc = need_actor(x->r, x->w, to, x->s->to, &i);

    if (rc == 0 && (size_t)i == x->index)
        rc = fail_at(x->r, to, "an actor cannot hand over to itself");
    if (rc == 0 && h->there && !h->doubt)
        rc = fail_at_key(x->r, x->d->action, "region '%s' is handed over and not taken yet",
                         h->name);
    if (rc == 0)
        rc = check_sendable(x, x->region, arg(x, "region"));
    if (rc < 0)
        return rc;
    drop_regions(x->w, &h->object);
    *h = (struct handed){.there = true,
                         .from = x->index,
                         .to = (size_t)i,
                         .way = x->s->way,
                         .name = x->region->name,
                         .case_name = x->region->case_name,
                         .pages = x->region->pages,
                         .origin = x->region->origin,
                         .reach = x->region->reach};
    if (way_kind(h->way) == WAY_MESSAGE)
        return send_out_of_line(x);
    return way_kind(h->way) == WAY_OBJECT ? leave_object(x, h) : 0;
}

/* --- the other side --- */

/* Where the take itself reads the sender's memory, it must still be there. */
static int need_sender(struct doing *x, const struct handed *h)
{
    struct actor *from = &x->w->actors[h->from];

    if (way_kind(h->way) != WAY_STREAM && way_kind(h->way) != WAY_CALL)
        return 0;
    if (from->state != ACTOR_ALIVE)
        return fail_at_key(x->r, x->d->action,
                           "'%s' has exited, and by this way its memory is taken now", from->name);
    if (!find_exact(&from->regions, h->name, h->case_name))
        return fail_at_key(x->r, x->d->action,
                           "'%s' has no region '%s' any more, and by this way it is taken now",
                           from->name, h->name);
    return 0;
}

static int take_into_used(struct doing *x, struct handed *h)
{
    const cJSON *at = arg(x, "region");
    struct region *into;
    int rc = need_region(x->r, x->w, x->actor, at, x->s->region, &x->s->case_name, &into);

    if (rc < 0)
        return rc;
    if (in_doubt(&x->actor->regions, into)) {
        x->doubt = true;
        return 0;
    }
    if (into->holed || !(into->protection & 2))
        return fail_at(x->r, at, "region '%s' %s", into->name,
                       into->holed ? "has lost a part that was deallocated"
                                   : "is protected against writing");
    if (into->pages != h->pages)
        return fail_at(x->r, at, "region '%s' has %llu pages, and %llu are handed over", into->name,
                       (unsigned long long)into->pages, (unsigned long long)h->pages);
    into->origin = h->origin;
    into->reach = h->reach;
    touch_frames(x->w, into, into->pages, true);
    drop_regions(x->w, &h->object);
    return 0;
}

static int take_fresh(struct doing *x, struct handed *h)
{
    struct family f = {1, false, h->pages, 0, h->pages};
    struct region fresh = {.pages = h->pages,
                           .bytes = h->pages * x->r->page_size,
                           .origin = h->origin,
                           .reach = h->reach,
                           .kind = MK_ANONYMOUS,
                           .protection = 3};
    int rc = 0;

    if (h->object.n)
        fresh = h->object.at[0];
    else
        rc = new_family(x->r, x->w, &f, &fresh.family);
    fresh.name = x->s->region;
    fresh.case_name = x->r->case_name;
    release_regions(&h->object); /* its holder is the receiver now */
    return rc < 0 ? rc : add_region(x->r, &x->actor->regions, &fresh);
}

static int take_out_of_line(struct doing *x)
{
    struct message *m = oldest_message(x->w, x->index);

    if (!m || !m->ool)
        return fail_at_key(x->r, x->d->action, "the next message for '%s' is one for 'receive'",
                           x->actor->name);
    for (size_t i = 0; i < m->regions.n; i++) {
        m->regions.at[i].name = x->s->region;
        m->regions.at[i].case_name = x->r->case_name;
    }
    return take_message(x, m);
}

int world_ACT_TAKE(struct doing *x)
{
    struct handed *h = &x->w->handed;
    bool message;
    int rc = 0;

    if (!h->there || h->to != x->index)
        return fail_at_key(x->r, x->d->action, "nothing is handed over to '%s'", x->actor->name);
    message = way_kind(h->way) == WAY_MESSAGE;
    x->s->way = h->way;
    rc = need_sender(x, h);
    if (rc == 0 && !x->s->used)
        rc = new_name(x->r, x->actor, arg(x, "region"), x->s->region, x->r->case_name);
    if (rc == 0 && !x->s->used)
        rc = x->s->case_name ? fail_at(x->r, arg(x, "region"), "a new region's name has no '#'")
                             : copy_text(x->r, &x->s->case_name, x->r->case_name);
    if (rc < 0)
        return rc;
    if (x->s->used && message)
        x->d->unsupported = "out of line memory arrives where it arrives, not in a region in use";
    h->there = false;
    return x->s->used ? take_into_used(x, h) : message ? take_out_of_line(x) : take_fresh(x, h);
}
