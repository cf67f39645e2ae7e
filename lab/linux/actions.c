/* What the lab does beside asking the actor, action by action, and what it makes of the answer. The
 * function's name is the row's in lab/actions.h; an action without one is only asked (protect,
 * lock); those that deal in messages are in message.c. */
#include "lab/linux/run.h"
#include "probes/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int linux_ACT_MAP(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    int rc;

    d->rq.len = s->bytes ? s->bytes : s->pages * linux_page_size();
    d->rq.kind = s->kind;
    snprintf(d->rq.path, sizeof d->rq.path, "%s", d->run->group.dir);
    rc = linux_call(d, NULL, e);
    if (rc == 0 &&
        held_add(linux_held(d), s->region, s->case_name, d->reply.start, d->reply.len, s->kind) < 0)
        rc = err_no_memory(e);
    return rc;
}

/* Bytes beside a range that was received must be zero: the layer sends what was meant, no more. */
static int note_stray_bytes(struct doing *d, struct err *e)
{
    const struct actor_reply *r = &d->reply;
    struct two_sources c = step_sources(d->step, "stray_bytes", r->stray, 0);

    return r->beside ? step_check(d->out, &c, e,
                                  "bytes that are not zero among the %" PRIu64
                                  " beside the received range",
                                  r->beside)
                     : 0;
}

int linux_ACT_READ(struct doing *d, struct err *e)
{
    const struct actor_reply *r = &d->reply;
    int rc = linux_touch(d, e);

    if (rc == 0) /* contents that leaked would show here */
        rc = step_check_stamps(
            d->out, d->step,
            (struct stamp_result){r->checked, r->wrong, r->first_wrong, (char)r->found_letter}, e);
    return rc < 0 ? rc : note_stray_bytes(d, e);
}

int linux_ACT_WRITE(struct doing *d, struct err *e)
{
    int rc = linux_touch(d, e);

    d->region->written = rc == 0;
    d->region->written_pages = d->reply.touched;
    return rc;
}

int linux_ACT_FORK(struct doing *d, struct err *e)
{
    int born = actor_fork_off(&d->run->group, d->index, d->step->as, &d->reply, e);

    if (born < 0)
        return born;
    if (!LIST_ADD(d->run->holders, d->run->nholders) ||
        held_inherit(&d->run->holders[born].regions, linux_held(d)) < 0)
        return err_no_memory(e);
    return linux_give_port(d->run, (size_t)born, e);
}

int linux_ACT_EXEC(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0 && d->reply.op != ACTOR_HELLO)
        rc = err_set(e, EPROTO, "actor '%s' did not come back from exec", d->step->actor);
    if (rc == 0)
        held_clear(linux_held(d));
    linux_drop_handed(d->run, d->step->actor);
    return rc < 0 ? rc : linux_give_port(d->run, d->index, e);
}

int linux_ACT_EXIT(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0)
        rc = actor_await_exit(&d->run->group, d->index, e);
    if (rc == 0) {
        held_clear(linux_held(d));
        carried_drop(&d->run->carried, d->step->actor);
        linux_drop_handed(d->run, d->step->actor);
    }
    return rc;
}

int linux_ACT_WAIT(struct doing *d, struct err *e)
{
    const struct actor_group *g = &d->run->group;
    int rc, code;

    for (size_t i = g->nactors; i-- > 0 && !d->rq.pid;)
        if (strcmp(g->actors[i].name, d->step->child) == 0)
            d->rq.pid = g->actors[i].pid;
    rc = linux_call(d, NULL, e);
    if (rc < 0)
        return rc;
    code =
        WIFEXITED(d->reply.status) ? WEXITSTATUS(d->reply.status) : 128 + WTERMSIG(d->reply.status);
    if (d->step->status >= 0 && code != d->step->status)
        return err_set(e, ECHILD, "child '%s' ended with status %d, not %d", d->step->child, code,
                       d->step->status);
    return 0;
}

int linux_ACT_UNMAP(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0)
        held_remove(linux_held(d), d->region);
    return rc;
}

int linux_ACT_MOVE(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0 && d->region->sent_len)
        d->region->sent_start += d->reply.start - d->region->start;
    if (rc == 0)
        d->region->start = d->reply.start;
    return rc;
}

int linux_ACT_INHERIT(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0)
        d->region->fate = fate_asked(d->region->fate, d->step->inherit);
    return rc;
}

/* Two kinds of advice say what a fork does with the region. */
int linux_ACT_MADVISE(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0) {
        d->region->fate = fate_advised(d->region->fate, d->step->advice);
        d->region->freed += d->step->advice == ADV_FREE;
        if (d->step->advice == ADV_HUGEPAGE || d->step->advice == ADV_NOHUGEPAGE)
            d->region->huge = d->step->advice == ADV_HUGEPAGE;
    }
    return rc;
}

/* The look that follows every step is all. */
int linux_ACT_CHECKPOINT(struct doing *d, struct err *e)
{
    (void)d;
    (void)e;
    return 0;
}
