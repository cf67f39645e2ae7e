#include "lab/gnumach/host/reading_parts.h"
#include "probes/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is under way --- */

static bool is_send(const struct step *s)
{
    return s->action == ACT_OOL_SEND || s->action == ACT_SEND || s->action == ACT_REPLY;
}

static bool is_receive(const struct step *s)
{
    return s->action == ACT_OOL_RECEIVE || s->action == ACT_RECEIVE;
}

static int add_pending(struct reading *r, const struct pending *p, struct err *e)
{
    struct pending *grown = realloc(r->pending, (r->npending + 1) * sizeof *grown);

    if (!grown)
        return reading_no_memory(e);
    r->pending = grown;
    r->pending[r->npending++] = *p;
    return 0;
}

static void drop_pending(struct reading *r, size_t at)
{
    guest_frames_release(&r->pending[at].frames);
    memmove(&r->pending[at], &r->pending[at + 1], (--r->npending - at) * sizeof *r->pending);
}

static struct pending pending_of(const struct reading *r, size_t part)
{
    const struct step *s = r->step;
    struct pending p = {
        .from = r->acting,
        .to = r->receivers[s - r->plan->steps],
        .sent = s,
        .part = part,
    };

    if (s->action == ACT_OOL_SEND) {
        p.kind = PART_OOL;
        p.slot = r->step_slot;
        p.physical = s->physical;
        p.deallocate = s->deallocate;
    } else {
        const struct message_part *m = &s->parts[part];

        p.kind = m->kind;
        p.slot = m->region ? blob_slot_index(r->slots, r->nslots, m->region, m->case_name) : -1;
        p.physical = m->physical;
        p.deallocate = m->deallocate;
        p.size = m->kind == PART_PORT ? 1 : m->count;
        p.disposition = m->disposition;
    }
    return p;
}

static int note_send(struct reading *r, struct err *e)
{
    size_t parts = r->step->action == ACT_OOL_SEND ? 1 : r->step->nparts;
    int rc = 0;

    for (size_t i = 0; i < parts && rc == 0; i++) {
        struct pending p = pending_of(r, i);

        rc = add_pending(r, &p, e);
    }
    return rc;
}

/* The frames that a message holds now. */
static int fill_frames(struct reading *r, struct pending *p, const struct snap_transit *t,
                       struct err *e)
{
    uint64_t pages = 0, at = 0;

    guest_frames_release(&p->frames);
    for (size_t i = 0; i < t->npieces; i++)
        pages += r->snap->pieces[t->first_piece + i].bytes / GUEST_PAGE_SIZE;
    if (pages > (1ull << 28))
        return err_set(e, EBADMSG, "the guest told of a message of impossible size");
    p->frames.frame = calloc(pages + 1, sizeof *p->frames.frame);
    if (!p->frames.frame)
        return reading_no_memory(e);
    p->frames.count = pages;
    for (size_t i = 0; i < t->npieces; i++) {
        const struct snap_piece *x = &r->snap->pieces[t->first_piece + i];

        for (uint64_t k = 0; k < x->bytes / GUEST_PAGE_SIZE; k++) {
            struct seen_page seen = snapshot_see(r->snap, x->object, x->offset + k);

            p->frames.frame[at++] = seen.frame;
            p->frames.unsure |= seen.unsure;
        }
    }
    p->object = t->npieces ? r->snap->pieces[t->first_piece].object : 0;
    p->size = t->bytes;
    return 0;
}

/* The guest tells what is in transit in the order of sending, as the list here has it. */
static int match_transits(struct reading *r, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    if (is_receive(r->step)) /* what has arrived is no longer told; keep what was seen before */
        return rc;
    for (size_t i = 0; i < r->npending && rc == 0; i++) {
        struct pending *p = &r->pending[i];

        if (p->kind != PART_OOL || (r->step->action == ACT_EXIT && p->to == r->acting))
            continue;
        if (at >= r->snap->ntransits || r->snap->transits[at].slot != (uint64_t)p->slot)
            return err_set(e, EBADMSG, "the guest lost memory that is in transit");
        rc = fill_frames(r, p, &r->snap->transits[at++], e);
    }
    return rc;
}

/* --- what a transfer did --- */

struct comparison {
    uint64_t same, different; /* pages that have a frame on either side */
    bool unsure;
};

