/* The observer on real processes. Each comment says what a broken kernel, or a broken probe, would
 * show instead. */
#include "tests/support_looks.h"
#include "tests/support_skip.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Leaves the test as skipped, naming the capability, unless this machine has it. */
#define NEED(s, cap)                                                                               \
    do {                                                                                           \
        if (!(s)->caps.have[cap]) {                                                                \
            print_message("# needs %s: %s\n", cap_rows[cap].name, (s)->caps.reason[cap]);          \
            stage_end(s);                                                                          \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static void begin(struct stage *s)
{
    stage_begin(s, NULL);
    NEED(s, CAP_DEBT);
}

/* The six published rows of the fork experiment, and a seventh: writing once more is free. */
static void test_observer__six_steps(void **state)
{
    struct stage s;
    const uint64_t n = 3;
    size_t child;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, n);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
    must_be(&s, 0, RQ_REF_COUNT, 0);
    must_be(&s, 0, RQ_RESIDENT, 0);
    must_be(&s, 0, RQ_AT_RISK, 0);

    stage_write(&s, 0, n);
    stage_look(&s, 0, n);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be(&s, 0, RQ_RESIDENT, (int64_t)n);
    must_be(&s, 0, RQ_FIRST_TOUCH, (int64_t)n);
    must_be(&s, 0, RQ_WRITE_OUTCOME, WO_FIRST_TOUCH);

    /* Without copy-on-write the child would have frames of its own: SM_PRIVATE, 1. */
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    for (size_t i = 0; i < 2; i++) {
        must_be(&s, i, RQ_SHARE_MODE, SM_COW);
        must_be(&s, i, RQ_REF_COUNT, 2);
        must_be(&s, i, RQ_COW, (int64_t)n);
        must_be(&s, i, RQ_AT_RISK, (int64_t)n);
        assert_int_equal(stage_region(&s, i)->runs[0].frame, 1);
    }

    stage_write(&s, child, n);
    stage_look(&s, (int)child, n);
    must_be(&s, child, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, child, RQ_REF_COUNT, 1);
    must_be(&s, child, RQ_COPIED, (int64_t)n);
    must_be(&s, child, RQ_NO_FAULT, 0);
    assert_int_equal(stage_region(&s, child)->runs[0].frame, n + 1);

    /* Nobody shares any more, but the kernel has not told the page table: debt. */
    stage_look(&s, -1, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_COW);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be(&s, 0, RQ_DEBT, (int64_t)n);
    must_be(&s, 0, RQ_AT_RISK, 0);

    /* A kernel that copied here would show new frames. */
    stage_write(&s, 0, n);
    stage_look(&s, 0, n);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, 0, RQ_REUSED, (int64_t)n);
    must_be(&s, 0, RQ_WRITE_OUTCOME, WO_REUSED);
    assert_int_equal(stage_region(&s, 0)->runs[0].frame, 1);

    stage_write(&s, 0, n);
    stage_look(&s, 0, n);
    must_be(&s, 0, RQ_NO_FAULT, (int64_t)n);
    must_be(&s, 0, RQ_WRITE_OUTCOME, WO_NO_FAULT);
    checks_must_hold(&s);
    stage_end(&s);
}

static void test_observer__half_copied_is_mixed_runs(void **state)
{
    struct stage s;
    const struct obs_region *r;
    size_t child;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 10);
    stage_write(&s, 0, 10);
    stage_look(&s, 0, 10);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    stage_write(&s, child, 4);
    stage_look(&s, (int)child, 4);
    must_be(&s, child, RQ_COPIED, 4);
    must_be(&s, child, RQ_EXCLUSIVE, 4);
    must_be(&s, child, RQ_COW, 6);
    must_be(&s, child, RQ_REF_COUNT, 2);
    must_be(&s, 0, RQ_DEBT, 4);
    must_be(&s, 0, RQ_COW, 6);
    must_be(&s, 0, RQ_SHARE_MODE, SM_COW);
    r = stage_region(&s, child);
    assert_int_equal(r->nruns, 2);
    assert_int_equal(r->runs[0].count, 4);
    assert_int_equal(r->runs[0].state, PS_EXCLUSIVE);
    assert_int_equal(r->runs[0].mapcount, 1);
    assert_int_equal(r->runs[1].frame, 5);
    assert_int_equal(r->runs[1].mapcount, 2);
    assert_int_equal(s.obs.nsharing, 1);
    assert_int_equal(s.obs.sharing[0].region_frames.n, 6);
    assert_true(s.obs.sharing[0].frames.n >= 6);
    checks_must_hold(&s);
    stage_end(&s);
}

/* The debt of a parent whose child is gone; then a grandchild shares again. */
static void test_observer__debt_after_the_sharer_is_gone(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 5);
    stage_write(&s, 0, 5);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    puppet_exit(&s.puppets[child]);
    assert_true(puppet_reap(&s.puppets[0]));
    s.puppets[child].pid = 0;
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_DEBT, 5);
    must_be(&s, 0, RQ_SHARE_MODE, SM_COW);
    must_be(&s, 0, RQ_OUTSIDE, 0);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be(&s, 0, RQ_REUSED, 2);
    must_be(&s, 0, RQ_DEBT, 3);
    must_be(&s, 0, RQ_EXCLUSIVE, 2);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Pages that were only read show the shared zero page: not resident, not exclusive, not cow. */
