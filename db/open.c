/* open: opening and closing the file.
 *
 * 1. While a store is open for writing the file is in WAL mode with synchronous=NORMAL: a commit
 *    costs no fsync, and a kill at any instant leaves every committed step. (A power failure may
 *    take the last steps with it, never the file's integrity.)
 * 2. The last store to close makes it a plain file again: easy to copy, readable from a read-only
 *    place. */
#include "db/migrate.h"
#include "db/run.h"
#include "db/sql.h"
#include "db/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 5000

static int path_check(struct store *s, enum store_mode mode, struct err *e)
{
    struct stat st;
    char *copy;
    int rc = 0;

    if (!*s->path)
        return err_set(e, EINVAL, CANNOT_OPEN " '': a file's name is needed");
    if (stat(s->path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return err_set(e, EISDIR, CANNOT_OPEN " '%s': it is a directory", s->path);
        if (!S_ISREG(st.st_mode))
            return err_set(e, EPROTO, CANNOT_OPEN " '%s': it is not a regular file", s->path);
        if (faccessat(AT_FDCWD, s->path, mode == STORE_READ ? R_OK : R_OK | W_OK, AT_EACCESS))
            return err_sys(e, errno, CANNOT_OPEN " '%s'", s->path);
    } else if (errno != ENOENT || mode == STORE_READ) {
        return err_sys(e, errno, CANNOT_OPEN " '%s'", s->path);
    }
    if (mode == STORE_READ)
        return 0;
    /* The journal is a second file beside the database. */
    copy = strdup(s->path);
    if (!copy)
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", s->path);
    if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS))
        rc = err_sys(e, errno, CANNOT_OPEN " '%s': its directory cannot be written", s->path);
    free(copy);
    return rc;
}

static int connect_file(struct store *s, int flags, struct err *e)
{
    int rc;

    sqlite3_close(s->db);
    s->db = NULL;
    rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (!s->db)
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", s->path);
    sqlite3_extended_result_codes(s->db, 1);
    if (rc != SQLITE_OK)
        return sql_err(s, e, rc, CANNOT_OPEN);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    return 0;
}

/* WAL can be refused (another program holds the file in another mode, a file system without
 * shared memory): a rollback journal keeps the same promises, slower. */
static int prepare_writing(struct store *s, struct err *e)
{
    struct schema_state schema;
    int rc = sql_exec(s, e, "PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL", CANNOT_OPEN);

    if (rc == 0)
        rc = schema_look(s, &schema, e);
    if (rc)
        return rc;
    if (schema.version == 0) {
        /* The stamp goes into the file itself before WAL may hide it: whose file it is can
         * then always be read without opening a journal. A new file has nothing to lose yet:
         * no sync. */
        rc = sql_exec(s, e, "PRAGMA synchronous = OFF; PRAGMA application_id = 0x636f776c",
                      CANNOT_WRITE);
        if (rc)
            return rc;
    }
    sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    if (schema.tables_old || schema.contents_differ)
        rc = schema_migrate(s, e);
    if (rc == 0 && schema.version == 0)
        rc = sql_exec(s, e, "PRAGMA synchronous = NORMAL", CANNOT_OPEN);
    return rc;
}

static int open_writing(struct store *s, struct err *e)
{
    int rc = connect_file(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);

    if (rc == 0)
        rc = file_check(s, false, e);
    if (rc == 0) {
        s->writable = true;
        rc = prepare_writing(s, e);
    }
    if (rc == 0)
        rc = runs_mark_crashed(s, e);
    if (rc == 0)
        reserve_take(s);
    return rc;
}

/* The file stays as it is: a copy of it in memory is brought up to date and read in its place. */
static int read_updated_copy(struct store *s, struct err *e)
{
    sqlite3 *copy = NULL;
    sqlite3_backup *backup = NULL;
    int rc = connect_file(s, SQLITE_OPEN_READONLY, e);

    if (rc)
        return rc;
    rc = sqlite3_open(":memory:", &copy);
    if (rc == SQLITE_OK && (backup = sqlite3_backup_init(copy, "main", s->db, "main"))) {
        sqlite3_backup_step(backup, -1);
        rc = sqlite3_backup_finish(backup);
    }
    if (rc != SQLITE_OK || !backup) {
        rc = sql_err(s, e, rc == SQLITE_OK ? SQLITE_NOMEM : rc, CANNOT_OPEN);
        sqlite3_close(copy);
        return rc;
    }
    sqlite3_close(s->db);
    s->db = copy;
    sqlite3_extended_result_codes(s->db, 1);
    return schema_migrate(s, e);
}

/* An older file is brought up to date first if it can be written, else a copy of it. Views of
 * another text are good enough where it cannot; older tables are not. */
static int open_reading(struct store *s, struct err *e)
{
    struct schema_state schema;
    struct err why;
    int rc = connect_file(s, SQLITE_OPEN_READONLY, e);

    if (rc == 0)
        rc = file_check(s, true, e);
    if (rc == 0) {
        rc = schema_look(s, &schema, e);
        if (rc && rc != -EOVERFLOW && path_check(s, STORE_CREATE, &why) &&
            file_has_journal(s->path))
            rc = err_set(e, EACCES,
                         "cannot read database '%s': a lab that died left a log beside it; a user "
                         "who may write there must open it once",
                         s->path);
    }
    if (rc || !(schema.tables_old || schema.contents_differ))
        return rc;
    rc = path_check(s, STORE_CREATE, &why);
    if (rc == 0)
        rc = connect_file(s, SQLITE_OPEN_READWRITE, &why);
    if (rc == 0)
        rc = schema_migrate(s, &why);
    if (rc && schema.tables_old)
        return read_updated_copy(s, e);
    return connect_file(s, SQLITE_OPEN_READONLY, e);
}

/* SQLite takes an empty name, ":memory:" and "file:..." for something else than a file of that
 * name: what is stored there would be gone, or somewhere else. */
static char *file_name(const char *path)
{
    bool special = path[0] == ':' || strncmp(path, "file:", 5) == 0;
    char *name;

    return asprintf(&name, "%s%s", special ? "./" : "", path) < 0 ? NULL : name;
}

int store_open(struct store **out, const char *path, enum store_mode mode, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    int rc;

    /* One thread of a program uses SQLite, and nobody asks for its memory: a tenth of its time is
     * locks for both. Heard before the first file is opened only. */
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (s)
        s->reserve = -1;
    if (!s || !(s->path = file_name(path))) {
        free(s);
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", path);
    }
    rc = path_check(s, mode, e);
    if (rc == 0)
        rc = mode == STORE_READ ? open_reading(s, e) : open_writing(s, e);
    if (rc) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* The checkpoint is synced; after it the log is empty and giving it up needs no sync. Fails
 * while another program has the file open: then the last one to close does it. */
static void make_plain_file(struct store *s)
{
    sqlite3_busy_timeout(s->db, 0);
    if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        sqlite3_exec(s->db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE", NULL, NULL,
                     NULL);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STORE_STATEMENTS; i++)
        sqlite3_finalize(s->st[i]);
    reserve_give(s);
    if (s->writable)
        make_plain_file(s);
    sqlite3_close(s->db);
    free(s->path);
    free(s);
}

sqlite3 *store_handle(struct store *s)
{
    return s->db;
}
