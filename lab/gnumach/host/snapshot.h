/* snapshot: one step of the guest as its records tell it, before anybody draws conclusions.
 *
 * Owns: the tables below, filled record by record.
 * Promises: whatever is out of range (an actor, a slot, a page far away) is refused.
 * Does not: know plans, actors' names or other steps.
 * Lifetime: snapshot_init ... snapshot_release; reusable with snapshot_clear. */
#ifndef LAB_GNUMACH_HOST_SNAPSHOT_H
#define LAB_GNUMACH_HOST_SNAPSHOT_H

#include "lab/gnumach/host/records.h"

struct snap_task {
    uint64_t actor, virtual_bytes, resident_bytes, faults, zero_fills, cow_faults, sent, received;
};

struct snap_region {
    uint64_t actor, slot, address, bytes;
};

/* Entries of one task stand together, in address order. */
struct snap_entry {
    uint64_t actor, start, end, protection, max_protection, inheritance, needs_copy, object,
        offset; /* in pages of the object */
};

struct snap_transit {
    uint64_t from, to, slot, offset_bytes, bytes;
    size_t first_piece, npieces;
};

struct snap_piece {
    uint64_t object, offset, bytes; /* offset in pages */
};

/* frame[page]: its physical frame, 0 none; nframes is one more than the last resident page. */
struct snap_object {
    uint64_t id, size, refs, resident, shadow, shadow_offset, copy, state;
    bool unlisted; /* its pages could not be listed */
    uint32_t *frame;
    size_t nframes;
    uint64_t listed; /* pages that are */
};

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
    /* S */
    int64_t rc;
    uint64_t start_ns, dur_ns, sent, sent_bytes;
    /* M */
    bool has_message;
    int64_t message_id;
    uint64_t message_bytes, message_descriptors;
    char *text; /* or NULL */
    /* C */
    uint64_t checked, wrong, first_wrong, found;
    /* G */
    bool has_edges;
    uint64_t before_bytes, before_nonzero, after_bytes, after_nonzero;
    /* Y, in pages and events */
    uint64_t free, active, inactive, wired, zero_fills, faults, cow_faults;
    /* Z */
    uint64_t t_ns, look_ns, records;
};

void snapshot_init(struct snapshot *s);
void snapshot_clear(struct snapshot *s);
void snapshot_release(struct snapshot *s);

/* Adds one record that belongs to a step. 0, -EBADMSG or -ENOMEM. */
int snapshot_add(struct snapshot *s, struct record *r, struct err *e);

/* Index of an object, or -1. */
int snapshot_object(const struct snapshot *s, uint64_t id);
const struct snap_task *snapshot_task(const struct snapshot *s, uint64_t actor);

/* The page that an entry or a message shows at a page of an object: which object of the chain has
 * it, how deep, and its frame (0: none has it). */
struct seen_page {
    uint32_t frame;
    int depth;   /* of the object that has it; 0 the top one */
    bool unsure; /* an object on the way could not be listed */
};
struct seen_page snapshot_see(const struct snapshot *s, uint64_t object, uint64_t page);

#endif
