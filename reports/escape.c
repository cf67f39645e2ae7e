#include "reports/escape.h"

#include "probes/utf8.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Characters that must not reach a reader's screen or an XML parser as they are. */
static bool hidden(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) ||
           (c & 0xfffe) == 0xfffe || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

uint32_t escape_next(const char **s)
{
    uint32_t c = utf8_next(s);

    return hidden(c) ? UTF8_REPLACEMENT : c;
}

static void put(FILE *out, uint32_t c)
{
    char bytes[4];
    size_t n = utf8_encode(c, bytes);

    fwrite(bytes, 1, n, out);
}

static bool word_char(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* An underscore inside a word is no emphasis: names like in_transit stay readable in the source. */
static bool markdown_special(uint32_t c, uint32_t before, const char *rest)
{
    if (c == '_')
        return !word_char(before) || !word_char((unsigned char)*rest);
    return c < 0x80 && c != 0 && strchr("\\`*[]|~$#!", (int)c) != NULL;
}

void escape_markdown(FILE *out, const char *text)
{
    uint32_t before = 0;
    bool number = true; /* so far: "1. " would be a list, and four spaces are code */

    for (const char *s = text ? text : ""; *s;) {
        uint32_t c = escape_next(&s);

        if (c == '\n' || c == '\t')
            c = ' ';
        if (c == ' ' && before == 0)
            continue;
        if (number && before && (c == '.' || c == ')') && (*s == ' ' || !*s))
            fputc('\\', out);
        number &= c >= '0' && c <= '9';
        if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '&')
            fputs("&amp;", out);
        else {
            /* A line that begins with one of these would be a list or a heading. */
            if (markdown_special(c, before, s) || (before == 0 && (c == '-' || c == '+')))
                fputc('\\', out);
            put(out, c);
        }
        before = c;
    }
}

void escape_xml(FILE *out, const char *text)
{
    for (const char *s = text ? text : ""; *s;) {
        uint32_t c = escape_next(&s);

        switch (c) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        case '\n':
        case '\t':
            fputc(' ', out);
            break;
        default:
            put(out, c);
        }
    }
}

static void in_script(FILE *out, const char *text, const char *special)
{
    for (const char *s = text ? text : ""; *s;) {
        uint32_t c = escape_next(&s);

        if (c < 0x80 && strchr(special, (int)c))
            fprintf(out, "\\u%04x", (unsigned)c);
        else
            put(out, c == '\n' || c == '\t' ? ' ' : c);
    }
}

void escape_json(FILE *out, const char *json)
{
    in_script(out, json, "<");
}

void escape_json_string(FILE *out, const char *text)
{
    in_script(out, text, "<\"\\");
}

void escape_fenced(FILE *out, const char *text)
{
    int ticks = 0;

    for (const char *s = text ? text : ""; *s;) {
        uint32_t c = escape_next(&s);

        ticks = c == '`' ? ticks + 1 : 0;
        if (ticks == 3) {
            put(out, ' ');
            ticks = 1;
        }
        put(out, c);
    }
}

bool escape_ascii;

/* By the locale's name: the C library would map its files, which whoever is looked at may map too.
 */
void escape_for_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *set = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names && !(set && *set); i++)
        set = getenv(names[i]);
    escape_ascii = !set || (!strcasestr(set, "UTF-8") && !strcasestr(set, "utf8"));
}

static void put_terminal(FILE *out, uint32_t c)
{
    if (c == '\n' || c == '\t')
        c = ' ';
    if (escape_ascii && c >= 0x80)
        c = c == 0x2026                                 ? '.'
            : c == 0x2013 || c == 0x2014 || c == 0x2212 ? '-'
            : c == 0xb5                                 ? 'u'
                                                        : '?';
    put(out, c);
}

void escape_terminal(FILE *out, const char *text)
{
    for (const char *s = text ? text : ""; *s;)
        put_terminal(out, escape_next(&s));
}

size_t escape_width(const char *text)
{
    size_t n = 0;

    for (const char *s = text ? text : ""; *s; n++)
        escape_next(&s);
    return n;
}

void escape_terminal_field(FILE *out, const char *text, int width, int right)
{
    size_t have = escape_width(text), want = width > 0 ? (size_t)width : 0;
    size_t shown = have > want ? (want ? want - 1 : 0) : have;
    size_t pad = want - (have > want ? want : have);

    for (size_t i = 0; right && i < pad; i++)
        fputc(' ', out);
    for (const char *s = text ? text : ""; *s && shown > 0; shown--)
        put_terminal(out, escape_next(&s));
    if (have > want && want > 0)
        put_terminal(out, 0x2026);
    for (size_t i = 0; !right && i < pad; i++)
        fputc(' ', out);
}

void escape_file_name(char *buf, size_t cap, const char *text)
{
    size_t n = 0;

    for (const char *s = text ? text : ""; *s && n + 1 < cap; s++) {
        unsigned char c = (unsigned char)*s;
        bool keep = c < 0x80 && (word_char(c) || c == '-' || c == '_' || (c == '.' && n > 0));

        buf[n++] = keep ? (char)c : '-';
    }
    if (n == 0 && cap > 1)
        buf[n++] = '-';
    if (cap > 0)
        buf[n] = '\0';
}

void escape_heading_link(FILE *out, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-_", *text) || (unsigned char)*text >= 0x80)
            fputc(tolower((unsigned char)*text), out);
        else if (*text == ' ')
            fputc('-', out);
}
