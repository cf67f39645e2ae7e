/* tell: states and map counts of a range of pages, finer than the page table says (walk.c).
 *
 *   bit 56 clear   the page is mapped elsewhere too. kpagecount gives the map count.
 *   bit 56 set     mapped once. Exclusive, or in debt: kpageflags bit 34 tells for small folios;
 *                  in a large folio bit 56 itself is the head page's answer, so that the map
 *                  count is asked too and exclusive against debt stays unknown. Cow all the same
 *                  if KSM has merged it, or the swap cache has it and another mapping its slot.
 *
 * Where the finish allows it (very large regions) map counts follow from joining the frames of the
 * run's own processes, or from PSS where it leaves one answer only. Only pages that were cow at the
 * last look are asked for debt, and not even those if their process took no fault since. What is so
 * concluded is marked inferred, and every SAMPLE_EVERYth page is asked all the same. One answer
 * that disagrees, and the whole region is asked. */
#include "probes/look/tell.h"

#include <errno.h>

/* An answer about a frame that the page is in no more: it is free by now, or other memory's. One
 * that a fault has given away since is exclusive, or its map count is 1. */
static bool is_odd(const struct part *s, bool counts, size_t i)
{
    uint64_t answer = s->of->answers[i], word = s->f->m->now.word[s->of->pages[i]];

    if (counts)
        return answer < 1 + !(word & PM_EXCLUSIVE) || answer == KPAGE_NONE;
    return answer == KPAGE_NONE || !(answer & KPF_ANON) == !(word & PM_FILE);
}

/* The question to one of the kpage files about `n` pages of the batch from i on. */
static int ask_pages(struct part *s, bool counts, size_t i, size_t n)
{
    const struct finish *f = s->f;

    return reader_ask(&f->o->reader, &f->w->pagemap, counts, s->of->numbers + i, s->of->frames + i,
                      s->of->answers + i, n, 1, counts ? &s->count_cost : &s->flags_cost);
}

/* Pages [i, end) of the batch, neighbours with odd answers: those that are in another frame now are
 * asked again. */
static int ask_moved(struct part *s, bool counts, size_t i, size_t end)
{
    const struct finish *f = s->f;
    int64_t n =
        reader_words(&f->o->reader, &f->w->pagemap, f->o->page_size,
                     s->of->numbers[i] * f->o->page_size, end - i, s->of->again, 1, &s->again_cost);
    int rc = 0;

    for (int64_t k = 0; k < n && rc == 0; k++, i++) {
        uint64_t frame = PM_FRAME(s->of->again[k]);

        if (!(s->of->again[k] & PM_PRESENT) || frame == s->of->frames[i])
            continue;
        s->of->frames[i] = frame;
        rc = ask_pages(s, counts, i, 1);
    }
    return rc;
}

/* The kernel moves pages to other frames when it likes (mm/compaction.c), between the page table
 * and the question too: then the answer was about somebody else's page. */
static int follow_moved(struct part *s, bool counts, size_t n)
{
    int rc = 0;

    for (size_t i = 0, end; i < n && rc == 0; i = end) {
        for (end = i;
             end < n && is_odd(s, counts, end) && s->of->pages[end] - s->of->pages[i] == end - i;)
            end++;
        if (end == i)
            end++;
        else
            rc = ask_moved(s, counts, i, end);
    }
    return rc;
}

/* Asks one of the kpage files for n pages of the batch (s->of->pages, indices into the region). */
static int ask(struct part *s, bool counts, size_t n)
{
    const struct memory *m = s->f->m;
    int rc;

    for (size_t i = 0; i < n; i++) {
        s->of->frames[i] = PM_FRAME(m->now.word[s->of->pages[i]]);
        s->of->numbers[i] = m->start / s->f->o->page_size + s->of->pages[i];
    }
    rc = ask_pages(s, counts, 0, n);
    if (rc == 0)
        rc = follow_moved(s, counts, n);
    return rc < 0 ? err_sys(&s->err, rc, "cannot read '/proc/%s'",
                            counts ? "kpagecount" : "kpageflags")
                  : 0;
}

/* Can what a page mapped once was at the last look, or that its frame is new, stand in for its
 * flags? A page in debt can have been paid for only by a fault. */
static bool concluded(const struct finish *f, uint16_t rec)
{
    return f->infer_debt && !(rec & REC_FRESH) &&
           page_concluded(state_of(rec), f->w->quiet) == state_of(rec);
}

/* Does another mapping hold the slot of swap that a page in the swap cache came back from? All that
 * can are in view in a run. */
static enum answer slot_held(const struct finish *f, uint32_t slot)
{
    uint32_t origin = f->o->frames.origin[slot];

