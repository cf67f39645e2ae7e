/* mem: see mem.h. */
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/memory/place.h"
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
    p = mem_place(mem_round(n), mem_page() - 1, n <= SMALL_MAX, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (p == MAP_FAILED)
        rc = -errno;
    mem_unlock();
    *address = rc ? 0 : (uint64_t)p;
    return rc;
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

/* Maps o, from offset on, where the range still maps its object shared, each part with the
 * protection that it has. What the program has put there since is not touched. 0 or a negative
 * errno. */
static int remap(const struct range *r, const struct object *o, uint64_t offset, int flags)
{
    for (uint64_t at = r->start, to; at < r->end; at = to) {
        struct mapping m;
        int rc = mem_query(at, &m);

        if (rc || m.start >= r->end)
            return rc == -ENOENT ? 0 : rc;
        to = m.end < r->end ? m.end : r->end;
        if (at < m.start)
            at = m.start;
        if (m.inode != r->object->ino || !m.shared ||
            m.offset + (at - m.start) != r->offset + (at - r->start))
            continue;
        if (mmap((void *)at, to - at, mem_to_prot(mem_from_prot(&m)), flags | MAP_FIXED, o->fd,
                 (off_t)(offset + (at - r->start))) == MAP_FAILED)
            return -errno;
    }
    return 0;
}

/* Before a fork every range that is to be copied becomes a private view of its object: parent and
 * child then copy what they write, and the object stays as it was at the fork. Where that cannot be
 * (an earlier fork's child shares the object; a shortage) the parent goes on with the object, and
 * the child gets a copy. */
static void fork_prepare(void)
{
    mem_lock();
    for (struct range *r = range_next(0); r; r = range_next(r->end)) {
        if (r->kind != MEM_SHARED || r->inherit == VM_INHERIT_NONE)
            continue;
        if (r->inherit == VM_INHERIT_SHARE)
            r->object->kin = true;
        else if (!r->object->kin && remap(r, r->object, r->offset, MAP_PRIVATE) == 0)
            r->kind = MEM_PRIVATE;
        else if (object_clone(&r->snapshot, r->object, r->offset, r->end - r->start))
            r->snapshot = NULL;
    }
}

static void drop_snapshot(struct range *r)
{
    if (r->snapshot)
        object_unref(r->snapshot);
    r->snapshot = NULL;
}

static void fork_parent(void)
{
    for (struct range *r = range_next(0); r; r = range_next(r->end))
        drop_snapshot(r);
    mem_unlock();
}

/* In the child, of what is mapped shared and is not to be: its copy, which is the child's alone;
 * or, where there is none, nothing. A fork cannot fail here, and memory that both write would be
 * worse. */
static void leave_parent(struct range *r)
{
    if (r->snapshot && remap(r, r->snapshot, 0, MAP_SHARED) == 0) {
        object_unref(r->object);
        r->object = r->snapshot;
        r->offset = 0;
        r->snapshot = NULL;
        return;
    }
    dprintf(STDERR_FILENO, "libmachmsg: fork: a shortage: this child has no memory at %#lx-%#lx\n",
            (unsigned long)r->start, (unsigned long)r->end);
    if (munmap((void *)r->start, r->end - r->start))
        mem_die("fork: and it cannot be taken from it");
    drop_snapshot(r);
    range_forget(r->start, r->end);
}

static void fork_child(void)
{
    struct range *r;

    pthread_mutex_init(&lock, NULL);
    for (uint64_t at = 0; (r = range_next(at));) {
        at = r->end;
        if (r->inherit == VM_INHERIT_NONE)
            range_forget(r->start, r->end);
        else if (r->inherit == VM_INHERIT_COPY && r->kind == MEM_SHARED)
            leave_parent(r);
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
