/* What many runs say together: sentences and charts of series whose runs are invented. Lines that
 * cross, no difference, too few, emulated, one size, unknown, hostile names. */
#include "reports/report.h"

#include "tests/support/db.h"
#include "tests/support/xml.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOSTILE "x|<script>&*[z](http://h)_"

struct fixture {
    struct stored in;
    int64_t next; /* key of a run */
    struct err e;
};

/* One combination of the series: so many counted runs of these pages, and one to warm up. */
struct combo {
    const char *scenario, *twin; /* twin NULL: it is the message, else it forks */
    const char *backend;         /* NULL: linux */
    const char *params;          /* further ones, ", \"memory\": \"a\"" */
    int64_t pages, ns;           /* of the i-th run: i % more than that */
    int runs;
    bool emulated, unknown; /* unknown: its page tables */
};

static void exec(struct fixture *f, const char *fmt, ...)
{
    va_list ap;
    char *sql;

    va_start(ap, fmt);
    sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    assert_non_null(sql);
    db_exec(f->in.db, sql);
    sqlite3_free(sql);
}

static void add_step(struct fixture *f, int64_t run, int step, const char *phase,
                     const char *action, int64_t ns, const struct combo *c)
{
    exec(f,
         "INSERT INTO step (run, step, phase, actor, action, region, start_ns, dur_ns, t_ns, "
         "system_kb) VALUES (%lld, %d, '%s', 'a', '%s', 'r', 0, %lld, 0, %lld)",
         run, step, phase, action, ns, c->pages * 4 + 100);
    exec(f,
         "INSERT INTO process (run, step, nr, actor, acting, rss_kb, pagetable_kb, minflt) VALUES "
         "(%lld, %d, 0, 'a', 1, %lld, %s, %d)",
         run, step, c->pages * 4 + 1000, c->unknown ? "NULL" : "8", step == 1 ? 0 : 3);
    exec(f,
         "INSERT INTO region (run, step, nr, observed, region, runs_cut, pages) VALUES (%lld, %d, "
         "0, 'a', 'r', 0, %lld)",
         run, step, c->pages);
}

static void add_run(struct fixture *f, int64_t series, const struct combo *c, int64_t ns, int warm)
{
    const int64_t run = ++f->next;

    exec(f,
         "INSERT INTO run (run, run_id, scenario, backend, twin, params, kernel, machine, "
         "page_size, status, started_at, duration_ns, series, warm_up) VALUES (%lld, "
         "'20260101-000000-' || printf('%%016x', %lld), %Q, %Q, %Q, '{\"pages\": %lld%s}', 'K', "
         "'{\"cpus\": 2%s}', 4096, 'complete', '2026-01-01T00:00:00.' || printf('%%06d', %lld) || "
         "'Z', 9, nullif(%lld, 0), %s)",
         run, run, c->scenario, c->backend ? c->backend : "linux", c->twin, c->pages,
         c->params ? c->params : "", c->emulated ? ", \"accelerator\": \"tcg\"" : "", run, series,
         !series ? "NULL"
         : warm  ? "1"
                 : "0");
    add_step(f, run, 1, "mapped", "map", 5, c);
    if (c->twin) {
        add_step(f, run, 2, "transferred", "fork", ns, c);
    } else {
        add_step(f, run, 2, "in_transit", "ool_send", ns / 2, c);
        add_step(f, run, 3, "received", "ool_receive", ns - ns / 2, c);
    }
}

static void add(struct fixture *f, int64_t series, const struct combo *c)
{
    add_run(f, series, c, c->ns * 50, 1);
    for (int i = 0; i < c->runs; i++)
        add_run(f, series, c, c->ns + c->ns * i / 100, 0);
}

static void begin(struct fixture *f, int64_t series, const char *params)
{
    exec(f,
         "INSERT INTO series VALUES (%lld, 'series-20260101-000000-' || printf('%%016x', %lld), "
         "'2026-01-01T00:00:00.%06lldZ', 7, 8, 40, '{\"scenarios\": [\"f\", \"o\"], \"backends\": "
         "[\"linux\", \"gnumach\"], \"params\": {%s}}')",
         series, series, series, params);
}

