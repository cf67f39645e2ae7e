/* guest: what the parts of the guest program share. In the order of reading: this, actions.h, then
 * actor.c and message.c (what a task does), run.h and controller.c (who has it done).
 *
 * One program, two roles. The controller is the task that the kernel boots: it sequences the
 * steps and observes; it is never an actor. Every actor is a task of its own, made by task_create
 * with inherited memory, of which the program is a part: its thread starts in actor_main and does
 * one command after the other.
 *
 * Address space of every task:
 *
 *      0x00400000  the program: text (inherited, read by all), then data (controller only)
 *      0x10000000  the plan (controller only)
 *      0x20000000  struct task_local, then the stack (a task's own)
 *    0x1000000000  named regions, 1 GiB or more apart, so that no two entries merge
 *
 * "Only" is made so with VM_INHERIT_NONE: an actor has no other memory than text, stack, regions.
 *
 * Nothing here uses a C library, floating point or memory allocation. */
#pragma once

#include "lab/gnumach/protocol.h"
#include <mach/kern_return.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/port.h>
#include <stddef.h>

#define PAGE GUEST_PAGE_SIZE
#define LOCAL_ADDRESS 0x20000000UL
#define STACK_BYTES 0xc000UL
#define STACK_TOP (LOCAL_ADDRESS + STACK_BYTES)
#define REGION_ADDRESS 0x1000000000UL
#define REGION_GAP 0x40000000UL

/* What a task knows about itself; at LOCAL_ADDRESS, so that no inherited page is written. */
struct task_local {
    mach_port_t reply_port; /* for the generated stubs */
    mach_port_t answer_to;  /* actor: reply right of the message received last */
};
#define local ((struct task_local *)LOCAL_ADDRESS)

/* Names that the controller gives to rights in an actor's port space. */
#define NAME_COMMAND 0x8001u /* receive: commands from the controller */
#define NAME_CONTROL 0x8002u /* send: answers to it */
#define NAME_DATA 0x8003u    /* receive: messages from other actors */
#define NAME_PEER 0x8100u    /* + actor: send right to its data port */

/* A command to an actor, and its answer. Everything the actor needs: it keeps no tables. */
struct command {
    uint64_t address, bytes; /* of the region */
    uint32_t touched, pad;   /* the region was read, written or received before */
    struct guest_step step;  /* action 0: only answer */
    struct guest_part parts[GUEST_MAX_PARTS];
    uint64_t part_address[GUEST_MAX_PARTS], part_bytes[GUEST_MAX_PARTS];
    char text[GUEST_MAX_TEXT];
};

struct descriptor_seen {
    uint32_t kind, is_inline, deallocate, name;
    uint64_t bytes, number, address;
};

struct answer {
    int32_t rc; /* kern_return_t or mach_msg_return_t of the action */
    int32_t id; /* of a received message */
    uint64_t start_tsc, end_tsc;
    uint64_t checked, bad, first_bad, found;
    uint64_t before_bytes, before_nonzero, after_bytes, after_nonzero;
    uint32_t message_bytes, ndescriptors, text_bytes;
    uint32_t got_message, sent;
    uint32_t last;     /* the actor ends when it has answered */
    mach_port_t child; /* fork: its task, in the actor's names; the controller's come with it */
    struct descriptor_seen descriptors[GUEST_MAX_PARTS];
    char text[GUEST_MAX_TEXT];
};

/* Both travel inline, as bytes; a fork's answer carries the child's task port as well. */
struct command_message {
    mach_msg_header_t head;
    mach_msg_type_t type;
    struct command body;
};

struct answer_message {
    mach_msg_header_t head;
    mach_msg_type_t type;
    struct answer body;
    mach_msg_type_t port_type;
    mach_port_name_inlined_t port;
};

/* Makes a call of Mach, and notes in the answer when it began and ended. */
#define TIMED(a, call)                                                                             \
    ((a)->start_tsc = read_tsc(), (a)->rc = (call), (a)->end_tsc = read_tsc(), (a)->rc)

/* message.c: items of typed messages */
mach_msg_type_t type_bytes(size_t n);
mach_msg_type_t type_port(unsigned disposition);

/* lib.c */
void *memset(void *to, int c, size_t n);
size_t text_length(const char *s);
static inline uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
kern_return_t syscall_vm_allocate(mach_port_t task, vm_address_t *address, vm_size_t size,
                                  boolean_t anywhere);
mach_port_t mach_reply_port(void);
mach_port_t mach_task_self(void);
mach_port_t mach_thread_self(void);
mach_port_t mach_host_self(void);
void mach_print(const char *text);
void port_release(mach_port_t name);

/* record.c: the lines that the host reads. A record is begun, gets fields, is ended. */
void record_nonce(uint64_t nonce);
void record_begin(char letter);
void record_numbers(const char *form, const uint64_t *n);
void record_text(const char *text, size_t n);
void record_end(void);
size_t record_room(void); /* bytes that still fit into this line */
/* Fields by their form, a letter each: u a number, x a hex one, i one with a sign. */
#define RECORD_FIELDS(form, ...)                                                                   \
    do {                                                                                           \
        const uint64_t fields_[] = {__VA_ARGS__};                                                  \
        _Static_assert(sizeof form - 1 == sizeof fields_ / sizeof *fields_, "a letter a field");   \
        record_numbers(form, fields_);                                                             \
    } while (0)
/* A record of numbers alone. */
#define RECORD(letter, form, ...)                                                                  \
    do {                                                                                           \
        record_begin(letter);                                                                      \
        RECORD_FIELDS(form, __VA_ARGS__);                                                          \
        record_end();                                                                              \
    } while (0)

/* clock.c: nanoseconds since boot, from the processor's counter, whose rate was measured once
 * against the kernel's clock. */
void clock_start(void);
uint64_t clock_ns(uint64_t tsc);
uint64_t clock_khz(void);

/* actor.c: where an actor's thread starts, with nothing to return to. */
void actor_main(void);

/* controller.c */
void controller_main(const uintptr_t *stack);
