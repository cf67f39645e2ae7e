/* bootstrap: the client's side of the name server, and starting one.
 *
 * A program that is linked with the library alone has to find a server to start. In this order:
 * the program that $COWLAB_NAMESERVER names; cowlab-nameserver beside the running program; the
 * running program itself, executed anew with a mark in its environment that a constructor here
 * looks for: it then serves instead of running main(). So a server can always be started, in an
 * address space of its own, whatever threads or memory the program has. */
#include "lab/machmsg/names/nameserver.h"
#include "lab/machmsg/names/spawn.h"
#include "lab/machmsg/ports/deadline.h"
#include "lab/machmsg/ports/port.h"
#include "probes/receive.h"
#include "probes/signals.h"
#include <errno.h>
#include <mach/mach_error.h>
#include <mach/mach_init.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK "COWLAB_SERVE_NAMES"

static const struct timespec pause_between = {.tv_nsec = 5 * 1000 * 1000};

__attribute__((constructor(103))) static void serve_instead(void)
{
    const char *path = secure_getenv(MARK);
    struct nameserver_options opt = {.socket = path, .idle_ms = NAMESERVER_IDLE_MS};
    int rc;

    if (!path)
        return;
    /* The socket and the lock are opened after this: nothing else of the caller's stays open. */
    closefrom(3);
    signals_begin();
    rc = nameserver_run(&opt, NULL);
    _exit(rc == -EALREADY ? 0 : -rc);
}

