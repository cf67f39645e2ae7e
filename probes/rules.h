/* rules: what each word of words.h means: from facts to words, in one place for all who look (a
 * run's look, a watch's sample, vmmap, cowprobe, mach_vm_region, the reader of GNU Mach's records).
 *
 *     page_*      one page:                state, what may be concluded, what a write made of it
 *     region_*    the pages of one region: quantities, share mode, references, write outcome
 *     words_*     pagemap's words:       sums over a mapping
 *     mapping_*   one entry of maps:       what it is, inheritance
 *     *_mach      the row for a kernel whose state is per entry and object (GNU Mach, XNU)
 *
 * Pure: no rule reads anything but its arguments, allocates, or fails. Who asks says what it does
 * not know as unknown, with the reason; nobody has a rule of its own. tests/unit/test_rules.c has a
 * row for every word and reason. Page functions are inline: they run for millions of pages. */
#pragma once

#include "probes/kernel/pagemap.h"
#include "probes/maps.h"
#include "probes/value.h"

/* To a yes-or-no question. */
enum answer { ANSWER_NONE, ANSWER_NO, ANSWER_YES };

static inline enum answer answer_of(bool yes)
{
    return yes ? ANSWER_YES : ANSWER_NO;
}

/* -- one page --------------------------------------------------------------------------- */

/* An anonymous page. Linux: mm/memory.c (do_wp_page), include/linux/page-flags.h
 * (PageAnonExclusive), Documentation/admin-guide/mm/pagemap.rst. */
struct anon_facts {
    enum answer once;      /* mapped once, by the page table's own word (bit 56) */
    int32_t count;         /* map count; -1: not told */
    bool least;            /* the count is a least (joined from the run's own mappings) */
    bool average;          /* the count may be an average over the folio */
    bool no_zero;          /* known not to be the shared zero page */
    enum answer exclusive; /* the kernel's mark: the next write need not check for sharers */
    /* Of a page mapped once without that mark (mm/memory.c, wp_can_reuse_anon_folio): */
    bool merged;      /* by KSM: a write copies it whoever maps it */
    bool cached;      /* in the swap cache: copied as long as its slot of swap is held ... */
    enum answer held; /* ... by somebody else */
    bool batched;     /* in a CPU's batch, maybe another's: copied, or kept */
};

static inline enum page_state page_anon_state(struct anon_facts f)
{
    bool no_count = f.count < 0 || (f.least && f.count == 1) || (f.average && f.count > 1);

    if (!no_count && f.count == 0) /* mapped by nobody: the zero page, or gone meanwhile */
        return f.no_zero ? PS_ANON_UNKNOWN : PS_ZERO;
    if (!no_count && f.count != 1)
        return PS_COW;
    if (no_count && f.once != ANSWER_YES)
        return f.once == ANSWER_NO ? PS_COW : PS_ANON_UNKNOWN;
    if (f.once == ANSWER_NO) /* and counted once: bit 56 was the answer of a folio's head page */
        return PS_ANON_UNKNOWN;
    if (f.exclusive != ANSWER_NO)
        return f.exclusive == ANSWER_YES ? PS_EXCLUSIVE : PS_ANON_UNKNOWN;
    if (f.merged || (f.cached && f.held == ANSWER_YES))
        return PS_COW;
    return f.batched || (f.cached && f.held == ANSWER_NONE) ? PS_ANON_UNKNOWN : PS_DEBT;
}

/* That mark by the frame's kpageflags: in a large folio it is the head page's, and a frame that is
 * no anonymous page's any more was given back meanwhile. */
static inline enum answer page_exclusive(uint64_t flags)
{
    if (flags == KPAGE_NONE || (flags & KPF_LARGE) || !(flags & KPF_ANON))
        return ANSWER_NONE;
    return answer_of(flags & KPF_ANON_EXCLUSIVE);
}

