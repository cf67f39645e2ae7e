/* controller: carries out the plan. For each run it makes the root actors, then for each step
 * commands one actor, waits for its answer, and has the outcome observed:
 *
 *     begin_run -> [ command -> answer -> observe ]* -> end_run
 *
 * A step that fails ends its run (record X), not the others. Every wait has the plan's deadline.
 * Whatever the controller allocates is not inherited, so that actors do not carry it. */
#include "lab/gnumach/guest/guest.h"
#include "mach.h"
#include "mach_debug.h"
#include "mach_host.h"
#include "mach_port.h"
#include <mach/mig_support.h>

/* Where the host's plan was loaded (start.S, guest.ld). */
#define the_plan ((const struct guest_plan *)GUEST_PLAN_ADDRESS)

extern char text_end[]; /* guest.ld */

static mach_port_t self, host_priv, control;
static struct command_message out;
static struct answer_message in;

static const struct guest_run *plan_runs(void)
{
    return (const struct guest_run *)(the_plan + 1);
}

static const struct guest_step *plan_steps(void)
{
    return (const struct guest_step *)(plan_runs() + the_plan->nruns);
}

static const struct guest_part *plan_parts(void)
{
    return (const struct guest_part *)(plan_steps() + the_plan->nsteps);
}

static const char *plan_text(void)
{
    return (const char *)(plan_parts() + the_plan->nparts);
}

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

static void tell_failure(const struct run *r, uint32_t step, int64_t rc, const char *what)
{
    record_begin('X');
    record_number(r->index);
    record_number(step);
    record_signed(rc);
    record_text(what, text_length(what));
    record_end();
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

/* Sends a command and waits for the answer, telling every second that it still waits.
 * The answer is in `in`. */
static kern_return_t ask(const struct run *r, const struct actor *a, uint32_t step)
{
    out.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
    out.head.msgh_remote_port = a->command;
    out.head.msgh_local_port = MACH_PORT_NULL;
    out.type = type_bytes(sizeof out.body);
    kern_return_t rc = mach_msg_trap(&out.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof out, 0,
                                     MACH_PORT_NULL, the_plan->deadline_ms, MACH_PORT_NULL);
    if (rc != MACH_MSG_SUCCESS)
        return rc;
    for (uint32_t waited = 0;; waited += 1000) {
        rc = mach_msg_trap(&in.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof in, control, 1000,
                           MACH_PORT_NULL);
        if (rc != MACH_RCV_TIMED_OUT || waited >= the_plan->deadline_ms)
            return rc;
        record_begin('W');
        record_number(r->index);
        record_number(step);
        record_number(waited / 1000 + 1);
        record_end();
    }
}

static kern_return_t start_thread(mach_port_t task)
{
    mach_port_t thread = MACH_PORT_NULL;
    struct i386_thread_state s = {0};
    mach_msg_type_number_t n = i386_THREAD_STATE_COUNT;
    kern_return_t rc = thread_create(task, &thread);
    if (rc != KERN_SUCCESS)
        return rc;
    rc = thread_get_state(thread, i386_REGS_SEGS_STATE, (thread_state_t)&s, &n);
    s.rip = (uint64_t)(uintptr_t)actor_start;
    s.ursp = STACK_TOP;
    if (rc == KERN_SUCCESS)
        rc = thread_set_state(thread, i386_REGS_SEGS_STATE, (thread_state_t)&s,
                              i386_THREAD_STATE_COUNT);
    if (rc == KERN_SUCCESS)
        rc = thread_resume(thread);
    port_release(thread);
    return rc;
}

static kern_return_t new_port(mach_port_t *port)
{
    kern_return_t rc = mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, port);
    if (rc == KERN_SUCCESS)
        rc = mach_port_insert_right(self, *port, *port, MACH_MSG_TYPE_MAKE_SEND);
    return rc;
}

