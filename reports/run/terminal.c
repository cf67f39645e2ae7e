/* terminal: a run as text for a screen of 80 columns or more: heading, timeline, summary.
 *
 * Owns the layout and nothing else; every line of the timeline fits in the screen's columns. An
 * unknown number is "?", one that does not apply "-". Text of scenarios cannot move the cursor. */
#include "reports/report.h"

#include "probes/list.h"
#include "reports/draw/label.h"
#include "reports/draw/palette.h"
#include "reports/draw/strips.h"
#include "reports/escape.h"
#include "reports/format.h"
#include "reports/run/history.h"
#include "reports/run/region_index.h"
#include "reports/run/wording.h"
#include "reports/write/query.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define INDENT 7         /* under the step's phase */
#define LABEL 21         /* actor.region#case */
#define STATES_AT 58     /* where the counts of states begin */
#define BESIDE_STRIP 16  /* columns */
#define BESIDE_BINNED 32 /* of a longer region, with cells of several pages: room for counts */
#define MANY_REGIONS 4   /* more at one step: unchanged ones are counted only */

struct screen {
    FILE *out;
    bool colour;
    int width; /* columns */
    bool letters_told;
};

/* The terminal's width or what the user says it is; 80 elsewhere. */
static struct screen screen_of(FILE *out, bool colour)
{
    const char *set = getenv("COLUMNS");
    long columns = set ? strtol(set, NULL, 10) : 0;
    struct winsize w;

    if (columns <= 0 && ioctl(fileno(out), TIOCGWINSZ, &w) == 0)
        columns = w.ws_col;
    return (struct screen){out, colour,
                           columns < 80    ? 80
                           : columns > 250 ? 250
                                           : (int)columns,
                           false};
}

static void style(const struct screen *s, const char *ansi)
{
    if (s->colour)
        fprintf(s->out, "\033[%sm", ansi);
}

static void plain(const struct screen *s)
{
    style(s, "0");
}

static void indent(FILE *out, int n)
{
    fprintf(out, "%*s", n, "");
}

/* Words of a line that breaks before the screen's end and goes on at column `at`. */
struct flow {
    const struct screen *s;
    int at, column;
    bool begun; /* a word is on the line already */
};

static void flow_word(struct flow *f, const char *word)
{
    int width = (int)escape_width(word);

    if (f->begun && f->column + 1 + width > f->s->width) {
        fputc('\n', f->s->out);
        indent(f->s->out, f->at);
        f->column = f->at;
    } else if (f->begun) {
        fputc(' ', f->s->out);
        f->column++;
    }
    escape_terminal(f->s->out, word);
    f->column += width;
    f->begun = true;
}

/* Words of a text, broken at its spaces. */
static void flow_text(struct flow *f, const char *text)
{
    char word[256];

    if (!text)
        return;
    while (*text) {
        size_t n = strcspn(text, " ");

        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
        if (n)
            flow_word(f, word);
        text += n;
        while (*text == ' ')
            text++;
    }
}

static void columns_heading(const struct screen *s)
{
    style(s, "2");
    fprintf(s->out, "step  phase and action\n%*s%-*s%-12s%4s %12s  %s\n", INDENT, "", LABEL,
            "seen in", "share mode", "refs", "res/map/of", "pages");
    plain(s);
}

/* What the letters of strips mean: below the first one. */
static void letters_legend(struct screen *s)
{
    struct flow f = {s, INDENT + 2, INDENT + 2, false};
    char word[64];

    if (s->letters_told)
        return;
    s->letters_told = true;
    style(s, "2");
    indent(s->out, INDENT + 2);
    for (const struct state_style *l = state_styles; l->letter; l++) {
        snprintf(word, sizeof word, "%c %s%s", l->letter, word_text(page_states, l->state),
                 l[1].letter ? "," : ";");
        flow_word(&f, word);
    }
    flow_text(&f, "lower case: mixed, most of what is not none");
    fputc('\n', s->out);
    plain(s);
}

static void step_line(const struct screen *s, const struct step_record *st)
{
    char did[512], time[FORMAT_MAX], number[16];

    wording_action(did, sizeof did, st);
    snprintf(number, sizeof number, "%4d", st->step);
    style(s, "1");
    fprintf(s->out, "%s  %-15s ", number, st->phase);
    escape_terminal_field(s->out, did, s->width - 6 - 16 - 11, 0);
    plain(s);
    if (st->dur_ns > 0 && st->actor) /* an exit reports no time */
        fprintf(s->out, "%*s",
                11 + (int)(strlen(format_ns(time, (double)st->dur_ns)) - escape_width(time)), time);
    fputc('\n', s->out);
}

static const char *number(char *buf, struct value v)
{
    return format_value(buf, v, "?");
}

