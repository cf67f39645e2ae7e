/* clock: CLOCK_MONOTONIC in the two units that the lab counts in. */
#pragma once

#include "probes/slurp.h"

static inline uint64_t now_ns(void)
{
    return probe_clock();
}

static inline int64_t now_ms(void)
{
    return (int64_t)(now_ns() / 1000000u);
}
