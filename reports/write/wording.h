/* wording: the phrases that terminal and markdown share, as plain text (not yet escaped).
 * Owns nothing; writes at most cap bytes into the caller's buffer and returns it. */
#ifndef REPORTS_WRITE_WORDING_H
#define REPORTS_WRITE_WORDING_H

#include "reports/run/history.h"

/* "parent writes r", "child forks", "look" ... */
char *wording_action(char *buf, size_t cap, const struct history_step *s);
/* "parent.r", "receiver.r#CASE" */
char *wording_region(char *buf, size_t cap, const struct obs_region *r);
/* The same without the case, and cut to so many characters. */
char *wording_label(char *buf, size_t cap, const struct obs_region *r, size_t width);
/* "SM_COW, 2 references", with ? for what is unknown. */
char *wording_mode(char *buf, size_t cap, const struct obs_region *r);

#endif
