/* What a fork, a send, a receive and the vm_* calls do when the nth call under them fails, for
 * every n, and under real limits: each succeeds whole, or says which shortage it was and has
 * changed and kept nothing. What one side writes is never the other's. */
#include "tests/support/machmsg_fixture.h"

#include "lab/machmsg/trace.h"
#include "probes/receive.h"
#include "tests/faults/fail_nth.h"
#include <fcntl.h>
#include <mach/notify.h>
#include <mach/vm_map.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE vm_page_size

/* One fault: the nth call of a kind, or a limit. */
struct fault {
    char kind;
    long n;
    int limit; /* RLIMIT_*, where kind is 0 */
    rlim_t to, was;
    bool crowded; /* the tables of ranges and of names are full when it begins */
};

enum { CROWD = 4096 };
static struct {
    vm_address_t at[CROWD];
    mach_port_t name[CROWD];
    size_t ranges, names;
} crowd;

/* Fills both tables: small memory and dead names take no memory but for that. */
static void gather(void)
{
    while (crowd.ranges < CROWD) {
        fail_nth('m', 1);
        if (vm_allocate(SELF, &crowd.at[crowd.ranges], PAGE, VM_FLAGS_ANYWHERE))
            break;
        crowd.ranges++;
    }
    while (crowd.names < CROWD) {
        fail_nth('m', 1);
        if (mach_port_allocate(SELF, MACH_PORT_RIGHT_DEAD_NAME, &crowd.name[crowd.names]))
            break;
        crowd.names++;
    }
    fail_nth(0, 0);
    assert_true(crowd.ranges < CROWD && crowd.names < CROWD);
}

static void disperse(void)
{
    while (crowd.ranges > 0)
        ok(vm_deallocate(SELF, crowd.at[--crowd.ranges], PAGE));
    while (crowd.names > 0) {
        crowd.names--;
        if (type_of(crowd.name[crowd.names])) /* a forked child has none */
            ok(mach_port_destroy(SELF, crowd.name[crowd.names]));
    }
}

static void begin(struct fault *f)
{
    struct rlimit r;

    if (f->crowded)
        gather();
    if (f->kind) {
        fail_nth(f->kind, f->n);
    } else if (f->to != RLIM_INFINITY) {
        getrlimit(f->limit, &r);
        f->was = r.rlim_cur;
        r.rlim_cur = f->to;
        setrlimit(f->limit, &r);
    }
}

/* Returns whether something may have failed. */
static bool end(const struct fault *f)
{
    struct rlimit r;

    if (f->kind) {
        const bool fell = fail_nth(0, 0);

        disperse();
        return fell;
    }
    if (f->to == RLIM_INFINITY)
        return false;
    getrlimit(f->limit, &r);
    r.rlim_cur = f->was;
    setrlimit(f->limit, &r);
    return true;
}

static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "vgpreload");
}

/* What a process holds, asked without holding more. */
struct holdings {
    long descriptors, mappings, names, blocks;
};

static struct holdings usual;
static bool usual_known;

/* But for the heap's, which grows in its own time. */
static int count_mappings(void)
{
    static char text[65536];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), lines = 0;
    size_t n = 0;

    for (ssize_t got; (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd);
    text[n] = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        lines += !strstr(line, "[heap]");
    }
    return lines;
}

/* The address sanitizer, too, has mappings for each thread there ever was. */
#ifdef __SANITIZE_ADDRESS__
#define OWN_MAPPINGS true
#else
#define OWN_MAPPINGS false
#endif

static struct holdings held_now(void)
{
    return (struct holdings){.descriptors = open_descriptors(),
                             .names = port_names(),
                             .mappings = OWN_MAPPINGS || under_valgrind() ? 0 : count_mappings(),
                             .blocks = fail_nth_blocks()};
}

/* Until the threads that close what was dropped have ended: their stacks are used again. */
static void settle(void)
{
    int tasks = 0;

    for (int i = 0; tasks != 3 && i < 10000; i++) { /* this one, and two dots */
        DIR *d = opendir("/proc/self/task");

        for (tasks = 0; d && readdir(d);)
            tasks++;
        closedir(d);
        if (tasks != 3)
            usleep(1000);
    }
}

static void expect_same(const struct fault *f)
{
    struct holdings is = usual;

    settle();
    if (usual_known)
        is = held_now();

    if (memcmp(&is, &usual, sizeof is) != 0)
        print_error(
            "%c %ld, limit %d: %ld descriptors, %ld mappings, %ld names, %ld blocks; before: "
            "%ld, %ld, %ld, %ld\n",
            f->kind ? f->kind : '-', f->n, f->limit, is.descriptors, is.mappings, is.names,
            is.blocks, usual.descriptors, usual.mappings, usual.names, usual.blocks);
    assert_memory_equal(&is, &usual, sizeof is);
}

static void know_holdings(bool (*fn)(struct fault *f, void *arg), void *arg)
{
    struct fault none = {.to = RLIM_INFINITY};

    usual_known = false;
    receive_drop_elsewhere(dup(2)); /* the first such thread leaves a stack behind */
    settle();
    assert_false(fn(&none, arg)); /* tables grow once */
    usual = held_now();
    usual_known = true;
    assert_false(fn(&none, arg));
}

/* Valgrind and the address sanitizer have a malloc of their own, which needs memory of its own; and
 * valgrind has descriptors of its own. */
static bool allocations_fail(void)
{
    void *volatile p;

    fail_nth('m', 1);
    p = malloc(1);
    fail_nth(0, 0);
    free(p);
    return p == NULL;
}

/* Calls fn without a fault, with each single one, and under each limit. fn returns whether one
 * fell. */
