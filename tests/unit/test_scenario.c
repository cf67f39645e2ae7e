/* The scenario language: what a plan becomes, what is refused and how, what is shipped. */
#include "lab/backends.h"
#include "lab/plan/plan.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096
#define BAD_DIR "/tests/data/bad-scenarios"

static const char *top(void)
{
    const char *dir = getenv("TOP");

    return dir ? dir : ".";
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *text;
    long size;

    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    text = malloc((size_t)size + 1);
    *len = fread(text, 1, (size_t)size, f);
    text[*len] = '\0';
    fclose(f);
    return text;
}

static int parse_for(struct plan **p, const char *text, const char *backend,
                     const struct param_setting *settings, size_t n, struct err *e)
{
    return plan_parse(p, text, strlen(text), "t.json", backend_abilities, backend, PAGE, settings,
                      n, NULL, e);
}

/* A document with these parts around the steps. */
static char *document(const char *frame, const char *steps)
{
    char *text;

    if (asprintf(&text,
                 "{\"scenario\": \"t\", \"language\": 1, \"title\": \"T\", \"question\": \"Q?\", "
                 "\"actors\": [\"a\", \"b\", \"c\"]%s, \"steps\": [%s]}",
                 frame, steps) < 0)
        abort();
    return text;
}

static struct plan *plan_of(const char *frame, const char *steps)
{
    char *text = document(frame, steps);
    struct plan *p = NULL;
    struct err e = {""};

    if (parse_for(&p, text, "linux", NULL, 0, &e) < 0)
        fail_msg("%s", e.msg);
    free(text);
    return p;
}

static void assert_refused(const char *frame, const char *steps, const char *part)
{
    char *text = document(frame, steps);
    struct plan *p = NULL;
    struct err e = {""};

    assert_int_equal(parse_for(&p, text, "linux", NULL, 0, &e), -EINVAL);
    assert_null(p);
    if (!strstr(e.msg, part))
        fail_msg("no '%s' in: %s", part, e.msg);
    free(text);
}

#define MAP(n)                                                                                     \
    "{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": \"r\", "                      \
    "\"pages\": " n ", \"kind\": \"anonymous\"}}"
#define MAP_KIND(kind)                                                                             \
    "{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": \"r\", "                      \
    "\"pages\": 10, \"kind\": \"" kind "\"}}"
#define WRITE(actor, pages)                                                                        \
    "{\"phase\": \"populated\", \"actor\": \"" actor "\", \"write\": "                             \
    "{\"region\": \"r\", \"pages\": " pages "}}"
#define FORK(actor, as)                                                                            \
    "{\"phase\": \"transferred\", \"actor\": \"" actor "\", \"fork\": {\"as\": \"" as "\"}}"
#define EXIT(actor) "{\"phase\": \"released\", \"actor\": \"" actor "\", \"exit\": {}}"
#define WAIT(actor, child)                                                                         \
    "{\"phase\": \"released\", \"actor\": \"" actor "\", \"wait\": {\"child\": \"" child "\"}}"
#define SEND(more)                                                                                 \
    "{\"phase\": \"in_transit\", \"actor\": \"a\", \"ool_send\": {\"region\": "                    \
    "\"r\", \"to\": \"b\", \"copy\": \"virtual\"" more "}}"
#define RECEIVE "{\"phase\": \"received\", \"actor\": \"b\", \"ool_receive\": {\"region\": \"r\"}}"

/* --- expressions --- */

static void test_scenario__expressions_compute(void **state)
{
    static const struct {
        const char *expr;
        long long value;
    } good[] = {
        {"=1 + 2 * 3", 7},
        {"=(1 + 2) * 3", 9},
        {"=10 - 3 - 2", 5},
        {"=7 / 2", 3},
        {"=100 + -7 / 2", 96},
        {"=100 + 7 / -2", 96},
        {"=100 + -7 / -2", 103},
        {"=100 + -8 / 2", 96},
        {"=24 / 4 / 2", 3},
        {"=n", 12},
        {"=n*n", 144},
        {"=--n", 12},
        {"=- -n", 12},
        {"= ( n ) ", 12},
        {"=5 - -3", 8},
        {"=2 * -3 + 10", 4},
        {"=page_size / 1024", 4},
        {"=9223372036854775807 - 9223372036854775800", 7},
        {"=-9223372036854775807 - 1 + 9223372036854775807 + 2", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char step[512];
        struct plan *p;

        snprintf(step, sizeof step, MAP("\"%s\""), good[i].expr);
        p = plan_of(", \"params\": {\"n\": {\"default\": 12}}", step);
        if ((long long)p->steps[0].pages != good[i].value)
            fail_msg("%s gave %llu", good[i].expr, (unsigned long long)p->steps[0].pages);
        plan_free(p);
    }
}

static void test_scenario__expressions_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"=", "the expression ends early"},
        {"=1 +", "the expression ends early"},
        {"=1 2", "expected an operator"},
        {"=1 % 2", "expected an operator"},
        {"=*1", "expected a number"},
        {"=(1", "never closed"},
        {"=1)", "expected an operator"},
        {"=1 / 0", "division by zero"},
        {"=1 / (n - n)", "division by zero"},
        {"=9223372036854775807 + 1", "too large"},
        {"=9223372036854775808", "too large"},
        {"=-9223372036854775807 - 2", "too large"},
        {"=9223372036854775807 * 2", "too large"},
        {"=(-9223372036854775807 - 1) / -1", "too large"},
        {"=-(-9223372036854775807 - 1)", "too large"},
        {"=t + 1", "arithmetic needs a whole number, and this is text"},
        {"=1 + f", "arithmetic needs a whole number, and this is a boolean"},
        {"=-t", "arithmetic needs"},
        {"=m", "no parameter or column 'm'"},
        {"=n.n", "expected an operator"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char step[512];

        snprintf(step, sizeof step, MAP("\"%s\""), bad[i][0]);
        assert_refused(", \"params\": {\"n\": {\"default\": 12}, \"t\": {\"default\": \"x\"}, "
                       "\"f\": {\"default\": true}}",
                       step, bad[i][1]);
    }
}

static void test_scenario__a_name_alone_may_be_text_or_boolean(void **state)
{
    struct plan *p = plan_of(", \"params\": {\"k\": {\"default\": \"shared\"}, "
                             "\"s\": {\"default\": true}, \"q\": {\"default\": \"==x\"}}",
                             "{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": "
                             "\"r\", \"pages\": 1, \"kind\": \"=k\"}}, {\"phase\": \"settled\", "
                             "\"checkpoint\": {\"settle\": \"=s\"}, \"published\": \"=q\"}");

    (void)state;
    assert_int_equal(p->steps[0].kind, MK_SHARED);
    assert_true(p->steps[1].settle);
    assert_string_equal(p->steps[1].published, "=x"); /* "==" is how a text begins with '=' */
    plan_free(p);
}

/* --- parameters --- */

static const char params_text[] =
    "{\"scenario\": \"t\", \"language\": 1, \"title\": \"T\", \"question\": \"Q?\", "
    "\"actors\": [\"a\"], \"params\": {\"n\": {\"default\": 2, \"default.gnumach\": 3, "
    "\"min\": 1, \"max\": 9}, \"k\": {\"default\": \"anonymous\", \"one_of\": [\"anonymous\", "
    "\"shared\"]}, \"s\": {\"default\": false}}, \"steps\": [{\"phase\": \"mapped\", \"actor\": "
    "\"a\", \"map\": {\"region\": \"r\", \"pages\": \"=n\", \"kind\": \"=k\"}}, {\"phase\": "
    "\"settled\", \"checkpoint\": {\"settle\": \"=s\"}}]}";

