#include "lab/gnumach/host/snapshot.h"

#include "lab/gnumach/protocol.h"
#include "probes/list.h"
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
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
    FREE_ALL(s->tasks, s->regions, s->entries, s->transits, s->pieces, s->objects, s->descriptors,
             s->message.text);
    snapshot_init(s);
}

/* Room for one more element, zeroed; NULL without memory or beyond all reason. */
static void *append(void *list, size_t *count, size_t size)
{
    return *count < LIST_MAX ? list_add(list, count, NULL, size) : NULL;
}

/* One field per letter of `form`: c a count, u any number, x a hex one, i one with a sign. */
static int take_numbers(char **f, const char *form, uint64_t *out, struct err *e)
{
    int rc = 0;

    for (; *form && rc == 0; form++, out++) {
        rc = *form == 'x'   ? field_hex(f, out, e)
             : *form == 'i' ? field_i64(f, (int64_t *)out, e)
                            : field_u64(f, out, e);
        if (rc == 0 && *form == 'c' && *out >= NUMBER_MAX)
            rc = err_set(e, EBADMSG, "record of a number that cannot be: %" PRIu64, *out);
    }
    return rc;
}

/* -- what a record may say -------------------------------------------------------------- */

/* Each is called when the fields of its record are in place, the last ones of their table. */

static int check_actor(uint64_t actor, struct err *e)
{
    return actor < GUEST_MAX_ACTORS ? 0 : err_set(e, EBADMSG, "record of an unknown actor");
}

static int check_task(struct snapshot *s, struct err *e)
{
    return check_actor(s->tasks[s->ntasks - 1].actor, e);
}

static int check_region(struct snapshot *s, struct err *e)
{
    uint64_t bytes = s->regions[s->nregions - 1].bytes;

    if (bytes == 0 || bytes / GUEST_PAGE_SIZE > PAGES_MAX)
        return err_set(e, EBADMSG, "record of a region of %" PRIu64 " bytes", bytes);
    return 0;
}

static int check_entry(struct snapshot *s, struct err *e)
{
    const struct snap_entry *x = &s->entries[s->nentries - 1];

    if (x->start >= x->end || (x->end - x->start) / GUEST_PAGE_SIZE > PAGES_MAX)
        return err_set(e, EBADMSG, "record of an entry that cannot be");
    return check_actor(x->actor, e);
}

static int check_transit(struct snapshot *s, struct err *e)
{
    (void)e;
    s->transits[s->ntransits - 1].first_piece = s->npieces;
    return 0;
}

static int check_piece(struct snapshot *s, struct err *e)
{
    const struct snap_piece *p = &s->pieces[s->npieces - 1];

    if (!s->ntransits)
        return err_set(e, EBADMSG, "record of a piece without a message");
    if (p->offset > PAGES_MAX || p->bytes / GUEST_PAGE_SIZE > PAGES_MAX)
        return err_set(e, EBADMSG, "record of a piece that cannot be");
    s->transits[s->ntransits - 1].npieces++;
    return 0;
}

static int check_stamps(struct snapshot *s, struct err *e)
{
    return s->stamps.wrong <= s->stamps.checked
               ? 0
               : err_set(e, EBADMSG, "record of stamps that cannot be");
}

static int check_edges(struct snapshot *s, struct err *e)
{
    (void)e;
    s->edges.there = true;
    return 0;
}

/* -- records that are more than numbers ------------------------------------------------- */

static int object_of_record(struct snapshot *s, char **f, struct snap_object **out, struct err *e)
{
    uint64_t id;
    int rc = field_u64(f, &id, e);

    if (rc < 0)
        return rc;
    *out = (struct snap_object *)snapshot_object(s, id);
    return *out ? 0 : err_set(e, EBADMSG, "record of an object that was not told");
}

static int grow_frames(struct snap_object *o, uint64_t pages, struct err *e)
{
    size_t most = 2 * o->nframes;

    if (pages > o->nframes && LIST_ROOM(o->frame, o->nframes, pages > most ? pages : most) < 0)
        return err_no_memory(e);
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
    struct snap_message *m = &s->message;
    size_t len;
    char *text;
    int rc = take_numbers(&f, "iuu", &m->id, e);

    rc = rc ? rc : field_text(&f, &text, &len, e);
    if (rc < 0)
        return rc;
    if (m->there)
        return err_set(e, EBADMSG, "two messages received in one step");
    m->there = true;
    if (strcmp(text, "-") != 0 && !(m->text = strndup(text, len)))
        return err_no_memory(e);
    return 0;
}

/* -- the kinds of records --------------------------------------------------------------- */

