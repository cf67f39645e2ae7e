/* parts: what the files of the scenario language share; nobody else includes it.
 *
 *   plan.c      the order of things: document -> bindings -> steps -> world -> plan
 *   read.c      errors with a place, scalars, field tables
 *   expr.c      "=expr"
 *   bind.c      parameters, case columns, conditions (`when`)
 *   step.c      one step: its action's fields
 *   world.c     who lives, what is mapped, what is on its way: names resolve against it
 *   expect.c    expectations
 *   load.c      shipped scenarios and files
 *
 * Every function that can fail returns 0 or a negative errno with the message in reader.e.
 * What a function read before it failed stays in the struct that it fills; its owner frees. */
#ifndef LAB_PLAN_PARTS_H
#define LAB_PLAN_PARTS_H

#include "lab/plan/json_scan.h"
#include "lab/plan/plan.h"
#include "probes/caps.h"

#include <errno.h>

/* --- reading --- */

enum scalar_type { SCALAR_INT = 1, SCALAR_TEXT, SCALAR_BOOL };

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
};

struct reader {
    const struct json_doc *doc;
    struct err *e;
    const char *backend;
    uint64_t page_size;
    struct bindings params;  /* page_size and backend first */
    struct bindings columns; /* of the case in hand */
    struct bindings counts;  /* what writes and reads counted so far, for expectations */
    const char *case_name;   /* the case in hand, or NULL: named in messages */
};

/* Points at the node's value, or at its key, or inside its text. Return -EINVAL. */
int fail_at(const struct reader *r, const cJSON *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int fail_at_key(const struct reader *r, const cJSON *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int fail_inside(const struct reader *r, const cJSON *string, size_t index, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int no_memory(const struct reader *r);

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
bool is_name(const char *text);
int read_word(const struct reader *r, const cJSON *node, const struct word *words, int *out);
/* A percentage with up to four decimals, as parts per million. */
int read_percent(const struct reader *r, const cJSON *node, uint64_t *ppm);
/* A strict whole number, all of the text. 0, -EINVAL, or -ERANGE. */
int parse_int(const char *text, size_t len, int64_t *out);

/* Evaluates text after its '='. */
int eval_expr(const struct reader *r, const cJSON *node, const char *text, struct scalar *out);
const struct binding *find_binding(const struct reader *r, const char *name, size_t len);

enum field_type {
    FIELD_ANY,      /* known, read elsewhere */
    FIELD_U64,      /* uint64_t, min..max */
    FIELD_I64,      /* int64_t */
    FIELD_I32,      /* int32_t or int */
    FIELD_BOOL,     /* bool */
    FIELD_TEXT,     /* char *, one line */
    FIELD_LINES,    /* char *, may have newlines */
    FIELD_NAME,     /* char * */
    FIELD_WORD,     /* int or enum of words */
    FIELD_WORD_BOOL /* bool: the word's code */
};

/* One key of an object: where its value goes and what it may be. */
struct field {
    const char *key;
    enum field_type type;
    bool required;
    int64_t min, max;
    const struct word *words;
    size_t offset; /* in the struct that is filled */
};

/* Checks that node is an object with these keys only (plus `more`, which may be NULL), reads the
 * values in the order of the table. */
int read_fields(const struct reader *r, const cJSON *node, const struct field *fields, size_t n,
                void *out);
/* Case-sensitive; NULL if absent. */
const cJSON *member(const cJSON *object, const char *key);
int check_object(const struct reader *r, const cJSON *node);
int check_array(const struct reader *r, const cJSON *node);

/* The candidate nearest to text by edit distance; NULL if there are none. */
const char *nearest(const char *text, const char *const *candidates, size_t n);

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
};
int read_cases(struct reader *r, const cJSON *node, struct cases *out);
void cases_release(struct cases *c);
/* Makes row the case in hand; -1: none. */
void use_case(struct reader *r, const struct cases *c, long row);

/* --- steps --- */

/* A step and where it came from. */
struct draft {
    struct step step;
    const cJSON *node, *action; /* the step's object and its action's */
    long row;                   /* case row, -1 none */
    bool skipped;               /* its `when` is false */
    uint64_t touched;           /* write, read with `count`: the pages that it touches */
    const char *unsupported;    /* why the reader's backend cannot carry it out; NULL: it can */
};

int read_step(const struct reader *r, const cJSON *node, struct draft *out);
void step_release(struct step *s);
/* Rows of lab/actions.h as word lists (label: the help text). */
extern const struct word action_words[], map_kind_words[], advice_words[];

/* --- world --- */

struct world;
int world_new(struct world **out, const struct reader *r, const struct plan *plan,
              const struct draft *drafts, size_t n);
void world_free(struct world *w);
/* Resolves the step's names (it may set step.case_name) and carries its effect out. */
int world_apply(struct world *w, const struct reader *r, struct draft *d);
uint64_t world_peak_pages(const struct world *w);
enum actor_state { ACTOR_ABSENT, ACTOR_ALIVE, ACTOR_EXITED, ACTOR_GONE };
/* -1: no such actor. */
int world_actor_state(const struct world *w, const char *actor);
/* The case of the region that the name means for this actor (or "message") now: in the case first,
 * then outside; *case_name NULL: outside. False: it has none. */
bool world_resolve(const struct world *w, const char *actor, const char *region, const char *in,
                   const char **case_name);
/* Region names of an actor, for suggestions: up to room of them; returns how many. */
size_t world_region_names(const struct world *w, const char *actor, const char **names,
                          size_t room);

extern const char *const backend_names[]; /* ends with NULL */

/* --- expectations --- */

int read_expectations(const struct reader *r, const struct world *w, struct draft *d,
                      const struct plan *plan);
void expectation_release(struct expectation *x);

/* strdup that takes NULL. */
int copy_text(const struct reader *r, char **out, const char *text);

#endif
