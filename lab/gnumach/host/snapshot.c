#include "lab/gnumach/host/snapshot.h"

#include "lab/gnumach/protocol.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* More than any guest has: what claims to be larger is refused before memory is taken for it. */
#ifndef PAGES_MAX
#define PAGES_MAX (1u << 24) /* of an object or a range: 64 GiB */
#endif
#define FRAMES_MAX (1u << 24)
#define LIST_MAX (1u << 20)
#ifndef CHAIN_MAX
#define CHAIN_MAX 1000
#endif
#define NUMBER_MAX (1ull << 48) /* of anything counted; only objects' ids are larger */

void snapshot_init(struct snapshot *s)
{
    memset(s, 0, sizeof *s);
}

void snapshot_release(struct snapshot *s)
{
    for (size_t i = 0; i < s->nobjects; i++)
        free(s->objects[i].frame);
    free(s->tasks);
    free(s->regions);
    free(s->entries);
    free(s->transits);
    free(s->pieces);
    free(s->objects);
    free(s->descriptors);
    free(s->text);
    snapshot_init(s);
}

void snapshot_clear(struct snapshot *s)
{
    snapshot_release(s);
}

static int no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "out of memory");
}

/* Room for one more element, zeroed; NULL without memory or beyond all reason. */
static void *append(void *list, size_t *count, size_t size)
{
    char **at = list;
    char *grown;

    if (*count >= LIST_MAX)
        return NULL;
    /* grow at powers of two */
    if ((*count & (*count - 1)) == 0) {
        grown = realloc(*at, (*count ? *count * 2 : 1) * size);
        if (!grown)
            return NULL;
        *at = grown;
    }
    memset(*at + *count * size, 0, size);
    return *at + (*count)++ * size;
}

/* Several counted numbers. */
static int counts(char **f, uint64_t *n, size_t count, struct err *e)
{
    int rc = fields_u64(f, n, count, e);

    for (size_t i = 0; i < count && rc == 0; i++)
        if (n[i] >= NUMBER_MAX)
            rc = err_set(e, EBADMSG, "record of a number that cannot be: %" PRIu64, n[i]);
    return rc;
}

static int add_task(struct snapshot *s, char *f, struct err *e)
{
    struct snap_task *t = append(&s->tasks, &s->ntasks, sizeof *t);
    uint64_t n[8];
    int rc = t ? counts(&f, n, 8, e) : no_memory(e);

    if (rc < 0)
        return rc;
    *t = (struct snap_task){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]};
    return t->actor < GUEST_MAX_ACTORS ? 0 : err_set(e, EBADMSG, "record of an unknown actor");
}

static int add_region(struct snapshot *s, char *f, struct err *e)
{
    struct snap_region *g = append(&s->regions, &s->nregions, sizeof *g);
    int rc = g ? field_u64(&f, &g->actor, e) : no_memory(e);

    if (rc == 0)
        rc = field_u64(&f, &g->slot, e);
    if (rc == 0)
        rc = field_hex(&f, &g->address, e);
    if (rc == 0)
        rc = field_u64(&f, &g->bytes, e);
    if (rc == 0 && (g->bytes == 0 || g->bytes / GUEST_PAGE_SIZE > PAGES_MAX))
        rc = err_set(e, EBADMSG, "record of a region of %" PRIu64 " bytes", g->bytes);
    return rc;
}

static int add_entry(struct snapshot *s, char *f, struct err *e)
{
    struct snap_entry *x = append(&s->entries, &s->nentries, sizeof *x);
    uint64_t n[6];
    int rc = x ? field_u64(&f, &x->actor, e) : no_memory(e);

    if (rc == 0)
        rc = field_hex(&f, &x->start, e);
    if (rc == 0)
        rc = field_hex(&f, &x->end, e);
    if (rc == 0)
        rc = fields_u64(&f, n, 6, e);
    if (rc < 0)
        return rc;
    x->protection = n[0];
    x->max_protection = n[1];
    x->inheritance = n[2];
    x->needs_copy = n[3];
    x->object = n[4];
    x->offset = n[5];
    if (x->start >= x->end || (x->end - x->start) / GUEST_PAGE_SIZE > PAGES_MAX)
        return err_set(e, EBADMSG, "record of an entry that cannot be");
    return x->actor < GUEST_MAX_ACTORS ? 0 : err_set(e, EBADMSG, "record of an unknown actor");
}

