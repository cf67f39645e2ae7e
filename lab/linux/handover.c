/* The two steps that hand memory over, and what the lab does between them: it holds what waits,
 * makes the channel of a stream, and tells each side where the other one's memory is. */
#include "lab/linux/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void linux_drop_handed(struct backend_run *r, const char *to)
{
    if (!r->handed.step || (to && !same_text(r->handed.step->to, to)))
        return;
    close_fd(&r->handed.fd);
    r->handed.step = NULL;
}

/* What becomes a row of `handovers`. acted: NULL: nobody did anything yet. */
static int note_handover(struct doing *d, const char *acted, struct err *e)
{
    const struct handed *h = &d->run->handed;
    struct store_handover *x = calloc(1, sizeof *x);
    bool ok = true;

    if (!x)
        return err_no_memory(e);
    d->out->handover = x;
    *x = (struct store_handover){
        .taken = d->step->action == ACT_TAKE,
        .way = step_text(word_text(way_words, (int)h->step->way), &ok),
        .sender = step_text(h->step->actor, &ok),
        .receiver = step_text(h->step->to, &ok),
        .region = step_text(d->step->region, &ok),
        .case_name = step_text(d->step->case_name, &ok),
        .bytes = (int64_t)h->len,
        .used = d->step->used,
        .acted = acted,
    };
    return ok ? 0 : err_no_memory(e);
}

static struct held_region *source(struct backend_run *r)
{
    return held_find(&r->holders[r->handed.from].regions, r->handed.step->region,
                     r->handed.step->case_name);
}

/* The run's directory has a name that nobody else uses; shared memory is named likewise, and
 * whoever removes the one removes the other. */
static void name_object(const struct backend_run *r, struct actor_request *rq)
{
    snprintf(rq->path, sizeof rq->path, "%s", strrchr(r->group.dir, '/'));
}

/* --- hand_over --- */

static int hand_over_message(struct doing *d, struct err *e)
{
    d->rq.op = ACT_OOL_SEND;
    return linux_ACT_OOL_SEND(d, e);
}

static int hand_over_object(struct doing *d, struct err *e)
{
    struct reply_fds fds = {.count = 0};
    int rc;

    name_object(d->run, &d->rq);
    rc = linux_call(d, &fds, e);
    if (rc == 0 && fds.count != 1)
        rc = err_set(e, EPROTO, "actor '%s' passed no memory object", d->step->actor);
    for (int i = 1; i < fds.count; i++)
        close(fds.fd[i]);
    if (rc == 0)
        d->run->handed.fd = fds.fd[0];
    return rc;
}

/* The sender's part comes with the take; where the receiver will read its memory, it lets it. */
static int announce(struct doing *d, struct err *e)
{
    int to = linux_actor_index(d->run, d->step->to, e), rc = to < 0 ? to : 0;

    if (rc == 0 && d->step->way == WAY_READV) {
        d->rq.pid = d->run->group.actors[to].pid;
        rc = linux_call(d, NULL, e);
    }
    d->told = true; /* nothing that counts */
    return rc;
}

int linux_ACT_HAND_OVER(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    enum way_kind kind = way_kind(s->way);
    int rc;

    linux_drop_handed(d->run, NULL);
    d->rq.len = linux_whole_pages(d->rq.len);
    d->run->handed = (struct handed){s, d->index, d->rq.len, -1};
    rc = kind == WAY_MESSAGE  ? hand_over_message(d, e)
         : kind == WAY_OBJECT ? hand_over_object(d, e)
                              : announce(d, e);
    return rc < 0 ? rc : note_handover(d, d->ndeeds || !d->told ? "sender" : NULL, e);
}

/* --- take --- */

static int make_channel(enum way way, int ends[2], struct err *e)
{
    int rc = way == WAY_SOCKET   ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
             : way == WAY_PACKET ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)
                                 : pipe2(ends, O_CLOEXEC);

    return rc < 0 ? err_sys(e, errno, "cannot create the channel of way '%s'",
                            word_text(way_words, (int)way))
                  : 0;
}

/* Both at the same time: the receiver waits for the first byte when the sender begins, and the step
 * takes from there until it has the last one. */
