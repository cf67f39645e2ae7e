/* The host's side of the gnumach backend against a console recorded on a real GNU Mach
 * (tests/data/gnumach/): what a session says is what is told, and nothing that is damaged passes.
 */
#include "lab/backends.h"
#include "lab/gnumach/ability.h"
#include "lab/gnumach/host/blob.h"
#include "lab/gnumach/host/reading.h"
#include "lab/gnumach/host/view.h"
#include "lab/gnumach/protocol.h"
#include "lab/plan/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *data_file(const char *name, size_t *len)
{
    const char *top = getenv("TOP");
    struct slurp file = {0};
    char path[1024];

    snprintf(path, sizeof path, "%s/tests/data/gnumach/%s", top ? top : ".", name);
    if (slurp_path(&file, path) < 0)
        fail_msg("cannot read %s", path);
    *len = file.len;
    return file.text;
}

static struct plan *recorded_plan(void)
{
    struct plan *p = NULL;
    struct err e;
    size_t len;
    char *text = data_file("fork-write.json", &len);

    if (plan_parse(&p, text, len, "fork-write.json", backend_abilities, "gnumach", GUEST_PAGE_SIZE,
                   NULL, 0, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    free(text);
    return p;
}

/* The nonce that the recorded session used: of its first record. */
static uint64_t recorded_nonce(const char *console)
{
    const char *at = strchr(console, '@');

    assert_non_null(at);
    return strtoull(at + 1, NULL, 16);
}

/* A session read back: the order of records as the backend expects it. */
struct replay {
    struct record_stream records;
    struct plan *plan;
    struct reading *reading;
    struct snapshot snap;
    struct step_result results[16];
    size_t steps;
    bool ended;
};

static int replay_record(struct replay *p, struct record *r, struct err *e)
{
    int rc = 0;

    if (r->letter == 'H' || r->letter == 'B' || r->letter == 'D')
        return 0;
    if (r->letter == 'Q') {
        p->ended = strcmp(r->fields, "0") == 0;
        return 0;
    }
    if (r->letter != 'Z')
        return snapshot_add(&p->snap, r, e);
    if (!p->reading) {
        rc = reading_new(&p->reading, p->plan, 1 << 27, &p->snap, e);
    } else {
        assert_true(p->steps < p->plan->nsteps);
        rc =
            reading_step(p->reading, &p->plan->steps[p->steps], &p->snap, &p->results[p->steps], e);
        p->steps++;
    }
    snapshot_release(&p->snap);
    return rc;
}

/* console is written into. */
static int replay(struct replay *p, char *console, uint64_t nonce, struct err *e)
{
    char *line = console, *next;
    int rc = 0;

    memset(p, 0, sizeof *p);
    p->records.nonce = nonce;
    p->plan = recorded_plan();
    snapshot_init(&p->snap);
    for (size_t i = 0; i < 16; i++)
        step_result_init(&p->results[i]);
    for (; rc >= 0 && line && *line; line = next) {
        struct record r;

        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        rc = record_parse(&p->records, line, strlen(line), &r, e);
        if (rc > 0)
            rc = replay_record(p, &r, e);
    }
    return rc < 0 ? rc : 0;
}

static void replay_free(struct replay *p)
{
    for (size_t i = 0; i < 16; i++)
        step_result_release(&p->results[i]);
    reading_free(p->reading);
    snapshot_release(&p->snap);
    plan_free(p->plan);
}

static const struct obs_region *region_after(const struct replay *p, size_t step, const char *actor)
{
    const struct obs_region *g =
        observation_find_region(&p->results[step - 1].obs, actor, "r", NULL);

    if (!g)
        fail_msg("no region %s.r after step %zu", actor, step);
    return g;
}

/* A broken reading would lose needs_copy, follow no shadow, or miss the reference that asking
 * takes: then these six rows would differ from what the kernel was seen to do. */
static void test_gnumach_parse__the_recorded_fork_says_who_copies(void **state)
{
    static const struct {
        size_t step;
        const char *actor;
        int mode, refs, objects;
    } rows[] = {{1, "parent", SM_EMPTY, 0, 0},   {2, "parent", SM_PRIVATE, 1, 1},
                {3, "parent", SM_COW, 2, 1},     {3, "child", SM_COW, 2, 1},
                {4, "child", SM_PRIVATE, 1, 1},  {5, "parent", SM_COW, 1, 1},
                {6, "parent", SM_PRIVATE, 1, 1}, {7, "child", SM_PRIVATE, 1, 1}};
    struct replay p;
    struct err e;
    size_t len;
    char *console = data_file("fork-write.console", &len);

    (void)state;
    if (replay(&p, console, recorded_nonce(console), &e) < 0)
        fail_msg("%s", e.msg);
    assert_true(p.ended);
    assert_int_equal(p.steps, 7);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct obs_region *g = region_after(&p, rows[i].step, rows[i].actor);

        assert_int_equal(g->q[RQ_SHARE_MODE].n, rows[i].mode);
        assert_int_equal(g->q[RQ_REF_COUNT].n, rows[i].refs);
        assert_int_equal(g->nobjects, rows[i].objects);
    }
    /* one frame for both after the fork, two after the child's write */
    assert_int_equal(region_after(&p, 3, "parent")->runs[0].frame,
                     region_after(&p, 3, "child")->runs[0].frame);
    assert_int_not_equal(region_after(&p, 4, "parent")->runs[0].frame,
                         region_after(&p, 4, "child")->runs[0].frame);
    assert_int_equal(region_after(&p, 2, "parent")->q[RQ_FIRST_TOUCH].n, 1);
    assert_int_equal(region_after(&p, 4, "child")->q[RQ_COPIED].n, 1);
    assert_int_equal(region_after(&p, 6, "parent")->q[RQ_COPIED].n, 1);
    assert_int_equal(region_after(&p, 6, "parent")->q[RQ_REUSED].n, 0);
    assert_int_equal(p.results[6].stamps.checked, 1);
    assert_int_equal(p.results[6].stamps.wrong, 0);
    replay_free(&p);
    free(console);
}

static void test_gnumach_parse__every_check_of_the_recorded_session_held(void **state)
{
    struct replay p;
    struct err e;
    size_t len, checks = 0;
    char *console = data_file("fork-write.console", &len);

    (void)state;
    assert_int_equal(replay(&p, console, recorded_nonce(console), &e), 0);
    for (size_t i = 0; i < p.steps; i++)
        for (size_t k = 0; k < p.results[i].obs.nchecks; k++, checks++)
            assert_int_equal(p.results[i].obs.checks[k].verdict, CHECK_HELD);
    assert_true(checks >= p.steps);
    replay_free(&p);
    free(console);
}

/* Where the records begin: what comes before is the kernel's chatter and may be anything. */
static size_t records_start(const char *console)
{
    return (size_t)(strchr(console, '@') - console);
}

/* A host that trusted the lines would let at least one of these pass. */
static void test_gnumach_parse__no_flipped_byte_passes(void **state)
{
    size_t len;
    char *good = data_file("fork-write.console", &len), *copy = malloc(len + 1);
    uint64_t nonce = recorded_nonce(good);

    (void)state;
    for (size_t at = records_start(good); at < len; at += 41) {
        struct replay p;
        struct err e = {""};
        int rc;

        memcpy(copy, good, len + 1);
        copy[at] ^= 1;
        rc = replay(&p, copy, nonce, &e);
        if (rc == 0 && p.ended && p.steps == 7)
            fail_msg("byte %zu ('%c') changed, and nobody noticed", at, good[at]);
        replay_free(&p);
    }
    free(copy);
    free(good);
}

static void test_gnumach_parse__a_console_cut_anywhere_never_looks_complete(void **state)
{
    size_t len;
    char *good = data_file("fork-write.console", &len), *copy = malloc(len + 1);
    uint64_t nonce = recorded_nonce(good);

    (void)state;
    for (size_t cut = records_start(good) + 1; cut < len - 1; cut += 97) {
        struct replay p;
        struct err e = {""};

        memcpy(copy, good, cut);
        copy[cut] = '\0';
        if (replay(&p, copy, nonce, &e) == 0)
            assert_false(p.ended);
        replay_free(&p);
    }
    free(copy);
    free(good);
}

static int parse_line(uint64_t nonce, uint64_t next, const char *text, struct record *r,
                      struct err *e)
{
    static char line[1024];
    struct record_stream s = {nonce, next};

