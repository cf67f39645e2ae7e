/* What an actor does with Mach messages, through lab/machmsg only: ordinary mach_msg calls, so that
 * the scenarios exercise what programs use. Each actor has one receive right, registered with the
 * run's name server under the actor's name. */
#include "lab/linux/actor/actor.h"

#include "lab/actions.h"
#include "lab/machmsg/trace.h"
#include <bootstrap.h>
#include <errno.h>
#include <fcntl.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_ID 1
#define DEFAULT_TIMEOUT_MS 10000
#define MAX_RIGHTS 1024

static mach_port_t own_port;    /* messages to this actor arrive here */
static mach_port_t last_remote; /* where `reply` goes; NULL: nobody waits */
static union {
    mach_msg_header_t header;
    char bytes[16384];
} buffer;
static mach_port_name_t rights[MAX_RIGHTS];

/* What Mach calls a shortage has a reason in Linux, which the layer leaves in errno. */
static bool is_shortage(kern_return_t kr)
{
    return kr == KERN_NO_SPACE || kr == KERN_RESOURCE_SHORTAGE || kr == MACH_SEND_NO_BUFFER ||
           (kr & MACH_MSG_MASK);
}

static int fail_mach(struct actor *a, kern_return_t kr, const char *what)
{
    int reason = is_shortage(kr) ? errno : 0;

    snprintf(a->out.message, sizeof a->out.message, "%s: %s (0x%x)", what, mach_error_string(kr),
             (unsigned)kr);
    a->out.error = reason ? reason : EPROTO;
    return -1;
}

static void put(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

/* The layer tells what it did with each descriptor; that goes into the reply. */
static void note_transfer(void *arg, const struct machmsg_transfer *t)
{
    struct actor *a = arg;
    struct actor_transfer *x;
    int fd;

    if (a->out.ntransfers == ACTOR_PARTS)
        return;
    x = &a->out.transfers[a->out.ntransfers++];
    put(x->kind, sizeof x->kind, t->kind);
    put(x->asked, sizeof x->asked, t->asked);
    put(x->received, sizeof x->received, t->arrived);
    put(x->done, sizeof x->done, t->done);
    put(x->why, sizeof x->why, t->why);
    x->deallocate = t->deallocate;
    x->size = t->size;
    x->address = t->address;
    if (t->event != MACHMSG_SENT || t->fd < 0 || a->nsend_fds == MAX_SENT_FDS)
        return;
    fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) {
        a->send_fds[a->nsend_fds++] = fd;
        x->has_object = 1;
    }
}

/* A message to itself is no transfer of the scenario's: only what was done is told. */
static void note_how(void *arg, const struct machmsg_transfer *t)
{
    struct actor *a = arg;

    put(a->out.snapshot.how, sizeof a->out.snapshot.how, t->done);
}

int actor_take_port(struct actor *a)
{
    kern_return_t kr;

    machmsg_trace(note_transfer, a);
    kr = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &own_port);
    if (kr == KERN_SUCCESS)
        kr = mach_port_insert_right(mach_task_self(), own_port, own_port, MACH_MSG_TYPE_MAKE_SEND);
    if (kr != KERN_SUCCESS)
        return fail_mach(a, kr, "cannot make a port");
    kr = bootstrap_register(bootstrap_port, a->in.to, own_port);
    return kr == KERN_SUCCESS ? 0 : fail_mach(a, kr, "cannot register the port");
}

/* Ends the measured part of an action. */
static int finish(struct actor *a, kern_return_t kr, const char *what)
{
    cost_end(a);
    return kr == KERN_SUCCESS ? 0 : fail_mach(a, kr, what);
}

int actor_mach_map(struct actor *a)
{
    int rc, flags = VM_FLAGS_ANYWHERE | (a->in.kind == MK_PURGEABLE ? VM_FLAGS_PURGABLE : 0);
    mach_vm_address_t at = 0;

    cost_begin(a);
    rc = finish(a, mach_vm_allocate(mach_task_self(), &at, a->in.len, flags), "cannot allocate");
    a->out.start = at;
    a->out.len = mach_vm_round_page(a->in.len);
    return rc;
}

