/* markdown: the report as a document: which runs, and the order of its sections. */
#include "reports/report.h"

#include "probes/list.h"
#include "reports/escape.h"
#include "reports/run/pictures.h"
#include "reports/run/sections.h"
#include "reports/watch/sections.h"
#include "reports/write/anchors.h"
#include "reports/write/background.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void selection_release(struct selection *sel)
{
    for (size_t i = 0; i < sel->n; i++)
        free(sel->ids[i]);
    free(sel->ids);
    sqlite3_free(sel->json);
}

static int selection_add(struct selection *sel, const char *id, struct err *e)
{
    char **added = LIST_ADD(sel->ids, sel->n);

    return added && (*added = strdup(id)) ? 0 : err_no_memory(e);
}

/* The ids as a JSON array. They need no escaping: the schema allows digits, letters and dashes. */
static int selection_json(struct selection *sel, struct err *e)
{
    sqlite3_str *json = sqlite3_str_new(NULL);

    sqlite3_str_appendall(json, "[");
    for (size_t i = 0; i < sel->n; i++)
        sqlite3_str_appendf(json, "%s\"%s\"", i ? "," : "", sel->ids[i]);
    sqlite3_str_appendall(json, "]");
    sqlite3_free(sel->json);
    sel->json = sqlite3_str_finish(json);
    return sel->json ? 0 : err_no_memory(e);
}

/* Adds the runs that a query gives. */
static int selection_query(struct selection *sel, sqlite3 *db, const char *sql, const char *param,
                           const char *value, struct err *e)
{
    struct query q;
    int rc = 0, closed;

    query_ask(&q, db, sql, param, value, e);
    while (rc == 0 && query_row(&q))
        rc = selection_add(sel, query_text(&q, "run_id"), e);
    closed = query_close(&q);
    return rc ? rc : closed;
}

static bool selected(const struct selection *sel, const char *id)
{
    for (size_t i = 0; i < sel->n; i++)
        if (strcmp(sel->ids[i], id) == 0)
            return true;
    return false;
}

/* The runs in the order of the report: by scenario, backend, start; each once, and all that were
 * asked for. Without ids: the latest complete ones. */
static int selection_fill(struct selection *sel, sqlite3 *db, const char *const *ids, size_t n,
                          struct err *e)
{
    struct selection given = {.ids = (char **)(uintptr_t)ids, .n = n}; /* the caller's */
    int rc = selection_json(&given, e);

    if (rc == 0)
        rc = n ? selection_query(sel, db, "db/report/runs-given.sql", ":runs", given.json, e)
               : selection_query(sel, db, "db/report/runs-latest.sql", NULL, NULL, e);
    sqlite3_free(given.json);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!selected(sel, ids[i]))
            rc = err_set(e, ENOENT, "no run '%s' in the database", ids[i]);
    if (rc == 0 && sel->n == 0)
        rc = err_set(e, ENOENT, "no run in the database has anything to report on");
    return rc ? rc : selection_json(sel, e);
}

/* How many there are: of a report that was not asked for certain runs also beside the others. */
static void introduction_brief(struct doc *d, const struct selection *runs)
{
    struct query q;

    if (!doc_ask(d, &q,
                 "SELECT count(*) AS runs, coalesce(sum(failed > 0), 0) AS failed, "
                 "coalesce(sum(status <> 'complete'), 0) AS unfinished FROM runs "
                 "WHERE run_id NOT IN (SELECT value FROM json_each(:runs))",
                 ":runs", runs->json))
        return;
    doc_say(d, "# cowlab report\n\n%zu", runs->n);
    if (query_row(&q) && query_int(&q, "runs") > 0) {
        long long failed = query_int(&q, "failed"), unfinished = query_int(&q, "unfinished");

        doc_say(d, " of %lld runs in the database, the latest of each scenario and backend",
                (long long)runs->n + (long long)query_int(&q, "runs"));
        if (failed || unfinished)
            doc_say(d, " (of those left out %lld with failed expectations, %lld not complete)",
                    failed, unfinished);
        doc_say(d, "; ");
    } else {
        doc_say(d, " run%s; ", runs->n == 1 ? "" : "s");
    }
    doc_say(d,
            "`cowlab report RUN...` tells all that is stored of any, with the queries. What is "
            "told here was measured in %s or in a run that is named, or concluded (marked ~, or "
            "said beside it), or is said to be unknown.\n\n",
            runs->n == 1 ? "it" : "them");
    doc_fail(d, query_close(&q));
}

