#include "lab/linux/talk.h"

#include "lab/linux/shortage.h"

#include "lab/run/clock.h"
#include "probes/footprint.h"
#include "probes/receive.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define DEADLINE_US_PER_PAGE 100 /* on top, for what an action touches */
#define SETTLE_MS 100            /* for an actor to wait again after its answer */
#define SLICE_MS 100             /* between two looks at the stop flag */
#define WATCHED 3                /* descriptors that every wait watches, before the actors' */

/* --- waiting, with everybody's death in view --- */

int talk_report_death(const struct actor_group *g, const char *who, pid_t pid, int pidfd,
                      struct err *e)
{
    siginfo_t info = {0};
    struct pollfd gone = {pidfd, POLLIN, 0};

    poll(&gone, 1, 1000); /* its descriptors close a moment before it is gone */
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        if (info.si_code == CLD_EXITED)
            return err_set(e, ECHILD, "%s (pid %d) exited unasked with status %d", who, pid,
                           info.si_status);
        err_set(e, ECHILD, "%s (pid %d) was killed by signal %d (%s)", who, pid, info.si_status,
                strsignal(info.si_status));
        shortage_explain_death(e, info.si_status, g->oom_kills);
        return -ECHILD;
    }
    return err_set(e, ECHILD, "%s (pid %d) is gone", who, pid);
}

static int report_actor_death(const struct actor_group *g, const struct actor_process *a,
                              struct err *e)
{
    char who[128];

    snprintf(who, sizeof who, "actor '%s'", a->name);
    return talk_report_death(g, who, a->pid, a->pidfd, e);
}

int64_t talk_allowed_ms(const struct actor_group *g, uint64_t pages)
{
    int64_t base = g->opt->deadline_ms > 0 ? g->opt->deadline_ms : DEADLINE_MS;

    return base + (int64_t)(pages * DEADLINE_US_PER_PAGE / 1000);
}

int talk_await(struct actor_group *g, int fd, int awaited, int64_t until, int64_t allowed,
               struct err *e)
{
    struct pollfd *p = calloc(g->nactors + WATCHED, sizeof *p);
    int rc = 0;

    if (!p)
        return err_no_memory(e);
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

        rc = stop_asked(g->opt->stop, e);
        if (rc < 0)
            break;
        n = poll(p, g->nactors + WATCHED, last ? 0 : left < SLICE_MS ? (int)left : SLICE_MS);
        if (n <= 0) {
            if (last)
                rc = err_set(e, ETIMEDOUT, "no answer within %lld ms", (long long)allowed);
            continue;
        }
        /* Deaths first: an answer does not make up for one. */
        if (p[1].revents)
            rc = talk_report_death(g, "the keeper process", g->keeper, g->keeper_pidfd, e);
        else if (p[2].revents)
            rc = talk_report_death(g, "the run's name server", g->helper, g->helper_pidfd, e);
        for (size_t i = 0; rc == 0 && i < g->nactors; i++)
            if (p[i + WATCHED].revents)
                rc = report_actor_death(g, &g->actors[i], e);
        if (p[0].revents)
            break;
    }
    free(p);
    return rc;
}

int actor_group_check(struct actor_group *g, struct err *e)
{
    int rc = talk_await(g, -1, -1, now_ms(), 0, e);

    return rc == -ETIMEDOUT ? 0 : rc;
}

/* --- requests and answers --- */

static int send_request(const struct actor_group *g, struct actor_process *a,
                        struct actor_request *rq, int pass_fd, struct err *e)
{
    struct iovec iov = {rq, sizeof *rq};

