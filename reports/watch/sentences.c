#include "reports/watch/sentences.h"

#include "reports/format.h"
#include "reports/write/query.h"
#include <string.h>

#define LEAST_KB 1024.0
#define LEAST_SHARE 0.05

bool watch_is_much(double kb, double of)
{
    return kb >= LEAST_KB || (kb > 0 && kb >= LEAST_SHARE * of);
}

struct writer {
    FILE *out;
    void (*text)(FILE *, const char *);
    struct query *q;
};

/* Text of others is escaped; {n} is a number, {children} counts them, other numbers are memory. */
static void column(struct writer *w, const char *name)
{
    bool children = strcmp(name, "children") == 0;
    int at = query_find(w->q, children ? "n" : name);
    char buf[FORMAT_MAX];

    if (sqlite3_column_type(w->q->stmt, at) == SQLITE_NULL)
        fputs("unknown", w->out);
    else if (sqlite3_column_type(w->q->stmt, at) == SQLITE_TEXT)
        w->text(w->out, query_text(w->q, name));
    else if (children)
        fprintf(w->out, "%s %s", format_count(buf, query_int(w->q, "n")),
                query_int(w->q, "n") == 1 ? "child" : "children");
    else if (strcmp(name, "n") == 0)
        fputs(format_count(buf, query_int(w->q, "n")), w->out);
    else
        fputs(format_kb(buf, query_number(w->q, name)), w->out);
}

/* A sentence with the columns of the row that it names in braces. */
static void say(struct writer *w, const char *sentence)
{
    char name[16];

    for (; *sentence; sentence++) {
        if (*sentence != '{') {
            fputc(*sentence, w->out);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)strcspn(sentence, "}") - 1, sentence + 1);
        column(w, name);
        sentence += strcspn(sentence, "}");
    }
}

/* An unknown value, with its reason where there is one. */
static void unknown(struct writer *w, const char *what, const char *why)
{
    fprintf(w->out, "; %s is unknown%s", what, query_null(w->q, why) ? "" : ": ");
    if (!query_null(w->q, why))
        w->text(w->out, query_text(w->q, why));
}

static void used(struct writer *w)
{
    double first = query_number(w->q, "first_kb"), high = query_number(w->q, "high_kb");

    if (query_null(w->q, "high_kb")) {
        say(w, "What was used is unknown");
        return;
    }
    say(w, "Used {first_kb}");
    if (watch_is_much(high - first, first)) {
        say(w, " -> {high_kb}");
        fprintf(w->out, " at %.1f s", query_number(w->q, "high_s"));
    }
    if (watch_is_much(high - query_number(w->q, "last_kb"), high))
        say(w, ", {last_kb} at last");
    if (query_int(w->q, "by_pss"))
        say(w, ", by the sum of PSS");
}

static void copied(struct writer *w)
{
    double all = query_number(w->q, "copied_kb"), most = query_number(w->q, "writer_kb");
    bool part = query_int(w->q, "copied_part");

    if (query_null(w->q, "copied_kb"))
        unknown(w, "what was copied", "copied_why");
    else if (!(all > 0))
        say(w, part ? "; nothing was seen to be copied" : "; nothing was copied");
    else if (all < LEAST_KB)
        say(w, part ? "; at least {copied_kb} was copied" : "; {copied_kb} was copied");
    else if (all - most < LEAST_SHARE * all)
        say(w, part ? "; {who} copied at least {writer_kb}" : "; {who} copied {writer_kb}");
    else
        say(w, part ? "; {n} processes copied at least {copied_kb}, {who} {writer_kb} of it"
                    : "; {n} processes copied {copied_kb}, {who} {writer_kb} of it");
}