static void test_observer__zero_page(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    NEED(&s, CAP_ZERO_PAGE);
    stage_map(&s, PUPPET_ANONYMOUS, 4);
    stage_look(&s, 0, 0);
    assert_int_equal(puppet_read(&s.puppets[0], s.regions[0].start, 3 * s.page, 1), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_ZERO, 3);
    must_be(&s, 0, RQ_NONE, 1);
    must_be(&s, 0, RQ_COW, 0);
    must_be(&s, 0, RQ_RESIDENT, 0);
    must_be(&s, 0, RQ_MAPPED, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
    must_be(&s, 0, RQ_REF_COUNT, 0);
    must_be(&s, 0, RQ_AT_RISK, 3);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be(&s, 0, RQ_FIRST_TOUCH, 2);
    must_be(&s, 0, RQ_ZERO, 1);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Three generations share; the middle one exits, the frames stay shared by two. */
static void test_observer__tree(void **state)
{
    struct stage s;
    size_t child, grandchild;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    child = stage_fork(&s, 0);
    grandchild = stage_fork(&s, child);
    stage_look(&s, 1, 0);
    must_be(&s, grandchild, RQ_REF_COUNT, 3);
    assert_int_equal(s.obs.nsharing, 3);
    puppet_exit(&s.puppets[child]);
    assert_true(puppet_reap(&s.puppets[0]));
    s.puppets[child].pid = 0;
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_REF_COUNT, 2);
    must_be(&s, grandchild, RQ_REF_COUNT, 2);
    must_be(&s, grandchild, RQ_COW, 2);
    assert_int_equal(s.obs.nsharing, 1);
    checks_must_hold(&s);
    stage_end(&s);
}

/* A private view of a memfd: its pages are resident before they are mapped; a write copies; the
 * object's page stays behind the copy, where nobody sees it. */
static void test_observer__memfd_private(void **state)
{
    struct stage s;
    const struct obs_region *r;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_PRIVATE, 6);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_COW);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be(&s, 0, RQ_MAPPED, 0);
    must_be(&s, 0, RQ_RESIDENT, 6);
    must_be(&s, 0, RQ_AT_RISK, 6);
    assert_int_equal(s.obs.totals[TQ_OBJECT_ONLY].n, 6 * s.page / 1024);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].n, 0);

    assert_int_equal(puppet_read(&s.puppets[0], s.regions[0].start, s.page, 1), 0);
    stage_look(&s, 0, 0);
    assert_true(stage_value(&s, 0, RQ_OBJECT).n >= 1); /* fault-around may map more */
    must_be(&s, 0, RQ_RESIDENT, 6);

    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be(&s, 0, RQ_COPIED, 2);
    must_be(&s, 0, RQ_EXCLUSIVE, 2);
    must_be(&s, 0, RQ_RESIDENT, 6);
    must_be(&s, 0, RQ_AT_RISK, 4);
    must_be(&s, 0, RQ_SHARE_MODE, SM_COW);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].n, 2 * s.page / 1024);
    r = stage_region(&s, 0);
    assert_int_equal(r->nobjects, 2);
    assert_string_equal(r->objects[0].kind, "anonymous");
    assert_string_equal(r->objects[1].kind, "memfd");
    assert_int_equal(r->objects[1].resident.n, 6);
    assert_int_equal(r->objects[1].depth, 1);
    checks_must_hold(&s);
    stage_end(&s);
}

/* A descriptor alone shows nothing: what its holder's mapping hides, or no mapping covers, nobody
 * sees. Without that a message layer's descriptors would keep superseded memory out of sight. */
static void test_observer__superseded_although_held(void **state)
{
    struct stage s;
    uint64_t kb;

    (void)state;
    begin(&s);
    kb = s.page / 1024;
    stage_map(&s, PUPPET_MEMFD_HELD, 6);
    stage_look(&s, 0, 0);
    assert_int_equal(s.obs.totals[TQ_OBJECT_ONLY].n, 6 * kb);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].n, 0); /* the mapping would show them */
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].n, 2 * kb);
    assert_int_equal(puppet_unmap(&s.puppets[0], s.regions[0].start + 4 * s.page, 2 * s.page), 0);
    stage_look(&s, 0, 0);
    assert_int_equal(s.obs.totals[TQ_OBJECT_ONLY].n, 6 * kb);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].n, 4 * kb);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Shared memory after fork: the child maps the object but no page of it yet. */
static void test_observer__memfd_shared(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_SHARED, 4);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    stage_write(&s, 0, 3);
    stage_look(&s, 0, 3);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, 0, RQ_SHARED, 3);
    must_be(&s, 0, RQ_FIRST_TOUCH, 3);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_SHARE_MODE, SM_SHARED);
    must_be(&s, child, RQ_REF_COUNT, 2);
    must_be(&s, child, RQ_MAPPED, 0);
    must_be(&s, child, RQ_RESIDENT, 3);
    must_be(&s, child, RQ_AT_RISK, 0);
    /* Writing finds the object's page: a fault, the same frame. */
    stage_write(&s, child, 4);
    stage_look(&s, (int)child, 4);
    must_be(&s, child, RQ_REUSED, 3);
    must_be(&s, child, RQ_FIRST_TOUCH, 1);
    must_be(&s, child, RQ_WRITE_OUTCOME, WO_MIXED);
    must_be(&s, 0, RQ_RESIDENT, 4);
    assert_int_equal(s.obs.sharing[0].region_frames.n, 3);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Looking at a memfd must not fill its holes, nor stand in the way of sealing it. */
