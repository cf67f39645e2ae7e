/* Until the message layer is in the tree: its actions say so. */
#include "lab/actor/actor.h"
#include <errno.h>

int actor_mach(struct actor *a)
{
    return actor_fail(a, ENOSYS, "this build has no message layer");
}
int actor_mach_map(struct actor *a)
{
    return actor_mach(a);
}
int actor_mach_unmap(struct actor *a)
{
    return actor_mach(a);
}
int actor_mach_inherit(struct actor *a)
{
    return actor_mach(a);
}
