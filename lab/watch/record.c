#include "lab/watch/watching.h"
#include "probes/list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sharing between all pairs is stored for this many processes at most: with the first sample and
 * the last, once the set of processes or a program changed, and once a minute; but never more than
 * this many rows a second on average, whatever comes and goes. Who comes is stored at once while
 * the rows of the last minutes, in which as many might have been stored, are fewer. */
#define MATRIX_PROCESSES 64
#define MATRIX_ROW_NS 250000000ULL
#define MATRIX_SAVED_NS (MATRIX_ROW_NS * MATRIX_PROCESSES * (MATRIX_PROCESSES - 1) / 2)
#define MATRIX_LATEST_NS 60000000000ULL

static struct value pages_kb(struct value pages)
{
    pages.n *= (int64_t)machine_caps()->page_size / 1024;
    return pages;
}

/* Difference to the last sample's counter, which takes its place. */
static struct value since_last(int64_t *before, struct value now)
{
    struct value d = value_na();

    if (!value_is_known(now))
        return now;
    if (*before >= 0 && now.n >= *before)
        d = value_known(now.n - *before);
    *before = now.n;
    return d;
}

static int put_process(struct watch *w, const struct sample_process *p, int index,
                       struct observation *o)
{
    struct tree_process *before = &w->tree->list[index];
    struct obs_process *out = observation_add_process(o, before->name);
    const struct footprint *f = &p->fp;

    if (!out)
        return err_no_memory(w->e);
    out->pid = p->pid;
    out->q[PQ_RSS] = f->rss_kb;
    out->q[PQ_PSS] = f->pss_kb;
    out->q[PQ_USS] = f->uss_kb;
    out->q[PQ_PEAK] = f->peak_kb;
    out->q[PQ_PAGETABLE] = f->pagetable_kb;
    out->q[PQ_VIRTUAL] = f->virtual_kb;
    out->q[PQ_SWAP] = f->swap_kb;
    out->q[PQ_MINFLT_TOTAL] = f->minflt;
    out->q[PQ_MAJFLT_TOTAL] = f->majflt;
    out->q[PQ_MINFLT] = since_last(&before->minflt, f->minflt);
    out->q[PQ_MAJFLT] = since_last(&before->majflt, f->majflt);
    out->q[PQ_EXCLUSIVE] = p->q[WQ_EXCLUSIVE];
    out->q[PQ_SHARED_PARENT] = p->q[WQ_PARENT];
    out->q[PQ_DEBT] = p->q[WQ_DEBT];
    out->q[PQ_AT_RISK] = p->q[WQ_AT_RISK];
    out->q[PQ_COPIED] = pages_kb(p->q[WQ_COPIED]);
    out->q[PQ_LOST] = pages_kb(p->q[WQ_LOST]);
    out->q[PQ_LOST_BEFORE] = pages_kb(p->q[WQ_LOST_BEFORE]);
    return 0;
}

static int put_region(struct watch *w, const struct keep_choice *c, struct observation *o)
{
    const struct tree_process *p = &w->tree->list[w->tree_index[c->process]];
    const struct sample_region *r = c->region;
    const char *name = r && *r->map->name ? r->map->name : word_text(region_kinds, (int)c->kind);
    struct obs_region *out = observation_add_region(o, p->name, name, NULL);

    if (!out)
        return err_no_memory(w->e);
    out->start = out->entry_start = c->start;
    out->end = out->entry_end = c->end;
    out->needs_copy = -1;
    if (r)
        memcpy(out->q, r->q, sizeof out->q);
    return 0;
}

/* The share of each of 64 equal parts that is in common with the parent, as a digit. */
static const char *put_bins(struct watch *w, const struct keep_choice *c, char *text)
{
    uint8_t bins[BINS];

    if (!c->region || !value_is_known(c->region->parent_pages) ||
        c->region->q[RQ_PAGES].n < BINS * 16 ||
        sampler_bins(w->sampler, c->process, c->region, bins, BINS) < 0)
        return NULL;
    for (int i = 0; i < BINS; i++)
        text[i] = (char)('0' + (bins[i] == 255 ? 9 : bins[i] ? 1 + bins[i] * 8 / 255 : 0));
    text[BINS] = '\0';
    return text;
}

