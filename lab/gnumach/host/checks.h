/* checks: two sources for one fact: objects against their pages, stamps, bytes around a range. */
#ifndef LAB_GNUMACH_HOST_CHECKS_H
#define LAB_GNUMACH_HOST_CHECKS_H

#include "lab/gnumach/host/state.h"

struct two_sources {
    const char *check;       /* static text */
    const char *observed;    /* actor, or NULL */
    const struct slot *slot; /* or NULL */
    int64_t left, right;     /* held: equal */
};

/* fmt: what each side is, in words; NULL: nothing to say. 0 or -ENOMEM. */
int checks_add(struct step_result *out, const struct two_sources *c, struct err *e, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

/* 0 or -ENOMEM. */
int checks_tell(struct reading *r, struct step_result *out, struct err *e);

#endif
