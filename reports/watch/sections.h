/* sections: what the markdown report says of a watch of live processes. Failures stick in the doc.
 */
#pragma once

#include "reports/watch/data.h"
#include "reports/write/doc.h"

/* Its findings: a bullet with bullets below it. */
void find_watch(struct doc *d, const struct watch_data *w);
/* The watch below the heading of all of them: what happened, a picture, who took part. */
void section_watch_brief(struct doc *d, const struct watch_data *w);
/* The same in full, but for what find_watch says. */
void section_watch(struct doc *d, const struct watch_data *w);
