/* cowlab show: a stored run in the terminal. */
#include "lab/cli/cli.h"
#include "reports/report.h"
#include <argp.h>

struct show_arguments {
    const char *run, *db;
    bool json;
};

static const struct argp_option options[] = {
    CLI_OPTION_DB,
    {"json", 'j', NULL, 0, "as one JSON document", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct show_arguments *a = state->input;

    switch (key) {
    case 'd':
        a->db = arg;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->run)
            argp_error(state, "only one run can be shown");
        a->run = arg;
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

    if (rc == 0)
        rc = report_cut_short(store, run_id, colour, stdout, e);
    if (rc == 0 && watch)
        return report_watch(store, run_id, stdout, e);
    if (rc == 0)
        rc = report_timeline(store, run_id, colour, stdout, e);
    return rc < 0 ? rc : report_summary(store, run_id, colour, stdout, e);
}

static int show_run(struct store *store, void *arg)
{
    const struct show_arguments *a = arg;
    char run_id[40];
    struct err e;
    int code = cli_find_run(store, a->run, run_id);

    if (code != EXIT_DONE)
        return code;
    if ((a->json ? report_json(store, run_id, stdout, &e) : show_text(store, run_id, &e)) < 0)
        return cli_fail(EXIT_RUNNING, &e);
    return EXIT_DONE;
}

int cmd_show(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "[RUN]",
        "Prints a stored run's timeline. RUN is a run id, a unique part of one, or 'latest' (the "
        "default).",
        NULL,
        NULL,
        NULL};
    struct show_arguments a = {.run = NULL};

    cli_parse(&argp, argc, argv, &a);
    return cli_with_store(a.db, show_run, &a);
}