static struct comparison compare(const struct guest_frames *a, uint64_t a_from,
                                 const struct guest_frames *b, uint64_t count)
{
    struct comparison c = {0, 0,
                           a->unsure || b->unsure || a_from + count > a->count || count > b->count};

    for (uint64_t i = 0; !c.unsure && i < count; i++) {
        uint32_t x = a->frame[a_from + i], y = b->frame[i];

        if (x || y)
            *(x == y ? &c.same : &c.different) += 1;
    }
    return c;
}

static int set(char **to, const char *text, struct err *e)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? reading_no_memory(e) : 0;
}

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
        return reading_no_memory(e);
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
    struct store_transfer *t =
        realloc(out->transfers, (out->ntransfers + 1) * sizeof *out->transfers);
    int rc;

    if (!t)
        return reading_no_memory(e);
    out->transfers = t;
    t += out->ntransfers++;
    *t = (struct store_transfer){.deallocate = p->kind == PART_PORT ? -1 : p->deallocate,
                                 .size = (int64_t)p->size,
                                 .descriptor = descriptor};
    if ((rc = set(&t->from, r->plan->actors[p->from], e)) < 0 ||
        (rc = set(&t->to, p->to >= 0 ? r->plan->actors[p->to] : NULL, e)) < 0 ||
        (rc = set(&t->region, p->slot >= 0 ? r->slots[p->slot].region : NULL, e)) < 0 ||
        (rc = set(&t->case_name, p->slot >= 0 ? r->slots[p->slot].case_name : NULL, e)) < 0 ||
        (rc = set(&t->kind, kinds[p->kind], e)) < 0 ||
        (rc = set(&t->asked,
                  p->kind == PART_PORT ? NULL
                  : p->physical        ? "physical"
                                       : "virtual",
                  e)) < 0 ||
        (rc = set(&t->done, done_word(p, c), e)) < 0)
        return rc;
    return say_why(t, p, c, e);
}

/* The frames in transit against those that the sender had before. */
static int tell_sent(struct reading *r, struct step_result *out, const struct pending *p,
                     struct err *e)
{
    struct comparison c = {0, 0, true};

    if (p->kind == PART_OOL && p->slot >= 0) {
        const struct guest_frames *source = last_frames(r, (uint64_t)p->from, (uint64_t)p->slot);

        if (source->frame)
            c = compare(source, p->sent->offset_bytes / GUEST_PAGE_SIZE, &p->frames,
                        p->frames.count);
    }
    return add_transfer(r, out, p, (int)p->part, &c, e);
}

/* Before the regions are read: they replace the sender's frames by those of this step. */
int reading_transit(struct reading *r, struct step_result *out, struct err *e)
{
    size_t before = r->npending;
    int rc = is_send(r->step) && r->snap->sent ? note_send(r, e) : 0;

    if (rc == 0)
        rc = match_transits(r, e);
    for (size_t i = before; i < r->npending && rc == 0; i++)
        rc = tell_sent(r, out, &r->pending[i], e);
    return rc;
}

/* --- receiving --- */

static int tell_message(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snapshot *s = r->snap;
    struct store_message *m = calloc(1, sizeof *m);

    if (!m)
        return reading_no_memory(e);
    out->message = m;
    m->id = (int32_t)s->message_id;
    m->size = (int64_t)s->message_bytes;
    m->reply_sent = -1;
    if (r->step->action == ACT_REPLY) { /* not received but sent, or not even that */
        m->id = r->step->message_id;
        m->size = (int64_t)s->sent_bytes;
        m->descriptors = (int)r->step->nparts;
        m->reply_sent = s->sent != 0;
    }
    for (size_t i = 0; i < s->ndescriptors; i++)
        m->descriptors += s->descriptors[i].kind != GUEST_PART_OOL || !s->descriptors[i].is_inline;
    if (set(&m->actor, r->step->actor, e) < 0 || set(&m->text, s->text, e) < 0)
        return -ENOMEM;
    return 0;
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
        const struct guest_frames *now = last_frames(r, (uint64_t)r->acting, (uint64_t)p->slot);

        if (now->frame)
            c = compare(now, 0, &p->frames, p->frames.count);
    }
    rc = add_transfer(r, out, p, descriptor, &c, e);
    if (rc == 0) { /* what the descriptor says on arrival, not what was asked */
        struct store_transfer *t = &out->transfers[out->ntransfers - 1];

        t->deallocate = d->kind == GUEST_PART_PORT ? -1 : (int)d->deallocate;
        t->size = (int64_t)(d->kind == GUEST_PART_OOL ? d->bytes : d->count);
        if (d->kind != GUEST_PART_OOL && t->size > 0) {
            free(t->done);
            rc = set(&t->done, "right", e);
        }
    }
    drop_pending(r, at);
    return rc;
}

