/* Out-of-line memory: what arrives, what is left at the sender, and what really happened; then the
 * vm_* calls. The sender and receiver are this one process where that does not matter. */
#include "tests/support/machmsg_fixture.h"

#include "lab/machmsg/trace.h"
#include "tests/support/skip.h"
#include <fcntl.h>
#include <mach/vm_map.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define PAGE vm_page_size

static struct {
    struct machmsg_transfer sent, received;
    int nsent, nreceived;
    off_t object_bytes; /* of the object that carried it */
    off_t object_held;  /* of them in pages that exist */
} seen;

static void on_transfer(void *arg, const struct machmsg_transfer *t)
{
    struct stat st = {0};

    (void)arg;
    if (t->event == MACHMSG_SENT) {
        seen.sent = *t;
        seen.nsent++;
        seen.object_bytes = t->fd >= 0 && fstat(t->fd, &st) == 0 ? st.st_size : -1;
        seen.object_held = st.st_blocks * 512;
    } else {
        seen.received = *t;
        seen.nreceived++;
    }
}

static int setup(void **state)
{
    memset(&seen, 0, sizeof seen);
    machmsg_trace(on_transfer, NULL);
    return leak_setup(state);
}

static int teardown(void **state)
{
    machmsg_trace(NULL, NULL);
    unsetenv("COWLAB_MACH_POLICY");
    return leak_teardown(state);
}

#define memory_tested(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static unsigned char *allocate(vm_size_t size, int flags)
{
    vm_address_t a = 0;

    ok(vm_allocate(SELF, &a, size, VM_FLAGS_ANYWHERE | flags));
    return (unsigned char *)a;
}

static void fill(unsigned char *at, size_t n, unsigned char seed)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)(i * 7 + i / 256 + seed);
}

/* Sends and receives one range; the received descriptor comes back. */
static mach_msg_ool_descriptor_t transfer(const void *at, mach_msg_size_t size, unsigned int copy,
                                          bool deallocate)
{
    mach_port_t p = new_port();
    union message m = ool_message(p, at, size, copy, deallocate);

    ok(send_message(&m));
    ok(receive(&m, p));
    ok(mach_port_destroy(SELF, p));
    assert_int_equal(m.ool.d.size, size);
    assert_int_equal(m.ool.d.copy, copy);
    assert_int_equal(m.ool.d.deallocate, copy == MACH_MSG_VIRTUAL_COPY);
    assert_int_equal(m.ool.d.type, MACH_MSG_OOL_DESCRIPTOR);
    return m.ool.d;
}

static void release(const mach_msg_ool_descriptor_t *d)
{
    ok(vm_deallocate(SELF, (vm_address_t)d->address, d->size));
}

static bool is_mapped(const void *at)
{
    unsigned char v;

    return mincore((void *)((uintptr_t)at & ~(PAGE - 1)), 1, &v) == 0;
}

/* Around the threshold, with and without whole pages, in all options: the bytes arrive, what is
 * behind them is zero, and the sender keeps or loses the range. A layer that shared a part of an
 * object would show the receiver the 0xee bytes. */
static void test_machmsg_memory__sizes_and_options(void **state)
{
    static const mach_msg_size_t sizes[] = {1,     100,   4095,  4096,  4097,  32767,
                                            32768, 32769, 65536, 65537, 69632, (1 << 20) + 3};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int option = 0; option < 8; option++) {
            const unsigned int copy = option & 1;
            const bool deallocate = option & 2;
            const vm_size_t whole = (sizes[i] + PAGE - 1) & ~(PAGE - 1);
            unsigned char *at = allocate(whole, option & 4 ? VM_FLAGS_PURGABLE : 0);
            unsigned char *want = malloc(sizes[i]);
            mach_msg_ool_descriptor_t d;

            memset(at, 0xee, whole);
            fill(want, sizes[i], (unsigned char)option);
            memcpy(at, want, sizes[i]);
            d = transfer(at, sizes[i], copy, deallocate);
            assert_memory_equal(d.address, want, sizes[i]);
            for (vm_size_t k = sizes[i]; k < whole; k++)
                assert_int_equal(((unsigned char *)d.address)[k], 0);
            if (deallocate) {
                assert_false(is_mapped(at));
            } else {
                assert_memory_equal(at, want, sizes[i]);
                ok(vm_deallocate(SELF, (vm_address_t)at, whole));
            }
            release(&d);
            assert_false(is_mapped(d.address));
            free(want);
        }
}

static void test_machmsg_memory__what_was_done_and_why(void **state)
{
    static const struct {
        vm_size_t pages;
        int flags; /* -1: not the layer's memory */
        unsigned int copy;
        bool deallocate;
        const char *done, *why;
    } cases[] = {
        {1, 0, 1, false, "copied", "32 KiB or less: through a buffer, whatever was asked"},
        {8, 0, 1, true, "copied", "32 KiB or less: through a buffer, whatever was asked"},
        {8, 0, 0, false, "copied", "32 KiB or less: through a buffer, whatever was asked"},
        {9, 0, 1, false, "shared", "exactly one whole object: shared copy-on-write"},
        {16, 0, 1, true, "moved", "exactly one whole object, given away: moved"},
        {16, 0, 0, true, "moved", "exactly one whole object, given away: moved"},
        {16, 0, 0, false, "copied", "physical copy above 32 KiB: every page staged"},
        {16, VM_FLAGS_PURGABLE, 1, false, "copied",
         "purgeable memory: copied page by page, untouched pages skipped"},
        {16, VM_FLAGS_PURGABLE, 1, true, "copied",
         "purgeable memory: copied page by page, untouched pages skipped"},
        {16, -1, 1, false, "copied", "memory that the layer did not allocate: copied once"}};

    (void)state;
    if (PAGE != 4096) {
        skip_needs("pages of 4 KiB: the sizes stand on both sides of 32 KiB");
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const vm_size_t size = cases[i].pages * PAGE;
        unsigned char *at = cases[i].flags < 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                               : allocate(size, cases[i].flags);
        mach_msg_ool_descriptor_t d;

        at[0] = 'A';
        d = transfer(at, (mach_msg_size_t)size, cases[i].copy, cases[i].deallocate);
        assert_string_equal(seen.sent.done, cases[i].done);
        assert_string_equal(seen.sent.why, cases[i].why);
        assert_string_equal(seen.sent.asked, cases[i].copy ? "virtual" : "physical");
        assert_int_equal(seen.sent.deallocate, cases[i].deallocate);
        assert_int_equal(seen.sent.size, size);
        assert_int_equal(seen.object_bytes, size);
        assert_string_equal(seen.received.arrived, cases[i].copy ? "virtual" : "physical");
        assert_string_equal(seen.received.done, cases[i].done);
        assert_string_equal(seen.received.why, cases[i].why);
        assert_int_equal(seen.received.address, (uint64_t)d.address);
        release(&d);
        if (!cases[i].deallocate)
            ok(vm_deallocate(SELF, (vm_address_t)at, size));
    }
    assert_int_equal(seen.nsent, sizeof cases / sizeof cases[0]);
    assert_int_equal(seen.nreceived, seen.nsent);
}

static void test_machmsg_memory__native_policy_shares(void **state)
{
    unsigned char *at;
    mach_msg_ool_descriptor_t d;

    (void)state;
    setenv("COWLAB_MACH_POLICY", "native", 1);
    assert_string_equal(machmsg_policy(), "native");
    for (int physical = 0; physical < 2; physical++) {
        at = allocate(PAGE, VM_FLAGS_PURGABLE);
        at[0] = 'N';
        d = transfer(at, (mach_msg_size_t)PAGE, !physical, false);
        assert_string_equal(seen.sent.done, "shared");
        assert_int_equal(((char *)d.address)[0], 'N');
        release(&d);
        ok(vm_deallocate(SELF, (vm_address_t)at, PAGE));
    }
}

/* What either side writes after the send is its own. A layer that mapped the object shared would
 * fail here, in one direction or the other. */
static void test_machmsg_memory__copies_are_isolated(void **state)
{
    const vm_size_t size = 64 * PAGE;

    (void)state;
    for (int flags = 0; flags <= VM_FLAGS_PURGABLE; flags += VM_FLAGS_PURGABLE)
        for (unsigned int copy = 0; copy < 2; copy++) {
            unsigned char *at = allocate(size, flags), *got;
            mach_port_t p = new_port();
            union message m = ool_message(p, at, (mach_msg_size_t)size, copy, false);

            fill(at, size, 1);
            ok(send_message(&m));
            memset(at, 'S', PAGE); /* while it is in transit */
            ok(receive(&m, p));
            got = m.ool.d.address;
            memset(at + PAGE, 'S', PAGE); /* before the receiver's first touch of it */
            assert_int_equal(got[1], (unsigned char)(7 + 1));
            assert_int_equal(got[PAGE + 1], (unsigned char)((PAGE + 1) * 7 + (PAGE + 1) / 256 + 1));
            got[2 * PAGE] = 'R';
            assert_int_equal(at[2 * PAGE], (unsigned char)(2 * PAGE * 7 + 2 * PAGE / 256 + 1));
            ok(vm_deallocate(SELF, (vm_address_t)got, size));
            ok(vm_deallocate(SELF, (vm_address_t)at, size));
            ok(mach_port_destroy(SELF, p));
        }
}

