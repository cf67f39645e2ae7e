/* query: one prepared statement over the store, read by column name.
 *
 * Promises: values are bound, never pasted; a failure is in the caller's struct err and sticks:
 * after it query_row answers false, so a loop needs one check at its end.
 * Lifetime: query_open ... query_close; texts are valid until the next query_row. */
#pragma once

#include "probes/err.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct query {
    sqlite3_stmt *stmt;
    int rc; /* 0, or the first failure as a negative errno */
    struct err *err;
    const char **names; /* of the columns, once one was asked for; SQLite's */
    int next;           /* column behind the one found last */
};

/* sql: a one-line statement, or the path of an embedded one ("db/report/sharing.sql"). */
int query_open(struct query *q, sqlite3 *db, const char *sql, struct err *e);
/* The same with one text bound, the most common case; name NULL: none. */
int query_ask(struct query *q, sqlite3 *db, const char *sql, const char *name, const char *text,
              struct err *e);
void query_bind(struct query *q, const char *name, const char *text); /* NULL binds NULL */
void query_bind_int(struct query *q, const char *name, int64_t n);
/* The next row: true; false at the end or after a failure. */
bool query_row(struct query *q);
/* Finalizes; returns the query's outcome. */
int query_close(struct query *q);
/* Fails the query, unless it has failed; returns its outcome. */
int query_fail(struct query *q, int code, const char *what);
/* For want of memory; returns its outcome. */
int query_no_memory(struct query *q);
/* Begins again with the values that are bound. */
void query_reset(struct query *q);

int query_columns(const struct query *q);
const char *query_column_name(struct query *q, int column); /* NULL without memory */
/* Index of a column, or -1. */
int query_find(struct query *q, const char *column);
/* By name. A column that the query has not is a mistake of ours: reads as NULL and fails the query.
 */
bool query_null(struct query *q, const char *column);
const char *query_text(struct query *q, const char *column); /* NULL for NULL */
char *query_copy(struct query *q, const char *column);       /* the same, to free() */
int64_t query_int(struct query *q, const char *column);      /* 0 for NULL: ask query_null first */
double query_number(struct query *q, const char *column);    /* NAN for NULL */
/* Is this NULL an unknown value? The query's column unknown_keys names those (with commas); without
 * it, or not named there: the value does not apply. */
bool query_unknown(struct query *q, const char *column);
/* Was the value concluded, not measured? The same by the column inferred_keys. */
bool query_inferred(struct query *q, const char *column);
/* Is the value a sum with unknown parts? The same by the column at_least_keys. */
bool query_at_least(struct query *q, const char *column);
/* A temporary view of this name, of the text that the database has of it: it stands before that one
 * and reads tables and views that stand before others. To be dropped (temp.NAME). */
int query_view_again(sqlite3 *db, const char *name, struct err *e);
/* Of a run that did not come to its end, or has not yet: how far it came, to free(); else NULL. */
int query_cut_short(sqlite3 *db, const char *run_id, char **ended, struct err *e);
/* The statement as it ran, values filled in: what a reader can paste. sqlite3_free() it. */
char *query_expanded(const struct query *q);