/* 0 or a negative errno. */
static int start_one(const char *socket)
{
    const char *named = secure_getenv("COWLAB_NAMESERVER");
    char *argv[] = {"cowlab-nameserver", "--socket", (char *)socket, NULL};
    char self[4096], beside[4200];
    ssize_t n;
    char *slash;
    int rc;

    if (named && *named) {
        rc = spawn_detached(named, argv, NULL, "", -1);
        return rc > 0 ? -ECHILD : rc;
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    slash = strrchr(self, '/');
    snprintf(beside, sizeof beside, "%.*s/cowlab-nameserver", slash ? (int)(slash - self) : 0,
             self);
    if (access(beside, X_OK) == 0 && spawn_detached(beside, argv, NULL, "", -1) == 0)
        return 0;
    argv[1] = NULL;
    rc = spawn_detached(NULL, argv, MARK, socket, -1);
    return rc > 0 ? -rc : rc;
}

/* Whoever set COWLAB_BOOTSTRAP_WAIT starts a server itself, which may not listen yet. */
static int start_server(const char *socket)
{
    return secure_getenv("COWLAB_BOOTSTRAP_WAIT") ? 0 : start_one(socket);
}

/* One request over a connection of its own. port goes along (-1: none); *back takes what came
 * (-1: nothing). A negative errno if there was no answer. */
static int exchange(int fd, const struct nameserver_request *q, int port,
                    const struct deadline *until, struct nameserver_reply *r, int *back)
{
    ssize_t n = nameserver_send(fd, q, sizeof *q, port);

    *back = -1;
    if (n < 0)
        return (int)n;
    if (deadline_poll(until, fd, POLLIN) != 1)
        return -ETIMEDOUT;
    /* The request was carried out: its answer is waited for, not asked for again. */
    while ((n = nameserver_receive(fd, r, sizeof *r, back)) == -ENOBUFS && deadline_left(until) > 0)
        nanosleep(&pause_between, NULL);
    if (n == sizeof *r && r->magic == NAMESERVER_MAGIC)
        return 0;
    receive_drop(*back);
    return n < 0 ? (int)n : -ECONNRESET;
}

/* Says once in a program's life why there is no name server for it. */
static kern_return_t no_server(const char *path, int rc)
{
    static bool told;
    char text[4400];

    snprintf(text, sizeof text, "cowlab: no name server at '%s': %s", path, strerror(-rc));
    if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
        mach_error(text, BOOTSTRAP_NOT_PRIVILEGED);
    return BOOTSTRAP_NOT_PRIVILEGED;
}

/* Asks the server, starting one if there is none. */
static kern_return_t ask(enum nameserver_op op, const char *name, int port, int *back)
{
    struct nameserver_request q = {.magic = NAMESERVER_MAGIC, .op = op};
    const struct deadline until = deadline_in(true, NAMESERVER_PATIENCE_MS);
    struct nameserver_reply r;
    char path[4200];
    int rc = nameserver_path(path, sizeof path);

    if (rc)
        return no_server(path, rc);
    if (strlen(name) >= sizeof q.name || !*name)
        return BOOTSTRAP_UNKNOWN_SERVICE;
    strcpy(q.name, name);
    do {
        int fd = nameserver_connect(path);

        if (fd >= 0) {
            /* Somebody else's socket at that place is told nothing. */
            rc = nameserver_same_user(fd) ? exchange(fd, &q, port, &until, &r, back) : -EPERM;
            receive_drop(fd);
            if (rc == 0 || rc == -EMFILE)
                return rc ? BOOTSTRAP_NO_MEMORY : r.code;
            if (rc == -EPERM || rc == -ETIMEDOUT || rc == -EPROTO)
                break;
        } else {
            const bool none = fd == -ENOENT || fd == -ECONNREFUSED;

            rc = none ? start_server(path) : fd;
            if (rc != 0 && rc != -EAGAIN && rc != -EINTR)
                break;
            rc = fd == -EAGAIN ? -ETIMEDOUT : fd;
        }
        /* It ended just then, or another program is starting one. */
        nanosleep(&pause_between, NULL);
    } while (deadline_left(&until) > 0);
    return no_server(path, rc);
}

/* Only the name server itself answers these calls. */
static kern_return_t check_bootstrap(mach_port_t bp, const char *name)
{
    if (bp != NAME_BOOTSTRAP)
        return MACH_SEND_INVALID_DEST;
    return name ? KERN_SUCCESS : KERN_INVALID_ARGUMENT;
}

/* A descriptor of the port's sending end, or -1. right: what the name must hold. */
static int sending_end(mach_port_t name, mach_port_type_t right)
{
    struct entry *e;
    int s = -1;

    space_lock();
    e = space_find(name);
    if (e && e->port && (e->type & right))
        s = dup(e->port->s);
    space_unlock();
    return s;
}

kern_return_t bootstrap_register(mach_port_t bp, const char *service_name, mach_port_t service_port)
{
    kern_return_t kr = check_bootstrap(bp, service_name);
    int s = -1, back = -1;

    if (kr != KERN_SUCCESS)
        return kr;
    if (service_port == MACH_PORT_NULL)
        return ask(NS_UNREGISTER, service_name, -1, &back);
    s = sending_end(service_port, MACH_PORT_TYPE_SEND);
    if (s < 0)
        return MACH_SEND_INVALID_RIGHT;
    kr = ask(NS_REGISTER, service_name, s, &back);
    close(s);
    return kr;
}

kern_return_t bootstrap_check_in(mach_port_t bp, const char *service_name,
                                 mach_port_t *service_port)
{
    kern_return_t kr = check_bootstrap(bp, service_name);
    mach_port_t port;
    int s, back = -1;

    if (kr == KERN_SUCCESS)
        kr = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
    if (kr != KERN_SUCCESS)
        return kr;
    s = sending_end(port, MACH_PORT_TYPE_RECEIVE);
    kr = s < 0 ? BOOTSTRAP_NO_MEMORY : ask(NS_CHECK_IN, service_name, s, &back);
    if (s >= 0)
        close(s);
    if (kr == BOOTSTRAP_SUCCESS)
        *service_port = port;
    else
        mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
    return kr;
}

kern_return_t bootstrap_look_up(mach_port_t bp, const char *service_name, mach_port_t *service_port)
{
    kern_return_t kr = check_bootstrap(bp, service_name);
    struct mport *p;
    int back = -1;

    if (kr == KERN_SUCCESS)
        kr = ask(NS_LOOK_UP, service_name, -1, &back);
    if (kr != BOOTSTRAP_SUCCESS)
        return kr;
    if (back < 0)
        return BOOTSTRAP_NO_MEMORY; /* the server had no room for what goes with its answer */
    space_lock();
    if (mport_import(&p, back) || port_add_send(p, service_port))
        kr = BOOTSTRAP_NO_MEMORY;
    space_unlock();
    return kr;
}

kern_return_t bootstrap_status(mach_port_t bp, const char *service_name, boolean_t *active)
{
    kern_return_t kr = check_bootstrap(bp, service_name);
    int back = -1;

    if (kr == KERN_SUCCESS)
        kr = ask(NS_STATUS, service_name, -1, &back);
    if (kr == BOOTSTRAP_SUCCESS || kr == BOOTSTRAP_UNKNOWN_SERVICE) {
        *active = kr == BOOTSTRAP_SUCCESS;
        kr = BOOTSTRAP_SUCCESS;
    }
    return kr;
}
