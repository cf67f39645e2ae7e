/* background: the sections around the runs. Failures stick in the doc. */
#pragma once

#include "reports/write/doc.h"
#include "reports/write/selection.h"

void section_unknown(struct doc *d, const struct selection *runs);
void section_machine(struct doc *d, const struct selection *runs);
void section_glossary(struct doc *d);