    snprintf(line, sizeof line, "%s", text);
    return record_parse(&s, line, strlen(line), r, e);
}

/* A record as the guest would print it. */
static char *record_line(uint64_t nonce, unsigned sequence, const char *payload)
{
    static char line[512];
    char head[16];
    uint32_t crc;

    snprintf(head, sizeof head, "%u ", sequence);
    crc = guest_crc32(guest_crc32(0, head, strlen(head)), payload, strlen(payload));
    snprintf(line, sizeof line, "@%016llx %u %zu %08x %s", (unsigned long long)nonce, sequence,
             strlen(payload), crc, payload);
    return line;
}

static enum check_verdict prediction_after(const struct replay *p, size_t step)
{
    const struct observation *o = &p->results[step - 1].obs;

    for (size_t i = 0; i < o->nchecks; i++)
        if (strcmp(o->checks[i].check, "prediction") == 0)
            return o->checks[i].verdict;
    fail_msg("no prediction after step %zu", step);
    return CHECK_NOT_CHECKED;
}

/* The child's page is cow, and its write copies. Had the page stayed in its frame, the prediction
 * would have failed. */
static void test_gnumach_parse__a_frame_that_stayed_fails_the_prediction(void **state)
{
    static const char was[] = "P 18446744071578851872 0 1 7fc8 1";
    struct replay p;
    struct err e;
    size_t len;
    char *console = data_file("fork-write.console", &len), *at;
    uint64_t nonce = recorded_nonce(console);

    (void)state;
    at = strstr(console, was);
    assert_non_null(at);
    while (at[-1] != '\n')
        at--;
    memcpy(at, record_line(nonce, 79, "P 18446744071578851872 0 1 7fc6 1"), strcspn(at, "\r\n"));
    assert_int_equal(replay(&p, console, nonce, &e), 0);
    assert_int_equal(prediction_after(&p, 2), CHECK_HELD);
    assert_int_equal(prediction_after(&p, 4), CHECK_DIFFERS);
    replay_free(&p);
    free(console);
}

static void test_gnumach_parse__a_record_is_taken_apart(void **state)
{
    struct record r;
    struct err e;
    uint64_t n;
    int64_t i;
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(parse_line(7, 3, record_line(7, 3, "X 12 -5 ff a%20b%2dc"), &r, &e), 1);
    assert_int_equal(r.letter, 'X');
    assert_int_equal(field_u64(&r.fields, &n, &e), 0);
    assert_int_equal(n, 12);
    assert_int_equal(field_i64(&r.fields, &i, &e), 0);
    assert_int_equal(i, -5);
    assert_int_equal(field_hex(&r.fields, &n, &e), 0);
    assert_int_equal(n, 255);
    assert_int_equal(field_text(&r.fields, &text, &len, &e), 0);
    assert_string_equal(text, "a b-c");
    assert_int_equal(field_u64(&r.fields, &n, &e), -EBADMSG);
    assert_string_equal(e.msg, "record with a missing field");
}

static void test_gnumach_parse__chatter_is_no_record(void **state)
{
    static const char *const lines[] = {"", "GNU Mach 1.8", "@", "root@host: 0123456789abcdef",
                                        "@0123456789abcde 0 1 00000000 Q"};
    struct record r;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(parse_line(7, 0, lines[i], &r, &e), 0);
    /* the kernel's words may stand before a record */
    char line[600];
    snprintf(line, sizeof line, "start guest: %s", record_line(7, 0, "Q 0"));
    assert_int_equal(parse_line(7, 0, line, &r, &e), 1);
}

static void test_gnumach_parse__what_is_wrong_is_said(void **state)
{
    static const struct {
        uint64_t nonce;
        unsigned sequence;
        const char *end, *message;
    } cases[] = {
        {8, 0, "",
         "record with the nonce of another plan: 0000000000000008 instead of "
         "0000000000000007"},
        {7, 1, "", "record 1 came where 0 was due"},
        {7, 0, "x", "record of 4 bytes that says it has 3"},
    };
    struct record r;
    struct err e;
    char line[600];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "%s%s", record_line(cases[i].nonce, cases[i].sequence, "Q 0"),
                 cases[i].end);
        assert_int_equal(parse_line(7, 0, line, &r, &e), -EBADMSG);
        assert_string_equal(e.msg, cases[i].message);
    }
    snprintf(line, sizeof line, "%s", record_line(7, 0, "Q 0"));
    line[strlen(line) - 1] = '1'; /* a success that was none */
    assert_int_equal(parse_line(7, 0, line, &r, &e), -EBADMSG);
    assert_string_equal(e.msg, "record with a wrong checksum: 'Q 1'");
}

