/* From the sampler's words to sums: which frame is whose, and what each mapping holds.
 *
 * 1. join: every chunk once, whoever refers to it: frames get slots, slots their number of
 *    mappings by the sampled processes.
 * 2. ask: each frame once: a page mapped once for its flags (exclusive or debt), any other for
 *    its map count; and for the other of the two, where the first answer is not enough. A page that
 * was exclusive at the last sample and is in the same frame, still mapped once, is taken to be so
 * still, marked inferred, and only one in each chunk and every 64th is asked: a fork takes the mark
 * from all pages of a process at once, so that one answer that differs tells of it; then all are
 * asked.
 * 3. sum: per mapping; a chunk that lies wholly within mappings is counted once for all of them.
 *
 * Without frames there are the counters of smaps, and a scan for the zero page, which is in none of
 * them: see from_counters(). */
#include "probes/list.h"
#include "probes/sample/sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_ONCE 1
#define ASK_COUNT 2
#define ASK_TRUSTED 3
#define TRUST_EVERY 64
/* Frames that nobody maps any more are kept up to this many, and as many as are mapped. */
#define FRAMES_KEPT (1u << 14)
/* Frames per batch of questions. */
#define BATCH 65536

/* -- join ------------------------------------------------------------------------------- */

static int grow_slots(struct sampler *s)
{
    size_t had = s->slots_cap;

    if (s->join.n < had)
        return 0;
    if (LIST_ROOM(s->slots, s->slots_cap, s->join.cap) < 0)
        return -ENOMEM;
    memset(s->slots + had, 0, (s->slots_cap - had) * sizeof *s->slots);
    return 0;
}

/* trusts: how often this chunk was taken at its former word. */
static int meet(struct sampler *s, uint32_t slot, uint64_t word, struct page_place at,
                unsigned int *trusts)
{
    struct frame_info *f = &s->slots[slot];
    uint32_t *met = LIST_ADD_ROOM(s->met, s->nmet, s->met_cap);
    bool once = word & PM_EXCLUSIVE, file = word & PM_FILE, trusted;

    if (!met)
        return -ENOMEM;
    *met = slot;
    trusted = f->met_in && f->met_in + 1 == s->number && once && !file &&
              page_concluded(f->info & INFO_STATE, false) == PS_EXCLUSIVE;
    f->page = at.page;
    f->process = at.process;
    f->met_in = s->number;
    if (trusted) {
        f->ask = (*trusts)++ % TRUST_EVERY ? ASK_TRUSTED : ASK_ONCE;
        f->info = PS_EXCLUSIVE | INFO_TRUSTED;
        f->count = 1;
        s->trusts |= f->ask == ASK_TRUSTED;
        return 0;
    }
    /* Pages of objects need no question but how many map them. */
    f->ask = !once ? ASK_COUNT : file ? 0 : ASK_ONCE;
    f->info = file ? PS_OBJECT : PS_ANON_UNKNOWN;
    f->count = file && once ? 1 : -1;
    return 0;
}

/* at: where its first page is. */
static int join_chunk(struct sampler *s, struct page_chunk *c, struct page_place at)
{
    unsigned int trusts = 0;

    for (int i = 0; i < CHUNK_PAGES; i++, at.page++) {
        uint64_t word = c->words[i];
        uint32_t slot;
        uint32_t own;

        if (!pm_present(word)) {
            c->slots[i] = 0;
            continue;
        }
        if (c->epoch != s->epoch) {
            c->slots[i] = frames_slot(&s->join, PM_FRAME(word));
            if (!c->slots[i] || grow_slots(s) < 0)
                return -ENOMEM;
        }
        slot = c->slots[i];
        own = s->join.own[slot];
        if (!own && meet(s, slot, word, at, &trusts) < 0)
            return -ENOMEM;
        own += c->users;
        s->join.own[slot] = own < UINT16_MAX ? (uint16_t)own : UINT16_MAX;
    }
    c->epoch = s->epoch;
    return 0;
}

/* Slots are kept from sample to sample, because most frames stay; when most of them are of frames
 * that nobody maps any more, the numbering begins anew. */
static void forget_frames(struct sampler *s)
{
    if (s->join.n > 2 * (uint64_t)s->nmet + FRAMES_KEPT) {
        frames_release(&s->join);
        s->slots_cap = 0;
        s->epoch++;
    } else {
        frames_forget_owners(&s->join);
    }
    s->nmet = 0;
    s->doubt = s->trusts = false;
}

/* Buffers of a batch of questions. */
struct batch {
    uint32_t slots[BATCH];
    uint64_t pages[BATCH], frames[BATCH], answers[BATCH];
};

