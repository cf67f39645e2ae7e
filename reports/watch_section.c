/* watch_section: a watch of live processes in the markdown report. Its samples are steps, far too
 * many to show one by one. */
#include "reports/sections.h"

void section_watch(struct doc *d, const struct history *h)
{
    static const struct doc_column processes[] = {{"actor", "process", DOC_TEXT},
                                                  {"parent", "parent", DOC_TEXT},
                                                  {"first_step", "first sample", DOC_COUNT},
                                                  {"last_step", "last sample", DOC_COUNT},
                                                  {"command", "command", DOC_TEXT},
                                                  {NULL, NULL, DOC_TEXT}};
    struct query q;

    doc_say(d, "### Run `%s`\n\n", h->run_id);
    if (doc_fail(
            d, query_open(&q, d->db, "SELECT * FROM watch_processes WHERE run_id = :run_id", d->e)))
        return;
    query_bind(&q, ":run_id", h->run_id);
    if (doc_table(d, &q, processes, 1) == 0)
        doc_say(d, "No process was seen.\n\n");
}
