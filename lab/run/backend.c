/* backend: an end that was asked for; what a step gave, made and released. */
#include "lab/run/backend.h"
#include "probes/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int stop_asked(const volatile int *stop, struct err *e)
{
    return stop && *stop ? err_set(e, EINTR, "a signal asked it to end") : 0;
}

char *step_text(const char *text, bool *ok)
{
    bool some = text && *text;
    char *copy = some ? strdup(text) : NULL;

    *ok = *ok && (copy || !some);
    return copy;
}

int step_check(struct step_result *r, const struct two_sources *c, struct err *e, const char *fmt,
               ...)
{
    struct obs_check *to = observation_add_check(&r->obs, c->check, c->observed, c->region);
    bool ok = to != NULL;
    va_list ap;

    if (!ok)
        return err_no_memory(e);
    to->case_name = step_text(c->case_name, &ok);
    to->left = value_known(c->left);
    to->right = value_known(c->right);
    to->verdict = c->left == c->right ? CHECK_HELD : CHECK_DIFFERS;
    va_start(ap, fmt);
    if (fmt && vasprintf(&to->detail, fmt, ap) < 0) {
        to->detail = NULL;
        ok = false;
    }
    va_end(ap);
    return ok ? 0 : err_no_memory(e);
}

struct two_sources step_sources(const struct step *s, const char *check, uint64_t left,
                                uint64_t right)
{
    return (struct two_sources){check,        s->actor,      s->region,
                                s->case_name, (int64_t)left, (int64_t)right};
}

int step_check_stamps(struct step_result *r, const struct step *s, struct stamp_result seen,
                      struct err *e)
{
    struct two_sources c = step_sources(s, "stamps", seen.checked, seen.checked - seen.wrong);

    r->stamps = seen;
    if (!seen.checked)
        return 0;
    if (!seen.wrong)
        return step_check(r, &c, e, NULL);
    return step_check(
        r, &c, e, "pages read against pages that carry stamp '%c'; page %llu carries %s%s%s",
        s->stamp, (unsigned long long)seen.first_wrong, seen.found ? "stamp '" : "no stamp",
        (const char[]){seen.found, '\0'}, seen.found ? "'" : "");
}

void step_result_init(struct step_result *r)
{
    memset(r, 0, sizeof *r);
    observation_init(&r->obs);
}

static void transfer_release(struct store_transfer *t)
{
    FREE_ALL(t->from, t->to, t->region, t->case_name, t->kind, t->asked, t->received, t->done,
             t->why);
}

void step_result_release(struct step_result *r)
{
    observation_release(&r->obs);
    for (size_t i = 0; i < r->ntransfers; i++)
        transfer_release(&r->transfers[i]);
    free(r->transfers);
    if (r->message) {
        free(r->message->actor);
        free(r->message->text);
        free(r->message);
    }
    if (r->handover)
        FREE_ALL(r->handover->way, r->handover->sender, r->handover->receiver, r->handover->region,
                 r->handover->case_name, r->handover);
    if (r->snapshot)
        free(r->snapshot->way);
    FREE_ALL(r->latencies, r->snapshot);
    step_result_init(r);
}
