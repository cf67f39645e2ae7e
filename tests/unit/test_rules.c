/* Every rule as a table of cases: facts, the word they must give, and what a broken rule would show
 * instead. Each table reaches every word of its list, and every reason that it can give. */
#include "probes/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof *(array))

static void must_reach(const bool *reached, int n, const struct word *list)
{
    for (int i = 0; i < n; i++)
        if (!reached[i])
            fail_msg("no row gives %s", list ? word_text(list, i) : "an outcome");
}

/* -- one page --------------------------------------------------------------------------- */

#define NONE ANSWER_NONE
#define NO ANSWER_NO
#define YES ANSWER_YES

#define ANON(once_, count_, least_, average_, exclusive_)                                          \
    {                                                                                              \
        .once = once_, .count = count_, .least = least_, .average = average_,                      \
        .exclusive = exclusive_                                                                    \
    }

/* A CPU's batches, by the flags of a frame. */
static void test_rules__what_waits_in_a_batch(void **state)
{
    (void)state;
    assert_true(page_batched(0, false, false, false));
    assert_false(page_batched(0, true, false, false));
    assert_false(page_batched(KPF_LRU, false, false, false));
    assert_true(page_batched(KPF_LRU | KPF_MLOCKED, true, false, false));
    assert_false(page_batched(KPF_LRU | KPF_MLOCKED, true, true, false));
    assert_true(page_batched(KPF_LRU | KPF_SWAPBACKED, true, false, true));
    assert_false(page_batched(KPF_LRU | KPF_SWAPBACKED, true, false, false));
}

static void test_rules__anonymous_page(void **state)
{
    static const struct {
        struct anon_facts f;
        enum page_state is;
        const char *broken;
    } rows[] = {
        {ANON(YES, -1, false, false, YES), PS_EXCLUSIVE, "a page of one's own counts as shared"},
        {ANON(YES, -1, false, false, NO), PS_DEBT, "a child that is gone leaves no debt"},
        {ANON(YES, -1, false, false, NONE), PS_ANON_UNKNOWN, "without flags debt is guessed"},
        {ANON(YES, 1, false, false, YES), PS_EXCLUSIVE, "a map count of 1 spoils what flags tell"},
        {ANON(YES, 1, false, false, NO), PS_DEBT, "a map count of 1 spoils what flags tell"},
        {ANON(YES, 2, false, false, YES), PS_COW,
         "a shared page behind a folio's head is exclusive"},
        {ANON(NO, -1, false, false, NONE), PS_COW, "no sharing is seen without map counts"},
        {ANON(NO, 2, false, false, NONE), PS_COW, "a fork shares nothing"},
        {ANON(NO, 1, false, false, NONE), PS_ANON_UNKNOWN, "the head page's answer is believed"},
        {ANON(NO, 1, true, false, NONE), PS_COW, "a sharer outside the run is not counted"},
        {ANON(NO, 1, false, true, NONE), PS_ANON_UNKNOWN, "an average of 1 is doubted"},
        {ANON(NO, 1, false, false, YES), PS_ANON_UNKNOWN, "the head page's answer is believed"},
        {ANON(NO, 3, false, true, NONE), PS_COW, "an average contradicts bit 56"},
        {ANON(NONE, 3, false, true, NONE), PS_ANON_UNKNOWN, "an average makes each page shared"},
        {ANON(NONE, 3, true, false, NONE), PS_COW, "a joined count of 3 says nothing"},
        {ANON(NONE, -1, false, false, NONE), PS_ANON_UNKNOWN, "what nobody told is a word"},
        {ANON(NONE, 1, false, false, NONE), PS_ANON_UNKNOWN, "mapped once is exclusive"},
        {ANON(NONE, 0, false, false, NONE), PS_ZERO, "the zero page is memory of the process"},
        {ANON(NO, 0, false, false, NONE), PS_ZERO, "the zero page is shared memory"},
        {{.once = NONE, .count = 0, .no_zero = true}, PS_ANON_UNKNOWN, "given back, and zero"},
        {{.once = YES, .count = -1, .exclusive = NO, .merged = true}, PS_COW, "KSM's page is kept"},
        {{.once = YES, .count = -1, .exclusive = NO, .cached = true, .held = YES},
         PS_COW,
         "a page whose slot another holds is kept"},
        {{.once = YES, .count = -1, .exclusive = NO, .cached = true, .held = NO},
         PS_DEBT,
         "a slot that nobody else holds is copied"},
        {{.once = YES, .count = -1, .exclusive = NO, .cached = true},
         PS_ANON_UNKNOWN,
         "what becomes of a page in the swap cache is certain"},
        {{.once = YES, .count = -1, .exclusive = YES, .cached = true},
         PS_EXCLUSIVE,
         "an exclusive page in the swap cache is in doubt"},
        {{.once = YES, .count = -1, .exclusive = NO, .batched = true},
         PS_ANON_UNKNOWN,
         "another CPU's batch holds no page"},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        if (page_anon_state(rows[i].f) != rows[i].is)
            fail_msg("row %zu: %s", i, rows[i].broken);
}

static void test_rules__page_state(void **state)
{
    static const struct {
        struct page_facts f;
        enum page_state is;
        const char *broken;
    } rows[] = {
        {{.anon = PS_COW}, PS_NONE, "a hole has a state"},
        {{.swapped = true}, PS_SWAPPED, "what is in swap is nowhere"},
        {{.present = true, .zero = true, .anon = PS_COW}, PS_ZERO, "the zero page is shared"},
        {{.present = true, .shared = true, .object = true}, PS_SHARED, "shared memory is private"},
        {{.present = true, .object = true}, PS_OBJECT, "an object's page is a private copy"},
        {{.present = true, .anon = PS_EXCLUSIVE}, PS_EXCLUSIVE, "the anonymous state is lost"},
        {{.present = true, .anon = PS_COW}, PS_COW, "the anonymous state is lost"},
        {{.present = true, .anon = PS_DEBT}, PS_DEBT, "the anonymous state is lost"},
        {{.present = true, .anon = PS_ANON_UNKNOWN}, PS_ANON_UNKNOWN, "unknown becomes a word"},
    };
    bool reached[PS__COUNT] = {false};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        enum page_state is = page_state(rows[i].f);

        if (is != rows[i].is)
            fail_msg("row %zu: %s", i, rows[i].broken);
        reached[is] = true;
    }
    must_reach(reached, PS__COUNT, page_states);
    assert_int_equal(page_exclusive(KPF_ANON | KPF_ANON_EXCLUSIVE), ANSWER_YES);
    assert_int_equal(page_exclusive(KPF_ANON), ANSWER_NO);
    assert_int_equal(page_exclusive(KPF_ANON | KPF_ANON_EXCLUSIVE | KPF_THP), ANSWER_NONE);
    assert_int_equal(page_exclusive(0), ANSWER_NONE); /* given back meanwhile */
    assert_int_equal(page_exclusive(KPAGE_NONE), ANSWER_NONE);
}