int actor_mach_unmap(struct actor *a)
{
    cost_begin(a);
    return finish(a, mach_vm_deallocate(mach_task_self(), a->in.start, a->in.len),
                  "cannot deallocate");
}

int actor_mach_inherit(struct actor *a)
{
    cost_begin(a);
    return finish(a, mach_vm_inherit(mach_task_self(), a->in.start, a->in.len, a->in.inherit),
                  "cannot set the inheritance");
}

/* --- sending --- */

static mach_msg_type_name_t ool_copy(uint32_t physical)
{
    return physical ? MACH_MSG_PHYSICAL_COPY : MACH_MSG_VIRTUAL_COPY;
}

/* A right of the wanted disposition to a port of its own. MACH_PORT_NULL if that fails. */
static mach_port_t make_right(mach_msg_type_name_t disposition)
{
    mach_port_t port;

    if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port) != KERN_SUCCESS)
        return MACH_PORT_NULL;
    if (disposition == MACH_MSG_TYPE_COPY_SEND || disposition == MACH_MSG_TYPE_MOVE_SEND)
        mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND);
    return port;
}

/* Appends one descriptor at *at. */
static void put_part(char **at, const struct actor_part *p)
{
    if (p->kind == PART_PORT) {
        mach_msg_port_descriptor_t d = {.name = make_right((mach_msg_type_name_t)p->disposition),
                                        .disposition = (mach_msg_type_name_t)p->disposition,
                                        .type = MACH_MSG_PORT_DESCRIPTOR};

        memcpy(*at, &d, sizeof d);
        *at += sizeof d;
    } else if (p->kind == PART_OOL_PORTS) {
        mach_msg_ool_ports_descriptor_t d = {
            .address = rights,
            .count = (mach_msg_size_t)(p->len < MAX_RIGHTS ? p->len : MAX_RIGHTS),
            .copy = MACH_MSG_VIRTUAL_COPY,
            .disposition = (mach_msg_type_name_t)p->disposition,
            .type = MACH_MSG_OOL_PORTS_DESCRIPTOR};

        for (mach_msg_size_t i = 0; i < d.count; i++)
            rights[i] = make_right((mach_msg_type_name_t)p->disposition);
        memcpy(*at, &d, sizeof d);
        *at += sizeof d;
    } else {
        mach_msg_ool_descriptor_t d = {.address = (void *)(uintptr_t)p->start,
                                       .size = (mach_msg_size_t)p->len,
                                       .copy = (mach_msg_copy_options_t)ool_copy(p->physical),
                                       .deallocate = p->deallocate,
                                       .type = p->kind == PART_OOL_VOLATILE
                                                   ? MACH_MSG_OOL_VOLATILE_DESCRIPTOR
                                                   : MACH_MSG_OOL_DESCRIPTOR};

        memcpy(*at, &d, sizeof d);
        *at += sizeof d;
    }
}

/* header | body and descriptors, if any | text length and text, if any */
static mach_msg_size_t build(struct actor *a, mach_port_t to, mach_msg_bits_t disposition)
{
    mach_msg_header_t *h = &buffer.header;
    char *at = buffer.bytes + sizeof *h;

    memset(&buffer, 0, sizeof *h + sizeof(mach_msg_body_t));
    h->msgh_remote_port = to;
    h->msgh_bits = MACH_MSGH_BITS(disposition, 0);
    h->msgh_id = a->in.message_id;
    if (a->in.want_reply) {
        h->msgh_local_port = own_port;
        h->msgh_bits = MACH_MSGH_BITS(disposition, MACH_MSG_TYPE_MAKE_SEND_ONCE);
    }
    if (a->in.nparts) {
        mach_msg_body_t body = {a->in.nparts};

        h->msgh_bits |= MACH_MSGH_BITS_COMPLEX;
        memcpy(at, &body, sizeof body);
        at += sizeof body;
        for (uint32_t i = 0; i < a->in.nparts; i++)
            put_part(&at, &a->in.parts[i]);
    }
    if (a->in.has_text) {
        uint32_t length = (uint32_t)strnlen(a->in.text, ACTOR_TEXT);

        memcpy(at, &length, sizeof length);
        memcpy(at + sizeof length, a->in.text, length);
        at += sizeof length + (length + 3) / 4 * 4;
    }
    h->msgh_size = (mach_msg_size_t)(at - buffer.bytes);
    return h->msgh_size;
}

