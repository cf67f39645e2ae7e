/* observer: looks at a set of live processes from outside and fills an observation.
 *
 * Owns: the frame numbering of one run, the frames each region had at the last look (so that
 * a write's outcome can be told), the capabilities found at start-up.
 * Promises: touches no page of a target, starts and stops nothing, never waits; a value that
 * the kernel did not give is unknown with its reason.
 * Does not: know scenarios, actions or policies. The targets must stand still meanwhile.
 * Lifetime: observer_new ... observer_free; one per run. */
#pragma once

#include "probes/caps.h"
#include "probes/err.h"
#include "probes/observation.h"
#include <sys/types.h>

struct observer;

/* A range to observe in a process. len in bytes, start page-aligned. */
struct target_region {
    const char *name;
    const char *case_name; /* or NULL */
    uint64_t start, len;
    int inherit;        /* enum inherit as the actor set it (the kernel shows only part of it) */
    unsigned int freed; /* how often it was given MADV_FREE, which puts its pages on a list that
                           holds a reference */
    bool written;       /* this step wrote to it: tell the write outcome */
    uint64_t written_pages; /* how many of its pages the step wrote: with it, pages written without
                               a fault can be counted; 0: not told */
    /* Which of its pages the step wrote, by index, so that what their states promised can be
     * checked page by page; NULL: not told. */
    bool (*page_written)(const void *writer, uint64_t page);
    const void *writer;
};

struct target {
    const char *actor;
    pid_t pid;
    bool acting; /* it carried out this step; the four fields below are its own report */
    uint64_t dur_ns;
    uint64_t cpu_ns;         /* CPU time that it used within the action; 0: not measured */
    uint64_t minflt, majflt; /* faults it took within the action (getrusage) */
    const struct target_region *regions;
    size_t nregions;
};

/* Memory that a message carries: a memory object held by no process but by fd here
 * (read-only is enough); it is never mapped or read. */
struct target_message {
    const char *region;
    const char *case_name; /* or NULL */
    int fd;                /* -1: the bytes are inline or already private to the kernel */
    uint64_t len;          /* bytes that were sent */
    bool shared;  /* who receives it will see the object itself, not a private view of it */
    int carriers; /* messages that carry the object */
};

struct observer_options {
    const char *cgroup; /* path of the run's own memory cgroup, or NULL */
    size_t max_runs;    /* page runs kept per region; 0: the default of 4096 */
    bool whole_process; /* walk every mapping of each target (for distinct frames); default true */
    bool everybody; /* find out who maps the memory objects beside the targets: reads the mappings
                       of every process; else those outside are seen by map counts alone */
    int threads;    /* for large walks; 0: up to two */
};

int observer_new(struct observer **out, const struct caps *caps, const struct observer_options *opt,
                 struct err *e);
void observer_free(struct observer *o);

/* Fills *out (the caller inits and releases it). Returns 0 or a negative errno: -ESRCH if a
 * target is gone (its name in the message). */
int observer_look(struct observer *o, const struct target *targets, size_t ntargets,
                  const struct target_message *messages, size_t nmessages, struct observation *out,
                  struct err *e);
