/* wording: what a step did, as the terminal and the document say it; plain text (not yet escaped).
 */
#pragma once

#include "db/store.h"

/* "parent writes r", "child forks", "look" ...; at most cap bytes into buf, which it returns. */
char *wording_action(char *buf, size_t cap, const struct step_record *s);