static int add_transit(struct snapshot *s, char *f, struct err *e)
{
    struct snap_transit *t = append(&s->transits, &s->ntransits, sizeof *t);
    uint64_t n[5];
    int rc = t ? counts(&f, n, 5, e) : no_memory(e);

    if (rc == 0)
        *t = (struct snap_transit){n[0], n[1], n[2], n[3], n[4], s->npieces, 0};
    return rc;
}

static int add_piece(struct snapshot *s, char *f, struct err *e)
{
    struct snap_piece *p = append(&s->pieces, &s->npieces, sizeof *p);
    uint64_t n[3];
    int rc = p ? fields_u64(&f, n, 3, e) : no_memory(e);

    if (rc < 0)
        return rc;
    if (!s->ntransits)
        return err_set(e, EBADMSG, "record of a piece without a message");
    if (n[1] > PAGES_MAX || n[2] / GUEST_PAGE_SIZE > PAGES_MAX)
        return err_set(e, EBADMSG, "record of a piece that cannot be");
    *p = (struct snap_piece){n[0], n[1], n[2]};
    s->transits[s->ntransits - 1].npieces++;
    return 0;
}

static int add_object(struct snapshot *s, char *f, struct err *e)
{
    struct snap_object *o = append(&s->objects, &s->nobjects, sizeof *o);
    uint64_t n[3], m[3];
    int rc = o ? field_u64(&f, &o->id, e) : no_memory(e);

    if (rc == 0)
        rc = counts(&f, n, 3, e);
    if (rc == 0)
        rc = field_u64(&f, &o->shadow, e);
    if (rc == 0)
        rc = counts(&f, m, 1, e);
    if (rc == 0)
        rc = fields_u64(&f, m + 1, 2, e);
    if (rc < 0)
        return rc;
    o->size = n[0];
    o->refs = n[1];
    o->resident = n[2];
    o->shadow_offset = m[0];
    o->copy = m[1];
    o->state = m[2];
    return 0;
}

static int object_of_record(struct snapshot *s, char **f, struct snap_object **out, struct err *e)
{
    uint64_t id;
    int rc = field_u64(f, &id, e), at;

    if (rc < 0)
        return rc;
    at = snapshot_object(s, id);
    if (at < 0)
        return err_set(e, EBADMSG, "record of an object that was not told");
    *out = &s->objects[at];
    return 0;
}

static int grow_frames(struct snap_object *o, uint64_t pages, struct err *e)
{
    uint32_t *grown;
    size_t n = o->nframes ? o->nframes : 16;

    if (pages <= o->nframes)
        return 0;
    while (n < pages)
        n *= 2;
    grown = realloc(o->frame, n * sizeof *grown);
    if (!grown)
        return no_memory(e);
    memset(grown + o->nframes, 0, (n - o->nframes) * sizeof *grown);
    o->frame = grown;
    o->nframes = n;
    return 0;
}

/* P: any number of runs {first, count, frame, step}. */
static int add_pages(struct snapshot *s, char *f, struct err *e)
{
    struct snap_object *o;
    int rc = object_of_record(s, &f, &o, e);

    while (rc == 0 && *f) {
        uint64_t first, count, frame;
        int64_t step;

        if ((rc = field_u64(&f, &first, e)) < 0 || (rc = field_u64(&f, &count, e)) < 0 ||
            (rc = field_hex(&f, &frame, e)) < 0 || (rc = field_i64(&f, &step, e)) < 0)
            return rc;
        if (first >= PAGES_MAX || count > PAGES_MAX - first || count == 0 || frame == 0 ||
            frame >= FRAMES_MAX || (step != 1 && step != -1) || (step < 0 && count > frame))
            return err_set(e, EBADMSG, "record of pages that cannot be");
        rc = grow_frames(o, first + count, e);
        for (uint64_t i = 0; rc == 0 && i < count; i++)
            o->frame[first + i] = (uint32_t)((int64_t)frame + (int64_t)i * step);
        o->listed += count;
    }
    return rc;
}

static int add_unlisted(struct snapshot *s, char *f, struct err *e)
{
    struct snap_object *o;
    int rc = object_of_record(s, &f, &o, e);

    if (rc == 0)
        o->unlisted = true;
    return rc;
}

