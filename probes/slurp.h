/* slurp: whole files of /proc, which have no size and lines of any length, and what reading costs.
 *
 * Owns: a growing buffer that is meant to be reused from look to look.
 * Promises: the text ends with a NUL that is not part of len.
 * Lifetime: slurp_release frees the buffer; a zeroed struct is an empty one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct slurp {
    char *text;
    size_t len, cap;
    unsigned int calls; /* read calls of the last slurp */
};

/* What reading cost: added to, never reset. */
struct probe_cost {
    uint64_t ns, calls, bytes;
};

uint64_t probe_clock(void); /* CLOCK_MONOTONIC in ns */
/* What was done since then. cost may be NULL. */
void cost_note(struct probe_cost *cost, uint64_t began, uint64_t calls, uint64_t bytes);
/* Threads that are worth it here: two, or one where this process may run on one CPU only. */
int probe_threads(void);

/* What failed for want of descriptors or memory says nothing about the process: that is an error,
 * and never an unknown with another reason. rc: a negative errno. */
bool is_exhausted(int rc);
/* From here on this process may have as many open files as its hard limit allows. */
void raise_descriptors(void);
/* /proc/PID/FILE for reading: a descriptor, or a negative errno. */
int proc_open(pid_t pid, const char *file);
/* Closes it, if it is one; -1 from then on. */
void fd_close(int *fd);
/* What /proc/PID/exe refers to into path[size], "" if it may not be read. */
void proc_exe(pid_t pid, char *path, size_t size);

/* Reads fd from its start to its end. 0, or a negative errno (no message: the caller knows what
 * the file was). An empty file is success with len 0. */
int slurp_fd(struct slurp *s, int fd);
int slurp_path(struct slurp *s, const char *path);
/* slurp_fd, and what it cost. */
int slurp_counted(struct slurp *s, int fd, struct probe_cost *cost);
void slurp_release(struct slurp *s);

/* The number behind "key" at the start of a line ("VmHWM:\t  1234 kB"): 0, or -ENOENT. */
int slurp_number(const struct slurp *s, const char *key, unsigned long long *value);

/* All of it, however many writes that takes: 0, or a negative errno. */
int fd_write_all(int fd, const void *data, size_t size);
