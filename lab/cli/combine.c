#include "lab/cli/combine.h"

#include "lab/backends.h"
#include "lab/run/series.h"
#include "probes/list.h"
#include "reports/escape.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096 /* combinations */

/* One scenario on one backend. */
struct making {
    const struct asked *a;
    const struct backend *backend;
    const char *name; /* as it was typed */
    char *text, *origin;
    size_t len;
    bool *takes; /* which of the parameters asked for it has */
    struct combinations *out;
    char refused[1024]; /* why the last combination cannot run; "" it can */
    size_t nrefused;    /* for that reason, after the first */
};

void asked_release(struct asked *a)
{
    for (size_t i = 0; i < a->nparams; i++)
        values_release(&a->params[i].values);
    values_release(&a->backends);
    free(a->params);
    free(a->scenarios.list);
}

bool asks_for_several(const struct asked *a)
{
    bool several = a->backends.n > 1;

    for (size_t i = 0; i < a->nparams; i++)
        several = several || a->params[i].values.n > 1;
    return several;
}

void combinations_release(struct combinations *c)
{
    for (size_t i = 0; i < c->n; i++)
        plan_free((struct plan *)(uintptr_t)c->list[i].plan);
    free(c->list);
    cJSON_Delete(c->spec);
    *c = (struct combinations){0};
}

/* -- the spec ------------------------------------------------------------------------------ */

static void add_once(cJSON *object, const char *key, const char *text)
{
    cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key), *item;

    if (!array && !(array = cJSON_AddArrayToObject(object, key)))
        cli_no_memory();
    cJSON_ArrayForEach (item, array) {
        if (strcmp(item->valuestring, text) == 0)
            return;
    }
    if (!(item = cJSON_CreateString(text)) || !cJSON_AddItemToArray(array, item))
        cli_no_memory();
}

/* Values as the plan has them, so that they are those of the stored runs. */
static void note(const struct making *m, const struct plan *p)
{
    cJSON *params = cJSON_GetObjectItemCaseSensitive(m->out->spec, "params");

    add_once(m->out->spec, "scenarios", p->name);
    add_once(m->out->spec, "backends", m->backend->ability->name);
    for (size_t i = 0; i < m->a->nparams; i++)
        for (size_t k = 0; k < p->nparams; k++)
            if (strcmp(m->a->params[i].name, p->params[k].name) == 0)
                add_once(params, p->params[k].name, p->params[k].text);
}

/* -- one combination ----------------------------------------------------------------------- */

static void say_more(struct making *m)
{
    if (m->nrefused)
        fprintf(stderr, "cowlab: ... and so are %zu more combinations of it\n", m->nrefused);
    m->nrefused = 0;
}

/* Says it once, however many combinations there are of one reason. */
static void leave_out(struct making *m, const struct plan *p, const struct err *e)
{
    if (strcmp(m->refused, e->msg) == 0) {
        m->nrefused++;
        return;
    }
    say_more(m);
    memcpy(m->refused, e->msg, sizeof m->refused);
    fprintf(stderr, "cowlab: left out");
    for (size_t i = 0; i < m->a->nparams; i++)
        for (size_t k = 0; k < p->nparams; k++)
            if (strcmp(m->a->params[i].name, p->params[k].name) == 0) {
                fprintf(stderr, " %s=", p->params[k].name);
                escape_terminal(stderr, p->params[k].text);
            }
    fprintf(stderr, ": %s\n", e->msg);
}

/* Can it run here? The plan is taken. */
static int offer(struct making *m, bool series, struct plan *plan)
{
    struct combination *added;
    struct err e;
    int rc = plan->why_not ? err_set(&e, ENOTSUP, "cannot run '%s' on %s: %s", plan->name,
                                     m->backend->ability->name, plan->why_not)
                           : m->backend->check(plan, &e);

    if (series)
        note(m, plan);
    if (rc < 0 && series)
        leave_out(m, plan, &e);
    else if (rc < 0)
        cli_fail(EXIT_MACHINE, &e);
    if (rc < 0) {
        plan_free(plan);
        return rc == -ENOTSUP ? EXIT_MACHINE : EXIT_RUNNING;
    }
    added = LIST_ADD(m->out->list, m->out->n);
    if (!added)
        cli_no_memory();
    *added = (struct combination){m->backend, plan};
    return series && series_check(m->out->list, m->out->n, &e) < 0 ? cli_fail(EXIT_USAGE, &e)
                                                                   : EXIT_DONE;
}

/* pick: which value of each parameter that it takes. */
static int parse(const struct making *m, const size_t *pick, FILE *told, struct plan **out)
{
    struct param_setting *settings = calloc(m->a->nparams + 1, sizeof *settings);
    size_t n = 0;
    struct err e;
    int rc;

    if (!settings)
        cli_no_memory();
    for (size_t i = 0; i < m->a->nparams && pick; i++)
        if (m->takes[i])
            settings[n++] =
                (struct param_setting){m->a->params[i].name, m->a->params[i].values.list[pick[i]]};
    rc = plan_parse(out, m->text, m->len, m->origin, backend_abilities, m->backend->ability->name,
                    m->backend->page_size(), settings, n, told, &e);
    free(settings);
    if (rc == -ENOMEM)
        cli_no_memory();
    return rc < 0 ? EXIT_USAGE : EXIT_DONE; /* what is wrong was told */
}

