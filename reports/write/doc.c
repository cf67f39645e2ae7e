#include "reports/write/doc.h"

#include "probes/list.h"
#include "reports/escape.h"
#include "reports/format.h"
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int doc_fail(struct doc *d, int rc)
{
    if (d->rc == 0)
        d->rc = rc;
    return d->rc;
}

bool doc_ask(struct doc *d, struct query *q, const char *sql, const char *name, const char *text)
{
    return d->rc == 0 && doc_fail(d, query_ask(q, d->db, sql, name, text, d->e)) == 0;
}

/* To be a page, the document is kept in memory first. */
static int open_page(struct doc *d)
{
    d->page = calloc(1, sizeof *d->page);
    if (!d->page || page_open(d->page))
        return doc_fail(d, err_no_memory(d->e));
    d->out = d->page->markdown.out;
    return 0;
}

static bool is_page(const char *path)
{
    const char *ending = strrchr(path, '.');

    return ending && (strcmp(ending, ".html") == 0 || strcmp(ending, ".htm") == 0);
}

int doc_open(struct doc *d, struct store *store, const char *path, struct err *e)
{
    size_t len = path ? strlen(path) : 0, stem = len;
    const char *slash;

    *d = (struct doc){
        .store = store, .db = store_handle(store), .e = e, .out = stdout, .file = {.fd = -1}};
    if (!path)
        return 0;
    if (doc_fail(d, output_open(&d->file, path, NULL, store, e)))
        return d->rc;
    d->out = d->file.file;
    if (is_page(path))
        return open_page(d);
    if (!d->file.target)
        return 0;
    if (len > 3 && strcmp(path + len - 3, ".md") == 0)
        stem = len - 3;
    if (asprintf(&d->assets, "%.*s.assets", (int)stem, path) < 0) {
        d->assets = NULL;
        return doc_fail(d, err_no_memory(e));
    }
    slash = strrchr(d->assets, '/');
    d->link = slash ? slash + 1 : d->assets;
    return 0;
}

/* Pictures that are not named any more, or not yet, do no harm; one that is named and not there
 * does: so the document is last. */
static void place_all(struct doc *d)
{
    bool made = d->assets && d->npictures && mkdir(d->assets, 0777) == 0;

    if (d->assets && d->npictures && !made && errno != EEXIST)
        doc_fail(d, err_sys(d->e, errno, "cannot make directory '%s'", d->assets));
    for (size_t i = 0; d->assets && i < d->npictures && d->rc == 0; i++)
        doc_fail(d, output_place(&d->pictures[i].file, i + 1 == d->npictures, d->e));
    if (d->rc == 0)
        doc_fail(d, output_place(&d->file, true, d->e));
    if (d->rc && made)
        rmdir(d->assets);
}

int doc_close(struct doc *d)
{
    if (d->rc == 0 && d->page && page_write(d->page, d->file.file))
        doc_fail(d, err_no_memory(d->e));
    if (d->rc == 0 && d->file.file)
        doc_fail(d, output_done(&d->file, d->e));
    for (size_t i = 0; d->assets && i < d->npictures && d->rc == 0; i++)
        doc_fail(d, output_sync(&d->pictures[i].file, d->e));
    if (d->rc == 0)
        doc_fail(d, output_sync(&d->file, d->e));
    if (d->rc == 0 && d->file.path)
        place_all(d);
    output_drop(&d->file);
    for (size_t i = 0; i < d->npictures; i++) {
        output_drop(&d->pictures[i].file);
        free(d->pictures[i].name);
    }
    free(d->pictures);
    for (size_t i = 0; i < d->nqueries; i++)
        sqlite3_free(d->queries[i]);
    free(d->queries);
    for (size_t i = 0; i < d->nsections; i++)
        free(d->sections[i]);
    free(d->sections);
    free(d->assets);
    if (d->page)
        page_close(d->page);
    free(d->page);
    *d = (struct doc){.rc = d->rc};
    return d->rc;
}

void doc_say(struct doc *d, const char *fmt, ...)
{
    va_list ap;

    if (d->rc)
        return;
    va_start(ap, fmt);
    vfprintf(d->out, fmt, ap);
    va_end(ap);
}

void doc_text(struct doc *d, const char *text)
{
    if (d->rc == 0)
        escape_markdown(d->out, text);
}