static void test_rules__concluded(void **state)
{
    static const struct {
        enum page_state was;
        bool quiet;
        enum page_state is;
    } rows[] = {{PS_EXCLUSIVE, false, PS_EXCLUSIVE},
                {PS_EXCLUSIVE, true, PS_EXCLUSIVE},
                {PS_DEBT, true, PS_DEBT},
                {PS_DEBT, false, PS_ANON_UNKNOWN}, /* else a debt that was paid stays */
                {PS_COW, true, PS_DEBT},
                {PS_COW, false, PS_ANON_UNKNOWN},
                {PS_ANON_UNKNOWN, true, PS_ANON_UNKNOWN},
                {PS_NONE, true, PS_ANON_UNKNOWN}};

    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        assert_int_equal(page_concluded(rows[i].was, rows[i].quiet), rows[i].is);
}

static void test_rules__page_outcome(void **state)
{
    static const struct {
        struct outcome_facts f; /* was, is, same_frame, had, written, zero_told, along */
        enum page_outcome is;
        const char *broken;
    } rows[] = {
        {{PS_NONE, PS_NONE, NONE, NO, true, true, false}, PO_NOTHING, "a hole was written"},
        {{PS_COW, PS_SWAPPED, NONE, NO, true, true, false}, PO_AWAY, "paged out, and no fault"},
        {{PS_COW, PS_SWAPPED, NONE, NO, false, true, false}, PO_NOTHING, "swapping out is a copy"},
        {{PS_NONE, PS_ZERO, NONE, NO, true, true, false}, PO_NOTHING, "reading is a first touch"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, NO, true, true, false},
         PO_FIRST_TOUCH,
         "new memory is a copy"},
        {{PS_ZERO, PS_EXCLUSIVE, NONE, NO, true, true, false},
         PO_FIRST_TOUCH,
         "the zero page was copied"},
        {{PS_NONE, PS_OBJECT, NONE, NO, true, true, false},
         PO_NOTHING,
         "reading a file is a touch"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, NONE, true, true, false}, PO_UNTOLD, "an object nobody saw"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, YES, true, true, false},
         PO_COPIED,
         "an object's page is new"},
        {{PS_NONE, PS_SHARED, NONE, YES, true, true, false}, PO_REUSED, "a shared page is new"},
        {{PS_NONE, PS_SHARED, NONE, NO, true, true, false},
         PO_FIRST_TOUCH,
         "a new shared page is old"},
        {{PS_NONE, PS_OBJECT, NONE, YES, true, true, false},
         PO_NOTHING,
         "reading an object is a write"},
        {{PS_SWAPPED, PS_EXCLUSIVE, NONE, NO, true, true, false},
         PO_SWAPPED_IN,
         "back from swap: a copy"},
        {{PS_COW, PS_EXCLUSIVE, NO, NO, true, true, false},
         PO_COPIED,
         "copy-on-write copies nothing"},
        {{PS_COW, PS_EXCLUSIVE, NO, NO, false, true, false}, PO_COPIED, "a sample sees no copies"},
        {{PS_OBJECT, PS_COW, NO, NO, false, true, false},
         PO_COPIED,
         "a copy shared at once is none"},
        {{PS_OBJECT, PS_OBJECT, NO, NO, false, true, false},
         PO_NOTHING,
         "a file that changed is a copy"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, NO, NO, false, true, false},
         PO_NOTHING,
         "migration is a copy"},
        {{PS_COW, PS_EXCLUSIVE, YES, NO, true, true, false},
         PO_REUSED,
         "the last sharer pays a copy"},
        {{PS_ANON_UNKNOWN, PS_EXCLUSIVE, YES, NO, true, true, false},
         PO_REUSED,
         "kept without a fault"},
        {{PS_DEBT, PS_EXCLUSIVE, YES, NO, true, true, false},
         PO_REUSED,
         "paying a debt shows nothing"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, YES, NO, true, true, false},
         PO_NOTHING,
         "a fault is made up"},
        {{PS_ANON_UNKNOWN, PS_ANON_UNKNOWN, YES, NO, true, true, false},
         PO_DOUBT,
         "a guess is certain"},
        {{PS_OBJECT, PS_EXCLUSIVE, NONE, NO, true, true, false}, PO_COPIED, "needs frames"},
        {{PS_COW, PS_EXCLUSIVE, NONE, NO, true, true, false}, PO_COPIED_LIKELY, "not marked"},
        {{PS_COW, PS_COW, NONE, NO, true, true, false}, PO_DOUBT, "a guess is certain"},
        {{PS_EXCLUSIVE, PS_ANON_UNKNOWN, NONE, NO, true, true, false},
         PO_DOUBT,
         "a guess is certain"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, NONE, NO, true, true, false},
         PO_NOTHING,
         "doubt without reason"},
        {{PS_ANON_UNKNOWN, PS_EXCLUSIVE, NONE, NO, true, true, false},
         PO_DOUBT_COPY,
         "never a copy"},
        {{PS_ANON_UNKNOWN, PS_EXCLUSIVE, NONE, NO, true, false, false},
         PO_DOUBT_FIRST,
         "no zero page"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, NO, NO, true, true, false}, PO_NOTHING, "moving is a copy"},
        {{PS_EXCLUSIVE, PS_COW, NO, NO, true, true, false},
         PO_NOTHING,
         "moved, then forked: a copy"},
        {{PS_COW, PS_COW, NO, NO, true, true, false}, PO_NOTHING, "moving a shared page is a copy"},
        {{PS_COW, PS_COW, NO, NO, false, true, false}, PO_COPIED, "a copy that was forked is none"},
        {{PS_COW, PS_COW, NO, NO, false, true, true}, PO_NOTHING, "moved with all, and copied"},
        {{PS_DEBT, PS_DEBT, NO, NO, true, true, false}, PO_NOTHING, "moving is paying"},
        {{PS_DEBT, PS_EXCLUSIVE, NO, NO, true, true, false},
         PO_COPIED,
         "a sole owner's copy is none"},
        {{PS_ANON_UNKNOWN, PS_ANON_UNKNOWN, NO, NO, true, true, false}, PO_COPIED, "needs flags"},
        {{PS_COW, PS_OBJECT, NO, NO, false, true, false}, PO_NOTHING, "mapped anew is a copy"},
        {{PS_COW, PS_OBJECT, NONE, NO, true, true, false}, PO_NOTHING, "mapped anew is a copy"},
        {{PS_DEBT, PS_EXCLUSIVE, NO, NO, false, true, false}, PO_NOTHING, "a sample knows of debt"},
        {{PS_SWAPPED, PS_EXCLUSIVE, NONE, YES, true, true, false},
         PO_COPIED,
         "the object's page in swap became the writer's"},
        {{PS_SWAPPED, PS_SHARED, NONE, YES, true, true, false},
         PO_SWAPPED_IN,
         "shared memory is copied from swap"},
        {{PS_SWAPPED, PS_OBJECT, NONE, YES, true, true, false}, PO_NOTHING, "a read is a write"},
        {{PS_ANON_UNKNOWN, PS_ANON_UNKNOWN, NONE, NO, true, true, false},
         PO_DOUBT_COPY,
         "without frames no copy is made"},
        {{PS_ANON_UNKNOWN, PS_ANON_UNKNOWN, NONE, NO, true, false, false},
         PO_DOUBT_FIRST,
         "without frames no zero page"},
        {{PS_OBJECT, PS_OBJECT, NONE, YES, true, true, false}, PO_NOTHING, "read, and copied"},
        {{PS_DEBT, PS_DEBT, YES, NO, true, true, false}, PO_NOTHING, "not written, and paid"},
        {{PS_COW, PS_COW, YES, NO, true, true, false}, PO_NOTHING, "not written, and paid"},
        {{PS_COW, PS_ANON_UNKNOWN, YES, NO, true, true, false},
         PO_NOTHING,
         "doubt of a frame kept"},
        {{PS_SHARED, PS_EXCLUSIVE, YES, YES, true, true, false}, PO_NOTHING, "a debt on a file"},
        {{PS_DEBT, PS_EXCLUSIVE, YES, NO, false, true, false}, PO_REUSED, "written by nobody"},
        {{PS_COW, PS_EXCLUSIVE, NO, NONE, true, true, false}, PO_COPIED, "the object decides"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, YES, YES, true, true, false},
         PO_NOTHING,
         "hidden, and copied"},
        {{PS_SHARED, PS_SHARED, YES, YES, true, true, false},
         PO_NOTHING,
         "mapped, and mapped anew"},
    };
    bool reached[PO__COUNT] = {false};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        enum page_outcome is = page_outcome(rows[i].f);

        if (is != rows[i].is)
            fail_msg("row %zu: %s", i, rows[i].broken);
        reached[is] = true;
    }
    must_reach(reached, PO__COUNT, NULL);
}

