/* findings: what the runs of a report show, in sentences. Each sentence is computed: a query gives
 * the facts, the function beside it the words for them, also for "nothing found" and "unknown". */
#include "reports/run/sections.h"

#include "reports/format.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 8 /* examples named in a sentence; the rest is counted */

/* runs: NULL for a query about the whole database. */
static bool begin(struct doc *d, const struct selection *runs, struct query *q, const char *sql)
{
    return doc_ask(d, q, sql, runs ? ":runs" : NULL, runs ? runs->json : NULL);
}

static void lead(struct doc *d, const char *what)
{
    doc_say(d, "- **%s** ", what);
}

/* "~" before what was concluded, as the query says. */
static const char *mark(struct query *q, const char *column)
{
    return query_int(q, column) ? "~" : "";
}

/* "fork-write on linux" */
static void where(struct doc *d, struct query *q)
{
    doc_text(d, query_text(q, "scenario"));
    doc_say(d, " on ");
    doc_text(d, query_text(q, "backend"));
}

/* A sentence with a clause per row of the query, for the first LISTED of them. */
struct listing {
    const char *sql, *title;
    const char *first, *next; /* before the first clause: "", before each other: "; " */
    void (*clause)(struct doc *d, struct query *q);
    const char *what;     /* a row is one: "run" */
    const char *outcome;  /* that the query asks for */
    const char *end;      /* another sentence */
    bool ends_itself;     /* the clause has its own full stop, where it needs one */
    const char *quantity; /* that it tells: where it is unknown is told too; NULL: no such */
    const char *nobody;   /* without a row, where nothing is unknown; NULL: nothing is said */
};

static const char *text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

/* Returns the number of rows; without one nothing is said. */
static int say_list(struct doc *d, struct query *q, const struct listing *l)
{
    int n = 0;

    for (; query_row(q); n++) {
        if (n == 0)
            lead(d, l->title);
        if (n >= LISTED)
            continue;
        doc_say(d, "%s", n ? text_or(l->next, "; ") : text_or(l->first, ""));
        l->clause(d, q);
    }
    if (n > LISTED)
        doc_say(d, "; and so in %d more %s%s", n - LISTED, text_or(l->what, "run"),
                n - LISTED == 1 ? "" : "s");
    if (n > 0)
        doc_say(d, "%s%s", l->ends_itself ? "" : ".", text_or(l->end, ""));
    return n;
}

/* What was not found among values that are unknown is not "nothing". n: places that were found.
 * Whether there is any. */
static bool say_unknown(struct doc *d, const struct selection *runs, const struct listing *l, int n)
{
    struct query q;
    char a[FORMAT_MAX];
    int64_t unknown;

    if (!l->quantity || !begin(d, runs, &q, "db/report/find-unknown-of.sql"))
        return false;
    query_bind(&q, ":quantity", l->quantity);
    unknown = query_row(&q) ? query_int(&q, "runs") : 0;
    if (unknown) {
        if (n == 0)
            lead(d, l->title);
        doc_say(d,
                n ? " In %s some or all of it is unknown: " : "Unknown, wholly or in part, in %s: ",
                format_noun(a, unknown, "run"));
        doc_text(d, query_text(&q, "reasons"));
        doc_say(d, ".");
    }
    doc_fail(d, query_close(&q));
    return unknown > 0;
}

static void find_list(struct doc *d, const struct selection *runs, const struct listing *l)
{
    struct query q;
    bool unknown;
    int n;

    if (!begin(d, runs, &q, l->sql))
        return;
    if (l->outcome)
        query_bind(&q, ":outcome", l->outcome);
    n = say_list(d, &q, l);
    doc_fail(d, query_close(&q));
    unknown = say_unknown(d, runs, l, n);
    if (n == 0 && !unknown && l->nobody) {
        lead(d, l->title);
        doc_say(d, "%s", l->nobody);
    }
    if (n || unknown || l->nobody)
        doc_say(d, "\n");
}

static void expectations(struct doc *d, struct query *q)
{
    int64_t held = query_int(q, "held"), failed = query_int(q, "failed");
    int64_t not_checked = query_int(q, "not_checked"), all = held + failed + not_checked;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (all == 0)
        doc_say(d, "No run stated any");
    else
        doc_say(d, "%s of %s held", format_count(a, held), format_count(b, all));
    if (failed)
        doc_say(d, "; **%s failed**", format_count(a, failed));
    else if (all)
        doc_say(d, "; none failed");
    if (not_checked)
        doc_say(d, "; %s could not be checked: the value is unknown, or concluded and not measured",
                format_count(a, not_checked));
}

