/* json_doc: cJSON's tree beside the scanner's marks, and errors that point at the text. */
#include "lab/plan/text/json_scan.h"
#include "probes/list.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_doc {
    const char *text, *origin;
    size_t len;
    cJSON *root;
    struct json_marks marks;
    cJSON **nodes; /* by mark; valueint is the mark: numbers are read from the text */
    int *again;    /* marks of values whose key stood in their object before */
    size_t nagain;
    struct spot *spots; /* one for each PLACE_STEP bytes of the text */
};

/* Line and column before the byte at a multiple of PLACE_STEP. */
struct spot {
    int line, column;
};

#define PLACE_STEP 64

/* The tree in the order of the text: the same order as the marks. */
static void number_nodes(struct json_doc *doc, cJSON *node, size_t *n)
{
    cJSON *child;

    node->valueint = (int)*n;
    doc->nodes[(*n)++] = node;
    cJSON_ArrayForEach (child, node) {
        number_nodes(doc, child, n);
    }
}

struct json_mark json_doc_mark(const struct json_doc *doc, const cJSON *node)
{
    return doc->marks.at[node ? node->valueint : 0];
}

const cJSON *json_doc_root(const struct json_doc *doc)
{
    return doc->root;
}

const char *json_doc_text(const struct json_doc *doc, size_t offset)
{
    return doc->text + offset;
}

static int by_name_then_place(const void *a, const void *b)
{
    const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
    int c = strcmp(x->string, y->string);

    return c ? c : x->valueint - y->valueint;
}

/* Takes repeated keys out of one object, compared after escapes are resolved. scratch has room for
 * all nodes. */
static void check_keys(struct json_doc *doc, cJSON *object, cJSON **scratch)
{
    cJSON *child;
    size_t n = 0;

    cJSON_ArrayForEach (child, object) {
        scratch[n++] = child;
    }
    qsort(scratch, n, sizeof *scratch, by_name_then_place);
    for (size_t i = 1; i < n; i++)
        if (strcmp(scratch[i - 1]->string, scratch[i]->string) == 0) {
            doc->again[doc->nagain++] = scratch[i]->valueint;
            cJSON_DetachItemViaPointer(object, scratch[i]);
        }
}

static int check_all_keys(struct json_doc *doc, struct err *e)
{
    cJSON **scratch = calloc(doc->marks.n, sizeof *scratch);

    doc->again = calloc(doc->marks.n, sizeof *doc->again);
    if (!scratch || !doc->again) {
        free(scratch);
        return err_no_memory(e);
    }
    for (size_t i = 0; i < doc->marks.n; i++)
        if (cJSON_IsObject(doc->nodes[i]))
            check_keys(doc, doc->nodes[i], scratch);
    free(scratch);
    return 0;
}

const cJSON *json_doc_repeated(const struct json_doc *doc, size_t n, const cJSON **object)
{
    if (n >= doc->nagain)
        return NULL;
    *object = doc->nodes[doc->marks.at[doc->again[n]].parent];
    return doc->nodes[doc->again[n]];
}

/* Moves a spot over bytes of the text. A character is counted at its first byte. */
static void walk(const char *from, const char *to, struct spot *at)
{
    for (; from < to; from++) {
        at->column = *from == '\n' ? 1 : at->column + (((unsigned char)*from & 0xc0) != 0x80);
        at->line += *from == '\n';
    }
}

static int note_spots(struct json_doc *doc, struct err *e)
{
    struct spot at = {1, 1};

    doc->spots = calloc(doc->len / PLACE_STEP + 1, sizeof *doc->spots);
    if (!doc->spots)
        return err_no_memory(e);
    for (size_t i = 0; i <= doc->len / PLACE_STEP; i++) {
        doc->spots[i] = at;
        if (i < doc->len / PLACE_STEP)
            walk(doc->text + i * PLACE_STEP, doc->text + (i + 1) * PLACE_STEP, &at);
    }
    return 0;
}

static int build_tree(struct json_doc *doc, struct err *e)
{
    size_t n = 0;

    /* The scanner has accepted the text: all that can fail now is memory. */
    doc->root = cJSON_ParseWithLength(doc->text, doc->len);
    doc->nodes = calloc(doc->marks.n, sizeof *doc->nodes);
    if (!doc->root || !doc->nodes)
        return err_no_memory(e);
    number_nodes(doc, doc->root, &n);
    return check_all_keys(doc, e);
}

