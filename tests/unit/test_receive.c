/* The receiver of packets: whatever a peer puts beside one is the caller's or is closed, and
 * closing it holds nobody up. That a lingering socket still waits is known by its reader, who reads
 * nothing until the test is over: a close in this thread would last an hour, or until the alarm. */
#include "lab/linux/talk.h"
#include "probes/receive.h"
#include "tests/support/linger.h"
#include "tests/support/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

static int pair[2], before;

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

/* What is dropped may be closed a moment later. */
static void expect_open(int n)
{
    for (int i = 0; i < 10000 && open_descriptors() != n; i++)
        usleep(1000);
    assert_int_equal(open_descriptors(), n);
}

static int setup(void **state)
{
    (void)state;
    alarm(60);
    before = open_descriptors();
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    expect_open(before);
    alarm(0);
    return 0;
}

#define tested(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int socket_end(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[1]);
    return ends[0];
}

/* Sends and closes; receives with room for `room`, of these kinds. */
static ssize_t pass(struct received *r, const int *fds, size_t nfds, int apart)
{
    char byte;

    assert_int_equal(send_beside(pair[1], "x", 1, fds, nfds, apart), 1);
    return receive_packet(pair[0], &byte, 1, MSG_DONTWAIT, r);
}

static void test_receive__what_was_asked_for(void **state)
{
    int fds[2] = {socket_end(), memfd_create("m", MFD_CLOEXEC)}, got[3] = {-7, -7, -7};
    struct received r = {.kinds = RECEIVE_SOCKETS | RECEIVE_MEMORY, .room = 3, .fds = got};

    (void)state;
    for (int apart = 0; apart < 2; apart++) {
        assert_int_equal(pass(&r, fds, 2, apart), 1);
        assert_int_equal(r.nfds, 2);
        assert_false(r.refused || r.lost || r.cut);
        assert_int_equal(got[2], -7);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
            receive_drop(got[i]);
        }
    }
    close(fds[0]);
    close(fds[1]);
}

/* CMSG_SPACE of one descriptor has room for two, where they come in one header or in two. */
static void test_receive__more_than_was_asked_for(void **state)
{
    int fds[253], got = -1;
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 1, .fds = &got};

    (void)state;
    for (int i = 0; i < 253; i++)
        fds[i] = pair[1];
    for (size_t n = 2; n <= 253; n += n < 4 ? 1 : 83)
        for (int apart = 0; apart < 2; apart++) {
            assert_int_equal(pass(&r, fds, n, apart), 1);
            assert_true(r.refused);
            assert_int_equal(r.nfds, 1);
            receive_drop(got);
            expect_open(before + 2);
        }
}

static void test_receive__other_kinds(void **state)
{
    int pipes[2], got[8],
        fds[6] = {memfd_create("m", MFD_CLOEXEC),
                  -1,
                  open("/proc/self/stat", O_RDONLY | O_CLOEXEC),
                  socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                  socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                  socket_end()};
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 8, .fds = got};

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    fds[1] = pipes[0];
    assert_int_equal(pass(&r, fds, 6, 0), 1);
    assert_true(r.refused);
    assert_int_equal(r.nfds, 6);
    for (int i = 0; i < 5; i++)
        assert_int_equal(got[i], -1); /* in their places */
    assert_true(got[5] >= 0);
    receive_drop(got[5]);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    close(pipes[1]);
}

/* Time, sender, label and a descriptor of the sender's process: the socket's maker may want all. */
static void test_receive__everything_at_once(void **state)
{
    static const int options[] = {SO_PASSCRED, SO_PASSSEC, SO_TIMESTAMPNS, SO_PASSPIDFD};
    int fds[253], got[253], on = 1;
    struct ucred sender = {0};
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 253, .fds = got, .sender = &sender};

    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(pair[0], SOL_SOCKET, options[i], &on, sizeof on);
    for (int i = 0; i < 253; i++)
        fds[i] = pair[1];
    assert_int_equal(pass(&r, fds, 253, 0), 1);
    assert_false(r.lost || r.refused);
    assert_int_equal(r.nfds, 253);
    assert_int_equal(sender.pid, getpid());
    for (int i = 0; i < 253; i++)
        receive_drop(got[i]);
    expect_open(before + 2);
}

static void test_receive__no_room_in_the_table(void **state)
{
    int fds[3] = {pair[1], pair[1], pair[1]}, got[3];
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 3, .fds = got};
    const char *preload = getenv("LD_PRELOAD");
    struct rlimit old, low;

    (void)state;
    if (preload && strstr(preload, "vgpreload"))
        skip_needs("the kernel to see the limit, which valgrind hides");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)pair[1] + 2; /* one more, or two */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(pass(&r, fds, 3, 0), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(r.lost);
    assert_int_equal(r.nfds, 0);
    expect_open(before + 2);
}

/* The next packet is received while the first one's descriptor waits to be closed. */
static void test_receive__lingering(void **state)
{
    struct lingering l = lingering_make();
    struct received r = {.kinds = RECEIVE_SOCKETS};

    (void)state;
    assert_true(l.reader >= 0);
    assert_int_equal(send_beside(pair[1], "x", 1, &l.fd, 1, 0), 1);
    close(l.fd); /* the one in the queue is the last */
    assert_int_equal(pass(&r, NULL, 0, 0), 1);
    assert_true(r.refused);
    assert_int_equal(receive_packet(pair[0], NULL, 0, MSG_DONTWAIT, &r), 0);
    assert_true(r.cut && !r.refused);
    lingering_end(&l);
}

/* More of them than are closed at one time, inside sockets that were asked for: then nothing more
 * is taken, and the table holds no more than that; once they are gone it goes on. */
