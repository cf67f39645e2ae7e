/* What one entry of maps is, by its flags and its name. The names are those that the kernel gives:
 * arch/x86/entry/vdso/vma.c, mm/memfd.c, mm/shmem.c, ipc/shm.c. */
#include "probes/rules.h"

#include <string.h>

bool name_starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

bool mapping_is_kernels(const struct map_entry *e)
{
    return e->start >> 63;
}

bool mapping_is_special(const struct map_entry *e)
{
    return (e->flags & (1u << VMF_PFNMAP | 1u << VMF_IO)) || mapping_is_kernels(e) ||
           name_starts(e->name, "[vvar") || strcmp(e->name, "[vsyscall]") == 0;
}

/* Of a private mapping of these each page is the mapping's own (mm/hugetlb.c, hugetlb_no_page;
 * drivers/char/mem.c, mmap_zero). */
bool mapping_has_object(const struct map_entry *e)
{
    return e->inode && (e->shared || !(name_starts(e->name, "/anon_hugepage") ||
                                       strcmp(e->name, "/dev/zero") == 0));
}

bool mapping_is_file(const struct map_entry *e, bool shmem)
{
    return e->inode && !shmem;
}

bool mapping_is_own(const struct map_entry *e, bool shmem)
{
    return !mapping_is_file(e, shmem) && !name_starts(e->name, "[v");
}

const char *mapping_object_kind(const char *name, bool shmem)
{
    if (shmem && name_starts(name, "/memfd:"))
        return "memfd";
    return shmem && (name_starts(name, "/dev/zero") || name_starts(name, "/SYSV") ||
                     name_starts(name, "[anon_shmem"))
               ? "shmem"
               : "file";
}

enum inherit mapping_inherit(bool shared, uint32_t flags, int asked)
{
    if (flags & 1u << VMF_DONTCOPY)
        return INH_NONE;
    if (flags & 1u << VMF_WIPEONFORK)
        return INH_ZERO;
    return asked == INH_SHARE || asked == INH_COPY ? (enum inherit)asked
           : shared                                ? INH_SHARE
                                                   : INH_COPY;
}

void words_sum(const uint64_t *words, uint64_t n, bool zero_told, struct word_sums *sums)
{
    struct word_sums s = *sums; /* kept in registers */

    for (uint64_t i = 0; i < n; i++) {
        uint64_t word = words[i], here = word >> 63, no_zero = here & ~(word >> 55);

        s.present += no_zero;
        s.single += no_zero & (word >> 56);
        s.maybe_zero += no_zero & ~(word >> 56) & ~(word >> 61) & !zero_told;
    }
    *sums = s;
}
