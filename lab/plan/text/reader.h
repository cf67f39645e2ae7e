/* reader: from the text of a scenario to values and drafts of steps, each error with its place.
 *
 *   json_scan.h  the text: strict JSON, marks
 *   fail.c       errors with a place; texts and what is nearest to them
 *   expr.c       "=expr"
 *   read.c       scalars, words, field tables
 *   bind.c       parameters, case columns, conditions (`when`)
 *   step.c       one step: its action's fields, as the rows of lab/actions.h list them
 * Each calls only those above it; none knows what a name means at its step: that is world/.
 *
 * Every function that can fail returns 0; -EINVAL: a mistake in the text, which has been told
 * (reader.found has it, or the one that it follows from); or what ends the reading, with the
 * message in reader.e. After -EINVAL whoever reads a list goes on with the next (either, fatal), so
 * that all mistakes are found in one go.
 * What a function read before it failed stays in the struct that it fills; its owner frees. */
#pragma once

#include "lab/plan/ability.h"
#include "lab/plan/plan.h"
#include "lab/plan/text/json_scan.h"
#include "probes/caps.h"
#include "probes/places.h"

#include <errno.h>
#include <stdio.h>

/* --- reading --- */

/* SCALAR_DOUBT: what it is could not be read, and that was told. */
enum scalar_type { SCALAR_DOUBT, SCALAR_INT, SCALAR_TEXT, SCALAR_BOOL };

/* text is borrowed: from the tree, or from the settings. */
struct scalar {
    enum scalar_type type;
    int64_t n; /* SCALAR_BOOL: 0, 1 */
    const char *text;
};

struct binding {
    const char *name;
    struct scalar value;
};

struct bindings {
    struct binding *at;
    size_t n;
    struct places names; /* of the counts, which have no limit */
};

/* What was found wrong, in the order of the text. */
struct mistakes {
    struct mistake *at;
    size_t n;
    char **names; /* that mean nothing, and were told */
    size_t nnames;
    bool mute; /* what would be found now only follows from what was found */
};

struct reader {
    const struct json_doc *doc;
    struct err *e;
    struct mistakes *found;
    const struct ability *const *known; /* the abilities of all backends; ends with NULL */
    const struct ability *ability;      /* of the backend that is planned for */
    uint64_t page_size;
    struct bindings params;  /* page_size and backend first */
    struct bindings columns; /* of the case in hand */
    struct bindings counts;  /* what writes and reads counted so far, for expectations */
    const char *case_name;   /* the case in hand, or NULL: named in messages */
    bool names_in_doubt;     /* there may be other parameters, columns and counts than these */
};

/* Point at the node's value, or at its key, or inside its text. Return -EINVAL. */
#define fail_at(r, node, ...) fail_offset(r, node, value_offset(r, node), __VA_ARGS__)
#define fail_at_key(r, node, ...) fail_offset(r, node, key_offset(r, node), __VA_ARGS__)
#define fail_inside(r, node, index, ...)                                                           \
    fail_offset(r, node, json_doc_inside((r)->doc, node, index), __VA_ARGS__)
