/* Bulk reads against single ones; scans; residency of objects without touching them. */
#include "probes/caps.h"
#include "probes/kernel/bulk.h"
#include "probes/kernel/frames.h"
#include "probes/kernel/object.h"
#include "probes/kernel/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 70000 /* enough for a second thread */

static struct caps caps;

static char *region(size_t pages)
{
    char *at = mmap(NULL, pages * caps.page_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(at != MAP_FAILED);
    return at;
}

static void test_pagemap__bulk_equals_single_reads(void **state)
{
    uint64_t *one = calloc(PAGES, 8), *two = calloc(PAGES, 8), word;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    char *at = region(PAGES);
    struct probe_cost cost = {0, 0, 0};

    (void)state;
    for (size_t i = 0; i < PAGES; i += 7)
        at[i * caps.page_size] = 1;
    assert_int_equal(pagemap_read(fd, caps.page_size, (uintptr_t)at, PAGES, one, 1, NULL), PAGES);
    assert_int_equal(pagemap_read(fd, caps.page_size, (uintptr_t)at, PAGES, two, 2, &cost), PAGES);
    assert_memory_equal(one, two, PAGES * 8);
    assert_true(cost.calls >= 2 && cost.bytes == PAGES * 8 && cost.ns > 0);
    for (size_t i = 0; i < PAGES; i += 997) {
        assert_int_equal(pread(fd, &word, 8, (off_t)(((uintptr_t)at / caps.page_size + i) * 8)), 8);
        assert_true(word == one[i]);
        assert_int_equal(!!(word & PM_PRESENT), i % 7 == 0);
    }
    munmap(at, PAGES * caps.page_size);
    close(fd);
    free(one);
    free(two);
}

/* Frames upward, downward, far apart and repeated, in one and two threads: each its own word. */
static void test_pagemap__kpage_ranges_equal_single_reads(void **state)
{
    uint64_t *frames, *got, word;
    size_t n = 0, size = PAGES;
    char *at = region(PAGES);
    int fd = open("/proc/kpageflags", O_RDONLY), map = open("/proc/self/pagemap", O_RDONLY);

    (void)state;
    if (fd < 0 || !caps.have[CAP_FRAMES]) {
        print_message("# needs kpageflags\n");
        skip();
    }
    memset(at, 1, PAGES * caps.page_size);
    frames = calloc(size, 8);
    got = calloc(size, 8);
    assert_int_equal(pagemap_read(map, caps.page_size, (uintptr_t)at, PAGES, frames, 1, NULL),
                     PAGES);
    for (size_t i = 0; i < PAGES; i++)
        frames[n++] = PM_FRAME(frames[i]);
    for (size_t i = 0; i < 100; i++) {
        uint64_t swap = frames[i * 600], *other = &frames[(i * 7919) % PAGES];

        frames[i * 600] = *other;
        *other = swap;
    }
    frames[5] = frames[6];
    for (int threads = 1; threads <= 2; threads++) {
        assert_int_equal(kpage_read(fd, frames, got, n, threads, NULL), 0);
        for (size_t i = 0; i < n; i += 331) {
            assert_int_equal(pread(fd, &word, 8, (off_t)(frames[i] * 8)), 8);
            assert_true(word == got[i]);
        }
    }
    /* A frame that no machine has. */
    frames[0] = 1ULL << 50;
    assert_int_equal(kpage_read(fd, frames, got, 1, 1, NULL), 0);
    assert_true(got[0] == KPAGE_NONE);
    munmap(at, PAGES * caps.page_size);
    close(fd);
    close(map);
    free(frames);
    free(got);
}

static int count_ranges(void *arg, const struct scan_range *range)
{
    uint64_t *pages = arg;

    pages[range->categories & SCAN_ZERO ? 1 : 0] += (range->end - range->start) / caps.page_size;
    return 0;
}

/* More ranges than one call returns. */
static void test_pagemap__scan_tells_zero_pages(void **state)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    uint64_t pages[2] = {0, 0};
    char *at = region(3000);
    uint64_t zero = caps.have[CAP_ZERO_PAGE] ? 1000 : 0;

    (void)state;
    if (!caps.have[CAP_PAGEMAP_SCAN]) {
        print_message("# needs pagemap_scan\n");
        skip();
    }
    for (size_t i = 0; i < 3000; i += 3)
        at[i * caps.page_size] = 1;
    for (size_t i = 1; i < 3000; i += 3)
        (void)*(volatile char *)&at[i * caps.page_size];
    assert_int_equal(pagemap_scan(fd, (uintptr_t)at, (uintptr_t)at + 3000 * caps.page_size,
                                  SCAN_PRESENT, SCAN_ZERO, count_ranges, pages, NULL),
                     0);
    assert_int_equal(pages[0], 2000 - zero);
    assert_int_equal(pages[1], zero);
    assert_int_equal(pagemap_scan(-1, 0, 4096, SCAN_PRESENT, 0, count_ranges, pages, NULL), -EBADF);
    munmap(at, 3000 * caps.page_size);
    close(fd);
}

