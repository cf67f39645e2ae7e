/* observe: see observe.h. One half runs in the program that asks, the other in the observer. */
#include "lab/machmsg/observe.h"
#include "lab/machmsg/names/spawn.h"
#include "lab/machmsg/ports/deadline.h"
#include "probes/list.h"
#include "probes/maps.h"
#include "probes/observer.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MARK "COWLAB_OBSERVE"
#define PATIENCE_MS 30000 /* a look at a very large mapping takes seconds */

struct question {
    int32_t pid;
    uint32_t zero;
    uint64_t start, end, inode;
};

struct reply {
    int32_t rc;
    uint32_t zero;
    struct observed seen;
};

/* --- the observer's half --- */

struct targets {
    struct target *at;
    size_t n;
};

static int add_target(struct targets *t, pid_t pid, const struct target_region *region)
{
    struct target *added = LIST_ADD(t->at, t->n);

    if (!added)
        return -ENOMEM;
    *added = (struct target){.actor = region ? "self" : "other",
                             .pid = pid,
                             .regions = region,
                             .nregions = region ? 1 : 0};
    return 0;
}

static bool maps_object(pid_t pid, uint64_t inode)
{
    struct maps m = {0};
    struct err e;
    bool found = false;
    int fd = proc_open(pid, "maps");

    if (fd < 0)
        return false;
    if (maps_read_fd(&m, fd, NULL, &e) == 0)
        for (size_t i = 0; i < m.n && !found; i++)
            found = m.entries[i].inode == inode;
    maps_release(&m);
    close(fd);
    return found;
}

/* Who else maps the object counts as a reference: all processes that may be looked at. */
static int add_sharers(struct targets *t, const struct question *q)
{
    DIR *proc = q->inode ? opendir("/proc") : NULL;
    struct dirent *d;
    int rc = 0;

    while (proc && rc == 0 && (d = readdir(proc))) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

        if (pid > 0 && pid != q->pid && pid != getpid() && maps_object(pid, q->inode))
            rc = add_target(t, pid, NULL);
    }
    if (proc)
        closedir(proc);
    return rc;
}

static int look(const struct caps *caps, const struct question *q, struct observed *out)
{
    const struct observer_options opt = {.whole_process = false, .threads = 1, .max_runs = 1};
    const struct target_region region = {
        .name = "r", .start = q->start, .len = q->end - q->start, .inherit = INH_COPY};
    struct observation seen;
    struct observer *o = NULL;
    struct targets t = {0};
    struct obs_region *r;
    struct err e;
    int rc = add_target(&t, q->pid, &region);

    observation_init(&seen);
    if (rc == 0)
        rc = add_sharers(&t, q);
    if (rc == 0)
        rc = observer_new(&o, caps, &opt, &e);
    if (rc == 0)
        rc = observer_look(o, t.at, t.n, NULL, 0, &seen, &e);
    if (rc == 0) {
        r = observation_find_region(&seen, "self", "r", NULL);
        rc = r ? 0 : -ENOENT;
        if (r)
            memcpy(out->q, r->q, sizeof out->q);
    }
    observer_free(o);
    observation_release(&seen);
    free(t.at);
    return rc;
}

/* Until the program that asks has ended. */
static void serve(int fd)
{
    struct question q;
    struct caps caps;

    caps_probe(&caps);
    while (recv(fd, &q, sizeof q, 0) == sizeof q) {
        struct reply r = {0};

        r.rc = look(&caps, &q, &r.seen);
        if (send(fd, &r, sizeof r, MSG_NOSIGNAL) != sizeof r)
            break;
    }
}

__attribute__((constructor(103))) static void observe_instead(void)
{
    int null;

    if (!secure_getenv(MARK))
        return;
    unsetenv(MARK); /* not for what the probes start */
    closefrom(4);
    if (fork() != 0)
        _exit(0); /* the caller waits for this; a fork that failed shows as no answer */
    null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    if (chdir("/") == 0)
        serve(3);
    _exit(0);
}

/* --- the asker's half --- */

static struct {
    pthread_mutex_t lock;
    int fd; /* to the observer, or -1 */
} observer = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static int start(void)
{
    char *argv[] = {"cowlab-observer", NULL};
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    rc = spawn_detached(NULL, argv, MARK, "1", pair[1]);
    close(pair[1]);
    if (rc)
        close(pair[0]);
    else
        observer.fd = pair[0];
    return rc > 0 ? -ECHILD : rc;
}

static int ask(const struct question *q, struct reply *r)
{
    const struct deadline until = deadline_in(true, PATIENCE_MS);

    if (send(observer.fd, q, sizeof *q, MSG_NOSIGNAL) != sizeof *q)
        return -EPIPE;
    if (deadline_poll(&until, observer.fd, POLLIN) != 1)
        return -ETIMEDOUT;
    return recv(observer.fd, r, sizeof *r, 0) == sizeof *r ? 0 : -EPIPE;
}

int observe_mapping(uint64_t start_at, uint64_t end, uint64_t inode, struct observed *out)
{
    const struct question q = {getpid(), 0, start_at, end, inode};
    struct reply r = {0};
    int rc = 0;

    pthread_mutex_lock(&observer.lock);
    if (observer.fd < 0)
        rc = start();
    if (rc == 0 && (rc = ask(&q, &r)) != 0) {
        close(observer.fd); /* it is gone, or late: the next call starts another */
        observer.fd = -1;
    }
    pthread_mutex_unlock(&observer.lock);
    if (rc == 0 && r.rc == 0)
        *out = r.seen;
    return rc ? rc : r.rc;
}

/* In a forked child: the parent's observer is not ours. */
static void observe_fork_child(void)
{
    pthread_mutex_init(&observer.lock, NULL);
    if (observer.fd >= 0)
        close(observer.fd);
    observer.fd = -1;
}

/* No file knows every part that must hear of a fork: each registers itself, and a program gets only
 * the parts that it uses. */
__attribute__((constructor(102))) static void register_handler(void)
{
    pthread_atfork(NULL, NULL, observe_fork_child);
}
