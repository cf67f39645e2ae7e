/* place: where the layer puts memory. Never replaces a mapping. Under mem_lock (mem.h). */
#ifndef MACHMSG_MEMORY_PLACE_H
#define MACHMSG_MEMORY_PLACE_H

#include <stdint.h>

/* PLACE_BESIDE: directly behind the last one placed so, so that the kernel joins them. The others
 * stand with a gap around them: purgeable memory in a place of its own, by which who looks from
 * outside knows it where the kernel keeps no names (cowlab vmmap). */
enum place { PLACE_BESIDE, PLACE_PURGEABLE, PLACE_ALONE, PLACE__COUNT };

/* The places follow each other from PLACE_FIRST, each of so many bytes. */
#define PLACE_FIRST 0x200000000000ULL
#define PLACE_SIZE (1ULL << 43)
/* What purgeable memory is called where the kernel names memory (CONFIG_ANON_VMA_NAME). */
#define PURGEABLE_NAME "mach purgeable"

/* Maps memory at a multiple of mask + 1. prot, flags, fd as for mmap. Returns MAP_FAILED with
 * errno. */
void *mem_place(uint64_t len, uint64_t mask, enum place place, int prot, int flags, int fd);
/* A placed range is gone: its address may be used for the next one. */
void mem_unplaced(uint64_t start, uint64_t end);

#endif
