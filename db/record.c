/* record: writes one step, whole or not at all.
 *
 * The statements' column lists expand from the quantity lists of probes/words.h, so that a
 * quantity has one row in the program; the schema's columns are compared with them by a test.
 * A value becomes a number (or its word), or NULL; if it is unknown, a row in `unknown` says
 * why, and if it was concluded its name goes into the row's `inferred`. */
#include "db/filter.h"
#include "db/run.h"
#include "db/sql.h"
#include "db/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMN(e, column, type) ", " #column

/* Statements that write a step: prepared once, by every step. X(ENUM, the table and the columns of
 * the row that it inserts; without a table: its text) */
#define STATEMENTS(X)                                                                              \
    X(ST_BEGIN, NULL, "BEGIN IMMEDIATE")                                                           \
    X(ST_COMMIT, NULL, "COMMIT")                                                                   \
    X(ST_STEP, "step",                                                                             \
      "run, step, phase, actor, action, case_name, region, published, answer, start_ns, dur_ns, "  \
      "t_ns, system_source, inferred, processes, sum_rss_kb, sum_pss_kb, sum_uss_kb, "             \
      "sum_pagetable_kb" TOTAL_QUANTITIES(COLUMN))                                                 \
    X(ST_PROCESS, "process",                                                                       \
      "run, step, nr, actor, pid, acting, inferred" PROCESS_QUANTITIES(COLUMN))                    \
    X(ST_REGION, "region",                                                                         \
      "run, step, nr, observed, region, case_name, range_start, range_end, entry_start, "          \
      "entry_end, needs_copy, runs_cut, inferred" REGION_QUANTITIES(COLUMN))                       \
    X(ST_PAGE_RUN, "page_run",                                                                     \
      "run, step, nr, first, count, state, frame, mapcount, huge, inferred")                       \
    X(ST_OBJECT, "object",                                                                         \
      "run, step, nr, depth, number, kind, inferred, refs, size, resident, offset")                \
    X(ST_OBJECT_RUN, "object_run", "run, step, nr, depth, first, count, frame")                    \
    X(ST_SHARING, "shared_frames",                                                                 \
      "run, step, nr, actor_a, actor_b, inferred, region_frames, frames")                          \
    X(ST_TRANSFER, "transfer",                                                                     \
      "run, step, nr, sender, receiver, region, case_name, descriptor, kind, asked, received, "    \
      "done, deallocate, size, why")                                                               \
    X(ST_MESSAGE, "message", "run, step, actor, id, size, text, descriptors, reply_sent")          \
    X(ST_HANDOVER, "handover",                                                                     \
      "run, step, part, way, sender, receiver, region, case_name, bytes, used, acted")             \
    X(ST_LATENCY, "latency",                                                                       \
      "run, step, part, since, actor, n, max_ns, gap_ns, cost_ns, empty_ns")                       \
    X(ST_LATENCY_BUCKET, "latency_bucket", "run, step, part, since, low_ns, high_ns, count")       \
    X(ST_SNAPSHOT, "snapshot",                                                                     \
      "run, step, actor, region, case_name, way, how, pages, rate, cpus, still_ns, take_ns, "      \
      "readout_ns, torn_pages, inferred, copied_pages, before_kb, peak_kb")                        \
    X(ST_EXPECTATION, "expectation",                                                               \
      "run, step, nr, observed, key, expected, measured, result, reason, line")                    \
    X(ST_UNKNOWN, "unknown", "run, step, nr, observed, region, case_name, quantity, why")          \
    X(ST_CHECK, "cross_check",                                                                     \
      "run, step, nr, name, observed, region, case_name, tolerance, verdict, detail, left_value, " \
      "right_value")                                                                               \
    X(ST_COST, "cost", "run, step, nr, probe, dur_ns, calls, bytes, faults_induced")               \
    X(ST_CAME, "watch_process",                                                                    \
      "run, first_step, actor, pid, start_ticks, parent, name, command, own_program")              \
    X(ST_NAMED, NULL,                                                                              \
      "UPDATE watch_process SET name = ?4, command = ?5, own_program = ifnull(own_program, ?6) "   \
      "WHERE run = ?1 AND actor = ?3 AND ?2")                                                      \
    X(ST_GONE, NULL, "UPDATE watch_process SET last_step = ?2 - 1 WHERE run = ?1 AND actor = ?3")  \
    X(ST_EVENT, "watch_event", "run, step, nr, actor, kind, value, text")                          \
    X(ST_WATCH_SAMPLE, "watch_sample",                                                             \
      "run, step, dur_ns, thp, inferred, regions_waiting, growth_kb, copied_kb, anon_huge_kb, "    \
      "cgroup_kb, cgroup_high, cgroup_max, cgroup_oom, cgroup_oom_kill")                           \
    X(ST_WATCH_REGION, "watch_region",                                                             \
      "run, step, nr, kind, part, gone, bins, parent_pages, copied, lost")

