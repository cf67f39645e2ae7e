/* findings: what a watch of live processes shows, in sentences. Each is computed from the
 * stored samples; where those do not tell, the sentence says so. */
#include "reports/watch/sections.h"

#include "reports/escape.h"
#include "reports/format.h"
#include "reports/watch/data.h"
#include "reports/watch/sentences.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 8
static void seen(struct doc *d, const struct watch_data *w)
{
    struct query q;
    char n[FORMAT_MAX];

    if (!doc_ask(d, &q, "db/report/watch-summary.sql", ":run_id", w->run_id))
        return;
    if (query_row(&q)) {
        int64_t samples = query_int(&q, "samples"), frames = query_int(&q, "with_frames");

        doc_say(d, "  - **Seen.** %s in %.1f s: %zu process%s, at most %d at once.",
                format_noun(n, samples, "sample"), query_number(&q, "seconds"), w->nactors,
                w->nactors == 1 ? "" : "es", (int)query_int(&q, "most_processes"));
        if (frames < samples)
            doc_say(d,
                    " Page frames were read in %d of them; without, what is shared with the parent "
                    "is concluded from counters, at most so much: what siblings map counts too.",
                    (int)frames);
        if (query_int(&q, "inferred"))
            doc_say(d, " Of pages that were exclusive in the sample before, one in 64 was asked "
                       "whether it still is, and none was not.");
        doc_say(d, "\n");
    }
    doc_fail(d, query_close(&q));
}

/* How far what they seem to use is from what they use, at its worst. */
static void overcount(struct doc *d, const struct watch_data *w)
{
    size_t i = watch_worst_point(w);
    double rss, real;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    if (w->n == 0)
        return;
    rss = w->figure[WF_RSS][i];
    real = watch_used(w, i);
    if (isnan(rss) || isnan(real) || real <= 0 || rss <= real)
        return;
    doc_say(d,
            "  - **What they seem to use.** After %.1f s (sample %d) their RSS summed up to %s, "
            "which %s %s: %.2f times as much as there is%s.\n",
            w->t_s[i], w->step[i], format_kb(a, rss),
            real == w->figure[WF_DISTINCT][i] ? "occupied distinct frames of" : "by their PSS was",
            format_kb(b, real), rss / real,
            w->huge ? ", explicit huge pages apart, which neither counts" : "");
}

static int by_lost(const void *a, const void *b)
{
    const struct watch_actor *x = *(const struct watch_actor *const *)a;
    const struct watch_actor *y = *(const struct watch_actor *const *)b;

    double lost = isnan(x->lost) ? -1 : x->lost, other = isnan(y->lost) ? -1 : y->lost;

    if (lost != other)
        return lost < other ? 1 : -1;
    return x < y ? -1 : x > y; /* of one array: by when they came */
}

static bool is_lost(const struct watch_actor *a)
{
    return !(a->own_program && !(a->lost > 0)) &&
           (watch_is_much(a->lost, a->max_parent) || watch_is_much(a->lost_before, a->max_parent));
}

/* "Worker 3 (python3, pid 123)", "Worker 1 of nginx[7] (...)" where several have workers, "The
 * child (redis-server, pid 5)". A title that the process gave itself says more than its name. */
static void who(struct doc *d, const struct watch_data *w, const struct watch_actor *a)
{
    doc_say(d, a->siblings > 1 ? "Worker %d" : "The child", (int)a->nr);
    if (w->parents > 1) {
        doc_say(d, " of ");
        doc_text(d, a->parent);
    }
    doc_say(d, " (");
    doc_text(d, a->title ? a->title : a->name);
    doc_say(d, ", pid %lld)", (long long)a->pid);
}

static const struct watch_actor *parent_of(const struct watch_data *w, const struct watch_actor *a)
{
    for (size_t i = 0; a->parent && i < w->nactors; i++)
        if (strcmp(w->actors[i].actor, a->parent) == 0)
            return &w->actors[i];
    return NULL;
}

/* What a child lost after its parent had ended is not counted: there is nothing to compare with. */
static bool outlived(const struct watch_data *w, const struct watch_actor *a)
{
    const struct watch_actor *parent = parent_of(w, a);

    return parent && parent->last < a->last;
}

/* What was counted of a sum with unknown parts. */
static const char *at_least(bool in_part)
{
    return in_part ? "at least " : "";
}

static bool lost_in_part(const struct watch_data *w, const struct watch_actor *a)
{
    return a->lost_why || (!a->executed && outlived(w, a));
}

/* What it had in common when it was seen last, nobody saw it lose; 0: it did not end, or what
 * became of it then is unknown, or nothing. */
static double left_at_end(const struct watch_data *w, const struct watch_actor *a)
{
    bool told = a->last < INT_MAX && !a->executed && !outlived(w, a);

    return told && a->last_parent > 0 ? a->last_parent : 0;
}