static void find_failed(struct doc *d, const struct selection *runs)
{
    struct query q;
    int n = 0;

    if (!begin(d, runs, &q, "db/report/find-failed.sql"))
        return;
    for (; query_row(&q); n++) {
        if (n >= LISTED)
            continue;
        doc_say(d, "  - ");
        where(d, &q);
        doc_say(d, ", step %d: ", (int)query_int(&q, "step"));
        doc_text(d, query_text(&q, "observed"));
        doc_say(d, " ");
        doc_text(d, query_text(&q, "key"));
        doc_say(d, " was expected to be ");
        doc_text(d, query_text(&q, "expected"));
        doc_say(d, " and measured as ");
        doc_text(d, query_text(&q, "measured"));
        doc_say(d, ".\n");
    }
    if (n > LISTED)
        doc_say(d, "  - and %d more, in the sections below.\n", n - LISTED);
    doc_fail(d, query_close(&q));
}

static void writer(struct doc *d, struct query *q)
{
    where(d, q);
    doc_say(d, ": ");
    doc_text(d, query_text(q, "who"));
}

static void debt(struct doc *d, struct query *q)
{
    char pages[FORMAT_MAX];

    where(d, q);
    doc_say(d, ", ");
    doc_text(d, query_text(q, "observed"));
    doc_say(d, " held %s%s in debt after step %d", mark(q, "inferred"),
            format_noun(pages, query_int(q, "debt"), "page"), (int)query_int(q, "step"));
}

/* Pages of which the states predicted nothing, and where; said only if there are any. */
static void not_predicted(struct doc *d, struct query *q, const char *column, const char *places,
                          const char *why)
{
    int64_t n = query_int(q, column);
    char a[FORMAT_MAX];

    if (n == 0)
        return;
    doc_say(d, "; of %s more (%.3g %% of all) %s: ", format_count(a, n),
            100.0 * (double)n / query_number(q, "pages"), why);
    doc_text(d, query_text(q, places));
}

/* Each state is a promise of what the next write does, and the writes held them to it. */
static void predictions(struct doc *d, struct query *q)
{
    int64_t held = query_int(q, "held"), failed = query_int(q, "failed");
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (held + failed)
        doc_say(d, "%s of the %s that could be compared %s written as %s predicted",
                format_count(a, held), format_noun(b, held + failed, "page"),
                held == 1 ? "was" : "were", held == 1 ? "its state had" : "their states had");
    else
        doc_say(d, "No page that was written could be compared with what its state predicted");
    if (failed) {
        doc_say(d, "; **%s failed:** ", format_count(a, failed));
        doc_text(d, query_text(q, "failed_where"));
    } else if (held)
        doc_say(d, "; none failed");
    not_predicted(d, q, "either", "either_where", "the kernel may decide either way");
    not_predicted(d, q, "hidden", "hidden_where",
                  "the write copied what was in debt, for a cause that does not show");
    not_predicted(d, q, "untold", "untold_where", "it could not be told");
}

static void isolation(struct doc *d, struct query *q)
{
    int64_t held = query_int(q, "held"), differs = query_int(q, "differs");
    char n[FORMAT_MAX];

    if (differs)
        doc_say(d, "**Broken:** %s read something other than what was written for it: ",
                format_noun(n, differs, "check"));
    else if (held)
        doc_say(d, "Kept: in %s the stamps that were read were those the reader was meant to see.",
                format_noun(n, held, "check"));
    else
        doc_say(d, "Not checked: no run read back the stamps of its pages.");
    doc_text(d, differs ? query_text(q, "places") : NULL);
}

static void at_risk(struct doc *d, struct query *q)
{
    char pages[FORMAT_MAX], size[FORMAT_MAX];

    where(d, q);
    doc_say(d, " %s%s%s (%s)", query_int(q, "unknown") ? "at least " : "", mark(q, "inferred"),
            format_noun(pages, query_int(q, "pages"), "page"),
            format_kb(size, query_number(q, "kb")));
}

