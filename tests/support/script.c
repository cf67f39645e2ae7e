#include "tests/support/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void stage_need(struct stage *s, enum cap cap)
{
    if (s->caps.have[cap])
        return;
    print_message("# needs %s: %s\n", cap_rows[cap].name, s->caps.reason[cap]);
    stage_end(s);
    skip();
}

/* -- steps ------------------------------------------------------------------------------ */

static const struct word kinds[] = {
    {PUPPET_ANONYMOUS, "anonymous", NULL},       {PUPPET_SHARED, "shared", NULL},
    {PUPPET_MEMFD_SHARED, "memfd_shared", NULL}, {PUPPET_MEMFD_PRIVATE, "memfd_private", NULL},
    {PUPPET_MEMFD_HELD, "memfd_held", NULL},     {PUPPET_FILE_PRIVATE, "file_private", NULL},
    {PUPPET_HUGETLB, "hugetlb", NULL},           {0, NULL, NULL}};
static const struct word advices[] = {{MADV_DONTFORK, "dontfork", NULL},
                                      {MADV_DOFORK, "dofork", NULL},
                                      {MADV_WIPEONFORK, "wipeonfork", NULL},
                                      {MADV_PAGEOUT, "pageout", NULL},
                                      {MADV_FREE, "free", NULL},
                                      {PUPPET_LOCK, "lock", NULL},
                                      {0, NULL, NULL}};

static int code_of(const struct word *list, const char *text)
{
    int code = word_code(list, text);

    if (code < 0)
        fail_msg("no word '%s'", text);
    return code;
}

/* A number of pages; *end: what follows it, NULL if it is none. */
static int64_t pages_of(const struct stage *s, const char *text, const char **end)
{
    char *after;
    int64_t n = strtoll(text, &after, 10);

    *end = after;
    if (after != text)
        return n;
    *end = strcmp(text, "all") == 0 || strcmp(text, "huge") == 0 ? "" : NULL;
    return (int64_t)((text[0] == 'a' ? s->regions[0].len : s->caps.huge_page_size) / s->page);
}

/* A page that is on its way to swap may be kept or copied, whoever holds its slot. On a machine
 * that never is done with writing: five seconds. */
static void wait_for_writeback(void)
{
    char line[128];
    long left = 1;

    for (int i = 0; i < 500 && left; i++) {
        FILE *f = fopen("/proc/vmstat", "r");

        while (f && fgets(line, sizeof line, f) && sscanf(line, "nr_writeback %ld", &left) != 1)
            ;
        if (f)
            fclose(f);
        if (left)
            usleep(10000);
    }
}

/* One step of puppet i. Returns the pages it wrote. */
static uint64_t act(struct stage *s, size_t i, const char *verb, const char *one, const char *two)
{
    uint64_t at = s->regions[i].start;
    const char *end;
    int64_t n = pages_of(s, one, &end), m = pages_of(s, two, &end);
    int rc = 0;

    if (strcmp(verb, "maps") == 0)
        stage_map(s, (enum puppet_kind)code_of(kinds, one), (uint64_t)m);
    else if (strcmp(verb, "writes") == 0)
        stage_write(s, i, (uint64_t)n);
    else if (strcmp(verb, "reads") == 0)
        rc = puppet_read(&s->puppets[i], at, (uint64_t)n * s->page, 1);
    else if (strcmp(verb, "forks") == 0)
        stage_fork(s, i);
    else if (strcmp(verb, "exits") == 0)
        stage_exit(s, i);
    else if (strcmp(verb, "unmaps") == 0)
        rc = puppet_unmap(&s->puppets[i], at + (uint64_t)n * s->page, (uint64_t)m * s->page);
    else if (strcmp(verb, "advises") == 0) {
        rc = puppet_advise(&s->puppets[i], at, (uint64_t)m * s->page, code_of(advices, one));
        s->regions[i].freed += strcmp(one, "free") == 0;
        if (strcmp(one, "pageout") == 0)
            wait_for_writeback();
    } else if (strcmp(verb, "holds") == 0)
        rc = puppet_hold(&s->puppets[i], at, (uint64_t)n * s->page);
    else if (strcmp(verb, "moves") == 0)
        s->regions[i].start = puppet_move(&s->puppets[i], at, s->regions[i].len);
    else if (strcmp(verb, "execs") == 0)
        rc = !puppet_exec(&s->puppets[i]);
    else
        fail_msg("no verb '%s'", verb);
    assert_int_equal(rc, 0);
    if (strcmp(verb, "moves") == 0)
        assert_true(s->regions[i].start && s->regions[i].start != at);
    return strcmp(verb, "writes") == 0 ? (uint64_t)n : 0;
}

/* -- what is seen ----------------------------------------------------------------------- */

struct figure {
    struct value v;
    const struct word *words; /* or NULL: a number */
};