/* "16 exclusive" for each of these quantities that has pages; "?" where the kernel does not tell.
 */
static void counts(struct flow *f, const struct obs_region *r, int from, int to)
{
    int told = 0, unknown = 0;

    for (int q = from; q <= to; q++) {
        char n[FORMAT_MAX], word[FORMAT_MAX + 24];

        if (value_is_known(r->q[q]) && r->q[q].n > 0) {
            snprintf(word, sizeof word, "%s %s", number(n, r->q[q]), region_quantities[q].column);
            flow_word(f, word);
            told++;
        }
        unknown += !value_is_known(r->q[q]) && r->q[q].why != WHY_NOT_APPLICABLE;
    }
    if (unknown)
        flow_word(f, told ? "rest ?" : "?");
}

static void states(const struct screen *s, const struct obs_region *r)
{
    struct flow f = {s, STATES_AT, STATES_AT, false};

    counts(&f, r, RQ_NONE, RQ_SWAPPED);
}

/* All pages in one state: its count says all that letters would. */
static bool uniform(const struct obs_region *r)
{
    for (int q = RQ_NONE; q <= RQ_SWAPPED; q++)
        if (value_is_known(r->q[q]) && r->q[q].n == r->q[RQ_PAGES].n)
            return true;
    return false;
}

/* Second line of a region: its pages as letters, and what a write did. */
static void region_pages(struct screen *s, const struct obs_region *r)
{
    struct strip_row row = strip_of(r);
    bool wrote = r->q[RQ_WRITE_OUTCOME].why != WHY_NOT_APPLICABLE;
    struct flow f = {s, INDENT + 2, INDENT + 2, false};
    int cells = s->width - BESIDE_STRIP;

    row.pages = r->nruns && !uniform(r) ? row.pages : 0;
    cells = row.pages > (uint64_t)cells ? s->width - BESIDE_BINNED : cells;
    if (row.pages < 2 && !wrote)
        return;
    indent(s->out, INDENT + 2);
    if (row.pages >= 2)
        f.column += (int)strip_letters(s->out, &row, (size_t)cells, s->colour);
    if (wrote) {
        flow_word(&f, row.pages >= 2 ? "  wrote:" : "wrote:");
        counts(&f, r, RQ_FIRST_TOUCH, RQ_SWAPPED_IN);
    }
    fputc('\n', s->out);
    if (row.pages >= 2)
        letters_legend(s);
}

static void region_lines(struct screen *s, const struct obs_region *r, const char *step_case)
{
    char label[512], mode[32], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], pages[3 * FORMAT_MAX];

    label_region(label, sizeof label, r);
    label_share_mode(mode, sizeof mode, r, "?");
    if (r->case_name && step_case && strcmp(r->case_name, step_case) == 0)
        label_short(label, sizeof label, r, LABEL - 1); /* the step's line names the case */
    indent(s->out, INDENT);
    if (escape_width(label) >= LABEL) { /* long names stand on a line of their own */
        escape_terminal(s->out, label);
        fputc('\n', s->out);
        indent(s->out, INDENT);
        label[0] = '\0';
    }
    escape_terminal_field(s->out, label, LABEL - 1, 0);
    snprintf(pages, sizeof pages, "%s/%s/%s", number(a, r->q[RQ_RESIDENT]),
             number(b, r->q[RQ_MAPPED]), number(c, r->q[RQ_PAGES]));
    fprintf(s->out, " %-12s%4s %12s", mode, number(a, r->q[RQ_REF_COUNT]), pages);
    if (strlen(pages) > 12) { /* large regions: the counts go below */
        fputc('\n', s->out);
        indent(s->out, STATES_AT);
    } else {
        fputs("  ", s->out);
    }
    states(s, r);
    fputc('\n', s->out);
    region_pages(s, r);
}

static void memory_line(const struct screen *s, const struct observation *o)
{
    struct flow f = {s, INDENT + 2, INDENT, false};

    if (o->nprocesses == 0)
        return;
    style(s, "2");
    indent(s->out, INDENT);
    flow_text(&f, "rss/pss/uss KiB:");
    for (size_t i = 0; i < o->nprocesses; i++) {
        const struct obs_process *p = &o->processes[i];
        char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], word[256];

        snprintf(word, sizeof word, "%.60s %s/%s/%s%s", p->actor, number(a, p->q[PQ_RSS]),
                 number(b, p->q[PQ_PSS]), number(c, p->q[PQ_USS]),
                 i + 1 < o->nprocesses ? "," : "");
        flow_word(&f, word);
    }
    fputc('\n', s->out);
    plain(s);
}

/* -- the timeline ----------------------------------------------------------------------- */

