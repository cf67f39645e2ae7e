/* filter: which rows of a watch's sample changed enough, since they were stored, to be stored
 * again?
 *
 * Owns the values stored last, by process, region and pair of processes, in a hash table.
 * A figure moved if it changed by the grain and by 1/256 of what it was, or became known or
 * unknown. A row is stored if a figure moved and `pace` samples have passed since the row before;
 * at once if one moved by 1/16 or became another word; and after `refresh` samples if anything
 * changed at all. Counts are per sample: their sums wait for the row. So a day of a busy tree stays
 * small, and how far off a stored figure can be is known. Totals are not its business: they are
 * stored with every sample. */
#include "db/filter.h"
#include "probes/list.h"
#include "probes/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELATIVE 256
#define AT_ONCE 16
#define UNKNOWNS 16384 /* of mappings that a round lasts for */

/* A process as it was seen last; of its counts the sums that wait for a row. */
struct seen {
    struct filter_row row;
    bool listed; /* among those of this sample or the one before */
};

struct entry {
    char *key;
    int step;                 /* of the row stored last */
    size_t n;                 /* values */
    struct value *q;          /* as stored last; counts: as the sample before had them */
    struct seen *seen;        /* of a process */
    const struct seen *of[2]; /* of any other row: the processes that it is about */
    unsigned int round;       /* of what is unknown of a mapping: when it was told last */
};

struct store_watch {
    int64_t grain_kb;
    int pace, refresh;
    bool all; /* of this sample every row is stored */
    struct entry *entries;
    size_t n;
    struct places places; /* of entries, by key */
    struct seen **seen;   /* that are listed */
    size_t nseen;
    bool left; /* somebody is listed no more, or not told any more */
    /* Names of mappings come and go while their process lives: those that were not told for a round
     * go. One that comes again is noted again. */
    unsigned int round;
    size_t told; /* in this round */
};

int store_watch_new(struct store_watch **out, const struct store_watch_options *opt, struct err *e)
{
    struct store_watch *w = calloc(1, sizeof *w);

    if (!w)
        return err_sys(e, ENOMEM, "cannot watch");
    w->grain_kb = opt && opt->grain_kb > 0 ? opt->grain_kb : 64;
    w->pace = opt && opt->pace > 0 ? opt->pace : 5;
    w->refresh = opt && opt->refresh > 0 ? opt->refresh : 60;
    w->round = 1;
    *out = w;
    return 0;
}

static void entry_release(struct entry *x)
{
    free(x->key);
    free(x->q);
    if (x->seen)
        free(x->seen->row.p.actor);
    free(x->seen);
}

void filter_forget(struct store_watch *w)
{
    for (size_t i = 0; i < w->n; i++)
        entry_release(&w->entries[i]);
    free(w->entries);
    free(w->places.at);
    free(w->seen);
    w->entries = NULL;
    w->places = (struct places){0};
    w->seen = NULL;
    w->n = w->nseen = w->told = 0;
}

void store_watch_free(struct store_watch *w)
{
    if (!w)
        return;
    filter_forget(w);
    free(w);
}

void filter_all(struct store_watch *w, bool all)
{
    w->all = all;
}

/* -- the table -------------------------------------------------------------------------- */

static uint32_t hash(const char *key)
{
    return places_hash_text(0x811c9dc5U, key);
}

/* NULL: it has none. */
static struct entry *entry_of(const struct store_watch *w, const char *key)
{
    uint32_t row, h = hash(key);

    for (size_t i = h; (row = places_next(&w->places, h, &i));)
        if (strcmp(w->entries[row - 1].key, key) == 0)
            return &w->entries[row - 1];
    return NULL;
}

static char *key_of(char kind, const char *const name[4])
{
    char *key = NULL;

    return asprintf(&key, "%c\x1f%s\x1f%s\x1f%s\x1f%s", kind, name[0] ? name[0] : "",
                    name[1] ? name[1] : "", name[2] ? name[2] : "", name[3] ? name[3] : "") < 0
               ? NULL
               : key;
}

