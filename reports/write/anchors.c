#include "reports/write/anchors.h"

#include "probes/list.h"
#include "reports/escape.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_used(const struct anchors *a, const char *anchor)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->used[i], anchor) == 0)
            return true;
    return false;
}

/* Malloc'd; nth 0: without a number. NULL without memory. */
static char *anchor_of(const char *heading, unsigned nth)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    escape_heading_link(out, heading);
    if (nth)
        fprintf(out, "-%u", nth);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

const char *anchor_next(struct anchors *a, const char *heading)
{
    char *anchor = anchor_of(heading, 0), **added;

    for (unsigned nth = 1; anchor && is_used(a, anchor); nth++) {
        free(anchor);
        anchor = anchor_of(heading, nth);
    }
    added = anchor ? LIST_ADD(a->used, a->n) : NULL;
    if (!added) {
        free(anchor);
        return NULL;
    }
    return *added = anchor;
}

void anchors_release(struct anchors *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->used[i]);
    free(a->used);
}