/* Does the page wait in some CPU's batch, which holds a reference? In the one for new pages, maybe
 * another CPU's; in the one of mlock, which no write empties (mm/mlock.c): it still is locked, and
 * by no mapping of its own; or in the one of MADV_FREE (mm/swap.c, folio_mark_lazyfree), behind
 * which it would not be swap's any more. one_cpu: all that use it run on the writer's; locked: its
 * mapping is; freed: MADV_FREE was given for it. */
static inline bool page_batched(uint64_t flags, bool one_cpu, bool locked, bool freed)
{
    return (!one_cpu && !(flags & KPF_LRU)) || ((flags & KPF_MLOCKED) && !locked) ||
           (freed && flags & KPF_SWAPBACKED);
}

/* Any page. zero: known to be the shared zero page; shared: of a shared mapping; object: page
 * cache (bit 61); anon: page_anon_state() of what is none of these. */
struct page_facts {
    bool present, swapped, zero, shared, object;
    enum page_state anon;
};

static inline enum page_state page_state(struct page_facts f)
{
    if (!f.present)
        return f.swapped ? PS_SWAPPED : PS_NONE;
    return f.zero ? PS_ZERO : f.shared ? PS_SHARED : f.object ? PS_OBJECT : f.anon;
}

/* Exclusive or in debt: an anonymous page that nobody else maps. */
static inline bool page_is_once(enum page_state s)
{
    return s == PS_EXCLUSIVE || s == PS_DEBT;
}

/* A private page of the process, not its memory object's. */
static inline bool page_is_anon(enum page_state s)
{
    return page_is_once(s) || s == PS_COW || s == PS_ANON_UNKNOWN;
}

static inline bool page_is_object(enum page_state s)
{
    return s == PS_OBJECT || s == PS_SHARED;
}

/* In the page table; the zero page is nobody's memory and does not count. */
static inline bool page_is_mapped(enum page_state s)
{
    return page_is_anon(s) || page_is_object(s);
}

/* What a page that is mapped once, in the frame of the last look, must be by what it was then:
 * PS_ANON_UNKNOWN: ask. quiet: its process took no fault since, so that nobody has paid a debt. An
 * exclusive page can have been in a fork unseen, which takes the mark from all pages of a process
 * at once: who concludes asks some all the same. */
static inline enum page_state page_concluded(enum page_state was, bool quiet)
{
    if (was == PS_EXCLUSIVE)
        return PS_EXCLUSIVE;
    return quiet && (was == PS_DEBT || was == PS_COW) ? PS_DEBT : PS_ANON_UNKNOWN;
}

/* What became of one page between two looks. */
enum page_outcome {
    PO_NOTHING, /* nothing that shows: not written, or without a fault */
    PO_FIRST_TOUCH,
    PO_COPIED,
    PO_COPIED_LIKELY, /* concluded without frames */
    PO_SWAPPED_IN,
    PO_AWAY, /* written, and in swap again: nobody knows what it was */
    PO_REUSED,
    PO_DOUBT,       /* reused, no fault, or not written */
    PO_DOUBT_COPY,  /* that, or copied */
    PO_DOUBT_FIRST, /* that, or copied, or it was the zero page */
    PO_UNTOLD,      /* nobody knows whether the memory object had the page before */
    PO__COUNT
};

struct outcome_facts {
    enum page_state was, is;
    enum answer same_frame; /* ANSWER_NONE: the frames are not seen */
    enum answer had;        /* its memory object had the page in memory before; of a page in swap:
                               it was the object's */
    bool written;           /* the page's region was written; if not, a new frame of a page that
                               could have stayed where it was says nothing */
    bool zero_told;         /* the zero page is told from a shared page */
    bool along;             /* not written: another that shared it has it in the new frame too */
};

