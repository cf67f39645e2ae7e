/* reading_parts: what the files of `reading` share; nobody else includes it.
 *   reading.c            the run's state; processes, totals, sharing, checks
 *   reading_regions.c    regions: pages, share mode, the chain of objects, a write's outcome
 *   reading_transfers.c  messages: in transit, and what a transfer did */
#ifndef LAB_GNUMACH_HOST_READING_PARTS_H
#define LAB_GNUMACH_HOST_READING_PARTS_H

#include "lab/gnumach/host/blob.h"
#include "lab/gnumach/host/reading.h"
#include "lab/gnumach/protocol.h"

/* Physical frames behind neighbouring pages, as they were at some step; 0: none. */
struct guest_frames {
    uint32_t *frame;
    size_t count;
    bool unsure; /* some could not be listed */
};

/* Who sees a frame in this step. */
struct frame_viewers {
    uint64_t actors; /* bit per actor, in any of its entries */
    uint64_t named;  /* ... in a region that the scenario named */
    uint32_t transits;
};

/* A message part that is under way, in the order of sending. */
struct pending {
    int from, to;
    const struct step *sent;
    size_t part; /* of sent->parts; ool_send: 0 */
    enum part_kind kind;
    int slot; /* or -1 */
    bool physical, deallocate;
    uint64_t size;   /* bytes or rights */
    int disposition; /* of rights: MACH_MSG_TYPE_* */
    struct guest_frames frames;
    uint64_t object; /* of its first piece; 0 none */
};

struct known_object {
    uint64_t id, number;
    int last_step; /* a gap means that the kernel reused the address for another object */
};

struct reading {
    const struct plan *plan;
    uint64_t memory_bytes;
    struct blob_slot *slots;
    size_t nslots;
    int step_count; /* observations so far */
    /* numbering */
    uint32_t *frame_number; /* by physical frame */
    size_t nframe_number;
    uint32_t last_frame_number;
    struct known_object *objects;
    size_t nobjects;
    uint64_t last_object_number;
    /* after the last step */
    struct guest_frames *last; /* [actor * nslots + slot] */
    struct {
        bool known;
        uint64_t faults, zero_fills, cow_faults;
    } task[GUEST_MAX_ACTORS];
    uint64_t base_free; /* pages free when the run began */
    struct pending *pending;
    size_t npending;
    int32_t *receivers; /* by step */
    /* in this step */
    const struct snapshot *snap;
    const struct step *step;
    int acting; /* actor, or -1 */
    int step_slot;
    struct frame_viewers *viewers; /* by physical frame */
    size_t nviewers;
    bool unsure; /* some object could not be listed */
};

/* One page of a region as the maps and objects show it. */
struct page_view {
    uint32_t frame; /* physical; 0 none */
    bool unsure;
    bool copies; /* the next write makes a new frame */
};

static inline struct guest_frames *last_frames(struct reading *r, uint64_t actor, uint64_t slot)
{
    return &r->last[actor * r->nslots + slot];
}

int reading_no_memory(struct err *e);
uint64_t reading_frame_number(struct reading *r, uint32_t frame);
uint64_t reading_object_number(struct reading *r, uint64_t id);
/* Pages that an address range touches. */
uint64_t pages_touched(uint64_t address, uint64_t bytes);
const struct snap_entry *entry_at(const struct snapshot *s, uint64_t actor, uint64_t address);

int reading_regions(struct reading *r, struct step_result *out, struct err *e);
/* Objects of one chain, from `object` down, with their pages [offset, offset + pages) shown at
 * `at` of the region. */
int reading_chain(struct reading *r, struct obs_region *g, uint64_t object, uint64_t offset,
                  uint64_t at, uint64_t pages, struct err *e);
void guest_frames_release(struct guest_frames *f);

int reading_transit(struct reading *r, struct step_result *out, struct err *e);
int reading_transfers(struct reading *r, struct step_result *out, struct err *e);

#endif
