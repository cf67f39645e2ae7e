/* The store: what survives what, and what is refused how. */
#include "tests/support/db.h"
#include "tests/support/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* A path that stays: one at a time. No heap, whose leftovers valgrind would count in children. */
static const char *scratch_keep(const char *dir, const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    *state = scratch_new();
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int count_files(const char *dir)
{
    char *command = NULL, line[16] = "";
    FILE *p;

    assert_true(asprintf(&command, "ls -A '%s' | wc -l", dir) > 0);
    p = popen(command, "re");
    assert_non_null(p);
    assert_non_null(fgets(line, sizeof line, p));
    pclose(p);
    free(command);
    return atoi(line);
}

/* Opening must fail with this code and a message that names the file and holds the words. */
static void expect_refused(const char *path, enum store_mode mode, int code, const char *words)
{
    struct store *s = NULL;
    struct err e = {""};
    int rc = store_open(&s, path, mode, &e);

    if (rc == 0) {
        store_close(s);
        fail_msg("'%s' was opened", path);
    }
    assert_null(s);
    if (rc != -code || !strstr(e.msg, path) || !strstr(e.msg, words))
        fail_msg("got %d '%s', not %d with '%s'", rc, e.msg, -code, words);
    assert_null(strchr(e.msg, '\n'));
}

/* -- files ------------------------------------------------------------------------------ */

static void test_store__a_new_database_says_whose_it_is(void **state)
{
    const char *path = scratch_path(*state, "new.db");
    struct store *s = open_or_fail(path, STORE_CREATE);

    assert_int_equal(db_int(store_handle(s), "PRAGMA application_id"), 0x636f776c);
    assert_true(db_int(store_handle(s), "PRAGMA user_version") >= 1);
    assert_string_equal(db_text(store_handle(s), "PRAGMA journal_mode"), "wal");
    assert_int_equal(db_int(store_handle(s), "PRAGMA foreign_keys"), 1);
    assert_int_equal(db_int(store_handle(s), "PRAGMA synchronous"), 1);
    store_close(s);
}

/* The file alone is complete; beside it lie the empty log and its index, for who may not make
 * them. A reader leaves the log where it is, and loses nothing by it. */
static void test_store__a_closed_database_is_complete(void **state)
{
    const char *path = scratch_path(*state, "whole.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    sqlite3 *alone = NULL;
    char run[40], *log;
    size_t len = 1;
    struct err e;

    assert_int_equal(support_fork_write(s, NULL, run, &e), 0);
    store_close(s);
    store_close(open_or_fail(path, STORE_READ));
    log = slurp(scratch_path(*state, "whole.db-wal"), &len);
    assert_int_equal(len, 0);
    free(log);
    assert_int_equal(count_files(*state), 3);
    assert_int_equal(rename(path, scratch_path(*state, "alone.db")), 0);
    assert_int_equal(sqlite3_open(scratch_path(*state, "alone.db"), &alone), SQLITE_OK);
    assert_int_equal(db_int(alone, "SELECT count(*) FROM steps"), 7);
    sqlite3_close(alone);
}

/* A program in the middle of reading: neither the next store's opening nor its runs, nor its
 * closing, wait for it, and it sees what it saw. */
static void test_store__a_reader_does_not_block(void **state)
{
    const char *path = scratch_path(*state, "read.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    sqlite3 *reader = NULL;
    char run[40];
    struct err e;

    assert_int_equal(support_fork_write(s, NULL, run, &e), 0);
    store_close(s);
    assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
    db_exec(reader, "BEGIN");
    assert_int_equal(db_int(reader, "SELECT count(*) FROM run"), 1);
    s = open_or_fail(path, STORE_CREATE);
    assert_int_equal(support_fork_write(s, NULL, run, &e), 0);
    db_exec(store_handle(s), "DELETE FROM content"); /* the next one brings its views */
    store_close(s);
    store_close(open_or_fail(path, STORE_READ));
    s = open_or_fail(path, STORE_CREATE);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM content"), 1);
    store_close(s);
    assert_int_equal(db_int(reader, "SELECT count(*) FROM run"), 1);
    db_exec(reader, "COMMIT");
    assert_int_equal(db_int(reader, "SELECT count(*) FROM run"), 2);
    sqlite3_close(reader);
}

static void test_store__a_file_that_was_removed_takes_nothing(void **state)
{
    const char *path = scratch_path(*state, "gone.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    char run[40];
    struct err e = {""};

    assert_int_equal(unlink(path), 0);
    assert_int_equal(support_fork_write(s, NULL, run, &e), -ENOENT);
    assert_non_null(strstr(e.msg, "removed or replaced"));
    store_close(s);
}

static void test_store__an_empty_file_or_database_becomes_ours(void **state)
{
    sqlite3 *db = NULL;

    put_file(scratch_path(*state, "zero.db"), "");
    store_close(open_or_fail(scratch_path(*state, "zero.db"), STORE_CREATE));
    assert_int_equal(sqlite3_open(scratch_path(*state, "vacuum.db"), &db), SQLITE_OK);
    db_exec(db, "VACUUM");
    sqlite3_close(db);
    store_close(open_or_fail(scratch_path(*state, "vacuum.db"), STORE_CREATE));
    put_file(scratch_path(*state, "none.db"), "");
    expect_refused(scratch_path(*state, "none.db"), STORE_READ, EPROTO, "empty");
}

/* Nothing is written to a file that is not ours, and no file appears beside it. */
static void expect_untouched(void **state, const char *name, int code, const char *words)
{
    const char *path = scratch_path(*state, name);
    size_t before_len = 0, after_len = 0;
    char *before = slurp(path, &before_len), *after;
    int files = count_files(*state);

    expect_refused(path, STORE_CREATE, code, words);
    expect_refused(path, STORE_READ, code, words);
    after = slurp(path, &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, before_len);
    assert_int_equal(count_files(*state), files);
    free(before);
    free(after);
}

static void test_store__another_programs_file_is_refused_and_untouched(void **state)
{
    sqlite3 *db = NULL;
    char *page = calloc(1, 4097);

    memset(page, 'x', 4096);
    put_file(scratch_path(*state, "notes.txt"), "dear diary\n");
    put_file(scratch_path(*state, "long.txt"), page);
    free(page);
    expect_untouched(state, "notes.txt", EPROTO, "not a database");
    expect_untouched(state, "long.txt", EPROTO, "not a database");
    assert_int_equal(sqlite3_open(scratch_path(*state, "other.db"), &db), SQLITE_OK);
    db_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    sqlite3_close(db);
    expect_untouched(state, "other.db", EPROTO, "another program");
    assert_int_equal(sqlite3_open(scratch_path(*state, "app.db"), &db), SQLITE_OK);
    db_exec(db, "PRAGMA application_id = 77; CREATE TABLE t (a)");
    sqlite3_close(db);
    expect_untouched(state, "app.db", EPROTO, "another program");
}

/* Its tables may be in the log alone. The log is not ours to replay. */
static void test_store__another_programs_log_is_left_alone(void **state)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(scratch_path(*state, "wal.db"), &db), SQLITE_OK);
    db_exec(db, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
    expect_untouched(state, "wal.db", EPROTO, "another program");
    sqlite3_close(db);
}

static void test_store__a_newer_schema_is_refused_with_both_versions(void **state)
{
    const char *path = scratch_path(*state, "newer.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    char words[40];

    snprintf(words, sizeof words, "version 4711, newer than version %d",
             (int)db_int(store_handle(s), "PRAGMA user_version"));
    db_exec(store_handle(s), "PRAGMA user_version = 4711");
    store_close(s);
    expect_untouched(state, "newer.db", EOVERFLOW, words);
}

static void test_store__what_is_no_file_is_refused(void **state)
{
    expect_refused(*state, STORE_CREATE, EISDIR, "directory");
    expect_refused(*state, STORE_READ, EISDIR, "directory");
    expect_refused(scratch_path(*state, "no/such/place.db"), STORE_CREATE, ENOENT, "No such file");
    expect_refused(scratch_path(*state, "missing.db"), STORE_READ, ENOENT, "No such file");
    expect_refused("/dev/null", STORE_CREATE, EPROTO, "regular file");
    expect_refused("", STORE_CREATE, EINVAL, "name is needed");
}

/* SQLite's own words for a database in memory, or for a URI: what was stored would be gone. */
static void test_store__every_name_is_a_files(void **state)
{
    static const char *const names[] = {":memory:", "file:x.db?mode=memory"};
    char old[4096];

    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(*state), 0);
    for (size_t i = 0; i < 2; i++) {
        store_close(open_or_fail(names[i], STORE_CREATE));
        assert_int_equal(access(names[i], F_OK), 0);
    }
    assert_int_equal(chdir(old), 0);
}

/* In a child that is nobody, since root may do everything. 0: every refusal was as expected. */
static int refusals_of_nobody(const char *dir)
{
    static const struct {
        const char *name;
        enum store_mode mode;
        int code;
    } cases[] = {{"sealed.db", STORE_READ, EACCES},     {"sealed.db", STORE_CREATE, EACCES},
                 {"readable.db", STORE_CREATE, EACCES}, {"new.db", STORE_CREATE, EACCES},
                 {"writable.db", STORE_CREATE, EACCES}, /* but its directory is not */
                 {"readable.db", STORE_READ, 0},        {"log.db", STORE_READ, EACCES}};

    if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 100;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *s = NULL;
        struct err e = {""};
        char path[512];
        int rc;

        snprintf(path, sizeof path, "%s/%s", dir, cases[i].name);
        rc = store_open(&s, path, cases[i].mode, &e);
        if (rc == 0)
            store_close(s);
        if (rc != -cases[i].code ||
            (rc && !strstr(e.msg, strcmp(cases[i].name, "log.db") ? "Permission denied" : "a log")))
            return (int)i + 1;
    }
    return 0;
}

/* As a lab that died leaves it: a log beside the file, to be taken in by who may write there. */
static void put_database_with_log(const char *path, const char *log)
{
    sqlite3 *db = NULL;

    store_close(open_or_fail(path, STORE_CREATE));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    db_exec(db, "PRAGMA journal_mode = WAL");
    sqlite3_close(db);
    put_file(log, "left behind");
}

static void test_store__without_permission_says_so(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{"sealed.db", 0}, {"readable.db", 0444}, {"writable.db", 0666}};
    int status;
    pid_t pid;

    for (size_t i = 0; i < 3; i++) {
        store_close(open_or_fail(scratch_path(*state, files[i].name), STORE_CREATE));
        assert_int_equal(chmod(scratch_path(*state, files[i].name), files[i].mode), 0);
    }
    put_database_with_log(scratch_path(*state, "log.db"), scratch_path(*state, "log.db-wal"));
    assert_int_equal(chmod(*state, 0555), 0);
    pid = fork();
    if (pid == 0)
        _exit(refusals_of_nobody(*state));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(status, 0);
}

/* -- what a step becomes ---------------------------------------------------------------- */

static void test_store__unknown_is_null_with_a_reason_and_never_zero(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct support_options nobody = {.unprivileged = true};
    sqlite3 *db = store_handle(s);
    char run[40];
    struct err e;

    assert_int_equal(support_fork_write(s, &nobody, run, &e), 0);
    assert_string_equal(db_text(db, "SELECT distinct_kb FROM timeline WHERE step = 3"), "NULL");
    assert_string_equal(db_text(db,
                                "SELECT reason FROM unknowns WHERE step = 3 AND observed IS NULL "
                                "AND quantity = 'distinct_kb'"),
                        "page frame numbers need CAP_SYS_ADMIN");
    assert_string_equal(db_text(db, "SELECT unlocks FROM unknowns WHERE step = 3 AND observed = "
                                    "'child' AND region = 'r' AND quantity = 'debt'"),
                        "Linux 5.19 or later, as root");
    assert_int_equal(db_int(db, "SELECT count(*) FROM unknowns WHERE observed = 'parent&child' AND "
                                "quantity = 'frames'"),
                     5);
    /* Every NULL that applies has its row: these columns always apply to an actor's region. */
    assert_int_equal(db_int(db, "SELECT count(*) FROM timeline t WHERE ref_count IS NULL AND NOT "
                                "EXISTS (SELECT 1 FROM unknowns u WHERE u.step = t.step AND "
                                "u.observed = t.observed AND u.quantity = 'ref_count')"),
                     0);
    /* And what does not apply has none: who did not write has no outcome. */
    assert_int_equal(db_int(db, "SELECT count(*) FROM timeline t JOIN unknowns u USING (step, "
                                "observed) WHERE t.actor IS NOT t.observed AND u.quantity IN "
                                "('copied', 'reused', 'write_outcome')"),
                     0);
    assert_int_equal(db_int(db, "SELECT count(*) FROM expectations WHERE result = 'not checked'"),
                     1);
    store_close(s);
}

static void fill_one_region(struct observation *o)
{
    struct obs_region *r = observation_add_region(o, "parent", "r", NULL);

    assert_non_null(r);
    r->needs_copy = -1;
    r->q[RQ_PAGES] = value_known(2);
    r->q[RQ_COW] = value_inferred(2);
    r->q[RQ_REF_COUNT] = value_inferred(2);
    assert_int_equal(obs_region_add_run(r, &(struct page_run){.first = 0,
                                                              .count = 2,
                                                              .mapcount = 2,
                                                              .state = PS_COW,
                                                              .inferred = true}),
                     0);
}

static int begin(struct store *s, struct run_info *info)
{
    struct err e;

    *info =
        (struct run_info){.scenario = "s", .backend = "linux", .params = "{}", .page_size = 4096};
    return store_begin_run(s, info, &e);
}

static void test_store__inferred_values_are_marked(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct run_info info;
    struct observation o;
    struct err e;

    observation_init(&o);
    fill_one_region(&o);
    assert_int_equal(begin(s, &info), 0);
    assert_int_equal(
        store_step(
            s, info.run_id,
            &(struct step_record){.step = 1, .phase = "settled", .action = "checkpoint", .obs = &o},
            &e),
        0);
    assert_string_equal(db_text(store_handle(s), "SELECT inferred FROM timeline"), "ref_count cow");
    assert_int_equal(db_int(store_handle(s), "SELECT inferred FROM page_runs"), 1);
    observation_release(&o);
    store_close(s);
}

/* A scenario's or actor's text is a value, never SQL. */
static void test_store__text_from_outside_is_only_text(void **state)
{
    static const char evil[] = "x'); DROP TABLE run; --\"\n\xf0\x9f\x90\x84";
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct run_info info = {.scenario = evil, .backend = evil, .page_size = 4096, .source = evil};
    struct observation o;
    struct err e;

    observation_init(&o);
    assert_int_equal(store_begin_run(s, &info, &e), 0);
    assert_int_equal(store_step(s, info.run_id,
                                &(struct step_record){.step = 1,
                                                      .phase = "settled",
                                                      .action = "checkpoint",
                                                      .case_name = evil,
                                                      .obs = &o},
                                &e),
                     0);
    assert_string_equal(db_text(store_handle(s), "SELECT scenario FROM steps"), evil);
    assert_string_equal(db_text(store_handle(s), "SELECT case_name FROM steps"), evil);
    observation_release(&o);
    store_close(s);
}

static void test_store__a_step_is_stored_whole_or_not_at_all(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct step_record r = {.step = 1, .phase = "settled", .action = "checkpoint"};
    struct store_expectation bad = {.on = NULL, .key = "k", .expected = "1", .held = 1};
    struct run_info info;
    struct observation o;
    struct err e = {""};

    observation_init(&o);
    fill_one_region(&o);
    r.obs = &o;
    assert_int_equal(begin(s, &info), 0);
    assert_int_equal(store_step(s, info.run_id, &r, &e), 0);
    assert_string_equal(e.msg, ""); /* untouched on success */
    /* The last row of step 2 is refused: none of its earlier rows may stay. */
    r.step = 2;
    r.expectations = &bad;
    r.nexpectations = 1;
    assert_int_equal(store_step(s, info.run_id, &r, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "cannot store step 2"));
    assert_int_equal(db_int(store_handle(s), "SELECT max(step) FROM step"), 1);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM region"), 1);
    /* And the store goes on. */
    r.nexpectations = 0;
    assert_int_equal(store_step(s, info.run_id, &r, &e), 0);
    assert_int_equal(store_step(s, info.run_id, &r, &e), -EINVAL); /* a second step 2 */
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM region"), 2);
    observation_release(&o);
    store_close(s);
}

static void test_store__a_code_without_a_word_is_an_error(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct step_record r = {.step = 1, .phase = "settled", .action = "checkpoint"};
    struct run_info info;
    struct observation o;
    struct err e;

    observation_init(&o);
    fill_one_region(&o);
    o.regions[0].q[RQ_SHARE_MODE] = value_known(42);
    r.obs = &o;
    assert_int_equal(begin(s, &info), 0);
    assert_int_equal(store_step(s, info.run_id, &r, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "word"));
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM step"), 0);
    observation_release(&o);
    store_close(s);
}

/* -- runs ------------------------------------------------------------------------------- */

static void test_store__run_ids_carry_time_and_63_random_bits(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    struct run_info info;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(begin(s, &info), 0);
        assert_int_equal(strlen(info.run_id), 32);
        assert_int_equal(strspn(info.run_id, "0123456789abcdef-"), 32);
        assert_int_equal(info.run_id[8], '-');
        assert_int_equal(info.run_id[15], '-');
    }
    assert_int_equal(db_int(store_handle(s), "SELECT count(DISTINCT run_id) FROM runs"), 50);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM run WHERE run < 1"), 0);
    store_close(s);
}

