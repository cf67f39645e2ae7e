#include "lab/watch/watching.h"
#include "probes/list.h"

#include <string.h>

int event_add(struct watch *w, const char *actor, const char *kind, const int64_t *value,
              const char *text)
{
    struct store_watch_event *event = LIST_ADD(w->events, w->nevents);

    if (!event)
        return err_no_memory(w->e);
    *event = (struct store_watch_event){actor, kind, value, text};
    if (strcmp(kind, "fork") != 0)
        view_news(w->opt->view, "sample %d: %s %s%s%s", w->step, actor ? actor : "the watch", kind,
                  text ? ": " : "", text ? text : "");
    return 0;
}

int events_of_sample(struct watch *w, const struct sample *s)
{
    int rc = 0;

    w->nevents = 0;
    for (size_t i = 0; i < w->tree->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[i];

        if (p->fresh && w->step > 1)
            view_news(w->opt->view, "sample %d: %s came: %s", w->step, p->name,
                      p->command ? p->command : "");
        if (p->gone_now)
            rc = event_add(w, p->name, "gone", NULL, NULL);
    }
    for (size_t i = 0; i < s->n && rc == 0; i++) {
        const struct tree_process *p = &w->tree->list[w->tree_index[i]];

        if (s->processes[i].exec)
            rc = event_add(w, p->name, "exec", NULL, p->command);
        if (s->processes[i].why == WHY_PERMISSION && p->fresh && rc == 0)
            rc = event_add(w, p->name, "note", NULL, "its memory may not be looked at");
    }
    if (rc == 0 && w->slowed)
        rc = event_add(w, NULL, "note", NULL,
                       "a sample takes more than half of the time between two");
    w->slowed = false;
    return rc;
}
