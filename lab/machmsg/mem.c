/* mem: see mem.h. Objects, the table of ranges, placement. What asks the kernel about memory is in
 * look.c. */
#include "lab/machmsg/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <mach/mach_types.h>
#include <mach/vm_page_size.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

vm_size_t vm_page_size, vm_page_mask, vm_kernel_page_size, vm_kernel_page_mask;
int vm_page_shift, vm_kernel_page_shift;

/* Brings the fork handlers into every program that is linked with this archive. */
extern const char machmsg_fork_handlers;
__attribute__((used)) static const char *const keep_fork_handlers = &machmsg_fork_handlers;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct range *at; /* sorted by start, never overlapping */
    size_t count, capacity;
} ranges;

__attribute__((constructor(101))) static void set_page_size(void)
{
    vm_page_size = vm_kernel_page_size = (vm_size_t)sysconf(_SC_PAGESIZE);
    vm_page_mask = vm_kernel_page_mask = vm_page_size - 1;
    vm_page_shift = vm_kernel_page_shift = __builtin_ctzl(vm_page_size);
}

void mem_lock(void)
{
    pthread_mutex_lock(&lock);
}

void mem_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

uint64_t mem_page(void)
{
    return vm_page_size;
}

uint64_t mem_round(uint64_t x)
{
    return x > UINT64_MAX - vm_page_mask ? mem_trunc(UINT64_MAX, vm_page_size)
                                         : mem_trunc(x + vm_page_mask, vm_page_size);
}

bool mem_native(void)
{
    const char *policy = getenv("COWLAB_MACH_POLICY");

    return policy && strcmp(policy, "native") == 0;
}

