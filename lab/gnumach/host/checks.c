#include "lab/gnumach/host/state.h"

/* What objects say of themselves against the pages that they list. */
static int check_objects(struct reading *r, struct step_result *out, struct err *e)
{
    struct two_sources c = {.check = "object_pages"};

    for (size_t i = 0; i < r->snap->nobjects; i++) {
        const struct snap_object *o = &r->snap->objects[i];

        c.left += o->unlisted ? 0 : (int64_t)o->resident;
        c.right += o->unlisted ? 0 : (int64_t)o->listed;
    }
    return step_check(out, &c, e, "resident pages that the objects count; pages that they list");
}

/* Bytes of the sender's that share the first and last page with what it sent. */
static int check_edges(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snap_edges *s = &r->snap->edges;
    struct two_sources c =
        step_sources(r->step, "stray_bytes", s->before_nonzero + s->after_nonzero, 0);

    if (!s->there)
        return 0;
    return step_check(
        out, &c, e,
        "bytes that are not zero among the %llu before and the %llu after the received "
        "range: whole pages travel, with what the sender had there",
        (unsigned long long)s->before_bytes, (unsigned long long)s->after_bytes);
}

int checks_tell(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snap_stamps *s = &r->snap->stamps;
    struct stamp_result seen = {s->checked, s->wrong, s->first_wrong, (char)s->found};
    int rc = check_objects(r, out, e);

    rc = rc ? rc : step_check_stamps(out, r->step, seen, e);
    return rc ? rc : check_edges(r, out, e);
}
