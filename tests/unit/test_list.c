/* Lists that grow: zeroed elements at the end, room that n tells, and what is left without memory.
 */
#include "probes/list.h"
#include "probes/places.h"
#include "tests/support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_list__elements_come_zeroed_and_stay(void **state)
{
    uint64_t *list = NULL, *added;
    size_t n = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_non_null(added = LIST_ADD(list, n));
        assert_ptr_equal(added, &list[i]);
        assert_int_equal(*added, 0);
        *added = i + 1;
    }
    assert_int_equal(n, 1000);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(list[i], i + 1);
    free(list);
}

/* Wherever n falls to, growing on from there is within the room (the sanitizer's business). */
static void test_list__n_may_fall(void **state)
{
    uint32_t *list = NULL, *added;

    (void)state;
    for (size_t high = 0, n = 0; high <= 40; high++)
        for (size_t low = 0; low <= high; low++) {
            while (n < high) {
                assert_non_null(added = LIST_ADD(list, n));
                *added = (uint32_t)n;
            }
            n = low;
            for (size_t i = 0; i < n; i++)
                assert_int_equal(list[i], i + 1);
        }
    free(list);
}

static void test_list__room_stays(void **state)
{
    char *list = NULL, *before;
    size_t n = 0, room = 0, had;

    (void)state;
    while (n < 100)
        *(char *)LIST_ADD_ROOM(list, n, room) = 'x';
    had = room;
    before = list;
    for (n = 0; n < 100;)
        assert_int_equal(*(char *)LIST_ADD_ROOM(list, n, room), 0);
    assert_ptr_equal(list, before);
    assert_int_equal(room, had);
    free(list);
}

/* For elements that are filled by index: none is lost, and what there is room for is not asked for.
 */
static void test_list__room_for_many(void **state)
{
    int *list = NULL, *before;
    size_t room = 0;

    (void)state;
    assert_int_equal(LIST_ROOM(list, room, 0), 0);
    assert_null(list);
    assert_int_equal(LIST_ROOM(list, room, 3), 0);
    list[2] = 7;
    assert_int_equal(LIST_ROOM(list, room, 1000), 0);
    assert_true(room == 1000 && list[2] == 7 && list[3] == 0 && list[999] == 0);
    before = list;
    assert_int_equal(LIST_ROOM(list, room, 10), 0);
    assert_ptr_equal(list, before);
    free(list);
}

static bool is_placed(const struct places *p, uint32_t hash, uint32_t row)
{
    uint32_t found;

    for (size_t i = hash; (found = places_next(p, hash, &i));)
        if (found == row)
            return true;
    return false;
}

/* Few hashes, all near the table's end: runs of rows that go on at its beginning. */
static void test_list__places_that_are_dropped(void **state)
{
    struct places p = {0};
    bool there[300] = {false};
    uint32_t random = 1;

    (void)state;
    for (int n = 0; n < 20000; n++) {
        uint32_t row = (random = random * 1664525u + 1013904223u) >> 8 & 0xff, hash = row % 7 - 4;

        if (there[row])
            places_drop(&p, hash, row + 1);
        else
            assert_int_equal(places_add(&p, hash, row + 1), 0);
        there[row] = !there[row];
        for (uint32_t k = 0; k < 256 && n % 100 == 0; k++)
            assert_int_equal(is_placed(&p, k % 7 - 4, k + 1), there[k]);
    }
    free(p.at);
}

static void test_list__without_memory_it_is_as_it_was(void **state)
{
    int *list = NULL, *one;
    volatile size_t huge = SIZE_MAX / 4; /* nothing the compiler may reckon with */
    size_t n = 0, room = 1;

    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip_needs("a malloc that may fail: the sanitizer's ends the program");
#endif
    one = LIST_ADD(list, n);
    assert_non_null(one);
    *one = 1;
    assert_null(list_add(&list, &n, NULL, huge));
    assert_null(list_add(&list, &n, &room, huge));
    assert_int_equal(list_room(&list, &room, 2, huge), -ENOMEM);
    assert_ptr_equal(list, one);
    assert_true(n == 1 && room == 1 && *one == 1);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__elements_come_zeroed_and_stay),
        cmocka_unit_test(test_list__n_may_fall),
        cmocka_unit_test(test_list__room_stays),
        cmocka_unit_test(test_list__room_for_many),
        cmocka_unit_test(test_list__places_that_are_dropped),
        cmocka_unit_test(test_list__without_memory_it_is_as_it_was),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
