/* Memory that changed hands: what the view `handovers` makes of the steps, and what a report says
 * of it, also where it is unknown or the run failed. The numbers are invented. */
#include "reports/report.h"
#include "tests/support/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct stored in;
    char run[40];
    struct err e;
};

/* One run; what its steps are is the test's. */
static void begin_run(struct fixture *f, const char *params)
{
    struct run_info info = {.scenario = "handover",
                            .title = "T",
                            .question = "Q?",
                            .backend = "linux",
                            .params = params,
                            .source = "{\"hand_over\": 1}",
                            .page_size = 4096,
                            .kernel = (char *)(uintptr_t) "Linux 6.0 x86_64",
                            .machine = (char *)(uintptr_t) "{\"cpus\":2,\"memory_kb\":4194304}",
                            .capabilities = (char *)(uintptr_t) "[]"};

    assert_int_equal(store_begin_run(f->in.store, &info, &f->e), 0);
    snprintf(f->run, sizeof f->run, "%s", info.run_id);
}

struct did {
    const char *phase, *actor, *action;
    uint64_t dur_ns, cpu_ns; /* cpu 0: unknown */
    int64_t system_kb;
    char expected, measured; /* a stamp that was read; 0: none */
    const struct store_handover *handover;
};

static void put_step(struct fixture *f, int nr, const struct did *did)
{
    struct observation o;
    struct obs_process *p;
    char on[40], text[2][2] = {{did->expected}, {did->measured}};
    struct store_expectation x = {.on = on,
                                  .key = "stamp",
                                  .expected = text[0],
                                  .measured = text[1],
                                  .held = did->expected == did->measured};
    struct step_record s = {.step = nr,
                            .phase = did->phase,
                            .actor = did->actor,
                            .action = did->action,
                            .region = strcmp(did->action, "exit") == 0 ? NULL : "r",
                            .dur_ns = did->dur_ns,
                            .obs = &o,
                            .handover = did->handover,
                            .expectations = &x,
                            .nexpectations = did->expected ? 1 : 0};

    snprintf(on, sizeof on, "%s.r", did->actor);
    observation_init(&o);
    if (did->system_kb)
        o.totals[TQ_SYSTEM] = value_known(did->system_kb);
    else
        o.totals[TQ_SYSTEM] = value_unknown(WHY_NO_CGROUP);
    o.totals[TQ_SYSTEM_TOLERANCE] = value_known(64);
    p = observation_add_process(&o, did->actor);
    assert_non_null(p);
    p->acting = did->dur_ns > 0;
    p->q[PQ_MINFLT] = value_known(3);
    p->q[PQ_MAJFLT] = value_known(0);
    if (did->cpu_ns)
        p->q[PQ_CPU] = value_known((int64_t)did->cpu_ns);
    else if (p->acting)
        p->q[PQ_CPU] = value_unknown(WHY_NOT_REPORTED);
    assert_int_equal(store_step(f->in.store, f->run, &s, &f->e), 0);
    observation_release(&o);
}

static struct store_handover handover(bool taken, const char *way, const char *acted)
{
    return (struct store_handover){.taken = taken,
                                   .way = (char *)(uintptr_t)way,
                                   .sender = (char *)(uintptr_t) "sender",
                                   .receiver = (char *)(uintptr_t) "receiver",
                                   .region = (char *)(uintptr_t) "r",
                                   .bytes = 1048576,
                                   .acted = acted};
}

/* after: the stamp that the receiver reads once the sender has written C. steps: of those below. */
static void put_run(struct fixture *f, const char *way, char after, uint64_t cpu_ns, size_t steps)
{
    struct store_handover given = handover(false, way, "sender"),
                          taken = handover(true, way, "receiver");
    const struct did did[] = {
        {"populated", "sender", "write", 10, 9, 1000, 0, 0, NULL},
        {"in_transit", "sender", "hand_over", 500, cpu_ns, 2024, 0, 0, &given},
        {"received", "receiver", "take", 100, cpu_ns, 2024, 0, 0, &taken},
        {"receiver_read", "receiver", "read", 20, 9, 2024, 'A', 'A', NULL},
        {"sender_wrote", "sender", "write", 30, 9, 3000, 0, 0, NULL},
        {"receiver_read", "receiver", "read", 40, 9, 2024, after, after, NULL},
        {"receiver_wrote", "receiver", "write", 7, 6, 2024, 0, 0, NULL},
        {"released", "sender", "exit", 1, 1, 2024, 0, 0, NULL},
        {"released", "receiver", "read", 3, 2, 2024, 'B', 'B', NULL},
    };
    char params[80];

    snprintf(params, sizeof params, "{\"way\": \"%s\", \"buffer\": \"fresh\"}", way);
    begin_run(f, params);
    for (size_t i = 0; i < steps && i < sizeof did / sizeof *did; i++)
        put_step(f, (int)i + 1, &did[i]);
    assert_int_equal(store_end_run(f->in.store, f->run, steps < 9 ? RUN_FAILED : RUN_COMPLETE, 1,
                                   steps < 9 ? "Yama | forbids it" : NULL, &f->e),
                     0);
}

static int setup(void **state)
{
    *state = stored_new(sizeof(struct fixture));
    return *state ? 0 : -1;
}

static const char *row(struct fixture *f, const char *way)
{
    char sql[1200];

    snprintf(sql, sizeof sql,
             "SELECT ifnull(received_ns, '-') || ' ' || ifnull(read_ns, '-') || ' ' || "
             "ifnull(written_ns, '-') || ' ' || ifnull(sender_cpu_ns, '-') || ' ' || "
             "ifnull(receiver_cpu_ns, '-') || ' ' || ifnull(faults, '-') || ' ' || "
             "ifnull(added_kb, '-') || ' ' || ifnull(peak_kb, '-') || ' ' || ifnull(shows, '-') "
             "|| ' ' || ifnull(survives, '-') || ' ' || ifnull(taken_step, '-') "
             "FROM handovers WHERE way = '%s'",
             way);
    return db_text(f->in.db, sql);
}