/* The kernel says of a huge zero page that it is a file's, or mapped once: it is neither. */
static void test_rules__words(void **state)
{
    const uint64_t here = PM_PRESENT, zero = PM_PRESENT | PM_ZERO;
    const uint64_t words[] = {
        here | PM_EXCLUSIVE, here | PM_EXCLUSIVE, here,       here | PM_FILE,        zero,
        zero | PM_EXCLUSIVE, zero | PM_FILE,      PM_SWAPPED, PM_SWAPPED | PM_GUARD, 0};
    struct word_sums told = {0}, untold = {0};

    (void)state;
    words_sum(words, N(words), true, &told);
    words_sum(words, N(words), false, &untold);
    assert_int_equal(told.present, 4);
    assert_int_equal(told.single, 2);
    assert_int_equal(told.maybe_zero, 0);
    assert_int_equal(untold.maybe_zero, 1);
    assert_int_equal(untold.present, 4);
}

static void test_rules__promises(void **state)
{
    static const struct {
        enum page_state was;
        enum answer had;
        bool shared;
        enum write_outcome is;
    } promises[] = {{PS_EXCLUSIVE, NO, false, WO_NO_FAULT},
                    {PS_DEBT, NO, false, WO_REUSED},
                    {PS_COW, NO, false, WO_COPIED},
                    {PS_OBJECT, YES, false, WO_COPIED},
                    {PS_NONE, YES, false, WO_COPIED},
                    {PS_NONE, YES, true, WO_REUSED},
                    {PS_NONE, NO, false, WO_FIRST_TOUCH},
                    {PS_NONE, NO, true, WO_FIRST_TOUCH},
                    {PS_NONE, NONE, false, 0},
                    {PS_ZERO, NO, false, WO_FIRST_TOUCH},
                    {PS_SWAPPED, NO, false, WO_SWAPPED_IN},
                    {PS_SWAPPED, YES, true, WO_SWAPPED_IN},
                    {PS_SWAPPED, YES, false, WO_COPIED},
                    {PS_SHARED, YES, true, WO_NO_FAULT},
                    {PS_ANON_UNKNOWN, NO, false, 0}};
    static const struct {
        struct promise_facts f; /* was, is, same_frame, had, shared */
        enum answer is;
        const char *broken;
    } rows[] = {
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, YES, NO, false}, YES, "a quiet write is none"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, NO, NO, false}, YES, "one that was moved is judged here"},
        {{PS_EXCLUSIVE, PS_COW, NO, NO, false}, NO, "another frame is no frame"},
        {{PS_EXCLUSIVE, PS_ANON_UNKNOWN, NONE, NO, false}, NONE, "unseen, and kept"},
        {{PS_SHARED, PS_SHARED, NO, YES, true}, YES, "a shared page that moved was copied"},
        {{PS_DEBT, PS_EXCLUSIVE, YES, NO, false}, YES, "a debt was paid"},
        {{PS_DEBT, PS_DEBT, YES, NO, false}, NO, "a debt that stays is paid"},
        {{PS_DEBT, PS_EXCLUSIVE, NO, NO, false}, NO, "a debt was copied"},
        {{PS_DEBT, PS_ANON_UNKNOWN, NONE, NO, false}, NONE, "unseen, and paid"},
        {{PS_COW, PS_EXCLUSIVE, NO, NO, false}, YES, "a copy is none"},
        {{PS_COW, PS_COW, NO, NO, false}, YES, "a copy that was forked is none"},
        {{PS_COW, PS_EXCLUSIVE, YES, NO, false}, NO, "cow was kept"},
        {{PS_COW, PS_ANON_UNKNOWN, NONE, NO, false}, NONE, "unseen, and copied"},
        {{PS_OBJECT, PS_EXCLUSIVE, NO, YES, false}, YES, "the object's page was copied"},
        {{PS_OBJECT, PS_ANON_UNKNOWN, NONE, YES, false}, YES, "needs frames"},
        {{PS_OBJECT, PS_OBJECT, YES, YES, false}, NO, "the object was written"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, YES, false}, YES, "hidden pages are not copied"},
        {{PS_NONE, PS_SHARED, NONE, YES, true}, YES, "a shared page is new"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, NO, false}, YES, "first touch"},
        {{PS_NONE, PS_NONE, NONE, NO, false}, NO, "a write that left nothing"},
        {{PS_NONE, PS_EXCLUSIVE, NONE, NONE, false}, NONE, "an object nobody saw"},
        {{PS_ZERO, PS_EXCLUSIVE, NO, NO, false}, YES, "the zero page was written"},
        {{PS_SWAPPED, PS_EXCLUSIVE, NONE, NO, false}, YES, "swap is lost"},
        {{PS_SWAPPED, PS_EXCLUSIVE, NONE, YES, false}, YES, "the object's in swap is not copied"},
        {{PS_EXCLUSIVE, PS_SWAPPED, NO, NO, false}, NONE, "paged out before the look, and judged"},
        {{PS_SWAPPED, PS_OBJECT, NONE, YES, false}, NO, "the object was written"},
        {{PS_ANON_UNKNOWN, PS_EXCLUSIVE, YES, NO, false}, NONE, "a guess is a promise"},
        {{PS_EXCLUSIVE, PS_EXCLUSIVE, NONE, NO, false}, NONE, "unseen, and kept"},
        {{PS_SHARED, PS_EXCLUSIVE, NO, YES, true}, NO, "a shared page was copied"},
        {{PS_NONE, PS_OBJECT, NONE, NO, false}, NO, "the object was written"},
    };

    (void)state;
    for (size_t i = 0; i < N(promises); i++)
        assert_int_equal(page_promise(promises[i].was, promises[i].had, promises[i].shared),
                         promises[i].is);
    for (size_t i = 0; i < N(rows); i++)
        if (page_kept_promise(rows[i].f) != rows[i].is)
            fail_msg("row %zu: %s", i, rows[i].broken);
}

