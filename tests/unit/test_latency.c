/* Times of touches and snapshots, as they are stored: percentiles in the views are those of the
 * histogram, of few touches there is none, what is unknown is no number; tables and curves in the
 * report come of them. */
#include "reports/report.h"
#include "tests/support/db.h"
#include "tests/support/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct stored in;
    struct store_latencies *times;
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = stored_new(sizeof *f);

    f->times = calloc(1, sizeof *f->times);
    *state = f;
    return f->times ? 0 : -1;
}

static int tear_down(void **state)
{
    free(((struct fixture *)*state)->times);
    return stored_tear_down(state);
}

static struct histogram *add(struct fixture *f, const char *part, const char *since)
{
    struct store_latency *l = &f->times->of[f->times->n++];

    *l = (struct store_latency){.part = part, .since = since, .gap_ns = value_known(77)};
    return &l->times;
}

/* n touches from 1 µs on, each 1/1000 longer than the one before. */
static void fill(struct histogram *h, int n)
{
    double ns = 1000;

    for (int i = 0; i < n; i++, ns *= 1.001)
        histogram_add(h, (uint64_t)ns);
}

/* A run of one step with these times; its id. */
static const char *run(struct fixture *f, const char *scenario, const struct store_snapshot *snap)
{
    struct run_info info = {.scenario = scenario,
                            .title = "t",
                            .question = "q?",
                            .backend = "linux",
                            .no_twin = "none",
                            .params = "{}",
                            .source = "{}",
                            .page_size = 4096,
                            .kernel = strdup("Linux 1")};
    struct observation obs;
    struct step_record r = {.step = 1,
                            .phase = "populated",
                            .actor = "a",
                            .action = snap ? "snapshot" : "write",
                            .region = "r",
                            .obs = &obs,
                            .latencies = f->times,
                            .snapshot = snap};
    static char ids[4][40];
    static int next;
    char *id = ids[next++ % 4];

    observation_init(&obs);
    f->times->cost_ns = 50;
    f->times->empty_ns = 20;
    if (store_begin_run(f->in.store, &info, &f->e) ||
        store_step(f->in.store, info.run_id, &r, &f->e) ||
        store_end_run(f->in.store, info.run_id, RUN_COMPLETE, 1, NULL, &f->e))
        fail_msg("%s", f->e.msg);
    strcpy(id, info.run_id);
    run_info_release(&info);
    observation_release(&obs);
    memset(f->times, 0, sizeof *f->times);
    return id;
}

static const char *snapshot(struct fixture *f, const char *way, struct value peak, int64_t torn)
{
    struct store_snapshot s = {.way = (char *)(uintptr_t)way,
                               .pages = 256,
                               .rate = 1000,
                               .cpus = 2,
                               .still_ns = 5000,
                               .take_ns = 4000,
                               .readout_ns = 9000,
                               .torn_pages = torn,
                               .copied_pages = value_inferred(12),
                               .before_kb = value_known(100),
                               .peak_kb = peak};

    fill(add(f, "before", "touch"), 2000);
    fill(add(f, "before", "due"), 2000);
    fill(add(f, "during", "touch"), 200);
    fill(add(f, "during", "due"), 200);
    return run(f, "snap", &s);
}

static void expect(struct fixture *f, const char *sql, int64_t wanted)
{
    int64_t got = db_int(f->in.db, sql);

    if (got != wanted)
        fail_msg("%s: %lld, not %lld", sql, (long long)got, (long long)wanted);
}

static void test_latency__the_views_percentiles_are_the_histograms(void **state)
{
    struct fixture *f = *state;
    struct histogram *h = add(f, "step", "touch"), copy;

    fill(h, 5000);
    histogram_add(h, UINT64_C(3) << HISTOGRAM_TOP); /* beyond all buckets */
    copy = *h;
    run(f, "touches", NULL);
    expect(f, "SELECT n FROM latencies", 5001);
    expect(f, "SELECT p50_ns FROM latencies", (int64_t)histogram_at(&copy, 1, 2));
    expect(f, "SELECT p99_ns FROM latencies", (int64_t)histogram_at(&copy, 99, 100));
    expect(f, "SELECT p999_ns FROM latencies", (int64_t)histogram_at(&copy, 999, 1000));
    expect(f, "SELECT max_ns FROM latencies", INT64_C(3) << HISTOGRAM_TOP);
    expect(f, "SELECT gap_ns * 1000000 + cost_ns * 1000 + empty_ns FROM latencies", 77050020);
    expect(f, "SELECT sum(count) FROM latency_buckets", 5001);
    expect(f, "SELECT max(upto) FROM latency_buckets", 5001);
    expect(f, "SELECT max(high_ns) FROM latency_buckets", INT64_C(3) << HISTOGRAM_TOP);
}

