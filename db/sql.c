/* sql: SQLite's failures in our words. Owns nothing. */
#include "db/sql.h"

#include "probes/footprint.h"
#include "probes/utf8.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_COMMITHOOK ? ENOENT : EINVAL;
    default:
        return EINVAL;
    }
}

/* The process that holds a lock of this kind ("": any) on these bytes of a file. 0: none is seen,
 * as from another pid namespace. */
static int lock_holder(const char *path, long long from, long long to, const char *kind)
{
    char line[256], access[16];
    struct stat st;
    FILE *f = stat(path, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
    int found = 0;

    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned long long inode;
        long long first, last = INT64_MAX; /* "EOF" */
        int pid;

        if (sscanf(line, "%*d: POSIX %*s %15s %d %*x:%*x:%llu %lld %lld", access, &pid, &inode,
                   &first, &last) >= 4 &&
            inode == st.st_ino && pid != getpid() && strstr(access, kind) && first <= to &&
            last >= from)
            found = pid;
    }
    if (f)
        fclose(f);
    return found;
}

/* Who writes has a lock on the log's index; where there is no log, who reads is in the way too
 * (https://www.sqlite.org/walformat.html 2.3, lockingv3.html). */
static int who_holds(struct store *s)
{
    char *index = sqlite3_mprintf("%s-shm", s->file);
    int pid = index ? lock_holder(index, 120, 120, "WRITE") : 0;

    sqlite3_free(index);
    return pid ? pid : lock_holder(s->path, 0x40000000, 0x40000000 + 511, "");
}

static int say_busy(struct store *s, struct err *e, int code, const char *what)
{
    int pid = who_holds(s);
    struct footprint f = {.comm = "?"};

    if (!pid)
        return err_set(e, code, "%s '%s': another program kept it locked for 5 seconds", what,
                       s->path);
    footprint_stat(pid, &f);
    return err_set(e, code,
                   "%s '%s': process %d (%s) kept it locked for 5 seconds: end its transaction "
                   "(COMMIT), or end it",
                   what, s->path, pid, f.comm);
}

/* Has one of the files the size that this process may give to one (setrlimit(2))? SQLite tells of a
 * failed write, but may have lost why. */
static bool reached_limit(const struct store *s)
{
    static const char *const suffix[] = {"", "-wal"};
    struct rlimit limit;
    struct stat st;
    bool found = false;

    for (size_t i = 0; i < 2 && !found && getrlimit(RLIMIT_FSIZE, &limit) == 0; i++) {
        char *name = sqlite3_mprintf("%s%s", s->file, suffix[i]);

        found = name && stat(name, &st) == 0 && (rlim_t)st.st_size >= limit.rlim_cur;
        sqlite3_free(name);
    }
    return found;
}

int sql_err(struct store *s, struct err *e, int rc, const char *what)
{
    int code = sql_errno(s->db, rc);

    if (code == EIO && reached_limit(s))
        code = EFBIG;

    if (rc == SQLITE_CONSTRAINT_COMMITHOOK) /* open.c, refuse_if_moved */
        return err_set(e, code, "%s '%s': the file was removed or replaced meanwhile", what,
                       s->path);
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return say_busy(s, e, code, what);
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
        if (rc == SQLITE_IOERR_SHMMAP) /* a file system that has no shared mappings, or a limit */
            return err_sys(e, code, "%s '%s': cannot map its log's index '%s-shm'", what, s->path,
                           s->file);
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

int sql_execf(struct store *s, struct err *e, const char *what, const char *format, ...)
{
    va_list ap;
    char *sql;
    int rc;

    va_start(ap, format);
    sql = sqlite3_vmprintf(format, ap);
    va_end(ap);
    rc = sql ? sql_exec(s, e, sql, what) : sql_err(s, e, SQLITE_NOMEM, what);
    sqlite3_free(sql);
    return rc;
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

/* A full disk or a failed write has rolled back already: then there is nothing to undo. */
void sql_rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
