/* plan: from a scenario's JSON text to a plan that a backend can carry out.
 *
 * Owns: the language (lab/scenarios/LANGUAGE.md is its reference for users).
 * Promises: a plan is fully checked: every name resolves, every number is in range, every
 * case is laid out, before anything runs. An error names file, line, column, shows the
 * source line and a caret.
 * Does not: start anything, know what a machine can do, name a backend.
 * Lifetime: a plan owns all its strings; plan_free().
 *
 * To read it: lab/actions.h (what there is to do), ability.h (what a backend can do of it), then
 *   text/   reader.h lists its files: text -> values with their places -> drafts of steps
 *   world/  world.h lists its files: each draft carried out on paper, then its expectations and
 *           what it answers
 *   plan.c  the order of things; load.c where the text comes from
 * Each folder calls only those above it. */
#pragma once

#include "lab/actions.h"
#include "probes/err.h"
#include "probes/words.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where something stands in the scenario's text; line and column count from 1. */
struct place {
    int line, column;
};

enum expect_on {
    EXPECT_REGION = 1, /* "actor.region" or "actor.region#case", "message.region" */
    EXPECT_PROCESS,    /* "actor": a quantity of the process */
    EXPECT_TOTALS,     /* "totals" */
    EXPECT_SHARING,    /* "actor&actor": frames they have in common in observed regions */
    EXPECT_TRANSFER,   /* "transfer": asked, received, done, deallocate, size, why */
    EXPECT_MESSAGE,    /* "received": id, size, text, ... of the message just received */
    EXPECT_SNAPSHOT    /* "snapshot": consistent, still_ns, ... of the copy just made */
};

enum expect_kind { EXPECT_NOTHING, EXPECT_NUMBER, EXPECT_RANGE, EXPECT_TEXT, EXPECT_BOOL };

/* One expected value. */
struct expectation {
    enum expect_on on;
    char *observed;  /* actor, or "message"; NULL for totals, transfer, received */
    char *other;     /* second actor of EXPECT_SHARING, or NULL */
    char *region;    /* or NULL */
    char *case_name; /* or NULL */
    int index;       /* EXPECT_TRANSFER: which descriptor, from 0 ("transfer[1]") */
    char *key;       /* column name: "share_mode", "rss_kb", ... */
    enum expect_kind kind;
    bool has_min, has_max;
    int64_t min, max; /* EXPECT_NUMBER: both the number; EXPECT_BOOL: 0 or 1 */
    char *text;       /* EXPECT_TEXT */
    struct place at;
};

/* A stretch of a step's answer: text, then the value that stands behind it. */
struct answer_part {
    char *text;
    struct expectation value; /* what to look at; key NULL: nothing, the text ends the answer */
};

/* A port right, OOL range or OOL-ports array that a `send` step carries. */
struct message_part {
    enum part_kind kind;
    char *region;    /* OOL kinds */
    char *case_name; /* the case that the region belongs to, or NULL */
    bool physical;   /* OOL kinds: copy option */
    bool deallocate;
    int disposition; /* port kinds: MACH_MSG_TYPE_* */
    uint64_t count;  /* OOL_PORTS: how many rights */
};

/* One step, all expressions evaluated. Fields beyond the common ones belong to the actions
 * named beside them; pages and offsets count pages unless they say bytes. */
struct step {
    int number; /* from 1 */
    enum phase phase;
    char *actor; /* NULL: checkpoint without an actor */
    enum action action;
    char *case_name; /* the case that the region belongs to (a region mapped outside the cases has
                        none, also where a case uses it); without a region: the step's; or NULL */
    char *region;    /* or NULL */
    struct place at;

    uint64_t pages; /* map: size in pages. Or bytes, below */
    bool has_bytes; /* map, ool_send: the scenario gave a size in bytes, maybe 0 (ool_send) */
    uint64_t bytes; /* map, ool_send: that size; else 0 */
    uint64_t offset_bytes;     /* ool_send: where in the region the sent range begins */
    enum map_kind kind;        /* map */
    struct page_select select; /* write, read */
    bool has_stamp;            /* write, read */
    char stamp;                /* one letter */
    bool latency;              /* write, read: each touch is timed */
    uint64_t
        origin;           /* write, read: where the region's first byte lay in the region that was
                             mapped:      pages carry the number that they have there (struct page_stamp) */
    uint64_t reach;       /* ... and how many bytes from there on may carry stamps */
    char *as;             /* fork: the child's actor name */
    char *child;          /* wait: which child */
    int status;           /* exit: the exit code; wait: the code expected (-1 any) */
    int protection;       /* protect: VM_PROT bits */
    bool lock;            /* lock: true lock, false unlock */
    enum inherit inherit; /* inherit */
    enum advice advice;   /* madvise */
    bool settle;          /* checkpoint: may wait for lagging counters */
    enum snapshot_way snapshot_way; /* snapshot */
    uint64_t rate;                  /* snapshot: pages a second that are written; 0: all that can */
    int64_t lead_ms;                /* snapshot: for how long it was written before the copy */
    uint64_t seed;                  /* snapshot: of the pages' order */
    char *to;                       /* ool_send, send, hand_over: the receiving actor */
    enum way way;                   /* hand_over, take */
    bool used;                      /* take: into a region in use */
    bool physical;                  /* ool_send: copy option */
    bool deallocate;                /* ool_send */
    int64_t timeout_ms;             /* send, receive: -1 none */
    int32_t message_id;             /* send, reply */
    char *text;                     /* send, reply: inline text; NULL none */
    bool want_reply;                /* send: carries a reply port */
    bool expect_timeout;            /* receive: no message must come within timeout_ms */
    struct message_part *parts;     /* send, reply */
    size_t nparts;
    struct message_part *arrives; /* receive: the parts of the message that comes, in order; their
                                     regions become the receiver's */
    size_t narrives;

