/* What the tests of the message layer share. Header only: each test program is its own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <servers/bootstrap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF mach_task_self()
#define assert_kr(got, want) assert_int_equal((unsigned int)(got), (unsigned int)(want))
#define ok(call) assert_kr(call, 0)

/* A failed assertion in a forked child must not go on as a second test runner. */
#define child_check(e)                                                                             \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fprintf(stderr, "# child: %s:%d: %s\n", __FILE__, __LINE__, #e);                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* With . and .., and with the descriptor that lists them. */
static inline int entries_of(const char *list)
{
    DIR *d = opendir(list);
    int n = 0;

    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

static inline int open_descriptors(void)
{
    return entries_of("/proc/self/fd");
}

/* Around every test: no descriptor and no name may stay behind. */
struct leak_check {
    int descriptors;
    mach_msg_type_number_t names;
};

static inline mach_msg_type_number_t port_names(void)
{
    mach_port_name_t *names;
    mach_port_type_t *types;
    mach_msg_type_number_t n, m;

    ok(mach_port_names(SELF, &names, &n, &types, &m));
    ok(vm_deallocate(SELF, (vm_address_t)names, n * sizeof *names));
    ok(vm_deallocate(SELF, (vm_address_t)types, m * sizeof *types));
    return n;
}

static inline int leak_setup(void **state)
{
    static struct leak_check c;

    alarm(60); /* every wait has a deadline */
    c.names = port_names();
    c.descriptors = open_descriptors();
    *state = &c;
    return 0;
}

static inline int leak_teardown(void **state)
{
    const struct leak_check *c = *state;
    const mach_msg_type_number_t names = port_names();
    int fds = open_descriptors();

    /* What was dropped is closed by another thread. */
    for (int i = 0; fds > c->descriptors && i < 1000; i++, fds = open_descriptors())
        usleep(10000);
    alarm(0);
    if (fds != c->descriptors)
        print_error("%d descriptors before, %d after\n", c->descriptors, fds);
    if (names != c->names)
        print_error("%u names before, %u after\n", c->names, names);
    return fds != c->descriptors || names != c->names;
}

#define leak_tested(f) cmocka_unit_test_setup_teardown(f, leak_setup, leak_teardown)

static inline mach_port_t new_port(void)
{
    mach_port_t p = MACH_PORT_NULL;

    ok(mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &p));
    return p;
}

/* A port with n send rights under its name. */
static inline mach_port_t new_port_with_sends(int n)
{
    mach_port_t p = new_port();

    for (int i = 0; i < n; i++)
        ok(mach_port_insert_right(SELF, p, p, MACH_MSG_TYPE_MAKE_SEND));
    return p;
}

static inline mach_port_t new_once(mach_port_t port)
{
    mach_port_t once = MACH_PORT_NULL;
    mach_msg_type_name_t type;

    ok(mach_port_extract_right(SELF, port, MACH_MSG_TYPE_MAKE_SEND_ONCE, &once, &type));
    return once;
}

static inline mach_port_urefs_t refs(mach_port_t p, mach_port_right_t right)
{
    mach_port_urefs_t n = 9999;

    return mach_port_get_refs(SELF, p, right, &n) == KERN_SUCCESS ? n : 9999;
}

static inline mach_port_type_t type_of(mach_port_t p)
{
    mach_port_type_t t = 0;

    return mach_port_type(SELF, p, &t) == KERN_SUCCESS ? t : 0;
}

/* Room for anything that the tests send or receive. */
union message {
    mach_msg_header_t h;
    struct {
        mach_msg_header_t h;
        mach_msg_body_t b;
        mach_msg_port_descriptor_t d;
    } port;
    struct {
        mach_msg_header_t h;
        mach_msg_body_t b;
        mach_msg_ool_descriptor_t d;
    } ool;
    struct {
        mach_msg_header_t h;
        mach_msg_body_t b;
        mach_msg_ool_ports_descriptor_t d;
    } ports;
    struct {
        mach_msg_header_t h;
        char text[2048];
    } inline_data;
    unsigned char bytes[4096];
};

static inline union message header_to(mach_port_t to, unsigned int disposition)
{
    union message m = {.h = {.msgh_bits = MACH_MSGH_BITS(disposition, 0),
                             .msgh_size = sizeof m.h,
                             .msgh_remote_port = to,
                             .msgh_id = 100}};

    return m;
}

static inline mach_msg_return_t send_message(union message *m)
{
    return mach_msg(&m->h, MACH_SEND_MSG | MACH_SEND_TIMEOUT, m->h.msgh_size, 0, 0, 2000, 0);
}

static inline mach_msg_return_t send_now(union message *m)
{
    return mach_msg(&m->h, MACH_SEND_MSG | MACH_SEND_TIMEOUT, m->h.msgh_size, 0, 0, 0, 0);
}

/* As many messages as a new port's queue holds. */
static inline void fill_queue(union message *m)
{
    for (int i = 0; i < 5; i++)
        ok(send_now(m));
}

static inline mach_msg_return_t receive(union message *m, mach_port_t from)
{
    memset(m, 0x5a, sizeof *m);
    return mach_msg(&m->h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof *m, from, 2000, 0);
}

static inline void expect_empty(mach_port_t port)
{
    union message m;

    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 0, 0),
              MACH_RCV_TIMED_OUT);
}

/* Whose one descriptor the caller fills in; size: of the whole message. */
static inline union message complex_to(mach_port_t to, mach_msg_size_t size)
{
    union message m = header_to(to, MACH_MSG_TYPE_MAKE_SEND);

    m.h.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
    m.h.msgh_size = size;
    m.port.b.msgh_descriptor_count = 1;
    return m;
}

static inline union message port_message(mach_port_t to, mach_port_t right, unsigned int how)
{
    union message m = complex_to(to, sizeof m.port);

    m.port.d = (mach_msg_port_descriptor_t){
        .name = right, .disposition = how, .type = MACH_MSG_PORT_DESCRIPTOR};
    return m;
}

static inline union message ool_message(mach_port_t to, const void *at, mach_msg_size_t size,
                                        unsigned int copy, bool deallocate)
{
    union message m = complex_to(to, sizeof m.ool);

    m.ool.d = (mach_msg_ool_descriptor_t){.address = (void *)at,
                                          .size = size,
                                          .copy = copy,
                                          .deallocate = deallocate,
                                          .type = MACH_MSG_OOL_DESCRIPTOR};
    return m;
}

static inline union message array_message(mach_port_t to, mach_port_t *rights,
                                          mach_msg_size_t count, unsigned int how)
{
    union message m = complex_to(to, sizeof m.ports);

    m.ports.d = (mach_msg_ool_ports_descriptor_t){.address = rights,
                                                  .count = count,
                                                  .copy = MACH_MSG_VIRTUAL_COPY,
                                                  .disposition = how,
                                                  .type = MACH_MSG_OOL_PORTS_DESCRIPTOR};
    return m;
}

static inline void expect_child_ok(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
