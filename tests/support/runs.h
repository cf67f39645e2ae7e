/* runs: complete runs made of invented numbers, put in through the store's own interface,
 * for tests of the store, the queries and the reports. Nothing here was measured.
 *
 * The numbers are those that a correct kernel would give, so that checks hold, sums add up and
 * the published rows come out as published; a test that wants them wrong changes the database. */
#pragma once

#include "db/store.h"

/* All fields may be zero. */
struct support_options {
    uint64_t pages;         /* of the region; 0: 1 */
    uint64_t page_size;     /* bytes; 0: 4096 */
    const char *backend;    /* NULL: "linux" */
    const char *scenario;   /* NULL: the function's own */
    const char *twin;       /* NULL: the function's own */
    const char *memory;     /* ool runs: "purgeable", "ordinary"; NULL: no such parameter */
    bool unprivileged;      /* frames, debt, totals unknown, with their reasons */
    bool failing;           /* one expectation fails and one check differs */
    int steps;              /* stop after so many; 0: all */
    enum run_status status; /* 0: RUN_COMPLETE; RUN_RUNNING: not ended */
};

/* Each fills run_id; opt may be NULL. 0 or a negative errno with *e written. */

/* The seven steps of fork-write: actors parent and child, region r. */
int support_fork_write(struct store *s, const struct support_options *opt, char run_id[40],
                       struct err *e);
/* Its out-of-line twin, ool-write: actors sender and receiver, eight steps, in transit one of
 * them. */
int support_ool_write(struct store *s, const struct support_options *opt, char run_id[40],
                      struct err *e);
/* The eight cases of ool-options, two steps each (in_transit, received); nothing is released.
 * opt->memory decides what is shared; NULL: purgeable. */
int support_ool_options(struct store *s, const struct support_options *opt, char run_id[40],
                        struct err *e);
