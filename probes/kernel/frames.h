/* frames: the page frames that a run has met, numbered in the order of meeting them.
 *
 *     frame number (54 bits) --chunks of 512--> slot (1, 2, 3, ...) --> own[slot], label[slot]
 *     slot of swap, the helper's label --hash--/
 *
 * A slot is an index into flat arrays, so that a page needs 4 bytes to remember its frame and a
 * join over processes is an array access. Labels (F1, F2, ...) are what leaves the probes: they
 * tell equal frames from different ones and give no physical address away. Only frames of
 * observed regions get one, so that a region's fresh pages have labels in a row.
 *
 * A slot of swap is shared and copied on write like a frame, and has a slot here like one, under a
 * number of its own (FRAME_NUMBER_SWAP); it is no memory and counts in no total.
 *
 * own counts the mappings by the run's own processes, from look to look: a page that changed
 * takes its old frame's count back and gives one to the new; what did not change costs nothing.
 *
 * Owns: about 23 bytes per frame met. Never forgets one: a frame keeps its label for the run,
 * also when the kernel gives it to other memory later. Lifetime: frames_release. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct frame_chunk;
struct frame_slab;

/* What the first mapping of a frame was, for the totals. */
#define FRAME_FILE 1   /* page cache of a file */
#define FRAME_OWN 2    /* in an entry that no file backs */
#define FRAME_SWAP 4   /* no frame, but a slot of swap */
#define FRAME_LISTED 8 /* given MADV_FREE: maybe on a list of the kernel's */

#define FRAME_NUMBER_SWAP (1ULL << 56) /* beside what pagemap says of a page in swap */

/* By slot. number: the kernel's frame number; label: F number, 0 none yet; own: mappings by the
 * run's processes, stays at FRAME_OWN_MAX; kind: FRAME_* of its first mapping; origin: the slot of
 * swap that it was brought back from, or 0; of a slot of swap: what was brought back from it last.
 */
#define FRAME_COLUMNS(X)                                                                           \
    X(uint64_t, number)                                                                            \
    X(uint32_t, label)                                                                             \
    X(uint16_t, own)                                                                               \
    X(uint8_t, kind)                                                                               \
    X(uint32_t, origin)

struct frames {
    struct frame_chunk **direct; /* by chunk number */
    struct frame_slab *slabs;    /* where the chunks are */
    uint32_t *hashed;            /* slots of other numbers: open addressing, power of two */
    uint32_t ndirect, nhashed, hashed_used;
#define FRAME_COLUMN(type, name) type *name;
    FRAME_COLUMNS(FRAME_COLUMN)
    uint32_t n, cap; /* slots in use (slot 0 is none) */
    uint32_t labels;
    uint64_t distinct, distinct_file, distinct_own; /* frames that somebody maps */
};
#define FRAME_OWN_MAX UINT16_MAX

/* Room for so many frames more, in one go: growing step by step copies all of it again and again.
 * 0 or -ENOMEM. */
int frames_reserve(struct frames *f, uint64_t more);
/* Slot of a frame number, made if it is new; 0 without memory. */
uint32_t frames_slot(struct frames *f, uint64_t number);
/* Nobody maps anything any more. */
void frames_forget_owners(struct frames *f);
void frames_release(struct frames *f);

/* F number of a slot, given now if it has none. */
static inline uint32_t frames_label(struct frames *f, uint32_t slot)
{
    if (!f->label[slot])
        f->label[slot] = ++f->labels;
    return f->label[slot];
}

/* One mapping more, one less. */
static inline void frames_add(struct frames *f, uint32_t slot, uint8_t kind)
{
    if (f->own[slot] == 0) {
        f->kind[slot] = kind;
        if (!(kind & FRAME_SWAP))
            f->origin[slot] = 0;
        f->distinct += !(kind & FRAME_SWAP);
        f->distinct_file += kind & FRAME_FILE;
        f->distinct_own += (kind & FRAME_OWN) != 0;
    }
    if (f->own[slot] < FRAME_OWN_MAX)
        f->own[slot]++;
}

static inline void frames_drop(struct frames *f, uint32_t slot)
{
    if (f->own[slot] == FRAME_OWN_MAX || --f->own[slot])
        return;
    f->distinct -= !(f->kind[slot] & FRAME_SWAP);
    f->distinct_file -= f->kind[slot] & FRAME_FILE;
    f->distinct_own -= (f->kind[slot] & FRAME_OWN) != 0;
}

/* A set of slots. */
struct frame_set {
    uint64_t *words;
    uint32_t nwords;
};

int frame_set_reserve(struct frame_set *s, uint32_t slot); /* room for slot; 0 or -ENOMEM */
void frame_set_clear(struct frame_set *s);
void frame_set_release(struct frame_set *s);
uint64_t frame_set_common(const struct frame_set *a, const struct frame_set *b);

static inline void frame_set_add(struct frame_set *s, uint32_t slot)
{
    s->words[slot / 64] |= 1ULL << (slot % 64);
}