/* Of a process that was seen. */
static const struct seen *seen_as(const struct store_watch *w, const char *name)
{
    char *key = name ? key_of('p', (const char *const[4]){name}) : NULL;
    const struct entry *x = key ? entry_of(w, key) : NULL;

    free(key);
    return x ? x->seen : NULL;
}

/* The process that a row about what is unknown names, or the pair: "one&other" (record.c), where
 * each may have such a sign in its own name. */
static void find_seen(const struct store_watch *w, const char *name, const struct seen *of[2])
{
    of[0] = seen_as(w, name);
    for (const char *at = name; at && !of[0] && (at = strchr(at, '&')); at++) {
        char *one = strndup(name, (size_t)(at - name));

        of[0] = seen_as(w, one);
        of[1] = of[0] ? seen_as(w, at + 1) : NULL;
        free(one);
    }
}

/* The entry of a kind of row and up to four names, made if need be (then step is 0). */
static struct entry *find(struct store_watch *w, char kind, const char *const name[4], size_t n)
{
    char *key = key_of(kind, name);
    struct entry *x = key ? entry_of(w, key) : NULL, added = {.key = key, .n = n};

    if (!x && key && (added.q = calloc(n ? n : 1, sizeof *added.q))) {
        if (kind == 's') {
            added.of[0] = seen_as(w, name[0]);
            added.of[1] = seen_as(w, name[1]);
        } else if (kind != 'p') {
            find_seen(w, name[0], added.of);
        }
        x = LIST_ADD(w->entries, w->n);
        if (x && places_add(&w->places, hash(key), w->n) == 0) {
            *x = added;
            return x;
        }
        w->n -= x != NULL;
        x = NULL;
        free(added.q);
    }
    free(key);
    return x;
}

static bool has_left(const struct store_watch *w, const struct entry *x)
{
    return (x->round && x->round + 1 < w->round) || (x->seen && !x->seen->listed) ||
           (x->of[0] && !x->of[0]->listed) || (x->of[1] && !x->of[1]->listed);
}

/* All rows about processes that are listed no more, and what is not told any more. What these refer
 * to goes last. */
static void drop_left(struct store_watch *w)
{
    size_t kept = 0, had = w->n;

    for (size_t i = 0; i < had; i++)
        if (!has_left(w, &w->entries[i])) {
            struct entry x = w->entries[kept];

            w->entries[kept++] = w->entries[i];
            w->entries[i] = x;
        }
    for (w->n = kept; had > kept;)
        entry_release(&w->entries[--had]);
    places_clear(&w->places);
    for (size_t i = 0; i < w->n; i++)
        places_add(&w->places, hash(w->entries[i].key), i + 1); /* there is room */
    w->left = false;
}

/* -- what moved ------------------------------------------------------------------------- */

/* How far has anything in a row moved? In rising order. */
enum move { SAME, CHANGED, MOVED, JUMPED };

/* grain 0: a word. */
static enum move moved(struct value old, struct value now, int64_t grain)
{
    int64_t d = now.n > old.n ? now.n - old.n : old.n - now.n;

    if (old.why != now.why)
        return JUMPED;
    if (now.why != WHY_KNOWN || d == 0)
        return SAME;
    if (d < grain || d * RELATIVE < old.n)
        return CHANGED;
    return grain == 0 || d * AT_ONCE >= old.n ? JUMPED : MOVED;
}

static bool is_due(const struct store_watch *w, const struct entry *x, int step, enum move most)
{
    int age = step - x->step;

    return w->all || x->step == 0 || most == JUMPED || (most == MOVED && age >= w->pace) ||
           (most == CHANGED && age >= w->refresh);
}

static enum move max_move(enum move a, enum move b)
{
    return a > b ? a : b;
}

static int64_t grain_of(enum quantity_type type, int64_t grain_kb, int64_t page_size)
{
    int64_t pages = grain_kb * 1024 / page_size;

    switch (type) {
    case QT_KB:
        return grain_kb;
    case QT_PAGES:
    case QT_COUNT:
        return pages ? pages : 1;
    default:
        return 0; /* a word */
    }
}

