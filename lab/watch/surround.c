#include "lab/watch/watching.h"

#include "probes/system.h"
#include <stdlib.h>
#include <string.h>

static void read_thp(struct watch *w)
{
    char *open, *close;

    w->thp[0] = '\0';
    if (slurp_path(&w->text, "/sys/kernel/mm/transparent_hugepage/enabled") < 0)
        return;
    open = strchr(w->text.text, '[');
    close = open ? strchr(open, ']') : NULL;
    if (close && close - open < (int)sizeof w->thp)
        snprintf(w->thp, sizeof w->thp, "%.*s", (int)(close - open - 1), open + 1);
}

/* Does the cgroup hold only processes that are watched? Then its usage is a figure for them. */
static bool cgroup_is_ours(struct watch *w)
{
    char path[4200];
    struct slurp text = {0};
    bool ours = true;
    size_t seen = 0;

    snprintf(path, sizeof path, "%s/cgroup.procs", w->cgroup);
    if (slurp_path(&text, path) < 0)
        ours = false;
    for (char *at = text.text, *end; ours && at && *at; at = end) {
        long pid = strtol(at, &end, 10);
        size_t i = 0;

        if (end == at)
            break;
        end += *end == '\n';
        while (i < w->n && w->targets[i].pid != pid)
            i++;
        ours = i < w->n;
        seen++;
    }
    slurp_release(&text);
    return ours && seen > 0;
}

/* Figures of the first process's memory cgroup, if it is not the machine's own. */
static void read_cgroup(struct watch *w, struct observation *o, struct store_watch_sample *out)
{
    struct value totals[TQ__COUNT];
    struct probe_cost cost = {0};
    struct cgroup_events ev;
    struct err why;
    const char *source;

    if (!w->checked_cgroup) {
        w->checked_cgroup = true;
        if (!w->n || system_cgroup_of(w->targets[0].pid, w->cgroup, sizeof w->cgroup, &why) <= 0)
            w->cgroup[0] = '\0';
    }
    out->cgroup_kb = out->cgroup_high = out->cgroup_max = out->cgroup_oom = out->cgroup_oom_kill =
        value_na();
    if (!w->cgroup[0])
        return;
    source = system_read_cgroup(w->cgroup, machine_caps()->page_size, totals, &w->text, &cost);
    if (!source)
        return;
    system_read_cgroup_events(w->cgroup, &ev, &w->text);
    out->cgroup_kb = totals[TQ_SYSTEM];
    out->cgroup_high = ev.high;
    out->cgroup_max = ev.max;
    out->cgroup_oom = ev.oom;
    out->cgroup_oom_kill = ev.oom_kill;
    o->totals[TQ_CGROUP_LIMIT] = totals[TQ_CGROUP_LIMIT];
    if (cgroup_is_ours(w)) {
        o->totals[TQ_SYSTEM] = totals[TQ_SYSTEM];
        o->totals[TQ_SYSTEM_TOLERANCE] = totals[TQ_SYSTEM_TOLERANCE];
        o->system_source = strdup("memory cgroup that holds the watched processes and no others");
    }
}

void surround_read(struct watch *w, struct observation *o, struct store_watch_sample *out)
{
    read_cgroup(w, o, out);
    read_thp(w);
    out->thp = w->thp[0] ? w->thp : NULL;
}

int surround_events(struct watch *w, const struct store_watch_sample *s)
{
    static const char *const texts[3] = {
        "ran into its limit so many times by now", "was out of memory so many times by now",
        "lost so many processes to the out-of-memory killer by now"};
    const struct value now[3] = {s->cgroup_max, s->cgroup_oom, s->cgroup_oom_kill};
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++) {
        bool more = value_is_known(now[i]) && w->step > 1 && now[i].n > w->limits[i];

        w->limits[i] = value_is_known(now[i]) ? now[i].n : INT64_MAX;
        if (more)
            rc = event_add(w, NULL, "cgroup", &w->limits[i], texts[i]);
    }
    if (rc == 0 && w->step > 1 && strcmp(w->thp, w->thp_before) != 0)
        rc = event_add(w, NULL, "thp", NULL, w->thp);
    memcpy(w->thp_before, w->thp, sizeof w->thp_before);
    return rc;
}