void doc_section(struct doc *d, const char *title)
{
    char **added = d->rc ? NULL : LIST_ADD(d->sections, d->nsections);

    if (added && !(*added = strdup(title)))
        d->nsections--;
    if (d->rc == 0 && (!added || !*added))
        doc_fail(d, err_no_memory(d->e));
    doc_say(d, "## ");
    doc_text(d, title);
    doc_say(d, "\n\n");
}

void doc_cut_short(struct doc *d, const char *run_id)
{
    char *ended = NULL;

    if (d->rc || doc_fail(d, query_cut_short(d->db, run_id, &ended, d->e)) || !ended)
        return;
    doc_say(d, " (**cut short: ");
    doc_text(d, ended);
    doc_say(d, "**)");
    free(ended);
}

static void cell(struct doc *d, struct query *q, const struct doc_column *c)
{
    char buf[FORMAT_MAX];

    if (query_null(q, c->column)) {
        doc_say(d, " %s |", query_unknown(q, c->column) ? "unknown" : "-");
        return;
    }
    doc_say(d, query_at_least(q, c->column) ? " at least " : " ");
    doc_say(d, query_inferred(q, c->column) ? "~" : "");
    switch (c->kind) {
    case DOC_KIND_COUNT:
        doc_say(d, "%s", format_count(buf, query_int(q, c->column)));
        break;
    case DOC_KIND_KB:
        doc_say(d, "%s", format_kb(buf, query_number(q, c->column)));
        break;
    case DOC_KIND_NS:
        doc_say(d, "%s", format_ns(buf, query_number(q, c->column)));
        break;
    default:
        doc_text(d, query_text(q, c->column));
    }
    doc_say(d, " |");
}

static void table_head(struct doc *d, const struct doc_column *columns)
{
    doc_say(d, "|");
    for (const struct doc_column *c = columns; c->column; c++)
        doc_say(d, " %s |", c->header);
    doc_say(d, "\n|");
    for (const struct doc_column *c = columns; c->column; c++)
        doc_say(d, c->kind == DOC_KIND_TEXT ? "---|" : "---:|");
    doc_say(d, "\n");
}

/* A link to the query, which doc_queries writes. Takes it over: it is sqlite3_free()d. */
static void link_query(struct doc *d, char *sql)
{
    size_t at = 0;

    while (sql && at < d->nqueries && strcmp(d->queries[at], sql) != 0)
        at++;
    if (at < d->nqueries) {
        sqlite3_free(sql);
    } else {
        char **added = sql ? LIST_ADD(d->queries, d->nqueries) : NULL;

        if (!added) {
            sqlite3_free(sql);
            doc_fail(d, err_no_memory(d->e));
            return;
        }
        *added = sql;
    }
    doc_say(d, "[Query %zu](#query-%zu)\n\n", at + 1, at + 1);
}

int doc_shell(struct doc *d, const char *fmt, ...)
{
    va_list ap;

    if (d->rc || d->brief)
        return d->rc;
    va_start(ap, fmt);
    link_query(d, sqlite3_vmprintf(fmt, ap));
    va_end(ap);
    return d->rc;
}

void doc_queries(struct doc *d)
{
    if (d->nqueries)
        doc_say(d,
                "## Queries\n\nEach runs in `sqlite3 -box FILE`, where FILE is the database.\n\n");
    for (size_t i = 0; i < d->nqueries && d->rc == 0; i++) {
        size_t len = strlen(d->queries[i]);

        doc_say(d, "### Query %zu\n\n```sql\n", i + 1);
        escape_fenced(d->out, d->queries[i]);
        doc_say(d, "%s```\n\n", len && d->queries[i][len - 1] == '\n' ? "" : "\n");
    }
}

int doc_table(struct doc *d, struct query *q, const struct doc_column *columns, int with_query)
{
    int rows = 0;

    while (d->rc == 0 && query_row(q)) {
        if (rows++ == 0)
            table_head(d, columns);
        doc_say(d, "|");
        for (const struct doc_column *c = columns; c->column; c++)
            cell(d, q, c);
        doc_say(d, "\n");
    }
    if (rows > 0)
        doc_say(d, "\n");
    if (rows > 0 && with_query && !d->brief && d->rc == 0)
        link_query(d, query_expanded(q));
    doc_fail(d, query_close(q));
    return rows;
}