static int put_matrix(struct watch *w, const struct sample *s, bool last, struct observation *o)
{
    size_t n = s->n < MATRIX_PROCESSES ? s->n : MATRIX_PROCESSES;
    bool wanted = w->matrix_pending || s->t_ns >= w->matrix_ns + MATRIX_LATEST_NS;

    if (!last && !(wanted && s->t_ns >= w->matrix_soonest_ns))
        return 0;
    w->matrix_ns = s->t_ns;
    w->matrix_pending = false;
    for (size_t i = 0; i < n; i++)
        w->matrix_pending |= s->processes[i].why == WHY_BORROWED_MEMORY; /* it will share */
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            struct obs_sharing *out;

            if (s->processes[i].why != WHY_KNOWN || s->processes[j].why != WHY_KNOWN)
                continue;
            out = observation_add_sharing(o, w->tree->list[w->tree_index[i]].name,
                                          w->tree->list[w->tree_index[j]].name);
            if (!out)
                return err_no_memory(w->e);
            out->frames = sampler_common(w->sampler, i, j);
        }
    if (s->t_ns > w->matrix_soonest_ns + MATRIX_SAVED_NS)
        w->matrix_soonest_ns = s->t_ns - MATRIX_SAVED_NS;
    w->matrix_soonest_ns += o->nsharing * MATRIX_ROW_NS;
    return 0;
}

static int put_costs(struct watch *w, const struct sample *s, struct observation *o)
{
    for (size_t i = 0; i < s->ncosts; i++) {
        struct obs_cost *c = observation_add_cost(o, s->costs[i].probe);

        if (!c)
            return err_no_memory(w->e);
        *c = s->costs[i];
    }
    return 0;
}

/* The kernel's sum against the pages that were found, of all processes: apart by what they did
 * between the two readings. The kernel leaves explicit huge pages out of RSS. */
static int put_check(struct watch *w, const struct sample *s, struct observation *o)
{
    struct value left = value_known(0), right = value_known(0), faults = value_known(0);
    int64_t page_kb = (int64_t)machine_caps()->page_size / 1024;
    struct obs_check *c = observation_add_check(o, "smaps_rss", NULL, NULL);
    size_t row = 0; /* of the process in o: one that is gone has none */

    if (!c)
        return err_no_memory(w->e);
    for (size_t i = 0; i < s->n; row += view_has_memory(&s->processes[i++])) {
        const struct sample_process *p = &s->processes[i];

        if (p->why != WHY_KNOWN)
            continue;
        if (p->exec)
            faults = value_na();
        left = value_add(left, p->fp.rss_kb);
        faults = value_add(faults, o->processes[row].q[PQ_MINFLT]);
        for (size_t j = 0; j < p->nregions; j++)
            if (!(p->regions[j].map->flags & 1u << VMF_HUGETLB))
                right = value_add(right, value_known(p->regions[j].q[RQ_MAPPED].n * page_kb));
    }
    c->left = left;
    c->right = right;
    c->tolerance = 1024 + (value_is_known(left) ? left.n / 50 : 0) +
                   (value_is_known(faults) ? faults.n * page_kb : 0);
    /* A process that has just come or changed its program may have been caught in the act. */
    c->verdict = !value_is_known(left) || !value_is_known(right) || !value_is_known(faults)
                     ? CHECK_NOT_CHECKED
                 : llabs(left.n - right.n) <= c->tolerance ? CHECK_HELD
                                                           : CHECK_DIFFERS;
    c->detail = strdup("smaps' RSS against pages found, in KiB; not atomic");
    return 0;
}

/* The system time that its parent used since the last sample, shared among the children that
 * appeared since, and a tick more for what the clock does not show. */
static struct value fork_time(struct watch *w, const struct sample *s, int child)
{
    int parent = w->tree->list[child].parent, at, siblings = 0;
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t ticks;

    if (parent < 0 || w->step == 1 || (at = w->tree->list[parent].at) < 0 ||
        w->tree->list[parent].stime == UINT64_MAX || s->processes[at].why != WHY_KNOWN)
        return value_na();
    for (size_t i = 0; i < w->tree->n; i++)
        siblings += w->tree->list[i].fresh && w->tree->list[i].parent == parent;
    ticks = s->processes[at].fp.stime - w->tree->list[parent].stime + 1;
    return value_inferred((int64_t)(ticks * 1000000000 / (uint64_t)hz) / (siblings ? siblings : 1));
}

static struct value sum_q(const struct sample *s, enum watch_quantity q)
{
    struct value sum = value_known(0);

    for (size_t i = 0; i < s->n; i++)
        if (s->processes[i].why == WHY_KNOWN)
            sum = value_add(sum, s->processes[i].q[q]);
    return sum;
}

void record_release(struct record *r)
{
    observation_release(&r->obs);
    FREE_ALL(r->choices, r->regions, r->bins, r->came, r->named, r->fork_ns);
}

static int fill_regions(struct watch *w, const struct sample *s, bool last, struct record *r)
{
    int rc = keep_choose(&w->keep, s, w->who, last, &r->choices, &r->nchoices,
                         &r->sample.regions_waiting);

    if (rc < 0)
        return err_no_memory(w->e);
    r->regions = calloc(r->nchoices + 1, sizeof *r->regions);
    r->bins = calloc(r->nchoices + 1, sizeof *r->bins);
    if (!r->regions || !r->bins)
        return err_no_memory(w->e);
    for (size_t i = 0; i < r->nchoices && rc == 0; i++) {
        const struct keep_choice *c = &r->choices[i];

        rc = put_region(w, c, &r->obs);
        r->regions[i] = (struct store_watch_region){
            .kind = c->kind,
            .parent_pages = c->region ? c->region->parent_pages : value_na(),
            .copied = c->copied,
            .lost = c->lost,
            .gone = !c->region,
            .bins = put_bins(w, c, r->bins[i])};
    }
    return rc;
}

