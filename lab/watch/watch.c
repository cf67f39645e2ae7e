#include "lab/watch/watch.h"

#include "lab/backends/linux_machine.h"
#include "lab/watch/keep.h"
#include "lab/watch/view.h"
#include "probes/system.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sample may take this share of the time; if it takes longer, they come less often. */
#define MOST_OF_THE_TIME 2 /* one half */
/* Sharing between all pairs is stored for this many processes at most: with the first sample and
 * the last, when the set of processes changed, and once a minute; but never more than this many
 * rows a second on average, whatever comes and goes. */
#define MATRIX_PROCESSES 64
#define MATRIX_ROWS_PER_S 4
#define MATRIX_LATEST_NS 60000000000ULL
#define BINS 64
#define POLL_MS 100
#define SHORT_SAMPLES 1000

struct watch {
    struct tree *tree;
    struct store *store;
    const struct watch_options *opt;
    struct sampler *sampler;
    struct keep keep;
    struct run_info info;
    struct sample_target *targets; /* of this sample */
    int *tree_index;
    int *position; /* by tree index: place in the sample, -1 */
    size_t cap;
    size_t n;
    int step;
    uint64_t began_ns, last_ns, every_ns;
    char cgroup[4096];
    bool own_cgroup; /* of the watched processes alone */
    bool checked_cgroup;
    uint64_t *stime; /* by tree index: the last sample's, UINT64_MAX unknown */
    int64_t *minflt, *majflt;
    size_t stime_cap;
    uint64_t matrix_ns;
    char thp[16];
    struct slurp text;
    struct store_watch_event *events;
    size_t nevents;
    int64_t limits[3]; /* counters of the cgroup at the last sample: max, oom, oom_kill */
    char thp_before[16];
    struct store_watch *moved; /* what the store keeps of earlier samples */
    bool slowed;
    struct err *e;
};

static int no_memory(struct watch *w)
{
    return err_set(w->e, ENOMEM, "out of memory");
}

/* -- whom to sample --------------------------------------------------------------------- */

static int room(struct watch *w)
{
    size_t n = w->tree->n, from = w->stime_cap;
    size_t cap = n + n / 2 + 16;

    if (n > w->cap) {
        free(w->targets);
        free(w->tree_index);
        free(w->position);
        w->targets = malloc(cap * sizeof *w->targets);
        w->tree_index = malloc(cap * sizeof *w->tree_index);
        w->position = malloc(cap * sizeof *w->position);
        w->cap = w->targets && w->tree_index && w->position ? cap : 0;
        if (!w->cap)
            return no_memory(w);
    }
    if (n > w->stime_cap) {
        uint64_t *stime = realloc(w->stime, cap * sizeof *stime);
        int64_t *minflt, *majflt;

        w->stime = stime ? stime : w->stime;
        minflt = realloc(w->minflt, cap * sizeof *minflt);
        w->minflt = minflt ? minflt : w->minflt;
        majflt = realloc(w->majflt, cap * sizeof *majflt);
        w->majflt = majflt ? majflt : w->majflt;
        if (!stime || !minflt || !majflt)
            return no_memory(w);
        for (; from < cap; from++) {
            w->stime[from] = UINT64_MAX;
            w->minflt[from] = w->majflt[from] = -1;
        }
        w->stime_cap = cap;
    }
    return 0;
}

/* Parents stand before children in the tree, and so they do here. */
static int choose_targets(struct watch *w)
{
    int rc = room(w);

    w->n = 0;
    for (size_t i = 0; rc == 0 && i < w->tree->n; i++) {
        const struct tree_process *p = &w->tree->list[i];

        w->position[i] = -1;
        if (!p->alive)
            continue;
        w->position[i] = (int)w->n;
        w->tree_index[w->n] = (int)i;
        w->targets[w->n++] =
            (struct sample_target){.pid = p->pid,
                                   .start_time = p->start_time,
                                   .parent = p->parent >= 0 ? w->position[p->parent] : -1};
    }
    return rc;
}

/* -- events ----------------------------------------------------------------------------- */