static inline enum page_outcome page_outcome(struct outcome_facts f)
{
    bool was_shared = f.was == PS_OBJECT || f.was == PS_COW;

    if (f.is == PS_SWAPPED && f.written)
        return PO_AWAY;
    if (!page_is_mapped(f.is))
        return PO_NOTHING;
    if (f.was == PS_NONE && f.had == ANSWER_NONE)
        return PO_UNTOLD;
    if (f.was == PS_NONE && f.had == ANSWER_YES && f.is == PS_SHARED)
        return PO_REUSED; /* the object had the page: mapped by the fault */
    if (f.was == PS_NONE && f.had == ANSWER_YES && f.is != PS_OBJECT)
        return PO_COPIED; /* private mapping: the object's page was copied straight away */
    if (f.was == PS_NONE || f.was == PS_ZERO)
        return f.is != PS_OBJECT ? PO_FIRST_TOUCH : PO_NOTHING;
    if (f.was == PS_SWAPPED && f.had == ANSWER_YES && f.is != PS_SHARED)
        return f.is == PS_OBJECT ? PO_NOTHING
                                 : PO_COPIED; /* read back into the object, and copied */
    if (f.was == PS_SWAPPED)
        return PO_SWAPPED_IN;
    if (f.same_frame == ANSWER_NO && !f.written && !(was_shared && page_is_anon(f.is)))
        return PO_NOTHING;
    /* In another frame. Who is alone copies nothing. A copy is alone, or was forked since, which a
     * step that writes does not do; what is what it was, the kernel has moved (mm/compaction.c). */
    if (f.same_frame == ANSWER_NO && f.was == f.is && f.was != PS_ANON_UNKNOWN)
        return f.was == PS_COW && !f.written && !f.along ? PO_COPIED : PO_NOTHING;
    if (f.same_frame == ANSWER_NO)
        return f.was == PS_EXCLUSIVE ? PO_NOTHING : PO_COPIED;
    if (f.same_frame == ANSWER_YES && f.was == PS_ANON_UNKNOWN && f.is == PS_ANON_UNKNOWN)
        return PO_DOUBT;
    /* anon? of a page in no large folio: it was cow or in debt, as its next write would show. */
    if (f.same_frame == ANSWER_YES)
        return f.is == PS_EXCLUSIVE && f.was != PS_EXCLUSIVE && page_is_anon(f.was) ? PO_REUSED
                                                                                    : PO_NOTHING;
    if (f.was == PS_OBJECT && f.is != PS_OBJECT)
        return PO_COPIED;
    if (f.was == PS_COW && f.is != PS_COW && f.is != PS_OBJECT)
        return PO_COPIED_LIKELY; /* no frames, but the sharer has not gone: it took no step */
    if (f.was == PS_ANON_UNKNOWN)
        return f.zero_told ? PO_DOUBT_COPY : PO_DOUBT_FIRST;
    return f.is == PS_ANON_UNKNOWN || f.is == PS_COW ? PO_DOUBT : PO_NOTHING;
}

/* A state is a promise of what the next write to the page will be, and every write that a look
 * follows puts it to the test. A page of a shared mapping keeps its frame, with a fault (reused)
 * where it was not mapped yet. 0: nothing is promised; of an anon? page of which everything could
 * be seen because the kernel may decide either way. had: as in outcome_facts. */
static inline enum write_outcome page_promise(enum page_state s, enum answer had, bool shared)
{
    switch (s) {
    case PS_EXCLUSIVE:
    case PS_SHARED:
        return WO_NO_FAULT;
    case PS_DEBT:
        return WO_REUSED;
    case PS_COW:
    case PS_OBJECT:
        return WO_COPIED;
    case PS_NONE:
        if (had == ANSWER_YES)
            return shared ? WO_REUSED : WO_COPIED;
        return had == ANSWER_NO ? WO_FIRST_TOUCH : 0;
    case PS_ZERO:
        return WO_FIRST_TOUCH;
    case PS_SWAPPED:
        return had == ANSWER_YES && !shared ? WO_COPIED : WO_SWAPPED_IN;
    default:
        return 0;
    }
}

struct promise_facts {
    enum page_state was, is;
    enum answer same_frame, had; /* as in outcome_facts */
    bool shared;                 /* of a shared mapping */
};

