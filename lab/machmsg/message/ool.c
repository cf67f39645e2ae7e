/* ool: see ool.h. */
#include "lab/machmsg/message/ool.h"
#include "lab/machmsg/memory/contents.h"
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/memory/place.h"
#include "probes/receive.h"
#include <errno.h>
#include <mach/mach_types.h>
#include <sys/mman.h>
#include <unistd.h>

const char *ool_why_text(unsigned int why)
{
#define OOL_WHY_CASE(e, code, text)                                                                \
    case code:                                                                                     \
        return text;
    switch (why) {
        OOL_WHYS(OOL_WHY_CASE)
    default:
        return "not a rule of this version";
    }
}

const char *ool_done_text(unsigned int done)
{
    static const char *const text[] = {"not told", "null", "shared", "moved", "copied"};

    return text[done < sizeof text / sizeof text[0] ? done : 0];
}

/* Is the source exactly one whole object, as far as the table knows? 0, or the rule that says no.
 */
static enum ool_why whole_object(const struct ool_source *s, struct range **out)
{
    struct range *r = range_find(s->address);

    if (!r || !r->object)
        return r && r->plain ? OOL_WHY_NO_OBJECT : OOL_WHY_FOREIGN;
    if (r->start != s->address || r->end != s->address + s->size || r->offset != 0 ||
        r->object->size != s->size)
        return OOL_WHY_PART;
    if (r->object->kin || r->inherit == VM_INHERIT_SHARE)
        return OOL_WHY_KIN;
    if (object_fd(r->object) < 0)
        return OOL_WHY_NO_OBJECT;
    *out = r;
    return OOL_WHY_NONE;
}

/* Shares the source's object, having made the sender's view of it private. 0 and *object set; 0
 * and *why set: it has to be copied; -EFAULT; or another negative errno: the kernel did not say. */
static int share(const struct ool_source *s, struct object **object, enum ool_why *why)
{
    struct mapping m;
    struct range *r = NULL;
    bool modified = false;
    int rc;

    *why = whole_object(s, &r);
    if (*why)
        return 0;
    if (r->kind == MEM_PRIVATE && (rc = mem_modified(r->start, r->end, &modified)) != 0)
        return rc;
    if (modified) {
        *why = OOL_WHY_WRITTEN;
        return 0;
    }
    rc = mem_query(s->address, &m);
    if (rc && rc != -ENOENT)
        return rc;
    if (rc || m.start != s->address || m.end != s->address + s->size ||
        !range_shows(r, &m, s->address) || m.shared != (r->kind == MEM_SHARED)) {
        *why = OOL_WHY_CHANGED;
        return 0;
    }
    if (!m.readable)
        return -EFAULT;
    if (r->kind == MEM_SHARED) {
        if (range_remap(r->inherit, r->start, r->end, mem_to_prot(mem_from_prot(&m)), r->object, 0,
                        MAP_PRIVATE)) {
            *why = OOL_WHY_NO_ROOM;
            return 0;
        }
        r->kind = MEM_PRIVATE;
    }
    if (object_seal(r->object)) {
        *why = OOL_WHY_UNSEALED;
        return 0;
    }
    *object = object_ref(r->object);
    *why = s->deallocate ? OOL_WHY_MOVED : OOL_WHY_WHOLE;
    return 0;
}

static bool any_purgeable(const struct ool_source *s)
{
    for (uint64_t at = s->address; at < s->address + s->size;) {
        const struct range *r = range_next(at);

        if (!r || r->start >= s->address + s->size)
            return false;
        if (r->purgeable)
            return true;
        at = r->end;
    }
    return false;
}

