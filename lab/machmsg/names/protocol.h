/* protocol: what the name server and its clients say to each other, and where.
 *
 * A socket in a directory that only the user can enter; both sides check that the other is the
 * same user. One request and one answer per connection; the send right, as in a message, is the
 * sending end of the port's socket pair. */
#pragma once

#include <servers/bootstrap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NAMESERVER_MAGIC 0x636d6e31u

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

/* Where the server of this user is: $COWLAB_BOOTSTRAP, or in a directory of the user's alone,
 * which is made if need be: cowlab/ in $XDG_RUNTIME_DIR or /run/user/UID; else, in /tmp, /dev/shm
 * or $HOME, cowlab-UID or, where somebody else has that name, one that nobody can guess. 0, or a
 * negative errno and in path the place that it is about. */
int nameserver_path(char *path, size_t size);

/* A socket connected to that path, which may be longer than an address can hold; or one bound to
 * it. A negative errno; -EAGAIN: nobody there accepted in time. */
#define NAMESERVER_PATIENCE_MS 5000 /* of a client: for a server to start and to answer */
int nameserver_connect(const char *path);
int nameserver_bind(const char *path);

/* Is the process at the other end the same user? */
bool nameserver_same_user(int fd);

/* One packet, with the sending end of a port (-1: none), without waiting. Its length, or a negative
 * errno: -EPROTO if it is longer, or brought anything else (drop *port all the same); -EMFILE if
 * this process has no room for what it brought; -ENOBUFS: see receive.h. */
ssize_t nameserver_send(int fd, const void *from, size_t n, int port);
ssize_t nameserver_receive(int fd, void *to, size_t n, int *port);
