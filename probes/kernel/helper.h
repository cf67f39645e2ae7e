/* helper: the privileged cowprobe, asked to open what this process may not.
 *
 * The kernel checks the credentials of whoever opens /proc/PID/pagemap (and the kpage files), not
 * of whoever reads them: `cowprobe --serve FD`, given file capabilities, opens them and passes the
 * descriptors over a socket (SCM_RIGHTS). It serves only files of processes that the asking user
 * could trace, so that nobody sees more than frames of their own memory.
 *
 *     helper_start -> [ helper_open ]* -> helper_stop
 *
 * Promises: every wait has a deadline; a helper that died or hangs gives -EPIPE or -ETIMEDOUT,
 * then always -EPIPE. Lifetime: helper_stop reaps it. */
#ifndef PROBES_KERNEL_HELPER_H
#define PROBES_KERNEL_HELPER_H

#include "probes/err.h"
#include <stdint.h>
#include <sys/types.h>

struct helper;

enum helper_file {
    HELPER_PAGEMAP = 1, /* of pid */
    HELPER_KPAGECOUNT,
    HELPER_KPAGEFLAGS,
    HELPER_OBJECT /* the file behind the mapping of pid that starts at start (and ends at end) */
};

/* Finds cowprobe ($COWLAB_COWPROBE, or beside the running program), and starts it if it has file
 * capabilities that this process lacks. -ENOENT: there is none; -EPERM: it has no capabilities. */
int helper_start(struct helper **out, struct err *e);
void helper_stop(struct helper *h);

/* A descriptor (close-on-exec) for the caller to close, or a negative errno. */
int helper_open(struct helper *h, enum helper_file what, pid_t pid, uint64_t start, uint64_t end);

/* For cowprobe itself when a user runs it: gives up what file capabilities gave, so that it asks a
 * helper like everybody else and shows no more than its user may see. */
int helper_drop_privileges(void);

/* The other side: serves requests from fd until it is closed. Called by cowprobe's main. */
int helper_serve(int fd, struct err *e);

#endif
