/* snapshot: one step of the guest as its records tell it, before anybody draws conclusions.
 *
 * Owns: the tables below, filled record by record; each struct has the fields of its record
 * (../protocol.h), in its order.
 * Promises: whatever is out of range (an actor, a slot, a page far away) is refused.
 * Does not: know plans, actors' names or other steps.
 * Lifetime: snapshot_init ... snapshot_release; then it is as it was after snapshot_init. */
#pragma once

#include "lab/gnumach/host/records.h"

/* T */
struct snap_task {
    uint64_t actor, virtual_bytes, resident_bytes, faults, zero_fills, cow_faults, sent, received;
};

/* R */
struct snap_region {
    uint64_t actor, slot, address, bytes;
};

/* E; those of one task stand together, in address order. offset in pages of the object. */
struct snap_entry {
    uint64_t actor, start, end, protection, max_protection, inheritance, needs_copy, object, offset;
};

/* F, and where its pieces are */
struct snap_transit {
    uint64_t from, to, slot, offset_bytes, bytes;
    uint64_t first_piece, npieces;
};

/* I; offset in pages */
struct snap_piece {
    uint64_t object, offset, bytes;
};

/* O, and its P or U. frame[page]: its physical frame, 0 none; nframes is at least one more than
 * the last resident page. */
struct snap_object {
    uint64_t id, size, refs, resident, shadow, shadow_offset, copy, state;
    uint64_t listed; /* pages that are */
    size_t nframes;
    uint32_t *frame;
    bool unlisted; /* its pages could not be listed */
};

/* V */
struct snap_descriptor {
    uint64_t number, kind, is_inline, deallocate, name, bytes, count;
};

struct snapshot {
    struct snap_task *tasks;
    size_t ntasks;
    struct snap_region *regions;
    size_t nregions;
    struct snap_entry *entries;
    size_t nentries;
    struct snap_transit *transits;
    size_t ntransits;
    struct snap_piece *pieces;
    size_t npieces;
    struct snap_object *objects;
    size_t nobjects;
    struct snap_descriptor *descriptors;
    size_t ndescriptors;
    struct snap_answer { /* S */
        uint64_t step, rc, start_ns, dur_ns, sent, sent_bytes;
    } answer;
    struct snap_message { /* M */
        uint64_t id, bytes, descriptors;
        bool there;
        char *text; /* or NULL */
    } message;
    struct snap_stamps { /* C */
        uint64_t slot, checked, wrong, first_wrong, found;
    } stamps;
    struct snap_edges { /* G */
        uint64_t slot, before_bytes, before_nonzero, after_bytes, after_nonzero;
        bool there;
    } edges;
    struct snap_statistics { /* Y, in pages and events */
        uint64_t free, active, inactive, wired, zero_fills, faults, cow_faults;
    } machine;
    /* Z */
    uint64_t t_ns, look_ns, records;
};

void snapshot_init(struct snapshot *s);
void snapshot_release(struct snapshot *s);

/* Adds one record that belongs to a step. 0, -EBADMSG or -ENOMEM. */
int snapshot_add(struct snapshot *s, struct record *r, struct err *e);

/* These find what was told; NULL if it was not. */
const struct snap_object *snapshot_object(const struct snapshot *s, uint64_t id);
const struct snap_task *snapshot_task(const struct snapshot *s, uint64_t actor);
const struct snap_entry *snapshot_entry(const struct snapshot *s, uint64_t actor, uint64_t address);
/* One more than the highest frame; at least 1. */
size_t snapshot_frames(const struct snapshot *s);

/* The page that an entry or a message shows at a page of an object: which object of the chain has
 * it, how deep, and its frame (0: none has it). */
struct seen_page {
    uint64_t top; /* the object that the entry shows */
    uint32_t frame;
    uint16_t depth; /* of the object that has it; 0 the top one */
    bool alone;     /* the top one can collapse into one above it: nothing else refers to it */
    bool sole;      /* so can those below, down to the one that has it */
    bool unsure;    /* an object on the way could not be listed */
    /* snapshot_see leaves these 0 */
    bool needs_copy; /* its entry is to be copied before a write */
    bool read_only;  /* its entry lets nobody write */
    bool at_risk;    /* the write that was asked for last copies it (view_risk) */
    bool collapsed;  /* of the first page in this chain: that write has copied a page up */
    uint8_t state;   /* enum page_state */
};
struct seen_page snapshot_see(const struct snapshot *s, uint64_t object, uint64_t page);
