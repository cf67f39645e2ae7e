#include "lab/gnumach/host/view.h"

#include "lab/gnumach/protocol.h"
#include "probes/rules.h"
#include <errno.h>
#include <stdlib.h>

#define MESSAGE_PAGES_MAX (1ull << 28)

uint64_t region_start(const struct snap_region *g)
{
    return g->address / GUEST_PAGE_SIZE * GUEST_PAGE_SIZE;
}

static int make_room(struct view *v, uint64_t pages, struct err *e)
{
    *v = (struct view){.pages = pages};
    v->page = calloc(pages + 1, sizeof *v->page);
    return v->page ? 0 : err_no_memory(e);
}

static void add_page(struct view *v, uint64_t i, struct seen_page seen)
{
    v->page[i] = seen;
    v->resident += seen.frame != 0;
    v->unsure |= seen.unsure;
}

static bool same_chain(const struct seen_page *a, const struct seen_page *b)
{
    return a->top == b->top && a->needs_copy == b->needs_copy;
}

static bool at_risk(const struct seen_page *p, bool frame, bool collapsed)
{
    return page_at_risk_mach(&(struct mach_page_facts){.frame = frame,
                                                       .needs_copy = p->needs_copy,
                                                       .depth = p->depth,
                                                       .read_only = p->read_only,
                                                       .sole = p->sole,
                                                       .collapsed = collapsed});
}

/* In the order in which the guest writes (guest/actor.c): the first page comes last where there
 * were pages before. */
uint64_t view_risk(struct view *v, const struct page_select *select)
{
    struct seen_page *first = v->page; /* in the chain of the page in hand */
    uint64_t copied = 0;

    for (uint64_t i = 0; i < v->pages; i++)
        v->page[i].at_risk = v->page[i].collapsed = false;
    for (uint64_t n = 0; n < v->pages; n++) {
        uint64_t i = v->resident ? (n + 1) % v->pages : n;
        struct seen_page *p = &v->page[i];

        if (!page_selected(select, i))
            continue;
        if (!same_chain(first, p))
            for (first = v->page; !same_chain(first, p);)
                first++;
        p->at_risk = at_risk(p, p->frame != 0, first->collapsed);
        first->collapsed |= p->at_risk;
        copied += p->at_risk;
    }
    return copied;
}

/* An object that cannot be listed page by page still says how many pages it has: enough where the
 * region is one entry that shows all of one unshadowed object. */
static void count_whole_object(struct view *v, const struct snapshot *s, const struct snap_entry *x)
{
    const struct snap_object *o = x ? snapshot_object(s, x->object) : NULL;

    if (!v->unsure || !o || o->shadow || o->size != v->pages || x->offset != 0 ||
        (x->end - x->start) / GUEST_PAGE_SIZE != v->pages)
        return;
    v->counted = true;
    v->resident = o->resident;
    if (o->resident)
        v->at_risk =
            at_risk(v->page, true, false) + (o->resident - 1) * at_risk(v->page, true, true);
}

int view_region(struct view *v, const struct snapshot *s, const struct snap_region *g,
                struct err *e)
{
    uint64_t start = region_start(g), bytes = g->address % GUEST_PAGE_SIZE + g->bytes;
    const struct snap_entry *x = NULL;
    int rc = make_room(v, (bytes + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE, e);

    for (uint64_t i = 0; i < v->pages && rc == 0; i++) {
        uint64_t address = start + i * GUEST_PAGE_SIZE;
        struct seen_page seen;

        if (!x || address >= x->end)
            x = snapshot_entry(s, g->actor, address);
        if (!x || !x->object)
            continue;
        seen = snapshot_see(s, x->object, x->offset + (address - x->start) / GUEST_PAGE_SIZE);
        seen.needs_copy = x->needs_copy != 0;
        seen.read_only = !(x->protection & 2);
        seen.sole &= seen.alone || !seen.needs_copy; /* then it will be one of those below */
        add_page(v, i, seen);
    }
    if (rc == 0)
        v->at_risk = view_risk(v, &(struct page_select){.kind = SEL_ALL});
    v->counted = !v->unsure;
    count_whole_object(v, s, snapshot_entry(s, g->actor, start));
    return rc;
}

int view_transit(struct view *v, const struct snapshot *s, const struct snap_transit *t,
                 struct err *e)
{
    uint64_t pages = 0, at = 0, end = t->first_piece + t->npieces;
    int rc;

    for (size_t i = t->first_piece; i < end; i++)
        pages += s->pieces[i].bytes / GUEST_PAGE_SIZE;
    if (pages > MESSAGE_PAGES_MAX)
        return err_set(e, EBADMSG, "the guest told of a message of impossible size");
    rc = make_room(v, pages, e);
    for (size_t i = t->first_piece; i < end && rc == 0; i++)
        for (uint64_t k = 0; k < s->pieces[i].bytes / GUEST_PAGE_SIZE; k++)
            add_page(v, at++, snapshot_see(s, s->pieces[i].object, s->pieces[i].offset + k));
    v->counted = !v->unsure;
    return rc;
}

void view_release(struct view *v)
{
    free(v->page);
    *v = (struct view){0};
}

struct comparison view_compare(const struct view *a, uint64_t a_from, const struct view *b,
                               uint64_t count)
{
    struct comparison c = {0, 0,
                           a->unsure || b->unsure || a_from + count > a->pages || count > b->pages};

    for (uint64_t i = 0; !c.unsure && i < count; i++) {
        uint32_t x = a->page[a_from + i].frame, y = b->page[i].frame;

        if (x || y)
            *(x == y ? &c.same : &c.different) += 1;
    }
    return c;
}
