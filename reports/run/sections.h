/* sections: what the markdown report says of runs of scenarios. Each part writes nothing when the
 * data has nothing for it. Failures stick in the doc. */
#pragma once

#include "reports/run/history.h"
#include "reports/write/doc.h"
#include "reports/write/selection.h"

/* Findings, a bullet each. */
void find_questions(struct doc *d, const struct selection *runs);
void find_in_scenarios(struct doc *d, const struct selection *runs);
/* Which of the runs did not come to their end. */
void find_cut_short(struct doc *d, const struct selection *runs);
void find_checks(struct doc *d, const struct selection *runs);
void find_unknown(struct doc *d, const struct selection *runs);
/* Of the findings those that someone must act on if they are not as they should be; what fork and
 * message took to hand over the same; and those that set footprints against totals. */
void find_to_act_on(struct doc *d, const struct selection *runs);
void find_pairs(struct doc *d, const struct selection *runs);
void find_footprints(struct doc *d, const struct selection *runs);

/* One run below its scenario's heading. */
void section_run(struct doc *d, const struct history *h);
/* The same on one line: its answer, what was expected of it, its id. */
void section_run_brief(struct doc *d, const struct history *h);
/* What a run shows, in one or two sentences out of its data, the last without its full stop; brief:
 * the scenario's own answer alone, where it has one. malloc'd, NULL without memory. */
char *answer_of(struct doc *d, const struct history *h, bool brief);

/* In a page: the place of the slider of the run's scenario, below its heading; and the run, as data
 * for that slider and to stand beside others. */
void walk_here(struct doc *d, const struct history *h);
void walk_run(struct doc *d, const struct history *h);

/* What many runs say together: the series that the runs are of (of a page about the latest runs:
 * the newest), and how long fork took by size. */
void section_series(struct doc *d, const struct selection *runs);

/* Runs beside something else. */
void section_published(struct doc *d);
void section_published_brief(struct doc *d);
void section_footprints(struct doc *d, const struct selection *runs);
void section_fork_vs_ool(struct doc *d, const struct selection *runs);
void section_handover(struct doc *d, const struct selection *runs);
void section_cost(struct doc *d, const struct selection *runs);
/* Copies of one moment, way by way: those of the runs, beside the newest by other ways. */
void section_snapshots(struct doc *d, const struct selection *runs);
/* How long single touches took: a run's (a titled part), those of all runs (a section). */
void section_run_latency(struct doc *d, const struct history *h);
void section_latency(struct doc *d, const struct selection *runs);
