#include "tests/support/runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_KB 300        /* what an actor has beside its region */
#define BASE_SHARED_KB 100 /* the part of it that the actors share: program text */
#define MS 1000000ULL
#define STEPS_MAX 16

/* What one actor's region (or the message) looks like after a step: all its pages alike. */
struct look {
    enum page_state state;
    enum share_mode mode;
    int refs;
    uint64_t frame; /* of the first page; 0: none */
    int mapcount;   /* of each page */
    bool resident;  /* behind the region, mapped or not */
    bool absent;    /* no such region at this step */
};

struct script_step {
    enum phase phase;
    const char *actor, *action, *published;
    int writer; /* which look wrote: 0, 1; -1 none */
    enum write_outcome outcome;
    struct look look[3]; /* first actor, second actor, message */
    int distinct;        /* multiples of the region: frames mapped by the actors */
    int object_only, in_transit, superseded;
    const char *expect_on, *expect_key, *expect_text;
};

struct script {
    const char *scenario, *twin, *actors[2];
    const struct script_step *steps;
    int nsteps;
};

struct build {
    struct store *s;
    struct support_options opt;
    const struct script *script;
    char run_id[40];
    struct err *e;
    int rc;
};

#define ABSENT                                                                                     \
    {                                                                                              \
        .absent = true                                                                             \
    }
#define LOOK(st, m, r, f, c, res)                                                                  \
    {                                                                                              \
        PS_##st, SM_##m, r, f, c, res, false                                                       \
    }
/* Frames F1 + region 0 are the first writer's, those from 100001 on the second's copy. */
#define A_FRAMES 1
#define B_FRAMES 100001
#define C_FRAMES 200001

static const struct script_step fork_steps[] = {
    {PH_MAPPED,
     "parent",
     "map",
     "map",
     -1,
     0,
     {LOOK(NONE, EMPTY, 0, 0, 0, false), ABSENT, ABSENT},
     0,
     0,
     0,
     0,
     "parent.r",
     "share_mode",
     "SM_EMPTY"},
    {PH_POPULATED,
     "parent",
     "write",
     "write",
     0,
     WO_FIRST_TOUCH,
     {LOOK(EXCLUSIVE, PRIVATE, 1, A_FRAMES, 1, true), ABSENT, ABSENT},
     1,
     0,
     0,
     0,
     "parent.r",
     "share_mode",
     "SM_PRIVATE"},
    {PH_TRANSFERRED,
     "parent",
     "fork",
     "fork",
     -1,
     0,
     {LOOK(COW, COW, 2, A_FRAMES, 2, true), LOOK(COW, COW, 2, A_FRAMES, 2, true), ABSENT},
     1,
     0,
     0,
     0,
     "child.r",
     "share_mode",
     "SM_COW"},
    {PH_RECEIVER_WROTE,
     "child",
     "write",
     "child-write",
     1,
     WO_COPIED,
     {LOOK(DEBT, COW, 1, A_FRAMES, 1, true), LOOK(EXCLUSIVE, PRIVATE, 1, B_FRAMES, 1, true),
      ABSENT},
     2,
     0,
     0,
     0,
     "child.r",
     "share_mode",
     "SM_PRIVATE"},
    {PH_SETTLED,
     NULL,
     "checkpoint",
     "settle",
     -1,
     0,
     {LOOK(DEBT, COW, 1, A_FRAMES, 1, true), LOOK(EXCLUSIVE, PRIVATE, 1, B_FRAMES, 1, true),
      ABSENT},
     2,
     0,
     0,
     0,
     "parent.r",
     "share_mode",
     "SM_COW"},
    {PH_SENDER_WROTE,
     "parent",
     "write",
     "parent-write",
     0,
     WO_REUSED,
     {LOOK(EXCLUSIVE, PRIVATE, 1, A_FRAMES, 1, true),
      LOOK(EXCLUSIVE, PRIVATE, 1, B_FRAMES, 1, true), ABSENT},
     2,
     0,
     0,
     0,
     "parent.r",
     "share_mode",
     "SM_PRIVATE"},
    {PH_SETTLED,
     "child",
     "read",
     NULL,
     -1,
     0,
     {LOOK(EXCLUSIVE, PRIVATE, 1, A_FRAMES, 1, true),
      LOOK(EXCLUSIVE, PRIVATE, 1, B_FRAMES, 1, true), ABSENT},
     2,
     0,
     0,
     0,
     "child.r",
     "share_mode",
     "SM_PRIVATE"},
};
static const struct script fork_script = {
    "fork-write", "ool-write", {"parent", "child"}, fork_steps, 7};

