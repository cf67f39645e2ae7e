#include "probes/kinds.h"
#include "probes/kernel/threads.h"
#include "probes/rules.h"

#include <string.h>

#define KIND_ROW(e, code, text, label) {code, text, label},
const struct word region_kinds[] = {REGION_KINDS(KIND_ROW){0, NULL, NULL}};

/* glibc gives every arena but the first, which are those of threads, a reservation of this size at
 * a multiple of it, of which the used part is readable and the rest is not (malloc/arena.c,
 * HEAP_MAX_SIZE). */
#define ARENA_BYTES (64ULL << 20)
#define PROT_R 1
#define PROT_W 2
#define PROT_X 4

static bool is_arena(const struct maps *m, size_t i)
{
    const struct map_entry *e = &m->entries[i];
    const struct map_entry *next = i + 1 < m->n ? e + 1 : NULL;

    return e->start % ARENA_BYTES == 0 && e->prot == (PROT_R | PROT_W) && next &&
           next->start == e->end && !next->prot && !next->inode &&
           next->end == e->start + ARENA_BYTES;
}

/* Some thread's stack pointer is in it, and a guard before it: memory in which a program makes
 * stacks of its own has none. */
static bool is_stack(const struct maps *m, size_t i, const struct threads *t)
{
    const struct map_entry *e = &m->entries[i], *before = i ? e - 1 : NULL;

    if (!before || before->end != e->start || before->prot || before->inode ||
        before->end - before->start > 64 * 1024)
        return false;
    return threads_have_stack(t, e->start, e->end);
}

static enum region_kind anonymous_kind(const struct maps *m, size_t i, const struct threads *t,
                                       uint64_t data_end)
{
    const struct map_entry *e = &m->entries[i];

    if (!e->prot)
        return RK_GUARD;
    if (e->end <= data_end)
        return RK_BSS; /* what the file's data segment has beyond the file */
    if (t->n > 1 && is_stack(m, i, t))
        return RK_THREAD_STACK;
    return t->n > 1 && is_arena(m, i) ? RK_ARENA : RK_ANON;
}

static enum region_kind file_kind(const struct map_entry *e, const char *exe)
{
    static const enum region_kind program[] = {RK_PROGRAM_CONST, RK_PROGRAM_DATA, RK_PROGRAM_TEXT};
    static const enum region_kind library[] = {RK_LIBRARY_CONST, RK_LIBRARY_DATA, RK_LIBRARY_TEXT};
    const char *base = strrchr(e->name, '/');
    int which = e->prot & PROT_X ? 2 : e->prot & PROT_W ? 1 : 0;

    if (*exe && strcmp(e->name, exe) == 0)
        return program[which];
    if (base && (strstr(base, ".so.") || name_starts(base, "/ld-") ||
                 (strlen(base) > 3 && strcmp(base + strlen(base) - 3, ".so") == 0)))
        return library[which];
    return RK_FILE;
}

enum region_kind region_kind(const struct maps *m, size_t index, const char *exe,
                             const struct threads *threads, uint64_t data_end)
{
    const struct map_entry *e = &m->entries[index];

    if (e->flags & 1u << VMF_HUGETLB)
        return RK_HUGETLB;
    if (name_starts(e->name, "[heap]"))
        return RK_HEAP;
    if (name_starts(e->name, "[stack"))
        return RK_STACK;
    if (name_starts(e->name, "[v") || name_starts(e->name, "[uprobes"))
        return RK_KERNEL;
    if (name_starts(e->name, "/memfd:") || name_starts(e->name, "/dev/zero") ||
        name_starts(e->name, "/SYSV") || name_starts(e->name, "/dev/shm/") ||
        name_starts(e->name, "[anon_shmem"))
        return RK_SHARED;
    return e->inode ? file_kind(e, exe) : anonymous_kind(m, index, threads, data_end);
}
