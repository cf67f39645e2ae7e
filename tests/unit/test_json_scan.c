/* The strict scanner: what JSON is and what is not, where each value stands, how an error looks. */
#include "lab/plan/text/json_scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int scan(const char *text, size_t len, struct json_fault *fault)
{
    struct json_marks marks = {0};
    /* A copy of exactly this size: the sanitizer sees a read beyond it. */
    char *copy = malloc(len ? len : 1);
    int rc;

    memcpy(copy, text, len);
    rc = json_scan(copy, len, &marks, fault);
    json_marks_release(&marks);
    free(copy);
    return rc;
}

static void test_json_scan__takes_what_rfc_8259_allows(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "-12",
        "1.5",
        "1e3",
        "1E-3",
        "0.0",
        "\"\"",
        "\"\\u00e9\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        " [ 1 , 2 ] ",
        "\t{\r\n\"a\" : [ { } ] }\n",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\ud83d\\udc04\"",
        "\"\xf0\x9f\x90\x84 \xe6\x97\xa5\"",
        "\"\x7f\"",
        "1e308",
        "1e-400",
        "{\"a\":1,\"A\":2}",
    };
    struct json_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (scan(good[i], strlen(good[i]), &fault) != 0)
            fail_msg("'%s' was refused: %s", good[i], fault.what);
}

static void test_json_scan__refuses_the_rest(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
    } bad[] = {
        {"", 0},
        {"  ", 2},
        {"01", 0},
        {"-", 1},
        {"+1", 0},
        {".5", 0},
        {"1.", 2},
        {"1e", 2},
        {"1e+", 3},
        {"0x10", 1},
        {"1e400", 0},
        {"-1e400", 0},
        {"NaN", 0},
        {"Infinity", 0},
        {"nul", 0},
        {"True", 0},
        {"nulll", 4},
        {"'a'", 0},
        {"\"a", 0},
        {"\"\t\"", 1},
        {"\"\n\"", 0},
        {"\"\\x\"", 1},
        {"\"\\", 0},
        {"\"\\u12g4\"", 1},
        {"\"\\u12", 1},
        {"\"\\u0000\"", 1},
        {"\"\\ud800\"", 1},
        {"\"\\ud800\\n\"", 1},
        {"\"\\ud800\\u0041\"", 1},
        {"\"\\udc00\"", 1},
        {"[1,]", 3},
        {"[1 2]", 3},
        {"[", 1},
        {"]", 0},
        {"{", 1},
        {"{1:2}", 1},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{\"a\":1 \"b\":2}", 7},
        {"{} {}", 3},
        {"1 // x", 2},
        {"/* */ 1", 0},
        {"\"\x80\"", 1},
        {"\"\xc0\xaf\"", 1},
        {"\"\xe0\x80\x80\"", 1},
        {"\"\xed\xa0\x80\"", 1},
        {"\"\xf4\x90\x80\x80\"", 1},
        {"\"\xf5\x80\x80\x80\"", 1},
        {"\"\xe6\x97\"", 1},
        {"\xef\xbb\xbf{}", 0},
        {"\xff\xfe{", 0},
        {"\f1", 0},
        {"1\v", 1},
    };
    struct json_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (scan(bad[i].text, strlen(bad[i].text), &fault) != -EINVAL)
            fail_msg("'%s' was taken", bad[i].text);
        if (fault.offset != bad[i].offset)
            fail_msg("'%s': offset %zu, not %zu (%s)", bad[i].text, fault.offset, bad[i].offset,
                     fault.what);
    }
    assert_int_equal(scan("\"a\0b\"", 5, &fault), -EINVAL);
    assert_int_equal(fault.offset, 2);
}

