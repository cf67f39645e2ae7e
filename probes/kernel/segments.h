/* segments: where the data segments of mapped programs and libraries end in memory, which may be
 * behind the end of their file: the rest is the bss, anonymous memory. From the program headers.
 *
 * Owns: what was read, of each file once.
 * Promises: reads the headers of ordinary files only, and no more than a fixed number of bytes; a
 * file that makes no sense, or that may not be read, has no data segment. What could not be opened
 * for want of descriptors or memory is in `failed`.
 * Lifetime: starts zeroed; segments_release. */
#pragma once

#include "probes/kernel/object.h"

struct segments {
    struct segment_file *files;
    size_t n;
    struct places places;
    struct open_files open;
    int failed; /* a negative errno; 0: nothing has, since the last turn */
};

/* The address behind the data segment that ends in the entry before this one; 0 if there is none,
 * or if this entry lies over an object itself. */
uint64_t segments_end(struct segments *s, pid_t pid, const struct maps *m, size_t index);
/* Who looks again and again: files that were not asked for since the last call are forgotten. */
void segments_turn(struct segments *s);
void segments_release(struct segments *s);
