/* Many threads of one task at once: on one port, on rights, on memory. Nothing is lost, nothing
 * arrives twice, and what is counted adds up. */
#include "tests/support/machmsg_fixture.h"

#include <mach/vm_map.h>
#include <pthread.h>

enum { SENDERS = 3, RECEIVERS = 3, EACH = 400 };

static struct {
    mach_port_t port;
    int received, sum; /* atomic */
} shared;

static void *sender(void *arg)
{
    const int first = *(int *)arg;

    for (int i = 0; i < EACH; i++) {
        union message m = header_to(shared.port, MACH_MSG_TYPE_MAKE_SEND);

        m.h.msgh_id = first + i;
        if (mach_msg(&m.h, MACH_SEND_MSG, 24, 0, 0, 0, 0))
            return (void *)1;
    }
    return NULL;
}

/* Some with MACH_RCV_LARGE, which looks before it takes. */
static void *receiver(void *arg)
{
    mach_msg_option_t large = *(int *)arg % 2 ? MACH_RCV_LARGE : 0;

    while (__atomic_load_n(&shared.received, __ATOMIC_ACQUIRE) < SENDERS * EACH) {
        union message m;
        mach_msg_return_t mr = mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT | large, 0, sizeof m,
                                        shared.port, 20, 0);

        if (mr == MACH_RCV_TIMED_OUT)
            continue;
        if (mr)
            return (void *)1;
        __atomic_add_fetch(&shared.sum, m.h.msgh_id, __ATOMIC_ACQ_REL);
        __atomic_add_fetch(&shared.received, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

static void test_machmsg_threads__one_port(void **state)
{
    pthread_t t[SENDERS + RECEIVERS];
    int arg[SENDERS + RECEIVERS], want = 0;
    void *failed;

    (void)state;
    shared.port = new_port();
    for (int i = 0; i < SENDERS + RECEIVERS; i++) {
        arg[i] = i < SENDERS ? i * EACH : i;
        assert_int_equal(pthread_create(&t[i], NULL, i < SENDERS ? sender : receiver, &arg[i]), 0);
    }
    for (int i = 0; i < SENDERS + RECEIVERS; i++) {
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    for (int i = 0; i < SENDERS * EACH; i++)
        want += i;
    assert_int_equal(shared.received, SENDERS * EACH);
    assert_int_equal(shared.sum, want);
    expect_empty(shared.port);
    ok(mach_port_destroy(SELF, shared.port));
}

/* Each thread sends itself rights to a port that all share, and memory. */
static void *churn(void *arg)
{
    mach_port_t own;

    (void)arg;
    if (mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &own))
        return (void *)1;
    for (int i = 0; i < EACH / 4; i++) {
        union message m = port_message(own, shared.port, MACH_MSG_TYPE_COPY_SEND);
        vm_address_t at;

        if (send_message(&m) || receive(&m, own) || m.port.d.name != shared.port)
            return (void *)2;
        mach_msg_destroy(&m.h);
        if (vm_allocate(SELF, &at, 16 * vm_page_size, VM_FLAGS_ANYWHERE))
            return (void *)3;
        *(int *)at = i;
        m = ool_message(own, (void *)at, (mach_msg_size_t)(16 * vm_page_size), 1, true);
        if (send_message(&m) || receive(&m, own) || *(int *)m.ool.d.address != i)
            return (void *)4;
        mach_msg_destroy(&m.h);
    }
    return (void *)(uintptr_t)mach_port_destroy(SELF, own);
}

static void test_machmsg_threads__rights_and_memory(void **state)
{
    pthread_t t[4];
    void *failed;

    (void)state;
    shared.port = new_port_with_sends(1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(refs(shared.port, MACH_PORT_RIGHT_SEND), 1);
    ok(mach_port_destroy(SELF, shared.port));
}

static void *forker(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            mach_port_t p = MACH_PORT_NULL;

            /* The locks that other threads held are free here. */
            _exit(mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &p) != KERN_SUCCESS);
        }
        if (waitpid(pid, &status, 0) != pid || status)
            return (void *)1;
    }
    return NULL;
}

static void test_machmsg_threads__fork_meanwhile(void **state)
{
    pthread_t t[3];
    void *failed;

    (void)state;
    shared.port = new_port_with_sends(1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, i ? churn : forker, NULL), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    ok(mach_port_destroy(SELF, shared.port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {leak_tested(test_machmsg_threads__one_port),
                                       leak_tested(test_machmsg_threads__rights_and_memory),
                                       leak_tested(test_machmsg_threads__fork_meanwhile)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
