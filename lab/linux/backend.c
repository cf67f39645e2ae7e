/* The Linux backend: actors are real processes, driven one step at a time and looked at from
 * outside between the steps.
 *
 *   backend.c    the backend table; a run from begin to end; the look after each step
 *   actions.c    each action as a request to an actor; message.c those of Mach messages,
 *                handover.c those that two actors carry out, snapshot.c what is measured touch by
 *                touch
 *   moment.c     was what was read one moment?
 *   check.c      can it run here at all?
 *   run.c        what the actions share: who takes part, who has what
 *   actors.c     the processes, the keeper; talk.c their sockets and deadlines
 *   shortage.c   which limit an actor ran into
 *   regions.c    who has which region, and what is on its way in messages
 *   cgroup.c     the run's own memory cgroup
 *   rundir.c     the run's own directory; the tidying up after labs that were killed
 *   actor/       the program that an actor runs; protocol.h is what it is asked */
#include "lab/linux/ability.h"
#include "lab/linux/run.h"
#include "lab/linux/rundir.h"
#include "lab/linux/talk.h"
#include "lab/run/clock.h"
#include "lab/run/machine.h"
#include <errno.h>
#include <stdlib.h>

struct session {
    const struct plan *const *plans;
    size_t nplans;
    struct backend_options opt;
};

static int linux_session_open(struct session **out, const struct plan *const *plans, size_t nplans,
                              const struct backend_options *opt, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return err_no_memory(e);
    run_dirs_tidy(); /* what labs before left that were killed */
    *s = (struct session){plans, nplans, *opt};
    *out = s;
    return 0;
}

static void linux_session_close(struct session *s)
{
    free(s);
}

#define MESSAGE_OF(e, code, key, region, message, ...) [e] = MESSAGE_##message,
#define REGION_OF(e, code, key, region, ...) [e] = REGION_##region,
static const unsigned char message_use[] = {ACTIONS(MESSAGE_OF)};
static const unsigned char region_use[] = {ACTIONS(REGION_OF)};

static bool uses_messages(const struct plan *p)
{
    for (size_t i = 0; i < p->nsteps; i++) {
        enum action a = p->steps[i].action;
        bool mach_memory =
            a == ACT_MAP && (p->steps[i].kind == MK_ORDINARY || p->steps[i].kind == MK_PURGEABLE);

        if (mach_memory || way_kind(p->steps[i].way) == WAY_MESSAGE ||
            message_use[a] != MESSAGE_SILENT)
            return true;
    }
    return false;
}

static void linux_end(struct backend_run *r)
{
    /* The observer's descriptors on the actors go first. */
    if (r->observer)
        observer_free(r->observer);
    for (size_t i = 0; i < r->nholders; i++) {
        held_clear(&r->holders[i].regions);
        free(r->holders[i].last_from);
    }
    free(r->holders);
    carried_clear(&r->carried);
    linux_drop_handed(r, NULL);
    actor_group_end(&r->group);
    free(r);
}

static int linux_begin(struct session *s, size_t plan_index, struct backend_run **out,
                       struct run_info *info, struct err *e)
{
    struct observer_options options = {.whole_process = true};
    struct backend_run *r = calloc(1, sizeof *r);
    int rc;

    if (!r)
        return err_no_memory(e);
    r->plan = s->plans[plan_index];
    r->messages = uses_messages(r->plan);
    rc = actor_group_begin(&r->group, &s->opt, machine_caps()->have[CAP_CGROUP], e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    rc = linux_start_name_server(r, e);
    if (rc == 0)
        rc = linux_start_actors(r, e);
    options.cgroup = r->group.cgroup[0] ? r->group.cgroup : NULL;
    if (rc == 0)
        rc = observer_new(&r->observer, machine_caps(), &options, e);
    if (rc == 0)
        rc = machine_describe(info, e);
    if (rc < 0)
        linux_end(r);
    else
        *out = r;
    return rc;
}

/* --- looking --- */

static bool step_wrote(const void *step, uint64_t page)
{
    return page_selected(&((const struct step *)step)->select, page);
}

static struct target_region *fill_regions(const struct held_regions *h, const struct step *step,
                                          struct target_region *at)
{
    for (size_t i = 0; i < h->count; i++)
        *at++ = (struct target_region){
            .name = h->list[i].name,
            .case_name = h->list[i].case_name,
            .start = h->list[i].start,
            .len = h->list[i].len,
            .inherit = fate_inherit(h->list[i].fate),
            .freed = h->list[i].freed,
            .written = h->list[i].written,
            .written_pages = h->list[i].written ? h->list[i].written_pages : 0,
            .page_written = h->list[i].written ? step_wrote : NULL,
            .writer = step,
        };
    return at;
}

static size_t count_regions(const struct backend_run *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->group.nactors; i++)
        n += r->holders[i].regions.count;
    return n;
}

static size_t fill_messages(const struct backend_run *r, struct target_message *at)
{
    size_t n = 0;

    for (size_t i = 0; i < r->carried.count; i++)
        if (r->carried.list[i].region)
            at[n++] = (struct target_message){
                .region = r->carried.list[i].region,
                .case_name = r->carried.list[i].case_name,
                .fd = r->carried.list[i].fd,
                .len = r->carried.list[i].len,
                .carriers = 1,
            };
    if (r->handed.step && r->handed.fd >= 0)
        at[n++] = (struct target_message){
            .region = r->handed.step->region,
            .case_name = r->handed.step->case_name,
            .fd = r->handed.fd,
            .len = r->handed.len,
            .shared = r->handed.step->way != WAY_MEMFD_SEALED,
            .carriers = 1,
        };
    return n;
}

