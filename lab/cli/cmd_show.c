/* cowlab show: a stored run, or a series, in the terminal. */
#include "lab/cli/cli.h"
#include "reports/report.h"
#include <argp.h>

static const struct argp_option options[] = {
    CLI_OPTION_DB,
    {"json", 'j', NULL, 0, "as one JSON document", 0},
    {0},
};

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
    const struct cli_common *a = arg;
    bool series = cli_names_series(a->argument);
    char id[40];
    struct err e;
    int rc, code = series ? cli_find_series(store, a->argument, id)
                          : cli_find_run(store, a->argument, id);

    if (code != EXIT_DONE)
        return code;
    if (series)
        rc = cli_show_series(store, id, a->json, &e);
    else
        rc = a->json ? report_json(store, id, stdout, &e) : show_text(store, id, &e);
    return rc < 0 ? cli_fail(EXIT_RUNNING, &e) : EXIT_DONE;
}

int cmd_show(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = cli_option,
        .args_doc = "[RUN]",
        .doc =
            "Prints a stored run's timeline, or sums a series up. RUN is the id of a run or "
            "series, a unique part of one (of a series from its 'series-' on), or 'latest' (run, "
            "the default)."};
    struct cli_common a = {.only = "only one run can be shown"};

    cli_parse(&argp, argc, argv, &a);
    return cli_with_store(a.db, show_run, &a);
}
