/* trace: a run as a trace for ui.perfetto.dev, in the JSON trace event format: slices for the run,
 * its phases, steps, actions and looks, nested; a track per process with what it did; counters
 * for totals, footprints and page states. Times are microseconds since the first step began. */
#pragma once

#include "db/store.h"
#include <stdio.h>

int report_trace(struct store *s, const char *run_id, FILE *out, struct err *e);
