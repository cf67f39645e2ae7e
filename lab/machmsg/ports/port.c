/* port: see port.h. */
#include "lab/machmsg/ports/port.h"
#include "lab/machmsg/memory/descriptor.h"
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/ports/deadline.h"
#include "lab/machmsg/ports/wire.h"
#include "probes/list.h"
#include "probes/receive.h"
#include <errno.h>
#include <mach/mach_init.h>
#include <mach/notify.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FREE 5u /* index 0 is never used, 1 to 4 are the special names */
#define HASH_SIZE 256u

mach_port_t mach_task_self_ = NAME_TASK;
mach_port_t bootstrap_port = NAME_BOOTSTRAP;
mach_port_name_t port_bootstrap;

static struct {
    pthread_mutex_t lock;
    struct entry *entries;
    uint32_t count, capacity, free_head; /* free_head 0: none */
    struct mport *hash[HASH_SIZE];
} space = {.lock = PTHREAD_MUTEX_INITIALIZER};

void space_lock(void)
{
    pthread_mutex_lock(&space.lock);
}

void space_unlock(void)
{
    pthread_mutex_unlock(&space.lock);
}

/* Mach's shape of a name: index, then a generation, then two bits that are always set, so that a
 * name that was freed is not given out again at once. */
static mach_port_name_t name_of(uint32_t index, uint32_t gen)
{
    return index << 8 | (gen & 0x3f) << 2 | 3;
}

/* No names but those that every task has. */
static void space_clear(void)
{
    memset(space.entries, 0, space.capacity * sizeof *space.entries);
    for (uint32_t i = 1; i < FIRST_FREE; i++) {
        space.entries[i].type = MACH_PORT_TYPE_SEND;
        space.entries[i].urefs = 1;
    }
    space.count = FIRST_FREE;
    space.free_head = 0;
}

static int space_grow(void)
{
    uint32_t capacity = space.capacity ? 2 * space.capacity : 32;
    struct entry *entries = realloc(space.entries, capacity * sizeof *entries);

    if (!entries)
        return -ENOMEM;
    memset(entries + space.capacity, 0, (capacity - space.capacity) * sizeof *entries);
    space.entries = entries;
    space.capacity = capacity;
    if (space.count == 0)
        space_clear();
    return 0;
}

struct entry *space_find(mach_port_name_t name)
{
    uint32_t index = name >> 8;

    if (space.capacity == 0 && space_grow())
        return NULL;
    if (index == 0 || index >= space.count || space.entries[index].type == MACH_PORT_TYPE_NONE ||
        name_of(index, space.entries[index].gen) != name)
        return NULL;
    return &space.entries[index];
}

struct entry *space_add(mach_port_type_t type, struct mport *port, mach_port_name_t *name)
{
    uint32_t index = space.free_head, gen;
    struct entry *e;

    if (index) {
        space.free_head = space.entries[index].next_free;
    } else {
        if (space.count >= space.capacity && space_grow())
            return NULL;
        if (space.count >= 1u << 24)
            return NULL;
        index = space.count++;
    }
    e = &space.entries[index];
    gen = e->gen;
    *e = (struct entry){.type = type, .port = port, .gen = gen};
    *name = name_of(index, gen);
    return e;
}

void space_remove(mach_port_name_t name)
{
    struct entry *e = &space.entries[name >> 8]; /* its type may be taken away already */
    struct mport *port = e->port;

    if (port && port->name == name)
        port->name = 0;
    *e = (struct entry){.gen = e->gen + 1, .next_free = space.free_head};
    space.free_head = name >> 8;
    if (port)
        mport_unref(port);
}

void space_each(void (*fn)(void *arg, mach_port_name_t name, const struct entry *e), void *arg)
{
    for (uint32_t i = 1; i < space.count; i++)
        if (space.entries[i].type)
            fn(arg, name_of(i, space.entries[i].gen), &space.entries[i]);
}

static struct mport **hash_slot(uint64_t cookie)
{
    struct mport **p = &space.hash[cookie % HASH_SIZE];

    while (*p && (*p)->cookie != cookie)
        p = &(*p)->hash_next;
    return p;
}

static int cookie_of(int s, uint64_t *cookie)
{
    socklen_t len = sizeof *cookie;

    return getsockopt(s, SOL_SOCKET, SO_COOKIE, cookie, &len) ? -errno : 0;
}

static void mport_init(struct mport *p, uint64_t cookie, int s, int r)
{
    *p = (struct mport){
        .refs = 1, .cookie = cookie, .s = s, .r = r, .qlimit = MACH_PORT_QLIMIT_DEFAULT};
    pthread_mutex_init(&p->rcv_lock, NULL);
    *hash_slot(cookie) = p;
}

/* One reference. Takes over s and r on success. */
static struct mport *mport_new(uint64_t cookie, int s, int r)
{
    struct mport *p = malloc(sizeof *p);