static void until_end(struct doc *d, const char *joint, double kb, size_t n)
{
    char text[FORMAT_MAX];

    if (kb > 0)
        doc_say(d, "%s at most %s more%s between %s last sample and %s end", joint,
                format_kb(text, kb), n == 1 ? "" : " each", n == 1 ? "its" : "their",
                n == 1 ? "its" : "their");
}

/* Memory is no longer in common because this process wrote to it, or because the parent did. */
static void writer(struct doc *d, const struct watch_data *w, const struct watch_actor *a)
{
    const struct watch_actor *parent = parent_of(w, a);
    char own[FORMAT_MAX], theirs[FORMAT_MAX];

    if (isnan(a->copied))
        return;
    doc_say(d, "; its own writes copied %s%s", at_least(a->copied_part), format_kb(own, a->copied));
    if (a->copied < a->lost / 2 && parent && parent->copied > a->copied)
        doc_say(d, ", its parent's %s%s", at_least(parent->copied_part),
                format_kb(theirs, parent->copied));
}

/* What was seen to go while it was watched. */
static void seen_loss(struct doc *d, const struct watch_data *w, const struct watch_actor *a)
{
    char lost[FORMAT_MAX], most[FORMAT_MAX];

    doc_say(d, " lost %s%s of %s shared with its parent", at_least(lost_in_part(w, a)),
            format_kb(lost, a->lost), format_kb(most, a->max_parent));
    if (a->part && a->lost > 0) {
        doc_say(d, ", %.0f %% of it in ", floor(100 * fmin(a->part_kb / a->lost, 1)));
        doc_text(d, a->part);
    }
    writer(d, w, a);
    if (a->lost_before > 0)
        doc_say(d, "; at most %s before this watch first saw it", format_kb(lost, a->lost_before));
}

/* What no sample can have seen is said with its bound: before the first, and after the last. */
static void one_loss(struct doc *d, const struct watch_data *w, const struct watch_actor *a)
{
    char before[FORMAT_MAX], lost[FORMAT_MAX], most[FORMAT_MAX];

    doc_say(d, "  - ");
    who(d, w, a);
    if (watch_is_much(a->lost, a->max_parent))
        seen_loss(d, w, a);
    else
        doc_say(d,
                " lost at most %s of what it shared with its parent before this watch first saw it",
                format_kb(before, a->lost_before));
    if (isnan(a->lost))
        doc_say(d, "; what it lost since is unknown: %s",
                a->lost_why ? a->lost_why : "not counted");
    else if (!watch_is_much(a->lost, a->max_parent))
        doc_say(d, "; since then %s%s of %s", at_least(lost_in_part(w, a)),
                format_kb(lost, a->lost), format_kb(most, a->max_parent));
    if (a->lost_why && !isnan(a->lost))
        doc_say(d, "; what it lost besides is unknown: %s", a->lost_why);
    if (a->executed)
        doc_say(d, "; a program that was executed then ended what was left in common");
    else if (!a->lost_why && outlived(w, a))
        doc_say(d, "; its parent ended before it: what it lost since is unknown");
    until_end(d, ";", left_at_end(w, a), 1);
    doc_say(d, ".\n");
}

static void kept(struct doc *d, const struct watch_data *w)
{
    double most = 0, of = 0, before = 0, after = 0;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    size_t n = 0, alone = 0;

    for (size_t i = 0; i < w->nactors; i++) {
        const struct watch_actor *c = &w->actors[i];

        if (!c->parent || is_lost(c) || c->own_program || isnan(c->lost) || !(c->max_parent > 0))
            continue;
        n++;
        alone += !c->lost_why && outlived(w, c);
        before = fmax(before, isnan(c->lost_before) ? 0 : c->lost_before);
        after = fmax(after, left_at_end(w, c));
        if (c->lost >= most) {
            most = c->lost;
            of = c->max_parent;
        }
    }
    if (!n)
        return;
    doc_say(d,
            "  - %zu child%s kept what %s shared with the parent: at most %s of %s was seen to go",
            n, n == 1 ? "" : "ren", n == 1 ? "it" : "they", format_kb(a, most), format_kb(b, of));
    if (before > 0)
        doc_say(d, ", and at most %s before this watch", format_kb(a, before));
    until_end(d, ", and", after, n);
    if (alone && n == 1)
        doc_say(d, "; what it lost after the parent had ended is unknown");
    else if (alone)
        doc_say(d, "; what %zu of them lost after the parent had ended is unknown", alone);
    doc_say(d, ".\n");
}

/* Who shares nothing by the fork: since before it was seen, or since a sample that saw it happen.
 */
