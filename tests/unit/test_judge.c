/* Expectations against canned observations: held, failed, not checked, and never anything else. And
 * answers with what was seen in them. */
#include "lab/run/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One expectation, one step that has only it, and what was seen. */
struct fixture {
    struct expectation x;
    struct step step;
    struct step_result seen;
    struct judged judged;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    observation_init(&f->seen.obs);
    f->step.number = 1;
    f->step.expect = &f->x;
    f->step.nexpect = 1;
    f->x = (struct expectation){.on = EXPECT_REGION,
                                .observed = "a",
                                .region = "r",
                                .key = "resident",
                                .kind = EXPECT_NUMBER,
                                .has_min = true,
                                .has_max = true,
                                .min = 4,
                                .max = 4,
                                .at = {12, 3}};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    observation_release(&f->seen.obs);
    free(f);
    return 0;
}

/* Judges the one expectation; the result stays until the next call or release(). */
static const struct store_expectation *judge(struct fixture *f)
{
    struct err e = {""};

    judged_release(&f->judged);
    assert_int_equal(expect_judge(&f->step, &f->seen, &f->judged, &e), 0);
    assert_int_equal(f->judged.count, 1);
    assert_int_equal(f->judged.held + f->judged.failed + f->judged.not_checked, 1);
    return &f->judged.list[0];
}

static void assert_judged(struct fixture *f, int held, const char *measured)
{
    const struct store_expectation *x = judge(f);

    assert_int_equal(x->held, held);
    if (measured)
        assert_string_equal(x->measured, measured);
    else
        assert_null(x->measured);
    assert_true((x->reason != NULL) == (held < 0));
    judged_release(&f->judged);
}

static void test_judge__a_known_value_holds_or_fails(void **state)
{
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);
    const struct store_expectation *x;

    r->q[RQ_RESIDENT] = value_known(4);
    x = judge(f);
    assert_int_equal(x->held, 1);
    assert_string_equal(x->on, "a.r");
    assert_string_equal(x->key, "resident");
    assert_string_equal(x->expected, "4");
    assert_string_equal(x->measured, "4");
    assert_null(x->reason);
    assert_int_equal(x->line, 12);
    judged_release(&f->judged);
    r->q[RQ_RESIDENT] = value_known(5);
    assert_judged(f, 0, "5");
}

static void test_judge__unknown_and_inferred_are_never_passed(void **state)
{
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);

    for (int why = WHY_NO_FRAMES; why < WHY__COUNT; why++) {
        const struct store_expectation *x;

        r->q[RQ_RESIDENT] = value_unknown((enum why)why);
        r->q[RQ_RESIDENT].n = 4; /* what an unknown value holds has no meaning */
        x = judge(f);
        assert_int_equal(x->held, -1);
        assert_null(x->measured);
        assert_string_equal(x->reason, word_text(unknown_reasons, why));
        judged_release(&f->judged);
    }
    r->q[RQ_RESIDENT] = value_inferred(4);
    assert_judged(f, -1, "4");
}

static void test_judge__a_missing_row_fails(void **state)
{
    struct fixture *f = *state;

    observation_add_region(&f->seen.obs, "a", "other", NULL);
    observation_add_region(&f->seen.obs, "a", "r", "case");
    assert_judged(f, 0, "not observed");
    f->x.on = EXPECT_PROCESS;
    f->x.key = "rss_kb";
    assert_judged(f, 0, "not observed");
    f->x.on = EXPECT_SHARING;
    f->x.other = "b";
    f->x.key = "frames";
    assert_judged(f, 0, "not observed");
    f->x.on = EXPECT_TRANSFER;
    f->x.key = "size";
    assert_judged(f, 0, "no such descriptor");
    f->x.on = EXPECT_MESSAGE;
    assert_judged(f, 0, "no message");
}

static void test_judge__what_does_not_apply_fails(void **state)
{
    struct fixture *f = *state;

    /* A new row's values do not apply until somebody fills them. */
    observation_add_region(&f->seen.obs, "a", "r", NULL);
    assert_judged(f, 0, "does not apply");
}

