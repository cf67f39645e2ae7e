#include "tests/support/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct replay *current;

struct session {
    int unused;
};

struct backend_run {
    struct replay *replay;
};

void replay_use(struct replay *r)
{
    current = r;
}

static uint64_t replay_page_size(void)
{
    return 4096;
}

static int replay_check(const struct plan *plan, struct err *e)
{
    (void)plan;
    (void)e;
    return 0;
}

static int replay_open(struct session **out, const struct plan *const *plans, size_t nplans,
                       const struct backend_options *opt, struct err *e)
{
    (void)plans;
    (void)nplans;
    (void)opt;
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int replay_begin(struct session *s, size_t plan_index, struct backend_run **out,
                        struct run_info *info, struct err *e)
{
    (void)s;
    (void)plan_index;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_set(e, ENOMEM, "out of memory");
    (*out)->replay = current;
    current->begun++;
    info->kernel = strdup("replay 1");
    info->machine = strdup("{}");
    info->capabilities = strdup("[]");
    return 0;
}

static int replay_step(struct backend_run *r, const struct step *step, struct step_result *out,
                       struct err *e)
{
    return r->replay->step(step, out, e);
}

static void replay_end(struct backend_run *r)
{
    r->replay->ended++;
    free(r);
}

static void replay_close(struct session *s)
{
    free(s);
}

/* It shows what tests put in. */
const struct ability ability_replay = {.name = "replay", .label = "Replay"};

const struct backend backend_replay = {
    .ability = &ability_replay,
    .page_size = replay_page_size,
    .check = replay_check,
    .session_open = replay_open,
    .begin = replay_begin,
    .step = replay_step,
    .end = replay_end,
    .session_close = replay_close,
};