/* It has no place in the text. */
#define fail_nowhere(r, ...) fail_offset(r, NULL, 0, __VA_ARGS__)
int fail_offset(const struct reader *r, const cJSON *node, size_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A name that means nothing is told at its first use: it may be its declaration that is wrong.
 * what: what it is a name of. 0: tell it now; -EINVAL: it was told. */
int fail_again(const struct reader *r, const char *what, const char *name);
/* Prints them, at most 20 (out may be NULL); the first goes to r->e too. */
void mistakes_tell(const struct reader *r, FILE *out);
void mistakes_release(struct mistakes *m);

/* Does the reading end here? */
static inline bool fatal(int rc)
{
    return rc < 0 && rc != -EINVAL;
}

/* The outcome of two things that were both done. */
static inline int either(int a, int b)
{
    return fatal(a) || b == 0 ? a : b;
}

size_t value_offset(const struct reader *r, const cJSON *node);
size_t key_offset(const struct reader *r, const cJSON *node);
/* 0 if the text has no control characters (lines: but newlines and tabs). */
int check_controls(const struct reader *r, const cJSON *node, const char *text, bool lines);
/* strdup that takes NULL; *out is freed first. */
int copy_text(const struct reader *r, char **out, const char *text);
/* A strict whole number, all of the text. 0, -EINVAL, or -ERANGE. */
int parse_int(const char *text, size_t len, int64_t *out);
/* The same from a command line: with K, M or G behind it 1024, 1024^2, 1024^3 times as much. */
int parse_amount(const char *text, size_t len, int64_t *out);
bool is_name(const char *text);
/* The candidate nearest to text by edit distance; NULL if there are none. */
const char *nearest(const char *text, const char *const *candidates, size_t n);
const char *kind_of(const cJSON *node); /* "an array", "a number", ... */
const char *scalar_kind(enum scalar_type type);

/* A number, text, boolean or "=expr". */
int read_scalar(const struct reader *r, const cJSON *node, struct scalar *out);
int read_int(const struct reader *r, const cJSON *node, int64_t min, int64_t max, int64_t *out);
int read_bool(const struct reader *r, const cJSON *node, bool *out);
/* Borrowed. No control characters (a message's text may have newlines and tabs: lines). */
int read_text(const struct reader *r, const cJSON *node, bool lines, const char **out);
/* A name: a letter, then letters, digits, '_' and '-'. Copied; *out is freed first. */
int read_name(const struct reader *r, const cJSON *node, char **out);
int read_word(const struct reader *r, const cJSON *node, const struct word *words, int *out);
/* A percentage with up to four decimals, as parts per million. */
int read_percent(const struct reader *r, const cJSON *node, uint64_t *ppm);

/* Evaluates text after its '='. */
int eval_expr(const struct reader *r, const cJSON *node, const char *text, struct scalar *out);
const struct binding *find_binding(const struct reader *r, const char *name, size_t len);

/* One key of an object: what reads its value into which struct, and what the value may be. */
struct field {
    const char *key; /* one that ends in '.' goes on with the name of a backend */
    bool needed;
    int (*read)(const struct reader *r, const cJSON *node, const struct field *f, void *out);
    const struct word *words; /* the value is one of them; else NULL */
    const char *schema;       /* its definition in the JSON Schema; NULL: a number, min to max */
    int64_t min, max;
    size_t offset; /* in the struct at out */
};

int take_i32(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_i64(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_bool(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_text(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_lines(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_name(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_word(const struct reader *r, const cJSON *node, const struct field *f, void *out);
int take_flag(const struct reader *r, const cJSON *node, const struct field *f, void *out);

/* Types of fields: reader, words, schema. */
#define TYPE_ANY NULL, NULL, NULL     /* known, read elsewhere */
#define TYPE_I32 take_i32, NULL, NULL /* int32_t or int, min to max */
#define TYPE_I64 take_i64, NULL, NULL /* int64_t */
#define TYPE_U64 take_i64, NULL, NULL /* uint64_t, min >= 0 */
#define TYPE_BOOL take_bool, NULL, "boolean"
#define TYPE_TEXT take_text, NULL, "line"           /* char *, one line */
#define TYPE_LINES take_lines, NULL, "lines"        /* char *, may have newlines */
#define TYPE_NAME take_name, NULL, "name"           /* char * */
#define TYPE_WORD(list, name) take_word, list, name /* int or enum of words */
#define TYPE_FLAG(list, name) take_flag, list, name /* bool: the word's code */
#define FIELD_NEEDED true
#define FIELD_OPTIONAL false
#define FIELD(k, need, type, min, max, of, member)                                                 \
    {                                                                                              \
        k, FIELD_##need, TYPE_##type, min, max, offsetof(of, member)                               \
    }
#define FIELD_ANY(k, need) FIELD(k, need, ANY, 0, 0, struct field, key)
#define FIELD_END FIELD_ANY(NULL, OPTIONAL)

/* Checks that node is an object with the keys of the table and no others, reads their values. */
int read_fields(const struct reader *r, const cJSON *node, const struct field *fields, void *out);
/* Is there a key that is none of the fields, and (unless key is NULL) nearest to this one? Then a
 * field that is missing may be there under a wrong name, and that was told. */
bool key_mistyped(const struct reader *r, const cJSON *node, const struct field *fields,
                  const char *key);
/* Case-sensitive; NULL if absent. */
const cJSON *member(const cJSON *object, const char *key);
int check_object(const struct reader *r, const cJSON *node);
int check_array(const struct reader *r, const cJSON *node);

/* --- bindings --- */

int bind_params(struct reader *r, const cJSON *params, const struct param_setting *settings,
                size_t nsettings);
int copy_params(const struct reader *r, struct plan *p);
/* Gives the name at node a number; an earlier count of that name is replaced. */
int bind_count(struct reader *r, const cJSON *node, uint64_t n);
/* Is a `when` object true now? */
int eval_when(const struct reader *r, const cJSON *when, bool *out);

/* The case table: columns and the scalars of every row. */
struct cases {
    const char **columns;
    size_t ncolumns, nrows;
    struct binding *cells; /* row by row */
    size_t name_column;
    struct places names;
    int other_length; /* of a row that was told to be too long or short: more of it are not */
    uint64_t mixed;   /* bits of columns that are not of one type */
};
int read_cases(struct reader *r, const cJSON *node, struct cases *out);
void cases_release(struct cases *c);
/* Makes row the case in hand; -1: none. */
void use_case(struct reader *r, const struct cases *c, long row);

/* --- steps --- */

/* Rows of lab/actions.h; tables end with key NULL. */
struct action_row {
    const char *key, *help;
    enum action action;
    enum region_use region;
    enum message_use message;
    const struct field *fields;
};
extern const struct action_row action_rows[];
extern const struct field part_fields[];
extern const struct word part_words[], copy_words[];

/* A step and where it came from. */
struct draft {
    struct step step;
    const struct action_row *does;
    const cJSON *node, *action; /* the step's object and its action's */
    long row;                   /* case row, -1 none */
    bool skipped;               /* its `when` is false */
    bool bad;                   /* has a mistake: what it does is in doubt */
    bool when_in_doubt;
    uint64_t touched;        /* write, read with `count`: the pages that it touches */
    const char *unsupported; /* why the backend cannot carry it out; NULL: it can */
};

int read_step(const struct reader *r, const cJSON *node, struct draft *out);
void step_release(struct step *s);

void expectation_release(struct expectation *x);
void answer_release(struct step *s);
