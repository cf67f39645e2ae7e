/* transit: memory on its way between actors. What a message holds cannot be asked; so the objects
 * that the sender's entries showed when it left stand for it, and are held until it is received. */
#include "lab/gnumach/guest/run.h"
#include "mach_debug.h"
#include <mach/mig_support.h>

/* Fills t->pieces from the sender's map. */
static kern_return_t capture(mach_port_t task, struct transit *t)
{
    uint64_t at = t->address / PAGE * PAGE, end = (t->address + t->bytes + PAGE - 1) / PAGE * PAGE;
    t->npieces = 0;
    while (t->bytes && at < end) {
        vm_region_info_t e;
        mach_port_t name = MACH_PORT_NULL;
        kern_return_t rc = mach_vm_region_info(task, at, &e, &name);
        if (rc != KERN_SUCCESS)
            return rc;
        if (e.vri_start >= end)
            return KERN_SUCCESS;
        if (t->npieces == TRANSIT_PIECES)
            return KERN_RESOURCE_SHORTAGE;
        uint64_t from = at > e.vri_start ? at : e.vri_start;
        uint64_t to = end < e.vri_end ? end : e.vri_end;
        t->pieces[t->npieces].name = name;
        t->pieces[t->npieces].object = e.vri_object;
        t->pieces[t->npieces].offset = e.vri_offset + (from - e.vri_start);
        t->pieces[t->npieces++].bytes = to - from;
        at = e.vri_end;
    }
    return KERN_SUCCESS;
}

static void drop_pieces(struct transit *t)
{
    for (uint32_t i = 0; i < t->npieces; i++)
        port_release(t->pieces[i].name);
    t->npieces = 0;
}

const char *transit_fill(struct run *r, const struct guest_step *s, uint32_t i, int32_t slot,
                         uint64_t offset, uint64_t bytes)
{
    const struct region *g = &r->actors[s->actor].regions[slot];
    if (bytes == GUEST_REST && offset <= g->bytes)
        bytes = g->bytes - offset;
    if (!g->bytes || offset > g->bytes || bytes > g->bytes - offset)
        return "the actor has no such range";
    command.body.part_address[i] = g->address + offset;
    command.body.part_bytes[i] = bytes;
    return NULL;
}

/* Every out-of-line part of the message about to be sent gets its place among those in transit, in
 * the order of the message. What `deallocate` will take is looked at now, the rest after the send:
 * only then has the kernel made an object for memory that was never touched. */
kern_return_t transit_note(struct run *r, const struct guest_step *s)
{
    kern_return_t rc = KERN_SUCCESS;
    for (uint32_t i = 0; i < command.body.step.nparts && rc == KERN_SUCCESS; i++) {
        const struct guest_part *p = &command.body.parts[i];
        if (p->kind != PART_OOL)
            continue;
        if (r->ntransits == r->transits_max)
            return KERN_RESOURCE_SHORTAGE;
        const struct region *g = &r->actors[s->actor].regions[p->slot];
        struct transit *t = &r->transits[r->ntransits++];
        *t = (struct transit){.from = s->actor, .to = s->other, .slot = p->slot};
        t->address = command.body.part_address[i];
        t->offset_bytes = t->address - g->address;
        t->bytes = command.body.part_bytes[i];
        t->looked_at = p->deallocate != 0;
        if (t->looked_at)
            rc = capture(r->actors[s->actor].task, t);
    }
    return rc;
}

static kern_return_t look_at_all(struct run *r)
{
    kern_return_t rc = KERN_SUCCESS;
    for (uint32_t i = 0; i < r->ntransits && rc == KERN_SUCCESS; i++) {
        struct transit *t = &r->transits[i];
        if (!t->looked_at)
            rc = capture(r->actors[t->from].task, t);
        t->looked_at = 1;
    }
    return rc;
}

/* What `deallocate` took from the sender: every page that the range touches. A region that lost
 * only a part stays, with a hole. */
static void drop_sent_regions(struct run *r, const struct guest_step *s)
{
    for (uint32_t i = 0; i < command.body.step.nparts; i++) {
        const struct guest_part *p = &command.body.parts[i];
        if (p->kind != PART_OOL || !p->deallocate)
            continue;
        struct region *g = &r->actors[s->actor].regions[p->slot];
        uint64_t gone = command.body.part_address[i] / PAGE * PAGE;
        uint64_t end =
            (command.body.part_address[i] + command.body.part_bytes[i] + PAGE - 1) / PAGE * PAGE;
        if (command.body.part_bytes[i] && gone <= g->address && end >= g->address + g->bytes)
            *g = (struct region){0};
    }
}

kern_return_t transit_sent(struct run *r, const struct guest_step *s)
{
    kern_return_t rc = look_at_all(r);
    drop_sent_regions(r, s);
    return rc;
}

void transit_unsent(struct run *r, uint32_t before)
{
    while (r->ntransits > before)
        drop_pieces(&r->transits[--r->ntransits]);
}

/* Received memory becomes the receiver's region; messages arrive in the order of sending. */
const char *transit_received(struct run *r, const struct guest_step *s)
{
    for (uint32_t i = 0; i < answered.body.ndescriptors; i++) {
        const struct descriptor_seen *d = &answered.body.descriptors[i];
        uint32_t t = 0;
        if (d->kind != PART_OOL || d->is_inline)
            continue;
        while (t < r->ntransits && r->transits[t].to != s->actor)
            t++;
        if (t == r->ntransits || (s->slot >= 0 && r->transits[t].slot != s->slot))
            return "another memory arrived than the one expected";
        if (d->bytes)
            r->actors[s->actor].regions[r->transits[t].slot] =
                (struct region){d->address, d->bytes, 1};
        drop_pieces(&r->transits[t]);
        for (r->ntransits--; t < r->ntransits; t++)
            r->transits[t] = r->transits[t + 1];
    }
    return NULL;
}

void transit_drop(struct run *r, uint32_t to)
{
    uint32_t kept = 0;
    for (uint32_t t = 0; t < r->ntransits; t++) {
        if (r->transits[t].to == (int)to)
            drop_pieces(&r->transits[t]);
        else
            r->transits[kept++] = r->transits[t];
    }
    r->ntransits = kept;
}
