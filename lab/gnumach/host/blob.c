#include "lab/gnumach/host/blob.h"

#include "lab/gnumach/protocol.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- what cannot be expressed --- */

static const char *why_not_kind(enum map_kind kind)
{
    switch (kind) {
    case MK_ANONYMOUS:
    case MK_SHARED:
    case MK_ORDINARY:
    case MK_MALLOC: /* all memory is vm_allocate's: there is no other on Mach */
        return NULL;
    case MK_PURGEABLE:
        return "GNU Mach has no purgeable memory: its vm_allocate knows no such flag";
    case MK_HUGETLB:
        return "GNU Mach has no huge pages";
    case MK_MEMFD_SHARED:
    case MK_MEMFD_PRIVATE:
    case MK_FILE_PRIVATE:
        return "a memory object with content needs a pager, and the guest has no file server";
    }
    return "the guest does not know this kind of memory";
}

static const char *why_not_action(const struct step *s)
{
    switch (s->action) {
    case ACT_MAP:
        return why_not_kind(s->kind);
    case ACT_EXEC:
        return "exec needs a file server, and the guest has none";
    case ACT_MOVE:
        return "GNU Mach cannot move a mapping (it has no mremap and no vm_remap)";
    case ACT_LOCK:
        return "wiring memory is a privilege of the host port on GNU Mach, which no actor has";
    case ACT_MADVISE:
        return "GNU Mach takes no advice about memory";
    case ACT_INHERIT:
        return s->inherit == INH_ZERO ? "GNU Mach inherits a region shared, copied or not at all"
                                      : NULL;
    default:
        return NULL;
    }
}

static const char *why_not_parts(const struct step *s)
{
    if (s->nparts > GUEST_MAX_PARTS)
        return "the guest sends at most 32 descriptors in a message";
    if (s->text && strlen(s->text) >= GUEST_MAX_TEXT)
        return "the guest sends at most 2047 bytes of inline text";
    for (size_t i = 0; i < s->nparts; i++) {
        if (s->parts[i].kind == PART_OOL_VOLATILE)
            return "GNU Mach's messages have no volatile out-of-line memory";
        if (s->parts[i].kind == PART_OOL_PORTS && s->parts[i].count > 512)
            return "the guest sends at most 512 rights in an array";
    }
    return NULL;
}

int blob_check(const struct plan *plan, struct err *e)
{
    if (plan->nactors > GUEST_MAX_ACTORS)
        return err_set(e, ENOTSUP, "'%s' cannot run on gnumach: more than %u actors", plan->name,
                       GUEST_MAX_ACTORS);
    for (size_t i = 0; i < plan->nsteps; i++) {
        const char *why = why_not_action(&plan->steps[i]);

        if (!why)
            why = why_not_parts(&plan->steps[i]);
        if (why)
            return err_set(e, ENOTSUP, "'%s' cannot run on gnumach: step %d: %s", plan->name,
                           plan->steps[i].number, why);
    }
    return 0;
}

/* --- numbering --- */

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int blob_slot_index(const struct blob_slot *slots, size_t count, const char *region,
                    const char *case_name)
{
    for (size_t i = 0; i < count; i++)
        if (same(slots[i].region, region) && same(slots[i].case_name, case_name))
            return (int)i;
    return -1;
}

int blob_actor_index(const struct plan *plan, const char *actor)
{
    for (size_t i = 0; i < plan->nactors; i++)
        if (same(plan->actors[i], actor))
            return (int)i;
    return -1;
}

static void mention(struct blob_slot *slots, size_t *count, const char *region,
                    const char *case_name)
{
    if (region && blob_slot_index(slots, *count, region, case_name) < 0)
        slots[(*count)++] = (struct blob_slot){region, case_name};
}

int blob_slots(const struct plan *plan, struct blob_slot **out, size_t *count, struct err *e)
{
    size_t most = 1, n = 0;
    struct blob_slot *slots;

    for (size_t i = 0; i < plan->nsteps; i++)
        most += 1 + plan->steps[i].nparts;
    slots = calloc(most, sizeof *slots);
    if (!slots)
        return err_set(e, ENOMEM, "out of memory");
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct step *s = &plan->steps[i];

        mention(slots, &n, s->region, s->case_name);
        for (size_t k = 0; k < s->nparts; k++)
            mention(slots, &n, s->parts[k].region, s->parts[k].case_name);
    }
    *out = slots;
    *count = n;
    return 0;
}

static bool sends(const struct step *s)
{
    return s->action == ACT_SEND || s->action == ACT_OOL_SEND || s->action == ACT_REPLY;
}

/* A message on paper: the step that sends it, who gets it, and whether it was received. */
struct post {
    const struct step *sent;
    int to;
    bool taken;
};

#define QUEUE_LIMIT 5 /* of a port: a message more waits, and times out */