    if (send_packet(a->control, &iov, 1, &pass_fd, pass_fd >= 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return errno == EPIPE || errno == ECONNRESET
                   ? report_actor_death(g, a, e)
                   : err_sys(e, errno, "cannot send to actor '%s'", a->name);
    return 0;
}

/* Reads one reply that poll said is there. Memory objects that came with it go to *fds. */
static int read_reply(const struct actor_group *g, struct actor_process *a, struct actor_reply *out,
                      struct reply_fds *fds, struct err *e)
{
    struct received r = {.kinds = RECEIVE_MEMORY,
                         .room = (size_t)(ACTOR_PARTS - fds->count),
                         .fds = fds->fd + fds->count};
    ssize_t n = receive_packet(a->control, out, sizeof *out, MSG_DONTWAIT, &r);

    fds->count += (int)r.nfds;
    if (n == 0 || n == -ECONNRESET)
        return report_actor_death(g, a, e);
    if (n < 0)
        return err_sys(e, (int)n, "cannot receive from actor '%s'", a->name);
    if (r.lost)
        return err_set(e, EMFILE, "no descriptors left for the memory that actor '%s' sent",
                       a->name);
    if (n != (ssize_t)sizeof *out || out->magic != ACTOR_MAGIC || r.refused)
        return err_set(e, EPROTO, "actor '%s' is not of this build of cowlab", a->name);
    return 0;
}

/* State letter of a process (proc(5), /proc/PID/stat), or '?'. */
static char process_state(pid_t pid)
{
    struct slurp text = {0};
    struct footprint f;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (slurp_path(&text, path) < 0 || footprint_from_stat(&f, &text) < 0)
        f.state = '?';
    slurp_release(&text);
    return f.state;
}

/* awaited: the kind of reply that is awaited; an answer (0) ends it in every case. */
static int await_reply(struct actor_group *g, size_t index, uint64_t pages, uint32_t awaited,
                       struct actor_reply *out, struct reply_fds *fds, struct err *e)
{
    int64_t allowed = talk_allowed_ms(g, pages);
    int64_t until = now_ms() + allowed;
    int rc;

    fds->count = 0;
    do {
        struct actor_process *a = &g->actors[index];

        rc = talk_await(g, a->control, (int)index, until, allowed, e);
        if (rc == -ETIMEDOUT) {
            char state = process_state(a->pid);

            return err_set(e, ETIMEDOUT,
                           "actor '%s' (pid %d) gave no answer within %lld ms; its state is %c%s",
                           a->name, a->pid, (long long)allowed, state,
                           state == 'T' ? " (stopped)" : "");
        }
        if (rc == 0)
            rc = read_reply(g, a, out, fds, e);
        if (rc == 0 && out->progress == ACTOR_UNDER_WAY && g->opt->progress)
            g->opt->progress(g->opt->progress_arg, a->name,
                             (double)out->done / (double)(out->total ? out->total : 1));
    } while (rc == 0 && out->progress && out->progress != awaited);
    for (int i = 0; rc < 0 && i < fds->count; i++)
        receive_drop(fds->fd[i]);
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

int actor_ask(struct actor_group *g, size_t index, struct actor_request *rq, int pass_fd,
              struct err *e)
{
    rq->magic = ACTOR_MAGIC;
    rq->seq = ++g->seq;
    return send_request(g, &g->actors[index], rq, pass_fd, e);
}

/* The failure that an answer tells. */
static int failure_of(const struct actor_process *a, const struct actor_request *rq,
                      const struct actor_reply *out, struct err *e)
{
    int rc = 0;

    if (out->error == EPROTO) /* Mach's own: its message has the reason */
        rc = err_set(e, EPROTO, "actor '%s': %s", a->name, out->message);
    else if (out->error) {
        rc = err_sys(e, out->error, "actor '%s': %s", a->name, out->message);
        shortage_explain(e, a->pid, rq, out->error);
    }
    return rc;
}

int actor_await_ready(struct actor_group *g, size_t index, const struct actor_request *rq,
                      struct actor_reply *out, struct err *e)
{
    struct reply_fds none;
    int rc = await_reply(g, index, 0, ACTOR_READY, out, &none, e);

    return rc < 0 ? rc : failure_of(&g->actors[index], rq, out, e);
}

int actor_answer(struct actor_group *g, size_t index, const struct actor_request *rq,
                 uint64_t pages, struct actor_reply *out, struct reply_fds *fds, struct err *e)
{
    struct reply_fds ignored;
    int rc = await_reply(g, index, pages, 0, out, fds ? fds : &ignored, e);

    if (!fds)
        for (int i = 0; rc == 0 && i < ignored.count; i++)
            receive_drop(ignored.fd[i]);
    if (rc == 0)
        rc = failure_of(&g->actors[index], rq, out, e);
    if (rc == 0)
        let_settle(&g->actors[index]);
    return rc;
}

int actor_call(struct actor_group *g, size_t index, struct actor_request *rq, int pass_fd,
               uint64_t pages, struct actor_reply *out, struct reply_fds *fds, struct err *e)
{
    int rc = actor_ask(g, index, rq, pass_fd, e);

    return rc < 0 ? rc : actor_answer(g, index, rq, pages, out, fds, e);
}

int talk_await_hello(struct actor_group *g, size_t index, struct err *e)
{
    struct actor_reply hello;
    struct reply_fds fds;
    int rc = await_reply(g, index, 0, 0, &hello, &fds, e);

    if (rc == 0 && hello.op != ACTOR_HELLO)
        rc = err_set(e, EPROTO, "actor '%s' did not say hello", g->actors[index].name);
    if (rc == 0)
        let_settle(&g->actors[index]);
    return rc;
}
