/* Every row of the vocabulary there and back. */
#include "probes/caps.h"
#include "probes/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(const struct word *list)
{
    for (const struct word *w = list; w->text; w++) {
        assert_int_equal(word_code(list, w->text), w->code);
        assert_string_equal(word_text(list, w->code), w->text);
        for (const struct word *other = list; other != w; other++) {
            assert_int_not_equal(other->code, w->code);
            assert_string_not_equal(other->text, w->text);
        }
    }
    assert_int_equal(word_code(list, "no such word"), -1);
    assert_null(word_text(list, 9999));
}

static void test_words__lists_go_there_and_back(void **state)
{
    (void)state;
    there_and_back(share_modes);
    there_and_back(page_states);
    there_and_back(phases);
    there_and_back(write_outcomes);
    there_and_back(inherits);
    there_and_back(unknown_reasons);
}

static void columns(const struct quantity *list, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(quantity_index(list, list[i].column), i);
    assert_null(list[n].column);
    assert_int_equal(quantity_index(list, "no such column"), -1);
}

static void test_words__columns_go_there_and_back(void **state)
{
    (void)state;
    columns(region_quantities, RQ__COUNT);
    columns(process_quantities, PQ__COUNT);
    columns(total_quantities, TQ__COUNT);
}

/* Codes are in databases: these must never change. */
static void test_words__codes_are_machs(void **state)
{
    (void)state;
    assert_int_equal(SM_COW, 1);
    assert_int_equal(SM_PRIVATE, 2);
    assert_int_equal(SM_EMPTY, 3);
    assert_int_equal(SM_SHARED, 4);
    assert_int_equal(SM_LARGE_PAGE, 8);
    assert_string_equal(word_text(share_modes, SM_COW), "SM_COW");
    assert_string_equal(word_text(page_states, PS_DEBT), "debt");
}

static void test_words__protections_go_there_and_back(void **state)
{
    char text[4];

    (void)state;
    for (int prot = 0; prot < 8; prot++)
        assert_int_equal(protection_code(protection_text(prot, text)), prot);
    assert_int_equal(protection_code("rwz"), -1);
    assert_int_equal(protection_code("rw"), -1);
}

static void test_words__capabilities_have_names_and_ways(void **state)
{
    (void)state;
    for (int i = 0; i < CAP__COUNT; i++) {
        assert_int_equal(cap_index(cap_rows[i].name), i);
        assert_true(strlen(cap_rows[i].unlocks) && strlen(cap_rows[i].how));
    }
    assert_null(cap_rows[CAP__COUNT].name);
    assert_int_equal(cap_index("teleport"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words__lists_go_there_and_back),
        cmocka_unit_test(test_words__columns_go_there_and_back),
        cmocka_unit_test(test_words__codes_are_machs),
        cmocka_unit_test(test_words__protections_go_there_and_back),
        cmocka_unit_test(test_words__capabilities_have_names_and_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
