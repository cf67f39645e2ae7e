/* kinds: what a mapping is for, told from its name, its protection and its neighbours: program
 * text, heap, a malloc arena, a thread's stack, shared memory ...
 *
 * A guess that only names things: no share mode, count or check depends on it. Owns nothing. */
#pragma once

#include "probes/maps.h"
#include "probes/words.h"

/* X(ENUM, code, "text", "where": the word in a sentence about where sharing was lost) */
#define REGION_KINDS(X)                                                                            \
    X(RK_PROGRAM_TEXT, 1, "program text", "files")                                                 \
    X(RK_PROGRAM_CONST, 2, "program const", "files")                                               \
    X(RK_PROGRAM_DATA, 3, "program data", "program data")                                          \
    X(RK_BSS, 4, "bss", "program data")                                                            \
    X(RK_LIBRARY_TEXT, 5, "library text", "files")                                                 \
    X(RK_LIBRARY_CONST, 6, "library const", "files")                                               \
    X(RK_LIBRARY_DATA, 7, "library data", "program data")                                          \
    X(RK_HEAP, 8, "heap", "[heap]")                                                                \
    X(RK_ARENA, 9, "malloc arena", "malloc arenas")                                                \
    X(RK_STACK, 10, "stack", "stacks")                                                             \
    X(RK_THREAD_STACK, 11, "thread stack", "stacks")                                               \
    X(RK_ANON, 12, "anonymous", "anonymous mappings")                                              \
    X(RK_FILE, 13, "mapped file", "files")                                                         \
    X(RK_SHARED, 14, "shared memory", "shared memory")                                             \
    X(RK_HUGETLB, 15, "huge pages", "huge pages")                                                  \
    X(RK_KERNEL, 16, "kernel", "kernel pages")                                                     \
    X(RK_GUARD, 17, "guard", "guards")

struct threads;

enum region_kind { REGION_KINDS(WORDS_ENUM3) };

extern const struct word region_kinds[]; /* label: where */

/* exe: what /proc/PID/exe refers to, or "". index: of the entry in m, whose neighbours count.
 * threads: with one there are no stacks and no arenas of threads; with several a thread's stack is
 * what holds a stack pointer. An arena goes by its shape alone.
 * data_end: where the data segment of the file before it ends in memory; 0: no such, or not known.
 * What reaches beyond it is no bss, or not only that. */
enum region_kind region_kind(const struct maps *m, size_t index, const char *exe,
                             const struct threads *threads, uint64_t data_end);
