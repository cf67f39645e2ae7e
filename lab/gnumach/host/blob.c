#include "lab/gnumach/host/blob.h"

#include "lab/gnumach/host/slots.h"
#include "lab/gnumach/protocol.h"
#include "probes/list.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- limits ----------------------------------------------------------------------------- */

static const char *beyond_guest(const struct step *s)
{
    if (s->nparts > GUEST_MAX_PARTS)
        return "the guest sends at most 32 descriptors in a message";
    if (s->text && strlen(s->text) >= GUEST_MAX_TEXT)
        return "the guest sends at most 2047 bytes of inline text";
    for (size_t i = 0; i < s->nparts; i++)
        if (s->parts[i].kind == PART_OOL_PORTS && s->parts[i].count > GUEST_MAX_RIGHTS)
            return "the guest sends at most 512 rights in an array";
    return NULL;
}

int blob_check(const struct plan *plan, struct err *e)
{
    if (plan->nactors > GUEST_MAX_ACTORS)
        return err_set(e, ENOTSUP, "'%s' cannot run on gnumach: more than %u actors", plan->name,
                       GUEST_MAX_ACTORS);
    for (size_t i = 0; i < plan->nsteps; i++) {
        const char *why = beyond_guest(&plan->steps[i]);

        if (why)
            return err_set(e, ENOTSUP, "'%s' cannot run on gnumach: step %d: %s", plan->name,
                           plan->steps[i].number, why);
    }
    return 0;
}

/* -- building --------------------------------------------------------------------------- */

/* The tables of a plan under construction; text is appended to as steps are added. */
struct builder {
    struct guest_run *runs;
    struct guest_step *steps;
    struct guest_part *parts;
    char *text;
    uint32_t nruns, nsteps, nparts, text_bytes;
    size_t text_room;
};

static int add_text(struct builder *b, const char *text, struct guest_step *g, struct err *e)
{
    size_t len = text ? strlen(text) : 0;

    if (b->text_bytes + len > b->text_room) {
        size_t room = (b->text_bytes + len) * 2;
        char *grown = realloc(b->text, room);

        if (!grown)
            return err_no_memory(e);
        b->text = grown;
        b->text_room = room;
    }
    if (len)
        memcpy(b->text + b->text_bytes, text, len);
    g->text = b->text_bytes;
    g->text_bytes = (uint32_t)len;
    b->text_bytes += (uint32_t)len;
    return 0;
}

static void add_parts(struct builder *b, const struct step *s, const struct slot *slots,
                      size_t nslots, struct guest_step *g)
{
    g->first_part = b->nparts;
    g->nparts = (uint32_t)s->nparts;
    for (size_t i = 0; i < s->nparts; i++) {
        const struct message_part *p = &s->parts[i];

        b->parts[b->nparts++] = (struct guest_part){
            .kind = p->kind,
            .slot = slot_index(slots, nslots, p->region, p->case_name),
            .disposition = (uint32_t)p->disposition,
            .deallocate = p->deallocate,
            .count = p->count,
        };
    }
}

static int add_step(struct builder *b, const struct plan *plan, const struct step *s,
                    int32_t receiver, const struct slot *slots, size_t nslots, struct err *e)
{
    struct guest_step *g = &b->steps[b->nsteps++];
    const char *relative = s->as ? s->as : s->child;

    *g = (struct guest_step){
        .number = (uint32_t)s->number,
        .action = s->action,
        .actor = guest_actor_index(plan, s->actor),
        .other = receiver >= 0 ? receiver : guest_actor_index(plan, relative),
        .slot = slot_index(slots, nslots, s->region, s->case_name),
        .kind = s->kind,
        .bytes = s->has_bytes ? s->bytes
                 : s->pages   ? s->pages * GUEST_PAGE_SIZE
                              : GUEST_REST,
        .offset_bytes = s->offset_bytes,
        .origin = s->origin,
        .select = s->select,
        .stamp = s->has_stamp ? (unsigned char)s->stamp : 0,
        .inherit = s->inherit,
        .protection = (uint32_t)s->protection,
        .deallocate = s->deallocate,
        .status = s->status,
        .timeout_ms = s->timeout_ms > INT32_MAX ? INT32_MAX : (int32_t)s->timeout_ms,
        .message_id = s->message_id,
        .want_reply = s->want_reply,
        .expect_timeout = s->expect_timeout,
    };
    add_parts(b, s, slots, nslots, g);
    return add_text(b, s->text, g, e);
}