/* --- memory that belongs to a message --- */

static int message_pages(struct reading *r, struct obs_region *g, const struct pending *p,
                         struct err *e)
{
    int64_t resident = 0;

    for (uint64_t i = 0; i < p->frames.count; i++) {
        uint32_t frame = p->frames.frame[i];
        struct page_run run = {.first = i,
                               .count = 1,
                               .frame = frame ? reading_frame_number(r, frame) : 0,
                               .mapcount = -1,
                               .inferred = true};

        resident += frame != 0;
        run.state = !frame ? PS_NONE : r->viewers[frame].actors ? PS_COW : PS_EXCLUSIVE;
        if (!p->frames.unsure && obs_region_add_run(g, &run) < 0)
            return reading_no_memory(e);
    }
    g->q[RQ_RESIDENT] = p->frames.unsure ? value_unknown(WHY_TOO_LARGE) : value_known(resident);
    return 0;
}

static int tell_transit(struct reading *r, struct step_result *out, const struct pending *p,
                        const struct snap_transit *t, struct err *e)
{
    const struct blob_slot *slot = &r->slots[p->slot];
    struct obs_region *g =
        observation_add_region(&out->obs, "message", slot->region, slot->case_name);
    int top = p->object ? snapshot_object(r->snap, p->object) : -1, rc;
    const struct snap_object *o = top >= 0 ? &r->snap->objects[top] : NULL;
    uint64_t at = 0;

    if (!g)
        return reading_no_memory(e);
    g->end = t->bytes;
    g->needs_copy = -1;
    g->q[RQ_PAGES] = value_known((int64_t)p->frames.count);
    g->q[RQ_MAPPED] = value_known(0); /* a message's map has no page table */
    g->q[RQ_REF_COUNT] = value_known(o ? (int64_t)o->refs : 0);
    /* A message's own entry cannot be asked: needs_copy follows from a second reference. */
    g->q[RQ_SHARE_MODE] = value_inferred(
        share_mode_mach(!o, o && o->shadow, o && o->refs > 1, o ? (int64_t)o->refs : 0));
    rc = message_pages(r, g, p, e);
    if (p->frames.unsure && o && !o->shadow && t->npieces == 1 && o->size == p->frames.count)
        g->q[RQ_RESIDENT] = value_known((int64_t)o->resident); /* the whole object is sent */
    for (size_t i = 0; i < t->npieces && rc == 0; i++) {
        const struct snap_piece *x = &r->snap->pieces[t->first_piece + i];
        uint64_t pages = x->bytes / GUEST_PAGE_SIZE;

        rc = reading_chain(r, g, x->object, x->offset, at, pages, e);
        at += pages;
    }
    return rc;
}

static int tell_all_transits(struct reading *r, struct step_result *out, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    for (size_t i = 0; i < r->npending && rc == 0; i++)
        if (r->pending[i].kind == PART_OOL && at < r->snap->ntransits) {
            rc = fill_frames(r, &r->pending[i], &r->snap->transits[at], e);
            if (rc == 0 && r->pending[i].size > 0)
                rc = tell_transit(r, out, &r->pending[i], &r->snap->transits[at], e);
            at++;
        }
    return rc;
}

int reading_transfers(struct reading *r, struct step_result *out, struct err *e)
{
    int rc = 0, descriptor = 0;

    if (r->step->action == ACT_EXIT)
        for (size_t i = r->npending; i-- > 0;)
            if (r->pending[i].to == r->acting)
                drop_pending(r, i);
    if (r->snap->has_message || r->step->action == ACT_REPLY)
        rc = tell_message(r, out, e);
    for (size_t i = 0; i < r->snap->ndescriptors && rc == 0; i++) {
        const struct snap_descriptor *d = &r->snap->descriptors[i];

        if (d->kind == GUEST_PART_OOL && d->is_inline) /* inline data: the text */
            continue;
        rc = tell_received(r, out, descriptor++, d, e);
    }
    return rc < 0 ? rc : tell_all_transits(r, out, e);
}
