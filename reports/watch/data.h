/* data: a watch read for its report: at most WATCH_POINTS samples of it, and per process what its
 * rows said at each of them (a row holds until the next one).
 *
 * An unknown figure is NAN, and so is a process's where it was not there.
 * Lifetime: watch_load ... watch_data_release. */
#pragma once

#include "probes/err.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points of a chart's line. */
#define WATCH_POINTS 240

/* Figures of a sample: X(ENUM, column of watch_samples) */
#define WATCH_FIGURES(X)                                                                           \
    X(WF_RSS, sum_rss_kb)                                                                          \
    X(WF_PSS, sum_pss_kb)                                                                          \
    X(WF_USS, sum_uss_kb)                                                                          \
    X(WF_DISTINCT, distinct_kb)                                                                    \
    X(WF_PAGETABLE, pagetable_kb)                                                                  \
    X(WF_GROWTH, growth_kb)                                                                        \
    X(WF_AVAILABLE, mem_available_kb)                                                              \
    X(WF_SYSTEM, system_kb)                                                                        \
    X(WF_CGROUP, cgroup_kb)                                                                        \
    X(WF_LIMIT, cgroup_limit_kb)                                                                   \
    X(WF_PROCESSES, processes)
#define WATCH_FIGURE_ENUM(e, column) e,
enum watch_figure { WATCH_FIGURES(WATCH_FIGURE_ENUM) WF__COUNT };

/* Figures of a process: X(ENUM, column of footprint) */
#define WATCH_PROCESS_FIGURES(X)                                                                   \
    X(WP_USS, uss_kb)                                                                              \
    X(WP_PARENT, shared_parent_kb)                                                                 \
    X(WP_EXCLUSIVE, exclusive_kb)                                                                  \
    X(WP_DEBT, debt_kb)                                                                            \
    X(WP_AT_RISK, at_risk_kb)
enum watch_process_figure { WATCH_PROCESS_FIGURES(WATCH_FIGURE_ENUM) WP__COUNT };

struct watch_actor {
    char *actor, *name;              /* "python3[123]", "python3" */
    char *parent;                    /* actor, or NULL: not watched */
    char *title;                     /* what it calls itself, or NULL: nothing but its command */
    char *lost_why;                  /* why nothing, or not all, is known of its loss, or NULL */
    char *part;                      /* what it lost most of, or NULL: nothing was lost */
    int64_t pid, nr, siblings;       /* the nr-th of the parent's children, from 1 */
    double *figure[WP__COUNT];       /* by point */
    bool *told;                      /* by point: a row said so since the point before */
    double max_parent, lost, copied; /* KiB; NAN unknown */
    double lost_before;              /* at most, before it was first seen */
    double last_parent;              /* in common at its last sample */
    bool own_before;                 /* it ran another program already when it was first seen */
    bool own_program, executed;      /* it runs another one since the fork; since it is watched */
    bool copied_part;                /* copied is at least so much */
    bool paired;                     /* it is stored with whom it shares */
    double part_kb;                  /* lost of that part */
    int first, last;                 /* samples that saw it */
};

struct watch_data {
    const char *run_id;
    char *title;
    int samples;
    size_t n;           /* points */
    int *step;          /* by point */
    double *t_s;        /* by point */
    double *x;          /* the same in the unit of x_name */
    const char *x_name; /* of an axis */
    double *figure[WF__COUNT];
    double *copied_per_s; /* KiB per second between this point and the one before */
    struct watch_actor *actors;
    size_t nactors;
    size_t parents;      /* of these, that have children among them */
    bool huge;           /* explicit huge pages: in the distinct frames, in no RSS or PSS */
    bool parent_at_most; /* without frames: what is in common with a parent is an upper bound */
    bool risk_concluded, debt_concluded; /* of somebody, at some sample */
};

/* Is this run a watch? 1, 0, or a negative errno. */
int watch_is(sqlite3 *db, const char *run_id, struct err *e);
int watch_load(struct watch_data *w, sqlite3 *db, const char *run_id, struct err *e);
void watch_data_release(struct watch_data *w);

/* Least of what the machine has available and what the cgroup's limit leaves; NAN: unknown. */
double watch_headroom(const struct watch_data *w, size_t point);
/* What the sum of RSS is to be compared with: the distinct frames, or without frames, or where RSS
 * leaves something out of them, the sum of PSS; NAN: unknown. */
double watch_used(const struct watch_data *w, size_t point);
/* The point at which the sum of RSS is furthest above that. */
size_t watch_worst_point(const struct watch_data *w);
