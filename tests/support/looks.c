#include "tests/support/looks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void stage_begin(struct stage *s, const char *disable)
{
    struct observer_options opt = {.whole_process = true};
    struct err e = {""};

    memset(s, 0, sizeof *s);
    observation_init(&s->obs);
    if (disable && *disable)
        setenv("COWLAB_DISABLE", disable, 1);
    caps_probe(&s->caps);
    unsetenv("COWLAB_DISABLE");
    s->page = s->caps.page_size;
    if (observer_new(&s->observer, &s->caps, &opt, &e) < 0)
        fail_msg("%s", e.msg);
    s->n = 1;
    strcpy(s->names[0], "a");
    if (!puppet_start(&s->puppets[0]))
        fail_msg("no puppet");
}

void stage_end(struct stage *s)
{
    observation_release(&s->obs);
    observer_free(s->observer);
    while (s->n-- > 0)
        puppet_end(&s->puppets[s->n]);
}

uint64_t stage_map(struct stage *s, enum puppet_kind kind, uint64_t pages)
{
    uint64_t at = puppet_map(&s->puppets[0], kind, pages * s->page);

    assert_true(at != 0);
    s->regions[0] = (struct target_region){
        .name = "r", .start = at, .len = pages * s->page, .inherit = INH_COPY};
    return at;
}

size_t stage_fork(struct stage *s, size_t i)
{
    size_t child = s->n;

    assert_true(child < STAGE_ACTORS);
    assert_true(puppet_fork(&s->puppets[i], &s->puppets[child]));
    s->regions[child] = s->regions[i];
    s->names[child][0] = (char)('a' + child);
    s->n++;
    return child;
}

void stage_exit(struct stage *s, size_t i)
{
    puppet_exit(&s->puppets[i]);
    assert_true(puppet_reap(&s->puppets[0]));
    s->puppets[i].pid = 0;
}

void stage_write(struct stage *s, size_t i, uint64_t pages)
{
    assert_int_equal(puppet_write(&s->puppets[i], s->regions[i].start, pages * s->page, 1), 0);
}

static bool among_the_first(const void *n, uint64_t page)
{
    return page < *(const uint64_t *)n;
}

void stage_look(struct stage *s, int acting, uint64_t wrote)
{
    struct err e = {""};
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        bool acts = (int)i == acting;

        if (!s->puppets[i].pid)
            continue;
        s->regions[i].written = acts && wrote;
        s->regions[i].written_pages = acts ? wrote : 0;
        s->regions[i].page_written = acts && wrote ? among_the_first : NULL;
        s->regions[i].writer = &wrote;
        s->targets[n++] = (struct target){.actor = s->names[i],
                                          .pid = s->puppets[i].pid,
                                          .acting = acts,
                                          .minflt = s->puppets[i].minflt,
                                          .majflt = s->puppets[i].majflt,
                                          .regions = &s->regions[i],
                                          .nregions = s->regions[i].len ? 1 : 0};
    }
    observation_release(&s->obs);
    if (observer_look(s->observer, s->targets, n, NULL, 0, &s->obs, &e) < 0)
        fail_msg("%s", e.msg);
}

void stage_wrote(struct stage *s, size_t i, uint64_t pages)
{
    stage_write(s, i, pages);
    stage_look(s, (int)i, pages);
}

struct obs_region *stage_region(struct stage *s, size_t i)
{
    struct obs_region *r = observation_find_region(&s->obs, s->names[i], "r", NULL);

    assert_non_null(r);
    return r;
}

struct value stage_value(struct stage *s, size_t i, enum region_quantity q)
{
    return stage_region(s, i)->q[q];
}

const struct obs_check *stage_check(struct stage *s, const char *check, size_t i)
{
    for (size_t k = 0; k < s->obs.nchecks; k++) {
        const struct obs_check *c = &s->obs.checks[k];

        if (strcmp(c->check, check) == 0 && (!c->observed || !strcmp(c->observed, s->names[i])))
            return c;
    }
    fail_msg("no check %s", check);
    return NULL;
}

static const char *text_of(enum region_quantity q, int64_t n)
{
    const struct word *words = quantity_words(region_quantities[q].type);

    return words && word_text(words, (int)n) ? word_text(words, (int)n) : "";
}

void must_be(struct stage *s, size_t i, enum region_quantity q, int64_t n)
{
    struct value v = stage_value(s, i, q);

    if (!value_is_known(v))
        fail_msg("%s.%s is unknown (%s), not %lld %s", s->names[i], region_quantities[q].column,
                 word_text(unknown_reasons, v.why), (long long)n, text_of(q, n));
    if (v.n != n)
        fail_msg("%s.%s is %lld %s, not %lld %s", s->names[i], region_quantities[q].column,
                 (long long)v.n, text_of(q, v.n), (long long)n, text_of(q, n));
}

void must_be_unknown(struct stage *s, size_t i, enum region_quantity q, enum why why)
{
    struct value v = stage_value(s, i, q);

    if (value_is_known(v))
        fail_msg("%s.%s is %lld %s, not unknown", s->names[i], region_quantities[q].column,
                 (long long)v.n, text_of(q, v.n));
    assert_string_equal(word_text(unknown_reasons, v.why), word_text(unknown_reasons, (int)why));
}

void checks_must_hold(struct stage *s)
{
    for (size_t i = 0; i < s->obs.nchecks; i++) {
        const struct obs_check *c = &s->obs.checks[i];

        if (c->verdict == CHECK_DIFFERS)
            fail_msg("check %s of %s: %lld against %lld", c->check,
                     c->observed ? c->observed : "all", (long long)c->left.n,
                     (long long)c->right.n);
    }
}
