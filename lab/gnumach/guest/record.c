/* record: one line on the console for each record (see protocol.h).
 * Owns the line under construction. A record is never split, and never printed in part: what does
 * not fit makes the whole line unreadable for the host, which then fails the run. */
#include "lab/gnumach/guest/guest.h"

#define LINE_MAX 4096u
#define PREFIX 64u /* room that "@NONCE SEQ LENGTH CRC " takes at most */

static char line[PREFIX + LINE_MAX + 2];
static size_t used; /* bytes of payload, at line + PREFIX */
static uint64_t nonce;
static uint64_t sequence;

void record_nonce(uint64_t n)
{
    nonce = n;
}

size_t record_room(void)
{
    return LINE_MAX - used;
}

static void put(char c)
{
    if (used < LINE_MAX)
        line[PREFIX + used++] = c;
}

/* Digits of n in base 10 or 16 at `to`, at least `width`; returns how many. */
static size_t digits(char *to, uint64_t n, unsigned base, unsigned width)
{
    char reversed[24];
    size_t count = 0;
    do {
        reversed[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n || count < width);
    for (size_t i = 0; i < count; i++)
        to[i] = reversed[count - 1 - i];
    return count;
}

void record_begin(char letter)
{
    used = 0;
    put(letter);
}

void record_numbers(const char *form, const uint64_t *n)
{
    for (; *form; form++, n++) {
        int negative = *form == 'i' && (int64_t)*n < 0;
        char text[24];
        size_t count = digits(text, negative ? -*n : *n, *form == 'x' ? 16 : 10, 1);
        put(' ');
        if (negative)
            put('-');
        for (size_t i = 0; i < count; i++)
            put(text[i]);
    }
}

void record_text(const char *text, size_t n)
{
    put(' ');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 0x7f && c != '%' && c != '-') {
            put((char)c);
        } else {
            char hex[4];
            digits(hex, c, 16, 2);
            put('%');
            put(hex[0]);
            put(hex[1]);
        }
    }
}

void record_end(void)
{
    char seq[24], prefix[PREFIX];
    size_t n = 0, s = digits(seq, sequence++, 10, 1);
    seq[s] = ' ';
    uint32_t crc = guest_crc32(0, seq, s + 1);
    crc = guest_crc32(crc, line + PREFIX, used);
    prefix[n++] = '@';
    n += digits(prefix + n, nonce, 16, 16);
    prefix[n++] = ' ';
    for (size_t i = 0; i <= s; i++)
        prefix[n++] = seq[i];
    n += digits(prefix + n, used, 10, 1);
    prefix[n++] = ' ';
    n += digits(prefix + n, crc, 16, 8);
    prefix[n++] = ' ';
    char *start = line + PREFIX - n;
    for (size_t i = 0; i < n; i++)
        start[i] = prefix[i];
    line[PREFIX + used] = '\n';
    line[PREFIX + used + 1] = 0;
    mach_print(start);
}
