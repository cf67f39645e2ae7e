/* Port names, rights and reference counts: every disposition, in the header, in a descriptor and
 * in an array, received and not received, and what is left in the end. */
#include "tests/support/machmsg_fixture.h"

#include <sys/socket.h>

static void test_machmsg_rights__names_and_counts(void **state)
{
    mach_port_t p = new_port_with_sends(3);

    (void)state;
    assert_int_equal(type_of(p), MACH_PORT_TYPE_SEND_RECEIVE);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 3);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_RECEIVE), 1);
    ok(mach_port_deallocate(SELF, p));
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 2);
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, -2));
    assert_int_equal(type_of(p), MACH_PORT_TYPE_RECEIVE);
    assert_kr(mach_port_deallocate(SELF, p), KERN_INVALID_RIGHT);
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_RECEIVE, -1));
    assert_int_equal(type_of(p), 0);
}

/* References go in the number that was said, of send rights and of dead names. */
static void test_machmsg_rights__several_references_go_at_once(void **state)
{
    mach_port_t p = new_port_with_sends(7), dead;
    union message m;

    (void)state;
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, -3));
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 4);
    ok(mach_port_deallocate(SELF, p));
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 3);
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, 2));
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, -6), KERN_INVALID_VALUE);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 5);
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, -5));
    assert_int_equal(type_of(p), MACH_PORT_TYPE_RECEIVE);
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    ok(receive(&m, p));
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_allocate(SELF, MACH_PORT_RIGHT_DEAD_NAME, &dead));
    ok(mach_port_mod_refs(SELF, dead, MACH_PORT_RIGHT_DEAD_NAME, 5));
    ok(mach_port_mod_refs(SELF, dead, MACH_PORT_RIGHT_DEAD_NAME, -4));
    assert_int_equal(refs(dead, MACH_PORT_RIGHT_DEAD_NAME), 2);
    ok(mach_port_mod_refs(SELF, dead, MACH_PORT_RIGHT_DEAD_NAME, -2));
    assert_int_equal(type_of(dead), 0);
    /* Destroying a name takes all of them. */
    p = new_port_with_sends(3);
    ok(mach_port_destroy(SELF, p));
    assert_int_equal(type_of(p), 0);
}

static void test_machmsg_rights__argument_errors(void **state)
{
    mach_port_t p = new_port_with_sends(1), q = new_port(), out;
    mach_port_urefs_t n;

    (void)state;
    assert_kr(mach_port_allocate(SELF, 77, &out), KERN_INVALID_VALUE);
    assert_kr(mach_port_allocate(0, MACH_PORT_RIGHT_RECEIVE, &out), KERN_INVALID_TASK);
    assert_kr(mach_port_get_refs(SELF, 0x7fff03, MACH_PORT_RIGHT_SEND, &n), KERN_INVALID_NAME);
    assert_kr(mach_port_get_refs(SELF, p, 9, &n), KERN_INVALID_VALUE);
    assert_kr(mach_port_deallocate(SELF, 0x7fff03), KERN_INVALID_NAME);
    assert_kr(mach_port_destroy(SELF, 0x7fff03), KERN_INVALID_NAME);
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, -2), KERN_INVALID_VALUE);
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, 70000), KERN_UREFS_OVERFLOW);
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND_ONCE, -1), KERN_INVALID_RIGHT);
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_RECEIVE, 1), KERN_INVALID_VALUE);
    assert_kr(mach_port_insert_right(SELF, q, p, MACH_MSG_TYPE_MAKE_SEND), KERN_NAME_EXISTS);
    assert_kr(mach_port_insert_right(SELF, q, q, MACH_MSG_TYPE_COPY_SEND), KERN_INVALID_CAPABILITY);
    assert_kr(mach_port_insert_right(SELF, 0, q, MACH_MSG_TYPE_MAKE_SEND), KERN_INVALID_VALUE);
    assert_kr(mach_port_insert_right(SELF, q, q, 3), KERN_INVALID_VALUE);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, q));
}