static void test_observer__looking_changes_nothing(void **state)
{
    struct stage s;
    struct value before, after;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_SHARED, 64);
    stage_write(&s, 0, 1);
    stage_look(&s, 0, 1);
    before = observation_find_process(&s.obs, "a")->q[PQ_MINFLT_TOTAL];
    for (int i = 0; i < 5; i++)
        stage_look(&s, -1, 0);
    after = observation_find_process(&s.obs, "a")->q[PQ_MINFLT_TOTAL];
    must_be(&s, 0, RQ_RESIDENT, 1);
    assert_int_equal(before.n, after.n);
    for (size_t i = 0; i < s.obs.ncosts; i++)
        if (strcmp(s.obs.costs[i].probe, "pagemap") == 0)
            assert_int_equal(s.obs.costs[i].faults_induced.n, 0);
    stage_end(&s);
}

/* A message's object, held by no process; then the same object mapped by one too. */
static void test_observer__in_transit(void **state)
{
    struct stage s;
    struct observation obs;
    struct err e = {""};
    int fd = memfd_create("message", MFD_CLOEXEC);
    char byte = 1;
    struct target_message m = {.region = "r", .fd = fd, .carriers = 1};
    const struct obs_region *r;

    (void)state;
    begin(&s);
    stage_look(&s, -1, 0);
    assert_int_equal(ftruncate(fd, (off_t)(8 * s.page)), 0);
    assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(5 * s.page)), 1);
    m.len = 8 * s.page;
    observation_init(&obs);
    assert_int_equal(observer_look(s.observer, s.targets, 1, &m, 1, &obs, &e), 0);
    r = observation_find_region(&obs, "message", "r", NULL);
    assert_non_null(r);
    assert_int_equal(r->q[RQ_PAGES].n, 8);
    assert_int_equal(r->q[RQ_RESIDENT].n, 2);
    assert_int_equal(r->q[RQ_REF_COUNT].n, 1);
    assert_int_equal(obs.totals[TQ_IN_TRANSIT].n, 2 * s.page / 1024);
    /* The offset of the descriptor, which others may share, has not moved. */
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    observation_release(&obs);
    close(fd);
    stage_end(&s);
}

/* mprotect splits the mapping in three; the region is still one, and its pages add up. */
static void test_observer__split_and_merged_entries(void **state)
{
    struct stage s;
    uint64_t at;

    (void)state;
    begin(&s);
    at = stage_map(&s, PUPPET_ANONYMOUS, 9);
    stage_write(&s, 0, 9);
    assert_int_equal(puppet_protect(&s.puppets[0], at + 3 * s.page, 3 * s.page, PROT_READ), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_PAGES, 9);
    must_be(&s, 0, RQ_EXCLUSIVE, 9);
    must_be(&s, 0, RQ_ENTRY_PAGES, 3);
    must_be(&s, 0, RQ_PROTECTION, 3);
    checks_must_hold(&s);
    /* Only the middle as a region: its entry is its own; then merged again with its neighbours. */
    s.regions[0].start = at + 3 * s.page;
    s.regions[0].len = 3 * s.page;
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_PROTECTION, 1);
    must_be(&s, 0, RQ_ENTRY_PAGES, 3);
    assert_int_equal(
        puppet_protect(&s.puppets[0], at + 3 * s.page, 3 * s.page, PROT_READ | PROT_WRITE), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_PAGES, 3);
    assert_true(stage_value(&s, 0, RQ_ENTRY_PAGES).n >= 9);
    checks_must_hold(&s);
    stage_end(&s);
}

/* mremap keeps the frames: at the new address the pages are the same. */
static void test_observer__moved_region_keeps_its_frames(void **state)
{
    struct stage s;
    uint64_t at;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 7);
    stage_write(&s, 0, 7);
    /* Or compaction may take them elsewhere meanwhile. */
    assert_int_equal(puppet_hold(&s.puppets[0], s.regions[0].start, 7 * s.page), 0);
    stage_look(&s, 0, 7);
    at = puppet_move(&s.puppets[0], s.regions[0].start, 7 * s.page);
    assert_true(at && at != s.regions[0].start);
    s.regions[0].start = at;
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_EXCLUSIVE, 7);
    assert_int_equal(stage_region(&s, 0)->runs[0].frame, 1);
    assert_int_equal(stage_region(&s, 0)->nruns, 1);
    stage_write(&s, 0, 7);
    stage_look(&s, 0, 7);
    must_be(&s, 0, RQ_NO_FAULT, 7);
    stage_end(&s);
}

/* Compaction gives pages other frames. That is no copy, whether they are one process's or shared.
 */
static void test_observer__what_the_kernel_moves_is_not_copied(void **state)
{
    const int64_t pages = 8192;
    struct stage s;
    int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);

    (void)state;
    if (fd < 0)
        skip_needs("root, to have memory compacted");
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, pages);
    stage_write(&s, 0, pages);
    stage_look(&s, 0, pages);
    assert_int_equal(write(fd, "1", 1), 1);
    stage_write(&s, 0, pages);
    stage_look(&s, 0, pages);
    must_be(&s, 0, RQ_COPIED, 0);
    must_be(&s, 0, RQ_NO_FAULT, pages);
    stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    assert_int_equal(write(fd, "1", 1), 1);
    stage_write(&s, 1, pages / 2);
    stage_look(&s, 1, pages / 2);
    must_be(&s, 1, RQ_COPIED, pages / 2);
    stage_end(&s);
    close(fd);
}

