/* deadline: a point in time until which something is waited for, or never. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct deadline {
    bool set;    /* false: never */
    uint64_t ns; /* CLOCK_MONOTONIC */
};

struct deadline deadline_in(bool set, uint32_t ms);
/* Milliseconds left for poll(2), rounded up; -1: no deadline. */
int deadline_left(const struct deadline *d);
/* poll(2) on one descriptor till then; the program's signals interrupt nothing. */
int deadline_poll(const struct deadline *d, int fd, short events);
/* Takes the lock; false: not by then. */
bool deadline_lock(const struct deadline *d, pthread_mutex_t *lock);
