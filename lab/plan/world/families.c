/* families: how many frames the memory of each map step can take, from above. */
#include "lab/plan/world/state.h"
#include "probes/list.h"

static uint64_t takes(const struct family *f)
{
    return f->holders > 0 ? f->object + f->frames : 0;
}

/* Gives a family its new state, and keeps the sum of what all take. */
static void become(struct world *w, size_t i, struct family f)
{
    uint64_t most = f.pages * (uint64_t)(f.shared ? f.holders > 0 : f.holders);

    if (f.frames > most)
        f.frames = most;
    w->now += takes(&f) - takes(&w->families[i]);
    w->families[i] = f;
    if (w->now > w->peak)
        w->peak = w->now;
}

void hold_family(struct world *w, size_t family, int more)
{
    struct family f = w->families[family];

    f.holders += more;
    become(w, family, f);
}

int new_family(const struct reader *r, struct world *w, const struct family *f, size_t *out)
{
    if (!LIST_ADD(w->families, w->nfamilies))
        return err_no_memory(r->e);
    *out = w->nfamilies - 1;
    become(w, *out, *f);
    return 0;
}

/* Pages of a region that a write or read touches; for a random share an estimate from above. */
uint64_t touched(const struct page_select *s, uint64_t pages)
{
    uint64_t share;

    switch (s->kind) {
    case SEL_FIRST:
        return 1;
    case SEL_EVERY:
        return (pages + s->a - 1) / s->a;
    case SEL_RANGE:
        return s->b;
    case SEL_SHARE:
        share = pages * s->a / 1000000 + pages / 100 + 1;
        return s->a == 0 ? 0 : share < pages ? share : pages;
    default:
        return pages;
    }
}

/* The same, exactly; page by page for a random share, so only for regions of some size. */
#define COUNT_MAX (UINT64_C(1) << 24)

int count_pages(const struct reader *r, const cJSON *node, const struct page_select *s,
                uint64_t pages, uint64_t *out)
{
    *out = touched(s, pages);
    if (s->kind != SEL_SHARE)
        return 0;
    if (pages > COUNT_MAX)
        return fail_at(r, node, "a share of more than %llu pages is not counted",
                       (unsigned long long)COUNT_MAX);
    *out = 0;
    for (uint64_t i = 0; i < pages; i++)
        *out += page_selected(s, i);
    return 0;
}

void peak_of(struct world *w, uint64_t more)
{
    if (w->now + more > w->peak)
        w->peak = w->now + more;
}

void touch_frames(struct world *w, const struct region *region, uint64_t pages, bool write)
{
    struct family f = w->families[region->family];

    if (!write && !f.shared)
        return;
    f.frames += pages;
    become(w, region->family, f);
}
