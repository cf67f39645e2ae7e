/* ool: see ool.h. */
#include "lab/machmsg/ool.h"
#include "lab/machmsg/trace.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mach/mach_types.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

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

const char *machmsg_policy(void)
{
    return mem_native() ? "native" : "xnu";
}

static int write_all(int fd, const void *from, uint64_t n, uint64_t at)
{
    const unsigned char *p = from;

    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        p += done;
        at += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return 0;
}

static int write_zeros(int fd, uint64_t n, uint64_t at)
{
    static const unsigned char zeros[65536];
    int rc = 0;

    while (rc == 0 && n > 0) {
        uint64_t part = n < sizeof zeros ? n : sizeof zeros;

        rc = write_all(fd, zeros, part, at);
        at += part;
        n -= part;
    }
    return rc;
}

/* Copies what exists of the source into an object of exactly its size, in runs of pages. every:
 * make the pages too that do not exist. Reading them at the source would make them there. */
static int fill(const struct ool_source *s, struct object *o, bool every)
{
    const uint64_t page = mem_page(), end = s->address + s->size;
    const uint64_t first = mem_trunc(s->address, page), pages = (mem_round(end) - first) / page;
    uint8_t *map = malloc(pages);
    int rc = 0;

    if (!map)
        return -ENOMEM;
    map[0] = 1;
    if (pages > 1) /* of a single page it costs more to ask than to copy */
        rc = mem_touched(first, pages, map);
    for (uint64_t i = 0, n; rc == 0 && i < pages; i += n) {
        uint64_t from = first + i * page, to;

        for (n = 1; i + n < pages && map[i + n] == map[i]; n++)
            continue;
        to = from + n * page < end ? from + n * page : end;
        if (from < s->address)
            from = s->address;
        if (map[i])
            rc = write_all(o->fd, (void *)from, to - from, from - s->address);
        else if (every)
            rc = write_zeros(o->fd, to - from, from - s->address);
    }
    free(map);
    return rc;
}

static int stage(const struct ool_source *s, bool every, struct object **out)
{
    struct object *o;
    int rc = object_create(&o, mem_round(s->size));

    if (rc)
        return rc;
    rc = fill(s, o, every);
    if (rc == 0)
        rc = object_seal(o);
    if (rc)
        object_unref(o);
    else
        *out = o;
    return rc;
}

/* Is the source exactly one whole object, as far as the table knows? 0, or the rule that says no.
 */
static enum ool_why whole_object(const struct ool_source *s, struct range **out)
{
    struct range *r = range_find(s->address);
    bool modified;

    if (!r || !r->object)
        return OOL_WHY_FOREIGN;
    if (r->start != s->address || r->end != s->address + s->size || r->offset != 0 ||
        r->object->size != s->size)
        return OOL_WHY_PART;
    if (r->object->kin || r->inherit == VM_INHERIT_SHARE)
        return OOL_WHY_KIN;
    if (r->kind == MEM_PRIVATE && (mem_modified(r->start, r->end, &modified) || modified))
        return OOL_WHY_WRITTEN;
    *out = r;
    return OOL_WHY_NONE;
}

/* Shares the source's object, having made the sender's view of it private. 0 and *object set; 0
 * and *why set: it has to be copied; or -EFAULT. */
