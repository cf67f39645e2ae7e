/* The report of a watch: sentences follow the data, the same database gives the same bytes, and a
 * process cannot break out of its name. The watch is invented; it goes in through the store. */
#include "reports/report.h"
#include "reports/watch/sections.h"
#include "tests/support/db.h"
#include "tests/support/xml.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOSTILE "w|`<script>&[z](http://h)_\x1b[31m"
#define KB_PAGE 4

struct fixture {
    struct stored in;
    struct store_watch *watch;
    struct run_info info;
    int sample;
};

/* The server and one worker at a sample: what the worker has in common with it, by part, in KiB;
 * given_back: what it has less of by now it lost to no write. */
struct moment {
    int64_t heap_kb, anonymous_kb, copied_kb;
    bool given_back;
    int64_t server_copied_kb;
};

static void add_process(struct observation *o, const char *actor, int64_t pid, int64_t parent_kb,
                        int64_t copied_kb)
{
    struct obs_process *p = observation_add_process(o, actor);

    assert_non_null(p);
    p->pid = (int)pid;
    p->q[PQ_RSS] = value_known(262144);
    p->q[PQ_PSS] = value_known(131072);
    p->q[PQ_USS] = value_known(1024);
    p->q[PQ_SHARED_PARENT] = parent_kb < 0 ? value_na() : value_known(parent_kb);
    p->q[PQ_COPIED] = value_known(copied_kb);
    p->q[PQ_AT_RISK] = value_known(1024);
}

static void add_region(struct observation *o, struct store_watch_region *w, const char *name,
                       const char *start, enum region_kind kind, uint64_t at, int64_t kb,
                       int64_t lost_kb)
{
    struct obs_region *r = observation_add_region(o, "worker[77]", name, start);

    assert_non_null(r);
    r->start = r->entry_start = at;
    r->end = r->entry_end = at + (256 << 20);
    r->needs_copy = -1;
    r->q[RQ_SHARE_MODE] = value_known(SM_COW);
    *w = (struct store_watch_region){.kind = kind,
                                     .parent_pages = value_known(kb / KB_PAGE),
                                     .copied = value_known(0),
                                     .lost = value_known(lost_kb / KB_PAGE),
                                     .bins = "9999999999999999999999999999999900000000000000000000"
                                             "000000000000"};
}

static void take(struct fixture *f, const struct moment *before, const struct moment *m,
                 const char *name)
{
    int64_t heap_lost = m->given_back ? 0 : before->heap_kb - m->heap_kb;
    int64_t anonymous_lost = m->given_back ? 0 : before->anonymous_kb - m->anonymous_kb;
    const struct store_watch_process came[] = {{"server[7]", 7, 70, NULL, "server", "server", -1},
                                               {"worker[77]", 77, 99, "server[7]", name, name, 0}};
    struct store_watch_sample s = {.dur_ns = 5000000,
                                   .growth_kb = value_known(2048),
                                   .copied_kb = value_known(m->copied_kb),
                                   .thp = "never"};
    struct store_watch_region regions[2];
    struct observation o;
    struct err e;

    observation_init(&o);
    o.t_ns = (uint64_t)(f->sample + 1) * 1000000000;
    o.totals[TQ_DISTINCT] = value_known(270000);
    o.totals[TQ_MEM_AVAILABLE] = value_known(1048576);
    add_process(&o, "server[7]", 7, -1, m->server_copied_kb);
    add_process(&o, "worker[77]", 77, m->heap_kb + m->anonymous_kb, m->copied_kb);
    o.processes[1].q[PQ_LOST] = value_known(heap_lost + anonymous_lost);
    add_region(&o, &regions[0], "[heap]", "1000000", RK_HEAP, 0x1000000, m->heap_kb, heap_lost);
    add_region(&o, &regions[1], "anonymous", "7f0000000000", RK_ANON, 0x7f0000000000,
               m->anonymous_kb, anonymous_lost);
    if (store_step(f->in.store, f->info.run_id,
                   &(struct step_record){.step = ++f->sample,
                                         .phase = "settled",
                                         .action = "sample",
                                         .obs = &o,
                                         .watch = f->watch,
                                         .came = came,
                                         .ncame = f->sample == 1 ? 2 : 0,
                                         .sample = &s,
                                         .regions = regions},
                   &e))
        fail_msg("%s", e.msg);
    observation_release(&o);
}

static void record(struct fixture *f, const char *name, const struct moment *first,
                   const struct moment *last)
{
    struct err e;

    f->info = (struct run_info){.scenario = "watch", .backend = "linux", .page_size = 4096};
    f->info.title = name;
    f->sample = 0;
    assert_int_equal(store_begin_run(f->in.store, &f->info, &e), 0);
    take(f, first, first, name);
    take(f, first, last, name);
    assert_int_equal(store_end_run(f->in.store, f->info.run_id, RUN_COMPLETE, 1, NULL, &e), 0);
}

static int set_up(void **state)
{
    struct fixture *f = stored_new(sizeof *f);
    struct store_watch_options every = {.pace = 1};
    struct err e;

    assert_int_equal(store_watch_new(&f->watch, &every, &e), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    store_watch_free(f->watch);
    return stored_tear_down(state);
}

static char *report(struct fixture *f, const char *file)
{
    const char *run = f->info.run_id;
    struct err e;

    if (report_markdown(f->in.store, &run, 1, scratch_path(f->in.dir, file), &e))
        fail_msg("%s", e.msg);
    return slurp(scratch_path(f->in.dir, file), NULL);
}

static char *terminal(struct fixture *f)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct err e;

    assert_non_null(out);
    assert_int_equal(report_watch(f->in.store, f->info.run_id, out, &e), 0);
    fclose(out);
    return text;
}

