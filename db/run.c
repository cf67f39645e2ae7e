/* run: the life of a run: begun, ended, found; crashed, if its lab died.
 *
 * 1. A run that is `running` belongs to the live process named in its row, or it is marked
 *    `crashed` by the next store that opens the file; where that may not write, in its own copy.
 * 2. A disk that a step has filled still takes the run's last word: some space is held back for it
 *    in a file without a name, where the file system has such. */
#include "db/run.h"

#include "db/sql.h"
#include "db/store.h"
#include "probes/footprint.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RESERVE_BYTES (32 * 1024)

static const char *const status_text[] = {NULL,     "running",     "complete",
                                          "failed", "interrupted", "crashed"};

/* A process, so that it can be told from a later one with the same number. */
struct identity {
    int64_t pid, start, namespace; /* start: clock ticks after boot */
    char boot[40];
};

/* -- who writes a run ------------------------------------------------------------------- */

static int64_t start_of(int64_t pid)
{
    struct footprint f;

    return footprint_stat((pid_t)pid, &f) == 0 ? (int64_t)f.start_time : 0;
}

static void identify_self(struct identity *id)
{
    struct stat st;
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(id, 0, sizeof *id);
    if (f) {
        if (!fgets(id->boot, sizeof id->boot, f))
            id->boot[0] = '\0';
        id->boot[strcspn(id->boot, "\n")] = '\0';
        fclose(f);
    }
    id->pid = getpid();
    id->start = start_of(id->pid);
    id->namespace = stat("/proc/self/ns/pid", &st) == 0 ? (int64_t)st.st_ino : 0;
}

/* May the process that wrote this row still be alive? When in doubt, yes: a run wrongly left
 * `running` is marked later, a live one must not be. */
static bool may_live(const struct identity *self, sqlite3_stmt *st)
{
    int64_t pid = sqlite3_column_int64(st, 1), start = sqlite3_column_int64(st, 2), now;
    const char *boot = (const char *)sqlite3_column_text(st, 4);

    if (!boot || strcmp(boot, self->boot) != 0)
        return false; /* of before a reboot, or merged from another machine */
    if (sqlite3_column_int64(st, 3) != self->namespace)
        return true; /* another container: its process numbers mean nothing here */
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return false;
    now = start_of(pid);
    return now == 0 || now == start; /* 0: hidden from here */
}