/* The next combination of values, the last parameter first; false after the last. */
static bool next_pick(const struct making *m, size_t *pick)
{
    for (size_t i = m->a->nparams; i-- > 0;) {
        if (m->takes[i] && ++pick[i] < m->a->params[i].values.n)
            return true;
        pick[i] = 0;
    }
    return false;
}

static int all_values(struct making *m, bool series)
{
    size_t *pick = calloc(m->a->nparams + 1, sizeof *pick);
    int code = EXIT_DONE;

    if (!pick)
        cli_no_memory();
    do {
        struct plan *plan;
        int one = parse(m, pick, stderr, &plan);

        if (one == EXIT_DONE)
            one = offer(m, series, plan);
        if (one == EXIT_DONE && m->out->n > MOST) {
            fprintf(stderr, "cowlab: more than %d combinations\n", MOST);
            one = EXIT_USAGE;
        }
        code = one == EXIT_USAGE ? one : exit_worse(code, one);
    } while (code != EXIT_USAGE && next_pick(m, pick));
    say_more(m);
    free(pick);
    return code;
}

/* -- which scenario has which parameter ----------------------------------------------------- */

static bool has(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->nparams; i++)
        if (strcmp(p->params[i].name, name) == 0)
            return true;
    return false;
}

/* Of several scenarios each takes the parameters that it has. Those that none has go to all, which
 * then say so, as does a scenario that has a mistake. */
static void share_params(struct making *all, size_t n)
{
    size_t nparams = all->a->nparams;
    bool *known = calloc(nparams + 1, sizeof *known);

    if (!known)
        cli_no_memory();
    for (size_t i = 0; i < n; i++) {
        struct plan *plan;
        int code = parse(&all[i], NULL, NULL, &plan);

        for (size_t k = 0; k < nparams; k++) {
            all[i].takes[k] = code != EXIT_DONE || has(plan, all->a->params[k].name);
            known[k] = known[k] || all[i].takes[k];
        }
        if (code == EXIT_DONE)
            plan_free(plan);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < nparams; k++) {
            if (known[k] && !all[i].takes[k] && all[i].backend == all->backend)
                fprintf(stderr, "cowlab: %s has no parameter '%s' and runs without\n", all[i].name,
                        all->a->params[k].name);
            all[i].takes[k] = all[i].takes[k] || !known[k];
        }
    free(known);
}

/* -- all of them ---------------------------------------------------------------------------- */

static const struct backend *find_backend(const char *name)
{
    const struct backend *found = backend_find(name);

    if (found)
        return found;
    fprintf(stderr, "cowlab: there is no backend '%s'; there are:", name);
    for (size_t i = 0; backends[i]; i++)
        fprintf(stderr, " %s", backends[i]->ability->name);
    fprintf(stderr, "\n");
    return NULL;
}

/* Reads the scenario; its parameters are all that were asked for. */
static int begin_making(struct making *m, const char *name, const struct backend *backend,
                        const struct asked *a, struct combinations *out)
{
    struct err e;

    *m = (struct making){.a = a, .backend = backend, .name = name, .out = out};
    m->takes = malloc(a->nparams + 1);
    if (!m->takes)
        cli_no_memory();
    memset(m->takes, true, a->nparams + 1);
    return scenario_load(name, &m->text, &m->len, &m->origin, &e) < 0 ? cli_fail(EXIT_USAGE, &e)
                                                                      : EXIT_DONE;
}

static void end_making(struct making *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        FREE_ALL(all[i].text, all[i].origin, all[i].takes);
    free(all);
}

/* A scenario on a backend each; what is wrong with one of them is told and counts. */
static int make_all(const struct asked *a, struct combinations *out, struct making **all, size_t *n)
{
    int code = EXIT_DONE;

    for (size_t b = 0; b < (a->backends.n ? a->backends.n : 1); b++) {
        const struct backend *backend =
            a->backends.n ? find_backend(a->backends.list[b]) : backends[0];

        if (!backend)
            return EXIT_USAGE;
        for (size_t i = 0; i < a->scenarios.count; i++) {
            struct making *m = LIST_ADD(*all, *n);

            if (!m)
                cli_no_memory();
            code = exit_worse(code, begin_making(m, a->scenarios.list[i], backend, a, out));
        }
    }
    return code;
}

int combine(const struct asked *a, bool series, struct combinations *out)
{
    struct making *all = NULL;
    size_t n = 0;
    int code;

    *out = (struct combinations){.spec = cJSON_CreateObject()};
    if (!out->spec || !cJSON_AddObjectToObject(out->spec, "params"))
        cli_no_memory();
    code = make_all(a, out, &all, &n);
    if (series && code == EXIT_DONE && a->scenarios.count > 1)
        share_params(all, n);
    for (size_t i = 0; i < n && (!series || code != EXIT_USAGE); i++) {
        int one = all[i].text ? all_values(&all[i], series) : EXIT_USAGE;

        code = series && one == EXIT_USAGE ? one : exit_worse(code, one);
    }
    end_making(all, n);
    if (series && code == EXIT_USAGE)
        combinations_release(out);
    return code;
}