/* No other task's ports can be named, by any call. */
static void test_machmsg_rights__of_this_task_only(void **state)
{
    mach_port_t p = new_port_with_sends(1), other = MACH_PORT_NULL, name;
    mach_port_limits_t limits = {3};
    mach_msg_type_number_t n = MACH_PORT_LIMITS_INFO_COUNT, m;
    mach_msg_type_name_t as;
    mach_port_type_t type, *types;
    mach_port_name_t *names;
    mach_port_urefs_t urefs;

    (void)state;
    assert_kr(mach_port_names(other, &names, &n, &types, &m), KERN_INVALID_TASK);
    assert_kr(mach_port_type(other, p, &type), KERN_INVALID_TASK);
    assert_kr(mach_port_allocate(other, MACH_PORT_RIGHT_RECEIVE, &name), KERN_INVALID_TASK);
    assert_kr(mach_port_destroy(other, p), KERN_INVALID_TASK);
    assert_kr(mach_port_deallocate(other, p), KERN_INVALID_TASK);
    assert_kr(mach_port_get_refs(other, p, MACH_PORT_RIGHT_SEND, &urefs), KERN_INVALID_TASK);
    assert_kr(mach_port_mod_refs(other, p, MACH_PORT_RIGHT_SEND, 1), KERN_INVALID_TASK);
    assert_kr(mach_port_insert_right(other, p, p, MACH_MSG_TYPE_MAKE_SEND), KERN_INVALID_TASK);
    assert_kr(mach_port_extract_right(other, p, MACH_MSG_TYPE_MAKE_SEND, &name, &as),
              KERN_INVALID_TASK);
    assert_kr(
        mach_port_get_attributes(other, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits, &n),
        KERN_INVALID_TASK);
    assert_kr(
        mach_port_set_attributes(other, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits, n),
        KERN_INVALID_TASK);
    assert_int_equal(type_of(p), MACH_PORT_TYPE_SEND_RECEIVE);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 1);
    ok(mach_port_destroy(SELF, p));
}

/* What the list, the attributes and the task's ports say. */
static void test_machmsg_rights__what_is_told(void **state)
{
    mach_port_t p = new_port_with_sends(1), got, others, once;
    mach_msg_type_name_t as;
    mach_port_name_t *names;
    mach_port_type_t *types;
    mach_port_limits_t limits;
    mach_port_status_t status = {0};
    mach_msg_type_number_t n, k, count = MACH_PORT_RECEIVE_STATUS_COUNT;
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    bool listed = false;

    (void)state;
    ok(mach_port_names(SELF, &names, &n, &types, &k));
    for (mach_msg_type_number_t i = 0; i < n; i++) {
        assert_int_equal(types[i], type_of(names[i]));
        listed |= names[i] == p;
    }
    assert_true(listed);
    ok(vm_deallocate(SELF, (vm_address_t)names, n * sizeof *names));
    ok(vm_deallocate(SELF, (vm_address_t)types, k * sizeof *types));
    ok(send_message(&m));
    ok(send_message(&m));
    ok(mach_port_get_attributes(SELF, p, MACH_PORT_RECEIVE_STATUS, (mach_port_info_t)&status,
                                &count));
    assert_int_equal(status.mps_msgcount, 2);
    assert_int_equal(status.mps_qlimit, MACH_PORT_QLIMIT_DEFAULT);
    assert_true(status.mps_srights);
    count = 0;
    assert_kr(
        mach_port_get_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits, &count),
        KERN_FAILURE);
    assert_kr(
        mach_port_set_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits, 0),
        KERN_FAILURE);
    for (unsigned int how = MACH_MSG_TYPE_MOVE_RECEIVE; how <= MACH_MSG_TYPE_MOVE_SEND_ONCE; how++)
        assert_kr(mach_port_insert_right(SELF, p, p, how), KERN_NOT_SUPPORTED);
    assert_kr(mach_port_insert_right(SELF, p, p, MACH_MSG_TYPE_MAKE_SEND_ONCE), KERN_NAME_EXISTS);
    count = MACH_PORT_LIMITS_INFO_COUNT;
    ok(mach_port_get_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits, &count));
    assert_int_equal(limits.mpl_qlimit, MACH_PORT_QLIMIT_DEFAULT);
    ok(mach_port_extract_right(SELF, p, MACH_MSG_TYPE_COPY_SEND, &got, &as));
    assert_int_equal(got, p);
    assert_int_equal(as, MACH_MSG_TYPE_PORT_SEND);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 2);
    assert_kr(mach_port_extract_right(SELF, p, 3, &got, &as), KERN_INVALID_VALUE);
    once = new_once(p);
    assert_kr(mach_port_extract_right(SELF, once, MACH_MSG_TYPE_MAKE_SEND, &got, &as),
              KERN_INVALID_RIGHT);
    ok(mach_port_destroy(SELF, once));
    assert_kr(task_get_special_port(MACH_PORT_NULL, TASK_HOST_PORT, &got), KERN_INVALID_ARGUMENT);
    ok(task_get_special_port(SELF, TASK_HOST_PORT, &got));
    assert_int_equal(got, mach_host_self());
    /* A bootstrap port whose receiver is gone is dead, and not the name server's. */
    others = new_port_with_sends(1);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, others));
    ok(mach_port_mod_refs(SELF, others, MACH_PORT_RIGHT_RECEIVE, -1));
    ok(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &got));
    assert_int_equal(got, MACH_PORT_DEAD);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, others));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_rights__names_are_not_given_out_again_at_once(void **state)
{
    mach_port_t p = new_port(), q;

    (void)state;
    ok(mach_port_destroy(SELF, p));
    q = new_port();
    assert_int_not_equal(p, q);
    assert_int_equal(type_of(p), 0);
    ok(mach_port_destroy(SELF, q));
}

