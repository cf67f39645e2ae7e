/* The name server: names, starting by itself, one of many, stale sockets, other users, the end. */
#include "tests/support/machmsg_fixture.h"

#include "lab/machmsg/names/nameserver.h"
#include "probes/receive.h"
#include "tests/support/linger.h"
#include "tests/support/skip.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

static char dir[64], path[96];

/* The process that listens at path, or -1. */
static pid_t server_pid(void)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    int fd = nameserver_connect(path);
    pid_t pid = -1;

    if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        pid = peer.pid;
    if (fd >= 0)
        close(fd);
    return pid;
}

static void wait_gone(pid_t pid)
{
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++) {
        char state[64] = "", file[64];
        FILE *f;

        snprintf(file, sizeof file, "/proc/%d/stat", (int)pid);
        f = fopen(file, "r");
        if (!f || fscanf(f, "%*d (%*[^)]) %63s", state) != 1 || state[0] == 'Z')
            i = 500;
        if (f)
            fclose(f);
        usleep(10000);
    }
}

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/cowlab-names-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    setenv("COWLAB_BOOTSTRAP", path, 1);
    unsetenv("COWLAB_NAMESERVER");
    return leak_setup(state);
}

static int teardown(void **state)
{
    char command[128];
    pid_t pid = server_pid();
    int rc = leak_teardown(state);

    if (pid > 0) {
        kill(pid, SIGTERM);
        wait_gone(pid);
    }
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) || rc;
}

#define names_tested(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void test_machmsg_bootstrap__register_and_look_up(void **state)
{
    mach_port_t p = new_port_with_sends(1), found = 0, q = new_port_with_sends(1);
    boolean_t active;

    (void)state;
    assert_kr(bootstrap_look_up(bootstrap_port, "org.example.a", &found),
              BOOTSTRAP_UNKNOWN_SERVICE);
    ok(bootstrap_register(bootstrap_port, "org.example.a", p));
    ok(bootstrap_look_up(bootstrap_port, "org.example.a", &found));
    assert_int_equal(found, p); /* the same port has the same name */
    assert_int_equal(refs(p, MACH_PORT_RIGHT_SEND), 2);
    assert_kr(bootstrap_register(bootstrap_port, "org.example.a", q), BOOTSTRAP_NAME_IN_USE);
    assert_kr(bootstrap_check_in(bootstrap_port, "org.example.a", &found),
              BOOTSTRAP_SERVICE_ACTIVE);
    ok(bootstrap_status(bootstrap_port, "org.example.a", &active));
    assert_true(active);
    /* A name whose port has died is free. */
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_RECEIVE, -1));
    ok(mach_port_mod_refs(SELF, p, MACH_PORT_RIGHT_DEAD_NAME, -2));
    assert_kr(bootstrap_look_up(bootstrap_port, "org.example.a", &found),
              BOOTSTRAP_UNKNOWN_SERVICE);
    ok(bootstrap_register(bootstrap_port, "org.example.a", q));
    ok(bootstrap_register(bootstrap_port, "org.example.a", MACH_PORT_NULL));
    ok(bootstrap_status(bootstrap_port, "org.example.a", &active));
    assert_false(active);
    ok(mach_port_destroy(SELF, q));
}

