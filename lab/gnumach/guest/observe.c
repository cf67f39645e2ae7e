/* observe: what the kernel says about every live task, told as records.
 *
 * Reads through task ports and the names of memory objects; touches no page of an actor. Asking
 * for a name costs the object nothing; asking an object about itself holds a reference meanwhile,
 * which is taken off here. Every name is released again, except those of memory in transit. */
#include "lab/gnumach/guest/run.h"
#include "mach.h"
#include "mach_debug.h"
#include <mach/task_info.h>
#include <mach/vm_statistics.h>

#define OBJECTS_MAX 8192u
#define PAGES_INLINE 64u

/* Objects told in this step: each is told once, whoever maps it. */
static uint64_t told[OBJECTS_MAX];
static uint32_t ntold;

static int tell_once(uint64_t object)
{
    for (uint32_t i = ntold; i-- > 0;)
        if (told[i] == object)
            return 0;
    if (ntold < OBJECTS_MAX)
        told[ntold++] = object;
    return 1;
}

struct page_line {
    uint64_t object, first, count, frame;
    int64_t step;
    int open; /* a record has been begun */
};

static void flush_run(struct page_line *l)
{
    if (!l->count)
        return;
    if (l->open && record_room() < 80) {
        record_end();
        l->open = 0;
    }
    if (!l->open) {
        record_begin('P');
        RECORD_FIELDS("u", l->object);
        l->open = 1;
    }
    RECORD_FIELDS("uuxi", l->first, l->count, l->frame, (uint64_t)l->step);
    l->count = 0;
}

static void add_page(struct page_line *l, uint64_t page, uint64_t frame)
{
    int64_t step = (int64_t)(frame - l->frame);
    if (l->count == 1 && page == l->first + 1 && (step == 1 || step == -1))
        l->step = step;
    if (l->count && page == l->first + l->count &&
        (int64_t)frame == (int64_t)l->frame + (int64_t)l->count * l->step) {
        l->count++;
        return;
    }
    flush_run(l);
    l->first = page;
    l->count = 1;
    l->frame = frame;
    l->step = 1;
}

static void tell_pages(uint64_t object, mach_port_t name)
{
    static vm_page_phys_info_t few[PAGES_INLINE];
    vm_page_phys_info_t *pages = few;
    mach_msg_type_number_t n = PAGES_INLINE;
    kern_return_t rc = mach_vm_object_pages_phys(name, &pages, &n);
    if (rc != KERN_SUCCESS) {
        RECORD('U', "ui", object, (uint64_t)rc);
        return;
    }
    struct page_line l = {.object = object};
    for (mach_msg_type_number_t i = 0; i < n; i++)
        if (!(pages[i].vpi_state & (VPI_STATE_FICTITIOUS | VPI_STATE_ABSENT)))
            add_page(&l, pages[i].vpi_offset / PAGE, pages[i].vpi_phys_addr / PAGE);
    flush_run(&l);
    if (l.open)
        record_end();
    if (pages != few)
        vm_deallocate(mach_task_self(), (vm_address_t)pages, n * sizeof *pages);
}

/* The object behind a name and everything below it. Does not release the name. */
static kern_return_t tell_chain(mach_port_t name)
{
    mach_port_t held = MACH_PORT_NULL;
    kern_return_t rc = KERN_SUCCESS;
    while (MACH_PORT_VALID(name)) {
        vm_object_info_t info;
        mach_port_t shadow = MACH_PORT_NULL, copy = MACH_PORT_NULL;
        rc = mach_vm_object_info(name, &info, &shadow, &copy);
        if (rc != KERN_SUCCESS)
            break;
        port_release(copy);
        if (tell_once(info.voi_object)) {
            RECORD('O', "uuuuuuuu", info.voi_object, info.voi_size / PAGE, info.voi_ref_count - 1,
                   info.voi_resident_page_count, info.voi_shadow, info.voi_shadow_offset / PAGE,
                   info.voi_copy, info.voi_state);
            tell_pages(info.voi_object, name);
        }
        port_release(held);
        held = name = shadow;
    }
    port_release(held);
    return rc;
}