/* Well-formed records with impossible contents: numbers that would index out of a table. */
static void test_gnumach_parse__impossible_records_are_refused(void **state)
{
    static const char *const payloads[] = {
        "T 64 1 1 1 1 1 1 1",        /* an actor beyond all */
        "T 0 1 1",                   /* fields missing */
        "R 0 0 1000 0",              /* an empty region */
        "R 0 0 1000 ffffffff",       /* hex where decimal is due */
        "E 0 2000 1000 3 7 1 0 5 0", /* an entry that ends before it begins */
        "P 99 0 1 5 1",              /* pages of an object that was not told */
        "I 1 0 4096",                /* a piece of no message */
        "C 0 1 2 0 65",              /* more wrong stamps than stamps */
        "! 1",                       /* no such kind */
    };
    struct snapshot s;
    struct record r;
    struct err e;

    (void)state;
    snapshot_init(&s);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        assert_int_equal(parse_line(7, 0, record_line(7, 0, payloads[i]), &r, &e), 1);
        if (snapshot_add(&s, &r, &e) != -EBADMSG)
            fail_msg("'%s' was taken", payloads[i]);
    }
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "M 1 48 1 twice"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "M 1 48 1 twice"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), -EBADMSG);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "O 5 1 1 1 0 0 0 0"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    static const char *const pages[] = {"P 5 0 1 0 1", "P 5 0 0 9 1", "P 5 0 1 9 2",
                                        "P 5 99999999999 1 9 1", "P 5 0 20 9 -1"};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        assert_int_equal(parse_line(7, 0, record_line(7, 0, pages[i]), &r, &e), 1);
        if (snapshot_add(&s, &r, &e) != -EBADMSG)
            fail_msg("'%s' was taken", pages[i]);
    }
    snapshot_release(&s);
}

