/* What tasks of the GNU Mach guest can do. */
#ifndef LAB_GNUMACH_ABILITY_H
#define LAB_GNUMACH_ABILITY_H

#include "lab/plan/ability.h"

extern const struct ability ability_gnumach;

#endif
