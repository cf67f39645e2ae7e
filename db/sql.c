/* sql: SQLite's failures in our words. Owns nothing. */
#include "db/sql.h"

#include "probes/utf8.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The errno behind a result code; what the operating system said where SQLite kept it. */
static int sql_errno(sqlite3 *db, int rc)
{
    int os = sqlite3_system_errno(db);

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return EACCES;
    case SQLITE_READONLY:
        return os == EROFS ? EROFS : EACCES;
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CORRUPT:
        return EPROTO;
    case SQLITE_CANTOPEN:
        return os > 0 ? os : EACCES;
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM ? ENOMEM : os > 0 ? os : EIO;
    case SQLITE_INTERRUPT:
        return EINTR;
    default:
        return EINVAL;
    }
}

int sql_err(struct store *s, struct err *e, int rc, const char *what)
{
    int code = sql_errno(s->db, rc);

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, code, "%s '%s': another program kept it locked for 5 seconds", what,
                       s->path);
    case SQLITE_FULL:
        return err_sys(e, code, "%s '%s'", what, s->path);
    case SQLITE_CORRUPT:
        return err_set(e, code, "%s '%s': the database is damaged", what, s->path);
    case SQLITE_NOTADB:
        return err_set(e, code, "%s '%s': not a database", what, s->path);
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return err_sys(e, code, "%s '%s'", what, s->path);
    case SQLITE_MISMATCH: /* ours: record.c met a code that has no row in its word list */
        return err_set(e, code, "%s '%s': a word code is unknown", what, s->path);
    default:
        return err_set(e, code, "%s '%s': %s", what, s->path, sqlite3_errmsg(s->db));
    }
}

int sql_exec(struct store *s, struct err *e, const char *sql, const char *what)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sql_err(s, e, rc, what);
}

int sql_bind(sqlite3_stmt *st, int column, const char *text)
{
    int failed = 0;
    char *mended = text ? utf8_mended(text, &failed) : NULL;

    if (failed)
        return SQLITE_NOMEM;
    return mended ? sqlite3_bind_text(st, column, mended, -1, free)
                  : sqlite3_bind_text(st, column, text, -1, SQLITE_STATIC);
}

int sql_int(struct store *s, struct err *e, const char *sql, int64_t *out, const char *what)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
            *out = sqlite3_column_int64(st, 0);
    }
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_err(s, e, rc, what);
    sqlite3_finalize(st);
    return rc;
}

int sql_begin(struct store *s, struct err *e, const char *what)
{
    return sql_exec(s, e, "BEGIN IMMEDIATE", what);
}

int sql_commit(struct store *s, struct err *e, const char *what)
{
    return sql_exec(s, e, "COMMIT", what);
}

/* A full disk or a failed write has rolled back already: then there is nothing to undo. */
void sql_rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