static size_t waiting_for(const struct post *posts, size_t n, int actor)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += posts[i].to == actor && !posts[i].taken;
    return count;
}

static struct post *oldest_for(struct post *posts, size_t n, int actor)
{
    for (size_t i = 0; i < n; i++)
        if (posts[i].to == actor && !posts[i].taken)
            return &posts[i];
    return NULL;
}

/* The actor takes the oldest message; who is to be answered, or none. */
static int32_t receive_on_paper(const struct plan *plan, struct post *posts, size_t n, int actor)
{
    struct post *p = oldest_for(posts, n, actor);

    if (!p)
        return GUEST_NONE;
    p->taken = true;
    return p->sent->want_reply ? blob_actor_index(plan, p->sent->actor) : GUEST_NONE;
}

int blob_receivers(const struct plan *plan, int32_t **out, struct err *e)
{
    int32_t answer_to[GUEST_MAX_ACTORS];
    int32_t *list = calloc(plan->nsteps + 1, sizeof *list);
    struct post *posts = calloc(plan->nsteps + 1, sizeof *posts);
    size_t n = 0;

    if (!list || !posts) {
        free(list);
        free(posts);
        return err_set(e, ENOMEM, "out of memory");
    }
    memset(answer_to, 0xff, sizeof answer_to); /* GUEST_NONE */
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct step *s = &plan->steps[i];
        int actor = blob_actor_index(plan, s->actor);

        list[i] =
            s->action == ACT_REPLY && actor >= 0 ? answer_to[actor] : blob_actor_index(plan, s->to);
        if (sends(s) && list[i] >= 0 &&
            (s->action == ACT_REPLY || waiting_for(posts, n, list[i]) < QUEUE_LIMIT))
            posts[n++] = (struct post){s, list[i], false};
        if (actor >= 0 && (s->action == ACT_RECEIVE || s->action == ACT_OOL_RECEIVE) &&
            !s->expect_timeout)
            answer_to[actor] = receive_on_paper(plan, posts, n, actor);
    }
    free(posts);
    *out = list;
    return 0;
}

/* --- building --- */

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
            return err_set(e, ENOMEM, "out of memory");
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

static void add_parts(struct builder *b, const struct step *s, const struct blob_slot *slots,
                      size_t nslots, struct guest_step *g)
{
    g->first_part = b->nparts;
    g->nparts = (uint32_t)s->nparts;
    for (size_t i = 0; i < s->nparts; i++) {
        const struct message_part *p = &s->parts[i];

        b->parts[b->nparts++] = (struct guest_part){
            .kind = p->kind == PART_PORT  ? GUEST_PART_PORT
                    : p->kind == PART_OOL ? GUEST_PART_OOL
                                          : GUEST_PART_OOL_PORTS,
            .slot = blob_slot_index(slots, nslots, p->region, p->case_name),
            .disposition = (uint32_t)p->disposition,
            .deallocate = p->deallocate,
            .count = p->count,
        };
    }
}

static int add_step(struct builder *b, const struct plan *plan, const struct step *s,
                    int32_t receiver, const struct blob_slot *slots, size_t nslots, struct err *e)
{
    struct guest_step *g = &b->steps[b->nsteps++];
    const char *other = s->action == ACT_FORK ? s->as : s->child;

    *g = (struct guest_step){
        .number = (uint32_t)s->number,
        .action = s->action,
        .actor = blob_actor_index(plan, s->actor),
        .other = sends(s) ? receiver : blob_actor_index(plan, other),
        .slot = s->region ? blob_slot_index(slots, nslots, s->region, s->case_name) : GUEST_NONE,
        .kind = s->kind,
        .bytes = s->has_bytes ? s->bytes : s->pages * GUEST_PAGE_SIZE,
        .offset_bytes = s->offset_bytes,
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
    if (s->action == ACT_OOL_SEND && !s->has_bytes)
        g->bytes = GUEST_REST;
    add_parts(b, s, slots, nslots, g);
    return add_text(b, s->text, g, e);
}

static int add_run(struct builder *b, const struct plan *plan, struct err *e)
{
    struct guest_run *r = &b->runs[b->nruns++];
    struct blob_slot *slots;
    size_t nslots;
    int32_t *receivers = NULL;
    int rc = blob_slots(plan, &slots, &nslots, e);

    if (rc < 0)
        return rc;
    rc = blob_receivers(plan, &receivers, e);
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
        return err_set(e, ENOMEM, "out of memory");
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
        rc = err_set(e, ENOMEM, "out of memory");
    for (size_t i = 0; i < nplans && rc == 0; i++)
        rc = add_run(&b, plans[i], e);
    if (rc == 0)
        rc = join(&b, nonce, deadline_ms, out, len, e);
    free(b.runs);
    free(b.steps);
    free(b.parts);
    free(b.text);
    return rc;
}
