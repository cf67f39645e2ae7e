/* /proc/PID/maps and smaps: canned text with everything that has broken parsers before, and the
 * real files. */
#include "probes/footprint.h"
#include "probes/kernel/segments.h"
#include "probes/kernel/threads.h"
#include "probes/kinds.h"
#include "probes/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(struct maps *m, const char *text, struct err *e)
{
    maps_release(m);
    m->text.text = strdup(text);
    m->text.len = strlen(text);
    m->text.cap = m->text.len + 1;
    return maps_parse(m, e);
}

static void test_maps__entries(void **state)
{
    struct maps m = {0};
    struct err e = {""};

    (void)state;
    assert_int_equal(
        parse(
            &m,
            "55d0c0000000-55d0c0001000 r-xp 00002000 fd:01 1234                  /usr/bin/a b (c)\n"
            "7f0000000000-7f0000002000 rw-s 00000000 00:05 99 /dev/zero (deleted)\n"
            "7f0000002000-7f0000003000 ---p 00000000 00:00 0 \n"
            "7f0000003000-7f0000004000 rw-p 00000000 00:00 0\n"
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0    [vsyscall]",
            &e),
        0);
    assert_int_equal(m.n, 5);
    assert_false(m.counted);
    assert_int_equal(m.entries[0].start, 0x55d0c0000000);
    assert_int_equal(m.entries[0].prot, 5);
    assert_false(m.entries[0].shared);
    assert_int_equal(m.entries[0].offset, 0x2000);
    assert_int_equal(m.entries[0].dev, makedev(0xfd, 1));
    assert_int_equal(m.entries[0].inode, 1234);
    assert_string_equal(m.entries[0].name, "/usr/bin/a b (c)");
    assert_true(m.entries[1].shared);
    assert_string_equal(m.entries[1].name, "/dev/zero (deleted)");
    assert_string_equal(m.entries[2].name, "");
    assert_string_equal(m.entries[3].name, "");
    assert_true(m.entries[4].start == 0xffffffffff600000);
    maps_release(&m);
}

static void test_maps__smaps_details(void **state)
{
    struct maps m = {0};
    struct err e = {""};
    struct footprint f;

    (void)state;
    assert_int_equal(parse(&m,
                           "1000-5000 rw-p 00000000 00:00 0 [heap]\n"
                           "Size:                 16 kB\n"
                           "KernelPageSize:        4 kB\n"
                           "Rss:                  12 kB\n"
                           "Pss:                   6 kB\n"
                           "Pss_Dirty:             5 kB\n"
                           "Private_Clean:         1 kB\n"
                           "Private_Dirty:         2 kB\n"
                           "AnonHugePages:         0 kB\n"
                           "SomethingNew:     999999 kB\n"
                           "THPeligible:           1\n"
                           "VmFlags: rd wr mr mw me ac sd dc hg \n"
                           "5000-6000 r--p 00000000 00:00 0\n"
                           "Rss:                   4 kB\n"
                           "Pss:                   1 kB\n"
                           "VmFlags: rd wf\n",
                           &e),
                     0);
    assert_int_equal(m.n, 2);
    assert_true(m.counted);
    assert_int_equal(m.entries[0].kb.rss, 12);
    assert_int_equal(m.entries[0].kb.pss, 6);
    assert_int_equal(m.entries[0].kb.thp_eligible, 1);
    assert_int_equal(m.entries[0].flags, 1u << VMF_DONTCOPY | 1u << VMF_HUGEPAGE |
                                             1u << VMF_MAYREAD | 1u << VMF_MAYWRITE |
                                             1u << VMF_MAYEXEC);
    assert_int_equal(m.entries[1].flags, 1u << VMF_WIPEONFORK);
    footprint_init(&f, WHY_READ_FAILED);
    footprint_from_maps(&f, &m);
    assert_int_equal(f.rss_kb.n, 16);
    assert_int_equal(f.pss_kb.n, 7);
    assert_int_equal(f.uss_kb.n, 3);
    maps_release(&m);
}

static void test_maps__huge_pages_without_flags(void **state)
{
    struct maps m = {0};
    struct err e = {""};

    (void)state;
    assert_int_equal(parse(&m,
                           "200000-400000 rw-p 00000000 00:0f 7 /anon_hugepage (deleted)\n"
                           "400000-401000 rw-p 00000000 00:00 0\n",
                           &e),
                     0);
    assert_int_equal(m.entries[0].flags, 1u << VMF_HUGETLB);
    assert_int_equal(m.entries[1].flags, 0);
    maps_release(&m);
}

