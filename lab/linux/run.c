#include "lab/linux/run.h"
#include "lab/run/paths.h"
#include "probes/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t linux_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

int linux_call(struct doing *d, struct reply_fds *fds, struct err *e)
{
    uint64_t pages = d->rq.len / linux_page_size() + 1;

    return actor_call(&d->run->group, d->index, &d->rq, -1, pages, &d->reply, fds, e);
}

void linux_did(struct doing *d, size_t index, const struct actor_reply *reply)
{
    d->deeds[d->ndeeds++] =
        (struct deed){index, reply->dur_ns, reply->cpu_ns, reply->minflt, reply->majflt};
    d->told = true;
}

uint64_t linux_whole_pages(uint64_t bytes)
{
    uint64_t page = linux_page_size();

    return (bytes + page - 1) / page * page;
}

struct held_regions *linux_held(struct doing *d)
{
    return &d->run->holders[d->index].regions;
}

/* --- who takes part --- */

int linux_actor_index(const struct backend_run *r, const char *name, struct err *e)
{
    for (size_t i = r->group.nactors; i-- > 0;)
        if (r->group.actors[i].alive && strcmp(r->group.actors[i].name, name) == 0)
            return (int)i;
    return err_set(e, ESRCH, "there is no living actor '%s'", name);
}

int linux_give_port(struct backend_run *r, size_t index, struct err *e)
{
    struct actor_request rq = {.op = ACTOR_HELLO};
    struct actor_reply reply;

    if (!r->messages)
        return 0;
    snprintf(rq.to, sizeof rq.to, "%s", r->group.actors[index].name);
    return actor_call(&r->group, index, &rq, -1, 0, &reply, NULL, e);
}

int linux_start_actors(struct backend_run *r, struct err *e)
{
    for (size_t i = 0; i < r->plan->nactors; i++) {
        int index, rc;

        if (plan_born_by_fork(r->plan, r->plan->actors[i]))
            continue;
        index = actor_spawn(&r->group, r->plan->actors[i], e);
        if (index < 0)
            return index;
        rc = LIST_ADD(r->holders, r->nholders) ? 0 : err_no_memory(e);
        if (rc == 0)
            rc = linux_give_port(r, (size_t)index, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int linux_start_name_server(struct backend_run *r, struct err *e)
{
    char program[4096], socket[128];
    char *argv[] = {program, "--foreground", "--socket", socket, NULL};
    int rc;

    if (!r->messages)
        return 0;
    rc = find_program("cowlab-nameserver", "COWLAB_NAMESERVER", program, sizeof program, e);
    if (rc < 0)
        return rc;
    snprintf(socket, sizeof socket, "%s/bootstrap", r->group.dir);
    /* An actor that is faster than the server must not start one that outlives the run. */
    if (setenv("COWLAB_BOOTSTRAP", socket, 1) < 0 || setenv("COWLAB_BOOTSTRAP_WAIT", "1", 1) < 0)
        return err_no_memory(e);
    return actor_group_helper(&r->group, argv, e);
}
