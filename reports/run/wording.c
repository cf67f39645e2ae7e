#include "reports/run/wording.h"

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
    {"hand_over", "hands over"},
    {"take", "takes"},
    {"snapshot", "takes a snapshot of"},
};

char *wording_action(char *buf, size_t cap, const struct step_record *s)
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
