/* actor: what a task of the scenario does. Its thread waits for a command, does it, answers, and
 * keeps nothing of its own but struct task_local, so that all other memory of the task is either
 * the program, read only, or a region of the scenario. */
#include "lab/gnumach/guest/actions.h"
#include "mach.h"
#include <mach/mig_support.h>

extern char text_start[], text_end[]; /* guest.ld */

/* Where page i of a range lies in it: a range may begin within a page. */
static uint64_t page_place(uint64_t address, uint64_t i)
{
    return i == 0 ? address : address / PAGE * PAGE + i * PAGE;
}

static uint64_t page_count(uint64_t address, uint64_t bytes)
{
    return (address % PAGE + bytes + PAGE - 1) / PAGE;
}

static void write_page(const struct command *c, uint64_t i)
{
    uint64_t from = page_place(c->address, i) - c->address;
    uint64_t to = page_place(c->address, i + 1) - c->address;
    if (page_selected(&c->step.select, i))
        stamp_page((volatile char *)c->address, from, to < c->bytes ? to : c->bytes, c->step.origin,
                   PAGE, c->step.stamp);
}

/* In page order, but where pages are there already, the first one last: after every copy the kernel
 * walks the pages of the object below, in the order in which they were made, up to one that the
 * copy does not cover yet. In plain order that walk grows with every page: 128 MiB took 38 s. */
kern_return_t guest_ACT_WRITE(const struct command *c, struct answer *a)
{
    uint64_t n = page_count(c->address, c->bytes);
    a->start_tsc = read_tsc();
    for (uint64_t i = c->touched ? 1 : 0; i < n; i++)
        write_page(c, i);
    if (c->touched)
        write_page(c, 0);
    a->end_tsc = read_tsc();
    return KERN_SUCCESS;
}

static void check_stamp(const struct command *c, uint64_t i, uint64_t place, struct answer *a)
{
    struct page_stamp s = *(volatile struct page_stamp *)place;
    a->checked++;
    if (s.magic == STAMP_MAGIC && s.letter == c->step.stamp && s.page == c->step.origin / PAGE + i)
        return;
    if (!a->bad++) {
        a->first_bad = i;
        a->found = s.magic == STAMP_MAGIC ? s.letter : 0;
    }
}

static uint64_t count_nonzero(uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    for (uint64_t at = from; at < to; at++)
        n += *(volatile char *)at != 0;
    return n;
}

/* The bytes that share the range's first and last page but are not of it: only of pages that the
 * step reads anyway, so that looking changes nothing. */
static void look_around(const struct command *c, uint64_t n, struct answer *a)
{
    uint64_t end = c->address + c->bytes, page_end = (end + PAGE - 1) / PAGE * PAGE;
    if (page_selected(&c->step.select, 0)) {
        a->before_bytes = c->address % PAGE;
        a->before_nonzero = count_nonzero(c->address - a->before_bytes, c->address);
    }
    if (page_selected(&c->step.select, n - 1)) {
        a->after_bytes = page_end - end;
        a->after_nonzero = count_nonzero(end, page_end);
    }
}

kern_return_t guest_ACT_READ(const struct command *c, struct answer *a)
{
    uint64_t n = page_count(c->address, c->bytes), end = c->address + c->bytes;
    a->start_tsc = read_tsc();
    for (uint64_t i = 0; i < n; i++) {
        uint64_t place = page_place(c->address, i);
        if (!page_selected(&c->step.select, i))
            continue;
        if (c->step.stamp && place % PAGE == 0 && place + sizeof(struct page_stamp) <= end)
            check_stamp(c, i, place, a);
        else
            (void)*(volatile char *)place;
    }
    a->end_tsc = read_tsc();
    look_around(c, n, a);
    return KERN_SUCCESS;
}

kern_return_t guest_ACT_MAP(const struct command *c, struct answer *a)
{
    vm_address_t address = c->address;
    mach_port_t self = mach_task_self();
    a->start_tsc = read_tsc();
    kern_return_t rc = vm_allocate(self, &address, c->bytes, FALSE);
    if (rc == KERN_SUCCESS && c->step.kind == MK_SHARED)
        rc = vm_inherit(self, address, c->bytes, VM_INHERIT_SHARE);
    a->end_tsc = read_tsc();
    return rc;
}

