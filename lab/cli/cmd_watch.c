/* cowlab watch PID... and cowlab watch -- COMMAND...: live processes over time. */
#include "lab/backends.h"
#include "lab/cli/cli.h"
#include "lab/run/machine.h"
#include "lab/watch/view.h"
#include "lab/watch/watch.h"
#include "probes/signals.h"
#include "reports/format.h"
#include "reports/report.h"
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAST_EVERY_NS 10000000ULL /* 10 ms */

struct watch_arguments {
    struct cli_common common;
    struct words pids;
    char **command; /* of argv, NULL-terminated; or NULL */
    uint64_t every_ns, for_ns;
    bool children, no_frames, lines;
};

enum { OPT_NO_FRAMES = 256, OPT_LINES };

static const struct argp_option options[] = {
    {"children", 'c', NULL, 0, "their descendants too, as they come (always with COMMAND)", 0},
    {"every", 'e', "TIME", 0, "time between samples: 500ms, 2s, 1m (default 1s)", 0},
    {"for", 'f', "TIME", 0, "end after this time (default: until Ctrl-C, or all have ended)", 0},
    CLI_OPTION_DB,
    {"no-frames", OPT_NO_FRAMES, NULL, 0,
     "only counters, no page frames: cheaper; what is shared with whom is then concluded", 0},
    {"lines", OPT_LINES, NULL, 0,
     "a line per sample instead of the live screen; with COMMAND, whose output the screen would "
     "disturb, the only way to see samples on the same terminal",
     0},
    {0},
};

/* "500ms", "1.5s", "2m", "1h"; a bare number is seconds. 0: not a time. */
static uint64_t parse_time(const char *text)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ms", 1e6}, {"s", 1e9}, {"", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    char *end;
    double n = strtod(text, &end);

    for (size_t i = 0; end != text && n > 0 && i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0 && n * units[i].ns < 1e18)
            return (uint64_t)(n * units[i].ns);
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct watch_arguments *a = state->input;
    uint64_t *time = key == 'e' ? &a->every_ns : &a->for_ns;

    switch (key) {
    case 'c':
        a->children = true;
        return 0;
    case OPT_NO_FRAMES:
        a->no_frames = true;
        return 0;
    case OPT_LINES:
        a->lines = true;
        return 0;
    case 'e':
    case 'f':
        *time = parse_time(arg);
        if (!*time || (key == 'e' && *time < LEAST_EVERY_NS))
            argp_error(state,
                       "'%s' is no time that can be used here: say 500ms, 2s, 1m (10ms or more)",
                       arg);
        return 0;
    case ARGP_KEY_ARG:
        if (state->quoted && state->next > state->quoted) {
            a->command = &state->argv[state->next - 1];
            state->next = state->argc;
        } else {
            words_add(&a->pids, arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (!a->pids.count && !a->command)
            argp_error(state, "name the processes to watch (is the one you mean running?), or a "
                              "command behind --");
        if (a->pids.count && a->command)
            argp_error(state, "processes or a command, not both");
        return 0;
    default:
        return cli_option(key, arg, state);
    }
}

/* Starts the command with the stdio, the signals and the limits that cowlab itself was given. It
 * is the user's: it lives on if cowlab ends. Returns its pid once it runs, or a negative errno. */
static pid_t start_command(char **command, struct err *e)
{
    int ready[2], code = 0;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot start '%s'", command[0]);
    pid = fork();
    if (pid == 0) {
        ssize_t n;

        signals_as_given();
        execvp(command[0], command);
        code = errno;
        n = write(ready[1], &code, sizeof code);
        _exit(n == sizeof code ? 127 : 126);
    }
    code = pid < 0 ? errno : 0;
    close(ready[1]);
    /* Ends when exec closes the other side. */
    if (pid > 0 && read(ready[0], &code, sizeof code) != sizeof code)
        code = 0;
    close(ready[0]);
    if (!code)
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return err_sys(e, code, "cannot start '%s'", command[0]);
}

static char *join_words(char **words)
{
    size_t size = 1;
    char *text;

    for (int i = 0; words[i]; i++)
        size += strlen(words[i]) + 1;
    text = calloc(1, size);
    for (int i = 0; text && words[i]; i++) {
        strcat(text, i ? " " : "");
        strcat(text, words[i]);
    }
    return text;
}

/* A live screen where the output is a terminal; not where a command of the user's writes to it. */
static void choose_view(struct watch_view *v, const struct watch_arguments *a)
{
    const char *term = getenv("TERM");
    bool able = term && *term && strcmp(term, "dumb") != 0 && !a->lines;

    if (!a->command)
        view_init(v, stdout, able && isatty(STDOUT_FILENO), cli_colour(stdout));
    else if (able && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO))
        view_init(v, stderr, true, cli_colour(stderr));
    else
        view_init(v, a->lines ? stderr : NULL, false, false);
}

