/* transfer: telling a registered function (lab/machmsg/trace.h) what happened to a descriptor. */
#pragma once

#include "lab/machmsg/trace.h"
#include <stdbool.h>

bool trace_wanted(void);
/* Calls the registered function, if there is one. */
void trace_call(const struct machmsg_transfer *t);
/* The word for a descriptor's type; never NULL. */
const char *trace_kind(unsigned int type);