/* Two messages carry one object; then the sender wrote: its view is no whole object any more. */
static void test_machmsg_memory__sent_again(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t a, b, c, d;

    (void)state;
    fill(at, size, 1);
    a = transfer(at, (mach_msg_size_t)size, 1, false);
    b = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.done, "shared");
    at[5 * PAGE] = 'W';
    c = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why, "the sender wrote to its view of the object: copied once");
    assert_int_equal(((unsigned char *)c.address)[5 * PAGE], 'W');
    assert_int_not_equal(((unsigned char *)b.address)[5 * PAGE], 'W');
    /* What was received can be sent on without a copy as well. */
    d = transfer(b.address, b.size, 1, true);
    assert_string_equal(seen.sent.done, "moved");
    assert_memory_equal(d.address, a.address, size);
    release(&a);
    release(&c);
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void test_machmsg_memory__parts_are_copied(void **state)
{
    const vm_size_t size = 64 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;

    (void)state;
    fill(at, size, 3);
    d = transfer(at + PAGE, (mach_msg_size_t)(size - PAGE), 1, false);
    assert_string_equal(seen.sent.why, "not exactly one whole object: copied once");
    assert_memory_equal(d.address, at + PAGE, size - PAGE);
    release(&d);
    d = transfer(at + 17, (mach_msg_size_t)(40 * PAGE + 5), 1, false);
    assert_memory_equal(d.address, at + 17, 40 * PAGE + 5);
    assert_int_equal((uintptr_t)d.address % PAGE, 0);
    assert_int_equal(((unsigned char *)d.address)[40 * PAGE + 5], 0);
    release(&d);
    /* deallocate takes every page that the range touches. */
    d = transfer(at + 20 * PAGE + 100, (mach_msg_size_t)(20 * PAGE), 1, true);
    assert_true(is_mapped(at + 19 * PAGE));
    assert_false(is_mapped(at + 20 * PAGE));
    assert_false(is_mapped(at + 40 * PAGE));
    assert_true(is_mapped(at + 41 * PAGE));
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void test_machmsg_memory__changed_behind_the_layer(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *moved;
    mach_msg_ool_descriptor_t d;

    (void)state;
    at[0] = 'O';
    /* The program puts other memory there: sending must not send the old object. */
    assert_true(mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                     0) == at);
    at[0] = 'N';
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_int_equal(((char *)d.address)[0], 'N');
    assert_string_equal(seen.sent.done, "copied");
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
    at = allocate(size, 0);
    at[0] = 'M';
    moved = mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, allocate(size, 0));
    assert_true(moved != MAP_FAILED);
    d = transfer(moved, (mach_msg_size_t)size, 1, false);
    assert_int_equal(((char *)d.address)[0], 'M');
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)moved, size));
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static size_t resident(const void *at, size_t pages)
{
    uint64_t entry;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    for (size_t i = 0; i < pages; i++)
        if (pread(fd, &entry, 8, (off_t)(((uintptr_t)at / PAGE + i) * 8)) == 8)
            n += entry >> 63;
    close(fd);
    return n;
}

/* Only what exists travels, and looking at it makes nothing. */
static void test_machmsg_memory__untouched_pages_stay_untouched(void **state)
{
    const vm_size_t size = 16 * PAGE;
    unsigned char *at = allocate(size, VM_FLAGS_PURGABLE);
    mach_msg_ool_descriptor_t d;

    (void)state;
    at[3 * PAGE] = 'X';
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_int_equal(resident(at, 16), 1);
    assert_int_equal(resident(d.address, 16), 1);
    assert_int_equal(((char *)d.address)[3 * PAGE], 'X');
    assert_int_equal(((char *)d.address)[4 * PAGE], 0);
    assert_int_equal(seen.object_held, PAGE);
    release(&d);
    /* But of a physical copy every page is made, and none at the sender. */
    d = transfer(at, (mach_msg_size_t)size, 0, false);
    assert_int_equal(seen.object_held, size);
    assert_int_equal(resident(at, 16), 1);
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
    /* Shared: the receiver maps nothing until it looks. */
    at = allocate(size, 0);
    at[0] = 'Y';
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_int_equal(resident(d.address, 16), 0);
    assert_int_equal(((char *)d.address)[0], 'Y');
    assert_int_equal(resident(d.address, 1), 1);
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Small ones stand side by side, so that the kernel joins them, as the published rows show. */
static void test_machmsg_memory__small_buffers_stand_side_by_side(void **state)
{
    unsigned char *at = allocate(PAGE, 0);
    mach_msg_ool_descriptor_t d[4];

    (void)state;
    at[0] = 'A';
    for (int i = 0; i < 4; i++) {
        d[i] = transfer(at, (mach_msg_size_t)PAGE, (unsigned int)i & 1, false);
        assert_ptr_equal(d[i].address, (unsigned char *)d[0].address + (vm_size_t)i * PAGE);
    }
    for (int i = 3; i >= 0; i--)
        release(&d[i]);
    ok(vm_deallocate(SELF, (vm_address_t)at, PAGE));
}

static void test_machmsg_memory__null_ranges(void **state)
{
    unsigned char *at = allocate(PAGE, 0);

    (void)state;
    for (unsigned int copy = 0; copy < 2; copy++) {
        mach_msg_ool_descriptor_t d = transfer((void *)16, 0, copy, false);

        assert_null(d.address);
        assert_string_equal(seen.sent.done, "null");
        d = transfer(at, 0, copy, true); /* nothing is removed */
        assert_true(is_mapped(at));
        d = transfer(at + 1, 0, copy, true);
        assert_true(is_mapped(at));
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, PAGE));
}

/* A send that fails for another reason leaves memory that it would have taken. */
static void test_machmsg_memory__failed_send_keeps_it(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_port_t p = new_port();
    union message m = header_to(p, MACH_MSG_TYPE_MAKE_SEND);

    (void)state;
    fill(at, size, 9);
    fill_queue(&m);
    m = ool_message(p, at, (mach_msg_size_t)size, 1, true);
    assert_kr(send_now(&m), MACH_SEND_TIMED_OUT);
    assert_true(is_mapped(at));
    assert_ptr_equal(m.ool.d.address, at);
    assert_int_equal(seen.nsent, 0);
    assert_int_equal(at[7], (unsigned char)(7 * 7 + 9));
    ok(mach_port_destroy(SELF, p));
    m = ool_message(MACH_PORT_DEAD, at, (mach_msg_size_t)size, 1, true);
    assert_kr(send_now(&m), MACH_SEND_INVALID_DEST);
    assert_true(is_mapped(at));
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Memory that a mapping elsewhere could still write cannot be sealed, so it is copied. */
static void test_machmsg_memory__object_that_cannot_be_sealed(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *other;
    mach_msg_ool_descriptor_t d;
    char path[64];
    int fd = -1;

    (void)state;
    at[0] = 'A';
    /* Another writable mapping of the same object, made through /proc. */
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)at,
             (unsigned long)(at + size));
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        ok(vm_deallocate(SELF, (vm_address_t)at, size));
        skip_needs("CAP_CHECKPOINT_RESTORE");
        return;
    }
    other = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(other != MAP_FAILED);
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why, "the object could not be sealed: copied once");
    other[0] = 'B';
    assert_int_equal(((char *)d.address)[0], 'A');
    release(&d);
    munmap(other, size);
    close(fd);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void test_machmsg_memory__wired_memory_is_copied(void **state)
{
    const vm_size_t size = 16 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;

    (void)state;
    at[0] = 'L';
    /* Not mlock(): the address sanitizer makes that do nothing. */
    if (syscall(SYS_mlock, at, PAGE)) {
        ok(vm_deallocate(SELF, (vm_address_t)at, size));
        skip_needs("a higher RLIMIT_MEMLOCK");
        return;
    }
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why,
                        "wired memory: copied page by page, untouched pages skipped");
    assert_int_equal(((char *)d.address)[0], 'L');
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "vgpreload");
}

/* Lowers a limit for a moment. */
static struct rlimit lower(int which, rlim_t to)
{
    struct rlimit old, low;

    assert_int_equal(getrlimit(which, &old), 0);
    low = old;
    low.rlim_cur = to;
    assert_int_equal(setrlimit(which, &low), 0);
    return old;
}

/* Without descriptors there are no objects: memory is plain, and sending it says what is short. */
static void test_machmsg_memory__no_descriptors(void **state)
{
    const vm_size_t size = 32 * PAGE;
    vm_address_t at = 0;
    mach_port_t p;
    union message m;
    struct rlimit old;
    kern_return_t kr;
    mach_msg_return_t mr;

    (void)state;
    if (under_valgrind())
        skip(); /* it has descriptors of its own */
    p = new_port();
    old = lower(RLIMIT_NOFILE, 3);
    kr = vm_allocate(SELF, &at, size, VM_FLAGS_ANYWHERE);
    *(char *)at = 'D';
    m = ool_message(p, (void *)at, (mach_msg_size_t)size, 1, true);
    mr = send_message(&m);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    ok(kr);
    assert_kr(mr, MACH_MSG_VM_KERNEL);
    assert_int_equal(*(char *)at, 'D');
    ok(send_message(&m)); /* nothing was lost by it */
    ok(receive(&m, p));
    assert_int_equal(*(char *)m.ool.d.address, 'D');
    assert_false(is_mapped((void *)at));
    release(&m.ool.d);
    ok(mach_port_destroy(SELF, p));
}

