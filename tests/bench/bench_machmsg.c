/* Speed of the message layer beside other ways to do the same, between two processes.
 *   bench_machmsg copy METHOD BYTES [kept]
 *                                     transfers of populated memory, 4 KiB pages, one after the
 *                                     other: prints of each the ns from before the send until it
 *                                     was received, and those until every page was read as well.
 *                                     Methods that copy do so into fresh memory, as a message that
 *                                     is to be kept needs it; with kept, into a buffer that has
 *                                     been in use
 *   bench_machmsg trip METHOD COUNT [CPU CPU]
 *                                     round trips of a small message: prints ns for each
 * Times are CLOCK_MONOTONIC, which all processes share. */
#include <errno.h>
#include <fcntl.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 3

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void check(kern_return_t kr, const char *what)
{
    if (kr) {
        fprintf(stderr, "%s: %s\n", what, mach_error_string(kr));
        exit(1);
    }
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What both processes know; set up before the fork. */
static struct {
    size_t bytes;
    int pair[2];           /* a socket or pipe between them: [0] is the receiver's */
    int go[2];             /* pipe: the receiver is ready */
    int times[2];          /* pipe: its times come back */
    unsigned char *source; /* where both know where it is */
    mach_port_t port;
} s;

struct times {
    uint64_t received, read;
};

static unsigned char read_every_page(const unsigned char *at)
{
    unsigned char sum = 0;

    for (size_t i = 0; i < s.bytes; i += 4096)
        sum += at[i];
    return sum;
}

static void populate(unsigned char *at)
{
    for (size_t i = 0; i < s.bytes; i += 4096)
        at[i] = (unsigned char)(i >> 12) | 1;
}

static unsigned char expected_sum(void)
{
    unsigned char sum = 0;

    for (size_t i = 0; i < s.bytes; i += 4096)
        sum += (unsigned char)(i >> 12) | 1;
    return sum;
}

static void all(ssize_t (*how)(int, void *, size_t), int fd, unsigned char *at, size_t n,
                size_t chunk)
{
    while (n > 0) {
        ssize_t done = how(fd, at, n < chunk ? n : chunk);

        if (done <= 0)
            die("transfer");
        at += done;
        n -= (size_t)done;
    }
}

static ssize_t do_write(int fd, void *at, size_t n)
{
    return write(fd, at, n);
}

static ssize_t do_splice(int fd, void *at, size_t n)
{
    struct iovec iov = {at, n};

    return vmsplice(fd, &iov, 1, 0);
}

struct method {
    const char *name;
    void (*prepare)(void);           /* before the fork */
    void (*send)(void);              /* timed; the source is populated */
    unsigned char *(*receive)(void); /* timed; gives where the bytes are */
    unsigned char *(*source)(void);  /* fresh memory at the sender */
    size_t chunk;
};
static const struct method *method;
static unsigned char *buffer; /* the receiver's, for methods that copy */
static bool kept;

static unsigned char *plain_memory(void)
{
    unsigned char *at =
        mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        die("mmap");
    madvise(at, s.bytes, MADV_NOHUGEPAGE);
    return at;
}

/* --- the layer --- */

typedef struct {
    mach_msg_header_t header;
    mach_msg_body_t body;
    mach_msg_ool_descriptor_t data;
} ool_t;

static void layer_prepare(void)
{
    mach_port_t meet = mach_reply_port();

    check(mach_port_insert_right(mach_task_self(), meet, meet, MACH_MSG_TYPE_MAKE_SEND), "insert");
    check(task_set_special_port(mach_task_self(), TASK_BOOTSTRAP_PORT, meet), "special port");
    s.port = meet;
}

/* The child has no port of the parent's but one: it sends a right to its own. */
static mach_port_t meet_as_child(void)
{
    mach_port_t parent, own = mach_reply_port();
    mach_msg_header_t h = {.msgh_bits =
                               MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND),
                           .msgh_size = sizeof h};

    check(task_get_special_port(mach_task_self(), TASK_BOOTSTRAP_PORT, &parent), "special port");
    h.msgh_remote_port = parent;
    h.msgh_local_port = own;
    check(mach_msg_send(&h), "meet");
    return own;
}

static mach_port_t meet_as_parent(void)
{
    struct {
        mach_msg_header_t h;
        mach_msg_trailer_t t;
    } m;

    check(mach_msg(&m.h, MACH_RCV_MSG, 0, sizeof m, s.port, 0, 0), "meet");
    return m.h.msgh_remote_port;
}

static unsigned char *layer_source(void)
{
    mach_vm_address_t at = 0;

    check(mach_vm_allocate(mach_task_self(), &at, s.bytes, VM_FLAGS_ANYWHERE), "allocate");
    return (unsigned char *)at;
}

static void layer_send(void)
{
    ool_t m = {.header = {.msgh_bits = MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, 0, 0,
                                                          MACH_MSGH_BITS_COMPLEX),
                          .msgh_size = sizeof m,
                          .msgh_remote_port = s.port},
               .body = {1},
               .data = {.address = s.source,
                        .size = (mach_msg_size_t)s.bytes,
                        .copy = MACH_MSG_VIRTUAL_COPY,
                        .type = MACH_MSG_OOL_DESCRIPTOR}};

    check(mach_msg_send(&m.header), "send");
}