static const struct script_step ool_steps[] = {
    {PH_MAPPED,
     "sender",
     "map",
     NULL,
     -1,
     0,
     {LOOK(NONE, EMPTY, 0, 0, 0, false), ABSENT, ABSENT},
     0,
     0,
     0,
     0,
     "sender.r",
     "share_mode",
     "SM_EMPTY"},
    {PH_POPULATED,
     "sender",
     "write",
     NULL,
     0,
     WO_FIRST_TOUCH,
     {LOOK(SHARED, PRIVATE, 1, A_FRAMES, 1, true), ABSENT, ABSENT},
     1,
     0,
     0,
     0,
     "sender.r",
     "share_mode",
     "SM_PRIVATE"},
    {PH_IN_TRANSIT,
     "sender",
     "ool_send",
     NULL,
     -1,
     0,
     {LOOK(NONE, COW, 2, 0, 0, true), ABSENT, LOOK(NONE, COW, 2, 0, 0, true)},
     0,
     1,
     0,
     0,
     "message.r",
     "share_mode",
     "SM_COW"},
    {PH_RECEIVED,
     "receiver",
     "ool_receive",
     NULL,
     -1,
     0,
     {LOOK(NONE, COW, 2, 0, 0, true), LOOK(NONE, COW, 2, 0, 0, true), ABSENT},
     0,
     1,
     0,
     0,
     "receiver.r",
     "share_mode",
     "SM_COW"},
    {PH_RECEIVER_WROTE,
     "receiver",
     "write",
     NULL,
     1,
     WO_COPIED,
     {LOOK(NONE, COW, 2, 0, 0, true), LOOK(EXCLUSIVE, COW, 1, B_FRAMES, 1, true), ABSENT},
     1,
     1,
     0,
     0,
     "receiver.r",
     "copied",
     "1"},
    {PH_SETTLED,
     NULL,
     "checkpoint",
     NULL,
     -1,
     0,
     {LOOK(NONE, COW, 2, 0, 0, true), LOOK(EXCLUSIVE, COW, 1, B_FRAMES, 1, true), ABSENT},
     1,
     1,
     0,
     0,
     "sender.r",
     "share_mode",
     "SM_COW"},
    {PH_SENDER_WROTE,
     "sender",
     "write",
     NULL,
     0,
     WO_COPIED,
     {LOOK(EXCLUSIVE, COW, 1, C_FRAMES, 1, true), LOOK(EXCLUSIVE, COW, 1, B_FRAMES, 1, true),
      ABSENT},
     2,
     1,
     0,
     1,
     "sender.r",
     "copied",
     "1"},
    {PH_SETTLED,
     "receiver",
     "read",
     NULL,
     -1,
     0,
     {LOOK(EXCLUSIVE, COW, 1, C_FRAMES, 1, true), LOOK(EXCLUSIVE, COW, 1, B_FRAMES, 1, true),
      ABSENT},
     2,
     1,
     0,
     1,
     "receiver.r",
     "share_mode",
     "SM_COW"},
};
static const struct script ool_script = {
    "ool-write", "fork-write", {"sender", "receiver"}, ool_steps, 8};

static void *checked(struct build *b, void *p)
{
    if (!p && b->rc == 0)
        b->rc = err_sys(b->e, ENOMEM, "cannot build a run");
    return p;
}

