/* The loop of a watch, and whom each sample looks at. */
#include "lab/watch/watching.h"

#include "lab/run/backend.h"
#include "lab/run/clock.h"
#include "probes/json.h"
#include "probes/list.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A sample may take this share of the time; if it takes longer, they come less often. */
#define MOST_OF_THE_TIME 2 /* one half */
#define POLL_MS 100
#define SHORT_SAMPLES 1000

/* -- whom to sample --------------------------------------------------------------------- */

static int room(struct watch *w)
{
    size_t n = w->tree->n, cap = n + n / 2 + 16;

    if (n <= w->cap)
        return 0;
    free(w->targets);
    free(w->tree_index);
    free(w->who);
    w->targets = malloc(cap * sizeof *w->targets);
    w->tree_index = malloc(cap * sizeof *w->tree_index);
    w->who = malloc(cap * sizeof *w->who);
    w->cap = w->targets && w->tree_index && w->who ? cap : 0;
    return w->cap ? 0 : err_no_memory(w->e);
}

/* Parents stand before children in the tree, and so they do here. */
static int choose_targets(struct watch *w)
{
    int rc = room(w);

    w->n = 0;
    for (size_t i = 0; rc == 0 && i < w->tree->n; i++) {
        struct tree_process *p = &w->tree->list[i];

        p->at = p->alive ? (int)w->n : -1;
        if (!p->alive)
            continue;
        w->tree_index[w->n] = (int)i;
        w->who[w->n] = p->id;
        w->targets[w->n++] =
            (struct sample_target){.pid = p->pid,
                                   .start_time = p->start_time,
                                   .parent = p->parent >= 0 ? w->tree->list[p->parent].at : -1};
    }
    return rc;
}

static void remember(struct watch *w, const struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        w->tree->list[w->tree_index[i]].stime =
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

    rc = rc ? rc : sampler_take(w->sampler, w->targets, w->n, &s, w->e);
    if (rc < 0)
        return rc;
    w->step++;
    rc = record_fill(w, s, last, &r);
    step.step = w->step;
    step.start_ns = s->t_ns;
    step.dur_ns = s->dur_ns;
    step.came = r.came;
    step.ncame = r.ncame;
    step.named = r.named;
    step.nnamed = r.nnamed;
    step.events = w->events;
    step.nevents = w->nevents;
    step.regions = r.regions;
    step.watch_last = last;
    rc = rc ? rc : store_step(w->store, w->info.run_id, &step, w->e);
    if (rc == 0) {
        show(w, s, &r);
        remember(w, s);
        w->last_ns = s->t_ns;
        if (s->dur_ns * MOST_OF_THE_TIME > w->every_ns) {
            w->every_ns = s->dur_ns * MOST_OF_THE_TIME;
            w->slowed = true;
        }
    } else {
        w->step--; /* it is not there */
    }
    record_release(&r);
    return rc;
}

/* -- the run ---------------------------------------------------------------------------- */

static char *parameters(const struct watch *w)
{
    cJSON *o = cJSON_CreateObject(), *pids = cJSON_AddArrayToObject(o, "pids");

    for (size_t i = 0; i < w->tree->n; i++)
        if (w->tree->list[i].root)
            cJSON_AddItemToArray(pids, cJSON_CreateNumber(w->tree->list[i].pid));
    cJSON_AddBoolToObject(o, "children", w->tree->children);
    cJSON_AddNumberToObject(o, "every_ms", (double)w->opt->every_ns / 1e6);
    if (w->opt->for_ns)
        cJSON_AddNumberToObject(o, "for_ms", (double)w->opt->for_ns / 1e6);
    if (w->opt->command)
        cJSON_AddStringToObject(o, "command", w->opt->command);
    return json_text(o, true);
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
                                .params = params ? params : "{}",
                                .page_size = machine_caps()->page_size};
    rc = store_watch_new(&w->moved, short_watch(w) ? &every : NULL, w->e);
    rc = rc ? rc : sampler_new(&w->sampler, machine_caps(), &so, w->e);
    rc = rc ? rc : machine_describe(&w->info, w->e);
    rc = rc ? rc : backend_describe(w->opt->ability, &w->info, w->e);
    rc = rc ? rc : store_begin_run(w->store, &w->info, w->e);
    free(params);
    w->info.params = w->info.title = NULL;
    return rc;
}

static bool time_over(const struct watch *w)
{
    return w->opt->for_ns && now_ns() - w->began_ns >= w->opt->for_ns;
}

/* Until the next sample is due, or something ends the watch. */
static int wait_for_next(struct watch *w, uint64_t due)
{
    int rc = 0;

    while (rc == 0 && !*w->opt->stop && !time_over(w)) {
        uint64_t now = now_ns(), left;

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

static int loop(struct watch *w, struct watch_result *out)
{
    uint64_t due = w->began_ns;
    int rc = 0;

    while (rc == 0) {
        bool over = *w->opt->stop || time_over(w);

        rc = tree_refresh(w->tree, w->e);
        out->end = *w->opt->stop ? WATCH_STOPPED : over ? WATCH_TIME_OVER : WATCH_ALL_ENDED;
        rc = rc ? rc : sample_once(w, over || !tree_alive(w->tree));
        if (rc < 0 || over || !tree_alive(w->tree))
            break;
        due += w->every_ns;
        if (due < now_ns() + w->every_ns / MOST_OF_THE_TIME)
            due = now_ns() + w->every_ns / MOST_OF_THE_TIME;
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
    FREE_ALL(w->targets, w->tree_index, w->who, w->events);
}

int watch_run(struct tree *tree, struct store *store, const struct watch_options *opt,
              struct watch_result *out, struct err *e)
{
    struct watch w = {.tree = tree, .store = store, .opt = opt, .every_ns = opt->every_ns, .e = e};
    struct err ignored;
    int rc;

    keep_init(&w.keep);
    rc = begin(&w);
    w.began_ns = now_ns();
    if (rc == 0) {
        enum run_status status;

        rc = loop(&w, out);
        if (rc < 0)
            out->end = WATCH_FAILED;
        view_end(opt->view);
        /* A watch that the user ends has done its work: it is complete. */
        status = rc < 0 ? RUN_FAILED : RUN_COMPLETE;
        out->dur_ns = now_ns() - w.began_ns;
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
