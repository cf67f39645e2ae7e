/* families: how many frames the memory of each map step can take, from above. */
#include "lab/plan/world/state.h"
#include "probes/list.h"

#include <stdlib.h>

static void count_peak(struct world *w)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < w->nfamilies; i++)
        if (w->families[i].holders > 0)
            sum += w->families[i].object + w->families[i].frames;
    if (sum > w->peak)
        w->peak = sum;
}

void cap_frames(struct family *f)
{
    uint64_t most = f->pages * (uint64_t)(f->shared ? f->holders > 0 : f->holders);

    if (f->frames > most)
        f->frames = most;
}

int new_family(const struct reader *r, struct world *w, const struct family *f, size_t *out)
{
    struct family *at = LIST_ADD(w->families, w->nfamilies);

    if (!at)
        return err_no_memory(r->e);
    *at = *f;
    *out = w->nfamilies - 1;
    count_peak(w);
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

void touch_frames(struct world *w, const struct region *region, uint64_t pages, bool write)
{
    struct family *f = &w->families[region->family];

    if (!write && !f->shared)
        return;
    f->frames += pages;
    cap_frames(f);
    count_peak(w);
}