static void test_observer__unmapped_region_is_empty(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 300);
    stage_write(&s, 0, 300);
    stage_look(&s, 0, 300);
    assert_int_equal(puppet_unmap(&s.puppets[0], s.regions[0].start, 200 * s.page), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_NONE, 200);
    must_be(&s, 0, RQ_EXCLUSIVE, 100);
    assert_int_equal(puppet_unmap(&s.puppets[0], s.regions[0].start, 300 * s.page), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_NONE, 300);
    must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
    must_be(&s, 0, RQ_ENTRY_PAGES, 0);
    checks_must_hold(&s); /* the frames counted before must be taken back */
    stage_end(&s);
}

/* What is left of a region is what it was: the rest of a shared mapping is no view that copies. */
static void test_observer__a_region_that_lost_its_start(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_SHARED, 10);
    stage_write(&s, 0, 10);
    assert_int_equal(puppet_unmap(&s.puppets[0], s.regions[0].start, 4 * s.page), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be(&s, 0, RQ_ENTRY_PAGES, 6);
    must_be(&s, 0, RQ_SHARED, 6);
    must_be(&s, 0, RQ_NONE, 4);
    assert_int_equal(stage_region(&s, 0)->objects[0].offset.n, 4);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Two names for overlapping memory: each page counts once in the totals. */
static void test_observer__overlapping_regions(void **state)
{
    struct stage s;
    struct target_region two[2];
    struct observation obs;
    struct err e = {""};

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 20);
    stage_write(&s, 0, 20);
    stage_look(&s, 0, 20);
    two[0] = two[1] = s.regions[0];
    two[1].name = "part";
    two[1].start += 5 * s.page;
    two[1].len = 10 * s.page;
    s.targets[0].regions = two;
    s.targets[0].nregions = 2;
    observation_init(&obs);
    for (int i = 0; i < 3; i++) {
        observation_release(&obs);
        assert_int_equal(observer_look(s.observer, s.targets, 1, NULL, 0, &obs, &e), 0);
    }
    assert_int_equal(observation_find_region(&obs, "a", "part", NULL)->q[RQ_EXCLUSIVE].n, 10);
    assert_int_equal(observation_find_region(&obs, "a", "r", NULL)->q[RQ_EXCLUSIVE].n, 20);
    assert_int_equal(observation_find_region(&obs, "a", "r", NULL)->q[RQ_OUTSIDE].n, 0);
    assert_int_equal(obs.totals[TQ_DISTINCT].n, s.obs.totals[TQ_DISTINCT].n);
    observation_release(&obs);
    stage_end(&s);
}

/* exec replaces the address space: the files that were open show the old one. */
static void test_observer__exec(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    assert_true(puppet_exec(&s.puppets[0]));
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_NONE, 2);
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be(&s, 0, RQ_EXCLUSIVE, 2);
    checks_must_hold(&s);
    stage_end(&s);
}

static void test_observer__a_vanished_process_is_named(void **state)
{
    struct stage s;
    struct observation obs;
    struct err e = {""};
    pid_t pid;

    (void)state;
    stage_begin(&s, NULL);
    stage_look(&s, 0, 0);
    pid = s.puppets[0].pid;
    puppet_end(&s.puppets[0]);
    observation_init(&obs);
    s.targets[0].pid = pid;
    assert_int_equal(observer_look(s.observer, s.targets, 1, NULL, 0, &obs, &e), -ESRCH);
    assert_non_null(strstr(e.msg, "(a) is gone"));
    observation_release(&obs);
    stage_end(&s);
}

/* A page that something outside the run maps too: here the child, which is not shown. */
static void test_observer__outside_mappings_are_seen(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, 5);
    stage_write(&s, 0, 5);
    child = stage_fork(&s, 0);
    s.n = 1;
    stage_look(&s, 0, 0);
    s.n = child + 1;
    must_be(&s, 0, RQ_OUTSIDE, 5);
    must_be(&s, 0, RQ_REF_COUNT, 2);
    assert_int_equal(stage_check(&s, "pss_distinct", 0)->verdict, CHECK_NOT_CHECKED);
    stage_end(&s);
}

/* What the actor asked the kernel not to pass on. */
static void test_observer__inheritance_and_protection(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s, NULL);
    stage_map(&s, PUPPET_ANONYMOUS, 1);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_INHERITANCE, INH_COPY);
    assert_int_equal(puppet_advise(&s.puppets[0], s.regions[0].start, s.page, MADV_DONTFORK), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_INHERITANCE, INH_NONE);
    assert_int_equal(puppet_advise(&s.puppets[0], s.regions[0].start, s.page, MADV_DOFORK), 0);
    assert_int_equal(puppet_advise(&s.puppets[0], s.regions[0].start, s.page, MADV_WIPEONFORK), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_INHERITANCE, INH_ZERO);
    stage_end(&s);
}

/* In a huge page the kernel's word for one page is its head page's: exclusive against debt cannot
 * be told, and what hangs on it is unknown. That a page is shared can. */