/* The pages that a region touches, as the calls that change its place in the map take them. */
static uint64_t first_page(const struct command *c)
{
    return c->address / PAGE * PAGE;
}

static uint64_t page_bytes(const struct command *c)
{
    return page_count(c->address, c->bytes) * PAGE;
}

kern_return_t guest_ACT_UNMAP(const struct command *c, struct answer *a)
{
    return TIMED(a, vm_deallocate(mach_task_self(), first_page(c), page_bytes(c)));
}

kern_return_t guest_ACT_PROTECT(const struct command *c, struct answer *a)
{
    return TIMED(a, vm_protect(mach_task_self(), first_page(c), page_bytes(c), FALSE,
                               (vm_prot_t)c->step.protection));
}

kern_return_t guest_ACT_INHERIT(const struct command *c, struct answer *a)
{
    return TIMED(a, vm_inherit(mach_task_self(), first_page(c), page_bytes(c),
                               (vm_inherit_t)c->step.inherit));
}

/* Mach's fork: a task that inherits memory. The controller gives it ports and a thread. */
kern_return_t guest_ACT_FORK(const struct command *c, struct answer *a)
{
    (void)c;
    return TIMED(a, task_create(mach_task_self(), TRUE, &a->child));
}

kern_return_t guest_ACT_EXIT(const struct command *c, struct answer *a)
{
    (void)c;
    a->last = 1;
    return KERN_SUCCESS;
}

guest_action *guest_action_of(uint32_t action)
{
#define ACTION_IN_ACTOR(e, ...) [e] = guest_##e,
    static guest_action *const actions[] = {ACTIONS(ACTION_IN_ACTOR)};
    return action < sizeof actions / sizeof *actions ? actions[action] : NULL;
}

static kern_return_t carry_out(const struct command *c, struct answer *a)
{
    guest_action *action = guest_action_of(c->step.action);
    if (!c->step.action) /* started: is the actor there? */
        return KERN_SUCCESS;
    return action ? action(c, a) : KERN_INVALID_ARGUMENT;
}

static mach_msg_return_t answer(struct answer_message *m)
{
    int carries = m->body.child != MACH_PORT_NULL;
    m->head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
    m->head.msgh_size = offsetof(struct answer_message, port_type);
    m->head.msgh_remote_port = NAME_CONTROL;
    m->head.msgh_local_port = MACH_PORT_NULL;
    m->head.msgh_id = 0;
    m->type = type_bytes(sizeof m->body);
    if (carries) {
        m->head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
        m->head.msgh_size = sizeof *m;
        m->port_type = type_port(MACH_MSG_TYPE_MOVE_SEND);
        m->port.kernel_port_do_not_use = 0;
        m->port.name = m->body.child;
    }
    return mach_msg_trap(&m->head, MACH_SEND_MSG, m->head.msgh_size, 0, MACH_PORT_NULL,
                         MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}

/* Faults of the actor itself would be counted as the scenario's: take them all now. */
static void touch_own_pages(void)
{
    for (uintptr_t p = (uintptr_t)text_start; p < (uintptr_t)text_end; p += PAGE)
        (void)*(volatile char *)p;
    for (uintptr_t p = LOCAL_ADDRESS; p < STACK_TOP; p += PAGE) {
        char as_it_was = *(volatile char *)p;
        *(volatile char *)p = as_it_was;
    }
}

void actor_main(void)
{
    struct command_message in;
    struct answer_message out;
    touch_own_pages();
    for (;;) {
        memset(&in, 0, sizeof in);
        if (mach_msg_trap(&in.head, MACH_RCV_MSG, 0, sizeof in, NAME_COMMAND, MACH_MSG_TIMEOUT_NONE,
                          MACH_PORT_NULL) != MACH_MSG_SUCCESS)
            break;
        memset(&out, 0, sizeof out);
        out.body.start_tsc = out.body.end_tsc = read_tsc(); /* for what takes no time */
        out.body.rc = carry_out(&in.body, &out.body);
        if (answer(&out) != MACH_MSG_SUCCESS || out.body.last)
            break;
    }
    task_terminate(mach_task_self());
}
