/* wire: how a Mach message looks on a socket, and the only code that believes a peer's bytes.
 *
 * Owns: the packet format. One message is one SEQPACKET packet:
 *
 *     struct wire_head | items | extra words | body           (payload = all after the head)
 *
 * The body is the message behind its header, with every name and address set to zero; what they
 * stood for is in the items, one per right and one per out-of-line range, in the order of the
 * descriptors. A payload above WIRE_INLINE_MAX travels in a sealed memory object. Descriptors
 * (sockets, memory objects) travel beside the packet and are counted in nfds; when they are more
 * than one packet can carry, a socket that holds the rest travels first.
 *
 * Promises: a packet that wire_decode() accepts is consistent: every length fits, every index is
 * in range, every descriptor of the body has its items, no descriptor number is used by two things
 * that each want to own it. Pure functions: no system calls, so that they can be fuzzed. */
#pragma once

#include <mach/message.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC 0x636d7731u
#define WIRE_INLINE_MAX 16384u    /* payload bytes in the packet itself */
#define WIRE_BODY_MAX (64u << 20) /* largest msgh_size */
#define WIRE_PORTS_MAX 16383u     /* rights in a body: Mach's limit */
#define WIRE_PACKET_FDS 253u      /* SCM_MAX_FD of Linux */
#define WIRE_FDS_MAX (4 * WIRE_PORTS_MAX)
#define WIRE_NONCES_MAX 65536u /* outstanding send-once rights of a port that moves */

/* Flags of a head. */
#define WIRE_TOKEN 1u /* the sender took a queue slot: the receiver gives it back */
#define WIRE_PAYLOAD_FD                                                                            \
    2u                 /* the payload is in a sealed object, first of the packet's descriptors */
#define WIRE_NESTED 4u /* next comes a socket whose packets bring the nfds descriptors */
#define WIRE_NUDGE 8u  /* no message: wakes a thread whose receive right is being moved */
#define WIRE_FLAGS 15u

enum wire_kind {
    WIRE_NULL = 0,
    WIRE_DEAD = 1,
    WIRE_SEND = 2,      /* fd: the port's sending end */
    WIRE_SEND_ONCE = 3, /* the same; value: the right's secret number, never 0 */
    WIRE_RECEIVE = 4,   /* fd, fd + 1: receiving and sending end; value: how many numbers of
                           outstanding send-once rights follow the port's state in the extras */
    WIRE_OOL_NULL = 5,  /* size 0: no memory */
    WIRE_OOL_ANON = 6,  /* fd: object whose bytes go into fresh anonymous memory; value: bytes */
    WIRE_OOL_MAP = 7,   /* fd: object to map copy-on-write; value: bytes */
    WIRE__KINDS
};

struct wire_item {
    uint8_t kind; /* enum wire_kind */
    uint8_t done; /* out of line: what the sender says was done (enum ool_done), for the record */
    uint8_t why;  /* and the rule that decided (enum ool_why) */
    uint8_t zero;
    uint32_t fd; /* index among the nfds */
    uint64_t value;
};

/* What travels of a port with its receive right: words in the extras, before the numbers. */
struct wire_port_state {
    uint32_t seqno, qlimit;
    uint32_t owed, mscount;
};
#define WIRE_PORT_WORDS 2u

struct wire_head {
    uint32_t magic, flags;
    uint32_t bits; /* MACH_MSGH_BITS_COMPLEX or 0 */
    uint32_t size; /* msgh_size */
    int32_t id;
    uint32_t nitems, nextra, nfds;
    uint64_t dest_nonce; /* send-once right that the message was sent to; 0: a send right */
    struct wire_item reply;
    uint64_t zero;
};

_Static_assert(sizeof(struct wire_item) == 16, "layout");
_Static_assert(sizeof(struct wire_head) == 64, "layout");
_Static_assert(sizeof(struct wire_port_state) == 8 * WIRE_PORT_WORDS, "layout");

/* A decoded message: pointers into the payload given to wire_decode_payload. */
struct wire_message {
    struct wire_head head;
    const struct wire_item *items;
    const uint64_t *extra;
    unsigned char *body; /* head.size - 24 bytes */
};

/* Bytes behind the head, for any head that wire_decode_head accepted. */
static inline size_t wire_payload_len(const struct wire_head *h)
{
    return (size_t)h->nitems * sizeof(struct wire_item) + (size_t)h->nextra * sizeof(uint64_t) +
           (h->size - sizeof(mach_msg_header_t));
}

/* 0, or -EBADMSG. */
int wire_decode_head(const void *packet, size_t len, struct wire_head *out);
/* payload must be aligned for uint64_t. 0, -EBADMSG, or -ENOMEM. */
int wire_decode_payload(const struct wire_head *h, void *payload, size_t len,
                        struct wire_message *out);

/* A walk over the descriptors of a body that begins with its count. The kinds differ in size, so
 * the walk alone knows where the next one stands. */
struct wire_walk {
    unsigned char *at, *end;
    uint32_t left; /* descriptors still to come */
};

/* 0, or -EBADMSG when not even the count fits. */
int wire_walk_begin(struct wire_walk *w, void *body, size_t len);
/* 1 with *d at the next descriptor and *type its kind; 0 at the end; -EBADMSG if it does not fit;
 * -EPROTONOSUPPORT for a kind that is not one of the four. */
int wire_walk_next(struct wire_walk *w, mach_msg_descriptor_t **d, unsigned int *type);
