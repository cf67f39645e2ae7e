#include "reports/write/query.h"

#include "db/embedded.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int query_fail(struct query *q, int code, const char *what)
{
    if (q->rc == 0)
        q->rc = err_set(q->err, code, "cannot read the report's data: %s", what);
    return q->rc;
}

static const char *embedded(const char *path)
{
    for (const struct embedded_text *t = embedded_sql; t->path; t++)
        if (strcmp(t->path, path) == 0)
            return t->text;
    return NULL;
}

int query_open(struct query *q, sqlite3 *db, const char *sql, struct err *e)
{
    const char *text = strncmp(sql, "db/", 3) == 0 ? embedded(sql) : sql;

    *q = (struct query){.err = e};
    if (!text)
        return query_fail(q, ENOENT, sql);
    if (sqlite3_prepare_v2(db, text, -1, &q->stmt, NULL) != SQLITE_OK)
        return query_fail(q, EIO, sqlite3_errmsg(db));
    return 0;
}

static int parameter(struct query *q, const char *name)
{
    int i = q->rc ? 0 : sqlite3_bind_parameter_index(q->stmt, name);

    if (i == 0)
        query_fail(q, EINVAL, name);
    return i;
}

void query_bind(struct query *q, const char *name, const char *text)
{
    int i = parameter(q, name);

    if (i && sqlite3_bind_text(q->stmt, i, text, -1, SQLITE_TRANSIENT) != SQLITE_OK)
        query_fail(q, ENOMEM, name);
}

int query_ask(struct query *q, sqlite3 *db, const char *sql, const char *name, const char *text,
              struct err *e)
{
    int rc = query_open(q, db, sql, e);

    if (rc == 0 && name)
        query_bind(q, name, text);
    return rc;
}

void query_bind_int(struct query *q, const char *name, int64_t n)
{
    int i = parameter(q, name);

    if (i && sqlite3_bind_int64(q->stmt, i, n) != SQLITE_OK)
        query_fail(q, ENOMEM, name);
}

static void forget_names(struct query *q)
{
    free(q->names);
    q->names = NULL;
}

bool query_row(struct query *q)
{
    int rc;

    if (q->rc)
        return false;
    if (!sqlite3_stmt_busy(q->stmt))
        forget_names(q); /* beginning it may prepare it anew */
    rc = sqlite3_step(q->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        query_fail(q, rc == SQLITE_BUSY ? EBUSY : EIO, sqlite3_errmsg(sqlite3_db_handle(q->stmt)));
    return rc == SQLITE_ROW;
}

int query_close(struct query *q)
{
    forget_names(q);
    sqlite3_finalize(q->stmt);
    q->stmt = NULL;
    return q->rc;
}

int query_no_memory(struct query *q)
{
    if (q->rc == 0)
        q->rc = err_no_memory(q->err);
    return q->rc;
}

void query_reset(struct query *q)
{
    if (q->stmt)
        sqlite3_reset(q->stmt);
}

int query_columns(const struct query *q)
{
    return q->stmt ? sqlite3_column_count(q->stmt) : 0;
}

/* SQLite's names, asked for once: it makes each anew. NULL without memory. */
static const char *const *names(struct query *q)
{
    int n = query_columns(q);

    if (q->names)
        return q->names;
    q->names = calloc((size_t)n + 1, sizeof *q->names);
    for (int i = 0; i < n && q->names; i++)
        if (!(q->names[i] = sqlite3_column_name(q->stmt, i)))
            forget_names(q);
    if (!q->names)
        query_no_memory(q);
    return q->names;
}

const char *query_column_name(struct query *q, int column)
{
    return names(q) ? q->names[column] : NULL;
}

/* Columns are mostly asked for in their order: the one behind the last is looked at first. */
int query_find(struct query *q, const char *column)
{
    int n = query_columns(q);

    for (int i = 0, at = q->next; i < n && names(q); i++, at++) {
        at = at < n ? at : 0;
        if (strcmp(q->names[at], column) == 0) {
            q->next = at + 1;
            return at;
        }
    }
    return -1;
}

static int column_of(struct query *q, const char *column)
{
    int i = q->rc ? -1 : query_find(q, column);

    if (i < 0)
        query_fail(q, EINVAL, column);
    return i;
}

bool query_null(struct query *q, const char *column)
{
    int i = column_of(q, column);

    return i < 0 || sqlite3_column_type(q->stmt, i) == SQLITE_NULL;
}

const char *query_text(struct query *q, const char *column)
{
    int i = column_of(q, column);

    return i < 0 ? NULL : (const char *)sqlite3_column_text(q->stmt, i);
}

char *query_copy(struct query *q, const char *column)
{
    const char *text = query_text(q, column);
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        query_no_memory(q);
    return copy;
}

int64_t query_int(struct query *q, const char *column)
{
    int i = column_of(q, column);

    return i < 0 ? 0 : sqlite3_column_int64(q->stmt, i);
}

double query_number(struct query *q, const char *column)
{
    int i = column_of(q, column);

    return i < 0 || sqlite3_column_type(q->stmt, i) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(q->stmt, i);
}

/* Is column one of the names in a list with commas? */
static bool listed(const char *list, const char *column)
{
    size_t n = strlen(column);

    for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        while (*p == ' ')
            p++;
        if (strncmp(p, column, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

static bool named_in(struct query *q, const char *list, const char *column)
{
    const char *keys = query_find(q, list) < 0 ? NULL : query_text(q, list);

    return keys && listed(keys, column);
}

bool query_unknown(struct query *q, const char *column)
{
    return query_null(q, column) && named_in(q, "unknown_keys", column);
}

bool query_inferred(struct query *q, const char *column)
{
    return named_in(q, "inferred_keys", column);
}

bool query_at_least(struct query *q, const char *column)
{
    return named_in(q, "at_least_keys", column);
}

char *query_expanded(const struct query *q)
{
    return q->stmt ? sqlite3_expanded_sql(q->stmt) : NULL;
}

int query_cut_short(sqlite3 *db, const char *run_id, char **ended, struct err *e)
{
    struct query q;
    char list[64];

    snprintf(list, sizeof list, "[\"%s\"]", run_id);
    query_ask(&q, db, "db/report/cut-short.sql", ":runs", list, e);
    *ended = query_row(&q) ? query_copy(&q, "ended") : NULL;
    return query_close(&q);
}

int query_view_again(sqlite3 *db, const char *name, struct err *e)
{
    struct query q;
    char *sql = NULL;
    int rc;

    query_ask(&q, db,
              "SELECT substr(sql, length('CREATE VIEW ')) AS text FROM main.sqlite_schema WHERE "
              "type = 'view' AND name = :name",
              ":name", name, e);
    if (query_row(&q) && !(sql = sqlite3_mprintf("CREATE TEMP VIEW%s", query_text(&q, "text"))))
        query_no_memory(&q);
    rc = query_close(&q);
    if (rc == 0 && sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        rc = err_set(e, EIO, "cannot read view %s: %s", name, sqlite3_errmsg(db));
    sqlite3_free(sql);
    return rc;
}