static void test_gnumach_parse__runs_of_frames_go_up_and_down(void **state)
{
    struct snapshot s;
    struct record r;
    struct err e;

    (void)state;
    snapshot_init(&s);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "O 5 8 1 6 6 2 0 0"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "O 6 99 1 1 0 0 0 0"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "P 5 0 3 10 1 5 3 20 -1"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    assert_int_equal(parse_line(7, 0, record_line(7, 0, "P 6 5 1 99 1"), &r, &e), 1);
    assert_int_equal(snapshot_add(&s, &r, &e), 0);
    assert_int_equal(snapshot_see(&s, 5, 2).frame, 0x12);
    assert_int_equal(snapshot_see(&s, 5, 7).frame, 0x1e);
    assert_int_equal(snapshot_see(&s, 5, 7).depth, 0);
    /* page 3 is not in the top object: its shadow, two pages further on, has it */
    assert_int_equal(snapshot_see(&s, 5, 3).frame, 0x99);
    assert_int_equal(snapshot_see(&s, 5, 3).depth, 1);
    assert_int_equal(snapshot_see(&s, 5, 4).frame, 0);
    snapshot_release(&s);
}

static void tell(struct snapshot *s, const char *const *told)
{
    struct record r;
    struct err e;

    snapshot_init(s);
    for (; *told; told++) {
        assert_int_equal(parse_line(7, 0, record_line(7, 0, *told), &r, &e), 1);
        assert_int_equal(snapshot_add(s, &r, &e), 0);
    }
}

