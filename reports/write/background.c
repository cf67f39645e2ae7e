/* background: the sections around the runs: the machine with what it could not see, and the words.
 */
#include "reports/write/background.h"

#include "reports/draw/palette.h"

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

void section_machine(struct doc *d, const struct selection *runs)
{
    static const struct doc_column machines[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("kernel", "kernel"), DOC_KB("page_kb", "page"),
        DOC_TEXT("details", "details"), DOC_COUNT("runs", "runs"));
    static const struct doc_column capabilities[] = DOC_COLUMNS(
        DOC_TEXT("backend", "backend"), DOC_TEXT("name", "missing"),
        DOC_TEXT("unlocks", "what it would show"), DOC_TEXT("reason", "why it is missing"),
        DOC_TEXT("how", "how to get it"), DOC_COUNT("runs", "runs"));

    doc_say(d, "## The machine\n\n");
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

    doc_say(d, "## What is unknown\n\n");
    table(d, runs, "db/report/unknown-reasons.sql", unknowns, "Every value that applies is known.");
}

void section_glossary(struct doc *d)
{
    static const char *const words[][2] = {
        {"actor", "A real process (on GNU Mach a task) of a run."},
        {"region", "A range of an actor's memory that the scenario named."},
        {"resident", "Pages in physical memory behind the region, mapped here or not."},
        {"mapped", "Pages in this process's page table."},
        {"refs", "Reference count: for anonymous memory the largest map count of a resident page; "
                 "for a memory object the processes that map it and the messages that carry it; on "
                 "GNU Mach the object's references."},
        {"at risk",
         "Pages, in memory that may be written, whose next write costs a new frame. On GNU "
         "Mach: what a write of them all would copy."},
        {"states on GNU Mach",
         "Concluded from entries and objects. A cow page is copied, or kept behind the first copy "
         "of a chain of objects that nobody else has; of such a chain one page is at risk. An "
         "exclusive or shared page is kept in its frame; its write is `reused` where the task had "
         "not touched it yet, because page tables are filled as pages are touched."},
        {"object, internal",
         "Memory object: what holds the pages behind a region. Internal: anonymous memory, which "
         "the kernel made itself; the others are a file's or a pager's."},
        {"shadow, chain",
         "Mach's copy-on-write: pages that were written lie in an object of their own, the shadow, "
         "above the one that is shared; objects above each other are a chain, and a page hides "
         "those below it."},
        {"needs copy",
         "A mark of a Mach map entry: its next write first makes a shadow. On Linux the write "
         "protection of each page is what it is there."},
        {"out of line",
         "A message carries memory itself instead of its bytes: shared copy-on-write where it can, "
         "copied where it cannot."},
        {"purgeable", "Memory that the system may throw away (vm_allocate's VM_FLAGS_PURGABLE): a "
                      "message copies "
                      "it page by page."},
        {"stamp", "What a scenario writes into pages, to see who reads what."},
        {"RSS, PSS, USS",
         "Resident set: every page that is mapped. Proportional: each page divided by "
         "those who map it. Unique: pages that nobody else maps."},
        {"distinct frames", "The physical pages of all actors, each counted once."},
        {"in objects only", "Resident pages of memory objects that an actor holds but none maps."},
        {"in transit", "Memory that belongs to a message and to no process."},
        {"superseded",
         "Pages of an object that nobody can see any more but that stay until it goes: every "
         "mapping hides them behind a private copy, and no message carries them. A descriptor "
         "alone shows nothing. A part of what is in objects only."},
        {"the system's figure", "What the system itself says to have used more: on Linux the run's "
                                "memory cgroup (exact to "
                                "some hundred KiB), on GNU Mach the pages that are free no more."},
        {"residual, unexplained",
         "The system's figure less distinct frames (without files), objects, transit and "
         "page tables: what this account does not explain."},
        {"unknown",
         "The machine did not give the value; never shown as 0. A dash: does not apply."},
        {"~", "Inferred: concluded from other values, not the kernel's word."},
    };
    static const char *const modes[][2] = {{"SM_EMPTY", "nothing there"},
                                           {"SM_PRIVATE", "nobody else's"},
                                           {"SM_COW", "shared until written"},
                                           {"SM_SHARED", "shared and meant to be"}};

    doc_say(d, "## Words\n\n| word | meaning |\n|---|---|\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        doc_say(d, "| %s | %s |\n", words[i][0], words[i][1]);
    doc_say(d, "| page states |");
    for (const struct word *w = page_states; w->text; w++)
        doc_say(d, "%s `%s` (%c): %s", w == page_states ? "" : ";", w->text,
                state_style(w->code)->letter, w->label);
    doc_say(d, ". |\n");
    for (const struct word *w = write_outcomes; w->text; w++)
        doc_say(d, "| write outcome `%s` | %s. |\n", w->text, w->label);
    for (const char *const(*m)[2] = modes; m < modes + sizeof modes / sizeof *modes; m++)
        doc_say(d, "| share mode `%s` | Mach's name for: %s. |\n", (*m)[0], (*m)[1]);
    doc_say(d, "\n");
}