/* -- regions ---------------------------------------------------------------------------- */

/* Everything visible, and what only a user may see of a process of one's own. */
#define ALL                                                                                        \
    {                                                                                              \
        true, true, true, true, true, true                                                         \
    }
#define USER                                                                                       \
    {                                                                                              \
        true, false, false, false, false, false                                                    \
    }

struct region_row {
    struct region_facts f;
    struct value is;
    const char *broken;
};

#define KNOWN(number)                                                                              \
    {                                                                                              \
        (number), WHY_KNOWN, false                                                                 \
    }
#define INFERRED(number)                                                                           \
    {                                                                                              \
        (number), WHY_KNOWN, true                                                                  \
    }
#define UNKNOWN(reason)                                                                            \
    {                                                                                              \
        0, (reason), false                                                                         \
    }

static void must_give(const struct region_row *rows, size_t n,
                      struct value (*rule)(const struct region_facts *), bool *words)
{
    for (size_t i = 0; i < n; i++) {
        struct value v = rule(&rows[i].f);

        if (v.why != rows[i].is.why || v.n != rows[i].is.n || v.inferred != rows[i].is.inferred)
            fail_msg("row %zu: %s (gave %lld, reason %d, inferred %d)", i, rows[i].broken,
                     (long long)v.n, v.why, v.inferred);
        if (words && value_is_known(v))
            words[v.n] = true;
    }
}

static void test_rules__share_mode(void **state)
{
    static const struct region_row rows[] = {
        {{.sight = ALL, .hugetlb = true, .shared = true}, KNOWN(SM_LARGE_PAGE), "hugetlb hidden"},
        {{.sight = ALL, .shared = true, .object = true, .others = true}, KNOWN(SM_SHARED), "alone"},
        {{.sight = ALL,
          .shared = true,
          .object = true,
          .others = true,
          .why_others = WHY_NOT_ASKED},
         KNOWN(SM_SHARED),
         "who is seen is forgotten for those who are not"},
        {{.sight = ALL, .shared = true, .object = true, .backed = 1, .why_others = WHY_NOT_ASKED},
         UNKNOWN(WHY_NOT_ASKED),
         "whoever is not seen is not there"},
        {{.sight = ALL, .shared = true, .object = true, .backed = 1}, KNOWN(SM_PRIVATE), "empty"},
        {{.sight = ALL, .shared = true, .object = true}, KNOWN(SM_EMPTY), "nothing is private"},
        {{.sight = ALL, .shared = true, .object = true, .states[PS_SWAPPED] = 1},
         KNOWN(SM_PRIVATE),
         "what is in swap is nothing"},
        {{.sight = ALL,
          .shared = true,
          .object = true,
          .pages = 2,
          .states[PS_SHARED] = 1,
          .why_object = WHY_NO_OBJECT_ACCESS},
         KNOWN(SM_PRIVATE),
         "what is mapped is unknown"},
        {{.sight = ALL,
          .shared = true,
          .object = true,
          .pages = 2,
          .why_object = WHY_NO_OBJECT_ACCESS},
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         "an object that cannot be opened is empty"},
        {{.sight = ALL}, KNOWN(SM_EMPTY), "nothing is something"},
        {{.sight = ALL, .states[PS_ZERO] = 1}, KNOWN(SM_EMPTY), "the zero page is memory"},
        {{.sight = ALL, .states[PS_EXCLUSIVE] = 1}, KNOWN(SM_PRIVATE), "one's own is not"},
        {{.sight = ALL, .states[PS_SWAPPED] = 1}, KNOWN(SM_PRIVATE), "swap is nothing"},
        {{.sight = ALL, .object = true, .states[PS_SWAPPED] = 1, .object_swapped = 1},
         KNOWN(SM_COW),
         "an object in swap is private"},
        {{.sight = ALL, .states[PS_SWAPPED] = 1, .inferred_swap = true},
         INFERRED(SM_PRIVATE),
         "what is concluded is not marked"},
        {{.sight = ALL, .states[PS_EXCLUSIVE] = 1, .why_swap = WHY_SWAP_HOLDERS},
         KNOWN(SM_PRIVATE),
         "swap that is not there is in doubt"},
        {{.sight = ALL, .states[PS_SWAPPED] = 2, .swap_shared = 1},
         KNOWN(SM_COW),
         "a slot of swap is not shared"},
        {{.sight = USER, .states[PS_SWAPPED] = 2, .swap_some = true, .why_swap = WHY_SWAP_HOLDERS},
         KNOWN(SM_COW),
         "which slots are shared must be told"},
        {{.sight = USER, .states[PS_SWAPPED] = 2, .why_swap = WHY_SWAP_HOLDERS},
         UNKNOWN(WHY_SWAP_HOLDERS),
         "a slot that nobody told of is one's own"},
        {{.sight = ALL, .states[PS_ANON_UNKNOWN] = 1, .either = 1},
         KNOWN(SM_COW),
         "cow or debt is not enough"},
        {{.sight = ALL, .states[PS_EXCLUSIVE] = 1, .inferred_debt = true, .inferred_mode = true},
         INFERRED(SM_PRIVATE),
         "what is concluded is not marked"},
        {{.sight = ALL, .states[PS_EXCLUSIVE] = 9, .states[PS_COW] = 1}, KNOWN(SM_COW), "1 of 10"},
        {{.sight = ALL, .states[PS_DEBT] = 1}, KNOWN(SM_COW), "debt is forgotten"},
        {{.sight = ALL, .states[PS_DEBT] = 1, .states[PS_ANON_UNKNOWN] = 1},
         KNOWN(SM_COW),
         "an unknown page hides the one in debt"},
        {{.sight = ALL, .object = true, .states[PS_OBJECT] = 1}, KNOWN(SM_COW), "a file's page"},
        {{.sight = ALL, .object = true, .backed = 1, .backed_any = true},
         KNOWN(SM_COW),
         "what is not mapped yet is not seen"},
        {{.sight = ALL, .object = true, .states[PS_EXCLUSIVE] = 1, .backed_any = true},
         KNOWN(SM_COW),
         "hidden object pages are gone"},
        {{.states[PS_COW] = 1, .inferred_cow = true}, INFERRED(SM_COW), "a split is certain"},
        {{.sight = ALL, .object = true, .pages = 1, .why_object = WHY_TOO_LARGE},
         UNKNOWN(WHY_TOO_LARGE),
         "a file too large to ask is empty"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1}, UNKNOWN(WHY_NO_FRAMES), "guessed"},
    };
    bool words[SM_LARGE_PAGE + 1] = {true};

    (void)state;
    must_give(rows, N(rows), region_share_mode, words);
    /* An alias within one task, and Mach's distinction of true sharing: Linux has neither. */
    words[SM_TRUESHARED] = words[SM_PRIVATE_ALIASED] = words[SM_SHARED_ALIASED] = true;
    must_reach(words, SM_LARGE_PAGE + 1, share_modes);
}

