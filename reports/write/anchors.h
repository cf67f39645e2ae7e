/* anchors: where links to headings lead, as GitHub has it: a heading whose anchor an earlier one
 * has already gets a number behind it. Lifetime: zeroed ... anchors_release. */
#pragma once

#include <stddef.h>

struct anchors {
    char **used;
    size_t n;
};

/* The anchor of the next heading; it belongs to *a. NULL without memory. */
const char *anchor_next(struct anchors *a, const char *heading);
void anchors_release(struct anchors *a);
