#include "tests/support/db.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 8

/* A few texts that stay readable for as long as an assertion needs them. */
static char *slot(size_t size)
{
    static char *texts[SLOTS];
    static int next;
    char **t = &texts[next++ % SLOTS];

    free(*t);
    *t = malloc(size);
    assert_non_null(*t);
    return *t;
}

char *scratch_new(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = NULL;

    assert_true(asprintf(&dir, "%s/cowlab-test-XXXXXX", tmp && *tmp ? tmp : "/tmp") > 0);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void scratch_free(char *dir)
{
    assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(dir);
}

const char *scratch_path(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = slot(size);

    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

struct store *open_or_fail(const char *path, enum store_mode mode)
{
    struct store *s = NULL;
    struct err e;

    if (store_open(&s, path, mode, &e) != 0)
        fail_msg("%s", e.msg);
    return s;
}

void *stored_new(size_t size)
{
    struct stored *f = calloc(1, size);

    assert_non_null(f);
    f->dir = scratch_new();
    f->store = open_or_fail(scratch_path(f->dir, "t.db"), STORE_CREATE);
    f->db = store_handle(f->store);
    return f;
}

int stored_tear_down(void **state)
{
    struct stored *f = *state;

    store_close(f->store);
    scratch_free(f->dir);
    free(f);
    return 0;
}

const char *db_text(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    const char *text = "NULL";
    char *copy;
    int rc;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_text(st, 0))
        text = (const char *)sqlite3_column_text(st, 0);
    copy = slot(strlen(text) + 1);
    strcpy(copy, text);
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    return copy;
}

int64_t db_int(sqlite3 *db, const char *sql)
{
    const char *text = db_text(db, sql);

    if (strcmp(text, "NULL") == 0)
        fail_msg("no number: %s", sql);
    return atoll(text);
}

void db_exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
}

char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "re");
    char *text;
    size_t n;
    long size;

    if (!f)
        return NULL;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    rewind(f);
    text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    n = fread(text, 1, (size_t)size, f);
    fclose(f);
    if (len)
        *len = n;
    return text;
}

int count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}
