/* checks: where two sources tell the same fact, both are kept beside the verdict.
 *
 *   states_sum      the page states of a region add up to its pages
 *   smaps_rss       resident pages of the entry by the page walk, and Rss of smaps [KiB]
 *   smaps_private   pages mapped once by pagemap's bit 56, and Private_* of smaps [KiB]
 *   smaps_pss       the entry's pages, each divided by its map count, and Pss of smaps [KiB]; pages
 *                   of the entry that are not in the region are divided by the run's own mappings
 *   smaps_process   resident pages of all entries that were walked, and their Rss [KiB]
 *   smaps_swap      pages in swap, each divided by the holders of its slot in view, and SwapPss of
 *                   smaps [KiB]: they differ where something outside the run holds one too
 *   write_faults    pages whose write must have faulted, and the faults the actor counted
 *   prediction      per state that written pages had: those that the write did to what the state
 *                   promises (page_promise, rules.h), and all; see observation_add_predictions
 *   pss_distinct    the sum of PSS over all processes, and their distinct frames, in memory that
 *                   is the run's own [KiB]
 *   inference       samples of inferred values that the kernel confirmed, and samples taken
 *
 * An inferred or unknown side leaves a check unchecked. */
#include "probes/look/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Faults that an actor may take beside the pages it was told to write: its stack, its reply. */
#define STRAY_FAULTS 16

static int add(struct observation *out, const struct memory *m, struct obs_check c)
{
    c.observed = m->actor;
    c.region = m->region;
    c.case_name = m->case_name;
    return observation_check(out, c) ? 0 : -ENOMEM;
}

static int check_states(struct memory *m, const uint64_t *states, struct observation *out,
                        uint64_t page_size)
{
    uint64_t sum = 0;

    for (int i = 0; i < PS__COUNT; i++)
        sum += states[i];
    return add(
        out, m,
        (struct obs_check){.check = "states_sum",
                           .detail = "pages by state; pages of the region",
                           .left = value_known((int64_t)sum),
                           .right = value_known((int64_t)((m->end - m->start) / page_size))});
}

/* The entries that hold a region, summed on both sides. */
struct entries {
    int64_t n;
    struct smaps_counters kb;
    struct word_sums words;
    bool hugetlb, object;
    bool whole; /* no part of them lies outside of the region */
};

static struct entries entries_of(const struct watched *w, const struct memory *m)
{
    struct entries s = {.whole = true};

    for (const struct map_entry *e = maps_first(&w->maps, m->start, m->end); e;
         e = maps_next(&w->maps, e, m->end), s.n++) {
        const struct word_sums *words = &w->entry_sums[e - w->maps.entries].words;

        smaps_add(&s.kb, &e->kb);
        s.words.present += words->present;
        s.words.single += words->single;
        s.words.maybe_zero += words->maybe_zero;
        s.hugetlb |= (e->flags & 1u << VMF_HUGETLB) != 0;
        s.object |= e->inode != 0;
        s.whole &= e->start >= m->start && e->end <= m->end;
    }
    return s;
}

/* The zero page is in no Rss. */
static struct value walked_kb(uint64_t kb, uint64_t maybe_zero)
{
    return maybe_zero ? value_unknown(WHY_ZERO_UNTOLD) : value_known((int64_t)kb);
}

/* Do others, who are not looked at, come and go in the mapping while it is read twice? Map counts
 * of one moment then say nothing of those of another. */
static bool others_come(const struct observer *o, const struct map_entry *entry)
{
    return o->opt.everybody && entry && entry->inode;
}

static int check_smaps(struct observer *o, struct watched *w, struct memory *m,
                       const struct entries *s, struct observation *out)
{
    uint64_t unit = o->page_size / 1024;
    bool large = s->kb.anon_huge || s->kb.shmem_huge || s->kb.file_huge;
    struct obs_check rss = {.check = "smaps_rss", .detail = "KiB by the page walk; Rss of smaps"};
    struct obs_check once = {
        .check = "smaps_private",
        .detail = "KiB mapped once by pagemap; Private_Clean + Private_Dirty of smaps"};
    int rc;

    rss.left = walked_kb(s->words.present * unit, s->words.maybe_zero);
    rss.right = !w->maps.counted ? value_unknown(WHY_NO_INTERFACE)
                : s->hugetlb     ? value_na()
                                 : value_known((int64_t)s->kb.rss);
    once.left = value_known((int64_t)(s->words.single * unit));
    once.right = !w->maps.counted ? value_unknown(WHY_NO_INTERFACE)
                 : large          ? value_unknown(WHY_LARGE_FOLIO)
                 : s->hugetlb || others_come(o, maps_find(&w->maps, m->start))
                     ? value_na()
                     : value_known((int64_t)(s->kb.private_clean + s->kb.private_dirty));
    rc = add(out, m, rss);
    return rc < 0 ? rc : add(out, m, once);
}

