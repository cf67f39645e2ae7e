#include "probes/kernel/threads.h"
#include "probes/footprint.h"
#include "probes/list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "NUMBER ARGUMENTS... SP PC", or "-1 SP PC" outside of a call; "running" says nothing. */
static uint64_t stack_pointer(const char *text)
{
    const char *pc = strrchr(text, ' '), *sp = pc;

    while (sp && sp > text && sp[-1] != ' ')
        sp--;
    return sp && sp > text ? strtoull(sp, NULL, 16) : 0;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void threads_read(struct threads *t, pid_t pid, int n, struct probe_cost *cost)
{
    uint64_t began = probe_clock(), stack, *added;
    char path[64];
    struct dirent *d;
    DIR *dir;
    int rc;

    t->n = n;
    t->nstacks = 0;
    t->failed = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    if (n < 2)
        return;
    dir = opendir(path);
    if (!dir) {
        t->failed = is_exhausted(-errno) ? -errno : 0;
        return;
    }
    while ((d = readdir(dir))) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/syscall", (int)pid, d->d_name);
        rc = d->d_name[0] == '.' ? -ENOENT : slurp_path(&t->text, path);
        t->failed = is_exhausted(rc) ? rc : t->failed;
        if (rc < 0)
            continue;
        cost->calls += t->text.calls;
        cost->bytes += t->text.len;
        if (!(stack = stack_pointer(t->text.text)))
            continue;
        if ((added = LIST_ADD_ROOM(t->stacks, t->nstacks, t->cap)))
            *added = stack;
        else
            t->failed = -ENOMEM;
    }
    closedir(dir);
    if (t->nstacks)
        qsort(t->stacks, t->nstacks, sizeof *t->stacks, ascending);
    cost->ns += probe_clock() - began;
}

bool threads_have_stack(const struct threads *t, uint64_t start, uint64_t end)
{
    size_t low = LIST_SEARCH(t->nstacks, i, t->stacks[i] < start);

    return low < t->nstacks && t->stacks[low] < end;
}

pid_t threads_living(pid_t pid)
{
    struct footprint f;
    char path[64];
    struct dirent *d;
    pid_t found = pid;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    if (footprint_stat(pid, &f) < 0 || f.state != 'Z' || f.threads < 2 || !(dir = opendir(path)))
        return pid;
    while (found == pid && (d = readdir(dir)))
        if (atoi(d->d_name) > 0)
            found = atoi(d->d_name);
    closedir(dir);
    return found;
}

void threads_release(struct threads *t)
{
    free(t->stacks);
    slurp_release(&t->text);
    *t = (struct threads){0};
}