/* Without descriptors the kernel cannot be asked: that is not the end of the address space. */
static void test_machmsg_memory__regions_without_descriptors(void **state)
{
    vm_region_basic_info_data_64_t info;
    mach_msg_type_number_t count = VM_REGION_BASIC_INFO_COUNT_64;
    mach_vm_address_t at = (mach_vm_address_t)&info;
    mach_vm_size_t size;
    struct rlimit old;
    kern_return_t kr;

    (void)state;
    if (under_valgrind())
        skip();
    old = lower(RLIMIT_NOFILE, 3);
    kr = mach_vm_region(SELF, &at, &size, VM_REGION_BASIC_INFO_64, (vm_region_info_t)&info, &count,
                        NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_kr(kr, KERN_RESOURCE_SHORTAGE);
}

/* No room for what arrives: the message comes without it, and says so. */
static void test_machmsg_memory__no_address_space(void **state)
{
    const vm_size_t size = 4096 * PAGE;
    unsigned char *at;
    mach_port_t p;
    union message m;
    struct rlimit old;
    mach_msg_return_t mr;

    (void)state;
    if (under_valgrind())
        skip(); /* it needs address space of its own */
    at = allocate(size, 0);
    p = new_port();
    m = ool_message(p, at, (mach_msg_size_t)size, 1, false);
    ok(send_message(&m));
    old = lower(RLIMIT_AS, 1 << 20);
    mr = receive(&m, p);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_kr(mr, MACH_RCV_BODY_ERROR | MACH_MSG_VM_SPACE);
    assert_null(m.ool.d.address);
    assert_int_equal(m.ool.d.size, 0);
    m = ool_message(p, at, (mach_msg_size_t)size, 1, false);
    ok(send_message(&m));
    ok(receive(&m, p));
    release(&m.ool.d);
    ok(mach_port_destroy(SELF, p));
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* --- vm_* --- */

static void test_machmsg_memory__allocate_flags(void **state)
{
    vm_address_t a = 0, b;

    (void)state;
    ok(vm_allocate(SELF, &a, 3 * PAGE + 1, 3)); /* ANYWHERE and PURGABLE */
    assert_int_equal(a % PAGE, 0);
    ((char *)a)[4 * PAGE - 1] = 1;
    b = a + 1;
    assert_kr(vm_allocate(SELF, &b, PAGE, VM_FLAGS_FIXED), KERN_NO_SPACE);
    ok(vm_allocate(SELF, &b, PAGE, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE));
    assert_int_equal(b, a);
    ok(vm_deallocate(SELF, a, 3 * PAGE + 1));
    b = a;
    ok(vm_allocate(SELF, &b, 20 * PAGE, VM_FLAGS_FIXED));
    assert_int_equal(b, a);
    ok(vm_deallocate(SELF, a, 20 * PAGE));
    assert_kr(vm_allocate(SELF, &a, PAGE, 0x10), KERN_INVALID_ARGUMENT);
    assert_kr(vm_allocate(0, &a, PAGE, VM_FLAGS_ANYWHERE), KERN_INVALID_ARGUMENT);
    ok(vm_allocate(SELF, &a, 0, VM_FLAGS_ANYWHERE));
    assert_int_equal(a, 0);
    ok(vm_allocate(SELF, &a, PAGE, VM_FLAGS_ANYWHERE | VM_MAKE_TAG(240)));
    ok(vm_deallocate(SELF, a, PAGE));
    assert_kr(vm_allocate(SELF, &a, (vm_size_t)1 << 60, VM_FLAGS_ANYWHERE), KERN_NO_SPACE);
}

/* New memory where the layer had other memory, which the program removed or which it replaces. */
static void test_machmsg_memory__in_the_place_of_other_memory(void **state)
{
    const vm_size_t size = 32 * PAGE;

    (void)state;
    for (int removed = 0; removed < 2; removed++) {
        unsigned char *old = allocate(3 * size, 0), *at = old + size;
        vm_address_t a = (vm_address_t)at;
        mach_msg_ool_descriptor_t d;

        memset(old, 'O', 3 * size);
        if (removed)
            assert_int_equal(munmap(at, size), 0);
        ok(vm_allocate(SELF, &a, size, VM_FLAGS_FIXED | (removed ? 0 : VM_FLAGS_OVERWRITE)));
        assert_int_equal(at[PAGE], 0);
        memset(at, 'N', PAGE);
        d = transfer(at, (mach_msg_size_t)size, 1, false);
        assert_string_equal(seen.sent.done, "shared");
        assert_int_equal(((char *)d.address)[0], 'N');
        assert_int_equal(((char *)d.address)[PAGE], 0);
        release(&d);
        assert_true(old[size - 1] == 'O' && old[2 * size] == 'O');
        ok(vm_deallocate(SELF, (vm_address_t)old, 3 * size));
    }
}

static void test_machmsg_memory__map(void **state)
{
    mach_vm_address_t a = 0;

    (void)state;
    ok(mach_vm_map(SELF, &a, 2 * PAGE, 0xfffff, VM_FLAGS_ANYWHERE, MEMORY_OBJECT_NULL, 0, FALSE,
                   VM_PROT_READ, VM_PROT_DEFAULT, VM_INHERIT_COPY));
    assert_int_equal(a & 0xfffff, 0);
    assert_kr(mach_vm_write(SELF, a, (vm_offset_t)&a, 4), KERN_PROTECTION_FAILURE);
    assert_kr(mach_vm_protect(SELF, a, PAGE, FALSE, VM_PROT_ALL), KERN_PROTECTION_FAILURE);
    ok(mach_vm_protect(SELF, a, PAGE, FALSE, VM_PROT_DEFAULT));
    ok(mach_vm_write(SELF, a, (vm_offset_t)&a, 4));
    ok(mach_vm_protect(SELF, a, PAGE, TRUE, VM_PROT_READ));
    assert_kr(mach_vm_write(SELF, a, (vm_offset_t)&a, 4), KERN_PROTECTION_FAILURE);
    ok(mach_vm_deallocate(SELF, a, 2 * PAGE));
    assert_kr(mach_vm_map(SELF, &a, PAGE, 0, VM_FLAGS_ANYWHERE, 123, 0, FALSE, 3, 7, 1),
              KERN_INVALID_ARGUMENT);
    assert_kr(mach_vm_map(SELF, &a, PAGE, 0, VM_FLAGS_ANYWHERE, 0, 0, FALSE, 3, 1, 1),
              KERN_INVALID_ARGUMENT);
    assert_kr(mach_vm_map(SELF, &a, PAGE, 0, VM_FLAGS_ANYWHERE, 0, 0, FALSE, 3, 7, 9),
              KERN_INVALID_ARGUMENT);
}

/* Every kind of memory, every offset and size around a page's edge. */
static void test_machmsg_memory__read_write_copy(void **state)
{
    static const int offsets[] = {0, 1, 2, 3, 4095, 4096};
    static const int sizes[] = {1, 3, 4096, 4097, 3 * 4096};

    (void)state;
    for (int flags = 0; flags <= VM_FLAGS_PURGABLE; flags += VM_FLAGS_PURGABLE) {
        unsigned char *a = allocate(16 * PAGE, flags), *b = allocate(16 * PAGE, 0);

        fill(a, 16 * PAGE, 2);
        for (size_t o = 0; o < sizeof offsets / sizeof offsets[0]; o++)
            for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
                const mach_vm_size_t n = (mach_vm_size_t)sizes[s];
                mach_msg_type_number_t got;
                vm_offset_t data;
                vm_size_t done;

                ok(vm_read(SELF, (vm_address_t)a + offsets[o], n, &data, &got));
                assert_int_equal(got, n);
                assert_memory_equal((void *)data, a + offsets[o], n);
                ok(vm_write(SELF, (vm_address_t)b + offsets[o], data, got));
                assert_memory_equal(b + offsets[o], a + offsets[o], n);
                ok(vm_deallocate(SELF, data, got));
                memset(b, 0, 16 * PAGE);
                ok(vm_copy(SELF, (vm_address_t)a + offsets[o], n, (vm_address_t)b + 5));
                assert_memory_equal(b + 5, a + offsets[o], n);
                ok(vm_read_overwrite(SELF, (vm_address_t)a + 9, n, (vm_address_t)b, &done));
                assert_int_equal(done, n);
                assert_memory_equal(b, a + 9, n);
            }
        ok(vm_deallocate(SELF, (vm_address_t)a, 16 * PAGE));
        ok(vm_deallocate(SELF, (vm_address_t)b, 16 * PAGE));
    }
}

/* As if all were read before any is written; and where not all can be, nothing is. */
static void test_machmsg_memory__copies_are_whole(void **state)
{
    const size_t n = 12 * PAGE, shifts[] = {1, 100, PAGE, PAGE + 3, 5 * PAGE};
    unsigned char *a = allocate(16 * PAGE, 0), *b = allocate(16 * PAGE, 0);
    unsigned char *was = malloc(16 * PAGE);

    (void)state;
    fill(was, 16 * PAGE, 9);
    for (size_t i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
        const size_t len = n - shifts[i];

        memcpy(a, was, n);
        ok(vm_copy(SELF, (vm_address_t)a, len, (vm_address_t)a + shifts[i]));
        assert_memory_equal(a + shifts[i], was, len);
        memcpy(a, was, n);
        ok(vm_write(SELF, (vm_address_t)a, (vm_offset_t)a + shifts[i],
                    (mach_msg_type_number_t)len));
        assert_memory_equal(a, was + shifts[i], len);
    }
    memcpy(b, was, 16 * PAGE);
    ok(vm_protect(SELF, (vm_address_t)a + 4 * PAGE, PAGE, FALSE, VM_PROT_NONE));
    assert_kr(vm_copy(SELF, (vm_address_t)a, 8 * PAGE, (vm_address_t)b), KERN_PROTECTION_FAILURE);
    assert_memory_equal(b, was, 16 * PAGE);
    ok(vm_protect(SELF, (vm_address_t)b + 4 * PAGE, PAGE, FALSE, VM_PROT_READ));
    assert_kr(vm_write(SELF, (vm_address_t)b, (vm_offset_t)was, 8 * PAGE), KERN_PROTECTION_FAILURE);
    assert_memory_equal(b, was, 16 * PAGE);
    free(was);
    ok(vm_deallocate(SELF, (vm_address_t)a, 16 * PAGE));
    ok(vm_deallocate(SELF, (vm_address_t)b, 16 * PAGE));
}

static void test_machmsg_memory__bad_addresses(void **state)
{
    unsigned char *a = allocate(2 * PAGE, 0);
    mach_msg_type_number_t got = 0;
    vm_offset_t data;

    (void)state;
    ok(vm_deallocate(SELF, (vm_address_t)a + PAGE, PAGE));
    assert_kr(vm_write(SELF, (vm_address_t)a + PAGE - 1, (vm_offset_t)&got, 4),
              KERN_INVALID_ADDRESS);
    assert_kr(vm_read(SELF, (vm_address_t)a + PAGE - 1, 2, &data, &got), KERN_INVALID_ADDRESS);
    assert_kr(vm_copy(SELF, (vm_address_t)a, 2 * PAGE, (vm_address_t)a), KERN_INVALID_ADDRESS);
    assert_kr(vm_protect(SELF, (vm_address_t)a, 2 * PAGE, FALSE, VM_PROT_READ),
              KERN_INVALID_ADDRESS);
    assert_kr(vm_protect(SELF, (vm_address_t)a, 2 * PAGE, TRUE, VM_PROT_READ),
              KERN_INVALID_ADDRESS);
    assert_kr(vm_inherit(SELF, (vm_address_t)a, 2 * PAGE, VM_INHERIT_NONE), KERN_INVALID_ADDRESS);
    assert_kr(vm_inherit(SELF, (vm_address_t)a, 2 * PAGE, VM_INHERIT_SHARE), KERN_INVALID_ADDRESS);
    assert_kr(vm_inherit(SELF, (vm_address_t)a, PAGE, 7), KERN_INVALID_ARGUMENT);
    assert_kr(vm_protect(SELF, (vm_address_t)a, PAGE, FALSE, 0x40), KERN_INVALID_ARGUMENT);
    assert_kr(vm_deallocate(SELF, UINTPTR_MAX - 5, 100), KERN_INVALID_ARGUMENT);
    assert_kr(vm_protect(SELF, UINTPTR_MAX - 5, 100, FALSE, VM_PROT_READ), KERN_INVALID_ARGUMENT);
    assert_kr(vm_inherit(SELF, UINTPTR_MAX - 5, 100, VM_INHERIT_NONE), KERN_INVALID_ARGUMENT);
    ok(vm_deallocate(SELF, (vm_address_t)a, PAGE));
}

/* What a forked child sees of a page that the parent then writes, and the parent of the child's. */
static void check_fork_of(unsigned char *at, vm_size_t size, vm_inherit_t inherit)
{
    int to_child[2], to_parent[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
    at[0] = 'A';
    at[size - 1] = 'A';
    ok(vm_inherit(SELF, (vm_address_t)at, size, inherit));
    assert_int_equal(at[0], 'A'); /* whatever it took to make it so */
    pid = fork();
    if (pid == 0) {
        close(to_child[1]); /* a parent that fails ends the wait below */
        child_check(is_mapped(at) == (inherit != VM_INHERIT_NONE));
        if (inherit != VM_INHERIT_NONE) {
            child_check(at[0] == 'A');
            at[0] = 'C';
        }
        child_check(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 1);
        if (inherit != VM_INHERIT_NONE)
            child_check(at[size - 1] == (inherit == VM_INHERIT_SHARE ? 'P' : 'A'));
        _exit(0);
    }
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    assert_int_equal(at[0], inherit == VM_INHERIT_SHARE ? 'C' : 'A');
    at[size - 1] = 'P';
    assert_int_equal(write(to_child[1], "x", 1), 1);
    expect_child_ok(pid);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

static void check_fork(int flags, vm_size_t size, vm_inherit_t inherit)
{
    unsigned char *at = allocate(size, flags);

    check_fork_of(at, size, inherit);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void test_machmsg_memory__fork_and_inheritance(void **state)
{
    (void)state;
    for (int flags = 0; flags <= VM_FLAGS_PURGABLE; flags += VM_FLAGS_PURGABLE)
        for (vm_size_t pages = 2; pages <= 32; pages *= 16)
            for (vm_inherit_t inherit = 0; inherit <= VM_INHERIT_LAST_VALID; inherit++)
                check_fork(flags, pages * PAGE, inherit);
}

/* What was shared with one child is copied for the next one, when it is to be. */
static void test_machmsg_memory__inheritance_changes(void **state)
{
    static const vm_inherit_t turns[] = {VM_INHERIT_SHARE, VM_INHERIT_COPY,  VM_INHERIT_NONE,
                                         VM_INHERIT_COPY,  VM_INHERIT_SHARE, VM_INHERIT_COPY};

    (void)state;
    for (int flags = 0; flags <= VM_FLAGS_PURGABLE; flags += VM_FLAGS_PURGABLE)
        for (vm_size_t pages = 2; pages <= 32; pages *= 16) {
            unsigned char *at = allocate(pages * PAGE, flags);

            for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
                check_fork_of(at, pages * PAGE, turns[i]);
            ok(vm_deallocate(SELF, (vm_address_t)at, pages * PAGE));
        }
}

/* A part of memory that an earlier fork made private is shared, and then copied again. */
static void test_machmsg_memory__a_part_is_inherited(void **state)
{
    static const vm_inherit_t turns[] = {VM_INHERIT_SHARE, VM_INHERIT_COPY, VM_INHERIT_NONE};
    unsigned char *at = allocate(32 * PAGE, 0);

    (void)state;
    check_fork_of(at, 32 * PAGE, VM_INHERIT_COPY);
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++)
        check_fork_of(at + 8 * PAGE, 16 * PAGE, turns[i]);
    ok(vm_deallocate(SELF, (vm_address_t)at, 32 * PAGE));
}

/* Memory that the program got elsewhere can be shared with a child too. */
static void test_machmsg_memory__foreign_memory_is_inherited(void **state)
{
    (void)state;
    for (vm_inherit_t inherit = 0; inherit <= VM_INHERIT_LAST_VALID; inherit++) {
        unsigned char *at =
            mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(at, MAP_FAILED);
        check_fork_of(at + PAGE, 4 * PAGE, inherit);
        ok(vm_deallocate(SELF, (vm_address_t)at, 8 * PAGE));
    }
}

static void test_machmsg_memory__foreign_memory_has_a_maximum(void **state)
{
    unsigned char *at =
        mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const vm_address_t second = (vm_address_t)at + PAGE;

    (void)state;
    assert_ptr_not_equal(at, MAP_FAILED);
    ok(vm_protect(SELF, second, PAGE, TRUE, VM_PROT_READ));
    assert_kr(vm_write(SELF, second, (vm_offset_t)&at, 4), KERN_PROTECTION_FAILURE);
    assert_kr(vm_protect(SELF, second, PAGE, FALSE, VM_PROT_DEFAULT), KERN_PROTECTION_FAILURE);
    ok(vm_write(SELF, (vm_address_t)at, (vm_offset_t)&at, 4));
    ok(vm_deallocate(SELF, (vm_address_t)at, 4 * PAGE));
}

/* How the layer keeps memory is its own affair: an object that nobody else maps is not shared. */
static void test_machmsg_memory__regions_tell_what_was_asked(void **state)
{
    const vm_inherit_t inherit[] = {VM_INHERIT_COPY, VM_INHERIT_SHARE};
    unsigned char *at = allocate(32 * PAGE, VM_MAKE_TAG(VM_MEMORY_APPLICATION_SPECIFIC_1));

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        vm_region_extended_info_data_t extended = {0};
        vm_region_basic_info_data_64_t basic = {0};
        mach_vm_address_t address = (mach_vm_address_t)at;
        mach_msg_type_number_t count = VM_REGION_BASIC_INFO_COUNT_64;
        mach_vm_size_t size;

        ok(vm_inherit(SELF, (vm_address_t)at, 32 * PAGE, inherit[i]));
        ok(mach_vm_region(SELF, &address, &size, VM_REGION_BASIC_INFO_64, (vm_region_info_t)&basic,
                          &count, NULL));
        assert_int_equal(basic.shared, inherit[i] == VM_INHERIT_SHARE);
        assert_int_equal(basic.inheritance, inherit[i]);
        count = VM_REGION_EXTENDED_INFO_COUNT;
        ok(mach_vm_region(SELF, &address, &size, VM_REGION_EXTENDED_INFO,
                          (vm_region_info_t)&extended, &count, NULL));
        assert_int_equal(extended.user_tag, VM_MEMORY_APPLICATION_SPECIFIC_1);
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, 32 * PAGE));
}

/* The connection to the observer stays for the next question: it is no leak. */
static int start_observer(void **state)
{
    vm_region_extended_info_data_t info = {0};
    mach_vm_address_t address = (mach_vm_address_t)&info;
    mach_msg_type_number_t count = VM_REGION_EXTENDED_INFO_COUNT;
    mach_vm_size_t size;

    (void)state;
    return mach_vm_region(SELF, &address, &size, VM_REGION_EXTENDED_INFO, (vm_region_info_t)&info,
                          &count, NULL);
}

static void nothing(int sig)
{
    (void)sig;
}

/* A program whose signals come all the while is told all the same. */
static void test_machmsg_memory__regions_between_signals(void **state)
{
    const struct itimerval often = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
    const struct sigaction act = {.sa_handler = nothing};
    struct sigaction before;
    kern_return_t kr = KERN_SUCCESS;

    sigaction(SIGALRM, &act, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 50 && kr == KERN_SUCCESS; i++)
        kr = start_observer(state);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    ok(kr);
}

/* What the program did to the memory itself is still so after a fork: other memory in its place,
 * another protection, a hole. */
static void test_machmsg_memory__fork_leaves_what_the_program_changed(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    pid_t pid;

    (void)state;
    memset(at, 'O', size);
    assert_true(mmap(at + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    at[4 * PAGE] = 'N';
    assert_int_equal(mprotect(at + 8 * PAGE, PAGE, PROT_READ), 0);
    assert_int_equal(munmap(at + 12 * PAGE, PAGE), 0);
    pid = fork();
    if (pid == 0) {
        child_check(at[4 * PAGE] == 'N' && at[0] == 'O' && at[31 * PAGE] == 'O');
        child_check(!is_mapped(at + 12 * PAGE));
        at[20 * PAGE] = 'C';
        _exit(0);
    }
    expect_child_ok(pid);
    assert_int_equal(at[4 * PAGE], 'N');
    assert_int_equal(at[20 * PAGE], 'O');
    assert_int_equal(at[8 * PAGE], 'O');
    assert_kr(vm_write(SELF, (vm_address_t)at + 8 * PAGE, (vm_offset_t)at, 1),
              KERN_PROTECTION_FAILURE);
    assert_false(is_mapped(at + 12 * PAGE));
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Memory that moved is no less isolated by a fork: the program may have moved it without a word, as
 * a whole or in part, or have it twice. */
static void test_machmsg_memory__fork_finds_what_the_program_moved(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *to, *twice;
    pid_t pid;

    (void)state;
    memset(at, 'A', size);
    to = mremap(at + 8 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                allocate(8 * PAGE, VM_FLAGS_PURGABLE));
    twice = mremap(at, 0, size, MREMAP_MAYMOVE);
    assert_true(to != MAP_FAILED && twice != MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        child_check(at[0] == 'A' && to[0] == 'A' && twice[9 * PAGE] == 'A');
        memset(at, 'C', PAGE);
        memset(to, 'C', PAGE);
        memset(twice, 'C', size);
        _exit(0);
    }
    expect_child_ok(pid);
    assert_true(at[0] == 'A' && at[31 * PAGE] == 'A' && to[0] == 'A');
    assert_true(twice[0] == 'A' && twice[9 * PAGE] == 'A');
    ok(vm_deallocate(SELF, (vm_address_t)twice, size));
    ok(vm_deallocate(SELF, (vm_address_t)to, 8 * PAGE));
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void deallocated(unsigned char *at, vm_size_t size)
{
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

static void allocated_there(unsigned char *at, vm_size_t size)
{
    vm_address_t a = (vm_address_t)at;

    ok(vm_allocate(SELF, &a, size, VM_FLAGS_FIXED));
}

static void allocated_over(unsigned char *at, vm_size_t size)
{
    vm_address_t a = (vm_address_t)at;

    ok(vm_allocate(SELF, &a, size, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE));
}

static void moved_over(unsigned char *at, vm_size_t size)
{
    assert_int_equal(machmsg_move((uint64_t)allocate(size, 0), (uint64_t)at, size), 0);
}

static void replaced_and_deallocated(unsigned char *at, vm_size_t size)
{
    assert_true(mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
    deallocated(at, size);
}

/* ... and its old address may be given back or become other memory before the fork: all of it, or
 * where but a part was moved. */
static void test_machmsg_memory__moved_memory_outlives_its_address(void **state)
{
    static void (*const uses[])(unsigned char *at, vm_size_t size) = {
        deallocated, allocated_there, allocated_over, moved_over, replaced_and_deallocated};
    const vm_size_t size = 32 * PAGE;

    (void)state;
    for (size_t use = 0; use < 2 * sizeof uses / sizeof uses[0]; use++) {
        const vm_size_t from = use % 2 ? 16 * PAGE : 0;
        unsigned char *at = allocate(size, 0);
        unsigned char *to =
            mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(to != MAP_FAILED);
        assert_true(mremap(at + from, size - from, size - from, MREMAP_MAYMOVE | MREMAP_FIXED,
                           to + PAGE) == to + PAGE);
        if (uses[use / 2] == allocated_there)
            munmap(at, from);
        uses[use / 2](at, size);
        check_fork_of(to + PAGE, size - from, VM_INHERIT_COPY);
        ok(vm_deallocate(SELF, (vm_address_t)at, size));
        ok(vm_deallocate(SELF, (vm_address_t)to, size + 2 * PAGE));
    }
}

/* Closes the descriptors that the layer has for its objects (and no other's). */
static void close_objects(void)
{
    char link[64], file[64];

    for (int fd = 3; fd < 1024; fd++) {
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, file, sizeof file - 1);
        file[n > 0 ? n : 0] = 0;
        if (strncmp(file, "/memfd:mach", 11) == 0)
            close(fd);
    }
}

static unsigned char *file_over(unsigned char *at, vm_size_t size)
{
    FILE *f = tmpfile();

    assert_true(f && ftruncate(fileno(f), (off_t)size) == 0);
    assert_ptr_equal(mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fileno(f), 0),
                     at);
    memset(at, 'F', size);
    fclose(f);
    return at;
}

static void nothing_there(unsigned char *at, vm_size_t size)
{
    (void)at;
    (void)size;
    for (int i = 0; i < 8; i++) /* the layer looks for what is gone */
        deallocated(allocate(PAGE, 0), PAGE);
}

static void a_file_there(unsigned char *at, vm_size_t size)
{
    file_over(at, size);
}

static void a_file_there_inherited(unsigned char *at, vm_size_t size)
{
    ok(vm_inherit(SELF, (vm_address_t)file_over(at, size), size, VM_INHERIT_COPY));
}

/* ... and its descriptor may be closed, so that it can be read only where it is mapped: not at its
 * old address, where nothing or another file is by now. All of it was moved, or its upper half. */
static void test_machmsg_memory__moved_memory_without_a_descriptor(void **state)
{
    static void (*const uses[])(unsigned char *at, vm_size_t size) = {
        nothing_there, a_file_there, a_file_there_inherited, deallocated, allocated_there};
    const vm_size_t size = 32 * PAGE;

    (void)state;
    for (size_t use = 0; use < 2 * sizeof uses / sizeof uses[0]; use++) {
        const vm_size_t from = use % 2 ? 16 * PAGE : 0, left = size - from;
        unsigned char *at = allocate(size, 0), *to, there;
        pid_t pid;

        fill(at, size, 5);
        to = mremap(at + from, left, left, MREMAP_MAYMOVE | MREMAP_FIXED,
                    mmap(NULL, left, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        assert_true(to != MAP_FAILED);
        close_objects();
        uses[use / 2](at + from, left);
        there = is_mapped(at + from) ? at[from] : 0;
        pid = fork();
        if (pid == 0) {
            child_check(to[1] == (unsigned char)((from + 1) * 7 + (from + 1) / 256 + 5));
            child_check(to[left - 1] == (unsigned char)((size - 1) * 7 + (size - 1) / 256 + 5));
            child_check((is_mapped(at + from) ? at[from] : 0) == there);
            child_check(from == 0 || at[1] == (unsigned char)(7 + 5));
            memset(to, 'C', left);
            memset(at, 'C', from);
            _exit(0);
        }
        expect_child_ok(pid);
        assert_int_equal(to[1], (unsigned char)((from + 1) * 7 + (from + 1) / 256 + 5));
        assert_true(from == 0 || at[1] == (unsigned char)(7 + 5));
        deallocated(at, size);
        deallocated(to, left);
    }
}

/* What can be copied for a child nowhere is taken from it, and nothing that lies at its old
 * address. */
static void test_machmsg_memory__what_is_taken_from_a_child(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *to;
    pid_t pid;

    (void)state;
    to = mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, allocate(size, VM_FLAGS_PURGABLE));
    assert_true(to != MAP_FAILED);
    file_over(at, size);
    assert_int_equal(mprotect(to + PAGE, PAGE, PROT_NONE), 0);
    close_objects();
    pid = fork();
    if (pid == 0) {
        child_check(!is_mapped(to) && is_mapped(at) && at[size - 1] == 'F');
        _exit(0);
    }
    expect_child_ok(pid);
    deallocated(at, size);
    deallocated(to, size);
}

/* What the program mapped in the place of the layer's memory is the program's: that it is to be
 * inherited otherwise puts no copy in its place. */
static void test_machmsg_memory__inheritance_leaves_the_programs_file(void **state)
{
    const vm_size_t size = 2 * PAGE;
    unsigned char *at = file_over(allocate(size, 0), size),
                  *twice = mremap(at, 0, size, MREMAP_MAYMOVE);

    (void)state;
    assert_true(twice != MAP_FAILED);
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_SHARE));
    at[0] = 'W';
    assert_int_equal(twice[0], 'W');
    deallocated(at, size);
    deallocated(twice, size);
}

/* ... and it is the layer's again where it is. */
static void test_machmsg_memory__moved_memory_is_taken_back(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *to;
    mach_msg_ool_descriptor_t d;

    (void)state;
    fill(at, size, 1);
    to = mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, allocate(size, VM_FLAGS_PURGABLE));
    assert_true(to != MAP_FAILED);
    deallocated(at, size);
    d = transfer(to, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.done, "shared");
    release(&d);
    deallocated(to, size);
}

/* Told of a move, the layer goes on as before: sharing a whole object, taking it back, and all that
 * was asked for each of its parts. */
static void test_machmsg_memory__moved_by_the_layer(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0), *to = allocate(size + 8 * PAGE, 0) + 4 * PAGE;
    mach_msg_ool_descriptor_t d;

    (void)state;
    fill(at, size, 3);
    assert_int_equal(machmsg_move((uint64_t)at, (uint64_t)to + 1, size), -EINVAL);
    assert_true(is_mapped(at));
    assert_int_equal(machmsg_move((uint64_t)at, (uint64_t)to, size), 0);
    assert_false(is_mapped(at));
    d = transfer(to, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.done, "shared");
    assert_memory_equal(d.address, to, size);
    release(&d);
    check_fork_of(to, size, VM_INHERIT_COPY);
    ok(vm_inherit(SELF, (vm_address_t)to + 4 * PAGE, 4 * PAGE, VM_INHERIT_NONE));
    assert_int_equal(machmsg_move((uint64_t)to, (uint64_t)at, 6 * PAGE), 0);
    check_fork_of(to + 8 * PAGE, 24 * PAGE, VM_INHERIT_SHARE);
    check_fork_of(at, 4 * PAGE, VM_INHERIT_COPY);
    check_fork_of(to + 6 * PAGE, 2 * PAGE, VM_INHERIT_NONE);
    ok(vm_deallocate(SELF, (vm_address_t)at, 6 * PAGE));
    ok(vm_deallocate(SELF, (vm_address_t)to - 4 * PAGE, size + 8 * PAGE));
}

static void test_machmsg_memory__moved_purgeable_memory_is_purgeable(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, VM_FLAGS_PURGABLE), *to = allocate(size, 0);
    mach_msg_ool_descriptor_t d;

    (void)state;
    assert_int_equal(machmsg_move((uint64_t)at, (uint64_t)to, size), 0);
    d = transfer(to, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why,
                        "purgeable memory: copied page by page, untouched pages skipped");
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)to, size));
}

