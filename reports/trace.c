#include "reports/trace.h"

#include "probes/list.h"
#include "reports/escape.h"
#include "reports/write/query.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The trace's own process numbers: 1 is the run, actors follow. The kernel's are in the names, so
 * that a number that was used twice stays two. */
#define RUN_TRACK 1
#define TID 1

struct trace {
    FILE *out;
    sqlite3 *db;
    const char *run_id;
    char *status;
    struct err *e;
    int64_t t0, end; /* ns */
    bool comma;
    char **actors;
    size_t nactors;
};

/* -- JSON ------------------------------------------------------------------------------- */

static void string(struct trace *t, const char *text)
{
    fputc('"', t->out);
    for (const char *at = text ? text : ""; *at;) {
        uint32_t c = escape_next(&at);

        if (c == '"' || c == '\\')
            fprintf(t->out, "\\%c", (int)c);
        else if (c >= ' ' && c < 0x7f)
            fputc((int)c, t->out);
        else if (c < 0x10000)
            fprintf(t->out, "\\u%04x", c);
        else
            fprintf(t->out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    }
    fputc('"', t->out);
}

/* Nanoseconds as microseconds, exactly. */
static void us(struct trace *t, int64_t ns)
{
    fprintf(t->out, "%s%" PRId64 ".%03" PRId64, ns < 0 ? "-" : "", (ns < 0 ? -ns : ns) / 1000,
            (ns < 0 ? -ns : ns) % 1000);
}

static void begin(struct trace *t, const char *phase, size_t track, const char *name)
{
    fprintf(t->out, "%s\n{\"ph\":\"%s\",\"pid\":%zu,\"tid\":%d,\"name\":", t->comma ? "," : "",
            phase, track, TID);
    string(t, name);
    t->comma = true;
}

static void at(struct trace *t, int64_t ns)
{
    fprintf(t->out, ",\"ts\":");
    us(t, ns - t->t0);
}

/* Without its closing brace: arguments may follow. */
static void slice(struct trace *t, size_t track, const char *name, int64_t from, int64_t to)
{
    begin(t, "X", track, name);
    at(t, from);
    fprintf(t->out, ",\"dur\":");
    us(t, to > from ? to - from : 0);
}

static void argument(struct trace *t, const char *key, const char *value, bool *any)
{
    if (!value)
        return;
    fprintf(t->out, *any ? "," : ",\"args\":{");
    *any = true;
    string(t, key);
    fputc(':', t->out);
    string(t, value);
}

static void close_event(struct trace *t, bool any)
{
    fprintf(t->out, any ? "}}" : "}");
}

static void name_track(struct trace *t, size_t track, const char *name, int order)
{
    bool any = false;

    begin(t, "M", track, "process_name");
    argument(t, "name", name, &any);
    close_event(t, any);
    begin(t, "M", track, "process_sort_index");
    fprintf(t->out, ",\"args\":{\"sort_index\":%d}}", order);
}

/* -- the run's own track ---------------------------------------------------------------- */

struct step {
    int number;
    char *phase, *actor, *action, *case_name, *region;
    int64_t start, dur, look, look_dur, end;
};

static void steps_free(struct step *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].phase);
        free(list[i].actor);
        free(list[i].action);
        free(list[i].case_name);
        free(list[i].region);
    }
    free(list);
}

static int read_steps(struct trace *t, struct step **out, size_t *n)
{
    struct query q;

    query_ask(&q, t->db, "db/report/trace-steps.sql", ":run_id", t->run_id, t->e);
    while (query_row(&q)) {
        struct step *s = LIST_ADD(*out, *n);

        if (!s) {
            query_no_memory(&q);
            break;
        }
        *s = (struct step){.number = (int)query_int(&q, "step"),
                           .phase = query_copy(&q, "phase"),
                           .actor = query_copy(&q, "actor"),
                           .action = query_copy(&q, "action"),
                           .case_name = query_copy(&q, "case_name"),
                           .region = query_copy(&q, "region"),
                           .start = query_int(&q, "start_ns"),
                           .dur = query_int(&q, "dur_ns"),
                           .look = query_int(&q, "t_ns")};
        s->look_dur =
            query_null(&q, "sample_ns") ? query_int(&q, "cost_ns") : query_int(&q, "sample_ns");
    }
    return query_close(&q);
}

