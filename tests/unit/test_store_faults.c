/* The store when everything under it fails: the nth system call, the nth allocation, the nth step
 * of a statement, for every n that creating a database and storing a run reaches.
 *
 * Creating takes ten times as long as all the rest, so that faults behind it are met with a copy of
 * a database that was made before.
 *
 * Each time: an error in words or success, no memory and no descriptor left, and afterwards a
 * database that opens, is sound, and holds every finished step as it should be, none in part. */
#include "tests/support/db.h"
#include "tests/support/runs.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum fault { FAULT_NONE, FAULT_CALL, FAULT_MEMORY, FAULT_STEP };

/* Which faults one loop goes through: of a kind, with a code, each stride-th. */
struct fault_plan {
    enum fault kind;
    int code;
    bool lasting;
    int stride;
};

/* The one fault that is armed. hit: how often its kind of thing happened. */
static struct {
    enum fault kind;
    int code; /* errno of a call, result of a step */
    int n;    /* fail this one, and with `lasting` all after it; 0: count only */
    bool lasting;
    int hit;
} armed;

static bool fails(enum fault kind)
{
    if (armed.kind != kind)
        return false;
    armed.hit++;
    return armed.n && (armed.hit == armed.n || (armed.lasting && armed.hit > armed.n));
}

/* -- system calls, through SQLite's own table of them ------------------------------------- */

/* needs_space: a call that a full disk can fail. */
static bool call_fails(bool needs_space)
{
    if ((armed.code == ENOSPC && !needs_space) || !fails(FAULT_CALL))
        return false;
    errno = armed.code;
    return true;
}

static int f_open(const char *path, int flags, int mode)
{
    return call_fails(flags & O_CREAT) ? -1 : open(path, flags, mode);
}

static ssize_t f_pread(int fd, void *p, size_t n, off_t at)
{
    return call_fails(false) ? -1 : pread(fd, p, n, at);
}

static ssize_t f_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return call_fails(true) ? -1 : pwrite(fd, p, n, at);
}

static ssize_t f_read(int fd, void *p, size_t n)
{
    return call_fails(false) ? -1 : read(fd, p, n);
}

static ssize_t f_write(int fd, const void *p, size_t n)
{
    return call_fails(true) ? -1 : write(fd, p, n);
}

static int f_ftruncate(int fd, off_t n)
{
    return call_fails(n > 0) ? -1 : ftruncate(fd, n);
}

static int f_fstat(int fd, struct stat *st)
{
    return call_fails(false) ? -1 : fstat(fd, st);
}

static int f_unlink(const char *path)
{
    return call_fails(false) ? -1 : unlink(path);
}

static void *f_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    return call_fails(false) ? MAP_FAILED : mmap(at, n, prot, flags, fd, from);
}

static int f_fcntl(int fd, int command, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, command);
    arg = va_arg(ap, void *);
    va_end(ap);
    return call_fails(false) ? -1 : fcntl(fd, command, arg);
}

/* A lock that fails looks busy: waiting for it would only take the tests' time. */
static int f_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static void replace_calls(bool on)
{
    static int (*real_sleep)(sqlite3_vfs *, int);
    static const struct {
        const char *name;
        sqlite3_syscall_ptr f;
    } calls[] = {
        {"open", (sqlite3_syscall_ptr)f_open},           {"read", (sqlite3_syscall_ptr)f_read},
        {"pread", (sqlite3_syscall_ptr)f_pread},         {"pread64", (sqlite3_syscall_ptr)f_pread},
        {"write", (sqlite3_syscall_ptr)f_write},         {"pwrite", (sqlite3_syscall_ptr)f_pwrite},
        {"pwrite64", (sqlite3_syscall_ptr)f_pwrite},     {"fstat", (sqlite3_syscall_ptr)f_fstat},
        {"ftruncate", (sqlite3_syscall_ptr)f_ftruncate}, {"unlink", (sqlite3_syscall_ptr)f_unlink},
        {"mmap", (sqlite3_syscall_ptr)f_mmap},           {"fcntl", (sqlite3_syscall_ptr)f_fcntl},
    };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    if (on)
        real_sleep = vfs->xSleep;
    vfs->xSleep = on ? f_sleep : real_sleep;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        vfs->xSetSystemCall(vfs, calls[i].name, on ? calls[i].f : NULL);
}

/* -- SQLite's allocations --------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;

static void *f_malloc(int n)
{
    return fails(FAULT_MEMORY) ? NULL : real_memory.xMalloc(n);
}

static void *f_realloc(void *p, int n)
{
    return fails(FAULT_MEMORY) ? NULL : real_memory.xRealloc(p, n);
}

static int replace_memory(void **state)
{
    sqlite3_mem_methods m;

    (void)state;
    /* Thousands of small databases: no disk needs to turn for them. */
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    m = real_memory;
    m.xMalloc = f_malloc;
    m.xRealloc = f_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &m);
    /* Without lookaside every small allocation is one that can fail. */
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    return sqlite3_initialize() == SQLITE_OK ? 0 : -1;
}

