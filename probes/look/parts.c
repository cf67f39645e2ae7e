/* parts: a region's pages in parts, each told (tell.c), summed up and joined to runs by one of two
 * threads, and put together in page order. Memory is bounded by waves of parts, whatever the size
 * of the region; blocks of which nothing is known cost nothing. */
#include "probes/list.h"
#include "probes/look/tell.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Parts of FINISH_PAGES that are finished before their runs are put together. */
#define WAVE_PARTS 16

/* Has the write kept what the page's state promised? */
static void promise(struct part *part, const struct outcome_facts *o)
{
    const struct finish *f = part->f;
    struct promises *sums = &part->sums.promises;
    bool shared = f->entry && f->entry->shared, seen = f->w->pagemap.frames;

    switch (
        page_kept_promise((struct promise_facts){o->was, o->is, o->same_frame, o->had, shared})) {
    case ANSWER_YES:
        sums->held[o->was]++;
        sums->moved += o->was == PS_EXCLUSIVE && o->same_frame == ANSWER_NO;
        break;
    case ANSWER_NO:
        *(o->was == PS_DEBT && o->is == PS_EXCLUSIVE ? &sums->pinned : &sums->failed[o->was]) += 1;
        break;
    case ANSWER_NONE:
        if (o->was == PS_ANON_UNKNOWN && o->is != PS_SWAPPED && seen && f->o->caps.have[CAP_DEBT]) {
            sums->either++;
            break;
        }
        sums->untold++;
        sums->why_untold = o->is == PS_SWAPPED     ? WHY_PAGED_OUT
                           : o->had == ANSWER_NONE ? object_why(f)
                                                   : WHY_NO_FRAMES;
        break;
    }
}

static enum answer had_page(const struct finish *f, uint16_t was)
{
    if (state_of(was) == PS_SWAPPED)
        return answer_of(was & REC_OBJECT);
    if (f->entry && mapping_has_object(f->entry) && object_why(f) != WHY_KNOWN)
        return ANSWER_NONE;
    return answer_of(was & REC_BACKED);
}

/* before -> now of one page that the step may have written. */
static void outcome(struct part *part, uint64_t p)
{
    const struct finish *f = part->f;
    const struct target_region *t = f->m->target;
    const struct records *before = &f->m->before, *now = &f->m->now;
    bool frames = before->slot[p] && now->slot[p];
    struct outcome_facts facts = {.was = state_of(before->rec[p]),
                                  .is = state_of(now->rec[p]),
                                  .same_frame = frames ? answer_of(before->slot[p] == now->slot[p])
                                                       : ANSWER_NONE,
                                  .had = had_page(f, before->rec[p]),
                                  .written = is_written(f->m, p),
                                  .zero_told = zero_told(f->o, f->w)};

    part->sums.outcome.of[page_outcome(facts)]++;
    if (t->page_written && facts.written)
        promise(part, &facts);
}

/* Neighbouring pages that add the same to the sums. own: mappings by the run. */
struct alike {
    uint64_t n;
    int32_t count;
    uint16_t own;
    uint16_t rec;
    bool shared; /* in swap, and another mapping holds the slot, or the page that came back from it
                  */
};

static void add_counts(struct sums *s, const struct alike *a, uint64_t page_bytes)
{
    enum page_state state = state_of(a->rec);
    int64_t surplus = (int64_t)a->count - a->own;

    if (a->count < 0) {
        s->counts_missing += a->n;
        s->facts.anon_missing += page_is_anon(state) ? a->n : 0;
        return;
    }
    if (a->count > 0)
        s->pss += a->n * ((page_bytes << PSS_SHIFT) / (uint64_t)a->count);
    if (a->count > 0 && surplus > 0 && a->own < FRAME_OWN_MAX) {
        s->outside += a->n;
        if (surplus > s->object_surplus && page_is_object(state))
            s->object_surplus = surplus;
    }
    if (!page_is_object(state) && a->count > s->facts.anon_count)
        s->facts.anon_count = a->count;
}

static void add_alike(struct part *part, const struct alike *a)
{
    enum page_state state = state_of(a->rec);
    struct region_facts *f = &part->sums.facts;

    f->states[state] += a->n;
    if (state == PS_SWAPPED && a->own) {
        f->swap_shared += a->shared ? a->n : 0;
        part->sums.swap_pss += a->n * ((part->f->o->page_size << PSS_SHIFT) / a->own);
    }
    f->huge += a->rec & REC_HUGE ? a->n : 0;
    f->object_swapped += a->rec & REC_OBJECT ? a->n : 0;
    if (a->rec & REC_BACKED) {
        f->backed_any |= a->n > 0;
        f->backed_none += state == PS_NONE ? a->n : 0;
        if (state == PS_NONE || page_is_object(state) || state == PS_SWAPPED)
            f->backed += a->n;
    }
    if (a->rec & REC_INFERRED) {
        f->inferred_debt |= page_is_once(state);
        f->inferred_count |= !page_is_once(state);
    }
    add_counts(&part->sums, a, part->f->o->page_size);
}