static long locked_kb(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long kb = -1;

    while (kb < 0 && fgets(line, sizeof line, f))
        (void)!sscanf(line, "VmLck: %ld", &kb);
    fclose(f);
    return kb;
}

/* A lock is the mapping's: where the layer would map it anew, the memory stays as it is, and a
 * child gets a copy, as it gets one of what is shared with another. */
static void test_machmsg_memory__wired_memory_stays_wired(void **state)
{
    const vm_size_t size = 16 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;
    long locked;

    (void)state;
    if (syscall(SYS_mlock, at, size)) {
        ok(vm_deallocate(SELF, (vm_address_t)at, size));
        skip_needs("a higher RLIMIT_MEMLOCK");
        return;
    }
    locked = locked_kb();
    check_fork_of(at, size, VM_INHERIT_COPY);
    assert_int_equal(locked_kb(), locked);
    setenv("COWLAB_MACH_POLICY", "native", 1);
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why,
                        "wired memory: copied page by page, untouched pages skipped");
    assert_int_equal(locked_kb(), locked);
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Private memory, wired, that is then to be shared. */
static void test_machmsg_memory__wired_memory_is_wired_when_shared(void **state)
{
    const vm_size_t size = 16 * PAGE;
    unsigned char *at = allocate(size, VM_FLAGS_PURGABLE);
    long locked;

    (void)state;
    at[0] = 'L';
    if (syscall(SYS_mlock, at, size)) {
        ok(vm_deallocate(SELF, (vm_address_t)at, size));
        skip_needs("a higher RLIMIT_MEMLOCK");
        return;
    }
    locked = locked_kb();
    check_fork_of(at, size, VM_INHERIT_SHARE);
    assert_int_equal(locked_kb(), locked);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* What a child is not to have it does not have after a send either, which maps the object anew. */
static void test_machmsg_memory__sent_memory_is_kept_from_a_child(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;

    (void)state;
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_NONE));
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.done, "shared");
    pid_t pid = fork();
    if (pid == 0) {
        child_check(!is_mapped(at));
        _exit(0);
    }
    expect_child_ok(pid);
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* After a fork parent and child have views of one object; both can send it on without a copy. */
static void test_machmsg_memory__sent_by_parent_and_child(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;
    pid_t pid;

    (void)state;
    fill(at, size, 4);
    for (int round = 0; round < 2; round++) {
        pid = fork();
        if (pid == 0) {
            mach_port_t p = mach_reply_port();
            union message m = ool_message(p, at, (mach_msg_size_t)size, 1, false);

            child_check(send_message(&m) == 0 && receive(&m, p) == 0);
            child_check(strcmp(seen.sent.done, "shared") == 0);
            child_check(memcmp(m.ool.d.address, at, size) == 0);
            _exit(0);
        }
        expect_child_ok(pid);
        d = transfer(at, (mach_msg_size_t)size, 1, false);
        assert_string_equal(seen.sent.done, "shared");
        assert_memory_equal(d.address, at, size);
        release(&d);
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Memory shared with a forked task can change after a send: it must not be sent by sharing. */
static void test_machmsg_memory__shared_by_inheritance_is_copied(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    mach_msg_ool_descriptor_t d;
    int go[2], done[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(go) | pipe(done), 0);
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_SHARE));
    at[0] = 'A';
    pid = fork();
    if (pid == 0) {
        child_check(read(go[0], &byte, 1) == 1);
        at[0] = 'C';
        child_check(write(done[1], "x", 1) == 1);
        _exit(0);
    }
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why, "memory shared with a forked task: copied once");
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(read(done[0], &byte, 1), 1);
    assert_int_equal(at[0], 'C');
    assert_int_equal(((char *)d.address)[0], 'A');
    expect_child_ok(pid);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(done[i]);
    }
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* Who shares memory with a child goes on sharing it when later children are to get copies: what it
 * sends must not change with what that child writes. */
