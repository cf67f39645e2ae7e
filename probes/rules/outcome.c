/* What writing to a region has cost, from what became of its pages. */
#include "probes/rules.h"

enum write_outcome outcome_word(int64_t first_touch, int64_t copied, int64_t reused,
                                int64_t no_fault, int64_t swapped_in)
{
    if ((first_touch > 0) + (copied > 0) + (reused > 0) + (no_fault > 0) + (swapped_in > 0) > 1)
        return WO_MIXED;
    if (swapped_in > 0)
        return WO_SWAPPED_IN;
    return first_touch > 0 ? WO_FIRST_TOUCH
           : copied > 0    ? WO_COPIED
           : reused > 0    ? WO_REUSED
           : no_fault > 0  ? WO_NO_FAULT
                           : 0;
}

/* Pages without a trace: written without a fault, reused or not written. */
static void tell_rest(const struct outcome_sums *s, uint64_t told, struct value *q)
{
    uint64_t copies = s->of[PO_DOUBT_COPY] + s->of[PO_DOUBT_FIRST];

    if (s->of[PO_DOUBT] + copies && told < (s->written ? s->written : s->pages)) {
        q[RQ_REUSED] = q[RQ_NO_FAULT] = value_unknown(s->why_doubt);
        if (copies)
            q[RQ_COPIED] = q[RQ_REUSED];
        if (s->of[PO_DOUBT_FIRST])
            q[RQ_FIRST_TOUCH] = value_unknown(WHY_ZERO_UNTOLD);
    } else if (s->written) {
        q[RQ_NO_FAULT] = value_known(s->written > told ? (int64_t)(s->written - told) : 0);
    } else {
        q[RQ_NO_FAULT] = told == s->pages ? value_known(0) : value_unknown(WHY_NOT_REPORTED);
    }
}

void region_outcome(const struct outcome_sums *s, struct value *q)
{
    uint64_t first = s->of[PO_FIRST_TOUCH], reused = s->of[PO_REUSED];
    uint64_t copied = s->of[PO_COPIED] + s->of[PO_COPIED_LIKELY], swapped = s->of[PO_SWAPPED_IN];
    bool inferred = s->of[PO_COPIED_LIKELY] > 0;
    enum write_outcome word;

    if (s->why_before != WHY_KNOWN || s->of[PO_UNTOLD] || s->of[PO_AWAY]) {
        for (int i = RQ_WRITE_OUTCOME; i <= RQ_SWAPPED_IN; i++)
            q[i] = value_unknown(s->why_before != WHY_KNOWN ? s->why_before
                                 : s->of[PO_UNTOLD]         ? s->why_object
                                                            : WHY_PAGED_OUT);
        return;
    }
    q[RQ_FIRST_TOUCH] = value_known((int64_t)first);
    q[RQ_COPIED] = (struct value){(int64_t)copied, WHY_KNOWN, inferred};
    q[RQ_REUSED] = value_known((int64_t)reused);
    q[RQ_SWAPPED_IN] = value_known((int64_t)swapped);
    tell_rest(s, first + copied + reused + swapped, q);
    if (!value_is_known(q[RQ_NO_FAULT])) {
        q[RQ_WRITE_OUTCOME] = q[RQ_NO_FAULT];
        return;
    }
    word = outcome_word((int64_t)first, (int64_t)copied, (int64_t)reused, q[RQ_NO_FAULT].n,
                        (int64_t)swapped);
    if (word)
        q[RQ_WRITE_OUTCOME] = (struct value){word, WHY_KNOWN, inferred};
}
