/* libFuzzer: any bytes as a scenario, for each backend. A text that is refused must be refused for
 * both with a message; a plan that is taken must keep to what its consumers rely on. */
#include "lab/gnumach/ability.h"
#include "lab/linux/ability.h"
#include "lab/plan/plan.h"

#include <stdlib.h>
#include <string.h>

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_plan(const struct plan *p)
{
    check(p->nsteps > 0 && p->nactors > 0 && p->title && p->source && p->backend);
    for (size_t i = 0; i < p->nsteps; i++) {
        const struct step *s = &p->steps[i];

        check(s->number == (int)i + 1 && word_text(phases, s->phase));
        check(s->actor || s->action == ACT_CHECKPOINT);
        check(s->action != ACT_MAP || (s->region && s->pages > 0 && s->kind));
        check((s->action != ACT_WRITE && s->action != ACT_READ) || s->select.kind);
        check(s->select.kind != SEL_EVERY || s->select.a > 0);
        for (size_t k = 0; k < s->nexpect; k++)
            check(s->expect[k].key && s->expect[k].at.line > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ability *const known[] = {&ability_linux, &ability_gnumach, NULL};
    const struct param_setting set = {"pages", "3"};
    int rc[2];

    for (int i = 0; i < 2; i++) {
        struct plan *p = NULL;
        struct err e = {""};

        rc[i] = plan_parse(&p, (const char *)data, size, "fuzz.json", known, known[i]->name, 4096,
                           NULL, 0, NULL, &e);
        check(rc[i] == 0 ? p != NULL : p == NULL && e.msg[0]);
        if (p)
            check_plan(p);
        plan_free(p);
    }
    check(rc[0] == rc[1]);
    if (rc[0] == 0) {
        struct plan *p = NULL;
        struct err e = {""};

        plan_parse(&p, (const char *)data, size, "fuzz.json", known, "linux", 16384, &set, 1, NULL,
                   &e);
        plan_free(p);
    }
    return 0;
}
