#include "reports/run/history.h"

#include "probes/list.h"
#include "reports/write/query.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Each list is one query in the order of its keys; `from` and `to` bound the steps. */
#define RANGE " WHERE run = :run AND step BETWEEN :from AND :to ORDER BY step, "

struct loader {
    struct history *h;
    sqlite3 *db;
    struct err *e;
    int from, to;
    struct query q;
};

static int out_of_memory(struct loader *l)
{
    query_no_memory(&l->q);
    return query_close(&l->q);
}

/* A column as a value of its quantity's type. A NULL reads as not applicable until the list of
 * unknown values says otherwise. */
static struct value read_value(struct query *q, int column, enum quantity_type type)
{
    const struct word *words = quantity_words(type);
    const char *text;

    if (column < 0 || sqlite3_column_type(q->stmt, column) == SQLITE_NULL)
        return value_na();
    if (!words && type != QT_PROTECTION)
        return value_known(sqlite3_column_int64(q->stmt, column));
    text = (const char *)sqlite3_column_text(q->stmt, column);
    return value_known(words ? word_code(words, text) : protection_code(text));
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

static void begin(struct loader *l, const char *sql)
{
    query_open(&l->q, l->db, sql, l->e);
    query_bind_int(&l->q, ":run", l->h->run);
    query_bind_int(&l->q, ":from", l->from);
    query_bind_int(&l->q, ":to", l->to);
}

/* The step of the current row; rows come in step order, so *at only moves on. */
static struct history_step *step_of_row(struct loader *l, size_t *at)
{
    int64_t step = query_int(&l->q, "step");

    while (*at < l->h->nsteps && l->h->steps[*at].step < step)
        (*at)++;
    return *at < l->h->nsteps && l->h->steps[*at].step == step ? &l->h->steps[*at] : NULL;
}

static int load_run(struct loader *l, const char *run_id)
{
    struct history *h = l->h;
    struct query *q = &l->q;
    const struct {
        const char *column;
        char **field;
    } texts[] = {{"run_id", &h->run_id},
                 {"scenario", &h->scenario},
                 {"title", &h->title},
                 {"question", &h->question},
                 {"backend", &h->backend},
                 {"kernel", &h->kernel},
                 {"status", &h->status},
                 {"message", &h->message},
                 {"twin", &h->twin},
                 {"no_twin", &h->no_twin},
                 {"params", &h->params},
                 {"machine", &h->machine},
                 {"capabilities", &h->capabilities},
                 {"source", &h->source}};

    query_ask(q, l->db, "SELECT * FROM run WHERE run_id = :run", ":run", run_id, l->e);
    if (!query_row(q)) {
        int rc = query_close(q);

        return rc ? rc : err_set(l->e, ENOENT, "no run '%s'", run_id);
    }
    h->run = query_int(q, "run");
    h->page_size = query_int(q, "page_size");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i].field = query_copy(q, texts[i].column);
    return query_close(q);
}

static int load_steps(struct loader *l)
{
    struct history *h = l->h;

    begin(l, "SELECT * FROM step" RANGE "1");
    while (query_row(&l->q)) {
        struct history_step *s = LIST_ADD(h->steps, h->nsteps);

        if (!s)
            return out_of_memory(l);
        observation_init(&s->obs);
        s->step = (int)query_int(&l->q, "step");
        s->phase = query_copy(&l->q, "phase");
        s->actor = query_copy(&l->q, "actor");
        s->action = query_copy(&l->q, "action");
        s->case_name = query_copy(&l->q, "case_name");
        s->region = query_copy(&l->q, "region");
        s->published = query_copy(&l->q, "published");
        s->dur_ns = query_int(&l->q, "dur_ns");
        s->obs.t_ns = (uint64_t)query_int(&l->q, "t_ns");
        s->obs.system_source = query_copy(&l->q, "system_source");
        read_values(&l->q, total_quantities, s->obs.totals);
    }
    return query_close(&l->q);
}

