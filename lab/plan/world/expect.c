/* expect: the expectations of a step. `expect`, then `expect.<backend>`, then each
 * matching item of `expect_when` override one another key by key; null takes one away.
 * The keys are the columns of probes/words.h and, for messages, of what db/ stores of them. */
#include "lab/plan/world/world.h"
#include "probes/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct word done_words[] = {
    {1, "virtual", NULL}, {2, "physical", NULL}, {3, "shared", NULL},
    {4, "copied", NULL},  {5, "moved", NULL},    {6, "made", NULL},
    {7, "right", NULL},   {8, "null", NULL},     {0, NULL, NULL}};
static const struct key transfer_keys[] = {{"kind", KEY_WORD, part_words},
                                           {"asked", KEY_WORD, copy_words},
                                           {"received", KEY_WORD, copy_words},
                                           {"done", KEY_WORD, done_words},
                                           {"deallocate", KEY_BOOL, NULL},
                                           {"size", KEY_NUMBER, NULL},
                                           {"why", KEY_TEXT, NULL},
                                           {NULL, 0, NULL}};
static const struct key message_keys[] = {
    {"id", KEY_SIGNED, NULL},          {"size", KEY_NUMBER, NULL},     {"text", KEY_TEXT, NULL},
    {"descriptors", KEY_NUMBER, NULL}, {"reply_sent", KEY_BOOL, NULL}, {NULL, 0, NULL}};
static const struct key sharing_keys[] = {
    {"region_frames", KEY_NUMBER, NULL}, {"frames", KEY_NUMBER, NULL}, {NULL, 0, NULL}};

static const struct key snapshot_keys[] = {{"consistent", KEY_BOOL, NULL},
                                           {"torn_pages", KEY_NUMBER, NULL},
                                           {"still_ns", KEY_NUMBER, NULL},
                                           {"take_ns", KEY_NUMBER, NULL},
                                           {"readout_ns", KEY_NUMBER, NULL},
                                           {"copied_pages", KEY_NUMBER, NULL},
                                           {"peak_kb", KEY_NUMBER, NULL},
                                           {"p99_before_ns", KEY_NUMBER, NULL},
                                           {"p99_during_ns", KEY_NUMBER, NULL},
                                           {"max_during_ns", KEY_NUMBER, NULL},
                                           {NULL, 0, NULL}};

/* One set of expectations being read into a step. */
struct reading {
    const struct reader *r;
    struct world *w;
    enum message_use use;
    bool snapshot; /* the step makes one */
    struct step *s;
    struct expectation about; /* who the keys in hand are about */
    const char *name;         /* in hand: a target or a key */
    const cJSON *node;        /* where it stands: its key, or inside its text */
    bool inside;
    size_t index;
};

static size_t here(const struct reading *g)
{
    return g->inside ? json_doc_inside(g->r->doc, g->node, g->index) : key_offset(g->r, g->node);
}

#define fail_here(g, ...) fail_offset((g)->r, (g)->node, here(g), __VA_ARGS__)

/* --- who it is about --- */

static int need_living(struct reading *g, const char *name)
{
    int state = world_actor_state(g->w, name);

    if (state < 0)
        return no_actor(g->r, g->w, g->node, here(g), name);
    if (state != ACTOR_ALIVE && state != ACTOR_IN_DOUBT) {
        world_poison(g->w, g->r, name, NULL);
        return fail_here(g, "actor '%s' does not live after this step", name);
    }
    return 0;
}

/* name is "region" or "region#case". */
static int target_region(struct reading *g, const char *actor, char *name)
{
    char *hash = strchr(name, '#');
    const char *in = g->r->case_name, *found = NULL, *names[64];
    bool message = strcmp(actor, "message") == 0;
    size_t n;
    int rc;

    if (hash) {
        *hash = '\0';
        in = hash + 1;
    }
    rc = message ? 0 : need_living(g, actor);
    if (rc < 0)
        return rc;
    if (!world_resolve(g->w, actor, name, in, &found) || (hash && !found)) {
        if (world_doubts(g->w, actor))
            return -EINVAL;
        /* The world borrows the name: only one that stands in the document alone outlives it. */
        if (!hash && !g->inside && world_poison(g->w, g->r, actor, strchr(g->name, '.') + 1) < 0)
            return -ENOMEM;
        n = world_region_names(g->w, actor, names, 64);
        if (message)
            return fail_here(g, "no message carries region '%.60s' after this step", name);
        if (n == 0)
            return fail_here(g, "'%s' has no region '%.60s' after this step", actor, name);
        return fail_here(g,
                         "'%s' has no region '%.60s' after this step, the nearest it has is '%s'",
                         actor, hash ? g->name : name, nearest(name, names, n));
    }
    rc = copy_text(g->r, &g->about.observed, actor);
    if (rc == 0)
        rc = copy_text(g->r, &g->about.region, name);
    return rc < 0 ? rc : copy_text(g->r, &g->about.case_name, found);
}

