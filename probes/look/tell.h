/* tell: states and map counts of a range of pages, and what is summed up while they go by.
 *
 *     region_finish (region.c) -> finish_pages (parts.c): parts of the pages, two threads
 *                                     -> tell_pages (tell.c): states and map counts of a range
 *                              -> the facts of the region -> its words (rules.h) */
#pragma once

#include "probes/look/look.h"

/* Everything that is summed up while the pages go by. */
struct sums {
    struct region_facts facts; /* what its pages tell; the rest stays empty until the end */
    struct outcome_sums outcome;
    struct promises promises;
    uint64_t outside;
    uint64_t pss;            /* the pages' bytes, each divided by its map count, << PSS_SHIFT */
    uint64_t swap_pss;       /* the same of pages in swap, by the holders of their slots in view */
    int64_t object_surplus;  /* largest number of mappings from outside the run */
    uint64_t counts_missing; /* present pages whose map count is not known */
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

/* What is asked of the pages of a part. */
struct lookups {
    uint64_t frames[FINISH_PAGES], numbers[FINISH_PAGES]; /* numbers: address / page size */
    uint64_t answers[FINISH_PAGES];
    uint64_t again[FINISH_PAGES]; /* the page table read once more */
    uint32_t pages[FINISH_PAGES]; /* indices into the region */
    int32_t counts[FINISH_PAGES];
};

/* A part of the pages; in a large region two threads finish several. Reads what the finish says,
 * writes the records of its pages and what is below. */
struct part {
    const struct finish *f;
    uint64_t first, end;
    struct sums sums;
    struct page_run run; /* being joined */
    struct page_run *runs;
    size_t nruns;
    bool cut;
    struct probe_cost count_cost, flags_cost, again_cost;
    uint64_t samples, samples_agreed;
    struct err err;
    int rc;
    struct lookups *of; /* of the thread that finishes it */
};

static inline uint8_t state_of(uint16_t rec)
{
    return rec & REC_STATE;
}

static inline void set_state(uint16_t *rec, uint8_t state)
{
    *rec = (uint16_t)((*rec & ~REC_STATE) | state);
}

/* May pages be in large folios? Then bit 56 is the head page's answer, and a write can copy a page
 * that is mapped once. */
static inline bool large_expected(const struct finish *f)
{
    return !f->entry || !f->w->maps.counted || f->entry->kb.thp_eligible;
}

/* May lists of the kernel hold pages of it, as their flags would tell (page_batched)? */
static inline bool maybe_listed(const struct finish *f)
{
    return f->o->locked_in_view || f->m->target->freed;
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

/* parts.c: all pages into f->sums and the runs of f->r. -EAGAIN: a sample disagreed with what was
 * concluded. */
int finish_pages(struct finish *f);

/* States and map counts of pages [first, end), which lie in touched blocks: the records of the
 * region, and s->of->counts[page - first]. -EAGAIN: a sample disagreed with what was concluded. */
int tell_pages(struct part *s, uint64_t first, uint64_t end);