#define STATEMENT_ENUM(e, table, columns) e,
enum statement { STATEMENTS(STATEMENT_ENUM) ST__COUNT };
_Static_assert(ST__COUNT <= STORE_STATEMENTS, "room in struct store");

#define STATEMENT_ROW(e, table, columns) {table, columns},
static const struct {
    const char *table, *columns;
} statements[] = {STATEMENTS(STATEMENT_ROW)};

/* One step being written. rc: the first failure of SQLite; everything after it does nothing. */
struct writer {
    struct store *s;
    int64_t run;
    int step;
    int rc;
    size_t unknowns;           /* rows of `unknown` so far */
    struct store_watch *watch; /* or NULL: everything is stored */
    int64_t page_size;         /* bytes; only known while watching */
    sqlite3_stmt *st;          /* the row being filled */
    int column;                /* parameter bound last */
    char inferred[512];
};

/* -- one row ---------------------------------------------------------------------------- */

static void failed(struct writer *w, int rc)
{
    if (w->rc == SQLITE_OK && rc != SQLITE_OK)
        w->rc = rc;
}

/* What a column gets; text NULL becomes NULL, and outlives the statement's step. */
struct cell {
    enum { CELL_NULL, CELL_INT, CELL_TEXT } what;
    int64_t n;
    const char *text;
};

static struct cell num(int64_t n)
{
    return (struct cell){CELL_INT, n, NULL};
}

static struct cell num_if(bool there, int64_t n)
{
    return (struct cell){there ? CELL_INT : CELL_NULL, n, NULL};
}

static struct cell known(struct value v)
{
    return num_if(v.why == WHY_KNOWN, v.n);
}

static struct cell text(const char *t)
{
    return (struct cell){CELL_TEXT, 0, t};
}

/* A code without a row in its list fails the step. */
static struct cell word(struct writer *w, const struct word *list, int code)
{
    if (!word_text(list, code))
        failed(w, SQLITE_MISMATCH);
    return text(word_text(list, code));
}

static void put(struct writer *w, const struct cell *c, size_t n)
{
    for (; n-- && w->rc == SQLITE_OK; c++) {
        w->column++;
        failed(w, c->what == CELL_INT    ? sqlite3_bind_int64(w->st, w->column, c->n)
                  : c->what == CELL_TEXT ? sql_bind(w->st, w->column, c->text)
                                         : sqlite3_bind_null(w->st, w->column));
    }
}

#define CELLS(...)                                                                                 \
    (const struct cell[]){__VA_ARGS__}, sizeof(struct cell[]){__VA_ARGS__} / sizeof(struct cell)
#define PUT(w, ...) put(w, CELLS(__VA_ARGS__))

/* A parameter per column. sqlite3_free() it; NULL: out of memory. */
static char *statement_text(enum statement which)
{
    const char *columns = statements[which].columns;
    sqlite3_str *sql;

    if (!statements[which].table)
        return sqlite3_mprintf("%s", columns);
    sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "INSERT INTO %s (%s) VALUES (?", statements[which].table, columns);
    while ((columns = strchr(columns, ',')) != NULL) {
        sqlite3_str_appendall(sql, ", ?");
        columns++;
    }
    sqlite3_str_appendall(sql, ")");
    return sqlite3_str_finish(sql);
}