static int event(struct watch *w, const char *actor, const char *kind, const int64_t *value,
                 const char *text)
{
    struct store_watch_event *grown = realloc(w->events, (w->nevents + 1) * sizeof *grown);

    if (!grown)
        return no_memory(w);
    w->events = grown;
    w->events[w->nevents++] = (struct store_watch_event){actor, kind, value, text};
    if (strcmp(kind, "fork") != 0)
        view_news(w->opt->view, "sample %d: %s %s%s%s", w->step, actor ? actor : "the watch", kind,
                  text ? ": " : "", text ? text : "");
    return 0;
}

static int note_events(struct watch *w, const struct sample *s)
{
    int rc = 0;

    w->nevents = 0;
    for (size_t i = 0; i < w->tree->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[i];

        if (p->fresh && w->step > 1)
            view_news(w->opt->view, "sample %d: %s came: %s", w->step, p->name,
                      p->command ? p->command : "");
        if (p->gone_now)
            rc = event(w, p->name, "gone", NULL, NULL);
    }
    for (size_t i = 0; i < s->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[w->tree_index[i]];

        if (s->processes[i].exec)
            rc = event(w, p->name, "exec", NULL, NULL);
        if (s->processes[i].why == WHY_PERMISSION && p->fresh && rc == 0)
            rc = event(w, p->name, "note", NULL, "its memory may not be looked at");
    }
    if (rc == 0 && w->slowed)
        rc = event(w, NULL, "note", NULL, "a sample takes more than half of the time between two");
    w->slowed = false;
    return rc;
}

/* -- from a sample to what is stored ---------------------------------------------------- */

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
    struct obs_process *out = observation_add_process(o, w->tree->list[index].name);
    const struct footprint *f = &p->fp;

    if (!out)
        return no_memory(w);
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
    out->q[PQ_MINFLT] = since_last(&w->minflt[index], f->minflt);
    out->q[PQ_MAJFLT] = since_last(&w->majflt[index], f->majflt);
    out->q[PQ_EXCLUSIVE] = p->q[WQ_EXCLUSIVE];
    out->q[PQ_SHARED_PARENT] = p->q[WQ_PARENT];
    out->q[PQ_DEBT] = p->q[WQ_DEBT];
    out->q[PQ_AT_RISK] = p->q[WQ_AT_RISK];
    out->q[PQ_COPIED] = pages_kb(p->q[WQ_COPIED]);
    out->q[PQ_LOST] = pages_kb(p->q[WQ_LOST]);
    return 0;
}

static int put_region(struct watch *w, const struct keep_choice *c, struct observation *o)
{
    const struct tree_process *p = &w->tree->list[w->tree_index[c->process]];
    const struct sample_region *r = c->region;
    const char *name = r && *r->map->name ? r->map->name : word_text(region_kinds, (int)c->kind);
    struct obs_region *out = observation_add_region(o, p->name, name, NULL);

    if (!out)
        return no_memory(w);
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

static int put_matrix(struct watch *w, const struct sample *s, bool changed, bool last,
                      struct observation *o)
{
    size_t n = s->n < MATRIX_PROCESSES ? s->n : MATRIX_PROCESSES;
    uint64_t age = s->t_ns - w->matrix_ns;
    uint64_t soonest = n * (n ? n - 1 : 0) / 2 * (1000000000ULL / MATRIX_ROWS_PER_S);
    bool due = age >= soonest && (changed || age >= MATRIX_LATEST_NS);

    if (w->step > 1 && !last && !due)
        return 0;
    w->matrix_ns = s->t_ns;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            struct obs_sharing *out;

            if (s->processes[i].why != WHY_KNOWN || s->processes[j].why != WHY_KNOWN)
                continue;
            out = observation_add_sharing(o, w->tree->list[w->tree_index[i]].name,
                                          w->tree->list[w->tree_index[j]].name);
            if (!out)
                return no_memory(w);
            out->frames = sampler_common(w->sampler, i, j);
        }
    return 0;
}

static int put_costs(struct watch *w, const struct sample *s, struct observation *o)
{
    for (size_t i = 0; i < s->ncosts; i++) {
        struct obs_cost *c = observation_add_cost(o, s->costs[i].probe);

        if (!c)
            return no_memory(w);
        *c = s->costs[i];
    }
    return 0;
}

/* The kernel's sum against the pages that were found, of all processes: apart by what they did
 * between the two readings. */
