/* walk: from the page table of one process to tallies, frames and page records.
 *
 *     pagemap words --frames_slot--> slots --> own mappings per frame, sets per process
 *                                      \-----> records of the regions that cover the page
 *
 * Reads windows of up to WALK_PAGES that may span neighbouring entries; entries in which smaps
 * sees nothing are passed over, large and nearly empty ones are searched by PAGEMAP_SCAN. */
#include "probes/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Entries this close are read in one go, with the hole between them. */
#define JOIN_GAP 32
/* An entry above this size with less than 1/16 of it resident is searched instead of read. */
#define SPARSE_BYTES (64ULL << 20)

struct walk {
    struct observer *o;
    struct watched *w;
    size_t entry; /* index */
    const struct map_entry *e;
    struct seen_object *object; /* behind the entry, if it is tracked */
    bool own;                   /* pss_is_own */
    uint64_t from, to;          /* addresses in o->words */
    struct err *err;
    bool told; /* err has the message of what went wrong */
};

/* Mappings of device memory and of the kernel's own pages have no page of the process in them. */
static bool special(const struct map_entry *e)
{
    return (e->flags & (1u << VMF_PFNMAP | 1u << VMF_IO)) || e->start >> 63 ||
           strncmp(e->name, "[vvar", 5) == 0 || strcmp(e->name, "[vsyscall]") == 0;
}

static bool wanted(const struct walk *k)
{
    if (special(k->e))
        return false;
    if (watched_observes(k->w, k->e) || k->object)
        return true;
    if (!k->w->pagemap_frames || !k->o->opt.whole_process)
        return false;
    return k->w->no_smaps || k->e->kb.rss || k->e->kb.swap || k->e->kb.private_hugetlb ||
           k->e->kb.shared_hugetlb;
}

/* End of the window that begins in this entry: further, near entries come along. */
static uint64_t window_end(const struct walk *k, uint64_t start, uint64_t end)
{
    uint64_t limit = start + WALK_PAGES * k->o->page_size;

    for (size_t i = k->entry + 1; i < k->w->maps.n && end < limit; i++) {
        const struct map_entry *next = &k->w->maps.entries[i];

        if (next->start > end + JOIN_GAP * k->o->page_size || next->end > limit || special(next))
            break;
        end = next->end;
    }
    return end < limit ? end : limit;
}

/* Makes sure that o->words covers address at; *n: how many pages of it up to end. */
static int words_at(struct walk *k, uint64_t at, uint64_t end, uint64_t **words, uint64_t *n)
{
    struct observer *o = k->o;
    uint64_t pages;

    if (at < k->from || at >= k->to) {
        int64_t got;

        pages = (window_end(k, at, end) - at) / o->page_size;
        got = pagemap_read(k->w->pagemap_fd, o->page_size, at, pages, o->words, o->threads,
                           &o->cost[COST_PAGEMAP]);
        if (got < 0)
            return err_sys(k->err, (int)got, "cannot read '/proc/%d/pagemap'", (int)k->w->pid);
        if (got == 0)
            return err_set(k->err, ESRCH, "process %d (%s) is gone", (int)k->w->pid, k->w->actor);
        if (o->corrupt == CORRUPT_PAGEMAP)
            o->words[0] ^= PM_PRESENT;
        k->from = at;
        k->to = at + (uint64_t)got * o->page_size;
    }
    *n = ((k->to < end ? k->to : end) - at) / o->page_size;
    *words = o->words + (at - k->from) / o->page_size;
    return 0;
}

static bool present(uint64_t word)
{
    return (word & PM_PRESENT) != 0;
}

/* Guard pages are markers in the page table, no pages. */
static bool swapped(uint64_t word)
{
    return (word & PM_SWAPPED) && !(word & (PM_PRESENT | PM_GUARD));
}

/* Looks at ranges found by PAGEMAP_SCAN in step with ascending addresses. */
struct scan_cursor {
    const struct scan_range *at, *end;
};

static uint64_t categories_at(struct scan_cursor *c, uint64_t addr)
{
    while (c->at < c->end && c->at->end <= addr)
        c->at++;
    return c->at < c->end && c->at->start <= addr ? c->at->categories : 0;
}

