#include "probes/observation.h"
#include "probes/list.h"
#include "probes/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void observation_init(struct observation *o)
{
    *o = (struct observation){0};
    for (int i = 0; i < TQ__COUNT; i++)
        o->totals[i] = value_na();
}

static void region_release(struct obs_region *r)
{
    free(r->observed);
    free(r->region);
    free(r->case_name);
    free(r->runs);
    for (size_t i = 0; i < r->nobjects; i++)
        free(r->objects[i].runs);
    free(r->objects);
}

void observation_release(struct observation *o)
{
    for (size_t i = 0; i < o->nprocesses; i++)
        free(o->processes[i].actor);
    for (size_t i = 0; i < o->nregions; i++)
        region_release(&o->regions[i]);
    for (size_t i = 0; i < o->nsharing; i++) {
        free(o->sharing[i].actor_a);
        free(o->sharing[i].actor_b);
    }
    for (size_t i = 0; i < o->nchecks; i++) {
        free(o->checks[i].observed);
        free(o->checks[i].region);
        free(o->checks[i].case_name);
        free(o->checks[i].detail);
    }
    free(o->processes);
    free(o->regions);
    free(o->sharing);
    free(o->checks);
    free(o->costs);
    free(o->system_source);
    observation_init(o);
}

/* Copies text into *to; NULL stays NULL. */
static int copy_text(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? -ENOMEM : 0;
}

struct obs_process *observation_add_process(struct observation *o, const char *actor)
{
    struct obs_process *p = LIST_ADD(o->processes, o->nprocesses);

    if (!p)
        return NULL;
    for (int i = 0; i < PQ__COUNT; i++)
        p->q[i] = value_na();
    return copy_text(&p->actor, actor) < 0 ? NULL : p;
}

struct obs_region *observation_add_region(struct observation *o, const char *observed,
                                          const char *region, const char *case_name)
{
    struct obs_region *r = LIST_ADD(o->regions, o->nregions);

    if (!r)
        return NULL;
    for (int i = 0; i < RQ__COUNT; i++)
        r->q[i] = value_na();
    r->needs_copy = -1;
    return copy_text(&r->observed, observed) < 0 || copy_text(&r->region, region) < 0 ||
                   copy_text(&r->case_name, case_name) < 0
               ? NULL
               : r;
}

struct obs_sharing *observation_add_sharing(struct observation *o, const char *a, const char *b)
{
    struct obs_sharing *s = LIST_ADD(o->sharing, o->nsharing);

    if (!s)
        return NULL;
    s->region_frames = s->frames = value_na();
    return copy_text(&s->actor_a, a) < 0 || copy_text(&s->actor_b, b) < 0 ? NULL : s;
}

struct obs_check *observation_add_check(struct observation *o, const char *check,
                                        const char *observed, const char *region)
{
    struct obs_check *c = LIST_ADD(o->checks, o->nchecks);

    if (!c)
        return NULL;
    c->check = check;
    c->left = c->right = value_na();
    c->verdict = CHECK_NOT_CHECKED;
    return copy_text(&c->observed, observed) < 0 || copy_text(&c->region, region) < 0 ? NULL : c;
}

struct obs_check *observation_check(struct observation *o, struct obs_check c)
{
    struct obs_check *to = observation_add_check(o, c.check, c.observed, c.region);

    if (!to || copy_text(&to->case_name, c.case_name) < 0 || copy_text(&to->detail, c.detail) < 0)
        return NULL;
    to->left = c.left;
    to->right = c.right;
    to->tolerance = c.tolerance;
    if (value_is_known(c.left) && value_is_known(c.right) && !c.left.inferred && !c.right.inferred)
        to->verdict = llabs(c.left.n - c.right.n) <= c.tolerance ? CHECK_HELD : CHECK_DIFFERS;
    return to;
}

static int add_prediction(struct observation *o, struct obs_check c, struct value held,
                          uint64_t all, const char *detail)
{
    c.left = held;
    c.right = value_known((int64_t)all);
    c.detail = (char *)detail;
    return observation_check(o, c) ? 0 : -ENOMEM;
}