    if (!origin)
        return ANSWER_NONE;
    if (f->o->frames.own[origin])
        return ANSWER_YES;
    return all_in_view(f->o) ? ANSWER_NO : ANSWER_NONE;
}

static bool is_batched(const struct finish *f, uint32_t slot, uint64_t flags)
{
    bool locked = f->entry && f->entry->flags & 1u << VMF_LOCKED;
    bool freed = slot && f->o->frames.kind[slot] & FRAME_LISTED;

    return all_in_view(f->o) && page_batched(flags, f->o->one_cpu, locked, freed);
}

static enum page_state state_by_flags(const struct finish *f, uint64_t page, uint64_t flags)
{
    bool cached = flags & KPF_SWAPCACHE, moving = cached && (flags & KPF_WRITEBACK);
    enum answer held = cached ? slot_held(f, f->m->now.slot[page]) : ANSWER_NO;

    return page_anon_state(
        (struct anon_facts){.once = ANSWER_YES,
                            .count = -1,
                            .exclusive = page_exclusive(flags),
                            .merged = flags & KPF_KSM,
                            .cached = cached,
                            .held = moving && held == ANSWER_NO ? ANSWER_NONE : held,
                            .batched = is_batched(f, f->m->now.slot[page], flags)});
}

/* The frame's flags: exclusive or debt; large folios cannot be told. */
static void take_flags(struct part *s, uint64_t page, uint64_t flags)
{
    uint16_t *rec = &s->f->m->now.rec[page];
    bool sure = concluded(s->f, *rec);
    uint8_t state = state_by_flags(s->f, page, flags);

    s->sums.facts.either += state == PS_ANON_UNKNOWN && page_exclusive(flags) == ANSWER_NO;
    s->samples += sure;
    if (sure && state == state_of(*rec))
        s->samples_agreed++;
    else if (sure)
        s->rc = -EAGAIN; /* somebody forked unseen: ask for all */
    *rec = (uint16_t)((*rec & ~(REC_STATE | REC_FRESH | REC_INFERRED)) | state);
}

static int tell_debt(struct part *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    uint16_t *rec = f->m->now.rec;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        if (!page_is_once(state_of(rec[p])))
            continue;
        if (!concluded(f, rec[p]) || sampled(p))
            s->of->pages[n++] = (uint32_t)p;
        else
            rec[p] |= REC_INFERRED;
    }
    rc = ask(s, false, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        take_flags(s, s->of->pages[i], s->of->answers[i]);
    return rc;
}

/* Without flags exclusive, in debt and bit 56 of a large folio's head look the same. */
static void doubt_debt(struct part *s, uint64_t first, uint64_t end)
{
    uint16_t *rec = s->f->m->now.rec;

    for (uint64_t p = first; p < end; p++)
        if (page_is_once(state_of(rec[p])))
            set_state(&rec[p],
                      page_anon_state((struct anon_facts){.once = ANSWER_YES, .count = -1}));
}

/* What the state says of the map count: 0, 1, or -1 for not at all. */
static const int8_t count_of_state[PS__COUNT] = {
    [PS_NONE] = 0,    [PS_ZERO] = 0,    [PS_EXCLUSIVE] = 1, [PS_COW] = -1,         [PS_DEBT] = 1,
    [PS_OBJECT] = -1, [PS_SHARED] = -1, [PS_SWAPPED] = 0,   [PS_ANON_UNKNOWN] = -1};

/* A kernel that keeps no map count per page gives averages for large folios: then there is none. */
static int drop_averages(struct part *s, uint64_t first, size_t n)
{
    const struct finish *f = s->f;
    int rc;

    if (f->o->caps.have[CAP_PAGE_MAPCOUNT] || !f->o->caps.have[CAP_KPAGEFLAGS])
        return 0;
    rc = ask(s, false, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        uint64_t p = s->of->pages[i];

        if (s->of->answers[i] != KPAGE_NONE && !(s->of->answers[i] & KPF_LARGE))
            continue;
        s->of->counts[p - first] = -1;
        if (state_of(f->m->now.rec[p]) == PS_COW)
            set_state(&f->m->now.rec[p], page_anon_state((struct anon_facts){.count = -1}));
    }
    return rc;
}

/* What the map count must be, or -1. The run's own mappings of the frame; of a page that is mapped
 * more than once, though once only by the run, 2 if PSS leaves nothing else. */
static int32_t joined_count(const struct finish *f, uint8_t state, uint32_t slot)
{
    int32_t own = f->o->frames.own[slot];

    if (state == PS_ANON_UNKNOWN)
        return -1;
    if (state == PS_COW && own < 2)
        return f->pss_says_two ? 2 : -1;
    return own;
}

