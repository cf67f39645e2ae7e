/* store: the one source of truth, a SQLite file.
 *
 * Owns: schema, migrations and views (db/schema/), canned queries (db/queries/), published results
 * (db/published/), and the writing of runs.
 * Promises: a step is stored whole or not at all, in one transaction; every finished step survives
 * a kill of the lab; run ids do not collide across machines; a newer schema is refused.
 * Does not: know how a number was measured.
 * Lifetime: store_open ... store_close; a run that was begun and never ended (kill -9) is marked
 * `crashed` by the next store_open that may write. */
#pragma once

#include "probes/err.h"
#include "probes/histogram.h"
#include "probes/kinds.h"
#include "probes/observation.h"
#include <sqlite3.h>

struct store;

enum store_mode { STORE_CREATE, STORE_READ };

/* Status of a run; texts in db/run.c and in the schema's CHECK. */
enum run_status {
    RUN_RUNNING = 1,
    RUN_COMPLETE,    /* every step was carried out (expectations may have failed) */
    RUN_FAILED,      /* a failure while running */
    RUN_INTERRUPTED, /* by the user */
    RUN_CRASHED      /* the lab died */
};

struct run_info {
    char run_id[40]; /* filled by store_begin_run */
    const char *scenario, *title, *question, *backend;
    const char *twin;    /* or NULL */
    const char *no_twin; /* or NULL */
    const char *params;  /* JSON object */
    const char *source;  /* the scenario's text */
    uint64_t page_size;  /* bytes */
    int64_t series;      /* the one that it is of (store_begin_series); 0: none */
    bool warm_up;        /* ... there the first of its combination, and not counted */
    char *ability;       /* malloc'd JSON object, or NULL: what the backend can tell
                            (db/schema/004-backends.sql) */
    char *kernel;        /* malloc'd: "Linux 6.18.0 x86_64", "GNU Mach 1.8 ..." */
    char *machine;       /* malloc'd JSON object: cpus, memory, versions */
    char *capabilities;  /* malloc'd JSON array of {name, state, unlocks} */
};

void run_info_release(struct run_info *info); /* frees the malloc'd fields */

/* One descriptor of a message: what was asked, what arrived, what was done. NULL: unknown. */
struct store_transfer {
    char *from, *to, *region, *case_name; /* to, region, case_name may be NULL */
    char *kind;                           /* "port", "ool", "ool_ports", "ool_volatile" */
    char *asked, *received, *done;        /* "virtual", "physical"; received NULL in transit;
                                             done also "shared", "copied", "moved" */
    int deallocate;                       /* -1: does not apply */
    int64_t size;                         /* bytes; rights for port kinds */
    int descriptor;                       /* index in the message, from 0 */
    char *why;                            /* the rule that decided */
};

/* The inline part of a received message. */
struct store_message {
    char *actor;
    int32_t id;
    int64_t size; /* msgh_size, bytes */
    char *text;   /* or NULL */
    int descriptors;
    int reply_sent; /* -1 does not apply */
};

/* What a step handed over or took. */
struct store_handover {
    bool taken; /* else handed over */
    char *way, *sender, *receiver;
    char *region, *case_name; /* as the step's actor calls it; case_name may be NULL */
    int64_t bytes;
    bool used;         /* taken: into a region in use */
    const char *acted; /* static: "sender", "receiver", "both"; NULL: nobody yet */
};

/* How long the single touches of a step took. */
struct store_latency {
    const char *part;    /* static: "step"; of a snapshot "before" and "during" */
    const char *since;   /* static: the beginning of the "touch", or when it was "due" */
    struct value gap_ns; /* the longest pause between two */
    struct histogram times;
};

struct store_latencies {
    uint64_t cost_ns, empty_ns; /* what timing takes beside each touch; the time of an empty one */
    size_t n;
    struct store_latency of[4];
};

/* A copy of one moment. */
struct store_snapshot {
    char *way;
    const char *how;     /* static or NULL: what the message layer did */
    int64_t pages, rate; /* in the region; asked to be written a second, 0: as many as can be */
    int cpus;
    int64_t still_ns, take_ns, readout_ns, torn_pages;
    struct value copied_pages, before_kb, peak_kb;
};

struct store_expectation {
    const char *on; /* "parent.r", "totals", ... as in the scenario */
    const char *key;
    const char *expected; /* as text */
    const char *measured; /* as text, or NULL if unknown */
    int held;             /* 1, 0; -1 not checked */
    const char *reason;   /* why not checked, or NULL */
    int line;             /* in the scenario's source */
};

/* -- watching live processes --------------------------------------------------------------
 * A watch is a run whose samples are steps: phase "settled", action "sample", no actor. With
 * step_record.watch set, store_step stores totals and sums always, but process, region and sharing
 * rows only when they moved; it leaves out page runs and objects, checks that held, and unknowns
 * already noted, and sums probe costs up. minflt, majflt, cow_faults, copied_kb and lost_kb of a
 * process are given per sample and stored as their sum since the process's row before. */

struct store_watch; /* what was stored last; one per watch run */

