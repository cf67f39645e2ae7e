/* combine: what a `cowlab run` asks for, as plans: one for each combination of scenario, backend
 * and values of parameters. */
#pragma once

#include "lab/cli/cli.h"
#include "lab/plan/values.h"
#include "lab/run/order.h"
#include <cjson/cJSON.h>

struct asked_param {
    const char *name;
    struct values values;
};

struct asked {
    struct words scenarios;
    struct values backends; /* names; none: the default */
    struct asked_param *params;
    size_t nparams;
};

void asked_release(struct asked *a);
/* More than one run of a scenario? */
bool asks_for_several(const struct asked *a);

struct combinations {
    struct combination *list; /* those that can run */
    size_t n;
    cJSON *spec; /* of a series: db/schema/009-series.sql */
};

void combinations_release(struct combinations *c);
/* Reads the scenarios and asks the backends. Returns an exit code, with what is wrong printed. A
 * plain run goes on without what is wrong. In a series a mistake leaves nothing to run; what this
 * machine cannot carry out is left out; a parameter that only some of the scenarios have is none of
 * the others'. */
int combine(const struct asked *a, bool series, struct combinations *out);
