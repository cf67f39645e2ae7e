/* records: the guest's lines, checked (see ../protocol.h for their form).
 *
 * Promises: a record is handed out only if nonce, sequence number, length and checksum are right;
 * anything else that claims to be a record is an error, anything that does not is chatter.
 * Does not: read from anywhere, know what a record means.
 * Lifetime: a record points into the caller's line. */
#pragma once

#include "probes/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_stream {
    uint64_t nonce;
    uint64_t next; /* sequence number */
};

struct record {
    char letter;
    char *fields; /* "" or the fields, one space between two */
};

/* line: one line of the console without its end, written into. Returns 1 with *r filled, 0 if the
 * line is not a record, or -EBADMSG. */
int record_parse(struct record_stream *s, char *line, size_t len, struct record *r, struct err *e);

/* Takes one field off the front. They return 0, or -EBADMSG when it is missing or no number. */
int field_u64(char **fields, uint64_t *out, struct err *e);
int field_i64(char **fields, int64_t *out, struct err *e);
int field_hex(char **fields, uint64_t *out, struct err *e);
/* %-escapes are resolved in place; *len may include NUL bytes of the text. */
int field_text(char **fields, char **out, size_t *len, struct err *e);
/* Several decimal numbers at once. */
int fields_u64(char **fields, uint64_t *out, size_t count, struct err *e);
