/* plan: from a document to a plan.
 *
 *   document -> bindings (parameters, cases) -> drafts of all steps -> each step on the world,
 *   then its expectations and its answer -> plan
 *
 * A plan is built for every backend, so that a mistake in what only one of them reads is found
 * whatever runs; the one that was asked for is kept. */
#include "lab/plan/world/world.h"
#include "probes/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 5000
#define MAX_ACTORS 64

static const struct field plan_fields[] = {
    FIELD("scenario", NEEDED, NAME, 0, 0, struct plan, name),
    FIELD_ANY("language", NEEDED),
    FIELD("title", NEEDED, TEXT, 0, 0, struct plan, title),
    FIELD("question", NEEDED, TEXT, 0, 0, struct plan, question),
    FIELD_ANY("actors", NEEDED),
    FIELD_ANY("params", OPTIONAL),
    FIELD("twin", OPTIONAL, NAME, 0, 0, struct plan, twin),
    FIELD("no_twin", OPTIONAL, TEXT, 0, 0, struct plan, no_twin),
    FIELD_ANY("needs", OPTIONAL),
    FIELD_ANY("backends", OPTIONAL),
    FIELD_ANY("cases", OPTIONAL),
    FIELD_ANY("steps", OPTIONAL),
    FIELD_ANY("each_case", OPTIONAL),
    FIELD_ANY("after", OPTIONAL),
    FIELD_ANY("note", OPTIONAL),
    FIELD_ANY("$schema", OPTIONAL),
    FIELD_END};

/* Everything that is being built for one backend. */
struct build {
    struct reader r;
    struct plan *plan;
    struct cases cases;
    struct draft *drafts;
    size_t ndrafts, clear; /* those before the first that depends on cases that are in doubt */
    bool actors_in_doubt;
    struct world *world;
};

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->nparams; i++) {
        free(p->params[i].name);
        free(p->params[i].text);
    }
    for (size_t i = 0; i < p->nsteps; i++)
        step_release(&p->steps[i]);
    free_texts(p->actors, p->nactors);
    free_texts(p->needs, p->nneeds);
    free_texts(p->backends, p->nbackends);
    FREE_ALL(p->params, p->steps, p->name, p->title, p->question, p->twin, p->no_twin, p->source,
             p->origin, p->backend, p->why_not, p);
}

static void build_release(struct build *b)
{
    for (size_t i = 0; i < b->ndrafts; i++)
        step_release(&b->drafts[i].step);
    free(b->drafts);
    world_free(b->world);
    cases_release(&b->cases);
    free(b->r.params.at);
    free(b->r.counts.at);
    free(b->r.counts.names.at);
    plan_free(b->plan);
}

/* Reads an array of texts, checked one by one. */
static int read_list(struct build *b, const cJSON *node, size_t most,
                     int (*read_one)(struct build *, const cJSON *, char **), char ***out,
                     size_t *n)
{
    const cJSON *item;
    int rc = check_array(&b->r, node);

    if (rc < 0)
        return rc;
    if ((size_t)cJSON_GetArraySize(node) > most)
        return fail_at(&b->r, node, "more than %zu entries", most);
    *out = calloc((size_t)cJSON_GetArraySize(node) + 1, sizeof **out);
    if (!*out)
        return err_no_memory(b->r.e);
    cJSON_ArrayForEach (item, node) {
        char *text = NULL;
        int one = read_one(b, item, &text);

        for (size_t i = 0; i < *n && one == 0; i++)
            if (strcmp((*out)[i], text) == 0)
                one = fail_at(&b->r, item, "'%s' stands twice", text);
        rc = either(rc, one);
        if (one == 0)
            (*out)[(*n)++] = text;
        else
            free(text);
        if (fatal(rc))
            break;
    }
    return rc;
}

static int read_actor(struct build *b, const cJSON *node, char **out)
{
    /* What "expect" calls things that are no actors. */
    static const char *const taken[] = {"message",  "totals",   "transfer",
                                        "received", "snapshot", "system"};
    int rc = read_name(&b->r, node, out);

    for (size_t i = 0; i < sizeof taken / sizeof *taken && rc == 0; i++)
        if (strcmp(*out, taken[i]) == 0)
            rc = fail_at(&b->r, node, "'%s' has a meaning already", *out);
    return rc;
}