/* Asks about the first n slots: in turn about those that were met in the same process. */
static void ask_batch(struct sampler *s, bool flags, struct batch *b, size_t n,
                      struct probe_cost *cost)
{
    for (size_t from = 0, i = 0; from < n; from = i) {
        uint32_t process = s->slots[b->slots[from]].process;

        for (; i < n && s->slots[b->slots[i]].process == process; i++) {
            b->pages[i] = s->slots[b->slots[i]].page;
            b->frames[i] = s->join.number[b->slots[i]];
        }
        if (reader_ask(&s->reader, &s->now[process]->pagemap, !flags, b->pages + from,
                       b->frames + from, b->answers + from, i - from, s->threads,
                       &cost[flags ? SC_FLAGS : SC_COUNT]) < 0)
            memset(b->answers + from, 0xff, (i - from) * sizeof *b->answers); /* KPAGE_NONE */
    }
}

/* These return what is to be asked next. */
static uint8_t take_count(struct sampler *s, uint32_t slot, uint64_t answer)
{
    uint8_t *info = &s->slots[slot].info;

    if (answer == KPAGE_NONE)
        return 0;
    s->slots[slot].count = answer < INT32_MAX ? (int32_t)answer : INT32_MAX;
    /* Present, and mapped by nobody: the huge zero page, which is called a file's. */
    if ((*info & INFO_STATE) == PS_OBJECT)
        return answer ? 0 : ASK_ONCE;
    if ((*info & INFO_STATE) != PS_ANON_UNKNOWN)
        return 0;
    *info = (uint8_t)((*info & INFO_LARGE) |
                      page_anon_state((struct anon_facts){.count = s->slots[slot].count}));
    /* Counted once, though bit 56 was clear a moment ago. */
    return answer == 1 && !(*info & INFO_LARGE) ? ASK_ONCE : 0;
}

static uint8_t take_flags(struct sampler *s, uint32_t slot, uint64_t answer)
{
    bool trusted = s->slots[slot].info & INFO_TRUSTED, debt = s->caps.have[CAP_DEBT];
    enum page_state state;

    if ((s->slots[slot].info & INFO_STATE) == PS_OBJECT) {
        if (answer != KPAGE_NONE && (answer & KPF_ZERO_PAGE))
            s->slots[slot].info = PS_ZERO;
        return 0;
    }
    s->slots[slot].info = PS_ANON_UNKNOWN;
    if (answer == KPAGE_NONE)
        return 0;
    /* Given back meanwhile: nobody has to decide about it. */
    if (!(answer & (KPF_ANON | KPF_ZERO_PAGE))) {
        s->doubt |= trusted;
        return 0;
    }
    if (answer & KPF_LARGE) {
        s->slots[slot].info |= INFO_LARGE;
        s->doubt |= trusted;
        return ASK_COUNT;
    }
    s->slots[slot].count = 1;
    state = page_anon_state(
        (struct anon_facts){.once = ANSWER_YES,
                            .count = 1,
                            .exclusive = debt ? page_exclusive(answer) : ANSWER_NONE,
                            .merged = answer & KPF_KSM,
                            .cached = answer & KPF_SWAPCACHE,
                            /* What mappings have it, and what advice was given, is not told. */
                            .batched = page_batched(answer, false, false, false)});
    s->slots[slot].info = (uint8_t)(state | (state == PS_ANON_UNKNOWN && debt ? INFO_EITHER : 0));
    s->doubt |= trusted && state != PS_EXCLUSIVE;
    return 0;
}

/* Runs over the slots of this sample whose question is `question`, in batches. */
static int ask_all(struct sampler *s, uint8_t question, struct probe_cost *cost)
{
    bool flags = question != ASK_COUNT;
    struct batch *b = malloc(sizeof *b);
    size_t at = 0;

    if (!b)
        return -ENOMEM;
    while (at < s->nmet) {
        size_t n = 0;

        for (; at < s->nmet && n < BATCH; at++)
            if (s->slots[s->met[at]].ask == question)
                b->slots[n++] = s->met[at];
        ask_batch(s, flags, b, n, cost);
        for (size_t i = 0; i < n; i++)
            s->slots[b->slots[i]].ask = flags ? take_flags(s, b->slots[i], b->answers[i])
                                              : take_count(s, b->slots[i], b->answers[i]);
    }
    free(b);
    return 0;
}

