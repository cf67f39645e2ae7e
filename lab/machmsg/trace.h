/* trace: what really happened to each descriptor of a message.
 *
 * The descriptor that arrives says what the sender asked for, whatever was done. A program that
 * wants to know registers a function; it is called once per descriptor of every message that was
 * sent or received, by the thread that did it, after it succeeded. Beside it what else is not part
 * of Mach: moving memory, and the policy's name. */
#pragma once

#include <stdint.h>
#include <sys/cdefs.h>

__BEGIN_DECLS

enum machmsg_event { MACHMSG_SENT = 1, MACHMSG_RECEIVED = 2 };

struct machmsg_transfer {
    enum machmsg_event event;
    int32_t message_id;
    unsigned int descriptor; /* index in the message, from 0 */
    const char *kind;        /* "port", "ool", "ool_ports", "ool_volatile" */
    const char *asked;       /* "virtual", "physical"; ports: NULL */
    const char *arrived;     /* what the received descriptor says; NULL when sent, and for ports */
    const char *done;        /* "shared", "moved", "copied" or "null"; ports: "moved", "copied",
                                "made", or "null"; for a received one as the sender said */
    const char *why;         /* the rule that decided; for a received one as the sender said */
    int deallocate;          /* when sent: asked for; when received: as it arrived; -1: ports */
    uint64_t size;           /* bytes; rights for port kinds */
    /* When sent: the object that carries the memory, valid during the call only (dup it to go on
     * looking at it, for example through /proc/PID/fd). -1: none. */
    int fd;
    uint64_t address; /* of the memory: the sender's, or where it arrived; 0 for ports */
};

typedef void machmsg_trace_fn(void *arg, const struct machmsg_transfer *t);

/* fn NULL: no more. The function must not send or receive. */
void machmsg_trace(machmsg_trace_fn *fn, void *arg);

/* Moves memory as mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) does, so that it
 * stays the layer's: a plain mremap leaves the layer with the address that it gave. 0 or a negative
 * errno. */
int machmsg_move(uint64_t from, uint64_t to, uint64_t size);

/* "xnu" (the default) or "native" (COWLAB_MACH_POLICY=native). */
const char *machmsg_policy(void);

__END_DECLS
