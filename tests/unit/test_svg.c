/* Pictures: whatever the texts and numbers are, the file is well-formed XML, the same calls give
 * the same bytes, and an unknown number is not drawn as a bar of length zero. */
#include "reports/draw/chain.h"
#include "reports/draw/chart.h"
#include "reports/draw/strips.h"
#include "tests/support/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOSTILE "a<b>&\"c\"'d\n\x01\x1b[31m\xff\xc3\xa9]]>--"

static char *bars(double value)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const char *labels[] = {HOSTILE, "second"};
    double a[] = {value, 5}, b[] = {7, CHART_NONE};
    struct chart_series series[] = {{HOSTILE, a}, {"b", b}};
    struct chart c = {HOSTILE, HOSTILE, UNIT_KB, labels, 2, series, 2};

    chart_bars(f, &c);
    chart_stacked(f, &c);
    fclose(f);
    return text;
}

static void test_svg__bars_are_well_formed(void **state)
{
    char *text = bars(3), *second = strstr(text, "</svg>\n");

    (void)state;
    assert_non_null(second);
    second += 7;
    assert_int_equal(support_xml_check(second, strlen(second)), 0);
    assert_int_equal(support_xml_check(text, (size_t)(second - text)), 0);
    assert_null(strstr(text, "\x1b"));
    free(text);
}

/* A broken chart would draw NAN as a bar of no length and print 0 beside it. */
static void test_svg__unknown_bar_says_unknown(void **state)
{
    char *known = bars(3), *unknown = bars(NAN);

    (void)state;
    assert_null(strstr(known, ">unknown<"));
    assert_non_null(strstr(unknown, ">unknown<"));
    assert_non_null(strstr(unknown, "at least "));
    assert_null(strstr(unknown, "nan"));
    free(known);
    free(unknown);
}

static void test_svg__lines_break_at_unknown_points(void **state)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    double x[] = {0, 1, 2, 3}, y[] = {1, 2, NAN, 4};
    struct chart_series series[] = {{"y", y}};
    struct chart_lines c = {"t", NULL, "time", UNIT_NUMBER, UNIT_NUMBER, x,     4,    series,
                            1,   NULL, 0,      NULL,        false,       false, NULL, 0};
    const char *path;
    int moves = 0;

    (void)state;
    chart_lines(f, &c);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_null(strstr(text, "nan"));
    for (path = strstr(text, "class=\"l0\""); path && *path != '<'; path--)
        moves += *path == 'M';
    assert_int_equal(moves, 1); /* the legend's line */
    path = strstr(strstr(text, "class=\"l0\"") + 1, "class=\"l0\"");
    for (moves = 0; path && *path != '<'; path--)
        moves += *path == 'M';
    assert_int_equal(moves, 2); /* before and after the gap */
    free(text);
}

/* Counts elements with this class. */
static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_svg__strips_show_each_state_with_its_letter(void **state)
{
    struct page_run runs[] = {{.first = 0, .count = 2, .frame = 7, .state = PS_COW},
                              {.first = 2, .count = 1, .frame = 9, .state = PS_DEBT}};
    struct strip_row rows[] = {{HOSTILE, HOSTILE, HOSTILE, 4, runs, 2, false, NULL},
                               {NULL, "b", NULL, 4, runs, 1, true, NULL}};
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    strips_draw(f, HOSTILE, "sub", rows, 2);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_int_equal(count(text, ">C</text>"), 2 + 2 + 1); /* both rows, and the legend */
    assert_int_equal(count(text, ">D</text>"), 1 + 1);
    assert_int_equal(count(text, ">F8</text>"), 2);
    assert_non_null(strstr(text, "not stored")); /* the cut row's end is not shown as empty */
    free(text);
}

static void test_svg__long_strips_are_binned(void **state)
{
    struct page_run runs[] = {{.first = 0, .count = 50000, .state = PS_EXCLUSIVE},
                              {.first = 50000, .count = 50000, .state = PS_COW}};
    struct strip_row row = {"step", "r", NULL, 100000, runs, 2, false, NULL};
    char *text, letters[80] = "";
    size_t len, n;
    FILE *f = open_memstream(&text, &len), *g;

    (void)state;
    strips_draw(f, "t", "sub", &row, 1);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_true(len < 40000);
    assert_non_null(strstr(text, "1,563 pages"));
    free(text);
    g = fmemopen(letters, sizeof letters, "w");
    n = strip_letters(g, &row, 10, false);
    fclose(g);
    assert_int_equal(n, 10);
    assert_string_equal(letters, "EEEEECCCCC");
}

