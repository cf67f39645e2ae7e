/* open: opening and closing the file.
 *
 * 1. The file is in WAL mode with synchronous=NORMAL: a commit costs no fsync, a kill at any
 * instant leaves every committed step, and who reads never holds up who writes. (A power failure
 * may take the last steps with it, never the file's integrity.) It stays so when it is closed: to
 *    change the mode needs a moment without readers.
 * 2. Closing takes the log into the file, which alone is then complete, and leaves the empty log
 *    and its index beside it: with them SQLite reads a database whose directory it may not write.
 * 3. Where they are missing and cannot be made, nobody is writing: our reader takes the file as it
 *    lies, and knows afterwards whether it stayed so. */
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
    copy = strdup(s->file);
    if (!copy)
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", s->path);
    if (faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS))
        rc = err_sys(e, errno, CANNOT_OPEN " '%s': its directory cannot be written", s->path);
    free(copy);
    return rc;
}

/* A URI that says nobody writes to the file: no lock is taken, no log looked for. */
static char *uri_of_unchanging(const char *path)
{
    char *uri = NULL;
    size_t size;
    FILE *f = open_memstream(&uri, &size);

    if (!f)
        return NULL;
    fputs("file:", f);
    for (const char *p = path; *p; p++)
        fprintf(f, strchr("?#%", *p) ? "%%%02x" : "%c", (unsigned char)*p);
    fputs("?immutable=1", f);
    if (fclose(f) == 0)
        return uri;
    free(uri);
    return NULL;
}

static int connect_file(struct store *s, int flags, struct err *e)
{
    char *uri = s->unchanging ? uri_of_unchanging(s->path) : NULL;
    int rc, keep_log = 1;

    sqlite3_close(s->db);
    s->db = NULL;
    rc = sqlite3_open_v2(uri ? uri : s->path, &s->db, flags | (uri ? SQLITE_OPEN_URI : 0), NULL);
    free(uri);
    if (!s->db)
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", s->path);
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
    sqlite3_extended_result_codes(s->db, 1);
    if (rc != SQLITE_OK)
        return sql_err(s, e, rc, CANNOT_OPEN);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    return 0;
}

/* A file that is gone from its name: what is written to it would be lost with the last step. */
static int refuse_if_moved(void *store)
{
    struct store *s = store;
    int moved = 0;

    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved;
}

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
    sqlite3_commit_hook(s->db, refuse_if_moved, s);
    /* A file that is not in WAL mode yet (of an older version, or restored) can be switched only
     * while nobody reads it; a reader that stays would hold up each commit too. */
    rc = sql_exec(s, e, "PRAGMA journal_mode = WAL", CANNOT_WRITE);
    if (rc == 0 && (schema.tables_old || schema.contents_differ))
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
        rc = runs_crashed(s, true, e);
    if (rc < 0)
        return rc;
    reserve_take(s);
    return 0;
}

/* As far as it can: a reader that still needs the log keeps it, and the next store goes on. */
static void take_in_log(struct store *s)
{
    sqlite3_busy_timeout(s->db, 0);
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static int bring_up_to_date(struct store *s, struct err *e)
{
    int rc = schema_migrate(s, e);

    return rc ? rc : runs_crashed(s, true, e);
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
    return bring_up_to_date(s, e);
}

static struct timespec change_time(const struct store *s)
{
    struct stat st = {0};

    stat(s->file, &st);
    return st.st_ctim;
}

/* Looks at the schema of a file that may lie where its reader cannot write, or on a full disk. */
static int look_from_afar(struct store *s, struct schema_state *schema, struct err *e)
{
    struct err why;
    int rc = schema_look(s, schema, e);

    bool full = rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG; /* for the log's index */

    if (rc == 0 || rc == -EOVERFLOW || (!full && path_check(s, STORE_CREATE, &why) == 0))
        return rc;
    s->changed = change_time(s);
    if (file_has_journal(s->file))
        return full
                   ? rc
                   : err_set(
                         e, EACCES,
                         "cannot read database '%s': it has a log beside it that cannot be read "
                         "without its index '%s-shm'; a user who may write there must open it once",
                         s->path, s->file);
    s->unchanging = true;
    rc = connect_file(s, SQLITE_OPEN_READONLY, e);
    return rc ? rc : schema_look(s, schema, e);
}

/* An older file, or one that a lab has left by dying, is brought up to date first if it can be
 * written at once, else a copy of it. Views of another text are good enough where it cannot. */
static int open_reading(struct store *s, struct err *e)
{
    struct schema_state schema = {0};
    struct err why;
    int rc = connect_file(s, SQLITE_OPEN_READONLY, e), crashed = 0;

    if (rc == 0)
        rc = file_check(s, true, e);
    if (rc == 0)
        rc = look_from_afar(s, &schema, e);
    if (rc == 0)
        rc = crashed = runs_crashed(s, false, e);
    if (rc < 0 || !(schema.tables_old || schema.contents_differ || crashed))
        return rc;
    rc = path_check(s, STORE_CREATE, &why);
    if (rc == 0)
        rc = connect_file(s, SQLITE_OPEN_READWRITE, &why);
    if (rc == 0) {
        sqlite3_busy_timeout(s->db, 0);
        rc = bring_up_to_date(s, &why);
    }
    if (rc < 0) /* views of another version lack what queries of this one ask */
        return read_updated_copy(s, e);
    if (rc > 0)
        take_in_log(s);
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
    if (s && (s->path = file_name(path)) && !(s->file = realpath(s->path, NULL)))
        s->file = strdup(s->path); /* there is none yet */
    if (!s || !s->file) {
        free(s ? s->path : NULL);
        free(s);
        return err_sys(e, ENOMEM, CANNOT_OPEN " '%s'", path);
    }
    rc = path_check(s, mode, e);
    if (rc == 0)
        rc = mode == STORE_READ ? open_reading(s, e) : open_writing(s, e);
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STORE_STATEMENTS; i++)
        sqlite3_finalize(s->st[i]);
    reserve_give(s);
    if (s->writable)
        take_in_log(s);
    sqlite3_close(s->db);
    free(s->path);
    free(s->file);
    free(s);
}

/* A file that is not there (yet) is the same if its name in its directory is. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    char *a_dir, *b_dir;
    bool same;

    if (stat(a, &x) == 0 || stat(b, &y) == 0)
        return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    a_dir = strdup(a);
    b_dir = strdup(b);
    same = a_dir && b_dir && strcmp(basename(a_dir), basename(b_dir)) == 0 &&
           stat(dirname(a_dir), &x) == 0 && stat(dirname(b_dir), &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
    free(a_dir);
    free(b_dir);
    return same;
}

bool store_has_file(const struct store *s, const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
    bool found = false;

    for (size_t i = 0; i < 4 && !found; i++) {
        char *name = sqlite3_mprintf("%s%s", s->file, suffix[i]);

        found = name && same_file(path, name);
        sqlite3_free(name);
    }
    return found;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

bool store_is_taken_as_it_lies(const struct store *s)
{
    return s->unchanging;
}

bool store_changed_meanwhile(const struct store *s)
{
    struct timespec now = change_time(s);

    return s->unchanging && (now.tv_sec != s->changed.tv_sec || now.tv_nsec != s->changed.tv_nsec);
}

sqlite3 *store_handle(struct store *s)
{
    return s->db;
}