/* But they are given out again: the table does not grow with what comes and goes. */
static void test_machmsg_rights__names_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        mach_port_t p = new_port();

        assert_true(p >> 8 < 100);
        ok(mach_port_destroy(SELF, p));
    }
}

static void test_machmsg_rights__dead_name_when_receiver_goes(void **state)
{
    mach_port_t p = new_port_with_sends(2), dead;
    union message m = header_to(p, MACH_MSG_TYPE_COPY_SEND);

    (void)state;
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_RECEIVE, -1));
    assert_int_equal(type_of(p), MACH_PORT_TYPE_DEAD_NAME);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_DEAD_NAME), 2);
    assert_kr(send_message(&m), MACH_SEND_INVALID_DEST);
    ok(mach_port_deallocate(SELF, p));
    ok(mach_port_deallocate(SELF, p));
    assert_int_equal(type_of(p), 0);
    ok(mach_port_allocate(SELF, MACH_PORT_RIGHT_DEAD_NAME, &dead));
    assert_int_equal(type_of(dead), MACH_PORT_TYPE_DEAD_NAME);
    ok(mach_port_deallocate(SELF, dead));
}

/* How a right stands before a message takes it, and after. */
struct disposition_case {
    unsigned int how, received_as;
    int sends;                     /* send rights beside the receive right at the start */
    mach_port_urefs_t sends_after; /* under the sender's name, message still queued */
    mach_port_type_t type_after;
};

static const struct disposition_case dispositions[] = {
    {MACH_MSG_TYPE_MOVE_RECEIVE, MACH_MSG_TYPE_PORT_RECEIVE, 2, 2, MACH_PORT_TYPE_SEND},
    {MACH_MSG_TYPE_MOVE_SEND, MACH_MSG_TYPE_PORT_SEND, 2, 1, MACH_PORT_TYPE_SEND_RECEIVE},
    {MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_PORT_SEND, 2, 2, MACH_PORT_TYPE_SEND_RECEIVE},
    {MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_PORT_SEND, 2, 2, MACH_PORT_TYPE_SEND_RECEIVE},
    {MACH_MSG_TYPE_MAKE_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND_ONCE, 2, 2,
     MACH_PORT_TYPE_SEND_RECEIVE}};

static void check_received_right(const struct disposition_case *c, mach_port_t p, mach_port_t got)
{
    switch (c->received_as) {
    case MACH_MSG_TYPE_PORT_RECEIVE:
        assert_int_equal(got, p); /* joins the send rights' name */
        assert_int_equal(type_of(p), MACH_PORT_TYPE_SEND_RECEIVE);
        break;
    case MACH_MSG_TYPE_PORT_SEND:
        assert_int_equal(got, p);
        assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), c->sends_after + 1);
        break;
    default:
        assert_int_not_equal(got, p); /* a name of its own */
        assert_int_equal(type_of(got), MACH_PORT_TYPE_SEND_ONCE);
        ok(mach_port_deallocate(SELF, got));
        break;
    }
}