static void test_json_scan__limits_depth_size_and_number_length(void **state)
{
    struct json_fault fault;
    char deep[2 * JSON_DEPTH + 2], digits[64];
    char *large = malloc(JSON_MAX_BYTES + 1);

    (void)state;
    memset(deep, '[', JSON_DEPTH);
    memset(deep + JSON_DEPTH, ']', JSON_DEPTH);
    assert_int_equal(scan(deep, 2 * JSON_DEPTH, &fault), 0);
    memset(deep, '[', JSON_DEPTH + 1);
    memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_int_equal(scan(deep, 2 * JSON_DEPTH + 2, &fault), -EINVAL);
    assert_int_equal(fault.offset, JSON_DEPTH);
    memset(digits, '1', sizeof digits);
    assert_int_equal(scan(digits, 40, &fault), 0);
    assert_int_equal(scan(digits, 41, &fault), -EINVAL);
    memset(large, ' ', JSON_MAX_BYTES + 1);
    large[0] = '1';
    assert_int_equal(scan(large, JSON_MAX_BYTES, &fault), 0);
    assert_int_equal(scan(large, JSON_MAX_BYTES + 1, &fault), -EINVAL);
    free(large);
}

/* Every prefix of a good text is refused, and nothing is read beyond its end. */
static void test_json_scan__refuses_every_prefix(void **state)
{
    static const char text[] = "{\"a\": [1.5e3, \"\\u00e9\\ud83d\\udc04\xc3\xa9\", null, {}], "
                               "\"b\": true}";
    struct json_fault fault;

    (void)state;
    assert_int_equal(scan(text, sizeof text - 1, &fault), 0);
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(scan(text, n, &fault), -EINVAL);
}

static struct json_doc *parse(const char *text, struct err *e)
{
    struct json_doc *doc = NULL;

    return json_doc_parse(&doc, text, strlen(text), "t.json", e) == 0 ? doc : NULL;
}

static void test_json_scan__marks_lie_beside_the_tree(void **state)
{
    static const char text[] = "{\n  \"a\": [1, {\"b\": \"x\"}],\n\t\"\xc3\xa9\": true }";
    struct err e = {""};
    struct json_doc *doc = parse(text, &e);
    const cJSON *a, *b, *accent;
    int line, column;

    (void)state;
    assert_non_null(doc);
    a = cJSON_GetObjectItemCaseSensitive(json_doc_root(doc), "a");
    b = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(a, 1), "b");
    accent = cJSON_GetObjectItemCaseSensitive(json_doc_root(doc), "\xc3\xa9");
    assert_memory_equal(json_doc_text(doc, json_doc_mark(doc, b).value), "\"x\"}", 4);
    assert_memory_equal(json_doc_text(doc, json_doc_mark(doc, b).key), "\"b\"", 3);
    assert_int_equal(json_doc_mark(doc, b).end - json_doc_mark(doc, b).value, 3);
    assert_int_equal(json_doc_mark(doc, a).position, 0);
    assert_true(json_doc_mark(doc, json_doc_root(doc)).key == JSON_NO_KEY);
    json_doc_place(doc, json_doc_mark(doc, accent).value, &line, &column);
    assert_int_equal(line, 3);
    assert_int_equal(column, 7); /* a tab and an accented letter are one column each */
    json_doc_free(doc);
}

static void test_json_scan__offsets_inside_text_know_escapes(void **state)
{
    static const char text[] = "\"a\\n\\u00e9\\ud83d\\udc04\xc3\xa9z\"";
    struct err e = {""};
    struct json_doc *doc = parse(text, &e);
    /* decoded: a, newline, 2 bytes, 4 bytes, 2 bytes, z */
    static const struct {
        size_t decoded, source;
    } at[] = {{0, 1}, {1, 2}, {2, 4}, {4, 10}, {8, 22}, {10, 24}};

    (void)state;
    assert_non_null(doc);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        assert_int_equal(json_doc_inside(doc, json_doc_root(doc), at[i].decoded), at[i].source);
    json_doc_free(doc);
}