static void test_scenario__settings_replace_defaults(void **state)
{
    const struct param_setting set[] = {{"n", "5"}, {"k", "shared"}, {"s", "yes"}, {"n", "7"}};
    struct plan *p = NULL;
    struct err e = {""};

    (void)state;
    assert_int_equal(parse_for(&p, params_text, "linux", NULL, 0, &e), 0);
    assert_int_equal(p->steps[0].pages, 2);
    assert_int_equal(p->nparams, 3);
    assert_string_equal(p->params[0].name, "n");
    assert_true(p->params[0].is_number);
    assert_string_equal(p->params[2].text, "false");
    plan_free(p);
    assert_int_equal(parse_for(&p, params_text, "gnumach", NULL, 0, &e), 0);
    assert_int_equal(p->steps[0].pages, 3);
    plan_free(p);
    assert_int_equal(parse_for(&p, params_text, "gnumach", set, 4, &e), 0);
    assert_int_equal(p->steps[0].pages, 7); /* the last one counts */
    assert_int_equal(p->steps[0].kind, MK_SHARED);
    assert_true(p->steps[1].settle);
    assert_string_equal(p->params[0].text, "7");
    plan_free(p);
}

static void test_scenario__settings_keep_to_the_rules(void **state)
{
    static const struct {
        struct param_setting set;
        const char *part;
    } bad[] = {
        {{"n", "0"}, "params.n.min: 0 is below the minimum 1"},
        {{"n", "10"}, "10 is above the maximum 9"},
        {{"n", "4x"}, "set to '4x', which is not a whole number"},
        {{"n", ""}, "not a whole number"},
        {{"n", "99999999999999999999"}, "set to '99999999999999999999', which is too large"},
        {{"n", "9007199254740992K"}, "which is too large"},
        {{"n", "1K"}, "1024 is above the maximum 9"},
        {{"k", "purgeable"}, "'purgeable' is not one of the allowed values"},
        {{"s", "perhaps"}, "neither true nor false"},
        {{"m", "1"}, "no parameter 'm'"},
        {{"page_size", "1"}, "no parameter 'page_size'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct plan *p = NULL;
        struct err e = {""};

        assert_int_equal(parse_for(&p, params_text, "linux", &bad[i].set, 1, &e), -EINVAL);
        if (!strstr(e.msg, bad[i].part))
            fail_msg("no '%s' in: %s", bad[i].part, e.msg);
    }
}

static void test_scenario__when_leaves_steps_out(void **state)
{
    static const char frame[] =
        ", \"params\": {\"n\": {\"default\": 3}, \"t\": {\"default\": \"x\"}}";
    struct plan *p = plan_of(
        frame, "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": 3}}, "
               "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": 4}}, "
               "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": [1, 3]}}, "
               "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": {\"min\": 4}}}, "
               "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": {\"max\": 3}, "
               "\"t\": \"x\"}}, "
               "{\"phase\": \"settled\", \"checkpoint\": {}, \"when\": {\"n\": 3, \"t\": \"y\"}}");

    (void)state;
    assert_int_equal(p->nsteps, 3);
    for (size_t i = 0; i < p->nsteps; i++)
        assert_int_equal(p->steps[i].number, i + 1);
    plan_free(p);
    /* The target of a fork that is left out does not live either. */
    assert_refused(
        frame,
        "{\"phase\": \"transferred\", \"actor\": \"a\", \"fork\": {\"as\": \"b\"}, "
        "\"when\": {\"n\": 4}}, {\"phase\": \"settled\", \"actor\": \"b\", \"exec\": {}}",
        "actor 'b' does not live yet");
    /* Nor is it started: c begins with the run, b never does. */
    p = plan_of(frame, "{\"phase\": \"transferred\", \"actor\": \"a\", \"fork\": {\"as\": \"b\"}, "
                       "\"when\": {\"n\": 4}}, {\"phase\": \"settled\", \"checkpoint\": {}}");
    assert_int_equal(p->nactors, 2);
    assert_string_equal(p->actors[1], "c");
    plan_free(p);
}

/* --- steps --- */

static void test_scenario__pages_are_selected(void **state)
{
    struct plan *p = plan_of(
        "",
        MAP("10") ", " WRITE("a", "\"all\"") ", " WRITE("a", "\"first\"") ", " WRITE(
            "a",
            "{\"every"
            "\": 3}") ", " WRITE("a",
                                 "{\"range\": [2, 8]}") ", " WRITE("a",
                                                                   "{\"share\": 12.5, "
                                                                   "\"seed\": 9}") ", " WRITE("a",
                                                                                              "{\"s"
                                                                                              "har"
                                                                                              "e\":"
                                                                                              " "
                                                                                              "100"
                                                                                              "}"));
    const struct step *s = p->steps;

    (void)state;
    assert_int_equal(s[1].select.kind, SEL_ALL);
    assert_int_equal(s[2].select.kind, SEL_FIRST);
    assert_int_equal(s[3].select.kind, SEL_EVERY);
    assert_int_equal(s[3].select.a, 3);
    assert_int_equal(s[4].select.a, 2);
    assert_int_equal(s[4].select.b, 8);
    assert_int_equal(s[5].select.a, 125000); /* parts per million */
    assert_int_equal(s[5].select.b, 9);
    assert_int_equal(s[6].select.a, 1000000);
    assert_true(s[1].has_stamp);
    plan_free(p);
    assert_refused("", MAP("10") ", " WRITE("a", "{\"range\": [9, 2]}"), "the region has 10");
    assert_refused("", MAP("10") ", " WRITE("a", "{\"range\": [1073741824, 1]}"),
                   "the region has 10");
    assert_refused("", MAP("10") ", " WRITE("a", "{\"share\": -0.5}"), "0 to 100");
    assert_refused("", MAP("10") ", " WRITE("a", "{\"share\": 0.00001}"), "four decimals");
    assert_refused("", MAP("10") ", " WRITE("a", "{\"share\": 1e1}"), "");
}

static void test_scenario__counts_are_what_the_actor_will_touch(void **state)
{
    struct plan *p = plan_of(
        "", MAP("1000") ", {\"phase\": \"populated\", \"actor\": \"a\", \"write\": {\"region\": "
                        "\"r\", \"pages\": {\"share\": 20, \"seed\": 7}, \"count\": \"k\"}, "
                        "\"expect\": "
                        "{\"a.r\": {\"first_touch\": \"=k\"}}}, {\"phase\": \"settled\", "
                        "\"checkpoint\": {}, "
                        "\"expect\": {\"a.r\": {\"none\": \"=1000 - k\"}}}");
    uint64_t n = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        n += page_selected(&p->steps[1].select, i);
    assert_true(n > 100 && n < 300);
    assert_int_equal(p->steps[1].expect[0].min, n);
    assert_int_equal(p->steps[2].expect[0].min, 1000 - n);
    plan_free(p);
}

