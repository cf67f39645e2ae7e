/* nameserver: see nameserver.h. */
#include "lab/machmsg/names/nameserver.h"
#include "lab/machmsg/ports/deadline.h"
#include "lab/machmsg/ports/port.h"
#include "probes/receive.h"
#include "probes/signals.h"
#include "probes/slurp.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 64
#define MAX_SERVICES 4096
#define CLIENT_MS 2000 /* a client that says nothing is sent away */
#define ROOM_MS 20     /* nothing wakes who waits for others' descriptors to be closed */

struct service {
    char name[BOOTSTRAP_MAX_NAME_LEN];
    int port; /* the sending end */
};

struct server {
    int listener, lock;
    struct {
        int fd;
        struct deadline until;
    } clients[MAX_CLIENTS];
    size_t nclients;
    struct service *services;
    size_t nservices;
    struct pollfd *poll; /* listener, clients, services */
    int idle_ms;
    struct deadline idle; /* ends then, if nothing is registered */
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
    (void)sig;
    stopped = 1;
}

/* Nothing but a socket: whatever else has that name is not the server's. */
static void remove_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

static int listen_at(struct server *s, const char *path)
{
    char lock[4200];
    mode_t mask;

    if (snprintf(lock, sizeof lock, "%s.lock", path) >= (int)sizeof lock)
        return -ENAMETOOLONG;
    s->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return -errno;
    if (flock(s->lock, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EALREADY : -errno;
    /* Whoever left a socket here has died: the lock was free. */
    remove_socket(path);
    mask = umask(0177);
    s->listener = nameserver_bind(path);
    umask(mask);
    if (s->listener < 0)
        return s->listener;
    return listen(s->listener, MAX_CLIENTS) ? -errno : 0;
}

static struct service *find(struct server *s, const char *name)
{
    for (size_t i = 0; i < s->nservices; i++)
        if (strcmp(s->services[i].name, name) == 0)
            return &s->services[i];
    return NULL;
}

static void forget(struct server *s, struct service *v)
{
    receive_drop_elsewhere(v->port); /* its receiver may put into it what it likes */
    *v = s->services[--s->nservices];
}

/* A service whose port has died is none. */
static struct service *find_alive(struct server *s, const char *name)
{
    struct service *v = find(s, name);
    struct pollfd p = {.fd = v ? v->port : -1};

    if (v && poll(&p, 1, 0) == 1 && p.revents) {
        forget(s, v);
        return NULL;
    }
    return v;
}

/* Takes over port if it is registered. */
static int add_service(struct server *s, const char *name, int *port)
{
    if (*port < 0)
        return BOOTSTRAP_NOT_PRIVILEGED;
    if (s->nservices == MAX_SERVICES)
        return BOOTSTRAP_NO_MEMORY;
    snprintf(s->services[s->nservices].name, BOOTSTRAP_MAX_NAME_LEN, "%s", name);
    s->services[s->nservices++].port = *port;
    *port = -1;
    return BOOTSTRAP_SUCCESS;
}

/* Carries a request out. *port: what came along, -1 none; *answer: what goes back. */
static int carry_out(struct server *s, const struct nameserver_request *q, int *port, int *answer)
{
    struct service *v = find_alive(s, q->name);

    switch (q->op) {
    case NS_REGISTER:
        return v ? BOOTSTRAP_NAME_IN_USE : add_service(s, q->name, port);
    case NS_CHECK_IN:
        return v ? BOOTSTRAP_SERVICE_ACTIVE : add_service(s, q->name, port);
    case NS_LOOK_UP:
        *answer = v ? v->port : -1;
        return v ? BOOTSTRAP_SUCCESS : BOOTSTRAP_UNKNOWN_SERVICE;
    case NS_STATUS:
        return v ? BOOTSTRAP_SUCCESS : BOOTSTRAP_UNKNOWN_SERVICE;
    case NS_UNREGISTER:
        if (v)
            forget(s, v);
        return v ? BOOTSTRAP_SUCCESS : BOOTSTRAP_UNKNOWN_SERVICE;
    default:
        return BOOTSTRAP_NOT_PRIVILEGED;
    }
}

static void used(struct server *s)
{
    s->idle = deadline_in(s->idle_ms >= 0, (uint32_t)s->idle_ms);
}

static void answer(int fd, int code, int port)
{
    const struct nameserver_reply r = {NAMESERVER_MAGIC, code};

    nameserver_send(fd, &r, sizeof r, port);
}

/* Reads the one request of a client and answers it; or not now: see receive.h. */
static bool serve(struct server *s, int fd)
{
    struct nameserver_request q;
    int port, back = -1, code = BOOTSTRAP_NOT_PRIVILEGED;
    ssize_t n = nameserver_receive(fd, &q, sizeof q, &port);

    if (n == -ENOBUFS)
        return false;
    if (n == -EMFILE) {
        code = BOOTSTRAP_NO_MEMORY;
    } else if (n == sizeof q && q.magic == NAMESERVER_MAGIC && q.name[0] &&
               memchr(q.name, 0, sizeof q.name)) {
        code = carry_out(s, &q, &port, &back);
        used(s);
    }
    answer(fd, code, back);
    receive_drop(port);
    return true;
}

static void send_away(int fd)
{
    if (receive_shut(fd))
        close(fd);
    else
        receive_drop_elsewhere(fd);
}

static void accept_client(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (!nameserver_same_user(fd)) {
        answer(fd, BOOTSTRAP_NOT_PRIVILEGED, -1);
        send_away(fd);
        return;
    }
    s->clients[s->nclients].fd = fd;
    s->clients[s->nclients++].until = deadline_in(true, CLIENT_MS);
}

/* Looks at everything that poll marked. Indices are stable: removal goes from the end. */
static void work(struct server *s, size_t nclients)
{
    for (size_t i = nclients; i-- > 0;)
        if (s->poll[1 + i].revents || deadline_left(&s->clients[i].until) == 0) {
            if ((s->poll[1 + i].revents & POLLIN) && !serve(s, s->clients[i].fd))
                continue;
            send_away(s->clients[i].fd);
            s->clients[i] = s->clients[--s->nclients];
        }
    if (s->poll[0].revents & POLLIN)
        accept_client(s);
}

static void bury_dead(struct server *s, size_t first, size_t count)
{
    for (size_t i = count; i-- > 0;)
        if (s->poll[first + i].revents && receive_has_room())
            forget(s, &s->services[i]);
}

static int serve_all(struct server *s)
{
    used(s);
    while (!stopped) {
        size_t n = 0;
        const size_t nclients = s->nclients, nservices = s->nservices;
        /* While too much of what others sent waits to be closed nobody is let in or heard, and no
         * more of it is taken from the dead. */
        const bool room = receive_has_room(), open = room && nclients < MAX_CLIENTS;
        const int wait = !room               ? ROOM_MS
                         : nclients || !open ? CLIENT_MS
                         : nservices         ? -1
                                             : deadline_left(&s->idle);

        if (wait == 0)
            return 0;
        s->poll[n++] = (struct pollfd){.fd = open ? s->listener : -1, .events = POLLIN};
        for (size_t i = 0; i < nclients; i++)
            s->poll[n++] = (struct pollfd){.fd = room ? s->clients[i].fd : -1, .events = POLLIN};
        for (size_t i = 0; i < nservices; i++)
            s->poll[n++] =
                (struct pollfd){.fd = room ? s->services[i].port : -1}; /* hang-up only */
        if (poll(s->poll, n, wait) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        bury_dead(s, 1 + nclients, nservices);
        work(s, nclients);
    }
    return 0;
}

/* Leaves the caller's session, terminal, directory and descriptors. In the server: 0, and *tell is
 * where to report that it listens. In the process that returns to the caller: 1, once the server
 * has reported, or there is none; its report, or why, in *rc. */
static int detach(int *tell, int *rc)
{
    int report[2], null;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC)) {
        *rc = -errno;
        return 1;
    }
    pid = fork();
    if (pid) {
        close(report[1]);
        if (pid < 0 || read(report[0], rc, sizeof *rc) != sizeof *rc)
            *rc = pid < 0 ? -errno : -ECHILD;
        close(report[0]);
        return 1;
    }
    close(report[0]);
    *tell = report[1];
    setsid();
    null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    return 0;
}

static void set_signals(void)
{
    stopped = 0;
    signal(SIGHUP, SIG_IGN);
    signals_catch(on_stop);
}

int nameserver_run(const struct nameserver_options *opt, void (*ready)(const char *socket))
{
    struct server s = {.listener = -1, .lock = -1, .idle_ms = opt->idle_ms};
    int rc = 0, tell = -1;

    /* Before anything is opened: whoever asks the socket for its owner is told who listened. */
    if (!opt->foreground && detach(&tell, &rc) != 0)
        return rc;
    raise_descriptors(); /* each service holds one */
    s.services = calloc(MAX_SERVICES, sizeof *s.services);
    s.poll = calloc(1 + MAX_CLIENTS + MAX_SERVICES, sizeof *s.poll);
    rc = s.services && s.poll ? listen_at(&s, opt->socket) : -ENOMEM;
    if (rc == 0)
        set_signals(); /* before anybody is told whom they may stop */
    if (tell >= 0) {
        (void)!write(tell, &rc, sizeof rc);
        close(tell);
    }
    if (rc == 0 && ready)
        ready(opt->socket);
    if (rc == 0) {
        if (!opt->foreground && *opt->socket == '/')
            (void)!chdir("/"); /* if not, a directory stays busy; no reason not to serve */
        rc = serve_all(&s);
        remove_socket(opt->socket); /* before the lock goes: the next server's socket is not ours */
    }
    if (s.lock >= 0)
        close(s.lock);
    free(s.services);
    free(s.poll);
    if (!opt->foreground)
        _exit(rc ? 4 : 0); /* nobody is there to return to */
    return rc;
}
