/* step: one step's JSON to a struct step, by the rows of lab/actions.h. What its names mean is
 * world/'s. */
#include "lab/plan/text/reader.h"
#include "probes/list.h"

#include <stdlib.h>
#include <string.h>

/* --- words --- */

#define WORD(e, code, text, ...) {code, text, NULL},
#define WORD_HELP(e, code, text, help) {code, text, help},
const struct word action_words[] = {ACTIONS(WORD){0, NULL, NULL}};
const struct word map_kind_words[] = {MAP_KINDS(WORD_HELP){0, NULL, NULL}};
const struct word part_words[] = {MESSAGE_PARTS(WORD){0, NULL, NULL}};
#define WORD_WAY(e, code, text, kind, help) {code, text, help},
const struct word way_words[] = {WAYS(WORD_WAY){0, NULL, NULL}};
static const struct word into_words[] = {{0, "fresh", NULL}, {1, "used", NULL}, {0, NULL, NULL}};
const struct word snapshot_way_words[] = {SNAPSHOT_WAYS(WORD_HELP){0, NULL, NULL}};
static const struct word advice_words[] = {ADVICES(WORD){0, NULL, NULL}};
const struct word copy_words[] = {{0, "virtual", NULL}, {1, "physical", NULL}, {0, NULL, NULL}};
/* "zero" is what madvise WIPEONFORK gives. */
static const struct word inherit_words[] = {{INH_COPY, "copy", NULL},
                                            {INH_SHARE, "share", NULL},
                                            {INH_NONE, "none", NULL},
                                            {0, NULL, NULL}};
/* MACH_MSG_TYPE_*, as <mach/message.h> numbers them. */
static const struct word disposition_words[] = {{16, "move_receive", NULL},
                                                {17, "move_send", NULL},
                                                {18, "move_send_once", NULL},
                                                {19, "copy_send", NULL},
                                                {20, "make_send", NULL},
                                                {21, "make_send_once", NULL},
                                                {0, NULL, NULL}};

/* --- types of fields --- */

/* "r", or outside the cases also "r#case". */
static int read_region(const struct reader *r, const cJSON *node, char **region, char **case_name)
{
    const char *text, *hash;
    char name[64];
    int rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    hash = strchr(text, '#');
    if (!hash)
        return read_name(r, node, region);
    if (r->case_name)
        return fail_at(r, node, "'#' is for steps outside the cases");
    if ((size_t)(hash - text) >= sizeof name || hash[1] == '\0')
        return fail_at(r, node, "expected a region or region#case, not '%.60s'", text);
    memcpy(name, text, (size_t)(hash - text));
    name[hash - text] = '\0';
    if (!is_name(name))
        return fail_at(r, node, "'%s' is not a name", name);
    rc = copy_text(r, region, name);
    return rc < 0 ? rc : copy_text(r, case_name, hash + 1);
}

static int read_every(const struct reader *r, const cJSON *node, struct page_select *out)
{
    int64_t n;
    int rc = read_int(r, node, 1, LIMIT_PAGES, &n);

    if (rc == 0)
        *out = (struct page_select){SEL_EVERY, (unsigned long long)n, 0};
    return rc;
}

static int read_range(const struct reader *r, const cJSON *node, struct page_select *out)
{
    int64_t first, count;
    int rc = check_array(r, node);

    if (rc == 0 && cJSON_GetArraySize(node) != 2)
        return fail_at(r, node, "expected [first, count]");
    if (rc == 0)
        rc = either(read_int(r, node->child, 0, LIMIT_PAGES, &first),
                    read_int(r, node->child->next, 1, LIMIT_PAGES, &count));
    if (rc == 0)
        *out =
            (struct page_select){SEL_RANGE, (unsigned long long)first, (unsigned long long)count};
    return rc;
}

static int read_share(const struct reader *r, const cJSON *share, const cJSON *seed,
                      struct page_select *out)
{
    uint64_t ppm;
    int64_t n = 1;
    int rc = read_percent(r, share, &ppm);

