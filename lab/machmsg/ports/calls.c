/* calls: mach_port_* and the task's special ports, on this process's own port space. */
#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/ports/port.h"
#include <errno.h>
#include <mach/mach_init.h>
#include <mach/task.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_receiver(const struct entry *e)
{
    return e && (e->type & MACH_PORT_TYPE_RECEIVE);
}

/* The entry after its port was asked whether it lives: dead names are noticed here. */
static struct entry *find_current(mach_port_name_t name)
{
    struct entry *e = space_find(name);

    if (e && !(e->type & MACH_PORT_TYPE_RECEIVE))
        port_notice_death(name, e);
    return e;
}

mach_port_name_t mach_reply_port(void)
{
    mach_port_name_t name;

    if (mach_port_allocate(NAME_TASK, MACH_PORT_RIGHT_RECEIVE, &name) != KERN_SUCCESS)
        return MACH_PORT_NULL;
    return name;
}

mach_port_name_t mach_thread_self(void)
{
    return NAME_THREAD;
}

mach_port_name_t mach_host_self(void)
{
    return NAME_HOST;
}

struct name_list {
    mach_port_name_t *names;
    mach_port_type_t *types;
    mach_msg_type_number_t count;
};

static void count_name(void *arg, mach_port_name_t name, const struct entry *e)
{
    struct name_list *l = arg;

    if (l->names) {
        l->names[l->count] = name;
        l->types[l->count] = e->type;
    }
    l->count++;
}

kern_return_t mach_port_names(ipc_space_t task, mach_port_name_array_t *names,
                              mach_msg_type_number_t *names_count, mach_port_type_array_t *types,
                              mach_msg_type_number_t *types_count)
{
    uint64_t at_names = 0, at_types;
    struct name_list l = {0};
    kern_return_t kr = KERN_SUCCESS;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    space_lock();
    (void)space_find(NAME_TASK);
    space_each(count_name, &l);
    if (mem_fresh(l.count * sizeof *l.names, &at_names) ||
        mem_fresh(l.count * sizeof *l.types, &at_types)) {
        mem_release(at_names, l.count * sizeof *l.names);
        kr = KERN_RESOURCE_SHORTAGE;
    } else {
        l = (struct name_list){(mach_port_name_t *)at_names, (mach_port_type_t *)at_types, 0};
        space_each(count_name, &l);
        *names = l.names;
        *types = l.types;
        *names_count = *types_count = l.count;
    }
    space_unlock();
    return kr;
}

kern_return_t mach_port_type(ipc_space_t task, mach_port_name_t name, mach_port_type_t *type)
{
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    space_lock();
    e = find_current(name);
    if (e)
        *type = e->type;
    space_unlock();
    return e ? KERN_SUCCESS : KERN_INVALID_NAME;
}

kern_return_t mach_port_allocate(ipc_space_t task, mach_port_right_t right, mach_port_name_t *name)
{
    struct mport *p;
    kern_return_t kr = KERN_SUCCESS;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (right != MACH_PORT_RIGHT_RECEIVE && right != MACH_PORT_RIGHT_DEAD_NAME)
        return right == MACH_PORT_RIGHT_PORT_SET ? KERN_NOT_SUPPORTED : KERN_INVALID_VALUE;
    space_lock();
    if (right == MACH_PORT_RIGHT_DEAD_NAME) {
        e = space_add(MACH_PORT_TYPE_DEAD_NAME, NULL, name);
        if (e)
            e->urefs = 1;
        kr = e ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
    } else if (mport_create(&p) || port_add_receive(p, name)) {
        kr = KERN_RESOURCE_SHORTAGE;
    }
    space_unlock();
    return kr;
}

/* Removes all n references of a send right or dead name, or the send-once right; the last also
 * tells the port's holder. Under the lock, which is dropped: the last thing a caller does. */
static void drop_and_unlock(mach_port_name_t name, struct entry *e, uint32_t n)
{
    const uint64_t nonce = e->type == MACH_PORT_TYPE_SEND_ONCE ? e->nonce : 0;
    struct mport *p = NULL;

    if (nonce) {
        p = mport_ref(e->port);
        space_remove(name);
    } else {
        port_drop_send(name, e, n);
    }
    space_unlock();
    if (p) {
        port_once_destroyed(p->s, nonce);
        mport_drop(p);
    }
}

