/* cowlab run SCENARIO...: parse all, check all (combine.h), then run what can run. */
#include "lab/backends.h"
#include "lab/cli/combine.h"
#include "lab/run/series.h"
#include "probes/list.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct run_arguments {
    struct cli_common common;
    struct asked asked;
    int64_t repeat; /* 0: not said */
    int64_t seed;   /* -1: to be drawn */
    bool pause;
};

#define MOST_REPEATS 100000

static const struct argp_option options[] = {
    {"backend", 'b', "NAME,...", 0, "where to run: ", 0}, /* help: which there are */
    CLI_OPTION_DB,
    {"param", 'p', "KEY=VALUE,...", 0,
     "set a parameter of the scenario; may be repeated. Numbers take K, M, G; 1..64x4 is "
     "1,4,16,64; "
     "a comma in a value is \\,",
     0},
    {"repeat", 'r', "N", 0,
     "carry each combination of scenario, backend and values out N times, and once before to warm "
     "up",
     0},
    {"seed", 's', "N", 0, "of the order in which that is done (default: drawn)", 0},
    {"pause", 'P', NULL, 0, "wait for Enter before each step", 0},
    {"json", 'j', NULL, 0, "print the run, or the series, as one JSON document", 0},
    {0},
};

/* A value that is given again takes the place of the one before. */
static struct values *param_values(struct asked *a, const char *name)
{
    struct asked_param *p;

    for (size_t i = 0; i < a->nparams; i++)
        if (strcmp(a->params[i].name, name) == 0) {
            values_release(&a->params[i].values);
            return &a->params[i].values;
        }
    p = LIST_ADD(a->params, a->nparams);
    if (!p)
        cli_no_memory();
    p->name = name;
    return &p->values;
}

static void take_values(struct values *v, const char *text, struct argp_state *state)
{
    struct err e;
    int rc = values_parse(v, text, &e);

    if (rc == -ENOMEM)
        cli_no_memory();
    if (rc < 0)
        argp_error(state, "%s", e.msg);
}

static void add_param(struct asked *a, char *text, struct argp_state *state)
{
    char *equals = strchr(text, '=');

    if (!equals || equals == text)
        argp_error(state, "--param wants KEY=VALUE, not '%s'", text);
    *equals = '\0';
    take_values(param_values(a, text), equals + 1, state);
}

static int64_t take_number(const char *option, const char *text, int64_t min, int64_t max,
                           struct argp_state *state)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < min || n > max)
        argp_error(state, "--%s wants a whole number from %lld to %lld, not '%s'", option,
                   (long long)min, (long long)max, text);
    return n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct run_arguments *a = state->input;

    switch (key) {
    case 'b':
        values_release(&a->asked.backends);
        take_values(&a->asked.backends, arg, state);
        return 0;
    case 'p':
        add_param(&a->asked, arg, state);
        return 0;
    case 'r':
        a->repeat = take_number("repeat", arg, 1, MOST_REPEATS, state);
        return 0;
    case 's':
        a->seed = take_number("seed", arg, 0, INT64_MAX, state);
        return 0;
    case 'P':
        a->pause = true;
        return 0;
    case ARGP_KEY_ARG:
        words_add(&a->asked.scenarios, arg);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a scenario; 'cowlab list' shows them");
        return 0;
    default:
        return cli_option(key, arg, state);
    }
}

/* Puts the backends behind the help of --backend: "linux (default) or gnumach". */
static char *name_backends(int key, const char *text, void *input)
{
    char *out = NULL;
    size_t size;
    FILE *f = key == 'b' ? open_memstream(&out, &size) : NULL;

    (void)input;
    if (!f)
        return (char *)(uintptr_t)text;
    fputs(text, f);
    for (size_t i = 0; backends[i]; i++)
        fprintf(f, "%s%s%s", i ? " or " : "", backends[i]->ability->name, i ? "" : " (default)");
    fclose(f);
    return out;
}

static struct runner_options options_of(const struct run_arguments *a)
{
    return (struct runner_options){
        .stop = &cli_stop,
        .pause = a->pause,
        .json = a->common.json,
        .colour = cli_colour(stdout),
        .out = stdout,
        .log = stderr,
    };
}

/* Each for itself, on one backend. */
static int run_plain(const struct combinations *c, struct store *store,
                     const struct runner_options *opt)
{
    const struct plan **plans = calloc(c->n, sizeof *plans);
    int code;

    if (!plans)
        cli_no_memory();
    for (size_t i = 0; i < c->n; i++)
        plans[i] = c->list[i].plan;
    code = run_plans(c->list[0].backend, plans, c->n, store, opt);
    free(plans);
    return code;
}

/* 32 bits: short enough to be typed again. */
static int64_t draw_seed(void)
{
    uint32_t seed = 0;

    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : time(NULL);
}

static int run_many(const struct combinations *c, const struct run_arguments *a,
                    struct store *store, const struct runner_options *opt)
{
    struct series_info info = {.seed = a->seed >= 0 ? a->seed : draw_seed(),
                               .repeat = a->repeat ? a->repeat : 1};
    char *spec = cJSON_PrintUnformatted(c->spec);
    struct err e;
    int code;

    if (!spec)
        cli_no_memory();
    info.spec = spec;
    code = run_series(c->list, c->n, &info, store, opt);
    if (info.series && cli_show_series(store, info.series_id, a->common.json, &e) < 0)
        code = exit_worse(code, cli_fail(EXIT_RUNNING, &e));
    cJSON_free(spec);
    return code;
}

static int run_prepared(const struct combinations *c, const struct run_arguments *a, bool series)
{
    struct runner_options opt = options_of(a);
    struct store *store;
    int code;

    cli_catch_signals();
    code = cli_open_store(&store, a->common.db, STORE_CREATE);
    if (code != EXIT_DONE)
        return code;
    code = series ? run_many(c, a, store, &opt) : run_plain(c, store, &opt);
    store_close(store);
    return code;
}

static int run(const struct run_arguments *a)
{
    bool series = a->repeat > 1 || asks_for_several(&a->asked);
    struct combinations c;
    int code;

    if (series && a->pause) {
        fprintf(stderr, "cowlab: --pause is for a single run, not for a series\n");
        return EXIT_USAGE;
    }
    if (!series && a->seed >= 0) {
        fprintf(stderr, "cowlab: --seed is of the order of a series: with --repeat, or several "
                        "values or backends\n");
        return EXIT_USAGE;
    }
    code = combine(&a->asked, series, &c);
    if (c.n > 0)
        code = exit_worse(code, run_prepared(&c, a, series));
    combinations_release(&c);
    return code;
}

int cmd_run(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "SCENARIO...",
        .doc = "Carries out scenarios (names from 'cowlab list', or paths), looks at every process "
               "after every step, stores what was seen and prints it. With --repeat, or several "
               "values or backends: a series, all combinations in a mixed order, summed up at the "
               "end.",
        .help_filter = name_backends};
    struct run_arguments a = {.seed = -1};
    int code;

    cli_parse(&argp, argc, argv, &a);
    code = run(&a);
    asked_release(&a.asked);
    return code;
}
