/* migrate: whose file is this, and is its schema ours?
 *
 * Two kinds of schema text are built in. db/schema/NNN-*.sql with NNN below 800 are migrations:
 * each runs once, in order, and ends by setting user_version to NNN. Everything else (views in
 * db/schema/9xx, published values in db/published/, reasons from probes/words.h) holds no
 * measurement: it is put in anew whenever the program's text differs from what the file carries.
 *
 *   no file, or empty --> stamp application_id --> migrations above user_version --> contents
 *   ours, older -------------------------------------^
 *   ours, other views ------------------------------------------------------------------^
 *   newer, or not ours --> refused, and not a byte written */
#include "db/migrate.h"

#include "db/embedded.h"
#include "probes/words.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEMA_DIR "db/schema/"
#define FIRST_CONTENT 900

/* SQLite's file header (https://www.sqlite.org/fileformat2.html, 1.3). */
#define HEADER_SIZE 108
#define HEADER_MAGIC "SQLite format 3"
#define OFFSET_USER_VERSION 60
#define OFFSET_APPLICATION_ID 68
#define OFFSET_CELL_COUNT 103 /* of the schema table's page: 0 in a database without tables */
#define APPLICATION_ID 0x636f776c

static int refuse(struct store *s, struct err *e, int code, const char *why)
{
    return err_set(e, code, CANNOT_OPEN " '%s': %s", s->path, why);
}

/* The first bytes as they are on the disk, without a lock, a journal or a shared-memory file: a
 * file that is not ours stays as it is. Reading through SQLite's own handle keeps the locks that
 * closing another descriptor of the same file would drop. */
static int read_header(struct store *s, unsigned char *header, int64_t *size, struct err *e)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    *size = 0;
    if (rc != SQLITE_OK || !file || !file->pMethods)
        return 0; /* a database in memory */
    rc = file->pMethods->xFileSize(file, (sqlite3_int64 *)size);
    if (rc == SQLITE_OK && *size > 0) {
        rc = file->pMethods->xRead(file, header, HEADER_SIZE, 0);
        if (rc == SQLITE_IOERR_SHORT_READ)
            rc = SQLITE_OK; /* the rest is zeroed */
    }
    return rc == SQLITE_OK ? 0 : sql_err(s, e, rc, CANNOT_READ);
}

static uint32_t big_endian32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Has another file beside it whose content belongs to the database? */
bool file_has_journal(const char *path)
{
    static const char *const suffix[] = {"-wal", "-journal"};
    struct stat st;
    bool found = false;

    for (size_t i = 0; i < 2 && !found; i++) {
        char *name = sqlite3_mprintf("%s%s", path, suffix[i]);

        found = !name || (stat(name, &st) == 0 && st.st_size > 0);
        sqlite3_free(name);
    }
    return found;
}

/* Number of a migration, or 0 if the text is content. */
static int migration_number(const struct embedded_text *t)
{
    int n;

    if (strncmp(t->path, SCHEMA_DIR, sizeof SCHEMA_DIR - 1) != 0)
        return 0;
    n = atoi(t->path + sizeof SCHEMA_DIR - 1);
    return n < FIRST_CONTENT ? n : 0;
}

static int newest_migration(void)
{
    int newest = 0;

    for (const struct embedded_text *t = embedded_sql; t->path; t++)
        if (migration_number(t) > newest)
            newest = migration_number(t);
    return newest;
}

static int refuse_newer(struct store *s, int64_t version, struct err *e)
{
    int newest = newest_migration();

    if (version <= newest)
        return 0;
    return err_set(e, EOVERFLOW,
                   CANNOT_OPEN " '%s': its schema is version %lld, newer than version %d "
                               "of this program",
                   s->path, (long long)version, newest);
}

int file_check(struct store *s, bool must_exist, struct err *e)
{
    unsigned char header[HEADER_SIZE] = {0};
    int64_t size;
    uint32_t id;
    int rc = read_header(s, header, &size, e);

    if (rc)
        return rc;
    if (size == 0)
        return must_exist ? refuse(s, e, EPROTO, "it is empty: no run was stored in it") : 0;
    if (size < HEADER_SIZE || memcmp(header, HEADER_MAGIC, sizeof HEADER_MAGIC) != 0)
        return refuse(s, e, EPROTO, "not a database");
    id = big_endian32(header + OFFSET_APPLICATION_ID);
    if (id == APPLICATION_ID)
        return refuse_newer(s, big_endian32(header + OFFSET_USER_VERSION), e);
    /* What `sqlite3 FILE vacuum` leaves: a header and no table. */
    if (!must_exist && id == 0 && header[OFFSET_CELL_COUNT] == 0 &&
        header[OFFSET_CELL_COUNT + 1] == 0 && !file_has_journal(s->file))
        return 0;
    return refuse(s, e, EPROTO, "it belongs to another program, not to cowlab");
}