/* Map counts of the pages that may be mapped more than once, or whose bit 56 is not their own. */
static int tell_counts(struct part *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    struct records *now = &f->m->now;
    size_t n = 0;
    int rc;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);
        int32_t *count = &s->of->counts[p - first];

        *count = count_of_state[state];
        if (*count >= 0 || !now->slot[p])
            continue;
        now->rec[p] &= (uint16_t) ~(REC_INFERRED | REC_FRESH);
        if (f->infer_counts) {
            *count = joined_count(f, state, now->slot[p]);
            if (*count >= 0 && !sampled(p)) {
                now->rec[p] |= REC_INFERRED;
                continue;
            }
        }
        s->of->pages[n++] = (uint32_t)p;
    }
    rc = ask(s, true, n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int32_t *count = &s->of->counts[s->of->pages[i] - first];
        int32_t told = (int32_t)s->of->answers[i] + (f->o->corrupt == CORRUPT_KPAGECOUNT);

        if (s->of->answers[i] == KPAGE_NONE)
            continue;
        s->samples += *count >= 0;
        s->samples_agreed += *count == told;
        if (*count >= 0 && *count != told)
            s->rc = -EAGAIN;
        *count = told;
    }
    return rc < 0 ? rc : drop_averages(s, first, n);
}

/* Without the kernel's map counts: the join, marked; without frames: what bit 56 says of small
 * folios, else unknown. */
static void join_counts(struct part *s, uint64_t first, uint64_t end)
{
    struct records *now = &s->f->m->now;
    bool small = !large_expected(s->f);

    for (uint64_t p = first; p < end; p++) {
        int32_t *count = &s->of->counts[p - first];

        *count = count_of_state[state_of(now->rec[p])];
        if (state_of(now->rec[p]) == PS_ANON_UNKNOWN && now->word[p] & PM_EXCLUSIVE && small) {
            *count = 1;
        } else if (*count < 0 && now->slot[p]) {
            *count = s->f->o->frames.own[now->slot[p]];
            now->rec[p] |= REC_INFERRED;
        }
    }
}

/* Anonymous pages whose state does not stand yet, once the map counts are there. */
static void settle_states(struct part *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    uint16_t *rec = f->m->now.rec;
    bool precise = f->o->caps.have[CAP_PAGE_MAPCOUNT], told = zero_told(f->o, f->w);

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(rec[p]);
        bool once = f->m->now.word[p] & PM_EXCLUSIVE;

        if (state == PS_COW && once)
            continue; /* cow though mapped once: its flags said so */
        if (state == PS_COW || state == PS_ANON_UNKNOWN)
            set_state(&rec[p], page_anon_state((struct anon_facts){
                                   .once = state == PS_COW ? ANSWER_NO : ANSWER_NONE,
                                   .count = s->of->counts[p - first],
                                   .no_zero = told,
                                   .least = rec[p] & REC_INFERRED,
                                   .average = !precise}));
        s->sums.facts.maybe_zero += !told && state_of(rec[p]) == PS_ANON_UNKNOWN && !once;
    }
}

/* What the page table alone says of an anonymous page. Without frames, of a huge page only the
 * head's answer is its own (bit 56 of the others repeats it). */
static uint8_t state_by_word(const struct finish *f, uint64_t page)
{
    bool frames = f->w->pagemap.frames;

    if (!frames && (f->m->now.rec[page] & REC_HUGE) &&
        (f->m->start + page * f->o->page_size) % f->o->caps.huge_page_size)
        return PS_ANON_UNKNOWN;
    return anon_by_word(f->m->now.word[page], zero_told(f->o, f->w));
}

/* Small regions are asked anew at every look: what the page table says is where that begins. */
static void begin_states(struct part *s, uint64_t first, uint64_t end)
{
    struct records *now = &s->f->m->now;

    for (uint64_t p = first; p < end; p++) {
        uint8_t state = state_of(now->rec[p]);

        now->rec[p] &= (uint16_t)~REC_INFERRED;
        if (page_is_anon(state))
            set_state(&now->rec[p], state_by_word(s->f, p));
    }
}

int tell_pages(struct part *s, uint64_t first, uint64_t end)
{
    const struct finish *f = s->f;
    const struct caps *caps = &f->o->caps;
    bool frames = f->w->pagemap.frames;
    int rc = 0;

    if (!f->infer_debt)
        begin_states(s, first, end);
    if (frames && caps->have[CAP_DEBT])
        rc = tell_debt(s, first, end);
    else
        doubt_debt(s, first, end);
    if (rc == 0 && frames && caps->have[CAP_KPAGECOUNT])
        rc = tell_counts(s, first, end);
    else
        join_counts(s, first, end);
    if (rc < 0 || s->rc < 0)
        return rc < 0 ? rc : s->rc;
    settle_states(s, first, end);
    return 0;
}