/* One frame more for this process; the first process to have it makes it distinct. */
static int count_frame(struct walk *k, uint64_t word, uint32_t *slot)
{
    struct observer *o = k->o;

    *slot = frames_slot(&o->frames, PM_FRAME(word));
    if (!*slot || frame_set_reserve(&k->w->frames, *slot) < 0)
        return err_set(k->err, ENOMEM, "out of memory for %u page frames", o->frames.n);
    frame_set_add(&k->w->frames, *slot);
    if (o->frames.own[*slot] == 0) {
        o->distinct++;
        if ((word & PM_FILE) && k->e->inode && !is_shmem_dev(o, k->e->dev))
            o->distinct_file++;
        o->distinct_own += k->own;
    }
    if (o->frames.own[*slot] < UINT16_MAX)
        o->frames.own[*slot]++;
    return 0;
}

/* Object pages in somebody's page table, and object pages that a mapping can still show. */
static void mark_object(struct walk *k, uint64_t addr, uint64_t word)
{
    struct seen_object *object = k->object;
    uint64_t page = (addr - k->e->start + k->e->offset) / k->o->page_size;

    if (page >= object->npages)
        return;
    if (present(word) && (word & PM_FILE))
        bit_set(object->mapped, page);
    if (k->e->shared || !(present(word) || swapped(word)) || (word & PM_FILE))
        bit_set(object->visible, page);
}

/* Tallies and frames of n pages from addr on; o->slots gets their slots (0: no frame) and the
 * zero page is marked in the words by clearing its frame. */
static int count_pages(struct walk *k, uint64_t addr, uint64_t *words, uint64_t n, uint32_t *slots)
{
    struct tally *t = &k->w->tallies[k->entry];
    struct scan_cursor scan = {k->o->scans, k->o->scans + k->o->nscans};
    bool frames = k->w->pagemap_frames;

    for (uint64_t i = 0; i < n; i++, addr += k->o->page_size) {
        uint64_t word = words[i];
        int rc;

        slots[i] = 0;
        if (k->object)
            mark_object(k, addr, word);
        if (!present(word)) {
            t->swapped += swapped(word);
            continue;
        }
        if (!(word & PM_FILE) && ((frames && PM_FRAME(word) == k->o->zero_frame) ||
                                  (k->o->nscans && (categories_at(&scan, addr) & SCAN_ZERO)))) {
            t->zero++;
            words[i] &= ~PM_FRAME(word);
            slots[i] = UINT32_MAX; /* the zero page, for fill_records */
            continue;
        }
        t->present++;
        t->file += (word & PM_FILE) != 0;
        t->single += (word & PM_EXCLUSIVE) != 0;
        if (frames && (rc = count_frame(k, word, &slots[i])) < 0)
            return rc;
    }
    return 0;
}

/* What the word alone tells; counts and flags of the frame refine it (region.c). */
static uint8_t first_state(const struct walk *k, uint64_t word, uint32_t slot)
{
    if (!present(word))
        return swapped(word) ? PS_SWAPPED : PS_NONE;
    if (slot == UINT32_MAX)
        return PS_ZERO;
    if (k->e->shared)
        return PS_SHARED;
    if (word & PM_FILE)
        return PS_OBJECT;
    if (word & PM_EXCLUSIVE)
        return PS_EXCLUSIVE;
    return k->w->pagemap_frames || k->o->caps.have[CAP_PAGEMAP_SCAN] ? PS_COW : PS_ANON_UNKNOWN;
}

static int fill_records(struct walk *k, struct memory *m, uint64_t addr, const uint64_t *words,
                        uint64_t n, const uint32_t *slots)
{
    struct scan_cursor scan = {k->o->scans, k->o->scans + k->o->nscans};
    uint64_t page_size = k->o->page_size, end = addr + n * page_size, i, to;

    if (m->start >= end || m->end <= addr)
        return 0;
    i = m->start > addr ? (m->start - addr) / page_size : 0;
    to = m->end < end ? n - (end - m->end) / page_size : n;
    for (; i < to; i++) {
        uint64_t page = (addr + i * page_size - m->start) / page_size;
        uint8_t rec = first_state(k, words[i], slots[i]);

        if (present(words[i]) && (k->e->flags & 1u << VMF_HUGETLB))
            rec |= REC_HUGE;
        if (k->o->nscans && (categories_at(&scan, addr + i * page_size) & SCAN_HUGE))
            rec |= REC_HUGE;
        m->now.rec[page] = rec;
        m->now.slot[page] = slots[i] == UINT32_MAX ? 0 : slots[i];
        if (m->now.slot[page]) {
            if (frame_set_reserve(&k->w->region_frames, slots[i]) < 0)
                return err_set(k->err, ENOMEM, "out of memory");
            frame_set_add(&k->w->region_frames, slots[i]);
        }
    }
    return 0;
}