static void test_scenario__sizes_in_bytes_round_up_to_pages(void **state)
{
    struct plan *p = plan_of("", "{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": "
                                 "\"r\", \"bytes\": 4097, \"kind\": \"ordinary\"}}, " SEND(""));

    (void)state;
    assert_int_equal(p->steps[0].pages, 2);
    assert_true(p->steps[0].has_bytes);
    assert_int_equal(p->steps[0].bytes, 4097);
    assert_false(p->steps[1].has_bytes);
    assert_int_equal(p->steps[1].bytes, 4097); /* the whole region */
    plan_free(p);
}

static void test_scenario__cases_repeat_steps_with_their_columns(void **state)
{
    static const char text[] =
        "{\"scenario\": \"t\", \"language\": 1, \"title\": \"T\", \"question\": \"Q?\", "
        "\"actors\": [\"a\", \"b\"], \"cases\": {\"columns\": [\"case\", \"n\", \"free\"], "
        "\"rows\": [[\"x;1\", 1, false], [\"y.2\", 2, true]]}, \"steps\": [{\"phase\": \"mapped\", "
        "\"actor\": \"a\", \"map\": {\"region\": \"outer\", \"pages\": 1, \"kind\": "
        "\"ordinary\"}}], "
        "\"each_case\": [{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": \"r\", "
        "\"pages\": \"=n\", \"kind\": \"ordinary\"}, \"expect\": {\"a.r\": {\"pages\": \"=n\"}, "
        "\"a.outer\": {\"pages\": 1}}, \"published\": \"=case\"}, {\"phase\": \"in_transit\", "
        "\"actor\": \"a\", \"ool_send\": {\"region\": \"r\", \"to\": \"b\", \"copy\": \"virtual\", "
        "\"deallocate\": \"=free\"}}, {\"phase\": \"received\", \"actor\": \"b\", \"ool_receive\": "
        "{\"region\": \"r\"}}, {\"phase\": \"settled\", \"actor\": \"a\", \"read\": {\"region\": "
        "\"outer\", \"pages\": \"all\"}}], \"after\": [{\"phase\": \"settled\", \"actor\": \"b\", "
        "\"read\": {\"region\": \"r#y.2\", \"pages\": {\"range\": [1, 1]}}, \"expect\": "
        "{\"b.r#x;1\": {\"pages\": 1}, \"b.r#y.2\": {\"pages\": 2}}}]}";
    struct plan *p = NULL;
    struct err e = {""};
    const struct step *s;

    (void)state;
    if (parse_for(&p, text, "linux", NULL, 0, &e) < 0)
        fail_msg("%s", e.msg);
    s = p->steps;
    assert_int_equal(p->nsteps, 10);
    assert_null(s[0].case_name);
    assert_string_equal(s[1].case_name, "x;1");
    assert_string_equal(s[1].published, "x;1");
    assert_string_equal(s[1].expect[0].case_name, "x;1");
    assert_null(s[1].expect[1].case_name); /* the region from outside the cases */
    assert_false(s[2].deallocate);
    assert_string_equal(s[3].case_name, "x;1");
    assert_null(s[4].case_name);
    assert_int_equal(s[5].pages, 2);
    assert_true(s[6].deallocate);
    assert_string_equal(s[9].region, "r");
    assert_string_equal(s[9].case_name, "y.2");
    assert_string_equal(s[9].expect[0].case_name, "x;1");
    plan_free(p);
}

static void test_scenario__message_parts(void **state)
{
    struct plan *p = plan_of(
        "",
        MAP_KIND(
            "ordinary") ", {\"phase\": \"in_transit\", \"actor\": \"a\", \"send\": {\"to\": "
                        "\"b\", \"id\": -7, \"text\": \"two\\nlines\", \"reply\": true, "
                        "\"timeout_ms\": 50, "
                        "\"parts\": [{\"port\": \"make_send\"}, {\"ool\": \"r\", \"copy\": "
                        "\"physical\"}, "
                        "{\"ool_ports\": \"copy_send\", \"count\": 3}]}}, {\"phase\": "
                        "\"received\", \"actor\": "
                        "\"b\", \"receive\": {}, \"expect\": {\"received\": {\"id\": -7, \"text\": "
                        "\"two\\nlines\", \"descriptors\": 3}, \"transfer[1]\": {\"asked\": "
                        "\"physical\", "
                        "\"deallocate\": false}, \"b.r\": {\"pages\": 10}}}, {\"phase\": "
                        "\"settled\", "
                        "\"actor\": \"b\", \"reply\": {\"id\": 8}}, {\"phase\": \"settled\", "
                        "\"actor\": \"a\", "
                        "\"receive\": {\"timeout_ms\": 1000}}");
    const struct step *s = &p->steps[1];

    (void)state;
    assert_int_equal(s->message_id, -7);
    assert_string_equal(s->text, "two\nlines");
    assert_true(s->want_reply);
    assert_int_equal(s->timeout_ms, 50);
    assert_int_equal(s->nparts, 3);
    assert_int_equal(s->parts[0].kind, PART_PORT);
    assert_int_equal(s->parts[0].disposition, 20);
    assert_string_equal(s->parts[1].region, "r");
    assert_true(s->parts[1].physical);
    assert_int_equal(s->parts[2].kind, PART_OOL_PORTS);
    assert_int_equal(s->parts[2].disposition, 19);
    assert_int_equal(s->parts[2].count, 3);
    assert_int_equal(p->steps[2].expect[3].on, EXPECT_TRANSFER);
    assert_int_equal(p->steps[2].expect[3].index, 1);
    plan_free(p);
}

/* --- the world on paper --- */

static void test_scenario__fork_inherits_what_is_inherited(void **state)
{
    static const char inherit[] = "{\"phase\": \"mapped\", \"actor\": \"a\", \"inherit\": "
                                  "{\"region\": \"r\", \"inheritance\": \"none\"}}";
    static const char advise[] = "{\"phase\": \"mapped\", \"actor\": \"a\", \"madvise\": "
                                 "{\"region\": \"r\", \"advice\": \"DONTFORK\"}}";
    char steps[2048];

    (void)state;
    plan_free(plan_of("", MAP("1") ", " FORK("a", "b") ", " WRITE("b", "\"all\"")));
    snprintf(steps, sizeof steps, MAP("1") ", %s, " FORK("a", "b") ", " WRITE("b", "\"all\""),
             inherit);
    assert_refused("", steps, "'b' has no region 'r'");
    snprintf(steps, sizeof steps, MAP("1") ", %s, " FORK("a", "b") ", " WRITE("b", "\"all\""),
             advise);
    assert_refused("", steps, "'b' has no region 'r'");
}

static void test_scenario__an_actor_may_be_forked_again_after_wait(void **state)
{
    (void)state;
    plan_free(plan_of("", FORK("a", "b") ", " EXIT("b") ", " WAIT("a", "b") ", " FORK("a", "b")));
    assert_refused("", FORK("a", "b") ", " EXIT("b") ", " FORK("a", "b"), "nobody waited");
    assert_refused("", FORK("a", "b") ", " FORK("b", "c") ", " EXIT("c") ", " WAIT("a", "c"),
                   "is no child of 'a'");
}