    if (rc == 0 && seed)
        rc = read_int(r, seed, 0, INT64_MAX, &n);
    if (rc == 0)
        *out = (struct page_select){SEL_SHARE, ppm, (unsigned long long)n};
    return rc;
}

/* "all", "first", {"every": n}, {"range": [first, count]}, {"share": percent, "seed": n} */
static int read_select(const struct reader *r, const cJSON *node, struct page_select *out)
{
    static const struct word words[] = {
        {SEL_ALL, "all", NULL}, {SEL_FIRST, "first", NULL}, {0, NULL, NULL}};
    static const struct field fields[] = {
        FIELD_ANY("every", OPTIONAL), FIELD_ANY("range", OPTIONAL), FIELD_ANY("share", OPTIONAL),
        FIELD_ANY("seed", OPTIONAL), FIELD_END};
    const cJSON *every = member(node, "every"), *range = member(node, "range");
    const cJSON *share = member(node, "share"), *seed = member(node, "seed");
    int word, rc;

    if (cJSON_IsString(node)) {
        rc = read_word(r, node, words, &word);
        if (rc == 0)
            *out = (struct page_select){(unsigned int)word, 0, 0};
        return rc;
    }
    if (!cJSON_IsObject(node))
        return fail_at(r, node, "expected \"all\", \"first\" or an object, not %s", kind_of(node));
    rc = read_fields(r, node, fields, NULL);
    if (rc < 0)
        return rc;
    if (!!every + !!range + !!share != 1)
        return fail_at(r, node, "expected one of 'every', 'range' and 'share'");
    if (seed && !share)
        return fail_at_key(r, seed, "'seed' goes with 'share'");
    return every   ? read_every(r, every, out)
           : range ? read_range(r, range, out)
                   : read_share(r, share, seed, out);
}

static int step_region(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    struct step *s = out;

    (void)f;
    return read_region(r, node, &s->region, &s->case_name);
}

static int part_region(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    struct message_part *part = out;

    (void)f;
    return read_region(r, node, &part->region, &part->case_name);
}

static int step_select(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return read_select(r, node, (struct page_select *)((char *)out + f->offset));
}