/* Index of the first range that ends above address. */
static size_t range_index(uint64_t address)
{
    size_t low = 0, high = ranges.count;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (ranges.at[mid].end > address)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

struct range *range_next(uint64_t address)
{
    size_t i = range_index(address);

    return i < ranges.count ? &ranges.at[i] : NULL;
}

struct range *range_find(uint64_t address)
{
    struct range *r = range_next(address);

    return r && r->start <= address ? r : NULL;
}

static int range_insert(size_t i, const struct range *r)
{
    if (ranges.count == ranges.capacity) {
        size_t capacity = ranges.capacity ? 2 * ranges.capacity : 16;
        struct range *at = realloc(ranges.at, capacity * sizeof *at);

        if (!at)
            return -ENOMEM;
        ranges.at = at;
        ranges.capacity = capacity;
    }
    memmove(&ranges.at[i + 1], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.at[i] = *r;
    ranges.count++;
    return 0;
}

int range_add(const struct range *r)
{
    /* A range that the program unmapped behind our back may lie under the new one. */
    int rc = range_forget(r->start, r->end);

    if (rc == 0)
        rc = range_insert(range_index(r->start), r);
    if (rc && r->object)
        object_unref(r->object);
    return rc;
}

int range_cut(uint64_t at)
{
    size_t i = range_index(at);
    struct range upper;
    int rc;

    if (i == ranges.count || ranges.at[i].start >= at)
        return 0;
    upper = ranges.at[i];
    upper.start = at;
    upper.offset += at - ranges.at[i].start;
    rc = range_insert(i + 1, &upper);
    if (rc)
        return rc;
    ranges.at[i].end = at;
    if (upper.object)
        object_ref(upper.object);
    return 0;
}

int range_forget(uint64_t start, uint64_t end)
{
    size_t first, i;
    int rc;

    if (ranges.count == 0)
        return 0;
    if ((rc = range_cut(start)) || (rc = range_cut(end)))
        return rc;
    first = range_index(start);
    for (i = first; i < ranges.count && ranges.at[i].start < end; i++)
        if (ranges.at[i].object)
            object_unref(ranges.at[i].object);
    memmove(&ranges.at[first], &ranges.at[i], (ranges.count - i) * sizeof ranges.at[0]);
    ranges.count -= i - first;
    return 0;
}

int object_adopt(struct object **out, int fd, uint64_t size, bool sealed)
{
    struct object *o = calloc(1, sizeof *o);
    struct stat st;

    if (!o || fstat(fd, &st)) {
        int rc = o ? -errno : -ENOMEM;

        free(o);
        close(fd);
        return rc;
    }
    *o = (struct object){.refs = 1, .fd = fd, .size = size, .ino = st.st_ino, .sealed = sealed};
    *out = o;
    return 0;
}

int object_create(struct object **out, uint64_t size)
{
    int fd = memfd_create("mach", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    int rc;

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("mach", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return object_adopt(out, fd, size, false);
}

int object_snapshot(struct object **out, const struct range *r)
{
    const uint64_t page = mem_page(), pages = (r->end - r->start) / page;
    uint8_t *map = malloc(pages);
    struct object *o = NULL;
    int rc = map ? object_create(&o, r->end - r->start) : -ENOMEM;

    if (rc == 0)
        rc = mem_touched(r->start, pages, map);
    for (uint64_t i = 0; rc == 0 && i < pages; i++)
        if (map[i] &&
            pwrite(o->fd, (void *)(r->start + i * page), page, (off_t)(i * page)) != (ssize_t)page)
            rc = -EIO;
    free(map);
    if (rc == 0)
        *out = o;
    else if (o)
        object_unref(o);
    return rc;
}

struct object *object_ref(struct object *o)
{
    __atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
    return o;
}

void object_unref(struct object *o)
{
    if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    close(o->fd);
    free(o);
}

int object_seal(struct object *o)
{
    const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

    /* A forked task that has the same object may have sealed it already. */
    if (!o->sealed && fcntl(o->fd, F_ADD_SEALS, all) &&
        (errno != EPERM || fcntl(o->fd, F_GET_SEALS) < 0 ||
         (fcntl(o->fd, F_GET_SEALS) & all) != all))
        return -errno;
    o->sealed = true;
    return 0;
}

/* Two areas far from where the kernel puts mappings by itself, so that nothing that is not the
 * layer's becomes a neighbour: one where received buffers stand side by side, one for memory that
 * is to keep its own mapping. Inside the part that the sanitizers leave to programs. */
#define AREA_SIZE (1ULL << 43)
static const uint64_t area_base[2] = {0x200000000000, 0x300000000000};
static struct {
    uint64_t base, next;
    bool off; /* this address space has no such place */
} area[2];

static void area_init(int a)
{
    const uint64_t page = mem_page();
    uint32_t r = 0;
    void *p;

    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        r = 0;
    /* Random by 1 GiB: addresses should not be guessable, nor the same in every task. */
    area[a].base = area[a].next = area_base[a] + ((uint64_t)(r & 0xfff) << 30);
    area[a].off = true;
    if (sizeof(void *) < 8)
        return;
    /* A smaller address space, or a tool that takes the address as a hint only? */
    p = mmap((void *)area[a].base, page, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    area[a].off = p != (void *)area[a].base && (p != MAP_FAILED || errno != EEXIST);
    if (p != MAP_FAILED)
        munmap(p, page);
}

/* In one of the areas; MAP_FAILED with EEXIST: no luck there. */
static void *place_in_area(int a, uint64_t len, uint64_t mask, int prot, int flags, int fd)
{
    const uint64_t gap = a ? mem_page() : 0;

    for (int tries = 0; tries < 4; tries++) {
        uint64_t at = (area[a].next + gap + mask) & ~mask;
        void *p;

        if (at + len < area[a].next || at + len > area_base[a] + AREA_SIZE) {
            area[a].next = area[a].base; /* once round */
            continue;
        }
        p = mmap((void *)at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);
        if (p == (void *)at)
            area[a].next = at + len;
        if (p != MAP_FAILED || errno != EEXIST)
            return p;
        area[a].next = at + len + (1ULL << 30);
    }
    errno = EEXIST;
    return MAP_FAILED;
}

/* Where the kernel likes, at a multiple of mask + 1: cut out of a larger reservation. */
static void *place_aligned(uint64_t len, uint64_t mask, int prot, int flags, int fd)
{
    const uint64_t room = len + mask + 1;
    uint8_t *p, *at;

    if (room < len) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return p;
    at = (uint8_t *)(((uint64_t)p + mask) & ~mask);
    if (at > p)
        munmap(p, (size_t)(at - p));
    munmap(at + len, (size_t)(p + room - (at + len)));
    p = mmap(at, len, prot, flags | MAP_FIXED, fd, 0);
    if (p == MAP_FAILED)
        munmap(at, len);
    return p;
}

void *mem_place(uint64_t len, uint64_t mask, bool beside, int prot, int flags, int fd)
{
    const int a = beside ? 0 : 1;
    const uint64_t huge = 2u << 20;

    if (area[a].base == 0)
        area_init(a);
    /* Large memory at a multiple of the huge page size, so that huge pages are possible. */
    if (!beside && len >= huge)
        mask |= huge - 1;
    if (!area[a].off) {
        void *p = place_in_area(a, len, mask, prot, flags, fd);

        if (p != MAP_FAILED || errno != EEXIST)
            return p;
    }
    if (mask > mem_page() - 1)
        return place_aligned(len, mask, prot, flags, fd);
    return mmap(NULL, len, prot, flags, fd, 0);
}

void mem_unplaced(uint64_t start, uint64_t end)
{
    /* Only where buffers come and go side by side. Elsewhere an address that was just given back
     * stays unmapped for long, so that a stale pointer is noticed. */
    if (area[0].next == end && start >= area[0].base)
        area[0].next = start;
}

int mem_to_prot(int vm_prot)
{
    return (vm_prot & VM_PROT_READ ? PROT_READ : 0) | (vm_prot & VM_PROT_WRITE ? PROT_WRITE : 0) |
           (vm_prot & VM_PROT_EXECUTE ? PROT_EXEC : 0);
}

int mem_from_prot(const struct mapping *m)
{
    return (m->readable ? VM_PROT_READ : 0) | (m->writable ? VM_PROT_WRITE : 0) |
           (m->executable ? VM_PROT_EXECUTE : 0);
}

/* Puts private views of o, from offset on, where the range still maps its object shared, each part
 * with the protection that it has. What the program has put there since is not touched. 0 or a
 * negative errno. */
static int make_private(const struct range *r, const struct object *o, uint64_t offset)
{
    for (uint64_t at = r->start, to; at < r->end; at = to) {
        struct mapping m;

        if (mem_query(at, &m) || m.start >= r->end)
            return 0;
        to = m.end < r->end ? m.end : r->end;
        if (at < m.start)
            at = m.start;
        if (m.inode != r->object->ino || !m.shared ||
            m.offset + (at - m.start) != r->offset + (at - r->start))
            continue;
        if (mmap((void *)at, to - at, mem_to_prot(mem_from_prot(&m)), MAP_PRIVATE | MAP_FIXED,
                 o->fd, (off_t)(offset + (at - r->start))) == MAP_FAILED)
            return -errno;
    }
    return 0;
}

/* Before a fork every range that is to be copied becomes a private view of its object: parent and
 * child then copy what they write, and the object stays as it was at the fork. Where an earlier
 * fork's child shares the object the parent goes on sharing it, and the new child gets a copy. */
void mem_fork_prepare(void)
{
    mem_lock();
    for (size_t i = 0; i < ranges.count; i++) {
        struct range *r = &ranges.at[i];

        if (r->kind != MEM_SHARED)
            continue;
        if (r->inherit == VM_INHERIT_SHARE)
            r->object->kin = true;
        else if (r->inherit == VM_INHERIT_COPY && r->object->kin)
            (void)!object_snapshot(&r->snapshot, r);
        else if (r->inherit == VM_INHERIT_COPY && make_private(r, r->object, r->offset) == 0)
            r->kind = MEM_PRIVATE;
    }
}

void mem_fork_parent(void)
{
    for (size_t i = 0; i < ranges.count; i++)
        if (ranges.at[i].snapshot) {
            object_unref(ranges.at[i].snapshot);
            ranges.at[i].snapshot = NULL;
        }
    mem_unlock();
}

/* In the child: a view of its own of what was shared. Without a snapshot (no memory for one) it is
 * of the object itself: what the child writes stays its own all the same. */
static void leave_kin(struct range *r)
{
    struct object *o = r->snapshot ? r->snapshot : r->object;
    const uint64_t offset = r->snapshot ? 0 : r->offset;

    if (make_private(r, o, offset))
        return;
    if (r->snapshot)
        object_unref(r->object);
    r->object = o;
    r->offset = offset;
    r->kind = MEM_PRIVATE;
    r->snapshot = NULL;
}

void mem_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
    for (size_t i = ranges.count; i-- > 0;) {
        struct range *r = &ranges.at[i];

        if (r->inherit == VM_INHERIT_NONE)
            range_forget(r->start, r->end);
        else if (r->inherit == VM_INHERIT_COPY && r->kind == MEM_SHARED && r->object->kin)
            leave_kin(r);
    }
}