static void test_json_scan__repeated_keys_are_compared_decoded(void **state)
{
    struct err e = {""};
    struct json_doc *doc = parse("{\"x\": {\"ab\": 1, \"c\": 2, \"\\u0061b\": 3}}", &e);
    const cJSON *object, *again;

    (void)state;
    assert_non_null(doc);
    again = json_doc_repeated(doc, 0, &object);
    assert_non_null(again);
    assert_int_equal((int)again->valuedouble, 3);
    assert_null(json_doc_repeated(doc, 1, &object));
    object = cJSON_GetObjectItemCaseSensitive(json_doc_root(doc), "x");
    assert_int_equal(cJSON_GetArraySize(object), 2);
    assert_int_equal((int)cJSON_GetObjectItemCaseSensitive(object, "ab")->valuedouble, 1);
    json_doc_free(doc);
}

static void test_json_scan__error_names_place_path_and_shows_the_line(void **state)
{
    static const char text[] = "{ \"steps\": [0, 1, 2,\n           { \"pages\": 0 } ] }";
    struct err e = {""};
    struct json_doc *doc = parse(text, &e);
    const cJSON *step, *pages;

    (void)state;
    assert_non_null(doc);
    step = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json_doc_root(doc), "steps"), 3);
    pages = cJSON_GetObjectItemCaseSensitive(step, "pages");
    assert_int_equal(json_doc_fail(doc, pages, json_doc_mark(doc, pages).value, &e,
                                   "%d is below the minimum %d", 0, 1),
                     -EINVAL);
    assert_string_equal(e.msg, "t.json:2:23: steps[3].pages: 0 is below the minimum 1\n"
                               "      { \"pages\": 0 } ] }\n"
                               "                 ^");
    json_doc_free(doc);
}

/* Whatever the text and the names are, the three lines fit and the caret stays in the picture. */
static void test_json_scan__long_lines_are_clipped_around_the_caret(void **state)
{
    char text[5000], origin[3000];
    struct json_doc *doc = NULL;
    struct err e = {""};
    const char *line, *caret;

    (void)state;
    memset(text, ' ', sizeof text);
    text[0] = '[';
    for (size_t i = 1; i < 4000; i += 5)
        memcpy(text + i, "\"\xc3\xa9\",", 5);
    memcpy(text + 4001, "01]", 3);
    memset(origin, 'o', sizeof origin);
    origin[sizeof origin - 1] = '\0';
    assert_int_equal(json_doc_parse(&doc, text, 4500, origin, &e), -EINVAL);
    assert_true(strlen(e.msg) < sizeof e.msg - 1);
    line = strchr(e.msg, '\n');
    assert_non_null(line);
    caret = strrchr(e.msg, '\n');
    assert_true(caret > line);
    assert_int_equal(e.msg[strlen(e.msg) - 1], '^');
    assert_true(strlen(caret) < 110);
}

static void test_json_scan__nothing_that_a_terminal_obeys_is_shown(void **state)
{
    struct err e = {""};

    (void)state;
    assert_null(parse("[\"\x1b[31m\", 01]", &e));
    assert_null(strchr(e.msg, 0x1b));
    assert_null(parse("[\"\xc2\x9b"
                      "31m\", 01]",
                      &e)); /* CSI as one character */
    assert_null(strstr(e.msg, "\xc2\x9b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan__takes_what_rfc_8259_allows),
        cmocka_unit_test(test_json_scan__refuses_the_rest),
        cmocka_unit_test(test_json_scan__limits_depth_size_and_number_length),
        cmocka_unit_test(test_json_scan__refuses_every_prefix),
        cmocka_unit_test(test_json_scan__marks_lie_beside_the_tree),
        cmocka_unit_test(test_json_scan__offsets_inside_text_know_escapes),
        cmocka_unit_test(test_json_scan__repeated_keys_are_compared_decoded),
        cmocka_unit_test(test_json_scan__error_names_place_path_and_shows_the_line),
        cmocka_unit_test(test_json_scan__long_lines_are_clipped_around_the_caret),
        cmocka_unit_test(test_json_scan__nothing_that_a_terminal_obeys_is_shown),
    };

    return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
