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

static void judge(struct obs_check *c)
{
    int64_t gap = c->left.n > c->right.n ? c->left.n - c->right.n : c->right.n - c->left.n;

    if (!value_is_known(c->left) || !value_is_known(c->right) || c->left.inferred ||
        c->right.inferred)
        c->verdict = CHECK_NOT_CHECKED;
    else
        c->verdict = gap <= c->tolerance ? CHECK_HELD : CHECK_DIFFERS;
}

static struct obs_check *add(struct observation *out, const char *name, const struct memory *m,
                             const char *detail)
{
    struct obs_check *c =
        observation_add_check(out, name, m ? m->actor : NULL, m ? m->region : NULL);

    if (!c)
        return NULL;
    if (m && m->case_name && !(c->case_name = strdup(m->case_name)))
        return NULL;
    return detail && !(c->detail = strdup(detail)) ? NULL : c;
}

static int check_states(struct memory *m, const uint64_t *states, struct observation *out,
                        uint64_t page_size)
{
    struct obs_check *c = add(out, "states_sum", m, "pages by state; pages of the region");
    uint64_t sum = 0;

    if (!c)
        return -ENOMEM;
    for (int i = 0; i < PS__COUNT; i++)
        sum += states[i];
    c->left = value_known((int64_t)sum);
    c->right = value_known((int64_t)((m->end - m->start) / page_size));
    judge(c);
    return 0;
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

/* The entries that hold the region, summed on both sides. */
static int check_smaps(struct observer *o, struct watched *w, struct memory *m,
                       struct observation *out)
{
    struct obs_check *rss, *private_kb;
    const struct map_entry *entry = maps_find(&w->maps, m->start);
    const struct map_entry *end = w->maps.entries + w->maps.n;
    uint64_t walked = 0, maybe_zero = 0, once = 0, smaps = 0, smaps_once = 0,
             unit = o->page_size / 1024;
    bool large = false, hugetlb = false, others = others_come(o, entry);

    for (; entry && entry < end && entry->start < m->end; entry++) {
        const struct entry_sums *t = &w->entry_sums[entry - w->maps.entries];

        walked += t->words.present * unit;
        maybe_zero += t->words.maybe_zero;
        once += t->words.single * unit;
        smaps += entry->kb.rss;
        smaps_once += entry->kb.private_clean + entry->kb.private_dirty;
        large |= entry->kb.anon_huge || entry->kb.shmem_huge || entry->kb.file_huge;
        hugetlb |= (entry->flags & 1u << VMF_HUGETLB) != 0;
    }
    if (!(rss = add(out, "smaps_rss", m, "KiB by the page walk; Rss of smaps")))
        return -ENOMEM;
    rss->left = walked_kb(walked, maybe_zero);
    rss->right = !w->maps.counted ? value_unknown(WHY_NO_INTERFACE)
                 : hugetlb        ? value_na()
                                  : value_known((int64_t)smaps);
    judge(rss);
    if (!(private_kb = add(out, "smaps_private", m,
                           "KiB mapped once by pagemap; Private_Clean + Private_Dirty of smaps")))
        return -ENOMEM;
    private_kb->left = value_known((int64_t)once);
    private_kb->right = !w->maps.counted    ? value_unknown(WHY_NO_INTERFACE)
                        : large             ? value_unknown(WHY_LARGE_FOLIO)
                        : hugetlb || others ? value_na()
                                            : value_known((int64_t)smaps_once);
    judge(private_kb);
    return 0;
}

static uint64_t share_of(const struct observer *o, uint32_t slot)
{
    uint16_t own = slot && !(o->frames.kind[slot] & FRAME_SWAP) ? o->frames.own[slot] : 0;

    return own ? (o->page_size << PSS_SHIFT) / own : 0;
}

static void add_slot(const struct observer *o, struct own_sums *sums, uint32_t slot)
{
    sums->pss += share_of(o, slot);
    sums->alone += slot && !(o->frames.kind[slot] & FRAME_SWAP) && o->frames.own[slot] == 1;
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
                            const struct obs_region *r, struct value pss, struct observation *out)
{
    struct obs_check *c =
        add(out, "smaps_pss", m, "KiB of pages divided by their map counts; Pss of smaps");
    const struct map_entry *entry = maps_find(&w->maps, m->start);
    const struct map_entry *end = w->maps.entries + w->maps.n;
    uint64_t told = 0, once = 0, present = 0;
    struct own_sums rest = {0, 0};
    int64_t entries = 0;

    if (!c)
        return -ENOMEM;
    for (; entry && entry < end && entry->start < m->end; entry++, entries++) {
        told += entry->kb.pss;
        present += w->entry_sums[entry - w->maps.entries].words.present;
        once += w->entry_sums[entry - w->maps.entries].words.single;
        if (w->pagemap.frames && !w->shadows)
            add_rest(o, w, m, entry, &rest);
    }
    c->left = pss;
    if (value_is_known(pss))
        c->left.n = (int64_t)(((uint64_t)pss.n + rest.pss) >> (PSS_SHIFT + 10));
    c->right = w->maps.counted ? value_known((int64_t)told) : value_unknown(WHY_NO_INTERFACE);
    /* Explicit huge pages are not in Pss; and the rest of the entry must be known, with nobody
     * outside the run who maps it. */
    if ((value_is_known(r->q[RQ_SHARE_MODE]) && r->q[RQ_SHARE_MODE].n == SM_LARGE_PAGE) ||
        w->shadows || others_come(o, maps_find(&w->maps, m->start)) ||
        (present > (uint64_t)r->q[RQ_MAPPED].n &&
         (!w->pagemap.frames || rest.alone != once - mapped_once(m))))
        c->right = value_na();
    c->tolerance = entries > 1 ? entries - 1 : 0;
    judge(c);
    return 0;
}

/* Who holds slots of swap is joined from the processes in view; SwapPss counts all holders, but not
 * of an object's pages: there all that is in swap is compared. Nothing to compare where other pages
 * of the mapping are in swap. */
static int check_swap(const struct observer *o, const struct watched *w, const struct memory *m,
                      const struct obs_region *r, struct value swap_pss, struct observation *out)
{
    const struct map_entry *entry = maps_find(&w->maps, m->start);
    const struct map_entry *end = w->maps.entries + w->maps.n;
    uint64_t told = 0, swap = 0, entries = 0, page_kb = o->page_size / 1024;
    uint64_t in_swap = (uint64_t)r->q[RQ_SWAPPED].n * page_kb;
    bool object = false, whole = true;
    struct obs_check *c;

    for (; entry && entry < end && entry->start < m->end; entry++, entries++) {
        told += entry->kb.swap_pss;
        swap += entry->kb.swap;
        object |= entry->inode != 0;
        whole &= entry->start >= m->start && entry->end <= m->end;
    }
    if (!in_swap && !(swap && whole))
        return 0;
    c = add(out, "smaps_swap", m,
            object ? "KiB in swap; Swap of smaps"
                   : "KiB in swap divided by the holders; SwapPss of smaps");
    if (!c)
        return -ENOMEM;
    c->left = object ? r->q[RQ_SWAPPED] : swap_pss;
    c->left.n = object ? (int64_t)in_swap : c->left.n >> (PSS_SHIFT + 10);
    c->right = value_known((int64_t)(object ? swap : told));
    if (!w->maps.counted)
        c->right = value_unknown(WHY_NO_INTERFACE);
    else if (object ? !whole || !o->caps.have[CAP_CACHESTAT] : swap != in_swap || !all_in_view(o))
        c->right = value_na();
    c->tolerance = entries > 1 ? (int64_t)entries - 1 : 0;
    judge(c);
    return 0;
}

/* Each page first touched, copied, reused or swapped in took one fault; without large folios no
 * fewer. */
static int check_faults(struct watched *w, struct memory *m, const struct obs_region *r,
                        struct observation *out)
{
    struct obs_check *c;
    int64_t faults, least;

    if (!m->written || !w->target->acting)
        return 0;
    c = add(out, "write_faults", m, "pages that had to fault; faults that the actor counted");
    if (!c)
        return -ENOMEM;
    c->left = value_add(value_add(r->q[RQ_FIRST_TOUCH], r->q[RQ_COPIED]),
                        value_add(r->q[RQ_REUSED], r->q[RQ_SWAPPED_IN]));
    c->right = value_known((int64_t)(w->target->minflt + w->target->majflt));
    c->tolerance = STRAY_FAULTS;
    if (!value_is_known(r->q[RQ_HUGE]) || r->q[RQ_HUGE].n)
        c->right = value_unknown(WHY_LARGE_FOLIO);
    judge(c);
    faults = c->right.n;
    least = c->left.n;
    if (c->verdict == CHECK_HELD && faults < least)
        c->verdict = CHECK_DIFFERS;
    return 0;
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
    int rc = check_states(m, states, out, o->page_size);

    if (rc == 0)
        rc = check_smaps(o, w, m, out);
    if (rc == 0)
        rc = check_map_counts(o, w, m, r, pss, out);
    if (rc == 0)
        rc = check_swap(o, w, m, r, swap_pss, out);
    if (rc == 0)
        rc = check_faults(w, m, r, out);
    return rc < 0 ? err_no_memory(e) : 0;
}

int checks_process(struct observer *o, struct watched *w, struct observation *out, struct err *e)
{
    struct obs_check *c = observation_add_check(out, "smaps_process", w->actor, NULL);
    uint64_t walked = 0, maybe_zero = 0, rss = 0;

    if (!c || !(c->detail = strdup("KiB by the page walk; Rss of smaps, in all entries walked")))
        return err_no_memory(e);
    for (size_t i = 0; i < w->maps.n; i++)
        if (w->entry_sums[i].walked && !(w->maps.entries[i].flags & 1u << VMF_HUGETLB)) {
            walked += w->entry_sums[i].words.present * (o->page_size / 1024);
            maybe_zero += w->entry_sums[i].words.maybe_zero;
            rss += w->maps.entries[i].kb.rss;
        }
    c->left = w->pagemap.fd < 0 ? value_unknown(WHY_PERMISSION) : walked_kb(walked, maybe_zero);
    c->right = w->maps.counted ? value_known((int64_t)rss) : value_unknown(WHY_NO_INTERFACE);
    judge(c);
    return 0;
}

static int check_pss(struct observer *o, struct observation *out)
{
    struct obs_check *c =
        add(out, "pss_distinct", NULL,
            "KiB of PSS over all processes; KiB of their distinct frames, both in "
            "memory that no file backs");
    uint64_t pss = 0, entries = 0;
    bool frames = o->opt.whole_process, counted = true;

    if (!c)
        return -ENOMEM;
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
                entries++;
            }
    }
    c->left = counted ? value_known((int64_t)pss) : value_unknown(WHY_NO_INTERFACE);
    c->right = frames ? value_known((int64_t)(o->frames.distinct_own * (o->page_size / 1024)))
                      : value_unknown(WHY_NO_FRAMES);
    if (frames && o->outsiders)
        c->right = value_na(); /* PSS counts the outsiders' part too: nothing to compare with */
    c->tolerance = (int64_t)entries; /* smaps rounds each entry down to a whole KiB */
    judge(c);
    return 0;
}

static int check_inference(struct observer *o, struct observation *out)
{
    struct obs_check *c;

    if (!o->samples)
        return 0;
    c = add(out, "inference", NULL, "samples that the kernel confirmed; samples taken");
    if (!c)
        return -ENOMEM;
    c->left = value_known((int64_t)o->samples_agreed);
    c->right = value_known((int64_t)o->samples);
    judge(c);
    return 0;
}

int checks_run(struct observer *o, struct observation *out, struct err *e)
{
    int rc = check_pss(o, out);

    if (rc == 0)
        rc = check_inference(o, out);
    return rc < 0 ? err_no_memory(e) : 0;
}
