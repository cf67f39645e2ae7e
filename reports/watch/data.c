#include "reports/watch/data.h"

#include "probes/list.h"
#include "reports/write/query.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_SHOWN 48
#define COMM_MAX 15

#define FIGURE_COLUMN(e, column) #column,
static const char *const figure_columns[] = {WATCH_FIGURES(FIGURE_COLUMN)};
static const char *const process_columns[] = {WATCH_PROCESS_FIGURES(FIGURE_COLUMN)};

static double *unknowns(size_t n)
{
    double *a = malloc((n + 1) * sizeof *a);

    for (size_t i = 0; a && i < n; i++)
        a[i] = NAN;
    return a;
}

void watch_data_release(struct watch_data *w)
{
    free(w->title);
    free(w->step);
    free(w->t_s);
    free(w->x);
    free(w->copied_per_s);
    for (int i = 0; i < WF__COUNT; i++)
        free(w->figure[i]);
    for (size_t i = 0; i < w->nactors; i++) {
        struct watch_actor *a = &w->actors[i];
        void *own[] = {a->actor, a->name, a->parent, a->part, a->title, a->lost_why, a->told};

        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            free(own[k]);
        for (int k = 0; k < WP__COUNT; k++)
            free(a->figure[k]);
    }
    free(w->actors);
    *w = (struct watch_data){0};
}

static int reserve(struct watch_data *w, sqlite3 *db, struct err *e)
{
    (void)db;
    w->n = (size_t)w->samples < WATCH_POINTS ? (size_t)w->samples : WATCH_POINTS;
    w->step = calloc(w->n + 1, sizeof *w->step);
    w->t_s = unknowns(w->n);
    w->x = unknowns(w->n);
    w->copied_per_s = unknowns(w->n);
    for (int i = 0; i < WF__COUNT; i++)
        if (!(w->figure[i] = unknowns(w->n)))
            return err_no_memory(e);
    return w->step && w->t_s && w->x && w->copied_per_s ? 0 : err_no_memory(e);
}

/* Sample (from 0) of a point: evenly spread, the first and the last among them. */
static int sample_of(const struct watch_data *w, size_t point)
{
    return w->n < 2 ? 0 : (int)(point * (size_t)(w->samples - 1) / (w->n - 1));
}

/* Points in between lose nothing of what was copied: rates are over the whole interval. */
static int load_samples(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;
    size_t point = 0;
    double copied = 0;
    int64_t before_ns = 0;

    query_ask(&q, db, "SELECT * FROM watch_samples WHERE run_id = :run_id", ":run_id", w->run_id,
              e);
    for (int sample = 0; query_row(&q) && point < w->n; sample++) {
        double since;

        copied += query_null(&q, "copied_kb") ? 0 : query_number(&q, "copied_kb");
        if (sample != sample_of(w, point))
            continue;
        w->step[point] = (int)query_int(&q, "step");
        w->t_s[point] = query_number(&q, "t_s");
        for (int i = 0; i < WF__COUNT; i++)
            w->figure[i][point] = query_number(&q, figure_columns[i]);
        since = point ? (double)(query_int(&q, "t_ns") - before_ns) / 1e9 : 0;
        before_ns = query_int(&q, "t_ns");
        if (since > 0 && !query_null(&q, "copied_kb"))
            w->copied_per_s[point] = copied / since;
        copied = 0;
        point++;
    }
    w->n = point;
    return query_close(&q);
}

/* The kernel cuts a program's name to 15 bytes. */
static bool names(const char *name, const char *word, size_t n)
{
    size_t len = strlen(name);

    return (len == n || (len == COMM_MAX && n > len)) && strncmp(word, name, len) == 0;
}

/* Servers write what a process is for over its arguments: "puma: cluster worker 1", "nginx: worker
 * process". That is no command: it does not begin with the program that it runs. What a child only
 * has from its parent says nothing of it; its name does, which it may have given itself. */