/* Labels of the helper are found among frame numbers, however many there are. */
static void test_frames__labels_have_slots_too(void **state)
{
    struct frames f = {0};

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t label = PM_LABEL | ((i * 0x9e3779b97f4a7c15ULL) & (PM_LABEL - 1));

        assert_int_equal(frames_slot(&f, label), 3 * i + 1);
        assert_int_equal(frames_slot(&f, i), 3 * i + 2);
        assert_int_equal(frames_slot(&f, label | FRAME_NUMBER_SWAP), 3 * i + 3);
        assert_int_equal(frames_slot(&f, label), 3 * i + 1);
        assert_true(f.number[3 * i + 1] == label);
    }
    frames_release(&f);
}

/* Frames in any order: the same slot again, labels in the order of asking, own counted. */
static void test_frames__slots_labels_and_sums(void **state)
{
    struct frames f = {0};
    uint32_t first = 0;

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t number = (i * 7919) % 100003 + (i & 1 ? 1ULL << 40 : 0);
        uint32_t slot = frames_slot(&f, number);

        assert_true(slot != 0);
        assert_int_equal(frames_slot(&f, number), slot);
        assert_true(f.number[slot] == number);
        frames_add(&f, slot, i % 2 ? FRAME_FILE : FRAME_OWN);
        if (i == 0)
            first = slot;
    }
    assert_int_equal(f.n, 100000);
    assert_int_equal(frames_label(&f, 77), 1);
    assert_int_equal(frames_label(&f, 5), 2);
    assert_int_equal(frames_label(&f, 77), 1);
    assert_int_equal(f.distinct, 100000);
    assert_int_equal(f.distinct_file, 50000);
    assert_int_equal(f.distinct_own, 50000);
    frames_add(&f, first, FRAME_FILE);
    frames_drop(&f, first);
    assert_int_equal(f.distinct, 100000);
    frames_drop(&f, first);
    assert_int_equal(f.distinct, 99999);
    assert_int_equal(f.distinct_own, 49999);
    frames_forget_owners(&f);
    assert_int_equal(f.distinct, 0);
    frames_release(&f);
}

static void test_bulk__is_zero_and_grows(void **state)
{
    size_t n = (size_t)5 << 20;
    char *small = bulk_alloc(100), *large = bulk_alloc(n);

    (void)state;
    assert_non_null(small);
    assert_non_null(large);
    for (size_t i = 0; i < n; i += 4099)
        assert_int_equal(large[i], 0);
    memset(small, 7, 100);
    assert_int_equal(bulk_grow(&small, 100, n), 0);
    assert_int_equal(small[99], 7);
    assert_int_equal(small[100], 0);
    assert_int_equal(small[n - 1], 0);
    bulk_free(small, n);
    bulk_free(large, n);
    bulk_free(NULL, n);
    bulk_free(NULL, 0);
}

