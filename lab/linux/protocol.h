/* protocol: what lab and actor say to each other, over one SOCK_SEQPACKET socket per actor.
 *
 * The lab sends one actor_request and waits, with a deadline, for the actor_reply of the same
 * sequence number; before it may come any number of replies marked `progress`. Both ends are the
 * same build of cowlab on one machine: plain structs, checked by size and magic.
 * An actor that reads end of file exits at once. */
#pragma once

#include "lab/actions.h"
#include "probes/histogram.h"
#include <stdint.h>

#define ACTOR_MAGIC 0x43574c37u /* "CWL7": changes with the layout */
#define ACTOR_TEXT 1024
#define ACTOR_PARTS 16

/* One descriptor of a message to send. Region ranges are absolute addresses. */
struct actor_part {
    uint32_t kind; /* enum part_kind of lab/actions.h */
    uint32_t physical, deallocate;
    int32_t disposition;
    uint64_t start, len; /* OOL; len: rights of an OOL-ports array */
};

/* Requests beyond the actions of a scenario. */
enum { ACTOR_HELLO = 1000 };

struct actor_request {
    uint32_t magic;
    uint32_t op; /* enum action, or ACTOR_HELLO */
    uint64_t seq;
    uint64_t start, len;           /* bytes; map: len alone */
    uint64_t sent_start, sent_len; /* read: of a received region, the bytes that were sent; or 0 */
    struct page_select select;
    uint64_t origin, reach; /* read, write: struct step's */
    uint32_t letter;        /* stamp; 0: write without a letter, read without a check */
    uint32_t kind;          /* enum map_kind */
    uint32_t inherit, advice;
    int32_t protection;
    int32_t status; /* exit */
    int32_t pid;    /* wait; hand_over, take: the other side */
    uint32_t lock;
    uint32_t physical, deallocate; /* ool_send */
    uint32_t want_reply;
    int32_t message_id;
    int64_t timeout_ms;  /* snapshot: until it is given up */
    uint32_t way;        /* hand_over, take: enum way; snapshot: enum snapshot_way */
    uint32_t used;       /* take: into the region at start */
    uint32_t huge;       /* take: fresh memory is advised to have huge pages */
    uint64_t peer_start; /* where the other side's memory is, of process `pid` */
    uint32_t latency;    /* write, read: each touch is timed */
    uint64_t rate, seed;
    int64_t lead_ms;
    int32_t cpu;        /* snapshot: for the writer; -1: the actor's own */
    uint64_t huge_size; /* bytes of a huge page, for alignment; 0 unknown */
    char to[64];        /* name of the receiving actor's port */
    char path[256];     /* map file-private: the directory for the file; hand_over, take by
                            posix_shm: the name of the object */
    uint32_t has_text;
    char text[ACTOR_TEXT];
    uint32_t nparts;
    struct actor_part parts[ACTOR_PARTS];
    /* One descriptor may travel as SCM_RIGHTS: fork: the child's control socket; hand_over, take:
     * an end of the stream, or the memory object */
};

/* What became of one descriptor: the message layer's own record (lab/machmsg/trace.h), texts as
 * there, "" for none. */
struct actor_transfer {
    char kind[16], asked[12], received[12], done[12];
    int32_t deallocate;  /* 0, 1; -1 does not apply */
    uint64_t size;       /* bytes; rights for port kinds */
    uint64_t address;    /* where it is: the sender's, or where it arrived */
    uint32_t has_object; /* sending: its memory object's descriptor comes with the reply */
    char why[200];
};

/* How long touches took: comes with the reply as a memory object. Of a write or read the first part
 * alone; of a snapshot each touch is in a part for the touch itself and in one that counts from
 * when it was due. */
enum { TIMES_TOUCH, TIMES_DUE, TIMES_DURING_TOUCH, TIMES_DURING_DUE, TIMES__COUNT };

struct touch_times {
    uint64_t gap_ns; /* the longest pause between two touches; 0 with less than two */
    struct histogram times;
};

struct actor_times {
    uint32_t magic;
    uint64_t cost_ns;  /* what timing a touch takes beside it */
    uint64_t empty_ns; /* ... and how long a touch of nothing seems to take: in each time */
    struct touch_times of[TIMES__COUNT];
};

/* What became of a snapshot. */
struct actor_snapshot {
    uint64_t still_ns;   /* longest time around the taking in which the writer had to write and did
                            not end a write */
    uint64_t take_ns;    /* the call, copy, ... that takes it */
    uint64_t readout_ns; /* from then on until all of the copy was read */
    uint64_t torn;       /* pages that belong to another moment than the others */
    uint64_t copied;     /* pages that were copied because of it, until it was read */
    uint32_t concluded;  /* ... by the kernel: they follow from which pages were written */
    uint64_t notes;      /* bytes of memory that measuring takes, and that are not the way's */
    uint32_t cpus;       /* that writer and reader run on: 1, 2 */
    char how[12];        /* ool_virtual: as actor_transfer.done; else "" */
};

/* actor_reply.progress: messages before the answer. */
#define ACTOR_UNDER_WAY 1   /* done of total pages so far */
#define ACTOR_DESCRIPTORS 2 /* only carries the descriptors of the answer */
#define ACTOR_READY 3       /* take from a stream: now the other side may begin */

struct actor_reply {
    uint32_t magic;
    uint32_t op;
    uint64_t seq;
    uint32_t progress; /* 0: the answer; else one of the above */
    uint64_t done, total;
    int32_t error;       /* errno of the failure, 0 success */
    char message[256];   /* what failed, without the reason of errno */
    int32_t pid;         /* hello; fork: the child's */
    uint64_t start, len; /* map, move, ool_receive: where the region is now, in whole pages */
    uint64_t sent_start, sent_len; /* ool_receive: the bytes that arrived in it */
    uint64_t began_ns, dur_ns;     /* of the action alone, by CLOCK_MONOTONIC */
    uint64_t cpu_ns;               /* CPU time of the process within it; 0: not measured */
    uint64_t minflt, majflt;       /* taken within the action */
    uint64_t touched;              /* pages written or read */
    uint64_t checked, wrong;       /* stamps compared, and how many were not as expected */
    uint64_t first_wrong;          /* page index */
    uint32_t found_letter;         /* on the first wrong page; 0: no stamp there */
    uint64_t beside;      /* read: bytes in pages of a received region that were not sent */
    uint64_t stray;       /* ... and are not zero */
    int32_t status;       /* wait: wait status of the child */
    uint32_t has_message; /* receive: the fields below */
    int32_t message_id;
    uint64_t message_size;
    int32_t descriptors;
    int32_t reply_sent;
    int32_t timed_out;
    uint32_t has_text;
    char text[ACTOR_TEXT];
    uint32_t ntransfers;
    struct actor_transfer transfers[ACTOR_PARTS];
    uint32_t has_times; /* an actor_times comes in the message before the answer */
    struct actor_snapshot snapshot;
    /* sending, handing over: descriptors of the memory objects that it carries travel as SCM_RIGHTS
     * in a message before the answer, in the order of the transfers that have one: when the answer
     * is there the actor holds none of them any more, or it would be seen as an owner */
};
