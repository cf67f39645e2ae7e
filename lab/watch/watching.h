/* watching: what the files of a watch share.
 *
 *   watch.c      the loop: whom to sample, when, until when
 *   record.c     from a sample to what is stored of it
 *   surround.c   the machine around the processes: their memory cgroup, huge pages
 *   event.c      what happened between two samples
 *   keep.c       which mappings are worth a row
 *   tree.c       who is watched; view.c the live picture */
#pragma once

#include "lab/run/machine.h"
#include "lab/watch/keep.h"
#include "lab/watch/view.h"
#include "lab/watch/watch.h"

#define BINS 64

struct watch {
    struct tree *tree;
    struct store *store;
    const struct watch_options *opt;
    struct sampler *sampler;
    struct keep keep;
    struct run_info info;
    struct sample_target *targets; /* of this sample */
    int *tree_index, *who;         /* of who is in it: their indices in the tree, and ids */
    size_t cap;
    size_t n;
    int step;
    uint64_t began_ns, last_ns, every_ns;
    char cgroup[4096];
    bool checked_cgroup;
    uint64_t matrix_ns, matrix_soonest_ns; /* when it was stored last, and may be again */
    bool matrix_pending;                   /* something changed since */
    char thp[16];
    struct slurp text;
    struct store_watch_event *events;
    size_t nevents;
    int64_t limits[3]; /* counters of the cgroup at the last sample: max, oom, oom_kill */
    char thp_before[16];
    struct store_watch *moved; /* what the store keeps of earlier samples */
    bool slowed;
    struct err *e;
};

/* All that one sample stores; freed together. */
struct record {
    struct observation obs;
    struct keep_choice *choices;
    size_t nchoices;
    struct store_watch_region *regions;
    char (*bins)[BINS + 1];
    struct store_watch_process *came, *named;
    size_t ncame, nnamed;
    int64_t *fork_ns;
    struct store_watch_sample sample;
};

/* Its events, figures and rows; all but the first return 0 or -ENOMEM. */
void record_release(struct record *r);
int record_fill(struct watch *w, const struct sample *s, bool last, struct record *r);

/* Figures of the first process's memory cgroup, if it is not the machine's own; and how huge pages
 * are switched. */
void surround_read(struct watch *w, struct observation *o, struct store_watch_sample *out);
/* What the machine did between two samples: the cgroup ran into a limit, huge pages were switched.
 */
int surround_events(struct watch *w, const struct store_watch_sample *s);

/* Notes an event to be stored with this sample, and tells the view. */
int event_add(struct watch *w, const char *actor, const char *kind, const int64_t *value,
              const char *text);
/* Who went, changed its program, or cannot be looked at. Begins the sample's list. */
int events_of_sample(struct watch *w, const struct sample *s);