static void add_slot(const struct observer *o, struct own_sums *sums, uint32_t slot)
{
    uint16_t own = slot && !(o->frames.kind[slot] & FRAME_SWAP) ? o->frames.own[slot] : 0;

    sums->pss += own ? (o->page_size << PSS_SHIFT) / own : 0;
    sums->alone += own == 1;
}

/* The part of a region that lies in the entry. */
static void add_part(const struct observer *o, const struct memory *m,
                     const struct map_entry *entry, struct own_sums *sums)
{
    uint64_t first = entry->start > m->start ? (entry->start - m->start) / o->page_size : 0;
    uint64_t end = entry->end < m->end ? (entry->end - m->start) / o->page_size : m->now.n;
    uint64_t block = first / BLOCK_PAGES, p, to;

    for (; (block = next_touched(&m->now, block)) * BLOCK_PAGES < end; block++) {
        p = block * BLOCK_PAGES > first ? block * BLOCK_PAGES : first;
        to = (block + 1) * BLOCK_PAGES < end ? (block + 1) * BLOCK_PAGES : end;
        for (; p < to; p++)
            add_slot(o, sums, m->now.slot[p]);
    }
}

/* All of an entry is summed once, whatever number of regions it has. */
static const struct own_sums *sums_of_entry(const struct observer *o, struct watched *w,
                                            const struct map_entry *entry)
{
    struct entry_sums *t = &w->entry_sums[entry - w->maps.entries];

    if (t->summed)
        return &t->own;
    t->summed = true;
    for (size_t i = t->loose_first; i < t->loose_end; i++)
        add_slot(o, &t->own, w->loose[i]);
    for (size_t i = first_region(w, entry->start);
         i < w->nmemories && w->by_start[i]->start < entry->end; i++)
        add_part(o, w->by_start[i], entry, &t->own);
    return &t->own;
}

/* What of the entry is not in the region. */
static void add_rest(const struct observer *o, struct watched *w, const struct memory *m,
                     const struct map_entry *entry, struct own_sums *rest)
{
    struct own_sums own = {0, 0};
    const struct own_sums *all;

    if (m->start <= entry->start && entry->end <= m->end)
        return;
    all = sums_of_entry(o, w, entry);
    add_part(o, m, entry, &own);
    rest->pss += all->pss - own.pss;
    rest->alone += all->alone - own.alone;
}

static uint64_t mapped_once(const struct memory *m)
{
    uint64_t n = 0, i, end = 0;

    while (m->now.n && next_pages(&m->now, &i, &end))
        for (; i < end; i++)
            n += (m->now.word[i] >> 63) & (m->now.word[i] >> 56);
    return n;
}

/* Map counts come from kpagecount, Pss from the walk that smaps makes itself. Both add up in the
 * same arithmetic, so that one page counted wrongly shows; only the KiB of each entry are rounded
 * down. */
static int check_map_counts(struct observer *o, struct watched *w, struct memory *m,
                            const struct entries *s, const struct obs_region *r, struct value pss,
                            struct observation *out)
{
    struct obs_check c = {.check = "smaps_pss",
                          .detail = "KiB of pages divided by their map counts; Pss of smaps",
                          .left = pss,
                          .tolerance = s->n > 1 ? s->n - 1 : 0};
    struct own_sums rest = {0, 0};