static void test_machmsg_bootstrap__check_in(void **state)
{
    mach_port_t p, found;
    union message m;

    (void)state;
    ok(bootstrap_check_in(bootstrap_port, "org.example.b", &p));
    assert_int_equal(type_of(p), MACH_PORT_TYPE_RECEIVE);
    ok(bootstrap_look_up(bootstrap_port, "org.example.b", &found));
    m = header_to(found, MACH_MSG_TYPE_MOVE_SEND);
    ok(send_message(&m));
    ok(receive(&m, p));
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_bootstrap__argument_errors(void **state)
{
    char name[200];
    mach_port_t p = new_port(), found;

    (void)state;
    memset(name, 'n', sizeof name);
    name[128] = 0; /* one too long */
    assert_kr(bootstrap_look_up(bootstrap_port, name, &found), BOOTSTRAP_UNKNOWN_SERVICE);
    assert_kr(bootstrap_look_up(bootstrap_port, "", &found), BOOTSTRAP_UNKNOWN_SERVICE);
    assert_kr(bootstrap_look_up(MACH_PORT_NULL, "x", &found), MACH_SEND_INVALID_DEST);
    assert_kr(bootstrap_register(bootstrap_port, "x", p), MACH_SEND_INVALID_RIGHT);
    name[127] = 0; /* the longest */
    ok(mach_port_insert_right(SELF, p, p, MACH_MSG_TYPE_MAKE_SEND));
    ok(bootstrap_register(bootstrap_port, name, p));
    ok(bootstrap_look_up(bootstrap_port, name, &found));
    ok(mach_port_destroy(SELF, p));
}

/* Many at once: one server, and everybody reaches it. */
static void test_machmsg_bootstrap__started_by_many_at_once(void **state)
{
    enum { N = 8 };
    mach_port_t found;
    pid_t pid[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            char name[32];
            mach_port_t p;

            snprintf(name, sizeof name, "org.example.%d", i);
            child_check(bootstrap_check_in(bootstrap_port, name, &p) == BOOTSTRAP_SUCCESS);
            pause();
        }
    }
    for (int i = 0; i < N; i++) {
        char name[32];
        kern_return_t kr = BOOTSTRAP_UNKNOWN_SERVICE;

        snprintf(name, sizeof name, "org.example.%d", i);
        for (int k = 0; k < 500 && kr == BOOTSTRAP_UNKNOWN_SERVICE; k++) {
            kr = bootstrap_look_up(bootstrap_port, name, &found);
            if (kr)
                usleep(10000);
        }
        assert_kr(kr, BOOTSTRAP_SUCCESS);
        ok(mach_port_deallocate(SELF, found));
    }
    for (int i = 0; i < N; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }
}

static void test_machmsg_bootstrap__stale_socket_is_replaced(void **state)
{
    mach_port_t p = new_port_with_sends(1), found;
    pid_t first, second;

    (void)state;
    ok(bootstrap_register(bootstrap_port, "org.example.c", p));
    first = server_pid();
    assert_true(first > 0);
    kill(first, SIGKILL);
    wait_gone(first);
    assert_int_equal(access(path, F_OK), 0);                    /* it left its socket */
    ok(bootstrap_register(bootstrap_port, "org.example.c", p)); /* a new one knows no names */
    second = server_pid();
    assert_true(second > 0 && second != first);
    ok(bootstrap_look_up(bootstrap_port, "org.example.c", &found));
    ok(mach_port_destroy(SELF, p));
}

/* Runs the server in a child, in the foreground. */
static pid_t run_server(int idle_ms)
{
    const struct nameserver_options opt = {.socket = path, .foreground = true, .idle_ms = idle_ms};
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(nameserver_run(&opt, NULL) == 0 ? 0 : 3);
    }
    for (int i = 0; i < 500 && server_pid() < 0; i++)
        usleep(5000);
    return pid;
}

static void test_machmsg_bootstrap__ends_when_unused(void **state)
{
    mach_port_t p;
    struct timespec before, after;
    pid_t pid = run_server(100);

    (void)state;
    ok(bootstrap_check_in(bootstrap_port, "org.example.d", &p));
    usleep(300000);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* a live service keeps it */
    ok(mach_port_destroy(SELF, p));
    clock_gettime(CLOCK_MONOTONIC, &before);
    expect_child_ok(pid);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 5);
    assert_int_not_equal(access(path, F_OK), 0); /* and takes its socket away */
}