/* A step lasts until the next begins; what it holds is cut to that. */
static void bound_steps(struct trace *t, struct step *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct step *s = &list[i];
        int64_t end = s->start + s->dur;

        if (s->look + s->look_dur > end)
            end = s->look + s->look_dur;
        s->end = i + 1 < n && end > list[i + 1].start ? list[i + 1].start : end;
    }
    t->t0 = n ? list[0].start : 0;
    t->end = n ? list[n - 1].end : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void step_slices(struct trace *t, const struct step *s, bool watch)
{
    char name[160];
    bool any = false;

    if (watch)
        snprintf(name, sizeof name, "sample %d", s->number);
    else
        snprintf(name, sizeof name, "%d %s%s%s", s->number, s->actor ? s->actor : "",
                 s->actor ? " " : "", s->action ? s->action : "?");
    slice(t, RUN_TRACK, name, s->start, s->end);
    argument(t, "phase", s->phase, &any);
    argument(t, "region", s->region, &any);
    argument(t, "case", s->case_name, &any);
    close_event(t, any);
    if (watch)
        return;
    slice(t, RUN_TRACK, "action", s->start, least(s->start + s->dur, s->end));
    close_event(t, false);
    if (s->look >= s->start + s->dur && s->look < s->end) {
        slice(t, RUN_TRACK, "look", s->look, least(s->look + s->look_dur, s->end));
        close_event(t, false);
    }
}

/* Neighbouring steps of one phase are within one slice. */
static void run_slices(struct trace *t, const struct step *list, size_t n, const char *scenario)
{
    bool watch = strcmp(scenario, "watch") == 0;

    slice(t, RUN_TRACK, scenario, t->t0, t->end);
    close_event(t, false);
    for (size_t i = 0, last = 0; i < n; i++) {
        if (!watch && i == last) {
            while (last < n && strcmp(list[last].phase, list[i].phase) == 0)
                last++;
            slice(t, RUN_TRACK, list[i].phase, list[i].start, list[last - 1].end);
            close_event(t, false);
        }
        step_slices(t, &list[i], watch);
    }
}

/* -- actors ----------------------------------------------------------------------------- */

static size_t track_of(const struct trace *t, const char *actor)
{
    for (size_t i = 0; actor && i < t->nactors; i++)
        if (strcmp(t->actors[i], actor) == 0)
            return RUN_TRACK + 1 + i;
    return RUN_TRACK;
}

static void add_actor(struct trace *t, struct query *q)
{
    char **added = LIST_ADD(t->actors, t->nactors);
    char name[256];
    bool any = false;
    size_t track;
    int64_t last;

    if (!added || !(*added = query_copy(q, "actor"))) {
        query_no_memory(q);
        return;
    }
    track = RUN_TRACK + t->nactors;
    snprintf(name, sizeof name, "%.200s", *added);
    if (!strchr(name, '[') && !query_null(q, "pid"))
        snprintf(name + strlen(name), sizeof name - strlen(name), " [%" PRId64 "]",
                 query_int(q, "pid"));
    name_track(t, track, name, (int)track);
    last = query_null(q, "last_ns") ? query_int(q, "to_ns") : query_int(q, "last_ns");
    slice(t, track, "alive", query_int(q, "from_ns"), last);
    argument(t, "parent", query_text(q, "parent"), &any);
    argument(t, "command", query_text(q, "command"), &any);
    close_event(t, any);
}

static int actor_tracks(struct trace *t)
{
    struct query q;

    query_ask(&q, t->db, "db/report/trace-actors.sql", ":run_id", t->run_id, t->e);
    while (query_row(&q))
        add_actor(t, &q);
    return query_close(&q);
}

/* What an actor did, on its own track, within its life. */
static void actor_slices(struct trace *t, const struct step *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t track = track_of(t, list[i].actor);

        if (track == RUN_TRACK || !list[i].action)
            continue;
        slice(t, track, list[i].action, list[i].start,
              least(list[i].start + list[i].dur, list[i].end));
        close_event(t, false);
    }
}

static int events(struct trace *t)
{
    struct query q;

    query_ask(&q, t->db, "SELECT * FROM watch_events WHERE run_id = :run_id", ":run_id", t->run_id,
              t->e);
    while (query_row(&q)) {
        bool any = false;

        begin(t, "i", track_of(t, query_text(&q, "actor")), query_text(&q, "kind"));
        at(t, query_int(&q, "t_ns"));
        fprintf(t->out, ",\"s\":\"p\"");
        argument(t, "text", query_text(&q, "text"), &any);
        close_event(t, any);
    }
    return query_close(&q);
}

/* -- counters --------------------------------------------------------------------------- */

/* Columns from `from` on, one counter track each; a NULL leaves its track as it was: unknown is
 * not zero. */
