#include "tests/support/xml.h"

#include "reports/escape.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32
#define MAX_ATTRIBUTES 24

struct name {
    const char *at;
    size_t len;
};

struct check {
    const char *p, *end;
    struct name open[MAX_DEPTH];
    int depth;
};

static struct name name_at(struct check *c)
{
    struct name n = {c->p, 0};

    while (c->p < c->end && (isalnum((unsigned char)*c->p) || strchr(":-_.", *c->p)) && *c->p)
        c->p++;
    n.len = (size_t)(c->p - n.at);
    return n;
}

static bool same_name(struct name a, struct name b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static bool take(struct check *c, const char *text)
{
    size_t n = strlen(text);

    if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
        return false;
    c->p += n;
    return true;
}

static bool reference(struct check *c)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&apos;"};

    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (take(c, entities[i]))
            return true;
    if (!take(c, "&#") || c->p == c->end || !isdigit((unsigned char)*c->p))
        return false;
    while (c->p < c->end && isdigit((unsigned char)*c->p))
        c->p++;
    return take(c, ";");
}

/* One character of text: valid UTF-8, no control characters. U+FFFD is what escape_next gives for
 * anything else, and is accepted only where it is really written. */
static bool character(struct check *c)
{
    const char *at = c->p;

    if (*c->p == '&')
        return reference(c);
    if (*c->p == '<' || *c->p == '\0')
        return false;
    return escape_next(&c->p) != 0xfffd || memcmp(at, "\xef\xbf\xbd", 3) == 0;
}

static bool attributes(struct check *c)
{
    struct name seen[MAX_ATTRIBUTES];
    int n = 0;

    for (;;) {
        bool space = c->p < c->end && isspace((unsigned char)*c->p);

        while (c->p < c->end && isspace((unsigned char)*c->p))
            c->p++;
        if (c->p == c->end || *c->p == '>' || *c->p == '/')
            return c->p < c->end;
        if (!space || n == MAX_ATTRIBUTES)
            return false;
        seen[n] = name_at(c);
        for (int i = 0; i < n; i++)
            if (same_name(seen[i], seen[n]))
                return false;
        if (seen[n++].len == 0 || !take(c, "=\""))
            return false;
        while (c->p < c->end && *c->p != '"')
            if (!character(c))
                return false;
        if (!take(c, "\""))
            return false;
    }
}

static bool element(struct check *c)
{
    struct name n;

    if (take(c, "</")) {
        n = name_at(c);
        return c->depth > 0 && same_name(c->open[--c->depth], n) && take(c, ">");
    }
    c->p++;
    n = name_at(c);
    if (n.len == 0 || !attributes(c))
        return false;
    if (take(c, "/>"))
        return true;
    if (c->depth == MAX_DEPTH)
        return false;
    c->open[c->depth++] = n;
    return take(c, ">");
}

int support_xml_check(const char *text, size_t len)
{
    struct check c = {.p = text, .end = text + len};
    int roots = 0;

    while (c.p < c.end) {
        const char *at = c.p;
        bool ok;

        if (*c.p == '<') {
            roots += c.depth == 0 && c.p + 1 < c.end && c.p[1] != '/';
            ok = roots == 1 && element(&c);
        } else {
            ok = c.depth > 0 ? character(&c) : isspace((unsigned char)*c.p) && c.p++;
        }
        if (!ok)
            return 1 + (int)(at - text);
    }
    return c.depth == 0 && roots == 1 ? 0 : 1 + (int)len;
}