static kern_return_t give_ports(struct run *r, uint32_t i, mach_port_t task)
{
    struct actor *a = &r->actors[i];
    kern_return_t rc = new_port(&a->command);
    if (rc == KERN_SUCCESS)
        rc = mach_port_insert_right(task, NAME_COMMAND, a->command, MACH_MSG_TYPE_MOVE_RECEIVE);
    if (rc == KERN_SUCCESS)
        rc = mach_port_insert_right(task, NAME_CONTROL, control, MACH_MSG_TYPE_MAKE_SEND);
    if (rc == KERN_SUCCESS)
        rc = mach_port_insert_right(task, NAME_DATA, a->data_receive, MACH_MSG_TYPE_MOVE_RECEIVE);
    a->data_receive = MACH_PORT_NULL;
    for (uint32_t j = 0; rc == KERN_SUCCESS && j < r->plan->nactors; j++)
        if (j != i)
            rc = mach_port_insert_right(task, NAME_PEER + j, r->actors[j].data,
                                        MACH_MSG_TYPE_COPY_SEND);
    return rc;
}

/* A task becomes actor i: memory of its own, ports, a thread; then it must answer. */
static kern_return_t bear(struct run *r, uint32_t i, mach_port_t task)
{
    vm_address_t address = LOCAL_ADDRESS;
    r->actors[i].task = task;
    kern_return_t rc = vm_allocate(task, &address, STACK_BYTES, FALSE);
    if (rc == KERN_SUCCESS)
        rc = vm_inherit(task, address, STACK_BYTES, VM_INHERIT_NONE);
    if (rc == KERN_SUCCESS)
        rc = give_ports(r, i, task);
    if (rc == KERN_SUCCESS)
        rc = start_thread(task);
    memset(&out.body, 0, sizeof out.body);
    if (rc == KERN_SUCCESS)
        rc = ask(r, &r->actors[i], 0);
    return rc;
}

/* The actor's end: its task may still be there, or have ended by itself. */
static void bury(struct run *r, uint32_t i)
{
    struct actor *a = &r->actors[i];
    if (!a->task)
        return;
    task_terminate(a->task);
    port_release(a->task);
    port_release(a->command);
    a->task = a->command = MACH_PORT_NULL;
    memset(a->regions, 0, r->plan->nslots * sizeof *a->regions);
    uint32_t kept = 0;
    for (uint32_t t = 0; t < r->ntransits; t++) {
        if (r->transits[t].to == (int)i)
            transit_release(&r->transits[t]);
        else
            r->transits[kept++] = r->transits[t];
    }
    r->ntransits = kept;
}

/* Children inherit the regions that their map shows. */
static void inherit_regions(struct run *r, uint32_t parent, uint32_t child)
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

static uint64_t place_region(struct run *r, uint64_t bytes)
{
    uint64_t at = r->next_address;
    r->next_address += (bytes + 2 * REGION_GAP - 1) / REGION_GAP * REGION_GAP;
    return at;
}

/* Where a part of a message is in the sender; and where the controller must look for it. */
static const char *fill_part(struct run *r, const struct guest_step *s, uint32_t i, int32_t slot,
                             uint64_t offset, uint64_t bytes)
{
    const struct region *g = &r->actors[s->actor].regions[slot];
    if (bytes == GUEST_REST && offset <= g->bytes)
        bytes = g->bytes - offset;
    if (!g->bytes || offset > g->bytes || bytes > g->bytes - offset)
        return "the actor has no such range";
    out.body.part_address[i] = g->address + offset;
    out.body.part_bytes[i] = bytes;
    return NULL;
}

static const char *fill_parts(struct run *r, const struct guest_step *s)
{
    const char *problem = NULL;
    if (s->action == ACT_OOL_SEND) {
        out.body.step.nparts = 1;
        out.body.parts[0] = (struct guest_part){GUEST_PART_OOL, s->slot, 0, s->deallocate, 0};
        return fill_part(r, s, 0, s->slot, s->offset_bytes, s->bytes);
    }
    for (uint32_t i = 0; i < s->nparts && !problem; i++) {
        out.body.parts[i] = plan_parts()[s->first_part + i];
        if (out.body.parts[i].kind == GUEST_PART_OOL)
            problem = fill_part(r, s, i, out.body.parts[i].slot, 0, GUEST_REST);
    }
    memcpy(out.body.text, plan_text() + s->text, s->text_bytes);
    return problem;
}

static int sends(const struct guest_step *s)
{
    return s->action == ACT_OOL_SEND || s->action == ACT_SEND || s->action == ACT_REPLY;
}

