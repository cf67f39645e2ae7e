#include "lab/linux/actors.h"

#include "lab/linux/cgroup.h"
#include "lab/linux/rundir.h"
#include "lab/linux/shortage.h"
#include "lab/linux/talk.h"
#include "lab/run/clock.h"
#include "lab/run/paths.h"
#include "probes/list.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
 * its standard output is (the lab's is for data alone). All but the keeper die with the lab even if
 * the keeper died with it. Does not return. */
static void become(struct actor_group *g, int keep_fd, bool actor, bool join, int output,
                   char *const argv[])
{
    if (setpgid(0, g->keeper) < 0)
        _exit(126); /* the group is gone, and with it the run */
    if (g->keeper != getpid()) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != g->lab)
            _exit(126); /* it died before that */
    }
    if (dup2(output, STDOUT_FILENO) < 0)
        _exit(124);
    /* The user's too, and so joining the cgroup is never short of them. */
    if (keep_fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned int)keep_fd - 1, 0);
    close_range(keep_fd > STDERR_FILENO ? (unsigned int)keep_fd + 1 : STDERR_FILENO + 1, ~0u, 0);
    if (actor)
        pin_to_one_cpu(g->cpu);
    if (join && run_cgroup_join(g->cgroup) < 0)
        _exit(125);
    if (keep_fd >= 0)
        fcntl(keep_fd, F_SETFD, 0);
    execv(argv[0], argv);
    _exit(127);
}

static int start_keeper(struct actor_group *g, struct err *e)
{
    char fd[16];
    char *argv[] = {g->program, "--keeper", fd, g->dir, NULL};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    snprintf(fd, sizeof fd, "%d", ends[0]);
    g->keeper = fork();
    if (g->keeper == 0) {
        g->keeper = getpid();
        become(g, ends[0], false, false, STDERR_FILENO, argv);
    }
    if (g->keeper < 0) {
        int error = errno;

        close(ends[0]);
        close(ends[1]);
        return shortage_explain_fork(e, err_sys(e, error, "cannot start the keeper process"));
    }
    setpgid(g->keeper, g->keeper); /* whoever is first: it must lead before an actor joins */
    close(ends[0]);
    g->keeper_pipe = ends[1];
    g->keeper_pidfd = open_pidfd(g->keeper);
    if (g->keeper_pidfd < 0)
        return err_sys(e, errno, "cannot open a pidfd (Linux 5.3 or later is needed)");
    return 0;
}

int actor_group_begin(struct actor_group *g, const struct backend_options *opt, bool want_cgroup,
                      struct err *e)
{
    int rc;