static int join_processes(struct sampler *s)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s->sample.n; i++) {
            const struct page_table *t = &s->now[i]->now;

            for (size_t j = 0; s->now[i]->pagemap.frames && j < t->n; j++) {
                struct page_chunk *c = t->rows[j].chunk;

                if (pass == 0) {
                    c->users = c->stamp == s->number ? c->users + 1 : 1;
                    c->stamp = s->number;
                    c->tallied = 0;
                } else if (c->users) {
                    struct page_place at = {t->rows[j].index * CHUNK_PAGES, (uint32_t)i};

                    if (join_chunk(s, c, at) < 0)
                        return -ENOMEM;
                    c->users = 0;
                }
            }
        }
    return 0;
}

int sums_join(struct sampler *s)
{
    struct probe_cost *cost = s->now[0]->cost;
    uint64_t began = probe_clock(), asked = cost[SC_FLAGS].ns + cost[SC_COUNT].ns;
    int rc;

    forget_frames(s);
    rc = join_processes(s);
    if (rc == 0)
        rc = ask_all(s, ASK_ONCE, cost);
    if (rc == 0 && s->doubt) {
        rc = ask_all(s, ASK_TRUSTED, cost);
        s->trusts = false;
    }
    if (rc == 0)
        rc = ask_all(s, ASK_COUNT, cost);
    if (rc == 0)
        rc = ask_all(s, ASK_ONCE, cost);
    cost[SC_JOIN].ns += probe_clock() - began - (cost[SC_FLAGS].ns + cost[SC_COUNT].ns - asked);
    return rc;
}

/* -- sum -------------------------------------------------------------------------------- */

/* What is a file's in a mapping without one is the huge zero page. */
static enum page_state state_of(const struct sampler *s, uint64_t word, uint32_t slot,
                                enum mapping_sort sort)
{
    return page_state((struct page_facts){.present = pm_present(word),
                                          .swapped = pm_swapped(word),
                                          .zero = sort == IN_ANONYMOUS && (word & PM_FILE),
                                          .shared = sort == IN_SHARED,
                                          .object = word & PM_FILE,
                                          .anon = s->slots[slot].info & INFO_STATE});
}

static void note_zero(struct page_chunk *c, size_t i, bool zero)
{
    uint64_t bit = 1ULL << i % 64;

    c->zero[i / 64] = zero ? c->zero[i / 64] | bit : c->zero[i / 64] & ~bit;
}

static void tally_pages(const struct sampler *s, struct page_chunk *c, size_t from, size_t to,
                        enum mapping_sort sort, struct tally *t)
{
    for (size_t i = from; i < to; i++) {
        enum page_state state = state_of(s, c->words[i], c->slots[i], sort);
        int32_t *most = page_is_object(state) ? &t->object_count : &t->anon_count;

        t->states[state]++;
        note_zero(c, i, state == PS_ZERO);
        if (state == PS_ANON_UNKNOWN) {
            t->large += !!(s->slots[c->slots[i]].info & INFO_LARGE);
            t->either += !!(s->slots[c->slots[i]].info & INFO_EITHER);
        }
        t->inferred |= state == PS_EXCLUSIVE && (s->slots[c->slots[i]].info & INFO_TRUSTED);
        if (c->slots[i] && s->slots[c->slots[i]].count > *most)
            *most = s->slots[c->slots[i]].count;
    }
}

static void add_tally(struct tally *sum, const struct tally *t)
{
    for (int i = 0; i < PS__COUNT; i++)
        sum->states[i] += t->states[i];
    sum->large += t->large;
    sum->either += t->either;
    sum->inferred |= t->inferred;
    if (t->anon_count > sum->anon_count)
        sum->anon_count = t->anon_count;
    if (t->object_count > sum->object_count)
        sum->object_count = t->object_count;
}

static void tally_chunk(const struct sampler *s, struct page_chunk *c, enum mapping_sort sort,
                        struct tally *t)
{
    if (c->tallied != s->number) {
        c->tallied = s->number;
        memset(c->has_tally, 0, sizeof c->has_tally);
    }
    if (!c->has_tally[sort]) {
        c->tally[sort] = (struct tally){0};
        tally_pages(s, c, 0, CHUNK_PAGES, sort, &c->tally[sort]);
        c->has_tally[sort] = true;
    }
    add_tally(t, &c->tally[sort]);
}

/* Pages that the parent maps at the same address to the same frame. */
static uint64_t in_common(const struct page_chunk *c, const struct page_chunk *theirs, size_t from,
                          size_t to)
{
    uint64_t n = 0;

    for (size_t i = from; theirs && i < to; i++)
        n += pm_present(c->words[i]) && pm_present(theirs->words[i]) &&
             PM_FRAME(c->words[i]) == PM_FRAME(theirs->words[i]) && !bit_is_set(c->zero, i);
    return n;
}