static bool is_mapped(const struct look *l)
{
    return l->state != PS_NONE;
}

static int64_t region_kb(const struct build *b)
{
    return (int64_t)(b->opt.pages * b->opt.page_size / 1024);
}

static bool needs_kpage(enum page_state s)
{
    return s == PS_COW || s == PS_DEBT || s == PS_EXCLUSIVE;
}

/* -- one region ------------------------------------------------------------------------- */

static void fill_states(struct obs_region *r, const struct look *l, int64_t n, bool unprivileged)
{
    static const int state_quantity[] = {
        [PS_NONE] = RQ_NONE,     [PS_ZERO] = RQ_ZERO,      [PS_EXCLUSIVE] = RQ_EXCLUSIVE,
        [PS_COW] = RQ_COW,       [PS_DEBT] = RQ_DEBT,      [PS_OBJECT] = RQ_OBJECT,
        [PS_SHARED] = RQ_SHARED, [PS_SWAPPED] = RQ_SWAPPED};

    for (size_t i = 0; i < sizeof state_quantity / sizeof *state_quantity; i++)
        r->q[state_quantity[i]] = value_known(0);
    r->q[state_quantity[l->state]] = value_known(n);
    r->q[RQ_HUGE] = r->q[RQ_OUTSIDE] = value_known(0);
    r->q[RQ_AT_RISK] =
        value_known(l->state == PS_COW || (l->mode == SM_COW && !is_mapped(l)) ? n : 0);
    if (unprivileged && needs_kpage(l->state)) {
        r->q[RQ_EXCLUSIVE] = r->q[RQ_DEBT] = value_unknown(WHY_NO_ANON_EXCLUSIVE);
        r->q[RQ_COW] = r->q[RQ_AT_RISK] = value_unknown(WHY_NO_KPAGE);
        r->q[RQ_REF_COUNT] = value_unknown(WHY_NO_KPAGE);
        r->q[RQ_OUTSIDE] = value_unknown(WHY_NO_FRAMES);
    }
}

static void fill_write(struct obs_region *r, enum write_outcome outcome, int64_t n,
                       bool unprivileged)
{
    static const int outcome_quantity[] = {[WO_FIRST_TOUCH] = RQ_FIRST_TOUCH,
                                           [WO_COPIED] = RQ_COPIED,
                                           [WO_REUSED] = RQ_REUSED,
                                           [WO_NO_FAULT] = RQ_NO_FAULT,
                                           [WO_SWAPPED_IN] = RQ_SWAPPED_IN};

    for (int q = RQ_FIRST_TOUCH; q <= RQ_SWAPPED_IN; q++)
        r->q[q] = value_known(0);
    r->q[outcome_quantity[outcome]] = value_known(n);
    r->q[RQ_WRITE_OUTCOME] = value_known(outcome);
    if (unprivileged && outcome != WO_FIRST_TOUCH) {
        r->q[RQ_COPIED] = r->q[RQ_REUSED] = value_unknown(WHY_NO_FRAMES);
        r->q[RQ_WRITE_OUTCOME] = value_unknown(WHY_NO_FRAMES);
    }
}

static void add_object(struct build *b, struct obs_region *r, uint64_t number, int depth,
                       const char *kind, int refs, uint64_t frame)
{
    struct obs_object *o = checked(b, obs_region_add_object(r));

    if (!o)
        return;
    o->number = number;
    o->depth = depth;
    o->kind = kind;
    o->refs = value_known(refs);
    o->size = o->resident = value_known((int64_t)b->opt.pages);
    o->offset = value_known(0);
    if (frame && !b->opt.unprivileged && (o->runs = checked(b, calloc(1, sizeof *o->runs)))) {
        o->runs[0] = (struct page_run){.count = b->opt.pages, .frame = frame, .mapcount = 1};
        o->nruns = 1;
    }
}

