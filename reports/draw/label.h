/* label: what a region is called and how it stands, in pictures and tables, as plain text (not yet
 * escaped). Writes at most cap bytes into the caller's buffer and returns it. */
#pragma once

#include "probes/observation.h"

/* "parent.r", "receiver.r#CASE" */
char *label_region(char *buf, size_t cap, const struct obs_region *r);
/* The same without the case, and cut to so many characters. */
char *label_short(char *buf, size_t cap, const struct obs_region *r, size_t width);
/* "SM_COW", "~SM_COW" if it was concluded; "-" where it does not apply, else what stands for
 * unknown.
 */
char *label_share_mode(char *buf, size_t cap, const struct obs_region *r, const char *unknown);
/* "SM_COW, 2 references", with ? for what is unknown. */
char *label_mode(char *buf, size_t cap, const struct obs_region *r);
