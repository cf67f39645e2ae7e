#include "lab/gnumach/host/machine.h"

#include "lab/gnumach/host/console.h"
#include "lab/gnumach/host/image.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE_FD 3 /* in QEMU */

struct machine {
    pid_t pid; /* 0: not started */
    int image;
    struct console console;
};

/* In the child. Its own process group, so that Ctrl-C on the terminal is ours to handle; killed
 * when the parent dies, however it dies. */
static void become_qemu(const struct machine_parts *p, uint64_t memory_mib, int image, int console,
                        pid_t parent)
{
    char memory[32], module[256];
    int null = open("/dev/null", O_RDONLY);
    const char *argv[] = {p->qemu,
                          "-nodefaults",
                          "-no-user-config",
                          "-accel",
                          "tcg",
                          "-m",
                          memory,
                          "-nic",
                          "none",
                          "-display",
                          "none",
                          "-monitor",
                          "none",
                          "-serial",
                          "stdio",
                          "-no-reboot",
                          "-sandbox",
                          "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                          "-kernel",
                          p->kernel,
                          "-append",
                          "console=com0",
                          "-initrd",
                          module,
                          NULL};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || null < 0)
        _exit(127);
    setpgid(0, 0);
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)memory_mib);
    snprintf(module, sizeof module,
             "/proc/self/fd/%d guest ${host-port} ${device-port} $(task-create) $(task-resume)",
             IMAGE_FD);
    /* in an order that overwrites nothing still needed */
    image = fcntl(image, F_DUPFD, 10);
    console = fcntl(console, F_DUPFD, 10);
    if (image < 0 || console < 0 || dup2(null, 0) < 0 || dup2(console, 1) < 0 ||
        dup2(console, 2) < 0 || dup2(image, IMAGE_FD) < 0)
        _exit(127);
    close_range(IMAGE_FD + 1, ~0u, 0);
    execv(p->qemu, (char *const *)argv);
    _exit(127);
}

static int spawn(struct machine *m, const struct machine_parts *parts, uint64_t memory_mib,
                 struct err *e)
{
    int fds[2];
    pid_t parent = getpid();

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    fcntl(fds[1], F_SETPIPE_SZ, 1 << 20); /* so that the guest need not wait for us: if it may */
    m->pid = fork();
    if (m->pid == 0)
        become_qemu(parts, memory_mib, m->image, fds[1], parent);
    m->console.fd = fds[0];
    if (m->pid < 0)
        err_sys(e, errno, "cannot start QEMU");
    else
        setpgid(m->pid, m->pid);
    close(fds[1]);
    return m->pid < 0 ? -EAGAIN : 0;
}

int machine_start(struct machine **out, const struct machine_parts *parts, const void *plan,
                  size_t plan_len, const struct machine_options *opt, struct err *e)
{
    struct machine *m = calloc(1, sizeof *m);
    int rc;

    if (!m)
        return err_no_memory(e);
    m->image = -1;
    rc = console_init(&m->console, opt->silence_ms, opt->stop, e);
    if (rc == 0)
        rc = m->image = image_make(parts->guest, plan, plan_len, e);
    if (rc >= 0)
        rc = spawn(m, parts, opt->memory_mib, e);
    if (rc < 0) {
        machine_stop(m);
        return rc;
    }
    *out = m;
    return 0;
}

void machine_stop(struct machine *m)
{
    if (!m)
        return;
    if (m->pid > 0) {
        kill(-m->pid, SIGKILL); /* its group, if it has got so far */
        kill(m->pid, SIGKILL);
        while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (m->image >= 0)
        close(m->image);
    console_release(&m->console);
    free(m);
}

int machine_line(struct machine *m, char **line, size_t *len, struct err *e)
{
    return console_line(&m->console, line, len, e);
}

const char *machine_tail(const struct machine *m)
{
    return m->console.tail;
}