kern_return_t mach_port_destroy(ipc_space_t task, mach_port_name_t name)
{
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    space_lock();
    e = space_find(name);
    if (!e || port_is_special(name)) {
        space_unlock();
        return e ? KERN_SUCCESS : KERN_INVALID_NAME;
    }
    if (is_receiver(e)) {
        port_lose_receive(name, e);
        e = space_find(name);
    }
    if (e)
        drop_and_unlock(name, e, e->urefs);
    else
        space_unlock();
    return KERN_SUCCESS;
}

kern_return_t mach_port_deallocate(ipc_space_t task, mach_port_name_t name)
{
    struct entry *e;
    kern_return_t kr = KERN_SUCCESS;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    space_lock();
    e = find_current(name);
    if (!e)
        kr = KERN_INVALID_NAME;
    else if (e->type == MACH_PORT_TYPE_RECEIVE)
        kr = KERN_INVALID_RIGHT;
    if (kr != KERN_SUCCESS || port_is_special(name))
        space_unlock();
    else
        drop_and_unlock(name, e, 1);
    return kr;
}

static const mach_port_type_t type_of_right[] = {MACH_PORT_TYPE_SEND, MACH_PORT_TYPE_RECEIVE,
                                                 MACH_PORT_TYPE_SEND_ONCE, MACH_PORT_TYPE_PORT_SET,
                                                 MACH_PORT_TYPE_DEAD_NAME};

kern_return_t mach_port_get_refs(ipc_space_t task, mach_port_name_t name, mach_port_right_t right,
                                 mach_port_urefs_t *refs)
{
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (right >= MACH_PORT_RIGHT_NUMBER)
        return KERN_INVALID_VALUE;
    space_lock();
    e = find_current(name);
    if (e && !(e->type & type_of_right[right]))
        *refs = 0;
    else if (e)
        *refs = right == MACH_PORT_RIGHT_SEND || right == MACH_PORT_RIGHT_DEAD_NAME ? e->urefs : 1;
    space_unlock();
    return e ? KERN_SUCCESS : KERN_INVALID_NAME;
}

/* Send rights and dead names count up and down; the others can only go. Under the lock. */
static kern_return_t check_delta(const struct entry *e, mach_port_right_t right,
                                 mach_port_delta_t delta)
{
    if (!(e->type & type_of_right[right]))
        return KERN_INVALID_RIGHT;
    if (right == MACH_PORT_RIGHT_SEND || right == MACH_PORT_RIGHT_DEAD_NAME) {
        if ((int64_t)e->urefs + delta < 0)
            return KERN_INVALID_VALUE;
        return (int64_t)e->urefs + delta > UINT16_MAX ? KERN_UREFS_OVERFLOW : KERN_SUCCESS;
    }
    return delta == 0 || delta == -1 ? KERN_SUCCESS : KERN_INVALID_VALUE;
}

kern_return_t mach_port_mod_refs(ipc_space_t task, mach_port_name_t name, mach_port_right_t right,
                                 mach_port_delta_t delta)
{
    kern_return_t kr;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (right >= MACH_PORT_RIGHT_NUMBER || right == MACH_PORT_RIGHT_PORT_SET)
        return KERN_INVALID_VALUE;
    space_lock();
    e = find_current(name);
    kr = e ? check_delta(e, right, delta) : KERN_INVALID_NAME;
    if (kr != KERN_SUCCESS || delta == 0 || port_is_special(name)) {
        space_unlock();
    } else if (delta > 0) {
        e->urefs += (uint32_t)delta;
        space_unlock();
    } else if (right == MACH_PORT_RIGHT_RECEIVE) {
        port_lose_receive(name, e);
        space_unlock();
    } else {
        drop_and_unlock(name, e, (uint32_t)-delta);
    }
    return kr;
}

