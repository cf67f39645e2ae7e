/* read: values of the document, each error with its place. */
#include "lab/plan/text/reader.h"

#include <stdio.h>
#include <string.h>

const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

int check_object(const struct reader *r, const cJSON *node)
{
    return cJSON_IsObject(node) ? 0 : fail_at(r, node, "expected an object, not %s", kind_of(node));
}

int check_array(const struct reader *r, const cJSON *node)
{
    return cJSON_IsArray(node) ? 0 : fail_at(r, node, "expected an array, not %s", kind_of(node));
}

/* The number as the text has it: cJSON's double would round above 2^53. */
static int read_literal(const struct reader *r, const cJSON *node, int64_t *out)
{
    struct json_mark m = json_doc_mark(r->doc, node);
    const char *text = json_doc_text(r->doc, m.value);
    int len = (int)(m.end - m.value), rc = parse_int(text, m.end - m.value, out);

    if (rc == -ERANGE)
        return fail_at(r, node, "%.*s is too large", len, text);
    if (rc < 0)
        return fail_at(r, node, "%.*s is not a whole number (no fraction, no exponent)", len, text);
    return 0;
}

int read_scalar(const struct reader *r, const cJSON *node, struct scalar *out)
{
    const char *text = cJSON_IsString(node) ? node->valuestring : NULL;

    if (text && text[0] == '=' && text[1] != '=')
        return eval_expr(r, node, text + 1, out);
    *out = (struct scalar){SCALAR_TEXT, 0, text};
    if (text) { /* "==x" is the text "=x" */
        out->text += *text == '=';
        return 0;
    }
    if (cJSON_IsBool(node)) {
        *out = (struct scalar){SCALAR_BOOL, cJSON_IsTrue(node), NULL};
        return 0;
    }
    if (!cJSON_IsNumber(node))
        return fail_at(r, node, "expected a number, text or a boolean, not %s", kind_of(node));
    out->type = SCALAR_INT;
    return read_literal(r, node, &out->n);
}

/* A scalar of one type. */
static int read_typed(const struct reader *r, const cJSON *node, enum scalar_type type,
                      struct scalar *out)
{
    int rc;

    if (cJSON_IsObject(node) || cJSON_IsArray(node) || cJSON_IsNull(node))
        return fail_at(r, node, "expected %s, not %s", scalar_kind(type), kind_of(node));
    rc = read_scalar(r, node, out);
    if (rc < 0)
        return rc;
    if (out->type != type)
        return fail_at(r, node, "expected %s, not %s", scalar_kind(type), scalar_kind(out->type));
    return 0;
}

int read_int(const struct reader *r, const cJSON *node, int64_t min, int64_t max, int64_t *out)
{
    struct scalar s;
    int rc = read_typed(r, node, SCALAR_INT, &s);

    if (rc < 0)
        return rc;
    if (s.n < min)
        return fail_at(r, node, "%lld is below the minimum %lld", (long long)s.n, (long long)min);
    if (s.n > max)
        return fail_at(r, node, "%lld is above the maximum %lld", (long long)s.n, (long long)max);
    *out = s.n;
    return 0;
}

int read_bool(const struct reader *r, const cJSON *node, bool *out)
{
    struct scalar s;
    int rc = read_typed(r, node, SCALAR_BOOL, &s);

    if (rc == 0)
        *out = s.n;
    return rc;
}

int read_text(const struct reader *r, const cJSON *node, bool lines, const char **out)
{
    struct scalar s;
    int rc = read_typed(r, node, SCALAR_TEXT, &s);

    if (rc < 0)
        return rc;
    *out = s.text;
    return check_controls(r, node, s.text, lines);
}

int read_name(const struct reader *r, const cJSON *node, char **out)
{
    const char *text;
    int rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    if (!is_name(text))
        return fail_at(r, node,
                       "'%.70s' is not a name (a letter, then up to 62 letters, digits, '_', '-')",
                       text);
    return copy_text(r, out, text);
}

static size_t word_texts(const struct word *words, const char **texts, size_t room)
{
    size_t n = 0;

    for (; words->text && n < room; words++)
        texts[n++] = words->text;
    return n;
}

int read_word(const struct reader *r, const cJSON *node, const struct word *words, int *out)
{
    const char *text, *texts[32];
    int code, rc = read_text(r, node, false, &text);

    if (rc < 0)
        return rc;
    code = word_code(words, text);
    if (code < 0)
        return fail_at(r, node, "unknown word '%.60s', the nearest known is '%s'", text,
                       nearest(text, texts, word_texts(words, texts, 32)));
    *out = code;
    return 0;
}

