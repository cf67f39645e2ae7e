/* sections: the parts of the markdown report, in the order in which markdown.c calls them. Each
 * writes nothing when the data has nothing for it. Failures stick in the doc. */
#ifndef REPORTS_WRITE_SECTIONS_H
#define REPORTS_WRITE_SECTIONS_H

#include "reports/run/history.h"
#include "reports/watch/data.h"
#include "reports/write/doc.h"

/* The runs of a report: ids, and the same as a JSON array for queries (bound as :runs). */
struct selection {
    char **ids;
    size_t n;
    char *json;
    size_t scenarios;           /* of them not watches of live processes */
    struct watch_data *watches; /* as ids; run_id NULL for what is not a watch */
};

void section_findings(struct doc *d, const struct selection *runs);
/* The findings of each watch among the runs: a bullet with bullets below it. */
void find_watches(struct doc *d, const struct selection *runs);
void section_machine(struct doc *d, const struct selection *runs);
/* One run below its scenario's heading. */
void section_run(struct doc *d, const struct history *h);
/* A watch of live processes (scenario "watch"); h holds the run's row only. */
void section_watch(struct doc *d, const struct history *h, const struct watch_data *w);
void section_published(struct doc *d);
void section_fork_vs_ool(struct doc *d, const struct selection *runs);
void section_cost(struct doc *d, const struct selection *runs);
void section_glossary(struct doc *d);

/* What a run shows, in one or two sentences out of its data; malloc'd, NULL without memory. */
char *answer_of(struct doc *d, const struct history *h);

#endif
