/* looks: an observer with puppets to look at, for the tests of the probes. A failed look is a
 * cmocka failure. */
#pragma once

#include "probes/observer.h"
#include "tests/support/puppet.h"

#define STAGE_ACTORS 8

/* What the observer is shown: one region "r" per actor, or none (len 0). */
struct stage {
    struct caps caps;
    struct observer *observer;
    struct observation obs;
    struct puppet puppets[STAGE_ACTORS];
    struct target targets[STAGE_ACTORS];
    struct target_region regions[STAGE_ACTORS];
    char names[STAGE_ACTORS][8]; /* "a", "b", ... */
    size_t n;
    uint64_t page;
};

/* With capabilities hidden as COWLAB_DISABLE names them (NULL, "": none) and one puppet, "a". */
void stage_begin(struct stage *s, const char *disable);
void stage_end(struct stage *s);
/* The first puppet's region, of so many pages; the address. */
uint64_t stage_map(struct stage *s, enum puppet_kind kind, uint64_t pages);
/* Forks puppet i; the new one has the same region. Returns its index. */
size_t stage_fork(struct stage *s, size_t i);
/* Puppet i, a child of the first, exits and is reaped by it. */
void stage_exit(struct stage *s, size_t i);
/* Puppet i writes the region's first `pages` pages. */
void stage_write(struct stage *s, size_t i, uint64_t pages);
/* Looks; acting: the puppet that did the last step, or -1; wrote: pages it wrote, 0 none. */
void stage_look(struct stage *s, int acting, uint64_t wrote);
/* Puppet i writes, and it is looked at. */
void stage_wrote(struct stage *s, size_t i, uint64_t pages);

/* From the last look. */
struct obs_region *stage_region(struct stage *s, size_t i);
struct value stage_value(struct stage *s, size_t i, enum region_quantity q);
const struct obs_check *stage_check(struct stage *s, const char *check, size_t i);

/* Fails naming the quantity unless it is known to be n. */
void must_be(struct stage *s, size_t i, enum region_quantity q, int64_t n);
void must_be_unknown(struct stage *s, size_t i, enum region_quantity q, enum why why);
/* Every check of the last look held or could not be made. */
void checks_must_hold(struct stage *s);
