/* nameserver: services by name for the programs of one user (protocol.h). A lock file beside the
 * socket makes one server of many that start at once; who holds it replaces a stale socket. Ends
 * when nothing is registered and nobody asks for a while. */
#pragma once

#include "lab/machmsg/names/protocol.h"

#define NAMESERVER_IDLE_MS 10000

struct nameserver_options {
    const char *socket; /* its path; the directory exists */
    bool foreground;    /* stay a child of the caller */
    int idle_ms;        /* end after so long without use; < 0: never */
};

/* Serves until it is told to stop (SIGTERM, SIGINT) or is not used any more. ready is called once
 * it listens (may be NULL). Not in the foreground: returns at once, and a process of its own
 * serves. Returns 0; -EALREADY if another server has the lock; or a negative errno. Who has served
 * must end then: its sockets stay open, because closing one may wait for what a peer put into it,
 * and the end of a process does not. */
int nameserver_run(const struct nameserver_options *opt, void (*ready)(const char *socket));
