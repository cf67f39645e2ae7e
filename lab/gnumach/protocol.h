/* protocol: what goes into the guest and what comes out, shared by host and guest.
 *
 * In the order of reading: this; guest/guest.h (what runs in the machine); backend.c (when);
 * host/blob.h (what goes in); host/machine.h, host/records.h, host/snapshot.h and host/reading.h
 * (what comes out).
 *
 * In: one plan for all runs of a command, appended to the guest's program file as its last
 * segment: struct guest_plan, then the tables it counts, in the order in which it counts them,
 * then the text that offsets point into.
 *
 * Out: lines on the serial console. A record is one line:
 *
 *     @NONCE SEQ LENGTH CRC PAYLOAD
 *
 * NONCE the plan's, 16 hex digits; SEQ counts from 0 without gaps; LENGTH of PAYLOAD in bytes;
 * CRC-32 (reflected 0xedb88320) of "SEQ PAYLOAD" in 8 hex digits. PAYLOAD is a letter and its
 * fields, separated by single spaces; numbers are decimal, or hex where a field's name begins
 * with x; text is %-escaped. Anything else on the console is the kernel's chatter.
 *
 *   H version page_size memory_bytes t_ns tsc_khz kernel         once, first
 *   B run                                                        a run begins, its roots exist;
 *                                                                an observation follows, as step 0
 *   S step rc start_ns dur_ns sent bytes                         a step's action was done; sent: a
 *                                                                message of so many bytes left
 *   M id size descriptors text|-                                 ... received a message
 *   V descriptor kind inline deallocate name bytes number        ... one descriptor of it
 *   C slot checked bad first_bad found                           ... stamps that read compared
 *   G slot before_bytes before_nonzero after_bytes after_nonzero ... bytes around a received range
 *   T actor virtual resident faults zero_fills cow_faults sent received   a live task
 *   R actor slot xaddress bytes                                  a named region of a task
 *   E actor xstart xend prot maxprot inherit needs_copy object offset      an entry of its map
 *   F from to slot offset_bytes bytes                            memory in transit in a message
 *   I object offset bytes                                        ... and the object it is part of
 *   O object size_pages refs resident xshadow shadow_offset copy state     an object
 *   P object first count xframe step ...                         its resident pages, in runs
 *   U object rc                                                  its pages cannot be listed
 *   Y free active inactive wire zero_fills faults cow_faults     vm_statistics
 *   Z run step t_ns look_ns                                      the step's observation is whole
 *   W run step seconds                                           still at work on this step
 *   X run step rc what                                           the run failed and is over
 *   D run                                                        the run is over
 *   Q status                                                     once, last: 0 when all went well
 *
 * offset and size of objects, first and count of pages are in pages, free .. wire too. object and
 * shadow are names that the host numbers; they say nothing outside one boot. refs is without the
 * reference that asking takes. In P, page first+i has frame xframe + i*step (in frames). */
#pragma once

#include "lab/actions.h"
#include <stdint.h>

#define GUEST_MAGIC 0x6e616c706c776f63ULL /* "cowlplan" */
#define GUEST_VERSION 2u
#define GUEST_PLAN_ADDRESS 0x10000000ULL /* where the last segment is mapped */
#define GUEST_PAGE_SIZE 4096ULL
#define GUEST_MAX_ACTORS 64u
#define GUEST_MAX_PARTS 32u
#define GUEST_MAX_TEXT 2048u  /* inline text of one message */
#define GUEST_MAX_RIGHTS 512u /* of one array in a message */
#define GUEST_NONE (-1)
#define GUEST_REST (~0ULL) /* all of the region from the offset on */

struct guest_plan {
    uint64_t magic;
    uint64_t nonce;
    uint32_t version;
    uint32_t bytes; /* of everything, this struct too */
    uint32_t nruns, nsteps, nparts, text_bytes;
    uint32_t deadline_ms; /* per step */
    uint32_t pad;
};

struct guest_run {
    uint32_t first_step, nsteps;
    uint32_t nactors, nslots; /* slot: one region of one case, in whichever actor has it */
    uint64_t roots;           /* bit per actor that exists when the run begins */
};

struct guest_step {
    uint32_t number; /* in the scenario, from 1 */
    uint32_t action; /* enum action */
    int32_t actor;   /* GUEST_NONE: none */
    int32_t other;   /* fork: the child; send, ool_send: the receiver; wait: the child */
    int32_t slot;
    uint32_t kind;  /* enum map_kind */
    uint64_t bytes; /* map; ool_send: or GUEST_REST */
    uint64_t offset_bytes;
    struct page_select select;
    uint64_t origin; /* write, read: struct step's */
    uint32_t stamp;  /* the letter, 0: none */
    uint32_t inherit, protection, deallocate;
    int32_t status, timeout_ms; /* timeout: -1 none */
    int32_t message_id;
    uint32_t want_reply, expect_timeout;
    uint32_t text, text_bytes; /* offset in the text */
    uint32_t first_part, nparts;
    uint32_t pad;
};

/* A port right, out-of-line range or array of rights in a message. */
struct guest_part {
    uint32_t kind; /* enum part_kind */
    int32_t slot;
    uint32_t disposition, deallocate;
    uint64_t count; /* rights of an array */
};

/* CRC-32 of IEEE 802.3, reflected, half a byte at a time; start with 0, feed in pieces. */
static inline uint32_t guest_crc32(uint32_t crc, const void *data, unsigned long n)
{
    static const uint32_t half[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                      0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                      0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *p = (const unsigned char *)data;
    crc = ~crc;
    while (n--) {
        crc ^= *p++;
        crc = (crc >> 4) ^ half[crc & 15];
        crc = (crc >> 4) ^ half[crc & 15];
    }
    return ~crc;
}
