/* The observer on real processes. Each comment says what a broken kernel, or a broken probe, would
 * show instead. What can be told as steps and what is seen after them is a row of the table; the
 * rest are functions. */
#include "tests/support/db.h"
#include "tests/support/script.h"
#include "tests/support/skip.h"

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

#define PRIVATE "anonymous,memfd_private,memfd_held,file_private"
#define SHARED "shared,memfd_shared"

static const struct script_line script[] = {
    /* The six published rows of the fork experiment, and a seventh: writing once more is free. */
    {"six_steps:", "needs=debt"},
    {"a maps anonymous 3", "a share_mode=SM_EMPTY ref_count=0 resident=0 at_risk=0"},
    {"a writes 3", "a share_mode=SM_PRIVATE ref_count=1 resident=3 first_touch=3 "
                   "write_outcome=first_touch"},
    /* Without copy-on-write the child would have frames of its own: SM_PRIVATE, 1. */
    {"a forks", "ab share_mode=SM_COW ref_count=2 cow=3 at_risk=3 run0.frame=1"},
    {"b writes 3", "b share_mode=SM_PRIVATE ref_count=1 copied=3 no_fault=0 run0.frame=4"},
    /* Nobody shares any more, but the kernel has not told the page table: debt. */
    {"look", "a share_mode=SM_COW ref_count=1 debt=3 at_risk=0"},
    /* A kernel that copied here would show new frames. */
    {"a writes 3", "a share_mode=SM_PRIVATE reused=3 write_outcome=reused run0.frame=1"},
    {"a writes 3", "a no_fault=3 write_outcome=no_fault checked"},
    {"half_copied_is_mixed_runs:", "needs=debt"},
    {"a maps anonymous 10", NULL},
    {"a writes 10", ""},
    {"a forks", ""},
    {"b writes 4",
     "b copied=4 exclusive=4 cow=6 ref_count=2 runs=2 run0.count=4 run0.state=exclusive "
     "run0.mapcount=1 run1.frame=5 run1.mapcount=2 a debt=4 cow=6 share_mode=SM_COW "
     "pairs=1 pair0.region_frames=6 pair0.frames>=6 checked"},
    /* The debt of a parent whose child is gone. */
    {"debt_after_the_sharer_is_gone:", "needs=debt"},
    {"a maps anonymous 5", NULL},
    {"a writes 5", NULL},
    {"a forks", ""},
    {"b exits", "a debt=5 share_mode=SM_COW outside=0"},
    {"a writes 2", "a reused=2 debt=3 exclusive=2 checked"},
    /* Pages that were only read show the shared zero page: not resident, not exclusive, not cow. */
    {"zero_page:", "needs=debt,zero_page"},
    {"a maps anonymous 4", ""},
    {"a reads 3", "a zero=3 none=1 cow=0 resident=0 mapped=0 share_mode=SM_EMPTY "
                  "ref_count=0 at_risk=3"},
    {"a writes 2", "a first_touch=2 zero=1 checked"},
    /* Three generations share; the middle one exits, the frames stay shared by two. */
    {"tree:", "needs=debt"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", NULL},
    {"a forks", NULL},
    {"b forks", "c ref_count=3 pairs=3"},
    {"b exits", "ac ref_count=2 c cow=2 pairs=1 checked"},
    /* Private memory, whatever stood behind it before it was written: who writes first copies, the
       other finds the page its own again. Shared frames or a copy for the last writer: a kernel
       without copy-on-write, or without reuse. */
    {"private_memory_after_fork:", "needs=debt kinds=" PRIVATE},
    {"a maps KIND 4", NULL},
    {"a writes all", ""},
    {"a forks", "ab share_mode=SM_COW cow=4 at_risk=4 exclusive=0"},
    {"b writes all", "b copied=4 exclusive=4 cow=0 a debt=4 cow=0"},
    {"a writes all", "a reused=4 copied=0 debt=0 exclusive=4"},
    /* Memory that is meant to be shared is not copied by anybody. */
    {"shared_memory_after_fork:", "needs=debt kinds=" SHARED},
    {"a maps KIND 4", ""},
    {"a writes all", "a first_touch=4"},
    {"a forks", "b share_mode=SM_SHARED at_risk=0 resident=4"},
    {"b writes 3", "b write_outcome=reused reused=3 a shared=4"},
    {"a writes 3", "a write_outcome=no_fault"},
    /* A private view of a memfd: its pages are resident before they are mapped; a write copies; the
       object's page stays behind the copy, where nobody sees it. */
    {"memfd_private:", "needs=debt"},
    {"a maps memfd_private 6", "a share_mode=SM_COW ref_count=1 mapped=0 resident=6 "
                               "at_risk=6 object_only_kb=6p superseded_kb=0"},
    /* fault-around may map more */
    {"a reads 1", "a object>=1 resident=6"},
    {"a writes 2", "a copied=2 exclusive=2 resident=6 at_risk=4 share_mode=SM_COW "
                   "superseded_kb=2p objects=2 object0.kind=anonymous object1.kind=memfd "
                   "object1.resident=6 object1.depth=1 checked"},
    /* A descriptor alone shows nothing: what its holder's mapping hides, or no mapping covers,
       nobody sees. Without that a message layer's descriptors would keep superseded memory out of
       sight. */
    {"superseded_although_held:", "needs=debt"},
    /* the mapping would show them */
    {"a maps memfd_held 6", "object_only_kb=6p superseded_kb=0"},
    {"a writes 2", "superseded_kb=2p"},
    {"a unmaps 4 2", "object_only_kb=6p superseded_kb=4p checked"},
    /* Shared memory after fork: the child maps the object but no page of it yet. */
    {"memfd_shared:", "needs=debt"},
    {"a maps memfd_shared 4", "a share_mode=SM_EMPTY ref_count=1"},
    {"a writes 3", "a share_mode=SM_PRIVATE shared=3 first_touch=3"},
    {"a forks", "b share_mode=SM_SHARED ref_count=2 mapped=0 resident=3 at_risk=0"},
    /* Writing finds the object's page: a fault, the same frame. */
    {"b writes 4",
     "b reused=3 first_touch=1 write_outcome=mixed a resident=4 pair0.region_frames=3 checked"},
    /* mremap keeps the frames: at the new address the pages are the same. */
    {"moved_region_keeps_its_frames:", "needs=debt"},
    {"a maps anonymous 7", NULL},
    {"a writes 7", NULL},
    {"a holds 7", ""},
    {"a moves", "a exclusive=7 run0.frame=1 runs=1"},
    {"a writes 7", "a no_fault=7"},
    /* The frames counted before must be taken back. */
    {"unmapped_region_is_empty:", "needs=debt"},
    {"a maps anonymous 300", NULL},
    {"a writes 300", ""},
    {"a unmaps 0 200", "a none=200 exclusive=100"},
    {"a unmaps 0 300", "a none=300 share_mode=SM_EMPTY entry_pages=0 checked"},
    /* What is left of a region is what it was: the rest of a shared mapping is no view that copies.
     */
    {"a_region_that_lost_its_start:", "needs=debt"},
    {"a maps memfd_shared 10", NULL},
    {"a writes 10", NULL},
    {"a unmaps 0 4",
     "a share_mode=SM_PRIVATE ref_count=1 entry_pages=6 shared=6 none=4 object0.offset=4 checked"},
    /* exec replaces the address space: the files that were open show the old one. */
    {"exec:", "needs=debt"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", ""},
    {"a execs", "a none=2"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", "a exclusive=2 checked"},
    /* What the actor asked the kernel not to pass on. */
    {"inheritance_and_protection:", ""},
    {"a maps anonymous 1", "a inheritance=copy"},
    {"a advises dontfork 1", "a inheritance=none"},
    {"a advises dofork 1", NULL},
    {"a advises wipeonfork 1", "a inheritance=zero"},
    /* Pages that were pushed out: not resident, not lost; written again they are in new frames. */
    {"swapped:", "needs=debt,swap"},
    {"a maps anonymous 8", NULL},
    {"a writes 8", ""},
    {"a advises pageout 8", "a swapped=8 resident=0 share_mode=SM_PRIVATE ref_count=0 swap_kb>=8p"},
    {"a writes 3", "a swapped_in=3 copied=0 write_outcome=swapped_in checked"},
    /* Slots of swap are shared and copied on write like frames: who reads one back has a page that
     * the next write copies as long as another holds the slot, and keeps when nobody does. */
    {"slots_are_shared:", "needs=debt,swap"},
    {"a maps anonymous 8", NULL},
    {"a writes 8", ""},
    {"a advises pageout 8", "a share_mode=SM_PRIVATE at_risk=0 check.smaps_swap=held"},
    {"a forks", "ab share_mode=SM_COW swapped=8 at_risk=8 check.smaps_swap=held"},
    {"b reads 4", "b share_mode=SM_COW cow=4 debt=0 swapped=4 at_risk=8 run0.mapcount=1"},
    {"b writes 2", "b copied=2 exclusive=2 cow=2 check.prediction=held checked"},
    {"a writes 8", "a swapped_in=8 share_mode=SM_PRIVATE b debt=2 cow=0 swapped=4 at_risk=0"},
    {"b writes all", "b reused=2 no_fault=2 swapped_in=4 check.prediction=held checked"},
    /* Who stays in swap shares the page that the other has read back. */
    {"one_reads_back:", "needs=debt,swap"},
    {"a maps anonymous 4", NULL},
    {"a writes 4", ""},
    {"a advises pageout 4", ""},
    {"a forks", "ab share_mode=SM_COW"},
    {"a reads 4", "a cow=4 b swapped=4 share_mode=SM_COW at_risk=4"},
    {"a writes 4", "a copied=4 share_mode=SM_PRIVATE b share_mode=SM_PRIVATE at_risk=0 checked"},
    /* What is in swap of shared memory is the object's: whoever touches it brings it back for all,
       and who maps it privately copies it then. */
    {"shared_in_swap:", "needs=debt,swap,cachestat kinds=" SHARED},
    {"a maps KIND 8", NULL},
    {"a writes 8", ""},
    {"a advises pageout 8", "a swapped=8 none=0 resident=0 share_mode=SM_PRIVATE at_risk=0 "
                            "check.smaps_swap=held"},
    {"a forks", "ab share_mode=SM_SHARED swapped=8 at_risk=0"},
    {"b writes 3", "b swapped_in=3 first_touch=0 shared=3 check.prediction=held a none=3 checked"},
    {"a writes 4", "a reused=3 swapped_in=1 check.prediction=held checked"},
    {"private_view_of_swap:", "needs=debt,swap,cachestat"},
    {"a maps memfd_private 6", NULL},
    {"a reads 6", ""},
    {"a advises pageout 6", "a swapped=6 none=0 resident=0 share_mode=SM_COW at_risk=6"},
    {"a forks", "ab swapped=6 share_mode=SM_COW at_risk=6 check.smaps_swap=held"},
    {"b writes 2",
     "b copied=2 exclusive=2 first_touch=0 check.prediction=held a at_risk=6 checked"},
    /* Lists of the kernel hold what was given MADV_FREE, and what was locked, for a while. */
    {"freed_then_forked:", "needs=debt"},
    {"a maps anonymous 4", NULL},
    {"a writes 4", ""},
    {"a advises free 4", ""},
    {"a forks", ""},
    /* Unless somebody made every CPU empty its list meanwhile (lru_add_drain_all in mm/swap.c). */
    {"b exits", "a share_mode=SM_COW|SM_PRIVATE debt=?KERNEL_DECIDES|4 at_risk=?KERNEL_DECIDES|0"},
    {"a writes 4", "check.prediction=not_checked|held"},
    {"locked_as_an_ordinary_user:", "hidden=frames"},
    {"a maps anonymous 4", NULL},
    {"a writes 4", "a at_risk=0~"},
    {"a advises lock 4", ""},
    {"a forks", ""},
    {"b exits", "a at_risk=?NO_FRAMES cow=?NO_FRAMES"},
    /* A pipe holds a reference that shows nowhere: what is in debt is copied, and told apart. */
    {"hidden_references:", "needs=debt"},
    {"a maps anonymous 4", NULL},
    {"a writes 4", ""},
    {"a forks", ""},
    {"b exits", "a debt=4"},
    {"a holds 2", NULL},
    {"a writes 4", "a copied=2 reused=2 run0.frame=5 check.prediction=held"},
    /* Huge pages of explicit kind: from /proc/sys/vm/nr_hugepages, if there are any. */
    {"hugetlb:", "needs=debt,hugetlb"},
    {"a maps hugetlb huge", "a share_mode=SM_LARGE_PAGE at_risk=0"},
    {"a writes all", "a share_mode=SM_LARGE_PAGE mapped=huge huge=huge first_touch=huge "
                     "check.prediction=held checked"},
    /* As an ordinary user sees it: flags of pages, no frames. cow stays known, exclusive does not.
     */
    {"without_frames:", "hidden=frames"},
    {"a maps anonymous 4", "a share_mode=SM_EMPTY ref_count=0"},
    {"a writes 4", "a resident=4 ref_count=1 first_touch=4 cow=0 at_risk=0 "
                   "exclusive=?NO_FRAMES debt=?NO_FRAMES share_mode=?NO_FRAMES "
                   "outside=?NO_FRAMES run0.state=anon? distinct_kb=?"},
    {"a forks", "b share_mode=SM_COW cow=4 at_risk=4 ref_count=?NO_FRAMES"},
    {"b writes 4", "b copied=4~"},
    {"b writes 4", "b no_fault=?NO_FRAMES write_outcome=?NO_FRAMES checked"},
    /* Without PAGEMAP_SCAN either, the zero page cannot be told from a shared one. */
    {"zero_page_untold:", "needs=zero_page hidden=frames,pagemap_scan"},
    {"a maps anonymous 2", NULL},
    {"a reads 2",
     "a zero=?ZERO_UNTOLD cow=?ZERO_UNTOLD mapped=?ZERO_UNTOLD resident=?ZERO_UNTOLD checked"},
    /* What was the zero page is touched first; a page that was shared would be copied. Now
       bit 56 is set: no zero page. */
    {"a writes 2", "a first_touch=?ZERO_UNTOLD copied=?NO_FRAMES zero=0 cow=0 resident=2 checked"},
    /* No page table to read: nothing of it is 0 or "does not apply". */
    {"without_pagemap:", "hidden=pagemap"},
    {"a maps memfd_shared 2", ""},
    {"a writes 2", "a mapped=?PERMISSION first_touch=?PERMISSION write_outcome=?PERMISSION "
                   "object_only_kb=?PERMISSION superseded_kb=?PERMISSION"},
    {"without_debt:", "needs=debt hidden=debt"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", "a debt=?NO_ANON_EXCLUSIVE share_mode=?NO_ANON_EXCLUSIVE ref_count=1"},
    /* VmFlags are in smaps. */
    {"without_smaps:", "hidden=smaps"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", "a resident=2 inheritance=?NO_INTERFACE pss_kb=? rss_kb=known "
                   "check.smaps_rss=not_checked"},
    /* Counts from joining the processes' frames are marked. */
    {"joined_counts_are_inferred:", "needs=debt hidden=kpagecount"},
    {"a maps anonymous 2", NULL},
    {"a writes 2", NULL},
    {"a forks", "b ref_count=2~ run0.inferred=1 outside=?NO_KPAGE"},
    {NULL, NULL}};

static void begin(struct stage *s)
{
    stage_begin(s, NULL);
    stage_need(s, CAP_DEBT);
}

/* Looking at a memfd must not fill its holes, nor stand in the way of sealing it. */
static void test_observer__looking_changes_nothing(void **state)
{
    struct stage s;
    struct value before, after;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_SHARED, 64);
    stage_wrote(&s, 0, 1);
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
    /* A region of which a part may be written is at risk, wherever that part lies. */
    at = stage_map(&s, PUPPET_MEMFD_PRIVATE, 9);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_AT_RISK, 9);
    assert_int_equal(puppet_protect(&s.puppets[0], at, 3 * s.page, PROT_READ), 0);
    stage_look(&s, 0, 0);
    must_be(&s, 0, RQ_AT_RISK, 9);
    stage_end(&s);
}

/* Compaction gives pages other frames. That is no copy, whether they are one process's or shared.
 * It moves pages of everybody on the machine, for seconds: only with COMPACT=1, as in make soak. */
static void test_observer__what_the_kernel_moves_is_not_copied(void **state)
{
    const int64_t pages = 8192;
    struct stage s;
    int fd = -1;

    (void)state;
    if (getenv("COMPACT"))
        fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip_needs("COMPACT=1 and root, to have memory compacted");
    begin(&s);
    stage_map(&s, PUPPET_ANONYMOUS, pages);
    stage_wrote(&s, 0, pages);
    assert_int_equal(write(fd, "1", 1), 1);
    stage_wrote(&s, 0, pages);
    must_be(&s, 0, RQ_COPIED, 0);
    must_be(&s, 0, RQ_NO_FAULT, pages);
    stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    assert_int_equal(write(fd, "1", 1), 1);
    stage_wrote(&s, 1, pages / 2);
    must_be(&s, 1, RQ_COPIED, pages / 2);
    stage_end(&s);
    close(fd);
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
    stage_wrote(&s, 0, 20);
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

/* The first puppet's region is one huge page, written; its size in pages. */
static uint64_t map_one_huge(struct stage *s)
{
    uint64_t at = puppet_map_huge(&s->puppets[0], s->caps.huge_page_size);

    assert_true(at != 0);
    s->regions[0] = (struct target_region){
        .name = "r", .start = at, .len = s->caps.huge_page_size, .inherit = INH_COPY};
    stage_look(s, 0, 0);
    stage_wrote(s, 0, 1);
    if (stage_region(s, 0)->q[RQ_MAPPED].n == 1) {
        print_message("# needs thp: none to be had just now\n");
        stage_end(s);
        skip();
    }
    return s->caps.huge_page_size / s->page;
}

/* A huge page that was only read shows the huge zero page, of which each kernel's page table says
 * something else: an object's page, one's own, or one that is shared. It is none of these. */
static void test_observer__huge_zero_page(void **state)
{
    static const char *const hidden[] = {NULL, "frames", "kpageflags"};

    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        struct stage s;
        uint64_t at, len;

        stage_begin(&s, hidden[i]);
        stage_need(&s, CAP_THP);
        stage_need(&s, CAP_ZERO_PAGE);
        stage_need(&s, CAP_PAGEMAP_SCAN);
        len = s.caps.huge_page_size;
        at = puppet_map_huge(&s.puppets[0], len);
        assert_true(at != 0);
        s.regions[0] =
            (struct target_region){.name = "r", .start = at, .len = len, .inherit = INH_COPY};
        assert_int_equal(puppet_read(&s.puppets[0], at, s.page, 1), 0);
        stage_look(&s, 0, 0);
        if (stage_region(&s, 0)->q[RQ_ZERO].n == 1) {
            print_message("# needs thp: no huge zero page to be had just now\n");
            stage_end(&s);
            skip();
        }
        must_be(&s, 0, RQ_ZERO, (int64_t)(len / s.page));
        must_be(&s, 0, RQ_OBJECT, 0);
        must_be(&s, 0, RQ_MAPPED, 0);
        must_be(&s, 0, RQ_SHARE_MODE, SM_EMPTY);
        must_be(&s, 0, RQ_AT_RISK, (int64_t)(len / s.page));
        checks_must_hold(&s);
        stage_end(&s);
    }
}

/* In a huge page the kernel's word for one page is its head page's: exclusive against debt cannot
 * be told, and what hangs on it is unknown. That a page is shared can. */
static void test_observer__thp(void **state)
{
    struct stage s;
    uint64_t pages;
    size_t child;

    (void)state;
    begin(&s);
    stage_need(&s, CAP_THP);
    stage_need(&s, CAP_PAGE_MAPCOUNT);
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
    stage_wrote(&s, child, 1);
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
    stage_need(&s, CAP_DEBT);
    stage_need(&s, CAP_THP);
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
    stage_need(&s, CAP_THP);
    stage_need(&s, CAP_PAGEMAP_SCAN);
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
        stage_need(&s, CAP_THP);
        stage_need(&s, CAP_PAGE_MAPCOUNT);
        stage_end(&s);
        stage_begin(&s, hidden[i]);
        pages = map_one_huge(&s);
        child = stage_fork(&s, 0);
        stage_wrote(&s, child, 1);
        if (s.caps.have[CAP_KPAGECOUNT] && s.caps.have[CAP_FRAMES])
            must_be(&s, 0, RQ_COW, (int64_t)pages - 1);
        else
            must_be_unknown(&s, 0, RQ_COW, WHY_LARGE_FOLIO);
        checks_must_hold(&s);
        stage_end(&s);
    }
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

/* A reader that lies is caught by the check that has a second source. */
static void test_observer__corrupted_is_noticed(void **state)
{
    const char *const *reader = *state; /* and the check that notices */
    struct stage s;

    setenv("COWLAB_CORRUPT", reader[0], 1);
    stage_begin(&s, NULL);
    unsetenv("COWLAB_CORRUPT");
    stage_need(&s, CAP_DEBT);
    stage_map(&s, PUPPET_ANONYMOUS, 50);
    stage_write(&s, 0, 50);
    stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    assert_int_equal(stage_check(&s, reader[1], 0)->verdict, CHECK_DIFFERS);
    stage_end(&s);
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
    stage_wrote(&s, 0, pages);
    must_be(&s, 0, RQ_EXCLUSIVE, (int64_t)pages);
    child = stage_fork(&s, 0);
    stage_look(&s, 0, 0);
    must_be(&s, child, RQ_COW, (int64_t)pages);
    assert_true(stage_value(&s, child, RQ_REF_COUNT).inferred);
    stage_wrote(&s, child, pages / 2);
    must_be(&s, child, RQ_COPIED, (int64_t)pages / 2);
    must_be(&s, child, RQ_EXCLUSIVE, (int64_t)pages / 2);
    assert_true(stage_value(&s, child, RQ_EXCLUSIVE).inferred);
    must_be(&s, 0, RQ_DEBT, (int64_t)pages / 2);
    stage_look(&s, -1, 0);
    must_be(&s, 0, RQ_DEBT, (int64_t)pages / 2);
    stage_wrote(&s, 0, pages / 4);
    must_be(&s, 0, RQ_REUSED, (int64_t)pages / 4);
    assert_int_equal(stage_check(&s, "inference", 0)->verdict, CHECK_HELD);
    checks_must_hold(&s);
    /* A child that the observer never sees leaves everything in debt: a sample must notice. */
    stage_wrote(&s, 0, pages);
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

/* A look with so few descriptors to be had, at most: the same as the stage saw, or an error.
 * Returns whether it came through. */
static bool look_with_descriptors(struct stage *s, rlim_t most)
{
    struct observer_options opt = {.whole_process = true};
    struct rlimit old, low;
    struct observer *o = NULL;
    struct observation obs;
    struct err e = {""};
    int rc;

    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    observation_init(&obs);
    rc = observer_new(&o, &s->caps, &opt, &e);
    if (rc == 0)
        rc = observer_look(o, s->targets, 1, NULL, 0, &obs, &e);
    setrlimit(RLIMIT_NOFILE, &old);
    if (rc < 0)
        assert_non_null(strstr(e.msg, "Too many open files"));
    for (int q = RQ_SHARE_MODE; rc == 0 && q <= RQ_AT_RISK; q++) {
        struct value left = obs.regions[0].q[q], right = stage_value(s, 0, (enum region_quantity)q);

        assert_int_equal(left.why, right.why);
        assert_int_equal(left.n, right.n);
    }
    if (rc == 0)
        assert_int_equal(obs.totals[TQ_OBJECT_ONLY].n, s->obs.totals[TQ_OBJECT_ONLY].n);
    observation_release(&obs);
    observer_free(o);
    return rc == 0;
}

/* The nth descriptor cannot be had, for every n that a look reaches: an error or the same numbers,
 * and nothing left open. */
static void test_observer__no_room_for_descriptors(void **state)
{
    struct stage s;
    bool through = false;

    (void)state;
    begin(&s);
    stage_map(&s, PUPPET_MEMFD_PRIVATE, 4);
    stage_wrote(&s, 0, 2);
    for (int n = 0; n < 40 && !through; n++) {
        int next = dup(0);

        close(next);
        through = look_with_descriptors(&s, (rlim_t)(next + n));
    }
    assert_true(through);
    stage_end(&s);
}

static void test_observer__leaks_no_descriptor(void **state)
{
    int before = count_descriptors();
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
    assert_int_equal(count_descriptors(), before);
}

#define CORRUPTED(reader, check)                                                                   \
    {                                                                                              \
        "test_observer__corrupted_" reader "_is_noticed", test_observer__corrupted_is_noticed,     \
            NULL, NULL, (const char *[])                                                           \
        {                                                                                          \
            reader, check                                                                          \
        }                                                                                          \
    }

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[100];
    const struct CMUnitTest functions[] = {
        cmocka_unit_test(test_observer__looking_changes_nothing),
        cmocka_unit_test(test_observer__in_transit),
        cmocka_unit_test(test_observer__split_and_merged_entries),
        cmocka_unit_test(test_observer__what_the_kernel_moves_is_not_copied),
        cmocka_unit_test(test_observer__overlapping_regions),
        cmocka_unit_test(test_observer__a_vanished_process_is_named),
        cmocka_unit_test(test_observer__outside_mappings_are_seen),
        cmocka_unit_test(test_observer__huge_zero_page),
        cmocka_unit_test(test_observer__thp),
        cmocka_unit_test(test_observer__thp_without_exact_counts),
        cmocka_unit_test(test_observer__thp_without_frames),
        cmocka_unit_test(test_observer__thp_with_less_to_go_by),
        cmocka_unit_test(test_observer__runs_are_cut_totals_are_not),
        CORRUPTED("smaps", "smaps_rss"),
        CORRUPTED("pagemap", "smaps_process"),
        CORRUPTED("kpagecount", "smaps_pss"),
        cmocka_unit_test(test_observer__inference_in_large_regions),
        cmocka_unit_test(test_observer__no_room_for_descriptors),
        cmocka_unit_test(test_observer__leaks_no_descriptor),
    };
    size_t n;

    puppet_main(argc, argv);
    n = script_tests(tests, script);
    memcpy(&tests[n], functions, sizeof functions);
    return _cmocka_run_group_tests("tests", tests, n + sizeof functions / sizeof *functions, NULL,
                                   NULL);
}
