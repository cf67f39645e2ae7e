/* backend: an end that was asked for; what a step gave, made and released. */
#include "lab/run/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stop_asked(const volatile int *stop, struct err *e)
{
    return stop && *stop ? err_set(e, EINTR, "a signal asked it to end") : 0;
}

void step_result_init(struct step_result *r)
{
    memset(r, 0, sizeof *r);
    observation_init(&r->obs);
}

static void transfer_release(struct store_transfer *t)
{
    free(t->from);
    free(t->to);
    free(t->region);
    free(t->case_name);
    free(t->kind);
    free(t->asked);
    free(t->received);
    free(t->done);
    free(t->why);
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
    step_result_init(r);
}