static unsigned char *layer_receive(void)
{
    struct {
        ool_t m;
        mach_msg_trailer_t t;
    } in;

    check(mach_msg(&in.m.header, MACH_RCV_MSG, 0, sizeof in, s.port, 0, 0), "receive");
    return in.m.data.address;
}

/* --- the same system calls, without a layer --- */

static int memfd;

static void socket_prepare(void)
{
    int size = 4 << 20;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s.pair))
        die("socketpair");
    (void)!setsockopt(s.pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void stream_prepare(void)
{
    int size = 4 << 20;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s.pair))
        die("socketpair");
    (void)!setsockopt(s.pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static unsigned char *bare_source(void)
{
    unsigned char *at;

    memfd = memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || ftruncate(memfd, (off_t)s.bytes))
        die("memfd");
    at = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (at == MAP_FAILED)
        die("mmap");
    return at;
}

static void bare_send(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {"x", 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};

    if (mmap(s.source, s.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, memfd, 0) ==
            MAP_FAILED ||
        fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
        die("seal");
    control.align = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.align), &memfd, sizeof memfd);
    if (sendmsg(s.pair[1], &mh, 0) != 1)
        die("sendmsg");
}

static unsigned char *bare_receive(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof control.bytes};
    unsigned char *at;
    int fd;

    if (recvmsg(s.pair[0], &mh, 0) != 1)
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof fd);
    at = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        die("mmap");
    return at;
}

/* --- copies --- */

static void pipe_prepare(void)
{
    if (pipe(s.pair) || fcntl(s.pair[1], F_SETPIPE_SZ, 1 << 20) < 0)
        die("pipe");
}

static void chunk_send(void)
{
    all(do_write, s.pair[1], s.source, s.bytes, method->chunk);
}

static void splice_send(void)
{
    all(do_splice, s.pair[1], s.source, s.bytes, method->chunk);
}

static unsigned char *chunk_receive(void)
{
    all(read, s.pair[0], buffer, s.bytes, method->chunk);
    return buffer;
}

static void readv_send(void)
{
    if (write(s.pair[1], &s.source, sizeof s.source) != sizeof s.source)
        die("write");
}

static unsigned char *readv_receive(void)
{
    struct iovec local, remote;
    size_t done = 0;

    if (read(s.pair[0], &s.source, sizeof s.source) != sizeof s.source)
        die("read");
    while (done < s.bytes) {
        size_t n = s.bytes - done < method->chunk ? s.bytes - done : method->chunk;

        local = (struct iovec){buffer + done, n};
        remote = (struct iovec){s.source + done, n};
        if (process_vm_readv(getppid(), &local, 1, &remote, 1, 0) != (ssize_t)n)
            die("process_vm_readv");
        done += n;
    }
    return buffer;
}

static const struct method methods[] = {
    {"layer", layer_prepare, layer_send, layer_receive, layer_source, 0},
    {"bare", socket_prepare, bare_send, bare_receive, bare_source, 0},
    {"socket-64K", stream_prepare, chunk_send, chunk_receive, plain_memory, 64 << 10},
    {"socket-256K", stream_prepare, chunk_send, chunk_receive, plain_memory, 256 << 10},
    {"socket-1M", stream_prepare, chunk_send, chunk_receive, plain_memory, 1 << 20},
    {"pipe-64K", pipe_prepare, chunk_send, chunk_receive, plain_memory, 64 << 10},
    {"pipe-1M", pipe_prepare, chunk_send, chunk_receive, plain_memory, 1 << 20},
    {"pipe-vmsplice", pipe_prepare, splice_send, chunk_receive, plain_memory, 1 << 20},
    {"process_vm_readv-256K", socket_prepare, readv_send, readv_receive, plain_memory, 256 << 10},
    {"process_vm_readv-16M", socket_prepare, readv_send, readv_receive, plain_memory, 16 << 20},
};

/* Gives back what one round took, so that the next one starts as this one did. */
static void release(unsigned char *at)
{
    if (method->send == layer_send)
        check(mach_vm_deallocate(mach_task_self(), (mach_vm_address_t)at, s.bytes), "deallocate");
    else
        munmap(at, s.bytes);
}

static void receive_once(void)
{
    const bool copies = method->send != layer_send && method->send != bare_send;
    struct times t;
    unsigned char *at, sum;

    if (copies && !buffer) {
        buffer = plain_memory();
        if (kept)
            memset(buffer, 1, s.bytes);
    }
    if (write(s.go[1], "g", 1) != 1)
        _exit(1);
    at = method->receive();
    t.received = now();
    sum = read_every_page(at);
    t.read = now();
    if (at[0] != 1 || sum != expected_sum())
        _exit(1);
    if (!kept) {
        release(at);
        buffer = NULL;
    }
    if (write(s.times[1], &t, sizeof t) != sizeof t)
        _exit(1);
}