/* Does the column tell something in this row? */
static bool tells(struct query *q, const struct doc_column *c)
{
    if (query_null(q, c->column))
        return query_unknown(q, c->column);
    return c->kind == DOC_KIND_TEXT || query_number(q, c->column) != 0;
}

#define MOST_COLUMNS 16

int doc_table_lean(struct doc *d, struct query *q, const struct doc_column *columns)
{
    struct doc_column kept[MOST_COLUMNS + 1] = {{NULL, NULL, DOC_KIND_TEXT}};
    bool told[MOST_COLUMNS] = {false};
    size_t n = 0;

    while (d->rc == 0 && query_row(q))
        for (size_t i = 0; i < MOST_COLUMNS && columns[i].column; i++)
            told[i] |= tells(q, &columns[i]);
    for (size_t i = 0; i < MOST_COLUMNS && columns[i].column; i++)
        if (told[i])
            kept[n++] = columns[i];
    kept[n].column = NULL;
    query_reset(q);
    return doc_table(d, q, kept, 0);
}

int doc_answer(struct doc *d, const char *sql, const char *name, const char *text,
               const struct doc_column *columns)
{
    struct query q;

    return doc_ask(d, &q, sql, name, text) ? doc_table(d, &q, columns, 1) : 0;
}

/* A file name that no picture of this document has yet. */
static struct doc_picture *new_picture(struct doc *d, const char *wanted)
{
    char base[160], file[180];
    struct doc_picture *added;

    escape_file_name(base, sizeof base, wanted);
    snprintf(file, sizeof file, "%s", base);
    for (size_t i = 0, n = 2; i < d->npictures; i++)
        if (strcmp(d->pictures[i].name, file) == 0) {
            snprintf(file, sizeof file, "%s-%zu", base, n++);
            i = (size_t)-1; /* look at all again */
        }
    added = LIST_ADD(d->pictures, d->npictures);
    if (added)
        *added = (struct doc_picture){strdup(file), {.fd = -1}};
    if (added && !added->name)
        d->npictures--;
    return added && added->name ? added : NULL;
}

/* The directory of the pictures is made with the first that is placed. */
static int open_picture(struct doc *d, struct doc_picture *p)
{
    char *path, *beside = strdup(d->assets);
    int rc = -1;

    if (output_is_foreign(d->assets))
        rc = err_sys(d->e, EACCES, "cannot write into '%s'", d->assets);
    else if (beside && asprintf(&path, "%s/%s.svg", d->assets, p->name) >= 0) {
        rc = output_open(&p->file, path, access(d->assets, F_OK) ? dirname(beside) : NULL, d->store,
                         d->e);
        free(path);
    } else {
        rc = err_no_memory(d->e);
    }
    free(beside);
    return rc;
}

FILE *doc_picture(struct doc *d, const char *name)
{
    struct doc_picture *p;

    if (d->rc == 0 && d->page) { /* a block of the markdown */
        fputs("<figure tabindex=\"0\">", d->out);
        return d->out;
    }
    p = d->rc ? NULL : new_picture(d, name);
    if (!p) {
        if (d->rc == 0)
            doc_fail(d, err_no_memory(d->e));
        return NULL;
    }
    if (d->assets)
        doc_fail(d, open_picture(d, p));
    else
        p->file.file = fopen("/dev/null", "we");
    if (!p->file.file && d->rc == 0)
        doc_fail(d, err_sys(d->e, errno, "cannot write '/dev/null'"));
    return d->rc ? NULL : p->file.file;
}

/* In a link: everything but plain characters as %XX. */
static void link_text(FILE *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            strchr("-_./", c))
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

void doc_picture_end(struct doc *d, FILE *f, const char *alt)
{
    struct doc_picture *p;

    if (!f)
        return;
    if (d->page) {
        fputs("</figure>\n\n", d->out);
        return;
    }
    p = &d->pictures[d->npictures - 1];
    if (d->rc || doc_fail(d, output_done(&p->file, d->e)))
        return;
    if (!d->assets) {
        fputs("*Picture, written with -o FILE.md: ", d->out);
        escape_markdown(d->out, alt);
        fputs("*\n\n", d->out);
        return;
    }
    fputs("![", d->out);
    escape_markdown(d->out, alt);
    fputs("](", d->out);
    link_text(d->out, d->link);
    fputc('/', d->out);
    link_text(d->out, p->name);
    fputs(".svg)\n\n", d->out);
}