/* A send right made or copied under the name it has; Mach allows no other name for it. */
kern_return_t mach_port_insert_right(ipc_space_t task, mach_port_name_t name, mach_port_t poly,
                                     mach_msg_type_name_t disposition)
{
    kern_return_t kr = KERN_SUCCESS;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (!MACH_PORT_VALID(name) || !MACH_MSG_TYPE_PORT_ANY(disposition))
        return KERN_INVALID_VALUE;
    if (!MACH_PORT_VALID(poly))
        return KERN_INVALID_CAPABILITY;
    space_lock();
    e = find_current(poly);
    if (!e || (disposition == MACH_MSG_TYPE_MAKE_SEND && !is_receiver(e)) ||
        (disposition == MACH_MSG_TYPE_COPY_SEND && !(e->type & MACH_PORT_TYPE_SEND)))
        kr = KERN_INVALID_CAPABILITY;
    else if (disposition != MACH_MSG_TYPE_MAKE_SEND && disposition != MACH_MSG_TYPE_COPY_SEND)
        kr = disposition == MACH_MSG_TYPE_MAKE_SEND_ONCE && is_receiver(e) ? KERN_NAME_EXISTS
                                                                           : KERN_NOT_SUPPORTED;
    else if (name != poly)
        kr = space_find(name) ? KERN_NAME_EXISTS : KERN_RIGHT_EXISTS;
    else if (e->urefs >= UINT16_MAX)
        kr = KERN_UREFS_OVERFLOW;
    if (kr == KERN_SUCCESS) {
        e->type |= MACH_PORT_TYPE_SEND;
        e->urefs++;
        if (e->port && disposition == MACH_MSG_TYPE_MAKE_SEND)
            e->port->mscount++;
    }
    space_unlock();
    return kr;
}

static kern_return_t extract_once(struct entry *e, mach_port_t *poly)
{
    uint64_t nonce = mport_make_once(e->port);
    struct mport *p = e->port;

    if (!nonce || port_add_once(mport_ref(p), nonce, poly)) {
        if (nonce)
            mport_strike_once(p, nonce);
        return KERN_RESOURCE_SHORTAGE;
    }
    return KERN_SUCCESS;
}

kern_return_t mach_port_extract_right(ipc_space_t task, mach_port_name_t name,
                                      mach_msg_type_name_t disposition, mach_port_t *poly,
                                      mach_msg_type_name_t *poly_type)
{
    const bool send =
        disposition == MACH_MSG_TYPE_MAKE_SEND || disposition == MACH_MSG_TYPE_COPY_SEND;
    kern_return_t kr = KERN_SUCCESS;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (!MACH_MSG_TYPE_PORT_ANY(disposition))
        return KERN_INVALID_VALUE;
    space_lock();
    e = find_current(name);
    if (!e)
        kr = KERN_INVALID_NAME;
    else if (disposition == MACH_MSG_TYPE_COPY_SEND ? !(e->type & MACH_PORT_TYPE_SEND)
                                                    : !is_receiver(e))
        kr = KERN_INVALID_RIGHT;
    else if (!send && disposition != MACH_MSG_TYPE_MAKE_SEND_ONCE)
        kr = KERN_NOT_SUPPORTED; /* moving a right to oneself */
    else if (!send)
        kr = extract_once(e, poly);
    if (kr == KERN_SUCCESS && send) {
        e->type |= MACH_PORT_TYPE_SEND;
        e->urefs++;
        *poly = name;
    }
    if (kr == KERN_SUCCESS)
        *poly_type = send ? MACH_MSG_TYPE_PORT_SEND : MACH_MSG_TYPE_PORT_SEND_ONCE;
    space_unlock();
    return kr;
}

/* Messages that wait in a port, by its slots: those that are not free were taken for a message. */
static mach_port_msgcount_t messages_waiting(struct mport *p)
{
    int free_slots = 0;

    if (ioctl(p->s, FIONREAD, &free_slots))
        return 0;
    free_slots += (int)__atomic_load_n(&p->owed, __ATOMIC_ACQUIRE);
    return (int)p->qlimit > free_slots ? p->qlimit - (mach_port_msgcount_t)free_slots : 0;
}

kern_return_t mach_port_get_attributes(ipc_space_t task, mach_port_name_t name,
                                       mach_port_flavor_t flavor, mach_port_info_t info,
                                       mach_msg_type_number_t *count)
{
    kern_return_t kr = KERN_SUCCESS;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (flavor != MACH_PORT_LIMITS_INFO && flavor != MACH_PORT_RECEIVE_STATUS)
        return KERN_INVALID_ARGUMENT;
    if (*count < (flavor == MACH_PORT_LIMITS_INFO ? MACH_PORT_LIMITS_INFO_COUNT
                                                  : MACH_PORT_RECEIVE_STATUS_COUNT))
        return KERN_FAILURE;
    space_lock();
    e = space_find(name);
    if (!is_receiver(e)) {
        kr = e ? KERN_INVALID_RIGHT : KERN_INVALID_NAME;
    } else if (flavor == MACH_PORT_LIMITS_INFO) {
        *(mach_port_limits_t *)info = (mach_port_limits_t){e->port->qlimit};
        *count = MACH_PORT_LIMITS_INFO_COUNT;
    } else {
        *(mach_port_status_t *)info =
            (mach_port_status_t){.mps_seqno = e->port->seqno,
                                 .mps_mscount = e->port->mscount,
                                 .mps_qlimit = e->port->qlimit,
                                 .mps_msgcount = messages_waiting(e->port),
                                 .mps_sorights = (mach_port_rights_t)e->port->nonce,
                                 .mps_srights = e->type & MACH_PORT_TYPE_SEND ? TRUE : FALSE};
        *count = MACH_PORT_RECEIVE_STATUS_COUNT;
    }
    space_unlock();
    return kr;
}