static void test_machmsg_rights__descriptor_of_each_disposition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dispositions / sizeof dispositions[0]; i++) {
        const struct disposition_case *c = &dispositions[i];
        mach_port_t to = new_port(), p = new_port_with_sends(c->sends);
        union message m = port_message(to, p, c->how);

        ok(send_message(&m));
        assert_int_equal(type_of(p), c->type_after);
        assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), c->sends_after);
        ok(receive(&m, to));
        assert_int_equal(m.port.d.disposition, c->received_as);
        assert_int_equal(m.port.d.type, MACH_MSG_PORT_DESCRIPTOR);
        check_received_right(c, p, m.port.d.name);
        ok(mach_port_destroy(SELF, p));
        ok(mach_port_destroy(SELF, to));
    }
}

static void test_machmsg_rights__move_send_once(void **state)
{
    mach_port_t to = new_port(), p = new_port(), once = new_once(p), got;
    union message m = port_message(to, once, MACH_MSG_TYPE_MOVE_SEND_ONCE);

    (void)state;
    ok(send_message(&m));
    assert_int_equal(type_of(once), 0);
    ok(receive(&m, to));
    got = m.port.d.name;
    assert_int_equal(type_of(got), MACH_PORT_TYPE_SEND_ONCE);
    m = header_to(got, MACH_MSG_TYPE_MOVE_SEND_ONCE);
    ok(send_message(&m));
    assert_int_equal(type_of(got), 0);
    ok(receive(&m, p));
    assert_int_equal(MACH_MSGH_BITS_LOCAL(m.h.msgh_bits), MACH_MSG_TYPE_PORT_SEND_ONCE);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

/* On a full queue a send that times out leaves every right where it was. */
static void test_machmsg_rights__timed_out_send_takes_nothing(void **state)
{
    mach_port_t to = new_port();
    union message m = header_to(to, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    fill_queue(&m);
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    for (size_t i = 0; i < sizeof dispositions / sizeof dispositions[0]; i++) {
        const struct disposition_case *c = &dispositions[i];
        mach_port_t p = new_port_with_sends(c->sends);

        m = port_message(to, p, c->how);
        assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
        assert_int_equal(m.port.d.name, p);
        assert_int_equal(type_of(p), MACH_PORT_TYPE_SEND_RECEIVE);
        assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), c->sends);
        ok(mach_port_destroy(SELF, p));
    }
    for (int i = 0; i < 5; i++)
        ok(receive(&m, to));
    expect_empty(to);
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_rights__array_of_each_disposition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dispositions / sizeof dispositions[0]; i++) {
        const struct disposition_case *c = &dispositions[i];
        mach_port_t to = new_port(), p[3] = {new_port_with_sends(c->sends), MACH_PORT_NULL,
                                             new_port_with_sends(c->sends)};
        union message m = array_message(to, p, 3, c->how);
        mach_port_t *got;

        ok(send_message(&m));
        ok(receive(&m, to));
        assert_int_equal(m.ports.d.count, 3);
        assert_int_equal(m.ports.d.disposition, c->received_as);
        assert_true(m.ports.d.deallocate);
        got = m.ports.d.address;
        assert_int_equal(got[1], MACH_PORT_NULL);
        check_received_right(c, p[0], got[0]);
        check_received_right(c, p[2], got[2]);
        ok(vm_deallocate(SELF, (vm_address_t)got, sizeof p));
        ok(mach_port_destroy(SELF, p[0]));
        ok(mach_port_destroy(SELF, p[2]));
        ok(mach_port_destroy(SELF, to));
    }
}