static void test_judge__ranges_are_inclusive_and_may_be_open(void **state)
{
    static const struct {
        bool has_min, has_max;
        int64_t value;
        int held;
        const char *expected;
    } rows[] = {
        {true, true, 3, 0, "4 to 6"},      {true, true, 4, 1, "4 to 6"},
        {true, true, 6, 1, "4 to 6"},      {true, true, 7, 0, "4 to 6"},
        {true, false, 3, 0, "at least 4"}, {true, false, INT64_MAX, 1, "at least 4"},
        {false, true, 7, 0, "at most 6"},  {false, true, 0, 1, "at most 6"},
    };
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);

    f->x.kind = EXPECT_RANGE;
    f->x.min = 4;
    f->x.max = 6;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct store_expectation *x;

        f->x.has_min = rows[i].has_min;
        f->x.has_max = rows[i].has_max;
        r->q[RQ_RESIDENT] = value_known(rows[i].value);
        x = judge(f);
        assert_int_equal(x->held, rows[i].held);
        assert_string_equal(x->expected, rows[i].expected);
        judged_release(&f->judged);
    }
}

static void test_judge__words_are_compared_as_words(void **state)
{
    static const struct {
        enum region_quantity q;
        char *key, *expected;
        int good, bad;
    } rows[] = {
        {RQ_SHARE_MODE, "share_mode", "SM_COW", SM_COW, SM_PRIVATE},
        {RQ_WRITE_OUTCOME, "write_outcome", "mixed", WO_MIXED, WO_COPIED},
        {RQ_PROTECTION, "protection", "rw-", 3, 7},
        {RQ_INHERITANCE, "inheritance", "none", INH_NONE, INH_COPY},
    };
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);

    f->x.kind = EXPECT_TEXT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f->x.key = rows[i].key;
        f->x.text = rows[i].expected;
        r->q[rows[i].q] = value_known(rows[i].good);
        assert_judged(f, 1, rows[i].expected);
        r->q[rows[i].q] = value_known(rows[i].bad);
        assert_int_equal(judge(f)->held, 0);
    }
    /* A code without a word is shown as it is. */
    f->x.key = "share_mode";
    f->x.text = "SM_COW";
    r->q[RQ_SHARE_MODE] = value_known(77);
    assert_judged(f, 0, "77");
    judged_release(&f->judged);
}

/* Each quantity of a list was filled with base plus its index. */
static void assert_all_found(struct fixture *f, enum expect_on on, const struct quantity *list,
                             int base)
{
    f->x.on = on;
    for (int q = 0; list[q].column; q++) {
        char number[32];

        if (list[q].type == QT_PROTECTION) /* three letters, whatever the number */
            continue;
        f->x.key = (char *)list[q].column;
        snprintf(number, sizeof number, "%d", base + q);
        assert_judged(f, 1, number);
    }
}

static void test_judge__every_quantity_is_looked_up(void **state)
{
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);
    struct obs_process *p = observation_add_process(&f->seen.obs, "a");

    f->x.kind = EXPECT_RANGE; /* any number */
    f->x.min = 0;
    f->x.max = INT64_MAX;
    for (int q = 0; q < RQ__COUNT; q++)
        r->q[q] = value_known(1000 + q);
    for (int q = 0; q < PQ__COUNT; q++)
        p->q[q] = value_known(2000 + q);
    for (int q = 0; q < TQ__COUNT; q++)
        f->seen.obs.totals[q] = value_known(3000 + q);
    assert_all_found(f, EXPECT_REGION, region_quantities, 1000);
    assert_all_found(f, EXPECT_PROCESS, process_quantities, 2000);
    assert_all_found(f, EXPECT_TOTALS, total_quantities, 3000);
}

static void test_judge__sharing_is_found_in_either_order(void **state)
{
    struct fixture *f = *state;
    struct obs_sharing *s = observation_add_sharing(&f->seen.obs, "b", "a");

    s->region_frames = value_known(4);
    s->frames = value_known(9);
    f->x.on = EXPECT_SHARING;
    f->x.other = "b";
    f->x.key = "region_frames";
    assert_judged(f, 1, "4");
    f->x.observed = "b";
    f->x.other = "a";
    f->x.key = "frames";
    assert_judged(f, 0, "9");
    assert_string_equal(judge(f)->on, "b&a");
    judged_release(&f->judged);
}

