/* The Linux backend: actors are real processes, driven one step at a time and looked at from
 * outside between the steps.
 *
 *   backend.c    the backend table; each action as a request to an actor
 *   actors.c     the processes, their sockets, deadlines, the keeper
 *   regions.c    who has which region, and what is on its way in messages
 *   message.c    the steps that send and receive Mach messages
 *   cgroup.c     the run's own memory cgroup
 *   actor/       the program that an actor runs; protocol.h is what it is asked */
#include "lab/linux/run.h"
#include "lab/run/machine.h"
#include "lab/run/paths.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct session {
    const struct plan *const *plans;
    size_t nplans;
    struct backend_options opt;
};

int linux_no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "out of memory");
}

static uint64_t linux_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int linux_session_open(struct session **out, const struct plan *const *plans, size_t nplans,
                              const struct backend_options *opt, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return linux_no_memory(e);
    *s = (struct session){plans, nplans, *opt};
    *out = s;
    return 0;
}

static void linux_session_close(struct session *s)
{
    free(s);
}

/* --- actors by name --- */

/* The living actor of that name; the validated plan says that there is one. */
static int actor_index(const struct backend_run *r, const char *name, struct err *e)
{
    for (size_t i = r->group.nactors; i-- > 0;)
        if (r->group.actors[i].alive && strcmp(r->group.actors[i].name, name) == 0)
            return (int)i;
    return err_set(e, ESRCH, "there is no living actor '%s'", name);
}

static int grow_holders(struct backend_run *r, struct err *e)
{
    struct holder *grown = realloc(r->holders, (r->nholders + 1) * sizeof *grown);

    if (!grown)
        return linux_no_memory(e);
    r->holders = grown;
    r->holders[r->nholders++] = (struct holder){0};
    return 0;
}

static bool uses_messages(const struct plan *p)
{
    for (size_t i = 0; i < p->nsteps; i++) {
        enum action a = p->steps[i].action;
        bool mach_memory =
            a == ACT_MAP && (p->steps[i].kind == MK_ORDINARY || p->steps[i].kind == MK_PURGEABLE);

        if (mach_memory || (a >= ACT_OOL_SEND && a <= ACT_REPLY))
            return true;
    }
    return false;
}

/* Gives an actor a port under its own name with the run's name server. */
static int give_port(struct backend_run *r, size_t index, struct err *e)
{
    struct actor_request rq = {.op = ACTOR_HELLO};
    struct actor_reply reply;

    if (!r->messages)
        return 0;
    snprintf(rq.to, sizeof rq.to, "%s", r->group.actors[index].name);
    return actor_call(&r->group, index, &rq, -1, 0, &reply, NULL, e);
}