int read_percent(const struct reader *r, const cJSON *node, uint64_t *ppm)
{
    struct json_mark m = json_doc_mark(r->doc, node);
    const char *text = json_doc_text(r->doc, m.value), *dot;
    size_t len = m.end - m.value;
    int64_t whole, fraction = 0;
    int rc;

    dot = cJSON_IsNumber(node) ? memchr(text, '.', len) : NULL;
    if (!dot) {
        rc = read_int(r, node, 0, 100, &whole);
        *ppm = (uint64_t)whole * 10000 * (rc == 0);
        return rc;
    }
    len -= (size_t)(dot - text) + 1;
    if (parse_int(text, (size_t)(dot - text), &whole) < 0 || parse_int(dot + 1, len, &fraction) < 0)
        return fail_at(r, node, "expected a percentage without exponent");
    if (len > 4)
        return fail_at(r, node, "a percentage has at most four decimals");
    for (; len < 4; len++)
        fraction *= 10;
    if (*text == '-' || whole > 100 || (whole == 100 && fraction > 0))
        return fail_at(r, node, "a percentage is 0 to 100");
    *ppm = (uint64_t)(whole * 10000 + fraction);
    return 0;
}

static const struct ability *known_ability(const struct reader *r, const char *name)
{
    for (size_t i = 0; r->known[i]; i++)
        if (strcmp(r->known[i]->name, name) == 0)
            return r->known[i];
    return NULL;
}

/* --- fields --- */

int take_i64(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return read_int(r, node, f->min, f->max, (int64_t *)((char *)out + f->offset));
}

int take_i32(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    int64_t n = 0;
    int rc = read_int(r, node, f->min, f->max, &n);

    if (rc == 0)
        *(int32_t *)((char *)out + f->offset) = (int32_t)n;
    return rc;
}

int take_bool(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return read_bool(r, node, (bool *)((char *)out + f->offset));
}

static int take_copy(const struct reader *r, const cJSON *node, const struct field *f, bool lines,
                     void *out)
{
    const char *text;
    int rc = read_text(r, node, lines, &text);

    return rc < 0 ? rc : copy_text(r, (char **)((char *)out + f->offset), text);
}

int take_text(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return take_copy(r, node, f, false, out);
}

int take_lines(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return take_copy(r, node, f, true, out);
}

int take_name(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return read_name(r, node, (char **)((char *)out + f->offset));
}

int take_word(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    return read_word(r, node, f->words, (int *)((char *)out + f->offset));
}

int take_flag(const struct reader *r, const cJSON *node, const struct field *f, void *out)
{
    int word, rc = read_word(r, node, f->words, &word);

    if (rc == 0)
        *(bool *)((char *)out + f->offset) = word != 0;
    return rc;
}

/* "expect." stands for expect.linux and what other backends there are. */
static bool is_open(const struct field *f)
{
    return f->key[strlen(f->key) - 1] == '.';
}

static bool field_is(const struct reader *r, const struct field *f, const char *key)
{
    size_t n = strlen(f->key);

    return is_open(f) ? strncmp(key, f->key, n) == 0 && known_ability(r, key + n)
                      : strcmp(key, f->key) == 0;
}

static const struct field *find_field(const struct reader *r, const struct field *f,
                                      const char *key)
{
    while (f->key && !field_is(r, f, key))
        f++;
    return f->key ? f : NULL;
}

/* out has room for the result. */
static const char *nearest_key(const struct reader *r, const char *key, const struct field *fields,
                               char out[64])
{
    const char *keys[64];
    char open[8][40];
    size_t n = 0, nopen = 0;

    for (const struct field *f = fields; f->key && n < 64; f++) {
        if (!is_open(f))
            keys[n++] = f->key;
        for (size_t i = 0; is_open(f) && r->known[i] && nopen < 8 && n < 64; i++) {
            snprintf(open[nopen], sizeof *open, "%s%s", f->key, r->known[i]->name);
            keys[n++] = open[nopen++];
        }
    }
    snprintf(out, 64, "%s", nearest(key, keys, n));
    return out;
}

static int unknown_key(const struct reader *r, const cJSON *node, const struct field *fields)
{
    char near[64];

    if (!fields->key)
        return fail_at_key(r, node, "unknown key '%.60s': nothing belongs here", node->string);
    return fail_at_key(r, node, "unknown key '%.60s', the nearest known is '%s'", node->string,
                       nearest_key(r, node->string, fields, near));
}

bool key_mistyped(const struct reader *r, const cJSON *node, const struct field *fields,
                  const char *key)
{
    const cJSON *child;
    char near[64];

    cJSON_ArrayForEach (child, node) {
        if (child->string && !find_field(r, fields, child->string) && /* an array has no keys */
            (!key || strcmp(nearest_key(r, child->string, fields, near), key) == 0))
            return true;
    }
    return false;
}

int read_fields(const struct reader *r, const cJSON *node, const struct field *fields, void *out)
{
    const struct field *f;
    const cJSON *child;
    int rc = check_object(r, node);

    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (child, node) {
        f = find_field(r, fields, child->string);
        rc = either(rc, !f        ? unknown_key(r, child, fields)
                        : f->read ? f->read(r, child, f, out)
                                  : 0);
        if (fatal(rc))
            return rc;
    }
    for (f = fields; f->key; f++)
        if (f->needed && !member(node, f->key) && !key_mistyped(r, node, fields, f->key))
            rc = either(rc, fail_at(r, node, "'%s' is missing", f->key));
    return rc;
}