/* Two regions over one object share its page; the page that a shadow covers is hidden from both. */
static void test_svg__chain_tells_shared_from_hidden(void **state)
{
    struct page_run below[] = {{.first = 0, .count = 2, .frame = 1}};
    struct page_run above[] = {{.first = 0, .count = 1, .frame = 5}};
    struct obs_object a[] = {
        {.number = 1, .depth = 0, .kind = "internal", .runs = above, .nruns = 1},
        {.number = 2, .depth = 1, .kind = "internal", .runs = below, .nruns = 1}};
    struct obs_object b[] = {
        {.number = 3, .depth = 0, .kind = HOSTILE, .runs = above, .nruns = 1},
        {.number = 2, .depth = 1, .kind = "internal", .runs = below, .nruns = 1}};
    struct obs_region first = {.observed = "a", .region = "r", .objects = a, .nobjects = 2};
    struct obs_region second = {.observed = "b", .region = HOSTILE, .objects = b, .nobjects = 2};
    struct chain_region regions[] = {{&first, NULL}, {&second, NULL}};
    struct chain_panel panel = {"step", regions, 2};
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    first.q[RQ_PAGES] = second.q[RQ_PAGES] = value_known(2);
    assert_int_equal(chain_draw(f, "t", &panel, 1), 0);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_int_equal(count(text, ">shared by 2</text>"), 3); /* F5 in both tops, F2 below */
    assert_int_equal(count(text, ">hidden</text>"), 1);      /* F1 */
    assert_int_equal(count(text, "class=\"box new\""), 1);   /* the legend: all of it is new */
    assert_true(chain_changed(&panel));
    free(text);
}

/* One page is written: its cell, its region and what is behind it are marked, nothing else. */
static void test_svg__what_changed_is_marked(void **state)
{
    struct page_run then[] = {{.first = 0, .count = 4, .frame = 1, .state = PS_COW}};
    struct page_run now[] = {{.first = 0, .count = 1, .frame = 1, .state = PS_COW},
                             {.first = 1, .count = 1, .frame = 9, .state = PS_EXCLUSIVE},
                             {.first = 2, .count = 2, .frame = 3, .state = PS_COW}};
    struct obs_region before = {.observed = "a", .region = "r", .runs = then, .nruns = 1};
    struct obs_region after = {.observed = "a", .region = "r", .runs = now, .nruns = 3}, same;
    struct chain_region regions[] = {{&after, &before}, {&same, &before}};
    struct chain_panel panel = {"step", regions, 2};
    struct strip_row row;
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    same = before;
    same.observed = "b";
    before.q[RQ_PAGES] = after.q[RQ_PAGES] = same.q[RQ_PAGES] = value_known(4);
    row = strip_of(&after);
    row.label = "r";
    row.before = &before;
    strips_draw(f, "t", "sub", &row, 1);
    fclose(f);
    assert_int_equal(count(text, "class=\"mark\""), 1 + 1); /* and the legend */
    free(text);
    f = open_memstream(&text, &len);
    assert_int_equal(chain_draw(f, "t", &panel, 1), 0);
    fclose(f);
    assert_int_equal(count(text, "class=\"box new\""), 2 + 1);
    assert_true(chain_changed(&panel));
    free(text);
    panel.regions++;
    panel.nregions--;
    assert_false(chain_changed(&panel));
}

/* Half of each cell, in the end: mixed, and never taken for untouched. */
static void test_svg__mixed_letters_are_lower_case(void **state)
{
    struct page_run runs[] = {{.first = 0, .count = 1, .state = PS_DEBT},
                              {.first = 4, .count = 4, .state = PS_DEBT},
                              {.first = 8, .count = 2, .state = PS_COW},
                              {.first = 10, .count = 1, .state = PS_ZERO}};
    struct strip_row row = {"step", "r", NULL, 20, runs, 4, false, NULL};
    char letters[80] = "";
    FILE *f = fmemopen(letters, sizeof letters, "w");

    (void)state;
    assert_int_equal(strip_letters(f, &row, 5, false), 5);
    row.cut = true; /* what is behind the end of the list is not told */
    strip_letters(f, &row, 5, false);
    fclose(f);
    assert_string_equal(letters, "dDc..dDc  ");
}

/* A line that another one hides says so; one of another axis does not hide it. A process keeps its
 * colour. */
static void test_svg__lines_that_coincide_are_said_to(void **state)
{
    double x[] = {0, 1, 2, 3}, a[] = {100, 200, 300, 400}, b[] = {NAN, 200, 300, NAN};
    struct chart_series series[] = {{"short", b}, {"long", a}, {"again", a}, {"free", a}};
    size_t looks[] = {9, 2, 1, 0};
    struct chart_lines c = {"t", NULL,  "time", UNIT_NUMBER, UNIT_NUMBER, x,     4,    series,
                            4,   looks, 3,      NULL,        false,       false, NULL, 0};
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    chart_lines(f, &c);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_non_null(strstr(text, ">short (on the line of long)<"));
    assert_non_null(strstr(text, ">long<"));
    assert_non_null(strstr(text, ">again (on the line of long)<"));
    assert_non_null(strstr(text, ">free (right axis)<"));
    assert_int_equal(count(text, "class=\"l1\""), 2 + 2); /* two lines with their legends: 9, 1 */
    assert_int_equal(count(text, "class=\"l2\""), 2);
    free(text);
}

