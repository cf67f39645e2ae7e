#include "lab/cli/cli.h"
#include "probes/list.h"
#include "probes/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int cli_stop;

static void note_signal(int number)
{
    (void)number;
    cli_stop = 1;
}

void cli_catch_signals(void)
{
    signals_catch(note_signal);
}

void cli_no_memory(void)
{
    fprintf(stderr, "cowlab: out of memory\n");
    exit(EXIT_RUNNING);
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    if (argp_parse(argp, argc, argv, 0, NULL, input) != 0)
        cli_no_memory();
}

void words_add(struct words *w, const char *word)
{
    const char **added = LIST_ADD(w->list, w->count);

    if (!added)
        cli_no_memory();
    *added = word;
}

int cli_fail(int code, const struct err *e)
{
    fprintf(stderr, "cowlab: %s\n", e->msg);
    return code;
}

/* For a stored run: a database that is not there, or a run that is not in it, is bad usage;
 * anything else is a failure. rc: what the store said. */
static int cli_store_fail(int rc, const struct err *e)
{
    int code = cli_fail(rc == -ENOENT || rc == -EINVAL ? EXIT_USAGE : EXIT_RUNNING, e);

    if (rc == -ENOENT)
        fprintf(stderr, "name the database with --db, or make one: cowlab run fork-write\n");
    return code;
}

const char *cli_database(const char *given)
{
    const char *from_env = getenv("COWLAB_DB");

    if (given)
        return given;
    return from_env && *from_env ? from_env : "cowlab.db";
}

bool cli_colour(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* A process is a user's mistake (2) if it is no number, the machine's refusal (3) if its memory
 * may not be looked at, a failure (4) if it is not there (any more). */
int cli_parse_pid(const char *text, pid_t *pid, struct err *e)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno || end == text || *end || n <= 0 || n > INT32_MAX) {
        err_set(e, EINVAL, "'%s' is not a process number", text);
        return EXIT_USAGE;
    }
    *pid = (pid_t)n;
    return EXIT_DONE;
}

int cli_process_failure(int rc, const struct err *e)
{
    return cli_fail(rc == -EACCES || rc == -EPERM ? EXIT_MACHINE : EXIT_RUNNING, e);
}

int cli_with_store(const char *db, int (*use)(struct store *store, void *arg), void *arg)
{
    struct store *store;
    struct err e;
    int code, rc = store_open(&store, cli_database(db), STORE_READ, &e);

    if (rc < 0)
        return cli_store_fail(rc, &e);
    if (store_is_taken_as_it_lies(store))
        fprintf(stderr,
                "cowlab: '%s' cannot be written from here and has no log: read as it lies\n",
                cli_database(db));
    code = use(store, arg);
    store_close(store);
    return code;
}

int cli_find_run(struct store *store, const char *typed, char run_id[40])
{
    struct err e;
    int rc = store_find_run(store, typed ? typed : "latest", run_id, &e);

    return rc < 0 ? cli_store_fail(rc, &e) : EXIT_DONE;
}
