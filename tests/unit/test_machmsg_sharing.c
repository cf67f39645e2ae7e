/* Is the sharing real? Page frames on both sides of a transfer between two processes: equal after
 * both have read; after one has written k pages exactly k differ; the other's bytes are unchanged.
 * A layer that copied would show no frame in common. Needs frames (root). */
#include "tests/support/machmsg_fixture.h"
#include "tests/support/skip.h"

#include <fcntl.h>
#include <mach/vm_map.h>

enum { PAGES = 64 };

/* What the receiver is told to do, and tells. */
static int orders[2], answers[2];

struct answer {
    uint64_t address;
};

static void read_all(const volatile unsigned char *at)
{
    for (int i = 0; i < PAGES; i++)
        (void)at[(size_t)i * vm_page_size];
}

static _Noreturn void receiver(void)
{
    mach_port_t parent = MACH_PORT_NULL, own = mach_reply_port();
    struct answer a = {0};
    union message m;
    char order;

    child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &parent) == KERN_SUCCESS);
    m = header_to(parent, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND);
    m.h.msgh_local_port = own;
    child_check(send_message(&m) == MACH_MSG_SUCCESS);
    child_check(receive(&m, own) == MACH_MSG_SUCCESS);
    a.address = (uint64_t)m.ool.d.address;
    do {
        child_check(write(answers[1], &a, sizeof a) == sizeof a);
        child_check(read(orders[0], &order, 1) == 1);
        if (order == 'r')
            read_all(m.ool.d.address);
        for (int i = 0; order > 0 && order < PAGES && i < order; i++)
            ((unsigned char *)m.ool.d.address)[(size_t)i * vm_page_size] = 'R';
    } while (order != 'q');
    _exit(0);
}

static uint64_t tell(char order)
{
    struct answer a;

    if (order)
        assert_int_equal(write(orders[1], &order, 1), 1);
    assert_int_equal(read(answers[0], &a, sizeof a), sizeof a);
    return a.address;
}

static void frames_of(pid_t pid, const void *at, uint64_t frames[PAGES])
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, frames, PAGES * 8, (off_t)((uintptr_t)at / vm_page_size * 8)),
                     PAGES * 8);
    close(fd);
    for (int i = 0; i < PAGES; i++)
        frames[i] = frames[i] >> 63 ? frames[i] & ((1ULL << 55) - 1) : 0;
}

static int in_common(pid_t pid, const void *there, const void *here)
{
    uint64_t a[PAGES], b[PAGES];
    int n = 0;

    frames_of(pid, there, a);
    frames_of(getpid(), here, b);
    for (int i = 0; i < PAGES; i++)
        n += a[i] && a[i] == b[i];
    return n;
}

static bool frames_are_told(void)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool told = pread(fd, &entry, 8, (off_t)((uintptr_t)&entry / vm_page_size * 8)) == 8 &&
                (entry & ((1ULL << 55) - 1));

    close(fd);
    return told;
}

/* Sends PAGES pages to a new process; gives where they lie there. */
static pid_t transfer_to_child(const unsigned char *at, uint64_t *there)
{
    mach_port_t meet = new_port_with_sends(1);
    union message m;
    pid_t pid;

    assert_int_equal(pipe(orders) | pipe(answers), 0);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, meet));
    pid = fork();
    if (pid == 0)
        receiver();
    ok(receive(&m, meet));
    m = ool_message(m.h.msgh_remote_port, at, (mach_msg_size_t)(PAGES * vm_page_size), 1, false);
    m.h.msgh_bits = MACH_MSGH_BITS_SET(MACH_MSG_TYPE_MOVE_SEND, 0, 0, MACH_MSGH_BITS_COMPLEX);
    ok(send_message(&m));
    *there = tell(0);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, meet));
    return pid;
}

static void end_child(pid_t pid)
{
    assert_int_equal(write(orders[1], "q", 1), 1);
    expect_child_ok(pid);
    for (int i = 0; i < 2; i++) {
        close(orders[i]);
        close(answers[i]);
    }
}

static unsigned char *filled(int flags)
{
    vm_address_t at;

    ok(vm_allocate(SELF, &at, PAGES * vm_page_size, VM_FLAGS_ANYWHERE | flags));
    for (int i = 0; i < PAGES; i++)
        ((unsigned char *)at)[(size_t)i * vm_page_size] = (unsigned char)(i + 1);
    return (unsigned char *)at;
}

static void test_machmsg_sharing__frames_are_the_same_until_written(void **state)
{
    unsigned char *at;
    uint64_t there;
    pid_t pid;

    (void)state;
    if (!frames_are_told())
        skip_needs("frames");
    at = filled(0);
    pid = transfer_to_child(at, &there);
    assert_int_equal(in_common(pid, (void *)there, at), 0); /* nobody has looked yet */
    read_all(at);
    tell('r');
    assert_int_equal(in_common(pid, (void *)there, at), PAGES);
    tell(10); /* the receiver writes ten pages */
    assert_int_equal(in_common(pid, (void *)there, at), PAGES - 10);
    for (int i = 0; i < PAGES; i++)
        assert_int_equal(at[(size_t)i * vm_page_size], i + 1);
    for (int i = 20; i < 25; i++) /* and the sender five others */
        at[(size_t)i * vm_page_size] = 'S';
    assert_int_equal(in_common(pid, (void *)there, at), PAGES - 15);
    end_child(pid);
    ok(vm_deallocate(SELF, (vm_address_t)at, PAGES * vm_page_size));
}

static void test_machmsg_sharing__purgeable_memory_has_no_frame_in_common(void **state)
{
    unsigned char *at;
    uint64_t there;
    pid_t pid;

    (void)state;
    if (!frames_are_told())
        skip_needs("frames");
    at = filled(VM_FLAGS_PURGABLE);
    pid = transfer_to_child(at, &there);
    read_all(at);
    tell('r');
    assert_int_equal(in_common(pid, (void *)there, at), 0);
    end_child(pid);
    ok(vm_deallocate(SELF, (vm_address_t)at, PAGES * vm_page_size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        leak_tested(test_machmsg_sharing__frames_are_the_same_until_written),
        leak_tested(test_machmsg_sharing__purgeable_memory_has_no_frame_in_common)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
