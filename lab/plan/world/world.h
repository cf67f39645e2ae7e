/* world: the plan carried out on paper, so that every name resolves before anything runs.
 *
 * Owns: which actors live, which regions each has, which messages are on their way, and an upper
 * estimate of the frames that all of it can take.
 *
 *   ABSENT --fork--> ALIVE --exit--> EXITED --wait--> GONE --fork--> ALIVE
 *   (an actor that no fork makes is ALIVE from the start)
 *
 *   families.c  memory that a map step made, and how many frames it can take
 *   regions.c   who has which region; names resolve here
 *   memory.c    map, write, read, unmap, protect, inherit, lock, madvise,
 *               snapshot
 *   process.c   fork, exec, exit, wait
 *   message.c   send, receive, reply, and out of line
 *   handover.c  hand over, take
 *   doubt.c     what a mistake leaves in doubt
 *   world.c     a step: who does it, to which region, then its action
 *   expect.c    expectations, whose names resolve against the world after the step
 *   answer.c    the step's answer, whose names are those of expectations
 *
 * A step that has a mistake is not carried out; what it could have changed is in doubt from then
 * on, and what is found wrong with something in doubt is not told: it may only follow (doubt.c).
 *
 * Names of regions are borrowed from the drafts and the document, which outlive the world. */
#pragma once

#include "lab/plan/text/reader.h"

struct world;
/* actors_in_doubt: there may be some that the plan does not list. */
int world_new(struct world **out, const struct reader *r, const struct plan *plan,
              const struct draft *drafts, size_t n, bool actors_in_doubt);
void world_free(struct world *w);
/* May this actor (or "message") have regions that the world does not know of? */
bool world_doubts(const struct world *w, const char *actor);
/* An actor's region that was told to be none; NULL: the actor, that it does not live. */
int world_poison(struct world *w, const struct reader *r, const char *actor, const char *region);
/* Resolves the step's names (it may set step.case_name) and carries its effect out. */
int world_apply(struct world *w, const struct reader *r, struct draft *d);
uint64_t world_peak_pages(const struct world *w);
enum actor_state { ACTOR_ABSENT, ACTOR_ALIVE, ACTOR_EXITED, ACTOR_GONE, ACTOR_IN_DOUBT };
/* The error at offset that there is none of this name. */
int no_actor(const struct reader *r, const struct world *w, const cJSON *node, size_t offset,
             const char *name);
/* -1: no such actor. */
int world_actor_state(const struct world *w, const char *actor);
/* The case of the region that the name means for this actor (or "message") now: in the case first,
 * then outside; *case_name NULL: outside. False: it has none. */
bool world_resolve(const struct world *w, const char *actor, const char *region, const char *in,
                   const char **case_name);
/* Region names of an actor, for suggestions: up to room of them; returns how many. */
size_t world_region_names(const struct world *w, const char *actor, const char **names,
                          size_t room);

/* --- expectations --- */

int read_expectations(const struct reader *r, struct world *w, struct draft *d);
/* "observed.key", as it stands in the text at node from byte `index` on, to what an expectation at
 * this step looks at. *out owns it; name is changed. */
int read_observed(const struct reader *r, struct world *w, const struct draft *d, const cJSON *node,
                  size_t index, char *name, struct expectation *out);
int read_answer(const struct reader *r, struct world *w, struct draft *d);
/* What the value of an expected key may be. */
enum key_type { KEY_NUMBER, KEY_SIGNED, KEY_BOOL, KEY_TEXT, KEY_WORD, KEY_PROTECTION };

struct key {
    const char *name;
    enum key_type type;
    const struct word *words;
};

/* The n-th key of what can be observed; false: it has no more. */
bool expected_key(enum expect_on on, size_t n, struct key *out);
