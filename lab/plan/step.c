/* scenario_step: one step's JSON to a struct step. What its names mean is scenario_world's. */
#include "lab/plan/parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ACTION_WORD(e, code, key, region, help) {code, key, help},
#define KIND_WORD(e, code, text, help) {code, text, help},
#define ADVICE_WORD(e, code, text, constant) {code, text, NULL},
const struct word action_words[] = {ACTIONS(ACTION_WORD){0, NULL, NULL}};
const struct word map_kind_words[] = {MAP_KINDS(KIND_WORD){0, NULL, NULL}};
const struct word advice_words[] = {ADVICES(ADVICE_WORD){0, NULL, NULL}};

static const struct word copy_words[] = {
    {0, "virtual", NULL}, {1, "physical", NULL}, {0, NULL, NULL}};
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

#define PAGES_MAX (INT64_C(1) << 30)
#define BYTES_MAX (INT64_C(1) << 42)
#define TIMEOUT_MAX 60000
#define RIGHTS_MAX 64
#define PARTS_MAX 16

#define AT(member) offsetof(struct step, member)
#define ANY(key, required)                                                                         \
    {                                                                                              \
        key, FIELD_ANY, required, 0, 0, NULL, 0                                                    \
    }
#define NAME(key, member)                                                                          \
    {                                                                                              \
        key, FIELD_NAME, true, 0, 0, NULL, AT(member)                                              \
    }
#define REGION                                                                                     \
    {                                                                                              \
        "region", FIELD_ANY, true, 0, 0, NULL, 0                                                   \
    }
#define WORD(key, required, list, member)                                                          \
    {                                                                                              \
        key, FIELD_WORD, required, 0, 0, list, AT(member)                                          \
    }
#define BOOL(key, member)                                                                          \
    {                                                                                              \
        key, FIELD_BOOL, false, 0, 0, NULL, AT(member)                                             \
    }
#define NUMBER(key, type, min, max, member)                                                        \
    {                                                                                              \
        key, type, false, min, max, NULL, AT(member)                                               \
    }

static const struct field map_fields[] = {REGION, ANY("pages", false), ANY("bytes", false),
                                          WORD("kind", true, map_kind_words, kind)};
static const struct field touch_fields[] = {REGION, ANY("pages", true), ANY("stamp", false),
                                            ANY("count", false)};
static const struct field fork_fields[] = {NAME("as", as)};
static const struct field exit_fields[] = {NUMBER("status", FIELD_I32, 0, 255, status)};
static const struct field wait_fields[] = {NAME("child", child),
                                           NUMBER("status", FIELD_I32, 0, 255, status)};
static const struct field region_fields[] = {REGION};
static const struct field protect_fields[] = {REGION, ANY("protection", true)};
static const struct field lock_fields[] = {REGION, BOOL("on", lock)};
static const struct field inherit_fields[] = {REGION,
                                              WORD("inheritance", true, inherit_words, inherit)};
static const struct field madvise_fields[] = {REGION, WORD("advice", true, advice_words, advice)};
static const struct field checkpoint_fields[] = {BOOL("settle", settle)};
static const struct field ool_send_fields[] = {
    REGION,
    NAME("to", to),
    {"copy", FIELD_WORD_BOOL, true, 0, 0, copy_words, AT(physical)},
    BOOL("deallocate", deallocate),
    NUMBER("offset", FIELD_U64, 0, BYTES_MAX, offset_bytes),
    NUMBER("bytes", FIELD_U64, 0, BYTES_MAX, bytes)};
static const struct field send_fields[] = {
    NAME("to", to),
    NUMBER("id", FIELD_I32, INT32_MIN, INT32_MAX, message_id),
    {"text", FIELD_LINES, false, 0, 0, NULL, AT(text)},
    BOOL("reply", want_reply),
    NUMBER("timeout_ms", FIELD_I64, 0, TIMEOUT_MAX, timeout_ms),
    ANY("parts", false)};
static const struct field receive_fields[] = {
    NUMBER("timeout_ms", FIELD_I64, 0, TIMEOUT_MAX, timeout_ms),
    BOOL("expect_timeout", expect_timeout)};
static const struct field reply_fields[] = {
    NUMBER("id", FIELD_I32, INT32_MIN, INT32_MAX, message_id),
    {"text", FIELD_LINES, false, 0, 0, NULL, AT(text)},
    ANY("parts", false)};