static void test_scenario__what_is_sent_arrives_once(void **state)
{
    (void)state;
    plan_free(
        plan_of("", MAP_KIND("ordinary") ", " SEND("") ", " RECEIVE ", " WRITE("b", "\"all\"")));
    assert_refused("", MAP_KIND("ordinary") ", " SEND("") ", " RECEIVE ", " RECEIVE,
                   "no message is on its way");
    assert_refused(
        "", MAP_KIND("ordinary") ", " SEND(", \"deallocate\": true") ", " WRITE("a", "\"all\""),
        "'a' has no region");
    assert_refused(
        "",
        MAP_KIND("ordinary") ", " SEND(", \"offset\": 1, \"bytes\": 1, "
                                       "\"deallocate\": true") ", " WRITE("a", "\"all\""),
        "was deallocated");
    /* Nothing is taken and nothing arrives when nothing is sent. */
    plan_free(plan_of("", MAP_KIND("ordinary") ", " SEND(
                              ", \"bytes\": 0, \"deallocate\": true") ", " RECEIVE
                                                                      ", " WRITE("a", "\"all\"")));
    assert_refused("",
                   MAP_KIND("ordinary") ", " SEND(", \"bytes\": 0") ", " RECEIVE
                                                                    ", " WRITE("b", "\"all\""),
                   "'b' has no region");
    assert_refused("", MAP_KIND("ordinary") ", " EXIT("b") ", " SEND(""), "'b' has exited");
}

static void test_scenario__peak_pages_bound_what_can_be_used(void **state)
{
    static const struct {
        const char *steps;
        unsigned pages;
    } known[] = {
        {MAP("10"), 0},
        {MAP("10") ", " WRITE("a", "\"first\""), 1},
        {MAP("10") ", " WRITE("a", "{\"every\": 3}"), 4},
        {MAP("10") ", " WRITE("a", "\"all\"") ", " WRITE("a", "\"all\""), 10},
        /* the child's copy, then the parent writes alone */
        {MAP("10") ", " WRITE("a", "\"all\"") ", " FORK("a", "b") ", " WRITE(
             "b", "\"all\"") ", " WRITE("a", "\"all\""),
         20},
        /* the only sharer is gone before the write */
        {MAP("10") ", " WRITE("a", "\"all\"") ", " FORK("a", "b") ", " EXIT("b") ", " WRITE(
             "a", "\"all\""),
         10},
        {MAP_KIND("shared") ", " WRITE("a", "\"all\"") ", " FORK("a", "b") ", " WRITE("b",
                                                                                      "\"all\""),
         10},
        {MAP_KIND("memfd-private") ", " WRITE("a", "\"all\""), 20},
        {MAP_KIND("hugetlb"), 10},
        /* a virtual copy shares, a copy of purgeable memory does not */
        {MAP_KIND("ordinary") ", " WRITE("a", "\"all\"") ", " SEND("") ", " RECEIVE, 10},
        {MAP_KIND("purgeable") ", " WRITE("a", "\"all\"") ", " SEND("") ", " RECEIVE, 20},
        {MAP_KIND("ordinary") ", " WRITE("a", "\"all\"") ", " SEND("") ", " RECEIVE
                                                                       ", " WRITE("b", "\"first\""),
         11},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct plan *p = plan_of("", known[i].steps);

        if (p->peak_pages != known[i].pages)
            fail_msg("row %zu: %llu pages", i, (unsigned long long)p->peak_pages);
        plan_free(p);
    }
}

static void test_scenario__backends_follow_from_the_steps(void **state)
{
    struct plan *p = plan_of("", MAP("1"));
    struct err e = {""};
    char *text;

    (void)state;
    assert_int_equal(p->nbackends, 2);
    assert_null(p->why_not);
    plan_free(p);
    p = plan_of(", \"backends\": [\"gnumach\"]", MAP("1"));
    assert_int_equal(p->nbackends, 1);
    assert_string_equal(p->backends[0], "gnumach");
    assert_string_equal(p->why_not, "the scenario does not list this backend");
    plan_free(p);
    text = document("", "{\"phase\": \"settled\", \"actor\": \"a\", \"exec\": {}}");
    assert_int_equal(parse_for(&p, text, "gnumach", NULL, 0, &e), 0);
    assert_int_equal(p->nbackends, 1);
    assert_string_equal(p->backends[0], "linux");
    assert_string_equal(p->why_not, "line 1: GNU Mach has no exec");
    plan_free(p);
    free(text);
    text =
        document("", MAP("1") ", {\"phase\": \"in_transit\", \"actor\": \"a\", \"send\": {\"to\": "
                              "\"b\", \"parts\": [{\"ool_volatile\": \"r\"}]}}");
    assert_int_equal(parse_for(&p, text, "gnumach", NULL, 0, &e), 0);
    assert_int_equal(p->nbackends, 1);
    assert_non_null(strstr(p->why_not, "no volatile out-of-line memory"));
    plan_free(p);
    free(text);
    text = document("", MAP("1"));
    assert_int_equal(parse_for(&p, text, "windows", NULL, 0, &e), -EINVAL);
    free(text);
}

static void test_scenario__a_step_can_depend_on_its_backend(void **state)
{
    static const char share[] = ", {\"phase\": \"mapped\", \"actor\": \"a\", \"inherit\": "
                                "{\"region\": \"r\", \"inheritance\": \"share\"}}";
    char steps[1024];
    struct plan *p;

    (void)state;
    snprintf(steps, sizeof steps, "%s%s", MAP("1"), share);
    p = plan_of("", steps); /* Linux cannot share private anonymous memory by fork, Mach can */
    assert_int_equal(p->nbackends, 1);
    assert_string_equal(p->backends[0], "gnumach");
    assert_non_null(strstr(p->why_not, "fork cannot share"));
    plan_free(p);
    snprintf(steps, sizeof steps, "%s%s", MAP_KIND("ordinary"), share);
    p = plan_of("", steps);
    assert_int_equal(p->nbackends, 2);
    plan_free(p);
    p = plan_of("", "{\"phase\": \"settled\", \"checkpoint\": {}, \"published\": \"=backend\"}");
    assert_string_equal(p->steps[0].published, "linux");
    plan_free(p);
}

static void test_scenario__wiped_memory_is_the_childs_own(void **state)
{
    struct plan *p = plan_of(
        "",
        MAP("10") ", " WRITE(
            "a", "\"all\"") ", {\"phase\": \"mapped\", \"actor\": \"a\", "
                            "\"madvise\": {\"region\": \"r\", \"advice\": \"WIPEONFORK\"}}, " FORK(
                                "a", "b") ", " WRITE("a", "\"all\"") ", " WRITE("b", "\"first\""));

    (void)state;
    assert_int_equal(p->peak_pages, 11); /* nothing is shared: the parent copies nothing */
    plan_free(p);
}

static void test_scenario__a_receiver_that_exits_takes_its_messages_along(void **state)
{
    (void)state;
    plan_free(
        plan_of("", MAP_KIND("ordinary") ", " WRITE("a", "\"all\"") ", " SEND("") ", " EXIT("b")));
    assert_refused("",
                   MAP_KIND("ordinary") ", " SEND(
                       "") ", {\"phase\": \"released\", \"actor\": "
                           "\"b\", \"exit\": {}, \"expect\": {\"message.r\": {\"resident\": 0}}}",
                   "no message carries region 'r'");
}