static int walk_range(struct walk *k, uint64_t start, uint64_t end)
{
    while (start < end) {
        uint64_t n = 0, *words = NULL;
        int rc = words_at(k, start, end, &words, &n);

        if (rc == 0)
            rc = count_pages(k, start, words, n, k->o->slots);
        for (size_t i = 0; i < k->w->nmemories && rc == 0; i++)
            rc = fill_records(k, k->w->memories[i], start, words, n, k->o->slots);
        if (rc < 0) {
            k->told = true;
            return rc;
        }
        start += n * k->o->page_size;
    }
    return 0;
}

static int keep_range(void *arg, const struct scan_range *range)
{
    struct observer *o = arg;

    if (o->nscans == o->scans_cap) {
        size_t cap = o->scans_cap ? o->scans_cap * 2 : 256;
        struct scan_range *grown = realloc(o->scans, cap * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        o->scans = grown;
        o->scans_cap = cap;
    }
    o->scans[o->nscans++] = *range;
    return 0;
}

/* Can a huge page be mapped here? smaps says what is there; the huge zero page is in none of its
 * counters, so that being eligible counts too. */
static bool maybe_huge(const struct walk *k)
{
    const struct smaps_counters *kb = &k->e->kb;

    return k->w->no_smaps || kb->thp_eligible || kb->anon_huge || kb->shmem_huge || kb->file_huge ||
           (k->e->flags & 1u << VMF_HUGEPAGE);
}

/* Zero and huge pages that the words do not tell. */
static int scan_entry(struct walk *k)
{
    struct observer *o = k->o;
    bool zero = !k->w->pagemap_frames;

    o->nscans = 0;
    if (!o->caps.have[CAP_PAGEMAP_SCAN] || !(zero || maybe_huge(k)) ||
        k->e->flags & (1u << VMF_HUGETLB))
        return 0;
    return pagemap_scan(k->w->pagemap_fd, k->e->start, k->e->end, SCAN_ZERO | SCAN_HUGE,
                        SCAN_ZERO | SCAN_HUGE, keep_range, o, &o->cost[COST_SCAN]);
}

static int walk_found(void *arg, const struct scan_range *range)
{
    return walk_range(arg, range->start, range->end);
}

static int walk_entry(struct walk *k)
{
    struct observer *o = k->o;
    uint64_t bytes = k->e->end - k->e->start;
    bool sparse = bytes > SPARSE_BYTES &&
                  (k->w->no_smaps || (k->e->kb.rss + k->e->kb.swap) * 1024 < bytes / 16);
    int rc = scan_entry(k);

    if (rc < 0)
        return err_sys(k->err, rc, "cannot scan the pages of process %d", (int)k->w->pid);
    k->w->tallies[k->entry].walked = true;
    if (!sparse || k->object || !o->caps.have[CAP_PAGEMAP_SCAN])
        return walk_range(k, k->e->start, k->e->end);
    k->from = k->to = 0;
    rc = pagemap_scan(k->w->pagemap_fd, k->e->start, k->e->end, SCAN_PRESENT | SCAN_SWAPPED,
                      SCAN_PRESENT, walk_found, k, &o->cost[COST_SCAN]);
    k->from = k->to = 0;
    if (rc < 0 && !k->told)
        return err_sys(k->err, rc, "cannot scan the pages of process %d", (int)k->w->pid);
    return rc;
}

int walk_process(struct observer *o, struct watched *w, struct err *e)
{
    struct walk k = {.o = o, .w = w, .err = e};
    int rc = 0;

    if (w->pagemap_fd < 0)
        return 0;
    for (k.entry = 0; k.entry < w->maps.n && rc >= 0; k.entry++) {
        k.e = &w->maps.entries[k.entry];
        k.object = k.e->inode ? object_find(o, k.e->dev, k.e->inode) : NULL;
        k.own = pss_is_own(o, k.e);
        if (wanted(&k))
            rc = walk_entry(&k);
    }
    return rc;
}
