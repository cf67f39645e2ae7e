/* state: what `reading` knows of one run, and what the files that read and fill it do, each in its
 * part below: 0, -ENOMEM, or as it says. */
#pragma once

#include "lab/gnumach/ability.h"
#include "lab/gnumach/host/numbers.h"
#include "lab/gnumach/host/slots.h"
#include "lab/gnumach/host/view.h"
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

/* chain.c: the objects behind a region, from the top one down its shadows. */

/* Appends those of one chain, from `object` down, with their pages [offset, offset + pages) shown
 * at page `at` of the region. */
int chain_tell(struct reading *r, struct obs_region *g, uint64_t object, uint64_t offset,
               uint64_t at, uint64_t pages, struct err *e);

/* checks.c: two sources for one fact: objects against their pages, stamps, bytes around a range. */
int checks_tell(struct reading *r, struct step_result *out, struct err *e);

/* regions.c: named regions of the actors: pages, share mode, chains of objects, a write's outcome.
 */

/* Every region of the step; what each showed becomes the last view. */
int regions_tell(struct reading *r, struct step_result *out, struct err *e);
/* Last views of regions that are gone. */
void regions_forget_gone(struct reading *r);

/* transit.c: parts of messages that are under way, in the order of sending, and what memory among
 * them shows. */

/* The step's message was sent: its parts are under way. */
int transit_add(struct reading *r, struct err *e);
void transit_drop(struct reading *r, size_t at);
/* Views of all memory under way, as the step left it; of a step that receives, nothing: what was
 * seen before is what arrived. -EBADMSG if the guest tells of other parts. */
int transit_view(struct reading *r, struct err *e);
/* Appends what is still under way, as regions of "message". */
int transit_tell(struct reading *r, struct step_result *out, struct err *e);
void transit_release(struct reading *r);

/* transfers.c: messages: what is in transit, and what a transfer did, by the frames on either side.
 */

/* What was sent in this step. Before the regions are told: their views replace the sender's. */
int transfers_tell_sent(struct reading *r, struct step_result *out, struct err *e);
/* What was received, and memory that is still under way. After the regions. */
int transfers_tell_received(struct reading *r, struct step_result *out, struct err *e);

/* totals.c: what a step costs: processes, memory over all of them, what pairs of them share. */

int totals_tell_processes(struct reading *r, struct step_result *out, struct err *e);
int totals_tell(struct reading *r, struct step_result *out, struct err *e);
