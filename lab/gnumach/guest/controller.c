/* controller: carries out the plan. For each run it makes the root actors, then for each step
 * commands one actor, waits for its answer, and has the outcome observed:
 *
 *     begin_run -> [ command -> answer -> observe ]* -> end_run
 *
 * A step that fails ends its run (record X), not the others. Every wait has the plan's deadline.
 * Whatever the controller allocates is not inherited, so that actors do not carry it. */
#include "lab/gnumach/guest/run.h"
#include "mach.h"
#include "mach_debug.h"
#include "mach_host.h"
#include "mach_port.h"

extern char text_end[]; /* guest.ld */

static void *allocate(size_t bytes)
{
    vm_address_t address = 0;
    if (vm_allocate(self, &address, bytes ? bytes : 1, TRUE) != KERN_SUCCESS)
        return NULL;
    vm_inherit(self, address, bytes ? bytes : 1, VM_INHERIT_NONE);
    return (void *)address;
}

static void release(void *p, size_t bytes)
{
    if (p)
        vm_deallocate(self, (vm_address_t)p, bytes ? bytes : 1);
}

/* Nothing that only the controller uses may be inherited: all but the program's text. */
static void keep_to_oneself(void)
{
    uint64_t at = 0;
    vm_region_info_t e;
    mach_port_t name;
    while (mach_vm_region_info(self, at, &e, &name) == KERN_SUCCESS) {
        port_release(name);
        if (e.vri_start >= (uintptr_t)text_end)
            vm_inherit(self, e.vri_start, e.vri_end - e.vri_start, VM_INHERIT_NONE);
        at = e.vri_end;
    }
}

static const char *begin_run(struct run *r)
{
    const struct guest_run *g = r->plan;
    const struct guest_step *s = plan_steps() + g->first_step;
    size_t table = g->nslots * sizeof(struct region);
    r->actors = allocate(g->nactors * sizeof *r->actors);
    r->transits_max = 1;
    for (uint32_t i = 0; i < g->nsteps; i++) /* all may be on their way at once */
        r->transits_max += s[i].nparts + (s[i].action == ACT_OOL_SEND);
    r->transits = allocate(r->transits_max * sizeof *r->transits);
    if (!r->actors || !r->transits)
        return "out of memory";
    for (uint32_t i = 0; i < g->nactors; i++) {
        struct actor *a = &r->actors[i];
        a->regions = allocate(table);
        if (!a->regions || new_port(&a->data) != KERN_SUCCESS)
            return "out of memory";
        a->data_receive = a->data;
    }
    for (uint32_t i = 0; i < g->nactors; i++) {
        mach_port_t task = MACH_PORT_NULL;
        if (!(g->roots >> i & 1))
            continue;
        if ((r->rc = task_create(self, TRUE, &task)) != KERN_SUCCESS ||
            (r->rc = bear(r, i, task)) != KERN_SUCCESS)
            return "an actor did not start";
    }
    RECORD('B', "u", r->index);
    return look(r, 0);
}

static void end_run(struct run *r)
{
    for (uint32_t i = 0; r->actors && i < r->plan->nactors; i++) {
        struct actor *a = &r->actors[i];
        bury(r, i);
        if (a->data_receive)
            mach_port_mod_refs(self, a->data_receive, MACH_PORT_RIGHT_RECEIVE, -1);
        port_release(a->data);
        release(a->regions, r->plan->nslots * sizeof *a->regions);
    }
    release(r->actors, r->plan->nactors * sizeof *r->actors);
    release(r->transits, r->transits_max * sizeof *r->transits);
    RECORD('D', "u", r->index);
}

static int run_plan(uint32_t index)
{
    struct run r = {.index = index, .plan = &plan_runs()[index], .next_address = REGION_ADDRESS};
    const struct guest_step *s = plan_steps() + r.plan->first_step;
    uint32_t number = 0;
    const char *problem = begin_run(&r);
    for (uint32_t i = 0; i < r.plan->nsteps && !problem; i++) {
        number = s[i].number;
        problem = do_step(&r, &s[i]);
    }
    if (problem)
        tell_failure(&r, number, problem);
    end_run(&r);
    return problem != NULL;
}

static mach_port_t parse_port(const char *s)
{
    mach_port_t n = 0;
    while (*s >= '0' && *s <= '9')
        n = n * 10 + (mach_port_t)(*s++ - '0');
    return n;
}

void controller_main(const uintptr_t *stack)
{
    vm_address_t address = LOCAL_ADDRESS;
    uint32_t failed = 0;
    mach_port_t host_priv;
    self = mach_task_self();
    syscall_vm_allocate(self, &address, PAGE, FALSE);
    /* argc, then argv: the module's file, "guest", the privileged host port, the device port */
    host_priv = stack[0] > 2 ? parse_port((const char *)stack[3]) : MACH_PORT_NULL;
    if (the_plan->magic == GUEST_MAGIC && the_plan->version == GUEST_VERSION) {
        record_nonce(the_plan->nonce);
        keep_to_oneself();
        clock_start();
        tell_start();
        mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &control);
        for (uint32_t i = 0; i < the_plan->nruns; i++)
            failed += (uint32_t)run_plan(i);
    } else {
        failed = UINT32_MAX;
    }
    RECORD('Q', "u", failed);
    host_reboot(host_priv, 0);
    for (;;)
        mach_msg_trap(&answered.head, MACH_RCV_MSG, 0, sizeof answered, control,
                      MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}
