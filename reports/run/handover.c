/* handover: the ways for memory to change hands beside each other, and what each costs. */
#include "reports/run/sections.h"

#include "reports/format.h"
#include <string.h>

/* Single runs have an order and no verdict: that is a series', which has a section of its own. */
static void no_verdict(struct doc *d, size_t ways)
{
    if (ways > 1)
        doc_say(d, ": an order of single runs, no verdict");
    doc_say(d, ".");
}

static void class_begins(struct doc *d, struct query *q)
{
    char size[FORMAT_MAX];

    doc_say(d, "- %s into %s", format_kb(size, query_number(q, "bytes_kb")),
            strcmp(query_text(q, "buffer"), "used") == 0 ? "a region in use" : "fresh memory");
    doc_say(d, "%s (", query_int(q, "asked_huge") ? ", huge pages asked for" : "");
    doc_text(d, query_text(q, "kernel"));
    doc_say(d, ", ");
    doc_text(d, query_text(q, "host"));
    doc_say(d, "): least time until the receiver had it by ");
}

static void one_way(struct doc *d, struct query *q)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];

    doc_text(d, query_text(q, "way"));
    doc_say(d, ", %s", format_ns(a, query_number(q, "received_ns")));
    if (!query_null(q, "read_ns"))
        doc_say(d, " (read: %s%s)", format_ns(b, query_number(q, "read_ns")),
                query_int(q, "one_memory") ? "; nothing isolated" : "");
}

/* A line per class, its ways in the order of their times. */
static void sentences(struct doc *d, const char *runs)
{
    struct query q;
    int64_t last = 0; /* rows of one class compare */
    size_t ways = 0;

    if (!doc_ask(d, &q, "db/report/handover.sql", ":runs", runs))
        return;
    while (query_row(&q)) {
        if (!query_null(&q, "ended") || query_null(&q, "received_ns"))
            continue;
        if (query_int(&q, "class") != last) {
            if (last)
                no_verdict(d, ways);
            doc_say(d, "%s", last ? "\n" : "");
            class_begins(d, &q);
            ways = 0;
        }
        doc_say(d, "%s", ways == 0 ? "" : ways == 1 ? "; then " : "; ");
        one_way(d, &q);
        ways++;
        last = query_int(&q, "class");
    }
    if (last)
        no_verdict(d, ways);
    doc_fail(d, query_close(&q));
    doc_say(d, "\n\n");
}

void section_handover(struct doc *d, const struct selection *runs)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_KB("bytes_kb", "size"), DOC_TEXT("buffer", "into"), DOC_TEXT("way", "way"),
        DOC_NS("received_ns", "until received"), DOC_NS("read_ns", "and read"),
        DOC_NS("written_ns", "and written"), DOC_NS("sender_cpu_ns", "CPU: sender"),
        DOC_NS("receiver_cpu_ns", "receiver"), DOC_COUNT("faults", "faults"),
        DOC_TEXT("added", "memory added, times the size"),
        DOC_KB("peak_kb", "the system's peak figure"), DOC_COUNT("huge", "huge pages"),
        DOC_TEXT("shows", "a later write of the sender shows"),
        DOC_TEXT("survives", "read with the sender gone"), DOC_TEXT("ended", "cut short"));
    static const struct doc_column brief[] = DOC_COLUMNS(
        DOC_KB("bytes_kb", "size"), DOC_TEXT("buffer", "into"), DOC_TEXT("way", "way"),
        DOC_NS("received_ns", "until received"), DOC_NS("read_ns", "and read"),
        DOC_NS("written_ns", "and written"), DOC_NS("sender_cpu_ns", "CPU: sender"),
        DOC_NS("receiver_cpu_ns", "receiver"), DOC_TEXT("added", "memory added, times the size"),
        DOC_COUNT("huge", "huge pages"), DOC_TEXT("shows", "a later write of the sender shows"),
        DOC_TEXT("ended", "cut short"));
    struct query q;
    bool any;

    if (!doc_ask(d, &q, "db/report/handover.sql", ":runs", runs->json))
        return;
    any = query_row(&q);
    if (doc_fail(d, query_close(&q)) || !any)
        return;
    doc_say(d, "## Ways to hand memory over\n\nThe newest run of each way and size. Times count "
               "from the hand_over and leave out the looks between the steps; a read and a write "
               "are of the whole region, each on top of receiving it. Both sides run on one CPU, "
               "in turns. A side that did nothing has no CPU time.\n\n");
    if (doc_ask(d, &q, "db/report/handover.sql", ":runs", runs->json))
        doc_table(d, &q, d->brief ? brief : columns, !d->brief);
    sentences(d, runs->json);
}
