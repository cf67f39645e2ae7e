/* cli: the cowlab command. main.c finds the subcommand; each has a file of its own, cmd_NAME.c;
 * what they share is in common.c.
 * Data goes to stdout, progress and errors to stderr; exit codes are in lab/run/exits.h. */
#pragma once

#include "db/store.h"
#include "lab/run/exits.h"
#include "probes/err.h"
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

int cmd_list(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_vmmap(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_diff(int argc, char **argv);

/* Ends the program. */
void cli_no_memory(void) __attribute__((noreturn));

/* argp_parse; ends the program when that fails for want of memory. */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* What several commands take, and the parser of it: alone, or for what is not a command's own,
 * whose input begins with this struct. */
struct cli_common {
    const char *db, *output;
    const char *only;     /* the error if there is more than one argument; NULL: it takes none */
    const char *argument; /* that one, or NULL */
    bool json;
};
error_t cli_option(int key, char *arg, struct argp_state *state);

/* A growing list of words from the command line. */
struct words {
    const char **list;
    size_t count;
};
void words_add(struct words *w, const char *word);

/* For argp: the option that every command with a database has. */
#define CLI_OPTION_DB                                                                              \
    {                                                                                              \
        "db", 'd', "FILE", 0, "the database (default: $COWLAB_DB, else cowlab.db)", 0              \
    }

/* Prints "cowlab: <message>" and returns code. */
int cli_fail(int code, const struct err *e);

/* Opens the database (db: of --db). Returns an exit code, with the failure printed. */
int cli_open_store(struct store **store, const char *db, enum store_mode mode);
/* Opens it for reading, uses it and closes it. Returns an exit code. */
int cli_with_store(const char *db, int (*use)(struct store *store, void *arg), void *arg);
/* Which run was meant; typed NULL: the latest. Returns an exit code, with the failure printed. */
int cli_find_run(struct store *store, const char *typed, char run_id[40]);

/* Was a series meant, not a run? Finds it as cli_find_run does. */
bool cli_names_series(const char *typed);
int cli_find_series(struct store *store, const char *typed, char series_id[40]);
/* Prints it to standard output. 0, or what went wrong. */
int cli_show_series(struct store *store, const char *series_id, bool json, struct err *e);

/* Colour only on a terminal and never with NO_COLOR (no-color.org). */
bool cli_colour(FILE *out);

/* Becomes non-zero on a signal to end once cli_catch_signals was called (probes/signals.h). */
extern volatile int cli_stop;
void cli_catch_signals(void);

/* A process number: EXIT_DONE, or EXIT_USAGE with a message. */
int cli_parse_pid(const char *text, pid_t *pid, struct err *e);
/* Prints the failure to look at a process: EXIT_MACHINE if it is forbidden, else EXIT_RUNNING. */
int cli_process_failure(int rc, const struct err *e);