static sqlite3_stmt *statement(struct writer *w, enum statement which)
{
    if (w->rc == SQLITE_OK && !w->s->st[which]) {
        char *sql = statement_text(which);

        failed(w, sql ? sqlite3_prepare_v3(w->s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                           &w->s->st[which], NULL)
                      : SQLITE_NOMEM);
        sqlite3_free(sql);
    }
    return w->s->st[which];
}

static void row_begin(struct writer *w, enum statement which)
{
    w->st = statement(w, which);
    w->column = 0;
    PUT(w, num(w->run), num(w->step));
}

static void row_end(struct writer *w)
{
    int rc;

    if (w->rc != SQLITE_OK)
        return;
    rc = sqlite3_step(w->st);
    if (rc != SQLITE_DONE)
        failed(w, rc ? rc : SQLITE_INTERNAL);
    failed(w, sqlite3_reset(w->st));
}

static void put_row(struct writer *w, enum statement which, const struct cell *c, size_t n)
{
    row_begin(w, which);
    put(w, c, n);
    row_end(w);
}

#define ROW(w, which, ...) put_row(w, which, CELLS(__VA_ARGS__))

/* -- values ----------------------------------------------------------------------------- */

/* Which row a value stands in, for `unknown`. */
struct whose {
    const char *observed, *region, *case_name;
};
static const struct whose the_step; /* its totals, costs and sample: all NULL */

/* What the filter said. */
static bool wanted(struct writer *w, int answer)
{
    if (answer < 0)
        failed(w, SQLITE_NOMEM);
    return answer > 0;
}

static void note_unknown(struct writer *w, const struct whose *of, const char *quantity,
                         struct value v)
{
    if (v.why == WHY_KNOWN || v.why == WHY_NOT_APPLICABLE)
        return;
    if (w->watch && !wanted(w, filter_unknown(w->watch, of->observed, of->region, of->case_name,
                                              quantity, v.why)))
        return;
    ROW(w, ST_UNKNOWN, num((int64_t)w->unknowns), text(of->observed), text(of->region),
        text(of->case_name), text(quantity), num(v.why));
    w->unknowns++;
}

static void note_unknowns(struct writer *w, const struct whose *of, const struct quantity *list,
                          const struct value *q)
{
    for (int i = 0; list[i].column; i++)
        note_unknown(w, of, list[i].column, q[i]);
}

/* The names of concluded values, separated by spaces; NULL if there is none. */
static const char *inferred_names(struct writer *w, const struct quantity *list,
                                  const struct value *q)
{
    size_t n = 0;

    for (int i = 0; list[i].column; i++)
        if (q[i].why == WHY_KNOWN && q[i].inferred)
            n += (size_t)snprintf(w->inferred + n, sizeof w->inferred - n, "%s%s", n ? " " : "",
                                  list[i].column);
    return n ? w->inferred : NULL;
}

static struct cell quantity_cell(struct writer *w, enum quantity_type type, struct value v)
{
    static const char *const protections[] = {"---", "r--", "-w-", "rw-",
                                              "--x", "r-x", "-wx", "rwx"};

    if (v.why == WHY_KNOWN && type == QT_PROTECTION)
        return text(protections[v.n & 7]);
    if (v.why == WHY_KNOWN && quantity_words(type))
        return word(w, quantity_words(type), (int)v.n);
    return known(v);
}

/* The last columns of a row. */
static void end_with(struct writer *w, const struct quantity *list, const struct value *q)
{
    for (int i = 0; list[i].column; i++)
        PUT(w, quantity_cell(w, list[i].type, q[i]));
    row_end(w);
}

/* -- the rows of a step ----------------------------------------------------------------- */

