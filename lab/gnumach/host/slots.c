#include "lab/gnumach/host/slots.h"

#include "lab/gnumach/protocol.h"
#include <stdlib.h>
#include <string.h>

int slot_index(const struct slot *slots, size_t count, const char *region, const char *case_name)
{
    for (size_t i = 0; region && i < count; i++)
        if (same_text(slots[i].region, region) && same_text(slots[i].case_name, case_name))
            return (int)i;
    return -1;
}

int guest_actor_index(const struct plan *plan, const char *actor)
{
    for (size_t i = 0; i < plan->nactors; i++)
        if (same_text(plan->actors[i], actor))
            return (int)i;
    return -1;
}

static void mention(struct slot *slots, size_t *count, const char *region, const char *case_name)
{
    if (region && slot_index(slots, *count, region, case_name) < 0)
        slots[(*count)++] = (struct slot){region, case_name};
}

int slots_of(const struct plan *plan, struct slot **out, size_t *count, struct err *e)
{
    size_t most = 1, n = 0;
    struct slot *slots;

    for (size_t i = 0; i < plan->nsteps; i++)
        most += 1 + plan->steps[i].nparts;
    slots = calloc(most, sizeof *slots);
    if (!slots)
        return err_no_memory(e);
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

/* -- who gets which message ------------------------------------------------------------- */

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
    return p->sent->want_reply ? guest_actor_index(plan, p->sent->actor) : GUEST_NONE;
}

bool step_receives(const struct step *s)
{
    return s->action == ACT_OOL_RECEIVE || s->action == ACT_RECEIVE;
}

int receivers_of(const struct plan *plan, int32_t **out, struct err *e)
{
    int32_t answer_to[GUEST_MAX_ACTORS];
    int32_t *list = calloc(plan->nsteps + 1, sizeof *list);
    struct post *posts = calloc(plan->nsteps + 1, sizeof *posts);
    size_t n = 0;

    if (!list || !posts) {
        free(list);
        free(posts);
        return err_no_memory(e);
    }
    memset(answer_to, 0xff, sizeof answer_to); /* GUEST_NONE */
    for (size_t i = 0; i < plan->nsteps; i++) {
        const struct step *s = &plan->steps[i];
        int actor = guest_actor_index(plan, s->actor);
        bool answers = s->action == ACT_REPLY;

        list[i] = answers && actor >= 0 ? answer_to[actor] : guest_actor_index(plan, s->to);
        if (list[i] >= 0 && (answers || waiting_for(posts, n, list[i]) < QUEUE_LIMIT))
            posts[n++] = (struct post){s, list[i], false};
        if (actor >= 0 && step_receives(s) && !s->expect_timeout)
            answer_to[actor] = receive_on_paper(plan, posts, n, actor);
    }
    free(posts);
    *out = list;
    return 0;
}
