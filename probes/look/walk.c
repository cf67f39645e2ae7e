/* walk: from the page table of one process to sums per entry, frames and page records.
 *
 *     pagemap words --same as at the last look--> nothing to do
 *               \--frames_slot--> slots --> own mappings per frame
 *                                    \----> records of the regions that cover the page
 *
 * Reads windows of up to WALK_PAGES that may span neighbouring entries; entries in which smaps
 * sees nothing are passed over, large and nearly empty ones are searched by PAGEMAP_SCAN. */
#include "probes/list.h"
#include "probes/look/look.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Entries this close are read in one go, with the hole between them. */
#define JOIN_GAP 32
/* An entry above this size with less than 1/16 of it resident is searched instead of read. */
#define SPARSE_BYTES (64ULL << 20)
#define HOPELESS_BYTES (64ULL << 30)

/* The next window. Of a long range a second thread reads it in pieces while this one is walked, and
 * both do as soon as that is done. */
#define PIECE_PAGES 4096
struct ahead {
    const struct walk *k;
    uint64_t start, n, piece; /* in pages, but for start; n 0: none */
    atomic_uint next;         /* the piece that nobody reads yet */
    int64_t got[WALK_PAGES / PIECE_PAGES];
    struct probe_cost cost; /* of the second thread */
    pthread_t thread;
    bool second;
};

struct walk {
    struct observer *o;
    struct watched *w;
    size_t entry; /* index */
    const struct map_entry *e;
    struct seen_object *object; /* behind the entry, if it is tracked */
    bool file;                  /* page cache of a file behind it */
    uint8_t kind;               /* FRAME_OWN or 0 */
    uint64_t tag;               /* WORD_*, for every word of the entry */
    uint64_t from, to;          /* addresses in o->words */
    struct ahead ahead;
    struct err *err;
    bool told; /* err has the message of what went wrong */
};

static bool wanted(const struct walk *k)
{
    if (mapping_is_special(k->e))
        return false;
    /* Without a way to search it, a reservation of terabytes with nothing in it is left out; that
     * a page of it shows the zero page would be missed. */
    if (!k->o->caps.have[CAP_PAGEMAP_SCAN] && !k->w->no_smaps && !k->object &&
        k->e->end - k->e->start > HOPELESS_BYTES && !k->e->kb.rss && !k->e->kb.swap)
        return false;
    if (watched_observes(k->w, k->e) || k->object)
        return true;
    if (!k->w->pagemap.frames || !k->o->opt.whole_process)
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

        if (next->start > end + JOIN_GAP * k->o->page_size || next->end > limit ||
            mapping_is_special(next))
            break;
        end = next->end;
    }
    return end < limit ? end : limit;
}

static void read_pieces(struct ahead *a, struct probe_cost *cost)
{
    struct observer *o = a->k->o;
    uint64_t first;

    while ((first = atomic_fetch_add(&a->next, 1) * a->piece) < a->n)
        a->got[first / a->piece] = reader_words(
            &o->reader, &a->k->w->pagemap, o->page_size, a->start + first * o->page_size,
            a->n - first < a->piece ? a->n - first : a->piece, o->ahead + first, 1, cost);
}

static void *read_along(void *arg)
{
    struct ahead *a = arg;

    read_pieces(a, &a->cost);
    return NULL;
}

/* The window from there on comes next. The helper answers one question at a time. */
static void begin_ahead(struct walk *k, uint64_t at, uint64_t end)
{
    struct ahead *a = &k->ahead;

    *a = (struct ahead){.k = k, .start = at, .n = (window_end(k, at, end) - at) / k->o->page_size};
    a->piece = a->n;
    if (k->o->threads < 2 || k->o->reader.helper || a->n <= PIECE_PAGES)
        return;
    a->piece = PIECE_PAGES;
    a->second = pthread_create(&a->thread, NULL, read_along, a) == 0;
}