static void test_store__a_run_is_found_by_what_people_type(void **state)
{
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    char first[40], second[40], found[40];
    struct err e;

    assert_int_equal(store_find_run(s, "latest", found, &e), -ENOENT);
    assert_int_equal(support_fork_write(s, NULL, first, &e), 0);
    assert_int_equal(support_fork_write(s, NULL, second, &e), 0);
    assert_int_equal(store_find_run(s, first, found, &e), 0);
    assert_string_equal(found, first);
    assert_int_equal(store_find_run(s, first + 18, found, &e), 0);
    assert_string_equal(found, first);
    assert_int_equal(store_find_run(s, "latest", found, &e), 0);
    assert_string_equal(found, second);
    assert_int_equal(store_find_run(s, "-", found, &e), -EINVAL);
    assert_non_null(strstr(e.msg, first));
    assert_non_null(strstr(e.msg, second));
    assert_int_equal(store_find_run(s, "nothing", found, &e), -ENOENT);
    assert_int_equal(store_find_run(s, "%", found, &e), -ENOENT);
    assert_int_equal(store_find_run(s, "", found, &e), -EINVAL);
    store_close(s);
}

static void test_store__ending_a_run_records_how(void **state)
{
    static const struct {
        enum run_status status;
        const char *text;
    } cases[] = {
        {RUN_COMPLETE, "complete"}, {RUN_FAILED, "failed"}, {RUN_INTERRUPTED, "interrupted"}};
    struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);
    char run[40];
    struct err e;

    for (size_t i = 0; i < 3; i++) {
        struct support_options opt = {.status = cases[i].status};
        char *sql;

        assert_int_equal(support_fork_write(s, &opt, run, &e), 0);
        sql =
            sqlite3_mprintf("SELECT status || ' ' || duration_ms FROM runs WHERE run_id = %Q", run);
        assert_string_equal(strtok((char *)db_text(store_handle(s), sql), " "), cases[i].text);
        sqlite3_free(sql);
    }
    assert_int_equal(
        store_end_run(s, "20260101-000000-0000000000000001", RUN_COMPLETE, 1, NULL, &e), -ENOENT);
    store_close(s);
}

