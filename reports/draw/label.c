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

char *label_mode(char *buf, size_t cap, const struct obs_region *r)
{
    struct value mode = r->q[RQ_SHARE_MODE], refs = r->q[RQ_REF_COUNT];
    char n[FORMAT_MAX] = "?";

    if (value_is_known(refs))
        format_count(n, refs.n);
    snprintf(buf, cap, "%s, %s %s",
             value_is_known(mode) ? word_text(share_modes, (int)mode.n) : "?", n,
             value_is_known(refs) && refs.n == 1 ? "ref" : "refs");
    return buf;
}