static void tell_deed(const struct doing *d, size_t index, struct target *t)
{
    for (size_t i = 0; i < d->ndeeds; i++)
        if (d->deeds[i].index == index) {
            t->acting = true;
            t->dur_ns = d->deeds[i].dur_ns;
            t->cpu_ns = d->deeds[i].cpu_ns;
            t->minflt = d->deeds[i].minflt;
            t->majflt = d->deeds[i].majflt;
        }
}

static int look(struct backend_run *r, const struct doing *d, struct observation *obs,
                struct err *e)
{
    size_t nregions = count_regions(r), ntargets = 0;
    struct target *targets = calloc(r->group.nactors + 1, sizeof *targets);
    struct target_region *regions = calloc(nregions + 1, sizeof *regions), *next = regions;
    struct target_message *messages = calloc(r->carried.count + 2, sizeof *messages);
    int rc = targets && regions && messages ? 0 : err_no_memory(e);
    struct err why;

    for (size_t i = 0; rc == 0 && i < r->group.nactors; i++) {
        const struct actor_process *a = &r->group.actors[i];
        struct target *t = &targets[ntargets];

        if (!a->alive)
            continue;
        t->actor = a->name;
        t->pid = a->pid;
        tell_deed(d, i, t);
        t->regions = next;
        next = fill_regions(&r->holders[i].regions, d->step, next);
        t->nregions = (size_t)(next - t->regions);
        ntargets++;
    }
    if (rc == 0) {
        size_t nmessages = fill_messages(r, messages);

        rc = observer_look(r->observer, targets, ntargets, messages, nmessages, obs, e);
        /* Its memory goes a moment before its end is known, and with it why. */
        if (rc == -ESRCH && talk_await(&r->group, -1, -1, now_ms() + 1000, 1000, &why) == -ECHILD) {
            *e = why;
            rc = -ECHILD;
        }
    }
    free(targets);
    free(regions);
    free(messages);
    return rc;
}

static void forget_writes(struct backend_run *r)
{
    for (size_t i = 0; i < r->group.nactors; i++)
        for (size_t k = 0; k < r->holders[i].regions.count; k++)
            r->holders[i].regions.list[k].written = false;
}

/* --- one step --- */

static int find_region(struct doing *d, struct err *e)
{
    const struct step *s = d->step;

    if (region_use[s->action] != REGION_OLD)
        return 0;
    d->region = held_find(linux_held(d), s->region, s->case_name);
    if (!d->region)
        return err_set(e, ENOENT, "actor '%s' has no region '%s'", s->actor, s->region);
    d->rq.start = d->region->start;
    d->rq.len = d->region->len;
    d->rq.sent_start = d->region->sent_start;
    d->rq.sent_len = d->region->sent_len;
    d->rq.kind = d->region->kind;
    return 0;
}

/* What the step says, as the actor's actions read it. */
static void fill_request(struct doing *d)
{
    const struct step *s = d->step;

    d->rq.op = s->action;
    d->rq.select = s->select;
    d->rq.origin = s->origin;
    d->rq.reach = s->reach;
    d->rq.latency = s->latency;
    d->rq.letter = s->has_stamp ? (uint32_t)s->stamp : 0;
    d->rq.protection = s->protection;
    d->rq.lock = s->lock;
    d->rq.inherit = s->inherit;
    d->rq.advice = s->advice;
    d->rq.status = s->status;
    d->rq.way = s->way;
    d->rq.used = s->used;
    d->rq.huge_size = machine_caps()->huge_page_size;
}

#define ACTION_ENTRY(e, ...) [e] = linux_##e,

static int carry_out(struct doing *d, struct err *e)
{
    static int (*const actions[])(struct doing *, struct err *) = {ACTIONS(ACTION_ENTRY)};
    int index = linux_actor_index(d->run, d->step->actor, e);
    int rc;

    if (index < 0)
        return index;
    d->index = (size_t)index;
    fill_request(d);
    rc = find_region(d, e);
    if (rc == 0)
        rc = actions[d->step->action] ? actions[d->step->action](d, e) : linux_call(d, NULL, e);
    return rc;
}

static int linux_step(struct backend_run *r, const struct step *step, struct step_result *out,
                      struct err *e)
{
    struct doing *d = calloc(1, sizeof *d);
    int rc = 0;

    if (!d)
        return err_no_memory(e);
    *d = (struct doing){.run = r, .step = step, .out = out};
    forget_writes(r);
    out->start_ns = now_ns();
    rc = actor_group_check(&r->group, e);
    if (rc == 0 && step->actor)
        rc = carry_out(d, e);
    if (rc == 0 && step->actor && !d->told)
        linux_did(d, d->index, &d->reply);
    out->dur_ns = d->reply.dur_ns;
    if (rc == 0)
        rc = look(r, d, &out->obs, e);
    free(d);
    return rc;
}

extern const struct backend backend_linux; /* for lab/backends.c */
const struct backend backend_linux = {
    .ability = &ability_linux,
    .page_size = linux_page_size,
    .check = linux_check,
    .session_open = linux_session_open,
    .begin = linux_begin,
    .step = linux_step,
    .end = linux_end,
    .session_close = linux_session_close,
    .left = run_dirs_left,
};
