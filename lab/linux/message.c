/* The steps that send and receive Mach messages. The actors do it, through lab/machmsg; here is
 * what the lab makes of it: transfers, the memory that is on its way, the regions that arrive. */
#include "lab/linux/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void close_all(const struct reply_fds *fds)
{
    for (int i = 0; i < fds->count; i++)
        close(fds->fd[i]);
}

/* Which region descriptor i of this step stands for, or NULL. */
static const char *part_region(const struct step *s, size_t i)
{
    if (s->action == ACT_OOL_SEND || s->action == ACT_OOL_RECEIVE || s->action == ACT_HAND_OVER ||
        s->action == ACT_TAKE)
        return s->region;
    if (i < s->nparts)
        return s->parts[i].region;
    if (i < s->narrives)
        return s->arrives[i].region;
    return NULL;
}

/* The layer's record of each descriptor becomes a row of `transfers`. */
static int note_transfers(struct doing *d, const char *from, const char *to, struct err *e)
{
    bool ok = true;

    d->out->transfers = calloc(d->reply.ntransfers + 1, sizeof *d->out->transfers);
    if (!d->out->transfers)
        return err_no_memory(e);
    for (uint32_t i = 0; i < d->reply.ntransfers; i++) {
        const struct actor_transfer *x = &d->reply.transfers[i];

        d->out->transfers[d->out->ntransfers++] = (struct store_transfer){
            .from = step_text(from, &ok),
            .to = step_text(to, &ok),
            .region = step_text(part_region(d->step, i), &ok),
            .case_name = step_text(d->step->case_name, &ok),
            .kind = step_text(x->kind, &ok),
            .asked = step_text(x->asked, &ok),
            .received = step_text(x->received, &ok),
            .done = step_text(x->done, &ok),
            .deallocate = x->deallocate,
            .size = (int64_t)x->size,
            .descriptor = (int)i,
            .why = step_text(x->why, &ok),
        };
    }
    return ok ? 0 : err_no_memory(e);
}

static int note_message(struct doing *d, struct err *e)
{
    const struct actor_reply *r = &d->reply;
    struct store_message *m = calloc(1, sizeof *m);
    bool ok = true;

    if (!m)
        return err_no_memory(e);
    *m = (struct store_message){
        .actor = step_text(d->step->actor, &ok),
        .id = r->message_id,
        .size = (int64_t)r->message_size,
        .text = step_text(r->has_text ? r->text : NULL, &ok),
        .descriptors = r->descriptors,
        .reply_sent = d->step->action == ACT_REPLY ? r->reply_sent : -1,
    };
    d->out->message = m;
    return ok ? 0 : err_no_memory(e);
}

/* --- sending --- */

/* Resolves the regions of the message's parts to ranges of the actor. */
static int fill_parts(struct doing *d, struct err *e)
{
    const struct step *s = d->step;

    if (s->nparts > ACTOR_PARTS)
        return err_set(e, E2BIG, "a message can have %d parts here, not %zu", ACTOR_PARTS,
                       s->nparts);
    for (size_t i = 0; i < s->nparts; i++) {
        const struct message_part *from = &s->parts[i];
        struct actor_part *to = &d->rq.parts[i];

        *to = (struct actor_part){from->kind, from->physical, from->deallocate, from->disposition,
                                  0,          from->count};
        if (from->region) {
            struct held_region *r = held_find(linux_held(d), from->region, from->case_name);

            if (!r)
                return err_set(e, ENOENT, "actor '%s' has no region '%s'", s->actor, from->region);
            to->start = r->start;
            to->len = r->len;
        }
    }
    d->rq.nparts = (uint32_t)s->nparts;
    return 0;
}

/* What deallocate took away: every page that the range touches (Mach's rule). */
static void note_deallocated(struct doing *d, const char *region, const char *case_name,
                             uint64_t start, uint64_t len)
{
    struct held_region *r = held_find(linux_held(d), region, case_name);

    if (r && len && start <= r->start && start + len >= r->start + r->len)
        held_remove(linux_held(d), r);
}

static int note_carried(struct doing *d, const char *to, struct reply_fds *fds, struct err *e)
{
    struct carried_list *c = &d->run->carried;
    struct carried m = {.message = ++c->sent,
                        .from = (char *)d->step->actor,
                        .to = (char *)to,
                        .case_name = d->step->case_name,
                        .fd = -1};
    int rc = carried_add(c, &m), next = 0;

    for (uint32_t i = 0; i < d->reply.ntransfers; i++) {
        const struct actor_transfer *x = &d->reply.transfers[i];

        m.fd = -1;
        if (x->has_object && next < fds->count) {
            m.fd = fds->fd[next];
            fds->fd[next++] = -1;
        }
        m.region = (char *)part_region(d->step, i);
        m.len = x->size;
        if (m.region && x->size && rc == 0)
            rc = carried_add(c, &m);
        else if (m.fd >= 0)
            close(m.fd);
    }
    for (int i = next; i < fds->count; i++)
        close(fds->fd[i]);
    fds->count = 0;
    return rc < 0 ? err_no_memory(e) : 0;
}

