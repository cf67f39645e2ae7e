/* tree: which processes are watched: those named by the user, and if wanted their descendants.
 *
 * Owns: a pidfd per process, so that a number that the kernel gives to another process later is
 * not taken for the one that was meant; the start time in /proc tells the same where pidfds run
 * out. Promises: parents stand before their children; no two processes of a watch have the same
 * name, however long ago the first has ended; who has ended leaves the list once that was told, and
 * nothing of it is kept but a bit for its number. Signals, traces and waits for nobody.
 * Numbers are those of the PID namespace that cowlab runs in: processes of a container have the
 * ones they have here.
 *
 *     alive --(pidfd says ended, zombie, start time differs)--> gone
 *
 * Lifetime: tree_init ... tree_release. */
#pragma once

#include "probes/err.h"
#include "probes/slurp.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tree_process {
    int id; /* its own for ever; indices in the list are not */
    pid_t pid, first_parent;
    uint64_t start_time; /* clock ticks since boot */
    int pidfd;           /* -1: none could be had */
    int parent;          /* index of the parent, or -1 if it is not watched */
    bool root;           /* named by the user */
    bool alive;
    bool gone_now; /* ended, and tree_told was not called since */
    bool fresh;    /* found, and tree_told was not called since */
    char *name;    /* comm[pid], unique */
    char comm[32]; /* as it is now */
    char *command; /* its arguments now, or the title that it gave itself, cut; may be NULL */
    /* Of its last sample, for the watch. */
    int at;                 /* place in the sample, -1 */
    uint64_t stime;         /* clock ticks; UINT64_MAX unknown */
    int64_t minflt, majflt; /* -1 unknown */
    bool program_told;      /* whether it runs another program than at the fork is stored */
};

struct tree {
    struct tree_process *list;
    size_t n;
    size_t ever;       /* processes that were in it */
    uint64_t *numbers; /* bits: process numbers that were in it */
    size_t numbers_room;
    bool children;
    struct slurp text;
};

void tree_init(struct tree *t, bool children);
void tree_release(struct tree *t);

/* A process named by the user. -ESRCH: there is none; -EACCES: its memory may not be looked at. */
int tree_add(struct tree *t, pid_t pid, struct err *e);
/* Who has ended, who has come. 0 or -ENOMEM. */
int tree_refresh(struct tree *t, struct err *e);
size_t tree_alive(const struct tree *t);
/* Reads anew what a process calls itself, which changes with exec and where servers set a title.
 * comm: what its stat says now. True: it is another name than before. */
bool tree_renamed(struct tree *t, size_t i, const char *comm);
/* What is fresh and who has gone was taken note of: indices, and names of who has gone, end here.
 */
void tree_told(struct tree *t);
/* Waits at most ms milliseconds; true: a process named by the user has ended meanwhile. */
bool tree_wait(const struct tree *t, int ms);