/* As of the sample at which it was used. */
static void growth(struct writer *w)
{
    double grow = query_number(w->q, "growth_kb"), room = query_number(w->q, "room_kb");

    if (query_null(w->q, "growth_kb") && query_int(w->q, "same_why"))
        say(w, "; so is how much more it can grow");
    else if (query_null(w->q, "growth_kb"))
        unknown(w, "how much more it can grow", "growth_why");
    else if (grow > 0)
        say(w, query_int(w->q, "over") ? "; it could then grow by {growth_kb} more"
                                       : "; it can grow by {growth_kb} more");
    if (!query_null(w->q, "room_kb")) {
        say(w, grow > room ? "; only {room_kb} free" : "; {room_kb} free");
        say(w, query_int(w->q, "in_cgroup") ? " below the cgroup's limit" : "");
    }
    say(w, ".");
    if (query_int(w->q, "ran_into_limit") > 0 || query_int(w->q, "killed") > 0)
        fprintf(w->out,
                " The memory cgroup ran into its limit %d times, and %d of its processes were "
                "killed for want of memory.",
                (int)query_int(w->q, "ran_into_limit"), (int)query_int(w->q, "killed"));
}

/* What was seen, and what to do. */
static const struct {
    const char *cause, *say;
} causes[] = {
    {"whole",
     "Huge pages: {who} copied {kb} of {at_least}{of_kb} in whole huge pages, 2 MiB at a time "
     "however "
     "little is written (transparent huge pages: {thp}). Without them a write copies a page: "
     "madvise(MADV_NOHUGEPAGE) for that memory, or prctl(PR_SET_THP_DISABLE) in that process."},
    {"split",
     "Huge pages: {kb} of them were split while {of_kb} was copied (transparent huge pages: "
     "{thp}). "
     "Memory that is written after a fork does not keep them: madvise(MADV_NOHUGEPAGE) for it, or "
     "prctl(PR_SET_THP_DISABLE) in that process."},
    {"python",
     "Allocator: {children} lost {at_least}{of_kb} by own writes, {kb} of it in the heap and other "
     "mappings as Python's objects lie. Its collector writes to all that it looks at: gc.freeze() "
     "before the fork keeps it off. Reference counts are written too: look at less in the child."},
    {"arenas",
     "Allocator: {children} lost {at_least}{of_kb} by own writes, {kb} of it in malloc's arenas. "
     "What "
     "is written lies among what is only read: fewer arenas (MALLOC_ARENA_MAX=1), or an allocator "
     "that can keep them apart (jemalloc)."},
    {"heap",
     "Allocator: {children} lost {at_least}{of_kb} by own writes, {kb} of it in the heap. What is "
     "written lies among what is only read: an allocator can keep them apart (jemalloc)."},
    {"save",
     "Save under write load: {who} copied {kb} while {children} of it lived, {of_kb} otherwise. "
     "Save when less is written, or keep {most_kb} free for it: that is what they shared."},
    {"shared",
     "Shared memory: {who} grew from {kb} to {of_kb} of the {most_kb} that it can have; {n} "
     "processes map it, none copied it. Each counts it in its RSS, it is there once; its size is a "
     "setting of the program (PHP: opcache.memory_consumption)."},
    {"late",
     "Watched late: {children} had lost at most {kb} of {of_kb} before the first sample; what "
     "wrote "
     "it is unknown. Watch the parent before it forks, or start it: cowlab watch -- COMMAND."},
};

static int say_causes(struct writer *w, sqlite3 *db, const char *run_id, const char *bullet,
                      struct err *e)
{
    query_ask(w->q, db, "db/report/watch-causes.sql", ":run_id", run_id, e);
    while (query_row(w->q))
        for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
            if (strcmp(causes[i].cause, query_text(w->q, "cause")) == 0) {
                say(w, bullet);
                say(w, causes[i].say);
                say(w, "\n");
            }
    return query_close(w->q);
}

int watch_sentences(sqlite3 *db, const char *run_id, FILE *out, const char *bullet,
                    void (*text)(FILE *, const char *), struct err *e)
{
    struct query q;
    struct writer w = {out, text, &q};
    int rc;

    query_ask(&q, db, "db/report/watch-summary.sql", ":run_id", run_id, e);
    if (query_row(&q)) {
        say(&w, bullet);
        used(&w);
        copied(&w);
        growth(&w);
        say(&w, "\n");
    }
    rc = query_close(&q);
    return rc ? rc : say_causes(&w, db, run_id, bullet, e);
}
