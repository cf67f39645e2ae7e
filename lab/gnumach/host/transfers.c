#include "lab/gnumach/host/state.h"

#include "probes/list.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int say_why(struct store_transfer *t, const struct pending *p, const struct comparison *c,
                   struct err *e)
{
    static const char no_option[] = "a typed message has no copy option";
    int n;

    if (p->kind != PART_OOL)
        n = asprintf(&t->why, "port rights are moved by name, %s",
                     p->kind == PART_PORT ? "inline" : "out of line");
    else if (p->size == 0)
        n = asprintf(&t->why, "nothing was sent: the range is empty");
    else if (c->unsure)
        n = asprintf(&t->why, "%s; too large for the kernel to list its pages", no_option);
    else if (c->different)
        n = asprintf(&t->why, "%s; %llu of %llu pages got a new frame", no_option,
                     (unsigned long long)c->different,
                     (unsigned long long)(c->same + c->different));
    else if (c->same)
        n = asprintf(&t->why, "%s; the same frames (%llu), none was copied%s", no_option,
                     (unsigned long long)c->same,
                     p->deallocate ? "; deallocate took the sender's entry" : "");
    else
        n = asprintf(&t->why, "%s; no page was resident, so none was copied", no_option);
    if (n < 0) {
        t->why = NULL;
        return err_no_memory(e);
    }
    return 0;
}

/* A right: what its disposition did. */
static const char *right_done(int disposition)
{
    enum { MAKE_SEND_ONCE = 21, MAKE_SEND = 20, COPY_SEND = 19 }; /* MACH_MSG_TYPE_* */

    return disposition == MAKE_SEND_ONCE || disposition == MAKE_SEND ? "made"
           : disposition == COPY_SEND                                ? "copied"
                                                                     : "moved";
}

static const char *done_word(const struct pending *p, const struct comparison *c)
{
    if (p->kind != PART_OOL)
        return p->size ? right_done(p->disposition) : "null";
    if (p->size == 0)
        return "null";
    return c->unsure ? NULL : c->different ? "copied" : p->deallocate ? "moved" : "shared";
}

static int add_transfer(struct reading *r, struct step_result *out, const struct pending *p,
                        int descriptor, const struct comparison *c, struct err *e)
{
    static const char *const kinds[] = {[PART_PORT] = "port",
                                        [PART_OOL] = "ool",
                                        [PART_OOL_PORTS] = "ool_ports",
                                        [PART_OOL_VOLATILE] = "ool_volatile"};
    struct store_transfer *t = LIST_ADD(out->transfers, out->ntransfers);
    const struct slot *slot = p->slot >= 0 ? &r->slots[p->slot] : NULL;
    const char *copy = p->physical ? "physical" : "virtual";
    bool ok = true;

    if (!t)
        return err_no_memory(e);
    *t = (struct store_transfer){
        .from = step_text(r->plan->actors[p->from], &ok),
        .to = step_text(p->to >= 0 ? r->plan->actors[p->to] : NULL, &ok),
        .region = step_text(slot ? slot->region : NULL, &ok),
        .case_name = step_text(slot ? slot->case_name : NULL, &ok),
        .kind = step_text(kinds[p->kind], &ok),
        .asked = step_text(p->kind == PART_PORT ? NULL : copy, &ok),
        .done = step_text(done_word(p, c), &ok),
        .deallocate = p->kind == PART_PORT ? -1 : p->deallocate,
        .size = (int64_t)p->size,
        .descriptor = descriptor,
    };
    if (!ok)
        return err_no_memory(e);
    return say_why(t, p, c, e);
}

/* The frames in transit against those that the sender had before. */
static int tell_sent(struct reading *r, struct step_result *out, const struct pending *p,
                     struct err *e)
{
    struct comparison c = {0, 0, true};

