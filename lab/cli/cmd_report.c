/* cowlab report: stored runs as markdown with pictures. */
#include "lab/cli/cli.h"
#include "reports/report.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>

struct report_arguments {
    struct cli_common common;
    struct words runs;
};

static const struct argp_option options[] = {
    CLI_OPTION_DB,
    {"output", 'o', "FILE", 0,
     "FILE.md: write here, pictures beside it; FILE.html: one page for a browser, all in it; "
     "without it the text goes to standard output, without pictures",
     0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct report_arguments *a = state->input;

    if (key != ARGP_KEY_ARG)
        return cli_option(key, arg, state);
    words_add(&a->runs, arg);
    return 0;
}

static int report_runs(struct store *store, void *arg)
{
    const struct report_arguments *a = arg;
    char(*ids)[40] = calloc(a->runs.count + 1, sizeof *ids);
    const char **list = calloc(a->runs.count + 1, sizeof *list);
    int code = EXIT_DONE, rc = 0;
    struct err e;

    if (!ids || !list)
        cli_no_memory();
    for (size_t i = 0; code == EXIT_DONE && i < a->runs.count; i++) {
        code = cli_find_run(store, a->runs.list[i], ids[i]);
        list[i] = ids[i];
    }
    if (code == EXIT_DONE)
        rc = report_markdown(store, list, a->runs.count, a->common.output, &e);
    if (rc < 0)
        code = cli_fail(rc == -ETXTBSY ? EXIT_USAGE : EXIT_RUNNING, &e);
    if (code == EXIT_DONE && a->common.output)
        fprintf(stderr, "wrote %s\n", a->common.output);
    free(ids);
    free(list);
    return code;
}

int cmd_report(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "[RUN...]",
        .doc = "Writes all that is stored of these runs; without RUN a page on the latest complete "
               "run per scenario and backend, or where there is none on the latest, and on the "
               "latest watch; what was cut short is marked. FILE and its pictures appear whole or "
               "not at all."};
    struct report_arguments a = {.common.db = NULL};
    int code;

    cli_parse(&argp, argc, argv, &a);
    code = cli_with_store(a.common.db, report_runs, &a);
    free(a.runs.list);
    return code;
}
