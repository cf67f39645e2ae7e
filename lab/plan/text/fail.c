/* fail: errors with their place, and what they say of texts. */
#include "lab/plan/text/reader.h"
#include "probes/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISTAKES_KEPT 1000 /* the reading ends there */
#define MISTAKES_TOLD 20

struct mistake {
    size_t offset;
    const cJSON *node; /* NULL: no place */
    size_t plain;      /* bytes of the message without the case, in each of which it is the same */
    char message[256];
};

/* Keeps m in the order of the text, unless it was found before: for another backend or case. */
static int keep(const struct reader *r, const struct mistake *m)
{
    struct mistakes *found = r->found;
    size_t i = found->n, same;

    while (i > 0 && found->at[i - 1].offset > m->offset)
        i--;
    for (same = i; same > 0 && found->at[same - 1].offset == m->offset; same--)
        if (found->at[same - 1].plain == m->plain &&
            memcmp(found->at[same - 1].message, m->message, m->plain) == 0)
            return -EINVAL;
    if (found->n == MISTAKES_KEPT)
        return -E2BIG;
    if (!LIST_ADD(found->at, found->n))
        return err_no_memory(r->e);
    memmove(&found->at[i + 1], &found->at[i], (found->n - 1 - i) * sizeof *m);
    found->at[i] = *m;
    return -EINVAL;
}

int fail_offset(const struct reader *r, const cJSON *node, size_t offset, const char *fmt, ...)
{
    struct mistake m = {.offset = offset, .node = node};
    va_list ap;

    if (r->found->mute)
        return -EINVAL;
    va_start(ap, fmt);
    vsnprintf(m.message, sizeof m.message, fmt, ap);
    va_end(ap);
    m.plain = strlen(m.message);
    if (node && r->case_name)
        snprintf(m.message + m.plain, sizeof m.message - m.plain, " (case '%.60s')", r->case_name);
    return keep(r, &m);
}

int fail_again(const struct reader *r, const char *what, const char *name)
{
    struct mistakes *found = r->found;
    char key[96], **at;

    snprintf(key, sizeof key, "%s %.64s", what, name);
    for (size_t i = 0; i < found->nnames; i++)
        if (strcmp(found->names[i], key) == 0)
            return -EINVAL;
    if (found->mute)
        return -EINVAL;
    at = LIST_ADD(found->names, found->nnames);
    if (at && !(*at = strdup(key)))
        found->nnames--;
    return at && *at ? 0 : err_no_memory(r->e);
}

void mistakes_tell(const struct reader *r, FILE *out)
{
    size_t n = r->found->n, told = n > MISTAKES_TOLD ? MISTAKES_TOLD : n;
    struct err e;

    for (size_t i = 0; i < told; i++) {
        const struct mistake *m = &r->found->at[i];

        if (m->node)
            json_doc_fail(r->doc, m->node, m->offset, &e, "%s", m->message);
        else
            err_set(&e, EINVAL, "%s", m->message);
        if (i == 0)
            *r->e = e;
        if (out)
            fprintf(out, "%s\n", e.msg);
    }
    if (out && told < n)
        fprintf(out, "and %s%zu more\n", n == MISTAKES_KEPT ? "at least " : "", n - told);
}

void mistakes_release(struct mistakes *m)
{
    free(m->at);
    for (size_t i = 0; i < m->nnames; i++)
        free(m->names[i]);
    free(m->names);
    *m = (struct mistakes){0};
}

size_t value_offset(const struct reader *r, const cJSON *node)
{
    return json_doc_mark(r->doc, node).value;
}

size_t key_offset(const struct reader *r, const cJSON *node)
{
    struct json_mark m = json_doc_mark(r->doc, node);

    return m.key == JSON_NO_KEY ? m.value : m.key;
}

int check_controls(const struct reader *r, const cJSON *node, const char *text, bool lines)
{
    for (const char *p = text; *p; p++)
        if (((unsigned char)*p < 0x20 && !(lines && (*p == '\n' || *p == '\t'))) || *p == 0x7f)
            return fail_at(r, node, "a control character (0x%02x) in the text", (unsigned char)*p);
    return 0;
}

int copy_text(const struct reader *r, char **out, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        return err_no_memory(r->e);
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

int parse_amount(const char *text, size_t len, int64_t *out)
{
    static const char units[] = "KMG";
    const char *unit = len ? memchr(units, text[len - 1], sizeof units - 1) : NULL;
    int64_t n;
    int rc = parse_int(text, len - (unit != NULL), &n);

    if (rc == 0 && unit && __builtin_mul_overflow(n, INT64_C(1024) << 10 * (unit - units), &n))
        rc = -ERANGE;
    if (rc == 0)
        *out = n;
    return rc;
}

bool is_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(text);

    return n > 0 && n <= 63 && strchr(letters, *text) && strspn(text, more) == n;
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