static char *title_of(const char *command, const char *name, const char *parents, bool *bad)
{
    size_t word = command ? strcspn(command, " ") : 0;
    char *title;

    if (!word || !name || (parents && strcmp(command, parents) == 0))
        return NULL;
    if (command[word - 1] != ':' && (memchr(command, '/', word) || names(name, command, word)))
        return NULL;
    title = strndup(command, TITLE_SHOWN);
    *bad |= !title;
    return title;
}

static void add_actor(struct watch_data *w, struct query *q)
{
    struct watch_actor *a = LIST_ADD(w->actors, w->nactors);
    bool bad = false;

    if (!a) {
        query_no_memory(q);
        return;
    }
    *a = (struct watch_actor){.pid = query_int(q, "pid"),
                              .nr = query_int(q, "nr"),
                              .siblings = query_int(q, "siblings"),
                              .max_parent = query_number(q, "max_parent_kb"),
                              .lost = query_number(q, "lost_kb"),
                              .copied = query_number(q, "copied_kb"),
                              .lost_before = query_number(q, "lost_before_kb"),
                              .last_parent = query_number(q, "last_parent_kb"),
                              .own_program = query_int(q, "own_program"),
                              .own_before = query_int(q, "own_before"),
                              .executed = !query_null(q, "exec_step"),
                              .copied_part = !query_null(q, "copied_why"),
                              .paired = query_int(q, "paired"),
                              .first = (int)query_int(q, "first_step"),
                              .last = query_null(q, "last_step") ? INT_MAX
                                                                 : (int)query_int(q, "last_step"),
                              .actor = query_copy(q, "actor"),
                              .name = query_copy(q, "name"),
                              .parent = query_copy(q, "parent"),
                              .lost_why = query_copy(q, "lost_why"),
                              .told = calloc(w->n + 1, sizeof *a->told)};
    a->title = title_of(query_text(q, "command"), a->name, query_text(q, "parent_command"), &bad);
    w->parents += a->parent && a->nr == 1;
    w->parent_at_most |= query_int(q, "parent_at_most") > 0;
    w->risk_concluded |= query_int(q, "risk_concluded") > 0;
    w->debt_concluded |= query_inferred(q, "max_debt_kb");
    bad |= !a->told;
    for (int k = 0; k < WP__COUNT; k++) {
        a->figure[k] = unknowns(w->n);
        bad |= !a->figure[k];
    }
    if (bad)
        query_no_memory(q);
}

static int load_actors(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;

    query_ask(&q, db, "db/report/watch-costs.sql", ":run_id", w->run_id, e);
    while (query_row(&q))
        add_actor(w, &q);
    return query_close(&q);
}

static struct watch_actor *find_actor(struct watch_data *w, const char *name)
{
    for (size_t i = 0; name && i < w->nactors; i++)
        if (strcmp(w->actors[i].actor, name) == 0)
            return &w->actors[i];
    return NULL;
}

/* Rows between two points: the last one counts. A point without a row has what the one before had.
 */
static void carry_on(struct watch_data *w)
{
    for (size_t i = 0; i < w->nactors; i++) {
        struct watch_actor *a = &w->actors[i];

        for (size_t p = 1; p < w->n && w->step[p] <= a->last; p++)
            for (int k = 0; k < WP__COUNT && !a->told[p]; k++)
                a->figure[k][p] = a->figure[k][p - 1];
    }
}

static int load_processes(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;
    size_t point = 0;

    query_ask(&q, db,
              "SELECT step, actor, uss_kb, shared_parent_kb, exclusive_kb, debt_kb, at_risk_kb "
              "FROM run JOIN process USING (run) WHERE run_id = :run_id ORDER BY step",
              ":run_id", w->run_id, e);
    while (query_row(&q)) {
        struct watch_actor *a = find_actor(w, query_text(&q, "actor"));
        int step = (int)query_int(&q, "step");

        while (point < w->n && w->step[point] < step)
            point++;
        if (!a || point == w->n || w->step[point] > a->last)
            continue;
        a->told[point] = true;
        for (int k = 0; k < WP__COUNT; k++)
            a->figure[k][point] = query_number(&q, process_columns[k]);
    }
    carry_on(w);
    return query_close(&q);
}