static const struct word object_kinds[] = {{1, "anonymous", NULL},
                                           {2, "memfd", NULL},
                                           {3, "file", NULL},
                                           {4, "shmem", NULL},
                                           {0, NULL, NULL}};
static const struct word verdicts[] = {{CHECK_HELD, "held", NULL},
                                       {CHECK_DIFFERS, "differs", NULL},
                                       {CHECK_NOT_CHECKED, "not_checked", NULL},
                                       {0, NULL, NULL}};
#define WHY_NAME(e, code, text, unlocks) {code, #e, NULL},
static const struct word whys[] = {UNKNOWN_REASONS(WHY_NAME){0, NULL, NULL}};

static struct figure number(int64_t n)
{
    return (struct figure){value_known(n), NULL};
}

static struct figure of_run(const struct obs_region *r, size_t k, const char *field)
{
    const struct page_run *run = &r->runs[k];

    assert_true(k < r->nruns);
    if (strcmp(field, "state") == 0)
        return (struct figure){value_known(run->state), page_states};
    if (strcmp(field, "count") == 0)
        return number((int64_t)run->count);
    if (strcmp(field, "frame") == 0)
        return number((int64_t)run->frame);
    if (strcmp(field, "mapcount") == 0)
        return number(run->mapcount);
    assert_string_equal(field, "inferred");
    return number(run->inferred);
}

static struct figure of_object(const struct obs_region *r, size_t k, const char *field)
{
    const struct obs_object *o = &r->objects[k];

    assert_true(k < r->nobjects);
    if (strcmp(field, "kind") == 0)
        return (struct figure){value_known(code_of(object_kinds, o->kind)), object_kinds};
    if (strcmp(field, "depth") == 0)
        return number(o->depth);
    if (strcmp(field, "offset") == 0)
        return (struct figure){o->offset, NULL};
    assert_string_equal(field, "resident");
    return (struct figure){o->resident, NULL};
}

static struct figure of_pair(const struct observation *obs, size_t k, const char *field)
{
    assert_true(k < obs->nsharing);
    return (struct figure){strcmp(field, "frames") == 0 ? obs->sharing[k].frames
                                                        : obs->sharing[k].region_frames,
                           NULL};
}

static struct figure figure(struct stage *s, size_t who, const char *key)
{
    struct obs_process *p = observation_find_process(&s->obs, s->names[who]);
    char field[32] = "";
    size_t k;
    int i;

    if ((i = quantity_index(region_quantities, key)) >= 0)
        return (struct figure){stage_value(s, who, (enum region_quantity)i),
                               quantity_words(region_quantities[i].type)};
    if ((i = quantity_index(process_quantities, key)) >= 0)
        return (struct figure){p->q[i], NULL};
    if ((i = quantity_index(total_quantities, key)) >= 0)
        return (struct figure){s->obs.totals[i], NULL};
    if (strncmp(key, "check.", 6) == 0)
        return (struct figure){value_known(stage_check(s, key + 6, who)->verdict), verdicts};
    if (strcmp(key, "runs") == 0)
        return number((int64_t)stage_region(s, who)->nruns);
    if (strcmp(key, "objects") == 0)
        return number((int64_t)stage_region(s, who)->nobjects);
    if (strcmp(key, "pairs") == 0)
        return number((int64_t)s->obs.nsharing);
    if (sscanf(key, "run%zu.%31s", &k, field) == 2)
        return of_run(stage_region(s, who), k, field);
    if (sscanf(key, "object%zu.%31s", &k, field) == 2)
        return of_object(stage_region(s, who), k, field);
    if (sscanf(key, "pair%zu.%31s", &k, field) == 2)
        return of_pair(&s->obs, k, field);
    fail_msg("no quantity '%s'", key);
    return number(0);
}

static void must_be_why(struct value v, const char *key, const char *why)
{
    char name[80];

    if (value_is_known(v))
        fail_msg("%s is %lld, not unknown", key, (long long)v.n);
    snprintf(name, sizeof name, "WHY_%s", why);
    if (*why)
        assert_string_equal(word_text(whys, v.why), name);
}

/* want: a number or a word, with p or ~ behind it. */
static void must_match(struct stage *s, const char *key, struct figure f, bool least,
                       const char *want)
{
    const char *suffix = "", *is;
    int64_t n;

    if (!value_is_known(f.v))
        fail_msg("%s is unknown (%s), not %s", key, word_text(unknown_reasons, f.v.why), want);
    if (strcmp(want, "known") == 0)
        return;
    n = f.words ? word_code(f.words, want) : -1;
    if (n < 0)
        n = pages_of(s, want, &suffix);
    if (!suffix)
        fail_msg("'%s' is neither a word of %s nor a number", want, key);
    if (*suffix == 'p')
        n *= (int64_t)s->page / 1024;
    is = f.words ? word_text(f.words, (int)f.v.n) : "";
    if (least ? f.v.n < n : f.v.n != n)
        fail_msg("%s is %lld %s, not %s%s", key, (long long)f.v.n, is ? is : "",
                 least ? "at least " : "", want);
    if (*suffix == '~' && !f.v.inferred)
        fail_msg("%s is not marked as concluded", key);
}