/* It is in o->words now. Returns how many pages of it could be read, or a negative errno. */
static int64_t end_ahead(struct walk *k)
{
    struct ahead *a = &k->ahead;
    struct probe_cost *cost = &k->o->cost[COST_PAGEMAP];
    uint64_t *words = k->o->words;
    int64_t got = 0;

    read_pieces(a, cost);
    if (a->second)
        pthread_join(a->thread, NULL);
    cost_add(cost, &a->cost);
    k->o->words = k->o->ahead;
    k->o->ahead = words;
    for (uint64_t at = 0; at < a->n && got == (int64_t)at; at += a->piece)
        got = got && a->got[at / a->piece] < 0 ? got : got + a->got[at / a->piece];
    a->n = 0;
    return got;
}

/* Makes sure that o->words covers address at; *n: how many pages of it up to end. */
static int words_at(struct walk *k, uint64_t at, uint64_t end, uint64_t **words, uint64_t *n)
{
    struct observer *o = k->o;

    if (at < k->from || at >= k->to) {
        int64_t got;

        if (!k->ahead.n)
            begin_ahead(k, at, end);
        got = end_ahead(k);
        if (got < 0)
            return err_sys(k->err, (int)got, "cannot read '/proc/%d/pagemap'", (int)k->w->pid);
        if (got == 0)
            return err_set(k->err, ESRCH, "process %d (%s) is gone", (int)k->w->pid, k->w->actor);
        if (o->corrupt == CORRUPT_PAGEMAP)
            o->words[0] ^= PM_PRESENT;
        k->from = at;
        k->to = at + (uint64_t)got * o->page_size;
        if (k->to < end)
            begin_ahead(k, k->to, end);
    }
    *n = ((k->to < end ? k->to : end) - at) / o->page_size;
    *words = o->words + (at - k->from) / o->page_size;
    return 0;
}

/* Looks at ranges found by PAGEMAP_SCAN in step with ascending addresses. */
struct scan_cursor {
    const struct scan_range *at, *end;
};

/* From the first one on that reaches behind addr. */
static struct scan_cursor scan_begin(const struct walk *k, uint64_t addr)
{
    const struct scan_range *scans = k->o->scans;
    size_t first = LIST_SEARCH(k->o->nscans, i, scans[i].end <= addr);

    return (struct scan_cursor){scans + first, scans + k->o->nscans};
}

static uint64_t categories_at(struct scan_cursor *c, uint64_t addr)
{
    while (c->at < c->end && c->at->end <= addr)
        c->at++;
    return c->at < c->end && c->at->start <= addr ? c->at->categories : 0;
}

/* Clears what is of no interest and marks the zero page. By the frame of the small one; by what
 * PAGEMAP_SCAN says; and what is a file's in a mapping without one is the huge one. */
static void mark_zero(const struct walk *k, uint64_t addr, uint64_t *words, uint64_t n)
{
    uint64_t zero_frame = k->w->pagemap.frames && k->o->zero_frame ? k->o->zero_frame : ~0ULL;
    uint64_t file = k->kind && !k->e->inode ? PM_FILE : 0, ps = k->o->page_size;

    for (uint64_t i = 0; i < n; i++) {
        words[i] &= ~PM_SOFT_DIRTY;
        if (pm_present(words[i]) && (PM_FRAME(words[i]) == zero_frame || words[i] & file))
            words[i] |= PM_ZERO;
    }
    for (struct scan_cursor s = scan_begin(k, addr); s.at < s.end && s.at->start < addr + n * ps;
         s.at++) {
        uint64_t at = s.at->start > addr ? s.at->start : addr;

        for (; (s.at->categories & SCAN_ZERO) && at < s.at->end && at < addr + n * ps; at += ps)
            words[(at - addr) / ps] |= pm_present(words[(at - addr) / ps]) ? PM_ZERO : 0;
    }
}

/* Object pages in somebody's page table, and object pages that a mapping can still show. */
static void mark_object(struct walk *k, uint64_t addr, const uint64_t *words, uint64_t n)
{
    struct seen_object *object = k->object;
    uint64_t page = (addr - k->e->start + k->e->offset) / k->o->page_size;

    for (uint64_t i = 0; i < n && page < object->npages; i++, page++) {
        uint64_t word = words[i];

        if (pm_present(word) && (word & PM_FILE))
            bit_set(object->mapped, page);
        if (k->e->shared || !(pm_present(word) || pm_swapped(word)) || (word & PM_FILE))
            bit_set(object->visible, page);
    }
}

