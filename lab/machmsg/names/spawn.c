/* spawn: see spawn.h. */
#include "lab/machmsg/names/spawn.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The caller's environment and one more line, which the caller of this frees with the list. */
static char **with_mark(const char *mark, const char *value)
{
    size_t n = 0, room = strlen(mark) + strlen(value) + 2;
    char **env, *line;

    while (environ[n])
        n++;
    if (!(env = malloc((n + 2) * sizeof *env + room)))
        return NULL;
    line = (char *)(env + n + 2);
    snprintf(line, room, "%s=%s", mark, value);
    memcpy(env, environ, n * sizeof *env);
    env[n] = line;
    env[n + 1] = NULL;
    return env;
}

static int spawn(const char *program, char *const argv[], char **env, int fd, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    int rc;

    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&files);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    if (fd >= 0)
        posix_spawn_file_actions_adddup2(&files, fd, 3);
    rc = -posix_spawn(pid, program, &files, &attr, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

int spawn_detached(const char *program, char *const argv[], const char *mark, const char *value,
                   int fd)
{
    char **env = mark ? with_mark(mark, value) : environ;
    char self[4096];
    pid_t pid;
    int rc, status = 0;

    if (!env)
        return -ENOMEM;
    if (!program) {
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

        self[n > 0 ? n : 0] = 0;
        /* The link itself works where its text does not: a program that was deleted. */
        program = n > 0 && access(self, X_OK) == 0 ? self : "/proc/self/exe";
    }
    rc = spawn(program, argv, env, fd, &pid);
    if (mark)
        free(env);
    /* A handler of the program's may reap it first: that is as good. */
    while (rc == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return rc ? rc : WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}
