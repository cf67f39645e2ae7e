/* descriptor: see descriptor.h. */
#include "lab/machmsg/memory/descriptor.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

static bool fits(int fd, rlim_t first, rlim_t last, enum descriptor_use use)
{
    return fd >= 0 && (rlim_t)fd < first + (last - first) * (rlim_t)use / 16;
}

/* The same descriptor above the soft limit, which is raised for this moment only; or -1. */
static int move_up(int fd, const struct rlimit *limit, enum descriptor_use use)
{
    const struct rlimit raised = {limit->rlim_max, limit->rlim_max};
    int high;

    if (limit->rlim_cur >= limit->rlim_max || setrlimit(RLIMIT_NOFILE, &raised))
        return -1;
    high = fcntl(fd, F_DUPFD_CLOEXEC, (int)limit->rlim_cur);
    setrlimit(RLIMIT_NOFILE, limit);
    if (high >= 0 && !fits(high, limit->rlim_cur, limit->rlim_max, use)) {
        close(high);
        high = -1;
    }
    return high;
}

int descriptor_keep(int fd, enum descriptor_use use)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    struct rlimit limit;
    int kept = fd;

    pthread_mutex_lock(&one);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd < limit.rlim_cur &&
        !fits(fd, 0, limit.rlim_cur, KEEP_OBJECT)) {
        kept = move_up(fd, &limit, use);
        if (kept < 0 && fits(fd, 0, limit.rlim_cur, use))
            kept = fd;
    }
    pthread_mutex_unlock(&one);
    if (kept != fd)
        close(fd);
    return kept;
}