static void test_machmsg_memory__shared_with_a_child_is_copied_when_sent(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    vm_region_basic_info_data_64_t basic = {0};
    mach_vm_address_t address = (mach_vm_address_t)at;
    mach_msg_type_number_t count = VM_REGION_BASIC_INFO_COUNT_64;
    mach_vm_size_t told;
    mach_msg_ool_descriptor_t d;
    int go[2], done[2];
    pid_t sharer;
    char byte;

    (void)state;
    assert_int_equal(pipe2(go, O_CLOEXEC) | pipe2(done, O_CLOEXEC), 0);
    memset(at, 'A', size);
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_SHARE));
    sharer = fork();
    if (sharer == 0) {
        child_check(read(go[0], &byte, 1) == 1);
        at[0] = 'S';
        child_check(write(done[1], "x", 1) == 1);
        _exit(0);
    }
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_COPY));
    ok(mach_vm_region(SELF, &address, &told, VM_REGION_BASIC_INFO_64, (vm_region_info_t)&basic,
                      &count, NULL));
    assert_true(basic.shared);
    d = transfer(at, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.why, "memory shared with a forked task: copied once");
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(read(done[0], &byte, 1), 1);
    assert_int_equal(((char *)d.address)[0], 'A');
    assert_int_equal(at[0], 'S');
    expect_child_ok(sharer);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(done[i]);
    }
    release(&d);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* A child that shares memory goes on sharing it while later children get copies. */