/* Has a write kept what the page's state promised? ANSWER_NONE: nothing was, or it cannot be seen.
 * That an exclusive page takes no fault only the faults of all pages together can tell; and one in
 * another frame has been moved by the kernel, or copied, which takes a fault too. */
static inline enum answer page_kept_promise(struct promise_facts f)
{
    bool mapped = page_is_mapped(f.is);

    if (f.is == PS_SWAPPED) /* paged out before the look */
        return ANSWER_NONE;
    switch (page_promise(f.was, f.had, f.shared)) {
    case WO_NO_FAULT:
        return f.same_frame == ANSWER_NO && f.was == f.is ? ANSWER_YES : f.same_frame;
    case WO_REUSED:
        if (f.was == PS_NONE)
            return answer_of(f.is == PS_SHARED);
        return f.same_frame == ANSWER_YES ? answer_of(f.is == PS_EXCLUSIVE) : f.same_frame;
    case WO_COPIED:
        if (f.was == PS_COW && f.same_frame != ANSWER_NO)
            return f.same_frame == ANSWER_YES ? ANSWER_NO : ANSWER_NONE;
        return answer_of(page_is_anon(f.is));
    case WO_FIRST_TOUCH:
        return answer_of(mapped && f.is != PS_OBJECT);
    case WO_SWAPPED_IN:
        return answer_of(mapped);
    default:
        return ANSWER_NONE;
    }
}

/* The written pages of a region, by the state that they had. */
struct promises {
    uint64_t held[PS__COUNT], failed[PS__COUNT];
    uint64_t either; /* were anon? though everything could be seen: the kernel decides */
    uint64_t moved;  /* of those held: exclusive, and in another frame now */
    uint64_t pinned; /* in debt, and copied: a reference was held that shows nowhere */
    uint64_t untold; /* what their states promised, or what became of them, could not be seen */
    enum why why_untold;
    bool mach; /* by the rules for GNU Mach */
};

/* -- words of pagemap ------------------------------------------------------------------- */

/* What the words of one mapping add up to. */
struct word_sums {
    uint64_t present;    /* without the zero page */
    uint64_t single;     /* of present: bit 56 set */
    uint64_t maybe_zero; /* of present: the zero page, or shared: nothing here tells */
};

/* Adds n words, in which the zero page is marked (PM_ZERO) if it can be told. */
void words_sum(const uint64_t *words, uint64_t n, bool zero_told, struct word_sums *sums);

/* -- the pages of one region ------------------------------------------------------------ */

/* What could be seen of a process. */
struct sight {
    bool table;  /* its page table, or all that smaps's sums per mapping leave out of it */
    bool frames; /* its frame numbers */
    bool counts; /* map counts of frames (kpagecount) ... */
    bool exact;  /* ... of each page by itself, in a large folio too */
    bool flags;  /* flags of frames (kpageflags) ... */
    bool debt;   /* ... with the mark that tells exclusive from debt */
};