    memset(g, 0, sizeof *g);
    g->opt = opt;
    g->cpu = sched_getcpu();
    g->lab = getpid();
    g->oom_kills = shortage_oom_kills();
    g->lock = g->keeper_pipe = g->keeper_pidfd = g->helper_pidfd = -1;
    rc = find_program("cowlab-actor", "COWLAB_ACTOR", g->program, sizeof g->program, e);
    if (rc < 0)
        return rc;
    /* Forked actors whose parent exits become ours, and so can be reaped. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    run_dir_name(g->dir);
    if (want_cgroup)
        run_cgroup_name(strrchr(g->dir, '/'), g->cgroup, sizeof g->cgroup);
    /* The keeper knows the name before it exists: a kill in between leaves nothing. */
    rc = start_keeper(g, e);
    if (rc == 0)
        rc = g->lock = run_dir_make(g->dir, g->cgroup, talk_allowed_ms(g, 0), e);
    if (rc >= 0 && g->cgroup[0] && run_cgroup_make(g->cgroup) < 0)
        g->cgroup[0] = '\0';
    if (rc < 0)
        actor_group_end(g);
    return rc < 0 ? rc : 0;
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

/* The keeper is awaited; whoever else is left, an actor's child that the lab never heard of, is
 * polled for. */
static void reap_group(struct actor_group *g, int64_t until)
{
    const struct timespec pause_1ms = {0, 1000000};

    kill(-g->keeper, SIGKILL);
    kill_and_await(g->keeper_pidfd, until);
    while (now_ms() < until) {
        pid_t pid = waitpid(-g->keeper, NULL, WNOHANG);

        if (pid < 0 && errno == ECHILD)
            break;
        if (pid == 0)
            nanosleep(&pause_1ms, NULL);
    }
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
    if (g->lock >= 0)
        run_dir_remove(g->dir, g->lock);
    close_fd(&g->lock);
    if (g->keeper > 0)
        reap_group(g, until);
    g->keeper = 0;
    close_fd(&g->keeper_pidfd);
    close_fd(&g->keeper_pipe);
}

static int add_actor(struct actor_group *g, const char *name, pid_t pid, int control, struct err *e)
{
    struct actor_process *a = LIST_ADD(g->actors, g->nactors);

    if (!a)
        return err_no_memory(e);
    *a = (struct actor_process){strdup(name), pid, open_pidfd(pid), control, true};
    if (!a->name || a->pidfd < 0) {
        int rc = a->name ? err_sys(e, errno, "cannot watch actor '%s'", name) : err_no_memory(e);

        free(a->name);
        close_fd(&a->pidfd);
        g->nactors--;
        return rc;
    }
    return (int)g->nactors - 1;
}

int actor_spawn(struct actor_group *g, const char *name, struct err *e)
{
    char fd[16];
    char *argv[] = {g->program, fd, NULL};
    int ends[2];
    bool inside;
    pid_t pid;
    int index, rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, errno, "cannot create a socket pair for actor '%s'", name);
    snprintf(fd, sizeof fd, "%d", ends[1]);
    pid = run_cgroup_fork(g->cgroup, &inside);
    if (pid == 0)
        become(g, ends[1], true, g->cgroup[0] && !inside, STDERR_FILENO, argv);
    close(ends[1]);
    if (pid < 0) {
        rc = shortage_explain_fork(e, err_sys(e, errno, "cannot start actor '%s'", name));
        close(ends[0]);
        return rc;
    }
    setpgid(pid, g->keeper);
    index = add_actor(g, name, pid, ends[0], e);
    if (index < 0) {
        close(ends[0]);
        return index;
    }
    rc = talk_await_hello(g, (size_t)index, e);
    return rc < 0 ? rc : index;
}

int actor_group_helper(struct actor_group *g, char *const argv[], struct err *e)
{
    int64_t allowed = talk_allowed_ms(g, 0);
    int ends[2], rc = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot create a pipe");
    pid = fork();
    if (pid == 0)
        become(g, -1, false, false, ends[1], argv);
    close(ends[1]);
    if (pid < 0)
        rc = shortage_explain_fork(e, err_sys(e, errno, "cannot start '%s'", argv[0]));
    if (rc == 0) {
        setpgid(pid, g->keeper);
        g->helper = pid;
        g->helper_pidfd = open_pidfd(pid);
        if (g->helper_pidfd < 0)
            rc = err_sys(e, errno, "cannot watch '%s'", argv[0]);
    }
    /* It says a line when it is ready; end of file means that it is gone. */
    if (rc == 0)
        rc = talk_await(g, ends[0], -1, now_ms() + allowed, allowed, e);
    if (rc == 0) {
        char byte;

        if (read(ends[0], &byte, 1) != 1)
            rc = talk_report_death(g, "the run's name server", pid, g->helper_pidfd, e);
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
            rc = talk_await_hello(g, (size_t)born, e);
            return rc < 0 ? rc : born;
        }
    }
    close(ends[0]);
    return rc;
}

int actor_await_exit(struct actor_group *g, size_t index, struct err *e)
{
    struct actor_process *a = &g->actors[index];
    int64_t allowed = talk_allowed_ms(g, 0);
    int rc = talk_await(g, a->pidfd, (int)index, now_ms() + allowed, allowed, e);

    if (rc < 0)
        return err_prefix(e, rc, "actor '%s' did not exit", a->name);
    a->alive = false;
    close_fd(&a->control);
    return 0;
}
