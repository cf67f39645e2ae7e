/* deadline: see deadline.h. */
#include "lab/machmsg/ports/deadline.h"
#include <errno.h>
#include <poll.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct deadline deadline_in(bool set, uint32_t ms)
{
    return (struct deadline){.set = set, .ns = set ? now_ns() + ms * 1000000ULL : 0};
}

int deadline_left(const struct deadline *d)
{
    uint64_t now, ms;

    if (!d->set)
        return -1;
    now = now_ns();
    if (now >= d->ns)
        return 0;
    ms = (d->ns - now) / 1000000 + 1;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

int deadline_poll(const struct deadline *d, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    do
        n = poll(&p, 1, deadline_left(d));
    while (n < 0 && errno == EINTR);
    return n;
}

bool deadline_lock(const struct deadline *d, pthread_mutex_t *lock)
{
    const struct timespec t = {(time_t)(d->ns / 1000000000), (long)(d->ns % 1000000000)};

    if (pthread_mutex_trylock(lock) == 0)
        return true;
    return (d->set ? pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &t)
                   : pthread_mutex_lock(lock)) == 0;
}