/* Of each size a fork and a message, which take so long. */
static void pair(struct fixture *f, int64_t series, int64_t pages, int64_t fork_ns, int64_t ool_ns,
                 int runs)
{
    struct combo fork = {.scenario = "f", .twin = "o", .pages = pages, .ns = fork_ns, .runs = runs};
    struct combo ool = {.scenario = "o", .pages = pages, .ns = ool_ns, .runs = runs};

    add(f, series, &fork);
    add(f, series, &ool);
}

static const char sizes[] = "\"pages\": [\"64\", \"256\", \"1024\", \"4096\"]";

static void crossing(struct fixture *f)
{
    begin(f, 1, sizes);
    pair(f, 1, 64, 200000, 100000, 20);
    pair(f, 1, 256, 300000, 240000, 20);
    pair(f, 1, 1024, 600000, 602000, 20);
    pair(f, 1, 4096, 1000000, 1900000, 20);
}

static int setup(void **state)
{
    struct fixture *f = stored_new(sizeof *f);

    *state = f;
    return 0;
}

/* The page of the newest series, or with runs all of theirs. */
static char *report(struct fixture *f, const char *name, bool whole)
{
    const char *run = db_text(f->in.db, "SELECT max(run_id) FROM run WHERE warm_up IS NOT 1");

    if (report_markdown(f->in.store, &run, whole, scratch_path(f->in.dir, name), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, name), NULL);
}

/* cmocka's own messages are cut. */
static void holds(const char *text, const char *part)
{
    if (!text || !strstr(text, part)) {
        fprintf(stderr, "no '%s' in:\n%.4000s\n", part, text ? text : "(nothing)");
        fail();
    }
}

static void lacks(const char *text, const char *part)
{
    if (text && strstr(text, part)) {
        fprintf(stderr, "'%s' in:\n%.4000s\n", part, text);
        fail();
    }
}

/* A picture, NULL without one: well formed, and without what is no number. */
static char *picture(struct fixture *f, const char *name)
{
    char path[120];
    size_t len;
    char *text;

    snprintf(path, sizeof path, "r.assets/%s.svg", name);
    text = slurp(scratch_path(f->in.dir, path), &len);
    if (text) {
        assert_int_equal(support_xml_check(text, len), 0);
        lacks(text, "nan");
        lacks(text, "inf");
    }
    return text;
}

static void test_spread__sentences_say_what_intervals_say(void **state)
{
    struct fixture *f = *state;
    char *text;

    crossing(f);
    text = report(f, "r.md", false);
    holds(text,
          "## Series: f, o\n\n`series-20260101-000000-0000000000000001`: pages 64, 256, 1024, "
          "4096. 8 combinations, 8 runs of each asked for, round by round in an order mixed "
          "by seed 7; 160 counted runs, without 8 to warm up. Intervals are of 95 %: of twenty "
          "comparisons of equals "
          "one shows a difference. On K.");
    holds(text,
          "- **f and o on linux.** Handing over took less time out of line up to 1.00 MiB, by "
          "fork from 16.0 MiB on.\n"
          "  - 256 KiB on linux: handing over took 2.0 times as long by fork (1.9 to 2.1, 20 "
          "runs each)\n");
    holds(text, "  - 4.00 MiB on linux: no difference seen in 20 runs each\n");
    holds(text, "  - 16.0 MiB on linux: handing over took 1.9 times as long out of line (1.8 to "
                "2.0, 20 runs each)\n");
    lacks(text, "an emulator");
    free(text);
}

