/* json_scan: strict JSON with a place for every value.
 *
 * cJSON keeps no positions and is lax: it takes 01, 1e400, raw tabs in strings and repeated keys.
 * So json_scan reads the text first by RFC 8259 and refuses what cJSON would let pass; json_doc
 * then lets cJSON build the tree and walks it beside the recorded marks.
 *
 * Owns: the text's marks, the tree, and the form of an error that points at the text.
 * Promises: what json_doc_parse accepts is UTF-8 without NUL, has no repeated key in an object, is
 * nested at most JSON_DEPTH deep; every node has its offset; an error names line and column (in
 * characters, from 1), shows the source line and a caret.
 * Does not: know what the text means. Nothing is printed.
 * Lifetime: the caller keeps text and origin alive until json_doc_free(). */
#pragma once

#include "probes/err.h"
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stddef.h>

#define JSON_DEPTH 32
#define JSON_MAX_BYTES (1u << 20)
#define JSON_NO_KEY ((size_t)-1)

/* One value, in the order of the text. Offsets count bytes. */
struct json_mark {
    size_t key;   /* opening quote of its member name; JSON_NO_KEY in arrays and for the root */
    size_t value; /* first byte */
    size_t end;   /* one past its last byte */
    int parent;   /* index of the mark that holds it; -1: the root */
    int position; /* among its parent's values, from 0 */
};

struct json_marks {
    struct json_mark *at;
    size_t n;
};

struct json_fault {
    size_t offset;
    char what[160];
};

/* 0; -EINVAL with *fault filled; -ENOMEM. marks (which starts zeroed) may be filled in part after
 * a failure: json_marks_release() in any case. */
int json_scan(const char *text, size_t len, struct json_marks *marks, struct json_fault *fault);
void json_marks_release(struct json_marks *marks);
/* Bytes of the well-formed UTF-8 sequence (RFC 3629: no overlong form, no surrogate, nothing above
 * U+10FFFF) at the start of a text with left > 0 bytes; 0: malformed, or NUL. */
size_t json_utf8_length(const char *text, size_t left);

struct json_doc;

/* Returns 0, -EINVAL with a message that points at the text, or -ENOMEM. */
int json_doc_parse(struct json_doc **out, const char *text, size_t len, const char *origin,
                   struct err *e);
void json_doc_free(struct json_doc *doc);
const cJSON *json_doc_root(const struct json_doc *doc);
/* The mark of a node of this document's tree. */
struct json_mark json_doc_mark(const struct json_doc *doc, const cJSON *node);
/* The n-th value whose key stood in its object before, which is not in the tree, and that object;
 * NULL: no more. */
const cJSON *json_doc_repeated(const struct json_doc *doc, size_t n, const cJSON **object);
/* The source text from an offset of a mark on. */
const char *json_doc_text(const struct json_doc *doc, size_t offset);
/* Line and column of an offset, both from 1; a column is a character, a tab is one too. */
void json_doc_place(const struct json_doc *doc, size_t offset, int *line, int *column);
/* Offset in the source of byte `index` of a decoded string value (escapes make them differ). */
size_t json_doc_inside(const struct json_doc *doc, const cJSON *string, size_t index);

/* "file:line:col: path: message", the source line and a caret at offset. node gives the path
 * (NULL: none). Returns -EINVAL. */
int json_doc_fail(const struct json_doc *doc, const cJSON *node, size_t offset, struct err *e,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
