/* order: the combinations of a series in the order in which they are carried out, round by round.
 *
 * A round has every combination once, in an order of its own that a seed gives (splitmix64, Fisher
 * and Yates), so that what changes on the machine meanwhile falls on all alike. In each round stay
 * together: those of one backend, for no other machine may be at work beside the one that is
 * measured; among them a scenario and its twin with the same parameters, for they are compared.
 * Lifetime: order_free(); the combinations must outlive it. */
#pragma once

#include "lab/run/backend.h"

/* A scenario with its parameters on a backend. */
struct combination {
    const struct backend *backend;
    const struct plan *plan;
};

struct order;
struct order *order_new(const struct combination *list, size_t n,
                        uint64_t seed); /* NULL: no memory */
void order_free(struct order *o);
/* The indices of all combinations as round has them; of the same seed and list always the same. */
void order_round(struct order *o, uint64_t round, size_t *out);

/* Are all parameters that both have the same? */
bool plans_agree(const struct plan *a, const struct plan *b);
