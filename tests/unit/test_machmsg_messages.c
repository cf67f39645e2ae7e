/* Sending and receiving: layouts, every error with its own code, sizes, trailers, timeouts. */
#include "tests/support/machmsg_fixture.h"

#include <mach/vm_map.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

static void test_machmsg_messages__layouts(void **state)
{
    mach_msg_descriptor_t d;
    unsigned char *bytes = (unsigned char *)&d;

    (void)state;
    assert_int_equal(sizeof(mach_msg_header_t), 24);
    assert_int_equal(sizeof(mach_msg_base_t), 28);
    assert_int_equal(sizeof(mach_msg_type_descriptor_t), 12);
    assert_int_equal(sizeof(mach_msg_port_descriptor_t), 12);
    assert_int_equal(sizeof(mach_msg_ool_descriptor_t), 16);
    assert_int_equal(sizeof(mach_msg_ool_ports_descriptor_t), 16);
    assert_int_equal(sizeof(mach_msg_guarded_port_descriptor_t), 16);
    assert_int_equal(sizeof(mach_msg_trailer_t), 8);
    assert_int_equal(sizeof(mach_msg_seqno_trailer_t), 12);
    assert_int_equal(sizeof(mach_msg_security_trailer_t), 20);
    assert_int_equal(sizeof(mach_msg_audit_trailer_t), 52);
    assert_int_equal(VM_REGION_SUBMAP_INFO_COUNT_64, 19);
    assert_int_equal(offsetof(vm_region_submap_info_data_64_t, offset), 12);
    memset(&d, 0, sizeof d);
    d.port.type = 1;
    assert_int_equal(bytes[11], 1);
    memset(&d, 0, sizeof d);
    d.out_of_line.type = 2;
    d.out_of_line.deallocate = 1;
    d.out_of_line.copy = 3;
    assert_int_equal(bytes[11], 2);
    assert_int_equal(bytes[8], 1);
    assert_int_equal(bytes[9], 3);
    memset(&d, 0, sizeof d);
    d.ool_ports.type = 3;
    d.ool_ports.disposition = 17;
    assert_int_equal(bytes[11], 3);
    assert_int_equal(bytes[10], 17);
    memset(&d, 0, sizeof d);
    d.guarded_port.type = 4;
    assert_int_equal(bytes[11], 4);
}

static mach_msg_return_t send_sized(union message *m, mach_msg_size_t size)
{
    return mach_msg(&m->h, MACH_SEND_MSG | MACH_SEND_TIMEOUT, size, 0, 0, 0, 0);
}

static void test_machmsg_messages__send_sizes(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    assert_kr(send_sized(&m, 0), MACH_SEND_MSG_TOO_SMALL);
    assert_kr(send_sized(&m, 20), MACH_SEND_MSG_TOO_SMALL);
    assert_kr(send_sized(&m, 26), MACH_SEND_MSG_TOO_SMALL);
    m.h.msgh_size = 4; /* ignored: the argument counts */
    ok(send_sized(&m, 64));
    ok(receive(&m, p));
    assert_int_equal(m.h.msgh_size, 64);
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    m.h.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
    assert_kr(send_sized(&m, 24), MACH_SEND_MSG_TOO_SMALL);
    m.port.b.msgh_descriptor_count = 2;
    assert_kr(send_sized(&m, sizeof m.port), MACH_SEND_MSG_TOO_SMALL);
    m.port.b.msgh_descriptor_count = 0;
    ok(send_sized(&m, 28)); /* complex, and yet without descriptors */
    ok(receive(&m, p));
    assert_true(m.h.msgh_bits & MACH_MSGH_BITS_COMPLEX);
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__header_errors(void **state)
{
    mach_port_t p = new_port_with_sends(1), only_receive = new_port();
    union message m = header_to(p, 0);

    (void)state;
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER); /* no disposition */
    m = header_to(p, MACH_MSG_TYPE_MOVE_RECEIVE);
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER);
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_local_port = only_receive;
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER); /* a name without a disposition */
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER); /* and the reverse */
    m.h.msgh_local_port = only_receive;
    m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MOVE_RECEIVE);
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER);
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_bits |= 0x20000000;
    assert_kr(send_message(&m), MACH_SEND_INVALID_HEADER); /* a bit that is not a user's */
    m = header_to(MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    m = header_to(MACH_PORT_DEAD, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    m = header_to(0x7fff03, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    m = header_to(only_receive, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST); /* no send right there */
    m = header_to(p, MACH_MSG_TYPE_MOVE_SEND_ONCE);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_local_port = only_receive;
    m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_REPLY);
    m.h.msgh_local_port = 0x7fff03;
    assert_kr(send_message(&m), MACH_SEND_INVALID_REPLY);
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_bits |= 17 << 16;
    m.h.msgh_voucher_port = p;
    assert_kr(send_message(&m), MACH_SEND_INVALID_VOUCHER);
    m.h.msgh_voucher_port = MACH_PORT_NULL; /* a null voucher is accepted */
    ok(send_message(&m));
    ok(receive(&m, p));
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, only_receive));
}

