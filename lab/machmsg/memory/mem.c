/* mem: see mem.h. */
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/memory/contents.h"
#include "lab/machmsg/memory/place.h"
#include "lab/machmsg/trace.h"
#include <errno.h>
#include <mach/mach_types.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void mem_lock(void)
{
    pthread_mutex_lock(&lock);
}

void mem_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

bool mem_native(void)
{
    const char *policy = getenv("COWLAB_MACH_POLICY");

    return policy && strcmp(policy, "native") == 0;
}

int mem_fresh(uint64_t n, uint64_t *address)
{
    int rc = 0;
    void *p;

    mem_lock();
    p = mem_place(mem_round(n), vm_page_mask, n <= SMALL_MAX ? PLACE_BESIDE : PLACE_ALONE,
                  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (p == MAP_FAILED)
        rc = -errno;
    mem_unlock();
    *address = rc ? 0 : (uint64_t)p;
    return rc;
}

bool mem_tidy(void)
{
    bool found;

    mem_lock();
    found = range_tidy(true);
    mem_unlock();
    return found;
}

int mem_release(uint64_t address, uint64_t size)
{
    uint64_t start, end;
    int rc;

    if (size == 0)
        return 0;
    if (!mem_pages(address, size, &start, &end))
        return -EINVAL;
    mem_lock();
    rc = range_follow(start, end);
    if (rc == 0)
        rc = range_room();
    if (rc == 0 && munmap((void *)start, end - start))
        rc = -errno;
    if (rc == 0) {
        range_forget(start, end);
        mem_unplaced(start, end);
    }
    mem_unlock();
    return rc;
}

void mem_die(const char *why)
{
    dprintf(STDERR_FILENO, "libmachmsg: %s\n", why);
    abort();
}

int machmsg_move(uint64_t from, uint64_t to, uint64_t size)
{
    int rc;

    size = mem_round(size);
    mem_lock();
    rc = range_follow(to, to + size);
    if (rc == 0)
        rc = range_room();
    if (rc == 0) {
        range_cut(from);
        range_cut(from + size);
        rc = range_room();
    }
    if (rc == 0 &&
        mremap((void *)from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to) == MAP_FAILED)
        rc = -errno;
    if (rc == 0) {
        range_forget(to, to + size);
        range_move(from, to, size);
        mem_unplaced(from, from + size);
    }
    mem_unlock();
    return rc;
}

/* A child is to have a copy of it, and would share it. */
static bool would_share(const struct range *r)
{
    return r->kind == MEM_SHARED && r->inherit == VM_INHERIT_COPY;
}

/* Calls fn for all shared memory, wherever it is, if a child would share any that it should not.
 * What the program has put in its place is not touched. */
static int each_shared(range_shown_fn *fn)
{
    struct range *r = range_next(0);

    while (r && !would_share(r))
        r = range_next(r->end);
    return r ? range_each_shown(fn, NULL) : 0;
}

static int remap(const struct range *r, const struct mapping *part, struct object *o,
                 uint64_t offset, int flags)
{
    return range_remap(r->inherit, part->start, part->end, mem_to_prot(mem_from_prot(part)), o,
                       offset, flags);
}

/* Into the snapshot, of an object without a descriptor: only where it is mapped can it be read. */
static void copy_part(struct range *r, const struct mapping *part)
{
    if (!r->snapshot && !r->lost)
        r->lost = object_create(&r->snapshot, r->end - r->start) != 0;
    if (!r->lost)
        r->lost = object_fill(r->snapshot, part->offset - r->offset, part->start, part->end) != 0;
}

static void make_private(void *arg, struct range *r, const struct mapping *part)
{
    (void)arg;
    if (!would_share(r))
        return;
    r->stays |= r->object->kin || mem_wired(part->start, part->end) ||
                (!r->stays && remap(r, part, r->object, part->offset, MAP_PRIVATE));
    if (r->stays && object_fd(r->object) < 0)
        copy_part(r, part);
}

static void drop_snapshot(struct range *r)
{
    if (r->snapshot)
        object_unref(r->snapshot);
    r->snapshot = NULL;
}

/* looked: all of its parts were found. */
static void take_snapshot(struct range *r, bool looked)
{
    if (object_fd(r->object) >= 0) {
        if (object_clone(&r->snapshot, r->object, r->offset, r->end - r->start))
            r->snapshot = NULL;
    } else if (!looked || r->lost) {
        drop_snapshot(r);
    }
}

/* Before a fork every range that is to be copied becomes a private view of its object: parent and
 * child then copy what they write, and the object stays as it was at the fork. Where that cannot be
 * (an earlier fork's child shares the object; memory that is wired would lose its lock; a shortage)
 * the parent goes on with the object, and the child gets a copy. */
static void fork_prepare(void)
{
    int rc;

    mem_lock();
    for (struct range *r = range_next(0); r; r = range_next(r->end))
        if (r->kind == MEM_SHARED && r->inherit == VM_INHERIT_SHARE)
            r->object->kin = true;
    rc = each_shared(make_private);
    for (struct range *r = range_next(0); r; r = range_next(r->end)) {
        if (!would_share(r))
            continue;
        if (rc == 0 && !r->stays)
            r->kind = MEM_PRIVATE;
        else
            take_snapshot(r, rc == 0);
        r->stays = r->lost = false;
    }
}

static void fork_parent(void)
{
    for (struct range *r = range_next(0); r; r = range_next(r->end))
        drop_snapshot(r);
    mem_unlock();
}

/* A fork cannot fail here, and memory that both write would be worse. */
static void take_from_child(uint64_t start, uint64_t end)
{
    dprintf(STDERR_FILENO, "libmachmsg: fork: a shortage: this child has no memory at %#lx-%#lx\n",
            (unsigned long)start, (unsigned long)end);
    if (munmap((void *)start, end - start))
        mem_die("fork: and it cannot be taken from it");
}

/* In the child, of what is mapped shared and is not to be: its copy, which is the child's alone;
 * or, where there is none, nothing. */
static void give_copy(void *arg, struct range *r, const struct mapping *part)
{
    (void)arg;
    if (would_share(r) &&
        (!r->snapshot || remap(r, part, r->snapshot, part->offset - r->offset, MAP_SHARED)))
        take_from_child(part->start, part->end);
}

static void leave_parent(struct range *r, bool copied)
{
    if (copied && r->snapshot) {
        object_unref(r->object);
        r->object = r->snapshot;
        r->offset = 0;
        r->snapshot = NULL;
        return;
    }
    drop_snapshot(r);
    if (!copied) /* else it was taken where it is, and here may be the program's own */
        take_from_child(r->start, r->end);
    range_forget(r->start, r->end);
}

static void fork_child(void)
{
    struct range *r;
    bool copied;

    pthread_mutex_init(&lock, NULL);
    copied = each_shared(give_copy) == 0;
    if (!copied)
        dprintf(STDERR_FILENO,
                "libmachmsg: fork: a shortage: memory that was moved by mremap alone "
                "could not be looked for: this child may share it\n");
    for (uint64_t at = 0; (r = range_next(at));) {
        at = r->end;
        if (r->inherit == VM_INHERIT_NONE)
            range_forget(r->start, r->end);
        else if (would_share(r))
            leave_parent(r, copied);
    }
}

/* Here, with the lock that whoever has a range needs, so that every program that does is linked
 * with it. Before the ports' handlers: of those that prepare for a fork the last registered runs
 * first, and the space's lock is taken before this one. */
__attribute__((constructor(102))) static void register_fork(void)
{
    if (pthread_atfork(fork_prepare, fork_parent, fork_child))
        mem_die("no memory for what a fork needs");
}