/* The first puppet's region is one huge page, written; its size in pages. */
static uint64_t map_one_huge(struct stage *s)
{
    uint64_t at = puppet_map_huge(&s->puppets[0], s->caps.huge_page_size);

    assert_true(at != 0);
    s->regions[0] = (struct target_region){
        .name = "r", .start = at, .len = s->caps.huge_page_size, .inherit = INH_COPY};
    stage_look(s, 0, 0);
    stage_write(s, 0, 1);
    stage_look(s, 0, 1);
    if (stage_region(s, 0)->q[RQ_MAPPED].n == 1) {
        print_message("# needs thp: none to be had just now\n");
        stage_end(s);
        skip();
    }
    return s->caps.huge_page_size / s->page;
}

static void test_observer__thp(void **state)
{
    struct stage s;
    uint64_t pages;
    size_t child;

    (void)state;
    begin(&s);
    NEED(&s, CAP_THP);
    NEED(&s, CAP_PAGE_MAPCOUNT);
    pages = map_one_huge(&s);
    must_be(&s, 0, RQ_HUGE, (int64_t)pages);
    must_be(&s, 0, RQ_MAPPED, (int64_t)pages);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be_unknown(&s, 0, RQ_EXCLUSIVE, WHY_LARGE_FOLIO);
    must_be_unknown(&s, 0, RQ_DEBT, WHY_LARGE_FOLIO);
    must_be_unknown(&s, 0, RQ_SHARE_MODE, WHY_LARGE_FOLIO);
    must_be_unknown(&s, 0, RQ_AT_RISK, WHY_LARGE_FOLIO);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_COW, (int64_t)pages);
    must_be(&s, child, RQ_SHARE_MODE, SM_COW);
    must_be(&s, child, RQ_REF_COUNT, 2);
    /* The kernel splits the mapping and copies one small page; a kernel that copied the huge page
     * would show all of them copied. */
    stage_write(&s, child, 1);
    stage_look(&s, (int)child, 1);
    if (stage_value(&s, child, RQ_HUGE).n == 0)
        must_be(&s, child, RQ_COPIED, 1);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Hidden exact counts: nothing is claimed of a huge page that hangs on them. */
static void test_observer__thp_without_exact_counts(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    stage_begin(&s, "page_mapcount");
    NEED(&s, CAP_DEBT);
    NEED(&s, CAP_THP);
    map_one_huge(&s);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be_unknown(&s, child, RQ_COW, WHY_NO_PAGE_MAPCOUNT);
    must_be_unknown(&s, child, RQ_REF_COUNT, WHY_NO_PAGE_MAPCOUNT);
    must_be_unknown(&s, child, RQ_OUTSIDE, WHY_NO_PAGE_MAPCOUNT);
    assert_int_equal(stage_region(&s, child)->runs[0].mapcount, -1);
    stage_end(&s);
}

/* Without frames only the head's bit 56 is its own: that is enough for SM_COW, not for numbers. */
static void test_observer__thp_without_frames(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    stage_begin(&s, "frames");
    NEED(&s, CAP_THP);
    NEED(&s, CAP_PAGEMAP_SCAN);
    map_one_huge(&s);
    must_be_unknown(&s, 0, RQ_REF_COUNT, WHY_LARGE_FOLIO);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_SHARE_MODE, SM_COW);
    must_be_unknown(&s, child, RQ_COW, WHY_LARGE_FOLIO);
    must_be_unknown(&s, child, RQ_REF_COUNT, WHY_LARGE_FOLIO);
    must_be_unknown(&s, child, RQ_AT_RISK, WHY_LARGE_FOLIO);
    stage_end(&s);
}

/* Pages that were pushed out: not resident, not lost; written again they are in new frames. */
static void test_observer__swapped(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    NEED(&s, CAP_SWAP);
    stage_map(&s, PUPPET_ANONYMOUS, 8);
    stage_write(&s, 0, 8);
    stage_look(&s, 0, 8);
    assert_int_equal(puppet_advise(&s.puppets[0], s.regions[0].start, 8 * s.page, MADV_PAGEOUT), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SWAPPED, 8);
    must_be(&s, 0, RQ_RESIDENT, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    must_be(&s, 0, RQ_REF_COUNT, 0);
    assert_true(observation_find_process(&s.obs, "a")->q[PQ_SWAP].n >= 8 * (int64_t)s.page / 1024);
    stage_write(&s, 0, 3);
    stage_look(&s, 0, 3);
    must_be(&s, 0, RQ_COPIED, 3);
    checks_must_hold(&s);
    stage_end(&s);
}

/* In a large folio bit 56 is the head page's answer. With the kernel's map counts the shared pages
 * are still told one by one; without, an answer by bit 56 alone would be 0 or all of them. */
static void test_observer__thp_with_less_to_go_by(void **state)
{
    static const char *const hidden[] = {"kpageflags", "kpagecount", "frames", "debt"};

    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        struct stage s;
        uint64_t pages;
        size_t child;

        begin(&s);
        NEED(&s, CAP_THP);
        NEED(&s, CAP_PAGE_MAPCOUNT);
        stage_end(&s);
        stage_begin(&s, hidden[i]);
        pages = map_one_huge(&s);
        child = stage_fork(&s, 0);
        stage_write(&s, child, 1);
        stage_look(&s, (int)child, 1);
        if (s.caps.have[CAP_KPAGECOUNT] && s.caps.have[CAP_FRAMES])
            must_be(&s, 0, RQ_COW, (int64_t)pages - 1);
        else
            must_be_unknown(&s, 0, RQ_COW, WHY_LARGE_FOLIO);
        checks_must_hold(&s);
        stage_end(&s);
    }
}

