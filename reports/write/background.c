/* background: the sections around the runs: the machine with what it could not see, and the words.
 */
#include "reports/write/background.h"

#include "reports/draw/palette.h"
#include <ctype.h>
#include <string.h>

static void table(struct doc *d, const struct selection *runs, const char *sql,
                  const struct doc_column *columns, const char *none)
{
    if (doc_answer(d, sql, ":runs", runs->json, columns) == 0)
        doc_say(d, "%s\n\n", none);
}

static void capabilities_had(struct doc *d, const struct selection *runs)
{
    struct query q;

    if (!doc_ask(d, &q, "db/report/capabilities-had.sql", ":runs", runs->json))
        return;
    while (query_row(&q)) {
        doc_say(d, "Capabilities that were there on ");
        doc_text(d, query_text(&q, "backend"));
        doc_say(d, ": ");
        doc_text(d, query_text(&q, "names"));
        doc_say(d, ".\n\n");
    }
    doc_fail(d, query_close(&q));
}

static void capabilities_brief(struct doc *d, const struct selection *runs)
{
    static const char *const parts[] = {"backend", "name", "unlocks", "reason", "how"};
    static const char *const before[] = {"- Missing on ", ": ", " (", "): ", "; to get it: "};
    struct query q;
    int n = 0;

    if (!doc_ask(d, &q, "db/report/capabilities.sql", ":runs", runs->json))
        return;
    query_bind(&q, ":brief", "");
    for (; query_row(&q); n++) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            doc_say(d, "%s", before[i]);
            doc_text(d, query_null(&q, parts[i]) ? "unknown" : query_text(&q, parts[i]));
        }
        doc_say(d, ".\n");
    }
    doc_say(d, n ? "\n" : "");
    doc_fail(d, query_close(&q));
}

/* Nobody acts on versions, and on what was there. */
static void machine_brief(struct doc *d, const struct selection *runs)
{
    static const struct doc_column columns[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("kernel", "kernel"), DOC_KB("page_kb", "page"),
        DOC_TEXT("emulator", "emulator"), DOC_TEXT("cpus", "CPUs"), DOC_TEXT("memory", "memory"),
        DOC_TEXT("user", "run as"), DOC_COUNT("runs", "runs"));
    struct query q;

    if (doc_ask(d, &q, "db/report/machines-brief.sql", ":runs", runs->json))
        doc_table_lean(d, &q, columns);
    capabilities_brief(d, runs);
}

void section_machine(struct doc *d, const struct selection *runs)
{
    static const struct doc_column machines[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("kernel", "kernel"), DOC_KB("page_kb", "page"),
        DOC_TEXT("details", "details"), DOC_COUNT("runs", "runs"));
    static const struct doc_column capabilities[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("name", "missing"),
        DOC_TEXT("unlocks", "what it would show"), DOC_TEXT("reason", "why it is missing"),
        DOC_TEXT("how", "how to get it"), DOC_COUNT("runs", "runs"));

    doc_section(d, "The machine");
    if (d->brief) {
        machine_brief(d, runs);
        return;
    }
    table(d, runs, "db/report/machines.sql", machines, "Nothing is stored about it.");
    capabilities_had(d, runs);
    table(d, runs, "db/report/capabilities.sql", capabilities, "No capability was missing.");
}

void section_unknown(struct doc *d, const struct selection *runs)
{
    static const struct doc_column unknowns[] =
        DOC_COLUMNS(DOC_TEXT("reason", "why unknown"), DOC_COUNT("n", "values"),
                    DOC_TEXT("quantities", "which"), DOC_TEXT("scenarios", "in"),
                    DOC_TEXT("unlocks", "what would tell"));

    doc_section(d, "What is unknown");
    table(d, runs, "db/report/unknown-reasons.sql", unknowns, "Every value that applies is known.");
}

struct entry {
    const char *word;
    const char *forms; /* in which it occurs in a text, '|' between them */
    const char *meaning;
};