static void test_scenario__a_scenario_without_parameters_takes_none(void **state)
{
    const struct param_setting set = {"n", "1"};
    char *text = document("", MAP("1"));
    struct plan *p = NULL;
    struct err e = {""};

    (void)state;
    assert_int_equal(parse_for(&p, text, "linux", &set, 1, &e), -EINVAL);
    assert_string_equal(e.msg, "no parameter 'n': the scenario has none");
    free(text);
}

/* --- expectations --- */

static const struct expectation *find(const struct step *s, const char *observed, const char *key)
{
    for (size_t i = 0; i < s->nexpect; i++)
        if (strcmp(s->expect[i].key, key) == 0 &&
            (!s->expect[i].observed || strcmp(s->expect[i].observed, observed) == 0))
            return &s->expect[i];
    return NULL;
}

static void test_scenario__expectations_override_key_by_key(void **state)
{
    static const char steps[] =
        "{\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": \"r\", \"pages\": 1, "
        "\"kind\": \"anonymous\"}, \"expect\": {\"a.r\": {\"resident\": 1, \"cow\": 2, \"debt\": "
        "3, "
        "\"share_mode\": \"SM_COW\"}}, \"expect.gnumach\": {\"a.r\": {\"cow\": 20, \"debt\": "
        "null}}, "
        "\"expect_when\": [{\"when\": {\"n\": 1}, \"expect\": {\"a.r\": {\"resident\": 100}}}, "
        "{\"when\": {\"n\": 2}, \"expect\": {\"a.r\": {\"resident\": 200}}}]}";
    char *text = document(", \"params\": {\"n\": {\"default\": 1}}", steps);
    struct plan *linux_plan = NULL, *mach_plan = NULL;
    struct err e = {""};

    (void)state;
    assert_int_equal(parse_for(&linux_plan, text, "linux", NULL, 0, &e), 0);
    assert_int_equal(parse_for(&mach_plan, text, "gnumach", NULL, 0, &e), 0);
    assert_int_equal(find(linux_plan->steps, "a", "cow")->min, 2);
    assert_int_equal(find(linux_plan->steps, "a", "debt")->min, 3);
    assert_int_equal(find(linux_plan->steps, "a", "resident")->min, 100);
    assert_int_equal(find(mach_plan->steps, "a", "cow")->min, 20);
    assert_null(find(mach_plan->steps, "a", "debt"));
    assert_string_equal(find(mach_plan->steps, "a", "share_mode")->text, "SM_COW");
    plan_free(linux_plan);
    plan_free(mach_plan);
    free(text);
}

static void test_scenario__every_quantity_can_be_expected(void **state)
{
    const struct {
        const char *target;
        const struct quantity *list;
    } lists[] = {
        {"a.r", region_quantities}, {"a", process_quantities}, {"totals", total_quantities}};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (const struct quantity *q = lists[i].list; q->column; q++) {
            const struct word *words = quantity_words(q->type);
            char step[1024], value[64] = "{\"min\": 1, \"max\": 2}";
            struct plan *p;

            if (words)
                snprintf(value, sizeof value, "\"%s\"", words[0].text);
            if (q->type == QT_PROTECTION)
                snprintf(value, sizeof value, "\"rw-\"");
            snprintf(step, sizeof step,
                     MAP("1") ", {\"phase\": \"settled\", \"checkpoint\": {}, \"expect\": {\"%s\": "
                              "{\"%s\": %s}}}",
                     lists[i].target, q->column, value);
            p = plan_of("", step);
            assert_int_equal(p->steps[1].nexpect, 1);
            assert_string_equal(p->steps[1].expect[0].key, q->column);
            plan_free(p);
        }
}

static void test_scenario__expectations_know_their_line(void **state)
{
    struct plan *p = plan_of("", "\n{\"phase\": \"mapped\", \"actor\": \"a\",\n \"map\": "
                                 "{\"region\": \"r\", \"pages\": 1, \"kind\": \"anonymous\"},\n"
                                 "\"expect\": {\"a.r\": {\"resident\":\n    0}}}");

    (void)state;
    assert_int_equal(p->steps[0].at.line, 2);
    assert_int_equal(p->steps[0].at.column, 1);
    assert_int_equal(p->steps[0].expect[0].at.line, 5);
    assert_int_equal(p->steps[0].expect[0].at.column, 5);
    plan_free(p);
}

/* The one step's answer as "text[on key]text[...]..." */
static void assert_answer(const char *step, const char *backend, const char *want)
{
    char *steps, *text, *got;
    struct plan *p = NULL;
    struct err e = {""};
    size_t len;
    FILE *out = open_memstream(&got, &len);

    if (asprintf(&steps, MAP("1") ", {\"phase\": \"settled\", \"checkpoint\": {}, %s}", step) < 0)
        abort();
    text = document("", steps);
    if (parse_for(&p, text, backend, NULL, 0, &e) < 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < p->steps[1].nanswer; i++) {
        const struct answer_part *part = &p->steps[1].answer[i];

        fputs(part->text, out);
        if (part->value.key)
            fprintf(out, "[%d %s %s]", (int)part->value.on,
                    part->value.region ? part->value.region : "-", part->value.key);
    }
    fclose(out);
    assert_string_equal(got, want);
    plan_free(p);
    free(steps);
    free(text);
    free(got);
}

static void test_scenario__answers_name_what_expectations_name(void **state)
{
    (void)state;
    assert_answer("\"answer\": \"It {{kept} {a.r.reused}{a.rss_kb}, \\u00e4 {a&b.frames}; "
                  "{totals.system_kb}.\"",
                  "linux",
                  "It {kept} [1 r reused][2 - rss_kb], \xc3\xa4 [4 - frames]; [3 - system_kb].");
    assert_answer("\"answer\": \"plain }\"", "linux", "plain }");
    assert_answer("\"answer\": \"==text\"", "linux", "=text");
    assert_answer("\"answer\": \"=backend\"", "linux", "linux");
    assert_answer("\"answer\": \"\"", "linux", "");
}

static void test_scenario__answers_of_a_backend_take_the_place(void **state)
{
    static const char both[] = "\"answer.gnumach\": \"G {a.r.cow}\", \"answer\": \"A {a.r.debt}\"";

    (void)state;
    assert_answer(both, "linux", "A [1 r debt]");
    assert_answer(both, "gnumach", "G [1 r cow]");
    assert_answer("\"answer\": \"A\", \"answer.gnumach\": null", "gnumach", "");
    assert_answer("\"answer\": \"A\", \"answer.gnumach\": null", "linux", "A");
    assert_answer("\"answer\": null", "linux", "");
    assert_answer("\"answer.gnumach\": \"G\"", "linux", "");
}

/* --- bad and shipped scenarios --- */

static void test_scenario__bad_scenarios_say_exactly_what_is_wrong(void **state)
{
    char dir[512], path[1024];
    struct dirent *d;
    DIR *list;
    int n = 0;

    (void)state;
    snprintf(dir, sizeof dir, "%s" BAD_DIR, top());
    list = opendir(dir);
    assert_non_null(list);
    while ((d = readdir(list))) {
        char *dot = strstr(d->d_name, ".json"), *text, *want, *got;
        struct err e = {""};
        struct plan *p = NULL;
        size_t len, want_len, got_len;
        FILE *told;

        if (!dot)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        text = read_file(path, &len);
        snprintf(path, sizeof path, "%s/%.*s.txt", dir, (int)(dot - d->d_name), d->d_name);
        want = read_file(path, &want_len);
        told = open_memstream(&got, &got_len);
        if (plan_parse(&p, text, len, d->d_name, backend_abilities, "linux", PAGE, NULL, 0, told,
                       &e) != -EINVAL)
            fail_msg("%s was taken", d->d_name);
        fclose(told);
        if (strcmp(got, want) != 0)
            fail_msg("%s:\n%s\n--- instead of\n%s", d->d_name, got, want);
        assert_memory_equal(got, e.msg, strlen(e.msg)); /* the first */
        free(got);
        n++;
        free(text);
        free(want);
    }
    closedir(list);
    assert_true(n >= 140);
}

