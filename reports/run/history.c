#include "reports/run/history.h"

#include "probes/list.h"
#include "reports/run/region_index.h"
#include "reports/write/query.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is read of a run, each in the order of its keys, beside each other: a step is whole when all
 * have come past it. */
enum table {
    STEPS,
    PROCESSES,
    REGIONS,
    SHARING,
    UNKNOWNS,
    PAGE_RUNS,
    OBJECTS,
    OBJECT_RUNS,
    TABLES
};

static const char *const tables[TABLES] = {
    [STEPS] = "SELECT * FROM step WHERE run = :run ORDER BY step",
    [PROCESSES] = "SELECT * FROM process WHERE run = :run ORDER BY step, nr",
    [REGIONS] = "SELECT * FROM region WHERE run = :run ORDER BY step, nr",
    [SHARING] = "SELECT * FROM shared_frames WHERE run = :run ORDER BY step, nr",
    [UNKNOWNS] = "SELECT * FROM unknown WHERE run = :run ORDER BY step, nr",
    [PAGE_RUNS] = "SELECT * FROM page_run WHERE run = :run ORDER BY step, nr, first",
    [OBJECTS] = "SELECT * FROM object WHERE run = :run ORDER BY step, nr, depth",
    [OBJECT_RUNS] = "SELECT * FROM object_run WHERE run = :run ORDER BY step, nr, depth, first",
};

struct loader {
    struct history *h;
    struct err *e;
    struct query q[TABLES];
    bool row[TABLES];       /* the query stands on a row that was not used yet */
    struct history_step *s; /* being read */
    size_t unknown_at;      /* region that the last unknown value was of */
};

/* The table's next row, if it is of this step. */
static struct query *row_of(struct loader *l, enum table t)
{
    struct query *q = &l->q[t];

    while (l->row[t] || (l->row[t] = query_row(q))) {
        int64_t step = query_int(q, "step");

        if (step > l->s->step)
            return NULL;
        l->row[t] = false;
        if (step == l->s->step)
            return q;
    }
    return NULL;
}

/* A word's code. One that is in no list, as a damaged database has it, has no text to show. */
static int read_word(struct query *q, const struct word *words, const char *text)
{
    int code = !text ? -1 : words ? word_code(words, text) : protection_code(text);

    if (code < 0)
        query_fail(q, EIO, "a word that is in none of its lists");
    return code;
}

/* A column as a value of its quantity's type. A NULL reads as not applicable until the list of
 * unknown values says otherwise. */
static struct value read_value(struct query *q, int column, enum quantity_type type)
{
    const struct word *words = quantity_words(type);

    if (column < 0 || sqlite3_column_type(q->stmt, column) == SQLITE_NULL)
        return value_na();
    if (!words && type != QT_PROTECTION)
        return value_known(sqlite3_column_int64(q->stmt, column));
    return value_known(read_word(q, words, (const char *)sqlite3_column_text(q->stmt, column)));
}

/* Is it one of the words? */
static bool names(const char *words, const char *word)
{
    size_t len = strlen(word);

    while (words && *words) {
        if (strncmp(words, word, len) == 0 && (words[len] == ' ' || words[len] == '\0'))
            return true;
        words += strcspn(words, " ");
        words += *words == ' ';
    }
    return false;
}

static void read_values(struct query *q, const struct quantity *list, struct value *out)
{
    const char *inferred = query_text(q, "inferred");

    for (int i = 0; list[i].column; i++) {
        out[i] = read_value(q, query_find(q, list[i].column), list[i].type);
        out[i].inferred = value_is_known(out[i]) && names(inferred, list[i].column);
    }
}

/* The columns of a run that are texts, as the history has them. */
/* clang-format off */
#define RUN_TEXTS(X)                                                                               \
    X(run_id) X(scenario) X(title) X(question) X(backend) X(kernel) X(status) X(message) X(twin)   \
    X(no_twin) X(params) X(machine) X(capabilities) X(source)
/* clang-format on */

