/* judge: see judge.h. Each target of an expectation has its own look_at_*; they all end in a
 * struct seen, which is all that the verdict depends on, and what an answer tells. */
#include "lab/run/judge.h"

#include "reports/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was seen of one key: text as it is shown and compared, number where it has one. */
struct seen {
    enum { SEEN, SEEN_UNKNOWN, SEEN_INFERRED, SEEN_NOTHING } what;
    char *text; /* owned; NULL: unknown */
    int64_t n;
    bool number;
    enum quantity_type amount; /* what n counts, if it is an amount of something; else 0 */
    const char *reason;        /* static; SEEN_UNKNOWN, SEEN_INFERRED */
};

static int set_text(struct seen *s, const char *text)
{
    s->text = strdup(text);
    return s->text ? 0 : -ENOMEM;
}

/* There is no such row, or the value does not apply: the expectation fails and says so. */
static int seen_nothing(struct seen *s, const char *why)
{
    s->what = SEEN_NOTHING;
    return set_text(s, why);
}

static int seen_unknown(struct seen *s, const char *why)
{
    s->what = SEEN_UNKNOWN;
    s->reason = why;
    return 0;
}

static int seen_number(struct seen *s, int64_t n, enum quantity_type amount)
{
    s->number = true;
    s->amount = amount;
    s->n = n;
    return asprintf(&s->text, "%lld", (long long)n) < 0 ? (s->text = NULL, -ENOMEM) : 0;
}

/* -1 does not apply. */
static int seen_flag(struct seen *s, int flag)
{
    if (flag < 0)
        return seen_nothing(s, "does not apply");
    s->number = true;
    s->n = flag != 0;
    return set_text(s, flag ? "true" : "false");
}

static int seen_text(struct seen *s, const char *text)
{
    if (!text)
        return seen_unknown(s, word_text(unknown_reasons, WHY_NOT_REPORTED));
    return set_text(s, text);
}

static int seen_value(struct seen *s, struct value v, enum quantity_type type)
{
    const struct word *words = quantity_words(type);
    const char *word = words && value_is_known(v) ? word_text(words, (int)v.n) : NULL;
    char prot[4];

    if (v.why == WHY_NOT_APPLICABLE)
        return seen_nothing(s, "does not apply");
    if (!value_is_known(v))
        return seen_unknown(s, word_text(unknown_reasons, v.why));
    if (v.inferred) {
        s->what = SEEN_INFERRED;
        s->reason = "concluded, not measured";
    }
    if (type == QT_PROTECTION)
        return set_text(s, protection_text((int)v.n, prot));
    return word ? set_text(s, word) : seen_number(s, v.n, words ? 0 : type);
}

static int look_at_sharing(const struct expectation *x, const struct observation *o, struct seen *s)
{
    for (size_t i = 0; i < o->nsharing; i++) {
        const struct obs_sharing *p = &o->sharing[i];
        bool same = strcmp(p->actor_a, x->observed) == 0 && strcmp(p->actor_b, x->other) == 0;
        bool swapped = strcmp(p->actor_a, x->other) == 0 && strcmp(p->actor_b, x->observed) == 0;

        if (same || swapped)
            return seen_value(s, strcmp(x->key, "frames") == 0 ? p->frames : p->region_frames,
                              QT_PAGES);
    }
    return seen_nothing(s, "not observed");
}

static int look_at_transfer(const struct expectation *x, const struct step_result *r,
                            struct seen *s)
{
    const struct store_transfer *t = NULL;

    for (size_t i = 0; i < r->ntransfers; i++)
        if (r->transfers[i].descriptor == x->index)
            t = &r->transfers[i];
    if (!t)
        return seen_nothing(s, "no such descriptor");
    if (strcmp(x->key, "deallocate") == 0)
        return seen_flag(s, t->deallocate);
    if (strcmp(x->key, "size") == 0)
        return seen_number(s, t->size, QT_COUNT);
    return seen_text(s, strcmp(x->key, "kind") == 0       ? t->kind
                        : strcmp(x->key, "asked") == 0    ? t->asked
                        : strcmp(x->key, "received") == 0 ? t->received
                        : strcmp(x->key, "done") == 0     ? t->done
                                                          : t->why);
}

static int look_at_message(const struct expectation *x, const struct store_message *m,
                           struct seen *s)
{
    if (!m)
        return seen_nothing(s, "no message");
    if (strcmp(x->key, "id") == 0)
        return seen_number(s, m->id, 0);
    if (strcmp(x->key, "size") == 0)
        return seen_number(s, m->size, QT_COUNT);
    if (strcmp(x->key, "descriptors") == 0)
        return seen_number(s, m->descriptors, QT_COUNT);
    if (strcmp(x->key, "reply_sent") == 0)
        return seen_flag(s, m->reply_sent);
    return m->text ? set_text(s, m->text) : seen_nothing(s, "no text");
}

