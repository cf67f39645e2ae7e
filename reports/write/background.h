/* background: the sections around the runs. Failures stick in the doc. */
#pragma once

#include "reports/write/doc.h"
#include "reports/write/selection.h"

void section_unknown(struct doc *d, const struct selection *runs);
void section_machine(struct doc *d, const struct selection *runs);
/* text: the sections so far, of whose words it is; NULL, and in a page, whose script explains words
 * by it: all words. */
void section_glossary(struct doc *d, const char *text);
