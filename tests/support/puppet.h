/* puppet: a real process that does to its memory what a test tells it, and stands still otherwise.
 *
 * It is the test program exec'd anew, so that none of its memory is shared with the test; a fork
 * makes the next puppet. Every wait has a deadline; puppet_end kills and reaps. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum puppet_kind {
    PUPPET_ANONYMOUS = 1,
    PUPPET_SHARED, /* shared anonymous */
    PUPPET_MEMFD_SHARED,
    PUPPET_MEMFD_PRIVATE, /* every page of the memfd has content */
    PUPPET_MEMFD_HELD,    /* the same, and its descriptor stays open */
    PUPPET_FILE_PRIVATE,  /* the same of a file in /tmp */
    PUPPET_HUGETLB
};

struct puppet {
    pid_t pid;
    int fd;
    bool child_of_test;
    uint64_t minflt, majflt; /* of the last command */
};

/* In main(), before anything else: if the program was started as a puppet, plays it. */
void puppet_main(int argc, char **argv);

bool puppet_start(struct puppet *p);
/* Keeps the calling process, and what it forks, on the CPU where it is (puppet_start does it for
 * puppets): a page that waits in another CPU's LRU batch is copied where it could be reused, see
 * pin_to_one_cpu in lab/linux/actors.c. Puppets of one test may be on different CPUs; those
 * that share memory descend from one. */
void puppet_one_cpu(void);
bool puppet_fork(struct puppet *parent, struct puppet *child);
void puppet_end(struct puppet *p);
/* Exits by itself; the puppet that forked it reaps. */
void puppet_exit(struct puppet *p);
bool puppet_reap(struct puppet *parent);
bool puppet_exec(struct puppet *p);

/* All return 0 or what the system call failed with; map returns the address, or 0. Addresses and
 * lengths in bytes. Every stride-th page is touched. */
uint64_t puppet_map(struct puppet *p, enum puppet_kind kind, uint64_t len);
/* The same, with huge alignment and MADV_HUGEPAGE. */
uint64_t puppet_map_huge(struct puppet *p, uint64_t len);
int puppet_write(struct puppet *p, uint64_t addr, uint64_t len, uint64_t stride);
int puppet_read(struct puppet *p, uint64_t addr, uint64_t len, uint64_t stride);
int puppet_unmap(struct puppet *p, uint64_t addr, uint64_t len);
int puppet_protect(struct puppet *p, uint64_t addr, uint64_t len, int prot);
#define PUPPET_LOCK 1000 /* as an advice: mlock */
int puppet_advise(struct puppet *p, uint64_t addr, uint64_t len, int advice);
uint64_t puppet_move(struct puppet *p, uint64_t addr, uint64_t len);
/* At most 16 pages stay in the frames they are in, whatever the kernel would move. */
int puppet_hold(struct puppet *p, uint64_t addr, uint64_t len);