/* -- statements: these definitions come before the library's ------------------------------- */

/* Called from this program, not from within SQLite (where a made-up result breaks what SQLite
 * knows of its own statement)? */
static bool is_ours(const void *caller)
{
    Dl_info here, there;

    return dladdr((const void *)&armed, &here) && dladdr(caller, &there) &&
           here.dli_fbase == there.dli_fbase;
}

int sqlite3_step(sqlite3_stmt *st)
{
    static int (*real)(sqlite3_stmt *);

    if (!real)
        real = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
    return armed.kind == FAULT_STEP && is_ours(__builtin_return_address(0)) && fails(FAULT_STEP)
               ? armed.code
               : real(st);
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **message)
{
    static int (*real)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *,
                       char **);

    if (!real)
        real = (int (*)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *,
                        char **))dlsym(RTLD_NEXT, "sqlite3_exec");
    return armed.kind == FAULT_STEP && is_ours(__builtin_return_address(0)) && fails(FAULT_STEP)
               ? armed.code
               : real(db, sql, row, arg, message);
}

/* -- one attempt ------------------------------------------------------------------------ */

/* What the steps up to one look like, whatever run they are of. */
#define LOOK                                                                                       \
    "SELECT count(*) || ' ' || (SELECT count(*) FROM page_runs WHERE step <= ?1) || ' ' || "       \
    "(SELECT count(*) FROM checks WHERE step <= ?1) || ' ' || "                                    \
    "(SELECT count(*) FROM probe_cost WHERE step <= ?1) || ' ' || "                                \
    "(SELECT count(*) FROM unknowns WHERE step <= ?1) || ' ' || "                                  \
    "ifnull(group_concat(step || phase || observed || share_mode || ifnull(ref_count, '?') || "    \
    "resident || rss_kb || ifnull(system_kb, '?') || ifnull(write_outcome, '')), '') "             \
    "FROM timeline WHERE step <= ?1"