static void test_handover__a_row_has_what_it_cost(void **state)
{
    struct fixture *f = *state;

    put_run(f, "memfd_sealed", 'A', 50, 9);
    assert_string_equal(row(f, "memfd_sealed"), "600 620 607 50 50 6 1024 3000 no yes 3");
}

static void test_handover__a_later_write_shows_where_the_stamp_changed(void **state)
{
    struct fixture *f = *state;

    put_run(f, "memfd_shared", 'C', 50, 9);
    assert_string_equal(row(f, "memfd_shared"), "600 620 607 50 50 6 1024 3000 yes yes 3");
}

static void test_handover__what_is_unknown_is_not_zero(void **state)
{
    struct fixture *f = *state;

    put_run(f, "pipe", 'A', 0, 9);
    assert_string_equal(row(f, "pipe"), "600 620 607 - - 6 1024 3000 no yes 3");
    db_exec(f->in.db, "UPDATE step SET system_kb = NULL WHERE step = 3");
    assert_string_equal(row(f, "pipe"), "600 620 607 - - 6 - - no yes 3");
}

static void test_handover__a_run_that_ended_before_tells_no_more(void **state)
{
    struct fixture *f = *state;

    put_run(f, "process_vm_readv", 'A', 50, 2);
    assert_string_equal(row(f, "process_vm_readv"), "- - - - - - - 2024 - - -");
    put_run(f, "posix_shm", 'A', 50, 5); /* nothing read after the sender's write */
    assert_string_equal(row(f, "posix_shm"), "600 620 - 50 50 6 1024 3000 - - 3");
}

static char *report(struct fixture *f, const char *run)
{
    if (report_markdown(f->in.store, &run, run ? 1 : 0, scratch_path(f->in.dir, "r.md"), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, "r.md"), NULL);
}

static void says(char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("not there: %s in\n%.1000s", wanted, strstr(text, "## Ways"));
}

/* Whatever run a report is of, all ways stand in it. */
static void test_handover__a_report_sets_the_ways_beside_each_other(void **state)
{
    struct fixture *f = *state;
    char *text;

    put_run(f, "process_vm_readv", 'A', 50, 2);
    put_run(f, "memfd_shared", 'C', 50, 9);
    put_run(f, "pipe", 'A', 0, 9);
    text = report(f, NULL);
    says(text, "| 1.00 MiB | fresh | memfd_shared | 600 ns | 620 ns | 607 ns | 50 ns | 50 ns | 1.0 "
               "| unknown | yes | - |");
    says(text, "| pipe | 600 ns | 620 ns | 607 ns | unknown | unknown | 1.0 | unknown | no | - |");
    says(text,
         "| process_vm_readv | - | - | - | - | - | - | - | - | failed: Yama \\| forbids it |");
    says(text, "(Linux 6.0 x86_64, 2 CPUs, 4.0 GiB): least time until the receiver had it by "
               "memfd_shared, 600 ns (read: 620 ns; nothing isolated); then pipe, 600 ns (read: "
               "620 ns): an order of single runs, no verdict.");
    free(text);
    text = report(f, f->run);
    says(text, "| memfd_shared | 600 ns |");
    free(text);
}

static void test_handover__other_kernels_are_a_class_of_their_own(void **state)
{
    struct fixture *f = *state;
    char *text;

    put_run(f, "memfd_shared", 'C', 50, 9);
    db_exec(f->in.db, "UPDATE run SET kernel = 'Linux 5.0 x86_64'");
    put_run(f, "pipe", 'A', 50, 9);
    text = report(f, NULL);
    says(text, "(Linux 5.0 x86_64, 2 CPUs, 4.0 GiB): least time until the receiver had it by "
               "memfd_shared, 600 ns (read: 620 ns; nothing isolated).");
    says(text, "(Linux 6.0 x86_64, 2 CPUs, 4.0 GiB): least time until the receiver had it by pipe, "
               "600 ns (read: 620 ns).");
    assert_null(strstr(text, "no verdict"));
    free(text);
}

/* A warm-up is no run that counts, and an older one of the same parameters gives way. */
static void test_handover__the_newest_that_counts(void **state)
{
    struct fixture *f = *state;
    char *text, newest[40];

    put_run(f, "pipe", 'A', 50, 9);
    db_exec(f->in.db, "UPDATE run SET started_at = '2020-01-01T00:00:00.000000Z'");
    db_exec(f->in.db, "UPDATE step SET dur_ns = 11111 WHERE step = 3");
    put_run(f, "pipe", 'A', 50, 9);
    snprintf(newest, sizeof newest, "%s", f->run);
    put_run(f, "socket", 'A', 50, 9);
    db_exec(f->in.db, "UPDATE run SET warm_up = 1 WHERE params LIKE '%socket%'");
    text = report(f, newest);
    says(text, "| pipe | 600 ns |");
    assert_null(strstr(text, "11.6"));
    assert_non_null(strstr(text, "## Ways"));
    assert_null(strstr(strstr(text, "## Ways"), "| socket |"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_handover__##name, setup, stored_tear_down)
        TEST(a_row_has_what_it_cost),
        TEST(a_later_write_shows_where_the_stamp_changed),
        TEST(what_is_unknown_is_not_zero),
        TEST(a_run_that_ended_before_tells_no_more),
        TEST(a_report_sets_the_ways_beside_each_other),
        TEST(other_kernels_are_a_class_of_their_own),
        TEST(the_newest_that_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