static void test_machmsg_messages__descriptor_errors(void **state)
{
    mach_port_t to = new_port(), p = new_port();
    vm_address_t gone;
    union message m;

    (void)state;
    ok(vm_allocate(SELF, &gone, 4 * vm_page_size, VM_FLAGS_ANYWHERE));
    m = port_message(to, p, MACH_MSG_TYPE_MAKE_SEND);
    m.port.d.type = 9;
    assert_kr(send_message(&m), MACH_SEND_INVALID_TYPE);
    m.port.d.type = MACH_MSG_GUARDED_PORT_DESCRIPTOR;
    assert_kr(send_message(&m), MACH_SEND_INVALID_TYPE);
    m = port_message(to, p, 3);
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT); /* no such disposition */
    m = port_message(to, p, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT); /* no send right */
    m = port_message(to, 0x7fff03, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT); /* no such name */
    m = ool_message(to, (void *)gone, 100, 2, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_TYPE);
    m.ool.d.copy = 3;
    assert_kr(send_message(&m), MACH_SEND_INVALID_TYPE);
    m = array_message(to, NULL, 3, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    ok(vm_protect(SELF, gone, 4 * vm_page_size, FALSE, VM_PROT_NONE));
    m = ool_message(to, (void *)gone, 100, MACH_MSG_VIRTUAL_COPY, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    m = ool_message(to, (void *)gone, (mach_msg_size_t)(3 * vm_page_size), 0, true);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    ok(vm_deallocate(SELF, gone, 4 * vm_page_size));
    m = ool_message(to, (void *)gone, 100, MACH_MSG_PHYSICAL_COPY, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    m = ool_message(to, (void *)(UINTPTR_MAX - 10), 100, MACH_MSG_VIRTUAL_COPY, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    m = ool_message(to, (void *)gone, 40 * 4096, MACH_MSG_PHYSICAL_COPY, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    expect_empty(to);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

/* Bad memory is told at once, not after waiting for a place in the queue. */
static void test_machmsg_messages__bad_memory_on_a_full_queue(void **state)
{
    mach_port_t to = new_port();
    union message m = header_to(to, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    fill_queue(&m);
    m = ool_message(to, (void *)16, 100, MACH_MSG_VIRTUAL_COPY, false);
    assert_kr(send_message(&m), MACH_SEND_INVALID_MEMORY);
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_messages__bad_buffers(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    mach_msg_header_t *bad = (mach_msg_header_t *)(uintptr_t)4096;

    (void)state;
    assert_kr(mach_msg(bad, MACH_SEND_MSG, 24, 0, 0, 0, 0), MACH_SEND_INVALID_DATA);
    m = port_message(p, p, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    /* The message is destroyed, its right released. */
    assert_kr(mach_msg(bad, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, 4096, p, 100, 0),
              MACH_RCV_INVALID_DATA);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 0);
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static struct {
    ucontext_t caller, other;
    mach_msg_header_t *bad;
    mach_msg_return_t got;
} context;

static void send_from_context(void)
{
    context.got = mach_msg(context.bad, MACH_SEND_MSG, 24, 0, 0, 0, 0);
}

/* A bad buffer between the stack in use and the thread's own one is as bad as any other. */
static void test_machmsg_messages__bad_buffer_on_another_stack(void **state)
{
    const size_t half = 256 * 1024;
    unsigned char *room =
        mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(room, MAP_FAILED);
    assert_int_equal(mprotect(room + half, half, PROT_NONE), 0);
    context.bad = (mach_msg_header_t *)(room + half);
    assert_int_equal(getcontext(&context.other), 0);
    context.other.uc_stack.ss_sp = room;
    context.other.uc_stack.ss_size = half;
    context.other.uc_link = &context.caller;
    makecontext(&context.other, send_from_context, 0);
    assert_int_equal(swapcontext(&context.caller, &context.other), 0);
    assert_kr(context.got, MACH_SEND_INVALID_DATA);
    munmap(room, 2 * half);
}

static void test_machmsg_messages__inline_sizes(void **state)
{
    static const mach_msg_size_t sizes[] = {24, 28, 1024, 16384, 16408, 16412, 131072, 4 << 20};
    mach_port_t p = new_port();

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const mach_msg_size_t size = sizes[i];
        unsigned char *out = malloc(size), *in = malloc(size + 8);
        union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

        memset(out, (int)i + 1, size);
        memcpy(out, &m.h, sizeof m.h);
        ok(mach_msg((mach_msg_header_t *)out, MACH_SEND_MSG, size, 0, 0, 0, 0));
        ok(mach_msg((mach_msg_header_t *)in, MACH_RCV_MSG, 0, size + 8, p, 0, 0));
        assert_int_equal(((mach_msg_header_t *)in)->msgh_size, size);
        assert_memory_equal(in + 24, out + 24, size - 24);
        free(in);
        free(out);
    }
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__too_large_to_send(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    assert_kr(mach_msg(&m.h, MACH_SEND_MSG, 0x7ffffffc, 0, 0, 0, 0), MACH_SEND_TOO_LARGE);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__receive_too_large(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    m.h.msgh_id = 55;
    m.h.msgh_size = 64;
    ok(send_message(&m));
    /* With RCV_LARGE it stays, and the size says what is needed. */
    memset(&m, 0, sizeof m);
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 64, p, 0, 0), MACH_RCV_TOO_LARGE);
    assert_int_equal(m.h.msgh_size, 64);
    ok(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 64 + 8, p, 0, 0));
    assert_int_equal(m.h.msgh_id, 55);
    /* Without, it is gone, and so is the right in it. */
    m = port_message(p, p, MACH_MSG_TYPE_MAKE_SEND);
    m.h.msgh_id = 56;
    ok(send_message(&m));
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m.port, p, 0, 0), MACH_RCV_TOO_LARGE);
    assert_int_equal(m.h.msgh_id, 56);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 0);
    expect_empty(p);
    /* The same for a size too small for any message. */
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG, 0, 0, p, 0, 0), MACH_RCV_TOO_LARGE);
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__trailers(void **state)
{
    mach_port_t p = new_port();
    union {
        mach_msg_header_t h;
        struct {
            mach_msg_header_t h;
            mach_msg_audit_trailer_t t;
        } r;
        unsigned char bytes[256];
    } m;

    (void)state;
    for (int elements = 0; elements <= MACH_RCV_TRAILER_AUDIT; elements++) {
        static const mach_msg_size_t sizes[] = {8, 12, 20, 52};
        mach_msg_option_t option = MACH_RCV_MSG | MACH_RCV_TIMEOUT |
                                   MACH_RCV_TRAILER_TYPE(MACH_MSG_TRAILER_FORMAT_0) |
                                   MACH_RCV_TRAILER_ELEMENTS(elements);
        union message out = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

        ok(send_message(&out));
        memset(&m, 0x5a, sizeof m);
        ok(mach_msg(&m.h, option, 0, 24 + sizes[elements], p, 100, 0));
        assert_int_equal(m.r.t.msgh_trailer_type, 0);
        assert_int_equal(m.r.t.msgh_trailer_size, sizes[elements]);
        assert_int_equal(m.bytes[24 + sizes[elements]], 0x5a); /* and nothing behind it */
        if (elements >= MACH_RCV_TRAILER_SEQNO)
            assert_int_equal(m.r.t.msgh_seqno, elements);
        if (elements >= MACH_RCV_TRAILER_SENDER) {
            assert_int_equal(m.r.t.msgh_sender.val[0], geteuid());
            assert_int_equal(m.r.t.msgh_sender.val[1], getegid());
        }
        if (elements == MACH_RCV_TRAILER_AUDIT)
            assert_int_equal(m.r.t.msgh_audit.val[5], getpid());
    }
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TRAILER_ELEMENTS(9), 0, 200, p, 0, 0),
              MACH_RCV_INVALID_TRAILER);
    ok(mach_port_destroy(SELF, p));
}

