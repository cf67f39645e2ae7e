/* writer: a thread that writes to random pages of a region, while the actor takes a snapshot of it.
 *
 * Each page gets the number of the write (moment.h), behind the page's stamp. A touch is due at its
 * time, whether the one before came to its end in time or not: a stall makes all that are due
 * meanwhile late, and each of them counts. Without a rate one is due when the one before ended.
 *
 * It has no memory of its own: its stack and all that it notes lie in shared memory, which a fork
 * does not copy on write. It shares the actor's thread-local memory, and so calls nothing that
 * uses it. */
#pragma once

#include "lab/linux/actor/actor.h"

#define WRITER_SLOT sizeof(struct page_stamp) /* where in a page its number is */

enum writer_phase { WRITER_BEFORE, WRITER_TAKING, WRITER_READING };
enum writer_command { WRITER_GO, WRITER_PARK, WRITER_STOP };

struct writer {
    /* What it is told, before it starts. */
    char *region;
    uint64_t pages, page_size, rate, seed;
    uint64_t base; /* the largest number in the pages before: its own are behind it */
    struct actor_times *times;
    /* While it runs. */
    uint32_t phase, command;
    /* What it tells. */
    uint32_t parked, resumed; /* resumed: a write has ended since the snapshot was taken */
    uint64_t written;         /* so many writes */
    uint64_t still_ns;        /* as in actor_snapshot */
    int32_t tid;              /* the kernel makes it 0 when the thread is gone */
};

/* Room for one, in memory of its own (that is counted as notes); NULL after actor_fail. */
struct writer *writer_new(struct actor *a);
void writer_free(struct writer *w);
/* cpu: where it is to run; -1: where the actor does. 0, or -1 after actor_fail. */
int writer_start(struct actor *a, struct writer *w, int cpu);
void writer_enter(struct writer *w, enum writer_phase phase);
/* Until then (by probe_clock) it has done so; else -1 after actor_fail. What has not started has
 * ended. */
int writer_park(struct actor *a, struct writer *w, uint64_t until);
void writer_go(struct writer *w);
int writer_await_resumed(struct actor *a, struct writer *w, uint64_t until);
int writer_await_writes(struct writer *w, uint64_t more, uint64_t until); /* 0, -1: too late */
int writer_stop(struct actor *a, struct writer *w, uint64_t until);
uint64_t writer_written(const struct writer *w);