static bool is_counted(int q)
{
    return q == PQ_MINFLT || q == PQ_MAJFLT || q == PQ_COW_FAULTS || q == PQ_COPIED || q == PQ_LOST;
}

/* Figures that only ever grow say nothing by changing. */
static bool is_trigger(int q)
{
    return q != PQ_DUR && q != PQ_CPU && q != PQ_MINFLT_TOTAL && q != PQ_MAJFLT_TOTAL;
}

/* -- processes ---------------------------------------------------------------------------- */

static bool is_unknown(struct value v)
{
    return v.why != WHY_KNOWN && v.why != WHY_NOT_APPLICABLE;
}

static void nothing_waits(struct value q[PQ__COUNT])
{
    for (int i = 0; i < PQ__COUNT; i++)
        if (is_counted(i))
            q[i] = value_na();
}

static bool take_waiting(struct filter_row *seen, struct filter_row *out)
{
    bool waits = false;

    for (int i = 0; i < PQ__COUNT; i++)
        waits |= is_counted(i) &&
                 (is_unknown(seen->p.q[i]) || (value_is_known(seen->p.q[i]) && seen->p.q[i].n > 0));
    if (waits) {
        *out = *seen;
        nothing_waits(seen->p.q);
    }
    return waits;
}

/* The entry of a process, made if need be. */
static struct entry *find_process(struct store_watch *w, const char *actor)
{
    struct entry *x = find(w, 'p', (const char *const[4]){actor}, PQ__COUNT);
    struct seen *seen = x && !x->seen ? calloc(1, sizeof *seen) : NULL;

    if (!seen)
        return x && x->seen ? x : NULL;
    seen->row.p.actor = strdup(actor);
    if (!seen->row.p.actor) {
        free(seen);
        return NULL;
    }
    nothing_waits(seen->row.p.q);
    x->seen = seen;
    return x;
}

static bool list(struct store_watch *w, struct seen *seen)
{
    struct seen **added;

    if (seen->listed)
        return true;
    if (!(added = LIST_ADD(w->seen, w->nseen)))
        return false;
    *added = seen;
    return seen->listed = true;
}

/* Has a count become known or unknown, or unknown for another reason? */
static bool turned(struct value old, struct value now)
{
    return old.why != now.why && (is_unknown(old) || is_unknown(now));
}

bool filter_before(struct store_watch *w, const struct obs_process *now, struct filter_row *out)
{
    struct entry *x = find_process(w, now->actor);

    for (int i = 0; x && i < PQ__COUNT; i++)
        if (is_counted(i) && turned(x->q[i], now->q[i]))
            return take_waiting(&x->seen->row, out);
    return false;
}

bool filter_left(struct store_watch *w, int step, struct filter_row *out)
{
    for (size_t i = w->nseen; i-- > 0;) {
        struct seen *seen = w->seen[i];

        if (seen->row.step == step)
            continue;
        w->seen[i] = w->seen[--w->nseen];
        seen->listed = false;
        w->left = true;
        if (take_waiting(&seen->row, out))
            return true;
    }
    if (w->left)
        drop_left(w);
    return false;
}

/* Adds a count to what waits. What does not apply adds nothing. */
static enum move add_count(const struct store_watch *w, int i, struct value *sum, struct value now)
{
    if (sum->why == WHY_NOT_APPLICABLE)
        *sum = now;
    else if (now.why != WHY_NOT_APPLICABLE)
        *sum = value_add(*sum, now);
    if (!value_is_known(*sum) || sum->n == 0)
        return SAME;
    return (i == PQ_COPIED || i == PQ_LOST) && sum->n >= w->grain_kb ? MOVED : CHANGED;
}