static void test_rules__reasons(void **state)
{
    static const struct {
        struct region_facts f;
        enum why anon, count;
    } rows[] = {
        {{.sight = ALL}, WHY_LARGE_FOLIO, WHY_LARGE_FOLIO},
        {{.sight = USER}, WHY_NO_FRAMES, WHY_NO_FRAMES},
        {{.sight = USER, .maybe_zero = 1}, WHY_ZERO_UNTOLD, WHY_NO_FRAMES},
        {{.sight = USER, .huge = 1}, WHY_NO_FRAMES, WHY_LARGE_FOLIO},
        {{.sight = {true, true}}, WHY_NO_KPAGE, WHY_NO_KPAGE},
        {{.sight = {true, true, true, false, true}}, WHY_NO_ANON_EXCLUSIVE, WHY_NO_PAGE_MAPCOUNT},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(region_why_anon(&rows[i].f), rows[i].anon);
        assert_int_equal(region_why_no_count(&rows[i].f), rows[i].count);
    }
}

static void test_rules__at_risk(void **state)
{
    static const struct region_row rows[] = {
        {{.sight = ALL, .states = {[PS_COW] = 1, [PS_OBJECT] = 2, [PS_ZERO] = 4}}, KNOWN(7), "sum"},
        {{.sight = ALL, .states = {[PS_EXCLUSIVE] = 1, [PS_DEBT] = 2, [PS_NONE] = 4}},
         KNOWN(0),
         "a write that keeps its frame costs one"},
        {{.sight = ALL, .object = true, .states[PS_NONE] = 9, .backed_none = 5},
         KNOWN(5),
         "what a mapping would show of its object is free"},
        {{.sight = ALL, .shared = true, .states[PS_SHARED] = 3}, KNOWN(0), "shared is copied"},
        {{.sight = ALL,
          .read_only = true,
          .states = {[PS_COW] = 1, [PS_OBJECT] = 2, [PS_ZERO] = 4}},
         KNOWN(0),
         "what cannot be written is copied"},
        {{.sight = USER, .read_only = true, .states[PS_COW] = 1, .large = true},
         KNOWN(0),
         "whether a write would copy matters where none can be"},
        {{.sight = ALL, .object = true, .states[PS_NONE] = 1, .why_object = WHY_NO_OBJECT_ACCESS},
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         "an object that cannot be opened holds nothing"},
        {{.sight = ALL, .object = true, .states[PS_COW] = 1, .why_object = WHY_NO_OBJECT_ACCESS},
         KNOWN(1),
         "asked of an object that all pages hide"},
        {{.sight = ALL, .states[PS_ANON_UNKNOWN] = 1, .large_told = true},
         UNKNOWN(WHY_LARGE_FOLIO),
         "a write into a large folio copies nothing"},
        {{.sight = USER,
          .object = true,
          .states[PS_NONE] = 1,
          .maybe_swapped = true,
          .why_object = WHY_NO_OBJECT_ACCESS},
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         "swap is free"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1}, INFERRED(0), "batches are seen"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .maybe_listed = true},
         UNKNOWN(WHY_NO_FRAMES),
         "what was locked or freed is kept"},
        {{.sight = USER, .states[PS_COW] = 1, .maybe_listed = true}, KNOWN(1), "of no such page"},
        {{.sight = ALL, .states[PS_DEBT] = 1, .inferred_risk = true}, INFERRED(0), "asked"},
        {{.sight = ALL, .object = true, .states[PS_SWAPPED] = 4, .object_swapped = 3},
         KNOWN(3),
         "an object's pages in swap are nobody's"},
        {{.sight = USER, .states[PS_NONE] = 1, .why_zero = WHY_ZERO_UNTOLD},
         UNKNOWN(WHY_ZERO_UNTOLD),
         "the zero page costs nothing where nobody tells it"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .maybe_zero = 1},
         UNKNOWN(WHY_ZERO_UNTOLD),
         "the zero page is free"},
        {{.sight = USER, .states[PS_COW] = 1, .large = true}, UNKNOWN(WHY_LARGE_FOLIO), "head"},
        {{.states[PS_COW] = 1, .inferred_cow = true}, INFERRED(1), "a split is certain"},
        {{.sight = ALL, .states[PS_SWAPPED] = 2, .swap_shared = 1},
         KNOWN(1),
         "a slot held is free"},
        {{.sight = USER, .states[PS_SWAPPED] = 2, .why_swap = WHY_SWAP_HOLDERS},
         UNKNOWN(WHY_SWAP_HOLDERS),
         "a slot that nobody told of is free"},
        {{.sight = USER, .states[PS_COW] = 2, .why_swap = WHY_SWAP_HOLDERS},
         KNOWN(2),
         "swap that is not there is in doubt"},
        {{.sight = ALL, .states[PS_SWAPPED] = 2, .inferred_swap = true}, INFERRED(0), "certain"},
        {{.sight = ALL, .states[PS_ANON_UNKNOWN] = 1, .either = 1},
         UNKNOWN(WHY_KERNEL_DECIDES),
         "the kernel decides, and never copies"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .maybe_cached = true},
         UNKNOWN(WHY_SWAP_HOLDERS),
         "the swap cache copies nothing"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .large = true},
         UNKNOWN(WHY_LARGE_FOLIO),
         "a large folio copies nothing"},
        {{.sight = USER, .large = true, .states[PS_ZERO] = 1}, KNOWN(1), "doubt of no page"},
        {{.sight = ALL, .large = true, .states[PS_COW] = 1}, KNOWN(1), "map counts say nothing"},
        {{.sight = USER, .states[PS_NONE] = 1, .why_object = WHY_NO_OBJECT_ACCESS},
         KNOWN(0),
         "new memory waits for an object"},
        {{.sight = ALL, .shared = true, .object = true, .backed_none = 1},
         KNOWN(0),
         "shared: copied"},
    };

    (void)state;
    must_give(rows, N(rows), region_at_risk, NULL);
}

