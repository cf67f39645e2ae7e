/* What a hostile peer can write to a port: the first byte says how many descriptors of which kinds
 * come along, the rest is the packet. The decoder sees it alone, then the whole receive path does:
 * rights, memory, mach_msg_destroy. Afterwards the port still works and no descriptor is left. */
#include "lab/machmsg/ports/port.h"
#include "lab/machmsg/ports/wire.h"
#include <dirent.h>
#include <fcntl.h>
#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mach_port_t port;
static int sending_end, kinds[4]; /* a sealed object, an unsealed one, a socket, a file */

static void set_up(void)
{
    int pair[2];

    if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port))
        abort();
    space_lock();
    sending_end = space_find(port)->port->s;
    space_unlock();
    for (int i = 0; i < 2; i++) {
        kinds[i] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (ftruncate(kinds[i], 65536) || pwrite(kinds[i], "x", 1, 5000) != 1)
            abort();
    }
    fcntl(kinds[0], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        abort();
    kinds[2] = pair[0]; /* the other end stays open for good */
    kinds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* Sockets and memory objects that are open: what messages bring. The fuzzer opens pipes and files
 * of its own when it has something to report. */
static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d))) {
        char what[32] = "";

        if (readlinkat(dirfd(d), e->d_name, what, sizeof what - 1) > 0)
            n += strncmp(what, "socket:", 7) == 0 || strncmp(what, "/memfd:", 7) == 0;
    }
    closedir(d);
    return n;
}

static void say_descriptors(int before)
{
    fprintf(stderr, "%d descriptors before, %d now:\n", before, descriptors());
    for (int fd = 0; fd < 100; fd++) {
        char path[32], to[100];
        ssize_t n;

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, to, sizeof to);
        if (n > 0)
            fprintf(stderr, "  %d -> %.*s\n", fd, (int)n, to);
    }
}

static void decode_alone(const uint8_t *data, size_t size)
{
    struct wire_head head;
    struct wire_message m;
    uint64_t *payload;

    if (wire_decode_head(data, size, &head) || wire_payload_len(&head) != size - sizeof head)
        return;
    payload = malloc(size); /* aligned, and exactly as large as it claims to be */
    memcpy(payload, data + sizeof head, size - sizeof head);
    (void)wire_decode_payload(&head, payload, size - sizeof head, &m);
    free(payload);
}

static void send_raw(uint8_t how, const uint8_t *data, size_t size)
{
    const size_t nfds = how & 7;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 8)];
    } control = {.bytes = {0}};
    struct iovec iov = {(void *)data, size};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[8];

    for (size_t i = 0; i < nfds; i++)
        fds[i] = kinds[(how >> 3 >> i) & 3];
    if (nfds > 0) {
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        control.align = (struct cmsghdr){CMSG_LEN(sizeof(int) * nfds), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * nfds);
    }
    if (sendmsg(sending_end, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        abort();
}

/* As a careful receiver does: what mach_msg_destroy leaves (volatile and physical memory) too. */
static void take_apart(mach_msg_header_t *m)
{
    mach_msg_descriptor_t *d;
    struct wire_walk w;
    unsigned int type;

    if ((m->msgh_bits & MACH_MSGH_BITS_COMPLEX) &&
        wire_walk_begin(&w, m + 1, m->msgh_size - sizeof *m) == 0)
        while (wire_walk_next(&w, &d, &type) > 0)
            if (type == MACH_MSG_OOL_VOLATILE_DESCRIPTOR ||
                (type == MACH_MSG_OOL_DESCRIPTOR && !d->out_of_line.deallocate))
                vm_deallocate(mach_task_self(), (vm_address_t)d->out_of_line.address,
                              d->out_of_line.size);
    mach_msg_destroy(m);
}

static void receive_all(void)
{
    static union {
        mach_msg_header_t header;
        unsigned char bytes[65536];
    } in;
    mach_msg_return_t mr;

    do {
        mr = mach_msg(&in.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof in, port, 0, 0);
        /* With these errors too the buffer holds a message: what could be received of it. */
        if (mr == MACH_MSG_SUCCESS || (mr & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR ||
            (mr & ~MACH_MSG_MASK & ~1) == (MACH_RCV_HEADER_ERROR & ~1))
            take_apart(&in.header);
    } while (mr != MACH_RCV_TIMED_OUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int before;

    if (!before) {
        set_up();
        receive_all(); /* makes what is made once */
        before = descriptors();
    }
    if (size < 1 || size > 32768)
        return 0;
    decode_alone(data + 1, size - 1);
    send_raw(data[0], data + 1, size - 1);
    receive_all();
    if (descriptors() != before) {
        say_descriptors(before);
        abort();
    }
    return 0;
}