/* Fork: one anonymous object. Out of line: the memfd, and above it what was copied. */
static void fill_objects(struct build *b, struct obs_region *r, const struct look *l)
{
    bool ool = b->script == &ool_script;

    if (!l->resident)
        return;
    if (l->frame && !(ool && l->frame == A_FRAMES))
        add_object(b, r, l->frame / 100000 + 1, 0, "anonymous", 1, l->frame);
    if (ool)
        add_object(b, r, 1, r->nobjects ? 1 : 0, "memfd", l->refs, A_FRAMES);
}

static void add_region(struct build *b, struct observation *o, const struct script_step *st,
                       int which)
{
    const struct look *l = &st->look[which];
    bool message = which == 2;
    const char *observed = message ? "message" : b->script->actors[which];
    int64_t n = (int64_t)b->opt.pages;
    struct obs_region *r = checked(b, observation_add_region(o, observed, "r", NULL));
    struct page_run run = {.count = b->opt.pages,
                           .frame = b->opt.unprivileged ? 0 : l->frame,
                           .mapcount = b->opt.unprivileged ? -1 : l->mapcount,
                           .state = (uint8_t)l->state};

    if (!r)
        return;
    r->needs_copy = -1;
    if (!message) {
        r->start = r->entry_start = 0x10000000;
        r->end = r->entry_end = r->start + b->opt.pages * b->opt.page_size;
        r->q[RQ_ENTRY_PAGES] = value_known(n);
        r->q[RQ_PROTECTION] = value_known(3);
        r->q[RQ_INHERITANCE] = value_known(INH_COPY);
    }
    r->q[RQ_SHARE_MODE] = value_known(l->mode);
    r->q[RQ_REF_COUNT] = value_known(l->refs);
    r->q[RQ_PAGES] = value_known(n);
    r->q[RQ_RESIDENT] = value_known(l->resident ? n : 0);
    r->q[RQ_MAPPED] = value_known(is_mapped(l) ? n : 0);
    if (!message)
        fill_states(r, l, n, b->opt.unprivileged);
    if (st->writer == which)
        fill_write(r, st->outcome, n, b->opt.unprivileged);
    if (!message && obs_region_add_run(r, &run) != 0)
        checked(b, NULL);
    fill_objects(b, r, l);
}

/* -- the rest of a step ----------------------------------------------------------------- */

static void add_process(struct build *b, struct observation *o, const struct script_step *st,
                        int which, uint64_t dur_ns)
{
    const struct look *l = &st->look[which];
    const char *actor = b->script->actors[which];
    struct obs_process *p = checked(b, observation_add_process(o, actor));
    int64_t kb = region_kb(b), rss = BASE_KB + (is_mapped(l) ? kb : 0);

    if (!p)
        return;
    p->pid = 4000 + which;
    p->acting = st->actor && strcmp(st->actor, actor) == 0;
    p->q[PQ_RSS] = p->q[PQ_PEAK] = value_known(rss);
    p->q[PQ_PSS] = value_known(rss - BASE_SHARED_KB / 2 - (l->state == PS_COW ? kb / 2 : 0));
    p->q[PQ_USS] = value_known(rss - BASE_SHARED_KB - (l->state == PS_COW ? kb : 0));
    p->q[PQ_PAGETABLE] = value_known(40);
    p->q[PQ_VIRTUAL] = value_known(4000 + kb);
    p->q[PQ_SWAP] = value_known(0);
    p->q[PQ_MINFLT_TOTAL] = value_known(100);
    p->q[PQ_MAJFLT_TOTAL] = value_known(0);
    if (p->acting) {
        p->q[PQ_MINFLT] = value_known(st->writer == which ? (int64_t)b->opt.pages : 0);
        p->q[PQ_MAJFLT] = value_known(0);
        p->q[PQ_DUR] = value_known((int64_t)dur_ns);
    }
}

