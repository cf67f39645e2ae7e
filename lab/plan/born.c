/* plan: what backends ask of a plan. */
#include "lab/plan/plan.h"

#include <string.h>

bool plan_born_by_fork(const struct plan *p, const char *actor)
{
    for (size_t i = 0; i < p->nsteps; i++)
        if (p->steps[i].action == ACT_FORK && strcmp(p->steps[i].as, actor) == 0)
            return true;
    return false;
}