/* Without the line breaks of a narrow screen. */
static char *unwrapped(char *text)
{
    for (char *at; (at = strstr(text, "\n    "));) {
        *at = ' ';
        memmove(at + 1, at + 5, strlen(at + 5) + 1);
    }
    return text;
}

static void assert_says(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("not said: %s\n%.3000s", what, text);
}

static const struct moment all = {200 * 1024, 40 * 1024, 0, false, 0};
static const struct moment little = {7 * 1024, 23 * 1024, 210 * 1024, false, 0};

static void test_report_watch__a_loss_is_named_with_its_evidence(void **state)
{
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &little);
    text = report(f, "r.md");
    /* 193 of 210 MiB were in the heap. */
    assert_says(text, "The child (worker, pid 77) lost 210.0 MiB of 240.0 MiB shared with its "
                      "parent, 91 % of it in \\[heap\\]; its own writes copied 210.0 MiB.");
    assert_says(text, "it can grow by 2.00 MiB more; 1.00 GiB free.");
    assert_says(text, "A sample is not atomic");
    free(text);
}

static void test_report_watch__the_sentence_changes_with_the_data(void **state)
{
    struct fixture *f = *state;
    const struct moment other = {200 * 1024, 10 * 1024, 0, false, 0};
    char *text;

    record(f, "worker", &all, &other);
    text = report(f, "r.md");
    assert_says(text, "lost 30.0 MiB of 240.0 MiB shared with its parent, 100 % of it in "
                      "anonymous mappings; its own writes copied 0 KiB.");
    assert_null(strstr(text, "of it in \\[heap\\]"));
    free(text);
}

/* Whose writes it was that ended the sharing: the parent's are named where the worker's own are
 * less than half of what it lost, and less than the parent's. */
static void test_report_watch__a_loss_by_the_parents_writes_is_the_parents(void **state)
{
    static const struct {
        int64_t own_kb, server_kb;
        const char *says;
    } cases[] = {
        {0, 30 * 1024, "; its own writes copied 0 KiB, its parent's 30.0 MiB."},
        {14 * 1024, 16 * 1024, "; its own writes copied 14.0 MiB, its parent's 16.0 MiB."},
        {15 * 1024, 30 * 1024, "; its own writes copied 15.0 MiB."},
        {5 * 1024, 5 * 1024, "; its own writes copied 5.00 MiB."},
        {5 * 1024, 2 * 1024, "; its own writes copied 5.00 MiB."},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct moment then = {200 * 1024, 10 * 1024, cases[i].own_kb, false, cases[i].server_kb};
        struct fixture *f;
        char *text;

        if (i) {
            tear_down(state);
            set_up(state);
        }
        f = *state;
        record(f, "worker", &all, &then);
        text = report(f, "r.md");
        assert_says(text, cases[i].says);
        free(text);
    }
}

static void test_report_watch__nothing_lost_is_said_too(void **state)
{
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &all);
    text = report(f, "r.md");
    assert_says(text, "1 child kept what it shared with the parent: at most 0 KiB of 240.0 MiB");
    assert_null(strstr(text, "% of it in"));
    free(text);
}

static void test_report_watch__what_was_given_back_is_not_lost(void **state)
{
    struct fixture *f = *state;
    const struct moment less = {7 * 1024, 23 * 1024, 0, true, 0};
    char *text;

    record(f, "worker", &all, &less);
    text = report(f, "r.md");
    assert_says(text, "1 child kept what it shared with the parent: at most 0 KiB of 240.0 MiB");
    assert_null(strstr(text, "% of it in"));
    free(text);
}

/* Rows of a program that did not count what was lost: the difference is all there is. */
static void test_report_watch__an_older_database_tells_by_the_difference(void **state)
{
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &little);
    db_exec(f->in.db, "UPDATE process SET lost_kb = NULL");
    db_exec(f->in.db, "UPDATE watch_region SET lost = NULL");
    text = report(f, "r.md");
    assert_says(text, "The child (worker, pid 77) lost 210.0 MiB of 240.0 MiB shared with its "
                      "parent, 91 % of it in \\[heap\\]; its own writes copied 210.0 MiB.");
    free(text);
}

static void test_report_watch__an_unknown_loss_is_no_number(void **state)
{
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &little);
    db_exec(f->in.db, "UPDATE process SET shared_parent_kb = NULL, lost_kb = NULL");
    text = report(f, "r.md");
    assert_says(text, "What 1 child lost is unknown");
    assert_null(strstr(text, "shared with its parent"));
    free(text);
}

/* A sample of the worker at which this was unknown, beside those that counted it. */
#define UNTOLD(quantity, why)                                                                      \
    "INSERT INTO unknown SELECT run, 2, 98 + " #why ", 'worker[77]', NULL, NULL, '" quantity       \
    "', " #why " FROM run;"
#define SWAP_HIDES "the kernel does not tell who else holds a page in swap"

#define FORKED                                                                                     \
    "INSERT INTO watch_event SELECT run, 2, 99, 'worker[77]', 'fork', 1000000, NULL FROM run"

#define EXECUTES(actor, step)                                                                      \
    "INSERT INTO watch_event SELECT run, " step ", 99, '" actor "', 'exec', NULL, NULL FROM run"

