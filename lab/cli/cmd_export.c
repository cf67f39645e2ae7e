/* cowlab export RUN --format perfetto: a stored run for other tools. */
#include "lab/cli/cli.h"
#include "reports/output.h"
#include "reports/trace.h"
#include <argp.h>
#include <errno.h>
#include <string.h>

struct export_arguments {
    const char *run, *db, *output, *format;
};

static const struct argp_option options[] = {
    {"format", 'f', "NAME", 0,
     "perfetto (the default): JSON trace events that ui.perfetto.dev opens", 0},
    {"output", 'o', "FILE", 0, "write here (default: standard output)", 0},
    CLI_OPTION_DB,
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct export_arguments *a = state->input;

    switch (key) {
    case 'f':
        if (strcmp(arg, "perfetto") != 0)
            argp_error(state, "there is no format '%s'; there is: perfetto", arg);
        a->format = arg;
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case 'd':
        a->db = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->run)
            argp_error(state, "only one run can be exported");
        a->run = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int export_run(struct store *store, void *arg)
{
    const struct export_arguments *a = arg;
    struct output o = {.fd = -1, .file = stdout};
    char run_id[40];
    struct err e;
    int rc = 0, code = cli_find_run(store, a->run, run_id);

    if (code != EXIT_DONE)
        return code;
    if (a->output)
        rc = output_open(&o, a->output, NULL, store, &e);
    if (rc == 0)
        rc = report_trace(store, run_id, o.file, &e);
    if (rc == 0 && a->output && (rc = output_done(&o, &e)) == 0 && (rc = output_sync(&o, &e)) == 0)
        rc = output_place(&o, true, &e);
    if (a->output)
        output_drop(&o);
    if (rc < 0)
        return cli_fail(rc == -ETXTBSY ? EXIT_USAGE : EXIT_RUNNING, &e);
    if (a->output)
        fprintf(stderr, "wrote %s: open it at ui.perfetto.dev\n", a->output);
    return EXIT_DONE;
}

int cmd_export(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "[RUN]",
        "Writes a stored run for other tools. RUN is a run id, a unique part of one, or 'latest' "
        "(the default).",
        NULL,
        NULL,
        NULL};
    struct export_arguments a = {.run = NULL};

    cli_parse(&argp, argc, argv, &a);
    return cli_with_store(a.db, export_run, &a);
}