int json_doc_parse(struct json_doc **out, const char *text, size_t len, const char *origin,
                   struct err *e)
{
    struct json_doc *doc = calloc(1, sizeof *doc);
    struct json_fault fault = {0, ""};
    int rc;

    if (!doc)
        return err_no_memory(e);
    doc->text = text;
    doc->len = len;
    doc->origin = origin;
    rc = json_scan(text, len, &doc->marks, &fault);
    if (rc == -EINVAL)
        rc = json_doc_fail(doc, NULL, fault.offset, e, "%s", fault.what);
    else if (rc < 0)
        rc = err_no_memory(e);
    else
        rc = note_spots(doc, e);
    if (rc == 0)
        rc = build_tree(doc, e);
    if (rc < 0) {
        json_doc_free(doc);
        return rc;
    }
    *out = doc;
    return 0;
}

void json_doc_free(struct json_doc *doc)
{
    if (!doc)
        return;
    for (size_t i = 0; i < doc->nagain; i++)
        cJSON_Delete(doc->nodes[doc->again[i]]);
    free(doc->again);
    cJSON_Delete(doc->root);
    json_marks_release(&doc->marks);
    FREE_ALL(doc->nodes, doc->spots, doc);
}

/* Bytes of the character at p; anything malformed counts as one byte. */
static size_t char_bytes(const char *p, const char *end)
{
    size_t n = json_utf8_length(p, (size_t)(end - p));

    return n ? n : 1;
}

static const char *line_start(const struct json_doc *doc, size_t offset)
{
    const char *p = doc->text + offset;

    while (p > doc->text && p[-1] != '\n')
        p--;
    return p;
}

void json_doc_place(const struct json_doc *doc, size_t offset, int *line, int *column)
{
    size_t known = doc->spots ? offset / PLACE_STEP : 0;
    struct spot at = doc->spots ? doc->spots[known] : (struct spot){1, 1};

    walk(doc->text + known * PLACE_STEP, doc->text + offset, &at);
    *line = at.line;
    *column = at.column;
}

size_t json_doc_inside(const struct json_doc *doc, const cJSON *string, size_t index)
{
    struct json_mark m = json_doc_mark(doc, string);
    size_t at = m.value + 1;

    for (size_t decoded = 0; decoded < index && at < m.end; decoded++) {
        unsigned int unit = 0;
        size_t utf8 = 1;

        if (doc->text[at] != '\\') {
            at++;
            continue;
        }
        if (doc->text[at + 1] != 'u') {
            at += 2;
            continue;
        }
        sscanf(doc->text + at + 2, "%4x", &unit);
        at += 6;
        if (unit >= 0xd800 && unit <= 0xdbff) {
            at += 6;
            utf8 = 4;
        } else if (unit >= 0x80) {
            utf8 = unit < 0x800 ? 2 : 3;
        }
        decoded += utf8 - 1;
    }
    return at;
}

/* Columns that a character takes on a terminal: 0 for combining marks, 2 for wide East Asian
 * characters and pictures, else 1. Enough to put the caret under the right character. */