/* Over all processes, for a watch: its rows do not tell, since unchanged ones are left out. */
static struct cell sum_of(const struct writer *w, const struct observation *o,
                          enum process_quantity q)
{
    struct value sum = value_known(0);

    for (size_t i = 0; i < o->nprocesses; i++)
        sum = value_add(sum, o->processes[i].q[q]);
    return num_if(w->watch && value_is_known(sum), sum.n);
}

static void write_step(struct writer *w, const struct step_record *r)
{
    row_begin(w, ST_STEP);
    PUT(w, text(r->phase), text(r->actor), text(r->action), text(r->case_name), text(r->region),
        text(r->published), text(r->answer), num(r->start_ns), num(r->dur_ns), num(r->obs->t_ns),
        text(r->obs->system_source), text(inferred_names(w, total_quantities, r->obs->totals)),
        num_if(w->watch, r->obs->nprocesses), sum_of(w, r->obs, PQ_RSS), sum_of(w, r->obs, PQ_PSS),
        sum_of(w, r->obs, PQ_USS), sum_of(w, r->obs, PQ_PAGETABLE));
    end_with(w, total_quantities, r->obs->totals);
    note_unknowns(w, &the_step, total_quantities, r->obs->totals);
}

static void put_process(struct writer *w, size_t nr, const struct obs_process *p)
{
    row_begin(w, ST_PROCESS);
    PUT(w, num(nr), text(p->actor), num_if(p->pid > 0, p->pid), num(p->acting),
        text(inferred_names(w, process_quantities, p->q)));
    end_with(w, process_quantities, p->q);
}

static void write_process(struct writer *w, size_t nr, const struct obs_process *p)
{
    struct whose of = {p->actor, NULL, NULL};

    put_process(w, nr, p);
    note_unknowns(w, &of, process_quantities, p->q);
}

static void write_page_run(struct writer *w, size_t nr, const struct page_run *p)
{
    ROW(w, ST_PAGE_RUN, num(nr), num(p->first), num(p->count), word(w, page_states, p->state),
        num_if(p->frame != 0, p->frame), num_if(p->mapcount >= 0, p->mapcount), num(p->huge),
        num(p->inferred));
}

static void write_object(struct writer *w, size_t nr, const struct obs_object *o,
                         const struct whose *of)
{
    static const struct quantity list[] = {{"object refs", QT_COUNT},
                                           {"object size", QT_PAGES},
                                           {"object resident", QT_PAGES},
                                           {"object offset", QT_PAGES},
                                           {NULL, 0}};
    const struct value q[] = {o->refs, o->size, o->resident, o->offset};

    row_begin(w, ST_OBJECT);
    PUT(w, num(nr), num(o->depth), num(o->number), text(o->kind), text(inferred_names(w, list, q)));
    end_with(w, list, q);
    note_unknowns(w, of, list, q);
    for (size_t i = 0; i < o->nruns; i++) {
        ROW(w, ST_OBJECT_RUN, num(nr), num(o->depth), num(o->runs[i].first), num(o->runs[i].count),
            num_if(o->runs[i].frame != 0, o->runs[i].frame));
    }
}

static void write_region(struct writer *w, size_t nr, const struct obs_region *r)
{
    struct whose of = {r->observed, r->region, r->case_name};

    row_begin(w, ST_REGION);
    PUT(w, num(nr), text(r->observed), text(r->region), text(r->case_name),
        num_if(r->end != 0, r->start), num_if(r->end != 0, r->end),
        num_if(r->entry_end != 0, r->entry_start), num_if(r->entry_end != 0, r->entry_end),
        num_if(r->needs_copy >= 0, r->needs_copy), num(r->runs_cut),
        text(inferred_names(w, region_quantities, r->q)));
    end_with(w, region_quantities, r->q);
    note_unknowns(w, &of, region_quantities, r->q);
    for (size_t i = 0; i < r->nruns; i++)
        write_page_run(w, nr, &r->runs[i]);
    for (size_t i = 0; i < r->nobjects; i++)
        write_object(w, nr, &r->objects[i], &of);
}

