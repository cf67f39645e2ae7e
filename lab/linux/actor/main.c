/* The actor's loop, and the actions that are about the process itself. See actor.h. */
#include "lab/linux/actor/actor.h"

#include "probes/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct actor self; /* in .bss: one actor per process, and no heap of its own */

/* The child speaks over the socket that came with the request; its first word is a hello. */
int actor_ACT_FORK(struct actor *a)
{
    pid_t pid;

    if (a->passed_fd < 0)
        return actor_fail(a, EBADF, "no socket came for the child");
    cost_begin(a);
    pid = fork();
    if (pid < 0) {
        int error = errno;

        close(a->passed_fd);
        return actor_fail(a, error, "cannot fork");
    }
    if (pid == 0) {
        close(a->control);
        a->control = a->passed_fd;
        a->out.op = ACTOR_HELLO;
        a->out.pid = getpid();
        return 0;
    }
    cost_end(a);
    close(a->passed_fd);
    a->out.pid = pid;
    return 0;
}

/* A new program image over the same socket: it says hello when it is up. */
int actor_ACT_EXEC(struct actor *a)
{
    char fd[16];
    char *argv[] = {(char *)(uintptr_t)a->program, fd, NULL};
    int error;

    snprintf(fd, sizeof fd, "%d", a->control);
    fcntl(a->control, F_SETFD, 0);
    execv("/proc/self/exe", argv);
    error = errno;
    fcntl(a->control, F_SETFD, FD_CLOEXEC);
    return actor_fail(a, error, "cannot exec the actor program");
}

int actor_ACT_EXIT(struct actor *a)
{
    actor_reply(a);
    _exit(a->in.status);
}

int actor_ACT_WAIT(struct actor *a)
{
    int status;
    pid_t pid;

    /* The lab asks only after the child is gone, so there is nothing to wait for. */
    do
        pid = waitpid(a->in.pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return actor_fail(a, errno, "cannot wait for the child");
    if (pid == 0)
        return actor_fail(a, ECHILD, "the child has not exited");
    a->out.status = status;
    return 0;
}

/* Only the lab looks. */
int actor_ACT_CHECKPOINT(struct actor *a)
{
    (void)a;
    return 0;
}

static int hello(struct actor *a)
{
    a->out.pid = getpid();
    return a->in.to[0] ? actor_take_port(a) : 0;
}

#define ACTION_ENTRY(e, ...) [e] = actor_##e,

static int carry_out(struct actor *a)
{
    static int (*const actions[])(struct actor *) = {ACTIONS(ACTION_ENTRY)};
    uint32_t op = a->in.op;

    if (op == ACTOR_HELLO)
        return hello(a);
    if (op >= sizeof actions / sizeof *actions || !actions[op])
        return actor_fail(a, ENOSYS, "the actor does not know this action");
    errno = 0; /* what is there after a failure is the failure's */
    return actions[op](a);
}

int main(int argc, char **argv)
{
    signals_begin();
    if (argc >= 2 && strcmp(argv[1], "--keeper") == 0)
        return keeper_main(argc - 2, argv + 2);
    if (argc != 2 || atoi(argv[1]) <= 2) {
        static const char usage[] = "cowlab-actor is started by cowlab; see cowlab --help\n";

        return write(2, usage, sizeof usage - 1) < 0 ? 3 : 2;
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the lab: it ends us in order */
    /* An ordinary user's lab must be able to read /proc/PID of its own actors. */
    prctl(PR_SET_DUMPABLE, 1);
    self.control = atoi(argv[1]);
    fcntl(self.control, F_SETFD, FD_CLOEXEC);
    self.program = argv[0];
    self.out.magic = ACTOR_MAGIC;
    self.out.op = ACTOR_HELLO;
    self.out.pid = getpid();
    cost_begin(&self);
    for (;;) {
        actor_reply(&self);
        actor_receive(&self);
        carry_out(&self);
    }
}