static void fill_totals(struct build *b, struct observation *o, const struct script_step *st)
{
    int64_t kb = region_kb(b), actors = (int64_t)o->nprocesses;
    int64_t base = actors * (BASE_KB - BASE_SHARED_KB) + BASE_SHARED_KB;
    int64_t distinct = base + st->distinct * kb;
    /* While it is in transit and mapped by nobody the object is still the sender's. */
    int64_t object_only = st->object_only * kb, in_transit = st->in_transit * kb;

    o->totals[TQ_DISTINCT] = value_known(distinct);
    o->totals[TQ_DISTINCT_FILE] = value_known(BASE_SHARED_KB);
    o->totals[TQ_OBJECT_ONLY] = value_known(object_only);
    o->totals[TQ_IN_TRANSIT] = value_known(in_transit);
    o->totals[TQ_SUPERSEDED] = value_known(st->superseded * kb);
    o->totals[TQ_SYSTEM] =
        value_known(distinct - BASE_SHARED_KB + object_only + in_transit + 40 * actors + 12);
    o->totals[TQ_SYSTEM_TOLERANCE] = value_known(512);
    o->totals[TQ_MEM_FREE] = value_known(2000000 - distinct);
    o->totals[TQ_MEM_AVAILABLE] = value_known(3000000 - distinct);
    o->totals[TQ_ANON_PAGES] = value_known(500000 + distinct);
    o->totals[TQ_SHMEM] = value_known(1000 + object_only);
    o->totals[TQ_PAGE_TABLES] = value_known(5000);
    o->totals[TQ_COMMITTED_AS] = value_known(900000);
    o->totals[TQ_COMMIT_LIMIT] = value_known(2000000);
    o->totals[TQ_SWAP_FREE] = value_known(0);
    o->system_source = checked(b, strdup("memory.current of the run's cgroup (v2)"));
    if (b->opt.unprivileged) {
        o->totals[TQ_DISTINCT] = o->totals[TQ_DISTINCT_FILE] = value_unknown(WHY_NO_FRAMES);
        o->totals[TQ_SYSTEM] = o->totals[TQ_SYSTEM_TOLERANCE] = value_unknown(WHY_NO_CGROUP);
        free(o->system_source);
        o->system_source = NULL;
    }
}

static void add_check(struct build *b, struct observation *o, const char *name,
                      const char *observed, const char *region, struct value left,
                      struct value right)
{
    struct obs_check *c = checked(b, observation_add_check(o, name, observed, region));

    if (!c)
        return;
    c->left = left;
    c->right = right;
    c->tolerance = 4;
    if (!value_is_known(left) || !value_is_known(right))
        c->verdict = CHECK_NOT_CHECKED;
    else
        c->verdict = llabs(left.n - right.n) <= 4 ? CHECK_HELD : CHECK_DIFFERS;
}

static void add_checks(struct build *b, struct observation *o, int number)
{
    struct value pss = value_known(0);

    for (size_t i = 0; i < o->nregions; i++) {
        const struct obs_region *r = &o->regions[i];

        if (strcmp(r->observed, "message") != 0)
            add_check(b, o, "states_sum", r->observed, r->region, r->q[RQ_PAGES], r->q[RQ_PAGES]);
    }
    for (size_t i = 0; i < o->nprocesses; i++)
        pss = value_add(pss, o->processes[i].q[PQ_PSS]);
    if (o->nprocesses == 1)
        pss = value_add(pss, value_known(BASE_SHARED_KB / 2)); /* nobody to share it with */
    if (b->opt.failing && number == 2)
        pss.n += 1000;
    add_check(b, o, "pss_distinct", NULL, NULL, pss, o->totals[TQ_DISTINCT]);
}

static void add_costs(struct build *b, struct observation *o)
{
    static const char *const probes[] = {"maps", "pagemap", "kpagecount", "smaps"};

    for (size_t i = 0; i < 4; i++) {
        struct obs_cost *c = checked(b, observation_add_cost(o, probes[i]));

        if (!c)
            return;
        c->dur_ns = 10000 * (i + 1);
        c->calls = o->nprocesses;
        c->bytes = 4096;
        c->faults_induced = value_known(0);
    }
}

