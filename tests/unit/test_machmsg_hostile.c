/* A peer that writes raw bytes to a port's socket instead of using the library. Whatever it sends,
 * the receiver gets an error code or nothing, keeps what it has, leaks no descriptor, and the next
 * honest message arrives. */
#include "tests/support/machmsg_fixture.h"

#include "lab/machmsg/ports/port.h"
#include "lab/machmsg/ports/wire.h"
#include "tests/support/linger.h"
#include "tests/support/skip.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PAGE vm_page_size

/* The sending end of a port of ours: what any holder of a send right has. */
static int raw_end(mach_port_t p)
{
    int s;

    space_lock();
    s = space_find(p)->port->s;
    space_unlock();
    return s;
}

static ssize_t raw_send(int s, const void *bytes, size_t n, const int *fds, size_t nfds)
{
    return send_beside(s, bytes, n, fds, nfds, 0);
}

/* A message that is correct but for what a test changes: one out-of-line descriptor, one item. */
struct raw {
    struct wire_head head;
    struct wire_item item;
    mach_msg_body_t body;
    union {
        mach_msg_ool_descriptor_t ool;
        mach_msg_ool_ports_descriptor_t ports;
        mach_msg_port_descriptor_t port; /* 12 bytes, and 4 of inline data */
    } d;
    unsigned char more[64];
};
#define RAW_SIZE offsetof(struct raw, more)

static struct raw raw_message(unsigned int type, unsigned int kind, uint64_t value, uint32_t nfds)
{
    struct raw r = {.head = {.magic = WIRE_MAGIC,
                             .bits = MACH_MSGH_BITS_COMPLEX,
                             .size = sizeof(mach_msg_base_t) + 16,
                             .id = 9,
                             .nitems = 1,
                             .nfds = nfds},
                    .item = {.kind = (uint8_t)kind, .value = value},
                    .body = {1}};

    if (type == MACH_MSG_PORT_DESCRIPTOR) {
        r.d.port.type = type;
        r.d.port.disposition = kind == WIRE_RECEIVE     ? MACH_MSG_TYPE_PORT_RECEIVE
                               : kind == WIRE_SEND_ONCE ? MACH_MSG_TYPE_PORT_SEND_ONCE
                                                        : MACH_MSG_TYPE_PORT_SEND;
    } else {
        r.d.ool.type = type;
        r.d.ool.copy = MACH_MSG_VIRTUAL_COPY;
        r.d.ool.size = (mach_msg_size_t)value;
    }
    return r;
}

/* The port still works, and nothing else waits in it. */
static void expect_alive(mach_port_t p)
{
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    m.h.msgh_id = 4711;
    ok(send_message(&m));
    ok(receive(&m, p));
    assert_int_equal(m.h.msgh_id, 4711);
    expect_empty(p);
}

static void expect_refused(mach_port_t p, const void *bytes, size_t n, const int *fds, size_t nfds,
                           mach_msg_return_t want)
{
    union message m;
    mach_msg_return_t mr;

    assert_int_equal(raw_send(raw_end(p), bytes, n, fds, nfds), (ssize_t)n);
    mr = receive(&m, p);
    assert_kr(mr, want);
    if (mr & 0x10000000)
        expect_alive(p);
}

