/* value: a measured number, or the reason why there is none.
 * Zero never stands for "could not read". In SQL an unknown value is NULL with
 * a row in `unknowns`; a value that does not apply here is NULL without one. */
#pragma once

#include "probes/words.h"
#include <stdbool.h>
#include <stdint.h>

struct value {
    int64_t n;     /* meaningful only if why is WHY_KNOWN */
    uint8_t why;   /* enum why */
    bool inferred; /* concluded, not measured: never used for `published` or a check */
};

static inline struct value value_known(int64_t n)
{
    return (struct value){n, WHY_KNOWN, false};
}

static inline struct value value_inferred(int64_t n)
{
    return (struct value){n, WHY_KNOWN, true};
}

static inline struct value value_counted(uint64_t n, bool inferred)
{
    return (struct value){(int64_t)n, WHY_KNOWN, inferred};
}

static inline struct value value_unknown(enum why why)
{
    return (struct value){0, (uint8_t)why, false};
}

static inline struct value value_na(void)
{
    return (struct value){0, WHY_NOT_APPLICABLE, false};
}

static inline bool value_is_known(struct value v)
{
    return v.why == WHY_KNOWN;
}

/* Sum and difference: unknown if either is (the first reason wins), inferred if either is. */
static inline struct value value_add(struct value a, struct value b)
{
    if (!value_is_known(a))
        return a;
    if (!value_is_known(b))
        return b;
    return (struct value){a.n + b.n, WHY_KNOWN, a.inferred || b.inferred};
}

static inline struct value value_sub(struct value a, struct value b)
{
    if (!value_is_known(b))
        return value_is_known(a) ? b : a;
    b.n = -b.n;
    return value_add(a, b);
}
