/* values: the several values that a command line gives one parameter.
 *
 *   1,16,256          a list; a comma that belongs to a value is written "\,"
 *   1..65536x4        from 1, each four times the last: 1, 4, 16, ..., 65536; the end if it is hit
 *
 * Numbers of a range may end in K, M, G; those of a list stay as they were written, for plan_parse
 * knows which are numbers.
 * Lifetime: values_release(). */
#pragma once

#include "probes/err.h"
#include <stddef.h>

struct values {
    char **list;
    size_t n;
};

/* -EINVAL: an empty value among several, a range that has no value or never ends. -ENOMEM. *out has
 * then what there was before the mistake. */
int values_parse(struct values *out, const char *text, struct err *e);
void values_release(struct values *v);