static void introduction(struct doc *d, const struct selection *runs)
{
    doc_say(
        d,
        "# cowlab report\n\n"
        "%zu run%s. Every result below was measured in %s or in a run that is named, or concluded "
        "from what was (marked ~, or said beside it), or is said to be unknown; the same "
        "database gives this report again, byte for byte. Behind each table is the query that made "
        "it.\n\n",
        runs->n, runs->n == 1 ? "" : "s", runs->n == 1 ? "it" : "them");
}

/* The heading of a scenario, above the first of its runs. */
static void scenario_heading(struct doc *d, const struct history *h, char **last)
{
    if (*last && strcmp(*last, h->scenario) == 0)
        return;
    free(*last);
    *last = strdup(h->scenario);
    doc_say(d, "## ");
    doc_text(d, h->scenario);
    if (h->title && strcmp(h->scenario, "watch") != 0) { /* there each run has its own */
        doc_say(d, ": ");
        doc_text(d, h->title);
    }
    doc_say(d, "\n\n");
    if (h->question) {
        doc_say(d, "**Question.** ");
        doc_text(d, h->question);
        doc_say(d, "\n\n");
    }
    if (h->twin) {
        doc_say(d, "Its counterpart is ");
        doc_text(d, h->twin);
        doc_say(d, ".\n\n");
    } else if (h->no_twin) {
        doc_say(d, "No counterpart: ");
        doc_text(d, h->no_twin);
        doc_say(d, "\n\n");
    }
    walk_here(d, h);
}

/* One run below its scenario's heading; w->run_id is NULL for what is not a watch. A watch has too
 * many steps to read them all. */
static void run_section(struct doc *d, const char *run_id, const struct watch_data *w, char **last)
{
    enum history_depth depth = w->run_id ? HISTORY_RUN : HISTORY_STEPS;
    struct history h;

    if (doc_fail(d, history_load(&h, d->db, run_id, depth, d->e)))
        return;
    scenario_heading(d, &h, last);
    if (h.nsteps)
        walk_run(d, &h);
    if (w->run_id)
        section_watch(d, w);
    else
        section_run(d, &h);
    history_release(&h);
}

static void runs_sections(struct doc *d, const struct selection *runs,
                          const struct watch_data *watches)
{
    char *last = NULL;

    for (size_t i = 0; i < runs->n && d->rc == 0; i++)
        run_section(d, runs->ids[i], &watches[i], &last);
    free(last);
}

static void findings(struct doc *d, const struct selection *runs, const struct watch_data *watches)
{
    doc_say(d, "## Findings\n\n");
    find_cut_short(d, runs);
    if (runs->scenarios)
        find_in_scenarios(d, runs);
    find_checks(d, runs);
    for (size_t i = 0; i < runs->n && d->rc == 0; i++)
        if (watches[i].run_id)
            find_watch(d, &watches[i]);
    find_unknown(d, runs);
    doc_say(d, "\n");
}

/* Views that are asked for many times and look at far more than their answers: worked out once, in
 * tables that stand before the views of their names while the report is made. */
static const struct {
    const char *view, *run_ids;
    bool watch; /* needed for watches, or for scenarios */
} kept[] = {{"watch_lost", "run_id", true},
            {"watch_costs", "run_id", true},
            {"fork_vs_ool", "fork_run_id, ool_run_id", false},
            {"fork_vs_ool_sums", "fork_run_id, ool_run_id", false}};