/* --- all mistakes in one go --- */

/* What is told of a document, to free(). */
static char *told_of(const char *text, const struct param_setting *settings, size_t n)
{
    struct plan *p = NULL;
    struct err e = {""};
    char *told;
    size_t len;
    FILE *f = open_memstream(&told, &len);

    assert_int_equal(plan_parse(&p, text, strlen(text), "t.json", backend_abilities, "linux", PAGE,
                                settings, n, f, &e),
                     -EINVAL);
    fclose(f);
    return told;
}

static void test_scenario__wrong_parameters_are_told_together(void **state)
{
    const struct param_setting set[] = {{"pages", "x"}, {"pagse", "1"}, {"deep", "9"}, {"q", "1"}};
    char *text = document(", \"params\": {\"pages\": {\"default\": 4}, "
                          "\"deep\": {\"default\": 2, \"max\": 3}}",
                          MAP("\"=pages\""));
    char *told = told_of(text, set, 4);
    static const char *const parts[] = {"no parameter 'pagse', the nearest known is 'pages'\n",
                                        "no parameter 'q', ",
                                        "params.pages: set to 'x', which is not a whole number\n",
                                        "params.deep.max: 9 is above the maximum 3\n"};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        if (!strstr(told, parts[i]))
            fail_msg("no '%s' in:\n%s", parts[i], told);
    if (strstr(told, " steps["))
        fail_msg("a step is blamed for its parameter:\n%s", told);
    free(told);
    free(text);
}

static void test_scenario__repeated_keys_are_told_with_the_rest(void **state)
{
    char *text =
        document(", \"title\": \"again\", \"note\": {\"a\": 1, \"a\": {\"b\": 1, \"b\": 2}}",
                 MAP("4, \"pages\": 5, \"pagse\": 6"));
    char *told = told_of(text, NULL, 0);
    static const char *const parts[] = {
        "key 'title' stands twice\n", "note: key 'a' stands twice\n",
        "note.a: key 'b' stands twice\n", "map: key 'pages' stands twice\n", "unknown key 'pagse'"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(told, parts[i]))
            fail_msg("no '%s' in:\n%s", parts[i], told);
    free(told);
    free(text);
}

/* n steps after the first; '@' in them is the number. */
static char *many_steps(const char *first, const char *each, size_t n)
{
    char *steps, *text;
    size_t len;
    FILE *f = open_memstream(&steps, &len);

    fputs(first, f);
    for (size_t i = 0; i < n; i++)
        for (const char *p = each; *p; p++)
            *p == '@' ? fprintf(f, "%zu", i) : fputc(*p, f);
    fclose(f);
    text = document("", steps);
    free(steps);
    return text;
}

#define CALLED_WRITE                                                                               \
    ", {\"phase\": \"populated\", \"actor\": \"a\", \"write\": {\"region\": \"r@\", \"pages\": "   \
    "\"all\"}}"