static void test_machmsg_hostile__rubbish(void **state)
{
    mach_port_t p = new_port();
    unsigned char bytes[sizeof(struct raw)];

    (void)state;
    for (size_t n = 1; n <= sizeof bytes; n++) {
        memset(bytes, (int)n, sizeof bytes);
        expect_refused(p, bytes, n, NULL, 0, MACH_RCV_BODY_ERROR);
    }
    /* An empty packet is not the end of the port. */
    expect_refused(p, bytes, 0, NULL, 0, MACH_RCV_BODY_ERROR);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__every_header_field(void **state)
{
    mach_port_t p = new_port();
    const struct raw good = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);

    (void)state;
    expect_refused(p, &good, RAW_SIZE, NULL, 0, MACH_MSG_SUCCESS);
    /* Each 32-bit word of head, item and body in turn gets values that matter. */
    for (size_t word = 0; word < RAW_SIZE / 4; word++) {
        static const uint32_t values[] = {1, 3, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 27, 252};

        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            struct raw bad = good;
            union message m;

            memcpy((unsigned char *)&bad + 4 * word, &values[v], 4);
            assert_int_equal(raw_send(raw_end(p), &bad, RAW_SIZE, NULL, 0), (ssize_t)RAW_SIZE);
            /* Some change nothing that counts (the id); none may do harm. */
            (void)mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 0, 0);
            while (mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 0, 0) ==
                   MACH_MSG_SUCCESS)
                continue;
            expect_alive(p);
        }
    }
    for (size_t cut = 1; cut < RAW_SIZE; cut++)
        expect_refused(p, &good, cut, NULL, 0, MACH_RCV_BODY_ERROR);
    expect_refused(p, &good, sizeof good, NULL, 0, MACH_RCV_BODY_ERROR); /* longer than it says */
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__lengths_counts_and_types(void **state)
{
    mach_port_t p = new_port();
    struct raw r;

    (void)state;
    r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    r.body.msgh_descriptor_count = 2;
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r.body.msgh_descriptor_count = 0xffffffff;
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(9, WIRE_OOL_NULL, 0, 0);
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_SEND, 0, 0);
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_PORT_DESCRIPTOR, WIRE_OOL_MAP, 4096, 0);
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_MAP, 4096, 0); /* no descriptor came */
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r.item.fd = 0xffffffff;
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_OOL_PORTS_DESCRIPTOR, WIRE_NULL, 0, 0);
    r.d.ports.count = 16000; /* more rights than items */
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_PORT_DESCRIPTOR, WIRE_NULL, 0, 0);
    r.d.port.disposition = MACH_MSG_TYPE_MAKE_SEND; /* not what a receiver is told */
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    r.head.size = 1 << 20; /* a body that is not there */
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    r.head.flags = WIRE_PAYLOAD_FD; /* and that no object brings */
    expect_refused(p, &r, RAW_SIZE, NULL, 0, MACH_RCV_BODY_ERROR);
    ok(mach_port_destroy(SELF, p));
}

static int memory(off_t size, int seals)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, "data", 4, 0), 4);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

#define ALL_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

/* fd as memory of the given size, both as something to map and as something to copy. */
static void refuse_memory(int fd, uint64_t size)
{
    (void)!fcntl(fd, F_GETFD);
    for (unsigned int kind = WIRE_OOL_ANON; kind <= WIRE_OOL_MAP; kind++) {
        mach_port_t p = new_port();
        struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, kind, size, 1);
        union message m;

        assert_int_equal(raw_send(raw_end(p), &r, RAW_SIZE, &fd, 1), (ssize_t)RAW_SIZE);
        assert_kr(receive(&m, p), MACH_RCV_BODY_ERROR);
        assert_null(m.ool.d.address); /* the message came, without memory */
        assert_int_equal(m.ool.d.size, 0);
        expect_alive(p);
        ok(mach_port_destroy(SELF, p));
    }
    close(fd);
}

static void test_machmsg_hostile__objects_that_are_not_sealed_memory(void **state)
{
    char file[] = "/tmp/cowlab-hostile-XXXXXX";
    int fd, pipes[2];
    void *p;

    (void)state;
    refuse_memory(memory(4096, 0), 4096);
    refuse_memory(memory(4096, F_SEAL_SHRINK), 4096);
    refuse_memory(memory(4096, F_SEAL_WRITE | F_SEAL_GROW), 4096);
    refuse_memory(memory(4096, F_SEAL_GROW | F_SEAL_SHRINK), 4096);
    refuse_memory(memory(4096, ALL_SEALS), 8192); /* smaller than it says: SIGBUS, if believed */
    refuse_memory(memory(8192, ALL_SEALS), 4096);
    refuse_memory(memory(0, F_SEAL_GROW), 4096);
    fd = memory(4096, 0);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
    refuse_memory(fd, 4096); /* an old mapping could go on writing */
    munmap(p, 4096);
    fd = mkstemp(file);
    unlink(file);
    assert_int_equal(ftruncate(fd, 4096), 0);
    refuse_memory(fd, 4096);
    assert_int_equal(pipe(pipes), 0);
    refuse_memory(pipes[0], 4096);
    close(pipes[1]);
    refuse_memory(socket(AF_UNIX, SOCK_SEQPACKET, 0), 4096);
    refuse_memory(open("/dev/zero", O_RDWR), 4096);
    refuse_memory(open("/proc/self/mem", O_RDWR), 4096);
    refuse_memory(open("/", O_PATH), 4096);
    fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd >= 0) {
        assert_int_equal(ftruncate(fd, 2 << 20), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
        refuse_memory(fd, 2 << 20);
    }
}

