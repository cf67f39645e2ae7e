/* message: the messages that actors send to each other, in Mach's typed format.
 *
 * Every item of a body is a type descriptor of 8 bytes and its data, or for out-of-line data the
 * 8-byte address of it: there is no copy option and no small-message path, only the deallocate bit.
 * Messages are built in the actor's stack; what a received one held is told to the controller, the
 * rights in it stay in the actor's port space until the task ends. */
#include "lab/gnumach/guest/actions.h"
#include "mach.h"
#include "mach_port.h"
#include <mach/mig_support.h>

#define MESSAGE_MAX 4096u

struct message {
    mach_msg_header_t head;
    char body[MESSAGE_MAX - sizeof(mach_msg_header_t)];
};

mach_msg_type_t type_bytes(size_t n)
{
    return (mach_msg_type_t){.msgt_name = MACH_MSG_TYPE_BYTE,
                             .msgt_size = 8,
                             .msgt_inline = 1,
                             .msgt_number = (unsigned)n};
}

mach_msg_type_t type_port(unsigned disposition)
{
    return (mach_msg_type_t){.msgt_name = disposition,
                             .msgt_size = 8 * sizeof(mach_port_name_inlined_t),
                             .msgt_inline = 1,
                             .msgt_number = 1};
}

/* Appends n bytes, padded to 8. */
static void append(struct message *m, size_t *at, const void *data, size_t n)
{
    memcpy(m->body + *at, data, n);
    while (n % 8)
        m->body[*at + n++] = 0;
    *at += n;
}

/* A right to send with a disposition: of a new port, which the disposition says how to give. */
static mach_port_t right_for(unsigned disposition)
{
    mach_port_t port = MACH_PORT_NULL;
    mach_port_t self = mach_task_self();
    if (mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port) != KERN_SUCCESS)
        return MACH_PORT_NULL;
    if (disposition == MACH_MSG_TYPE_MOVE_SEND || disposition == MACH_MSG_TYPE_COPY_SEND)
        mach_port_insert_right(self, port, port, MACH_MSG_TYPE_MAKE_SEND);
    return port;
}

/* A send-once right has a name of its own, which extracting it from the receive right gives. */
static mach_port_t send_once_right(void)
{
    mach_port_t port = right_for(MACH_MSG_TYPE_MAKE_SEND_ONCE), once = MACH_PORT_NULL;
    mach_msg_type_name_t got;
    if (mach_port_extract_right(mach_task_self(), port, MACH_MSG_TYPE_MAKE_SEND_ONCE, &once,
                                &got) != KERN_SUCCESS)
        return MACH_PORT_NULL;
    return once;
}

static mach_port_t right(unsigned disposition)
{
    return disposition == MACH_MSG_TYPE_MOVE_SEND_ONCE ? send_once_right() : right_for(disposition);
}

/* A type descriptor of out-of-line data and its address. Ranges of 4 GiB and more do not fit a
 * count of bytes: they go as 64-bit words. */
static void append_ool(struct message *m, size_t *at, uint64_t address, uint64_t bytes,
                       uint32_t deallocate)
{
    int words = bytes > UINT32_MAX;
    mach_msg_type_t t = {.msgt_name = words ? MACH_MSG_TYPE_INTEGER_64 : MACH_MSG_TYPE_BYTE,
                         .msgt_size = words ? 64 : 8,
                         .msgt_deallocate = deallocate,
                         .msgt_number = (unsigned)(words ? bytes / 8 : bytes)};
    append(m, at, &t, sizeof t);
    append(m, at, &address, sizeof address);
}

static kern_return_t append_rights(struct message *m, size_t *at, const struct guest_part *p)
{
    if (p->count > GUEST_MAX_RIGHTS)
        return KERN_RESOURCE_SHORTAGE;
    vm_address_t names = 0;
    kern_return_t rc = vm_allocate(mach_task_self(), &names, GUEST_MAX_RIGHTS * 4, TRUE);
    if (rc != KERN_SUCCESS)
        return rc;
    for (uint64_t i = 0; i < p->count; i++)
        ((mach_port_name_t *)names)[i] = right(p->disposition);
    mach_msg_type_t t = {.msgt_name = p->disposition,
                         .msgt_size = 8 * sizeof(mach_port_name_t),
                         .msgt_deallocate = 1,
                         .msgt_number = (unsigned)p->count};
    append(m, at, &t, sizeof t);
    append(m, at, &names, sizeof names);
    return KERN_SUCCESS;
}

static kern_return_t append_part(struct message *m, size_t *at, const struct command *c, uint32_t i)
{
    const struct guest_part *p = &c->parts[i];
    if (p->kind == PART_OOL) {
        append_ool(m, at, c->part_address[i], c->part_bytes[i], p->deallocate);
        return KERN_SUCCESS;
    }
    if (p->kind == PART_OOL_PORTS)
        return append_rights(m, at, p);
    mach_msg_type_t t = type_port(p->disposition);
    uint64_t name = right(p->disposition);
    append(m, at, &t, sizeof t);
    append(m, at, &name, sizeof name);
    return KERN_SUCCESS;
}