static int load_run(struct history *h, sqlite3 *db, const char *run_id, struct err *e)
{
    struct query q;

    memset(h, 0, sizeof *h);
    query_ask(&q, db, "SELECT * FROM run WHERE run_id = :run", ":run", run_id, e);
    if (!query_row(&q)) {
        int rc = query_close(&q);

        return rc ? rc : err_set(e, ENOENT, "no run '%s'", run_id);
    }
    h->run = query_int(&q, "run");
    h->page_size = query_int(&q, "page_size");
#define COPY(name) h->name = query_copy(&q, #name);
    RUN_TEXTS(COPY)
    return query_close(&q);
}

static void load_step(struct query *q, struct history_step *s)
{
    *s = (struct history_step){.step = (int)query_int(q, "step"),
                               .phase = query_copy(q, "phase"),
                               .actor = query_copy(q, "actor"),
                               .action = query_copy(q, "action"),
                               .case_name = query_copy(q, "case_name"),
                               .region = query_copy(q, "region"),
                               .published = query_copy(q, "published"),
                               .dur_ns = query_int(q, "dur_ns")};
    observation_init(&s->obs);
    s->obs.t_ns = (uint64_t)query_int(q, "t_ns");
    s->obs.system_source = query_copy(q, "system_source");
    read_values(q, total_quantities, s->obs.totals);
}

static int load_process(struct loader *l, struct query *q)
{
    struct obs_process *p = observation_add_process(&l->s->obs, query_text(q, "actor"));

    if (!p)
        return query_no_memory(q);
    p->pid = (int)query_int(q, "pid");
    p->acting = query_int(q, "acting") != 0;
    read_values(q, process_quantities, p->q);
    return 0;
}

static int load_region(struct loader *l, struct query *q)
{
    struct obs_region *r = observation_add_region(
        &l->s->obs, query_text(q, "observed"), query_text(q, "region"), query_text(q, "case_name"));

    if (!r)
        return query_no_memory(q);
    r->start = (uint64_t)query_int(q, "range_start");
    r->end = (uint64_t)query_int(q, "range_end");
    r->entry_start = (uint64_t)query_int(q, "entry_start");
    r->entry_end = (uint64_t)query_int(q, "entry_end");
    r->needs_copy = query_null(q, "needs_copy") ? -1 : (int)query_int(q, "needs_copy");
    r->runs_cut = query_int(q, "runs_cut") != 0;
    read_values(q, region_quantities, r->q);
    return 0;
}

static int load_sharing(struct loader *l, struct query *q)
{
    struct obs_sharing *p =
        observation_add_sharing(&l->s->obs, query_text(q, "actor_a"), query_text(q, "actor_b"));

    if (!p)
        return query_no_memory(q);
    p->region_frames = read_value(q, query_find(q, "region_frames"), QT_COUNT);
    p->frames = read_value(q, query_find(q, "frames"), QT_COUNT);
    return 0;
}

static bool is_region(const struct obs_region *r, const char *observed, const char *region,
                      const char *case_name)
{
    return same_text(r->region, region) && same_text(r->observed, observed) &&
           same_text(r->case_name, case_name);
}

/* The region of an unknown value. They were stored in the order of the regions. */
static struct obs_region *unknown_region(struct loader *l, struct query *q)
{
    struct observation *o = &l->s->obs;
    const char *observed = query_text(q, "observed"), *region = query_text(q, "region");
    const char *case_name = query_text(q, "case_name");

    for (size_t n = 0; n < o->nregions; n++, l->unknown_at++) {
        if (l->unknown_at >= o->nregions)
            l->unknown_at = 0;
        if (is_region(&o->regions[l->unknown_at], observed, region, case_name))
            return &o->regions[l->unknown_at];
    }
    return NULL;
}

/* Puts the reason of one unknown value where the value is. */
static int load_unknown(struct loader *l, struct query *q)
{
    const char *observed = query_text(q, "observed"), *region = query_text(q, "region");
    const char *column = query_text(q, "quantity");
    struct value why = value_unknown((enum why)query_int(q, "why"));
    struct obs_region *r;
    struct obs_process *p;
    int i;

    if (!observed) {
        i = quantity_index(total_quantities, column);
        if (i >= 0)
            l->s->obs.totals[i] = why;
    } else if (region) {
        r = unknown_region(l, q);
        i = quantity_index(region_quantities, column);
        if (r && i >= 0)
            r->q[i] = why;
    } else {
        p = observation_find_process(&l->s->obs, observed);
        i = quantity_index(process_quantities, column);
        if (p && i >= 0)
            p->q[i] = why;
    }
    return 0;
}