/* Huge pages of explicit kind: from /proc/sys/vm/nr_hugepages, if there are any. */
static void test_observer__hugetlb(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    NEED(&s, CAP_HUGETLB);
    stage_map(&s, PUPPET_HUGETLB, s.caps.huge_page_size / s.page);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_LARGE_PAGE);
    stage_write(&s, 0, 1);
    stage_look(&s, 0, 1);
    must_be(&s, 0, RQ_SHARE_MODE, SM_LARGE_PAGE);
    must_be(&s, 0, RQ_MAPPED, (int64_t)(s.caps.huge_page_size / s.page));
    must_be(&s, 0, RQ_HUGE, (int64_t)(s.caps.huge_page_size / s.page));
    checks_must_hold(&s);
    stage_end(&s);
}

/* As an ordinary user sees it: flags of pages, no frames. cow stays known, exclusive does not. */
static void test_observer__without_frames(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    stage_begin(&s, "frames");
    stage_map(&s, PUPPET_ANONYMOUS, 4);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
    must_be(&s, 0, RQ_REF_COUNT, 0);
    stage_write(&s, 0, 4);
    stage_look(&s, 0, 4);
    must_be(&s, 0, RQ_RESIDENT, 4);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    must_be(&s, 0, RQ_FIRST_TOUCH, 4);
    must_be(&s, 0, RQ_COW, 0);
    must_be(&s, 0, RQ_AT_RISK, 0);
    must_be_unknown(&s, 0, RQ_EXCLUSIVE, WHY_NO_FRAMES);
    must_be_unknown(&s, 0, RQ_DEBT, WHY_NO_FRAMES);
    must_be_unknown(&s, 0, RQ_SHARE_MODE, WHY_NO_FRAMES);
    must_be_unknown(&s, 0, RQ_OUTSIDE, WHY_NO_FRAMES);
    assert_int_equal(stage_region(&s, 0)->runs[0].state, PS_ANON_UNKNOWN);
    assert_false(value_is_known(s.obs.totals[TQ_DISTINCT]));
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_SHARE_MODE, SM_COW);
    must_be(&s, child, RQ_COW, 4);
    must_be(&s, child, RQ_AT_RISK, 4);
    must_be_unknown(&s, child, RQ_REF_COUNT, WHY_NO_FRAMES);
    stage_write(&s, child, 4);
    stage_look(&s, (int)child, 4);
    must_be(&s, child, RQ_COPIED, 4);
    assert_true(stage_value(&s, child, RQ_COPIED).inferred);
    stage_write(&s, child, 4);
    stage_look(&s, (int)child, 4);
    must_be_unknown(&s, child, RQ_NO_FAULT, WHY_NO_FRAMES);
    must_be_unknown(&s, child, RQ_WRITE_OUTCOME, WHY_NO_FRAMES);
    checks_must_hold(&s);
    stage_end(&s);
}

/* Without PAGEMAP_SCAN either, the zero page cannot be told from a shared one. */
static void test_observer__zero_page_untold(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s, "frames,pagemap_scan");
    NEED(&s, CAP_ZERO_PAGE);
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    assert_int_equal(puppet_read(&s.puppets[0], s.regions[0].start, 2 * s.page, 1), 0);
    stage_look(&s, 0, 0);
    must_be_unknown(&s, 0, RQ_ZERO, WHY_ZERO_UNTOLD);
    must_be_unknown(&s, 0, RQ_COW, WHY_ZERO_UNTOLD);
    must_be_unknown(&s, 0, RQ_MAPPED, WHY_ZERO_UNTOLD);
    must_be_unknown(&s, 0, RQ_RESIDENT, WHY_ZERO_UNTOLD);
    checks_must_hold(&s);
    /* What was the zero page is touched first; a page that was shared would be copied. */
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be_unknown(&s, 0, RQ_FIRST_TOUCH, WHY_ZERO_UNTOLD);
    must_be_unknown(&s, 0, RQ_COPIED, WHY_NO_FRAMES);
    /* Now bit 56 is set: no zero page. */
    must_be(&s, 0, RQ_ZERO, 0);
    must_be(&s, 0, RQ_COW, 0);
    must_be(&s, 0, RQ_RESIDENT, 2);
    checks_must_hold(&s);
    stage_end(&s);
}

/* No page table to read: nothing of it is 0 or "does not apply". */
static void test_observer__without_pagemap(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s, "pagemap");
    stage_map(&s, PUPPET_MEMFD_SHARED, 2);
    stage_look(&s, 0, 0);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be_unknown(&s, 0, RQ_MAPPED, WHY_PERMISSION);
    must_be_unknown(&s, 0, RQ_FIRST_TOUCH, WHY_PERMISSION);
    must_be_unknown(&s, 0, RQ_WRITE_OUTCOME, WHY_PERMISSION);
    assert_int_equal(s.obs.totals[TQ_OBJECT_ONLY].why, WHY_PERMISSION);
    assert_int_equal(s.obs.totals[TQ_SUPERSEDED].why, WHY_PERMISSION);
    stage_end(&s);
}

static void test_observer__without_debt(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    stage_end(&s);
    stage_begin(&s, "debt");
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be_unknown(&s, 0, RQ_DEBT, WHY_NO_ANON_EXCLUSIVE);
    must_be_unknown(&s, 0, RQ_SHARE_MODE, WHY_NO_ANON_EXCLUSIVE);
    must_be(&s, 0, RQ_REF_COUNT, 1);
    stage_end(&s);
}