static int send_round(void)
{
    struct times t;
    uint64_t start;
    char byte;

    s.source = method->source();
    populate(s.source);
    if (read(s.go[0], &byte, 1) != 1)
        return 1;
    usleep(2000); /* it is in its receive by now */
    start = now();
    method->send();
    if (read(s.times[0], &t, sizeof t) != sizeof t)
        return 1;
    printf("%llu %llu\n", (unsigned long long)(t.received - start),
           (unsigned long long)(t.read - start));
    release(s.source);
    if (method->send == bare_send)
        close(memfd);
    return 0;
}

static int copy(const char *name, size_t bytes)
{
    int status, rc = 0;
    pid_t pid;

    s.bytes = bytes;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            method = &methods[i];
    if (!method || pipe(s.go) || pipe(s.times))
        return 2;
    method->prepare();
    pid = fork();
    if (pid == 0) {
        if (method->send == layer_send)
            s.port = meet_as_child();
        for (int i = 0; i < ROUNDS; i++)
            receive_once();
        _exit(0);
    }
    close(s.go[1]); /* a receiver that dies is noticed */
    close(s.times[1]);
    if (method->send == layer_send)
        s.port = meet_as_parent();
    for (int i = 0; i < ROUNDS && rc == 0; i++)
        rc = send_round();
    return waitpid(pid, &status, 0) != pid || status || rc;
}

/* --- small messages --- */

typedef struct {
    mach_msg_header_t header;
    char text[8];
} small_t;

static void trip_mach(mach_port_t to, mach_port_t from, bool first, bool once, long count)
{
    struct {
        small_t m;
        mach_msg_trailer_t t;
    } in;
    small_t out = {.header = {.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0),
                              .msgh_size = sizeof out,
                              .msgh_remote_port = to}};

    if (first && once) {
        out.header.msgh_local_port = from;
        out.header.msgh_bits =
            MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
    }
    for (long i = 0; i < count; i++) {
        if (first)
            check(mach_msg(&out.header, MACH_SEND_MSG, sizeof out, 0, 0, 0, 0), "send");
        check(mach_msg(&in.m.header, MACH_RCV_MSG, 0, sizeof in, from, 0, 0), "receive");
        if (first)
            continue;
        if (once) {
            out.header.msgh_remote_port = in.m.header.msgh_remote_port;
            out.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
        }
        check(mach_msg(&out.header, MACH_SEND_MSG, sizeof out, 0, 0, 0, 0), "reply");
    }
}

/* The bare pair moves the same 32 bytes, with sendmsg and recvmsg. */
static void trip_bare(int fd, bool first, long count)
{
    char bytes[sizeof(small_t)] = {0};
    struct iovec iov = {bytes, sizeof bytes};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

    for (long i = 0; i < count; i++) {
        if (first && sendmsg(fd, &mh, 0) < 0)
            die("sendmsg");
        if (recvmsg(fd, &mh, 0) < 0)
            die("recvmsg");
        if (!first && sendmsg(fd, &mh, 0) < 0)
            die("sendmsg");
    }
}

static int cpus[2] = {-1, -1};

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (cpu >= 0)
        CPU_SET(cpu, &set);
    if (cpu >= 0 && sched_setaffinity(0, sizeof set, &set))
        die("sched_setaffinity");
}

static int trip(const char *name, long count)
{
    const bool bare = strcmp(name, "bare") == 0, once = strcmp(name, "reply") == 0;
    mach_port_t own, to = 0;
    uint64_t start;
    int status;
    pid_t pid;

    if (bare)
        socket_prepare();
    else
        layer_prepare();
    own = s.port;
    pid = fork();
    pin(cpus[pid == 0]);
    if (pid == 0) {
        if (!bare) {
            task_get_special_port(mach_task_self(), TASK_BOOTSTRAP_PORT, &to);
            own = meet_as_child();
            trip_mach(to, own, false, once, count + 100);
        } else {
            trip_bare(s.pair[0], false, count + 100);
        }
        _exit(0);
    }
    if (!bare)
        to = meet_as_parent();
    for (long n = 100;; n = count) { /* the first hundred are not counted */
        start = now();
        if (bare)
            trip_bare(s.pair[1], true, n);
        else
            trip_mach(to, own, true, once, n);
        if (n == count)
            break;
    }
    printf("%.0f\n", (double)(now() - start) / (double)count);
    waitpid(pid, &status, 0);
    return status != 0;
}

int main(int argc, char **argv)
{
    kept = argc == 5 && strcmp(argv[4], "kept") == 0;
    if ((argc == 4 || kept) && strcmp(argv[1], "copy") == 0)
        return copy(argv[2], strtoull(argv[3], NULL, 0));
    if (argc == 6)
        for (int i = 0; i < 2; i++)
            cpus[i] = (int)strtol(argv[4 + i], NULL, 0);
    if ((argc == 4 || argc == 6) && strcmp(argv[1], "trip") == 0)
        return trip(argv[2], strtol(argv[3], NULL, 0));
    fprintf(stderr, "usage: bench_machmsg copy METHOD BYTES | trip METHOD COUNT\n");
    return 2;
}
