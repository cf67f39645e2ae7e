/* walk: a run for the page's step slider (reports/page/page.js), as JSON
 * (db/report/walk.sql). */
#ifndef REPORTS_RUN_WALK_H
#define REPORTS_RUN_WALK_H

#include "reports/run/history.h"
#include "reports/write/doc.h"

/* The place of the slider of the run's scenario: once per scenario, below its heading. */
void walk_here(struct doc *d, const struct history *h);
/* The run, for the slider of its scenario and to stand beside others. Both do nothing where the
 * document is no page. */
void walk_run(struct doc *d, const struct history *h);

#endif