/* How a record is taken: by a function of its own; or its fields as `form` says (see
 * take_numbers()) into a new element of the list at `list`, or into the struct at `list` where size
 * is 0; then `check` has its say. */
struct kind {
    char letter;
    int (*add)(struct snapshot *s, char *fields, struct err *e);
    const char *form;
    size_t list, count, size;
    int (*check)(struct snapshot *s, struct err *e);
};

#define LIST(field)                                                                                \
    offsetof(struct snapshot, field), offsetof(struct snapshot, n##field),                         \
        sizeof *((struct snapshot *)0)->field
#define ONCE(field) offsetof(struct snapshot, field), 0, 0

static const struct kind kinds[] = {
    {'S', NULL, "uicccc", ONCE(answer), NULL},
    {'C', NULL, "ccccc", ONCE(stamps), check_stamps},
    {'G', NULL, "ccccc", ONCE(edges), check_edges},
    {'Y', NULL, "ccccccc", ONCE(machine), NULL},
    {'T', NULL, "cccccccc", LIST(tasks), check_task},
    {'R', NULL, "uuxu", LIST(regions), check_region},
    {'E', NULL, "uxxuuuuuu", LIST(entries), check_entry},
    {'F', NULL, "ccccc", LIST(transits), check_transit},
    {'I', NULL, "uuu", LIST(pieces), check_piece},
    {'O', NULL, "ucccucuu", LIST(objects), NULL},
    {'V', NULL, "ccccccc", LIST(descriptors), NULL},
    {'M', add_message, NULL, 0, 0, 0, NULL},
    {'P', add_pages, NULL, 0, 0, 0, NULL},
    {'U', add_unlisted, NULL, 0, 0, 0, NULL},
};

static int add(struct snapshot *s, const struct kind *k, char *fields, struct err *e)
{
    char *at = (char *)s + k->list;
    void *to = k->size ? append(at, (size_t *)((char *)s + k->count), k->size) : at;
    int rc;

    if (k->add)
        return k->add(s, fields, e);
    rc = to ? take_numbers(&fields, k->form, to, e) : err_no_memory(e);
    return rc == 0 && k->check ? k->check(s, e) : rc;
}

int snapshot_add(struct snapshot *s, struct record *r, struct err *e)
{
    s->records++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].letter == r->letter)
            return add(s, &kinds[i], r->fields, e);
    return err_set(e, EBADMSG, "record of an unknown kind '%c'", r->letter);
}

/* -- finding ---------------------------------------------------------------------------- */

const struct snap_object *snapshot_object(const struct snapshot *s, uint64_t id)
{
    /* the record in hand mostly belongs to the object told last */
    for (size_t i = s->nobjects; i-- > 0;)
        if (s->objects[i].id == id)
            return &s->objects[i];
    return NULL;
}

const struct snap_task *snapshot_task(const struct snapshot *s, uint64_t actor)
{
    for (size_t i = 0; i < s->ntasks; i++)
        if (s->tasks[i].actor == actor)
            return &s->tasks[i];
    return NULL;
}

const struct snap_entry *snapshot_entry(const struct snapshot *s, uint64_t actor, uint64_t address)
{
    for (size_t i = 0; i < s->nentries; i++) {
        const struct snap_entry *x = &s->entries[i];

        if (x->actor == actor && x->start <= address && address < x->end)
            return x;
    }
    return NULL;
}

size_t snapshot_frames(const struct snapshot *s)
{
    size_t frames = 1;

    for (size_t i = 0; i < s->nobjects; i++)
        for (size_t k = 0; k < s->objects[i].nframes; k++)
            if (s->objects[i].frame[k] >= frames)
                frames = s->objects[i].frame[k] + 1u;
    return frames;
}

/* Into the object above it, when a page was copied up (vm/vm_object.c, vm_object_collapse): not
 * while something else refers to it, nor a copy object, which takes what the object below it had.
 */
static bool can_collapse(const struct snapshot *s, const struct snap_object *o)
{
    const struct snap_object *below = snapshot_object(s, o->shadow);

    return o->refs == 1 && !(below && below->copy == o->id);
}

struct seen_page snapshot_see(const struct snapshot *s, uint64_t object, uint64_t page)
{
    struct seen_page seen = {.top = object, .alone = true, .sole = true};

    for (uint16_t depth = 0; object && depth < CHAIN_MAX; depth++) {
        const struct snap_object *o = snapshot_object(s, object);

        if (!o) {
            seen.unsure = true;
            return seen;
        }
        seen.unsure |= o->unlisted;
        *(depth ? &seen.sole : &seen.alone) &= can_collapse(s, o);
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
