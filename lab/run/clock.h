/* clock: CLOCK_MONOTONIC in the two units that the lab counts in. */
#ifndef LAB_RUN_CLOCK_H
#define LAB_RUN_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int64_t now_ms(void)
{
    return (int64_t)(now_ns() / 1000000u);
}

#endif