static void test_scenario__many_mistakes_are_counted(void **state)
{
    static const struct {
        size_t n;
        const char *end;
    } cases[] = {{20, "^\n"}, {21, "^\nand 1 more\n"}, {1500, "^\nand at least 980 more\n"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *text = many_steps(MAP("1"), CALLED_WRITE, cases[i].n), *told = told_of(text, NULL, 0);
        size_t heads = 0, len = strlen(told), end = strlen(cases[i].end);

        for (const char *at = told; (at = strstr(at, "t.json:")); at++)
            heads++;
        assert_int_equal(heads, 20);
        if (len < end || strcmp(told + len - end, cases[i].end) != 0)
            fail_msg("%zu mistakes end with: %s", cases[i].n, told + (len > 80 ? len - 80 : 0));
        free(told);
        free(text);
    }
}

/* --- how it grows --- */

static double parse_seconds(const char *text, int times)
{
    struct timespec from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < times; i++) {
        struct plan *p = NULL;
        struct err e = {""};

        if (parse_for(&p, text, "linux", NULL, 0, &e) < 0)
            fail_msg("%s", e.msg);
        plan_free(p);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Eight times the text takes eight times as long: what is quadratic takes 64 times. */
static void assert_linear(const char *what, char *small, char *large)
{
    double eight = parse_seconds(small, 8), one = parse_seconds(large, 1);

    if (one > 4 * eight)
        fail_msg("%s: %g s, and eight of an eighth %g s", what, one, eight);
    free(small);
    free(large);
}

#define CALLED_MAP                                                                                 \
    ", {\"phase\": \"mapped\", \"actor\": \"a\", \"map\": {\"region\": \"r@\", \"pages\": 1, "     \
    "\"kind\": \"anonymous\"}}"
#define COUNTED_WRITE                                                                              \
    ", {\"phase\": \"populated\", \"actor\": \"a\", \"write\": {\"region\": \"r\", \"pages\": "    \
    "\"all\", \"count\": \"c@\"}, \"expect\": {\"a.r\": {\"resident\": \"=c@\"}}}"

/* One step that expects something of n regions. */
static char *many_expected(size_t n)
{
    char *text = many_steps(MAP("1"), CALLED_MAP, n), *all;
    char *expect;
    size_t len;
    FILE *f = open_memstream(&expect, &len);

    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s\"a.r%zu\": {\"resident\": 0, \"copied\": null}", i ? ", " : "", i);
    fclose(f);
    text[strlen(text) - strlen("]}")] = '\0';
    if (asprintf(&all,
                 "%s, {\"phase\": \"mapped\", \"checkpoint\": {}, \"expect\": {%s}, "
                 "\"expect.linux\": {%s}}]}",
                 text, expect, expect) < 0)
        abort();
    free(text);
    free(expect);
    return all;
}

static void test_scenario__time_grows_with_the_text(void **state)
{
    (void)state;
    assert_linear("steps", many_steps(MAP("1"), ", " WRITE("a", "\"all\""), 600),
                  many_steps(MAP("1"), ", " WRITE("a", "\"all\""), 4800));
    assert_linear("regions", many_steps(MAP("1"), CALLED_MAP, 600),
                  many_steps(MAP("1"), CALLED_MAP, 4800));
    assert_linear("counts", many_steps(MAP("1"), COUNTED_WRITE, 600),
                  many_steps(MAP("1"), COUNTED_WRITE, 4800));
    assert_linear("expectations", many_expected(300), many_expected(2400));
}

static const struct builtin_scenario *builtin(const char *name)
{
    const struct builtin_scenario *b = builtin_scenarios;

    while (b->name && strcmp(b->name, name) != 0)
        b++;
    return b->name ? b : NULL;
}

static struct plan *shipped(const struct builtin_scenario *b, const char *backend)
{
    struct plan *p = NULL;
    struct err e = {""};

    if (plan_parse(&p, b->text, b->len, b->name, backend_abilities, backend, PAGE, NULL, 0, NULL,
                   &e) < 0)
        fail_msg("%s", e.msg);
    return p;
}

/* With a value in it. */
static bool answers(const struct plan *p)
{
    for (size_t i = 0; i < p->nsteps; i++)
        if (p->steps[i].nanswer && p->steps[i].answer[0].value.key)
            return true;
    return false;
}

static void test_scenario__shipped_scenarios_are_whole(void **state)
{
    static const char *const wanted[] = {
        "fork-write",      "fork-write-many", "fork-parent-first", "fork-tree",
        "fork-debt",       "fork-thp",        "fork-zero",         "fork-shared",
        "fork-file",       "fork-mremap",     "fork-exec",         "fork-prefork",
        "fork-snapshot",   "mach-simple",     "mach-descriptors",  "ool-hello",
        "ool-options",     "ool-large",       "ool-two-large",     "ool-manual",
        "ool-access-time", "ool-transit",     "ool-write",         "ool-write-many",
        "ool-zero",        "ool-thp",         "ool-snapshot",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!builtin(wanted[i]))
            fail_msg("%s is not shipped", wanted[i]);
    for (const struct builtin_scenario *b = builtin_scenarios; b->name; b++) {
        struct plan *p = shipped(b, "linux");
        struct plan *other = shipped(b, "gnumach");
        size_t expected = 0;

        assert_string_equal(p->name, b->name);
        if (!answers(p) || !answers(other))
            fail_msg("%s does not answer its question", b->name);
        plan_free(other);
        if (!p->twin == !p->no_twin)
            fail_msg("%s: neither a twin nor a reason for none", b->name);
        if (p->question[strlen(p->question) - 1] != '?')
            fail_msg("%s: '%s' is no question", b->name, p->question);
        for (size_t i = 0; i < p->nsteps; i++)
            expected += p->steps[i].nexpect;
        if (expected == 0)
            fail_msg("%s expects nothing", b->name);
        plan_free(p);
    }
}

/* --- twins --- */

/* The acting side: 0 the one that gives (parent, sender), 1 the one that gets. */
static int side_of(const struct plan *p, const char *actor)
{
    return actor && strcmp(actor, p->actors[0]) != 0;
}

static void assert_same_step(const struct plan *a, const struct step *x, const struct plan *b,
                             const struct step *y)
{
    if (x->phase != y->phase || x->action != y->action ||
        side_of(a, x->actor) != side_of(b, y->actor) || x->pages != y->pages ||
        x->bytes != y->bytes || x->has_stamp != y->has_stamp || x->stamp != y->stamp ||
        x->advice != y->advice || memcmp(&x->select, &y->select, sizeof x->select) != 0)
        fail_msg("%s step %d and %s step %d differ", a->name, x->number, b->name, y->number);
}

/* A fork in the one is a send and a receive in the other; nobody waits for a receiver; all other
 * steps do the same to the same pages in the same phase. */
static void assert_twins(const struct plan *forked, const struct plan *sent)
{
    size_t k = 0;

    for (size_t i = 0; i < forked->nsteps; i++) {
        const struct step *x = &forked->steps[i], *y = &sent->steps[k];

        if (x->action == ACT_WAIT)
            continue;
        if (k + (x->action == ACT_FORK) >= sent->nsteps)
            fail_msg("%s has fewer steps than %s", sent->name, forked->name);
        if (x->action != ACT_FORK) {
            assert_same_step(forked, x, sent, y);
            k++;
            continue;
        }
        assert_int_equal(x->phase, PH_TRANSFERRED);
        assert_int_equal(y[0].action, ACT_OOL_SEND);
        assert_int_equal(y[0].phase, PH_IN_TRANSIT);
        assert_int_equal(y[1].action, ACT_OOL_RECEIVE);
        assert_int_equal(y[1].phase, PH_RECEIVED);
        k += 2;
    }
    assert_int_equal(k, sent->nsteps);
}

static void test_scenario__twins_do_the_same(void **state)
{
    const struct param_setting set = {"pages", "96"};
    int n = 0;

    (void)state;
    for (const struct builtin_scenario *b = builtin_scenarios; b->name; b++) {
        struct plan *p = shipped(b, "linux"), *q, *more = NULL, *other = NULL;
        const struct builtin_scenario *t = p->twin ? builtin(p->twin) : NULL;
        struct err e = {""};

        if (p->twin && !t)
            fail_msg("%s: its twin %s is not shipped", b->name, p->twin);
        if (!t || strncmp(b->name, "fork-", 5) != 0) {
            plan_free(p);
            continue;
        }
        q = shipped(t, "linux");
        assert_string_equal(q->twin ? q->twin : "none", b->name);
        assert_twins(p, q);
        if (plan_parse(&more, b->text, b->len, b->name, backend_abilities, "linux", PAGE, &set, 1,
                       NULL, &e) == 0 &&
            plan_parse(&other, t->text, t->len, t->name, backend_abilities, "linux", PAGE, &set, 1,
                       NULL, &e) == 0)
            assert_twins(more, other);
        plan_free(more);
        plan_free(other);
        plan_free(p);
        plan_free(q);
        n++;
    }
    assert_true(n >= 5);
}

/* --- documentation --- */

/* Is the word in the text, in backquotes or in double quotes? */
static void assert_named(const char *text, const char *where, const char *word)
{
    char quoted[128];

    snprintf(quoted, sizeof quoted, "`%s`", word);
    if (strstr(text, quoted))
        return;
    snprintf(quoted, sizeof quoted, "\"%s\"", word);
    if (!strstr(text, quoted))
        fail_msg("%s does not name '%s'", where, word);
}

static void assert_words_named(const char *text, const char *where, const struct word *list)
{
    for (; list->text; list++)
        assert_named(text, where, list->text);
}

#define WORD3(e, code, text, ...) {code, text, NULL},

static void test_scenario__reference_and_schema_name_every_word(void **state)
{
    static const struct word actions[] = {ACTIONS(WORD3){0, NULL, NULL}};
    static const struct word kinds[] = {MAP_KINDS(WORD3){0, NULL, NULL}};
    static const struct word advices[] = {ADVICES(WORD3){0, NULL, NULL}};
    static const char *const files[] = {"/lab/scenarios/LANGUAGE.md",
                                        "/lab/scenarios/schema/scenario.schema.json"};
    const struct quantity *const lists[] = {region_quantities, process_quantities,
                                            total_quantities};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char path[512], *text;
        size_t len;

        snprintf(path, sizeof path, "%s%s", top(), files[i]);
        text = read_file(path, &len);
        assert_words_named(text, files[i], actions);
        assert_words_named(text, files[i], kinds);
        assert_words_named(text, files[i], advices);
        assert_words_named(text, files[i], phases);
        assert_words_named(text, files[i], share_modes);
        assert_words_named(text, files[i], write_outcomes);
        for (size_t k = 0; k < 3; k++)
            for (const struct quantity *q = lists[k]; q->column; q++)
                assert_named(text, files[i], q->column);
        free(text);
    }
}