static void test_latency__of_few_touches_there_is_no_percentile(void **state)
{
    struct fixture *f = *state;

    fill(add(f, "step", "touch"), 99);
    run(f, "few", NULL);
    expect(f, "SELECT p50_ns > 0 AND p99_ns IS NULL AND p999_ns IS NULL FROM latencies", 1);
    fill(add(f, "step", "touch"), 999);
    run(f, "more", NULL);
    expect(f, "SELECT p99_ns > 0 AND p999_ns IS NULL FROM latencies WHERE scenario = 'more'", 1);
    add(f, "step", "touch");
    run(f, "none", NULL);
    expect(f,
           "SELECT n = 0 AND p50_ns IS NULL AND max_ns IS NULL FROM latencies "
           "WHERE scenario = 'none'",
           1);
}

static void test_latency__a_snapshot_has_times_before_and_during(void **state)
{
    struct fixture *f = *state;

    snapshot(f, "fork", value_known(350), 0);
    expect(f, "SELECT consistent AND added_kb = 250 AND touches = 2200 FROM snapshots", 1);
    expect(f, "SELECT take_gib_ns FROM snapshots", 4000 * 1024);
    expect(f, "SELECT p999_before_ns > 0 AND p999_during_ns IS NULL FROM snapshots", 1);
    expect(f, "SELECT inferred = 'copied_pages' FROM snapshots", 1);
    snapshot(f, "plain", value_unknown(WHY_NO_CGROUP), 3);
    expect(f,
           "SELECT NOT consistent AND peak_kb IS NULL AND added_kb IS NULL FROM snapshots "
           "WHERE way = 'plain'",
           1);
    expect(
        f,
        "SELECT count(*) FROM unknowns WHERE quantity = 'peak_kb' AND observed = 'a' AND region = "
        "'r'",
        1);
}

/* The report of these runs (NULL: the brief one), as NAME.md. */
static char *report(struct fixture *f, const char *const *ids, size_t n, const char *name)
{
    if (report_markdown(f->in.store, ids, n, scratch_path(f->in.dir, name), &f->e))
        fail_msg("%s", f->e.msg);
    return slurp(scratch_path(f->in.dir, name), NULL);
}

static void expect_picture(struct fixture *f, const char *path, const char *line)
{
    size_t len;
    char *svg = slurp(scratch_path(f->in.dir, path), &len);

    assert_non_null(svg);
    assert_int_equal(support_xml_check(svg, len), 0);
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf\""));
    if (!strstr(svg, line))
        fail_msg("%s has no line '%s'", path, line);
    free(svg);
}

static void test_latency__the_report_sets_the_ways_beside_each_other(void **state)
{
    struct fixture *f = *state;
    char *text, *again;

    snapshot(f, "fork", value_known(300), 0);
    snapshot(f, "fork", value_known(350), 0); /* the newer one */
    snapshot(f, "plain", value_unknown(WHY_NO_CGROUP), 3);
    text = report(f, NULL, 0, "a.md");
    assert_non_null(strstr(text, "## Snapshots"));
    assert_non_null(
        strstr(text, "| fork | 1.00 MiB | yes | 4.00 µs | 4.10 ms | 9.00 µs | 250 KiB | ~12 |"));
    assert_non_null(
        strstr(text, "| plain | 1.00 MiB | no, 3 pages | 4.00 µs | 4.10 ms | 9.00 µs | unknown |"));
    assert_null(strstr(text, "| 200 KiB |"));
    expect_picture(f, "a.assets/snapshots.svg", ">plain, during");
    expect_picture(f, "a.assets/snapshots.svg", ">fork, during<");
    again = report(f, NULL, 0, "a.md");
    assert_string_equal(text, again);
    free(text);
    free(again);
}

static void test_latency__the_report_draws_a_line_for_each_step(void **state)
{
    struct fixture *f = *state;
    const char *ids[2];
    char *text;

    fill(add(f, "step", "touch"), 3000);
    ids[0] = run(f, "a<b", NULL);
    fill(add(f, "step", "touch"), 1);
    ids[1] = run(f, "one", NULL);
    text = report(f, ids, 2, "b.md");
    assert_non_null(strstr(text, "#### How long single touches took"));
    assert_non_null(strstr(text, "## Single touches"));
    expect_picture(f, "b.assets/touches.svg", ">a&lt;b on linux, step 1: a writes<");
    expect_picture(f, "b.assets/latency.svg", "99.9 %");
    free(text);
    text = report(f, NULL, 0, "c.md");
    assert_non_null(strstr(text, "## Single touches"));
    free(text);
}

static void test_latency__lines_that_are_too_many_are_counted(void **state)
{
    struct fixture *f = *state;
    char *text;

    for (int i = 0; i < 11; i++) {
        char name[16];

        snprintf(name, sizeof name, "s%d", i);
        fill(add(f, "step", "touch"), 100);
        run(f, name, NULL);
    }
    text = report(f, NULL, 0, "d.md");
    assert_non_null(strstr(text, "3 more lines are left out of the picture"));
    expect_picture(f, "d.assets/touches.svg", "s0 on linux");
    free(text);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_latency__the_views_percentiles_are_the_histograms),
        T(test_latency__of_few_touches_there_is_no_percentile),
        T(test_latency__a_snapshot_has_times_before_and_during),
        T(test_latency__the_report_sets_the_ways_beside_each_other),
        T(test_latency__the_report_draws_a_line_for_each_step),
        T(test_latency__lines_that_are_too_many_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
