#include "reports/write/wording.h"

#include "reports/escape.h"
#include "reports/format.h"
#include <stdio.h>
#include <string.h>

/* Verb of each action, third person. An action that is not listed is shown as its own name. */
static const struct {
    const char *action, *verb;
} verbs[] = {
    {"map", "maps"},
    {"write", "writes"},
    {"read", "reads"},
    {"fork", "forks"},
    {"exec", "execs"},
    {"exit", "exits"},
    {"wait", "waits for a child"},
    {"unmap", "unmaps"},
    {"move", "moves"},
    {"protect", "protects"},
    {"lock", "locks"},
    {"inherit", "sets inheritance of"},
    {"madvise", "gives advice on"},
    {"checkpoint", "rests"},
    {"ool_send", "sends"},
    {"ool_receive", "receives"},
    {"send", "sends a message"},
    {"receive", "receives a message"},
    {"reply", "replies"},
};

char *wording_action(char *buf, size_t cap, const struct history_step *s)
{
    const char *verb = s->action;

    if (!s->actor) {
        snprintf(buf, cap, "%s", strcmp(s->action, "checkpoint") ? s->action : "a look, no action");
        return buf;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(s->action, verbs[i].action) == 0)
            verb = verbs[i].verb;
    snprintf(buf, cap, "%s %s%s%s%s%s%s", s->actor, verb, s->region ? " " : "",
             s->region ? s->region : "", s->region && s->case_name ? "#" : "",
             s->region && s->case_name ? s->case_name : "",
             strncmp(s->action, "ool_", 4) == 0 ? " out of line" : "");
    return buf;
}

char *wording_region(char *buf, size_t cap, const struct obs_region *r)
{
    snprintf(buf, cap, "%s.%s%s%s", r->observed, r->region, r->case_name ? "#" : "",
             r->case_name ? r->case_name : "");
    return buf;
}

char *wording_label(char *buf, size_t cap, const struct obs_region *r, size_t width)
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

char *wording_mode(char *buf, size_t cap, const struct obs_region *r)
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