static void test_scenario__examples_of_the_reference_parse(void **state)
{
    char path[512], *text, *at;
    size_t len;
    int n = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/lab/scenarios/LANGUAGE.md", top());
    text = read_file(path, &len);
    for (at = text; (at = strstr(at, "```json\n{")); n++) {
        char *end = strstr(at + 8, "```");
        struct plan *p = NULL;
        struct err e = {""};

        at += 8;
        if (plan_parse(&p, at, (size_t)(end - at), "LANGUAGE.md", backend_abilities, "linux", PAGE,
                       NULL, 0, NULL, &e) < 0)
            fail_msg("%s", e.msg);
        plan_free(p);
    }
    assert_true(n > 0);
    free(text);
}

/* --- loading --- */

static int load(const char *name, struct err *e, char **text)
{
    char *origin = NULL;
    size_t len;
    int rc = scenario_load(name, text, &len, &origin, e);

    free(origin);
    return rc;
}

static void test_scenario__loads_by_name_and_by_path(void **state)
{
    char dir[] = "/tmp/cowlab-test-XXXXXX", path[64], *text = NULL;
    struct err e = {""};
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(load("fork-write", &e, &text), 0);
    assert_memory_equal(text, builtin("fork-write")->text, 20);
    free(text);
    assert_int_equal(load("fork-wirte", &e, &text), -ENOENT);
    assert_non_null(strstr(e.msg, "the nearest known is 'fork-write'"));
    snprintf(path, sizeof path, "%s/x", dir);
    assert_int_equal(load(path, &e, &text), -ENOENT);
    f = fopen(path, "w");
    fputs("{}", f);
    fclose(f);
    assert_int_equal(load(path, &e, &text), 0);
    assert_string_equal(text, "{}");
    free(text);
    assert_int_equal(load(dir, &e, &text), -EISDIR);
    assert_int_equal(load("/dev/zero", &e, &text), -EFBIG);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(load(path, &e, &text), 0);
    assert_string_equal(text, "");
    free(text);
    unlink(path);
    rmdir(dir);
}

/* --- memory --- */

#if defined(__SANITIZE_ADDRESS__)
#define CAN_FAIL_ALLOCATIONS 0
#else
#define CAN_FAIL_ALLOCATIONS 1
/* Allocation by count: the fail_at-th from now fails, once; live counts what is not freed. */
static volatile long fail_at = -1, live; /* malloc changes them behind the compiler's back */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static int fails(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);

    live += p != NULL;
    return p;
}

void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);

    live += p != NULL;
    return p;
}

void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);

    live += p && !old;
    return p;
}

void free(void *p)
{
    live -= p != NULL;
    __libc_free(p);
}
#endif

/* Fails each allocation in turn: an error, nothing leaked; in the end it succeeds. */
static void test_scenario__survives_without_memory(void **state)
{
#if CAN_FAIL_ALLOCATIONS
    static const char *const names[] = {"fork-write",    "fork-prefork",        "fork-snapshot",
                                        "several-kinds", "several-misdeclared", "several-answer"};
    struct plan *probe = NULL;
    struct err ignored;

    (void)state;
    fail_at = 0;
    parse_for(&probe, params_text, "linux", NULL, 0, &ignored);
    fail_at = -1;
    plan_free(probe);
    if (probe) { /* valgrind puts its own malloc in the place of ours */
        print_message("# needs a malloc that can be made to fail\n");
        skip();
    }
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const bool bad = strncmp(names[k], "several", 7) == 0;
        char path[512], *text;
        size_t len;
        struct err e = {""};
        struct plan *p = NULL;
        int rc = -ENOMEM;
        long n = 0;

        snprintf(path, sizeof path, "%s/%s/%s.json", top(), bad ? BAD_DIR : "/lab/scenarios",
                 names[k]);
        text = read_file(path, &len);
        for (; rc == -ENOMEM && n < 100000; n++) {
            long before = live;

            fail_at = n;
            rc = plan_parse(&p, text, len, "t.json", backend_abilities, "linux", PAGE, NULL, 0,
                            NULL, &e);
            fail_at = -1;
            if (rc < 0 && live != before)
                fail_msg("%s: allocation %ld failed, %ld were leaked", names[k], n, live - before);
            if (rc == -ENOMEM && (p || strcmp(e.msg, "out of memory") != 0))
                fail_msg("%s: allocation %ld: %s", names[k], n, e.msg);
        }
        assert_int_equal(rc, bad ? -EINVAL : 0);
        free(text);
        assert_true(n > 100);
        plan_free(p);
    }
#else
    (void)state;
    print_message("# needs a malloc that can be made to fail: the sanitizer owns it\n");
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario__expressions_compute),
        cmocka_unit_test(test_scenario__expressions_that_cannot_be_are_refused),
        cmocka_unit_test(test_scenario__a_name_alone_may_be_text_or_boolean),
        cmocka_unit_test(test_scenario__settings_replace_defaults),
        cmocka_unit_test(test_scenario__settings_keep_to_the_rules),
        cmocka_unit_test(test_scenario__when_leaves_steps_out),
        cmocka_unit_test(test_scenario__pages_are_selected),
        cmocka_unit_test(test_scenario__counts_are_what_the_actor_will_touch),
        cmocka_unit_test(test_scenario__sizes_in_bytes_round_up_to_pages),
        cmocka_unit_test(test_scenario__cases_repeat_steps_with_their_columns),
        cmocka_unit_test(test_scenario__message_parts),
        cmocka_unit_test(test_scenario__fork_inherits_what_is_inherited),
        cmocka_unit_test(test_scenario__an_actor_may_be_forked_again_after_wait),
        cmocka_unit_test(test_scenario__what_is_sent_arrives_once),
        cmocka_unit_test(test_scenario__peak_pages_bound_what_can_be_used),
        cmocka_unit_test(test_scenario__backends_follow_from_the_steps),
        cmocka_unit_test(test_scenario__a_step_can_depend_on_its_backend),
        cmocka_unit_test(test_scenario__wiped_memory_is_the_childs_own),
        cmocka_unit_test(test_scenario__a_receiver_that_exits_takes_its_messages_along),
        cmocka_unit_test(test_scenario__a_scenario_without_parameters_takes_none),
        cmocka_unit_test(test_scenario__expectations_override_key_by_key),
        cmocka_unit_test(test_scenario__every_quantity_can_be_expected),
        cmocka_unit_test(test_scenario__expectations_know_their_line),
        cmocka_unit_test(test_scenario__answers_name_what_expectations_name),
        cmocka_unit_test(test_scenario__answers_of_a_backend_take_the_place),
        cmocka_unit_test(test_scenario__bad_scenarios_say_exactly_what_is_wrong),
        cmocka_unit_test(test_scenario__wrong_parameters_are_told_together),
        cmocka_unit_test(test_scenario__repeated_keys_are_told_with_the_rest),
        cmocka_unit_test(test_scenario__many_mistakes_are_counted),
        cmocka_unit_test(test_scenario__time_grows_with_the_text),
        cmocka_unit_test(test_scenario__shipped_scenarios_are_whole),
        cmocka_unit_test(test_scenario__twins_do_the_same),
        cmocka_unit_test(test_scenario__reference_and_schema_name_every_word),
        cmocka_unit_test(test_scenario__examples_of_the_reference_parse),
        cmocka_unit_test(test_scenario__loads_by_name_and_by_path),
        cmocka_unit_test(test_scenario__survives_without_memory),
    };

    return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
