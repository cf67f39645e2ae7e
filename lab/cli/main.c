/* cowlab: sees copy-on-write happen. Finds the subcommand and hands over. */
#include "lab/cli/cli.h"

#include "lab/run/version.h"
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *call, *help;
};

static const struct command commands[] = {
    {"list", cmd_list, "", "the scenarios, and where they run"},
    {"run", cmd_run, "SCENARIO...", "carry out scenarios, store and show what was seen"},
    {"show", cmd_show, "[RUN]", "a stored run's timeline"},
    {"report", cmd_report, "[RUN...]", "the markdown report"},
    {"vmmap", cmd_vmmap, "PID", "the region table of a live process"},
    {"watch", cmd_watch, "PID... | -- COMMAND...", "observe live processes over time"},
    {"export", cmd_export, "[RUN]", "a run for other tools: a trace for ui.perfetto.dev"},
    {"doctor", cmd_doctor, "", "what this machine lets the lab see"},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

volatile int cli_stop;

static void note_signal(int number)
{
    (void)number;
    cli_stop = 1;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    /* A reader that has gone ("| head") is a failed write: the run is ended and marked. */
    signal(SIGPIPE, SIG_IGN);
    /* So is a file that may not grow (setrlimit(2), RLIMIT_FSIZE). */
    signal(SIGXFSZ, SIG_IGN);
}

static void die_without_memory(void)
{
    fprintf(stderr, "cowlab: out of memory\n");
    exit(EXIT_RUNNING);
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    if (argp_parse(argp, argc, argv, 0, NULL, input) != 0)
        die_without_memory();
}

void words_add(struct words *w, const char *word)
{
    const char **grown = realloc(w->list, (w->count + 1) * sizeof *grown);

    if (!grown)
        die_without_memory();
    w->list = grown;
    w->list[w->count++] = word;
}

int cli_fail(int code, const struct err *e)
{
    fprintf(stderr, "cowlab: %s\n", e->msg);
    return code;
}

int cli_store_fail(int rc, const struct err *e)
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

static int usage(FILE *out)
{
    fprintf(out, "Usage: cowlab COMMAND [OPTION...]\n"
                 "See copy-on-write happen in real processes.\n\n");
    for (size_t i = 0; i < NCOMMANDS; i++) {
        char call[64];

        snprintf(call, sizeof call, "%s %s", commands[i].name, commands[i].call);
        fprintf(out, "  cowlab %-30s %s\n", call, commands[i].help);
    }
    fprintf(
        out,
        "\n'cowlab COMMAND --help' explains a command. The database is --db FILE, else\n"
        "$COWLAB_DB, else cowlab.db in the current directory.\n"
        "Exit status: 0 done and all expectations held, 1 an expectation failed, 2 bad\n"
        "usage or scenario, 3 this machine cannot, 4 a failure while running, 130 interrupted.\n");
    return out == stdout ? EXIT_DONE : EXIT_USAGE;
}

/* Standard streams that the caller closed would be taken by the next descriptors that are opened,
 * and what is printed would go into those. Opened the wrong way round, so that using them fails. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    argp_err_exit_status = EXIT_USAGE;
    if (argc < 2)
        return usage(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return usage(stdout);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("cowlab %s\n", COWLAB_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            static char name[64];
            int code;

            snprintf(name, sizeof name, "cowlab %s", argv[1]);
            argv[1] = name; /* what argp calls the program */
            code = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "cowlab: cannot write to standard output\n");
                return exit_worse(code, EXIT_RUNNING);
            }
            return code;
        }
    fprintf(stderr, "cowlab: there is no command '%s'; see cowlab --help\n", argv[1]);
    return EXIT_USAGE;
}