static void test_judge__transfers_are_found_by_descriptor(void **state)
{
    struct store_transfer two[] = {
        {.kind = "port", .descriptor = 0, .deallocate = -1, .size = 1},
        {.kind = "ool",
         .descriptor = 1,
         .asked = "virtual",
         .done = "copied",
         .deallocate = 1,
         .size = 4},
    };
    struct fixture *f = *state;

    f->seen.transfers = two;
    f->seen.ntransfers = 2;
    f->x.on = EXPECT_TRANSFER;
    f->x.index = 1;
    f->x.key = "size";
    assert_judged(f, 1, "4");
    assert_string_equal(judge(f)->on, "transfer[1]");
    f->x.key = "deallocate";
    f->x.kind = EXPECT_BOOL;
    f->x.min = f->x.max = 1;
    assert_judged(f, 1, "true");
    f->x.kind = EXPECT_TEXT;
    f->x.key = "done";
    f->x.text = "shared";
    assert_judged(f, 0, "copied");
    f->x.key = "received"; /* not known while it is on its way */
    assert_judged(f, -1, NULL);
    f->x.index = 0;
    f->x.key = "deallocate";
    assert_judged(f, 0, "does not apply");
}

static void test_judge__messages_are_compared(void **state)
{
    struct store_message m = {
        .actor = "a", .id = -5, .size = 28, .text = "Hello", .reply_sent = -1};
    struct fixture *f = *state;

    f->seen.message = &m;
    f->x.on = EXPECT_MESSAGE;
    f->x.key = "id";
    f->x.min = f->x.max = -5;
    assert_judged(f, 1, "-5");
    assert_string_equal(judge(f)->on, "received");
    f->x.key = "reply_sent";
    f->x.kind = EXPECT_BOOL;
    assert_judged(f, 0, "does not apply");
    f->x.kind = EXPECT_TEXT;
    f->x.key = "text";
    f->x.text = "Hello";
    assert_judged(f, 1, "Hello");
    m.text = NULL;
    assert_judged(f, 0, "no text");
}

static void test_judge__counts_add_up(void **state)
{
    struct fixture *f = *state;
    struct expectation three[] = {f->x, f->x, f->x};
    struct step step = {.number = 1, .expect = three, .nexpect = 3};
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);
    struct err e = {""};

    r->q[RQ_RESIDENT] = value_known(4);
    r->q[RQ_DEBT] = value_unknown(WHY_LARGE_FOLIO);
    r->q[RQ_COW] = value_known(0);
    three[1].key = "debt";
    three[2].key = "cow";
    assert_int_equal(expect_judge(&step, &f->seen, &f->judged, &e), 0);
    assert_int_equal(f->judged.count, 3);
    assert_int_equal(f->judged.held, 1);
    assert_int_equal(f->judged.not_checked, 1);
    assert_int_equal(f->judged.failed, 1);
    judged_release(&f->judged);
    step.nexpect = 0;
    assert_int_equal(expect_judge(&step, &f->seen, &f->judged, &e), 0);
    assert_int_equal(f->judged.count, 0);
    judged_release(&f->judged);
}

/* The answer "<value>." of a step that answers with what f->x looks at. */
static void assert_told(struct fixture *f, const char **reason, const char *told)
{
    struct answer_part parts[] = {{"<", f->x}, {">.", {0}}};
    struct step step = {.number = 1, .answer = parts, .nanswer = 2};
    struct err e = {""};
    char *text;

    assert_int_equal(answer_tell(&step, &f->seen, reason, &text, &e), 0);
    assert_string_equal(text, told);
    free(text);
}