static void set_inline(struct doing *d)
{
    const struct step *s = d->step;

    d->rq.message_id = s->message_id;
    d->rq.timeout_ms = s->timeout_ms;
    d->rq.want_reply = s->want_reply;
    if (s->text) {
        d->rq.has_text = 1;
        snprintf(d->rq.text, sizeof d->rq.text, "%s", s->text);
    }
}

static int do_send(struct doing *d, const char *to, struct err *e)
{
    struct reply_fds fds = {.count = 0};
    int rc = fill_parts(d, e);

    if (rc < 0)
        return rc;
    set_inline(d);
    snprintf(d->rq.to, sizeof d->rq.to, "%s", to ? to : "");
    rc = linux_call(d, &fds, e);
    if (rc < 0) {
        close_all(&fds);
        return rc;
    }
    rc = note_transfers(d, d->step->actor, to, e);
    if (rc == 0 && to && !(d->step->action == ACT_REPLY && !d->reply.reply_sent))
        rc = note_carried(d, to, &fds, e);
    else
        close_all(&fds);
    for (size_t i = 0; rc == 0 && i < d->step->nparts; i++)
        if (d->step->parts[i].deallocate && d->step->parts[i].region)
            note_deallocated(d, d->step->parts[i].region, d->step->parts[i].case_name,
                             d->rq.parts[i].start, d->rq.parts[i].len);
    return rc;
}

int linux_ACT_OOL_SEND(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    int rc;

    d->rq.start += s->offset_bytes;
    d->rq.len = s->has_bytes ? s->bytes : d->rq.len - s->offset_bytes;
    d->rq.physical = s->physical;
    d->rq.deallocate = s->deallocate;
    rc = do_send(d, s->to, e);
    if (rc == 0 && s->deallocate) {
        uint64_t page = linux_page_size(), from = d->rq.start / page * page;

        note_deallocated(d, s->region, s->case_name, from,
                         d->rq.len ? (d->rq.start + d->rq.len + page - 1) / page * page - from : 0);
    }
    return rc;
}

/* --- receiving --- */

/* The regions of the message's parts, wherever the layer put them. */
static int hold_parts(struct doing *d, struct err *e)
{
    uint64_t page = linux_page_size();

    for (uint32_t i = 0; i < d->reply.ntransfers && i < d->step->narrives; i++) {
        const struct actor_transfer *x = &d->reply.transfers[i];
        const struct message_part *part = &d->step->arrives[i];
        uint64_t start = x->address / page * page;
        uint64_t end = (x->address + x->size + page - 1) / page * page;

        if (part->region && x->address && x->size &&
            held_add(linux_held(d), part->region, part->case_name, start, end - start,
                     MK_ORDINARY) < 0)
            return err_no_memory(e);
    }
    return 0;
}

static int hold_received(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    struct held_region *r;

    if (held_add(linux_held(d), s->region, s->case_name, d->reply.start, d->reply.len,
                 MK_ORDINARY) < 0)
        return err_no_memory(e);
    r = held_find(linux_held(d), s->region, s->case_name);
    r->sent_start = d->reply.sent_start;
    r->sent_len = d->reply.sent_len;
    return 0;
}

int linux_ACT_RECEIVE(struct doing *d, struct err *e)
{
    struct reply_fds fds = {.count = 0};
    struct holder *h = &d->run->holders[d->index];
    const struct step *s = d->step;
    char *from;
    int rc;

    d->rq.timeout_ms = s->timeout_ms;
    rc = linux_call(d, &fds, e);
    close_all(&fds);
    if (rc < 0)
        return rc;
    if (d->reply.timed_out)
        return s->expect_timeout ? 0
                                 : err_set(e, ETIMEDOUT, "actor '%s': no message came", s->actor);
    if (s->expect_timeout)
        return err_set(e, EEXIST, "actor '%s': a message came, and none was expected", s->actor);
    carried_arrived(&d->run->carried, s->actor, &from);
    free(h->last_from);
    h->last_from = from;
    rc = note_transfers(d, from, s->actor, e);
    if (rc == 0)
        rc = note_message(d, e);
    if (rc == 0 && s->region && d->reply.len)
        rc = hold_received(d, e);
    return rc < 0 ? rc : hold_parts(d, e);
}

int linux_ACT_SEND(struct doing *d, struct err *e)
{
    return do_send(d, d->step->to, e);
}

int linux_ACT_REPLY(struct doing *d, struct err *e)
{
    int rc = do_send(d, d->run->holders[d->index].last_from, e);

    return rc < 0 ? rc : note_message(d, e);
}

int linux_ACT_OOL_RECEIVE(struct doing *d, struct err *e)
{
    return linux_ACT_RECEIVE(d, e);
}