static void test_machmsg_hostile__bytes_behind_the_end(void **state)
{
    int fd = memory(4096, 0);

    (void)state;
    assert_int_equal(pwrite(fd, "SECRET", 6, 2000), 6);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
    refuse_memory(fd, 100);
}

static void test_machmsg_hostile__one_object_for_two_descriptors(void **state)
{
    mach_port_t p = new_port();
    struct {
        struct wire_head head;
        struct wire_item item[2];
        mach_msg_body_t body;
        mach_msg_ool_descriptor_t d[2];
    } r = {.head = {.magic = WIRE_MAGIC,
                    .bits = MACH_MSGH_BITS_COMPLEX,
                    .size = sizeof(mach_msg_base_t) + 32,
                    .nitems = 2,
                    .nfds = 1},
           .item = {{.kind = WIRE_OOL_MAP, .value = 4096}, {.kind = WIRE_OOL_MAP, .value = 4096}},
           .body = {2},
           .d = {{.size = 4096, .copy = 1, .type = 1}, {.size = 4096, .copy = 1, .type = 1}}};
    int fd = memory(4096, ALL_SEALS);

    (void)state;
    expect_refused(p, &r, offsetof(__typeof__(r), d) + 32, &fd, 1, MACH_RCV_BODY_ERROR);
    close(fd);
    ok(mach_port_destroy(SELF, p));
}

static void refuse_right(unsigned int kind, const int *fds, uint32_t nfds)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_PORT_DESCRIPTOR, kind, kind == WIRE_SEND_ONCE, nfds);
    union message m;

    if (kind == WIRE_RECEIVE) {
        r.head.nextra = WIRE_PORT_WORDS;
        memmove((unsigned char *)&r.item + sizeof r.item + 8 * WIRE_PORT_WORDS, &r.body,
                sizeof r.body + sizeof r.d);
        memset((unsigned char *)&r.item + sizeof r.item, 0xff, 8 * WIRE_PORT_WORDS);
    }
    assert_true(raw_send(raw_end(p), &r, RAW_SIZE + 8 * r.head.nextra, fds, nfds) > 0);
    assert_kr(receive(&m, p), MACH_RCV_BODY_ERROR);
    assert_int_equal(m.port.d.name, MACH_PORT_NULL);
    expect_alive(p);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__rights_that_are_no_ports(void **state)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    int pipes[2], fds[2], listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 1), 0);
    for (unsigned int kind = WIRE_SEND; kind <= WIRE_SEND_ONCE; kind++) {
        refuse_right(kind, pipes, 1);
        for (size_t i = 0; i < 2; i++) {
            int s = socket(AF_UNIX, types[i], 0);

            refuse_right(kind, &s, 1);
            close(s);
        }
        refuse_right(kind, &listener, 1);
    }
    refuse_right(WIRE_RECEIVE, pipes, 2);
    fds[0] = fds[1] = listener;
    refuse_right(WIRE_RECEIVE, fds, 2);
    close(listener);
    close(pipes[0]);
    close(pipes[1]);
}

/* The receive right of a port whose receive right is here already. */
static void test_machmsg_hostile__second_receive_right(void **state)
{
    mach_port_t victim = new_port_with_sends(1);
    int fds[2], pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    fds[0] = pair[0];
    fds[1] = raw_end(victim);
    refuse_right(WIRE_RECEIVE, fds, 2);
    expect_alive(victim);
    close(pair[0]);
    close(pair[1]);
    ok(mach_port_destroy(SELF, victim));
}

