/* embedded: the .sql files of db/, built into the program (db/embed.sh writes the table).
 */
#pragma once

#include <stddef.h>

struct embedded_text {
    const char *path; /* as in the source tree: "db/schema/001-tables.sql" */
    const char *text; /* NUL-terminated */
    size_t len;
};

/* Sorted by path; ends with path NULL. */
extern const struct embedded_text embedded_sql[];
