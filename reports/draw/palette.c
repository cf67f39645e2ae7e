#include "reports/draw/palette.h"

#define STYLE_ROW(state, letter, fill, dark, ink, ansi)                                            \
    [state] = {state, letter, fill, dark, ink, ansi},

const struct state_style state_styles[] = {
    STATE_STYLES(STYLE_ROW)[PS__COUNT] = {-1, 0, 0, 0, 0, 0}};
#define ONE_MORE(...) +1
_Static_assert(STATE_STYLES(ONE_MORE) == PS__COUNT, "a row for each state");

const struct state_style *state_style(int state)
{
    return state >= 0 && state < PS__COUNT ? &state_styles[state] : &state_styles[PS_ANON_UNKNOWN];
}