static void write_sharing(struct writer *w, size_t nr, const struct obs_sharing *sh)
{
    static const struct quantity list[] = {
        {"region_frames", QT_COUNT}, {"frames", QT_COUNT}, {NULL, 0}};
    const struct value q[] = {sh->region_frames, sh->frames};
    char pair[256];
    struct whose of = {pair, NULL, NULL};

    snprintf(pair, sizeof pair, "%s&%s", sh->actor_a, sh->actor_b);
    row_begin(w, ST_SHARING);
    PUT(w, num(nr), text(sh->actor_a), text(sh->actor_b), text(inferred_names(w, list, q)));
    end_with(w, list, q);
    note_unknowns(w, &of, list, q);
}

static void write_check(struct writer *w, size_t nr, const struct obs_check *c)
{
    static const char *const verdicts[] = {NULL, "held", "differs", "not checked"};
    struct whose of = {c->observed, c->region, c->case_name};
    char name[96];

    ROW(w, ST_CHECK, num(nr), text(c->check), text(c->observed), text(c->region),
        text(c->case_name), num(c->tolerance),
        text(c->verdict >= CHECK_HELD && c->verdict <= CHECK_NOT_CHECKED ? verdicts[c->verdict]
                                                                         : NULL),
        text(c->detail), known(c->left), known(c->right));
    snprintf(name, sizeof name, "check %s left", c->check);
    note_unknown(w, &of, name, c->left);
    snprintf(name, sizeof name, "check %s right", c->check);
    note_unknown(w, &of, name, c->right);
}

static void write_cost(struct writer *w, size_t nr, const struct obs_cost *c)
{
    char name[96];

    ROW(w, ST_COST, num(nr), text(c->probe), num(c->dur_ns), num(c->calls), num(c->bytes),
        known(c->faults_induced));
    snprintf(name, sizeof name, "cost %s faults_induced", c->probe);
    note_unknown(w, &the_step, name, c->faults_induced);
}

static void write_transfer(struct writer *w, size_t nr, const struct store_transfer *t)
{
    ROW(w, ST_TRANSFER, num(nr), text(t->from), text(t->to), text(t->region), text(t->case_name),
        num(t->descriptor), text(t->kind), text(t->asked), text(t->received), text(t->done),
        num_if(t->deallocate >= 0, t->deallocate), num(t->size), text(t->why));
}

static void write_message(struct writer *w, const struct store_message *m)
{
    ROW(w, ST_MESSAGE, text(m->actor), num(m->id), num(m->size), text(m->text), num(m->descriptors),
        num_if(m->reply_sent >= 0, m->reply_sent));
}

static void write_handover(struct writer *w, const struct store_handover *h)
{
    ROW(w, ST_HANDOVER, text(h->taken ? "taken" : "given"), text(h->way), text(h->sender),
        text(h->receiver), text(h->region), text(h->case_name), num(h->bytes),
        num_if(h->taken, h->used), text(h->acted));
}

static void write_latency(struct writer *w, const char *actor, const struct store_latencies *all,
                          const struct store_latency *l)
{
    const struct histogram *h = &l->times;

    ROW(w, ST_LATENCY, text(l->part), text(l->since), text(actor), num((int64_t)h->n),
        num_if(h->n, (int64_t)h->max), known(l->gap_ns), num((int64_t)all->cost_ns),
        num((int64_t)all->empty_ns));
    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->count[i])
            ROW(w, ST_LATENCY_BUCKET, text(l->part), text(l->since), num((int64_t)histogram_low(i)),
                num((int64_t)(i == HISTOGRAM_BUCKETS - 1 ? h->max : histogram_high(i))),
                num((int64_t)h->count[i]));
}