static kern_return_t append_all(struct message *m, size_t *at, const struct command *c)
{
    kern_return_t rc = KERN_SUCCESS;
    if (c->step.text_bytes) {
        mach_msg_type_t t = type_bytes(c->step.text_bytes);
        append(m, at, &t, sizeof t);
        append(m, at, c->text, c->step.text_bytes);
    }
    for (uint32_t i = 0; i < c->step.nparts && rc == KERN_SUCCESS; i++)
        rc = append_part(m, at, c, i);
    return rc;
}

/* To a right that the disposition says how to use. */
static kern_return_t send(const struct command *c, struct answer *a, mach_port_t to,
                          unsigned disposition)
{
    struct message m;
    size_t at = 0;
    memset(&m.head, 0, sizeof m.head);
    kern_return_t rc = append_all(&m, &at, c);
    if (rc != KERN_SUCCESS)
        return rc;
    m.head.msgh_bits =
        MACH_MSGH_BITS(disposition, c->step.want_reply ? MACH_MSG_TYPE_MAKE_SEND_ONCE : 0);
    if (c->step.nparts)
        m.head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
    m.head.msgh_size = (mach_msg_size_t)(sizeof m.head + at);
    m.head.msgh_remote_port = to;
    if (c->step.want_reply)
        m.head.msgh_local_port = NAME_DATA;
    m.head.msgh_id = c->step.message_id;
    mach_msg_option_t option =
        MACH_SEND_MSG | (c->step.timeout_ms >= 0 ? MACH_SEND_TIMEOUT : MACH_MSG_OPTION_NONE);
    mach_msg_size_t size = m.head.msgh_size;
    rc = TIMED(a, mach_msg_trap(&m.head, option, size, 0, MACH_PORT_NULL,
                                (mach_msg_timeout_t)c->step.timeout_ms, MACH_PORT_NULL));
    a->sent = rc == MACH_MSG_SUCCESS;
    a->message_bytes = size;
    return rc;
}

kern_return_t guest_ACT_SEND(const struct command *c, struct answer *a)
{
    return send(c, a, (mach_port_t)(NAME_PEER + (uint32_t)c->step.other), MACH_MSG_TYPE_COPY_SEND);
}

/* A message with one part and no text. */
kern_return_t guest_ACT_OOL_SEND(const struct command *c, struct answer *a)
{
    return guest_ACT_SEND(c, a);
}

kern_return_t guest_ACT_REPLY(const struct command *c, struct answer *a)
{
    if (!local->answer_to) /* nobody waits for it: that is no error */
        return MACH_MSG_SUCCESS;
    kern_return_t rc = send(c, a, local->answer_to, MACH_MSG_TYPE_MOVE_SEND_ONCE);
    if (a->sent)
        local->answer_to = MACH_PORT_NULL;
    return rc;
}

/* Notes one item of a received message; returns the bytes that its data take in the body. */
static size_t note_item(const mach_msg_type_t *t, const char *data, struct answer *a)
{
    uint64_t bytes = (uint64_t)t->msgt_number * t->msgt_size / 8;
    struct descriptor_seen *d = &a->descriptors[a->ndescriptors++];
    int is_port = MACH_MSG_TYPE_PORT_ANY(t->msgt_name);
    *d = (struct descriptor_seen){.is_inline = t->msgt_inline,
                                  .deallocate = t->msgt_deallocate,
                                  .name = t->msgt_name,
                                  .bytes = bytes,
                                  .number = t->msgt_number};
    d->kind = !is_port ? PART_OOL : !t->msgt_inline ? PART_OOL_PORTS : PART_PORT;
    if (!t->msgt_inline) {
        d->address = *(const uint64_t *)data;
        return 8;
    }
    if (!is_port && !a->text_bytes) {
        a->text_bytes = bytes < GUEST_MAX_TEXT ? (uint32_t)bytes : GUEST_MAX_TEXT;
        memcpy(a->text, data, a->text_bytes);
    }
    return (bytes + 7) / 8 * 8;
}

kern_return_t guest_ACT_RECEIVE(const struct command *c, struct answer *a)
{
    struct message m;
    mach_msg_option_t option =
        MACH_RCV_MSG | (c->step.timeout_ms >= 0 ? MACH_RCV_TIMEOUT : MACH_MSG_OPTION_NONE);
    mach_msg_return_t rc =
        TIMED(a, mach_msg_trap(&m.head, option, 0, sizeof m, NAME_DATA,
                               (mach_msg_timeout_t)c->step.timeout_ms, MACH_PORT_NULL));
    if (rc != MACH_MSG_SUCCESS)
        return rc;
    a->got_message = 1;
    a->id = m.head.msgh_id;
    a->message_bytes = m.head.msgh_size;
    local->answer_to =
        MACH_PORT_VALID(m.head.msgh_remote_port) ? m.head.msgh_remote_port : MACH_PORT_NULL;
    size_t at = 0, size = m.head.msgh_size - sizeof m.head;
    while (at + sizeof(mach_msg_type_t) <= size && a->ndescriptors < GUEST_MAX_PARTS) {
        const mach_msg_type_t *t = (const mach_msg_type_t *)(m.body + at);
        at += sizeof *t;
        at += note_item(t, m.body + at, a);
    }
    return rc;
}

kern_return_t guest_ACT_OOL_RECEIVE(const struct command *c, struct answer *a)
{
    return guest_ACT_RECEIVE(c, a);
}