static int share(const struct ool_source *s, struct object **object, enum ool_why *why)
{
    struct mapping m;
    struct range *r = NULL;

    *why = whole_object(s, &r);
    if (*why)
        return 0;
    if (mem_query(s->address, &m) || m.start != s->address || m.end != s->address + s->size ||
        m.inode != r->object->ino || m.offset != 0 || m.shared != (r->kind == MEM_SHARED)) {
        *why = OOL_WHY_CHANGED;
        return 0;
    }
    if (!m.readable)
        return -EFAULT;
    if (r->kind == MEM_SHARED) {
        int prot = PROT_READ | (m.writable ? PROT_WRITE : 0) | (m.executable ? PROT_EXEC : 0);

        if (mmap((void *)r->start, s->size, prot, MAP_PRIVATE | MAP_FIXED, r->object->fd, 0) ==
            MAP_FAILED) {
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
    else if (!native && mem_wired(s->address, s->address + s->size))
        why = OOL_WHY_WIRED;
    item->kind = why == OOL_WHY_NONE || why == OOL_WHY_PHYSICAL ? WIRE_OOL_MAP : WIRE_OOL_ANON;
    item->done = OOL_DONE_COPIED;
    rc = why == OOL_WHY_NONE ? share(s, object, &why) : 0;
    item->why = why;
    if (*object)
        item->done = s->deallocate ? OOL_DONE_MOVED : OOL_DONE_SHARED;
    else if (rc == 0)
        rc = stage(s, why == OOL_WHY_PHYSICAL, object);
    return rc;
}

int ool_prepare(const struct ool_source *s, struct wire_item *item, struct object **object)
{
    int rc;

    *object = NULL;
    *item = (struct wire_item){
        .kind = WIRE_OOL_NULL, .done = OOL_DONE_NULL, .why = OOL_WHY_NULL, .value = s->size};
    if (s->size == 0)
        return 0;
    if (s->address + s->size < s->address || s->address + s->size > UINT64_MAX - mem_page())
        return -EFAULT;
    mem_lock();
    rc = prepare(s, item, object);
    mem_unlock();
    return rc;
}

int ool_release(uint64_t start, uint64_t end)
{
    int rc;

    mem_lock();
    rc = range_forget(start, end);
    if (rc == 0 && munmap((void *)start, end - start))
        rc = -errno;
    if (rc == 0)
        mem_unplaced(start, end);
    mem_unlock();
    return rc;
}

void ool_commit(const struct ool_source *s)
{
    if (s->deallocate && s->size > 0)
        ool_release(mem_trunc(s->address, mem_page()), mem_round(s->address + s->size));
}

bool ool_is_sealed(int fd, uint64_t size, bool whole_pages)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct statfs fs;
    struct stat st;

    if (seals < 0 || (seals & SEALS) != SEALS)
        return false;
    /* Huge pages of the explicit kind can fail a page fault with SIGBUS. */
    if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return false;
    return (uint64_t)st.st_size == (whole_pages ? mem_round(size) : size);
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

static int read_all(int fd, unsigned char *to, uint64_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t done = pread(fd, to, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        to += done;
        at += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return 0;
}

/* Copies what exists in the object, and nothing beyond size bytes, to fresh memory. */
static int unpack(int fd, unsigned char *to, uint64_t size)
{
    off_t at = 0;
    int rc = 0;

    while (rc == 0 && (uint64_t)at < size) {
        off_t data = lseek(fd, at, SEEK_DATA), hole;

        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0 || (uint64_t)data >= size)
            return hole < 0 ? -errno : 0;
        if ((uint64_t)hole > size)
            hole = (off_t)size;
        rc = read_all(fd, to + data, (uint64_t)(hole - data), (uint64_t)data);
        at = hole;
    }
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

    if (rc)
        return rc;
    p = mem_place(len, mem_page() - 1, false, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    if (p == MAP_FAILED) {
        rc = -errno;
        object_unref(r.object);
        return rc;
    }
    r.start = *address = (uint64_t)p;
    r.end = r.start + len;
    rc = range_add(&r);
    if (rc)
        munmap(p, len);
    return rc;
}

static int receive_anon(int fd, uint64_t size, uint64_t *address)
{
    const uint64_t len = mem_round(size);
    void *p = mem_place(len, mem_page() - 1, size <= SMALL_MAX, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int rc = p == MAP_FAILED ? -errno : 0;

    if (rc == 0 && (rc = unpack(fd, p, size)) != 0)
        munmap(p, len);
    *address = (uint64_t)p;
    close(fd);
    return rc;
}

int ool_receive(const struct wire_item *item, int fd, uint64_t *address)
{
    int rc;

    *address = 0;
    if (item->kind == WIRE_OOL_NULL)
        return 0;
    if (!ool_is_sealed(fd, item->value, true) || !clean_tail(fd, item->value)) {
        close(fd);
        return -EBADMSG;
    }
    mem_lock();
    rc = item->kind == WIRE_OOL_MAP ? receive_map(fd, item->value, address)
                                    : receive_anon(fd, item->value, address);
    mem_unlock();
    if (rc)
        *address = 0;
    return rc;
}

uint64_t ool_fresh(uint64_t n)
{
    void *p;

    mem_lock();
    p = mem_place(mem_round(n), mem_page() - 1, n <= SMALL_MAX, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1);
    mem_unlock();
    return p == MAP_FAILED ? 0 : (uint64_t)p;
}