static void fill_observation(struct build *b, struct observation *o, const struct script_step *st,
                             int number, uint64_t dur_ns)
{
    struct obs_sharing *sh;

    o->t_ns = 1000 * MS + (uint64_t)number * 10 * MS + dur_ns;
    for (int i = 0; i < 2; i++)
        if (!st->look[i].absent || (i == 1 && b->script == &ool_script))
            add_process(b, o, st, i, dur_ns);
    for (int i = 0; i < 3; i++)
        if (!st->look[i].absent)
            add_region(b, o, st, i);
    fill_totals(b, o, st);
    if (o->nprocesses == 2 &&
        (sh = checked(b, observation_add_sharing(o, b->script->actors[0], b->script->actors[1])))) {
        int64_t n = st->look[0].state == PS_COW ? (int64_t)b->opt.pages : 0;

        sh->region_frames = value_known(n);
        sh->frames = value_known(n + BASE_SHARED_KB * 1024 / (int64_t)b->opt.page_size);
        if (b->opt.unprivileged)
            sh->region_frames = sh->frames = value_unknown(WHY_NO_FRAMES);
    }
    add_checks(b, o, number);
    add_costs(b, o);
}

static struct store_transfer transfer_of(const struct build *b, bool got)
{
    return (struct store_transfer){.from = "sender",
                                   .to = "receiver",
                                   .region = "r",
                                   .kind = "ool",
                                   .asked = "virtual",
                                   .received = got ? "virtual" : NULL,
                                   .done = "shared",
                                   .deallocate = 0,
                                   .size = (int64_t)(b->opt.pages * b->opt.page_size),
                                   .why =
                                       "ordinary memory, one whole object: shared copy-on-write"};
}

/* What a step expects, and beside it what nobody could check: copied is the first one's text. */
static void expectations_of(const struct build *b, const struct script_step *st, int number,
                            char copied[24], struct store_expectation both[2])
{
    both[0] = (struct store_expectation){.on = st->expect_on,
                                         .key = st->expect_key,
                                         .expected = st->expect_text,
                                         .measured = st->expect_text,
                                         .held = 1,
                                         .line = 10 + number};
    both[1] = (struct store_expectation){
        .on = "parent.r",
        .key = "debt",
        .expected = "1",
        .held = -1,
        .line = 15,
        .reason = "this kernel does not tell an exclusive page from one in debt"};
    if (strcmp(st->expect_key, "copied") == 0) {
        snprintf(copied, 24, "%llu", (unsigned long long)b->opt.pages);
        both[0].expected = both[0].measured = copied;
    }
    if (b->opt.failing && number == 2) {
        both[0].measured = "SM_SHARED";
        both[0].held = 0;
    }
}

static void put_step(struct build *b, int number)
{
    const struct script_step *st = &b->script->steps[number - 1];
    uint64_t dur_ns = 20000 + 700 * b->opt.pages * (st->writer >= 0);
    bool sent = strcmp(st->action, "ool_send") == 0, got = strcmp(st->action, "ool_receive") == 0;
    struct store_transfer t = transfer_of(b, got);
    struct store_expectation both[2];
    struct observation o;
    char copied[24];

    observation_init(&o);
    fill_observation(b, &o, st, number, dur_ns);
    expectations_of(b, st, number, copied, both);
    if (b->rc == 0)
        b->rc = store_step(
            b->s, b->run_id,
            &(struct step_record){.step = number,
                                  .phase = word_text(phases, st->phase),
                                  .actor = st->actor,
                                  .action = st->action,
                                  .region = st->actor && strcmp(st->action, "fork") ? "r" : NULL,
                                  .published = st->published,
                                  .start_ns = 1000 * MS + (uint64_t)number * 10 * MS,
                                  .dur_ns = dur_ns,
                                  .obs = &o,
                                  .transfers = &t,
                                  .ntransfers = sent || got,
                                  .expectations = both,
                                  .nexpectations = b->opt.unprivileged && number == 5 ? 2 : 1},
            b->e);
    observation_release(&o);
}

/* -- whole runs ------------------------------------------------------------------------- */