static void overcount(struct doc *d, struct query *q)
{
    const bool frames = !query_null(q, "distinct_kb");
    double sum = query_number(q, "sum_rss_kb");
    double real = query_number(q, frames ? "distinct_kb" : "sum_pss_kb");
    char rss[FORMAT_MAX], own[FORMAT_MAX], sys[FORMAT_MAX];

    doc_say(d, frames ? "The sum of RSS is furthest from the truth in "
                      : "The sum of RSS exceeds the sum of PSS most in ");
    where(d, q);
    doc_say(d, ", step %d: %s in %d processes, ", (int)query_int(q, "step"), format_kb(rss, sum),
            (int)query_int(q, "actors"));
    doc_say(d,
            frames ? "which occupy %s of distinct frames (%.2f times as much)"
                   : "whose PSS is %s in sum (%.2f times as much; what they occupy is unknown: "
                     "PSS leaves their part of each page to processes outside the run, too)",
            format_kb(own, real), sum / real);
    if (!query_null(q, "system_kb"))
        doc_say(d, "; the system's own figure there is %s",
                format_kb(sys, query_number(q, "system_kb")));
}

static void mapped(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];

    where(d, q);
    doc_say(d, ", step %d: ", (int)query_int(q, "step"));
    doc_text(d, query_text(q, "observed"));
    doc_say(d, " %s%s in memory, %s%s mapped", mark(q, "resident_inferred"),
            format_count(a, query_int(q, "resident")), mark(q, "mapped_inferred"),
            format_count(b, query_int(q, "mapped")));
}

static void residual(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];

    doc_say(d,
            "In %s the account of frames, objects and page tables was set against the "
            "system's figure; what it leaves unexplained is at most %s (",
            format_noun(a, query_int(q, "steps"), "step"),
            format_kb(b, fabs(query_number(q, "residual_kb"))));
    where(d, q);
    doc_say(d, ", step %d", (int)query_int(q, "step"));
    if (!query_null(q, "system_tolerance_kb"))
        doc_say(d, "; that figure is exact to %s",
                format_kb(a, query_number(q, "system_tolerance_kb")));
    doc_say(d, ")");
}

static void transfers(struct doc *d, struct query *q)
{
    char n[FORMAT_MAX];

    doc_say(d, "%s asked ", format_noun(n, query_int(q, "transfers"), "descriptor"));
    doc_text(d, query_text(q, "asked"));
    doc_say(d, ": ");
    doc_text(d, query_text(q, "outcomes"));
}

/* One way of a pair: to hand over, and the writes after it. */
static void one_way(struct doc *d, struct query *q, const char *way)
{
    char column[40], a[FORMAT_MAX];

    snprintf(column, sizeof column, "%s_scenario", way);
    doc_text(d, query_text(q, column));
    snprintf(column, sizeof column, "%s_ns", way);
    doc_say(d, " took %s", format_ns(a, query_number(q, column)));
    snprintf(column, sizeof column, "%s_write_ns", way);
    if (query_null(q, column))
        return;
    doc_say(d, ", the writes after it %s", format_ns(a, query_number(q, column)));
    snprintf(column, sizeof column, "%s_copied", way);
    if (query_null(q, column)) {
        doc_say(d, " (how many pages they copied is unknown)");
        return;
    }
    format_noun(a, query_int(q, column), "page");
    snprintf(column, sizeof column, "%s_inferred", way);
    doc_say(d, " (%s%s copied)", mark(q, column), a);
}

static void pair(struct doc *d, struct query *q)
{
    char size[FORMAT_MAX];

    doc_say(d, "%s, ", format_kb(size, query_number(q, "region_bytes") / 1024));
    one_way(d, q, "fork");
    doc_say(d, ", ");
    one_way(d, q, "ool");
}

static void published(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    int64_t unknown = query_int(q, "unknown");

    where(d, q);
    if (!query_null(q, "memory")) {
        doc_say(d, ", ");
        doc_text(d, query_text(q, "memory"));
        doc_say(d, " memory");
    }
    doc_say(d, ": %s of %s came out %s%s", format_count(a, query_int(q, "same")),
            format_count(b, query_int(q, "total")),
            query_int(q, "predicted") ? "as predicted (nothing is published of it)" : "the same",
            query_int(q, "by_construction") ? " by construction" : "");
    if (!query_null(q, "differing")) {
        doc_say(d, ", not ");
        doc_text(d, query_text(q, "differing"));
    }
    if (unknown) {
        doc_say(d, ", and %s %s not known here (", format_count(a, unknown),
                unknown == 1 ? "is" : "are");
        doc_text(d, query_text(q, "missing"));
        doc_say(d, ")");
    }
}

