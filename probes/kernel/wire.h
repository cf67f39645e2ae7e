/* wire: what client and helper say to each other. Nothing but helper.c and serve.c includes this.
 *
 * One packet each way (SOCK_SEQPACKET keeps the borders), one request at a time. The memory is the
 * client's, a memfd of this size that is sealed against shrinking, so that no access to it can
 * fail; the client may write to it at any time. */
#pragma once

#include "probes/kernel/object.h"
#include <stdint.h>

/* Pages of a request: the price of a packet and a wake-up is spread over this many. */
#define WIRE_PAGES 16384
#define WIRE_BITS (WIRE_PAGES * 64ULL) /* pages of an object's request */

enum wire_call {
    WIRE_ATTACH = 1, /* pid: a number */
    WIRE_DETACH,     /* number */
    WIRE_READ,       /* number; n pages from first on: words */
    WIRE_COUNTS,     /* number; n pages[] with labels in words[]: answers in words[] */
    WIRE_FLAGS,
    WIRE_OBJECT /* pid, start, end; n pages from first on; 0: what it is */
};
#define WIRE_WITH_BITS 1 /* which pages: the resident ones in pages[], swapped in words[] */
#define WIRE_SWAP 2      /* as in object_residency */

struct wire_request {
    uint32_t call, flags;
    int32_t process; /* a pid, or a number */
    uint32_t unused;
    uint64_t start, end, first, n;
};

struct wire_answer {
    int64_t rc;
    uint64_t count;
    struct object_info info;
};

struct wire_memory {
    uint64_t pages[WIRE_PAGES], words[WIRE_PAGES];
};