static void begin(struct build *b, const char *scenario, const char *twin, const char *title)
{
    char params[128] = "{}";
    struct run_info info = {
        .scenario = b->opt.scenario ? b->opt.scenario : scenario,
        .title = title,
        .question = "Who copies and who reuses?",
        .backend = b->opt.backend,
        .twin = b->opt.twin ? b->opt.twin : twin,
        .params = params,
        .source = "{\"scenario\": \"invented\"}",
        .page_size = b->opt.page_size,
        .kernel = "Linux 6.18.0 x86_64",
        .machine = "{\"cpus\":2,\"memory_kb\":4000000}",
        .capabilities = "[{\"name\":\"frames\",\"state\":\"yes\",\"unlocks\":\"page frames\"}]"};

    snprintf(params, sizeof params,
             b->opt.memory ? "{\"pages\":%llu,\"memory\":\"%s\"}" : "{\"pages\":%llu}",
             (unsigned long long)b->opt.pages, b->opt.memory ? b->opt.memory : "");
    b->rc = store_begin_run(b->s, &info, b->e);
    memcpy(b->run_id, info.run_id, sizeof b->run_id);
}

static void set_up(struct build *b, struct store *s, const struct support_options *opt,
                   struct err *e)
{
    *b = (struct build){.s = s, .e = e};
    if (opt)
        b->opt = *opt;
    b->opt.pages = b->opt.pages ? b->opt.pages : 1;
    b->opt.page_size = b->opt.page_size ? b->opt.page_size : 4096;
    b->opt.backend = b->opt.backend ? b->opt.backend : "linux";
    b->opt.status = b->opt.status ? b->opt.status : RUN_COMPLETE;
}

static int finish(struct build *b, char run_id[40])
{
    if (b->rc == 0 && b->opt.status != RUN_RUNNING)
        b->rc = store_end_run(b->s, b->run_id, b->opt.status, 100 * MS,
                              b->opt.status == RUN_COMPLETE ? NULL : "invented failure", b->e);
    if (b->rc == 0)
        memcpy(run_id, b->run_id, sizeof b->run_id);
    return b->rc;
}

static int play(struct store *s, const struct support_options *opt, const struct script *script,
                const char *title, char run_id[40], struct err *e)
{
    struct build b;
    int n;

    set_up(&b, s, opt, e);
    b.script = script;
    begin(&b, script->scenario, script->twin, title);
    n = b.opt.steps ? b.opt.steps : script->nsteps;
    for (int i = 1; i <= n && i <= script->nsteps && b.rc == 0; i++)
        put_step(&b, i);
    return finish(&b, run_id);
}

int support_fork_write(struct store *s, const struct support_options *opt, char run_id[40],
                       struct err *e)
{
    return play(s, opt, &fork_script, "Fork and write, the six published steps", run_id, e);
}

int support_ool_write(struct store *s, const struct support_options *opt, char run_id[40],
                      struct err *e)
{
    return play(s, opt, &ool_script, "Send out of line and write", run_id, e);
}

/* -- ool-options ------------------------------------------------------------------------ */

struct option_case {
    const char *name;
    bool physical, free_source;
    int pages, resident;     /* resident: of this region alone */
    enum share_mode mode[2]; /* purgeable, ordinary */
    int refs[2];
    int entry_first; /* pages of small ones received before, in the same entry */
};

