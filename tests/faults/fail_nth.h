/* fail_nth, linked into a test program: see fail_nth.c. */
#pragma once

#include <stdbool.h>

/* From now on the nth call of a kind (its first letter) fails, in forked children too, each
 * counting on for itself; n 0: none does. Returns whether one has failed since the last fail_nth().
 */
bool fail_nth(char kind, long n);
/* Blocks of memory that were taken and not given back, but for a constant. */
long fail_nth_blocks(void);