#define TABLE(t) t, sizeof t / sizeof *t
static const struct {
    const struct field *fields;
    size_t n;
} action_fields[] = {
    [ACT_MAP] = {TABLE(map_fields)},
    [ACT_WRITE] = {TABLE(touch_fields)},
    [ACT_READ] = {TABLE(touch_fields)},
    [ACT_FORK] = {TABLE(fork_fields)},
    [ACT_EXEC] = {NULL, 0},
    [ACT_EXIT] = {TABLE(exit_fields)},
    [ACT_WAIT] = {TABLE(wait_fields)},
    [ACT_UNMAP] = {TABLE(region_fields)},
    [ACT_MOVE] = {TABLE(region_fields)},
    [ACT_PROTECT] = {TABLE(protect_fields)},
    [ACT_LOCK] = {TABLE(lock_fields)},
    [ACT_INHERIT] = {TABLE(inherit_fields)},
    [ACT_MADVISE] = {TABLE(madvise_fields)},
    [ACT_CHECKPOINT] = {TABLE(checkpoint_fields)},
    [ACT_OOL_SEND] = {TABLE(ool_send_fields)},
    [ACT_OOL_RECEIVE] = {TABLE(region_fields)},
    [ACT_SEND] = {TABLE(send_fields)},
    [ACT_RECEIVE] = {TABLE(receive_fields)},
    [ACT_REPLY] = {TABLE(reply_fields)},
};

/* Keys of a step beside its action. */
static const struct field step_fields[] = {
    {"phase", FIELD_WORD, true, 0, 0, phases, AT(phase)},
    {"actor", FIELD_NAME, false, 0, 0, NULL, AT(actor)},
    {"published", FIELD_TEXT, false, 0, 0, NULL, AT(published)},
    ANY("note", false),
    ANY("when", false),
    ANY("expect", false),
    ANY("expect.linux", false),
    ANY("expect.gnumach", false),
    ANY("expect_when", false),
};
#define NSTEP_FIELDS (sizeof step_fields / sizeof *step_fields)
#define NACTIONS (sizeof action_words / sizeof *action_words - 1)

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
    int rc = read_int(r, node, 1, PAGES_MAX, &n);

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
        rc = read_int(r, cJSON_GetArrayItem(node, 0), 0, PAGES_MAX, &first);
    if (rc == 0)
        rc = read_int(r, cJSON_GetArrayItem(node, 1), 1, PAGES_MAX, &count);
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
    static const struct field fields[] = {ANY("every", false), ANY("range", false),
                                          ANY("share", false), ANY("seed", false)};
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
    rc = read_fields(r, node, TABLE(fields), NULL);
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

