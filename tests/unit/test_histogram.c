/* Times by their size: the promised error over the whole range, percentiles, sums, what is damaged.
 */
#include "probes/histogram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void expect_within_the_bound(uint64_t ns)
{
    unsigned int bucket = histogram_bucket(ns);
    uint64_t low = histogram_low(bucket), high = histogram_high(bucket), middle = (low + high) / 2;

    assert_in_range(bucket, 0, HISTOGRAM_BUCKETS - 1);
    assert_in_range(ns, low, high);
    assert_true((ns > middle ? ns - middle : middle - ns) * 64 <= ns);
}

static void test_histogram__every_time_is_within_a_64th_of_its_bucket(void **state)
{
    uint64_t x = 1;

    (void)state;
    for (uint64_t ns = 0; ns < 100000; ns++)
        expect_within_the_bound(ns);
    for (int octave = 0; octave < HISTOGRAM_TOP; octave++)
        for (int i = 0; i < 1000; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            expect_within_the_bound((UINT64_C(1) << octave) + (x >> 24) % (UINT64_C(1) << octave));
        }
    expect_within_the_bound((UINT64_C(1) << HISTOGRAM_TOP) - 1);
}

static void test_histogram__buckets_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(histogram_low(0), 0);
    for (unsigned int i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(histogram_bucket(histogram_low(i)), i);
        assert_int_equal(histogram_bucket(histogram_high(i)), i);
        assert_int_equal(histogram_high(i) + 1, histogram_low(i + 1));
    }
    assert_int_equal(histogram_high(HISTOGRAM_BUCKETS - 1), (UINT64_C(1) << HISTOGRAM_TOP) - 1);
}

static void test_histogram__percentiles(void **state)
{
    struct histogram h = {0};

    (void)state;
    assert_int_equal(histogram_at(&h, 1, 2), 0);
    for (uint64_t ns = 1; ns <= 40; ns++)
        histogram_add(&h, ns);
    assert_int_equal(histogram_at(&h, 1, 2), 20);
    assert_int_equal(histogram_at(&h, 99, 100), 40);
    assert_int_equal(histogram_at(&h, 0, 1), 1);
    for (int i = 0; i < 960; i++)
        histogram_add(&h, 1000000);
    assert_int_equal(histogram_at(&h, 4, 100), 40);
    assert_in_range(histogram_at(&h, 41, 1000), 1000000 - 1000000 / 64, 1000000 + 1000000 / 64);
}

static void test_histogram__no_percentile_is_beyond_the_longest(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, 1000001);
    assert_true(histogram_at(&h, 999, 1000) <= 1000001);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_at(&h, 1, 1), UINT64_MAX);
    assert_true(histogram_is_whole(&h));
}

static void test_histogram__merged_is_as_if_counted_together(void **state)
{
    struct histogram *h = calloc(3, sizeof *h);

    (void)state;
    assert_non_null(h);
    for (uint64_t i = 0; i < 5000; i++) {
        histogram_add(&h[i % 2], i * i * 17);
        histogram_add(&h[2], i * i * 17);
    }
    histogram_merge(&h[0], &h[1]);
    assert_memory_equal(&h[0], &h[2], sizeof *h);
    free(h);
}

static void test_histogram__what_is_damaged_is_told(void **state)
{
    struct histogram h = {0};

    (void)state;
    assert_true(histogram_is_whole(&h));
    histogram_add(&h, 300);
    histogram_add(&h, 7);
    assert_true(histogram_is_whole(&h));
    h.n++;
    assert_false(histogram_is_whole(&h));
    h.n--;
    h.max = 7;
    assert_false(histogram_is_whole(&h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram__every_time_is_within_a_64th_of_its_bucket),
        cmocka_unit_test(test_histogram__buckets_follow_each_other),
        cmocka_unit_test(test_histogram__percentiles),
        cmocka_unit_test(test_histogram__no_percentile_is_beyond_the_longest),
        cmocka_unit_test(test_histogram__merged_is_as_if_counted_together),
        cmocka_unit_test(test_histogram__what_is_damaged_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