static int step_stamp(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    struct step *s = out;
    const char *text;
    int rc = read_text(r, node, false, &text);

    (void)f;
    if (rc < 0)
        return rc;
    if (strlen(text) != 1 || !((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z')))
        return fail_at(r, node, "a stamp is one letter, not '%.60s'", text);
    s->has_stamp = true;
    s->stamp = *text;
    return 0;
}

static int step_protection(const struct reader *r, const cJSON *node, const struct field *f,
                           void *out)
{
    int *bits = (int *)((char *)out + f->offset);
    const char *text;
    int rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    *bits = protection_code(text);
    return *bits < 0 ? fail_at(r, node, "'%.60s' is not a protection like \"rw-\"", text) : 0;
}

#define TYPE_DISPOSITION TYPE_WORD(disposition_words, "disposition")
#define TYPE_COPY TYPE_FLAG(copy_words, "copy")
#define TYPE_PART_REGION part_region, NULL, "region"
#define PART_FIELD(e, code, key, type, member)                                                     \
    FIELD(key, OPTIONAL, type, 0, 0, struct message_part, member),
const struct field part_fields[] = {
    MESSAGE_PARTS(PART_FIELD)
        FIELD("count", OPTIONAL, U64, 0, LIMIT_RIGHTS, struct message_part, count),
    FIELD("copy", OPTIONAL, COPY, 0, 0, struct message_part, physical),
    FIELD("deallocate", OPTIONAL, BOOL, 0, 0, struct message_part, deallocate), FIELD_END};

static int read_part(const struct reader *r, const cJSON *node, struct message_part *out)
{
    int found = 0, rc = read_fields(r, node, part_fields, out);

    if (rc < 0)
        return rc;
    for (const struct word *w = part_words; w->text; w++)
        if (member(node, w->text)) {
            found++;
            out->kind = (enum part_kind)w->code;
        }
    if (found != 1)
        return fail_at(r, node, "expected one of 'port', 'ool', 'ool_volatile' and 'ool_ports'");
    if (member(node, "count") && out->kind != PART_OOL_PORTS)
        return fail_at_key(r, member(node, "count"), "'count' goes with 'ool_ports'");
    return 0;
}

static int step_parts(const struct reader *r, const cJSON *parts, const struct field *f, void *out)
{
    struct step *s = out;
    const cJSON *node;
    int rc = check_array(r, parts);

    if (rc < 0)
        return rc;
    if (cJSON_GetArraySize(parts) > f->max)
        return fail_at(r, parts, "more than %d parts", (int)f->max);
    s->parts = calloc((size_t)cJSON_GetArraySize(parts) + 1, sizeof *s->parts);
    if (!s->parts)
        return err_no_memory(r->e);
    cJSON_ArrayForEach (node, parts) {
        rc = either(rc, read_part(r, node, &s->parts[s->nparts++]));
        if (fatal(rc))
            return rc;
    }
    return rc;
}

/* --- actions --- */

#define TYPE_REGION step_region, NULL, "region"
#define TYPE_SELECT step_select, NULL, "select"
#define TYPE_STAMP step_stamp, NULL, "stamp"
#define TYPE_COUNT NULL, NULL, "name" /* bound when the world has counted */
#define TYPE_PROTECTION step_protection, NULL, "protection"
#define TYPE_PARTS step_parts, NULL, "parts"
#define TYPE_KIND TYPE_WORD(map_kind_words, "kind")
#define TYPE_WAY TYPE_WORD(way_words, "way")
#define TYPE_INTO TYPE_FLAG(into_words, "into")
#define TYPE_SNAPSHOT_WAY TYPE_WORD(snapshot_way_words, "snapshot_way")
#define TYPE_ADVICE TYPE_WORD(advice_words, "advice")
#define TYPE_INHERITANCE TYPE_WORD(inherit_words, "inheritance")
#define STEP_FIELD(key, need, type, min, max, member)                                              \
    FIELD(key, need, type, min, max, struct step, member),
#define ACTION_FIELDS(e, code, key, region, message, help, FIELDS)                                 \
    static const struct field fields_of_##e[] = {FIELDS(STEP_FIELD) FIELD_END};
#define ACTION_ROW(e, code, key, region, message, help, FIELDS)                                    \
    {key, help, e, REGION_##region, MESSAGE_##message, fields_of_##e},
ACTIONS(ACTION_FIELDS)
const struct action_row action_rows[] = {ACTIONS(ACTION_ROW){NULL, NULL, 0, 0, 0, NULL}};

/* What the fields of an action leave to do. */
static int finish_action(const struct reader *r, const cJSON *node, struct step *s)
{
    const cJSON *bytes = member(node, "bytes");

    s->has_bytes = bytes;
    if (s->action == ACT_MAP && !bytes == !member(node, "pages"))
        return fail_at(r, node, "expected either 'pages' or 'bytes'");
    if (s->action == ACT_MAP && bytes)
        s->pages = (s->bytes + r->page_size - 1) / r->page_size;
    if (s->action == ACT_WRITE && !s->has_stamp) { /* a write always leaves a stamp */
        s->has_stamp = true;
        s->stamp = 'W';
    }
    if (s->action == ACT_EXIT && s->status < 0)
        s->status = 0;
    if (s->action == ACT_RECEIVE && s->expect_timeout && s->timeout_ms < 0)
        return fail_at(r, node, "'expect_timeout' needs 'timeout_ms'");
    return 0;
}

/* --- steps --- */

/* Keys of a step: its own, and one for each action. */
#define ACTION_KEY(e, code, key, ...) FIELD_ANY(key, OPTIONAL),
static const struct field step_fields[] = {
    FIELD("phase", NEEDED, WORD(phases, "phase"), 0, 0, struct step, phase),
    FIELD("actor", OPTIONAL, NAME, 0, 0, struct step, actor),
    FIELD("published", OPTIONAL, TEXT, 0, 0, struct step, published),
    FIELD_ANY("note", OPTIONAL),
    FIELD_ANY("when", OPTIONAL),
    FIELD_ANY("expect", OPTIONAL),
    FIELD_ANY("expect.", OPTIONAL),
    FIELD_ANY("expect_when", OPTIONAL),
    FIELD_ANY("answer", OPTIONAL),
    FIELD_ANY("answer.", OPTIONAL),
    ACTIONS(ACTION_KEY) FIELD_END};

/* The step's one action; does stays NULL without it. */
static int find_action(const struct reader *r, const cJSON *node, struct draft *out)
{
    const struct action_row *does = NULL;

    for (const struct action_row *row = action_rows; row->key; row++) {
        const cJSON *action = member(node, row->key);

        if (action && does)
            return fail_at_key(r, action, "a step has one action, and this has '%s' too",
                               does->key);
        if (action) {
            out->action = action;
            does = row;
        }
    }
    if (!does)
        return key_mistyped(r, node, step_fields, NULL)
                   ? -EINVAL
                   : fail_at(r, node, "a step needs an action");
    out->does = does;
    out->step.action = does->action;
    if (!member(node, "actor") && does->action != ACT_CHECKPOINT &&
        !key_mistyped(r, node, step_fields, "actor"))
        return fail_at(r, node, "'actor' is missing: who does it?");
    return 0;
}

int read_step(const struct reader *r, const cJSON *node, struct draft *out)
{
    const cJSON *when = member(node, "when"), *note = member(node, "note");
    struct step *s = &out->step;
    const char *text;
    bool on = true;
    int rc;

    out->node = node;
    s->status = -1;
    s->timeout_ms = -1;
    s->lead_ms = SNAPSHOT_LEAD_MS;
    s->lock = true;
    json_doc_place(r->doc, value_offset(r, node), &s->at.line, &s->at.column);
    rc = read_fields(r, node, step_fields, s);
    if (note)
        rc = either(rc, read_text(r, note, false, &text));
    out->when_in_doubt = key_mistyped(r, node, step_fields, "when");
    if (when) {
        int asked = eval_when(r, when, &on);

        out->when_in_doubt = asked < 0;
        rc = either(rc, asked);
    }
    if (cJSON_IsObject(node))
        rc = either(rc, find_action(r, node, out));
    if (out->does) {
        int read = read_fields(r, out->action, out->does->fields, s);

        rc = either(rc, read < 0 ? read : finish_action(r, out->action, s));
    }
    out->skipped = !on && !out->when_in_doubt;
    out->bad = rc < 0;
    return rc;
}

void expectation_release(struct expectation *x)
{
    FREE_ALL(x->observed, x->other, x->region, x->case_name, x->key, x->text);
    *x = (struct expectation){0};
}

void answer_release(struct step *s)
{
    for (size_t i = 0; i < s->nanswer; i++) {
        free(s->answer[i].text);
        expectation_release(&s->answer[i].value);
    }
    free(s->answer);
    s->answer = NULL;
    s->nanswer = 0;
}

static void parts_release(struct message_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(parts[i].region);
        free(parts[i].case_name);
    }
    free(parts);
}

void step_release(struct step *s)
{
    parts_release(s->parts, s->nparts);
    parts_release(s->arrives, s->narrives);
    for (size_t i = 0; i < s->nexpect; i++)
        expectation_release(&s->expect[i]);
    answer_release(s);
    FREE_ALL(s->expect, s->actor, s->case_name, s->region, s->as, s->child, s->to, s->text,
             s->published);
}
