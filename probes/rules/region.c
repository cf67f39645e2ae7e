/* The words of a region's pages together: quantities, share mode, references. */
#include "probes/rules.h"

uint64_t region_anon_pages(const struct region_facts *f)
{
    uint64_t n = 0;

    for (int i = 0; i < PS__COUNT; i++)
        n += page_is_anon(i) ? f->states[i] : 0;
    return n;
}

void region_maybe_cached(struct region_facts *f, bool in_view, bool out_of_view)
{
    if (f->sight.frames && f->sight.debt)
        return;
    f->maybe_cached = in_view;
    f->inferred_cow |= out_of_view && f->states[PS_ANON_UNKNOWN];
}

enum why region_why_anon(const struct region_facts *f)
{
    if (!f->sight.frames)
        return f->maybe_zero ? WHY_ZERO_UNTOLD : WHY_NO_FRAMES;
    if (f->sight.debt)
        return f->either ? WHY_KERNEL_DECIDES : WHY_LARGE_FOLIO;
    return f->sight.flags ? WHY_NO_ANON_EXCLUSIVE : WHY_NO_KPAGE;
}

enum why region_why_no_count(const struct region_facts *f)
{
    if (!f->sight.frames)
        return f->huge ? WHY_LARGE_FOLIO : WHY_NO_FRAMES;
    if (!f->sight.counts)
        return WHY_NO_KPAGE;
    return f->sight.exact ? WHY_LARGE_FOLIO : WHY_NO_PAGE_MAPCOUNT;
}

/* Where bit 56 is not the page's own answer, only the kernel's map counts tell who is shared. */
static bool cow_doubtful(const struct region_facts *f)
{
    bool counted = f->sight.frames && f->sight.counts;

    return !counted && f->large && (f->states[PS_COW] || f->states[PS_ANON_UNKNOWN]);
}

static bool risk_doubtful(const struct region_facts *f)
{
    if (!f->states[PS_ANON_UNKNOWN])
        return cow_doubtful(f);
    return f->large_told || f->large || f->maybe_zero || f->either || f->maybe_cached ||
           f->maybe_listed;
}

static enum why why_risk(const struct region_facts *f)
{
    return region_why_anon(f) == WHY_ZERO_UNTOLD ? WHY_ZERO_UNTOLD
           : f->either                           ? WHY_KERNEL_DECIDES
           : f->maybe_cached                     ? WHY_SWAP_HOLDERS
           : f->maybe_listed                     ? region_why_anon(f)
                                                 : WHY_LARGE_FOLIO;
}

/* -- quantities ------------------------------------------------------------------------- */

/* Of a state that the page table tells. */
static struct value told(const struct region_facts *f, enum page_state s)
{
    if (f->why_zero != WHY_KNOWN)
        return value_unknown(f->why_zero);
    if (!f->sight.table)
        return value_unknown(WHY_NO_FRAMES);
    if (s == PS_NONE && f->maybe_swapped)
        return value_unknown(f->why_object);
    if (s == PS_ZERO && f->maybe_zero)
        return value_unknown(WHY_ZERO_UNTOLD);
    return value_known((int64_t)f->states[s]);
}

/* Exclusive, or in debt. The mark of what was concluded stays, also where the sum is unknown. */
static struct value once(const struct region_facts *f, enum page_state s)
{
    struct value v = value_counted(f->states[s], f->inferred_debt);

    /* Where the kernel decides, no page is exclusive. */
    if (f->states[PS_ANON_UNKNOWN] > (s == PS_EXCLUSIVE ? f->either : 0) || f->cow_summed)
        v = (struct value){0, (uint8_t)region_why_anon(f), f->inferred_debt};
    return v;
}

static struct value cow(const struct region_facts *f)
{
    if (f->maybe_zero)
        return value_unknown(WHY_ZERO_UNTOLD);
    if (cow_doubtful(f))
        return value_unknown(WHY_LARGE_FOLIO);
    if (f->either || ((f->maybe_cached || f->maybe_listed) && f->states[PS_ANON_UNKNOWN]))
        return value_unknown(why_risk(f));
    if (f->states[PS_ANON_UNKNOWN] && f->sight.frames && !f->sight.exact)
        return value_unknown(WHY_NO_PAGE_MAPCOUNT);
    return value_counted(f->states[PS_COW], f->inferred_cow);
}

struct value region_mapped(const struct region_facts *f)
{
    if (f->maybe_zero)
        return value_unknown(WHY_ZERO_UNTOLD);
    return value_known(
        (int64_t)(region_anon_pages(f) + f->states[PS_OBJECT] + f->states[PS_SHARED]));
}

struct value region_resident(const struct region_facts *f)
{
    struct value mapped = region_mapped(f);

    if (!f->object || f->hugetlb || !value_is_known(mapped))
        return mapped;
    if (f->why_object == WHY_KNOWN)
        return value_known((int64_t)(region_anon_pages(f) + f->backed));
    /* All mapped: nothing left to ask the object for. */
    return (uint64_t)mapped.n == f->pages ? mapped : value_unknown(f->why_object);
}

struct value region_at_risk(const struct region_facts *f)
{
    const uint64_t *s = f->states;

    if (f->shared || f->read_only)
        return value_known(0);
    if (risk_doubtful(f))
        return value_unknown(why_risk(f));
    if (f->why_zero != WHY_KNOWN)
        return value_unknown(f->why_zero);
    if (s[PS_SWAPPED] && f->why_swap != WHY_KNOWN)
        return value_unknown(f->why_swap);
    if (f->object && f->why_object != WHY_KNOWN && s[PS_NONE])
        return value_unknown(f->why_object);
    return value_counted(s[PS_COW] + s[PS_OBJECT] + s[PS_ZERO] + f->backed_none + f->swap_shared +
                             f->object_swapped,
                         f->inferred_cow || f->inferred_swap || f->inferred_risk ||
                             s[PS_ANON_UNKNOWN]); /* exclusive, or in debt and in no batch */
}