int filter_process(struct store_watch *w, int step, size_t nr, struct obs_process *p)
{
    struct entry *x = find_process(w, p->actor);
    enum move most = SAME;

    if (!x || !list(w, x->seen))
        return -1;
    for (int i = 0; i < PQ__COUNT; i++) {
        struct value now = p->q[i];

        if (is_counted(i)) {
            p->q[i] = x->seen->row.p.q[i];
            most = max_move(most, add_count(w, i, &p->q[i], now));
            most = max_move(most, turned(x->q[i], now) ? JUMPED : SAME);
            x->q[i] = now;
        } else if (is_trigger(i)) {
            most = max_move(most, moved(x->q[i], now, w->grain_kb));
        }
    }
    x->seen->row = (struct filter_row){step, nr, {x->seen->row.p.actor, p->pid, p->acting, {{0}}}};
    memcpy(x->seen->row.p.q, p->q, sizeof p->q);
    if (!is_due(w, x, step, most))
        return 0;
    for (int i = 0; i < PQ__COUNT; i++)
        if (!is_counted(i))
            x->q[i] = p->q[i];
    nothing_waits(x->seen->row.p.q);
    x->step = step;
    return 1;
}

static int filter_values(struct store_watch *w, int step, struct entry *x, const struct value *q,
                         const struct quantity *list, int64_t page_size)
{
    enum move most = SAME;

    if (!x)
        return -1;
    for (size_t i = 0; i < x->n; i++)
        most = max_move(most, moved(x->q[i], q[i], grain_of(list[i].type, w->grain_kb, page_size)));
    if (!is_due(w, x, step, most))
        return 0;
    memcpy(x->q, q, x->n * sizeof *q);
    x->step = step;
    return 1;
}

int filter_region(struct store_watch *w, int step, const struct obs_region *r, int64_t page_size)
{
    const char *const name[4] = {r->observed, r->region, r->case_name};

    return filter_values(w, step, find(w, 'r', name, RQ__COUNT), r->q, region_quantities,
                         page_size);
}

int filter_sharing(struct store_watch *w, int step, const struct obs_sharing *sh, int64_t page_size)
{
    static const struct quantity list[] = {{"region_frames", QT_PAGES}, {"frames", QT_PAGES}};
    const char *const name[4] = {sh->actor_a, sh->actor_b};
    const struct value q[2] = {sh->region_frames, sh->frames};

    return filter_values(w, step, find(w, 's', name, 2), q, list, page_size);
}

int filter_unknown(struct store_watch *w, const char *observed, const char *region,
                   const char *case_name, const char *quantity, int why)
{
    const char *const name[4] = {observed, region, case_name, quantity};
    struct entry *x = find(w, 'u', name, 1);
    bool fresh;

    if (!x)
        return -1;
    fresh = x->step != why; /* the step's place holds the reason noted last */
    x->step = why;
    if (region && x->round != w->round) {
        x->round = w->round;
        w->told++;
    }
    if (w->told == UNKNOWNS) {
        w->told = 0;
        w->round++;
        w->left = true;
    }
    return fresh;
}

int filter_cost(struct store_watch *w, int step, struct obs_cost *c)
{
    enum { DUR, CALLS, BYTES, FAULTS, COSTS };
    struct entry *x = find(w, 'c', (const char *const[4]){c->probe}, COSTS);
    bool due;

    if (!x)
        return -1;
    due = w->all || x->step == 0 || step - x->step >= w->refresh;
    c->dur_ns += (uint64_t)x->q[DUR].n;
    c->calls += (uint64_t)x->q[CALLS].n;
    c->bytes += (uint64_t)x->q[BYTES].n;
    c->faults_induced = x->step ? value_add(x->q[FAULTS], c->faults_induced) : c->faults_induced;
    x->q[DUR] = value_known(due ? 0 : (int64_t)c->dur_ns);
    x->q[CALLS] = value_known(due ? 0 : (int64_t)c->calls);
    x->q[BYTES] = value_known(due ? 0 : (int64_t)c->bytes);
    x->q[FAULTS] = due ? value_known(0) : c->faults_induced;
    if (due)
        x->step = step;
    return due;
}
