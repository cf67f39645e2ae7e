#include "lab/gnumach/guest/actions.h"

struct way way_of(uint32_t action)
{
#define ACTION_WAY(e, ...) [e] = {guest_##e, step_##e},
    static const struct way ways[] = {ACTIONS(ACTION_WAY)};
    return action < sizeof ways / sizeof *ways ? ways[action] : (struct way){NULL, NULL};
}