/* One of some names, copied; what: what they are names of. */
static int read_known(const struct reader *r, const cJSON *node, const char *what,
                      const char *const *names, size_t n, char **out)
{
    const char *text;
    int rc = read_text(r, node, false, &text);

    for (size_t i = 0; i < n && rc == 0; i++)
        if (strcmp(text, names[i]) == 0)
            return copy_text(r, out, text);
    return rc < 0 ? rc
                  : fail_at(r, node, "unknown %s '%.60s', the nearest known is '%s'", what, text,
                            nearest(text, names, n));
}

static size_t backend_names(const struct reader *r, const char **names)
{
    size_t n = 0;

    for (; n < MAX_BACKENDS && r->known[n]; n++)
        names[n] = r->known[n]->name;
    return n;
}

static int read_backend(struct build *b, const cJSON *node, char **out)
{
    const char *names[MAX_BACKENDS];
    size_t n = backend_names(&b->r, names);

    return read_known(&b->r, node, "backend", names, n, out);
}

/* A capability of probes/caps.h, or a backend. */
static int read_need(struct build *b, const cJSON *node, char **out)
{
#define CAP_NAME(e, name, unlocks, how) name,
    const char *names[CAP__COUNT + MAX_BACKENDS] = {CAPABILITIES(CAP_NAME)};
    size_t n = CAP__COUNT + backend_names(&b->r, names + CAP__COUNT);

    return read_known(&b->r, node, "capability", names, n, out);
}

static int check_language(struct build *b, const cJSON *node)
{
    int64_t n;
    int rc = read_int(&b->r, node, INT64_MIN, INT64_MAX, &n);

    if (rc == 0 && n != 1)
        return fail_at(&b->r, node, "language %lld is not known here, only 1", (long long)n);
    return rc;
}

/* All that stands beside the steps. */
static int read_frame(struct build *b, const cJSON *root, const struct param_setting *settings,
                      size_t nsettings)
{
    struct plan *p = b->plan;
    const cJSON *language = member(root, "language"), *actors = member(root, "actors");
    const cJSON *twin = member(root, "twin"), *needs = member(root, "needs");
    const cJSON *cases = member(root, "cases");
    int rc = read_fields(&b->r, root, plan_fields, p), one;

    if (language)
        rc = either(rc, check_language(b, language));
    if (twin && p->no_twin)
        rc = either(rc, fail_at_key(&b->r, twin, "'twin' and 'no_twin' exclude each other"));
    b->r.names_in_doubt = key_mistyped(&b->r, root, plan_fields, "params");
    rc = either(rc, bind_params(&b->r, member(root, "params"), settings, nsettings));
    if (rc == 0)
        rc = copy_params(&b->r, p);
    one = actors ? read_list(b, actors, MAX_ACTORS, read_actor, &p->actors, &p->nactors) : -EINVAL;
    if (one == 0 && p->nactors == 0)
        one = fail_at(&b->r, actors, "no actor");
    b->actors_in_doubt = one < 0;
    rc = either(rc, one);
    if (needs)
        rc = either(
            rc, read_list(b, needs, CAP__COUNT + MAX_BACKENDS, read_need, &p->needs, &p->nneeds));
    one = cases ? read_cases(&b->r, cases, &b->cases) : 0;
    if (one < 0)
        cases_release(&b->cases); /* in doubt: as if there were none */
    return either(rc, one);
}

static int draft_steps(struct build *b, const cJSON *list, long row)
{
    const cJSON *node;
    int rc = check_array(&b->r, list);

    if (rc < 0)
        return rc;
    use_case(&b->r, &b->cases, row);
    cJSON_ArrayForEach (node, list) {
        struct draft *at;

        if (b->ndrafts == MAX_STEPS) {
            fail_at(&b->r, node, "more than %d steps", MAX_STEPS);
            return -E2BIG; /* the reading ends here */
        }
        if (!(at = LIST_ADD(b->drafts, b->ndrafts)))
            return err_no_memory(b->r.e);
        at->row = row;
        rc = either(rc, read_step(&b->r, node, at));
        if (fatal(rc))
            return rc;
    }
    use_case(&b->r, &b->cases, -1);
    return rc;
}

