/* Bytes as text: what is valid stays as it is, every other byte is one U+FFFD, and what comes out
 * is valid. */
#include "probes/json.h"
#include "probes/utf8.h"
#include "tests/support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BAD "\xef\xbf\xbd"

static void test_utf8__mended(void **state)
{
    static const struct {
        const char *bytes, *text; /* NULL: as it is */
    } cases[] = {
        {"", NULL},
        {"plain \x01\x7f\n", NULL},
        {"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", NULL},
        {"a\xff\xfe\"", "a" BAD BAD "\""},
        {"\x80", BAD},
        {"\xc3", BAD},
        {"\xe2\x82", BAD BAD},
        {"\xe2\x82z", BAD BAD "z"},
        {"\xc0\x80", BAD BAD},                                    /* longer than needed */
        {"\xe0\x9f\xbf", BAD BAD BAD},                            /* too */
        {"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD},                    /* too */
        {"\xed\xa0\x80", BAD BAD BAD},                            /* half of a surrogate pair */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},                    /* behind the last character */
        {"\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD},            /* no such length */
        {"\xf0\x9f\xf0\x9f\x98\x80", BAD BAD "\xf0\x9f\x98\x80"}, /* begun anew */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failed;
        char *text = utf8_mended(cases[i].bytes, &failed);

        assert_int_equal(failed, 0);
        if (!cases[i].text) {
            assert_null(text);
            continue;
        }
        assert_non_null(text);
        assert_string_equal(text, cases[i].text);
        assert_null(utf8_mended(text, &failed));
        free(text);
    }
}

/* Whatever the bytes: a second look changes nothing. */
static void test_utf8__every_pair_of_bytes(void **state)
{
    (void)state;
    for (unsigned int n = 0x101; n <= 0xffff; n++) {
        char bytes[] = {(char)(n >> 8), (char)(n & 0xff), '\0'};
        int failed;
        char *text = utf8_mended(bytes, &failed);

        assert_int_equal(failed, 0);
        assert_true(!text || !utf8_mended(text, &failed));
        free(text);
    }
}

static void test_json__keys_and_values(void **state)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    (void)state;
    cJSON_AddStringToObject(o, "k\xff", "v\xc3\"\n");
    text = json_text(o, true);
    assert_string_equal(text, "{\"k" BAD "\":\"v" BAD "\\\"\\n\"}");
    free(text);
    assert_null(json_text(NULL, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__mended),
        cmocka_unit_test(test_utf8__every_pair_of_bytes),
        cmocka_unit_test(test_json__keys_and_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