/* Objects collapse into the one above unless something else refers to them; a copy object never. */
static void test_gnumach_parse__what_can_collapse(void **state)
{
    static const char *const told[] = {
        "O 1 8 2 0 2 0 0 0", "O 2 8 1 1 3 0 0 0", "O 3 8 1 1 4 0 0 0", /* 3 is 4's copy */
        "O 4 8 1 1 0 0 3 0", "O 5 8 1 0 6 0 0 0", "O 6 8 2 1 0 0 0 0", "P 2 0 1 10 1",
        "P 3 1 1 11 1",      "P 4 2 1 12 1",      "P 6 0 1 13 1",      NULL,
    };
    struct snapshot s;

    (void)state;
    tell(&s, told);
    assert_true(snapshot_see(&s, 1, 0).sole); /* the top one may have two references */
    assert_false(snapshot_see(&s, 1, 0).alone);
    assert_false(snapshot_see(&s, 1, 1).sole);
    assert_false(snapshot_see(&s, 1, 2).sole);
    assert_false(snapshot_see(&s, 3, 1).alone);
    assert_true(snapshot_see(&s, 3, 2).sole);
    assert_true(snapshot_see(&s, 5, 0).alone);
    assert_false(snapshot_see(&s, 5, 0).sole);
    snapshot_release(&s);
}

#define REGION "R 0 0 10000 16384"
#define ENTRY "E 0 10000 14000 3 7 1 "

/* As the kernel told them before and after a write of all four pages of a region: what was at risk
 * is what has another frame. The first page is written last. */