static bool slot_is_shared(const struct frames *f, uint32_t slot)
{
    uint32_t frame = f->origin[slot];

    return f->own[slot] > 1 || (frame && f->own[frame] && f->origin[frame] == slot);
}

static void sum_pages(struct part *s, uint64_t first, uint64_t end)
{
    const struct records *now = &s->f->m->now;
    const uint16_t *own = s->f->o->frames.own;
    struct alike a = {0};

    for (uint64_t p = first; p < end; p++) {
        int32_t count = s->of->counts[p - first];
        uint16_t rec = now->rec[p] & (uint16_t)~REC_FRESH;
        bool shared = !page_is_once(state_of(rec)) && now->slot[p];
        bool held =
            state_of(rec) == PS_SWAPPED && shared && slot_is_shared(&s->f->o->frames, now->slot[p]);
        uint16_t mine = shared ? own[now->slot[p]] : (uint16_t)(count > 0 ? count : 0);

        if (a.n && rec == a.rec && count == a.count && mine == a.own && held == a.shared) {
            a.n++;
            continue;
        }
        add_alike(s, &a);
        a = (struct alike){.n = 1, .count = count, .own = mine, .rec = rec, .shared = held};
    }
    add_alike(s, &a);
}

static int flush_run(struct part *s)
{
    struct page_run *added;

    if (!s->run.count)
        return 0;
    if (s->nruns >= s->f->o->max_runs) {
        s->cut = true;
        return 0;
    }
    if (!(added = LIST_ADD(s->runs, s->nruns)))
        return err_no_memory(&s->err);
    *added = s->run;
    return 0;
}

/* A page that was asked as a sample stands among concluded ones: it must not break their run, which
 * stays marked as concluded. */
static bool joins_marks(const struct page_run *run, uint64_t page, bool inferred)
{
    return run->inferred == inferred || (run->inferred && sampled(page)) ||
           (run->count == 1 && sampled(run->first));
}

/* One page into the runs: the usual case, that it continues the last one, is the short way. */
static inline int add_to_runs(struct part *s, uint64_t p, int32_t count)
{
    uint16_t rec = s->f->m->now.rec[p];
    uint32_t slot = s->f->m->now.slot[p];
    uint64_t frame = slot ? s->f->o->frames.label[slot] : 0;
    struct page_run *run = &s->run;
    int rc;

    if (run->count && state_of(rec) == run->state && count == run->mapcount &&
        frame == (run->frame ? run->frame + run->count : 0) && !(rec & REC_HUGE) == !run->huge &&
        joins_marks(run, p, (rec & REC_INFERRED) != 0)) {
        run->count++;
        run->inferred |= (rec & REC_INFERRED) != 0;
        return 0;
    }
    rc = flush_run(s);
    *run = (struct page_run){.first = p,
                             .count = 1,
                             .frame = frame,
                             .mapcount = count,
                             .state = state_of(rec),
                             .huge = (rec & REC_HUGE) != 0,
                             .inferred = (rec & REC_INFERRED) != 0};
    return rc;
}

/* Pages of touched blocks. */
static int finish_touched(struct part *s, uint64_t first, uint64_t end)
{
    const struct memory *m = s->f->m;
    bool outcomes = m->written && m->before.n == m->now.n;
    int rc = tell_pages(s, first, end);

    if (rc < 0)
        return rc;
    sum_pages(s, first, end);
    for (uint64_t p = first; p < end && outcomes; p++)
        outcome(s, p);
    for (uint64_t p = first; p < end && rc == 0; p++)
        rc = add_to_runs(s, p, s->of->counts[p - first]);
    return rc;
}

/* Pages that nothing is known of: not mapped, and nothing behind them. */
static int finish_nothing(struct part *s, uint64_t first, uint64_t n)
{
    int rc = add_to_runs(s, first, 0);

    s->run.count += n - 1;
    s->sums.facts.states[PS_NONE] += n;
    return rc;
}

static int finish_batch(struct part *s, uint64_t first, uint64_t end)
{
    const struct records *now = &s->f->m->now;
    int rc = 0;

    while (first < end && rc == 0 && s->rc == 0) {
        uint64_t block = first / BLOCK_PAGES, to = next_touched(now, block) * BLOCK_PAGES;

        to = to < end ? to : end;
        if (to > first) {
            rc = finish_nothing(s, first, to - first);
        } else {
            do
                to = (++block) * BLOCK_PAGES;
            while (to < end && next_touched(now, block) == block);
            to = to < end ? to : end;
            rc = finish_touched(s, first, to);
        }
        first = to;
    }
    return rc;
}

/* Parts are taken in turn by both threads, because they do not cost the same: asking for flags of
 * scattered frames takes longest. */
struct wave {
    struct part *parts;
    uint32_t n;
    atomic_uint next;
};

struct finisher {
    struct wave *wave;
    struct lookups *lookups;
};

