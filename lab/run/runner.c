#include "lab/run/runner.h"

#include "lab/run/clock.h"
#include "lab/run/exits.h"
#include "lab/run/judge.h"
#include "lab/run/progress.h"
#include "probes/json.h"
#include "reports/report.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One plan under way. */
struct running {
    const struct backend *backend;
    const struct plan *plan;
    struct store *store;
    const struct runner_options *opt;
    struct progress *progress;
    struct timeline
        *timeline; /* NULL: the run is printed as JSON when it has ended, or not at all */
    struct backend_run *run;
    struct run_info info;
    bool begun;       /* the store knows the run */
    size_t failed;    /* expectations */
    const char *told; /* why a value was unknown, as the answers said last */
};

/* The parameters as a JSON object; numbers as numbers. NULL without memory. */
static char *params_json(const struct plan *p)
{
    cJSON *o = cJSON_CreateObject();

    for (size_t i = 0; i < p->nparams; i++) {
        const struct plan_param *param = &p->params[i];

        if (param->is_number)
            cJSON_AddRawToObject(o, param->name, param->text);
        else
            cJSON_AddStringToObject(o, param->name, param->text);
    }
    return json_text(o, true);
}

static int begin(struct running *r, struct session *session, size_t index, struct err *e)
{
    char *params = params_json(r->plan);
    int rc;

    if (!params)
        return err_no_memory(e);
    rc = r->backend->begin(session, index, &r->run, &r->info, e);
    if (rc == 0)
        rc = backend_describe(r->backend->ability, &r->info, e);
    if (rc == 0) {
        r->info.scenario = r->plan->name;
        r->info.title = r->plan->title;
        r->info.question = r->plan->question;
        r->info.twin = r->plan->twin;
        r->info.no_twin = r->plan->no_twin;
        r->info.params = params;
        r->info.source = r->plan->source;
        r->info.page_size = r->backend->page_size();
        rc = store_begin_run(r->store, &r->info, e);
        r->begun = rc == 0;
    }
    free(params);
    r->info.params = NULL;
    return rc;
}

/* Waits for Enter; end of input counts as an interrupt. */
static int pause_for_enter(const struct running *r, const struct step *s, struct err *e)
{
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    char byte = 0;
    ssize_t n;

    fprintf(r->opt->log, "step %d of %zu (%s): Enter to go on, Ctrl-C to stop ", s->number,
            r->plan->nsteps, word_text(phases, s->phase));
    fflush(r->opt->log);
    while (byte != '\n') {
        if (stop_asked(r->opt->stop, e) < 0)
            return -EINTR;
        if (poll(&in, 1, 200) <= 0)
            continue;
        n = read(STDIN_FILENO, &byte, 1);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return stop_asked(r->opt->stop, e) < 0 /* as Ctrl-C ends a whole pipeline */
                       ? -EINTR
                       : err_set(e, EINTR, "standard input ended while waiting for Enter");
    }
    return 0;
}

/* A read that compares stamps expects them all; that is a result like those of `expect`. */
struct stamp_expectation {
    char on[256], expected[8], measured[128];
};

static struct store_expectation judge_stamps(const struct step *s, const struct stamp_result *seen,
                                             struct stamp_expectation *text)
{
    snprintf(text->on, sizeof text->on, "%s.%s%s%s", s->actor, s->region, s->case_name ? "#" : "",
             s->case_name ? s->case_name : "");
    snprintf(text->expected, sizeof text->expected, "%c", s->stamp);
    if (!seen->wrong)
        snprintf(text->measured, sizeof text->measured, "%c", s->stamp);
    else if (seen->found)
        snprintf(text->measured, sizeof text->measured, "%c on page %llu; wrong pages: %llu",
                 seen->found, (unsigned long long)seen->first_wrong,
                 (unsigned long long)seen->wrong);
    else
        snprintf(text->measured, sizeof text->measured, "no stamp on page %llu; wrong pages: %llu",
                 (unsigned long long)seen->first_wrong, (unsigned long long)seen->wrong);
    return (struct store_expectation){
        .on = text->on,
        .key = "stamp",
        .expected = text->expected,
        .measured = text->measured,
        .held = seen->wrong == 0,
        .line = s->at.line,
    };
}

/* All results of the step in one list; the caller frees it (not what the rows point at). */
static int collect_results(struct step_record *record, const struct judged *judged,
                           const struct step *s, const struct step_result *result,
                           struct stamp_expectation *stamps, struct err *e)
{
    struct store_expectation *all = calloc(judged->count + 1, sizeof *all);
    size_t n = judged->count;

    if (!all)
        return err_no_memory(e);
    if (n)
        memcpy(all, judged->list, n * sizeof *all);
    if (result->stamps.checked)
        all[n++] = judge_stamps(s, &result->stamps, stamps);
    record->expectations = all;
    record->nexpectations = n;
    return 0;
}

/* Judges, stores and shows. */
static int keep_result(struct running *r, const struct step *s, const struct step_result *result,
                       struct err *e)
{
    struct judged judged;
    struct stamp_expectation stamps;
    char *answer = NULL;
    struct step_record record = {
        .step = s->number,
        .phase = word_text(phases, s->phase),
        .actor = s->actor,
        .action = word_text(action_words, (int)s->action),
        .case_name = s->case_name,
        .region = s->region,
        .published = s->published,
        .start_ns = result->start_ns,
        .dur_ns = result->dur_ns,
        .obs = &result->obs,
        .transfers = result->transfers,
        .ntransfers = result->ntransfers,
        .message = result->message,
        .handover = result->handover,
        .latencies = result->latencies,
        .snapshot = result->snapshot,
    };
    int rc = expect_judge(s, result, &judged, e);

