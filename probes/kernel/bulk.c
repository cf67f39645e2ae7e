#include "probes/kernel/bulk.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is asked for by madvise; where huge pages are of another size the advice is void. */
#define HUGE_BYTES ((size_t)2 << 20)
#define BULK_BYTES ((size_t)1 << 20)
/* A larger table is likely to be sparse: huge pages would fill it with nothing. */
#define DENSE_BYTES ((size_t)64 << 20)

static size_t round_up(size_t bytes)
{
    return (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
}

void *bulk_alloc(size_t bytes)
{
    size_t whole = round_up(bytes), skip;
    char *p;

    if (bytes < BULK_BYTES)
        return calloc(1, bytes ? bytes : 1);
    if (whole < bytes)
        return NULL;
    p = mmap(NULL, whole + HUGE_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    skip = (HUGE_BYTES - (uintptr_t)p % HUGE_BYTES) % HUGE_BYTES;
    if (skip)
        munmap(p, skip);
    if (skip < HUGE_BYTES)
        munmap(p + skip + whole, HUGE_BYTES - skip);
    if (whole <= DENSE_BYTES)
        madvise(p + skip, whole, MADV_HUGEPAGE);
    return p + skip;
}

void bulk_free(void *p, size_t bytes)
{
    if (bytes < BULK_BYTES)
        free(p);
    else if (p)
        munmap(p, round_up(bytes));
}

int bulk_grow(void *p, size_t old_bytes, size_t bytes)
{
    void **at = p, *grown = bulk_alloc(bytes);

    if (!grown)
        return -ENOMEM;
    if (*at)
        memcpy(grown, *at, old_bytes);
    bulk_free(*at, old_bytes);
    *at = grown;
    return 0;
}