    if (p->kind == PART_OOL && p->slot >= 0) {
        const struct view *source = last_view(r, (uint64_t)p->from, (uint64_t)p->slot);

        if (source->page)
            c = view_compare(source, p->sent->offset_bytes / GUEST_PAGE_SIZE, &p->view,
                             p->view.pages);
    }
    return add_transfer(r, out, p, (int)p->part, &c, e);
}

int transfers_tell_sent(struct reading *r, struct step_result *out, struct err *e)
{
    size_t before = r->npending;
    int rc = r->snap->answer.sent ? transit_add(r, e) : 0;

    rc = rc ? rc : transit_view(r, e);
    for (size_t i = before; i < r->npending && rc == 0; i++)
        rc = tell_sent(r, out, &r->pending[i], e);
    return rc;
}

/* --- receiving --- */

static int tell_message(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snapshot *s = r->snap;
    struct store_message *m = calloc(1, sizeof *m);
    bool ok = true;

    if (!m)
        return err_no_memory(e);
    out->message = m;
    m->id = (int32_t)s->message.id;
    m->size = (int64_t)s->message.bytes;
    m->reply_sent = -1;
    if (r->step->action == ACT_REPLY) { /* not received but sent, or not even that */
        m->id = r->step->message_id;
        m->size = (int64_t)s->answer.sent_bytes;
        m->descriptors = (int)r->step->nparts;
        m->reply_sent = s->answer.sent != 0;
    }
    for (size_t i = 0; i < s->ndescriptors; i++)
        m->descriptors += s->descriptors[i].kind != PART_OOL || !s->descriptors[i].is_inline;
    m->actor = step_text(r->step->actor, &ok);
    m->text = step_text(s->message.text, &ok);
    return ok ? 0 : err_no_memory(e);
}

/* One received descriptor belongs to the first part under way to this actor. */
static int tell_received(struct reading *r, struct step_result *out, int descriptor,
                         const struct snap_descriptor *d, struct err *e)
{
    struct comparison c = {0, 0, true};
    size_t at = 0;
    struct pending *p;
    int rc;

    while (at < r->npending && r->pending[at].to != r->acting)
        at++;
    if (at == r->npending)
        return err_set(e, EBADMSG, "actor '%s' received what nobody sent", r->step->actor);
    p = &r->pending[at];
    if (p->kind == PART_OOL && p->slot >= 0) {
        const struct view *now = last_view(r, (uint64_t)r->acting, (uint64_t)p->slot);

        if (now->page)
            c = view_compare(now, 0, &p->view, p->view.pages);
    }
    rc = add_transfer(r, out, p, descriptor, &c, e);
    if (rc == 0) { /* what the descriptor says on arrival, not what was asked */
        struct store_transfer *t = &out->transfers[out->ntransfers - 1];

        t->deallocate = d->kind == PART_PORT ? -1 : (int)d->deallocate;
        t->size = (int64_t)(d->kind == PART_OOL ? d->bytes : d->count);
        if (d->kind != PART_OOL && t->size > 0) {
            bool ok = true;

            free(t->done);
            t->done = step_text("right", &ok);
            rc = ok ? 0 : err_no_memory(e);
        }
    }
    transit_drop(r, at);
    return rc;
}

int transfers_tell_received(struct reading *r, struct step_result *out, struct err *e)
{
    int rc = 0, descriptor = 0;

    if (r->step->action == ACT_EXIT)
        for (size_t i = r->npending; i-- > 0;)
            if (r->pending[i].to == r->acting)
                transit_drop(r, i);
    if (r->snap->message.there || r->step->action == ACT_REPLY)
        rc = tell_message(r, out, e);
    for (size_t i = 0; i < r->snap->ndescriptors && rc == 0; i++) {
        const struct snap_descriptor *d = &r->snap->descriptors[i];

        if (d->kind == PART_OOL && d->is_inline) /* inline data: the text */
            continue;
        rc = tell_received(r, out, descriptor++, d, e);
    }
    return rc < 0 ? rc : transit_tell(r, out, e);
}
