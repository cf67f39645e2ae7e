/* place: see place.h. */
#include "lab/machmsg/memory/place.h"
#include "lab/machmsg/memory/page.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/random.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* An area for each place, far from where the kernel puts mappings by itself, so that nothing that
 * is not the layer's becomes a neighbour: received buffers stand side by side, other memory is to
 * keep its own mapping. Inside the part that the sanitizers leave to programs. */
static struct {
    uint64_t base, next;
    bool off; /* this address space has no such place */
} area[PLACE__COUNT];

static uint64_t area_base(int a)
{
    return PLACE_FIRST + (uint64_t)a * PLACE_SIZE;
}

static void area_init(int a)
{
    const uint64_t page = vm_page_size;
    uint32_t r = 0;
    void *p;

    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        r = 0;
    /* Random by 1 GiB: addresses should not be guessable, nor the same in every task. */
    area[a].base = area[a].next = area_base(a) + ((uint64_t)(r & 0xfff) << 30);
    area[a].off = true;
    if (sizeof(void *) < 8)
        return;
    /* A smaller address space, or a tool that takes the address as a hint only? */
    p = mmap((void *)area[a].base, page, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    area[a].off = p != (void *)area[a].base && (p != MAP_FAILED || errno != EEXIST);
    if (p != MAP_FAILED)
        munmap(p, page);
}

/* In one of the areas; MAP_FAILED with EEXIST: no luck there. */
static void *place_in_area(int a, uint64_t len, uint64_t mask, int prot, int flags, int fd)
{
    const uint64_t gap = a == PLACE_BESIDE ? 0 : vm_page_size;

    for (int tries = 0; tries < 4; tries++) {
        uint64_t at = (area[a].next + gap + mask) & ~mask;
        void *p;

        if (at + len < area[a].next || at + len > area_base(a) + PLACE_SIZE) {
            area[a].next = area[a].base; /* once round */
            continue;
        }
        p = mmap((void *)at, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);
        if (p == (void *)at)
            area[a].next = at + len;
        if (p != MAP_FAILED || errno != EEXIST)
            return p;
        area[a].next = at + len + (1ULL << 30);
    }
    errno = EEXIST;
    return MAP_FAILED;
}

/* Where the kernel likes, at a multiple of mask + 1: cut out of a larger reservation. */
static void *place_aligned(uint64_t len, uint64_t mask, int prot, int flags, int fd)
{
    const uint64_t room = len + mask + 1;
    uint8_t *p, *at;

    if (room < len) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return p;
    at = (uint8_t *)(((uint64_t)p + mask) & ~mask);
    if (at > p)
        munmap(p, (size_t)(at - p));
    munmap(at + len, (size_t)(p + room - (at + len)));
    p = mmap(at, len, prot, flags | MAP_FIXED, fd, 0);
    if (p == MAP_FAILED)
        munmap(at, len);
    return p;
}

void *mem_place(uint64_t len, uint64_t mask, enum layer_place a, int prot, int flags, int fd)
{
    const uint64_t huge = 2u << 20;

    if (area[a].base == 0)
        area_init(a);
    /* Large memory at a multiple of the huge page size, so that huge pages are possible. */
    if (a != PLACE_BESIDE && len >= huge)
        mask |= huge - 1;
    if (!area[a].off) {
        void *p = place_in_area(a, len, mask, prot, flags, fd);

        if (p != MAP_FAILED || errno != EEXIST)
            return p;
    }
    if (mask > vm_page_mask)
        return place_aligned(len, mask, prot, flags, fd);
    return mmap(NULL, len, prot, flags, fd, 0);
}

void mem_unplaced(uint64_t start, uint64_t end)
{
    /* Only where buffers come and go side by side. Elsewhere an address that was just given back
     * stays unmapped for long, so that a stale pointer is noticed. */
    if (area[PLACE_BESIDE].next == end && start >= area[PLACE_BESIDE].base)
        area[PLACE_BESIDE].next = start;
}