static mach_msg_timeout_t timeout(const struct actor *a)
{
    return a->in.timeout_ms >= 0 ? (mach_msg_timeout_t)a->in.timeout_ms : DEFAULT_TIMEOUT_MS;
}

static int send_built(struct actor *a, mach_msg_size_t size)
{
    cost_begin(a);
    return finish(a,
                  mach_msg(&buffer.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, size, 0,
                           MACH_PORT_NULL, timeout(a), MACH_PORT_NULL),
                  "cannot send");
}

int actor_ACT_SEND(struct actor *a)
{
    mach_port_t to;
    kern_return_t kr = bootstrap_look_up(bootstrap_port, a->in.to, &to);
    int rc;

    if (kr != KERN_SUCCESS)
        return fail_mach(a, kr, "cannot look up the receiver's port");
    rc = send_built(a, build(a, to, MACH_MSG_TYPE_COPY_SEND));
    mach_port_deallocate(mach_task_self(), to);
    return rc;
}

int actor_ACT_OOL_SEND(struct actor *a)
{
    a->in.nparts = 1;
    a->in.parts[0] = (struct actor_part){
        .kind = PART_OOL,
        .physical = a->in.physical,
        .deallocate = a->in.deallocate,
        .start = a->in.start,
        .len = a->in.len,
    };
    if (!a->in.message_id)
        a->in.message_id = DEFAULT_ID;
    return actor_ACT_SEND(a);
}

int actor_ACT_REPLY(struct actor *a)
{
    mach_port_t to = last_remote;

    a->out.has_message = 0;
    if (!MACH_PORT_VALID(to)) { /* the request came without a reply port: no answer, no failure */
        a->out.reply_sent = 0;
        return 0;
    }
    last_remote = MACH_PORT_NULL;
    a->out.reply_sent = 1;
    a->in.want_reply = 0;
    return send_built(a, build(a, to, MACH_MSG_TYPE_MOVE_SEND_ONCE));
}

/* --- receiving --- */

/* Size of a descriptor by its type byte, which is at the same offset in every kind. */
static size_t descriptor_size(const char *at)
{
    switch (((const mach_msg_type_descriptor_t *)(const void *)at)->type) {
    case MACH_MSG_PORT_DESCRIPTOR:
        return sizeof(mach_msg_port_descriptor_t);
    case MACH_MSG_OOL_PORTS_DESCRIPTOR:
        return sizeof(mach_msg_ool_ports_descriptor_t);
    default:
        return sizeof(mach_msg_ool_descriptor_t);
    }
}

/* Where the first OOL range arrived; returns the end of the descriptors. */
static const char *read_descriptors(struct actor *a)
{
    const char *at = buffer.bytes + sizeof(mach_msg_header_t);
    mach_msg_body_t body;

    if (!(buffer.header.msgh_bits & MACH_MSGH_BITS_COMPLEX))
        return at;
    memcpy(&body, at, sizeof body);
    at += sizeof body;
    a->out.descriptors = (int32_t)body.msgh_descriptor_count;
    for (mach_msg_size_t i = 0; i < body.msgh_descriptor_count; i++) {
        mach_msg_ool_descriptor_t d;

        memcpy(&d, at, descriptor_size(at) < sizeof d ? descriptor_size(at) : sizeof d);
        if ((d.type == MACH_MSG_OOL_DESCRIPTOR || d.type == MACH_MSG_OOL_VOLATILE_DESCRIPTOR) &&
            !a->out.start && d.address) {
            a->out.start = (uintptr_t)d.address & ~(vm_page_size - 1);
            a->out.len = mach_vm_round_page((uintptr_t)d.address + d.size) - a->out.start;
            a->out.sent_start = (uintptr_t)d.address;
            a->out.sent_len = d.size;
        }
        at += descriptor_size(at);
    }
    return at;
}

