#include "lab/gnumach/host/records.h"

#include "lab/gnumach/protocol.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_DIGITS 16

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* The record in a line, which the kernel's chatter may precede: '@', 16 hex digits, a space. */
static char *find_mark(char *line, const char *end)
{
    for (char *p = line; p < end; p++) {
        int n = 0;

        if (*p != '@' || end - p < NONCE_DIGITS + 2)
            continue;
        while (n < NONCE_DIGITS && hex_digit(p[1 + n]) >= 0)
            n++;
        if (n == NONCE_DIGITS && p[1 + n] == ' ')
            return p + 1;
    }
    return NULL;
}

static int check_sum(char *sequence, size_t sequence_len, const char *payload, size_t len,
                     uint64_t sum, struct err *e)
{
    uint32_t crc = guest_crc32(0, sequence, sequence_len);

    crc = guest_crc32(crc, payload, len);
    if (crc != sum)
        return err_set(e, EBADMSG, "record with a wrong checksum: '%.60s'", payload);
    return 0;
}

int record_parse(struct record_stream *s, char *line, size_t len, struct record *r, struct err *e)
{
    char *end = line + len, *at = find_mark(line, end), *sequence, *payload;
    uint64_t nonce, number, length, sum;
    size_t sequence_len;
    int rc;

    if (!at)
        return 0;
    *end = '\0';
    rc = field_hex(&at, &nonce, e);
    if (rc == 0 && nonce != s->nonce)
        return err_set(e, EBADMSG,
                       "record with the nonce of another plan: %016" PRIx64
                       " instead of %016" PRIx64,
                       nonce, s->nonce);
    sequence = at;
    rc = rc ? rc : field_u64(&at, &number, e);
    sequence_len = strlen(sequence) + 1;
    rc = rc ? rc : field_u64(&at, &length, e);
    rc = rc ? rc : field_hex(&at, &sum, e);
    if (rc < 0)
        return err_prefix(e, rc, "record with a broken head");
    payload = at;
    if ((size_t)(end - payload) != length || length == 0)
        return err_set(e, EBADMSG, "record of %zu bytes that says it has %" PRIu64,
                       (size_t)(end - payload), length);
    sequence[sequence_len - 1] = ' ';
    rc = check_sum(sequence, sequence_len, payload, length, sum, e);
    if (rc < 0)
        return rc;
    if (number != s->next)
        return err_set(e, EBADMSG, "record %" PRIu64 " came where %" PRIu64 " was due", number,
                       s->next);
    s->next++;
    r->letter = payload[0];
    r->fields = payload + 1 + (payload[1] == ' ');
    return 1;
}

/* Cuts the first field off; NULL if there is none. */
static char *take(char **fields)
{
    char *start = *fields, *space = strchr(start, ' ');

    if (!*start)
        return NULL;
    if (space) {
        *space = '\0';
        *fields = space + 1;
    } else {
        *fields = start + strlen(start);
    }
    return start;
}

static int number(char **fields, int base, uint64_t *out, struct err *e)
{
    char *text = take(fields), *end;

    if (!text)
        return err_set(e, EBADMSG, "record with a missing field");
    errno = 0;
    *out = strtoull(text, &end, base);
    if (errno || *end || hex_digit(*text) < 0)
        return err_set(e, EBADMSG, "record with a field that is no number: '%.30s'", text);
    return 0;
}

int field_u64(char **fields, uint64_t *out, struct err *e)
{
    return number(fields, 10, out, e);
}

int field_hex(char **fields, uint64_t *out, struct err *e)
{
    return number(fields, 16, out, e);
}

int field_i64(char **fields, int64_t *out, struct err *e)
{
    bool negative = **fields == '-';
    uint64_t n;
    int rc;

    *fields += negative;
    rc = number(fields, 10, &n, e);
    if (rc == 0)
        *out = negative ? -(int64_t)n : (int64_t)n;
    return rc;
}

int fields_u64(char **fields, uint64_t *out, size_t count, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = field_u64(fields, &out[i], e);
    return rc;
}

int field_text(char **fields, char **out, size_t *len, struct err *e)
{
    char *text = take(fields), *to;

    if (!text) { /* an empty text leaves nothing between the spaces */
        *out = *fields;
        *len = 0;
        return 0;
    }
    to = *out = text;
    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
            return err_set(e, EBADMSG, "record with a broken escape");
        *to++ = (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
        p += 2;
    }
    *len = (size_t)(to - text);
    *to = '\0';
    return 0;
}