/* What a change to the stored watch makes the report say, and no longer say (NULL: nothing). */
static void test_report_watch__sentences(void **state)
{
    static const struct {
        bool lost; /* much of it, or nothing */
        const char *change, *said, *unsaid;
    } rows[] = {
        {false, "UPDATE process SET lost_before_kb = 33792 WHERE step = 1 AND actor LIKE 'w%'",
         "The child (worker, pid 77) lost at most 33.0 MiB of what it shared with its parent "
         "before "
         "this watch first saw it; since then 0 KiB of 240.0 MiB.",
         "kept what"},
        {true, "UPDATE process SET lost_before_kb = 33792 WHERE step = 1 AND actor LIKE 'w%'",
         "lost 210.0 MiB of 240.0 MiB shared with its parent, 91 % of it in \\[heap\\]; its own "
         "writes copied 210.0 MiB; at most 33.0 MiB before this watch first saw it.",
         NULL},
        {false, "UPDATE process SET lost_before_kb = 100 WHERE step = 1 AND actor LIKE 'w%'",
         "at most 0 KiB of 240.0 MiB was seen to go, and at most 100 KiB before this watch.", NULL},
        {true, "UPDATE watch_process SET last_step = 2 WHERE actor LIKE 'w%'",
         "; at most 30.0 MiB more between its last sample and its end.", NULL},
        {false, "UPDATE watch_process SET last_step = 2 WHERE actor LIKE 'w%'",
         "was seen to go, and at most 240.0 MiB more between its last sample and its end.", NULL},
        {false, "SELECT 1", "240.0 MiB was seen to go.", "its end"},
        {false,
         "UPDATE process SET lost_kb = NULL, shared_parent_kb = NULL; UPDATE watch_process SET "
         "parent = NULL; INSERT INTO unknown SELECT run, 1, 99, 'worker[77]', NULL, NULL, "
         "'lost_kb', 22 FROM run",
         "What 1 child lost is unknown: the parent is not watched.", NULL},
        {true, "UPDATE watch_process SET last_step = 1 WHERE actor LIKE 's%'",
         "; its parent ended before it: what it lost since is unknown.", NULL},
        {false, "UPDATE watch_process SET last_step = 1 WHERE actor LIKE 's%'",
         "; what it lost after the parent had ended is unknown.", NULL},
        {false, "UPDATE watch_process SET own_program = 1 WHERE actor LIKE 'w%'",
         "1 child runs another program since the fork, or the same one anew: nothing is in common "
         "by the fork.",
         "kept what"},
        {false, EXECUTES("worker[77]", "2"),
         "1 child executed a program while watched, or the parent did: until then at most 240.0 "
         "MiB was in common while watched; nothing of it was seen to be lost before.",
         "another program"},
        {false,
         "UPDATE process SET lost_kb = 100 WHERE step = 1 AND actor LIKE 'w%'; " EXECUTES(
             "worker[77]", "2"),
         "while watched, of which at most 100 KiB was seen to be lost before.", "nothing of it"},
        {false,
         "UPDATE watch_process SET own_program = 1 WHERE actor LIKE 'w%'; UPDATE process SET "
         "lost_kb "
         "= NULL; " EXECUTES("worker[77]", "2"),
         "1 child runs another program since the fork", "executed a program while"},
        {false, EXECUTES("server[7]", "2"), "1 child executed a program while watched",
         "kept what"},
        {false,
         "UPDATE watch_region SET lost = NULL; UPDATE watch_region SET parent_pages = 0 WHERE step "
         "= 2; " EXECUTES("server[7]", "2"),
         "No mapping was seen to lose anything", "| 200.0 MiB |"},
        {false, EXECUTES("server[7]", "1"), "1 child kept what", "executed"},
        {true, EXECUTES("worker[77]", "2"),
         "copied 210.0 MiB; a program that was executed then ended what was left in common.",
         "while watched"},
        {false, "UPDATE process SET lost_kb = NULL; " EXECUTES("worker[77]", "2"),
         "240.0 MiB was in common while watched; what was lost before is unknown: seen in one "
         "sample only.",
         "kept what"},
        {false,
         "UPDATE process SET lost_kb = NULL; UPDATE watch_process SET last_step = 1 "
         "WHERE actor LIKE 'w%'",
         "What 1 child lost is unknown: seen in one sample only; at most 240.0 MiB was in common "
         "with the parent while watched; what was lost before is unknown.",
         "kept what"},
        {false,
         "UPDATE process SET lost_kb = NULL, lost_before_kb = 100; UPDATE watch_process SET "
         "last_step = 1",
         "in common with the parent while watched; at most 100 KiB was lost before.", NULL},
        {false, "UPDATE process SET lost_kb = NULL; UPDATE watch_process SET last_step = 1",
         "What 1 child lost is unknown: seen in one sample only;", "unknown: the parent"},
        {false,
         "UPDATE process SET lost_kb = NULL; DELETE FROM process WHERE step = 2 AND actor LIKE "
         "'w%'; "
         "UPDATE process SET shared_parent_kb = NULL WHERE actor LIKE 'w%'; "
         "UPDATE watch_process SET last_step = 1 WHERE actor LIKE 's%'",
         "What 1 child lost is unknown: the parent ended first.", "page frames"},
        {false,
         "UPDATE process SET lost_kb = NULL, shared_parent_kb = NULL; INSERT INTO unknown SELECT "
         "run, "
         "2, 99, 'worker[77]', NULL, NULL, 'lost_kb', 2 FROM run",
         "What 1 child lost is unknown: page frame numbers need CAP_SYS_ADMIN.", NULL},
        {true,
         "UPDATE process SET lost_kb = NULL; UPDATE watch_region SET lost = NULL; INSERT INTO "
         "unknown SELECT run, 1, 99, 'worker[77]', NULL, NULL, 'lost_kb', 2 FROM run",
         "What 1 process lost is unknown: the findings say why.", "210.0 MiB of 240.0 MiB"},
        {true,
         "UPDATE process SET lost_kb = NULL, inferred = 'pss_kb shared_parent_kb' WHERE actor "
         "LIKE 'w%'; UPDATE watch_region SET lost = NULL",
         "What 1 child lost is unknown: what is in common was concluded from counters",
         "% of it in"},
        {true, UNTOLD("lost_kb", 17),
         "lost at least 210.0 MiB of 240.0 MiB shared with its parent, 91 % of it in \\[heap\\]; "
         "its "
         "own writes copied 210.0 MiB; what it lost besides is unknown: " SWAP_HIDES ".",
         "process lost is unknown"},
        {true, UNTOLD("lost_kb", 17), "| 240.0 MiB | at least 210.0 MiB | - | 210.0 MiB |", NULL},
        {true, UNTOLD("lost_kb", 17), "| 200.0 MiB | 7.00 MiB | at least 193.0 MiB |", NULL},
        {true, UNTOLD("lost_kb", 17) UNTOLD("lost_kb", 9),
         "besides is unknown: the parent ended first; " SWAP_HIDES, NULL},
        {false, UNTOLD("lost_kb", 17), "What 1 child lost is unknown in part: " SWAP_HIDES,
         "lost besides"},
        {true, UNTOLD("copied_kb", 17), "its own writes copied at least 210.0 MiB.",
         "lost at least"},
        {true,
         "UPDATE watch_process SET command = 'ruby a.rb', name = 'puma: w' WHERE actor LIKE 'w%'",
         "| worker\\[77\\] | puma: w (ruby a.rb) |", NULL},
        {true,
         "UPDATE watch_process SET command = 'puma: worker', name = 'puma: w' WHERE actor LIKE "
         "'w%'",
         "| worker\\[77\\] | puma: worker |", NULL},
        {true, "UPDATE watch_process SET command = '/bin/worker -a' WHERE actor LIKE 'w%'",
         "| worker\\[77\\] | /bin/worker -a |", NULL},
        {true, UNTOLD("copied_kb", 17),
         "| 210.0 MiB | - | at least 210.0 MiB | at least 210.0 MiB |", NULL},
        {true,
         UNTOLD("debt_kb",
                17) "UPDATE process SET debt_kb = 2048 WHERE step = 1 AND actor LIKE 'w%'",
         "| at least 2.00 MiB | 1.00 MiB |", NULL},
        {true, "UPDATE process SET debt_kb = 2048, inferred = 'debt_kb at_risk_kb'",
         "| ~2.00 MiB | ~1.00 MiB |", NULL},
        {true, "UPDATE process SET inferred = 'at_risk_kb'",
         "![At risk, concluded: memory whose next write costs a new frame]", "In debt"},
        {true, "UPDATE process SET debt_kb = 2048, inferred = 'debt_kb' WHERE actor LIKE 'w%'",
         "![In debt, concluded: alone here,", "~1.00 MiB"},
        {true,
         "UPDATE process SET inferred = 'at_risk_kb'; UPDATE process SET inferred = NULL WHERE "
         "step = 2",
         "![At risk, concluded:", "worker | server\\[7\\] | ~1.00 MiB"},
        {true, FORKED, "| 1.00 MiB | 1.00 ms |", NULL},
        {true, "SELECT 1", "![At risk: memory whose", "~1.00 MiB"},
        {true, "UPDATE process SET inferred = 'shared_parent_kb'",
         "| shared with parent, at most |", "| shared with parent |"},
        {true, "UPDATE process SET inferred = 'pss_kb'", "| shared with parent |",
         "parent, at most |"},
        {true, "SELECT 1", "What 2 of 2 processes had in common with others is not stored.",
         "No frames were seen to be in common"},
        {true,
         "INSERT INTO shared_frames (run, step, nr, actor_a, actor_b) SELECT run, 1, 1, "
         "'server[7]', 'worker[77]' FROM run",
         "| server\\[7\\] | worker\\[77\\] | unknown | 1 |", "is not stored"},
        {true, "DELETE FROM watch_process WHERE actor LIKE 'w%'",
         "Nobody else was watched that could share with it.", "is not stored"},
        {true, "SELECT 1", "512.0 MiB, which occupied distinct frames of 263.7 MiB: 1.94 times",
         NULL},
        {true, "SELECT 1", "| 2.00 MiB | unknown | - |", "| unknown | unknown |"},
        {true, "UPDATE step SET distinct_kb = 524288", "Used 512.0 MiB;",
         "What they seem to use.**"},
        {true, "UPDATE watch_region SET kind = 'huge pages'; UPDATE region SET mapped = 512",
         "512.0 MiB, which by their PSS was 256.0 MiB: 2.00 times as much as there is, explicit "
         "huge pages "
         "apart",
         "waterfall.svg"},
        {true,
         "CREATE TEMP TABLE x AS SELECT * FROM region WHERE step = 2 AND region = '[heap]'; "
         "CREATE TEMP TABLE y AS SELECT w.* FROM watch_region w JOIN x USING (run, step, nr); "
         "UPDATE x SET nr = 9, range_start = range_start + 8192; "
         "UPDATE y SET nr = 9, parent_pages = 40000, lost = 0; "
         "INSERT INTO region SELECT * FROM x; INSERT INTO watch_region SELECT * FROM y",
         "\\[heap\\] | 200.0 MiB | 163.2 MiB | 193.0 MiB |", "356."},
        {true,
         "UPDATE watch_process SET command = 'puma: cluster worker 1: app' WHERE actor LIKE 'w%'",
         "The child (puma: cluster worker 1: app, pid 77) lost", "(worker, pid"},
        {true,
         "UPDATE watch_process SET command = 'postgres: checkpointer', name = 'postgres' WHERE "
         "actor LIKE "
         "'w%'",
         "The child (postgres: checkpointer, pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = 'worker: process 3 [GET /]', name = 'worker' WHERE "
         "actor LIKE "
         "'w%'",
         "The child (worker: process 3 \\[GET /\\], pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = '/opt/a/zoo: worker 3', name = 'zoo' WHERE actor LIKE "
         "'w%'",
         "The child (/opt/a/zoo: worker 3, pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = 'unicorn worker[1]', name = 'ruby' WHERE actor LIKE "
         "'w%'",
         "The child (unicorn worker\\[1\\], pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = 'averyveryverylongname --on', name = "
         "'averyveryverylo' WHERE actor LIKE "
         "'w%'",
         "The child (averyveryverylo, pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = 'python3 d.py', name = 'py-worker-0' WHERE actor LIKE "
         "'w%'; UPDATE watch_process SET command = 'python3 d.py' WHERE actor LIKE 's%'",
         "The child (py-worker-0, pid 77) lost", NULL},
        {true,
         "UPDATE watch_process SET command = '/usr/bin/python3 ./d.py', name = 'd.py' WHERE actor "
         "LIKE "
         "'w%'",
         "The child (d.py, pid 77) lost", NULL},
        {true, "UPDATE watch_process SET command = '/usr/lib/worker --a:b' WHERE actor LIKE 'w%'",
         "The child (worker, pid 77) lost", NULL},
        {true,
         "INSERT INTO watch_process (run, actor, pid, start_ticks, parent, name, first_step) "
         "SELECT run, 'x[9]', 9, 1, 'worker[77]', 'x', 2 FROM run",
         "The child of server\\[7\\] (worker, pid 77) lost", NULL},
        {true,
         "UPDATE process SET copied_kb = 10240 WHERE actor LIKE 'w%'; "
         "UPDATE process SET copied_kb = 204800 WHERE actor LIKE 's%'",
         "its own writes copied 20.0 MiB, its parent's 200.0 MiB.", NULL},
        {true,
         "UPDATE process SET copied_kb = 102400 WHERE actor LIKE 'w%'; "
         "UPDATE process SET copied_kb = 20480 WHERE actor LIKE 's%'",
         "its own writes copied 200.0 MiB.", "its parent's"},
        {false, "UPDATE step SET distinct_kb = 300000 WHERE step = 2",
         "Used 263.7 MiB -> 293.0 MiB at 1.0 s; nothing was copied; it can grow by 2.00 MiB more; "
         "1.00 GiB free.",
         "Allocator"},
        {false, "UPDATE step SET distinct_kb = 300000 WHERE step = 1",
         "Used 293.0 MiB, 263.7 MiB at last; nothing was copied; it could then grow by", NULL},
        {false, "UPDATE step SET processes = 0 WHERE step = 2", "it could then grow by", NULL},
        {false, "UPDATE step SET distinct_kb = NULL WHERE step = 2",
         "Used 256.0 MiB, by the sum of PSS;", "distinct frames of"},
        {false, "UPDATE step SET distinct_kb = NULL, sum_pss_kb = NULL",
         "What was used is unknown; nothing was copied", "Used"},
        {true,
         "UPDATE process SET copied_kb = 4096; UPDATE process SET copied_kb = 0 WHERE step = 2",
         "2 processes copied 8.00 MiB, server\\[7\\] 4.00 MiB of it;", NULL},
        {true, "UPDATE process SET copied_kb = 200 WHERE actor LIKE 'w%' AND step = 2",
         "; 200 KiB was copied;", "\\] copied"},
        {true, UNTOLD("copied_kb", 17), "; worker\\[77\\] copied at least 210.0 MiB;", NULL},
        {true, "UPDATE process SET copied_kb = NULL",
         "; what was copied is unknown: no process was seen twice; it can grow", NULL},
        {true, UNTOLD("copied_kb", 17) "UPDATE process SET copied_kb = NULL",
         "; what was copied is unknown: " SWAP_HIDES ";", "was copied;"},
        {true,
         UNTOLD("copied_kb", 17) "UPDATE process SET copied_kb = NULL; UPDATE watch_sample SET "
                                 "growth_kb = NULL; INSERT INTO unknown SELECT run, 2, 77, NULL, "
                                 "NULL, NULL, 'growth_kb', 17 FROM run",
         "; what was copied is unknown: " SWAP_HIDES "; so is how much more it can grow; 1.00 GiB",
         "grow is unknown"},
        {true,
         "UPDATE watch_sample SET growth_kb = NULL; INSERT INTO unknown SELECT run, 2, 99, NULL, "
         "NULL, NULL, 'growth_kb', 17 FROM run",
         "; how much more it can grow is unknown: " SWAP_HIDES "; 1.00 GiB free.", "can grow by"},
        {true,
         "UPDATE step SET cgroup_limit_kb = 300000; UPDATE watch_sample SET cgroup_kb = 299000",
         "it can grow by 2.00 MiB more; only 1000 KiB free below the cgroup's limit.", NULL},
        {true, "UPDATE watch_sample SET cgroup_max = 3 * step, cgroup_oom_kill = step",
         "ran into its limit 3 times, and 1 of its processes", NULL},
        {false, "UPDATE watch_sample SET inferred = 1",
         "one in 64 was asked whether it still is, and none was not.", "concluded in part"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *f = *state;
        char *text;

        if (i) {
            tear_down(state);
            set_up(state);
            f = *state;
        }
        record(f, "worker", &all, rows[i].lost ? &little : &all);
        db_exec(f->in.db, rows[i].change);
        text = report(f, "r.md");
        assert_says(text, rows[i].said);
        if (rows[i].unsaid && strstr(text, rows[i].unsaid))
            fail_msg("row %zu says: %s\n%.3000s", i, rows[i].unsaid, text);
        free(text);
    }
}

#define REGIONS(kind) "UPDATE watch_region SET kind = '" kind "'; "
#define HUGE_PAGES(kb) "UPDATE watch_sample SET anon_huge_kb = " kb ", thp = 'always'; "
#define COPIED(actor, nr, kb, steps)                                                               \
    "INSERT OR REPLACE INTO process (run, step, nr, actor, acting, copied_kb) SELECT run, "        \
    "value, " #nr ", '" actor "', 0, " #kb " FROM run, json_each('[" steps "]'); "
/* So that what was lost is no allocator's. */
#define NO_HEAP REGIONS("anonymous")
/* The worker copied so many pages in one mapping, and little else; of how many huge pages were. */
#define COPIES_WHOLE(pages, first, last)                                                           \
    COPIED("worker[77]", 1, 2060, "2")                                                             \
    HUGE_PAGES("4096")                                                                             \
    "UPDATE watch_region SET copied = iif(nr = (SELECT min(nr) FROM watch_region), " #pages        \
    ", 3) WHERE step = 2; "                                                                        \
    "UPDATE region SET mapped = 9000, huge = iif(step = 1, " #first ", " #last "); "
/* The worker was there from the third sample to that one; the server copied in these. */
#define SAVES(last, steps)                                                                         \
    "UPDATE watch_process SET first_step = 3, last_step = " last                                   \
    " WHERE actor LIKE 'w%'; " COPIED("server[7]", 0, 8192, steps)
/* 32 MiB that the worker maps at last and the server maps too; nothing is copied. */
#define GROWS                                                                                      \
    REGIONS("shared memory")                                                                       \
    "UPDATE region SET mapped = iif(step = 1, 256, 8192); "                                        \
    "UPDATE process SET copied_kb = 0; UPDATE watch_sample SET copied_kb = 0; "                    \
    "UPDATE step SET distinct_kb = distinct_kb + 40000 WHERE step = 2; "
#define BOTH_MAP                                                                                   \
    "CREATE TEMP TABLE x AS SELECT * FROM region WHERE step = 1; "                                 \
    "CREATE TEMP TABLE y AS SELECT * FROM watch_region WHERE step = 1; "                           \
    "UPDATE x SET nr = nr + 10, observed = 'server[7]', mapped = 0; UPDATE y SET nr = nr + 10; "   \
    "INSERT INTO region SELECT * FROM x; INSERT INTO watch_region SELECT * FROM y; "

/* A cause is named where its evidence is there, and only then. */
static void test_report_watch__causes(void **state)
{
    static const char *const causes[] = {"Huge pages:", "Allocator:", "Save under",
                                         "Shared memory:", "Watched late:"};
    static const struct {
        bool lost;
        const char *change, *said; /* NULL: no cause */
    } rows[] = {
        {false, "SELECT 1", NULL},
        {true, "SELECT 1",
         "Allocator: 1 child lost 210.0 MiB by own writes, 193.0 MiB of it in the heap."},
        {true, "UPDATE watch_region SET kind = 'malloc arena' WHERE kind = 'heap'",
         "193.0 MiB of it in malloc's arenas. What is written lies among what is only read: fewer "
         "arenas (MALLOC_ARENA_MAX=1)"},
        {true, REGIONS("anonymous"), NULL},
        {true, REGIONS("anonymous") "UPDATE watch_process SET name = 'python3'", NULL},
        {true, "UPDATE process SET copied_kb = 0 WHERE actor LIKE 'w%'", NULL},
        {true, REGIONS("anonymous") HUGE_PAGES("8192 / step"),
         "Huge pages: 4.00 MiB of them were split while 210.0 MiB was copied (transparent huge "
         "pages: always)."},
        {true, REGIONS("anonymous") HUGE_PAGES("8192"), NULL},
        {true,
         REGIONS("anonymous")
             HUGE_PAGES("8192 / step") "INSERT INTO watch_event SELECT run, 2, 99, 'worker[77]', "
                                       "'gone', NULL, NULL FROM run",
         NULL},
        {true,
         REGIONS("anonymous") HUGE_PAGES(
             "8192 / step") "UPDATE step SET sum_rss_kb = sum_rss_kb - 4096 WHERE step = 2",
         NULL},
        {true, NO_HEAP COPIES_WHOLE(512, 1024, 1024),
         "Huge pages: worker[77] copied 2.00 MiB of 2.01 MiB in whole huge pages"},
        {true, NO_HEAP COPIES_WHOLE(511, 512, 1024),
         "Huge pages: worker[77] copied 2.00 MiB of 2.01 MiB in whole huge pages"},
        {true, NO_HEAP COPIES_WHOLE(511, 1024, 1024), NULL},
        {true, NO_HEAP COPIES_WHOLE(512, 1024, 512), NULL},
        {true, NO_HEAP COPIES_WHOLE(512, 0, 0), NULL},
        {true,
         NO_HEAP COPIES_WHOLE(511, 512,
                              1024) "UPDATE region SET mapped = mapped - 512 WHERE step = 1",
         NULL},
        {false, SAVES("5", "4,5"),
         "Save under write load: server[7] copied 16.0 MiB while 1 child of it lived, 0 KiB "
         "otherwise. Save when less is written, or keep 240.0 MiB free for it"},
        {false, SAVES("5", "3,6"), "server[7] copied 16.0 MiB while 1 child of it lived, 0 KiB"},
        {false, SAVES("5", "4,5,7"), NULL},
        {false, SAVES("5", "2,4,5"), NULL},
        {false, SAVES("NULL", "4,5"), NULL},
        {false, SAVES("8", "4,5"), NULL},
        {false,
         SAVES("5", "4,5") UNTOLD("copied_kb", 17) "UPDATE unknown SET observed = 'server[7]'",
         NULL},
        {false, SAVES("5", "4,5") COPIED("worker[77]", 1, 8192, "4"), NULL},
        {true, GROWS BOTH_MAP,
         "Shared memory: [heap] grew from 1.00 MiB to 32.0 MiB of the 256.0 MiB that it can have; "
         "2 "
         "processes map it, none copied it."},
        {true, GROWS, NULL},
        {true, GROWS BOTH_MAP "UPDATE watch_sample SET copied_kb = 8192 WHERE step = 2", NULL},
        {true, GROWS BOTH_MAP "UPDATE step SET distinct_kb = 2 * distinct_kb WHERE step = 2", NULL},
        {false, "UPDATE process SET lost_before_kb = 33792 WHERE step = 1 AND actor LIKE 'w%'",
         "Watched late: 1 child had lost at most 33.0 MiB of 273.0 MiB before the first sample;"},
        {false, "UPDATE process SET lost_before_kb = 1000 WHERE step = 1 AND actor LIKE 'w%'",
         NULL},
        {false,
         "UPDATE process SET lost_before_kb = 33792 WHERE step = 1 AND actor LIKE 'w%'; "
         "UPDATE watch_process SET first_step = 2 WHERE actor LIKE 'w%'",
         NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture *f = *state;
        size_t found = 0;
        char *text;

        if (i) {
            tear_down(state);
            set_up(state);
            f = *state;
        }
        record(f, "worker", &all, rows[i].lost ? &little : &all);
        for (int more = 0; more < 6 && !rows[i].lost; more++)
            take(f, &all, &all, "worker");
        db_exec(f->in.db, rows[i].change);
        text = unwrapped(terminal(f));
        for (size_t k = 0; k < sizeof causes / sizeof *causes; k++)
            found += strstr(text, causes[k]) != NULL;
        if (found != (rows[i].said != NULL))
            fail_msg("row %zu: %zu causes\n%s", i, found, text);
        if (rows[i].said)
            assert_says(text, rows[i].said);
        free(text);
    }
}

/* One page of a watch: what happened, one picture, at most ten processes, and nothing else. */
static void test_report_watch__brief(void **state)
{
    struct fixture *f = *state;
    struct watch_data w;
    struct doc d;
    struct err e;
    char *text;

    record(f, "worker", &all, &little);
    for (int i = 0; i < 12; i++) {
        char sql[200];

        snprintf(sql, sizeof sql,
                 "INSERT INTO watch_process (run, actor, pid, start_ticks, name, first_step) "
                 "SELECT run, 'x[%d]', %d, 1, 'x', 2 FROM run",
                 900 + i, 900 + i);
        db_exec(f->in.db, sql);
    }
    db_exec(f->in.db, "INSERT INTO process (run, step, nr, actor, acting, copied_kb) SELECT run, "
                      "2, pid, actor, 0, 4 FROM "
                      "watch_process WHERE name = 'x'");
    assert_int_equal(watch_load(&w, f->in.db, f->info.run_id, &e), 0);
    assert_int_equal(doc_open(&d, f->in.store, scratch_path(f->in.dir, "b.md"), &e), 0);
    section_watch_brief(&d, &w);
    assert_int_equal(doc_close(&d), 0);
    watch_data_release(&w);
    text = slurp(scratch_path(f->in.dir, "b.md"), NULL);
    assert_says(text, f->info.run_id);
    assert_says(text, "\n- Used 263.7 MiB; worker\\[77\\] copied 210.0 MiB; it can grow by");
    assert_says(text, "\n- Allocator: ");
    assert_says(text, "![Memory used, and what of it each process has alone](b.assets/");
    assert_says(text,
                "| worker\\[77\\] | worker | server\\[7\\] | 256.0 MiB | 240.0 MiB | 210.0 MiB | "
                "210.0 MiB |\n| ");
    assert_says(text, "| 5 more | - | - | - | - | - | 16 KiB |\n");
    assert_null(strstr(text, "<details>"));
    assert_ptr_equal(strstr(text, "!["), strrchr(text, '!'));
    free(text);
}

/* Of 60 samples every third is shown, with what was copied since the one before. */
static void test_report_watch__the_terminal_leaves_out_no_copy(void **state)
{
    const struct moment each = {200 * 1024, 40 * 1024, 1024, false, 0};
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &each);
    for (int i = 2; i < 60; i++)
        take(f, &each, &each, "worker");
    db_exec(f->in.db, "UPDATE watch_sample SET copied_kb = NULL WHERE step IN (1, 6)");
    text = terminal(f);
    assert_says(text, " 0.0      2    512.0 MiB    256.0 MiB    263.7 MiB            ?\n");
    assert_says(text, " 3.0      2    512.0 MiB    256.0 MiB    263.7 MiB     3.00 MiB\n");
    assert_says(text, " 6.0      2    512.0 MiB    256.0 MiB    263.7 MiB            ?\n");
    assert_says(text, " 57.0      2    512.0 MiB    256.0 MiB    263.7 MiB     3.00 MiB\n");
    assert_says(text, " 59.0      2    512.0 MiB    256.0 MiB    263.7 MiB     2.00 MiB\n");
    free(text);
}

/* A process's line: a bound has ">=", what was concluded "~", what is not known "?". */
static void test_report_watch__the_terminal_marks_values(void **state)
{
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &little);
    db_exec(f->in.db, UNTOLD("lost_kb", 17) "UPDATE process SET inferred = 'at_risk_kb'");
    text = terminal(f);
    assert_says(text, "server[7]                       256.0 MiB            ?        0 KiB    "
                      "~1.00 MiB\n");
    assert_says(text, "worker[77]                      256.0 MiB  >=210.0 MiB    210.0 MiB    "
                      "~1.00 MiB\n");
    assert_says(text, " -o watch.md --db ");
    free(text);
}

