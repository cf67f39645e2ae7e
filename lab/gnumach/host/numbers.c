#include "lab/gnumach/host/numbers.h"
#include "probes/list.h"

#include <stdlib.h>

/* One that was gone meanwhile is another at the same address. */
static int note_objects(struct numbers *n, const struct snapshot *s, int step, struct err *e)
{
    for (size_t i = 0; i < s->nobjects; i++) {
        uint64_t id = s->objects[i].id;
        size_t at = 0;

        while (at < n->nobjects && n->objects[at].id != id)
            at++;
        if (at == n->nobjects && !LIST_ADD(n->objects, n->nobjects))
            return err_no_memory(e);
        if (n->objects[at].last_step < step - 1)
            n->objects[at].number = 0;
        n->objects[at].id = id;
        n->objects[at].last_step = step;
    }
    return 0;
}

int numbers_note(struct numbers *n, const struct snapshot *s, int step, struct err *e)
{
    if (LIST_ROOM(n->frame, n->nframes, snapshot_frames(s)) < 0)
        return err_no_memory(e);
    return note_objects(n, s, step, e);
}

uint64_t numbers_frame(struct numbers *n, uint32_t frame)
{
    if (frame == 0 || frame >= n->nframes)
        return 0;
    if (!n->frame[frame])
        n->frame[frame] = ++n->last_frame;
    return n->frame[frame];
}

uint64_t numbers_object(struct numbers *n, uint64_t id)
{
    for (size_t i = 0; i < n->nobjects; i++) {
        if (n->objects[i].id != id)
            continue;
        if (!n->objects[i].number)
            n->objects[i].number = ++n->last_object;
        return n->objects[i].number;
    }
    return 0;
}

void numbers_release(struct numbers *n)
{
    free(n->frame);
    free(n->objects);
    *n = (struct numbers){0};
}