    char *published; /* key of the published row that this step reproduces, or NULL */
    struct expectation *expect;
    size_t nexpect;
    struct answer_part *answer; /* what the step says of the scenario's question */
    size_t nanswer;             /* 0: nothing */
};

struct plan_param {
    char *name;
    char *text; /* its value as text: what is stored and shown */
    bool is_number;
};

/* What a fork will do with a region. Flags that stand side by side (madvise(2)): leaving it out
 * wins over wiping it, in whatever order they were set; copy or share takes both back. */
struct fork_fate {
    bool left_out, wiped, shared;
};

static inline struct fork_fate fate_asked(struct fork_fate f, enum inherit asked)
{
    f.left_out = asked == INH_NONE;
    f.wiped = f.wiped && f.left_out;
    f.shared = asked == INH_SHARE || (f.shared && f.left_out);
    return f;
}

static inline struct fork_fate fate_advised(struct fork_fate f, enum advice advice)
{
    f.left_out |= advice == ADV_DONTFORK;
    f.wiped |= advice == ADV_WIPEONFORK;
    return f;
}

static inline enum inherit fate_inherit(struct fork_fate f)
{
    return f.left_out ? INH_NONE : f.wiped ? INH_ZERO : f.shared ? INH_SHARE : INH_COPY;
}

/* A scenario with its parameters bound for one backend. */
struct plan {
    char *name, *title, *question;
    char *twin;    /* the fork or OOL counterpart, or NULL */
    char *no_twin; /* why there is none, or NULL */
    char *source;  /* the JSON text itself */
    char *origin;  /* file name, or "built in" */
    char *backend; /* whose expectations are in the steps: the name of its ability */
    char **actors; /* in order of declaration, those that live at some time */
    size_t nactors;
    char **needs; /* capability names */
    size_t nneeds;
    char **backends; /* where it can run, with these parameters; NULL-free list, maybe empty */
    size_t nbackends;
    char *why_not; /* NULL: `backend` is one of them; else why it is not, in one sentence */
    struct plan_param *params;
    size_t nparams;
    struct step *steps;
    size_t nsteps;
    uint64_t peak_pages; /* most memory that the regions can take at once, over all actors */
};

struct param_setting {
    const char *name, *value;
};

struct ability;

/* The rows of lab/actions.h as words. */
extern const struct word action_words[], map_kind_words[], way_words[], snapshot_way_words[];

/* Reads and checks the scenario text. origin is what errors call it (a path). known: the abilities
 * of all backends there are, NULL at the end (at most 8); backend: the name of one of them.
 * page_size in bytes, as that backend has it. Returns 0, or -EINVAL: then all mistakes of the text
 * are printed to told (unless NULL), in its order, each in several lines that point at the place,
 * and e has the first; of text that is no JSON only that. Or -ENOMEM. *out is then untouched. */
int plan_parse(struct plan **out, const char *text, size_t len, const char *origin,
               const struct ability *const *known, const char *backend, uint64_t page_size,
               const struct param_setting *settings, size_t nsettings, FILE *told, struct err *e);
void plan_free(struct plan *p);

/* Is the actor made by a fork step? Else it begins with the run. */
static inline bool plan_born_by_fork(const struct plan *p, const char *actor)
{
    for (size_t i = 0; i < p->nsteps; i++)
        if (p->steps[i].action == ACT_FORK && strcmp(p->steps[i].as, actor) == 0)
            return true;
    return false;
}

/* The shipped scenarios, built into the program; ends with name NULL. */
struct builtin_scenario {
    const char *name, *text;
    size_t len;
};
extern const struct builtin_scenario builtin_scenarios[];

/* Text of a scenario by name (built in) or path (anything with a '/' or ending in .json; or an
 * existing file). The caller frees *text. -ENOENT names the nearest known scenario. */
int scenario_load(const char *name_or_path, char **text, size_t *len, char **origin, struct err *e);