/* A message carries bytes, but memory changes hands in pages: what was beside the bytes? */
static void stray(struct doc *d, struct query *q)
{
    int64_t tried = query_int(q, "tried"), showed = query_int(q, "showed");
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];

    doc_text(d, query_text(q, "backend"));
    if (showed == 0) {
        doc_say(d, " zeros alone lay beside the bytes of %s that did not fill whole pages",
                format_noun(a, tried, "range"));
        return;
    }
    doc_say(d,
            " **%s of %s that did not fill whole pages brought along bytes that nobody sent** "
            "(%s): whole pages travelled, with what the sender had there, which the manual of "
            "Mach calls a possible security problem: ",
            format_count(a, showed), format_noun(b, tried, "range"),
            format_noun(c, query_int(q, "bytes"), "byte"));
    doc_text(d, query_text(q, "places"));
}

void find_checks(struct doc *d, const struct selection *runs)
{
    struct query q;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (!begin(d, runs, &q, "db/report/find-checks.sql"))
        return;
    /* A watch stores those that differ only. */
    if (query_row(&q) && (runs->scenarios || query_int(&q, "differs"))) {
        int64_t held = query_int(&q, "held"), differs = query_int(&q, "differs");
        int64_t not_checked = query_int(&q, "not_checked");

        lead(d, "The lab's checks on itself.");
        if (held + differs + not_checked == 0)
            doc_say(d, "None were stored.");
        else if (differs == 0)
            doc_say(d, "Wherever two sources for one fact were compared (%s), they agree.",
                    format_noun(a, held, "time"));
        else
            doc_say(d, "**%s of %s comparisons differ:** ", format_count(a, differs),
                    format_count(b, held + differs));
        if (differs)
            doc_text(d, query_text(&q, "places"));
        if (not_checked)
            doc_say(d, " %s could not be made.", format_noun(a, not_checked, "comparison"));
        doc_say(d, "\n");
    }
    doc_fail(d, query_close(&q));
}

static void unknown(struct doc *d, struct query *q)
{
    int64_t n = query_int(q, "unknown");
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (n == 0)
        doc_say(d, "Nothing that applies is unknown");
    else
        doc_say(d, "%s %s unknown, for %s: see What is unknown", format_noun(a, n, "value"),
                n == 1 ? "is" : "are", format_noun(b, query_int(q, "reasons"), "reason"));
}

void find_unknown(struct doc *d, const struct selection *runs)
{
    find_list(d, runs,
              &(struct listing){"db/report/find-unknown.sql", "Unknown.", .clause = unknown});
}

static void cut_short(struct doc *d, struct query *q)
{
    doc_say(d, "`%s` of ", query_text(q, "run_id"));
    where(d, q);
    doc_say(d, ", ");
    doc_text(d, query_text(q, "ended"));
}

void find_cut_short(struct doc *d, const struct selection *runs)
{
    static const struct listing list = {
        .sql = "db/report/cut-short.sql",
        .title = "Cut short.",
        .clause = cut_short,
        .end = " What is said of such a run holds as far as it came; what is said of its end is as "
               "of what was stored last."};

    find_list(d, runs, &list);
}

/* Of one row each. */
static const struct listing expected = {
    .sql = "db/report/find-expectations.sql", .title = "Expectations.", .clause = expectations};
static const struct listing predicted = {.sql = "db/report/find-predictions.sql",
                                         .title = "States as predictions.",
                                         .clause = predictions};
static const struct listing isolated = {.sql = "db/report/find-isolation.sql",
                                        .title = "Isolation of contents.",
                                        .clause = isolation,
                                        .ends_itself = true};
static const struct listing overcounted = {.sql = "db/report/find-overcount.sql",
                                           .title = "What the processes seem to use.",
                                           .clause = overcount};
static const struct listing copiers = {
    .sql = "db/report/find-writers.sql",
    .title = "Who copied (pages that a write gave a new frame).",
    .clause = writer,
    .outcome = "copied",
    .quantity = "copied",
    .nobody = "Nobody: no write in these runs was seen to cost a new frame."};
static const struct listing reusers = {
    .sql = "db/report/find-writers.sql",
    .title = "Who reused (pages that a write faulted on and kept).",
    .clause = writer,
    .outcome = "reused",
    .quantity = "reused",
    .nobody = "Nobody: no write in these runs was seen to take a fault and keep its frame."};
