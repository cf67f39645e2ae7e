/* Is what was read one moment? Every moment of a row of writes is one; what mixes two is none. */
#include "lab/linux/moment.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define PAGES 61
#define WRITES 500
#define SEED 7

/* What the pages show after so many writes. */
static void after(uint64_t writes, uint64_t seen[PAGES])
{
    memset(seen, 0, PAGES * sizeof *seen);
    for (uint64_t n = 1; n <= writes; n++)
        seen[moment_page(SEED, n, PAGES)] = n;
}

static struct moment moment(const uint64_t seen[PAGES])
{
    uint8_t mark[(PAGES + 7) / 8];

    return moment_of(seen, PAGES, SEED, WRITES, mark);
}

static void test_moment__every_moment_is_one(void **state)
{
    uint64_t seen[PAGES];

    (void)state;
    for (uint64_t n = 0; n <= WRITES; n++) {
        after(n, seen);
        assert_int_equal(moment(seen).last, n);
        assert_int_equal(moment(seen).torn, 0);
    }
}

/* The first pages as they were earlier: told unless none of them was written between. */
static void test_moment__two_moments_are_none(void **state)
{
    uint64_t early[PAGES], late[PAGES];

    (void)state;
    for (uint64_t a = 0; a < WRITES; a += 7)
        for (uint64_t b = a + 1; b <= WRITES; b += 3) {
            uint64_t torn = 0, last = 0;
            struct moment m;

            after(a, early);
            after(b, late);
            for (int page = PAGES / 2; page < PAGES; page++)
                last = late[page] > last ? late[page] : last;
            for (int page = 0; page < PAGES / 2; page++)
                last = early[page] > last ? early[page] : last;
            /* It shows what was so after write `last`, if anything. */
            after(last, early);
            for (int page = 0; page < PAGES / 2; page++) {
                uint64_t was = early[page];

                late[page] = 0;
                for (uint64_t n = 1; n <= a; n++)
                    if (moment_page(SEED, n, PAGES) == (uint64_t)page)
                        late[page] = n;
                torn += late[page] != was;
            }
            m = moment(late);
            assert_int_equal(m.last, last);
            assert_int_equal(m.torn, torn);
        }
}

static void test_moment__one_lost_write_is_found(void **state)
{
    uint64_t seen[PAGES];

    (void)state;
    for (int page = 0; page < PAGES; page++) {
        struct moment m;

        after(WRITES, seen);
        if (!seen[page] || seen[page] == WRITES)
            continue;
        seen[page]--; /* a number that this page never had */
        m = moment(seen);
        assert_int_equal(m.torn, 1);
    }
}

static void test_moment__a_number_that_nobody_wrote_is_torn(void **state)
{
    uint64_t seen[PAGES];

    (void)state;
    after(100, seen);
    seen[3] = WRITES + 1;
    assert_int_equal(moment(seen).torn, 1);
}

static void test_moment__pages_written_between_two(void **state)
{
    uint8_t mark[(PAGES + 7) / 8];

    (void)state;
    for (uint64_t from = 0; from < WRITES; from += 11)
        for (uint64_t upto = from; upto <= WRITES; upto += 5) {
            char written[PAGES] = {0};
            uint64_t n = 0;

            for (uint64_t i = from + 1; i <= upto; i++)
                written[moment_page(SEED, i, PAGES)] = 1;
            for (int page = 0; page < PAGES; page++)
                n += written[page] != 0;
            assert_int_equal(moment_pages_written(PAGES, SEED, from, upto, mark), n);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moment__every_moment_is_one),
        cmocka_unit_test(test_moment__two_moments_are_none),
        cmocka_unit_test(test_moment__one_lost_write_is_found),
        cmocka_unit_test(test_moment__a_number_that_nobody_wrote_is_torn),
        cmocka_unit_test(test_moment__pages_written_between_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