static int take_stream(struct doing *d, struct err *e)
{
    struct actor_group *g = &d->run->group;
    size_t from = d->run->handed.from;
    uint64_t pages = d->rq.len / linux_page_size() + 1;
    int ends[2] = {-1, -1}, rc = make_channel(d->step->way, ends, e), sent;

    if (rc == 0)
        rc = actor_ask(g, d->index, &d->rq, ends[0], e);
    close_fd(&ends[0]);
    if (rc == 0)
        rc = actor_await_ready(g, d->index, &d->rq, &d->reply, e);
    if (rc == 0)
        rc = actor_ask(g, from, &d->peer_rq, ends[1], e);
    close_fd(&ends[1]);
    if (rc < 0)
        return rc;
    rc = actor_answer(g, from, &d->peer_rq, pages, &d->peer, NULL, e);
    if (rc == 0 || rc == -EPIPE) { /* the receiver has ended: then it has the cause */
        struct err of_sender = *e;

        sent = rc;
        rc = actor_answer(g, d->index, &d->rq, pages, &d->reply, NULL, e);
        if (rc == 0 && sent < 0)
            *e = of_sender;
        rc = rc < 0 ? rc : sent;
    }
    if (rc < 0)
        return rc;
    d->reply.dur_ns += d->reply.began_ns - d->peer.began_ns;
    linux_did(d, from, &d->peer);
    linux_did(d, d->index, &d->reply);
    return 0;
}

/* The receiver only has the room ready; what counts is the sender's call. */
static int take_pushed(struct doing *d, struct err *e)
{
    struct actor_group *g = &d->run->group;
    size_t from = d->run->handed.from;
    uint64_t pages = d->rq.len / linux_page_size() + 1;
    int rc = linux_call(d, NULL, e);

    if (rc < 0)
        return rc;
    d->peer_rq.pid = g->actors[d->index].pid;
    d->peer_rq.peer_start = d->reply.start;
    rc = actor_call(g, from, &d->peer_rq, -1, pages, &d->peer, NULL, e);
    d->reply.dur_ns = d->peer.dur_ns;
    if (rc == 0)
        linux_did(d, from, &d->peer);
    return rc;
}

static int take_object(struct doing *d, struct err *e)
{
    int fd = d->step->way == WAY_POSIX_SHM ? -1 : d->run->handed.fd;

    name_object(d->run, &d->rq);
    return actor_call(&d->run->group, d->index, &d->rq, fd, d->rq.len / linux_page_size() + 1,
                      &d->reply, NULL, e);
}

/* Where it goes, and for a way that needs the sender: what that is asked. */
static int fill_requests(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    const struct handed *h = &d->run->handed;
    enum way_kind kind = way_kind(s->way);
    struct held_region *from = source(d->run);
    struct held_region *into = s->used ? held_find(linux_held(d), s->region, s->case_name) : NULL;

    if (s->used && !into)
        return err_set(e, ENOENT, "actor '%s' has no region '%s'", s->actor, s->region);
    d->rq.len = h->len;
    d->rq.start = into ? into->start : 0;
    d->rq.huge = from && from->huge;
    if (kind != WAY_STREAM && kind != WAY_CALL)
        return 0;
    if (!from || !d->run->group.actors[h->from].alive)
        return err_set(e, ESRCH, "actor '%s' has no region '%s' any more", h->step->actor,
                       h->step->region);
    d->rq.pid = d->run->group.actors[h->from].pid;
    d->rq.peer_start = from->start;
    d->peer_rq = (struct actor_request){
        .op = ACT_HAND_OVER, .way = s->way, .start = from->start, .len = h->len};
    return 0;
}

static int hold_taken(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    enum map_kind kind = way_kind(s->way) != WAY_OBJECT ? MK_ANONYMOUS
                         : s->way == WAY_MEMFD_SEALED   ? MK_MEMFD_PRIVATE
                                                        : MK_MEMFD_SHARED;

    if (s->used)
        return 0;
    return held_add(linux_held(d), s->region, s->case_name, d->reply.start, d->reply.len, kind) < 0
               ? err_no_memory(e)
               : 0;
}

static int take_message(struct doing *d, struct err *e)
{
    d->rq.op = ACT_OOL_RECEIVE;
    return linux_ACT_RECEIVE(d, e);
}

int linux_ACT_TAKE(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    enum way_kind kind = way_kind(s->way);
    int rc = fill_requests(d, e);

    if (rc < 0)
        return rc;
    if (kind == WAY_MESSAGE)
        rc = take_message(d, e);
    else
        rc = kind == WAY_STREAM     ? take_stream(d, e)
             : kind == WAY_OBJECT   ? take_object(d, e)
             : s->way == WAY_WRITEV ? take_pushed(d, e)
                                    : linux_call(d, NULL, e);
    if (rc == 0 && kind != WAY_MESSAGE)
        rc = hold_taken(d, e);
    if (rc == 0)
        rc = note_handover(d,
                           kind == WAY_STREAM     ? "both"
                           : s->way == WAY_WRITEV ? "sender"
                                                  : "receiver",
                           e);
    linux_drop_handed(d->run, NULL);
    return rc;
}