static void write_snapshot(struct writer *w, const struct step_record *r)
{
    static const struct quantity list[] = {
        {"copied_pages", QT_PAGES}, {"before_kb", QT_KB}, {"peak_kb", QT_KB}, {NULL, 0}};
    const struct store_snapshot *s = r->snapshot;
    const struct value q[] = {s->copied_pages, s->before_kb, s->peak_kb};
    struct whose of = {r->actor, r->region, r->case_name};

    row_begin(w, ST_SNAPSHOT);
    PUT(w, text(r->actor), text(r->region), text(r->case_name), text(s->way), text(s->how),
        num(s->pages), num(s->rate), num(s->cpus), num(s->still_ns), num(s->take_ns),
        num(s->readout_ns), num(s->torn_pages), text(inferred_names(w, list, q)));
    end_with(w, list, q);
    note_unknowns(w, &of, list, q);
}

static void write_expectation(struct writer *w, size_t nr, const struct store_expectation *x)
{
    ROW(w, ST_EXPECTATION, num(nr), text(x->on), text(x->key), text(x->expected), text(x->measured),
        text(x->held < 0 ? "not checked"
             : x->held   ? "held"
                         : "failed"),
        text(x->reason), num_if(x->line > 0, x->line));
}

static void write_event(struct writer *w, size_t nr, const struct store_watch_event *x)
{
    ROW(w, ST_EVENT, num(nr), text(x->actor), text(x->kind),
        num_if(x->value, x->value ? *x->value : 0), text(x->text));
    if (strcmp(x->kind, "gone") == 0)
        ROW(w, ST_GONE, text(x->actor));
}

static void write_came(struct writer *w, size_t nr, const struct store_watch_process *p)
{
    /* With its command as it was then. */
    struct store_watch_event x = {.actor = p->actor, .kind = "came", .text = p->command};

    ROW(w, ST_CAME, text(p->actor), num(p->pid), num(p->start_ticks), text(p->parent),
        text(p->name), text(p->command), num_if(p->own_program >= 0, p->own_program));
    write_event(w, nr, &x);
}

static void write_watch_sample(struct writer *w, const struct store_watch_sample *s)
{
    static const struct quantity list[] = {
        {"growth_kb", QT_KB},     {"copied_kb", QT_KB},          {"anon_huge_kb", QT_KB},
        {"cgroup_kb", QT_KB},     {"cgroup_high", QT_COUNT},     {"cgroup_max", QT_COUNT},
        {"cgroup_oom", QT_COUNT}, {"cgroup_oom_kill", QT_COUNT}, {NULL, 0}};
    const struct value q[] = {s->growth_kb,   s->copied_kb,  s->anon_huge_kb, s->cgroup_kb,
                              s->cgroup_high, s->cgroup_max, s->cgroup_oom,   s->cgroup_oom_kill};

    row_begin(w, ST_WATCH_SAMPLE);
    PUT(w, num(s->dur_ns), text(s->thp), num(s->inferred), num(s->regions_waiting));
    end_with(w, list, q);
    note_unknowns(w, &the_step, list, q);
}

static void write_watch_region(struct writer *w, size_t nr, const struct store_watch_region *r)
{
    ROW(w, ST_WATCH_REGION, num(nr), word(w, region_kinds, (int)r->kind),
        text(word_label(region_kinds, (int)r->kind)), num(r->gone), text(r->bins),
        known(r->parent_pages), known(r->copied), known(r->lost));
}

/* A row of a sample before. Why it lacks a value was said when it first did. */
static void write_before(struct writer *w, const struct filter_row *before)
{
    int step = w->step;

    w->step = before->step;
    put_process(w, before->nr, &before->p);
    w->step = step;
}

static void write_processes(struct writer *w, const struct observation *o)
{
    struct filter_row before;

    for (size_t i = 0; i < o->nprocesses; i++) {
        struct obs_process p = o->processes[i];

        if (filter_before(w->watch, &p, &before))
            write_before(w, &before);
        if (wanted(w, filter_process(w->watch, w->step, i, &p)))
            write_process(w, i, &p);
    }
    while (filter_left(w->watch, w->step, &before))
        write_before(w, &before);
}