static int target_pair(struct reading *g, const char *a, const char *b)
{
    int rc = need_living(g, a);

    if (rc == 0)
        rc = need_living(g, b);
    if (rc == 0 && strcmp(a, b) == 0)
        return fail_here(g, "two actors are needed");
    if (rc == 0)
        rc = copy_text(g->r, &g->about.observed, a);
    return rc < 0 ? rc : copy_text(g->r, &g->about.other, b);
}

/* "transfer" or "transfer[N]" */
static int target_transfer(struct reading *g, const char *rest)
{
    size_t len = strlen(rest);
    int64_t n = 0;

    if (*rest && (*rest != '[' || rest[len - 1] != ']' || parse_int(rest + 1, len - 2, &n) < 0 ||
                  n < 0 || n > 99))
        return fail_here(g, "expected \"transfer\" or \"transfer[N]\"");
    if (g->use == MESSAGE_SILENT)
        return fail_here(g, "this step transfers nothing");
    g->about.index = (int)n;
    return 0;
}

static int target(struct reading *g, char *text)
{
    char *dot = strchr(text, '.'), *hash = strchr(text, '#'), *and = strchr(text, '&');
    int rc;

    if (strcmp(text, "totals") == 0) {
        g->about.on = EXPECT_TOTALS;
        return 0;
    }
    if (strcmp(text, "received") == 0) {
        g->about.on = EXPECT_MESSAGE;
        return g->use == MESSAGE_RECEIVES || g->use == MESSAGE_ANSWERS
                   ? 0
                   : fail_here(g, "this step receives nothing");
    }
    if (strcmp(text, "snapshot") == 0) {
        g->about.on = EXPECT_SNAPSHOT;
        return g->snapshot ? 0 : fail_here(g, "this step makes no snapshot");
    }
    if (strncmp(text, "transfer", 8) == 0 && (text[8] == '\0' || text[8] == '[')) {
        g->about.on = EXPECT_TRANSFER;
        return target_transfer(g, text + 8);
    }
    if (dot && (!hash || dot < hash)) {
        *dot = '\0';
        g->about.on = EXPECT_REGION;
        return target_region(g, text, dot + 1);
    }
    if (and) {
        *and = '\0';
        g->about.on = EXPECT_SHARING;
        return target_pair(g, text, and+1);
    }
    g->about.on = EXPECT_PROCESS;
    rc = need_living(g, text);
    return rc < 0 ? rc : copy_text(g->r, &g->about.observed, text);
}

static int parse_target(struct reading *g)
{
    char *text = strdup(g->name);
    int rc = text ? target(g, text) : err_no_memory(g->r->e);

    free(text);
    return rc;
}

/* What stands for a process may be meant for something else, with other keys. */
static bool may_have_keys(const struct reading *g, int rc)
{
    return rc == -EINVAL && g->about.on != EXPECT_PROCESS;
}

/* --- what is expected --- */

static struct key quantity_key(const struct quantity *q)
{
    const struct word *words = quantity_words(q->type);

    return (struct key){q->column,
                        words                      ? KEY_WORD
                        : q->type == QT_PROTECTION ? KEY_PROTECTION
                                                   : KEY_NUMBER,
                        words};
}

bool expected_key(enum expect_on on, size_t n, struct key *out)
{
    const struct quantity *q = on == EXPECT_REGION    ? region_quantities
                               : on == EXPECT_PROCESS ? process_quantities
                               : on == EXPECT_TOTALS  ? total_quantities
                                                      : NULL;
    const struct key *k = on == EXPECT_TRANSFER   ? transfer_keys
                          : on == EXPECT_MESSAGE  ? message_keys
                          : on == EXPECT_SNAPSHOT ? snapshot_keys
                                                  : sharing_keys;

    *out = q ? quantity_key(&q[n]) : k[n];
    return out->name;
}

static int find_key(struct reading *g, struct key *out)
{
    const char *names[64];
    size_t n = 0;

    for (; n < 64 && expected_key(g->about.on, n, out); n++) {
        names[n] = out->name;
        if (strcmp(out->name, g->name) == 0)
            return 0;
    }
    return fail_here(g, "unknown key '%.60s', the nearest known is '%s'", g->name,
                     nearest(g->name, names, n));
}

