/* mappings: every mapping of one process with its quantities, as the observer tells them of a
 * region (the same rules for share mode and reference count), and what smaps counts beside it.
 *
 * For a process that runs on meanwhile: it is read twice in short order (the list, then the
 * pages), and a mapping that changed between is seen as it was in the second reading.
 * Owns: the observation and the list. Promises and rights: those of the observer.
 * Lifetime: mappings_look ... mappings_release. */
#pragma once

#include "probes/footprint.h"
#include "probes/kinds.h"
#include "probes/observer.h"

struct mapping {
    const struct map_entry *entry;
    const struct obs_region *region; /* q: page counts, share mode, references */
    enum region_kind kind;
    int max_prot; /* VM_PROT bits; -1 if the kernel does not tell (no VmFlags) */
};

struct mappings {
    pid_t seen_as; /* by which number its memory is seen */
    struct maps maps;
    struct observation obs;
    struct footprint fp;
    char exe[4096]; /* "" if it may not be read */
    struct mapping *list;
    size_t n;
};

struct mappings_options {
    uint64_t start, end; /* only what lies in there; end 0: everything */
    size_t max_runs;     /* as in observer_options */
    int threads;
};

/* -ESRCH: no such process (any more); -EACCES: it may not be looked at. */
int mappings_look(pid_t pid, const struct caps *caps, struct mappings *out, struct err *e);
/* Without what smaps counts beside it, kinds and the program. -ERANGE: nothing is mapped there. */
int mappings_observe(pid_t pid, const struct caps *caps, const struct mappings_options *opt,
                     struct mappings *out, struct err *e);
void mappings_release(struct mappings *m);
