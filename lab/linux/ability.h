/* What processes of Linux can do: everything, but for one wish of fork. */
#pragma once

#include "lab/plan/ability.h"

extern const struct ability ability_linux;