/* Whoever asks the views sees too that a sum is no more than what was counted. */
static void test_report_watch__views_say_at_least(void **state)
{
    static const char *const asks[] = {
        "SELECT lost_kb || ' ' || lost_why FROM watch_costs WHERE pid = 77",
        "SELECT copied_kb || ' ' || copied_why FROM watch_costs WHERE pid = 77",
        "SELECT lost_kb || ' ' || lost_why FROM watch_kin WHERE actor LIKE 'w%'",
        "SELECT sum(lost_kb) || ' ' || max(lost_why) FROM watch_lost",
        "SELECT (sum(lost) * 4) || ' ' || max(lost_why) FROM watch_regions"};
    struct fixture *f = *state;

    record(f, "worker", &all, &little);
    db_exec(f->in.db, UNTOLD("lost_kb", 17));
    db_exec(f->in.db, "INSERT INTO unknown SELECT run, step, 1, observed, NULL, NULL, 'copied_kb', "
                      "why FROM unknown");
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        assert_string_equal(db_text(f->in.db, asks[i]), "215040 " SWAP_HIDES);
    assert_int_equal(db_int(f->in.db, "SELECT count(*) FROM watch_costs WHERE pid = 7 AND "
                                      "lost_why IS NULL AND copied_why IS NULL"),
                     1);
}

