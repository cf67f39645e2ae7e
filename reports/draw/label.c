#include "reports/draw/label.h"

#include "reports/escape.h"
#include "reports/format.h"
#include <stdio.h>
#include <string.h>

char *label_region(char *buf, size_t cap, const struct obs_region *r)
{
    snprintf(buf, cap, "%s.%s%s%s", r->observed, r->region, r->case_name ? "#" : "",
             r->case_name ? r->case_name : "");
    return buf;
}

char *label_short(char *buf, size_t cap, const struct obs_region *r, size_t width)
{
    const char *end = buf;

    snprintf(buf, cap, "%s.%s", r->observed, r->region);
    if (escape_width(buf) <= width)
        return buf;
    for (size_t i = 0; i + 1 < width; i++)
        escape_next(&end);
    snprintf(buf + (end - buf), cap - (size_t)(end - buf), "…");
    return buf;
}

char *label_share_mode(char *buf, size_t cap, const struct obs_region *r, const char *unknown)
{
    struct value mode = r->q[RQ_SHARE_MODE];

    if (value_is_known(mode))
        snprintf(buf, cap, "%s%s", format_mark(mode), word_text(share_modes, (int)mode.n));
    else
        snprintf(buf, cap, "%s", mode.why == WHY_NOT_APPLICABLE ? "-" : unknown);
    return buf;
}

char *label_mode(char *buf, size_t cap, const struct obs_region *r)
{
    struct value refs = r->q[RQ_REF_COUNT];
    char mode[40], n[FORMAT_MAX];

    snprintf(buf, cap, "%s, %s %s", label_share_mode(mode, sizeof mode, r, "?"),
             format_value(n, refs, "?"), value_is_known(refs) && refs.n == 1 ? "ref" : "refs");
    return buf;
}