static kern_return_t tell_entries(uint32_t actor, mach_port_t task)
{
    uint64_t at = 0;
    for (;;) {
        vm_region_info_t e;
        mach_port_t name = MACH_PORT_NULL;
        kern_return_t rc = mach_vm_region_info(task, at, &e, &name);
        if (rc == KERN_NO_SPACE)
            return KERN_SUCCESS;
        if (rc != KERN_SUCCESS)
            return rc;
        RECORD('E', "uxxuuuuuu", actor, e.vri_start, e.vri_end, (uint32_t)e.vri_protection,
               (uint32_t)e.vri_max_protection, (uint32_t)e.vri_inheritance, e.vri_needs_copy != 0,
               e.vri_object, e.vri_offset / PAGE);
        if (MACH_PORT_VALID(name))
            rc = tell_chain(name);
        port_release(name);
        if (rc != KERN_SUCCESS)
            return rc;
        at = e.vri_end;
    }
}

static kern_return_t tell_task(struct run *r, uint32_t i)
{
    const struct actor *a = &r->actors[i];
    struct task_basic_info basic = {0};
    struct task_events_info events = {0};
    mach_msg_type_number_t n = TASK_BASIC_INFO_COUNT;
    kern_return_t rc = task_info(a->task, TASK_BASIC_INFO, (task_info_t)&basic, &n);
    if (rc != KERN_SUCCESS)
        return rc;
    n = TASK_EVENTS_INFO_COUNT;
    rc = task_info(a->task, TASK_EVENTS_INFO, (task_info_t)&events, &n);
    if (rc != KERN_SUCCESS)
        return rc;
    RECORD('T', "uuuuuuuu", i, basic.virtual_size, basic.resident_size, events.faults,
           events.zero_fills, events.cow_faults, events.messages_sent, events.messages_received);
    for (uint32_t s = 0; s < r->plan->nslots; s++) {
        if (!a->regions[s].bytes)
            continue;
        RECORD('R', "uuxu", i, s, a->regions[s].address, a->regions[s].bytes);
    }
    return tell_entries(i, a->task);
}

static kern_return_t tell_transit(const struct transit *t)
{
    RECORD('F', "uuuuu", (uint32_t)t->from, (uint32_t)t->to, (uint32_t)t->slot, t->offset_bytes,
           t->bytes);
    for (uint32_t i = 0; i < t->npieces; i++) {
        RECORD('I', "uuu", t->pieces[i].object, t->pieces[i].offset / PAGE, t->pieces[i].bytes);
        kern_return_t rc = tell_chain(t->pieces[i].name);
        if (rc != KERN_SUCCESS)
            return rc;
    }
    return KERN_SUCCESS;
}

static kern_return_t tell_statistics(void)
{
    struct vm_statistics s = {0};
    kern_return_t rc = vm_statistics(mach_task_self(), &s);
    if (rc != KERN_SUCCESS)
        return rc;
    RECORD('Y', "uuuuuuu", (uint32_t)s.free_count, (uint32_t)s.active_count,
           (uint32_t)s.inactive_count, (uint32_t)s.wire_count, (uint32_t)s.zero_fill_count,
           (uint32_t)s.faults, (uint32_t)s.cow_faults);
    return KERN_SUCCESS;
}

kern_return_t observe(struct run *r)
{
    ntold = 0;
    kern_return_t rc = tell_statistics();
    for (uint32_t i = 0; rc == KERN_SUCCESS && i < r->plan->nactors; i++)
        if (r->actors[i].task)
            rc = tell_task(r, i);
    for (uint32_t i = 0; rc == KERN_SUCCESS && i < r->ntransits; i++)
        rc = tell_transit(&r->transits[i]);
    return rc;
}
