/* db: a scratch directory, a store in it, and short queries, for tests of what is stored.
 * Failures are cmocka failures: only for the test's own process, not for its forked children. */
#pragma once

#include "db/store.h"

/* A new directory under $TMPDIR; scratch_free removes it with all that is below it. */
char *scratch_new(void);
void scratch_free(char *dir);
/* "dir/name", valid until the next call but seven. */
const char *scratch_path(const char *dir, const char *name);

/* Opens or fails the test with the error's text. */
struct store *open_or_fail(const char *path, enum store_mode mode);

/* How a fixture begins that has a store of its own, in a scratch directory. */
struct stored {
    char *dir;
    struct store *store;
    sqlite3 *db;
};
/* A fixture of so many bytes, zeroed behind it. stored_tear_down ends it (a cmocka teardown). */
void *stored_new(size_t size);
int stored_tear_down(void **state);

/* First column of the first row: as a number, as text (valid until the next call but seven;
 * "NULL" for NULL and for no row). Fails the test if the statement does not run. */
int64_t db_int(sqlite3 *db, const char *sql);
const char *db_text(sqlite3 *db, const char *sql);
void db_exec(sqlite3 *db, const char *sql);

/* Whole file in memory; NULL if it cannot be read. The caller frees. */
char *slurp(const char *path, size_t *len);
/* Open descriptors of this process. */
int count_descriptors(void);