/* The sample's rows that moved. nr is the row's place among all, stored or not. */
static void write_moved(struct writer *w, const struct step_record *s)
{
    const struct observation *o = s->obs;

    write_processes(w, o);
    for (size_t i = 0; i < o->nregions; i++) {
        struct obs_region r = o->regions[i];

        r.nruns = r.nobjects = 0;
        if (s->regions || wanted(w, filter_region(w->watch, w->step, &r, w->page_size)))
            write_region(w, i, &r);
        if (s->regions)
            write_watch_region(w, i, &s->regions[i]);
    }
    for (size_t i = 0; i < o->nsharing; i++)
        if (wanted(w, filter_sharing(w->watch, w->step, &o->sharing[i], w->page_size)))
            write_sharing(w, i, &o->sharing[i]);
    for (size_t i = 0; i < o->nchecks; i++)
        if (o->checks[i].verdict == CHECK_DIFFERS)
            write_check(w, i, &o->checks[i]);
    for (size_t i = 0; i < o->ncosts; i++) {
        struct obs_cost c = o->costs[i];

        if (wanted(w, filter_cost(w->watch, w->step, &c)))
            write_cost(w, i, &c);
    }
}

static void write_sample(struct writer *w, const struct step_record *r)
{
    write_step(w, r);
    for (size_t i = 0; i < r->nnamed; i++) {
        const struct store_watch_process *p = &r->named[i];

        ROW(w, ST_NAMED, text(p->actor), text(p->name), text(p->command),
            num_if(p->own_program >= 0, p->own_program));
    }
    for (size_t i = 0; i < r->ncame; i++)
        write_came(w, r->nevents + i, &r->came[i]);
    for (size_t i = 0; i < r->nevents; i++)
        write_event(w, i, &r->events[i]);
    if (r->sample)
        write_watch_sample(w, r->sample);
    write_moved(w, r);
}

static void write_all(struct writer *w, const struct step_record *r)
{
    const struct observation *o = r->obs;

    write_step(w, r);
    for (size_t i = 0; i < o->nprocesses; i++)
        write_process(w, i, &o->processes[i]);
    for (size_t i = 0; i < o->nregions; i++)
        write_region(w, i, &o->regions[i]);
    for (size_t i = 0; i < o->nsharing; i++)
        write_sharing(w, i, &o->sharing[i]);
    for (size_t i = 0; i < o->nchecks; i++)
        write_check(w, i, &o->checks[i]);
    for (size_t i = 0; i < o->ncosts; i++)
        write_cost(w, i, &o->costs[i]);
    for (size_t i = 0; i < r->ntransfers; i++)
        write_transfer(w, i, &r->transfers[i]);
    if (r->message)
        write_message(w, r->message);
    if (r->handover)
        write_handover(w, r->handover);
    for (size_t i = 0; r->latencies && i < r->latencies->n; i++)
        write_latency(w, r->actor, r->latencies, &r->latencies->of[i]);
    if (r->snapshot)
        write_snapshot(w, r);
    for (size_t i = 0; i < r->nexpectations; i++)
        write_expectation(w, i, &r->expectations[i]);
}

int store_step(struct store *s, const char *run_id, const struct step_record *r, struct err *e)
{
    struct writer w = {.s = s,
                       .run = run_key(run_id),
                       .step = r->step,
                       .watch = r->watch,
                       .page_size = sysconf(_SC_PAGESIZE)};
    char what[40];
    int rc;

    w.st = statement(&w, ST_BEGIN);
    row_end(&w);
    if (w.rc == SQLITE_OK) {
        if (r->watch) {
            filter_all(r->watch, r->watch_last);
            write_sample(&w, r);
        } else
            write_all(&w, r);
        w.st = statement(&w, ST_COMMIT);
        row_end(&w);
    }
    if (w.rc == SQLITE_OK)
        return 0;
    /* The message is SQLite's last one: take it before the rollback replaces it. */
    snprintf(what, sizeof what, "cannot store step %d in", r->step);
    rc = sql_err(s, e, w.rc, what);
    sql_rollback(s);
    if (r->watch)
        filter_forget(r->watch);
    return rc;
}