static const struct entry words[] = {
    {"actor", "actor|actors", "A real process (on GNU Mach a task) of a run."},
    {"region", "region|regions", "A range of an actor's memory that the scenario named."},
    {"resident", "resident", "Pages in physical memory behind the region, mapped here or not."},
    {"mapped", "mapped", "Pages in this process's page table."},
    {"refs", "ref|refs|reference|references",
     "Reference count: for anonymous memory the largest map count of a resident page; "
     "for a memory object the processes that map it and the messages that carry it; on "
     "GNU Mach the object's references."},
    {"at risk", "at risk|at_risk",
     "Pages, in memory that may be written, whose next write costs a new frame. On GNU "
     "Mach: what a write of them all would copy."},
    {"states on GNU Mach", "on gnumach: one row per step",
     "Concluded from entries and objects. A cow page is copied, or kept behind the first copy "
     "of a chain of objects that nobody else has; of such a chain one page is at risk. An "
     "exclusive or shared page is kept in its frame; its write is `reused` where the task had "
     "not touched it yet, because page tables are filled as pages are touched."},
    {"object, internal", "memory object|memory objects|an object|internal",
     "Memory object: what holds the pages behind a region. Internal: anonymous memory, which "
     "the kernel made itself; the others are a file's or a pager's."},
    {"shadow, chain", "shadow|chain|chains",
     "Mach's copy-on-write: pages that were written lie in an object of their own, the shadow, "
     "above the one that is shared; objects above each other are a chain, and a page hides "
     "those below it."},
    {"needs copy", "needs copy|needs_copy",
     "A mark of a Mach map entry: its next write first makes a shadow. On Linux the write "
     "protection of each page is what it is there."},
    {"out of line", "out of line|OOL",
     "A message carries memory itself instead of its bytes: shared copy-on-write where it can, "
     "copied where it cannot."},
    {"purgeable", "purgeable",
     "Memory that the system may throw away (vm_allocate's VM_FLAGS_PURGABLE): a "
     "message copies "
     "it page by page."},
    {"stamp", "stamp|stamps", "What a scenario writes into pages, to see who reads what."},
    {"RSS, PSS, USS", "RSS|PSS|USS",
     "Resident set: every page that is mapped. Proportional: each page divided by "
     "those who map it. Unique: pages that nobody else maps."},
    {"distinct frames", "distinct|distinct frames",
     "The physical pages of all actors, each counted once."},
    {"in objects only", "in objects only",
     "Resident pages of memory objects that an actor holds but none maps."},
    {"in transit", "in transit|in_transit", "Memory that belongs to a message and to no process."},
    {"superseded", "superseded",
     "Pages of an object that nobody can see any more but that stay until it goes: every "
     "mapping hides them behind a private copy, and no message carries them. A descriptor "
     "alone shows nothing. A part of what is in objects only."},
    {"the system's figure", "the system's figure|system's figure",
     "What the system itself says to have used more: on Linux the run's "
     "memory cgroup (exact to "
     "some hundred KiB), on GNU Mach the pages that are free no more."},
    {"residual, unexplained", "residual|unexplained",
     "The system's figure less distinct frames (without files), objects, transit and "
     "page tables: what this account does not explain."},
    {"unknown", "unknown",
     "The machine did not give the value; never shown as 0. A dash: does not apply."},
    {"~", "~", "Inferred: concluded from other values, not the kernel's word."},
};

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Does the form, of that length, stand in the text as a word of its own? */
static bool stands_in(const char *text, const char *form, size_t len)
{
    for (const char *at = text; (at = memmem(at, strlen(at), form, len)); at++)
        if (!in_word(*form) || ((at == text || !in_word(at[-1])) && !in_word(at[len])))
            return true;
    return false;
}

static bool occurs(const char *text, const char *forms)
{
    for (size_t len; *forms; forms += len + (forms[len] == '|')) {
        len = strcspn(forms, "|");
        if (stands_in(text, forms, len))
            return true;
    }
    return false;
}

static bool any_occurs(const char *text, const struct word *list)
{
    for (; list->text; list++)
        if (occurs(text, list->text))
            return true;
    return false;
}

static void states_row(struct doc *d)
{
    doc_say(d, "| page states |");
    for (const struct word *w = page_states; w->text; w++)
        doc_say(d, "%s `%s` (%c): %s", w == page_states ? "" : ";", w->text,
                state_style(w->code)->letter, w->label);
    doc_say(d, ". |\n");
}

/* A row of words that are told together; in a page, whose script looks them up, each has its own.
 */
static void list_rows(struct doc *d, const char *title, const char *lead, const struct word *list)
{
    if (!d->page)
        doc_say(d, "| %ss | %s", title, lead);
    for (const struct word *w = list; w->text; w++)
        if (d->page)
            doc_say(d, "| %s `%s` | %s%s. |\n", title, w->text, lead, w->label);
        else
            doc_say(d, "%s`%s`: %s", w == list ? "" : "; ", w->text, w->label);
    if (!d->page)
        doc_say(d, ". |\n");
}

void section_glossary(struct doc *d, const char *text)
{
    static const struct word modes[] = {{SM_EMPTY, "SM_EMPTY", "nothing there"},
                                        {SM_PRIVATE, "SM_PRIVATE", "nobody else's"},
                                        {SM_COW, "SM_COW", "shared until written"},
                                        {SM_SHARED, "SM_SHARED", "shared and meant to be"},
                                        {0, NULL, NULL}};

    if (d->page)
        text = NULL;
    doc_section(d, "Words");
    doc_say(d, "| word | meaning |\n|---|---|\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!text || occurs(text, words[i].forms))
            doc_say(d, "| %s | %s |\n", words[i].word, words[i].meaning);
    if (!text ||
        occurs(text,
               "page state|page states|exclusive|cow|debt")) /* others are words of all days */
        states_row(d);
    if (!text || any_occurs(text, write_outcomes))
        list_rows(d, "write outcome", "", write_outcomes);
    if (!text || any_occurs(text, modes))
        list_rows(d, "share mode", "Mach's name for: ", modes);
    doc_say(d, "\n");
}