/* Every way of asking must say the same, and fill no hole: st_blocks stays. */
static void test_object__residency_fills_no_hole(void **state)
{
    const uint64_t pages = 2000;
    int fd = memfd_create("holes", MFD_CLOEXEC);
    uint64_t bits[2000 / 64 + 1], count;
    struct object object = OBJECT_NONE;
    struct stat st;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)(pages * caps.page_size)), 0);
    for (uint64_t i = 0; i < pages; i += 3)
        assert_int_equal(pwrite(fd, "x", 1, (off_t)(i * caps.page_size)), 1);
    object.fd = fd;
    assert_int_equal(object_stat(fd, &object.info), 0);
    assert_true(object.info.shmem);
    for (int swap = 0; swap < 2; swap++) { /* true: by mincore, not by seeking */
        assert_int_equal(object_residency(&object, 0, pages, swap, bits, NULL, &count, NULL), 0);
        assert_int_equal(count, 667);
        for (uint64_t i = 0; i < pages; i++)
            assert_int_equal(bit_is_set(bits, i), i % 3 == 0);
        assert_int_equal(object_residency(&object, 300, 30, swap, bits, NULL, &count, NULL), 0);
        assert_int_equal(count, 10);
        assert_true(bit_is_set(bits, 0) && !bit_is_set(bits, 1));
        /* Beyond the end there is nothing. */
        assert_int_equal(object_residency(&object, pages, 5, swap, bits, NULL, &count, NULL), 0);
        assert_int_equal(count, 0);
    }
    fstat(fd, &st);
    assert_int_equal((uint64_t)st.st_blocks * 512 / caps.page_size, 667);
    close(fd);
}

/* A file of the page cache, fully cached, then asked for a part; and one with nothing cached. */
static void test_object__files(void **state)
{
    char path[] = "/tmp/cowlab-pages-XXXXXX";
    int fd = mkstemp(path), again;
    struct object object = OBJECT_NONE;
    uint64_t bits[2], count;
    char *page = calloc(1, caps.page_size);

    (void)state;
    unlink(path);
    for (int i = 0; i < 20; i++)
        assert_int_equal(write(fd, page, caps.page_size), caps.page_size);
    again = object_reopen(fd);
    object.fd = again;
    assert_int_equal(object_stat(again, &object.info), 0);
    assert_int_equal(object_residency(&object, 0, 100, false, bits, NULL, &count, NULL), 0);
    assert_int_equal(count, 20);
    assert_true(bit_is_set(bits, 19) && !bit_is_set(bits, 20));
    assert_int_equal(object_residency(&object, 15, 100, false, bits, NULL, &count, NULL), 0);
    assert_int_equal(count, 5);
    if (!object.info.shmem) {
        fsync(fd);
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        assert_int_equal(object_residency(&object, 0, 20, false, bits, NULL, &count, NULL), 0);
        assert_true(count < 20);
    }
    free(page);
    close(again);
    close(fd);
}

/* Asking must not stand in the way of sealing. */
static void test_object__a_reopened_descriptor_lets_it_be_sealed(void **state)
{
    int fd = memfd_create("seal", MFD_CLOEXEC | MFD_ALLOW_SEALING), again;
    struct object object = OBJECT_NONE;
    uint64_t count;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)(4 * caps.page_size)), 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    again = object_reopen(fd);
    assert_true(again >= 0);
    assert_int_equal(fcntl(again, F_GETFL) & O_ACCMODE, O_RDONLY);
    object.fd = again;
    assert_int_equal(object_stat(again, &object.info), 0);
    assert_int_equal(object_residency(&object, 0, 4, true, NULL, NULL, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
    close(again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pagemap__bulk_equals_single_reads),
        cmocka_unit_test(test_pagemap__kpage_ranges_equal_single_reads),
        cmocka_unit_test(test_pagemap__scan_tells_zero_pages),
        cmocka_unit_test(test_frames__slots_labels_and_sums),
        cmocka_unit_test(test_frames__labels_have_slots_too),
        cmocka_unit_test(test_bulk__is_zero_and_grows),
        cmocka_unit_test(test_object__residency_fills_no_hole),
        cmocka_unit_test(test_object__files),
        cmocka_unit_test(test_object__a_reopened_descriptor_lets_it_be_sealed),
    };

    caps_probe(&caps);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