int runs_crashed(struct store *s, bool mark, struct err *e)
{
    static const char list[] = "SELECT run, lab_pid, lab_start, lab_namespace, lab_boot FROM run "
                               "WHERE status = 'running'";
    struct identity self;
    sqlite3_stmt *runs = NULL;
    int rc, step, n = 0;

    /* Who writes all the time would hold us up for nothing. */
    if (mark && (rc = runs_crashed(s, false, e)) <= 0)
        return rc;
    /* Begun as a writer: from a reader's snapshot there is no way to one that others changed. */
    rc = mark ? sql_exec(s, e, "BEGIN IMMEDIATE", CANNOT_WRITE) : 0;
    if (rc)
        return rc;
    identify_self(&self);
    step = sqlite3_prepare_v2(s->db, list, -1, &runs, NULL);
    while (rc == 0 && (step == SQLITE_OK || step == SQLITE_ROW)) {
        step = sqlite3_step(runs);
        if (step != SQLITE_ROW || may_live(&self, runs))
            continue;
        n++;
        if (mark)
            rc = sql_execf(s, e, CANNOT_WRITE,
                           "UPDATE run SET status = 'crashed', message = 'the lab died while "
                           "running' WHERE run = %lld AND status = 'running'",
                           sqlite3_column_int64(runs, 0));
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = sql_err(s, e, step, mark ? CANNOT_WRITE : CANNOT_READ);
    sqlite3_finalize(runs);
    if (rc == 0 && mark)
        rc = sql_exec(s, e, "COMMIT", CANNOT_WRITE);
    if (rc && mark)
        sql_rollback(s);
    return rc ? rc : n;
}

/* -- room for the last word ---------------------------------------------------------------- */

void reserve_give(struct store *s)
{
    if (s->reserve >= 0)
        close(s->reserve);
    s->reserve = -1;
}

/* The file is gone with this process, however that ends. Without O_TMPFILE (open(2)) or space there
 * is none. */
void reserve_take(struct store *s)
{
    char *copy = strdup(s->file);

    s->reserve = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
    if (s->reserve >= 0 && fallocate(s->reserve, 0, 0, RESERVE_BYTES) != 0)
        reserve_give(s);
    free(copy);
}

/* -- runs ------------------------------------------------------------------------------- */

void run_info_release(struct run_info *info)
{
    free(info->kernel);
    free(info->machine);
    free(info->capabilities);
    free(info->ability);
    info->kernel = info->machine = info->capabilities = info->ability = NULL;
}

int64_t run_key(const char *run_id)
{
    char *end;
    unsigned long long key;

    if (strlen(run_id) != 32 || run_id[15] != '-')
        return 0;
    key = strtoull(run_id + 16, &end, 16);
    return *end || key > INT64_MAX ? 0 : (int64_t)key;
}

/* 63 random bits: two machines that never met do not collide. */
int new_id(const char *prefix, char id[40], char started[40], int64_t *out, struct err *e)
{
    uint64_t key = 0;
    struct timespec now;
    struct tm utc;
    char when[20];
    size_t n;

    while (key == 0) {
        if (getrandom(&key, sizeof key, 0) != sizeof key)
            return err_sys(e, errno, "cannot get random bytes for an id");
        key &= INT64_MAX;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &utc);
    snprintf(id, 40, "%s%s-%016llx", prefix, when, (unsigned long long)key);
    *out = (int64_t)key;
    n = strftime(started, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(started + n, 40 - n, ".%06ldZ", now.tv_nsec / 1000);
    return 0;
}

static int bind_run(sqlite3_stmt *st, const struct run_info *info, int64_t key, const char *run_id,
                    const char *started)
{
    const char *text[] = {info->scenario,
                          info->title,
                          info->question,
                          info->backend,
                          info->twin,
                          info->no_twin,
                          info->params ? info->params : "{}",
                          info->source,
                          info->kernel,
                          info->machine,
                          info->capabilities,
                          info->ability};
    struct identity self;
    int n = 2, rc = SQLITE_OK;

    identify_self(&self);
    rc |= sqlite3_bind_int64(st, 1, key);
    rc |= sqlite3_bind_text(st, 2, run_id, -1, SQLITE_STATIC);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        rc |= sql_bind(st, ++n, text[i]);
    rc |= sqlite3_bind_int64(st, ++n, (int64_t)info->page_size);
    rc |= sqlite3_bind_text(st, ++n, started, -1, SQLITE_STATIC);
    rc |= sqlite3_bind_int64(st, ++n, self.pid);
    rc |= sqlite3_bind_int64(st, ++n, self.start);
    rc |= sqlite3_bind_int64(st, ++n, self.namespace);
    rc |= sqlite3_bind_text(st, ++n, self.boot, -1, SQLITE_TRANSIENT);
    if (info->series) {
        rc |= sqlite3_bind_int64(st, ++n, info->series);
        rc |= sqlite3_bind_int(st, ++n, info->warm_up);
    }
    return rc == SQLITE_OK ? SQLITE_OK : SQLITE_NOMEM;
}

int store_begin_run(struct store *s, struct run_info *info, struct err *e)
{
    static const char insert[] =
        "INSERT INTO run (run, run_id, scenario, title, question, backend, twin, no_twin, params, "
        "source, kernel, machine, capabilities, ability, page_size, started_at, lab_pid, "
        "lab_start, "
        "lab_namespace, lab_boot, series, warm_up, status) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')";
    char run_id[40], started[40];
    sqlite3_stmt *st = NULL;
    int64_t key = 0;
    int rc = new_id("", run_id, started, &key, e);

    if (rc)
        return rc;
    rc = sqlite3_prepare_v2(s->db, insert, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = bind_run(st, info, key, run_id, started);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_DONE) {
        memcpy(info->run_id, run_id, sizeof run_id);
        rc = 0;
    } else {
        rc = sql_err(s, e, rc, CANNOT_WRITE);
    }
    sqlite3_finalize(st);
    return rc;
}

/* By the disk, or by a limit on a file's size. */
static bool no_room(int rc)
{
    return rc == SQLITE_FULL || rc == SQLITE_IOERR_WRITE;
}

int store_end_run(struct store *s, const char *run_id, enum run_status status, uint64_t dur_ns,
                  const char *message, struct err *e)
{
    static const char update[] =
        "UPDATE run SET status = ?, duration_ns = ?, message = ? WHERE run = ?";
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, update, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, status_text[status], -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, (int64_t)dur_ns);
        sql_bind(st, 3, message);
        sqlite3_bind_int64(st, 4, run_key(run_id));
        rc = sqlite3_step(st);
        if (no_room(rc)) {
            sqlite3_reset(st);
            reserve_give(s);
            rc = sqlite3_step(st);
        }
        if (no_room(rc)) {
            /* Space that the log no longer needs after a checkpoint may be enough for this. */
            sqlite3_reset(st);
            sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
            rc = sqlite3_step(st);
        }
    }
    if (rc != SQLITE_DONE)
        rc = sql_err(s, e, rc, CANNOT_WRITE);
    else if (sqlite3_changes(s->db) != 1)
        rc = err_set(e, ENOENT, "no run '%s' in '%s'", run_id, s->path);
    else
        rc = 0;
    sqlite3_finalize(st);
    return rc;
}