/* Of so many times the percentile says nothing else than the longest does. */
#define FEW_TIMES 100

static int look_at_latency(const struct step_result *r, const char *part, bool longest,
                           struct seen *s)
{
    for (size_t i = 0; r->latencies && i < r->latencies->n; i++) {
        const struct store_latency *l = &r->latencies->of[i];

        if (strcmp(l->part, part) != 0 || strcmp(l->since, "due") != 0 || l->times.n == 0)
            continue;
        if (!longest && l->times.n < FEW_TIMES)
            return seen_nothing(s, "fewer than 100 touches");
        return seen_number(s, (int64_t)(longest ? l->times.max : histogram_at(&l->times, 99, 100)),
                           QT_NS);
    }
    return seen_nothing(s, "no touch");
}

static int look_at_snapshot(const struct expectation *x, const struct step_result *r,
                            struct seen *s)
{
    const struct store_snapshot *n = r->snapshot;

    if (!n)
        return seen_nothing(s, "no snapshot");
    if (strcmp(x->key, "consistent") == 0)
        return seen_flag(s, n->torn_pages == 0);
    if (strcmp(x->key, "torn_pages") == 0)
        return seen_number(s, n->torn_pages, QT_PAGES);
    if (strcmp(x->key, "still_ns") == 0)
        return seen_number(s, n->still_ns, QT_NS);
    if (strcmp(x->key, "take_ns") == 0)
        return seen_number(s, n->take_ns, QT_NS);
    if (strcmp(x->key, "readout_ns") == 0)
        return seen_number(s, n->readout_ns, QT_NS);
    if (strcmp(x->key, "copied_pages") == 0)
        return seen_value(s, n->copied_pages, QT_PAGES);
    if (strcmp(x->key, "peak_kb") == 0)
        return seen_value(s, n->peak_kb, QT_KB);
    return look_at_latency(r, strstr(x->key, "before") ? "before" : "during",
                           strcmp(x->key, "max_during_ns") == 0, s);
}

static int look(const struct expectation *x, const struct step_result *r, struct seen *s)
{
    const struct obs_region *region;
    const struct obs_process *process;
    int q;

    switch (x->on) {
    case EXPECT_REGION:
        region = observation_find_region(&r->obs, x->observed, x->region, x->case_name);
        q = quantity_index(region_quantities, x->key);
        if (!region || q < 0)
            return seen_nothing(s, "not observed");
        return seen_value(s, region->q[q], region_quantities[q].type);
    case EXPECT_PROCESS:
        process = observation_find_process(&r->obs, x->observed);
        q = quantity_index(process_quantities, x->key);
        if (!process || q < 0)
            return seen_nothing(s, "not observed");
        return seen_value(s, process->q[q], process_quantities[q].type);
    case EXPECT_TOTALS:
        q = quantity_index(total_quantities, x->key);
        if (q < 0)
            return seen_nothing(s, "not observed");
        return seen_value(s, r->obs.totals[q], total_quantities[q].type);
    case EXPECT_SHARING:
        return look_at_sharing(x, &r->obs, s);
    case EXPECT_TRANSFER:
        return look_at_transfer(x, r, s);
    case EXPECT_MESSAGE:
        return look_at_message(x, r->message, s);
    case EXPECT_SNAPSHOT:
        return look_at_snapshot(x, r, s);
    }
    return seen_nothing(s, "not observed");
}

static bool holds(const struct expectation *x, const struct seen *s)
{
    if (s->what != SEEN)
        return false;
    if (x->kind == EXPECT_TEXT)
        return strcmp(x->text, s->text) == 0;
    return s->number && (!x->has_min || s->n >= x->min) && (!x->has_max || s->n <= x->max);
}

/* "parent.r#case", "totals", "transfer[1]": as the scenario has it. */
static int on_text(const struct expectation *x, char **out)
{
    int n;

    switch (x->on) {
    case EXPECT_REGION:
        n = asprintf(out, "%s.%s%s%s", x->observed, x->region, x->case_name ? "#" : "",
                     x->case_name ? x->case_name : "");
        break;
    case EXPECT_SHARING:
        n = asprintf(out, "%s&%s", x->observed, x->other);
        break;
    case EXPECT_TRANSFER:
        n = x->index ? asprintf(out, "transfer[%d]", x->index) : asprintf(out, "transfer");
        break;
    default:
        n = asprintf(out, "%s",
                     x->on == EXPECT_PROCESS    ? x->observed
                     : x->on == EXPECT_TOTALS   ? "totals"
                     : x->on == EXPECT_SNAPSHOT ? "snapshot"
                                                : "received");
    }
    return n < 0 ? (*out = NULL, -ENOMEM) : 0;
}

