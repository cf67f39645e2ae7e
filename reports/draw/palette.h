/* palette: how a page state is shown: one row gives its letter and its colours, for the terminal
 * and for pictures. The colours are those of Okabe and Ito, told apart by people who are
 * colour-blind; the letter says the same without colour. */
#pragma once

#include "probes/words.h"

/* X(STATE, letter, fill on light, fill on dark, text on the fill, ANSI colour) */
#define STATE_STYLES(X)                                                                            \
    X(PS_NONE, '.', "none", "none", "#59636e", "2")                                                \
    X(PS_ZERO, 'Z', "#d9dee3", "#c3cad2", "#1f2328", "37")                                         \
    X(PS_EXCLUSIVE, 'E', "#0072b2", "#2279bd", "#ffffff", "34")                                    \
    X(PS_COW, 'C', "#e69f00", "#e69f00", "#1f2328", "33")                                          \
    X(PS_DEBT, 'D', "#d55e00", "#e8793a", "#1f2328", "31")                                         \
    X(PS_OBJECT, 'O', "#56b4e9", "#56b4e9", "#1f2328", "36")                                       \
    X(PS_SHARED, 'S', "#009e73", "#12b588", "#1f2328", "32")                                       \
    X(PS_SWAPPED, 'W', "#cc79a7", "#cc79a7", "#1f2328", "35")                                      \
    X(PS_ANON_UNKNOWN, '?', "#b3b3b3", "#a6a6a6", "#1f2328", "1")

struct state_style {
    int state;
    char letter;
    const char *fill, *fill_dark, *ink, *ansi;
};

/* Indexed by enum page_state, a row for each (palette.c holds it to that); ends with letter 0. */
extern const struct state_style state_styles[];

/* The row of a state; of PS_ANON_UNKNOWN for a code that is none. */
const struct state_style *state_style(int state);
