/* memory: what the actions on regions do. */
#include "lab/plan/world/state.h"

int world_ACT_MAP(struct doing *x)
{
    struct step *s = x->s;
    bool backed = s->kind == MK_MEMFD_PRIVATE || s->kind == MK_FILE_PRIVATE;
    bool shared = map_kind_is_shared(s->kind);
    /* Huge pages are reserved when they are mapped. */
    struct family f = {1, shared, s->pages, backed ? s->pages : 0,
                       s->kind == MK_HUGETLB ? s->pages : 0};
    struct region region = {.name = s->region,
                            .case_name = x->r->case_name,
                            .pages = s->pages,
                            .bytes = s->has_bytes ? s->bytes : s->pages * x->r->page_size,
                            .reach = s->pages * x->r->page_size,
                            .kind = s->kind,
                            .protection = 3,
                            .fate = {.shared = shared}};
    int rc;

    if (s->case_name)
        return fail_at(x->r, arg(x, "region"), "a new region's name has no '#'");
    rc = new_name(x->r, x->actor, arg(x, "region"), s->region, x->r->case_name);
    if (rc == 0)
        rc = copy_text(x->r, &s->case_name, x->r->case_name);
    if (rc == 0)
        rc = new_family(x->r, x->w, &f, &region.family);
    return rc < 0 ? rc : add_region(x->r, &x->actor->regions, &region);
}

static int touch(struct doing *x, bool write)
{
    x->s->origin = x->region->origin;
    x->s->reach = x->region->reach;
    const struct page_select *sel = &x->s->select;

    if (!(x->region->protection & (write ? 2 : 1)))
        return fail_at(x->r, arg(x, "region"), "region '%s' is protected against %s", x->s->region,
                       write ? "writing" : "reading");
    if (sel->kind == SEL_RANGE &&
        (sel->a >= x->region->pages || sel->b > x->region->pages - sel->a))
        return fail_at(x->r, arg(x, "pages"), "pages %llu to %llu, and the region has %llu", sel->a,
                       sel->a + sel->b - 1, (unsigned long long)x->region->pages);
    if (x->s->latency)
        x->d->unsupported = x->r->ability->no_latency;
    touch_frames(x->w, x->region, touched(sel, x->region->pages), write);
    if (arg(x, "count"))
        return count_pages(x->r, arg(x, "count"), sel, x->region->pages, &x->d->touched);
    return 0;
}

int world_ACT_WRITE(struct doing *x)
{
    return touch(x, true);
}

int world_ACT_READ(struct doing *x)
{
    return touch(x, false);
}

int world_ACT_UNMAP(struct doing *x)
{
    drop_region(x->w, &x->actor->regions, (size_t)(x->region - x->actor->regions.at));
    return 0;
}

int world_ACT_MOVE(struct doing *x)
{
    if (x->region->kind == MK_MALLOC)
        return fail_at(x->r, arg(x, "region"), "region '%s' is malloc's own: it cannot be moved",
                       x->region->name);
    return 0;
}

int world_ACT_PROTECT(struct doing *x)
{
    x->region->protection = x->s->protection;
    return 0;
}

int world_ACT_INHERIT(struct doing *x)
{
    const struct ability *a = x->r->ability;
    const struct refusal *list = x->s->inherit == INH_SHARE  ? a->no_share
                                 : x->s->inherit == INH_COPY ? a->no_copy
                                                             : NULL;

    x->region->fate = fate_asked(x->region->fate, x->s->inherit);
    if (list)
        x->d->unsupported = ability_refuses(list, (int)x->region->kind);
    return 0;
}

int world_ACT_LOCK(struct doing *x)
{
    if (x->s->lock && !x->region->protection)
        return fail_at(x->r, arg(x, "region"), "region '%s' is protected: it cannot be locked",
                       x->s->region);
    x->region->locked = x->s->lock;
    return 0;
}

/* Of private memory in whole pages, which the writer's numbers go to: behind where a page's stamp
 * is. A copy takes as much again for a moment. */
int world_ACT_SNAPSHOT(struct doing *x)
{
    const struct region *g = x->region;
    enum map_kind k = g->kind;
    uint64_t page = x->r->page_size;
    bool plain = k == MK_ANONYMOUS || k == MK_MALLOC;

    if (!plain && k != MK_ORDINARY && k != MK_PURGEABLE)
        return fail_at(x->r, arg(x, "region"), "a snapshot is of private memory without a file");
    if (x->s->snapshot_way == SNAP_USERFAULTFD && !plain)
        return fail_at(x->r, arg(x, "way"), "this way is for memory of kind anonymous or malloc");
    if (g->protection != 3 || g->holed || g->origin % page || g->bytes != g->pages * page)
        return fail_at(x->r, arg(x, "region"),
                       "a snapshot is of whole pages that can be read and written");
    if (x->s->snapshot_way == SNAP_OOL_VIRTUAL && g->bytes > UINT32_MAX)
        return fail_at(x->r, arg(x, "way"), "a message carries less than 4 GiB");
    touch_frames(x->w, x->region, g->pages, true);
    peak_of(x->w, g->pages);
    return 0;
}

/* What madvise(2) says of the kinds of memory that an advice can be given for. */
int world_ACT_MADVISE(struct doing *x)
{
    enum map_kind k = x->region->kind;
    enum advice advice = x->s->advice;

    if ((advice == ADV_FREE || advice == ADV_WIPEONFORK) && k != MK_ANONYMOUS && k != MK_MALLOC)
        return fail_at(x->r, arg(x, "advice"), "this advice is for private anonymous memory");
    if (x->region->locked &&
        (advice == ADV_DONTNEED || advice == ADV_FREE || advice == ADV_PAGEOUT))
        return fail_at(x->r, arg(x, "advice"),
                       "region '%s' is locked in memory: the kernel refuses this advice",
                       x->region->name);
    if (k == MK_HUGETLB && advice == ADV_PAGEOUT)
        return fail_at(x->r, arg(x, "advice"), "explicit huge pages cannot be paged out");
    x->region->fate = fate_advised(x->region->fate, advice);
    return 0;
}
