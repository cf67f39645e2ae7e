/* backend: where a plan runs. Linux processes, tasks of a GNU Mach guest, or canned records.
 *
 * A backend is a table of functions. The runner asks `check` before the first step, opens one
 * session for all plans of a command, and then, per plan: begin, step 1..n in order, end.
 * Nothing outside a backend's own files mentions Linux or Mach.
 *
 *     session_open -> [ begin -> step* -> end ]* -> session_close
 *
 * `end` and `session_close` are called after failures too and leave no process behind. */
#ifndef LAB_RUN_BACKEND_H
#define LAB_RUN_BACKEND_H

#include "db/store.h"
#include "lab/plan/ability.h"
#include "lab/plan/plan.h"
#include "probes/err.h"
#include "probes/observation.h"

struct backend_options {
    const char *run_dir;      /* a private directory for sockets and files, removed after */
    const volatile int *stop; /* becomes non-zero when the user interrupts: return -EINTR soon */
    int deadline_ms;          /* per step; 0: the default */
    void (*progress)(void *arg, const char *what,
                     double share); /* share 0..1, or < 0; may be NULL */
    void *progress_arg;
};

/* Stamps that a read compared. A wrong one is a failed expectation: contents leaked. */
struct stamp_result {
    uint64_t checked, wrong; /* pages */
    uint64_t first_wrong;    /* page index */
    char found;              /* letter on the first wrong page; 0: no stamp there */
};

/* What one step gave. The caller inits obs and releases all. */
struct step_result {
    struct observation obs;
    uint64_t start_ns; /* CLOCK_MONOTONIC; GNU Mach: guest clock */
    uint64_t dur_ns;   /* the action alone, as the actor measured it */
    struct stamp_result stamps;
    struct store_transfer *transfers; /* descriptors that this step sent or received */
    size_t ntransfers;
    struct store_message *message; /* message that this step received, or NULL */
};

struct session;
struct backend_run;

struct backend {
    const char *name;
    /* Page size of the memory that its actors have, in bytes. */
    uint64_t (*page_size)(void);
    /* Can this machine carry the plan out? 0; or -ENOTSUP with the missing capability named in
     * the message (the program exits 3). *skipped gets no say in expectations: those are per value.
     */
    int (*check)(const struct plan *plan, struct err *e);
    int (*session_open)(struct session **out, const struct plan *const *plans, size_t nplans,
                        const struct backend_options *opt, struct err *e);
    /* plan_index counts from 0 in the list given to session_open. Fills the machine part of *info:
     * kernel, versions, capabilities (the caller frees with run_info_release). */
    int (*begin)(struct session *s, size_t plan_index, struct backend_run **out,
                 struct run_info *info, struct err *e);
    int (*step)(struct backend_run *r, const struct step *step, struct step_result *out,
                struct err *e);
    void (*end)(struct backend_run *r);
    void (*session_close)(struct session *s);
};

void step_result_init(struct step_result *r);
void step_result_release(struct step_result *r);

extern const struct backend backend_linux, backend_gnumach;

/* What each of them can do, in the same order. */
extern const struct ability *const backend_abilities[];

/* By name, or NULL. */
const struct backend *backend_find(const char *name);
/* All backends, NULL at the end. */
extern const struct backend *const backends[];

#endif