/* A higher limit is more slots, a lower one fewer; only free ones can be taken away. */
static kern_return_t set_limit(struct mport *p, mach_port_msgcount_t limit)
{
    if (limit > MACH_PORT_QLIMIT_MAX)
        return KERN_INVALID_VALUE;
    for (; p->qlimit < limit; p->qlimit++)
        if (send(p->r, "t", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
            __atomic_add_fetch(&p->owed, 1, __ATOMIC_ACQ_REL);
    for (; p->qlimit > limit; p->qlimit--)
        if (mport_take_slot(p) <= 0)
            return KERN_RESOURCE_SHORTAGE; /* the queue holds more than that now */
    return KERN_SUCCESS;
}

kern_return_t mach_port_set_attributes(ipc_space_t task, mach_port_name_t name,
                                       mach_port_flavor_t flavor, mach_port_info_t info,
                                       mach_msg_type_number_t count)
{
    kern_return_t kr;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_TASK;
    if (flavor != MACH_PORT_LIMITS_INFO)
        return KERN_INVALID_ARGUMENT;
    if (count < MACH_PORT_LIMITS_INFO_COUNT)
        return KERN_FAILURE;
    space_lock();
    e = space_find(name);
    kr = is_receiver(e) ? set_limit(e->port, ((mach_port_limits_t *)info)->mpl_qlimit)
         : e            ? KERN_INVALID_RIGHT
                        : KERN_INVALID_NAME;
    space_unlock();
    return kr;
}

kern_return_t task_get_special_port(task_t task, int which, mach_port_t *port)
{
    kern_return_t kr = KERN_SUCCESS;
    struct entry *e;

    if (task != NAME_TASK)
        return KERN_INVALID_ARGUMENT;
    switch (which) {
    case TASK_KERNEL_PORT:
    case TASK_NAME_PORT:
        *port = NAME_TASK;
        return KERN_SUCCESS;
    case TASK_HOST_PORT:
        *port = NAME_HOST;
        return KERN_SUCCESS;
    case TASK_BOOTSTRAP_PORT:
        break;
    default:
        return KERN_INVALID_ARGUMENT;
    }
    space_lock();
    e = port_bootstrap ? find_current(port_bootstrap) : NULL;
    *port = port_bootstrap ? port_bootstrap : NAME_BOOTSTRAP;
    if (e && !(e->type & MACH_PORT_TYPE_SEND))
        *port = MACH_PORT_DEAD;
    else if (e && e->urefs < UINT16_MAX)
        e->urefs++; /* the caller gets a send right */
    space_unlock();
    return kr;
}

kern_return_t task_set_special_port(task_t task, int which, mach_port_t port)
{
    kern_return_t kr = KERN_SUCCESS;
    mach_port_name_t old;
    struct entry *e;

    if (task != NAME_TASK || which != TASK_BOOTSTRAP_PORT)
        return KERN_INVALID_ARGUMENT;
    space_lock();
    old = port_bootstrap;
    e = port == NAME_BOOTSTRAP || port == MACH_PORT_NULL ? NULL : find_current(port);
    if (port == NAME_BOOTSTRAP || port == MACH_PORT_NULL)
        port_bootstrap = 0;
    else if (!e || !(e->type & MACH_PORT_TYPE_SEND))
        kr = KERN_INVALID_ARGUMENT;
    else {
        port_bootstrap = port;
        e->urefs++; /* the task's own reference; the caller keeps its right */
    }
    if (kr == KERN_SUCCESS && old && (e = space_find(old)))
        port_drop_send(old, e, 1);
    space_unlock();
    return kr;
}