/* A receive that cannot wait (poll needs a limit of descriptors above 0) leaves a header without
 * rights, not what was in the buffer. */
static void test_machmsg_messages__waiting_that_fails_leaves_no_rights(void **state)
{
    mach_port_t p = new_port();
    struct rlimit old, none;
    mach_msg_return_t mr;
    union message m;

    (void)state;
    memset(&m, 0x55, sizeof m);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    mr = mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 20, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    if (mr != MACH_RCV_TIMED_OUT) { /* a tool may have descriptors, and a limit, of its own */
        assert_int_equal(m.h.msgh_bits, 0);
        assert_int_equal(m.h.msgh_remote_port, MACH_PORT_NULL);
        assert_int_equal(m.h.msgh_local_port, p);
    }
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__receive_errors(void **state)
{
    mach_port_t p = new_port();
    union message m;

    (void)state;
    assert_kr(receive(&m, MACH_PORT_NULL), MACH_RCV_INVALID_NAME);
    assert_kr(receive(&m, 0x7fff03), MACH_RCV_INVALID_NAME);
    assert_kr(receive(&m, SELF), MACH_RCV_INVALID_NAME); /* a send right only */
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 0, 0),
              MACH_RCV_TIMED_OUT);
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 30, 0),
              MACH_RCV_TIMED_OUT);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__combined_send_and_receive(void **state)
{
    mach_port_t p = new_port(), back = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    ok(mach_msg(&m.h, MACH_SEND_MSG | MACH_RCV_MSG, 24, sizeof m, p, 0, 0));
    assert_int_equal(m.h.msgh_local_port, p);
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    assert_kr(
        mach_msg(&m.h, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, 24, sizeof m, back, 20, 0),
        MACH_RCV_TIMED_OUT); /* the first half was done */
    ok(receive(&m, p));
    m = header_to(MACH_PORT_DEAD, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(mach_msg(&m.h, MACH_SEND_MSG | MACH_RCV_MSG, 24, sizeof m, back, 0, 0),
              MACH_SEND_INVALID_DEST); /* and the second is not tried when it fails */
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, back));
}