static int receives(const struct guest_step *s)
{
    return s->action == ACT_OOL_RECEIVE || s->action == ACT_RECEIVE;
}

static const char *fill_command(struct run *r, const struct guest_step *s)
{
    struct actor *a = &r->actors[s->actor];
    memset(&out.body, 0, sizeof out.body);
    out.body.step = *s;
    if (s->action == ACT_MAP) {
        if (a->regions[s->slot].bytes)
            return "the actor has that region already";
        out.body.address = place_region(r, s->bytes);
        out.body.bytes = s->bytes;
    } else if (sends(s)) {
        return fill_parts(r, s);
    } else if (s->slot >= 0 && !receives(s)) {
        if (!a->regions[s->slot].bytes)
            return "the actor has no such region";
        out.body.address = a->regions[s->slot].address;
        out.body.bytes = a->regions[s->slot].bytes;
        out.body.stamp_base = a->regions[s->slot].stamp_base;
        out.body.touched = a->regions[s->slot].touched;
    }
    return NULL;
}

/* Every out-of-line part of the message about to be sent gets its place among those in transit, in
 * the order of the message. What `deallocate` will take is looked at now, the rest after the send:
 * only then has the kernel made an object for memory that was never touched. */
static kern_return_t note_transits(struct run *r, const struct guest_step *s)
{
    kern_return_t rc = KERN_SUCCESS;
    for (uint32_t i = 0; i < out.body.step.nparts && rc == KERN_SUCCESS; i++) {
        const struct guest_part *p = &out.body.parts[i];
        if (p->kind != GUEST_PART_OOL)
            continue;
        if (r->ntransits == r->transits_max)
            return KERN_RESOURCE_SHORTAGE;
        const struct region *g = &r->actors[s->actor].regions[p->slot];
        struct transit *t = &r->transits[r->ntransits++];
        *t = (struct transit){.from = s->actor, .to = s->other, .slot = p->slot};
        t->address = out.body.part_address[i];
        t->offset_bytes = t->address - g->address;
        t->bytes = out.body.part_bytes[i];
        t->stamp_base = g->stamp_base + (g->address % PAGE + t->offset_bytes) / PAGE;
        t->looked_at = p->deallocate != 0;
        if (t->looked_at)
            rc = transit_capture(r->actors[s->actor].task, t->address, t->bytes, t);
    }
    return rc;
}

static kern_return_t look_at_transits(struct run *r)
{
    kern_return_t rc = KERN_SUCCESS;
    for (uint32_t i = 0; i < r->ntransits && rc == KERN_SUCCESS; i++) {
        struct transit *t = &r->transits[i];
        if (!t->looked_at)
            rc = transit_capture(r->actors[t->from].task, t->address, t->bytes, t);
        t->looked_at = 1;
    }
    return rc;
}

/* What `deallocate` took from the sender: every page that the range touches. A region that lost
 * only a part stays, with a hole. */
static void drop_sent_regions(struct run *r, const struct guest_step *s)
{
    for (uint32_t i = 0; i < out.body.step.nparts; i++) {
        const struct guest_part *p = &out.body.parts[i];
        if (p->kind != GUEST_PART_OOL || !p->deallocate)
            continue;
        struct region *g = &r->actors[s->actor].regions[p->slot];
        uint64_t gone = out.body.part_address[i] / PAGE * PAGE;
        uint64_t end = (out.body.part_address[i] + out.body.part_bytes[i] + PAGE - 1) / PAGE * PAGE;
        if (out.body.part_bytes[i] && gone <= g->address && end >= g->address + g->bytes)
            *g = (struct region){0};
    }
}

/* Received memory becomes the receiver's region; messages arrive in the order of sending. */
static const char *take_received(struct run *r, const struct guest_step *s)
{
    for (uint32_t i = 0; i < in.body.ndescriptors; i++) {
        const struct descriptor_seen *d = &in.body.descriptors[i];
        uint32_t t = 0;
        if (d->kind != GUEST_PART_OOL || d->is_inline)
            continue;
        while (t < r->ntransits && r->transits[t].to != s->actor)
            t++;
        if (t == r->ntransits || (s->slot >= 0 && r->transits[t].slot != s->slot))
            return "another memory arrived than the one expected";
        if (d->bytes)
            r->actors[s->actor].regions[r->transits[t].slot] =
                (struct region){d->address, d->bytes, r->transits[t].stamp_base, 1};
        transit_release(&r->transits[t]);
        for (r->ntransits--; t < r->ntransits; t++)
            r->transits[t] = r->transits[t + 1];
    }
    if (s->action == ACT_OOL_RECEIVE && !in.body.ndescriptors)
        return "the message carried no memory";
    return NULL;
}

