/* message: what is on its way, from whom to whom, and the memory that it carries. */
#include "lab/plan/world/state.h"
#include "probes/list.h"

#include <stdlib.h>
#include <string.h>

/* A port takes five messages; the next send would block for ever. */
#define QUEUE_LIMIT 5

static int queue_message(struct doing *x, const struct message *m)
{
    struct message *at = LIST_ADD(x->w->messages, x->w->nmessages);

    if (!at)
        return err_no_memory(x->r->e);
    *at = *m;
    return 0;
}

/* The receiver of a message; full: its queue takes no more. */
static int need_receiver(struct doing *x, size_t *to, bool *full)
{
    const cJSON *at = arg(x, "to");
    size_t waiting = 0;
    long i;
    int rc = need_actor(x->r, x->w, at, x->s->to, &i);

    if (rc < 0)
        return rc;
    if ((size_t)i == x->index)
        return fail_at(x->r, at, "an actor cannot send to itself");
    for (size_t k = 0; k < x->w->nmessages; k++)
        waiting += x->w->messages[k].to == (size_t)i && !x->w->messages[k].reply;
    *to = (size_t)i;
    *full = waiting >= QUEUE_LIMIT && !x->w->actors[i].queue_doubt;
    if (*full && x->s->timeout_ms < 0)
        return fail_at(x->r, at,
                       "the queue of '%s' is full (%d messages): this would block for ever",
                       x->s->to, QUEUE_LIMIT);
    return 0;
}

/* Puts bytes of a region into a message, and takes them from the sender if deallocate is set. */
static int send_region(struct doing *x, struct message *m, struct region *from, uint64_t offset,
                       uint64_t bytes, bool physical, bool deallocate)
{
    uint64_t page = x->r->page_size, spanned = (offset % page + bytes + page - 1) / page;
    uint64_t pages = x->r->ability->keeps_offset ? spanned : (bytes + page - 1) / page;
    bool whole = spanned == from->pages;
    struct region copy = {.name = from->name,
                          .case_name = from->case_name,
                          .pages = pages,
                          .bytes = bytes,
                          .origin = from->origin + offset,
                          .reach = bytes,
                          .kind = MK_ORDINARY,
                          .protection = 3,
                          .family = from->family};
    struct family f = {1, false, pages, 0, pages};
    int rc = 0;

    if (bytes == 0)
        return 0;
    if (!physical && bytes == from->pages * page && from->kind == MK_ORDINARY)
        hold_family(x->w, from->family, 1); /* a virtual copy */
    else
        rc = new_family(x->r, x->w, &f, &copy.family);
    if (rc == 0)
        rc = add_region(x->r, &m->regions, &copy);
    if (rc < 0 || !deallocate)
        return rc;
    if (whole)
        drop_region(x->w, &x->actor->regions, (size_t)(from - x->actor->regions.at));
    else
        from->holed = true;
    return 0;
}

int check_sendable(struct doing *x, const struct region *region, const cJSON *at)
{
    if (in_doubt(&x->actor->regions, region)) {
        x->doubt = true;
        return 0;
    }
    if (region->holed)
        return fail_at(x->r, at, "a part of region '%s' was deallocated", region->name);
    if (!(region->protection & 1))
        return fail_at(x->r, at, "region '%s' is protected against reading", region->name);
    return 0;
}

int world_ACT_OOL_SEND(struct doing *x)
{
    struct step *s = x->s;
    uint64_t room = x->region->pages * x->r->page_size;
    struct message m = {.from = x->index, .ool = true};
    bool full;
    int rc = need_receiver(x, &m.to, &full);

    if (rc == 0 && full)
        return fail_at(x->r, arg(x, "to"), "the queue of '%s' is full", s->to);
    if (rc == 0 && (s->offset_bytes > room || s->bytes > room - s->offset_bytes))
        return fail_at(x->r, arg(x, s->has_bytes ? "bytes" : "offset"),
                       "%llu bytes from offset %llu, and the region has %llu",
                       (unsigned long long)s->bytes, (unsigned long long)s->offset_bytes,
                       (unsigned long long)room);
    if (rc == 0 && !s->has_bytes) {
        if (s->offset_bytes >= x->region->bytes)
            return fail_at(x->r, arg(x, "offset"), "offset %llu, and the region has %llu bytes",
                           (unsigned long long)s->offset_bytes,
                           (unsigned long long)x->region->bytes);
        s->bytes = x->region->bytes - s->offset_bytes;
    }
    if (rc == 0 && s->bytes)
        rc = check_sendable(x, x->region, arg(x, "region"));
    if (rc == 0)
        rc = send_region(x, &m, x->region, s->offset_bytes, s->bytes, s->physical, s->deallocate);
    if (rc == 0)
        rc = queue_message(x, &m);
    if (rc < 0)
        drop_regions(x->w, &m.regions);
    return rc;
}