static void test_spread__charts_show_lines_bands_and_slopes(void **state)
{
    struct fixture *f = *state;
    char *text, *svg, *again;

    crossing(f);
    text = report(f, "r.md", false);
    holds(text, "](r.assets/series-time.svg)");
    holds(text, "](r.assets/series-costs.svg)");
    svg = picture(f, "series-time");
    holds(svg, ">f (143 ns a page)<"); /* (1095000 - 657000) / 3072 */
    holds(svg, ">o (463 ns a page)<");
    holds(svg, "fill-opacity=\".18\"");
    holds(svg, ">256 KiB<");
    holds(svg, ">16 MiB<");
    holds(svg, "their 95 % intervals");
    free(report(f, "r.md", false));
    again = picture(f, "series-time");
    assert_string_equal(svg, again);
    free(again);
    free(svg);
    svg = picture(f, "series-costs");
    holds(svg, ">Faults, all steps<");
    holds(svg, ">Page tables, handed over<");
    holds(svg, "most<");
    free(svg);
    free(text);
}

static void test_spread__no_crossing_is_said_that_is_not_seen(void **state)
{
    static const struct {
        int64_t ool[4]; /* beside 1000 of the fork */
        const char *says;
    } cases[] = {
        {{1000, 1000, 1000, 1000}, NULL},
        {{1000, 1500, 1000, 1500}, NULL},
        {{1500, 1500, 1000, 1500}, NULL}, /* none in between */
        {{1500, 500, 1500, 500}, NULL},
        {{1000, 1500, 1500, 1500},
         " Handing over took less time by fork from 1.00 MiB on; below that no difference was "
         "seen."},
        {{500, 500, 1000, 1000},
         " Handing over took less time out of line up to 1.00 MiB; above that no difference was "
         "seen."},
        {{500, 500, 500, 500}, " Handing over took less time out of line at every size."},
        {{500, 500, 1500, 1500},
         " Handing over took less time out of line up to 1.00 MiB, by fork from 4.00 MiB on."},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[300], *text;

        begin(f, (int64_t)i + 1, sizes);
        for (int k = 0; k < 4; k++)
            pair(f, (int64_t)i + 1, 64LL << 2 * k, 1000000, cases[i].ool[k] * 1000, 8);
        text = report(f, "r.md", false);
        snprintf(want, sizeof want, "- **f and o on linux.**%s\n  - 256 KiB",
                 cases[i].says ? cases[i].says : "");
        holds(text, want);
        free(text);
    }
}

static void test_spread__too_few_runs_say_their_times(void **state)
{
    struct fixture *f = *state;
    char *text, *svg;

    begin(f, 1, sizes);
    pair(f, 1, 64, 100000, 900000, 3);
    pair(f, 1, 256, 200000, 1900000, 1);
    text = report(f, "r.md", false);
    holds(text, "- **f and o on linux.**\n  - 256 KiB on linux: handing over took 101.0 µs by fork "
                "and 909.0 µs out of line (medians of 3 runs each: too few to say more)\n"
                "  - 1.00 MiB on linux: handing over took 200.0 µs by fork and 1.90 ms out of line "
                "(1 run each: too few to say more)\n");
    lacks(text, "times as long");
    svg = picture(f, "series-time");
    lacks(svg, "fill-opacity");
    lacks(svg, "a page)");
    holds(svg, "no intervals");
    free(svg);
    free(text);
}

static void test_spread__emulated_times_stand_alone(void **state)
{
    struct fixture *f = *state;
    char *text, *svg;

    begin(f, 1, sizes);
    for (int k = 0; k < 3; k++) {
        struct combo fork = {.scenario = "f",
                             .twin = "o",
                             .backend = "gnumach",
                             .pages = 64LL << 2 * k,
                             .ns = 5000000,
                             .runs = 8,
                             .emulated = true,
                             .unknown = true};
        struct combo ool = fork;

        ool.scenario = "o";
        ool.twin = NULL;
        add(f, 1, &fork);
        add(f, 1, &ool);
        pair(f, 1, 64LL << 2 * k, 100000, 150000, 8);
    }
    text = report(f, "r.md", false);
    holds(text, "On K; in an emulator, whose times compare with each other only: gnumach.");
    holds(text, "- **f and o on gnumach, in an emulator.**\n  - 256 KiB on gnumach: no difference");
    holds(text, "- **f and o on linux.** Handing over took less time by fork at every size.\n");
    lacks(text, "on linux and on gnumach");
    holds(text, "Page tables, unknown: f on gnumach, o on gnumach.");
    svg = picture(f, "series-time");
    holds(svg, ">f on linux<");
    lacks(svg, "gnumach");
    free(svg);
    svg = picture(f, "series-time-emulated");
    holds(svg, ">f on gnumach<");
    lacks(svg, "linux");
    free(svg);
    svg = picture(f, "series-costs");
    holds(svg, ">f on gnumach<");
    holds(svg, ">f on linux<");
    free(svg);
    free(text);
}