static void *destroy_later(void *arg)
{
    usleep(50000);
    mach_port_mod_refs(SELF, *(mach_port_t *)arg, MACH_PORT_RIGHT_RECEIVE, -1);
    return NULL;
}

static void test_machmsg_messages__port_dies_under_a_receiver(void **state)
{
    mach_port_t p = new_port();
    union message m;
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, destroy_later, &p), 0);
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, p, 0, 0), MACH_RCV_PORT_DIED);
    pthread_join(t, NULL);
}

static void *move_later(void *arg)
{
    mach_port_t *ports = arg; /* to, moved */
    union message m = port_message(ports[0], ports[1], MACH_MSG_TYPE_MOVE_RECEIVE);

    usleep(50000);
    return (void *)(uintptr_t)send_message(&m);
}

/* The right that a thread waits on goes away in a message: the thread must not take what is the
 * next owner's. */
static void test_machmsg_messages__right_moves_under_a_receiver(void **state)
{
    mach_port_t ports[2] = {new_port(), new_port_with_sends(1)};
    union message m;
    pthread_t t;
    void *sent;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, move_later, ports), 0);
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, ports[1], 0, 0), MACH_RCV_PORT_DIED);
    pthread_join(t, &sent);
    assert_kr((uintptr_t)sent, MACH_MSG_SUCCESS);
    ok(receive(&m, ports[0]));
    m = header_to(ports[1], MACH_MSG_TYPE_COPY_SEND);
    ok(send_message(&m));
    ok(receive(&m, ports[1]));
    ok(mach_port_destroy(SELF, ports[0]));
    ok(mach_port_destroy(SELF, ports[1]));
}

static void *receive_later(void *arg)
{
    union message m;

    usleep(50000);
    return (void *)(uintptr_t)receive(&m, *(mach_port_t *)arg);
}