/* What a write to a page of that state does, in words. */
static const char *const promised[PS__COUNT] = {
    [PS_NONE] = "first touched; the object's page copied, or mapped where it is shared",
    [PS_ZERO] = "first touched",
    [PS_EXCLUSIVE] = "written without a fault",
    [PS_COW] = "copied",
    [PS_DEBT] = "reused",
    [PS_OBJECT] = "copied",
    [PS_SHARED] = "written where it is",
    [PS_SWAPPED] = "swapped in",
};

#define KEPT "kept in their frame, after a fault where the task had not touched them yet"
static const char *const promised_mach[PS__COUNT] = {
    [PS_NONE] = "first touched",
    [PS_EXCLUSIVE] = KEPT,
    [PS_COW] = "copied, or kept behind the first copy of a chain that nobody else has",
    [PS_SHARED] = KEPT,
};

int observation_add_predictions(struct observation *o, const char *observed, const char *region,
                                const char *case_name, const struct promises *p)
{
    struct obs_check of = {.check = "prediction",
                           .observed = (char *)observed,
                           .region = (char *)region,
                           .case_name = (char *)case_name};
    const char *const *does = p->mach ? promised_mach : promised;
    char detail[256];
    int rc = 0;

    for (int i = 0; i < PS__COUNT && rc == 0; i++) {
        if (!does[i] || !(p->held[i] + p->failed[i]))
            continue;
        snprintf(detail, sizeof detail,
                 "%s pages that the write found as predicted (%s); all that it wrote",
                 word_text(page_states, i), does[i]);
        rc = add_prediction(o, of, value_known((int64_t)p->held[i]), p->held[i] + p->failed[i],
                            detail);
    }
    if (rc == 0 && p->either)
        rc = add_prediction(o, of, value_na(), p->either,
                            "written pages of which the kernel may decide either way");
    if (rc == 0 && p->pinned)
        rc = add_prediction(o, of, value_unknown(WHY_HIDDEN_REFERENCE), p->pinned,
                            "debt pages that were copied: something held a reference that shows "
                            "nowhere (a pipe, a pinned page)");
    if (rc == 0 && p->untold)
        rc = add_prediction(o, of, value_unknown(p->why_untold), p->untold,
                            "untold pages that were written: what they were, or became, could not "
                            "be seen");
    return rc;
}

struct obs_cost *observation_add_cost(struct observation *o, const char *probe)
{
    struct obs_cost *c = LIST_ADD(o->costs, o->ncosts);

    if (!c)
        return NULL;
    c->probe = probe;
    c->faults_induced = value_na();
    return c;
}

struct obs_object *obs_region_add_object(struct obs_region *r)
{
    struct obs_object *object = LIST_ADD(r->objects, r->nobjects);

    if (object)
        object->refs = object->size = object->resident = object->offset = value_na();
    return object;
}

static bool continues(const struct page_run *a, const struct page_run *b)
{
    return a->first + a->count == b->first && a->state == b->state && a->huge == b->huge &&
           a->mapcount == b->mapcount && a->inferred == b->inferred &&
           (a->frame ? b->frame == a->frame + a->count : b->frame == 0);
}

int obs_region_add_run(struct obs_region *r, const struct page_run *run)
{
    struct page_run *slot;

    if (r->nruns && continues(&r->runs[r->nruns - 1], run)) {
        r->runs[r->nruns - 1].count += run->count;
        return 0;
    }
    slot = LIST_ADD(r->runs, r->nruns);
    if (!slot)
        return -ENOMEM;
    *slot = *run;
    return 0;
}

struct obs_region *observation_find_region(const struct observation *o, const char *observed,
                                           const char *region, const char *case_name)
{
    for (size_t i = 0; i < o->nregions; i++) {
        struct obs_region *r = &o->regions[i];

        if (same_text(r->observed, observed) && same_text(r->region, region) &&
            same_text(r->case_name, case_name))
            return r;
    }
    return NULL;
}

struct obs_process *observation_find_process(const struct observation *o, const char *actor)
{
    for (size_t i = 0; i < o->nprocesses; i++)
        if (same_text(o->processes[i].actor, actor))
            return &o->processes[i];
    return NULL;
}
