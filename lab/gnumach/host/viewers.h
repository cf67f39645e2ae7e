/* viewers: who sees which frame in one step, over all maps and all messages in transit.
 *
 * Lifetime: viewers_fill ... viewers_release; a zeroed struct is empty. */
#ifndef LAB_GNUMACH_HOST_VIEWERS_H
#define LAB_GNUMACH_HOST_VIEWERS_H

#include "lab/gnumach/host/snapshot.h"

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

#endif