static int read_range(const struct reader *r, const cJSON *node, const struct key *key,
                      struct expectation *x)
{
    static const struct field fields[] = {FIELD_ANY("min", OPTIONAL), FIELD_ANY("max", OPTIONAL),
                                          FIELD_END};
    const cJSON *min = member(node, "min"), *max = member(node, "max");
    int64_t low = key->type == KEY_SIGNED ? INT64_MIN : 0;
    int rc = read_fields(r, node, fields, NULL);

    if (rc < 0)
        return rc;
    if (key->type != KEY_NUMBER && key->type != KEY_SIGNED)
        return fail_at(r, node, "a range is for numbers, and '%s' is none", key->name);
    if (!min && !max)
        return fail_at(r, node, "expected 'min', 'max' or both");
    x->kind = EXPECT_RANGE;
    x->has_min = min;
    x->has_max = max;
    if (min)
        rc = read_int(r, min, low, INT64_MAX, &x->min);
    if (!fatal(rc) && max)
        rc = either(rc, read_int(r, max, low, INT64_MAX, &x->max));
    if (rc == 0 && min && max && x->min > x->max)
        return fail_at(r, min, "the minimum %lld is above the maximum %lld", (long long)x->min,
                       (long long)x->max);
    return rc;
}

static int read_expected_text(const struct reader *r, const cJSON *node, const struct key *key,
                              struct expectation *x)
{
    const char *text;
    int word, rc = read_text(r, node, key->type == KEY_TEXT, &text);

    x->kind = EXPECT_TEXT;
    if (rc == 0 && key->type == KEY_WORD)
        rc = read_word(r, node, key->words, &word);
    if (rc == 0 && key->type == KEY_PROTECTION && protection_code(text) < 0)
        return fail_at(r, node, "'%.60s' is not a protection like \"rw-\"", text);
    return rc < 0 ? rc : copy_text(r, &x->text, text);
}

static int read_expected(const struct reader *r, const cJSON *node, const struct key *key,
                         struct expectation *x)
{
    bool flag = false;
    int rc;

    if (cJSON_IsObject(node))
        return read_range(r, node, key, x);
    switch (key->type) {
    case KEY_NUMBER:
    case KEY_SIGNED:
        x->kind = EXPECT_NUMBER;
        x->has_min = x->has_max = true;
        rc = read_int(r, node, key->type == KEY_NUMBER ? 0 : INT64_MIN, INT64_MAX, &x->min);
        x->max = x->min;
        return rc;
    case KEY_BOOL:
        x->kind = EXPECT_BOOL;
        x->has_min = x->has_max = true;
        rc = read_bool(r, node, &flag);
        x->min = x->max = flag;
        return rc;
    default:
        return read_expected_text(r, node, key, x);
    }
}

/* --- putting them into the step --- */