static void test_machmsg_rights__null_and_dead_pass_through(void **state)
{
    mach_port_t to = new_port(), p = new_port_with_sends(1);
    union message m = port_message(to, MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND);

    (void)state;
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, MACH_PORT_NULL);
    m = port_message(to, MACH_PORT_DEAD, MACH_MSG_TYPE_MOVE_SEND);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, MACH_PORT_DEAD);
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_RECEIVE, -1));
    m = port_message(to, p, MACH_MSG_TYPE_MOVE_SEND);
    ok(send_message(&m));
    assert_int_equal(type_of(p), 0); /* the dead name's reference was moved */
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, MACH_PORT_DEAD);
    ok(mach_port_destroy(SELF, to));
}

/* The same right twice: the second must not be there any more. */
static void test_machmsg_rights__moved_twice_in_one_message(void **state)
{
    mach_port_t to = new_port(), p = new_port_with_sends(1), both[2] = {p, p};
    union message m = array_message(to, both, 2, MACH_MSG_TYPE_MOVE_SEND);

    (void)state;
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 1);
    m = array_message(to, both, 2, MACH_MSG_TYPE_MOVE_RECEIVE);
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT);
    assert_int_equal(type_of(p), MACH_PORT_TYPE_SEND_RECEIVE);
    expect_empty(to);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_rights__header_reply_rights(void **state)
{
    static const struct {
        unsigned int how, received_as;
    } cases[] = {{MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_PORT_SEND},
                 {MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_PORT_SEND},
                 {MACH_MSG_TYPE_MOVE_SEND, MACH_MSG_TYPE_PORT_SEND},
                 {MACH_MSG_TYPE_MAKE_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND_ONCE}};
    mach_port_t to = new_port(), back = new_port_with_sends(1);
    union message m;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        m = header_to(to, MACH_MSG_TYPE_MAKE_SEND);
        m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, cases[i].how);
        m.h.msgh_local_port = back;
        ok(send_message(&m));
        assert_int_equal(m.h.msgh_local_port, back); /* the sender's buffer is as it was */
        ok(receive(&m, to));
        assert_int_equal(m.h.msgh_local_port, to);
        assert_int_equal(MACH_MSGH_BITS_REMOTE(m.h.msgh_bits), cases[i].received_as);
        assert_int_equal(MACH_MSGH_BITS_LOCAL(m.h.msgh_bits), MACH_MSG_TYPE_PORT_SEND);
        /* A reply uses the bits that came. */
        m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(m.h.msgh_bits), 0);
        m.h.msgh_local_port = MACH_PORT_NULL;
        m.h.msgh_id = 200 + (int)i;
        ok(send_message(&m));
        ok(receive(&m, back));
        assert_int_equal(m.h.msgh_id, 200 + (int)i);
        assert_int_equal(m.h.msgh_remote_port, MACH_PORT_NULL);
    }
    ok(mach_port_destroy(SELF, back));
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_rights__unused_send_once_tells(void **state)
{
    mach_port_t p = new_port(), once = new_once(p);
    union message m;

    (void)state;
    ok(mach_port_deallocate(SELF, once));
    ok(receive(&m, p));
    assert_int_equal(m.h.msgh_id, MACH_NOTIFY_SEND_ONCE);
    assert_int_equal(m.h.msgh_size, sizeof m.h);
    /* One that travelled in a message that was destroyed tells too. */
    m = port_message(p, p, MACH_MSG_TYPE_MAKE_SEND_ONCE);
    ok(send_message(&m));
    ok(receive(&m, p));
    mach_msg_destroy(&m.h);
    ok(receive(&m, p));
    assert_int_equal(m.h.msgh_id, MACH_NOTIFY_SEND_ONCE);
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_rights__send_once_ignores_the_queue_limit(void **state)
{
    mach_port_t p = new_port(), once[8];
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    for (int i = 0; i < 8; i++)
        once[i] = new_once(p);
    fill_queue(&m);
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    for (int i = 0; i < 8; i++) {
        m = header_to(once[i], MACH_MSG_TYPE_MOVE_SEND_ONCE);
        ok(send_now(&m));
    }
    for (int i = 0; i < 13; i++)
        ok(receive(&m, p));
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
}

static mach_port_status_t status_of(mach_port_t p)
{
    mach_port_status_t s = {0};
    mach_msg_type_number_t n = MACH_PORT_RECEIVE_STATUS_COUNT;

    ok(mach_port_get_attributes(SELF, p, MACH_PORT_RECEIVE_STATUS, (mach_port_info_t)&s, &n));
    return s;
}

/* A queue slot that a failed send took is not lost with the right. */
static void test_machmsg_rights__slots_of_failed_sends_come_back(void **state)
{
    mach_port_t p = new_port_with_sends(1);
    union message m;

    (void)state;
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, p));
    for (int i = 0; i < 6; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            mach_port_t to = MACH_PORT_NULL;

            child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &to) == KERN_SUCCESS);
            m = ool_message(to, (void *)16, 100, 1, false);
            m.h.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSG_TYPE_COPY_SEND;
            child_check(send_now(&m) == MACH_SEND_INVALID_MEMORY);
            child_check(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, MACH_PORT_NULL) == 0);
            child_check(mach_port_destroy(SELF, to) == KERN_SUCCESS);
            _exit(0);
        }
        expect_child_ok(pid);
        expect_empty(p); /* who receives gives the slot back */
    }
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    fill_queue(&m);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_rights__queue_limit_can_be_set(void **state)
{
    mach_port_t p = new_port();
    mach_port_limits_t l = {8};
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    assert_int_equal(status_of(p).mps_qlimit, MACH_PORT_QLIMIT_DEFAULT);
    ok(mach_port_set_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&l, 1));
    for (int i = 0; i < 8; i++)
        ok(send_now(&m));
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    assert_int_equal(status_of(p).mps_msgcount, 8);
    for (int i = 0; i < 8; i++)
        ok(receive(&m, p));
    l.mpl_qlimit = 1;
    ok(mach_port_set_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&l, 1));
    m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_now(&m));
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    l.mpl_qlimit = 2000;
    assert_kr(mach_port_set_attributes(SELF, p, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&l, 1),
              KERN_INVALID_VALUE);
    ok(mach_port_destroy(SELF, p));
}

