#include "lab/gnumach/guest/actions.h"

struct way way_of(uint32_t action)
{
#define ACTION_WAY(e, code, key, ...) [e] = {guest_do_##key, guest_step_##key},
    static const struct way ways[] = {ACTIONS(ACTION_WAY)};
    return action < sizeof ways / sizeof *ways ? ways[action] : (struct way){NULL, NULL};
}