static void test_observer__without_smaps(void **state)
{
    struct stage s;

    (void)state;
    stage_begin(&s, "smaps");
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    must_be(&s, 0, RQ_RESIDENT, 2);
    must_be_unknown(&s, 0, RQ_INHERITANCE, WHY_NO_INTERFACE); /* VmFlags are in smaps */
    assert_false(value_is_known(observation_find_process(&s.obs, "a")->q[PQ_PSS]));
    assert_true(value_is_known(observation_find_process(&s.obs, "a")->q[PQ_RSS]));
    assert_int_equal(stage_check(&s, "smaps_rss", 0)->verdict, CHECK_NOT_CHECKED);
    stage_end(&s);
}

/* Counts from joining the processes' frames are marked. */
static void test_observer__joined_counts_are_inferred(void **state)
{
    struct stage s;
    size_t child;

    (void)state;
    begin(&s);
    stage_end(&s);
    stage_begin(&s, "kpagecount");
    stage_map(&s, PUPPET_ANONYMOUS, 2);
    stage_write(&s, 0, 2);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_REF_COUNT, 2);
    assert_true(stage_value(&s, child, RQ_REF_COUNT).inferred);
    assert_true(stage_region(&s, child)->runs[0].inferred);
    must_be_unknown(&s, child, RQ_OUTSIDE, WHY_NO_KPAGE);
    stage_end(&s);
}

/* Every other page: totals stay exact when the runs are cut. */
static void test_observer__runs_are_cut_totals_are_not(void **state)
{
    struct observer_options opt = {.whole_process = true, .max_runs = 10};
    struct stage s;
    struct err e = {""};
    size_t child;

    (void)state;
    begin(&s);
    observer_free(s.observer);
    assert_int_equal(observer_new(&s.observer, &s.caps, &opt, &e), 0);
    stage_map(&s, PUPPET_ANONYMOUS, 100);
    stage_write(&s, 0, 100);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    assert_int_equal(puppet_write(&s.puppets[child], s.regions[child].start, 100 * s.page, 2), 0);
    stage_look(&s, (int)child, 50);
    must_be(&s, child, RQ_COPIED, 50);
    must_be(&s, child, RQ_COW, 50);
    assert_true(stage_region(&s, child)->runs_cut);
    assert_int_equal(stage_region(&s, child)->nruns, 10);
    stage_end(&s);
}

static void corrupted(const char *reader, const char *check)
{
    struct stage s;
    size_t child;

    setenv("COWLAB_CORRUPT", reader, 1);
    stage_begin(&s, NULL);
    unsetenv("COWLAB_CORRUPT");
    NEED(&s, CAP_DEBT);
    stage_map(&s, PUPPET_ANONYMOUS, 50);
    stage_write(&s, 0, 50);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    (void)child;
    assert_int_equal(stage_check(&s, check, 0)->verdict, CHECK_DIFFERS);
    stage_end(&s);
}

/* A reader that lies is caught by the check that has a second source. */
static void test_observer__corrupted_smaps_is_noticed(void **state)
{
    (void)state;
    corrupted("smaps", "smaps_rss");
}

static void test_observer__corrupted_pagemap_is_noticed(void **state)
{
    (void)state;
    corrupted("pagemap", "smaps_process");
}

static void test_observer__corrupted_kpagecount_is_noticed(void **state)
{
    (void)state;
    corrupted("kpagecount", "smaps_pss");
}

/* Beyond the limit of lookups, map counts are joined and debt is asked for former cow pages only:
 * the same numbers, marked, and confirmed by samples. */
static void test_observer__inference_in_large_regions(void **state)
{
    const uint64_t pages = 400 * 1024;
    struct stage s;
    size_t child;

    (void)state;
    begin(&s);
    if (s.page > 4096 || sysconf(_SC_AVPHYS_PAGES) < 4 * (long)pages) {
        stage_end(&s);
        skip_needs("small pages and more free memory");
    }
    stage_map(&s, PUPPET_ANONYMOUS, pages);
    stage_write(&s, 0, pages);
    stage_look(&s, 0, pages);
    must_be(&s, 0, RQ_EXCLUSIVE, (int64_t)pages);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_COW, (int64_t)pages);
    assert_true(stage_value(&s, child, RQ_REF_COUNT).inferred);
    stage_write(&s, child, pages / 2);
    stage_look(&s, (int)child, pages / 2);
    must_be(&s, child, RQ_COPIED, (int64_t)pages / 2);
    must_be(&s, child, RQ_EXCLUSIVE, (int64_t)pages / 2);
    assert_true(stage_value(&s, child, RQ_EXCLUSIVE).inferred);
    must_be(&s, 0, RQ_DEBT, (int64_t)pages / 2);
    stage_look(&s, -1, 0);
    must_be(&s, 0, RQ_DEBT, (int64_t)pages / 2);
    stage_write(&s, 0, pages / 4);
    stage_look(&s, 0, pages / 4);
    must_be(&s, 0, RQ_REUSED, (int64_t)pages / 4);
    assert_int_equal(stage_check(&s, "inference", 0)->verdict, CHECK_HELD);
    checks_must_hold(&s);
    /* A child that the observer never sees leaves everything in debt: a sample must notice. */
    stage_write(&s, 0, pages);
    stage_look(&s, 0, pages);
    must_be(&s, 0, RQ_SHARE_MODE, SM_PRIVATE);
    child = stage_fork(&s, 0);
    puppet_exit(&s.puppets[child]);
    assert_true(puppet_reap(&s.puppets[0]));
    s.n = child;
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_DEBT, (int64_t)pages);
    assert_false(stage_value(&s, 0, RQ_DEBT).inferred);
    stage_end(&s);
}

