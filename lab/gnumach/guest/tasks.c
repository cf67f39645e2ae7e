/* tasks: actors are born and die. Every one is a task that inherited the program's text. */
#include "lab/gnumach/guest/run.h"
#include "mach.h"
#include "mach_debug.h"
#include "mach_port.h"
#include <mach/mig_support.h>

static kern_return_t start_thread(mach_port_t task)
{
    mach_port_t thread = MACH_PORT_NULL;
    struct i386_thread_state s = {0};
    mach_msg_type_number_t n = i386_THREAD_STATE_COUNT;
    kern_return_t rc = thread_create(task, &thread);
    if (rc != KERN_SUCCESS)
        return rc;
    rc = thread_get_state(thread, i386_REGS_SEGS_STATE, (thread_state_t)&s, &n);
    s.rip = (uint64_t)(uintptr_t)actor_main;
    s.ursp = STACK_TOP - 8; /* as after a call: nobody returns from there */
    rc = rc ? rc
            : thread_set_state(thread, i386_REGS_SEGS_STATE, (thread_state_t)&s,
                               i386_THREAD_STATE_COUNT);
    rc = rc ? rc : thread_resume(thread);
    port_release(thread);
    return rc;
}

kern_return_t new_port(mach_port_t *port)
{
    kern_return_t rc = mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, port);
    rc = rc ? rc : mach_port_insert_right(self, *port, *port, MACH_MSG_TYPE_MAKE_SEND);
    return rc;
}

/* Not born yet, or alive. The port of one that has ended died with it: there is no right to give.
 */
static int can_be_sent_to(const struct actor *a)
{
    return a->task || a->data_receive;
}

static kern_return_t give_ports(struct run *r, uint32_t i, mach_port_t task)
{
    struct actor *a = &r->actors[i];
    kern_return_t rc = new_port(&a->command);
    rc = rc ? rc
            : mach_port_insert_right(task, NAME_COMMAND, a->command, MACH_MSG_TYPE_MOVE_RECEIVE);
    rc = rc ? rc : mach_port_insert_right(task, NAME_CONTROL, control, MACH_MSG_TYPE_MAKE_SEND);
    rc = rc ? rc
            : mach_port_insert_right(task, NAME_DATA, a->data_receive, MACH_MSG_TYPE_MOVE_RECEIVE);
    a->data_receive = MACH_PORT_NULL;
    for (uint32_t j = 0; rc == KERN_SUCCESS && j < r->plan->nactors; j++)
        if (j != i && can_be_sent_to(&r->actors[j]))
            rc = mach_port_insert_right(task, NAME_PEER + j, r->actors[j].data,
                                        MACH_MSG_TYPE_COPY_SEND);
    return rc;
}

kern_return_t bear(struct run *r, uint32_t i, mach_port_t task)
{
    vm_address_t address = LOCAL_ADDRESS;
    r->actors[i].task = task;
    kern_return_t rc = vm_allocate(task, &address, STACK_BYTES, FALSE);
    rc = rc ? rc : vm_inherit(task, address, STACK_BYTES, VM_INHERIT_NONE);
    rc = rc ? rc : give_ports(r, i, task);
    rc = rc ? rc : start_thread(task);
    memset(&command.body, 0, sizeof command.body);
    rc = rc ? rc : ask(r, &r->actors[i], 0);
    return rc;
}

void bury(struct run *r, uint32_t i)
{
    struct actor *a = &r->actors[i];
    if (!a->task)
        return;
    task_terminate(a->task);
    port_release(a->task);
    port_release(a->command);
    a->task = a->command = MACH_PORT_NULL;
    memset(a->regions, 0, r->plan->nslots * sizeof *a->regions);
    transit_drop(r, i);
}

void inherit_regions(struct run *r, uint32_t parent, uint32_t child)
{
    for (uint32_t s = 0; s < r->plan->nslots; s++) {
        struct region from = r->actors[parent].regions[s];
        vm_region_info_t e;
        mach_port_t name = MACH_PORT_NULL;
        if (!from.bytes || mach_vm_region_info(r->actors[child].task, from.address / PAGE * PAGE,
                                               &e, &name) != KERN_SUCCESS)
            continue;
        port_release(name);
        if (e.vri_start <= from.address && from.address < e.vri_end)
            r->actors[child].regions[s] = from;
    }
}

const char *await_end(struct run *r, uint32_t i)
{
    for (uint32_t ms = 0; ms < the_plan->deadline_ms; ms++) {
        mach_port_type_t type = 0;
        if (mach_port_type(self, r->actors[i].task, &type) != KERN_SUCCESS ||
            (type & MACH_PORT_TYPE_DEAD_NAME)) {
            bury(r, i);
            return NULL;
        }
        mach_msg_trap(&answered.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof answered, control,
                      1, MACH_PORT_NULL);
    }
    return "the task did not end";
}
