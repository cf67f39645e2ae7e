#include "lab/gnumach/host/parts.h"

#include "lab/run/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int in_path(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path ? path : "/usr/bin:/bin"), *save = NULL;
    int found = 0;

    for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir && !found;
         dir = strtok_r(NULL, ":", &save)) {
        int n = snprintf(out, size, "%s/%s", dir, name);

        found = n > 0 && (size_t)n < size && access(out, X_OK) == 0;
    }
    free(copy);
    return found;
}

static bool is_parts_folder(const char *dir, struct machine_parts *p)
{
    snprintf(p->kernel, sizeof p->kernel, "%.4000s/kernel", dir);
    snprintf(p->guest, sizeof p->guest, "%.4000s/guest", dir);
    snprintf(p->versions, sizeof p->versions, "%.4000s/versions.json", dir);
    return access(p->kernel, R_OK) == 0 && access(p->guest, R_OK) == 0;
}

/* $COWLAB_GNUMACH, or beside this program: build/release/cowlab, build/release/tests/x, and
 * installed PREFIX/bin/cowlab. */
static bool find_folder(struct machine_parts *p)
{
    static const char *const where[] = {"../gnumach", "../../gnumach", "../lib/cowlab/gnumach"};
    const char *given = getenv("COWLAB_GNUMACH");
    char self[2048], dir[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *here;

    if (given)
        return is_parts_folder(given, p);
    if (n < 0)
        return false;
    self[n] = '\0';
    here = dirname(self);
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        snprintf(dir, sizeof dir, "%s/%s", here, where[i]);
        if (is_parts_folder(dir, p))
            return true;
    }
    return false;
}

int machine_find(struct machine_parts *parts, struct err *e)
{
    memset(parts, 0, sizeof *parts);
    if (!in_path("qemu-system-x86_64", parts->qemu, sizeof parts->qemu))
        return err_set(e, ENOTSUP,
                       "gnumach needs QEMU: no qemu-system-x86_64 here (Debian: qemu-system-x86)");
    if (!find_folder(parts))
        return err_set(e, ENOTSUP,
                       "gnumach needs the GNU Mach image and the guest: run 'make deps-gnumach' in "
                       "cowlab's source folder (for an installed cowlab name that folder's "
                       "build/gnumach in $COWLAB_GNUMACH, or 'make install' again)");
    return 0;
}

/* -- programs --------------------------------------------------------------------------- */

/* In the child. */
static void become(const char *const argv[], int fd, bool errors, int output, pid_t parent)
{
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    /* in an order that overwrites nothing still needed */
    fd = fd < 0 ? null : fd;
    null = fcntl(null, F_DUPFD, 10);
    fd = fcntl(fd, F_DUPFD, 10);
    output = fcntl(output, F_DUPFD, 10);
    if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(errors ? output : null, 2) < 0 ||
        dup2(fd, 3) < 0)
        _exit(127);
    close_range(4, ~0u, 0);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

pid_t program_start(const char *const argv[], int fd, bool errors, int *from)
{
    pid_t parent = getpid(), pid;
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    error = errno;
    if (pid == 0)
        become(argv, fd, errors, ends[1], parent);
    if (pid > 0)
        setpgid(pid, pid);
    close(ends[1]);
    if (pid > 0)
        *from = ends[0];
    else
        close(ends[0]);
    return pid < 0 ? -error : pid;
}

void program_stop(pid_t pid)
{
    kill(-pid, SIGKILL); /* its group, if it has got so far */
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* The first line, as far as it fits; what comes in a second. */
static void read_line(int fd, char *line, size_t size)
{
    int64_t deadline = now_ms() + 1000, now;
    size_t used = 0;
    ssize_t n = 1;

    line[0] = '\0';
    while (n > 0 && !strchr(line, '\n') && used + 1 < size && (now = now_ms()) < deadline) {
        struct pollfd in = {fd, POLLIN, 0};

        if (poll(&in, 1, (int)(deadline - now)) <= 0)
            continue;
        n = read(fd, line + used, size - 1 - used);
        used += n > 0 ? (size_t)n : 0;
        line[used] = '\0';
    }
    line[strcspn(line, "\r\n")] = '\0';
}

int machine_version(const struct machine_parts *parts, char *out, size_t size)
{
    static const char says[] = "QEMU emulator version ";
    const char *const argv[] = {parts->qemu, "--version", NULL};
    char line[256], *to = out;
    int from;
    pid_t pid = program_start(argv, -1, false, &from);

    if (pid < 0)
        return pid;
    read_line(from, line, sizeof line);
    program_stop(pid);
    close(from);
    if (strncmp(line, says, sizeof says - 1) != 0)
        return -ENOMSG;
    for (const char *p = line + sizeof says - 1; *p && to + 1 < out + size; p++)
        if (*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\')
            *to++ = *p;
    *to = '\0';
    return 0;
}
