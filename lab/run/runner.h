/* runner: carries out plans, one step at a time, and stores what was seen after each.
 *
 * In this folder: backend.h (where a plan runs), judge.h (expectations against what was seen),
 * series.h (many runs, for measurements with a spread) in an order of order.h, progress.h, and for
 * all of the lab machine.h (what this machine is and can do), paths.h, exits.h, clock.h.
 *
 * Owns: the order of things: step (the backend looks as part of it), judge, store, show.
 * Promises: a step is stored whole or not at all; whatever happens, the backend's `end` is called
 * and the run is marked complete, failed or interrupted. A reader of
 * the output that goes away ends the printing, not the run; that it did is left in opt->out.
 * Does not: know any backend; read page state; write SQL.
 *
 *     running --all steps--> complete
 *        |---- a failure --> failed
 *        `---- Ctrl-C -----> interrupted     (kill -9: the next lab marks it crashed) */
#pragma once

#include "lab/run/backend.h"
#include <stdbool.h>
#include <stdio.h>

/* What a series makes of its runs, which are not printed. */
struct runner_series {
    void *arg;
    /* Before a run: fills info->series and warm_up, and says in line where the series is. false: it
     * is left out. */
    bool (*begin)(void *arg, size_t index, struct run_info *info, char *line, size_t size);
    void (*ended)(void *arg, size_t index, int code);
    bool told; /* what the backend says once */
};

struct runner_options {
    const volatile int *stop; /* becomes non-zero when the user interrupts */
    bool pause;               /* wait for Enter before each step */
    bool json;                /* one JSON document per run instead of the timeline */
    bool colour;
    struct runner_series *series; /* or NULL */
    FILE *out;                    /* data */
    FILE *log;                    /* progress and errors */
};

/* Runs all plans in one session of the backend and stores them. Returns an exit code
 * (lab/run/exits.h); what went wrong is said on opt->log. */
int run_plans(const struct backend *backend, const struct plan *const *plans, size_t nplans,
              struct store *store, const struct runner_options *opt);