static int read_stamp(const struct reader *r, const cJSON *node, struct step *s)
{
    const char *text;
    int rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    if (strlen(text) != 1 || !((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z')))
        return fail_at(r, node, "a stamp is one letter, not '%.60s'", text);
    s->has_stamp = true;
    s->stamp = *text;
    return 0;
}

static int read_touch(const struct reader *r, const cJSON *node, struct step *s)
{
    const cJSON *stamp = member(node, "stamp");
    int rc = read_select(r, member(node, "pages"), &s->select);

    if (rc == 0 && stamp)
        return read_stamp(r, stamp, s);
    if (s->action == ACT_WRITE) { /* a write always leaves a stamp */
        s->has_stamp = true;
        s->stamp = 'W';
    }
    return rc;
}

static int read_map(const struct reader *r, const cJSON *node, struct step *s)
{
    const cJSON *pages = member(node, "pages"), *bytes = member(node, "bytes");
    int64_t n;
    int rc;

    if (!pages == !bytes)
        return fail_at(r, node, "expected either 'pages' or 'bytes'");
    rc = read_int(r, pages ? pages : bytes, 1, pages ? PAGES_MAX : BYTES_MAX, &n);
    if (rc < 0)
        return rc;
    s->has_bytes = bytes;
    s->bytes = bytes ? (uint64_t)n : 0;
    s->pages = pages ? (uint64_t)n : ((uint64_t)n + r->page_size - 1) / r->page_size;
    return 0;
}

static int read_protection(const struct reader *r, const cJSON *node, int *out)
{
    const char *text;
    int rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    *out = protection_code(text);
    return *out < 0 ? fail_at(r, node, "'%.60s' is not a protection like \"rw-\"", text) : 0;
}

static int read_part(const struct reader *r, const cJSON *node, struct message_part *out)
{
#define PART(member) offsetof(struct message_part, member)
    static const struct field fields[] = {
        {"port", FIELD_WORD, false, 0, 0, disposition_words, PART(disposition)},
        ANY("ool", false),
        ANY("ool_volatile", false),
        {"ool_ports", FIELD_WORD, false, 0, 0, disposition_words, PART(disposition)},
        {"count", FIELD_U64, false, 0, RIGHTS_MAX, NULL, PART(count)},
        {"copy", FIELD_WORD_BOOL, false, 0, 0, copy_words, PART(physical)},
        {"deallocate", FIELD_BOOL, false, 0, 0, NULL, PART(deallocate)}};
    static const struct {
        const char *key;
        enum part_kind kind;
    } kinds[] = {{"port", PART_PORT},
                 {"ool", PART_OOL},
                 {"ool_volatile", PART_OOL_VOLATILE},
                 {"ool_ports", PART_OOL_PORTS}};
    const cJSON *region = NULL;
    int found = 0, rc = read_fields(r, node, TABLE(fields), out);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!member(node, kinds[i].key))
            continue;
        found++;
        out->kind = kinds[i].kind;
        region = member(node, kinds[i].key);
    }
    if (found != 1)
        return fail_at(r, node, "expected one of 'port', 'ool', 'ool_volatile' and 'ool_ports'");
    if (member(node, "count") && out->kind != PART_OOL_PORTS)
        return fail_at_key(r, member(node, "count"), "'count' goes with 'ool_ports'");
    if (out->kind != PART_OOL && out->kind != PART_OOL_VOLATILE)
        return 0;
    return read_region(r, region, &out->region, &out->case_name);
}

static int read_parts(const struct reader *r, const cJSON *parts, struct step *s)
{
    const cJSON *node;
    int rc = check_array(r, parts);

    if (rc < 0)
        return rc;
    if (cJSON_GetArraySize(parts) > PARTS_MAX)
        return fail_at(r, parts, "more than %d parts", PARTS_MAX);
    s->parts = calloc((size_t)cJSON_GetArraySize(parts) + 1, sizeof *s->parts);
    if (!s->parts)
        return no_memory(r);
    cJSON_ArrayForEach (node, parts) {
        rc = read_part(r, node, &s->parts[s->nparts++]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What the field table of an action leaves to do. */
static int read_special(const struct reader *r, const cJSON *node, struct step *s)
{
    const cJSON *parts = member(node, "parts"), *region = member(node, "region");
    int rc = region ? read_region(r, region, &s->region, &s->case_name) : 0;

    if (rc < 0)
        return rc;
    switch (s->action) {
    case ACT_MAP:
        return read_map(r, node, s);
    case ACT_WRITE:
    case ACT_READ:
        return read_touch(r, node, s);
    case ACT_PROTECT:
        return read_protection(r, member(node, "protection"), &s->protection);
    case ACT_OOL_SEND:
        s->has_bytes = member(node, "bytes");
        return 0;
    case ACT_RECEIVE:
        if (s->expect_timeout && s->timeout_ms < 0)
            return fail_at(r, node, "'expect_timeout' needs 'timeout_ms'");
        return 0;
    case ACT_SEND:
    case ACT_REPLY:
        return parts ? read_parts(r, parts, s) : 0;
    default:
        return 0;
    }
}

/* The step's one action. */
static int find_action(const struct reader *r, const cJSON *node, struct draft *out)
{
    for (size_t i = 0; i < NACTIONS; i++) {
        const cJSON *action = member(node, action_words[i].text);

        if (!action)
            continue;
        if (out->action)
            return fail_at_key(r, action, "a step has one action, and this has '%s' too",
                               out->action->string);
        out->action = action;
        out->step.action = (enum action)action_words[i].code;
    }
    if (!out->action)
        return fail_at(r, node, "a step needs an action");
    if (!member(node, "actor") && out->step.action != ACT_CHECKPOINT)
        return fail_at(r, node, "'actor' is missing: who does it?");
    return 0;
}

int read_step(const struct reader *r, const cJSON *node, struct draft *out)
{
    struct field keys[NSTEP_FIELDS + NACTIONS];
    const cJSON *when = member(node, "when"), *note = member(node, "note");
    struct step *s = &out->step;
    const char *text;
    bool on = true;
    int rc;

    memcpy(keys, step_fields, sizeof step_fields);
    for (size_t i = 0; i < NACTIONS; i++)
        keys[NSTEP_FIELDS + i] = (struct field)ANY(action_words[i].text, false);
    out->node = node;
    s->status = -1;
    s->timeout_ms = -1;
    s->lock = true;
    rc = read_fields(r, node, keys, NSTEP_FIELDS + NACTIONS, s);
    if (rc == 0)
        json_doc_place(r->doc, json_doc_mark(r->doc, node).value, &s->at.line, &s->at.column);
    if (rc == 0 && note)
        rc = read_text(r, note, false, &text);
    if (rc == 0 && when)
        rc = eval_when(r, when, &on);
    if (rc == 0)
        rc = find_action(r, node, out);
    if (rc == 0)
        rc = read_fields(r, out->action, action_fields[s->action].fields,
                         action_fields[s->action].n, s);
    if (rc == 0 && s->action == ACT_EXIT && s->status < 0)
        s->status = 0;
    if (rc == 0)
        rc = read_special(r, out->action, s);
    out->skipped = !on;
    return rc;
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
    free(s->expect);
    free(s->actor);
    free(s->case_name);
    free(s->region);
    free(s->as);
    free(s->child);
    free(s->to);
    free(s->text);
    free(s->published);
}