/* The nth descriptor cannot be had, for every n that a look reaches: an error or the same numbers,
 * and nothing left open. */
static void test_observer__no_room_for_descriptors(void **state)
{
    struct rlimit old, low;
    struct stage s;
    bool through = false;

    (void)state;
    stage_begin(&s, NULL);
    NEED(&s, CAP_DEBT);
    stage_map(&s, PUPPET_MEMFD_PRIVATE, 4);
    stage_write(&s, 0, 2);
    stage_look(&s, 0, 2);
    getrlimit(RLIMIT_NOFILE, &old);
    for (int n = 0; n < 40 && !through; n++) {
        struct observer_options opt = {.whole_process = true};
        struct observer *o = NULL;
        struct observation obs;
        struct err e = {""};
        int next = dup(0), rc;

        close(next);
        low = old;
        low.rlim_cur = (rlim_t)(next + n);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        observation_init(&obs);
        rc = observer_new(&o, &s.caps, &opt, &e);
        if (rc == 0)
            rc = observer_look(o, s.targets, 1, NULL, 0, &obs, &e);
        setrlimit(RLIMIT_NOFILE, &old);
        if (rc < 0)
            assert_non_null(strstr(e.msg, "Too many open files"));
        else
            for (int q = RQ_SHARE_MODE; q <= RQ_AT_RISK; q++) {
                struct value left = obs.regions[0].q[q], right = stage_value(&s, 0, q);

                assert_int_equal(left.why, right.why);
                assert_int_equal(left.n, right.n);
            }
        if (rc == 0)
            assert_int_equal(obs.totals[TQ_OBJECT_ONLY].n, s.obs.totals[TQ_OBJECT_ONLY].n);
        through = rc == 0;
        observation_release(&obs);
        observer_free(o);
    }
    assert_true(through);
    stage_end(&s);
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_observer__leaks_no_descriptor(void **state)
{
    int before = descriptors();
    struct stage s;

    (void)state;
    stage_begin(&s, NULL);
    stage_map(&s, PUPPET_MEMFD_PRIVATE, 4);
    for (int i = 0; i < 3; i++) {
        size_t child = stage_fork(&s, 0);

        stage_look(&s, 0, 0);
        puppet_exit(&s.puppets[child]);
        assert_true(puppet_reap(&s.puppets[0]));
        s.n = child;
        stage_look(&s, 0, 0);
    }
    stage_end(&s);
    assert_int_equal(descriptors(), before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_observer__six_steps),
        cmocka_unit_test(test_observer__half_copied_is_mixed_runs),
        cmocka_unit_test(test_observer__debt_after_the_sharer_is_gone),
        cmocka_unit_test(test_observer__zero_page),
        cmocka_unit_test(test_observer__tree),
        cmocka_unit_test(test_observer__memfd_private),
        cmocka_unit_test(test_observer__superseded_although_held),
        cmocka_unit_test(test_observer__memfd_shared),
        cmocka_unit_test(test_observer__looking_changes_nothing),
        cmocka_unit_test(test_observer__in_transit),
        cmocka_unit_test(test_observer__split_and_merged_entries),
        cmocka_unit_test(test_observer__moved_region_keeps_its_frames),
        cmocka_unit_test(test_observer__what_the_kernel_moves_is_not_copied),
        cmocka_unit_test(test_observer__unmapped_region_is_empty),
        cmocka_unit_test(test_observer__a_region_that_lost_its_start),
        cmocka_unit_test(test_observer__overlapping_regions),
        cmocka_unit_test(test_observer__exec),
        cmocka_unit_test(test_observer__a_vanished_process_is_named),
        cmocka_unit_test(test_observer__outside_mappings_are_seen),
        cmocka_unit_test(test_observer__inheritance_and_protection),
        cmocka_unit_test(test_observer__thp),
        cmocka_unit_test(test_observer__thp_without_exact_counts),
        cmocka_unit_test(test_observer__thp_without_frames),
        cmocka_unit_test(test_observer__swapped),
        cmocka_unit_test(test_observer__thp_with_less_to_go_by),
        cmocka_unit_test(test_observer__hugetlb),
        cmocka_unit_test(test_observer__without_frames),
        cmocka_unit_test(test_observer__zero_page_untold),
        cmocka_unit_test(test_observer__without_pagemap),
        cmocka_unit_test(test_observer__without_debt),
        cmocka_unit_test(test_observer__without_smaps),
        cmocka_unit_test(test_observer__joined_counts_are_inferred),
        cmocka_unit_test(test_observer__runs_are_cut_totals_are_not),
        cmocka_unit_test(test_observer__corrupted_smaps_is_noticed),
        cmocka_unit_test(test_observer__corrupted_pagemap_is_noticed),
        cmocka_unit_test(test_observer__corrupted_kpagecount_is_noticed),
        cmocka_unit_test(test_observer__inference_in_large_regions),
        cmocka_unit_test(test_observer__no_room_for_descriptors),
        cmocka_unit_test(test_observer__leaks_no_descriptor),
    };

    puppet_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
