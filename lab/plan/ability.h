/* ability: what a backend can do, as plain data. Each backend has one in its folder (ability.c);
 * who wants to know what is possible asks the ability and never compares a backend's name. */
#pragma once

#include "lab/actions.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABILITY_BIT(code) (1ul << (code))
/* Room for as many backends; lab/backends.c checks that it is enough. */
#define MAX_BACKENDS 8

/* Some codes of one list of lab/actions.h, and in one sentence why they cannot be had. */
struct refusal {
    unsigned long codes; /* ABILITY_BITs; 0 ends a list */
    const char *why;
};

struct ability {
    const char *name;  /* in scenarios ("expect.NAME"), on the command line, in the database */
    const char *label; /* for people */
    /* What it does not take; NULL: it takes all. */
    const struct refusal *no_actions; /* enum action */
    const struct refusal *no_kinds;   /* enum map_kind */
    const struct refusal *no_parts;   /* enum part_kind */
    /* Kinds of memory that a fork cannot be told to share (inherit). */
    const struct refusal *no_share, *no_copy; /* and to copy */
    const char *no_latency; /* why single touches cannot be timed; NULL: they can */
    /* A range that is sent out of line keeps its offset within the page where it arrives, and with
     * it maybe takes a page more. */
    bool keeps_offset;
    /* Page states follow from what else is seen, and are not the kernel's word: a page in debt may
     * be copied all the same. */
    bool concludes_states;
    /* Its times are an emulator's: not to be compared with others. */
    bool emulated;
    /* Quantities that its kernel has no interface for, ABILITY_BITs: always unknown. */
    uint64_t no_region_quantities;  /* enum region_quantity */
    uint64_t no_process_quantities; /* enum process_quantity */
    uint64_t no_total_quantities;   /* enum total_quantity */
};

/* Why a list refuses a code; NULL: it does not. */
static inline const char *ability_refuses(const struct refusal *list, int code)
{
    for (; list && list->codes; list++)
        if (list->codes & ABILITY_BIT(code))
            return list->why;
    return NULL;
}
