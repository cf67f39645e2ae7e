/* judge: what a scenario expected of a step against what was seen; and its answer with what was
 * seen in it.
 *
 * Promises: every expectation of the step gives exactly one result: held, failed, or not checked
 * with the reason. An unknown or inferred value is never passed; a row that is missing altogether,
 * or a value that does not apply where one was expected, fails.
 * Does not: measure, store or print.
 * Lifetime: judged_release() frees the results and their texts; observation and step may go
 * before. */
#pragma once

#include "lab/run/backend.h"

struct judged {
    struct store_expectation *list; /* in the order of step->expect */
    size_t count;
    size_t held, failed, not_checked;
};

/* Returns 0 or -ENOMEM; *out is released by the caller after success only. */
int expect_judge(const struct step *step, const struct step_result *seen, struct judged *out,
                 struct err *e);
void judged_release(struct judged *r);

/* The step's answer with its values in their places, malloc'd: pages, memory and times with their
 * units, "~" before what was concluded, "unknown (reason)", "does not apply". *reason: the one that
 * the run's answers told last, NULL at first: it is not told again in a row. *out NULL: the step
 * has none. 0 or -ENOMEM. */
int answer_tell(const struct step *step, const struct step_result *seen, const char **reason,
                char **out, struct err *e);
