/* migrate: whose file is it, and which schema; brings it up to date. */
#pragma once

#include "db/sql.h"

/* What a file is before anything is written to it. */
int file_check(struct store *s, bool must_exist, struct err *e);
bool file_has_journal(const char *path);
/* How the file's schema compares with this program's. */
struct schema_state {
    int64_t version; /* 0: no table yet */
    bool tables_old;
    bool contents_differ; /* views, word lists, published values are another text */
};
int schema_look(struct store *s, struct schema_state *out, struct err *e);
int schema_migrate(struct store *s, struct err *e);