static void *finish_parts(void *arg)
{
    struct finisher *own = arg;
    struct wave *wave = own->wave;
    uint32_t i;

    while ((i = atomic_fetch_add(&wave->next, 1)) < wave->n) {
        struct part *s = &wave->parts[i];
        int rc;

        s->of = own->lookups;
        rc = finish_batch(s, s->first, s->end);
        s->rc = rc < 0 ? rc : s->rc;
        if (s->rc == 0)
            s->rc = flush_run(s);
    }
    return NULL;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void merge_facts(struct region_facts *to, const struct region_facts *from)
{
    for (int i = 0; i < PS__COUNT; i++)
        to->states[i] += from->states[i];
    to->huge += from->huge;
    to->either += from->either;
    to->swap_shared += from->swap_shared;
    to->object_swapped += from->object_swapped;
    to->maybe_zero += from->maybe_zero;
    to->backed += from->backed;
    to->backed_none += from->backed_none;
    to->backed_any |= from->backed_any;
    to->anon_count = larger(to->anon_count, from->anon_count);
    to->anon_missing += from->anon_missing;
    to->inferred_debt |= from->inferred_debt;
    to->inferred_count |= from->inferred_count;
}

static void merge_sums(struct sums *to, const struct sums *from)
{
    merge_facts(&to->facts, &from->facts);
    for (int i = 0; i < PO__COUNT; i++)
        to->outcome.of[i] += from->outcome.of[i];
    for (int i = 0; i < PS__COUNT; i++) {
        to->promises.held[i] += from->promises.held[i];
        to->promises.failed[i] += from->promises.failed[i];
    }
    to->promises.either += from->promises.either;
    to->promises.moved += from->promises.moved;
    to->promises.pinned += from->promises.pinned;
    to->promises.untold += from->promises.untold;
    if (from->promises.untold)
        to->promises.why_untold = from->promises.why_untold;
    to->outside += from->outside;
    to->pss += from->pss;
    to->swap_pss += from->swap_pss;
    to->object_surplus = larger(to->object_surplus, from->object_surplus);
    to->counts_missing += from->counts_missing;
}

static int merge_part(struct finish *f, struct part *s)
{
    struct obs_region *r = f->r;

    cost_add(&f->o->cost[COST_KPAGECOUNT], &s->count_cost);
    cost_add(&f->o->cost[COST_KPAGEFLAGS], &s->flags_cost);
    cost_add(&f->o->cost[COST_PAGEMAP], &s->again_cost);
    f->o->samples += s->samples;
    f->o->samples_agreed += s->samples_agreed;
    if (s->rc < 0 && s->rc != -EAGAIN)
        *f->err = s->err;
    if (s->rc < 0)
        return s->rc;
    merge_sums(&f->sums, &s->sums);
    r->runs_cut |= s->cut;
    for (size_t i = 0; i < s->nruns; i++) {
        if (r->nruns >= f->o->max_runs) {
            r->runs_cut = true;
            break;
        }
        if (obs_region_add_run(r, &s->runs[i]) < 0)
            return err_no_memory(f->err);
    }
    return 0;
}

/* The parts of a wave, in order. */
static int run_wave(struct finish *f, struct wave *wave)
{
    struct finisher own[2] = {{wave, f->o->lookups[0]}, {wave, f->o->lookups[1]}};
    bool second = own[1].lookups && wave->n > 1;
    pthread_t thread;
    int rc = 0;

    if (second)
        second = pthread_create(&thread, NULL, finish_parts, &own[1]) == 0;
    finish_parts(&own[0]);
    if (second)
        pthread_join(thread, NULL);
    for (uint32_t i = 0; i < wave->n; i++) {
        int merged = rc == 0 ? merge_part(f, &wave->parts[i]) : 0;

        rc = rc < 0 ? rc : merged;
        free(wave->parts[i].runs);
    }
    return rc;
}

/* Room for what the threads ask, kept from look to look: made anew it costs a fault per page. */
static int make_lookups(struct observer *o, uint64_t pages)
{
    for (int i = 0; i < 2; i++)
        if (!o->lookups[i] && (i == 0 || (o->threads > 1 && pages > FINISH_PAGES)))
            o->lookups[i] = malloc(sizeof *o->lookups[i]);
    return o->lookups[0] ? 0 : -ENOMEM;
}

/* All pages, in waves that bound the memory for runs and lookups. */
int finish_pages(struct finish *f)
{
    struct part *parts = malloc(WAVE_PARTS * sizeof *parts);
    uint64_t n = f->m->now.n, first = 0;
    int rc = 0;

    if (!parts || make_lookups(f->o, n) < 0) {
        free(parts);
        return err_no_memory(f->err);
    }
    while (first < n && rc == 0) {
        struct wave wave = {.parts = parts};

        while (wave.n < WAVE_PARTS && first < n) {
            uint64_t end = next_touched(&f->m->now, first / BLOCK_PAGES) * BLOCK_PAGES;

            /* All that is untouched is one part, however large. */
            end = end < first + FINISH_PAGES ? first + FINISH_PAGES : end;
            end = end < n ? end : n;
            memset(&parts[wave.n], 0, sizeof *parts);
            parts[wave.n].f = f;
            parts[wave.n].first = first;
            parts[wave.n++].end = end;
            first = end;
        }
        rc = run_wave(f, &wave);
    }
    free(parts);
    return rc;
}
