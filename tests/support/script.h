/* script: tests of the observer as a table of steps and of what must be seen after each.
 *
 * A test begins with the row {"NAME:", "needs=CAPABILITY,... hidden=... kinds=..."}: without one of
 * these capabilities it is skipped; hidden is for COWLAB_DISABLE; each kind of memory takes the
 * place of KIND in a test of its own. Each may be left out.
 *
 * A step is "WHO VERB ...": WHO is a puppet, "a" the first, its child "b", ...
 *     a maps KIND N        memory of a kind (anonymous, shared, memfd_shared, memfd_private,
 *                          memfd_held, file_private, hugetlb), N pages: the region
 *     X writes N, X reads N    the region's first N pages
 *     X forks              the next letter is the child
 *     X exits              and is reaped by "a"
 *     a unmaps FROM N, a advises WORD N, a moves, a execs
 *     a holds N            the first N pages, 16 at most, stay in their frames whatever compaction
 * does look                 nobody does anything N is a number, `all` of the region, or `huge`, the
 * pages of a huge page.
 *
 * What is seen is a list of words: letters say whose region and process the next ones are of, then
 * KEY=VALUE or KEY>=VALUE. KEY: a quantity as the views name it (of the region, the process or the
 * totals); runs, objects, pairs (how many); run0.frame, object1.kind, pair0.frames, check.NAME.
 * VALUE: a word of the vocabulary; a number, with p behind it pages given in KiB, with ~ concluded;
 * `?NO_FRAMES` unknown for that reason (WHY_NO_FRAMES); `?` or `known`; ONE|OTHER, where what
 * others do on the machine decides. `checked`: every check of the look must hold. Nothing is looked
 * at after a step without a list (NULL). */
#pragma once

#include "tests/support/looks.h"

struct script_line {
    const char *step, *seen;
};

struct CMUnitTest;
/* The tests of a script, which ends with step NULL, into out, which has room. Returns how many. */
size_t script_tests(struct CMUnitTest *out, const struct script_line *script);
/* Leaves the test as skipped, naming the capability, unless this machine has it. */
void stage_need(struct stage *s, enum cap cap);