static void test_spread__one_size_is_a_table(void **state)
{
    struct fixture *f = *state;
    char *text;

    begin(f, 1, "");
    pair(f, 1, 64, 100000, 150000, 8);
    text = report(f, "r.md", false);
    holds(text, "| f | linux |  | 8 | 103.5 µs | 100.");
    holds(text, "  - 256 KiB on linux: handing over took 1.50 times as long out of line");
    assert_null(picture(f, "series-time"));
    free(text);
}

/* Ways that a parameter makes are lines and pairs of their own; what others wrote stays text. */
static void test_spread__a_parameter_makes_ways(void **state)
{
    struct fixture *f = *state;
    char *text, *svg;

    begin(f, 1, "\"pages\": [\"64\", \"256\"], \"memory\": [\"a\", \"" HOSTILE "\"]");
    for (int k = 0; k < 2; k++) {
        struct combo a = {.scenario = "o",
                          .params = ", \"memory\": \"a\"",
                          .pages = 64LL << 2 * k,
                          .ns = 100000,
                          .runs = 8};
        struct combo b = a;

        b.params = ", \"memory\": \"" HOSTILE "\"";
        b.ns = 300000;
        add(f, 1, &a);
        add(f, 1, &b);
    }
    text = report(f, "r.md", false);
    holds(text, "- **o with memory=a and x\\|&lt;script&gt;");
    holds(text, "handing over took 3.0 times as long with memory=x\\|&lt;script&gt;");
    lacks(text, "<script>");
    svg = picture(f, "series-time");
    holds(svg, ">o, memory=a<");
    holds(svg, "x|&lt;script&gt;");
    free(svg);
    free(text);
}

/* Small differences are told from 1 with as many places as that takes. */
/* Of many ways not each two, but size by size the fastest, and how far the others are behind it. */
static void test_spread__of_many_ways_the_fastest_is_told(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *way;
        int64_t ns, large_ns;
        int runs;
    } ways[] = {{"pipe", 200000, 3000000, 8},
                {"call", 100000, 2000000, 8},
                {"move", 101000, 100000, 8},
                {"rare", 400000, 400000, 3}};
    char *text;

    begin(f, 1, "\"pages\": [\"16\", \"256\"], \"way\": [\"pipe\", \"call\", \"move\", \"rare\"]");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (int large = 0; large < 2; large++) {
            char params[40];
            struct combo c = {.scenario = "o",
                              .params = params,
                              .pages = large ? 256 : 16,
                              .ns = large ? ways[i].large_ns : ways[i].ns,
                              .runs = ways[i].runs};

            snprintf(params, sizeof params, ", \"way\": \"%s\"", ways[i].way);
            add(f, 1, &c);
        }
    text = report(f, "r.md", false);
    holds(text,
          "- **64 KiB, o on linux.** Handing over took least with way=call (103.5 µs, median of 8 "
          "runs); no difference seen to move; 2.0 times as long with pipe (1.9 to 2.1); too few "
          "runs to tell it from rare.\n");
    assert_non_null(
        strstr(text, "- **1.00 MiB, o on linux.** Handing over took least with way=move "));
    lacks(text, "way=pipe and call");
    free(text);
    text = report(f, "w.md", true);
    holds(text, "took least with way=move");
    holds(text, "way=pipe and call");
    free(text);
}

