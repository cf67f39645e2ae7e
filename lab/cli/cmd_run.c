/* cowlab run SCENARIO...: parse all, check all, then run what can run. */
#include "lab/backends.h"
#include "lab/cli/cli.h"
#include "lab/run/runner.h"
#include "probes/list.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run_arguments {
    struct cli_common common;
    struct words scenarios;
    const char *backend;
    struct param_setting *params;
    size_t nparams;
    bool pause;
};

static const struct argp_option options[] = {
    {"backend", 'b', "NAME", 0, "where to run: ", 0}, /* help: which there are */
    CLI_OPTION_DB,
    {"param", 'p', "KEY=VALUE", 0, "set a parameter of the scenario; may be repeated", 0},
    {"pause", 'P', NULL, 0, "wait for Enter before each step", 0},
    {"json", 'j', NULL, 0, "print the run as one JSON document instead of a timeline", 0},
    {0},
};

static void add_param(struct run_arguments *a, char *text, struct argp_state *state)
{
    char *equals = strchr(text, '=');
    struct param_setting *param;

    if (!equals || equals == text)
        argp_error(state, "--param wants KEY=VALUE, not '%s'", text);
    if (!(param = LIST_ADD(a->params, a->nparams)))
        argp_failure(state, EXIT_RUNNING, ENOMEM, "cannot keep the parameters");
    *equals = '\0';
    *param = (struct param_setting){text, equals + 1};
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct run_arguments *a = state->input;

    switch (key) {
    case 'b':
        a->backend = arg;
        return 0;
    case 'p':
        add_param(a, arg, state);
        return 0;
    case 'P':
        a->pause = true;
        return 0;
    case ARGP_KEY_ARG:
        words_add(&a->scenarios, arg);
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

/* Reads one scenario into a plan and asks the backend whether it can be carried out here. Returns
 * an exit code; *out stays NULL unless it can run. */
static int prepare(const char *name, const struct backend *backend, const struct run_arguments *a,
                   struct plan **out)
{
    struct plan *plan;
    struct err e;
    char *text, *origin;
    size_t len;
    int rc;

    if (scenario_load(name, &text, &len, &origin, &e) < 0)
        return cli_fail(EXIT_USAGE, &e);
    rc = plan_parse(&plan, text, len, origin, backend_abilities, backend->ability->name,
                    backend->page_size(), a->params, a->nparams, stderr, &e);
    free(text);
    free(origin);
    if (rc < 0)
        return rc == -ENOMEM ? cli_fail(EXIT_RUNNING, &e) : EXIT_USAGE; /* what is wrong was told */
    rc = plan->why_not ? err_set(&e, ENOTSUP, "cannot run '%s' on %s: %s", plan->name,
                                 backend->ability->name, plan->why_not)
                       : backend->check(plan, &e);
    if (rc < 0) {
        plan_free(plan);
        return cli_fail(rc == -ENOTSUP ? EXIT_MACHINE : EXIT_RUNNING, &e);
    }
    *out = plan;
    return EXIT_DONE;
}

static int run_prepared(const struct backend *backend, struct plan **plans, size_t nplans,
                        const struct run_arguments *a)
{
    struct runner_options opt = {
        .stop = &cli_stop,
        .pause = a->pause,
        .json = a->common.json,
        .colour = cli_colour(stdout),
        .out = stdout,
        .log = stderr,
    };
    struct store *store;
    int code;

    cli_catch_signals();
    code = cli_open_store(&store, a->common.db, STORE_CREATE);
    if (code != EXIT_DONE)
        return code;
    code = run_plans(backend, (const struct plan *const *)plans, nplans, store, &opt);
    store_close(store);
    return code;
}

int cmd_run(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "SCENARIO...",
        .doc = "Carries out scenarios (names from 'cowlab list', or paths), looks at every process "
               "after every step, stores what was seen and prints it.",
        .help_filter = name_backends};
    struct run_arguments a = {.backend = backends[0]->ability->name};
    const struct backend *backend;
    struct plan **plans;
    size_t nplans = 0;
    int code = EXIT_DONE;

    cli_parse(&argp, argc, argv, &a);
    backend = backend_find(a.backend);
    if (!backend) {
        fprintf(stderr, "cowlab: there is no backend '%s'; there are:", a.backend);
        for (size_t i = 0; backends[i]; i++)
            fprintf(stderr, " %s", backends[i]->ability->name);
        fprintf(stderr, "\n");
        code = EXIT_USAGE;
    }
    plans = calloc(a.scenarios.count, sizeof *plans);
    if (!plans)
        cli_no_memory();
    for (size_t i = 0; backend && i < a.scenarios.count; i++) {
        struct plan *plan = NULL;

        code = exit_worse(code, prepare(a.scenarios.list[i], backend, &a, &plan));
        if (plan)
            plans[nplans++] = plan;
    }
    if (nplans > 0)
        code = exit_worse(code, run_prepared(backend, plans, nplans, &a));
    for (size_t i = 0; i < nplans; i++)
        plan_free(plans[i]);
    free(plans);
    free(a.params);
    free(a.scenarios.list);
    return code;
}