    if (rc < 0)
        return rc;
    r->failed += judged.failed + (result->stamps.wrong > 0);
    rc = answer_tell(s, result, &r->told, &answer, e);
    record.answer = answer;
    if (rc == 0)
        rc = collect_results(&record, &judged, s, result, &stamps, e);
    if (rc == 0)
        rc = store_step(r->store, r->info.run_id, &record, e);
    if (rc == 0 && r->timeline && !ferror(r->opt->out)) {
        rc = timeline_step(r->timeline, &record, e);
        fflush(r->opt->out);
    }
    free((void *)(uintptr_t)record.expectations);
    free(answer);
    judged_release(&judged);
    return rc;
}

static int one_step(struct running *r, const struct step *s, struct err *e)
{
    struct step_result result;
    int rc = 0;

    if (r->opt->pause)
        rc = pause_for_enter(r, s, e);
    if (rc < 0)
        return rc;
    step_result_init(&result);
    progress_step(r->progress, s->number, word_text(phases, s->phase));
    rc = r->backend->step(r->run, s, &result, e);
    progress_clear(r->progress);
    if (rc == 0)
        rc = keep_result(r, s, &result, e);
    step_result_release(&result);
    return rc;
}

static void complain(const struct running *r, const struct err *e)
{
    progress_line(r->progress, "");
    fprintf(r->opt->log, "cowlab: %s: %s\n", r->plan->name, e->msg);
}

/* Marks the run and says how it ended. rc: 0, or what stopped it, with its message in e. */
static int finish(struct running *r, int rc, uint64_t dur_ns, struct err *e)
{
    enum run_status status = rc == 0 ? RUN_COMPLETE : rc == -EINTR ? RUN_INTERRUPTED : RUN_FAILED;
    struct err late;
    int code = rc == 0        ? (r->failed ? EXIT_EXPECTATION : EXIT_DONE)
               : rc == -EINTR ? EXIT_INTERRUPTED
                              : EXIT_RUNNING;

    if (rc < 0)
        complain(r, e);
    if (!r->begun)
        return code;
    rc = store_end_run(r->store, r->info.run_id, status, dur_ns, rc < 0 ? e->msg : NULL, &late);
    if (rc == 0 && !r->opt->series)
        rc = r->opt->json
                 ? report_json(r->store, r->info.run_id, r->opt->out, &late)
                 : report_summary(r->store, r->info.run_id, r->opt->colour, r->opt->out, &late);
    if (rc < 0)
        complain(r, &late);
    return rc < 0 ? exit_worse(code, EXIT_RUNNING) : code;
}

static int run_one(struct running *r, struct session *session, size_t index)
{
    struct runner_series *series = r->opt->series;
    char line[80] = "";
    struct err e;
    uint64_t start = now_ns();
    int code, rc;

    if (series && !series->begin(series->arg, index, &r->info, line, sizeof line))
        return EXIT_DONE;
    progress_line(r->progress, line);
    rc = begin(r, session, index, &e);
    if (rc == 0 && !r->opt->json && !series) {
        r->timeline = timeline_new(r->opt->colour, r->opt->out);
        rc = r->timeline ? report_heading(r->store, r->info.run_id, r->opt->colour, r->opt->out, &e)
                         : err_no_memory(&e);
    }
    for (size_t i = 0; rc == 0 && i < r->plan->nsteps; i++)
        rc = one_step(r, &r->plan->steps[i], &e);
    if (r->run)
        r->backend->end(r->run);
    code = finish(r, rc, now_ns() - start, &e);
    run_info_release(&r->info);
    timeline_free(r->timeline);
    if (series)
        series->ended(series->arg, index, code);
    return code;
}

int run_plans(const struct backend *backend, const struct plan *const *plans, size_t nplans,
              struct store *store, const struct runner_options *opt)
{
    struct progress progress;
    struct backend_options options = {
        .stop = opt->stop,
        .progress = progress_share,
        .progress_arg = &progress,
    };
    const char *deadline = getenv("COWLAB_DEADLINE_MS"); /* for tests of hanging actors */
    struct session *session;
    struct err e;
    int code = EXIT_DONE;

    progress_init(&progress, opt->log);
    progress.told = opt->series && opt->series->told;
    options.deadline_ms = deadline ? atoi(deadline) : 0;
    if (backend->session_open(&session, plans, nplans, &options, &e) < 0) {
        fprintf(opt->log, "cowlab: %s\n", e.msg);
        return *opt->stop ? EXIT_INTERRUPTED : EXIT_RUNNING;
    }
    if (opt->series)
        opt->series->told = true;
    for (size_t i = 0; i < nplans && code != EXIT_INTERRUPTED; i++) {
        struct running r = {.backend = backend,
                            .plan = plans[i],
                            .store = store,
                            .opt = opt,
                            .progress = &progress};

        code = exit_worse(code, run_one(&r, session, i));
    }
    progress_line(&progress, "");
    backend->session_close(session);
    return code;
}
