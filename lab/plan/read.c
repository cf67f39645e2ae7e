/* scenario_read: values of the document, each error with its place. */
#include "lab/plan/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int vfail(const struct reader *r, const cJSON *node, size_t offset, const char *fmt,
                 va_list ap)
{
    char message[256];
    size_t used;

    vsnprintf(message, sizeof message, fmt, ap);
    used = strlen(message);
    if (r->case_name)
        snprintf(message + used, sizeof message - used, " (case '%.60s')", r->case_name);
    return json_doc_fail(r->doc, node, offset, r->e, "%s", message);
}

int fail_at(const struct reader *r, const cJSON *node, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = vfail(r, node, json_doc_mark(r->doc, node).value, fmt, ap);
    va_end(ap);
    return rc;
}

int fail_at_key(const struct reader *r, const cJSON *node, const char *fmt, ...)
{
    struct json_mark m = json_doc_mark(r->doc, node);
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = vfail(r, node, m.key == JSON_NO_KEY ? m.value : m.key, fmt, ap);
    va_end(ap);
    return rc;
}

int fail_inside(const struct reader *r, const cJSON *string, size_t index, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = vfail(r, string, json_doc_inside(r->doc, string, index), fmt, ap);
    va_end(ap);
    return rc;
}

int no_memory(const struct reader *r)
{
    return err_sys(r->e, ENOMEM, "cannot read the scenario");
}

int copy_text(const struct reader *r, char **out, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        return no_memory(r);
    free(*out);
    *out = copy;
    return 0;
}

const char *kind_of(const cJSON *node)
{
    if (cJSON_IsObject(node))
        return "an object";
    if (cJSON_IsArray(node))
        return "an array";
    if (cJSON_IsString(node))
        return "text";
    if (cJSON_IsNumber(node))
        return "a number";
    return cJSON_IsBool(node) ? "a boolean" : "null";
}

const char *scalar_kind(enum scalar_type type)
{
    return type == SCALAR_INT ? "a whole number" : type == SCALAR_TEXT ? "text" : "a boolean";
}

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

int parse_int(const char *text, size_t len, int64_t *out)
{
    bool negative = len && *text == '-';
    uint64_t n = 0, limit = (uint64_t)INT64_MAX + negative;

    if (len == (size_t)negative)
        return -EINVAL;
    for (size_t i = negative; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        if (n > (limit - (uint64_t)(text[i] - '0')) / 10)
            return -ERANGE;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return 0;
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
    for (const char *p = s.text; *p; p++)
        if (((unsigned char)*p < 0x20 && !(lines && (*p == '\n' || *p == '\t'))) || *p == 0x7f)
            return fail_at(r, node, "a control character (0x%02x) in the text", (unsigned char)*p);
    *out = s.text;
    return 0;
}

bool is_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(text);

    return n > 0 && n <= 63 && strchr(letters, *text) && strspn(text, more) == n;
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

static int unknown_key(const struct reader *r, const cJSON *node, const struct field *fields,
                       size_t n)
{
    const char *keys[64];

    if (n == 0)
        return fail_at_key(r, node, "unknown key '%.60s': nothing belongs here", node->string);
    for (size_t i = 0; i < n && i < 64; i++)
        keys[i] = fields[i].key;
    return fail_at_key(r, node, "unknown key '%.60s', the nearest known is '%s'", node->string,
                       nearest(node->string, keys, n));
}

static int read_field(const struct reader *r, const cJSON *node, const struct field *f, char *out)
{
    const char *text = NULL;
    int64_t n = 0;
    int word = 0, rc;

    switch (f->type) {
    case FIELD_ANY:
        return 0;
    case FIELD_U64:
    case FIELD_I64:
    case FIELD_I32:
        rc = read_int(r, node, f->min, f->max, &n);
        if (rc == 0 && f->type == FIELD_I32)
            *(int32_t *)(out + f->offset) = (int32_t)n;
        else if (rc == 0)
            *(int64_t *)(out + f->offset) = n;
        return rc;
    case FIELD_BOOL:
        return read_bool(r, node, (bool *)(out + f->offset));
    case FIELD_TEXT:
    case FIELD_LINES:
        rc = read_text(r, node, f->type == FIELD_LINES, &text);
        return rc < 0 ? rc : copy_text(r, (char **)(out + f->offset), text);
    case FIELD_NAME:
        return read_name(r, node, (char **)(out + f->offset));
    case FIELD_WORD:
    case FIELD_WORD_BOOL:
        rc = read_word(r, node, f->words, &word);
        if (rc == 0 && f->type == FIELD_WORD)
            *(int *)(out + f->offset) = word;
        else if (rc == 0)
            *(bool *)(out + f->offset) = word != 0;
        return rc;
    }
    return 0;
}

int read_fields(const struct reader *r, const cJSON *node, const struct field *fields, size_t n,
                void *out)
{
    const cJSON *child;
    int rc = check_object(r, node);

    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (child, node) {
        size_t i = 0;

        while (i < n && strcmp(fields[i].key, child->string) != 0)
            i++;
        if (i == n)
            return unknown_key(r, child, fields, n);
        rc = read_field(r, child, &fields[i], out);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        if (fields[i].required && !member(node, fields[i].key))
            return fail_at(r, node, "'%s' is missing", fields[i].key);
    return 0;
}

/* Edit distance with swaps of neighbours (Damerau), over the first 40 bytes. */
static size_t distance(const char *a, const char *b)
{
    enum { CUT = 40 };
    size_t rows[3][CUT + 1], n = strnlen(a, CUT), m = strnlen(b, CUT);

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *nearest(const char *text, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t least = 0;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(text, candidates[i]), n_text = strlen(text);

        if (n_text >= 3 && d > 2 && strncmp(text, candidates[i], n_text) == 0)
            d = 2; /* a word cut short is nearer than its missing letters count */

        if (!best || d < least) {
            best = candidates[i];
            least = d;
        }
    }
    return best;
}