static int start_actors(struct backend_run *r, struct err *e)
{
    for (size_t i = 0; i < r->plan->nactors; i++) {
        int index, rc;

        if (plan_born_by_fork(r->plan, r->plan->actors[i]))
            continue;
        index = actor_spawn(&r->group, r->plan->actors[i], e);
        if (index < 0)
            return index;
        rc = grow_holders(r, e);
        if (rc == 0)
            rc = give_port(r, (size_t)index, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The run's own name server, in its process group; actors find it through the environment. */
static int start_name_server(struct backend_run *r, struct err *e)
{
    char program[4096], socket[128];
    char *argv[] = {program, "--foreground", "--socket", socket, NULL};
    int rc;

    if (!r->messages)
        return 0;
    rc = find_program("cowlab-nameserver", "COWLAB_NAMESERVER", program, sizeof program, e);
    if (rc < 0)
        return rc;
    snprintf(socket, sizeof socket, "%s/bootstrap", r->group.dir);
    /* An actor that is faster than the server must not start one that outlives the run. */
    if (setenv("COWLAB_BOOTSTRAP", socket, 1) < 0 || setenv("COWLAB_BOOTSTRAP_WAIT", "1", 1) < 0)
        return linux_no_memory(e);
    return actor_group_helper(&r->group, argv, e);
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
        return linux_no_memory(e);
    r->plan = s->plans[plan_index];
    r->messages = uses_messages(r->plan);
    rc = actor_group_begin(&r->group, &s->opt, machine_caps()->have[CAP_CGROUP], e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    rc = start_name_server(r, e);
    if (rc == 0)
        rc = start_actors(r, e);
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

/* --- one step --- */

static uint64_t pages_of(const struct doing *d)
{
    return d->rq.len / linux_page_size() + 1;
}

int linux_call(struct doing *d, struct reply_fds *fds, struct err *e)
{
    return actor_call(&d->run->group, d->index, &d->rq, -1, pages_of(d), &d->reply, fds, e);
}

struct held_regions *linux_held(struct doing *d)
{
    return &d->run->holders[d->index].regions;
}

static int do_map(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    int rc;

    d->rq.len = s->bytes ? s->bytes : s->pages * linux_page_size();
    d->rq.kind = s->kind;
    d->rq.huge_size = machine_caps()->huge_page_size;
    snprintf(d->rq.path, sizeof d->rq.path, "%s", d->run->group.dir);
    rc = linux_call(d, NULL, e);
    if (rc == 0 &&
        held_add(linux_held(d), s->region, s->case_name, d->reply.start, d->reply.len, s->kind) < 0)
        rc = linux_no_memory(e);
    return rc;
}

/* What a wrong page showed, in words; NULL without memory. */
static char *wrong_stamp(const struct doing *d)
{
    const struct actor_reply *r = &d->reply;
    char found[16] = "no stamp";
    char *text;

    if (r->found_letter)
        snprintf(found, sizeof found, "stamp '%c'", (char)r->found_letter);
    if (asprintf(&text,
                 "pages read against pages that carry stamp '%c'; page %" PRIu64 " carries %s",
                 d->step->stamp, r->first_wrong, found) < 0)
        return NULL;
    return text;
}

/* A read's stamps are a check of their own: contents that leaked would show here. */
static int note_stamps(struct doing *d, struct err *e)
{
    const struct actor_reply *r = &d->reply;
    struct obs_check *c;

    d->out->stamps =
        (struct stamp_result){r->checked, r->wrong, r->first_wrong, (char)r->found_letter};
    if (!r->checked)
        return 0;
    c = observation_add_check(&d->out->obs, "stamps", d->step->actor, d->step->region);
    if (!c)
        return linux_no_memory(e);
    c->left = value_known((int64_t)r->checked);
    c->right = value_known((int64_t)(r->checked - r->wrong));
    c->verdict = r->wrong ? CHECK_DIFFERS : CHECK_HELD;
    if (d->step->case_name)
        c->case_name = strdup(d->step->case_name);
    if (r->wrong)
        c->detail = wrong_stamp(d);
    return 0;
}

/* Bytes beside a range that was received must be zero: the layer sends what was meant, no more. */
static int note_stray_bytes(struct doing *d, struct err *e)
{
    const struct actor_reply *r = &d->reply;
    struct obs_check *c;

    if (!r->beside)
        return 0;
    c = observation_add_check(&d->out->obs, "stray_bytes", d->step->actor, d->step->region);
    if (!c)
        return linux_no_memory(e);
    c->left = value_known((int64_t)r->stray);
    c->right = value_known(0);
    c->verdict = r->stray ? CHECK_DIFFERS : CHECK_HELD;
    if (d->step->case_name)
        c->case_name = strdup(d->step->case_name);
    if (asprintf(&c->detail,
                 "bytes that are not zero among the %" PRIu64 " beside the received range",
                 r->beside) < 0)
        c->detail = NULL;
    return 0;
}

static int do_touch(struct doing *d, struct err *e)
{
    int rc;

    d->rq.select = d->step->select;
    d->rq.letter = d->step->has_stamp ? (uint32_t)d->step->stamp : 0;
    rc = linux_call(d, NULL, e);
    if (rc < 0)
        return rc;
    if (d->step->action == ACT_READ)
        return (rc = note_stamps(d, e)) < 0 ? rc : note_stray_bytes(d, e);
    d->region->written = true;
    d->region->written_pages = d->reply.touched;
    return 0;
}

static int do_fork(struct doing *d, struct err *e)
{
    int born = actor_fork_off(&d->run->group, d->index, d->step->as, &d->reply, e);
    int rc;

    if (born < 0)
        return born;
    rc = grow_holders(d->run, e);
    if (rc == 0 && held_inherit(&d->run->holders[born].regions, linux_held(d)) < 0)
        rc = linux_no_memory(e);
    return rc < 0 ? rc : give_port(d->run, (size_t)born, e);
}

static int do_exec(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0 && d->reply.op != ACTOR_HELLO)
        rc = err_set(e, EPROTO, "actor '%s' did not come back from exec", d->step->actor);
    if (rc == 0)
        held_clear(linux_held(d));
    return rc < 0 ? rc : give_port(d->run, d->index, e);
}

static int do_exit(struct doing *d, struct err *e)
{
    int rc;

    d->rq.status = d->step->status;
    rc = linux_call(d, NULL, e);
    if (rc == 0)
        rc = actor_await_exit(&d->run->group, d->index, e);
    if (rc == 0) {
        held_clear(linux_held(d));
        carried_drop(&d->run->carried, d->step->actor);
    }
    return rc;
}

static int do_wait(struct doing *d, struct err *e)
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

static int do_unmap(struct doing *d, struct err *e)
{
    int rc = linux_call(d, NULL, e);

    if (rc == 0)
        held_remove(linux_held(d), d->region);
    return rc;
}

static int do_move(struct doing *d, struct err *e)
{
    int rc;

    d->rq.huge_size = machine_caps()->huge_page_size;
    rc = linux_call(d, NULL, e);
    if (rc == 0)
        d->region->start = d->reply.start;
    return rc;
}

static int do_setting(struct doing *d, struct err *e)
{
    const struct step *s = d->step;
    int rc;

    d->rq.protection = s->protection;
    d->rq.lock = s->lock;
    d->rq.inherit = s->inherit;
    d->rq.advice = s->advice;
    rc = linux_call(d, NULL, e);
    if (rc < 0)
        return rc;
    if (s->action == ACT_INHERIT)
        d->region->inherit = s->inherit;
    else if (s->action == ACT_MADVISE && s->advice == ADV_DONTFORK)
        d->region->inherit = INH_NONE;
    else if (s->action == ACT_MADVISE && s->advice == ADV_WIPEONFORK)
        d->region->inherit = INH_ZERO;
    return 0;
}

static int carry_out(struct doing *d, struct err *e)
{
    switch (d->step->action) {
    case ACT_MAP:
        return do_map(d, e);
    case ACT_WRITE:
    case ACT_READ:
        return do_touch(d, e);
    case ACT_FORK:
        return do_fork(d, e);
    case ACT_EXEC:
        return do_exec(d, e);
    case ACT_EXIT:
        return do_exit(d, e);
    case ACT_WAIT:
        return do_wait(d, e);
    case ACT_UNMAP:
        return do_unmap(d, e);
    case ACT_MOVE:
        return do_move(d, e);
    case ACT_PROTECT:
    case ACT_LOCK:
    case ACT_INHERIT:
    case ACT_MADVISE:
        return do_setting(d, e);
    case ACT_CHECKPOINT:
        return 0;
    case ACT_OOL_SEND:
    case ACT_OOL_RECEIVE:
    case ACT_SEND:
    case ACT_RECEIVE:
    case ACT_REPLY:
        return linux_message_step(d, e);
    }
    return err_set(e, ENOSYS, "the Linux backend does not know action %d", (int)d->step->action);
}

static int find_region(struct doing *d, struct err *e)
{
    const struct step *s = d->step;

    if (!s->region || s->action == ACT_MAP || s->action == ACT_OOL_RECEIVE ||
        s->action == ACT_RECEIVE)
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

/* --- looking --- */

static struct target_region *fill_regions(const struct held_regions *h, struct target_region *at)
{
    for (size_t i = 0; i < h->count; i++)
        *at++ = (struct target_region){
            .name = h->list[i].name,
            .case_name = h->list[i].case_name,
            .start = h->list[i].start,
            .len = h->list[i].len,
            .inherit = h->list[i].inherit,
            .written = h->list[i].written,
            .written_pages = h->list[i].written ? h->list[i].written_pages : 0,
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
    return n;
}

static int look(struct backend_run *r, const struct doing *d, struct observation *obs,
                struct err *e)
{
    size_t nregions = count_regions(r), ntargets = 0;
    struct target *targets = calloc(r->group.nactors + 1, sizeof *targets);
    struct target_region *regions = calloc(nregions + 1, sizeof *regions), *next = regions;
    struct target_message *messages = calloc(r->carried.count + 1, sizeof *messages);
    int rc = targets && regions && messages ? 0 : linux_no_memory(e);

    for (size_t i = 0; rc == 0 && i < r->group.nactors; i++) {
        const struct actor_process *a = &r->group.actors[i];
        struct target *t = &targets[ntargets];

        if (!a->alive)
            continue;
        t->actor = a->name;
        t->pid = a->pid;
        t->acting = d->step->actor && i == d->index;
        t->dur_ns = d->reply.dur_ns;
        t->minflt = d->reply.minflt;
        t->majflt = d->reply.majflt;
        t->regions = next;
        next = fill_regions(&r->holders[i].regions, next);
        t->nregions = (size_t)(next - t->regions);
        ntargets++;
    }
    if (rc == 0) {
        size_t nmessages = fill_messages(r, messages);

        rc = observer_look(r->observer, targets, ntargets, messages, nmessages, obs, e);
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

static int linux_step(struct backend_run *r, const struct step *step, struct step_result *out,
                      struct err *e)
{
    struct doing *d = calloc(1, sizeof *d);
    struct timespec t;
    int rc = 0;

    if (!d)
        return linux_no_memory(e);
    *d = (struct doing){.run = r, .step = step, .out = out, .rq = {.op = step->action}};
    forget_writes(r);
    clock_gettime(CLOCK_MONOTONIC, &t);
    out->start_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    rc = actor_group_check(&r->group, e);
    if (rc == 0 && step->actor) {
        int index = actor_index(r, step->actor, e);

        rc = index < 0 ? index : 0;
        d->index = index < 0 ? 0 : (size_t)index;
        if (rc == 0)
            rc = find_region(d, e);
        if (rc == 0)
            rc = carry_out(d, e);
    }
    out->dur_ns = d->reply.dur_ns;
    if (rc == 0)
        rc = look(r, d, &out->obs, e);
    free(d);
    return rc;
}

const struct backend backend_linux = {
    .name = "linux",
    .page_size = linux_page_size,
    .check = machine_check,
    .session_open = linux_session_open,
    .begin = linux_begin,
    .step = linux_step,
    .end = linux_end,
    .session_close = linux_session_close,
};