static int add_all(struct tree *tree, const struct watch_arguments *a, pid_t command)
{
    struct err e;
    int rc;

    if (command > 0) {
        rc = tree_add(tree, command, &e);
        return rc < 0 ? cli_process_failure(rc, &e) : EXIT_DONE;
    }
    for (size_t i = 0; i < a->pids.count; i++) {
        pid_t pid;
        int code = cli_parse_pid(a->pids.list[i], &pid, &e);

        if (code != EXIT_DONE)
            return cli_fail(code, &e);
        rc = tree_add(tree, pid, &e);
        if (rc < 0)
            return cli_process_failure(rc, &e);
    }
    return EXIT_DONE;
}

static void say_end(const struct watch_result *r, const struct tree *tree, struct store *store)
{
    static const char *const ends[] = {"", "the time is over", "all have ended", "stopped",
                                       "cut short"};
    char time[FORMAT_MAX], samples[FORMAT_MAX];

    fprintf(stderr, "watched %zu process%s for %s (%s): %s in run %s\n", tree->ever,
            tree->ever == 1 ? "" : "es", format_ns(time, (double)r->dur_ns), ends[r->end],
            format_noun(samples, r->samples, "sample"), r->run_id);
    fprintf(stderr, "see: cowlab report %s -o watch.md", r->run_id);
    report_database_option(store, stderr);
    fputc('\n', stderr);
}

static int watch_all(struct tree *tree, struct store *store, const struct watch_arguments *a)
{
    struct watch_view view;
    struct watch_result result = {.samples = 0};
    char *command = a->command ? join_words(a->command) : NULL;
    struct watch_options opt = {.every_ns = a->every_ns,
                                .for_ns = a->for_ns,
                                .no_frames = a->no_frames,
                                .ability = backends[0]->ability,
                                .command = command,
                                .stop = &cli_stop,
                                .view = &view};
    struct err e;
    int rc;

    choose_view(&view, a);
    cli_catch_signals();
    rc = watch_run(tree, store, &opt, &result, &e);
    view_end(&view);
    free(command);
    if (result.samples && rc == 0)
        rc = report_watch_sentences(store, result.run_id, stderr, &e);
    if (result.samples)
        say_end(&result, tree, store);
    if (rc < 0)
        return cli_fail(EXIT_RUNNING, &e);
    return result.end == WATCH_STOPPED ? EXIT_INTERRUPTED : EXIT_DONE;
}

/* How the command ended, or that it goes on: it is not waited for. */
static void say_command(pid_t command)
{
    pid_t ended;
    int status;

    if (command <= 0)
        return;
    ended = waitpid(command, &status, WNOHANG);
    if (ended == 0)
        fprintf(stderr, "the command goes on (pid %d)\n", command);
    if (ended != command)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status))
        fprintf(stderr, "the command ended with status %d\n", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        fprintf(stderr, "the command was ended by signal %d\n", WTERMSIG(status));
}

int cmd_watch(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = "PID...\n-- COMMAND [ARG...]",
        .doc =
            "Looks at live processes over time and stores what they share, copy and use, as a "
            "run that 'cowlab report' and the sqlite3 shell read. Nothing is stopped, traced or "
            "written to; a sample is not atomic.\vExit status: 0 when --for is over or all have "
            "ended, 130 after Ctrl-C (the run is complete all the same), 2 for something that is "
            "no process number, 3 if a process may not be looked at, 4 if it is not there. A "
            "COMMAND that has not ended by then goes on."};
    struct watch_arguments a = {.every_ns = 1000000000};
    struct store *store;
    struct tree tree;
    struct err e;
    pid_t command = 0;
    int code;

    cli_parse(&argp, argc, argv, &a);
    machine_caps(); /* its self-tests come before what is watched */
    code = cli_open_store(&store, a.common.db, STORE_CREATE);
    if (code != EXIT_DONE) {
        free(a.pids.list);
        return code;
    }
    tree_init(&tree, a.children || a.command);
    if (a.command && (command = start_command(a.command, &e)) < 0)
        code = cli_fail(command == -ENOENT ? EXIT_USAGE : EXIT_RUNNING, &e);
    else {
        raise_descriptors(); /* six for each process; not the command's */
        code = add_all(&tree, &a, command);
    }
    if (code == EXIT_DONE)
        code = watch_all(&tree, store, &a);
    say_command(command);
    tree_release(&tree);
    store_close(store);
    free(a.pids.list);
    return code;
}