struct timeline {
    struct screen screen;
    bool begun;
    struct region_index index;
    struct region_state {
        struct value q[RQ__COUNT];
    } * before; /* as each region was when it was seen last, by its number */
    size_t nbefore;
};

struct timeline *timeline_new(bool colour, FILE *out)
{
    struct timeline *t = calloc(1, sizeof *t);

    if (t)
        t->screen = screen_of(out, colour);
    return t;
}

void timeline_free(struct timeline *t)
{
    if (!t)
        return;
    region_index_release(&t->index);
    free(t->before);
    free(t);
}

/* If it did not change: one of many, or of another case than the step's; never the one that the
 * step is about. */
static bool may_be_left_out(const struct step_record *s, const struct obs_region *r)
{
    if (step_concerns(s, r))
        return false;
    return s->obs->nregions > MANY_REGIONS ||
           strcmp(s->case_name ? s->case_name : "", r->case_name ? r->case_name : "") != 0;
}

/* Is it as it was before? Remembers how it is. -ENOMEM without memory. */
static int unchanged(struct timeline *t, const struct obs_region *r)
{
    size_t number = region_index_of(&t->index, r);
    bool is_new = number == t->nbefore, changed;

    if (number == SIZE_MAX || (is_new && !LIST_ADD(t->before, t->nbefore)))
        return -ENOMEM;
    changed = region_changed(is_new ? NULL : t->before[number].q, r);
    memcpy(t->before[number].q, r->q, sizeof r->q);
    return !changed;
}

/* All regions of a step, or those worth a line. */
static int regions(struct timeline *t, const struct step_record *s)
{
    size_t left_out = 0;
    char n[FORMAT_MAX];

    for (size_t i = 0; i < s->obs->nregions; i++) {
        const struct obs_region *r = &s->obs->regions[i];
        int same = unchanged(t, r);

        if (same < 0)
            return same;
        if (same && may_be_left_out(s, r))
            left_out++;
        else
            region_lines(&t->screen, r, s->case_name);
    }
    if (left_out) {
        indent(t->screen.out, INDENT);
        fprintf(t->screen.out, "%s as before\n", format_noun(n, (int64_t)left_out, "region"));
    }
    return 0;
}

int timeline_step(struct timeline *t, const struct step_record *s, struct err *e)
{
    if (!t->begun)
        columns_heading(&t->screen);
    t->begun = true;
    step_line(&t->screen, s);
    if (regions(t, s) < 0)
        return err_no_memory(e);
    memory_line(&t->screen, s->obs);
    return 0;
}

static int stored_step(void *timeline, struct history_step *s, struct err *e)
{
    struct step_record record = history_record(s);

    return timeline_step(timeline, &record, e);
}

int report_timeline(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e)
{
    struct timeline *t = timeline_new(colour, out);
    struct history h;
    int rc = t ? history_load(&h, store_handle(s), run_id, HISTORY_RUN, e) : err_no_memory(e);

    if (rc == 0) {
        rc = history_each(&h, store_handle(s), stored_step, t, e);
        history_release(&h);
    }
    timeline_free(t);
    return rc;
}

int report_cut_short(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e)
{
    struct screen screen = screen_of(out, colour);
    struct flow f = {&screen, 2, 2, false};
    char *ended;
    int rc = query_cut_short(store_handle(s), run_id, &ended, e);

    if (rc || !ended)
        return rc;
    indent(out, 2);
    style(&screen, "1;31");
    flow_text(&f, "cut short:");
    flow_text(&f, ended);
    plain(&screen);
    fputc('\n', out);
    free(ended);
    return 0;
}

int report_heading(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e)
{
    struct screen screen = screen_of(out, colour);
    struct history h;
    char page[FORMAT_MAX];
    int rc = history_load(&h, store_handle(s), run_id, HISTORY_RUN, e);

    if (rc)
        return rc;
    style(&screen, "1");
    escape_terminal(out, h.scenario);
    plain(&screen);
    fputs(h.title ? ": " : "", out);
    escape_terminal(out, h.title);
    fputc('\n', out);
    if (h.question) {
        struct flow f = {&screen, 2, 2, false};

        indent(out, 2);
        flow_text(&f, h.question);
        fputc('\n', out);
    }
    fputs("  ", out);
    escape_terminal(out, h.backend);
    fputs(h.kernel ? ", " : "", out);
    escape_terminal(out, h.kernel);
    fprintf(out, ", pages of %s\n  run ", format_kb(page, (double)h.page_size / 1024));
    escape_terminal(out, h.run_id);
    fputc('\n', out);
    history_release(&h);
    return 0;
}

