/* sql: the open file as the files of the store see it, one statement at a time, and SQLite's
 * failures in our words. Below all of them. */
#pragma once

#include "probes/err.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Room for the prepared statements of record.c. */
#define STORE_STATEMENTS 25

struct store {
    sqlite3 *db;
    char *path; /* as the user gave it: for messages */
    char *file; /* what that leads to: the log and its index lie beside it */
    bool writable;
    bool unchanging;         /* read without locks and log: nobody is writing */
    struct timespec changed; /* then: when the file was changed last */
    int reserve;             /* a file without a name that holds space on the same disk; -1: none */
    sqlite3_stmt *st[STORE_STATEMENTS]; /* NULL until first used */
};

/* What could not be done to it. */
#define CANNOT_OPEN "cannot open database"
#define CANNOT_READ "cannot read database"
#define CANNOT_UPDATE "cannot update database"
#define CANNOT_WRITE "cannot write database"

/* Writes "<what> '<path>': <reason>" for SQLite's result code rc and returns the negative
 * errno that fits it (see store.h). what: as above. */
int sql_err(struct store *s, struct err *e, int rc, const char *what);
/* Runs text of several statements that give no rows; f: of sqlite3_mprintf. */
int sql_exec(struct store *s, struct err *e, const char *sql, const char *what);
int sql_execf(struct store *s, struct err *e, const char *what, const char *format, ...);
/* sqlite3_bind_text of text that others may have chosen: what is stored is valid UTF-8, or
 * programs that read it fail. The text stays until the statement is stepped. */
int sql_bind(sqlite3_stmt *st, int column, const char *text);
/* First column of the first row of a one-line statement; 0 rows: leaves *out alone. */
int sql_int(struct store *s, struct err *e, const char *sql, int64_t *out, const char *what);
/* Of what was begun with BEGIN IMMEDIATE; never fails. */
void sql_rollback(struct store *s);