static int draft_all(struct build *b, const cJSON *root)
{
    const cJSON *steps = member(root, "steps"), *each = member(root, "each_case");
    const cJSON *after = member(root, "after");
    bool mistyped = key_mistyped(&b->r, root, plan_fields, NULL);
    int rc = 0;

    if (!steps && !each && !mistyped)
        rc = fail_at(&b->r, root, "'steps' is missing");
    else if (!each != !member(root, "cases") && !mistyped)
        rc = fail_at(&b->r, root, "'cases' and 'each_case' go together");
    if (steps)
        rc = either(rc, draft_steps(b, steps, -1));
    b->clear = b->ndrafts;
    if (each &&
        !b->cases.nrows) { /* in doubt: read once, and what a name stands for is not known */
        b->r.names_in_doubt = true;
        rc = fatal(rc) ? rc : either(rc, draft_steps(b, each, -1));
    }
    for (size_t i = 0; i < b->cases.nrows && !fatal(rc); i++)
        rc = either(rc, draft_steps(b, each, (long)i));
    if (after && !fatal(rc))
        rc = either(rc, draft_steps(b, after, -1));
    if (!each || b->cases.nrows)
        b->clear = b->ndrafts;
    return rc;
}

/* The first thing that this backend cannot do. */
static int note_unsupported(struct build *b, const struct draft *d)
{
    if (!d->unsupported || b->plan->why_not)
        return 0;
    if (asprintf(&b->plan->why_not, "line %d: %s", d->step.at.line, d->unsupported) >= 0)
        return 0;
    b->plan->why_not = NULL;
    return err_no_memory(b->r.e);
}

/* Actors that only skipped steps would have forked never live: they are none of the plan's. */
static void drop_unborn(struct build *b)
{
    struct plan *p = b->plan;
    size_t kept = 0;

    for (size_t i = 0; i < p->nactors; i++) {
        bool unborn = false;

        for (size_t k = 0; k < b->ndrafts && !unborn; k++)
            unborn = b->drafts[k].skipped && b->drafts[k].step.as &&
                     strcmp(b->drafts[k].step.as, p->actors[i]) == 0;
        if (unborn && !plan_born_by_fork(p, p->actors[i]))
            free(p->actors[i]);
        else
            p->actors[kept++] = p->actors[i];
    }
    p->nactors = kept;
}

static int settle_step(struct build *b, struct draft *d)
{
    const cJSON *count = member(d->action, "count");
    int rc = world_apply(b->world, &b->r, d);

    if (count && rc == 0)
        rc = bind_count(&b->r, count, d->touched);
    if (rc < 0 && (count || !d->does || key_mistyped(&b->r, d->action, d->does->fields, "count")))
        b->r.names_in_doubt = true;
    if (!d->when_in_doubt && !fatal(rc))
        rc = either(rc, read_expectations(&b->r, b->world, d));
    if (!d->when_in_doubt && !fatal(rc))
        rc = either(rc, read_answer(&b->r, b->world, d));
    return rc < 0 ? rc : note_unsupported(b, d);
}

/* Steps leave their drafts for the plan one by one. */
static int settle_steps(struct build *b)
{
    struct plan *p = b->plan;
    int rc = world_new(&b->world, &b->r, p, b->drafts, b->ndrafts, b->actors_in_doubt);

    if (rc < 0)
        return rc;
    p->steps = calloc(b->ndrafts + 1, sizeof *p->steps);
    if (!p->steps)
        return err_no_memory(b->r.e);
    for (size_t i = 0; i < b->clear && !fatal(rc); i++) {
        struct draft *d = &b->drafts[i];

        if (d->skipped)
            continue;
        use_case(&b->r, &b->cases, d->row);
        d->step.number = (int)p->nsteps + 1;
        rc = either(rc, settle_step(b, d));
        p->steps[p->nsteps++] = d->step;
        d->step = (struct step){0};
    }
    p->peak_pages = world_peak_pages(b->world);
    use_case(&b->r, &b->cases, -1);
    return rc;
}

/* A plan for the backend of the reader; *out owns it after success. */
static int build_plan(const struct reader *r, const struct param_setting *settings,
                      size_t nsettings, struct plan **out)
{
    struct build b = {.r = *r};
    const cJSON *root = json_doc_root(r->doc);
    int rc;

    b.plan = calloc(1, sizeof *b.plan);
    if (!b.plan)
        return err_no_memory(r->e);
    rc = check_object(r, root);
    if (rc == 0)
        rc = read_frame(&b, root, settings, nsettings);
    if (!fatal(rc))
        rc = either(rc, copy_text(r, &b.plan->backend, r->ability->name));
    if (!fatal(rc) && cJSON_IsObject(root))
        rc = either(rc, draft_all(&b, root));
    if (!fatal(rc))
        rc = either(rc, settle_steps(&b));
    if (rc == 0 && b.plan->nsteps == 0)
        rc = fail_at(r, root, "no step is left to do");
    if (rc == 0) {
        drop_unborn(&b);
        *out = b.plan;
        b.plan = NULL;
    }
    build_release(&b);
    return rc;
}