/* By what a user typed: an id, or a unique part of one. find: gives ids, and whether each is what
 * was typed in full (?1), that one first. what: what they are ids of. */
static int find_id(struct store *s, const char *find, const char *what, const char *typed,
                   char id[40], struct err *e)
{
    sqlite3_stmt *st = NULL;
    char list[256] = "", first[40] = "";
    int n = 0, rc = sqlite3_prepare_v2(s->db, find, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, typed, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(st, 0);

        rc = SQLITE_OK;
        if (n++ == 0)
            snprintf(first, sizeof first, "%s", found ? found : "");
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", n > 1 ? ", " : "", found);
        if (sqlite3_column_int(st, 1)) { /* typed in full */
            rc = SQLITE_DONE;
            break;
        }
    }
    if (rc != SQLITE_DONE)
        rc = sql_err(s, e, rc, CANNOT_READ);
    else if (n == 0 && strcmp(typed, "latest") == 0)
        rc = err_set(e, ENOENT, "no run in '%s'", s->path);
    else if (n == 0)
        rc = err_set(e, ENOENT, "no %s '%s' in '%s'", what, typed, s->path);
    else if (n > 1)
        rc = err_set(e, EINVAL, "'%s' fits several %s: %s%s", typed,
                     strcmp(what, "run") == 0 ? "runs" : what, list, n == 5 ? ", ..." : "");
    else
        rc = 0;
    sqlite3_finalize(st);
    if (rc == 0)
        memcpy(id, first, sizeof first);
    return rc;
}

/* A run id contains only digits, letters and '-': '*' and '?' in what was typed match nothing. */
int store_find_run(struct store *s, const char *typed, char run_id[40], struct err *e)
{
    return find_id(s,
                   "SELECT run_id, run_id = ?1 FROM run "
                   "WHERE ?1 = 'latest' OR instr(run_id, ?1) > 0 "
                   "ORDER BY run_id = ?1 DESC, started_at DESC, run_id LIMIT CASE ?1 "
                   "WHEN 'latest' THEN 1 ELSE 5 END",
                   "run", typed, run_id, e);
}

/* -- series ----------------------------------------------------------------------------- */

int store_begin_series(struct store *s, struct series_info *info, struct err *e)
{
    char started[40];
    sqlite3_stmt *st = NULL;
    int rc = new_id(SERIES_PREFIX, info->series_id, started, &info->series, e);

    if (rc)
        return rc;
    rc = sqlite3_prepare_v2(s->db,
                            "INSERT INTO series (series, series_id, started_at, seed, repeat, "
                            "planned, spec) VALUES (?, ?, ?, ?, ?, ?, ?)",
                            -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, info->series);
        sqlite3_bind_text(st, 2, info->series_id, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 3, started, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 4, info->seed);
        sqlite3_bind_int64(st, 5, info->repeat);
        sqlite3_bind_int64(st, 6, info->planned);
        sql_bind(st, 7, info->spec);
        rc = sqlite3_step(st);
    }
    rc = rc == SQLITE_DONE ? 0 : sql_err(s, e, rc, CANNOT_WRITE);
    sqlite3_finalize(st);
    return rc;
}

int store_find_series(struct store *s, const char *typed, char series_id[40], struct err *e)
{
    return find_id(s,
                   "SELECT series_id, series_id = ?1 FROM series WHERE instr(series_id, ?1) > 0 "
                   "ORDER BY series_id = ?1 DESC, started_at DESC, series_id LIMIT 5",
                   "series", typed, series_id, e);
}