    if (w->pagemap.frames && !w->shadows)
        for (const struct map_entry *e = maps_first(&w->maps, m->start, m->end); e;
             e = maps_next(&w->maps, e, m->end))
            add_rest(o, w, m, e, &rest);
    if (value_is_known(pss))
        c.left.n = (int64_t)(((uint64_t)pss.n + rest.pss) >> (PSS_SHIFT + 10));
    c.right = w->maps.counted ? value_known((int64_t)s->kb.pss) : value_unknown(WHY_NO_INTERFACE);
    /* Explicit huge pages are not in Pss; and the rest of the entry must be known, with nobody
     * outside the run who maps it. */
    if ((value_is_known(r->q[RQ_SHARE_MODE]) && r->q[RQ_SHARE_MODE].n == SM_LARGE_PAGE) ||
        w->shadows || others_come(o, maps_find(&w->maps, m->start)) ||
        (s->words.present > (uint64_t)r->q[RQ_MAPPED].n &&
         (!w->pagemap.frames || rest.alone != s->words.single - mapped_once(m))))
        c.right = value_na();
    return add(out, m, c);
}

/* Who holds slots of swap is joined from the processes in view; SwapPss counts all holders, but not
 * of an object's pages: there all that is in swap is compared. Nothing to compare where other pages
 * of the mapping are in swap. */
static int check_swap(const struct observer *o, const struct watched *w, const struct memory *m,
                      const struct entries *s, const struct obs_region *r, struct value swap_pss,
                      struct observation *out)
{
    uint64_t in_swap = (uint64_t)r->q[RQ_SWAPPED].n * (o->page_size / 1024);
    struct obs_check c = {.check = "smaps_swap", .tolerance = s->n > 1 ? s->n - 1 : 0};

    if (!in_swap && !(s->kb.swap && s->whole))
        return 0;
    c.detail = s->object ? "KiB in swap; Swap of smaps"
                         : "KiB in swap divided by the holders; SwapPss of smaps";
    c.left = s->object ? r->q[RQ_SWAPPED] : swap_pss;
    c.left.n = s->object ? (int64_t)in_swap : c.left.n >> (PSS_SHIFT + 10);
    c.right = value_known((int64_t)(s->object ? s->kb.swap : s->kb.swap_pss));
    if (!w->maps.counted)
        c.right = value_unknown(WHY_NO_INTERFACE);
    else if (s->object ? !s->whole || !o->caps.have[CAP_CACHESTAT]
                       : s->kb.swap != in_swap || !all_in_view(o))
        c.right = value_na();
    return add(out, m, c);
}

/* Each page first touched, copied, reused or swapped in took one fault; without large folios no
 * fewer. */
static int check_faults(struct watched *w, struct memory *m, const struct obs_region *r,
                        struct observation *out)
{
    struct obs_check c = {.check = "write_faults",
                          .detail = "pages that had to fault; faults that the actor counted",
                          .tolerance = STRAY_FAULTS};
    int rc;

    if (!m->written || !w->target->acting)
        return 0;
    c.left = value_add(value_add(r->q[RQ_FIRST_TOUCH], r->q[RQ_COPIED]),
                       value_add(r->q[RQ_REUSED], r->q[RQ_SWAPPED_IN]));
    c.right = !value_is_known(r->q[RQ_HUGE]) || r->q[RQ_HUGE].n
                  ? value_unknown(WHY_LARGE_FOLIO)
                  : value_known((int64_t)(w->target->minflt + w->target->majflt));
    rc = add(out, m, c);
    if (rc == 0 && out->checks[out->nchecks - 1].verdict == CHECK_HELD && c.right.n < c.left.n)
        out->checks[out->nchecks - 1].verdict = CHECK_DIFFERS;
    return rc;
}

/* Pages without a fault: more faults than the others can have taken are theirs. A page in another
 * frame is not excused as moved by the kernel while there is a fault that may have copied it. */
static void judge_faults(const struct target *t, const struct obs_region *r, struct promises *p)
{
    uint64_t faults = t->minflt + t->majflt, expected = p->either + p->pinned,
             quiet = p->held[PS_EXCLUSIVE];
    uint64_t excess, failed;

    for (int i = 0; i < PS__COUNT; i++)
        expected += i == PS_EXCLUSIVE ? 0 : p->held[i] + p->failed[i];
    if (!t->acting || !quiet || !value_is_known(r->q[RQ_HUGE]) || r->q[RQ_HUGE].n)
        return;
    excess = faults > expected ? faults - expected : 0;
    failed = excess > STRAY_FAULTS ? excess - STRAY_FAULTS : 0;
    if (failed < (excess < p->moved ? excess : p->moved))
        failed = excess < p->moved ? excess : p->moved;
    failed = failed < quiet ? failed : quiet;
    p->held[PS_EXCLUSIVE] -= failed;
    p->failed[PS_EXCLUSIVE] += failed;
}