static int add_run(struct builder *b, const struct plan *plan, struct err *e)
{
    struct guest_run *r = &b->runs[b->nruns++];
    struct slot *slots;
    size_t nslots;
    int32_t *receivers = NULL;
    int rc = slots_of(plan, &slots, &nslots, e);

    if (rc < 0)
        return rc;
    rc = receivers_of(plan, &receivers, e);
    r->first_step = b->nsteps;
    r->nsteps = (uint32_t)plan->nsteps;
    r->nactors = (uint32_t)plan->nactors;
    r->nslots = (uint32_t)nslots;
    for (size_t i = 0; i < plan->nactors; i++)
        if (!plan_born_by_fork(plan, plan->actors[i]))
            r->roots |= 1ull << i;
    for (size_t i = 0; i < plan->nsteps && rc == 0; i++)
        rc = add_step(b, plan, &plan->steps[i], receivers[i], slots, nslots, e);
    free(slots);
    free(receivers);
    return rc;
}

static char *put(char *at, const void *data, size_t n)
{
    if (n)
        memcpy(at, data, n);
    return at + n;
}

static int join(const struct builder *b, uint64_t nonce, uint32_t deadline_ms, void **out,
                size_t *len, struct err *e)
{
    size_t runs = b->nruns * sizeof *b->runs, steps = b->nsteps * sizeof *b->steps;
    size_t parts = b->nparts * sizeof *b->parts;
    size_t total = sizeof(struct guest_plan) + runs + steps + parts + b->text_bytes;
    struct guest_plan head = {
        .magic = GUEST_MAGIC,
        .nonce = nonce,
        .version = GUEST_VERSION,
        .bytes = (uint32_t)total,
        .nruns = b->nruns,
        .nsteps = b->nsteps,
        .nparts = b->nparts,
        .text_bytes = b->text_bytes,
        .deadline_ms = deadline_ms,
    };
    char *at = malloc(total);

    if (!at)
        return err_no_memory(e);
    *out = at;
    *len = total;
    at = put(at, &head, sizeof head);
    at = put(at, b->runs, runs);
    at = put(at, b->steps, steps);
    at = put(at, b->parts, parts);
    put(at, b->text, b->text_bytes);
    return 0;
}

int blob_build(const struct plan *const *plans, size_t nplans, uint64_t nonce, uint32_t deadline_ms,
               void **out, size_t *len, struct err *e)
{
    struct builder b = {0};
    size_t steps = 0, parts = 0;
    int rc = 0;

    for (size_t i = 0; i < nplans; i++) {
        steps += plans[i]->nsteps;
        for (size_t k = 0; k < plans[i]->nsteps; k++)
            parts += plans[i]->steps[k].nparts;
    }
    b.runs = calloc(nplans + 1, sizeof *b.runs);
    b.steps = calloc(steps + 1, sizeof *b.steps);
    b.parts = calloc(parts + 1, sizeof *b.parts);
    if (!b.runs || !b.steps || !b.parts)
        rc = err_no_memory(e);
    for (size_t i = 0; i < nplans && rc == 0; i++)
        rc = add_run(&b, plans[i], e);
    rc = rc ? rc : join(&b, nonce, deadline_ms, out, len, e);
    FREE_ALL(b.runs, b.steps, b.parts, b.text);
    return rc;
}