static void with_every_fault(bool (*fn)(struct fault *f, void *arg), void *arg)
{
    static const struct fault limits[] = {{.limit = RLIMIT_NOFILE, .to = 3},
                                          {.limit = RLIMIT_DATA, .to = 4096},
                                          {.limit = RLIMIT_AS, .to = 1 << 20}};

    know_holdings(fn, arg);
    for (const char *kind = "mdasf"; *kind; kind++) {
        struct fault f = {.kind = *kind};

        do {
            alarm(60);
            f.n++;
        } while (fn(&f, arg));
    }
    for (size_t i = 0; i < (allocations_fail() ? 3 : under_valgrind() ? 0 : 1); i++) {
        struct fault f = limits[i];

        fn(&f, arg);
    }
    /* In processes of their own, for the table grows where nothing fails. */
    for (long n = 1; allocations_fail() && n <= 8; n++) {
        struct fault f = {.kind = 'm', .n = n, .crowded = true};
        pid_t pid = fork();

        if (pid == 0) {
            alarm(60);
            know_holdings(fn, arg);
            fn(&f, arg);
            _exit(0);
        }
        expect_child_ok(pid);
    }
}

static bool is_mapped(const void *at)
{
    unsigned char v;

    return mincore((void *)((uintptr_t)at & ~(PAGE - 1)), 1, &v) == 0;
}

static unsigned char *allocate(vm_size_t size, int flags)
{
    vm_address_t a = 0;

    ok(vm_allocate(SELF, &a, size, VM_FLAGS_ANYWHERE | flags));
    return (unsigned char *)a;
}

static void fill(unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)(i * 7 + i / 256 + 1);
}

static size_t wrong_bytes(const unsigned char *at, size_t n)
{
    size_t wrong = 0;

    for (size_t i = 0; i < n; i++)
        wrong += at[i] != (unsigned char)(i * 7 + i / 256 + 1);
    return wrong;
}

/* --- fork --- */

enum { SMALL, WHOLE, SPLIT, MOVED, KIN, SHARED, NONE, RECEIVED, NRANGES };
#define RANGE_PAGES(i) ((i) == SMALL ? 2 : 16)
static const char *const range_names[] = {"small", "whole",  "split", "moved",
                                          "kin",   "shared", "none",  "received"};
static unsigned char *moved_from;

/* By the program itself, to where it was not. No single fault keeps a fork from finding it. */
static unsigned char *move_away(unsigned char *at, vm_size_t size)
{
    void *to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    moved_from = at;
    assert_true(mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    return to;
}

/* One memory of each kind that a fork treats in its own way, every page an A. */
static void make_ranges(unsigned char *at[NRANGES], bool move)
{
    mach_port_t p = new_port();
    union message m;
    pid_t pid;

    at[KIN] = allocate(16 * PAGE, 0);
    ok(vm_inherit(SELF, (vm_address_t)at[KIN], 16 * PAGE, VM_INHERIT_SHARE));
    pid = fork(); /* before the others are there: a fork would make them private */
    if (pid == 0)
        _exit(0);
    expect_child_ok(pid);
    ok(vm_inherit(SELF, (vm_address_t)at[KIN], 16 * PAGE, VM_INHERIT_COPY));
    for (int i = 0; i < NRANGES; i++) {
        if (i != KIN)
            at[i] = allocate(RANGE_PAGES(i) * PAGE, 0);
        memset(at[i], 'A', RANGE_PAGES(i) * PAGE);
    }
    if (move)
        at[MOVED] = move_away(at[MOVED], 16 * PAGE);
    /* By the program itself: to the layer it is one range still. */
    assert_int_equal(mprotect(at[SPLIT] + 4 * PAGE, PAGE, PROT_READ), 0);
    ok(vm_inherit(SELF, (vm_address_t)at[SHARED], 16 * PAGE, VM_INHERIT_SHARE));
    ok(vm_inherit(SELF, (vm_address_t)at[NONE], 16 * PAGE, VM_INHERIT_NONE));
    m = ool_message(p, at[RECEIVED], (mach_msg_size_t)(16 * PAGE), MACH_MSG_VIRTUAL_COPY, true);
    ok(send_message(&m));
    ok(receive(&m, p));
    at[RECEIVED] = m.ool.d.address;
    ok(mach_port_destroy(SELF, p));
}

static bool all(const unsigned char *at, int first, int last, unsigned char want)
{
    for (int i = first; i < last; i++)
        if (at[(vm_size_t)i * PAGE] != want || at[(vm_size_t)(i + 1) * PAGE - 1] != want)
            return false;
    return true;
}

/* The child's view: all of a range, or none of it, and none only after a fault. What it writes goes
 * to pages 0 and 1, what the parent writes to page 2. */
static void child_of_fork(unsigned char *const at[NRANGES], bool fell, bool may_lose, int said,
                          int say, int hear)
{
    bool lost[NRANGES];
    char byte = 'x', lines[1024] = "", range[64];

    child_check(pread(said, lines, sizeof lines - 1, 0) >= 0);

    for (int i = 0; i < NRANGES; i++) {
        lost[i] = !is_mapped(at[i]);
        for (int page = 1; page < RANGE_PAGES(i); page++)
            child_check(is_mapped(at[i] + (vm_size_t)page * PAGE) != lost[i]);
        child_check(i == NONE ? lost[i] : !lost[i] || (fell && may_lose && i != SHARED));
        child_check(lost[i] || all(at[i], 0, RANGE_PAGES(i), 'A'));
        snprintf(range, sizeof range, "no memory at %p-", (void *)at[i]);
        child_check(i == NONE || (strstr(lines, range) != NULL) == lost[i]);
        if (!lost[i])
            memset(at[i], 'C', PAGE);
        if (!lost[i] && i != SMALL)
            memset(at[i] + PAGE, 'C', PAGE);
    }
    child_check(write(say, &byte, 1) == 1 && read(hear, &byte, 1) == 1);
    for (int i = 1; i < NRANGES; i++)
        child_check(lost[i] || all(at[i], 2, 3, i == SHARED ? 'P' : 'A'));
    /* It is memory like any other: it can be sent, and forked again. */
    for (int i = 1; i < NRANGES; i++) {
        mach_port_t p = mach_reply_port();
        union message m = ool_message(p, at[i], (mach_msg_size_t)(16 * PAGE), 1, false);

        if (lost[i])
            continue;
        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        child_check(all(m.ool.d.address, 0, 2, 'C') && all(m.ool.d.address, 3, 16, 'A'));
    }
    _exit(0);
}

/* Standard error goes to a file from here on; returns the descriptor to give back. */
static int divert(int file)
{
    int was = dup(STDERR_FILENO);

    dup2(file, STDERR_FILENO);
    return was;
}

static void give_back(int was)
{
    dup2(was, STDERR_FILENO);
    close(was);
}

/* What a fork that fell short left behind: the next one has all that was written since. */
static void fork_again(unsigned char *const at[NRANGES])
{
    pid_t pid;

    for (int i = 0; i < NRANGES; i++)
        memset(at[i], 'B', PAGE);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < NRANGES; i++) {
            child_check(is_mapped(at[i]) == (i != NONE));
            if (i == NONE)
                continue;
            child_check(all(at[i], 0, 1, 'B'));
            memset(at[i], 'D', PAGE);
        }
        _exit(0);
    }
    expect_child_ok(pid);
    for (int i = 0; i < NRANGES; i++)
        assert_true(all(at[i], 0, 1, i == SHARED ? 'D' : 'B'));
}