int checks_promises(const struct watched *w, const struct memory *m, struct promises *p,
                    const struct obs_region *r, struct observation *out, struct err *e)
{
    judge_faults(w->target, r, p);
    return observation_add_predictions(out, m->actor, m->region, m->case_name, p) < 0
               ? err_no_memory(e)
               : 0;
}

int checks_region(struct observer *o, struct watched *w, struct memory *m, struct obs_region *r,
                  const uint64_t *states, struct value pss, struct value swap_pss,
                  struct observation *out, struct err *e)
{
    struct entries s = entries_of(w, m);
    int rc = check_states(m, states, out, o->page_size);

    if (rc == 0)
        rc = check_smaps(o, w, m, &s, out);
    if (rc == 0)
        rc = check_map_counts(o, w, m, &s, r, pss, out);
    if (rc == 0)
        rc = check_swap(o, w, m, &s, r, swap_pss, out);
    if (rc == 0)
        rc = check_faults(w, m, r, out);
    return rc < 0 ? err_no_memory(e) : 0;
}

int checks_process(struct observer *o, struct watched *w, struct observation *out, struct err *e)
{
    struct obs_check c = {.check = "smaps_process",
                          .observed = w->actor,
                          .detail = "KiB by the page walk; Rss of smaps, in all entries walked"};
    uint64_t walked = 0, maybe_zero = 0, rss = 0;

    for (size_t i = 0; i < w->maps.n; i++)
        if (w->entry_sums[i].walked && !(w->maps.entries[i].flags & 1u << VMF_HUGETLB)) {
            walked += w->entry_sums[i].words.present * (o->page_size / 1024);
            maybe_zero += w->entry_sums[i].words.maybe_zero;
            rss += w->maps.entries[i].kb.rss;
        }
    c.left = w->pagemap.fd < 0 ? value_unknown(WHY_PERMISSION) : walked_kb(walked, maybe_zero);
    c.right = w->maps.counted ? value_known((int64_t)rss) : value_unknown(WHY_NO_INTERFACE);
    return observation_check(out, c) ? 0 : err_no_memory(e);
}

static int check_pss(struct observer *o, struct observation *out)
{
    struct obs_check c = {.check = "pss_distinct",
                          .detail = "KiB of PSS over all processes; KiB of their distinct frames, "
                                    "both in memory that no file backs"};
    uint64_t pss = 0;
    bool frames = o->opt.whole_process, counted = true;

    for (size_t i = 0; i < o->nwatched; i++) {
        const struct watched *w = o->watched[i];

        if (!w->seen)
            continue;
        frames &= w->pagemap.frames;
        counted &= w->maps.counted;
        for (size_t k = 0; k < w->maps.n; k++)
            if (mapping_is_own(&w->maps.entries[k], is_shmem_dev(o, w->maps.entries[k].dev)) &&
                w->maps.entries[k].kb.rss) {
                pss += w->maps.entries[k].kb.pss;
                c.tolerance++; /* smaps rounds each entry down to a whole KiB */
            }
    }
    c.left = counted ? value_known((int64_t)pss) : value_unknown(WHY_NO_INTERFACE);
    c.right = frames ? value_known((int64_t)(o->frames.distinct_own * (o->page_size / 1024)))
                     : value_unknown(WHY_NO_FRAMES);
    if (frames && o->outsiders)
        c.right = value_na(); /* PSS counts the outsiders' part too: nothing to compare with */
    return observation_check(out, c) ? 0 : -ENOMEM;
}

static int check_inference(struct observer *o, struct observation *out)
{
    struct obs_check c = {.check = "inference",
                          .detail = "samples that the kernel confirmed; samples taken",
                          .left = value_known((int64_t)o->samples_agreed),
                          .right = value_known((int64_t)o->samples)};

    return !o->samples || observation_check(out, c) ? 0 : -ENOMEM;
}

int checks_run(struct observer *o, struct observation *out, struct err *e)
{
    int rc = check_pss(o, out);

    if (rc == 0)
        rc = check_inference(o, out);
    return rc < 0 ? err_no_memory(e) : 0;
}