/* Findings about what scenarios wrote and checked say nothing about a watch. */
static void test_report_watch__says_nothing_of_scenarios(void **state)
{
    static const char *const words[] = {"Nobody", "None were stored", "Expectations", "Isolation",
                                        "Published"};
    struct fixture *f = *state;
    char *text;

    record(f, "worker", &all, &little);
    text = report(f, "r.md");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i]))
            fail_msg("said: %s", words[i]);
    free(text);
}

static void test_report_watch__the_same_bytes_again(void **state)
{
    struct fixture *f = *state;
    char *one, *two;

    record(f, "worker", &all, &little);
    one = report(f, "r.md");
    two = report(f, "r.md");
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static void test_report_watch__a_hostile_name_stays_in_its_place(void **state)
{
    struct fixture *f = *state;
    const char *dir = scratch_path(f->in.dir, "r.assets");
    struct dirent *entry;
    int pictures = 0;
    char *text;
    DIR *d;

    record(f, HOSTILE, &all, &little);
    db_exec(f->in.db, "UPDATE process SET actor = 'a|<b>&[c](d)' WHERE actor = 'worker[77]'");
    db_exec(f->in.db, "UPDATE region SET observed = 'a|<b>&[c](d)'");
    db_exec(f->in.db, "UPDATE watch_process SET actor = 'a|<b>&[c](d)' WHERE actor = 'worker[77]'");
    text = report(f, "r.md");
    assert_null(strstr(text, "<script>"));
    assert_null(strstr(text, "\x1b"));
    assert_null(strstr(text, "a|<b>"));
    assert_null(strstr(text, "[z](http"));
    free(text);
    text = terminal(f);
    assert_says(text, "w|`<script>&[z](http://h)_");
    assert_null(strchr(text, 0x1b));
    free(text);
    d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d))) {
        char path[512];
        size_t len;

        if (!strstr(entry->d_name, ".svg"))
            continue;
        snprintf(path, sizeof path, "%s/%s", scratch_path(f->in.dir, "r.assets"), entry->d_name);
        text = slurp(path, &len);
        assert_int_equal(support_xml_check(text, len), 0);
        free(text);
        pictures++;
    }
    closedir(d);
    assert_true(pictures >= 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_report_watch__a_loss_is_named_with_its_evidence),
        T(test_report_watch__the_sentence_changes_with_the_data),
        T(test_report_watch__a_loss_by_the_parents_writes_is_the_parents),
        T(test_report_watch__nothing_lost_is_said_too),
        T(test_report_watch__what_was_given_back_is_not_lost),
        T(test_report_watch__an_older_database_tells_by_the_difference),
        T(test_report_watch__an_unknown_loss_is_no_number),
        T(test_report_watch__sentences),
        T(test_report_watch__causes),
        T(test_report_watch__brief),
        T(test_report_watch__the_terminal_leaves_out_no_copy),
        T(test_report_watch__the_terminal_marks_values),
        T(test_report_watch__views_say_at_least),
        T(test_report_watch__says_nothing_of_scenarios),
        T(test_report_watch__the_same_bytes_again),
        T(test_report_watch__a_hostile_name_stays_in_its_place),
    };

    return cmocka_run_group_tests_name("report_watch", tests, NULL, NULL);
}
