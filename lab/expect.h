/* expect: what a scenario expected of a step against what was seen.
 *
 * Promises: every expectation of the step gives exactly one result: held, failed, or not checked
 * with the reason. An unknown or inferred value is never passed; a row that is missing altogether,
 * or a value that does not apply where one was expected, fails.
 * Does not: measure, store or print.
 * Lifetime: expect_release() frees the results and their texts; observation and step may go
 * before. */
#ifndef LAB_EXPECT_H
#define LAB_EXPECT_H

#include "lab/backend.h"

struct expect_results {
    struct store_expectation *at; /* in the order of step->expect */
    size_t n;
    size_t held, failed, not_checked;
};

/* Returns 0 or -ENOMEM; *out is released by the caller after success only. */
int expect_check(const struct step *step, const struct step_result *seen,
                 struct expect_results *out, struct err *e);
void expect_release(struct expect_results *r);

#endif