static enum page_state by_word(const struct page_chunk *c, size_t i)
{
    uint64_t word = c->words[i];

    return pm_swapped(word)         ? PS_SWAPPED
           : !pm_present(word)      ? PS_NONE
           : bit_is_set(c->zero, i) ? PS_ZERO
           : word & PM_FILE         ? PS_OBJECT
           : word & PM_EXCLUSIVE    ? PS_EXCLUSIVE
                                    : PS_COW;
}

/* The frame, or the slot of swap. */
static bool same_place(const struct page_chunk *a, const struct page_chunk *b, size_t i)
{
    return PM_FRAME(a->words[i]) == PM_FRAME(b->words[i]) &&
           pm_present(a->words[i]) == pm_present(b->words[i]);
}

/* Has another process that showed the same frame at the same address moved along with this one? */
static bool moved_along(const struct sampler *s, const struct sampled *w, uint64_t index,
                        const struct page_chunk *c, const struct page_chunk *old, size_t i)
{
    for (size_t k = 0; k < s->sample.n; k++) {
        const struct sampled *x = s->now[k];
        const struct page_chunk *before = x == w ? NULL : page_table_find(&x->before, index);
        const struct page_chunk *now = before ? page_table_find(&x->now, index) : NULL;

        if (now && same_place(before, old, i) && same_place(now, c, i))
            return true;
    }
    return false;
}

/* Pages of a mapping, and whether there may be more that only what became of the others would tell:
 * the kernel does not say who else holds a slot of swap. */
struct count {
    uint64_t n;
    enum why why; /* WHY_KNOWN: there are none */
};

static struct value counted(struct count c)
{
    return c.why ? value_unknown(c.why) : value_known((int64_t)c.n);
}

/* Is the page at addr a copy? In swap it is a private page all the same; of one that was shared it
 * is not told whether it was copied before. */
static void add_copied(const struct sampler *s, const struct sampled *w, const struct map_entry *e,
                       uint64_t addr, struct outcome_facts f, struct count *out)
{
    enum why why = WHY_SWAP_HOLDERS;
    enum page_outcome outcome;

    if (f.is == PS_SWAPPED) {
        f.is = PS_ANON_UNKNOWN;
        f.same_frame = ANSWER_NONE;
    }
    /* Of a page that was in swap it would mean the object's: in pagemap's words only private pages
     * are. */
    if (f.was == PS_NONE && mapping_has_object(e) && page_is_anon(f.is))
        f.had = objects_had(s, w, e, addr, &why);
    outcome = page_outcome(f);
    out->n += outcome == PO_COPIED;
    if (outcome == PO_UNTOLD || (outcome == PO_COPIED_LIKELY && !f.along))
        out->why = why;
}

/* Pages that were shared, or the object's whether mapped or not, and are a private page in another
 * frame now. */
static void copied_since(const struct sampler *s, const struct sampled *w,
                         const struct map_entry *e, uint64_t index, const struct page_chunk *c,
                         size_t from, size_t to, struct count *out)
{
    const struct page_chunk *old = page_table_find(&w->before, index);

    if (c == old || (!old && !mapping_has_object(e)))
        return;
    for (size_t i = from; i < to; i++) {
        struct outcome_facts f = {.was = old ? by_word(old, i) : PS_NONE,
                                  .is = by_word(c, i),
                                  .same_frame = ANSWER_NO,
                                  .had = ANSWER_NO};

        if (f.is == PS_NONE || (old && same_place(c, old, i)))
            continue;
        f.along = f.was == PS_COW && (f.is == PS_COW || f.is == PS_SWAPPED) &&
                  moved_along(s, w, index, c, old, i);
        add_copied(s, w, e, (index * CHUNK_PAGES + i) * s->page_size, f, out);
    }
}

/* How two processes' pages at the same address stand to each other. */
enum standing {
    STAND_ALONE, /* one of them has none */
    STAND_TOGETHER,
    STAND_APART,
    STAND_UNTOLD /* one is in memory, one in swap: a page in the swap cache is both */
};

static bool holds(const struct page_chunk *c, size_t i)
{
    return (pm_present(c->words[i]) && !bit_is_set(c->zero, i)) || pm_swapped(c->words[i]);
}

static enum standing standing(const struct page_chunk *a, const struct page_chunk *b, size_t i)
{
    if (!holds(a, i) || !holds(b, i))
        return STAND_ALONE;
    if (pm_present(a->words[i]) != pm_present(b->words[i]))
        return STAND_UNTOLD;
    return same_place(a, b, i) ? STAND_TOGETHER : STAND_APART;
}

