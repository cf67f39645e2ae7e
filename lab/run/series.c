#include "lab/run/series.h"

#include "lab/run/clock.h"
#include "lab/run/exits.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one session. A guest gets all its plans at once. */
#define SESSION_RUNS 1000
#define SESSION_STEPS 20000
#define FAILURES 2 /* of a combination that is then left out */

/* What is known of a combination so far. */
struct so_far {
    int failures;
    uint64_t runs, ns; /* that ended, and how long they took */
};

struct series {
    const struct combination *list;
    size_t n;
    struct series_info *info;
    struct store *store;
    struct runner_options opt;
    struct runner_series hooks;
    struct so_far *so_far; /* of each combination */
    uint64_t done;         /* runs that ended or were left out */
    uint64_t last_ns;      /* when the last one ended */
    int code;
    /* The session that is being filled or carried out. */
    struct one {
        size_t combination;
        bool warm_up, reached;
    } * session;
    const struct plan **plans;
    size_t nplans, nsteps;
};

/* The runs that are left, each as long as its combination took so far. */
static double seconds_left(const struct series *s)
{
    uint64_t each = (uint64_t)s->info->repeat + 1, runs = 0, ns = 0;
    double left = 0;

    for (size_t i = 0; i < s->n; i++) {
        runs += s->so_far[i].runs;
        ns += s->so_far[i].ns;
    }
    if (!runs)
        return 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct so_far *f = &s->so_far[i];
        double one = f->runs ? (double)f->ns / (double)f->runs : (double)ns / (double)runs;

        if (f->failures < FAILURES)
            left += one * (double)(each - f->runs);
    }
    return left / 1e9;
}

static void say_where(const struct series *s, char *line, size_t size)
{
    double left = seconds_left(s);
    int n = snprintf(line, size, "run %llu of %lld", (unsigned long long)s->done + 1,
                     (long long)s->info->planned);

    if (left >= 120)
        snprintf(line + n, size - (size_t)n, ", about %.0f min left", left / 60);
    else if (left > 0)
        snprintf(line + n, size - (size_t)n, ", about %.0f s left", left < 1 ? 1 : left);
}

static bool begin_one(void *arg, size_t index, struct run_info *info, char *line, size_t size)
{
    struct series *s = arg;
    struct one *one = &s->session[index];

    one->reached = true;
    if (s->so_far[one->combination].failures >= FAILURES) {
        s->done++;
        return false;
    }
    info->series = s->info->series;
    info->warm_up = one->warm_up;
    say_where(s, line, size);
    return true;
}

/* The time since the last end, so that what a session takes to open is in it. */
static void end_one(void *arg, size_t index, int code)
{
    struct series *s = arg;
    struct so_far *f = &s->so_far[s->session[index].combination];
    uint64_t now = now_ns();

    f->failures += code == EXIT_RUNNING;
    f->runs++;
    f->ns += now - s->last_ns;
    s->last_ns = now;
    s->done++;
}

/* Carries out what the session has, and empties it. */
static void carry_out(struct series *s)
{
    if (s->nplans)
        s->code = exit_worse(s->code, run_plans(s->list[s->session[0].combination].backend,
                                                s->plans, s->nplans, s->store, &s->opt));
    /* It could not be opened, or ended early. */
    for (size_t i = 0; i < s->nplans; i++)
        s->so_far[s->session[i].combination].failures += !s->session[i].reached;
    s->nplans = s->nsteps = 0;
}

static void add(struct series *s, size_t combination, bool warm_up)
{
    const struct combination *c = &s->list[combination];

    if (s->nplans && (s->list[s->session[0].combination].backend != c->backend ||
                      s->nplans == SESSION_RUNS || s->nsteps + c->plan->nsteps > SESSION_STEPS))
        carry_out(s);
    if (s->code == EXIT_INTERRUPTED || s->so_far[combination].failures >= FAILURES)
        return;
    s->session[s->nplans] = (struct one){combination, warm_up, false};
    s->plans[s->nplans++] = c->plan;
    s->nsteps += c->plan->nsteps;
}

static int all_rounds(struct series *s, struct order *order, size_t *round)
{
    for (int64_t i = 0; i <= s->info->repeat && s->code != EXIT_INTERRUPTED; i++) {
        order_round(order, (uint64_t)i, round);
        for (size_t k = 0; k < s->n && s->code != EXIT_INTERRUPTED; k++)
            add(s, round[k], i == 0);
    }
    if (s->code != EXIT_INTERRUPTED)
        carry_out(s);
    return s->code;
}

int series_check(const struct combination *list, size_t n, struct err *e)
{
    const struct combination *last = &list[n - 1];

    for (size_t i = 0; i + 1 < n; i++)
        if (last->backend == list[i].backend && strcmp(last->plan->name, list[i].plan->name) == 0 &&
            plans_agree(last->plan, list[i].plan))
            return err_set(e, EINVAL,
                           "'%s' is asked for twice with the same parameters: --repeat says how "
                           "often each is carried out",
                           last->plan->name);
    return 0;
}

int run_series(const struct combination *list, size_t n, struct series_info *info,
               struct store *store, const struct runner_options *opt)
{
    struct series s = {
        .list = list,
        .n = n,
        .info = info,
        .store = store,
        .opt = *opt,
        .hooks = {.begin = begin_one, .ended = end_one},
        .so_far = calloc(n, sizeof *s.so_far),
        .session = calloc(SESSION_RUNS, sizeof *s.session),
        .plans = calloc(SESSION_RUNS, sizeof *s.plans),
        .last_ns = now_ns(),
    };
    struct order *order = order_new(list, n, (uint64_t)info->seed);
    size_t *round = calloc(n, sizeof *round);
    struct err e;
    int rc, code = EXIT_RUNNING;

    s.hooks.arg = &s;
    s.opt.series = &s.hooks;
    info->planned = (int64_t)n * (info->repeat + 1);
    rc = order && round && s.so_far && s.session && s.plans ? store_begin_series(store, info, &e)
                                                            : err_no_memory(&e);
    if (rc == 0)
        code = all_rounds(&s, order, round);
    else
        fprintf(opt->log, "cowlab: %s\n", e.msg);
    order_free(order);
    free(round);
    free(s.so_far);
    free(s.session);
    free(s.plans);
    return code;
}