struct region_facts {
    struct sight sight;
    /* its mapping */
    bool shared;    /* MAP_SHARED */
    bool read_only; /* no part of it may be written as it is */
    bool hugetlb;   /* explicit huge pages */
    bool object;    /* a memory object lies behind it */
    /* its pages */
    uint64_t pages;
    uint64_t states[PS__COUNT];
    uint64_t either;     /* of anon?: cow or in debt, as the kernel decides at the next write */
    bool maybe_cached;   /* anon? pages may be in the swap cache, and cow: flags would tell */
    bool maybe_listed;   /* or held by a list of the kernel's, and copied: flags would tell */
    uint64_t huge;       /* mapped by a huge entry */
    uint64_t maybe_zero; /* of anon?: the zero page, or shared */
    enum why why_zero;   /* WHY_KNOWN: none of those that are none may be the zero page */
    bool large;          /* some may be in large folios, where bit 56 is the head page's answer and
                            a write can copy a page that is mapped once */
    bool large_told;     /* pages are anon? because they are in large folios */
    bool cow_summed;     /* how many are cow is a sum: exclusive and debt stay untold */
    bool inferred_cow;   /* how many are cow is concluded */
    bool inferred_debt;  /* which of the pages mapped once are in debt is concluded */
    bool inferred_mode;  /* and so is that none is */
    bool inferred_risk;  /* and that those in debt are in no batch */
    /* its pages in swap */
    enum why why_swap;    /* WHY_KNOWN: it is told who holds their slots */
    uint64_t swap_shared; /* whose slot another mapping holds too: the next write leaves it that */
    bool swap_some;       /* that there are such is all that is told */
    bool inferred_swap; /* that there are none is concluded: in the swap cache others may have them
                         */
    /* map counts of its anonymous pages */
    int64_t anon_count;    /* the largest */
    uint64_t anon_missing; /* pages without one */
    bool inferred_count;
    /* the memory object behind it */
    enum why why_object;     /* WHY_KNOWN: which of its pages are in memory is told */
    uint64_t backed;         /* its pages in memory that no private copy hides */
    uint64_t backed_none;    /* of these: not mapped here */
    bool backed_any;         /* any of its pages in memory, hidden ones too */
    uint64_t object_swapped; /* of the pages in swap: its */
    bool maybe_swapped;  /* pages that are none may be in swap as its: why_object says why that is
                            not told */
    bool others;         /* another process maps it */
    enum why why_others; /* WHY_KNOWN: or else none does */
    struct value users;  /* processes that map it and messages that carry it; those outside the
                            run are seen by map counts: inferred */
};

uint64_t region_anon_pages(const struct region_facts *f);
/* Where flags do not tell: may the swap cache have its pages, mapped once and cow all the same
 * because others hold their slots? in_view: a process that is looked at has pages in swap;
 * out_of_view: one that is not may have some. */
void region_maybe_cached(struct region_facts *f, bool in_view, bool out_of_view);
/* Why exclusive, debt and what hangs on them is unknown of pages that are anon?. */
enum why region_why_anon(const struct region_facts *f);
/* Why map counts are missing. */
enum why region_why_no_count(const struct region_facts *f);

/* Pages in the page table, the zero page left out; and those in memory behind the region: private
 * copies, and the object's pages whether mapped here or not. A page that has both counts once. */
struct value region_mapped(const struct region_facts *f);
struct value region_resident(const struct region_facts *f);
/* Pages that hold something now and whose next write costs a new frame: cow, object, zero, and
 * what a private mapping would show of its object; in swap, those whose slot another mapping holds.
 * Untouched anonymous memory does not count, nor does what cannot be written. */
struct value region_at_risk(const struct region_facts *f);
/* Mach's words (osfmk/vm/vm_map.c, vm_region_top_walk) for what Linux does. Explicit huge pages:
 * SM_LARGE_PAGE. Private: SM_COW over object pages in memory or with a page cow, in debt or in a
 * shared slot of swap, else
 * SM_PRIVATE with anything resident or in swap, else SM_EMPTY. Shared: SM_SHARED if another process
 * maps the object, else SM_PRIVATE or SM_EMPTY. Unknown if it hangs on something unknown. */
struct value region_share_mode(const struct region_facts *f);
/* The largest map count of the private copies. */
struct value region_anon_count(const struct region_facts *f);
/* Anonymous memory: that. Over a memory object: its users, however much of it is still seen; or the
 * map count of the private copies where that is larger (a process wrote, then forked). Does not
 * apply to pages that the kernel maps into every process without an object ([vdso]). */
struct value region_ref_count(const struct region_facts *f);

/* All of these, and the pages by their states, into q[RQ__COUNT]: RQ_SHARE_MODE, RQ_REF_COUNT,
 * RQ_RESIDENT, RQ_MAPPED, RQ_NONE to RQ_SWAPPED, RQ_AT_RISK. */
void region_words(const struct region_facts *f, struct value *q);

