/* doc: one markdown document with its pictures beside it, or a page of it, and the tables in it.
 *
 * Owns: the output file and the directory NAME.assets/. A table can link to the query behind it;
 * doc_queries lists these, each once, at the end. The first failure sticks; doc_close reports it.
 * Nothing is in its place before all of it is written; then come the pictures, and last the
 * document that names them. Lifetime: doc_open ... doc_close. */
#pragma once

#include "reports/output.h"
#include "reports/write/page.h"
#include "reports/write/query.h"
#include <stdio.h>

struct doc_picture {
    char *name; /* of the file, without .svg; each once */
    struct output file;
};

struct doc {
    FILE *out;
    struct store *store;
    sqlite3 *db;
    struct err *e;
    int rc;
    struct output file; /* the document; not to standard output */
    char *assets;       /* directory of the pictures; NULL: they are only named */
    const char *link;   /* the same as seen from the document: a part of assets */
    struct doc_picture *pictures;
    size_t npictures;
    bool brief; /* no queries */
    char **queries;
    size_t nqueries;
    struct page *page; /* .html or .htm: the document is kept until its end, pictures in it */
    char **sections;   /* titles of those that doc_section began */
    size_t nsections;
};

/* path NULL: to standard output. A path that ends in .html or .htm: one page with all in it.
 * To standard output, and where the path is no regular file, pictures are only
 * named; whether standard output took all of it is the caller's to see. */
int doc_open(struct doc *d, struct store *store, const char *path, struct err *e);
int doc_close(struct doc *d);
/* Takes over the failure of a step, unless there is an earlier one. */
int doc_fail(struct doc *d, int rc);

/* printf for our own words; then text of others, escaped. */
void doc_say(struct doc *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doc_text(struct doc *d, const char *text);

/* The heading of a section, which a line of links names. */
void doc_section(struct doc *d, const char *title);

/* query_ask of the document's database. False after a failure, which sticks: nothing is open. */
bool doc_ask(struct doc *d, struct query *q, const char *sql, const char *name, const char *text);

/* Of a run that did not come to its end, or has not yet: " (**cut short: ...**)"; else nothing. */
void doc_cut_short(struct doc *d, const char *run_id);

struct doc_column {
    const char *column; /* of the query */
    const char *header;
    enum doc_kind { DOC_KIND_TEXT, DOC_KIND_COUNT, DOC_KIND_KB, DOC_KIND_NS } kind;
};
/* clang-format off */
#define DOC_COLUMN(column, header, kind) {column, header, DOC_KIND_##kind}
#define DOC_TEXT(column, header) DOC_COLUMN(column, header, TEXT)
#define DOC_COUNT(column, header) DOC_COLUMN(column, header, COUNT)
#define DOC_KB(column, header) DOC_COLUMN(column, header, KB)
#define DOC_NS(column, header) DOC_COLUMN(column, header, NS)
/* Those of a table; the last one is its end. */
#define DOC_COLUMNS(...) {__VA_ARGS__, DOC_TEXT(NULL, NULL)}
/* clang-format on */

/* The rows of a query as a table. A NULL is "unknown" if the query
 * has a column unknown_keys (names with commas) that names it, else "-"; a
 * value that inferred_keys names was concluded: "~"; one of at_least_keys is "at least" so much.
 * Returns the number of rows; without rows nothing is written. Closes the query. with_query: it
 * links to the query. */
int doc_table(struct doc *d, struct query *q, const struct doc_column *columns, int with_query);
/* The same without the columns that are 0 or a dash in every row, and without a link. */
int doc_table_lean(struct doc *d, struct query *q, const struct doc_column *columns);
/* doc_table of a query with one text bound, and with a link to it. */
int doc_answer(struct doc *d, const char *sql, const char *name, const char *text,
               const struct doc_column *columns);

/* A link to a one-line query; %q as in sqlite3_mprintf. */
int doc_shell(struct doc *d, const char *fmt, ...);
/* The section of all queries that are linked to. */
void doc_queries(struct doc *d);

/* A picture: write SVG to the returned file, then doc_picture_end. NULL after a failure.
 * name: becomes the file's name, with a number behind it if the document has one of that name. */
FILE *doc_picture(struct doc *d, const char *name);
/* Closes the picture begun last and links it. f may be NULL. */
void doc_picture_end(struct doc *d, FILE *f, const char *alt);