static void test_gnumach_parse__what_is_at_risk_is_what_a_write_of_all_copies(void **state)
{
    static const struct {
        const char *before[12], *after[12];
        uint64_t at_risk;
    } rows[] = {
        /* the other is there; it has gone: the first copy collapses the chain */
        {{REGION, ENTRY "1 1 0", "O 1 4 2 4 0 0 0 0", "P 1 0 4 10 1"},
         {REGION, ENTRY "0 2 0", "O 2 4 1 4 0 0 0 0", "P 2 0 4 20 1"},
         4},
        {{REGION, ENTRY "1 1 0", "O 1 4 1 4 0 0 0 0", "P 1 0 4 10 1"},
         {REGION, ENTRY "0 2 0", "O 2 4 1 4 0 0 0 0", "P 2 0 1 10 1 1 1 20 1 2 2 12 1"},
         1},
        /* a page was written before: it stays, and so does all but one of the others */
        {{REGION, ENTRY "0 2 0", "O 2 4 1 1 1 0 0 0", "O 1 4 1 4 0 0 0 0", "P 2 1 1 20 1",
          "P 1 0 4 10 1"},
         {REGION, ENTRY "0 2 0", "O 2 4 1 4 0 0 0 0", "P 2 0 1 10 1 1 2 20 1 3 1 13 1"},
         1},
        /* three generations: of two objects below, one is the grandparent's too. A page of that is
           copied first, and takes those of the other with it; and the other way round */
        {{REGION, ENTRY "1 3 0", "O 3 4 1 2 1 0 0 0", "O 1 4 2 4 0 0 0 0", "P 3 2 2 30 1",
          "P 1 0 4 10 1"},
         {REGION, ENTRY "0 4 0", "O 4 4 1 4 0 0 0 0", "P 4 0 2 40 1 2 2 30 1"},
         2},
        {{REGION, ENTRY "1 3 0", "O 3 4 1 2 1 0 0 0", "O 1 4 2 4 0 0 0 0", "P 3 1 2 30 1",
          "P 1 0 4 10 1"},
         {REGION, ENTRY "0 4 0", "O 4 4 1 4 0 0 0 0", "P 4 0 2 40 1 2 1 31 1 3 1 43 1"},
         3},
        /* a part was sent and is there no more, but the entries hold the object for each other */
        {{REGION, "E 0 10000 12000 3 7 1 1 1 0", "E 0 12000 14000 3 7 1 0 1 2", "O 1 4 2 4 0 0 0 0",
          "P 1 0 4 10 1"},
         {REGION, "E 0 10000 12000 3 7 1 0 2 0", "E 0 12000 14000 3 7 1 0 1 2", "O 2 2 1 2 0 0 0 0",
          "O 1 4 1 4 0 0 0 0", "P 2 0 2 20 1", "P 1 0 4 10 1"},
         2},
        /* two chains that nobody else has */
        {{REGION, "E 0 10000 12000 3 7 1 1 1 0", "E 0 12000 14000 3 7 1 1 2 0", "O 1 2 1 2 0 0 0 0",
          "O 2 2 1 2 0 0 0 0", "P 1 0 2 10 1", "P 2 0 2 20 1"},
         {REGION, "E 0 10000 12000 3 7 1 0 3 0", "E 0 12000 14000 3 7 1 0 4 0", "O 3 2 1 2 0 0 0 0",
          "O 4 2 1 2 0 0 0 0", "P 3 0 1 10 1 1 1 31 1", "P 4 0 1 40 1 1 1 21 1"},
         2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct snapshot s, t;
        struct view v, w;
        struct err e;

        tell(&s, rows[i].before);
        tell(&t, rows[i].after);
        assert_int_equal(view_region(&v, &s, &s.regions[0], &e), 0);
        assert_int_equal(view_region(&w, &t, &t.regions[0], &e), 0);
        if (v.at_risk != rows[i].at_risk || view_compare(&v, 0, &w, 4).different != v.at_risk ||
            w.at_risk != 0)
            fail_msg("row %zu: %d at risk", i, (int)v.at_risk);
        for (uint64_t k = 0; k < 4; k++)
            assert_int_equal(v.page[k].at_risk, v.page[k].frame != w.page[k].frame);
        view_release(&v);
        view_release(&w);
        snapshot_release(&s);
        snapshot_release(&t);
    }
}

/* Of memory that cannot be listed page by page it follows from the object's own count; and nothing
 * is at risk that may not be written. */
static void test_gnumach_parse__what_is_at_risk_beside(void **state)
{
    static const struct {
        const char *told[5];
        uint64_t at_risk;
    } rows[] = {
        {{REGION, ENTRY "1 1 0", "O 1 4 2 4 0 0 0 0", "U 1 5"}, 4},
        {{REGION, ENTRY "1 1 0", "O 1 4 1 4 0 0 0 0", "U 1 5"}, 1},
        {{REGION, ENTRY "1 1 0", "O 1 4 1 0 0 0 0 0", "U 1 5"}, 0},
        {{REGION, ENTRY "0 1 0", "O 1 4 1 4 0 0 0 0", "U 1 5"}, 0},
        {{REGION, "E 0 10000 14000 1 7 1 1 1 0", "O 1 4 2 4 0 0 0 0", "P 1 0 4 10 1"}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct snapshot s;
        struct view v;
        struct err e;

        tell(&s, rows[i].told);
        assert_int_equal(view_region(&v, &s, &s.regions[0], &e), 0);
        if (!v.counted || v.at_risk != rows[i].at_risk)
            fail_msg("row %zu: %d at risk", i, (int)v.at_risk);
        view_release(&v);
        snapshot_release(&s);
    }
}

static const struct guest_step *steps_of(const void *blob)
{
    const struct guest_plan *p = blob;
    const struct guest_run *runs = (const struct guest_run *)(p + 1);

    return (const struct guest_step *)(runs + p->nruns);
}

static void test_gnumach_parse__a_plan_becomes_what_the_guest_reads(void **state)
{
    struct plan *plan = recorded_plan();
    const struct plan *two[] = {plan, plan};
    const struct guest_plan *head;
    struct err e;
    void *blob;
    size_t len;

    (void)state;
    assert_int_equal(blob_check(plan, &e), 0);
    assert_int_equal(blob_build(two, 2, 42, 1000, &blob, &len, &e), 0);
    head = blob;
    assert_int_equal(head->magic, GUEST_MAGIC);
    assert_int_equal(head->nonce, 42);
    assert_int_equal(head->bytes, len);
    assert_int_equal(head->nruns, 2);
    assert_int_equal(head->nsteps, 2 * plan->nsteps);
    assert_int_equal(steps_of(blob)[2].action, ACT_FORK);
    assert_int_equal(steps_of(blob)[2].other, 1);
    assert_int_equal(steps_of(blob)[3].actor, 1);
    assert_int_equal(steps_of(blob)[3].stamp, 'B');
    assert_int_equal(((const struct guest_run *)(head + 1))[1].roots, 1); /* the child is born */
    free(blob);
    plan_free(plan);
}

static void test_gnumach_parse__what_mach_has_no_word_for_is_said(void **state)
{
    const struct ability *a = &ability_gnumach;

    (void)state;
    assert_string_equal(ability_refuses(a->no_kinds, MK_PURGEABLE),
                        "GNU Mach has no purgeable memory");
    assert_string_equal(ability_refuses(a->no_actions, ACT_MADVISE), "madvise belongs to Linux");
    assert_null(ability_refuses(a->no_kinds, MK_ANONYMOUS));
    assert_null(ability_refuses(a->no_actions, ACT_MAP));
}

static void test_gnumach_parse__what_is_too_large_for_the_guest_is_refused(void **state)
{
    static struct message_part parts[GUEST_MAX_PARTS + 1] = {{.kind = PART_OOL_PORTS, .count = 1}};
    char text[GUEST_MAX_TEXT + 1];
    struct step step = {.number = 3, .action = ACT_SEND, .parts = parts};
    struct plan plan = {.name = "p", .steps = &step, .nsteps = 1};
    struct err e;

    (void)state;
    memset(text, 'x', GUEST_MAX_TEXT);
    text[GUEST_MAX_TEXT] = '\0';
    assert_int_equal(blob_check(&plan, &e), 0);
    step.nparts = GUEST_MAX_PARTS + 1;
    assert_int_equal(blob_check(&plan, &e), -ENOTSUP);
    assert_string_equal(e.msg, "'p' cannot run on gnumach: step 3: the guest sends at most 32 "
                               "descriptors in a message");
    step.nparts = 1;
    assert_int_equal(blob_check(&plan, &e), 0);
    parts[0].count = GUEST_MAX_RIGHTS + 1;
    assert_int_equal(blob_check(&plan, &e), -ENOTSUP);
    parts[0].count = GUEST_MAX_RIGHTS;
    step.text = text;
    assert_int_equal(blob_check(&plan, &e), -ENOTSUP);
    step.text = text + 1;
    assert_int_equal(blob_check(&plan, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gnumach_parse__the_recorded_fork_says_who_copies),
        cmocka_unit_test(test_gnumach_parse__every_check_of_the_recorded_session_held),
        cmocka_unit_test(test_gnumach_parse__no_flipped_byte_passes),
        cmocka_unit_test(test_gnumach_parse__a_console_cut_anywhere_never_looks_complete),
        cmocka_unit_test(test_gnumach_parse__a_frame_that_stayed_fails_the_prediction),
        cmocka_unit_test(test_gnumach_parse__a_record_is_taken_apart),
        cmocka_unit_test(test_gnumach_parse__chatter_is_no_record),
        cmocka_unit_test(test_gnumach_parse__what_is_wrong_is_said),
        cmocka_unit_test(test_gnumach_parse__impossible_records_are_refused),
        cmocka_unit_test(test_gnumach_parse__runs_of_frames_go_up_and_down),
        cmocka_unit_test(test_gnumach_parse__what_can_collapse),
        cmocka_unit_test(test_gnumach_parse__what_is_at_risk_is_what_a_write_of_all_copies),
        cmocka_unit_test(test_gnumach_parse__what_is_at_risk_beside),
        cmocka_unit_test(test_gnumach_parse__a_plan_becomes_what_the_guest_reads),
        cmocka_unit_test(test_gnumach_parse__what_mach_has_no_word_for_is_said),
        cmocka_unit_test(test_gnumach_parse__what_is_too_large_for_the_guest_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
