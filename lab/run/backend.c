#include "lab/run/backend.h"

#include "lab/gnumach/ability.h"
#include "lab/linux/ability.h"

#include <stdlib.h>
#include <string.h>

const struct backend *const backends[] = {&backend_linux, &backend_gnumach, NULL};

const struct ability *const backend_abilities[] = {&ability_linux, &ability_gnumach, NULL};

const struct backend *backend_find(const char *name)
{
    for (size_t i = 0; backends[i]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
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