static void read_text(struct actor *a, const char *at)
{
    const char *end = buffer.bytes + buffer.header.msgh_size;
    uint32_t length;

    if (end - at < (ptrdiff_t)sizeof length)
        return;
    memcpy(&length, at, sizeof length);
    at += sizeof length;
    if (length >= ACTOR_TEXT || end - at < (ptrdiff_t)length)
        return;
    a->out.has_text = 1;
    memcpy(a->out.text, at, length);
}

int actor_ACT_RECEIVE(struct actor *a)
{
    kern_return_t kr;

    cost_begin(a);
    kr = mach_msg(&buffer.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof buffer, own_port,
                  timeout(a), MACH_PORT_NULL);
    cost_end(a);
    if (kr == MACH_RCV_TIMED_OUT) {
        a->out.timed_out = 1;
        return 0;
    }
    if (kr != KERN_SUCCESS)
        return fail_mach(a, kr, "cannot receive");
    last_remote = buffer.header.msgh_remote_port;
    a->out.has_message = 1;
    a->out.message_id = buffer.header.msgh_id;
    a->out.message_size = buffer.header.msgh_size;
    read_text(a, read_descriptors(a));
    return 0;
}

int actor_ACT_OOL_RECEIVE(struct actor *a)
{
    return actor_ACT_RECEIVE(a);
}

/* --- to itself --- */

static mach_port_t to_self;

int actor_mach_copy_begin(struct actor *a)
{
    kern_return_t kr = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &to_self);

    if (kr == KERN_SUCCESS)
        kr = mach_port_insert_right(mach_task_self(), to_self, to_self, MACH_MSG_TYPE_MAKE_SEND);
    return kr == KERN_SUCCESS ? 0 : fail_mach(a, kr, "cannot make a port");
}

int actor_mach_copy(struct actor *a, char **copy)
{
    kern_return_t kr;

    a->in.want_reply = a->in.has_text = 0;
    a->in.message_id = DEFAULT_ID;
    a->in.nparts = 1;
    a->in.parts[0] = (struct actor_part){.kind = PART_OOL, .start = a->in.start, .len = a->in.len};
    machmsg_trace(note_how, a);
    kr = mach_msg(&buffer.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT,
                  build(a, to_self, MACH_MSG_TYPE_COPY_SEND), 0, MACH_PORT_NULL, DEFAULT_TIMEOUT_MS,
                  MACH_PORT_NULL);
    if (kr == KERN_SUCCESS)
        kr = mach_msg(&buffer.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof buffer, to_self,
                      DEFAULT_TIMEOUT_MS, MACH_PORT_NULL);
    machmsg_trace(note_transfer, a);
    if (kr != KERN_SUCCESS)
        return fail_mach(a, kr, "cannot send the region to itself");
    read_descriptors(a);
    *copy = (char *)(uintptr_t)a->out.start;
    return *copy ? 0 : actor_fail(a, EPROTO, "the copy did not arrive");
}

void actor_mach_copy_end(char *copy, uint64_t len)
{
    if (copy)
        mach_vm_deallocate(mach_task_self(), (uintptr_t)copy, len);
    if (MACH_PORT_VALID(to_self))
        mach_port_destroy(mach_task_self(), to_self);
    to_self = MACH_PORT_NULL;
}
