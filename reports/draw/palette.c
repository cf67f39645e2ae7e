#include "reports/draw/palette.h"

#define STYLE_ROW(state, letter, fill, dark, ink, ansi) {state, letter, fill, dark, ink, ansi},

const struct state_style state_styles[] = {STATE_STYLES(STYLE_ROW){-1, 0, 0, 0, 0, 0}};

const struct state_style *state_style(int state)
{
    return state >= 0 && state < PS__COUNT ? &state_styles[state] : &state_styles[PS_ANON_UNKNOWN];
}
