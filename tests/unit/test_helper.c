/* The helper's protocol, spoken raw by a hostile client: as nobody with a copy of cowprobe that has
 * the file capabilities (root makes it), and without any capability in one process tree. */
#include "probes/caps.h"
#include "probes/kernel/helper.h"
#include "probes/kernel/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534
#define OTHER 65533
#define PAGES 2048
#define ANSWER 10000

static char folder[] = "/tmp/cowlab-helper-XXXXXX", program[64];
static uint64_t page_size;
static bool ready; /* root, and file capabilities are possible */

/* What nobody and root tell each other. */
static struct board {
    uint64_t region, labels[PAGES], words[PAGES], counts[PAGES], flags[PAGES];
    pid_t root, victim, other, helper, with_capabilities, silent;
    struct wire_memory seen; /* all that came through the shared memory */
} * board;

struct client {
    int socket, memory_fd;
    pid_t pid;
    struct wire_memory *memory;
};

/* In a child no assertion of cmocka can jump. */
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "# %s:%d: %s (errno %d)\n", __func__, __LINE__, #x, errno);            \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int sealed_memory(size_t size)
{
    int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return fd;
}

/* Takes memory_fd. privileged: the program of file capabilities, else this one's code. */
static struct client start_with(int memory_fd, bool privileged)
{
    struct client c = {.memory_fd = memory_fd};
    int pair[2];

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    c.pid = fork();
    if (c.pid == 0) {
        char preload[] = "LD_PRELOAD=/nonexistent.so", numbers[32];
        char *const argv[] = {program, "--serve", numbers, NULL}, *const envp[] = {preload, NULL};
        struct err e;

        close(pair[0]);
        snprintf(numbers, sizeof numbers, "%d,%d", pair[1], memory_fd);
        if (!privileged)
            _exit(helper_serve(pair[1], memory_fd, &e) < 0 ? 1 : 0);
        fcntl(pair[1], F_SETFD, 0);
        fcntl(memory_fd, F_SETFD, 0);
        execve(program, argv, envp);
        _exit(127);
    }
    close(pair[1]);
    c.socket = pair[0];
    c.memory = mmap(NULL, sizeof *c.memory, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    return c;
}

static struct client start(bool privileged)
{
    return start_with(sealed_memory(sizeof(struct wire_memory)), privileged);
}

static int stop(struct client *c)
{
    int status;

    close(c->socket);
    close(c->memory_fd);
    if (c->memory != MAP_FAILED)
        munmap(c->memory, sizeof *c->memory);
    CHECK(waitpid(c->pid, &status, 0) == c->pid);
    return status;
}

/* Sends any bytes; no answer may carry a descriptor, or words that are a frame number. */
static int64_t ask_bytes(struct client *c, const void *bytes, size_t n, struct wire_answer *full)
{
    struct wire_answer answer;
    char control[CMSG_SPACE(64 * sizeof(int))];
    struct iovec iov = {&answer, sizeof answer};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};