/* One page more is in that slot. Of a frame that came back from swap its slot there is kept: others
 * may still hold that. */
static void add_page(struct walk *k, uint32_t slot, uint64_t word, uint32_t swapped)
{
    struct frames *f = &k->o->frames;
    uint8_t kind = k->kind | ((word & PM_FILE) && k->file ? FRAME_FILE : 0);

    frames_add(f, slot, pm_present(word) ? kind : FRAME_SWAP);
    if (swapped && pm_present(word)) {
        f->origin[slot] = swapped;
        f->origin[swapped] = slot;
    }
}

/* The slot of a page's frame, or of its slot of swap; 0 where these are hidden. */
static int count_frame(struct walk *k, uint64_t word, uint32_t *slot)
{
    struct observer *o = k->o;
    uint64_t number = PM_FRAME(word) | (pm_present(word) ? 0 : FRAME_NUMBER_SWAP);

    *slot = 0;
    if (!k->w->pagemap.frames)
        return 0;
    *slot = frames_slot(&o->frames, number);
    if (!*slot)
        return err_set(k->err, ENOMEM, "out of memory for %u page frames", o->frames.n);
    return 0;
}

/* A page of the process that no region covers: remembered only to be taken back. */
static int count_loose(struct walk *k, const uint64_t *words, uint64_t n)
{
    struct watched *w = k->w;

    for (uint64_t i = 0; i < n && w->pagemap.frames; i++) {
        uint32_t slot, *loose;
        int rc;

        if (words[i] & PM_ZERO || !(pm_present(words[i]) || pm_swapped(words[i])))
            continue;
        rc = count_frame(k, words[i], &slot);
        if (rc < 0)
            return rc;
        if (!(loose = LIST_ADD_ROOM(w->loose, w->nloose, w->loose_cap)))
            return err_no_memory(k->err);
        add_page(k, slot, words[i], 0);
        *loose = slot;
        w->changed = true;
    }
    return 0;
}

/* What the word alone tells; counts and flags of the frame refine it (tell.c). */
static uint8_t first_state(const struct walk *k, uint64_t word)
{
    return page_state((struct page_facts){.present = pm_present(word),
                                          .swapped = pm_swapped(word),
                                          .zero = word & PM_ZERO,
                                          .shared = word & WORD_SHARED,
                                          .object = word & PM_FILE,
                                          .anon = anon_by_word(word, zero_told(k->o, k->w))});
}

/* One page of a region that is not as it was. */
static int change_page(struct walk *k, struct memory *m, uint64_t page, uint64_t word,
                       uint64_t categories)
{
    struct frames *frames = &k->o->frames;
    uint32_t old = m->now.slot[page], slot = 0;
    uint16_t rec = first_state(k, word);
    int rc;

    if (rec != PS_NONE && rec != PS_ZERO) {
        bool back = (m->now.rec[page] & REC_STATE) == PS_SWAPPED && !is_written(m, page);
        uint32_t swapped = back ? old : 0; /* who wrote it has a page of its own */

        rc = count_frame(k, word, &slot);
        if (rc < 0)
            return rc;
        if (slot && !m->shadow)
            add_page(k, slot, word, swapped);
        if (slot && rec != PS_SWAPPED)
            frames_label(frames, slot);
        if ((categories & SCAN_HUGE) || (k->e && k->e->flags & 1u << VMF_HUGETLB))
            rec |= REC_HUGE;
    }
    if (old && !m->shadow)
        frames_drop(frames, old);
    if (m->valid && slot == old && rec == PS_EXCLUSIVE &&
        page_concluded(m->now.rec[page] & REC_STATE, k->w->quiet) == PS_DEBT)
        rec = PS_DEBT; /* the sharer is gone, and without a fault nobody has paid */
    else if (!m->valid || slot == old)
        rec |= REC_FRESH;
    m->now.slot[page] = slot;
    m->now.rec[page] = rec;
    m->now.word[page] = word;
    bit_set(m->now.touched, page / BLOCK_PAGES);
    k->w->changed = true;
    return 0;
}

/* Pages [first, first + n) of a region; blocks that are as they were (at first: empty) are passed
 * over. */