static int load_processes(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM process" RANGE "nr");
    while (query_row(&l->q)) {
        struct history_step *s = step_of_row(l, &at);
        struct obs_process *p;

        if (!s)
            continue;
        p = observation_add_process(&s->obs, query_text(&l->q, "actor"));
        if (!p)
            return out_of_memory(l);
        p->pid = (int)query_int(&l->q, "pid");
        p->acting = query_int(&l->q, "acting") != 0;
        read_values(&l->q, process_quantities, p->q);
    }
    return query_close(&l->q);
}

static int load_regions(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM region" RANGE "nr");
    while (query_row(&l->q)) {
        struct history_step *s = step_of_row(l, &at);
        struct obs_region *r;

        if (!s)
            continue;
        r = observation_add_region(&s->obs, query_text(&l->q, "observed"),
                                   query_text(&l->q, "region"), query_text(&l->q, "case_name"));
        if (!r)
            return out_of_memory(l);
        r->start = (uint64_t)query_int(&l->q, "range_start");
        r->end = (uint64_t)query_int(&l->q, "range_end");
        r->entry_start = (uint64_t)query_int(&l->q, "entry_start");
        r->entry_end = (uint64_t)query_int(&l->q, "entry_end");
        r->needs_copy = query_null(&l->q, "needs_copy") ? -1 : (int)query_int(&l->q, "needs_copy");
        r->runs_cut = query_int(&l->q, "runs_cut") != 0;
        read_values(&l->q, region_quantities, r->q);
    }
    return query_close(&l->q);
}

static int load_sharing(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM shared_frames" RANGE "nr");
    while (query_row(&l->q)) {
        struct history_step *s = step_of_row(l, &at);
        struct obs_sharing *p;

        if (!s)
            continue;
        p = observation_add_sharing(&s->obs, query_text(&l->q, "actor_a"),
                                    query_text(&l->q, "actor_b"));
        if (!p)
            return out_of_memory(l);
        p->region_frames = read_value(&l->q, query_find(&l->q, "region_frames"), QT_COUNT);
        p->frames = read_value(&l->q, query_find(&l->q, "frames"), QT_COUNT);
    }
    return query_close(&l->q);
}

/* Puts the reason of one unknown value where the value is. */
static void place_unknown(struct query *q, struct history_step *s)
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
            s->obs.totals[i] = why;
    } else if (region) {
        r = observation_find_region(&s->obs, observed, region, query_text(q, "case_name"));
        i = quantity_index(region_quantities, column);
        if (r && i >= 0)
            r->q[i] = why;
    } else {
        p = observation_find_process(&s->obs, observed);
        i = quantity_index(process_quantities, column);
        if (p && i >= 0)
            p->q[i] = why;
    }
}

static int load_unknowns(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM unknown" RANGE "nr");
    while (query_row(&l->q)) {
        struct history_step *s = step_of_row(l, &at);

        if (s)
            place_unknown(&l->q, s);
    }
    return query_close(&l->q);
}

/* The region with this number in the step: regions were added in the order of nr, from 0. */
static struct obs_region *region_of_row(struct loader *l, size_t *at)
{
    struct history_step *s = step_of_row(l, at);
    int64_t nr = query_int(&l->q, "nr");

    return s && nr >= 0 && (size_t)nr < s->obs.nregions ? &s->obs.regions[nr] : NULL;
}

