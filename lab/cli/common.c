#include "lab/cli/cli.h"
#include "probes/list.h"
#include "probes/signals.h"
#include "reports/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

volatile int cli_stop;

/* What then still waits, for a reader of its output who does not read, is interrupted as well: once
 * a second, until the end. */
static void note_signal(int number)
{
    (void)number;
    cli_stop = 1;
    alarm(1);
}

void cli_catch_signals(void)
{
    struct sigaction again = {.sa_handler = note_signal};

    sigaction(SIGALRM, &again, NULL);
    signals_catch(note_signal);
}

void cli_no_memory(void)
{
    fprintf(stderr, "cowlab: out of memory\n");
    exit(EXIT_RUNNING);
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    if (argp_parse(argp, argc, argv, ARGP_IN_ORDER, NULL, input) != 0)
        cli_no_memory();
}

error_t cli_option(int key, char *arg, struct argp_state *state)
{
    struct cli_common *c = state->input;

    if (key == 'd')
        c->db = arg;
    else if (key == 'o')
        c->output = arg;
    else if (key == 'j')
        c->json = true;
    else if (key != ARGP_KEY_ARG || !c->only)
        return ARGP_ERR_UNKNOWN;
    else if (c->argument)
        argp_error(state, "%s", c->only);
    else
        c->argument = arg;
    return 0;
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

/* --db FILE, else $COWLAB_DB, else cowlab.db. */
static const char *database(const char *given)
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

/* What is printed into the database ("> cowlab.db") would destroy it. */
static bool printed_into(const char *path)
{
    struct stat st, file;

    if (stat(path, &file) < 0)
        return false;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fstat(fd, &st) == 0 && st.st_dev == file.st_dev && st.st_ino == file.st_ino)
            return true;
    return false;
}

/* For a stored run a database that is not there is bad usage; anything else is a failure. */
int cli_open_store(struct store **store, const char *db, enum store_mode mode)
{
    const char *path = database(db);
    struct err e;
    int rc = printed_into(path)
                 ? err_set(&e, ETXTBSY, "standard output or error is the database '%s'", path)
                 : store_open(store, path, mode, &e);

    if (rc == 0)
        return EXIT_DONE;
    if (rc == -ETXTBSY || (mode == STORE_READ && rc == -EINVAL))
        return cli_fail(EXIT_USAGE, &e);
    if (mode != STORE_READ || rc != -ENOENT)
        return cli_fail(EXIT_RUNNING, &e);
    cli_fail(EXIT_USAGE, &e);
    fprintf(stderr, "name the database with --db, or make one: cowlab run fork-write\n");
    return EXIT_USAGE;
}

int cli_with_store(const char *db, int (*use)(struct store *store, void *arg), void *arg)
{
    struct store *store;
    int code = cli_open_store(&store, db, STORE_READ);

    if (code != EXIT_DONE)
        return code;
    if (store_is_taken_as_it_lies(store))
        fprintf(stderr,
                "cowlab: '%s' cannot be written from here and has no log: read as it lies\n",
                database(db));
    code = use(store, arg);
    if (store_changed_meanwhile(store)) {
        fprintf(stderr, "cowlab: '%s' was changed while it was read: ask again\n", database(db));
        code = exit_worse(code, EXIT_RUNNING);
    }
    store_close(store);
    return code;
}

int cli_find_run(struct store *store, const char *typed, char run_id[40])
{
    struct err e;
    int rc = store_find_run(store, typed ? typed : "latest", run_id, &e);

    if (rc == 0)
        return EXIT_DONE;
    cli_fail(EXIT_USAGE, &e);
    if (rc == -ENOENT && typed && strcmp(typed, "latest") != 0)
        report_list_hint(store, stderr);
    return rc == -ENOENT || rc == -EINVAL ? EXIT_USAGE : EXIT_RUNNING;
}

bool cli_names_series(const char *typed)
{
    return typed && strncmp(typed, SERIES_PREFIX, sizeof SERIES_PREFIX - 1) == 0;
}

int cli_find_series(struct store *store, const char *typed, char series_id[40])
{
    struct err e;
    int rc = store_find_series(store, typed, series_id, &e);

    if (rc == 0)
        return EXIT_DONE;
    return cli_fail(rc == -ENOENT || rc == -EINVAL ? EXIT_USAGE : EXIT_RUNNING, &e);
}

int cli_show_series(struct store *store, const char *series_id, bool json, struct err *e)
{
    return json ? report_series_json(store, series_id, stdout, e)
                : report_series(store, series_id, cli_colour(stdout), stdout, e);
}