static void programs(struct doc *d, const struct watch_data *w)
{
    double most = 0, lost = NAN;
    size_t before = 0, since = 0;
    const char *why = NULL;
    char a[FORMAT_MAX], b[FORMAT_MAX];

    for (size_t i = 0; i < w->nactors; i++) {
        const struct watch_actor *c = &w->actors[i];

        if (!c->parent || !c->own_program || is_lost(c))
            continue;
        before += !c->executed || c->own_before;
        if (c->executed && !c->own_before) {
            since++;
            most = fmax(most, c->max_parent);
            lost = fmax(lost, c->lost);
            why = c->lost_why ? c->lost_why : why;
        }
    }
    if (before)
        doc_say(d,
                "  - %zu child%s another program since the fork, or the same one anew: nothing is "
                "in common by the fork.\n",
                before, before == 1 ? " runs" : "ren run");
    if (!since)
        return;
    doc_say(d,
            "  - %zu child%s executed a program while watched, or the parent did: until then "
            "at most %s was in common while watched",
            since, since == 1 ? "" : "ren", format_kb(a, most));
    if (isnan(lost))
        doc_say(d, "; what was lost before is unknown: %s.\n", why ? why : "not counted");
    else
        doc_say(d, "%s%s was seen to be lost before.\n",
                lost > 0 ? ", of which at most " : "; nothing of it",
                lost > 0 ? format_kb(b, lost) : "");
}

static bool is_untold(const struct watch_actor *a)
{
    return a->lost_why && !(a->own_program && isnan(a->lost)) && !is_lost(a);
}

/* Of each of n children. What was in common is known as of the first sample, which is not the fork:
 * before < 0 if what went till then is unknown. */
static void had_to_lose(struct doc *d, double most, double before, size_t n)
{
    const char *each = n == 1 ? "" : " of each";
    char kb[FORMAT_MAX];

    if (!(most > 0))
        return;
    doc_say(d, "; at most %s%s was in common with the parent while watched", format_kb(kb, most),
            each);
    if (before < 0)
        doc_say(d, "; what was lost before is unknown");
    else if (before > 0)
        doc_say(d, "; at most %s%s was lost before", format_kb(kb, before), each);
}

/* A sentence for each reason why nothing, or not all, is known, with what there was to lose. */
static void untold(struct doc *d, const struct watch_data *w)
{
    for (size_t i = 0; i < w->nactors; i++) {
        const struct watch_actor *c = &w->actors[i];
        double most = 0, before = 0;
        size_t n = 0;

        if (!is_untold(c))
            continue;
        for (size_t k = 0; k < w->nactors; k++) {
            const struct watch_actor *other = &w->actors[k];
            bool same = is_untold(other) && !strcmp(other->lost_why, c->lost_why) &&
                        isnan(other->lost) == isnan(c->lost);

            if (same && k < i)
                n = w->nactors; /* said already */
            n += same;
            most = same ? fmax(most, other->max_parent) : most;
            if (same) /* unknown of one, unknown of all */
                before =
                    isnan(other->lost_before) || before < 0 ? -1 : fmax(before, other->lost_before);
        }
        if (n > w->nactors)
            continue;
        doc_say(d, "  - What %zu child%s lost is unknown%s: %s", n, n == 1 ? "" : "ren",
                isnan(c->lost) ? "" : " in part", c->lost_why);
        had_to_lose(d, most, before, n);
        doc_say(d, ".\n");
    }
}

static void losses(struct doc *d, const struct watch_data *w)
{
    const struct watch_actor **order = calloc(w->nactors + 1, sizeof(*order));
    char lost[FORMAT_MAX];
    double rest = 0, after = 0;
    size_t n = 0;
    bool in_part = false;

    for (size_t i = 0; order && i < w->nactors; i++)
        if (w->actors[i].parent && is_lost(&w->actors[i]))
            order[n++] = &w->actors[i];
    if (n)
        qsort(order, n, sizeof(*order), by_lost);
    for (size_t i = 0; i < n; i++)
        if (i < LISTED) {
            one_loss(d, w, order[i]);
        } else {
            rest += isnan(order[i]->lost) ? 0 : order[i]->lost;
            in_part |= lost_in_part(w, order[i]);
            after = fmax(after, left_at_end(w, order[i]));
        }
    if (n > LISTED) {
        doc_say(d, "  - and %zu more lost %s%s together", n - LISTED, at_least(in_part),
                format_kb(lost, rest));
        until_end(d, ";", after, n - LISTED);
        doc_say(d, ".\n");
    }
    kept(d, w);
    untold(d, w);
    programs(d, w);
    free(order);
}

void find_watch(struct doc *d, const struct watch_data *w)
{
    doc_say(d, "- **Watch `%s`**, ", w->run_id);
    doc_text(d, w->title);
    doc_cut_short(d, w->run_id);
    doc_say(d, ":\n");
    if (w->samples == 0) {
        doc_say(d, "  - It has no sample.\n");
        return;
    }
    if (d->rc == 0)
        doc_fail(d, watch_sentences(d->db, w->run_id, d->out, "  - ", escape_markdown, d->e));
    seen(d, w);
    overcount(d, w);
    losses(d, w);
}