static int load_page_runs(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM page_run" RANGE "nr, first");
    while (query_row(&l->q)) {
        struct obs_region *r = region_of_row(l, &at);
        struct page_run run = {.first = (uint64_t)query_int(&l->q, "first"),
                               .count = (uint64_t)query_int(&l->q, "count"),
                               .frame = (uint64_t)query_int(&l->q, "frame")};
        const char *state = query_text(&l->q, "state");

        if (!r || !state)
            continue;
        run.state = (uint8_t)word_code(page_states, state);
        run.mapcount = query_null(&l->q, "mapcount") ? -1 : (int32_t)query_int(&l->q, "mapcount");
        run.huge = query_int(&l->q, "huge") != 0;
        run.inferred = query_int(&l->q, "inferred") != 0;
        if (obs_region_add_run(r, &run))
            return out_of_memory(l);
    }
    return query_close(&l->q);
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

static int load_objects(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM object" RANGE "nr, depth");
    while (query_row(&l->q)) {
        struct obs_region *r = region_of_row(l, &at);
        const char *kind = query_text(&l->q, "kind");
        struct obs_object *o;

        if (!r || !kind)
            continue;
        o = obs_region_add_object(r);
        kind = pooled(l->h, kind);
        if (!o || !kind)
            return out_of_memory(l);
        o->kind = kind;
        o->number = (uint64_t)query_int(&l->q, "number");
        o->depth = (int)query_int(&l->q, "depth");
        o->refs = read_value(&l->q, query_find(&l->q, "refs"), QT_COUNT);
        o->size = read_value(&l->q, query_find(&l->q, "size"), QT_PAGES);
        o->resident = read_value(&l->q, query_find(&l->q, "resident"), QT_PAGES);
        o->offset = read_value(&l->q, query_find(&l->q, "offset"), QT_PAGES);
    }
    return query_close(&l->q);
}

static int add_object_run(struct obs_object *o, struct query *q)
{
    struct page_run *added = LIST_ADD(o->runs, o->nruns);

    if (!added)
        return -ENOMEM;
    *added = (struct page_run){.first = (uint64_t)query_int(q, "first"),
                               .count = (uint64_t)query_int(q, "count"),
                               .frame = (uint64_t)query_int(q, "frame"),
                               .mapcount = -1};
    return 0;
}

static int load_object_runs(struct loader *l)
{
    size_t at = 0;

    begin(l, "SELECT * FROM object_run" RANGE "nr, depth, first");
    while (query_row(&l->q)) {
        struct obs_region *r = region_of_row(l, &at);
        int64_t depth = query_int(&l->q, "depth");

        for (size_t i = 0; r && i < r->nobjects; i++)
            if (r->objects[i].depth == depth && add_object_run(&r->objects[i], &l->q))
                return out_of_memory(l);
    }
    return query_close(&l->q);
}

int history_load(struct history *h, sqlite3 *db, const char *run_id, enum history_depth depth,
                 int from, int to, struct err *e)
{
    static int (*const parts[])(struct loader *) = {load_steps,   load_processes,  load_regions,
                                                    load_sharing, load_unknowns,   load_page_runs,
                                                    load_objects, load_object_runs};
    size_t n = depth == HISTORY_RUN ? 0 : depth == HISTORY_STEPS ? 5 : 8;
    struct loader l = {.h = h, .db = db, .e = e, .from = from, .to = to ? to : INT32_MAX};
    int rc;

    memset(h, 0, sizeof *h);
    rc = load_run(&l, run_id);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = parts[i](&l);
    if (rc)
        history_release(h);
    return rc;
}

void history_release(struct history *h)
{
    char *texts[] = {h->run_id, h->scenario, h->title,        h->question, h->backend,
                     h->kernel, h->status,   h->message,      h->twin,     h->no_twin,
                     h->params, h->machine,  h->capabilities, h->source};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < h->nsteps; i++) {
        struct history_step *s = &h->steps[i];

        free(s->phase);
        free(s->actor);
        free(s->action);
        free(s->case_name);
        free(s->region);
        free(s->published);
        observation_release(&s->obs);
    }
    free(h->steps);
    for (size_t i = 0; i < h->npool; i++)
        free(h->pool[i]);
    free(h->pool);
    memset(h, 0, sizeof *h);
}

const struct obs_region *history_before(const struct history *h, size_t i,
                                        const struct obs_region *r)
{
    while (i-- > 0) {
        const struct obs_region *b =
            observation_find_region(&h->steps[i].obs, r->observed, r->region, r->case_name);

        if (b)
            return b;
    }
    return NULL;
}

bool history_changed(const struct history *h, size_t i, const struct obs_region *r)
{
    const struct obs_region *before = history_before(h, i, r);

    if (!before)
        return true;
    for (int q = 0; q < RQ__COUNT; q++)
        if (before->q[q].why != r->q[q].why ||
            (value_is_known(r->q[q]) && before->q[q].n != r->q[q].n))
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool history_concerns(const struct history_step *s, const struct obs_region *r)
{
    return s->actor && s->region && same_text(s->actor, r->observed) &&
           same_text(s->region, r->region) && same_text(s->case_name, r->case_name);
}
