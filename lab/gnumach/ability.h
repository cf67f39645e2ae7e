/* What tasks of the GNU Mach guest can do. */
#pragma once

#include "lab/plan/ability.h"

extern const struct ability ability_gnumach;
