/* cowlab report: stored runs as markdown with pictures. */
#include "lab/cli/cli.h"
#include "probes/list.h"
#include "reports/report.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* The runs that were named: of a series those that stand for it. */
struct chosen {
    char **ids;
    size_t n;
};

static int choose(struct store *store, const char *typed, struct chosen *c)
{
    char id[40], **added;
    struct err e;
    int code;

    if (cli_names_series(typed)) {
        size_t before = c->n;

        code = cli_find_series(store, typed, id);
        if (code == EXIT_DONE && report_series_runs(store, id, &c->ids, &c->n, &e) < 0)
            code = cli_fail(EXIT_RUNNING, &e);
        else if (code == EXIT_DONE && c->n == before) {
            err_set(&e, ENOENT, "series '%s' has no counted run yet", id);
            code = cli_fail(EXIT_USAGE, &e);
        }
        return code;
    }
    code = cli_find_run(store, typed, id);
    if (code != EXIT_DONE)
        return code;
    added = LIST_ADD(c->ids, c->n);
    if (!added || !(*added = strdup(id)))
        cli_no_memory();
    return EXIT_DONE;
}

static int report_runs(struct store *store, void *arg)
{
    const struct report_arguments *a = arg;
    struct chosen c = {0};
    int code = EXIT_DONE, rc = 0;
    struct err e;

    for (size_t i = 0; code == EXIT_DONE && i < a->runs.count; i++)
        code = choose(store, a->runs.list[i], &c);
    if (code == EXIT_DONE)
        rc = report_markdown(store, (const char *const *)c.ids, c.n, a->common.output, &e);
    if (rc < 0)
        code = cli_fail(rc == -ETXTBSY ? EXIT_USAGE : EXIT_RUNNING, &e);
    if (code == EXIT_DONE && a->common.output)
        fprintf(stderr, "wrote %s\n", a->common.output);
    for (size_t i = 0; i < c.n; i++)
        free(c.ids[i]);
    free(c.ids);
    return code;
}

int cmd_report(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "[RUN...]",
        .doc =
            "Writes all that is stored of these runs, of a series what its runs say together and "
            "all of the latest counted run of each combination; without RUN a page on the latest "
            "complete "
            "run per scenario and backend, or where there is none on the latest, and on the "
            "latest watch, and what the newest series says; what was cut short is marked. FILE and "
            "its pictures appear whole or "
            "not at all."};
    struct report_arguments a = {.common.db = NULL};
    int code;

    cli_parse(&argp, argc, argv, &a);
    code = cli_with_store(a.common.db, report_runs, &a);
    free(a.runs.list);
    return code;
}
