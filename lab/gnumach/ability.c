#include "lab/gnumach/ability.h"

#include "probes/words.h"

static const struct refusal no_actions[] = {
    {ABILITY_BIT(ACT_EXEC), "GNU Mach has no exec"},
    {ABILITY_BIT(ACT_MOVE), "GNU Mach has no mremap"},
    {ABILITY_BIT(ACT_LOCK), "mlock belongs to Linux"},
    {ABILITY_BIT(ACT_MADVISE), "madvise belongs to Linux"},
    {ABILITY_BIT(ACT_HAND_OVER) | ABILITY_BIT(ACT_TAKE),
     "these ways are Linux's; its own are ool_send and ool_receive"},
    {ABILITY_BIT(ACT_SNAPSHOT),
     "its actors have one thread each, and a snapshot takes a writer beside"},
    {0, NULL},
};

/* malloc'd or not: all memory is vm_allocate's there; shared is inherited as shared. */
static const struct refusal no_kinds[] = {
    {ABILITY_BIT(MK_PURGEABLE), "GNU Mach has no purgeable memory"},
    {ABILITY_BIT(MK_MEMFD_SHARED) | ABILITY_BIT(MK_MEMFD_PRIVATE) | ABILITY_BIT(MK_FILE_PRIVATE) |
         ABILITY_BIT(MK_HUGETLB) | ABILITY_BIT(MK_SHMEM_HUGE),
     "GNU Mach has no memory of this kind"},
    {0, NULL},
};

static const struct refusal no_parts[] = {
    {ABILITY_BIT(PART_OOL_VOLATILE), "GNU Mach's messages have no volatile out-of-line memory"},
    {0, NULL},
};

const struct ability ability_gnumach = {
    .name = "gnumach",
    .label = "GNU Mach",
    .no_actions = no_actions,
    .no_kinds = no_kinds,
    .no_parts = no_parts,
    .no_latency = "an emulator's clock does not tell how long one touch takes",
    .keeps_offset = true,
    .concludes_states = true,
    .emulated = true,
    .no_region_quantities = ABILITY_BIT(RQ_MAPPED),
    .no_process_quantities = ABILITY_BIT(PQ_PSS) | ABILITY_BIT(PQ_USS) | ABILITY_BIT(PQ_PEAK) |
                             ABILITY_BIT(PQ_PAGETABLE),
    .no_total_quantities = ABILITY_BIT(TQ_PAGE_TABLES),
};