static const struct option_case option_cases[] = {
    {"VIRTUAL;PAGE;NO_FREE", false, false, 1, 1, {SM_PRIVATE, SM_PRIVATE}, {1, 1}, 0},
    {"VIRTUAL;PAGE;FREE", false, true, 1, 1, {SM_PRIVATE, SM_PRIVATE}, {1, 1}, 1},
    {"VIRTUAL;PAGEx16;NO_FREE", false, false, 16, 1, {SM_PRIVATE, SM_COW}, {1, 2}, -1},
    {"VIRTUAL;PAGEx16;FREE", false, true, 16, 1, {SM_PRIVATE, SM_COW}, {1, 1}, -1},
    {"PHYSICAL;PAGE;NO_FREE", true, false, 1, 1, {SM_PRIVATE, SM_PRIVATE}, {1, 1}, 2},
    {"PHYSICAL;PAGE;FREE", true, true, 1, 1, {SM_PRIVATE, SM_PRIVATE}, {1, 1}, 3},
    {"PHYSICAL;PAGEx16;NO_FREE", true, false, 16, 16, {SM_COW, SM_COW}, {1, 1}, -1},
    {"PHYSICAL;PAGEx16;FREE", true, true, 16, 1, {SM_PRIVATE, SM_COW}, {1, 1}, -1},
};
#define NCASES 8

static void add_case_region(struct build *b, struct observation *o, int i, int upto)
{
    const struct option_case *c = &option_cases[i];
    int mode = b->opt.memory && strcmp(b->opt.memory, "ordinary") == 0;
    struct obs_region *r = checked(b, observation_add_region(o, "receiver", "r", c->name));
    uint64_t page = b->opt.page_size, small = 0;

    if (!r)
        return;
    for (int k = 0; k <= upto; k++)
        small += option_cases[k].entry_first >= 0;
    r->needs_copy = -1;
    r->entry_start = c->entry_first >= 0 ? 0x10000000 : 0x20000000 + (uint64_t)i * 0x1000000;
    r->start = r->entry_start + (c->entry_first > 0 ? (uint64_t)c->entry_first * page : 0);
    r->end = r->start + (uint64_t)c->pages * page;
    r->entry_end = c->entry_first >= 0 ? r->entry_start + small * page : r->end;
    r->q[RQ_SHARE_MODE] = value_known(c->mode[mode]);
    r->q[RQ_REF_COUNT] = value_known(c->refs[mode]);
    r->q[RQ_PAGES] = value_known(c->pages);
    r->q[RQ_ENTRY_PAGES] = value_known((int64_t)((r->entry_end - r->entry_start) / page));
    r->q[RQ_RESIDENT] = r->q[RQ_MAPPED] = value_known(c->resident);
}

static void put_option_step(struct build *b, int i, bool received)
{
    const struct option_case *c = &option_cases[i];
    char *copy = c->physical ? "physical" : "virtual";
    struct store_transfer t = {.from = "sender",
                               .to = "receiver",
                               .region = "r",
                               .case_name = (char *)c->name,
                               .kind = "ool",
                               .asked = copy,
                               .received = received ? copy : NULL,
                               .done = "copied",
                               .deallocate = c->free_source,
                               .size = (int64_t)((uint64_t)c->pages * b->opt.page_size),
                               .why = "invented"};
    struct observation o;

    observation_init(&o);
    for (int k = 0; k <= i - !received; k++)
        add_case_region(b, &o, k, i - !received);
    if (b->rc == 0)
        b->rc = store_step(b->s, b->run_id,
                           &(struct step_record){.step = 2 * i + 1 + received,
                                                 .phase = received ? "received" : "in_transit",
                                                 .actor = received ? "receiver" : "sender",
                                                 .action = received ? "ool_receive" : "ool_send",
                                                 .case_name = c->name,
                                                 .region = "r",
                                                 .published = received ? c->name : NULL,
                                                 .obs = &o,
                                                 .transfers = &t,
                                                 .ntransfers = 1},
                           b->e);
    observation_release(&o);
}

int support_ool_options(struct store *s, const struct support_options *opt, char run_id[40],
                        struct err *e)
{
    struct build b;

    set_up(&b, s, opt, e);
    b.opt.memory = b.opt.memory ? b.opt.memory : "purgeable";
    begin(&b, "ool-options", NULL, "The eight published out-of-line transfers");
    for (int i = 0; i < NCASES && b.rc == 0; i++) {
        put_option_step(&b, i, false);
        if (b.rc == 0)
            put_option_step(&b, i, true);
    }
    return finish(&b, run_id);
}
