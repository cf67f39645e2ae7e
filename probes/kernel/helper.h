/* helper: the privileged cowprobe, asked for what this process may not see of its own memory.
 *
 * `cowprobe --serve`, given file capabilities, reads page files for whoever started it, of
 * processes that its user may look at (ptrace(2), PTRACE_MODE_READ), as the kernel says without
 * these capabilities. It hands out no descriptor and no frame number: a frame, and a slot of swap,
 * goes by a label, SipHash-2-4 of its number under a key that the helper makes for itself. The same
 * frame has the same label in all that one helper says; map counts and flags are told of pages that
 * the process has while it is asked. Numbers and answers lie in memory that both map.
 *
 *     helper_start -> [ helper_attach -> [ helper_read, helper_ask ]* -> helper_detach ]*
 *                     [ helper_object ]* -> helper_stop
 *
 * Promises: callable from several threads; every wait has a deadline; a helper that died or hangs
 * gives -EPIPE or -ETIMEDOUT, then always -EPIPE. Lifetime: helper_stop reaps it. */
#pragma once

#include "probes/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;
struct object_info;

/* Finds cowprobe ($COWLAB_COWPROBE, or beside the running program), and starts it if it has file
 * capabilities that this process lacks. -ENOENT: there is none; -EPERM: it has no capabilities. */
int helper_start(struct helper **out, struct err *e);
void helper_stop(struct helper *h);
/* It is gone, as far as can be told now. */
bool helper_lost(struct helper *h);

/* The number of a process's present address space, for the calls below, or a negative errno. */
int helper_attach(struct helper *h, pid_t pid);
void helper_detach(struct helper *h, int number);

/* As pagemap_read, from page number `first` (address / page size) on, with labels for frames. */
int64_t helper_read(struct helper *h, int number, uint64_t first, uint64_t n, uint64_t *words);
/* As kpage_read, of the frames with these labels that the process has at these page numbers; of
 * what is no longer there KPAGE_NONE. */
int helper_ask(struct helper *h, int number, bool counts, const uint64_t *pages,
               const uint64_t *labels, uint64_t *out, size_t n);

/* The object behind the mapping [start, end) of pid, if it belongs to this user: what it is (n 0),
 * or also as object_residency. */
struct helper_object {
    pid_t pid;
    uint64_t start, end, first, n;
    bool swap;
};
int helper_object(struct helper *h, const struct helper_object *question, struct object_info *info,
                  uint64_t *bits, uint64_t *swapped, uint64_t *count);

/* For cowprobe itself when a user runs it: gives up what file capabilities gave, so that it asks a
 * helper like everybody else and shows no more than its user may see. */
int helper_drop_privileges(void);

/* The other side (serve.c): serves requests from the socket until it is closed; memory: what the
 * client has shared. Called by cowprobe's main. */
int helper_serve(int socket, int memory, struct err *e);