static bool is_content(const struct embedded_text *t)
{
    return (strncmp(t->path, SCHEMA_DIR, sizeof SCHEMA_DIR - 1) == 0 && !migration_number(t)) ||
           strncmp(t->path, "db/published/", sizeof "db/published/" - 1) == 0;
}

static uint64_t fnv1a(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
    return h;
}

/* Over all content, as 16 hex digits: tells texts apart, guards nothing. */
static void content_hash(char out[17])
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (const struct embedded_text *t = embedded_sql; t->path; t++)
        if (is_content(t))
            h = fnv1a(h, t->text);
    for (const struct word *w = unknown_reasons; w->text; w++)
        h = fnv1a(fnv1a(h, w->text), w->label);
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}

static int content_is_ours(struct store *s, bool *same, struct err *e)
{
    char hash[17], sql[64];
    int64_t is = 0;
    int rc;

    content_hash(hash);
    snprintf(sql, sizeof sql, "SELECT hash = '%s' FROM content", hash);
    rc = sql_int(s, e, sql, &is, CANNOT_READ);
    *same = is;
    return rc;
}

static int schema_version(struct store *s, int64_t *version, struct err *e)
{
    int rc = sql_int(s, e, "PRAGMA user_version", version, CANNOT_READ);

    return rc ? rc : refuse_newer(s, *version, e);
}

int schema_look(struct store *s, struct schema_state *out, struct err *e)
{
    bool same = false;
    int rc;

    out->version = 0;
    rc = schema_version(s, &out->version, e);
    if (rc)
        return rc;
    out->tables_old = out->version < newest_migration();
    if (!out->tables_old)
        rc = content_is_ours(s, &same, e);
    out->contents_differ = !same;
    return rc;
}

static int drop_views(struct store *s, struct err *e)
{
    sqlite3_stmt *st = NULL;
    char *drops = sqlite3_mprintf("%s", "");
    int rc = sqlite3_prepare_v2(s->db, "SELECT name FROM sqlite_schema WHERE type = 'view'", -1,
                                &st, NULL);

    while (rc == SQLITE_OK && drops && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        drops = sqlite3_mprintf("%zDROP VIEW \"%w\";", drops, sqlite3_column_text(st, 0));
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (!drops)
        rc = sql_err(s, e, SQLITE_NOMEM, CANNOT_UPDATE);
    else if (rc != SQLITE_DONE)
        rc = sql_err(s, e, rc, CANNOT_UPDATE);
    else
        rc = sql_exec(s, e, drops, CANNOT_UPDATE);
    sqlite3_free(drops);
    return rc;
}

static int put_reasons(struct store *s, struct err *e)
{
    int rc = 0;

    for (const struct word *w = unknown_reasons; w->text && rc == 0; w++)
        rc = sql_execf(s, e, CANNOT_UPDATE,
                       "INSERT INTO reason (code, reason, unlocks) VALUES (%d, %Q, nullif(%Q, '')) "
                       "ON CONFLICT (code) DO UPDATE "
                       "SET reason = excluded.reason, unlocks = excluded.unlocks",
                       w->code, w->text, w->label);
    return rc;
}

/* Schema texts first, then published values: the table sorts db/published/ ahead. */
static int put_contents(struct store *s, struct err *e)
{
    char hash[17];
    int rc = drop_views(s, e);

    for (int schema = 1; schema >= 0; schema--)
        for (const struct embedded_text *t = embedded_sql; t->path && rc == 0; t++)
            if (is_content(t) &&
                (strncmp(t->path, SCHEMA_DIR, sizeof SCHEMA_DIR - 1) == 0) == schema)
                rc = sql_exec(s, e, t->text, CANNOT_UPDATE);
    rc = rc ? rc : put_reasons(s, e);
    if (rc)
        return rc;
    content_hash(hash);
    return sql_execf(s, e, CANNOT_UPDATE, "INSERT OR REPLACE INTO content VALUES (1, %Q)", hash);
}

/* In one transaction: another lab may be doing the same, and a kill leaves the old schema. */
int schema_migrate(struct store *s, struct err *e)
{
    int64_t version = 0;
    bool same = false, old;
    int rc = sql_exec(s, e, "BEGIN IMMEDIATE", CANNOT_UPDATE);

    if (rc)
        return rc;
    rc = schema_version(s, &version, e);
    old = version < newest_migration();
    if (rc == 0 && old)
        rc = drop_views(s, e); /* no column goes while a view names it */
    for (const struct embedded_text *t = embedded_sql; t->path && rc == 0; t++)
        if (migration_number(t) > version)
            rc = sql_exec(s, e, t->text, CANNOT_UPDATE);
    rc = rc ? rc : content_is_ours(s, &same, e);
    if (rc == 0 && (old || !same))
        rc = put_contents(s, e);
    rc = rc ? rc : sql_exec(s, e, "COMMIT", CANNOT_UPDATE);
    if (rc)
        sql_rollback(s);
    return rc;
}