static const char *await_end(struct run *r, uint32_t i)
{
    for (uint32_t ms = 0; ms < the_plan->deadline_ms; ms++) {
        mach_port_type_t type = 0;
        if (mach_port_type(self, r->actors[i].task, &type) != KERN_SUCCESS ||
            (type & MACH_PORT_TYPE_DEAD_NAME)) {
            bury(r, i);
            return NULL;
        }
        mach_msg_trap(&in.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof in, control, 1,
                      MACH_PORT_NULL);
    }
    return "the task did not end";
}

/* What follows from the actor's answer. */
static const char *settle(struct run *r, const struct guest_step *s)
{
    struct actor *a = &r->actors[s->actor];
    switch (s->action) {
    case ACT_MAP:
        a->regions[s->slot] = (struct region){out.body.address, s->bytes, 0, 0};
        return NULL;
    case ACT_READ:
    case ACT_WRITE:
        a->regions[s->slot].touched = 1;
        return NULL;
    case ACT_UNMAP:
        a->regions[s->slot] = (struct region){0};
        return NULL;
    case ACT_FORK:
        if (bear(r, (uint32_t)s->other, in.port.name) != KERN_SUCCESS)
            return "the child did not start";
        inherit_regions(r, (uint32_t)s->actor, (uint32_t)s->other);
        return NULL;
    case ACT_EXIT:
        a->status = s->status;
        return await_end(r, (uint32_t)s->actor);
    default:
        break;
    }
    if (sends(s) && in.body.sent) {
        kern_return_t rc = look_at_transits(r);
        drop_sent_regions(r, s);
        return rc == KERN_SUCCESS ? NULL : "the memory in transit cannot be observed";
    }
    return receives(s) ? take_received(r, s) : NULL;
}

static void tell_message(const struct answer *a)
{
    record_begin('M');
    record_signed(a->id);
    record_number(a->message_bytes);
    record_number(a->ndescriptors);
    if (a->text_bytes)
        record_text(a->text, a->text_bytes);
    else
        record_text("-", 0);
    record_end();
    for (uint32_t i = 0; i < a->ndescriptors; i++) {
        const struct descriptor_seen *d = &a->descriptors[i];
        record_begin('V');
        record_number(i);
        record_number(d->kind);
        record_number(d->is_inline);
        record_number(d->deallocate);
        record_number(d->name);
        record_number(d->bytes);
        record_number(d->number);
        record_end();
    }
}

static void tell_answer(const struct guest_step *s, const struct answer *a)
{
    record_begin('S');
    record_number(s->number);
    record_signed(a->rc);
    record_number(clock_ns(a->start_tsc));
    record_number(clock_ns(a->end_tsc) - clock_ns(a->start_tsc));
    record_number(a->sent);
    record_number(a->message_bytes);
    record_end();
    if (a->got_message)
        tell_message(a);
    if (a->checked) {
        record_begin('C');
        record_number((uint32_t)s->slot);
        record_number(a->checked);
        record_number(a->bad);
        record_number(a->first_bad);
        record_number(a->found);
        record_end();
    }
    if (a->before_bytes || a->after_bytes) {
        record_begin('G');
        record_number((uint32_t)s->slot);
        record_number(a->before_bytes);
        record_number(a->before_nonzero);
        record_number(a->after_bytes);
        record_number(a->after_nonzero);
        record_end();
    }
}

/* Steps that no actor does: looking, and noticing that a child has ended. */
static const char *without_actor(struct run *r, const struct guest_step *s)
{
    struct answer none = {.start_tsc = read_tsc()};
    if (s->action == ACT_WAIT) {
        const struct actor *child = &r->actors[s->other];
        if (child->task)
            return "the child has not ended";
        if (s->status >= 0 && child->status != s->status)
            return "the child ended with another status";
    }
    none.end_tsc = read_tsc();
    tell_answer(s, &none);
    return NULL;
}