/* -- the end of a lab ------------------------------------------------------------------- */

/* A lab that stores steps as fast as it can and says each finished one down the pipe. */
static void busy_lab(const char *path, int fd)
{
    struct store *s = NULL;
    struct run_info info;
    struct observation o;
    struct err e;

    observation_init(&o);
    if (store_open(&s, path, STORE_CREATE, &e) != 0 || begin(s, &info) != 0)
        _exit(1);
    for (int i = 0; i < 4; i++) {
        struct obs_region *r = observation_add_region(&o, "parent", "r", "case");

        if (!r)
            _exit(1);
        r->needs_copy = -1;
        for (uint64_t k = 0; k < 40; k++)
            if (obs_region_add_run(r, &(struct page_run){.first = 2 * k, .count = 1}))
                _exit(1);
    }
    if (write(fd, info.run_id, 32) != 32)
        _exit(1);
    for (int n = 1;; n++) {
        if (store_step(s, info.run_id,
                       &(struct step_record){
                           .step = n, .phase = "settled", .action = "checkpoint", .obs = &o},
                       &e) != 0 ||
            write(fd, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

static pid_t start_busy_lab(const char *path, int *fd, char run_id[40])
{
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0)
        busy_lab(path, pipes[1]);
    close(pipes[1]);
    *fd = pipes[0];
    memset(run_id, 0, 40);
    assert_int_equal(read(*fd, run_id, 32), 32);
    return pid;
}

static void msleep(int us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000L}, NULL);
}

/* A step that store_step reported is there after a kill at any instant, whole. */
static void test_store__a_kill_loses_no_finished_step(void **state)
{
    const char *path = scratch_keep(*state, "killed.db");

    for (int round = 0; round < 30; round++) {
        int fd, n = 0, last = 0, stored;
        char run[40], *sql;
        pid_t pid = start_busy_lab(path, &fd, run);
        struct store *s;

        msleep(500 + round * 613 % 9000);
        kill(pid, SIGKILL);
        while (read(fd, &n, sizeof n) == sizeof n)
            last = n;
        close(fd);
        waitpid(pid, NULL, 0);
        s = open_or_fail(path, STORE_CREATE);
        assert_string_equal(db_text(store_handle(s), "PRAGMA integrity_check"), "ok");
        assert_string_equal(db_text(store_handle(s), "SELECT * FROM pragma_foreign_key_check"),
                            "NULL");
        sql = sqlite3_mprintf("SELECT count(*) FROM steps WHERE run_id = %Q", run);
        stored = (int)db_int(store_handle(s), sql);
        sqlite3_free(sql);
        assert_true(stored == last || stored == last + 1);
        sql = sqlite3_mprintf("SELECT count(*) FROM page_runs WHERE run_id = %Q", run);
        assert_int_equal(db_int(store_handle(s), sql), stored * 160);
        sqlite3_free(sql);
        sql = sqlite3_mprintf("SELECT status FROM runs WHERE run_id = %Q", run);
        assert_string_equal(db_text(store_handle(s), sql), "crashed");
        sqlite3_free(sql);
        store_close(s);
    }
}

static void test_store__a_kill_while_creating_leaves_a_usable_file(void **state)
{
    for (int round = 0; round < 40; round++) {
        const char *path = scratch_path(*state, "created.db");
        struct store *s;
        pid_t pid = fork();

        if (pid == 0) {
            struct store *t = NULL;
            struct err e;

            if (store_open(&t, path, STORE_CREATE, &e) == 0)
                store_close(t);
            _exit(0);
        }
        msleep(round * 200);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        s = open_or_fail(path, STORE_CREATE);
        assert_string_equal(db_text(store_handle(s), "PRAGMA integrity_check"), "ok");
        assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM runs"), 0);
        store_close(s);
        unlink(path);
    }
}

/* Another lab that shares the file is alive: its run is its own. */
static void test_store__a_live_labs_run_is_left_running(void **state)
{
    const char *path = scratch_keep(*state, "shared.db");
    char run[40], *sql;
    int fd;
    pid_t pid = start_busy_lab(path, &fd, run);
    struct store *s = open_or_fail(path, STORE_CREATE);

    sql = sqlite3_mprintf("SELECT status FROM runs WHERE run_id = %Q", run);
    assert_string_equal(db_text(store_handle(s), sql), "running");
    store_close(s);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
    s = open_or_fail(path, STORE_CREATE);
    assert_string_equal(db_text(store_handle(s), sql), "crashed");
    sqlite3_free(sql);
    store_close(s);
}

static void test_store__a_process_number_used_again_is_another_process(void **state)
{
    const char *path = scratch_keep(*state, "reuse.db");
    struct support_options opt = {.status = RUN_RUNNING};
    struct store *s = open_or_fail(path, STORE_CREATE);
    char run[40];
    struct err e;

    assert_int_equal(support_fork_write(s, &opt, run, &e), 0);
    store_close(s);
    s = open_or_fail(path, STORE_CREATE); /* our own, still alive */
    assert_string_equal(db_text(store_handle(s), "SELECT status FROM runs"), "running");
    db_exec(store_handle(s), "UPDATE run SET lab_namespace = 1, lab_start = 1");
    store_close(s);
    s = open_or_fail(path, STORE_CREATE); /* a container whose numbers mean nothing here */
    assert_string_equal(db_text(store_handle(s), "SELECT status FROM runs"), "running");
    db_exec(store_handle(s), "UPDATE run SET lab_boot = 'of another boot'");
    store_close(s);
    s = open_or_fail(path, STORE_CREATE);
    assert_string_equal(db_text(store_handle(s), "SELECT status FROM runs"), "crashed");
    store_close(s);

    unlink(path);
    s = open_or_fail(path, STORE_CREATE);
    assert_int_equal(support_fork_write(s, &opt, run, &e), 0);
    db_exec(store_handle(s), "UPDATE run SET lab_start = lab_start - 1"); /* same number, older */
    store_close(s);
    s = open_or_fail(path, STORE_CREATE);
    assert_string_equal(db_text(store_handle(s), "SELECT status FROM runs"), "crashed");
    store_close(s);
}

/* -- contention and space --------------------------------------------------------------- */

static void test_store__a_busy_database_is_waited_for_then_named(void **state)
{
    const char *path = scratch_path(*state, "busy.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    struct run_info info = {.scenario = "s", .backend = "b", .page_size = 4096};
    struct timespec a, b;
    sqlite3 *other = NULL;
    struct err e = {""};
    double waited;

    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    db_exec(other, "BEGIN IMMEDIATE");
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(store_begin_run(s, &info, &e), -EBUSY);
    clock_gettime(CLOCK_MONOTONIC, &b);
    waited = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    assert_true(waited > 4.5);
    assert_non_null(strstr(e.msg, path));
    assert_non_null(strstr(e.msg, "locked"));
    db_exec(other, "ROLLBACK");
    assert_int_equal(store_begin_run(s, &info, &e), 0);
    sqlite3_close(other);
    store_close(s);
}

static void test_store__two_labs_write_side_by_side(void **state)
{
    const char *path = scratch_keep(*state, "two.db");
    int status;
    pid_t pid[2];
    struct store *s;

    for (int i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            struct store *t = NULL;
            struct err e;
            char run[40];
            int rc = store_open(&t, path, STORE_CREATE, &e);

            for (int k = 0; k < 20 && rc == 0; k++)
                rc = support_fork_write(t, NULL, run, &e);
            store_close(t);
            _exit(rc != 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        waitpid(pid[i], &status, 0);
        assert_int_equal(status, 0);
    }
    s = open_or_fail(path, STORE_READ);
    assert_int_equal(db_int(store_handle(s), "SELECT count(*) FROM runs WHERE status = 'complete' "
                                             "AND steps = 7"),
                     40);
    assert_string_equal(db_text(store_handle(s), "PRAGMA integrity_check"), "ok");
    store_close(s);
}

/* Stores runs until it fails; returns how many runs were complete. */
static int fill_up(struct store *s, int *rc, struct err *e)
{
    char run[40];
    int n = 0;

    while ((*rc = support_fork_write(s, NULL, run, e)) == 0 && n < 100000)
        n++;
    return n;
}

static void expect_kept(const char *path, int complete)
{
    struct store *s = open_or_fail(path, STORE_READ);

    assert_string_equal(db_text(store_handle(s), "PRAGMA integrity_check"), "ok");
    assert_int_equal(db_int(store_handle(s),
                            "SELECT count(*) FROM runs WHERE status = 'complete' AND steps = 7"),
                     complete);
    store_close(s);
}

static void test_store__a_full_database_keeps_finished_steps(void **state)
{
    const char *path = scratch_keep(*state, "full.db");
    struct store *s = open_or_fail(path, STORE_CREATE);
    struct err e = {""};
    int n, rc;

    db_exec(store_handle(s), "PRAGMA max_page_count = 100");
    n = fill_up(s, &rc, &e);
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(e.msg, "No space left"));
    assert_non_null(strstr(e.msg, path));
    store_close(s);
    expect_kept(path, n);
}

/* For forked children, which must not fail as cmocka does. */
static int64_t plain_int(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t n = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

/* In a child with a mount namespace of its own, so that a crash leaves no mount. */
static int fill_tmpfs(const char *dir)
{
    struct store *s = NULL;
    struct err e = {""};
    char path[512];
    int n, rc;

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("cowlab-test", dir, "tmpfs", 0, "size=1m") != 0)
        return 77;
    snprintf(path, sizeof path, "%s/full.db", dir);
    if (store_open(&s, path, STORE_CREATE, &e) != 0)
        return 1;
    n = fill_up(s, &rc, &e);
    if (rc != -ENOSPC || n < 1)
        return 2;
    store_close(s);
    if (store_open(&s, path, STORE_READ, &e) != 0)
        return 3;
    if (plain_int(store_handle(s), "SELECT count(*) FROM runs WHERE status = 'complete'") != n)
        rc = 4;
    else if (plain_int(store_handle(s),
                       "SELECT integrity_check = 'ok' FROM pragma_integrity_check") != 1)
        rc = 5;
    else
        rc = 0;
    store_close(s);
    return rc;
}

static void test_store__a_full_disk_keeps_finished_steps(void **state)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fill_tmpfs(*state));
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("# needs a mount namespace (root)\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_store__leaves_no_descriptor_and_no_memory(void **state)
{
    int before = count_descriptors();
    char run[40];
    struct err e;

    for (int i = 0; i < 3; i++) {
        struct store *s = open_or_fail(scratch_path(*state, "a.db"), STORE_CREATE);

        assert_int_equal(support_fork_write(s, NULL, run, &e), 0);
        store_close(s);
        store_close(open_or_fail(scratch_path(*state, "a.db"), STORE_READ));
        expect_refused(*state, STORE_CREATE, EISDIR, "directory");
    }
    store_close(NULL);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(sqlite3_memory_used(), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_store__a_new_database_says_whose_it_is),
        T(test_store__a_closed_database_is_complete),
        T(test_store__a_reader_does_not_block),
        T(test_store__a_file_that_was_removed_takes_nothing),
        T(test_store__an_empty_file_or_database_becomes_ours),
        T(test_store__another_programs_file_is_refused_and_untouched),
        T(test_store__another_programs_log_is_left_alone),
        T(test_store__a_newer_schema_is_refused_with_both_versions),
        T(test_store__what_is_no_file_is_refused),
        T(test_store__every_name_is_a_files),
        T(test_store__without_permission_says_so),
        T(test_store__unknown_is_null_with_a_reason_and_never_zero),
        T(test_store__inferred_values_are_marked),
        T(test_store__text_from_outside_is_only_text),
        T(test_store__a_step_is_stored_whole_or_not_at_all),
        T(test_store__a_code_without_a_word_is_an_error),
        T(test_store__run_ids_carry_time_and_63_random_bits),
        T(test_store__a_run_is_found_by_what_people_type),
        T(test_store__ending_a_run_records_how),
        T(test_store__a_kill_loses_no_finished_step),
        T(test_store__a_kill_while_creating_leaves_a_usable_file),
        T(test_store__a_live_labs_run_is_left_running),
        T(test_store__a_process_number_used_again_is_another_process),
        T(test_store__a_busy_database_is_waited_for_then_named),
        T(test_store__two_labs_write_side_by_side),
        T(test_store__a_full_database_keeps_finished_steps),
        T(test_store__a_full_disk_keeps_finished_steps),
        T(test_store__leaves_no_descriptor_and_no_memory),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