static char *look(sqlite3 *db, int upto)
{
    sqlite3_stmt *st = NULL;
    char *text;

    if (sqlite3_prepare_v2(db, LOOK, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_bind_int(st, 1, upto);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    text = strdup((const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return text;
}

/* Opens the database, which creates it if it is not there, and stores one run, all under the armed
 * fault. *opening: how often its kind of thing happened until it was open. 0, or the first failure.
 */
static int attempt(const char *path, int *opening, struct err *e)
{
    struct support_options nobody = {.unprivileged = true};
    struct store *s = NULL;
    char run[40];
    int rc = store_open(&s, path, STORE_CREATE, e);

    *opening = armed.hit;
    if (rc == 0)
        rc = support_fork_write(s, &nobody, run, e);
    store_close(s);
    return rc;
}

static void expect_sound(const char *path, int rc, const struct err *e, char *const *expected)
{
    struct store *s = open_or_fail(path, STORE_CREATE);
    sqlite3 *db = store_handle(s);
    int steps, failed_step = 0;
    char *text;

    assert_string_equal(db_text(db, "PRAGMA integrity_check"), "ok");
    assert_string_equal(db_text(db, "SELECT * FROM pragma_foreign_key_check"), "NULL");
    steps = (int)db_int(db, "SELECT count(*) FROM steps");
    text = look(db, steps);
    assert_string_equal(text, expected[steps]);
    free(text);
    if (rc == 0)
        assert_string_equal(db_text(db, "SELECT status || steps FROM runs"), "complete7");
    else if (sscanf(e->msg, "cannot store step %d", &failed_step) == 1)
        assert_true(steps == failed_step - 1);
    store_close(s);
}

static void remove_database(const char *dir)
{
    unlink(scratch_path(dir, "f.db"));
    unlink(scratch_path(dir, "f.db-wal"));
    unlink(scratch_path(dir, "f.db-shm"));
    unlink(scratch_path(dir, "f.db-journal"));
}

/* A file's bytes. */
struct bytes {
    char *at;
    size_t n;
};

static struct bytes empty_database(const char *path)
{
    struct bytes b;

    store_close(open_or_fail(path, STORE_CREATE));
    b.at = slurp(path, &b.n);
    return b;
}

static void put_bytes(const char *path, const struct bytes *b)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(b->at, 1, b->n, f), b->n);
    assert_int_equal(fclose(f), 0);
}

/* Every n, from none or from a made database, until opening it or all of the run gets by without
 * meeting it. Returns how many n there were. */
static int fail_from(const char *dir, const struct fault_plan *plan, const struct bytes *made,
                     char *const *expected)
{
    const char *path = strdup(scratch_path(dir, "f.db"));
    struct err e;
    int n = 1;

    for (;; n += plan->stride) {
        int descriptors = count_descriptors(), rc, hit, opening;
        sqlite3_int64 memory = sqlite3_memory_used();

        remove_database(dir);
        if (made)
            put_bytes(path, made);
        e.msg[0] = '\0';
        memset(&armed, 0, sizeof armed);
        armed.kind = plan->kind;
        armed.code = plan->code;
        armed.lasting = plan->lasting;
        armed.n = n;
        rc = attempt(path, &opening, &e);
        hit = made ? armed.hit : opening;
        armed.kind = FAULT_NONE;
        if (rc && (rc > 0 || !e.msg[0]))
            fail_msg("n %d: %d '%s'", n, rc, e.msg);
        if (rc == 0)
            assert_string_equal(e.msg, "");
        if (count_descriptors() != descriptors || sqlite3_memory_used() != memory)
            fail_msg("n %d leaks: %s", n, e.msg);
        expect_sound(path, rc, &e, expected);
        if (hit < n)
            break;
    }
    remove_database(dir);
    free((char *)path);
    return n;
}

static int fail_each(const char *dir, enum fault kind, int code, bool lasting, int stride)
{
    struct fault_plan plan = {kind, code, lasting, stride};
    const char *path = strdup(scratch_path(dir, "f.db"));
    struct bytes made = empty_database(path);
    char *expected[8];
    struct store *s;
    struct err e;
    int ignored, n;

    if (getenv("WRAP")) /* under valgrind, twenty times as slow */
        plan.stride *= 20;
    assert_int_equal(attempt(path, &ignored, &e), 0);
    s = open_or_fail(path, STORE_READ);
    for (int i = 0; i < 8; i++)
        expected[i] = look(store_handle(s), i);
    store_close(s);
    n = fail_from(dir, &plan, NULL, expected);
    n += fail_from(dir, &plan, &made, expected);
    for (int i = 0; i < 8; i++)
        free(expected[i]);
    free(made.at);
    free((char *)path);
    return n;
}

static int set_up(void **state)
{
    *state = scratch_new();
    replace_calls(true);
    return 0;
}

static int tear_down(void **state)
{
    replace_calls(false);
    scratch_free(*state);
    return 0;
}

static void report(const char *what, int n)
{
    print_message("# %s: %d places\n", what, n);
    assert_true(n > 50);
}

static void test_store_faults__a_system_call_fails_once(void **state)
{
    report("a system call fails once with EIO", fail_each(*state, FAULT_CALL, EIO, false, 1));
}

static void test_store_faults__the_disk_is_full_from_some_call_on(void **state)
{
    report("ENOSPC from a call on", fail_each(*state, FAULT_CALL, ENOSPC, true, 3));
}

static void test_store_faults__an_allocation_fails_once(void **state)
{
    /* Tens of thousands: each 211th, so that all kinds are met in a few seconds. */
    report("an allocation fails", fail_each(*state, FAULT_MEMORY, 0, false, 211));
}

static void test_store_faults__memory_is_gone_from_some_allocation_on(void **state)
{
    report("memory gone from an allocation on", fail_each(*state, FAULT_MEMORY, 0, true, 307));
}

static void test_store_faults__a_statement_fails(void **state)
{
    report("a statement fails with an I/O error",
           fail_each(*state, FAULT_STEP, SQLITE_IOERR_WRITE, false, 1));
    report("the disk is full at a statement", fail_each(*state, FAULT_STEP, SQLITE_FULL, false, 1));
}

static void *no_shared_mapping(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    (void)at, (void)n, (void)prot, (void)flags, (void)fd, (void)from;
    errno = ENODEV;
    return MAP_FAILED;
}

static void test_store_faults__a_file_system_without_shared_mappings_is_told(void **state)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    struct store *s = NULL;
    struct err e;

    vfs->xSetSystemCall(vfs, "mmap", (sqlite3_syscall_ptr)no_shared_mapping);
    assert_int_equal(store_open(&s, scratch_path(*state, "a.db"), STORE_CREATE, &e), -ENODEV);
    vfs->xSetSystemCall(vfs, "mmap", NULL);
    assert_non_null(strstr(e.msg, "cannot map its log's index '"));
    assert_non_null(strstr(e.msg, "a.db-shm': No such device"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_store_faults__a_system_call_fails_once),
        T(test_store_faults__the_disk_is_full_from_some_call_on),
        T(test_store_faults__an_allocation_fails_once),
        T(test_store_faults__memory_is_gone_from_some_allocation_on),
        T(test_store_faults__a_statement_fails),
        T(test_store_faults__a_file_system_without_shared_mappings_is_told),
    };

    return cmocka_run_group_tests_name("store_faults", tests, replace_memory, NULL);
}