static int char_cells(const char *p, size_t bytes)
{
    static const struct {
        unsigned long first, last;
        int cells;
    } ranges[] = {{0x300, 0x36f, 0},   {0x200b, 0x200f, 0},   {0xfe00, 0xfe0f, 0},
                  {0x1100, 0x115f, 2}, {0x2e80, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},
                  {0xf900, 0xfaff, 2}, {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},
                  {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2}};
    unsigned long u = (unsigned char)*p;

    if (bytes > 1) {
        u &= 0x7fu >> bytes;
        for (size_t i = 1; i < bytes; i++)
            u = u << 6 | ((unsigned char)p[i] & 0x3f);
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (u >= ranges[i].first && u <= ranges[i].last)
            return ranges[i].cells;
    return 1;
}

#define SHOWN_CELLS 90  /* of a source line */
#define SHOWN_BEFORE 60 /* of them before the caret, in a line that is clipped */
#define SHOWN_BYTES 320

/* Writes the character at p as it can safely be shown; returns the bytes written. */
static size_t show_char(char *out, const char *p, size_t bytes)
{
    unsigned char c = (unsigned char)*p;

    if (bytes > 1 && !(c == 0xc2 && (unsigned char)p[1] < 0xa0)) {
        memcpy(out, p, bytes);
        return bytes;
    }
    *out = c == '\t' ? ' ' : (bytes > 1 || c < 0x20 || c > 0x7e) ? '?' : (char)c;
    return 1;
}

/* The source line, indented by six and clipped around the caret, and the caret line. */
static void show_line(const struct json_doc *doc, size_t offset, char *out, size_t size)
{
    const char *at = doc->text + offset, *end = doc->text + doc->len;
    const char *p = line_start(doc, offset);
    char line[SHOWN_BYTES + 8];
    size_t used = 0, bytes;
    int cell = 0, caret = 0, skip;

    while (p < at && (*p == ' ' || *p == '\t'))
        p++;
    for (const char *q = p; q < at; q += bytes) {
        bytes = char_bytes(q, end);
        caret += char_cells(q, bytes);
    }
    skip = caret < SHOWN_CELLS - 10 ? 0 : caret - SHOWN_BEFORE;
    for (; p < end && *p != '\n' && !(*p == '\r' && p + 1 < end && p[1] == '\n'); p += bytes) {
        bytes = char_bytes(p, end);
        if (cell >= skip && (cell >= skip + SHOWN_CELLS || used + bytes > SHOWN_BYTES))
            break;
        if (cell >= skip)
            used += show_char(line + used, p, bytes);
        cell += char_cells(p, bytes);
    }
    line[used] = '\0';
    snprintf(out, size, "      %s%s%s\n%*s^", skip ? "..." : "", line,
             p < end && *p != '\n' && *p != '\r' ? "..." : "", 6 + (skip ? 3 : 0) + caret - skip,
             "");
}

/* A key as a path shows it: steps[3].expect["parent.r"].share_mode */
static int path_part(const struct json_doc *doc, int mark, char *out, size_t size)
{
    const struct json_mark *m = &doc->marks.at[mark];
    const char *key = doc->nodes[mark]->string;

    if (m->key == JSON_NO_KEY)
        return snprintf(out, size, "[%d]", m->position);
    if (*key && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                    strlen(key))
        return snprintf(out, size, "%s%.40s", m->parent > 0 ? "." : "", key);
    return snprintf(out, size, "[\"%.60s\"]", key);
}

/* The path of a node, "" for the root; each part is short, the depth has a limit. */
static void path_of(const struct json_doc *doc, const cJSON *node, char *out, size_t size)
{
    int chain[JSON_DEPTH + 1], n = 0;
    size_t used = 0;

    *out = '\0';
    if (!node || !doc->nodes)
        return;
    for (int i = node->valueint; i > 0 && n <= JSON_DEPTH; i = doc->marks.at[i].parent)
        chain[n++] = i;
    while (n-- > 0 && used < size - 1) {
        int wrote = path_part(doc, chain[n], out + used, size - used);

        used += wrote > 0 ? (size_t)wrote : 0;
    }
}

/* Cuts a half character off the end of a text that was clipped, and makes what a terminal would
 * obey harmless. */
static void make_showable(char *text)
{
    char *end = text + strlen(text), *p = text, *q = text;

    while (p < end) {
        size_t bytes = char_bytes(p, end);

        if (bytes == 1 && (unsigned char)*p >= 0x80) {
            p++;
            continue;
        }
        q += show_char(q, p, bytes);
        p += bytes;
    }
    *q = '\0';
}

int json_doc_fail(const struct json_doc *doc, const cJSON *node, size_t offset, struct err *e,
                  const char *fmt, ...)
{
    size_t origin_len = strlen(doc->origin);
    const char *origin = origin_len > 120 ? doc->origin + origin_len - 120 : doc->origin;
    char message[220], path[120], shown[SHOWN_BYTES + 160];
    int line, column;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    path_of(doc, node, path, sizeof path);
    make_showable(message);
    make_showable(path);
    json_doc_place(doc, offset, &line, &column);
    show_line(doc, offset, shown, sizeof shown);
    return err_set(e, EINVAL, "%s%s:%d:%d: %s%s%s\n%s", origin != doc->origin ? "..." : "", origin,
                   line, column, path, *path ? ": " : "", message, shown);
}