/* A port whose other half is the peer's: it answers with rubbish, or not at all. */
static void test_machmsg_hostile__send_right_of_a_false_port(void **state)
{
    mach_port_t p = new_port(), got;
    struct raw r = raw_message(MACH_MSG_PORT_DESCRIPTOR, WIRE_SEND, 0, 1);
    union message m;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_true(raw_send(raw_end(p), &r, RAW_SIZE, &pair[0], 1) > 0);
    ok(receive(&m, p));
    got = m.port.d.name;
    m = header_to(got, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT); /* it gives no queue slots */
    assert_int_equal(send(pair[1], "many bytes for one slot", 23, 0), 23);
    ok(send_now(&m));
    close(pair[1]);
    assert_kr(send_now(&m), MACH_SEND_INVALID_DEST);
    close(pair[0]);
    ok(mach_port_deallocate(SELF, got));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__too_many_descriptors(void **state)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    int fds[253];

    (void)state;
    for (int i = 0; i < 253; i++)
        fds[i] = 2;
    expect_refused(p, &r, RAW_SIZE, fds, 253, MACH_RCV_BODY_ERROR);
    expect_refused(p, &r, 10, fds, 253, MACH_RCV_BODY_ERROR);
    r.head.nfds = 253; /* declared, and named by nothing */
    expect_refused(p, &r, RAW_SIZE, fds, 253, MACH_RCV_BODY_ERROR);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__nested_sockets(void **state)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_PORT_DESCRIPTOR, WIRE_SEND, 0, 1);
    int pair[2], many[100], pipes[2];

    (void)state;
    for (int i = 0; i < 100; i++)
        many[i] = 2;
    r.head.flags = WIRE_NESTED;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) | pipe(pipes), 0);
    expect_refused(p, &r, RAW_SIZE, &pair[0], 1, MACH_RCV_BODY_ERROR); /* empty: no waiting */
    expect_refused(p, &r, RAW_SIZE, &pipes[0], 1, MACH_RCV_BODY_ERROR);
    assert_int_equal(raw_send(pair[1], "x", 1, many, 100), 1); /* more than were announced */
    expect_refused(p, &r, RAW_SIZE, &pair[0], 1, MACH_RCV_BODY_ERROR);
    r.head.nfds = 200; /* a stop in the middle: only half of them come */
    assert_int_equal(raw_send(pair[1], "x", 1, many, 100), 1);
    expect_refused(p, &r, RAW_SIZE, &pair[0], 1, MACH_RCV_BODY_ERROR);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(pipes[i]);
    }
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__large_payload_objects(void **state)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    int fd = memory(1 << 20, 0);

    (void)state;
    r.head.flags = WIRE_PAYLOAD_FD;
    r.head.size = (1 << 20) + 24 - 16;
    expect_refused(p, &r.head, sizeof r.head, &fd, 1, MACH_RCV_BODY_ERROR); /* unsealed */
    assert_int_equal(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
    expect_refused(p, &r.head, sizeof r.head, &fd, 1, MACH_RCV_BODY_ERROR); /* rubbish in it */
    r.head.size += 4096;
    expect_refused(p, &r.head, sizeof r.head, &fd, 1, MACH_RCV_BODY_ERROR); /* wrong size */
    close(fd);
    ok(mach_port_destroy(SELF, p));
}

/* No slot is asked for, as fast as it goes: the kernel's buffer is the limit, and honest messages
 * get through once it has drained. */
static void test_machmsg_hostile__flood(void **state)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    union message m;
    int sent = 0, got = 0;

    (void)state;
    while (raw_send(raw_end(p), &r, RAW_SIZE, NULL, 0) > 0)
        sent++;
    assert_true(sent > 5 && errno == EAGAIN);
    while (mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, p, 0, 0) ==
           MACH_MSG_SUCCESS)
        got++;
    assert_int_equal(got, sent);
    expect_alive(p);
    ok(mach_port_destroy(SELF, p));
}

/* Descriptors whose close would last an hour: beside a message, as a port, in a port's queue, in a
 * port that is sent, beside a queue slot. The readers of what lingers read nothing: every call that
 * returns did so while they wait. */
