#include "lab/linux/actors.h"

#include "lab/linux/cgroup.h"
#include "lab/run/paths.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define DEADLINE_US_PER_PAGE 100 /* on top, for what an action touches */
#define SETTLE_MS 100            /* for an actor to wait again after its answer */
#define SLICE_MS 100             /* between two looks at the stop flag */
#define WATCHED 3                /* descriptors that every wait watches, before the actors' */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); /* Linux 5.3 */
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* All actors of a run stay on one CPU. A new page waits in a batch of the CPU that made it until
 * the kernel puts it on its LRU list, and the batch holds a reference; a write on another CPU then
 * takes the page for shared and copies what it could have kept (mm/memory.c,
 * wp_can_reuse_anon_folio: lru_add_drain reaches the own CPU only). On one CPU the outcome of a
 * write depends on nothing but the steps. Without permission to pin, the actors go unpinned. */
static void pin_to_one_cpu(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Between fork and exec, in the child: into the group, out of the lab's descriptors. output: what
 * its standard output is (the lab's is for data alone). Does not return. */
static void become(struct actor_group *g, int keep_fd, bool actor, int output, char *const argv[])
{
    sigset_t none;

    if (setpgid(0, g->keeper) < 0)
        _exit(126); /* the group is gone, and with it the run */
    if (actor)
        pin_to_one_cpu(g->cpu);
    if (actor && g->cgroup[0] && run_cgroup_join(g->cgroup) < 0)
        _exit(125);
    if (dup2(output, STDOUT_FILENO) < 0)
        _exit(124);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (keep_fd >= 0)
        fcntl(keep_fd, F_SETFD, 0);
    execv(argv[0], argv);
    _exit(127);
}

static int start_keeper(struct actor_group *g, struct err *e)
{
    char fd[16];
    char *argv[] = {g->program, "--keeper", fd, g->dir, g->cgroup, NULL};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    snprintf(fd, sizeof fd, "%d", ends[0]);
    g->keeper = fork();
    if (g->keeper == 0) {
        g->keeper = getpid();
        become(g, ends[0], false, STDERR_FILENO, argv);
    }
    if (g->keeper < 0) {
        int error = errno;

        close(ends[0]);
        close(ends[1]);
        return err_sys(e, error, "cannot start the keeper process");
    }
    setpgid(g->keeper, g->keeper); /* whoever is first: it must lead before an actor joins */
    close(ends[0]);
    g->keeper_pipe = ends[1];
    g->keeper_pidfd = open_pidfd(g->keeper);
    if (g->keeper_pidfd < 0)
        return err_sys(e, errno, "cannot open a pidfd (Linux 5.3 or later is needed)");
    return 0;
}

/* Chooses the run's directory: in $TMPDIR unless that is too long for a socket's path (unix(7)). */
static void name_dir(struct actor_group *g)
{
    const char *tmp = getenv("TMPDIR");
    uint32_t salt = 0;

    if (!tmp || !*tmp || strlen(tmp) > sizeof g->dir - sizeof "/cowlab-1234567-12345678/bootstrap")
        tmp = "/tmp";
    if (getrandom(&salt, sizeof salt, 0) < 0)
        salt = (uint32_t)now_ms();
    snprintf(g->dir, sizeof g->dir, "%s/cowlab-%d-%08x", tmp, getpid(), salt);
}

int actor_group_begin(struct actor_group *g, const struct backend_options *opt, bool want_cgroup,
                      struct err *e)
{
    int rc;

    memset(g, 0, sizeof *g);
    g->opt = opt;
    g->cpu = sched_getcpu();
    g->keeper_pipe = g->keeper_pidfd = g->helper_pidfd = -1;
    rc = find_program("cowlab-actor", "COWLAB_ACTOR", g->program, sizeof g->program, e);
    if (rc < 0)
        return rc;
    /* Forked actors whose parent exits become ours, and so can be reaped. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    name_dir(g);
    if (want_cgroup)
        run_cgroup_name(g->cgroup, sizeof g->cgroup);
    /* The keeper knows both names before they exist: a kill in between leaves nothing. */
    rc = start_keeper(g, e);
    if (rc == 0 && mkdir(g->dir, 0700) < 0)
        rc = err_sys(e, errno, "cannot create the run's directory '%s'", g->dir);
    if (rc == 0 && g->cgroup[0] && run_cgroup_make(g->cgroup) < 0)
        g->cgroup[0] = '\0';
    if (rc < 0)
        actor_group_end(g);
    return rc;
}

static void kill_and_await(int pidfd, int64_t until)
{
    struct pollfd p = {pidfd, POLLIN, 0};

    if (pidfd < 0)
        return;
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* Linux 5.1 */
    while (poll(&p, 1, 50) <= 0 && now_ms() < until)
        ;
}

static void reap_group(struct actor_group *g, int64_t until)
{
    const struct timespec pause_1ms = {0, 1000000};

    kill(-g->keeper, SIGKILL);
    while (now_ms() < until) {
        pid_t pid = waitpid(-g->keeper, NULL, WNOHANG);

        if (pid < 0 && errno == ECHILD)
            break;
        if (pid == 0)
            nanosleep(&pause_1ms, NULL);
    }
}

static void remove_dir(const char *dir)
{
    struct dirent *entry;
    DIR *d;

    /* Nearly always it is empty; then not even a descriptor is needed. */
    if (rmdir(dir) == 0)
        return;
    d = opendir(dir);
    if (!d)
        return;
    while ((entry = readdir(d)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
    rmdir(dir);
}

/* The keeper goes last: should the lab be killed in here, it does what is left to do. */
void actor_group_end(struct actor_group *g)
{
    int64_t until = now_ms() + 5000;

    for (size_t i = 0; i < g->nactors; i++) {
        close_fd(&g->actors[i].control);
        kill_and_await(g->actors[i].pidfd, until);
        close_fd(&g->actors[i].pidfd);
        free(g->actors[i].name);
    }
    free(g->actors);
    g->actors = NULL;
    g->nactors = 0;
    kill_and_await(g->helper_pidfd, until);
    close_fd(&g->helper_pidfd);
    while (g->keeper > 0 && waitpid(-g->keeper, NULL, WNOHANG) > 0)
        ; /* in a v1 cgroup a zombie still counts */
    if (g->cgroup[0])
        run_cgroup_remove(g->cgroup);
    if (g->dir[0])
        remove_dir(g->dir);
    g->cgroup[0] = g->dir[0] = '\0';
    if (g->keeper > 0)
        reap_group(g, until);
    g->keeper = 0;
    close_fd(&g->keeper_pidfd);
    close_fd(&g->keeper_pipe);
}

static int add_actor(struct actor_group *g, const char *name, pid_t pid, int control, struct err *e)
{
    struct actor_process *grown = realloc(g->actors, (g->nactors + 1) * sizeof *grown);
    struct actor_process *a;

    if (!grown)
        return err_set(e, ENOMEM, "out of memory");
    g->actors = grown;
    a = &g->actors[g->nactors];
    *a = (struct actor_process){strdup(name), pid, open_pidfd(pid), control, true};
    if (!a->name || a->pidfd < 0) {
        int rc = a->name ? err_sys(e, errno, "cannot watch actor '%s'", name)
                         : err_set(e, ENOMEM, "out of memory");

        free(a->name);
        close_fd(&a->pidfd);
        return rc;
    }
    return (int)g->nactors++;
}

/* How a process that is gone ended, as far as we can know. */
static int report_death(const char *who, pid_t pid, int pidfd, struct err *e)
{
    siginfo_t info = {0};
    struct pollfd gone = {pidfd, POLLIN, 0};

    poll(&gone, 1, 1000); /* its descriptors close a moment before it is gone */
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        if (info.si_code == CLD_EXITED)
            return err_set(e, ECHILD, "%s (pid %d) exited unasked with status %d", who, pid,
                           info.si_status);
        return err_set(e, ECHILD, "%s (pid %d) was killed by signal %d (%s)", who, pid,
                       info.si_status, strsignal(info.si_status));
    }
    return err_set(e, ECHILD, "%s (pid %d) is gone", who, pid);
}

static int report_actor_death(const struct actor_process *a, struct err *e)
{
    char who[128];

    snprintf(who, sizeof who, "actor '%s'", a->name);
    return report_death(who, a->pid, a->pidfd, e);
}

/* State letter of a process (proc(5), /proc/PID/stat), or '?'. */
static char process_state(pid_t pid)
{
    char path[64], text[512];
    char *p;
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return '?';
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return '?';
    text[n] = '\0';
    p = strrchr(text, ')');
    return p && p[1] == ' ' ? p[2] : '?';
}

static int64_t deadline_ms(const struct actor_group *g, uint64_t pages)
{
    int64_t base = g->opt->deadline_ms > 0 ? g->opt->deadline_ms : DEADLINE_MS;

    return base + (int64_t)(pages * DEADLINE_US_PER_PAGE / 1000);
}

/* Waits until fd is readable, an actor or the keeper dies, the user interrupts, or the time is
 * over. awaited: the actor whose death is what we wait for, or -1. 0, or a negative errno. */
static int await(struct actor_group *g, int fd, int awaited, int64_t until, int64_t allowed,
                 struct err *e)
{
    struct pollfd *p = calloc(g->nactors + WATCHED, sizeof *p);
    int rc = 0;

    if (!p)
        return err_set(e, ENOMEM, "out of memory");
    p[0] = (struct pollfd){fd, POLLIN, 0};
    p[1] = (struct pollfd){g->keeper_pidfd, POLLIN, 0};
    p[2] = (struct pollfd){g->helper_pidfd, POLLIN, 0};
    for (size_t i = 0; i < g->nactors; i++) {
        bool watch = g->actors[i].alive && (int)i != awaited;

        p[i + WATCHED] = (struct pollfd){watch ? g->actors[i].pidfd : -1, POLLIN, 0};
    }
    while (rc == 0) {
        int64_t left = until - now_ms();
        bool last = left <= 0;
        int n;

        if (g->opt->stop && *g->opt->stop) {
            rc = err_set(e, EINTR, "interrupted");
            break;
        }
        n = poll(p, g->nactors + WATCHED, last ? 0 : left < SLICE_MS ? (int)left : SLICE_MS);
        if (n <= 0) {
            if (last)
                rc = err_set(e, ETIMEDOUT, "no answer within %lld ms", (long long)allowed);
            continue;
        }
        /* Deaths first: an answer does not make up for one. */
        if (p[1].revents)
            rc = report_death("the keeper process", g->keeper, g->keeper_pidfd, e);
        else if (p[2].revents)
            rc = report_death("the run's name server", g->helper, g->helper_pidfd, e);
        for (size_t i = 0; rc == 0 && i < g->nactors; i++)
            if (p[i + WATCHED].revents)
                rc = report_actor_death(&g->actors[i], e);
        if (p[0].revents)
            break;
    }
    free(p);
    return rc;
}

int actor_group_check(struct actor_group *g, struct err *e)
{
    int rc = await(g, -1, -1, now_ms(), 0, e);

    return rc == -ETIMEDOUT ? 0 : rc;
}

static int send_request(struct actor_process *a, struct actor_request *rq, int pass_fd,
                        struct err *e)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {rq, sizeof *rq};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (pass_fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = control;
        msg.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
    }
    if (sendmsg(a->control, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return errno == EPIPE || errno == ECONNRESET
                   ? report_actor_death(a, e)
                   : err_sys(e, errno, "cannot send to actor '%s'", a->name);
    return 0;
}

/* Reads one reply that poll said is there. Its descriptors, if any, go to *fds. */
static int read_reply(struct actor_process *a, struct actor_reply *out, struct reply_fds *fds,
                      struct err *e)
{
    char control[CMSG_SPACE(sizeof fds->fd)];
    struct iovec iov = {out, sizeof *out};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c;
    ssize_t n = recvmsg(a->control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n <= 0)
        return report_actor_death(a, e);
    for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            fds->count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds->fd, CMSG_DATA(c), (size_t)fds->count * sizeof(int));
        }
    if (n != (ssize_t)sizeof *out || out->magic != ACTOR_MAGIC)
        return err_set(e, EPROTO, "actor '%s' is not of this build of cowlab", a->name);
    return 0;
}

static int await_reply(struct actor_group *g, size_t index, uint64_t pages, struct actor_reply *out,
                       struct reply_fds *fds, struct err *e)
{
    int64_t allowed = deadline_ms(g, pages);
    int64_t until = now_ms() + allowed;
    int rc;

    fds->count = 0;
    do {
        struct actor_process *a = &g->actors[index];

        rc = await(g, a->control, (int)index, until, allowed, e);
        if (rc == -ETIMEDOUT) {
            char state = process_state(a->pid);

            return err_set(e, ETIMEDOUT,
                           "actor '%s' (pid %d) gave no answer within %lld ms; its state is %c%s",
                           a->name, a->pid, (long long)allowed, state,
                           state == 'T' ? " (stopped)" : "");
        }
        if (rc == 0)
            rc = read_reply(a, out, fds, e);
        if (rc == 0 && out->progress == ACTOR_UNDER_WAY && g->opt->progress)
            g->opt->progress(g->opt->progress_arg, a->name,
                             (double)out->done / (double)(out->total ? out->total : 1));
    } while (rc == 0 && out->progress);
    for (int i = 0; rc < 0 && i < fds->count; i++)
        close(fds->fd[i]);
    if (rc < 0)
        fds->count = 0;
    return rc;
}

/* An actor that has answered still has some instructions to go until it waits for the next request:
 * a page that they bring in must not arrive in the middle of a look. State R is running, D a page
 * fault that waits. */
static void let_settle(const struct actor_process *a)
{
    const struct timespec pause = {0, 20000};
    int64_t until = now_ms() + SETTLE_MS;
    char state = process_state(a->pid);

    while ((state == 'R' || state == 'D') && now_ms() < until) {
        nanosleep(&pause, NULL);
        state = process_state(a->pid);
    }
}

int actor_call(struct actor_group *g, size_t index, struct actor_request *rq, int pass_fd,
               uint64_t pages, struct actor_reply *out, struct reply_fds *fds, struct err *e)
{
    struct reply_fds ignored;
    int rc;

    rq->magic = ACTOR_MAGIC;
    rq->seq = ++g->seq;
    rc = send_request(&g->actors[index], rq, pass_fd, e);
    if (rc == 0)
        rc = await_reply(g, index, pages, out, fds ? fds : &ignored, e);
    if (!fds)
        for (int i = 0; rc == 0 && i < ignored.count; i++)
            close(ignored.fd[i]);
    if (rc == 0 && out->error)
        rc = err_sys(e, out->error, "actor '%s': %s", g->actors[index].name, out->message);
    if (rc == 0)
        let_settle(&g->actors[index]);
    return rc;
}

static int await_hello(struct actor_group *g, size_t index, struct err *e)
{
    struct actor_reply hello;
    struct reply_fds fds;
    int rc = await_reply(g, index, 0, &hello, &fds, e);

    if (rc == 0 && hello.op != ACTOR_HELLO)
        rc = err_set(e, EPROTO, "actor '%s' did not say hello", g->actors[index].name);
    if (rc == 0)
        let_settle(&g->actors[index]);
    return rc;
}

int actor_spawn(struct actor_group *g, const char *name, struct err *e)
{
    char fd[16];
    char *argv[] = {g->program, fd, NULL};
    int ends[2];
    pid_t pid;
    int index, rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, errno, "cannot create a socket pair for actor '%s'", name);
    snprintf(fd, sizeof fd, "%d", ends[1]);
    pid = fork();
    if (pid == 0)
        become(g, ends[1], true, STDERR_FILENO, argv);
    close(ends[1]);
    if (pid < 0) {
        rc = err_sys(e, errno, "cannot start actor '%s'", name);
        close(ends[0]);
        return rc;
    }
    setpgid(pid, g->keeper);
    index = add_actor(g, name, pid, ends[0], e);
    if (index < 0) {
        close(ends[0]);
        return index;
    }
    rc = await_hello(g, (size_t)index, e);
    return rc < 0 ? rc : index;
}

int actor_group_helper(struct actor_group *g, char *const argv[], struct err *e)
{
    int64_t allowed = deadline_ms(g, 0);
    int ends[2], rc = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    pid = fork();
    if (pid == 0)
        become(g, -1, false, ends[1], argv);
    close(ends[1]);
    if (pid < 0)
        rc = err_sys(e, errno, "cannot start '%s'", argv[0]);
    if (rc == 0) {
        setpgid(pid, g->keeper);
        g->helper = pid;
        g->helper_pidfd = open_pidfd(pid);
        if (g->helper_pidfd < 0)
            rc = err_sys(e, errno, "cannot watch '%s'", argv[0]);
    }
    /* It says a line when it is ready; end of file means that it is gone. */
    if (rc == 0)
        rc = await(g, ends[0], -1, now_ms() + allowed, allowed, e);
    if (rc == 0) {
        char byte;

        if (read(ends[0], &byte, 1) != 1)
            rc = report_death("the run's name server", pid, g->helper_pidfd, e);
    }
    close(ends[0]);
    return rc;
}

int actor_fork_off(struct actor_group *g, size_t index, const char *child, struct actor_reply *out,
                   struct err *e)
{
    struct actor_request rq = {.op = ACT_FORK};
    int ends[2];
    int born, rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, errno, "cannot create a socket pair for actor '%s'", child);
    rc = actor_call(g, index, &rq, ends[1], 0, out, NULL, e);
    close(ends[1]);
    if (rc == 0) {
        rc = born = add_actor(g, child, out->pid, ends[0], e);
        if (born >= 0) {
            rc = await_hello(g, (size_t)born, e);
            return rc < 0 ? rc : born;
        }
    }
    close(ends[0]);
    return rc;
}

int actor_await_exit(struct actor_group *g, size_t index, struct err *e)
{
    struct actor_process *a = &g->actors[index];
    int64_t allowed = deadline_ms(g, 0);
    int rc = await(g, a->pidfd, (int)index, now_ms() + allowed, allowed, e);

    if (rc < 0)
        return err_prefix(e, rc, "actor '%s' did not exit", a->name);
    a->alive = false;
    close_fd(&a->control);
    return 0;
}
