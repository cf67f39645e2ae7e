#include "probes/kernel/helper.h"
#include "probes/kernel/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ANSWER_MS 10000 /* longest wait for an answer, and for the helper's end: it hangs */
#define ABOVE 8         /* descriptors of this number and up are in nobody's way in the helper */

struct helper {
    pid_t pid;
    int fd; /* -1: gave up on it */
    struct wire_memory *memory;
    pthread_mutex_t lock; /* one question at a time */
};

static int find_program(char *path, size_t size)
{
    const char *given = getenv("COWLAB_COWPROBE");
    ssize_t n;
    char *slash;

    if (given && *given)
        return snprintf(path, size, "%s", given) < (int)size ? 0 : -ENAMETOOLONG;
    n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -errno;
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/cowprobe" > size)
        return -ENAMETOOLONG;
    strcpy(slash, "/cowprobe");
    return 0;
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Memory for both: h->memory, and its descriptor or a negative errno. */
static int share_memory(struct helper *h)
{
    int fd = memfd_create("cowlab-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc = 0;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, sizeof *h->memory) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        rc = -errno;
    h->memory = mmap(NULL, sizeof *h->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rc < 0 || h->memory == MAP_FAILED) {
        rc = rc < 0 ? rc : -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* The helper has socket and memory as the descriptors that its arguments name. */
static int spawn_helper(struct helper *h, char *path, int socket, int memory)
{
    char numbers[] = "3,4", serve[] = "--serve";
    char *argv[] = {path, serve, numbers, NULL}, *envp[] = {NULL};
    int from[2] = {fcntl(socket, F_DUPFD_CLOEXEC, ABOVE), fcntl(memory, F_DUPFD_CLOEXEC, ABOVE)};
    posix_spawn_file_actions_t actions;
    int rc = from[0] < 0 || from[1] < 0 ? -EMFILE : 0;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, from[0], 3);
    posix_spawn_file_actions_adddup2(&actions, from[1], 4);
    if (rc == 0)
        rc = -posix_spawn(&h->pid, path, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close_all(from, 2);
    return rc;
}

static void release(struct helper *h)
{
    if (h->memory != MAP_FAILED)
        munmap(h->memory, sizeof *h->memory);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

int helper_start(struct helper **out, struct err *e)
{
    int fds[3] = {-1, -1, -1}, rc; /* of a pair, and the memory's */
    char path[PATH_MAX];
    struct helper *h;

    rc = find_program(path, sizeof path);
    if (rc < 0 || access(path, X_OK) < 0)
        return err_set(e, ENOENT, "there is no helper program 'cowprobe' beside this one");
    if (getxattr(path, "security.capability", NULL, 0) <= 0)
        return err_set(e, EPERM, "'%s' has no file capabilities", path);
    h = calloc(1, sizeof *h);
    if (!h)
        return err_no_memory(e);
    pthread_mutex_init(&h->lock, NULL);
    h->memory = MAP_FAILED;
    rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
    if (rc == 0)
        rc = fds[2] = share_memory(h);
    if (rc >= 0)
        rc = spawn_helper(h, path, fds[1], fds[2]);
    close_all(fds + 1, 2);
    if (rc < 0) {
        close_all(fds, 1);
        release(h);
        return err_sys(e, rc, "cannot start '%s'", path);
    }
    h->fd = fds[0];
    *out = h;
    return 0;
}

/* Ends by itself when the socket closes; killed when it does not within the deadline, or has hung
 * before. */
void helper_stop(struct helper *h)
{
    if (!h)
        return;
    if (h->fd >= 0)
        close(h->fd);
    else
        kill(h->pid, SIGKILL);
    for (int waited = 0; waitpid(h->pid, NULL, WNOHANG) == 0; waited++) {
        if (waited == ANSWER_MS)
            kill(h->pid, SIGKILL);
        poll(NULL, 0, 1);
    }
    release(h);
}

static int give_up(struct helper *h, int rc)
{
    close(h->fd);
    h->fd = -1;
    return rc;
}

static int exchange(struct helper *h, const struct wire_request *request,
                    struct wire_answer *answer)
{
    struct pollfd pfd = {.fd = h->fd, .events = POLLIN};
    int n;

    if (h->fd < 0)
        return -EPIPE;
    if (send(h->fd, request, sizeof *request, MSG_NOSIGNAL) != sizeof *request)
        return give_up(h, -EPIPE);
    while ((n = poll(&pfd, 1, ANSWER_MS)) < 0 && errno == EINTR)
        ;
    if (n != 1)
        return give_up(h, -ETIMEDOUT);
    if (recv(h->fd, answer, sizeof *answer, 0) != sizeof *answer)
        return give_up(h, -EPIPE);
    return 0;
}

/* Under the lock: the answer's rc, or what became of the helper. */
static int64_t ask(struct helper *h, const struct wire_request *request)
{
    struct wire_answer answer;
    int rc = exchange(h, request, &answer);

    return rc < 0 ? rc : answer.rc;
}

bool helper_lost(struct helper *h)
{
    struct pollfd pfd;
    bool lost;

    pthread_mutex_lock(&h->lock);
    pfd = (struct pollfd){.fd = h->fd};
    lost = h->fd < 0 || (poll(&pfd, 1, 0) == 1 && pfd.revents);
    pthread_mutex_unlock(&h->lock);
    return lost;
}

static int64_t ask_locked(struct helper *h, const struct wire_request *request)
{
    int64_t rc;

    pthread_mutex_lock(&h->lock);
    rc = ask(h, request);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

int helper_attach(struct helper *h, pid_t pid)
{
    return (int)ask_locked(h, &(struct wire_request){.call = WIRE_ATTACH, .process = pid});
}

void helper_detach(struct helper *h, int number)
{
    ask_locked(h, &(struct wire_request){.call = WIRE_DETACH, .process = number});
}

static uint64_t batch_of(uint64_t left)
{
    return left < WIRE_PAGES ? left : WIRE_PAGES;
}

int64_t helper_read(struct helper *h, int number, uint64_t first, uint64_t n, uint64_t *words)
{
    uint64_t done = 0, batch;
    int64_t got;

    do {
        batch = batch_of(n - done);
        pthread_mutex_lock(&h->lock);
        got = ask(h, &(struct wire_request){
                         .call = WIRE_READ, .process = number, .first = first + done, .n = batch});
        if (got > (int64_t)batch)
            got = -EPROTO;
        if (got > 0)
            memcpy(words + done, h->memory->words, (size_t)got * sizeof *words);
        pthread_mutex_unlock(&h->lock);
        done += got > 0 ? (uint64_t)got : 0;
    } while (got == (int64_t)batch && done < n);
    return got < 0 ? got : (int64_t)done;
}

int helper_ask(struct helper *h, int number, bool counts, const uint64_t *pages,
               const uint64_t *labels, uint64_t *out, size_t n)
{
    int64_t rc = 0;

    for (size_t done = 0, batch; done < n && rc == 0; done += batch) {
        batch = batch_of(n - done);
        pthread_mutex_lock(&h->lock);
        memcpy(h->memory->pages, pages + done, batch * sizeof *pages);
        memcpy(h->memory->words, labels + done, batch * sizeof *labels);
        rc = ask(h, &(struct wire_request){
                        .call = counts ? WIRE_COUNTS : WIRE_FLAGS, .process = number, .n = batch});
        if (rc == 0)
            memcpy(out + done, h->memory->words, batch * sizeof *out);
        pthread_mutex_unlock(&h->lock);
    }
    return (int)rc;
}

static void take_bits(uint64_t *bits, const uint64_t *from, uint64_t done, uint64_t n)
{
    if (bits)
        memcpy(bits + done / 64, from, (n + 63) / 64 * sizeof *bits);
}

int helper_object(struct helper *h, const struct helper_object *q, struct object_info *info,
                  uint64_t *bits, uint64_t *swapped, uint64_t *count)
{
    bool which = bits || swapped;
    struct wire_request request = {.call = WIRE_OBJECT,
                                   .process = q->pid,
                                   .start = q->start,
                                   .end = q->end,
                                   .flags =
                                       (which ? WIRE_WITH_BITS : 0) | (q->swap ? WIRE_SWAP : 0)};
    struct wire_answer answer = {0};
    uint64_t done = 0;
    int64_t rc;

    *count = 0;
    do {
        request.first = q->first + done;
        request.n = which && q->n - done > WIRE_BITS ? WIRE_BITS : q->n - done;
        pthread_mutex_lock(&h->lock);
        rc = exchange(h, &request, &answer);
        rc = rc < 0 ? rc : answer.rc;
        if (rc == 0) {
            take_bits(bits, h->memory->pages, done, request.n);
            take_bits(swapped, h->memory->words, done, request.n);
        }
        pthread_mutex_unlock(&h->lock);
        *count += answer.count;
        done += request.n;
    } while (rc == 0 && done < q->n);
    *info = answer.info;
    return (int)rc;
}