    CHECK(send(c->socket, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    CHECK(recvmsg(c->socket, &msg, MSG_CMSG_CLOEXEC) == sizeof answer);
    CHECK(msg.msg_controllen == 0);
    if (full)
        *full = answer;
    return answer.rc;
}

static int64_t ask(struct client *c, struct wire_request r)
{
    return ask_bytes(c, &r, sizeof r, NULL);
}

static int64_t attach(struct client *c, pid_t pid)
{
    return ask(c, (struct wire_request){.call = WIRE_ATTACH, .process = pid});
}

static int64_t read_at(struct client *c, int64_t number, const char *at, uint64_t n)
{
    return ask(c, (struct wire_request){.call = WIRE_READ,
                                        .process = (int32_t)number,
                                        .first = (uintptr_t)at / page_size,
                                        .n = n});
}

static char *filled(size_t pages)
{
    char *p =
        mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    madvise(p, pages * page_size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < pages; i++)
        p[i * page_size] = (char)(i + 1);
    return p;
}

static void become(uid_t uid, gid_t gid)
{
    CHECK(setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
          setresuid(uid, uid, uid) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
}

/* A process that only is there. */
static pid_t idle(uid_t uid, gid_t gid, bool silent)
{
    pid_t pid;
    int ready_pipe[2];
    char byte;

    assert_int_equal(pipe2(ready_pipe, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (geteuid() == 0)
            become(uid, gid);
        prctl(PR_SET_DUMPABLE, !silent);
        CHECK(write(ready_pipe[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready_pipe[0], &byte, 1), 1);
    close(ready_pipe[0]);
    close(ready_pipe[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void stop_here(void)
{
    raise(SIGSTOP);
}

/* Runs as nobody; between its two halves root looks. */
static void as_nobody(void (*client)(void (*now)(void)), void (*look)(pid_t client))
{
    int status;
    pid_t pid;

    if (!ready)
        skip();
    pid = fork();
    if (pid == 0) {
        become(NOBODY, NOBODY);
        client(stop_here);
        _exit(0);
    }
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        look(pid);
        kill(pid, SIGCONT);
    }
    assert_int_equal(status, 0);
}

/* -- what it says ----------------------------------------------------------------------- */

/* Everything that the helper lets come: words, counts, flags of one's own region. */
static void ask_all(struct client *c, int64_t number, const char *at)
{
    CHECK(read_at(c, number, at, PAGES) == PAGES);
    for (size_t i = 0; i < PAGES; i++)
        board->words[i] = board->seen.words[i] = c->memory->words[i];
    for (int flags = 0; flags < 2; flags++) {
        for (size_t i = 0; i < PAGES; i++) {
            c->memory->pages[i] = (uintptr_t)at / page_size + i;
            c->memory->words[i] = PM_FRAME(board->words[i]);
        }
        CHECK(ask(c, (struct wire_request){.call = flags ? WIRE_FLAGS : WIRE_COUNTS,
                                           .process = (int32_t)number,
                                           .n = PAGES}) == 0);
        memcpy(flags ? board->flags : board->counts, c->memory->words, sizeof board->flags);
    }
    memcpy(&board->seen, c->memory, sizeof board->seen);
}

static void labels_client(void (*now)(void))
{
    struct client c = start(true), second = start(true);
    char *at = filled(PAGES);
    int64_t number = attach(&c, getpid()), forked, again = attach(&second, getpid());
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    CHECK(child > 0 && number >= 0 && again >= 0);
    board->region = (uintptr_t)at;
    ask_all(&c, number, at);
    for (size_t i = 0; i < PAGES; i++) {
        board->labels[i] = PM_FRAME(board->words[i]);
        CHECK(board->labels[i] & PM_LABEL);
    }
    now();
    /* The child has the same frames, and so the same labels. */
    forked = attach(&c, child);
    CHECK(forked >= 0 && read_at(&c, forked, at, PAGES) == PAGES);
    for (size_t i = 0; i < PAGES; i++)
        CHECK(PM_FRAME(c.memory->words[i]) == board->labels[i]);
    at[0]++;
    CHECK(read_at(&c, number, at, 2) == 2);
    CHECK(PM_FRAME(c.memory->words[0]) != board->labels[0]);
    CHECK(PM_FRAME(c.memory->words[1]) == board->labels[1]);
    /* Another client's labels are others. */
    CHECK(read_at(&second, again, at, PAGES) == PAGES);
    for (size_t i = 1; i < PAGES; i++)
        CHECK(PM_FRAME(second.memory->words[i]) != board->labels[i]);
    kill(child, SIGKILL);
    CHECK(stop(&c) == 0 && stop(&second) == 0);
}

static void read_words(const char *path, uint64_t index, uint64_t *words, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, words, n * 8, (off_t)(index * 8)), n * 8);
    close(fd);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* How often the most frequent value is among them. */
static size_t most_frequent(uint64_t *values, size_t n)
{
    size_t most = 0, run = 0;

    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < n; i++) {
        run = i && values[i] == values[i - 1] ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

static void labels_look(pid_t client)
{
    static uint64_t truth[PAGES], diff[PAGES];
    const uint64_t place = PM_FRAME(~0ULL), label = PM_LABEL - 1, *all = board->seen.pages;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)client);
    read_words(path, board->region / page_size, truth, PAGES);
    for (size_t i = 0; i < PAGES; i++) {
        uint64_t count, flags, frame = PM_FRAME(truth[i]);

        assert_true(frame);
        assert_true((truth[i] & ~place) == (board->words[i] & ~place));
        read_words("/proc/kpagecount", frame, &count, 1);
        read_words("/proc/kpageflags", frame, &flags, 1);
        assert_int_equal(board->counts[i], count);
        assert_int_equal(!!(board->flags[i] & KPF_ANON), !!(flags & KPF_ANON));
        assert_int_equal(!!(board->flags[i] & KPF_ANON_EXCLUSIVE), !!(flags & KPF_ANON_EXCLUSIVE));
        /* No word that came is the frame of any page, nor has its low bits. */
        assert_false((board->labels[i] & label) == frame);
        for (size_t k = 0; k < 2ULL * WIRE_PAGES; k++)
            assert_false(PM_FRAME(all[k]) == frame && all[k] > UINT16_MAX);
    }
    /* No offset, no mask, and nothing of neighbours: all such differences differ. */
    for (size_t i = 0; i < PAGES; i++)
        diff[i] = (board->labels[i] ^ PM_FRAME(truth[i])) & label;
    assert_true(most_frequent(diff, PAGES) == 1);
    for (size_t i = 0; i < PAGES; i++)
        diff[i] = (board->labels[i] - PM_FRAME(truth[i])) & label;
    assert_true(most_frequent(diff, PAGES) == 1);
    for (size_t i = 1; i < PAGES; i++)
        diff[i - 1] = (board->labels[i] - board->labels[i - 1]) & label;
    assert_true(most_frequent(diff, PAGES - 1) == 1);
    for (size_t i = 1; i < PAGES; i++)
        diff[i - 1] = board->labels[i] ^ board->labels[i - 1];
    assert_true(most_frequent(diff, PAGES - 1) == 1);
}

/* nobody gets no physical frame, and what root sees otherwise. */
static void test_helper__labels_are_no_frames(void **state)
{
    (void)state;
    as_nobody(labels_client, labels_look);
}

/* Every answer about a page that is not, or no longer, the client's is none. */
static void guessing_client(void (*now)(void))
{
    struct client c = start(true);
    char *at = filled(PAGES);
    int64_t number = attach(&c, getpid());

    (void)now;
    CHECK(read_at(&c, number, at, PAGES) == PAGES);
    for (size_t i = 0; i < PAGES; i++)
        board->labels[i] = PM_FRAME(c.memory->words[i]);
    for (int kind = 0; kind < 4; kind++) {
        if (kind == 3)
            munmap(at, PAGES * page_size);
        for (size_t i = 0; i < WIRE_PAGES; i++) {
            uint64_t own = board->labels[(i + (kind == 0)) % PAGES]; /* 0: of the neighbour */

            c.memory->pages[i] = (uintptr_t)at / page_size + i % PAGES;
            c.memory->words[i] = kind == 1   ? i       /* frame numbers */
                                 : kind == 2 ? own + 1 /* any */
                                             : own;
        }
        for (uint32_t call = WIRE_COUNTS; call <= WIRE_FLAGS; call++) {
            static uint64_t words[WIRE_PAGES];

            memcpy(words, c.memory->words, sizeof words);
            CHECK(ask(&c, (struct wire_request){
                              .call = call, .process = (int32_t)number, .n = WIRE_PAGES}) == 0);
            for (size_t i = 0; i < WIRE_PAGES; i++)
                CHECK(c.memory->words[i] == KPAGE_NONE);
            memcpy(c.memory->words, words, sizeof words);
        }
    }
    CHECK(stop(&c) == 0);
}

static void nothing(pid_t client)
{
    (void)client;
}

static void test_helper__tells_nothing_of_frames_that_are_not_the_clients(void **state)
{
    (void)state;
    as_nobody(guessing_client, nothing);
}

/* -- whom it serves --------------------------------------------------------------------- */

static void others_client(void (*now)(void))
{
    const pid_t refused[] = {1, board->root, board->victim, board->other, board->silent, INT_MAX,
                             0, -1,          INT_MIN,       1 << 29,      board->helper, 0};
    struct client c = start(true), second = start(true);
    pid_t dead = fork();
    char path[64];

    if (dead == 0)
        _exit(0);
    CHECK(waitpid(dead, NULL, 0) == dead);
    board->helper = second.pid;
    CHECK(attach(&second, getpid()) >= 0 && attach(&c, getpid()) >= 0);
    CHECK(attach(&c, dead) < 0 && attach(&c, c.pid) < 0 && attach(&c, second.pid) < 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK(attach(&c, refused[i]) < 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK(ask(&c, (struct wire_request){.call = WIRE_OBJECT,
                                            .process = refused[i],
                                            .start = board->region,
                                            .end = board->region + page_size}) < 0);
    prctl(PR_SET_DUMPABLE, 0); /* as after a program of another user */
    CHECK(attach(&c, getpid()) < 0);
    prctl(PR_SET_DUMPABLE, 1);
    CHECK(attach(&c, getpid()) >= 0);
    /* Nobody gets into the helper. */
    CHECK(ptrace(PTRACE_ATTACH, c.pid, NULL, NULL) < 0);
    for (const char *const *file =
             (const char *const[]){"mem", "maps", "fd", "environ", "pagemap", "auxv", NULL};
         *file; file++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)c.pid, *file);
        CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0);
    }
    now();
    CHECK(stop(&c) == 0 && stop(&second) == 0);
}

static void test_helper__serves_only_whom_the_client_may_see(void **state)
{
    (void)state;
    if (ready) {
        board->root = getpid();
        board->region = (uintptr_t)board;
        board->victim = idle(OTHER, OTHER, false);
        board->other = idle(NOBODY, OTHER, false); /* the same user, another group */
        board->silent = idle(NOBODY, NOBODY, true);
    }
    as_nobody(others_client, nothing);
    end(board->victim);
    end(board->other);
    end(board->silent);
}

/* -- objects ---------------------------------------------------------------------------- */

static int64_t ask_object(struct client *c, const char *at, uint64_t n, struct wire_answer *answer)
{
    struct wire_request r = {.call = WIRE_OBJECT,
                             .process = getpid(),
                             .start = (uintptr_t)at,
                             .end = (uintptr_t)at + 64 * page_size,
                             .n = n,
                             .flags = WIRE_WITH_BITS};

    return ask_bytes(c, &r, sizeof r, answer);
}

static void objects_client(void (*now)(void))
{
    struct client c = start(true);
    struct wire_answer answer;
    char *shared =
        mmap(NULL, 64 * page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *roots = mmap(NULL, 64 * page_size, PROT_READ, MAP_SHARED, board->silent, 0);

    (void)now;
    CHECK(roots != MAP_FAILED);
    for (int i = 0; i < 64; i += 2)
        shared[(uint64_t)i * page_size] = 1;
    CHECK(ask_object(&c, shared, 0, &answer) == 0);
    CHECK(answer.info.bytes == 64 * page_size && answer.info.shmem);
    CHECK(ask_object(&c, shared, 64, &answer) == 0 && answer.count == 32);
    CHECK(c.memory->pages[0] == 0x5555555555555555ULL);
    CHECK(ask_object(&c, roots, 64, &answer) == -EACCES); /* mapped, and not its own */
    CHECK(ask_object(&c, roots, 0, &answer) == -EACCES && answer.info.inode == 0);
    CHECK(ask_object(&c, shared, UINT64_MAX, &answer) == -EINVAL);
    CHECK(ask_object(&c, shared, WIRE_BITS + 1, &answer) == -EINVAL);
    CHECK(ask_object(&c, shared, WIRE_BITS, &answer) == 0 && answer.count == 32);
    CHECK(ask_object(&c, shared + page_size, 1, &answer) < 0);
    CHECK(ask(&c, (struct wire_request){.call = WIRE_OBJECT,
                                        .process = getpid(),
                                        .start = (uintptr_t)shared + 64 * page_size,
                                        .end = (uintptr_t)shared}) < 0);
    CHECK(stop(&c) == 0);
}

/* The client's side: more pages than one request has room for. */
static void large_client(void (*now)(void))
{
    const uint64_t pages = WIRE_PAGES * 2 + 5, huge = 2 * WIRE_BITS + 77;
    uint64_t *words = calloc(3 * pages, 8), *numbers = words + pages, *out = numbers + pages;
    uint64_t *bits = calloc(huge / 64 + 1, 8), count = 0;
    char *at = filled(pages), *object = mmap(NULL, huge * page_size, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct helper_object q = {
        getpid(), (uintptr_t)object, (uintptr_t)object + huge * page_size, 0, huge, false};
    struct object_info info;
    struct helper *h;
    struct err e;
    int number;

    (void)now;
    CHECK(setenv("COWLAB_COWPROBE", program, 1) == 0 && helper_start(&h, &e) == 0);
    number = helper_attach(h, getpid());
    CHECK(helper_read(h, number, (uintptr_t)at / page_size, pages, words) == (int64_t)pages);
    for (uint64_t i = 0; i < pages; i++) {
        CHECK(words[i] & PM_PRESENT && words[i] & PM_LABEL);
        numbers[i] = (uintptr_t)at / page_size + i;
    }
    CHECK(helper_ask(h, number, true, numbers, words, out, pages) == 0);
    for (uint64_t i = 0; i < pages; i++)
        CHECK(out[i] == 1);
    CHECK(object != MAP_FAILED);
    for (uint64_t i = 0; i < huge; i += WIRE_BITS)
        object[i * page_size] = object[(huge - 1) * page_size] = 1;
    CHECK(helper_object(h, &q, &info, bits, NULL, &count) == 0 && count == 4);
    CHECK(info.bytes == huge * page_size && bit_is_set(bits, 0) && bit_is_set(bits, WIRE_BITS));
    CHECK(bit_is_set(bits, 2 * WIRE_BITS) && bit_is_set(bits, huge - 1) && !bit_is_set(bits, 1));
    CHECK(helper_object(h, &q, &info, NULL, NULL, &count) == 0 && count == 4);
    CHECK(!helper_lost(h));
    helper_detach(h, number);
    CHECK(helper_read(h, number, 0, 1, words) == -EINVAL);
    helper_stop(h);
}

static void test_helper__answers_in_batches(void **state)
{
    (void)state;
    as_nobody(large_client, nothing);
}

/* Answers, and no descriptor: ask_bytes looks at each packet. */
static void test_helper__tells_of_the_users_own_objects_only(void **state)
{
    char path[80];

    (void)state;
    if (ready) {
        snprintf(path, sizeof path, "%s/roots", folder);
        board->silent = open(path, O_RDWR | O_CREAT, 0644);
        assert_int_equal(ftruncate(board->silent, (off_t)(64 * page_size)), 0);
    }
    as_nobody(objects_client, nothing);
    close(board->silent);
    unlink(path);
}

/* -- hostile requests ------------------------------------------------------------------- */

static void storm(struct client *c, int64_t number)
{
    uint64_t seed = 1;

    for (int i = 0; i < 100000; i++) {
        struct wire_request r;
        unsigned char *bytes = (unsigned char *)&r;

        for (size_t k = 0; k < sizeof r; k++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[k] = (unsigned char)(seed >> 56);
        }
        r.call = (uint32_t)(seed >> 33) % 8;
        r.process = i % 3 ? (int32_t)number : r.process;
        r.n >>= seed % 64;
        if (r.call == WIRE_DETACH && r.process == number)
            continue;
        if (i % 1000 == 0) /* as random as the request */
            memset(c->memory, (int)(seed >> 40), sizeof *c->memory);
        ask_bytes(c, &r, i % 10 ? sizeof r : seed % sizeof r + 1, NULL);
    }
}

static void flood(struct client *c)
{
    int64_t n = 0;
    int got;

    for (got = 0; got < 100000 && (n = attach(c, getpid())) >= 0; got++)
        ;
    CHECK(got >= 16 && n == -EMFILE);
    for (int i = 1; i <= got; i++)
        CHECK(ask(c, (struct wire_request){.call = WIRE_DETACH, .process = i}) == 0);
    CHECK(ask(c, (struct wire_request){.call = WIRE_DETACH, .process = 1}) == -EBADF);
}

/* Packets with descriptors, more than any table holds. */
static void pass(struct client *c)
{
    struct wire_request r = {.call = 77};
    union {
        char room[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {&r, sizeof r};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    struct wire_answer answer;

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(8 * sizeof(int));
    for (int i = 0; i < 8; i++)
        memcpy(CMSG_DATA(head) + (size_t)i * sizeof(int), &c->memory_fd, sizeof(int));
    for (int i = 0; i < 5000; i++) {
        CHECK(sendmsg(c->socket, &msg, 0) == sizeof r);
        CHECK(recv(c->socket, &answer, sizeof answer, 0) == sizeof answer && answer.rc == -EINVAL);
    }
}

static void nonsense(struct client *c, int64_t number)
{
    const uint64_t kernel = 0xffff800000000000ULL, behind = 0x00007fffffffffffULL;
    int32_t own = (int32_t)number;
    struct wire_request r = {.call = WIRE_READ, .process = own, .n = WIRE_PAGES + 1};
    char long_one[4096] = {0};

    CHECK(ask(c, r) == -EINVAL);
    r.n = UINT64_MAX;
    CHECK(ask(c, r) == -EINVAL);
    for (r.call = WIRE_COUNTS; r.call <= WIRE_FLAGS; r.call++)
        CHECK(ask(c, r) == -EINVAL);
    r = (struct wire_request){.call = WIRE_READ, .process = own, .first = UINT64_MAX, .n = 1};
    CHECK(ask(c, r) == -EINVAL);
    r = (struct wire_request){.call = WIRE_READ, .process = own + 1, .n = 1};
    CHECK(ask(c, r) == -EINVAL);
    r.process = -1;
    CHECK(ask(c, r) == -EINVAL);
    CHECK(ask(c, (struct wire_request){.call = 0}) == -EINVAL);
    CHECK(ask(c, (struct wire_request){.call = 77}) == -EINVAL);
    CHECK(ask_bytes(c, &r, 3, NULL) == -EINVAL);
    CHECK(ask_bytes(c, long_one, sizeof long_one, NULL) == -EINVAL);
    CHECK(read_at(c, number, (const char *)kernel, 16) <= 0);
    CHECK(read_at(c, number, (const char *)behind, 16) <= 1);
    CHECK(read_at(c, number, NULL, 0) == 0);
    if (ask(c, (struct wire_request){.call = WIRE_FLAGS, .process = own}) == -EACCES)
        return; /* without capabilities there is nothing to ask */
    c->memory->pages[0] = UINT64_MAX;
    CHECK(ask(c, (struct wire_request){.call = WIRE_FLAGS, .process = own, .n = 1}) == -EINVAL);
    c->memory->pages[0] = kernel / page_size;
    c->memory->words[0] = 0;
    CHECK(ask(c, (struct wire_request){.call = WIRE_COUNTS, .process = own, .n = 1}) == 0);
    CHECK(c->memory->words[0] == KPAGE_NONE);
}

static void hostile_client(void (*now)(void))
{
    struct client c = start(true);
    int64_t number = attach(&c, getpid());
    char *at = filled(4);
    struct rlimit few = {64, 64};

    (void)now;
    CHECK(number == 0);
    nonsense(&c, number);
    storm(&c, number);
    pass(&c);
    /* The memory cannot be taken from under it. */
    CHECK(ftruncate(c.memory_fd, 0) < 0 && errno == EPERM);
    CHECK(read_at(&c, number, at, 4) == 4 && c.memory->words[0] & PM_PRESENT);
    munmap(c.memory, sizeof *c.memory);
    close(c.memory_fd);
    CHECK(read_at(&c, number, at, 4) == 4);
    c.memory = MAP_FAILED;
    c.memory_fd = -1;
    CHECK(stop(&c) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0); /* of the next one */
    c = start(true);
    CHECK(attach(&c, getpid()) == 0);
    flood(&c);
    CHECK(stop(&c) == 0);
}

static void test_helper__withstands_a_hostile_client(void **state)
{
    (void)state;
    as_nobody(hostile_client, nothing);
}

/* The same without capabilities, so that the sanitizers see it. */
static void test_helper__withstands_nonsense_without_capabilities(void **state)
{
    struct client c = start(false);
    int64_t number = attach(&c, getpid());

    (void)state;
    assert_int_equal(number, geteuid() == 0 ? -EACCES : 0); /* root's has capabilities */
    if (number == 0)
        nonsense(&c, number);
    storm(&c, number);
    pass(&c);
    assert_int_equal(stop(&c), 0);
}

/* Memory that could become shorter is not served, nor what is none. */
static void test_helper__takes_sealed_memory_only(void **state)
{
    char path[] = "/tmp/cowlab-helper-file-XXXXXX";
    struct wire_answer answer;
    int fds[5], two[2];

    (void)state;
    fds[0] = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fds[0], sizeof(struct wire_memory)), 0);
    fds[1] = sealed_memory(sizeof(struct wire_memory) - page_size);
    fds[2] = mkstemp(path);
    assert_int_equal(ftruncate(fds[2], sizeof(struct wire_memory)), 0);
    unlink(path);
    assert_int_equal(pipe2(two, O_CLOEXEC), 0);
    fds[3] = two[1];
    fds[4] = open("/dev/zero", O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        struct client c = start_with(fds[i], false);

        assert_int_equal(recv(c.socket, &answer, sizeof answer, 0), 0);
        assert_true(WEXITSTATUS(stop(&c)) == 1);
    }
    close(two[0]);
}

/* -- what it writes --------------------------------------------------------------------- */

/* A line of /proc/PID/status; "" if there is none. */
static void status_line(pid_t pid, const char *key, char *value, size_t size)
{
    char path[64], line[256];
    FILE *f;

    *value = '\0';
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            snprintf(value, size, "%s", line + strlen(key));
    if (f)
        fclose(f);
}

/* Its user says where it writes to: what it writes, it writes without capabilities. Held in the
 * middle of that by a pipe that is full. */
static void writing_client(void (*now)(void))
{
    static char whole[1 << 16], *const calls[] = {"--serve=x", "--serve", "--help", "x"};
    char line[256];
    int pipes[2];
    pid_t pid;

    (void)now;
    CHECK(pipe2(pipes, O_CLOEXEC) == 0 && fcntl(pipes[1], F_SETPIPE_SZ, sizeof whole) > 0);
    CHECK(write(pipes[1], whole, sizeof whole) == sizeof whole);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        pid = fork();
        if (pid == 0) {
            char *const argv[] = {program, calls[i], i == 1 ? "x" : NULL, NULL};

            dup2(pipes[1], 1);
            dup2(pipes[1], 2);
            execv(program, argv);
            _exit(127);
        }
        do { /* the program it is, and asleep */
            status_line(pid, "Name:\tcowprobe", line, sizeof line);
            if (*line)
                status_line(pid, "State:\tS", line, sizeof line);
            CHECK(waitpid(pid, NULL, WNOHANG) == 0);
        } while (!*line);
        status_line(pid, "CapEff:\t", line, sizeof line);
        CHECK(strcmp(line, "0000000000000000\n") == 0);
        end(pid);
    }
}

static void test_helper__writes_without_capabilities(void **state)
{
    (void)state;
    as_nobody(writing_client, nothing);
}

/* One that cannot be started is not one that has no capabilities. */
static void broken_client(void (*now)(void))
{
    char path[96];
    struct caps caps;

    (void)now;
    snprintf(path, sizeof path, "%s/broken", folder);
    setenv("COWLAB_COWPROBE", path, 1);
    caps_probe(&caps);
    CHECK(!caps.have[CAP_FRAMES]);
    CHECK(strcmp(caps.reason[CAP_FRAMES], "the helper cannot be started: Exec format error") == 0);
}

static void test_helper__that_cannot_be_started(void **state)
{
    char path[96], rights[64];
    ssize_t n = ready ? getxattr(program, "security.capability", rights, sizeof rights) : 0;
    int fd;

    (void)state;
    snprintf(path, sizeof path, "%s/broken", folder);
    if (ready) {
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_true(fd >= 0 && write(fd, "no program", 10) == 10);
        close(fd);
        assert_true(n > 0);
        assert_int_equal(setxattr(path, "security.capability", rights, (size_t)n, 0), 0);
    }
    as_nobody(broken_client, nothing);
    unlink(path);
}

/* One that has too few descriptors to answer is not one that has no capabilities. */
static void starved_client(void (*now)(void))
{
    struct caps caps;

    (void)now;
    setenv("COWLAB_COWPROBE", program, 1);
    for (rlim_t n = 40; n > 4; n--) {
        CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){n, n}) == 0);
        caps_probe(&caps);
        CHECK(caps.have[CAP_FRAMES] || caps.failed == -EMFILE);
        CHECK(caps.have[CAP_FRAMES] || n < 40);
    }
    CHECK(!caps.have[CAP_FRAMES]);
}

static void test_helper__that_is_starved(void **state)
{
    (void)state;
    as_nobody(starved_client, nothing);
}

static int setup(void **state)
{
    struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                .data[0].permitted =
                                    1u << CAP_SYS_ADMIN | 1u << CAP_DAC_READ_SEARCH};
    const char *build = getenv("BUILD");
    char from[4096];
    struct stat st;
    int in, out;

    (void)state;
    page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED || geteuid() != 0)
        return board == MAP_FAILED;
    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        return 1;
    snprintf(program, sizeof program, "%s/cowprobe", folder);
    snprintf(from, sizeof from, "%s/cowprobe", build ? build : "build/release");
    in = open(from, O_RDONLY | O_CLOEXEC);
    out = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (in < 0 || out < 0 || fstat(in, &st) < 0)
        return 1;
    while (sendfile(out, in, NULL, (size_t)st.st_size) > 0)
        ;
    ready = fsetxattr(out, "security.capability", &data, sizeof data, 0) == 0;
    close(in);
    close(out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (*program) {
        unlink(program);
        rmdir(folder);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helper__labels_are_no_frames),
        cmocka_unit_test(test_helper__tells_nothing_of_frames_that_are_not_the_clients),
        cmocka_unit_test(test_helper__serves_only_whom_the_client_may_see),
        cmocka_unit_test(test_helper__tells_of_the_users_own_objects_only),
        cmocka_unit_test(test_helper__answers_in_batches),
        cmocka_unit_test(test_helper__withstands_a_hostile_client),
        cmocka_unit_test(test_helper__withstands_nonsense_without_capabilities),
        cmocka_unit_test(test_helper__writes_without_capabilities),
        cmocka_unit_test(test_helper__that_cannot_be_started),
        cmocka_unit_test(test_helper__that_is_starved),
        cmocka_unit_test(test_helper__takes_sealed_memory_only),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