static const struct listing swappers = {.sql = "db/report/find-writers.sql",
                                        .title =
                                            "Who brought pages back from swap by writing to them.",
                                        .clause = writer,
                                        .outcome = "swapped_in"};
static const struct listing debts = {
    .sql = "db/report/find-debt.sql",
    .title = "Debt.",
    .first = "In ",
    .next = "; in ",
    .clause = debt,
    .what = "place",
    .end =
        " Nobody else maps these pages any more, yet the next write to each still takes a fault.",
    .quantity = "debt"};
static const struct listing risks = {
    .sql = "db/report/find-at-risk.sql",
    .title = "At risk.",
    .first = "At the end of the runs the next writes can still cost new frames: ",
    .clause = at_risk,
    .quantity = "at_risk"};
/* Footprints count what is mapped; memory behind a region may be there all the same. */
static const struct listing not_mapped = {
    .sql = "db/report/find-mapped.sql",
    .title = "Resident but not mapped.",
    .clause = mapped,
    .end = " The footprint of that process does not count them, yet the pages are there.",
    .quantity = "resident"};
/* What the system's own figure leaves over. */
static const struct listing residuals = {.sql = "db/report/find-residual.sql",
                                         .title = "What the system uses.",
                                         .clause = residual,
                                         .quantity = "system_kb"};
static const struct listing strays = {.sql = "db/report/find-stray.sql",
                                      .title = "Bytes beside what was sent.",
                                      .first = "On ",
                                      .next = "; on ",
                                      .clause = stray,
                                      .what = "backend"};
static const struct listing transferred = {.sql = "db/report/find-transfers.sql",
                                           .title = "Transfers.",
                                           .clause = transfers,
                                           .what = "kind"};
/* On Linux the layer carries out XNU's rules for purgeable memory. */
static const struct listing publications = {
    .sql = "db/report/find-published.sql",
    .title = "Published values.",
    .clause = published,
    .end = " What comes out the same by construction, because the layer carries out XNU's rules "
           "for purgeable memory, is no evidence; what kernels do by themselves is (fork on Linux, "
           "everything on GNU Mach), and that the published programs ask for purgeable memory."};

void find_to_act_on(struct doc *d, const struct selection *runs)
{
    find_list(d, runs, &expected);
    find_failed(d, runs);
    find_list(d, runs, &predicted);
    find_list(d, runs, &isolated);
    find_list(d, runs, &strays);
}

/* The times to hand over the same bytes: a sentence per backend, a clause per pair of runs. */
void find_pairs(struct doc *d, const struct selection *runs)
{
    struct query q;

    if (!begin(d, runs, &q, "db/report/find-pairs.sql"))
        return;
    while (query_row(&q)) {
        int64_t nr = query_int(&q, "nr"), n = query_int(&q, "pairs");

        if (nr == 1) {
            doc_say(d, "- **Fork or message on ");
            doc_text(d, query_text(&q, "backend"));
            doc_say(d, ".** To hand memory over, in one run each%s: ",
                    query_int(&q, "emulated")
                        ? " (in an emulator, whose times compare with each other only)"
                        : "");
        }
        if (nr <= LISTED) {
            doc_say(d, nr == 1 ? "" : "; ");
            pair(d, &q);
        }
        if (nr == n && n > LISTED)
            doc_say(d, "; and so in %d more pair%s", (int)n - LISTED, n == LISTED + 1 ? "" : "s");
        doc_say(d, nr == n ? ".\n" : "");
    }
    doc_fail(d, query_close(&q));
}

void find_footprints(struct doc *d, const struct selection *runs)
{
    if (!d->brief) /* there a table says it of each run */
        find_list(d, runs, &overcounted);
    find_list(d, runs, &not_mapped);
    find_list(d, runs, &residuals);
}

/* What runs of scenarios show: a watch states no expectations and writes nothing itself. */
void find_in_scenarios(struct doc *d, const struct selection *runs)
{
    find_to_act_on(d, runs);
    find_list(d, runs, &copiers);
    find_list(d, runs, &reusers);
    find_list(d, runs, &swappers);
    find_list(d, runs, &debts);
    find_list(d, runs, &risks);
    find_footprints(d, runs);
    find_list(d, runs, &transferred);
    find_pairs(d, runs);
    find_list(d, NULL, &publications);
}
