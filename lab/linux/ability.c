#include "lab/linux/ability.h"

/* Fork shares what is mapped shared, or what the message layer allocated. */
static const struct refusal no_share[] = {
    {ABILITY_BIT(MK_ANONYMOUS) | ABILITY_BIT(MK_MEMFD_PRIVATE) | ABILITY_BIT(MK_FILE_PRIVATE) |
         ABILITY_BIT(MK_HUGETLB) | ABILITY_BIT(MK_MALLOC),
     "fork cannot share private memory that vm_allocate did not make"},
    {0, NULL},
};

static const struct refusal no_copy[] = {
    {ABILITY_BIT(MK_SHARED) | ABILITY_BIT(MK_MEMFD_SHARED) | ABILITY_BIT(MK_SHMEM_HUGE),
     "fork shares what is mapped shared, or leaves it out"},
    {0, NULL},
};

const struct ability ability_linux = {
    .name = "linux",
    .label = "Linux",
    .no_share = no_share,
    .no_copy = no_copy,
};
