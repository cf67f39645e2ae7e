/* report: turns the database's views into text and pictures. Measures nothing; the same database
 * gives the same bytes. Text that came from scenarios or actors is escaped. Whether a stream took
 * all of it is for whoever has opened it: a failure here is one of reading. */
#pragma once

#include "db/store.h"
#include <stdbool.h>
#include <stdio.h>

/* The markdown report for these runs (run ids), with its pictures written beside out_path as
 * <name>-*.svg in one directory <out_path without .md>.assets/; if that ends in .html or .htm, as
 * one page with all in it. out_path NULL: to standard output, pictures only named. nruns 0: the
 * latest complete run per scenario and backend (db/report/runs-latest.sql). -ETXTBSY: the path is
 * the database. */
int report_markdown(struct store *s, const char *const *run_ids, size_t nruns, const char *out_path,
                    struct err *e);

/* Terminal: a timeline, printed step by step as they are given to the store, and that of a stored
 * run. colour: ANSI. */
struct timeline;
struct timeline *timeline_new(bool colour, FILE *out); /* NULL without memory */
int timeline_step(struct timeline *t, const struct step_record *s, struct err *e);
void timeline_free(struct timeline *t);
int report_timeline(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e);
/* Terminal: the run's heading line(s), and its closing summary: expectations held, failed, not
 * checked, with each failed one in full; checks that differ; where to look next. */
int report_heading(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e);
/* Below the heading of a run that did not come to its end, or has not yet: how far it came. */
int report_cut_short(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e);
int report_summary(struct store *s, const char *run_id, bool colour, FILE *out, struct err *e);

/* Terminal: " --db FILE" for a command to type next; nothing where that is the default. */
void report_database_option(struct store *s, FILE *out);
/* A file's name for the shell, quoted if it must be, and no option. */
void report_shell_word(FILE *out, const char *word);
/* The command that shows which runs there are. */
void report_list_hint(struct store *s, FILE *out);

/* Terminal: what happened in a watch and what to do about it, a few lines. */
int report_watch_sentences(struct store *s, const char *run_id, FILE *out, struct err *e);
/* The same before its samples and processes; and whether a run is one (1, 0, or an error). */
int report_watch(struct store *s, const char *run_id, FILE *out, struct err *e);
int report_is_watch(struct store *s, const char *run_id, struct err *e);

/* The run as one JSON document: run, steps, timeline rows, footprints, expectations, checks. */
int report_json(struct store *s, const char *run_id, FILE *out, struct err *e);

/* Terminal: a series summed up: its runs, what failed, and per combination how long the memory took
 * to be handed over. Unfinished ones too. The same as one JSON document, with every run. */
int report_series(struct store *s, const char *series_id, bool colour, FILE *out, struct err *e);
int report_series_json(struct store *s, const char *series_id, FILE *out, struct err *e);
/* The runs that stand for it in a report: of each combination the latest counted one. *ids and each
 * of them are the caller's. */
int report_series_runs(struct store *s, const char *series_id, char ***ids, size_t *n,
                       struct err *e);

/* What differs between two sides, each a run, a series, or all of a database (both ids NULL): per
 * combination of scenario, backend and parameters the values that the scenario decides
 * (db/report/diff-facts.sql), exactly. As markdown, or one JSON document. Returns 1 if something
 * differs, 0 if nothing does; -ENODATA: they have nothing in common. */
struct diff_side {
    struct store *store;
    const char *typed; /* what the user calls it */
    const char *run_id, *series_id;
};
int report_diff(const struct diff_side *a, const struct diff_side *b, bool json, FILE *out,
                struct err *e);