/* The region with this number in the step: regions were added in the order of nr, from 0. */
static struct obs_region *region_of_row(struct loader *l, struct query *q)
{
    int64_t nr = query_int(q, "nr");

    return nr >= 0 && (size_t)nr < l->s->obs.nregions ? &l->s->obs.regions[nr] : NULL;
}

static int load_page_run(struct loader *l, struct query *q)
{
    struct obs_region *r = region_of_row(l, q);
    const char *state = query_text(q, "state");
    struct page_run run = {.first = (uint64_t)query_int(q, "first"),
                           .count = (uint64_t)query_int(q, "count"),
                           .frame = (uint64_t)query_int(q, "frame")};

    if (!r || !state)
        return 0;
    run.state = (uint8_t)read_word(q, page_states, state);
    run.mapcount = query_null(q, "mapcount") ? -1 : (int32_t)query_int(q, "mapcount");
    run.huge = query_int(q, "huge") != 0;
    run.inferred = query_int(q, "inferred") != 0;
    return obs_region_add_run(r, &run) ? query_no_memory(q) : 0;
}

/* A text that lives as long as the history. */
static const char *pooled(struct history *h, const char *text)
{
    char **added;

    for (size_t i = 0; i < h->npool; i++)
        if (strcmp(h->pool[i], text) == 0)
            return h->pool[i];
    added = LIST_ADD(h->pool, h->npool);
    if (added && !(*added = strdup(text)))
        h->npool--;
    return added ? *added : NULL;
}

static int load_object(struct loader *l, struct query *q)
{
    struct obs_region *r = region_of_row(l, q);
    const char *kind = query_text(q, "kind");
    struct obs_object *o;

    if (!r || !kind)
        return 0;
    o = obs_region_add_object(r);
    kind = pooled(l->h, kind);
    if (!o || !kind)
        return query_no_memory(q);
    o->kind = kind;
    o->number = (uint64_t)query_int(q, "number");
    o->depth = (int)query_int(q, "depth");
    o->refs = read_value(q, query_find(q, "refs"), QT_COUNT);
    o->size = read_value(q, query_find(q, "size"), QT_PAGES);
    o->resident = read_value(q, query_find(q, "resident"), QT_PAGES);
    o->offset = read_value(q, query_find(q, "offset"), QT_PAGES);
    return 0;
}

static int add_object_run(struct obs_object *o, struct query *q)
{
    struct page_run *added = LIST_ADD(o->runs, o->nruns);

    if (!added)
        return query_no_memory(q);
    *added = (struct page_run){.first = (uint64_t)query_int(q, "first"),
                               .count = (uint64_t)query_int(q, "count"),
                               .frame = (uint64_t)query_int(q, "frame"),
                               .mapcount = -1};
    return 0;
}

static int load_object_run(struct loader *l, struct query *q)
{
    struct obs_region *r = region_of_row(l, q);
    int64_t depth = query_int(q, "depth");
    int rc = 0;

    for (size_t i = 0; r && i < r->nobjects && rc == 0; i++)
        if (r->objects[i].depth == depth)
            rc = add_object_run(&r->objects[i], q);
    return rc;
}

/* The first failure of a table: from there on rows that are there look as if there were none. */
static int failure(const struct loader *l)
{
    int rc = 0;

    for (enum table t = 0; t < TABLES && rc == 0; t++)
        rc = l->q[t].rc;
    return rc;
}

static int load_rows(struct loader *l)
{
    static int (*const load[TABLES])(struct loader *, struct query *) = {
        [PROCESSES] = load_process,     [REGIONS] = load_region,     [SHARING] = load_sharing,
        [UNKNOWNS] = load_unknown,      [PAGE_RUNS] = load_page_run, [OBJECTS] = load_object,
        [OBJECT_RUNS] = load_object_run};
    struct query *q;
    int rc = 0;

    for (enum table t = PROCESSES; t < TABLES; t++)
        while (rc == 0 && (q = row_of(l, t)))
            rc = load[t](l, q);
    return rc ? rc : failure(l);
}

