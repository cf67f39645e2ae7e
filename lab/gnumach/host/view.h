/* view: the pages of a region, or of memory in a message, as entries and objects show them.
 *
 * Kept from step to step: the frames before and after tell what a write or a transfer did.
 * Lifetime: view_* ... view_release; a zeroed struct is empty. */
#pragma once

#include "lab/actions.h"
#include "lab/gnumach/host/snapshot.h"

struct view {
    struct seen_page *page;
    uint64_t pages;
    uint64_t resident, at_risk; /* pages; at_risk: a write of all would copy */
    bool unsure;                /* some could not be listed */
    bool counted;               /* resident and at_risk are right */
};

/* The address of a region's first page. */
uint64_t region_start(const struct snap_region *g);
/* 0 or -ENOMEM. */
int view_region(struct view *v, const struct snapshot *s, const struct snap_region *g,
                struct err *e);
/* Tells each page that a write of the selected ones, all at once, would copy; returns how many. */
uint64_t view_risk(struct view *v, const struct page_select *select);
/* 0, -ENOMEM, or -EBADMSG for more pages than there can be. at_risk is left 0. */
int view_transit(struct view *v, const struct snapshot *s, const struct snap_transit *t,
                 struct err *e);
void view_release(struct view *v);

/* How many pages have the same frame, and how many another one, where either has any. */
struct comparison {
    uint64_t same, different;
    bool unsure; /* or some pages are not in view on both sides */
};
/* `count` pages: of a from page a_from on, of b from its first. */
struct comparison view_compare(const struct view *a, uint64_t a_from, const struct view *b,
                               uint64_t count);

/* viewers: who sees which frame in one step, over all maps and all messages in transit.
 *
 * Lifetime: viewers_fill ... viewers_release; a zeroed struct is empty. */

struct frame_viewers {
    uint64_t actors; /* bit per actor, in any of its entries */
    uint64_t named;  /* ... in a region that the scenario named */
    uint32_t transits;
};

struct viewers {
    struct frame_viewers *of; /* by physical frame */
    size_t count;
    bool unsure; /* some object could not be listed */
};

/* 0 or -ENOMEM. */
int viewers_fill(struct viewers *v, const struct snapshot *s, struct err *e);
void viewers_release(struct viewers *v);
