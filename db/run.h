/* run: what opening and recording need of a run (its life is in store.h). */
#pragma once

#include "db/sql.h"

/* The run key inside a run id, or 0 if it is none. */
int64_t run_key(const char *run_id);
/* An id that no other will have, "<prefix>YYYYMMDD-HHMMSS-<key as 16 hex digits>", and the moment.
 */
int new_id(const char *prefix, char id[40], char started[40], int64_t *key, struct err *e);
/* How many runs are `running` whose lab is gone; mark: makes them `crashed`. Or a negative errno.
 */
int runs_crashed(struct store *s, bool mark, struct err *e);
/* Room to end a run on a disk that its steps have filled, held back while the store is open. */
void reserve_take(struct store *s);
void reserve_give(struct store *s);
