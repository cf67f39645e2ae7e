/* fail: errors with their place, and what they say of texts. */
#include "lab/plan/text/reader.h"

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
