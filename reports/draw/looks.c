#include "reports/draw/looks.h"

#define LOOK_ROW(state, letter, fill, dark, ink, ansi) {state, letter, fill, dark, ink, ansi},

const struct state_look state_looks[] = {STATE_LOOKS(LOOK_ROW){-1, 0, 0, 0, 0, 0}};

const struct state_look *state_look(int state)
{
    return state >= 0 && state < PS__COUNT ? &state_looks[state] : &state_looks[PS_ANON_UNKNOWN];
}