/* Messages that wait, later ones, the sequence number and outstanding send-once rights all travel
 * with a receive right. */
static void test_machmsg_rights__moved_receive_right_keeps_its_queue(void **state)
{
    mach_port_t to = new_port(), p = new_port_with_sends(1), once = new_once(p);
    union message m;

    (void)state;
    for (int i = 1; i <= 2; i++) {
        m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
        m.h.msgh_id = i;
        ok(send_message(&m));
    }
    m = port_message(to, p, MACH_MSG_TYPE_MOVE_RECEIVE);
    ok(send_message(&m));
    assert_kr(receive(&m, p), MACH_RCV_INVALID_NAME);
    m = header_to(p, MACH_MSG_TYPE_COPY_SEND);
    m.h.msgh_id = 3;
    ok(send_message(&m)); /* while the right is in transit */
    m = header_to(once, MACH_MSG_TYPE_MOVE_SEND_ONCE);
    m.h.msgh_id = 4;
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, p);
    for (int i = 1; i <= 4; i++) {
        ok(receive(&m, p));
        assert_int_equal(m.h.msgh_id, i);
    }
    expect_empty(p);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

/* A message that is never received: its rights die with the port. */
static void test_machmsg_rights__queue_dies_with_the_port(void **state)
{
    mach_port_t to = new_port_with_sends(1), p = new_port_with_sends(1);
    union message m = port_message(to, p, MACH_MSG_TYPE_MOVE_RECEIVE);

    (void)state;
    ok(send_message(&m));
    ok(mach_port_destroy(SELF, to));
    assert_int_equal(type_of(p), MACH_PORT_TYPE_DEAD_NAME); /* noticed at the next use */
    ok(mach_port_deallocate(SELF, p));
}

