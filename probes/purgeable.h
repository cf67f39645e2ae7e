/* purgeable: by what memory of the Mach layer (lab/machmsg) is known from outside: where it lies,
 * and what purgeable memory is called. */
#pragma once

/* Its places follow each other from PLACE_FIRST, each of PLACE_SIZE bytes. PLACE_BESIDE: directly
 * behind the last one placed so, so that the kernel joins them. The others stand with a gap around
 * them; only purgeable memory is in its place, but for what a program asks to have elsewhere. */
enum layer_place { PLACE_BESIDE, PLACE_PURGEABLE, PLACE_ALONE, PLACE__COUNT };
#define PLACE_FIRST 0x200000000000ULL
#define PLACE_SIZE (1ULL << 43)

/* The name that it gets where the kernel names memory (CONFIG_ANON_VMA_NAME), wherever it is. */
#define PURGEABLE_NAME "mach purgeable"
