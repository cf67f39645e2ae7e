#include "lab/gnumach/host/state.h"

#define RUNS_MAX 4096 /* kept per object and region */
#ifndef CHAIN_MAX
#define CHAIN_MAX 1000
#endif

static int object_runs(struct reading *r, const struct snap_object *o, struct obs_object *out,
                       uint64_t offset, uint64_t at, uint64_t pages, struct err *e)
{
    /* a region stands in for the list: runs join there */
    struct obs_region list = {.runs = out->runs, .nruns = out->nruns};
    int rc = 0;

    for (uint64_t i = 0; i < pages && rc == 0 && list.nruns < RUNS_MAX; i++) {
        uint32_t frame = offset + i < o->nframes ? o->frame[offset + i] : 0;
        struct page_run run = {.first = at + i, .count = 1, .mapcount = -1};

        if (!frame)
            continue;
        run.frame = numbers_frame(&r->numbers, frame);
        rc = obs_region_add_run(&list, &run);
    }
    out->runs = list.runs;
    out->nruns = list.nruns;
    return rc < 0 ? err_no_memory(e) : 0;
}

static struct obs_object *told_already(struct obs_region *g, uint64_t number)
{
    for (size_t i = 0; i < g->nobjects; i++)
        if (g->objects[i].number == number)
            return &g->objects[i];
    return NULL;
}

/* start: the page of the object that is, or would be, at the region's first. */
static struct obs_object *add_object(struct obs_region *g, const struct snap_object *o,
                                     uint64_t number, int64_t start)
{
    int depth = (int)g->nobjects;
    struct obs_object *out = obs_region_add_object(g);

    if (!out)
        return NULL;
    out->number = number;
    out->depth = depth;
    out->kind = "internal";
    out->refs = value_known((int64_t)o->refs);
    out->size = value_known((int64_t)o->size);
    out->resident = value_known((int64_t)o->resident);
    out->offset = value_known(start);
    return out;
}

int chain_tell(struct reading *r, struct obs_region *g, uint64_t object, uint64_t offset,
               uint64_t at, uint64_t pages, struct err *e)
{
    for (int n = 0; object && n < CHAIN_MAX; n++) {
        const struct snap_object *o = snapshot_object(r->snap, object);
        uint64_t number = numbers_object(&r->numbers, object);
        struct obs_object *out = told_already(g, number);
        int rc;

        if (!o)
            return 0;
        if (!out && !(out = add_object(g, o, number, (int64_t)(offset - at))))
            return err_no_memory(e);
        rc = object_runs(r, o, out, offset, at, pages, e);
        if (rc < 0)
            return rc;
        offset += o->shadow_offset;
        object = o->shadow;
    }
    return 0;
}
