/* observation: everything that was seen after one step, whatever the backend.
 *
 * Owns: plain data. A Linux run fills it through probes/observer.h, the GNU Mach
 * backend from the guest's records, tests by hand; db/ stores it, nobody else
 * needs to know how a number was measured.
 * Lifetime: observation_release() frees everything below it; names are copies. */
#pragma once

#include "probes/value.h"
#include <stddef.h>

/* A run of neighbouring pages that look alike, in region order. Frames are numbered
 * per run of the lab (F1, F2, ...): frame of page first+i is frame+i; 0: unknown or none. */
struct page_run {
    uint64_t first; /* page index in the region */
    uint64_t count; /* pages */
    uint64_t frame;
    int32_t mapcount; /* -1: unknown; 0: nothing mapped */
    uint8_t state;    /* enum page_state */
    bool huge;
    bool inferred; /* state or mapcount follows from joining frames, not from the kernel's word */
};

/* One memory object of the chain behind a region: on GNU Mach the VM objects from the top
 * down through their shadows; on Linux the region's private (anonymous) pages on top, then
 * the memory object (memfd, file, shared memory) if there is one. */
struct obs_object {
    uint64_t number;       /* numbered per run: O1, O2, ... */
    int depth;             /* 0: top */
    const char *kind;      /* static text: "anonymous", "memfd", "file", "shmem", "internal" */
    struct value refs;     /* GNU Mach: references, already without the call's own */
    struct value size;     /* pages */
    struct value resident; /* pages resident in this object over its whole size */
    struct value offset;   /* page offset of the region's start in this object */
    struct page_run *runs; /* resident pages of this object seen through the region; state unused */
    size_t nruns;
};

/* One region of one actor. observed is the actor's name, or "message" for memory that is in
 * transit and belongs to no process. */
struct obs_region {
    char *observed;
    char *region;
    char *case_name; /* or NULL */
    uint64_t start, end;
    uint64_t entry_start, entry_end; /* the kernel's mapping that holds start */
    int needs_copy;                  /* GNU Mach: 0, 1; -1 does not apply */
    struct value q[RQ__COUNT];
    struct page_run *runs;
    size_t nruns;
    bool runs_cut; /* more runs than the limit: totals in q are exact all the same */
    struct obs_object *objects;
    size_t nobjects;
};

struct obs_process {
    char *actor;
    int pid; /* as seen from the lab; 0 where the backend has none */
    bool acting;
    struct value q[PQ__COUNT];
};

/* Frames that two actors have in common, in the observed regions and in the whole process. */
struct obs_sharing {
    char *actor_a, *actor_b;
    struct value region_frames; /* distinct frames */
    struct value frames;
};

enum check_verdict { CHECK_HELD = 1, CHECK_DIFFERS = 2, CHECK_NOT_CHECKED = 3 };

/* Two sources for one fact. left and right carry the unit named in the check's name. */
struct obs_check {
    const char *check; /* static: "states_sum", "smaps_rss", "pss_distinct", "stamps", ... */
    char *observed;    /* actor, or NULL for the whole run */
    char *region;      /* or NULL */
    char *case_name;   /* or NULL */
    struct value left, right;
    int64_t tolerance;
    enum check_verdict verdict;
    char *detail; /* or NULL: what each side is, in words */
};

/* What probing itself cost. */
struct obs_cost {
    const char *probe; /* static: "maps", "pagemap", "kpagecount", "smaps", ... */
    uint64_t dur_ns;
    uint64_t calls;
    uint64_t bytes;
    struct value faults_induced; /* faults the target took while it was being read */
};

struct observation {
    uint64_t t_ns; /* CLOCK_MONOTONIC when reading began; GNU Mach: the guest's clock */
    struct obs_process *processes;
    size_t nprocesses;
    struct obs_region *regions;
    size_t nregions;
    struct obs_sharing *sharing;
    size_t nsharing;
    struct obs_check *checks;
    size_t nchecks;
    struct obs_cost *costs;
    size_t ncosts;
    struct value totals[TQ__COUNT];
    char *system_source; /* what totals[TQ_SYSTEM] is, in words; or NULL */
};

void observation_init(struct observation *o);
void observation_release(struct observation *o);

/* Append one zeroed element with every value "not applicable"; NULL without memory: then the
 * observation is good for nothing but its release. The pointer is valid until the next append to
 * the same list. */
struct obs_process *observation_add_process(struct observation *o, const char *actor);
struct obs_region *observation_add_region(struct observation *o, const char *observed,
                                          const char *region, const char *case_name);
struct obs_sharing *observation_add_sharing(struct observation *o, const char *a, const char *b);
struct obs_check *observation_add_check(struct observation *o, const char *check,
                                        const char *observed, const char *region);
/* Appends a check with copies of its texts, and judges it: an unknown or inferred side leaves it
 * unchecked. */
struct obs_check *observation_check(struct observation *o, struct obs_check c);
/* A check `prediction` for each state that written pages had: left, those of which the write did
 * what the state promises; right, all of which it could be told; the detail names both. Apart and
 * not checked, without a left side: pages of which the kernel may decide either way; and pages in
 * debt that were copied, for a cause that cannot be seen (left unknown). 0 or -ENOMEM. */
struct promises; /* rules.h */
int observation_add_predictions(struct observation *o, const char *observed, const char *region,
                                const char *case_name, const struct promises *p);
struct obs_cost *observation_add_cost(struct observation *o, const char *probe);
struct obs_object *obs_region_add_object(struct obs_region *r);
/* Appends a run, joining it with the last one where they continue each other.
 * Returns 0, or -ENOMEM. */
int obs_region_add_run(struct obs_region *r, const struct page_run *run);

/* NULL if there is none. case_name may be NULL. */
struct obs_region *observation_find_region(const struct observation *o, const char *observed,
                                           const char *region, const char *case_name);
struct obs_process *observation_find_process(const struct observation *o, const char *actor);
