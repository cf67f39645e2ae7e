/* What actors measure touch by touch, and the step that takes a snapshot: what of it the lab sees
 * from outside. */
#include "lab/linux/cgroup.h"
#include "lab/linux/run.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the times of touches --- */

static int read_times(struct actor_times *t, const struct reply_fds *fds, struct err *e)
{
    if (fds->count != 1 || pread(fds->fd[0], t, sizeof *t, 0) != (ssize_t)sizeof *t ||
        t->magic != ACTOR_MAGIC)
        return err_set(e, EPROTO, "the times of the touches did not come whole");
    for (int i = 0; i < TIMES__COUNT; i++)
        if (!histogram_is_whole(&t->of[i].times))
            return err_set(e, EPROTO, "the times of the touches are damaged");
    return 0;
}

static struct store_latency latency_of(const struct touch_times *t, const char *part,
                                       const char *since)
{
    return (struct store_latency){
        part, since, t->times.n > 1 ? value_known((int64_t)t->gap_ns) : value_na(), t->times};
}

static void tell_times(struct store_latencies *to, const struct actor_times *t, bool snapshot)
{
    to->cost_ns = t->cost_ns;
    to->empty_ns = t->empty_ns;
    if (!snapshot) {
        to->of[to->n++] = latency_of(&t->of[TIMES_TOUCH], "step", "touch");
        return;
    }
    to->of[to->n++] = latency_of(&t->of[TIMES_TOUCH], "before", "touch");
    to->of[to->n++] = latency_of(&t->of[TIMES_DUE], "before", "due");
    to->of[to->n++] = latency_of(&t->of[TIMES_DURING_TOUCH], "during", "touch");
    to->of[to->n++] = latency_of(&t->of[TIMES_DURING_DUE], "during", "due");
}

/* Takes the descriptors in every case. */
static int take_times(struct doing *d, const struct reply_fds *fds, struct err *e)
{
    struct actor_times *t = malloc(sizeof *t);
    int rc = 0;

    d->out->latencies = calloc(1, sizeof *d->out->latencies);
    if (!t || !d->out->latencies)
        rc = err_no_memory(e);
    if (rc == 0)
        rc = read_times(t, fds, e);
    if (rc == 0)
        tell_times(d->out->latencies, t, d->step->action == ACT_SNAPSHOT);
    for (int i = 0; i < fds->count; i++)
        close(fds->fd[i]);
    free(t);
    return rc;
}

int linux_touch(struct doing *d, struct err *e)
{
    struct reply_fds fds;
    int rc = linux_call(d, &fds, e);

    return rc == 0 && d->step->latency ? take_times(d, &fds, e) : rc;
}

/* --- a snapshot --- */

/* One of the lab's own processors, other than that of the actors; -1: there is none. */
static int second_cpu(int cpu)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set) && i != cpu)
            return i;
    return -1;
}

static int tell_snapshot(struct doing *d, struct value before, struct value peak, struct err *e)
{
    const struct actor_snapshot *s = &d->reply.snapshot;
    struct store_snapshot *to = d->out->snapshot = calloc(1, sizeof *to);
    bool ok = to != NULL;

    if (!ok)
        return err_no_memory(e);
    *to = (struct store_snapshot){
        .way = step_text(word_text(snapshot_way_words, (int)d->step->snapshot_way), &ok),
        .how = !s->how[0]                      ? NULL
               : strcmp(s->how, "shared") == 0 ? "shared"
                                               : "copied",
        .pages = (int64_t)(d->rq.len / linux_page_size()),
        .rate = (int64_t)d->step->rate,
        .cpus = (int)s->cpus,
        .still_ns = (int64_t)s->still_ns,
        .take_ns = (int64_t)s->take_ns,
        .readout_ns = (int64_t)s->readout_ns,
        .torn_pages = (int64_t)s->torn,
        .copied_pages = value_counted(s->copied, s->concluded),
        .before_kb = value_add(before, value_known((int64_t)s->notes / 1024)),
        .peak_kb = peak,
    };
    return ok ? 0 : err_no_memory(e);
}

int linux_ACT_SNAPSHOT(struct doing *d, struct err *e)
{
    struct actor_group *g = &d->run->group;
    /* The time before it counts like that of so many pages more. */
    uint64_t pages = d->rq.len / linux_page_size() + (uint64_t)d->step->lead_ms * 10;
    struct value before, peak;
    struct run_peak meter;
    struct reply_fds fds;
    int rc;

    d->rq.way = d->step->snapshot_way;
    d->rq.rate = d->step->rate;
    d->rq.seed = d->step->seed;
    d->rq.lead_ms = d->step->lead_ms;
    d->rq.timeout_ms = talk_allowed_ms(g, pages) * 9 / 10; /* so that it says what it waits for */
    d->rq.cpu = second_cpu(g->cpu);
    before = run_peak_begin(&meter, g->cgroup);
    rc = actor_call(g, d->index, &d->rq, -1, pages, &d->reply, &fds, e);
    peak = run_peak_end(&meter);
    if (rc == 0)
        rc = take_times(d, &fds, e);
    return rc < 0 ? rc : tell_snapshot(d, before, peak, e);
}