static void test_machmsg_memory__shared_with_one_child_copied_for_the_next(void **state)
{
    const vm_size_t size = 32 * PAGE;
    unsigned char *at = allocate(size, 0);
    int go[2], done[2];
    pid_t sharer, copier;
    union message m;
    char byte;

    (void)state;
    assert_int_equal(pipe2(go, O_CLOEXEC) | pipe2(done, O_CLOEXEC), 0);
    memset(at, 'A', size);
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_SHARE));
    sharer = fork();
    if (sharer == 0) {
        child_check(read(go[0], &byte, 1) == 1);
        child_check(at[0] == 'P');
        at[PAGE] = 'S';
        child_check(write(done[1], "x", 1) == 1);
        _exit(0);
    }
    ok(vm_inherit(SELF, (vm_address_t)at, size, VM_INHERIT_COPY));
    copier = fork();
    if (copier == 0) {
        at[2 * PAGE] = 'C';
        child_check(write(done[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1);
        child_check(at[0] == 'A' && at[PAGE] == 'A');
        /* Its copy is an object of its own, exactly as large. */
        m = ool_message(mach_reply_port(), at, (mach_msg_size_t)size, 1, false);
        child_check(send_message(&m) == 0 && strcmp(seen.sent.done, "shared") == 0);
        child_check(seen.object_bytes == (off_t)size);
        _exit(0);
    }
    assert_int_equal(read(done[0], &byte, 1), 1);
    assert_int_equal(at[2 * PAGE], 'A');
    at[0] = 'P';
    assert_int_equal(write(go[1], "xx", 2), 2); /* the sharer answers, whichever hears first */
    assert_int_equal(read(done[0], &byte, 1), 1);
    assert_int_equal(at[PAGE], 'S');
    expect_child_ok(sharer);
    expect_child_ok(copier);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(done[i]);
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
}

/* What a child was not to have it still does not have. */
static void test_machmsg_memory__failed_inherit_changes_nothing(void **state)
{
    static const vm_inherit_t to[] = {VM_INHERIT_COPY, VM_INHERIT_SHARE};
    unsigned char *at = allocate(32 * PAGE, 0);
    pid_t pid;

    (void)state;
    at[0] = 'A';
    ok(vm_inherit(SELF, (vm_address_t)at, 32 * PAGE, VM_INHERIT_NONE));
    ok(vm_deallocate(SELF, (vm_address_t)at + 31 * PAGE, PAGE));
    for (size_t i = 0; i < 2; i++) {
        assert_kr(vm_inherit(SELF, (vm_address_t)at, 32 * PAGE, to[i]), KERN_INVALID_ADDRESS);
        pid = fork();
        if (pid == 0) {
            child_check(!is_mapped(at));
            _exit(0);
        }
        expect_child_ok(pid);
    }
    ok(vm_deallocate(SELF, (vm_address_t)at, 31 * PAGE));
}

/* --- many --- */

/* Runs fn in a process of its own that has no more descriptors than that. */
static void in_a_table_of(rlim_t soft, rlim_t hard, void (*fn)(void))
{
    const struct rlimit limit = {soft, hard};
    struct rlimit is;
    pid_t pid;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &is), 0);
    if (under_valgrind() || is.rlim_max < hard) {
        skip_needs("a higher RLIMIT_NOFILE, and no valgrind, which has descriptors of its own");
        return;
    }
    alarm(600); /* for hangs only */
    pid = fork();
    if (pid == 0) {
        child_check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        fn();
        _exit(0);
    }
    expect_child_ok(pid);
}