static void counters(struct trace *t, struct query *q, size_t track, int from, const char *prefix)
{
    for (int i = from; i < query_columns(q); i++) {
        char name[300];

        if (sqlite3_column_type(q->stmt, i) == SQLITE_NULL)
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, query_column_name(q, i));
        begin(t, "C", track, name);
        at(t, query_int(q, "t_ns"));
        fprintf(t->out, ",\"args\":{\"value\":%" PRId64 "}}",
                (int64_t)sqlite3_column_int64(q->stmt, i));
    }
}

/* One counter with a value per page state: drawn stacked. */
static void states(struct trace *t, struct query *q)
{
    const char *case_name = query_text(q, "case_name");
    char name[300];
    bool any = false;

    snprintf(name, sizeof name, "%s%s%s pages", query_text(q, "region"), case_name ? "#" : "",
             case_name ? case_name : "");
    begin(t, "C", track_of(t, query_text(q, "observed")), name);
    at(t, query_int(q, "t_ns"));
    fprintf(t->out, ",\"args\":{");
    for (int i = query_find(q, "exclusive"); i < query_columns(q); i++) {
        if (sqlite3_column_type(q->stmt, i) == SQLITE_NULL)
            continue;
        fprintf(t->out, any ? "," : "");
        any = true;
        string(t, query_column_name(q, i));
        fprintf(t->out, ":%" PRId64, (int64_t)sqlite3_column_int64(q->stmt, i));
    }
    fprintf(t->out, "}}");
}

static int counter_tracks(struct trace *t, const char *sql)
{
    bool regions = strstr(sql, "regions") != NULL, processes = strstr(sql, "processes") != NULL;
    struct query q;

    query_ask(&q, t->db, sql, ":run_id", t->run_id, t->e);
    while (query_row(&q)) {
        if (regions)
            states(t, &q);
        else if (processes)
            counters(t, &q, track_of(t, query_text(&q, "actor")), 3, "");
        else
            counters(t, &q, RUN_TRACK, 2, "");
    }
    return query_close(&q);
}

static int write_trace(struct trace *t, const char *scenario)
{
    bool whole = strcmp(t->status, "complete") == 0;
    char name[64];
    struct step *list = NULL;
    size_t n = 0;
    int rc = read_steps(t, &list, &n);

    snprintf(name, sizeof name, "cowlab run%s%s%s",
             whole ? "" : " (cut short: ", whole ? "" : t->status, whole ? "" : ")");
    if (rc == 0) {
        bound_steps(t, list, n);
        fprintf(t->out,
                "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"run\":\"%s\","
                "\"status\":\"%s\"},\"traceEvents\":[",
                t->run_id, t->status);
        name_track(t, RUN_TRACK, name, 0);
        run_slices(t, list, n, scenario);
        rc = actor_tracks(t);
    }
    if (rc == 0) {
        actor_slices(t, list, n);
        rc = events(t);
    }
    steps_free(list, n);
    if (rc == 0)
        rc = counter_tracks(t, "db/report/trace-totals.sql");
    if (rc == 0)
        rc = counter_tracks(t, "db/report/trace-processes.sql");
    if (rc == 0)
        rc = counter_tracks(t, "db/report/trace-regions.sql");
    if (rc == 0) /* a part would pass as whole */
        fprintf(t->out, "\n]}\n");
    return rc;
}

int report_trace(struct store *s, const char *run_id, FILE *out, struct err *e)
{
    struct trace t = {.out = out, .db = store_handle(s), .run_id = run_id, .e = e};
    struct query q;
    char *scenario = NULL;
    int rc;

    if (sqlite3_exec(t.db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return err_set(e, EBUSY, "cannot read the database: %s", sqlite3_errmsg(t.db));
    query_ask(&q, t.db, "SELECT scenario, status FROM run WHERE run_id = :run_id", ":run_id",
              run_id, e);
    if (query_row(&q)) {
        scenario = query_copy(&q, "scenario");
        t.status = query_copy(&q, "status");
    }
    rc = query_close(&q);
    if (rc == 0 && !scenario)
        rc = err_set(e, ENOENT, "no run '%s' in the database", run_id);
    if (rc == 0)
        rc = write_trace(&t, scenario);
    sqlite3_exec(t.db, "COMMIT", NULL, NULL, NULL);
    for (size_t i = 0; i < t.nactors; i++)
        free(t.actors[i]);
    free(t.actors);
    free(scenario);
    free(t.status);
    return rc;
}