static void step_release(struct history_step *s)
{
    void *own[] = {s->phase, s->actor, s->action, s->case_name, s->region, s->published, s->before};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        free(own[i]);
    observation_release(&s->obs);
}

int history_each(struct history *h, sqlite3 *db, history_step_fn *each, void *arg, struct err *e)
{
    struct loader l = {.h = h, .e = e};
    int rc = 0;

    for (enum table t = 0; t < TABLES; t++)
        if (query_open(&l.q[t], db, tables[t], e) == 0)
            query_bind_int(&l.q[t], ":run", h->run);
    while (rc == 0 && query_row(&l.q[STEPS])) {
        struct history_step s;

        l.s = &s;
        load_step(&l.q[STEPS], &s);
        rc = load_rows(&l);
        rc = rc ? rc : each(arg, &s, e);
        step_release(&s);
    }
    rc = rc ? rc : failure(&l);
    for (enum table t = 0; t < TABLES; t++)
        query_close(&l.q[t]);
    return rc;
}

/* -- a whole run ------------------------------------------------------------------------ */

static int keep_step(void *history, struct history_step *s, struct err *e)
{
    struct history *h = history;
    struct history_step *kept = LIST_ADD(h->steps, h->nsteps);

    if (!kept)
        return err_no_memory(e);
    *kept = *s;
    *s = (struct history_step){.step = kept->step}; /* what it pointed to has moved */
    return 0;
}

/* What each region was before, once for all who ask. */
static int find_before(struct history *h)
{
    struct region_index index = {0};
    const struct obs_region **last = NULL;
    size_t nlast = 0, number;
    int rc = 0;

    for (size_t i = 0; i < h->nsteps && rc == 0; i++) {
        struct history_step *s = &h->steps[i];

        s->before = calloc(s->obs.nregions + 1, sizeof *s->before);
        rc = s->before ? 0 : -ENOMEM;
        for (size_t k = 0; k < s->obs.nregions && rc == 0; k++) {
            number = region_index_of(&index, &s->obs.regions[k]);
            if (number == SIZE_MAX || (number == nlast && !LIST_ADD(last, nlast))) {
                rc = -ENOMEM;
                break;
            }
            s->before[k] = last[number];
            last[number] = &s->obs.regions[k];
        }
    }
    free(last);
    region_index_release(&index);
    return rc;
}

int history_load(struct history *h, sqlite3 *db, const char *run_id, enum history_depth depth,
                 struct err *e)
{
    int rc = load_run(h, db, run_id, e);

    if (rc == 0 && depth == HISTORY_STEPS)
        rc = history_each(h, db, keep_step, h, e);
    if (rc == 0 && find_before(h) < 0)
        rc = err_no_memory(e);
    if (rc)
        history_release(h);
    return rc;
}

void history_release(struct history *h)
{
#define FREE(name) free(h->name);
    RUN_TEXTS(FREE)
    for (size_t i = 0; i < h->nsteps; i++)
        step_release(&h->steps[i]);
    free(h->steps);
    for (size_t i = 0; i < h->npool; i++)
        free(h->pool[i]);
    free(h->pool);
    memset(h, 0, sizeof *h);
}

const struct obs_region *history_before(const struct history_step *s, const struct obs_region *r)
{
    return s->before[r - s->obs.regions];
}

bool region_changed(const struct value *before, const struct obs_region *r)
{
    for (int q = 0; before && q < RQ__COUNT; q++)
        if (before[q].why != r->q[q].why || (value_is_known(r->q[q]) && before[q].n != r->q[q].n))
            return true;
    return !before;
}

bool step_concerns(const struct step_record *s, const struct obs_region *r)
{
    return s->actor && s->region && is_region(r, s->actor, s->region, s->case_name);
}

struct step_record history_record(const struct history_step *s)
{
    return (struct step_record){.step = s->step,
                                .phase = s->phase,
                                .actor = s->actor,
                                .action = s->action,
                                .case_name = s->case_name,
                                .region = s->region,
                                .dur_ns = (uint64_t)s->dur_ns,
                                .obs = &s->obs};
}
