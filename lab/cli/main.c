/* cowlab: sees copy-on-write happen. Finds the subcommand and hands over. */
#include "lab/cli/cli.h"

#include "probes/signals.h"
#include "probes/stream.h"
#include "reports/escape.h"
#include <argp.h>
#include <fcntl.h>
#include <malloc.h>
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
    {"diff", cmd_diff, "A B", "what differs between two runs, series or databases"},
    {"vmmap", cmd_vmmap, "PID", "the region table of a live process"},
    {"watch", cmd_watch, "PID... | -- COMMAND...", "observe live processes over time"},
    {"export", cmd_export, "[RUN]", "a run for other tools: a trace for ui.perfetto.dev"},
    {"doctor", cmd_doctor, "", "what this machine lets the lab see"},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

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

static int command(int argc, char **argv)
{
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

            snprintf(name, sizeof name, "cowlab %s", argv[1]);
            argv[1] = name;                    /* what argp calls the program */
            if (commands[i].run != cmd_report) /* markdown is UTF-8 wherever it is read */
                escape_for_locale();
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "cowlab: there is no command '%s'; see cowlab --help\n", argv[1]);
    return EXIT_USAGE;
}

/* Whoever ends the program: argp does after --help. */
static void end_output(int code, void *unused)
{
    int rc = stream_end(stdout);

    (void)unused;
    if (rc == 0)
        return;
    fprintf(stderr, "cowlab: cannot write to standard output: %s\n", strerror(-rc));
    _exit(exit_worse(code, EXIT_RUNNING));
}

int main(int argc, char **argv)
{
    signals_begin();
    on_exit(end_output, NULL);
    hold_standard_streams();
    /* What a step has freed the next one uses: not given back and faulted in again each time. */
    mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
    argp_err_exit_status = EXIT_USAGE;
    return command(argc, argv);
}