static void test_machmsg_rights__many_rights_in_one_array(void **state)
{
    enum { N = 400 }; /* more descriptors than one packet carries */
    mach_port_t to = new_port(), p[N], *got;
    union message m;

    (void)state;
    for (int i = 0; i < N; i++)
        p[i] = new_port();
    m = array_message(to, p, N, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(m.ports.d.count, N);
    got = m.ports.d.address;
    assert_memory_equal(got, p, sizeof p);
    mach_msg_destroy(&m.h);
    m = array_message(to, p, N, MACH_MSG_TYPE_MOVE_RECEIVE);
    ok(send_message(&m));
    ok(receive(&m, to));
    got = m.ports.d.address;
    for (int i = 0; i < N; i++)
        assert_int_equal(type_of(got[i]), MACH_PORT_TYPE_RECEIVE);
    mach_msg_destroy(&m.h);
    ok(mach_port_destroy(SELF, to));
}

/* Each right of an array is the one that was named, in whatever order they come. */
static void test_machmsg_rights__rights_in_any_order(void **state)
{
    mach_port_t to = new_port(), p[3] = {new_port(), new_port(), new_port()}, all[12];
    union message m;

    (void)state;
    for (int i = 0; i < 12; i++)
        all[i] = p[i % 5 % 3];
    m = array_message(to, all, 12, MACH_MSG_TYPE_MAKE_SEND);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_memory_equal(m.ports.d.address, all, sizeof all);
    mach_msg_destroy(&m.h);
    for (int i = 0; i < 3; i++)
        ok(mach_port_destroy(SELF, p[i]));
    ok(mach_port_destroy(SELF, to));
}

/* A send-once right whose port has died arrives dead. */
static void test_machmsg_rights__dead_send_once(void **state)
{
    mach_port_t to = new_port(), p = new_port(), once = new_once(p);
    union message m = port_message(to, once, MACH_MSG_TYPE_MOVE_SEND_ONCE);

    (void)state;
    ok(mach_port_destroy(SELF, p));
    ok(send_message(&m));
    assert_int_equal(type_of(once), 0);
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, MACH_PORT_DEAD);
    ok(mach_port_destroy(SELF, to));
}

/* More references than can be counted stay as many as can. */
static void test_machmsg_rights__references_have_a_limit(void **state)
{
    mach_port_t to = new_port(), p = new_port_with_sends(1);
    union message m = port_message(to, p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, UINT16_MAX - 1));
    assert_kr(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_SEND, 1), KERN_UREFS_OVERFLOW);
    assert_kr(mach_port_insert_right(SELF, p, p, MACH_MSG_TYPE_MAKE_SEND), KERN_UREFS_OVERFLOW);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), UINT16_MAX);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_rights__same_right_many_times(void **state)
{
    enum { N = 16383 };
    mach_port_t to = new_port(), p = new_port_with_sends(1), *all = malloc((N + 1) * sizeof *all);
    union message m;

    (void)state;
    for (int i = 0; i <= N; i++)
        all[i] = p;
    m = array_message(to, all, N + 1, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_TOO_LARGE);
    m = array_message(to, all, N, MACH_MSG_TYPE_COPY_SEND);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), N + 1);
    mach_msg_destroy(&m.h);
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 1);
    free(all);
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_rights__special_ports(void **state)
{
    mach_port_t p, own = new_port_with_sends(1);

    (void)state;
    ok(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &p));
    assert_int_equal(p, bootstrap_port);
    ok(task_get_special_port(SELF, TASK_KERNEL_PORT, &p));
    assert_int_equal(p, SELF);
    assert_kr(task_get_special_port(SELF, 99, &p), KERN_INVALID_ARGUMENT);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, own));
    ok(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &p));
    assert_int_equal(p, own);
    assert_int_equal(refs(own, MACH_PORT_RIGHT_SEND), 3);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    assert_int_equal(refs(own, MACH_PORT_RIGHT_SEND), 2);
    ok(mach_port_destroy(SELF, own));
}

/* The names that every task has become real ports when they are first sent, and only then; the name
 * server's is reached by its own calls alone. */
static void test_machmsg_rights__special_ports_are_sent(void **state)
{
    mach_port_t to = new_port(), dead;
    int descriptors = 0;
    union message m;

    (void)state;
    for (int i = 0; i < 3; i++) {
        m = port_message(to, SELF, MACH_MSG_TYPE_COPY_SEND);
        ok(send_message(&m));
        ok(receive(&m, to));
        assert_int_equal(m.port.d.name, SELF);
        mach_msg_destroy(&m.h);
        assert_int_equal(open_descriptors(), i ? descriptors : open_descriptors());
        descriptors = open_descriptors();
    }
    m = port_message(to, bootstrap_port, MACH_MSG_TYPE_COPY_SEND);
    assert_kr(send_message(&m), MACH_SEND_INVALID_RIGHT);
    /* A dead name has no port, and gets none. */
    ok(mach_port_allocate(SELF, MACH_PORT_RIGHT_DEAD_NAME, &dead));
    m = port_message(to, dead, MACH_MSG_TYPE_COPY_SEND);
    ok(send_message(&m));
    ok(receive(&m, to));
    assert_int_equal(m.port.d.name, MACH_PORT_DEAD);
    assert_int_equal(open_descriptors(), descriptors);
    ok(mach_port_destroy(SELF, dead));
    ok(mach_port_destroy(SELF, to));
}