static int keep(const struct selection *sel, sqlite3 *db, bool watch, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < sizeof kept / sizeof *kept && rc == 0; i++) {
        char sql[256];
        struct query q;

        snprintf(sql, sizeof sql,
                 "CREATE TEMP TABLE %s AS SELECT * FROM main.%s WHERE EXISTS "
                 "(SELECT 1 FROM json_each(:runs) WHERE value IN (%s))",
                 kept[i].view, kept[i].view, kept[i].run_ids);
        if (kept[i].watch != watch)
            continue;
        if (query_ask(&q, db, sql, ":runs", sel->json, e) == 0)
            query_row(&q);
        rc = query_close(&q);
    }
    return rc;
}

static void drop_kept(sqlite3 *db)
{
    char sql[100];

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS temp.%s", kept[i].view);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
}

/* Reads the watches among the runs, once for findings and sections: an element per run. */
static int load_watches(struct selection *sel, struct watch_data **watches, sqlite3 *db,
                        struct err *e)
{
    int rc = 0;

    *watches = calloc(sel->n, sizeof **watches);
    if (!*watches)
        return err_no_memory(e);
    for (size_t i = 0; i < sel->n && rc == 0; i++) {
        int watch = watch_is(db, sel->ids[i], e);

        if (watch < 0)
            return watch;
        sel->scenarios += !watch;
        if (watch && sel->scenarios == i) /* the first of them */
            rc = keep(sel, db, true, e);
        if (rc == 0 && watch)
            rc = watch_load(&(*watches)[i], db, sel->ids[i], e);
    }
    return rc == 0 && sel->scenarios ? keep(sel, db, false, e) : rc;
}

/* All that is stored of the runs. What is published was measured in scenarios, and only they say it
 * again. */
static void write_whole(struct doc *d, const struct selection *runs,
                        const struct watch_data *watches)
{
    introduction(d, runs);
    section_series(d, runs);
    findings(d, runs, watches);
    runs_sections(d, runs, watches);
    if (runs->scenarios) {
        section_fork_vs_ool(d, runs);
        section_handover(d, runs);
        section_snapshots(d, runs);
        if (runs->n > 1)
            section_latency(d, runs);
        find_questions(d, runs);
        section_published(d);
    }
    section_unknown(d, runs);
    section_machine(d, runs);
    section_cost(d, runs);
    section_glossary(d, NULL);
    doc_queries(d);
}

/* A line of links to the sections; the last one is the glossary, which is not written yet. */
static void contents(struct doc *d)
{
    struct anchors a = {NULL, 0};
    bool memory = anchor_next(&a, "cowlab report") != NULL;

    for (size_t i = 0; i <= d->nsections && memory && d->rc == 0; i++) {
        const char *title = i < d->nsections ? d->sections[i] : "Words";
        const char *anchor = anchor_next(&a, title);

        memory = anchor != NULL;
        doc_say(d, "%s[", i ? " · " : "");
        doc_text(d, title);
        doc_say(d, "](#%s)", memory ? anchor : "");
    }
    if (!memory)
        doc_fail(d, err_no_memory(d->e));
    doc_say(d, "\n\n");
    anchors_release(&a);
}

/* The runs of one scenario: question, an answer of each, one picture. */
static void scenario_brief(struct doc *d, const struct history *runs, size_t n)
{
    doc_section(d, runs[0].scenario);
    doc_text(d, runs[0].title);
    if (runs[0].question) {
        doc_say(d, runs[0].title ? ". **" : "**");
        doc_text(d, runs[0].question);
        doc_say(d, "**");
    }
    if (runs[0].title || runs[0].question)
        doc_say(d, "\n");
    for (size_t i = 0; i < n; i++) {
        section_run_brief(d, &runs[i]);
        walk_run(d, &runs[i]);
    }
    doc_say(d, "\n");
    walk_here(d, &runs[0]);
    picture_pages(d, &runs[n - 1]);
    for (size_t i = 0; i < n && d->page; i++) {
        doc_say(d, "<details><summary>All of run ");
        escape_xml(d->out, runs[i].run_id);
        doc_say(d, "</summary>\n\n");
        section_run(d, &runs[i]);
        doc_say(d, "</details>\n\n");
    }
}

static void release_all(struct history *runs, size_t *n)
{
    while (*n)
        history_release(&runs[--*n]);
}