/* For Mach's structures, which have no word for unknown: what is likeliest, the least that is
 * certain. mode, refs, mapped ...: quantities of q, known or not. */
enum share_mode region_likely_mode(const struct value *q, bool shared);
unsigned int region_least_refs(const struct value *q, bool shared);
unsigned int region_private_pages(const struct value *q);

/* Outcomes of a written region's pages. */
struct outcome_sums {
    uint64_t pages;   /* of the region */
    uint64_t written; /* of these, by the step; 0: not told */
    uint64_t of[PO__COUNT];
    enum why why_before; /* WHY_KNOWN: the look before is there */
    enum why why_object; /* of PO_UNTOLD */
    enum why why_doubt;  /* of PO_DOUBT */
};

/* Into q[RQ_WRITE_OUTCOME] to q[RQ_SWAPPED_IN]. Pages written without a fault leave no trace; they
 * are what is left of those that were written, if the caller told how many. */
void region_outcome(const struct outcome_sums *s, struct value *q);
/* One word for pages by outcome; 0 where none was written. For every kernel. */
enum write_outcome outcome_word(int64_t first_touch, int64_t copied, int64_t reused,
                                int64_t no_fault, int64_t swapped_in);

/* -- GNU Mach --------------------------------------------------------------------------- */

/* State is per entry and object; of a page it follows from who sees the frame: inferred. */
struct mach_page_facts {
    bool frame;       /* there is one */
    bool needs_copy;  /* its entry is to be copied before a write */
    int depth;        /* objects above the one that has it */
    uint64_t viewers; /* tasks, and messages in transit, that see the frame; this one too */
    bool read_only;   /* its entry lets nobody write */
    bool sole;        /* nothing but this chain refers to the objects that will lie below the one
                         that is written to, down to the page's */
    bool collapsed;   /* a page of the chain has been copied before this one */
};

/* Will a write copy it? A cow page is copied also where nobody else sees the frame (vm/vm_fault.c):
 * then the kernel collapses the chain, and the writer has the rest of it without a copy
 * (vm/vm_object.c, vm_object_collapse). A page is therefore cow or not, and never in debt. Where
 * this says no, the page is kept in its frame; the fault, if there is one, is the page table's,
 * which is filled as pages are touched. */
bool page_at_risk_mach(const struct mach_page_facts *f);
enum page_state page_state_mach(const struct mach_page_facts *f);

/* Of one entry. no_object: nothing behind it. */
enum share_mode share_mode_mach(bool no_object, int shadow_depth, bool needs_copy, int64_t refs);
/* Of a region of several entries: SM_COW if any says so, else what the first says. */
enum share_mode share_mode_mach_join(enum share_mode first, enum share_mode next);

/* -- one mapping ------------------------------------------------------------------------ */

bool name_starts(const char *name, const char *with);
/* In the kernel's half of the address space: no memory of the process, cannot be looked up. */
bool mapping_is_kernels(const struct map_entry *e);
/* That, device memory, or the kernel's own pages: nothing of the process is in it. */
bool mapping_is_special(const struct map_entry *e);
/* Other processes, or this one, may find its pages in a memory object: a name alone makes none. */
bool mapping_has_object(const struct map_entry *e);
/* Page cache of a file. shmem: its device is that of shared memory, or its name says so. */
bool mapping_is_file(const struct map_entry *e, bool shmem);
/* Memory that only processes account for: no file, not the kernel's. */
bool mapping_is_own(const struct map_entry *e, bool shmem);
/* "file", "memfd" or "shmem": the memory object behind a mapping of that name. */
const char *mapping_object_kind(const char *name, bool shmem);

#define INHERIT_UNTOLD (-1)
/* Across fork. asked: as the process set it, or INHERIT_UNTOLD. The kernel shows what it refuses to
 * copy (flags: 1 << enum vm_flag); copy against share it does not know. madvise(2). */
enum inherit mapping_inherit(bool shared, uint32_t flags, int asked);