static const char *with_actor(struct run *r, const struct guest_step *s, int64_t *rc)
{
    if (s->actor < 0 || !r->actors[s->actor].task)
        return "the actor is not there";
    const char *problem = fill_command(r, s);
    uint32_t transits = r->ntransits;
    if (problem)
        return problem;
    if (sends(s) && (*rc = note_transits(r, s)) != KERN_SUCCESS)
        return "the memory in transit cannot be observed";
    if ((*rc = ask(r, &r->actors[s->actor], s->number)) != KERN_SUCCESS)
        return "the actor did not answer";
    /* nothing came, as it should; or a full queue took nothing in the time given */
    int timed_out = (s->expect_timeout && in.body.rc == MACH_RCV_TIMED_OUT) ||
                    (s->timeout_ms >= 0 && in.body.rc == MACH_SEND_TIMED_OUT);
    *rc = in.body.rc;
    while (sends(s) && !in.body.sent && r->ntransits > transits)
        transit_release(&r->transits[--r->ntransits]);
    if (*rc != KERN_SUCCESS && !timed_out)
        return "the kernel refused";
    if (s->expect_timeout && !timed_out)
        return "a message came where none was expected";
    tell_answer(s, &in.body);
    return timed_out ? NULL : settle(r, s);
}

static const char *look(struct run *r, uint32_t step, int64_t *rc)
{
    uint64_t t = clock_ns(read_tsc());
    if ((*rc = observe(r)) != KERN_SUCCESS)
        return "the kernel refused to be observed";
    record_begin('Z');
    record_number(r->index);
    record_number(step);
    record_number(t);
    record_number(clock_ns(read_tsc()) - t);
    record_end();
    return NULL;
}

static const char *do_step(struct run *r, const struct guest_step *s, int64_t *rc)
{
    const char *problem = s->action == ACT_CHECKPOINT || s->action == ACT_WAIT
                              ? without_actor(r, s)
                              : with_actor(r, s, rc);
    return problem ? problem : look(r, s->number, rc);
}

static const char *begin_run(struct run *r, int64_t *rc)
{
    const struct guest_run *g = r->plan;
    size_t table = g->nslots * sizeof(struct region);
    r->actors = allocate(g->nactors * sizeof *r->actors);
    r->transits_max = g->nslots + 1;
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
        if ((*rc = task_create(self, TRUE, &task)) != KERN_SUCCESS ||
            (*rc = bear(r, i, task)) != KERN_SUCCESS)
            return "an actor did not start";
    }
    record_begin('B');
    record_number(r->index);
    record_end();
    return look(r, 0, rc);
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
    record_begin('D');
    record_number(r->index);
    record_end();
}

static int run_plan(uint32_t index)
{
    struct run r = {.index = index, .plan = &plan_runs()[index], .next_address = REGION_ADDRESS};
    const struct guest_step *s = plan_steps() + r.plan->first_step;
    uint32_t number = 0;
    int64_t rc = 0;
    const char *problem = begin_run(&r, &rc);
    for (uint32_t i = 0; i < r.plan->nsteps && !problem; i++) {
        number = s[i].number;
        problem = do_step(&r, &s[i], &rc);
    }
    if (problem)
        tell_failure(&r, number, rc, problem);
    end_run(&r);
    return problem != NULL;
}

static void tell_start(void)
{
    static kernel_version_t version;
    struct host_basic_info info = {0};
    mach_msg_type_number_t n = HOST_BASIC_INFO_COUNT;
    mach_port_t host = mach_host_self();
    host_info(host, HOST_BASIC_INFO, (host_info_t)&info, &n);
    host_get_kernel_version(host, version);
    record_begin('H');
    record_number(GUEST_VERSION);
    record_number(PAGE);
    record_number(info.memory_size);
    record_number(clock_ns(read_tsc()));
    record_number(clock_khz());
    record_text(version, text_length(version));
    record_end();
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
    record_begin('Q');
    record_number(failed);
    record_end();
    host_reboot(host_priv, 0);
    for (;;)
        mach_msg_trap(&in.head, MACH_RCV_MSG, 0, sizeof in, control, MACH_MSG_TIMEOUT_NONE,
                      MACH_PORT_NULL);
}