static void test_machmsg_hostile__closes_that_wait(void **state)
{
    mach_port_t p = new_port(), other = new_port(), got;
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_MAP, 4096, 1);
    struct lingering l[6];
    union message m;
    int fd, pair[2];

    (void)state;
    l[0] = lingering_make();
    assert_int_equal(raw_send(raw_end(p), &r, RAW_SIZE, &l[0].fd, 1), (ssize_t)RAW_SIZE);
    close(l[0].fd);
    assert_kr(receive(&m, p), MACH_RCV_BODY_ERROR);
    fd = lingering_in_a_queue(&l[1]);
    assert_int_equal(raw_send(raw_end(p), &r, RAW_SIZE, &fd, 1), (ssize_t)RAW_SIZE);
    close(fd);
    assert_kr(receive(&m, p), MACH_RCV_BODY_ERROR);
    expect_alive(p);

    /* A send right whose other end filled the queue, and gives slots with something beside them. */
    r = raw_message(MACH_MSG_PORT_DESCRIPTOR, WIRE_SEND, 0, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(raw_send(raw_end(p), &r, RAW_SIZE, &pair[0], 1) > 0);
    close(pair[0]);
    ok(receive(&m, p));
    got = m.port.d.name;
    l[2] = lingering_make();
    l[3] = lingering_make();
    for (int i = 2; i < 4; i++) {
        assert_int_equal(raw_send(pair[1], "t", 1, &l[i].fd, 1), 1);
        close(l[i].fd);
    }
    m = header_to(got, MACH_MSG_TYPE_COPY_SEND);
    ok(send_now(&m)); /* takes a slot */
    ok(mach_port_deallocate(SELF, got));
    close(pair[1]);

    /* In the queue of a port that dies, and of a port that is in the queue of one. */
    l[4] = lingering_make();
    assert_true(raw_send(raw_end(other), "x", 1, &l[4].fd, 1) > 0);
    close(l[4].fd);
    m = port_message(p, other, MACH_MSG_TYPE_MOVE_RECEIVE);
    ok(send_message(&m));
    l[5] = lingering_make();
    assert_true(raw_send(raw_end(p), "x", 1, &l[5].fd, 1) > 0);
    close(l[5].fd);
    ok(mach_port_destroy(SELF, p));
    p = new_port();
    expect_alive(p);
    ok(mach_port_destroy(SELF, p));
    for (int i = 0; i < 6; i++)
        lingering_end(&l[i]);
}

/* What is no message may come faster than it is thrown away: with as much of it as no ordinary
 * queue holds the time is over all the same. What is behind it comes next. */
static void test_machmsg_hostile__time_is_over_in_a_flood(void **state)
{
    static const struct wire_head nudge = {
        .magic = WIRE_MAGIC, .size = sizeof(mach_msg_header_t), .flags = WIRE_NUDGE};
    const int large = 8 << 20;
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    if (setsockopt(raw_end(p), SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large)) {
        ok(mach_port_destroy(SELF, p));
        skip_needs("the right to a larger queue");
        return;
    }
    for (int i = 0; i < 1500; i++)
        assert_int_equal(send(raw_end(p), &nudge, sizeof nudge, MSG_DONTWAIT), sizeof nudge);
    ok(send_message(&m));
    expect_empty(p);
    ok(receive(&m, p));
    ok(mach_port_destroy(SELF, p));
}

/* Who gave a receive right away may have kept the socket, and can have the kernel say nothing of a
 * sender: then it is nobody, neither root nor who sent the packet before. */
static void test_machmsg_hostile__unknown_sender(void **state)
{
    const mach_msg_option_t option =
        MACH_RCV_MSG | MACH_RCV_TIMEOUT | MACH_RCV_TRAILER_ELEMENTS(MACH_RCV_TRAILER_AUDIT);
    mach_port_t p = new_port();
    const mach_msg_audit_trailer_t *trailer;
    const int off = 0;
    union message m;

    (void)state;
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    space_lock();
    assert_int_equal(setsockopt(space_find(p)->port->r, SOL_SOCKET, SO_PASSCRED, &off, sizeof off),
                     0);
    space_unlock();
    ok(mach_msg(&m.h, option, 0, sizeof m, p, 2000, 0));
    trailer = (const mach_msg_audit_trailer_t *)(m.bytes + m.h.msgh_size);
    for (int i = 0; i < 2; i++)
        assert_int_equal(trailer->msgh_sender.val[i], UINT32_MAX);
    for (int i = 1; i < 5; i++)
        assert_int_equal(trailer->msgh_audit.val[i], UINT32_MAX);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_hostile__forged_send_once(void **state)
{
    mach_port_t p = new_port(), once = new_once(p);
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_NULL, 0, 0);
    union message m;

    (void)state;
    for (uint64_t guess = 1; guess < 50; guess++) {
        r.head.dest_nonce = guess;
        assert_true(raw_send(raw_end(p), &r, RAW_SIZE, NULL, 0) > 0);
    }
    expect_empty(p);
    m = header_to(once, MACH_MSG_TYPE_MOVE_SEND_ONCE);
    ok(send_message(&m));
    ok(receive(&m, p));
    expect_alive(p);
    ok(mach_port_destroy(SELF, p));
}