/* The first row of a process is what it lost most of. */
static int load_parts(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;

    query_ask(&q, db, "db/report/watch-lost-parts.sql", ":run_id", w->run_id, e);
    while (query_row(&q)) {
        struct watch_actor *a = find_actor(w, query_text(&q, "actor"));

        if (!a)
            continue;
        if (!a->part) {
            a->part = query_copy(&q, "part");
            a->part_kb = query_number(&q, "lost_kb");
        }
    }
    return query_close(&q);
}

int watch_is(sqlite3 *db, const char *run_id, struct err *e)
{
    struct query q;
    bool watch;
    int rc;

    query_ask(&q, db, "SELECT scenario = 'watch' AS watch FROM run WHERE run_id = :run_id",
              ":run_id", run_id, e);
    watch = query_row(&q) && query_int(&q, "watch");
    rc = query_close(&q);
    return rc ? rc : watch;
}

static int load_run(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;

    query_ask(&q, db,
              "SELECT title, (SELECT count(*) FROM watch_samples WHERE run_id = :run_id) "
              "AS samples FROM run WHERE run_id = :run_id",
              ":run_id", w->run_id, e);
    if (query_row(&q)) {
        w->title = query_copy(&q, "title");
        w->samples = (int)query_int(&q, "samples");
    }
    return query_close(&q);
}

static int load_huge(struct watch_data *w, sqlite3 *db, struct err *e)
{
    struct query q;

    query_ask(&q, db, "db/report/watch-sums.sql", ":run_id", w->run_id, e);
    w->huge = query_row(&q) && query_int(&q, "huge");
    return query_close(&q);
}

/* So that an axis does not count tens of thousands of seconds. */
static void scale_time(struct watch_data *w)
{
    double all = w->n ? w->t_s[w->n - 1] : 0, unit = all > 5 * 3600 ? 3600 : all > 300 ? 60 : 1;

    w->x_name = unit > 60  ? "hours since the first sample"
                : unit > 1 ? "minutes since the first sample"
                           : "seconds since the first sample";
    for (size_t i = 0; i < w->n; i++)
        w->x[i] = w->t_s[i] / unit;
}

int watch_load(struct watch_data *w, sqlite3 *db, const char *run_id, struct err *e)
{
    static int (*const load[])(struct watch_data *, sqlite3 *, struct err *) = {
        load_run, reserve, load_samples, load_huge, load_actors, load_processes, load_parts};
    int rc = 0;

    *w = (struct watch_data){.run_id = run_id};
    for (size_t i = 0; i < sizeof load / sizeof *load && rc == 0; i++)
        rc = load[i](w, db, e);
    if (rc)
        watch_data_release(w);
    else
        scale_time(w);
    return rc;
}

double watch_headroom(const struct watch_data *w, size_t point)
{
    double machine = w->figure[WF_AVAILABLE][point];
    double group = w->figure[WF_LIMIT][point] - w->figure[WF_CGROUP][point];

    return isnan(group) ? machine : isnan(machine) ? group : fmin(machine, group);
}

double watch_used(const struct watch_data *w, size_t point)
{
    double frames = w->figure[WF_DISTINCT][point];

    return w->huge || isnan(frames) ? w->figure[WF_PSS][point] : frames;
}

size_t watch_worst_point(const struct watch_data *w)
{
    size_t worst = 0;
    double most = -1;

    for (size_t i = 0; i < w->n; i++) {
        double over = w->figure[WF_RSS][i] - watch_used(w, i);

        if (over > most) {
            most = over;
            worst = i;
        }
    }
    return worst;
}