static void test_receive__too_many_lingering(void **state)
{
    enum { N = 24 };
    const struct backend_options opt = {.deadline_ms = 10000};
    struct actor_process a = {.name = "a", .pid = getpid(), .pidfd = -1, .control = pair[0]};
    struct actor_group g = {
        .opt = &opt, .actors = &a, .nactors = 1, .keeper_pidfd = -1, .helper_pidfd = -1};
    struct actor_request rq = {0};
    struct actor_reply reply;
    struct err e = {""};
    struct lingering l[N];
    int many[250], got, others = open("/dev/null", O_RDONLY | O_CLOEXEC), packets = 0;
    struct received r = {.kinds = RECEIVE_SOCKETS, .room = 1, .fds = &got};
    ssize_t n = 1;

    (void)state;
    for (int i = 0; i < N; i++) {
        int s = lingering_in_a_queue(&l[i]);

        assert_true(s >= 0 && l[i].reader >= 0);
        assert_int_equal(send_beside(pair[1], "x", 1, &s, 1, 0), 1);
        close(s);
        assert_int_equal(receive_packet(pair[0], NULL, 0, MSG_DONTWAIT, &r), 0);
        assert_int_equal(r.nfds, 1);
        receive_drop(got);
    }
    for (int i = 0; i < 250; i++)
        many[i] = others;
    for (; n == 1 && packets < 10; packets++)
        n = pass(&r, many, 250, 0);
    assert_int_equal(n, -ENOBUFS);
    assert_false(receive_has_room());
    assert_true(open_descriptors() < before + 2 + 1 + 2 * N + 1000);
    /* An actor's answer cannot be had then, and that is what is said: the actor lives. */
    assert_int_equal(actor_call(&g, 0, &rq, -1, 0, &reply, NULL, &e), -ENOBUFS);
    assert_non_null(strstr(e.msg, "cannot receive from actor 'a'"));
    for (int i = 0; i < N; i++)
        lingering_end(&l[i]);
    close(others);
    expect_open(before + 2);
    assert_true(receive_has_room());
    assert_int_equal(receive_packet(pair[0], NULL, 0, MSG_DONTWAIT, &r), 0); /* what was left */
    assert_true(r.refused);
}

static void test_receive__shut_socket(void **state)
{
    struct lingering l;
    struct received r = {0};
    int nested = lingering_in_a_queue(&l);

    (void)state;
    /* A packet of nothing is not the end. */
    assert_int_equal(send(pair[1], "", 0, MSG_NOSIGNAL), 0);
    assert_int_equal(send_beside(pair[1], "", 0, &nested, 1, 0), 0);
    assert_int_equal(send_beside(pair[1], "x", 1, &pair[1], 1, 0), 1);
    close(nested);
    assert_true(receive_shut(pair[0]));
    assert_int_equal(receive_packet(pair[0], NULL, 0, MSG_DONTWAIT, &r), 0);
    assert_false(r.beside || r.cut);
    assert_int_equal(send(pair[1], "x", 1, MSG_NOSIGNAL), -1);
    lingering_end(&l);
}

/* A forked child has what waits, and nobody who closes it until it drops something itself. */
static void test_receive__after_a_fork(void **state)
{
    struct lingering l[20];
    pid_t pid;
    int status;

    (void)state;
    for (int i = 0; i < 20; i++)
        receive_drop(lingering_in_a_queue(&l[i]));
    pid = fork();
    if (pid == 0) {
        int n;

        alarm(60);
        for (int i = 0; i < 20; i++)
            lingering_end(&l[i]);
        n = open_descriptors();
        receive_drop_elsewhere(dup(2));
        for (int i = 0; i < 10000 && open_descriptors() > before + 2; i++)
            usleep(1000);
        _exit(open_descriptors() <= before + 2 && n >= before + 2 ? 0 : 1);
    }
    for (int i = 0; i < 20; i++)
        lingering_end(&l[i]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* An actor's answer with what was not asked for: an error, and nothing stays. */
static void test_receive__answers_of_an_actor(void **state)
{
    const struct backend_options opt = {.deadline_ms = 10000};
    struct actor_process a = {.name = "a", .pid = getpid(), .pidfd = -1, .control = pair[0]};
    struct actor_group g = {
        .opt = &opt, .actors = &a, .nactors = 1, .keeper_pidfd = -1, .helper_pidfd = -1};
    struct actor_reply reply = {.magic = ACTOR_MAGIC};
    struct actor_request rq = {0};
    struct reply_fds fds;
    struct err e;
    int wrong[2] = {memfd_create("m", MFD_CLOEXEC), socket_end()};

    (void)state;
    for (int i = 0; i < 1100; i++) {
        assert_true(send_beside(pair[1], &reply, sizeof reply, wrong, 2, i % 2) > 0);
        assert_int_equal(actor_call(&g, 0, &rq, -1, 0, &reply, &fds, &e), -EPROTO);
        assert_int_equal(fds.count, 0);
        assert_true(recv(pair[1], &rq, sizeof rq, MSG_DONTWAIT) > 0);
    }
    expect_open(before + 4);
    close(wrong[0]);
    close(wrong[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tested(test_receive__what_was_asked_for),   tested(test_receive__more_than_was_asked_for),
        tested(test_receive__other_kinds),          tested(test_receive__everything_at_once),
        tested(test_receive__no_room_in_the_table), tested(test_receive__lingering),
        tested(test_receive__too_many_lingering),   tested(test_receive__shut_socket),
        tested(test_receive__after_a_fork),         tested(test_receive__answers_of_an_actor)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