/* Of ONE|OTHER the other, where it is plainly not the one. */
static char *choose(struct figure f, char *value)
{
    char *other = strchr(value, '|');
    const char *is;

    if (!other)
        return value;
    *other++ = '\0';
    is = f.words && value_is_known(f.v) ? word_text(f.words, (int)f.v.n) : NULL;
    return *value == '?' ? (value_is_known(f.v) ? other : value)
                         : (is && strcmp(is, value) == 0 ? value : other);
}

/* One word of the list: KEY=VALUE or KEY>=VALUE, of each puppet in who. */
static void must_hold(struct stage *s, const char *who, char *word, char *value)
{
    bool least = value > word && value[-1] == '>';

    value[least ? -1 : 0] = '\0';
    value++;
    for (; *who; who++) {
        struct figure f = figure(s, (size_t)(*who - 'a'), word);
        char copy[64], *want;

        snprintf(copy, sizeof copy, "%s", value);
        want = choose(f, copy);
        if (*want == '?')
            must_be_why(f.v, word, want + 1);
        else
            must_match(s, word, f, least, want);
    }
}

static void must_see(struct stage *s, const char *seen)
{
    char list[400], *rest = list, *word;
    const char *who = "a";

    assert_true(strlen(seen) < sizeof list);
    strcpy(list, seen);
    while ((word = strsep(&rest, " ")) != NULL) {
        char *value = strchr(word, '=');

        if (value)
            must_hold(s, who, word, value);
        else if (strcmp(word, "checked") == 0)
            checks_must_hold(s);
        else if (*word)
            who = word;
    }
}

/* -- tests ------------------------------------------------------------------------------ */

struct script_case {
    const struct script_line *lines; /* its first row */
    char name[100], kind[24];        /* kind: of memory, or "" */
};

/* The value of key= in a test's first row, "" without. */
static char *option(char buf[120], const char *row, const char *key)
{
    const char *at = strstr(row, key);

    snprintf(buf, 120, "%s", at ? at + strlen(key) : "");
    buf[strcspn(buf, " ")] = '\0';
    return buf;
}

static void need_all(char *names)
{
    struct stage s;

    stage_begin(&s, NULL);
    for (char *name; (name = strsep(&names, ",")) != NULL && *name;) {
        int cap = 0;

        while (cap_rows[cap].name && strcmp(cap_rows[cap].name, name) != 0)
            cap++;
        if (cap == CAP__COUNT)
            fail_msg("no capability '%s'", name);
        stage_need(&s, (enum cap)cap);
    }
    stage_end(&s);
}

static void run_line(struct stage *s, const char *kind, const char *step, const char *seen)
{
    char verb[16] = "", one[24] = "", two[24] = "";
    int acting = strcmp(step, "look") ? step[0] - 'a' : -1;
    uint64_t wrote = 0;

    print_message("# %s%s%s\n", step, seen ? ": " : "", seen ? seen : "");
    sscanf(step, "%*s %15s %23s %23s", verb, one, two);
    if (acting >= 0)
        wrote = act(s, (size_t)acting, verb, strcmp(one, "KIND") ? one : kind, two);
    if (!seen)
        return;
    stage_look(s, acting, wrote);
    must_see(s, seen);
}

static bool begins_test(const struct script_line *line)
{
    return line->step[strlen(line->step) - 1] == ':';
}

static void run_case(void **state)
{
    const struct script_case *c = *state;
    const struct script_line *line = c->lines;
    char needs[120], hidden[120];
    struct stage s;

    need_all(option(needs, line->seen, "needs="));
    stage_begin(&s, option(hidden, line->seen, "hidden="));
    while ((++line)->step && !begins_test(line))
        run_line(&s, c->kind, line->step, line->seen);
    stage_end(&s);
}

size_t script_tests(struct CMUnitTest *out, const struct script_line *script)
{
    size_t n = 0;

    for (const struct script_line *line = script; line->step; line++) {
        char list[120], *rest = list, *kind;

        if (!begins_test(line))
            continue;
        option(list, line->seen, "kinds=");
        while ((kind = strsep(&rest, ",")) != NULL) {
            struct script_case *c = calloc(1, sizeof *c);

            if (!c)
                abort();
            c->lines = line;
            snprintf(c->kind, sizeof c->kind, "%s", kind);
            snprintf(c->name, sizeof c->name, "test_observer__%.*s%s%s",
                     (int)strlen(line->step) - 1, line->step, *kind ? "__" : "", kind);
            out[n++] =
                (struct CMUnitTest){.name = c->name, .test_func = run_case, .initial_state = c};
        }
    }
    return n;
}
