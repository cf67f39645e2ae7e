/* numbers: frames and objects of one run by number, in order of first sight, so that a number gives
 * no physical address away.
 *
 * Lifetime: a zeroed struct has seen nothing; numbers_release. */
#pragma once

#include "lab/gnumach/host/snapshot.h"

struct known_object {
    uint64_t id, number; /* 0: not asked for yet, as of those that are only the program's */
    int last_step;       /* a gap means that the kernel reused the address for another object */
};

struct numbers {
    uint32_t *frame; /* number by physical frame, 0 none yet */
    size_t nframes;
    uint32_t last_frame;
    struct known_object *objects;
    size_t nobjects;
    uint64_t last_object;
};

/* Notes what one step showed, before its numbers are asked for. step counts observations. 0 or
 * -ENOMEM. */
int numbers_note(struct numbers *n, const struct snapshot *s, int step, struct err *e);
/* 0 for a frame or an object that was never noted. */
uint64_t numbers_frame(struct numbers *n, uint32_t frame);
uint64_t numbers_object(struct numbers *n, uint64_t id);
void numbers_release(struct numbers *n);
