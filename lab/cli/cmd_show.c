/* cowlab show and cowlab report: stored runs, in the terminal and as markdown. */
#include "lab/cli/cli.h"
#include "reports/report.h"
#include <argp.h>
#include <stdlib.h>
#include <string.h>

struct view_arguments {
    struct words runs;
    const char *db, *output;
    bool json;
    size_t max_runs;
};

static const struct argp_option show_options[] = {
    {"db", 'd', "FILE", 0, "the database (default: $COWLAB_DB, else cowlab.db)", 0},
    {"json", 'j', NULL, 0, "as one JSON document", 0},
    {0},
};

static const struct argp_option report_options[] = {
    {"db", 'd', "FILE", 0, "the database (default: $COWLAB_DB, else cowlab.db)", 0},
    {"output", 'o', "FILE.md", 0,
     "write here, pictures beside it; without it the text goes to standard output, without "
     "pictures",
     0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct view_arguments *a = state->input;

    switch (key) {
    case 'd':
        a->db = arg;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->max_runs && a->runs.count == a->max_runs)
            argp_error(state, "only one run can be shown");
        words_add(&a->runs, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The steps of a scenario one by one; of a watch, which has thousands, a digest. */
static int show_text(struct store *store, const char *run_id, struct err *e)
{
    bool colour = cli_colour(stdout);
    int watch = report_is_watch(store, run_id, e);
    int rc = watch < 0 ? watch : report_heading(store, run_id, colour, stdout, e);

    if (rc == 0 && watch)
        return report_watch(store, run_id, stdout, e);
    if (rc == 0)
        rc = report_timeline(store, run_id, 0, 0, colour, stdout, e);
    return rc < 0 ? rc : report_summary(store, run_id, colour, stdout, e);
}

static int show_run(struct store *store, const char *typed, bool json)
{
    char run_id[40];
    struct err e;
    int rc = store_find_run(store, typed, run_id, &e);

    if (rc < 0)
        return cli_store_fail(rc, &e);
    rc = json ? report_json(store, run_id, stdout, &e) : show_text(store, run_id, &e);
    return rc < 0 ? cli_fail(EXIT_RUNNING, &e) : EXIT_DONE;
}

int cmd_show(int argc, char **argv)
{
    static const struct argp argp = {
        show_options,
        parse_option,
        "[RUN]",
        "Prints a stored run's timeline. RUN is a run id, a unique part of one, or 'latest' (the "
        "default).",
        NULL,
        NULL,
        NULL};
    struct view_arguments a = {.max_runs = 1};
    struct store *store;
    struct err e;
    int code, rc;

    cli_parse(&argp, argc, argv, &a);
    rc = store_open(&store, cli_database(a.db), STORE_READ, &e);
    if (rc < 0)
        return cli_store_fail(rc, &e);
    code = show_run(store, a.runs.count ? a.runs.list[0] : "latest", a.json);
    store_close(store);
    free(a.runs.list);
    return code;
}

/* Resolves what was typed; ids: one string of 40 bytes per run. */
static int resolve(struct store *store, const struct words *typed, char (*ids)[40],
                   const char **list)
{
    struct err e;

    for (size_t i = 0; i < typed->count; i++) {
        int rc = store_find_run(store, typed->list[i], ids[i], &e);

        if (rc < 0)
            return cli_store_fail(rc, &e);
        list[i] = ids[i];
    }
    return EXIT_DONE;
}

int cmd_report(int argc, char **argv)
{
    static const struct argp argp = {
        report_options,
        parse_option,
        "[RUN...]",
        "Writes the markdown report of these runs; without RUN, of the latest complete run per "
        "scenario and backend.",
        NULL,
        NULL,
        NULL};
    struct view_arguments a = {0};
    struct store *store;
    struct err e;
    char(*ids)[40];
    const char **list;
    int code, rc;

    cli_parse(&argp, argc, argv, &a);
    rc = store_open(&store, cli_database(a.db), STORE_READ, &e);
    if (rc < 0)
        return cli_store_fail(rc, &e);
    ids = calloc(a.runs.count + 1, sizeof *ids);
    list = calloc(a.runs.count + 1, sizeof *list);
    code = ids && list ? resolve(store, &a.runs, ids, list) : EXIT_RUNNING;
    if (code == EXIT_DONE && report_markdown(store, list, a.runs.count, a.output, &e) < 0)
        code = cli_fail(EXIT_RUNNING, &e);
    if (code == EXIT_DONE && a.output)
        fprintf(stderr, "wrote %s\n", a.output);
    free(ids);
    free(list);
    free(a.runs.list);
    store_close(store);
    return code;
}
