/* state: what `reading` knows of one run; the files below it read and fill their part. */
#ifndef LAB_GNUMACH_HOST_STATE_H
#define LAB_GNUMACH_HOST_STATE_H

#include "lab/gnumach/ability.h"
#include "lab/gnumach/host/numbers.h"
#include "lab/gnumach/host/slots.h"
#include "lab/gnumach/host/view.h"
#include "lab/gnumach/host/viewers.h"
#include "lab/gnumach/protocol.h"
#include "lab/run/backend.h"

/* A message part that is under way, in the order of sending. */
struct pending {
    int from, to;
    const struct step *sent;
    size_t part; /* of sent->parts; ool_send: 0 */
    enum part_kind kind;
    int slot; /* or -1 */
    bool physical, deallocate;
    uint64_t size;    /* bytes or rights */
    int disposition;  /* of rights: MACH_MSG_TYPE_* */
    struct view view; /* of memory: what it showed last */
};

struct reading {
    const struct plan *plan;
    uint64_t memory_bytes;
    struct slot *slots;
    size_t nslots;
    int32_t *receivers; /* by step */
    int step_count;     /* observations so far */
    struct numbers numbers;
    uint64_t base_free; /* pages free when the run began */
    /* after the last step */
    struct view *last; /* [actor * nslots + slot] */
    struct {
        bool known;
        struct snap_task counts;
    } task[GUEST_MAX_ACTORS];
    struct pending *pending;
    size_t npending;
    /* in this step */
    const struct snapshot *snap;
    const struct step *step;
    int acting; /* actor, or -1 */
    int step_slot;
    struct viewers viewers;
};

static inline struct view *last_view(struct reading *r, uint64_t actor, uint64_t slot)
{
    return &r->last[actor * r->nslots + slot];
}

/* Of n quantities those that Mach has no interface for (lab/gnumach/ability.c). */
static inline void set_untold(struct value *q, int n, uint64_t which)
{
    for (int i = 0; i < n; i++)
        if (which >> i & 1)
            q[i] = value_unknown(WHY_NO_INTERFACE);
}

#endif
