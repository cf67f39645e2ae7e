#include "lab/gnumach/host/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int checks_add(struct step_result *out, const struct two_sources *c, struct err *e, const char *fmt,
               ...)
{
    struct obs_check *to =
        observation_add_check(&out->obs, c->check, c->observed, c->slot ? c->slot->region : NULL);
    va_list ap;
    int n = 0;

    if (!to)
        return err_no_memory(e);
    if (c->slot && c->slot->case_name && !(to->case_name = strdup(c->slot->case_name)))
        return err_no_memory(e);
    to->left = value_known(c->left);
    to->right = value_known(c->right);
    to->verdict = c->left == c->right ? CHECK_HELD : CHECK_DIFFERS;
    va_start(ap, fmt);
    if (fmt && (n = vasprintf(&to->detail, fmt, ap)) < 0)
        to->detail = NULL;
    va_end(ap);
    return n < 0 ? err_no_memory(e) : 0;
}

/* What objects say of themselves against the pages that they list. */
static int check_objects(struct reading *r, struct step_result *out, struct err *e)
{
    struct two_sources c = {.check = "object_pages"};

    for (size_t i = 0; i < r->snap->nobjects; i++) {
        const struct snap_object *o = &r->snap->objects[i];

        c.left += o->unlisted ? 0 : (int64_t)o->resident;
        c.right += o->unlisted ? 0 : (int64_t)o->listed;
    }
    return checks_add(out, &c, e, "resident pages that the objects count; pages that they list");
}

/* Of the region that the step is about. */
static struct two_sources of_step(const struct reading *r, const char *check, uint64_t left,
                                  uint64_t right)
{
    return (struct two_sources){check, r->step->actor,
                                r->step_slot >= 0 ? &r->slots[r->step_slot] : NULL, (int64_t)left,
                                (int64_t)right};
}

static int check_stamps(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snap_stamps *s = &r->snap->stamps;
    struct two_sources c = of_step(r, "stamps", s->checked, s->checked - s->wrong);

    out->stamps = (struct stamp_result){s->checked, s->wrong, s->first_wrong, (char)s->found};
    if (!s->checked)
        return 0;
    if (!s->wrong)
        return checks_add(out, &c, e, NULL);
    return checks_add(
        out, &c, e, "pages read against pages that carry stamp '%c'; page %llu carries %s%c%s",
        r->step->stamp, (unsigned long long)s->first_wrong, s->found ? "stamp '" : "no stamp",
        s->found ? (char)s->found : ' ', s->found ? "'" : "");
}

/* Bytes of the sender's that share the first and last page with what it sent. */
static int check_edges(struct reading *r, struct step_result *out, struct err *e)
{
    const struct snap_edges *s = &r->snap->edges;
    struct two_sources c = of_step(r, "stray_bytes", s->before_nonzero + s->after_nonzero, 0);

    if (!s->there)
        return 0;
    return checks_add(
        out, &c, e,
        "bytes that are not zero among the %llu before and the %llu after the received "
        "range: whole pages travel, with what the sender had there",
        (unsigned long long)s->before_bytes, (unsigned long long)s->after_bytes);
}

int checks_tell(struct reading *r, struct step_result *out, struct err *e)
{
    int rc;

    if ((rc = check_objects(r, out, e)) == 0 && (rc = check_stamps(r, out, e)) == 0)
        rc = check_edges(r, out, e);
    return rc;
}