/* Descriptors that the program itself can have yet. */
static int own_room(int most)
{
    int fd[512], n = 0;

    while (n < most && (fd[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    for (int i = 0; i < n; i++)
        close(fd[i]);
    return n;
}

enum { MANY = 10000 };
static unsigned char *many[MANY];
static const vm_size_t many_pages = 9; /* not small */

static unsigned char *allocate_in_child(void)
{
    vm_address_t a = 0;

    child_check(vm_allocate(SELF, &a, many_pages * PAGE, VM_FLAGS_ANYWHERE) == KERN_SUCCESS);
    return (unsigned char *)a;
}

static unsigned char seed_of(int i)
{
    return (unsigned char)(i % 251 + 1);
}

static bool holds(const unsigned char *at, unsigned char first, unsigned char last)
{
    for (vm_size_t page = 1; page < many_pages - 1; page++)
        if (at[page * PAGE])
            return false;
    return at[0] == first && at[many_pages * PAGE - 1] == last;
}

static void allocate_many(void)
{
    for (int i = 0; i < MANY; i++) {
        many[i] = allocate_in_child();
        many[i][0] = many[i][many_pages * PAGE - 1] = seed_of(i);
        child_check(own_room(32) == 32);
    }
    for (int i = 0; i < MANY; i++)
        child_check(holds(many[i], seed_of(i), seed_of(i)));
}

static void deallocate_many(int regions)
{
    for (int i = 0; i < regions; i++)
        child_check(vm_deallocate(SELF, (vm_address_t)many[i], many_pages * PAGE) == KERN_SUCCESS);
}

/* One after the other, kept until all are there. */
static void send_many(void)
{
    static unsigned char *got[MANY];
    mach_port_t p = mach_reply_port();

    for (int i = 0; i < MANY; i++) {
        union message m = ool_message(p, many[i], (mach_msg_size_t)(many_pages * PAGE), 1, false);

        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        got[i] = m.ool.d.address;
        many[i][0] = 'S'; /* each side has its own */
        got[i][many_pages * PAGE - 1] = 'R';
    }
    child_check(own_room(32) == 32);
    for (int i = 0; i < MANY; i++) {
        child_check(holds(got[i], seed_of(i), 'R') && holds(many[i], 'S', seed_of(i)));
        many[i][0] = seed_of(i);
    }
    for (int i = 0; i < MANY; i++) { /* what came without a descriptor goes on all the same */
        union message m = ool_message(p, got[i], (mach_msg_size_t)(many_pages * PAGE), 1, true);

        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        child_check(holds(m.ool.d.address, seed_of(i), 'R') && !is_mapped(got[i]));
        child_check(vm_deallocate(SELF, (vm_address_t)m.ool.d.address, many_pages * PAGE) ==
                    KERN_SUCCESS);
    }
    child_check(mach_port_destroy(SELF, p) == KERN_SUCCESS);
}

/* A third is copied, one is shared, one is not inherited: and what was shared is copied again. */
static void inherit_many(void)
{
    int status;
    pid_t pid;

    for (int i = 0; i < MANY; i++)
        child_check(vm_inherit(SELF, (vm_address_t)many[i], many_pages * PAGE,
                               (vm_inherit_t)(i % 3)) == KERN_SUCCESS);
    for (int again = 0; again < 2; again++) {
        pid = fork();
        for (int i = 0; pid == 0 && i < MANY; i++) {
            child_check(is_mapped(many[i]) == (i % 3 != VM_INHERIT_NONE));
            if (i % 3 == VM_INHERIT_NONE)
                continue;
            child_check(holds(many[i], seed_of(i), seed_of(i)));
            many[i][0] = 'C';
        }
        if (pid == 0)
            _exit(0);
        child_check(waitpid(pid, &status, 0) == pid && status == 0);
        for (int i = 0; i < MANY; i++) {
            child_check(many[i][0] == (i % 3 == VM_INHERIT_SHARE ? 'C' : seed_of(i)));
            many[i][0] = seed_of(i);
        }
    }
}

/* Before any child shares it, shared memory becomes memory to be copied again. */
static void unshare_many(void)
{
    int status;
    pid_t pid;

    for (int i = 0; i < MANY; i++) {
        child_check(vm_inherit(SELF, (vm_address_t)many[i], many_pages * PAGE, VM_INHERIT_SHARE) ==
                    KERN_SUCCESS);
        child_check(vm_inherit(SELF, (vm_address_t)many[i], many_pages * PAGE, VM_INHERIT_COPY) ==
                    KERN_SUCCESS);
    }
    pid = fork();
    for (int i = 0; pid == 0 && i < MANY; i++) {
        child_check(holds(many[i], seed_of(i), seed_of(i)));
        many[i][0] = 'C';
    }
    if (pid == 0)
        _exit(0);
    child_check(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < MANY; i++)
        child_check(holds(many[i], seed_of(i), seed_of(i)));
}

static void many_regions(void)
{
    const int before = open_descriptors();

    allocate_many();
    send_many();
    unshare_many();
    inherit_many();
    child_check(own_room(32) == 32);
    deallocate_many(MANY);
    child_check(open_descriptors() == before);
}

/* Ten thousand regions of memory where there are a thousand descriptors. */
static void test_machmsg_memory__more_regions_than_descriptors(void **state)
{
    (void)state;
    in_a_table_of(1024, 1024, many_regions);
}

static void regions_without_their_descriptors(void)
{
    int why_copied = 0, shared = 0;
    mach_port_t p = mach_reply_port();

    for (int i = 0; i < 100; i++)
        many[i] = allocate_in_child();
    for (int i = 0; i < 100; i++) {
        union message m = ool_message(p, many[i], (mach_msg_size_t)(many_pages * PAGE), 1, false);

        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        shared += strcmp(seen.sent.done, "shared") == 0;
        why_copied += strcmp(seen.sent.why,
                             "no descriptor or memory for an object of its own: copied once") == 0;
    }
    child_check(shared > 0 && why_copied > 0 && shared + why_copied == 100);
}

/* What is copied for want of a descriptor says so; and as long as there are plenty, nothing is. */
static void test_machmsg_memory__no_descriptor_to_keep(void **state)
{
    (void)state;
    in_a_table_of(128, 128, regions_without_their_descriptors);
}

static void beyond_the_soft_limit(void)
{
    mach_port_t ports[200], p = mach_reply_port();
    struct rlimit is;
    int status;

    for (int i = 0; i < 200; i++)
        ports[i] = mach_reply_port();
    for (int i = 0; i < 400; i++) {
        union message m;

        many[i] = allocate_in_child();
        many[i][0] = seed_of(i);
        m = ool_message(p, many[i], (mach_msg_size_t)(many_pages * PAGE), 1, false);
        child_check(send_message(&m) == 0 && strcmp(seen.sent.done, "shared") == 0);
        child_check(receive(&m, p) == 0 && *(unsigned char *)m.ool.d.address == seed_of(i));
        m = port_message(p, ports[i / 2], MACH_MSG_TYPE_MOVE_RECEIVE);
        child_check(i % 2 || (send_message(&m) == 0 && receive(&m, p) == 0));
        ports[i / 2] = i % 2 ? ports[i / 2] : m.port.d.name;
    }
    child_check(getrlimit(RLIMIT_NOFILE, &is) == 0 && is.rlim_cur == 64 && is.rlim_max == 4096);
    child_check(own_room(16) == 16 && own_room(100) < 64); /* numbers for select() */
    status = system("test $(ulimit -Sn) = 64 && test $(ls /proc/self/fd | wc -l) -lt 10");
    child_check(status == 0);
}

/* What the layer keeps is above the program's limit, which stays what it is: for the program's own
 * descriptors, and for what it executes. */
static void test_machmsg_memory__beyond_the_soft_limit(void **state)
{
    (void)state;
    in_a_table_of(64, 4096, beyond_the_soft_limit);
}

static void expect_given_back(int before, bool at_a_fork)
{
    if (at_a_fork) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        expect_child_ok(pid);
    } else { /* while memory comes and goes */
        for (int i = 0; i < 8; i++)
            ok(vm_deallocate(SELF, (vm_address_t)allocate(PAGE, 0), PAGE));
    }
    assert_int_equal(open_descriptors(), before);
}

/* Memory of the layer's that the program takes away itself: its descriptors go too. */
static void test_machmsg_memory__unmapped_by_the_program(void **state)
{
    const vm_size_t size = many_pages * PAGE;
    const int start = open_descriptors(), n = 300;
    unsigned char *at, *got, *stays[100];
    int before;

    (void)state;
    for (int i = 0; i < 100; i++)
        *(stays[i] = allocate(size, 0)) = 'S';
    before = open_descriptors();
    for (int i = 0; i < n; i++)
        assert_int_equal(munmap(allocate(size, 0), size), 0);
    expect_given_back(before, false);
    for (int i = 0; i < n; i++)
        many[i] = allocate(size, 0);
    for (int i = 0; i < n; i++) /* half of it, then the other */
        assert_int_equal(munmap(many[i], 4 * PAGE), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(munmap(many[i] + 4 * PAGE, size - 4 * PAGE), 0);
    expect_given_back(before, false);
    for (int i = 0; i < n; i++) { /* what was received */
        at = allocate(size, 0);
        at[0] = 'A';
        got = transfer(at, (mach_msg_size_t)size, 1, true).address;
        assert_int_equal(munmap(got, size), 0);
    }
    expect_given_back(before, false);
    at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < n; i++) /* moved over the one before */
        assert_ptr_equal(mremap(allocate(size, 0), size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at),
                         at);
    assert_int_equal(munmap(at, size), 0);
    expect_given_back(before, false);
    for (int i = 0; i < n; i++) { /* replaced */
        many[i] = allocate(size, 0);
        assert_ptr_equal(mmap(many[i], size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         many[i]);
        many[i][0] = 'N';
    }
    at = allocate(size, 0); /* so that the fork has to look */
    expect_given_back(before + 1, true);
    ok(vm_deallocate(SELF, (vm_address_t)at, size));
    for (int i = 0; i < n; i++) {
        assert_int_equal(many[i][0], 'N');
        assert_int_equal(munmap(many[i], size), 0);
    }
    expect_given_back(before, false);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stays[i][0], 'S');
        ok(vm_deallocate(SELF, (vm_address_t)stays[i], size));
    }
    assert_int_equal(open_descriptors(), start);
}

/* Of memory that is cut or mapped elsewhere too, what is left stays the layer's: it is isolated. */
static void test_machmsg_memory__what_is_left_is_kept(void **state)
{
    const vm_size_t size = many_pages * PAGE;
    unsigned char *cut = allocate(size, 0), *moved = allocate(size, 0), *to;
    pid_t pid;

    (void)state;
    cut[5 * PAGE] = moved[0] = 'A';
    assert_int_equal(munmap(cut, PAGE), 0);
    to = mremap(moved, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    assert_true(to != MAP_FAILED);
    for (int i = 0; i < 8; i++)
        ok(vm_deallocate(SELF, (vm_address_t)allocate(size, 0), size));
    pid = fork();
    if (pid == 0) {
        child_check(cut[5 * PAGE] == 'A' && to[0] == 'A');
        cut[5 * PAGE] = to[0] = 'C';
        _exit(0);
    }
    expect_child_ok(pid);
    assert_true(cut[5 * PAGE] == 'A' && to[0] == 'A');
    ok(vm_deallocate(SELF, (vm_address_t)cut, size));
    ok(vm_deallocate(SELF, (vm_address_t)moved, size));
    ok(vm_deallocate(SELF, (vm_address_t)to, size));
}

/* Two that changed places are each found in the other's. */
static void test_machmsg_memory__exchanged_by_the_program(void **state)
{
    const vm_size_t size = many_pages * PAGE;
    unsigned char *a = allocate(size, 0), *b = allocate(size, 0), *c = allocate(size, 0);
    unsigned char *room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int how = MREMAP_MAYMOVE | MREMAP_FIXED;
    pid_t pid;

    (void)state;
    a[0] = 'A';
    b[0] = 'B';
    assert_ptr_equal(mremap(a, size, size, how, room), room);
    assert_ptr_equal(mremap(b, size, size, how, a), a);
    assert_ptr_equal(mremap(room, size, size, how, b), b);
    /* A third one that moved has all of them followed. */
    assert_ptr_equal(mremap(c, size, size, how, room), room);
    ok(vm_deallocate(SELF, (vm_address_t)c, size));
    transfer(a, (mach_msg_size_t)size, 1, false);
    assert_string_equal(seen.sent.done, "shared");
    assert_int_equal(((unsigned char *)seen.received.address)[0], 'B');
    ok(vm_deallocate(SELF, seen.received.address, size));
    pid = fork();
    if (pid == 0) {
        child_check(a[0] == 'B' && b[0] == 'A');
        a[0] = b[0] = room[0] = 'C';
        _exit(0);
    }
    expect_child_ok(pid);
    assert_true(a[0] == 'B' && b[0] == 'A' && room[0] == 0);
    ok(vm_deallocate(SELF, (vm_address_t)a, size));
    ok(vm_deallocate(SELF, (vm_address_t)b, size));
    ok(vm_deallocate(SELF, (vm_address_t)room, size));
}

static void ports_to_the_limit(void)
{
    static mach_port_t ports[1024];
    kern_return_t kr;
    union message m;
    int n = 0;

    /* They take what memory holds for nothing. */
    for (int i = 0; i < 600; i++) {
        unsigned char *at = allocate_in_child();

        child_check(mmap(at, many_pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                         -1, 0) == at);
    }
    while ((kr = mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &ports[n])) == 0)
        n++;
    child_check(kr == KERN_RESOURCE_SHORTAGE && n > 450);
    child_check(own_room(32) == 32);
    m = header_to(ports[n - 1], MACH_MSG_TYPE_MAKE_SEND);
    child_check(send_message(&m) == 0 && receive(&m, ports[n - 1]) == 0);
    many[0] = allocate_in_child();
    many[0][0] = 'A';
    m = ool_message(ports[0], many[0], (mach_msg_size_t)(many_pages * PAGE), 1, true);
    child_check(send_message(&m) == 0 && receive(&m, ports[0]) == 0);
    child_check(*(char *)m.ool.d.address == 'A');
    while (n > 0)
        child_check(mach_port_destroy(SELF, ports[--n]) == KERN_SUCCESS);
    child_check(mach_port_allocate(SELF, MACH_PORT_RIGHT_RECEIVE, &ports[0]) == KERN_SUCCESS);
}

static void test_machmsg_memory__ports_to_the_limit(void **state)
{
    (void)state;
    in_a_table_of(1024, 1024, ports_to_the_limit);
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The least of three tries, in seconds of CPU, beside so many new regions. */
static double least_cost(int regions, void (*work)(int regions))
{
    double least = 1e9;

    for (int tries = 0; tries < 3; tries++) {
        double from, took;

        for (int i = 0; i < regions; i++)
            *(many[i] = allocate_in_child()) = 'A';
        from = cpu_seconds();
        work(regions);
        took = cpu_seconds() - from;
        least = took < least ? took : least;
        deallocate_many(regions);
    }
    return least;
}

/* The work beside 8000 regions takes no more than so many times what it takes beside `few`. */
static void expect_growth(int few, double times, void (*work)(int regions))
{
    const double less = least_cost(few, work), more = least_cost(8000, work);

    if (more > times * less)
        fprintf(stderr, "# %d regions %.4f s, 8000 %.4f s\n", few, less, more);
    child_check(more <= times * less);
}

static void fork_once(int regions)
{
    int status;
    pid_t pid = fork();

    (void)regions;
    if (pid == 0)
        _exit(0);
    child_check(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forks_of_many(void)
{
    expect_growth(1000, 24, fork_once); /* eight times; 64 times if it were the square */
}

/* A fork looks at each mapping once, not at all for every range. */
static void test_machmsg_memory__fork_is_linear(void **state)
{
    (void)state;
    in_a_table_of(16384, 16384, forks_of_many);
}

static void send_a_hundred(int regions)
{
    mach_port_t p = mach_reply_port();

    (void)regions;
    for (int i = 0; i < 100; i++) {
        union message m = ool_message(p, many[i], (mach_msg_size_t)(many_pages * PAGE), 1, 0);

        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        child_check(vm_deallocate(SELF, (vm_address_t)m.ool.d.address, many_pages * PAGE) ==
                    KERN_SUCCESS);
    }
    child_check(mach_port_destroy(SELF, p) == KERN_SUCCESS);
}

static void sends_beside_wired_memory(void)
{
    static char page[2 * 4096];

    child_check(mlock(page, sizeof page) == 0);
    /* The same; sixteen times if each looked at all mappings. */
    expect_growth(500, 6, send_a_hundred);
}

/* A send looks at what it sends: that a page is wired somewhere costs nothing. */
static void test_machmsg_memory__wired_memory_elsewhere(void **state)
{
    (void)state;
    in_a_table_of(16384, 16384, sends_beside_wired_memory);
}

/* A daemon closes all descriptors that it does not know, and opens files of its own: neither its
 * memory nor those files become the other. */
static void descriptors_closed(void)
{
    enum { N = 40 };
    const vm_size_t size = many_pages * PAGE;
    mach_port_t p;
    union message m;
    int first, status;
    pid_t pid;

    for (int i = 0; i < N; i++)
        memset(many[i] = allocate_in_child(), seed_of(i), size);
    closefrom(3);
    first = open("/dev/null", O_RDONLY);
    for (int i = 1; i < 4 * N; i++)
        child_check(open("/proc/self/exe", O_RDONLY) == first + i);
    p = mach_reply_port();
    for (int i = 0; i < N; i += 2) {
        m = ool_message(p, many[i], (mach_msg_size_t)size, 1, false);
        child_check(send_message(&m) == 0 && receive(&m, p) == 0);
        child_check(memcmp(m.ool.d.address, many[i], size) == 0);
        child_check(vm_deallocate(SELF, (vm_address_t)m.ool.d.address, size) == KERN_SUCCESS);
    }
    pid = fork();
    for (int i = 0; pid == 0 && i < N; i++) {
        child_check(many[i][0] == seed_of(i) && many[i][size - 1] == seed_of(i));
        many[i][0] = 'C';
    }
    if (pid == 0)
        _exit(0);
    child_check(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < N; i++) {
        child_check(many[i][0] == seed_of(i) && many[i][size - 1] == seed_of(i));
        child_check(vm_deallocate(SELF, (vm_address_t)many[i], size) == KERN_SUCCESS);
    }
    for (int i = 0; i < 4 * N; i++)
        child_check(fcntl(first + i, F_GETFD) == 0);
}

static void test_machmsg_memory__descriptors_closed_by_the_program(void **state)
{
    (void)state;
    in_a_table_of(1024, 1024, descriptors_closed);
}

/* Two of three behind the layer's back. */
static void remove_by_turns(int regions)
{
    for (int i = 0; i < regions; i++)
        child_check((i % 3 ? munmap(many[i], many_pages * PAGE)
                           : vm_deallocate(SELF, (vm_address_t)many[i], many_pages * PAGE)) == 0);
}

static void removals_by_turns(void)
{
    expect_growth(1000, 32, remove_by_turns); /* eight times; 64 times if it were the square */
}

static void test_machmsg_memory__removal_is_linear(void **state)
{
    (void)state;
    in_a_table_of(1024, 1024, removals_by_turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        memory_tested(test_machmsg_memory__sizes_and_options),
        memory_tested(test_machmsg_memory__what_was_done_and_why),
        memory_tested(test_machmsg_memory__native_policy_shares),
        memory_tested(test_machmsg_memory__copies_are_isolated),
        memory_tested(test_machmsg_memory__sent_again),
        memory_tested(test_machmsg_memory__parts_are_copied),
        memory_tested(test_machmsg_memory__changed_behind_the_layer),
        memory_tested(test_machmsg_memory__untouched_pages_stay_untouched),
        memory_tested(test_machmsg_memory__small_buffers_stand_side_by_side),
        memory_tested(test_machmsg_memory__null_ranges),
        memory_tested(test_machmsg_memory__failed_send_keeps_it),
        memory_tested(test_machmsg_memory__object_that_cannot_be_sealed),
        memory_tested(test_machmsg_memory__wired_memory_is_copied),
        memory_tested(test_machmsg_memory__no_descriptors),
        memory_tested(test_machmsg_memory__regions_without_descriptors),
        memory_tested(test_machmsg_memory__no_address_space),
        memory_tested(test_machmsg_memory__allocate_flags),
        memory_tested(test_machmsg_memory__in_the_place_of_other_memory),
        memory_tested(test_machmsg_memory__map),
        memory_tested(test_machmsg_memory__read_write_copy),
        memory_tested(test_machmsg_memory__copies_are_whole),
        memory_tested(test_machmsg_memory__bad_addresses),
        memory_tested(test_machmsg_memory__fork_and_inheritance),
        memory_tested(test_machmsg_memory__inheritance_changes),
        memory_tested(test_machmsg_memory__a_part_is_inherited),
        memory_tested(test_machmsg_memory__foreign_memory_is_inherited),
        memory_tested(test_machmsg_memory__foreign_memory_has_a_maximum),
        memory_tested(test_machmsg_memory__regions_tell_what_was_asked),
        memory_tested(test_machmsg_memory__regions_between_signals),
        memory_tested(test_machmsg_memory__fork_leaves_what_the_program_changed),
        memory_tested(test_machmsg_memory__fork_finds_what_the_program_moved),
        memory_tested(test_machmsg_memory__moved_memory_outlives_its_address),
        memory_tested(test_machmsg_memory__moved_memory_without_a_descriptor),
        memory_tested(test_machmsg_memory__what_is_taken_from_a_child),
        memory_tested(test_machmsg_memory__inheritance_leaves_the_programs_file),
        memory_tested(test_machmsg_memory__moved_memory_is_taken_back),
        memory_tested(test_machmsg_memory__moved_by_the_layer),
        memory_tested(test_machmsg_memory__moved_purgeable_memory_is_purgeable),
        memory_tested(test_machmsg_memory__wired_memory_stays_wired),
        memory_tested(test_machmsg_memory__wired_memory_is_wired_when_shared),
        memory_tested(test_machmsg_memory__sent_memory_is_kept_from_a_child),
        memory_tested(test_machmsg_memory__sent_by_parent_and_child),
        memory_tested(test_machmsg_memory__shared_by_inheritance_is_copied),
        memory_tested(test_machmsg_memory__shared_with_a_child_is_copied_when_sent),
        memory_tested(test_machmsg_memory__shared_with_one_child_copied_for_the_next),
        memory_tested(test_machmsg_memory__failed_inherit_changes_nothing),
        memory_tested(test_machmsg_memory__more_regions_than_descriptors),
        memory_tested(test_machmsg_memory__no_descriptor_to_keep),
        memory_tested(test_machmsg_memory__beyond_the_soft_limit),
        memory_tested(test_machmsg_memory__unmapped_by_the_program),
        memory_tested(test_machmsg_memory__what_is_left_is_kept),
        memory_tested(test_machmsg_memory__exchanged_by_the_program),
        memory_tested(test_machmsg_memory__ports_to_the_limit),
        memory_tested(test_machmsg_memory__fork_is_linear),
        memory_tested(test_machmsg_memory__wired_memory_elsewhere),
        memory_tested(test_machmsg_memory__descriptors_closed_by_the_program),
        memory_tested(test_machmsg_memory__removal_is_linear)};

    return cmocka_run_group_tests(tests, start_observer, NULL);
}