static int walk_region(struct walk *k, struct memory *m, uint64_t first, const uint64_t *words,
                       uint64_t n)
{
    struct scan_cursor scan = scan_begin(k, m->start + first * k->o->page_size);
    bool scanned = k->o->nscans > 0;
    int rc = 0;

    for (uint64_t done = 0, block; done < n && rc == 0; done += block) {
        const uint64_t *old = m->now.word + first + done, *new = words + done;

        block = BLOCK_PAGES - (first + done) % BLOCK_PAGES;
        block = n - done < block ? n - done : block;
        if (!scanned && memcmp(old, new, block * sizeof *new) == 0)
            continue;
        for (uint64_t i = 0; i < block && rc == 0; i++) {
            uint64_t page = first + done + i;

            if (old[i] == new[i] && (!scanned || !new[i]))
                continue;
            rc = change_page(k, m, page, new[i],
                             scanned ? categories_at(&scan, m->start + page * k->o->page_size) : 0);
        }
    }
    return rc;
}

/* Pages of a region that the walk has not come across: nothing is mapped there. */
static int walk_gap(struct walk *k, struct memory *m, uint64_t to)
{
    static const uint64_t nothing[BLOCK_PAGES];
    size_t nscans = k->o->nscans;
    int rc = 0;

    k->o->nscans = 0;
    while (m->walked < to && rc == 0) {
        uint64_t block = next_touched(&m->now, m->walked / BLOCK_PAGES), n;

        if (block * BLOCK_PAGES >= to)
            break;
        if (block * BLOCK_PAGES > m->walked)
            m->walked = block * BLOCK_PAGES;
        n = BLOCK_PAGES - m->walked % BLOCK_PAGES;
        n = to - m->walked < n ? to - m->walked : n;
        rc = walk_region(k, m, m->walked, nothing, n);
        m->walked += n;
    }
    k->o->nscans = nscans;
    return rc;
}

/* The part of a window that lies in one region. */
static int walk_part(struct walk *k, struct memory *m, uint64_t addr, const uint64_t *words,
                     uint64_t n)
{
    uint64_t page = (addr - m->start) / k->o->page_size;
    int rc = walk_gap(k, m, page);

    if (rc == 0)
        rc = walk_region(k, m, page, words, n);
    m->walked = page + n;
    return rc;
}

/* A window of n pages from addr on, all of one entry: regions in order, and what lies between. */
static int walk_window(struct walk *k, uint64_t addr, uint64_t *words, uint64_t n)
{
    uint64_t ps = k->o->page_size, end = addr + n * ps, at = addr;
    int rc = 0;

    mark_zero(k, addr, words, n);
    words_sum(words, n, zero_told(k->o, k->w), &k->w->entry_sums[k->entry].words);
    if (k->object)
        mark_object(k, addr, words, n);
    for (uint64_t i = 0; i < n; i++)
        words[i] |= words[i] ? k->tag : 0;
    for (size_t i = first_region(k->w, addr); i < k->w->nmemories && rc == 0; i++) {
        struct memory *m = k->w->by_start[i];
        uint64_t from = m->start > addr ? m->start : addr, to = m->end < end ? m->end : end;

        if (m->start >= end)
            break;
        if (from >= to)
            continue;
        if (!m->shadow && from > at)
            rc = count_loose(k, words + (at - addr) / ps, (from - at) / ps);
        if (!m->shadow)
            at = to;
        if (rc == 0)
            rc = walk_part(k, m, from, words + (from - addr) / ps, (to - from) / ps);
    }
    if (rc == 0 && at < end)
        rc = count_loose(k, words + (at - addr) / ps, (end - at) / ps);
    return rc;
}

