#include "lab/linux/moment.h"

#include <string.h>

/* Marks the page; false: it was. */
static int mark_page(uint8_t *mark, uint64_t page)
{
    uint8_t bit = (uint8_t)(1u << page % 8);

    if (mark[page / 8] & bit)
        return 0;
    mark[page / 8] |= bit;
    return 1;
}

struct moment moment_of(const uint64_t *seen, uint64_t pages, uint64_t seed, uint64_t written,
                        uint8_t *mark)
{
    struct moment m = {0, 0};
    uint64_t unwritten = 0, left = pages;

    memset(mark, 0, (pages + 7) / 8);
    for (uint64_t page = 0; page < pages; page++)
        if (seen[page] > m.last && seen[page] <= written)
            m.last = seen[page];
    /* From the newest write back: the first one to a page is the one that it must show. */
    for (uint64_t n = m.last; n > 0 && left; n--) {
        uint64_t page = moment_page(seed, n, pages);

        if (!mark_page(mark, page))
            continue;
        left--;
        m.torn += seen[page] != n;
    }
    for (uint64_t page = 0; page < pages && left; page++)
        if (mark_page(mark, page)) /* none of these writes went to it */
            unwritten += seen[page] != 0;
    m.torn += unwritten;
    return m;
}

uint64_t moment_pages_written(uint64_t pages, uint64_t seed, uint64_t after, uint64_t upto,
                              uint8_t *mark)
{
    uint64_t n = 0;

    memset(mark, 0, (pages + 7) / 8);
    for (uint64_t at = after + 1; at <= upto && n < pages; at++)
        n += (uint64_t)mark_page(mark, moment_page(seed, at, pages));
    return n;
}