/* A line of its own per row of a query: "label: text", both columns of the query. */
static int each_line(const struct screen *s, sqlite3 *db, const char *sql, const char *run_id,
                     const char *heading, struct err *e)
{
    struct query q;
    int rc = query_ask(&q, db, sql, ":run_id", run_id, e), n = 0;

    if (rc)
        return rc;
    while (query_row(&q)) {
        struct flow f = {s, 4, 2, false};

        if (n++ == 0 && heading)
            fprintf(s->out, "%s\n", heading);
        indent(s->out, 2);
        flow_text(&f, query_text(&q, "line"));
        fputc('\n', s->out);
    }
    return query_close(&q);
}

/* How many held and failed, of whatever `sql` counts, and what else it has to say. */
static int counts_line(const struct screen *s, sqlite3 *db, const char *sql, const char *run_id,
                       const char *what, struct err *e)
{
    struct query q;
    int rc = query_ask(&q, db, sql, ":run_id", run_id, e);
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (rc)
        return rc;
    if (query_row(&q)) {
        int64_t failed = query_int(&q, "failed");

        fputs(what, s->out);
        style(s, failed ? "0" : "32");
        fprintf(s->out, "%s held", format_count(a, query_int(&q, "held")));
        plain(s);
        fputs(", ", s->out);
        style(s, failed ? "1;31" : "0");
        fprintf(s->out, "%s failed", format_count(b, failed));
        plain(s);
        fprintf(s->out, ", %s\n", query_text(&q, "rest"));
    }
    return query_close(&q);
}

void report_shell_word(FILE *out, const char *word)
{
    bool plain_word = word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789/._+-")] == '\0';

    fputs(*word == '-' ? "./" : "", out);
    if (plain_word) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    fputc('\'', out);
}

void report_database_option(struct store *s, FILE *out)
{
    const char *name = store_path(s), *set = getenv("COWLAB_DB");

    if (strcmp(name, "cowlab.db") == 0 && !(set && *set))
        return;
    fputs(" --db ", out);
    report_shell_word(out, name);
}

void report_list_hint(struct store *s, FILE *out)
{
    fputs("its runs: sqlite3 -box ", out);
    report_shell_word(out, store_path(s));
    fputs(" \"SELECT run_id, scenario, backend, status FROM runs\"\n", out);
}

/* What to type next. */
static void next_commands(const struct screen *s, struct store *store, const char *run_id)
{
    style(s, "2");
    fprintf(s->out, "next: cowlab show %s", run_id);
    report_database_option(store, s->out);
    fputs("\n      cowlab report -o report.md", s->out);
    report_database_option(store, s->out);
    fputs("\n      sqlite3 -box ", s->out);
    report_shell_word(s->out, store_path(store));
    fprintf(s->out,
            " \"SELECT step, observed, share_mode, ref_count, write_outcome\n"
            "        FROM timeline WHERE run_id = '%s'\"\n",
            run_id);
    plain(s);
}

/* What the scenario says to its question. */
static int answer_line(const struct screen *s, sqlite3 *db, const char *run_id, struct err *e)
{
    struct query q;
    struct flow f = {s, 2, 0, false};

    query_ask(&q, db, "SELECT answer FROM runs WHERE run_id = :run_id", ":run_id", run_id, e);
    if (query_row(&q) && !query_null(&q, "answer")) {
        flow_text(&f, "answer:");
        flow_text(&f, query_text(&q, "answer"));
        fputc('\n', s->out);
    }
    return query_close(&q);
}

int report_summary(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e)
{
    static const struct {
        const char *sql, *heading;
    } parts[] = {
        {"db/report/summary-failed.sql", "failed:"},
        {"db/report/summary-not-checked.sql", "not checked, because:"},
        {"db/report/summary-differing.sql", "cross-checks that differ:"},
        {"db/report/summary-unknown.sql", "unknown:"},
    };
    struct screen screen = screen_of(out, colour);
    sqlite3 *db = store_handle(s);
    struct history h;
    int rc = history_load(&h, db, run_id, HISTORY_RUN, e);

    if (rc)
        return rc;
    if (h.message) {
        struct flow f = {&screen, 2, 0, false};

        flow_text(&f, h.status);
        flow_text(&f, "because");
        flow_text(&f, h.message);
        fputc('\n', out);
    }
    history_release(&h);
    fputc('\n', out);
    rc = answer_line(&screen, db, run_id, e);
    if (rc == 0)
        rc = counts_line(&screen, db, "db/report/expectation-counts.sql", run_id,
                         "expectations: ", e);
    if (rc == 0)
        rc = counts_line(&screen, db, "db/report/prediction-counts.sql", run_id,
                         "pages written as their states predicted: ", e);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++)
        rc = each_line(&screen, db, parts[i].sql, run_id, parts[i].heading, e);
    if (rc == 0)
        next_commands(&screen, s, run_id);
    return rc;
}