/* The runs that are no watches, scenario by scenario. */
static void scenarios_brief(struct doc *d, const struct selection *runs,
                            const struct watch_data *watches)
{
    struct history *group = NULL;
    size_t n = 0, i = 0;

    while (i < runs->n && d->rc == 0) {
        struct history *h = watches[i].run_id ? NULL : LIST_ADD(group, n);

        if (h && doc_fail(d, history_load(h, d->db, runs->ids[i], HISTORY_STEPS, d->e))) {
            n--;
            break;
        }
        i++;
        if (!h && !watches[i - 1].run_id)
            doc_fail(d, err_no_memory(d->e));
        if (n > 1 && strcmp(group[n - 1].scenario, group[0].scenario) != 0) {
            struct history next = group[--n];

            scenario_brief(d, group, n);
            release_all(group, &n);
            group[n++] = next;
        }
    }
    if (n)
        scenario_brief(d, group, n);
    release_all(group, &n);
    free(group);
}

static void watches_brief(struct doc *d, const struct selection *runs,
                          const struct watch_data *watches)
{
    for (size_t i = 0, n = 0; i < runs->n && d->rc == 0; i++) {
        if (!watches[i].run_id)
            continue;
        if (n++ == 0)
            doc_section(d, "watch");
        section_watch_brief(d, &watches[i]);
    }
}

/* The answers first, then what they rest on. */
static void sections_brief(struct doc *d, const struct selection *runs,
                           const struct watch_data *watches)
{
    find_cut_short(d, runs);
    watches_brief(d, runs, watches);
    section_series(d, runs);
    if (runs->scenarios) {
        doc_section(d, "Answers");
        find_questions(d, runs);
        find_pairs(d, runs);
        find_to_act_on(d, runs);
    }
    find_checks(d, runs);
    doc_say(d, "\n");
    scenarios_brief(d, runs, watches);
    if (runs->scenarios) {
        section_fork_vs_ool(d, runs);
        section_handover(d, runs);
        section_snapshots(d, runs);
        section_latency(d, runs);
        section_footprints(d, runs);
        section_published_brief(d);
    }
    section_unknown(d, runs);
    section_machine(d, runs);
}

/* A page about the runs, everything else by `cowlab report RUN`. The sections are kept until all
 * are there: the line of links above them and the glossary below are of what is in them. */
static void write_brief(struct doc *d, const struct selection *runs,
                        const struct watch_data *watches)
{
    FILE *out = d->out;
    char *text = NULL;
    size_t len = 0;
    bool bad;

    introduction_brief(d, runs);
    d->out = open_memstream(&text, &len);
    bad = !d->out;
    if (d->out) {
        sections_brief(d, runs, watches);
        bad = ferror(d->out);
        bad |= fclose(d->out) != 0;
    }
    d->out = out;
    if (bad)
        doc_fail(d, err_no_memory(d->e));
    contents(d);
    if (d->rc == 0)
        fwrite(text, 1, len, d->out);
    section_glossary(d, text);
    free(text);
}

int report_markdown(struct store *s, const char *const *run_ids, size_t nruns, const char *out_path,
                    struct err *e)
{
    struct selection runs = {0};
    struct watch_data *watches = NULL;
    struct doc d = {.rc = 0};
    sqlite3 *db = store_handle(s);
    int rc;

    /* One snapshot for all queries, whatever a run writes meanwhile. */
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return err_set(e, EBUSY, "cannot read the database: %s", sqlite3_errmsg(db));
    rc = selection_fill(&runs, db, run_ids, nruns, e);
    rc = rc ? rc : load_watches(&runs, &watches, db, e);
    if (rc == 0) {
        rc = doc_open(&d, s, out_path, e);
        d.brief = nruns == 0;
        if (rc == 0)
            (d.brief ? write_brief : write_whole)(&d, &runs, watches);
        rc = doc_close(&d);
    }
    drop_kept(db);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    for (size_t i = 0; watches && i < runs.n; i++)
        watch_data_release(&watches[i]);
    free(watches);
    selection_release(&runs);
    return rc;
}
