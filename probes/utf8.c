#include "probes/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that follow a lead byte, and the smallest character that needs that many (an encoding
 * longer than needed is invalid). */
static int sequence(unsigned char lead, uint32_t *bits, uint32_t *least)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    int more = lead < 0x80             ? 0
               : (lead & 0xe0) == 0xc0 ? 1
               : (lead & 0xf0) == 0xe0 ? 2
               : (lead & 0xf8) == 0xf0 ? 3
                                       : -1;

    if (more >= 0) {
        *bits = more ? lead & (0x3fu >> more) : lead;
        *least = smallest[more];
    }
    return more;
}

uint32_t utf8_next(const char **s)
{
    const unsigned char *p = (const unsigned char *)*s;
    uint32_t c, least;
    int more = sequence(*p, &c, &least);

    (*s)++;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return UTF8_REPLACEMENT;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (more < 0 || c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return UTF8_REPLACEMENT;
    *s += more;
    return c;
}

size_t utf8_encode(uint32_t c, char at[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n; i-- > 1; c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3f));
    at[0] = (char)(lead[n] | c);
    return n;
}

char *utf8_mended(const char *text, int *failed)
{
    size_t size = 1;
    bool valid = true;
    char *copy, *at;

    *failed = 0;
    for (const char *s = text; *s;) {
        const char *before = s;
        char ignored[4];
        size_t n = utf8_encode(utf8_next(&s), ignored);

        size += n;
        valid = valid && n == (size_t)(s - before) && memcmp(ignored, before, n) == 0;
    }
    if (valid)
        return NULL;
    at = copy = malloc(size);
    *failed = !copy;
    for (const char *s = text; copy && *s;)
        at += utf8_encode(utf8_next(&s), at);
    if (copy)
        *at = '\0';
    return copy;
}