/* The decision. Under mem_lock. */
static int prepare(const struct ool_source *s, struct wire_item *item, struct object **object)
{
    const bool native = mem_native(), small = s->size <= SMALL_MAX;
    enum ool_why why = OOL_WHY_NONE;
    int rc;

    if (!native && !small && s->physical && !s->deallocate)
        why = OOL_WHY_PHYSICAL;
    else if (!native && small)
        why = OOL_WHY_SMALL;
    else if (!native && any_purgeable(s))
        why = OOL_WHY_PURGEABLE;
    else if (mem_wired(mem_trunc(s->address), s->address + s->size))
        why = OOL_WHY_WIRED;
    item->kind = why == OOL_WHY_NONE || why == OOL_WHY_PHYSICAL ? WIRE_OOL_MAP : WIRE_OOL_ANON;
    item->done = OOL_DONE_COPIED;
    rc = why == OOL_WHY_NONE ? share(s, object, &why) : 0;
    item->why = why;
    if (*object)
        item->done = s->deallocate ? OOL_DONE_MOVED : OOL_DONE_SHARED;
    else if (rc == 0)
        rc = object_stage(object, s->address, s->address + s->size, why == OOL_WHY_PHYSICAL);
    return rc;
}

int ool_prepare(const struct ool_source *s, struct wire_item *item, struct object **object)
{
    uint64_t start, end;
    int rc;

    *object = NULL;
    *item = (struct wire_item){
        .kind = WIRE_OOL_NULL, .done = OOL_DONE_NULL, .why = OOL_WHY_NULL, .value = s->size};
    if (s->size == 0)
        return 0;
    if (!mem_pages(s->address, s->size, &start, &end))
        return -EFAULT;
    mem_lock();
    rc = s->deallocate ? range_room() : 0; /* for ool_commit, which cannot say what is short */
    if (rc == 0)
        rc = prepare(s, item, object);
    mem_unlock();
    return rc;
}

void ool_commit(const struct ool_source *s)
{
    if (s->deallocate)
        mem_release(s->address, s->size);
}

/* Behind the last byte sent there must be zeros only. */
static bool clean_tail(int fd, uint64_t size)
{
    const uint64_t tail = mem_round(size) - size;
    unsigned char bytes[4096];

    for (uint64_t at = 0; at < tail;) {
        ssize_t n = pread(fd, bytes, sizeof bytes, (off_t)(size + at));

        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i])
                return false;
        at += (uint64_t)n;
    }
    return true;
}

/* Copies what exists in the object, and nothing beyond size bytes, to fresh memory. */
static int unpack(int fd, unsigned char *to, uint64_t size)
{
    uint64_t from, end;
    int rc;

    for (uint64_t at = 0; (rc = object_next_data(fd, at, size, &from, &end)) > 0; at = end)
        if ((rc = object_read(fd, to + from, end - from, from)) != 0)
            break;
    return rc;
}

static int receive_map(int fd, uint64_t size, uint64_t *address)
{
    struct range r = {.kind = MEM_PRIVATE,
                      .inherit = VM_INHERIT_COPY,
                      .prot = VM_PROT_DEFAULT,
                      .max_prot = VM_PROT_ALL};
    const uint64_t len = mem_round(size);
    int rc = object_adopt(&r.object, fd, len, true);
    void *p;

    if (rc == 0 && (rc = range_room()) != 0)
        object_unref(r.object);
    if (rc)
        return rc;
    p = mem_place(len, vm_page_mask, PLACE_ALONE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    if (p == MAP_FAILED) {
        rc = -errno;
        object_unref(r.object);
        return rc;
    }
    (void)object_keep(r.object); /* without, it is shared all the same, but copied when sent on */
    r.start = *address = (uint64_t)p;
    r.end = r.start + len;
    range_add(&r);
    return 0;
}

static int receive_anon(int fd, uint64_t size, uint64_t *address)
{
    int rc = mem_fresh(size, address);

    if (rc == 0 && (rc = unpack(fd, (void *)*address, size)) != 0)
        munmap((void *)*address, mem_round(size));
    close(fd);
    return rc;
}

int ool_receive(const struct wire_item *item, int fd, uint64_t *address)
{
    int rc;

    *address = 0;
    if (item->kind == WIRE_OOL_NULL)
        return 0;
    if (!object_is_sealed(fd, item->value, true) || !clean_tail(fd, item->value)) {
        receive_drop(fd);
        return -EBADMSG;
    }
    if (item->kind == WIRE_OOL_MAP) {
        mem_lock();
        rc = receive_map(fd, item->value, address);
        mem_unlock();
    } else {
        rc = receive_anon(fd, item->value, address);
    }
    if (rc)
        *address = 0;
    return rc;
}