/* What a log axis cannot show is not drawn as if it could: nothing there is gone past, unknown
 * breaks the line, 0 lies below the axis; ten times more is as far everywhere. */
static void test_svg__log_lines(void **state)
{
    double x[] = {4, 8, 16, 32, 64}, a[] = {100, CHART_NONE, 1000, NAN, 10000},
           b[] = {0, 0, 0, 0, 0};
    double low[] = {90, NAN, 900, NAN, NAN}, high[] = {110, NAN, 1100, NAN, NAN};
    double none[] = {NAN, NAN, NAN, NAN, NAN};
    struct chart_series series[] = {{HOSTILE, a}, {"b", b}};
    struct chart_band bands[] = {{low, high}, {none, none}};
    struct chart_lines c = {.title = HOSTILE,
                            .x_name = "size",
                            .unit = UNIT_NS,
                            .x_unit = UNIT_KB,
                            .x = x,
                            .npoints = 5,
                            .series = series,
                            .nseries = 2,
                            .bands = bands,
                            .log = true};
    char *text, *end;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    double at[3];
    const char *mark;

    (void)state;
    chart_lines(f, &c);
    fflush(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_int_equal(count(text, "fill-opacity"), 1);
    assert_int_equal(count(text, "class=\"l0\""), 1 + 1);   /* the legend's, and 100 to 1000 */
    assert_int_equal(count(text, "class=\"s0\"/>"), 1 + 3); /* three points are known */
    assert_int_equal(count(text, "class=\"s1\"/>"), 1 + 5);
    assert_non_null(strstr(text, ">0</text>"));
    mark = strstr(text, "class=\"s0\"/>") + 1; /* the legend's */
    for (int i = 0; i < 3; i++) {
        mark = strstr(mark, "class=\"s0\"/>");
        for (end = (char *)(uintptr_t)mark; *end != '<'; end--)
            ;
        sscanf(end, "<path d=\"M%*f %lf", &at[i]);
        mark++;
    }
    assert_true(fabs((at[0] - at[1]) - (at[1] - at[2])) < 0.2);
    assert_true(at[0] - at[1] > 20);
    fseek(f, 0, SEEK_SET);
    c.npoints = 1; /* and where there is one size, or nothing */
    chart_multiples(f, "t", "s", (struct chart_lines[]){c, c, c}, 3);
    c.npoints = 0;
    fflush(f);
    assert_int_equal(support_xml_check(text, len), 0);
    fclose(f);
    free(text);
}

static void test_svg__waterfall_of_unknown_parts(void **state)
{
    struct waterfall_row rows[] = {{HOSTILE, HOSTILE, WATERFALL_TOTAL, 100},
                                   {"less", NULL, WATERFALL_DELTA, -40},
                                   {"what", NULL, WATERFALL_DELTA, NAN},
                                   {"end", NULL, WATERFALL_TOTAL, 70}};
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    chart_waterfall(f, "t", NULL, UNIT_KB, rows, 4);
    fclose(f);
    assert_int_equal(support_xml_check(text, len), 0);
    assert_int_equal(count(text, ">unknown</text>"), 1);
    assert_non_null(strstr(text, "−40 KiB"));
    free(text);
}

/* The checker itself must be able to fail. */
static void test_svg__checker_rejects_broken_xml(void **state)
{
    static const char *const broken[] = {
        "<a><b></a></b>", "<a x=1></a>", "<a>&nope;</a>",       "<a>\x01</a>", "<a",
        "<a></a><b></b>", "<a>\xff</a>", "<a x=\"1\" x=\"2\"/>"};

    static const char fine[] = "<a x=\"1\"><b/>t &amp; &#39;</a>\n";

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_not_equal(support_xml_check(broken[i], strlen(broken[i])), 0);
    assert_int_equal(support_xml_check(fine, strlen(fine)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_svg__checker_rejects_broken_xml),
        cmocka_unit_test(test_svg__bars_are_well_formed),
        cmocka_unit_test(test_svg__unknown_bar_says_unknown),
        cmocka_unit_test(test_svg__lines_break_at_unknown_points),
        cmocka_unit_test(test_svg__strips_show_each_state_with_its_letter),
        cmocka_unit_test(test_svg__long_strips_are_binned),
        cmocka_unit_test(test_svg__chain_tells_shared_from_hidden),
        cmocka_unit_test(test_svg__what_changed_is_marked),
        cmocka_unit_test(test_svg__mixed_letters_are_lower_case),
        cmocka_unit_test(test_svg__lines_that_coincide_are_said_to),
        cmocka_unit_test(test_svg__log_lines),
        cmocka_unit_test(test_svg__waterfall_of_unknown_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