static bool fork_once(struct fault *f, void *arg)
{
    (void)arg;
    unsigned char *at[NRANGES];
    int to_child[2], to_parent[2], status, said, was_said;
    char byte = 'x';
    bool fell,
        *child_fell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;

    moved_from = NULL;
    make_ranges(at, f->kind);
    assert_int_equal(pipe2(to_child, O_CLOEXEC) | pipe2(to_parent, O_CLOEXEC), 0);
    said = memfd_create("said", MFD_CLOEXEC);
    was_said = divert(said);
    begin(f);
    pid = fork();
    fell = end(f);
    give_back(was_said);
    if (pid == 0) {
        *child_fell = fell;
        close(to_parent[0]);
        close(to_child[1]);
        child_of_fork(at, fell, f->kind || f->limit != RLIMIT_DATA, said, to_parent[1],
                      to_child[0]);
    }
    assert_true(pid > 0);
    close(to_parent[1]);
    close(to_child[0]);
    if (read(to_parent[0], &byte, 1) == 1) {
        for (int i = 0; i < NRANGES; i++) {
            const int written = i == SMALL ? 1 : 2;

            if (!all(at[i], 0, written, i == SHARED ? 'C' : 'A') ||
                !all(at[i], written, RANGE_PAGES(i), 'A'))
                fail_msg("%c %ld, limit %d: the parent's memory '%s' changed", f->kind, f->n,
                         f->limit, range_names[i]);
            if (i != SMALL)
                memset(at[i] + 2 * PAGE, 'P', PAGE);
        }
        assert_int_equal(write(to_child[1], &byte, 1), 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
            print_error("%c %ld, limit %d: child\n", f->kind, f->n, f->limit);
        assert_int_equal(status, 0);
    } else { /* it could not keep a promise, said so and died of it */
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(fell || f->kind);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    fell |= *child_fell;
    fork_again(at);
    close(said);
    close(to_parent[0]);
    close(to_child[1]);
    munmap(child_fell, PAGE);
    for (int i = 0; i < NRANGES; i++)
        ok(vm_deallocate(SELF, (vm_address_t)at[i], RANGE_PAGES(i) * PAGE));
    if (moved_from)
        ok(vm_deallocate(SELF, (vm_address_t)moved_from, 16 * PAGE));
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__fork(void **state)
{
    (void)state;
    with_every_fault(fork_once, NULL);
}

/* Memory that can neither be copied nor taken from the child: the child dies of it, and says so. */
static void test_machmsg_faults__child_that_would_share_dies(void **state)
{
    struct fault none_left = {.limit = RLIMIT_NOFILE, .to = 3};
    int said = memfd_create("said", MFD_CLOEXEC), was_said, status;
    unsigned char *at = allocate(16 * PAGE, 0);
    char lines[1024] = "";
    pid_t pid;

    (void)state;
    if (under_valgrind()) {
        close(said);
        ok(vm_deallocate(SELF, (vm_address_t)at, 16 * PAGE));
        skip(); /* it has descriptors of its own */
    }
    memset(at, 'A', 16 * PAGE);
    was_said = divert(said);
    begin(&none_left);
    fail_nth('u', 1);
    pid = fork();
    fail_nth(0, 0);
    if (pid == 0) {
        at[0] = 'C';
        _exit(0);
    }
    end(&none_left);
    give_back(was_said);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(pread(said, lines, sizeof lines - 1, 0) > 0);
    assert_non_null(strstr(lines, "it cannot be taken from it"));
    assert_true(all(at, 0, 16, 'A'));
    close(said);
    ok(vm_deallocate(SELF, (vm_address_t)at, 16 * PAGE));
}

/* --- a message there and back --- */

/* What a message carries besides a moved receive right, a moved send right and a reply right. */
struct cargo {
    vm_size_t size, offset;
    int flags; /* -1: not the layer's memory */
    unsigned int copy;
    bool deallocate;
    mach_msg_size_t rights, filler;
    bool receiving; /* the fault falls in receiving */
};

static struct {
    _Alignas(8) unsigned char room[32768];
} buffer;

struct letter {
    mach_msg_header_t h;
    mach_msg_body_t b;
    mach_msg_port_descriptor_t receive, send;
    mach_msg_ool_descriptor_t memory;
    mach_msg_ool_ports_descriptor_t array;
    unsigned char filler[];
};

/* Rights in an array: more descriptors than a packet carries. Send-once rights to the port whose
 * receive right moves: more than a message has room for by itself. */
enum { MOST = 260, ONCES = 40 };

struct trip {
    const struct cargo *c;
    mach_port_t to, moved, sent, reply, array[MOST], once[ONCES];
    unsigned char *at;
};

static vm_size_t whole(const struct cargo *c)
{
    return (c->offset + c->size + PAGE - 1) & ~(PAGE - 1);
}

static struct letter *write_letter(const struct trip *t)
{
    struct letter *l = (struct letter *)buffer.room;

    memset(&buffer, 0, sizeof buffer);
    l->h = (mach_msg_header_t){
        .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) |
                     MACH_MSGH_BITS_COMPLEX,
        .msgh_size = (mach_msg_size_t)sizeof *l + t->c->filler,
        .msgh_remote_port = t->to,
        .msgh_local_port = t->reply,
        .msgh_id = 9};
    l->b.msgh_descriptor_count = 4;
    l->receive =
        (mach_msg_port_descriptor_t){.name = t->moved, .disposition = MACH_MSG_TYPE_MOVE_RECEIVE};
    l->send = (mach_msg_port_descriptor_t){.name = t->sent, .disposition = MACH_MSG_TYPE_MOVE_SEND};
    l->memory = (mach_msg_ool_descriptor_t){.address = t->at + t->c->offset,
                                            .size = (mach_msg_size_t)t->c->size,
                                            .copy = t->c->copy,
                                            .deallocate = t->c->deallocate,
                                            .type = MACH_MSG_OOL_DESCRIPTOR};
    l->array = (mach_msg_ool_ports_descriptor_t){.address = (void *)t->array,
                                                 .count = t->c->rights,
                                                 .copy = MACH_MSG_VIRTUAL_COPY,
                                                 .disposition = MACH_MSG_TYPE_MAKE_SEND,
                                                 .type = MACH_MSG_OOL_PORTS_DESCRIPTOR};
    memset(l->filler, 'F', t->c->filler);
    return l;
}

static void expect_send_shortage(mach_msg_return_t mr)
{
    if (mr != MACH_SEND_NO_BUFFER && mr != MACH_MSG_VM_KERNEL && mr != MACH_MSG_IPC_KERNEL)
        fail_msg("0x%x is not a shortage", mr);
}

static mach_port_rights_t once_rights(mach_port_t p)
{
    mach_port_status_t s = {0};
    mach_msg_type_number_t n = MACH_PORT_RECEIVE_STATUS_COUNT;

    ok(mach_port_get_attributes(SELF, p, MACH_PORT_RECEIVE_STATUS, (mach_port_info_t)&s, &n));
    return s.mps_sorights;
}

/* A send that failed has left everything where it was. */
static void expect_untouched(const struct trip *t)
{
    assert_int_equal(wrong_bytes(t->at, whole(t->c)), 0);
    assert_int_equal(type_of(t->moved), MACH_PORT_TYPE_RECEIVE);
    assert_int_equal(refs(t->sent, MACH_PORT_RIGHT_SEND), 1);
    assert_int_equal(once_rights(t->reply), 0);
    assert_int_equal(once_rights(t->moved), ONCES);
    expect_empty(t->moved); /* it receives */
}

/* What was done with the memory is told with its true reason, also where something failed: the rule
 * that decides without a fault, or what failed. */
static struct {
    const char *rule, *told;
} reason;

static void on_transfer(void *arg, const struct machmsg_transfer *m)
{
    (void)arg;
    if (m->event == MACHMSG_SENT && m->descriptor == 2)
        reason.told = m->why;
}

static void expect_true_reason(void)
{
    if (!usual_known)
        reason.rule = reason.told;
    if (strcmp(reason.told, reason.rule) != 0 &&
        strcmp(reason.told, "no memory to map the object anew: copied once") != 0 &&
        strcmp(reason.told, "the object could not be sealed: copied once") != 0)
        fail_msg("'%s' is not why", reason.told);
}

static mach_msg_return_t post(const struct trip *t)
{
    struct letter *l = write_letter(t);

    return mach_msg(&l->h, MACH_SEND_MSG | MACH_SEND_TIMEOUT, l->h.msgh_size, 0, 0, 2000, 0);
}

static mach_msg_return_t fetch(const struct trip *t, mach_msg_timeout_t ms)
{
    memset(&buffer, 0x5a, sizeof buffer);
    return mach_msg((mach_msg_header_t *)buffer.room, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
                    sizeof buffer, t->to, ms, 0);
}

/* Everything that arrived is right; where something could not, nothing is in its place. */
static void expect_arrived(const struct trip *t, bool complete)
{
    const struct letter *l = (const struct letter *)buffer.room;
    unsigned char *got = l->memory.address;

    assert_int_equal(l->h.msgh_id, 9);
    assert_int_equal(l->h.msgh_size, sizeof *l + t->c->filler);
    for (mach_msg_size_t i = 0; i < t->c->filler; i++)
        assert_int_equal(l->filler[i], 'F');
    if (complete) {
        assert_int_not_equal(l->h.msgh_remote_port, 0);
        assert_int_not_equal(l->receive.name, 0);
        assert_int_not_equal(l->send.name, 0);
        assert_int_equal(l->memory.size, t->c->size);
        assert_int_equal(l->array.count, t->c->rights);
    }
    if (l->h.msgh_remote_port)
        assert_int_equal(type_of(l->h.msgh_remote_port), MACH_PORT_TYPE_SEND_ONCE);
    if (l->receive.name) {
        assert_int_equal(type_of(l->receive.name), MACH_PORT_TYPE_RECEIVE);
        assert_int_equal(once_rights(l->receive.name), ONCES);
    }
    if (l->send.name)
        assert_int_equal(l->send.name, t->sent);
    for (mach_msg_size_t i = 0; i < l->array.count; i++) {
        const mach_port_t name = ((mach_port_t *)l->array.address)[i];

        assert_true(name == t->array[i] || (!complete && name == 0));
    }
    assert_int_equal(got == NULL, l->memory.size == 0);
    if (!got)
        return;
    assert_int_equal(l->memory.size, t->c->size);
    for (vm_size_t i = 0; i < t->c->size; i++)
        if (got[i] != (unsigned char)((i + t->c->offset) * 7 + (i + t->c->offset) / 256 + 1))
            fail_msg("byte %lu of the memory is wrong", (unsigned long)i);
    if (t->c->deallocate)
        return;
    /* What either writes is its own. */
    memset(t->at + t->c->offset, 'S', t->c->size / 2);
    assert_int_equal(got[0], (unsigned char)(t->c->offset * 7 + t->c->offset / 256 + 1));
    fill(t->at, whole(t->c));
    memset(got, 'R', t->c->size);
    assert_int_equal(wrong_bytes(t->at, whole(t->c)), 0);
}

static void throw_away(const struct trip *t)
{
    struct letter *l = (struct letter *)buffer.room;

    for (int i = 0; i < ONCES; i++)
        ok(mach_port_destroy(SELF, t->once[i]));

    if (l->h.msgh_size > sizeof l->h && l->memory.address && !l->memory.deallocate)
        ok(vm_deallocate(SELF, (vm_address_t)l->memory.address, l->memory.size));
    mach_msg_destroy(&l->h);
    if (!t->c->deallocate)
        ok(vm_deallocate(SELF, (vm_address_t)t->at, whole(t->c)));
    ok(mach_port_destroy(SELF, t->to));
    ok(mach_port_destroy(SELF, t->sent)); /* also the one that was to be moved there */
    ok(mach_port_destroy(SELF, t->reply));
    for (mach_msg_size_t i = 0; i < t->c->rights; i++)
        ok(mach_port_destroy(SELF, t->array[i]));
}

static bool trip_once(struct fault *f, void *arg)
{
    const struct cargo *c = arg;
    struct trip trip = {.c = c}, *t = &trip;
    mach_msg_return_t mr;
    bool fell = false;

    t->at = c->flags < 0
                ? mmap(NULL, whole(c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                : allocate(whole(c), c->flags);
    fill(t->at, whole(c));
    for (mach_msg_size_t i = 0; i < c->rights; i++)
        t->array[i] = new_port();
    t->to = new_port();
    t->moved = new_port();
    for (int i = 0; i < ONCES; i++)
        t->once[i] = new_once(t->moved);
    t->sent = new_port_with_sends(1);
    t->reply = new_port();
    if (!c->receiving)
        begin(f);
    mr = post(t);
    if (!c->receiving)
        fell = end(f);
    if (mr) {
        if (!fell)
            print_error("0x%x without a fault\n", mr);
        assert_true(fell);
        expect_send_shortage(mr);
        expect_untouched(t);
        ok(post(t));
    }
    expect_true_reason();
    if (c->deallocate)
        assert_false(is_mapped(t->at + c->offset));
    else
        assert_int_equal(wrong_bytes(t->at, whole(c)), 0);
    if (c->receiving)
        begin(f);
    mr = fetch(t, 2000);
    if (c->receiving)
        fell = end(f);
    if (mr) {
        const struct letter *l = (const struct letter *)buffer.room;

        assert_true(fell && c->receiving); /* what was sent in spite of a fault is whole */
        if ((mr & ~0x3c00) != MACH_RCV_BODY_ERROR && (mr & ~0x3c00) != MACH_RCV_HEADER_ERROR)
            fail_msg("%c %ld: 0x%x is no error of receiving", f->kind, f->n, mr);
        if (l->h.msgh_id == 9) {
            expect_arrived(t, false);
        } else { /* nothing arrived; is it still there? */
            assert_int_equal(l->h.msgh_size, sizeof l->h);
            mr = fetch(t, 0);
            if (mr != MACH_RCV_TIMED_OUT) {
                ok(mr);
                expect_arrived(t, true);
            } else {
                memset(&buffer, 0, sizeof buffer);
            }
        }
    } else {
        expect_arrived(t, true);
    }
    throw_away(t);
    expect_same(f);
    return fell;
}

/* Each way that memory goes, then many rights, then many bytes. */
static void check_every_cargo(bool receiving)
{
    const struct cargo cargos[] = {
        {.size = PAGE + 5, .copy = 1, .rights = 3},
        {.size = 16 * PAGE, .copy = 1, .rights = 1},
        {.size = 16 * PAGE, .copy = 1, .deallocate = true, .rights = 1},
        {.size = 16 * PAGE, .copy = 0, .rights = 1},
        {.size = 16 * PAGE, .copy = 1, .flags = VM_FLAGS_PURGABLE, .rights = 1},
        {.size = 16 * PAGE, .copy = 1, .flags = -1, .deallocate = true, .rights = 1},
        {.size = 12 * PAGE + 7, .offset = PAGE + 9, .copy = 1, .rights = 1},
        {.size = PAGE, .copy = 1, .rights = MOST},
        {.size = PAGE, .copy = 1, .rights = 1, .filler = 20000}};

    machmsg_trace(on_transfer, NULL);
    for (size_t i = 0; i < sizeof cargos / sizeof cargos[0]; i++) {
        struct cargo c = cargos[i];

        c.receiving = receiving;
        with_every_fault(trip_once, &c);
    }
    machmsg_trace(NULL, NULL);
}

static void test_machmsg_faults__send(void **state)
{
    (void)state;
    check_every_cargo(false);
}

/* A send right that needs a name of its own, for a port that this task knows no more. */
static bool new_name_once(struct fault *f, void *arg)
{
    mach_port_t to = new_port(), p = new_port_with_sends(1);
    union message m = port_message(to, p, MACH_MSG_TYPE_MOVE_SEND);
    mach_msg_return_t mr;
    bool fell;

    (void)arg;
    ok(send_message(&m));
    ok(mach_port_destroy(SELF, p));
    memset(&m, 0x5a, sizeof m);
    begin(f);
    mr = mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, to, 2000, 0);
    fell = end(f);
    assert_true(fell || mr == MACH_MSG_SUCCESS);
    if (mr == MACH_MSG_SUCCESS)
        assert_int_equal(type_of(m.port.d.name), MACH_PORT_TYPE_DEAD_NAME);
    else if (m.h.msgh_size == sizeof m.port)
        assert_int_equal(m.port.d.name, MACH_PORT_NULL);
    if (f->kind == 'm' && mr)
        assert_kr(mr, MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL);
    if (mr == MACH_MSG_SUCCESS)
        ok(mach_port_destroy(SELF, m.port.d.name));
    ok(mach_port_destroy(SELF, to));
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__right_by_a_new_name(void **state)
{
    (void)state;
    with_every_fault(new_name_once, NULL);
}

/* A receive right has its own state also where the array before it, with its rights', was lost. */
static void test_machmsg_faults__right_behind_a_lost_array(void **state)
{
    mach_port_t to = new_port(), first = new_port(), second = new_port();
    mach_port_t once[3] = {new_once(first), new_once(first), new_once(second)};
    struct {
        mach_msg_header_t h;
        mach_msg_body_t b;
        mach_msg_ool_ports_descriptor_t array;
        mach_msg_port_descriptor_t right;
        mach_msg_max_trailer_t room;
    } m;

    (void)state;
    memset(&m, 0, sizeof m);
    m.h = header_to(to, MACH_MSG_TYPE_MAKE_SEND).h;
    m.h.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
    m.h.msgh_size = sizeof m - sizeof m.room;
    m.b.msgh_descriptor_count = 2;
    m.array = array_message(to, &first, 1, MACH_MSG_TYPE_MOVE_RECEIVE).ports.d;
    m.right =
        (mach_msg_port_descriptor_t){.name = second, .disposition = MACH_MSG_TYPE_MOVE_RECEIVE};
    ok(mach_msg(&m.h, MACH_SEND_MSG, m.h.msgh_size, 0, 0, 0, 0));
    fail_nth('a', 1);
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, to, 2000, 0),
              MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE);
    assert_true(fail_nth(0, 0));
    assert_int_equal(m.array.count, 0);
    assert_int_equal(once_rights(m.right.name), 1);
    ok(mach_port_deallocate(SELF, once[2]));
    assert_kr(mach_msg(&m.h, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, m.right.name, 2000, 0),
              0);
    assert_int_equal(m.h.msgh_id, MACH_NOTIFY_SEND_ONCE);
    ok(mach_port_destroy(SELF, m.h.msgh_local_port));
    for (int i = 0; i < 2; i++)
        ok(mach_port_destroy(SELF, once[i]));
    ok(mach_port_destroy(SELF, to));
}

static void test_machmsg_faults__receive(void **state)
{
    (void)state;
    check_every_cargo(true);
}

/* --- vm_* and mach_port_* --- */

enum { BLOCK = 16, FIRST = 4, LAST = 8 }; /* pages; the call is for FIRST to LAST */

static void expect_shortage(const struct fault *f, kern_return_t kr)
{
    if (kr != KERN_SUCCESS && kr != KERN_NO_SPACE && kr != KERN_RESOURCE_SHORTAGE)
        fail_msg("%c %ld, limit %d: %d is no shortage", f->kind, f->n, f->limit, kr);
}

/* How a fork treats each page of memory that is all A. */
static void forked_as(unsigned char *at, vm_inherit_t as[BLOCK])
{
    unsigned char *seen =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();

    if (pid == 0) {
        for (int i = 0; i < BLOCK; i++)
            if (is_mapped(at + (vm_size_t)i * PAGE)) {
                seen[i] = at[(vm_size_t)i * PAGE];
                at[(vm_size_t)i * PAGE] = 'C';
            }
        _exit(0);
    }
    expect_child_ok(pid);
    for (int i = 0; i < BLOCK; i++) {
        const bool changed = at[(vm_size_t)i * PAGE] == 'C';

        assert_true(seen[i] == 'A' || (seen[i] == 0 && !changed));
        as[i] = seen[i] == 0 ? VM_INHERIT_NONE : changed ? VM_INHERIT_SHARE : VM_INHERIT_COPY;
        at[(vm_size_t)i * PAGE] = 'A';
    }
    munmap(seen, PAGE);
}

struct inheritance {
    int flags; /* -1: not the layer's memory */
    vm_inherit_t from, to;
};

/* Whatever failed, a page is inherited as it was before or as was asked, or not at all. */
static bool inherit_once(struct fault *f, void *arg)
{
    const struct inheritance *in = arg;
    unsigned char *at = in->flags < 0 ? mmap(NULL, BLOCK * PAGE, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                      : allocate(BLOCK * PAGE, in->flags);
    vm_inherit_t as[BLOCK];
    kern_return_t kr;
    bool fell;

    memset(at, 'A', BLOCK * PAGE);
    ok(vm_inherit(SELF, (vm_address_t)at, BLOCK * PAGE, in->from));
    begin(f);
    kr = vm_inherit(SELF, (vm_address_t)at + FIRST * PAGE, (LAST - FIRST) * PAGE, in->to);
    fell = end(f);
    expect_shortage(f, kr);
    assert_true(fell || kr == KERN_SUCCESS);
    forked_as(at, as);
    for (int i = 0; i < BLOCK; i++) {
        const bool asked = i >= FIRST && i < LAST;

        if (as[i] != (asked ? in->to : in->from) &&
            !(asked && kr && (as[i] == in->from || as[i] == VM_INHERIT_NONE)))
            fail_msg("%c %ld, limit %d: page %d, from %u to %u (%d): %u", f->kind, f->n, f->limit,
                     i, in->from, in->to, kr, as[i]);
    }
    assert_true(all(at, 0, BLOCK, 'A'));
    ok(vm_deallocate(SELF, (vm_address_t)at, BLOCK * PAGE));
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__inherit(void **state)
{
    static const int flags[] = {0, VM_FLAGS_PURGABLE, -1};

    (void)state;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        for (vm_inherit_t from = 0; from <= VM_INHERIT_LAST_VALID; from++)
            for (vm_inherit_t to = 0; to <= VM_INHERIT_LAST_VALID; to++) {
                struct inheritance in = {flags[i], from, to};

                with_every_fault(inherit_once, &in);
            }
}

/* The calls on one block of memory, and what must be so afterwards. */
enum { ALLOCATE, OVERWRITE, DEALLOCATE, PROTECT, MAXIMUM, READ, COPY, MAP_SHARE, MAP_NONE, NCALLS };

static kern_return_t call(int which, unsigned char *at, vm_address_t *made)
{
    const vm_address_t part = (vm_address_t)at + FIRST * PAGE;
    const vm_size_t size = (LAST - FIRST) * PAGE;
    mach_msg_type_number_t n;

    switch (which) {
    case ALLOCATE:
        return vm_allocate(SELF, made, size, VM_FLAGS_ANYWHERE);
    case OVERWRITE:
        *made = part;
        return vm_allocate(SELF, made, size, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE);
    case DEALLOCATE:
        return vm_deallocate(SELF, part, size);
    case PROTECT:
        return vm_protect(SELF, part, size, FALSE, VM_PROT_READ);
    case MAXIMUM:
        return vm_protect(SELF, part, size, TRUE, VM_PROT_READ);
    case READ:
        return vm_read(SELF, part, size, made, &n);
    case COPY:
        return vm_copy(SELF, part, size, (vm_address_t)at);
    default:
        return vm_map(SELF, made, size, 0, VM_FLAGS_ANYWHERE, MEMORY_OBJECT_NULL, 0, FALSE,
                      VM_PROT_DEFAULT, VM_PROT_ALL,
                      which == MAP_SHARE ? VM_INHERIT_SHARE : VM_INHERIT_NONE);
    }
}

static bool vm_once(struct fault *f, void *arg)
{
    const int which = *(int *)arg;
    unsigned char *at = allocate(BLOCK * PAGE, 0);
    const vm_address_t part = (vm_address_t)at + FIRST * PAGE;
    const bool gone = which == DEALLOCATE, zeros = which == OVERWRITE;
    vm_address_t made = 0;
    vm_inherit_t as[BLOCK];
    kern_return_t kr;
    bool fell;

    memset(at, 'A', BLOCK * PAGE);
    begin(f);
    kr = call(which, at, &made);
    fell = end(f);
    expect_shortage(f, kr);
    assert_true(fell || kr == KERN_SUCCESS);
    assert_true(all(at, 0, FIRST, 'A') && all(at, LAST, BLOCK, 'A'));
    assert_true(kr || !gone ? is_mapped((void *)part) : !is_mapped((void *)part));
    if (kr || !gone)
        assert_true(all(at, FIRST, LAST, kr == KERN_SUCCESS && zeros ? 0 : 'A'));
    if (kr == KERN_SUCCESS && (which == PROTECT || which == MAXIMUM))
        assert_kr(vm_write(SELF, part, (vm_offset_t)&kr, 1), KERN_PROTECTION_FAILURE);
    else if (kr == KERN_SUCCESS && !gone && made != part)
        assert_true(!made || all((unsigned char *)made, 0, LAST - FIRST, which == READ ? 'A' : 0));
    if (made && made != part && kr == KERN_SUCCESS)
        ok(vm_deallocate(SELF, made, (LAST - FIRST) * PAGE));
    /* Of what is left the child has a copy: nothing has slipped out of the layer's hands. */
    if (kr && !zeros)
        ok(vm_protect(SELF, (vm_address_t)at, BLOCK * PAGE, FALSE, VM_PROT_DEFAULT));
    if (kr) {
        forked_as(at, as);
        for (int i = 0; i < BLOCK; i++)
            assert_int_equal(as[i], VM_INHERIT_COPY);
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, BLOCK * PAGE));
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__vm_calls(void **state)
{
    (void)state;
    for (int which = 0; which < NCALLS; which++)
        with_every_fault(vm_once, &which);
}

/* A name that every task has becomes a port when it is first sent: in a child, whose first it is.
 */
static bool special_goes(struct fault *f, void *arg)
{
    bool *fell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), any;
    pid_t pid = fork();

    (void)arg;
    if (pid == 0) {
        mach_port_t to = mach_reply_port();
        union message m = port_message(to, SELF, MACH_MSG_TYPE_COPY_SEND);
        mach_msg_return_t mr;

        begin(f);
        mr = send_message(&m);
        *fell = end(f);
        child_check(mr == 0 || (*fell && (mr == MACH_MSG_IPC_KERNEL || mr == MACH_SEND_NO_BUFFER)));
        child_check(mr == 0 || send_message(&m) == 0);
        child_check(receive(&m, to) == 0 && m.port.d.name == SELF);
        _exit(0);
    }
    expect_child_ok(pid);
    any = *fell;
    munmap(fell, PAGE);
    expect_same(f);
    return any;
}

/* Nobody waits for an answer in vain: a send-once right that goes unused tells, whatever is short.
 */
static bool once_goes(struct fault *f, void *arg)
{
    (void)arg;
    mach_port_t p = new_port(), once = new_once(p), q = MACH_PORT_NULL, other = MACH_PORT_NULL;
    mach_msg_type_name_t type;
    mach_msg_type_number_t n, m;
    mach_port_name_t *names = NULL;
    mach_port_type_t *types = NULL;
    kern_return_t kr, list, made, extracted;
    union message got;
    bool fell;

    begin(f);
    list = mach_port_names(SELF, &names, &n, &types, &m);
    made = mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &q);
    extracted = mach_port_extract_right(SELF, p, MACH_MSG_TYPE_MAKE_SEND_ONCE, &other, &type);
    kr = mach_port_deallocate(SELF, once);
    fell = end(f);
    ok(kr);
    expect_shortage(f, list);
    expect_shortage(f, made);
    expect_shortage(f, extracted);
    assert_true(fell || (list == 0 && made == 0 && extracted == 0));
    if (made == KERN_SUCCESS) {
        got = header_to(q, MACH_MSG_TYPE_MAKE_SEND);
        ok(send_message(&got));
        ok(receive(&got, q));
        ok(mach_port_destroy(SELF, q));
    }
    if (extracted == KERN_SUCCESS) {
        assert_int_equal(type_of(other), MACH_PORT_TYPE_SEND_ONCE);
    }
    assert_int_equal(list == KERN_SUCCESS, names && types);
    if (list == KERN_SUCCESS) {
        ok(vm_deallocate(SELF, (vm_address_t)names, n * sizeof *names));
        ok(vm_deallocate(SELF, (vm_address_t)types, m * sizeof *types));
    }
    if (f->kind != 's') { /* sending it is the one thing that may fail */
        ok(receive(&got, p));
        assert_int_equal(got.h.msgh_id, MACH_NOTIFY_SEND_ONCE);
        /* What came of a right that could not be made is no right either. */
        assert_int_equal(once_rights(p), extracted == KERN_SUCCESS);
    }
    if (extracted == KERN_SUCCESS)
        ok(mach_port_destroy(SELF, other));
    ok(mach_port_destroy(SELF, p));
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__ports(void **state)
{
    (void)state;
    with_every_fault(once_goes, NULL);
    with_every_fault(special_goes, NULL);
}

/* A child without memory for it has the bootstrap port all the same. */
static bool bootstrap_in_child(struct fault *f, void *arg)
{
    bool *fell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), any;
    mach_port_t own = new_port_with_sends(1);
    union message m;
    pid_t pid;

    (void)arg;
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, own));
    begin(f);
    pid = fork();
    any = end(f);
    if (pid == 0) {
        mach_port_t back = MACH_PORT_NULL;

        *fell = any;
        child_check(task_get_special_port(SELF, TASK_BOOTSTRAP_PORT, &back) == KERN_SUCCESS);
        m = header_to(back, MACH_MSG_TYPE_COPY_SEND);
        child_check(send_message(&m) == MACH_MSG_SUCCESS);
        _exit(0);
    }
    any |= *fell;
    munmap(fell, PAGE);
    expect_child_ok(pid);
    ok(receive(&m, own));
    ok(task_set_special_port(SELF, TASK_BOOTSTRAP_PORT, bootstrap_port));
    ok(mach_port_destroy(SELF, own));
    expect_same(f);
    return any;
}

