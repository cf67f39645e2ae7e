/* linux_regions: which regions of the scenario each actor has now, and which messages are on their
 * way; what the observer is told to look at. Pure bookkeeping: no system calls but close. */
#pragma once

#include "lab/run/backend.h"
#include "probes/observer.h"

struct held_region {
    char *name, *case_name;        /* case_name may be NULL */
    uint64_t start, len;           /* bytes */
    uint64_t sent_start, sent_len; /* of a region that arrived in a message: the bytes sent; or 0 */
    enum map_kind kind;
    struct fork_fate fate;
    unsigned int freed; /* how often it, or what it was forked from, was given MADV_FREE */
    bool huge;          /* it was given MADV_HUGEPAGE last, not MADV_NOHUGEPAGE */
    bool written;       /* by the step that is being carried out */
    uint64_t written_pages;
};

struct held_regions {
    struct held_region *list;
    size_t count;
};

/* All return 0 or -ENOMEM. */
int held_add(struct held_regions *h, const char *name, const char *case_name, uint64_t start,
             uint64_t len, enum map_kind kind);
/* What a fork's child gets: everything but what is not inherited. */
int held_inherit(struct held_regions *child, const struct held_regions *parent);
struct held_region *held_find(const struct held_regions *h, const char *name,
                              const char *case_name);
void held_remove(struct held_regions *h, struct held_region *r);
void held_clear(struct held_regions *h);

/* A message on its way, or one range of memory that it carries: every message has one entry without
 * a region, and one more per out-of-line range. */
struct carried {
    uint64_t message; /* in the order of sending */
    char *from, *to;
    char *region, *case_name; /* region NULL: the message itself */
    int fd;                   /* the memory object, or -1 */
    uint64_t len;             /* bytes */
};

struct carried_list {
    struct carried *list;
    size_t count;
    uint64_t sent; /* messages so far */
};

/* Takes fd in every case. c->message is the number of the message. 0 or -ENOMEM. */
int carried_add(struct carried_list *c, const struct carried *what);
/* The oldest message to this actor arrived: its entries go. *from (caller frees) is who sent it,
 * NULL if none was on its way. */
void carried_arrived(struct carried_list *c, const char *to, char **from);
/* The actor is gone, and what was on its way to it. */
void carried_drop(struct carried_list *c, const char *to);
void carried_clear(struct carried_list *c);