/* A name longer than any buffer that somebody might have thought enough, with a line in it that
 * would be an entry of its own if the tail were read as a line. */
static void test_maps__long_names(void **state)
{
    size_t len = 200000;
    char *name = malloc(len + 1), *text = malloc(len + 200);
    struct maps m = {0};
    struct err e = {""};

    (void)state;
    memset(name, 'x', len);
    name[len] = '\0';
    memcpy(name + 4096, "dead0000-dead1000 rwxp 00000000 00:00 0 ", 40);
    sprintf(text, "1000-2000 r--p 00000000 08:01 7 /%s\n2000-3000 rw-p 00000000 00:00 0\n", name);
    assert_int_equal(parse(&m, text, &e), 0);
    assert_int_equal(m.n, 2);
    assert_int_equal(strlen(m.entries[0].name), len + 1);
    maps_release(&m);
    free(text);
    free(name);
}

static void test_maps__nonsense_is_an_error(void **state)
{
    static const char *const bad[] = {
        "hello",
        "1000-2000",
        "1000-2000 rw-p",
        "1000-2000 rwxq 00000000 00:00 0",
        "2000-1000 rw-p 00000000 00:00 0",
        "1000-2000 rw-p 00000000 0000 0",
        "1000-2000 rw-p 00000000 00:00 x",
        "-1-2000 rw-p 00000000 00:00 0",
        "99999999999999999999-2000 rw-p 00000000 00:00 0",
        "Rss: 4 kB",
    };
    struct maps m = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {""};

        assert_int_equal(parse(&m, bad[i], &e), -EPROTO);
        assert_non_null(strstr(e.msg, "cannot make sense of the mapping"));
    }
    maps_release(&m);
}

static void test_maps__finds_by_address(void **state)
{
    struct maps m = {0};
    struct err e = {""};

    (void)state;
    assert_int_equal(parse(&m,
                           "1000-2000 r--p 0 00:00 0\n"
                           "2000-3000 rw-p 0 00:00 0\n"
                           "8000-9000 rw-p 0 00:00 0\n",
                           &e),
                     0);
    assert_ptr_equal(maps_find(&m, 0), &m.entries[0]);
    assert_ptr_equal(maps_find(&m, 0x1fff), &m.entries[0]);
    assert_ptr_equal(maps_find(&m, 0x2000), &m.entries[1]);
    assert_ptr_equal(maps_find(&m, 0x5000), &m.entries[2]);
    assert_null(maps_find(&m, 0x9000));
    assert_null(maps_holding(&m, 0x5000));
    assert_ptr_equal(maps_holding(&m, 0x8fff), &m.entries[2]);
    maps_release(&m);
}