/* Pages that were in common with the parent, and of which both have one of their own now. */
static void lost_since(const struct page_chunk *c, const struct page_chunk *theirs,
                       const struct page_chunk *old, const struct page_chunk *theirs_old,
                       size_t from, size_t to, struct count *out)
{
    if (!theirs || !old || !theirs_old || c == theirs || (c == old && theirs == theirs_old))
        return;
    for (size_t i = from; i < to; i++) {
        enum standing was = standing(old, theirs_old, i), is = standing(c, theirs, i);
        bool maybe_was = was == STAND_TOGETHER || was == STAND_UNTOLD;

        if (was == STAND_TOGETHER && is == STAND_APART)
            out->n++;
        else if (maybe_was && (is == STAND_APART || is == STAND_UNTOLD) &&
                 (!same_place(c, old, i) || !same_place(theirs, theirs_old, i)))
            out->why = WHY_SWAP_HOLDERS;
    }
}

/* Pages of which both have one at the same address, each in a place of its own as far as is told,
 * and one of them is a private page: both may have been the parent's when it forked. */
static uint64_t apart(const struct page_chunk *c, const struct page_chunk *theirs, size_t from,
                      size_t to)
{
    uint64_t n = 0;

    if (!theirs || c == theirs)
        return 0;
    for (size_t i = from; i < to; i++)
        n += standing(c, theirs, i) >= STAND_APART && !(c->words[i] & theirs->words[i] & PM_FILE);
    return n;
}

/* File pages count once in distinct_file, through whatever mapping they are seen. */
static void mark_file(struct sampler *s, const struct page_chunk *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (pm_present(c->words[i]) && (c->words[i] & PM_FILE) &&
            !(s->slots[c->slots[i]].info & INFO_FILE)) {
            s->slots[c->slots[i]].info |= INFO_FILE;
            s->distinct_file++;
        }
}

struct region_sums {
    struct tally tally;
    uint64_t parent, before;
    struct count copied, lost;
};

/* at: cursor over the chunks of the process, which its mappings walk in order. */
static void sum_region(struct sampler *s, const struct sampled *w, const struct sample_region *r,
                       size_t *at, struct region_sums *out)
{
    const struct map_entry *e = r->map;
    uint64_t bytes = CHUNK_PAGES * s->page_size;
    bool file = mapping_is_file(e, r->kind == RK_SHARED);
    uint64_t index = e->start / bytes, last = (e->end - 1) / bytes;

    while (index <= last) {
        struct page_chunk *c, *theirs, *old, *theirs_old;
        size_t from, to;

        page_table_next(&w->now, at, index);
        if (*at >= w->now.n || (index = w->now.rows[*at].index) > last)
            break;
        c = w->now.rows[*at].chunk;
        from = index * bytes < e->start ? (e->start - index * bytes) / s->page_size : 0;
        to = (index + 1) * bytes > e->end ? (e->end - index * bytes) / s->page_size : CHUNK_PAGES;
        if (from == 0 && to == CHUNK_PAGES)
            tally_chunk(s, c, sort_of(e), &out->tally);
        else
            tally_pages(s, c, from, to, sort_of(e), &out->tally);
        theirs = w->parent ? page_table_find(&w->parent->now, index) : NULL;
        if (theirs == c && from == 0 && to == CHUNK_PAGES) {
            const struct tally *t = &c->tally[sort_of(e)];

            out->parent +=
                CHUNK_PAGES - t->states[PS_NONE] - t->states[PS_SWAPPED] - t->states[PS_ZERO];
        } else {
            out->parent += in_common(c, theirs, from, to);
        }
        old = page_table_find(&w->before, index);
        theirs_old = w->parent ? page_table_find(&w->parent->before, index) : NULL;
        if (!e->shared) {
            copied_since(s, w, e, index, c, from, to, &out->copied);
            lost_since(c, theirs, old, theirs_old, from, to, &out->lost);
            out->before += w->fresh ? apart(c, theirs, from, to) : 0;
        }
        if (file)
            mark_file(s, c, from, to);
        index++;
    }
}

static uint64_t pages_of_kb(const struct sampler *s, uint64_t kb)
{
    return kb * 1024 / s->page_size;
}

static struct region_facts facts_of(const struct sampler *s, const struct sampled *w,
                                    const struct map_entry *e)
{
    const bool *have = s->caps.have;

    return (struct region_facts){.sight = {.frames = w->pagemap.frames,
                                           .counts = have[CAP_KPAGECOUNT],
                                           .exact = have[CAP_PAGE_MAPCOUNT],
                                           .flags = have[CAP_KPAGEFLAGS],
                                           .debt = have[CAP_DEBT]},
                                 .shared = e->shared,
                                 .read_only = !(e->prot & 2),
                                 .hugetlb = e->flags & 1u << VMF_HUGETLB,
                                 .object = mapping_has_object(e),
                                 .pages = (e->end - e->start) / s->page_size};
}