static int add_message(struct snapshot *s, char *f, struct err *e)
{
    size_t len;
    char *text;
    int rc = field_i64(&f, &s->message_id, e);

    if (rc == 0)
        rc = field_u64(&f, &s->message_bytes, e);
    if (rc == 0)
        rc = field_u64(&f, &s->message_descriptors, e);
    if (rc == 0)
        rc = field_text(&f, &text, &len, e);
    if (rc < 0)
        return rc;
    if (s->has_message)
        return err_set(e, EBADMSG, "two messages received in one step");
    s->has_message = true;
    if (strcmp(text, "-") != 0) {
        s->text = strndup(text, len);
        if (!s->text)
            return no_memory(e);
    }
    return 0;
}

static int add_descriptor(struct snapshot *s, char *f, struct err *e)
{
    struct snap_descriptor *d = append(&s->descriptors, &s->ndescriptors, sizeof *d);
    uint64_t n[7];
    int rc = d ? counts(&f, n, 7, e) : no_memory(e);

    if (rc == 0)
        *d = (struct snap_descriptor){n[0], n[1], n[2], n[3], n[4], n[5], n[6]};
    return rc;
}

static int add_answer(struct snapshot *s, char *f, struct err *e)
{
    uint64_t step, n[4];
    int rc = field_u64(&f, &step, e);

    if (rc == 0)
        rc = field_i64(&f, &s->rc, e);
    if (rc == 0)
        rc = counts(&f, n, 4, e);
    if (rc < 0)
        return rc;
    s->start_ns = n[0];
    s->dur_ns = n[1];
    s->sent = n[2];
    s->sent_bytes = n[3];
    return 0;
}

static int add_stamps(struct snapshot *s, char *f, struct err *e)
{
    uint64_t n[5];
    int rc = counts(&f, n, 5, e);

    if (rc < 0)
        return rc;
    s->checked = n[1];
    s->wrong = n[2];
    s->first_wrong = n[3];
    s->found = n[4];
    return s->wrong <= s->checked ? 0 : err_set(e, EBADMSG, "record of stamps that cannot be");
}

static int add_edges(struct snapshot *s, char *f, struct err *e)
{
    uint64_t n[5];
    int rc = counts(&f, n, 5, e);

    if (rc < 0)
        return rc;
    s->has_edges = true;
    s->before_bytes = n[1];
    s->before_nonzero = n[2];
    s->after_bytes = n[3];
    s->after_nonzero = n[4];
    return 0;
}

static int add_statistics(struct snapshot *s, char *f, struct err *e)
{
    uint64_t n[7];
    int rc = counts(&f, n, 7, e);

    if (rc < 0)
        return rc;
    s->free = n[0];
    s->active = n[1];
    s->inactive = n[2];
    s->wired = n[3];
    s->zero_fills = n[4];
    s->faults = n[5];
    s->cow_faults = n[6];
    return 0;
}

int snapshot_add(struct snapshot *s, struct record *r, struct err *e)
{
    static const struct {
        char letter;
        int (*add)(struct snapshot *s, char *fields, struct err *e);
    } kinds[] = {{'S', add_answer},   {'M', add_message},   {'V', add_descriptor},
                 {'C', add_stamps},   {'G', add_edges},     {'T', add_task},
                 {'R', add_region},   {'E', add_entry},     {'F', add_transit},
                 {'I', add_piece},    {'O', add_object},    {'P', add_pages},
                 {'U', add_unlisted}, {'Y', add_statistics}};

    s->records++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].letter == r->letter)
            return kinds[i].add(s, r->fields, e);
    return err_set(e, EBADMSG, "record of an unknown kind '%c'", r->letter);
}

int snapshot_object(const struct snapshot *s, uint64_t id)
{
    /* the record in hand mostly belongs to the object told last */
    for (size_t i = s->nobjects; i-- > 0;)
        if (s->objects[i].id == id)
            return (int)i;
    return -1;
}

const struct snap_task *snapshot_task(const struct snapshot *s, uint64_t actor)
{
    for (size_t i = 0; i < s->ntasks; i++)
        if (s->tasks[i].actor == actor)
            return &s->tasks[i];
    return NULL;
}

struct seen_page snapshot_see(const struct snapshot *s, uint64_t object, uint64_t page)
{
    struct seen_page seen = {0, 0, false};

    for (int depth = 0; object && depth < CHAIN_MAX; depth++) {
        int at = snapshot_object(s, object);
        const struct snap_object *o;

        if (at < 0) {
            seen.unsure = true;
            return seen;
        }
        o = &s->objects[at];
        seen.unsure |= o->unlisted;
        if (page < o->nframes && o->frame[page]) {
            seen.frame = o->frame[page];
            seen.depth = depth;
            return seen;
        }
        page += o->shadow_offset;
        object = o->shadow;
    }
    return seen;
}