static void test_spread__a_ratio_has_the_places_it_needs(void **state)
{
    struct fixture *f = *state;
    char *text;

    begin(f, 1, sizes);
    pair(f, 1, 64, 100000, 130000, 20);
    text = report(f, "r.md", false);
    holds(text, "handing over took 1.30 times as long out of line (1.25 to 1.35, ");
    free(text);
    begin(f, 2, sizes);
    pair(f, 2, 64, 100000, 108000, 20);
    text = report(f, "r.md", false);
    holds(text, "handing over took 1.08 times as long out of line (1.0");
    lacks(text, "(1.00");
    free(text);
}

static void test_spread__the_whole_has_its_figures_and_queries(void **state)
{
    struct fixture *f = *state;
    char *text;

    crossing(f);
    exec(f, "UPDATE run SET status = 'crashed' WHERE run IN (3, 4)");
    text = report(f, "r.md", true);
    holds(text, "**Cut short and not counted: 2 runs.**");
    holds(text, "158 counted runs");
    holds(text, "| f | o | linux | 256 KiB | handed_over | time_ns | 18 | 20 |");
    holds(text, "| o | linux | pages=64 | 2 | in_transit | 20 | - | ");
    holds(text, "| o | linux | pages=64 | - | handed_over | 20 | - | 109.5 µs |");
    lacks(text, "0.000");
    holds(text, "FROM phase_stats");
    free(text);
    /* The page leaves the tables out. */
    text = report(f, "r.md", false);
    lacks(text, "| handed_over |");
    free(text);
}

/* Single runs of a scenario at three sizes: times, no verdict; those of a series that is told of
 * are told there. */
static void test_spread__fork_by_size(void **state)
{
    struct fixture *f = *state;
    struct combo c = {.scenario = "alone", .twin = "o", .pages = 256, .ns = 100000};
    char *text, *svg;

    add_run(f, 0, &c, 100000, 0);
    c.pages = 2560;
    add_run(f, 0, &c, 700000, 0);
    text = report(f, "r.md", false);
    lacks(text, "## Fork by size");
    free(text);
    c.pages = 25600;
    add_run(f, 0, &c, 5000000, 0);
    crossing(f);
    text = report(f, "r.md", false);
    holds(text, "## Fork by size");
    holds(text, "- alone on linux: 100.0 µs at 1.98 MiB to 5.00 ms at 101.0 MiB\n");
    lacks(text, "- f on linux: ");
    svg = picture(f, "fork-by-size");
    holds(svg, ">alone on linux<");
    lacks(svg, ">f on linux<");
    free(svg);
    free(text);
}

static void test_spread__without_a_series_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    struct combo c = {.scenario = "f", .twin = "o", .pages = 256, .ns = 100000};
    char *text;

    add_run(f, 0, &c, 100000, 0);
    text = report(f, "r.md", false);
    lacks(text, "## Series");
    free(text);
    begin(f, 1, sizes); /* of which nothing is counted yet */
    add_run(f, 1, &c, 100000, 1);
    text = report(f, "r.md", false);
    lacks(text, "## Series");
    free(text);
}

#define STORED(test) cmocka_unit_test_setup_teardown(test, setup, stored_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORED(test_spread__sentences_say_what_intervals_say),
        STORED(test_spread__charts_show_lines_bands_and_slopes),
        STORED(test_spread__no_crossing_is_said_that_is_not_seen),
        STORED(test_spread__too_few_runs_say_their_times),
        STORED(test_spread__emulated_times_stand_alone),
        STORED(test_spread__one_size_is_a_table),
        STORED(test_spread__a_parameter_makes_ways),
        STORED(test_spread__of_many_ways_the_fastest_is_told),
        STORED(test_spread__a_ratio_has_the_places_it_needs),
        STORED(test_spread__the_whole_has_its_figures_and_queries),
        STORED(test_spread__fork_by_size),
        STORED(test_spread__without_a_series_nothing_is_said),
    };

    return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
