#include "lab/run/order.h"

#include "lab/actions.h"
#include <stdlib.h>
#include <string.h>

enum level { BACKEND, UNIT, SINGLE, LEVELS };

struct order {
    size_t n;
    uint64_t seed;
    size_t *of[LEVELS];   /* which backend, unit it belongs to: the index of the first of them */
    size_t *rank[LEVELS]; /* where that comes in this round */
};

bool plans_agree(const struct plan *a, const struct plan *b)
{
    for (size_t i = 0; i < a->nparams; i++)
        for (size_t k = 0; k < b->nparams; k++)
            if (strcmp(a->params[i].name, b->params[k].name) == 0 &&
                strcmp(a->params[i].text, b->params[k].text) != 0)
                return false;
    return true;
}

static bool names(const struct plan *p, const struct plan *twin)
{
    return p->twin && strcmp(p->twin, twin->name) == 0;
}

static void join(struct order *o, size_t from, size_t to)
{
    for (size_t i = 0; i < o->n && from != to; i++)
        if (o->of[UNIT][i] == from)
            o->of[UNIT][i] = to;
}

static void group(struct order *o, const struct combination *list)
{
    for (size_t i = 0; i < o->n; i++) {
        o->of[BACKEND][i] = o->of[UNIT][i] = o->of[SINGLE][i] = i;
        for (size_t k = 0; k < i; k++) {
            const struct plan *a = list[i].plan, *b = list[k].plan;

            if (list[i].backend != list[k].backend)
                continue;
            o->of[BACKEND][i] = o->of[BACKEND][k];
            if ((names(a, b) || names(b, a)) && plans_agree(a, b))
                join(o, o->of[UNIT][i], o->of[UNIT][k]);
        }
    }
}

struct order *order_new(const struct combination *list, size_t n, uint64_t seed)
{
    struct order *o = calloc(1, sizeof *o);
    size_t *rooms = calloc(2 * LEVELS * (n + 1), sizeof *rooms);

    if (!o || !rooms) {
        free(o);
        free(rooms);
        return NULL;
    }
    o->n = n;
    o->seed = seed;
    for (int level = 0; level < LEVELS; level++) {
        o->of[level] = rooms + (size_t)level * n;
        o->rank[level] = rooms + (size_t)(LEVELS + level) * n;
    }
    group(o, list);
    return o;
}

void order_free(struct order *o)
{
    if (!o)
        return;
    free(o->of[0]); /* all rooms are one */
    free(o);
}

static void shuffle(size_t *list, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        list[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t other = select_splitmix64(*state) % i, kept = list[i - 1];

        *state += 0x9e3779b97f4a7c15u; /* as the generator goes on */
        list[i - 1] = list[other];
        list[other] = kept;
    }
}

static int compare(const void *a, const void *b, void *order)
{
    const struct order *o = order;

    for (int level = 0; level < LEVELS; level++) {
        size_t x = o->rank[level][o->of[level][*(const size_t *)a]];
        size_t y = o->rank[level][o->of[level][*(const size_t *)b]];

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

void order_round(struct order *o, uint64_t round, size_t *out)
{
    uint64_t state = o->seed ^ select_splitmix64(round);

    for (int level = 0; level < LEVELS; level++)
        shuffle(o->rank[level], o->n, &state);
    for (size_t i = 0; i < o->n; i++)
        out[i] = i;
    qsort_r(out, o->n, sizeof *out, compare, o);
}