/* Where the plan can run: what the scenario lists, else every backend that can do each step.
 * built: the plan for each known backend; p: the one that was asked for, NULL if there is none for
 * its mistakes. */
static int list_backends(const struct reader *r, struct plan *const *built, struct plan *p)
{
    struct build b = {.r = *r};
    const cJSON *list = member(json_doc_root(r->doc), "backends");
    char **listed = NULL;
    size_t n = 0;
    int rc = list ? read_list(&b, list, MAX_BACKENDS, read_backend, &listed, &n) : 0;

    if (rc == 0 && !p)
        rc = -EINVAL;
    if (rc < 0) {
        free_texts(listed, n);
        return rc;
    }
    p->backends = rc == 0 ? calloc(MAX_BACKENDS + 1, sizeof *p->backends) : NULL;
    if (rc == 0 && !p->backends)
        rc = err_no_memory(r->e);
    for (size_t i = 0; r->known[i] && rc == 0; i++) {
        const char *name = r->known[i]->name;
        bool wanted = !list;

        for (size_t k = 0; k < n; k++)
            wanted = wanted || strcmp(listed[k], name) == 0;
        if (wanted && !built[i]->why_not)
            rc = copy_text(r, &p->backends[p->nbackends++], name);
        else if (!wanted && built[i] == p && !p->why_not)
            rc = copy_text(r, &p->why_not, "the scenario does not list this backend");
    }
    free_texts(listed, n);
    return rc;
}

static int name_source(const struct reader *r, const char *text, size_t len, const char *origin,
                       struct plan *p)
{
    p->source = strndup(text, len);
    return p->source ? copy_text(r, &p->origin, origin) : err_no_memory(r->e);
}

/* Plans for all backends, so that a mistake in what only one of them reads is found. */
static int build_all(struct reader *r, const char *backend, const struct param_setting *settings,
                     size_t nsettings, struct plan **built, struct plan **asked)
{
    int rc = 0;

    for (size_t i = 0; r->known[i] && !fatal(rc); i++) {
        r->ability = r->known[i];
        rc = either(rc, build_plan(r, settings, nsettings, &built[i]));
        if (strcmp(r->ability->name, backend) == 0)
            *asked = built[i];
    }
    return rc == 0 && !*asked ? err_set(r->e, EINVAL, "unknown backend '%s'", backend) : rc;
}

static int refuse_repeated(const struct reader *r)
{
    const cJSON *node, *object;
    int rc = 0;

    for (size_t i = 0; !fatal(rc) && (node = json_doc_repeated(r->doc, i, &object)); i++)
        rc = fail_offset(r, object, key_offset(r, node), "key '%.60s' stands twice", node->string);
    return rc;
}

int plan_parse(struct plan **out, const char *text, size_t len, const char *origin,
               const struct ability *const *known, const char *backend, uint64_t page_size,
               const struct param_setting *settings, size_t nsettings, FILE *told, struct err *e)
{
    struct plan *built[MAX_BACKENDS] = {NULL}, *asked = NULL;
    struct json_doc *doc = NULL;
    struct mistakes found = {0};
    struct reader r = {.e = e, .known = known, .page_size = page_size, .found = &found};
    int rc = json_doc_parse(&doc, text, len, origin, e);

    if (rc == -EINVAL && told)
        fprintf(told, "%s\n", e->msg);
    if (rc < 0)
        return rc;
    r.doc = doc;
    rc = refuse_repeated(&r);
    if (!fatal(rc))
        rc = either(rc, build_all(&r, backend, settings, nsettings, built, &asked));
    if (!fatal(rc))
        rc = either(rc, list_backends(&r, built, rc == 0 ? asked : NULL));
    if (rc == 0)
        rc = name_source(&r, text, len, origin, asked);
    for (size_t i = 0; i < MAX_BACKENDS; i++)
        if (rc < 0 || built[i] != asked)
            plan_free(built[i]);
    if (rc == 0)
        *out = asked;
    if (rc < 0 && rc != -ENOMEM) {
        mistakes_tell(&r, told);
        rc = -EINVAL;
    }
    mistakes_release(&found);
    json_doc_free(doc);
    return rc;
}