/* The real files of this process, both kinds: the same entries. */
static void test_maps__own_maps_and_smaps_agree(void **state)
{
    struct maps plain = {0}, counted = {0};
    struct err e = {""};
    long page = sysconf(_SC_PAGESIZE);
    char *mine =
        mmap(NULL, (size_t)page * 3, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/maps", O_RDONLY), sfd = open("/proc/self/smaps", O_RDONLY);
    struct map_entry queried;
    const struct map_entry *entry;
    int rc;

    (void)state;
    mine[0] = 1;
    assert_int_equal(maps_read_fd(&plain, fd, NULL, &e), 0);
    entry = maps_holding(&plain, (uintptr_t)mine);
    assert_non_null(entry);
    assert_true(entry->shared);
    assert_int_equal(entry->prot, 3);
    assert_true(entry->inode != 0);
    assert_int_equal(entry->end - entry->start, page * 3);
    rc = maps_query(fd, (uintptr_t)mine + 1, &queried);
    if (rc == 0) {
        assert_true(queried.start == entry->start && queried.end == entry->end);
        assert_true(queried.shared && queried.prot == 3);
        assert_true(queried.inode == entry->inode && queried.dev == entry->dev);
    } else {
        assert_int_equal(rc, -ENOTTY);
    }
    assert_int_equal(maps_read_fd(&counted, sfd, NULL, &e), 0);
    assert_true(counted.counted);
    entry = maps_holding(&counted, (uintptr_t)mine);
    assert_non_null(entry);
    assert_int_equal(entry->kb.rss, page / 1024);
    munmap(mine, (size_t)page * 3);
    close(fd);
    close(sfd);
    maps_release(&plain);
    maps_release(&counted);
}

/* A file whose data segment begins on its second page, and what is wrong with it. */
struct program {
    ElfW(Ehdr) head;
    ElfW(Phdr) data;
};

static struct program sound(size_t page)
{
    struct program p = {
        .head = {.e_phoff = sizeof p.head, .e_phentsize = sizeof p.data, .e_phnum = 1},
        .data = {.p_type = PT_LOAD,
                 .p_flags = PF_R | PF_W,
                 .p_offset = page + 16,
                 .p_filesz = page / 2,
                 .p_memsz = 2 * page}};

    memcpy(p.head.e_ident, ELFMAG, SELFMAG);
    p.head.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    return p;
}

/* The kind of n anonymous pages right behind the program's second page, which is mapped with prot.
 * cut: of the pages behind the first of them, which has been made read-only. */
static enum region_kind kind_in_pieces(const struct program *p, size_t bytes, size_t n, int prot,
                                       size_t cut)
{
    char path[] = "/tmp/cowlab-segments-XXXXXX";
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int file = mkstemp(path), fd = open("/proc/self/maps", O_RDONLY), rw = PROT_READ | PROT_WRITE;
    char *at = mmap(NULL, (n + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct segments segments = {0};
    struct maps m = {0};
    enum region_kind kind;
    const struct map_entry *entry;
    uint64_t end = 0;
    struct err e;

    assert_int_equal(write(file, p, bytes), bytes);
    assert_int_equal(ftruncate(file, (off_t)(2 * page)), 0);
    assert_true(mmap(at, page, prot, MAP_PRIVATE | MAP_FIXED, file, (off_t)page) == at);
    assert_int_equal(mprotect(at + page, n * page, rw), 0);
    assert_int_equal(mprotect(at + page, cut * page, PROT_READ), 0);
    close(file); /* by its name, or through map_files */
    assert_int_equal(maps_read_fd(&m, fd, NULL, &e), 0);
    entry = maps_holding(&m, (uintptr_t)at + (1 + cut) * page);
    assert_int_equal(entry->end - entry->start, (n - cut) * page);
    /* Twice: the second time from what was kept. */
    for (int i = 0; i < 2; i++)
        end = segments_end(&segments, getpid(), &m, (size_t)(entry - m.entries));
    kind = region_kind(&m, (size_t)(entry - m.entries), "", &(struct threads){.n = 1}, end);
    segments_release(&segments);
    maps_release(&m);
    munmap(at, (n + 2) * page);
    unlink(path);
    close(fd);
    return kind;
}

static enum region_kind kind_behind(const struct program *p, size_t bytes, size_t n)
{
    return kind_in_pieces(p, bytes, n, PROT_READ | PROT_WRITE, 0);
}

/* What mprotect has cut off is bss still; so is what follows data that the linker made read-only.
 */
static void test_kinds__bss_in_pieces(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct program p = sound(page);
    int rw = PROT_READ | PROT_WRITE;

    (void)state;
    assert_int_equal(kind_in_pieces(&p, sizeof p, 2, rw, 1), RK_BSS);
    assert_int_equal(kind_in_pieces(&p, sizeof p, 3, rw, 1), RK_ANON);
    assert_int_equal(kind_in_pieces(&p, sizeof p, 2, PROT_READ, 0), RK_BSS);
}

static void test_kinds__bss_ends_where_the_program_header_says(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct program p = sound(page);

    (void)state;
    assert_int_equal(kind_behind(&p, sizeof p, 2), RK_BSS); /* 16 bytes of the second page */
    assert_int_equal(kind_behind(&p, sizeof p, 1), RK_BSS);
    assert_int_equal(kind_behind(&p, sizeof p, 3), RK_ANON);
    assert_int_equal(kind_behind(&p, sizeof p, 2048), RK_ANON);
    p.data.p_memsz = p.data.p_filesz;
    assert_int_equal(kind_behind(&p, sizeof p, 1), RK_ANON);
}

/* Files that make no sense have no bss, and break nothing. */
static void test_kinds__hostile_program_headers(void **state)
{
    static const struct {
        const char *what;
        size_t bytes;
        uint64_t phoff, offset, in_file, in_memory;
        uint16_t count, size, class, type, flags;
    } rows[] = {
        {.what = "cut off within its header", .bytes = 20},
        {.what = "cut off before its program headers", .bytes = sizeof(ElfW(Ehdr)), .count = 60},
        {.what = "no header fits the number", .count = UINT16_MAX},
        {.what = "headers of another size", .size = 1},
        {.what = "headers beyond any file", .phoff = UINT64_MAX},
        {.what = "headers behind the end", .phoff = 1 << 20},
        {.what = "another class", .class = 9},
        {.what = "no segment that is loaded", .type = PT_NOTE},
        {.what = "a segment that is not written", .flags = PF_R},
        {.what = "a size that wraps round", .in_memory = UINT64_MAX},
        {.what = "an offset that wraps round", .offset = UINT64_MAX - 100},
        {.what = "more in the file than in memory", .in_file = 1 << 20},
    };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct program p = sound(page);

#define PUT(field, value) p.field = (value) ? (value) : p.field
        PUT(head.e_phoff, rows[i].phoff);
        PUT(head.e_phnum, rows[i].count);
        PUT(head.e_phentsize, rows[i].size);
        PUT(head.e_ident[EI_CLASS], (unsigned char)rows[i].class);
        PUT(data.p_type, rows[i].type);
        PUT(data.p_flags, rows[i].flags);
        PUT(data.p_offset, rows[i].offset);
        PUT(data.p_filesz, rows[i].in_file);
        PUT(data.p_memsz, rows[i].in_memory);
        if (kind_behind(&p, rows[i].bytes ? rows[i].bytes : sizeof p, 1) != RK_ANON)
            fail_msg("%s: there is a bss", rows[i].what);
    }
}

/* The name of a process may hold anything, parentheses and spaces too. */
/* Shapes alone make no stack and no arena: who has one thread has neither of threads, and a stack
 * is where a stack pointer is. */
static void test_kinds__threads_decide_what_a_stack_is(void **state)
{
    static const char guard[] = "600000000000-600000010000 ---p 00000000 00:00 0\n",
                      rest[] = "600000010000-600004000000 ---p 00000000 00:00 0\n";
    static const struct {
        const char *what, *before, *entry, *after;
        int threads;
        uint64_t stack;
        enum region_kind kind;
    } rows[] = {
        {"behind a guard, one thread", guard, "600000010000-600002010000 rw-p 0 00:00 0\n", "", 1,
         0x600000020000, RK_ANON},
        {"no stack pointer", guard, "600000010000-600002010000 rw-p 0 00:00 0\n", "", 2, 0,
         RK_ANON},
        {"one elsewhere", guard, "600000010000-600002010000 rw-p 0 00:00 0\n", "", 2,
         0x600002010000, RK_ANON},
        {"a thread's", guard, "600000010000-600002010000 rw-p 0 00:00 0\n", "", 2, 0x600000010000,
         RK_THREAD_STACK},
        {"stacks that a program makes itself", "", "600000010000-600002010000 rw-p 0 00:00 0\n", "",
         2, 0x600000020000, RK_ANON},
        {"64 MiB, one thread", "", "600000000000-600004000000 rw-p 0 00:00 0\n", "", 1, 0, RK_ANON},
        {"64 MiB", "", "600000000000-600004000000 rw-p 0 00:00 0\n", "", 2, 0, RK_ANON},
        {"head and rest, one thread", "", "600000000000-600000010000 rw-p 0 00:00 0\n", rest, 1, 0,
         RK_ANON},
        {"head and rest", "", "600000000000-600000010000 rw-p 0 00:00 0\n", rest, 2, 0, RK_ARENA},
        {"read only", "", "600000000000-600000010000 r--p 0 00:00 0\n", rest, 2, 0, RK_ANON},
        {"a gap", "", "600000000000-60000000f000 rw-p 0 00:00 0\n", rest, 2, 0, RK_ANON},
        {"another size", "", "600000000000-600000010000 rw-p 0 00:00 0\n",
         "600000010000-600003fff000 ---p 0 00:00 0\n", 2, 0, RK_ANON},
        {"not at a multiple", "", "600000001000-600000010000 rw-p 0 00:00 0\n", rest, 2, 0,
         RK_ANON},
    };
    struct maps m = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t stack = rows[i].stack;
        struct threads t = {.n = rows[i].threads, .stacks = &stack, .nstacks = stack != 0};
        char text[256];
        struct err e;

        snprintf(text, sizeof text, "%s%s%s", rows[i].before, rows[i].entry, rows[i].after);
        assert_int_equal(parse(&m, text, &e), 0);
        if (region_kind(&m, *rows[i].before != '\0', "", &t, 0) != rows[i].kind)
            fail_msg("%s", rows[i].what);
    }
    maps_release(&m);
}

static void *block(void *fd)
{
    char byte;

    return read(*(int *)fd, &byte, 1) == 1 ? fd : NULL;
}

/* A thread that waits shows its stack pointer to whoever may see it. */
static void test_threads__stack_of_one_that_waits(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 64 * page;
    char *at = mmap(NULL, size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct probe_cost cost = {0};
    struct threads t = {0};
    pthread_attr_t attr;
    pthread_t thread;
    bool found = false;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(mprotect(at + page, size, PROT_READ | PROT_WRITE), 0);
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstack(&attr, at + page, size), 0);
    assert_int_equal(pthread_create(&thread, &attr, block, &fds[0]), 0);
    for (int waited = 0; !found && waited < 5000; waited++) {
        usleep(1000);
        threads_read(&t, getpid(), 2, &cost);
        for (size_t i = 0; i < t.nstacks; i++)
            found |=
                t.stacks[i] >= (uintptr_t)at + page && t.stacks[i] < (uintptr_t)at + page + size;
    }
    assert_true(found && cost.calls);
    threads_read(&t, getpid(), 1, &cost);
    assert_int_equal(t.nstacks, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    threads_release(&t);
    munmap(at, size + page);
    close(fds[0]);
    close(fds[1]);
}

static void test_footprint__stat_with_an_ugly_name(void **state)
{
    char text[] = "71 (a) R (b c) S 42 71 71 0 -1 4194560 123 0 7 0 0 0 0 0 20 0 1 0 5555 2396160 "
                  "242 18446744073709551615";
    struct slurp s = {.text = text, .len = sizeof text - 1};
    struct footprint f;

    (void)state;
    footprint_init(&f, WHY_READ_FAILED);
    assert_int_equal(footprint_from_stat(&f, &s), 0);
    assert_int_equal(f.ppid, 42);
    assert_int_equal(f.state, 'S');
    assert_int_equal(f.minflt.n, 123);
    assert_int_equal(f.majflt.n, 7);
    assert_int_equal(f.start_time, 5555);
    assert_string_equal(f.comm, "a) R (b c");
    text[3] = 'x';
    *strrchr(text, ')') = 'x';
    *strrchr(text, ')') = 'x';
    assert_int_equal(footprint_from_stat(&f, &s), -EPROTO);
}

static void test_footprint__of_this_process(void **state)
{
    struct footprint f;
    struct err e = {""};

    (void)state;
    assert_int_equal(footprint_read(getpid(), &f, &e), 0);
    assert_true(value_is_known(f.rss_kb) && f.rss_kb.n > 0);
    assert_true(value_is_known(f.pss_kb) && f.pss_kb.n <= f.rss_kb.n);
    assert_true(value_is_known(f.uss_kb) && f.uss_kb.n <= f.pss_kb.n);
    assert_true(value_is_known(f.pagetable_kb) && value_is_known(f.peak_kb));
    assert_int_equal(f.ppid, getppid());
    assert_int_equal(footprint_read(1 << 29, &f, &e), -ESRCH);
    assert_string_equal(e.msg, "there is no process 536870912");
}

/* What is not in the file is unknown, not 0. */
static void test_footprint__missing_lines_are_unknown(void **state)
{
    char text[] = "Name:\tx\nVmHWM:\t     100 kB\n";
    struct slurp s = {.text = text, .len = sizeof text - 1};
    struct footprint f;

    (void)state;
    footprint_init(&f, WHY_NO_INTERFACE);
    footprint_from_status(&f, &s);
    assert_int_equal(f.peak_kb.n, 100);
    assert_int_equal(f.pagetable_kb.why, WHY_NO_INTERFACE);
    footprint_from_rollup(&f, &s);
    assert_false(value_is_known(f.uss_kb));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps__entries),
        cmocka_unit_test(test_maps__smaps_details),
        cmocka_unit_test(test_maps__huge_pages_without_flags),
        cmocka_unit_test(test_maps__long_names),
        cmocka_unit_test(test_maps__nonsense_is_an_error),
        cmocka_unit_test(test_maps__finds_by_address),
        cmocka_unit_test(test_maps__own_maps_and_smaps_agree),
        cmocka_unit_test(test_kinds__bss_in_pieces),
        cmocka_unit_test(test_kinds__bss_ends_where_the_program_header_says),
        cmocka_unit_test(test_kinds__hostile_program_headers),
        cmocka_unit_test(test_kinds__threads_decide_what_a_stack_is),
        cmocka_unit_test(test_threads__stack_of_one_that_waits),
        cmocka_unit_test(test_footprint__stat_with_an_ugly_name),
        cmocka_unit_test(test_footprint__of_this_process),
        cmocka_unit_test(test_footprint__missing_lines_are_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