static int send_parts(struct doing *x, struct message *m)
{
    const cJSON *node, *parts = arg(x, "parts");
    struct message_part *part = x->s->parts;

    m->parts = x->s->parts;
    m->nparts = x->s->nparts;
    cJSON_ArrayForEach (node, parts) {
        const cJSON *at = member(node, part->kind == PART_OOL ? "ool" : "ool_volatile");
        struct region *region;
        int rc;

        if (!part->region) {
            part++;
            continue;
        }
        rc = need_region(x->r, x->w, x->actor, at, part->region, &part->case_name, &region);
        if (rc == 0)
            rc = check_sendable(x, region, at);
        if (rc == 0 && find_exact(&m->regions, region->name, region->case_name))
            rc = fail_at(x->r, at, "the message carries region '%s' already", region->name);
        if (rc == 0)
            rc = send_region(x, m, region, 0, region->bytes, part->physical, part->deallocate);
        if (rc < 0)
            return rc;
        part++;
    }
    return 0;
}

int world_ACT_SEND(struct doing *x)
{
    struct message m = {.from = x->index, .want_reply = x->s->want_reply};
    bool full = false;
    int rc = need_receiver(x, &m.to, &full);

    if (rc == 0)
        rc = send_parts(x, &m);
    if (rc == 0 && !full)
        rc = queue_message(x, &m);
    if (rc < 0 || full) /* a full queue: the send times out */
        drop_regions(x->w, &m.regions);
    return rc;
}

/* A reply to a request without a reply port goes nowhere, which is no error. */
int world_ACT_REPLY(struct doing *x)
{
    struct message m = {.from = x->index, .reply = true};
    const cJSON *node = x->d->action;
    bool wanted = x->actor->request_wants_reply;
    int rc;

    if (x->actor->request < 0)
        return fail_at_key(x->r, node, "actor '%s' has received no request to answer",
                           x->actor->name);
    m.to = (size_t)x->actor->request;
    wanted = wanted && x->w->actors[m.to].state == ACTOR_ALIVE;
    x->actor->request = -1;
    rc = wanted ? send_parts(x, &m) : 0;
    if (rc == 0 && wanted)
        rc = queue_message(x, &m);
    if (rc < 0)
        drop_regions(x->w, &m.regions);
    return rc;
}

struct message *oldest_message(struct world *w, size_t to)
{
    for (size_t i = 0; i < w->nmessages; i++)
        if (w->messages[i].to == to)
            return &w->messages[i];
    return NULL;
}

int take_message(struct doing *x, struct message *m)
{
    const cJSON *region = arg(x, "region"), *at = region ? region : x->d->action;
    int rc = 0;

    for (size_t i = 0; i < m->regions.n && rc == 0; i++)
        rc = new_name(x->r, x->actor, at, m->regions.at[i].name, m->regions.at[i].case_name);
    while (m->regions.n && rc == 0) {
        rc = add_region(x->r, &x->actor->regions, &m->regions.at[m->regions.n - 1]);
        m->regions.n -= rc == 0;
    }
    if (rc < 0)
        return rc;
    x->actor->request = m->reply ? -1 : (long)m->from;
    x->actor->request_wants_reply = m->want_reply;
    release_regions(&m->regions);
    x->w->nmessages--;
    memmove(m, m + 1, (size_t)(x->w->messages + x->w->nmessages - m) * sizeof *m);
    return 0;
}

/* Tells the step what will arrive. */
static int copy_parts(struct doing *x, const struct message *m)
{
    struct step *s = x->s;
    int rc = 0;

    s->arrives = calloc(m->nparts + 1, sizeof *s->arrives);
    if (!s->arrives)
        return err_no_memory(x->r->e);
    for (; s->narrives < m->nparts && rc == 0; s->narrives++) {
        struct message_part *part = &s->arrives[s->narrives];

        *part = m->parts[s->narrives];
        part->region = part->case_name = NULL;
        rc = copy_text(x->r, &part->region, m->parts[s->narrives].region);
        if (rc == 0)
            rc = copy_text(x->r, &part->case_name, m->parts[s->narrives].case_name);
    }
    return rc;
}

int world_ACT_RECEIVE(struct doing *x)
{
    struct message *m = oldest_message(x->w, x->index);
    const cJSON *node = x->d->action;
    int rc;

    if (x->s->expect_timeout)
        return m ? fail_at_key(x->r, node, "a message is on its way to '%s'", x->actor->name) : 0;
    if (!m)
        return fail_at_key(x->r, node, "no message is on its way to '%s'", x->actor->name);
    if (m->ool)
        return fail_at_key(x->r, node, "the next message for '%s' is one for 'ool_receive'",
                           x->actor->name);
    rc = copy_parts(x, m);
    return rc < 0 ? rc : take_message(x, m);
}

int world_ACT_OOL_RECEIVE(struct doing *x)
{
    const struct message *m = oldest_message(x->w, x->index);
    const cJSON *at = arg(x, "region");
    const struct region *carried;
    int rc;

    if (!m)
        return fail_at(x->r, at, "no message is on its way to '%s'", x->actor->name);
    if (!m->ool)
        return fail_at(x->r, at, "the next message for '%s' is one for 'receive'", x->actor->name);
    carried = m->regions.n ? &m->regions.at[0] : NULL;
    if (carried && strcmp(carried->name, x->s->region) != 0)
        return fail_at(x->r, at, "the next message for '%s' carries region '%s', not '%s'",
                       x->actor->name, carried->name, x->s->region);
    rc = copy_text(x->r, &x->s->case_name, carried ? carried->case_name : x->r->case_name);
    return rc < 0 ? rc : take_message(x, oldest_message(x->w, x->index));
}