static void test_machmsg_faults__bootstrap_of_a_child(void **state)
{
    (void)state;
    with_every_fault(bootstrap_in_child, NULL);
}

/* --- descriptors that are kept above the soft limit --- */

static bool keep_once(struct fault *f, void *arg)
{
    const vm_size_t size = 16 * PAGE;
    int low[16], n = 0;
    struct rlimit was, tight;
    vm_address_t at = 0, got = 0;
    mach_port_t p = new_port(), other = 0;
    union message m;
    kern_return_t kr, port_kr, inherited = 0;
    mach_msg_return_t sent = 0, received = 0;
    bool fell;

    (void)arg;
    do
        low[n] = dup(STDERR_FILENO);
    while (low[n++] < 14 && n < 16);
    getrlimit(RLIMIT_NOFILE, &was);
    tight = was;
    tight.rlim_cur = (rlim_t)low[n - 1] + 8; /* and that is more than half of it */
    setrlimit(RLIMIT_NOFILE, &tight);
    begin(f);
    kr = vm_allocate(SELF, &at, size, VM_FLAGS_ANYWHERE);
    if (kr == 0) {
        fill((unsigned char *)at, size);
        inherited = vm_inherit(SELF, at, size, VM_INHERIT_SHARE);
        inherited |= vm_inherit(SELF, at, size, VM_INHERIT_COPY);
        m = ool_message(p, (void *)at, (mach_msg_size_t)size, 1, false);
        sent = send_message(&m);
        received = sent ? 0 : receive(&m, p);
        got = !sent && m.h.msgh_id == 100 ? (vm_address_t)m.ool.d.address : 0;
    }
    port_kr = mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &other);
    fell = end(f);
    getrlimit(RLIMIT_NOFILE, &tight);
    setrlimit(RLIMIT_NOFILE, &was);
    assert_true(fell || !(kr | port_kr | inherited | sent | received));
    assert_int_equal(tight.rlim_cur, low[n - 1] + 8);
    if (kr)
        assert_true(kr == KERN_NO_SPACE || kr == KERN_RESOURCE_SHORTAGE);
    else
        assert_int_equal(wrong_bytes((unsigned char *)at, size), 0);
    if (port_kr)
        assert_kr(port_kr, KERN_RESOURCE_SHORTAGE);
    else
        ok(mach_port_destroy(SELF, other));
    if (sent)
        expect_send_shortage(sent);
    if (got) {
        assert_int_equal(wrong_bytes((unsigned char *)got, size), 0);
        ok(vm_deallocate(SELF, got, size));
    }
    if (kr == 0)
        ok(vm_deallocate(SELF, at, size));
    ok(mach_port_destroy(SELF, p));
    while (n > 0)
        close(low[--n]);
    expect_same(f);
    return fell;
}

static void test_machmsg_faults__descriptors_above_the_limit(void **state)
{
    (void)state;
    with_every_fault(keep_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        leak_tested(test_machmsg_faults__fork),
        leak_tested(test_machmsg_faults__child_that_would_share_dies),
        leak_tested(test_machmsg_faults__send),
        leak_tested(test_machmsg_faults__receive),
        leak_tested(test_machmsg_faults__right_by_a_new_name),
        leak_tested(test_machmsg_faults__right_behind_a_lost_array),
        leak_tested(test_machmsg_faults__inherit),
        leak_tested(test_machmsg_faults__vm_calls),
        leak_tested(test_machmsg_faults__descriptors_above_the_limit),
        leak_tested(test_machmsg_faults__ports),
        leak_tested(test_machmsg_faults__bootstrap_of_a_child)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
