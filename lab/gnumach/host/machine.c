#include "lab/gnumach/host/machine.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_ROOM 65536u /* longer than any record; a longer line is cut by failing */
#define TAIL_ROOM 600u
#define IMAGE_FD 3 /* in QEMU */

struct machine {
    pid_t pid;
    int console, image;
    struct machine_options opt;
    char *buffer; /* read and not yet given out: [at, end) */
    size_t at, end;
    char tail[TAIL_ROOM + 1];
};

/* --- the parts --- */

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
                       "gnumach needs the GNU Mach image and the guest: run 'make deps-gnumach'");
    return 0;
}

/* --- the image --- */

static int write_all(int fd, const void *data, size_t n)
{
    const char *at = data;

    while (n > 0) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

static int read_file(const char *path, char **out, size_t *len, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data = NULL;
    size_t got = 0;
    int rc = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = err_sys(e, errno, "cannot read '%s'", path);
    else if (!(data = malloc((size_t)st.st_size + 1)))
        rc = err_set(e, ENOMEM, "out of memory");
    while (rc == 0 && got < (size_t)st.st_size) {
        ssize_t n = read(fd, data + got, (size_t)st.st_size - got);

        if (n < 0)
            rc = err_sys(e, errno, "cannot read '%s'", path);
        else if (n == 0)
            rc = err_set(e, EIO, "'%s' became shorter while it was read", path);
        else
            got += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (rc < 0) {
        free(data);
        return rc;
    }
    *out = data;
    *len = got;
    return 0;
}

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

/* The guest with its plan, as a file that exists in memory alone. */
static int make_image(const char *guest, const void *plan, size_t plan_len, struct err *e)
{
    static const char zeros[4096];
    size_t len = 0, padding;
    char *program = NULL;
    int fd = -1, rc = read_file(guest, &program, &len, e);

    padding = (sizeof zeros - len % sizeof zeros) % sizeof zeros;
    if (rc == 0)
        rc = point_at_plan(program, len, len + padding, plan_len, e);
    if (rc == 0 && (fd = memfd_create("cowlab-guest", MFD_CLOEXEC)) < 0)
        rc = err_sys(e, errno, "cannot create the guest's image");
    if (rc == 0 &&
        ((rc = write_all(fd, program, len)) < 0 || (rc = write_all(fd, zeros, padding)) < 0 ||
         (rc = write_all(fd, plan, plan_len)) < 0))
        rc = err_sys(e, -rc, "cannot write the guest's image");
    free(program);
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

/* --- the process --- */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

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

static int spawn(struct machine *m, const struct machine_parts *parts, struct err *e)
{
    int fds[2];
    pid_t parent = getpid();

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    fcntl(fds[1], F_SETPIPE_SZ, 1 << 20); /* so that the guest need not wait for us: if it may */
    m->pid = fork();
    if (m->pid == 0)
        become_qemu(parts, m->opt.memory_mib, m->image, fds[1], parent);
    m->console = fds[0];
    if (m->pid < 0)
        err_sys(e, errno, "cannot start QEMU");
    else
        setpgid(m->pid, m->pid);
    close(fds[1]);
    return m->pid < 0 ? -EAGAIN : 0;
}

static void become_version(const char *qemu, int output, pid_t parent)
{
    const char *argv[] = {qemu, "--version", NULL};
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    output = fcntl(output, F_DUPFD, 10);
    if (getppid() != parent || null < 0 || output < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 ||
        dup2(null, 2) < 0)
        _exit(127);
    close_range(3, ~0u, 0);
    execv(qemu, (char *const *)argv);
    _exit(127);
}

/* The first line, as far as it fits; what comes in a second. */
static void read_line(int fd, char *line, size_t size)
{
    uint64_t deadline = now_ms() + 1000, now;
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
    char line[256], *to = out;
    pid_t parent = getpid(), pid;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        become_version(parts->qemu, fds[1], parent);
    close(fds[1]);
    line[0] = '\0';
    if (pid > 0) {
        read_line(fds[0], line, sizeof line);
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(fds[0]);
    if (strncmp(line, says, sizeof says - 1) != 0)
        return -ENOMSG;
    for (const char *p = line + sizeof says - 1; *p && to + 1 < out + size; p++)
        if (*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\')
            *to++ = *p;
    *to = '\0';
    return 0;
}

int machine_start(struct machine **out, const struct machine_parts *parts, const void *plan,
                  size_t plan_len, const struct machine_options *opt, struct err *e)
{
    struct machine *m = calloc(1, sizeof *m);
    int rc = 0;

    if (!m || !(m->buffer = malloc(LINE_ROOM))) {
        free(m);
        return err_set(e, ENOMEM, "out of memory");
    }
    m->opt = *opt;
    m->console = m->image = -1;
    m->pid = -1;
    m->image = make_image(parts->guest, plan, plan_len, e);
    rc = m->image < 0 ? m->image : spawn(m, parts, e);
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
    if (m->console >= 0)
        close(m->console);
    if (m->image >= 0)
        close(m->image);
    free(m->buffer);
    free(m);
}

/* --- the console --- */

/* Keeps the last of it, printable, for messages. */
static void remember(struct machine *m, const char *line, size_t len)
{
    size_t used = strlen(m->tail);

    if (len > TAIL_ROOM / 3)
        len = TAIL_ROOM / 3;
    if (used + len + 3 > TAIL_ROOM) {
        size_t drop = used + len + 3 - TAIL_ROOM;

        memmove(m->tail, m->tail + drop, used - drop + 1);
        used -= drop;
    }
    for (size_t i = 0; i < len; i++) {
        char c = line[i];

        m->tail[used++] = c >= ' ' && c < 0x7f ? c : '?';
    }
    m->tail[used++] = '\n';
    m->tail[used] = '\0';
}

const char *machine_tail(const struct machine *m)
{
    return m->tail;
}

/* Waits for more of the console. 1 more, 0 the end. */
static int fill(struct machine *m, struct err *e)
{
    uint64_t deadline = now_ms() + (uint64_t)m->opt.silence_ms;

    if (m->at > 0) {
        memmove(m->buffer, m->buffer + m->at, m->end - m->at);
        m->end -= m->at;
        m->at = 0;
    }
    if (m->end == LINE_ROOM)
        return err_set(e, EBADMSG, "the guest printed a line without an end");
    for (;;) {
        struct pollfd in = {m->console, POLLIN, 0};
        int ready = poll(&in, 1, 100);
        ssize_t n;

        if (m->opt.stop && *m->opt.stop)
            return err_set(e, EINTR, "interrupted");
        if (ready > 0) {
            n = read(m->console, m->buffer + m->end, LINE_ROOM - m->end);
            if (n > 0)
                m->end += (size_t)n;
            if (n >= 0)
                return n > 0;
            if (errno != EINTR)
                return err_sys(e, errno, "cannot read the guest's console");
        }
        if (now_ms() >= deadline)
            return err_set(e, ETIMEDOUT, "the guest printed nothing for %d ms", m->opt.silence_ms);
    }
}

int machine_line(struct machine *m, char **line, size_t *len, struct err *e)
{
    for (;;) {
        char *start = m->buffer + m->at;
        char *newline = memchr(start, '\n', m->end - m->at);
        size_t n;
        int more;

        if (newline) {
            n = (size_t)(newline - start);
            m->at += n + 1;
            while (n > 0 && start[n - 1] == '\r')
                n--;
            while (n > 0 && *start == '\r') { /* the kernel ends lines with \n\r */
                start++;
                n--;
            }
            remember(m, start, n);
            *line = start;
            *len = n;
            return 1;
        }
        more = fill(m, e);
        if (more == 0 && m->end > m->at) /* the last words of a guest that was cut off */
            remember(m, m->buffer + m->at, m->end - m->at);
        if (more <= 0)
            return more;
    }
}
