/* nameserver: services by name for the programs of one user.
 *
 * A socket in a directory that only the user can enter; both sides check that the other is the
 * same user. One request and one answer per connection; the send right, as in a message, is the
 * sending end of the port's socket pair. A lock file beside the socket makes one server of many
 * that start at once; who holds it replaces a stale socket. Ends when nothing is registered and
 * nobody asks for a while. */
#ifndef LAB_MACHMSG_NAMES_NAMESERVER_H
#define LAB_MACHMSG_NAMES_NAMESERVER_H

#include <servers/bootstrap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMESERVER_MAGIC 0x636d6e31u
#define NAMESERVER_IDLE_MS 10000

enum nameserver_op { NS_REGISTER = 1, NS_CHECK_IN, NS_LOOK_UP, NS_UNREGISTER, NS_STATUS };

struct nameserver_request {
    uint32_t magic;
    uint32_t op;                       /* enum nameserver_op */
    char name[BOOTSTRAP_MAX_NAME_LEN]; /* NUL-terminated */
};

struct nameserver_reply {
    uint32_t magic;
    int32_t code; /* BOOTSTRAP_* */
};

struct nameserver_options {
    const char *socket; /* its path; the directory exists */
    bool foreground;    /* stay a child of the caller */
    int idle_ms;        /* end after so long without use; < 0: never */
};

/* Where the server of this user is: $COWLAB_BOOTSTRAP, or a path in a private directory that is
 * made if need be. 0 or a negative errno: -EPERM if the directory is not the user's alone. */
int nameserver_path(char *path, size_t size);

/* Serves until it is told to stop (SIGTERM, SIGINT) or is not used any more. ready is called once
 * it listens (may be NULL). Not in the foreground: returns at once, and a process of its own
 * serves. Returns 0; -EALREADY if another server has the lock; or a negative errno. */
int nameserver_run(const struct nameserver_options *opt, void (*ready)(const char *socket));

/* A connected or listening socket of that path, which may be longer than an address can hold. */
int nameserver_connect(const char *path);

/* Is the process at the other end the same user? */
bool nameserver_same_user(int fd);

#endif