/* What a mapping would show of its object if it were touched. Without the page table it is told
 * only where no private page hides any. */
static void ask_object(struct sampler *s, struct sampled *w, const struct map_entry *e,
                       struct region_facts *f)
{
    const struct asked_object *o;
    uint64_t mapped = f->states[PS_OBJECT] + f->states[PS_SHARED];
    struct value hidden = value_known(0);
    bool idle = mapped && (f->shared || f->read_only || !f->states[PS_NONE]);

    f->backed = mapped;
    if (!f->object || mapping_is_special(e))
        return;
    o = idle || f->hugetlb ? NULL : objects_ask(s, w, e);
    if (!f->shared && f->states[PS_NONE])
        objects_note(s, w, e, o);
    if (idle)
        return;
    f->why_object = f->hugetlb ? WHY_NO_INTERFACE : o ? o->why : WHY_READ_FAILED;
    if (f->why_object != WHY_KNOWN)
        return;
    f->backed_any = o->count > 0;
    if (o->count && region_anon_pages(f) + f->states[PS_SWAPPED]) {
        if (!w->pagemap.frames)
            hidden = value_unknown(WHY_NO_FRAMES);
        else if (o->count == o->n)
            hidden.n = (int64_t)(o->n - mapped - f->states[PS_NONE]);
        else
            hidden = objects_hidden(s, w, e);
    }
    f->why_object = hidden.why;
    if (f->why_object == WHY_KNOWN && o->count > mapped + (uint64_t)hidden.n)
        f->backed_none = o->count - mapped - (uint64_t)hidden.n;
    f->backed += f->backed_none;
}

/* The words of facts that are complete but for the object, and for who else holds slots of swap:
 * smaps tells whether there are any, of the whole mapping. */
static void tell(struct sampler *s, struct sampled *w, struct region_facts *f,
                 struct sample_region *r)
{
    const struct smaps_counters *kb = &r->map->kb;

    f->inferred_swap = f->states[PS_SWAPPED] && kb->swap == kb->swap_pss;
    if (kb->swap != kb->swap_pss) {
        f->why_swap = WHY_SWAP_HOLDERS;
        f->swap_some = kb->swap == f->states[PS_SWAPPED] * (s->page_size / 1024);
    }
    region_maybe_cached(f, s->swap_in_view, s->caps.have[CAP_SWAP]);
    ask_object(s, w, r->map, f);
    region_words(f, r->q);
    if (f->object && !f->backed_any) /* not asked, or nothing to tell */
        r->q[RQ_RESIDENT] = value_na();
}

/* After an exec of either nothing is in common because of the fork. */
static struct value parent_pages(const struct sampled *w, struct value found)
{
    return !w->parent ? value_na() : w->own_program > 0 ? value_known(0) : found;
}

/* Nor is anything left that a write could lose. */
static struct value lost_pages(const struct sampled *w, struct count lost)
{
    const struct sampled *parent = w->parent;

    if (!parent)
        return w->had_parent         ? value_unknown(WHY_GONE)
               : w->parent_unwatched ? value_unknown(WHY_PARENT_UNWATCHED)
                                     : value_na();
    if (w->own_program > 0 || (parent->pagemap.frames && (!w->before.n || !parent->before.n)))
        return value_na();
    if (!parent->pagemap.frames)
        return value_unknown(WHY_NO_FRAMES);
    return counted(lost);
}

static void from_pages(struct sampler *s, struct sampled *w, struct sample_region *r, size_t *at)
{
    struct region_facts f = facts_of(s, w, r->map);
    struct region_sums sums = {0};
    uint64_t found = 0;

    sum_region(s, w, r, at, &sums);
    for (int i = PS_NONE + 1; i < PS__COUNT; i++) {
        f.states[i] = sums.tally.states[i];
        found += f.states[i];
    }
    f.states[PS_NONE] = f.pages - found;
    f.sight.table = true;
    f.large = f.large_told = sums.tally.large;
    f.either = sums.tally.either;
    f.inferred_debt = f.inferred_mode = sums.tally.inferred && s->trusts;
    f.anon_count = sums.tally.anon_count;
    f.inferred_count = f.object;
    users_facts(s, r->map, sums.tally.object_count, &f);
    tell(s, w, &f, r);
    r->parent_pages =
        parent_pages(w, w->parent && w->parent->pagemap.frames ? value_known((int64_t)sums.parent)
                                                               : value_unknown(WHY_NO_FRAMES));
    r->copied = w->before.n && !w->exec ? counted(sums.copied) : value_na();
    r->lost = lost_pages(w, sums.lost);
    r->lost_before = value_na();
    if (w->fresh && w->parent && w->parent->pagemap.frames && w->own_program <= 0)
        r->lost_before = value_inferred((int64_t)sums.before);
}