static void test_rules__resident(void **state)
{
    static const struct region_row rows[] = {
        {{.sight = ALL, .states = {[PS_EXCLUSIVE] = 1, [PS_ZERO] = 2, [PS_SWAPPED] = 4}},
         KNOWN(1),
         "the zero page or swap is memory"},
        {{.sight = ALL, .object = true, .states[PS_COW] = 2, .backed = 4}, KNOWN(6), "object"},
        {{.sight = ALL, .object = true, .hugetlb = true, .states[PS_SHARED] = 2},
         KNOWN(2),
         "huge pages are asked of an object"},
        {{.sight = ALL,
          .object = true,
          .pages = 2,
          .states[PS_OBJECT] = 2,
          .why_object = WHY_READ_FAILED},
         KNOWN(2),
         "all is mapped, and still unknown"},
        {{.sight = ALL,
          .object = true,
          .pages = 3,
          .states[PS_OBJECT] = 2,
          .why_object = WHY_READ_FAILED},
         UNKNOWN(WHY_READ_FAILED),
         "what could not be read is nothing"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 2, .maybe_zero = 1},
         UNKNOWN(WHY_ZERO_UNTOLD),
         "what may be the zero page is memory"},
    };

    (void)state;
    must_give(rows, N(rows), region_resident, NULL);
}

static void test_rules__ref_count(void **state)
{
    static const struct region_row rows[] = {
        {{.sight = ALL}, KNOWN(0), "nothing is referred to"},
        {{.sight = ALL, .states[PS_COW] = 1, .anon_count = 3}, KNOWN(3), "the tree is not seen"},
        {{.sight = ALL, .states[PS_COW] = 1, .anon_count = 3, .inferred_count = true},
         INFERRED(3),
         "what is joined is not marked"},
        {{.sight = {true, true}, .states[PS_COW] = 1, .anon_missing = 1},
         UNKNOWN(WHY_NO_KPAGE),
         "a missing count is 0"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .anon_count = 1, .large = true},
         UNKNOWN(WHY_LARGE_FOLIO),
         "the head page's answer is every page's"},
        {{.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .anon_count = 1}, KNOWN(1), "bit 56"},
        {{.sight = USER, .states[PS_COW] = 1, .anon_count = 2, .large = true},
         UNKNOWN(WHY_LARGE_FOLIO),
         "the head page's answer is every page's"},
        {{.sight = ALL, .states[PS_COW] = 1, .anon_count = 2, .large = true}, KNOWN(2), "counted"},
        {{.sight = ALL, .object = true, .users = KNOWN(2)}, KNOWN(2), "an unseen object has none"},
        {{.sight = ALL, .object = true, .users = INFERRED(4)}, INFERRED(4), "outsiders certain"},
        {{.sight = ALL, .object = true, .users = KNOWN(1), .states[PS_COW] = 1, .anon_count = 2},
         KNOWN(2),
         "copies that a fork shared do not count"},
        {{.sight = ALL, .object = true, .users = UNKNOWN(WHY_NO_OBJECT_ACCESS)},
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         "an object that is not tracked has no users"},
        {{.sight = ALL, .states[PS_OBJECT] = 1},
         UNKNOWN(WHY_NOT_APPLICABLE),
         "the kernel's own pages are mapped by nobody"},
    };

    (void)state;
    must_give(rows, N(rows), region_ref_count, NULL);
}

static void must_be(const struct value *q, enum region_quantity i, struct value is)
{
    assert_int_equal(q[i].why, is.why);
    assert_int_equal(q[i].n, is.n);
}

/* The sums of the states: known beside an unknown page as far as that leaves them alone. */
static void test_rules__quantities(void **state)
{
    struct region_facts f = {.sight = ALL, .states = {1, 2, 3, 4, 5, 6, 7, 8, 0}};
    struct value q[RQ__COUNT];

    (void)state;
    region_words(&f, q);
    must_be(q, RQ_NONE, value_known(1));
    must_be(q, RQ_ZERO, value_known(2));
    must_be(q, RQ_EXCLUSIVE, value_known(3));
    must_be(q, RQ_COW, value_known(4));
    must_be(q, RQ_DEBT, value_known(5));
    must_be(q, RQ_OBJECT, value_known(6));
    must_be(q, RQ_SHARED, value_known(7));
    must_be(q, RQ_SWAPPED, value_known(8));
    must_be(q, RQ_MAPPED, value_known(3 + 4 + 5 + 6 + 7));
    f.states[PS_ANON_UNKNOWN] = 1;
    region_words(&f, q);
    must_be(q, RQ_EXCLUSIVE, value_unknown(WHY_LARGE_FOLIO));
    must_be(q, RQ_DEBT, value_unknown(WHY_LARGE_FOLIO));
    must_be(q, RQ_COW, value_known(4));
    f.sight.exact = false;
    region_words(&f, q);
    must_be(q, RQ_COW, value_unknown(WHY_NO_PAGE_MAPCOUNT));
    f.sight.counts = false;
    f.large = true;
    region_words(&f, q);
    must_be(q, RQ_COW, value_unknown(WHY_LARGE_FOLIO));
    f = (struct region_facts){.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .maybe_zero = 1};
    region_words(&f, q);
    must_be(q, RQ_ZERO, value_unknown(WHY_ZERO_UNTOLD));
    must_be(q, RQ_COW, value_unknown(WHY_ZERO_UNTOLD));
    must_be(q, RQ_MAPPED, value_unknown(WHY_ZERO_UNTOLD));
    must_be(q, RQ_NONE, value_known(0));
    f = (struct region_facts){.sight = ALL, .states[PS_ANON_UNKNOWN] = 1, .either = 1};
    region_words(&f, q);
    must_be(q, RQ_EXCLUSIVE, value_known(0));
    must_be(q, RQ_DEBT, value_unknown(WHY_KERNEL_DECIDES));
    must_be(q, RQ_COW, value_unknown(WHY_KERNEL_DECIDES));
    f = (struct region_facts){.sight = USER, .states[PS_ANON_UNKNOWN] = 1, .maybe_cached = true};
    region_words(&f, q);
    must_be(q, RQ_COW, value_unknown(WHY_SWAP_HOLDERS));
    f = (struct region_facts){.sight = USER, .states[PS_COW] = 1, .maybe_cached = true};
    region_words(&f, q);
    must_be(q, RQ_COW, value_known(1));
    f = (struct region_facts){.sight = USER, .states[PS_ANON_UNKNOWN] = 1};
    region_words(&f, q);
    must_be(q, RQ_COW, value_known(0));
    f = (struct region_facts){.states[PS_COW] = 1, .cow_summed = true};
    region_words(&f, q);
    must_be(q, RQ_NONE, value_unknown(WHY_NO_FRAMES));
    must_be(q, RQ_EXCLUSIVE, value_unknown(WHY_NO_FRAMES));
    must_be(q, RQ_COW, value_known(1));
}

