/* cowlab export RUN --format perfetto: a stored run for other tools. */
#include "lab/cli/cli.h"
#include "reports/output.h"
#include "reports/trace.h"
#include <argp.h>
#include <errno.h>
#include <string.h>

static const struct argp_option options[] = {
    {"format", 'f', "NAME", 0,
     "perfetto (the default): JSON trace events that ui.perfetto.dev opens", 0},
    {"output", 'o', "FILE", 0, "write here (default: standard output)", 0},
    CLI_OPTION_DB,
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    if (key != 'f')
        return cli_option(key, arg, state);
    if (strcmp(arg, "perfetto") != 0)
        argp_error(state, "there is no format '%s'; there is: perfetto", arg);
    return 0;
}

static int export_run(struct store *store, void *arg)
{
    const struct cli_common *a = arg;
    struct output o = {.fd = -1, .file = stdout};
    char run_id[40];
    struct err e;
    int rc = 0, code = cli_find_run(store, a->argument, run_id);

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
        .options = options,
        .parser = parse_option,
        .args_doc = "[RUN]",
        .doc = "Writes a stored run for other tools. RUN is a run id, a unique part of one, or "
               "'latest' (the default)."};
    struct cli_common a = {.only = "only one run can be exported"};

    cli_parse(&argp, argc, argv, &a);
    return cli_with_store(a.db, export_run, &a);
}