/* smaps counts a page as shared if anybody else maps it, and as anonymous if it is. Where both
 * kinds are in one private mapping the split is concluded: object pages are clean, copies dirty. */
static void split_counters(struct sampler *s, const struct smaps_counters *kb,
                           struct region_facts *f)
{
    uint64_t anon = kb->anonymous, object = kb->rss > anon ? kb->rss - anon : 0;
    uint64_t shared = kb->shared_clean + kb->shared_dirty, cow;

    f->inferred_cow = object && anon && shared;
    cow = f->inferred_cow ? kb->shared_dirty : object ? 0 : shared;
    if (cow > anon)
        cow = anon;
    f->states[PS_OBJECT] = pages_of_kb(s, object);
    f->states[PS_COW] = pages_of_kb(s, cow);
    f->states[PS_ANON_UNKNOWN] = pages_of_kb(s, anon) - f->states[PS_COW];
    f->cow_summed = anon > 0;
    f->anon_count = 1;
    f->anon_missing = f->states[PS_COW] + f->inferred_cow;
    f->large = kb->thp_eligible || kb->anon_huge; /* from before it was advised against */
}

/* hugetlb has counters of its own, which tell who shares its pages and not whose they are. */
static void split_hugetlb(struct sampler *s, const struct smaps_counters *kb,
                          struct region_facts *f)
{
    f->states[f->shared ? PS_SHARED : PS_COW] = pages_of_kb(s, kb->shared_hugetlb);
    f->states[f->shared ? PS_SHARED : PS_ANON_UNKNOWN] += pages_of_kb(s, kb->private_hugetlb);
    f->anon_missing = region_anon_pages(f);
    f->cow_summed = f->large = f->anon_missing > 0;
}

/* smaps counts neither the zero page nor what is none. */
static void split_rest(const struct sampled *w, const struct sample_region *r,
                       struct region_facts *f)
{
    int64_t zero = w->zero[r - w->regions];
    uint64_t found = 0;

    if (!f->shared && !f->read_only) {
        f->sight.table = true;
        f->states[PS_ZERO] = zero > 0 ? (uint64_t)zero : 0;
        f->why_zero = zero < 0 ? WHY_ZERO_UNTOLD : WHY_KNOWN;
    }
    for (int i = PS_NONE + 1; i < PS__COUNT; i++)
        found += f->states[i];
    f->states[PS_NONE] = f->pages > found ? f->pages - found : 0;
}

static void from_counters(struct sampler *s, struct sampled *w, struct sample_region *r)
{
    struct region_facts f = facts_of(s, w, r->map);

    f.states[PS_SWAPPED] = pages_of_kb(s, r->map->kb.swap);
    if (f.hugetlb)
        split_hugetlb(s, &r->map->kb, &f);
    else if (r->map->shared)
        f.states[PS_SHARED] = pages_of_kb(s, r->map->kb.rss);
    else
        split_counters(s, &r->map->kb, &f);
    users_facts(s, r->map, 0, &f);
    split_rest(w, r, &f);
    tell(s, w, &f, r);
    if (f.hugetlb && f.object && region_anon_pages(&f))
        r->q[RQ_OBJECT] = value_unknown(WHY_NO_FRAMES); /* or are they the file's? */
    r->copied = r->map->shared ? value_known(0) : value_unknown(WHY_NO_FRAMES);
    r->lost = w->parent ? value_unknown(WHY_NO_FRAMES) : lost_pages(w, (struct count){0});
    r->lost_before = w->fresh ? r->lost : value_na();
    /* Whoever else maps the page: the parent, or only a sibling. */
    r->parent_pages = parent_pages(
        w, value_inferred((int64_t)(f.states[PS_COW] + f.states[PS_OBJECT] + f.states[PS_SHARED])));
}