static int walk_range(struct walk *k, uint64_t start, uint64_t end)
{
    while (start < end) {
        uint64_t n = 0, *words = NULL;
        int rc = words_at(k, start, end, &words, &n);

        if (rc == 0)
            rc = walk_window(k, start, words, n);
        if (rc < 0) {
            if (k->ahead.n)
                end_ahead(k);
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
    struct scan_range *kept = LIST_ADD_ROOM(o->scans, o->nscans, o->scans_cap);

    if (!kept)
        return -ENOMEM;
    *kept = *range;
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
    bool zero = !k->w->pagemap.frames;

    o->nscans = 0;
    if (!o->caps.have[CAP_PAGEMAP_SCAN] || !(zero || maybe_huge(k)) ||
        k->e->flags & (1u << VMF_HUGETLB))
        return 0;
    return pagemap_scan(k->w->pagemap.fd, k->e->start, k->e->end, SCAN_ZERO | SCAN_HUGE,
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

    if (rc == 0 && (!sparse || k->object || !o->caps.have[CAP_PAGEMAP_SCAN]))
        return walk_range(k, k->e->start, k->e->end);
    k->from = k->to = 0;
    if (rc == 0)
        rc = pagemap_scan(k->w->pagemap.fd, k->e->start, k->e->end, SCAN_PRESENT | SCAN_SWAPPED,
                          SCAN_PRESENT, walk_found, k, &o->cost[COST_SCAN]);
    k->from = k->to = 0;
    if (rc < 0 && !k->told)
        return err_sys(k->err, rc, "cannot scan the pages of process %d", (int)k->w->pid);
    return rc;
}

/* The frames of the process as sets, for the sharing of pairs. */
static int make_sets(struct walk *k)
{
    struct watched *w = k->w;
    uint32_t last = k->o->frames.n;

    if (!w->pagemap.frames || !(w->changed || !w->frames.words))
        return 0;
    if (frame_set_reserve(&w->frames, last) < 0 || frame_set_reserve(&w->region_frames, last) < 0)
        return err_no_memory(k->err);
    frame_set_clear(&w->frames);
    frame_set_clear(&w->region_frames);
    for (size_t i = 0; i < w->nmemories; i++) {
        const struct records *r = &w->memories[i]->now;

        uint64_t p, end = 0;

        while (r->n && next_pages(r, &p, &end))
            for (; p < end; p++)
                if ((r->rec[p] & REC_STATE) != PS_SWAPPED)
                    frame_set_add(&w->region_frames, r->slot[p]);
    }
    if (w->region_frames.words)
        w->region_frames.words[0] &= ~1ULL; /* slot 0 is none */
    memcpy(w->frames.words, w->region_frames.words, w->region_frames.nwords * sizeof(uint64_t));
    for (size_t i = 0; i < w->nloose; i++)
        if (!(k->o->frames.kind[w->loose[i]] & FRAME_SWAP))
            frame_set_add(&w->frames, w->loose[i]);
    return 0;
}

int walk_process(struct observer *o, struct watched *w, struct err *e)
{
    struct walk k = {.o = o, .w = w, .err = e};
    /* Frames that nobody had yet: all, or those that nobody else can have. */
    struct value fresh = o->frames.n ? w->now.uss_kb : w->now.rss_kb;
    int rc = 0;

    if (w->pagemap.fd < 0)
        return 0;
    if (w->pagemap.frames && !w->frames.words && value_is_known(fresh) &&
        frames_reserve(&o->frames, (uint64_t)fresh.n * 1024 / o->page_size) < 0)
        return err_no_memory(e);
    for (k.entry = 0; k.entry < w->maps.n && rc >= 0; k.entry++) {
        k.e = &w->maps.entries[k.entry];
        k.object = k.e->inode ? object_find(o, k.e->dev, k.e->inode) : NULL;
        k.file = mapping_is_file(k.e, is_shmem_dev(o, k.e->dev));
        k.kind = mapping_is_own(k.e, is_shmem_dev(o, k.e->dev)) ? FRAME_OWN : 0;
        k.tag = (k.e->shared ? WORD_SHARED : 0) | (k.kind ? WORD_OWN : 0);
        w->entry_sums[k.entry].loose_first = w->nloose;
        if (wanted(&k)) {
            w->entry_sums[k.entry].walked = true;
            rc = walk_entry(&k);
        }
        w->entry_sums[k.entry].loose_end = w->nloose;
    }
    for (size_t i = 0; i < w->nmemories && rc >= 0; i++) {
        rc = walk_gap(&k, w->memories[i], w->memories[i]->now.n);
        w->memories[i]->valid |= rc >= 0;
    }
    if (rc >= 0)
        rc = make_sets(&k);
    return rc;
}