/* A full descriptor table loses what a message brings; it must be said, and the rest must live. */
static void test_machmsg_hostile__full_descriptor_table(void **state)
{
    const char *preload = getenv("LD_PRELOAD");
    mach_port_t p, a, b = MACH_PORT_NULL;
    mach_msg_return_t received;
    kern_return_t allocated;
    struct rlimit old, low;
    union message m;

    (void)state;
    if (preload && strstr(preload, "vgpreload"))
        skip_needs("the kernel to see the limit, which valgrind hides");
    p = new_port();
    a = new_port();
    m = port_message(p, a, MACH_MSG_TYPE_MAKE_SEND);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    ok(send_message(&m));
    low = old;
    low.rlim_cur = 3; /* every descriptor that is open is above it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    received = receive(&m, p);
    allocated = mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &b);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_kr(received, MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE);
    assert_kr(allocated, KERN_RESOURCE_SHORTAGE);
    expect_alive(p);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, a));
}

/* Any holder of a send right can shut the port's socket. The receiver hears that it died. */
static void test_machmsg_hostile__shutdown(void **state)
{
    mach_port_t p = new_port();
    union message m;

    (void)state;
    shutdown(raw_end(p), SHUT_RDWR);
    assert_kr(receive(&m, p), MACH_RCV_PORT_DIED);
    ok(mach_port_destroy(SELF, p));
}

/* Slots that a peer takes and does not use: others wait, and time out; nobody crashes. */
static void test_machmsg_hostile__stolen_slots(void **state)
{
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    char slot;

    (void)state;
    while (recv(raw_end(p), &slot, 1, MSG_DONTWAIT) == 1)
        continue;
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    ok(mach_port_destroy(SELF, p));
}

/* A sparse object of 4 GiB costs the receiver nothing but addresses. */
static void test_machmsg_hostile__giant_sparse_object(void **state)
{
    mach_port_t p = new_port();
    struct raw r = raw_message(MACH_MSG_OOL_DESCRIPTOR, WIRE_OOL_MAP, 0xfffff000u, 1);
    union message m;
    int fd = memory(0xfffff000, ALL_SEALS);

    (void)state;
    assert_true(raw_send(raw_end(p), &r, RAW_SIZE, &fd, 1) > 0);
    ok(receive(&m, p));
    assert_memory_equal(m.ool.d.address, "data", 4);
    mach_msg_destroy(&m.h);
    close(fd);
    ok(mach_port_destroy(SELF, p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        leak_tested(test_machmsg_hostile__rubbish),
        leak_tested(test_machmsg_hostile__every_header_field),
        leak_tested(test_machmsg_hostile__lengths_counts_and_types),
        leak_tested(test_machmsg_hostile__objects_that_are_not_sealed_memory),
        leak_tested(test_machmsg_hostile__bytes_behind_the_end),
        leak_tested(test_machmsg_hostile__one_object_for_two_descriptors),
        leak_tested(test_machmsg_hostile__rights_that_are_no_ports),
        leak_tested(test_machmsg_hostile__second_receive_right),
        leak_tested(test_machmsg_hostile__send_right_of_a_false_port),
        leak_tested(test_machmsg_hostile__too_many_descriptors),
        leak_tested(test_machmsg_hostile__nested_sockets),
        leak_tested(test_machmsg_hostile__large_payload_objects),
        leak_tested(test_machmsg_hostile__flood),
        leak_tested(test_machmsg_hostile__closes_that_wait),
        leak_tested(test_machmsg_hostile__time_is_over_in_a_flood),
        leak_tested(test_machmsg_hostile__unknown_sender),
        leak_tested(test_machmsg_hostile__forged_send_once),
        leak_tested(test_machmsg_hostile__full_descriptor_table),
        leak_tested(test_machmsg_hostile__shutdown),
        leak_tested(test_machmsg_hostile__stolen_slots),
        leak_tested(test_machmsg_hostile__giant_sparse_object)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