/* -- share mode and references ---------------------------------------------------------- */

/* The object's pages that this mapping does not show are the object's all the same. */
static struct value mode_of_shared(const struct region_facts *f)
{
    struct value resident = region_resident(f), mapped = region_mapped(f);

    if (f->others)
        return value_known(SM_SHARED);
    if (f->why_others != WHY_KNOWN)
        return value_unknown(f->why_others);
    if (!value_is_known(resident))
        return mapped.n ? value_known(SM_PRIVATE) : resident;
    return value_known(resident.n || f->states[PS_SWAPPED] ? SM_PRIVATE : SM_EMPTY);
}

/* Object pages hidden behind private copies: the mapping still lies over an object. */
static struct value mode_of_private(const struct region_facts *f)
{
    struct value resident = region_resident(f);

    if (f->states[PS_OBJECT] || f->backed_any || f->object_swapped)
        return value_known(SM_COW);
    if (f->either || f->swap_shared || f->swap_some)
        return value_known(SM_COW);
    if (f->states[PS_COW] || f->states[PS_DEBT])
        return value_counted(SM_COW, f->inferred_cow);
    if (f->object && !value_is_known(resident))
        return resident;
    if (f->states[PS_ANON_UNKNOWN])
        return value_unknown(region_why_anon(f));
    if (f->states[PS_SWAPPED] && f->why_swap != WHY_KNOWN)
        return value_unknown(f->why_swap);
    if (resident.n || f->states[PS_SWAPPED])
        return value_counted(SM_PRIVATE, f->inferred_mode || f->inferred_swap);
    return value_known(SM_EMPTY);
}

struct value region_share_mode(const struct region_facts *f)
{
    if (f->hugetlb)
        return value_known(SM_LARGE_PAGE);
    return f->shared ? mode_of_shared(f) : mode_of_private(f);
}

struct value region_anon_count(const struct region_facts *f)
{
    if (!region_anon_pages(f))
        return value_known(0);
    if (f->anon_missing)
        return value_unknown(region_why_no_count(f));
    /* Without frames the counts are bit 56's, which is a page's own only in small folios. */
    if (!f->sight.frames && (cow_doubtful(f) || (f->large && f->states[PS_ANON_UNKNOWN])))
        return value_unknown(WHY_LARGE_FOLIO);
    return value_counted((uint64_t)f->anon_count, f->inferred_count);
}

struct value region_ref_count(const struct region_facts *f)
{
    struct value anon = region_anon_count(f);

    if (!f->object) /* pages that are no anonymous ones are the kernel's own then */
        return f->states[PS_OBJECT] + f->states[PS_SHARED] ? value_na() : anon;
    if (!value_is_known(f->users))
        return f->users;
    return value_is_known(anon) && anon.n > f->users.n ? anon : f->users;
}

void region_words(const struct region_facts *f, struct value *q)
{
    q[RQ_NONE] = told(f, PS_NONE);
    q[RQ_ZERO] = told(f, PS_ZERO);
    q[RQ_EXCLUSIVE] = once(f, PS_EXCLUSIVE);
    q[RQ_COW] = cow(f);
    q[RQ_DEBT] = once(f, PS_DEBT);
    q[RQ_OBJECT] = value_known((int64_t)f->states[PS_OBJECT]);
    q[RQ_SHARED] = value_known((int64_t)f->states[PS_SHARED]);
    q[RQ_SWAPPED] = f->maybe_swapped ? value_unknown(f->why_object)
                                     : value_known((int64_t)f->states[PS_SWAPPED]);
    q[RQ_MAPPED] = region_mapped(f);
    q[RQ_RESIDENT] = region_resident(f);
    q[RQ_AT_RISK] = region_at_risk(f);
    q[RQ_SHARE_MODE] = region_share_mode(f);
    q[RQ_REF_COUNT] = region_ref_count(f);
}

/* -- without a word for unknown --------------------------------------------------------- */

static unsigned int at_least(struct value v, unsigned int least)
{
    return value_is_known(v) ? (unsigned int)v.n : least;
}

/* Without the right to see frames, a page mapped once may still be write-protected from an earlier
 * fork. Mapped once, it is called private: that is what it nearly always is. */
enum share_mode region_likely_mode(const struct value *q, bool shared)
{
    struct value refs = q[RQ_REF_COUNT];
    enum share_mode likely = shared                                ? SM_SHARED
                             : value_is_known(refs) && refs.n <= 1 ? SM_PRIVATE
                                                                   : SM_COW;

    return at_least(q[RQ_SHARE_MODE], likely);
}

unsigned int region_least_refs(const struct value *q, bool shared)
{
    enum share_mode mode = region_likely_mode(q, shared);

    return at_least(q[RQ_REF_COUNT], mode == SM_EMPTY ? 0 : mode == SM_PRIVATE ? 1 : 2);
}

unsigned int region_private_pages(const struct value *q)
{
    /* Without the right to see frames the three cannot be told apart; their sum can. */
    if (!value_is_known(q[RQ_EXCLUSIVE]))
        return at_least(q[RQ_MAPPED], 0) - at_least(q[RQ_OBJECT], 0) - at_least(q[RQ_SHARED], 0);
    return at_least(q[RQ_EXCLUSIVE], 0) + at_least(q[RQ_COW], 0) + at_least(q[RQ_DEBT], 0);
}