static void test_machmsg_messages__full_queue_blocks_until_received(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    pthread_t t;
    void *got;

    (void)state;
    fill_queue(&m);
    assert_int_equal(pthread_create(&t, NULL, receive_later, &p), 0);
    ok(mach_msg(&m.h, MACH_SEND_MSG, 24, 0, 0, 0, 0));
    pthread_join(t, &got);
    assert_kr((uintptr_t)got, MACH_MSG_SUCCESS);
    for (int i = 0; i < 5; i++)
        ok(receive(&m, p));
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static void on_signal(int sig)
{
    (void)sig;
}

static void test_machmsg_messages__interrupted(void **state)
{
    struct sigaction act = {.sa_handler = on_signal}, old;
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    sigaction(SIGUSR1, &act, &old);
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            usleep(50000);
            kill(getppid(), SIGUSR1);
            _exit(0);
        }
        if (i == 0)
            assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_INTERRUPT, 0, sizeof m, p, 0, 0),
                      MACH_RCV_INTERRUPTED);
        else
            assert_kr(mach_msg(&m.h, MACH_SEND_MSG | MACH_SEND_INTERRUPT, 24, 0, 0, 0, 0),
                      MACH_SEND_INTERRUPTED);
        expect_child_ok(pid);
        m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
        for (int k = 0; i == 0 && k < 5; k++)
            ok(send_now(&m));
    }
    sigaction(SIGUSR1, &old, NULL);
    ok(mach_port_destroy(SELF, p));
}

/* All four kinds in one message, in an order in which their sizes differ. */
static void test_machmsg_messages__all_kinds_in_one(void **state)
{
    struct {
        mach_msg_header_t h;
        mach_msg_body_t b;
        mach_msg_ool_descriptor_t ool;
        mach_msg_port_descriptor_t port;
        mach_msg_ool_descriptor_t volatile_ool;
        mach_msg_ool_ports_descriptor_t ports;
        mach_msg_port_descriptor_t again;
        char text[16];
        mach_msg_trailer_t trailer;
    } m = {0};
    mach_port_t p = new_port_with_sends(1), two[2] = {p, MACH_PORT_NULL};
    char first[] = "first", second[] = "second";

    (void)state;
    m.h.msgh_bits = MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, 0, 0, MACH_MSGH_BITS_COMPLEX);
    m.h.msgh_remote_port = p;
    m.b.msgh_descriptor_count = 5;
    m.ool = (mach_msg_ool_descriptor_t){
        .address = first, .size = sizeof first, .copy = 1, .type = MACH_MSG_OOL_DESCRIPTOR};
    m.port = (mach_msg_port_descriptor_t){
        .name = p, .disposition = MACH_MSG_TYPE_MAKE_SEND, .type = MACH_MSG_PORT_DESCRIPTOR};
    m.volatile_ool = (mach_msg_ool_descriptor_t){
        .address = second, .size = sizeof second, .type = MACH_MSG_OOL_VOLATILE_DESCRIPTOR};
    m.ports = (mach_msg_ool_ports_descriptor_t){.address = two,
                                                .count = 2,
                                                .disposition = MACH_MSG_TYPE_COPY_SEND,
                                                .type = MACH_MSG_OOL_PORTS_DESCRIPTOR};
    m.again = m.port;
    strcpy(m.text, "inline");
    ok(mach_msg(&m.h, MACH_SEND_MSG, sizeof m - sizeof m.trailer, 0, 0, 0, 0));
    memset(&m, 0, sizeof m);
    ok(mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, p, 0, 0));
    assert_string_equal(m.text, "inline");
    assert_int_equal(m.b.msgh_descriptor_count, 5);
    assert_string_equal(m.ool.address, "first");
    assert_int_equal(m.ool.size, sizeof first);
    assert_int_equal(m.ool.copy, MACH_MSG_VIRTUAL_COPY);
    assert_int_equal(m.ool.deallocate, TRUE);
    assert_int_equal(m.volatile_ool.type, MACH_MSG_OOL_VOLATILE_DESCRIPTOR);
    assert_string_equal(m.volatile_ool.address, "second");
    assert_int_equal(m.volatile_ool.copy, MACH_MSG_PHYSICAL_COPY);
    assert_int_equal(m.volatile_ool.deallocate, FALSE);
    assert_int_equal(m.ports.count, 2);
    assert_int_equal(((mach_port_t *)m.ports.address)[0], p);
    assert_int_equal(m.port.name, p);
    assert_int_equal(m.again.name, p);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 4);
    ok(vm_deallocate(SELF, (vm_address_t)m.volatile_ool.address, m.volatile_ool.size));
    mach_msg_destroy(&m.h); /* skips the volatile one */
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 1);
    ok(mach_port_destroy(SELF, p));
}

