/* place: where the layer puts memory. Never replaces a mapping. Under mem_lock (mem.h). */
#pragma once

#include "probes/purgeable.h"
#include <stdint.h>

/* Maps memory at a multiple of mask + 1. prot, flags, fd as for mmap. Returns MAP_FAILED with
 * errno. */
void *mem_place(uint64_t len, uint64_t mask, enum layer_place place, int prot, int flags, int fd);
/* A placed range is gone: its address may be used for the next one. */
void mem_unplaced(uint64_t start, uint64_t end);