/* Mach's structures have no word for unknown. */
static void test_rules__least(void **state)
{
    struct value q[RQ__COUNT] = {[RQ_SHARE_MODE] = value_known(SM_EMPTY),
                                 [RQ_EXCLUSIVE] = value_known(1),
                                 [RQ_COW] = value_known(2),
                                 [RQ_DEBT] = value_known(4),
                                 [RQ_MAPPED] = value_known(9),
                                 [RQ_OBJECT] = value_known(1)};

    (void)state;
    assert_int_equal(region_likely_mode(q, false), SM_EMPTY);
    assert_int_equal(region_private_pages(q), 7);
    q[RQ_EXCLUSIVE] = value_unknown(WHY_NO_FRAMES);
    assert_int_equal(region_private_pages(q), 8);
    q[RQ_REF_COUNT] = value_unknown(WHY_NO_FRAMES);
    assert_int_equal(region_least_refs(q, false), 0);
    q[RQ_SHARE_MODE] = value_unknown(WHY_NO_FRAMES);
    assert_int_equal(region_likely_mode(q, true), SM_SHARED);
    assert_int_equal(region_likely_mode(q, false), SM_COW);
    assert_int_equal(region_least_refs(q, false), 2);
    q[RQ_REF_COUNT] = value_known(1);
    assert_int_equal(region_likely_mode(q, false), SM_PRIVATE);
    assert_int_equal(region_least_refs(q, false), 1);
}

/* -- write outcome ---------------------------------------------------------------------- */

static void test_rules__write_outcome(void **state)
{
    static const struct {
        struct outcome_sums s;
        struct value word, copied, no_fault;
        const char *broken;
    } rows[] = {
        {{.pages = 4, .of[PO_FIRST_TOUCH] = 4}, KNOWN(WO_FIRST_TOUCH), KNOWN(0), KNOWN(0), "touch"},
        {{.pages = 4, .of[PO_COPIED] = 4}, KNOWN(WO_COPIED), KNOWN(4), KNOWN(0), "copy"},
        {{.pages = 4, .of[PO_REUSED] = 4}, KNOWN(WO_REUSED), KNOWN(0), KNOWN(0), "reuse"},
        {{.pages = 4, .written = 3}, KNOWN(WO_NO_FAULT), KNOWN(0), KNOWN(3), "no fault"},
        {{.pages = 4, .written = 2, .of[PO_SWAPPED_IN] = 2},
         KNOWN(WO_SWAPPED_IN),
         KNOWN(0),
         KNOWN(0),
         "back from swap is a copy"},
        {{.pages = 4, .written = 3, .of[PO_COPIED] = 1},
         KNOWN(WO_MIXED),
         KNOWN(1),
         KNOWN(2),
         "one word for two"},
        {{.pages = 4, .of[PO_COPIED_LIKELY] = 4},
         INFERRED(WO_COPIED),
         INFERRED(4),
         KNOWN(0),
         "what is concluded is not marked"},
        {{.pages = 4, .of[PO_COPIED] = 1},
         UNKNOWN(WHY_NOT_REPORTED),
         KNOWN(1),
         UNKNOWN(WHY_NOT_REPORTED),
         "pages that nobody wrote were written"},
        {{.pages = 4, .why_before = WHY_NOT_REPORTED},
         UNKNOWN(WHY_NOT_REPORTED),
         UNKNOWN(WHY_NOT_REPORTED),
         UNKNOWN(WHY_NOT_REPORTED),
         "no look before"},
        {{.pages = 4, .why_before = WHY_PERMISSION},
         UNKNOWN(WHY_PERMISSION),
         UNKNOWN(WHY_PERMISSION),
         UNKNOWN(WHY_PERMISSION),
         "seen without the right to"},
        {{.pages = 4, .of[PO_UNTOLD] = 1, .why_object = WHY_NO_OBJECT_ACCESS},
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         UNKNOWN(WHY_NO_OBJECT_ACCESS),
         "an object nobody saw"},
        {{.pages = 4, .of[PO_DOUBT] = 1, .why_doubt = WHY_LARGE_FOLIO},
         UNKNOWN(WHY_LARGE_FOLIO),
         KNOWN(0),
         UNKNOWN(WHY_LARGE_FOLIO),
         "doubt says no fault"},
        {{.pages = 4, .of[PO_DOUBT_COPY] = 1, .why_doubt = WHY_NO_FRAMES},
         UNKNOWN(WHY_NO_FRAMES),
         UNKNOWN(WHY_NO_FRAMES),
         UNKNOWN(WHY_NO_FRAMES),
         "doubt says no copy"},
        {{.pages = 4, .of[PO_DOUBT_FIRST] = 1, .why_doubt = WHY_NO_FRAMES},
         UNKNOWN(WHY_NO_FRAMES),
         UNKNOWN(WHY_NO_FRAMES),
         UNKNOWN(WHY_NO_FRAMES),
         "doubt says no first touch"},
        {{.pages = 4, .of = {[PO_COPIED] = 3, [PO_COPIED_LIKELY] = 1}},
         INFERRED(WO_COPIED),
         INFERRED(4),
         KNOWN(0),
         "what is concluded is taken away"},
        {{.pages = 4,
          .written = 1,
          .of = {[PO_COPIED] = 1, [PO_DOUBT] = 3},
          .why_doubt = WHY_NO_FRAMES},
         KNOWN(WO_COPIED),
         KNOWN(1),
         KNOWN(0),
         "doubt beside all that was written"},
    };
    bool words[WO_SWAPPED_IN + 1] = {true};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct value q[RQ__COUNT] = {{0, WHY_NOT_APPLICABLE, false}};
        const struct value *want[] = {&rows[i].word, &rows[i].copied, &rows[i].no_fault};
        const struct value *got[] = {&q[RQ_WRITE_OUTCOME], &q[RQ_COPIED], &q[RQ_NO_FAULT]};

        region_outcome(&rows[i].s, q);
        assert_int_equal(value_is_known(q[RQ_SWAPPED_IN]),
                         !rows[i].s.why_before && !rows[i].s.of[PO_UNTOLD]);
        assert_int_equal(q[RQ_FIRST_TOUCH].why == WHY_ZERO_UNTOLD,
                         rows[i].s.of[PO_DOUBT_FIRST] > 0);
        for (size_t k = 0; k < N(want); k++)
            if (got[k]->n != want[k]->n || got[k]->why != want[k]->why ||
                got[k]->inferred != want[k]->inferred)
                fail_msg("row %zu, value %zu: %s", i, k, rows[i].broken);
        if (value_is_known(q[RQ_WRITE_OUTCOME]))
            words[q[RQ_WRITE_OUTCOME].n] = true;
    }
    must_reach(words, WO_SWAPPED_IN + 1, write_outcomes);
    assert_int_equal(outcome_word(0, 0, 0, 0, 0), 0);
    for (int a = 0; a < 5; a++)
        for (int b = 0; b < 5; b++) {
            const int64_t n[5] = {a == 0 || b == 0, a == 1 || b == 1, a == 2 || b == 2,
                                  a == 3 || b == 3, a == 4 || b == 4};

            assert_true((outcome_word(n[0], n[1], n[2], n[3], n[4]) == WO_MIXED) == (a != b));
        }
}

