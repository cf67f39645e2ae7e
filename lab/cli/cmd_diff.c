/* cowlab diff: what differs between two runs, two series, or two databases. */
#include "lab/cli/cli.h"
#include "reports/report.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct diff_arguments {
    struct cli_common common;
    struct words sides;
};

static const struct argp_option options[] = {
    CLI_OPTION_DB,
    {"json", 'j', NULL, 0, "as one JSON document", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct diff_arguments *a = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        words_add(&a->sides, arg);
        return 0;
    case ARGP_KEY_END:
        if (a->sides.count != 2)
            argp_error(state, "name two: runs, series, or database files");
        return 0;
    default:
        return cli_option(key, arg, state);
    }
}

/* A file is a database; anything else is looked for in --db. */
static int open_side(struct diff_side *side, const char *typed, const char *db, char id[40])
{
    struct stat st;
    bool file = stat(typed, &st) == 0;
    int code = cli_open_store(&side->store, file ? typed : db, STORE_READ);

    side->typed = typed;
    if (code != EXIT_DONE || file)
        return code;
    if (cli_names_series(typed)) {
        side->series_id = id;
        return cli_find_series(side->store, typed, id);
    }
    side->run_id = id;
    return cli_find_run(side->store, typed, id);
}

static int compare(const struct diff_side sides[2], bool json)
{
    struct err e;
    int rc = report_diff(&sides[0], &sides[1], json, stdout, &e);

    if (rc < 0)
        return cli_fail(rc == -ENODATA ? EXIT_USAGE : EXIT_RUNNING, &e);
    return rc ? EXIT_EXPECTATION : EXIT_DONE;
}

int cmd_diff(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "A B",
        .doc =
            "What differs between two runs, two series, or two databases (of those per scenario, "
            "backend and parameters the newest series or complete run): every state, count and "
            "outcome that the scenario decides, exactly; of two series also times, faults and "
            "memory, "
            "beyond their spread. Exit status 1 if something differs."};
    struct diff_arguments a = {.common.db = NULL};
    struct diff_side sides[2] = {{.store = NULL}, {.store = NULL}};
    char ids[2][40];
    int code = EXIT_DONE;

    cli_parse(&argp, argc, argv, &a);
    for (int i = 0; i < 2 && code == EXIT_DONE; i++)
        code = open_side(&sides[i], a.sides.list[i], a.common.db, ids[i]);
    if (code == EXIT_DONE)
        code = compare(sides, a.common.json);
    for (int i = 0; i < 2; i++)
        if (sides[i].store)
            store_close(sides[i].store);
    free(a.sides.list);
    return code;
}
