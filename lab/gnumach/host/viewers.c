#include "lab/gnumach/host/view.h"

#include "lab/gnumach/protocol.h"
#include <stdlib.h>

static bool is_named(const struct snapshot *s, uint64_t actor, uint64_t address)
{
    for (size_t i = 0; i < s->nregions; i++) {
        const struct snap_region *g = &s->regions[i];
        uint64_t start = g->address / GUEST_PAGE_SIZE * GUEST_PAGE_SIZE;

        if (g->actor == actor && start <= address && address < g->address + g->bytes)
            return true;
    }
    return false;
}

/* Who sees the page of an object, or NULL where there is none. */
static struct frame_viewers *behind(struct viewers *v, const struct snapshot *s, uint64_t object,
                                    uint64_t page)
{
    struct seen_page seen = snapshot_see(s, object, page);

    v->unsure |= seen.unsure;
    return seen.frame ? &v->of[seen.frame] : NULL;
}

static void view_entry(struct viewers *v, const struct snapshot *s, const struct snap_entry *x)
{
    uint64_t pages = (x->end - x->start) / GUEST_PAGE_SIZE, bit = 1ull << x->actor;

    for (uint64_t i = 0; x->object && i < pages; i++) {
        struct frame_viewers *f = behind(v, s, x->object, x->offset + i);

        if (!f)
            continue;
        f->actors |= bit;
        if (!(f->named & bit) && is_named(s, x->actor, x->start + i * GUEST_PAGE_SIZE))
            f->named |= bit;
    }
}

static void view_piece(struct viewers *v, const struct snapshot *s, const struct snap_piece *p)
{
    for (uint64_t i = 0; i < p->bytes / GUEST_PAGE_SIZE; i++) {
        struct frame_viewers *f = behind(v, s, p->object, p->offset + i);

        if (f)
            f->transits++;
    }
}

int viewers_fill(struct viewers *v, const struct snapshot *s, struct err *e)
{
    *v = (struct viewers){.count = snapshot_frames(s)};
    v->of = calloc(v->count, sizeof *v->of);
    if (!v->of)
        return err_no_memory(e);
    for (size_t i = 0; i < s->nentries; i++)
        view_entry(v, s, &s->entries[i]);
    for (size_t i = 0; i < s->npieces; i++)
        view_piece(v, s, &s->pieces[i]);
    return 0;
}

void viewers_release(struct viewers *v)
{
    free(v->of);
    *v = (struct viewers){0};
}