/* -- GNU Mach --------------------------------------------------------------------------- */

static void test_rules__mach(void **state)
{
    static const struct {
        struct mach_page_facts f;
        enum page_state is;
    } pages[] = {
        {{.needs_copy = true}, PS_NONE},
        {{.frame = true, .viewers = 1}, PS_EXCLUSIVE},
        {{.frame = true, .viewers = 2}, PS_SHARED},
        {{.frame = true, .needs_copy = true, .viewers = 2}, PS_COW},
        {{.frame = true, .depth = 1, .viewers = 2}, PS_COW},
        {{.frame = true, .depth = 1, .viewers = 1}, PS_COW},
        {{.frame = true, .needs_copy = true, .viewers = 1}, PS_COW},
    };
    static const struct {
        struct mach_page_facts f;
        bool at_risk;
    } written[] = {
        {{.needs_copy = true}, false}, /* there is no page */
        {{.frame = true, .viewers = 2}, false},
        {{.frame = true, .needs_copy = true}, true},
        {{.frame = true, .depth = 1}, true},
        {{.frame = true, .depth = 1, .read_only = true}, false},
        {{.frame = true, .depth = 1, .collapsed = true}, true}, /* others may need the objects */
        {{.frame = true, .depth = 1, .sole = true}, true},      /* the first of its chain */
        {{.frame = true, .depth = 1, .sole = true, .collapsed = true}, false},
        {{.frame = true, .needs_copy = true, .sole = true, .collapsed = true}, false},
    };

    (void)state;
    for (size_t i = 0; i < N(pages); i++)
        assert_int_equal(page_state_mach(&pages[i].f), pages[i].is);
    for (size_t i = 0; i < N(written); i++)
        if (page_at_risk_mach(&written[i].f) != written[i].at_risk)
            fail_msg("row %zu", i);
    assert_int_equal(share_mode_mach(true, 0, false, 0), SM_EMPTY);
    assert_int_equal(share_mode_mach(false, 1, false, 1), SM_COW);
    assert_int_equal(share_mode_mach(false, 0, true, 1), SM_COW);
    assert_int_equal(share_mode_mach(false, 0, false, 1), SM_PRIVATE);
    assert_int_equal(share_mode_mach(false, 0, false, 2), SM_SHARED);
    assert_int_equal(share_mode_mach_join(SM_PRIVATE, SM_COW), SM_COW);
    assert_int_equal(share_mode_mach_join(SM_PRIVATE, SM_SHARED), SM_PRIVATE);
}

/* -- mappings --------------------------------------------------------------------------- */

static void test_rules__mapping(void **state)
{
    static const struct {
        struct map_entry e;
        bool shmem, special, file, own;
    } rows[] = {
        {{.name = ""}, false, false, false, true},
        {{.name = "/bin/a", .inode = 7}, false, false, true, false},
        {{.name = "/memfd:a", .inode = 7}, true, false, false, true},
        {{.name = "[vvar]"}, false, true, false, false},
        {{.name = "[vvar_vclock]"}, false, true, false, false},
        {{.name = "[vdso]"}, false, false, false, false}, /* readable, but the kernel's */
        {{.name = "[vsyscall]", .start = 0xffffffffff600000}, false, true, false, false},
        {{.name = "", .start = 0xffffffffff601000}, false, true, false, true},
        {{.name = "/dev/mem", .inode = 7, .flags = 1u << VMF_PFNMAP}, false, true, true, false},
        {{.name = "/dev/mem", .inode = 7, .flags = 1u << VMF_IO}, false, true, true, false},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        assert_int_equal(mapping_is_special(&rows[i].e), rows[i].special);
        assert_int_equal(mapping_is_file(&rows[i].e, rows[i].shmem), rows[i].file);
        assert_int_equal(mapping_is_own(&rows[i].e, rows[i].shmem), rows[i].own);
    }
    assert_string_equal(mapping_object_kind("/memfd:a (deleted)", true), "memfd");
    assert_string_equal(mapping_object_kind("/SYSV00000000 (deleted)", true), "shmem");
    assert_string_equal(mapping_object_kind("/dev/shm/a", true), "file");
    assert_string_equal(mapping_object_kind("/dev/zero (deleted)", true), "shmem");
    assert_string_equal(mapping_object_kind("[anon_shmem:a]", true), "shmem");
    assert_string_equal(mapping_object_kind("/dev/zero", false), "file");
    assert_string_equal(mapping_object_kind("/memfd:a", false), "file");
}

static void test_rules__inheritance(void **state)
{
    static const struct {
        bool shared;
        uint32_t flags;
        int asked;
        enum inherit is;
    } rows[] = {
        {false, 0, INHERIT_UNTOLD, INH_COPY},
        {true, 0, INHERIT_UNTOLD, INH_SHARE},
        {true, 0, INH_COPY, INH_COPY},
        {false, 0, INH_SHARE, INH_SHARE},
        {false, 0, INH_NONE, INH_COPY}, /* asked, and the kernel has not done it */
        {true, 0, INH_ZERO, INH_SHARE},
        {true, 1u << VMF_DONTCOPY, INH_SHARE, INH_NONE},
        {false, 1u << VMF_WIPEONFORK, INH_COPY, INH_ZERO},
        {false, 1u << VMF_WIPEONFORK | 1u << VMF_DONTCOPY, INH_COPY, INH_NONE},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        assert_int_equal(mapping_inherit(rows[i].shared, rows[i].flags, rows[i].asked), rows[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__what_waits_in_a_batch),
        cmocka_unit_test(test_rules__anonymous_page),
        cmocka_unit_test(test_rules__page_state),
        cmocka_unit_test(test_rules__concluded),
        cmocka_unit_test(test_rules__page_outcome),
        cmocka_unit_test(test_rules__promises),
        cmocka_unit_test(test_rules__words),
        cmocka_unit_test(test_rules__share_mode),
        cmocka_unit_test(test_rules__reasons),
        cmocka_unit_test(test_rules__at_risk),
        cmocka_unit_test(test_rules__resident),
        cmocka_unit_test(test_rules__ref_count),
        cmocka_unit_test(test_rules__quantities),
        cmocka_unit_test(test_rules__least),
        cmocka_unit_test(test_rules__write_outcome),
        cmocka_unit_test(test_rules__mach),
        cmocka_unit_test(test_rules__mapping),
        cmocka_unit_test(test_rules__inheritance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
