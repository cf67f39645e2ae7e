/* totals: what all processes of a look share with each other, and what the system really uses. */
#include "probes/look/look.h"

#include <errno.h>
#include <string.h>

#include "probes/system.h"

static struct value kb(const struct observer *o, uint64_t pages)
{
    return value_known((int64_t)(pages * (o->page_size / 1024)));
}

/* Frames of every process, or the reason why not. */
static enum why why_no_frames(const struct observer *o)
{
    if (!o->opt.whole_process)
        return WHY_NOT_REPORTED;
    for (size_t i = 0; i < o->nwatched; i++)
        if (o->watched[i]->seen && !o->watched[i]->pagemap.frames)
            return WHY_NO_FRAMES;
    return WHY_KNOWN;
}

static int fill_sharing(struct observer *o, struct observation *out, struct err *e)
{
    for (size_t i = 0; i < o->nwatched; i++)
        for (size_t j = i + 1; j < o->nwatched; j++) {
            const struct watched *a = o->watched[i], *b = o->watched[j];
            struct obs_sharing *s;

            if (!a->seen || !b->seen)
                continue;
            s = observation_add_sharing(out, a->actor, b->actor);
            if (!s)
                return err_no_memory(e);
            if (!a->pagemap.frames || !b->pagemap.frames) {
                s->frames = s->region_frames = value_unknown(WHY_NO_FRAMES);
                continue;
            }
            s->region_frames =
                value_known((int64_t)frame_set_common(&a->region_frames, &b->region_frames));
            s->frames = o->opt.whole_process
                            ? value_known((int64_t)frame_set_common(&a->frames, &b->frames))
                            : value_unknown(WHY_NOT_REPORTED);
        }
    return 0;
}

/* Resident pages of an object that are in no page table, and of these the ones that nobody can
 * see any more: no message carries the object, and every mapping that covers the page has a private
 * copy instead. A descriptor alone shows nothing: whoever holds one (a message layer keeps it as
 * long as the memory exists) would have to map the object anew. */
static void object_only(const struct seen_object *s, uint64_t *unmapped, uint64_t *superseded)
{
    uint64_t hidden = 0;

    for (uint64_t i = 0; i < s->npages / 64 + 1; i++) {
        *unmapped += (uint64_t)__builtin_popcountll(s->resident_bits[i] & ~s->mapped[i]);
        hidden +=
            (uint64_t)__builtin_popcountll(s->resident_bits[i] & ~s->mapped[i] & ~s->visible[i]);
    }
    if (!s->carriers)
        *superseded += hidden;
}

static void fill_objects(const struct observer *o, struct value *totals)
{
    uint64_t only = 0, transit = 0, superseded = 0;
    enum why only_why = o->descriptors_unseen ? WHY_NO_OBJECT_ACCESS : WHY_KNOWN,
             transit_why = WHY_KNOWN;
    bool blind = false;

    for (size_t i = 0; i < o->nwatched; i++)
        blind |= o->watched[i]->seen && o->watched[i]->pagemap.fd < 0;
    for (size_t i = 0; i < o->nobjects; i++) {
        const struct seen_object *s = &o->objects[i];
        bool held = s->processes || s->descriptor;

        if (!s->own)
            continue;
        if (s->processes && blind)
            only_why = WHY_PERMISSION; /* what is mapped of it cannot be seen */
        else if (s->why_resident != WHY_KNOWN)
            *(held ? &only_why : &transit_why) = s->why_resident;
        else if (held)
            object_only(s, &only, &superseded);
        else
            transit += s->resident;
    }
    totals[TQ_OBJECT_ONLY] = only_why ? value_unknown(only_why) : kb(o, only);
    totals[TQ_SUPERSEDED] = only_why ? value_unknown(only_why) : kb(o, superseded);
    totals[TQ_IN_TRANSIT] = transit_why ? value_unknown(transit_why) : kb(o, transit);
}

int totals_fill(struct observer *o, struct observation *out, struct err *e)
{
    enum why why = why_no_frames(o);
    const char *source;

    out->totals[TQ_DISTINCT] = why ? value_unknown(why) : kb(o, o->frames.distinct);
    out->totals[TQ_DISTINCT_FILE] = why ? value_unknown(why) : kb(o, o->frames.distinct_file);
    fill_objects(o, out->totals);
    system_read_meminfo(out->totals, &o->text, &o->cost[COST_MEMINFO]);
    source =
        system_read_cgroup(o->cgroup, o->page_size, out->totals, &o->text, &o->cost[COST_CGROUP]);
    if (source && !(out->system_source = strdup(source)))
        return err_no_memory(e);
    return fill_sharing(o, out, e);
}