static void test_judge__an_answer_tells_values_with_their_units(void **state)
{
    static const struct {
        enum region_quantity q;
        char *key;
        struct value value;
        const char *told;
    } rows[] = {
        {RQ_RESIDENT, "resident", {.n = 64}, "<64 pages>."},
        {RQ_RESIDENT, "resident", {.n = 1}, "<1 page>."},
        {RQ_RESIDENT, "resident", {.n = 0}, "<0 pages>."},
        {RQ_RESIDENT, "resident", {.n = 65536, .inferred = true}, "<~65,536 pages>."},
        {RQ_REF_COUNT, "ref_count", {.n = 1234}, "<1,234>."},
        {RQ_SHARE_MODE, "share_mode", {.n = SM_COW, .inferred = true}, "<~SM_COW>."},
        {RQ_SHARE_MODE, "share_mode", {.n = 77}, "<77>."}, /* no such word */
        {RQ_PROTECTION, "protection", {.n = 3}, "<rw->."},
        {RQ_COPIED, "copied", {.why = WHY_NOT_APPLICABLE}, "<does not apply>."},
    };
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);
    struct obs_process *p = observation_add_process(&f->seen.obs, "a");
    const char *reason = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r->q[rows[i].q] = rows[i].value;
        f->x.key = rows[i].key;
        assert_told(f, &reason, rows[i].told);
    }
    f->x.on = EXPECT_PROCESS;
    f->x.key = "rss_kb";
    p->q[PQ_RSS] = value_known(262144);
    assert_told(f, &reason, "<256.0 MiB>.");
    f->x.key = "dur_ns";
    p->q[PQ_DUR] = value_known(12300);
    assert_told(f, &reason, "<12.3 µs>.");
    f->x.observed = "b";
    assert_told(f, &reason, "<not observed>.");
}

static void test_judge__an_answer_tells_texts_as_they_are(void **state)
{
    struct store_message m = {.actor = "a", .id = 2147483647, .text = "{a}", .reply_sent = 0};
    struct store_transfer t = {.done = "copied", .size = 8192, .deallocate = 1};
    struct fixture *f = *state;
    const char *reason = NULL;

    f->seen.message = &m;
    f->seen.transfers = &t;
    f->seen.ntransfers = 1;
    f->x.on = EXPECT_MESSAGE;
    f->x.key = "id";
    assert_told(f, &reason, "<2147483647>.");
    f->x.key = "text";
    assert_told(f, &reason, "<{a}>.");
    f->x.key = "reply_sent";
    assert_told(f, &reason, "<false>.");
    f->x.on = EXPECT_TRANSFER;
    f->x.key = "done";
    assert_told(f, &reason, "<copied>.");
    f->x.key = "size";
    assert_told(f, &reason, "<8,192>.");
}

static void test_judge__an_answer_gives_a_reason_once_in_a_row(void **state)
{
    struct fixture *f = *state;
    struct obs_region *r = observation_add_region(&f->seen.obs, "a", "r", NULL);
    const char *reason = NULL;

    r->q[RQ_RESIDENT] = value_unknown(WHY_GONE);
    assert_told(f, &reason, "<unknown (the process was gone)>.");
    assert_told(f, &reason, "<unknown>.");
    r->q[RQ_RESIDENT] = value_known(2);
    assert_told(f, &reason, "<2 pages>.");
    r->q[RQ_RESIDENT] = value_unknown(WHY_GONE);
    assert_told(f, &reason, "<unknown>.");
    r->q[RQ_RESIDENT] = value_unknown(WHY_PERMISSION);
    assert_told(f, &reason, "<unknown (permission denied)>.");
    r->q[RQ_RESIDENT] = value_unknown(WHY_GONE);
    assert_told(f, &reason, "<unknown (the process was gone)>.");
}

static void test_judge__a_step_without_an_answer_has_none(void **state)
{
    struct fixture *f = *state;
    const char *reason = NULL;
    char *text = "not touched";
    struct err e = {""};

    assert_int_equal(answer_tell(&f->step, &f->seen, &reason, &text, &e), 0);
    assert_null(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_judge__a_known_value_holds_or_fails),
        TEST(test_judge__unknown_and_inferred_are_never_passed),
        TEST(test_judge__a_missing_row_fails),
        TEST(test_judge__what_does_not_apply_fails),
        TEST(test_judge__ranges_are_inclusive_and_may_be_open),
        TEST(test_judge__words_are_compared_as_words),
        TEST(test_judge__every_quantity_is_looked_up),
        TEST(test_judge__sharing_is_found_in_either_order),
        TEST(test_judge__transfers_are_found_by_descriptor),
        TEST(test_judge__messages_are_compared),
        TEST(test_judge__counts_add_up),
        TEST(test_judge__an_answer_tells_values_with_their_units),
        TEST(test_judge__an_answer_tells_texts_as_they_are),
        TEST(test_judge__an_answer_gives_a_reason_once_in_a_row),
        TEST(test_judge__a_step_without_an_answer_has_none),
    };

    return cmocka_run_group_tests_name("expect", tests, NULL, NULL);
}
