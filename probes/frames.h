/* frames: the page frames that a run has met, numbered in the order of meeting them.
 *
 *     frame number (54 bits) --hash of chunks--> slot (1, 2, 3, ...) --> own[slot], label[slot]
 *
 * A slot is an index into flat arrays, so that a page needs 4 bytes to remember its frame and a
 * join over processes is an array access. Labels (F1, F2, ...) are what leaves the probes: they
 * tell equal frames from different ones and give no physical address away. Only frames of
 * observed regions get one, so that a region's fresh pages have labels in a row.
 *
 * Owns: about 20 bytes per frame met. Never forgets one: a frame keeps its label for the run,
 * also when the kernel gives it to other memory later. Lifetime: frames_release. */
#ifndef PROBES_FRAMES_H
#define PROBES_FRAMES_H

#include <stdint.h>
#include <stdlib.h>

struct frame_chunk;

struct frames {
    struct frame_chunk **table; /* open addressing, power of two */
    uint32_t ntable, nchunks;
    struct frame_chunk *last;
    uint64_t *number; /* by slot: the kernel's frame number */
    uint32_t *label;  /* by slot: F number, 0 none yet */
    uint16_t *own;    /* by slot: mappings by the processes of this look; stays at 65535 */
    uint32_t n, cap;  /* slots in use (slot 0 is none) */
    uint32_t labels;
};

/* Slot of a frame number, made if it is new; 0 without memory. */
uint32_t frames_slot(struct frames *f, uint64_t number);
/* F number of a slot, given now if it has none. */
uint32_t frames_label(struct frames *f, uint32_t slot);
/* A new look: nobody maps anything yet. */
void frames_forget_owners(struct frames *f);
void frames_release(struct frames *f);

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

#endif