static void fill_region(struct sampler *s, struct sampled *w, size_t i, size_t *at)
{
    struct sample_region *r = &w->regions[i];
    const struct map_entry *e = &w->maps.entries[i];
    uint64_t data_end = segments_end(&s->segments, w->pid, &w->maps, i);

    *r = (struct sample_region){.map = e,
                                .kind = region_kind(&w->maps, i, w->exe, &w->threads, data_end)};
    for (int k = 0; k < RQ__COUNT; k++)
        r->q[k] = value_na();
    r->q[RQ_PAGES] = r->q[RQ_ENTRY_PAGES] =
        value_known((int64_t)((e->end - e->start) / s->page_size));
    r->q[RQ_PROTECTION] = value_known(e->prot);
    r->q[RQ_INHERITANCE] = value_known(mapping_inherit(e->shared, e->flags, INHERIT_UNTOLD));
    r->q[RQ_HUGE] =
        value_known((int64_t)pages_of_kb(s, e->kb.anon_huge + e->kb.shmem_huge + e->kb.file_huge));
    if (w->pagemap.frames && w->why == WHY_KNOWN)
        from_pages(s, w, r, at);
    else
        from_counters(s, w, r);
}

static void add_pages(struct value *sum, struct value pages, uint64_t page_kb)
{
    pages.n *= (int64_t)page_kb;
    *sum = value_add(*sum, pages);
}

int sums_process(struct sampler *s, struct sampled *w, struct sample_process *p)
{
    uint64_t page_kb = s->page_size / 1024;
    size_t at = 0;

    if (LIST_ROOM(w->regions, w->regions_cap, w->maps.n) < 0 ||
        LIST_ROOM(w->views.list, w->views.cap, w->maps.n) < 0)
        return -ENOMEM;
    for (int k = 0; k < WQ__COUNT; k++)
        p->q[k] = value_known(0);
    for (size_t i = 0; i < w->maps.n; i++) {
        struct sample_region *r = &w->regions[i];

        fill_region(s, w, i, &at);
        if (mapping_is_special(r->map))
            continue;
        add_pages(&p->q[WQ_EXCLUSIVE], r->q[RQ_EXCLUSIVE], page_kb);
        add_pages(&p->q[WQ_COW], r->q[RQ_COW], page_kb);
        add_pages(&p->q[WQ_DEBT], r->q[RQ_DEBT], page_kb);
        add_pages(&p->q[WQ_OBJECT], r->q[RQ_OBJECT], page_kb);
        add_pages(&p->q[WQ_SHARED], r->q[RQ_SHARED], page_kb);
        add_pages(&p->q[WQ_PARENT], r->parent_pages, page_kb);
        add_pages(&p->q[WQ_COPIED], r->copied, 1);
        add_pages(&p->q[WQ_LOST], r->lost, 1);
        add_pages(&p->q[WQ_LOST_BEFORE], r->lost_before, 1);
        add_pages(&p->q[WQ_AT_RISK], r->q[RQ_AT_RISK], page_kb);
    }
    p->q[WQ_ANON_HUGE] = w->fp.anon_huge_kb;
    p->regions = w->regions;
    p->nregions = w->maps.n;
    return 0;
}

/* -- totals ----------------------------------------------------------------------------- */

/* A frame that n processes map copy-on-write, and nobody else, costs n - 1 new frames if all of
 * them write: the last one keeps it. */
static uint64_t kept_by_the_last(const struct sampler *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->nmet; i++) {
        uint32_t slot = s->met[i];

        n += (s->slots[slot].info & INFO_STATE) == PS_COW &&
             s->slots[slot].count <= s->join.own[slot];
    }
    return n;
}

static uint64_t zero_frames(const struct sampler *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->nmet; i++)
        n += (s->slots[s->met[i]].info & INFO_STATE) == PS_ZERO;
    return n;
}

void sums_totals(struct sampler *s)
{
    struct value risk = value_known(0), *t = s->sample.totals;
    uint64_t page_kb = s->page_size / 1024;
    bool all = s->frames;

    for (size_t i = 0; i < s->sample.n; i++) {
        if (s->processes[i].why == WHY_GONE || s->processes[i].why == WHY_BORROWED_MEMORY)
            continue;
        all = all && s->now[i]->pagemap.frames;
        risk = value_add(risk, s->processes[i].q[WQ_AT_RISK]);
    }
    if (!all) {
        t[TQ_DISTINCT] = t[TQ_DISTINCT_FILE] = s->sample.growth_kb = value_unknown(WHY_NO_FRAMES);
        return;
    }
    t[TQ_DISTINCT] = value_known((int64_t)((s->nmet - zero_frames(s)) * page_kb));
    t[TQ_DISTINCT_FILE] = value_known((int64_t)(s->distinct_file * page_kb));
    s->sample.growth_kb = risk;
    if (value_is_known(risk)) {
        int64_t kept = (int64_t)(kept_by_the_last(s) * page_kb);

        s->sample.growth_kb = value_inferred(risk.n > kept ? risk.n - kept : 0);
    }
}
