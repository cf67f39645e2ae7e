/* The keeper: a process of the lab that makes sure nothing outlives it.
 *
 * It leads the process group that all actors of a run are in, and reads a pipe whose other end
 * only the lab has. End of file means that the lab is gone, however it died: the keeper starts a
 * janitor outside the group, then kills the whole group, itself included. The janitor removes the
 * run's directory and cgroup (rundir.h). SIGKILL reaches stopped actors too. If the keeper itself
 * is killed, the lab notices and ends the run; if both are, whom the lab started dies with it, who
 * was forked finds its socket closed, and the next run tidies up. */
#include "lab/linux/actor/actor.h"

#include "lab/linux/rundir.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define JANITOR_TRIES 200 /* of 10 ms each */

static void janitor(const char *run_dir)
{
    const struct timespec pause_10ms = {0, 10000000};

    setpgid(0, 0);
    for (int i = 0; i < JANITOR_TRIES && run_dir_remove(run_dir, -1) < 0; i++)
        nanosleep(&pause_10ms, NULL);
    _exit(0);
}

/* argv: PIPE_FD RUN_DIR */
int keeper_main(int argc, char **argv)
{
    char byte;
    ssize_t n;
    pid_t pid;

    if (argc != 2)
        return 2;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (getpgrp() != getpid())
        return 3;
    do
        n = read(atoi(argv[0]), &byte, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    pid = fork();
    if (pid == 0)
        janitor(argv[1]);
    if (pid > 0)
        setpgid(pid, pid); /* the janitor does it too: whoever is first, before the kill */
    kill(0, SIGKILL);
    return 3;
}