static void test_machmsg_bootstrap__second_server_gives_way(void **state)
{
    const struct nameserver_options opt = {.socket = path, .foreground = true, .idle_ms = 0};
    pid_t pid = run_server(-1);

    (void)state;
    assert_int_equal(nameserver_run(&opt, NULL), -EALREADY);
    assert_int_equal(server_pid(), pid); /* and the first one's socket is untouched */
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

static void test_machmsg_bootstrap__named_program_is_started(void **state)
{
    const char *build = getenv("BUILD");
    char program[4096], exe[64], link[4096];
    mach_port_t p;
    ssize_t n;

    (void)state;
    snprintf(program, sizeof program, "%s/cowlab-nameserver", build ? build : "build/release");
    if (access(program, X_OK)) {
        skip_needs("the program cowlab-nameserver");
        return;
    }
    setenv("COWLAB_NAMESERVER", program, 1);
    ok(bootstrap_check_in(bootstrap_port, "org.example.e", &p));
    snprintf(exe, sizeof exe, "/proc/%d/exe", (int)server_pid());
    n = readlink(exe, link, sizeof link - 1);
    assert_true(n > 0);
    link[n] = 0;
    assert_string_equal(strrchr(link, '/'), "/cowlab-nameserver");
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_bootstrap__hostile_requests(void **state)
{
    pid_t pid = run_server(-1);
    struct nameserver_request q = {.magic = NAMESERVER_MAGIC, .op = NS_LOOK_UP};
    struct nameserver_reply r;
    int silent[80];
    mach_port_t p;

    (void)state;
    memset(q.name, 'x', sizeof q.name); /* not terminated */
    for (int i = 0; i < 4; i++) {
        size_t n = i == 0 ? sizeof q : i == 1 ? 3 : i == 2 ? sizeof q - 1 : sizeof q;
        int fd = nameserver_connect(path);

        if (i == 3) {
            q.name[1] = 0;
            q.op = 77;
        }
        assert_int_equal(send(fd, &q, n, 0), (ssize_t)n);
        assert_int_equal(recv(fd, &r, sizeof r, 0), (ssize_t)sizeof r);
        assert_int_equal(r.code, BOOTSTRAP_NOT_PRIVILEGED);
        close(fd);
    }
    /* Clients that connect and say nothing do not keep others out for long. */
    for (int i = 0; i < 80; i++) {
        silent[i] = nameserver_connect(path);
        assert_true(silent[i] >= 0);
        if (i % 2)
            close(silent[i]);
    }
    ok(bootstrap_check_in(bootstrap_port, "org.example.f", &p));
    for (int i = 0; i < 80; i += 2)
        close(silent[i]);
    ok(mach_port_destroy(SELF, p));
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

static int of_process(pid_t pid, const char *what)
{
    char list[64];

    snprintf(list, sizeof list, "/proc/%d/%s", (int)pid, what);
    return entries_of(list);
}

static int descriptors_of(pid_t pid)
{
    return of_process(pid, "fd");
}

/* Not more than it had, once what was dropped is closed. */
static void expect_no_more(pid_t pid, int had)
{
    for (int i = 0; i < 1000 && descriptors_of(pid) > had; i++)
        usleep(10000);
    assert_true(descriptors_of(pid) <= had);
}

/* A request with these beside it; the connection stays open. */
static int request_with(enum nameserver_op op, const char *name, const int *fds, size_t nfds,
                        int apart)
{
    struct nameserver_request q = {.magic = NAMESERVER_MAGIC, .op = op};
    int fd = nameserver_connect(path);

    snprintf(q.name, sizeof q.name, "%s", name);
    assert_true(fd >= 0);
    assert_int_equal(send_beside(fd, &q, sizeof q, fds, nfds, apart), (ssize_t)sizeof q);
    return fd;
}

static void expect_answer(int fd, int code)
{
    struct nameserver_reply r;

    assert_int_equal(recv(fd, &r, sizeof r, 0), (ssize_t)sizeof r);
    assert_int_equal(r.code, code);
    close(fd);
}

static void test_machmsg_bootstrap__requests_with_too_much(void **state)
{
    const pid_t pid = run_server(-1);
    int ends[2], fds[253], had;
    mach_port_t p;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    for (int i = 0; i < 253; i++)
        fds[i] = ends[0];
    expect_answer(request_with(NS_LOOK_UP, "none", NULL, 0, 0), BOOTSTRAP_UNKNOWN_SERVICE);
    had = descriptors_of(pid);
    for (int i = 0; i < 1200; i++)
        expect_answer(request_with(i % 5 + 1, "x", fds, i % 50 ? 2 : 253, i % 2),
                      BOOTSTRAP_NOT_PRIVILEGED);
    for (int i = 0; i < 1200; i++) /* one, where none belongs */
        expect_answer(request_with(NS_LOOK_UP, "none", fds, 1, 0), BOOTSTRAP_UNKNOWN_SERVICE);
    fds[0] = 2; /* no port's */
    expect_answer(request_with(NS_REGISTER, "x", fds, 1, 0), BOOTSTRAP_NOT_PRIVILEGED);
    expect_no_more(pid, had);
    ok(bootstrap_check_in(bootstrap_port, "org.example.i", &p));
    ok(mach_port_destroy(SELF, p));
    close(ends[0]);
    close(ends[1]);
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

/* What it is sent lingers for an hour: beside a request, in a connection behind the request, and in
 * a service's port. Their readers read nothing until everybody else was answered. */
static void test_machmsg_bootstrap__closes_that_wait(void **state)
{
    const pid_t pid = run_server(-1);
    struct lingering l[5];
    int fd, asked[3], pair[2], had, status;
    mach_port_t p;

    (void)state;
    expect_answer(request_with(NS_LOOK_UP, "none", NULL, 0, 0), BOOTSTRAP_UNKNOWN_SERVICE);
    had = descriptors_of(pid);
    /* Stopped, so that the last descriptor is the one on its way. */
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    l[0] = lingering_make();
    asked[0] = request_with(NS_REGISTER, "x", &l[0].fd, 1, 0);
    fd = lingering_in_a_queue(&l[1]);
    asked[1] = request_with(NS_LOOK_UP, "none", &fd, 1, 0);
    close(fd);
    l[2] = lingering_make();
    asked[2] = request_with(NS_LOOK_UP, "none", NULL, 0, 0);
    assert_int_equal(send_beside(asked[2], "x", 1, &l[2].fd, 1, 0), 1);
    close(l[0].fd);
    close(l[2].fd);
    kill(pid, SIGCONT);
    for (int i = 0; i < 3; i++)
        expect_answer(asked[i], i ? BOOTSTRAP_UNKNOWN_SERVICE : BOOTSTRAP_NOT_PRIVILEGED);
    for (int i = 3; i < 5; i++) { /* taken back, and dead */
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        l[i] = lingering_make();
        expect_answer(request_with(NS_REGISTER, "x", &pair[0], 1, 0), BOOTSTRAP_SUCCESS);
        close(pair[0]);
        assert_int_equal(send_beside(pair[1], "t", 1, &l[i].fd, 1, 0), 1);
        close(l[i].fd);
        if (i == 3)
            expect_answer(request_with(NS_UNREGISTER, "x", NULL, 0, 0), BOOTSTRAP_SUCCESS);
        close(pair[1]);
    }
    ok(bootstrap_check_in(bootstrap_port, "org.example.j", &p));
    for (int i = 0; i < 5; i++)
        lingering_end(&l[i]);
    ok(mach_port_destroy(SELF, p));
    expect_no_more(pid, had);
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

/* Those who ask and were not let in yet have sent what lingers: the server's end does not wait. */
static void test_machmsg_bootstrap__end_waits_for_nobody(void **state)
{
    const pid_t pid = run_server(-1);
    struct lingering l = lingering_make();
    int fd, status;

    (void)state;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    fd = request_with(NS_LOOK_UP, "none", &l.fd, 1, 0);
    close(l.fd);
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    expect_child_ok(pid);
    assert_int_not_equal(access(path, F_OK), 0);
    close(fd);
    lingering_end(&l);
}

/* Registers a port in which there is what lingers, if l is given. Its receiving end. */
static int register_port(const char *name, struct lingering *l)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    expect_answer(request_with(NS_REGISTER, name, &pair[0], 1, 0), BOOTSTRAP_SUCCESS);
    close(pair[0]);
    if (l) {
        *l = lingering_make();
        assert_int_equal(send_beside(pair[1], "t", 1, &l->fd, 1, 0), 1);
        close(l->fd);
    }
    return pair[1];
}

/* More services die at once than may wait to be closed, while all who close them are kept waiting:
 * the server takes leave of the rest later. */
static void test_machmsg_bootstrap__many_die_at_once(void **state)
{
    enum { CLOSERS = 16, N = 1600 };
    static int ends[N];
    const pid_t pid = run_server(-1);
    struct lingering l[CLOSERS + 1];
    struct rlimit files, more;
    boolean_t active = 1;
    char name[32];
    int status;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 2 * N)
        skip_needs("a higher RLIMIT_NOFILE");
    more = (struct rlimit){files.rlim_max, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    for (int i = 0; i < CLOSERS; i++) {
        int end = register_port("x", &l[i]);

        close(end);
        expect_answer(request_with(NS_LOOK_UP, "x", NULL, 0, 0), BOOTSTRAP_UNKNOWN_SERVICE);
        for (int k = 0; k < 1000 && of_process(pid, "task") < i + 4; k++)
            usleep(10000);
    }
    for (int i = 0; i < N; i++) { /* the first goes last */
        snprintf(name, sizeof name, "%d", i);
        ends[i] = register_port(name, i ? NULL : &l[CLOSERS]);
    }
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    for (int i = 0; i < N; i++)
        close(ends[i]);
    kill(pid, SIGCONT);
    assert_true(descriptors_of(pid) > 1000);
    for (int i = 0; i < CLOSERS; i++)
        lingering_end(&l[i]);
    ok(bootstrap_status(bootstrap_port, "0", &active));
    assert_false(active);
    lingering_end(&l[CLOSERS]);
    expect_no_more(pid, 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

/* The answer cannot be taken while too much that others sent waits to be closed: the request was
 * carried out all the same, and is not made again. */
static void test_machmsg_bootstrap__answer_that_comes_late(void **state)
{
    enum { CLOSERS = 16 };
    const pid_t pid = run_server(-1);
    struct lingering l[CLOSERS];
    int before = open_descriptors(), plain = 0;
    mach_port_t p;
    pid_t holder;

    (void)state;
    for (int i = 0; i < CLOSERS; i++)
        receive_drop(lingering_in_a_queue(&l[i]));
    for (int i = 0; i < 1000 && open_descriptors() > before + CLOSERS; i++)
        usleep(10000); /* each is in its closer's hands */
    holder = fork();
    if (holder == 0) {
        usleep(300000);
        _exit(0);
    }
    for (int i = 0; i < CLOSERS; i++)
        lingering_end(&l[i]); /* when the holder ends */
    for (; plain < 1000 && receive_has_room(); plain++)
        receive_drop_elsewhere(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ok(bootstrap_check_in(bootstrap_port, "org.example.k", &p));
    ok(mach_port_destroy(SELF, p));
    expect_child_ok(holder);
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

/* A path that is mistyped leads to a file of the user's: it stays. */
static void test_machmsg_bootstrap__another_file_there(void **state)
{
    const struct nameserver_options opt = {.socket = path, .foreground = true, .idle_ms = 0};
    struct stat st;

    (void)state;
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(nameserver_run(&opt, NULL), -EADDRINUSE);
    assert_true(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
}

static void stop_it(const char *socket)
{
    (void)socket;
    raise(SIGTERM);
}

/* As soon as it says that it listens it can be told to end, and tidies up. */
static void test_machmsg_bootstrap__told_to_end_at_once(void **state)
{
    const struct nameserver_options opt = {.socket = path, .foreground = true, .idle_ms = -1};
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(nameserver_run(&opt, stop_it) == 0 ? 0 : 3);
    expect_child_ok(pid);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* Without a descriptor to hear of it there is no server, and that is what is said. */
static void test_machmsg_bootstrap__no_descriptor_to_detach(void **state)
{
    const struct nameserver_options opt = {.socket = path, .idle_ms = 100};
    const struct rlimit none = {0, 0};
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        child_check(setrlimit(RLIMIT_NOFILE, &none) == 0);
        child_check(nameserver_run(&opt, NULL) == -EMFILE);
        _exit(0);
    }
    expect_child_ok(pid);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* A name server of this user's that answers with more than an answer. */
static void test_machmsg_bootstrap__hostile_server(void **state)
{
    struct nameserver_reply r = {.magic = NAMESERVER_MAGIC};
    struct lingering l = lingering_make();
    int listener = nameserver_bind(path), before, fds[2];
    mach_port_t found;
    pid_t pid;

    (void)state;
    assert_int_equal(listen(listener, 8), 0);
    pid = fork();
    if (pid == 0) {
        struct nameserver_request q;

        /* Two ports, then a port and what lingers: over and over, until told to stop. */
        for (int i = 0;; i++) {
            int fd = accept(listener, NULL, NULL);

            child_check(recv(fd, &q, sizeof q, 0) == (ssize_t)sizeof q);
            if (q.op == NS_UNREGISTER)
                _exit(0);
            fds[0] = fd;
            fds[1] = i % 2 ? fd : l.fd;
            child_check(send_beside(fd, &r, sizeof r, fds, 2, i % 3 == 0) > 0);
            close(fd);
        }
    }
    close(l.fd);
    before = open_descriptors();
    for (int i = 0; i < 2; i++)
        assert_kr(bootstrap_look_up(bootstrap_port, "x", &found), BOOTSTRAP_NOT_PRIVILEGED);
    for (int i = 0; i < 1000 && open_descriptors() != before; i++)
        usleep(10000);
    assert_int_equal(open_descriptors(), before);
    close(request_with(NS_UNREGISTER, "x", NULL, 0, 0));
    expect_child_ok(pid);
    lingering_end(&l);
    close(listener);
}

static void nothing(int sig)
{
    (void)sig;
}

/* A server that takes its time, and a program whose signals come all the while. */
static void test_machmsg_bootstrap__slow_server(void **state)
{
    const struct itimerval often = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
    const struct sigaction act = {.sa_handler = nothing};
    struct sigaction before;
    boolean_t active = 1;
    pid_t pid = run_server(-1), waker;
    int status;

    (void)state;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    waker = fork();
    if (waker == 0) {
        usleep(300000);
        _exit(kill(pid, SIGCONT));
    }
    sigaction(SIGALRM, &act, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    status = bootstrap_status(bootstrap_port, "none", &active);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    ok(status);
    assert_false(active);
    expect_child_ok(waker);
    kill(pid, SIGTERM);
    expect_child_ok(pid);
}

/* Somebody listens and never accepts: the queue is full, and the caller is told so. */
static void test_machmsg_bootstrap__nobody_accepts(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int listener = nameserver_bind(path), fds[8], n = 0;
    mach_port_t found;

    (void)state;
    strcpy(a.sun_path, path);
    assert_int_equal(listen(listener, 0), 0);
    do
        fds[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (connect(fds[n++], (struct sockaddr *)&a, sizeof a) == 0 && n < 8);
    assert_true(n < 8);
    alarm(300);
    assert_kr(bootstrap_look_up(bootstrap_port, "x", &found), BOOTSTRAP_NOT_PRIVILEGED);
    alarm(0);
    while (n > 0)
        close(fds[--n]);
    close(listener);
}

/* Somebody else's lookup is refused by the server, and somebody else's server by the client. */
static void test_machmsg_bootstrap__another_user(void **state)
{
    mach_port_t p, found;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip_needs("root, to become another user");
    p = new_port_with_sends(1);
    ok(bootstrap_register(bootstrap_port, "org.example.g", p));
    assert_int_equal(chmod(dir, 0777) | chmod(path, 0777), 0);
    pid = fork();
    if (pid == 0) {
        struct nameserver_reply r;
        int fd;

        child_check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        child_check(bootstrap_look_up(bootstrap_port, "org.example.g", &found) ==
                    BOOTSTRAP_NOT_PRIVILEGED);
        fd = nameserver_connect(path);
        child_check(fd >= 0 && recv(fd, &r, sizeof r, 0) == (ssize_t)sizeof r);
        child_check(r.code == BOOTSTRAP_NOT_PRIVILEGED);
        _exit(0);
    }
    expect_child_ok(pid);
    ok(mach_port_destroy(SELF, p));
}

static void test_machmsg_bootstrap__private_directory(void **state)
{
    char runtime[128], made[192], got[4096];
    struct stat st;

    (void)state;
    unsetenv("COWLAB_BOOTSTRAP");
    snprintf(runtime, sizeof runtime, "%s/runtime", dir);
    assert_int_equal(mkdir(runtime, 0700), 0);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    assert_int_equal(nameserver_path(got, sizeof got), 0);
    snprintf(made, sizeof made, "%s/cowlab/bootstrap", runtime);
    assert_string_equal(got, made);
    *strrchr(made, '/') = 0;
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    /* One that others may enter is not used. */
    assert_int_equal(chmod(made, 0755), 0);
    assert_int_equal(nameserver_path(got, sizeof got), 0);
    assert_null(strstr(got, runtime));
    unsetenv("XDG_RUNTIME_DIR");
    setenv("COWLAB_BOOTSTRAP", path, 1);
}

/* As nobody, without XDG_RUNTIME_DIR, in a mount namespace with a /tmp and a /dev/shm of its own:
 * runs fn there.
 */
static void as_nobody(int (*fn)(void), const char *prepare)
{
    pid_t pid;

    if (geteuid() != 0)
        skip_needs("root, to become another user");
    pid = fork();
    if (pid == 0) {
        unsetenv("COWLAB_BOOTSTRAP");
        unsetenv("XDG_RUNTIME_DIR");
        unsetenv("HOME");
        child_check(unshare(CLONE_NEWNS) == 0 &&
                    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        child_check(mount("t", "/tmp", "tmpfs", 0, "mode=1777") == 0);
        child_check(mount("t", "/dev/shm", "tmpfs", 0, "mode=1777") == 0);
        child_check(system(prepare) == 0);
        child_check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        _exit(fn());
    }
    expect_child_ok(pid);
}

/* Twice the same place, of this user's alone. */
static int finds_one_place(void)
{
    char first[4096], second[4096];
    struct stat st;

    child_check(nameserver_path(first, sizeof first) == 0);
    child_check(nameserver_path(second, sizeof second) == 0 && strcmp(first, second) == 0);
    *strrchr(first, '/') = 0;
    child_check(lstat(first, &st) == 0 && st.st_uid == 65534 && (st.st_mode & 07777) == 0700);
    return 0;
}

/* Whatever was there first, eight that start at once find one place; and it stays that one when the
 * name becomes free. */
static int all_find_one_place(void)
{
    char places[8][256] = {{0}}, mine[4096];
    int ends[2];

    child_check(pipe(ends) == 0);
    for (int i = 0; i < 8; i++)
        if (fork() == 0) {
            child_check(nameserver_path(mine, sizeof mine) == 0);
            child_check(write(ends[1], mine, 256) == 256);
            _exit(0);
        }
    for (int i = 0; i < 8; i++)
        child_check(read(ends[0], places[i], 256) == 256 && strcmp(places[i], places[0]) == 0);
    while (wait(NULL) > 0)
        continue;
    child_check(finds_one_place() == 0 && nameserver_path(mine, sizeof mine) == 0);
    return strcmp(mine, places[0]);
}

static int says_why(void)
{
    char text[512] = "", place[4096];
    mach_port_t found;
    int ends[2], n = 0;

    child_check(nameserver_path(place, sizeof place) == -EROFS);
    child_check(strncmp(place, "/tmp/cowlab-", 12) == 0);
    child_check(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    close(ends[1]);
    for (int i = 0; i < 2; i++)
        if (bootstrap_look_up(bootstrap_port, "x", &found) != BOOTSTRAP_NOT_PRIVILEGED)
            return 1;
    close(2);
    for (ssize_t got; (got = read(ends[0], text + n, sizeof text - 1 - (size_t)n)) > 0;)
        n += (int)got;
    return !strstr(text, "'/tmp/cowlab-") || !strstr(text, "Read-only file system") ||
           !strstr(text, "(bootstrap) permission denied (0x44c)") ||
           strchr(text, '\n') != text + n - 1;
}

static void test_machmsg_bootstrap__taken_names(void **state)
{
    static const char *const taken[] = {
        "true",
        "mkdir /tmp/cowlab-65534",
        "touch /tmp/cowlab-65534",
        "ln -s /nowhere /tmp/cowlab-65534",
        "ln -s / /tmp/cowlab-65534",
        "mkdir -m 777 /tmp/cowlab-65534",
        "mkdir /tmp/cowlab-65534; i=0; while [ $i -lt 100 ]; do"
        " mkdir -m 777 /tmp/cowlab-bootstrap-65534-00000$i /tmp/cowlab-bootstrap-65534-zzz$i;"
        " i=$((i + 1)); done",
        "mkdir -m 755 /tmp/cowlab-65534; chown 65534 /tmp/cowlab-65534"};

    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        as_nobody(all_find_one_place, taken[i]);
    /* The place stays where it is when the other user goes. */
    as_nobody(finds_one_place,
              "mkdir /tmp/cowlab-65534; mkdir -m 700 /tmp/cowlab-bootstrap-65534-abcdef; "
              "chown 65534 /tmp/cowlab-bootstrap-65534-abcdef; rmdir /tmp/cowlab-65534");
    as_nobody(finds_one_place, "mount -o remount,ro /tmp"); /* there is /dev/shm */
    as_nobody(says_why, "mount -o remount,ro /dev/shm; mount -o remount,ro /tmp");
}

/* A socket's address holds 107 bytes; run directories can be longer. */
static void test_machmsg_bootstrap__long_path(void **state)
{
    char deep[400];
    mach_port_t p;
    pid_t pid;

    (void)state;
    snprintf(deep, sizeof deep, "%s/%0150d", dir, 7);
    assert_int_equal(mkdir(deep, 0700), 0);
    strcat(deep, "/socket");
    setenv("COWLAB_BOOTSTRAP", deep, 1);
    ok(bootstrap_check_in(bootstrap_port, "org.example.h", &p));
    ok(mach_port_destroy(SELF, p));
    snprintf(path, sizeof path, "%s/link", dir);
    assert_int_equal(symlink(deep, path), 0);
    pid = server_pid();
    kill(pid, SIGTERM);
    wait_gone(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        names_tested(test_machmsg_bootstrap__register_and_look_up),
        names_tested(test_machmsg_bootstrap__check_in),
        names_tested(test_machmsg_bootstrap__argument_errors),
        names_tested(test_machmsg_bootstrap__started_by_many_at_once),
        names_tested(test_machmsg_bootstrap__stale_socket_is_replaced),
        names_tested(test_machmsg_bootstrap__ends_when_unused),
        names_tested(test_machmsg_bootstrap__second_server_gives_way),
        names_tested(test_machmsg_bootstrap__named_program_is_started),
        names_tested(test_machmsg_bootstrap__hostile_requests),
        names_tested(test_machmsg_bootstrap__another_user),
        names_tested(test_machmsg_bootstrap__private_directory),
        names_tested(test_machmsg_bootstrap__requests_with_too_much),
        names_tested(test_machmsg_bootstrap__closes_that_wait),
        names_tested(test_machmsg_bootstrap__end_waits_for_nobody),
        names_tested(test_machmsg_bootstrap__many_die_at_once),
        names_tested(test_machmsg_bootstrap__answer_that_comes_late),
        names_tested(test_machmsg_bootstrap__another_file_there),
        names_tested(test_machmsg_bootstrap__told_to_end_at_once),
        names_tested(test_machmsg_bootstrap__no_descriptor_to_detach),
        names_tested(test_machmsg_bootstrap__taken_names),
        names_tested(test_machmsg_bootstrap__hostile_server), /* says why, once in this process */
        names_tested(test_machmsg_bootstrap__slow_server),
        names_tested(test_machmsg_bootstrap__nobody_accepts),
        names_tested(test_machmsg_bootstrap__long_path)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
