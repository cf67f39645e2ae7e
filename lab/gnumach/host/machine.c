#include "lab/gnumach/host/machine.h"

#include "probes/slurp.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct machine {
    pid_t pid; /* 0: not started */
    struct console console;
};

/* The program's last segment is the plan's: it gets its place at the end of the file. */
static int point_at_plan(char *program, size_t len, size_t plan_at, size_t plan_len, struct err *e)
{
    Elf64_Ehdr head;
    Elf64_Phdr last;
    size_t at;

    if (len < sizeof head)
        return err_set(e, EINVAL, "the guest is no program");
    memcpy(&head, program, sizeof head);
    at = head.e_phoff + (head.e_phnum - 1u) * sizeof last;
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_phnum == 0 || head.e_phoff > len || at + sizeof last > len)
        return err_set(e, EINVAL, "the guest is no 64-bit program");
    memcpy(&last, program + at, sizeof last);
    last.p_offset = plan_at;
    last.p_filesz = last.p_memsz = plan_len;
    memcpy(program + at, &last, sizeof last);
    return 0;
}

/* The guest with its plan, as a file that exists in memory alone: a descriptor, or a negative
 * errno. */
static int make_image(const char *guest, const void *plan, size_t plan_len, struct err *e)
{
    static const char zeros[4096];
    struct slurp program = {0};
    int fd = -1, rc = slurp_path(&program, guest);
    size_t len = program.len, padding = (sizeof zeros - len % sizeof zeros) % sizeof zeros;

    if (rc < 0)
        err_sys(e, -rc, "cannot read '%s'", guest);
    else
        rc = point_at_plan(program.text, len, len + padding, plan_len, e);
    if (rc == 0 && (fd = memfd_create("cowlab-guest", MFD_CLOEXEC)) < 0)
        rc = err_sys(e, errno, "cannot create the guest's image");
    if (rc == 0 && ((rc = fd_write_all(fd, program.text, len)) < 0 ||
                    (rc = fd_write_all(fd, zeros, padding)) < 0 ||
                    (rc = fd_write_all(fd, plan, plan_len)) < 0))
        rc = err_sys(e, -rc, "cannot write the guest's image");
    slurp_release(&program);
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static int spawn(struct machine *m, const struct machine_parts *p, uint64_t memory_mib, int image,
                 struct err *e)
{
    static const char module[] =
        "/proc/self/fd/3 guest ${host-port} ${device-port} $(task-create) $(task-resume)";
    static const char sandbox[] =
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
    char memory[32];
    const char *const argv[] = {p->qemu,
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
                                sandbox,
                                "-kernel",
                                p->kernel,
                                "-append",
                                "console=com0",
                                "-initrd",
                                module,
                                NULL};
    pid_t pid;

    snprintf(memory, sizeof memory, "%llu", (unsigned long long)memory_mib);
    pid = program_start(argv, image, true, &m->console.fd);
    if (pid < 0)
        return err_sys(e, -pid, "cannot start QEMU");
    m->pid = pid;
    /* so that the guest need not wait for us: if it may */
    fcntl(m->console.fd, F_SETPIPE_SZ, 1 << 20);
    return 0;
}

int machine_start(struct machine **out, const struct machine_parts *parts, const void *plan,
                  size_t plan_len, const struct machine_options *opt, struct err *e)
{
    struct machine *m = calloc(1, sizeof *m);
    int image = -1, rc;

    if (!m)
        return err_no_memory(e);
    rc = console_init(&m->console, opt->silence_ms, opt->stop, e);
    if (rc == 0)
        rc = image = make_image(parts->guest, plan, plan_len, e);
    if (rc >= 0)
        rc = spawn(m, parts, opt->memory_mib, image, e);
    if (image >= 0)
        close(image);
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
    if (m->pid > 0)
        program_stop(m->pid);
    console_release(&m->console);
    free(m);
}

struct console *machine_console(struct machine *m)
{
    return &m->console;
}
