/* What processes of Linux can do: everything, but for one wish of fork. */
#ifndef LAB_LINUX_ABILITY_H
#define LAB_LINUX_ABILITY_H

#include "lab/plan/ability.h"

extern const struct ability ability_linux;

#endif
