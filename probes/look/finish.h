/* finish: what telling the pages of one region and summing them up share. Included by region.c,
 * tell.c and shares.c only.
 *
 *     region_finish (region.c) -> finish_pages (shares.c): shares of the pages, two threads
 *                                     -> tell_pages (tell.c): states and map counts of a range
 *                              -> quantities, objects, checks from the sums */
#ifndef PROBES_LOOK_FINISH_H
#define PROBES_LOOK_FINISH_H

#include "probes/look/look.h"

/* Everything that is summed up while the pages go by. */
struct sums {
    uint64_t states[PS__COUNT];
    uint64_t huge, backed, backed_none, outside;
    bool backed_any;
    uint64_t pss; /* the pages' bytes, each divided by its map count, << PSS_SHIFT */
    uint64_t first_touch, copied, reused, doubtful; /* doubtful: reused, no fault or not written */
    int64_t anon_count;                             /* largest map count of an anonymous page */
    int64_t object_surplus;  /* largest number of mappings from outside the run */
    uint64_t counts_missing; /* present pages whose map count is not known */
    uint64_t anon_missing;   /* the anonymous ones among them */
    bool inferred_debt, inferred_count, inferred_copies;
    bool maybe_copied;   /* without frames: among the doubtful ones copies may be */
    bool maybe_first;    /* and some pages may have been the zero page before */
    uint64_t maybe_zero; /* of anon?: the zero page, or shared */
    uint64_t untold;     /* written pages that the memory object may or may not have had before */
};

struct finish {
    struct observer *o;
    struct watched *w;
    struct memory *m;
    struct obs_region *r;
    const struct map_entry *entry; /* the first that has a part of it, or NULL */
    struct seen_object *object;    /* behind that entry, or NULL */
    bool infer_counts, infer_debt;
    bool pss_says_two; /* no shared page of the entry can be mapped by more than two */
    struct sums sums;
    struct err *err;
};

/* A part of the pages; in a large region two threads finish several. Reads what the finish says,
 * writes the records of its pages and what is below. */
struct share {
    const struct finish *f;
    uint64_t first, end;
    struct sums sums;
    struct page_run run; /* being joined */
    struct page_run *runs;
    size_t nruns, runs_cap;
    bool cut;
    struct probe_cost count_cost, flags_cost;
    uint64_t samples, samples_agreed;
    struct err err;
    int rc;
    /* lookups of one batch */
    uint64_t *frames, *answers;
    uint32_t *pages;
    int32_t *counts;
};

static inline uint8_t state_of(uint8_t rec)
{
    return rec & REC_STATE;
}

static inline void set_state(uint8_t *rec, uint8_t state)
{
    *rec = (uint8_t)((*rec & ~REC_STATE) | state);
}

static inline bool once(uint8_t state)
{
    return state == PS_EXCLUSIVE || state == PS_DEBT;
}

/* Its frame or PAGEMAP_SCAN tells the zero page from a shared one; both have bit 56 clear. */
static inline bool zero_told(const struct finish *f)
{
    return f->w->pagemap_frames || f->o->caps.have[CAP_PAGEMAP_SCAN];
}

/* May pages be in large folios? Then bit 56 is the head page's answer, and a write can copy a page
 * that is mapped once. */
static inline bool large_expected(const struct finish *f)
{
    return !f->entry || !f->w->maps.counted || f->entry->kb.thp_eligible;
}

/* Can the object's residency be told? */
static inline enum why object_why(const struct finish *f)
{
    return f->object ? f->object->why_resident : WHY_NO_OBJECT_ACCESS;
}

/* Where most pages are concluded, these are asked all the same. */
#define SAMPLE_EVERY 64

static inline bool sampled(uint64_t page)
{
    return page % SAMPLE_EVERY == 0;
}

/* States and map counts of pages [first, end), which lie in touched blocks: the records of the
 * region, and s->counts[page - first]. -EAGAIN: a sample disagreed with what was concluded. */
int tell_pages(struct share *s, uint64_t first, uint64_t end);

/* All pages of the region, into f->sums and the runs of f->r. -EAGAIN as above. */
int finish_pages(struct finish *f);

#endif