struct store_watch_options {
    int64_t grain_kb; /* a figure moved if it changed by this much and by 1/256; 0: 64 */
    int pace;         /* samples between two rows, unless a figure moved by 1/16; 0: 5 */
    int refresh;      /* samples after which a smaller change is stored too; 0: 60 */
};
int store_watch_new(struct store_watch **out, const struct store_watch_options *opt, struct err *e);
void store_watch_free(struct store_watch *w);

/* A process seen for the first time. actor is unique in the run: "name[pid]", and with a suffix
 * if the pid was used before. */
struct store_watch_process {
    const char *actor;
    int64_t pid;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
    const char *parent;   /* actor, or NULL */
    const char *name;
    const char *command; /* or NULL */
    int own_program;     /* it or its parent has executed a program since the fork; -1 unknown */
};

/* kind: "gone", "fork", "exec", "cgroup", "thp", "note" ("came" is added for each new process).
 * "gone" closes the actor's row. */
struct store_watch_event {
    const char *actor; /* or NULL */
    const char *kind;
    const int64_t *value; /* or NULL: fork: latency in ns; cgroup: the counter */
    const char *text;     /* or NULL */
};

/* Figures of the sample itself (table watch_sample). */
struct store_watch_sample {
    uint64_t dur_ns;
    struct value growth_kb, copied_kb, anon_huge_kb, cgroup_kb;
    struct value cgroup_high, cgroup_max, cgroup_oom, cgroup_oom_kill;
    const char *thp; /* or NULL */
    bool inferred;
    size_t regions_waiting;
};

/* A mapping that the watch chose to store (table watch_region). */
struct store_watch_region {
    enum region_kind kind;
    struct value parent_pages, copied, lost;
    bool gone;
    const char *bins; /* or NULL */
};

struct step_record {
    int step;
    const char *phase, *actor, *action, *case_name, *region; /* all but phase, action may be NULL */
    const char *published;                                   /* or NULL */
    const char *answer; /* what the step says of the scenario's question, or NULL */
    uint64_t start_ns, dur_ns;
    const struct observation *obs;
    const struct store_handover *handover; /* or NULL */
    const struct store_transfer *transfers;
    size_t ntransfers;
    const struct store_message *message;     /* or NULL */
    const struct store_latencies *latencies; /* or NULL */
    const struct store_snapshot *snapshot;   /* or NULL */
    const struct store_expectation *expectations;
    size_t nexpectations;
    struct store_watch *watch; /* samples of a watch; else NULL, and so the fields below */
    const struct store_watch_process *came;
    size_t ncame;
    const struct store_watch_process *named; /* came before, and have another name or command now,
                                                or their program is known since now */
    size_t nnamed;
    const struct store_watch_event *events;
    size_t nevents;
    bool watch_last; /* the last sample: every process is stored, with what its counts waited for */
    const struct store_watch_sample *sample; /* or NULL */
    /* One per region of the observation, all of which are then stored; NULL: when they moved. */
    const struct store_watch_region *regions;
};

/* Opens path, creating and migrating it in STORE_CREATE mode. Errors: -EISDIR, -EACCES, -EROFS,
 * -EPROTO (not a database, or not a cowlab one), -EOVERFLOW (newer schema; both versions in the
 * message), -EBUSY (after waiting; by whom), -ENOENT
 * (STORE_READ; of what writes: the file was removed meanwhile). */
int store_open(struct store **out, const char *path, enum store_mode mode, struct err *e);
void store_close(struct store *s);
/* The reader may write neither the file nor beside it: what a run stores meanwhile is not seen. */
bool store_is_taken_as_it_lies(const struct store *s);
/* Such a file was changed since it was opened: what was read may be of before and after. */
bool store_changed_meanwhile(const struct store *s);
sqlite3 *store_handle(struct store *s);
/* As a user in this directory would type it. */
const char *store_path(const struct store *s);
/* Is this path the database, or one of the files that SQLite keeps beside it, by whatever name? */
bool store_has_file(const struct store *s, const char *path);

int store_begin_run(struct store *s, struct run_info *info, struct err *e);
int store_step(struct store *s, const char *run_id, const struct step_record *r, struct err *e);
int store_end_run(struct store *s, const char *run_id, enum run_status status, uint64_t dur_ns,
                  const char *message, struct err *e);

/* The runs of one command that carries out scenarios many times. */
struct series_info {
    int64_t series;     /* filled by store_begin_series */
    char series_id[40]; /* that too */
    int64_t seed, repeat, planned;
    const char *spec; /* JSON object (db/schema/009-series.sql) */
};
#define SERIES_PREFIX "series-" /* of its id, and of no run's */
int store_begin_series(struct store *s, struct series_info *info, struct err *e);
/* As store_find_run, of series; "latest" is none. */
int store_find_series(struct store *s, const char *typed, char series_id[40], struct err *e);

/* Resolves what a user typed (a run id, a unique part of one, or "latest") into run_id[40].
 * -ENOENT if none, -EINVAL if several (the message lists them). */
int store_find_run(struct store *s, const char *typed, char run_id[40], struct err *e);