/* As in struct store_watch_process: with the first sample that tells; -1 in those after it. */
static int own_program(struct watch *w, const struct sample *s, int index)
{
    struct tree_process *p = &w->tree->list[index];
    int at = p->at;

    if (at < 0 || w->targets[at].parent < 0 || s->processes[at].why != WHY_KNOWN || p->program_told)
        return -1;
    p->program_told = s->processes[at].own_program >= 0;
    return s->processes[at].own_program;
}

static int fill_came(struct watch *w, const struct sample *s, struct record *r)
{
    int rc = 0;

    r->came = calloc(w->tree->n + 1, sizeof *r->came);
    r->fork_ns = calloc(w->tree->n + 1, sizeof *r->fork_ns);
    if (!r->came || !r->fork_ns)
        return err_no_memory(w->e);
    for (size_t i = 0; i < w->tree->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[i];
        struct value fork_ns;

        if (!p->fresh)
            continue;
        fork_ns = fork_time(w, s, (int)i);
        r->fork_ns[r->ncame] = fork_ns.n;
        if (value_is_known(fork_ns))
            rc = event_add(w, p->name, "fork", &r->fork_ns[r->ncame],
                           "at most: system time of the parent meanwhile");
        r->came[r->ncame++] = (struct store_watch_process){
            .actor = p->name,
            .parent = p->parent >= 0 ? w->tree->list[p->parent].name : NULL,
            .name = p->comm,
            .command = p->command,
            .pid = p->pid,
            .start_ticks = p->start_time,
            .own_program = own_program(w, s, (int)i)};
    }
    return rc;
}

/* Of those that came before: who calls itself something else now, and of whom it is known only now
 * whose program it runs. */
static int fill_named(struct watch *w, const struct sample *s, struct record *r)
{
    r->named = calloc(s->n + 1, sizeof *r->named);
    if (!r->named)
        return err_no_memory(w->e);
    for (size_t i = 0; i < s->n; i++) {
        const struct tree_process *p = &w->tree->list[w->tree_index[i]];
        int own;

        if (s->processes[i].why == WHY_GONE || p->fresh)
            continue;
        own = own_program(w, s, w->tree_index[i]);
        if (tree_renamed(w->tree, (size_t)w->tree_index[i], s->processes[i].fp.comm) || own >= 0)
            r->named[r->nnamed++] = (struct store_watch_process){
                .actor = p->name, .name = p->comm, .command = p->command, .own_program = own};
    }
    return 0;
}

static int fill_processes(struct watch *w, const struct sample *s, struct record *r)
{
    int rc = 0;

    for (size_t i = 0; i < s->n && rc == 0; i++)
        if (view_has_memory(&s->processes[i]))
            rc = put_process(w, &s->processes[i], w->tree_index[i], &r->obs);
    return rc;
}

static bool inferred(const struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->processes[i].why == WHY_KNOWN && s->processes[i].q[WQ_EXCLUSIVE].inferred)
            return true;
    return false;
}

int record_fill(struct watch *w, const struct sample *s, bool last, struct record *r)
{
    int rc;

    observation_init(&r->obs);
    for (size_t i = 0; i < w->tree->n; i++)
        w->matrix_pending |= w->tree->list[i].fresh || w->tree->list[i].gone_now;
    for (size_t i = 0; i < s->n; i++)
        w->matrix_pending |= s->processes[i].exec;
    r->obs.t_ns = s->t_ns;
    memcpy(r->obs.totals, s->totals, sizeof r->obs.totals);
    rc = fill_named(w, s, r); /* first: an exec tells the name it brought */
    rc = rc ? rc : events_of_sample(w, s);
    rc = rc ? rc : fill_came(w, s, r);
    rc = rc ? rc : fill_processes(w, s, r);
    rc = rc ? rc : fill_regions(w, s, last, r);
    rc = rc ? rc : put_matrix(w, s, last, &r->obs);
    rc = rc ? rc : put_costs(w, s, &r->obs);
    rc = rc ? rc : put_check(w, s, &r->obs);
    if (rc < 0)
        return rc;
    surround_read(w, &r->obs, &r->sample);
    rc = surround_events(w, &r->sample);
    r->sample.dur_ns = s->dur_ns;
    r->sample.growth_kb = s->growth_kb;
    r->sample.copied_kb = pages_kb(view_copied(s));
    r->sample.anon_huge_kb = sum_q(s, WQ_ANON_HUGE);
    r->sample.inferred = inferred(s);
    return rc;
}
