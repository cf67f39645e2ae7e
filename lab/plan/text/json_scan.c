/* json_scan: the strict scanner itself. Recursive descent over RFC 8259, at most JSON_DEPTH deep.
 * The first fault ends it; see json_scan.h for what it promises. */
#include "lab/plan/text/json_scan.h"
#include "probes/list.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON copies a number into 64 bytes and misreads a longer one. */
#define NUMBER_MAX 40

struct scanner {
    const unsigned char *text;
    size_t len, pos;
    int depth;
    struct json_marks *marks;
    struct json_fault *fault;
};

static int scan_value(struct scanner *s, size_t key, int parent, int position);

static int fault_at(struct scanner *s, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fault_at(struct scanner *s, size_t offset, const char *fmt, ...)
{
    va_list ap;

    s->fault->offset = offset;
    va_start(ap, fmt);
    vsnprintf(s->fault->what, sizeof s->fault->what, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* The byte at the position, or -1 at the end. */
static int peek(const struct scanner *s)
{
    return s->pos < s->len ? s->text[s->pos] : -1;
}

/* "expected X, not 'c'": what stands there instead. */
static int expected(struct scanner *s, const char *what)
{
    int c = peek(s);

    if (c < 0)
        return fault_at(s, s->pos, "expected %s, but the text ends", what);
    if (c > 0x20 && c < 0x7f)
        return fault_at(s, s->pos, "expected %s, not '%c'", what, c);
    return fault_at(s, s->pos, "expected %s", what);
}

static void skip_space(struct scanner *s)
{
    while (s->pos < s->len && strchr(" \t\r\n", s->text[s->pos]) && s->text[s->pos])
        s->pos++;
}

size_t json_utf8_length(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    static const struct {
        unsigned char lead_min, lead_max, second_min, second_max, length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*p < forms[i].lead_min || *p > forms[i].lead_max)
            continue;
        if (forms[i].length > left)
            return 0;
        if (forms[i].length > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static int check_bytes(struct scanner *s)
{
    size_t step;

    if (s->len > JSON_MAX_BYTES)
        return fault_at(s, 0, "the text is longer than %u bytes", JSON_MAX_BYTES);
    if (s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
        return fault_at(s, 0, "the text begins with a byte order mark");
    for (size_t i = 0; i < s->len; i += step) {
        if (s->text[i] == 0)
            return fault_at(s, i, "a NUL byte");
        step = json_utf8_length((const char *)s->text + i, s->len - i);
        if (step == 0)
            return fault_at(s, i, "byte 0x%02x is not valid UTF-8 here", s->text[i]);
    }
    return 0;
}

/* Four hexadecimal digits at the position, or -1. */
static int scan_hex4(struct scanner *s)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        int c = peek(s);
        const char *d = c > 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

        if (!d)
            return -1;
        value = value * 16 + (int)(d - digits);
        s->pos++;
    }
    return value;
}

/* After "\u". */
static int scan_unicode(struct scanner *s, size_t start)
{
    int low, unit = scan_hex4(s);

    if (unit < 0)
        return fault_at(s, start, "'\\u' needs four hexadecimal digits");
    if (unit == 0)
        return fault_at(s, start, "a NUL character");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return fault_at(s, start, "a low surrogate without its high one");
    if (unit < 0xd800 || unit > 0xdbff)
        return 0;
    if (s->len - s->pos < 2 || memcmp(s->text + s->pos, "\\u", 2) != 0)
        return fault_at(s, start, "a high surrogate without its low one");
    s->pos += 2;
    low = scan_hex4(s);
    if (low < 0xdc00 || low > 0xdfff)
        return fault_at(s, start, "a high surrogate without its low one");
    return 0;
}

static int scan_string(struct scanner *s)
{
    size_t open = s->pos++;

    for (;;) {
        size_t at = s->pos;
        int rc, c = peek(s);

        if (c < 0 || c == '\n')
            return fault_at(s, open, "this string has no closing quote");
        if (c < 0x20)
            return fault_at(s, at, "a raw control character (0x%02x) in a string", c);
        s->pos++;
        if (c == '"')
            return 0;
        if (c != '\\')
            continue;
        c = peek(s);
        if (c < 0)
            return fault_at(s, open, "this string has no closing quote");
        if (!strchr("\"\\/bfnrtu", c))
            return fault_at(s, at, "an unknown escape in a string");
        s->pos++;
        if (c == 'u' && (rc = scan_unicode(s, at)) < 0)
            return rc;
    }
}

static size_t scan_digits(struct scanner *s)
{
    size_t start = s->pos;

    while (peek(s) >= '0' && peek(s) <= '9')
        s->pos++;
    return s->pos - start;
}

static int scan_number(struct scanner *s)
{
    char digits[NUMBER_MAX + 1];
    size_t start = s->pos;

    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0') {
        s->pos++;
        if (peek(s) >= '0' && peek(s) <= '9')
            return fault_at(s, start, "a number must not begin with 0");
    } else if (scan_digits(s) == 0) {
        return expected(s, "a digit");
    }
    if (peek(s) == '.') {
        s->pos++;
        if (scan_digits(s) == 0)
            return expected(s, "a digit");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        if (scan_digits(s) == 0)
            return expected(s, "a digit");
    }
    if (s->pos - start > NUMBER_MAX)
        return fault_at(s, start, "a number of more than %d characters", NUMBER_MAX);
    memcpy(digits, s->text + start, s->pos - start);
    digits[s->pos - start] = '\0';
    if (isinf(strtod(digits, NULL)))
        return fault_at(s, start, "'%s' is too large for a number", digits);
    return 0;
}

static int scan_word(struct scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);

        if (s->len - s->pos >= n && memcmp(s->text + s->pos, words[i], n) == 0) {
            s->pos += n;
            return 0;
        }
    }
    return expected(s, "a value");
}

static int scan_object(struct scanner *s, int self)
{
    int rc;

    s->pos++;
    skip_space(s);
    if (peek(s) == '}') {
        s->pos++;
        return 0;
    }
    for (int position = 0;; position++) {
        size_t key = s->pos;

        if (peek(s) != '"')
            return expected(s, "a key in double quotes");
        if ((rc = scan_string(s)) < 0)
            return rc;
        skip_space(s);
        if (peek(s) != ':')
            return expected(s, "':'");
        s->pos++;
        if ((rc = scan_value(s, key, self, position)) < 0)
            return rc;
        skip_space(s);
        if (peek(s) != ',' && peek(s) != '}')
            return expected(s, "',' or '}'");
        if (s->text[s->pos++] == '}')
            return 0;
        skip_space(s);
    }
}

static int scan_array(struct scanner *s, int self)
{
    int rc;

    s->pos++;
    skip_space(s);
    if (peek(s) == ']') {
        s->pos++;
        return 0;
    }
    for (int position = 0;; position++) {
        if ((rc = scan_value(s, JSON_NO_KEY, self, position)) < 0)
            return rc;
        skip_space(s);
        if (peek(s) != ',' && peek(s) != ']')
            return expected(s, "',' or ']'");
        if (s->text[s->pos++] == ']')
            return 0;
    }
}

/* Appends a mark; its index, or -ENOMEM. */
static int add_mark(struct scanner *s, size_t key, int parent, int position)
{
    struct json_mark *mark = LIST_ADD(s->marks->at, s->marks->n);

    if (!mark)
        return -ENOMEM;
    *mark = (struct json_mark){key, s->pos, s->pos, parent, position};
    return (int)s->marks->n - 1;
}

static int scan_nested(struct scanner *s, int self, int (*scan)(struct scanner *, int))
{
    int rc;

    if (s->depth == JSON_DEPTH)
        return fault_at(s, s->pos, "nested more than %d deep", JSON_DEPTH);
    s->depth++;
    rc = scan(s, self);
    s->depth--;
    return rc;
}

static int scan_value(struct scanner *s, size_t key, int parent, int position)
{
    int rc, self, c;

    skip_space(s);
    self = add_mark(s, key, parent, position);
    if (self < 0)
        return self;
    c = peek(s);
    if (c == '{')
        rc = scan_nested(s, self, scan_object);
    else if (c == '[')
        rc = scan_nested(s, self, scan_array);
    else if (c == '"')
        rc = scan_string(s);
    else if (c == '-' || (c >= '0' && c <= '9'))
        rc = scan_number(s);
    else
        rc = scan_word(s);
    if (rc == 0)
        s->marks->at[self].end = s->pos;
    return rc;
}

int json_scan(const char *text, size_t len, struct json_marks *marks, struct json_fault *fault)
{
    struct scanner s = {(const unsigned char *)text, len, 0, 0, marks, fault};
    int rc = check_bytes(&s);

    if (rc == 0)
        rc = scan_value(&s, JSON_NO_KEY, -1, 0);
    if (rc < 0)
        return rc;
    skip_space(&s);
    if (s.pos < s.len)
        return fault_at(&s, s.pos, "something follows the end of the JSON text");
    return 0;
}

void json_marks_release(struct json_marks *marks)
{
    free(marks->at);
    *marks = (struct json_marks){NULL, 0};
}
