/* selftest: tries on its own memory what the kernel's page files really tell.
 *
 * Owns: a forked child that maps, writes and forks again, so that no page of the caller is
 * touched; it is gone when the call returns, after a deadline at the latest.
 * Does not: decide what the answers unlock (caps does). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct page_reader;

/* Each field: 0 works; otherwise the errno that stood in the way. ENOMSG: the file answered, but
 * not as it should; ENODATA: the condition could not be set up (no huge page to be had). */
struct selftest {
    int pagemap, frames, kpagecount, kpageflags, debt, page_mapcount, soft_dirty, zero_page;
};

/* reader: an open one. page_size in bytes; huge_size: of a transparent huge page, 0 if there are
 * none. */
void selftest_run(struct selftest *out, uint64_t page_size, uint64_t huge_size,
                  struct page_reader *reader);
