/* How long single touches took: counted in a memory object that goes to the lab with the reply, and
 * not in memory of the actor's own, which would be seen in it. */
#include "lab/linux/actor/actor.h"
#include "probes/slurp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EMPTY_TOUCHES 1024

/* The instrument measures itself, in a part that is cleared after. */
static void measure_cost(struct actor_times *t)
{
    struct touch_times *scratch = &t->of[TIMES__COUNT - 1];
    uint64_t began = probe_clock(), last = 0;

    for (int i = 0; i < EMPTY_TOUCHES; i++) {
        uint64_t from = probe_clock();

        times_note(scratch, from, from, probe_clock(), &last);
    }
    t->cost_ns = (probe_clock() - began) / EMPTY_TOUCHES;
    t->empty_ns = histogram_at(&scratch->times, 1, 2);
    memset(scratch, 0, sizeof *scratch);
}

struct actor_times *times_begin(struct actor *a, int *fd)
{
    struct actor_times *t = MAP_FAILED;

    *fd = memfd_create("cowlab-times", MFD_CLOEXEC);
    if (*fd >= 0 && ftruncate(*fd, sizeof *t) == 0)
        t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
    if (t == MAP_FAILED) {
        actor_fail(a, errno, "no memory for the times of the touches");
        if (*fd >= 0)
            close(*fd);
        return NULL;
    }
    t->magic = ACTOR_MAGIC;
    measure_cost(t);
    return t;
}

void times_end(struct actor *a, struct actor_times *t, int fd, int rc)
{
    munmap(t, sizeof *t);
    if (rc < 0) {
        close(fd);
        return;
    }
    a->send_fds[a->nsend_fds++] = fd;
    a->out.has_times = 1;
}
