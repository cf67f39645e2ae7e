/* store_internal: what the files of the store share and nobody else sees.
 *
 *   store.c    opens, closes, begins, ends and finds runs
 *   migrate.c  whose file is it, which schema; brings it up to date
 *   record.c   writes one step
 *   watch.c    tells which rows of a sample moved since they were stored
 *   sql.c      one statement at a time, and SQLite's failures in our words */
#ifndef DB_STORE_INTERNAL_H
#define DB_STORE_INTERNAL_H

#include "db/store.h"
#include <stdbool.h>
#include <stdint.h>

/* Statements that write a step: prepared once, X(ENUM, text constant in record.c). */
enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_STEP,
    ST_PROCESS,
    ST_REGION,
    ST_PAGE_RUN,
    ST_OBJECT,
    ST_OBJECT_RUN,
    ST_SHARING,
    ST_TRANSFER,
    ST_MESSAGE,
    ST_EXPECTATION,
    ST_UNKNOWN,
    ST_CHECK,
    ST_COST,
    ST_CAME,
    ST_GONE,
    ST_EVENT,
    ST_WATCH_SAMPLE,
    ST_WATCH_REGION,
    ST__COUNT
};

struct store {
    sqlite3 *db;
    char *path; /* as the user gave it: for messages */
    bool writable;
    int reserve; /* a file without a name that holds space on the same disk; -1: none */
    sqlite3_stmt *st[ST__COUNT]; /* NULL until first used */
};

/* sql.c. Writes "<what> '<path>': <reason>" for SQLite's result code rc and returns the negative
 * errno that fits it (see store.h). what: "cannot open database". */
int sql_err(struct store *s, struct err *e, int rc, const char *what);
/* Runs text of several statements that give no rows. */
int sql_exec(struct store *s, struct err *e, const char *sql, const char *what);
/* First column of the first row of a one-line statement; 0 rows: leaves *out alone. */
int sql_int(struct store *s, struct err *e, const char *sql, int64_t *out, const char *what);
/* BEGIN IMMEDIATE and COMMIT that clean up; rollback never fails. */
int sql_begin(struct store *s, struct err *e, const char *what);
int sql_commit(struct store *s, struct err *e, const char *what);
void sql_rollback(struct store *s);

/* migrate.c. What a file is before anything is written to it. */
int file_check(struct store *s, bool must_exist, struct err *e);
bool file_has_journal(const char *path);
/* How the file's schema compares with this program's. */
struct schema_state {
    int64_t version; /* 0: no table yet */
    bool tables_old;
    bool contents_differ; /* views, word lists, published values are another text */
};
int schema_look(struct store *s, struct schema_state *out, struct err *e);
int schema_migrate(struct store *s, struct err *e);

/* watch.c. Of the sample that comes every row is stored, moved or not. */
void filter_all(struct store_watch *w, bool all);
/* Each answers: is this row to be stored? Then it counts as stored from now on.
 * -1: out of memory. filter_process also replaces the per-sample counts in q by their sums. */
int filter_process(struct store_watch *w, int step, const char *actor, struct value q[PQ__COUNT]);
int filter_region(struct store_watch *w, int step, const struct obs_region *r, int64_t page_size);
int filter_sharing(struct store_watch *w, int step, const struct obs_sharing *sh,
                   int64_t page_size);
int filter_unknown(struct store_watch *w, const char *observed, const char *region,
                   const char *case_name, const char *quantity, int why);
/* Adds the cost to its probe's sum; 1: the sum is due, *c is it. */
int filter_cost(struct store_watch *w, int step, struct obs_cost *c);
/* After a step that was not stored: everything counts as moved. */
void filter_forget(struct store_watch *w);

/* The run key inside a run id, or 0 if it is none. */
int64_t run_key(const char *run_id);

#endif
