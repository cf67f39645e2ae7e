/* cowlab-nameserver: the name server as a program of its own. Programs start one by themselves
 * when they need it; the lab starts one per run, in the foreground, on a socket of its own. */
#include "lab/machmsg/names/nameserver.h"
#include "probes/signals.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: cowlab-nameserver [--foreground] [--socket PATH] [--idle SECONDS]\n"
    "Keeps names of Mach services for the programs of one user.\n"
    "  --foreground    do not detach; print the socket's path once it listens; end on SIGTERM\n"
    "  --socket PATH   default: $COWLAB_BOOTSTRAP, else a private directory of the user\n"
    "  --idle SECONDS  end after so long unused (default: 10; in the foreground: never)\n";

static void say_ready(const char *socket)
{
    printf("%s\n", socket);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct nameserver_options opt = {.idle_ms = -2};
    char path[4096];
    int rc = 0;

    signals_begin();
    for (int i = 1; i < argc; i++) {
        char *end = "";

        if (strcmp(argv[i], "--foreground") == 0) {
            opt.foreground = true;
        } else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
            opt.socket = argv[++i];
        } else if (strcmp(argv[i], "--idle") == 0 && i + 1 < argc) {
            opt.idle_ms = (int)(strtod(argv[++i], &end) * 1000);
        } else if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        } else {
            end = argv[i];
        }
        if (*end) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (opt.idle_ms == -2)
        opt.idle_ms = opt.foreground ? -1 : NAMESERVER_IDLE_MS;
    if (!opt.socket) {
        rc = nameserver_path(path, sizeof path);
        opt.socket = path;
    }
    if (rc == 0)
        rc = nameserver_run(&opt, opt.foreground ? say_ready : NULL);
    if (rc == -EALREADY && !opt.foreground)
        return 0; /* started by two programs at once: one is enough */
    if (rc) {
        fprintf(stderr, "cowlab-nameserver: cannot serve at '%s': %s\n", opt.socket,
                rc == -EALREADY ? "another server is there" : strerror(-rc));
        return 4;
    }
    return 0;
}