static int text_order(const char *a, const char *b)
{
    return !a || !b ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

/* By who and what it is about, then as they were read: they lie in one array. */
static int by_subject(const void *left, const void *right)
{
    const struct expectation *a = *(const struct expectation *const *)left;
    const struct expectation *b = *(const struct expectation *const *)right;
    const char *const texts[][2] = {{a->observed, b->observed},
                                    {a->other, b->other},
                                    {a->region, b->region},
                                    {a->case_name, b->case_name},
                                    {a->key, b->key}};
    int c = a->on != b->on ? (int)a->on - (int)b->on : a->index - b->index;

    for (size_t i = 0; i < sizeof texts / sizeof *texts && c == 0; i++)
        c = text_order(texts[i][0], texts[i][1]);
    return c;
}

static int by_subject_then_place(const void *left, const void *right)
{
    const struct expectation *a = *(const struct expectation *const *)left;
    const struct expectation *b = *(const struct expectation *const *)right;
    int c = by_subject(left, right);

    return c ? c : (a > b) - (a < b);
}

/* Of all that were read about one thing the last one counts, and none if that is null. */
static int keep_last(const struct reader *r, struct step *s)
{
    struct expectation **sorted = calloc(s->nexpect + 1, sizeof *sorted);
    size_t kept = 0;

    if (!sorted)
        return err_no_memory(r->e);
    for (size_t i = 0; i < s->nexpect; i++)
        sorted[i] = &s->expect[i];
    qsort(sorted, s->nexpect, sizeof *sorted, by_subject_then_place);
    for (size_t i = 0; i < s->nexpect; i++)
        if (i + 1 < s->nexpect && by_subject(&sorted[i], &sorted[i + 1]) == 0)
            sorted[i]->kind = EXPECT_NOTHING;
    free(sorted);
    for (size_t i = 0; i < s->nexpect; i++)
        if (s->expect[i].kind == EXPECT_NOTHING)
            expectation_release(&s->expect[i]);
        else
            s->expect[kept++] = s->expect[i];
    s->nexpect = kept;
    return 0;
}

static int read_key(struct reading *g, const cJSON *node)
{
    const struct expectation *t = &g->about;
    struct expectation *x;
    struct key key = {NULL, KEY_NUMBER, NULL};
    int rc;

    g->node = node;
    g->name = node->string;
    rc = find_key(g, &key);

    if (rc < 0)
        return rc;
    x = LIST_ADD(g->s->expect, g->s->nexpect); /* the step's at once */
    if (!x)
        return err_no_memory(g->r->e);
    x->on = t->on;
    x->index = t->index;
    json_doc_place(g->r->doc, json_doc_mark(g->r->doc, node).value, &x->at.line, &x->at.column);
    rc = copy_text(g->r, &x->observed, t->observed);
    if (rc == 0)
        rc = copy_text(g->r, &x->other, t->other);
    if (rc == 0)
        rc = copy_text(g->r, &x->region, t->region);
    if (rc == 0)
        rc = copy_text(g->r, &x->case_name, t->case_name);
    if (rc == 0)
        rc = copy_text(g->r, &x->key, key.name);
    return rc < 0 || cJSON_IsNull(node) ? rc : read_expected(g->r, node, &key, x);
}

static int read_target(struct reading *g, const cJSON *node)
{
    const cJSON *key, *keys = cJSON_IsObject(node) ? node : NULL;
    int rc;

    g->node = node;
    g->name = node->string;
    rc = parse_target(g);
    if (rc == 0 || may_have_keys(g, rc)) {
        rc = either(rc, check_object(g->r, node));
        cJSON_ArrayForEach (key, keys) {
            rc = either(rc, read_key(g, key));
            if (fatal(rc))
                break;
        }
    }
    expectation_release(&g->about);
    return rc;
}

static int read_set(struct reading *g, const cJSON *set)
{
    const cJSON *node;
    int rc;

    if (!set)
        return 0;
    rc = check_object(g->r, set);
    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (node, set) {
        rc = either(rc, read_target(g, node));
        if (fatal(rc))
            return rc;
    }
    return rc;
}

/* [{"when": {...}, "expect": {...}}, ...] */
static int read_conditional(struct reading *g, const cJSON *list)
{
    static const struct field fields[] = {FIELD_ANY("when", NEEDED), FIELD_ANY("expect", NEEDED),
                                          FIELD_END};
    const cJSON *item;
    int rc = list ? check_array(g->r, list) : 0;

    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (item, list) {
        bool on = false;
        int one = read_fields(g->r, item, fields, NULL);

        if (one == 0)
            one = eval_when(g->r, member(item, "when"), &on);
        if (one == 0 && on)
            one = read_set(g, member(item, "expect"));
        rc = either(rc, one);
        if (fatal(rc))
            return rc;
    }
    return rc;
}

static struct reading reading_of(const struct reader *r, struct world *w, const struct draft *d)
{
    /* A step that may do anything may send and receive. */
    return (struct reading){.r = r,
                            .w = w,
                            .use = d->does ? d->does->message : MESSAGE_ANSWERS,
                            .snapshot = !d->does || d->does->action == ACT_SNAPSHOT};
}

int read_observed(const struct reader *r, struct world *w, const struct draft *d, const cJSON *node,
                  size_t index, char *name, struct expectation *out)
{
    struct reading g = reading_of(r, w, d);
    char *dot = strrchr(name, '.');
    struct key key;
    int rc;

    g.node = node;
    g.inside = true;
    g.index = index;
    g.name = name;
    if (!dot)
        return fail_here(&g, "expected {observed.key}, not '%.60s'", name);
    *dot = '\0';
    rc = parse_target(&g);
    if (rc == 0 || may_have_keys(&g, rc)) {
        g.index += (size_t)(dot + 1 - name);
        g.name = dot + 1;
        rc = either(rc, find_key(&g, &key));
    }
    if (rc == 0)
        rc = copy_text(r, &g.about.key, key.name);
    *out = g.about;
    return rc;
}

int read_expectations(const struct reader *r, struct world *w, struct draft *d)
{
    struct reading g = reading_of(r, w, d);
    char key[64];
    int rc;

    g.s = &d->step;
    snprintf(key, sizeof key, "expect.%s", r->ability->name);
    rc = read_set(&g, member(d->node, "expect"));
    if (!fatal(rc))
        rc = either(rc, read_set(&g, member(d->node, key)));
    if (!fatal(rc))
        rc = either(rc, read_conditional(&g, member(d->node, "expect_when")));
    return rc < 0 ? rc : keep_last(r, &d->step);
}
