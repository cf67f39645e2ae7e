/* backend: where a plan runs: processes of this machine, tasks of a guest, or canned records.
 *
 * A backend is a table of functions, and its ability: what it can do, as data. The runner asks
 * `check` before the first step, opens one session for all plans of a command, and then, per plan:
 * begin, step 1..n in order, end. Who wants to know what is possible asks the ability; only
 * lab/backends.c names a backend.
 *
 *     session_open -> [ begin -> step* -> end ]* -> session_close */
#pragma once

#include "db/store.h"
#include "lab/plan/ability.h"
#include "lab/plan/plan.h"
#include "probes/err.h"
#include "probes/observation.h"

struct backend_options {
    const volatile int *stop; /* becomes non-zero when the user interrupts: return -EINTR soon */
    int deadline_ms;          /* per step; 0: the default */
    void (*progress)(void *arg, const char *what,
                     double share); /* share 0..1, or < 0; may be NULL */
    void *progress_arg;
};

/* 0; -EINTR with the reason once *stop is set (NULL: never). */
int stop_asked(const volatile int *stop, struct err *e);

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
    struct store_message *message;     /* message that this step received, or NULL */
    struct store_handover *handover;   /* what it handed over or took, or NULL */
    struct store_latencies *latencies; /* how long its touches took, or NULL */
    struct store_snapshot *snapshot;   /* what came of it, or NULL */
};

struct session; /* each backend has its own */
struct backend_run;

/* Calls with every place that a run has left whose lab was killed, and the user who ran it; the
 * next run of that user removes it. */
typedef void backend_visit_fn(void *arg, const char *path, uid_t user);

/* All of it is there, but `left` where nothing can be: a backend that cannot do something says so
 * in its ability. */
struct backend {
    const struct ability *ability;
    /* Page size of the memory that the actors have, in bytes. */
    uint64_t (*page_size)(void);
    /* Can this machine carry the plan out? 0; or -ENOTSUP with the missing capability named in the
     * message (the program exits 3). Whether single values can be seen is not asked here: an
     * expectation on one that cannot is not checked. */
    int (*check)(const struct plan *plan, struct err *e);
    /* plans and opt must outlive the session. */
    int (*session_open)(struct session **out, const struct plan *const *plans, size_t nplans,
                        const struct backend_options *opt, struct err *e);
    /* plan_index counts from 0 in the list given to session_open. Fills the machine part of *info:
     * kernel, machine, capabilities (the caller frees with run_info_release). */
    int (*begin)(struct session *s, size_t plan_index, struct backend_run **out,
                 struct run_info *info, struct err *e);
    /* Carries the step out, looks, and fills *out, which the caller has inited and releases. */
    int (*step)(struct backend_run *r, const struct step *step, struct step_result *out,
                struct err *e);
    /* Both are called after failures too, and leave no process behind. */
    void (*end)(struct backend_run *r);
    void (*session_close)(struct session *s);
    void (*left)(backend_visit_fn *visit, void *arg);
};

void step_result_init(struct step_result *r);
void step_result_release(struct step_result *r);
/* A copy for it; NULL for NULL or an empty text. *ok turns false without memory. */
char *step_text(const char *text, bool *ok);

/* Two sources for one fact: equal, or the check differs. */
struct two_sources {
    const char *check;                         /* static text */
    const char *observed, *region, *case_name; /* what it is about; may be NULL */
    int64_t left, right;
};
/* Adds the check. fmt: what each side is, in words; NULL: nothing to say. 0 or -ENOMEM. */
int step_check(struct step_result *r, const struct two_sources *c, struct err *e, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));
/* Of the region that the step is about. */
struct two_sources step_sources(const struct step *s, const char *check, uint64_t left,
                                uint64_t right);
/* The stamps that a read compared, if any, which are r's from here on. */
int step_check_stamps(struct step_result *r, const struct step *s, struct stamp_result seen,
                      struct err *e);

/* Says in *info which backend the run is of, and what that can tell (run_info.ability). */
int backend_describe(const struct ability *a, struct run_info *info, struct err *e);