    if (p)
        mport_init(p, cookie, s, r);
    return p;
}

/* Both ends of a new port, to keep. */
static int make_ends(int fd[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
        return -errno;
    for (int i = 0; i < 2; i++)
        if ((fd[i] = descriptor_keep(fd[i], KEEP_PORT)) < 0) {
            close(fd[!i]);
            return -EMFILE;
        }
    return 0;
}

int mport_create(struct mport **out)
{
    int fd[2], on = 1, rc = make_ends(fd);
    uint64_t cookie;

    if (rc == -EMFILE && mem_tidy())
        rc = make_ends(fd);
    if (rc)
        return rc;
    /* The kernel then says with each message who sent it. */
    if (setsockopt(fd[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on))
        rc = -errno;
    for (int i = 0; rc == 0 && i < (int)MACH_PORT_QLIMIT_DEFAULT; i++)
        if (send(fd[0], "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
            rc = -errno;
    if (rc == 0)
        rc = cookie_of(fd[1], &cookie);
    if (rc == 0 && !(*out = mport_new(cookie, fd[1], fd[0])))
        rc = -ENOMEM;
    if (rc) {
        close(fd[0]);
        close(fd[1]);
    }
    return rc;
}

int mport_import(struct mport **out, int s)
{
    uint64_t cookie;
    int rc = cookie_of(s, &cookie);

    if (rc == 0) {
        struct mport *p = *hash_slot(cookie);

        if (p) {
            close(s);
            *out = mport_ref(p);
            return 0;
        }
        s = descriptor_keep(s, KEEP_RIGHT);
        p = mport_new(cookie, s, -1);
        if (p) {
            p->foreign = true;
            *out = p;
            return 0;
        }
    }
    receive_drop(s);
    return rc ? -EBADF : -ENOMEM;
}

ssize_t mport_take_slot(struct mport *p)
{
    struct received r = {0}; /* the receiver's side may put anything beside it */

    return receive_packet(p->s, NULL, 0, MSG_DONTWAIT | MSG_TRUNC, &r);
}

struct mport *mport_ref(struct mport *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void mport_unref(struct mport *p)
{
    static const struct wire_head slot_back = {
        .magic = WIRE_MAGIC, .size = sizeof(mach_msg_header_t), .flags = WIRE_NUDGE | WIRE_TOKEN};
    struct mport **slot;

    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    /* Queue slots that were taken and never used go back by way of the receiver. */
    for (; p->r < 0 && p->spare > 0; p->spare--)
        if (send(p->s, &slot_back, sizeof slot_back, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
    slot = hash_slot(p->cookie);
    *slot = p->hash_next;
    if (p->foreign) {
        receive_drop(p->s);
        receive_drop(p->r);
    } else {
        close(p->s);
        close(p->r);
    }
    pthread_mutex_destroy(&p->rcv_lock);
    free(p->once);
    free(p->buf);
    free(p);
}

void mport_drop(struct mport *p)
{
    int refs = __atomic_load_n(&p->refs, __ATOMIC_ACQUIRE);

    while (refs > 1)
        if (__atomic_compare_exchange_n(&p->refs, &refs, refs - 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return;
    space_lock();
    mport_unref(p);
    space_unlock();
}

/* Nobody holds the receive right any more. */
static bool mport_dead(const struct mport *p)
{
    struct pollfd pfd = {.fd = p->s};

    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static uint64_t random_nonce(void)
{
    uint64_t n = 0;

    while (n == 0)
        if (getrandom(&n, sizeof n, 0) != sizeof n && errno != EINTR)
            return 0;
    return n;
}

uint64_t mport_make_once(struct mport *p)
{
    uint64_t *once = p->nonce < WIRE_NONCES_MAX ? LIST_ADD_ROOM(p->once, p->nonce, p->conce) : NULL;

    if (once && !(*once = random_nonce()))
        p->nonce--;
    return once ? *once : 0;
}

bool mport_strike_once(struct mport *p, uint64_t nonce)
{
    for (size_t i = p->nonce; i-- > 0;)
        if (p->once[i] == nonce) {
            p->once[i] = p->once[--p->nonce];
            return true;
        }
    return false;
}

void port_lose_receive(mach_port_name_t name, struct entry *e)
{
    struct mport *p = e->port;

    /* Wakes a thread of ours that waits on it, and tells every sender. */
    if (!receive_shut(p->r))
        p->foreign = true;
    __atomic_store_n(&p->moving, true, __ATOMIC_RELEASE);
    p->nonce = 0;
    e->type &= ~MACH_PORT_TYPE_RECEIVE;
    if (e->type & MACH_PORT_TYPE_SEND) {
        e->type = MACH_PORT_TYPE_DEAD_NAME;
        e->port = NULL;
        p->name = 0;
        mport_unref(p);
    } else {
        space_remove(name);
    }
}

/* The entry of the name that the port's send and receive rights share, made if need be. Takes over
 * the caller's reference. */
static struct entry *named(struct mport *p)
{
    struct entry *e = p->name ? space_find(p->name) : space_add(0, p, &p->name);

    if (!e || e->type)
        mport_unref(p); /* an entry that was there holds one already */
    return e;
}

int port_add_send(struct mport *p, mach_port_name_t *name)
{
    struct entry *e = named(p);

    if (!e)
        return -ENOMEM;
    e->type |= MACH_PORT_TYPE_SEND;
    if (e->urefs < UINT16_MAX)
        e->urefs++;
    *name = e->port->name;
    return 0;
}

int port_add_receive(struct mport *p, mach_port_name_t *name)
{
    struct entry *e = named(p);

    if (!e)
        return -ENOMEM;
    e->type |= MACH_PORT_TYPE_RECEIVE;
    *name = e->port->name;
    return 0;
}

int port_add_once(struct mport *p, uint64_t nonce, mach_port_name_t *name)
{
    struct entry *e = space_add(MACH_PORT_TYPE_SEND_ONCE, p, name);

    if (!e) {
        mport_unref(p);
        return -ENOMEM;
    }
    e->urefs = 1;
    e->nonce = nonce;
    return 0;
}

void port_drop_send(mach_port_name_t name, struct entry *e, uint32_t n)
{
    e->urefs = e->urefs > n ? e->urefs - n : 0;
    if (e->urefs > 0)
        return;
    if (e->type & MACH_PORT_TYPE_RECEIVE)
        e->type = MACH_PORT_TYPE_RECEIVE;
    else
        space_remove(name);
}

void port_notice_death(mach_port_name_t name, struct entry *e)
{
    struct mport *p = e->port;

    if (!p || !(e->type & MACH_PORT_TYPE_SEND_RIGHTS) || !mport_dead(p))
        return;
    if (p->name == name)
        p->name = 0;
    e->type = MACH_PORT_TYPE_DEAD_NAME;
    e->nonce = 0;
    e->port = NULL;
    mport_unref(p);
}

bool port_is_special(mach_port_name_t name)
{
    return name >> 8 < FIRST_FREE;
}

int port_special(mach_port_name_t name, struct entry *e)
{
    struct mport *p;
    int rc;

    if (!port_is_special(name) || e->port)
        return 0;
    if (name == NAME_BOOTSTRAP)
        return -EPERM; /* the name server is reached by its own calls only */
    rc = mport_create(&p);
    if (rc)
        return rc;
    p->name = name;
    e->port = p;
    return 0;
}

void port_once_destroyed(int s, uint64_t nonce)
{
    struct wire_head h = {.magic = WIRE_MAGIC,
                          .size = sizeof(mach_msg_header_t),
                          .id = MACH_NOTIFY_SEND_ONCE,
                          .dest_nonce = nonce};

    /* Best effort: where the socket is full or gone nobody waits for it. */
    (void)!send(s, &h, sizeof h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void port_quiesce(struct mport *p)
{
    static const struct wire_head nudge = {
        .magic = WIRE_MAGIC, .size = sizeof(mach_msg_header_t), .flags = WIRE_NUDGE};

    while (pthread_mutex_trylock(&p->rcv_lock)) {
        struct deadline until = deadline_in(true, 10);

        (void)!send(p->s, &nudge, sizeof nudge, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (deadline_lock(&until, &p->rcv_lock))
            break;
    }
}

/* The child's port space is empty but for a bootstrap port that was set by hand, as on Mach: a
 * child that kept the descriptors would keep dead ports alive. Takes no memory, which may be short.
 */
static void fork_child(void)
{
    struct entry *e = port_bootstrap ? space_find(port_bootstrap) : NULL;
    struct mport *kept = e ? e->port : NULL;

    for (size_t i = 0; i < HASH_SIZE; i++) {
        struct mport *next;

        for (struct mport *p = space.hash[i]; p; p = next) {
            next = p->hash_next;
            /* Not by count: whoever held the references is not in this process. */
            if (p->r >= 0)
                close(p->r);
            free(p->once);
            free(p->buf);
            if (p == kept)
                continue;
            close(p->s);
            free(p);
        }
        space.hash[i] = NULL;
    }
    if (space.capacity)
        space_clear();
    port_bootstrap = 0;
    pthread_mutex_init(&space.lock, NULL);
    if (kept) {
        mport_init(kept, kept->cookie, kept->s, -1);
        kept->foreign = true;
        port_add_send(kept, &port_bootstrap);
    }
}

/* After the memory's handlers: see memory/mem.c. */
__attribute__((constructor(103))) static void register_fork(void)
{
    if (pthread_atfork(space_lock, space_unlock, fork_child))
        mem_die("no memory for what a fork needs");
}