/* Two processes and a name server are not needed for a reply: the request carries the way back. */
static void test_machmsg_messages__between_processes(void **state)
{
    mach_port_t p = new_port_with_sends(1);
    union message m;
    pid_t pid;

    (void)state;
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, p));
    pid = fork();
    if (pid == 0) {
        mach_port_t to = MACH_PORT_NULL, back = mach_reply_port();

        child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &to) == KERN_SUCCESS);
        for (int i = 0; i < 200; i++) {
            m = header_to(to, MACH_MSG_TYPE_COPY_SEND);
            m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
            m.h.msgh_local_port = back;
            m.h.msgh_id = i;
            child_check(mach_msg(&m.h, MACH_SEND_MSG | MACH_RCV_MSG, 24, sizeof m, back, 0, 0) ==
                        MACH_MSG_SUCCESS);
            child_check(m.h.msgh_id == i + 1000);
        }
        _exit(0);
    }
    for (int i = 0; i < 200; i++) {
        ok(receive(&m, p));
        m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(m.h.msgh_bits), 0);
        m.h.msgh_local_port = MACH_PORT_NULL;
        m.h.msgh_id += 1000;
        ok(send_message(&m));
    }
    expect_child_ok(pid);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__dead_receiver_process(void **state)
{
    mach_port_t p = new_port_with_sends(1), far;
    union message m;
    pid_t pid;

    (void)state;
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, p));
    pid = fork();
    if (pid == 0) {
        mach_port_t to = MACH_PORT_NULL, own = mach_reply_port();

        child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &to) == KERN_SUCCESS);
        m = header_to(to, MACH_MSG_TYPE_COPY_SEND);
        m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND);
        m.h.msgh_local_port = own;
        child_check(send_message(&m) == MACH_MSG_SUCCESS);
        pause();
    }
    ok(receive(&m, p));
    far = m.h.msgh_remote_port;
    m = header_to(far, MACH_MSG_TYPE_COPY_SEND);
    ok(send_message(&m));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    assert_int_equal(type_of(far), MACH_PORT_TYPE_DEAD_NAME);
    ok(mach_port_deallocate(SELF, far));
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_messages__error_strings(void **state)
{
    (void)state;
    assert_string_equal(mach_error_string(MACH_SEND_INVALID_DEST),
                        "(ipc/send) invalid destination port");
    assert_string_equal(mach_error_string(KERN_INVALID_ARGUMENT), "(os/kern) invalid argument");
    assert_string_equal(mach_error_string(MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE),
                        "(ipc/rcv) body error");
    assert_string_equal(mach_error_string(BOOTSTRAP_UNKNOWN_SERVICE),
                        "(bootstrap) unknown service");
    assert_string_equal(mach_error_string(-12345), "unknown error code");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        leak_tested(test_machmsg_messages__waiting_that_fails_leaves_no_rights),
        leak_tested(test_machmsg_messages__layouts),
        leak_tested(test_machmsg_messages__send_sizes),
        leak_tested(test_machmsg_messages__header_errors),
        leak_tested(test_machmsg_messages__descriptor_errors),
        leak_tested(test_machmsg_messages__bad_memory_on_a_full_queue),
        leak_tested(test_machmsg_messages__bad_buffers),
        leak_tested(test_machmsg_messages__bad_buffer_on_another_stack),
        leak_tested(test_machmsg_messages__inline_sizes),
        leak_tested(test_machmsg_messages__too_large_to_send),
        leak_tested(test_machmsg_messages__receive_too_large),
        leak_tested(test_machmsg_messages__trailers),
        leak_tested(test_machmsg_messages__receive_errors),
        leak_tested(test_machmsg_messages__combined_send_and_receive),
        leak_tested(test_machmsg_messages__port_dies_under_a_receiver),
        leak_tested(test_machmsg_messages__right_moves_under_a_receiver),
        leak_tested(test_machmsg_messages__full_queue_blocks_until_received),
        leak_tested(test_machmsg_messages__interrupted),
        leak_tested(test_machmsg_messages__all_kinds_in_one),
        leak_tested(test_machmsg_messages__between_processes),
        leak_tested(test_machmsg_messages__dead_receiver_process),
        leak_tested(test_machmsg_messages__error_strings)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
