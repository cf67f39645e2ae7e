/* The actor's side of the conversation, and the meters around an action. */
#include "lab/linux/actor/actor.h"
#include "probes/receive.h"
#include "probes/slurp.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int actor_fail(struct actor *a, int error, const char *message)
{
    a->out.error = error ? error : EIO;
    strncpy(a->out.message, message, sizeof a->out.message - 1);
    return -1;
}

static uint64_t cpu_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void read_meter(struct cost_meter *m)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    m->minflt = (uint64_t)u.ru_minflt;
    m->majflt = (uint64_t)u.ru_majflt;
    m->cpu_ns = cpu_clock();
    m->ns = probe_clock();
}

/* Reads the meters twice: after a fork the child has no page tables for program text, and the
 * faults that bring in this code must not count as the action's. */
void cost_begin(struct actor *a)
{
    read_meter(&a->began);
    read_meter(&a->began);
}

void cost_end(struct actor *a)
{
    struct cost_meter end;
    uint64_t ns = probe_clock(), cpu_ns = cpu_clock();

    read_meter(&end);
    a->out.began_ns = a->began.ns;
    a->out.dur_ns = ns - a->began.ns;
    a->out.cpu_ns = cpu_ns > a->began.cpu_ns ? cpu_ns - a->began.cpu_ns : 1;
    a->out.minflt = end.minflt - a->began.minflt;
    a->out.majflt = end.majflt - a->began.majflt;
}

static void send_or_exit(struct actor *a, int nfds)
{
    struct iovec iov = {&a->out, sizeof a->out};

    if (send_packet(a->control, &iov, 1, a->send_fds, (size_t)nfds, MSG_NOSIGNAL) < 0)
        _exit(3); /* the lab is gone */
}

/* The descriptors go ahead of the answer and are closed before it. */
static void send_descriptors(struct actor *a)
{
    a->out.progress = ACTOR_DESCRIPTORS;
    send_or_exit(a, a->nsend_fds);
    a->out.progress = 0;
    for (int i = 0; i < a->nsend_fds; i++)
        close(a->send_fds[i]);
    a->nsend_fds = 0;
}

void actor_reply(struct actor *a)
{
    if (a->nsend_fds > 0)
        send_descriptors(a);
    send_or_exit(a, 0);
}

void actor_progress(struct actor *a, uint64_t done, uint64_t total)
{
    struct actor_reply *r = &a->out;

    r->progress = ACTOR_UNDER_WAY;
    r->done = done;
    r->total = total;
    /* Lost if the lab is slow to read: the next one says more. */
    send(a->control, r, sizeof *r, MSG_NOSIGNAL | MSG_DONTWAIT);
    r->progress = 0;
}

void actor_ready(struct actor *a)
{
    a->out.progress = ACTOR_READY;
    send_or_exit(a, 0);
    a->out.progress = 0;
}

void actor_receive(struct actor *a)
{
    struct received r = {.kinds = RECEIVE_SOCKETS | RECEIVE_MEMORY | RECEIVE_OTHERS,
                         .room = 1,
                         .fds = &a->passed_fd};
    ssize_t n;

    a->passed_fd = -1;
    do
        n = receive_packet(a->control, &a->in, sizeof a->in, 0, &r);
    while (n == -EINTR);
    if (n != (ssize_t)sizeof a->in || a->in.magic != ACTOR_MAGIC || r.refused)
        _exit(n == 0 ? 0 : 3);
    memset(&a->out, 0, sizeof a->out);
    a->out.magic = ACTOR_MAGIC;
    a->out.op = a->in.op;
    a->out.seq = a->in.seq;
}
