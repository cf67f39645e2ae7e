/* output: every file that the program writes. It appears whole under its name, or not at all: it is
 * written beside the place, synced, and renamed to it, so that a failure or a kill at any moment
 * leaves what was there.
 *
 * The new file has the permissions of the one that it replaces. A symbolic link stays: what it
 * points at is replaced. What is no regular file (a device, a FIFO, /dev/stdout) is written
 * straight. Databases, above all the one that is read, and the files beside them are refused:
 * -ETXTBSY. So is, -EACCES, what somebody else has put into a directory of all, or leads to.
 * Lifetime: output_open ... (output_done, output_sync, output_place) or output_drop, which can
 * always be called, several times. */
#pragma once

#include "db/store.h"
#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *file;   /* to write to; errors may be left to output_done */
    bool beside;  /* the new file has a name of its own until it is placed */
    int fd;       /* it has none yet; -1 */
    char *path;   /* as the user named it; for messages */
    char *target; /* the same with symbolic links followed; NULL: written straight */
    char *name;   /* its name until then, in the directory that is ready for it */
};

/* ready: a directory on the same file system that is there; NULL: the target's own. 0, or a
 * negative errno with the path in the message. */
int output_open(struct output *o, const char *path, const char *ready, struct store *store,
                struct err *e);
/* Did somebody else put it into a sticky directory in which everybody may (/tmp)? */
bool output_is_foreign(const char *path);
/* All is written, and on its way to the disk. */
int output_done(struct output *o, struct err *e);
/* On the disk, whole: what can fail for want of space has failed. Of several files all are synced
 * before one is placed, and after all are written: the first then waits for the disk, the others
 * hardly do. */
int output_sync(struct output *o, struct err *e);
/* Puts it in its place. last: of those in its directory; now their names are on the disk, too. */
int output_place(struct output *o, bool last, struct err *e);
/* Forgets what was not placed, and frees. */
void output_drop(struct output *o);