static int expected_text(const struct expectation *x, char **out)
{
    int n;

    if (x->kind == EXPECT_TEXT)
        n = asprintf(out, "%s", x->text);
    else if (x->kind == EXPECT_BOOL)
        n = asprintf(out, "%s", x->min ? "true" : "false");
    else if (x->kind == EXPECT_NUMBER)
        n = asprintf(out, "%lld", (long long)x->min);
    else if (x->has_min && x->has_max)
        n = asprintf(out, "%lld to %lld", (long long)x->min, (long long)x->max);
    else
        n = asprintf(out, "%s %lld", x->has_min ? "at least" : "at most",
                     (long long)(x->has_min ? x->min : x->max));
    return n < 0 ? (*out = NULL, -ENOMEM) : 0;
}

static void free_result(struct store_expectation *x)
{
    free((char *)x->on);
    free((char *)x->key);
    free((char *)x->expected);
    free((char *)x->measured);
}

/* Fills *out (which starts zeroed) with texts of its own; the caller frees them in any case. */
static int check_one(const struct expectation *x, const struct step_result *r,
                     struct store_expectation *out)
{
    char *on = NULL, *expected = NULL;
    struct seen s = {.what = SEEN};
    int rc = look(x, r, &s);

    out->measured = s.text;
    out->reason = s.reason;
    out->line = x->at.line;
    rc = rc ? rc : on_text(x, &on);
    out->on = on;
    rc = rc ? rc : expected_text(x, &expected);
    out->expected = expected;
    if (rc < 0)
        return rc;
    out->held = s.what == SEEN_UNKNOWN || s.what == SEEN_INFERRED ? -1 : holds(x, &s);
    out->key = strdup(x->key);
    return out->key ? 0 : -ENOMEM;
}

int expect_judge(const struct step *step, const struct step_result *seen, struct judged *out,
                 struct err *e)
{
    struct judged r = {calloc(step->nexpect + 1, sizeof *r.list), 0, 0, 0, 0};

    for (size_t i = 0; i < step->nexpect && r.list; i++) {
        r.count++;
        if (check_one(&step->expect[i], seen, &r.list[i]) < 0)
            goto no_memory;
        r.held += r.list[i].held == 1;
        r.failed += r.list[i].held == 0;
        r.not_checked += r.list[i].held < 0;
    }
    if (!r.list)
        goto no_memory;
    *out = r;
    return 0;
no_memory:
    judged_release(&r);
    return err_sys(e, ENOMEM, "cannot check the expectations of step %d", step->number);
}

void judged_release(struct judged *r)
{
    for (size_t i = 0; i < r->count; i++)
        free_result(&r->list[i]);
    free(r->list);
    *r = (struct judged){NULL, 0, 0, 0, 0};
}

static void tell(FILE *out, const struct seen *s, const char **reason)
{
    static const enum unit units[] = {
        [QT_PAGES] = UNIT_PAGES, [QT_COUNT] = UNIT_NUMBER, [QT_KB] = UNIT_KB, [QT_NS] = UNIT_NS};
    char amount[FORMAT_MAX];

    if (s->what == SEEN_UNKNOWN && same_text(s->reason, *reason)) {
        fputs("unknown", out);
    } else if (s->what == SEEN_UNKNOWN) {
        fprintf(out, "unknown (%s)", s->reason);
        *reason = s->reason;
    } else {
        fprintf(out, "%s%s", s->what == SEEN_INFERRED ? format_mark(value_inferred(s->n)) : "",
                s->amount ? format_unit(amount, units[s->amount], (double)s->n) : s->text);
    }
}

int answer_tell(const struct step *step, const struct step_result *seen, const char **reason,
                char **out, struct err *e)
{
    size_t len;
    FILE *text = step->nanswer ? open_memstream(out, &len) : NULL;
    int rc = step->nanswer && !text ? -ENOMEM : 0;

    if (!text)
        *out = NULL;
    for (size_t i = 0; i < step->nanswer && rc == 0; i++) {
        const struct answer_part *part = &step->answer[i];
        struct seen s = {.what = SEEN};

        fputs(part->text, text);
        rc = part->value.key ? look(&part->value, seen, &s) : 0;
        if (part->value.key && rc == 0)
            tell(text, &s, reason);
        free(s.text);
    }
    if (text && ferror(text))
        rc = -ENOMEM;
    if (text && fclose(text) != 0)
        rc = -ENOMEM;
    if (rc == 0)
        return 0;
    free(*out);
    *out = NULL;
    return err_sys(e, ENOMEM, "cannot tell the answer of step %d", step->number);
}
