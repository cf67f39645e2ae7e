/* json: a run as one JSON document. Keys are the views' column names; an unknown value is null and
 * has an entry in "unknowns". Integers are written in full (a double would round large ones). */
#include "reports/run/json.h"

#include "probes/json.h"
#include "reports/report.h"
#include "reports/write/query.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which array each query fills. */
static const struct {
    const char *key, *sql;
} arrays[] = {
    {"processes", "SELECT * FROM footprint WHERE run_id = :run_id"},
    {"totals", "SELECT * FROM footprint_vs_system WHERE run_id = :run_id"},
    {"expectations", "SELECT * FROM expectations WHERE run_id = :run_id"},
    {"checks", "SELECT * FROM checks WHERE run_id = :run_id"},
    {"unknowns", "SELECT * FROM unknowns WHERE run_id = :run_id"},
    {"transfers", "SELECT * FROM transfers WHERE run_id = :run_id"},
    {"sharing", "SELECT * FROM sharing WHERE run_id = :run_id"},
};

/* Columns that hold JSON themselves: shown as what they hold. */
static bool holds_json(const char *column)
{
    return strcmp(column, "params") == 0 || strcmp(column, "machine") == 0 ||
           strcmp(column, "capabilities") == 0 || strcmp(column, "spec") == 0 ||
           strcmp(column, "runs") == 0;
}

static cJSON *item_of(struct query *q, int i)
{
    const char *text;
    char number[32];
    cJSON *item;

    switch (sqlite3_column_type(q->stmt, i)) {
    case SQLITE_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, (int64_t)sqlite3_column_int64(q->stmt, i));
        return cJSON_CreateRaw(number);
    case SQLITE_FLOAT:
        return cJSON_CreateNumber(sqlite3_column_double(q->stmt, i));
    case SQLITE_NULL:
        return cJSON_CreateNull();
    default:
        text = (const char *)sqlite3_column_text(q->stmt, i);
        if (!text)
            return NULL; /* an empty one is not NULL */
        /* A damaged database may hold anything there. */
        item = holds_json(query_column_name(q, i)) ? cJSON_Parse(text) : NULL;
        return item ? item : cJSON_CreateString(text);
    }
}

static cJSON *row_object(struct query *q)
{
    cJSON *row = cJSON_CreateObject();

    for (int i = 0; row && i < query_columns(q); i++) {
        cJSON *item = item_of(q, i);

        if (!item || !cJSON_AddItemToObject(row, query_column_name(q, i), item)) {
            cJSON_Delete(item);
            cJSON_Delete(row);
            row = NULL;
        }
    }
    if (!row)
        query_no_memory(q);
    return row;
}

static void append(struct query *q, cJSON *array, cJSON *item)
{
    if (item && !cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        query_no_memory(q);
    }
}

int json_rows(cJSON *doc, sqlite3 *db, const char *key, const char *sql, struct json_about of,
              struct err *e)
{
    struct query q;
    cJSON *array = cJSON_AddArrayToObject(doc, key);

    if (!array)
        return err_no_memory(e);
    query_ask(&q, db, sql, of.name, of.id, e);
    while (query_row(&q))
        append(&q, array, row_object(&q));
    return query_close(&q);
}

static int fill_object(cJSON *doc, sqlite3 *db, const char *key, const char *sql,
                       struct json_about of, struct err *e)
{
    struct query q;
    cJSON *row;

    query_ask(&q, db, sql, of.name, of.id, e);
    if (!query_row(&q)) {
        int rc = query_close(&q);

        return rc ? rc : err_set(e, ENOENT, "no %s '%s'", key, of.id);
    }
    row = row_object(&q);
    if (row && !cJSON_AddItemToObject(doc, key, row)) {
        cJSON_Delete(row);
        query_no_memory(&q);
    }
    return query_close(&q);
}

static int64_t number_of(const cJSON *step)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(step, "step");

    return n && cJSON_IsRaw(n) ? strtoll(n->valuestring, NULL, 10) : 0;
}

/* Rows come in the order of the steps. */
static int fill_timeline(cJSON *steps, sqlite3 *db, struct json_about of, struct err *e)
{
    cJSON *s = steps->child;
    struct query q;

    query_ask(&q, db, "SELECT * FROM timeline WHERE run_id = :run_id", of.name, of.id, e);
    while (query_row(&q)) {
        while (s && number_of(s) < query_int(&q, "step"))
            s = s->next;
        if (s && number_of(s) == query_int(&q, "step"))
            append(&q, cJSON_GetObjectItemCaseSensitive(s, "timeline"), row_object(&q));
    }
    return query_close(&q);
}

static int fill_steps(cJSON *doc, sqlite3 *db, struct json_about of, struct err *e)
{
    cJSON *steps, *s;
    int rc = json_rows(doc, db, "steps", "db/report/json-steps.sql", of, e);

    if (rc)
        return rc;
    steps = cJSON_GetObjectItemCaseSensitive(doc, "steps");
    cJSON_ArrayForEach (s, steps) {
        if (!cJSON_AddArrayToObject(s, "timeline"))
            return err_no_memory(e);
    }
    return fill_timeline(steps, db, of, e);
}

static int fill_run(cJSON *doc, sqlite3 *db, struct json_about of, struct err *e)
{
    int rc = fill_object(doc, db, "run", "SELECT * FROM runs WHERE run_id = :run_id", of, e);

    if (rc == 0)
        rc = fill_steps(doc, db, of, e);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && rc == 0; i++)
        rc = json_rows(doc, db, arrays[i].key, arrays[i].sql, of, e);
    return rc;
}

static int fill_series(cJSON *doc, sqlite3 *db, struct json_about of, struct err *e)
{
    int rc = fill_object(doc, db, "series", "db/report/series.sql", of, e);

    if (rc == 0)
        rc = json_rows(doc, db, "combinations", "db/report/series-combinations.sql", of, e);
    return rc ? rc : json_rows(doc, db, "runs", "db/report/series-runs.sql", of, e);
}

static int document(struct store *s,
                    int (*fill)(cJSON *, sqlite3 *, struct json_about, struct err *),
                    struct json_about of, FILE *out, struct err *e)
{
    sqlite3 *db = store_handle(s);
    cJSON *doc = cJSON_CreateObject();
    char *text;
    int rc = doc ? 0 : err_no_memory(e);

    /* One snapshot: the arrays of a run that goes on are of one moment. */
    if (rc == 0 && sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        rc = err_set(e, EBUSY, "cannot read the database: %s", sqlite3_errmsg(db));
    if (rc == 0) {
        rc = fill(doc, db, of, e);
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    if (rc) {
        cJSON_Delete(doc);
        return rc;
    }
    text = json_text(doc, false);
    if (!text)
        return err_no_memory(e);
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}

int report_json(struct store *s, const char *run_id, FILE *out, struct err *e)
{
    return document(s, fill_run, (struct json_about){":run_id", run_id}, out, e);
}

int report_series_json(struct store *s, const char *series_id, FILE *out, struct err *e)
{
    return document(s, fill_series, (struct json_about){":series", series_id}, out, e);
}