static int put_check(struct watch *w, const struct sample *s, struct observation *o)
{
    struct value left = value_known(0), right = value_known(0), faults = value_known(0);
    int64_t page_kb = (int64_t)machine_caps()->page_size / 1024;
    struct obs_check *c = observation_add_check(o, "smaps_rss", NULL, NULL);
    size_t row = 0; /* of the process in o: one that is gone has none */

    if (!c)
        return no_memory(w);
    for (size_t i = 0; i < s->n; row += s->processes[i++].why != WHY_GONE) {
        const struct sample_process *p = &s->processes[i];

        if (p->why != WHY_KNOWN)
            continue;
        if (p->exec)
            faults = value_na();
        left = value_add(left, p->fp.rss_kb);
        faults = value_add(faults, o->processes[row].q[PQ_MINFLT]);
        for (size_t j = 0; j < p->nregions; j++)
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

static void read_thp(struct watch *w)
{
    char *open, *close;

    w->thp[0] = '\0';
    if (slurp_path(&w->text, "/sys/kernel/mm/transparent_hugepage/enabled") < 0)
        return;
    open = strchr(w->text.text, '[');
    close = open ? strchr(open, ']') : NULL;
    if (close && close - open < (int)sizeof w->thp)
        snprintf(w->thp, sizeof w->thp, "%.*s", (int)(close - open - 1), open + 1);
}

/* What the machine did between two samples: the cgroup ran into a limit, huge pages were switched.
 */
static int note_machine(struct watch *w, const struct store_watch_sample *s)
{
    static const char *const texts[3] = {
        "ran into its limit so many times by now", "was out of memory so many times by now",
        "lost so many processes to the out-of-memory killer by now"};
    const struct value now[3] = {s->cgroup_max, s->cgroup_oom, s->cgroup_oom_kill};
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++) {
        bool more = value_is_known(now[i]) && w->step > 1 && now[i].n > w->limits[i];

        w->limits[i] = value_is_known(now[i]) ? now[i].n : INT64_MAX;
        if (more)
            rc = event(w, NULL, "cgroup", &w->limits[i], texts[i]);
    }
    if (rc == 0 && w->step > 1 && strcmp(w->thp, w->thp_before) != 0)
        rc = event(w, NULL, "thp", NULL, w->thp);
    memcpy(w->thp_before, w->thp, sizeof w->thp_before);
    return rc;
}

/* Does the cgroup hold only processes that are watched? Then its usage is a figure for them. */
static bool cgroup_is_ours(struct watch *w)
{
    char path[4200];
    struct slurp text = {0};
    bool ours = true;
    size_t seen = 0;

    snprintf(path, sizeof path, "%s/cgroup.procs", w->cgroup);
    if (slurp_path(&text, path) < 0)
        ours = false;
    for (char *at = text.text, *end; ours && at && *at; at = end) {
        long pid = strtol(at, &end, 10);
        size_t i = 0;

        if (end == at)
            break;
        end += *end == '\n';
        while (i < w->n && w->targets[i].pid != pid)
            i++;
        ours = i < w->n;
        seen++;
    }
    slurp_release(&text);
    return ours && seen > 0;
}

/* Figures of the first process's memory cgroup, if it is not the machine's own. */
static void put_cgroup(struct watch *w, struct observation *o, struct store_watch_sample *out)
{
    struct value totals[TQ__COUNT];
    struct probe_cost cost = {0};
    struct cgroup_events ev;
    struct err why;
    const char *source;

    if (!w->checked_cgroup) {
        w->checked_cgroup = true;
        if (!w->n || system_cgroup_of(w->targets[0].pid, w->cgroup, sizeof w->cgroup, &why) <= 0)
            w->cgroup[0] = '\0';
    }
    out->cgroup_kb = out->cgroup_high = out->cgroup_max = out->cgroup_oom = out->cgroup_oom_kill =
        value_na();
    if (!w->cgroup[0])
        return;
    source = system_read_cgroup(w->cgroup, machine_caps()->page_size, totals, &w->text, &cost);
    if (!source)
        return;
    system_read_cgroup_events(w->cgroup, &ev, &w->text);
    out->cgroup_kb = totals[TQ_SYSTEM];
    out->cgroup_high = ev.high;
    out->cgroup_max = ev.max;
    out->cgroup_oom = ev.oom;
    out->cgroup_oom_kill = ev.oom_kill;
    o->totals[TQ_CGROUP_LIMIT] = totals[TQ_CGROUP_LIMIT];
    if (cgroup_is_ours(w)) {
        o->totals[TQ_SYSTEM] = totals[TQ_SYSTEM];
        o->totals[TQ_SYSTEM_TOLERANCE] = totals[TQ_SYSTEM_TOLERANCE];
        o->system_source = strdup("memory cgroup that holds the watched processes and no others");
    }
}

/* The system time that its parent used since the last sample, shared among the children that
 * appeared since, and a tick more for what the clock does not show. */
static struct value fork_time(struct watch *w, const struct sample *s, int child)
{
    int parent = w->tree->list[child].parent, at, siblings = 0;
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t ticks;

    if (parent < 0 || w->step == 1 || (at = w->position[parent]) < 0 ||
        w->stime[parent] == UINT64_MAX || s->processes[at].why != WHY_KNOWN)
        return value_na();
    for (size_t i = 0; i < w->tree->n; i++)
        siblings += w->tree->list[i].fresh && w->tree->list[i].parent == parent;
    ticks = s->processes[at].fp.stime - w->stime[parent] + 1;
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

/* All that one sample stores; freed together. */
struct record {
    struct observation obs;
    struct keep_choice *choices;
    size_t nchoices;
    struct store_watch_region *regions;
    char (*bins)[BINS + 1];
    struct store_watch_process *came;
    size_t ncame;
    int64_t *fork_ns;
    struct store_watch_sample sample;
};

static void record_release(struct record *r)
{
    observation_release(&r->obs);
    free(r->choices);
    free(r->regions);
    free(r->bins);
    free(r->came);
    free(r->fork_ns);
}

static int fill_regions(struct watch *w, const struct sample *s, bool last, struct record *r)
{
    int rc = keep_choose(&w->keep, s, w->tree_index, last, &r->choices, &r->nchoices,
                         &r->sample.regions_waiting);

    if (rc < 0)
        return no_memory(w);
    r->regions = calloc(r->nchoices + 1, sizeof *r->regions);
    r->bins = calloc(r->nchoices + 1, sizeof *r->bins);
    if (!r->regions || !r->bins)
        return no_memory(w);
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

static int fill_came(struct watch *w, const struct sample *s, struct record *r)
{
    int rc = 0;

    r->came = calloc(w->tree->n + 1, sizeof *r->came);
    r->fork_ns = calloc(w->tree->n + 1, sizeof *r->fork_ns);
    if (!r->came || !r->fork_ns)
        return no_memory(w);
    for (size_t i = 0; i < w->tree->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[i];
        struct value fork_ns;

        if (!p->fresh)
            continue;
        fork_ns = fork_time(w, s, (int)i);
        r->fork_ns[r->ncame] = fork_ns.n;
        if (value_is_known(fork_ns))
            rc = event(w, p->name, "fork", &r->fork_ns[r->ncame],
                       "at most: system time of the parent meanwhile");
        r->came[r->ncame++] = (struct store_watch_process){
            .actor = p->name,
            .parent = p->parent >= 0 ? w->tree->list[p->parent].name : NULL,
            .name = p->comm,
            .command = p->command,
            .pid = p->pid,
            .start_ticks = p->start_time};
    }
    return rc;
}

static int fill_processes(struct watch *w, const struct sample *s, struct record *r)
{
    int rc = 0;

    for (size_t i = 0; i < s->n && rc == 0; i++)
        if (s->processes[i].why != WHY_GONE) /* there was nobody to look at */
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

static int fill(struct watch *w, const struct sample *s, bool last, struct record *r)
{
    bool changed = w->step == 1;
    int rc;

    observation_init(&r->obs);
    for (size_t i = 0; i < w->tree->n; i++)
        changed |= w->tree->list[i].fresh || w->tree->list[i].gone_now;
    r->obs.t_ns = s->t_ns;
    memcpy(r->obs.totals, s->totals, sizeof r->obs.totals);
    rc = note_events(w, s);
    if (rc == 0)
        rc = fill_came(w, s, r);
    if (rc == 0)
        rc = fill_processes(w, s, r);
    if (rc == 0)
        rc = fill_regions(w, s, last, r);
    if (rc == 0)
        rc = put_matrix(w, s, changed, last, &r->obs);
    if (rc == 0)
        rc = put_costs(w, s, &r->obs);
    if (rc == 0)
        rc = put_check(w, s, &r->obs);
    if (rc < 0)
        return rc;
    put_cgroup(w, &r->obs, &r->sample);
    read_thp(w);
    rc = note_machine(w, &r->sample);
    r->sample.dur_ns = s->dur_ns;
    r->sample.growth_kb = s->growth_kb;
    r->sample.copied_kb = pages_kb(sum_q(s, WQ_COPIED));
    r->sample.anon_huge_kb = sum_q(s, WQ_ANON_HUGE);
    r->sample.thp = w->thp[0] ? w->thp : NULL;
    r->sample.inferred = inferred(s);
    return rc;
}

static void remember(struct watch *w, const struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        w->stime[w->tree_index[i]] =
            s->processes[i].why == WHY_KNOWN ? s->processes[i].fp.stime : UINT64_MAX;
    tree_told(w->tree);
}

static void show(struct watch *w, const struct sample *s, const struct record *r)
{
    struct view_sample v = {.sample = s,
                            .tree = w->tree,
                            .tree_index = w->tree_index,
                            .number = w->step,
                            .t_ns = s->t_ns - w->began_ns,
                            .since_ns = w->last_ns ? s->t_ns - w->last_ns : 0,
                            .every_ns = w->every_ns,
                            .frames = value_is_known(s->totals[TQ_DISTINCT]),
                            .cgroup_limit_kb = r->obs.totals[TQ_CGROUP_LIMIT],
                            .thp = r->sample.thp};

    view_show(w->opt->view, &v);
}

/* One sample: taken, stored, shown. */
static int sample_once(struct watch *w, bool last)
{
    const struct sample *s;
    struct record r = {0};
    struct step_record step = {.phase = word_text(phases, PH_SETTLED),
                               .action = "sample",
                               .obs = &r.obs,
                               .watch = w->moved,
                               .sample = &r.sample};
    int rc = choose_targets(w);

    if (rc == 0)
        rc = sampler_take(w->sampler, w->targets, w->n, &s, w->e);
    if (rc < 0)
        return rc;
    w->step++;
    rc = fill(w, s, last, &r);
    step.step = w->step;
    step.start_ns = s->t_ns;
    step.dur_ns = s->dur_ns;
    step.came = r.came;
    step.ncame = r.ncame;
    step.events = w->events;
    step.nevents = w->nevents;
    step.regions = r.regions;
    step.watch_last = last;
    if (rc == 0)
        rc = store_step(w->store, w->info.run_id, &step, w->e);
    if (rc == 0) {
        show(w, s, &r);
        remember(w, s);
        w->last_ns = s->t_ns;
        if (s->dur_ns * MOST_OF_THE_TIME > w->every_ns) {
            w->every_ns = s->dur_ns * MOST_OF_THE_TIME;
            w->slowed = true;
        }
    }
    record_release(&r);
    return rc;
}

/* -- the run ---------------------------------------------------------------------------- */

static char *parameters(const struct watch *w)
{
    cJSON *o = cJSON_CreateObject(), *pids = cJSON_AddArrayToObject(o, "pids");
    char *text;

    for (size_t i = 0; i < w->tree->n; i++)
        if (w->tree->list[i].root)
            cJSON_AddItemToArray(pids, cJSON_CreateNumber(w->tree->list[i].pid));
    cJSON_AddBoolToObject(o, "children", w->tree->children);
    cJSON_AddNumberToObject(o, "every_ms", (double)w->opt->every_ns / 1e6);
    if (w->opt->for_ns)
        cJSON_AddNumberToObject(o, "for_ms", (double)w->opt->for_ns / 1e6);
    if (w->opt->command)
        cJSON_AddStringToObject(o, "command", w->opt->command);
    text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}

/* So few samples that all of what moves can be stored. */
static bool short_watch(const struct watch *w)
{
    return w->opt->for_ns && w->opt->for_ns / w->opt->every_ns <= SHORT_SAMPLES;
}

static int begin(struct watch *w)
{
    static const struct store_watch_options every = {.pace = 1};
    struct sampler_options so = {.no_frames = w->opt->no_frames};
    char *params = parameters(w);
    char title[160];
    int rc;

    snprintf(title, sizeof title, "live processes: %s%s", w->tree->n ? w->tree->list[0].name : "",
             w->tree->children ? " and its children"
             : w->tree->n > 1  ? " and others"
                               : "");
    w->info = (struct run_info){.scenario = "watch",
                                .title = title,
                                .question = "Where did the memory go after the fork?",
                                .backend = "linux",
                                .params = params ? params : "{}",
                                .page_size = machine_caps()->page_size};
    rc = store_watch_new(&w->moved, short_watch(w) ? &every : NULL, w->e);
    if (rc == 0)
        rc = sampler_new(&w->sampler, machine_caps(), &so, w->e);
    if (rc == 0)
        rc = machine_describe(&w->info, w->e);
    if (rc == 0)
        rc = store_begin_run(w->store, &w->info, w->e);
    free(params);
    w->info.params = w->info.title = NULL;
    return rc;
}

static bool time_over(const struct watch *w)
{
    return w->opt->for_ns && probe_clock() - w->began_ns >= w->opt->for_ns;
}

/* Until the next sample is due, or something ends the watch. */
static int wait_for_next(struct watch *w, uint64_t due)
{
    int rc = 0;

    while (rc == 0 && !*w->opt->stop && !time_over(w)) {
        uint64_t now = probe_clock(), left;

        if (now >= due)
            break;
        left = (due - now + 999999) / 1000000;
        if (w->opt->for_ns && (w->began_ns + w->opt->for_ns - now) / 1000000 + 1 < left)
            left = (w->began_ns + w->opt->for_ns - now) / 1000000 + 1;
        if (!tree_wait(w->tree, left < POLL_MS ? (int)left : POLL_MS))
            continue;
        rc = tree_refresh(w->tree, w->e);
        if (!tree_alive(w->tree))
            break;
    }
    return rc;
}

static bool nobody_reads(const struct watch *w)
{
    return w->opt->view->out && ferror(w->opt->view->out);
}

static int loop(struct watch *w, struct watch_result *out)
{
    uint64_t due = w->began_ns;
    int rc = 0;

    while (rc == 0) {
        bool over = *w->opt->stop || time_over(w) || nobody_reads(w);

        rc = tree_refresh(w->tree, w->e);
        out->end = *w->opt->stop ? WATCH_STOPPED : over ? WATCH_TIME_OVER : WATCH_ALL_ENDED;
        if (rc == 0)
            rc = sample_once(w, over || !tree_alive(w->tree));
        if (rc < 0 || over || !tree_alive(w->tree))
            break;
        due += w->every_ns;
        if (due < probe_clock() + w->every_ns / MOST_OF_THE_TIME)
            due = probe_clock() + w->every_ns / MOST_OF_THE_TIME;
        rc = wait_for_next(w, due);
    }
    return rc;
}

static void watch_release(struct watch *w)
{
    sampler_free(w->sampler);
    store_watch_free(w->moved);
    keep_release(&w->keep);
    run_info_release(&w->info);
    slurp_release(&w->text);
    free(w->targets);
    free(w->tree_index);
    free(w->position);
    free(w->stime);
    free(w->minflt);
    free(w->majflt);
    free(w->events);
}

int watch_run(struct tree *tree, struct store *store, const struct watch_options *opt,
              struct watch_result *out, struct err *e)
{
    struct watch w = {.tree = tree, .store = store, .opt = opt, .every_ns = opt->every_ns, .e = e};
    struct err ignored;
    int rc;

    keep_init(&w.keep);
    rc = begin(&w);
    w.began_ns = probe_clock();
    if (rc == 0) {
        enum run_status status;

        rc = loop(&w, out);
        view_end(opt->view);
        /* A watch that the user ends has done its work: it is complete. */
        status = rc < 0 ? RUN_FAILED : RUN_COMPLETE;
        out->dur_ns = probe_clock() - w.began_ns;
        if (store_end_run(store, w.info.run_id, status, out->dur_ns, rc < 0 ? e->msg : NULL,
                          rc < 0 ? &ignored : e) < 0 &&
            rc == 0)
            rc = -EIO;
    }
    memcpy(out->run_id, w.info.run_id, sizeof out->run_id);
    out->samples = w.step;
    watch_release(&w);
    return rc;
}