/* Descriptors that can be ends of ports. */
static int port_ends(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        socklen_t len = sizeof(int);
        int type = 0;

        n += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
    }
    return n;
}

/* Of the port space a forked child has nothing but the bootstrap port. A child that kept the
 * parent's descriptors would keep a dead port alive. */
static void test_machmsg_rights__fork_gives_a_fresh_space(void **state)
{
    mach_port_t p = new_port_with_sends(2), other = new_port_with_sends(1);
    union message m;
    pid_t pid;

    (void)state;
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, p));
    pid = fork();
    if (pid == 0) {
        mach_port_t back = MACH_PORT_NULL;

        child_check(type_of(p) == 0 || type_of(other) == 0);
        child_check(port_ends() == 1);
        child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &back) == KERN_SUCCESS);
        m = header_to(back, MACH_MSG_TYPE_COPY_SEND);
        m.h.msgh_id = 77;
        child_check(send_message(&m) == MACH_MSG_SUCCESS);
        pause();
    }
    ok(receive(&m, p));
    assert_int_equal(m.h.msgh_id, 77);
    /* The child lives, and yet this port is dead once its receiver is gone here. */
    ok(mach_port_mod_refs(SELF, other, MACH_PORT_RIGHT_RECEIVE, -1));
    assert_int_equal(type_of(other), MACH_PORT_TYPE_DEAD_NAME);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, p));
    ok(mach_port_destroy(SELF, other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        leak_tested(test_machmsg_rights__names_and_counts),
        leak_tested(test_machmsg_rights__several_references_go_at_once),
        leak_tested(test_machmsg_rights__argument_errors),
        leak_tested(test_machmsg_rights__of_this_task_only),
        leak_tested(test_machmsg_rights__what_is_told),
        leak_tested(test_machmsg_rights__names_are_not_given_out_again_at_once),
        leak_tested(test_machmsg_rights__names_are_used_again),
        leak_tested(test_machmsg_rights__dead_name_when_receiver_goes),
        leak_tested(test_machmsg_rights__descriptor_of_each_disposition),
        leak_tested(test_machmsg_rights__move_send_once),
        leak_tested(test_machmsg_rights__timed_out_send_takes_nothing),
        leak_tested(test_machmsg_rights__array_of_each_disposition),
        leak_tested(test_machmsg_rights__null_and_dead_pass_through),
        leak_tested(test_machmsg_rights__moved_twice_in_one_message),
        leak_tested(test_machmsg_rights__header_reply_rights),
        leak_tested(test_machmsg_rights__unused_send_once_tells),
        leak_tested(test_machmsg_rights__send_once_ignores_the_queue_limit),
        leak_tested(test_machmsg_rights__slots_of_failed_sends_come_back),
        leak_tested(test_machmsg_rights__queue_limit_can_be_set),
        leak_tested(test_machmsg_rights__moved_receive_right_keeps_its_queue),
        leak_tested(test_machmsg_rights__queue_dies_with_the_port),
        leak_tested(test_machmsg_rights__many_rights_in_one_array),
        leak_tested(test_machmsg_rights__rights_in_any_order),
        leak_tested(test_machmsg_rights__dead_send_once),
        leak_tested(test_machmsg_rights__references_have_a_limit),
        leak_tested(test_machmsg_rights__same_right_many_times),
        leak_tested(test_machmsg_rights__special_ports),
        cmocka_unit_test(test_machmsg_rights__special_ports_are_sent), /* one port stays */
        leak_tested(test_machmsg_rights__fork_gives_a_fresh_space)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
